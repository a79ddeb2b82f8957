//! The gauntlet: each peer, carrier, kind of speech, way of a key, and direction, each gone for real.
//!
//! `DOORLINE_BLESS=1 tests/run --full peers the_whole_gauntlet` writes `docs/gauntlet.md` anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::ensure;
use peers::{Carrier, Keys};

mod cell;

use cell::{CARRIERS, Cell, KEYS, PEERS, Peer};

/// All of them.
fn all() -> Vec<Cell> {
    let mut cells = vec![];
    for peer in PEERS {
        for carrier in CARRIERS {
            for srtp in [false, true] {
                for incoming in [false, true] {
                    cells.extend(KEYS.map(|keys| Cell {
                        peer,
                        carrier,
                        srtp,
                        keys,
                        incoming,
                    }));
                }
            }
        }
    }
    cells
}

/// Goes some of them, `at_once` at a time; what became of each.
fn go(cells: &[Cell], at_once: usize) -> BTreeMap<Cell, Result<(), String>> {
    let next = AtomicUsize::new(0);
    let ends = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let end = cell.goes();
                    eprintln!("MEASURED {cell}: {}", if end.is_ok() { "opens" } else { "fails" });
                    ends.lock().expect("no thread panics here").insert(*cell, end);
                }
            });
        }
    });
    ends.into_inner().expect("no thread panics here")
}

fn all_went(ends: &BTreeMap<Cell, Result<(), String>>) -> anyhow::Result<()> {
    let faults: Vec<&str> = ends
        .values()
        .filter_map(|end| end.as_ref().err().map(String::as_str))
        .collect();
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// Each pair of two properties is in one of these or in another test of this program.
#[test]
fn a_spread_of_the_gauntlet_opens_the_door() {
    let cell = |peer, carrier, srtp, keys, incoming| Cell {
        peer,
        carrier,
        srtp,
        keys,
        incoming,
    };
    let spread = [
        cell(Peer::Asterisk, Carrier::Udp, true, Keys::InBand, false),
        cell(Peer::Asterisk, Carrier::Tcp, false, Keys::Info, true),
        cell(Peer::Asterisk, Carrier::Tls, true, Keys::Info, false),
        cell(Peer::Kamailio, Carrier::Udp, false, Keys::Events, true),
        cell(Peer::Kamailio, Carrier::Tcp, true, Keys::Events, false),
        cell(Peer::Kamailio, Carrier::Tls, false, Keys::InBand, true),
        cell(Peer::Baresip, Carrier::Tcp, false, Keys::Events, true),
        cell(Peer::Baresip, Carrier::Tls, true, Keys::Events, false),
        cell(Peer::Ezk, Carrier::Udp, true, Keys::Info, false),
        cell(Peer::Ezk, Carrier::Tcp, false, Keys::InBand, true),
        cell(Peer::Ezk, Carrier::Tls, false, Keys::Events, true),
        cell(Peer::Web, Carrier::Udp, false, Keys::Info, true),
        cell(Peer::Web, Carrier::Tcp, false, Keys::InBand, false),
        cell(Peer::Web, Carrier::Tls, true, Keys::Events, false),
    ];
    all_went(&go(&spread, 3)).expect("every cell goes");
}

#[test]
#[ignore = "takes ten minutes: tests/run --full"]
fn the_whole_gauntlet_opens_the_door_wherever_the_peer_can() {
    let cells: Vec<Cell> = all().into_iter().filter(|cell| cell.beyond().is_none()).collect();
    let ends = go(&cells, 3);
    all_went(&ends).expect("every cell goes");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gauntlet.md");
    let text = table(&ends);
    if std::env::var_os("DOORLINE_BLESS").is_some() {
        std::fs::write(&page, &text).expect("the page can be written");
    }
    let kept = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        kept == text,
        "docs/gauntlet.md is not what was seen; DOORLINE_BLESS=1 writes it anew:\n{text}"
    );
}

/// The page.
fn table(ends: &BTreeMap<Cell, Result<(), String>>) -> String {
    let mut text = HEAD.to_owned();
    for peer in PEERS {
        let _ = write!(
            text,
            "\n## {}\n\n| carrier | speech | call | RFC 4733 | INFO | tones |\n|---|---|---|---|---|---|\n",
            name(peer)
        );
        let mut notes: Vec<&str> = vec![];
        for row in all().chunks(KEYS.len()).filter(|row| row[0].peer == peer) {
            let of = row[0];
            let media = if of.srtp { "SRTP" } else { "RTP" };
            let direction = if of.incoming { "incoming" } else { "outgoing" };
            let _ = write!(
                text,
                "| {} | {media} | {direction} |",
                of.carrier.name().to_uppercase()
            );
            for cell in row {
                let said = match (cell.beyond(), ends.get(cell)) {
                    (Some(why), _) => {
                        let at = notes.iter().position(|note| *note == why).unwrap_or_else(|| {
                            notes.push(why);
                            notes.len() - 1
                        });
                        format!("({})", at + 1)
                    }
                    (None, Some(Ok(()))) => "opens".to_owned(),
                    (None, Some(Err(_))) => "**fails**".to_owned(),
                    (None, None) => "not gone".to_owned(),
                };
                let _ = write!(text, " {said} |");
            }
            text.push('\n');
        }
        for (at, note) in notes.iter().enumerate() {
            let _ = write!(text, "\n({}) {note}.\n", at + 1);
        }
    }
    text
}

const fn name(peer: Peer) -> &'static str {
    match peer {
        Peer::Asterisk => "A phone at Asterisk 22",
        Peer::Kamailio => "A phone at Kamailio 5.6, a strict registrar",
        Peer::Baresip => "baresip 1.0, called by its address",
        Peer::Ezk => "ezk-sip-ua 0.9, a SIP stack in Rust, called by its address",
        Peer::Web => "JsSIP 3.13 in Chromium at Asterisk 22",
    }
}

const HEAD: &str = "\
# The gauntlet

Each cell is a call that was made with the programs named: it is answered, both sides hear each other for 3 s, the key 9
closes the relay for its 3 s, and the call ends. *Outgoing*: the bell calls the phone; *incoming*: the phone calls the
door. With SRTP the keys are in the session description (SDES), and a call without it is refused.

Carrier and speech are the gateway's: with Asterisk, with Kamailio and the phone behind it, or with the phone that it
calls. Between Chromium and Asterisk there are always secure web sockets and DTLS-SRTP; the page sends its keys in the
way of the column, and Asterisk hands them on in the same.

The page is written by `DOORLINE_BLESS=1 tests/run --full peers the_whole_gauntlet`, some ten minutes; every run of
the tests goes a spread of it.
";
