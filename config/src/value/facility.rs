//! A facility, and what it is called elsewhere.

use std::fmt;

use crate::rules::FromText;

/// Largest facility of any format.
const LARGEST: u64 = 0xFFFF_FFFF;

/// A facility as it is read, and as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FacilityPair {
    /// On the card.
    pub read: u64,
    /// For the controller.
    pub written: u64,
}

impl fmt::Display for FacilityPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.read, self.written)
    }
}

impl FromText for FacilityPair {
    const WHAT: &'static str = "two facilities";
    fn from_text(text: &str) -> Result<Self, String> {
        let allowed = || "READ=WRITTEN, such as \"123=7\"".to_owned();
        let (read, written) = text.split_once('=').ok_or_else(allowed)?;
        let number = |text: &str| {
            let number: u64 = text.trim().parse().map_err(|_| allowed())?;
            if number <= LARGEST {
                Ok(number)
            } else {
                Err(allowed())
            }
        };
        Ok(Self {
            read: number(read)?,
            written: number(written)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_facility_is_a_number_on_either_side() {
        let read = FacilityPair::from_text(" 123 = 7 ").expect("two facilities");
        assert_eq!(read.to_string(), "123=7");
        for text in ["123", "=7", "123=", "a=7", "1=-7", "1=4294967296", "1=2=3"] {
            assert!(FacilityPair::from_text(text).is_err(), "{text}");
        }
    }
}
