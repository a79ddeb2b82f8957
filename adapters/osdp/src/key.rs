//! Keys of the secure channel.

use std::fmt;

use zeroize::Zeroize;

/// Length in bytes.
pub(crate) const KEY: usize = 16;

/// A secure channel base key (SCBK). `Debug` prints `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; KEY]);

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key that every reader has before it got one of its own (SCBK-D): everybody knows it.
    #[error("this is the default key, which everybody knows")]
    Default,
    /// Not 32 hexadecimal digits.
    #[error("not 32 hexadecimal digits")]
    Digits,
}

impl Key {
    /// The default key SCBK-D, which is no secret.
    #[must_use]
    pub fn well_known() -> Self {
        let mut key = [0; KEY];
        for (byte, value) in key.iter_mut().zip(0x30..) {
            *byte = value;
        }
        Self(key)
    }

    /// A key from its bytes.
    #[must_use]
    pub const fn new(bytes: [u8; KEY]) -> Self {
        Self(bytes)
    }

    /// Reads 32 hexadecimal digits; spaces around them do not count.
    ///
    /// # Errors
    /// [`KeyError`]; the text is not repeated.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let digits = text.trim().as_bytes();
        let mut key = [0; KEY];
        if digits.len() != 2 * KEY || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(KeyError::Digits);
        }
        for (byte, pair) in key.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| KeyError::Digits)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| KeyError::Digits)?;
        }
        let key = Self(key);
        if key == Self::well_known() {
            return Err(KeyError::Default);
        }
        Ok(key)
    }

    pub(crate) const fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_32_digits_and_never_the_one_that_everybody_knows() {
        let key = Key::parse(" 000102030405060708090A0b0c0d0e0f\n").expect("a key");
        assert_eq!(key.bytes()[10..], [10, 11, 12, 13, 14, 15]);
        assert_eq!(format!("{key:?}"), "Key(***)");
        for wrong in [
            "",
            "00",
            "000102030405060708090a0b0c0d0e0",
            "+00102030405060708090a0b0c0d0e0f",
        ] {
            assert_eq!(Key::parse(wrong), Err(KeyError::Digits), "{wrong}");
        }
        assert_eq!(
            Key::parse("303132333435363738393a3b3c3d3e3f"),
            Err(KeyError::Default)
        );
    }
}
