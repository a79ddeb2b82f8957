//! The switch port: from the site file, and the files it names, to the adapter.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use adapter_dot1x::{
    Bytes, ClientIdentity, Material, Method, Named, Params, PeapInner, ServerCheck, TtlsInner, check, in_time,
};
use gateway_config::{Config, EapInner, EapMethod, Late};
use gateway_core::Timestamp;
use rustix::fs::OFlags;

/// Most bytes of a certificate or key file.
const LARGEST: u64 = 1 << 20;
/// A port to look after.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The certificates behind it.
    pub(crate) certificates: Vec<Named>,
    /// What the adapter is told.
    pub(crate) params: Params,
}

impl Wanted {
    /// What is wrong with the dates of its certificates, by a clock that can be believed.
    pub(crate) fn untimely(&self, now: Timestamp) -> Option<Late> {
        let error = in_time(&self.certificates, now).err()?;
        Some(late(error.part, error.text, &error.hint))
    }
}

/// What became of a `[dot1x]`.
#[derive(Debug, Default)]
pub(crate) struct Port {
    /// What is to run; `None` if there is nothing to look after, or if a file cannot be read.
    pub(crate) wanted: Option<Wanted>,
    /// What is wrong with its files.
    pub(crate) faults: Vec<Late>,
    /// What could not be checked.
    pub(crate) warnings: Vec<Late>,
}

impl Port {
    /// As [`Wanted::untimely`].
    pub(crate) fn untimely(&self, now: Timestamp) -> Option<Late> {
        self.wanted.as_ref().and_then(|wanted| wanted.untimely(now))
    }
}

/// Files that are not there, as paths of keys; for a check on another machine.
pub(crate) fn missing(config: &Config) -> Vec<Late> {
    let Some(dot1x) = &config.dot1x else { return vec![] };
    let files = [
        ("ca-file", &dot1x.ca_file),
        ("client-cert-file", &dot1x.client_cert_file),
        ("client-key-file", &dot1x.client_key_file),
        ("client-p12-file", &dot1x.client_p12_file),
    ];
    files
        .into_iter()
        .filter_map(|(key, file)| Some((key, file.as_deref()?)))
        .filter(|(_, file)| !file.exists())
        .map(|(key, file)| {
            late(
                key,
                format!("{} is not here", file.display()),
                "check it on the gateway",
            )
        })
        .collect()
}

fn late(key: &str, text: String, hint: &str) -> Late {
    Late {
        hint: hint.to_owned(),
        path: format!("dot1x.{key}"),
        text,
    }
}

/// Reads and checks what the site file says of the port. Dates of certificates are judged only with a date, which is that
/// of a clock that can be believed; they are the last to be judged.
pub(crate) fn dot1x(config: &Config, now: Option<Timestamp>) -> Port {
    let Some(table) = &config.dot1x else {
        return Port::default();
    };
    let mut port = Port::default();
    let Ok(params) = params(config, table, &mut port.faults) else {
        return port;
    };
    let material = Material {
        client: params.client.as_ref(),
        server: &params.server,
    };
    let mut certificates = vec![];
    match check(material) {
        Ok(chain) => {
            certificates = chain.certificates;
            let unchecked = chain.unchecked.into_iter();
            port.warnings
                .extend(unchecked.map(|(key, text)| late(key, text, "the supplicant will tell")));
        }
        Err(error) => port.faults.push(late(error.part, error.text, &error.hint)),
    }
    let wanted = Wanted { certificates, params };
    port.faults.extend(now.and_then(|now| wanted.untimely(now)));
    port.wanted = Some(wanted);
    port
}

/// A file could not be read, which was told.
struct Unreadable;

