//! From parameters to the supplicant's network block: what `SET_NETWORK` is told.

use std::fmt::Write as _;

use crate::memory::MemoryFile;
use crate::params::{ClientIdentity, Method, Params, PeapInner, ServerCheck, TtlsInner};

/// Files that the block names; dropped with it.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) ca: Option<MemoryFile>,
    pub(crate) cert: Option<MemoryFile>,
    pub(crate) key: Option<MemoryFile>,
}

impl Files {
    /// Puts what the parameters hold into memory files.
    ///
    /// # Errors
    /// What the kernel said.
    pub(crate) fn of(params: &Params) -> std::io::Result<Self> {
        let mut files = Self::default();
        if let ServerCheck::Verify { ca, .. } = &params.server {
            files.ca = Some(MemoryFile::new("dot1x-ca", ca.reveal())?);
        }
        match params.client.as_ref().filter(|_| params.method.verifies_server()) {
            Some(ClientIdentity::Pem { cert, key, .. }) => {
                files.cert = Some(MemoryFile::new("dot1x-cert", cert.reveal())?);
                files.key = Some(MemoryFile::new("dot1x-key", key.reveal())?);
            }
            Some(ClientIdentity::Pkcs12 { file, .. }) => {
                files.key = Some(MemoryFile::new("dot1x-p12", file.reveal())?);
            }
            None => {}
        }
        Ok(files)
    }
}

/// Text as the supplicant takes it whatever is in it: hexadecimal, without quotes.
fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The lines of the block, in order. Values may be secret: they are not for the log.
pub(crate) fn block(params: &Params, files: &Files) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("key_mgmt", "IEEE8021X".to_owned()),
        ("eapol_flags", "0".to_owned()),
    ];
    let (eap, phase2) = method(params.method);
    lines.push(("eap", eap.to_owned()));
    lines.push(("identity", hex(&params.identity)));
    if let Some(outer) = &params.outer_identity {
        lines.push(("anonymous_identity", hex(outer)));
    }
    if let Some(password) = params
        .password
        .as_ref()
        .filter(|_| !params.method.needs_certificate())
    {
        lines.push(("password", hex(password.reveal())));
    }
    if let Some(phase2) = phase2 {
        lines.push(("phase2", format!("\"{phase2}\"")));
    }
    if params.method.verifies_server() {
        if params.allow_tls13 {
            lines.push(("phase1", "\"tls_disable_tlsv1_3=0\"".to_owned()));
        }
        server(params, files, &mut lines);
        client(params, files, &mut lines);
    }
    lines
}

/// `eap` and `phase2`.
const fn method(method: Method) -> (&'static str, Option<&'static str>) {
    match method {
        Method::Md5 => ("MD5", None),
        Method::Mschapv2 => ("MSCHAPV2", None),
        Method::Peap(PeapInner::Gtc) => ("PEAP", Some("auth=GTC")),
        Method::Peap(PeapInner::Md5) => ("PEAP", Some("auth=MD5")),
        Method::Peap(PeapInner::Mschapv2) => ("PEAP", Some("auth=MSCHAPV2")),
        Method::Peap(PeapInner::Tls) => ("PEAP", Some("auth=TLS")),
        Method::Tls => ("TLS", None),
        Method::Ttls(TtlsInner::Chap) => ("TTLS", Some("auth=CHAP")),
        Method::Ttls(TtlsInner::EapMd5) => ("TTLS", Some("autheap=MD5")),
        Method::Ttls(TtlsInner::EapMschapv2) => ("TTLS", Some("autheap=MSCHAPV2")),
        Method::Ttls(TtlsInner::Mschap) => ("TTLS", Some("auth=MSCHAP")),
        Method::Ttls(TtlsInner::Mschapv2) => ("TTLS", Some("auth=MSCHAPV2")),
        Method::Ttls(TtlsInner::Pap) => ("TTLS", Some("auth=PAP")),
    }
}

