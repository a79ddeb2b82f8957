//! Serial ports: which there are, under which names, who claims them, whether this user may, and who else wants them.
//!
//! No port is opened: that raises its RTS and DTR, which resets some boards.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Claims, Finding, may_use};

/// Where it is looked.
pub(super) struct Places<'a> {
    /// Consoles of the kernel, as `/proc/consoles` lists them.
    pub(super) consoles: &'a str,
    /// `/dev`.
    pub(super) devices: &'a Path,
    /// `/sys/class/tty`.
    pub(super) ttys: &'a Path,
    /// Units that start with the machine: `/etc/systemd/system/multi-user.target.wants`.
    pub(super) units: &'a Path,
}

/// Ports that are devices: those of the kernel's list with something behind them.
fn names(ttys: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(ttys) else {
        return vec![];
    };
    let real = |path: &Path| {
        // a place of the 8250 driver for a chip that is not there
        let empty = fs::read_to_string(path.join("type")).is_ok_and(|kind| kind.trim() == "0");
        path.join("device").exists() && !empty
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| real(&entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Names below `/dev/serial` that lead to a device.
fn links(devices: &Path, device: &Path) -> Vec<PathBuf> {
    let mut links: Vec<PathBuf> = ["by-id", "by-path"]
        .iter()
        .filter_map(|dir| fs::read_dir(devices.join("serial").join(dir)).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|link| leads_to(link, device))
        .collect();
    links.sort();
    links
}

fn leads_to(name: &Path, device: &Path) -> bool {
    name == device || fs::canonicalize(name).is_ok_and(|to| fs::canonicalize(device).is_ok_and(|of| of == to))
}

/// Every port, with its names and users.
pub(super) fn ports(claims: &Claims, at: &Places<'_>) -> Vec<Finding> {
    let names = names(at.ttys).into_iter();
    let there = names.filter(|name| at.devices.join(name).exists());
    let mut findings: Vec<Finding> = there.map(|name| port(claims, at, &name)).collect();
    findings.extend(prober(claims, at));
    findings
}

fn port(claims: &Claims, at: &Places<'_>, name: &str) -> Finding {
    let device = at.devices.join(name);
    let users: Vec<String> = claims
        .iter()
        .filter(|(claimed, _)| leads_to(claimed, &device))
        .flat_map(|(_, users)| users.iter().cloned())
        .collect();
    let claimed = !users.is_empty();
    let users = if claimed {
        users.join(", ")
    } else {
        "claimed by nobody".to_owned()
    };
    let also: Vec<String> = links(at.devices, &device)
        .iter()
        .map(|link| link.display().to_string())
        .collect();
    let also = if also.is_empty() {
        String::new()
    } else {
        format!(" ({})", also.join(", "))
    };
    let text = format!("serial port {}{also}: {users}", device.display());
    let console = at
        .consoles
        .lines()
        .any(|line| line.split_whitespace().next() == Some(name));
    let remedy = if claimed && console {
        "it is a console of the kernel, which writes to it, and a login may run on it: take its console=… out of the kernel's \
         command line (raspi-config: no login shell over serial) and start again"
    } else if may_use(&device) {
        ""
    } else {
        "this user may not open it: usermod -aG dialout USER, then log in again"
    };
    Finding {
        note: false,
        remedy: remedy.into(),
        text,
    }
}

/// Programs that speak to every port that is plugged in.
fn prober(claims: &Claims, at: &Places<'_>) -> Option<Finding> {
    let plugged = |claimed: &PathBuf| {
        let name = fs::canonicalize(claimed).unwrap_or_else(|_| claimed.clone());
        let name = name.file_name().map(|name| name.to_string_lossy().into_owned());
        name.is_some_and(|name| name.starts_with("ttyUSB") || name.starts_with("ttyACM"))
    };
    let asks = fs::symlink_metadata(at.units.join("ModemManager.service")).is_ok();
    (asks && claims.keys().any(plugged)).then(|| Finding {
        note: true,
        remedy: "systemctl disable --now ModemManager; where a modem needs it, write a udev rule with \
                 ENV{ID_MM_DEVICE_IGNORE}=\"1\" for the ports of the site file"
            .into(),
        text: "ModemManager asks every serial port that is plugged in whether it is a modem: it has it for some seconds then, and \
               what it writes goes to a board"
            .into(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Machine {
        dir: tempfile::TempDir,
    }

    impl Machine {
        fn new(ports: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().expect("a folder");
            let machine = Self { dir };
            for part in ["dev/serial/by-id", "sys", "units"] {
                fs::create_dir_all(machine.at(part)).expect("made");
            }
            for (name, kind) in ports {
                let tty = machine.at("sys").join(name);
                fs::create_dir_all(tty.join("device")).expect("made");
                if !kind.is_empty() {
                    fs::write(tty.join("type"), kind).expect("written");
                }
                fs::write(machine.at("dev").join(name), "").expect("written");
            }
            // a terminal that is no device
            fs::create_dir_all(machine.at("sys/tty1")).expect("made");
            machine
        }

        fn at(&self, part: &str) -> PathBuf {
            self.dir.path().join(part)
        }

        fn said(&self, claims: &Claims, consoles: &str) -> Vec<String> {
            let places = Places {
                consoles,
                devices: &self.at("dev"),
                ttys: &self.at("sys"),
                units: &self.at("units"),
            };
            let said = |found: Finding| {
                let dir = self.dir.path().display().to_string();
                format!("{}|{}|{}", found.note, found.text, found.remedy).replace(&dir, "")
            };
            ports(claims, &places).into_iter().map(said).collect()
        }
    }

    #[test]
    fn every_port_is_told_once_with_its_names_and_users_whatever_it_is_called() {
        let machine = Machine::new(&[
            ("ttyAMA0", "32"),
            ("ttyS0", "4\n"),
            ("ttyS1", "0\n"),
            ("ttySC0", "1"),
            ("ttyUSB0", ""),
        ]);
        let link = machine.at("dev/serial/by-id/usb-FTDI-if00-port0");
        symlink(machine.at("dev/ttyUSB0"), &link).expect("linked");
        let claims: Claims = [(link, vec!["channel 1: output strike".to_owned()])].into();
        assert_eq!(
            machine.said(&claims, ""),
            [
                "false|serial port /dev/ttyAMA0: claimed by nobody|",
                "false|serial port /dev/ttyS0: claimed by nobody|",
                "false|serial port /dev/ttySC0: claimed by nobody|",
                "false|serial port /dev/ttyUSB0 (/dev/serial/by-id/usb-FTDI-if00-port0): channel 1: output strike|",
            ]
        );
    }

    #[test]
    fn a_claimed_port_that_is_a_console_is_a_fault_and_one_that_nobody_claims_is_none() {
        let machine = Machine::new(&[("ttyAMA0", "32"), ("ttyS0", "4")]);
        let claims: Claims = [(machine.at("dev/ttyAMA0"), vec!["reader street".to_owned()])].into();
        let said = machine.said(
            &claims,
            "ttyAMA0              -W- (EC   p  )  204:64\ntty0 -WU (E) 4:1\nttyS0 -W- 4:64\n",
        );
        assert!(
            said[0].contains("ttyAMA0: reader street|it is a console"),
            "{said:?}"
        );
        assert!(said[1].ends_with("ttyS0: claimed by nobody|"), "{said:?}");
    }

    #[test]
    fn a_program_that_asks_every_port_is_noted_where_a_port_is_plugged_in() {
        let machine = Machine::new(&[("ttyACM0", ""), ("ttyS0", "4")]);
        symlink("/nowhere", machine.at("units/ModemManager.service")).expect("linked");
        let claim = |name: &str| -> Claims { [(machine.at(name), vec!["output a".to_owned()])].into() };
        assert!(
            machine
                .said(&claim("dev/ttyS0"), "")
                .iter()
                .all(|said| said.starts_with("false"))
        );
        let said = machine.said(&claim("dev/ttyACM0"), "");
        assert!(
            said.last()
                .is_some_and(|said| said.starts_with("true|ModemManager")),
            "{said:?}"
        );
    }
}
