//! `doorline doctor`: what this machine has, who claims it, what is missing and how to mend it.

mod hid;
mod lines;
mod ports;
mod serial;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use adapter_api::Claim;
use gateway_config::{Config, GuardMode};
use gateway_network::clock::{self, Sync};
use gateway_network::settings::owner::{Machine, decide};

use crate::cli::{SiteFile, exit};
use crate::commands::{out, site};
use crate::run::{port_settings, spoken};

/// A finding; `remedy` is empty if all is well.
struct Finding {
    /// What can be lived with is no fault.
    note: bool,
    remedy: String,
    text: String,
}

impl Finding {
    fn well(text: String) -> Self {
        Self {
            note: false,
            remedy: String::new(),
            text,
        }
    }
}

/// Looks, prints, and gives 1 if anything needs a hand.
pub(super) fn doctor(args: &SiteFile) -> anyhow::Result<u8> {
    let (claims, lines, mut findings) = claims(&args.config);
    findings.extend(devices("GPIO chip", "/dev", "gpiochip", "gpio", &claims));
    findings.extend(lines::held(&lines, adapter_gpio::line_state));
    let consoles = fs::read_to_string("/proc/consoles").unwrap_or_default();
    findings.extend(serial::ports(
        &claims,
        &serial::Places {
            consoles: &consoles,
            devices: Path::new("/dev"),
            ttys: Path::new("/sys/class/tty"),
            units: Path::new("/etc/systemd/system/multi-user.target.wants"),
        },
    ));
    findings.extend(masters(&claims, Path::new("/sys/bus/w1/devices")));
    findings.extend(devices("camera", "/dev", "video", "video", &claims));
    findings.extend(cards(&claims, Path::new(site::CARDS), Path::new("/dev/snd")));
    findings.extend(hid::boards(
        &claims,
        adapter_hid_relay::boards(&adapter_hid_relay::Places::default()),
    ));
    findings.extend(claimed_but_missing(&claims));
    findings.extend(ports::same_device(&claims));
    findings.extend(ports::names(&claims, Path::new("/dev/serial")));
    findings.extend(strict_gpio(&claims));
    let mut out = out();
    let mut ill = 0;
    for finding in &findings {
        if finding.remedy.is_empty() {
            writeln!(out, "ok    {}", finding.text)?;
        } else if finding.note {
            writeln!(out, "NOTE  {}\n      {}", finding.text, finding.remedy)?;
        } else {
            ill += 1;
            writeln!(out, "FAULT {}\n      {}", finding.text, finding.remedy)?;
        }
    }
    writeln!(out, "{} looked at, {ill} to mend", findings.len())?;
    Ok(if ill == 0 { exit::OK } else { exit::FAILED })
}

/// Who claims what, by device path.
type Claims = BTreeMap<PathBuf, Vec<String>>;

fn claims(config: &Path) -> (Claims, Vec<lines::Claimed>, Vec<Finding>) {
    let site = match site::load(config) {
        Ok(site) => site,
        Err(error) => {
            let finding = Finding {
                note: false,
                remedy: format!("doorline check {}", config.display()),
                text: format!("the site file cannot be used: {error:#}"),
            };
            return (Claims::new(), vec![], vec![finding]);
        }
    };
    let (mut claims, mut lines) = (Claims::new(), Vec::new());
    for (who, claim) in site::claims(&site) {
        let (path, what) = match claim {
            Claim::GpioLine { chip, line } => {
                let what = format!("line {line}: {who}");
                lines.push((PathBuf::from(&chip), line, who));
                (chip, what)
            }
            Claim::Channel { board, channel } => (board, format!("channel {channel}: {who}")),
            Claim::Port(_) => continue,
        };
        claims.entry(PathBuf::from(path)).or_default().push(what);
    }
    // the devices are looked at also where a password file is missing, which `run` refuses
    let mut findings = vec![match site::as_run(config) {
        Ok(_) => Finding::well(format!("site file {} has no faults", config.display())),
        Err(error) => Finding {
            note: false,
            remedy: format!("doorline check {}", config.display()),
            text: format!("the site file cannot be used: {error:#}"),
        },
    }];
    findings.extend(spawned(&site, Path::new(GUARD_UNIT)));
    findings.extend(latching(&site));
    findings.extend(voice(&site));
    findings.extend(network(&site, &Machine::here()));
    findings.push(clock_kept(
        site.time.require_sync,
        site.opens_by_clock(),
        battery(),
        clock::sync(),
    ));
    (claims, lines, findings)
}

