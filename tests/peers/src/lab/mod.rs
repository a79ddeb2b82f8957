//! A switch port with IEEE 802.1X on this machine: hostapd (its own EAP server, or FreeRADIUS behind it) in one network
//! namespace, the gateway in another, a veth pair for the cable. Needs root.
//!
//! hostapd's wired driver blocks nothing, so the port is the port of a bridge that the kernel has locked: only an address
//! that hostapd has let in may send, and nothing is flooded to the others. hostapd neither looks at the link nor tells
//! the supplicant that it dropped a port; a switch forgets a port with its link, so here hostapd is told.

mod certs;
mod gate;
mod gateway;
mod network_manager;
mod radius;
mod reach;
mod site;
mod unprivileged;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};

pub use certs::{Certs, ServerCert};
pub use gateway::PortGateway;
pub use network_manager::NetworkManager;
pub use site::{METHODS, PASSWORD, USER, method, port};
pub use unprivileged::Unprivileged;

use crate::process::Process;
use crate::rig::{Rig, until};
use gate::Gate;

/// Who authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// FreeRADIUS, asked by hostapd.
    FreeRadius,
    /// hostapd itself.
    Hostapd,
}

/// The switch's interface towards the gateway.
const PORT: &str = "swp0";
/// The switch itself.
const BRIDGE: &str = "br0";
/// The gateway's interface.
pub const INTERFACE: &str = "eth0";
/// The switch's address, and where brokers and PBXs of the test listen.
pub const SWITCH: &str = "192.0.2.1";
/// Between hostapd and FreeRADIUS.
const SECRET: &str = "a shared secret of the test";

/// A running lab. Dropping it ends everything and deletes the namespaces.
#[derive(Debug)]
pub struct Lab<'a> {
    backend: Backend,
    gate: Option<Gate>,
    gw: String,
    hostapd: Option<Process>,
    password: String,
    radius: Option<Process>,
    reauth_s: u32,
    rig: &'a Rig,
    server: ServerCert,
    sw: String,
    /// Newest TLS that FreeRADIUS speaks.
    tls: &'static str,
}

/// Runs a program and gives its output, whatever it is.
fn run(program: &str, args: &[&str]) -> anyhow::Result<Output> {
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program} cannot be run"))
}

/// Runs a program that must succeed.
fn must(program: &str, args: &[&str]) -> anyhow::Result<()> {
    let out = run(program, args)?;
    let said = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "{program} {args:?}: {said}");
    Ok(())
}

impl<'a> Lab<'a> {
    /// Builds the cable and starts switch and server.
    ///
    /// # Errors
    /// If anything does not start.
    pub fn up(rig: &'a Rig, backend: Backend) -> anyhow::Result<Self> {
        Self::with(rig, backend, ServerCert::Good, 3600)
    }

    /// As [`Lab::up`], with another certificate of the server, and with re-authentication every so many seconds.
    ///
    /// # Errors
    /// As [`Lab::up`].
    pub fn with(rig: &'a Rig, backend: Backend, server: ServerCert, reauth_s: u32) -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |what: &str| format!("doorline-{what}-{}-{n}", std::process::id());
        let mut lab = Self {
            backend,
            gate: None,
            gw: name("gw"),
            hostapd: None,
            password: PASSWORD.to_owned(),
            radius: None,
            reauth_s,
            rig,
            server,
            sw: name("sw"),
            tls: "1.2",
        };
        lab.cable()?;
        lab.start_server()?;
        lab.start_switch()?;
        Ok(lab)
    }

    fn cable(&self) -> anyhow::Result<()> {
        let (sw, gw) = (self.sw.as_str(), self.gw.as_str());
        must("ip", &["netns", "add", sw])?;
        must("ip", &["netns", "add", gw])?;
        // no advertisements on a port whose silence is looked at
        for name in [sw, gw] {
            let off = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6";
            run("ip", &["netns", "exec", name, "sh", "-c", off])?;
        }
        let sw_ip = |args: &[&str]| must("ip", &[&["-n", sw][..], args].concat());
        let gw_ip = |args: &[&str]| must("ip", &[&["-n", gw][..], args].concat());
        sw_ip(&["link", "set", "lo", "up"])?;
        gw_ip(&["link", "set", "lo", "up"])?;
        sw_ip(&[
            "link",
            "add",
            BRIDGE,
            "type",
            "bridge",
            "forward_delay",
            "0",
            "mcast_snooping",
            "0",
        ])?;
        sw_ip(&["addr", "add", &format!("{SWITCH}/24"), "dev", BRIDGE])?;
        sw_ip(&["link", "set", BRIDGE, "up"])?;
        self.plug()
    }

