//! The input adapter: one chip, any number of lines.

use std::path::PathBuf;
use std::time::Duration;

use adapter_api::{Adapter, AdapterContext, AdapterError, Claim};
use gateway_core::SignalKind;
use gpiocdev::Request;
use gpiocdev::line::{EdgeDetection, EdgeKind, EventClock, Value, Values};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::config::{Backend, Bias, InputLine};
use crate::decode::{Decoded, Levels, RawEdge};
use crate::{rpi, time};

/// Edges that the kernel keeps for us while we are busy.
const KERNEL_EDGES: u32 = 1024;
/// Edges read at once.
const READ_EDGES: usize = 64;

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
            if line.debounce > Duration::ZERO {
                builder.with_debounce_period(line.debounce);
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
            report(ctx, levels.initial(line.line, line.input.clone(), active, at)).await?;
        }
        ctx.signal(time::now(), SignalKind::Ready).await?;
        loop {
            let mut ready = request
                .readable()
                .await
                .map_err(|error| self.failed("the input lines cannot be watched".into(), Some(error)))?;
            let edges = drain(request.get_ref())
                .map_err(|error| self.failed(format!("edges cannot be read: {error}"), None))?;
            ready.clear_ready();
            for edge in edges {
                for decoded in levels.edge(edge) {
                    report(ctx, decoded).await?;
                }
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

/// All edges that wait. Not `read_edge_event`, which drops what it read beyond the first (gpiocdev 0.8.0).
fn drain(request: &Request) -> gpiocdev::Result<Vec<RawEdge>> {
    let mut buffer = request.new_edge_event_buffer(READ_EDGES);
    let mut edges = Vec::new();
    while buffer.has_event()? {
        let event = buffer.read_event()?;
        edges.push((
            event.offset,
            event.kind == EdgeKind::Rising,
            event.line_seqno,
            event.timestamp_ns,
        ));
    }
    let slept = time::slept();
    let raw = |(line, active, seqno, ns)| RawEdge {
        active,
        at: time::on_boottime(ns, slept),
        line,
        seqno,
    };
    Ok(edges.into_iter().map(raw).collect())
}

/// Sends what was decoded. A loss is a fault that is over at once: said, counted, and work goes on.
pub(crate) async fn report(ctx: &AdapterContext, decoded: Decoded) -> Result<(), AdapterError> {
    match decoded {
        Decoded::Input { at, edge, input } => ctx.signal(at, SignalKind::Input { edge, input }).await,
        Decoded::Lost { input, count } => {
            let text = format!(
                "input {input}: {count} edges were lost; look for a bouncing contact, or raise its debounce-ms"
            );
            tracing::warn!(%input, count, "edges of an input were lost");
            ctx.signal(time::now(), SignalKind::Fault(text)).await?;
            ctx.signal(time::now(), SignalKind::Ready).await
        }
    }
}