/// Where a unit is that runs or is enabled; its own file may be elsewhere.
const GUARD_UNIT: &str = "/etc/systemd/system/multi-user.target.wants/doorline-guard.service";

/// The relay guard has a unit of its own, and the gateway would start another one.
fn spawned(site: &Config, unit: &Path) -> Option<Finding> {
    let enabled = fs::symlink_metadata(unit).is_ok();
    (enabled && site.guard.mode == GuardMode::Spawn).then(|| Finding {
        note: false,
        remedy: "write  mode = \"external\"  under [guard], or: systemctl disable --now doorline-guard".into(),
        text: "doorline-guard.service is enabled, and the site file says guard mode \"spawn\": two guards would want \
               the same outputs"
            .into(),
    })
}

/// Is there a voice for the address at the line?
fn voice(site: &Config) -> Option<Finding> {
    site.start.tell_input.as_ref()?;
    Some(match (spoken::voiceless(site), &site.start.tell_folder) {
        (Some((text, remedy)), _) => Finding {
            note: true,
            remedy,
            text,
        },
        (None, Some(folder)) => Finding::well(format!(
            "the address is told by the sounds of {}",
            folder.display()
        )),
        (None, None) => Finding::well(format!(
            "{} speaks the address at the line, language {}",
            spoken::voice::PROGRAM,
            site.site.language.word()
        )),
    })
}

/// Can `[network]` be carried out here?
fn network(site: &Config, machine: &Machine) -> Vec<Finding> {
    let Some((settings, wanted)) = port_settings(site) else {
        return vec![];
    };
    match decide(machine, &settings, wanted) {
        Ok(manager) => vec![Finding::well(format!(
            "{} can carry the settings of {}",
            manager.name(),
            settings.port
        ))],
        Err(obstacles) => obstacles
            .into_iter()
            .map(|obstacle| Finding {
                note: true,
                remedy: obstacle.remedy,
                text: format!("[network] cannot be carried out: {}", obstacle.text),
            })
            .collect(),
    }
}

/// Has this machine a clock that runs on without power?
fn battery() -> bool {
    fs::read_dir("/sys/class/rtc").is_ok_and(|mut clocks| clocks.next().is_some())
}

/// Who keeps the clock right, and what depends on it.
fn clock_kept(required: bool, opens: bool, battery: bool, sync: Option<Sync>) -> Finding {
    let kept = sync.is_some_and(|sync| sync.synchronised);
    let text = match (kept, battery) {
        (true, _) => "a time service keeps the clock right",
        (false, true) => "no time service keeps the clock right; it runs on without power",
        (false, false) => {
            "no time service keeps the clock right, and without power it stands still: after a cut it is late"
        }
    };
    let remedy = match (kept, required, opens) {
        (false, true, _) => {
            "the gateway does not believe it until one does (require-sync): codes of visitors, schedules and callers \
             open nothing; apt-get install systemd-timesyncd, or chrony, and look at: doorline time show"
        }
        (_, false, true) => {
            "schedules of the site file let people in by it: write  require-sync = true  under [time], so that a clock \
             that nobody keeps right opens nothing"
        }
        (false, false, false) => {
            "if people get dated codes, write  require-sync = true  under [time]; look at: doorline time show"
        }
        (true, _, false) | (true, true, true) => "",
    };
    Finding {
        note: true,
        remedy: remedy.into(),
        text: text.into(),
    }
}

/// Outputs that stay on when all software has died, and that no timer relay ends.
fn latching(site: &Config) -> Vec<Finding> {
    let opens = |id| site.doors.values().any(|door| door.output.as_ref() == Some(id));
    let bare = site
        .outputs
        .iter()
        .filter(|(id, output)| output.driver.latches() == Some(None) && opens(id));
    bare.map(|(id, _)| Finding {
        note: true,
        remedy: "a timer relay (pulse on make) between channel and lock ends every pulse by wire; then set timer-ms. \
                 Until then keep the units' ExecStopPost: it writes the board to rest"
            .into(),
        text: format!("output {id}: its board latches, and no timer relay is told of"),
    })
    .collect()
}

fn devices(kind: &str, dir: &str, prefix: &str, group: &str, claims: &Claims) -> Vec<Finding> {
    let Ok(entries) = fs::read_dir(dir) else {
        return vec![];
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.retain(|p| {
        p.file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with(prefix))
    });
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let users = claims
                .get(path)
                .map_or_else(|| "claimed by nobody".to_owned(), |c| c.join(", "));
            let text = format!("{kind} {}: {users}", path.display());
            if may_use(path) {
                return Finding::well(text);
            }
            Finding {
                note: false,
                remedy: format!("this user may not open it: usermod -aG {group} USER, then log in again"),
                text,
            }
        })
        .collect()
}