    /// Plugs an adapter with its cable in, as another interface of the same name.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn plug(&self) -> anyhow::Result<()> {
        let (sw, gw) = (self.sw.as_str(), self.gw.as_str());
        let sw_ip = |args: &[&str]| must("ip", &[&["-n", sw][..], args].concat());
        let gw_ip = |args: &[&str]| must("ip", &[&["-n", gw][..], args].concat());
        sw_ip(&[
            "link", "add", PORT, "type", "veth", "peer", "name", INTERFACE, "netns", gw,
        ])?;
        sw_ip(&["link", "set", PORT, "master", BRIDGE])?;
        sw_ip(&["link", "set", PORT, "up"])?;
        gw_ip(&["addr", "add", "192.0.2.2/24", "dev", INTERFACE])?;
        gw_ip(&["link", "set", INTERFACE, "up"])
    }

    /// Unplugs the adapter: the gateway's interface is gone. The other end of the cable goes with it here, and so does the
    /// switch, which cannot know another port.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn unplug(&mut self) -> anyhow::Result<()> {
        self.stop_switch();
        must("ip", &["-n", &self.gw, "link", "del", INTERFACE])
    }

    /// Gives the gateway's interface another name, as the rules of a machine do.
    ///
    /// # Errors
    /// If it cannot be renamed.
    pub fn rename(&self, from: &str, to: &str) -> anyhow::Result<()> {
        must("ip", &["-n", &self.gw, "link", "set", from, "down"])?;
        must("ip", &["-n", &self.gw, "link", "set", from, "name", to])?;
        must("ip", &["-n", &self.gw, "link", "set", to, "up"])
    }

    /// Starts hostapd with every port shut.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_switch(&mut self) -> anyhow::Result<()> {
        self.stop_switch();
        gate::lock(&self.sw)?;
        let (conf, control) = (self.rig.path("hostapd.conf"), self.rig.path("hostapd"));
        let certs = Certs::get()?;
        let mut text = format!(
            "interface={PORT}\ndriver=wired\nlogger_stdout=-1\nlogger_stdout_level=1\nctrl_interface={}\n\
             ieee8021x=1\neapol_version=2\nuse_pae_group_addr=1\neap_reauth_period={}\n",
            control.display(),
            self.reauth_s
        );
        match self.backend {
            Backend::FreeRadius => {
                text += &format!(
                    "own_ip_addr=127.0.0.1\nnas_identifier=test-switch\nauth_server_addr=127.0.0.1\n\
                     auth_server_port=1812\nauth_server_shared_secret={SECRET}\n"
                );
            }
            Backend::Hostapd => {
                let users = self.rig.path("hostapd.users");
                std::fs::write(&users, radius::hostapd_users(&self.password))?;
                let server = self.server.files();
                text += &format!(
                    "eap_server=1\neap_user_file={}\nca_cert={}\nserver_cert={}\nprivate_key={}\n",
                    users.display(),
                    certs.path("ca.pem").display(),
                    certs.path(&server.0).display(),
                    certs.path(&server.1).display()
                );
            }
        }
        std::fs::write(&conf, text)?;
        let _ = std::fs::remove_dir_all(&control);
        let args = ["netns", "exec", &self.sw, "hostapd", "-t"]
            .map(str::to_owned)
            .into_iter();
        let args = args.chain([conf.display().to_string()]);
        let mut hostapd = Process::start(self.rig, "hostapd", "ip".as_ref(), args)?;
        let socket = self.socket();
        until(Duration::from_secs(60), "hostapd's control socket", || {
            if let Some(status) = hostapd.ended()? {
                anyhow::bail!("hostapd ended with {status}");
            }
            Ok(socket.exists().then_some(()))
        })?;
        self.gate = Some(Gate::start(self.rig, &self.sw, &socket)?);
        self.hostapd = Some(hostapd);
        Ok(())
    }

    /// Kills hostapd: the switch is off, or restarts. The port is shut.
    pub fn stop_switch(&mut self) {
        self.gate = None;
        if let Some(mut hostapd) = self.hostapd.take() {
            hostapd.kill();
        }
        let _ = gate::lock(&self.sw);
    }

    /// Starts FreeRADIUS, if this lab has it.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_server(&mut self) -> anyhow::Result<()> {
        if self.backend == Backend::FreeRadius {
            self.stop_server();
            self.radius = Some(radius::start(
                self.rig,
                &self.sw,
                &self.server,
                (&self.password, self.tls),
            )?);
        }
        Ok(())
    }

    /// Kills FreeRADIUS.
    pub fn stop_server(&mut self) {
        if let Some(mut radius) = self.radius.take() {
            radius.kill();
        }
    }

    /// Everything anew with another certificate of the server; a switch that was refused holds a port back for a minute.
    ///
    /// # Errors
    /// As [`Lab::up`].
    pub fn anew(&mut self, server: ServerCert) -> anyhow::Result<()> {
        self.server = server;
        self.start_server()?;
        self.start_switch()
    }

    /// FreeRADIUS anew, speaking TLS up to this version; the switch goes on.
    ///
    /// # Errors
    /// As [`Lab::start_server`].
    pub fn set_tls(&mut self, newest: &'static str) -> anyhow::Result<()> {
        self.tls = newest;
        self.start_server()
    }

    /// Changes the password of [`USER`] at the server; the switch goes on.
    ///
    /// # Errors
    /// As [`Lab::start_server`].
    pub fn set_password(&mut self, password: &str) -> anyhow::Result<()> {
        password.clone_into(&mut self.password);
        self.start_server()
    }

    /// Pulls the cable, or puts it in. A switch forgets a port with its link.
    ///
    /// # Errors
    /// If the link cannot be set.
    pub fn link(&self, up: bool) -> anyhow::Result<()> {
        if !up {
            self.drop_port()?;
        }
        must(
            "ip",
            &[
                "-n",
                &self.sw,
                "link",
                "set",
                PORT,
                if up { "up" } else { "down" },
            ],
        )
    }

    /// The switch shuts the port without a word to the supplicant.
    ///
    /// # Errors
    /// If hostapd does not answer.
    pub fn drop_port(&self) -> anyhow::Result<()> {
        self.gate
            .as_ref()
            .map_or(Ok(()), |gate| gate.forget_all(&self.socket()))
    }

    /// hostapd's own word on the port.
    ///
    /// # Errors
    /// If hostapd does not answer.
    pub fn authorized(&self) -> anyhow::Result<bool> {
        Ok(gate::ask(self.rig.dir(), &self.socket(), "STA-FIRST")?.contains("[AUTHORIZED]"))
    }

    /// Can the gateway reach the switch? Any answer counts, and a refused connection is one.
    ///
    /// # Errors
    /// If the test cannot be made.
    pub fn reach(&self) -> anyhow::Result<bool> {
        reach::reach(&self.gw)
    }

    /// Waits until the gateway reaches the switch.
    ///
    /// # Errors
    /// If it does not in time.
    pub fn reaches(&self, limit: Duration) -> anyhow::Result<()> {
        let open = until(limit, "the port to be open", || Ok(self.reach()?.then_some(())));
        open.with_context(|| {
            let words = ["-n", &self.sw, "fdb", "show", "dev", PORT];
            let entries = run("bridge", &words).map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
            format!(
                "hostapd lets in: {:?}; the bridge: {entries:?}",
                self.authorized()
            )
        })
    }

    /// Waits until hostapd and the port itself keep the gateway out.
    ///
    /// # Errors
    /// If they do not in time.
    pub fn shuts(&self, limit: Duration) -> anyhow::Result<()> {
        let shut = || Ok((!self.authorized()? && !self.reach()?).then_some(()));
        until(limit, "the port to be shut", shut)
    }

    /// Starts a program beside the switch.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn on_switch(&self, name: &str, words: &[&str]) -> anyhow::Result<Process> {
        let args = [&["netns", "exec", self.sw.as_str()][..], words].concat();
        Process::start(self.rig, name, "ip".as_ref(), args)
    }

    /// Starts a program beside the gateway.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn on_gateway(&self, name: &str, words: &[&str]) -> anyhow::Result<Process> {
        let args = [&["netns", "exec", self.gw.as_str()][..], words].concat();
        Process::start(self.rig, name, "ip".as_ref(), args)
    }

    /// The rig.
    #[must_use]
    pub const fn rig(&self) -> &'a Rig {
        self.rig
    }

    fn socket(&self) -> PathBuf {
        self.rig.path("hostapd").join(PORT)
    }
}

impl Drop for Lab<'_> {
    fn drop(&mut self) {
        self.stop_switch();
        self.stop_server();
        for name in [&self.sw, &self.gw] {
            let _ = run("ip", &["netns", "del", name]);
        }
    }
}
