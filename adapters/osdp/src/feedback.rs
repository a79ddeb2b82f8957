//! What LED and buzzer of a reader do: the reader keeps the time, so that one command is enough.

use std::time::Duration;

use gateway_core::{Instant, ReaderCommand};

use crate::message::{Buzzer, Colour, Command, Led};

/// A grant is shown for its strike time within these.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);
/// A refusal is shown for so long.
const REFUSED: Duration = Duration::from_secs(1);
/// Digits are awaited for so long after the last one, if nobody says otherwise.
const WAIT: Duration = Duration::from_secs(4);
/// Half of a blink while digits are awaited, and how long a steady light is on in one turn; 100 ms.
const BLINK: u8 = 3;
const STEADY: u8 = 10;

/// What a reader shows.
#[derive(Debug, Default)]
pub(crate) struct Feedback {
    /// Until when a grant is shown.
    granted: Instant,
    /// Is it blinking for more digits?
    waits: bool,
}

fn show(colour: Colour, off: u8, on: u8, time: Duration) -> Command {
    let time = u16::try_from(time.as_millis() / 100).unwrap_or(u16::MAX);
    Command::Led(Led::Show {
        colour,
        off,
        on,
        time,
    })
}

fn beeps(count: u8) -> Command {
    Command::Buzzer(Buzzer { count, off: 1, on: 1 })
}

impl Feedback {
    /// The commands to the reader. A grant that is shown is not cut short by "go on typing".
    pub(crate) fn command(&mut self, now: Instant, command: ReaderCommand) -> Vec<Command> {
        let shown = now < self.granted;
        let waited = std::mem::take(&mut self.waits);
        match command {
            ReaderCommand::Denied => {
                self.granted = Instant::ZERO;
                vec![show(Colour::Red, 0, STEADY, REFUSED), beeps(3)]
            }
            ReaderCommand::Granted { time } => {
                let time = time.clamp(SHORTEST, LONGEST);
                self.granted = now + time;
                vec![show(Colour::Green, 0, STEADY, time), beeps(1)]
            }
            ReaderCommand::Idle if waited && !shown => vec![Command::Led(Led::Cancel)],
            ReaderCommand::WaitPin if !shown => {
                self.waits = true;
                vec![show(Colour::Amber, BLINK, BLINK, WAIT)]
            }
            ReaderCommand::Idle | ReaderCommand::WaitPin => vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_refusals_and_awaited_digits_look_different() {
        let t = |ms| Instant::from_nanos(1_000_000_000) + Duration::from_millis(ms);
        let mut feedback = Feedback::default();
        let time = Duration::from_secs(3);
        let green = show(Colour::Green, 0, STEADY, time);
        assert_eq!(
            feedback.command(t(0), ReaderCommand::Granted { time }),
            [green, beeps(1)]
        );
        assert_eq!(feedback.command(t(2999), ReaderCommand::WaitPin), []);
        assert_eq!(feedback.command(t(2999), ReaderCommand::Idle), []);
        let amber = show(Colour::Amber, BLINK, BLINK, WAIT);
        assert_eq!(feedback.command(t(3000), ReaderCommand::WaitPin), [amber]);
        assert_eq!(
            feedback.command(t(3100), ReaderCommand::Idle),
            [Command::Led(Led::Cancel)]
        );
        assert_eq!(feedback.command(t(3200), ReaderCommand::Idle), []);
        let red = show(Colour::Red, 0, STEADY, REFUSED);
        assert_eq!(feedback.command(t(3300), ReaderCommand::Denied), [red, beeps(3)]);
    }
}
