//! A relay that is only written down.
//!
//! Each edge becomes a line of a file; the process that holds the relay keeps a lock on that file. When it
//! dies, the kernel drops the lock: that is the moment the virtual relay rests, as a GPIO line's would.
//!
//! A file that has grown long begins anew with the last edge of each relay, so that whoever follows it misses none.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;

use adapter_api::{BoxFuture, DriverError, OutputDriver};

use crate::watch::{OutputEdge, boottime};

/// Bytes after which the file begins anew: some 2500 edges.
const LONG: u64 = 256 * 1024;

/// One relay of the board, and its last edge.
struct Channel {
    number: u16,
    edge: OutputEdge,
}

/// The virtual relay board of one file.
pub struct VirtualRelay {
    channels: Vec<Channel>,
    file: Option<File>,
    path: PathBuf,
    /// Bytes in the file.
    written: u64,
}

impl VirtualRelay {
    /// A board with named channels, writing to `path`.
    #[must_use]
    pub fn new(path: &Path, channels: Vec<(u16, String)>) -> Self {
        let channel = |(number, output)| Channel {
            number,
            edge: OutputEdge {
                at_ns: 0,
                energised: false,
                output,
                why: "driven".into(),
            },
        };
        Self {
            channels: channels.into_iter().map(channel).collect(),
            file: None,
            path: path.to_owned(),
            written: 0,
        }
    }

    fn fault(&self, text: &str, source: std::io::Error) -> DriverError {
        DriverError {
            device: self.device(),
            text: text.to_owned(),
            source: Some(source),
        }
    }

    async fn open(&mut self) -> Result<(), DriverError> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(&self.path)
            .map_err(|e| self.fault("cannot be opened; is the run folder writable?", e))?;
        // a watcher tries the lock for an instant each time it looks, so one refusal says little
        let mut tries = 0;
        while let Err(e) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            tries += 1;
            if tries == 20 {
                return Err(self.fault("is held by another relay guard; stop it first", e.into()));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        file.set_len(0).map_err(|e| self.fault("cannot be emptied", e))?;
        self.written = 0;
        self.file = Some(file);
        Ok(())
    }

    fn write(&mut self, channel: u16, energised: bool) -> Result<(), DriverError> {
        let device = self.device();
        let missing = |text: &str| DriverError {
            device: device.clone(),
            text: text.to_owned(),
            source: None,
        };
        let at_ns = boottime();
        let mut file = self.file.as_ref().ok_or_else(|| missing("is not open"))?;
        let known = self.channels.iter().position(|c| c.number == channel);
        let changed = known.ok_or_else(|| missing("has no such channel"))?;
        let mut lines = String::new();
        if self.written >= LONG {
            // the first line has a time of its own, by which a watcher knows that the file began anew
            let mut edges: Vec<_> = self.channels.iter().map(|c| c.edge.clone()).collect();
            edges.sort_by_key(|edge| edge.at_ns);
            edges[0].at_ns = at_ns;
            for edge in &edges {
                lines += &line(edge).map_err(|e| missing(&e))?;
            }
            file.set_len(0).map_err(|e| self.fault("cannot be emptied", e))?;
            self.written = 0;
        }
        let edge = &mut self.channels[changed].edge;
        (edge.at_ns, edge.energised) = (at_ns, energised);
        lines += &line(edge).map_err(|e| missing(&e))?;
        self.written += lines.len() as u64;
        file.write_all(lines.as_bytes())
            .map_err(|e| self.fault("cannot be written", e))
    }
}

/// One line of the file.
fn line(edge: &OutputEdge) -> Result<String, String> {
    let text = serde_json::to_string(edge).map_err(|e| e.to_string())?;
    Ok(text + "\n")
}

impl OutputDriver for VirtualRelay {
    fn claim<'a>(&'a mut self, channels: &'a [u16]) -> BoxFuture<'a, Result<(), DriverError>> {
        Box::pin(async move {
            if self.file.is_none() {
                self.open().await?;
            }
            channels
                .iter()
                .try_for_each(|channel| self.write(*channel, false))
        })
    }

    fn device(&self) -> String {
        format!("virtual relay {}", self.path.display())
    }

    fn read_back(&mut self, channel: u16) -> BoxFuture<'_, Result<Option<bool>, DriverError>> {
        let level = self
            .channels
            .iter()
            .find(|c| c.number == channel)
            .map(|c| c.edge.energised);
        Box::pin(async move { Ok(level) })
    }

    fn set(&mut self, channel: u16, energised: bool) -> BoxFuture<'_, Result<(), DriverError>> {
        Box::pin(async move { self.write(channel, energised) })
    }
}
