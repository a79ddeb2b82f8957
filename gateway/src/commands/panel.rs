//! `doorline panel`: kinds of panel lines, recordings of them, and a front end to try things out with.

mod pin;

use std::fmt::Write as _;
use std::io::{BufRead, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use adapter_front_end::{BAUD, CONTACT_INPUT, Change, Play};
use adapter_ibutton::{DS1990A, Played, Rom, played};
use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use gateway_card::encode_track;
use gateway_panel::{
    DoorBy, Edge, OpenWhen, Polarity, Profile, Proposal, RingInput, TalkPath, Tone, floor_edges, learn,
    parse_edges, picture, profile_named, profiles, refused_families, ring_edges, show_edges,
};
use serde_json::json;
use tokio::sync::mpsc;

use crate::cli::exit;
use crate::commands::out;

/// How long a key touches the contact of a simulated front end.
const TOUCH_US: u64 = 1_000_000;
/// Inputs of a simulated front end that tell that another panel has the line, and that somebody rings at the apartment's door.
const BUSY_INPUT: u8 = 6;
const FLOOR_INPUT: u8 = 7;
/// How long the bell at the apartment's door is pressed.
const FLOOR_US: u64 = 500_000;
/// A cell of a key that sends by itself.
const CELL_US: u64 = 110;
/// Most bytes of a recording that are read.
const MAX_BYTES: u64 = 4 << 20;

/// Arguments of `doorline panel`.
#[derive(Args, Debug)]
pub(crate) struct Panel {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List the profiles of panel lines, and the families that are refused.
    List {
        /// Print one JSON value.
        #[arg(long)]
        json: bool,
    },
    /// Print a profile: to read it, or as the beginning of one of the site's own.
    Show {
        /// Its name.
        name: String,
    },
    /// Propose a profile from edges, recorded by a front end or at a pin, or read from a file, while the panel rings.
    Learn {
        /// File with edges (`µs,level`); - for standard input.
        #[arg(
            value_name = "FILE",
            required_unless_present_any = ["port", "gpio"],
            conflicts_with_all = ["port", "gpio"]
        )]
        file: Option<PathBuf>,
        /// Line port of a front end to record from. The gateway must not run.
        #[arg(long)]
        port: Option<PathBuf>,
        /// Pin to record from, `CHIP:LINE`; nothing else may have it. For lines by level and by tone: the 20 µs pulses of digital lines want a
        /// front end.
        #[arg(long, value_name = "CHIP:LINE", conflicts_with = "port")]
        gpio: Option<pin::Pin>,
        /// Input of the front end, 0 to 15.
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=15))]
        input: u8,
        /// For how long, 1 to 300 s.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=300))]
        seconds: u64,
        /// Bits per second of the port.
        #[arg(long, default_value_t = BAUD)]
        baud: u32,
        /// Propose this one of the profiles that fit: their rings look the same, so only who looks at the wires knows which it is.
        #[arg(long, value_name = "PROFILE")]
        like: Option<String>,
        /// Write the edges to this new file, too.
        #[arg(long, value_name = "FILE")]
        keep: Option<PathBuf>,
        /// Print one JSON value.
        #[arg(long)]
        json: bool,
    },
    /// Play a front end on two pseudo-terminals, DIR/line and DIR/door. It reads what happens from standard input, and
    /// prints what changes at its outputs.
    Simulate {
        /// Folder of the two ports.
        folder: PathBuf,
        /// Kind of line whose ring it plays.
        #[arg(long, default_value = "vizit-matrix")]
        profile: String,
    },
}

