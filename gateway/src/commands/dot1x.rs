//! `doorline dot1x`: a change of the switch port, kept or taken back; a key for the port, and a request for its
//! certificate, or one signed by itself.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, ensure};
use gateway_core::{Clock, Timestamp};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, date_time_ymd};
use serde_json::json;

use crate::cli::{Dot1x, Dot1xAct, NewKey, SiteFile, exit};
use crate::clock::SystemClock;
use crate::commands::{out, site};
use crate::control;
use crate::run::wall::WRITTEN_S;

/// The user as whom the units run the gateway (doorline.sysusers), and where users stand.
const GATEWAY_USER: &str = "doorline";
const USERS: &str = "/etc/passwd";
/// The folder of systemd-timesyncd, which makes a file in it once it has the time.
const TIMESYNC: &str = "/run/systemd/timesync";

/// Keeps a change of the port, or takes it back; makes key and request, or key and certificate.
pub(super) fn dot1x(args: &Dot1x) -> anyhow::Result<u8> {
    let wall = SystemClock.wall();
    let (new, days) = match &args.act {
        Dot1xAct::Confirm(site) => return change(site, "dot1x-confirm", "the change stays"),
        Dot1xAct::Rollback(site) => return change(site, "dot1x-rollback", "the change was taken back"),
        Dot1xAct::Request(new) => (new, None),
        Dot1xAct::SelfSigned { new, days } => (new, Some(*days)),
    };
    let kernel = gateway_network::clock::sync().map(|sync| sync.synchronised);
    clock_is_set(wall, new.clock_is_right, Path::new(TIMESYNC), kernel)?;
    let key = KeyPair::generate()?;
    let params = params(new)?;
    let text = match days {
        None => params.serialize_request(&key)?.pem()?,
        Some(days) => self_signed(params, &key, wall, days)?,
    };
    // the key first: a request whose key could not be written is of no use
    write(&new.key, 0o600, &key.serialize_pem())?;
    if let Err(error) = write(&new.out, 0o644, &text) {
        let _ = std::fs::remove_file(&new.key);
        return Err(error);
    }
    let whose = given_to_gateway(&new.key, Path::new(USERS))?;
    let mut out = out();
    writeln!(
        out,
        "private key:  {} (for {whose} only; it never leaves this machine)",
        new.key.display()
    )?;
    match days {
        None => writeln!(
            out,
            "request:      {}\nnext:         have the CA of your network sign it, then set client-cert-file and client-key-file",
            new.out.display()
        )?,
        Some(days) => writeln!(
            out,
            "certificate:  {}, valid for {days} days\nnext:         tell the authentication server to take it, then set client-cert-file and client-key-file",
            new.out.display()
        )?,
    }
    Ok(exit::OK)
}

/// A key that root has made is the gateway's, which reads it. Says whose it is now.
fn given_to_gateway(key: &Path, users: &Path) -> anyhow::Result<String> {
    if !rustix::process::geteuid().is_root() {
        return Ok("you".to_owned());
    }
    let text = std::fs::read_to_string(users).with_context(|| users.display().to_string())?;
    let user = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let user = fields.nth(1)?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        (name == GATEWAY_USER).then_some((user, group))
    });
    let Some((user, group)) = user else {
        return Ok("root, as there is no user doorline: chown it to the gateway's".to_owned());
    };
    std::os::unix::fs::chown(key, Some(user), Some(group))
        .with_context(|| format!("{} cannot be given to {GATEWAY_USER}", key.display()))?;
    Ok(format!("the user {GATEWAY_USER}"))
}

/// Has the running gateway keep a change of the port, or take it back.
fn change(site: &SiteFile, act: &str, done: &str) -> anyhow::Result<u8> {
    let run_dir = site::running(&site.config)?.site.run_dir.clone();
    control::ask(&run_dir, &json!({ "act": act }))?;
    writeln!(out(), "{done}")?;
    Ok(exit::OK)
}

/// A certificate that a clock dates which nobody has set is refused by the server, or ends on a day nobody meant.
///
/// Where systemd-timesyncd runs its own word counts, elsewhere the kernel's (`kernel`, if it tells): chrony and ntpd tell it.
fn clock_is_set(wall: Timestamp, right: bool, timesync: &Path, kernel: Option<bool>) -> anyhow::Result<()> {
    ensure!(
        wall.as_second() >= WRITTEN_S,
        "the clock of this machine is not set: it shows {wall}; set it first"
    );
    let kept = if timesync.exists() {
        timesync.join("synchronized").exists()
    } else {
        kernel.unwrap_or(true)
    };
    ensure!(
        right || kept,
        "the clock of this machine shows {wall}, but no time service has confirmed it since the start; wait for one, \
         or add --clock-is-right if you have set it by hand"
    );
    Ok(())
}

