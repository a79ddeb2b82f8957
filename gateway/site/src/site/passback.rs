//! Who is where: what the decision found out, for journal and records.

use gateway_access::{Passed, Place};
use gateway_core::{DoorEvent, Event, GatewayEvent, PersonId, Refusal, Subject};

use super::{Now, Site};
use crate::io::Output;

impl Site {
    /// Where people were in an earlier life. Give it before [`Input::Ready`](crate::Input::Ready).
    pub fn restore_places(&mut self, places: impl IntoIterator<Item = Place>) {
        self.access.restore_places(places);
    }

    /// Nobody knows any more where a person is, or anybody. A person of whom nothing is known is refused: whoever mistyped
    /// a name would believe that it was done.
    pub(super) fn reset_passback(
        &mut self,
        now: Now,
        person: Option<PersonId>,
        subject: Subject,
    ) -> Result<(), (Refusal, String)> {
        if let Some(person) = person.as_ref().filter(|person| !self.access.knows(person)) {
            return Err((
                Refusal::Unknown,
                format!("there is no person {:?}", person.as_str()),
            ));
        }
        self.access.reset_places(person.as_ref());
        let event = GatewayEvent::PassbackReset { person, subject };
        self.record(now, Event::Gateway(event), None, false);
        self.keep_places(now, false);
        Ok(())
    }

    /// Has kept what the last decision changed, and tells who came in without having left. Nobody waits for it.
    pub(super) fn keep_places(&mut self, now: Now, injected: bool) {
        for Passed { area, door, subject } in self.access.take_passed() {
            let event = DoorEvent::Passback { area, subject };
            self.record(now, Event::Door(door, event), None, injected);
        }
        let places = self.access.take_places();
        if !places.is_empty() {
            self.out.push_back(Output::Keep {
                id: None,
                places,
                uses: None,
            });
        }
    }
}
