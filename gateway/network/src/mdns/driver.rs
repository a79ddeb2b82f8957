//! Sockets and timers of the responders: two sockets and one responder for each port of the machine.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::Clock;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::conflicts::Conflicts;
use super::{GROUP_V4, GROUP_V6, Output, PORT, Profile, Responder, To};
use crate::ports::{self, Port};

/// How often ports and addresses are looked at.
const LOOK: Duration = Duration::from_secs(3);
/// Longest message read (RFC 6762 §17).
const LONGEST: usize = 9000;
/// Messages that wait; more are lost, as datagrams are.
const WAITING: usize = 64;
/// So many names in a row that are all taken: somebody jests, or a bridge reflects.
const NAMES: u32 = 50;

/// What is known of us on the link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Why nothing is announced, with what to do.
    pub fault: Option<String>,
    /// Our name, `doorline-lilas.local`, once it is ours on at least one port.
    pub name: Option<String>,
}

/// A running responder.
#[derive(Debug)]
pub struct MdnsHandle {
    known: watch::Receiver<Known>,
    profile: watch::Sender<Profile>,
    task: JoinHandle<()>,
}

impl MdnsHandle {
    /// Announces another profile.
    pub fn apply(&self, profile: Profile) {
        self.profile.send_if_modified(|old| {
            let news = *old != profile;
            *old = profile;
            news
        });
    }

    /// What is known of us.
    #[must_use]
    pub fn known(&self) -> watch::Receiver<Known> {
        self.known.clone()
    }

    /// Says goodbye and ends.
    pub async fn stop(self) {
        drop(self.profile);
        let _ = tokio::time::timeout(Duration::from_secs(2), self.task).await;
    }
}

/// Starts to announce a profile on every port that reaches others.
#[must_use]
pub fn start(profile: Profile, clock: Arc<dyn Clock>) -> MdnsHandle {
    let (profile, wanted) = watch::channel(profile);
    let (told, known) = watch::channel(Known::default());
    let (packets_to, packets) = mpsc::channel(WAITING);
    let rng = StdRng::from_os_rng();
    let driver = Driver {
        begin: Begin { clock, rng, wanted },
        conflicts: Conflicts::default(),
        everywhere: Vec::new(),
        number: 1,
        packets_to,
        told,
        wires: BTreeMap::new(),
    };
    MdnsHandle {
        known,
        profile,
        task: tokio::spawn(driver.run(packets)),
    }
}

struct Packet {
    bytes: Vec<u8>,
    from: SocketAddr,
    index: u32,
}

/// One port of the machine.
struct Wire {
    port: Port,
    readers: Vec<JoinHandle<()>>,
    responder: Responder,
    v4: Option<Arc<UdpSocket>>,
    v6: Option<Arc<UdpSocket>>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        for reader in &self.readers {
            reader.abort();
        }
    }
}

struct Driver {
    begin: Begin,
    /// About the names that were tried.
    conflicts: Conflicts,
    everywhere: Vec<IpAddr>,
    number: u32,
    packets_to: mpsc::Sender<Packet>,
    told: watch::Sender<Known>,
    wires: BTreeMap<u32, Wire>,
}

impl Driver {
    async fn run(mut self, mut packets: mpsc::Receiver<Packet>) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = self
                .wires
                .values()
                .filter_map(|wire| wire.responder.poll_timeout())
                .min();
            let wait = due.map(|at| at.since(self.begin.clock.now()));
            tokio::select! {
                changed = self.begin.wanted.changed() => {
                    if changed.is_err() {
                        self.goodbye();
                        return;
                    }
                    self.goodbye();
                    self.number = 1;
                    self.anew(Duration::ZERO);
                }
                Some(packet) = packets.recv() => {
                    let now = self.begin.clock.now();
                    if let Some(wire) = self.wires.get_mut(&packet.index) {
                        wire.responder.handle_packet(now, &packet.bytes, packet.from);
                    }
                }
                _ = look.tick() => self.look(),
                () = sleep(wait) => {}
            }
            let now = self.begin.clock.now();
            for wire in self.wires.values_mut() {
                wire.responder.handle_timeout(now);
            }
            self.carry_out();
        }
    }

    /// Looks which ports there are, and begins on new ones and on those whose addresses changed.
    fn look(&mut self) {
        let Ok(mut ports) = ports::ports() else { return };
        let mut everywhere: Vec<IpAddr> = ports.iter().flat_map(|p| &p.addresses).map(|a| a.ip).collect();
        everywhere.sort_unstable();
        let moved = everywhere != self.everywhere;
        self.everywhere = everywhere;
        ports.retain(|port| port.multicast && port.carrier && !port.loopback && !port.addresses.is_empty());
        let stays = |wire: &Wire| {
            let same = |port: &Port| port.index == wire.port.index && port.name == wire.port.name;
            ports.iter().any(same)
        };
        self.wires.retain(|_, wire| stays(wire));
        let mut fault = None;
        for port in ports {
            if let Some(wire) = self.wires.get_mut(&port.index) {
                if moved || wire.port.addresses != port.addresses {
                    wire.port = port;
                    wire.responder =
                        self.begin
                            .responder(self.number, &wire.port, &self.everywhere, Duration::ZERO);
                }
                continue;
            }
            match self.open(port) {
                Ok(wire) => {
                    self.wires.insert(wire.port.index, wire);
                }
                Err(error) => fault = Some(error),
            }
        }
        let fault = fault.map(|error: io::Error| {
            format!(
                "mDNS cannot be answered: {error}; if another program holds UDP port {PORT} for itself, stop it, or \
                 set mdns = false under [announce]"
            )
        });
        self.told.send_if_modified(|known| {
            let news = known.fault != fault;
            known.fault = fault;
            news
        });
    }

    /// Opens the sockets of a port. One family is enough.
    fn open(&mut self, port: Port) -> io::Result<Wire> {
        let (v4, v6) = (open_v4(&port), open_v6(&port));
        let (v4, v6) = match (v4, v6) {
            (Err(error), Err(_)) => return Err(error),
            (v4, v6) => (v4.ok().map(Arc::new), v6.ok().map(Arc::new)),
        };
        let sockets = [&v4, &v6];
        let readers = sockets.into_iter().flatten().map(|socket| {
            let (socket, packets_to, index) = (Arc::clone(socket), self.packets_to.clone(), port.index);
            tokio::spawn(read(socket, index, packets_to))
        });
        Ok(Wire {
            readers: readers.collect(),
            responder: self
                .begin
                .responder(self.number, &port, &self.everywhere, Duration::ZERO),
            port,
            v4,
            v6,
        })
    }

    /// Begins anew on every port: with another profile, or another number behind the names.
    fn anew(&mut self, wait: Duration) {
        self.begin.wanted.mark_unchanged();
        for wire in self.wires.values_mut() {
            wire.responder = self
                .begin
                .responder(self.number, &wire.port, &self.everywhere, wait);
        }
    }

    fn goodbye(&mut self) {
        for wire in self.wires.values_mut() {
            wire.responder.goodbye();
            wire.carry_out();
        }
    }

    fn carry_out(&mut self) {
        let mut conflict = false;
        for wire in self.wires.values_mut() {
            conflict |= wire.carry_out();
        }
        if conflict {
            self.number = if self.number < NAMES { self.number + 1 } else { 1 };
            let wait = self.conflicts.note(self.begin.clock.now());
            tracing::info!(
                number = self.number,
                wait_s = wait.as_secs(),
                "our name on the network is taken; the next one is tried"
            );
            self.anew(wait);
        }
        let settled = self.wires.values().any(|wire| wire.responder.settled());
        let name =
            settled.then(|| format!("{}.local", self.begin.wanted.borrow().numbered(self.number).host));
        self.told.send_if_modified(|known| {
            let news = known.name != name;
            known.name = name;
            news
        });
    }
}

