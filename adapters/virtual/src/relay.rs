//! A relay that is only written down.
//!
//! Each edge becomes a line of a file; the process that holds the relay keeps a lock on that file. When it
//! dies, the kernel drops the lock: that is the moment the virtual relay rests, as a GPIO line's would.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;

use adapter_api::{BoxFuture, DriverError, OutputDriver};

use crate::watch::{OutputEdge, boottime};

/// The virtual relay board of one file.
pub struct VirtualRelay {
    channels: Vec<(u16, String, bool)>,
    file: Option<File>,
    path: PathBuf,
}

impl VirtualRelay {
    /// A board with named channels, writing to `path`.
    #[must_use]
    pub fn new(path: &Path, channels: Vec<(u16, String)>) -> Self {
        let channels = channels.into_iter().map(|(n, name)| (n, name, false)).collect();
        Self {
            channels,
            file: None,
            path: path.to_owned(),
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
        let (file, at) = (
            self.file.as_mut().ok_or_else(|| missing("is not open"))?,
            boottime(),
        );
        let (_, name, level) = self
            .channels
            .iter_mut()
            .find(|(n, _, _)| *n == channel)
            .ok_or_else(|| missing("has no such channel"))?;
        *level = energised;
        let edge = OutputEdge {
            at_ns: at,
            energised,
            output: name.clone(),
            why: "driven".into(),
        };
        let line = format!(
            "{}\n",
            serde_json::to_string(&edge).map_err(|e| missing(&e.to_string()))?
        );
        file.write_all(line.as_bytes())
            .map_err(|e| self.fault("cannot be written", e))
    }
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
            .find(|(n, _, _)| *n == channel)
            .map(|(_, _, level)| *level);
        Box::pin(async move { Ok(level) })
    }

    fn set(&mut self, channel: u16, energised: bool) -> BoxFuture<'_, Result<(), DriverError>> {
        Box::pin(async move { self.write(channel, energised) })
    }
}
