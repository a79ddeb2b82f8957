//! Codes: at a keypad, and dialled in a call.

use gateway_core::{CredentialId, DoorId, PersonId, ReaderId, Secret, Subject};

use super::people::Right;
use super::{Moment, Verdict, holder, within};
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
            CodeMatch::Opens(at) => {
                let code = self.policy.codes.get(at).ok_or(Reason::CodeUnknown)?;
                self.in_time(moment, &code.when)?;
                return Ok(Found {
                    id: &code.id,
                    person: None,
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
        for code in self.directory.codes(digits) {
            let right = if counts_from(code, from) {
                self.right(moment, code, door)
            } else {
                Err(Reason::CredentialNotForDoor)
            };
            match right {
                Ok(right) => {
                    return Ok(Found {
                        id: &code.id,
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

    /// Could this text be a code of the records that opens the door from there, at some time?
    pub(crate) fn is_personal_code(&self, door: &DoorId, from: CodeFrom, digits: &Secret) -> bool {
        self.directory.codes(digits).into_iter().any(|code| {
            let groups = code.person.as_ref().and_then(|id| self.directory.person(id));
            let mut groups = groups.into_iter().flat_map(|person| &person.groups);
            counts_from(code, from)
                && (code.doors.contains(door)
                    || groups.any(|id| self.policy.groups.get(id).is_some_and(|g| g.doors.contains(door))))
        })
    }
}

fn counts_from(code: &Credential, place: CodeFrom) -> bool {
    matches!(&code.proof, Proof::Code { from, .. } if from.contains(&place))
}
