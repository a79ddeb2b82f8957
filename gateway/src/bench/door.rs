//! How fast a door is: bell to INVITE, and card, REX and digit to the guard's output.

use std::time::Duration;

use serde_json::json;

use crate::bench::bare::{Ahead, Bare};
use crate::bench::child::{Child, Control};
use crate::bench::edges::Edges;
use crate::bench::phone::Phone;
use crate::bench::report::{Figure, Samples};
use crate::bench::site::{self, Calls, Spec};
use crate::bench::{Work, boottime, progress};
use crate::run::VIRTUAL_DEBOUNCE;

/// Doors take turns, so that each is shut again before it is opened anew.
const DOORS: usize = 32;
/// Samples of each path: every door seven times.
const SAMPLES: usize = 7 * DOORS;
/// Credentials in the policy.
const CARDS: usize = 100_000;
/// Pause after each sample: 32 of them are longer than the pulse of 1 s.
const PAUSE: Duration = Duration::from_millis(45);
/// Longest wait for one relay.
const WAIT: Duration = Duration::from_secs(3);

/// A gateway with its doors, and what looks at them.
struct Rig {
    bare: Bare,
    child: Child,
    control: Control,
    edges: Edges,
    phone: Phone,
}

/// Measures.
pub(crate) fn measure(work: &Work) -> anyhow::Result<Vec<Figure>> {
    let dir = work.folder("door")?;
    let phone = Phone::start()?;
    let spec = Spec {
        calls: Calls::Direct(phone.port),
        cards: DOORS,
        doors: DOORS,
        mqtt: None,
        strike_ms: 1000,
    };
    spec.write(&dir)?;
    progress(&format!(
        "door: starting a gateway with {DOORS} doors and {CARDS} cards"
    ));
    let mut child = Child::crowded(&dir, CARDS)?;
    let mut control = child.control()?;
    let mut edges = child.edges();
    child.works(&mut control, &mut edges)?;
    let mut rig = Rig {
        bare: Bare::start()?,
        child,
        control,
        edges,
        phone,
    };
    let how = "request on the control socket to the time the guard wrote beside the relay's edge";
    let _ahead = Ahead::new();
    let bell = bell(&mut rig)?;
    let card = card(&mut rig)?;
    let rex = rex(&mut rig)?;
    let digit = digit(&mut rig)?;
    let with = format!(
        "{CARDS} cards in the policy; thread of the doors {}",
        rig.child.turn("doors")?
    );
    let figure = |(ours, bare): &(Samples, Samples), path: &str, budget: f64, how: &str| {
        ours.p99_beside(bare, path, budget, &format!("{how}; {with}"))
    };
    Ok(vec![
        figure(
            &bell,
            "bell edge after debounce to INVITE received",
            2.0,
            "request on the control socket to a UDP socket that receives; 20 ms of debounce taken off; direct IP",
        ),
        figure(&card, "card frame to guard energises", 1.0, how),
        figure(
            &rex,
            "REX edge after debounce to guard energises",
            1.0,
            &format!("{how}, 20 ms of debounce taken off"),
        ),
        figure(
            &digit,
            "first RFC 4733 packet to guard energises",
            1.0,
            &format!("packet sent on a UDP socket to the time of the relay's edge; {DOORS} calls at once"),
        ),
    ])
}

/// `CLOCK_BOOTTIME` time since `began`, less the debounce of a virtual input.
fn settled(began: u64, at: u64) -> u64 {
    let debounce = u64::try_from(VIRTUAL_DEBOUNCE.as_nanos()).unwrap_or(0);
    at.saturating_sub(began + debounce)
}

fn bell(rig: &mut Rig) -> anyhow::Result<(Samples, Samples)> {
    progress(&format!("door: {SAMPLES} rings"));
    let (mut samples, mut bare) = (Samples::default(), Samples::default());
    for n in 0..SAMPLES {
        let door = n % DOORS;
        let press = json!({ "act": "input", "input": format!("b{door}"), "active": true });
        let began = boottime();
        rig.control.send(&press)?;
        let rung = rig.phone.next()?;
        anyhow::ensure!(
            rung.user == format!("k{door}"),
            "door {door} called {}",
            rung.user
        );
        samples.push(settled(began, rung.at));
        rig.control.answer()?;
        rig.control.input(&format!("b{door}"), false)?;
        std::thread::sleep(PAUSE);
        rig.bare.sample(&mut bare)?;
    }
    Ok((samples, bare))
}

fn card(rig: &mut Rig) -> anyhow::Result<(Samples, Samples)> {
    progress(&format!("door: {SAMPLES} cards"));
    let (mut samples, mut bare) = (Samples::default(), Samples::default());
    for n in 0..SAMPLES {
        let door = n % DOORS;
        let show = json!({ "act": "card", "reader": format!("r{door}"), "card": site::card(door) });
        let began = boottime();
        rig.control.send(&show)?;
        samples.push(rig.edges.took(&format!("o{door}"), began, WAIT)?);
        rig.control.answer()?;
        std::thread::sleep(PAUSE);
        rig.bare.sample(&mut bare)?;
    }
    Ok((samples, bare))
}

fn rex(rig: &mut Rig) -> anyhow::Result<(Samples, Samples)> {
    progress(&format!("door: {SAMPLES} requests to exit"));
    let (mut samples, mut bare) = (Samples::default(), Samples::default());
    std::thread::sleep(Duration::from_millis(1500));
    for n in 0..SAMPLES {
        let door = n % DOORS;
        let press = json!({ "act": "input", "input": format!("x{door}"), "active": true });
        let began = boottime();
        rig.control.send(&press)?;
        let took = rig.edges.took(&format!("o{door}"), began, WAIT)?;
        samples.push(settled(began, began + took));
        rig.control.answer()?;
        rig.control.input(&format!("x{door}"), false)?;
        std::thread::sleep(PAUSE);
        rig.bare.sample(&mut bare)?;
    }
    Ok((samples, bare))
}

fn digit(rig: &mut Rig) -> anyhow::Result<(Samples, Samples)> {
    progress(&format!("door: {DOORS} calls, {SAMPLES} digits"));
    rig.phone.answers(true);
    let mut calls = vec![];
    for door in 0..DOORS {
        rig.control.input(&format!("b{door}"), true)?;
        let (user, stream) = rig
            .phone
            .answered
            .recv_timeout(Duration::from_secs(5))
            .map_err(|_| anyhow::anyhow!("the call of door {door} was not confirmed"))?;
        anyhow::ensure!(user == format!("k{door}"), "door {door} called {user}");
        rig.control.input(&format!("b{door}"), false)?;
        calls.push(stream);
    }
    for _ in 0..25 {
        for call in &mut calls {
            call.silence()?;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let (mut samples, mut bare) = (Samples::default(), Samples::default());
    for n in 0..SAMPLES {
        let door = n % DOORS;
        let began = calls[door].nine()?;
        samples.push(rig.edges.took(&format!("o{door}"), began, WAIT)?);
        calls[door].silence()?;
        std::thread::sleep(PAUSE);
        rig.bare.sample(&mut bare)?;
    }
    Ok((samples, bare))
}
