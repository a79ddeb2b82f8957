//! The gateway's adapter of a front end's line port.

use std::path::PathBuf;
use std::time::Duration;

use adapter_api::{Adapter, AdapterContext, AdapterError, Alarm, Claim, Forwarded, Handed};
use adapter_wiegand::Output as Read;
use gateway_core::{
    CardFrame, ControllerId, ControllerSaid, DeviceId, Instant, LightColour, LineSignal, ReaderCommand,
    ReaderId, Signal, SignalKind,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::broadcast;
use tokio_serial::SerialStream;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::{StreamExt, StreamMap};

use crate::doors::open;
use crate::line_port::{CardWires, FrontEndLine, LinePort, Output};
use crate::readers::FrontEndReader;

/// A port that is not there is looked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest time for bytes to be taken by the port.
const WRITE: Duration = Duration::from_secs(1);

/// What a controller shows after a card belongs to that card for so long.
const ANSWERS: Duration = Duration::from_secs(5);
/// So many lights of controllers are told within [`WINDOW`].
const TELLS: u32 = 30;
const WINDOW: Duration = Duration::from_secs(10);

/// A controller of somebody else that reads outputs of a front end.
#[derive(Clone, Debug)]
pub struct FrontEndController {
    /// Cards that are handed on; those of other controllers do not matter.
    pub cards: broadcast::Sender<Forwarded>,
    /// Where it is wired.
    pub wires: CardWires,
}

impl PartialEq for FrontEndController {
    /// Are they set the same? Where cards come from does not matter.
    fn eq(&self, other: &Self) -> bool {
        self.wires == other.wires
    }
}

/// A reader at a front end, and what it is told to show.
#[derive(Clone, Debug)]
pub struct FrontEndReaderPort {
    /// What the core wants it to show.
    pub commands: broadcast::Sender<ReaderCommand>,
    /// Its own part in what is told of devices.
    pub device: DeviceId,
    /// Where it is wired.
    pub of: FrontEndReader,
}

impl PartialEq for FrontEndReaderPort {
    /// Are they set the same? Where commands come from does not matter.
    fn eq(&self, other: &Self) -> bool {
        (&self.device, &self.of) == (&other.device, &other.of)
    }
}

type Commands = StreamMap<ReaderId, BroadcastStream<ReaderCommand>>;

/// A front end with its lines, readers and controllers.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontEnd {
    /// Bits per second.
    pub baud: u32,
    /// Controllers that read its outputs.
    pub controllers: Vec<FrontEndController>,
    /// Its lines.
    pub lines: Vec<FrontEndLine>,
    /// Device of its line port.
    pub port: PathBuf,
    /// Its readers.
    pub readers: Vec<FrontEndReaderPort>,
}

