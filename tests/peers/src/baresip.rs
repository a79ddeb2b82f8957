//! A real baresip phone, steered over its control port; what it hears is recorded.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::audio::{Sound, sweep, tone_key, wide_sweep};
use crate::link::{Carrier, Link};
use crate::ports::Use;
use crate::process::Process;
use crate::rig::{Rig, until};
use crate::router::Router;

/// What a phone is like.
#[derive(Clone, Copy, Debug)]
pub struct PhoneParams<'a> {
    /// It is on the other side of a router.
    pub beyond: Option<&'a Router>,
    /// Its codecs as its account names them, the best first: `pcma`, `pcmu`, `g722/16000`, `opus/48000/2`. With one of the
    /// last two what it speaks has 16 kHz.
    pub codecs: &'a str,
    /// It checks with ICE (RFC 8445, full) which address reaches the other side.
    pub ice: bool,
    /// How it reaches whom it calls.
    pub link: Link<'a>,
    /// With Opus it says little while nobody speaks, and wants no more (`usedtx`, RFC 7587 §3.1.3).
    pub leaves_out_silence: bool,
    /// Number of the phone in the rig, 0 to 4: its ports.
    pub n: u16,
    /// Registers there; `None`: only direct calls.
    pub pbx: Option<u16>,
    /// User part of its address.
    pub user: &'a str,
    /// What it speaks: a glide between two frequencies, Hz.
    pub voice: (f64, f64),
}

impl<'a> PhoneParams<'a> {
    /// A phone at a PBX.
    #[must_use]
    pub const fn at_pbx(n: u16, user: &'a str, port: u16) -> Self {
        Self {
            beyond: None,
            codecs: "pcma,pcmu",
            ice: false,
            link: Link {
                carrier: Carrier::Udp,
                srtp: false,
                trust: None,
            },
            leaves_out_silence: false,
            n,
            pbx: Some(port),
            user,
            voice: (2600.0, 500.0),
        }
    }

    /// Its address.
    const fn host(&self) -> &'static str {
        match self.beyond {
            Some(_) => Router::OUTSIDE,
            None => "127.0.0.1",
        }
    }

    /// Has it a codec that carries more than the telephone band?
    fn is_wide(&self) -> bool {
        self.codecs.contains("g722") || self.codecs.contains("opus")
    }

    /// A phone without a PBX.
    #[must_use]
    pub const fn direct(n: u16, user: &'a str) -> Self {
        Self {
            pbx: None,
            ..Self::at_pbx(n, user, 0)
        }
    }
}

/// One event of the control port.
#[derive(Clone, Debug)]
pub struct PhoneEvent {
    /// For example `CALL_INCOMING`, `CALL_ESTABLISHED`, `CALL_CLOSED`, `CALL_DTMF_START`.
    pub kind: String,
    /// The whole event.
    pub whole: Value,
}

#[derive(Debug, Default)]
struct Heard {
    answers: VecDeque<Value>,
    events: Vec<PhoneEvent>,
}

/// A running phone.
#[derive(Debug)]
pub struct Phone {
    control: TcpStream,
    dir: PathBuf,
    heard: Arc<Mutex<Heard>>,
    process: Process,
    seen: usize,
    sip: u16,
    host: &'static str,
    user: String,
    voice: Sound,
}

impl Phone {
    /// Starts it and, with a PBX, waits until it is registered.
    ///
    /// # Errors
    /// If it does not come up or does not register within 15 s.
    pub fn start(rig: &Rig, params: PhoneParams<'_>) -> anyhow::Result<Self> {
        let name = format!("phone-{}", params.user);
        let dir = rig.path(&name);
        std::fs::create_dir_all(&dir)?;
        let (sip, control) = (
            rig.port(Use::PhoneSip(params.n)),
            rig.port(Use::PhoneControl(params.n)),
        );
        let speak = if params.is_wide() { wide_sweep } else { sweep };
        let voice = speak(&dir.join("voice.wav"), params.voice.0, params.voice.1, 240)?;
        std::fs::write(dir.join("config"), config(rig, &dir, params, sip, control)?)?;
        std::fs::write(dir.join("accounts"), account(params, sip))?;
        std::fs::write(dir.join("contacts"), "")?;
        let mut by = params.beyond.map_or_else(Vec::new, Router::by_outside);
        by.extend([
            "/usr/bin/baresip".to_owned(),
            "-f".to_owned(),
            dir.display().to_string(),
        ]);
        let mut process = Process::start(rig, &name, Path::new(&by[0]), &by[1..])?;
        let control = until(Duration::from_secs(15), "the phone's control port", || {
            if let Some(status) = process.ended()? {
                bail!("baresip ended with {status}: {}", process.log());
            }
            Ok(match params.beyond {
                Some(router) => router.connect(control).ok(),
                None => TcpStream::connect((Ipv4Addr::LOCALHOST, control)).ok(),
            })
        })?;
        let heard = Arc::<Mutex<Heard>>::default();
        let (reader, to) = (control.try_clone()?, Arc::clone(&heard));
        std::thread::spawn(move || listen(reader, &to));
        let mut phone = Self {
            control,
            dir,
            heard,
            process,
            seen: 0,
            sip,
            user: params.user.to_owned(),
            host: params.host(),
            voice,
        };
        if params.pbx.is_some() {
            phone.process.says("200 OK", Duration::from_secs(15))?;
        }
        Ok(phone)
    }

