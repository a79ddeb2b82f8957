//! Who reads the program's log: a FIFO in place of the file, which is read until told otherwise.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::mpsc::{Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

/// Copies a FIFO to a file.
pub(crate) struct Reader {
    end: Sender<()>,
    fifo: File,
    task: JoinHandle<()>,
}

/// A FIFO that is full, with nobody who reads.
pub(crate) struct Stopped(#[allow(dead_code, reason = "kept open")] File);

impl Reader {
    pub(crate) fn new(fifo: &Path, copy: &Path) -> Self {
        mknodat(CWD, fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
        // to read and write, so that opening waits for nobody
        let options = OFlags::RDWR | OFlags::CLOEXEC;
        let open = || File::from(rustix::fs::open(fifo, options, Mode::empty()).expect("opened"));
        let (mut from, mut to) = (open(), File::create(copy).expect("a file"));
        let (end, ended) = channel::<()>();
        let task = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while matches!(ended.try_recv(), Err(TryRecvError::Empty)) {
                let n = from.read(&mut buffer).expect("read");
                to.write_all(&buffer[..n]).expect("written");
            }
        });
        let fifo = open();
        Self { end, fifo, task }
    }

    /// Nobody has the reading end any more.
    pub(crate) fn leave(self) {
        drop(self.last_read());
    }

    /// The reading end stays open, but nothing is read: what is written fills the FIFO and then waits.
    pub(crate) fn stand_still(self) -> Stopped {
        let fifo = self.last_read();
        let mut writer = fifo.try_clone().expect("a handle");
        // waits at the full FIFO, as the programs do, until this test program ends
        std::thread::spawn(move || while writer.write_all(&[b'.'; 512]).is_ok() {});
        let end = Instant::now() + Duration::from_secs(20);
        let (mut before, mut looks) = (0, 0);
        while looks < 20 {
            assert!(Instant::now() < end, "the FIFO does not fill");
            std::thread::sleep(Duration::from_millis(10));
            let waiting = rustix::io::ioctl_fionread(fifo.as_fd()).expect("a FIFO");
            looks = if waiting == before && waiting > 0 {
                looks + 1
            } else {
                0
            };
            before = waiting;
        }
        Stopped(fifo)
    }

    fn last_read(self) -> File {
        let Self { end, mut fifo, task } = self;
        drop(end);
        // it waits for a line
        fifo.write_all(b"\n").expect("written");
        task.join().expect("it ends");
        fifo
    }
}
