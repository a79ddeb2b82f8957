//! What a kind of line is, as data.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

use crate::frames::{BusAddress, Coding, Frame, FrameInput, FramePattern, length};

/// One kind of line, by panel and switch model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    /// Name for people.
    pub title: String,
    /// Panels that ring on such lines.
    pub panels: Vec<String>,
    /// Switches, amplifiers or power supplies between panel and line; empty if the panel needs none.
    #[serde(default)]
    pub switches: Vec<String>,
    /// What the numbers below rest on.
    pub proven: Proven,
    /// What an electrician has to know before wiring it.
    pub notes: Vec<String>,
    /// What the line can do.
    pub can: Can,
    /// How it rings.
    pub ring: RingInput,
    /// How it tells that the stock handset is lifted; left out, an input that is wired for it is low then.
    #[serde(default)]
    pub handset: HandsetSense,
    /// How the gateway takes the place of the handset.
    pub hook: Hook,
    /// How it opens its door; left out if the line itself cannot.
    pub door: Option<DoorOutput>,
}

/// What the numbers of a profile rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proven {
    /// Published by a maker or a standard; here it was only simulated.
    Published,
    /// Reported by people who built it; here it was only simulated.
    Reported,
}

impl Proven {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Published => "published by a maker or a standard; on this gateway only simulated",
            Self::Reported => "reported by people who built it; on this gateway only simulated",
        }
    }
}

/// What a line can do. What it cannot do is refused by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Can {
    /// Can the gateway open the talk path without a ring?
    pub call_in: CallIn,
    /// When the line can open its door.
    pub open_when: OpenWhen,
    /// Who times and holds the lock that the line opens.
    pub lock_owner: LockOwner,
    /// How many panels ring on it.
    pub panels: Panels,
    /// How the visitor is heard.
    pub talk: TalkPath,
    /// How long the panel rings, 10 to 600 s.
    pub ring_window_s: u32,
    /// How long the panel lets talk, 10 to 3600 s.
    pub talk_window_s: u32,
}

/// Can the talk path be opened without a ring?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallIn {
    /// No.
    None,
    /// Yes.
    SelfStart,
}

/// When a line can open its door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpenWhen {
    /// From a ring until the end of the talk that it led to.
    Ringing,
    /// While somebody is off-hook.
    OffHook,
    /// At any time.
    Always,
}

impl OpenWhen {
    /// The word of the site file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ringing => "ringing",
            Self::OffHook => "off-hook",
            Self::Always => "always",
        }
    }
}

/// Who times and holds the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockOwner {
    /// The gateway.
    Gateway,
    /// The panel.
    Panel,
}

/// How many panels ring on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Panels {
    /// Several: one takes the line, the others wait.
    Many,
    /// One.
    One,
}

/// How the visitor is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TalkPath {
    /// A wire for each direction, with a common one.
    FourWire,
    /// Not at all.
    None,
    /// Both directions on one pair.
    TwoWire,
}

/// Which level means it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Polarity {
    /// The high one.
    High,
    /// The low one: an optocoupler that pulls the input down.
    Low,
}

impl Polarity {
    /// Is this level the one that means it?
    #[must_use]
    pub const fn is_active(self, level: bool) -> bool {
        matches!(self, Self::High) == level
    }
}

/// How a line rings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RingInput {
    /// An alternating voltage or a tone, whose half waves a front end sees one by one.
    Burst(BurstInput),
    /// Frames on a bus, which say whom they are for.
    Frame(FrameInput),
    /// A level: direct voltage, or a tone behind an optocoupler that holds over its pauses.
    Level(LevelInput),
    /// Pulses that are counted: their number is the apartment.
    PulseCount(PulseInput),
}

/// A level that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LevelInput {
    /// Which level is a ring.
    pub active: Polarity,
    /// It rings when the level has stood for so long, 5 to 1000 ms.
    pub on_ms: u32,
    /// The ring is over after so much silence, 500 to 10000 ms. It has to be longer than the pauses of the ring.
    pub off_ms: u32,
}

/// Half waves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BurstInput {
    /// Edges no further apart than this belong to one burst, 100 to 60000 µs: half a wave of the lowest frequency, and a
    /// little more.
    pub longest_us: u32,
    /// Edges closer than this are noise, 20 to 10000 µs.
    pub shortest_us: u32,
    /// So many such edges in a row are a ring, 4 to 200.
    pub edges: u32,
    /// The ring is over after so much silence, 500 to 10000 ms.
    pub off_ms: u32,
}

