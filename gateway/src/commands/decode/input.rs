//! What people paste: bits, hexadecimal digits with a bit count, edge lists in microseconds.

use std::io::Read;

use adapter_wiegand::{Assembler, Damage, Frame, Wire};
use anyhow::{Context, bail, ensure};
use gateway_card::MAX_BITS;
use gateway_core::Instant;
use std::time::Duration;

/// Most characters that are read.
const LONGEST: usize = 1 << 20;
/// Times of edges count from here, so that an edge at 0 µs has a past.
const START: Instant = Instant::from_nanos(1_000_000_000);

/// The arguments as one text; `-` alone is standard input.
pub(super) fn text_of(data: &[String]) -> anyhow::Result<String> {
    let text = if data == ["-"] {
        let mut text = String::new();
        let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX) + 1;
        std::io::stdin()
            .take(limit)
            .read_to_string(&mut text)
            .context("standard input cannot be read as text")?;
        text
    } else {
        data.join(" ")
    };
    ensure!(
        text.len() <= LONGEST,
        "more than {LONGEST} characters; give it in parts"
    );
    Ok(text)
}

/// Frames, in whatever form they are given.
pub(super) fn frames(text: &str, gap: Duration) -> anyhow::Result<Vec<Frame>> {
    let words: Vec<&str> = text.split_whitespace().collect();
    ensure!(
        !words.is_empty(),
        "nothing is given: bits, BITS:HEX, or edges as TIME,WIRE"
    );
    if words.iter().all(|word| word.contains(',')) {
        return edges(&words, gap);
    }
    words
        .iter()
        .map(|word| {
            Ok(Frame {
                at: START,
                bits: one(word)?,
                damage: None,
            })
        })
        .collect()
}

/// One word: `1011`, `26:2f623ae` (a number) or `26:hex:bd88eb8` (left-aligned, as in the site file).
pub(super) fn one(word: &str) -> anyhow::Result<Vec<bool>> {
    let shown: String = word.chars().take(60).collect();
    if let Some((_, hex)) = word.split_once(":hex:") {
        ensure!(!hex.is_empty(), "{shown:?} has no digits");
        let frame = gateway_site::card_frame(word).map_err(|error| anyhow::anyhow!("{error}"))?;
        return Ok(gateway_card::bits_of(&frame));
    }
    if let Some((count, hex)) = word.split_once(':') {
        return number(count, hex).with_context(|| format!("{shown:?} is no BITS:HEX"));
    }
    let plain: String = word.chars().filter(|c| *c != '_').collect();
    ensure!(
        plain.chars().all(|c| matches!(c, '0' | '1')),
        "{shown:?} is neither bits (0 and 1), nor BITS:HEX such as 26:2f623ae, nor edges such as 0,1 1000,0"
    );
    ensure!(
        (1..=MAX_BITS).contains(&plain.len()),
        "{} bits are given: a frame has 1 to {MAX_BITS}",
        plain.len()
    );
    Ok(plain.chars().map(|c| c == '1').collect())
}

/// Bits alone, in words of any length.
pub(super) fn plain_bits(text: &str) -> anyhow::Result<Vec<bool>> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace() && *c != '_').collect();
    let shown: String = plain.chars().take(60).collect();
    ensure!(!plain.is_empty(), "nothing is given");
    ensure!(
        plain.chars().all(|c| matches!(c, '0' | '1')),
        "{shown:?} is neither bits (0 and 1) nor edges"
    );
    Ok(plain.chars().map(|c| c == '1').collect())
}

/// A number of so many bits; digits before it have to be zero.
fn number(count: &str, hex: &str) -> anyhow::Result<Vec<bool>> {
    let count: usize = count.parse().context("the bit count is no number")?;
    ensure!(
        (1..=MAX_BITS).contains(&count),
        "a frame has 1 to {MAX_BITS} bits"
    );
    let hex = hex.strip_prefix("0x").unwrap_or(hex);
    let mut bits = Vec::with_capacity(hex.len() * 4);
    for c in hex.chars() {
        let digit = c
            .to_digit(16)
            .with_context(|| format!("{c:?} is no hexadecimal digit"))?;
        bits.extend((0..4).rev().map(|at| digit >> at & 1 == 1));
    }
    let over = bits.len().saturating_sub(count);
    ensure!(
        bits.iter().take(over).all(|one| !one),
        "the number needs more than {count} bits; a left-aligned one is written {count}:hex:DIGITS"
    );
    let missing = count.saturating_sub(bits.len());
    Ok(std::iter::repeat_n(false, missing)
        .chain(bits.into_iter().skip(over))
        .collect())
}

