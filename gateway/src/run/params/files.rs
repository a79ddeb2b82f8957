//! Files that the site file names and that parts of the gateway are started with. They are looked at when the site file
//! is given, so that what is wrong with them is told with its place. Passwords and `[dot1x]` are looked at elsewhere.

use std::io;
use std::path::{Path, PathBuf};

use adapter_virtual::Source;
use gateway_config::{Capture, Config, Late, LineDriver, RuleDo};
use gateway_sip_io::SipError;

use crate::run::params::sip;
use crate::run::{prompts, spoken};

/// What was found of them.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// What is wrong.
    pub(crate) faults: Vec<Late>,
    /// Those that are not here, or not for us to read. They have no other faults.
    pub(crate) missing: Vec<Late>,
    /// What this machine lacks, though everything works without it.
    pub(crate) warnings: Vec<Late>,
}

impl Files {
    /// True if all of them can be read; notes those that cannot.
    fn here(&mut self, files: &[(&str, &Path)]) -> bool {
        let before = self.missing.len();
        for (key, file) in files {
            let Err(error) = std::fs::File::open(file) else {
                continue;
            };
            let late = late(key, format!("{} cannot be read: {error}", file.display()));
            let absent = [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied];
            if absent.contains(&error.kind()) {
                self.missing.push(late);
            } else {
                self.faults.push(late);
            }
        }
        self.missing.len() == before
    }

    /// The same of those that are named at all.
    fn are_here(&mut self, files: &[(String, Option<&PathBuf>)]) -> bool {
        let named: Vec<(&str, &Path)> = files
            .iter()
            .filter_map(|(key, file)| file.map(|file| (key.as_str(), file.as_path())))
            .collect();
        self.here(&named)
    }

    /// `at` is the account, or empty for the port.
    fn tls(&mut self, at: &str, found: Result<(), SipError>) {
        match found {
            Ok(()) => {}
            Err(SipError::TlsFile { part, file, what }) => {
                let key = if at.is_empty() {
                    part.to_owned()
                } else {
                    format!("{at}.{part}")
                };
                self.faults
                    .push(late(&key, format!("{file} cannot be used for TLS: {what}")));
            }
            Err(error) => self.faults.push(late(at, error.to_string())),
        }
    }
}

fn late(key: &str, text: String) -> Late {
    let hint = match key.rsplit('.').next() {
        Some("capture" | "tell-folder") => "allowed: a WAV file of 16 bit that the gateway can read",
        Some("announcement-file" | "file") => {
            "allowed: a WAV file of 16 bit and at most 30 s that the gateway can read"
        }
        Some("key-file" | "tls-key-file") => {
            "allowed: the private key of the certificate, PEM, readable by the gateway"
        }
        _ => "allowed: certificates in PEM form, in a file the gateway can read",
    };
    Late {
        hint: hint.to_owned(),
        path: key.to_owned(),
        text,
    }
}

/// Looks at all of them.
pub(crate) fn files(config: &Config) -> Files {
    let mut files = Files::default();
    if let Some(http) = config.http.as_ref().filter(|http| http.tls)
        && let (Some(cert), Some(key)) = (&http.cert_file, &http.key_file)
        && files.here(&[("http.cert-file", cert), ("http.key-file", key)])
        && let Err(error) = gateway_http::check_tls(cert, key)
    {
        files.faults.push(late(error.part(), error.in_full()));
    }
    let engine = sip(config, [0; 16]);
    if let Some(listener) = &engine.tls_identity {
        let named = [
            ("sip.tls-cert-file", Some(&listener.identity.cert_file)),
            ("sip.tls-key-file", Some(&listener.identity.key_file)),
            ("sip.tls-client-ca-file", listener.client_ca_file.as_ref()),
        ];
        let named = named.map(|(key, file)| (key.to_owned(), file));
        if files.are_here(&named) {
            files.tls("", listener.check());
        }
    }
    for account in &engine.accounts {
        let own = account.tls.identity.as_ref();
        let named = [
            ("tls-ca-file", account.tls.ca_file.as_ref()),
            ("tls-cert-file", own.map(|own| &own.cert_file)),
            ("tls-key-file", own.map(|own| &own.key_file)),
        ];
        let at = format!("accounts.{}", account.id);
        let named = named.map(|(key, file)| (format!("{at}.{key}"), file));
        if named.iter().any(|(_, file)| file.is_some()) && files.are_here(&named) {
            files.tls(&at, account.tls.check());
        }
    }
    if let Some(folder) = &config.start.tell_folder {
        for sound in spoken::sounds(folder) {
            if files.here(&[("start.tell-folder", &sound)])
                && let Err(error) = Source::parse(&sound.to_string_lossy())
            {
                files.faults.push(late("start.tell-folder", error.to_string()));
            }
        }
    }
    if let Some(recordings) = &config.recordings {
        let key = "recordings.announcement-file";
        if files.here(&[(key, &recordings.announcement_file)])
            && let Err(error) = prompts::recording(&recordings.announcement_file)
        {
            files.faults.push(late(key, error));
        }
    }
    for (id, panel) in &config.panels {
        let key = format!("panels.{id}.greeting-file");
        if let Some(file) = &panel.greeting_file
            && files.here(&[(&key, file)])
            && let Err(error) = prompts::recording(file)
        {
            files.faults.push(late(&key, error));
        }
    }
    for (id, announcement) in &config.announcements {
        let key = format!("announcements.{id}.file");
        if files.here(&[(&key, &announcement.file)])
            && let Err(error) = prompts::recording(&announcement.file)
        {
            files.faults.push(late(&key, error));
        }
    }
    for (id, rule) in &config.rules {
        for (index, action) in rule.actions.iter().enumerate() {
            let key = format!("rules.{id}.do[{index}].prompt.file");
            if let RuleDo::Prompt(prompt) = &action.what
                && let Some(file) = &prompt.file
                && files.here(&[(&key, file)])
                && let Err(error) = prompts::recording(file)
            {
                files.faults.push(late(&key, error));
            }
        }
    }
    if let Some((text, hint)) = spoken::voiceless(config) {
        files.warnings.push(Late {
            hint,
            path: "start.tell-input".to_owned(),
            text,
        });
    }
    for (id, line) in &config.lines {
        let key = format!("lines.{id}.virtual.capture");
        if let LineDriver::Virtual(line) = &line.driver
            && let Capture::File(file) = &line.capture
            && files.here(&[(&key, file)])
            && let Err(error) = Source::parse(&line.capture.to_string())
        {
            files.faults.push(late(&key, error.to_string()));
        }
    }
    files
}
