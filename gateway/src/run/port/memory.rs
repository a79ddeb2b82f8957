//! The site file whose `[dot1x]` was confirmed last: `STATE-DIR/port.toml`, for its owner only, since it may hold
//! passwords. Certificates and keys are read from where it names them.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use adapter_dot1x::Dot1x;
use anyhow::Context as _;
use gateway_config::SecretFiles;
use gateway_core::Timestamp;

use crate::run::params;

/// Where it is.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    file: PathBuf,
    /// Where relative secret files start.
    folder: PathBuf,
}

impl Memory {
    pub(super) fn new(state_dir: &Path, site_file: &Path) -> Self {
        Self {
            file: state_dir.join("port.toml"),
            folder: site_file.parent().unwrap_or(Path::new(".")).to_owned(),
        }
    }

    /// Keeps a text, on the medium when this returns. A site that never had a port needs none.
    pub(super) fn keep(&self, text: &str, has_port: bool) -> anyhow::Result<()> {
        match fs::read(&self.file) {
            Ok(kept) if kept == text.as_bytes() => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound && !has_port => return Ok(()),
            Ok(_) | Err(_) => {}
        }
        let new = self.file.with_extension("new");
        let write = || {
            let mut file = File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &self.file)?;
            let folder = self.file.parent().unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        };
        write().with_context(|| format!("{} cannot be written", self.file.display()))
    }

    /// What was confirmed last; `None` if nothing was, or if it cannot be used any more.
    pub(super) fn recall(&self, now: Timestamp) -> Option<Option<Dot1x>> {
        let text = fs::read_to_string(&self.file).ok()?;
        let name = self.file.display().to_string();
        let unusable = |why: String| {
            tracing::warn!(file = %name, %why, "what [dot1x] was confirmed last cannot be used: there is no way back to it");
        };
        let loaded = match gateway_config::parse(&name, &self.folder, &text, SecretFiles::Needed) {
            Ok(loaded) => loaded,
            Err(faults) => {
                unusable(faults.to_string());
                return None;
            }
        };
        let port = params::dot1x(&loaded.config, now);
        if let Some(late) = port.faults.first() {
            unusable(format!("{}: {}", late.path, late.text));
            return None;
        }
        Some(port.adapter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "[site]\nid = \"a\"\nname = \"A\"\nnumber = \"000000001\"\naddress = \"here\"\n";

    fn recalled(memory: &Memory) -> Option<Option<String>> {
        let wall = Timestamp::from_second(1_800_000_000).expect("a date");
        memory
            .recall(wall)
            .map(|adapter| adapter.map(|adapter| adapter.params.identity))
    }

    #[test]
    fn what_was_confirmed_comes_back_and_what_cannot_be_used_is_no_way_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let memory = Memory::new(dir.path(), &dir.path().join("site.toml"));
        memory.keep(SITE, false).expect("writable");
        assert_eq!(
            recalled(&memory),
            None,
            "a site that never had a port is not kept"
        );
        let port = |identity: &str| {
            format!(
                "{SITE}[dot1x]\ninterface = \"eth0\"\nmethod = \"md5\"\nidentity = \"{identity}\"\npassword = \"x\"\n\
                 accept-any-server = true\n"
            )
        };
        for identity in ["first", "second"] {
            memory.keep(&port(identity), true).expect("writable");
            assert_eq!(recalled(&memory), Some(Some(identity.to_owned())));
        }
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&memory.file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // one that had a port and has none any more is a change as well
        memory.keep(SITE, false).expect("writable");
        assert_eq!(recalled(&memory), Some(None));
        memory
            .keep(&port("x").replace("md5", "none-such"), true)
            .expect("writable");
        assert_eq!(recalled(&memory), None);
    }
}
