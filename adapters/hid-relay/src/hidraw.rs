//! Boards as the kernel has them: finding one among the `hidraw` devices, and the two requests that it takes.

use std::ffi::c_void;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};

use crate::report::{REPORT_BYTES, Report, Status};

/// Vendor and product of the boards, as the kernel writes them: a pair that its owner lends to HID devices of anybody.
const ID: &str = ":000016C0:000005DF";
/// Sends a feature report (`HIDIOCSFEATURE`, `linux/hidraw.h`).
const SEND: Opcode = opcode::read_write::<Report>(b'H', 0x06);
/// Asks for a feature report (`HIDIOCGFEATURE`).
const ASK: Opcode = opcode::read_write::<Report>(b'H', 0x07);

/// Where the kernel has its devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Device files, `/dev`.
    pub devices: PathBuf,
    /// What is known of each, `/sys/class/hidraw`.
    pub known: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            devices: "/dev".into(),
            known: "/sys/class/hidraw".into(),
        }
    }
}

/// Does the kernel say (`uevent` of a HID device) that it may be such a board?
#[must_use]
pub fn is_board(uevent: &str) -> bool {
    let id = uevent.lines().find_map(|line| line.strip_prefix("HID_ID="));
    // the bus comes first: USB, or what a test has
    id.and_then(|id| id.get(4..))
        .is_some_and(|id| id.eq_ignore_ascii_case(ID))
}

/// Devices that may be such boards, by name. Others, such as keyboards, are not opened.
///
/// # Errors
/// If the kernel shows none at all.
pub fn candidates(places: &Places) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(&places.known) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries?,
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            let uevent = std::fs::read_to_string(entry.path().join("device/uevent"));
            uevent.is_ok_and(|uevent| is_board(&uevent))
        })
        .map(|entry| places.devices.join(entry.file_name()))
        .collect();
    found.sort();
    Ok(found)
}

/// One device, open.
#[derive(Debug)]
pub struct HidRaw(File);

impl HidRaw {
    /// Opens a device for reading and writing.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        File::options().read(true).write(true).open(path).map(Self)
    }

    /// Keeps it from other gateways, until it is closed.
    pub(crate) fn lock(&self) -> io::Result<()> {
        self.0.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::Error::from(io::ErrorKind::ResourceBusy),
        })
    }

    pub(crate) fn send(&self, report: &Report) -> io::Result<()> {
        let mut bytes = *report;
        feature(&self.0, SEND, &mut bytes).map(|_| ())
    }

    /// What the board says of itself.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::InvalidData`] if it is no such board.
    pub fn status(&self) -> io::Result<Status> {
        let mut bytes = [0; REPORT_BYTES];
        let count = feature(&self.0, ASK, &mut bytes)?;
        let answer = bytes.get(..count).unwrap_or(&bytes);
        Status::parse(answer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// A request about a feature report, whose first byte is its number. The kernel gives how many bytes there are.
struct Feature<'a> {
    bytes: &'a mut Report,
    opcode: Opcode,
}

// SAFETY: both requests read, and the second writes, as many bytes as the size in their number says, which is that of
// `bytes`; any bytes are a valid report.
#[expect(unsafe_code, reason = "no library in use has these requests")]
unsafe impl Ioctl for Feature<'_> {
    type Output = usize;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self.bytes).cast()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<usize> {
        Ok(usize::try_from(out).unwrap_or(0))
    }
}

#[expect(unsafe_code, reason = "no library in use has these requests")]
fn feature(file: &File, opcode: Opcode, bytes: &mut Report) -> io::Result<usize> {
    // SAFETY: see `Feature`.
    unsafe { ioctl(file, Feature { bytes, opcode }) }.map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_numbers_are_those_of_its_header() {
        // _IOC(_IOC_WRITE|_IOC_READ, 'H', 6, 9), with the directions as most machines have them
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm"))]
        assert_eq!((SEND, ASK), (0xC009_4806, 0xC009_4807));
    }

    #[test]
    fn only_devices_of_that_vendor_and_product_may_be_boards() {
        assert!(is_board(
            "DRIVER=hid-generic\nHID_ID=0003:000016C0:000005DF\nHID_NAME=www.dcttech.com USBRelay4\n"
        ));
        for other in [
            "",
            "HID_ID=",
            "HID_ID=0003",
            "HID_ID=0003:0000046D:0000C31C",
            "HID_NAME=0003:000016C0:000005DF",
            "HID_ID=äöü:000016C0:000005DF",
        ] {
            assert!(!is_board(other), "{other:?}");
        }
    }

    #[test]
    fn a_machine_without_such_devices_has_no_board_and_other_files_are_none() {
        let places = Places {
            devices: "/dev".into(),
            known: "/proc/self/fd/none".into(),
        };
        assert_eq!(candidates(&places).expect("looked"), Vec::<PathBuf>::new());
        let null = HidRaw::open(Path::new("/dev/null")).expect("it is there");
        assert!(null.status().is_err());
    }
}
