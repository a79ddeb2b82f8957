//! A card in the words of another format, for a controller that knows only its own.

use std::collections::BTreeMap;

use gateway_core::CardFrame;

use crate::format::{Fields, Format, ValueError};

/// What a card becomes on its way.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Translation {
    /// Facility that is written in place of another; those that are not named stay as they are.
    pub facilities: BTreeMap<u64, u64>,
    /// What is written; `None` passes the bits on as they were read.
    pub to: Option<Format>,
}

/// Why a card cannot be said in the other format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TranslateError {
    /// No format of the reader fits it.
    #[error("no format of the reader fits its {bits} bits")]
    Unread {
        /// How many bits it has.
        bits: u16,
    },
    /// What it says has no room in the other format.
    #[error("{format} cannot say it")]
    Unwritten {
        /// The other format.
        format: String,
        /// What has no room.
        #[source]
        source: ValueError,
    },
}

impl Translation {
    /// The card as it goes on. It is read by the first of the reader's formats that fits, so that an ambiguous length is
    /// settled by their order.
    ///
    /// # Errors
    /// [`TranslateError`]; the values of the card are not repeated.
    pub fn of(&self, frame: &CardFrame, formats: &[Format]) -> Result<CardFrame, TranslateError> {
        let Some(to) = &self.to else {
            return Ok(frame.clone());
        };
        let bits = frame.bits;
        let read = formats.iter().find_map(|format| format.read(frame));
        let mut fields: Fields = read.ok_or(TranslateError::Unread { bits })?;
        if let Some(other) = fields.facility.and_then(|found| self.facilities.get(&found)) {
            fields.facility = Some(*other);
        }
        to.write(&fields).map_err(|source| TranslateError::Unwritten {
            format: to.name().to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::table::format_named;

    fn format(name: &str) -> Format {
        format_named(name).expect("published").clone()
    }

    fn card(name: &str, facility: u64, number: u64) -> CardFrame {
        let fields = Fields {
            facility: Some(facility),
            number: Some(number),
            ..Fields::default()
        };
        format(name).write(&fields).expect("it fits")
    }

    #[test]
    fn a_card_keeps_its_number_and_gets_the_facility_that_the_controller_knows() {
        let translation = Translation {
            facilities: BTreeMap::from([(123, 7)]),
            to: Some(format("h10306")),
        };
        let of = |facility| translation.of(&card("h10301", facility, 4567), &[format("h10301")]);
        assert_eq!(of(123), Ok(card("h10306", 7, 4567)));
        assert_eq!(of(9), Ok(card("h10306", 9, 4567)), "one that is not named stays");
        // as it is, without a format
        let as_it_is = Translation::default();
        let frame = card("h10301", 123, 4567);
        assert_eq!(as_it_is.of(&frame, &[]), Ok(frame));
    }

    #[test]
    fn what_cannot_be_said_is_refused_and_not_cut() {
        let translation = Translation {
            facilities: BTreeMap::new(),
            to: Some(format("h10301")),
        };
        let error = translation.of(&card("h10306", 4000, 1), &[format("h10306")]);
        let error = error.expect_err("26 bits have no room for facility 4000");
        assert!(matches!(error, TranslateError::Unwritten { .. }), "{error}");
        assert!(!error.to_string().contains("4000"));
        let error = translation.of(&card("h10306", 1, 1), &[format("h10301")]);
        assert_eq!(error, Err(TranslateError::Unread { bits: 34 }));
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same_card(facility in 0_u64..256, number in 0_u64..65_536) {
            let there = Translation { to: Some(format("h10306")), ..Translation::default() };
            let back = Translation { to: Some(format("h10301")), ..Translation::default() };
            let frame = card("h10301", facility, number);
            let other = there.of(&frame, &[format("h10301")]).expect("there is room");
            prop_assert_eq!(back.of(&other, &[format("h10306")]), Ok(frame));
        }
    }
}
