//! The `[dot1x]` that was confirmed last: `STATE-DIR/port.toml`, and beside it a folder with what its files held, so that
//! a password or certificate that was changed in its file is taken back, too. Both are for their owner only, as the files
//! themselves are, and hold no other secret of the site.
//!
//! What opens an encrypted key is not kept beside it. The passphrase lies in the run folder, which is in memory: it
//! outlives the gateway and not the machine. After a start of the machine it is read where the confirmed site file had it,
//! or taken from the present one.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use adapter_dot1x::{Bytes, ClientIdentity, Params, ServerCheck};
use anyhow::Context as _;
use gateway_config::{Loaded, SecretFiles, port_alone};
use gateway_core::Secret;

use crate::run::params::{self, Port, Wanted};

/// Where it is.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    file: PathBuf,
    /// Where relative paths start.
    folder: PathBuf,
}

/// First line of the text, with the folder of the files behind it.
const HEAD: &str = "# files: ";
/// Second line, with the file of the passphrase behind it, if there is one.
const OPENED_BY: &str = "# passphrase: ";
/// Such folders begin with this, and a number follows.
const FILES: &str = "port-files-";
/// In the run folder.
const PASSPHRASE: &str = "port-passphrase";
/// Most bytes of a passphrase and its line.
const LONGEST: u64 = 4096;

/// What `port.toml` says.
struct Kept {
    files: PathBuf,
    passphrase_file: Option<PathBuf>,
    text: String,
}

impl Memory {
    pub(super) fn new(state_dir: &Path, site_file: &Path) -> Self {
        Self {
            file: state_dir.join("port.toml"),
            folder: site_file.parent().unwrap_or(Path::new(".")).to_owned(),
        }
    }

