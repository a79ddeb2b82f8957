//! A serial line between two ptys: the gateway's end behind a stable name, as udev makes it, and the board's end. It
//! can be unplugged, plugged in again, and cut.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::rig::Rig;

/// One end: the side that we hold, and the name of the other, which is kept open so that nobody hangs up.
#[derive(Debug)]
struct End {
    name: PathBuf,
    ours: File,
    _theirs: OwnedFd,
}

fn end() -> anyhow::Result<End> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = PathBuf::from(ptsname(&ours, Vec::new())?.to_str()?);
    let theirs = rustix::fs::open(
        &name,
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut mode = tcgetattr(&theirs)?;
    mode.make_raw();
    tcsetattr(&theirs, OptionalActions::Now, &mode)?;
    Ok(End {
        name,
        ours: ours.into(),
        _theirs: theirs,
    })
}

/// The line.
#[derive(Debug)]
pub struct Wire {
    board: Arc<End>,
    cut: Arc<AtomicBool>,
    link: PathBuf,
    plugged: Option<(OwnedFd, JoinHandle<()>)>,
}

impl Wire {
    /// A line that is plugged in.
    ///
    /// # Errors
    /// If there are no ptys.
    pub fn new(rig: &Rig) -> anyhow::Result<Self> {
        Self::named(rig, "usb-Test_RS485-if00-port0")
    }

    /// Another line, by the name of its adapter.
    ///
    /// # Errors
    /// If there are no ptys.
    pub fn named(rig: &Rig, name: &str) -> anyhow::Result<Self> {
        let folder = rig.path("by-id");
        std::fs::create_dir_all(&folder)?;
        let mut wire = Self {
            board: Arc::new(end()?),
            cut: Arc::default(),
            link: folder.join(name),
            plugged: None,
        };
        wire.plug()?;
        Ok(wire)
    }

    /// The stable name of the gateway's end.
    #[must_use]
    pub fn port(&self) -> &Path {
        &self.link
    }

    /// The board's end.
    #[must_use]
    pub fn board(&self) -> PathBuf {
        self.board.name.clone()
    }

    /// Nothing passes in either direction until it is mended; the adapter stays.
    pub fn set_cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }

    /// Plugs the adapter in: a new device under the old name.
    ///
    /// # Errors
    /// If there are no ptys.
    pub fn plug(&mut self) -> anyhow::Result<()> {
        let gateway = end()?;
        let fresh = self.link.with_extension("fresh");
        std::os::unix::fs::symlink(&gateway.name, &fresh)?;
        std::fs::rename(&fresh, &self.link)?;
        // not for the programs that are started meanwhile: they would keep it open
        let (stop, stopped) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let (board, cut) = (Arc::clone(&self.board), Arc::clone(&self.cut));
        let thread = std::thread::spawn(move || pass(&gateway, &board, &stop, &cut));
        self.plugged = Some((stopped, thread));
        Ok(())
    }

    /// Unplugs the adapter: the device and its name are gone.
    ///
    /// # Errors
    /// If it is not plugged in.
    pub fn unplug(&mut self) -> anyhow::Result<()> {
        let (stop, thread) = self.plugged.take().context("it is plugged in")?;
        std::fs::remove_file(&self.link)?;
        drop(stop);
        thread
            .join()
            .map_err(|_| anyhow::anyhow!("the line's thread panicked"))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.plugged.is_some() {
            let _ = self.unplug();
        }
    }
}

/// Passes bytes between both ends until the writing end of `stop` is closed.
fn pass(gateway: &End, board: &End, stop: &OwnedFd, cut: &AtomicBool) {
    let mut buffer = [0; 512];
    loop {
        let mut waiting = [
            PollFd::new(&gateway.ours, PollFlags::IN),
            PollFd::new(&board.ours, PollFlags::IN),
            PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN),
        ];
        if poll(&mut waiting, None).is_err() {
            continue;
        }
        let ready = waiting.map(|fd| !fd.revents().is_empty());
        if ready[2] {
            return;
        }
        for (is_ready, from, to) in [(ready[0], gateway, board), (ready[1], board, gateway)] {
            if !is_ready {
                continue;
            }
            let Ok(read) = (&from.ours).read(&mut buffer) else {
                return;
            };
            if !cut.load(Ordering::SeqCst) && (&to.ours).write_all(&buffer[..read]).is_err() {
                return;
            }
        }
    }
}
