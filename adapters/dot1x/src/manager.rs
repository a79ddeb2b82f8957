//! Does another program look after the port? Two supplicants on one port put each other out, so ours is not started
//! then, and the operator reads what to do. Steering the other program over D-Bus was not chosen: its reasons are
//! coarser, and it would own addresses and retries as well.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Name and remedy of the program that looks after the interface. `ours` are the folders of our own supplicants.
#[must_use]
pub fn managed_elsewhere(interface: &str, index: Option<i32>, ours: &[PathBuf]) -> Option<(String, String)> {
    look(Path::new("/"), interface, index, ours)
}

/// Process number of the supplicant that was given this interface and this folder, if one runs.
pub(crate) fn supplicant_in(interface: &str, dir: &Path) -> Option<i32> {
    find(Path::new("/"), interface, dir)
}

/// What runs of the supplicant's own unit, with its control sockets in `dir`: a process, or one that is hidden from us.
pub(crate) fn unit_of(interface: &str, dir: &Path) -> Option<String> {
    unit_in(Path::new("/"), interface, dir)
}

fn find(root: &Path, interface: &str, dir: &Path) -> Option<i32> {
    let dir = [dir.to_owned()];
    let processes = processes(root).into_iter();
    let mut its = processes.filter(|p| p.is_supplicant_of(interface) && p.is_in(&dir));
    its.find_map(|process| process.path.file_name()?.to_str()?.parse().ok())
}

fn unit_in(root: &Path, interface: &str, dir: &Path) -> Option<String> {
    let unit = format!("doorline-dot1x@{interface}.service");
    let slice = format!("system-doorline\\x2ddot1x.slice/{unit}");
    let process = find(root, interface, dir).map(|pid| format!("process {pid}"));
    process.or_else(|| unit_runs(root, &slice).then_some(unit))
}

/// A process: its folder in `/proc`, and its command line.
struct Process {
    path: PathBuf,
    words: Vec<Vec<u8>>,
}

impl Process {
    fn is(&self, name: &str) -> bool {
        let program = self.words.first();
        let program = program.map(|word| word.rsplit(|b| *b == b'/').next().unwrap_or(word));
        program == Some(name.as_bytes())
    }

    /// A supplicant that was given this interface.
    fn is_supplicant_of(&self, interface: &str) -> bool {
        let interface = interface.as_bytes();
        let words = &self.words;
        let its = words.windows(2).any(|w| w[0] == b"-i" && w[1] == interface)
            || words.iter().any(|w| w.strip_prefix(b"-i") == Some(interface));
        self.is("wpa_supplicant") && its
    }

    /// It was given one of these folders.
    fn is_in(&self, dirs: &[PathBuf]) -> bool {
        let below = |word: &Vec<u8>| {
            dirs.iter()
                .any(|dir| Path::new(OsStr::from_bytes(word)).starts_with(dir))
        };
        self.words.iter().any(below)
    }
}

/// The processes of our network namespace that may be seen.
fn processes(root: &Path) -> Vec<Process> {
    let entries = fs::read_dir(root.join("proc")).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().as_bytes().iter().all(u8::is_ascii_digit))
        .filter_map(|entry| {
            let path = entry.path();
            let line = fs::read(path.join("cmdline")).ok()?;
            let words = line.split(|b| *b == 0).map(<[u8]>::to_vec).collect();
            same_network(root, &path).then_some(Process { path, words })
        })
        .collect()
}

fn look(root: &Path, interface: &str, index: Option<i32>, ours: &[PathBuf]) -> Option<(String, String)> {
    let processes = processes(root);
    let runs = |name: &str, unit: &str| processes.iter().any(|p| p.is(name)) || unit_runs(root, unit);
    if let Some(index) = index
        && fs::read_to_string(root.join(format!("run/NetworkManager/devices/{index}")))
            .is_ok_and(|state| state.lines().any(|line| line.trim() == "managed=true"))
        && runs("NetworkManager", "NetworkManager.service")
    {
        let text = format!(
            "NetworkManager manages {interface}, and two supplicants put each other out; write `[keyfile]` and \
             `unmanaged-devices=interface-name:{interface}` into /etc/NetworkManager/conf.d/doorline.conf and run \
             `nmcli general reload`, or remove [dot1x] and let NetworkManager do 802.1X"
        );
        return Some(("NetworkManager".to_owned(), text));
    }
    if runs("ead", "ead.service") {
        let text = format!(
            "iwd's Ethernet daemon (ead) authenticates ports of this machine, and two supplicants put each other out; \
             stop it, or remove [dot1x] and let it look after {interface}"
        );
        return Some(("ead".to_owned(), text));
    }
    let wired = format!("wpa_supplicant-wired@{interface}.service");
    let seen = processes
        .iter()
        .find(|p| p.is_supplicant_of(interface) && !p.is_in(ours));
    let who = match seen {
        Some(process) => {
            let pid = process.path.file_name().unwrap_or_default().display();
            format!("another wpa_supplicant (process {pid}) has {interface}")
        }
        None if unit_runs(root, &format!("system-wpa_supplicant\\x2dwired.slice/{wired}")) => {
            format!("another wpa_supplicant ({wired}) has {interface}")
        }
        None => return None,
    };
    let text = format!(
        "{who}, and two supplicants put each other out; stop the unit that starts it, for example \
         `systemctl disable --now {wired}`"
    );
    Some(("wpa_supplicant".to_owned(), text))
}

