//! GPIO on the kernel's simulated chips: inputs with kernel timestamps, outputs under the real guard.
//!
//! Makes chips, so it needs root and the module gpio-sim: `tests/vm/gpio` runs it in a virtual machine.
//! Elsewhere its cases are ignored, and it says so.

mod chip;
#[path = "../rig/mod.rs"]
mod rig;
mod sim;

use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use adapter_api::{Adapter, AdapterContext, Shutdown};
use adapter_gpio::{Backend, Bias, GpioInputs, InputLine};
use chip::Chip;
use gateway_core::{Edge, Instant, Signal, SignalKind};
use gateway_guard::{BootClock, boottime};
use rig::{Case, LEASE, Rig, children, in_time, ms, role, run, say, send, send_pid};
use rustix::process::Signal as Kill;
use sim::Registers;
use tokio::sync::mpsc;
use tokio::time::timeout;

const LONG: u64 = 20_000;
const RPI: &str = "pinctrl-bcm2835";

fn main() -> ExitCode {
    if let Some(done) = role() {
        return done;
    }
    let cases: &[Case] = &[
        ("gpiocdev: edges carry the kernel's time", cdev_edges),
        ("gpiocdev: a bounce is one edge", cdev_debounce),
        (
            "gpiocdev: half-waves at a lock sense are one opening",
            cdev_half_waves,
        ),
        ("gpiocdev: lost edges are counted", cdev_lost),
        ("gpiocdev: a flood on one line holds up no other", cdev_flood),
        ("gpiocdev: a line that is held is an error with a name", cdev_held),
        ("gpiocdev: a pulse shows on the line", cdev_pulse),
        ("gpiocdev: guard killed", cdev_guard_killed),
        (
            "gpiocdev: guard and sentinel killed, the kernel gives the line back",
            cdev_all_killed,
        ),
        ("gpiocdev: guard frozen", cdev_guard_frozen),
        ("gpiocdev: gateway killed", cdev_gateway_killed),
        ("rppal: edges carry the kernel's time", rpi_edges),
        (
            "rppal: guard killed, the sentinel writes the register",
            rpi_guard_killed,
        ),
    ];
    if !chip::is_there() {
        say(&chip::ignored(cases.len(), "tests/vm/gpio"));
        return ExitCode::SUCCESS;
    }
    run(cases)
}

/// Nothing more comes of what was done so long ago.
const QUIET: Duration = Duration::from_secs(1);

/// An input adapter that runs, and what it says.
struct Inputs {
    runtime: tokio::runtime::Runtime,
    signals: mpsc::Receiver<Signal>,
    _stop: tokio::sync::watch::Sender<bool>,
}

impl Inputs {
    fn start(inputs: GpioInputs) -> Self {
        Self::start_all([inputs])
    }

    /// Several adapters on one thread, as the gateway has them.
    fn start_all(all: impl IntoIterator<Item = GpioInputs>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (send, signals) = mpsc::channel(4096);
        let (stop, shutdown) = Shutdown::new();
        for inputs in all {
            let context = AdapterContext {
                audio: mpsc::channel(1).0,
                clock: Arc::new(BootClock),
                device: "gpio".parse().expect("a name"),
                lines: mpsc::channel(1).1,
                shutdown: shutdown.clone(),
                signals: send.clone(),
                simulated: true,
            };
            runtime.spawn(async move {
                if let Err(error) = inputs.run(context).await {
                    say(&format!("     the adapter ended: {error}"));
                }
            });
        }
        Self {
            runtime,
            signals,
            _stop: stop,
        }
    }

    fn next(&mut self) -> Signal {
        self.next_within(rig::PATIENCE).expect("a signal in time")
    }

    /// The next signal; `None` if there is none for so long.
    fn next_within(&mut self, length: Duration) -> Option<Signal> {
        let signals = &mut self.signals;
        let next = self
            .runtime
            .block_on(async { timeout(length, signals.recv()).await });
        next.ok().map(|signal| signal.expect("the adapter runs"))
    }

