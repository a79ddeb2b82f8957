//! Events on their way from the engine's thread to whoever is told them.

use std::collections::VecDeque;

use super::MediaEvent;

/// Events that wait for the sink.
const MAX_EVENTS: usize = 512;

/// Events on their way to the sink. Bounded: digits and sources beyond are dropped.
pub(super) struct Outbox {
    events: VecDeque<MediaEvent>,
}

impl Outbox {
    /// Room for the events of so many legs.
    pub(super) fn new(legs: usize) -> Self {
        Self {
            events: VecDeque::with_capacity(MAX_EVENTS + legs),
        }
    }

    #[cfg(test)]
    pub(super) fn take(&mut self) -> Vec<MediaEvent> {
        self.events.drain(..).collect()
    }

    pub(super) fn push(&mut self, event: MediaEvent) {
        // The end of a leg is never dropped; there are no more of them than legs.
        if self.events.len() < MAX_EVENTS || matches!(event, MediaEvent::Closed { .. }) {
            self.events.push_back(event);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    /// What the sink refused is offered to it again, before all others.
    pub(super) fn put_back(&mut self, event: MediaEvent) {
        self.events.push_front(event);
    }
}
