//! A phone whose SIP is ezk-sip-ua, called by its address and calling by address. `tests/peers/ezk-phone` has compiled it
//! into the folder `DOORLINE_EZK_PHONE`; its orders are those of `rust-phone/src/main.rs`.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::audio::{Sound, sweep};
use crate::handset::{Handset, Keys};
use crate::link::Link;
use crate::ports::Use;
use crate::process::Process;
use crate::rig::Rig;

/// A running one.
#[derive(Debug)]
pub struct EzkPhone {
    control: BufReader<TcpStream>,
    heard: PathBuf,
    process: Process,
    port: u16,
    voice: Sound,
}

impl EzkPhone {
    /// Starts phone 0 of the rig as a user; without `events` it agrees on no telephone events.
    ///
    /// # Errors
    /// If it is not compiled, or does not come up.
    pub fn start(rig: &Rig, user: &str, link: Link<'_>, events: bool) -> anyhow::Result<Self> {
        let key = "DOORLINE_EZK_PHONE";
        let home = std::env::var_os(key).with_context(|| format!("{key} is not set; see tests/run"))?;
        let (port, control) = (rig.port(Use::PhoneSip(0)), rig.port(Use::PhoneControl(0)));
        let (file, heard) = (rig.path("ezk-voice.wav"), rig.path("ezk-hears.wav"));
        let voice = sweep(&file, 2600.0, 500.0, 2)?;
        let mut args = vec![
            format!("carrier={}", link.carrier.name()),
            format!("control={control}"),
            format!("events={events}"),
            format!("heard={}", heard.display()),
            format!("rtp={}", rig.ports.phone_rtp(0).0),
            format!("sip={port}"),
            format!("srtp={}", link.srtp),
            format!("user={user}"),
            format!("voice={}", file.display()),
        ];
        if let Some(trust) = link.trust {
            let files = [("ca", &trust.ca), ("cert", &trust.cert), ("key", &trust.key)];
            args.extend(files.map(|(name, path)| format!("{name}={}", path.display())));
        }
        let program = Path::new(&home).join("rust-phone");
        let mut process = Process::start(rig, "ezk-phone", &program, &args)?;
        process.says("ready", Duration::from_secs(10))?;
        let control = TcpStream::connect((Ipv4Addr::LOCALHOST, control))?;
        control.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self {
            control: BufReader::new(control),
            heard,
            process,
            port,
            voice,
        })
    }

    /// Its port of SIP, whatever carries it.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    fn order(&mut self, order: &str) -> anyhow::Result<()> {
        self.control
            .get_mut()
            .write_all(format!("{order}\n").as_bytes())?;
        let mut answer = String::new();
        self.control.read_line(&mut answer)?;
        ensure!(answer == "ok\n", "{order}: {answer}{}", self.process.log());
        Ok(())
    }
}

impl Handset for EzkPhone {
    fn dial(&mut self, to: &str) -> anyhow::Result<()> {
        self.order(&format!("dial {to}"))
    }

    fn rings(&mut self, limit: Duration) -> anyhow::Result<()> {
        self.process.says("incoming", limit)
    }

    fn answer(&mut self) -> anyhow::Result<()> {
        self.order("answer")
    }

    fn talks(&mut self, limit: Duration) -> anyhow::Result<()> {
        self.process.says("established", limit)
    }

    fn key(&mut self, key: char, way: Keys) -> anyhow::Result<()> {
        let order = match way {
            Keys::Events => "event",
            Keys::Info => "info",
            Keys::InBand => "tones",
        };
        self.order(&format!("{order} {key}"))
    }

    fn hang_up(&mut self) -> anyhow::Result<()> {
        self.order("hang-up")
    }

    fn recording(&self) -> anyhow::Result<Sound> {
        Sound::read(&self.heard)
    }

    fn voice(&self) -> &Sound {
        &self.voice
    }
}
