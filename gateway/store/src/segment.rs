//! The format of segment and snapshot files, and how one is looked through without trusting it.
//!
//! A file is a header of 128 bytes and frames, all little-endian:
//! ```text
//! header  0 "DOORLJ01"  8 log(1) kind(1) 0(6)  16 capacity(8)  24 first seq(8)  32 previous seq(8)
//!         40 previous hash(32)  72 made, Unix ms(8)  80 zero  124 CRC32C of 0..124
//! frame   0 "DLf1"  4 payload length(4)  8 seq(8)  16 durable seq when written(8)  24 flags(4)
//!         28 hash(32)  60 CRC32C of 0..60 and payload  64 payload, zero-padded to 8
//! ```
//! `hash` = SHA-256(hash before ‖ seq ‖ link), and the flags say what a frame is and what its link is:
//! ```text
//! 0 record     payload = body                       link = body
//! 1 idle       no record: everything up to its durable seq is on the medium
//! 2 end        last frame of a snapshot             link = body
//! 3 salted     payload = salt(16) body              link = SHA-256(payload)
//! 4 redacted   payload = link of what was salted(32) body, the body without what had to go, or empty
//! 5 cleared    payload = body, likewise, of what was a plain record: its link is gone with it
//! ```
//! Events are salted, so that a body can be taken out and the chain still proves every other record, and so that nobody
//! finds by trying whose name stood in the body: the salt goes with it. The durable sequence number in each frame tells afterwards
//! whether a bad frame before it had been acknowledged (damage) or not (a write torn by a power cut).

use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::io::{StoreFile, StoreIo};

pub(crate) const HEADER: usize = 128;
pub(crate) const FRAME: usize = 64;
/// Longest payload of a frame in bytes.
pub(crate) const MAX_PAYLOAD: usize = 1 << 20;
const MAGIC: &[u8; 8] = b"DOORLJ01";
const MARK: &[u8; 4] = b"DLf1";
const CHUNK: usize = 64 << 10;

/// SHA-256 of the chain up to a record.
pub(crate) type Hash = [u8; 32];

/// Frame flag: a record.
pub(crate) const RECORD: u32 = 0;
/// Frame flag: no record, only says up to where everything is durable.
pub(crate) const IDLE: u32 = 1;
/// Frame flag: last frame of a snapshot.
pub(crate) const END: u32 = 2;
/// Frame flag: a record whose body can be taken out later.
pub(crate) const SALTED: u32 = 3;
/// Frame flag: a salted record, of whose body something was taken out.
pub(crate) const REDACTED: u32 = 4;
/// Frame flag: a plain record, of whose body something was taken out.
pub(crate) const CLEARED: u32 = 5;
/// Bytes before the body of a salted record.
pub(crate) const SALT: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderKind {
    /// The first record follows `previous hash`.
    Chained,
    /// Saved from a damaged file: `previous hash` is the stored hash of the first record itself.
    Salvaged,
    /// A snapshot of the records log up to `previous seq`.
    Snapshot,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) log: u8,
    pub(crate) kind: HeaderKind,
    pub(crate) capacity: u64,
    pub(crate) first: u64,
    pub(crate) prev_seq: u64,
    pub(crate) prev_hash: Hash,
    pub(crate) made_ms: i64,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut b = [0; HEADER];
        b[..8].copy_from_slice(MAGIC);
        b[8] = self.log;
        b[9] = match self.kind {
            HeaderKind::Chained => 0,
            HeaderKind::Salvaged => 1,
            HeaderKind::Snapshot => 2,
        };
        b[16..24].copy_from_slice(&self.capacity.to_le_bytes());
        b[24..32].copy_from_slice(&self.first.to_le_bytes());
        b[32..40].copy_from_slice(&self.prev_seq.to_le_bytes());
        b[40..72].copy_from_slice(&self.prev_hash);
        b[72..80].copy_from_slice(&self.made_ms.to_le_bytes());
        let crc = crc32c::crc32c(&b[..124]);
        b[124..].copy_from_slice(&crc.to_le_bytes());
        b
    }

    pub(crate) fn decode(b: &[u8]) -> Option<Self> {
        if b.len() < HEADER || &b[..8] != MAGIC || u32_at(b, 124) != crc32c::crc32c(&b[..124]) {
            return None;
        }
        let kind = match b[9] {
            0 => HeaderKind::Chained,
            1 => HeaderKind::Salvaged,
            2 => HeaderKind::Snapshot,
            _ => return None,
        };
        let mut prev_hash = [0; 32];
        prev_hash.copy_from_slice(&b[40..72]);
        Some(Self {
            log: b[8],
            kind,
            capacity: u64_at(b, 16),
            first: u64_at(b, 24),
            prev_seq: u64_at(b, 32),
            prev_hash,
            made_ms: i64::from_le_bytes(u64_at(b, 72).to_le_bytes()),
        })
    }
}

fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(b[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(b: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(b[at..at + 8].try_into().expect("eight bytes"))
}

/// Bytes a frame takes.
pub(crate) const fn frame_len(payload: usize) -> usize {
    (FRAME + payload).next_multiple_of(8)
}

pub(crate) fn chain(prev: &Hash, seq: u64, payload: &[u8]) -> Hash {
    let mut sha = Sha256::new();
    sha.update(prev);
    sha.update(seq.to_le_bytes());
    sha.update(payload);
    sha.finalize().into()
}

/// What a salted frame holds, and the chain after it.
pub(crate) fn salted(prev: &Hash, seq: u64, salt: &[u8; SALT], body: &[u8]) -> (Vec<u8>, Hash) {
    let payload = [salt.as_slice(), body].concat();
    let hash = chain(prev, seq, &Sha256::digest(&payload));
    (payload, hash)
}

/// Adds a frame to `out`.
pub(crate) fn push_frame(out: &mut Vec<u8>, flags: u32, seq: u64, durable: u64, hash: &Hash, payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(MARK);
    let len = u32::try_from(payload.len()).expect("payloads are bounded by MAX_PAYLOAD");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(&durable.to_le_bytes());
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(hash);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&out[start..start + 60]), payload);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(payload);
    out.resize(start + frame_len(payload.len()), 0);
}

/// A frame whose checksum is right.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) at: u64,
    pub(crate) flags: u32,
    pub(crate) seq: u64,
    pub(crate) durable: u64,
    pub(crate) hash: Hash,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Bytes of the payload that stand before the body.
    const fn head(flags: u32) -> usize {
        match flags {
            SALTED => SALT,
            REDACTED => size_of::<Hash>(),
            _ => 0,
        }
    }

    /// The row; empty if it was taken out.
    pub(crate) fn body(&self) -> &[u8] {
        &self.payload[Self::head(self.flags)..]
    }

    /// True if its place in the chain is right. Of a cleared frame nobody can tell.
    pub(crate) fn follows(&self, before: &Hash) -> bool {
        let link = match self.flags {
            CLEARED => return true,
            SALTED => Sha256::digest(&self.payload).to_vec(),
            REDACTED => self.payload[..Self::head(REDACTED)].to_vec(),
            _ => return chain(before, self.seq, &self.payload) == self.hash,
        };
        chain(before, self.seq, &link) == self.hash
    }

    /// True if something was taken out of it.
    pub(crate) const fn is_redacted(&self) -> bool {
        matches!(self.flags, REDACTED | CLEARED)
    }

    /// Writes it with another body. Its place in the chain stays.
    pub(crate) fn redacted(&self, out: &mut Vec<u8>, body: &[u8]) {
        let (flags, mut payload) = match self.flags {
            SALTED => (REDACTED, Sha256::digest(&self.payload).to_vec()),
            REDACTED => (REDACTED, self.payload[..Self::head(REDACTED)].to_vec()),
            _ => (CLEARED, Vec::new()),
        };
        payload.extend_from_slice(body);
        push_frame(out, flags, self.seq, self.durable, &self.hash, &payload);
    }
}

/// What stands at a position.
#[derive(Debug)]
pub(crate) enum Step {
    Frame(Frame),
    /// Zero bytes where a frame could begin.
    Zero,
    Bad(&'static str),
    End,
}

/// How a place without a frame was passed.
#[derive(Debug)]
pub(crate) enum Pass {
    /// It is to be read once more.
    Again,
    /// Nothing follows.
    End,
    /// It stays so.
    Fault,
}

/// Walks through a file.
pub(crate) struct Scanner {
    file: Box<dyn StoreFile>,
    pub(crate) len: u64,
    pub(crate) at: u64,
    start: u64,
    buf: Vec<u8>,
    /// Behind the last record: what follows it may have been the end for now, and a record since.
    behind: u64,
    /// What stood here was read anew.
    anew: u64,
}

impl Scanner {
    pub(crate) fn open(io: &dyn StoreIo, path: &Path) -> io::Result<Self> {
        Self::of(io.open(path, false)?)
    }

