//! A baresip that has many calls at once: one that answers and echoes, or one that calls and speaks.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::json;

use crate::audio::sweep;
use crate::ports::Use;
use crate::process::Process;
use crate::rig::{Rig, until};

/// What it is for.
#[derive(Clone, Copy, Debug)]
enum Does<'a> {
    /// Calls whom it is told to, and speaks a glide.
    Calls,
    /// Sends back what it hears.
    Echoes,
    /// Writes down what it hears.
    Records,
    /// Speaks a file of 16 kHz.
    Speaks(&'a Path),
}

/// A running one.
#[derive(Debug)]
pub struct Many {
    control: Option<TcpStream>,
    dir: PathBuf,
    process: Process,
}

impl Many {
    /// Answers every call to `door` on the SIP port of phone `n`, and sends back what it hears; its speech on UDP ports
    /// `rtp`, each call coded anew in G.711.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn answers(rig: &Rig, n: u16, rtp: (u16, u16), srtp: bool) -> anyhow::Result<Self> {
        Self::start(rig, "door", n, rtp, srtp, Does::Echoes)
    }

    /// Calls whom it is told to, as phone `n`, in G.711; it speaks a glide.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn calls(rig: &Rig, n: u16, rtp: (u16, u16), srtp: bool) -> anyhow::Result<Self> {
        Self::start(rig, "peer", n, rtp, srtp, Does::Calls)
    }

    /// Answers every call to `voice`, in any codec, and speaks a file of 16 kHz.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn speaks(rig: &Rig, n: u16, rtp: (u16, u16), voice: &Path) -> anyhow::Result<Self> {
        Self::start(rig, "voice", n, rtp, false, Does::Speaks(voice))
    }

    /// Answers every call to `ear`, in any codec, and writes down what it hears, after its own means against loss.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn records(rig: &Rig, n: u16, rtp: (u16, u16)) -> anyhow::Result<Self> {
        Self::start(rig, "ear", n, rtp, false, Does::Records)
    }

    fn start(
        rig: &Rig,
        user: &str,
        n: u16,
        rtp: (u16, u16),
        srtp: bool,
        does: Does<'_>,
    ) -> anyhow::Result<Self> {
        let name = format!("many-{user}");
        let dir = rig.path(&name);
        std::fs::create_dir_all(&dir)?;
        let (sip, port) = (rig.port(Use::PhoneSip(n)), rig.port(Use::PhoneControl(n)));
        if matches!(does, Does::Calls) {
            sweep(&dir.join("voice.wav"), 2600.0, 500.0, 120)?;
        }
        std::fs::write(dir.join("config"), config(&dir, (sip, port), rtp, does)?)?;
        let media = if srtp { ";mediaenc=srtp-mand" } else { "" };
        let (mode, codecs) = match does {
            Does::Calls | Does::Echoes => ("manual", "pcma"),
            Does::Records => ("manual", "opus/48000/2,g722/16000,pcma"),
            Does::Speaks(_) => ("auto", "opus/48000/2,g722/16000,pcma"),
        };
        std::fs::write(
            dir.join("accounts"),
            format!(
                "<sip:{user}@127.0.0.1:{sip};transport=udp>;regint=0;answermode={mode};audio_codecs={codecs};\
                 ptime=20{media}\n"
            ),
        )?;
        std::fs::write(dir.join("contacts"), "")?;
        let args = ["-f".as_ref(), dir.as_os_str()];
        let mut process = Process::start(rig, &name, Path::new("/usr/bin/baresip"), args)?;
        process.says("baresip is ready", Duration::from_secs(15))?;
        let control = if matches!(does, Does::Calls) {
            Some(until(
                Duration::from_secs(15),
                "the caller's control port",
                || {
                    if let Some(status) = process.ended()? {
                        bail!("baresip ended with {status}: {}", process.log());
                    }
                    Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok())
                },
            )?)
        } else {
            None
        };
        Ok(Self {
            control,
            dir,
            process,
        })
    }

    /// What it wrote down, in the order of its calls, which have to begin in different seconds.
    ///
    /// # Errors
    /// If its folder cannot be read.
    pub fn recordings(&self) -> anyhow::Result<Vec<PathBuf>> {
        let files = std::fs::read_dir(&self.dir)?.flatten().map(|e| e.path());
        let mut files: Vec<PathBuf> = files
            .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .collect();
        // the time of day is in their names
        files.sort();
        Ok(files)
    }

    /// Calls all of them, one after the other, and keeps every call.
    ///
    /// # Errors
    /// If one does not answer within 10 s.
    pub fn dial(&mut self, targets: &[String]) -> anyhow::Result<()> {
        for target in targets {
            let before = self.talks();
            let text = json!({ "command": "dial", "params": target, "token": "dial" }).to_string();
            let control = self.control.as_mut();
            ensure!(control.is_some(), "this one answers only");
            if let Some(control) = control {
                control.write_all(format!("{}:{text},", text.len()).as_bytes())?;
            }
            until(Duration::from_secs(10), &format!("{target} to answer"), || {
                Ok((self.talks() > before).then_some(()))
            })?;
        }
        Ok(())
    }

    fn talks(&self) -> usize {
        self.process.log().matches("Call established").count()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

fn config(
    dir: &Path,
    (sip, port): (u16, u16),
    (low, high): (u16, u16),
    does: Does<'_>,
) -> anyhow::Result<String> {
    let modules = [
        "/usr/lib/baresip/modules",
        "/usr/lib/x86_64-linux-gnu/baresip/modules",
    ];
    let modules = modules.into_iter().find(|path| Path::new(path).is_dir());
    let modules =
        modules.context("baresip's modules are not there; is the package baresip-core installed?")?;
    let at = dir.display();
    let (source, rate, more) = match does {
        Does::Calls => (
            format!("aufile,{at}/voice.wav"),
            8_000,
            format!(
                "module aufile.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\nctrl_tcp_listen 127.0.0.1:{port}\n"
            ),
        ),
        Does::Echoes => (
            "aubridge,nothing".to_owned(),
            8_000,
            "module_app echo.so\n".to_owned(),
        ),
        // what is loaded last comes first: what lost packets leave out is filled in, and written down then. By the module
        // echo each call has a device of its own; with one for all the newest would have it alone
        Does::Records => (
            "aubridge,nothing".to_owned(),
            16_000,
            "module g722.so\nmodule opus.so\nmodule sndfile.so\nmodule plc.so\nmodule_app echo.so\n"
                .to_owned(),
        ),
        Does::Speaks(voice) => (
            format!("aufile,{}", voice.display()),
            16_000,
            "module g722.so\nmodule opus.so\nmodule aufile.so\n".to_owned(),
        ),
    };
    Ok(format!(
        "poll_method epoll\nsip_listen 127.0.0.1:{sip}\nnet_interface 127.0.0.1\ncall_max_calls 200\n\
         call_local_timeout 120\naudio_path /nonexistent\naudio_player aubridge,nothing\naudio_source {source}\n\
         audio_alert aubridge,alert\nausrc_srate {rate}\nauplay_srate {rate}\nausrc_channels 1\nauplay_channels 1\n\
         ausrc_format s16\nauplay_format s16\nauenc_format s16\naudec_format s16\n\
         opus_inbandfec yes\nopus_packet_loss 10\nopus_application voip\n\
         rtp_ports {low}-{high}\nsnd_path {at}\nmodule_path {modules}\nmodule g711.so\nmodule aubridge.so\n\
         module srtp.so\nmodule_tmp account.so\n{more}"
    ))
}
