//! The requests that relay boards and inputs need, and what answers them (MODBUS Application Protocol V1.1b3 §6.1 to §6.3,
//! §6.5, §6.6, §7). Pure.
//!
//! The value of a single-coil write is kept as it is: boards give values other than 0xFF00 and 0x0000 a meaning of
//! their own, for example a time.

/// Length of every request in bytes.
pub const REQUEST_BYTES: usize = 5;
/// Most coils or registers of one request: what a board of ours has.
pub const MOST: u16 = 64;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Function 0x01.
    ReadCoils {
        /// First coil, from 0.
        address: u16,
        /// How many, 1 to [`MOST`].
        count: u16,
    },
    /// Function 0x02.
    ReadDiscrete {
        /// First discrete input, from 0.
        address: u16,
        /// How many, 1 to [`MOST`].
        count: u16,
    },
    /// Function 0x03.
    ReadHolding {
        /// First register, from 0.
        address: u16,
        /// How many, 1 to [`MOST`].
        count: u16,
    },
    /// Function 0x05.
    WriteCoil {
        /// Coil, from 0.
        address: u16,
        /// 0xFF00 is on, 0x0000 off; the rest is the board's own.
        value: u16,
    },
    /// Function 0x06.
    WriteRegister {
        /// Register, from 0.
        address: u16,
        /// What to write.
        value: u16,
    },
}

/// What a board answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Levels of the coils or discrete inputs that were asked for.
    Coils(Vec<bool>),
    /// Values of the registers that were asked for.
    Registers(Vec<u16>),
    /// The write was taken.
    Written,
}

/// What is no answer to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PduError {
    /// Another number of bytes follows than was asked for.
    #[error("{found} bytes of values, expected {expected}")]
    Count {
        /// What was found.
        found: usize,
        /// What it should be.
        expected: usize,
    },
    /// Address or value come back changed.
    #[error("it took {found:04x?}, told was {expected:04x?}")]
    Echo {
        /// Address and value that came.
        found: (u16, u16),
        /// Address and value that went.
        expected: (u16, u16),
    },
    /// The board refuses.
    #[error("the board refuses with exception {code}, {}", exception(*code))]
    Exception {
        /// MODBUS Application Protocol V1.1b3 §7.
        code: u8,
    },
    /// An answer to something else.
    #[error("function 0x{found:02x}, expected 0x{expected:02x}")]
    Function {
        /// What was found.
        found: u8,
        /// What it should be.
        expected: u8,
    },
    /// Too short or too long.
    #[error("{found} bytes, expected {expected}")]
    Length {
        /// What was found.
        found: usize,
        /// What it should be.
        expected: usize,
    },
}

/// An exception's name, as in the specification (Modbus Application Protocol V1.1b3, §7), and what to look at.
#[must_use]
pub const fn exception(code: u8) -> &'static str {
    match code {
        1 => "illegal function",
        2 => "illegal data address: is the channel on this board?",
        3 => "illegal data value: is the profile right?",
        4 => "server device failure",
        5 => "acknowledge",
        6 => "server device busy",
        8 => "memory parity error",
        10 => "gateway path unavailable",
        11 => "gateway target device failed to respond",
        _ => "which is not in the specification",
    }
}

impl Request {
    /// The function code.
    #[must_use]
    pub const fn function(self) -> u8 {
        match self {
            Self::ReadCoils { .. } => 0x01,
            Self::ReadDiscrete { .. } => 0x02,
            Self::ReadHolding { .. } => 0x03,
            Self::WriteCoil { .. } => 0x05,
            Self::WriteRegister { .. } => 0x06,
        }
    }

    const fn words(self) -> (u16, u16) {
        match self {
            Self::ReadCoils { address, count }
            | Self::ReadDiscrete { address, count }
            | Self::ReadHolding { address, count } => (address, count),
            Self::WriteCoil { address, value } | Self::WriteRegister { address, value } => (address, value),
        }
    }

    /// The bytes, most significant first.
    #[must_use]
    pub fn encode(self) -> [u8; REQUEST_BYTES] {
        let (first, second) = self.words();
        let ([a, b], [c, d]) = (first.to_be_bytes(), second.to_be_bytes());
        [self.function(), a, b, c, d]
    }

    /// Reads a request; `None` for one that no board of ours is told.
    #[must_use]
    pub fn parse(pdu: &[u8]) -> Option<Self> {
        let &[function, a, b, c, d] = pdu else {
            return None;
        };
        let (address, second) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let count = Some(second).filter(|count| (1..=MOST).contains(count));
        match function {
            0x01 => Some(Self::ReadCoils {
                address,
                count: count?,
            }),
            0x02 => Some(Self::ReadDiscrete {
                address,
                count: count?,
            }),
            0x03 => Some(Self::ReadHolding {
                address,
                count: count?,
            }),
            0x05 => Some(Self::WriteCoil {
                address,
                value: second,
            }),
            0x06 => Some(Self::WriteRegister {
                address,
                value: second,
            }),
            _ => None,
        }
    }

