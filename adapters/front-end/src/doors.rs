//! The relay guard's driver of a front end's door port.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use adapter_api::{BoxFuture, DriverError, OutputDriver};
use gateway_panel::{BusAddress, BytePulses, Coding, DoorBy, Frame, Profile};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use tokio_serial::{
    ClearBuffer, DataBits, FlowControl, Parity, SerialPort as _, SerialPortBuilderExt, SerialStream, StopBits,
};

use crate::frame::Deframer;
use crate::line_port::Wiring;
use crate::message::{Order, PortRole, Press, Reason, Row, Telegram, VERSION, Word};

/// Longest time for an answer.
const ANSWER: Duration = Duration::from_millis(200);
/// Longest opening that a front end takes.
const LONGEST: Duration = Duration::from_secs(60);

/// Opens a port of a front end for nobody else.
pub(crate) fn open(port: &Path, baud: u32) -> Result<SerialStream, String> {
    tokio_serial::new(port.to_string_lossy(), baud)
        .data_bits(DataBits::Eight)
        .parity(Parity::None)
        .stop_bits(StopBits::One)
        .flow_control(FlowControl::None)
        .exclusive(true)
        .open_native_async()
        .map_err(|error| {
            format!(
                "{} cannot be opened: {error}; plug the front end in, it is used by itself",
                port.display()
            )
        })
}

/// How a door is opened: an order that lacks its window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// By presses.
    Press(Press),
    /// By frames on the bus of its line.
    Row(Row),
    /// By telegrams on the bus of its line, which talks in bytes.
    Telegram {
        /// How the bus talks.
        coding: Coding,
        /// What they say. The bytes of the order are another telegram of this each time, where the bus counts them.
        frame: Frame,
        /// The order.
        order: Telegram,
    },
}

impl Opening {
    /// How the profile of a line opens a door, with the hook and call wires of that line and its own address on the bus; `None`
    /// if it does not open one, or has no frame for that address.
    #[must_use]
    pub fn new(door: u8, profile: &Profile, wiring: &Wiring, bus: Option<BusAddress>) -> Option<Self> {
        let output = profile.door?;
        let ms = |ms: u32| u16::try_from(ms).unwrap_or(u16::MAX);
        let count = u8::try_from(output.presses).unwrap_or(1);
        let hook = (output.off_hook_ms > 0).then_some(wiring.hook);
        let call = (output.quiet_ms > 0).then_some(wiring.call);
        Some(match output.by {
            DoorBy::Closing | DoorBy::LineBreak | DoorBy::Load => Self::Press(Press {
                door,
                window_ms: 0,
                press_ms: ms(output.press_ms),
                presses: count,
                pause_ms: ms(output.pause_ms),
                hook,
                after_ms: ms(output.off_hook_ms),
                call,
                quiet_ms: ms(output.quiet_ms),
            }),
            DoorBy::Frame => {
                let (coding, frame) = profile.opening(profile.who(bus)?)?;
                if let Some(pulses) = BytePulses::of(coding) {
                    return Some(Self::Telegram {
                        coding,
                        frame,
                        order: Telegram {
                            door,
                            window_ms: 0,
                            times: count,
                            pause_ms: ms(output.pause_ms),
                            hook,
                            after_ms: ms(output.off_hook_ms),
                            call,
                            quiet_ms: ms(output.quiet_ms),
                            pulses,
                            bytes: coding.telegram(frame, 0)?,
                        },
                    });
                }
                Self::Row(Row {
                    door,
                    window_ms: 0,
                    rows: count,
                    pause_ms: ms(output.pause_ms),
                    hook,
                    after_ms: ms(output.off_hook_ms),
                    call,
                    quiet_ms: ms(output.quiet_ms),
                    times_us: coding.row(frame)?,
                })
            }
        })
    }

    /// Which door.
    #[must_use]
    pub const fn door(&self) -> u8 {
        match self {
            Self::Press(press) => press.door,
            Self::Row(row) => row.door,
            Self::Telegram { order, .. } => order.door,
        }
    }

