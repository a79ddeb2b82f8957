//! Text for the display of a reader.

use std::fmt;

use crate::rules::FromText;

/// Most characters of a text (two rows of sixteen).
const LONGEST: usize = 32;

/// Up to 32 printable characters of ASCII, which every display has; empty shows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayText(String);

impl DisplayText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DisplayText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromText for DisplayText {
    const WHAT: &'static str = "text for a display";
    const PATTERN: Option<&'static str> = Some("^[ -~]{0,32}$");
    fn from_text(text: &str) -> Result<Self, String> {
        if text.len() <= LONGEST && text.chars().all(|c| (' '..='~').contains(&c)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(
                "up to 32 letters, digits and signs of ASCII: displays of readers have no others, so ü is written ue"
                    .to_owned(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_has_the_letters_of_ascii_and_two_rows() {
        for fits in ["", "Please come in", &"x".repeat(32)] {
            assert_eq!(DisplayText::from_text(fits).expect("a text").as_str(), fits);
        }
        for wrong in ["Tür", "a\tb", &"x".repeat(33)] {
            assert!(DisplayText::from_text(wrong).is_err(), "{wrong}");
        }
    }
}
