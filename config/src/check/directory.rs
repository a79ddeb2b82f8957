//! The directory of contacts, and targets that name a contact.

use super::Check;
use crate::fault::FaultKind;
use crate::value::DirectoryTls;

pub(super) fn check(check: &mut Check<'_>) {
    targets(check);
    let Some(directory) = &check.config.directory else {
        return;
    };
    let (here, file) = ("directory.password", "directory.password-file");
    if check.is_written(here) && check.is_written(file) {
        let text = "there is also a password".to_owned();
        check.fault(
            FaultKind::Conflict,
            file,
            &[],
            text,
            "allowed: password or password-file",
        );
    }
    let password = [here, file].into_iter().find(|at| check.is_written(at));
    match (password, &directory.bind_dn) {
        (Some(at), None) => {
            let text = "there is a password, but no bind-dn".to_owned();
            check.fault(
                FaultKind::Conflict,
                at,
                &["directory.bind-dn"],
                text,
                "add: bind-dn = \"…\"",
            );
        }
        // an empty password would be no login at all (RFC 4513 §5.1.2)
        (None, Some(_)) => {
            let text = "there is no password for it".to_owned();
            check.fault(
                FaultKind::Missing,
                "directory.bind-dn",
                &[here, file],
                text,
                "add: password-file = \"…\"",
            );
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    if directory.tls == DirectoryTls::Off {
        if directory.ca_file.is_some() {
            let text = "has no meaning with tls = \"off\"".to_owned();
            let hint = "remove it, or set tls = \"ldaps\"";
            check.fault(
                FaultKind::Conflict,
                "directory.ca-file",
                &["directory.tls"],
                text,
                hint,
            );
        }
        if !directory.server.host.is_loopback() {
            let text = "off: password and numbers travel in clear, and whoever is on the way can change whom the bell rings"
                .to_owned();
            check.warn(
                FaultKind::Unsafe,
                "directory.tls",
                text,
                "set tls = \"ldaps\" or \"starttls\"",
            );
        }
    }
}

fn targets(check: &mut Check<'_>) {
    for (id, list) in &check.config.lists {
        for (index, target) in list.targets.iter().enumerate() {
            let at = format!("lists.{id}.targets[{index}]");
            let (to, contact) = (format!("{at}.to"), format!("{at}.contact"));
            match (&target.to, &target.contact) {
                (Some(_), Some(_)) => {
                    let text = "there is also a number to call".to_owned();
                    check.fault(
                        FaultKind::Conflict,
                        &contact,
                        &[&to],
                        text,
                        "allowed: to or contact",
                    );
                }
                (None, None) => {
                    let text = "says nobody to call".to_owned();
                    let hint = "add: to = \"…\", or contact = \"…\"";
                    check.fault(FaultKind::Missing, &at, &[&to, &contact], text, hint);
                }
                (Some(_), None) | (None, Some(_)) => {}
            }
        }
    }
}
