//! A tar file in memory (POSIX.1-1988 ustar): plain files, readable by their owner only.

/// Bytes of a block.
const BLOCK: usize = 512;

/// A file in the making.
pub(crate) struct Tar {
    bytes: Vec<u8>,
    /// Date of every member, seconds since 1970.
    date: u64,
}

impl Tar {
    pub(crate) fn new(date: i64) -> Self {
        Self {
            bytes: Vec::new(),
            date: u64::try_from(date).unwrap_or(0),
        }
    }

    /// Adds a member; its name has at most 100 bytes.
    pub(crate) fn add(&mut self, name: &str, content: &[u8]) {
        let mut head = [0; BLOCK];
        let mut put = |at: usize, text: &[u8]| head[at..at + text.len()].copy_from_slice(text);
        put(0, name.as_bytes());
        put(100, b"0000600\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, format!("{:011o}\0", content.len()).as_bytes());
        put(136, format!("{:011o}\0", self.date).as_bytes());
        put(148, b"        ");
        put(156, b"0");
        put(257, b"ustar\x0000");
        let sum: u32 = head.iter().copied().map(u32::from).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend(head);
        self.bytes.extend(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
    }

    /// Two empty blocks end it.
    pub(crate) fn done(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_machines_own_tar_reads_it() {
        let mut tar = Tar::new(1_772_366_400);
        tar.add("one.txt", b"first");
        tar.add("empty", b"");
        tar.add("two.bin", &[7; 1000]);
        let bytes = tar.done();
        assert_eq!(bytes.len() % BLOCK, 0);
        let mut child = Command::new("tar")
            .args(["-t", "-v", "-f", "-"])
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar is there");
        child
            .stdin
            .take()
            .expect("piped")
            .write_all(&bytes)
            .expect("written");
        let out = child.wait_with_output().expect("it ends");
        assert!(out.status.success(), "{out:?}");
        let listed = String::from_utf8_lossy(&out.stdout).into_owned();
        let lines: Vec<&str> = listed.lines().collect();
        assert_eq!(lines.len(), 3, "{listed}");
        for (line, (name, size)) in
            lines
                .iter()
                .zip([("one.txt", " 5 "), ("empty", " 0 "), ("two.bin", " 1000 ")])
        {
            assert!(
                line.starts_with("-rw-------") && line.ends_with(name) && line.contains(size),
                "{line}"
            );
        }
    }
}
