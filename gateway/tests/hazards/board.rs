//! A serial relay board that is played on the other end of a pty pair. It latches, as the real ones do.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// How long a relay may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Board {
    /// Held, so that reading goes on between two openings of the port.
    _theirs: OwnedFd,
    on: Arc<Mutex<[bool; 9]>>,
    pub(crate) port: PathBuf,
}

impl Board {
    /// A board of eight channels that somebody left on.
    pub(crate) fn left_on() -> Self {
        let side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pty");
        grantpt(&side).expect("granted");
        unlockpt(&side).expect("unlocked");
        let name = ptsname(&side, Vec::new()).expect("a name");
        let port = PathBuf::from(name.to_str().expect("ASCII"));
        let mut mode = tcgetattr(&side).expect("a terminal");
        mode.make_raw();
        tcsetattr(&side, OptionalActions::Now, &mode).expect("raw");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = rustix::fs::open(&port, flags, Mode::empty()).expect("the other end");
        let on = Arc::new(Mutex::new([true; 9]));
        let relays = Arc::clone(&on);
        std::thread::spawn(move || {
            let (mut reader, mut frame) = (File::from(side), [0; 4]);
            while reader.read_exact(&mut frame).is_ok() {
                let [0xA0, channel, state, _] = frame else {
                    panic!("{frame:02x?} is no frame of this family");
                };
                relays.lock().expect("not poisoned")[usize::from(channel)] = state == 1;
            }
        });
        Self {
            _theirs: theirs,
            on,
            port,
        }
    }

    pub(crate) fn is_on(&self, channel: usize) -> bool {
        self.on.lock().expect("not poisoned")[channel]
    }

    /// As if somebody had left it on.
    pub(crate) fn switch_on(&self, channel: usize) {
        self.on.lock().expect("not poisoned")[channel] = true;
    }

    pub(crate) fn wait_off(&self, channel: usize) {
        let end = Instant::now() + PATIENCE;
        while self.is_on(channel) {
            assert!(Instant::now() < end, "channel {channel} stays on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
