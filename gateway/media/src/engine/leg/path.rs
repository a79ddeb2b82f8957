//! What comes on the port of RTP and is no RTP: checks of ICE, and the handshake that keys come by (RFC 7983).
//!
//! A check is answered here and now; it costs one HMAC. A handshake costs signatures and memory, so its datagrams go to
//! whoever sits behind the sink, a few in each tick, and its answers come back as commands.

use std::net::SocketAddr;
use std::time::Duration;

use gateway_core::Instant;

use super::{Arrival, Leg, Outbox};
use crate::engine::MediaEvent;
use crate::ice::{Component, Heard};
use crate::stun::{self, Kind, Writer};

/// Time between two reminders; routers keep what was not used for at least 30 s.
const REMINDER: Duration = Duration::from_secs(15);
/// Datagrams of a handshake that are passed on between two ticks of one source; a flight has up to six.
const AT_ONCE: u8 = 8;
/// As many of all sources together, beside the one that is announced.
const OTHERS_AT_ONCE: u8 = 16;
/// Datagrams of handshakes that are passed on of one source while it is known; a handshake with losses has some dozen.
const MOST: u16 = 512;
/// Sources that have a part of their own, beside the one that is announced; a phone behind a NAT has one.
const SOURCES: usize = 4;
/// A source of which nothing was passed on for so long may be forgotten for another one. A handshake that goes on is not so
/// silent: what was lost is sent again after one second, then after two more (RFC 6347 §4.2.4.1).
const QUIET: Duration = Duration::from_secs(3);
/// Time between two that are forgotten: whoever comes from ever new ports has one part in it, some hundred datagrams a
/// second, and the source that spoke last is never the one that goes.
const TURN: Duration = Duration::from_secs(5);

/// Where the other side was reached before ICE began anew: media goes there until that has chosen (RFC 8445 §9). Not for
/// longer than somebody's consent lasts, which nobody asks for there any more (RFC 7675 §5.1).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    targets: [Option<SocketAddr>; 2],
    until: Instant,
}

/// See [`Before`].
const BEFORE: Duration = Duration::from_secs(30);

impl Before {
    /// Of both components.
    pub(super) fn new(now: Instant, targets: [Option<SocketAddr>; 2]) -> Self {
        Self {
            targets,
            until: now + BEFORE,
        }
    }

    pub(super) const fn target(&self, component: Component) -> Option<SocketAddr> {
        let [rtp, rtcp] = self.targets;
        match component {
            Component::Rtp => rtp,
            Component::Rtcp => rtcp,
        }
    }

    pub(super) fn knows(&self, from: SocketAddr) -> bool {
        self.targets.contains(&Some(from))
    }

    /// It ends with the new choice, or with its time.
    fn end(&mut self, now: Instant, chosen: bool) {
        if chosen || now >= self.until {
            self.targets = [None; 2];
        }
    }
}

/// What one source has sent.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// Passed on since the last tick.
    at_once: u8,
    /// Passed on in all.
    passed: u16,
}

impl Part {
    const fn take(&mut self) -> bool {
        let room = self.at_once < AT_ONCE && self.passed < MOST;
        if room {
            self.at_once += 1;
            self.passed += 1;
        }
        room
    }
}

/// A source that is not the announced one.
#[derive(Clone, Copy, Debug)]
struct Other {
    source: SocketAddr,
    part: Part,
    /// When something of it was passed on, or when it came first.
    last: Instant,
}

/// Handshakes of one leg. Whoever floods one uses up the part of his own address: the announced one has a part that
/// nobody else can touch.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    announced: Part,
    others: [Option<Other>; SOURCES],
    others_at_once: u8,
    /// When one of them was forgotten for another.
    forgotten: Option<Instant>,
    /// Where answers go: the announced address once it has spoken, else who spoke last.
    from: Option<SocketAddr>,
}

impl Handshakes {
    /// A tick is over.
    pub(super) fn tick(&mut self) {
        self.announced.at_once = 0;
        self.others_at_once = 0;
        for other in self.others.iter_mut().flatten() {
            other.part.at_once = 0;
        }
    }

    /// The other side announces an address, after another one: what came from elsewhere before says no more where answers
    /// go, and the new address has a part of its own. On hold it announces none, and all stays as it is.
    pub(super) fn announce(&mut self, before: Option<SocketAddr>, address: SocketAddr) {
        if before != Some(address) && !address.ip().is_unspecified() {
            self.announced = Part::default();
            self.from = None;
        }
    }

