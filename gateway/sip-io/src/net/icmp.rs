//! What the network says about datagrams that did not arrive (ICMP), from the error queue of a UDP socket (ip(7)).

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use gateway_media::engine::address;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};

/// Room for the control messages of one error.
const CONTROL: usize = 256;

/// Asks the kernel to keep such messages. Where it does not, requests fail by their timers as ever.
pub(super) fn ask(socket: &impl AsFd, v4: bool) {
    let done = if v4 {
        setsockopt(socket, sockopt::Ipv4RecvErr, &true)
    } else {
        setsockopt(socket, sockopt::Ipv6RecvErr, &true)
    };
    if let Err(error) = done {
        tracing::debug!(%error, "errors of datagrams are not told");
    }
}

/// Takes the next message: the address that no datagram reaches, or `None` if it says something else (RFC 3261 §18.4
/// takes unreachable hosts, networks, ports and protocols for failures and nothing more).
///
/// # Errors
/// `WouldBlock` if there is none.
pub(super) fn next(socket: &impl AsRawFd) -> io::Result<Option<SocketAddr>> {
    // The beginning of our own datagram comes with it, which we do not need.
    let mut payload = [0; 16];
    let mut control = [0; CONTROL];
    let mut parts = [IoSliceMut::new(&mut payload)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut parts,
        Some(control.as_mut_slice()),
        MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT,
    )?;
    let unreachable = message.cmsgs()?.any(|part| {
        matches!(
            part,
            ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _)
                if is_final(error.ee_errno)
        )
    });
    Ok(message
        .address
        .filter(|_| unreachable)
        .and_then(|to| address(&to)))
}

fn is_final(errno: u32) -> bool {
    let known = [
        Errno::ECONNREFUSED,
        Errno::EHOSTUNREACH,
        Errno::ENETUNREACH,
        Errno::ENOPROTOOPT,
    ];
    known
        .iter()
        .any(|known| i32::try_from(errno) == Ok(*known as i32))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::{Duration, Instant};

    use super::*;

    /// What is told about a datagram to a port where nobody listens, and that port. `None` if nothing is told: somebody
    /// else may have taken the port in between.
    fn tell(host: &str, socket: &UdpSocket) -> Option<(SocketAddr, Option<SocketAddr>)> {
        let gone = UdpSocket::bind(format!("{host}:0"))
            .and_then(|s| s.local_addr())
            .expect("a port");
        socket.send_to(b"hello", gone).expect("loopback");
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            match next(socket) {
                Ok(told) => return Some((gone, told)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(e) => panic!("{host}: {e}"),
            }
        }
        None
    }

    #[test]
    fn the_address_of_a_closed_port_is_told_and_then_nothing_more() {
        for host in ["127.0.0.1", "[::1]"] {
            let Ok(socket) = UdpSocket::bind(format!("{host}:0")) else {
                assert_ne!(host, "127.0.0.1", "every machine has a loopback");
                continue;
            };
            ask(&socket, host == "127.0.0.1");
            let (gone, told) = (0..3)
                .find_map(|_| tell(host, &socket))
                .expect("one of three ports is free");
            assert_eq!(told, Some(gone));
            assert_eq!(
                next(&socket).expect_err("empty").kind(),
                io::ErrorKind::WouldBlock
            );
        }
    }
}
