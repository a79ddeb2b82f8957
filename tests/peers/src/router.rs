//! A real router, the kernel's, between three networks of our own: it writes another port in place of each one, and lets nobody in
//! who was not written to.

use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::ports::Use;
use crate::process::Process;
use crate::rig::Rig;
use crate::stun;

/// Three network namespaces: inside, router, outside. In the last one a STUN server listens on [`Use::Stun`].
///
/// Sockets of files are shared with the machine, so that the gateway is steered as ever.
#[derive(Debug)]
pub struct Router {
    inside: Process,
    outside: Process,
    _router: Process,
    _server: Process,
}

impl Router {
    /// The address inside.
    pub const INSIDE: &str = "10.7.0.2";
    /// The one outside: of a server, and of a phone.
    pub const OUTSIDE: &str = "203.0.113.9";
    /// The router's own address outside.
    pub const SEEN_AT: &str = "203.0.113.5";
    /// Its ports there.
    pub const PORTS: std::ops::RangeInclusive<u16> = 61_000..=61_999;

    /// Makes all of it.
    ///
    /// # Errors
    /// Without the right to make networks, without `nft`, or if the server does not come up within 15 s.
    pub fn start(rig: &Rig) -> anyhow::Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "only root may make a network of its own"
        );
        let network = |name: &str| {
            let script = "ip link set lo up && echo made && exec sleep 600";
            let args = ["--net", "--", "sh", "-c", script];
            let mut network = Process::start(rig, name, Path::new("unshare"), args)?;
            network.says("made", Duration::from_secs(10))?;
            anyhow::Ok(network)
        };
        let (inside, router, outside) = (network("inside")?, network("router")?, network("outside")?);
        within(
            &router,
            &format!(
                "ip link add inner type veth peer name eth0 netns {} && \
                 ip link add outer type veth peer name eth0 netns {} && \
                 ip address add 10.7.0.1/24 dev inner && ip address add {}/24 dev outer && \
                 ip link set inner up && ip link set outer up && echo 1 >/proc/sys/net/ipv4/ip_forward && \
                 nft 'add table ip nat; add chain ip nat out {{ type nat hook postrouting priority 100; }}; \
                 add rule ip nat out oifname outer meta l4proto udp masquerade to :{}-{}; \
                 add chain ip nat own {{ type filter hook input priority 0; }}; add rule ip nat own iifname outer drop'",
                inside.pid(),
                outside.pid(),
                Self::SEEN_AT,
                Self::PORTS.start(),
                Self::PORTS.end(),
            ),
        )?;
        let up = |address: &str| format!("ip address add {address}/24 dev eth0 && ip link set eth0 up");
        within(
            &inside,
            &format!("{} && ip route add default via 10.7.0.1", up(Self::INSIDE)),
        )?;
        within(&outside, &up(Self::OUTSIDE))?;
        let server = stun::serve(rig, &outside, &[Self::OUTSIDE])?;
        Ok(Self {
            inside,
            outside,
            _router: router,
            _server: server,
        })
    }

    /// What starts a program inside.
    #[must_use]
    pub fn by_inside(&self) -> Vec<String> {
        stun::by(&self.inside)
    }

    /// What starts a program outside.
    #[must_use]
    pub fn by_outside(&self) -> Vec<String> {
        stun::by(&self.outside)
    }

    /// A connection to a port on loopback of the network outside.
    ///
    /// # Errors
    /// If nobody listens there.
    pub fn connect(&self, port: u16) -> anyhow::Result<TcpStream> {
        let network = std::fs::File::open(format!("/proc/{}/ns/net", self.outside.pid()))?;
        // of this thread alone, which ends with it; the socket stays where it was made
        let connect = move || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?)
        };
        std::thread::spawn(connect)
            .join()
            .map_err(|_| anyhow!("the thread in the network panicked"))?
    }

    /// The STUN server's address, as a site file names it.
    #[must_use]
    pub fn stun(rig: &Rig) -> String {
        format!("{}:{}", Self::OUTSIDE, rig.port(Use::Stun))
    }
}

/// Runs a script in a network.
fn within(network: &Process, script: &str) -> anyhow::Result<()> {
    let by = stun::by(network);
    let (program, args) = by.split_first().context("a program")?;
    let done = Command::new(program)
        .args(args)
        .args(["sh", "-c", script])
        .output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{script}: {said}");
    Ok(())
}
