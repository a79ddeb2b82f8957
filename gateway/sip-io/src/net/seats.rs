//! Who may have how many connections that he opened to us: strangers at most half, and the quietest of them makes room for
//! the next one. A seat is taken before the TLS handshake, so that this has no more room than the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use gateway_core::Instant;
use gateway_sip::FlowId;
use tokio::sync::Notify;

/// Connections that may be open at the same time because someone else opened them.
const MOST: usize = 64;
/// Those of strangers among them; the others wait for accounts' servers and listed peers.
const MOST_STRANGERS: usize = MOST / 2;
/// The same from one address, or from one /64 of strangers.
const MOST_PER_SOURCE: usize = 8;

struct Place {
    /// The last whole message; `None` before the first one.
    heard: Option<Instant>,
    /// Tells the connection to make room.
    leave: Arc<Notify>,
    source: IpAddr,
    /// A call or a registration goes over it.
    used: bool,
}

/// The table of all listeners.
#[derive(Default)]
pub(super) struct Seats(BTreeMap<FlowId, Place>);

/// Shared by listeners, their connections and the driver.
pub(super) type SharedSeats = Arc<Mutex<Seats>>;

/// A seat that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) leave: Arc<Notify>,
    /// Whose connection ends for it.
    pub(super) removed: Option<IpAddr>,
}

impl Seats {
    /// A seat for a new connection, if there is one. `id` counts up; `known` are the addresses that are no strangers'.
    pub(super) fn take(&mut self, id: FlowId, source: IpAddr, known: &BTreeSet<IpAddr>) -> Option<Found> {
        let source = source.to_canonical();
        let is_known = known.contains(&source);
        let share = |at: IpAddr| if is_known { at } else { network(at) };
        let of_source = self.0.values().filter(|place| {
            known.contains(&place.source) == is_known && share(place.source) == share(source)
        });
        if of_source.count() >= MOST_PER_SOURCE {
            return None;
        }
        let strangers = self.0.values().filter(|place| !known.contains(&place.source));
        let full = self.0.len() >= MOST || (!is_known && strangers.count() >= MOST_STRANGERS);
        let mut removed = None;
        if full {
            let idle = self
                .0
                .iter()
                .filter(|(_, place)| !place.used && !known.contains(&place.source));
            // whoever never said a word first, of those who came first
            let quietest = idle
                .min_by_key(|(id, place)| (place.heard, **id))
                .map(|(id, _)| *id)?;
            let place = self.0.remove(&quietest)?;
            place.leave.notify_one();
            removed = Some(place.source);
        }
        let leave = Arc::new(Notify::new());
        let place = Place {
            heard: None,
            leave: Arc::clone(&leave),
            source,
            used: false,
        };
        self.0.insert(id, place);
        Some(Found { leave, removed })
    }

    /// A whole message came.
    pub(super) fn heard(&mut self, id: FlowId, now: Instant) {
        if let Some(place) = self.0.get_mut(&id) {
            place.heard = Some(now);
        }
    }

    /// Whether a call or a registration goes over it.
    pub(super) fn set_used(&mut self, id: FlowId, used: bool) {
        if let Some(place) = self.0.get_mut(&id) {
            place.used = used;
        }
    }

    fn free(&mut self, id: FlowId) {
        self.0.remove(&id);
    }
}

/// What one customer of a network has: an address, or a /64 (RFC 6177 §2: nobody gets less).
fn network(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) >> 64 << 64).into(),
    }
}

