//! Card and PIN: what a card begins, the keys after it complete.

use std::time::Duration;

use gateway_access::{Entry, Reason, Request};
use gateway_core::{CardFrame, DoorId, Event, Instant, ReaderCommand, ReaderEvent, ReaderId};

use super::doors::Opening;
use super::{Now, Site};
use crate::io::Output;

/// How long a reader waits for the PIN after the card.
const PIN_TIME: Duration = Duration::from_secs(10);

/// A good card whose PIN is awaited.
pub(super) struct Awaited {
    /// What it opens with its PIN.
    doors: Vec<DoorId>,
    frame: CardFrame,
    until: Instant,
}

impl Awaited {
    pub(super) const fn until(&self) -> Instant {
        self.until
    }
}

impl Site {
    /// A card at a reader: it opens, is refused, or its PIN is awaited.
    pub(super) fn show_card(
        &mut self,
        now: Now,
        at: Instant,
        frame: &CardFrame,
        reader: &ReaderId,
        simulated: bool,
    ) {
        // another card, or the same once more: whatever was typed belongs to the one before
        self.forget_pin(now, reader);
        let mut doors = Vec::new();
        let mut opens = None;
        let mut held = false;
        let mut second = false;
        for door in self.doors_at(reader) {
            let request = Request::Card {
                at,
                door: door.clone(),
                frame: frame.clone(),
                pin: None,
                reader: reader.clone(),
            };
            // asked first, because a card whose PIN is awaited is not refused
            if self.explain(now, &request) == Err(Reason::PinNeeded) {
                doors.push(door);
            } else {
                match self.open(now, request, simulated) {
                    Ok(Opening::Held) => {
                        self.held_at(reader);
                        held = true;
                    }
                    Ok(Opening::Now(_)) => opens = opens.max(Some(self.shown_for(now, &door))),
                    Ok(Opening::Second) => second = true,
                    // the refusal stands in the journal
                    Err(_) => {}
                }
            }
        }
        if doors.is_empty() {
            self.show_outcome(reader, opens, held, second);
            return;
        }
        self.out
            .push_back(Output::Reader(reader.clone(), ReaderCommand::WaitPin));
        let awaited = Awaited {
            doors,
            frame: frame.clone(),
            until: now.mono + PIN_TIME,
        };
        self.awaited.insert(reader.clone(), awaited);
        let event = ReaderEvent::PinAwaited {};
        self.record(now, Event::Reader(reader.clone(), event), None, simulated);
    }

    /// If the PIN of a card is awaited there: is this it?
    pub(super) fn is_awaited_pin(&self, reader: &ReaderId, typed: &str) -> Option<bool> {
        let awaited = self.awaited.get(reader)?;
        Some(self.access.is_pin(&awaited.frame, typed))
    }

    /// What was typed after a card; false if no PIN is awaited there.
    pub(super) fn pin_typed(&mut self, now: Now, reader: &ReaderId, entry: &Entry, simulated: bool) -> bool {
        let Some(awaited) = self.awaited.remove(reader) else {
            return false;
        };
        let mut opens = None;
        let mut held = false;
        let mut second = false;
        for door in awaited.doors {
            let request = Request::Card {
                at: entry.at,
                door: door.clone(),
                frame: awaited.frame.clone(),
                pin: Some(entry.digits.clone()),
                reader: reader.clone(),
            };
            let wrong = self.explain(now, &request) == Err(Reason::PinWrong);
            match self.open(now, request, simulated) {
                Ok(Opening::Held) => {
                    self.held_at(reader);
                    held = true;
                }
                Ok(Opening::Now(_)) => opens = opens.max(Some(self.shown_for(now, &door))),
                Ok(Opening::Second) => second = true,
                Err(_) => {}
            }
            if wrong {
                // it was typed once, so it counts once
                break;
            }
        }
        self.show_outcome(reader, opens, held, second);
        true
    }

    /// What became of a card at all doors of its reader. What is held is shown when it opens.
    fn show_outcome(&mut self, reader: &ReaderId, opens: Option<Duration>, held: bool, second: bool) {
        if opens.is_none() && second {
            self.show_more(reader.clone());
        } else if opens.is_some() || !held {
            self.show(reader.clone(), opens);
        }
    }

    /// Cards whose PIN did not come in time; what was typed of it is no code.
    pub(super) fn pins_due(&mut self, now: Now) {
        let due = self.awaited.iter().filter(|(_, a)| a.until <= now.mono);
        let due: Vec<ReaderId> = due.map(|(reader, _)| reader.clone()).collect();
        for reader in due {
            self.forget_pin(now, &reader);
            self.out.push_back(Output::Reader(reader, ReaderCommand::Idle));
        }
    }

    /// Nothing that was begun at this reader goes on. What was typed of a PIN counts as a try: else one could guess
    /// for ever by showing the card again.
    fn forget_pin(&mut self, now: Now, reader: &ReaderId) {
        let typed = self
            .keypads
            .get_mut(reader)
            .and_then(|keypad| keypad.close(now.mono));
        if let Some(entry) = typed.filter(|_| self.awaited.contains_key(reader)) {
            let simulated = self.params.readers.get(reader).is_some_and(|p| p.simulated);
            self.pin_typed(now, reader, &entry, simulated);
        }
        self.awaited.remove(reader);
    }

    /// What the decision would say; nothing is counted, and no Grant comes of it.
    fn explain(&self, now: Now, request: &Request) -> Result<String, Reason> {
        self.access.explain(now.mono, &self.context(now), request).result
    }
}
