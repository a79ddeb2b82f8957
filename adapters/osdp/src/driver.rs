//! A line on a serial port.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use adapter_api::{Adapter, AdapterContext, AdapterError, Alarm, Claim, Direction};
use gateway_core::{DeviceId, Edge, InputId, Instant, ReaderCommand, ReaderId, Signal, SignalKind};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{broadcast, oneshot};
use tokio_serial::{DataBits, FlowControl, Parity, SerialPortBuilderExt, SerialStream, StopBits};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::{StreamExt, StreamMap};

use crate::bus::{Bus, BusParams, Output};
use crate::errand::{Errand, Errands, Progress};
use crate::output::OutputAnswer;
use crate::output::server::{Asked, Server};
use crate::pd::{Event, PdParams};

/// A port that is not there is looked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest time for a packet to be taken by the port.
const WRITE: Duration = Duration::from_secs(1);

/// An order of an operator. One that is older than this waited for a line that was not there.
const OLD: Duration = Duration::from_secs(2);

/// What an operator wants of a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// When it was given.
    pub at: Instant,
    /// Which reader.
    pub reader: ReaderId,
    /// What.
    pub what: Wanted,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Something once; how it goes is told in [`OsdpBus::errands`].
    Errand(Errand),
    /// Let it be given its key by the default key, for so long.
    Install(Duration),
}

/// An input of a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsdpInput {
    /// Is it active where the reader says that it is not?
    pub active_low: bool,
    /// Which input of the gateway.
    pub input: InputId,
    /// Which of the reader, from 0.
    pub number: usize,
}

/// A reader on the line.
#[derive(Clone, Debug)]
pub struct OsdpReader {
    /// What the core wants it to show.
    pub commands: broadcast::Sender<ReaderCommand>,
    /// Its name among the devices: its faults are its own.
    pub device: DeviceId,
    /// Inputs of it that are used.
    pub inputs: Vec<OsdpInput>,
    /// What it is like.
    pub pd: PdParams,
    /// Which reader of the gateway.
    pub reader: ReaderId,
}

impl PartialEq for OsdpReader {
    /// Are they set the same? Where commands come from does not matter.
    fn eq(&self, other: &Self) -> bool {
        (&self.device, &self.inputs, &self.pd, &self.reader)
            == (&other.device, &other.inputs, &other.pd, &other.reader)
    }
}

/// A line with its readers.
#[derive(Clone, Debug)]
pub struct OsdpBus {
    /// Bits per second.
    pub baud: u32,
    /// Who switches between sending and receiving.
    pub direction: Direction,
    /// How it goes with what operators want, of any line.
    pub errands: Errands,
    /// What operators want; readers of other lines do not matter.
    pub orders: broadcast::Sender<Order>,
    /// Where the relay guard says what outputs of readers do; `None` if nothing uses one.
    pub outputs: Option<PathBuf>,
    /// Device; a name below `/dev/serial/by-id` or `by-path` stays the same.
    pub port: PathBuf,
    /// Readers.
    pub readers: Vec<OsdpReader>,
}

impl PartialEq for OsdpBus {
    fn eq(&self, other: &Self) -> bool {
        (
            self.baud,
            self.direction,
            &self.outputs,
            &self.port,
            &self.readers,
        ) == (
            other.baud,
            other.direction,
            &other.outputs,
            &other.port,
            &other.readers,
        )
    }
}

impl OsdpBus {
    /// What it needs for itself: the port, as the address of each reader on it.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        let board = self.port.display().to_string();
        let claim = |reader: &OsdpReader| Claim::Channel {
            board: board.clone(),
            channel: reader.pd.address.into(),
        };
        self.readers.iter().map(claim).collect()
    }

    fn failed(&self, text: &str, source: Option<std::io::Error>) -> AdapterError {
        AdapterError::Device {
            device: self.port.display().to_string(),
            text: text.to_owned(),
            source,
        }
    }
}

/// Opens a serial port as OSDP has it: 8 data bits, no parity, one stop bit, for one user.
pub(crate) fn open(port: &Path, baud: u32, direction: Direction) -> Result<SerialStream, String> {
    let name = port.display();
    let stream = tokio_serial::new(port.to_string_lossy(), baud)
        .data_bits(DataBits::Eight)
        .parity(Parity::None)
        .stop_bits(StopBits::One)
        .flow_control(FlowControl::None)
        .exclusive(true)
        .open_native_async()
        .map_err(|error| {
            format!("{name} cannot be opened: {error}; plug the adapter in, it is used by itself")
        })?;
    direction.apply(&stream).map_err(|error| {
        format!("{name} does not switch the direction by RTS ({error}): leave out rs485 for an adapter that does it by itself")
    })?;
    Ok(stream)
}

impl Adapter for OsdpBus {
    async fn run(self, ctx: AdapterContext) -> Result<(), AdapterError> {
        let mut shutdown = ctx.shutdown.clone();
        tokio::select! {
            done = self.work(&ctx) => done,
            () = shutdown.fired() => Ok(()),
        }
    }
}