    fn next_edge(&mut self) -> (Instant, Edge) {
        let signal = self.next();
        match signal.kind {
            SignalKind::Input { edge, .. } => (signal.at, edge),
            other @ (SignalKind::Card { .. }
            | SignalKind::Controller { .. }
            | SignalKind::Fault(_)
            | SignalKind::Key { .. }
            | SignalKind::Line { .. }
            | SignalKind::Misread { .. }
            | SignalKind::Network(_)
            | SignalKind::Port(_)
            | SignalKind::Raw { .. }
            | SignalKind::Ready
            | SignalKind::Unread(_)) => panic!("no edge: {other:?}"),
        }
    }

    /// The first reading and the word that it works.
    fn first(&mut self) -> Edge {
        let (_, edge) = self.next_edge();
        assert_eq!(self.next().kind, SignalKind::Ready);
        edge
    }

    /// Nothing more comes for a while.
    fn silent(&mut self, length: Duration) {
        let next = self.next_within(length);
        assert!(next.is_none(), "{next:?}");
    }
}

fn button(backend: Backend, chip: &Chip, line: u32, debounce: Duration) -> GpioInputs {
    let input = "bell".parse().expect("a name");
    let line = InputLine {
        active_low: true,
        bias: Bias::PullUp,
        debounce,
        input,
        line,
        pulsed: false,
    };
    GpioInputs {
        backend,
        chip: chip.node.clone(),
        lines: vec![line],
    }
}

/// Presses and releases while the adapter cannot run, then looks at the times that it tells.
fn edges(backend: Backend, chip: &Chip) -> String {
    chip.pull(4, true);
    let mut inputs = Inputs::start(button(backend, chip, 4, Duration::ZERO));
    assert_eq!(
        inputs.first(),
        Edge {
            active: false,
            initial: true
        }
    );
    let mut windows = Vec::new();
    for active in [true, false, true, false] {
        let before = boottime();
        chip.pull(4, !active);
        windows.push((active, before, boottime()));
        std::thread::sleep(ms(5));
    }
    // The adapter shares this thread: it reads only now, long after the edges.
    std::thread::sleep(ms(200));
    let read = boottime();
    let last = windows.last().expect("four").2;
    let mut worst = Duration::ZERO;
    for (active, before, after) in windows {
        let (at, edge) = inputs.next_edge();
        assert_eq!(
            edge,
            Edge {
                active,
                initial: false
            }
        );
        // Interrupts of a simulated chip come from a work queue, a little after the write.
        assert!(
            before <= at && at < after + ms(100),
            "{before:?} <= {at:?} <= {after:?}"
        );
        worst = worst.max(at.since(before));
    }
    let aged = read.since(last).as_millis();
    format!(
        "4 of 4, read {aged} ms late, their times within {} us of the edge",
        worst.as_micros()
    )
}

fn cdev_edges() -> String {
    edges(Backend::Gpiocdev, &Chip::new("edges", "edges", 8))
}

fn cdev_debounce() -> String {
    let chip = Chip::new("bounce", "bounce", 8);
    chip.pull(4, true);
    let mut inputs = Inputs::start(button(Backend::Gpiocdev, &chip, 4, ms(100)));
    assert_eq!(
        inputs.first(),
        Edge {
            active: false,
            initial: true
        }
    );
    for _ in 0..10 {
        chip.pull(4, false);
        chip.pull(4, true);
    }
    chip.pull(4, false);
    assert_eq!(
        inputs.next_edge().1,
        Edge {
            active: true,
            initial: false
        }
    );
    inputs.silent(ms(400));
    "21 changes, 1 edge".into()
}

/// A strike of alternating current: the kernel, which is not asked to debounce, gives each half-wave.
fn cdev_half_waves() -> String {
    let chip = Chip::new("waves", "waves", 8);
    chip.pull(4, true);
    let mut sense = button(Backend::Gpiocdev, &chip, 4, ms(30));
    sense.lines.iter_mut().for_each(|line| line.pulsed = true);
    let mut inputs = Inputs::start(sense);
    assert!(!inputs.first().active);
    // what begins right after the first reading may have been there before it
    inputs.silent(ms(200));
    let began = boottime();
    for _ in 0..50 {
        chip.pull(4, false);
        std::thread::sleep(ms(9));
        chip.pull(4, true);
        std::thread::sleep(ms(11));
    }
    let ended = boottime();
    let initial = false;
    let (at, edge) = inputs.next_edge();
    assert_eq!(
        edge,
        Edge {
            active: true,
            initial
        }
    );
    assert!(began + ms(29) < at && at < began + ms(130), "{began:?} {at:?}");
    let (at, edge) = inputs.next_edge();
    assert_eq!(
        edge,
        Edge {
            active: false,
            initial
        }
    );
    assert!(ended < at + ms(11) && at < ended + ms(145), "{ended:?} {at:?}");
    inputs.silent(ms(400));
    "100 changes, 2 edges".into()
}

