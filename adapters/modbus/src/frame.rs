//! Framing: Modbus RTU with its CRC, and Modbus TCP with its MBAP header. Pure.
//!
//! RTU frames end by silence, which user space cannot time reliably on a USB adapter. It is not needed here: the
//! length of what answers a request is known, so the answer is looked for in what came, by unit, function, length
//! and CRC (MODBUS over Serial Line V1.02 §2.5.1). What stands before it is noise of the line as it turns, or our own
//! request if the adapter hears itself.

use crate::pdu::{PduError, Reply, Request};

/// Longest frame of either kind (RTU 256, TCP 260 bytes).
pub const LONGEST: usize = 260;
/// Bytes of a damaged answer that a message shows.
const SHOWN: usize = 24;

/// How requests and answers are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Unit, PDU, CRC-16: a serial line, or a serial server that passes bytes.
    Rtu,
    /// MBAP header and PDU (MODBUS Messaging on TCP/IP V1.0b §3.1.3).
    Tcp,
}

/// What came is no answer and will not become one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Bytes without end, and no answer among them.
    #[error("{found} bytes came and no answer was among them: {}", hex(head))]
    Noise {
        /// How many.
        found: usize,
        /// The first of them.
        head: Vec<u8>,
    },
    /// Something else than Modbus TCP.
    #[error("protocol {protocol}, length {length}: this is not Modbus TCP")]
    NotModbus {
        /// Protocol identifier, 0 for Modbus.
        protocol: u16,
        /// Length field, 2 to 254.
        length: u16,
    },
    /// The board's answer is no answer to the request.
    #[error(transparent)]
    Pdu(#[from] PduError),
    /// Another unit answers on a connection of ours.
    #[error("unit {found} answers, expected {expected}")]
    Unit {
        /// What was found.
        found: u8,
        /// What it should be.
        expected: u8,
    },
}

/// One request on its way, and what has come back so far.
#[derive(Debug)]
pub struct Exchange {
    came: Vec<u8>,
    framing: Framing,
    id: u16,
    request: Request,
    unit: u8,
}

impl Exchange {
    /// `id` tells answers apart on TCP; RTU has none.
    #[must_use]
    pub const fn new(framing: Framing, id: u16, unit: u8, request: Request) -> Self {
        Self {
            came: Vec::new(),
            framing,
            id,
            request,
            unit,
        }
    }