/// One connection's seat, given back on drop.
pub(super) struct Seat {
    pub(super) id: FlowId,
    pub(super) leave: Arc<Notify>,
    pub(super) seats: SharedSeats,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats
            .lock()
            .expect("no holder of this lock panics")
            .free(self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const T0: Instant = Instant::from_nanos(1);

    fn pbx() -> IpAddr {
        IpAddr::from([192, 0, 2, 1])
    }

    fn known() -> BTreeSet<IpAddr> {
        BTreeSet::from([pbx()])
    }

    fn stranger(n: u64) -> IpAddr {
        let n = u32::try_from(n).expect("small");
        Ipv4Addr::from(0x0a00_0000 + n).into()
    }

    /// Strangers 0 to 31 sit.
    fn crowd() -> Seats {
        let mut seats = Seats::default();
        for n in 0..32 {
            let found = seats.take(FlowId(n), stranger(n), &known()).expect("a seat");
            assert_eq!(found.removed, None);
        }
        seats
    }

    fn removed(seats: &mut Seats, n: u64) -> Option<IpAddr> {
        seats
            .take(FlowId(n), stranger(n), &known())
            .expect("a seat")
            .removed
    }

    #[test]
    fn strangers_have_half_of_the_seats_and_the_oldest_silent_one_makes_room() {
        let mut seats = crowd();
        seats.heard(FlowId(0), T0);
        seats.set_used(FlowId(1), true);
        assert_eq!(removed(&mut seats, 100), Some(stranger(2)));
        assert_eq!(removed(&mut seats, 101), Some(stranger(3)));
        assert_eq!(seats.0.len(), 32);
        for n in 200..208 {
            let found = seats.take(FlowId(n), pbx(), &known()).expect("a seat");
            assert_eq!(found.removed, None);
        }
        assert!(seats.take(FlowId(208), pbx(), &known()).is_none());
        assert_eq!(seats.0.len(), 40);
    }

    #[test]
    fn of_those_who_spoke_the_quietest_goes_and_none_that_carries_a_call() {
        let mut seats = crowd();
        for n in 0..32 {
            let later = std::time::Duration::from_secs(if n == 20 { 1 } else { 5 + n });
            seats.heard(FlowId(n), T0 + later);
        }
        assert_eq!(removed(&mut seats, 100), Some(stranger(20)));
        for n in (0..32).chain([100]) {
            seats.set_used(FlowId(n), true);
        }
        assert!(seats.take(FlowId(101), stranger(101), &known()).is_none());
        // a call that is over protects nobody
        seats.set_used(FlowId(7), false);
        assert_eq!(removed(&mut seats, 101), Some(stranger(7)));
    }

    #[test]
    fn known_ones_take_the_seats_of_strangers_and_strangers_never_theirs() {
        let servers: BTreeSet<IpAddr> = (0..10).map(|n| IpAddr::from([192, 0, 2, n])).collect();
        let mut seats = Seats::default();
        for n in 0..32 {
            seats.take(FlowId(n), stranger(n), &servers).expect("a seat");
        }
        for n in 0..64 {
            let server = IpAddr::from([192, 0, 2, u8::try_from(n / 8).expect("small")]);
            let found = seats.take(FlowId(1000 + n), server, &servers).expect("a seat");
            assert_eq!(found.removed.is_some(), n >= 32, "{n}");
        }
        assert_eq!(seats.0.len(), MOST);
        assert!(seats.take(FlowId(2000), stranger(1), &servers).is_none());
        assert!(
            seats
                .take(FlowId(2001), [192, 0, 2, 9].into(), &servers)
                .is_none()
        );
    }

    #[test]
    fn eight_of_a_source_and_of_a_network_with_ipv6_but_a_known_address_counts_by_itself() {
        let v6 = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        let known = BTreeSet::from([v6(1)]);
        let mut seats = Seats::default();
        for n in 0..8_u16 {
            let at = v6(100 + n);
            assert!(seats.take(FlowId(n.into()), at, &known).is_some());
        }
        assert!(seats.take(FlowId(8), v6(200), &known).is_none());
        assert!(seats.take(FlowId(9), v6(1), &known).is_some());
        let other: IpAddr = "2001:db8:0:2::1".parse().expect("an address");
        assert!(seats.take(FlowId(10), other, &known).is_some());
        // an address of IPv4 in the shape of IPv6 is that of IPv4
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().expect("an address");
        let by_v4 = BTreeSet::from([pbx()]);
        for n in 20..28 {
            assert!(seats.take(FlowId(n), mapped, &by_v4).is_some());
        }
        assert!(seats.take(FlowId(28), pbx(), &by_v4).is_none());
    }

    #[test]
    fn a_seat_is_free_again_when_its_connection_ends() {
        let seats = SharedSeats::default();
        for n in 0..20 {
            let found = seats
                .lock()
                .expect("no panic")
                .take(FlowId(n), stranger(1), &known());
            drop(Seat {
                id: FlowId(n),
                leave: found.expect("a seat").leave,
                seats: Arc::clone(&seats),
            });
        }
        assert!(seats.lock().expect("no panic").0.is_empty());
    }
}