    /// May a datagram of this source be passed on? Then it counts as passed.
    fn take(&mut self, now: Instant, from: SocketAddr, announced: SocketAddr) -> bool {
        if from == announced {
            let taken = self.announced.take();
            if taken {
                self.from = Some(from);
            }
            return taken;
        }
        if self.others_at_once >= OTHERS_AT_ONCE {
            return false;
        }
        let Some(slot) = self.slot_of(now, from) else {
            return false;
        };
        let other = slot.get_or_insert(Other {
            source: from,
            part: Part::default(),
            last: now,
        });
        if !other.part.take() {
            return false;
        }
        other.last = now;
        self.others_at_once += 1;
        if self.from != Some(announced) {
            self.from = Some(from);
        }
        true
    }

    /// The place of a source: its own, an empty one, or that of the one that is silent for longest.
    fn slot_of(&mut self, now: Instant, from: SocketAddr) -> Option<&mut Option<Other>> {
        let known = |slot: &Option<Other>| slot.is_none_or(|other| other.source == from);
        if let Some(index) = self.others.iter().position(known) {
            return self.others.get_mut(index);
        }
        if self.forgotten.is_some_and(|at| now.since(at) < TURN) {
            return None;
        }
        let last = |slot: &&mut Option<Other>| slot.map(|other| other.last);
        let oldest = self.others.iter_mut().min_by_key(last)?;
        if oldest.is_some_and(|other| now.since(other.last) < QUIET) {
            return None;
        }
        self.forgotten = Some(now);
        *oldest = None;
        Some(oldest)
    }
}

/// True if a datagram on a port of media is DTLS (RFC 7983 §7).
fn is_dtls(packet: &[u8]) -> bool {
    matches!(packet, [20..=63, ..])
}

impl Leg {
    /// Takes what is neither RTP nor RTCP; false if it is one of them.
    pub(super) fn other_in(
        &mut self,
        arrival: Arrival,
        from: SocketAddr,
        packet: &[u8],
        control: bool,
        out: &mut Outbox,
    ) -> bool {
        let taken = if stun::is_stun(packet) {
            self.check_in(arrival.now, from, packet, control)
        } else if is_dtls(packet) {
            !control && self.handshake_in(arrival, from, packet, out)
        } else {
            return false;
        };
        self.stats.discarded += u64::from(!taken);
        true
    }

    fn check_in(&mut self, now: Instant, from: SocketAddr, packet: &[u8], control: bool) -> bool {
        let Some(ice) = self.transport.as_mut().and_then(|t| t.ice.as_mut()) else {
            return false;
        };
        let component = if control { Component::Rtcp } else { Component::Rtp };
        let before = ice.target(Component::Rtp);
        let heard = ice.handle(now, component, from, packet, &mut self.packet);
        let target = ice.target(Component::Rtp);
        if let Some(target) = target.filter(|_| target != before) {
            // what comes from there is the other side's, without a key as well
            self.latch.announce(target, Some(target.ip()));
        }
        match heard {
            Heard::Nothing => return false,
            Heard::Taken => {}
            // a lost answer is asked for again
            Heard::Answer | Heard::Chosen => {
                let _ = self.ports.send(control, &self.packet, from);
            }
        }
        true
    }

    /// Sends the checks of ours that are due.
    pub(in crate::engine) fn check_out(&mut self, now: Instant) {
        self.remind(now);
        let Some(transport) = &mut self.transport else {
            return;
        };
        let Some(ice) = &mut transport.ice else {
            return;
        };
        transport.before.end(now, ice.target(Component::Rtp).is_some());
        while let Some((component, to)) = ice.check(now, &mut self.packet) {
            // one that nobody gets is sent again
            let _ = self.ports.send(component == Component::Rtcp, &self.packet, to);
        }
    }

    /// As long as nothing is agreed nothing goes out: a router that was told to others must not forget our ports. The
    /// server answers nothing to it (RFC 8489 §2).
    fn remind(&mut self, now: Instant) {
        let Some(seen) = self.ports.seen().filter(|_| self.transport.is_none()) else {
            return;
        };
        if now < *self.remind.get_or_insert(now + REMINDER) {
            return;
        }
        self.remind = Some(now + REMINDER);
        let mut transaction = [0; 12];
        for part in transaction.chunks_exact_mut(4) {
            part.copy_from_slice(&(self.random ^ self.params.ssrc).to_be_bytes());
        }
        Writer::begin(&mut self.packet, Kind::Indication, transaction).finish();
        for control in [false, true] {
            let _ = self.ports.send(control, &self.packet, seen.server);
        }
    }

    fn handshake_in(&mut self, arrival: Arrival, from: SocketAddr, packet: &[u8], out: &mut Outbox) -> bool {
        let Some(transport) = self.transport.as_ref().filter(|t| t.agreed.dtls.is_some()) else {
            return false;
        };
        let known = match &transport.ice {
            Some(ice) => ice.knows(from) || transport.before.knows(from),
            None => self.latch.is_near(from.ip()),
        };
        // with ICE that is where the other side has chosen to be reached
        let announced = transport.target(Component::Rtp);
        let announced = announced.unwrap_or_else(|| super::canonical(transport.agreed.remote_rtp));
        if !known || !self.handshakes.take(arrival.now, from, announced) {
            return false;
        }
        out.push(MediaEvent::Handshake {
            at: arrival.at,
            datagram: packet.into(),
            leg: self.id,
        });
        true
    }