    fn of(file: Box<dyn StoreFile>) -> io::Result<Self> {
        let len = file.len()?;
        Ok(Self {
            file,
            len,
            at: HEADER as u64,
            start: 0,
            buf: Vec::new(),
            behind: HEADER as u64,
            anew: 0,
        })
    }

    /// Goes on at a place where a frame is known to begin.
    pub(crate) const fn begin_at(&mut self, at: u64) {
        (self.at, self.behind) = (at, at);
    }

    /// Up to `n` bytes at a position; fewer only at the end of the file.
    fn bytes(&mut self, at: u64, n: usize) -> io::Result<&[u8]> {
        let have = self.start + self.buf.len() as u64;
        if at < self.start || at + n as u64 > have {
            self.start = at;
            let want = n.max(CHUNK);
            self.buf.resize(want, 0);
            let mut got = 0;
            while got < want {
                match self.file.read_at(&mut self.buf[got..], at + got as u64) {
                    Ok(0) => break,
                    Ok(k) => got += k,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => {
                        self.buf.clear();
                        return Err(e);
                    }
                }
            }
            self.buf.truncate(got);
        }
        let from = usize::try_from(at - self.start)
            .unwrap_or(usize::MAX)
            .min(self.buf.len());
        let to = (from + n).min(self.buf.len());
        Ok(&self.buf[from..to])
    }

    pub(crate) fn header(&mut self) -> io::Result<Option<Header>> {
        Ok(Header::decode(self.bytes(0, HEADER)?))
    }

    /// Looks at the frame at the position and moves behind it if it is right.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        let at = self.at;
        let head = self.bytes(at, FRAME)?;
        if head.is_empty() {
            return Ok(Step::End);
        }
        if head.iter().all(|b| *b == 0) {
            return Ok(Step::Zero);
        }
        if head.len() < FRAME {
            return Ok(Step::Bad("cut-off frame"));
        }
        if &head[..4] != MARK {
            return Ok(Step::Bad("no frame mark"));
        }
        let len = u32_at(head, 4) as usize;
        if len > MAX_PAYLOAD {
            return Ok(Step::Bad("impossible frame length"));
        }
        let whole = self.bytes(at, FRAME + len)?;
        if whole.len() < FRAME + len {
            return Ok(Step::Bad("cut-off frame"));
        }
        let crc = crc32c::crc32c_append(crc32c::crc32c(&whole[..60]), &whole[FRAME..]);
        if crc != u32_at(whole, 60) {
            return Ok(Step::Bad("wrong checksum"));
        }
        if len < Frame::head(u32_at(whole, 24)) {
            return Ok(Step::Bad("too short for its kind"));
        }
        let frame = Frame {
            at,
            flags: u32_at(whole, 24),
            seq: u64_at(whole, 8),
            durable: u64_at(whole, 16),
            hash: whole[28..60].try_into().expect("thirty-two bytes"),
            payload: whole[FRAME..].to_vec(),
        };
        self.at = at + frame_len(len) as u64;
        if frame.flags != IDLE {
            self.behind = self.at;
        }
        Ok(Step::Frame(frame))
    }

    /// Passes a place where no right frame is: to the next one, or back to read it anew if that was not done before. Whoever looks
    /// while a gateway writes may have read the place before it was written and what follows it afterwards, or an idle frame
    /// whose place a record has taken since.
    pub(crate) fn pass(&mut self, at: u64, zero: bool) -> io::Result<Pass> {
        let behind = self.behind;
        if !self.resync()? && zero {
            return Ok(Pass::End);
        }
        if self.anew < at {
            self.buf.clear();
            (self.start, self.anew) = (0, at);
            self.begin_at(behind);
            return Ok(Pass::Again);
        }
        self.behind = self.at;
        Ok(Pass::Fault)
    }

    /// Moves to the next right frame after the position; false if there is none.
    pub(crate) fn resync(&mut self) -> io::Result<bool> {
        let mut at = self.at + 8;
        loop {
            let chunk = self.bytes(at, CHUNK)?;
            if chunk.is_empty() {
                self.at = self.len.max(self.at);
                return Ok(false);
            }
            let found = chunk.chunks(8).position(|c| c.starts_with(MARK));
            match found {
                Some(k) => {
                    at += 8 * k as u64;
                    self.at = at;
                    if let Step::Frame(_) = self.step()? {
                        self.at = at;
                        return Ok(true);
                    }
                    at += 8;
                }
                None => at += (chunk.len() as u64).next_multiple_of(8),
            }
        }
    }

