//! The switch port: methods that do not exist, secrets that are missing, servers that nobody verifies.

use super::Check;
use crate::fault::FaultKind;
use crate::model::Dot1x;
use crate::value::{EapInner, EapMethod};

pub(super) fn check(check: &mut Check<'_>) {
    let Some(dot1x) = &check.config.dot1x else { return };
    inner(check, dot1x);
    password(check, dot1x);
    server(check, dot1x);
    client(check, dot1x);
}

/// True if certificates take the password's place.
const fn by_certificate(dot1x: &Dot1x) -> bool {
    matches!(
        (dot1x.method, dot1x.inner),
        (EapMethod::Tls, _) | (EapMethod::Peap, Some(EapInner::Tls))
    )
}

const fn has_tunnel(method: EapMethod) -> bool {
    matches!(method, EapMethod::Peap | EapMethod::Ttls)
}

/// The inner method in the tunnel it was made for.
fn inner(check: &mut Check<'_>, dot1x: &Dot1x) {
    let at = "dot1x.inner";
    let depends = ["dot1x.method"];
    let method = dot1x.method;
    let hint = match method {
        EapMethod::Peap => "allowed with peap: mschapv2, md5, gtc, tls",
        EapMethod::Ttls => "allowed with ttls: pap, chap, mschap, mschapv2, eap-md5, eap-mschapv2",
        EapMethod::Md5 | EapMethod::Mschapv2 | EapMethod::Tls => "remove it",
    };
    let text = match (method, dot1x.inner) {
        (EapMethod::Md5 | EapMethod::Mschapv2 | EapMethod::Tls, None) => return,
        (EapMethod::Md5 | EapMethod::Mschapv2 | EapMethod::Tls, Some(_)) => {
            "has no meaning: the method has no tunnel".to_owned()
        }
        (EapMethod::Peap | EapMethod::Ttls, None) => {
            check.fault(
                FaultKind::Missing,
                "dot1x.method",
                &[at],
                "has a tunnel, and inner does not say what is in it".to_owned(),
                hint,
            );
            return;
        }
        (EapMethod::Peap, Some(inner)) => match inner {
            EapInner::Gtc | EapInner::Md5 | EapInner::Mschapv2 | EapInner::Tls => return,
            EapInner::Chap | EapInner::Pap | EapInner::Mschap => {
                "is not possible in PEAP: its tunnel carries EAP methods only, and this is none; TTLS carries it".to_owned()
            }
            EapInner::EapMd5 => "is called md5 in PEAP, where everything is EAP".to_owned(),
            EapInner::EapMschapv2 => "is called mschapv2 in PEAP, where everything is EAP".to_owned(),
        },
        (EapMethod::Ttls, Some(inner)) => match inner {
            EapInner::Chap
            | EapInner::EapMd5
            | EapInner::EapMschapv2
            | EapInner::Mschap
            | EapInner::Mschapv2
            | EapInner::Pap => return,
            EapInner::Md5 => "is called eap-md5 in TTLS, which carries other methods as well".to_owned(),
            EapInner::Gtc | EapInner::Tls => "is not supported in TTLS".to_owned(),
        },
    };
    check.fault(FaultKind::Conflict, at, &depends, text, hint);
}

fn password(check: &mut Check<'_>, dot1x: &Dot1x) {
    let (here, file) = ("dot1x.password", "dot1x.password-file");
    let written = [here, file].into_iter().find(|at| check.is_written(at));
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
    match written {
        Some(at) if by_certificate(dot1x) => {
            let text = "has no meaning: a certificate takes its place".to_owned();
            check.fault(
                FaultKind::Conflict,
                at,
                &["dot1x.method", "dot1x.inner"],
                text,
                "remove it",
            );
        }
        None if !by_certificate(dot1x) => {
            let text = "needs a password".to_owned();
            let depends = [here, file, "dot1x.inner"];
            check.fault(
                FaultKind::Missing,
                "dot1x.method",
                &depends,
                text,
                "add: password-file = \"…\"",
            );
        }
        Some(_) | None => {}
    }
}

