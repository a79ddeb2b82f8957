//! What people and their credentials of the records may open, and when.

use std::time::Duration;

use gateway_core::{CredentialId, DoorId, Instant, Peer, PersonId, Secret};

use super::{Moment, within};
use crate::access::Access;
use crate::decision::{Held, Reason};
use crate::directory::{Credential, Validity};
use crate::policy::Group;
use crate::request::Context;

/// What a credential may, in words, and the use that it takes.
pub(super) struct Right {
    /// How long the door opens for its person.
    pub(super) open_for: Option<Duration>,
    pub(super) uses: Option<(CredentialId, u32)>,
    pub(super) words: String,
}

impl Access {
    /// Is this a PIN of the credential's owner?
    pub(super) fn has_pin(&self, credential: &Credential, digits: &Secret) -> bool {
        let mut pins = self.directory.pins(credential.person.as_ref()).into_iter();
        pins.any(|pin| self.directory.is_pin(pin, digits))
    }

    pub(crate) fn is_pin_of_phone(&self, peer: &Peer, digits: &Secret) -> bool {
        let spellings = self.spellings(&peer.address);
        let mut phones = self.directory.phones(peer, &spellings).into_iter();
        phones.any(|phone| self.has_pin(phone, digits))
    }

    /// May whoever a card or code of the site file names come in? What the records say of a person counts for it too:
    /// nothing of them opens while they are blocked, out of their days, or after they were removed. Of whom the records
    /// never told, the site file alone decides.
    pub(super) fn named(&self, moment: Moment<'_>, person: Option<&PersonId>) -> Result<(), Reason> {
        let Some(id) = person else {
            return Ok(());
        };
        match self.directory.person(id) {
            Some(person) if person.blocked => Err(Reason::Blocked),
            Some(person) => valid(moment, person.valid),
            None if self.directory.is_barred(id) => Err(Reason::Blocked),
            None => Ok(()),
        }
    }

    /// Does a credential of the records open this door at this time? What only a second factor could add is not
    /// asked here.
    pub(super) fn right(
        &self,
        moment: Moment<'_>,
        credential: &Credential,
        door: &DoorId,
    ) -> Result<Right, Reason> {
        let by = self.right_but_uses(moment, credential, door)?;
        let uses = match credential.uses {
            None => None,
            Some(most) => {
                let used = self.directory.used(&credential.id);
                if used >= most {
                    return Err(Reason::UsedUp);
                }
                // What was not written down could be used again after a power cut.
                if !moment.context.journal_ok {
                    return Err(Reason::JournalFault);
                }
                Some((credential.id.clone(), used + 1))
            }
        };
        let words = format!("{by}{}", within(&credential.when));
        let open_for = self.longest(moment, credential, door);
        Ok(Right {
            open_for,
            uses,
            words,
        })
    }

    /// The longest time that a group of its person, by which they open this door now, gives.
    fn longest(&self, moment: Moment<'_>, credential: &Credential, door: &DoorId) -> Option<Duration> {
        let person = self.directory.person(credential.person.as_ref()?)?;
        let groups = person.groups.iter().filter_map(|id| self.policy.groups.get(id));
        groups
            .filter(|group| {
                group.doors.contains(door) && self.group_opens(moment, group, door, &person.id).is_ok()
            })
            .filter_map(|group| group.open_for)
            .max()
    }

    /// Does a group open its doors for one of its people at this time?
    fn group_opens(
        &self,
        moment: Moment<'_>,
        group: &Group,
        door: &DoorId,
        person: &PersonId,
    ) -> Result<(), Reason> {
        self.in_time(moment, &group.when)?;
        match &group.escort {
            Some(escort) if !moment.leaves => {
                self.is_escorted(moment.now, moment.context, door, person, escort)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Was a permission whose use is kept taken back meanwhile?
    pub(crate) fn withdrawn(&self, now: Instant, context: &Context, held: &Held) -> Option<Reason> {
        let Some((id, _)) = &held.uses else {
            // whatever changed, the right may have gone with it
            return (self.changes != held.changes).then_some(Reason::ConfigChanged);
        };
        let Some(credential) = self.directory.credential(id) else {
            return Some(Reason::Blocked);
        };
        let leaves = held.came.is_empty();
        let moment = Moment { context, leaves, now };
        self.right_but_uses(moment, credential, &held.door).err()
    }

    /// What opened, in words, whatever the number of uses.
    pub(super) fn right_but_uses(
        &self,
        moment: Moment<'_>,
        credential: &Credential,
        door: &DoorId,
    ) -> Result<String, Reason> {
        let person = match &credential.person {
            Some(id) => Some(self.directory.person(id).ok_or(Reason::Blocked)?),
            None => None,
        };
        if person.is_some_and(|person| person.blocked) {
            return Err(Reason::Blocked);
        }
        let mut by = Err(Reason::CredentialNotForDoor);
        if credential.doors.contains(door) {
            by = Ok(String::new());
        }
        let groups = person.into_iter();
        for (person, id) in groups.flat_map(|person| person.groups.iter().map(|id| (&person.id, id))) {
            let Some(group) = self
                .policy
                .groups
                .get(id)
                .filter(|group| group.doors.contains(door))
            else {
                continue;
            };
            if by.is_ok() {
                break;
            }
            by = self
                .group_opens(moment, group, door, person)
                .map(|()| format!(" of group {id}{}", within(&group.when)));
        }
        let by = by?;
        self.in_time(moment, &credential.when)?;
        valid(moment, credential.valid)?;
        // a visitor's, also without a date: nobody knows for which days it was meant
        if credential.uses.is_some() && moment.context.wall.is_none() {
            return Err(Reason::ClockUntrusted { schedule: None });
        }
        valid(moment, person.map(|person| person.valid).unwrap_or_default())?;
        Ok(by)
    }
}

/// Is it valid today? What has no first and no last day needs no clock.
fn valid(moment: Moment<'_>, valid: Validity) -> Result<(), Reason> {
    if valid == Validity::default() {
        return Ok(());
    }
    let Some(wall) = moment.context.wall else {
        return Err(Reason::ClockUntrusted { schedule: None });
    };
    if valid.from.is_some_and(|from| wall < from) {
        Err(Reason::NotYetValid)
    } else if valid.until.is_some_and(|until| wall >= until) {
        Err(Reason::Expired)
    } else {
        Ok(())
    }
}