/// Has this unit of the system's slice any process? A gateway that may see its own processes only is told by that.
fn unit_runs(root: &Path, unit: &str) -> bool {
    let events = root
        .join("sys/fs/cgroup/system.slice")
        .join(unit)
        .join("cgroup.events");
    fs::read_to_string(events).is_ok_and(|text| text.lines().any(|line| line == "populated 1"))
}

/// A program in another network namespace has other interfaces of the same name. Files of `/proc/PID/net` have an inode
/// for each namespace, which everybody may see; the link `ns/net` is only for who could trace the process. A process that
/// has ended since it was listed has neither.
fn same_network(root: &Path, process: &Path) -> bool {
    let inode = |process: &Path| fs::metadata(process.join("net/dev")).map(|meta| meta.ino());
    match (inode(&root.join("proc/self")), inode(process)) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        (Ok(_), Err(_)) => false,
        (Err(_), _) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(root: &Path, pid: u32, words: &[&str]) {
        let dir = root.join(format!("proc/{pid}"));
        fs::create_dir_all(&dir).expect("writable");
        fs::write(dir.join("cmdline"), words.join("\0") + "\0").expect("writable");
    }

    fn found(root: &Path) -> Option<String> {
        let ours = ["/run/doorline/dot1x".into(), "/run/doorline-dot1x".into()];
        look(root, "eth0", Some(3), &ours).map(|(name, _)| name)
    }

    #[test]
    fn another_manager_of_this_interface_is_found_and_ours_is_not() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        let devices = root.join("run/NetworkManager/devices");
        fs::create_dir_all(&devices).expect("writable");
        process(root, 1, &["/sbin/init"]);
        process(
            root,
            10,
            &[
                "/usr/sbin/wpa_supplicant",
                "-D",
                "wired",
                "-i",
                "eth0",
                "-C",
                "/run/doorline/dot1x/ctrl",
            ],
        );
        process(
            root,
            9,
            &["wpa_supplicant", "-Dwired", "-ieth0", "-C", "/run/doorline-dot1x"],
        );
        process(root, 11, &["wpa_supplicant", "-iwlan0", "-c/etc/x"]);
        assert_eq!(found(root), None);
        for (dir, pid) in [("/run/doorline/dot1x", 10), ("/run/doorline-dot1x", 9)] {
            assert_eq!(find(root, "eth0", Path::new(dir)), Some(pid));
            assert_eq!(find(root, "wlan0", Path::new(dir)), None);
        }
        process(root, 12, &["/usr/sbin/NetworkManager", "--no-daemon"]);
        fs::write(devices.join("3"), "[device]\nmanaged=false\n").expect("writable");
        assert_eq!(found(root), None);
        fs::write(devices.join("3"), "[device]\nmanaged=true\n").expect("writable");
        assert_eq!(found(root).as_deref(), Some("NetworkManager"));
        fs::remove_dir_all(root.join("proc/12")).expect("there");
        assert_eq!(found(root), None, "a file of a NetworkManager that does not run");
        process(root, 13, &["wpa_supplicant", "-Dwired", "-ieth0"]);
        assert_eq!(found(root).as_deref(), Some("wpa_supplicant"));
    }

    #[test]
    fn one_whose_processes_are_hidden_is_found_by_its_unit() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        let unit = |name: &str, populated: u8| {
            let dir = root.join("sys/fs/cgroup/system.slice").join(name);
            fs::create_dir_all(&dir).expect("writable");
            fs::write(
                dir.join("cgroup.events"),
                format!("populated {populated}\nfrozen 0\n"),
            )
            .expect("writable");
        };
        let devices = root.join("run/NetworkManager/devices");
        fs::create_dir_all(&devices).expect("writable");
        fs::write(devices.join("3"), "[device]\nmanaged=true\n").expect("writable");
        let wired = "system-wpa_supplicant\\x2dwired.slice/wpa_supplicant-wired@eth0.service";
        assert_eq!(found(root), None);
        unit("NetworkManager.service", 0);
        unit(wired, 0);
        assert_eq!(found(root), None);
        unit(wired, 1);
        assert_eq!(found(root).as_deref(), Some("wpa_supplicant"));
        let ours = || unit_in(root, "eth0", Path::new("/run/doorline-dot1x"));
        assert_eq!(ours(), None);
        unit("system-doorline\\x2ddot1x.slice/doorline-dot1x@eth0.service", 1);
        assert_eq!(ours().as_deref(), Some("doorline-dot1x@eth0.service"));
        unit("NetworkManager.service", 1);
        assert_eq!(found(root).as_deref(), Some("NetworkManager"));
    }

    #[test]
    fn one_that_ends_while_it_is_looked_at_and_one_of_another_namespace_do_not_count() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        let network = |process: &str, like: &str| {
            let dir = root.join("proc").join(process).join("net");
            fs::create_dir_all(&dir).expect("writable");
            if like.is_empty() {
                fs::write(dir.join("dev"), "").expect("writable");
            } else {
                let dev = root.join("proc").join(like).join("net/dev");
                fs::hard_link(dev, dir.join("dev")).expect("writable");
            }
        };
        network("self", "");
        process(root, 20, &["wpa_supplicant", "-ieth0"]);
        assert_eq!(found(root), None, "it has no network any more");
        network("20", "");
        assert_eq!(found(root), None, "it has another one");
        process(root, 21, &["wpa_supplicant", "-ieth0"]);
        network("21", "self");
        assert_eq!(found(root).as_deref(), Some("wpa_supplicant"));
    }
}
