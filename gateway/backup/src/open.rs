//! Reading: chunk after chunk. What is handed on is whole up to there; that all of it is there is known at its end.

use std::io::{self, Read};

use ring::aead::Aad;
use zeroize::Zeroizing;

use crate::MAX_BYTES;
use crate::error::BackupError;
use crate::header::{Header, LENGTH};
use crate::seal::{CHUNK, TAG};

/// Decrypts a file.
pub(crate) struct Opener<R> {
    /// Bytes of content so far.
    after: u64,
    /// What was read and is not decrypted yet; one byte more than a chunk tells that another follows.
    ahead: Vec<u8>,
    done: bool,
    header: Header,
    next: u32,
    read: u64,
    source: R,
}

impl<R: Read> Opener<R> {
    pub(crate) fn new(mut source: R, passphrase: &gateway_core::Secret) -> Result<Self, BackupError> {
        let mut bytes = [0; LENGTH];
        let found = fill(&mut source, &mut bytes)?;
        if found < 16 || !bytes.starts_with(b"doorline backup\n") {
            return Err(BackupError::NotOne);
        }
        if found < LENGTH {
            return Err(BackupError::Header);
        }
        Ok(Self {
            after: 0,
            ahead: Vec::new(),
            done: false,
            header: Header::read(bytes, passphrase)?,
            next: 0,
            read: LENGTH as u64,
            source,
        })
    }

    /// The content of the next chunk; `None` after the last.
    pub(crate) fn chunk(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, BackupError> {
        if self.done {
            return Ok(None);
        }
        let had = self.ahead.len();
        self.ahead.resize(CHUNK + TAG + 1, 0);
        let found = had + fill(&mut self.source, &mut self.ahead[had..])?;
        self.read += (found - had) as u64;
        if self.read > MAX_BYTES {
            return Err(BackupError::TooLarge { limit: MAX_BYTES });
        }
        self.ahead.truncate(found);
        let last = found <= CHUNK + TAG;
        let rest = if last {
            Vec::new()
        } else {
            self.ahead.split_off(CHUNK + TAG)
        };
        let mut sealed = Zeroizing::new(std::mem::replace(&mut self.ahead, rest));
        let nonce = self.header.nonce(self.next, last);
        let damaged = BackupError::Damaged { after: self.after };
        let opened = self
            .header
            .key
            .open_in_place(nonce, Aad::from(&self.header.bytes), &mut sealed);
        let length = opened.map_err(|_| damaged)?.len();
        sealed.truncate(length);
        self.after += length as u64;
        // as many chunks as fit into the largest file
        self.next += 1;
        self.done = last;
        Ok(Some(sealed))
    }
}

/// Reads until the buffer is full or the source ends.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut at = 0;
    while at < buffer.len() {
        match source.read(&mut buffer[at..]) {
            Ok(0) => break,
            Ok(n) => at += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(at)
}