/// Pulses that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PulseInput {
    /// Level of the line at rest.
    pub idle: Polarity,
    /// The line has to be at rest for so long before a count, 20 to 1000 ms.
    pub reset_ms: u32,
    /// The count is over at the latest so long after the line rose, 5 to 1000 ms.
    pub window_ms: u32,
    /// Shortest pulse, 2 to 1000 µs.
    pub shortest_us: u32,
    /// Longest pulse, 2 to 1000 µs.
    pub longest_us: u32,
    /// The count is over when no pulse came for so long, 1 to 100 ms.
    pub quiet_ms: u32,
    /// What follows the count is listened to for so long, 5 to 100 ms.
    pub tone_ms: u32,
    /// Periods of the tone in this time that are a ring, as first and last.
    pub ring: [u32; 2],
    /// Periods that mean that the panel opens.
    pub opened: [u32; 2],
    /// Periods that mean a wrong code at the panel.
    pub wrong_code: [u32; 2],
    /// The ring is over after so much silence, 500 to 10000 ms.
    pub off_ms: u32,
}

/// How a line tells that its handset is lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HandsetSense {
    /// Which level is a lifted handset.
    pub active: Polarity,
    /// A level counts when it has stood for so long, 5 to 1000 ms.
    pub on_ms: u32,
}

impl Default for HandsetSense {
    /// An optocoupler at the hook switch.
    fn default() -> Self {
        Self {
            active: Polarity::Low,
            on_ms: 30,
        }
    }
}

/// How the gateway takes the place of the handset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hook {
    /// From taking the line to going off-hook, 0 to 5000 ms: the panel ignores who is too quick.
    pub settle_ms: u32,
    /// After hanging up a ring counts only once the line has been quiet for so long, 0 to 10000 ms.
    pub rest_ms: u32,
}

/// How a line opens its door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DoorOutput {
    /// What the relay does to the line.
    pub by: DoorBy,
    /// The frame that opens, if it opens by one: on the line's own bus, for its own address.
    pub frame: Option<FramePattern>,
    /// How long it is pressed, 50 to 5000 ms; left out where it opens by a frame, whose coding says that.
    #[serde(default)]
    pub press_ms: u32,
    /// How often it is pressed or the frame is sent, 1 to 5; all of it lies within the strike time of the door.
    pub presses: u32,
    /// Pause between, 100 to 5000 ms.
    pub pause_ms: u32,
    /// The line has to be off-hook for so long before, 0 to 3000 ms; 0 if it need not be off-hook at all.
    pub off_hook_ms: u32,
    /// The panel has to be quiet for so long before, 0 to 2000 ms; 0 if it need not.
    pub quiet_ms: u32,
    /// The line stays off-hook for so long after, 0 to 5000 ms.
    pub hold_ms: u32,
}

/// What the relay of the door does to the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DoorBy {
    /// It closes a contact: the button of the handset, or a potential-free contact.
    Closing,
    /// It sends a frame on the bus of the line: the output drives the bus.
    Frame,
    /// It opens the line for a moment, as the button of a matrix handset does.
    LineBreak,
    /// It puts another load on the line.
    Load,
}

