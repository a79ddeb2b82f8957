//! The hello to the switch: one LLDPDU, sent and never read (IEEE 802.1AB-2016, transmit only).
//!
//! The switch then shows which gateway hangs at which of its ports. [`frame`] makes the bytes; [`Hellos`] sends them on
//! every wire of this machine, for which it needs the right to send raw frames (`CAP_NET_RAW`).

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use gateway_core::Instant;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, sendto, socket};

use crate::ports::{self, Port};

/// Nearest bridge: forwarded by no switch (IEEE 802.1AB-2016 table 7-1).
const NEAREST_BRIDGE: [u8; 6] = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e];
/// EtherType (IEEE 802.1AB-2016 table 7-3).
const ETHERTYPE: u16 = 0x88cc;
/// Shortest Ethernet frame without its check sequence (IEEE 802.3 §4.2.3.3).
const SHORTEST: usize = 60;
/// Longest text of one TLV that we send (its length has nine bits, of which texts use 255).
const LONGEST: usize = 255;
/// The neighbour forgets us after so many hellos that did not come (msgTxHold, IEEE 802.1AB-2016 §9.2.5.6).
const HOLD: u64 = 4;
/// Station only (IEEE 802.1AB-2016 table 8-4).
const STATION: u16 = 1 << 7;

/// What a hello says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// Addresses by which the gateway is reached, at most eight are told.
    pub addresses: &'a [IpAddr],
    /// What it is: `Doorline 0.1.0`.
    pub description: &'a str,
    /// Number of the port.
    pub index: u32,
    /// Hardware address of the port; also the chassis' name.
    pub mac: [u8; 6],
    /// Name of the gateway.
    pub name: &'a str,
    /// Name of the port.
    pub port: &'a str,
    /// For how long it counts, in seconds; 0 says goodbye.
    pub ttl: u16,
}

/// The frame, from destination address to padding, without check sequence.
#[must_use]
pub fn frame(hello: &Hello<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(&NEAREST_BRIDGE);
    out.extend_from_slice(&hello.mac);
    out.extend_from_slice(&ETHERTYPE.to_be_bytes());
    // chassis id by hardware address (subtype 4), port id by name (subtype 5): §8.5.2, §8.5.3
    tlv(&mut out, 1, &[&[4], &hello.mac]);
    tlv(&mut out, 2, &[&[5], cut(hello.port, LONGEST - 1)]);
    tlv(&mut out, 3, &[&hello.ttl.to_be_bytes()]);
    if hello.ttl > 0 {
        tlv(&mut out, 4, &[cut(hello.port, LONGEST)]);
        tlv(&mut out, 5, &[cut(hello.name, LONGEST)]);
        tlv(&mut out, 6, &[cut(hello.description, LONGEST)]);
        tlv(&mut out, 7, &[&STATION.to_be_bytes(), &STATION.to_be_bytes()]);
        for ip in hello.addresses.iter().take(8) {
            // family by IANA's address family numbers, then the port by its index (subtype 2), no object id: §8.5.9
            let (length, family, bytes) = match ip {
                IpAddr::V4(v4) => (5, 1, v4.octets().to_vec()),
                IpAddr::V6(v6) => (17, 2, v6.octets().to_vec()),
            };
            tlv(
                &mut out,
                8,
                &[&[length, family], &bytes, &[2], &hello.index.to_be_bytes(), &[0]],
            );
        }
    }
    tlv(&mut out, 0, &[]);
    out.resize(out.len().max(SHORTEST), 0);
    out
}

/// Type in seven bits, length in nine (§8.4).
fn tlv(out: &mut Vec<u8>, kind: u16, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u16::try_from(length).unwrap_or(0) & 0x1ff;
    out.extend_from_slice(&(kind << 9 | length).to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// At most `most` bytes of a text, whole characters.
fn cut(text: &str, most: usize) -> &[u8] {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|n| text.is_char_boundary(*n));
    &text.as_bytes()[..end.unwrap_or(0)]
}

/// Why no hello can be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LldpError {
    /// The kernel gives no socket for frames.
    #[error(
        "no LLDP hello can be sent: this process may not send raw frames; start doorline-lldp.service, which has \
         the capability CAP_NET_RAW and nothing else, or set lldp = false under [announce]"
    )]
    NotPermitted,
    /// Another answer of the kernel.
    #[error("no LLDP hello can be sent")]
    Socket(#[source] io::Error),
}

/// Sends hellos on every wire.
#[derive(Debug)]
pub struct Hellos {
    description: String,
    every: Duration,
    name: String,
    /// When the next is due, by port. A port that lost its link is forgotten, so that its next hello is at once.
    next: BTreeMap<u32, Instant>,
    socket: OwnedFd,
}

