//! Host names in session descriptions (RFC 8866 §5.7): whose media addresses have to be looked up before anything can be agreed
//! on. What happens on the leg meanwhile waits in its order.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use gateway_core::LegId;
use gateway_sip::ua::CallOutput;

/// Different names of one description: one for the session and some for its streams.
const MOST_NAMES: usize = 4;
/// Legs that wait at one time. More are refused as if the names could not be found.
const MOST_LEGS: usize = 32;
/// What may wait on one leg.
const MOST_WAITING: usize = 16;

/// A name, and of which family its address is to be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    pub(crate) host: String,
    pub(crate) v6: bool,
}

/// What was found of some names.
pub(crate) type Found = BTreeMap<Wanted, IpAddr>;

/// What becomes of something that happened on a leg.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is to be handled.
    Now(Box<CallOutput>),
    /// It waits for these names, which are to be looked up.
    LookUp(Vec<Wanted>),
    /// It waits for what came before it.
    Waits,
    /// Too much waits on this leg.
    Full,
}

/// Legs that wait for names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    legs: BTreeMap<LegId, VecDeque<CallOutput>>,
}

impl Names {
    /// Takes what happened on a leg. The end of a leg waits for nothing.
    pub(crate) fn take(&mut self, leg: LegId, mut what: CallOutput) -> Turn {
        if matches!(what, CallOutput::Ended { .. }) {
            self.legs.remove(&leg);
            return Turn::Now(Box::new(what));
        }
        if let Some(waiting) = self.legs.get_mut(&leg) {
            if waiting.len() >= MOST_WAITING {
                return Turn::Full;
            }
            waiting.push_back(what);
            return Turn::Waits;
        }
        let wanted = names(&mut what);
        if wanted.is_empty() || self.legs.len() >= MOST_LEGS {
            return Turn::Now(Box::new(what));
        }
        self.legs.insert(leg, [what].into());
        Turn::LookUp(wanted)
    }

    /// The names that a leg waited for were looked up: what happened there, in its order, each to be [taken](Self::take) again but
    /// the first, which has its addresses. Names that were not found are left as they are.
    pub(crate) fn found(&mut self, leg: LegId, found: &Found) -> Option<(CallOutput, VecDeque<CallOutput>)> {
        let mut waiting = self.legs.remove(&leg)?;
        let mut first = waiting.pop_front()?;
        for sdp in descriptions(&mut first) {
            *sdp = with_addresses(sdp, found);
        }
        Some((first, waiting))
    }
}

/// The session descriptions of something that happens.
fn descriptions(what: &mut CallOutput) -> Vec<&mut Vec<u8>> {
    match what {
        CallOutput::Answered { sdp, .. }
        | CallOutput::EarlyMedia { sdp }
        | CallOutput::ReofferAnswered { sdp } => vec![sdp],
        CallOutput::EarlyOffer { answer, sdp, .. } => vec![answer, sdp],
        CallOutput::Confirmed { sdp }
        | CallOutput::Incoming { sdp, .. }
        | CallOutput::Reoffer { sdp }
        | CallOutput::TakingOver { sdp, .. } => sdp.iter_mut().collect(),
        CallOutput::AuthorityLost { .. }
        | CallOutput::Digit { .. }
        | CallOutput::Ended { .. }
        | CallOutput::Named { .. }
        | CallOutput::OfferWanted { .. }
        | CallOutput::Pressed { .. }
        | CallOutput::Redirected { .. }
        | CallOutput::RefreshOfferWanted
        | CallOutput::Ringing
        | CallOutput::TransferAsked { .. } => Vec::new(),
    }
}

fn names(what: &mut CallOutput) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for sdp in descriptions(what) {
        for name in lines(sdp).filter_map(name_of) {
            if wanted.len() < MOST_NAMES && !wanted.contains(&name) {
                wanted.push(name);
            }
        }
    }
    wanted
}

fn lines(sdp: &[u8]) -> impl Iterator<Item = &[u8]> {
    sdp.split(|byte| *byte == b'\n')
}

/// The host name in a `c=` line; `None` of other lines, and of addresses.
fn name_of(line: &[u8]) -> Option<Wanted> {
    let value = std::str::from_utf8(line.strip_prefix(b"c=")?).ok()?;
    let mut words = value.split_ascii_whitespace();
    let net = words.next()?;
    let family = words.next()?;
    let host = words.next()?;
    let v6 = family.eq_ignore_ascii_case("IP6");
    let known = net.eq_ignore_ascii_case("IN") && (v6 || family.eq_ignore_ascii_case("IP4"));
    // the last label of a name has a letter; what is an address, or nearly one, is for the reader of descriptions
    let last = host.trim_end_matches('.').rsplit('.').next()?;
    let is_name = host.len() <= 253
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        && last.bytes().any(|byte| byte.is_ascii_alphabetic());
    (known && is_name).then(|| Wanted {
        host: host.to_ascii_lowercase(),
        v6,
    })
}

