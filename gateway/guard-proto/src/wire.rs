//! Framing, and the few shapes of which bodies are made.

use std::collections::BTreeMap;

use gateway_core::{Instant, OutputId};

/// Protocol version; both sides must have the same.
pub const VERSION: u16 = 4;
/// Longest frame: kind and body, in bytes.
pub const MAX_FRAME: usize = 16 * 1024;
/// Longest text in a message, in bytes.
pub const MAX_TEXT: usize = 250;
/// Most entries of a list in a message.
pub const MAX_LIST: usize = 64;

/// One use of one output: the number of the Grant that allowed it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LeaseId(pub u64);

impl std::fmt::Display for LeaseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "lease{}", self.0)
    }
}

/// To which wire an output's name belongs: gateway and guard read the site file at different times, and a pulse must
/// never go to the wire that had the name before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Wiring(pub u64);

impl Wiring {
    /// Of a text that says device, channel and polarity (FNV-1a, 64 bits: no secret, no adversary).
    #[must_use]
    pub fn of(text: &str) -> Self {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
    }
}

/// Every output of a configuration, with its wire.
pub type Wirings = BTreeMap<OutputId, Wiring>;

/// Bytes that are no message. The connection they came over is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtoError {
    /// A frame longer than [`MAX_FRAME`], or an empty one.
    #[error("frame of {length} bytes, allowed are 1 to {MAX_FRAME}")]
    Frame {
        /// What the frame's head says.
        length: usize,
    },
    /// A body that ends too soon, or has bytes behind its end.
    #[error("message 0x{kind:02x} has a wrong length at offset {offset}")]
    Length {
        /// Kind of message.
        kind: u8,
        /// Byte offset in the frame.
        offset: usize,
    },
    /// A kind that this version does not know.
    #[error("unknown message 0x{kind:02x}")]
    Kind {
        /// What was found.
        kind: u8,
    },
    /// A field with a value that it cannot have.
    #[error("message 0x{kind:02x} has an impossible {field} before offset {offset}")]
    Value {
        /// Name of the field.
        field: &'static str,
        /// Kind of message.
        kind: u8,
        /// Byte offset behind the field.
        offset: usize,
    },
}

/// Shortens a text to [`MAX_TEXT`] bytes at a character boundary.
#[must_use]
pub fn clip(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Cuts a byte stream into frames. Holds at most one frame and one read.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
}

impl FrameReader {
    /// Takes bytes as they came. Call [`next`](Self::next) until it has none before the next push: that bounds
    /// what is held to one frame and one read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame: kind and body.
    ///
    /// # Errors
    /// [`ProtoError::Frame`] if its length is not allowed; the stream cannot be read on.
    #[expect(
        clippy::should_implement_trait,
        reason = "it fails, and more may come after None"
    )]
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, ProtoError> {
        let [high, low, ..] = self.buffer[..] else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length == 0 || length > MAX_FRAME {
            return Err(ProtoError::Frame { length });
        }
        if self.buffer.len() < 2 + length {
            return Ok(None);
        }
        let frame = self.buffer[2..2 + length].to_vec();
        self.buffer.drain(..2 + length);
        Ok(Some(frame))
    }
}

/// Builds one frame.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new(kind: u8) -> Self {
        Self(vec![0, 0, kind])
    }

    pub(crate) fn u8(mut self, v: u8) -> Self {
        self.0.push(v);
        self
    }

    pub(crate) fn u16(mut self, v: u16) -> Self {
        self.0.extend_from_slice(&v.to_be_bytes());
        self
    }

    pub(crate) fn u64(mut self, v: u64) -> Self {
        self.0.extend_from_slice(&v.to_be_bytes());
        self
    }

    pub(crate) fn time(self, v: Instant) -> Self {
        self.u64(v.as_nanos())
    }

    pub(crate) fn text(mut self, v: &str) -> Self {
        let v = clip(v);
        self.0
            .push(u8::try_from(v.len()).expect("a clipped text has at most 160 bytes"));
        self.0.extend_from_slice(v.as_bytes());
        self
    }

    /// Writes at most [`MAX_LIST`] entries; callers keep their lists below that.
    pub(crate) fn list<T>(self, items: &[T], each: impl FnMut(Self, &T) -> Self) -> Self {
        let items = &items[..items.len().min(MAX_LIST)];
        let count = u8::try_from(items.len()).expect("MAX_LIST fits a byte");
        items.iter().fold(self.u8(count), each)
    }

    pub(crate) fn wirings(self, wirings: &Wirings) -> Self {
        let wirings: Vec<_> = wirings.iter().collect();
        self.list(&wirings, |w, (output, wiring)| {
            w.text(output.as_str()).u64(wiring.0)
        })
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let length = self.0.len() - 2;
        debug_assert!(
            length <= MAX_FRAME,
            "lists and texts are bounded so that every message fits"
        );
        let head = u16::try_from(length).expect("every message fits MAX_FRAME");
        self.0[..2].copy_from_slice(&head.to_be_bytes());
        self.0
    }
}