impl Hellos {
    /// Opens the socket. `every` is the time between two hellos, 1 to 3600 s.
    ///
    /// # Errors
    /// The process may not.
    pub fn open(name: &str, description: &str, every: Duration) -> Result<Self, LldpError> {
        // protocol 0: nothing is received on it
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None);
        let socket = socket.map_err(|errno| {
            if matches!(errno, Errno::EPERM | Errno::EACCES | Errno::EAFNOSUPPORT) {
                LldpError::NotPermitted
            } else {
                LldpError::Socket(errno.into())
            }
        })?;
        Ok(Self {
            description: description.to_owned(),
            every,
            name: name.to_owned(),
            next: BTreeMap::new(),
            socket,
        })
    }

    /// Sends on each wire whose hello is due, and on one whose link came up since the last look. Gives how many went.
    pub fn look(&mut self, now: Instant) -> usize {
        let wires = wires();
        self.next
            .retain(|index, _| wires.iter().any(|port| port.index == *index));
        let mut sent = 0;
        for port in &wires {
            let due = self.next.get(&port.index).is_none_or(|due| now >= *due);
            if due {
                self.next.insert(port.index, now + self.every);
                sent += usize::from(self.send(port, self.ttl()));
            }
        }
        sent
    }

    /// Says goodbye on every wire, so that the switch forgets us at once.
    pub fn goodbye(&self) {
        for port in wires() {
            self.send(&port, 0);
        }
    }

    /// Time to live of a hello in seconds (§9.2.5.22).
    fn ttl(&self) -> u16 {
        let seconds = self.every.as_secs().saturating_mul(HOLD).saturating_add(1);
        u16::try_from(seconds).unwrap_or(u16::MAX)
    }

    fn send(&self, port: &Port, ttl: u16) -> bool {
        let (Some(mac), Some(link)) = (port.mac(), port.link.filter(ports::sendable)) else {
            return false;
        };
        let addresses: Vec<IpAddr> = port.addresses.iter().map(|a| a.ip).collect();
        let frame = frame(&Hello {
            addresses: &addresses,
            description: &self.description,
            index: port.index,
            mac,
            name: &self.name,
            port: &port.name,
            ttl,
        });
        match sendto(self.socket.as_raw_fd(), &frame, &link, MsgFlags::MSG_DONTWAIT) {
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(%error, port = port.name, "an LLDP hello was not sent");
                false
            }
        }
    }
}

fn wires() -> Vec<Port> {
    let mut ports = ports::ports().unwrap_or_default();
    ports.retain(|port| port.carrier && !port.loopback && ports::is_wire(&port.name));
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    static ADDRESSES: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7))];

    fn hello(ttl: u16) -> Hello<'static> {
        Hello {
            addresses: &ADDRESSES,
            description: "Doorline 0.1.0",
            index: 3,
            mac: [2, 0, 0, 0, 0, 7],
            name: "doorline-lilas",
            port: "eth0",
            ttl,
        }
    }

    /// Type and value of each TLV after the Ethernet header.
    fn read(frame: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let (mut rest, mut found) = (&frame[14..], vec![]);
        loop {
            let head = u16::from_be_bytes([rest[0], rest[1]]);
            let length = usize::from(head & 0x1ff);
            let kind = u8::try_from(head >> 9).expect("seven bits");
            found.push((kind, rest[2..2 + length].to_vec()));
            rest = &rest[2 + length..];
            if kind == 0 {
                return found;
            }
        }
    }

    #[test]
    fn a_hello_names_chassis_port_time_name_and_address() {
        let frame = frame(&hello(121));
        assert_eq!(frame[..6], NEAREST_BRIDGE);
        assert_eq!(frame[6..14], [2, 0, 0, 0, 0, 7, 0x88, 0xcc]);
        let expected: Vec<(u8, Vec<u8>)> = vec![
            (1, vec![4, 2, 0, 0, 0, 0, 7]),
            (2, b"\x05eth0".to_vec()),
            (3, vec![0, 121]),
            (4, b"eth0".to_vec()),
            (5, b"doorline-lilas".to_vec()),
            (6, b"Doorline 0.1.0".to_vec()),
            (7, vec![0, 0x80, 0, 0x80]),
            (8, vec![5, 1, 192, 0, 2, 7, 2, 0, 0, 0, 3, 0]),
            (0, vec![]),
        ];
        assert_eq!(read(&frame), expected);
    }

    #[test]
    fn a_goodbye_is_short_and_padded() {
        let frame = frame(&hello(0));
        assert_eq!(frame.len(), SHORTEST);
        let kinds: Vec<u8> = read(&frame).iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [1, 2, 3, 0]);
    }

    #[test]
    fn long_names_are_cut_at_a_whole_character() {
        let long = "é".repeat(300);
        let frame = frame(&Hello {
            name: &long,
            ..hello(121)
        });
        let name = &read(&frame)[4];
        assert_eq!((name.0, name.1.len()), (5, 254));
        assert!(String::from_utf8(name.1.clone()).is_ok());
    }
}
