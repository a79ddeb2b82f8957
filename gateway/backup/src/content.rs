//! What is in a backup, written and read as a whole.

use std::io::{Read, Write};

use gateway_core::{Secret, Timestamp};
use zeroize::Zeroizing;

use crate::error::BackupError;
use crate::header::{Cost, Header};
use crate::line::{EndLine, FileLine, HeadLine, LONGEST, Line, RecordLine};
use crate::open::Opener;
use crate::seal::Sealer;

/// Largest file in it, in bytes.
pub const MAX_FILE: usize = 8 << 20;
/// Most files.
const MAX_FILES: usize = 1000;
/// Most bytes of all files together.
const MAX_FILES_BYTES: usize = 64 << 20;
/// Most records.
const MAX_RECORDS: usize = 1_000_000;

/// All of a backup.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// Files, the site file among them.
    pub files: Vec<File>,
    /// Of which gateway, and when.
    pub head: Head,
    /// Rows of the records.
    pub records: Vec<Record>,
}

/// Where a backup comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Records were damaged, and nobody had confirmed them.
    pub in_doubt: bool,
    /// When it was made, by the gateway's clock.
    pub made: Timestamp,
    /// Version of the program.
    pub program: String,
    /// Id of the site.
    pub site: String,
    /// Name of the site.
    pub site_name: String,
}

/// Whose a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The site file as it was last in force, if it is not the one on the disk.
    Confirmed,
    /// The site file names it.
    Named,
    /// The site file itself.
    SiteFile,
    /// It lies in the state folder, under this path.
    State,
}

/// A file.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// What is in it; wiped from memory when it is dropped.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Mode bits, 9 of them.
    pub mode: u32,
    /// As it was named.
    pub path: String,
    /// Whose it is.
    pub place: Place,
}

/// Without what is in it, which may be a key.
impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File")
            .field("place", &self.place)
            .field("path", &self.path)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// A row of the records.
#[derive(Clone, PartialEq)]
pub struct Record {
    /// After this time it is as if it were not there.
    pub expires: Option<Timestamp>,
    /// Its key.
    pub key: String,
    /// Its kind.
    pub kind: String,
    /// Its value.
    pub value: serde_json::Value,
}

/// Without its value, which may be a digest.
impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("kind", &self.kind)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Writes a backup. Whatever is not finished is refused by [`read`].
///
/// # Errors
/// [`BackupError`]: the passphrase is too short, the content too large, or the medium does not take it.
pub fn write<W: Write>(out: W, content: &Content, passphrase: &Secret, cost: Cost) -> Result<W, BackupError> {
    let bytes: usize = content.files.iter().map(|file| file.bytes.len()).sum();
    if bytes > MAX_FILES_BYTES || content.files.len() > MAX_FILES {
        let limit = MAX_FILES_BYTES as u64;
        return Err(BackupError::TooLarge { limit });
    }
    let mut sealer = Sealer::new(Header::new(passphrase, cost)?, out)?;
    let mut put = |line: Line| {
        let mut text =
            Zeroizing::new(serde_json::to_vec(&line).map_err(|e| BackupError::Key(e.to_string()))?);
        if text.len() >= LONGEST {
            let limit = LONGEST as u64;
            return Err(BackupError::TooLarge { limit });
        }
        text.push(b'\n');
        sealer.write(&text)
    };
    put(Line::Head(HeadLine::from(&content.head)))?;
    for file in &content.files {
        put(Line::File(FileLine::from(file)))?;
    }
    for record in &content.records {
        put(Line::Record(RecordLine::from(record)))?;
    }
    put(Line::End(EndLine {
        files: content.files.len() as u64,
        records: content.records.len() as u64,
    }))?;
    sealer.finish()
}

/// Reads a backup. Nothing is given before all of it was seen to be whole.
///
/// # Errors
/// [`BackupError`] says whether it is the passphrase, the file or its version.
pub fn read(source: impl Read, passphrase: &Secret) -> Result<Content, BackupError> {
    let mut opener = Opener::new(source, passphrase)?;
    let mut reading = Reading::default();
    let mut line = Zeroizing::new(Vec::new());
    while let Some(chunk) = opener.chunk()? {
        let mut rest = chunk.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            line.extend_from_slice(&rest[..end]);
            reading.line(&line)?;
            line.clear();
            rest = &rest[end + 1..];
        }
        line.extend_from_slice(rest);
        if line.len() > LONGEST {
            return Err(reading.wrong(format!("it is longer than {LONGEST} bytes")));
        }
    }
    if !line.is_empty() {
        return Err(reading.wrong("it has no end".to_owned()));
    }
    reading.whole()
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    ended: bool,
    files: Vec<File>,
    files_bytes: usize,
    head: Option<Head>,
    lines: u64,
    records: Vec<Record>,
}

impl Reading {
    fn wrong(&self, what: String) -> BackupError {
        BackupError::Content {
            line: self.lines + 1,
            what,
        }
    }

    fn line(&mut self, text: &[u8]) -> Result<(), BackupError> {
        let line: Line = serde_json::from_slice(text).map_err(|error| self.wrong(error.to_string()))?;
        if self.ended {
            return Err(self.wrong("something follows the end".to_owned()));
        }
        if self.head.is_none() != matches!(line, Line::Head(_)) {
            return Err(self.wrong("there is one head, and it comes first".to_owned()));
        }
        match line {
            Line::Head(head) => self.head = Some(head.head().map_err(|what| self.wrong(what))?),
            Line::File(file) => {
                let file = file.file().map_err(|what| self.wrong(what))?;
                self.files_bytes += file.bytes.len();
                if self.files.len() == MAX_FILES || self.files_bytes > MAX_FILES_BYTES {
                    return Err(self.wrong(format!(
                        "more than {MAX_FILES} files or {MAX_FILES_BYTES} bytes of them"
                    )));
                }
                self.files.push(file);
            }
            Line::Record(record) => {
                let record = record.record().map_err(|what| self.wrong(what))?;
                if self.records.len() == MAX_RECORDS {
                    return Err(self.wrong(format!("more than {MAX_RECORDS} records")));
                }
                self.records.push(record);
            }
            Line::End(end) => {
                let found = (self.files.len() as u64, self.records.len() as u64);
                if found != (end.files, end.records) {
                    return Err(self.wrong(format!(
                        "{} files and {} records were to come, {} and {} came",
                        end.files, end.records, found.0, found.1
                    )));
                }
                self.ended = true;
            }
        }
        self.lines += 1;
        Ok(())
    }

    fn whole(self) -> Result<Content, BackupError> {
        match self.head {
            Some(head) if self.ended => Ok(Content {
                files: self.files,
                head,
                records: self.records,
            }),
            Some(_) | None => Err(self.wrong("the end is missing".to_owned())),
        }
    }
}