    /// Keeps a port and what its files hold, on the medium when this returns. A site that never had a port needs none.
    pub(super) fn keep(&self, text: &str, port: Option<&Params>) -> anyhow::Result<()> {
        let alone = port_alone(text).context("the site file is no TOML")?;
        let opened_by = alone.passphrase_file.map_or_else(String::new, |file| {
            format!("{OPENED_BY}{}\n", self.folder.join(file).display())
        });
        let body = format!("{opened_by}{}", alone.text);
        let files = port.map(contents).unwrap_or_default();
        if let Some(port) = port {
            keep_passphrase(port)?;
        }
        match fs::read_to_string(&self.file) {
            Ok(kept) if self.is_same(&kept, &body, &files) => return Ok(()),
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
            write_new(&new, format!("{HEAD}{name}\n{body}").as_bytes())?;
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

    fn is_same(&self, kept: &str, body: &str, files: &[(&'static str, Bytes)]) -> bool {
        let Some((folder, kept)) = self.head(kept) else {
            return false;
        };
        let same = |(key, content): &(&str, Bytes)| {
            fs::read(folder.join(key)).is_ok_and(|kept| kept == content.reveal())
        };
        let count = fs::read_dir(&folder).map_or(0, Iterator::count);
        kept == body && count == files.len() && files.iter().all(same)
    }

    /// The folder of the files, and what follows.
    fn head<'a>(&self, kept: &'a str) -> Option<(PathBuf, &'a str)> {
        let (head, body) = kept.split_once('\n')?;
        let name = head.strip_prefix(HEAD)?;
        let plain = name.starts_with(FILES) && !name.contains('/');
        plain.then(|| (self.file.with_file_name(name), body))
    }

    fn kept(&self, kept: &str) -> Option<Kept> {
        let (files, body) = self.head(kept)?;
        let (passphrase_file, text) = match body.strip_prefix(OPENED_BY) {
            Some(rest) => {
                let (path, text) = rest.split_once('\n')?;
                (Some(PathBuf::from(path)), text)
            }
            None => (None, body),
        };
        Some(Kept {
            files,
            passphrase_file,
            text: text.to_owned(),
        })
    }

    /// Numbers of the folders that are there.
    fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        let state = self.file.parent().unwrap_or(Path::new("."));
        let entries = fs::read_dir(state).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.strip_prefix(FILES)?.parse().ok())
    }

    /// What was confirmed last; `None` if nothing was, or if it cannot be used any more. A date is no reason: at a start
    /// nobody knows the time, and a certificate that has ended is told of whatever runs. `present` is the passphrase of
    /// the site file of today.
    pub(super) fn recall(&self, present: Option<Secret>) -> Option<Option<Wanted>> {
        let kept = fs::read_to_string(&self.file).ok()?;
        let name = self.file.display().to_string();
        let unusable = |why: String| {
            tracing::warn!(file = %name, %why, "what [dot1x] was confirmed last cannot be used: there is no way back to it");
        };
        let Some(kept) = self.kept(&kept) else {
            unusable("it does not say where its files are".to_owned());
            return None;
        };
        // what its files hold by now is not what was confirmed
        let mut loaded = match gateway_config::parse(&name, &self.folder, &kept.text, SecretFiles::Untouched)
        {
            Ok(loaded) => loaded,
            Err(faults) => {
                unusable(faults.to_string());
                return None;
            }
        };
        if let Some(table) = &mut loaded.config.dot1x {
            let password = fs::read_to_string(kept.files.join(PASSWORD)).ok();
            table.password = password.map(|password| Secret::new(&password));
            let file = |key: &str| Some(kept.files.join(key)).filter(|path| path.exists());
            (table.ca_file, table.client_cert_file) = (file(CA), file(CERT));
            (table.client_key_file, table.client_p12_file) = (file(KEY), file(P12));
        }
        let port = opened(&mut loaded, &kept, present);
        if let Some(late) = port.faults.first() {
            unusable(format!("{}: {}", late.path, late.text));
            return None;
        }
        Some(port.wanted)
    }
}

/// The port by the first passphrase that opens its key, of those that may be the one.
fn opened(loaded: &mut Loaded, kept: &Kept, present: Option<Secret>) -> Port {
    let candidates = [
        first_line(&loaded.config.site.run_dir.join(PASSPHRASE)),
        kept.passphrase_file.as_deref().and_then(first_line),
        present,
    ];
    let mut port = Port::default();
    for passphrase in candidates.into_iter().flatten().map(Some).chain([None]) {
        if let Some(table) = &mut loaded.config.dot1x {
            table.client_passphrase = passphrase;
        }
        port = params::dot1x(&loaded.config, None);
        if port.faults.is_empty() {
            break;
        }
    }
    port
}

/// The passphrase in a file; none if it cannot be read, for whatever reason.
fn first_line(path: &Path) -> Option<Secret> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    File::open(path)
        .ok()?
        .take(LONGEST)
        .read_to_string(&mut text)
        .ok()?;
    let line = text.lines().next().filter(|line| !line.is_empty());
    line.map(Secret::new)
}

/// Puts the passphrase where it does not outlive the machine, or takes away the one of before.
fn keep_passphrase(port: &Params) -> anyhow::Result<()> {
    let file = port.run_dir.join(PASSPHRASE);
    let done = match passphrase(port) {
        Some(passphrase) => {
            fs::create_dir_all(&port.run_dir).and_then(|()| write_new(&file, passphrase.reveal().as_bytes()))
        }
        None => match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        },
    };
    done.with_context(|| format!("{} cannot be written", file.display()))
}

/// What opens the key of a port, if anything has to.
pub(super) fn passphrase(port: &Params) -> Option<&Secret> {
    match port.client.as_ref()? {
        ClientIdentity::Pem { passphrase, .. } | ClientIdentity::Pkcs12 { passphrase, .. } => {
            passphrase.as_ref()
        }
    }
}

const CA: &str = "ca.pem";
const CERT: &str = "client.pem";
const KEY: &str = "client.key";
const P12: &str = "client.p12";
const PASSWORD: &str = "password";

