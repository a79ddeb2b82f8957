//! Two ends of a cable.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// The board's end; while the driver's end is opened anew, reading ours would fail without `_theirs`.
pub(crate) struct Cable {
    pub(crate) path: PathBuf,
    pub(crate) side: OwnedFd,
    pub(crate) theirs: OwnedFd,
}

pub(crate) fn cable() -> Cable {
    let side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pty");
    grantpt(&side).expect("granted");
    unlockpt(&side).expect("unlocked");
    let name = ptsname(&side, Vec::new()).expect("a name");
    let path = PathBuf::from(name.to_str().expect("ASCII"));
    // Raw before anything is written: a cooked terminal would change the bytes.
    let mut mode = tcgetattr(&side).expect("a terminal");
    mode.make_raw();
    tcsetattr(&side, OptionalActions::Now, &mode).expect("raw");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = rustix::fs::open(&path, flags, Mode::empty()).expect("the other end");
    Cable { path, side, theirs }
}