    /// Bytes of values that answer a read.
    const fn value_bytes(self) -> usize {
        match self {
            Self::ReadCoils { count, .. } | Self::ReadDiscrete { count, .. } => (count as usize).div_ceil(8),
            Self::ReadHolding { count, .. } => count as usize * 2,
            Self::WriteCoil { .. } | Self::WriteRegister { .. } => 0,
        }
    }

    /// Length of an answer that begins with `function`; `None` if none of ours does.
    #[must_use]
    pub const fn reply_bytes(self, function: u8) -> Option<usize> {
        if function == self.function() | 0x80 {
            return Some(2);
        }
        if function != self.function() {
            return None;
        }
        match self {
            Self::ReadCoils { .. } | Self::ReadDiscrete { .. } | Self::ReadHolding { .. } => {
                Some(2 + self.value_bytes())
            }
            Self::WriteCoil { .. } | Self::WriteRegister { .. } => Some(REQUEST_BYTES),
        }
    }

    /// True if an answer to `other` would be taken for one to this: both read as many bytes by the same function, and answers
    /// do not say of what.
    #[must_use]
    pub fn is_like(self, other: Self) -> bool {
        let function = self.function();
        self != other && self.value_bytes() > 0 && self.reply_bytes(function) == other.reply_bytes(function)
    }

    /// Reads a whole answer.
    ///
    /// # Errors
    /// [`PduError`] for anything that does not answer this very request.
    pub fn reply(self, pdu: &[u8]) -> Result<Reply, PduError> {
        let Some((&function, rest)) = pdu.split_first() else {
            return Err(PduError::Length {
                found: 0,
                expected: 2,
            });
        };
        let Some(expected) = self.reply_bytes(function) else {
            return Err(PduError::Function {
                found: function,
                expected: self.function(),
            });
        };
        if pdu.len() != expected {
            return Err(PduError::Length {
                found: pdu.len(),
                expected,
            });
        }
        if let (0x80.., &[code]) = (function, rest) {
            return Err(PduError::Exception { code });
        }
        match (self, rest) {
            (Self::ReadCoils { count, .. } | Self::ReadDiscrete { count, .. }, &[found, ref values @ ..]) => {
                self.counted(found)?;
                let level = |n: usize| values.get(n / 8).is_some_and(|byte| byte >> (n % 8) & 1 == 1);
                Ok(Reply::Coils((0..usize::from(count)).map(level).collect()))
            }
            (Self::ReadHolding { .. }, &[found, ref values @ ..]) => {
                self.counted(found)?;
                let pairs = values.chunks_exact(2);
                Ok(Reply::Registers(
                    pairs.map(|v| u16::from_be_bytes([v[0], v[1]])).collect(),
                ))
            }
            (Self::WriteCoil { .. } | Self::WriteRegister { .. }, &[a, b, c, d]) => {
                let found = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                let expected = self.words();
                if found == expected {
                    Ok(Reply::Written)
                } else {
                    Err(PduError::Echo { found, expected })
                }
            }
            (_, _) => Err(PduError::Length {
                found: pdu.len(),
                expected,
            }),
        }
    }

