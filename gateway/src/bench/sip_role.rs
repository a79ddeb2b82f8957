//! Processes that the bench starts of this program. Most are one side of the calls which `sip` measures, so that each
//! side's processor time is its own.
//!
//! Its answer on standard output is one line of JSON. A callee says where it listens, answers everything, says its
//! processor time for each line of standard input, and ends with it.

use std::io::{BufRead, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use adapter_api::{AudioPort, FRAME_SAMPLES, Frame};
use adapter_virtual::{Levels, Source, VirtualAudio};
use anyhow::{Context, bail};
use gateway_core::{Cause, LegCommand, LegEvent, LegId, LineId, PanelId, RingId};
use gateway_sip_io::{
    AudioCodec, Callee, Callees, SipEngine, SipEvent, SipHandle, SipParams, Srtp, Transport,
};
use gateway_voice::{Echo, NoiseReduction, Params};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::bench::{bare, site_role};
use crate::clock::SystemClock;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Longest wait for one step of a call.
const STEP: Duration = Duration::from_secs(10);
/// Calls before the measurement, so that it begins warm.
pub(crate) const WARM: u32 = 20;

/// Runs a role until it is done.
pub(crate) fn run(role: &str) -> anyhow::Result<()> {
    let role: Value = serde_json::from_str(role)?;
    let srtp = if role["srtp"] == true {
        Srtp::Required
    } else {
        Srtp::Off
    };
    let ports: Vec<u16> = role["ports"]
        .as_array()
        .map(|list| list.iter().filter_map(|p| p.as_u64()?.try_into().ok()).collect())
        .unwrap_or_default();
    let number = |key: &str| role[key].as_u64().with_context(|| format!("{key} is missing"));
    match role["role"].as_str() {
        Some("hop") => return bare::role(false),
        Some("stamp") => return bare::role(true),
        _ => {}
    }
    let runtime = crate::run::runtime()?;
    let answer = match role["role"].as_str().unwrap_or_default() {
        "callee" => return runtime.block_on(callee(number("engines")?, srtp)),
        "setup" => runtime.block_on(setup(&ports, number("calls")?))?,
        "site" => {
            crate::run::log::to_stderr();
            let file = role["file"].as_str().context("file is missing")?;
            let cards = usize::try_from(number("cards")?)?;
            return runtime.block_on(site_role::run(file.as_ref(), cards));
        }
        "talk" => {
            let length = Duration::from_secs(number("seconds")?);
            runtime.block_on(talk(&ports, length, srtp, role["treated"] == true))?
        }
        other => bail!("no such role: {other:?}"),
    };
    Ok(writeln!(std::io::stdout(), "{answer}")?)
}

/// The treatment of a line's voice that takes most.
const DEAREST: Params = Params {
    echo: Echo::Speaker,
    echo_tail_ms: None,
    noise: NoiseReduction::High,
    gain: false,
    hum: false,
    half_duplex: false,
};

/// A panel whose microphone hears its loudspeaker, 12 dB weaker and 20 ms late, so that there is an echo to be cancelled.
struct Speaker {
    audio: VirtualAudio,
    played: [Frame; 2],
}

impl Speaker {
    const fn new(audio: VirtualAudio) -> Self {
        Self {
            audio,
            played: [[0; FRAME_SAMPLES]; 2],
        }
    }
}

impl AudioPort for Speaker {
    fn capture(&mut self, frame: &mut Frame) {
        self.audio.capture(frame);
        for (sample, echo) in frame.iter_mut().zip(&self.played[1]) {
            *sample = sample.saturating_add(echo / 4);
        }
    }

    fn playback(&mut self, frame: &Frame) {
        self.played = [*frame, self.played[0]];
        self.audio.playback(frame);
    }
}

/// Processor time of this process, user and system.
fn cpu() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(t.tv_sec).unwrap_or(0),
        u32::try_from(t.tv_nsec).unwrap_or(0),
    )
}

/// An engine on a free UDP port that takes calls from this machine on `line`.
pub(crate) async fn engine(
    rtp: u16,
    line: &LineId,
    srtp: Srtp,
) -> anyhow::Result<(SipHandle, mpsc::Receiver<SipEvent>)> {
    let (events, inbox) = mpsc::channel(512);
    let params = SipParams {
        bind: LOOPBACK,
        direct_callees: Callees {
            otherwise: Some(Callee {
                line: line.clone(),
                names: Vec::new(),
                panel: PanelId::new("bench")?,
            }),
            ..Callees::default()
        },
        // the codec of the other programs in the same measurement
        direct_codecs: vec![AudioCodec::Pcma],
        direct_peers: [LOOPBACK].into(),
        direct_srtp: srtp,
        instance: [2; 16],
        rtp_ports: rtp..=rtp + 399,
        tcp_port: None,
        udp_port: 0,
        ..SipParams::default()
    };
    let sip = SipEngine::start(params, Arc::new(SystemClock), events).await?;
    Ok((sip, inbox))
}

/// The UDP port of an engine.
pub(crate) async fn port(sip: &SipHandle) -> anyhow::Result<u16> {
    let listening = sip.listening().await?;
    let udp = listening
        .iter()
        .find(|(transport, _)| *transport == Transport::Udp);
    Ok(udp.context("no UDP listener")?.1.port())
}

