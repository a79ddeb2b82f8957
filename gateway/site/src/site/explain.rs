//! Answers who may open what, and why.

use gateway_access::{DigitsFrom, HoldBy, Reason, Request, When};
use gateway_core::{
    DoorId, Explain, Explained, Instant, Means, Peer, ReaderId, Secret, Subject, Timestamp, TriedRule,
    TryRules,
};
use std::time::Duration;

use super::{Now, Site};

/// How long a door that is asked about would be held open; a schedule has no bound of its own.
const HOLD: Duration = Duration::from_secs(60);

impl Site {
    /// What would be decided, by the rules in force and the wrong tries so far; nothing is counted, and nothing
    /// opens. A time that is asked for is taken as believed.
    #[must_use]
    pub fn explain_to(&self, now: Instant, wall: Timestamp, ask: &Explain) -> Explained {
        let at = ask.at.unwrap_or(wall);
        let mut context = self.context(Now { mono: now, wall: at });
        if ask.at.is_some() {
            context.wall = ask.at;
        }
        let door = ask.door.clone();
        let reader = ask.reader.clone().or_else(|| self.first_reader(ask));
        let request = match (&ask.means, reader) {
            (Means::Card { frame, pin }, Some(reader)) => Request::Card {
                at: now,
                door,
                frame: frame.clone(),
                pin: pin.clone(),
                reader,
            },
            (Means::Typed(digits), Some(reader)) => Request::KeypadCode {
                at: now,
                digits: digits.clone(),
                door,
                reader,
            },
            (Means::Card { .. } | Means::Typed(_), None) => {
                return Explained {
                    allowed: false,
                    changes: None,
                    rule: "the door has no reader".to_owned(),
                    subject: Subject::Unknown,
                };
            }
            (Means::Button { button, panel }, _) => Request::Button {
                button: button.clone(),
                door,
                panel: panel.clone(),
                ring: None,
            },
            (Means::Hold, _) => Request::Hold {
                by: HoldBy::Schedule,
                door,
                time: HOLD,
            },
            (Means::Caller { address, digits }, _) => {
                let peer = Peer {
                    address: address.clone(),
                    foreign: false,
                    display: None,
                    trusted: true,
                    withheld: false,
                };
                // nobody is locked out by a question
                let account = None;
                match digits {
                    Some(digits) => dialled(now, door, digits.clone(), DigitsFrom::Caller { account, peer }),
                    None => Request::Caller {
                        account,
                        door,
                        peer,
                        ring: None,
                    },
                }
            }
            (Means::Dialled(digits), _) => {
                let from = DigitsFrom::Called {
                    account: None,
                    listed: true,
                    peer: Peer {
                        address: "a target of the list".to_owned(),
                        ..Peer::default()
                    },
                };
                dialled(now, door, digits.clone(), from)
            }
        };
        let told = self.access.explain(now, &context, &request);
        let schedule = match &told.result {
            Err(Reason::NotNow { schedule }) => schedule.clone(),
            Ok(_) | Err(_) => None,
        };
        let changes = schedule.and_then(|id| self.params.schedules.next_change(&When::In(id), at));
        Explained {
            allowed: told.result.is_ok(),
            changes,
            rule: told.result.unwrap_or_else(|reason| reason.to_string()),
            subject: told.subject,
        }
    }

    /// What the rules would make of an event.
    ///
    /// # Errors
    /// In words, if the question names what there is not.
    pub fn try_rules(&self, wall: Timestamp, ask: &TryRules) -> Result<Vec<TriedRule>, String> {
        crate::try_rules(&self.params, wall, ask)
    }

    fn first_reader(&self, ask: &Explain) -> Option<ReaderId> {
        self.params.doors.get(&ask.door)?.readers.first().cloned()
    }
}

fn dialled(now: Instant, door: DoorId, digits: Secret, from: DigitsFrom) -> Request {
    Request::Digits {
        at: now,
        digits,
        door,
        from,
        ring: None,
        winner: true,
    }
}