/// Runs one act.
pub(super) fn panel(args: &Panel) -> anyhow::Result<u8> {
    match &args.act {
        Act::List { json } => list(*json)?,
        Act::Show { name } => {
            profile_named(name)?;
            let text = profiles()
                .find(|(known, ..)| known == name)
                .map(|(_, text, _)| text);
            write!(out(), "{}", text.unwrap_or_default())?;
        }
        Act::Learn {
            file,
            port,
            gpio,
            input,
            seconds,
            baud,
            like,
            keep,
            json,
        } => {
            let time = Duration::from_secs(*seconds);
            let begun = |what: &str| {
                eprintln!(
                    "recording {what} for {seconds} s, or until Ctrl-C: let the panel ring, and let it stop"
                );
            };
            let edges = match (file, port, gpio) {
                (_, Some(port), _) => {
                    begun(&format!("input {input}"));
                    let record =
                        adapter_front_end::record(port, *baud, *input, time, interrupted(), told(*seconds));
                    runtime()?.block_on(record)?
                }
                (_, None, Some(pin)) => {
                    begun(&pin.to_string());
                    runtime()?.block_on(pin::record(pin, time, interrupted(), told(*seconds)))?
                }
                (Some(file), None, None) => read(file)?,
                (None, None, None) => bail!("a file, a port or a pin is needed"),
            };
            if let Some(keep) = keep {
                let mut to = std::fs::File::create_new(keep)
                    .with_context(|| format!("{} cannot be made", keep.display()))?;
                to.write_all(show_edges(&edges).as_bytes())?;
            }
            write!(out(), "{}", learned(&edges, like.as_deref(), *json)?)?;
        }
        Act::Simulate { folder, profile } => {
            simulate(folder.clone(), profile_named(profile)?.clone())?;
        }
    }
    Ok(exit::OK)
}

/// Whoever records has enough. Where nobody can say so, the recording has its time.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

/// Says each second how far a recording is.
fn told(seconds: u64) -> impl FnMut(usize) {
    let mut gone = 0;
    move |edges| {
        gone += 1;
        eprintln!("{gone} of {seconds} s, {edges} edges");
    }
}

fn list(json: bool) -> anyhow::Result<()> {
    let mut out = out();
    if json {
        let known = profiles().map(|(name, _, profile)| {
            json!({
                "name": name,
                "title": profile.title,
                "panels": profile.panels,
                "switches": profile.switches,
                "proven": profile.proven.words(),
                "names_apartments": profile.names_apartments(),
                "talks_in_frames": profile.frame_input().is_some(),
                "opens_a_door": profile.door.is_some(),
            })
        });
        let known: Vec<_> = known.collect();
        let refused: Vec<_> = refused_families()
            .map(|(name, why)| json!({ "name": name, "why": why }))
            .collect();
        writeln!(out, "{}", json!({ "profiles": known, "refused": refused }))?;
        return Ok(());
    }
    for (name, _, profile) in profiles() {
        writeln!(out, "{name:<18} {}", profile.title)?;
        writeln!(out, "{:<18} {}", "", profile.proven.words())?;
        if profile.door.is_none() {
            writeln!(out, "{:<18} opens no door", "")?;
        }
    }
    writeln!(out, "\nRefused:")?;
    for (name, why) in refused_families() {
        writeln!(out, "{name:<18} {why}")?;
    }
    Ok(())
}

fn read(file: &std::path::Path) -> anyhow::Result<Vec<Edge>> {
    let mut text = String::new();
    if file == std::path::Path::new("-") {
        std::io::stdin()
            .lock()
            .take(MAX_BYTES)
            .read_to_string(&mut text)?;
    } else {
        let open = std::fs::File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
        open.take(MAX_BYTES).read_to_string(&mut text)?;
    }
    parse_edges(&text).with_context(|| format!("{}", file.display()))
}

