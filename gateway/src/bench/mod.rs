//! `doorline bench`: measures the budgets of the architecture page on the real product.
//!
//! The gateway, its relay guard and the sentinel run as processes of their own, started from this program with a
//! site file that is written for the purpose. What is timed is seen from outside: a SIP peer on loopback, the
//! edge file of the virtual relays, `/proc`. Everything else that runs on the machine is in the figures, so the
//! load average is given with them.

mod bare;
mod broker;
mod child;
mod door;
mod edges;
mod journal;
mod live;
mod machine;
mod memory;
mod mqtt;
mod phone;
mod registrar;
mod release;
mod report;
mod rtp;
mod sip;
mod sip_role;
mod site;
mod site_role;
mod start;
mod web;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::bench::report::{Figure, Report};
use crate::cli::{Bench, BenchPart, exit};
use crate::run::{daemon, log};

/// All parts, in the order in which they run.
const ALL: [BenchPart; 8] = [
    BenchPart::Door,
    BenchPart::Live,
    BenchPart::Mqtt,
    BenchPart::Journal,
    BenchPart::Memory,
    BenchPart::Sip,
    BenchPart::Start,
    BenchPart::Release,
];

/// Measures; figures go to standard output, progress to standard error.
pub(crate) fn run(args: &Bench) -> anyhow::Result<u8> {
    if let Some(role) = &args.role {
        sip_role::run(role)?;
        return Ok(exit::OK);
    }
    let parts = if args.parts.is_empty() {
        &ALL[..]
    } else {
        &args.parts
    };
    if let Err(error) = gateway_priority::grant() {
        eprintln!(
            "doors and speech come first less than under systemd, whose unit grants LimitRTPRIO=: {error}"
        );
    }
    let work = Work::new(args.dir.as_deref(), args.full)?;
    clean_at_signals(&work.dir)?;
    let mut report = Report::new(args.json);
    report.machine(&machine::describe(&work.dir))?;
    for part in parts {
        let load = machine::load();
        let mut show = |figure: Figure| report.figure(*part, &figure, &load);
        // the part that takes longest shows each figure as it has it
        let all_at_once = match part {
            BenchPart::Door => door::measure(&work),
            BenchPart::Live => live::measure(&work),
            BenchPart::Journal => journal::measure(&work),
            BenchPart::Mqtt => mqtt::measure(&work, &mut show).map(|()| Vec::new()),
            BenchPart::Memory => memory::measure(&work),
            BenchPart::Release => release::measure(&work),
            BenchPart::Sip => sip::measure(&work),
            BenchPart::Start => start::measure(&work),
        };
        let shown = all_at_once.and_then(|all| all.into_iter().try_for_each(&mut show));
        shown.with_context(|| format!("the part `{part:?}` could not be measured"))?;
    }
    report.end()?;
    Ok(exit::OK)
}

/// Where a run keeps its files, and how long it may take.
pub(crate) struct Work {
    dir: PathBuf,
    full: bool,
}

impl Work {
    fn new(parent: Option<&Path>, full: bool) -> anyhow::Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        anyhow::ensure!(
            parent.is_dir(),
            "--dir {} is not a folder; allowed is one that is there, on the medium that is meant",
            parent.display()
        );
        let dir = parent.join(format!("doorline-bench-{}", std::process::id()));
        std::fs::create_dir(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
        let dir = dir.canonicalize()?;
        Ok(Self { dir, full })
    }

    /// A new folder in it.
    fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let dir = self.dir.join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir)?;
        Ok(dir)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A run that is ended from outside leaves no gateway and no files behind.
fn clean_at_signals(dir: &Path) -> anyhow::Result<()> {
    let dir = dir.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async { daemon::ended() })?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(ended);
            let _none_starts = child::end_all();
            // the parts still work in it for a moment
            let end = Instant::now() + Duration::from_secs(2);
            while dir.exists() && Instant::now() < end {
                let _ = std::fs::remove_dir_all(&dir);
                std::thread::sleep(Duration::from_millis(10));
            }
            log::say("bench: ended by a signal; its files are removed");
            log::finish();
            std::process::exit(i32::from(exit::FAILED));
        })?;
    Ok(())
}

/// Says what is being done.
fn progress(text: &str) {
    // whoever reads it may be gone, and its disk may be full
    log::say(&format!("bench: {text}"));
}

/// `CLOCK_BOOTTIME` in nanoseconds, the clock of the edge file.
fn boottime() -> u64 {
    gateway_core::Clock::now(&crate::clock::SystemClock).as_nanos()
}
