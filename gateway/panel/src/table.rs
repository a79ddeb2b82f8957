//! The profiles that come with the program, and the families of which there is none.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::profile::Profile;

/// Every profile by name, with its text; the names are those of the files.
const TEXTS: [(&str, &str); 19] = [
    ("1n", include_str!("../../../config/panels/1n.toml")),
    ("4n", include_str!("../../../config/panels/4n.toml")),
    ("ab-loop", include_str!("../../../config/panels/ab-loop.toml")),
    (
        "busch-welcome",
        include_str!("../../../config/panels/busch-welcome.toml"),
    ),
    (
        "comelit-simplebus-1",
        include_str!("../../../config/panels/comelit-simplebus-1.toml"),
    ),
    (
        "comelit-simplebus-2",
        include_str!("../../../config/panels/comelit-simplebus-2.toml"),
    ),
    (
        "cyfral-matrix",
        include_str!("../../../config/panels/cyfral-matrix.toml"),
    ),
    (
        "eltis-matrix",
        include_str!("../../../config/panels/eltis-matrix.toml"),
    ),
    (
        "ftz-123-d12",
        include_str!("../../../config/panels/ftz-123-d12.toml"),
    ),
    (
        "handset-tap",
        include_str!("../../../config/panels/handset-tap.toml"),
    ),
    (
        "laskomex-digital",
        include_str!("../../../config/panels/laskomex-digital.toml"),
    ),
    (
        "metakom-matrix",
        include_str!("../../../config/panels/metakom-matrix.toml"),
    ),
    ("scs", include_str!("../../../config/panels/scs.toml")),
    ("tcs-bus", include_str!("../../../config/panels/tcs-bus.toml")),
    ("siedle-1n", include_str!("../../../config/panels/siedle-1n.toml")),
    (
        "urmet-1130",
        include_str!("../../../config/panels/urmet-1130.toml"),
    ),
    (
        "urmet-1133",
        include_str!("../../../config/panels/urmet-1133.toml"),
    ),
    (
        "vizit-matrix",
        include_str!("../../../config/panels/vizit-matrix.toml"),
    ),
    (
        "digital-count",
        include_str!("../../../config/panels/digital-count.toml"),
    ),
];

/// What helps where frames are not decoded.
const TAP: &str = "which this version does not decode; tap the bell output and the button of a handset instead: handset-tap";

/// Why a digital line of a make whose coordinate-matrix line has a profile has none.
const DIGITAL: &str = "no table says which pulses of its digital lines are a ring";

/// What helps there.
const COUNTED: &str = "but where it counts pulses, as doorline panel learn tells from a recording, digital-count is the profile, else tap a handset: handset-tap";

/// Names under which there is no profile, though people look for one: why, and what helps.
const REFUSED: [(&str, &str, &str); 9] = [
    (
        "abb-welcome",
        "ABB-Welcome and Busch-Welcome are the same bus",
        "whose profile is busch-welcome: docs/wiring/scs-and-welcome.md",
    ),
    (
        "bticino-scs",
        "BTicino's bus is known as SCS",
        "whose profile is scs: docs/wiring/scs-and-welcome.md",
    ),
    ("cyfral-digital", DIGITAL, COUNTED),
    ("eltis-digital", DIGITAL, COUNTED),
    ("metakom-digital", DIGITAL, COUNTED),
    (
        "siedle-in-home",
        "the Siedle In-Home bus talks in frames, and no table of them is public",
        TAP,
    ),
    (
        "urmet-2voice",
        "Urmet 2Voice talks in frames that nobody has published",
        TAP,
    ),
    (
        "wb-domofon",
        "WB-Domofon is a Modbus device and no line of a front end",
        "it is an input and an output by Modbus, or at the broker of a Wiren Board controller: docs/wiring/wb-domofon.md",
    ),
    ("vizit-digital", DIGITAL, COUNTED),
];

/// A name under which there is no profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A family that cannot be served.
    #[error("{name}: {why}, {instead}")]
    Refused {
        /// What helps.
        instead: &'static str,
        /// What was asked for.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// No such profile.
    #[error("{name:?} is no profile; there are: {}", .known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
}