fn params(new: &NewKey) -> anyhow::Result<CertificateParams> {
    let name = new.name.trim();
    ensure!(
        (1..=64).contains(&name.chars().count()) && !name.chars().any(char::is_control),
        "--name has 1 to 64 characters (RFC 5280, ub-common-name)"
    );
    let mut params = CertificateParams::new(new.dns.clone()).context("--dns")?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn self_signed(
    mut params: CertificateParams,
    key: &KeyPair,
    wall: Timestamp,
    days: u32,
) -> anyhow::Result<String> {
    let day = |at: Timestamp| -> anyhow::Result<_> {
        let text = at.to_string();
        let mut parts = text.get(..10).unwrap_or_default().splitn(3, '-');
        let mut part = || parts.next().and_then(|n| n.parse::<u16>().ok()).context("a date");
        let (year, month, day) = (part()?, u8::try_from(part()?)?, u8::try_from(part()?)?);
        Ok(date_time_ymd(year.into(), month, day))
    };
    let end = Timestamp::from_second(wall.as_second() + (i64::from(days) + 1) * 86_400)?;
    (params.not_before, params.not_after) = (day(wall)?, day(end)?);
    Ok(params.self_signed(key)?.pem())
}

/// Writes a new file; one that is there stays as it is.
fn write(path: &Path, mode: u32, text: &str) -> anyhow::Result<()> {
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| {
            format!(
                "{} cannot be made; a file that is there is not replaced",
                path.display()
            )
        })?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(dir: &Path) -> NewKey {
        NewKey {
            clock_is_right: true,
            dns: vec!["gateway.example.org".into()],
            key: dir.join("port.key"),
            name: "gateway".into(),
            out: dir.join("port.pem"),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a date")
    }

    #[test]
    fn nothing_is_dated_by_a_clock_that_is_not_set() {
        let dir = tempfile::tempdir().expect("a folder");
        let none = dir.path().join("none");
        assert!(clock_is_set(at(0), true, &none, Some(true)).is_err());
        // chrony, ntpd, or nobody: the kernel knows
        for (kernel, fits) in [(Some(true), true), (Some(false), false), (None, true)] {
            assert_eq!(clock_is_set(at(WRITTEN_S), false, &none, kernel).is_ok(), fits);
            assert!(clock_is_set(at(WRITTEN_S), true, &none, kernel).is_ok());
        }
        assert!(clock_is_set(at(WRITTEN_S), false, dir.path(), Some(true)).is_err());
        assert!(clock_is_set(at(WRITTEN_S), true, dir.path(), Some(false)).is_ok());
        std::fs::write(dir.path().join("synchronized"), "").expect("writable");
        assert!(clock_is_set(at(WRITTEN_S), false, dir.path(), Some(false)).is_ok());
    }

    #[test]
    fn what_is_made_passes_the_check_of_the_port() {
        let dir = tempfile::tempdir().expect("a folder");
        let new = new(dir.path());
        let key = KeyPair::generate().expect("a key");
        let wall = at(1_800_000_000);
        let pem = self_signed(params(&new).expect("fits"), &key, wall, 30).expect("signed");
        let identity = adapter_dot1x::ClientIdentity::Pem {
            cert: adapter_dot1x::Bytes::new(pem.into_bytes()),
            key: adapter_dot1x::Bytes::new(key.serialize_pem().into_bytes()),
            passphrase: None,
        };
        let material = adapter_dot1x::Material {
            client: Some(&identity),
            server: &adapter_dot1x::ServerCheck::AnyServer,
        };
        let chain = adapter_dot1x::check(material).expect("good");
        assert_eq!(chain.unchecked, []);
        assert_eq!(adapter_dot1x::in_time(&chain.certificates, wall), Ok(()));
        let left = chain.certificates[0].not_after.as_second() - wall.as_second();
        assert!((30 * 86_400..=31 * 86_400).contains(&left), "{left}");
    }

    #[test]
    fn a_key_that_root_made_is_the_gateways() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().expect("a folder");
        let (key, users) = (dir.path().join("port.key"), dir.path().join("passwd"));
        std::fs::write(&key, "").expect("written");
        let root = rustix::process::geteuid().is_root();
        std::fs::write(&users, "root:x:0:0::/root:/bin/sh\n").expect("written");
        let said = given_to_gateway(&key, &users).expect("said");
        assert!(said.starts_with(if root { "root, as" } else { "you" }), "{said}");
        std::fs::write(&users, "a:b\ndoorline:x:65533:65532::/:/bin/false\n").expect("written");
        let said = given_to_gateway(&key, &users).expect("given");
        let is = std::fs::metadata(&key).expect("there");
        if root {
            assert_eq!(
                (said.as_str(), is.uid(), is.gid()),
                ("the user doorline", 65533, 65532)
            );
        }
    }

    #[test]
    fn a_key_that_is_there_is_not_replaced_and_no_key_is_left_without_its_request() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a folder");
        let new = new(dir.path());
        let request = Dot1x {
            act: Dot1xAct::Request(new.clone()),
        };
        assert_eq!(dot1x(&request).expect("made"), exit::OK);
        let mode = std::fs::metadata(&new.key).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let made = std::fs::read_to_string(&new.out).expect("there");
        assert!(made.starts_with("-----BEGIN CERTIFICATE REQUEST-----"), "{made}");
        assert!(dot1x(&request).is_err());
        std::fs::remove_file(&new.key).expect("there");
        assert!(dot1x(&request).is_err(), "the request is there");
        assert!(!new.key.exists());
    }
}
