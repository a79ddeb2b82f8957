//! Which callers a door listens to.

use std::fmt;

use gateway_core::Peer;

/// What networks and exchanges write where somebody withholds their number: it is everybody's who does.
const WITHHELD: [&str; 8] = [
    "anonymous",
    "private",
    "privat",
    "restricted",
    "unavailable",
    "unknown",
    "withheld",
    "blocked",
];

/// Does it stand for whoever withholds their number (RFC 3323 §4.1, and the words of exchanges)?
fn is_withheld(user: &str, host: Option<&str>) -> bool {
    WITHHELD.iter().any(|word| user.eq_ignore_ascii_case(word))
        || host.is_some_and(|host| host == "invalid" || host.ends_with(".invalid"))
}

/// A number or address of record, with wildcards in the number: `?` is one digit, a `*` at the end any further
/// digits. Without host it is a number of whatever trusted peer calls, but for one of another host
/// ([`Peer::foreign`]).
///
/// `sip:1000@pbx.example`, `1000`, `+3347612*`, `10??@pbx.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerPattern {
    user: String,
    /// Lower case.
    host: Option<String>,
}

/// A caller pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallerPatternError {
    /// There is no number or user.
    #[error("{found:?} has no number: expected a number, or sip:user@host")]
    NoUser {
        /// What was found.
        found: String,
    },
    /// It stands for everybody who withholds their number.
    #[error(
        "{found:?} is what is told of everybody who withholds their number; expected a number, or sip:user@host"
    )]
    Withheld {
        /// What was found.
        found: String,
    },
    /// A telephone that is neither a number nor an address.
    #[error("expected a number (1 to 20 digits, + before them), or sip:user@host, without wildcards")]
    NoTelephone,
    /// A wildcard that would match nearly everybody, or stands where it cannot.
    #[error("{found:?}: '*' may stand only at the end, after at least three digits")]
    Wildcard {
        /// What was found.
        found: String,
    },
}

/// User and host of an address of record, without scheme, port, parameters and visual separators (RFC 3966 §5.1.1).
pub(crate) fn split(address: &str) -> (String, Option<String>) {
    let text = address.trim();
    let rest = ["sips:", "sip:", "tel:"]
        .iter()
        .find(|scheme| {
            text.get(..scheme.len())
                .is_some_and(|t| t.eq_ignore_ascii_case(scheme))
        })
        .map_or(text, |scheme| &text[scheme.len()..]);
    let (user, host) = match rest.rsplit_once('@') {
        Some((user, host)) => (user, Some(host)),
        None => (rest, None),
    };
    let host = host.map(|host| {
        let host = host.split([';', '?']).next().unwrap_or(host);
        let bare = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
            Some((six, _)) => six,
            None => host.split(':').next().unwrap_or(host),
        };
        bare.trim_end_matches('.').to_ascii_lowercase()
    });
    let user = user.split(';').next().unwrap_or(user);
    let numeric = user
        .chars()
        .all(|c| c.is_ascii_digit() || "+-.() *?#".contains(c));
    let user = if numeric {
        user.chars().filter(|c| !"-.() ".contains(*c)).collect()
    } else {
        user.to_owned()
    };
    (user, host)
}

/// Does the address stand for whoever withholds their number, or for nobody at all?
pub(crate) fn is_nobodys(address: &str) -> bool {
    let (user, host) = split(address);
    user.is_empty() || is_withheld(&user, host.as_deref())
}

/// The user part of an address, as [`CallerPattern`] compares it.
pub(crate) fn user_of(address: &str) -> String {
    split(address).0
}

impl CallerPattern {
    /// The number or user, with its wildcards.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// May it mean this peer, going by the way it calls?
    pub(crate) const fn reaches(&self, peer: &Peer) -> bool {
        self.host.is_some() || !peer.foreign
    }

