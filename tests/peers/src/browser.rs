//! Chromium, steered over pipes with the DevTools protocol: JSON messages that end with a zero byte.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::process::Process;
use crate::rig::{Rig, until};

/// A browser with one page.
#[derive(Debug)]
pub struct Browser {
    from: Receiver<Value>,
    next: u64,
    process: Process,
    session: Option<String>,
    to: File,
}

impl Browser {
    /// Starts it and opens an address.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn open(rig: &Rig, address: &str) -> anyhow::Result<Self> {
        Self::with_switches(rig, address, &[])
    }

    /// As [`Browser::open`], with more switches of its command line.
    ///
    /// # Errors
    /// As [`Browser::open`].
    pub fn with_switches(rig: &Rig, address: &str, switches: &[&str]) -> anyhow::Result<Self> {
        let (orders, answers) = (rig.path("browser-in"), rig.path("browser-out"));
        for pipe in [&orders, &answers] {
            rustix::fs::mkfifoat(rustix::fs::CWD, pipe, rustix::fs::Mode::from_raw_mode(0o600))?;
        }
        // the shell gives the pipes the numbers that the browser expects; opened for both ways nothing blocks
        let script = "orders=$1 answers=$2 profile=$3; shift 3; \
             exec chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage \
             --disable-background-networking --no-first-run --remote-debugging-pipe \"$@\" \
             --user-data-dir=\"$profile\" about:blank 3<>\"$orders\" 4<>\"$answers\"";
        let profile = rig.path("browser-profile");
        let args = [
            "-c".as_ref(),
            script.as_ref(),
            "sh".as_ref(),
            orders.as_os_str(),
            answers.as_os_str(),
            profile.as_os_str(),
        ];
        let args = args.into_iter().chain(switches.iter().map(OsStr::new));
        let process = Process::start(rig, "browser", Path::new("/bin/sh"), args)?;
        let both = |path: &Path| File::options().read(true).write(true).open(path);
        let (to, mut lines) = (both(&orders)?, BufReader::new(both(&answers)?));
        let (send, from) = channel();
        std::thread::spawn(move || {
            let mut message = vec![];
            while lines.read_until(0, &mut message).is_ok_and(|n| n > 0) {
                message.pop();
                let value = serde_json::from_slice(&message).unwrap_or_default();
                if send.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            from,
            next: 0,
            process,
            session: None,
            to,
        };
        let target = browser.call("Target.createTarget", &json!({ "url": address }))?;
        let id = target["targetId"].as_str().context("no page")?;
        let session = browser.call(
            "Target.attachToTarget",
            &json!({ "targetId": id, "flatten": true }),
        )?;
        browser.session = Some(session["sessionId"].as_str().context("no session")?.to_owned());
        Ok(browser)
    }

    /// Opens an address whose certificate it does not ask about, as a person who has compared the fingerprint.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn open_trusting(rig: &Rig, address: &str) -> anyhow::Result<Self> {
        let mut browser = Self::open(rig, "about:blank")?;
        browser.call("Security.setIgnoreCertificateErrors", &json!({ "ignore": true }))?;
        browser.call("Page.navigate", &json!({ "url": address }))?;
        Ok(browser)
    }

    fn call(&mut self, method: &str, params: &Value) -> anyhow::Result<Value> {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes)?;
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(answer) = self.from.recv_timeout(left) else {
                let ended = self.process.ended()?;
                bail!("the browser did not answer {method} (ended: {ended:?})");
            };
            if answer["id"] == self.next {
                ensure!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return Ok(answer["result"].clone());
            }
        }
    }

    /// Evaluates JavaScript in the page.
    ///
    /// # Errors
    /// What it threw.
    pub fn eval(&mut self, script: &str) -> anyhow::Result<Value> {
        let params = json!({ "expression": script, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", &params)?;
        ensure!(
            answer["exceptionDetails"].is_null(),
            "{script}: {}",
            answer["exceptionDetails"]
        );
        Ok(answer["result"]["value"].clone())
    }

    /// Waits until a script gives true.
    ///
    /// # Errors
    /// If it does not in time; with what the page shows.
    pub fn shows(&mut self, script: &str, limit: Duration) -> anyhow::Result<()> {
        let seen = until(limit, script, || Ok((self.eval(script)? == true).then_some(())));
        if let Err(error) = seen {
            let text = self.text().unwrap_or_default();
            bail!("{error:#}; the page shows: {text}");
        }
        Ok(())
    }

    /// The text of the page, as a person sees it.
    ///
    /// # Errors
    /// If the page is gone.
    pub fn text(&mut self) -> anyhow::Result<String> {
        Ok(self
            .eval("document.body.innerText")?
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }
}
