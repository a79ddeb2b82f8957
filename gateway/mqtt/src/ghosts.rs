//! Devices that are no more and are announced once more, so that a hub can remove them. Pure.
//!
//! A hub removes only what it has discovered since it started: an empty message for anything else is passed over (Home Assistant
//! 2025.12: "No device components to cleanup"; one before devices says nothing), and what its registry has of it stays as
//! unavailable for ever. So one that did not run as a door went is told of the door again, not kept by the broker and with
//! nothing that could be used, and some time later that it is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::Instant;

/// How far one of them is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The broker was told that it is gone, and has not acknowledged that.
    Cleared,
    /// It is to be announced.
    Due,
    /// It was announced, and goes at this time.
    Told(Instant),
}

/// Those that are being removed on this connection, by their discovery topics.
#[derive(Debug)]
pub(crate) struct Ghosts {
    /// With whether a hub was there to hear it.
    all: BTreeMap<String, (Step, bool)>,
    /// Between both messages: a hub may have to load what it needs for the first.
    linger: Duration,
}

impl Ghosts {
    pub(crate) const fn new(linger: Duration) -> Self {
        Self {
            all: BTreeMap::new(),
            linger,
        }
    }

    /// It is to be removed, from the beginning. `born` tells that a hub has just said that it is there.
    pub(crate) fn begin(&mut self, topic: String, born: bool) {
        self.all.insert(topic, (Step::Due, born));
    }

    /// It is wanted, or the connection on which it was announced is no more.
    pub(crate) fn forget(&mut self, topic: &str) {
        self.all.remove(topic);
    }

    pub(crate) fn forget_all(&mut self) {
        self.all.clear();
    }

    /// The next one to announce.
    pub(crate) fn announce(&mut self, now: Instant) -> Option<String> {
        let gone_at = now + self.linger;
        let (topic, (step, _)) = self.all.iter_mut().find(|(_, (step, _))| *step == Step::Due)?;
        *step = Step::Told(gone_at);
        Some(topic.clone())
    }

    /// The next one whose time is over.
    pub(crate) fn clear(&mut self, now: Instant) -> Option<String> {
        let is_over = |step: &Step| matches!(step, Step::Told(at) if *at <= now);
        let (topic, (step, _)) = self.all.iter_mut().find(|(_, (step, _))| is_over(step))?;
        *step = Step::Cleared;
        Some(topic.clone())
    }

    /// The broker took the empty message; true if a hub was there to hear both.
    pub(crate) fn cleared(&mut self, topic: &str) -> bool {
        if self
            .all
            .get(topic)
            .is_some_and(|(step, _)| *step == Step::Cleared)
        {
            return self.all.remove(topic).is_some_and(|(_, born)| born);
        }
        false
    }

    /// We leave: those that were announced go at once.
    pub(crate) fn hurry(&mut self, now: Instant) {
        for (step, _) in self.all.values_mut() {
            if let Step::Told(at) = step {
                *at = now;
            }
        }
        self.all.retain(|_, (step, _)| *step != Step::Due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Instant = Instant::from_nanos(1_000_000_000);
    const LINGER: Duration = Duration::from_secs(15);

    #[test]
    fn what_is_gone_is_announced_once_and_goes_when_a_hub_has_had_time_to_take_it() {
        let mut ghosts = Ghosts::new(LINGER);
        ghosts.begin("yard".into(), true);
        assert_eq!(ghosts.clear(T0), None, "nobody was told of it");
        assert_eq!(ghosts.announce(T0).as_deref(), Some("yard"));
        assert_eq!(ghosts.announce(T0), None);
        let end = T0 + LINGER;
        assert_eq!(ghosts.clear(end - Duration::from_millis(1)), None);
        assert_eq!(ghosts.clear(end).as_deref(), Some("yard"));
        assert_eq!(ghosts.clear(end), None);
        assert!(ghosts.cleared("yard"));
        assert!(!ghosts.cleared("yard"), "once");
    }

    #[test]
    fn an_acknowledgement_of_an_earlier_message_ends_nothing_that_began_anew() {
        let mut ghosts = Ghosts::new(LINGER);
        ghosts.begin("yard".into(), false);
        ghosts.announce(T0);
        ghosts.clear(T0 + LINGER);
        // a hub is born between the message and its acknowledgement
        ghosts.begin("yard".into(), true);
        assert!(!ghosts.cleared("yard"));
        assert_eq!(ghosts.announce(T0 + LINGER).as_deref(), Some("yard"));
    }

    #[test]
    fn who_comes_back_is_not_cleared_and_a_farewell_leaves_no_ghost() {
        let mut ghosts = Ghosts::new(LINGER);
        for name in ["back", "told"] {
            ghosts.begin(name.into(), true);
            ghosts.announce(T0);
        }
        ghosts.begin("untold".into(), true);
        ghosts.forget("back");
        ghosts.hurry(T0);
        assert_eq!(ghosts.clear(T0).as_deref(), Some("told"));
        assert_eq!((ghosts.clear(T0), ghosts.announce(T0)), (None, None));
    }
}
