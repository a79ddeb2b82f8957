//! A change of the network that is taken back unless somebody confirms it.
//!
//! Before anything changes, what is there is written down in a note, and a *holder*, a process of its own outside of
//! the gateway and of the session that began the change, says that it watches the note. It brings the old files back
//! when the time is over and the note is still there. Confirming removes the note. Whoever is killed meanwhile, the
//! gateway, the session or the command itself, the holder goes on; if the machine is started anew, the old files are
//! brought back before the network starts.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway_core::Instant;
use serde_json::{Value, json};

pub use super::error::ChangeError;
use super::error::file_error;
use super::programs::Run;
use super::{File, Manager, Settings, own_paths};
use crate::ports;
use crate::routes::default_v4;

/// Folder of the note, of root alone.
pub const STATE: &str = "/var/lib/doorline-network";

/// How long a program may take that only asks its manager, or takes something down.
const QUICK: Duration = Duration::from_secs(30);

/// How long `ifup` may take when a change is taken back: longer than any DHCP client of Debian looks for a server (300 s).
const BACK: Duration = Duration::from_secs(330);

/// What was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Addresses that the port had without any file of ours: a roll-back gives them back.
    pub addresses: Vec<String>,
    /// The boot in which the change was made.
    pub boot: String,
    /// Until when it has to be confirmed.
    pub deadline: Instant,
    /// Texts of our files; `None` for one that was not there.
    pub files: Vec<(PathBuf, Option<String>)>,
    /// IPv4 gateway of that port, likewise.
    pub gateway: Option<String>,
    /// Whose files.
    pub manager: Manager,
    /// Ports of the old and of the new settings that the manager is told of.
    pub ports: Vec<String>,
}