/// A text that is no profile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Values that do not go together.
    #[error("{key}: {found} does not go with {other}: {hint}")]
    Conflict {
        /// Which key.
        key: &'static str,
        /// Its value.
        found: String,
        /// The other key.
        other: &'static str,
        /// What is allowed.
        hint: &'static str,
    },
    /// A number out of its range.
    #[error("{key}: {found} is out of range, allowed are {} to {}", .allowed.start(), .allowed.end())]
    Range {
        /// Which key.
        key: &'static str,
        /// What was found.
        found: u32,
        /// What is allowed.
        allowed: RangeInclusive<u32>,
    },
    /// Not TOML, or keys that are missing or unknown.
    #[error("{0}")]
    Text(#[from] Box<toml::de::Error>),
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// [`ProfileError`] for what is no profile, with the key and what is allowed.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let profile: Self = toml::from_str(text).map_err(Box::new)?;
        profile.check()?;
        Ok(profile)
    }

    fn check(&self) -> Result<(), ProfileError> {
        let within = |key, found: u32, allowed: RangeInclusive<u32>| {
            if allowed.contains(&found) {
                Ok(())
            } else {
                Err(ProfileError::Range { key, found, allowed })
            }
        };
        within("can.ring-window-s", self.can.ring_window_s, 10..=600)?;
        within("can.talk-window-s", self.can.talk_window_s, 10..=3600)?;
        within("hook.settle-ms", self.hook.settle_ms, 0..=5000)?;
        within("hook.rest-ms", self.hook.rest_ms, 0..=10_000)?;
        within("handset.on-ms", self.handset.on_ms, 5..=1000)?;
        match &self.ring {
            RingInput::Burst(ring) => {
                within("ring.burst.longest-us", ring.longest_us, 100..=60_000)?;
                within("ring.burst.shortest-us", ring.shortest_us, 20..=10_000)?;
                within("ring.burst.edges", ring.edges, 4..=200)?;
                within("ring.burst.off-ms", ring.off_ms, 500..=10_000)?;
                ordered(
                    "ring.burst.shortest-us",
                    ring.shortest_us,
                    "ring.burst.longest-us",
                    ring.longest_us,
                )?;
            }
            RingInput::Frame(ring) => {
                within("ring.frame.off-ms", ring.off_ms, 5000..=120_000)?;
                ring.check()?;
            }
            RingInput::Level(ring) => {
                within("ring.level.on-ms", ring.on_ms, 5..=1000)?;
                within("ring.level.off-ms", ring.off_ms, 500..=10_000)?;
            }
            RingInput::PulseCount(ring) => {
                within("ring.pulse-count.reset-ms", ring.reset_ms, 20..=1000)?;
                within("ring.pulse-count.window-ms", ring.window_ms, 5..=1000)?;
                within("ring.pulse-count.shortest-us", ring.shortest_us, 2..=1000)?;
                within("ring.pulse-count.longest-us", ring.longest_us, 2..=1000)?;
                within("ring.pulse-count.quiet-ms", ring.quiet_ms, 1..=100)?;
                within("ring.pulse-count.tone-ms", ring.tone_ms, 5..=100)?;
                within("ring.pulse-count.off-ms", ring.off_ms, 500..=10_000)?;
                let (short, long) = ("ring.pulse-count.shortest-us", "ring.pulse-count.longest-us");
                ordered(short, ring.shortest_us, long, ring.longest_us)?;
                tones(ring)?;
            }
        }
        if let Some(door) = &self.door {
            self.opener(door)?;
            if door.by != DoorBy::Frame {
                within("door.press-ms", door.press_ms, 50..=5000)?;
            }
            within("door.presses", door.presses, 1..=5)?;
            within("door.pause-ms", door.pause_ms, 100..=5000)?;
            within("door.off-hook-ms", door.off_hook_ms, 0..=3000)?;
            within("door.quiet-ms", door.quiet_ms, 0..=2000)?;
            within("door.hold-ms", door.hold_ms, 0..=5000)?;
        }
        Ok(())
    }

    /// Frame and press do not go together, and a frame needs a bus that has such frames.
    fn opener(&self, door: &DoorOutput) -> Result<(), ProfileError> {
        let conflict = |key, found: String, other, hint| {
            Err(ProfileError::Conflict {
                key,
                found,
                other,
                hint,
            })
        };
        match (door.by, door.frame, &self.ring) {
            (DoorBy::Frame, Some(frame), RingInput::Frame(ring)) => {
                if door.press_ms != 0 {
                    let hint = "how long a frame is, its coding says: leave press-ms out";
                    return conflict("door.press-ms", door.press_ms.to_string(), "door.by", hint);
                }
                if frame.is_vague() {
                    let hint = "what is sent says everything: no ? and no *";
                    return conflict("door.frame", frame.to_string(), "door.by", hint);
                }
                length("door.frame", frame, ring.coding)?;
                let to = BusAddress::default();
                if frame
                    .frame(to)
                    .is_none_or(|frame| ring.coding.row(frame).is_none())
                {
                    let hint = "its first byte says how many bytes of data there are, and how long addresses";
                    return conflict("door.frame", frame.to_string(), "ring.frame.coding", hint);
                }
                Ok(())
            }
            (DoorBy::Frame, None, _) => conflict(
                "door.by",
                "frame".to_owned(),
                "door.frame",
                "it says which frame opens",
            ),
            (
                DoorBy::Frame,
                Some(_),
                RingInput::Burst(_) | RingInput::Level(_) | RingInput::PulseCount(_),
            ) => {
                let hint = "a frame opens on a line whose ring is a frame";
                conflict("door.by", "frame".to_owned(), "ring", hint)
            }
            (DoorBy::Closing | DoorBy::LineBreak | DoorBy::Load, Some(frame), _) => conflict(
                "door.frame",
                frame.to_string(),
                "door.by",
                "needed: by = \"frame\"",
            ),
            (DoorBy::Closing | DoorBy::LineBreak | DoorBy::Load, None, _) => Ok(()),
        }
    }

    /// How its frames ring, if it rings by frames.
    #[must_use]
    pub const fn frame_input(&self) -> Option<&FrameInput> {
        match &self.ring {
            RingInput::Frame(input) => Some(input),
            RingInput::Burst(_) | RingInput::Level(_) | RingInput::PulseCount(_) => None,
        }
    }

    /// All patterns of frames, heard and sent.
    pub fn patterns(&self) -> impl Iterator<Item = FramePattern> {
        let heard = self.frame_input().into_iter().flat_map(FrameInput::patterns);
        heard.chain(self.door.and_then(|door| door.frame))
    }

    /// True if its frames say for whom they are, or what door station they are about.
    #[must_use]
    pub fn asks_who(&self) -> bool {
        self.patterns().any(|of| of.has_address() || of.has_station())
    }

    /// Who a line is on its bus: anybody, where no frame says for whom it is.
    #[must_use]
    pub fn who(&self, bus: Option<BusAddress>) -> Option<BusAddress> {
        bus.or_else(|| (!self.asks_who()).then(BusAddress::default))
    }

    /// The frame that opens, and how it stands on the wires; `None` if the line does not open by a frame, or cannot name this
    /// address.
    #[must_use]
    pub fn opening(&self, who: BusAddress) -> Option<(Coding, Frame)> {
        let frame = self.door.filter(|door| door.by == DoorBy::Frame)?.frame?;
        Some((self.frame_input()?.coding, frame.frame(who)?))
    }

    /// The silence that ends a ring.
    #[must_use]
    pub fn off(&self) -> Duration {
        let ms = match &self.ring {
            RingInput::Burst(ring) => ring.off_ms,
            RingInput::Frame(ring) => ring.off_ms,
            RingInput::Level(ring) => ring.off_ms,
            RingInput::PulseCount(ring) => ring.off_ms,
        };
        Duration::from_millis(ms.into())
    }

    /// True if the line says whom it rings.
    #[must_use]
    pub const fn names_apartments(&self) -> bool {
        matches!(self.ring, RingInput::PulseCount(_))
    }
}

