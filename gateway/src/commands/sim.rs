//! `doorline sim`: drives virtual devices through the control socket, and watches virtual relays.

use std::io::Write;
use std::time::{Duration, Instant};

use adapter_virtual::Watch;
use serde_json::{Value, json};

use crate::cli::{Hand, OnOff, Sim, SimAct, exit};
use crate::commands::{out, site};
use crate::control;
use crate::run::relay_file;

/// Runs one act.
pub(super) fn sim(args: &Sim) -> anyhow::Result<u8> {
    let run_dir = site::running(&args.site.config)?.site.run_dir.clone();
    if let SimAct::Watch {
        history,
        json,
        seconds,
    } = args.act
    {
        let mut watch = Watch::new(&relay_file(&run_dir));
        if !history {
            // what is in the file happened before somebody looked
            watch.poll()?;
            // a guard may hold the relays without a gateway; without either nothing would ever come
            if !watch.is_held()? {
                control::reach(&run_dir)?;
            }
        }
        return print(watch, json, seconds.map(Duration::from_secs));
    }
    let answer = control::ask(&run_dir, &request(&args.act))?;
    if !answer.is_null() {
        writeln!(out(), "{answer}")?;
    }
    Ok(exit::OK)
}

/// The request of an act; `run/sim.rs` is its reader.
fn request(act: &SimAct) -> Value {
    let line = |line: &str, signal: &str| json!({ "act": "line", "line": line, "signal": signal });
    let input = |kind: &str, input: &str, level: OnOff| json!({ "act": "input", "kind": kind, "input": input, "active": matches!(level, OnOff::On) });
    match act {
        SimAct::Bounce { panel, button } => {
            json!({ "act": "press", "panel": panel, "button": button, "ms": 300, "bounce": 10 })
        }
        SimAct::Busy { line: l, free } => line(l, if *free { "idle" } else { "busy" }),
        SimAct::Card { reader, card } => json!({ "act": "card", "reader": reader, "card": card }),
        SimAct::Contact { input: i, level } => input("contact", i, *level),
        SimAct::Fire { input: i, level } => input("fire", i, *level),
        SimAct::Handset { line: l, hand } => line(
            l,
            if matches!(hand, Hand::Lift) {
                "handset-lifted"
            } else {
                "handset-replaced"
            },
        ),
        SimAct::Keys { reader, keys } => json!({ "act": "keys", "reader": reader, "keys": keys }),
        SimAct::LineDrop { line: l, back } => line(l, if *back { "idle" } else { "fault" }),
        SimAct::Noise { input, hz, ms } => json!({ "act": "noise", "input": input, "hz": hz, "ms": ms }),
        SimAct::Press { panel, button, ms } => {
            json!({ "act": "press", "panel": panel, "button": button, "ms": ms, "bounce": 0 })
        }
        SimAct::Rex { input } => json!({ "act": "pulse", "kind": "rex", "input": input, "ms": 300 }),
        SimAct::Ring { line: l, stop } => line(l, if *stop { "ring-stopped" } else { "ring" }),
        SimAct::Speak { line, what } => json!({ "act": "speak", "line": line, "what": what }),
        SimAct::Watch { .. } => Value::Null,
    }
}

fn print(mut watch: Watch, as_json: bool, limit: Option<Duration>) -> anyhow::Result<u8> {
    let end = limit.map(|limit| Instant::now() + limit);
    let mut out = out();
    loop {
        let left = end.map_or(Duration::from_secs(60), |end| {
            end.saturating_duration_since(Instant::now())
        });
        if left.is_zero() {
            return Ok(exit::OK);
        }
        for edge in watch.next(left)? {
            if as_json {
                writeln!(out, "{}", serde_json::to_string(&edge)?)?;
            } else {
                let word = if edge.energised { "energised" } else { "at rest" };
                writeln!(out, "{:>20} {} {word} ({})", edge.at_ns, edge.output, edge.why)?;
            }
            out.flush()?;
        }
    }
}