fn params(
    config: &Config,
    table: &gateway_config::Dot1x,
    faults: &mut Vec<Late>,
) -> Result<Params, Unreadable> {
    let mut file = |key: &str, path: Option<&Path>, secret: bool| {
        let Some(path) = path else { return Ok(None) };
        match read(path, secret) {
            Ok(bytes) => Ok(Some(bytes)),
            Err((text, hint)) => {
                faults.push(late(key, text, hint));
                Err(Unreadable)
            }
        }
    };
    // every file is read, so that all that is wrong is said at once
    let ca = file("ca-file", table.ca_file.as_deref(), false);
    let cert = file("client-cert-file", table.client_cert_file.as_deref(), false);
    let key = file("client-key-file", table.client_key_file.as_deref(), true);
    let p12 = file("client-p12-file", table.client_p12_file.as_deref(), true);
    let (ca, cert, key, p12) = (ca?, cert?, key?, p12?);
    let public = [
        ("ca-file", &table.ca_file, &ca),
        ("client-cert-file", &table.client_cert_file, &cert),
    ];
    for (key, path, found) in public {
        if let (Some(path), Some(found)) = (path, found)
            && holds_key(found.reveal())
            && let Err((text, hint)) = read(path, true)
        {
            faults.push(late(
                key,
                format!("there is a private key in it, and {text}"),
                hint,
            ));
        }
    }
    password_fits(table, faults);
    let passphrase = table.client_passphrase.clone();
    Ok(Params {
        allow_tls13: table.tls13,
        client: match (cert, key, p12) {
            (_, _, Some(file)) => Some(ClientIdentity::Pkcs12 { file, passphrase }),
            (Some(cert), Some(key), None) => Some(ClientIdentity::Pem {
                cert,
                key,
                passphrase,
            }),
            (_, _, None) => None,
        },
        control_dir: table.control_dir.clone(),
        identity: table.identity.clone(),
        interface: table.interface.as_str().to_owned(),
        method: method(table.method, table.inner),
        outer_identity: table.outer_identity.clone(),
        password: table.password.clone(),
        program: table.supplicant.clone(),
        run_dir: config.site.run_dir.clone(),
        server: match ca {
            Some(ca) => ServerCheck::Verify {
                ca,
                names: table
                    .server_names
                    .iter()
                    .map(|name| name.as_str().to_owned())
                    .collect(),
            },
            // only with accept-any-server: everything else was refused before
            None => ServerCheck::AnyServer,
        },
        silence: table.silence,
    })
}

/// Is there a private key in a PEM file?
fn holds_key(pem: &[u8]) -> bool {
    String::from_utf8_lossy(pem).contains("PRIVATE KEY-----")
}

/// The hash of MS-CHAP is made of 16 bits a character (RFC 2759 §8.3), and the supplicant makes none of a character that
/// needs two of these.
fn password_fits(table: &gateway_config::Dot1x, faults: &mut Vec<Late>) {
    let hashed = match (table.method, table.inner) {
        (EapMethod::Mschapv2, _) => true,
        (EapMethod::Peap | EapMethod::Ttls, Some(inner)) => match inner {
            EapInner::EapMschapv2 | EapInner::Mschap | EapInner::Mschapv2 => true,
            EapInner::Chap
            | EapInner::EapMd5
            | EapInner::Gtc
            | EapInner::Md5
            | EapInner::Pap
            | EapInner::Tls => false,
        },
        (EapMethod::Md5 | EapMethod::Peap | EapMethod::Tls | EapMethod::Ttls, _) => false,
    };
    let Some(password) = table.password.as_ref().filter(|_| hashed) else {
        return;
    };
    let wide = password.reveal().chars().position(|c| u32::from(c) > 0xffff);
    if let Some(position) = wide {
        let key = if table.password_file.is_some() {
            "password-file"
        } else {
            "password"
        };
        let text = format!(
            "character {} of the password is one that MS-CHAP cannot carry (beyond U+FFFF, such as an emoji)",
            position + 1
        );
        faults.push(late(
            key,
            text,
            "choose another password; or ttls with pap, which carries any",
        ));
    }
}

/// Combinations that do not exist were refused when the file was read.
const fn method(method: EapMethod, inner: Option<EapInner>) -> Method {
    match (method, inner) {
        (EapMethod::Md5, _) => Method::Md5,
        (EapMethod::Mschapv2, _) => Method::Mschapv2,
        (EapMethod::Tls, _) => Method::Tls,
        (EapMethod::Peap, inner) => Method::Peap(match inner {
            Some(EapInner::Gtc) => PeapInner::Gtc,
            Some(EapInner::Md5) => PeapInner::Md5,
            Some(EapInner::Tls) => PeapInner::Tls,
            Some(
                EapInner::Chap
                | EapInner::EapMd5
                | EapInner::EapMschapv2
                | EapInner::Mschap
                | EapInner::Mschapv2
                | EapInner::Pap,
            )
            | None => PeapInner::Mschapv2,
        }),
        (EapMethod::Ttls, inner) => Method::Ttls(match inner {
            Some(EapInner::Chap) => TtlsInner::Chap,
            Some(EapInner::EapMd5) => TtlsInner::EapMd5,
            Some(EapInner::EapMschapv2) => TtlsInner::EapMschapv2,
            Some(EapInner::Mschap) => TtlsInner::Mschap,
            Some(EapInner::Pap) => TtlsInner::Pap,
            Some(EapInner::Gtc | EapInner::Md5 | EapInner::Mschapv2 | EapInner::Tls) | None => {
                TtlsInner::Mschapv2
            }
        }),
    }
}

