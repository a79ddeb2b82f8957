//! A reader on pins: Wiegand or Clock & Data, with the wires of its lights.
//!
//! Its data lines are one request, so that their edges come with one count. What each sends is in `data.rs`.

mod data;
mod wires;

use std::path::PathBuf;
use std::time::Duration;

use adapter_api::{Adapter, AdapterContext, AdapterError, Alarm, Claim};
use adapter_wiegand::{Feedback, Output};
use gateway_core::{ReaderCommand, ReaderId, SignalKind};
use gpiocdev::Request;
use gpiocdev::line::{EventClock, Value, Values};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::broadcast;

use crate::config::Bias;
use crate::edges::Edges;
use crate::time;
use wires::Lit;

use data::Decoder;
pub use data::{ClockDataPins, ReaderData, WiegandPins};
pub use wires::{Opening, ReaderPin, ReaderWires};

/// Edges that the kernel keeps for us while we are busy: more than ten of the longest frames of a second.
const KERNEL_EDGES: u32 = 4096;
/// How often the levels at rest are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How the data lines are wired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderPins {
    /// A pulse is a low level.
    pub active_low: bool,
    /// Pull resistor of all.
    pub bias: Bias,
    /// Device path.
    pub chip: PathBuf,
}

/// A reader on pins.
#[derive(Clone, Debug)]
pub struct GpioReader {
    /// What the core wants it to show; the last commands are kept while it starts.
    pub commands: broadcast::Sender<ReaderCommand>,
    /// Its data lines, and what it sends on them.
    pub data: ReaderData,
    /// Lines that open something: no wire of a reader is one of them, whatever its chip is called.
    pub opening: Vec<Opening>,
    /// How they are wired.
    pub pins: ReaderPins,
    /// Which reader.
    pub reader: ReaderId,
    /// Lights and the like.
    pub wires: ReaderWires,
}

impl PartialEq for GpioReader {
    /// Are they wired and set the same? Where commands come from does not matter.
    fn eq(&self, other: &Self) -> bool {
        (&self.data, &self.opening, &self.pins, &self.reader, &self.wires)
            == (
                &other.data,
                &other.opening,
                &other.pins,
                &other.reader,
                &other.wires,
            )
    }
}

impl GpioReader {
    /// The lines that it needs for itself.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        let chip = self.pins.chip.display().to_string();
        let data = self.data.lines().into_iter().map(|(line, _)| Claim::GpioLine {
            chip: chip.clone(),
            line,
        });
        let wires = self.wires.pins().into_iter().map(|pin| Claim::GpioLine {
            chip: pin.chip.display().to_string(),
            line: pin.line,
        });
        data.chain(wires).collect()
    }

    fn failed(&self, text: String, source: Option<std::io::Error>) -> AdapterError {
        AdapterError::Device {
            device: self.pins.chip.display().to_string(),
            text,
            source,
        }
    }

    fn request(&self) -> gpiocdev::Result<Request> {
        let mut builder = Request::builder();
        builder
            .on_chip(&self.pins.chip)
            .with_consumer("doorline-reader")
            .with_kernel_event_buffer_size(KERNEL_EDGES);
        for (line, edges) in self.data.lines() {
            builder
                .with_line(line)
                .as_input()
                .with_edge_detection(edges)
                .with_event_clock(EventClock::Monotonic);
            match self.pins.bias {
                Bias::AsIs => {}
                Bias::Disabled => drop(builder.with_bias(gpiocdev::line::Bias::Disabled)),
                Bias::PullDown => drop(builder.with_bias(gpiocdev::line::Bias::PullDown)),
                Bias::PullUp => drop(builder.with_bias(gpiocdev::line::Bias::PullUp)),
            }
            if self.pins.active_low {
                builder.as_active_low();
            }
        }
        builder.request()
    }
}

impl Adapter for GpioReader {
    async fn run(self, ctx: AdapterContext) -> Result<(), AdapterError> {
        let mut shutdown = ctx.shutdown.clone();
        tokio::select! {
            done = self.read(&ctx) => done,
            () = shutdown.fired() => Ok(()),
        }
    }
}

