//! Raw bits and frames.

use gateway_core::CardFrame;

/// Longest frame in bits.
pub const MAX_BITS: usize = 256;

/// A frame of bits in transmission order; `None` unless there are 1 to [`MAX_BITS`].
#[must_use]
pub fn frame_of(bits: &[bool]) -> Option<CardFrame> {
    if bits.is_empty() || bits.len() > MAX_BITS {
        return None;
    }
    let mut data = vec![0_u8; bits.len().div_ceil(8)];
    for (at, _) in bits.iter().enumerate().filter(|(_, one)| **one) {
        if let Some(byte) = data.get_mut(at / 8) {
            *byte |= 0x80 >> (at % 8);
        }
    }
    Some(CardFrame {
        bits: u16::try_from(bits.len()).ok()?,
        data,
    })
}

/// The bits of a frame in transmission order; empty if its length and its data do not belong together.
#[must_use]
pub fn bits_of(frame: &CardFrame) -> Vec<bool> {
    let count = usize::from(frame.bits);
    if !(1..=MAX_BITS).contains(&count) || frame.data.len() != count.div_ceil(8) {
        return Vec::new();
    }
    let bit = |at: usize| {
        frame
            .data
            .get(at / 8)
            .is_some_and(|byte| byte << (at % 8) & 0x80 != 0)
    };
    (0..count).map(bit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_pass_through_a_frame_unchanged(bits in prop::collection::vec(any::<bool>(), 1..=MAX_BITS)) {
            let frame = frame_of(&bits).expect("fits");
            prop_assert_eq!(bits_of(&frame), bits);
        }

        #[test]
        fn no_frame_makes_it_panic(bits: u16, data in prop::collection::vec(any::<u8>(), 0..40)) {
            let read = bits_of(&CardFrame { bits, data });
            prop_assert!(read.is_empty() || read.len() == usize::from(bits));
        }
    }
}