/// A line that is being served: what is on its way when it ends is over.
struct Cut<'a>(&'a OsdpBus);

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        self.0.cut();
    }
}

/// What the line listens to besides its readers.
struct Outside {
    alarm: Alarm,
    commands: StreamMap<usize, BroadcastStream<ReaderCommand>>,
    orders: broadcast::Receiver<Order>,
    random: StdRng,
}

/// Orders of the relay guard that wait for their answers. The socket has few connections, each with one.
struct Outputs {
    next: u64,
    server: Option<Server>,
    waiting: BTreeMap<u64, oneshot::Sender<OutputAnswer>>,
}

impl Outputs {
    fn new(path: Option<&Path>) -> Self {
        let server = path.and_then(|path| match Server::listen(path) {
            Ok(server) => Some(server),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the relay guard cannot reach the outputs of this line");
                None
            }
        });
        Self {
            next: 0,
            server,
            waiting: BTreeMap::new(),
        }
    }

    async fn next(&mut self) -> Option<Asked> {
        match &mut self.server {
            Some(server) => server.asked.recv().await,
            None => std::future::pending().await,
        }
    }

    /// Keeps who waits for an answer; gives the number of the order, or says at once that there is no such reader.
    fn take(&mut self, answer: oneshot::Sender<OutputAnswer>, known: bool) -> Option<u64> {
        if !known {
            let _ = answer.send(Err("there is no such reader on this line".to_owned()));
            return None;
        }
        self.next += 1;
        self.waiting.retain(|_, waiting| !waiting.is_closed());
        self.waiting.insert(self.next, answer);
        Some(self.next)
    }

    fn answer(&mut self, id: u64, answer: OutputAnswer) {
        if let Some(waiting) = self.waiting.remove(&id) {
            let _ = waiting.send(answer);
        }
    }
}

impl OsdpBus {
    async fn work(&self, ctx: &AdapterContext) -> Result<(), AdapterError> {
        let mut outside = Outside {
            alarm: Alarm::new().map_err(|error| self.failed("no timer", Some(error)))?,
            commands: StreamMap::new(),
            orders: self.orders.subscribe(),
            random: StdRng::try_from_os_rng()
                .map_err(|error| self.failed(&format!("no random numbers: {error}"), None))?,
        };
        for (at, reader) in self.readers.iter().enumerate() {
            outside
                .commands
                .insert(at, BroadcastStream::new(reader.commands.subscribe()));
        }
        loop {
            let text = match open(&self.port, self.baud, self.direction) {
                Ok(port) => {
                    ctx.signal(ctx.clock.now(), SignalKind::Ready).await?;
                    let _cut = Cut(self);
                    self.serve(ctx, port, &mut outside).await?
                }
                Err(text) => text,
            };
            let now = ctx.clock.now();
            ctx.signal(now, SignalKind::Fault(text)).await?;
            let text = format!("its line {} is gone", self.port.display());
            for reader in &self.readers {
                self.unread(ctx, reader, now).await?;
                self.signal(ctx, reader, now, SignalKind::Fault(text.clone()))
                    .await?;
            }
            outside.alarm.at(Some(now + AGAIN)).await;
        }
    }

    /// Polls until the port is gone; gives what was found.
    async fn serve(
        &self,
        ctx: &AdapterContext,
        mut port: SerialStream,
        outside: &mut Outside,
    ) -> Result<String, AdapterError> {
        let params = BusParams {
            baud: self.baud,
            readers: self.readers.iter().map(|reader| reader.pd.clone()).collect(),
        };
        let mut random = StdRng::from_rng(&mut outside.random);
        let mut bus = Bus::new(params, ctx.clock.now(), move || random.random());
        let mut levels = vec![Vec::new(); self.readers.len()];
        // it is there while the line is
        let mut outputs = Outputs::new(self.outputs.as_deref());
        let mut buffer = [0; 512];
        bus.handle_timeout(ctx.clock.now());
        loop {
            while let Some(output) = bus.poll_output() {
                match output {
                    Output::Event {
                        event: Event::Output { answer, id },
                        ..
                    } => outputs.answer(id, answer),
                    Output::Event { reader, at, event } => {
                        if let (Some(of), Some(levels)) = (self.readers.get(reader), levels.get_mut(reader)) {
                            self.event(ctx, of, at, event, levels).await?;
                        }
                    }
                    Output::Send(bytes) => match tokio::time::timeout(WRITE, port.write_all(&bytes)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => return Ok(self.gone(&error.to_string())),
                        Err(_) => return Ok(self.gone("it takes no bytes")),
                    },
                }
            }
            tokio::select! {
                read = port.read(&mut buffer) => match read {
                    Ok(0) => return Ok(self.gone("end of file")),
                    Ok(count) => bus.handle_input(ctx.clock.now(), &buffer[..count]),
                    Err(error) => return Ok(self.gone(&error.to_string())),
                },
                Some((reader, command)) = outside.commands.next() => {
                    // of more than it can be behind the last ones count
                    if let Ok(command) = command {
                        bus.show(ctx.clock.now(), reader, command);
                    }
                }
                order = outside.orders.recv() => {
                    if let Ok(Order { at, reader, what }) = order
                        && let Some(of) = self.readers.iter().position(|of| of.reader == reader)
                    {
                        let now = ctx.clock.now();
                        match what {
                            Wanted::Errand(_) if now.since(at) > OLD => {
                                let text = "the line was not there when this was asked; ask again";
                                self.errands.tell(&reader, Progress::Failed(text.to_owned()));
                            }
                            Wanted::Errand(errand) => bus.errand(now, of, errand),
                            Wanted::Install(time) => {
                                bus.install(now, of, now + time);
                            }
                        }
                    }
                }
                Some(asked) = outputs.next() => {
                    let reader = self.readers.iter().position(|of| of.reader == asked.reader);
                    if let Some((reader, id)) = reader.zip(outputs.take(asked.answer, reader.is_some())) {
                        bus.order(ctx.clock.now(), reader, id, asked.order);
                    }
                }
                () = outside.alarm.at(bus.poll_timeout()) => bus.handle_timeout(ctx.clock.now()),
            }
        }
    }

