//! Reads the edge file of the virtual relays without asking for its lock: each line carries the time at which the
//! guard drove the relay, so how soon it is read does not matter.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use adapter_virtual::OutputEdge;
use anyhow::bail;

/// Follows one edge file.
pub(crate) struct Edges {
    file: Option<File>,
    path: PathBuf,
    rest: Vec<u8>,
    waiting: VecDeque<OutputEdge>,
}

impl Edges {
    /// Follows the file at `path`, which need not exist yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            file: None,
            path: path.to_owned(),
            rest: vec![],
            waiting: VecDeque::new(),
        }
    }

    /// Time of the next edge of `output` to `energised`, in nanoseconds; earlier edges are forgotten.
    pub(crate) fn wait(&mut self, output: &str, energised: bool, limit: Duration) -> anyhow::Result<u64> {
        match self.find(output, energised, limit)? {
            Some(at) => Ok(at),
            None => bail!(
                "the relay {output} was not {} within {limit:?}",
                if energised { "energised" } else { "released" }
            ),
        }
    }

    /// Nanoseconds from `began` to the next energising of `output`. None within the limit counts as the limit: on a
    /// machine that stands still for half a second a card is refused as old, and that is no reason to stop measuring.
    pub(crate) fn took(&mut self, output: &str, began: u64, limit: Duration) -> anyhow::Result<u64> {
        let at = self.find(output, true, limit)?;
        let most = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        Ok(at.map_or(most, |at| at.saturating_sub(began)))
    }

    /// As [`wait`](Self::wait); `None` if there was none.
    pub(crate) fn find(
        &mut self,
        output: &str,
        energised: bool,
        limit: Duration,
    ) -> anyhow::Result<Option<u64>> {
        let end = Instant::now() + limit;
        loop {
            self.read()?;
            while let Some(edge) = self.waiting.pop_front() {
                if edge.output == output && edge.energised == energised {
                    return Ok(Some(edge.at_ns));
                }
            }
            if Instant::now() >= end {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    fn read(&mut self) -> std::io::Result<()> {
        if self.file.is_none() {
            match File::open(&self.path) {
                Ok(file) => self.file = Some(file),
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        // a new holder empties the file
        if file.stream_position()? > file.metadata()?.len() {
            file.rewind()?;
            self.rest.clear();
        }
        file.read_to_end(&mut self.rest)?;
        while let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.waiting.extend(serde_json::from_slice::<OutputEdge>(&line));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn an_edge_is_found_once_its_line_is_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("edges");
        let mut edges = Edges::new(&path);
        assert_eq!(edges.find("a", true, Duration::ZERO).expect("readable"), None);
        let mut file = File::create(&path).expect("a file");
        let line = r#"{"at_ns":7,"energised":true,"output":"a","why":"driven"}"#;
        file.write_all(line.as_bytes()).expect("written");
        assert_eq!(edges.find("a", true, Duration::ZERO).expect("readable"), None);
        file.write_all(b"\n").expect("written");
        assert_eq!(edges.find("a", true, Duration::ZERO).expect("readable"), Some(7));
        assert_eq!(edges.find("a", true, Duration::ZERO).expect("readable"), None);
    }
}
