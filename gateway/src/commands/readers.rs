//! `doorline readers`: the bits of cards at a reader, and their layout.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::decode;
use crate::cli::{SiteFile, exit};
use crate::commands::{out, site};
use crate::control;

/// How often it is asked for cards.
const LOOK: Duration = Duration::from_millis(250);

/// Arguments of `doorline readers`.
#[derive(Args, Debug)]
pub(crate) struct Readers {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Show the bits of the cards at a reader as they come, and propose a layout from three whose printed numbers are known.
    /// Meanwhile its cards open nothing and its keys do nothing; begin and end are in the journal, the bits are not. ctrl-C ends it.
    Learn {
        #[command(flatten)]
        site: SiteFile,
        /// The reader.
        reader: String,
        /// For how many seconds at most, 1 to 600.
        #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=600))]
        seconds: u64,
        /// How many cards, 1 to 64; a layout is proposed from three on.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=64))]
        cards: u64,
        /// What is printed on the cards, in their order: NUMBER or FACILITY,NUMBER. Without it each is asked for.
        #[arg(long, value_name = "NUMBER")]
        printed: Vec<String>,
    },
}

/// Runs one act.
pub(super) fn readers(args: &Readers) -> anyhow::Result<u8> {
    let Act::Learn {
        site,
        reader,
        seconds,
        cards,
        printed,
    } = &args.act;
    let config = site::running(&site.config)?;
    if !config.readers.keys().any(|known| known.as_str() == reader) {
        let all: Vec<&str> = config
            .readers
            .keys()
            .map(gateway_core::ReaderId::as_str)
            .collect();
        bail!(
            "{reader} is no reader of the site file; there is: {}",
            all.join(", ")
        );
    }
    let run_dir = config.site.run_dir.clone();
    // one that is answered when the window is over: it closes with this connection, however this program ends
    let request = json!({
        "act": "reader-learn", "reader": reader, "seconds": seconds, "cards": cards, "ms": seconds * 1000,
    });
    let to = run_dir.clone();
    let window = std::thread::spawn(move || control::ask(&to, &request));
    let known = cards_of(&run_dir, reader, printed, window)?;
    if known.is_empty() {
        if !std::io::stdin().is_terminal() {
            writeln!(
                out(),
                "a format is proposed where what is printed on the cards is known: --printed NUMBER for each, in their order"
            )?;
        }
        return Ok(exit::OK);
    }
    match decode::proposals(&known) {
        Ok(text) => write!(out(), "{text}")?,
        Err(error) => bail!(
            "no layout is proposed: {error:#}\nshow more cards, or: doorline decode learn {}",
            known.join(" ")
        ),
    }
    Ok(exit::OK)
}

type Opened = std::thread::JoinHandle<anyhow::Result<Value>>;

/// Shows each card, and gives those whose number is known as `decode learn` takes them.
fn cards_of(run_dir: &Path, reader: &str, printed: &[String], window: Opened) -> anyhow::Result<Vec<String>> {
    let (mut shown, mut known, mut told) = (0, Vec::new(), false);
    let mut printed = printed.iter();
    loop {
        // looked at before the cards, so that none of the last ones is missed
        let over = window.is_finished();
        let said = if over {
            break match window.join() {
                Ok(said) => show(&said?, &mut shown, &mut known, &mut printed)?,
                Err(_) => bail!("the window could not be opened"),
            };
        } else {
            learned(run_dir, reader)?
        };
        // not before: until then they open
        if said["open"] == true && !std::mem::replace(&mut told, true) {
            writeln!(
                out(),
                "show the cards at {reader}, one after the other; they open nothing"
            )?;
            out().flush()?;
        }
        show(&said, &mut shown, &mut known, &mut printed)?;
        std::thread::sleep(LOOK);
    }
    writeln!(out(), "{shown} cards; the cards of {reader} open again")?;
    Ok(known)
}

fn learned(run_dir: &Path, reader: &str) -> anyhow::Result<Value> {
    control::ask(run_dir, &json!({ "act": "reader-learned", "reader": reader }))
}

fn show<'a>(
    said: &Value,
    shown: &mut usize,
    known: &mut Vec<String>,
    printed: &mut impl Iterator<Item = &'a String>,
) -> anyhow::Result<()> {
    let cards = said["cards"].as_array().map_or(&[][..], Vec::as_slice);
    for bits in cards.iter().skip(*shown).filter_map(Value::as_str) {
        *shown += 1;
        writeln!(
            out(),
            "card {shown}: {} bits, {}, {bits}",
            bits.len(),
            decode::hex_of(bits)?
        )?;
        let number = match printed.next() {
            Some(number) => Some(number.clone()),
            None => typed()?,
        };
        known.extend(number.map(|number| format!("{bits}={number}")));
    }
    Ok(())
}

/// What is printed on the card, by whoever holds it. Nobody is asked where nobody can answer.
fn typed() -> anyhow::Result<Option<String>> {
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    write!(
        out(),
        "printed on it (NUMBER or FACILITY,NUMBER; nothing leaves it out): "
    )?;
    out().flush()?;
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("the number cannot be read")?;
    let line = line.trim();
    Ok((!line.is_empty()).then(|| line.to_owned()))
}
