//! Boards that answer, played from their makers' command lists on the other end of a pty pair.

mod pty;

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use adapter_api::OutputDriver;
use adapter_serial_relay::{BAUD, Board, Family, SerialRelay};
use pty::cable;

/// Levels of the relays, as anybody may switch them, and whether the board still obeys.
#[derive(Default)]
struct Relays {
    levels: [bool; 32],
    stuck: bool,
}

impl Relays {
    fn switch(&mut self, relay: usize, on: bool) {
        if !self.stuck {
            self.levels[relay] = on;
        }
    }
}

struct Played {
    path: PathBuf,
    relays: Arc<Mutex<Relays>>,
    _cable: std::os::fd::OwnedFd,
}

impl Played {
    fn with<T>(&self, f: impl FnOnce(&mut Relays) -> T) -> T {
        f(&mut self.relays.lock().expect("not poisoned"))
    }
}

/// A board whose `answer` gets one byte at a time and what it keeps in mind.
fn played(answer: impl Fn(&mut Vec<u8>, u8, &mut Relays) -> Vec<u8> + Send + 'static) -> Played {
    let cable = cable();
    let relays = Arc::new(Mutex::new(Relays::default()));
    let shared = Arc::clone(&relays);
    let mut side = File::from(cable.side);
    std::thread::spawn(move || {
        let (mut mind, mut byte) = (Vec::new(), [0]);
        while side.read_exact(&mut byte).is_ok() {
            let said = answer(&mut mind, byte[0], &mut shared.lock().expect("not poisoned"));
            if side.write_all(&said).is_err() {
                return;
            }
        }
    });
    Played {
        path: cable.path,
        relays,
        _cable: cable.theirs,
    }
}

/// Three bytes: `FF n 0|1` switches; `FF n 03` tells of one relay (boards of one and two); `FF 09 00` of all.
fn kmtronic(relays: usize) -> Played {
    played(move |mind, byte, state| {
        mind.push(byte);
        let [0xFF, relay, order] = mind[..] else {
            return vec![];
        };
        mind.clear();
        match (relay, order) {
            (9, 0) if relays > 2 => state.levels[1..=relays].iter().map(|on| u8::from(*on)).collect(),
            (relay, 3) if relays <= 2 => vec![0xFF, relay, u8::from(state.levels[usize::from(relay)])],
            (relay, order @ (0 | 1)) => {
                state.switch(usize::from(relay), order == 1);
                vec![]
            }
            _ => vec![],
        }
    })
}

/// Echoes each key, and answers a line with its result and a prompt.
fn numato() -> Played {
    played(|mind, byte, state| {
        if byte != b'\r' {
            mind.push(byte);
            return vec![byte];
        }
        let line = String::from_utf8(std::mem::take(mind)).expect("text");
        let index = |relay: &str| usize::from_str_radix(relay, 36).expect("a relay");
        let said = match line.split(' ').collect::<Vec<_>>()[..] {
            ["relay", "on", relay] => {
                state.switch(index(relay), true);
                ""
            }
            ["relay", "off", relay] => {
                state.switch(index(relay), false);
                ""
            }
            ["relay", "read", relay] if state.levels[index(relay)] => "on\n\r",
            ["relay", "read", _] => "off\n\r",
            _ => "error\n\r",
        };
        format!("\n\r{said}>").into_bytes()
    })
}

async fn check(played: Played, board: Board, channel: u16) {
    let relay = usize::from(channel);
    let mut driver = SerialRelay::new(board, played.path.clone(), BAUD);
    played.with(|r| r.levels[relay] = true);
    driver.claim(&[channel]).await.expect("claimed");
    assert!(
        !played.with(|r| r.levels[relay]),
        "left on by somebody, it rests before it is ready"
    );
    assert_eq!(driver.read_back(channel).await.expect("asked"), Some(false));
    driver.set(channel, true).await.expect("set");
    assert_eq!(driver.read_back(channel).await.expect("asked"), Some(true));
    assert!(played.with(|r| r.levels[relay]));
    played.with(|r| r.levels[relay] = false);
    assert_eq!(
        driver.read_back(channel).await.expect("asked"),
        Some(false),
        "somebody switched it off"
    );
    driver.set(channel, true).await.expect("set");
    driver.set(channel, false).await.expect("set");
    assert_eq!(driver.read_back(channel).await.expect("asked"), Some(false));
    // a relay that does not do as told, and says so
    played.with(|r| {
        r.levels[relay] = true;
        r.stuck = true;
    });
    let error = driver.claim(&[channel]).await.expect_err("it stays on");
    assert!(error.text.contains("stays on"), "{error}");
}

#[tokio::test]
async fn kmtronic_boards_of_one_and_of_eight_are_switched_and_read() {
    for (relays, channel) in [(1, 1), (8, 8)] {
        let board = Board {
            family: Family::Kmtronic,
            relays,
        };
        check(kmtronic(usize::from(relays)), board, channel).await;
    }
}

#[tokio::test]
async fn numato_modules_are_switched_confirmed_and_read() {
    let board = Board {
        family: Family::Numato,
        relays: 16,
    };
    check(numato(), board, 0).await;
    check(numato(), board, 12).await;
}

#[tokio::test]
async fn a_board_of_another_kind_is_never_ready() {
    // an LCUS-1 says nothing at all
    let silent = played(|_, _, _| vec![]);
    let board = Board {
        family: Family::Numato,
        relays: 8,
    };
    let error = SerialRelay::new(board, silent.path.clone(), BAUD)
        .claim(&[0])
        .await
        .expect_err("no prompt");
    assert!(error.text.contains("does not answer"), "{error}");
}