/// Picture and proposal.
fn learned(edges: &[Edge], like: Option<&str>, json: bool) -> anyhow::Result<String> {
    let proposal = match (learn(edges), like) {
        (Ok(proposal), Some(name)) => {
            let like = proposal.like(name);
            Ok(like.with_context(|| {
                let fit = [&[proposal.profile], &proposal.others[..]].concat().join(", ");
                format!("{name} does not ring like this; what does: {fit}")
            })?)
        }
        (proposal, _) => proposal,
    };
    if json {
        let proposal = proposal?;
        let value = json!({
            "edges": edges.len(),
            "found": proposal.found,
            "profile": proposal.profile,
            "others": proposal.others,
            "opens": proposal.door.is_some(),
            "text": proposal.text(),
        });
        return Ok(format!("{value}\n"));
    }
    let mut text = picture(edges);
    match proposal {
        Ok(proposal) => {
            text.push('\n');
            for found in &proposal.found {
                writeln!(text, "# {found}")?;
            }
            writeln!(
                text,
                "# proposed: {} with the ring{} as it was measured; it is a text for own-profile of the line\n",
                proposal.profile,
                if proposal.door.is_some() {
                    " and the opening"
                } else {
                    ""
                }
            )?;
            text.push_str(&proposal.text().unwrap_or_default());
            text.push_str(&apart(&proposal));
        }
        Err(error) => writeln!(text, "\nno proposal: {error}")?,
    }
    Ok(text)
}

/// What tells the profiles apart that ring alike: as comments, which a profile may have at its end.
fn apart(proposal: &Proposal) -> String {
    if proposal.others.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n# As this line rings, so do others. Which it is the wires tell:\n");
    for name in [&[proposal.profile], &proposal.others[..]].concat() {
        let Ok(profile) = profile_named(name) else {
            continue;
        };
        let talk = match profile.can.talk {
            TalkPath::FourWire => "speech on a wire for each direction",
            TalkPath::None => "no speech",
            TalkPath::TwoWire => "speech on one pair",
        };
        let opens = match profile.door.map(|door| door.by) {
            None => "opens nothing by itself",
            Some(DoorBy::Closing) => "opens by closing a contact",
            Some(DoorBy::Frame) => "opens by a frame",
            Some(DoorBy::LineBreak) => "opens by breaking the line",
            Some(DoorBy::Load) => "opens by another load on the line",
        };
        let when = match profile.can.open_when {
            OpenWhen::Always => "at any time",
            OpenWhen::OffHook => "while off-hook",
            OpenWhen::Ringing => "after a ring only",
        };
        let title = &profile.title;
        // writing to a string does not fail
        let _ = writeln!(text, "#   {name:<16} {title}; {talk}; {opens}, {when}");
    }
    text.push_str("# doorline panel learn … --like PROFILE proposes another of them; doorline panel show PROFILE is what it says.\n");
    text
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

fn number_of(text: &str) -> anyhow::Result<u32> {
    text.parse()
        .context("a number of an apartment, or an address, is needed")
}

/// What a number is that nothing can be played for.
fn none(profile: &Profile) -> &'static str {
    if profile.frame_input().is_some() {
        "no address that a frame of this line can name"
    } else {
        "no apartment: 1 to 255"
    }
}

/// What is typed at a simulated front end.
fn play(line: &str, profile: &Profile) -> anyhow::Result<Play> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let level = |input, level| Play::Edges {
        input,
        edges: vec![Edge { at_us: 0, level }],
    };
    let handset = profile.handset.active;
    Ok(match words[..] {
        ["ring"] => Play::Edges {
            input: 0,
            edges: ring_edges(profile, 1, Tone::Ring),
        },
        ["ring", number] => {
            let edges = ring_edges(profile, number_of(number)?, Tone::Ring);
            ensure!(!edges.is_empty(), "{number} is {}", none(profile));
            Play::Edges { input: 0, edges }
        }
        ["floor", number] => {
            ensure!(
                profile.frame_input().is_some_and(|input| input.floor.is_some()),
                "no frame of this line is a floor call"
            );
            let edges = floor_edges(profile, number_of(number)?);
            ensure!(!edges.is_empty(), "{number} is {}", none(profile));
            Play::Edges { input: 0, edges }
        }
        ["floor"] => Play::Edges {
            input: FLOOR_INPUT,
            edges: [(0, true), (FLOOR_US, false)]
                .map(|(at_us, level)| Edge { at_us, level })
                .to_vec(),
        },
        ["busy"] => level(BUSY_INPUT, true),
        ["free"] => level(BUSY_INPUT, false),
        ["lift"] => level(1, handset.is_active(true)),
        ["replace"] => level(1, !handset.is_active(true)),
        ["key", kind, number] => touch(kind, number)?,
        ["stripe", track] => Play::Stripe(drawn(track)?),
        ["stripe", track, "back"] => Play::Stripe(drawn(track)?.into_iter().rev().collect()),
        _ => bail!(
            "{line:?} is unknown; known are: ring, ring NUMBER, floor, floor NUMBER, lift, replace, busy, free, key KIND NUMBER, \
             stripe TRACK, stripe TRACK back"
        ),
    })
}