impl Note {
    fn to_json(&self) -> Value {
        let files: Vec<Value> = self
            .files
            .iter()
            .map(|(path, text)| json!({ "path": path.display().to_string(), "text": text }))
            .collect();
        json!({
            "addresses": self.addresses,
            "boot": self.boot,
            "deadline_ns": self.deadline.as_nanos(),
            "files": files,
            "gateway": self.gateway,
            "manager": self.manager.name(),
            "ports": self.ports,
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let texts = |key: &str| {
            let list = value.get(key)?.as_array()?.iter();
            list.map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<Vec<String>>>()
        };
        let manager = value.get("manager")?.as_str()?;
        let managers = [Manager::Ifupdown, Manager::Networkd];
        let files = value.get("files")?.as_array()?.iter().map(|file| {
            let path = PathBuf::from(file.get("path")?.as_str()?);
            // root writes what stands here: only where our files are
            let own = own_paths().contains(&path.as_path());
            own.then(|| (path, file.get("text").and_then(Value::as_str).map(str::to_owned)))
        });
        Some(Self {
            addresses: texts("addresses")?,
            boot: value.get("boot")?.as_str()?.to_owned(),
            deadline: Instant::from_nanos(value.get("deadline_ns")?.as_u64()?),
            files: files.collect::<Option<Vec<_>>>()?,
            gateway: value.get("gateway").and_then(Value::as_str).map(str::to_owned),
            manager: managers.into_iter().find(|known| known.name() == manager)?,
            ports: texts("ports")?,
        })
    }
}

/// The place of the note, of our files, and the programs to run.
pub struct Changer<R> {
    /// `/`, or a folder that stands for it.
    root: PathBuf,
    run: R,
}

impl<R: Run> Changer<R> {
    /// For files below `root`.
    pub fn new(root: impl Into<PathBuf>, run: R) -> Self {
        Self {
            root: root.into(),
            run,
        }
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn state(&self, name: &str) -> PathBuf {
        self.at(Path::new(STATE)).join(name)
    }

    /// One change at a time: held until dropped.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn lock(&self) -> Result<fs::File, ChangeError> {
        let (file, path) = self.lock_file("lock")?;
        file.lock().map_err(file_error(&path))?;
        Ok(file)
    }

    fn lock_file(&self, name: &str) -> Result<(fs::File, PathBuf), ChangeError> {
        let dir = self.at(Path::new(STATE));
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(&dir).map_err(file_error(&dir))?;
        let path = dir.join(name);
        let file = fs::File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        Ok((file.map_err(file_error(&path))?, path))
    }

    /// Says that a holder watches, until dropped. Only one can.
    ///
    /// # Errors
    /// Another one does.
    pub fn watch(&self) -> Result<fs::File, ChangeError> {
        let (file, path) = self.lock_file("holder")?;
        file.try_lock().map_err(|error| file_error(&path)(error.into()))?;
        Ok(file)
    }

    /// True if a holder watches.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        // the lock is free again as soon as it is dropped here
        self.watch().is_err()
    }

    /// The change that waits.
    ///
    /// # Errors
    /// The note is damaged.
    pub fn waiting(&self) -> Result<Option<Note>, ChangeError> {
        let path = self.state("waiting.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ChangeError::File { path, source }),
        };
        let value = serde_json::from_str(&text).ok();
        let note = value.as_ref().and_then(Note::from_json);
        note.map(Some).ok_or(ChangeError::Note { path })
    }

    /// Makes a change that has to be confirmed within `patience` from when it is in force, by the clock `now`. A holder must
    /// watch already; [`lock`](Self::lock) must be held. What brings the port up may take as long, and is killed then. If
    /// nobody lives to see it in force, the time is counted from its beginning.
    ///
    /// # Errors
    /// Nobody watches, another change waits, or it could not be made whole; then what was there is back.
    pub fn apply(
        &mut self,
        settings: &Settings,
        manager: Manager,
        boot: &str,
        now: impl Fn() -> Instant,
        patience: Duration,
    ) -> Result<(), ChangeError> {
        if self.waiting()?.is_some() {
            return Err(ChangeError::Waits);
        }
        if !self.is_watched() {
            return Err(ChangeError::NoHolder);
        }
        let mut note = self.note(settings, manager, boot, now() + patience);
        let path = self.state("waiting.json");
        write(&path, &format!("{:#}\n", note.to_json()), 0o600)?;
        let new: Vec<(PathBuf, Option<String>)> = own_paths()
            .into_iter()
            .map(|own| {
                let file = settings.files(manager).into_iter().find(|file| file.path == own);
                (own.to_owned(), file.map(|file| file.text))
            })
            .collect();
        if let Err(error) = self.stage(&new) {
            // nothing was touched yet
            self.forget()?;
            return Err(error);
        }
        let done = self.put(&new, &note, patience);
        if done.is_err() {
            // the old files at once, and not only when the time is over
            self.take_back(&note)?;
            return done;
        }
        // what a slow manager took is not taken from whoever has to confirm; without room for it less time is left
        note.deadline = now() + patience;
        let _ = write(&path, &format!("{:#}\n", note.to_json()), 0o600);
        Ok(())
    }

    /// Keeps the change that waits. [`lock`](Self::lock) must be held.
    ///
    /// # Errors
    /// There is none.
    pub fn confirm(&self) -> Result<(), ChangeError> {
        self.waiting()?.ok_or(ChangeError::NothingWaits)?;
        self.forget()
    }

    /// Takes the change that waits back. [`lock`](Self::lock) must be held.
    ///
    /// # Errors
    /// There is none; a file cannot be written, then it still waits and nothing was touched; or the manager failed, and the
    /// old files are in place all the same.
    pub fn rollback(&mut self) -> Result<(), ChangeError> {
        let note = self.waiting()?.ok_or(ChangeError::NothingWaits)?;
        self.take_back(&note)
    }

    /// Takes back what waited when the machine went down: only the files, before the network starts. True if there was
    /// anything. [`lock`](Self::lock) must be held.
    ///
    /// # Errors
    /// A file could not be written.
    pub fn recover(&mut self, boot: &str) -> Result<bool, ChangeError> {
        match self.waiting()? {
            Some(note) if note.boot != boot => {
                self.restore(&note.files)?;
                self.forget()?;
                Ok(true)
            }
            Some(_) | None => Ok(false),
        }
    }

    fn note(&self, settings: &Settings, manager: Manager, boot: &str, deadline: Instant) -> Note {
        let files: Vec<(PathBuf, Option<String>)> = own_paths()
            .into_iter()
            .map(|own| (own.to_owned(), fs::read_to_string(self.at(own)).ok()))
            .collect();
        let before = ports_of(&files);
        let mut ports = before.clone();
        ports.extend([settings.port.clone(), settings.addressed()]);
        ports.sort();
        ports.dedup();
        let (mut addresses, mut gateway) = (Vec::new(), None);
        if before.is_empty() {
            let port = ports::ports().unwrap_or_default();
            let port = port.into_iter().find(|port| port.name == settings.port);
            let given = port.map(|port| port.addresses).unwrap_or_default().into_iter();
            // the kernel makes link-local addresses of IPv6 by itself
            let given =
                given.filter(|a| !matches!(a.ip, std::net::IpAddr::V6(v6) if v6.is_unicast_link_local()));
            addresses = given.map(|a| a.to_string()).collect();
            let table = fs::read_to_string("/proc/net/route").unwrap_or_default();
            gateway = default_v4(&table, &settings.port).map(|ip| ip.to_string());
        }
        Note {
            addresses,
            boot: boot.to_owned(),
            deadline,
            files,
            gateway,
            manager,
            ports,
        }
    }

    /// Puts texts in place and has the manager take them; a port may take `limit` to come up.
    fn put(
        &mut self,
        files: &[(PathBuf, Option<String>)],
        note: &Note,
        limit: Duration,
    ) -> Result<(), ChangeError> {
        match note.manager {
            Manager::Ifupdown => {
                let (old, new) = (ports_of(&note.files), ports_of(files));
                // no port goes down for files that cannot be written
                self.stage(files)?;
                // taken down by the texts they were brought up with, in either direction
                for port in old.iter().chain(&new) {
                    let _ = self.run.run("ifdown", &["--force", port], QUICK);
                }
                let placed = self.place(files);
                for port in if placed.is_ok() { &new } else { &old } {
                    self.run.run("ifup", &[port], limit)?;
                }
                placed
            }
            Manager::Networkd => {
                let before = note.ports.clone();
                self.restore(files)?;
                let new = ports_of(files);
                self.run.run("networkctl", &["reload"], QUICK)?;
                for port in before.iter().filter(|port| !new.contains(port)) {
                    // networkd leaves a VLAN behind whose file is gone
                    if port.contains('.') || port.starts_with("vlan") {
                        let _ = self.run.run("ip", &["link", "delete", "dev", port], QUICK);
                    }
                }
                for port in new
                    .iter()
                    .filter(|port| !(port.contains('.') || port.starts_with("vlan")))
                {
                    self.run.run("networkctl", &["reconfigure", port], QUICK)?;
                }
                Ok(())
            }
        }
    }

    fn take_back(&mut self, note: &Note) -> Result<(), ChangeError> {
        let done = self.put_back(note);
        if let Err(error @ ChangeError::File { .. }) = done {
            // it still waits for that
            return Err(error);
        }
        // the files are back; a manager that fails now would fail again
        self.forget()?;
        done
    }

    fn put_back(&mut self, note: &Note) -> Result<(), ChangeError> {
        // `put` compares with what is in force now
        let now = own_paths()
            .into_iter()
            .map(|own| (own.to_owned(), fs::read_to_string(self.at(own)).ok()));
        let current = Note {
            files: now.collect(),
            ..note.clone()
        };
        let done = self.put(&note.files, &current, BACK);
        if ports_of(&note.files).is_empty()
            && let Some(port) = note.ports.first()
        {
            // nobody's file gave these: they were given by hand
            for address in &note.addresses {
                let _ = self
                    .run
                    .run("ip", &["address", "replace", address, "dev", port], QUICK);
            }
            if let Some(gateway) = &note.gateway {
                let _ = self.run.run(
                    "ip",
                    &["route", "replace", "default", "via", gateway, "dev", port],
                    QUICK,
                );
            }
        }
        done
    }

    fn restore(&self, files: &[(PathBuf, Option<String>)]) -> Result<(), ChangeError> {
        self.stage(files)?;
        self.place(files)
    }

    /// Writes the texts beside the files that they are for, where no manager reads them: what can fail of a change fails
    /// here, and has changed nothing.
    fn stage(&self, files: &[(PathBuf, Option<String>)]) -> Result<(), ChangeError> {
        for (path, text) in files {
            let path = self.at(path);
            if text.is_some() || path.exists() {
                stage(&path, text.as_deref().unwrap_or_default(), 0o644)?;
            }
        }
        Ok(())
    }

    /// Puts what was staged in place, and takes away what is not wanted.
    fn place(&self, files: &[(PathBuf, Option<String>)]) -> Result<(), ChangeError> {
        for (path, text) in files {
            let path = self.at(path);
            if text.is_some() {
                place(&path)?;
                continue;
            }
            for unwanted in [&path, &staged(&path)] {
                match fs::remove_file(unwanted) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(file_error(unwanted)(error));
                    }
                    Ok(()) | Err(_) => {}
                }
            }
        }
        Ok(())
    }

    fn forget(&self) -> Result<(), ChangeError> {
        let path = self.state("waiting.json");
        fs::remove_file(&path).map_err(file_error(&path))?;
        sync_dir(&path)
    }
}