    /// True if some byte from the position to the end is not zero.
    pub(crate) fn dirty_after(&mut self, at: u64) -> io::Result<bool> {
        let mut at = at;
        loop {
            let chunk = self.bytes(at, CHUNK)?;
            if chunk.is_empty() {
                return Ok(false);
            }
            if chunk.iter().any(|b| *b != 0) {
                return Ok(true);
            }
            at += chunk.len() as u64;
        }
    }

    /// Behind the last byte that is not zero; at least `at`.
    pub(crate) fn content_end(&mut self, at: u64) -> io::Result<u64> {
        let (mut at, mut end) = (at, at);
        loop {
            let chunk = self.bytes(at, CHUNK)?;
            if chunk.is_empty() {
                return Ok(end);
            }
            if let Some(k) = chunk.iter().rposition(|b| *b != 0) {
                end = at + k as u64 + 1;
            }
            at += chunk.len() as u64;
        }
    }

    /// Copies raw bytes.
    pub(crate) fn raw(&mut self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let n = usize::try_from(to - from).map_err(io::Error::other)?;
        Ok(self.bytes(from, n)?.to_vec())
    }
}

/// Records that follow each other with a right chain.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) first_hash: Hash,
    pub(crate) last_hash: Hash,
}

/// What a look through a whole file found.
#[derive(Clone, Debug)]
pub(crate) struct Survey {
    pub(crate) header: Option<Header>,
    /// The first run follows the header.
    pub(crate) anchored: bool,
    pub(crate) runs: Vec<Run>,
    /// Byte offset and what is wrong there.
    pub(crate) faults: Vec<(u64, String)>,
    /// Highest sequence number that a frame in the file says is durable.
    pub(crate) durable: u64,
    pub(crate) len: u64,
    pub(crate) records: u64,
    /// How many of them something was taken out of.
    pub(crate) redacted: u64,
    /// End of the last right frame: up to here it is known which records there were.
    pub(crate) seen: u64,
    /// End of the part that is right from the header on.
    pub(crate) end: u64,
}

impl Survey {
    /// Last record that follows the header without a fault, and its hash.
    pub(crate) fn sound(&self) -> Option<(u64, Hash)> {
        let header = self.header.as_ref()?;
        match self.runs.first() {
            Some(run) if self.anchored => Some((run.last, run.last_hash)),
            Some(_) | None => Some((header.first.saturating_sub(1), header.prev_hash)),
        }
    }
}

pub(crate) fn survey(io: &dyn StoreIo, path: &Path) -> io::Result<Survey> {
    survey_of(Scanner::open(io, path)?)
}

fn survey_of(mut scanner: Scanner) -> io::Result<Survey> {
    let header = scanner.header()?;
    let mut s = Survey {
        anchored: false,
        runs: Vec::new(),
        faults: Vec::new(),
        durable: 0,
        len: scanner.len,
        records: 0,
        redacted: 0,
        seen: HEADER as u64,
        end: HEADER as u64,
        header,
    };
    if s.header.is_none() {
        s.faults.push((0, "bad segment header".into()));
    }
    let mut open = false;
    loop {
        let at = scanner.at;
        let (what, zero) = match scanner.step()? {
            Step::Frame(frame) => {
                take(&mut s, &mut open, &frame, scanner.at);
                continue;
            }
            Step::End => break,
            Step::Zero => ("hole of zero bytes", true),
            Step::Bad(what) => (what, false),
        };
        match scanner.pass(at, zero)? {
            Pass::Again => continue,
            Pass::End => break,
            Pass::Fault => {}
        }
        s.faults.push((at, what.into()));
        open = false;
    }
    Ok(s)
}

