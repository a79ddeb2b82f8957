//! DNS messages as multicast DNS uses them (RFC 1035 §4, RFC 6762 §18). Strangers send them: reading is bounded by the
//! message's own length, follows pointers only backwards, and keeps nothing.

/// Record types (RFC 1035 §3.2.2, RFC 3596, RFC 2782, RFC 4034).
pub(crate) mod kind {
    pub(crate) const A: u16 = 1;
    pub(crate) const CNAME: u16 = 5;
    pub(crate) const PTR: u16 = 12;
    pub(crate) const TXT: u16 = 16;
    pub(crate) const AAAA: u16 = 28;
    pub(crate) const SRV: u16 = 33;
    pub(crate) const NSEC: u16 = 47;
    pub(crate) const ANY: u16 = 255;
}

/// Class Internet, and any class.
const IN: u16 = 1;
const ANY_CLASS: u16 = 255;
/// Top bit of a class: unicast answer wanted (§5.4), or the record replaces what was known (§10.2).
const TOP: u16 = 0x8000;
/// Flags of an answer: response, authoritative (§18).
const RESPONSE: u16 = 0x8400;
/// Most entries of one message that are looked at; real ones have some tens.
const MOST: usize = 256;

/// A domain name as labels. Compared without regard to the case of ASCII letters (RFC 1035 §2.3.3).
#[derive(Clone, Debug, Default)]
pub(crate) struct Name(Vec<Vec<u8>>);

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|(a, b)| a.eq_ignore_ascii_case(b))
    }
}

impl Name {
    /// From labels of 1 to 63 bytes.
    pub(crate) fn of(labels: &[&str]) -> Self {
        Self(labels.iter().map(|label| label.as_bytes().to_vec()).collect())
    }

    /// The bytes of the name, uncompressed.
    pub(crate) fn wire(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for label in &self.0 {
            out.push(u8::try_from(label.len()).unwrap_or(63));
            out.extend_from_slice(label);
        }
        out.push(0);
        out
    }
}

/// A question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Question {
    pub(crate) name: Name,
    pub(crate) kind: u16,
    /// The asker wants the answer for himself (§5.4).
    pub(crate) unicast: bool,
}

/// A record; names within its data are written out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) name: Name,
    pub(crate) kind: u16,
    /// It replaces what was known of this name and type (§10.2).
    pub(crate) flush: bool,
    /// Seconds for which it counts.
    pub(crate) ttl: u32,
    pub(crate) data: Vec<u8>,
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Message {
    pub(crate) id: u16,
    pub(crate) response: bool,
    pub(crate) questions: Vec<Question>,
    pub(crate) answers: Vec<Record>,
    pub(crate) authorities: Vec<Record>,
    pub(crate) additionals: Vec<Record>,
}

