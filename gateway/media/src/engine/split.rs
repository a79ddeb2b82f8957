//! Two sockets on one RTP port: audio waits in one of them for the tick that plays it, everything else wakes the thread.
//!
//! Audio is 50 packets a second and call, and none of them is needed before the next tick; a key press is needed at
//! once. So a small program in the kernel (classic BPF, socket(7) `SO_ATTACH_REUSEPORT_CBPF`, Linux 4.5) looks at the
//! payload type of each packet and gives audio to the second socket, which nobody waits for. What came when is known
//! all the same: the kernel dates what waits there. Where the system does not permit it all packets come to the first
//! socket, and each wakes the thread.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use gateway_core::Instant;
use nix::libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_B, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, sock_filter, sock_fprog,
};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use rustix::time::{ClockId, clock_gettime};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Payload types that are told apart; of more the rest wakes the thread.
const MOST: usize = 16;
/// Room for the control messages of one packet: its date.
const CONTROL: usize = 64;
/// What a date of the kernel may lie behind us; a step of the clock must not make packets older.
const OLDEST: Duration = Duration::from_millis(500);

/// Opens the second socket beside the first, which is bound and was alone on its port until here. Until
/// [`sort`] nothing comes to it.
///
/// # Errors
/// What the system does not permit; then the first socket is as it was.
pub(super) fn beside(first: &UdpSocket) -> io::Result<UdpSocket> {
    let address = first.local_addr()?;
    let second = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    second.set_nonblocking(true)?;
    second.set_reuse_port(true)?;
    setsockopt(&second, sockopt::ReceiveTimestampns, &true)?;
    let sockets = SockRef::from(first);
    if address.is_ipv6() {
        second.set_only_v6(sockets.only_v6()?)?;
    }
    // only after it was bound: whoever else has the port was found by that
    sockets.set_reuse_port(true)?;
    let done = second
        .bind(&address.into())
        .and_then(|()| sort(first, std::iter::empty()));
    if let Err(error) = done {
        drop(second);
        sockets.set_reuse_port(false)?;
        return Err(error);
    }
    Ok(second.into())
}

/// Gives packets of these payload types to the second socket of the port. `first` is the first one.
///
/// # Errors
/// What the system does not permit; then they are given as before.
pub(super) fn sort(first: &UdpSocket, audio: impl Iterator<Item = u8>) -> io::Result<()> {
    let mut program = [statement(BPF_RET | BPF_K, 0); MOST + 4];
    let length = write(&mut program, audio);
    let program = sock_fprog {
        len: u16::try_from(length).unwrap_or(0),
        filter: program.as_mut_ptr(),
    };
    Ok(setsockopt(first, sockopt::AttachReusePortCbpf, &program)?)
}

/// Writes the program and tells how long it is. It returns the index of the socket, in the order in which they were
/// bound; a packet without a second byte ends it with 0.
fn write(program: &mut [sock_filter; MOST + 4], audio: impl Iterator<Item = u8>) -> usize {
    program[0] = statement(BPF_LD | BPF_B | BPF_ABS, 1);
    // without the marker bit (RFC 3550 §5.1)
    program[1] = statement(BPF_ALU | BPF_AND | BPF_K, 0x7f);
    let mut length = 2;
    for kind in audio.take(MOST) {
        program[length] = statement(BPF_JMP | BPF_JEQ | BPF_K, u32::from(kind));
        length += 1;
    }
    for (left, test) in program[2..length].iter_mut().rev().enumerate() {
        // over the tests that are left, and the end for no match
        test.jt = u8::try_from(left).unwrap_or(0) + 1;
    }
    program[length] = statement(BPF_RET | BPF_K, 0);
    program[length + 1] = statement(BPF_RET | BPF_K, 1);
    length + 2
}

const fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

/// How far `CLOCK_REALTIME`, by which the kernel dates packets, is ahead of `CLOCK_BOOTTIME`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ahead(i128);

impl Ahead {
    /// As it is at this moment.
    pub(super) fn at(now: Instant) -> Self {
        let real = clock_gettime(ClockId::Realtime);
        Self(nanos(real.tv_sec, real.tv_nsec) - i128::from(now.as_nanos()))
    }

    /// The instant of a date, not after `now` and not long before it.
    fn instant(self, seconds: i64, rest: i64, now: Instant) -> Instant {
        let age = i128::from(now.as_nanos()) + self.0 - nanos(seconds, rest);
        let most = u64::try_from(OLDEST.as_nanos()).unwrap_or(u64::MAX);
        let age = u64::try_from(age.max(0)).unwrap_or(u64::MAX).min(most);
        Instant::from_nanos(now.as_nanos().saturating_sub(age))
    }
}

fn nanos(seconds: i64, rest: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(rest)
}

