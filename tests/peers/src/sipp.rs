//! SIPp: a peer whose every message is written down in a scenario, `tests/peers/sipp/*.xml`.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;

use crate::ports::Use;
use crate::process::Process;
use crate::rig::Rig;

/// A scenario that runs. It echoes the speech it gets.
#[derive(Debug)]
pub struct Sipp {
    process: Process,
}

impl Sipp {
    /// Waits to be called `calls` times on the SIP port of phone 0.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn called(rig: &Rig, scenario: &str, calls: u32) -> anyhow::Result<Self> {
        Self::start(rig, scenario, calls, &[])
    }

    /// Calls the gateway `calls` times, one call after the other.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn calls(rig: &Rig, scenario: &str, calls: u32) -> anyhow::Result<Self> {
        let gateway = format!("127.0.0.1:{}", rig.port(Use::Sip));
        Self::start(rig, scenario, calls, &["-l", "1", "-r", "200", &gateway])
    }

    /// As [`calls`](Self::calls) or, if not `calls`, as [`called`](Self::called): once, by a scenario that the test has
    /// written.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn written(rig: &Rig, scenario: &str, calls: bool) -> anyhow::Result<Self> {
        let file = rig.path("scenario.xml");
        std::fs::write(&file, scenario)?;
        let gateway = format!("127.0.0.1:{}", rig.port(Use::Sip));
        let more = if calls { vec![gateway.as_str()] } else { vec![] };
        Self::run(rig, &file, 1, &more)
    }

    fn start(rig: &Rig, scenario: &str, calls: u32, more: &[&str]) -> anyhow::Result<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("sipp/{scenario}.xml"));
        Self::run(rig, &file, calls, more)
    }

    fn run(rig: &Rig, file: &Path, calls: u32, more: &[&str]) -> anyhow::Result<Self> {
        let (sip, rtp) = (rig.port(Use::PhoneSip(0)), rig.ports.phone_rtp(0).0);
        let (errors, screen) = (rig.path("sipp-errors.log"), rig.path("sipp-screen.log"));
        let mut args = vec!["-sf".to_owned(), file.display().to_string()];
        args.extend(["-i", "127.0.0.1", "-mi", "127.0.0.1", "-nostdin", "-rtp_echo"].map(str::to_owned));
        args.extend([
            "-p".to_owned(),
            sip.to_string(),
            "-mp".to_owned(),
            rtp.to_string(),
        ]);
        args.extend(["-m".to_owned(), calls.to_string()]);
        args.extend(["-trace_err", "-error_file"].map(str::to_owned));
        args.push(errors.display().to_string());
        args.extend(["-trace_screen", "-screen_file"].map(str::to_owned));
        args.push(screen.display().to_string());
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        let process = Process::start(rig, "sipp", Path::new("/usr/bin/sipp"), args)?;
        Ok(Self { process })
    }

    /// The address that the gateway calls.
    #[must_use]
    pub fn address(rig: &Rig) -> String {
        format!("sip:peer@127.0.0.1:{}", rig.port(Use::PhoneSip(0)))
    }

    /// Waits until every call went as written.
    ///
    /// # Errors
    /// If one did not, or not in time.
    pub fn done(&mut self, limit: Duration) -> anyhow::Result<()> {
        let status = self.process.wait(limit)?;
        ensure!(
            status.success(),
            "a call did not go as written: SIPp ended with {status}"
        );
        Ok(())
    }
}
