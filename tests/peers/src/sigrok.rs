//! sigrok's decoders, which read what a logic analyser would have seen.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::rig::Rig;

/// A longer silence is shortened to this, µs: the decoders look at each sample.
const SILENCE_US: u64 = 100_000;

/// A wire: its name, its level at rest, and when it had which level, µs.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Changes, in order.
    pub changes: Vec<(u64, bool)>,
    /// As the decoder is told.
    pub name: &'static str,
    /// Level before the first change.
    pub rest: bool,
}

/// What a decoder of sigrok says of wires that were sampled once a microsecond, line by line, such as `26 bits 1011…`.
/// `decoder` is what follows `-P`, `said` what follows `-A`.
///
/// # Errors
/// If sigrok-cli is not there or refuses.
pub fn sigrok(rig: &Rig, traces: &[Trace], decoder: &str, said: &str) -> anyhow::Result<Vec<String>> {
    let file = rig.path("wires.vcd");
    std::fs::write(&file, dump(traces))?;
    let out = Command::new("sigrok-cli")
        .args(["--input-format", "vcd", "--input-file"])
        .arg(&file)
        .args(["--protocol-decoders", decoder])
        .args(["--protocol-decoder-annotations", said])
        .output()
        .context("sigrok-cli cannot be started; see tests/run")?;
    let error = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success() && error.is_empty(), "sigrok-cli: {error}");
    let lines = String::from_utf8(out.stdout)?;
    // each is told as `decoder-1: what`
    let what = lines.lines().filter_map(|line| line.split_once(": "));
    Ok(what.map(|(_, what)| what.to_owned()).collect())
}

/// The wires as a value change dump (IEEE 1364-2005, 18.2).
fn dump(traces: &[Trace]) -> String {
    // one printable character stands for each wire
    let marks: Vec<char> = ('!'..'~').take(traces.len()).collect();
    let mut text = "$timescale 1 us $end\n$scope module wires $end\n".to_owned();
    for (trace, mark) in traces.iter().zip(&marks) {
        let _ = writeln!(text, "$var wire 1 {mark} {} $end", trace.name);
    }
    text += "$upscope $end\n$enddefinitions $end\n#0\n";
    let mut changes = Vec::new();
    for (trace, mark) in traces.iter().zip(&marks) {
        let _ = writeln!(text, "{}{mark}", u8::from(trace.rest));
        changes.extend(trace.changes.iter().map(|(at, level)| (*at, *mark, *level)));
    }
    changes.sort_by_key(|(at, ..)| *at);
    let (mut before, mut at): (Option<u64>, u64) = (None, 0);
    for (us, mark, level) in changes {
        at += before.map_or(SILENCE_US, |before| (us - before).min(SILENCE_US));
        before = Some(us);
        let _ = writeln!(text, "#{at}\n{}{mark}", u8::from(level));
    }
    let _ = writeln!(text, "#{}", at + SILENCE_US);
    text
}
