//! Inputs that are held while the gateway starts, by the real program: users of the page are removed once, and the address
//! is told at a line.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::house::{House, PROGRAMS, free_port};

/// One request to the page, and its answer.
fn asks(port: u16, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the page listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("set");
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

/// The setup code that was shown last.
fn code(house: &House) -> String {
    let said = "setup code for the page, valid once and for 24 hours: ";
    let log = house.said();
    let shown = log.rsplit(said).next().expect("a last part");
    shown.chars().take(14).collect()
}

fn make_ann(house: &House, port: u16) -> String {
    let body = format!(
        r#"{{"code":"{}","user":"ann","password":"correct horse battery"}}"#,
        code(house)
    );
    asks(port, "POST", "/api/v1/setup", &body)
}

#[test]
fn an_input_that_is_held_at_the_start_removes_the_users_once_and_shows_a_new_code() {
    const SHOWN: &str = "setup code for the page";
    const RESET: &str = "the reset input was held at the start";
    let port = free_port();
    let mut house = House::start_with(|_| {
        format!(
            "\n[http]\nlisten = \"127.0.0.1:{port}\"\n[inputs.service.virtual]\n\
             [start]\nreset-input = \"service\"\nhold-s = 5\n"
        )
    });
    house.wait_for(SHOWN, 1);
    assert!(
        make_ann(&house, port).starts_with("HTTP/1.1 20"),
        "{}",
        house.story()
    );
    let login = r#"{"user":"ann","password":"correct horse battery"}"#;
    assert!(asks(port, "POST", "/api/v1/login", login).starts_with("HTTP/1.1 200"));

    // pressed only now: the next start is the one that counts
    house.rewrite(
        "[inputs.service.virtual]\n",
        "[inputs.service.virtual]\nactive-at-start = true\n",
    );
    assert!(house.stop().success(), "{}", house.story());
    house.start_again();
    house.wait_for(RESET, 1);
    house.wait_for("1 users and API tokens of the page are removed", 1);
    house.wait_for("the network is left alone", 1);
    house.wait_for(SHOWN, 2);
    assert!(!asks(port, "POST", "/api/v1/login", login).starts_with("HTTP/1.1 200"));
    assert!(
        make_ann(&house, port).starts_with("HTTP/1.1 20"),
        "{}",
        house.story()
    );

    // stuck: it was not seen at rest since
    house.signal(Signal::KILL);
    house.start_once_more(3);
    house.wait_for("nothing is done, for it was not seen at rest", 1);
    assert!(asks(port, "POST", "/api/v1/login", login).starts_with("HTTP/1.1 200"));

    // let go, and held at a start again
    house.rewrite("active-at-start = true", "active-at-start = false");
    house.signal(Signal::KILL);
    house.start_once_more(4);
    house.wait("the note of the reset is gone", || {
        !house.path("state/held-reset").exists()
    });
    house.rewrite("active-at-start = false", "active-at-start = true");
    house.signal(Signal::KILL);
    house.start_once_more(5);
    house.wait_for("1 users and API tokens of the page are removed", 2);
    house.open_by_exit();
    house.rest();
}

#[test]
fn an_input_that_is_held_at_the_start_has_the_address_beeped_where_there_is_no_voice() {
    let Some(address) = own_address() else {
        eprintln!("skipped: this machine has no address that could be told");
        return;
    };
    let mut house = House::start_changed(|dir, site| {
        std::fs::create_dir(dir.join(PROGRAMS)).expect("made");
        site + &told(&dir.join("heard.wav").display().to_string())
    });
    house.wait_for(
        "espeak-ng is not on this machine: the address is beeped; apt-get install espeak-ng",
        1,
    );
    house.wait_for(&format!("the address at the line: {address}, beeped"), 1);
    // the recording is whole at its end
    assert!(house.stop().success(), "{}", house.story());
    assert_eq!(
        heard(&samples(&house.path("heard.wav"))),
        address,
        "{}",
        house.story()
    );
}

#[test]
fn the_address_is_spoken_in_the_language_of_the_site() {
    let Some(address) = own_address() else {
        eprintln!("skipped: this machine has no address that could be told");
        return;
    };
    let mut house = House::start_changed(|dir, site| {
        let site = site.replace("\n[site]\n", "\n[site]\nlanguage = \"de\"\n");
        site + &told(&dir.join("heard.wav").display().to_string())
    });
    house.wait_for(&format!("the address at the line: {address}, spoken"), 1);
    assert!(house.stop().success(), "{}", house.story());
    let heard = samples(&house.path("heard.wav"));
    let alike = |language, text: &str| likeness(&voice(house.folder(), language, text), &heard);
    let own = spelled(&address, "Punkt");
    let good = alike("de", &own);
    let shifted: String = address
        .chars()
        .map(|sign| {
            sign.to_digit(10)
                .map_or('.', |digit| char::from(b'0' + ((digit + 3) % 10) as u8))
        })
        .collect();
    let other = alike("de", &spelled(&shifted, "Punkt"));
    let english = alike("en", &spelled(&address, "point"));
    let story = format!("{own}: {good}, {shifted}: {other}, in English: {english}");
    assert!(
        good > 0.9 && other < 0.6 && english < 0.6,
        "{story}\n{}",
        house.story()
    );
}

/// The address digit by digit, as a voice gets it.
fn spelled(address: &str, point: &str) -> String {
    let digits = |group: &str| group.chars().map(String::from).collect::<Vec<_>>().join(" ");
    let groups: Vec<String> = address.split('.').map(digits).collect();
    groups.join(&format!(", {point}, "))
}

/// What the voice of a language makes of a text, at 16 kHz.
fn voice(dir: &Path, language: &str, text: &str) -> Vec<f64> {
    let file = dir.join("said.wav");
    let status = std::process::Command::new("espeak-ng")
        .args(["-v", language, "-s", "120", "-g", "5", "-w"])
        .args([file.as_os_str(), "--".as_ref(), text.as_ref()])
        .status();
    assert!(status.expect("the package espeak-ng is installed").success());
    let sound = samples(&file);
    // 22.05 kHz to 16 kHz, in a straight line from sample to sample
    (0..sound.len() * 320 / 441 - 1)
        .map(|n| {
            let (at, between) = (n * 441 / 320, number(n * 441 % 320) / 320.0);
            f64::from(sound[at]) * (1.0 - between) + f64::from(sound[at + 1]) * between
        })
        .collect()
}

fn number(n: usize) -> f64 {
    f64::from(u32::try_from(n).expect("a sound is short"))
}

/// How much of what was said can be heard, 0 to 1: piece by piece, each where it is likest, since a machine that is busy
/// stretches pauses. What is below 2 kHz tells words apart, and is quicker to compare.
fn likeness(said: &[f64], heard: &[i16]) -> f64 {
    const PIECE: usize = 1_000;
    const STRAY: isize = 200;
    let coarse = |sound: &[f64]| {
        sound
            .chunks(4)
            .map(|four| four.iter().sum())
            .collect::<Vec<f64>>()
    };
    let heard: Vec<f64> = heard.iter().map(|sample| f64::from(*sample)).collect();
    let (said, heard) = (coarse(said), coarse(&heard));
    let peak = |sound: &[f64]| sound.iter().fold(1.0_f64, |peak, s| peak.max(s.abs()));
    let loud = |sound: &[f64]| {
        let limit = peak(sound) / 10.0;
        sound.iter().position(|s| s.abs() > limit).unwrap_or(0)
    };
    let energy = |piece: &[f64]| piece.iter().map(|s| s * s).sum::<f64>();
    let signed = |n: usize| isize::try_from(n).expect("a sound is short");
    let begin = loud(&said);
    let mut shift = signed(loud(&heard)) - signed(begin);
    let usual = energy(&said) / number(said.len()) * number(PIECE);
    let (mut sum, mut pieces) = (0.0, 0);
    for at in (begin..said.len() - PIECE).step_by(PIECE) {
        let piece = &said[at..at + PIECE];
        let loudness = energy(piece);
        if loudness < usual / 4.0 {
            continue;
        }
        let like = |shift: isize| {
            let from = at.checked_add_signed(shift)?;
            let there = heard.get(from..from + PIECE)?;
            let product: f64 = piece.iter().zip(there).map(|(a, b)| a * b).sum();
            Some((product / (loudness * energy(there)).sqrt().max(1.0), shift))
        };
        let best = (shift - STRAY..shift + STRAY).filter_map(like);
        if let Some((found, at)) = best.max_by(|a, b| a.0.total_cmp(&b.0)) {
            sum += found;
            if found > 0.9 {
                shift = at;
            }
        }
        pieces += 1;
    }
    sum / f64::from(pieces.max(1))
}

/// A second line, at which the address is told, and the input that asks for it.
fn told(playback: &str) -> String {
    format!(
        "\n[inputs.service.virtual]\nactive-at-start = true\n[lines.service]\ncall-in = \"self-start\"\n\
         [lines.service.virtual]\nplayback = \"{playback}\"\n\
         [start]\ntell-input = \"service\"\ntell-line = \"service\"\n"
    )
}

/// The first IPv4 address of this machine by which others reach it, as the kernel orders them.
fn own_address() -> Option<String> {
    let out = std::process::Command::new("ip")
        .args(["-4", "-o", "address", "show", "scope", "global"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let mut found: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let address = words.get(3)?.split('/').next()?;
            Some((words.get(1)?.to_string(), address.to_owned()))
        })
        .collect();
    // the gateway goes through the ports by their names
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.into_iter().next().map(|(_, address)| address)
}

/// The samples behind the head of a WAV file: 16 bit, mono.
fn samples(file: &Path) -> Vec<i16> {
    let bytes = std::fs::read(file).expect("a recording");
    let samples = bytes[44..].chunks_exact(2);
    samples.map(|s| i16::from_le_bytes([s[0], s[1]])).collect()
}

/// Reads beeps as somebody who listens: 10 ms at a time.
fn heard(samples: &[i16]) -> String {
    let frames: Vec<bool> = samples
        .chunks(160)
        .map(|frame| frame.iter().any(|s| s.unsigned_abs() > 2_000))
        .collect();
    let (mut text, mut beeps) = (String::new(), 0);
    for run in frames.chunk_by(|a, b| a == b) {
        match (run[0], run.len()) {
            (true, 50..) => text.push('.'),
            (true, _) => beeps += 1,
            (false, 40..) if beeps > 0 => {
                text += &(beeps % 10).to_string();
                beeps = 0;
            }
            (false, _) => {}
        }
    }
    if beeps > 0 {
        text += &(beeps % 10).to_string();
    }
    text
}
