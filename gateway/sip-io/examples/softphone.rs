//! A small telephone on the engine: registers, calls a number or waits for a call, plays a tone, records what it
//! hears, and prints every event as one line of JSON.
//!
//! Exit code 0: all that was asked for was seen. 1: not. 2: wrong arguments.
//!
//! ```text
//! softphone --domain 127.0.0.1 --port 5060 --user 200 --password pw200 --call 100 --seconds 5 --expect-audio
//! ```
#![expect(clippy::print_stdout, reason = "the example talks on standard output")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adapter_api::{AudioPort, FRAME_SAMPLES, Frame, SAMPLE_RATE};
use gateway_core::{
    AccountEvent, AccountId, Cause, Clock, Instant, LegCommand, LegEvent, LegId, LineId, PanelId, RingId,
    Secret, Timestamp,
};
use gateway_sip_io::{
    AccountParams, Callee, Callees, Ice, Provisional, SessionTimer, SipEngine, SipEvent, SipHandle,
    SipParams, Srtp, SrtpKeys, TlsTrust, Transport,
};
use tokio::sync::mpsc;

/// `CLOCK_BOOTTIME`.
struct Boottime;

impl Clock for Boottime {
    fn now(&self) -> Instant {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        Instant::from_nanos(seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default())
    }

    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Plays a tone and keeps what it hears.
struct Ear {
    heard: Arc<Mutex<Vec<i16>>>,
    phase: f32,
    step: f32,
}

impl AudioPort for Ear {
    fn capture(&mut self, frame: &mut Frame) {
        for sample in frame.iter_mut() {
            #[expect(clippy::cast_possible_truncation, reason = "within ±8000")]
            let value = (self.phase.sin() * 8000.0) as i16;
            *sample = value;
            self.phase = (self.phase + self.step) % std::f32::consts::TAU;
        }
    }

    fn playback(&mut self, frame: &Frame) {
        let mut heard = self.heard.lock().expect("no holder panics");
        if heard.len() < 60 * SAMPLE_RATE as usize {
            heard.extend_from_slice(frame);
        }
    }
}

struct Args(BTreeMap<String, String>);

impl Args {
    fn read() -> Result<Self, String> {
        let mut found = BTreeMap::new();
        let mut words = std::env::args().skip(1).peekable();
        while let Some(word) = words.next() {
            let name = word
                .strip_prefix("--")
                .ok_or_else(|| format!("found {word:?}, expected --name"))?;
            let value = words.next_if(|next| !next.starts_with("--")).unwrap_or_default();
            found.insert(name.to_owned(), value);
        }
        Ok(Self(found))
    }

    fn text(&self, name: &str, default: &str) -> String {
        self.0.get(name).cloned().unwrap_or_else(|| default.to_owned())
    }

    fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        match self.0.get(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| format!("--{name}: {text:?} does not fit")),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// Whoever calls gets the one line.
fn callees(line: &LineId) -> Result<Callees, gateway_core::NameError> {
    let alone = Callee {
        line: line.clone(),
        names: Vec::new(),
        panel: PanelId::new(line.as_str())?,
    };
    Ok(Callees {
        otherwise: Some(alone),
        ..Callees::default()
    })
}

fn params(args: &Args, account: &AccountId, line: &LineId) -> Result<SipParams, Box<dyn Error>> {
    let transport = match args.text("transport", "udp").as_str() {
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        _ => Transport::Udp,
    };
    let srtp = match args.text("srtp", "off").as_str() {
        "optional" => Srtp::Optional,
        "required" => Srtp::Required,
        _ => Srtp::Off,
    };
    let user = args.text("user", "200");
    let direct = args.has("direct");
    let port = args.number("port", 5060_u16)?;
    let rtp = args.number("rtp", 30_000_u16)?;
    let mut instance = [0; 16];
    for (byte, letter) in instance.iter_mut().zip(user.bytes().cycle()) {
        *byte = letter;
    }
    let accounts = if direct {
        Vec::new()
    } else {
        vec![AccountParams {
            id: account.clone(),
            domain: args.text("domain", "127.0.0.1"),
            auth_user: None,
            password: Secret::new(args.text("password", &format!("pw{user}"))),
            user,
            display: "Softphone".to_owned(),
            transport: Some(transport),
            port: Some(port),
            proxy: None,
            routes: Vec::new(),
            caller_hosts: Some(Vec::new()),
            expires: Duration::from_secs(args.number("expires", 300)?),
            register: true,
            privacy: gateway_sip_io::Privacy::Off,
            provisional: Provisional::default(),
            publish: false,
            keep_alive: gateway_sip_io::KeepAlive::default(),
            manner: gateway_core::Manner::default(),
            codecs: SipParams::default().direct_codecs,
            srtp,
            srtp_keys: SrtpKeys::Sdes,
            ice: Ice::Off,
            symmetric: true,
            silences: false,
            feedback: false,
            timer: Some(SessionTimer::default()),
            tls: TlsTrust {
                ca_file: args.0.get("ca").map(Into::into),
                verify: !args.has("no-verify"),
                ..TlsTrust::default()
            },
            callees: callees(line)?,
        }]
    };
    Ok(SipParams {
        accounts,
        bind: args.text("bind", "127.0.0.1").parse::<IpAddr>()?,
        udp_port: args.number("udp-port", 0)?,
        tcp_port: Some(args.number("tcp-port", 0)?),
        rtp_ports: rtp..=rtp + 99,
        direct_peers: BTreeSet::from([IpAddr::from([127, 0, 0, 1])])
            .into_iter()
            .filter(|_| direct)
            .collect(),
        direct_callees: callees(line)?,
        direct_srtp: srtp,
        instance,
        ..SipParams::default()
    })
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn show(event: &SipEvent) -> String {
    let head = |kind: &str, leg: LegId| format!("{{\"event\":\"{kind}\",\"leg\":{}", leg.0);
    match event {
        SipEvent::Account(report) => {
            let detail = match &report.event {
                Some(AccountEvent::Failed { detail, retry_s }) => {
                    format!(",\"detail\":{},\"retry_s\":{retry_s}", quoted(detail))
                }
                Some(AccountEvent::Registered { expires_s }) => format!(",\"expires_s\":{expires_s}"),
                Some(AccountEvent::Unregistered {}) | None => String::new(),
            };
            format!(
                "{{\"event\":\"account\",\"id\":\"{}\",\"state\":\"{}\"{detail}}}",
                report.id, report.state
            )
        }
        SipEvent::Fault(text) => format!("{{\"event\":\"fault\",\"text\":{}}}", quoted(text)),
        SipEvent::Leg(leg) => match leg {
            LegEvent::Answered { leg, peer } => format!(
                "{},\"peer\":{},\"trusted\":{}}}",
                head("answered", *leg),
                quoted(&peer.address),
                peer.trusted
            ),
            LegEvent::AuthorityLost { leg, why } => {
                format!("{},\"why\":{}}}", head("authority-lost", *leg), quoted(why))
            }
            LegEvent::Held { held, leg } => format!("{},\"held\":{held}}}", head("held", *leg)),
            LegEvent::Digit {
                digit,
                echo,
                leg,
                via,
                ..
            } => format!(
                "{},\"digit\":\"{digit}\",\"echo\":{echo},\"via\":\"{via}\"}}",
                head("digit", *leg)
            ),
            LegEvent::EarlyMedia { leg } => format!("{}}}", head("early-media", *leg)),
            LegEvent::Ended { cause, leg, detail } => {
                format!(
                    "{},\"cause\":\"{cause}\",\"detail\":{}}}",
                    head("ended", *leg),
                    quoted(detail)
                )
            }
            LegEvent::Incoming { leg, peer, .. } => {
                format!("{},\"peer\":{}}}", head("incoming", *leg), quoted(&peer.address))
            }
            LegEvent::Redirected { leg, target, .. } => {
                format!("{},\"target\":{}}}", head("redirected", *leg), quoted(target))
            }
            LegEvent::Ringing { leg } => format!("{}}}", head("ringing", *leg)),
            LegEvent::TakingOver { leg, peer, .. } => {
                format!(
                    "{},\"peer\":{}}}",
                    head("taking-over", *leg),
                    quoted(&peer.address)
                )
            }
            LegEvent::TransferAsked { leg, target, .. } => {
                format!("{},\"target\":{}}}", head("transfer-asked", *leg), quoted(target))
            }
        },
        SipEvent::Message(text) => format!(
            "{{\"event\":\"message\",\"peer\":{},\"text\":{}}}",
            quoted(&text.peer.address),
            quoted(&text.text)
        ),
        SipEvent::Quality(report) => format!(
            "{{\"event\":\"quality\",\"leg\":{},\"received\":{},\"lost\":{}}}",
            report.leg.0, report.quality.received, report.quality.lost
        ),
        SipEvent::Stranger(report) => format!(
            "{{\"event\":\"stranger\",\"source\":\"{}\",\"method\":{},\"count\":{}}}",
            report
                .source
                .map_or_else(|| "others".to_owned(), |source| source.to_string()),
            quoted(&report.method),
            report.count
        ),
    }
}

/// Root mean square of the loudest second.
fn loudest(samples: &[i16]) -> f64 {
    samples
        .chunks(SAMPLE_RATE as usize)
        .map(|second| {
            let sum: f64 = second.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
            #[expect(clippy::cast_precision_loss, reason = "a second of samples")]
            let length = second.len().max(1) as f64;
            (sum / length).sqrt()
        })
        .fold(0.0, f64::max)
}

fn record(path: &str, samples: &[i16]) -> Result<(), hound::Error> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    for sample in samples {
        writer.write_sample(*sample)?;
    }
    writer.finalize()
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            println!("{{\"event\":\"error\",\"text\":{}}}", quoted(&e.to_string()));
            ExitCode::from(2)
        }
    }
}

