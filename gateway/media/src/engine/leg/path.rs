//! What comes on the port of RTP and is no RTP: checks of ICE, and the handshake that keys come by (RFC 7983).
//!
//! A check is answered here and now; it costs one HMAC. A handshake costs signatures and memory, so its datagrams go to
//! whoever sits behind the sink, a few in each tick, and its answers come back as commands.

use std::net::SocketAddr;

use super::{Arrival, Leg, Outbox};
use crate::engine::MediaEvent;
use crate::ice::{Component, Heard};
use crate::stun;

/// Datagrams of a handshake that are passed on between two ticks; a flight has up to six.
const AT_ONCE: u8 = 8;
/// Datagrams of handshakes that one leg passes on in its life; a handshake with losses has some dozen.
const MOST: u16 = 512;

/// Handshakes of one leg.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    /// Passed on since the last tick.
    at_once: u8,
    /// Passed on in all.
    passed: u16,
    /// Where the last datagram came from.
    from: Option<SocketAddr>,
}

impl Handshakes {
    /// A tick is over.
    pub(super) const fn tick(&mut self) {
        self.at_once = 0;
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
        let seen = &mut self.handshakes;
        if !known || seen.at_once >= AT_ONCE || seen.passed >= MOST {
            return false;
        }
        seen.at_once += 1;
        seen.passed += 1;
        seen.from = Some(from);
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
