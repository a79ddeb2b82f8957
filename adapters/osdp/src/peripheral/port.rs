//! The reader on a serial port, and its key on the disk.

use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use adapter_api::{Adapter, AdapterContext, AdapterError, Alarm, Claim, Direction, Forwarded, Handed};
use gateway_core::{ControllerId, ControllerSaid, Instant, LightColour, ReaderId, SignalKind};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::broadcast;
use tokio_serial::{SerialPort as _, SerialStream};

use super::standing::{Standing, State};
use super::{Heard, Light, Out, Peripheral, PeripheralParams, Secrecy, Shade};
use crate::driver::open;
use crate::key::Key;

/// A port that is not there is looked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest time for a packet to be taken by the port.
const WRITE: Duration = Duration::from_secs(1);
/// Without a controller for so long after the start, that is a fault: the time after which it takes a reader for gone.
const SILENT: Duration = Duration::from_secs(8);
/// What a controller shows after a card belongs to that card for so long.
const ANSWERS: Duration = Duration::from_secs(5);
/// So much of what a controller shows is told within [`WINDOW`]; the rest is left out, which is logged.
const TELLS: u32 = 30;
const WINDOW: Duration = Duration::from_secs(10);

/// The gateway as a reader on the line of a controller.
#[derive(Clone, Debug)]
pub struct OsdpPeripheral {
    /// Cards that are handed on; those of other controllers do not matter.
    pub cards: broadcast::Sender<Forwarded>,
    /// Which controller.
    pub controller: ControllerId,
    /// Who switches between sending and receiving.
    pub direction: Direction,
    /// Where the key is kept that the controller gives.
    pub kept: PathBuf,
    /// What the reader is like.
    pub params: PeripheralParams,
    /// Device.
    pub port: PathBuf,
}

impl PartialEq for OsdpPeripheral {
    /// Are they set the same? Where cards come from does not matter.
    fn eq(&self, other: &Self) -> bool {
        (
            &self.controller,
            self.direction,
            &self.kept,
            &self.params,
            &self.port,
        ) == (
            &other.controller,
            other.direction,
            &other.kept,
            &other.params,
            &other.port,
        )
    }
}

/// The key that a controller gave, if it gave one.
///
/// # Errors
/// If there is one and it cannot be read: then nobody knows it, and the default key must not take its place.
pub fn kept_key(path: &Path) -> Result<Option<Key>, std::io::Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => Key::parse(&text).map(Some).map_err(std::io::Error::other),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Keeps a key: it is on the medium, under its name, when this returns.
///
/// # Errors
/// What the system says.
pub fn keep_key(path: &Path, key: &Key) -> Result<(), std::io::Error> {
    use std::io::Write as _;
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let unfinished = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    let digits: zeroize::Zeroizing<String> =
        zeroize::Zeroizing::new(key.bytes().iter().map(|byte| format!("{byte:02x}")).collect());
    writeln!(file, "{}", *digits)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    std::fs::File::open(folder)?.sync_all()
}

