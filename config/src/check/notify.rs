//! Channels of notifications.

use super::Check;
use crate::fault::FaultKind;
use crate::model::{Mail, NotifyTarget, Syslog};
use crate::value::{MailTls, SyslogTransport};

pub(super) fn check(check: &mut Check<'_>) {
    for (id, channel) in &check.config.notify {
        let at = |key: &str| format!("notify.{id}.{key}");
        sources(
            check,
            &at("sources"),
            channel.sources.as_deref().unwrap_or_default(),
        );
        match &channel.target {
            NotifyTarget::Mail(it) => mail(check, &at("mail"), it),
            NotifyTarget::Syslog(it) => syslog(check, &at("syslog"), it),
            NotifyTarget::Telegram(it) => {
                let keys = (at("telegram.token"), at("telegram.token-file"));
                if !one_secret(check, &keys) {
                    let text = "has no token".to_owned();
                    let hint = "add: token-file = \"…\"";
                    check.fault(
                        FaultKind::Missing,
                        &at("telegram"),
                        &[&keys.0, &keys.1],
                        text,
                        hint,
                    );
                }
                tls_file(check, &at("telegram"), "api", it.api.tls, it.ca_file.is_some());
                clear(
                    check,
                    &at("telegram.api"),
                    it.api.tls || it.api.host.is_loopback(),
                    "https://…",
                );
            }
            NotifyTarget::Webhook(it) => {
                one_secret(check, &(at("webhook.key"), at("webhook.key-file")));
                one_secret(
                    check,
                    &(at("webhook.authorization"), at("webhook.authorization-file")),
                );
                tls_file(check, &at("webhook"), "url", it.url.tls, it.ca_file.is_some());
                clear(
                    check,
                    &at("webhook.url"),
                    it.url.tls || it.url.host.is_loopback(),
                    "https://…",
                );
                if it.body.is_none() && check.is_written(&at("webhook.content-type")) {
                    let text = "has no meaning without a body of one's own".to_owned();
                    let hint = "remove it, or add: body = \"…\"";
                    check.fault(
                        FaultKind::Conflict,
                        &at("webhook.content-type"),
                        &[&at("webhook.body")],
                        text,
                        hint,
                    );
                }
            }
        }
    }
}

/// A source that nothing has is a channel that stays silent.
fn sources(check: &mut Check<'_>, at: &str, sources: &[String]) {
    let config = check.config;
    let known: Vec<&str> = (config.doors.keys().map(|id| id.as_str()))
        .chain(config.panels.keys().map(|id| id.as_str()))
        .chain(config.readers.keys().map(|id| id.as_str()))
        .chain(config.controllers.keys().map(|id| id.as_str()))
        .chain(config.lines.keys().map(|id| id.as_str()))
        .chain(config.accounts.keys().map(|id| id.as_str()))
        .chain(config.outputs.keys().map(|id| id.as_str()))
        .chain(config.inputs.keys().map(|id| id.as_str()))
        .collect();
    for (index, source) in sources.iter().enumerate() {
        if !known.contains(&source.as_str()) {
            let text = format!("nothing is named {source:?}, and its events never come");
            let hint = "allowed: names of doors, panels, readers, lines, accounts, outputs and inputs";
            check.fault(FaultKind::Dangling, &format!("{at}[{index}]"), &[], text, hint);
        }
    }
}

fn mail(check: &mut Check<'_>, at: &str, mail: &Mail) {
    let keys = (format!("{at}.password"), format!("{at}.password-file"));
    let user = format!("{at}.user");
    match (one_secret(check, &keys), &mail.user) {
        (true, None) => {
            let text = "there is a password, but no user".to_owned();
            check.fault(FaultKind::Conflict, at, &[&user], text, "add: user = \"…\"");
        }
        (false, Some(_)) => {
            let text = "there is no password for it".to_owned();
            check.fault(
                FaultKind::Missing,
                &user,
                &[&keys.0, &keys.1],
                text,
                "add: password-file = \"…\"",
            );
        }
        (true, Some(_)) | (false, None) => {}
    }
    tls_file(check, at, "tls", mail.tls != MailTls::Off, mail.ca_file.is_some());
    let covered = mail.tls != MailTls::Off || mail.server.host.is_loopback();
    clear(
        check,
        &format!("{at}.tls"),
        covered,
        "tls = \"tls\" or \"starttls\"",
    );
}

fn syslog(check: &mut Check<'_>, at: &str, syslog: &Syslog) {
    let tls = syslog.transport == SyslogTransport::Tls;
    tls_file(check, at, "transport", tls, syslog.ca_file.is_some());
    let covered = tls || syslog.server.host.is_loopback();
    clear(check, &format!("{at}.transport"), covered, "transport = \"tls\"");
}

/// True if there is a secret, here or in a file; both are one too many.
fn one_secret(check: &mut Check<'_>, (here, file): &(String, String)) -> bool {
    if check.is_written(here) && check.is_written(file) {
        let (key, file_key) = (last(here), last(file));
        let text = format!("there is also {key}");
        check.fault(
            FaultKind::Conflict,
            file,
            &[],
            text,
            &format!("allowed: {key} or {file_key}"),
        );
    }
    check.is_written(here) || check.is_written(file)
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn tls_file(check: &mut Check<'_>, at: &str, key: &str, tls: bool, file: bool) {
    if file && !tls {
        let text = "has no meaning without TLS".to_owned();
        let hint = format!("remove it, or let {key} ask for TLS");
        check.fault(
            FaultKind::Conflict,
            &format!("{at}.ca-file"),
            &[&format!("{at}.{key}")],
            text,
            &hint,
        );
    }
}

fn clear(check: &mut Check<'_>, at: &str, covered: bool, hint: &str) {
    if !covered {
        let text = "who comes and goes, and what proves who we are, travel in clear".to_owned();
        check.warn(FaultKind::Unsafe, at, text, &format!("set {hint}"));
    }
}