impl GpioReader {
    async fn read(&self, ctx: &AdapterContext) -> Result<(), AdapterError> {
        let mut commands = self.commands.subscribe();
        for (line, _) in self.data.lines() {
            if wires::opens(&self.pins.chip, line, &self.opening) {
                let text = format!("line {line} is an output that opens: it is not touched");
                return Err(self.failed(text, None));
            }
        }
        let request = self
            .request()
            .map_err(|error| self.failed(format!("the data lines cannot be requested: {error}"), None))?;
        #[expect(
            deprecated,
            reason = "a Request keeps its descriptor open; the replacement is unsafe to call"
        )]
        let request = AsyncFd::with_interest(request, Interest::READABLE)
            .map_err(|error| self.failed("the data lines cannot be watched".into(), Some(error)))?;
        let alarm = Alarm::new().map_err(|error| self.failed("no timer".into(), Some(error)))?;
        // a dark LED keeps nobody out: it is told, and cards are read
        let (mut lit, mut dark) = match Lit::open(&self.wires, &self.opening) {
            Ok(lit) => (lit, None),
            Err(text) => (Lit::default(), Some(text)),
        };
        let well = |dark: &Option<String>| dark.clone().map_or(SignalKind::Ready, SignalKind::Fault);
        let now = time::now();
        let (mut reader, mut feedback) = (Decoder::new(&self.data, now), Feedback::default());
        let (mut seqno, mut look) = (0, now);
        let mut edges = Edges::of(request.get_ref());
        ctx.signal(now, well(&dark)).await?;
        loop {
            let due = [reader.poll_timeout(), feedback.poll_timeout(), Some(look)];
            let due = due.into_iter().flatten().min();
            let ready = tokio::select! {
                ready = request.readable() => Some(
                    ready.map_err(|error| self.failed("the data lines cannot be watched".into(), Some(error)))?,
                ),
                command = commands.recv() => {
                    if let Ok(command) = command {
                        feedback.command(time::now(), command);
                    }
                    None
                }
                () = alarm.at(due) => None,
            };
            // The time first, the edges after it: a frame is over only if nothing came up to then.
            let now = time::now();
            let taken = edges
                .take()
                .map_err(|error| self.failed(format!("edges cannot be read: {error}"), None))?;
            if let Some(mut ready) = ready.filter(|_| !taken.more) {
                ready.clear_ready();
            }
            let (slept, mut last) = (time::slept(), now);
            for edge in taken.edges {
                // numbers count over both lines
                let lost = edge.seqno.wrapping_sub(seqno).wrapping_sub(1);
                seqno = edge.seqno;
                if lost > 0 {
                    // told as a misread, by kind and number
                    tracing::debug!(reader = %self.reader, count = lost, "edges of a reader were lost");
                    reader.lost();
                }
                last = time::on_boottime(edge.timestamp_ns, slept);
                reader.edge(last, &edge);
            }
            // while more edges wait, nothing is known of the time after those that were read
            reader.handle_timeout(if taken.more { last } else { now });
            if now >= look && !taken.more {
                look = now + LOOK;
                let values = self.levels(request.get_ref())?;
                reader.levels(now, |line| values.get(line) == Some(Value::Active));
            }
            if let Some((at, frame)) = reader.poll_raw() {
                let reader = self.reader.clone();
                ctx.signal(at, SignalKind::Raw { frame, reader }).await?;
            }
            while let Some(output) = reader.poll_output() {
                let (at, kind) = if output == Output::Ready {
                    (now, well(&dark))
                } else {
                    output.signal(now, self.reader.clone())
                };
                ctx.signal(at, kind).await?;
            }
            if let Err(text) = lit.show(feedback.handle_timeout(now)) {
                dark = Some(text);
                lit = Lit::default();
                ctx.signal(now, well(&dark)).await?;
            }
            if taken.more {
                // the core and the other readers take their turn
                tokio::task::yield_now().await;
            }
        }
    }

    /// Which lines have the level of a pulse.
    fn levels(&self, request: &Request) -> Result<Values, AdapterError> {
        let mut values = Values::default();
        for (line, _) in self.data.lines() {
            values.set(line, Value::Inactive);
        }
        request
            .values(&mut values)
            .map_err(|error| self.failed(format!("the data lines cannot be read: {error}"), None))?;
        Ok(values)
    }
}
