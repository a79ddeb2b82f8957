//! The profiles that come with the program, and the families of which there is none.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::profile::Profile;

/// Every profile by name, with its text; the names are those of the files.
const TEXTS: [(&str, &str); 14] = [
    ("1n", include_str!("../../../config/panels/1n.toml")),
    ("4n", include_str!("../../../config/panels/4n.toml")),
    ("ab-loop", include_str!("../../../config/panels/ab-loop.toml")),
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

/// Families that are refused, by the names under which people look for them, and what helps.
const REFUSED: [(&str, &str); 8] = [
    (
        "abb-welcome",
        "ABB-Welcome and Busch-Welcome talk in frames on their bus",
    ),
    (
        "bticino-scs",
        "BTicino SCS talks in frames on its bus, and those of intercoms differ from site to site",
    ),
    ("comelit-simplebus-1", "Simplebus 1 talks in frames on its bus"),
    (
        "comelit-simplebus-2",
        "Simplebus 2 talks in bursts of 25 kHz on its bus",
    ),
    (
        "siedle-in-home",
        "the Siedle In-Home bus talks in frames, and no table of them is public",
    ),
    ("tcs-bus", "TCS:BUS talks in frames on its bus"),
    (
        "urmet-2voice",
        "Urmet 2Voice talks in frames that nobody has published",
    ),
    (
        "wb-domofon",
        "WB-Domofon is a Modbus device and no line of a front end",
    ),
];

/// A name under which there is no profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A family that cannot be served.
    #[error(
        "{name}: {why}, which this version does not decode; tap the bell output and the button of a handset instead: handset-tap"
    )]
    Refused {
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
    if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return Err(NameError::Refused {
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
    REFUSED.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn a_family_that_talks_in_frames_is_refused_by_name() {
        for (name, _) in refused_families() {
            let error = profile_named(name).expect_err(name).to_string();
            assert!(
                error.starts_with(name) && error.contains("handset-tap"),
                "{error}"
            );
        }
        let error = profile_named("visit").expect_err("no such name").to_string();
        assert!(error.contains("there are: 1n, 4n"), "{error}");
    }
}
