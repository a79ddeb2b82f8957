//! The site file whose `[dot1x]` was confirmed last: `STATE-DIR/port.toml`, and beside it a folder with what its files
//! held, so that a password or certificate that was changed in its file is taken back, too. Both are for their owner
//! only, as the files themselves are.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use adapter_dot1x::{Bytes, ClientIdentity, Params, ServerCheck};
use anyhow::Context as _;
use gateway_config::SecretFiles;
use gateway_core::Secret;

use crate::run::params::{self, Wanted};

/// Where it is.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    file: PathBuf,
    /// Where relative secret files start.
    folder: PathBuf,
}

/// First line of the text, with the folder of the files behind it.
const HEAD: &str = "# files: ";
/// Such folders begin with this, and a number follows.
const FILES: &str = "port-files-";

impl Memory {
    pub(super) fn new(state_dir: &Path, site_file: &Path) -> Self {
        Self {
            file: state_dir.join("port.toml"),
            folder: site_file.parent().unwrap_or(Path::new(".")).to_owned(),
        }
    }

    /// Keeps a text and what its files hold, on the medium when this returns. A site that never had a port needs none.
    pub(super) fn keep(&self, text: &str, port: Option<&Params>) -> anyhow::Result<()> {
        let files = port.map(contents).unwrap_or_default();
        match fs::read_to_string(&self.file) {
            Ok(kept) if self.is_same(&kept, text, &files) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound && port.is_none() => return Ok(()),
            Ok(_) | Err(_) => {}
        }
        let write = || {
            let state = self.file.parent().unwrap_or(Path::new("."));
            let name = format!("{FILES}{}", self.numbers().max().unwrap_or(0) + 1);
            let folder = state.join(&name);
            fs::DirBuilder::new().mode(0o700).create(&folder)?;
            for (key, content) in &files {
                write_new(&folder.join(key), content.reveal())?;
            }
            File::open(&folder)?.sync_all()?;
            let new = self.file.with_extension("new");
            write_new(&new, format!("{HEAD}{name}\n{text}").as_bytes())?;
            // from here on the new text counts, and the new folder with it
            fs::rename(&new, &self.file)?;
            File::open(state)?.sync_all()?;
            let number = self.numbers().max().unwrap_or(0);
            for old in self.numbers().filter(|n| *n != number) {
                fs::remove_dir_all(state.join(format!("{FILES}{old}")))?;
            }
            Ok::<(), std::io::Error>(())
        };
        write().with_context(|| format!("{} cannot be written", self.file.display()))
    }

    fn is_same(&self, kept: &str, text: &str, files: &[(&'static str, Bytes)]) -> bool {
        let Some((folder, body)) = self.parts(kept) else {
            return false;
        };
        let same = |(key, content): &(&str, Bytes)| {
            fs::read(folder.join(key)).is_ok_and(|kept| kept == content.reveal())
        };
        let count = fs::read_dir(&folder).map_or(0, Iterator::count);
        body == text && count == files.len() && files.iter().all(same)
    }

    /// The folder of the files, and the site file.
    fn parts<'a>(&self, kept: &'a str) -> Option<(PathBuf, &'a str)> {
        let (head, body) = kept.split_once('\n')?;
        let name = head.strip_prefix(HEAD)?;
        let plain = name.starts_with(FILES) && !name.contains('/');
        plain.then(|| (self.file.with_file_name(name), body))
    }

    /// Numbers of the folders that are there.
    fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        let state = self.file.parent().unwrap_or(Path::new("."));
        let entries = fs::read_dir(state).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.strip_prefix(FILES)?.parse().ok())
    }

    /// What was confirmed last; `None` if nothing was, or if it cannot be used any more. A date is no reason: at a start
    /// nobody knows the time, and a certificate that has ended is told of whatever runs.
    pub(super) fn recall(&self) -> Option<Option<Wanted>> {
        let kept = fs::read_to_string(&self.file).ok()?;
        let name = self.file.display().to_string();
        let unusable = |why: String| {
            tracing::warn!(file = %name, %why, "what [dot1x] was confirmed last cannot be used: there is no way back to it");
        };
        let Some((files, text)) = self.parts(&kept) else {
            unusable("it does not say where its files are".to_owned());
            return None;
        };
        // what its files hold by now is not what was confirmed
        let mut loaded = match gateway_config::parse(&name, &self.folder, text, SecretFiles::WhereFound) {
            Ok(loaded) => loaded,
            Err(faults) => {
                unusable(faults.to_string());
                return None;
            }
        };
        if let Some(table) = &mut loaded.config.dot1x {
            let secret = |key: &str| Some(Secret::new(&fs::read_to_string(files.join(key)).ok()?));
            (table.password, table.client_passphrase) = (secret(PASSWORD), secret(PASSPHRASE));
            let file = |key: &str| Some(files.join(key)).filter(|path| path.exists());
            (table.ca_file, table.client_cert_file) = (file(CA), file(CERT));
            (table.client_key_file, table.client_p12_file) = (file(KEY), file(P12));
        }
        let port = params::dot1x(&loaded.config, None);
        if let Some(late) = port.faults.first() {
            unusable(format!("{}: {}", late.path, late.text));
            return None;
        }
        Some(port.wanted)
    }
}

