//! How a try to tell ended.

use std::time::Duration;

/// It was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSent {
    /// It may be accepted later: the channel waits and tries again.
    #[error("{text}")]
    Later {
        /// What was wrong, and what to do.
        text: String,
        /// The other side wants to be left alone for so long.
        wait: Option<Duration>,
    },
    /// This one will never be accepted: it is left out, and the next one is tried.
    #[error("{0}")]
    Never(String),
}

impl NotSent {
    /// To be tried again after the channel's own pause.
    pub(crate) fn later(text: impl Into<String>) -> Self {
        Self::Later {
            text: text.into(),
            wait: None,
        }
    }
}
