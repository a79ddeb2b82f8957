//! Does another program look after the port? Two supplicants on one port put each other out, so ours is not started
//! then, and the operator reads what to do. Steering the other program over D-Bus was not chosen: its reasons are
//! coarser, and it would own addresses and retries as well.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Name and remedy of the program that looks after the interface. `ours` is the folder of our own supplicant.
#[must_use]
pub fn managed_elsewhere(interface: &str, index: Option<i32>, ours: &Path) -> Option<(String, String)> {
    look(Path::new("/"), interface, index, ours)
}

fn look(root: &Path, interface: &str, index: Option<i32>, ours: &Path) -> Option<(String, String)> {
    let processes: Vec<(PathBuf, Vec<Vec<u8>>)> = fs::read_dir(root.join("proc"))
        .ok()?
        .flatten()
        .filter(|entry| entry.file_name().as_bytes().iter().all(u8::is_ascii_digit))
        .filter_map(|entry| {
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let words = line.split(|b| *b == 0).map(<[u8]>::to_vec).collect();
            Some((entry.path(), words))
        })
        .collect();
    let named = |(_, words): &&(PathBuf, Vec<Vec<u8>>), name: &str| {
        let program = words
            .first()
            .map(|word| word.rsplit(|b| *b == b'/').next().unwrap_or(word));
        program == Some(name.as_bytes())
    };
    let here = |(path, _): &&(PathBuf, Vec<Vec<u8>>)| same_network(root, path);
    if let Some(index) = index
        && processes.iter().any(|p| named(&p, "NetworkManager") && here(&p))
        && fs::read_to_string(root.join(format!("run/NetworkManager/devices/{index}")))
            .is_ok_and(|state| state.lines().any(|line| line.trim() == "managed=true"))
    {
        let text = format!(
            "NetworkManager manages {interface}, and two supplicants put each other out; write `[keyfile]` and \
             `unmanaged-devices=interface-name:{interface}` into /etc/NetworkManager/conf.d/doorline.conf and run \
             `nmcli general reload`, or remove [dot1x] and let NetworkManager do 802.1X"
        );
        return Some(("NetworkManager".to_owned(), text));
    }
    if processes.iter().any(|p| named(&p, "ead") && here(&p)) {
        let text = format!(
            "iwd's Ethernet daemon (ead) authenticates ports of this machine, and two supplicants put each other out; \
             stop it, or remove [dot1x] and let it look after {interface}"
        );
        return Some(("ead".to_owned(), text));
    }
    let ours = ours.as_os_str().as_bytes();
    let other = processes.iter().find(|p| {
        let words = &p.1;
        let its = words
            .windows(2)
            .any(|w| w[0] == b"-i" && w[1] == interface.as_bytes())
            || words
                .iter()
                .any(|w| w.strip_prefix(b"-i") == Some(interface.as_bytes()));
        let mine = words.iter().any(|w| w.starts_with(ours));
        named(p, "wpa_supplicant") && its && !mine && here(p)
    })?;
    let pid = other
        .0
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let text = format!(
        "another wpa_supplicant (process {pid}) has {interface}, and two supplicants put each other out; stop the unit \
         that starts it, for example `systemctl disable --now wpa_supplicant-wired@{interface}`"
    );
    Some(("wpa_supplicant".to_owned(), text))
}

/// A program in another network namespace has other interfaces of the same name. One whose namespace may not be seen
/// counts as one of ours; one that has ended since it was listed does not count.
fn same_network(root: &Path, process: &Path) -> bool {
    let ours = fs::read_link(root.join("proc/self/ns/net"));
    let theirs = fs::read_link(process.join("ns/net"));
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        (Ok(_), Err(error)) => error.kind() == ErrorKind::PermissionDenied,
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
        look(root, "eth0", Some(3), Path::new("/run/doorline/dot1x")).map(|(name, _)| name)
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
                "-c",
                "/run/doorline/dot1x/wpa.conf",
            ],
        );
        process(root, 11, &["wpa_supplicant", "-iwlan0", "-c/etc/x"]);
        assert_eq!(found(root), None);
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
    fn one_that_ends_while_it_is_looked_at_and_one_of_another_namespace_do_not_count() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        let namespace = |process: &str, name: &str| {
            let dir = root.join("proc").join(process).join("ns");
            fs::create_dir_all(&dir).expect("writable");
            std::os::unix::fs::symlink(name, dir.join("net")).expect("writable");
        };
        namespace("self", "net:[1]");
        process(root, 20, &["wpa_supplicant", "-ieth0"]);
        assert_eq!(found(root), None, "it has no namespace any more");
        namespace("20", "net:[2]");
        assert_eq!(found(root), None);
        process(root, 21, &["wpa_supplicant", "-ieth0"]);
        namespace("21", "net:[1]");
        assert_eq!(found(root).as_deref(), Some("wpa_supplicant"));
    }
}
