//! Telephone numbers of one country, however they are written: `0612345678`, `+33612345678`, `0033612345678` are one.
//!
//! Numbers of a PBX stay what they are: an extension is too short to be a number of the country, or has no prefix that
//! would make it one.

use std::fmt;

use crate::caller::{CallerPattern, split};

/// How the numbers of a country are dialled within it.
#[derive(Debug, PartialEq, Eq)]
struct Country {
    /// Numbers are also dialled without a trunk prefix.
    bare: bool,
    /// Digits of a carrier that stand after the prefix of a number abroad, and may after the trunk prefix. 0: it has no carriers
    /// to choose from.
    carrier: usize,
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
        carrier: 0,
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
    Country {
        international: &["0011"],
        ..country("au", "61", &["0"], (9, 9))
    },
    country("be", "32", &["0"], (8, 9)),
    // networks write callers with their area and without the 0
    Country {
        bare: true,
        carrier: 2,
        ..country("br", "55", &["0"], (10, 11))
    },
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
    Country {
        international: &["990", "994", "999", "00"],
        ..country("fi", "358", &["0"], (6, 12))
    },
    country("fr", "33", &["0"], (9, 9)),
    country("gb", "44", &["0"], (9, 10)),
    Country {
        international: &["001"],
        ..country("hk", "852", &[], (8, 8))
    },
    country("hr", "385", &["0"], (8, 9)),
    country("hu", "36", &["06"], (8, 9)),
    country("ie", "353", &["0"], (7, 9)),
    Country {
        international: &["012", "013", "014", "00"],
        ..country("il", "972", &["0"], (8, 9))
    },
    country("it", "39", &[], (8, 11)),
    Country {
        international: &["010"],
        ..country("jp", "81", &["0"], (9, 10))
    },
    Country {
        international: &["001", "002", "005"],
        ..country("kr", "82", &["0"], (8, 10))
    },
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
    Country {
        international: &["001", "002", "008"],
        ..country("sg", "65", &[], (8, 8))
    },
    country("si", "386", &["0"], (8, 8)),
    country("sk", "421", &["0"], (9, 9)),
    Country {
        international: &["001"],
        ..country("th", "66", &["0"], (8, 9))
    },
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
/// Least digits of all numbers that a pattern means, for it to mean no extension.
const LEAST_SURE: usize = 7;
/// Digits after a trunk prefix that make a pattern one of numbers of the country, where extensions begin with that digit too.
const AFTER_TRUNK: usize = 3;

/// What a caller pattern is asked for: where it gives a right, it must not mean anybody whom its writer may not have meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// What becomes of a call.
    Call,
    /// Whether a door listens to the caller.
    Right,
}

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
            if let Some(rest) = digits
                .strip_prefix(prefix)
                .and_then(|rest| rest.get(self.0.carrier..))
                && !rest.starts_with('0')
                && self.is_whole(rest)
            {
                return self.whole(rest);
            }
        }
        for trunk in self.0.trunk {
            let Some(rest) = digits.strip_prefix(trunk) else {
                continue;
            };
            let after = rest.get(self.0.carrier..);
            for national in [Some(rest), after].into_iter().flatten() {
                if self.is_national(national) && !national.starts_with('0') {
                    return format!("+{}{national}", self.0.code);
                }
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
        if self.0.carrier == 0 {
            let prefixes = self.0.international.iter();
            users.extend(prefixes.map(|prefix| format!("{prefix}{digits}")));
        }
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

    /// Is the number of this address meant by a pattern of many numbers, in one of the ways of writing it within the country? Only
    /// if the pattern cannot mean extensions: it begins as numbers of the country or abroad do, or nothing short fits it. Where it
    /// gives a right only the latter counts, for somewhere extensions begin with a prefix too.
    ///
    /// Which carrier was chosen cannot be told from a number: a pattern with one is compared as it is written.
    #[must_use]
    pub(crate) fn means(&self, pattern: &CallerPattern, address: &str, asked: Asked) -> bool {
        let user = pattern.user();
        if user.starts_with('+') || !user.contains(['*', '?']) {
            return false;
        }
        let body = user.trim_end_matches('*');
        let sure = body.len() >= LEAST_SURE
            || match asked {
                Asked::Call => self.is_outside(body),
                Asked::Right => false,
            };
        if !sure {
            return false;
        }
        let whole = self.normalise(&split(address).0);
        whole.starts_with('+')
            && self
                .spellings(address)
                .iter()
                .any(|form| self.normalise(&split(form).0) == whole && pattern.matches_address(form))
    }

    /// Does it begin with a prefix that leads out of the house?
    fn is_outside(&self, head: &str) -> bool {
        let trunk = |trunk: &&str| {
            head.strip_prefix(*trunk)
                .is_some_and(|rest| trunk.starts_with('0') || (!self.0.bare && rest.len() >= AFTER_TRUNK))
        };
        self.0.trunk.iter().any(trunk) || self.0.international.iter().any(|prefix| head.starts_with(prefix))
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

    #[track_caller]
    fn means(iso: &str, pattern: &str, address: &str, call: bool, right: bool) {
        let plan = NumberPlan::of(iso).expect("a country");
        let read = CallerPattern::parse(pattern).expect("a pattern");
        for (asked, expected) in [(Asked::Call, call), (Asked::Right, right)] {
            assert_eq!(
                plan.means(&read, address, asked),
                expected,
                "{iso} {pattern} {address} {asked:?}"
            );
        }
    }

    #[test]
    fn a_pattern_of_numbers_of_the_country_means_them_however_they_are_written() {
        for number in [
            "89161234567",
            "sip:+79161234567@pbx.example",
            "79161234567",
            "0079161234567",
            "81079161234567",
        ] {
            means("ru", "8916*", number, true, false);
            means("ru", "8916123*", number, true, true);
            means("ru", "8916???????", number, true, true);
            means("ru", "7916123*", number, true, true);
            means("ru", "8917*", number, false, false);
        }
        means("fr", "0800*", "+33800123456", true, false);
        means("fr", "0800123*", "+33800123456", true, true);
        means("fr", "0044207*", "+442071234567", true, true);
        means("fr", "00442*", "+442071234567", true, false);
        means("us", "2015551*", "+12015551234", true, true);
        means("es", "9123456*", "+34912345678", true, true);
        // the host of the pattern counts
        means(
            "ru",
            "sip:8916123*@a.example",
            "sip:+79161234567@b.example",
            false,
            false,
        );
    }

    #[test]
    fn a_pattern_that_may_mean_extensions_means_nobody_outside() {
        for (iso, pattern, number) in [
            ("us", "201*", "+12015551234"),
            ("us", "1201*", "+12015551234"),
            ("us", "20155*", "+12015551234"),
            ("ru", "891*", "+79161234567"),
            ("ru", "10??", "+79161234567"),
            ("es", "912*", "+34912345678"),
            ("fr", "336*", "+33612345678"),
        ] {
            means(iso, pattern, number, false, false);
        }
        for extension in ["8916", "89161", "0800", "08001"] {
            means("ru", "+7916*", extension, false, false);
            means("fr", "+33800*", extension, false, false);
            means("ru", "8916123*", extension, false, false);
        }
        // written without + or prefix it may be a number of this country as well
        means("fr", "4420712*", "+442071234567", false, false);
    }

    #[test]
    fn each_country_has_its_own_way_abroad() {
        for (iso, prefix) in [
            ("au", "0011"),
            ("br", "0021"),
            ("ca", "011"),
            ("de", "00"),
            ("fi", "00"),
            ("fi", "990"),
            ("hk", "001"),
            ("il", "00"),
            ("il", "012"),
            ("jp", "010"),
            ("kr", "001"),
            ("kr", "002"),
            ("ru", "810"),
            ("sg", "001"),
            ("th", "001"),
            ("us", "011"),
        ] {
            check(iso, &[&format!("{prefix}33612345678")], "+33612345678");
        }
        // 00 leads nowhere there
        check("au", &["0033612345678"], "0033612345678");
    }

    #[test]
    fn the_notations_of_countries_far_away_are_one_number() {
        check(
            "au",
            &["0412345678", "001161412345678", "61412345678"],
            "+61412345678",
        );
        check(
            "br",
            &[
                "011987654321",
                "02111987654321",
                "11987654321",
                "5511987654321",
                "00215511987654321",
            ],
            "+5511987654321",
        );
        check("br", &["01134567890", "0151134567890"], "+551134567890");
        check("jp", &["0312345678", "01081312345678"], "+81312345678");
        check("jp", &["09012345678", "819012345678"], "+819012345678");
        check("kr", &["0212345678", "00182212345678"], "+82212345678");
        check("il", &["0501234567", "972501234567"], "+972501234567");
        // too short to be one of the country, whatever leads to it
        check("ru", &["007000000"], "007000000");
        check("th", &["0812345678", "00166812345678"], "+66812345678");
        check("sg", &["61234567", "6561234567"], "+6561234567");
    }

    proptest! {
        #[test]
        fn a_pattern_means_a_number_if_and_only_if_it_fits_a_way_of_writing_it(
            body in "(0|00|8|810|1|011|0011)?[0-9?]{3,12}",
            star in proptest::bool::ANY,
            fits in proptest::bool::ANY,
            more in "[0-9]{0,12}",
            number in "[+]?[0-9]{3,15}",
            n in 0..COUNTRIES.len(),
        ) {
            let plan = NumberPlan(&COUNTRIES[n]);
            let text = if star { format!("{body}*") } else { body.clone() };
            let Ok(pattern) = CallerPattern::parse(&text) else { return Ok(()) };
            let number = if fits {
                let tail = if star { more } else { String::new() };
                plan.normalise(&format!("{}{tail}", body.replace('?', "5")))
            } else {
                number
            };
            let whole = plan.normalise(&number);
            let fitting = |form: &String| plan.normalise(form) == whole && pattern.matches_address(form);
            let fits = plan.spellings(&whole).iter().any(fitting);
            for asked in [Asked::Call, Asked::Right] {
                if plan.means(&pattern, &number, asked) {
                    prop_assert!(fits, "{} {} {}", plan.iso(), pattern, number);
                    prop_assert!(whole.starts_with('+'));
                }
            }
            if text.contains(['*', '?']) && body.len() >= LEAST_SURE && whole.starts_with('+') {
                // one answer for all the ways of writing it
                for form in plan.spellings(&whole) {
                    if plan.normalise(&form) == whole {
                        prop_assert_eq!(plan.means(&pattern, &form, Asked::Right), fits);
                        prop_assert_eq!(plan.means(&pattern, &form, Asked::Call), fits);
                    }
                }
            }
            if body.len() < LEAST_SURE {
                prop_assert!(!plan.means(&pattern, &number, Asked::Right));
            }
        }

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
