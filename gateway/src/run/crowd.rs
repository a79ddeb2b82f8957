//! The core among sources that never stop talking.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use adapter_api::Alarm;
use gateway_bus::Bus;
use gateway_config::{Config, SecretFiles};
use gateway_core::{
    Clock, Command, CommandId, CommandReply, CommandRequest, DeviceId, DoorId, Edge, Factor, Given, InputId,
    Origin, Refusal, Signal, SignalKind, Subject,
};
use gateway_guard::{ClientParams, GuardClient, Silence};
use gateway_guard_proto::Wirings;
use gateway_sip_io::SipEngine;
use gateway_site::{Input, Site};
use gateway_store::{Options, RealIo, Store};
use rand::SeedableRng;
use tokio::sync::{mpsc, watch};

use crate::clock::SystemClock;
use crate::run::brain::{Brain, Order};
use crate::run::clicks::Clicks;
use crate::run::faults::Faults;
use crate::run::learning::Learning;
use crate::run::legs::Legs;
use crate::run::lines::{Lines, Routes};
use crate::run::params;
use crate::run::readers::Readers;
use crate::run::wall::{Service, WallWatch};

/// Nothing here takes so long, unless it never happens.
const LIMIT: Duration = Duration::from_secs(30);

fn config(dir: &Path) -> Config {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("bound").port();
    let dir = dir.display();
    let text = format!(
        "[site]\nid = \"crowd\"\nname = \"Crowd\"\nnumber = \"000000001\"\naddress = \"1 Example Street\"\n\
         state-dir = \"{dir}/state\"\nrun-dir = \"{dir}/run\"\n\
         [sip]\nbind = \"127.0.0.1\"\nudp-port = {port}\ntcp-port = 0\n"
    );
    let loaded = gateway_config::parse("site.toml", Path::new("."), &text, SecretFiles::Untouched);
    loaded.expect("no faults").config
}

fn open_nowhere(n: u32) -> CommandRequest {
    CommandRequest {
        command: Command::Open {
            door: DoorId::new("nowhere").expect("a name"),
        },
        given: Given::Live(SystemClock.now()),
        id: CommandId::new(&format!("crowd-{n}")).expect("an id"),
        origin: Origin {
            factor: Factor::Api,
            may_simulate: false,
            subject: Subject::Integration("test".into()),
        },
        stale_by_transport: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_that_never_stops_keeps_neither_a_command_nor_the_stop_waiting() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = config(dir.path());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (store, _) = Store::open(&config.site.state_dir, Options::default(), RealIo).expect("opens");
    let (guard, guard_reports, liveness) = GuardClient::connect(
        ClientParams {
            generation: 1,
            instance: "crowd".into(),
            lease: config.guard.lease,
            socket: dir.path().join("no-guard.sock"),
            wirings: Wirings::new(),
        },
        Arc::clone(&clock),
        Silence::default(),
    );
    let (sip_events_to, sip_events) = mpsc::channel(16);
    let sip = SipEngine::start(params::sip(&config, [0; 16]), Arc::clone(&clock), sip_events_to)
        .await
        .expect("starts");
    let (now, wall) = (clock.now(), clock.wall());
    let rng = Box::new(rand::rngs::StdRng::seed_from_u64(1));
    let mut site = Site::new(params::site(&config, "crowd"), 1, rng, now, wall);
    site.handle_input(now, wall, Input::Ready);
    let (bus, core) = Bus::new(store.clone());
    let (orders_to, orders) = mpsc::channel(4);
    let (signals_to, signals) = mpsc::channel(256);
    let brain = Brain {
        tag_key: gateway_access::PinKey::default(),
        measures: Arc::default(),
        alarm: Alarm::new().expect("a timer"),
        bus: core,
        clicks: Clicks::default(),
        clock,
        faults: Faults::default(),
        general: tokio::runtime::Handle::current(),
        guard,
        guard_reports,
        held: mpsc::channel(4).0,
        legs: Legs::default(),
        lines: Lines::new(watch::channel(Routes::new()).1),
        learning: Learning::default(),
        liveness,
        readers: Readers::default(),
        orders,
        own_orders: orders_to.downgrade(),
        people: mpsc::channel(1).1,
        signals,
        sip,
        sip_events,
        site,
        store: store.clone(),
        trust: watch::channel(None).0,
        wall: WallWatch::new(None, Service::new(false)),
    };
    let brain = tokio::spawn(brain.run());
    // An input with a loose wire: more than the core can take, for as long as it lives.
    for _ in 0..3 {
        let signals = signals_to.clone();
        tokio::spawn(async move {
            let mut active = false;
            loop {
                active = !active;
                let edge = Edge {
                    active,
                    initial: false,
                };
                let signal = Signal {
                    at: SystemClock.now(),
                    device: DeviceId::new("gpio").expect("a name"),
                    kind: SignalKind::Input {
                        edge,
                        input: InputId::new("noise").expect("a name"),
                    },
                    simulated: false,
                };
                if signals.send(signal).await.is_err() {
                    return;
                }
            }
        });
    }
    let answered = async {
        for n in 0.. {
            let reply = bus.command(open_nowhere(n)).await;
            if let CommandReply::Refused { reason, .. } = reply
                && reason == Refusal::Unknown
            {
                return;
            }
        }
    };
    tokio::time::timeout(LIMIT, answered)
        .await
        .expect("a command is answered in the middle of it");
    orders_to.send(Order::Stop).await.expect("taken");
    tokio::time::timeout(LIMIT, brain)
        .await
        .expect("it stops in the middle of it")
        .expect("no panic");
    store.close();
}