/// Reads one frame's body.
pub(crate) struct Reader<'a> {
    frame: &'a [u8],
    kind: u8,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(frame: &'a [u8]) -> Result<Self, ProtoError> {
        let kind = *frame.first().ok_or(ProtoError::Frame { length: 0 })?;
        if frame.len() > MAX_FRAME {
            return Err(ProtoError::Frame { length: frame.len() });
        }
        Ok(Self { frame, kind, at: 1 })
    }

    pub(crate) const fn kind(&self) -> u8 {
        self.kind
    }

    pub(crate) const fn unknown(&self) -> ProtoError {
        ProtoError::Kind { kind: self.kind }
    }

    pub(crate) const fn wrong(&self, field: &'static str) -> ProtoError {
        ProtoError::Value {
            field,
            kind: self.kind,
            offset: self.at,
        }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], ProtoError> {
        let short = ProtoError::Length {
            kind: self.kind,
            offset: self.at,
        };
        let bytes = self.frame.get(self.at..self.at + n).ok_or(short)?;
        self.at += n;
        Ok(bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, ProtoError> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, ProtoError> {
        let bytes = self.take(2)?.try_into().expect("two bytes were taken");
        Ok(u16::from_be_bytes(bytes))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, ProtoError> {
        let bytes = self.take(8)?.try_into().expect("eight bytes were taken");
        Ok(u64::from_be_bytes(bytes))
    }

    pub(crate) fn lease(&mut self) -> Result<LeaseId, ProtoError> {
        self.u64().map(LeaseId)
    }

    pub(crate) fn time(&mut self) -> Result<Instant, ProtoError> {
        self.u64().map(Instant::from_nanos)
    }

    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, ProtoError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.wrong(field)),
        }
    }

    pub(crate) fn text(&mut self, field: &'static str) -> Result<&'a str, ProtoError> {
        let n = usize::from(self.u8()?);
        let bytes = self.take(n)?;
        if n > MAX_TEXT {
            return Err(self.wrong(field));
        }
        std::str::from_utf8(bytes).map_err(|_| self.wrong(field))
    }

    pub(crate) fn name<T: std::str::FromStr>(&mut self, field: &'static str) -> Result<T, ProtoError> {
        let text = self.text(field)?;
        text.parse().map_err(|_| self.wrong(field))
    }

    pub(crate) fn wirings(&mut self) -> Result<Wirings, ProtoError> {
        let entry = |r: &mut Self| Ok((r.name("output")?, Wiring(r.u64()?)));
        Ok(self.list("wirings", entry)?.into_iter().collect())
    }

    pub(crate) fn list<T>(
        &mut self,
        field: &'static str,
        mut each: impl FnMut(&mut Self) -> Result<T, ProtoError>,
    ) -> Result<Vec<T>, ProtoError> {
        let n = usize::from(self.u8()?);
        if n > MAX_LIST {
            return Err(self.wrong(field));
        }
        (0..n).map(|_| each(self)).collect()
    }

    /// Nothing may stand behind the last field.
    pub(crate) fn end<T>(&self, message: T) -> Result<T, ProtoError> {
        if self.at == self.frame.len() {
            Ok(message)
        } else {
            Err(ProtoError::Length {
                kind: self.kind,
                offset: self.at,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_come_out_whole_however_they_were_cut() {
        let stream = [&[0, 1, 9][..], &[0, 3, 8, 1, 2], &[0, 2, 7]].concat();
        let mut reader = FrameReader::default();
        let mut frames = Vec::new();
        for byte in stream {
            reader.push(&[byte]);
            while let Some(frame) = reader.next().expect("all lengths are allowed") {
                frames.push(frame);
            }
        }
        assert_eq!(frames, [vec![9], vec![8, 1, 2]]);
        reader.push(&[5]);
        assert_eq!(reader.next(), Ok(Some(vec![7, 5])));
    }

    #[test]
    fn a_frame_of_a_forbidden_length_ends_the_stream() {
        for head in [[0, 0], [0x40, 0x01], [0xff, 0xff]] {
            let mut reader = FrameReader::default();
            reader.push(&head);
            let length = usize::from(u16::from_be_bytes(head));
            assert_eq!(reader.next(), Err(ProtoError::Frame { length }));
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let text = "é".repeat(200);
        assert_eq!(clip(&text).len(), 250);
        let odd = format!("x{text}");
        assert_eq!(clip(&odd).len(), 249);
        assert_eq!(clip("short"), "short");
    }

    proptest! {
        #[test]
        fn any_stream_gives_frames_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut reader = FrameReader::default();
            reader.push(&bytes);
            let mut taken = 0;
            while let Ok(Some(frame)) = reader.next() {
                taken += 2 + frame.len();
            }
            prop_assert!(taken <= bytes.len());
        }
    }
}