const CA: &str = "ca.pem";
const CERT: &str = "client.pem";
const KEY: &str = "client.key";
const P12: &str = "client.p12";
const PASSWORD: &str = "password";
const PASSPHRASE: &str = "passphrase";

/// What the files behind a port hold, by the name under which it is kept.
fn contents(params: &Params) -> Vec<(&'static str, Bytes)> {
    let mut files = vec![];
    if let ServerCheck::Verify { ca, .. } = &params.server {
        files.push((CA, ca.clone()));
    }
    let secret = |secret: &Secret| Bytes::new(secret.reveal().as_bytes().to_vec());
    let passphrase = match &params.client {
        Some(ClientIdentity::Pem {
            cert,
            key,
            passphrase,
        }) => {
            files.extend([(CERT, cert.clone()), (KEY, key.clone())]);
            passphrase.as_ref()
        }
        Some(ClientIdentity::Pkcs12 { file, passphrase }) => {
            files.push((P12, file.clone()));
            passphrase.as_ref()
        }
        None => None,
    };
    files.extend(passphrase.map(|passphrase| (PASSPHRASE, secret(passphrase))));
    files.extend(
        params
            .password
            .as_ref()
            .map(|password| (PASSWORD, secret(password))),
    );
    files
}

/// For its owner only, and on the medium.
fn write_new(path: &Path, content: &(impl AsRef<[u8]> + ?Sized)) -> std::io::Result<()> {
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content.as_ref())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "[site]\nid = \"a\"\nname = \"A\"\nnumber = \"000000001\"\naddress = \"here\"\n";

    fn recalled(memory: &Memory) -> Option<Option<(String, String)>> {
        let told = |adapter: Wanted| {
            let password = adapter.params.password.unwrap_or_default();
            (adapter.params.identity, password.reveal().to_owned())
        };
        memory.recall().map(|adapter| adapter.map(told))
    }

    /// What a site file means by now.
    fn params_of(folder: &Path, text: &str) -> Option<Params> {
        let loaded = gateway_config::parse("site.toml", folder, text, SecretFiles::Needed);
        let config = loaded.unwrap_or_else(|faults| panic!("{faults}")).config;
        params::dot1x(&config, None).wanted.map(|wanted| wanted.params)
    }

    fn port(identity: &str) -> String {
        format!(
            "{SITE}[dot1x]\ninterface = \"eth0\"\nmethod = \"md5\"\nidentity = \"{identity}\"\n\
             password-file = \"secret\"\naccept-any-server = true\n"
        )
    }

    #[test]
    fn what_was_confirmed_comes_back_and_what_cannot_be_used_is_no_way_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let memory = Memory::new(dir.path(), &dir.path().join("site.toml"));
        write_new(&dir.path().join("secret"), "first password\n").expect("writable");
        memory.keep(SITE, None).expect("writable");
        assert_eq!(
            recalled(&memory),
            None,
            "a site that never had a port is not kept"
        );
        for identity in ["first", "second"] {
            let text = port(identity);
            memory
                .keep(&text, params_of(dir.path(), &text).as_ref())
                .expect("writable");
            let told = (identity.to_owned(), "first password".to_owned());
            assert_eq!(recalled(&memory), Some(Some(told)));
        }
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&memory.file), 0o600);
        assert_eq!(memory.numbers().count(), 1, "older folders are removed");
        // one that had a port and has none any more is a change as well
        memory.keep(SITE, None).expect("writable");
        assert_eq!(recalled(&memory), Some(None));
        fs::write(&memory.file, port("x")).expect("writable");
        assert_eq!(recalled(&memory), None, "it does not say where its files are");
    }

    #[test]
    fn a_password_that_was_changed_in_its_file_is_another_than_the_confirmed_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let memory = Memory::new(dir.path(), &dir.path().join("site.toml"));
        let (secret, text) = (dir.path().join("secret"), port("door"));
        write_new(&secret, "right\n").expect("writable");
        memory
            .keep(&text, params_of(dir.path(), &text).as_ref())
            .expect("writable");
        write_new(&secret, "wrong\n").expect("writable");
        let now = params_of(dir.path(), &text).expect("it can be used");
        let confirmed = memory.recall().flatten().expect("a port").params;
        assert_eq!(confirmed.password.as_ref().map(Secret::reveal), Some("right"));
        assert_ne!(confirmed, now, "a start with the new one is a change");
        // also when the file is gone
        fs::remove_file(&secret).expect("removed");
        assert_eq!(memory.recall().flatten().map(|port| port.params), Some(confirmed));
    }
}