fn cdev_lost() -> String {
    let chip = Chip::new("lost", "lost", 8);
    chip.pull(4, true);
    let mut inputs = Inputs::start(button(Backend::Gpiocdev, &chip, 4, Duration::ZERO));
    assert_eq!(
        inputs.first(),
        Edge {
            active: false,
            initial: true
        }
    );
    // The kernel keeps the last 1024; the adapter shares this thread and cannot read. Of edges that come while the thread of
    // the interrupt waits for a processor the kernel makes one, and numbers them as one: on a busy machine it takes more of
    // them until one is lost.
    let (mut seen, mut made, mut said) = (0, 0, None);
    for round in 0..8 {
        for _ in 0..600 << round {
            chip.pull(4, false);
            chip.pull(4, true);
            made += 2;
        }
        loop {
            let length = if said.is_some() { rig::PATIENCE } else { QUIET };
            let Some(signal) = inputs.next_within(length) else {
                assert_eq!(said, None, "well again in time");
                break;
            };
            match signal.kind {
                SignalKind::Input { .. } => seen += 1,
                SignalKind::Fault(text) => assert_eq!(said.replace(text), None, "said once"),
                SignalKind::Ready => {
                    let said = said.expect("first the fault");
                    return format!("{seen} of {made} edges, {said}; well again after a while");
                }
                other @ (SignalKind::Card { .. }
                | SignalKind::Controller { .. }
                | SignalKind::Key { .. }
                | SignalKind::Line { .. }
                | SignalKind::Misread { .. }
                | SignalKind::Network(_)
                | SignalKind::Port(_)
                | SignalKind::Raw { .. }
                | SignalKind::Unread(_)) => panic!("no edge and no fault: {other:?}"),
            }
        }
    }
    panic!("{seen} of {made} edges, and none is told as lost");
}