impl FrontEnd {
    /// What it needs for itself.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        vec![Claim::Channel {
            board: self.port.display().to_string(),
            channel: 0,
        }]
    }

    async fn work(&self, ctx: &mut AdapterContext) -> Result<(), AdapterError> {
        let alarm = Alarm::new().map_err(|error| AdapterError::Device {
            device: self.port.display().to_string(),
            text: "no timer".to_owned(),
            source: Some(error),
        })?;
        let mut cards = self.controllers.first().map(|of| of.cards.subscribe());
        let mut shows = Commands::new();
        for of in &self.readers {
            shows.insert(
                of.of.reader.clone(),
                BroadcastStream::new(of.commands.subscribe()),
            );
        }
        loop {
            let text = match open(&self.port, self.baud) {
                Ok(port) => self.serve(ctx, port, &alarm, &mut cards, &mut shows).await?,
                Err(text) => text,
            };
            self.gone(ctx, text).await?;
            // what the core wants meanwhile is not kept: its lines are faulty
            let until = ctx.clock.now() + AGAIN;
            loop {
                tokio::select! {
                    () = alarm.at(Some(until)) => break,
                    card = next(&mut cards) => match card {
                        Ok(card) if self.has(&card.controller) => {
                            missed(ctx, card.controller, card.reader, "the front end is gone").await?;
                        }
                        Ok(_) => {}
                        Err(behind) => self.behind(ctx, &behind).await?,
                    },
                    command = ctx.lines.recv() => if command.is_none() {
                        alarm.at(Some(until)).await;
                        break;
                    },
                }
            }
        }
    }

    /// Serves until the port is gone; gives what was found.
    async fn serve(
        &self,
        ctx: &mut AdapterContext,
        mut port: SerialStream,
        alarm: &Alarm,
        cards: &mut Option<broadcast::Receiver<Forwarded>>,
        shows: &mut Commands,
    ) -> Result<String, AdapterError> {
        let wires = self.controllers.iter().map(|of| of.wires.clone()).collect();
        let now = ctx.clock.now();
        let readers = self.readers.iter().map(|of| of.of.clone());
        let mut machine = LinePort::new(now, &self.lines)
            .with_controllers(wires)
            .with_readers(now, readers);
        let mut answers = Answers::default();
        let mut buffer = [0; 1024];
        let mut commands = true;
        loop {
            while let Some(output) = machine.poll_output() {
                if let Output::Send(bytes) = output {
                    match tokio::time::timeout(WRITE, port.write_all(&bytes)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => return Ok(self.unplugged(&error.to_string())),
                        Err(_) => return Ok(self.unplugged("it takes no bytes")),
                    }
                } else {
                    self.told(ctx, output, &mut answers).await?;
                }
            }
            tokio::select! {
                read = port.read(&mut buffer) => match read {
                    Ok(0) => return Ok(self.unplugged("end of file")),
                    Ok(count) => machine.handle_bytes(ctx.clock.now(), &buffer[..count]),
                    Err(error) => return Ok(self.unplugged(&error.to_string())),
                },
                card = next(cards) => match card {
                    Ok(card) if self.has(&card.controller) => {
                        hand_on(ctx, &mut machine, &mut answers, card).await?;
                    }
                    Ok(_) => {}
                    Err(behind) => self.behind(ctx, &behind).await?,
                },
                command = ctx.lines.recv(), if commands => match command {
                    Some((line, command)) => machine.command(ctx.clock.now(), &line, command),
                    None => commands = false,
                },
                Some((reader, command)) = shows.next() => {
                    // of more than it can be behind the last ones count
                    if let Ok(command) = command {
                        machine.show(ctx.clock.now(), &reader, command);
                    }
                }
                () = alarm.at(Some(machine.poll_timeout())) => machine.handle_timeout(ctx.clock.now()),
            }
        }
    }

    /// Nobody knows whose cards those were: each of its controllers may have missed some.
    async fn behind(&self, ctx: &AdapterContext, behind: &Behind) -> Result<(), AdapterError> {
        for of in &self.controllers {
            let said = ControllerSaid::Missed(behind.text());
            said_by(ctx, of.wires.controller.clone(), None, said).await?;
        }
        Ok(())
    }

    fn has(&self, controller: &ControllerId) -> bool {
        self.controllers
            .iter()
            .any(|of| of.wires.controller == *controller)
    }

    async fn told(
        &self,
        ctx: &AdapterContext,
        output: Output,
        answers: &mut Answers,
    ) -> Result<(), AdapterError> {
        let now = ctx.clock.now();
        match output {
            Output::Card { controller, done } => {
                let reader = answers.to(now, &controller);
                let said = match done {
                    Ok(()) => ControllerSaid::Taken,
                    Err(why) => ControllerSaid::Missed(format!("the front end did not send the card: {why}")),
                };
                said_by(ctx, controller, reader, said).await
            }
            Output::Lit { controller, lit } => {
                if !answers.may_tell(now) {
                    return Ok(());
                }
                let reader = answers.to(now, &controller);
                let colour = if lit { LightColour::Green } else { LightColour::Off };
                said_by(
                    ctx,
                    controller,
                    reader,
                    ControllerSaid::Light { colour, time: None },
                )
                .await
            }
            Output::Fault(text) => ctx.signal(now, SignalKind::Fault(text)).await,
            Output::Missed(count) => {
                tracing::warn!(device = %ctx.device, count, "edges of a front end were lost");
                Ok(())
            }
            Output::Ready(who) => {
                tracing::info!(device = %ctx.device, name = who.name, version = who.version, "a front end is online");
                ctx.signal(now, SignalKind::Ready).await
            }
            Output::Read { reader, what } => self.read(ctx, &reader, what).await,
            Output::Refused(why) => {
                tracing::warn!(device = %ctx.device, why, "a front end did not do as told");
                Ok(())
            }
            Output::Send(_) => Ok(()),
            Output::Signal { at, line, signal } => {
                // the clocks are set by what is on its way, and so a little apart
                ctx.signal(at.min(now), SignalKind::Line { line, signal }).await
            }
        }
    }

    /// Something of a reader, told as its own.
    async fn read(&self, ctx: &AdapterContext, reader: &ReaderId, what: Read) -> Result<(), AdapterError> {
        let Some(of) = self.readers.iter().find(|of| of.of.reader == *reader) else {
            return Ok(());
        };
        let now = ctx.clock.now();
        let (at, kind) = what.signal(now, reader.clone());
        let signal = Signal {
            // the clocks are set by what is on its way, and so a little apart
            at: at.min(now),
            device: of.device.clone(),
            simulated: ctx.simulated,
            kind,
        };
        ctx.signals.send(signal).await.map_err(|_| AdapterError::Closed)
    }

    async fn gone(&self, ctx: &AdapterContext, text: String) -> Result<(), AdapterError> {
        let now = ctx.clock.now();
        for of in &self.readers {
            self.read(ctx, &of.of.reader, Read::Fault(text.clone())).await?;
        }
        for line in &self.lines {
            let (line, signal) = (line.line.clone(), LineSignal::Fault);
            ctx.signal(now, SignalKind::Line { line, signal }).await?;
        }
        ctx.signal(now, SignalKind::Fault(text)).await
    }

    fn unplugged(&self, what: &str) -> String {
        format!(
            "{} is gone ({what}): the front end was unplugged; plug it in, its lines come back by themselves",
            self.port.display()
        )
    }
}

