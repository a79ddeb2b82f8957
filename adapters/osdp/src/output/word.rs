//! What guard and gateway say to each other about outputs of readers: lines of text. Pure.

use gateway_core::{Instant, ReaderId};

use super::{OUTPUTS, OutputAnswer, OutputOrder};

/// Longest line, with its end.
pub(crate) const LONGEST: usize = 256;

/// An order for a reader, as a line.
pub(crate) fn order(reader: &ReaderId, order: &OutputOrder) -> String {
    match order {
        OutputOrder::Claim(numbers) => {
            let numbers: Vec<String> = numbers.iter().map(u8::to_string).collect();
            format!("claim {reader} {}\n", numbers.join(","))
        }
        OutputOrder::Hold(number) => format!("hold {reader} {number}\n"),
        OutputOrder::Off(number) => format!("off {reader} {number}\n"),
        OutputOrder::On {
            not_after,
            number,
            tenths,
        } => format!("on {reader} {number} {tenths} {}\n", not_after.as_nanos()),
        OutputOrder::Read => format!("read {reader}\n"),
    }
}

/// Reads an order, without the end of its line.
pub(crate) fn parse_order(line: &str) -> Option<(ReaderId, OutputOrder)> {
    let mut words = line.split(' ');
    let verb = words.next()?;
    let reader = words.next()?.parse().ok()?;
    let mut number = || words.next().and_then(numbered);
    let order = match verb {
        "claim" => {
            let numbers = words.next()?.split(',').map(numbered);
            OutputOrder::Claim(numbers.collect::<Option<Vec<u8>>>()?)
        }
        "hold" => OutputOrder::Hold(number()?),
        "off" => OutputOrder::Off(number()?),
        "on" => OutputOrder::On {
            number: number()?,
            tenths: words.next()?.parse().ok().filter(|tenths| *tenths > 0)?,
            not_after: Instant::from_nanos(words.next()?.parse().ok()?),
        },
        "read" => OutputOrder::Read,
        _ => return None,
    };
    let many = matches!(&order, OutputOrder::Claim(numbers) if numbers.len() > usize::from(OUTPUTS));
    (words.next().is_none() && !many).then_some((reader, order))
}

fn numbered(word: &str) -> Option<u8> {
    word.parse().ok().filter(|number| *number < OUTPUTS)
}

/// An answer, as a line.
pub(crate) fn answer(answer: &OutputAnswer) -> String {
    match answer {
        Ok(None) => "ok\n".to_owned(),
        Ok(Some(levels)) => {
            let levels = levels.iter().take(OUTPUTS.into());
            let levels: String = levels.map(|on| if *on { '1' } else { '0' }).collect();
            format!("levels {levels}\n")
        }
        Err(text) => {
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
pub(crate) fn parse_answer(line: &str) -> Option<OutputAnswer> {
    if line == "ok" {
        return Some(Ok(None));
    }
    if let Some(text) = line.strip_prefix("no ") {
        return Some(Err(text.to_owned()));
    }
    let levels = line.strip_prefix("levels ")?;
    let level = |c| match c {
        '0' => Some(false),
        '1' => Some(true),
        _ => None,
    };
    let levels: Vec<bool> = levels.chars().map(level).collect::<Option<_>>()?;
    (levels.len() <= OUTPUTS.into()).then_some(Ok(Some(levels)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn orders() -> Vec<OutputOrder> {
        vec![
            OutputOrder::Claim((0..OUTPUTS).collect()),
            OutputOrder::Hold(3),
            OutputOrder::Off(31),
            OutputOrder::On {
                not_after: Instant::from_nanos(u64::MAX),
                number: 0,
                tenths: 65_535,
            },
            OutputOrder::Read,
        ]
    }

    #[test]
    fn every_order_and_answer_is_read_as_it_was_written_and_fits_its_line() {
        let reader: ReaderId = "front-reader".parse().expect("a name");
        for wanted in orders() {
            let line = order(&reader, &wanted);
            assert!(line.len() <= LONGEST, "{line}");
            let read = parse_order(line.strip_suffix('\n').expect("a line"));
            assert_eq!(read, Some((reader.clone(), wanted)));
        }
        for said in [
            Ok(None),
            Ok(Some(vec![])),
            Ok(Some(vec![true, false])),
            Err("the reader is away".to_owned()),
        ] {
            let line = answer(&said);
            assert_eq!(parse_answer(line.strip_suffix('\n').expect("a line")), Some(said));
        }
        assert!(answer(&Err("x".repeat(1000))).len() <= LONGEST);
    }

    #[test]
    fn what_is_no_order_is_refused() {
        for bad in [
            "",
            "claim a",
            "claim a ",
            "claim a 1,,2",
            "claim a 32",
            "hold a",
            "hold a 1 2",
            "on a 0 0 5",
            "on a 0 65536 5",
            "on a 0 5 -1",
            "open a 0",
            "read",
            "read A B",
        ] {
            assert_eq!(parse_order(bad), None, "{bad}");
        }
        for bad in ["", "ok ", "levels 02", "levels", "yes"] {
            assert_eq!(parse_answer(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_an_order_that_is_written_otherwise(line in ".{0,80}") {
            if let Some((reader, read)) = parse_order(&line) {
                let again = order(&reader, &read);
                prop_assert_eq!(parse_order(again.trim_end()), Some((reader, read)));
            }
            let _ = parse_answer(&line);
        }
    }
}