/// May this user read and write a device? It is not opened, which does something to some of them.
fn may_use(path: &Path) -> bool {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    let both = Access::READ_OK | Access::WRITE_OK;
    accessat(CWD, path, both, AtFlags::EACCESS) != Err(rustix::io::Errno::ACCESS)
}

/// 1-Wire masters, and how long a key may lie there before it is read: those of the kernel search every 10 s, unless they are told
/// otherwise.
fn masters(claims: &Claims, folder: &Path) -> Vec<Finding> {
    let Ok(entries) = fs::read_dir(folder) else {
        return vec![];
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        name.is_some_and(|name| name.starts_with("w1_bus_master"))
    });
    paths.sort();
    let number = |path: &Path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let one = |path: &PathBuf| {
        let users = claims
            .get(path)
            .map_or_else(|| "claimed by nobody".to_owned(), |users| users.join(", "));
        let whole = number(&path.join("w1_master_timeout")).unwrap_or(0) * 1000;
        let ms = whole + number(&path.join("w1_master_timeout_us")).unwrap_or(0) / 1000;
        let text = format!(
            "1-Wire master {}: {users}; it searches every {ms} ms",
            path.display()
        );
        if claims.contains_key(path) && ms > 500 {
            return Finding {
                note: true,
                remedy: "a key is held to the contact for half a second: write  options wire timeout=0 timeout_us=200000 \
                         slave_ttl=1  into /etc/modprobe.d/w1.conf and start again"
                    .into(),
                text,
            };
        }
        Finding::well(text)
    };
    paths.iter().map(one).collect()
}

/// Sound cards by the ids that the site file has, and whether this user may use them.
fn cards(claims: &Claims, folder: &Path, devices: &Path) -> Vec<Finding> {
    let Ok(text) = fs::read_to_string(folder.join("cards")) else {
        return vec![];
    };
    let card = |line: &str| {
        let (number, rest) = line.trim().split_once(" [")?;
        let (id, product) = rest.split_once(']')?;
        let (id, product) = (id.trim(), product.trim_start_matches(": "));
        let users = claims.get(&folder.join(id));
        let users = users.map_or_else(|| "claimed by nobody".to_owned(), |users| users.join(", "));
        let text = format!("sound card {id} ({product}): {users}");
        if may_use(&devices.join(format!("controlC{number}"))) {
            return Some(Finding::well(text));
        }
        Some(Finding {
            note: false,
            remedy: "this user may not use it: usermod -aG audio USER, then log in again".into(),
            text,
        })
    };
    text.lines().filter_map(card).collect()
}

fn claimed_but_missing(claims: &Claims) -> Vec<Finding> {
    let missing = claims
        .iter()
        .filter(|(path, _)| path.is_absolute() && !path.exists());
    missing
        .map(|(path, users)| Finding {
            note: false,
            remedy: if path.starts_with("/dev/serial") || path.to_string_lossy().contains("tty") {
                "plug it in, or correct the path; serial ports keep their name under /dev/serial/by-id".into()
            } else {
                "plug it in, load its driver, or correct the path".into()
            },
            text: format!(
                "{} is claimed ({}) and not there",
                path.display(),
                users.join(", ")
            ),
        })
        .collect()
}

/// Raspberry Pi kernels keep a GPIO line driven after its holder died, unless told otherwise.
fn strict_gpio(claims: &Claims) -> Vec<Finding> {
    let uses_gpio = claims
        .keys()
        .any(|p| p.to_string_lossy().starts_with("/dev/gpiochip"));
    let parameter = Path::new("/sys/module/pinctrl_bcm2835/parameters/strict_gpiod");
    if !uses_gpio || !parameter.exists() {
        return vec![];
    }
    let strict = fs::read_to_string(parameter).is_ok_and(|v| matches!(v.trim(), "Y" | "1"));
    let text = format!(
        "pinctrl-bcm2835 strict_gpiod is {}",
        if strict { "on" } else { "off" }
    );
    if strict {
        return vec![Finding::well(text)];
    }
    let remedy = "a line stays driven after the relay guard dies: add pinctrl_bcm2835.strict_gpiod=1 to the kernel \
                  command line and start again";
    vec![Finding {
        note: false,
        remedy: remedy.into(),
        text,
    }]
}