/// Answers every call and puts it on the line, for ever.
pub(crate) async fn answer_all(sip: SipHandle, mut inbox: mpsc::Receiver<SipEvent>) {
    while let Some(event) = inbox.recv().await {
        let command = match event {
            SipEvent::Leg(LegEvent::Incoming { leg, .. }) => LegCommand::Answer { leg },
            SipEvent::Leg(LegEvent::Answered { leg, .. }) => LegCommand::Connect { leg },
            SipEvent::Account(_)
            | SipEvent::Fault(_)
            | SipEvent::Leg(_)
            | SipEvent::Message(_)
            | SipEvent::Quality(_)
            | SipEvent::Stranger(_) => continue,
        };
        if sip.command(command).await.is_err() {
            return;
        }
    }
}

/// Waits for the end or the answer of a leg.
pub(crate) async fn leg_event(
    inbox: &mut mpsc::Receiver<SipEvent>,
    wanted: impl Fn(&LegEvent) -> bool,
) -> anyhow::Result<()> {
    let search = async {
        while let Some(event) = inbox.recv().await {
            match event {
                SipEvent::Leg(event) if wanted(&event) => return Ok(()),
                SipEvent::Leg(LegEvent::Ended { cause, detail, .. }) => {
                    bail!("the call ended: {cause} {detail}")
                }
                SipEvent::Fault(text) => bail!("{text}"),
                SipEvent::Account(_)
                | SipEvent::Leg(_)
                | SipEvent::Message(_)
                | SipEvent::Quality(_)
                | SipEvent::Stranger(_) => {}
            }
        }
        bail!("the SIP engine ended")
    };
    tokio::time::timeout(STEP, search)
        .await
        .context("a call did not go on")?
}

/// Calls a port of this machine.
pub(crate) async fn offer(sip: &SipHandle, leg: u64, line: &LineId, port: u16) -> anyhow::Result<()> {
    let command = LegCommand::Offer {
        account: None,
        display: "Bench".to_owned(),
        leg: LegId(leg),
        line: line.clone(),
        manner: gateway_core::Manner::default(),
        patience: None,
        ring: RingId::new(leg, [7; 10]),
        target: format!("sip:bench@127.0.0.1:{port}"),
    };
    Ok(sip.command(command).await?)
}

async fn callee(engines: u64, srtp: Srtp) -> anyhow::Result<()> {
    let line = LineId::new("bench")?;
    let mut ports = vec![];
    let mut keep = vec![];
    for n in 0..engines {
        let first = u16::try_from(30_000 + n * 400)?;
        let (sip, inbox) = engine(first, &line, srtp).await?;
        let audio = VirtualAudio::new(Source::parse("tone:880")?, None)?;
        sip.attach_line(line.clone(), Box::new(audio))?;
        ports.push(port(&sip).await?);
        tokio::spawn(answer_all(sip.clone(), inbox));
        keep.push(sip);
    }
    writeln!(std::io::stdout(), "{}", json!({ "ports": ports }))?;
    let asked = tokio::task::spawn_blocking(|| -> anyhow::Result<()> {
        for line in std::io::stdin().lock().lines() {
            line?;
            writeln!(
                std::io::stdout(),
                "{}",
                json!({ "cpu_us": cpu().as_micros() as u64 })
            )?;
        }
        Ok(())
    });
    asked.await??;
    drop(keep);
    Ok(())
}

/// Calls and hangs up, one call after the other.
async fn setup(ports: &[u16], calls: u64) -> anyhow::Result<Value> {
    let line = LineId::new("bench")?;
    let port = *ports.first().context("no port")?;
    let (sip, mut inbox) = engine(20_000, &line, Srtp::Off).await?;
    let mut began = cpu();
    let warm = u64::from(WARM);
    for n in 0..warm + calls {
        if n == warm {
            began = cpu();
        }
        let leg = LegId(n + 1);
        offer(&sip, leg.0, &line, port).await?;
        leg_event(&mut inbox, |e| matches!(e, LegEvent::Answered { .. })).await?;
        let cause = Cause::Normal;
        sip.command(LegCommand::End { leg, cause }).await?;
        leg_event(&mut inbox, |e| matches!(e, LegEvent::Ended { .. })).await?;
    }
    Ok(json!({ "cpu_us": cpu().saturating_sub(began).as_micros() as u64 }))
}

/// One call on a line of its own to each port, all at once, with sound both ways.
async fn talk(ports: &[u16], length: Duration, srtp: Srtp, treated: bool) -> anyhow::Result<Value> {
    let (sip, mut inbox) = engine(20_000, &LineId::new("bench")?, srtp).await?;
    let mut levels: Vec<Arc<Levels>> = vec![];
    for (leg, port) in (1..).zip(ports) {
        let line = LineId::new(&format!("line-{leg}"))?;
        let audio = VirtualAudio::new(Source::parse("tone:440")?, None)?;
        levels.push(audio.levels());
        if treated {
            sip.set_voice(&line, DEAREST)?;
            sip.attach_line(line.clone(), Box::new(Speaker::new(audio)))?;
        } else {
            sip.attach_line(line.clone(), Box::new(audio))?;
        }
        offer(&sip, leg, &line, *port).await?;
        leg_event(&mut inbox, |e| matches!(e, LegEvent::Answered { .. })).await?;
        sip.command(LegCommand::Connect { leg: LegId(leg) }).await?;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let heard = || -> Vec<u64> { levels.iter().map(|l| l.heard_frames()).collect() };
    let (before, began) = (heard(), cpu());
    tokio::time::sleep(length).await;
    let (after, used) = (heard(), cpu().saturating_sub(began));
    let least = after.iter().zip(&before).map(|(a, b)| a - b).min().unwrap_or(0);
    Ok(json!({ "cpu_us": used.as_micros() as u64, "least_frames": least }))
}
