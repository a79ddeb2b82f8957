//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use crate::{Exchange, Framing, MOST, Reply, Request};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 1] = [("modbus", modbus)];

/// Answers of a board. The first byte chooses framing and question, the next two are address and count or value, and the
/// length of each piece follows in front of it.
///
/// # Panics
/// If an answer has another number of values than was asked for, or a write is confirmed by anything but its echo.
pub fn modbus(data: &[u8]) {
    let Some(([first, high, low], mut rest)) = data.split_first_chunk() else {
        return;
    };
    let (address, count) = (u16::from(*high), u16::from(*low).clamp(1, MOST));
    let value = u16::from_be_bytes([*high, *low]);
    let request = match (first >> 1 & 3, first >> 3 & 1) {
        (0, 0) => Request::ReadCoils { address, count },
        (0, _) => Request::ReadDiscrete { address, count },
        (1, _) => Request::ReadHolding { address, count },
        (2, _) => Request::WriteCoil { address, value },
        _ => Request::WriteRegister { address, value },
    };
    let framing = if first & 1 == 0 {
        Framing::Rtu
    } else {
        Framing::Tcp
    };
    if let Ok(Reply::Written) = request.reply(rest) {
        assert_eq!(rest, request.encode());
    }
    let mut exchange = Exchange::new(framing, 1, 17, request);
    while let Some((len, more)) = rest.split_first() {
        let (piece, more) = more.split_at(usize::from(*len).min(more.len()));
        rest = more;
        match exchange.feed(piece) {
            Err(e) => {
                assert!(!e.to_string().is_empty());
                return;
            }
            Ok(Some(Reply::Coils(levels))) => {
                assert_eq!(levels.len(), usize::from(count));
                return;
            }
            Ok(Some(_)) => return,
            Ok(None) => {}
        }
        assert!(exchange.seen().is_none_or(|text| text.len() < 400));
    }
}

#[cfg(test)]
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    #[test]
    fn every_target_survives_its_corpus() {
        super::replay::replay(&super::TARGETS);
    }
}
