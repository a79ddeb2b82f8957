//! What the telephones' side tells beside calls: how the speech of a leg came that is over, and who knocked in vain.
//!
//! The numbers of a leg come after its end, when its call may be gone. So the last ones are remembered with their calls.

use std::collections::VecDeque;
use std::net::IpAddr;

use gateway_core::{CallEvent, Event, GatewayEvent, LegId, Quality, RingId};

use super::{Now, Site};

/// Legs that are over and whose numbers may still come.
const MOST: usize = 64;

/// A leg that is over.
#[derive(Debug)]
struct Ended {
    leg: LegId,
    ring: RingId,
    simulated: bool,
}

/// The last legs that ended.
#[derive(Debug, Default)]
pub(super) struct EndedLegs(VecDeque<Ended>);

impl Site {
    /// A leg of a call ends.
    pub(super) fn remember_leg(&mut self, leg: LegId, ring: RingId) {
        let simulated = self
            .calls
            .get(&ring)
            .is_some_and(super::calls::Call::is_simulated);
        let ended = &mut self.ended_legs.0;
        if ended.len() == MOST {
            ended.pop_front();
        }
        ended.push_back(Ended { leg, ring, simulated });
    }

    /// The numbers of a leg that is over; of one that nobody remembers they belong to no call.
    pub(super) fn quality(&mut self, now: Now, leg: LegId, quality: Quality) {
        let Some(at) = self.ended_legs.0.iter().position(|ended| ended.leg == leg) else {
            return;
        };
        let Some(Ended { ring, simulated, .. }) = self.ended_legs.0.remove(at) else {
            return;
        };
        let event = CallEvent::Media {
            concealed_ms: quality.concealed_ms,
            jitter_us: quality.jitter_us,
            leg,
            lost: quality.lost,
            received: quality.received,
            remote_lost: quality.remote_lost,
            round_trip_us: quality.round_trip_us,
            sent: quality.sent,
        };
        self.record(now, Event::Call(event), Some(ring), simulated);
    }

    /// Somebody whom the network does not know sent requests.
    pub(super) fn stranger(&mut self, now: Now, times: u64, method: String, source: Option<IpAddr>) {
        let from = source.map_or_else(|| "others".to_owned(), |source| source.to_string());
        self.gateway(now, GatewayEvent::Stranger { method, from, times });
    }
}
