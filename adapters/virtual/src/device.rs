//! The adapter: turns injections into signals.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};

use adapter_api::{Adapter, AdapterContext, AdapterError};
use gateway_core::{CardFrame, Edge, InputId, LineId, LineSignal, ReaderId, SignalKind};
use tokio::sync::mpsc;

use crate::audio::{Levels, VirtualAudio};
use crate::source::Source;

/// What can be done to a virtual site from outside.
#[derive(Clone, Debug)]
pub enum Injection {
    /// Present a card.
    Card {
        /// Bits.
        frame: CardFrame,
        /// Reader.
        reader: ReaderId,
    },
    /// Set an input.
    Input {
        /// Level.
        active: bool,
        /// Which.
        input: InputId,
    },
    /// Press a key of a reader.
    Key {
        /// `0-9 * #`.
        key: char,
        /// Reader.
        reader: ReaderId,
    },
    /// Something happens on a line.
    Line {
        /// Which.
        line: LineId,
        /// What.
        signal: LineSignal,
    },
    /// Let the visitor say something else from here on.
    Speak {
        /// Line.
        line: LineId,
        /// What.
        source: Source,
    },
}

/// An injection that is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InjectionError {
    /// The thing is not configured virtual.
    #[error("{kind} {name} is not virtual in this configuration; virtual are: {known}")]
    NotVirtual {
        /// `input`, `line` or `reader`.
        kind: &'static str,
        /// What there is.
        known: String,
        /// What was asked for.
        name: String,
    },
    /// The gateway stops.
    #[error("the gateway stops")]
    Stopped,
}

/// One virtual line.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualLine {
    /// What the visitor says.
    pub capture: Source,
    /// Which.
    pub line: LineId,
    /// Where what the visitor hears is written.
    pub record: Option<PathBuf>,
}

/// What is virtual.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VirtualParams {
    /// Inputs whose first reading is active.
    pub held: BTreeSet<InputId>,
    /// Inputs.
    pub inputs: BTreeSet<InputId>,
    /// Lines.
    pub lines: Vec<VirtualLine>,
    /// Readers.
    pub readers: BTreeSet<ReaderId>,
}

/// What comes to the device, in its order.
enum Order {
    Change(VirtualParams),
    Inject(Injection),
}

/// The adapter of everything virtual.
pub struct VirtualDevice {
    orders: mpsc::Receiver<Order>,
    params: VirtualParams,
    shared: Arc<Shared>,
}

/// What one virtual line looks like from outside, with its sound.
struct LineShared {
    levels: Arc<Levels>,
    next: Arc<Mutex<Option<Source>>>,
}

#[derive(Default)]
struct Shared {
    lines: Mutex<BTreeMap<LineId, LineShared>>,
}

/// Injects, and looks at levels.
#[derive(Clone)]
pub struct VirtualHandle {
    params: Arc<RwLock<VirtualParams>>,
    shared: Arc<Shared>,
    to: mpsc::Sender<Order>,
}

impl VirtualDevice {
    /// The adapter and the handle that injects into it.
    #[must_use]
    pub fn new(params: VirtualParams) -> (Self, VirtualHandle) {
        let (to, orders) = mpsc::channel(64);
        let shared = Arc::new(Shared::default());
        let handle = VirtualHandle {
            params: Arc::new(RwLock::new(params.clone())),
            shared: Arc::clone(&shared),
            to,
        };
        (
            Self {
                orders,
                params,
                shared,
            },
            handle,
        )
    }
}

