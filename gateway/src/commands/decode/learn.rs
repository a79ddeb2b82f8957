//! A card format from cards whose printed numbers are known.

use std::fmt::Write as _;

use anyhow::{Context, ensure};
use clap::Args;
use gateway_card::{Field, Known, frame_of, learn};
use serde_json::json;

use super::{Said, input};

pub(super) const HELP: &str = "\
Each card is DATA=NUMBER or DATA=FACILITY,NUMBER: what the reader sent (bits, BITS:HEX or BITS:hex:DIGITS, see decode
wiegand) and what is printed on the card. Three with different numbers are needed; more make the answer surer.

Examples:
  doorline decode learn 26:2f623ae=123,4567 26:2f623b0=123,4568 26:f67530=123,15000
  doorline decode learn --json 20:d200e=41,7 20:d36a9=41,2900 20:53ffe=41,4095";

#[derive(Args, Debug)]
pub(super) struct Learn {
    /// Cards: DATA=NUMBER or DATA=FACILITY,NUMBER.
    #[arg(value_name = "CARD", required = true)]
    pub(super) cards: Vec<String>,
}

pub(super) fn decode(args: &Learn) -> anyhow::Result<Said> {
    let cards = args
        .cards
        .iter()
        .map(|text| known(text))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut text = String::new();
    let mut json = Vec::new();
    for proposal in learn(&cards)? {
        let format = &proposal.format;
        if proposal.published {
            let _ = writeln!(
                text,
                "{}: {}\n  in the site file: formats = [\"{}\"]",
                format.name(),
                format.title(),
                format.name()
            );
        } else {
            let masks: Vec<String> = proposal.parity.iter().map(|mask| format!("\"{mask}\"")).collect();
            let _ = writeln!(
                text,
                "no published format; in the site file, under a name of yours:\n[card-formats.NAME]\nlayout = \"{}\"\nparity = [{}]",
                proposal.layout,
                masks.join(", ")
            );
            if proposal.parity.is_empty() {
                let _ = writeln!(
                    text,
                    "no usual parity was found: noise of this length would count as a card"
                );
            }
        }
        if let Some(turned) = proposal.turned {
            let _ = writeln!(
                text,
                "the numbers are sent otherwise than they are printed: {turned}. The gateway knows the cards by the number that is sent, \
                 unless the reader can be set to send the other order"
            );
        }
        for card in &cards {
            let fields = format.read(&card.frame).unwrap_or_default();
            let values = Field::ALL
                .into_iter()
                .filter_map(|field| Some(format!("{} {}", field.word(), fields.of(field)?)));
            let values = values.collect::<Vec<_>>().join(", ");
            let printed = proposal.turned.map(|_| format!(" (printed {})", card.number));
            let _ = writeln!(text, "  {values}{}", printed.unwrap_or_default());
        }
        json.push(json!({
            "format": proposal.published.then(|| format.name()),
            "layout": proposal.layout,
            "parity": proposal.parity,
            "turned": proposal.turned.map(|turned| turned.to_string()),
        }));
    }
    Ok(Said {
        json: json!({ "proposals": json }),
        text,
    })
}

fn known(text: &str) -> anyhow::Result<Known> {
    let shown: String = text.chars().take(80).collect();
    let (data, printed) = text
        .split_once('=')
        .with_context(|| format!("{shown:?} is no card: DATA=NUMBER or DATA=FACILITY,NUMBER"))?;
    let bits = input::one(data)?;
    let number = |text: &str| {
        text.parse::<u64>()
            .with_context(|| format!("{shown:?}: {text:?} is no number"))
    };
    let (facility, number) = match printed.split_once(',') {
        Some((facility, rest)) => (Some(number(facility)?), number(rest)?),
        None => (None, number(printed)?),
    };
    ensure!(!bits.is_empty(), "{shown:?} has no bits");
    Ok(Known {
        facility,
        frame: frame_of(&bits).context("a frame has 1 to 256 bits")?,
        number,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(cards: &[&str]) -> anyhow::Result<Said> {
        decode(&Learn {
            cards: cards.iter().map(|card| (*card).to_owned()).collect(),
        })
    }

    #[test]
    fn three_cards_name_their_format_or_get_one() {
        let published = said(&[
            "26:2f623ae=123,4567",
            "26:2f623b0=123,4568",
            "26:f67530=123,15000",
        ])
        .expect("found");
        assert!(
            published.text.contains("formats = [\"h10301\"]"),
            "{}",
            published.text
        );
        // facility 41 of six bits and a number of twelve, with parity of the halves
        let house = said(&[
            "11010010000000001110=41,7",
            "11010011011010101001=41,2900",
            "01010011111111111110=41,4095",
        ])
        .expect("found");
        let proposal = &house.json["proposals"][0];
        assert_eq!(proposal["layout"], "PFFFFFFNNNNNNNNNNNNP");
        assert_eq!(
            proposal["parity"],
            json!(["EXXXXXXXXX..........", "..........XXXXXXXXXO"])
        );
        assert!(house.text.contains("facility 41, number 2900"), "{}", house.text);
        // four bytes of a serial, the last one printed first
        let serials = said(&[
            "32:221ba304=77798178",
            "32:3412007f=2130711092",
            "32:04030201=16909060",
        ]);
        let text = serials.expect("found").text;
        assert!(text.contains("4 bytes, the last byte first"), "{text}");
        assert!(text.contains("number 572236548 (printed 77798178)"), "{text}");
        let few = said(&["26:2f623ae=123,4567", "26:2f623ae=123,4567"]);
        assert!(few.is_err_and(|error| error.to_string().contains("too few")));
    }

    #[test]
    fn what_is_no_card_is_said() {
        for (card, expected) in [
            ("1010", "is no card"),
            ("1010=x", "is no number"),
            ("12=3", "neither bits"),
        ] {
            let error = said(&[card]).err().expect(card);
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        }
    }
}