fn take(s: &mut Survey, open: &mut bool, frame: &Frame, end: u64) {
    s.durable = s.durable.max(frame.durable);
    let sound_so_far = s.faults.is_empty();
    if frame.flags == IDLE {
        if let Some(run) = s.runs.last_mut().filter(|r| *open && r.last_hash == frame.hash) {
            run.end = end;
        }
        if s.runs.last().is_none_or(|run| run.last <= frame.durable) {
            s.seen = end;
        }
        if sound_so_far {
            s.end = end;
        }
        return;
    }
    s.records += 1;
    s.redacted += u64::from(frame.is_redacted());
    if let Some(run) = s.runs.last_mut() {
        let follows = *open && frame.seq == run.last + 1 && frame.follows(&run.last_hash);
        if follows {
            s.seen = end;
            run.last = frame.seq;
            run.last_hash = frame.hash;
            run.end = end;
            if sound_so_far {
                s.end = end;
            }
            return;
        }
        if *open {
            s.faults
                .push((frame.at, format!("hash chain broken at record {}", frame.seq)));
        }
        if frame.seq <= run.last {
            // Left over from before: not part of the log.
            s.records -= 1;
            s.redacted -= u64::from(frame.is_redacted());
            *open = false;
            return;
        }
    } else if let Some(header) = s.header.as_ref().filter(|_| sound_so_far) {
        let right = match header.kind {
            HeaderKind::Salvaged => frame.hash == header.prev_hash,
            HeaderKind::Chained | HeaderKind::Snapshot => frame.follows(&header.prev_hash),
        };
        if right && frame.seq == header.first {
            s.anchored = true;
            s.end = end;
        } else {
            s.faults.push((
                frame.at,
                format!("record {} does not follow the header", frame.seq),
            ));
        }
    }
    *open = true;
    s.seen = end;
    s.runs.push(Run {
        start: frame.at,
        end,
        first: frame.seq,
        last: frame.seq,
        first_hash: frame.hash,
        last_hash: frame.hash,
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A file that is written while it is read: the first look finds another content than all later ones.
    struct Written {
        after: Vec<u8>,
        before: Vec<u8>,
        looks: AtomicUsize,
    }

    impl StoreFile for Written {
        fn allocate(&self, _: u64) -> io::Result<()> {
            Err(io::Error::other("it is read only"))
        }

        fn len(&self) -> io::Result<u64> {
            Ok(self.after.len() as u64)
        }

        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            let from = usize::try_from(offset).map_err(io::Error::other)?;
            let first = self.looks.load(Ordering::Relaxed) == 0;
            let all = if first { &self.before } else { &self.after };
            let rest = all.get(from..).unwrap_or_default();
            let n = rest.len().min(buf.len());
            buf[..n].copy_from_slice(&rest[..n]);
            // a look ends with the end of the file
            self.looks.fetch_add(usize::from(n == 0), Ordering::Relaxed);
            Ok(n)
        }

        fn set_len(&self, _: u64) -> io::Result<()> {
            Err(io::Error::other("it is read only"))
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }

        fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
            Err(io::Error::other("it is read only"))
        }
    }

    /// A segment with four records, and where each begins.
    fn segment() -> (Vec<u8>, Vec<usize>) {
        let header = Header {
            capacity: 4096,
            first: 1,
            kind: HeaderKind::Chained,
            log: 0,
            made_ms: 0,
            prev_hash: [0; 32],
            prev_seq: 0,
        };
        let mut all = header.encode().to_vec();
        let (mut hash, mut starts) = ([0; 32], Vec::new());
        for seq in 1..=4 {
            starts.push(all.len());
            hash = chain(&hash, seq, b"a record");
            push_frame(&mut all, 0, seq, seq - 1, &hash, b"a record");
        }
        all.resize(4096, 0);
        (all, starts)
    }

    fn look(before: Vec<u8>, after: Vec<u8>) -> Survey {
        let file = Written {
            after,
            before,
            looks: AtomicUsize::new(0),
        };
        let scanner = Scanner::of(Box::new(file)).expect("its length");
        survey_of(scanner).expect("it can be read")
    }

    #[test]
    fn what_is_written_while_it_is_looked_through_is_no_damage() {
        let (whole, starts) = segment();
        // nothing of the last two records was there, or half of the last but one
        for from in [starts[2], starts[2] + 20] {
            let mut before = whole.clone();
            before[from..].fill(0);
            let found = look(before, whole.clone());
            assert_eq!((found.records, found.faults), (4, Vec::new()), "from byte {from}");
        }
    }

    #[test]
    fn a_record_that_takes_the_place_of_an_idle_frame_is_no_damage() {
        let (whole, starts) = segment();
        let mut before = whole[..starts[2]].to_vec();
        push_frame(&mut before, IDLE, 2, 2, &[7; 32], &[]);
        before.resize(whole.len(), 0);
        let found = look(before, whole);
        assert_eq!((found.records, found.faults), (4, Vec::new()));
    }

    #[test]
    fn a_hole_that_stays_is_damage() {
        let (mut holed, starts) = segment();
        holed[starts[1]..starts[2]].fill(0);
        let found = look(holed.clone(), holed);
        let hole = (starts[1] as u64, "hole of zero bytes".to_owned());
        assert!(found.faults.contains(&hole), "{:?}", found.faults);
    }
}