impl OsdpPeripheral {
    /// What it needs for itself: the port.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        vec![Claim::Channel {
            board: self.port.display().to_string(),
            channel: 0,
        }]
    }

    fn failed(&self, text: &str, source: Option<std::io::Error>) -> AdapterError {
        AdapterError::Device {
            device: self.port.display().to_string(),
            text: text.to_owned(),
            source,
        }
    }

    fn gone(&self, what: &str) -> String {
        format!(
            "{} is gone ({what}): the serial adapter was unplugged; plug it in, the controller finds its reader by itself",
            self.port.display()
        )
    }

    async fn work(&self, ctx: &AdapterContext) -> Result<(), AdapterError> {
        let alarm = Alarm::new().map_err(|error| self.failed("no timer", Some(error)))?;
        let mut random = StdRng::try_from_os_rng()
            .map_err(|error| self.failed(&format!("no random numbers: {error}"), None))?;
        let mut cards = self.cards.subscribe();
        let mut params = self.params.clone();
        loop {
            let text = match open(&self.port, params.baud, self.direction) {
                Ok(port) => {
                    let mut line = Line {
                        alarm: &alarm,
                        answers: None,
                        ctx,
                        of: self,
                        port,
                        silent: Some(ctx.clock.now() + SILENT),
                        standing: Standing::new(ctx.clock.now()),
                        told: (ctx.clock.now(), 0),
                    };
                    let random = StdRng::from_rng(&mut random);
                    line.serve(&mut cards, &mut params, random).await?
                }
                Err(text) => text,
            };
            let now = ctx.clock.now();
            ctx.signal(now, SignalKind::Fault(text)).await?;
            let until = now + AGAIN;
            loop {
                tokio::select! {
                    () = alarm.at(Some(until)) => break,
                    // nobody stands there when the line is back
                    card = cards.recv() => match card {
                        Ok(card) if card.controller != self.controller => {}
                        Ok(card) => self.missed(ctx, card.reader, "the line of the controller is gone").await?,
                        Err(broadcast::error::RecvError::Lagged(count)) => {
                            self.missed(ctx, None, &format!("the line of the controller is gone, and {count} cards with it")).await?;
                        }
                        Err(broadcast::error::RecvError::Closed) => {
                            alarm.at(Some(until)).await;
                            break;
                        }
                    },
                }
            }
        }
    }

    async fn missed(
        &self,
        ctx: &AdapterContext,
        reader: Option<ReaderId>,
        text: &str,
    ) -> Result<(), AdapterError> {
        let said = ControllerSaid::Missed(text.to_owned());
        self.said(ctx, reader, said).await
    }

    async fn said(
        &self,
        ctx: &AdapterContext,
        reader: Option<ReaderId>,
        said: ControllerSaid,
    ) -> Result<(), AdapterError> {
        let controller = self.controller.clone();
        let kind = SignalKind::Controller {
            controller,
            reader,
            said,
        };
        ctx.signal(ctx.clock.now(), kind).await
    }
}

impl Adapter for OsdpPeripheral {
    async fn run(self, ctx: AdapterContext) -> Result<(), AdapterError> {
        let mut shutdown = ctx.shutdown.clone();
        tokio::select! {
            done = self.work(&ctx) => done,
            () = shutdown.fired() => Ok(()),
        }
    }
}

/// An open port.
struct Line<'a> {
    alarm: &'a Alarm,
    /// Whose card the controller answers to, and until when.
    answers: Option<(ReaderId, Instant)>,
    ctx: &'a AdapterContext,
    of: &'a OsdpPeripheral,
    port: SerialStream,
    /// When it is a fault that nobody asks.
    silent: Option<Instant>,
    /// What of its coming and going is told.
    standing: Standing,
    /// Since when, and how much was told.
    told: (Instant, u32),
}