    /// Sends a datagram of a handshake to where media goes, or to where the other side's came from.
    pub(in crate::engine) fn send_handshake(&self, datagram: &[u8]) {
        let Some(transport) = self.transport.as_ref().filter(|t| t.agreed.dtls.is_some()) else {
            return;
        };
        let to = match &transport.ice {
            // until it has chosen there is nowhere to send to; the handshake asks again
            Some(_) => transport.target(Component::Rtp),
            None => {
                let came = self.handshakes.from.or_else(|| self.latch.source());
                Some(came.unwrap_or(transport.agreed.remote_rtp))
            }
        };
        if let Some(to) = to.filter(|to| !to.ip().is_unspecified() && to.port() != 0) {
            // a lost one is sent again
            let _ = self.ports.send(false, datagram, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(60_000 + ms)
    }

    #[test]
    fn a_flood_of_handshakes_uses_up_the_part_of_its_own_source_only() {
        let (phone, behind_nat) = (a("10.0.0.7:4000"), a("198.51.100.1:9"));
        let mut seen = Handshakes::default();
        assert!(seen.take(at(0), behind_nat, phone));
        for n in 0..5_000_u16 {
            let junk = SocketAddr::new(phone.ip(), 10_000 + n % 50);
            seen.take(at(0), junk, phone);
            if n.is_multiple_of(20) {
                seen.tick();
                assert!(seen.take(at(0), behind_nat, phone), "it came first: {n}");
            }
        }
        seen.tick();
        assert!(seen.take(at(0), phone, phone));
        let passed: u32 = seen
            .others
            .iter()
            .flatten()
            .map(|other| u32::from(other.part.passed))
            .sum();
        assert!(
            passed <= u32::from(MOST) * u32::try_from(SOURCES).expect("few"),
            "{passed}"
        );
        // the announced address alone has what one source has
        let all = (0..2_000).filter(|_| {
            seen.tick();
            seen.take(at(0), phone, phone)
        });
        assert_eq!(all.count(), usize::from(MOST) - 1);
    }

    #[test]
    fn answers_go_to_the_announced_address_once_it_has_spoken() {
        let (phone, other) = (a("10.0.0.7:4000"), a("10.0.0.7:4002"));
        let mut seen = Handshakes::default();
        assert!(seen.take(at(0), other, phone));
        assert_eq!(seen.from, Some(other));
        assert!(seen.take(at(0), phone, phone) && seen.take(at(0), other, phone));
        assert_eq!(seen.from, Some(phone));
    }

    #[test]
    fn a_source_that_fell_silent_gives_its_place_to_another_and_one_that_speaks_keeps_it() {
        let (phone, behind_nat) = (a("10.0.0.7:4000"), a("198.51.100.1:9"));
        let mut seen = Handshakes::default();
        for port in 1..=4 {
            assert!(seen.take(at(u64::from(port)), SocketAddr::new(phone.ip(), port), phone));
        }
        assert!(!seen.take(at(2_990), behind_nat, phone), "they may go on");
        assert!(seen.take(at(3_010), behind_nat, phone));
        assert_eq!(seen.from, Some(behind_nat));
        // the one that was silent for longest had to go, and for some seconds no other has to
        assert!(!seen.take(at(8_000), SocketAddr::new(phone.ip(), 1), phone));
        for port in 2..=4 {
            assert!(seen.take(at(8_000), SocketAddr::new(phone.ip(), port), phone));
        }
        // a minute of ever new ports, while the phone's handshake goes on with losses
        let (mut port, mut newcomers) = (10_000, 0);
        for step in 0..600 {
            let now = at(8_000 + 100 * step);
            seen.tick();
            for _ in 0..20 {
                port += 1;
                newcomers += usize::from(seen.take(now, SocketAddr::new(phone.ip(), port), phone));
            }
            if step.is_multiple_of(20) {
                assert!(seen.take(now, behind_nat, phone), "{step}");
            }
        }
        // the first once a place was silent, then one in five seconds
        assert_eq!(newcomers, 12);
    }

    #[test]
    fn another_announced_address_is_where_answers_go_and_a_hold_changes_nothing() {
        let (phone, other, hold) = (a("10.0.0.7:4000"), a("10.0.0.9:4000"), a("0.0.0.0:4000"));
        let mut seen = Handshakes::default();
        assert!(seen.take(at(0), phone, phone));
        for address in [phone, hold] {
            seen.announce(Some(phone), address);
            assert_eq!(seen.from, Some(phone));
        }
        seen.announce(Some(phone), other);
        assert_eq!((seen.from, seen.announced.passed), (None, 0));
    }
}
