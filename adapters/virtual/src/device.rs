//! The adapter: turns injections into signals.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

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
#[derive(Clone, Debug)]
pub struct VirtualLine {
    /// What the visitor says.
    pub capture: Source,
    /// Which.
    pub line: LineId,
    /// Where what the visitor hears is written.
    pub record: Option<PathBuf>,
}

/// What is virtual.
#[derive(Clone, Debug, Default)]
pub struct VirtualParams {
    /// Inputs.
    pub inputs: BTreeSet<InputId>,
    /// Lines.
    pub lines: Vec<VirtualLine>,
    /// Readers.
    pub readers: BTreeSet<ReaderId>,
}

/// The adapter of everything virtual.
pub struct VirtualDevice {
    injections: mpsc::Receiver<Injection>,
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
    params: Arc<VirtualParams>,
    shared: Arc<Shared>,
    to: mpsc::Sender<Injection>,
}

impl VirtualDevice {
    /// The adapter and the handle that injects into it.
    #[must_use]
    pub fn new(params: VirtualParams) -> (Self, VirtualHandle) {
        let (to, injections) = mpsc::channel(64);
        let shared = Arc::new(Shared::default());
        let handle = VirtualHandle {
            params: Arc::new(params.clone()),
            shared: Arc::clone(&shared),
            to,
        };
        (
            Self {
                injections,
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
        let refuse = |kind, name: String, known| Err(InjectionError::NotVirtual { kind, known, name });
        match &injection {
            Injection::Input { input, .. } if !self.params.inputs.contains(input) => {
                return refuse("input", input.to_string(), list(self.params.inputs.iter()));
            }
            Injection::Card { reader, .. } | Injection::Key { reader, .. }
                if !self.params.readers.contains(reader) =>
            {
                return refuse("reader", reader.to_string(), list(self.params.readers.iter()));
            }
            Injection::Line { line, .. } | Injection::Speak { line, .. }
                if !self.params.lines.iter().any(|l| l.line == *line) =>
            {
                return refuse(
                    "line",
                    line.to_string(),
                    list(self.params.lines.iter().map(|l| &l.line)),
                );
            }
            Injection::Card { .. }
            | Injection::Input { .. }
            | Injection::Key { .. }
            | Injection::Line { .. }
            | Injection::Speak { .. } => {}
        }
        if let Injection::Speak { line, source } = injection {
            let lines = self.shared.lines.lock().map_err(|_| InjectionError::Stopped)?;
            let shared = lines.get(&line).ok_or(InjectionError::Stopped)?;
            *shared.next.lock().map_err(|_| InjectionError::Stopped)? = Some(source);
            return Ok(());
        }
        self.to.send(injection).await.map_err(|_| InjectionError::Stopped)
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

    /// What is virtual.
    #[must_use]
    pub fn params(&self) -> &VirtualParams {
        &self.params
    }
}

impl VirtualDevice {
    async fn start(&self, ctx: &AdapterContext) -> Result<(), AdapterError> {
        for line in &self.params.lines {
            let audio = VirtualAudio::new(line.capture.clone(), line.record.as_deref()).map_err(|e| {
                AdapterError::Device {
                    device: line.line.to_string(),
                    text: format!("the recording of this virtual line cannot be made: {e}"),
                    source: None,
                }
            })?;
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
        }
        for input in &self.params.inputs {
            let edge = Edge {
                active: false,
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
        ctx.signal(ctx.clock.now(), SignalKind::Ready).await
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
        self.start(&ctx).await?;
        loop {
            let mut shutdown = ctx.shutdown.clone();
            tokio::select! {
                () = shutdown.fired() => return Ok(()),
                injection = self.injections.recv() => {
                    let Some(injection) = injection else { return Ok(()) };
                    if let Some(kind) = signal(injection) {
                        ctx.signal(ctx.clock.now(), kind).await?;
                    }
                }
                // a virtual line has no wires: seizing, releasing and tones are the media session's alone
                command = ctx.lines.recv() => if command.is_none() { return Ok(()) },
            }
        }
    }
}