    /// The frame to send.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let pdu = self.request.encode();
        match self.framing {
            Framing::Rtu => {
                let mut frame = vec![self.unit];
                frame.extend(pdu);
                frame.extend(crc16(&frame).to_le_bytes());
                frame
            }
            Framing::Tcp => {
                let mut frame = self.id.to_be_bytes().to_vec();
                // protocol 0, then the length of what follows: unit and PDU
                frame.extend([0, 0, 0, 1 + crate::pdu::REQUEST_BYTES as u8, self.unit]);
                frame.extend(pdu);
                frame
            }
        }
    }

    /// Takes what came. `None` means that more has to come.
    ///
    /// # Errors
    /// [`FrameError`]; the connection has to be opened anew, or the line be left to fall silent.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<Reply>, FrameError> {
        // Bounded: at most one longest frame is kept beyond what is looked at here.
        for byte in bytes {
            self.came.push(*byte);
            let reply = match self.framing {
                Framing::Rtu => self.rtu()?,
                Framing::Tcp => self.tcp()?,
            };
            if reply.is_some() {
                return Ok(reply);
            }
            if self.came.len() > LONGEST {
                return Err(FrameError::Noise {
                    found: self.came.len(),
                    head: self.came[..SHOWN].to_vec(),
                });
            }
        }
        Ok(None)
    }

    /// What came so far, in hex, for a message; `None` if nothing did.
    #[must_use]
    pub fn seen(&self) -> Option<String> {
        (!self.came.is_empty()).then(|| hex(&self.came[..self.came.len().min(SHOWN)]))
    }

    /// A whole answer ends with the byte that came last: shorter ones were looked at before.
    fn rtu(&self) -> Result<Option<Reply>, FrameError> {
        let function = self.request.function();
        for function in [function, function | 0x80] {
            let Some(length) = self.request.reply_bytes(function) else {
                continue;
            };
            // unit and CRC around it
            let Some(start) = self.came.len().checked_sub(length + 3) else {
                continue;
            };
            let (body, crc) = self.came[start..].split_at(length + 1);
            if body[0] != self.unit || body[1] != function || crc != crc16(body).to_le_bytes() {
                continue;
            }
            match self.request.reply(&body[1..]) {
                // our own request that the adapter heard has this form, too
                Err(PduError::Count { .. } | PduError::Length { .. }) => {}
                reply => return Ok(Some(reply?)),
            }
        }
        Ok(None)
    }

    fn tcp(&mut self) -> Result<Option<Reply>, FrameError> {
        let &[id1, id2, p1, p2, l1, l2, ref rest @ ..] = &self.came[..] else {
            return Ok(None);
        };
        let (id, protocol) = (u16::from_be_bytes([id1, id2]), u16::from_be_bytes([p1, p2]));
        let length = u16::from_be_bytes([l1, l2]);
        if protocol != 0 || !(2..=254).contains(&length) {
            return Err(FrameError::NotModbus { protocol, length });
        }
        if rest.len() < usize::from(length) {
            return Ok(None);
        }
        if id != self.id {
            // the late answer to an earlier request
            self.came.clear();
            return Ok(None);
        }
        let (found, pdu) = (rest[0], &rest[1..]);
        if found != self.unit {
            return Err(FrameError::Unit {
                found,
                expected: self.unit,
            });
        }
        Ok(Some(self.request.reply(pdu)?))
    }
}