#[derive(Default)]
struct Seen {
    answered: AtomicU32,
    digits: Mutex<String>,
    ended: AtomicU64,
}

async fn run() -> Result<bool, Box<dyn Error>> {
    let args = Args::read()?;
    let (account, line) = (AccountId::new("pbx")?, LineId::new("phone")?);
    let params = params(&args, &account, &line)?;
    let (sender, mut events) = mpsc::channel(256);
    let handle = SipEngine::start(params, Arc::new(Boottime), sender).await?;
    let heard = Arc::new(Mutex::new(Vec::with_capacity(FRAME_SAMPLES * 6000)));
    let tone: f32 = args.number("tone", 440.0)?;
    #[expect(clippy::cast_precision_loss, reason = "a sample rate")]
    let step = tone * std::f32::consts::TAU / SAMPLE_RATE as f32;
    handle.attach_line(
        line.clone(),
        Box::new(Ear {
            heard: Arc::clone(&heard),
            phase: 0.0,
            step,
        }),
    )?;
    for (transport, address) in handle.listening().await? {
        println!("{{\"event\":\"listening\",\"transport\":\"{transport}\",\"address\":\"{address}\"}}");
    }
    let seen = Seen::default();
    let deadline = tokio::time::sleep(Duration::from_secs(args.number("within", 30)?));
    tokio::pin!(deadline);
    if args.has("direct") && args.has("call") {
        offer(&handle, None, &args.text("call", ""), &line).await?;
    }
    let mut hang_up: Option<tokio::time::Instant> = None;
    let mut leg_now = None;
    loop {
        let event = tokio::select! {
            () = &mut deadline => break,
            () = async { tokio::time::sleep_until(hang_up.expect("guarded")).await }, if hang_up.is_some() => {
                hang_up = None;
                if let Some(leg) = leg_now {
                    handle.command(LegCommand::End { leg, cause: Cause::Normal }).await?;
                }
                continue;
            }
            event = events.recv() => event,
        };
        let Some(event) = event else { break };
        if !args.has("load") {
            println!("{}", show(&event));
        }
        match &event {
            SipEvent::Account(report) if matches!(report.event, Some(AccountEvent::Registered { .. })) => {
                if args.has("call") {
                    offer(&handle, Some(account.clone()), &args.text("call", ""), &line).await?;
                } else if !args.has("answer") {
                    break;
                }
            }
            SipEvent::Leg(LegEvent::Incoming { leg, .. }) => {
                handle.command(LegCommand::Ringing { leg: *leg }).await?;
                handle.command(LegCommand::Answer { leg: *leg }).await?;
            }
            SipEvent::Leg(LegEvent::Answered { leg, .. }) => {
                leg_now = Some(*leg);
                seen.answered.fetch_add(1, Ordering::Relaxed);
                handle.command(LegCommand::Connect { leg: *leg }).await?;
                for digit in args.text("send-digits", "").chars() {
                    handle.send_digit(*leg, digit, Duration::from_millis(120))?;
                }
                let seconds = Duration::from_secs(args.number("seconds", 4)?);
                if !args.has("load") {
                    hang_up = Some(tokio::time::Instant::now() + seconds);
                }
            }
            SipEvent::Leg(LegEvent::Digit { digit, .. }) => {
                seen.digits.lock().expect("no holder panics").push(*digit);
            }
            SipEvent::Leg(LegEvent::Ended { .. }) => {
                seen.ended.fetch_add(1, Ordering::Relaxed);
                // Under load there are many calls at once, and each ends by itself.
                if !args.has("load") {
                    break;
                }
            }
            SipEvent::Account(_)
            | SipEvent::Fault(_)
            | SipEvent::Leg(
                LegEvent::AuthorityLost { .. }
                | LegEvent::EarlyMedia { .. }
                | LegEvent::Held { .. }
                | LegEvent::Redirected { .. }
                | LegEvent::Ringing { .. }
                | LegEvent::TakingOver { .. }
                | LegEvent::TransferAsked { .. },
            )
            | SipEvent::Message(_)
            | SipEvent::Quality(_)
            | SipEvent::Stranger(_) => {}
        }
    }
    let stats = handle.stats().await?;
    println!(
        "{{\"event\":\"stats\",\"text\":{}}}",
        quoted(&format!("{stats:?}"))
    );
    handle.shutdown().await;
    let samples = heard.lock().expect("no holder panics").clone();
    let (level, digits) = (
        loudest(&samples),
        seen.digits.lock().expect("no holder panics").clone(),
    );
    if let Some(path) = args.0.get("record") {
        record(path, &samples)?;
    }
    let wanted_digits = args.text("expect-digits", "");
    let answered = seen.answered.load(Ordering::Relaxed) > 0;
    let ok = (answered || !(args.has("call") || args.has("answer")))
        && (!args.has("expect-audio") || level > 500.0)
        && (wanted_digits.is_empty() || digits == wanted_digits);
    println!(
        "{{\"event\":\"result\",\"ok\":{ok},\"answered\":{answered},\"digits\":\"{digits}\",\"rms\":{level:.0},\"ended\":{}}}",
        seen.ended.load(Ordering::Relaxed)
    );
    Ok(ok)
}

async fn offer(
    handle: &SipHandle,
    account: Option<AccountId>,
    target: &str,
    line: &LineId,
) -> Result<(), Box<dyn Error>> {
    handle
        .command(LegCommand::Offer {
            account,
            display: "Main entrance".to_owned(),
            leg: LegId(1),
            line: line.clone(),
            manner: gateway_core::Manner::default(),
            patience: None,
            ring: RingId::new(u64::try_from(Timestamp::now().as_millisecond())?, rand::random()),
            target: target.to_owned(),
        })
        .await?;
    Ok(())
}