/// Ports that texts of ours bring up: of the files that give addresses or carry a VLAN.
fn ports_of(files: &[(PathBuf, Option<String>)]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for text in files.iter().filter_map(|(_, text)| text.as_deref()) {
        for line in text.lines() {
            let name = line.strip_prefix("auto ").or_else(|| line.strip_prefix("Name="));
            found.extend(name.map(str::to_owned));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// In place as a whole or not at all, and on the medium.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), ChangeError> {
    stage(path, text, mode)?;
    place(path)
}

/// Where a text waits for its place: no manager reads a hidden file, whatever pattern names its folder.
fn staged(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

fn stage(path: &Path, text: &str, mode: u32) -> Result<(), ChangeError> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(file_error(dir))?;
    }
    let new = staged(path);
    let written = || {
        let mut file = fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    let done = written().map_err(file_error(path));
    if done.is_err() {
        // half a text takes room that somebody may need
        let _ = fs::remove_file(&new);
    }
    done
}

fn place(path: &Path) -> Result<(), ChangeError> {
    fs::rename(staged(path), path).map_err(file_error(path))?;
    sync_dir(path)
}

fn sync_dir(path: &Path) -> Result<(), ChangeError> {
    let dir = path.parent().unwrap_or(path);
    fs::File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(file_error(dir))
}

/// The boot this is, a new text at each.
#[must_use]
pub fn this_boot() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// How often a holder looks whether the note is still there.
pub const LOOK: Duration = Duration::from_millis(250);

/// The text of our file at a path, as it is now.
#[must_use]
pub fn in_place(root: &Path) -> Vec<File> {
    let own = own_paths().into_iter().filter_map(|path| {
        let text = fs::read_to_string(root.join(path.strip_prefix("/").unwrap_or(path))).ok()?;
        Some(File {
            path: path.to_owned(),
            text,
        })
    });
    own.collect()
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use super::super::tests::{dynamic, fixed};
    use super::*;

    /// Notes what is run, and for how long it may; fails where told to.
    #[derive(Clone, Default)]
    struct Spoken {
        fails: Option<&'static str>,
        limits: Rc<RefCell<Vec<u64>>>,
        said: Rc<RefCell<Vec<String>>>,
        /// What each of them takes.
        takes: Duration,
        /// What they took so far.
        took: Rc<Cell<Duration>>,
    }

    impl Spoken {
        fn now(&self) -> Instant {
            NOW + self.took.get()
        }
    }

    impl Run for Spoken {
        fn run(&mut self, program: &str, args: &[&str], limit: Duration) -> Result<(), ChangeError> {
            let line = format!("{program} {}", args.join(" "));
            self.said.borrow_mut().push(line.clone());
            self.limits.borrow_mut().push(limit.as_secs());
            self.took.set(self.took.get() + self.takes);
            if self.fails == Some(program) {
                return Err(ChangeError::Command {
                    program: line,
                    text: "no".into(),
                });
            }
            Ok(())
        }
    }

    const NOW: Instant = Instant::from_nanos(7);
    const PATIENCE: Duration = Duration::from_secs(120);

    struct Rig {
        changer: Changer<Spoken>,
        dir: tempfile::TempDir,
        spoken: Spoken,
    }

    impl Rig {
        fn new(fails: Option<&'static str>) -> Self {
            let dir = tempfile::tempdir().expect("a folder");
            let spoken = Spoken {
                fails,
                ..Spoken::default()
            };
            Self {
                changer: Changer::new(dir.path(), spoken.clone()),
                dir,
                spoken,
            }
        }

        fn said(&self) -> Vec<String> {
            std::mem::take(&mut *self.spoken.said.borrow_mut())
        }

        fn files(&self) -> Vec<String> {
            let names = in_place(self.dir.path()).into_iter();
            names
                .map(|f| f.path.file_name().expect("named").to_string_lossy().into_owned())
                .collect()
        }

        fn apply(&mut self, settings: &Settings, manager: Manager) -> Result<(), ChangeError> {
            let _holder = self.changer.watch().expect("nobody else watches");
            let now = || self.spoken.now();
            self.changer.apply(settings, manager, "boot-1", now, PATIENCE)
        }
    }

    #[test]
    fn nothing_changes_while_nobody_watches() {
        let mut rig = Rig::new(None);
        let done = rig
            .changer
            .apply(&fixed(), Manager::Networkd, "boot-1", || NOW, PATIENCE);
        assert!(matches!(done, Err(ChangeError::NoHolder)), "{done:?}");
        assert_eq!((rig.files(), rig.said()), (vec![], vec![]));
        assert_eq!(rig.changer.waiting().expect("readable"), None);
    }

    #[test]
    fn a_change_is_kept_when_confirmed_and_taken_back_when_not() {
        let mut rig = Rig::new(None);
        rig.apply(&fixed(), Manager::Networkd).expect("made");
        assert_eq!(rig.files(), ["10-doorline-port.network"]);
        assert_eq!(rig.said(), ["networkctl reload", "networkctl reconfigure eth0"]);
        let again = rig.apply(&dynamic(), Manager::Networkd);
        assert!(matches!(again, Err(ChangeError::Waits)), "{again:?}");
        rig.changer.confirm().expect("kept");
        assert!(matches!(rig.changer.confirm(), Err(ChangeError::NothingWaits)));
        let kept = in_place(rig.dir.path());

        let vlan = Settings {
            vlan: Some(20),
            ..dynamic()
        };
        rig.apply(&vlan, Manager::Networkd).expect("made");
        assert_eq!(rig.files().len(), 3);
        rig.said();
        rig.changer.rollback().expect("taken back");
        assert_eq!(in_place(rig.dir.path()), kept);
        assert_eq!(
            rig.said(),
            [
                "networkctl reload",
                "ip link delete dev eth0.20",
                "networkctl reconfigure eth0"
            ]
        );
        assert!(matches!(rig.changer.rollback(), Err(ChangeError::NothingWaits)));
    }

    #[test]
    fn what_a_slow_manager_takes_is_not_taken_from_the_time_to_confirm() {
        let mut rig = Rig::new(None);
        rig.changer.run.takes = Duration::from_secs(30);
        rig.apply(&fixed(), Manager::Ifupdown).expect("made");
        let note = rig.changer.waiting().expect("readable").expect("waits");
        assert_eq!(note.deadline, NOW + Duration::from_secs(60) + PATIENCE);
    }

    #[test]
    fn ifupdown_goes_down_by_the_old_text_and_up_by_the_new_one() {
        let mut rig = Rig::new(None);
        rig.apply(&fixed(), Manager::Ifupdown).expect("made");
        assert_eq!(rig.said(), ["ifdown --force eth0", "ifup eth0"]);
        assert_eq!(
            rig.spoken.limits.take(),
            [30, 120],
            "not beyond the time to confirm it"
        );
        rig.changer.confirm().expect("kept");
        let vlan = Settings {
            vlan: Some(20),
            ..fixed()
        };
        rig.apply(&vlan, Manager::Ifupdown).expect("made");
        assert_eq!(
            rig.said(),
            ["ifdown --force eth0", "ifdown --force eth0.20", "ifup eth0.20"]
        );
        rig.spoken.limits.take();
        rig.changer.rollback().expect("taken back");
        assert_eq!(rig.spoken.limits.take(), [30, 30, 330]);
        assert_eq!(
            rig.said(),
            ["ifdown --force eth0.20", "ifdown --force eth0", "ifup eth0"]
        );
    }

    #[test]
    fn no_port_goes_down_for_files_that_cannot_be_written_and_what_waits_goes_on_waiting() {
        for manager in [Manager::Ifupdown, Manager::Networkd] {
            let mut rig = Rig::new(None);
            rig.apply(&fixed(), manager).expect("made");
            rig.changer.confirm().expect("kept");
            let (kept, vlan) = (
                in_place(rig.dir.path()),
                Settings {
                    vlan: Some(20),
                    ..fixed()
                },
            );
            rig.said();
            // as root may write everywhere, a folder stands where the text is to wait
            let in_the_way = staged(&kept[0].path);
            let in_the_way = rig
                .dir
                .path()
                .join(in_the_way.strip_prefix("/").unwrap_or(&in_the_way));
            fs::create_dir(&in_the_way).expect("made");
            let done = rig.apply(&vlan, manager);
            assert!(matches!(done, Err(ChangeError::File { .. })), "{done:?}");
            assert_eq!((in_place(rig.dir.path()), rig.said()), (kept.clone(), vec![]));
            assert_eq!(rig.changer.waiting().expect("readable"), None);

            fs::remove_dir(&in_the_way).expect("removed");
            rig.apply(&vlan, manager).expect("made");
            rig.said();
            fs::create_dir(&in_the_way).expect("made");
            let done = rig.changer.rollback();
            assert!(matches!(done, Err(ChangeError::File { .. })), "{done:?}");
            assert_eq!(rig.said(), Vec::<String>::new());
            assert!(rig.changer.waiting().expect("readable").is_some());
            fs::remove_dir(&in_the_way).expect("removed");
            rig.changer.rollback().expect("taken back");
            assert_eq!(in_place(rig.dir.path()), kept);
        }
    }

    #[test]
    fn what_fails_is_taken_back_at_once() {
        let mut rig = Rig::new(Some("networkctl"));
        let done = rig.apply(&fixed(), Manager::Networkd);
        assert!(done.is_err());
        assert_eq!(rig.files(), Vec::<String>::new());
        assert_eq!(rig.changer.waiting().expect("readable"), None);
    }

    #[test]
    fn a_start_of_the_machine_takes_back_what_waited_before_it() {
        let mut rig = Rig::new(None);
        rig.apply(&fixed(), Manager::Networkd).expect("made");
        assert!(!rig.changer.recover("boot-1").expect("looked"));
        assert_eq!(rig.files().len(), 1);
        rig.said();
        assert!(rig.changer.recover("boot-2").expect("taken back"));
        assert_eq!((rig.files(), rig.said()), (vec![], vec![]));
        assert!(!rig.changer.recover("boot-3").expect("looked"));
    }

    #[test]
    fn a_note_survives_as_it_is_and_a_damaged_one_is_told() {
        let mut rig = Rig::new(None);
        rig.apply(&fixed(), Manager::Networkd).expect("made");
        let note = rig.changer.waiting().expect("readable").expect("waits");
        assert_eq!(
            (note.boot.as_str(), note.deadline, note.manager),
            ("boot-1", NOW + PATIENCE, Manager::Networkd)
        );
        assert!(note.files.iter().all(|(_, text)| text.is_none()));
        let path = rig.dir.path().join("var/lib/doorline-network/waiting.json");
        let elsewhere = fs::read_to_string(&path)
            .expect("readable")
            .replace("/etc/network/interfaces.d/doorline", "/etc/passwd");
        for text in ["", "{}", "[1]", &elsewhere] {
            fs::write(&path, text).expect("written");
            assert!(
                matches!(rig.changer.waiting(), Err(ChangeError::Note { .. })),
                "{text}"
            );
        }
    }
}
