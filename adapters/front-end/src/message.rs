//! Messages between the gateway and a front end; `docs/front-end.md` is their page.

use crate::frame::{MAX_MESSAGE, frame};

/// Version of the protocol that is spoken here.
pub const VERSION: u8 = 1;
/// Inputs and outputs of a front end at most.
pub const CHANNELS: u8 = 16;
/// Most times of one row of pulses.
pub const MAX_PULSES: usize = 100;
/// Most edges of one message.
pub const MAX_BATCH: usize = 36;

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortRole {
    /// Opens doors, and nothing else; the relay guard has it.
    Door,
    /// Edges of lines and outputs that open nothing; the gateway has it.
    Line,
}

/// One opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// Which door.
    pub door: u8,
    /// Everything is over after so long, 1 to 60000 ms: the front end ends it by itself.
    pub window_ms: u16,
    /// How long the output is active, each time.
    pub press_ms: u16,
    /// How often, 1 to 5.
    pub presses: u8,
    /// Pause between.
    pub pause_ms: u16,
    /// Output that has to have been active for `after_ms` before; `None` if it need not.
    pub hook: Option<u8>,
    /// For how long.
    pub after_ms: u16,
    /// Input that has to have been without an edge for `quiet_ms` before; `None` if it need not.
    pub call: Option<u8>,
    /// For how long.
    pub quiet_ms: u16,
}

/// What the gateway says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// The gateway lives; answered by [`Word::State`].
    Alive,
    /// Who are you? Answered by [`Word::Hello`].
    Hello {
        /// Version that the gateway speaks.
        version: u8,
    },
    /// Opens a door. On the door port only.
    Press(Press),
    /// A row of pulses on an output, timed by the front end: active and at rest in turns, in µs. On the line port only.
    Pulses {
        /// Which output.
        output: u8,
        /// Times, at most [`MAX_PULSES`], each 2 to 15000 µs: what drives a bus burns when it is held for longer.
        times_us: Vec<u16>,
    },
    /// Ends what opens a door. On the door port only.
    Rest {
        /// Which door.
        door: u8,
    },
    /// Sets an output. On the line port only.
    Set {
        /// Which output.
        output: u8,
        /// Active, or at rest.
        on: bool,
    },
}

/// Why a front end does not do as told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The output is in a row of pulses.
    Busy,
    /// There is no such input or output.
    Channel,
    /// No such order.
    Kind,
    /// The order belongs to the other port.
    Port,
    /// A time or number out of its range.
    Range,
}

impl Reason {
    const ALL: [(u8, Self); 5] = [
        (1, Self::Kind),
        (2, Self::Port),
        (3, Self::Channel),
        (4, Self::Range),
        (5, Self::Busy),
    ];

    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Busy => "the output is in a row of pulses",
            Self::Channel => "it has no such input or output",
            Self::Kind => "it does not know this order",
            Self::Port => "this order belongs to its other port",
            Self::Range => "a time or number is out of range",
        }
    }
}

/// An edge, as a front end tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireEdge {
    /// Its own clock, in µs.
    pub at_us: u64,
    /// Which input, from 0 to 15.
    pub input: u8,
    /// The level from here on.
    pub level: bool,
}

/// Who a front end is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Version of the protocol that it speaks.
    pub version: u8,
    /// Which of its ports this is.
    pub role: PortRole,
    /// How many inputs it has.
    pub inputs: u8,
    /// How many outputs, or doors.
    pub outputs: u8,
    /// It lets go of everything when it hears nothing for so long.
    pub watchdog_ms: u16,
    /// Another one after each start of its own.
    pub boot: u32,
    /// Maker, model, firmware: at most 32 bytes of text.
    pub name: String,
}