impl Line<'_> {
    /// Answers until the port is gone; gives what was found. A key that is given goes into `params`, so that the next port
    /// begins with it.
    async fn serve(
        &mut self,
        cards: &mut broadcast::Receiver<Forwarded>,
        params: &mut PeripheralParams,
        mut random: StdRng,
    ) -> Result<String, AdapterError> {
        let mut reader = Peripheral::new(params.clone(), move || random.random());
        // what the system keeps of a port: after a while of something else all that came is taken at once
        let mut buffer = [0; 4096];
        let mut open = true;
        loop {
            while let Some(out) = reader.poll_output() {
                match out {
                    Out::Heard(Heard::Key(key)) => {
                        self.key(&mut reader, params, key).await?;
                        // what was said while the disk was busy has no answer any more
                        if let Err(error) = self.port.clear(tokio_serial::ClearBuffer::Input) {
                            tracing::debug!(%error, "bytes of a line cannot be left out");
                        }
                    }
                    Out::Heard(heard) => self.heard(heard).await?,
                    Out::Send(bytes) => {
                        match tokio::time::timeout(WRITE, self.port.write_all(&bytes)).await {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => return Ok(self.of.gone(&error.to_string())),
                            Err(_) => return Ok(self.of.gone("it takes no bytes")),
                        }
                    }
                }
            }
            let own = self.silent.into_iter().chain(self.standing.poll_timeout());
            let due = reader.poll_timeout().into_iter().chain(own).min();
            tokio::select! {
                read = self.port.read(&mut buffer) => match read {
                    Ok(0) => return Ok(self.of.gone("end of file")),
                    Ok(count) => reader.handle_input(self.ctx.clock.now(), &buffer[..count]),
                    Err(error) => return Ok(self.of.gone(&error.to_string())),
                },
                card = cards.recv(), if open => match card {
                    Ok(card) if card.controller != self.of.controller => {}
                    Ok(card) => self.card(&mut reader, card).await?,
                    Err(broadcast::error::RecvError::Lagged(count)) => {
                        self.of.missed(self.ctx, None, &format!("{count} cards came faster than they can be handed on")).await?;
                    }
                    Err(broadcast::error::RecvError::Closed) => open = false,
                },
                () = self.alarm.at(due) => {
                    let now = self.ctx.clock.now();
                    reader.handle_timeout(now);
                    if self.silent.is_some_and(|due| now >= due) {
                        self.silent = None;
                        self.stands(State::Away).await?;
                    }
                    if let Some(state) = self.standing.handle_timeout(now) {
                        self.tell(state).await?;
                    }
                }
            }
        }
    }

    /// The line to the answer waits for the disk; a panel that does not hear it asks again.
    async fn key(
        &self,
        reader: &mut Peripheral,
        params: &mut PeripheralParams,
        key: Key,
    ) -> Result<(), AdapterError> {
        let (path, keeps) = (self.of.kept.clone(), key.clone());
        let kept = tokio::task::spawn_blocking(move || keep_key(&path, &keeps)).await;
        match kept.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            Ok(()) => {
                reader.kept(self.ctx.clock.now(), key.clone());
                params.secrecy = Secrecy::Key { key, changes: true };
                tracing::warn!(controller = %self.of.controller, "the controller gave its reader a key");
                self.of.said(self.ctx, None, ControllerSaid::KeySet).await
            }
            Err(error) => {
                reader.not_kept(self.ctx.clock.now());
                let path = self.of.kept.display();
                let text = format!("the controller's key cannot be kept at {path} and was refused: {error}");
                self.ctx
                    .signal(self.ctx.clock.now(), SignalKind::Fault(text))
                    .await
            }
        }
    }

    async fn card(&mut self, reader: &mut Peripheral, card: Forwarded) -> Result<(), AdapterError> {
        let Forwarded {
            at,
            what,
            reader: from,
            ..
        } = card;
        let taken = match what {
            Err(text) => return self.of.missed(self.ctx, from, &text).await,
            Ok(Handed::Card(frame)) => reader.card(at, &frame),
            Ok(Handed::Key(key)) => reader.keys(at, key.encode_utf8(&mut [0; 4])),
        };
        if taken {
            // what it shows to a card that nobody read is shown nowhere
            self.answers = from.map(|from| (from, self.ctx.clock.now() + ANSWERS));
            return Ok(());
        }
        let text = "the controller does not ask for cards, or asks too slowly";
        self.of.missed(self.ctx, from, text).await
    }

    /// How it stands with the controller, told now or later.
    async fn stands(&mut self, state: State) -> Result<(), AdapterError> {
        match self.standing.change(self.ctx.clock.now(), state) {
            Some(state) => self.tell(state).await,
            None => Ok(()),
        }
    }

    async fn tell(&self, state: State) -> Result<(), AdapterError> {
        let kind = match state {
            State::Away => return self.away().await,
            State::Ready => SignalKind::Ready,
            State::Unsecured => SignalKind::Fault(
                "the controller does not have the reader's key, or speaks in the clear to one that has a key: no card goes to it. \
                 Give both the same key"
                    .to_owned(),
            ),
        };
        self.ctx.signal(self.ctx.clock.now(), kind).await
    }

    async fn away(&self) -> Result<(), AdapterError> {
        let text = format!(
            "no controller asks for a reader at address {} of {}: look at the cable, at A and B, at address and baud, and \
             whether the controller has this reader",
            self.of.params.address,
            self.of.port.display()
        );
        self.ctx
            .signal(self.ctx.clock.now(), SignalKind::Fault(text))
            .await
    }

    /// Does so much more fit into the journal?
    fn may_tell(&mut self) -> bool {
        let now = self.ctx.clock.now();
        if now.since(self.told.0) >= WINDOW {
            self.told = (now, 0);
        }
        self.told.1 = self.told.1.saturating_add(1);
        if self.told.1 == TELLS + 1 {
            tracing::warn!(controller = %self.of.controller, "the controller shows more than is told");
        }
        self.told.1 <= TELLS
    }

    async fn heard(&mut self, heard: Heard) -> Result<(), AdapterError> {
        let now = self.ctx.clock.now();
        let reader = self.answers.as_ref().filter(|(_, until)| now < *until);
        let reader = reader.map(|(reader, _)| reader.clone());
        let said = match heard {
            Heard::Beep(count) => ControllerSaid::Beep(count),
            Heard::Delivered => ControllerSaid::Taken,
            // kept before it is told
            Heard::Key(_) => return Ok(()),
            Heard::Light(light) => match shown(light) {
                Some(said) => said,
                None => return Ok(()),
            },
            Heard::Missed => {
                let text = "the controller did not take the card in time, or it is not known whether it did";
                ControllerSaid::Missed(text.to_owned())
            }
            Heard::Offline => {
                self.silent = None;
                return self.stands(State::Away).await;
            }
            Heard::Online => {
                self.silent = None;
                return self.stands(State::Ready).await;
            }
            Heard::Settings { address, baud } => {
                tracing::warn!(
                    controller = %self.of.controller, address, baud,
                    "the controller wants another address or speed, and was told that they stay: the site file says them"
                );
                return Ok(());
            }
            Heard::Text(text) => ControllerSaid::Text(text),
            Heard::Unsecured => {
                self.silent = None;
                return self.stands(State::Unsecured).await;
            }
        };
        if self.may_tell() {
            self.of.said(self.ctx, reader, said).await
        } else {
            Ok(())
        }
    }
}

/// What is told of a light; that it is back to what it was is not.
fn shown(light: Light) -> Option<ControllerSaid> {
    let (shade, time) = match light {
        Light::Back => return None,
        Light::Steady(shade) => (shade, None),
        Light::While(shade, tenths) => (shade, Some(Duration::from_millis(100 * u64::from(tenths)))),
    };
    let colour = match shade {
        Shade::Amber => LightColour::Amber,
        Shade::Black => LightColour::Off,
        Shade::Blue => LightColour::Blue,
        Shade::Green => LightColour::Green,
        Shade::Other => LightColour::Other,
        Shade::Red => LightColour::Red,
    };
    Some(ControllerSaid::Light { colour, time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lights_are_told_with_their_time() {
        let green = shown(Light::While(Shade::Green, 30));
        let time = Some(Duration::from_secs(3));
        assert_eq!(
            green,
            Some(ControllerSaid::Light {
                colour: LightColour::Green,
                time
            })
        );
        let red = shown(Light::Steady(Shade::Red));
        assert_eq!(
            red,
            Some(ControllerSaid::Light {
                colour: LightColour::Red,
                time: None
            })
        );
        assert_eq!(shown(Light::Back), None);
    }
}
