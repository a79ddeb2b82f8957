//! Profiles of panel lines, and numbers of apartments.

use std::fmt;

use gateway_panel::{Apartments, MAX_APARTMENT, Profile, Ranges, profile_named, profiles};

use crate::rules::FromText;

/// The name of a profile that comes with the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelProfile(pub String);

impl fmt::Display for PanelProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromText for PanelProfile {
    const WHAT: &'static str = "the name of a profile of panel lines";
    fn from_text(text: &str) -> Result<Self, String> {
        match profile_named(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            // a family that cannot be served says why, by its name
            Err(error @ gateway_panel::NameError::Refused { .. }) => Err(error.to_string()),
            Err(_) => Err(profiles().map(|(name, ..)| name).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// A profile that the site file holds itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnProfile {
    /// What it says.
    pub profile: Profile,
    /// As it was written.
    pub text: String,
}

impl fmt::Display for OwnProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromText for OwnProfile {
    const WHAT: &'static str = "a profile of panel lines";
    fn from_text(text: &str) -> Result<Self, String> {
        let profile = Profile::parse(text).map_err(|error| {
            let error = error.to_string();
            let lines: Vec<&str> = error
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .collect();
            format!(
                "what `doorline panel show` prints, with other values; {}",
                lines.join(" ")
            )
        })?;
        let text = text.to_owned();
        Ok(Self { profile, text })
    }
}

impl FromText for Ranges {
    const WHAT: &'static str = "numbers of apartments";
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| format!("numbers from 1 to {MAX_APARTMENT} and ranges, such as \"1-40, 45\""))
    }
}

/// Digits of a number with a place for those of an apartment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberPattern(pub String);

impl fmt::Display for NumberPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromText for NumberPattern {
    const WHAT: &'static str = "a number with a place for the apartment's";
    fn from_text(text: &str) -> Result<Self, String> {
        let tried = Apartments {
            exceptions: [].into(),
            offset: 0,
            pattern: text.to_owned(),
            subscribed: "1".parse().unwrap_or_default(),
        };
        match tried.number(1) {
            Ok(Some(number)) if number.len() <= 40 => Ok(Self(text.to_owned())),
            Ok(_) | Err(_) => Err(
                "the digits of a number with {} where the apartment's stand, {3} for at least three of them, such as \
                 \"50{2}\""
                    .to_owned(),
            ),
        }
    }
}

/// An apartment with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApartmentNumber {
    /// Which.
    pub apartment: u16,
    /// Its number.
    pub number: String,
}

impl fmt::Display for ApartmentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.apartment, self.number)
    }
}

impl FromText for ApartmentNumber {
    const WHAT: &'static str = "an apartment with its number";
    fn from_text(text: &str) -> Result<Self, String> {
        let allowed = || "APARTMENT=NUMBER, such as \"7=9007\"".to_owned();
        let (apartment, number) = text.split_once('=').ok_or_else(allowed)?;
        let apartment: u16 = apartment.trim().parse().map_err(|_| allowed())?;
        let number = number.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || "+*#.-_".contains(c);
        let fits = (1..=MAX_APARTMENT).contains(&apartment)
            && (1..=40).contains(&number.len())
            && number.chars().all(plain);
        fits.then(|| Self {
            apartment,
            number: number.to_owned(),
        })
        .ok_or_else(allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_known_by_name_and_frames_that_nobody_knows_are_refused() {
        assert!(PanelProfile::from_text("vizit-matrix").is_ok());
        let said = PanelProfile::from_text("urmet-2voice").expect_err("frames");
        assert!(said.contains("Urmet 2Voice talks in frames"), "{said}");
        let said = PanelProfile::from_text("visit").expect_err("no such name");
        assert!(said.starts_with("1n, 4n, "), "{said}");
    }

    #[test]
    fn a_profile_of_the_sites_own_is_a_text_that_says_what_is_wrong_with_it() {
        let (_, text, profile) = profiles().next().expect("one");
        assert_eq!(
            OwnProfile::from_text(text).map(|own| own.profile).as_ref(),
            Ok(profile)
        );
        let said =
            OwnProfile::from_text(&text.replace("settle-ms = ", "settle-ms = 9")).expect_err("too long");
        assert!(
            said.contains("hook.settle-ms") && said.contains("allowed are 0 to 5000"),
            "{said}"
        );
    }

    #[test]
    fn numbers_of_apartments_are_digits() {
        let read = ApartmentNumber::from_text(" 7 = 9007 ").expect("a number");
        assert_eq!(read.to_string(), "7=9007");
        for text in ["7", "0=1", "256=1", "7=", "7=a b", "x=1", "7=sip:a@b"] {
            assert!(ApartmentNumber::from_text(text).is_err(), "{text}");
        }
        assert!(NumberPattern::from_text("50{2}").is_ok());
        assert!(NumberPattern::from_text("500").is_err());
        assert!(Ranges::from_text("1-40, 45").is_ok() && Ranges::from_text("0").is_err());
    }
}
