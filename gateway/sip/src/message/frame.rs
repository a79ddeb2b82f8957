//! Cuts a TCP or TLS stream into messages (RFC 3261 §18.3, RFC 5626 §3.5.1).

use super::Message;
use super::read::{Limits, ReadError, read_message};
use crate::message::HeaderName;

/// One piece of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message that cannot be acted on; the stream goes on behind it.
    Bad(ReadError),
    /// A message.
    Message(Message),
    /// A double CRLF: the peer wants a single CRLF back (RFC 5626 §4.4.1).
    Ping,
    /// A single CRLF: answer to our ping.
    Pong,
}

/// The stream cannot be cut any further; the connection must be closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The body is larger than allowed.
    #[error("message at byte {offset} of the stream: found Content-Length {found}, allowed up to {allowed}")]
    BodyTooLarge {
        /// Byte offset of the message in the stream.
        offset: u64,
        /// Content-Length.
        found: u64,
        /// Limit in bytes.
        allowed: usize,
    },
    /// No end of the header fields within the limit.
    #[error("message at byte {offset} of the stream: no empty line within {allowed} bytes, found {found:?}")]
    HeadTooLarge {
        /// Byte offset of the message in the stream.
        offset: u64,
        /// The beginning of the message.
        found: String,
        /// Limit in bytes.
        allowed: usize,
    },
    /// The length of the body cannot be read.
    #[error("message at byte {offset} of the stream: found Content-Length {found:?}, expected one number")]
    Length {
        /// Byte offset of the message in the stream.
        offset: u64,
        /// What stands there.
        found: String,
    },
}

/// Collects bytes of one connection and gives frames.
///
/// Memory: at most one head, one body and one read of the driver, as long as the driver takes all frames after
/// each [`StreamFramer::push`].
#[derive(Debug)]
pub struct StreamFramer {
    limits: Limits,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out; they go at the next push, so that many small frames cost one move.
    start: usize,
    /// Bytes behind `start` in which no end of the head was found.
    searched: usize,
    /// Length of the message at `start`, once its head is there.
    total: Option<usize>,
    /// Bytes of the stream before `start`.
    passed: u64,
}

impl StreamFramer {
    /// A framer for a new connection.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            total: None,
            passed: 0,
        }
    }

    /// Adds bytes that were read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that wait for the rest of their message.
    #[must_use]
    pub const fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The next frame, or `None` until more bytes come.
    ///
    /// A single CRLF with nothing behind it is a pong at once; a ping whose two CRLF come in two reads is therefore
    /// two pongs, which costs the peer one keep-alive answer and nobody a message.
    ///
    /// # Errors
    /// The stream lost its frame; see [`FrameError`].
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.searched == 0 && self.total.is_none() {
            match self.rest() {
                [b'\r', b'\n', b'\r', b'\n', ..] => return Ok(Some(self.keep_alive(4, Frame::Ping))),
                [b'\r', b'\n', b'\r'] | [b'\r'] | [] => return Ok(None),
                [b'\r', b'\n', ..] => return Ok(Some(self.keep_alive(2, Frame::Pong))),
                [b'\n', ..] => return Ok(Some(self.keep_alive(1, Frame::Pong))),
                [_, ..] => {}
            }
        }
        let total = match self.total {
            Some(total) => total,
            None => {
                let head = self.head_len();
                if head.unwrap_or(self.pending()) > self.limits.head {
                    let (offset, found) = (self.passed, quote(self.rest()));
                    return Err(FrameError::HeadTooLarge {
                        offset,
                        found,
                        allowed: self.limits.head,
                    });
                }
                let Some(head) = head else { return Ok(None) };
                let total = head + self.content_length(head)?;
                self.total = Some(total);
                total
            }
        };
        let Some(bytes) = self.rest().get(..total) else {
            return Ok(None);
        };
        let frame = match read_message(bytes, &self.limits) {
            Ok(message) => Frame::Message(message),
            Err(e) => Frame::Bad(e),
        };
        self.take(total);
        Ok(Some(frame))
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn keep_alive(&mut self, len: usize, frame: Frame) -> Frame {
        self.take(len);
        frame
    }

    fn take(&mut self, len: usize) {
        self.start += len;
        self.searched = 0;
        self.total = None;
        self.passed += u64::try_from(len).unwrap_or(u64::MAX);
    }

    /// Length of start line, fields and empty line, once all are there. Goes on where the last search ended.
    fn head_len(&mut self) -> Option<usize> {
        let bytes = &self.buffer[self.start..];
        let mut i = self.searched;
        while let Some(found) = bytes.get(i..)?.iter().position(|b| *b == b'\n') {
            let after = i + found + 1;
            match bytes.get(after..) {
                Some([b'\n', ..]) => return Some(after + 1),
                Some([b'\r', b'\n', ..]) => return Some(after + 2),
                // The end may be cut in two reads: search this line end again.
                Some([] | [b'\r']) | None => {
                    self.searched = i + found;
                    return None;
                }
                Some(_) => i = after,
            }
        }
        self.searched = bytes.len();
        None
    }

    /// Content-Length of the head; absent means no body (RFC 3261 §20.14 demands it, some peers leave it out).
    fn content_length(&self, head: usize) -> Result<usize, FrameError> {
        let mut length: Option<&[u8]> = None;
        let mut in_length = false;
        for line in self.rest()[..head].split(|b| *b == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let value = if matches!(line.first(), Some(b' ' | b'\t')) {
                if !in_length || line.trim_ascii().is_empty() {
                    continue;
                }
                line.trim_ascii()
            } else {
                let (name, value) = line.split_at(line.iter().position(|b| *b == b':').unwrap_or(line.len()));
                in_length = std::str::from_utf8(name.trim_ascii_end())
                    .is_ok_and(|n| HeaderName::parse(n) == Some(HeaderName::ContentLength));
                if !in_length {
                    continue;
                }
                value.strip_prefix(b":").unwrap_or(value).trim_ascii()
            };
            match length {
                // The value may stand on a folded line alone.
                None | Some(b"") => length = Some(value),
                Some(earlier) if earlier == value => {}
                Some(_) => return Err(self.bad_length(value)),
            }
        }
        let Some(text) = length else { return Ok(0) };
        let number = std::str::from_utf8(text)
            .ok()
            .and_then(crate::scan::number::<u64>);
        let found = number.ok_or_else(|| self.bad_length(text))?;
        match usize::try_from(found) {
            Ok(n) if n <= self.limits.body => Ok(n),
            _ => Err(FrameError::BodyTooLarge {
                offset: self.passed,
                found,
                allowed: self.limits.body,
            }),
        }
    }

    fn bad_length(&self, found: &[u8]) -> FrameError {
        FrameError::Length {
            offset: self.passed,
            found: quote(found),
        }
    }
}

