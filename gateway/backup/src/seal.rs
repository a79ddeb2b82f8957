//! Writing: chunk after chunk, the last one marked.

use std::io::{self, Write};

use ring::aead::Aad;
use zeroize::Zeroize as _;

use crate::MAX_BYTES;
use crate::error::BackupError;
use crate::header::Header;

/// Bytes of content in a chunk.
pub(crate) const CHUNK: usize = 64 * 1024;
/// Bytes of its tag.
pub(crate) const TAG: usize = 16;

/// Encrypts what is written into it.
pub(crate) struct Sealer<W> {
    chunk: Vec<u8>,
    header: Header,
    next: u32,
    out: W,
    size: u64,
}

impl<W: Write> Sealer<W> {
    pub(crate) fn new(header: Header, mut out: W) -> io::Result<Self> {
        out.write_all(&header.bytes)?;
        Ok(Self {
            chunk: Vec::with_capacity(CHUNK + TAG),
            header,
            next: 0,
            out,
            size: 0,
        })
    }

    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<(), BackupError> {
        self.size += bytes.len() as u64;
        // what surrounds the content is less than a thousandth of it
        if self.size > MAX_BYTES / 1000 * 999 {
            return Err(BackupError::TooLarge { limit: MAX_BYTES });
        }
        while !bytes.is_empty() {
            // a full one is written when something follows, so that the last is known
            if self.chunk.len() == CHUNK {
                self.flush(false)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Writes the last chunk. Without it the file counts as cut off.
    pub(crate) fn finish(mut self) -> Result<W, BackupError> {
        self.flush(true)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn flush(&mut self, last: bool) -> Result<(), BackupError> {
        let nonce = self.header.nonce(self.next, last);
        let sealed =
            self.header
                .key
                .seal_in_place_append_tag(nonce, Aad::from(&self.header.bytes), &mut self.chunk);
        sealed.map_err(|_| BackupError::Key("a chunk cannot be encrypted".to_owned()))?;
        self.out.write_all(&self.chunk)?;
        self.chunk.zeroize();
        self.chunk.clear();
        self.next += 1;
        Ok(())
    }
}
