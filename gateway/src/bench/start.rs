//! From the start of the process to the first REGISTER on the wire, with a journal that has a past.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::bench::child::Child;
use crate::bench::journal::filled;
use crate::bench::registrar::Registrar;
use crate::bench::report::{Figure, Samples};
use crate::bench::site::{Calls, Spec};
use crate::bench::{Work, boottime, progress};

/// Records that are there at the starts, one series each.
const RECORDS: [u64; 2] = [10_000, 1_000_000];

/// Measures.
pub(crate) fn measure(work: &Work) -> anyhow::Result<Vec<Figure>> {
    let dir = work.folder("start")?;
    let registrar = Registrar::udp()?;
    let spec = Spec {
        calls: Calls::Udp(registrar.port),
        cards: 100,
        doors: 1,
        mqtt: None,
        strike_ms: 1000,
    };
    spec.write(&dir)?;
    RECORDS
        .into_iter()
        .map(|records| starts(work, &registrar, &dir, records))
        .collect()
}

fn starts(work: &Work, registrar: &Registrar, dir: &Path, records: u64) -> anyhow::Result<Figure> {
    progress(&format!("start: filling a journal with {records} records"));
    filled(&dir.join("state"), records)?.close();
    let starts = if work.full { 100 } else { 20 };
    // what the filling left to be written is not the gateway's doing
    rustix::fs::sync();
    progress(&format!("start: {starts} starts"));
    let mut samples = Samples::default();
    for _ in 0..starts {
        // the end of the last registration
        while registrar.seen.try_recv().is_ok() {}
        let began = boottime();
        let mut child = Child::start(dir)?;
        let asked = registrar
            .seen
            .recv_timeout(Duration::from_secs(10))
            .with_context(|| format!("no REGISTER came: {}", child.log()))?;
        samples.push(asked.at.saturating_sub(began));
        // it is ended in good order only once it is up
        child.control()?;
    }
    Ok(samples.p99(
        &format!("start of the process to first REGISTER received, {records} records"),
        150.0,
        "files in the page cache, sealed segments verified meanwhile, UDP",
    ))
}
