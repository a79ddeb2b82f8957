//! Does traffic pass? Asked by the kernel's own TCP from inside the gateway's namespace, so that the answer does not
//! depend on how fast programs start.

use std::fs::File;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::SWITCH;

/// Both ends answer in their kernels, in microseconds; a question to a neighbour that was asked before may wait for its
/// next turn, which is within a second.
const LIMIT: Duration = Duration::from_secs(2);

/// Nothing came back; without a carrier there may be no way at all.
const SILENT: [ErrorKind; 3] = [
    ErrorKind::HostUnreachable,
    ErrorKind::NetworkUnreachable,
    ErrorKind::TimedOut,
];

/// True if a connection to the switch is taken or refused; false if nothing comes back.
pub(super) fn reach(namespace: &str) -> anyhow::Result<bool> {
    let file = Path::new("/run/netns").join(namespace);
    let file = File::open(&file).with_context(|| format!("{}", file.display()))?;
    // a thread that goes into another namespace does not come back
    let thread = std::thread::spawn(move || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
        let switch = SocketAddr::new(SWITCH.parse().map_err(std::io::Error::other)?, 9);
        match TcpStream::connect_timeout(&switch, LIMIT) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(true),
            Err(error) if SILENT.contains(&error.kind()) => Ok(false),
            Err(error) => Err(error),
        }
    });
    let end = thread.join();
    let end = end.map_err(|_| anyhow::anyhow!("the thread that connects panicked"))?;
    end.context("a connection from the gateway's namespace")
}
