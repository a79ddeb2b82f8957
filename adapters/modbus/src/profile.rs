//! What the boards do differently, as one table.

use std::time::Duration;

use crate::pdu::{Reply, Request};

/// How a relay is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    /// A single coil with this value.
    Coil(u16),
    /// A single holding register with this value.
    Register(u16),
}

/// How relays are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    Coils,
    /// Holding registers; anything but 0 is on.
    Registers,
}

/// A timer in the board: a coil write at another address, whose value is the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Timer {
    /// Added to the relay's address.
    offset: u16,
    most: u16,
    step: Duration,
}

/// One family of boards.
#[derive(Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its word in the configuration.
    pub name: &'static str,
    /// Relays of its largest board.
    pub channels: u16,
    /// Address of relay 1.
    pub first: u16,
    /// Unit that it has when it is new.
    pub unit: u8,
    off: Write,
    on: Write,
    read: Read,
    timer: Option<Timer>,
}

/// All families. Sources: README.md beside this crate.
pub const PROFILES: &[Profile] = &[
    // the two values of the specification, so it fits every board that keeps to it
    Profile {
        name: "coils",
        channels: 64,
        first: 0,
        unit: 1,
        off: Write::Coil(0x0000),
        on: Write::Coil(0xFF00),
        read: Read::Coils,
        timer: None,
    },
    // its units are addressed as 255 until one is given
    Profile {
        name: "lc-tech",
        channels: 16,
        first: 0,
        unit: 255,
        off: Write::Coil(0x0000),
        on: Write::Coil(0xFF00),
        read: Read::Coils,
        timer: None,
    },
    // commands in the high byte: 1 closes the relay, 2 opens it; read back they are 1 and 0
    Profile {
        name: "n4d",
        channels: 32,
        first: 1,
        unit: 1,
        off: Write::Register(0x0200),
        on: Write::Register(0x0100),
        read: Read::Registers,
        timer: None,
    },
    // the same, counted from 0
    Profile {
        name: "ryn4",
        channels: 8,
        first: 0,
        unit: 1,
        off: Write::Register(0x0200),
        on: Write::Register(0x0100),
        read: Read::Registers,
        timer: None,
    },
    // relays of an Orion line, in the order of the converter's table, as coils from 10000
    Profile {
        name: "s2000-pp",
        channels: 64,
        first: 10_000,
        unit: 1,
        off: Write::Coil(0x0000),
        on: Write::Coil(0xFF00),
        read: Read::Coils,
        timer: None,
    },
    // "flash on" from 0x0200: on, and off again after so many times 100 ms
    Profile {
        name: "waveshare",
        channels: 32,
        first: 0,
        unit: 1,
        off: Write::Coil(0x0000),
        on: Write::Coil(0xFF00),
        read: Read::Coils,
        timer: Some(Timer {
            offset: 0x0200,
            most: 0x7FFF,
            step: Duration::from_millis(100),
        }),
    },
    // "Call accept": the module lifts, opens and hangs up by itself
    Profile {
        name: "wb-domofon",
        channels: 1,
        first: 4,
        unit: 1,
        off: Write::Coil(0x0000),
        on: Write::Coil(0xFF00),
        read: Read::Coils,
        timer: None,
    },
];

/// What a request means to a board of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A relay is switched on for a time, by the board's own timer.
    Pulse {
        /// Which, from 1.
        relay: u16,
        /// For how long.
        time: Duration,
    },
    /// Levels are asked for.
    Read {
        /// The first relay, from 1.
        first: u16,
        /// How many.
        count: u16,
    },
    /// A relay is switched.
    Switch {
        /// On from here on?
        on: bool,
        /// Which, from 1.
        relay: u16,
    },
}

impl Profile {
    /// What a request means to a board whose relay 1 has the address `first`; `None` if boards of this family are told nothing of
    /// the kind.
    #[must_use]
    pub fn meaning(&self, first: u16, request: Request) -> Option<Meaning> {
        let relay = |address: u16| {
            let relay = address.checked_sub(first)?.checked_add(1)?;
            (relay <= self.channels).then_some(relay)
        };
        match request {
            // inputs of a board are no relays
            Request::ReadDiscrete { .. } => None,
            Request::ReadCoils { address, count } | Request::ReadHolding { address, count } => {
                let (from, to) = (
                    relay(address)?,
                    relay(address.checked_add(count.checked_sub(1)?)?)?,
                );
                let count = to - from + 1;
                (self.read(address, count) == request).then_some(Meaning::Read { first: from, count })
            }
            Request::WriteCoil { address, value } | Request::WriteRegister { address, value } => {
                let switched = relay(address).and_then(|relay| {
                    let on = [true, false]
                        .into_iter()
                        .find(|on| self.write(address, *on) == request)?;
                    Some(Meaning::Switch { on, relay })
                });
                switched.or_else(|| {
                    let timer = self.timer?;
                    let relay = relay(address.checked_sub(timer.offset)?)?;
                    let coil = matches!(request, Request::WriteCoil { .. });
                    let timed = coil && (1..=timer.most).contains(&value);
                    timed.then(|| Meaning::Pulse {
                        relay,
                        time: timer.step * u32::from(value),
                    })
                })
            }
        }
    }

