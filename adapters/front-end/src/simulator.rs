//! A front end on two pseudo-terminals: for trying out, and for tests.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use gateway_panel::Edge;
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::firmware::{Change, Firmware};
use crate::message::PortRole;

/// Most edges that wait for their time.
const MAX_PLAYED: usize = 100_000;

/// What happens to its inputs: edges, timed from the moment in which they are given, or from the last one of that input that is
/// still to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// Which input.
    pub input: u8,
    /// Edges.
    pub edges: Vec<Edge>,
}

/// One end of a cable.
pub(crate) struct Cable {
    ours: AsyncFd<OwnedFd>,
    /// While nobody else has the other end, reading ours would fail without it.
    _theirs: OwnedFd,
}

#[expect(
    deprecated,
    reason = "the successor is unsafe to call, for types that lie about their descriptor; this one owns its own"
)]
pub(crate) fn cable(link: &Path) -> io::Result<Cable> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?;
    let path = Path::new(name.to_str().map_err(io::Error::other)?);
    // raw before anything is written: a cooked terminal would change the bytes
    let mut mode = tcgetattr(&ours)?;
    mode.make_raw();
    tcsetattr(&ours, OptionalActions::Now, &mode)?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = rustix::fs::open(path, flags, Mode::empty())?;
    fcntl_setfl(&ours, fcntl_getfl(&ours)? | OFlags::NONBLOCK)?;
    match std::fs::read_link(link) {
        // of one that ran here before
        Ok(_) => std::fs::remove_file(link)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    symlink(path, link)?;
    Ok(Cable {
        ours: AsyncFd::with_interest(ours, Interest::READABLE)?,
        _theirs: theirs,
    })
}

impl Cable {
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.ours.readable().await?;
            let read = ready.try_io(|fd| rustix::io::read(fd, &mut *buffer).map_err(io::Error::from));
            if let Ok(read) = read {
                return read;
            }
        }
    }

    /// What nobody reads is lost, as on a cable.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Ok(count) = rustix::io::write(self.ours.get_ref(), rest) {
            rest = &rest[count..];
            if rest.is_empty() {
                return;
            }
        }
    }
}

/// Plays a front end whose ports are `line` and `door` in a folder, until nobody plays anything any more. Inputs that are
/// high at rest are high from the start. What changes at its outputs goes to `changes`, which is not waited for.
///
/// # Errors
/// What the system says if it has no pseudo-terminals, or the links cannot be made.
pub async fn simulate(
    folder: &Path,
    high: &[u8],
    mut plays: mpsc::Receiver<Play>,
    changes: mpsc::UnboundedSender<Change>,
) -> io::Result<()> {
    let ports = [
        (PortRole::Line, cable(&folder.join("line"))?),
        (PortRole::Door, cable(&folder.join("door"))?),
    ];
    let start = Instant::now();
    let now_us = || u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    let mut firmware = Firmware::new(std::process::id(), 4, 4, 2);
    for input in high {
        firmware.set_input(0, *input, true);
    }
    // by time; of one time in the order in which they were given
    let mut waiting: Vec<(u64, u8, bool)> = Vec::new();
    let (mut line, mut door) = ([0; 512], [0; 512]);
    loop {
        let now = now_us();
        let due = waiting.partition_point(|(at, ..)| *at <= now);
        for (at, input, level) in waiting.drain(..due) {
            firmware.set_input(at, input, level);
        }
        firmware.handle_timeout(now);
        for (role, cable) in &ports {
            cable.write(&firmware.take_bytes(*role));
        }
        while let Some(change) = firmware.take_change() {
            let _ = changes.send(change);
        }
        let next = waiting.first().map(|(at, ..)| *at);
        let next = next
            .into_iter()
            .chain(firmware.poll_timeout())
            .min()
            .unwrap_or(now + 1_000_000);
        let wake = start + Duration::from_micros(next.min(now + 1_000_000));
        tokio::select! {
            read = ports[0].1.read(&mut line) => {
                let count = read?;
                firmware.handle_bytes(now_us(), PortRole::Line, &line[..count]);
            }
            read = ports[1].1.read(&mut door) => {
                let count = read?;
                firmware.handle_bytes(now_us(), PortRole::Door, &door[..count]);
            }
            play = plays.recv() => {
                let Some(Play { input, edges }) = play else { return Ok(()) };
                // what happens on one wire happens one after the other
                let last = waiting.iter().rev().find(|(_, of, _)| *of == input);
                let from = last.map_or(0, |(at, ..)| *at).max(now_us());
                let free = MAX_PLAYED.saturating_sub(waiting.len());
                waiting.extend(edges.iter().take(free).map(|edge| (from + edge.at_us, input, edge.level)));
                waiting.sort_by_key(|(at, ..)| *at);
            }
            () = tokio::time::sleep_until(wake) => {}
        }
    }
}
