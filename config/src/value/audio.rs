//! Where the audio of a line comes from and goes to.

use std::fmt;
use std::path::PathBuf;

use crate::rules::FromText;

/// What the visitor of a virtual line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capture {
    /// A WAV file, looped.
    File(PathBuf),
    /// Nothing.
    Silence,
    /// A sine of so many Hz, 50 to 7000.
    Tone(u32),
}

impl fmt::Display for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Silence => f.write_str("silence"),
            Self::Tone(hz) => write!(f, "tone:{hz}"),
        }
    }
}

impl FromText for Capture {
    const WHAT: &'static str = "a source of audio";
    fn from_text(text: &str) -> Result<Self, String> {
        let allowed = || "tone:HZ with 50 to 7000 Hz, silence, or the path of a WAV file".to_owned();
        if let Some(hz) = text.strip_prefix("tone:") {
            let hz: u32 = hz.parse().map_err(|_| allowed())?;
            return (50..=7000)
                .contains(&hz)
                .then_some(Self::Tone(hz))
                .ok_or_else(allowed);
        }
        match text {
            "silence" => Ok(Self::Silence),
            "" => Err(allowed()),
            path if path.contains('\0') => Err(allowed()),
            path => Ok(Self::File(path.into())),
        }
    }
}

/// What becomes of the audio that the visitor of a virtual line would hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Playback {
    /// It is dropped.
    Discard,
    /// It is written to a WAV file.
    File(PathBuf),
}

impl fmt::Display for Playback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discard => f.write_str("discard"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl FromText for Playback {
    const WHAT: &'static str = "a destination of audio";
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "discard" => Ok(Self::Discard),
            "" => Err("discard, or the path of a WAV file".to_owned()),
            path if path.contains('\0') => Err("discard, or the path of a WAV file".to_owned()),
            path => Ok(Self::File(path.into())),
        }
    }
}

/// Id of a sound card.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SoundCard(String);

impl SoundCard {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SoundCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromText for SoundCard {
    const WHAT: &'static str = "the id of a sound card";
    const PATTERN: Option<&'static str> = Some("^[A-Za-z0-9_-]{1,15}$");
    fn from_text(text: &str) -> Result<Self, String> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        ((1..=15).contains(&text.len()) && text.bytes().all(fits))
            .then(|| Self(text.to_owned()))
            .ok_or_else(|| {
                "1 to 15 letters, digits, _ and -, as in brackets in /proc/asound/cards".to_owned()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_named_by_its_id() {
        assert_eq!(
            SoundCard::from_text("Device_1").expect("an id").as_str(),
            "Device_1"
        );
        for bad in ["", "hw:0", "a b", "sixteen-letters-"] {
            assert!(SoundCard::from_text(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tones_have_limits() {
        assert_eq!(Capture::from_text("tone:440"), Ok(Capture::Tone(440)));
        assert_eq!(Capture::from_text("a.wav"), Ok(Capture::File("a.wav".into())));
        for bad in ["", "tone:", "tone:1", "tone:9000", "tone:x"] {
            assert!(Capture::from_text(bad).is_err(), "{bad:?}");
        }
    }
}