    /// Its address for direct calls.
    #[must_use]
    pub fn address(&self) -> String {
        format!("sip:{}@{}:{}", self.user, self.host, self.sip)
    }

    /// The port on which it is called directly; with TLS the one after it.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.sip
    }

    /// What it speaks.
    #[must_use]
    pub const fn voice(&self) -> &Sound {
        &self.voice
    }

    /// Everything it said.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Calls an address or a number.
    ///
    /// # Errors
    /// If the phone does not take the command.
    pub fn dial(&mut self, to: &str) -> anyhow::Result<()> {
        self.command("dial", to)
    }

    /// Answers the ringing call.
    ///
    /// # Errors
    /// As [`Phone::dial`].
    pub fn answer(&mut self) -> anyhow::Result<()> {
        self.command("accept", "")
    }

    /// Ends the call, or refuses the ringing one.
    ///
    /// # Errors
    /// As [`Phone::dial`].
    pub fn hang_up(&mut self) -> anyhow::Result<()> {
        self.command("hangup", "")
    }

    /// Puts the call on hold.
    ///
    /// # Errors
    /// As [`Phone::dial`].
    pub fn hold(&mut self) -> anyhow::Result<()> {
        self.command("hold", "")
    }

    /// Takes it up again.
    ///
    /// # Errors
    /// As [`Phone::dial`].
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.command("resume", "")
    }

    /// Presses a key: an RFC 4733 event.
    ///
    /// # Errors
    /// As [`Phone::dial`].
    pub fn press(&mut self, key: char) -> anyhow::Result<()> {
        self.command("sndcode", &key.to_string())
    }

    /// Plays a key into the speech, as a telephone without any messages for keys does. What it spoke before is over.
    ///
    /// # Errors
    /// As [`Phone::dial`].
    pub fn play_key(&mut self, key: char) -> anyhow::Result<()> {
        let path = self.dir.join("key.wav");
        tone_key(&path, key)?;
        self.command("ausrc", &format!("aufile,{}", path.display()))
    }

    /// Speaks what a WAV file holds, up to its end. What it spoke before is over.
    ///
    /// # Errors
    /// As [`Phone::dial`].
    pub fn speak(&mut self, file: &Path) -> anyhow::Result<()> {
        self.command("ausrc", &format!("aufile,{}", file.display()))
    }

    /// Hands the call to an address or a number: a REFER.
    ///
    /// # Errors
    /// As [`Phone::dial`].
    pub fn transfer(&mut self, to: &str) -> anyhow::Result<()> {
        self.command("transfer", to)
    }

    fn command(&mut self, command: &str, params: &str) -> anyhow::Result<()> {
        let text = json!({ "command": command, "params": params, "token": command }).to_string();
        self.control
            .write_all(format!("{}:{text},", text.len()).as_bytes())?;
        let what = format!("the phone to take {command} {params}");
        let heard = &self.heard;
        let answer = until(Duration::from_secs(5), &what, || {
            Ok(heard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .answers
                .pop_front())
        })?;
        ensure!(
            answer["ok"] == true,
            "the phone refused {command} {params}: {answer}"
        );
        Ok(())
    }

    /// Waits for the next event of a kind; those before it are passed over.
    ///
    /// # Errors
    /// If it does not come in time.
    pub fn hears(&mut self, kind: &str, limit: Duration) -> anyhow::Result<PhoneEvent> {
        let what = format!("{kind} at phone {}", self.user);
        let (heard, seen) = (&self.heard, &mut self.seen);
        until(limit, &what, || {
            let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            let found = heard
                .events
                .iter()
                .enumerate()
                .skip(*seen)
                .find(|(_, e)| e.kind == kind);
            Ok(found.map(|(at, event)| {
                *seen = at + 1;
                event.clone()
            }))
        })
    }

    /// How many events of a kind there were so far.
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.events.iter().filter(|e| e.kind == kind).count()
    }

    /// What it has heard in its newest call so far.
    ///
    /// # Errors
    /// If there is no recording.
    pub fn recording(&self) -> anyhow::Result<Sound> {
        Sound::read(&self.newest()?)
    }

    /// As [`Phone::recording`], at 16 kHz.
    ///
    /// # Errors
    /// If there is no recording, or one of the telephone band.
    pub fn wide_recording(&self) -> anyhow::Result<Sound> {
        Sound::read_wide(&self.newest()?)
    }

    fn newest(&self) -> anyhow::Result<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.dir)?
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.to_string_lossy().ends_with("-dec.wav"))
            .collect();
        files.sort_by_key(|p| p.metadata().and_then(|m| m.modified()).ok());
        files.pop().context("the phone has recorded nothing")
    }
}

