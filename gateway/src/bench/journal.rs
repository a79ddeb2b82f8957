//! Durable events per second, beside what the medium gives to a plain loop in the same run.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use gateway_core::{DoorEvent, DoorId, Envelope, Event, Factor, Record, RingId, Seq, Subject, Timestamp};
use gateway_store::{AppendError, Options, RealIo, Store};

use crate::bench::report::{Budget, Figure};
use crate::bench::{Work, progress};

const PRODUCERS: usize = 4;
/// How long each rate is measured.
const SPAN: Duration = Duration::from_secs(2);
const BUDGET: f64 = 3000.0;

fn event(n: u64) -> anyhow::Result<Envelope> {
    Ok(Envelope {
        at: Timestamp::now(),
        event: Event::Door(
            DoorId::new(&format!("door-{}", n % 8))?,
            DoorEvent::Granted {
                factor: Factor::Digits,
                grant: n,
                rule: "code nine of door front".into(),
                subject: Subject::Contact("sip:1000@pbx.example".into()),
            },
        ),
        ring: Some(RingId::new(n / 12, [9; 10])),
        simulated: true,
    })
}

/// Appends events to a journal in `dir` until it holds `records`; gives it open.
pub(crate) fn filled(dir: &Path, records: u64) -> anyhow::Result<Store> {
    let (store, report) = Store::open(dir, Options::default(), RealIo)?;
    let mut n = report.last.0;
    while n < records {
        match store.append(event(n)?) {
            Ok(_) => n += 1,
            Err(AppendError::Full { .. }) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error.into()),
        }
    }
    while *store.durable().borrow() < Seq(records) || store.indexed() < Seq(records) {
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(store)
}

/// Measures.
pub(crate) fn measure(work: &Work) -> anyhow::Result<Vec<Figure>> {
    let dir = work.folder("journal")?;
    let sizes: &[u64] = if work.full {
        &[1_000, 10_000, 100_000, 1_000_000, 10_000_000]
    } else {
        &[1_000, 10_000, 100_000, 1_000_000]
    };
    let size = gateway_store::json_text(&Record::from(&event(1)?)).len();
    let mut figures = vec![];
    for records in sizes {
        progress(&format!("journal: filling {records} records"));
        let began = Instant::now();
        let store = filled(&dir.join("state"), *records)?;
        let filling = began.elapsed();
        progress("journal: plain append and fdatasync");
        let plain = plain(&dir, size)?;
        progress(&format!("journal: {PRODUCERS} producers"));
        let (rate, p50, p99) = producers(&store)?;
        store.close();
        drop(store);
        let mib = bytes(&dir.join("state"))? as f64 / f64::from(1 << 20);
        figures.push(Figure {
            budget: Budget::AtLeast(BUDGET),
            note: format!(
                "each producer waits for its event: p50 {p50:.2} ms, p99 {p99:.2} ms; one plain append + fdatasync \
                 of {size} bytes after the other, just before: {plain:.0}/s; ratio {:.2}",
                rate / plain
            ),
            path: format!("durable events, {PRODUCERS} producers, {records} records there"),
            unit: "/s",
            value: rate,
        });
        figures.push(opening(&dir.join("state"), *records, filling, mib)?);
    }
    Ok(figures)
}

/// How soon a journal of that size can be written to after a start, and how long its index takes to be built again.
fn opening(dir: &Path, records: u64, filling: Duration, mib: f64) -> anyhow::Result<Figure> {
    progress(&format!("journal: opening {records} records"));
    let began = Instant::now();
    let (store, report) = Store::open(dir, Options::default(), RealIo)?;
    let opened = began.elapsed();
    anyhow::ensure!(report.damage.is_empty(), "damage: {:?}", report.damage);
    while store.indexed() < report.last {
        std::thread::sleep(Duration::from_millis(1));
    }
    let indexed = began.elapsed();
    store.close();
    drop(store);
    progress(&format!("journal: rebuilding the index of {records} records"));
    let began = Instant::now();
    gateway_store::rebuild(dir)?;
    let rebuilt = began.elapsed();
    Ok(Figure {
        budget: Budget::Free,
        note: format!(
            "its share of a start; the index was in use after {:.0} ms more; `journal rebuild` took {:.1} s; folder \
             {mib:.0} MiB; {records} records were filled up to in {:.1} s",
            (indexed - opened).as_secs_f64() * 1e3,
            rebuilt.as_secs_f64(),
            filling.as_secs_f64()
        ),
        path: format!("journal opened and writable, {records} records there"),
        unit: "ms",
        value: opened.as_secs_f64() * 1e3,
    })
}

/// Bytes of all files below a folder.
fn bytes(dir: &Path) -> std::io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let about = entry.metadata()?;
        sum += if about.is_dir() {
            bytes(&entry.path())?
        } else {
            about.len()
        };
    }
    Ok(sum)
}

/// Records per second of one thread that appends and syncs, one after the other.
fn plain(dir: &Path, size: usize) -> anyhow::Result<f64> {
    let path = dir.join("plain");
    let mut file = File::options().create(true).append(true).open(&path)?;
    let record = vec![b'x'; size];
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < SPAN {
        file.write_all(&record)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(rate)
}

/// Rate, and how long a producer waits in milliseconds: median and 99th percentile.
fn producers(store: &Store) -> anyhow::Result<(f64, f64, f64)> {
    let runtime = crate::run::runtime()?;
    let began = Instant::now();
    let tasks: Vec<_> = (0..PRODUCERS)
        .map(|_| {
            let store = store.clone();
            runtime.spawn(async move {
                let mut waits = crate::bench::report::Samples::default();
                while began.elapsed() < SPAN {
                    let start = Instant::now();
                    store.append(event(waits.len() as u64)?)?.durable().await?;
                    waits.push(u64::try_from(start.elapsed().as_nanos())?);
                }
                anyhow::Ok(waits)
            })
        })
        .collect();
    let mut all = crate::bench::report::Samples::default();
    for task in tasks {
        all.join(runtime.block_on(task)??);
    }
    let rate = all.len() as f64 / began.elapsed().as_secs_f64();
    Ok((rate, all.at(0.5), all.at(0.99)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filled_journal_holds_what_was_asked_for_and_verifies() {
        let dir = tempfile::tempdir().expect("a folder");
        filled(dir.path(), 300).expect("filled").close();
        let report = gateway_store::verify(dir.path()).expect("readable");
        assert!(report.ok());
        assert_eq!(report.events.records, 300);
    }
}
