//! Which apartments of a line are served, and what number each of them has.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// Highest number of an apartment that a line can name.
pub const MAX_APARTMENT: u16 = 255;

/// Apartments, as people write them: `1-40, 45`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(BTreeSet<u16>);

/// A text that says no apartments, or no number of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApartmentsError {
    /// A number that cannot be written as digits of a telephone.
    #[error("{found:?} has no digits for apartment {apartment}: its number would be {number}")]
    Number {
        /// The pattern.
        found: String,
        /// Which apartment.
        apartment: u16,
        /// What came out.
        number: i64,
    },
    /// A pattern without its place.
    #[error(
        "{found:?} has no {{}}: allowed: the digits of a number with {{}} where the apartment's stand, {{3}} for at least three, such as 50{{2}}"
    )]
    Pattern {
        /// What stands there.
        found: String,
    },
    /// No apartments.
    #[error(
        "{found:?} says no apartments; allowed: numbers from 1 to {MAX_APARTMENT} and ranges, such as 1-40, 45"
    )]
    Ranges {
        /// What stands there.
        found: String,
    },
}

impl Ranges {
    /// Is it one of them?
    #[must_use]
    pub fn contains(&self, apartment: u16) -> bool {
        self.0.contains(&apartment)
    }

    /// All of them, smallest first.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().copied()
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<u16> for Ranges {
    /// Numbers that no line can name are left out.
    fn from_iter<T: IntoIterator<Item = u16>>(numbers: T) -> Self {
        Self(
            numbers
                .into_iter()
                .filter(|n| (1..=MAX_APARTMENT).contains(n))
                .collect(),
        )
    }
}

impl FromStr for Ranges {
    type Err = ApartmentsError;

    fn from_str(text: &str) -> Result<Self, ApartmentsError> {
        let wrong = || ApartmentsError::Ranges {
            found: text.chars().take(60).collect(),
        };
        let number = |text: &str| {
            let digits = text.trim();
            let plain = digits.chars().all(|c| c.is_ascii_digit());
            let number = digits.parse::<u16>().ok().filter(|_| plain);
            number
                .filter(|n| (1..=MAX_APARTMENT).contains(n))
                .ok_or_else(wrong)
        };
        let mut all = BTreeSet::new();
        for item in text.split(',') {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(wrong());
            }
            all.extend(first..=last);
        }
        Ok(Self(all))
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut runs: Vec<(u16, u16)> = Vec::new();
        for n in self.iter() {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == n => *last = n,
                Some(_) | None => runs.push((n, n)),
            }
        }
        let runs = runs.into_iter().map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        });
        f.write_str(&runs.collect::<Vec<_>>().join(", "))
    }
}

/// Numbers of apartments: by a pattern, an offset, and exceptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apartments {
    /// Numbers of apartments that have another one.
    pub exceptions: BTreeMap<u16, String>,
    /// Added to what the line says before it is written.
    pub offset: i32,
    /// Digits, with `{}` where the apartment's stand, `{3}` for at least three of them.
    pub pattern: String,
    /// The apartments that are served. Others ring as if the gateway were not there.
    pub subscribed: Ranges,
}

impl Apartments {
    /// The number of an apartment; `None` if it is not served.
    ///
    /// # Errors
    /// [`ApartmentsError`] if the pattern has no place for it, or the offset leaves nothing to write.
    pub fn number(&self, apartment: u16) -> Result<Option<String>, ApartmentsError> {
        if !self.subscribed.contains(apartment) {
            return Ok(None);
        }
        if let Some(number) = self.exceptions.get(&apartment) {
            return Ok(Some(number.clone()));
        }
        let wrong = || ApartmentsError::Pattern {
            found: self.pattern.clone(),
        };
        let (before, rest) = self.pattern.split_once('{').ok_or_else(wrong)?;
        let (width, after) = rest.split_once('}').ok_or_else(wrong)?;
        let width: usize = match width {
            "" => 1,
            _ => width
                .parse()
                .ok()
                .filter(|w| (1..=9).contains(w))
                .ok_or_else(wrong)?,
        };
        let plain = |text: &str| {
            text.chars()
                .all(|c| c.is_ascii_alphanumeric() || "+*#.-_".contains(c))
        };
        if !plain(before) || !plain(after) {
            return Err(wrong());
        }
        let number = i64::from(apartment) + i64::from(self.offset);
        if number < 0 {
            return Err(ApartmentsError::Number {
                found: self.pattern.clone(),
                apartment,
                number,
            });
        }
        Ok(Some(format!("{before}{number:0width$}{after}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn apartments(pattern: &str, offset: i32) -> Apartments {
        Apartments {
            exceptions: [(7, "9007".to_owned())].into(),
            offset,
            pattern: pattern.to_owned(),
            subscribed: "1-20, 45".parse().expect("ranges"),
        }
    }

    #[test]
    fn numbers_come_from_pattern_offset_and_exceptions() {
        for (pattern, offset, apartment, number) in [
            ("50{}", 0, 5, Some("505")),
            ("50{2}", 0, 5, Some("5005")),
            ("{}", 100, 5, Some("105")),
            ("8{3}00", -1, 1, Some("800000")),
            ("{}", 0, 7, Some("9007")),
            ("{}", 0, 45, Some("45")),
            ("{}", 0, 21, None),
            ("{}", 0, 0, None),
        ] {
            let said = apartments(pattern, offset).number(apartment);
            assert_eq!(said, Ok(number.map(str::to_owned)), "{pattern} {apartment}");
        }
    }

    #[test]
    fn what_gives_no_number_is_refused_by_name() {
        for (pattern, offset, expected) in [
            ("500", 0, "has no {}"),
            ("50{x}", 0, "has no {}"),
            ("5 0{}", 0, "has no {}"),
            ("{}@elsewhere", 0, "has no {}"),
            ("50{}", -6, "would be -1"),
        ] {
            let error = apartments(pattern, offset).number(5).expect_err(pattern);
            assert!(error.to_string().contains(expected), "{error}");
        }
        for text in ["", "0", "1-", "256", "5-3", "a", "1,,2", "+4"] {
            let error = text.parse::<Ranges>().expect_err(text).to_string();
            assert!(error.contains("numbers from 1 to 255"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn ranges_come_back(numbers in prop::collection::btree_set(1_u16..=255, 1..60)) {
            let ranges = Ranges(numbers);
            prop_assert_eq!(ranges.to_string().parse::<Ranges>(), Ok(ranges));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}", apartment: u16) {
            let _ = text.parse::<Ranges>();
            let _ = apartments(&text, 0).number(apartment);
        }
    }
}
