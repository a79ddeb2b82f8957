//! What becomes of the words of one device. Pure: it gets the time, and says what to tell.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::Instant;

use crate::reading::Word;

/// How long a press lasts that has no length of its own.
const PRESS: Duration = Duration::from_millis(300);
/// Changes closer together are one: whoever may write at the broker shall not keep the core busy.
const APART: Duration = Duration::from_millis(50);
/// A device that was not heard of is given so long.
const FIRST: Duration = Duration::from_secs(5);

/// What a device tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// How it is.
    Level,
    /// That it was pressed.
    Press,
}

/// What is to be told of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is read.
    Edge {
        /// The level.
        active: bool,
        /// When, at the latest.
        at: Instant,
        /// State, and no change.
        initial: bool,
    },
    /// Nobody reads it any more.
    Unread,
    /// What is wrong with it; `None`: nothing any more.
    Trouble(Option<String>),
}

/// One input.
#[derive(Clone, Debug)]
pub struct InputMachine {
    /// Its device may be asked whether it is there: the topic, for people.
    asked: Option<String>,
    /// What was wrong before the way to it was lost may be so still: until the device says something, nobody knows.
    doubt: bool,
    kind: Kind,
    /// Last word heard of, and when.
    level: Option<(bool, Instant)>,
    /// When it was heard of last, or since when it could have been.
    heard: Option<Instant>,
    out: VecDeque<Said>,
    /// When a press ends.
    release: Option<Instant>,
    silent: Option<Duration>,
    /// Is the device there, as far as it says?
    there: Option<bool>,
    /// The level that was told last, and when; `None` while it is not read.
    told: Option<(bool, Instant)>,
    trouble: Option<String>,
    /// Since when there has been a way to the device.
    up: Option<Instant>,
}

impl InputMachine {
    /// An input whose device was not heard of. `asked` is the topic of its availability, if it has one; after `silent`
    /// without a word it counts as away.
    #[must_use]
    pub const fn new(kind: Kind, asked: Option<String>, silent: Option<Duration>) -> Self {
        Self {
            asked,
            doubt: false,
            heard: None,
            kind,
            level: None,
            out: VecDeque::new(),
            release: None,
            silent,
            there: None,
            told: None,
            trouble: None,
            up: None,
        }
    }

    /// There is a way to the device: what is kept was asked for.
    pub fn connected(&mut self, now: Instant) {
        self.up = Some(now);
        self.heard = Some(now);
        self.there = None;
        self.level = None;
        self.look(now);
    }

    /// There is none any more. Whoever lost the way says so for all inputs; what was wrong with the device stays so until it
    /// says otherwise.
    pub fn lost(&mut self) {
        self.up = None;
        self.level = None;
        self.there = None;
        self.doubt = self.trouble.is_some();
        self.unread();
    }

    /// Nobody reads it from here on: what is wrong with it concerns nobody.
    pub fn end(&mut self) {
        self.lost();
        self.say(None);
    }

    /// The device said whether it is there.
    pub fn available(&mut self, now: Instant, word: Word) {
        self.there = Some(word == Word::On);
        if word == Word::On {
            self.heard = Some(now);
            self.doubt = false;
        } else {
            self.level = None;
        }
        self.look(now);
    }

    /// The device said something. `at`: when, at the latest; `old`: it was kept, or is a repetition.
    pub fn word(&mut self, now: Instant, at: Instant, word: Word, old: bool) {
        if self.up.is_none() {
            return;
        }
        if !old {
            self.heard = Some(now);
            self.doubt = false;
        }
        match self.kind {
            Kind::Level => self.level = Some((word == Word::On, at)),
            Kind::Press if old || word == Word::Off => {}
            Kind::Press => {
                // it has to have been at rest, so that this is a change
                if self.told.is_some_and(|(active, _)| !active) && self.is_there() {
                    self.tell(true, at);
                    self.release = Some(now + PRESS);
                }
            }
        }
        self.look(now);
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Instant) {
        if self.release.is_some_and(|at| at <= now) {
            self.release = None;
            if self.told.is_some_and(|(active, _)| active) {
                self.tell(false, now);
            }
        }
        self.look(now);
    }

    /// What is to be told.
    pub fn poll(&mut self) -> Option<Said> {
        self.out.pop_front()
    }