/// The description with addresses in place of the names that were found.
fn with_addresses(sdp: &[u8], found: &Found) -> Vec<u8> {
    let mut all = Vec::with_capacity(sdp.len());
    for (at, line) in lines(sdp).enumerate() {
        if at > 0 {
            all.push(b'\n');
        }
        let address = name_of(line).and_then(|name| found.get(&name));
        let Some(address) = address else {
            all.extend_from_slice(line);
            continue;
        };
        let family = if address.is_ipv6() { "IP6" } else { "IP4" };
        all.extend_from_slice(format!("c=IN {family} {address}").as_bytes());
        if line.ends_with(b"\r") {
            all.push(b'\r');
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use gateway_core::{Cause, Instant};

    use super::*;

    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 phone.example\r\ns=-\r\nc=IN IP4 Phone.example\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";

    fn wanted(host: &str, v6: bool) -> Wanted {
        Wanted {
            host: host.into(),
            v6,
        }
    }

    fn early(sdp: &str) -> CallOutput {
        CallOutput::EarlyMedia { sdp: sdp.into() }
    }

    #[test]
    fn names_are_told_from_addresses_and_from_what_is_neither() {
        for (line, expected) in [
            ("c=IN IP4 phone.example", Some(wanted("phone.example", false))),
            ("c=in ip6 Phone.example.\r", Some(wanted("phone.example.", true))),
            ("c=IN IP4 localhost", Some(wanted("localhost", false))),
            ("c=IN IP4 192.0.2.1", None),
            ("c=IN IP4 192.0.2.1/127", None),
            ("c=IN IP4 192.0.2.256", None),
            ("c=IN IP6 2001:db8::1", None),
            ("c=IN IP4 a;b.example", None),
            ("c=ATM NSAP phone.example", None),
            ("o=- 1 1 IN IP4 phone.example", None),
            ("c=IN IP4", None),
        ] {
            assert_eq!(name_of(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn what_happens_on_a_leg_waits_for_its_names_in_order() {
        let mut names = Names::default();
        let (leg, other) = (LegId(1), LegId(2));
        assert_eq!(
            names.take(leg, early(SDP)),
            Turn::LookUp(vec![wanted("phone.example", false)])
        );
        assert_eq!(names.take(leg, CallOutput::Ringing), Turn::Waits);
        assert_eq!(
            names.take(other, CallOutput::Ringing),
            Turn::Now(Box::new(CallOutput::Ringing))
        );
        let found = [(
            wanted("phone.example", false),
            "192.0.2.7".parse().expect("an address"),
        )];
        let (first, rest) = names.found(leg, &found.into()).expect("waited");
        assert_eq!(
            first,
            early(&SDP.replace("c=IN IP4 Phone.example", "c=IN IP4 192.0.2.7"))
        );
        assert_eq!(rest, [CallOutput::Ringing]);
        // nothing is left, and one that was not found does not wait again
        assert_eq!(names.found(leg, &Found::new()), None);
        names.take(leg, early(SDP));
        let (first, _) = names.found(leg, &Found::new()).expect("waited");
        assert_eq!(first, early(SDP));
    }

    #[test]
    fn the_end_of_a_leg_waits_for_nothing_and_nothing_is_without_bounds() {
        let mut names = Names::default();
        let ended = CallOutput::Ended {
            cause: Cause::Released,
            detail: String::new(),
        };
        names.take(LegId(0), early(SDP));
        assert_eq!(names.take(LegId(0), ended.clone()), Turn::Now(Box::new(ended)));
        assert_eq!(names.found(LegId(0), &Found::new()), None);
        for leg in 0..MOST_LEGS as u64 {
            assert!(matches!(names.take(LegId(leg), early(SDP)), Turn::LookUp(_)));
        }
        assert!(matches!(names.take(LegId(1000), early(SDP)), Turn::Now(_)));
        let digit = || CallOutput::Digit {
            at: Instant::ZERO,
            digit: '1',
        };
        for _ in 1..MOST_WAITING {
            assert_eq!(names.take(LegId(0), digit()), Turn::Waits);
        }
        assert_eq!(names.take(LegId(0), digit()), Turn::Full);
        let many: String = (0..9)
            .map(|n| format!("m=audio 4000 RTP/AVP 8\nc=IN IP4 h{n}.example\n"))
            .collect();
        let Turn::Now(what) = Names::default().take(LegId(1), early("v=0\nc=IN IP4 192.0.2.1\n")) else {
            panic!("waits for an address");
        };
        assert_eq!(*what, early("v=0\nc=IN IP4 192.0.2.1\n"));
        let Turn::LookUp(all) = Names::default().take(LegId(1), early(&many)) else {
            panic!("has names");
        };
        assert_eq!(all.len(), MOST_NAMES);
    }
}
