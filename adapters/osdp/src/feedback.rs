//! What LED and buzzer of a reader do: the reader keeps the time, so that one command is enough.

use std::time::Duration;

use gateway_core::{Instant, ReaderCommand};

use crate::display::{Shown, Text, Texts};
use crate::message::{Buzzer, Colour, Command, Led};

/// A grant is shown for its strike time within these.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);
/// A refusal is shown for so long.
const REFUSED: Duration = Duration::from_secs(1);
/// To be read it takes longer.
const REFUSED_TEXT: Duration = Duration::from_secs(3);
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
    texts: Texts,
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

/// The text for the display, if there is one; whole seconds.
fn text(text: Option<&Text>, time: Duration) -> Option<Command> {
    let text = text?.clone();
    Some(Command::Text(Shown { text, time }))
}

impl Feedback {
    pub(crate) fn new(texts: Texts) -> Self {
        Self {
            texts,
            ..Self::default()
        }
    }

    /// The commands to the reader. A grant that is shown is not cut short by "go on typing".
    pub(crate) fn command(&mut self, now: Instant, command: ReaderCommand) -> Vec<Command> {
        let shown = now < self.granted;
        let waited = std::mem::take(&mut self.waits);
        match command {
            ReaderCommand::Denied => {
                self.granted = Instant::ZERO;
                let lights = [show(Colour::Red, 0, STEADY, REFUSED), beeps(3)];
                let text = text(self.texts.denied.as_ref(), REFUSED_TEXT);
                lights.into_iter().chain(text).collect()
            }
            ReaderCommand::Granted { time } => {
                let time = time.clamp(SHORTEST, LONGEST);
                self.granted = now + time;
                let lights = [show(Colour::Green, 0, STEADY, time), beeps(1)];
                let text = text(self.texts.granted.as_ref(), time);
                lights.into_iter().chain(text).collect()
            }
            ReaderCommand::Idle if waited && !shown => vec![Command::Led(Led::Cancel)],
            ReaderCommand::WaitPin if !shown => {
                self.waits = true;
                let text = text(self.texts.wait_pin.as_ref(), WAIT);
                let light = show(Colour::Amber, BLINK, BLINK, WAIT);
                std::iter::once(light).chain(text).collect()
            }
            ReaderCommand::Idle | ReaderCommand::WaitPin => vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_says_what_the_light_shows_for_as_long_as_it_is_read() {
        let text = |text: &str| Text::new(text).expect("a text");
        let mut feedback = Feedback::new(Texts {
            denied: Some(text("No")),
            granted: None,
            wait_pin: Some(text("PIN")),
        });
        let said = |commands: Vec<Command>| {
            let texts = commands.into_iter().filter_map(|command| {
                let (code, data) = command.encode();
                (code == 0x6B).then(|| (data[2], data[6..].to_vec()))
            });
            texts.collect::<Vec<_>>()
        };
        let now = Instant::from_nanos(1_000_000_000);
        assert_eq!(
            said(feedback.command(now, ReaderCommand::WaitPin)),
            [(4, b"PIN".to_vec())]
        );
        assert_eq!(
            said(feedback.command(now, ReaderCommand::Denied)),
            [(3, b"No".to_vec())]
        );
        let time = Duration::from_secs(3);
        assert!(said(feedback.command(now, ReaderCommand::Granted { time })).is_empty());
    }

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