    /// What was on its way to a reader when the line went: it is not sent again by itself.
    fn cut(&self) {
        let text =
            "the line went away in the middle; what the reader makes of what it has is its own. Ask again";
        self.errands.cut(self.readers.iter().map(|of| &of.reader), text);
    }

    fn gone(&self, what: &str) -> String {
        format!(
            "{} is gone ({what}): the serial adapter was unplugged; plug it in, its readers come back by themselves",
            self.port.display()
        )
    }

    async fn signal(
        &self,
        ctx: &AdapterContext,
        reader: &OsdpReader,
        at: Instant,
        kind: SignalKind,
    ) -> Result<(), AdapterError> {
        let signal = Signal {
            at,
            device: reader.device.clone(),
            simulated: ctx.simulated,
            kind,
        };
        ctx.signals.send(signal).await.map_err(|_| AdapterError::Closed)
    }

    /// Nobody knows what the inputs of a reader say.
    async fn unread(&self, ctx: &AdapterContext, of: &OsdpReader, at: Instant) -> Result<(), AdapterError> {
        for OsdpInput { input, .. } in &of.inputs {
            self.signal(ctx, of, at, SignalKind::Unread(input.clone()))
                .await?;
        }
        Ok(())
    }

    async fn event(
        &self,
        ctx: &AdapterContext,
        of: &OsdpReader,
        at: Instant,
        event: Event,
        known: &mut Vec<bool>,
    ) -> Result<(), AdapterError> {
        let reader = of.reader.clone();
        let kind = match event {
            Event::Card(frame) => SignalKind::Card { frame, reader },
            Event::Errand(progress) => {
                match &progress {
                    Progress::Done(text) => tracing::warn!(%reader, text, "an order of an operator is done"),
                    Progress::Failed(text) => {
                        tracing::warn!(%reader, text, "an order of an operator is not done")
                    }
                    Progress::Sent { .. } => {}
                }
                self.errands.tell(&reader, progress);
                return Ok(());
            }
            Event::Fault(text) => SignalKind::Fault(text),
            Event::Identity(identity) => {
                let [a, b, c] = identity.vendor;
                let [major, minor, build] = identity.firmware;
                tracing::info!(
                    %reader,
                    vendor = format!("{a:02x}{b:02x}{c:02x}"),
                    model = identity.model,
                    version = identity.version,
                    serial = identity.serial,
                    firmware = format!("{major}.{minor}.{build}"),
                    "a reader is online"
                );
                return Ok(());
            }
            Event::Inputs { initial, levels } => {
                for OsdpInput {
                    active_low,
                    input,
                    number,
                } in &of.inputs
                {
                    let Some(level) = levels.get(*number) else {
                        continue;
                    };
                    if initial || known.get(*number) != Some(level) {
                        let edge = Edge {
                            active: level != active_low,
                            initial,
                        };
                        let input = input.clone();
                        self.signal(ctx, of, at, SignalKind::Input { edge, input })
                            .await?;
                    }
                }
                *known = levels;
                return Ok(());
            }
            Event::InputsGone => {
                known.clear();
                return self.unread(ctx, of, at).await;
            }
            // taken before
            Event::Output { .. } => return Ok(()),
            Event::Key(key) => SignalKind::Key { key, reader },
            Event::KeyTaken => {
                tracing::warn!(%reader, "the reader took its new key");
                self.errands.key_taken(at, &reader);
                return Ok(());
            }
            Event::Misread { bits, reason, times } => SignalKind::Misread {
                bits,
                reader,
                reason,
                times,
            },
            Event::Raw(frame) => SignalKind::Raw { frame, reader },
            Event::Ready => SignalKind::Ready,
        };
        self.signal(ctx, of, at, kind).await
    }
}
