//! What the lights, the beeper and the hold wire of a reader do.

use std::time::Duration;

use gateway_core::{Instant, ReaderCommand};

/// Longest time for which a grant is shown.
const LONGEST: Duration = Duration::from_secs(10);
/// A refusal is shown for so long.
const REFUSED: Duration = Duration::from_secs(1);
/// The reader is asked to hold its next card for so long.
const HELD: Duration = Duration::from_secs(1);
/// A beep, and the pause between two.
const BEEP: Duration = Duration::from_millis(100);
/// Beeps of a refusal.
const BEEPS: u32 = 3;
/// Half of a blink while digits are awaited.
const BLINK: Duration = Duration::from_millis(250);
/// Digits are awaited for so long after the last one, if nobody says otherwise.
const WAIT: Duration = Duration::from_secs(4);

/// Which wires are active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wires {
    /// Beeper.
    pub beeper: bool,
    /// Hold: the reader keeps a card to itself until it is released.
    pub hold: bool,
    /// First LED: on for a grant, blinking while digits are awaited.
    pub led: bool,
    /// Second LED: on for a refusal.
    pub second_led: bool,
}

/// Shows grants, refusals and "go on typing". These wires open nothing.
#[derive(Debug, Default)]
pub struct Feedback {
    /// When anybody last looked.
    looked: Instant,
    shown: Option<Shown>,
}

#[derive(Clone, Copy, Debug)]
struct Shown {
    from: Instant,
    until: Instant,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Denied,
    Granted,
    WaitPin,
}

impl Feedback {
    /// Takes what the core says. The last word counts; a grant that is shown is not cut short by "go on typing".
    pub fn command(&mut self, now: Instant, command: ReaderCommand) {
        let _ = self.handle_timeout(now);
        let (what, time) = match command {
            ReaderCommand::Denied => (What::Denied, REFUSED),
            ReaderCommand::Granted { time } => (What::Granted, time.clamp(REFUSED, LONGEST)),
            ReaderCommand::Idle => {
                self.shown = self.shown.filter(|shown| shown.what != What::WaitPin);
                return;
            }
            ReaderCommand::WaitPin => match self.shown {
                Some(shown) if shown.what == What::Granted => return,
                Some(shown) if shown.what == What::WaitPin => {
                    // the blinking goes on in its rhythm
                    self.shown = Some(Shown {
                        until: now + WAIT,
                        ..shown
                    });
                    return;
                }
                Some(_) | None => (What::WaitPin, WAIT),
            },
        };
        self.shown = Some(Shown {
            from: now,
            until: now + time,
            what,
        });
    }

    /// Which wires are active at `now`.
    #[must_use]
    pub fn handle_timeout(&mut self, now: Instant) -> Wires {
        self.looked = now;
        self.shown = self.shown.filter(|shown| now < shown.until);
        let Some(Shown { from, what, .. }) = self.shown else {
            return Wires::default();
        };
        let since = now.since(from);
        // the number of whole steps since it began
        let step = |length: Duration| since.as_nanos() / length.as_nanos();
        match what {
            What::Denied => Wires {
                beeper: step(BEEP) % 2 == 0 && step(BEEP) < u128::from(2 * BEEPS),
                hold: since < HELD,
                second_led: true,
                led: false,
            },
            What::Granted => Wires {
                beeper: since < BEEP,
                hold: since < HELD,
                led: true,
                second_led: false,
            },
            What::WaitPin => Wires {
                led: step(BLINK) % 2 == 0,
                ..Wires::default()
            },
        }
    }

    /// When the wires change next after the last look.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let Shown { from, until, what } = self.shown?;
        let length = match what {
            What::Denied | What::Granted => BEEP,
            What::WaitPin => BLINK,
        };
        let step = self.looked.since(from).as_nanos() / length.as_nanos() + 1;
        let next = from + length * u32::try_from(step).unwrap_or(u32::MAX);
        Some(next.min(until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(ms: u64) -> Instant {
        Instant::from_nanos(5_000_000_000) + Duration::from_millis(ms)
    }

    /// The wires as letters at each of the times.
    fn at(feedback: &mut Feedback, times: &[u64]) -> Vec<String> {
        let letters = |w: Wires| {
            let all = [(w.led, 'l'), (w.second_led, 's'), (w.beeper, 'b'), (w.hold, 'h')];
            all.iter().filter(|(on, _)| *on).map(|(_, c)| *c).collect()
        };
        times
            .iter()
            .map(|ms| letters(feedback.handle_timeout(t(*ms))))
            .collect()
    }

    #[test]
    fn a_grant_lights_the_led_for_its_time_and_beeps_once() {
        let mut feedback = Feedback::default();
        let time = Duration::from_secs(3);
        feedback.command(t(0), ReaderCommand::Granted { time });
        assert_eq!(
            at(&mut feedback, &[0, 99, 100, 999, 1000, 2999, 3000]),
            ["lbh", "lbh", "lh", "lh", "l", "l", ""]
        );
        assert_eq!(feedback.poll_timeout(), None);
    }

    #[test]
    fn a_refusal_beeps_three_times() {
        let mut feedback = Feedback::default();
        feedback.command(t(0), ReaderCommand::Denied);
        assert_eq!(
            at(&mut feedback, &[0, 100, 200, 300, 400, 500, 600, 999, 1000]),
            ["sbh", "sh", "sbh", "sh", "sbh", "sh", "sh", "sh", ""]
        );
    }

    #[test]
    fn waiting_for_digits_blinks_until_it_ends() {
        let mut feedback = Feedback::default();
        feedback.command(t(0), ReaderCommand::WaitPin);
        assert_eq!(at(&mut feedback, &[0, 250, 500]), ["l", "", "l"]);
        feedback.command(t(600), ReaderCommand::WaitPin);
        assert_eq!(at(&mut feedback, &[600, 750, 4100, 4600]), ["l", "", "l", ""]);
        feedback.command(t(5000), ReaderCommand::WaitPin);
        feedback.command(t(5100), ReaderCommand::Idle);
        assert_eq!(at(&mut feedback, &[5100]), [""]);
    }

    #[test]
    fn a_grant_is_not_cut_short_by_typing_and_the_last_decision_counts() {
        let mut feedback = Feedback::default();
        let time = Duration::from_secs(3);
        feedback.command(t(0), ReaderCommand::Granted { time });
        feedback.command(t(100), ReaderCommand::WaitPin);
        feedback.command(t(100), ReaderCommand::Idle);
        assert_eq!(at(&mut feedback, &[200]), ["lh"]);
        feedback.command(t(300), ReaderCommand::Denied);
        assert_eq!(at(&mut feedback, &[300]), ["sbh"]);
    }

    #[test]
    fn no_change_is_missed_between_two_timeouts() {
        for command in [
            ReaderCommand::Denied,
            ReaderCommand::WaitPin,
            ReaderCommand::Granted {
                time: Duration::from_millis(1550),
            },
        ] {
            let mut feedback = Feedback::default();
            feedback.command(t(0), command);
            let (mut now, mut steps) = (t(0), 0);
            let mut wires = feedback.handle_timeout(now);
            while let Some(next) = feedback.poll_timeout() {
                assert!(next > now);
                assert_eq!(
                    feedback.handle_timeout(next - Duration::from_nanos(1)),
                    wires,
                    "{command:?}"
                );
                now = next;
                wires = feedback.handle_timeout(now);
                steps += 1;
                assert!(steps < 100);
            }
            assert_eq!(wires, Wires::default());
        }
    }
}
