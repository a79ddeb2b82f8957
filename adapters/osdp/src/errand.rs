//! What an operator has a reader do once: take a file, or another address and speed.

use crate::transfer::File;

/// Address and speed of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// 0 to 126.
    pub address: u8,
    /// Bits per second.
    pub baud: u32,
}

impl Settings {
    /// Data of COMSET (v2.2, 6.13) and of its answer COM (7.14).
    pub(crate) fn encode(self) -> Vec<u8> {
        [&[self.address][..], &self.baud.to_le_bytes()].concat()
    }

    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let [address, b0, b1, b2, b3, ..] = *data else {
            return None;
        };
        Some(Self {
            address,
            baud: u32::from_le_bytes([b0, b1, b2, b3]),
        })
    }
}

/// What an operator wants of a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Give it a file.
    Give(File),
    /// Give up what was begun.
    GiveUp,
    /// Have it take another address or speed.
    Settings(Settings),
}

/// How it goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is done; what there is to know of it.
    Done(String),
    /// It is over, and why.
    Failed(String),
    /// The reader has so many bytes.
    Sent {
        /// So many.
        sent: u32,
        /// Of so many.
        total: u32,
    },
}