    /// The order with its window. `number` tells telegrams apart on a bus that counts them.
    pub(crate) fn within(&self, window_ms: u16, number: u8) -> Order {
        match self {
            Self::Press(press) => Order::Press(Press { window_ms, ..*press }),
            Self::Row(row) => Order::Row(Row {
                window_ms,
                ..row.clone()
            }),
            Self::Telegram { coding, frame, order } => Order::Telegram(Telegram {
                window_ms,
                // one that has a telegram with one number has one with each
                bytes: coding
                    .telegram(*frame, number)
                    .unwrap_or_else(|| order.bytes.clone()),
                ..order.clone()
            }),
        }
    }
}

/// The doors of a front end.
pub struct FrontEndDoors {
    baud: u32,
    deframer: Deframer,
    number: u8,
    openings: BTreeMap<u16, Opening>,
    path: PathBuf,
    port: Option<SerialStream>,
    /// Number of the last telegram. A bus that counts them takes one with the number of the one before for the same, sent again; it
    /// begins with the clock of the front end, so that a guard that was started anew does not repeat itself.
    sent: u8,
}

impl FrontEndDoors {
    /// The doors at a port, each with how its line opens.
    #[must_use]
    pub const fn new(path: PathBuf, baud: u32, openings: BTreeMap<u16, Opening>) -> Self {
        Self {
            baud,
            deframer: Deframer::new(),
            number: 0,
            openings,
            path,
            port: None,
            sent: 0,
        }
    }

    fn failed(&self, text: &str, source: Option<io::Error>) -> DriverError {
        DriverError {
            device: self.path.display().to_string(),
            text: text.to_owned(),
            source,
        }
    }

