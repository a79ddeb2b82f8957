//! Packets at a port of media that nobody waits for: told apart before anything is done with them, and kept off.
//!
//! Two walls. Where the source alone decides (plain RTP, see [`Latch::binds`](super::latch::Latch::binds)), a small program
//! in the kernel (classic BPF, socket(7) `SO_ATTACH_FILTER`) throws away what comes from any other address; it never
//! reaches the thread. Where a key or a check of ICE decides, packets of the latched source have a budget of their own,
//! and those of everybody else another: whoever sends junk uses up what is a stranger's, and nothing of the phone's.

use std::io;
use std::net::{IpAddr, UdpSocket};

use nix::libc::{
    BPF_ABS, BPF_ALU, BPF_B, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_RSH, BPF_W, sock_filter,
};
use socket2::{SockFilter, SockRef};

use super::leg::Which;

/// Packets of a stranger that are taken from each socket of a leg between two ticks, 25 600 a second: each costs
/// one call of the system, and one try of the keys where there are some.
pub(super) const STRANGERS: u16 = 256;
/// Addresses that a filter lets through: announced for RTP, for RTCP, that of the signalling, and the latched one.
pub(super) const MOST: usize = 4;
/// Offset from which the network's header is read (linux/filter.h `SKF_NET_OFF`).
const NETWORK: u32 = 0xfff0_0000;
/// Steps of the longest program: five and, for each address, nine.
const LONGEST: usize = 6 + 9 * MOST;
const ACCEPT: sock_filter = step(BPF_RET | BPF_K, 0, 0, u32::MAX);
const REFUSE: sock_filter = step(BPF_RET | BPF_K, 0, 0, 0);

/// What is left of the strangers' part before the next tick, of each socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strangers {
    audio: u16,
    rtcp: u16,
    rtp: u16,
    /// Packets of strangers so far.
    pub(super) count: u64,
}

impl Default for Strangers {
    fn default() -> Self {
        Self {
            audio: STRANGERS,
            rtcp: STRANGERS,
            rtp: STRANGERS,
            count: 0,
        }
    }
}

impl Strangers {
    /// A tick is over.
    pub(super) const fn tick(&mut self) {
        self.raise(STRANGERS);
    }

    /// So many may be taken from each socket.
    pub(super) const fn raise(&mut self, to: u16) {
        (self.audio, self.rtcp, self.rtp) = (to, to, to);
    }

    /// May another packet be taken from this socket, whoever sent it?
    pub(super) const fn may_come(&self, which: Which) -> bool {
        match which {
            Which::Audio => self.audio > 0,
            Which::Rtcp => self.rtcp > 0,
            Which::All | Which::Rtp => self.rtp > 0,
        }
    }

    /// A stranger's packet was taken from this socket.
    pub(super) const fn note(&mut self, which: Which) {
        self.count += 1;
        let left = match which {
            Which::Audio => &mut self.audio,
            Which::Rtcp => &mut self.rtcp,
            Which::All | Which::Rtp => &mut self.rtp,
        };
        *left = left.saturating_sub(1);
    }
}

/// From here on a socket takes packets of these addresses only; of all, if there is none.
///
/// # Errors
/// What the system does not permit; then it takes what it took.
pub(super) fn admit(socket: &UdpSocket, addresses: &[Option<IpAddr>; MOST]) -> io::Result<()> {
    let socket = SockRef::from(socket);
    let mut program = [REFUSE; LONGEST];
    let length = write(&mut program, addresses);
    if length == 0 {
        return match socket.detach_filter() {
            // there was none
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        };
    }
    let program = program.map(|step| SockFilter::new(step.code, step.jt, step.jf, step.k));
    socket.attach_filter(program.get(..length).unwrap_or(&program))
}

/// Writes the program and tells how long it is, 0 without addresses: the version of the network's header, then its source
/// address against each that may come.
fn write(program: &mut [sock_filter; LONGEST], addresses: &[Option<IpAddr>; MOST]) -> usize {
    let known = || {
        let all = addresses.iter().flatten().map(IpAddr::to_canonical);
        all.filter(|address| !address.is_unspecified())
    };
    if known().next().is_none() {
        return 0;
    }
    let load = |offset: u32| step(BPF_LD | BPF_W | BPF_ABS, 0, 0, NETWORK + offset);
    let mut length = 0;
    let mut put = |step: sock_filter| {
        if let Some(room) = program.get_mut(length) {
            *room = step;
            length += 1;
        }
    };
    put(step(BPF_LD | BPF_B | BPF_ABS, 0, 0, NETWORK));
    put(step(BPF_ALU | BPF_RSH | BPF_K, 0, 0, 4));
    let fours = u8::try_from(known().filter(IpAddr::is_ipv4).count()).unwrap_or(0);
    // over what is for version 4: a load, two steps for each address, and the end
    put(step(BPF_JMP | BPF_JEQ | BPF_K, 0, 2 * fours + 2, 4));
    // RFC 791 §3.1: the source is at 12
    put(load(12));
    for address in known() {
        if let IpAddr::V4(address) = address {
            put(step(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, u32::from(address)));
            put(ACCEPT);
        }
    }
    put(REFUSE);
    // RFC 8200 §3: the source is at 8
    for address in known() {
        if let IpAddr::V6(address) = address {
            for (n, pair) in (0_u8..).zip(address.segments().chunks(2)) {
                let word = pair.iter().fold(0, |word, part| (word << 16) | u32::from(*part));
                put(load(8 + 4 * u32::from(n)));
                // over the rest of this address
                put(step(BPF_JMP | BPF_JEQ | BPF_K, 0, 2 * (3 - n) + 1, word));
            }
            put(ACCEPT);
        }
    }
    put(REFUSE);
    length
}

