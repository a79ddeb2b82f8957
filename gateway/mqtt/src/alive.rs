//! How the gateway says that it is there, so that nobody believes it of one that is gone. Pure.
//!
//! What the broker keeps can be older than the gateway. A broker that was killed together with the gateway speaks no last will,
//! and gives out `online` afterwards if it had that on its disk. So there is a topic on which only what is said now counts:
//! kept there is always [`GONE`], and [`text`] is said without retain, again and again. It is one message for the whole
//! site, with the doors that can be opened in it: Home Assistant can then go by the last of what was said on several topics,
//! and one of these is its own birth message, which comes after each of its connections. So it believes nothing of before
//! that, also where a broker keeps nothing.

use std::time::Duration;

use gateway_bus::Bucket;
use gateway_core::{Instant, SiteView};
use serde::Serialize;

/// How often it is said.
pub(crate) const BEAT: Duration = Duration::from_secs(10);
/// How often while somebody may just be subscribing: a hub does so some seconds after it has read what it is to subscribe to.
const BRISK: Duration = Duration::from_secs(2);
/// For how long.
const HURRY: Duration = Duration::from_secs(20);
/// What was said so long ago is no news (MQTT 5 message expiry).
pub(crate) const NEWS: Duration = Duration::from_secs(30);
/// Whoever is born without end is told at once so often, and then once a second.
const BORN: u32 = 5;

/// Who says that he is there.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Alive<'a> {
    /// The gateway is there. What is kept says no, always.
    alive: bool,
    /// Doors that can be opened at this moment.
    available: Vec<&'a str>,
    /// Doors at which nobody is let in.
    lockdown: Vec<&'a str>,
}

fn written(alive: &Alive<'_>) -> String {
    serde_json::to_string(alive).expect("plain fields only")
}

/// What the broker keeps.
pub(crate) fn gone() -> String {
    written(&Alive {
        alive: false,
        available: Vec::new(),
        lockdown: Vec::new(),
    })
}

/// What is said while we are there.
pub(crate) fn text(view: &SiteView) -> String {
    let doors = view.doors.iter();
    written(&Alive {
        alive: true,
        available: doors
            .clone()
            .filter(|d| d.available)
            .map(|d| d.id.as_str())
            .collect(),
        lockdown: doors.filter(|d| d.lockdown).map(|d| d.id.as_str()).collect(),
    })
}

/// When it is said, on one connection.
#[derive(Debug)]
pub(crate) struct Beats {
    brisk_until: Instant,
    due: Instant,
    hurries: Bucket,
    /// What was said last.
    said: String,
}

impl Beats {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            brisk_until: now,
            due: now,
            hurries: Bucket::new(BORN, Duration::from_secs(1)),
            said: String::new(),
        }
    }

    /// Somebody may listen who did not, or believe what is not so.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.brisk_until = now + HURRY;
        let soon = if self.hurries.take(now) { now } else { now + BRISK };
        self.due = self.due.min(soon);
    }

    /// Is this to be said? If so, it counts as said.
    pub(crate) fn say(&mut self, now: Instant, text: &str) -> bool {
        if now < self.due && self.said == text {
            return false;
        }
        text.clone_into(&mut self.said);
        self.due = now + if now < self.brisk_until { BRISK } else { BEAT };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::view;

    const T0: Instant = Instant::from_nanos(1_000_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    /// Seconds at which something is said.
    fn said(beats: &mut Beats, seconds: std::ops::Range<u32>) -> Vec<u32> {
        seconds
            .filter(|second| beats.say(T0 + SECOND * *second, "x"))
            .collect()
    }

    #[test]
    fn the_exact_texts() {
        assert_eq!(gone(), r#"{"alive":false,"available":[],"lockdown":[]}"#);
        assert_eq!(
            text(&view()),
            r#"{"alive":true,"available":["front"],"lockdown":["yard"]}"#
        );
    }

    #[test]
    fn it_is_said_every_ten_seconds_and_more_often_while_somebody_may_be_subscribing() {
        let mut beats = Beats::new(T0);
        assert_eq!(said(&mut beats, 0..31), [0, 10, 20, 30]);
        beats.hurry(T0 + SECOND * 32);
        let brisk: Vec<u32> = (32..53).step_by(2).chain([62, 72]).collect();
        assert_eq!(said(&mut beats, 32..75), brisk);
    }

    #[test]
    fn a_change_is_said_at_once() {
        let mut beats = Beats::new(T0);
        assert!(beats.say(T0, "x"));
        assert!(!beats.say(T0 + SECOND, "x"));
        assert!(beats.say(T0 + SECOND, "y"));
        assert!(!beats.say(T0 + SECOND, "y"));
    }

    #[test]
    fn whoever_is_born_without_end_gets_a_few_answers() {
        let mut beats = Beats::new(T0);
        let answers = |beats: &mut Beats, now| {
            let one = |_: &u32| {
                beats.hurry(now);
                beats.say(now, "x")
            };
            (0..1000).filter(one).count()
        };
        // the first is due in any case
        assert_eq!(answers(&mut beats, T0), 5);
        assert_eq!(answers(&mut beats, T0 + SECOND), 1);
        assert!(beats.say(T0 + SECOND * 3, "x"), "and none is left out in the end");
    }
}
