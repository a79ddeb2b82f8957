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
    Ok(Bytes::new(bytes))
}
