//! Fills a journal and measures durable events per second with four producers.
//!
//! `cargo run --release -p gateway-store --example prefill -- FOLDER RECORDS [SECONDS]`: appends until the journal in
//! FOLDER holds RECORDS events, waits for the index, then lets four producers append for SECONDS (3), each waiting
//! until its event is durable. FOLDER should lie on the medium that is meant; it is kept.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use gateway_core::{DoorEvent, DoorId, Envelope, Event, Factor, RingId, Seq, Subject, Timestamp};
use gateway_store::{AppendError, Options, RealIo, Store};

const PRODUCERS: u32 = 4;

fn event(n: u64) -> Envelope {
    Envelope {
        at: Timestamp::now(),
        event: Event::Door(
            DoorId::new(&format!("door-{}", n % 8)).expect("a name"),
            DoorEvent::Granted {
                factor: Factor::Digits,
                grant: n,
                rule: "code nine of door front".into(),
                subject: Subject::Contact("sip:1000@pbx.example".into()),
            },
        ),
        ring: Some(RingId::new(n / 12, [9; 10])),
        simulated: true,
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().ok_or("FOLDER RECORDS [SECONDS]")?);
    let records: u64 = args.next().ok_or("FOLDER RECORDS [SECONDS]")?.parse()?;
    let seconds: u64 = args.next().map_or(Ok(3), |s| s.parse())?;
    let mut out = std::io::stdout();

    let begin = Instant::now();
    let (store, report) = Store::open(&dir, Options::default(), RealIo)?;
    writeln!(
        out,
        "open          {:>10.1} ms, {} events there",
        begin.elapsed().as_secs_f64() * 1e3,
        report.last
    )?;
    let begin = Instant::now();
    let mut n = report.last.0;
    while n < records {
        match store.append(event(n)) {
            Ok(_) => n += 1,
            Err(AppendError::Full { .. }) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error.into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()?;
    runtime.block_on(store.durable().wait_for(|d| d.0 >= records))?;
    writeln!(out, "filled        {:>10.1} s", begin.elapsed().as_secs_f64())?;
    let begin = Instant::now();
    while store.indexed() < Seq(records) {
        std::thread::sleep(Duration::from_millis(10));
    }
    writeln!(
        out,
        "index         {:>10.1} s more",
        begin.elapsed().as_secs_f64()
    )?;

    let begin = Instant::now();
    let limit = Duration::from_secs(seconds);
    let producer = |store: Store| async move {
        let mut waits = Vec::new();
        while begin.elapsed() < limit {
            let start = Instant::now();
            let ticket = store
                .append(event(waits.len() as u64))
                .expect("the queue is short");
            ticket.durable().await.expect("open");
            waits.push(start.elapsed());
        }
        waits
    };
    let tasks: Vec<_> = (0..PRODUCERS)
        .map(|_| runtime.spawn(producer(store.clone())))
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(runtime.block_on(task)?);
    }
    let rate = waits.len() as f64 / begin.elapsed().as_secs_f64();
    waits.sort();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    writeln!(
        out,
        "durable       {rate:>10.0} events/s at {records} records, wait p50 {:.2} ms p99 {:.2} ms",
        at(0.5),
        at(0.99)
    )?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status
        .lines()
        .filter(|l| l.starts_with("VmRSS") || l.starts_with("VmHWM"))
    {
        writeln!(out, "{line}")?;
    }
    store.close();
    Ok(())
}
