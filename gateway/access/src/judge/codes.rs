//! Codes: at a keypad, and dialled in a call.

use std::collections::BTreeSet;

use gateway_core::{CredentialId, DoorId, Origin, PersonId, ReaderId, Secret, Subject};

use super::people::Right;
use super::{Moment, Verdict, holder, is_for_commands, within};
use crate::access::Access;
use crate::code::CodeMatch;
use crate::decision::Reason;
use crate::directory::{Credential, Proof};
use crate::lockout::Source;
use crate::policy::{CodeFrom, DoorPolicy};

/// A code that opens.
pub(super) struct Found<'a> {
    pub(super) id: &'a CredentialId,
    pub(super) person: Option<&'a PersonId>,
    pub(super) right: Right,
}

impl Access {
    pub(super) fn keypad(
        &self,
        moment: Moment<'_>,
        door: &DoorPolicy,
        name: &DoorId,
        digits: &Secret,
        reader: &ReaderId,
    ) -> Verdict {
        if !door.readers.contains(reader) {
            return Verdict::refused(Subject::Unknown, Reason::ReaderElsewhere);
        }
        let source = Source::Keypad(reader.clone());
        if let Some(locked) = self.locked(moment, &source, &Subject::Unknown) {
            return locked;
        }
        match self.code(moment, digits, name, CodeFrom::Keypad) {
            Ok(code) => {
                let rule = format!("code {:?}{} at keypad {reader}", code.id, code.right.words);
                Verdict::allowed(rule, holder(code.person, code.id), Some(source)).by_right(code.right)
            }
            Err(reason) => Verdict::wrong(source, Subject::Unknown, reason),
        }
    }

    /// A code that came with a command counts as one that was typed at the door. Many persons use one client: a right code
    /// forgives nobody's wrong ones, or who has a code could try others' between two uses of it.
    pub(super) fn command_code(
        &self,
        moment: Moment<'_>,
        name: &DoorId,
        digits: &Secret,
        origin: &Origin,
    ) -> Verdict {
        if !is_for_commands(origin.factor) {
            return Verdict::refused(Subject::Unknown, Reason::FactorNotCommand);
        }
        // as for a command without one
        if !moment.context.journal_ok {
            return Verdict::refused(Subject::Unknown, Reason::JournalFault);
        }
        let source = code_source(&origin.subject, name);
        if let Some(locked) = self.locked(moment, &source, &Subject::Unknown) {
            return locked;
        }
        match self.code(moment, digits, name, CodeFrom::Keypad) {
            Ok(code) => {
                let (words, by) = (&code.right.words, &origin.subject);
                let rule = format!("code {:?}{words} by {} of {by}", code.id, origin.factor);
                Verdict::allowed(rule, holder(code.person, code.id), None).by_right(code.right)
            }
            Err(reason) => Verdict::wrong(source, Subject::Unknown, reason),
        }
    }

    /// The code, of the site file or of the records. One of another time is as wrong as one of another door: the
    /// difference would tell a guesser that there is one.
    pub(super) fn code(
        &self,
        moment: Moment<'_>,
        digits: &Secret,
        door: &DoorId,
        from: CodeFrom,
    ) -> Result<Found<'_>, Reason> {
        let mut found = match self.codes.find(&self.policy.codes, digits, door, from) {
            CodeMatch::Opens(_) if self.directory.begins_code(digits) => {
                return Err(Reason::CodeBeginsAnother);
            }
            CodeMatch::Opens(at) => {
                let code = self.policy.codes.get(at).ok_or(Reason::CodeUnknown)?;
                self.named(moment, code.person.as_ref())?;
                self.in_time(moment, &code.when)?;
                return Ok(Found {
                    id: &code.id,
                    person: code.person.as_ref(),
                    right: Right {
                        open_for: None,
                        uses: None,
                        words: within(&code.when),
                    },
                });
            }
            CodeMatch::Elsewhere => Reason::CodeNotForDoor,
            CodeMatch::Unknown => Reason::CodeUnknown,
        };
        let codes = self.directory.codes(digits);
        if !codes.is_empty() && self.begins_code_of_site(digits) {
            return Err(Reason::CodeBeginsAnother);
        }
        for code in codes {
            let right = if counts_from(code, from) {
                self.right(moment, code, door)
            } else {
                Err(Reason::CredentialNotForDoor)
            };
            match right {
                Ok(right) => {
                    return Ok(Found {
                        id: self.directory.spoken_of(code),
                        person: code.person.as_ref(),
                        right,
                    });
                }
                Err(Reason::CredentialNotForDoor) => found = Reason::CodeNotForDoor,
                Err(reason) => return Err(reason),
            }
        }
        Err(found)
    }

    /// Does a code of the site file begin with these digits, and go on? Asked of the codes of people only.
    fn begins_code_of_site(&self, digits: &Secret) -> bool {
        let digits = digits.reveal();
        let mut codes = self.policy.codes.iter().map(|code| code.digits.reveal());
        codes.any(|code| code.len() > digits.len() && code.starts_with(digits))
    }

    /// Codes that open nothing, because a longer code of the other kind begins with them.
    pub(crate) fn idle_codes(&self) -> Vec<CredentialId> {
        let mut idle = BTreeSet::new();
        for code in &self.policy.codes {
            if self.directory.begins_code(&code.digits) {
                idle.insert(code.id.clone());
            }
            let digits = code.digits.reveal();
            for (at, _) in digits.char_indices().skip(1) {
                let found = self.directory.codes(&Secret::new(&digits[..at]));
                idle.extend(found.into_iter().map(|code| code.id.clone()));
            }
        }
        idle.into_iter().collect()
    }

    /// Could this text be a code of the site file that opens the door from there, at some time?
    pub(crate) fn is_code_of_site(&self, door: &DoorId, from: CodeFrom, digits: &Secret) -> bool {
        let found = self.codes.find(&self.policy.codes, digits, door, from);
        matches!(found, CodeMatch::Opens(_)) && !self.directory.begins_code(digits)
    }

    /// Could this text be a code of the records that opens the door from there, at some time?
    pub(crate) fn is_personal_code(&self, door: &DoorId, from: CodeFrom, digits: &Secret) -> bool {
        let codes = self.directory.codes(digits);
        if codes.is_empty() || self.begins_code_of_site(digits) {
            return false;
        }
        codes.into_iter().any(|code| {
            let groups = code.person.as_ref().and_then(|id| self.directory.person(id));
            let mut groups = groups.into_iter().flat_map(|person| &person.groups);
            counts_from(code, from)
                && (code.doors.contains(door)
                    || groups.any(|id| self.policy.groups.get(id).is_some_and(|g| g.doors.contains(door))))
        })
    }
}

/// Whose wrong codes these are. A client that is known answers for itself, at whatever door. Of those whom a broker let through
/// nobody is known, and its access list is for topics of doors: who guesses at one door locks nobody out at the others.
fn code_source(subject: &Subject, door: &DoorId) -> Source {
    if subject.is_unsigned() {
        Source::client(&format!("{subject} with a code at {door}"))
    } else {
        Source::client(&format!("{subject} with a code"))
    }
}

fn counts_from(code: &Credential, place: CodeFrom) -> bool {
    matches!(&code.proof, Proof::Code { from, .. } if from.contains(&place))
}
