//! Whom notifications are told: rsyslog, `webhook` (which checks signatures), and the mail server of aiosmtpd.

use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::ports::Use;
use crate::process::Process;
use crate::rig::{Rig, until};
use crate::trust::Trust;

/// Waits until somebody listens.
fn listens(port: u16, what: &str, process: &mut Process) -> anyhow::Result<()> {
    until(Duration::from_secs(20), what, || {
        if let Some(status) = process.ended()? {
            anyhow::bail!("{what} ended with {status}: {}", process.log());
        }
        Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .is_ok()
            .then_some(()))
    })
}

/// rsyslog on [`Use::Syslog`] and, under TLS, on [`Use::SyslogTls`]; it writes both into one file.
#[derive(Debug)]
pub struct Rsyslog {
    file: PathBuf,
    process: Process,
}

impl Rsyslog {
    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    /// If it does not within 20 s.
    pub fn start(rig: &Rig, trust: &Trust) -> anyhow::Result<Self> {
        let (conf, file) = (rig.path("rsyslog.conf"), rig.path("syslog.txt"));
        let text = format!(
            r#"global(workDirectory="{work}" defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="{ca}"
       defaultNetstreamDriverCertFile="{cert}" defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="{tcp}" streamDriver.name="ptcp")
input(type="imtcp" address="127.0.0.1" port="{tls}" streamDriver.name="ossl" streamDriver.mode="1"
      streamDriver.authMode="anon")
template(name="parts" type="string" string="%syslogfacility-text% %syslogseverity-text% %hostname% %app-name% %msgid% %structured-data%%msg%\n")
*.* action(type="omfile" file="{file}" template="parts" asyncWriting="off")
"#,
            work = rig.path("").display(),
            ca = trust.ca.display(),
            cert = trust.cert.display(),
            key = trust.key.display(),
            tcp = rig.port(Use::Syslog),
            tls = rig.port(Use::SyslogTls),
            file = file.display(),
        );
        std::fs::write(&conf, text)?;
        let pid = rig.path("rsyslog.pid");
        let args = [
            "-n".as_ref(),
            "-f".as_ref(),
            conf.as_os_str(),
            "-i".as_ref(),
            pid.as_os_str(),
        ];
        let mut process = Process::start(rig, "rsyslog", "/usr/sbin/rsyslogd".as_ref(), args)?;
        listens(rig.port(Use::SyslogTls), "rsyslog", &mut process)?;
        Ok(Self { file, process })
    }

    /// The lines it has written: facility, severity, host, program, message id, structured data, text.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        text.lines()
            .filter(|line| line.contains(" doorline "))
            .map(str::to_owned)
            .collect()
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.process.kill();
    }
}

/// `webhook` on [`Use::Webhook`]: takes `/hooks/door` only with the right signature, and writes a line for each.
#[derive(Debug)]
pub struct WebhookServer {
    file: PathBuf,
    process: Process,
}

impl WebhookServer {
    /// Key of the signature.
    pub const KEY: &'static str = "a key of the test";

    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    /// If it does not within 20 s.
    pub fn start(rig: &Rig) -> anyhow::Result<Self> {
        let (hooks, file, script) = (rig.path("hooks.json"), rig.path("hooks.txt"), rig.path("hook.sh"));
        std::fs::write(&script, format!("echo \"$1 $2 $3\" >>{}\n", file.display()))?;
        let text = json!([{
            "id": "door",
            "execute-command": "/bin/sh",
            // with its output in the answer, the answer waits for the command
            "include-command-output-in-response": true,
            "pass-arguments-to-command": [
                { "source": "string", "name": script },
                { "source": "payload", "name": "seq" },
                { "source": "payload", "name": "kind" },
                { "source": "payload", "name": "source" },
            ],
            "trigger-rule": { "match": {
                "type": "payload-hmac-sha256",
                "secret": Self::KEY,
                "parameter": { "source": "header", "name": "X-Hub-Signature-256" },
            }},
            "trigger-rule-mismatch-http-response-code": 403,
        }]);
        std::fs::write(&hooks, text.to_string())?;
        let port = rig.port(Use::Webhook);
        let args = [
            "-hooks".to_owned(),
            hooks.display().to_string(),
            "-ip".to_owned(),
            "127.0.0.1".to_owned(),
            "-port".to_owned(),
            port.to_string(),
            "-verbose".to_owned(),
        ];
        let mut process = Process::start(rig, "webhook", "/usr/bin/webhook".as_ref(), args)?;
        listens(port, "webhook", &mut process)?;
        Ok(Self { file, process })
    }

    /// What came with the right signature: `SEQ KIND SOURCE`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.process.kill();
    }
}

/// A mail server under TLS on [`Use::Smtps`], which keeps what it gets.
#[derive(Debug)]
pub struct MailServer {
    folder: PathBuf,
    process: Process,
}

impl MailServer {
    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    /// If it does not within 20 s.
    pub fn start(rig: &Rig, trust: &Trust) -> anyhow::Result<Self> {
        let (folder, port) = (rig.path("mails"), rig.port(Use::Smtps));
        let args = [
            "-m".to_owned(),
            "aiosmtpd".to_owned(),
            "-n".to_owned(),
            "-l".to_owned(),
            format!("127.0.0.1:{port}"),
            "--smtpscert".to_owned(),
            trust.cert.display().to_string(),
            "--smtpskey".to_owned(),
            trust.key.display().to_string(),
            "-c".to_owned(),
            "aiosmtpd.handlers.Mailbox".to_owned(),
            folder.display().to_string(),
        ];
        let mut process = Process::start(rig, "mail", "/usr/bin/python3".as_ref(), args)?;
        listens(port, "aiosmtpd", &mut process)?;
        Ok(Self { folder, process })
    }

    /// The mails it has got, as they came.
    #[must_use]
    pub fn mails(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.folder.join("new")) else {
            return vec![];
        };
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        files
            .filter_map(|file| std::fs::read_to_string(file).ok())
            .collect()
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.process.kill();
    }
}
