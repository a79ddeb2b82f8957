//! Site, MQTT and HTTP.

use std::path::PathBuf;

use super::Check;
use crate::fault::FaultKind;
use crate::model::Mqtt;
use crate::read::quoted;
use crate::value::{BrokerUrl, MqttCommands};

/// Most bytes of `run-dir`: a path of 107 bytes fits into `sockaddr_un` (unix(7)), and the longest one in the folder is
/// `/control.sock`.
const LONGEST_RUN_DIR: usize = 107 - "/control.sock".len();

pub(super) fn check(check: &mut Check<'_>) {
    site(check);
    mqtt(check);
    http(check);
    sip(check);
}

fn site(check: &mut Check<'_>) {
    let site = &check.config.site;
    let zone = &site.time_zone;
    let at = "site.time-zone";
    if zone != "UTC" && jiff::tz::TimeZone::get(zone).is_err() {
        if jiff::tz::db().is_definitively_empty() {
            let text = format!(
                "{} cannot be checked: this machine has no time zone database",
                quoted(zone)
            );
            check.warn(
                FaultKind::File,
                at,
                text,
                "install the package tzdata; until then times are UTC",
            );
        } else {
            let text = format!("{} is not a time zone", quoted(zone));
            let hint = "allowed: a name of the IANA database, such as Europe/Paris";
            check.fault(FaultKind::BadValue, at, &[], text, hint);
        }
    }
    let run_dir = site.run_dir.as_os_str().len();
    if run_dir > LONGEST_RUN_DIR {
        let text =
            format!("has {run_dir} bytes: the path of a socket in it would be longer than Linux takes");
        let hint = format!("allowed: at most {LONGEST_RUN_DIR} bytes");
        check.fault(FaultKind::BadValue, "site.run-dir", &[], text, &hint);
    }
    if site.state_dir == site.run_dir {
        let text = format!(
            "{} is also site.state-dir",
            quoted(&site.run_dir.display().to_string())
        );
        let hint = "allowed: a folder of its own; run-dir is emptied at boot";
        check.fault(
            FaultKind::Conflict,
            "site.run-dir",
            &["site.state-dir"],
            text,
            hint,
        );
    }
}

fn mqtt(check: &mut Check<'_>) {
    let Some(mqtt) = &check.config.mqtt else { return };
    let file = "mqtt.password-file";
    let password = ["mqtt.password", file]
        .into_iter()
        .find(|at| check.is_written(at));
    if check.is_written("mqtt.password") && check.is_written(file) {
        let text = "there is also a password".to_owned();
        check.fault(
            FaultKind::Conflict,
            file,
            &[],
            text,
            "allowed: password or password-file",
        );
    }
    if let Some(at) = password
        && mqtt.user.is_none()
    {
        let text = "there is a password, but no user".to_owned();
        check.fault(FaultKind::Conflict, at, &["mqtt.user"], text, "add: user = \"…\"");
    }
    if mqtt.broker == BrokerUrl::Embedded
        && let Some((id, _)) = check.config.outputs.iter().find(|(_, o)| !o.driver.is_virtual())
    {
        let text = format!(
            "\"embedded\": anybody on this machine may send commands to it, and {} is real",
            check.cite(&format!("outputs.{id}"))
        );
        let hint = "allowed beside virtual outputs only: set broker = \"mqtts://…\"";
        check.fault(
            FaultKind::Unsafe,
            "mqtt.broker",
            &[&format!("outputs.{id}")],
            text,
            hint,
        );
    }
    let (tls, local) = match &mqtt.broker {
        BrokerUrl::Embedded => (false, true),
        BrokerUrl::Remote { host, tls, .. } => (*tls, host.is_loopback()),
    };
    if mqtt.ca_file.is_some() && !tls {
        let text = format!("has no meaning with broker = \"{}\"", mqtt.broker);
        let hint = "remove it, or set broker = \"mqtts://…\"";
        check.fault(FaultKind::Conflict, "mqtt.ca-file", &["mqtt.broker"], text, hint);
    }
    let files = [
        ("mqtt.cert-file", &mqtt.cert_file),
        ("mqtt.key-file", &mqtt.key_file),
    ];
    for (at, file) in files {
        if file.is_some() && !tls {
            let text = format!("has no meaning with broker = \"{}\"", mqtt.broker);
            let hint = "remove it, or set broker = \"mqtts://…\"";
            check.fault(FaultKind::Conflict, at, &["mqtt.broker"], text, hint);
        }
    }
    both_or_neither(check, files);
    if mqtt.press && !check.config.lines.values().any(|line| line.driver.is_virtual()) {
        let text = "true: no line is virtual, nothing can be pressed".to_owned();
        check.fault(FaultKind::Conflict, "mqtt.press", &[], text, "remove it");
    }
    if !tls && !local {
        let text = "commands and password travel in clear".to_owned();
        check.warn(
            FaultKind::Unsafe,
            "mqtt.broker",
            text,
            "set broker = \"mqtts://…\"",
        );
    }
    if mqtt.discovery && mqtt.base == mqtt.discovery_prefix {
        let text = format!("{} is also mqtt.base", quoted(mqtt.base.as_str()));
        let depends = ["mqtt.base"];
        let hint = "allowed: a topic of its own";
        let at = "mqtt.discovery-prefix";
        let at = if check.is_written(at) { at } else { "mqtt.base" };
        check.fault(FaultKind::Conflict, at, &depends, text, hint);
    }
    keys(check, mqtt);
    if mqtt.accept_untimed {
        let text = "true: a command that was kept on its way can open a door late".to_owned();
        let hint = "give commands a time and an id instead";
        check.warn(FaultKind::Unsafe, "mqtt.accept-untimed", text, hint);
    }
}

