//! What gateway and relay guard say to each other about inputs of modules: lines of text. Pure. Nothing but reading can be said.

use crate::pdu::MOST;
use crate::reading::{Answer, Ask, InputKind};

/// Longest line, with its end.
pub(crate) const LONGEST: usize = 512;

/// A question, as a line.
pub(crate) fn question(ask: Ask) -> String {
    let kind = match ask.kind {
        InputKind::Coil => "coils",
        InputKind::Discrete => "discrete",
    };
    format!("read {} {kind} {} {}\n", ask.unit, ask.first, ask.count)
}

/// Reads a question, without the end of its line.
pub(crate) fn parse_question(line: &str) -> Option<Ask> {
    let mut words = line.split(' ');
    if words.next() != Some("read") {
        return None;
    }
    let unit = words.next()?.parse().ok().filter(|unit| *unit > 0)?;
    let kind = match words.next()? {
        "coils" => InputKind::Coil,
        "discrete" => InputKind::Discrete,
        _ => return None,
    };
    let first: u16 = words.next()?.parse().ok()?;
    let count = words
        .next()?
        .parse()
        .ok()
        .filter(|count| (1..=MOST).contains(count))?;
    first.checked_add(count - 1)?;
    words.next().is_none().then_some(Ask {
        count,
        first,
        kind,
        unit,
    })
}

/// An answer, as a line.
pub(crate) fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Later => "later\n".to_owned(),
        Answer::Levels(levels) => {
            let levels = levels.iter().take(MOST.into());
            let levels: String = levels.map(|on| if *on { '1' } else { '0' }).collect();
            format!("levels {levels}\n")
        }
        Answer::None(text) => {
            let text: String = text
                .chars()
                .filter(|c| !c.is_control())
                .take((LONGEST - 4) / 4)
                .collect();
            format!("no {text}\n")
        }
    }
}

/// Reads an answer, without the end of its line.
pub(crate) fn parse_answer(line: &str) -> Option<Answer> {
    if line == "later" {
        return Some(Answer::Later);
    }
    if let Some(text) = line.strip_prefix("no ") {
        return Some(Answer::None(text.to_owned()));
    }
    let level = |c| match c {
        '0' => Some(false),
        '1' => Some(true),
        _ => None,
    };
    let levels: Vec<bool> = line
        .strip_prefix("levels ")?
        .chars()
        .map(level)
        .collect::<Option<_>>()?;
    (levels.len() <= MOST.into()).then_some(Answer::Levels(levels))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_said_is_read_and_fits_its_line() {
        for kind in [InputKind::Coil, InputKind::Discrete] {
            let ask = Ask {
                count: MOST,
                first: u16::MAX - MOST + 1,
                kind,
                unit: u8::MAX,
            };
            let line = question(ask);
            assert!(line.len() <= LONGEST);
            assert_eq!(parse_question(line.trim_end()), Some(ask));
        }
        for said in [
            Answer::Levels(vec![true, false]),
            Answer::Levels(vec![]),
            Answer::Later,
            Answer::None("it is away".to_owned()),
        ] {
            let line = answer(&said);
            assert_eq!(parse_answer(line.strip_suffix('\n').expect("a line")), Some(said));
        }
        assert!(answer(&Answer::None("\u{1F600}".repeat(1000))).len() <= LONGEST);
    }

    #[test]
    fn nothing_but_reading_can_be_asked_for() {
        for bad in [
            "",
            "write 1 coils 0 1",
            "read 0 coils 0 1",
            "read 256 coils 0 1",
            "read 1 coils 0 0",
            "read 1 coils 0 65",
            "read 1 coils 65535 2",
            "read 1 holding 0 1",
            "read 1 coils 0 1 1",
            "read 1 coils 0",
        ] {
            assert_eq!(parse_question(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_question_that_is_written_otherwise(line in ".{0,60}") {
            if let Some(ask) = parse_question(&line) {
                let again = question(ask);
                prop_assert_eq!(parse_question(again.trim_end()), Some(ask));
            }
            let _ = parse_answer(&line);
        }
    }
}
