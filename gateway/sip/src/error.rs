//! What was found, what was expected, and where.

use crate::message::HeaderName;

/// Longest piece of input quoted in an error, in characters.
const QUOTED: usize = 24;

/// A text that does not follow its grammar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: found {found:?}, expected {expected}")]
pub struct SyntaxError {
    /// Byte offset in the text that was parsed.
    pub offset: usize,
    /// The text from there on, at most 24 characters; empty at the end of the text.
    pub found: String,
    /// What the grammar allows there.
    pub expected: &'static str,
}

impl SyntaxError {
    /// Error at byte `offset` of `text`.
    #[must_use]
    pub fn at(text: &str, offset: usize, expected: &'static str) -> Self {
        let rest = text.get(offset..).or_else(|| {
            text.char_indices()
                .map(|(i, _)| i)
                .find(|i| *i > offset)
                .and_then(|i| text.get(i..))
        });
        Self {
            offset,
            found: rest.unwrap_or_default().chars().take(QUOTED).collect(),
            expected,
        }
    }

    /// The same error seen from an enclosing text in which the parsed one begins at `by`.
    #[must_use]
    pub fn shifted(mut self, by: usize) -> Self {
        self.offset += by;
        self
    }
}

/// A header field that is missing, repeated or malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The value does not follow its grammar; the offset counts within the value.
    #[error("{name}: {source}")]
    Malformed {
        /// Which header field.
        name: HeaderName,
        /// What is wrong.
        source: SyntaxError,
    },
    /// The field is needed and absent.
    #[error("{name}: missing")]
    Missing {
        /// Which header field.
        name: HeaderName,
    },
    /// The field may stand once and stands more often.
    #[error("{name}: found {count} times, allowed once")]
    Repeated {
        /// Which header field.
        name: HeaderName,
        /// How often it stands there.
        count: usize,
    },
}
