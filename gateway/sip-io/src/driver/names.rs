//! What happens on legs whose session descriptions name hosts.

use gateway_core::{Cause, Instant, LegId};
use gateway_sip::ua::CallOutput;

use super::Driver;
use crate::names::{Found, Turn};

impl Driver {
    /// Something happened on a leg: it is handled at once, or when the names in its description were looked up.
    pub(super) fn in_turn(&mut self, now: Instant, leg: LegId, what: CallOutput) {
        match self.names.take(leg, what) {
            Turn::Now(what) => self.call_output(now, leg, *what),
            Turn::LookUp(wanted) => self.net.look_up(leg, wanted),
            Turn::Waits => {}
            Turn::Full => {
                tracing::warn!(%leg, "too much happens in a call whose media addresses are being looked up");
                self.ua.end(now, leg, Cause::Media);
            }
        }
    }

    /// The names of a leg were looked up.
    pub(super) fn looked_up(&mut self, now: Instant, leg: LegId, found: &Found) {
        let Some((first, rest)) = self.names.found(leg, found) else {
            return;
        };
        self.call_output(now, leg, first);
        for what in rest {
            self.in_turn(now, leg, what);
        }
    }
}
