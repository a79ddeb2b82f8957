//! The relay guard, as far as the site can see it.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_access::Grant;
use gateway_core::{Instant, OutputId};
use gateway_site::{GuardReport, ReleaseCause};

/// Holds outputs and reports what they do.
#[derive(Debug, Default)]
pub struct Guard {
    /// It cannot be reached, and takes nothing.
    pub away: bool,
    /// It stands still: it takes orders, does nothing and says nothing.
    pub frozen: bool,
    /// What it took meanwhile.
    untold: Vec<(u64, OutputId)>,
    held: BTreeMap<OutputId, (u64, Instant)>,
}

impl Guard {
    /// Takes an order; the reports follow in order.
    pub fn operate(&mut self, now: Instant, grant: Grant, pulse: Duration) -> Vec<GuardReport> {
        let parts = grant.spend();
        let (grant, output) = (parts.id, parts.output);
        if self.away {
            let text = "the relay guard cannot be reached".to_owned();
            return vec![GuardReport::Failed { grant, output, text }];
        }
        if self.frozen {
            self.untold.push((grant, output));
            return vec![];
        }
        if now >= parts.deadline {
            let text = "too late".to_owned();
            return vec![GuardReport::Failed { grant, output, text }];
        }
        let before = self.held.insert(output.clone(), (grant, now + pulse));
        let superseded = before.map(|(grant, _)| GuardReport::Released {
            cause: ReleaseCause::Superseded,
            grant,
            output: output.clone(),
        });
        superseded
            .into_iter()
            .chain([GuardReport::Energised { grant, output }])
            .collect()
    }

    /// Lets an output rest.
    pub fn release(&mut self, output: &OutputId, cause: ReleaseCause) -> Option<GuardReport> {
        self.held.remove(output).map(|(grant, _)| GuardReport::Released {
            cause,
            grant,
            output: output.clone(),
        })
    }

    /// Lets go of outputs whose pulse is over.
    pub fn due(&mut self, now: Instant) -> Vec<GuardReport> {
        let over = self.held.iter().filter(|(_, (_, end))| now >= *end);
        let over: Vec<OutputId> = over.map(|(output, _)| output.clone()).collect();
        over.iter()
            .filter_map(|output| self.release(output, ReleaseCause::PulseEnd))
            .collect()
    }

    /// The next pulse end.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.held.values().map(|(_, end)| *end).min()
    }

    /// Is it energised?
    #[must_use]
    pub fn is_energised(&self, output: &OutputId) -> bool {
        self.held.contains_key(output)
    }

    /// Lets everything rest without a word: it died, or another gateway said hello. What the gateway's own client
    /// says of that: each order that it had taken is over.
    pub fn forget(&mut self) -> Vec<GuardReport> {
        self.frozen = false;
        let held = std::mem::take(&mut self.held).into_iter();
        let held = held.map(|(output, (grant, _))| (grant, output));
        let orders = held.chain(std::mem::take(&mut self.untold));
        let released = |(grant, output)| GuardReport::Released {
            cause: ReleaseCause::Guard,
            grant,
            output,
        };
        orders.map(released).collect()
    }
}