    /// Gives an order and waits for its own answer; others are of orders that were given up.
    async fn ask(&mut self, order: &Order) -> Result<Word, DriverError> {
        self.number = self.number.wrapping_add(1).max(1);
        let number = self.number;
        let Some(port) = &mut self.port else {
            return Err(self.failed("its port is shut", None));
        };
        let deadline = Instant::now() + ANSWER;
        let mut buffer = [0; 256];
        let frame = order.frame(number);
        let asked = async {
            port.write_all(&frame).await?;
            loop {
                let count = port.read(&mut buffer).await?;
                if count == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
                }
                for byte in &buffer[..count] {
                    if let Some(Ok(message)) = self.deframer.push(*byte)
                        && let Ok((of, word)) = Word::read(&message)
                        && of == number
                    {
                        return Ok(word);
                    }
                }
            }
        };
        let said = timeout_at(deadline, asked).await;
        match said {
            Ok(Ok(word)) => Ok(word),
            Ok(Err(error)) => {
                self.port = None;
                Err(self.failed(
                    "the front end is gone: plug it in, it is used by itself",
                    Some(error),
                ))
            }
            // what it may do later it is told to end when it is claimed again, and what was not sent yet never is
            Err(_) => {
                if let Some(port) = self.port.take() {
                    // a port that is gone has nothing to send
                    let _ = port.clear(ClearBuffer::Output);
                }
                Err(self.failed(
                    "the front end does not answer: look at its cable and its supply",
                    None,
                ))
            }
        }
    }

    async fn done(&mut self, order: Order) -> Result<(), DriverError> {
        match self.ask(&order).await? {
            Word::Done => Ok(()),
            Word::Refused(reason) => Err(self.failed(reason.words(), None)),
            Word::Door { .. } | Word::Edges { .. } | Word::Hello(_) | Word::State { .. } => {
                Err(self.failed("the answer is none to this order", None))
            }
        }
    }

    async fn begin(&mut self, channels: &[u16]) -> Result<(), DriverError> {
        self.port = None;
        self.deframer = Deframer::new();
        let mut port = open(&self.path, self.baud).map_err(|text| self.failed(&text, None))?;
        // ends what somebody else may have left half sent
        port.write_all(&[0])
            .await
            .map_err(|error| self.failed("it takes no bytes", Some(error)))?;
        self.port = Some(port);
        let order = Order::Hello { version: VERSION };
        let Word::Hello(who) = self.ask(&order).await? else {
            return Err(self.failed("it does not say who it is", None));
        };
        if who.version != VERSION || who.role != PortRole::Door {
            let text = format!(
                "front end {:?} speaks version {} on this port, which is its {} port: version {VERSION} and the door port are needed",
                who.name,
                who.version,
                if who.role == PortRole::Door {
                    "door"
                } else {
                    "line"
                }
            );
            return Err(self.failed(&text, None));
        }
        for channel in channels {
            let door = self.door(*channel)?;
            if door >= who.outputs {
                let text = format!(
                    "front end {:?} has {} doors, from 0, and no door {door}",
                    who.name, who.outputs
                );
                return Err(self.failed(&text, None));
            }
            self.done(Order::Rest { door }).await?;
            self.knows_rows(*channel, &who.name).await?;
            if self.is_open(door).await? {
                return Err(self.failed(&format!("door {door} does not come to rest"), None));
            }
        }
        Ok(())
    }

    fn door(&self, channel: u16) -> Result<u8, DriverError> {
        let door = self.openings.get(&channel).map(Opening::door);
        door.ok_or_else(|| self.failed(&format!("door {channel} is not configured"), None))
    }

    /// A door that opens by a frame needs a front end that knows such orders: better now than when somebody waits. An order without a
    /// window opens nothing; who knows it says that it is out of range.
    async fn knows_rows(&mut self, channel: u16, name: &str) -> Result<(), DriverError> {
        let order = match self.openings.get(&channel) {
            Some(opening @ (Opening::Row(_) | Opening::Telegram { .. })) => opening.within(0, 0),
            Some(Opening::Press(_)) | None => return Ok(()),
        };
        match self.ask(&order).await? {
            Word::Refused(Reason::Range) => Ok(()),
            Word::Refused(Reason::Kind) => {
                let text = format!(
                    "front end {name:?} sends no frames on its door outputs: take another firmware, or a door that is pressed"
                );
                Err(self.failed(&text, None))
            }
            Word::Refused(reason) => Err(self.failed(reason.words(), None)),
            Word::Done | Word::Door { .. } | Word::Edges { .. } | Word::Hello(_) | Word::State { .. } => {
                Err(self.failed("the answer is none to this order", None))
            }
        }
    }

    async fn is_open(&mut self, door: u8) -> Result<bool, DriverError> {
        match self.ask(&Order::Alive).await? {
            Word::State { at_us, outputs, .. } => {
                if self.sent == 0 {
                    self.sent = at_us.to_le_bytes()[0];
                }
                Ok(outputs >> (door & 15) & 1 == 1)
            }
            Word::Refused(reason) => Err(self.failed(reason.words(), None)),
            Word::Done | Word::Door { .. } | Word::Edges { .. } | Word::Hello(_) => {
                Err(self.failed("the answer is none to this order", None))
            }
        }
    }
}

impl OutputDriver for FrontEndDoors {
    fn claim<'a>(&'a mut self, channels: &'a [u16]) -> BoxFuture<'a, Result<(), DriverError>> {
        Box::pin(self.begin(channels))
    }

    fn device(&self) -> String {
        self.path.display().to_string()
    }

    fn patience(&self) -> Duration {
        ANSWER + Duration::from_millis(50)
    }

    fn pulse(&mut self, channel: u16, length: Duration) -> Option<BoxFuture<'_, Result<(), DriverError>>> {
        let opening = self.openings.get(&channel)?;
        let window_ms = u16::try_from(length.min(LONGEST).as_millis()).unwrap_or(u16::MAX);
        self.sent = self.sent.wrapping_add(1);
        let order = opening.within(window_ms, self.sent);
        Some(Box::pin(self.done(order)))
    }

    fn read_back(&mut self, channel: u16) -> BoxFuture<'_, Result<Option<bool>, DriverError>> {
        Box::pin(async move {
            let door = self.door(channel)?;
            self.is_open(door).await.map(Some)
        })
    }

    fn set(&mut self, channel: u16, energised: bool) -> BoxFuture<'_, Result<(), DriverError>> {
        Box::pin(async move {
            let door = self.door(channel)?;
            if energised {
                return Err(self.failed("a door of a front end opens for a time only", None));
            }
            self.done(Order::Rest { door }).await
        })
    }
}

#[cfg(test)]
#[path = "doors_tests.rs"]
mod tests;
