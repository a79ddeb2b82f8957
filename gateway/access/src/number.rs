//! Telephone numbers of one country, however they are written: `0612345678`, `+33612345678`, `0033612345678` are one.
//!
//! Numbers of a PBX stay what they are: an extension is too short to be a number of the country, or has no prefix that
//! would make it one.

use std::fmt;

use crate::caller::split;

/// How the numbers of a country are dialled within it.
#[derive(Debug, PartialEq, Eq)]
struct Country {
    /// Numbers are also dialled without a trunk prefix.
    bare: bool,
    /// Country code (ITU-T E.164).
    code: &'static str,
    /// Prefixes of numbers abroad, longest first.
    international: &'static [&'static str],
    /// Two letters of ISO 3166, in lower case.
    iso: &'static str,
    /// Digits of a national number without trunk prefix, least and most.
    length: (usize, usize),
    /// Prefixes of numbers within the country, longest first.
    trunk: &'static [&'static str],
}

const fn country(
    iso: &'static str,
    code: &'static str,
    trunk: &'static [&'static str],
    length: (usize, usize),
) -> Country {
    Country {
        bare: trunk.is_empty(),
        code,
        international: &["00"],
        iso,
        length,
        trunk,
    }
}

/// Of the former Soviet Union: `8~10` leads abroad, and `00` since.
const EAST: &[&str] = &["810", "00"];

/// By their two letters. Prefixes and lengths as the administrations tell them to the ITU (E.129, national numbering plans).
const COUNTRIES: &[Country] = &[
    country("at", "43", &["0"], (7, 13)),
    country("au", "61", &["0"], (9, 9)),
    country("be", "32", &["0"], (8, 9)),
    country("br", "55", &["0"], (10, 11)),
    Country {
        international: EAST,
        ..country("by", "375", &["80"], (9, 9))
    },
    Country {
        bare: true,
        international: &["011"],
        ..country("ca", "1", &["1"], (10, 10))
    },
    country("ch", "41", &["0"], (9, 9)),
    country("cz", "420", &[], (9, 9)),
    country("de", "49", &["0"], (6, 13)),
    country("dk", "45", &[], (8, 8)),
    country("ee", "372", &[], (7, 8)),
    country("es", "34", &[], (9, 9)),
    country("fi", "358", &["0"], (6, 12)),
    country("fr", "33", &["0"], (9, 9)),
    country("gb", "44", &["0"], (9, 10)),
    country("hr", "385", &["0"], (8, 9)),
    country("hu", "36", &["06"], (8, 9)),
    country("ie", "353", &["0"], (7, 9)),
    country("it", "39", &[], (8, 11)),
    Country {
        international: EAST,
        ..country("kz", "7", &["8"], (10, 10))
    },
    country("lt", "370", &["0", "8"], (8, 8)),
    country("lu", "352", &[], (8, 9)),
    country("lv", "371", &[], (8, 8)),
    country("ma", "212", &["0"], (9, 9)),
    country("mc", "377", &[], (8, 9)),
    country("md", "373", &["0"], (8, 8)),
    country("mx", "52", &[], (10, 10)),
    country("nl", "31", &["0"], (9, 9)),
    country("no", "47", &[], (8, 8)),
    country("nz", "64", &["0"], (8, 10)),
    country("pl", "48", &[], (9, 9)),
    country("pt", "351", &[], (9, 9)),
    country("ro", "40", &["0"], (9, 9)),
    Country {
        international: EAST,
        ..country("ru", "7", &["8"], (10, 10))
    },
    country("se", "46", &["0"], (7, 9)),
    country("si", "386", &["0"], (8, 8)),
    country("sk", "421", &["0"], (9, 9)),
    country("ua", "380", &["0"], (9, 9)),
    Country {
        bare: true,
        international: &["011"],
        ..country("us", "1", &["1"], (10, 10))
    },
    country("za", "27", &["0"], (9, 9)),
];

/// Least digits of a number with the country code and no `+`: fewer may be an extension.
const LEAST_WHOLE: usize = 10;
/// Most digits of a number with its country code (E.164 §6).
const MOST_WHOLE: usize = 15;
/// Least digits of a number abroad, with its country code.
const LEAST_ABROAD: usize = 7;

/// The numbering plan of one country.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NumberPlan(&'static Country);

impl fmt::Debug for NumberPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NumberPlan({})", self.0.iso)
    }
}

