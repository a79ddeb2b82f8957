//! Who we are: an instance id, made once and bound to this machine.
//!
//! It names topics, the MQTT client and the SIP contact. A state folder that is copied to another machine
//! gets a new id there, so that two boxes never act under one name (invariant 11).

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use sha2::{Digest as _, Sha256};

/// 16 bytes, and the text made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instance(pub(crate) [u8; 16]);

impl Instance {
    /// The id of this state folder on this machine; made if there is none.
    pub(crate) fn of(state_dir: &Path) -> anyhow::Result<Self> {
        let path = state_dir.join("instance");
        let machine = machine();
        match fs::read(&path) {
            Ok(bytes) => match read(&String::from_utf8_lossy(&bytes)) {
                Some((id, of)) if of == machine => return Ok(id),
                Some(_) => tracing::warn!(
                    "the state folder comes from another machine: this gateway gets a new instance id"
                ),
                None => {
                    let aside = path.with_extension("damaged");
                    fs::rename(&path, &aside)
                        .with_context(|| format!("{} cannot be set aside", path.display()))?;
                    tracing::error!(
                        "{} is no instance id and was set aside as {}: this gateway gets a new one, so brokers and PBXs \
                         see another client",
                        path.display(),
                        aside.display()
                    );
                }
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e).with_context(|| format!("{} cannot be read", path.display())),
        }
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).context("no random numbers")?;
        let id = Self(bytes);
        let text = format!("{}\n{machine}\n", id.text());
        let mut file = fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        file.sync_all()?;
        Ok(id)
    }

    /// Eight hexadecimal digits that tell this gateway's further connections from those of another gateway of the same site:
    /// of the id, where it can be read, else of machine and state folder. Nothing is written: the relay guard asks, too,
    /// which may have no right to the state folder.
    pub(crate) fn mark(state_dir: &Path) -> String {
        let known = fs::read(state_dir.join("instance")).ok();
        let known = known.and_then(|bytes| {
            let (id, of) = read(&String::from_utf8_lossy(&bytes)).map(|(id, of)| (id, of.to_owned()))?;
            (of == machine()).then_some(id)
        });
        let digits = known.map_or_else(
            || {
                let mut hash = Sha256::new();
                hash.update(machine());
                hash.update(state_dir.as_os_str().as_encoded_bytes());
                let digest: [u8; 32] = hash.finalize().into();
                u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
            },
            |id| u32::from_be_bytes([id.0[0], id.0[1], id.0[2], id.0[3]]),
        );
        format!("{digits:08x}")
    }

    /// 32 hexadecimal digits.
    pub(crate) fn text(self) -> String {
        uuid::Uuid::from_bytes(self.0).simple().to_string()
    }
}

/// The id, and the machine it was made on.
fn read(text: &str) -> Option<(Instance, &str)> {
    let (id, of) = text.split_once('\n')?;
    let id = uuid::Uuid::try_parse(id).ok()?;
    Some((Instance(id.into_bytes()), of.trim_end()))
}

/// What tells this machine from others; empty where the system has none.
fn machine() -> String {
    let id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    id.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_stays_the_same_on_its_machine_and_changes_on_another() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = Instance::of(dir.path()).expect("an id");
        assert_eq!(Instance::of(dir.path()).expect("an id"), first);
        fs::write(
            dir.path().join("instance"),
            format!("{}\nelsewhere\n", first.text()),
        )
        .expect("written");
        assert_ne!(Instance::of(dir.path()).expect("an id"), first);
    }

    #[test]
    fn gateways_are_told_apart_and_nothing_is_written_for_it() {
        let folder = || tempfile::tempdir().expect("a folder");
        let (one, two) = (folder(), folder());
        let before = Instance::mark(one.path());
        assert_eq!(Instance::mark(one.path()), before);
        assert_ne!(Instance::mark(two.path()), before);
        assert!(!one.path().join("instance").exists());
        let id = Instance::of(one.path()).expect("an id");
        assert_eq!(Instance::mark(one.path()), id.text()[..8]);
    }

    #[test]
    fn what_is_no_id_is_set_aside_and_made_anew() {
        let dir = tempfile::tempdir().expect("a folder");
        for bad in [
            &b""[..],
            &[0; 33],
            &[0xFF, 0xFE, b'\n', b'x'],
            b"nonsense\nhere\n",
        ] {
            fs::write(dir.path().join("instance"), bad).expect("written");
            let id = Instance::of(dir.path()).expect("an id");
            assert_eq!(Instance::of(dir.path()).expect("an id"), id);
            let aside = fs::read(dir.path().join("instance.damaged")).expect("set aside");
            assert_eq!(aside, bad);
        }
    }
}