impl Wire {
    /// Sends what the responder wants sent. True if it has to take other names.
    fn carry_out(&mut self) -> bool {
        let mut conflict = false;
        while let Some(output) = self.responder.poll_output() {
            match output {
                Output::Conflict => conflict = true,
                Output::Send { bytes, to: To::Group } => {
                    send(self.v4.as_deref(), &bytes, (IpAddr::from(GROUP_V4), PORT).into());
                    send(self.v6.as_deref(), &bytes, (IpAddr::from(GROUP_V6), PORT).into());
                }
                Output::Send {
                    bytes,
                    to: To::Peer(peer),
                } => {
                    let socket = if peer.is_ipv4() { &self.v4 } else { &self.v6 };
                    send(socket.as_deref(), &bytes, peer);
                }
            }
        }
        conflict
    }
}

/// What a responder begins with.
struct Begin {
    clock: Arc<dyn Clock>,
    rng: StdRng,
    wanted: watch::Receiver<Profile>,
}

impl Begin {
    fn responder(&mut self, number: u32, port: &Port, everywhere: &[IpAddr], wait: Duration) -> Responder {
        // RFC 6762 §8.1: so that machines that start together do not all ask at once
        let delay = wait + Duration::from_millis(self.rng.random_range(0..250));
        let profile = self.wanted.borrow().numbered(number);
        Responder::new(self.clock.now(), &profile, &port.addresses, everywhere, delay)
    }
}

/// A full buffer or a port that just went is a loss like any other on this protocol.
fn send(socket: Option<&UdpSocket>, bytes: &[u8], to: SocketAddr) {
    if let Some(socket) = socket
        && let Err(error) = socket2::SockRef::from(socket).send_to(bytes, &to.into())
    {
        tracing::debug!(%error, %to, "an mDNS message was not sent");
    }
}

async fn read(socket: Arc<UdpSocket>, index: u32, packets_to: mpsc::Sender<Packet>) {
    let mut buffer = vec![0; LONGEST];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            // the port went away; the next look opens another socket
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let bytes = buffer[..length].to_vec();
        // a flood loses messages, and holds nobody up
        if let Err(mpsc::error::TrySendError::Closed(_)) = packets_to.try_send(Packet { bytes, from, index })
        {
            return;
        }
    }
}

fn open_v4(port: &Port) -> io::Result<UdpSocket> {
    let socket = bound(Domain::IPV4, port)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).into())?;
    socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(port.index))?;
    socket.set_multicast_ttl_v4(255)?;
    socket.set_ttl_v4(255)?;
    socket.set_multicast_loop_v4(true)?;
    UdpSocket::from_std(socket.into())
}

fn open_v6(port: &Port) -> io::Result<UdpSocket> {
    let socket = bound(Domain::IPV6, port)?;
    socket.set_only_v6(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)).into())?;
    socket.join_multicast_v6(&GROUP_V6, port.index)?;
    socket.set_multicast_if_v6(port.index)?;
    socket.set_multicast_hops_v6(255)?;
    socket.set_unicast_hops_v6(255)?;
    socket.set_multicast_loop_v6(true)?;
    UdpSocket::from_std(socket.into())
}

/// A socket that hears and speaks at one port only, beside other responders of the machine.
fn bound(domain: Domain, port: &Port) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind_device(Some(port.name.as_bytes()))?;
    Ok(socket)
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
