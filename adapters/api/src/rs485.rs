//! Who switches an RS-485 line between sending and receiving.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::ioctl::{Updater, ioctl};

/// `TIOCSRS485` of every architecture but MIPS (Linux `asm-generic/ioctls.h`).
#[cfg(not(any(target_arch = "mips", target_arch = "mips64")))]
const TIOCSRS485: rustix::ioctl::Opcode = 0x542F;
/// `TIOCSRS485` as MIPS and SPARC encode it (`_IOWR('T', 0x2f, struct serial_rs485)`).
#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
const TIOCSRS485: rustix::ioctl::Opcode = 0xC020_542F;

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

/// Who switches an RS-485 driver between sending and receiving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The adapter by itself, as nearly all USB adapters do.
    Adapter,
    /// The kernel's driver by RTS, which is high while it sends (`TIOCSRS485`).
    Rts,
    /// The kernel's driver by RTS, which is low while it sends.
    RtsInverted,
}

impl Direction {
    /// Tells the port's driver.
    ///
    /// # Errors
    /// `ENOTTY`, `EINVAL` or `EOPNOTSUPP` if the port's driver cannot. Some drivers take the request and do something else; what
    /// they answer that they do is looked at, so that nobody waits for answers on a line that is held.
    pub fn apply(self, port: &impl AsRawFd) -> Result<(), Errno> {
        match self {
            Self::Adapter => Ok(()),
            Self::Rts => rts(port, RTS_ON_SEND),
            Self::RtsInverted => rts(port, RTS_AFTER_SEND),
        }
    }
}

/// Lets the port's driver switch the direction with RTS.
#[expect(unsafe_code, reason = "no library in use has this request")]
fn rts(port: &impl AsRawFd, when: u32) -> Result<(), Errno> {
    let mut settings = SerialRs485 {
        flags: ENABLED | when,
        ..SerialRs485::default()
    };
    // SAFETY: the descriptor is open while `port` is borrowed; the kernel reads and writes one struct serial_rs485,
    // which is what SerialRs485 is, and any content of it is valid.
    unsafe {
        let port = BorrowedFd::borrow_raw(port.as_raw_fd());
        ioctl(port, Updater::<TIOCSRS485, SerialRs485>::new(&mut settings))?;
    }
    does(settings.flags, when)
}

/// Does a driver that answered with these flags what was asked for?
const fn does(answered: u32, when: u32) -> Result<(), Errno> {
    let asked = ENABLED | RTS_ON_SEND | RTS_AFTER_SEND;
    if answered & asked == ENABLED | when {
        Ok(())
    } else {
        Err(Errno::OPNOTSUPP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_struct_is_as_large_as_the_kernels() {
        assert_eq!(size_of::<SerialRs485>(), 32);
    }

    #[test]
    fn a_driver_that_does_something_else_is_refused() {
        // a driver that knows one sense only, or none, answers with what it does (uart_sanitize_serial_rs485)
        for (answered, when, expected) in [
            (ENABLED | RTS_ON_SEND, RTS_ON_SEND, true),
            (ENABLED | RTS_ON_SEND | 1 << 4, RTS_ON_SEND, true),
            (ENABLED | RTS_AFTER_SEND, RTS_AFTER_SEND, true),
            (ENABLED | RTS_ON_SEND, RTS_AFTER_SEND, false),
            (ENABLED | RTS_ON_SEND | RTS_AFTER_SEND, RTS_ON_SEND, false),
            (0, RTS_ON_SEND, false),
        ] {
            assert_eq!(does(answered, when).is_ok(), expected, "{answered:b} {when:b}");
        }
    }

    #[test]
    fn what_is_no_serial_port_is_refused_by_the_kernel() {
        let null = std::fs::File::open("/dev/null").expect("it is there");
        assert!(Direction::Rts.apply(&null).is_err());
        assert_eq!(Direction::Adapter.apply(&null), Ok(()));
    }
}