impl Message {
    /// Reads a message of class Internet; `None` if it is none, or of another operation (§18.3, §18.11).
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { bytes, at: 0 };
        let id = reader.u16()?;
        let flags = reader.u16()?;
        // operation code and response code must be zero
        if flags & 0x780f != 0 {
            return None;
        }
        let counts: [u16; 4] = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        if counts.iter().map(|n| usize::from(*n)).sum::<usize>() > MOST {
            return None;
        }
        let mut message = Self {
            id,
            response: flags & TOP != 0,
            ..Self::default()
        };
        for _ in 0..counts[0] {
            let (name, kind, class) = (reader.name()?, reader.u16()?, reader.u16()?);
            if matches!(class & !TOP, IN | ANY_CLASS) {
                message.questions.push(Question {
                    name,
                    kind,
                    unicast: class & TOP != 0,
                });
            }
        }
        let sections = [
            &mut message.answers,
            &mut message.authorities,
            &mut message.additionals,
        ];
        for (count, section) in counts[1..].iter().zip(sections) {
            for _ in 0..*count {
                section.extend(reader.record()?);
            }
        }
        Some(message)
    }

    /// The bytes. Names are not compressed: what we send fits into one datagram without it.
    pub(crate) fn wire(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let flags = if self.response { RESPONSE } else { 0 };
        let counts = [
            self.questions.len(),
            self.answers.len(),
            self.authorities.len(),
            self.additionals.len(),
        ];
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&flags.to_be_bytes());
        for count in counts {
            out.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
        }
        for question in &self.questions {
            out.extend_from_slice(&question.name.wire());
            out.extend_from_slice(&question.kind.to_be_bytes());
            let class = if question.unicast { IN | TOP } else { IN };
            out.extend_from_slice(&class.to_be_bytes());
        }
        for record in self
            .answers
            .iter()
            .chain(&self.authorities)
            .chain(&self.additionals)
        {
            out.extend_from_slice(&record.name.wire());
            out.extend_from_slice(&record.kind.to_be_bytes());
            let class = if record.flush { IN | TOP } else { IN };
            out.extend_from_slice(&class.to_be_bytes());
            out.extend_from_slice(&record.ttl.to_be_bytes());
            let length = u16::try_from(record.data.len()).unwrap_or(u16::MAX);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&record.data);
        }
        out
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let part = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(part)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// A name, with its pointers followed: each must lead further back than all before it (RFC 1035 §4.1.4).
    fn name(&mut self) -> Option<Name> {
        let mut labels = Vec::new();
        let (mut at, mut end, mut floor, mut length) = (self.at, None, self.at, 0);
        loop {
            let head = usize::from(*self.bytes.get(at)?);
            match head >> 6 {
                0 if head == 0 => {
                    self.at = end.unwrap_or(at + 1);
                    return Some(Name(labels));
                }
                0 => {
                    length += head + 1;
                    // RFC 1035 §3.1: at most 255 octets with the last, empty label
                    if length > 254 {
                        return None;
                    }
                    labels.push(self.bytes.get(at + 1..at + 1 + head)?.to_vec());
                    at += 1 + head;
                }
                3 => {
                    let low = usize::from(*self.bytes.get(at + 1)?);
                    let to = (head & 0x3f) << 8 | low;
                    end = end.or(Some(at + 2));
                    if to >= floor {
                        return None;
                    }
                    (at, floor) = (to, to);
                }
                _ => return None,
            }
        }
    }

    /// A record: outer `None` ends the message, inner `None` is one of another class.
    fn record(&mut self) -> Option<Option<Record>> {
        let name = self.name()?;
        let (kind, class, ttl) = (self.u16()?, self.u16()?, self.u32()?);
        let length = usize::from(self.u16()?);
        let start = self.at;
        let raw = self.take(length)?;
        let mut inner = Reader {
            bytes: &self.bytes[..self.at],
            at: start,
        };
        // names in these may be compressed (§18.14)
        let data = match kind {
            kind::PTR | kind::CNAME => inner.name()?.wire(),
            kind::SRV => {
                let head = inner.take(6)?.to_vec();
                [head, inner.name()?.wire()].concat()
            }
            _ => raw.to_vec(),
        };
        Some((class & !TOP == IN).then_some(Record {
            name,
            kind,
            flush: class & TOP != 0,
            ttl,
            data,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let record = |kind, data: Vec<u8>| Record {
            name: Name::of(&["Main entrance", "_http", "_tcp", "local"]),
            kind,
            flush: true,
            ttl: 120,
            data,
        };
        let message = Message {
            id: 7,
            response: true,
            questions: vec![Question {
                name: Name::of(&["door", "local"]),
                kind: kind::ANY,
                unicast: true,
            }],
            answers: vec![
                record(kind::PTR, Name::of(&["door", "local"]).wire()),
                record(kind::TXT, b"\x04a=bc".to_vec()),
            ],
            authorities: vec![record(
                kind::SRV,
                [vec![0, 0, 0, 0, 0, 80], Name::of(&["door", "local"]).wire()].concat(),
            )],
            additionals: vec![record(kind::A, vec![192, 0, 2, 7])],
        };
        assert_eq!(Message::read(&message.wire()), Some(message));
    }

    #[test]
    fn compressed_names_are_followed_backwards_only() {
        // a query for "a.local", then one for "b" with a pointer to "local"
        let mut bytes = vec![0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(b"\x01a\x05local\x00\x00\x01\x00\x01");
        bytes.extend_from_slice(b"\x01b\xc0\x0e\x00\x1c\x80\x01");
        let message = Message::read(&bytes).expect("a message");
        let names: Vec<_> = message.questions.iter().map(|q| q.name.clone()).collect();
        assert_eq!(names, [Name::of(&["A", "local"]), Name::of(&["b", "LOCAL"])]);
        assert!(message.questions[1].unicast);
        for to in [12, 25, 27, 200] {
            let mut looping = bytes[..25].to_vec();
            looping.extend_from_slice(&[1, b'b', 0xc0, to, 0, 1, 0, 1]);
            // only what lies before the name itself can be meant
            assert_eq!(Message::read(&looping).is_some(), to == 12, "{to}");
        }
    }

    #[test]
    fn other_operations_and_classes_are_passed_over() {
        let query = Message {
            questions: vec![Question {
                name: Name::of(&["a"]),
                kind: kind::A,
                unicast: false,
            }],
            ..Message::default()
        };
        let mut bytes = query.wire();
        assert!(Message::read(&bytes).is_some());
        bytes[2] = 0x28;
        assert_eq!(Message::read(&bytes), None);
        let mut chaos = query.wire();
        let last = chaos.len() - 1;
        chaos[last] = 3;
        assert_eq!(Message::read(&chaos).map(|m| m.questions.len()), Some(0));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic_or_grow(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Some(message) = Message::read(&bytes) {
                let entries = message.questions.len() + message.answers.len()
                    + message.authorities.len() + message.additionals.len();
                prop_assert!(entries <= MOST);
                // what was read can be written, and is the same when read again
                prop_assert_eq!(Message::read(&message.wire()), Some(message));
            }
        }

        #[test]
        fn a_damaged_message_is_read_or_refused(
            at in 0_usize..120,
            value in any::<u8>(),
            keep in 0_usize..140,
        ) {
            let name = Name::of(&["Main entrance", "_sip", "_udp", "local"]);
            let record = Record { name: name.clone(), kind: kind::SRV, flush: true, ttl: 120,
                data: [vec![0; 6], name.wire()].concat() };
            let message = Message { response: true, answers: vec![record.clone()], authorities: vec![record],
                ..Message::default() };
            let mut bytes = message.wire();
            let at = at % bytes.len();
            bytes[at] = value;
            bytes.truncate(keep);
            let _ = Message::read(&bytes);
        }
    }
}
