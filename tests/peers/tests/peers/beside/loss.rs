//! What is left of speech when packets get lost, at the door and at baresip: the same packets, of which the same ones never
//! arrive.
//!
//! baresip speaks once in each codec, and its packets are kept. Then they are sent to both, 20 ms apart, but for those that
//! a seeded pattern takes out. What each of them played is compared with what was spoken.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::PoisonError;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use peers::{Gateway, Many, Rig, Sipp, Use, run};
use serde_json::json;

use super::doors::{Doors, keeps};
use super::{ALONE, CALLED};
use crate::secs;

/// Codecs as SDP has them: number, map, one more line.
const CODECS: [(&str, u8, &str, &str); 3] = [
    ("opus", 96, "opus/48000/2", "a=fmtp:96 useinbandfec=1"),
    ("g722", 9, "G722/8000", "a=sendrecv"),
    ("pcma", 8, "PCMA/8000", "a=sendrecv"),
];
/// Loss in percent, and how many packets are lost in a row on average.
const CASES: [(u32, u32); 7] = [(0, 1), (1, 1), (5, 1), (10, 1), (1, 3), (5, 3), (10, 3)];
/// Patterns of each case; each has a speaker of its own.
const SPEAKERS: [&str; 3] = ["en", "us", "fr"];
/// Silence before what is spoken, samples of 16 kHz; four times as much comes after it, since baresip hangs up when its file
/// is over.
const QUIET: usize = 24_000;
/// Time of a call: 8 s of speech, silence around it, and what goes by until it begins.
const CALL_S: u64 = 13;
/// Where packets are sent from, upwards.
const FROM: u16 = 13_000;
const PACKET: Duration = Duration::from_millis(20);

/// One call: codec, case and speaker by their places.
#[derive(Clone, Copy, Debug)]
struct Case {
    codec: usize,
    loss: u32,
    burst: u32,
    speaker: usize,
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for codec in 0..CODECS.len() {
        for (loss, burst) in CASES {
            all.extend((0..SPEAKERS.len()).map(|speaker| Case {
                codec,
                loss,
                burst,
                speaker,
            }));
        }
    }
    all
}

/// Which packets are lost: two states, in one of which everything is (Gilbert). The same for the same case.
struct Pattern {
    begin: f64,
    end: f64,
    losing: bool,
    state: u64,
}

impl Pattern {
    fn new(case: Case) -> Self {
        let loss = f64::from(case.loss) / 100.0;
        let end = 1.0 / f64::from(case.burst);
        let seed = u64::from(case.loss) << 32 | u64::from(case.burst) << 16 | (case.speaker as u64 + 1);
        Self {
            begin: end * loss / (1.0 - loss),
            end,
            losing: false,
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// The next packet.
    fn loses(&mut self) -> bool {
        // xorshift64*: G. Marsaglia 2003, S. Vigna 2016
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let random = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        let share = f64::from(u32::try_from(random).unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        self.losing ^= share < if self.losing { self.end } else { self.begin };
        self.losing
    }
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "some thousand packets")]
fn a_pattern_loses_as_much_as_it_says_in_rows_as_long_as_it_says() {
    for (loss, burst) in CASES {
        let mut pattern = Pattern::new(Case {
            codec: 0,
            loss,
            burst,
            speaker: 0,
        });
        let lost: Vec<bool> = (0..200_000).map(|_| pattern.loses()).collect();
        let all = lost.iter().filter(|lost| **lost).count();
        let rows = lost.windows(2).filter(|two| !two[0] && two[1]).count();
        let expected = 2_000 * loss as usize;
        assert!(all.abs_diff(expected) <= expected / 10, "{loss} {burst}: {all}");
        if loss > 0 {
            let row = all as f64 / rows as f64;
            let random = if burst == 1 {
                1.0 / (1.0 - f64::from(loss) / 100.0)
            } else {
                f64::from(burst)
            };
            assert!((row - random).abs() < 0.25, "{loss} {burst}: rows of {row}");
        }
    }
}

#[test]
#[ignore = "four minutes of calls; needs pesq, which tests/voice/quality installs"]
fn speech_with_lost_packets_beside_baresip() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    run(|rig| {
        let scorer = scorer()?;
        let mut kept = Vec::new();
        for (index, name) in SPEAKERS.into_iter().enumerate() {
            let voice = Many::speaks(rig, 1, CALLED, &speech(rig, name)?)?;
            for codec in 0..CODECS.len() {
                kept.push(((index, codec), take(rig, codec)?));
            }
            drop(voice);
        }
        let packets = |case: Case| {
            let found = kept.iter().find(|(key, _)| *key == (case.speaker, case.codec));
            found
                .map(|(_, packets)| packets.clone())
                .context("packets of this codec")
        };
        let cases = cases();
        let mut list = Vec::new();
        {
            let doors = Doors {
                account: None,
                count: cases.len(),
                rtp: CALLED,
            };
            let text = doors.recording(rig);
            let mut gateway = Gateway::start(rig, &text)?;
            let names: Vec<String> = (0..cases.len()).map(|n| format!("p{n}")).collect();
            play(rig, rig.port(Use::Sip), &names, &cases, packets)?;
            gateway.stop()?;
            let files = (0..cases.len()).map(|n| rig.path(&format!("door-{n}.wav")));
            list.extend(
                cases
                    .iter()
                    .copied()
                    .zip(files)
                    .map(|(case, file)| ("gateway", case, file)),
            );
        }
        {
            let ear = Many::records(rig, 1, CALLED)?;
            let names = vec!["ear".to_owned(); cases.len()];
            play(rig, rig.port(Use::PhoneSip(1)), &names, &cases, packets)?;
            let files = ear.recordings()?;
            ensure!(
                files.len() == cases.len(),
                "baresip wrote {} of {} recordings",
                files.len(),
                cases.len()
            );
            list.extend(
                cases
                    .iter()
                    .copied()
                    .zip(files)
                    .map(|(case, file)| ("baresip", case, file)),
            );
        }
        score(rig, &scorer, &list)
    });
}

/// The program that gives scores.
fn scorer() -> anyhow::Result<PathBuf> {
    let home = std::env::var_os("DOORLINE_PEERS").map_or_else(
        || Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".cache/doorline-peers"),
        PathBuf::from,
    );
    let python = home.join("voice/bin/python");
    ensure!(
        python.exists(),
        "no pesq in {}; tests/voice/quality installs it",
        home.display()
    );
    Ok(python)
}

