//! 1-Wire numbers (Maxim AN27, DS1990A data sheet).

/// Family code of the DS1990A.
pub const DS1990A: u8 = 0x01;

/// CRC-8 of Dallas: polynomial x⁸ + x⁵ + x⁴ + 1, reflected, begins with 0.
#[must_use]
pub fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ byte,
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x8C } else { crc >> 1 },
        )
    })
}

/// Bytes that are no number of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RomError {
    /// Every byte is zero, which passes the checksum: a short circuit.
    #[error("every byte is zero: the checksum fits, but it is a short circuit and no key")]
    AllZero,
    /// The checksum does not fit.
    #[error("the checksum is {found:02x}, the bytes before it give {wanted:02x}")]
    Checksum {
        /// The last byte.
        found: u8,
        /// What it has to be.
        wanted: u8,
    },
}

/// The number of a 1-Wire device: family, six bytes of serial number, checksum; in the order of transmission, least
/// significant byte of the serial number first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rom([u8; 8]);

impl Rom {
    /// Checks eight bytes in the order of transmission.
    ///
    /// # Errors
    /// [`RomError`] if the checksum is wrong, or every byte is zero.
    pub fn new(bytes: [u8; 8]) -> Result<Self, RomError> {
        let [inner @ .., found] = bytes;
        let wanted = crc8(&inner);
        if bytes == [0; 8] {
            return Err(RomError::AllZero);
        }
        if found != wanted {
            return Err(RomError::Checksum { found, wanted });
        }
        Ok(Self(bytes))
    }

    /// Makes the number of a device; `serial` has 48 bits, more are cut off.
    #[must_use]
    pub fn of(family: u8, serial: u64) -> Self {
        let mut bytes = [0; 8];
        bytes[0] = family;
        bytes[1..7].copy_from_slice(&serial.to_le_bytes()[..6]);
        bytes[7] = crc8(&bytes[..7]);
        Self(bytes)
    }

    /// The bytes in the order of transmission.
    #[must_use]
    pub const fn bytes(&self) -> [u8; 8] {
        self.0
    }

    /// Kind of device; [`DS1990A`] for plain keys.
    #[must_use]
    pub const fn family(&self) -> u8 {
        self.0[0]
    }

    /// Serial number, 48 bits, as it is engraved.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.0[1..7]
            .iter()
            .rev()
            .fold(0, |n, byte| n << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_the_maker_is_read() {
        // Maxim AN27, "Understanding and using cyclic redundancy checks": 02 1C B8 01 00 00 00, CRC A2
        let rom = Rom::new([0x02, 0x1C, 0xB8, 0x01, 0, 0, 0, 0xA2]).expect("good");
        assert_eq!((rom.family(), rom.serial()), (0x02, 0x01_B81C));
        assert_eq!(Rom::of(0x02, 0x01_B81C), rom);
    }

    #[test]
    fn a_short_circuit_is_no_key() {
        assert_eq!(Rom::new([0; 8]), Err(RomError::AllZero));
    }

    proptest! {
        #[test]
        fn one_wrong_bit_is_always_noticed(family: u8, serial: u64, at in 0_usize..64) {
            let mut bytes = Rom::of(family, serial).bytes();
            prop_assert!(bytes == [0; 8] || Rom::new(bytes).is_ok());
            bytes[at / 8] ^= 1 << (at % 8);
            prop_assert!(Rom::new(bytes).is_err());
        }
    }
}