/// Reads netstrings (`LENGTH:JSON,`) until the phone is gone.
fn listen(mut from: TcpStream, to: &Mutex<Heard>) {
    let mut buffer: Vec<u8> = vec![];
    let mut part = [0; 4096];
    while let Ok(n) = from.read(&mut part) {
        if n == 0 {
            return;
        }
        buffer.extend(&part[..n]);
        while let Some(colon) = buffer.iter().position(|b| *b == b':') {
            let length = std::str::from_utf8(&buffer[..colon])
                .ok()
                .and_then(|t| t.parse::<usize>().ok());
            let Some(end) = length.map(|length| colon + 1 + length) else {
                return;
            };
            if buffer.len() <= end {
                break;
            }
            let value: Value = serde_json::from_slice(&buffer[colon + 1..end]).unwrap_or_default();
            buffer.drain(..=end);
            let mut heard = to.lock().unwrap_or_else(PoisonError::into_inner);
            if value["event"] == true {
                heard.events.push(PhoneEvent {
                    kind: value["type"].as_str().unwrap_or_default().to_owned(),
                    whole: value,
                });
            } else {
                heard.answers.push_back(value);
            }
        }
    }
}

fn config(rig: &Rig, dir: &Path, params: PhoneParams<'_>, sip: u16, control: u16) -> anyhow::Result<String> {
    let modules = [
        "/usr/lib/baresip/modules",
        "/usr/lib/x86_64-linux-gnu/baresip/modules",
    ]
    .into_iter()
    .find(|path| Path::new(path).is_dir())
    .context("baresip's modules are not there; is the package baresip-core installed?")?;
    let (low, high) = rig.ports.phone_rtp(params.n);
    let host = params.host();
    let at = dir.display();
    // recordings come from sndfile: in this version aufile only plays
    let mut load = vec!["g711", "g722", "opus", "sndfile", "aufile", "aubridge"];
    let rate = if params.is_wide() { 16_000 } else { 8_000 };
    if params.link.srtp {
        load.push("srtp");
    }
    if params.ice {
        load.push("ice");
    }
    let dtx = if params.leaves_out_silence {
        "opus_dtx yes\n"
    } else {
        ""
    };
    let load: String = load.iter().map(|m| format!("module {m}.so\n")).collect();
    // its own certificate, for who calls it over TLS; certificate and key in one file
    let mut own = String::new();
    if let Some(trust) = params.link.trust {
        let file = dir.join("own.pem");
        let pem = [&trust.cert, &trust.key].map(std::fs::read_to_string);
        let [cert, key] = pem;
        std::fs::write(&file, cert? + &key?)?;
        own = format!("sip_certificate {}\n", file.display());
    }
    let authority = params
        .link
        .trust
        .map(|t| format!("sip_cafile {}\n", t.ca.display()))
        .unwrap_or_default();
    Ok(format!(
        "poll_method epoll\nsip_listen {host}:{sip}\n{authority}{own}net_interface {host}\n\
         call_local_timeout 120\ncall_max_calls 4\naudio_path /nonexistent\naudio_player aubridge,nothing\n\
         audio_source aufile,{at}/voice.wav\naudio_alert aubridge,alert\nausrc_srate {rate}\nauplay_srate {rate}\n\
         ausrc_channels 1\nauplay_channels 1\nausrc_format s16\nauplay_format s16\nauenc_format s16\n\
         audec_format s16\naudio_buffer 20-160\njitter_buffer_type fixed\njitter_buffer_delay 2-10\n\
         rtp_ports {low}-{high}\n{dtx}snd_path {at}\nmodule_path {modules}\n{load}module_tmp account.so\n\
         module_app menu.so\nmodule_app ctrl_tcp.so\nctrl_tcp_listen 127.0.0.1:{control}\n"
    ))
}

fn account(params: PhoneParams<'_>, sip: u16) -> String {
    let (user, host) = (params.user, params.host());
    let media = if params.link.srtp {
        ";mediaenc=srtp-mand"
    } else {
        ""
    };
    let transport = params.link.carrier.name();
    let nat = if params.ice { ";medianat=ice" } else { "" };
    let common = format!(
        ";answermode=manual;audio_codecs={};ptime=20{media}{nat}",
        params.codecs
    );
    params.pbx.map_or_else(
        || format!("<sip:{user}@{host}:{sip};transport={transport}>;regint=0{common}\n"),
        |port| {
            format!(
                "<sip:{user}@127.0.0.1:{port};transport={transport}>;auth_user={user};auth_pass=secret-{user};\
                 regint=60{common}\n"
            )
        },
    )
}
