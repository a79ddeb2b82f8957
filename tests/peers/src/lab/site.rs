//! Site files for a gateway at the port.

use super::certs::{Certs, KEY_PASSPHRASE, P12_PASSPHRASE};
use super::{INTERFACE, SWITCH};
use crate::rig::Rig;

/// The user that both servers know.
pub const USER: &str = "gateway";
/// Its password.
pub const PASSWORD: &str = "lab-pass-1";
/// A user with everything that could break out of a value.
pub(super) const ODD_USER: &str = "odd user";
/// Its password.
pub(super) const ODD_PASSWORD: &str = "p\"a\\ss =w\u{f6}rd#";

/// Every method that is configured, with what its event says: method, and method inside.
pub const METHODS: [(&str, &str); 19] = [
    ("md5", "MD5"),
    ("mschapv2", "MSCHAPV2"),
    ("peap-gtc", "PEAP"),
    ("peap-md5", "PEAP"),
    ("peap-mschapv2", "PEAP"),
    ("peap-tls", "PEAP"),
    ("tls-anon", "TLS"),
    ("tls-anon2", "TLS"),
    ("tls-p12", "TLS"),
    ("tls-p12-legacy", "TLS"),
    ("tls-pem", "TLS"),
    ("tls-pem-enckey", "TLS"),
    ("ttls-chap", "TTLS"),
    ("ttls-eap-md5", "TTLS"),
    ("ttls-eap-mschapv2", "TTLS"),
    ("ttls-mschap", "TTLS"),
    ("ttls-mschapv2", "TTLS"),
    ("ttls-pap", "TTLS"),
    ("ttls-pap-odd", "TTLS"),
];

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The `[dot1x]` table of one of the [`METHODS`].
///
/// # Errors
/// If the certificates cannot be made.
pub fn method(name: &str) -> anyhow::Result<String> {
    let certs = Certs::get()?;
    let path = |name: &str| quoted(&certs.path(name).display().to_string());
    let mut text = format!("[dot1x]\ninterface = \"{INTERFACE}\"\n");
    let (family, inner) = name.split_once('-').unwrap_or((name, ""));
    text += &format!("method = \"{family}\"\n");
    let password = format!("identity = \"{USER}\"\npassword = \"{PASSWORD}\"\n");
    let server = format!("ca-file = {}\nserver-names = [\"lab.test\"]\n", path("ca.pem"));
    let outer = "outer-identity = \"anonymous@lab.test\"\n";
    let pem = format!(
        "client-cert-file = {}\nclient-key-file = {}\n",
        path("client.pem"),
        path("client.key")
    );
    let p12 = |name: &str| {
        format!(
            "client-p12-file = {}\nclient-passphrase = \"{P12_PASSPHRASE}\"\n",
            path(name)
        )
    };
    let user = format!("identity = \"{USER}\"\n");
    text += &match (family, inner) {
        ("md5" | "mschapv2", _) => format!("{password}accept-any-server = true\n"),
        ("peap", "tls") => format!("inner = \"tls\"\n{user}{outer}{server}{pem}"),
        ("ttls", "pap-odd") => format!(
            "inner = \"pap\"\nidentity = \"{ODD_USER}\"\npassword = {}\n{outer}{server}",
            quoted(ODD_PASSWORD)
        ),
        ("peap" | "ttls", inner) => format!("inner = \"{inner}\"\n{password}{outer}{server}"),
        (_, "anon") => format!("identity = \"anonymous@lab.test\"\n{server}{}", p12("client.p12")),
        (_, "anon2") => format!("{user}{outer}{server}{}", p12("client.p12")),
        (_, "p12") => format!("{user}{server}{}", p12("client.p12")),
        (_, "p12-legacy") => format!("{user}{server}{}", p12("client-legacy.p12")),
        (_, "pem-enckey") => format!(
            "{user}{server}client-cert-file = {}\nclient-key-file = {}\nclient-passphrase = \"{KEY_PASSPHRASE}\"\n",
            path("client.pem"),
            path("client-enc.key")
        ),
        _ => format!("{user}{server}{pem}"),
    };
    Ok(text)
}

/// A site with one virtual door that a card opens, and `more`, such as the table of the port.
#[must_use]
pub fn port(rig: &Rig, more: &str) -> String {
    let path = |name: &str| quoted(&rig.path(name).display().to_string());
    format!(
        "[site]\nid = \"lab\"\nname = \"Lab\"\nnumber = \"000000001\"\naddress = \"A cupboard\"\n\
         state-dir = {}\nrun-dir = {}\n\
         [outputs.strike.virtual]\n[lines.riser.virtual]\n[readers.card-reader.virtual]\n\
         [panels.main]\nname = \"Main\"\nline = \"riser\"\ndoors = [\"front\"]\n\
         [panels.main.buttons.bell]\nname = \"Bell\"\ncall = \"reception\"\n\
         [doors.front]\nname = \"Front\"\noutput = \"strike\"\nreaders = [\"card-reader\"]\n\
         [lists.reception]\ntargets = [\"sip:1000@{SWITCH}:5070\"]\n\
         [cards.alice]\ncard = \"26:123,04567\"\ndoors = [\"front\"]\n{more}",
        path("state"),
        path("run")
    )
}
