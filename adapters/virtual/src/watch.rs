//! Watching virtual relays from outside, also while their holder is killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// One edge of a virtual relay.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OutputEdge {
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub at_ns: u64,
    /// The level after the edge.
    pub energised: bool,
    /// Configured name of the output.
    pub output: String,
    /// `driven`, or `holder-gone` when the kernel let go of the relay because its process died.
    pub why: String,
}

pub(crate) fn boottime() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(t.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec).unwrap_or(0)
}

/// Follows the edge file of the virtual relays.
pub struct Watch {
    /// The first line of the file that is read.
    began: Vec<u8>,
    levels: BTreeMap<String, bool>,
    path: PathBuf,
    reader: Option<BufReader<File>>,
    /// The line that is not ended yet.
    rest: String,
}

impl Watch {
    /// Watches the file at `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            began: Vec::new(),
            levels: BTreeMap::new(),
            path: path.to_owned(),
            reader: None,
            rest: String::new(),
        }
    }

    /// What happened since the last call; empty if nothing did. Looks once, does not wait.
    ///
    /// # Errors
    /// What the file system said, other than that the file does not exist yet.
    pub fn poll(&mut self) -> io::Result<Vec<OutputEdge>> {
        if self.reader.is_none() {
            match File::open(&self.path) {
                Ok(file) => self.reader = Some(BufReader::new(file)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
                Err(e) => return Err(e),
            }
        }
        let held = self.held()?;
        let mut edges = self.written()?;
        if !held {
            let at_ns = boottime();
            for (output, level) in self.levels.iter_mut().filter(|(_, level)| **level) {
                *level = false;
                let why = "holder-gone".to_owned();
                edges.push(OutputEdge {
                    at_ns,
                    energised: false,
                    output: output.clone(),
                    why,
                });
            }
        }
        Ok(edges)
    }

    /// Waits for the next edges, looking every millisecond, until `limit`.
    ///
    /// # Errors
    /// As [`Watch::poll`].
    pub fn next(&mut self, limit: Duration) -> io::Result<Vec<OutputEdge>> {
        let end = boottime() + u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        loop {
            let edges = self.poll()?;
            if !edges.is_empty() || boottime() >= end {
                return Ok(edges);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Is there a process that holds the relays?
    ///
    /// # Errors
    /// What the file system said.
    pub fn is_held(&self) -> io::Result<bool> {
        self.held()
    }

    /// Is there a process that holds the relays? Asked before reading, so that no late line is missed.
    fn held(&self) -> io::Result<bool> {
        let Some(reader) = &self.reader else {
            return Ok(false);
        };
        match rustix::fs::flock(reader.get_ref(), FlockOperation::NonBlockingLockShared) {
            Ok(()) => {
                rustix::fs::flock(reader.get_ref(), FlockOperation::Unlock)?;
                Ok(false)
            }
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(e) => Err(e.into()),
        }
    }

    fn written(&mut self) -> io::Result<Vec<OutputEdge>> {
        let Some(reader) = &mut self.reader else {
            return Ok(vec![]);
        };
        let lines = loop {
            // A new holder empties the file and begins with a line of its own time: begin again. Asked after reading,
            // too, so that no line is taken for the continuation of another holder's file.
            let began = first_line(reader.get_ref())?;
            if began != self.began {
                io::Seek::rewind(reader)?;
                self.began = began;
                self.rest.clear();
            }
            let mut text = String::new();
            reader.read_to_string(&mut text)?;
            if first_line(reader.get_ref())? == self.began {
                break text;
            }
        };
        self.rest.push_str(&lines);
        let whole = self.rest.rfind('\n').map_or(0, |end| end + 1);
        let lines: String = self.rest.drain(..whole).collect();
        let mut edges = vec![];
        for edge in lines
            .lines()
            .filter_map(|line| serde_json::from_str::<OutputEdge>(line).ok())
        {
            let before = self
                .levels
                .insert(edge.output.clone(), edge.energised)
                .unwrap_or(false);
            if before != edge.energised {
                edges.push(edge);
            }
        }
        Ok(edges)
    }
}

/// The first line as far as it is written; it tells one holder's file from the next one's.
fn first_line(file: &File) -> io::Result<Vec<u8>> {
    let mut start = [0; 256];
    let n = file.read_at(&mut start, 0)?;
    let end = start[..n].iter().position(|b| *b == b'\n').unwrap_or(n);
    Ok(start[..end].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::VirtualRelay;
    use adapter_api::OutputDriver;

    #[tokio::test(flavor = "current_thread")]
    async fn edges_are_seen_and_a_lost_holder_is_a_release() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("relays.jsonl");
        let mut watch = Watch::new(&path);
        assert_eq!(watch.poll().expect("readable"), []);

        let mut relay = VirtualRelay::new(&path, vec![(1, "front-strike".into())]);
        relay.claim(&[1]).await.expect("claimed");
        relay.set(1, true).await.expect("set");
        let edges = watch.poll().expect("readable");
        assert_eq!(edges.len(), 1, "the rest level at claim is no edge: {edges:?}");
        assert!(edges[0].energised);

        drop(relay);
        let edges = watch.poll().expect("readable");
        assert_eq!(
            (edges.len(), edges[0].energised, edges[0].why.as_str()),
            (1, false, "holder-gone")
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_long_life_is_seen_edge_by_edge_in_a_file_that_stays_short() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("relays.jsonl");
        let names = [(1, "front-strike"), (2, "back-strike"), (3, "never-strike")];
        let names = names.map(|(n, name)| (n, name.to_owned()));
        let mut relay = VirtualRelay::new(&path, names.into());
        relay.claim(&[1, 2, 3]).await.expect("claimed");
        let (mut watch, mut rare) = (Watch::new(&path), Watch::new(&path));
        assert_eq!(watch.poll().expect("readable"), []);
        let mut longest = 0;
        for n in 0..8000u16 {
            let (channel, level) = (1 + n % 4 / 2, n.is_multiple_of(2));
            relay.set(channel, level).await.expect("set");
            let edges = watch.poll().expect("readable");
            let seen: Vec<_> = edges.iter().map(|e| (e.output.as_str(), e.energised)).collect();
            let name = ["front-strike", "back-strike"][usize::from(channel) - 1];
            assert_eq!(seen, [(name, level)], "edge {n}");
            longest = longest.max(std::fs::metadata(&path).expect("there").len());
        }
        assert!(longest < 300 * 1024, "{longest} bytes");
        relay.set(2, true).await.expect("set");
        // whoever looks once in a while sees how it is now
        let last = rare.poll().expect("readable").pop().expect("edges");
        assert_eq!((last.output.as_str(), last.energised), ("back-strike", true));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_new_holder_that_wrote_as_much_as_the_old_one_is_seen() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("relays.jsonl");
        let mut watch = Watch::new(&path);
        for _ in 0..3 {
            let mut relay = VirtualRelay::new(&path, vec![(1, "front-strike".into())]);
            relay.claim(&[1]).await.expect("claimed");
            for level in [true, false] {
                relay.set(1, level).await.expect("set");
            }
            let levels: Vec<bool> = watch
                .poll()
                .expect("readable")
                .iter()
                .map(|e| e.energised)
                .collect();
            assert_eq!(levels, [true, false]);
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn two_guards_cannot_hold_the_same_relays() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("relays.jsonl");
        let mut first = VirtualRelay::new(&path, vec![(1, "a".into())]);
        first.claim(&[1]).await.expect("claimed");
        let mut second = VirtualRelay::new(&path, vec![(1, "a".into())]);
        let refused = second.claim(&[1]).await.expect_err("held").to_string();
        assert!(refused.contains("another relay guard"), "{refused}");
    }
}