fn list<T: std::fmt::Display>(known: impl Iterator<Item = T>) -> String {
    let names: Vec<String> = known.map(|k| k.to_string()).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

impl VirtualHandle {
    /// Injects, if the target is configured virtual.
    ///
    /// # Errors
    /// [`InjectionError`] names what is virtual.
    pub async fn inject(&self, injection: Injection) -> Result<(), InjectionError> {
        self.allows(&injection)?;
        if let Injection::Speak { line, source } = injection {
            let lines = self.shared.lines.lock().map_err(|_| InjectionError::Stopped)?;
            let shared = lines.get(&line).ok_or(InjectionError::Stopped)?;
            *shared.next.lock().map_err(|_| InjectionError::Stopped)? = Some(source);
            return Ok(());
        }
        self.order(Order::Inject(injection)).await
    }

    /// Takes another set of virtual things while the device runs. What stays the same goes on and loses nothing;
    /// what is new or changed begins with a first reading.
    ///
    /// # Errors
    /// [`InjectionError::Stopped`] if the device has ended.
    pub async fn change(&self, params: VirtualParams) -> Result<(), InjectionError> {
        *self.params.write().map_err(|_| InjectionError::Stopped)? = params.clone();
        self.order(Order::Change(params)).await
    }

    async fn order(&self, order: Order) -> Result<(), InjectionError> {
        self.to.send(order).await.map_err(|_| InjectionError::Stopped)
    }

    fn allows(&self, injection: &Injection) -> Result<(), InjectionError> {
        let params = self.params.read().map_err(|_| InjectionError::Stopped)?;
        let refuse = |kind, name: String, known| Err(InjectionError::NotVirtual { kind, known, name });
        match injection {
            Injection::Input { input, .. } if !params.inputs.contains(input) => {
                refuse("input", input.to_string(), list(params.inputs.iter()))
            }
            Injection::Card { reader, .. } | Injection::Key { reader, .. }
                if !params.readers.contains(reader) =>
            {
                refuse("reader", reader.to_string(), list(params.readers.iter()))
            }
            Injection::Line { line, .. } | Injection::Speak { line, .. }
                if !params.lines.iter().any(|l| l.line == *line) =>
            {
                refuse(
                    "line",
                    line.to_string(),
                    list(params.lines.iter().map(|l| &l.line)),
                )
            }
            Injection::Card { .. }
            | Injection::Input { .. }
            | Injection::Key { .. }
            | Injection::Line { .. }
            | Injection::Speak { .. } => Ok(()),
        }
    }

    /// Levels of a line's audio, once it is offered to a call.
    #[must_use]
    pub fn levels(&self, line: &LineId) -> Option<Arc<Levels>> {
        self.shared
            .lines
            .lock()
            .ok()?
            .get(line)
            .map(|l| Arc::clone(&l.levels))
    }
}

impl VirtualDevice {
    /// Offers lines and reads inputs that `old` does not have so.
    async fn begin(&self, ctx: &AdapterContext, old: &VirtualParams) -> Result<(), AdapterError> {
        let mut failed = false;
        for line in self.params.lines.iter().filter(|line| !old.lines.contains(line)) {
            if let Err(error) = self.offer(ctx, line).await? {
                failed = true;
                let text = format!(
                    "line {}: the recording of this virtual line cannot be made: {error}",
                    line.line
                );
                ctx.signal(ctx.clock.now(), SignalKind::Fault(text)).await?;
            }
        }
        for input in self.params.inputs.difference(&old.inputs) {
            let edge = Edge {
                active: self.params.held.contains(input),
                initial: true,
            };
            ctx.signal(
                ctx.clock.now(),
                SignalKind::Input {
                    edge,
                    input: input.clone(),
                },
            )
            .await?;
        }
        if failed {
            return Ok(());
        }
        ctx.signal(ctx.clock.now(), SignalKind::Ready).await
    }

    /// The inner error is the line's own: the others work without it.
    async fn offer(
        &self,
        ctx: &AdapterContext,
        line: &VirtualLine,
    ) -> Result<Result<(), String>, AdapterError> {
        let audio = match VirtualAudio::new(line.capture.clone(), line.record.as_deref()) {
            Ok(audio) => audio,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let shared = LineShared {
            levels: audio.levels(),
            next: audio.next_source(),
        };
        self.shared
            .lines
            .lock()
            .map_err(|_| AdapterError::Closed)?
            .insert(line.line.clone(), shared);
        let offer = (
            line.line.clone(),
            Box::new(audio) as Box<dyn adapter_api::AudioPort>,
        );
        ctx.audio.send(offer).await.map_err(|_| AdapterError::Closed)?;
        Ok(Ok(()))
    }

    async fn change(&mut self, ctx: &AdapterContext, params: VirtualParams) -> Result<(), AdapterError> {
        let old = std::mem::replace(&mut self.params, params);
        self.shared
            .lines
            .lock()
            .map_err(|_| AdapterError::Closed)?
            .retain(|id, _| self.params.lines.iter().any(|line| line.line == *id));
        self.begin(ctx, &old).await
    }
}

fn signal(injection: Injection) -> Option<SignalKind> {
    match injection {
        Injection::Card { frame, reader } => Some(SignalKind::Card { frame, reader }),
        Injection::Input { active, input } => Some(SignalKind::Input {
            edge: Edge {
                active,
                initial: false,
            },
            input,
        }),
        Injection::Key { key, reader } => Some(SignalKind::Key { key, reader }),
        Injection::Line { line, signal } => Some(SignalKind::Line { line, signal }),
        Injection::Speak { .. } => None,
    }
}

impl Adapter for VirtualDevice {
    async fn run(mut self, mut ctx: AdapterContext) -> Result<(), AdapterError> {
        self.begin(&ctx, &VirtualParams::default()).await?;
        let mut commands = true;
        loop {
            let mut shutdown = ctx.shutdown.clone();
            tokio::select! {
                () = shutdown.fired() => return Ok(()),
                order = self.orders.recv() => match order {
                    Some(Order::Change(params)) => self.change(&ctx, params).await?,
                    Some(Order::Inject(injection)) => {
                        if let Some(kind) = signal(injection) {
                            ctx.signal(ctx.clock.now(), kind).await?;
                        }
                    }
                    None => return Ok(()),
                },
                // a virtual line has no wires: seizing, releasing and tones are the media session's alone
                command = ctx.lines.recv(), if commands => commands = command.is_some(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use adapter_api::Shutdown;
    use gateway_core::{Clock, DeviceId, Instant, Signal, Timestamp};

    use super::*;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Instant {
            Instant::from_nanos(1)
        }
        fn wall(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    fn params(inputs: &[&str]) -> VirtualParams {
        VirtualParams {
            inputs: inputs.iter().map(|name| name.parse().expect("a name")).collect(),
            ..VirtualParams::default()
        }
    }

    async fn next(signals: &mut mpsc::Receiver<Signal>) -> String {
        let signal = tokio::time::timeout(Duration::from_secs(20), signals.recv()).await;
        let kind = signal.expect("in time").expect("the device runs").kind;
        if let SignalKind::Input { edge, input } = kind {
            format!("{input} {} initial: {}", edge.active, edge.initial)
        } else {
            format!("{kind:?}")
        }
    }

    #[tokio::test]
    async fn an_input_that_stays_in_a_change_keeps_its_level_and_loses_no_edge() {
        let (device, handle) = VirtualDevice::new(params(&["gone", "rex"]));
        let (to, mut signals) = mpsc::channel(16);
        let (stop, shutdown) = Shutdown::new();
        let (audio, _ports) = mpsc::channel(1);
        // no lines: nobody holds the other end, and the device runs all the same
        let (_, lines) = mpsc::channel(1);
        let ctx = AdapterContext {
            audio,
            clock: Arc::new(Still),
            device: DeviceId::new("virtual").expect("a name"),
            lines,
            shutdown,
            signals: to,
            simulated: true,
        };
        let task = tokio::spawn(device.run(ctx));
        assert_eq!(next(&mut signals).await, "gone false initial: true");
        assert_eq!(next(&mut signals).await, "rex false initial: true");
        assert_eq!(next(&mut signals).await, "Ready");
        let set = |input: &str, active| Injection::Input {
            active,
            input: input.parse().expect("a name"),
        };
        handle.inject(set("rex", true)).await.expect("virtual");
        handle
            .change(params(&["new", "rex"]))
            .await
            .expect("the device runs");
        handle.inject(set("rex", false)).await.expect("virtual");
        assert_eq!(next(&mut signals).await, "rex true initial: false");
        assert_eq!(next(&mut signals).await, "new false initial: true");
        assert_eq!(next(&mut signals).await, "Ready");
        assert_eq!(next(&mut signals).await, "rex false initial: false");
        let refused = handle
            .inject(set("gone", true))
            .await
            .expect_err("it is not virtual any more");
        assert!(refused.to_string().contains("virtual are: new, rex"), "{refused}");
        stop.send(true).expect("it runs");
        assert!(task.await.expect("no panic").is_ok());
    }
}