impl NumberPlan {
    /// The plan of a country, by its two letters (ISO 3166), with any case.
    #[must_use]
    pub fn of(iso: &str) -> Option<Self> {
        COUNTRIES
            .iter()
            .find(|c| c.iso.eq_ignore_ascii_case(iso))
            .map(Self)
    }

    /// The countries that are known, by their two letters.
    pub fn countries() -> impl Iterator<Item = &'static str> {
        COUNTRIES.iter().map(|country| country.iso)
    }

    /// The two letters of the country.
    #[must_use]
    pub const fn iso(&self) -> &'static str {
        self.0.iso
    }

    /// A number as E.164 writes it, `+` and digits; what is none of this country or abroad stays, without what stands
    /// between its digits. A word stays as it is.
    #[must_use]
    pub fn normalise(&self, number: &str) -> String {
        let text = number.trim();
        let separator = |c: char| "-.() /".contains(c);
        let bare: String = text.chars().filter(|c| !separator(*c)).collect();
        let digits = bare.strip_prefix('+').unwrap_or(&bare);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return number.to_owned();
        }
        if bare.starts_with('+') {
            return self.whole(digits);
        }
        for prefix in self.0.international {
            if let Some(rest) = digits.strip_prefix(prefix)
                && !rest.starts_with('0')
                && (LEAST_ABROAD..=MOST_WHOLE).contains(&rest.len())
            {
                return self.whole(rest);
            }
        }
        for trunk in self.0.trunk {
            if let Some(rest) = digits.strip_prefix(trunk)
                && self.is_national(rest)
            {
                return format!("+{}{rest}", self.0.code);
            }
        }
        if self.0.bare && self.is_national(digits) {
            return format!("+{}{digits}", self.0.code);
        }
        match digits.strip_prefix(self.0.code) {
            Some(rest) if digits.len() >= LEAST_WHOLE && self.is_national(rest) => format!("+{digits}"),
            Some(_) | None => bare,
        }
    }

    /// Every way in which the number of an address may stand in a list: as it is, as E.164, with each prefix. At most eight.
    #[must_use]
    pub fn spellings(&self, address: &str) -> Vec<String> {
        let (user, host) = split(address);
        let mut all = vec![address.to_owned()];
        let whole = self.normalise(&user);
        let Some(digits) = whole.strip_prefix('+').filter(|digits| self.is_whole(digits)) else {
            return all;
        };
        let mut users = vec![whole.clone(), digits.to_owned()];
        users.extend(
            self.0
                .international
                .iter()
                .map(|prefix| format!("{prefix}{digits}")),
        );
        if let Some(national) = digits.strip_prefix(self.0.code) {
            users.extend(self.0.trunk.iter().map(|trunk| format!("{trunk}{national}")));
            if self.0.bare {
                users.push(national.to_owned());
            }
        }
        let written = |user: String| match &host {
            None => user,
            Some(host) if host.contains(':') => format!("sip:{user}@[{host}]"),
            Some(host) => format!("sip:{user}@{host}"),
        };
        all.extend(users.into_iter().map(written));
        all
    }

    /// A number that begins with a country code, without a trunk prefix that somebody wrote in brackets: `+33 (0)6…`.
    fn whole(&self, digits: &str) -> String {
        if let Some(rest) = digits.strip_prefix(self.0.code)
            && !self.is_national(rest)
        {
            let mut trunks = self.0.trunk.iter();
            if let Some(national) = trunks.find_map(|t| rest.strip_prefix(t).filter(|r| self.is_national(r)))
            {
                return format!("+{}{national}", self.0.code);
            }
        }
        format!("+{digits}")
    }

    /// Is it a number with its country code? A short one with a `+` is not, and an extension is none.
    fn is_whole(&self, digits: &str) -> bool {
        match digits.strip_prefix(self.0.code) {
            Some(national) => self.is_national(national),
            None => (LEAST_ABROAD..=MOST_WHOLE).contains(&digits.len()),
        }
    }

    fn is_national(&self, digits: &str) -> bool {
        let (least, most) = self.0.length;
        (least..=most).contains(&digits.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_too_short_for_a_number_of_the_world_is_spelled_in_no_other_way() {
        let us = NumberPlan::of("us").expect("known");
        for short in ["+1000", "+11000", "+1-1000", "+201555", "1000", "+49"] {
            assert_eq!(us.spellings(short), [short], "{short}");
        }
        assert!(us.spellings("+12015551234").contains(&"2015551234".to_owned()));
    }

    #[test]
    fn a_pattern_of_extensions_means_no_number_of_the_world() {
        let us = NumberPlan::of("us").expect("known");
        let spelled = us.spellings("sip:+12015551234@pbx.example");
        for (pattern, meant) in [
            ("201*", false),
            ("20155*", false),
            ("1201*", false),
            ("+1201*", true),
            ("2015551234", true),
            ("+12015551234", true),
        ] {
            let pattern = crate::CallerPattern::parse(pattern).expect("a pattern");
            assert_eq!(pattern.matches_any(&spelled), meant, "{pattern}");
        }
    }

    fn check(iso: &str, numbers: &[&str], expected: &str) {
        let plan = NumberPlan::of(iso).expect("a country");
        for number in numbers {
            assert_eq!(plan.normalise(number), expected, "{iso} {number}");
        }
    }

    #[test]
    fn the_notations_of_a_country_are_one_number() {
        let fr = [
            "0612345678",
            "06 12 34 56 78",
            "+33612345678",
            "0033612345678",
            "33612345678",
            "+33 (0)6 12 34 56 78",
        ];
        check("fr", &fr, "+33612345678");
        let ru = [
            "89161234567",
            "+7 916 123-45-67",
            "79161234567",
            "81079161234567",
            "0079161234567",
        ];
        check("ru", &ru, "+79161234567");
        check(
            "de",
            &["030 1234567", "+49301234567", "0049 30/1234567"],
            "+49301234567",
        );
        check(
            "es",
            &["912345678", "+34912345678", "0034912345678", "34912345678"],
            "+34912345678",
        );
        check("pt", &["912345678", "+351912345678"], "+351912345678");
        check("it", &["0212345678", "+390212345678"], "+390212345678");
        check(
            "us",
            &["2125551234", "12125551234", "+1 212-555-1234"],
            "+12125551234",
        );
        check("hu", &["0612345678", "+3612345678"], "+3612345678");
        check("by", &["80291234567", "+375291234567"], "+375291234567");
    }

    #[test]
    fn numbers_abroad_keep_their_country() {
        check("fr", &["00442071234567", "+442071234567"], "+442071234567");
        check("ru", &["810442071234567", "00442071234567"], "+442071234567");
        check("us", &["011442071234567"], "+442071234567");
    }

    #[test]
    fn extensions_short_numbers_and_words_stay() {
        for iso in NumberPlan::countries() {
            for text in [
                "0",
                "12",
                "112",
                "503",
                "1000",
                "0800",
                "*97",
                "10??",
                "night.guard",
                "",
                "+",
                "anonymous",
            ] {
                check(iso, &[text], text);
            }
        }
    }

    #[test]
    fn a_number_is_found_under_each_of_its_spellings() {
        let plan = NumberPlan::of("fr").expect("a country");
        assert_eq!(
            plan.spellings("sip:0612345678@PBX.example"),
            [
                "sip:0612345678@PBX.example",
                "sip:+33612345678@pbx.example",
                "sip:33612345678@pbx.example",
                "sip:0033612345678@pbx.example",
                "sip:0612345678@pbx.example",
            ]
        );
        assert_eq!(plan.spellings("1000"), ["1000"]);
        assert_eq!(
            plan.spellings("+442071234567")[1..],
            ["+442071234567", "442071234567", "00442071234567"]
        );
    }

    #[test]
    fn no_two_countries_have_the_same_letters_and_each_number_of_one_is_long_enough() {
        let mut all: Vec<&str> = NumberPlan::countries().collect();
        all.dedup();
        assert_eq!(all.len(), COUNTRIES.len());
        assert!(all.is_sorted());
        for country in COUNTRIES {
            assert!(country.length.0 <= country.length.1, "{}", country.iso);
            assert!(
                !country.bare || country.length.0 >= 7,
                "{}: an extension would be a number",
                country.iso
            );
        }
    }

    proptest! {
        #[test]
        fn normalising_twice_is_normalising_once(text in "[+]?[0-9() .-]{0,18}|\\PC{0,20}", n in 0..COUNTRIES.len()) {
            let plan = NumberPlan(&COUNTRIES[n]);
            let once = plan.normalise(&text);
            prop_assert_eq!(plan.normalise(&once), once);
        }

        #[test]
        fn every_spelling_is_the_same_number(text in "[+]?[0-9]{1,15}", n in 0..COUNTRIES.len()) {
            let plan = NumberPlan(&COUNTRIES[n]);
            let whole = plan.normalise(&text);
            let spellings = plan.spellings(&text);
            prop_assert!(spellings.len() <= 8);
            prop_assert!(spellings.contains(&text));
            if whole.starts_with('+') {
                prop_assert!(spellings.contains(&whole));
            }
        }
    }
}
