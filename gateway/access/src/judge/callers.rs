//! Telephones: who calls the door, and who dials in a call.

use gateway_core::{AccountId, DoorId, Instant, Peer, Secret, Subject};

use super::people::Right;
use super::{Moment, Verdict, contact, holder, within};
use crate::access::Access;
use crate::caller::is_nobodys;
use crate::decision::Reason;
use crate::directory::{Credential, Proof};
use crate::lockout::Source;
use crate::number::Asked;
use crate::policy::{Caller, CodeFrom, DoorPolicy};
use crate::request::{Context, DigitsFrom};
use crate::schedule::When;

/// Why the door listens to a caller.
enum Known<'a> {
    /// It lists them.
    Listed(&'a str),
    /// It is the telephone of somebody who may open it.
    Phone { phone: &'a Credential, right: Right },
}

impl Access {
    pub(super) fn caller(
        &self,
        moment: Moment<'_>,
        door: &DoorPolicy,
        name: &DoorId,
        (account, peer): (Option<&AccountId>, &Peer),
    ) -> Verdict {
        let (subject, source) = (contact(peer), caller_source(account, peer));
        if let Some(locked) = self.locked(moment, &source, &subject) {
            return locked;
        }
        match self.known_caller(moment, door, name, peer) {
            Ok(_) if door.by_call == When::Never => Verdict::refused(subject, Reason::CallAlone),
            // a call alone opens only while nobody doubts when it came; a code that is dialled in it may count
            Ok(_) if moment.context.wall.is_none() => {
                Verdict::refused(subject, Reason::ClockUntrusted { schedule: None })
            }
            Ok(known) => match (self.in_time(moment, &door.by_call), known) {
                (Err(reason), _) => Verdict::refused(subject, reason),
                (Ok(()), Known::Listed(listed)) => {
                    let rule = format!("listed caller {listed:?} calls the door{}", within(&door.by_call));
                    Verdict::allowed(rule, subject, Some(source))
                }
                (Ok(()), Known::Phone { phone, .. }) if needs_pin(phone) => {
                    Verdict::refused(subject, Reason::PinNeeded)
                }
                (Ok(()), Known::Phone { phone, right }) => {
                    let rule = format!(
                        "telephone {:?}{} calls the door{}",
                        phone.id,
                        right.words,
                        within(&door.by_call)
                    );
                    let subject = holder(phone.person.as_ref(), &phone.id);
                    Verdict::allowed(rule, subject, Some(source)).by_right(right)
                }
            },
            Err(reason) => unlisted(source, subject, reason),
        }
    }

    fn known_caller<'a>(
        &'a self,
        moment: Moment<'_>,
        door: &'a DoorPolicy,
        name: &DoorId,
        peer: &Peer,
    ) -> Result<Known<'a>, Reason> {
        if !peer.trusted {
            return Err(Reason::CallerUntrusted);
        }
        let mut found = Reason::CallerUnlisted;
        let spellings = self.spellings(&peer.address);
        let meant = |caller: &&Caller| self.means(&caller.pattern, &spellings, Asked::Right);
        for caller in door.callers.iter().filter(meant) {
            if !caller.pattern.reaches(peer) {
                found = Reason::CallerForeign;
                continue;
            }
            match self.in_time(moment, &caller.when) {
                Ok(()) => return Ok(Known::Listed(&caller.name)),
                Err(reason) => found = reason,
            }
        }
        for phone in self.directory.phones(peer, &spellings) {
            match self.right(moment, phone, name) {
                Ok(right) => return Ok(Known::Phone { phone, right }),
                // a number that is known, but not at this door, is no more than any other
                Err(Reason::CredentialNotForDoor) => {}
                Err(reason) => found = reason,
            }
        }
        let at_home = Peer {
            foreign: false,
            ..peer.clone()
        };
        if peer.foreign && !self.directory.phones(&at_home, &spellings).is_empty() {
            found = Reason::CallerForeign;
        }
        Err(found)
    }

    /// Does the door listen to this telephone of somebody?
    pub(crate) fn phone_opens(&self, context: &Context, door: &DoorId, peer: &Peer) -> Result<(), Reason> {
        if !peer.trusted {
            return Err(Reason::CallerUntrusted);
        }
        let now = Instant::ZERO;
        let leaves = false;
        let moment = Moment { context, leaves, now };
        let spellings = self.spellings(&peer.address);
        let mut phones = self.directory.phones(peer, &spellings).into_iter();
        let listens = phones.any(|phone| self.right(moment, phone, door).is_ok());
        listens.then_some(()).ok_or(Reason::CallerUnlisted)
    }

    pub(super) fn digits(
        &self,
        moment: Moment<'_>,
        door: &DoorPolicy,
        name: &DoorId,
        digits: &Secret,
        from: &DigitsFrom,
        subject: Subject,
    ) -> Verdict {
        let source = dialler(from);
        if let Some(locked) = self.locked(moment, &source, &subject) {
            return locked;
        }
        let who = match from {
            DigitsFrom::Called { listed: false, .. } => return Verdict::refused(subject, Reason::NotListed),
            DigitsFrom::Called { listed: true, .. } if !door.digits_by_list => {
                return Verdict::refused(subject, Reason::DigitsNotAllowed);
            }
            DigitsFrom::Called { listed: true, .. } => "a called target of the list".to_owned(),
            DigitsFrom::Caller { peer, .. } => match self.known_caller(moment, door, name, peer) {
                Ok(Known::Listed(listed)) => format!("listed caller {listed:?}"),
                Ok(Known::Phone { phone, right }) => {
                    if self.has_pin(phone, digits) {
                        let rule = format!("telephone {:?} and PIN{}", phone.id, right.words);
                        let subject = holder(phone.person.as_ref(), &phone.id);
                        return Verdict::allowed(rule, subject, Some(source)).by_right(right);
                    }
                    if needs_pin(phone) {
                        return Verdict::wrong(source, subject, Reason::PinWrong);
                    }
                    format!("telephone {:?}", phone.id)
                }
                Err(reason) => return unlisted(source, subject, reason),
            },
        };
        match self.code(moment, digits, name, CodeFrom::Call) {
            Ok(code) => {
                let rule = format!("code {:?}{} dialled by {who}", code.id, code.right.words);
                Verdict::allowed(rule, subject, Some(source)).by_right(code.right)
            }
            Err(reason) => Verdict::wrong(source, subject, reason),
        }
    }
}