/// What the files behind a port hold, by the name under which it is kept; not what opens its key.
fn contents(params: &Params) -> Vec<(&'static str, Bytes)> {
    let mut files = vec![];
    if let ServerCheck::Verify { ca, .. } = &params.server {
        files.push((CA, ca.clone()));
    }
    let secret = |secret: &Secret| Bytes::new(secret.reveal().as_bytes().to_vec());
    match &params.client {
        Some(ClientIdentity::Pem { cert, key, .. }) => {
            files.extend([(CERT, cert.clone()), (KEY, key.clone())])
        }
        Some(ClientIdentity::Pkcs12 { file, .. }) => files.push((P12, file.clone())),
        None => {}
    }
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
        memory.recall(None).map(|adapter| adapter.map(told))
    }

    /// Everything that lies in a folder and below.
    fn everything(folder: &Path) -> String {
        let entries = fs::read_dir(folder)
            .expect("readable")
            .map(|entry| entry.expect("readable").path());
        let texts = entries.map(|path| {
            if path.is_dir() {
                everything(&path)
            } else {
                String::from_utf8_lossy(&fs::read(&path).expect("readable")).into_owned()
            }
        });
        texts.collect()
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
        let confirmed = memory.recall(None).flatten().expect("a port").params;
        assert_eq!(confirmed.password.as_ref().map(Secret::reveal), Some("right"));
        assert_ne!(confirmed, now, "a start with the new one is a change");
        // also when the file is gone
        fs::remove_file(&secret).expect("removed");
        assert_eq!(
            memory.recall(None).flatten().map(|port| port.params),
            Some(confirmed)
        );
    }
    /// Runs `openssl` in a folder.
    fn openssl(dir: &Path, line: &str) {
        let mut command = std::process::Command::new("openssl");
        let output = command.args(line.split_whitespace()).current_dir(dir).output();
        let output = output.expect("the package openssl is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {line}: {said}");
    }

    #[test]
    fn an_encrypted_key_is_kept_without_what_opens_it_and_comes_back_by_each_that_may_be_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let (etc, state, run) = (
            dir.path().join("etc"),
            dir.path().join("state"),
            dir.path().join("run"),
        );
        for folder in [&etc, &state] {
            fs::create_dir(folder).expect("made");
        }
        let subject = "-subj /CN=gateway -days 3650 -passout pass:open-sesame";
        openssl(
            &etc,
            &format!("req -x509 -newkey rsa:2048 -keyout port.key -out port.pem {subject}"),
        );
        fs::set_permissions(
            etc.join("port.key"),
            std::os::unix::fs::PermissionsExt::from_mode(0o600),
        )
        .expect("set");
        write_new(&etc.join("pass"), "open-sesame\n").expect("written");
        let text = |passphrase: &str| {
            let site = SITE.replace("[site]", &format!("[site]\nrun-dir = \"{}\"", run.display()));
            format!(
                "{site}[dot1x]\ninterface = \"eth0\"\nmethod = \"tls\"\nidentity = \"door\"\naccept-any-server = true\n\
                 client-cert-file = \"{0}/port.pem\"\nclient-key-file = \"{0}/port.key\"\n{passphrase}\n",
                etc.display()
            )
        };
        let memory = Memory::new(&state, &etc.join("site.toml"));
        let in_file = text("client-passphrase-file = \"pass\"");
        let written = text("client-passphrase = \"open-sesame\"");
        for text in [&in_file, &written] {
            let port = params_of(&etc, text).expect("it can be used");
            memory.keep(text, Some(&port)).expect("written");
            let on_disk = everything(&state);
            assert!(on_disk.contains("BEGIN ENCRYPTED PRIVATE KEY"), "{on_disk}");
            assert!(
                !on_disk.contains("open-sesame"),
                "what opens the key lies beside it"
            );
            // the gateway starts anew
            let recalled = memory.recall(None).flatten().expect("it comes back");
            assert_eq!(recalled.params, port);
            // the machine starts anew
            fs::remove_dir_all(&run).expect("it was there");
            let present = Some(Secret::new("open-sesame"));
            assert_eq!(
                memory.recall(present).flatten().map(|port| port.params),
                Some(port.clone())
            );
            let by_file = memory.recall(Some(Secret::new("another"))).flatten();
            assert_eq!(
                by_file.map(|port| port.params),
                (text == &in_file).then_some(port)
            );
        }
    }
}