/// A key that touches the contact for a while.
fn touch(kind: &str, number: &str) -> anyhow::Result<Play> {
    let hex = |digits: usize| {
        let plain = number.len() == digits && number.bytes().all(|b| b.is_ascii_hexdigit());
        let value = plain.then(|| u64::from_str_radix(number, 16).ok()).flatten();
        value.with_context(|| format!("{number:?} is no number of such a key: {digits} hexadecimal digits"))
    };
    let key = match kind {
        "cyfral" => Played::Cyfral(u16::try_from(hex(4)?)?),
        "ds1990a" => {
            let rom = Rom::of(DS1990A, hex(12)?);
            return Ok(Play::Key {
                rom,
                for_us: TOUCH_US,
            });
        }
        "metakom" => Played::Metakom(u32::try_from(hex(8)?)?.to_be_bytes()),
        _ => bail!("{kind:?} is no kind of key: cyfral, ds1990a and metakom are"),
    };
    let edges = played(&key, CELL_US, TOUCH_US);
    ensure!(
        !edges.is_empty(),
        "{number:?} is no number of such a key: each byte has an even number of ones"
    );
    Ok(Play::Edges {
        input: CONTACT_INPUT,
        edges: edges
            .into_iter()
            .map(|(at_us, level)| Edge { at_us, level })
            .collect(),
    })
}

/// The bits of a stripe, with the zeros around them that stripes have.
fn drawn(track: &str) -> anyhow::Result<Vec<bool>> {
    encode_track(track, 22).with_context(|| format!("{track:?} is no track: 1 to 37 of 0-9, = and A B C E"))
}

