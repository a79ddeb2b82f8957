//! Gives call commands to the SIP engine, and never waits for it.
//!
//! Their order counts, so a command that finds the engine's queue full waits here with all that follow it. Beyond
//! [`MOST`] they are dropped: an engine that took nothing for so long makes no calls any more, and the doors go on.

use std::collections::{BTreeMap, VecDeque};

use gateway_core::{AccountId, Instant, LegCommand, Standing};
use gateway_sip_io::{SipError, SipHandle};

use crate::run::faults::Faults;

/// Commands that may wait here, besides those in the engine's own queue.
const MOST: usize = 1024;
/// The part that has the fault.
const PART: &str = "sip-commands";

/// The main loop's end.
#[derive(Default)]
pub(crate) struct Legs {
    dropped: u64,
    /// How it is with the doors of accounts, where that is still to be said.
    standings: BTreeMap<AccountId, Standing>,
    told: bool,
    /// Each with since when somebody waits for it, if that is measured.
    waiting: VecDeque<(LegCommand, Option<Instant>)>,
}

impl Legs {
    /// Gives a command, behind those that wait. `since` is when whatever set it off happened, if that is measured.
    pub(crate) fn give(&mut self, sip: &SipHandle, command: LegCommand, since: Option<Instant>) {
        self.push(command, since);
        self.drain(|command, since| sip.try_command(command, since));
    }

    /// Says how it is with the doors of an account.
    pub(crate) fn give_standing(&mut self, sip: &SipHandle, account: AccountId, standing: Standing) {
        self.standings.insert(account, standing);
        self.say_standings(sip);
    }

    fn say_standings(&mut self, sip: &SipHandle) {
        while let Some((account, standing)) = self.standings.pop_first() {
            match sip.try_standing(account.clone(), standing) {
                Ok(true) => {}
                Ok(false) => {
                    self.standings.insert(account, standing);
                    return;
                }
                Err(error) => tracing::warn!(%error, %account, "that its doors fail or are well is not said"),
            }
        }
    }

    /// Gives what waits, and notes whether the engine hangs. To be called at each turn of the main loop.
    pub(crate) fn look(&mut self, sip: &SipHandle, faults: &Faults) {
        self.drain(|command, since| sip.try_command(command, since));
        self.say_standings(sip);
        let hangs = self.dropped > 0;
        if std::mem::replace(&mut self.told, hangs) != hangs {
            let text = "the SIP engine takes no commands, calls do not work; start the gateway anew";
            faults.set(PART, hangs.then(|| text.to_owned()));
        }
    }

    fn push(&mut self, command: LegCommand, since: Option<Instant>) {
        if self.waiting.len() < MOST {
            self.waiting.push_back((command, since));
            return;
        }
        self.dropped += 1;
        if self.dropped.is_power_of_two() {
            tracing::error!(
                dropped = self.dropped,
                "the SIP engine hangs, call commands are dropped"
            );
        }
    }

    fn drain(
        &mut self,
        mut to: impl FnMut(LegCommand, Option<Instant>) -> Result<Option<LegCommand>, SipError>,
    ) {
        while let Some((command, since)) = self.waiting.pop_front() {
            match to(command, since) {
                Ok(None) => self.dropped = 0,
                Ok(Some(full)) => {
                    self.waiting.push_front((full, since));
                    return;
                }
                Err(error) => tracing::warn!(%error, "a call command was dropped"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::{Cause, LegId};

    use super::*;

    fn command(n: u64) -> LegCommand {
        LegCommand::End {
            cause: Cause::Released,
            leg: LegId(n),
        }
    }

    #[test]
    fn a_hung_engine_keeps_nobody_and_gets_what_waited_in_order() {
        let mut legs = Legs::default();
        for n in 0..2000 {
            legs.push(command(n), None);
            legs.drain(|command, _| Ok(Some(command)));
        }
        assert_eq!((legs.waiting.len(), legs.dropped), (MOST, 2000 - MOST as u64));
        let mut got = Vec::new();
        legs.drain(|command, _| {
            got.push(command);
            Ok(None)
        });
        assert_eq!(got, (0..MOST as u64).map(command).collect::<Vec<_>>());
        assert_eq!(legs.dropped, 0, "it gets on, the fault is over");
    }
}