/// What a front end says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A door is being opened, or is not any more. On the line port, so that the line is kept meanwhile.
    Door {
        /// Which.
        door: u8,
        /// Is it being opened?
        open: bool,
        /// When, by its own clock.
        at_us: u64,
    },
    /// The order was carried out.
    Done,
    /// Edges, in order.
    Edges {
        /// Number of the first one; they are counted on, so that lost ones are noticed.
        first: u16,
        /// Edges, at most [`MAX_BATCH`].
        edges: Vec<WireEdge>,
    },
    /// Who it is; also sent by itself after a start.
    Hello(Identity),
    /// The order was not carried out.
    Refused(Reason),
    /// Time and levels.
    State {
        /// Its own clock, in µs.
        at_us: u64,
        /// Levels of its inputs, input 0 in the lowest bit.
        inputs: u16,
        /// Outputs or doors that are active.
        outputs: u16,
        /// Number that the next edge will have.
        next_edge: u16,
    },
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A message of a known kind with something wrong in it.
    #[error("message {kind:02x}: {what}")]
    Content {
        /// Its kind.
        kind: u8,
        /// What is wrong.
        what: &'static str,
    },
    /// Not a message of this direction and version.
    #[error("message {kind:02x} is not known")]
    Kind {
        /// Its kind.
        kind: u8,
    },
    /// Shorter than kind and number.
    #[error("a message of {0} bytes")]
    Short(usize),
}

/// Takes values from bytes.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            2.. => None,
        }
    }

    fn channel(&mut self) -> Option<Option<u8>> {
        match self.u8()? {
            0xFF => Some(None),
            channel => Some(Some(channel)),
        }
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..63).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

fn varint(mut value: u64, to: &mut Vec<u8>) {
    loop {
        let low = (value & 0x7F) as u8;
        value >>= 7;
        if value == 0 {
            to.push(low);
            return;
        }
        to.push(low | 0x80);
    }
}

fn split(message: &[u8]) -> Result<(u8, u8, Bytes<'_>), MessageError> {
    match message {
        [kind, number, rest @ ..] => Ok((*kind, *number, Bytes(rest))),
        _ => Err(MessageError::Short(message.len())),
    }
}

impl Order {
    /// The frame of the order with a number that its answer repeats.
    #[must_use]
    pub fn frame(&self, number: u8) -> Vec<u8> {
        let mut m = vec![0, number];
        m[0] = match self {
            Self::Hello { version } => {
                m.push(*version);
                0x01
            }
            Self::Alive => 0x02,
            Self::Set { output, on } => {
                m.extend([*output, u8::from(*on)]);
                0x03
            }
            Self::Press(press) => {
                m.push(press.door);
                m.extend(press.window_ms.to_le_bytes());
                m.extend(press.press_ms.to_le_bytes());
                m.push(press.presses);
                m.extend(press.pause_ms.to_le_bytes());
                m.push(press.hook.unwrap_or(0xFF));
                m.extend(press.after_ms.to_le_bytes());
                m.push(press.call.unwrap_or(0xFF));
                m.extend(press.quiet_ms.to_le_bytes());
                0x04
            }
            Self::Rest { door } => {
                m.push(*door);
                0x05
            }
            Self::Pulses { output, times_us } => {
                m.push(*output);
                m.extend(times_us.iter().take(MAX_PULSES).flat_map(|us| us.to_le_bytes()));
                0x06
            }
        };
        frame(&m)
    }

    /// Reads an order, with its number.
    ///
    /// # Errors
    /// [`MessageError`] for what is none.
    pub fn read(message: &[u8]) -> Result<(u8, Self), MessageError> {
        let (kind, number, mut bytes) = split(message)?;
        let order = Self::of(kind, &mut bytes);
        match order {
            Some(order) if bytes.0.is_empty() => Ok((number, order)),
            Some(_) | None if (0x01..=0x06).contains(&kind) => Err(MessageError::Content {
                kind,
                what: "its content does not fit its kind",
            }),
            Some(_) | None => Err(MessageError::Kind { kind }),
        }
    }

    fn of(kind: u8, bytes: &mut Bytes<'_>) -> Option<Self> {
        Some(match kind {
            0x01 => Self::Hello { version: bytes.u8()? },
            0x02 => Self::Alive,
            0x03 => Self::Set {
                output: bytes.u8()?,
                on: bytes.flag()?,
            },
            0x04 => Self::Press(Press {
                door: bytes.u8()?,
                window_ms: bytes.u16()?,
                press_ms: bytes.u16()?,
                presses: bytes.u8()?,
                pause_ms: bytes.u16()?,
                hook: bytes.channel()?,
                after_ms: bytes.u16()?,
                call: bytes.channel()?,
                quiet_ms: bytes.u16()?,
            }),
            0x05 => Self::Rest { door: bytes.u8()? },
            0x06 => {
                let output = bytes.u8()?;
                let mut times_us = Vec::new();
                while !bytes.0.is_empty() {
                    times_us.push(bytes.u16()?);
                }
                if times_us.len() > MAX_PULSES {
                    return None;
                }
                Self::Pulses { output, times_us }
            }
            _ => return None,
        })
    }
}