impl Adapter for FrontEnd {
    async fn run(self, mut ctx: AdapterContext) -> Result<(), AdapterError> {
        let mut shutdown = ctx.shutdown.clone();
        tokio::select! {
            done = self.work(&mut ctx) => done,
            () = shutdown.fired() => Ok(()),
        }
    }
}

/// Whose card each controller answers to, and how much of what they show was told.
#[derive(Default)]
struct Answers {
    last: Vec<(ControllerId, ReaderId, Instant)>,
    told: (Instant, u32),
}

impl Answers {
    /// A card goes out; what the controller shows to one that nobody read is shown nowhere.
    fn card(&mut self, now: Instant, controller: &ControllerId, reader: Option<&ReaderId>) {
        self.last.retain(|(of, ..)| of != controller);
        let answered = reader.map(|reader| (controller.clone(), reader.clone(), now + ANSWERS));
        self.last.extend(answered);
    }

    fn to(&self, now: Instant, controller: &ControllerId) -> Option<ReaderId> {
        let mut last = self.last.iter();
        let found = last.find(|(of, _, until)| of == controller && now < *until);
        found.map(|(_, reader, _)| reader.clone())
    }

    fn may_tell(&mut self, now: Instant) -> bool {
        if now.since(self.told.0) >= WINDOW {
            self.told = (now, 0);
        }
        self.told.1 = self.told.1.saturating_add(1);
        self.told.1 <= TELLS
    }
}

/// Cards for controllers that nobody has any more.
#[derive(Debug, PartialEq, Eq)]
struct Behind(u64);

impl Behind {
    fn text(&self) -> String {
        format!(
            "{} cards for controllers came faster than they can be handed on",
            self.0
        )
    }
}

/// The next card for any controller, or how many were lost before it.
async fn next(cards: &mut Option<broadcast::Receiver<Forwarded>>) -> Result<Forwarded, Behind> {
    loop {
        match cards {
            None => std::future::pending::<()>().await,
            Some(receiver) => match receiver.recv().await {
                Ok(card) => return Ok(card),
                Err(broadcast::error::RecvError::Lagged(count)) => return Err(Behind(count)),
                Err(broadcast::error::RecvError::Closed) => *cards = None,
            },
        }
    }
}

async fn hand_on(
    ctx: &AdapterContext,
    machine: &mut LinePort,
    answers: &mut Answers,
    card: Forwarded,
) -> Result<(), AdapterError> {
    let Forwarded {
        at,
        controller,
        reader,
        what,
    } = card;
    let now = ctx.clock.now();
    match what {
        Err(text) => missed(ctx, controller, reader, &text).await,
        // `check` lets no keys be forwarded by Wiegand, where makers do not agree on what a key is
        Ok(Handed::Key(_)) => missed(ctx, controller, reader, "keys do not go out by Wiegand").await,
        Ok(Handed::Card(frame)) => {
            answers.card(now, &controller, reader.as_ref());
            machine.card(now, at, &controller, &bits(&frame));
            Ok(())
        }
    }
}

fn bits(frame: &CardFrame) -> Vec<bool> {
    let all = frame
        .data
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1 == 1));
    all.take(frame.bits.into()).collect()
}

async fn missed(
    ctx: &AdapterContext,
    controller: ControllerId,
    reader: Option<ReaderId>,
    text: &str,
) -> Result<(), AdapterError> {
    let said = ControllerSaid::Missed(text.to_owned());
    said_by(ctx, controller, reader, said).await
}

async fn said_by(
    ctx: &AdapterContext,
    controller: ControllerId,
    reader: Option<ReaderId>,
    said: ControllerSaid,
) -> Result<(), AdapterError> {
    let kind = SignalKind::Controller {
        controller,
        reader,
        said,
    };
    ctx.signal(ctx.clock.now(), kind).await
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn cards_that_came_too_fast_are_told_before_the_next_one() {
        let (sender, receiver) = broadcast::channel(2);
        let mut cards = Some(receiver);
        for n in 0..5 {
            let card = Forwarded {
                at: Instant::from_nanos(n),
                controller: "legacy".parse().expect("a name"),
                reader: "gate".parse().ok(),
                what: Err("x".to_owned()),
            };
            assert!(sender.send(card).is_ok());
        }
        let mut now = || match pin!(next(&mut cards)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(found) => found.map(|card| card.at),
            Poll::Pending => panic!("it is there"),
        };
        assert_eq!(now(), Err(Behind(3)));
        assert_eq!(now(), Ok(Instant::from_nanos(3)));
        assert!(Behind(3).text().starts_with("3 cards"));
    }
}