    fn counted(self, found: u8) -> Result<(), PduError> {
        let (found, expected) = (usize::from(found), self.value_bytes());
        if found == expected {
            Ok(())
        } else {
            Err(PduError::Count { found, expected })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_and_answers_are_those_of_the_specification() {
        // V1.1b3 §6.1: 20 to 38 read, here with the first three bytes of its example
        let read = Request::ReadCoils {
            address: 0x13,
            count: 0x13,
        };
        assert_eq!(read.encode(), [0x01, 0x00, 0x13, 0x00, 0x13]);
        let Ok(Reply::Coils(levels)) = read.reply(&[0x01, 0x03, 0xCD, 0x6B, 0x05]) else {
            panic!("an answer");
        };
        let on: Vec<usize> = (0..19).filter(|n| levels[*n]).map(|n| n + 20).collect();
        assert_eq!(on, [20, 22, 23, 26, 27, 28, 29, 31, 33, 34, 36, 38]);
        // §6.2: 197 to 218 read
        let read = Request::ReadDiscrete {
            address: 0xC4,
            count: 0x16,
        };
        assert_eq!(read.encode(), [0x02, 0x00, 0xC4, 0x00, 0x16]);
        let Ok(Reply::Coils(levels)) = read.reply(&[0x02, 0x03, 0xAC, 0xDB, 0x35]) else {
            panic!("an answer");
        };
        let on: Vec<usize> = (0..22).filter(|n| levels[*n]).map(|n| n + 197).collect();
        assert_eq!(
            on,
            [
                199, 200, 202, 204, 205, 206, 208, 209, 211, 212, 213, 215, 217, 218
            ]
        );
        // §6.3
        let read = Request::ReadHolding {
            address: 0x6B,
            count: 3,
        };
        assert_eq!(read.encode(), [0x03, 0x00, 0x6B, 0x00, 0x03]);
        assert_eq!(
            read.reply(&[0x03, 0x06, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64]),
            Ok(Reply::Registers(vec![0x022B, 0, 0x64]))
        );
        // §6.5, §6.6
        for (request, bytes) in [
            (
                Request::WriteCoil {
                    address: 0xAC,
                    value: 0xFF00,
                },
                [0x05, 0x00, 0xAC, 0xFF, 0x00],
            ),
            (
                Request::WriteRegister { address: 1, value: 3 },
                [0x06, 0x00, 0x01, 0x00, 0x03],
            ),
        ] {
            assert_eq!(request.encode(), bytes);
            assert_eq!(request.reply(&bytes), Ok(Reply::Written));
        }
    }

    #[test]
    fn what_answers_something_else_is_said() {
        let write = Request::WriteCoil {
            address: 1,
            value: 0xFF00,
        };
        let said = |pdu: &[u8]| write.reply(pdu).expect_err("no answer").to_string();
        assert_eq!(said(&[]), "0 bytes, expected 2");
        assert_eq!(
            said(&[0x85, 2]),
            "the board refuses with exception 2, illegal data address: is the channel on this board?"
        );
        assert_eq!(said(&[0x06, 0, 1, 0xFF, 0]), "function 0x06, expected 0x05");
        assert_eq!(said(&[0x05, 0, 1, 0xFF]), "4 bytes, expected 5");
        assert_eq!(
            said(&[0x05, 0, 1, 0, 0]),
            "it took (0001, 0000), told was (0001, ff00)"
        );
        let read = Request::ReadCoils { address: 0, count: 8 };
        assert_eq!(
            read.reply(&[0x01, 2, 0]),
            Err(PduError::Count {
                found: 2,
                expected: 1
            })
        );
    }

    #[test]
    fn reads_of_as_many_bytes_by_one_function_are_alike_and_nothing_else_is() {
        let coils = |address, count| Request::ReadCoils { address, count };
        let discrete = Request::ReadDiscrete { address: 4, count: 1 };
        let write = |address| Request::WriteCoil { address, value: 0 };
        assert!(coils(1, 1).is_like(coils(4, 1)) && coils(1, 1).is_like(coils(1, 8)));
        for (one, other) in [
            (coils(1, 1), coils(1, 1)),
            (coils(1, 1), coils(1, 9)),
            (coils(4, 1), discrete),
            (write(1), write(2)),
            (coils(1, 1), write(1)),
        ] {
            assert!(!one.is_like(other) && !other.is_like(one), "{one:?} {other:?}");
        }
    }

    pub(crate) fn any_request() -> impl Strategy<Value = Request> {
        (0u8..5, any::<u16>(), 1..=MOST, any::<u16>()).prop_map(|(kind, address, count, value)| match kind {
            0 => Request::ReadCoils { address, count },
            1 => Request::ReadHolding { address, count },
            2 => Request::WriteCoil { address, value },
            3 => Request::ReadDiscrete { address, count },
            _ => Request::WriteRegister { address, value },
        })
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_a_write_is_confirmed_by_its_echo_alone(
            request in any_request(), pdu in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            if let Ok(Reply::Written) = request.reply(&pdu) {
                prop_assert_eq!(pdu, request.encode());
            }
        }

        #[test]
        fn a_request_comes_back_of_its_bytes_and_what_is_read_is_written_the_same(
            request in any_request(), pdu in proptest::collection::vec(any::<u8>(), 0..8),
        ) {
            prop_assert_eq!(Request::parse(&request.encode()), Some(request));
            if let Some(read) = Request::parse(&pdu) {
                prop_assert_eq!(&read.encode()[..], &pdu[..]);
            }
        }

        #[test]
        fn as_many_values_come_as_were_asked_for(address: u16, count in 1..=MOST, seed: u8) {
            let read = Request::ReadCoils { address, count };
            let mut pdu = vec![1, u8::try_from(usize::from(count).div_ceil(8)).expect("small")];
            pdu.resize(2 + usize::from(count).div_ceil(8), seed);
            let Ok(Reply::Coils(levels)) = read.reply(&pdu) else { panic!("an answer") };
            prop_assert_eq!(levels.len(), usize::from(count));
        }
    }
}