/// Who is on the other side?
fn server(check: &mut Check<'_>, dot1x: &Dot1x) {
    let (ca, names, accept) = ("dot1x.ca-file", "dot1x.server-names", "dot1x.accept-any-server");
    let tls = has_tunnel(dot1x.method) || dot1x.method == EapMethod::Tls;
    let depends = ["dot1x.method", accept];
    for (at, there) in [
        (ca, dot1x.ca_file.is_some()),
        (names, !dot1x.server_names.is_empty()),
    ] {
        if there && !tls {
            let text = "has no meaning: the method cannot verify a server".to_owned();
            check.fault(
                FaultKind::Conflict,
                at,
                &depends,
                text,
                "remove it, or choose peap, ttls or tls",
            );
        } else if there && dot1x.accept_any_server {
            let text = "has no meaning with accept-any-server = true".to_owned();
            check.fault(FaultKind::Conflict, at, &depends, text, "remove one of the two");
        } else if !there && tls && !dot1x.accept_any_server {
            let text = format!(
                "needs {} to know the network from an impostor",
                at.trim_start_matches("dot1x.")
            );
            let hint = "add ca-file and server-names; accept-any-server = true takes the risk instead";
            check.fault(FaultKind::Unsafe, "dot1x.method", &[at, accept], text, hint);
        }
    }
    if !tls && !dot1x.accept_any_server {
        let text = "verifies no server, and its password can be guessed from what is heard".to_owned();
        let hint = "choose peap, ttls or tls; accept-any-server = true takes the risk instead";
        check.fault(FaultKind::Unsafe, "dot1x.method", &[accept], text, hint);
    }
    if !tls && dot1x.outer_identity.is_some() {
        let text = "has no meaning: the method has no tunnel to hide the identity in".to_owned();
        check.fault(
            FaultKind::Conflict,
            "dot1x.outer-identity",
            &depends,
            text,
            "remove it",
        );
    }
    if !tls && dot1x.tls13 {
        let text = "true: the method has no TLS".to_owned();
        check.fault(FaultKind::Conflict, "dot1x.tls13", &depends, text, "remove it");
    }
    if dot1x.accept_any_server {
        let text =
            "true: whoever holds the cable can pose as the network and collect the password".to_owned();
        check.warn(
            FaultKind::Unsafe,
            accept,
            text,
            "add ca-file and server-names instead",
        );
    }
}

/// The gateway's own certificate.
fn client(check: &mut Check<'_>, dot1x: &Dot1x) {
    let files = [
        ("dot1x.client-cert-file", &dot1x.client_cert_file),
        ("dot1x.client-key-file", &dot1x.client_key_file),
    ];
    let p12 = "dot1x.client-p12-file";
    let pem = files.iter().find(|(_, file)| file.is_some()).map(|(at, _)| *at);
    let any = pem.or(dot1x.client_p12_file.as_ref().map(|_| p12));
    super::services::both_or_neither(check, files);
    if let Some(pem) = pem
        && dot1x.client_p12_file.is_some()
    {
        let text = format!("there is also {}", pem.trim_start_matches("dot1x."));
        let hint = "allowed: client-p12-file, or client-cert-file with client-key-file";
        check.fault(FaultKind::Conflict, p12, &[], text, hint);
    }
    let tls = has_tunnel(dot1x.method) || dot1x.method == EapMethod::Tls;
    match any {
        Some(at) if !tls => {
            let text = "has no meaning: the method has no TLS".to_owned();
            check.fault(FaultKind::Conflict, at, &["dot1x.method"], text, "remove it");
        }
        None if by_certificate(dot1x) => {
            let text = "needs a certificate of the gateway and its key".to_owned();
            let depends = [files[0].0, files[1].0, p12, "dot1x.inner"];
            let hint = "add client-cert-file and client-key-file, or client-p12-file";
            check.fault(FaultKind::Missing, "dot1x.method", &depends, text, hint);
        }
        Some(_) | None => {}
    }
    let (here, file) = ("dot1x.client-passphrase", "dot1x.client-passphrase-file");
    if check.is_written(here) && check.is_written(file) {
        let text = "there is also a passphrase".to_owned();
        let hint = "allowed: client-passphrase or client-passphrase-file";
        check.fault(FaultKind::Conflict, file, &[], text, hint);
    }
    let written = [here, file].into_iter().find(|at| check.is_written(at));
    if let (Some(at), None) = (written, any) {
        let text = "has no meaning: there is no key that it could open".to_owned();
        check.fault(FaultKind::Conflict, at, &[files[1].0, p12], text, "remove it");
    }
}
