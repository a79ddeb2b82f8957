//! A capture of a real call over TLS and SRTP, as another program reads it: tcpdump sees its SIP messages in their order and
//! its RTP packets by their headers, and nothing of what was said, typed or proven.

use std::process::{Command, Output};

use anyhow::{Context, ensure};
use peers::{Account, Asterisk, Gateway, Link, PbxParams, Phone, PhoneParams, Rig, Site, Trust, Use, run};

use crate::secs;

/// Bytes before the first packet, and before each packet (pcap's classic format).
const FILE: usize = 24;
const RECORD: usize = 16;
/// Headers of IP, UDP and RTP.
const HEADERS: usize = 20 + 8 + 12;
/// How long they speak.
const TALK_S: u64 = 3;

fn done(out: &Output) -> anyhow::Result<String> {
    let said = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "{said}");
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// What tcpdump says of a file.
fn tcpdump(file: &str, args: &[&str]) -> anyhow::Result<String> {
    let out = Command::new("tcpdump")
        .args(["-nn", "-r", file])
        .args(args)
        .output();
    done(&out.context("tcpdump cannot be run; see tests/run")?)
}

/// Lengths of the packets: what is there, and what was on the wire.
fn lengths(file: &[u8]) -> Vec<(usize, usize)> {
    let word = |at: usize| {
        file.get(at..at + 4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)
    };
    let mut at = FILE;
    let mut all = Vec::new();
    while let (Some(there), Some(whole)) = (word(at + 8), word(at + 12)) {
        all.push((there, whole));
        at += RECORD + there;
    }
    all
}

/// Begins a capture, rings, talks, presses 9, hangs up, and saves it.
fn captured(rig: &Rig, gateway: &mut Gateway, phone: &mut Phone) -> anyhow::Result<String> {
    done(&gateway.command("support", &["capture", "begin", "--seconds", "60"])?)?;
    gateway.ring()?;
    phone.hears("CALL_INCOMING", secs(10))?;
    phone.answer()?;
    phone.hears("CALL_ESTABLISHED", secs(10))?;
    gateway.event(0, "call.answered", secs(5), |_| true)?;
    // speech is what a capture must not have; there is no event to wait for in it
    std::thread::sleep(secs(TALK_S));
    phone.press('9')?;
    gateway.energised(secs(5))?;
    phone.hang_up()?;
    gateway.event(0, "call.ended", secs(5), |_| true)?;
    done(&gateway.command("support", &["capture", "end"])?)?;
    let file = rig.path("call.pcap").display().to_string();
    done(&gateway.command("support", &["capture", "save", "--out", &file])?)?;
    Ok(file)
}

#[test]
fn tcpdump_reads_a_capture_of_a_call_and_finds_neither_audio_nor_secrets() {
    run(|rig| {
        let trust = Trust::new(rig)?;
        let params = PbxParams {
            secure: Some(&trust),
            ..PbxParams::default()
        };
        let pbx = Asterisk::start(rig, params)?;
        let link = Link::secure(&trust);
        let phone = PhoneParams {
            link,
            ..PhoneParams::at_pbx(0, "101", rig.port(Use::PbxTls))
        };
        let mut phone = Phone::start(rig, phone)?;
        pbx.registered("101", secs(5))?;
        let site = Site {
            account: Some(Account {
                link,
                ..Account::default()
            }),
            targets: vec!["101".into()],
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        gateway.event(0, "account.registered", secs(10), |_| true)?;
        let file = captured(rig, &mut gateway, &mut phone)?;

        // SIP, which was under TLS on the wire, in its order
        let text = tcpdump(&file, &["-A"])?;
        let mut rest = text.as_str();
        for part in [
            "INVITE sip:101@",
            "SIP/2.0 200",
            "ACK sip:",
            "BYE sip:",
            "SIP/2.0 200",
        ] {
            let at = rest
                .find(part)
                .with_context(|| format!("{part} is missing, or not in its order: {text}"))?;
            rest = &rest[at + part.len()..];
        }
        ensure!(
            text.contains("Session-ID:") && text.contains("m=audio "),
            "{text}"
        );
        for secret in ["secret-200", "response=", "Signal=9"] {
            ensure!(!text.contains(secret), "{secret} is in it: {text}");
        }
        let keys: Vec<&str> = text.lines().filter(|line| line.contains("a=crypto:")).collect();
        ensure!(
            !keys.is_empty() && keys.iter().all(|line| line.contains("inline:<removed>")),
            "a key of media is in it: {keys:?}"
        );

        // RTP, both ways, by its headers
        let (low, high) = rig.ports.gateway_rtp();
        let ours = format!("udp portrange {low}-{high}");
        let rtp = tcpdump(&file, &["-T", "rtp", &ours])?;
        let (mut sent, mut got) = (0_u64, 0_u64);
        for line in rtp.lines().filter(|line| line.contains("udp/rtp")) {
            let (from, _) = line.split_once(" > ").context("a packet has two ends")?;
            let port: u16 = from.rsplit('.').next().unwrap_or_default().parse()?;
            *(if (low..=high).contains(&port) {
                &mut sent
            } else {
                &mut got
            }) += 1;
        }
        rig.measured(
            "RTP packets of a call as tcpdump reads them, sent and got",
            format!("{sent}, {got}"),
        );
        // 50 a second, less what a busy machine is late
        let fewest = TALK_S * 50 / 2;
        ensure!(sent > fewest && got > fewest, "{sent} sent, {got} got: {rtp}");
        let bytes = std::fs::read(&file)?;
        let short: Vec<_> = lengths(&bytes)
            .into_iter()
            .filter(|(there, whole)| there < whole)
            .collect();
        ensure!(
            short.len() as u64 >= sent + got,
            "{} packets are cut, {} are RTP",
            short.len(),
            sent + got
        );
        let longer = short.iter().find(|(there, _)| *there > HEADERS);
        ensure!(longer.is_none(), "more than headers: {longer:?}");
        gateway.stop()
    });
}