fn table() -> &'static BTreeMap<&'static str, (&'static str, Profile)> {
    static TABLE: OnceLock<BTreeMap<&'static str, (&'static str, Profile)>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let read = |(name, text)| Some((name, (text, Profile::parse(text).ok()?)));
        TEXTS.into_iter().filter_map(read).collect()
    })
}

/// Every profile that comes with the program: name, text, and what it says.
pub fn profiles() -> impl Iterator<Item = (&'static str, &'static str, &'static Profile)> {
    table()
        .iter()
        .map(|(name, (text, profile))| (*name, *text, profile))
}

/// The profile of a name.
///
/// # Errors
/// [`NameError`], which says what there is, or why a family cannot be served.
pub fn profile_named(name: &str) -> Result<&'static Profile, NameError> {
    if let Some((_, profile)) = table().get(name) {
        return Ok(profile);
    }
    if let Some((_, why, instead)) = REFUSED.iter().find(|(refused, ..)| *refused == name) {
        return Err(NameError::Refused {
            instead,
            name: name.to_owned(),
            why,
        });
    }
    Err(NameError::Unknown {
        name: name.chars().take(60).collect(),
        known: table().keys().copied().collect(),
    })
}

/// Families without a profile, with the reason.
pub fn refused_families() -> impl Iterator<Item = (&'static str, &'static str)> {
    REFUSED.into_iter().map(|(name, why, _)| (name, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{BusAddress, Frame};
    use crate::profile::{DoorBy, RingInput};

    #[test]
    fn every_profile_that_comes_with_the_program_is_one() {
        for (name, text) in TEXTS {
            let profile = Profile::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!profile.panels.is_empty() && !profile.notes.is_empty(), "{name}");
        }
        assert_eq!(profiles().count(), TEXTS.len());
    }

    /// Times that people measured, milliseconds: before answering, off-hook before opening, press, hold, silence that ends
    /// a ring.
    #[test]
    fn times_are_those_that_were_published() {
        for (name, answer, before, press, hold, off) in [
            ("vizit-matrix", 400, 1000, 300, 500, 4000),
            ("metakom-matrix", 400, 1000, 300, 500, 4000),
            ("eltis-matrix", 0, 1200, 600, 0, 2000),
            ("cyfral-matrix", 0, 1000, 100, 1000, 5000),
            ("laskomex-digital", 1000, 1000, 600, 2000, 4000),
        ] {
            let profile = profile_named(name).expect(name);
            let door = profile.door.expect(name);
            let times = (
                profile.hook.settle_ms,
                door.off_hook_ms,
                door.press_ms,
                door.hold_ms,
            );
            assert_eq!(times, (answer, before, press, hold), "{name}");
            assert_eq!(profile.off().as_millis(), off, "{name}");
        }
        // FTZ 123 D 12: the contact of the opener is closed for at least 3 s
        let ftz = profile_named("ftz-123-d12").expect("there");
        assert_eq!(
            ftz.door.map(|d| (d.by, d.press_ms)),
            Some((DoorBy::Closing, 3000))
        );
        let RingInput::PulseCount(count) = &profile_named("laskomex-digital").expect("there").ring else {
            panic!("it counts")
        };
        assert_eq!(
            (count.reset_ms, count.ring, count.opened, count.wrong_code),
            (140, [9, 11], [22, 24], [17, 19])
        );
    }

    /// What the readers of these buses published: 0SSSSS80 calls serial SSSSS from door station 0, 1SSSSS41 is its floor call,
    /// 1SSSSS80 opens (AzonInc/Doorman; C30BA is the serial of its examples). Of Simplebus 48 and 50 call, 21 is the floor
    /// door, 16 opens (plusvic/simplebus2-intercom).
    #[test]
    fn frames_are_those_that_were_published() {
        let who = BusAddress {
            address: 0xC30BA,
            station: 0,
        };
        let tcs = profile_named("tcs-bus").expect("there");
        let shown = |profile: &Profile, who| -> Vec<String> {
            let frames = profile.patterns().map(|pattern| pattern.frame(who));
            frames.map(|frame| frame.expect("a frame").to_string()).collect()
        };
        assert_eq!(shown(tcs, who), ["0c30ba80", "1c30ba41", "1c30ba80"]);
        assert_eq!(
            shown(tcs, BusAddress { station: 63, ..who }),
            ["0c30babf", "1c30ba41", "1c30babf"]
        );
        let who = BusAddress {
            address: 12,
            station: 0,
        };
        let commands = |name| -> Vec<u128> {
            let patterns = profile_named(name).expect(name).patterns();
            patterns
                .map(|p| p.frame(who).expect("a frame").value >> 8)
                .collect()
        };
        assert_eq!(commands("comelit-simplebus-1"), [48, 50, 21, 16]);
        assert_eq!(commands("comelit-simplebus-2"), [48, 50, 21]);
        for (_, _, profile) in profiles() {
            let row = profile.opening(who).and_then(|(coding, frame)| coding.row(frame));
            let longest = row.into_iter().flat_map(|row| {
                let active = row.into_iter().step_by(2);
                active.collect::<Vec<_>>()
            });
            assert!(longest.max().unwrap_or(0) <= 6000, "{}", profile.title);
        }
    }

    /// Of SCS the telegram with 60 that door station 91 sends calls the apartment between them (Stapelberg). Of ABB-Welcome kind
    /// 01 from a door station 20xx calls an indoor station 10xx, and kind 11 is its floor call (Mat931/esp32-doorbell-bus-interface);
    /// addresses of three bytes are those of issue 4 there.
    #[test]
    fn telegrams_are_those_that_were_published() {
        let calls = |name: &str, value: u128, bytes: u8, address| {
            let who = BusAddress { address, station: 0 };
            let input = profile_named(name).expect(name).frame_input().expect("a bus");
            let bits = bytes * 8;
            let frame = Frame { bits, value };
            let rings = input.call.iter().any(|call| call.is_for(frame, who));
            (rings, input.floor.is_some_and(|floor| floor.is_for(frame, who)))
        };
        let (ring, floor, none) = ((true, false), (false, true), (false, false));
        assert_eq!(calls("scs", 0x9103_6008, 4, 3), ring);
        assert_eq!(calls("scs", 0x9103_6008, 4, 4), none);
        assert_eq!(calls("scs", 0x9003_6008, 4, 3), none);
        assert_eq!(calls("scs", 0x9103_1201, 4, 3), none);
        assert_eq!(calls("busch-welcome", 0x0001_100C_2001, 6, 12), ring);
        assert_eq!(calls("busch-welcome", 0x01_0110_0C20_0100, 7, 12), ring);
        assert_eq!(calls("busch-welcome", 0x0001_100C_2001, 6, 13), none);
        assert_eq!(calls("busch-welcome", 0x0081_2001_100C, 6, 12), none);
        assert_eq!(calls("busch-welcome", 0x0401_100C_2001, 6, 12), ring);
        assert_eq!(calls("busch-welcome", 0x4001_0001_0C00_0201, 8, 12), ring);
        assert_eq!(calls("busch-welcome", 0x0011_2001_100C, 6, 12), floor);
        assert_eq!(calls("busch-welcome", 0x03_0D40_0110_0CAB_CDEF, 9, 12), none);
        assert!(profile_named("scs").expect("there").door.is_none());
        assert!(profile_named("busch-welcome").expect("there").door.is_none());
    }

    #[test]
    fn a_family_whose_frames_nobody_knows_is_refused_by_name() {
        for (name, _) in refused_families() {
            let error = profile_named(name).expect_err(name).to_string();
            let helps = match name {
                "abb-welcome" => "busch-welcome:",
                "bticino-scs" => "is scs:",
                "wb-domofon" => "wb-domofon.md",
                "cyfral-digital" | "eltis-digital" | "metakom-digital" | "vizit-digital" => "digital-count",
                _ => "handset-tap",
            };
            assert!(error.starts_with(name) && error.contains(helps), "{error}");
        }
        let error = profile_named("visit").expect_err("no such name").to_string();
        assert!(error.contains("there are: 1n, 4n"), "{error}");
    }
}