/// One line changes as fast as another processor can make it, and a button on the next line is pressed meanwhile.
fn cdev_flood() -> String {
    let chip = Chip::new("flood", "flood", 8);
    let (flooded, pressed) = (3, 4);
    chip.pull(flooded, true);
    chip.pull(pressed, true);
    let mut noise = button(Backend::Gpiocdev, &chip, flooded, Duration::ZERO);
    noise.lines[0].input = "noise".parse().expect("a name");
    let bell = button(Backend::Gpiocdev, &chip, pressed, Duration::ZERO);
    let mut inputs = Inputs::start_all([noise, bell]);
    for _ in 0..2 {
        inputs.first();
    }
    let over = Arc::new(AtomicBool::new(false));
    let made = Arc::new(AtomicU64::new(0));
    let flood = {
        let (over, made, file) = (Arc::clone(&over), Arc::clone(&made), chip.pull_file(flooded));
        std::thread::spawn(move || {
            let file = std::fs::OpenOptions::new()
                .write(true)
                .open(file)
                .expect("a line");
            while !over.load(Ordering::Relaxed) {
                for word in ["pull-down", "pull-up"] {
                    file.write_all_at(word.as_bytes(), 0).expect("driven");
                    made.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
    };
    let began = boottime();
    let mut took = Vec::new();
    for press in 0..20 {
        chip.pull(pressed, press % 2 == 1);
        let changed = boottime();
        loop {
            if let SignalKind::Input { edge, input } = inputs.next().kind
                && input.as_str() == "bell"
            {
                assert_eq!(edge.active, press % 2 == 0);
                took.push(boottime().since(changed));
                break;
            }
        }
    }
    let (edges, passed) = (made.load(Ordering::Relaxed), boottime().since(began));
    over.store(true, Ordering::Relaxed);
    flood.join().expect("it ends");
    took.sort_unstable();
    format!(
        "20 of 20 beside {} edges a second, p50 {} us, worst {} us",
        edges * 1000 / u64::try_from(passed.as_millis()).expect("short").max(1),
        took[took.len() / 2].as_micros(),
        took.last().expect("20").as_micros()
    )
}

fn cdev_held() -> String {
    let chip = Chip::new("held", "held", 8);
    let mut first = Inputs::start(button(Backend::Gpiocdev, &chip, 4, Duration::ZERO));
    first.first();
    let mut rig = Rig::on_gpio(format!("gpiocdev:{}:4", chip.node.display()), chip.shown(4));
    rig.start_guard();
    rig.start_gateway("alone");
    rig.wait_report("is held by", 1);
    rig.tell("operate 500");
    rig.wait_report("why: DeviceFault", 1);
    // Given back, it is claimed by itself.
    drop(first);
    rig.wait_report("DeviceReady", 1);
    rig.pulse(100);
    rig.wait_relay(false);
    "refused while held, claimed when free".into()
}

fn on_chip(name: &str) -> (Chip, Rig) {
    let chip = Chip::new(name, name, 8);
    let rig = Rig::on_gpio(format!("gpiocdev:{}:2", chip.node.display()), chip.shown(2)).started();
    (chip, rig)
}

fn cdev_pulse() -> String {
    let (_chip, mut rig) = on_chip("pulse");
    let asked = boottime();
    let on = rig.pulse(500);
    let off = rig.wait_relay(false);
    rig.wait_report("why: PulseEnd", 1);
    assert!(off.since(asked) >= ms(490));
    in_time(&rig, asked, off, on + ms(500))
}

fn cdev_guard_killed() -> String {
    let (_chip, mut rig) = on_chip("killed");
    rig.pulse(LONG);
    let killed = send(&rig.guard, Kill::KILL);
    let off = rig.wait_relay(false);
    in_time(&rig, killed, off, killed)
}

fn cdev_all_killed() -> String {
    let (_chip, mut rig) = on_chip("all-killed");
    rig.pulse(LONG);
    let guard = rig.guard.as_ref().expect("started").id();
    // Frozen first, so that it cannot start another sentinel in between.
    send(&rig.guard, Kill::STOP);
    for sentinel in children(guard) {
        send_pid(sentinel, Kill::KILL);
    }
    assert!(rig.relay.is_on(), "a frozen guard holds the line");
    let killed = send(&rig.guard, Kill::KILL);
    let off = rig.wait_relay(false);
    in_time(&rig, killed, off, killed)
}

fn cdev_guard_frozen() -> String {
    let (_chip, mut rig) = on_chip("frozen");
    rig.pulse(LONG);
    let frozen = send(&rig.guard, Kill::STOP);
    let off = rig.wait_relay(false);
    let status = rig
        .guard
        .as_mut()
        .expect("started")
        .wait()
        .expect("the sentinel killed it");
    assert!(!status.success());
    in_time(&rig, frozen, off, frozen + ms(500))
}

fn cdev_gateway_killed() -> String {
    let (_chip, mut rig) = on_chip("gateway");
    rig.pulse(LONG);
    let killed = send(&rig.gateway, Kill::KILL);
    let off = rig.wait_relay(false);
    in_time(&rig, killed, off, killed + LEASE)
}

fn rpi_edges() -> String {
    let chip = Chip::new("rpi", RPI, 54);
    let registers = Registers::disguise();
    registers.raise(4);
    edges(Backend::Rppal, &chip)
}

/// Runs after `rpi_edges`, which made the chip and the disguise.
fn rpi_guard_killed() -> String {
    let registers = Registers::at_hand();
    let mut rig = Rig::on_gpio("rppal::17".into(), "/dev/null".into()).started();
    registers.forget();
    rig.tell(&format!("operate {LONG}"));
    rig.wait("a set pin", || registers.was_set(17));
    assert!(!registers.was_cleared(17));
    let killed = send(&rig.guard, Kill::KILL);
    rig.wait("a cleared pin", || registers.was_cleared(17));
    in_time(&rig, killed, boottime(), killed)
}