#[cfg(test)]
mod tests {
    use gateway_config::{SecretFiles, parse};

    use super::*;

    #[test]
    fn a_board_that_latches_is_noted_until_a_timer_relay_is_told_of() {
        let text = include_str!("../../../config/testdata/good.toml");
        let noted = |text: &str| {
            let loaded = parse("site.toml", Path::new("."), text, SecretFiles::Untouched).expect("no faults");
            let findings = latching(&loaded.config);
            assert!(
                findings
                    .iter()
                    .all(|f| f.note && f.remedy.contains("timer relay"))
            );
            findings.into_iter().map(|f| f.text).collect::<Vec<_>>()
        };
        assert_eq!(noted(text), Vec::<String>::new());
        let bare = noted(&text.replace("timer-ms = 5000\n", ""));
        assert_eq!(bare.len(), 1, "{bare:?}");
        assert!(bare[0].starts_with("output back-strike: "), "{bare:?}");
    }

    #[test]
    fn a_one_wire_master_that_searches_too_rarely_for_a_key_is_noted() {
        let folder = tempfile::tempdir().expect("a folder");
        let master = folder.path().join("w1_bus_master1");
        fs::create_dir(&master).expect("made");
        fs::create_dir(folder.path().join("01-0000012f4a3c")).expect("made");
        let mut claims = Claims::new();
        let set = |seconds: &str, us: &str| {
            fs::write(master.join("w1_master_timeout"), seconds).expect("written");
            fs::write(master.join("w1_master_timeout_us"), us).expect("written");
        };
        set("10\n", "0\n");
        // what nobody uses may be as slow as it likes
        assert!(masters(&claims, folder.path())[0].remedy.is_empty());
        claims.insert(master.clone(), vec!["reader street".to_owned()]);
        let found = masters(&claims, folder.path());
        assert_eq!(found.len(), 1);
        assert!(
            found[0].note && found[0].remedy.contains("slave_ttl=1"),
            "{}",
            found[0].remedy
        );
        assert!(
            found[0]
                .text
                .contains("reader street; it searches every 10000 ms"),
            "{}",
            found[0].text
        );
        set("0\n", "200000\n");
        let found = masters(&claims, folder.path());
        assert!(
            found[0].remedy.is_empty() && found[0].text.contains("every 200 ms"),
            "{}",
            found[0].text
        );
    }

    #[test]
    fn a_clock_that_nobody_keeps_right_is_noted_by_what_depends_on_it() {
        let sync = |synchronised| {
            Some(Sync {
                max_error_us: 1000,
                synchronised,
            })
        };
        let said = |required, opens, battery, sync| {
            let finding = clock_kept(required, opens, battery, sync);
            assert!(finding.note);
            format!("{}: {}", finding.text, finding.remedy)
        };
        for (required, opens, battery, sync, part) in [
            (true, true, false, sync(true), "keeps the clock right: "),
            (false, false, false, sync(true), "keeps the clock right: "),
            (
                false,
                true,
                true,
                sync(true),
                "write  require-sync = true  under [time], so that",
            ),
            (
                true,
                true,
                false,
                sync(false),
                "does not believe it until one does",
            ),
            (
                false,
                false,
                false,
                None,
                "without power it stands still: after a cut it is late: if people",
            ),
            (
                false,
                true,
                true,
                None,
                "runs on without power: schedules of the site file",
            ),
        ] {
            let said = said(required, opens, battery, sync);
            assert!(said.contains(part), "{said}");
        }
        assert!(clock_kept(true, true, false, sync(true)).remedy.is_empty());
    }

    #[test]
    fn a_unit_of_the_guard_beside_a_spawned_one_is_told() {
        let site = |mode: &str| {
            let text = include_str!("../../../config/examples/minimal.toml");
            let text = format!("{text}\n[guard]\nmode = \"{mode}\"\n");
            parse("site.toml", Path::new("."), &text, SecretFiles::Untouched)
                .expect("no faults")
                .config
        };
        let dir = tempfile::tempdir().expect("a folder");
        let unit = dir.path().join("doorline-guard.service");
        assert!(spawned(&site("spawn"), &unit).is_none());
        // enabled units are links, and their files may be gone
        std::os::unix::fs::symlink("/nowhere/doorline-guard.service", &unit).expect("made");
        let found = spawned(&site("spawn"), &unit).expect("a finding");
        assert!(found.remedy.contains("mode = \"external\""), "{}", found.remedy);
        assert!(spawned(&site("external"), &unit).is_none());
    }
}