/// Takes the next packet of a second socket: how long it is, from whom, and when it came.
///
/// # Errors
/// `WouldBlock` if there is none.
pub(super) fn receive(
    second: &UdpSocket,
    buffer: &mut [u8],
    now: Instant,
    ahead: Ahead,
) -> io::Result<(usize, SocketAddr, Instant)> {
    let mut control = [0; CONTROL];
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(
        second.as_raw_fd(),
        &mut parts,
        Some(control.as_mut_slice()),
        MsgFlags::MSG_DONTWAIT,
    )?;
    let date = message.cmsgs()?.find_map(|part| {
        if let ControlMessageOwned::ScmTimestampns(date) = part {
            Some(date)
        } else {
            None
        }
    });
    let came = date.map_or(now, |date| ahead.instant(date.tv_sec(), date.tv_nsec(), now));
    let from = message.address.as_ref().and_then(address);
    let from = from.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok((message.bytes, from, came))
}

/// The address of a socket as the system gives it; `None` if it is none of the internet.
#[must_use]
pub fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::new(v4.ip().into(), v4.port()));
    }
    storage
        .as_sockaddr_in6()
        .map(|v6| SocketAddr::new(v6.ip().into(), v6.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program says to a packet with this second byte.
    fn run(audio: &[u8], byte: u8) -> u32 {
        let mut program = [statement(BPF_RET | BPF_K, 9); MOST + 4];
        let length = write(&mut program, audio.iter().copied());
        let (mut at, mut value) = (0, 0);
        while at < length {
            let step = program[at];
            at += 1;
            match u32::from(step.code) {
                c if c == BPF_LD | BPF_B | BPF_ABS => value = u32::from(byte),
                c if c == BPF_ALU | BPF_AND | BPF_K => value &= step.k,
                c if c == BPF_JMP | BPF_JEQ | BPF_K => {
                    at += usize::from(if value == step.k { step.jt } else { step.jf });
                }
                c if c == BPF_RET | BPF_K => return step.k,
                other => panic!("{other:#x}"),
            }
        }
        panic!("no end");
    }

    #[test]
    fn audio_goes_to_the_second_socket_and_all_else_to_the_first() {
        let many: Vec<u8> = (96..127).collect();
        for (audio, byte, socket) in [
            (&[][..], 8, 0),
            (&[8], 8, 1),
            (&[8], 0x88, 1),
            (&[0, 8, 13], 0, 1),
            (&[0, 8, 13], 13, 1),
            (&[0, 8, 13], 101, 0),
            (&[0, 8, 13], 0x80 | 101, 0),
            (&[0, 8, 13], 200, 0),
            (&many[..], 96, 1),
            (&many[..], 111, 1),
            (&many[..], 112, 0),
        ] {
            assert_eq!(run(audio, byte), socket, "{audio:?}: {byte}");
        }
    }

    #[test]
    fn dates_are_instants_of_the_past_and_not_of_long_ago() {
        let now = Instant::from_nanos(5_000_000_000);
        let ahead = Ahead(nanos(1_000_000, 0));
        for (s, ns, expected) in [
            (1_000_004, 990_000_000, 4_990_000_000),
            (1_000_005, 0, 5_000_000_000),
            (1_000_006, 0, 5_000_000_000),
            (0, 0, 4_500_000_000),
        ] {
            assert_eq!(ahead.instant(s, ns, now), Instant::from_nanos(expected));
        }
    }

    #[test]
    fn the_kernel_sorts_and_dates_and_the_port_is_nobody_elses() {
        for host in ["127.0.0.1", "[::1]"] {
            let Ok(first) = UdpSocket::bind(format!("{host}:0")) else {
                eprintln!("{host}: not here");
                continue;
            };
            first.set_nonblocking(true).expect("set");
            let second = beside(&first).expect("a second socket");
            let at = first.local_addr().expect("bound");
            assert!(UdpSocket::bind(at).is_err(), "the port is taken");
            let phone = UdpSocket::bind(format!("{host}:0")).expect("a socket");
            let own = phone.local_addr().expect("bound");
            let mut buffer = [0; 100];
            let now = || {
                let t = clock_gettime(ClockId::Boottime);
                Instant::from_nanos(u64::try_from(nanos(t.tv_sec, t.tv_nsec)).expect("after boot"))
            };
            phone.send_to(&[0x80, 8], at).expect("sent");
            assert_eq!(first.recv_from(&mut buffer).expect("unsorted"), (2, own));
            sort(&first, [8].into_iter()).expect("sorted");
            let before = now();
            phone.send_to(&[0x80, 0x88, 7], at).expect("sent");
            phone.send_to(&[0x80, 101], at).expect("sent");
            let after = now();
            assert_eq!(first.recv_from(&mut buffer).expect("an event"), (2, own));
            let (length, from, came) = receive(&second, &mut buffer, after, Ahead::at(after)).expect("audio");
            assert_eq!((length, from), (3, own));
            // the two clocks are read one after the other
            let apart = Duration::from_millis(1);
            assert!(came + apart >= before && came <= after, "{came:?}");
            for socket in [&first, &second] {
                let more = socket.recv_from(&mut buffer);
                assert_eq!(more.expect_err("nothing").kind(), io::ErrorKind::WouldBlock);
            }
        }
    }
}
