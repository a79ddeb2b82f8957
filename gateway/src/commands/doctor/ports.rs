//! Names of serial ports: one device under two, and names that may be another device's after the next start.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Claims, Finding};

/// Devices that are claimed by two names: one of both claimants will not get it.
pub(super) fn same_device(claims: &Claims) -> Vec<Finding> {
    let mut devices: BTreeMap<PathBuf, Vec<&PathBuf>> = BTreeMap::new();
    for name in claims.keys() {
        if let Ok(device) = fs::canonicalize(name) {
            devices.entry(device).or_default().push(name);
        }
    }
    let twice = devices.into_iter().filter(|(_, names)| names.len() > 1);
    twice
        .map(|(device, names)| {
            let who = |name: &&PathBuf| {
                let users = claims
                    .get(*name)
                    .map_or_else(String::new, |users| users.join(", "));
                format!("{} ({users})", name.display())
            };
            let names: Vec<String> = names.iter().map(who).collect();
            Finding {
                note: false,
                remedy: "name the port alike at all of its boards, and give it to one family of devices"
                    .into(),
                text: format!("{} are one device, {}", names.join(" and "), device.display()),
            }
        })
        .collect()
}

/// Claimed names that the kernel gives in the order of finding, with a better one below `serial` (`/dev/serial`).
pub(super) fn names(claims: &Claims, serial: &Path) -> Vec<Finding> {
    let numbered = claims.keys().filter(|name| {
        let file = name.file_name().map(|n| n.to_string_lossy().into_owned());
        file.is_some_and(|f| f.starts_with("ttyUSB") || f.starts_with("ttyACM"))
    });
    numbered
        .map(|name| {
            let better = ["by-id", "by-path"]
                .iter()
                .find_map(|dir| link_to(&serial.join(dir), name));
            Finding {
                note: true,
                remedy: better.map_or_else(
                    || "a name below /dev/serial/by-id or by-path stays the same".to_owned(),
                    |better| format!("name it {}", better.display()),
                ),
                text: format!("{} may be another device after the next start", name.display()),
            }
        })
        .collect()
}

fn link_to(dir: &Path, device: &Path) -> Option<PathBuf> {
    let device = fs::canonicalize(device).ok()?;
    let entries = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path());
    let mut links: Vec<PathBuf> = entries
        .filter(|link| fs::canonicalize(link).is_ok_and(|to| to == device))
        .collect();
    links.sort();
    links.into_iter().next()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_device_under_two_names_is_a_fault_and_a_numbered_name_gets_a_better_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let device = dir.path().join("ttyUSB0");
        let link = dir.path().join("serial/by-id/usb-FTDI-if00-port0");
        fs::create_dir_all(link.parent().expect("a folder")).expect("made");
        fs::write(&device, "").expect("written");
        symlink(&device, &link).expect("linked");
        let claims = |names: &[&PathBuf]| -> Claims {
            let users = |name: &&PathBuf| ((*name).clone(), vec!["channel 1: output a".to_owned()]);
            names.iter().map(users).collect()
        };
        let one = claims(&[&link]);
        assert!(same_device(&one).is_empty() && names(&one, dir.path()).is_empty());
        let both = claims(&[&device, &link]);
        let found = same_device(&both);
        assert_eq!(found.len(), 1);
        assert!(
            !found[0].note && found[0].text.contains("are one device"),
            "{}",
            found[0].text
        );
        let found = names(&both, &dir.path().join("serial"));
        assert_eq!(found.len(), 1);
        assert!(found[0].note);
        assert_eq!(found[0].remedy, format!("name it {}", link.display()));
    }
}