/// What is spoken, with silence around it.
fn speech(rig: &Rig, name: &str) -> anyhow::Result<PathBuf> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../voice/speech/{name}.wav"));
    let mut reader = hound::WavReader::open(&from).with_context(|| from.display().to_string())?;
    let path = rig.path(&format!("speech-{name}.wav"));
    let mut writer = hound::WavWriter::create(&path, reader.spec())?;
    let quiet = |times| std::iter::repeat_n(0_i16, times * QUIET);
    let samples = reader.samples::<i16>().collect::<Result<Vec<_>, _>>()?;
    for sample in quiet(1).chain(samples).chain(quiet(4)) {
        writer.write_sample(sample)?;
    }
    writer.finalize()?;
    Ok(path)
}

/// Packets of one codec as baresip sends them, from the first on.
fn take(rig: &Rig, codec: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, FROM))?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let taking = std::thread::spawn(move || {
        let (mut all, mut buffer, began) = (Vec::new(), [0; 2048], Instant::now());
        while began.elapsed() < secs(CALL_S + 2) {
            if let Ok(length) = socket.recv(&mut buffer)
                && length > 12
                && !(192..=223).contains(&buffer[1])
            {
                all.push(buffer[..length].to_vec());
            }
        }
        all
    });
    let names = ["voice".to_owned()];
    let fields = [fields(FROM, codec)];
    let port = rig.port(Use::PhoneSip(1));
    Sipp::spoken_to(rig, &keeps(CALL_S), port, &names, &fields)?.done(secs(CALL_S + 30))?;
    let all = taking.join().ok().context("the packets were not taken")?;
    ensure!(all.len() > 500, "baresip sent {} packets", all.len());
    Ok(all)
}

/// What stands in the scenario for this call: port, payload type, map, one more line.
fn fields(port: u16, codec: usize) -> String {
    let (_, number, map, line) = CODECS[codec];
    format!("{port};{number};{map};{line}")
}

/// Calls `names` of whoever listens at `port`, each in its case, and sends it what is kept of it.
fn play(
    rig: &Rig,
    port: u16,
    names: &[String],
    cases: &[Case],
    packets: impl Fn(Case) -> anyhow::Result<Vec<Vec<u8>>>,
) -> anyhow::Result<()> {
    let mut threads = Vec::new();
    let mut all = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        // an even port, as RTP has them
        let from = FROM + 2 * u16::try_from(n)?;
        threads.push(send(from, packets(*case)?, Pattern::new(*case))?);
        all.push(fields(from, case.codec));
    }
    let mut caller = Sipp::spoken_to(rig, &keeps(CALL_S), port, names, &all)?;
    let limit = secs(cases.len() as u64 * 2 + CALL_S + 60);
    caller.done(limit)?;
    for thread in threads {
        let sent = thread.join().ok().context("a sender broke off")??;
        ensure!(sent > 400, "only {sent} packets were sent in a call");
    }
    Ok(())
}

/// Waits for the first packet from the other side, and sends it all that is not lost.
fn send(
    port: u16,
    packets: Vec<Vec<u8>>,
    mut pattern: Pattern,
) -> anyhow::Result<JoinHandle<anyhow::Result<usize>>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(secs(300)))?;
    Ok(std::thread::spawn(move || {
        let to: SocketAddr = loop {
            let mut buffer = [0; 2048];
            let (length, from) = socket.recv_from(&mut buffer)?;
            if length > 12 && !(192..=223).contains(&buffer[1]) {
                break from;
            }
        };
        let (began, mut sent) = (Instant::now(), 0);
        for (n, packet) in packets.iter().enumerate() {
            let due = began + PACKET * u32::try_from(n)?;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if !pattern.loses() {
                // whoever has hung up is gone
                let _ = socket.send_to(packet, to);
                sent += 1;
            }
        }
        Ok(sent)
    }))
}

/// Has every recording compared with what was spoken; one line of the table for each codec and listener.
fn score(rig: &Rig, python: &Path, list: &[(&str, Case, PathBuf)]) -> anyhow::Result<()> {
    let lines: String = list
        .iter()
        .map(|(who, case, heard)| {
            let line = json!({
                "who": who,
                "codec": CODECS[case.codec].0,
                "loss": case.loss,
                "burst": case.burst,
                "spoken": rig.path(&format!("speech-{}.wav", SPEAKERS[case.speaker])),
                "heard": heard,
            });
            format!("{line}\n")
        })
        .collect();
    let file = rig.path("recordings.jsonl");
    std::fs::write(&file, lines)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../voice/beside.py");
    let out = Command::new(python).arg(script).arg(&file).output()?;
    let (said, wrong) = (
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr),
    );
    ensure!(out.status.success(), "no scores: {wrong}");
    for line in said.lines() {
        rig.measured("PESQ with lost packets", line);
    }
    Ok(())
}
