//! What adapters notice, as people are told of it, who look at wires; never for decisions.

use gateway_core::{Bell, ControllerSaid, DeviceId, Edge, Instant, LineSignal, Seq, Signal, SignalKind};

/// One signal, without what nobody may see: bits of cards, keys of codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noticed {
    /// Monotonic time, by the kernel's timestamp where there is one.
    pub at: Instant,
    /// The adapter instance.
    pub device: DeviceId,
    /// Which kind: `card`, `fault`, `input`, `key`, `line`, `misread`, `network`, `port`, `raw`, `ready` or `unread`.
    pub kind: &'static str,
    /// Counts all signals since start, from 1 on.
    pub n: u64,
    /// The last record that was durable before it.
    pub seq: Seq,
    /// True if injected into a virtual device.
    pub simulated: bool,
    /// Input, reader or line; `None` where it is of the whole device.
    pub source: Option<String>,
    /// What, in a word or a few.
    pub text: String,
}

impl Noticed {
    /// Of the `n`th signal, with the last record that was durable before it.
    pub(crate) fn new(signal: &Signal, n: u64, seq: Seq) -> Self {
        let (kind, source, text) = told(&signal.kind);
        Self {
            at: signal.at,
            device: signal.device.clone(),
            kind,
            n,
            seq,
            simulated: signal.simulated,
            source,
            text,
        }
    }
}

/// Kind, source and words of a signal.
fn told(kind: &SignalKind) -> (&'static str, Option<String>, String) {
    let of = |source: &dyn ToString| Some(source.to_string());
    match kind {
        SignalKind::Card { frame, reader } => ("card", of(reader), format!("{} bits", frame.bits)),
        SignalKind::Controller { controller, said, .. } => ("controller", of(controller), answered(said)),
        SignalKind::Fault(text) => ("fault", None, text.clone()),
        SignalKind::Input { edge, input } => ("input", of(input), level(*edge)),
        // which key it was is half a code
        SignalKind::Key { reader, .. } => ("key", of(reader), "pressed".to_owned()),
        SignalKind::Line { line, signal } => ("line", of(line), heard(*signal)),
        SignalKind::Raw { frame, reader } => ("raw", of(reader), format!("{} bits", frame.bits)),
        SignalKind::Misread {
            bits,
            reader,
            reason,
            times,
        } => {
            let text = format!("{}, {bits} bits, {times} times", reason.word());
            ("misread", of(reader), text)
        }
        SignalKind::Network(state) => ("network", None, state.text.clone()),
        SignalKind::Port(event) => ("port", None, event.tag().to_owned()),
        SignalKind::Ready => ("ready", None, String::new()),
        SignalKind::Unread(input) => ("unread", of(input), String::new()),
    }
}

fn answered(said: &ControllerSaid) -> String {
    match said {
        ControllerSaid::Beep(times) => format!("beep {times}"),
        ControllerSaid::KeySet => "key-set".to_owned(),
        ControllerSaid::Light { colour, .. } => format!("light {}", colour.word()),
        ControllerSaid::Missed(text) => format!("missed, {text}"),
        ControllerSaid::Taken => "taken".to_owned(),
        ControllerSaid::Text(text) => format!("text {text}"),
    }
}

fn level(edge: Edge) -> String {
    let level = if edge.active { "active" } else { "at-rest" };
    let first = if edge.initial { ", first reading" } else { "" };
    format!("{level}{first}")
}

fn heard(signal: LineSignal) -> String {
    let word = match signal {
        LineSignal::BusyOther => "busy",
        LineSignal::Fault => "fault",
        LineSignal::HandsetLifted => "handset-lifted",
        LineSignal::HandsetReplaced => "handset-replaced",
        LineSignal::Idle => "idle",
        LineSignal::OpenedByPanel => "opened-by-panel",
        LineSignal::Ring => "ring",
        LineSignal::RingFor(Bell::Apartment(number)) => return format!("ring {number}"),
        LineSignal::RingFor(Bell::Floor) => "ring floor",
        LineSignal::RingStopped => "ring-stopped",
    };
    word.to_owned()
}