    /// When [`timeout`](Self::timeout) has something to do.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let up = self.up?;
        let pending = match (self.level, self.told) {
            (Some((level, _)), Some((told, at))) if level != told && self.kind == Kind::Level => {
                Some(at + APART)
            }
            _ => None,
        };
        let waits = self.trouble.is_none() || self.doubt;
        let first = (self.asked.is_some() && self.there.is_none() && waits).then_some(up + FIRST);
        let silent = self.silent.zip(self.heard).map(|(after, heard)| heard + after);
        let silent = silent.filter(|_| waits);
        [self.release, pending, first, silent].into_iter().flatten().min()
    }

    fn is_there(&self) -> bool {
        self.asked.is_none() || self.there == Some(true)
    }

    fn is_silent(&self, now: Instant) -> bool {
        let after = self.silent.zip(self.heard);
        after.is_some_and(|(after, heard)| now.since(heard) >= after)
    }

    /// Says what there is to say.
    fn look(&mut self, now: Instant) {
        let Some(up) = self.up else { return };
        let trouble = match (&self.asked, self.there) {
            (Some(topic), Some(false)) => Some(format!(
                "the device says on {topic} that it is not there: look at its supply and its radio"
            )),
            (Some(topic), None) if now.since(up) >= FIRST => Some(format!(
                "the device says nothing on {topic}: is the topic right, and what is said there retained?"
            )),
            _ if self.is_silent(now) => Some(format!(
                "the device has said nothing for {} s: look at its battery and its radio",
                self.silent.unwrap_or_default().as_secs()
            )),
            _ => None,
        };
        self.doubt &= trouble.is_none();
        let trouble = trouble.or_else(|| self.trouble.clone().filter(|_| self.doubt));
        let away = trouble.is_some() || !self.is_there();
        self.say(trouble);
        if away {
            self.unread();
            return;
        }
        match (self.kind, self.level, self.told) {
            (Kind::Press, _, None) => self.first(false, now),
            (Kind::Level, Some((level, at)), None) => self.first(level, at),
            (Kind::Level, Some((level, at)), Some((told, before)))
                if level != told && now.since(before) >= APART =>
            {
                self.tell(level, at);
            }
            _ => {}
        }
    }

    fn say(&mut self, trouble: Option<String>) {
        if self.trouble != trouble {
            self.trouble.clone_from(&trouble);
            self.out.push_back(Said::Trouble(trouble));
        }
    }

    fn unread(&mut self) {
        self.release = None;
        if self.told.take().is_some() {
            self.out.push_back(Said::Unread);
        }
    }

    fn first(&mut self, active: bool, at: Instant) {
        self.told = Some((active, at));
        let initial = true;
        self.out.push_back(Said::Edge { active, at, initial });
    }

    fn tell(&mut self, active: bool, at: Instant) {
        self.told = Some((active, at));
        let initial = false;
        self.out.push_back(Said::Edge { active, at, initial });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(1_000_000_000_000 + ms * 1_000_000)
    }

    fn drain(machine: &mut InputMachine) -> Vec<Said> {
        std::iter::from_fn(|| machine.poll()).collect()
    }

    fn edge(active: bool, ms: u64, initial: bool) -> Said {
        Said::Edge {
            active,
            at: at(ms),
            initial,
        }
    }

    fn button() -> InputMachine {
        InputMachine::new(Kind::Press, None, None)
    }

    #[test]
    fn a_press_is_one_and_ends_by_itself() {
        let mut bell = button();
        bell.connected(at(0));
        assert_eq!(drain(&mut bell), [edge(false, 0, true)]);
        bell.word(at(1000), at(1000), Word::On, false);
        bell.word(at(1100), at(1100), Word::On, false);
        assert_eq!(drain(&mut bell), [edge(true, 1000, false)]);
        assert_eq!(bell.due(), Some(at(1300)));
        bell.timeout(at(1300));
        assert_eq!(drain(&mut bell), [edge(false, 1300, false)]);
        bell.word(at(2000), at(2000), Word::On, false);
        assert_eq!(drain(&mut bell), [edge(true, 2000, false)]);
    }

    #[test]
    fn a_press_that_was_kept_repeated_or_came_before_the_connection_is_none() {
        let mut bell = button();
        bell.word(at(0), at(0), Word::On, false);
        assert_eq!(drain(&mut bell), []);
        bell.connected(at(10));
        bell.word(at(20), at(20), Word::On, true);
        assert_eq!(drain(&mut bell), [edge(false, 10, true)]);
        bell.lost();
        bell.word(at(30), at(30), Word::On, false);
        assert_eq!(drain(&mut bell), [Said::Unread]);
        bell.connected(at(40));
        bell.word(at(50), at(50), Word::On, true);
        assert_eq!(drain(&mut bell), [edge(false, 40, true)]);
    }

    #[test]
    fn what_is_kept_of_a_contact_is_its_state() {
        let mut contact = InputMachine::new(Kind::Level, None, None);
        contact.connected(at(0));
        assert_eq!(drain(&mut contact), []);
        contact.word(at(5), at(5), Word::On, true);
        assert_eq!(drain(&mut contact), [edge(true, 5, true)]);
        contact.word(at(500), at(500), Word::Off, false);
        contact.word(at(510), at(510), Word::On, false);
        contact.word(at(520), at(520), Word::Off, false);
        assert_eq!(drain(&mut contact), [edge(false, 500, false)]);
        contact.word(at(525), at(525), Word::On, false);
        assert_eq!(contact.due(), Some(at(550)));
        contact.timeout(at(550));
        assert_eq!(drain(&mut contact), [edge(true, 525, false)]);
    }

    #[test]
    fn who_is_away_is_not_read_and_that_is_a_fault() {
        let mut bell = InputMachine::new(Kind::Press, Some("bell/status".into()), None);
        bell.connected(at(0));
        bell.word(at(10), at(10), Word::On, false);
        assert_eq!(drain(&mut bell), []);
        bell.timeout(at(5000));
        let said = drain(&mut bell);
        assert!(
            matches!(&said[..], [Said::Trouble(Some(text))] if text.contains("says nothing on bell/status"))
        );
        bell.available(at(6000), Word::On);
        assert_eq!(drain(&mut bell), [Said::Trouble(None), edge(false, 6000, true)]);
        bell.word(at(7000), at(7000), Word::On, false);
        assert_eq!(drain(&mut bell), [edge(true, 7000, false)]);
        bell.available(at(7100), Word::Off);
        let said = drain(&mut bell);
        assert!(
            matches!(&said[..], [Said::Trouble(Some(_)), Said::Unread]),
            "{said:?}"
        );
        bell.word(at(7200), at(7200), Word::On, false);
        assert_eq!(drain(&mut bell), []);
    }

    #[test]
    fn a_device_that_is_away_is_not_well_because_its_broker_goes_or_comes() {
        let mut bell = InputMachine::new(Kind::Press, Some("bell/status".into()), None);
        bell.connected(at(0));
        bell.available(at(10), Word::On);
        drain(&mut bell);
        // the last word of a bridge that loses its broker in the same moment
        bell.available(at(1000), Word::Off);
        let said = drain(&mut bell);
        assert!(
            matches!(&said[..], [Said::Trouble(Some(text)), Said::Unread] if text.contains("not there")),
            "{said:?}"
        );
        bell.lost();
        bell.connected(at(2000));
        bell.word(at(2010), at(2010), Word::On, true);
        assert_eq!(drain(&mut bell), [], "nobody has heard of it since");
        assert_eq!(bell.due(), Some(at(7000)));
        bell.timeout(at(7000));
        let said = drain(&mut bell);
        assert!(
            matches!(&said[..], [Said::Trouble(Some(text))] if text.contains("says nothing")),
            "{said:?}"
        );
        assert_eq!(bell.due(), None);
        bell.available(at(8000), Word::On);
        assert_eq!(drain(&mut bell), [Said::Trouble(None), edge(false, 8000, true)]);
        bell.available(at(9000), Word::Off);
        drain(&mut bell);
        bell.end();
        assert_eq!(
            drain(&mut bell),
            [Said::Trouble(None)],
            "nobody reads it any more"
        );
    }

    #[test]
    fn a_silent_device_stays_so_over_a_loss_of_its_broker_until_it_says_something() {
        let mut contact = InputMachine::new(Kind::Level, None, Some(Duration::from_secs(60)));
        contact.connected(at(0));
        contact.timeout(at(60_000));
        let said = drain(&mut contact);
        assert!(matches!(&said[..], [Said::Trouble(Some(_))]), "{said:?}");
        contact.lost();
        contact.connected(at(70_000));
        contact.word(at(70_010), at(70_010), Word::On, true);
        assert_eq!(drain(&mut contact), [], "what is kept says nothing of it");
        contact.word(at(71_000), at(71_000), Word::Off, false);
        assert_eq!(
            drain(&mut contact),
            [Said::Trouble(None), edge(false, 71_000, true)]
        );
    }

    #[test]
    fn a_level_that_is_kept_waits_for_its_device() {
        let mut contact = InputMachine::new(Kind::Level, Some("c/status".into()), None);
        contact.connected(at(0));
        contact.word(at(1), at(1), Word::On, true);
        assert_eq!(drain(&mut contact), []);
        contact.available(at(2), Word::On);
        assert_eq!(drain(&mut contact), [edge(true, 1, true)]);
    }

    #[test]
    fn a_device_that_reports_now_and_then_may_fall_silent() {
        let silent = Some(Duration::from_secs(60));
        let mut contact = InputMachine::new(Kind::Level, None, silent);
        contact.connected(at(0));
        contact.word(at(10), at(10), Word::Off, false);
        assert_eq!(drain(&mut contact), [edge(false, 10, true)]);
        assert_eq!(contact.due(), Some(at(60_010)));
        contact.timeout(at(60_010));
        let said = drain(&mut contact);
        assert!(
            matches!(&said[..], [Said::Trouble(Some(_)), Said::Unread]),
            "{said:?}"
        );
        contact.word(at(61_000), at(61_000), Word::On, false);
        assert_eq!(
            drain(&mut contact),
            [Said::Trouble(None), edge(true, 61_000, true)]
        );
    }
}
