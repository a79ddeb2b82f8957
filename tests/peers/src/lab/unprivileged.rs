//! The user of the units, as the lab has it: gateway and supplicant run as `nobody`, the supplicant with the capabilities
//! of its unit and no others, the gateway with none.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::{Certs, INTERFACE, Lab, port};
use crate::gateway::program;
use crate::process::Process;
use crate::rig::Rig;

/// `nobody` and `nogroup` of Debian.
const USER: u32 = 65534;
/// The unit as it is shipped.
const UNIT: &str = include_str!("../../../../gateway/systemd/doorline-dot1x@.service");

/// The folders of that user in the folder of a rig.
#[derive(Debug)]
pub struct Unprivileged {
    certs: PathBuf,
    control: PathBuf,
    program: PathBuf,
}

impl Unprivileged {
    /// Makes what the user needs: folders, a copy of the certificates, and of the program if it may not reach that.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(rig: &Rig) -> anyhow::Result<Self> {
        // it goes through the folder, and does not read it
        fs::set_permissions(rig.dir(), fs::Permissions::from_mode(0o711))?;
        let folder = |name: &str| {
            let path = rig.path(name);
            fs::create_dir(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
            owned(&path).map(|()| path)
        };
        for name in ["state", "run"] {
            folder(name)?;
        }
        let certs = folder("certs")?;
        for entry in fs::read_dir(Certs::get()?.path("."))? {
            let entry = entry?;
            let copy = certs.join(entry.file_name());
            fs::copy(entry.path(), &copy)?;
            owned(&copy)?;
        }
        let mut program = program();
        if !everybody_may_run(&program) {
            let copy = rig.path("doorline");
            fs::copy(&program, &copy).with_context(|| format!("{}", program.display()))?;
            program = copy;
        }
        Ok(Self {
            certs,
            control: folder("control")?,
            program,
        })
    }

    /// A site with this `[dot1x]` table, its certificates where the user reads them, and the unit's control socket.
    ///
    /// # Errors
    /// If there are no certificates.
    pub fn site(&self, rig: &Rig, dot1x: &str) -> anyhow::Result<String> {
        let from = Certs::get()?.path("");
        let dot1x = dot1x.replace(&from.display().to_string(), &format!("{}/", self.certs.display()));
        let control = format!("control-dir = \"{}\"\n", self.control.display());
        Ok(port(rig, &format!("{dot1x}{control}")))
    }

    /// Starts the supplicant as the unit does, at the gateway's interface.
    ///
    /// # Errors
    /// If it cannot be started, or does not open its control socket.
    pub fn supplicant(&self, lab: &Lab<'_>) -> anyhow::Result<Process> {
        let words = self.words()?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // one that was killed left its socket
        let socket = self.control.join(INTERFACE);
        let _ = fs::remove_file(&socket);
        let mut supplicant = lab.on_gateway("supplicant", &words)?;
        crate::rig::until(
            std::time::Duration::from_secs(60),
            "the supplicant's socket",
            || {
                ensure!(
                    supplicant.ended()?.is_none(),
                    "the supplicant ended: {}",
                    supplicant.log()
                );
                Ok(socket.exists().then_some(()))
            },
        )?;
        Ok(supplicant)
    }

    /// The words of the unit, at the gateway's interface.
    fn words(&self) -> anyhow::Result<Vec<String>> {
        let start = setting("ExecStart")?
            .replace("%I", INTERFACE)
            .replace("/run/doorline-dot1x", &self.control.display().to_string());
        let capabilities = setting("CapabilityBoundingSet")?.to_lowercase();
        let capabilities: Vec<&str> = capabilities
            .split_whitespace()
            .map(|name| name.trim_start_matches("cap_"))
            .collect();
        let mut words = as_user(&capabilities);
        words.extend(start.split_whitespace().map(str::to_owned));
        Ok(words)
    }

    /// Starts supplicants as the unit does whose device is always there for systemd: whenever one ended, or could not
    /// start, another one a second later.
    ///
    /// # Errors
    /// If the shell cannot be started.
    pub fn supplicants(&self, lab: &Lab<'_>) -> anyhow::Result<Process> {
        let words = self.words()?;
        let again = format!("while :; do {}; sleep 1; done", words.join(" "));
        lab.on_gateway("supplicants", &["sh", "-c", &again])
    }

    /// The words that start the gateway.
    pub(super) fn gateway(&self) -> Vec<String> {
        let mut words = as_user(&[]);
        words.push(self.program.display().to_string());
        words
    }
}

/// A setting of the unit.
fn setting(key: &str) -> anyhow::Result<String> {
    let line = UNIT
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.map(str::to_owned)
        .with_context(|| format!("the unit has no {key}"))
}

/// True if every folder on the way, and the file, may be gone through and run by everybody.
fn everybody_may_run(path: &Path) -> bool {
    let open = |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0);
    path.is_absolute() && path.ancestors().all(open)
}

fn owned(path: &Path) -> anyhow::Result<()> {
    Ok(chown(path, Some(USER), Some(USER))?)
}

/// The words that make a program run as the user, with these capabilities only.
fn as_user(capabilities: &[&str]) -> Vec<String> {
    let set = capabilities
        .iter()
        .fold("-all".to_owned(), |set, name| format!("{set},+{name}"));
    let mut words = vec![
        "setpriv".to_owned(),
        // a change of the user forgets the word that was given before
        "--pdeathsig=KILL".to_owned(),
        format!("--reuid={USER}"),
        format!("--regid={USER}"),
        "--clear-groups".to_owned(),
        "--no-new-privs".to_owned(),
    ];
    for kind in ["inh-caps", "ambient-caps", "bounding-set"] {
        words.push(format!("--{kind}={set}"));
    }
    words.push("--".to_owned());
    words
}