    /// Reads a pattern.
    ///
    /// # Errors
    /// [`CallerPatternError`] if there is no number, or a wildcard stands where it must not.
    pub fn parse(text: &str) -> Result<Self, CallerPatternError> {
        let found = || text.chars().take(80).collect();
        let (user, host) = split(text);
        if user.is_empty() || host.as_deref() == Some("") {
            return Err(CallerPatternError::NoUser { found: found() });
        }
        if is_withheld(&user, host.as_deref()) {
            return Err(CallerPatternError::Withheld { found: found() });
        }
        if let Some(star) = user.find('*') {
            let digits = user[..star].bytes().filter(u8::is_ascii_digit).count();
            if star + 1 != user.len() || digits < 3 {
                return Err(CallerPatternError::Wildcard { found: found() });
            }
        }
        if user.contains('?') && user.bytes().filter(|b| b.is_ascii_digit()).count() == 0 {
            return Err(CallerPatternError::Wildcard { found: found() });
        }
        Ok(Self { user, host })
    }

    /// Reads a telephone: one number, or one address of record.
    ///
    /// # Errors
    /// [`CallerPatternError`] if it is neither, or stands for many.
    pub fn telephone(text: &str) -> Result<Self, CallerPatternError> {
        let read = Self::parse(text)?;
        let bare = read.user.strip_prefix('+').unwrap_or(&read.user);
        let number = (1..=20).contains(&bare.len()) && bare.bytes().all(|b| b.is_ascii_digit());
        let word = |text: &str, marks: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
            (1..=64).contains(&text.len()) && text.chars().all(known)
        };
        let (user, host) = (word(&read.user, "-_.~+"), read.host.as_deref());
        match host.map(|host| word(host, "-.:")) {
            None if number => Ok(read),
            Some(true) if number || user => Ok(read),
            None | Some(_) => Err(CallerPatternError::NoTelephone),
        }
    }

    /// Is this address meant? Says nothing about whether the address can be believed.
    #[must_use]
    pub fn matches_address(&self, address: &str) -> bool {
        let (user, host) = split(address);
        if self.host.is_some() && self.host != host {
            return false;
        }
        let (body, open) = match self.user.strip_suffix('*') {
            Some(body) => (body, true),
            None => (self.user.as_str(), false),
        };
        let mut rest = user.chars();
        for want in body.chars() {
            match rest.next() {
                Some(c) if want == '?' && c.is_ascii_digit() => {}
                Some(c) if want == c && want != '?' => {}
                Some(_) | None => return false,
            }
        }
        let rest = rest.as_str();
        if open {
            rest.bytes().all(|b| b.is_ascii_digit())
        } else {
            rest.is_empty()
        }
    }

    /// Is the address meant that is written in these ways, the first as it came? A pattern of many numbers means extensions,
    /// and the beginning of another spelling may be one: only with a `+` it means numbers of the world here;
    /// [`NumberPlan::means`](crate::NumberPlan) knows more.
    #[must_use]
    pub(crate) fn matches_any(&self, spellings: &[String]) -> bool {
        let many = self.user.contains(['*', '?']);
        let of_the_world = self.user.starts_with('+');
        spellings
            .iter()
            .enumerate()
            .any(|(n, address)| (n == 0 || !many || of_the_world) && self.matches_address(address))
    }

    /// Is this peer meant, and does the network vouch for it?
    #[must_use]
    pub fn matches(&self, peer: &Peer) -> bool {
        peer.trusted && self.reaches(peer) && self.matches_address(&peer.address)
    }
}