fn server(params: &Params, files: &Files, lines: &mut Vec<(&'static str, String)>) {
    let (ServerCheck::Verify { names, .. }, Some(ca)) = (&params.server, &files.ca) else {
        return;
    };
    let (path, names) = (hex(&ca.path()), hex(&names.join(";")));
    lines.push(("ca_cert", path.clone()));
    lines.push(("domain_suffix_match", names.clone()));
    if params.method == Method::Peap(PeapInner::Tls) {
        // inside the tunnel the server shows its certificate once more
        lines.push(("ca_cert2", path));
        lines.push(("domain_suffix_match2", names));
    }
}

fn client(params: &Params, files: &Files, lines: &mut Vec<(&'static str, String)>) {
    let inner = params.method == Method::Peap(PeapInner::Tls);
    let (cert_key, key_key, pass_key) = if inner {
        ("client_cert2", "private_key2", "private_key2_passwd")
    } else {
        ("client_cert", "private_key", "private_key_passwd")
    };
    if let Some(cert) = &files.cert {
        lines.push((cert_key, hex(&cert.path())));
    }
    if let Some(key) = &files.key {
        lines.push((key_key, hex(&key.path())));
    }
    let passphrase = match &params.client {
        Some(ClientIdentity::Pem { passphrase, .. } | ClientIdentity::Pkcs12 { passphrase, .. }) => {
            passphrase
        }
        None => &None,
    };
    if let Some(passphrase) = passphrase.as_ref().filter(|_| files.key.is_some()) {
        lines.push((pass_key, hex(passphrase.reveal())));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway_core::Secret;

    use super::*;
    use crate::params::Bytes;

    fn params(method: Method) -> Params {
        Params {
            allow_tls13: false,
            client: method.needs_certificate().then(|| ClientIdentity::Pem {
                cert: Bytes::new(b"cert".to_vec()),
                key: Bytes::new(b"key".to_vec()),
                passphrase: Some(Secret::new("pass")),
            }),
            control_dir: "/run/y".into(),
            identity: "a\"b".into(),
            interface: "eth0".into(),
            method,
            outer_identity: None,
            password: (!method.needs_certificate()).then(|| Secret::new("p\nw")),
            program: "/usr/sbin/wpa_supplicant".into(),
            run_dir: "/run/x".into(),
            server: ServerCheck::Verify {
                ca: Bytes::new(b"ca".to_vec()),
                names: vec!["a.test".into(), "b.test".into()],
            },
            silence: Duration::from_secs(15),
        }
    }

    fn keys(params: &Params) -> Vec<&'static str> {
        let files = Files::of(params).expect("memory");
        block(params, &files).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn text_cannot_leave_its_value_whatever_is_in_it() {
        let params = params(Method::Md5);
        let files = Files::of(&params).expect("memory");
        let lines = block(&params, &files);
        assert!(lines.contains(&("identity", "612262".into())), "{lines:?}");
        assert!(lines.contains(&("password", "700a77".into())));
        assert!(lines.iter().all(|(_, value)| !value.contains('\n')));
    }

    #[test]
    fn a_method_without_tls_is_given_no_certificate_and_no_server() {
        assert_eq!(
            keys(&params(Method::Md5)),
            ["key_mgmt", "eapol_flags", "eap", "identity", "password"]
        );
    }

    #[test]
    fn every_tunnel_names_ca_and_server() {
        for method in [
            Method::Peap(PeapInner::Mschapv2),
            Method::Ttls(TtlsInner::Pap),
            Method::Ttls(TtlsInner::EapMd5),
            Method::Tls,
            Method::Peap(PeapInner::Tls),
        ] {
            let keys = keys(&params(method));
            assert!(
                keys.contains(&"ca_cert") && keys.contains(&"domain_suffix_match"),
                "{method:?}: {keys:?}"
            );
        }
        let inner = keys(&params(Method::Peap(PeapInner::Tls)));
        for key in [
            "ca_cert2",
            "domain_suffix_match2",
            "client_cert2",
            "private_key2",
            "private_key2_passwd",
        ] {
            assert!(inner.contains(&key), "{key}: {inner:?}");
        }
        assert!(
            !inner.contains(&"private_key") && !inner.contains(&"password"),
            "{inner:?}"
        );
    }

    #[test]
    fn keys_are_given_by_a_path_into_memory() {
        let params = params(Method::Tls);
        let files = Files::of(&params).expect("memory");
        let lines = block(&params, &files);
        let path = lines
            .iter()
            .find(|(key, _)| *key == "private_key")
            .map(|(_, value)| value.clone());
        assert_eq!(path, files.key.as_ref().map(|key| hex(&key.path())));
        assert!(lines.contains(&("private_key_passwd", hex("pass"))));
        let names = lines.iter().find(|(key, _)| *key == "domain_suffix_match");
        assert_eq!(names.map(|(_, v)| v.clone()), Some(hex("a.test;b.test")));
    }
}
