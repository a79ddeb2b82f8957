//! Memory of an idle gateway with its relay guard and sentinel, as proportional set size.

use std::time::Duration;

use anyhow::Context;

use crate::bench::child::Child;
use crate::bench::registrar::Registrar;
use crate::bench::report::{Budget, Figure};
use crate::bench::site::{Calls, Spec};
use crate::bench::{Work, progress};
use crate::run::kilobytes;
use gateway_mqtt::EmbeddedBroker;

/// The state after this long is called idle.
const IDLE: Duration = Duration::from_secs(5);

/// Measures.
pub(crate) fn measure(work: &Work) -> anyhow::Result<Vec<Figure>> {
    let broker = EmbeddedBroker::start()?;
    [(1, 14.0), (32, 24.0)]
        .into_iter()
        .map(|(doors, budget)| site(work, &broker, doors, budget))
        .collect()
}

fn site(work: &Work, broker: &EmbeddedBroker, doors: usize, budget: f64) -> anyhow::Result<Figure> {
    let dir = work.folder("memory")?;
    let (registrar, certificate) = Registrar::tls(&dir)?;
    let spec = Spec {
        calls: Calls::Tls(registrar.port, certificate),
        cards: 100,
        doors,
        mqtt: Some(broker.port()),
        strike_ms: 1000,
    };
    spec.write(&dir)?;
    progress(&format!("memory: {doors} doors, each with an account over TLS"));
    let mut child = Child::apart(&dir)?;
    let mut control = child.control()?;
    registrar
        .wait(doors, Duration::from_secs(30))
        .with_context(|| child.log())?;
    let mut edges = child.edges();
    child.works(&mut control, &mut edges)?;
    std::thread::sleep(IDLE);
    let mut total = 0;
    let mut parts = vec![];
    for (pid, what) in child.family() {
        let smaps = smaps(pid)?;
        let pss = kilobytes(&smaps, "Pss:").context(UNTOLD)?;
        let anonymous = kilobytes(&smaps, "Pss_Anon:").unwrap_or(0);
        total += pss;
        parts.push(format!(
            "{what} {:.1} MiB ({:.1} of them its own data)",
            mib(pss),
            mib(anonymous)
        ));
    }
    Ok(Figure {
        budget: Budget::AtMost(budget),
        note: format!(
            "{}; PSS 5 s after one opening; page and API, MQTT client, SIP accounts over TLS: {doors}; the broker and \
             the registrar are not in it",
            parts.join(", ")
        ),
        path: format!("memory of gateway, guard, sentinel: doors {doors}"),
        unit: "MiB",
        value: mib(total),
    })
}

const UNTOLD: &str = "the kernel does not tell the proportional set size";

fn smaps(pid: u32) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?)
}

/// Proportional set size of a process, in KiB.
pub(super) fn pss(pid: u32) -> anyhow::Result<u64> {
    kilobytes(&smaps(pid)?, "Pss:").context(UNTOLD)
}

pub(super) fn mib(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1024.0
}
