//! What the display of a reader says.

use std::time::Duration;

/// Most characters of a text.
pub const LONGEST_TEXT: usize = 32;

/// Texts for the display, `None` for what is shown by lights only. Each is shown for a while; then the reader goes back to
/// its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// Nobody is let in.
    pub denied: Option<Text>,
    /// The door opens.
    pub granted: Option<Text>,
    /// More digits are awaited.
    pub wait_pin: Option<Text>,
}

/// A text that every display has letters for: 1 to [`LONGEST_TEXT`] printable characters of ASCII (v2.2, 6.12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(String);

/// A text that not every display can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A letter that is not in ASCII.
    #[error("{0:?} is in no display's alphabet: letters, digits and signs of ASCII are")]
    Letter(char),
    /// None, or too many.
    #[error("{0} characters, 1 to {LONGEST_TEXT} are allowed")]
    Length(usize),
}

impl Text {
    /// Reads a text.
    ///
    /// # Errors
    /// [`TextError`].
    pub fn new(text: &str) -> Result<Self, TextError> {
        if let Some(letter) = text.chars().find(|c| !(' '..='~').contains(c)) {
            return Err(TextError::Letter(letter));
        }
        if !(1..=LONGEST_TEXT).contains(&text.len()) {
            return Err(TextError::Length(text.len()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A text for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) text: Text,
    /// Whole seconds, at least one.
    pub(crate) time: Duration,
}

impl Shown {
    /// First reader, temporary and wrapped (4), from the first row and column.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Text(text) = &self.text;
        let seconds = u8::try_from(self.time.as_secs().max(1)).unwrap_or(u8::MAX);
        let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        [&[0, 4, seconds, 1, 1, length], text.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_goes_out_as_the_standard_has_it() {
        let shown = Shown {
            text: Text::new("Come in").expect("a text"),
            time: Duration::from_secs(3),
        };
        assert_eq!(shown.encode(), [&[0, 4, 3, 1, 1, 7], &b"Come in"[..]].concat());
    }

    #[test]
    fn a_text_that_a_display_has_no_letters_for_is_refused() {
        assert_eq!(Text::new("Türe"), Err(TextError::Letter('ü')));
        assert_eq!(Text::new("a\nb"), Err(TextError::Letter('\n')));
        assert_eq!(Text::new(""), Err(TextError::Length(0)));
        assert_eq!(Text::new(&"a".repeat(33)), Err(TextError::Length(33)));
    }

    proptest! {
        #[test]
        fn what_is_a_text_fits_into_its_length(text in ".{0,40}", seconds in 0_u64..1000) {
            if let Ok(text) = Text::new(&text) {
                let bytes = Shown { text, time: Duration::from_secs(seconds) }.encode();
                prop_assert_eq!(usize::from(bytes[5]), bytes.len() - 6);
                prop_assert!(bytes[2] > 0);
            }
        }
    }
}