/// Fewest characters of a secret that signs.
const SECRET: usize = 16;

fn keys(check: &mut Check<'_>, mqtt: &Mqtt) {
    if mqtt.commands == MqttCommands::Signed && mqtt.keys.is_empty() {
        let text = "\"signed\": there is no key, so that no command is taken".to_owned();
        let hint = "add: [mqtt.keys.NAME] with secret-file = \"…\"";
        check.fault(FaultKind::Missing, "mqtt.commands", &["mqtt.keys"], text, hint);
    }
    for (id, key) in &mqtt.keys {
        let at = |field: &str| format!("mqtt.keys.{id}{field}");
        if id.as_str() == gateway_core::Subject::UNSIGNED {
            let text = "under this name stands in the journal whoever signs nothing".to_owned();
            let hint = "allowed: another name";
            check.fault(FaultKind::Conflict, &at(""), &[], text, hint);
        }
        let written = [".secret", ".secret-file"].map(|field| check.is_written(&at(field)));
        match written {
            [true, true] => {
                let text = "there is also a secret".to_owned();
                let hint = "allowed: secret or secret-file";
                check.fault(FaultKind::Conflict, &at(".secret-file"), &[], text, hint);
            }
            [false, false] => {
                let text = "there is nothing to sign with".to_owned();
                let hint = "needed: secret-file = \"…\" (or secret)";
                check.fault(FaultKind::Missing, &at(""), &[], text, hint);
            }
            [true, false] | [false, true] => {}
        }
        let length = key.secret.as_ref().map(|secret| secret.reveal().chars().count());
        if let Some(length) = length.filter(|length| *length < SECRET) {
            let text = format!("has {length} characters: who sees one command can find it by trying");
            let hint = "allowed: at least 16 characters, such as openssl rand -hex 24 prints";
            let file = at(".secret-file");
            let place = if check.is_written(&file) {
                file
            } else {
                at(".secret")
            };
            check.fault(FaultKind::OutOfRange, &place, &[], text, hint);
        }
    }
}

fn http(check: &mut Check<'_>) {
    let Some(http) = &check.config.http else { return };
    if !http.tls && !http.listen.ip().is_loopback() {
        let text = format!(
            "{} is not loopback, and tls is false: passwords would be seen",
            http.listen
        );
        let hint = "allowed: 127.0.0.1 or [::1], or any address with tls = true";
        check.fault(FaultKind::Unsafe, "http.listen", &["http.tls"], text, hint);
    }
    let files = [
        ("http.cert-file", &http.cert_file),
        ("http.key-file", &http.key_file),
    ];
    for (at, file) in files {
        if file.is_some() && !http.tls {
            let text = "has no meaning while tls is false".to_owned();
            check.fault(
                FaultKind::Conflict,
                at,
                &["http.tls"],
                text,
                "set tls = true, or remove it",
            );
        }
    }
    both_or_neither(check, files);
}

fn sip(check: &mut Check<'_>) {
    let sip = &check.config.sip;
    let files = [
        ("sip.tls-cert-file", &sip.tls_cert_file),
        ("sip.tls-key-file", &sip.tls_key_file),
    ];
    if sip.tls_port != 0 && files.iter().all(|(_, file)| file.is_none()) {
        let text = format!("{} needs a certificate and its key", sip.tls_port);
        let hint = "add tls-cert-file and tls-key-file, or set 0";
        check.fault(FaultKind::Missing, "sip.tls-port", &[], text, hint);
    }
    both_or_neither(check, files);
    if sip.tls_client_ca_file.is_some() && sip.tls_port == 0 {
        let text = "there is no TLS port at which a certificate could be asked for".to_owned();
        let hint = "add tls-port, or remove this";
        check.fault(
            FaultKind::Conflict,
            "sip.tls-client-ca-file",
            &["sip.tls-port"],
            text,
            hint,
        );
    }
}

/// A certificate is of no use without its key.
pub(super) fn both_or_neither(check: &mut Check<'_>, files: [(&'static str, &Option<PathBuf>); 2]) {
    let [(cert_at, cert), (key_at, key)] = files;
    for (at, here, other_at, other) in [(cert_at, cert, key_at, key), (key_at, key, cert_at, cert)] {
        if here.is_some() && other.is_none() {
            let text = format!("needs {other_at} as well");
            check.fault(
                FaultKind::Conflict,
                at,
                &[other_at],
                text,
                "allowed: both, or neither",
            );
        }
    }
}