fn simulate(folder: PathBuf, profile: Profile) -> anyhow::Result<()> {
    std::fs::create_dir_all(&folder)?;
    let mut high = Vec::new();
    if matches!(&profile.ring, RingInput::Level(input) if input.active == Polarity::Low)
        || matches!(&profile.ring, RingInput::PulseCount(input) if input.idle == Polarity::High)
        || matches!(&profile.ring, RingInput::Frame(input) if input.idle == Polarity::High)
    {
        high.push(0);
    }
    if profile.handset.active == Polarity::Low {
        high.push(1);
    }
    let (plays, played) = mpsc::channel(16);
    let (changes, mut changed) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match play(&line, &profile) {
                Ok(play) => {
                    if plays.blocking_send(play).is_err() {
                        return;
                    }
                }
                Err(error) => eprintln!("{error:#}"),
            }
        }
    });
    runtime()?.block_on(async {
        let front_end = adapter_front_end::simulate(&folder, &high, played, changes);
        tokio::pin!(front_end);
        loop {
            tokio::select! {
                ended = &mut front_end => return Ok(ended?),
                change = changed.recv() => {
                    let Some(change) = change else { continue };
                    let (what, number, on, at_us) = match change {
                        Change::Door { door, on, at_us } => ("door", door, on, at_us),
                        Change::Output { output, on, at_us } => ("output", output, on, at_us),
                        Change::Wire { input, level, at_us } => ("wire", input, level, at_us),
                    };
                    let words = if what == "wire" { ["low", "high"] } else { ["off", "on"] };
                    let mut out = out();
                    writeln!(out, "{at_us} {what} {number} {}", words[usize::from(on)])?;
                    out.flush()?;
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_becomes_a_picture_and_a_profile() {
        let profile = profile_named("laskomex-digital").expect("there");
        let edges = ring_edges(profile, 73, Tone::Ring);
        let text = learned(&edges, None, false).expect("a proposal");
        assert!(
            text.contains("▁▔ ×") && text.contains("# a ring of apartment 73"),
            "{text}"
        );
        let own = text
            .split_once("own-profile of the line\n\n")
            .expect("a profile")
            .1;
        assert!(Profile::parse(own).is_ok(), "{own}");
        let value: serde_json::Value =
            serde_json::from_str(&learned(&edges, None, true).expect("json")).expect("json");
        assert_eq!(value["profile"], "laskomex-digital");
        let bus = ring_edges(profile_named("tcs-bus").expect("there"), 7, Tone::Ring);
        let text = learned(&bus, None, false).expect("a proposal");
        assert!(!text.contains("so do others"), "{text}");
    }

    #[test]
    fn what_rings_like_others_names_them_and_one_of_them_can_be_had() {
        let edges = ring_edges(profile_named("siedle-1n").expect("there"), 1, Tone::Ring);
        let text = learned(&edges, None, false).expect("a proposal");
        for line in [
            "#   4n               4+n line",
            "#   1n               1+n line: a common wire and one for each apartment; speech on one pair; opens by another load on the \
             line, after a ring only",
            "#   siedle-1n ",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let text = learned(&edges, Some("siedle-1n"), false).expect("a proposal");
        assert!(text.contains("# proposed: siedle-1n"), "{text}");
        let own = text
            .split_once("own-profile of the line\n\n")
            .expect("a profile")
            .1;
        assert!(Profile::parse(own).is_ok(), "{own}");
        let value = learned(&edges, Some("1n"), true).expect("json");
        let value: serde_json::Value = serde_json::from_str(&value).expect("json");
        assert_eq!(
            value["others"],
            serde_json::json!(["4n", "ftz-123-d12", "siedle-1n", "urmet-1130"])
        );
        let error = learned(&edges, Some("vizit-matrix"), false).expect_err("no level");
        assert!(error.to_string().contains("what does: 4n, 1n"), "{error}");
    }

    #[test]
    fn what_cannot_be_played_says_what_can() {
        let profile = profile_named("laskomex-digital").expect("there");
        let edges = |line: &str, profile| match play(line, profile).expect("something to play") {
            Play::Edges { input, edges } => (input, edges.len()),
            Play::Key { .. } | Play::Stripe(_) => panic!("{line} is edges"),
        };
        assert_eq!(edges("ring 12", profile).0, 0);
        assert_eq!(edges("lift", profile).1, 1);
        assert_eq!(edges("busy", profile), (BUSY_INPUT, 1));
        assert_eq!(edges("free", profile), (BUSY_INPUT, 1));
        assert_eq!(edges("floor", profile), (FLOOR_INPUT, 2));
        assert_eq!(edges("key cyfral 1b07", profile).0, CONTACT_INPUT);
        assert!(matches!(
            play("key ds1990a 0000012f4a3c", profile),
            Ok(Play::Key { .. })
        ));
        assert!(matches!(play("stripe 4711", profile), Ok(Play::Stripe(bits)) if bits.len() == 44 + 7 * 5));
        for (line, expected) in [
            ("dance", "known are"),
            ("ring 999", "1 to 255"),
            ("ring x", "a number"),
            ("floor 12", "no frame of this line is a floor call"),
            ("key cyfral 12", "4 hexadecimal digits"),
            ("key metakom 01000000", "an even number of ones"),
            ("key mifare 12", "no kind of key"),
            ("stripe 12F", "no track"),
        ] {
            let error = format!("{:#}", play(line, profile).expect_err(line));
            assert!(error.contains(expected), "{error}");
        }
        let bus = profile_named("comelit-simplebus-1").expect("there");
        assert_eq!(edges("floor 255", bus).1, 41);
        let error = format!("{:#}", play("ring 256", bus).expect_err("no such address"));
        assert!(error.contains("no address that a frame"), "{error}");
    }
}