fn quote(bytes: &[u8]) -> String {
    bytes.iter().take(24).map(|b| char::from(*b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "OPTIONS sip:a@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:b@h>;tag=1\r\n\
                        To: <sip:a@h>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n";

    fn frames(framer: &mut StreamFramer) -> Vec<String> {
        let mut out = Vec::new();
        while let Some(frame) = framer.next_frame().expect("framed") {
            out.push(match frame {
                Frame::Bad(e) => format!("bad {}", e.part),
                Frame::Message(m) => String::from_utf8_lossy(m.body()).into_owned(),
                Frame::Ping => "ping".to_owned(),
                Frame::Pong => "pong".to_owned(),
            });
        }
        out
    }

    #[test]
    fn messages_and_keep_alives_are_cut_at_every_split() {
        let stream = format!(
            "\r\n{HEAD}Content-Length: 3\r\n\r\nabc\r\n\r\n{HEAD}l :\r\n 2\r\n\r\nde{HEAD}\r\n{HEAD}L: 1\r\n\r\nf\r\n"
        );
        let mut whole = StreamFramer::new(Limits::default());
        whole.push(stream.as_bytes());
        let expected = ["pong", "abc", "ping", "de", "", "f", "pong"];
        assert_eq!(frames(&mut whole), expected);

        let messages = ["abc", "de", "", "f"];
        for split in 0..stream.len() {
            let mut framer = StreamFramer::new(Limits::default());
            let (a, b) = stream.as_bytes().split_at(split);
            framer.push(a);
            let mut found = frames(&mut framer);
            framer.push(b);
            found.extend(frames(&mut framer));
            found.retain(|f| f != "ping" && f != "pong");
            assert_eq!(found, messages, "split at {split}");
            assert_eq!(framer.pending(), 0);
        }
    }

    #[test]
    fn a_bad_message_does_not_cost_the_connection() {
        let mut framer = StreamFramer::new(Limits::default());
        framer.push(format!("{HEAD}CSeq: 9 BYE\r\n\r\n{HEAD}l: 2\r\n\r\nok").as_bytes());
        assert_eq!(frames(&mut framer), ["bad CSeq", "ok"]);
    }

    #[test]
    fn a_stream_without_frame_ends_with_an_error() {
        let check = |text: &str| {
            let mut framer = StreamFramer::new(Limits {
                head: 400,
                body: 10,
                ..Limits::default()
            });
            framer.push(text.as_bytes());
            framer.next_frame().expect_err("lost")
        };
        assert!(matches!(
            check(&format!("{HEAD}l: 11\r\n\r\n")),
            FrameError::BodyTooLarge { found: 11, .. }
        ));
        assert!(matches!(
            check(&format!("{HEAD}l: -1\r\n\r\n")),
            FrameError::Length { .. }
        ));
        assert!(matches!(
            check(&format!("{HEAD}l: 1\r\nl: 2\r\n\r\n")),
            FrameError::Length { .. }
        ));
        assert!(matches!(check(&"x".repeat(401)), FrameError::HeadTooLarge { .. }));
    }
}
