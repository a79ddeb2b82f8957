//! SIPp: a peer whose every message is written down in a scenario, `tests/peers/sipp/*.xml`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::ports::Use;
use crate::process::Process;
use crate::rig::Rig;

/// A scenario that runs. It echoes the speech it gets.
#[derive(Debug)]
pub struct Sipp {
    messages: PathBuf,
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
        let gateway = calls.then_some(Use::Sip);
        Self::written_as(rig, 0, scenario, gateway)
    }

    /// As [`written`](Self::written), on the ports of phone `n`, 0 to 4; it calls who has this port, if any.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn written_as(rig: &Rig, n: u16, scenario: &str, calls: Option<Use>) -> anyhow::Result<Self> {
        let file = rig.path(&format!("scenario-{n}.xml"));
        std::fs::write(&file, scenario)?;
        let other = calls.map(|port| format!("127.0.0.1:{}", rig.port(port)));
        let more: Vec<&str> = other.iter().map(String::as_str).collect();
        Self::run(rig, n, &file, 1, &more)
    }

    /// Many calls to who listens at `port`, to one of `names` after the other, by a scenario that the test has written, in
    /// which `[field0]` is the name: `calls` in all, `at_once` at a time, at most `rate` in a second.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn many(
        rig: &Rig,
        scenario: &str,
        (port, names): (u16, &[String]),
        (calls, at_once, rate): (u32, u32, u32),
    ) -> anyhow::Result<Self> {
        let lines: String = names.iter().map(|name| format!("{name};\n")).collect();
        let [at_once, rate] = [at_once, rate].map(|n| n.to_string());
        let more = ["-l", &at_once, "-r", &rate];
        Self::by_list(rig, scenario, (port, &lines), calls, &more)
    }

    /// One call to each of `names` of who listens at `port`, one begun every 1.2 s; `[field1]` and so on of the scenario are
    /// what `fields` has for it, parted by semicolons.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spoken_to(
        rig: &Rig,
        scenario: &str,
        port: u16,
        names: &[String],
        fields: &[String],
    ) -> anyhow::Result<Self> {
        let lines: String = names
            .iter()
            .zip(fields)
            .map(|(name, fields)| format!("{name};{fields};\n"))
            .collect();
        let calls = u32::try_from(names.len())?;
        Self::by_list(rig, scenario, (port, &lines), calls, &["-r", "1", "-rp", "1200"])
    }

    fn by_list(
        rig: &Rig,
        scenario: &str,
        (port, lines): (u16, &str),
        calls: u32,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let (file, list) = (rig.path("many.xml"), rig.path("many.csv"));
        std::fs::write(&file, scenario)?;
        std::fs::write(&list, format!("SEQUENTIAL\n{lines}"))?;
        let (other, list) = (format!("127.0.0.1:{port}"), list.display().to_string());
        let mut more = more.to_vec();
        more.extend(["-inf", &list, &other]);
        // what an earlier run wrote there is not this one's
        let _ = std::fs::remove_file(rig.path("sipp-screen.log"));
        Self::run(rig, 0, &file, calls, &more)
    }

    /// Calls per second over the whole run, as SIPp counts them, once it has ended.
    ///
    /// # Errors
    /// If it has not said so.
    pub fn rate(rig: &Rig) -> anyhow::Result<f64> {
        let screen = String::from_utf8_lossy(&std::fs::read(rig.path("sipp-screen.log"))?).into_owned();
        let line = screen.lines().rfind(|line| line.contains("Call Rate"));
        let figure = line.and_then(|line| line.rsplit('|').next()?.split_whitespace().next());
        Ok(figure.context("SIPp tells no rate of calls")?.parse()?)
    }

    fn start(rig: &Rig, scenario: &str, calls: u32, more: &[&str]) -> anyhow::Result<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("sipp/{scenario}.xml"));
        Self::run(rig, 0, &file, calls, more)
    }

    /// A scenario of `tests/peers/sipp` at another address of a network that `by` enters, on the ports of phone `n`, 1 to 4;
    /// it goes on until it was gone so many times.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn elsewhere(
        rig: &Rig,
        n: u16,
        scenario: &str,
        (by, address): (&[String], &str),
        (times, more): (u32, &[&str]),
    ) -> anyhow::Result<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("sipp/{scenario}.xml"));
        Self::run_at(rig, n, &file, (times, more), (by, address))
    }

    fn run(rig: &Rig, n: u16, file: &Path, calls: u32, more: &[&str]) -> anyhow::Result<Self> {
        Self::run_at(rig, n, file, (calls, more), (&[], "127.0.0.1"))
    }

    fn run_at(
        rig: &Rig,
        n: u16,
        file: &Path,
        (calls, more): (u32, &[&str]),
        (by, address): (&[String], &str),
    ) -> anyhow::Result<Self> {
        let (sip, rtp) = (rig.port(Use::PhoneSip(n)), rig.ports.phone_rtp(n).0);
        let name = if n == 0 {
            "sipp".to_owned()
        } else {
            format!("sipp-{n}")
        };
        let [errors, screen, messages] =
            ["errors", "screen", "messages"].map(|what| rig.path(&format!("{name}-{what}.log")));
        let sipp = "/usr/bin/sipp".to_owned();
        let (program, mut args) = match by.split_first() {
            None => (sipp, Vec::new()),
            Some((by, arguments)) => (by.clone(), arguments.iter().cloned().chain([sipp]).collect()),
        };
        args.extend(["-sf".to_owned(), file.display().to_string()]);
        args.extend(["-i", address, "-mi", address, "-nostdin", "-rtp_echo"].map(str::to_owned));
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
        if n > 0 {
            args.extend(["-trace_msg", "-message_file"].map(str::to_owned));
            args.push(messages.display().to_string());
        }
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        let process = Process::start(rig, &name, Path::new(&program), args)?;
        Ok(Self { messages, process })
    }

    /// The address that the gateway calls.
    #[must_use]
    pub fn address(rig: &Rig) -> String {
        Self::address_of(rig, 0)
    }

    /// That of the one with the ports of phone `n`: another name, since ports tell nobody apart for the gateway.
    #[must_use]
    pub fn address_of(rig: &Rig, n: u16) -> String {
        let name = if n == 0 {
            "peer".to_owned()
        } else {
            format!("peer{n}")
        };
        format!("sip:{name}@127.0.0.1:{}", rig.port(Use::PhoneSip(n)))
    }

    /// Every message so far of one that is not phone 0.
    #[must_use]
    pub fn messages(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.messages).unwrap_or_default()).into_owned()
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