/// Reads a file; one with a key in it must not be readable by others.
fn read(path: &Path, secret: bool) -> Result<Bytes, (String, &'static str)> {
    let unreadable = |error: std::io::Error| {
        (
            format!("{} cannot be read: {error}", path.display()),
            "allowed: a file the gateway can read",
        )
    };
    // a pipe would keep whoever opens it waiting
    let open = File::options()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path);
    let file = open.map_err(unreadable)?;
    // asked of the open file, so that nobody swaps it in between
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        return Err((
            format!("{} is no file, but a folder, a pipe or a device", path.display()),
            "allowed: a file the gateway can read",
        ));
    }
    let mode = meta.mode() & 0o7777;
    if secret && mode & 0o027 != 0 {
        return Err((
            format!(
                "{} has mode {mode:04o}: others than its owner can use it",
                path.display()
            ),
            "allowed: 0600, or 0640 with the gateway's group; chmod 600 the file",
        ));
    }
    if meta.len() > LARGEST {
        return Err((
            format!("{} has {} bytes", path.display(), meta.len()),
            "allowed: at most 1 MiB",
        ));
    }
    let mut bytes = vec![];
    file.take(LARGEST).read_to_end(&mut bytes).map_err(unreadable)?;
    // a mark that some editors put before a text hides the first line of PEM from who reads it
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    Ok(Bytes::new(bytes))
}

#[cfg(test)]
mod tests {
    use gateway_config::{SecretFiles, parse};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const SITE: &str = "[site]\nid = \"a\"\nname = \"A\"\nnumber = \"000000001\"\naddress = \"here\"\n[dot1x]\n\
                        interface = \"eth0\"\nidentity = \"door\"\naccept-any-server = true\n";

    /// What is wrong with a port.
    fn faults(folder: &Path, lines: &str) -> Vec<String> {
        let text = format!("{SITE}{lines}");
        let loaded = parse("site.toml", folder, &text, SecretFiles::Needed);
        let config = loaded.unwrap_or_else(|faults| panic!("{faults}")).config;
        let found = dot1x(&config, None).faults;
        found
            .into_iter()
            .map(|late| format!("{}: {}", late.path, late.text))
            .collect()
    }

    #[test]
    fn a_password_that_ms_chap_cannot_carry_is_told_by_its_place_and_carried_by_others() {
        let dir = tempfile::tempdir().expect("a folder");
        let said = |method: &str| faults(dir.path(), &format!("{method}\npassword = \"schön€🚪\"\n"));
        let told = "dot1x.password: character 7 of the password is one that MS-CHAP cannot carry (beyond U+FFFF, such as \
                    an emoji)";
        for method in [
            "method = \"mschapv2\"",
            "method = \"peap\"\ninner = \"mschapv2\"",
            "method = \"ttls\"\ninner = \"mschap\"",
            "method = \"ttls\"\ninner = \"eap-mschapv2\"",
        ] {
            assert_eq!(said(method), [told], "{method}");
        }
        for method in ["method = \"md5\"", "method = \"ttls\"\ninner = \"pap\""] {
            assert_eq!(said(method), Vec::<String>::new(), "{method}");
        }
        let fits = faults(dir.path(), "method = \"mschapv2\"\npassword = \"schön€\"\n");
        assert_eq!(fits, Vec::<String>::new());
    }

    #[test]
    fn a_certificate_file_with_a_key_in_it_is_for_its_owner_and_a_mark_before_it_is_no_matter() {
        let dir = tempfile::tempdir().expect("a folder");
        let key = rcgen::KeyPair::generate().expect("a key");
        let cert = rcgen::CertificateParams::new(vec![])
            .expect("fits")
            .self_signed(&key)
            .expect("signed")
            .pem();
        let put = |name: &str, text: String, mode: u32| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        };
        put("port.key", format!("\u{feff}{}", key.serialize_pem()), 0o600);
        put("port.pem", format!("\u{feff}{cert}"), 0o644);
        put("both.pem", format!("{cert}{}", key.serialize_pem()), 0o644);
        let said = |cert: &str, key: &str| {
            let file = |name: &str| dir.path().join(name).display().to_string();
            let (cert, key) = (file(cert), file(key));
            faults(
                dir.path(),
                &format!("method = \"tls\"\nclient-cert-file = \"{cert}\"\nclient-key-file = \"{key}\"\n"),
            )
        };
        assert_eq!(said("port.pem", "port.key"), Vec::<String>::new());
        let told = said("both.pem", "port.key").join("; ");
        assert!(
            told.starts_with("dot1x.client-cert-file: there is a private key in it, and ")
                && told.contains("mode 0644"),
            "{told}"
        );
        put("both.pem", format!("{cert}{}", key.serialize_pem()), 0o600);
        assert_eq!(said("both.pem", "both.pem"), Vec::<String>::new());
    }
}
