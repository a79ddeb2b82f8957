//! NetworkManager at the gateway's port: the program of Debian, in the gateway's network namespace, with a `/run`, a
//! configuration and a bus of its own.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::{INTERFACE, Lab, PortGateway, run};
use crate::gateway::program;
use crate::process::Process;
use crate::rig::until;

/// Folders of its own; `/sys` read-only, as in a container, tells it that nobody runs udev. The bus stays root's, since
/// a change of the user would forget that it is to die with NetworkManager.
const START: &str = "
set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib/NetworkManager
mount -t tmpfs tmpfs /etc/NetworkManager
mkdir -p /run/dbus /etc/NetworkManager/conf.d /etc/NetworkManager/system-connections
printf '[main]\\nplugins=keyfile\\nno-auto-default=*\\ndns=none\\nrc-manager=unmanaged\\nhostname-mode=none\\n' \\
    >/etc/NetworkManager/NetworkManager.conf
# whatever it means to write of name servers is not written over the machine's own
cp /etc/resolv.conf /run/resolv.conf
mount --bind /run/resolv.conf /etc/resolv.conf
mount -o remount,ro /sys
cat >/run/dbus/bus.conf <<'BUS'
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context='default'>
    <allow own='*'/>
    <allow send_destination='*'/>
    <allow receive_sender='*'/>
  </policy>
</busconfig>
BUS
setpriv --pdeathsig KILL dbus-daemon --config-file=/run/dbus/bus.conf --nofork --nopidfile &
until [ -S /run/dbus/system_bus_socket ]; do sleep 0.05; done
exec NetworkManager --no-daemon
";

/// A running NetworkManager.
#[derive(Debug)]
pub struct NetworkManager {
    process: Process,
    /// Its word on the gateway's interface.
    state: PathBuf,
}

impl NetworkManager {
    /// Starts it and waits until it manages the interface.
    ///
    /// # Errors
    /// If it does not.
    pub fn start(lab: &Lab<'_>) -> anyhow::Result<Self> {
        let args = ["-n", &lab.gw, "-o", "link", "show", "dev", INTERFACE];
        let link = String::from_utf8_lossy(&run("ip", &args)?.stdout).into_owned();
        let index = link.split(':').next().unwrap_or_default().to_owned();
        let process = lab.on_gateway("network-manager", &["unshare", "--mount", "bash", "-c", START])?;
        let state = format!("/proc/{}/root/run/NetworkManager/devices/{index}", process.pid());
        let mut manager = Self {
            process,
            state: state.into(),
        };
        manager.says_managed(true)?;
        Ok(manager)
    }

    /// It removes its word on an interface that it manages no longer.
    fn says_managed(&mut self, managed: bool) -> anyhow::Result<()> {
        let what = format!("NetworkManager to say managed={managed}");
        until(Duration::from_secs(60), &what, || {
            ensure!(
                self.process.ended()?.is_none(),
                "NetworkManager ended: {}",
                self.process.log()
            );
            let text = std::fs::read_to_string(&self.state).unwrap_or_default();
            let says = text.lines().any(|line| line == "managed=true");
            Ok((says == managed).then_some(()))
        })
    }

    /// Starts a gateway that sees what NetworkManager writes.
    ///
    /// # Errors
    /// As [`PortGateway::start`].
    pub fn gateway(&self, lab: &Lab<'_>, site: &str) -> anyhow::Result<PortGateway> {
        let mut launcher = self.beside();
        launcher.push(program().display().to_string());
        PortGateway::start_by(lab, site, launcher)
    }

    /// Takes the interface from it: this file in `conf.d`, and `nmcli general reload`.
    ///
    /// # Errors
    /// If it is not taken.
    pub fn take_away(&mut self, file: &str) -> anyhow::Result<()> {
        let root = PathBuf::from(format!("/proc/{}/root", self.process.pid()));
        std::fs::write(root.join("etc/NetworkManager/conf.d/doorline.conf"), file)?;
        let mut words = self.beside();
        words.extend(["nmcli", "general", "reload"].map(str::to_owned));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (program, args) = words.split_first().context("a program")?;
        let out = run(program, args)?;
        ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        self.says_managed(false)
    }

    /// The words that start a program with its view of the files, also where all of it runs below another root.
    fn beside(&self) -> Vec<String> {
        let target = format!("--target={}", self.process.pid());
        ["nsenter", &target, "--mount", "--root", "--"]
            .map(str::to_owned)
            .into()
    }
}
