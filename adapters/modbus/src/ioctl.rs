//! A request of the kernel that no library in use offers: what a socket has not got rid of yet.

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::ioctl::{Getter, ioctl};

/// `SIOCOUTQ`, the same as `TIOCOUTQ` (Linux `linux/sockios.h`).
#[cfg(not(any(target_arch = "mips", target_arch = "mips64")))]
const SIOCOUTQ: rustix::ioctl::Opcode = 0x5411;
/// `SIOCOUTQ` on MIPS.
#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
const SIOCOUTQ: rustix::ioctl::Opcode = 0x7472;

/// Bytes that were written and that the other side has not acknowledged.
///
/// # Errors
/// If it is no socket.
#[expect(unsafe_code, reason = "no library in use has this request")]
pub(crate) fn unacknowledged(socket: &impl AsFd) -> Result<usize, Errno> {
    // SAFETY: the kernel writes one int.
    let bytes = unsafe { ioctl(socket, Getter::<SIOCOUTQ, std::ffi::c_int>::new()) }?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_socket_is_refused_by_the_kernel() {
        let null = std::fs::File::open("/dev/null").expect("it is there");
        assert!(unacknowledged(&null).is_err());
    }
}