impl Word {
    /// The frame of what is said. An answer has the number of its order, what is said unasked has 0.
    #[must_use]
    pub fn frame(&self, number: u8) -> Vec<u8> {
        let mut m = vec![0, number];
        m[0] = match self {
            Self::Hello(who) => {
                m.push(who.version);
                m.push(u8::from(who.role == PortRole::Door));
                m.extend([who.inputs, who.outputs]);
                m.extend(who.watchdog_ms.to_le_bytes());
                m.extend(who.boot.to_le_bytes());
                m.extend(who.name.bytes().take(32));
                0x81
            }
            Self::State {
                at_us,
                inputs,
                outputs,
                next_edge,
            } => {
                m.extend(at_us.to_le_bytes());
                m.extend(inputs.to_le_bytes());
                m.extend(outputs.to_le_bytes());
                m.extend(next_edge.to_le_bytes());
                0x82
            }
            Self::Edges { first, edges } => {
                m.extend(first.to_le_bytes());
                let mut before = edges.first().map_or(0, |edge| edge.at_us);
                m.extend(before.to_le_bytes());
                for edge in edges.iter().take(MAX_BATCH) {
                    let step = edge.at_us.saturating_sub(before).min(1 << 32);
                    before = edge.at_us;
                    varint(
                        step << 5 | u64::from(edge.input & 15) << 1 | u64::from(edge.level),
                        &mut m,
                    );
                }
                0x83
            }
            Self::Done => 0x84,
            Self::Refused(reason) => {
                let code = Reason::ALL
                    .iter()
                    .find(|(_, known)| known == reason)
                    .map_or(0, |(code, _)| *code);
                m.push(code);
                0x85
            }
            Self::Door { door, open, at_us } => {
                m.extend([*door, u8::from(*open)]);
                m.extend(at_us.to_le_bytes());
                0x86
            }
        };
        debug_assert!(m.len() <= MAX_MESSAGE, "messages are bounded by their own bounds");
        frame(&m)
    }

    /// Reads what a front end says, with the number of the order that it answers.
    ///
    /// # Errors
    /// [`MessageError`] for what is no word of it.
    pub fn read(message: &[u8]) -> Result<(u8, Self), MessageError> {
        let (kind, number, mut bytes) = split(message)?;
        let word = Self::of(kind, &mut bytes);
        match word {
            Some(word) if bytes.0.is_empty() => Ok((number, word)),
            Some(_) | None if (0x81..=0x86).contains(&kind) => Err(MessageError::Content {
                kind,
                what: "its content does not fit its kind",
            }),
            Some(_) | None => Err(MessageError::Kind { kind }),
        }
    }

