//! A real STUN server, coturn, in a network of its own, where it sees the gateway at another address than the gateway's.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::ports::Use;
use crate::process::Process;
use crate::rig::Rig;

/// A network namespace without any cable, in which others are beyond a router: what leaves for one of [`SERVERS`] without an
/// address of its own has the one of [`SEEN_AT`] in the same place, as a router would write it.
///
/// The gateway has [`GATEWAY`] there. Sockets of files are shared with the machine, so that it is steered as ever.
///
/// [`SERVERS`]: StunServer::SERVERS
/// [`SEEN_AT`]: StunServer::SEEN_AT
/// [`GATEWAY`]: StunServer::GATEWAY
#[derive(Debug)]
pub struct StunServer {
    network: Process,
    server: Process,
}

impl StunServer {
    /// The gateway's own, private address.
    pub const GATEWAY: &str = "10.7.0.2";
    /// Where each of the servers sees it.
    pub const SEEN_AT: [&str; 2] = ["198.51.100.5", "198.51.100.6"];
    /// Addresses of the server, and of whoever else is beyond the router (RFC 5737).
    pub const SERVERS: [&str; 2] = ["203.0.113.9", "203.0.113.10"];

    /// Makes the network, starts the server on [`Use::Stun`] and waits until it serves.
    ///
    /// # Errors
    /// Without the right to make networks, if the server is not installed, or does not come up within 15 s.
    pub fn start(rig: &Rig) -> anyhow::Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "only root may make a network of its own"
        );
        let mut script = "ip link set lo up".to_owned();
        for address in [Self::GATEWAY].iter().chain(&Self::SERVERS).chain(&Self::SEEN_AT) {
            script += &format!(" && ip address add {address}/32 dev lo");
        }
        for (server, seen) in Self::SERVERS.iter().zip(Self::SEEN_AT) {
            script += &format!(" && ip route replace local {server} dev lo table local src {seen}");
        }
        script += " && echo made && exec sleep 600";
        let args = ["--net", "--", "sh", "-c", &script];
        let mut network = Process::start(rig, "network", Path::new("unshare"), args)?;
        network.says("made", Duration::from_secs(10))?;
        let server = serve(rig, &network, &Self::SERVERS)?;
        Ok(Self { network, server })
    }

    /// What starts a program in that network: a program and its arguments.
    #[must_use]
    pub fn by(&self) -> Vec<String> {
        by(&self.network)
    }

    /// Everything the server said.
    #[must_use]
    pub fn log(&self) -> String {
        self.server.log()
    }
}

/// Starts a server in a network at these addresses, and waits until it serves.
pub(crate) fn serve(rig: &Rig, network: &Process, addresses: &[&str]) -> anyhow::Result<Process> {
    let port = rig.port(Use::Stun).to_string();
    let pid = rig.path("turnserver.pid").display().to_string();
    let by = by(network);
    let (program, args) = by.split_first().context("a program")?;
    let mut args = args.to_vec();
    args.extend(
        [
            "/usr/bin/turnserver",
            "-n",
            "--stun-only",
            "--no-tls",
            "--no-dtls",
        ]
        .map(str::to_owned),
    );
    args.extend(["--no-cli", "--verbose", "--log-file", "stdout"].map(str::to_owned));
    for address in addresses {
        args.extend(["--listening-ip".to_owned(), (*address).to_owned()]);
    }
    args.extend(["--listening-port".to_owned(), port, "--pidfile".to_owned(), pid]);
    let mut server = Process::start(rig, "turnserver", Path::new(program), args)?;
    server.says("IPv4. UDP listener opened on", Duration::from_secs(15))?;
    Ok(server)
}

/// What starts a program in a network: a program and its arguments.
pub(crate) fn by(network: &Process) -> Vec<String> {
    let target = network.pid().to_string();
    ["nsenter", "--target", &target, "--net", "--"]
        .map(str::to_owned)
        .into()
}