/// As it is kept: the number without what stands between its digits, or the address as `sip:user@host`.
impl fmt::Display for CallerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            None => f.write_str(&self.user),
            Some(host) if host.contains(':') => write!(f, "sip:{}@[{host}]", self.user),
            Some(host) => write!(f, "sip:{}@{host}", self.user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, address: &str, expected: bool) {
        let pattern = CallerPattern::parse(pattern).expect("a good pattern");
        assert_eq!(
            pattern.matches_address(address),
            expected,
            "{pattern:?} {address}"
        );
    }

    #[test]
    fn an_address_matches_by_user_and_host_only() {
        check("sip:1000@pbx.example", "sip:1000@pbx.example", true);
        check(
            "sip:1000@pbx.example",
            "SIPS:1000@PBX.example.:5061;transport=tls",
            true,
        );
        check("1000@192.0.2.7", "sip:1000@192.0.2.7:5060", true);
        check("1000@[2001:db8::7]", "sip:1000@[2001:DB8::7]:5060", true);
        check("sip:1000@pbx.example", "sip:1000@evil.example", false);
        check("sip:1000@pbx.example", "sip:1000", false);
        check("sip:1000@pbx.example", "sip:1000@pbx.example@evil.example", false);
        check("sip:alice@pbx.example", "sip:Alice@pbx.example", false);
        check(
            "sip:1000@pbx.example",
            "\"sip:1000@pbx.example\" <sip:6@evil.example>",
            false,
        );
    }

    #[test]
    fn a_number_without_host_matches_at_every_host() {
        check("1000", "sip:1000@pbx.example", true);
        check("+33 (4) 76-12.34", "tel:+334761234", true);
        check("1000", "sip:10000@pbx.example", false);
        check("1000", "sip:100@pbx.example", false);
        check("1000", "", false);
    }

    #[test]
    fn wildcards_stand_for_digits_only() {
        check("+3347612*", "sip:+33476123456@x", true);
        check("+3347612*", "sip:+3347612@x", true);
        check("+3347612*", "sip:+3347612ab@x", false);
        check("10??", "sip:1042@x", true);
        check("10??", "sip:10a2@x", false);
        check("10??", "sip:10??@x", false);
        for bad in ["", "sip:", "@host", "*", "12*", "1*2345", "??", "100@"] {
            assert!(CallerPattern::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn who_withholds_the_number_is_nobody() {
        for bad in [
            "anonymous",
            "Anonymous",
            "sip:anonymous@anonymous.invalid",
            "sip:1000@anonymous.invalid",
            "unknown",
            "sip:private@pbx.example",
            "Restricted",
            "unavailable",
        ] {
            let error = CallerPattern::parse(bad).expect_err(bad);
            assert!(
                matches!(error, CallerPatternError::Withheld { .. }),
                "{bad}: {error}"
            );
        }
    }

    #[test]
    fn a_telephone_is_a_number_or_an_address_and_is_kept_in_one_way() {
        for (text, kept) in [
            ("1000", "1000"),
            ("+33 6 12-77", "+3361277"),
            ("tel:+33(6)12.77", "+3361277"),
            (
                "SIP:+33 6 12@PBX.example:5061;transport=tls",
                "sip:+33612@pbx.example",
            ),
            ("alice.b@pbx.example", "sip:alice.b@pbx.example"),
            ("sip:1000@[2001:DB8::7]:5060", "sip:1000@[2001:db8::7]"),
        ] {
            let read = CallerPattern::telephone(text).expect(text);
            assert_eq!(read.to_string(), kept);
            assert_eq!(CallerPattern::telephone(kept), Ok(read));
        }
        for bad in [
            "",
            "+",
            "-",
            "alice",
            "sip:'; drop",
            "sip:'; drop@pbx",
            "10*",
            "047*",
            "10??",
            "'+33612",
            "++33612",
            "12+3",
            "123456789012345678901",
            "anonymous",
            "1000@a b",
        ] {
            assert!(CallerPattern::telephone(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_untrusted_peer_never_matches() {
        let pattern = CallerPattern::parse("1000").expect("a good pattern");
        let mut peer = Peer {
            address: "sip:1000@pbx".into(),
            foreign: false,
            display: None,
            trusted: false,
            withheld: false,
        };
        assert!(!pattern.matches(&peer));
        peer.trusted = true;
        assert!(pattern.matches(&peer));
        // of another host nobody is at the domain of an account
        peer.foreign = true;
        assert!(!pattern.matches(&peer));
        let named = CallerPattern::parse("sip:1000@pbx").expect("a good pattern");
        assert!(named.matches(&peer));
    }

    proptest::proptest! {
        #[test]
        fn no_address_makes_it_panic(pattern in ".{0,40}", address in ".{0,80}") {
            if let Ok(kept) = CallerPattern::telephone(&pattern) {
                proptest::prop_assert_eq!(CallerPattern::telephone(&kept.to_string()), Ok(kept));
            }
            if let Ok(pattern) = CallerPattern::parse(&pattern) {
                let _ = pattern.matches_address(&address);
            }
        }
    }
}
