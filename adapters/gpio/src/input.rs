//! The input adapter: one chip, any number of lines.

use std::path::PathBuf;

use adapter_api::{Adapter, AdapterContext, AdapterError, Alarm, Claim};
use gateway_core::SignalKind;
use gpiocdev::Request;
use gpiocdev::line::{EdgeDetection, EdgeKind, EventClock, Value, Values};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::config::{Backend, Bias, InputLine};
use crate::decode::{Levels, RawEdge};
use crate::edges::Edges;
use crate::report::report;
use crate::{rpi, time};

/// Edges that the kernel keeps for us while we are busy.
const KERNEL_EDGES: u32 = 1024;

/// The inputs of one chip through one back end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpioInputs {
    /// Which library.
    pub backend: Backend,
    /// Device path; not used by rppal.
    pub chip: PathBuf,
    /// The lines, each with another offset.
    pub lines: Vec<InputLine>,
}

impl GpioInputs {
    /// The lines that it needs for itself.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        let chip = self.chip.display().to_string();
        let claim = |l: &InputLine| Claim::GpioLine {
            chip: chip.clone(),
            line: l.line,
        };
        self.lines.iter().map(claim).collect()
    }
}

impl Adapter for GpioInputs {
    async fn run(self, mut ctx: AdapterContext) -> Result<(), AdapterError> {
        let mut shutdown = ctx.shutdown.clone();
        let work = async {
            match self.backend {
                Backend::Gpiocdev => self.run_gpiocdev(&mut ctx).await,
                Backend::Rppal => rpi::run_inputs(&self.lines, &mut ctx).await,
            }
        };
        tokio::select! {
            done = work => done,
            () = shutdown.fired() => Ok(()),
        }
    }
}

impl GpioInputs {
    fn failed(&self, text: String, source: Option<std::io::Error>) -> AdapterError {
        AdapterError::Device {
            device: self.chip.display().to_string(),
            text,
            source,
        }
    }

    fn request(&self) -> gpiocdev::Result<Request> {
        let mut builder = Request::builder();
        builder
            .on_chip(&self.chip)
            .with_consumer("doorline")
            .with_kernel_event_buffer_size(KERNEL_EDGES);
        for line in &self.lines {
            builder
                .with_line(line.line)
                .as_input()
                .with_edge_detection(EdgeDetection::BothEdges)
                .with_event_clock(EventClock::Monotonic);
            match line.bias {
                Bias::AsIs => {}
                Bias::Disabled => drop(builder.with_bias(gpiocdev::line::Bias::Disabled)),
                Bias::PullDown => drop(builder.with_bias(gpiocdev::line::Bias::PullDown)),
                Bias::PullUp => drop(builder.with_bias(gpiocdev::line::Bias::PullUp)),
            }
            if line.active_low {
                builder.as_active_low();
            }
            if let Some(time) = line.kernel_debounce() {
                builder.with_debounce_period(time);
            }
        }
        builder.request()
    }

    async fn run_gpiocdev(&self, ctx: &mut AdapterContext) -> Result<(), AdapterError> {
        let request = self
            .request()
            .map_err(|error| self.failed(format!("the input lines cannot be requested: {error}"), None))?;
        #[expect(
            deprecated,
            reason = "a Request keeps its descriptor open; the replacement is unsafe to call"
        )]
        let request = AsyncFd::with_interest(request, Interest::READABLE)
            .map_err(|error| self.failed("the input lines cannot be watched".into(), Some(error)))?;

        let mut levels = Levels::default();
        for line in &self.lines {
            // Edges are queued since the request: none is missed between this reading and the first of them.
            let at = time::now();
            let active = self.read(request.get_ref(), line.line)?;
            report(ctx, levels.initial(line, active, at)).await?;
        }
        ctx.signal(time::now(), SignalKind::Ready).await?;
        let alarm = Alarm::new().map_err(|error| self.failed("no timer".into(), Some(error)))?;
        let mut edges = Edges::of(request.get_ref());
        loop {
            let ready = tokio::select! {
                ready = request.readable() => Some(
                    ready.map_err(|error| self.failed("the input lines cannot be watched".into(), Some(error)))?,
                ),
                () = alarm.at(levels.poll_timeout()) => None,
            };
            // The time first, the edges after it: nothing came up to then if there are no more.
            let now = time::now();
            let taken = edges
                .take()
                .map_err(|error| self.failed(format!("edges cannot be read: {error}"), None))?;
            if let Some(mut ready) = ready.filter(|_| !taken.more) {
                ready.clear_ready();
            }
            let slept = time::slept();
            for edge in taken.edges {
                let raw = RawEdge {
                    active: edge.kind == EdgeKind::Rising,
                    at: time::on_boottime(edge.timestamp_ns, slept),
                    line: edge.offset,
                    seqno: edge.line_seqno,
                };
                for decoded in levels.edge(raw) {
                    report(ctx, decoded).await?;
                }
            }
            if taken.more {
                // the core and the other lines take their turn
                tokio::task::yield_now().await;
                continue;
            }
            for decoded in levels.handle_timeout(now) {
                report(ctx, decoded).await?;
            }
        }
    }

    fn read(&self, request: &Request, line: u32) -> Result<bool, AdapterError> {
        let mut values = Values::default();
        values.set(line, Value::Inactive);
        request
            .values(&mut values)
            .map_err(|error| self.failed(format!("line {line} cannot be read: {error}"), None))?;
        Ok(values.get(line) == Some(Value::Active))
    }
}