    /// The request that means this to such a board; `None` if boards of this family are told nothing of the kind, or the address
    /// is none.
    #[must_use]
    pub fn request(&self, first: u16, meaning: Meaning) -> Option<Request> {
        let address = |relay: u16| first.checked_add(relay.checked_sub(1)?);
        match meaning {
            Meaning::Pulse { relay, time } => self.pulse(address(relay)?, time),
            Meaning::Read { first, count } => Some(self.read(address(first)?, count)),
            Meaning::Switch { on, relay } => Some(self.write(address(relay)?, on)),
        }
    }

    /// The family of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PROFILES.iter().find(|profile| profile.name == name)
    }

    /// True if the board can end a pulse by itself.
    #[must_use]
    pub const fn is_timed(&self) -> bool {
        self.timer.is_some()
    }

    /// Switches the relay at `address`.
    pub(crate) const fn write(&self, address: u16, on: bool) -> Request {
        match if on { self.on } else { self.off } {
            Write::Coil(value) => Request::WriteCoil { address, value },
            Write::Register(value) => Request::WriteRegister { address, value },
        }
    }

    /// Switches the relay at `address` on for at least `length`, or for as long as the board can.
    pub(crate) fn pulse(&self, address: u16, length: Duration) -> Option<Request> {
        let timer = self.timer?;
        let steps = length.as_millis().div_ceil(timer.step.as_millis());
        let value = u16::try_from(steps).unwrap_or(timer.most).clamp(1, timer.most);
        Some(Request::WriteCoil {
            address: address.checked_add(timer.offset)?,
            value,
        })
    }

    /// Reads `count` relays from `address`.
    pub(crate) const fn read(&self, address: u16, count: u16) -> Request {
        match self.read {
            Read::Coils => Request::ReadCoils { address, count },
            Read::Registers => Request::ReadHolding { address, count },
        }
    }

    /// Which relays an answer to [`read`](Self::read) says are on.
    pub(crate) fn levels(reply: Reply) -> Vec<bool> {
        match reply {
            Reply::Coils(levels) => levels,
            Reply::Registers(values) => values.into_iter().map(|value| value != 0).collect(),
            Reply::Written => vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(name: &str) -> &'static Profile {
        Profile::named(name).expect("it is in the table")
    }

    #[test]
    fn orders_are_those_of_the_manuals() {
        let coil = |address, value| Request::WriteCoil { address, value };
        let register = |address, value| Request::WriteRegister { address, value };
        let waveshare = board("waveshare");
        assert_eq!(waveshare.write(7, true), coil(7, 0xFF00));
        assert_eq!(waveshare.write(7, false), coil(7, 0));
        // its wiki: 01 05 02 00 00 07, relay 1 on for 700 ms
        let pulse = waveshare.pulse(0, Duration::from_millis(700));
        assert_eq!(pulse, Some(coil(0x0200, 7)));
        let n4d = board("n4d");
        assert_eq!(n4d.write(n4d.first, true), register(1, 0x0100));
        assert_eq!(n4d.write(n4d.first, false), register(1, 0x0200));
        let converter = board("s2000-pp");
        assert_eq!(converter.write(converter.first + 2, true), coil(10_002, 0xFF00));
        assert_eq!(board("lc-tech").unit, 255);
        assert_eq!(Profile::named("LC-Tech"), None);
    }

    #[test]
    fn a_timed_pulse_is_never_shorter_than_wanted_nor_zero_nor_longer_than_the_board_can() {
        let waveshare = board("waveshare");
        for (ms, steps) in [
            (0, 1),
            (1, 1),
            (100, 1),
            (101, 2),
            (25_000, 250),
            (86_400_000, 0x7FFF),
        ] {
            let Some(Request::WriteCoil { value, .. }) = waveshare.pulse(0, Duration::from_millis(ms)) else {
                panic!("a timer");
            };
            assert_eq!(value, steps, "{ms} ms");
        }
        assert_eq!(board("coils").pulse(0, Duration::from_secs(1)), None);
    }

    #[test]
    fn what_a_board_is_told_means_what_was_ordered_and_nothing_else_means_anything() {
        for profile in PROFILES {
            let time = Duration::from_secs(3);
            for relay in [1, profile.channels] {
                for meaning in [
                    Meaning::Switch { on: true, relay },
                    Meaning::Switch { on: false, relay },
                    Meaning::Read {
                        first: relay,
                        count: 1,
                    },
                    Meaning::Pulse { relay, time },
                ] {
                    let Some(request) = profile.request(profile.first, meaning) else {
                        assert!(!profile.is_timed(), "{}", profile.name);
                        continue;
                    };
                    assert_eq!(
                        profile.meaning(profile.first, request),
                        Some(meaning),
                        "{}",
                        profile.name
                    );
                }
            }
            let beyond = profile.first + profile.channels;
            assert_eq!(
                profile.meaning(profile.first, profile.write(beyond, true)),
                None,
                "{}",
                profile.name
            );
            assert_eq!(
                profile.meaning(profile.first, profile.read(profile.first, 0)),
                None
            );
        }
        let odd = Request::WriteCoil {
            address: 0,
            value: 0x0100,
        };
        assert_eq!(board("coils").meaning(0, odd), None);
    }

    #[test]
    fn on_and_off_differ_and_names_are_distinct() {
        for (index, profile) in PROFILES.iter().enumerate() {
            assert_ne!(profile.on, profile.off, "{}", profile.name);
            let others = &PROFILES[index + 1..];
            assert!(others.iter().all(|p| p.name != profile.name), "{}", profile.name);
            assert!(profile.channels <= crate::pdu::MOST, "{}", profile.name);
        }
    }
}