    fn of(kind: u8, bytes: &mut Bytes<'_>) -> Option<Self> {
        Some(match kind {
            0x81 => {
                let (version, door) = (bytes.u8()?, bytes.flag()?);
                let (inputs, outputs) = (bytes.u8()?, bytes.u8()?);
                let (watchdog_ms, boot) = (bytes.u16()?, bytes.u32()?);
                let name = bytes.0.get(..bytes.0.len().min(32))?;
                let name = String::from_utf8_lossy(name);
                let name = name.chars().filter(|c| !c.is_control()).collect();
                bytes.0 = &[];
                Self::Hello(Identity {
                    version,
                    role: if door { PortRole::Door } else { PortRole::Line },
                    inputs: inputs.min(CHANNELS),
                    outputs: outputs.min(CHANNELS),
                    watchdog_ms,
                    boot,
                    name,
                })
            }
            0x82 => Self::State {
                at_us: bytes.u64()?,
                inputs: bytes.u16()?,
                outputs: bytes.u16()?,
                next_edge: bytes.u16()?,
            },
            0x83 => {
                let first = bytes.u16()?;
                let mut at_us = bytes.u64()?;
                let mut edges = Vec::new();
                while !bytes.0.is_empty() {
                    let value = bytes.varint()?;
                    at_us = at_us.checked_add(value >> 5)?;
                    edges.push(WireEdge {
                        at_us,
                        input: (value >> 1 & 15) as u8,
                        level: value & 1 == 1,
                    });
                }
                if edges.is_empty() || edges.len() > MAX_BATCH {
                    return None;
                }
                Self::Edges { first, edges }
            }
            0x84 => Self::Done,
            0x85 => {
                let code = bytes.u8()?;
                let (_, reason) = Reason::ALL.into_iter().find(|(known, _)| *known == code)?;
                Self::Refused(reason)
            }
            0x86 => Self::Door {
                door: bytes.u8()?,
                open: bytes.flag()?,
                at_us: bytes.u64()?,
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Deframer;
    use proptest::prelude::*;

    fn message(frame: &[u8]) -> Vec<u8> {
        let mut deframer = Deframer::default();
        let mut found = frame.iter().filter_map(|byte| deframer.push(*byte));
        found.next().expect("a frame").expect("whole")
    }

    fn orders() -> impl Strategy<Value = Order> {
        let channel = prop::option::of(0_u8..16);
        prop_oneof![
            Just(Order::Alive),
            any::<u8>().prop_map(|version| Order::Hello { version }),
            any::<u8>().prop_map(|door| Order::Rest { door }),
            (any::<u8>(), any::<bool>()).prop_map(|(output, on)| Order::Set { output, on }),
            (any::<u8>(), prop::collection::vec(any::<u16>(), 0..=MAX_PULSES))
                .prop_map(|(output, times_us)| Order::Pulses { output, times_us }),
            (any::<[u16; 5]>(), any::<[u8; 2]>(), channel.clone(), channel).prop_map(
                |(n, [door, presses], hook, call)| {
                    Order::Press(Press {
                        door,
                        window_ms: n[0],
                        press_ms: n[1],
                        presses,
                        pause_ms: n[2],
                        hook,
                        after_ms: n[3],
                        call,
                        quiet_ms: n[4],
                    })
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn orders_come_back(order in orders(), number: u8) {
            prop_assert_eq!(Order::read(&message(&order.frame(number))), Ok((number, order)));
        }

        #[test]
        fn edges_come_back(start in 0_u64..1 << 40, steps in prop::collection::vec((0_u64..1 << 31, 0_u8..16, any::<bool>()), 1..=MAX_BATCH)) {
            let mut at_us = start;
            let edges: Vec<WireEdge> = steps.into_iter().map(|(step, input, level)| {
                at_us += step;
                WireEdge { at_us, input, level }
            }).collect();
            let first = edges[0];
            let word = Word::Edges { first: 65_535, edges };
            let Ok((0, Word::Edges { edges: read, .. })) = Word::read(&message(&word.frame(0))) else { panic!("edges") };
            prop_assert_eq!(read[0], first);
            prop_assert_eq!(Word::Edges { first: 65_535, edges: read }, word);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..260)) {
            let _ = Order::read(&bytes);
            let _ = Word::read(&bytes);
        }
    }

    #[test]
    fn words_come_back() {
        for word in [
            Word::Hello(Identity {
                version: 1,
                role: PortRole::Door,
                inputs: 4,
                outputs: 2,
                watchdog_ms: 1000,
                boot: 0xDEAD_BEEF,
                name: "demo 1.0".to_owned(),
            }),
            Word::State {
                at_us: 1 << 40,
                inputs: 0x8001,
                outputs: 2,
                next_edge: 7,
            },
            Word::Done,
            Word::Refused(Reason::Port),
            Word::Door {
                door: 1,
                open: true,
                at_us: 12,
            },
        ] {
            assert_eq!(Word::read(&message(&word.frame(3))), Ok((3, word)));
        }
    }

    #[test]
    fn what_is_no_message_says_which() {
        for (bytes, expected) in [
            (&[][..], "a message of 0 bytes"),
            (&[0x84, 0, 1], "message 84: its content"),
            (&[0x85, 0, 77], "message 85: its content"),
            (&[0x83, 0, 0, 0], "message 83: its content"),
            (&[0x90, 0], "message 90 is not known"),
        ] {
            let error = Word::read(bytes).expect_err(expected).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        assert_eq!(Order::read(&[0x81, 0]), Err(MessageError::Kind { kind: 0x81 }));
    }
}
