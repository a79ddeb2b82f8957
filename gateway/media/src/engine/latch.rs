//! From which source a leg takes media: the first valid one near the address of the session description.
//!
//! Plain RTP: a packet from the announced address and port is taken at once, also in place of somebody else, and from
//! then on nobody else is: all extensions of a PBX have one address, and whoever knows our port can have the PBX send to
//! it. Another port of that address is heard after some packets in sequence, as long as the announced one has not spoken, and its
//! keys do not count. If the announced address is private, the other side may sit behind a NAT: the address that its
//! signalling comes from is taken after three packets in sequence, and no other one. A public announced address binds.
//! Encrypted: whoever has the key. Later changes (another port, another SSRC) need packets in sequence, a change of address
//! needs the old source to be silent, and there are at most 64.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gateway_core::Instant;

/// Changes of source of one agreement.
const MAX_CHANGES: u8 = 64;
/// The old source has been silent for so long before another address takes over.
const SILENT: Duration = Duration::from_millis(1_000);

/// Packets in sequence after which another port of the announced address is heard.
const ANOTHER_PORT: u8 = 5;

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Of the latched source.
    Current,
    /// The source is new: begin anew with this packet.
    Fresh,
    /// Not (yet) ours.
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    from: SocketAddr,
    ssrc: u32,
    next: u16,
    count: u8,
}

/// The latch of one leg.
#[derive(Clone, Debug)]
pub(super) struct Latch {
    announced: Option<SocketAddr>,
    /// Where the signalling comes from.
    signalling: Option<IpAddr>,
    current: Option<(SocketAddr, u32)>,
    last: Instant,
    candidate: Option<Candidate>,
    changes: u8,
    /// The announced address alone counts, behind whatever router it is.
    bound: bool,
}

