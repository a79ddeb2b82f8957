//! The page over a fake core: `cargo run -p gateway-http --example page -- [PORT]`.
//!
//! Doors move by themselves every few seconds; the setup code stands in the terminal. The journal is in
//! memory. With `PAGE_FAULT=1` a fault stands and a door is forced.

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/http/fake_core.rs"]
mod fake_core;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gateway_bus::Bus;
use gateway_core::{ContactState, DoorEvent, DoorId, Event, Fault, GatewayEvent, LockState};
use gateway_http::{HttpParams, Language, NetworkNames, Tls, start};
use gateway_store::fake::FakeIo;
use gateway_store::{Options, Store};

use crate::fake_core::{FakeCore, HandClock};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).map_or(Ok(8080), |p| p.parse())?;
    let options = Options {
        index: false,
        segment: 65536,
        ..Options::default()
    };
    let (store, _) = Store::open(Path::new("/state"), options, FakeIo::new())?;
    let (bus, core) = Bus::new(store.clone());
    let clock = HandClock::new();
    let params = HttpParams {
        language: Language::En,
        listen: ([127, 0, 0, 1], port).into(),
        mqtt_keys: Vec::new(),
        network: NetworkNames::default(),
        origins: Vec::new(),
        radius: None,
        tls: Tls::Off,
        doubt: false,
        hooks: gateway_http::Hooks::default(),
        users_mark: std::env::temp_dir().join("doorline-page-example-users"),
        version: "0.1.0".into(),
    };
    let core = FakeCore::new(core, store, clock.clone(), tokio::sync::mpsc::channel(1).1);
    let started = GatewayEvent::Started {
        generation: 1,
        instance: "page".into(),
        version: "0.1.0".into(),
    };
    drop(core.append(Event::Gateway(started), None));
    let view = core.bus.view.clone();
    let store = core.store.clone();
    tokio::spawn(core.run());
    let http = start(params, bus, clock.clone()).await?;
    let code = http.setup_code().unwrap_or_default();
    writeln!(
        std::io::stdout(),
        "http://{}/ setup code {code}",
        http.local_addr()
    )?;
    let troubled = std::env::var_os("PAGE_FAULT").is_some();
    let front = DoorId::new("front")?;
    let mut open = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(4)) => {}
            _ = tokio::signal::ctrl_c() => break,
        }
        open = !open;
        let event = if open {
            DoorEvent::Opened {}
        } else {
            DoorEvent::Closed {}
        };
        let at = gateway_core::Clock::wall(&*clock);
        let envelope = gateway_core::Envelope {
            at,
            event: Event::Door(front.clone(), event),
            ring: None,
            simulated: true,
        };
        let seq = store.append(envelope)?.seq();
        view.send_modify(|v| {
            let v = Arc::make_mut(v);
            v.seq = seq;
            let door = &mut v.doors[0];
            door.contact = if open {
                ContactState::Open
            } else {
                ContactState::Closed
            };
            door.lock = LockState::Locked;
            door.pulse_until = None;
            door.forced = troubled && open;
            if troubled {
                v.faults = vec![Fault {
                    part: "account:pbx".into(),
                    text: "pbx.example does not answer; check that it runs and that UDP port 5060 is open"
                        .into(),
                }];
                v.doors[1].available = false;
            }
        });
    }
    http.shutdown().await;
    Ok(())
}
