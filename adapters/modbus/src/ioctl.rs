//! Two requests of the kernel that no library in use offers: RS-485 direction control, and what a socket has not got
//! rid of yet.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::ioctl::{Getter, Updater, ioctl};

/// `TIOCSRS485` of every architecture but MIPS (Linux `asm-generic/ioctls.h`).
#[cfg(not(any(target_arch = "mips", target_arch = "mips64")))]
const TIOCSRS485: rustix::ioctl::Opcode = 0x542F;
/// `TIOCSRS485` as MIPS and SPARC encode it (`_IOWR('T', 0x2f, struct serial_rs485)`).
#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
const TIOCSRS485: rustix::ioctl::Opcode = 0xC020_542F;
/// `SIOCOUTQ`, the same as `TIOCOUTQ` (Linux `linux/sockios.h`).
#[cfg(not(any(target_arch = "mips", target_arch = "mips64")))]
const SIOCOUTQ: rustix::ioctl::Opcode = 0x5411;
/// `SIOCOUTQ` on MIPS.
#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
const SIOCOUTQ: rustix::ioctl::Opcode = 0x7472;

const ENABLED: u32 = 1;
const RTS_ON_SEND: u32 = 1 << 1;
const RTS_AFTER_SEND: u32 = 1 << 2;

/// `struct serial_rs485` (Linux `linux/serial.h`).
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct SerialRs485 {
    flags: u32,
    delay_rts_before_send_ms: u32,
    delay_rts_after_send_ms: u32,
    padding: [u32; 5],
}

/// Lets the port's driver switch the direction with RTS: high while it sends, or low if `inverted`.
///
/// # Errors
/// `ENOTTY`, `EINVAL` or `EOPNOTSUPP` if the port's driver cannot.
#[expect(unsafe_code, reason = "no library in use has this request")]
pub(crate) fn rs485(port: &impl AsRawFd, inverted: bool) -> Result<(), Errno> {
    let mut settings = SerialRs485 {
        flags: ENABLED | if inverted { RTS_AFTER_SEND } else { RTS_ON_SEND },
        ..SerialRs485::default()
    };
    // SAFETY: the descriptor is open while `port` is borrowed; the kernel reads and writes one struct serial_rs485,
    // which is what SerialRs485 is, and any content of it is valid.
    unsafe {
        let port = BorrowedFd::borrow_raw(port.as_raw_fd());
        ioctl(port, Updater::<TIOCSRS485, SerialRs485>::new(&mut settings))
    }
}

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
    fn the_struct_is_as_large_as_the_kernels() {
        assert_eq!(size_of::<SerialRs485>(), 32);
    }

    #[test]
    fn what_is_no_serial_port_is_refused_by_the_kernel() {
        let null = std::fs::File::open("/dev/null").expect("it is there");
        assert!(rs485(&null, false).is_err());
        assert!(unacknowledged(&null).is_err());
    }
}