impl Latch {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            announced: None,
            signalling: None,
            current: None,
            last: now,
            candidate: None,
            changes: 0,
            bound: false,
        }
    }

    /// Whether media counts from the announced address only, also if it is private, and with whatever key.
    pub(super) const fn bind(&mut self, bound: bool) {
        self.bound = bound;
    }

    /// What the other side announces, and where its signalling comes from, if that is known; another address than
    /// before opens the latch.
    pub(super) fn announce(&mut self, address: SocketAddr, signalling: Option<IpAddr>) {
        self.signalling = signalling;
        if self.announced != Some(address) {
            self.announced = Some(address);
            // On hold the announced address is 0.0.0.0: the source stays for what comes after.
            if !address.ip().is_unspecified() {
                self.current = None;
                self.candidate = None;
                self.changes = 0;
            }
        }
    }

    /// May a key that the latched source presses without encryption count? Not from another port of the announced address, which
    /// may be anybody at the same PBX. Behind a NAT no port is announced that would tell.
    pub(super) fn counts_keys(&self) -> bool {
        match (self.announced, self.source()) {
            (Some(announced), Some(source)) => source == announced || source.ip() != announced.ip(),
            (None, _) | (_, None) => false,
        }
    }

    /// The latched source.
    pub(super) fn source(&self) -> Option<SocketAddr> {
        self.current.map(|(from, _)| from)
    }

    /// A valid packet came; `authentic` if it was encrypted with the leg's key.
    pub(super) fn packet(
        &mut self,
        now: Instant,
        from: SocketAddr,
        ssrc: u32,
        sequence: u16,
        authentic: bool,
    ) -> Verdict {
        if self.current == Some((from, ssrc)) {
            self.last = now;
            return Verdict::Current;
        }
        let Some(needed) = self.needed(now, from, authentic) else {
            return Verdict::Refused;
        };
        let count = match self.candidate {
            Some(c) if c.from == from && c.ssrc == ssrc && c.next == sequence => c.count.saturating_add(1),
            Some(_) | None => 1,
        };
        if count < needed {
            self.candidate = Some(Candidate {
                from,
                ssrc,
                next: sequence.wrapping_add(1),
                count,
            });
            return Verdict::Refused;
        }
        if let Some((current, _)) = self.current {
            // whoever slipped in may not use up the turn of the one that is announced
            let gives_way = Some(from) == self.announced && current != from;
            if self.changes == MAX_CHANGES && !gives_way {
                return Verdict::Refused;
            }
            self.changes = self.changes.saturating_add(1).min(MAX_CHANGES);
        }
        self.candidate = None;
        self.current = Some((from, ssrc));
        self.last = now;
        Verdict::Fresh
    }

    /// Addresses from which media may come without a key: `None` if that is any at all, since a
    /// private one was announced and nobody knows where the signalling comes from.
    pub(super) fn binds(&self) -> Option<[Option<IpAddr>; 2]> {
        let announced = self.announced?.ip();
        // on hold none is announced; who spoke before may speak again
        let elsewhere = is_private(announced) && !self.bound;
        if announced.is_unspecified() || elsewhere && self.signalling.is_none() {
            return None;
        }
        Some([Some(announced), self.signalling.filter(|_| elsewhere)])
    }

    /// Is a packet, without having looked into it, one of the other side's? Once there is a source, that one; before, what
    /// comes from where it may come from.
    pub(super) fn expects(&self, from: SocketAddr) -> bool {
        match self.current {
            Some((source, _)) => source == from,
            None => self.is_near(from.ip()),
        }
    }

    /// Is it the announced address, or that of a NAT which the announced one may be behind?
    pub(super) fn is_near(&self, ip: IpAddr) -> bool {
        self.announced.map(|a| a.ip()).is_some_and(|announced| {
            ip == announced
                || (!self.bound
                    && is_private(announced)
                    && self.signalling.is_none_or(|address| address == ip))
        })
    }

    /// Packets in sequence that this source needs; `None` if it is never taken.
    fn needed(&self, now: Instant, from: SocketAddr, authentic: bool) -> Option<u8> {
        let announced = self.announced?;
        if self.bound && from.ip() != announced.ip() {
            return None;
        }
        if authentic {
            return Some(1);
        }
        if !self.is_near(from.ip()) {
            return None;
        }
        let another_port = from != announced && from.ip() == announced.ip();
        match self.current {
            Some((current, _)) if current == from => Some(2),
            // whoever slipped in before the announced address spoke has to give way to it
            _ if from == announced => Some(1),
            Some((current, _)) if current == announced => None,
            None if another_port => Some(ANOTHER_PORT),
            None => Some(3),
            Some((current, _)) if from.ip() == announced.ip() && current.ip() != announced.ip() => {
                Some(ANOTHER_PORT)
            }
            Some(_) if now.since(self.last) < SILENT => None,
            Some(_) => Some(3),
        }
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => {
            let [first, second, ..] = a.octets();
            // 100.64.0.0/10 is a carrier's NAT (RFC 6598).
            a.is_private() || a.is_link_local() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(a) => a.is_unique_local() || a.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a(text: &str) -> SocketAddr {
        text.parse().expect("address")
    }

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(10_000 + ms)
    }

    #[test]
    fn the_announced_address_is_taken_at_once_and_holds() {
        let mut l = Latch::new(at(0));
        assert_eq!(
            l.packet(at(0), a("192.0.2.7:4000"), 1, 1, false),
            Verdict::Refused
        );
        l.announce(a("192.0.2.7:4000"), None);
        assert_eq!(l.packet(at(0), a("192.0.2.7:4000"), 1, 1, false), Verdict::Fresh);
        assert_eq!(
            l.packet(at(20), a("192.0.2.7:4000"), 1, 2, false),
            Verdict::Current
        );
        for n in 0..10 {
            let stranger = l.packet(at(30), a("198.51.100.1:4002"), 1, n, false);
            assert_eq!(stranger, Verdict::Refused);
            let neighbour = l.packet(at(30), a("192.0.2.7:4004"), 1, n, false);
            assert_eq!(neighbour, Verdict::Refused);
            let later = l.packet(at(60_000), a("192.0.2.7:4004"), 1, n, false);
            assert_eq!(later, Verdict::Refused, "nor when the source is silent");
        }
        assert_eq!(l.source(), Some(a("192.0.2.7:4000")));
        assert!(l.counts_keys());
    }

    #[test]
    fn however_often_another_port_changes_the_announced_one_is_heard() {
        let mut l = Latch::new(at(0));
        let (announced, other) = (a("192.0.2.7:4000"), a("192.0.2.7:4002"));
        l.announce(announced, Some(announced.ip()));
        for ssrc in 0..200 {
            for n in 0..5 {
                l.packet(at(0), other, ssrc, n, false);
            }
        }
        assert_eq!(l.packet(at(20), announced, 1, 1, false), Verdict::Fresh);
        assert!(l.counts_keys());
    }

    #[test]
    fn another_port_of_the_same_pbx_is_heard_until_the_announced_one_speaks_and_presses_nothing() {
        let mut l = Latch::new(at(0));
        let (announced, other) = (a("192.0.2.7:4000"), a("192.0.2.7:4002"));
        l.announce(announced, Some(announced.ip()));
        for n in 0..4 {
            assert_eq!(l.packet(at(0), other, 1, n, false), Verdict::Refused);
        }
        assert_eq!(l.packet(at(0), other, 1, 4, false), Verdict::Fresh);
        assert!(!l.counts_keys());
        assert_eq!(
            l.packet(at(20), announced, 2, 1, false),
            Verdict::Fresh,
            "at once"
        );
        assert!(l.counts_keys());
        for n in 0..20 {
            assert_eq!(l.packet(at(5_000), other, 1, 5 + n, false), Verdict::Refused);
        }
    }

    #[test]
    fn a_public_address_binds_and_a_private_one_may_be_behind_a_nat() {
        let mut l = Latch::new(at(0));
        l.announce(a("192.0.2.7:4000"), None);
        for n in 0..10 {
            assert_eq!(
                l.packet(at(0), a("198.51.100.1:9"), 1, n, false),
                Verdict::Refused
            );
        }
        l.announce(a("10.0.0.7:4000"), None);
        let nat = a("198.51.100.1:9");
        assert_eq!(l.packet(at(0), nat, 1, 5, false), Verdict::Refused);
        assert_eq!(l.packet(at(0), nat, 1, 7, false), Verdict::Refused);
        assert_eq!(l.packet(at(0), nat, 1, 8, false), Verdict::Refused);
        assert_eq!(l.packet(at(0), nat, 1, 9, false), Verdict::Fresh);
    }

    #[test]
    fn of_two_that_send_from_elsewhere_only_who_signals_is_taken() {
        let (announced, nat) = (a("10.0.0.7:4000"), a("198.51.100.1:9"));
        for phone in [announced, nat] {
            let mut l = Latch::new(at(0));
            l.announce(announced, Some(phone.ip()));
            let sprayed = |l: &mut Latch, ms: u64| {
                (0..10).any(|n| l.packet(at(ms), a("10.0.0.66:9"), 1, n, false) != Verdict::Refused)
            };
            assert!(!sprayed(&mut l, 0), "before the phone speaks");
            for n in 0..3 {
                l.packet(at(0), phone, 2, n, false);
            }
            assert_eq!(l.source(), Some(phone));
            assert!(
                !sprayed(&mut l, 20) && !sprayed(&mut l, 60_000),
                "nor when it is silent"
            );
            assert_eq!(l.source(), Some(phone));
        }
    }

    #[test]
    fn the_announced_address_takes_over_from_another() {
        let mut l = Latch::new(at(0));
        let (announced, other) = (a("10.0.0.7:4000"), a("10.0.0.66:9"));
        l.announce(announced, None);
        for n in 0..3 {
            l.packet(at(0), other, 1, n, false);
        }
        assert_eq!(l.source(), Some(other));
        assert_eq!(l.packet(at(20), announced, 2, 1, false), Verdict::Fresh);
        for n in 3..20 {
            assert_eq!(l.packet(at(40), other, 1, n, false), Verdict::Refused);
        }
    }

    #[test]
    fn what_may_come_without_a_key_is_known_by_its_address_alone() {
        let mut l = Latch::new(at(0));
        assert_eq!(l.binds(), None);
        let (public, private, nat) = (a("192.0.2.7:4000"), a("10.0.0.7:4000"), a("198.51.100.1:9"));
        l.announce(public, Some(nat.ip()));
        assert_eq!(l.binds(), Some([Some(public.ip()), None]));
        assert!(l.expects(a("192.0.2.7:1")) && !l.expects(nat));
        l.packet(at(0), public, 1, 1, false);
        assert!(
            l.expects(public) && !l.expects(a("192.0.2.7:1")),
            "a source is known"
        );
        l.announce(private, Some(nat.ip()));
        assert_eq!(l.binds(), Some([Some(private.ip()), Some(nat.ip())]));
        assert!(l.expects(nat) && l.expects(private) && !l.expects(public));
        l.announce(private, None);
        assert_eq!(l.binds(), None);
        l.announce(a("0.0.0.0:0"), Some(nat.ip()));
        assert_eq!(l.binds(), None);
    }

    #[test]
    fn where_media_is_bound_to_the_announced_address_no_router_and_no_key_brings_it_from_elsewhere() {
        let (announced, nat) = (a("10.0.0.7:4000"), a("198.51.100.1:9"));
        let mut l = Latch::new(at(0));
        l.announce(announced, Some(nat.ip()));
        l.bind(true);
        assert_eq!(l.binds(), Some([Some(announced.ip()), None]));
        assert!(!l.expects(nat) && l.expects(announced));
        for n in 0..10 {
            assert_eq!(l.packet(at(0), nat, 1, n, false), Verdict::Refused);
            assert_eq!(l.packet(at(0), nat, 1, n, true), Verdict::Refused);
        }
        for n in 0..4 {
            assert_eq!(l.packet(at(0), a("10.0.0.7:4008"), 2, n, false), Verdict::Refused);
        }
        let other_port = l.packet(at(0), a("10.0.0.7:4008"), 2, 4, false);
        assert_eq!(
            other_port,
            Verdict::Fresh,
            "who sends from another port than it hears at"
        );
        l.bind(false);
        assert_eq!(l.packet(at(0), nat, 1, 20, true), Verdict::Fresh);
    }

    #[test]
    fn a_new_ssrc_needs_two_packets_and_changes_are_bounded() {
        let mut l = Latch::new(at(0));
        let s = a("192.0.2.7:4000");
        l.announce(s, None);
        l.packet(at(0), s, 1, 1, false);
        assert_eq!(l.packet(at(0), s, 2, 1, false), Verdict::Refused);
        assert_eq!(l.packet(at(0), s, 2, 2, false), Verdict::Fresh);
        let fresh = (0..1_000u32)
            .filter(|n| l.packet(at(0), s, 10 + n, 1, true) == Verdict::Fresh)
            .count();
        assert_eq!(fresh, usize::from(MAX_CHANGES) - 1);
    }

    #[test]
    fn who_has_the_key_may_move_and_a_silent_source_is_replaced() {
        let mut l = Latch::new(at(0));
        l.announce(a("192.0.2.7:4000"), None);
        assert_eq!(l.packet(at(0), a("198.51.100.1:9"), 1, 1, true), Verdict::Fresh);
        let mut l = Latch::new(at(0));
        l.announce(a("192.0.2.7:4000"), None);
        let signalling = a("198.51.100.1:9").ip();
        l.announce(a("10.0.0.7:4000"), Some(signalling));
        let speaks = |l: &mut Latch, port, ms| {
            let last = (0..3).map(|n| l.packet(at(ms), SocketAddr::new(signalling, port), 9, n, false));
            last.last()
        };
        assert_eq!(speaks(&mut l, 9, 0), Some(Verdict::Fresh));
        assert!(l.counts_keys());
        assert_eq!(speaks(&mut l, 10, 500), Some(Verdict::Refused));
        assert_eq!(speaks(&mut l, 11, 1_500), Some(Verdict::Fresh));
    }
}