const fn step(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// What the program says to a packet with this source: taken or not.
    fn takes(program: &[sock_filter], source: IpAddr) -> bool {
        let header = match source {
            IpAddr::V4(v4) => [&[0x45; 12][..], &v4.octets()].concat(),
            IpAddr::V6(v6) => [&[0x60; 8][..], &v6.octets()].concat(),
        };
        let (mut at, mut value) = (0, 0);
        loop {
            let step = program[at];
            at += 1;
            let from = usize::try_from(step.k.wrapping_sub(NETWORK)).expect("small");
            match u32::from(step.code) {
                c if c == BPF_LD | BPF_B | BPF_ABS => value = u32::from(header[from]),
                c if c == BPF_LD | BPF_W | BPF_ABS => {
                    value = u32::from_be_bytes(header[from..from + 4].try_into().expect("a word"));
                }
                c if c == BPF_ALU | BPF_RSH | BPF_K => value >>= step.k,
                c if c == BPF_JMP | BPF_JEQ | BPF_K => {
                    at += usize::from(if value == step.k { step.jt } else { step.jf });
                }
                c if c == BPF_RET | BPF_K => return step.k != 0,
                other => panic!("{other:#x}"),
            }
        }
    }

    fn first(known: &[IpAddr], n: usize) -> [Option<IpAddr>; MOST] {
        std::array::from_fn(|at| known[..n].get(at).copied())
    }

    #[test]
    fn only_the_addresses_that_were_named_come_through() {
        let known = ["192.0.2.7", "10.0.0.7", "2001:db8::7", "fe80::1:2:3:4"].map(ip);
        let turned: Vec<IpAddr> = known.iter().rev().copied().collect();
        for (list, n) in (1..=MOST).flat_map(|n| [(&known[..], n), (&turned[..], n)]) {
            let mut program = [REFUSE; LONGEST];
            let length = write(&mut program, &first(list, n));
            let program = &program[..length];
            for (at, address) in list.iter().enumerate() {
                assert_eq!(takes(program, *address), at < n, "{address} of {n}");
            }
            for stranger in ["192.0.2.8", "2001:db8::8", "2001:db9::7", "fe80::1:2:3:5", "::7"] {
                assert!(!takes(program, ip(stranger)), "{stranger}");
            }
        }
        // the longest has room, and of an address in its other spelling it is the same
        let six = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"].map(ip);
        let mut program = [REFUSE; LONGEST];
        let length = write(&mut program, &first(&six, MOST));
        assert!(takes(&program[..length], six[3]));
        let length = write(&mut program, &first(&[ip("::ffff:192.0.2.7")], 1));
        assert!(takes(&program[..length], ip("192.0.2.7")));
        for nobody in [[None; MOST], [Some(ip("0.0.0.0")), Some(ip("::")), None, None]] {
            assert_eq!(write(&mut program, &nobody), 0);
        }
    }

    #[test]
    fn the_kernel_throws_away_what_comes_from_elsewhere_until_it_is_let_in() {
        for (bound, phone, elsewhere) in [
            ("127.0.0.1:0", "127.0.0.1:0", Some("127.0.0.2:0")),
            ("[::]:0", "127.0.0.1:0", Some("127.0.0.2:0")),
            ("[::1]:0", "[::1]:0", None),
        ] {
            let Ok(door) = UdpSocket::bind(bound) else {
                eprintln!("{bound}: not here");
                continue;
            };
            door.set_nonblocking(true).expect("set");
            let phone = UdpSocket::bind(phone).expect("a socket");
            let port = door.local_addr().expect("bound").port();
            let to = SocketAddr::new(phone.local_addr().expect("bound").ip(), port);
            let (all, own) = ([None; MOST], [Some(to.ip()), None, None, None]);
            let mut buffer = [0; 10];
            admit(&door, &all).expect("nothing to take away");
            admit(&door, &own).expect("permitted");
            phone.send_to(b"key", to).expect("sent");
            assert_eq!(door.recv(&mut buffer).expect("the phone's"), 3);
            if let Some(elsewhere) = elsewhere {
                let stranger = UdpSocket::bind(elsewhere).expect("a socket");
                stranger.send_to(b"junk", to).expect("sent");
                phone.send_to(b"key", to).expect("sent");
                assert_eq!(door.recv(&mut buffer).expect("the phone's"), 3);
                admit(&door, &all).expect("permitted");
                stranger.send_to(b"junk", to).expect("sent");
                assert_eq!(door.recv(&mut buffer).expect("the stranger's"), 4);
            }
            admit(&door, &[Some(ip("192.0.2.1")), None, None, None]).expect("permitted");
            phone.send_to(b"key", to).expect("sent");
            let none = door.recv(&mut buffer).expect_err("kept off");
            assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
        }
    }
}