/// Edges as `MICROSECONDS,WIRE`: the beginning of each pulse, on D0 or D1.
fn edges(words: &[&str], gap: Duration) -> anyhow::Result<Vec<Frame>> {
    let mut assembler = Assembler::new(gap);
    let mut frames = Vec::new();
    let mut before = 0;
    for word in words {
        let shown: String = word.chars().take(60).collect();
        let Some((time, wire)) = word.split_once(',') else {
            bail!("{shown:?} is no edge: TIME,WIRE, such as 1000,0");
        };
        let time: u64 = time
            .parse()
            .ok()
            .filter(|time| *time <= 3_600_000_000)
            .with_context(|| format!("{shown:?}: the time is no number of µs up to an hour"))?;
        ensure!(
            time >= before,
            "{shown:?} is before the edge that stands before it: edges come in order"
        );
        before = time;
        let wire = match wire.to_ascii_lowercase().as_str() {
            "0" | "d0" => Wire::D0,
            "1" | "d1" => Wire::D1,
            _ => bail!("{shown:?}: the wire is 0 or 1"),
        };
        frames.extend(assembler.edge(START + Duration::from_micros(time), wire));
    }
    frames.extend(
        assembler
            .poll_timeout()
            .and_then(|end| assembler.handle_timeout(end)),
    );
    Ok(frames)
}

/// Bytes as hexadecimal digits, with or without blanks, colons and dashes between them.
pub(super) fn hex_bytes(text: &str) -> anyhow::Result<Vec<u8>> {
    let is_gap = |c: char| c.is_whitespace() || matches!(c, ':' | '-' | ',');
    let digits: Vec<char> = text.replace("0x", "").chars().filter(|c| !is_gap(*c)).collect();
    if let Some(other) = digits.iter().find(|c| !c.is_ascii_hexdigit()) {
        bail!("{other:?} is no hexadecimal digit; allowed are pairs of digits, spaces, colons and dashes");
    }
    ensure!(!digits.is_empty(), "nothing is given: hexadecimal digits");
    ensure!(
        digits.len().is_multiple_of(2),
        "{} digits: a byte has two",
        digits.len()
    );
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
    digits
        .chunks(2)
        .map(byte)
        .collect::<Result<_, _>>()
        .context("hexadecimal digits")
}

/// Bytes as digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bits as text.
pub(super) fn shown(bits: &[bool]) -> String {
    bits.iter().map(|one| if *one { '1' } else { '0' }).collect()
}

/// Why the bits cannot be trusted, in words.
pub(super) const fn damage(damage: Damage) -> &'static str {
    match damage {
        Damage::LostEdges => "edges were lost",
        Damage::Noise => "edges of one wire less than 20 µs apart, or more than 256: noise",
        Damage::Simultaneous => "edges of both wires less than 20 µs apart",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_millis(25);

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found = frames(text, GAP).expect("good");
        let found: Vec<String> = found.iter().map(|f| shown(&f.bits)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn all_forms_are_read() {
        check("1011", &["1011"]);
        check("1010_1010 01", &["10101010", "01"]);
        check("26:2f623ae", &["10111101100010001110101110"]);
        check("26:0x02F623AE", &["10111101100010001110101110"]);
        check("26:hex:bd88eb8", &["10111101100010001110101110"]);
        check("6:1", &["000001"]);
        check("0,1 1000,0 2000,1 60000,0", &["101", "0"]);
        check("0,D1 200,d0", &["10"]);
    }

    #[test]
    fn what_cannot_be_read_is_said_with_what_can() {
        for (text, expected) in [
            ("", "nothing is given"),
            ("12", "neither bits"),
            ("4:1f", "needs more than 4 bits"),
            ("0:1", "1 to 256"),
            ("x:1", "no number"),
            ("4:g", "no hexadecimal digit"),
            ("0,2", "the wire is 0 or 1"),
            ("x,1", "no number of µs"),
            ("100,1 50,0", "come in order"),
            ("9999999999,1", "no number of µs"),
            ("26:hex:", "no digits"),
            ("26:hex:zz", "hexadecimal digits"),
        ] {
            let error = frames(text, GAP).expect_err(text);
            assert!(format!("{error:#}").contains(expected), "{text}: {error:#}");
        }
        assert!(frames(&"1".repeat(257), GAP).is_err());
    }
}