fn ordered(key: &'static str, found: u32, other: &'static str, most: u32) -> Result<(), ProfileError> {
    if found < most {
        return Ok(());
    }
    Err(ProfileError::Conflict {
        key,
        found: found.to_string(),
        other,
        hint: "the shortest has to be shorter than the longest",
    })
}

/// The three tones are told apart by their counts: none may overlap.
fn tones(ring: &PulseInput) -> Result<(), ProfileError> {
    let named = [
        ("ring.pulse-count.ring", ring.ring),
        ("ring.pulse-count.opened", ring.opened),
        ("ring.pulse-count.wrong-code", ring.wrong_code),
    ];
    for (at, (key, [first, last])) in named.iter().enumerate() {
        let overlaps = |(_, [a, b]): &&(&'static str, [u32; 2])| first <= b && a <= last;
        let wrong = if first > last || *first == 0 {
            Some((
                *key,
                "first and last, the first at least 1 and no larger than the last",
            ))
        } else {
            let other = named.iter().skip(at + 1).find(overlaps);
            other.map(|(other, _)| (*other, "each count has one meaning"))
        };
        if let Some((other, hint)) = wrong {
            return Err(ProfileError::Conflict {
                key,
                found: format!("{first} to {last}"),
                other,
                hint,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MATRIX: &str = include_str!("../../../config/panels/vizit-matrix.toml");
    const COUNT: &str = include_str!("../../../config/panels/laskomex-digital.toml");

    #[track_caller]
    fn refused(text: &str, old: &str, new: &str, expected: &str) {
        assert!(text.contains(old), "{old}");
        let error = Profile::parse(&text.replacen(old, new, 1)).expect_err(new);
        assert!(error.to_string().contains(expected), "{new}: {error}");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_key_and_what_is_allowed() {
        refused(
            MATRIX,
            "on-ms = 50",
            "on-ms = 0",
            "ring.level.on-ms: 0 is out of range, allowed are 5 to 1000",
        );
        refused(
            MATRIX,
            "settle-ms = 400",
            "settle-ms = 9999",
            "allowed are 0 to 5000",
        );
        refused(MATRIX, "settle-ms", "settel-ms", "unknown field `settel-ms`");
        refused(MATRIX, "line-break", "magic", "unknown variant `magic`");
        refused(MATRIX, "presses = 1", "presses = 6", "allowed are 1 to 5");
        refused(
            COUNT,
            "ring = [9, 11]",
            "ring = [9, 17]",
            "each count has one meaning",
        );
        refused(
            COUNT,
            "ring = [9, 11]",
            "ring = [11, 9]",
            "no larger than the last",
        );
        refused(COUNT, "shortest-us = 8", "shortest-us = 40", "has to be shorter");
    }

    const FRAMES: &str = include_str!("../../../config/panels/tcs-bus.toml");

    #[test]
    fn frames_fit_their_coding_and_a_frame_opens_on_a_bus_only() {
        refused(FRAMES, "01000001\"", "0100000\"", "a pattern of 31 bits");
        refused(FRAMES, "01000001\"", "0100000x\"", "is no pattern of a frame");
        refused(
            FRAMES,
            "\"tcs\"",
            "\"simplebus\"",
            "6 bits of command and 8 of address",
        );
        refused(
            FRAMES,
            "off-ms = 30000",
            "off-ms = 4999",
            "allowed are 5000 to 120000",
        );
        refused(
            FRAMES,
            "call = [\"0000 aaaaaaaaaaaaaaaaaaaa 10ssssss\"]",
            "call = []",
            "ring.frame.call: 0 is out of range",
        );
        refused(
            FRAMES,
            "floor = \"0001 aaaaaaaaaaaaaaaaaaaa 01000001\"",
            "floor = \"0000 aaaaaaaaaaaaaaaaaaaa 10ssssss\"",
            "each frame has one meaning",
        );
        refused(
            FRAMES,
            "by = \"frame\"\nframe = \"0001 aaaaaaaaaaaaaaaaaaaa 10ssssss\"",
            "by = \"frame\"",
            "it says which frame opens",
        );
        refused(
            FRAMES,
            "by = \"frame\"",
            "by = \"closing\"",
            "needed: by = \"frame\"",
        );
        refused(
            FRAMES,
            "presses = 1",
            "presses = 1\npress-ms = 300",
            "leave press-ms out",
        );
        refused(FRAMES, "01000001\"", "01000001 *\"", "is no pattern of a frame");
        let open = "hex 0@ @@ @@ 80 *";
        refused(
            FRAMES,
            "0000 aaaaaaaaaaaaaaaaaaaa 10ssssss",
            open,
            "its frames have one length",
        );
        let frame = "by = \"frame\"\nframe = \"0001 aaaaaaaa 10ss\"";
        refused(MATRIX, "by = \"line-break\"", frame, "whose ring is a frame");
        refused(MATRIX, "press-ms = 300\n", "", "door.press-ms: 0 is out of range");
    }

    const WELCOME: &str = include_str!("../../../config/panels/busch-welcome.toml");

    #[test]
    fn a_telegram_that_opens_says_everything_and_its_head_how_long_it_is() {
        let door = |frame: &str| {
            format!(
                "off-ms = 30000\n[door]\nby = \"frame\"\nframe = \"{frame}\"\npresses = 1\npause-ms = 200\noff-hook-ms = 0\n\
                 quiet-ms = 100\nhold-ms = 0\n"
            )
        };
        let profile = WELCOME.replace("off-ms = 30000\n", &door("hex 03 0d 40 01 10 @@ ab cd ef"));
        let profile = Profile::parse(&profile).expect("a profile");
        let who = BusAddress {
            address: 12,
            station: 0,
        };
        let (coding, frame) = profile.opening(who).expect("a door");
        let sent = coding.telegram(frame, 7).expect("a telegram");
        assert_eq!(sent[..9], [0x55, 0xFF, 0x03, 0x0D, 0x40, 0x01, 0x10, 0x0C, 0x07]);
        assert_eq!(profile.opening(BusAddress { address: 256, ..who }), None);
        for (frame, expected) in [
            ("hex 03 0d 40 01 10 @@ ab cd e?", "what is sent says everything"),
            ("hex 03 0d 40 01 10 @@ ab cd ef *", "what is sent says everything"),
            ("hex 02 0d 40 01 10 @@ ab cd ef", "how many bytes of data"),
            ("hex 83 0d 40 01 10 @@ ab cd ef", "how many bytes of data"),
            ("hex 43 0d 40 01 10 @@ ab cd ef", "how long addresses"),
            ("hex 03 0d 40 01 10", "hex and 6 to 16 bytes"),
        ] {
            refused(WELCOME, "off-ms = 30000\n", &door(frame), expected);
        }
        let scs = include_str!("../../../config/panels/scs.toml");
        refused(
            scs,
            "hex 91 @@ 60 ??",
            "hex 91 @@ 60",
            "the 4 to 13 bytes between begin and check",
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(at in 0_usize..2000, noise in "\\PC{0,20}") {
            let at = (0..=at.min(MATRIX.len())).rev().find(|at| MATRIX.is_char_boundary(*at)).unwrap_or(0);
            let _ = Profile::parse(&format!("{}{noise}{}", &MATRIX[..at], &MATRIX[at..]));
            let _ = Profile::parse(&noise);
        }
    }
}
