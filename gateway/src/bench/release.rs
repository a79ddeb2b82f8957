//! How soon an output rests after gateway or guard died or froze in the middle of a pulse.
//!
//! The limit is min(pulse end, last renewal + 1 s) + 50 ms. The last renewal is not seen from outside; it is not
//! later than the death of the gateway, so the limit that counts from the death is the later one.

use std::time::Duration;

use adapter_virtual::Watch;
use rustix::process::Signal;

use crate::bench::child::{Child, signal};
use crate::bench::report::{Budget, Figure};
use crate::bench::site::{Calls, Spec};
use crate::bench::{Work, boottime, progress};

/// The guard's lease as configured by default.
const LEASE_MS: f64 = 1000.0;
/// What the budget allows on top.
const SLACK_MS: f64 = 50.0;

struct Case {
    gateway: Option<Signal>,
    guard: Option<Signal>,
    name: &'static str,
    /// Pulse, and when in it the deed is done, in milliseconds.
    pulse: (u64, u64),
}

const LONG: (u64, u64) = (5000, 1500);

const CASES: [Case; 7] = [
    Case {
        gateway: Some(Signal::KILL),
        guard: None,
        name: "gateway killed",
        pulse: LONG,
    },
    Case {
        gateway: Some(Signal::STOP),
        guard: None,
        name: "gateway frozen",
        pulse: LONG,
    },
    Case {
        gateway: None,
        guard: Some(Signal::KILL),
        name: "guard killed",
        pulse: LONG,
    },
    Case {
        gateway: None,
        guard: Some(Signal::STOP),
        name: "guard frozen",
        pulse: LONG,
    },
    Case {
        gateway: Some(Signal::KILL),
        guard: Some(Signal::KILL),
        name: "both killed",
        pulse: LONG,
    },
    Case {
        gateway: Some(Signal::STOP),
        guard: Some(Signal::STOP),
        name: "both frozen",
        pulse: LONG,
    },
    Case {
        gateway: Some(Signal::KILL),
        guard: None,
        name: "gateway killed near the end of a pulse",
        pulse: (1000, 600),
    },
];

/// Measures.
pub(crate) fn measure(work: &Work) -> anyhow::Result<Vec<Figure>> {
    let times = if work.full { 10 } else { 3 };
    CASES.iter().map(|case| repeated(work, case, times)).collect()
}

fn repeated(work: &Work, case: &Case, times: u32) -> anyhow::Result<Figure> {
    progress(&format!("release: {}, {times} times", case.name));
    let mut releases = vec![];
    for _ in 0..times {
        releases.push(once(work, case)?);
    }
    let (length, deed) = case.pulse;
    // the time left of the pulse, or the lease, whichever ends first
    let limit = ((length - deed) as f64).min(LEASE_MS) + SLACK_MS;
    let worst = releases.iter().copied().fold(f64::MIN, f64::max);
    let all: Vec<String> = releases.iter().map(|ms| format!("{ms:.0}")).collect();
    Ok(Figure {
        budget: Budget::AtMost(limit),
        note: format!(
            "{deed} ms into a pulse of {length} ms, seen at the relay; all: {} ms",
            all.join(", ")
        ),
        path: format!("{}: to the release of the output", case.name),
        unit: "ms",
        value: worst,
    })
}

/// Milliseconds from the deed to the release. With a deed late in a pulse they count from when it was due.
fn once(work: &Work, case: &Case) -> anyhow::Result<f64> {
    let dir = work.folder("release")?;
    let spec = Spec {
        calls: Calls::Direct(9),
        cards: 0,
        doors: 1,
        mqtt: None,
        strike_ms: case.pulse.0,
    };
    spec.write(&dir)?;
    let mut child = Child::start(&dir)?;
    let mut control = child.control()?;
    child.works(&mut control, &mut child.edges())?;
    let mut watch = Watch::new(&child.relays());
    watch.poll()?;
    let guard = child.guard()?;
    control.input("x0", true)?;
    let opened = edge(&mut watch, true)?;
    let due = opened + case.pulse.1 * 1_000_000;
    std::thread::sleep(Duration::from_nanos(due.saturating_sub(boottime())));
    if let Some(deed) = case.gateway {
        signal(child.pid(), deed)?;
    }
    if let Some(deed) = case.guard {
        signal(guard, deed)?;
    }
    let released = edge(&mut watch, false)?;
    // counted from when the deed was due: a late deed makes the figure worse, never better
    Ok((released as f64 - due as f64) / 1e6)
}

fn edge(watch: &mut Watch, energised: bool) -> anyhow::Result<u64> {
    for _ in 0..8 {
        let edges = watch.next(Duration::from_secs(1))?;
        if let Some(edge) = edges.iter().find(|edge| edge.energised == energised) {
            return Ok(edge.at_ns);
        }
    }
    anyhow::bail!(
        "the relay was not {} within 8 s",
        if energised { "energised" } else { "released" }
    )
}
