//! What every phone can do, whoever made it.

use std::time::Duration;

use crate::audio::Sound;
use crate::baresip::Phone;

/// How a key travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keys {
    /// RFC 4733.
    Events,
    /// INFO.
    Info,
    /// Tones in the speech.
    InBand,
}

/// A phone with one call.
pub trait Handset {
    /// Calls an address or a number.
    ///
    /// # Errors
    /// If the phone does not take the command, or, where it waits for that, nobody answers.
    fn dial(&mut self, to: &str) -> anyhow::Result<()>;

    /// Waits until it rings.
    ///
    /// # Errors
    /// If it does not in time.
    fn rings(&mut self, limit: Duration) -> anyhow::Result<()>;

    /// Answers the ringing call.
    ///
    /// # Errors
    /// If the phone does not take the command.
    fn answer(&mut self) -> anyhow::Result<()>;

    /// Waits until both sides have agreed on a call.
    ///
    /// # Errors
    /// If they do not in time.
    fn talks(&mut self, limit: Duration) -> anyhow::Result<()>;

    /// Presses a key.
    ///
    /// # Errors
    /// If this phone has no such way.
    fn key(&mut self, key: char, way: Keys) -> anyhow::Result<()>;

    /// Ends the call.
    ///
    /// # Errors
    /// If the phone does not take the command.
    fn hang_up(&mut self) -> anyhow::Result<()>;

    /// What it has heard in its newest call so far.
    ///
    /// # Errors
    /// If it has heard nothing yet.
    fn recording(&self) -> anyhow::Result<Sound>;

    /// What it speaks.
    fn voice(&self) -> &Sound;
}

impl Handset for Phone {
    fn dial(&mut self, to: &str) -> anyhow::Result<()> {
        Self::dial(self, to)
    }

    fn rings(&mut self, limit: Duration) -> anyhow::Result<()> {
        self.hears("CALL_INCOMING", limit).map(drop)
    }

    fn answer(&mut self) -> anyhow::Result<()> {
        Self::answer(self)
    }

    fn talks(&mut self, limit: Duration) -> anyhow::Result<()> {
        self.hears("CALL_ESTABLISHED", limit).map(drop)
    }

    fn key(&mut self, key: char, way: Keys) -> anyhow::Result<()> {
        match way {
            Keys::Events => self.press(key),
            Keys::Info => anyhow::bail!("baresip 1.0 sends no INFO for a key"),
            Keys::InBand => self.play_key(key),
        }
    }

    fn hang_up(&mut self) -> anyhow::Result<()> {
        Self::hang_up(self)
    }

    fn recording(&self) -> anyhow::Result<Sound> {
        Self::recording(self)
    }

    fn voice(&self) -> &Sound {
        Self::voice(self)
    }
}
