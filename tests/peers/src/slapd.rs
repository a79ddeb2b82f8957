//! A real OpenLDAP server with a small house in it.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{bail, ensure};

use crate::ports::Use;
use crate::process::Process;
use crate::rig::{Rig, until};
use crate::trust::Trust;

/// A running slapd: LDAP with StartTLS on [`Use::Ldap`], TLS on [`Use::Ldaps`]. Only [`Slapd::LOGIN`] may read, and
/// says its password only where TLS protects it.
#[derive(Debug)]
pub struct Slapd {
    process: Process,
}

/// Somebody in the directory: name, number, IP address.
pub type Person<'a> = (&'a str, &'a str, Option<&'a str>);

impl Slapd {
    /// DN and password that may read.
    pub const LOGIN: (&'static str, &'static str) = ("cn=door,dc=house,dc=test", "a reader's pass phrase");
    /// Where the people are.
    pub const BASE: &'static str = "ou=people,dc=house,dc=test";

    /// Starts it with these people.
    ///
    /// # Errors
    /// If it does not serve within 20 s.
    pub fn start(rig: &Rig, trust: &Trust, people: &[Person<'_>]) -> anyhow::Result<Self> {
        let folder = rig.path("slapd");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let (config, data) = (rig.path("slapd.conf"), rig.path("slapd.ldif"));
        std::fs::write(&config, configuration(&folder, trust))?;
        std::fs::write(&data, ldif(people))?;
        let loaded = Command::new("/usr/sbin/slapadd")
            .args(["-q", "-f"])
            .arg(&config)
            .arg("-l")
            .arg(&data)
            .output()?;
        ensure!(
            loaded.status.success(),
            "slapadd: {}",
            String::from_utf8_lossy(&loaded.stderr)
        );
        let (plain, tls) = (rig.port(Use::Ldap), rig.port(Use::Ldaps));
        let places = format!("ldap://127.0.0.1:{plain}/ ldaps://127.0.0.1:{tls}/");
        let args = ["-d", "256", "-h", &places, "-f"].map(std::ffi::OsString::from);
        let args = args.into_iter().chain([config.into_os_string()]);
        let mut process = Process::start(rig, "slapd", Path::new("/usr/sbin/slapd"), args)?;
        until(Duration::from_secs(20), "slapd to serve", || {
            if let Some(status) = process.ended()? {
                bail!("it ended with {status}: {}", process.log());
            }
            let both = [plain, tls]
                .into_iter()
                .all(|p| TcpStream::connect((Ipv4Addr::LOCALHOST, p)).is_ok());
            Ok(both.then_some(()))
        })?;
        Ok(Self { process })
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// What it wrote: each connection, bind and search.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn configuration(folder: &Path, trust: &Trust) -> String {
    let (door, password) = Slapd::LOGIN;
    let folder = folder.display();
    format!(
        "include /etc/ldap/schema/core.schema\n\
         include /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/nis.schema\n\
         include /etc/ldap/schema/inetorgperson.schema\n\
         modulepath /usr/lib/ldap\n\
         moduleload back_mdb\n\
         sizelimit unlimited\n\
         security simple_bind=128\n\
         TLSCACertificateFile {ca}\n\
         TLSCertificateFile {cert}\n\
         TLSCertificateKeyFile {key}\n\
         database mdb\n\
         suffix \"dc=house,dc=test\"\n\
         rootdn \"{door}\"\n\
         rootpw \"{password}\"\n\
         directory {folder}\n\
         access to * by * none\n",
        ca = trust.ca.display(),
        cert = trust.cert.display(),
        key = trust.key.display(),
    )
}

fn ldif(people: &[Person<'_>]) -> String {
    let mut text = String::from(
        "dn: dc=house,dc=test\nobjectClass: dcObject\nobjectClass: organization\no: House\ndc: house\n\n\
         dn: ou=people,dc=house,dc=test\nobjectClass: organizationalUnit\nou: people\n\n",
    );
    for (n, (name, number, address)) in people.iter().enumerate() {
        let host = address.map_or_else(String::new, |a| {
            format!("objectClass: ipHost\nipHostNumber: {a}\n")
        });
        text += &format!(
            "dn: uid=u{n},ou=people,dc=house,dc=test\nobjectClass: inetOrgPerson\n{host}uid: u{n}\ncn: {name}\nsn: {n}\n\
             telephoneNumber: {number}\n\n"
        );
    }
    text
}