fn needs_pin(phone: &Credential) -> bool {
    matches!(phone.proof, Proof::Phone { needs_pin: true, .. })
}

/// A stranger's call is a wrong try; a caller who is known, at another time, does not guess.
fn unlisted(source: Source, subject: Subject, reason: Reason) -> Verdict {
    if matches!(reason, Reason::ClockUntrusted { .. } | Reason::NotNow { .. }) {
        Verdict::refused(subject, reason)
    } else {
        Verdict::wrong(source, subject, reason)
    }
}

/// Whose tries digits in a call are.
pub(crate) fn dialler(from: &DigitsFrom) -> Source {
    match from {
        DigitsFrom::Called { account, peer, .. } => number(account.as_ref(), peer),
        DigitsFrom::Caller { account, peer } => caller_source(account.as_ref(), peer),
    }
}

/// Callers nobody vouches for share one count: else anybody could lock out a number by using its name.
fn caller_source(account: Option<&AccountId>, peer: &Peer) -> Source {
    if peer.trusted {
        number(account, peer)
    } else {
        Source::Others
    }
}

/// Each number counts for itself, also one that is told to us alone. Whoever has none could be somebody else with each call,
/// and his words for that are many: all of them who come through one account are one.
fn number(account: Option<&AccountId>, peer: &Peer) -> Source {
    if is_nobodys(&peer.address) {
        Source::Anonymous(account.cloned())
    } else {
        Source::caller(&Subject::Contact(peer.address.clone()).to_string())
    }
}
