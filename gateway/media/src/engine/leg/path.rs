//! What comes on the port of RTP and is no RTP: checks of ICE, and the handshake that keys come by (RFC 7983).
//!
//! A check is answered here and now; it costs one HMAC. A handshake costs signatures and memory, so its datagrams go to
//! whoever sits behind the sink, a few in each tick, and its answers come back as commands.

use std::net::SocketAddr;

use super::{Arrival, Leg, Outbox};
use crate::engine::MediaEvent;
use crate::ice::{Component, Heard};
use crate::stun;

/// Datagrams of a handshake that are passed on between two ticks of one source; a flight has up to six.
const AT_ONCE: u8 = 8;
/// As many of all sources together, beside the one that is announced.
const OTHERS_AT_ONCE: u8 = 16;
/// Datagrams of handshakes that are passed on of one source in a leg's life; a handshake with losses has some dozen.
const MOST: u16 = 512;
/// Sources that have a part of their own, beside the one that is announced; a phone behind a NAT has one.
const SOURCES: usize = 4;

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

/// Handshakes of one leg. Whoever floods one uses up the part of his own address: the announced one has a part that
/// nobody else can touch.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    announced: Part,
    others: [Option<(SocketAddr, Part)>; SOURCES],
    others_at_once: u8,
    /// Where answers go: the announced address once it has spoken, else who spoke last.
    from: Option<SocketAddr>,
}

impl Handshakes {
    /// A tick is over.
    pub(super) fn tick(&mut self) {
        self.announced.at_once = 0;
        self.others_at_once = 0;
        for (_, part) in self.others.iter_mut().flatten() {
            part.at_once = 0;
        }
    }

    /// May a datagram of this source be passed on? Then it counts as passed.
    fn take(&mut self, from: SocketAddr, announced: SocketAddr) -> bool {
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
        let known = |slot: &Option<(SocketAddr, Part)>| slot.is_none_or(|(source, _)| source == from);
        let Some(slot) = self.others.iter_mut().find(|slot| known(slot)) else {
            return false;
        };
        let (_, part) = slot.get_or_insert((from, Part::default()));
        if !part.take() {
            return false;
        }
        self.others_at_once += 1;
        if self.from != Some(announced) {
            self.from = Some(from);
        }
        true
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
            self.check_in(from, packet, control)
        } else if is_dtls(packet) {
            !control && self.handshake_in(arrival, from, packet, out)
        } else {
            return false;
        };
        self.stats.discarded += u64::from(!taken);
        true
    }

    fn check_in(&mut self, from: SocketAddr, packet: &[u8], control: bool) -> bool {
        let Some(ice) = self.transport.as_mut().and_then(|t| t.ice.as_mut()) else {
            return false;
        };
        let component = if control { Component::Rtcp } else { Component::Rtp };
        let heard = ice.handle(component, from, packet, &mut self.packet);
        match heard {
            Heard::Nothing => return false,
            Heard::Answer => {}
            // what comes from there is the other side's, without a key as well
            Heard::Chosen if !control => self.latch.announce(from, Some(from.ip())),
            Heard::Chosen => {}
        }
        // a lost answer is asked for again
        let _ = self.ports.send(control, &self.packet, from);
        true
    }

    fn handshake_in(&mut self, arrival: Arrival, from: SocketAddr, packet: &[u8], out: &mut Outbox) -> bool {
        let Some(transport) = self.transport.as_ref().filter(|t| t.agreed.dtls.is_some()) else {
            return false;
        };
        let known = match &transport.ice {
            Some(ice) => ice.knows(from),
            None => self.latch.is_near(from.ip()),
        };
        // with ICE that is where the other side has chosen to be reached
        let announced = transport.target(Component::Rtp);
        let announced = announced.unwrap_or_else(|| super::canonical(transport.agreed.remote_rtp));
        if !known || !self.handshakes.take(from, announced) {
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
            Some(ice) => ice.target(Component::Rtp),
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

    #[test]
    fn a_flood_of_handshakes_uses_up_the_part_of_its_own_source_only() {
        let (phone, behind_nat) = (a("10.0.0.7:4000"), a("198.51.100.1:9"));
        let mut seen = Handshakes::default();
        assert!(seen.take(behind_nat, phone));
        for n in 0..5_000_u16 {
            let junk = SocketAddr::new(phone.ip(), 10_000 + n % 50);
            seen.take(junk, phone);
            if n.is_multiple_of(20) {
                seen.tick();
                assert!(seen.take(behind_nat, phone), "it came first: {n}");
            }
        }
        seen.tick();
        assert!(seen.take(phone, phone));
        let passed: u32 = seen
            .others
            .iter()
            .flatten()
            .map(|(_, p)| u32::from(p.passed))
            .sum();
        assert!(
            passed <= u32::from(MOST) * u32::try_from(SOURCES).expect("few"),
            "{passed}"
        );
        // the announced address alone has what one source has
        let all = (0..2_000).filter(|_| {
            seen.tick();
            seen.take(phone, phone)
        });
        assert_eq!(all.count(), usize::from(MOST) - 1);
    }

    #[test]
    fn answers_go_to_the_announced_address_once_it_has_spoken() {
        let (phone, other) = (a("10.0.0.7:4000"), a("10.0.0.7:4002"));
        let mut seen = Handshakes::default();
        assert!(seen.take(other, phone));
        assert_eq!(seen.from, Some(other));
        assert!(seen.take(phone, phone) && seen.take(other, phone));
        assert_eq!(seen.from, Some(phone));
    }
}