/// CRC-16 of Modbus: polynomial 0x8005 reflected, all ones to begin with (MODBUS over Serial Line V1.02 §6.2.2).
/// It goes over the line with its low byte first.
#[must_use]
pub fn crc16(bytes: &[u8]) -> u16 {
    let step = |crc: u16, _| {
        if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 }
    };
    bytes
        .iter()
        .fold(0xFFFF, |crc, byte| (0..8).fold(crc ^ u16::from(*byte), step))
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    bytes.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ON: Request = Request::WriteCoil {
        address: 0,
        value: 0xFF00,
    };
    const LEVELS: Request = Request::ReadCoils { address: 0, count: 8 };

    fn rtu(request: Request) -> Exchange {
        Exchange::new(Framing::Rtu, 0, 1, request)
    }

    /// Frames of the Waveshare Modbus RTU Relay wiki, "Development Protocol V2": relay 0 on, and the state of all.
    #[test]
    fn frames_are_those_of_the_boards_manual() {
        assert_eq!(rtu(ON).frame(), [0x01, 0x05, 0x00, 0x00, 0xFF, 0x00, 0x8C, 0x3A]);
        assert_eq!(
            rtu(LEVELS).frame(),
            [0x01, 0x01, 0x00, 0x00, 0x00, 0x08, 0x3D, 0xCC]
        );
        let reply = rtu(LEVELS).feed(&[0x01, 0x01, 0x01, 0x41, 0x91, 0xB8]);
        let Ok(Some(Reply::Coils(levels))) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!(levels, [true, false, false, false, false, false, true, false]);
    }

    #[test]
    fn noise_before_an_answer_and_our_own_echo_are_passed_over() {
        let mut exchange = rtu(LEVELS);
        let echo = exchange.frame();
        assert_eq!(exchange.feed(&[0x00, 0xFF]), Ok(None));
        assert_eq!(exchange.feed(&echo), Ok(None));
        let reply = exchange.feed(&[0x01, 0x01, 0x01, 0x41, 0x91, 0xB8]);
        assert!(matches!(reply, Ok(Some(Reply::Coils(_)))), "{reply:?}");
    }

    #[test]
    fn an_answer_of_another_unit_or_with_a_wrong_crc_is_none() {
        let mut exchange = rtu(ON);
        assert_eq!(
            exchange.feed(&[0x02, 0x05, 0x00, 0x00, 0xFF, 0x00, 0x8C, 0x09]),
            Ok(None)
        );
        assert_eq!(
            exchange.feed(&[0x01, 0x05, 0x00, 0x00, 0xFF, 0x00, 0x8C, 0x3B]),
            Ok(None)
        );
        assert_eq!(
            exchange.seen().as_deref(),
            Some("02 05 00 00 ff 00 8c 09 01 05 00 00 ff 00 8c 3b")
        );
        // exception 2 of the right unit
        let said = exchange.feed(&[0x01, 0x85, 0x02, 0xC3, 0x51]);
        assert_eq!(said, Err(FrameError::Pdu(PduError::Exception { code: 2 })));
    }

    #[test]
    fn a_late_answer_over_tcp_is_passed_over_and_other_protocols_are_refused() {
        let mut exchange = Exchange::new(Framing::Tcp, 7, 1, ON);
        let frame = exchange.frame();
        assert_eq!(frame, [0, 7, 0, 0, 0, 6, 1, 5, 0, 0, 0xFF, 0]);
        let mut late = frame.clone();
        late[1] = 6;
        assert_eq!(exchange.feed(&late), Ok(None));
        assert_eq!(exchange.feed(&frame[..5]), Ok(None));
        assert_eq!(exchange.feed(&frame[5..]), Ok(Some(Reply::Written)));
        let mut exchange = Exchange::new(Framing::Tcp, 7, 1, ON);
        let said = exchange.feed(b"HTTP/1.1 400 Bad Request");
        assert!(matches!(said, Err(FrameError::NotModbus { .. })), "{said:?}");
        let mut exchange = Exchange::new(Framing::Tcp, 7, 1, ON);
        let said = exchange.feed(&[0, 7, 0, 0, 0, 6, 9, 5, 0, 0, 0xFF, 0]);
        assert_eq!(
            said,
            Err(FrameError::Unit {
                found: 9,
                expected: 1
            })
        );
    }

    #[test]
    fn the_crc_is_that_of_the_catalogue() {
        // CRC-16/MODBUS check value of the reveng catalogue
        assert_eq!(crc16(b"123456789"), 0x4B37);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_grow(
            framing in prop_oneof![Just(Framing::Rtu), Just(Framing::Tcp)],
            unit: u8,
            request in prop_oneof![Just(ON), Just(LEVELS)],
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..8),
        ) {
            let mut exchange = Exchange::new(framing, 1, unit, request);
            for part in parts {
                if exchange.feed(&part).is_err() {
                    break;
                }
                prop_assert!(exchange.came.len() <= LONGEST);
            }
        }

        #[test]
        fn an_answer_is_found_however_it_is_cut_and_whatever_noise_stands_before_it(
            noise in proptest::collection::vec(any::<u8>(), 0..40), cut in 0usize..9,
        ) {
            let mut exchange = rtu(ON);
            let frame = exchange.frame();
            // an answer within the noise would be one, too
            if exchange.feed(&noise) == Ok(None) {
                let cut = cut.min(frame.len());
                let first = exchange.feed(&frame[..cut]);
                prop_assert!(first == Ok(None) || cut == frame.len());
                if first == Ok(None) {
                    prop_assert_eq!(exchange.feed(&frame[cut..]), Ok(Some(Reply::Written)));
                }
            }
        }

        #[test]
        fn one_changed_bit_is_no_answer(bit in 0usize..64) {
            let mut exchange = rtu(ON);
            let mut frame = exchange.frame();
            frame[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(exchange.feed(&frame), Ok(None));
        }
    }
}
