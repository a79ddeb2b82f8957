//! The part of the Basic Encoding Rules that LDAP uses (X.690, RFC 4511 §5.1): definite lengths, short tags.

/// Most octets of one message from a server.
pub(crate) const MESSAGE: usize = 1 << 20;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTETS: u8 = 0x04;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const SEQUENCE: u8 = 0x30;

/// Why octets are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BerError {
    /// Octets are missing.
    #[error("an element breaks off")]
    Cut,
    /// A length of indefinite form, or of more than four octets.
    #[error("length octet 0x{0:02x} is not used in LDAP")]
    Length(u8),
    /// An integer of no octets, or of more than four.
    #[error("an integer of {0} octets")]
    Integer(usize),
    /// Another element.
    #[error("element 0x{found:02x} where 0x{wanted:02x} belongs")]
    Tag {
        /// Its tag.
        found: u8,
        /// The tag that belongs there.
        wanted: u8,
    },
    /// A message that is longer than a megabyte.
    #[error("a message of {0} octets")]
    TooLong(usize),
}

/// Reads elements one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next element.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Any element: its tag and what is in it.
    pub(crate) fn any(&mut self) -> Result<(u8, &'a [u8]), BerError> {
        let (head, length) = header(self.0)?.ok_or(BerError::Cut)?;
        let tag = self.0[0];
        let end = head.checked_add(length).ok_or(BerError::Cut)?;
        let inner = self.0.get(head..end).ok_or(BerError::Cut)?;
        self.0 = &self.0[end..];
        Ok((tag, inner))
    }

    /// The element that belongs here.
    pub(crate) fn wanted(&mut self, wanted: u8) -> Result<&'a [u8], BerError> {
        let found = self.peek().ok_or(BerError::Cut)?;
        if found != wanted {
            return Err(BerError::Tag { found, wanted });
        }
        self.any().map(|(_, inner)| inner)
    }

    pub(crate) fn sequence(&mut self) -> Result<Self, BerError> {
        self.wanted(SEQUENCE).map(Self)
    }

    /// An integer or enumerated.
    pub(crate) fn integer(&mut self, tag: u8) -> Result<i32, BerError> {
        let bytes = self.wanted(tag)?;
        if !(1..=4).contains(&bytes.len()) {
            return Err(BerError::Integer(bytes.len()));
        }
        let negative = bytes.first().is_some_and(|b| b & 0x80 != 0);
        let start = if negative { -1 } else { 0 };
        Ok(bytes
            .iter()
            .fold(start, |value, byte| value << 8 | i32::from(*byte)))
    }
}

/// Octets of the header and of the content of the element that begins here; `None` if the header is not whole.
fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>, BerError> {
    let Some(first) = bytes.get(1).copied() else {
        return Ok(None);
    };
    if first < 0x80 {
        return Ok(Some((2, usize::from(first))));
    }
    let count = usize::from(first & 0x7f);
    if !(1..=4).contains(&count) {
        return Err(BerError::Length(first));
    }
    let Some(octets) = bytes.get(2..2 + count) else {
        return Ok(None);
    };
    let length = octets
        .iter()
        .fold(0, |value: usize, byte| value << 8 | usize::from(*byte));
    Ok(Some((2 + count, length)))
}

/// Octets of the message that begins here; `None` if its header is not whole.
pub(crate) fn message(bytes: &[u8]) -> Result<Option<usize>, BerError> {
    match bytes.first() {
        None => return Ok(None),
        Some(&SEQUENCE) => {}
        Some(&found) => {
            return Err(BerError::Tag {
                found,
                wanted: SEQUENCE,
            });
        }
    }
    let Some((head, length)) = header(bytes)? else {
        return Ok(None);
    };
    let whole = head.saturating_add(length);
    if whole > MESSAGE {
        return Err(BerError::TooLong(whole));
    }
    Ok(Some(whole))
}

/// Writes elements.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn octets(&mut self, tag: u8, content: &[u8]) -> &mut Self {
        self.0.push(tag);
        let length = content.len();
        if length < 0x80 {
            self.0.push(u8::try_from(length).unwrap_or_default());
        } else {
            let bytes = length.to_be_bytes();
            let used = &bytes[bytes.iter().take_while(|b| **b == 0).count()..];
            self.0.push(0x80 | u8::try_from(used.len()).unwrap_or_default());
            self.0.extend_from_slice(used);
        }
        self.0.extend_from_slice(content);
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.octets(OCTETS, text.as_bytes())
    }

    pub(crate) fn boolean(&mut self, value: bool) -> &mut Self {
        self.octets(BOOLEAN, &[if value { 0xff } else { 0 }])
    }

    /// A number that is not negative, as integer or enumerated.
    pub(crate) fn number(&mut self, tag: u8, value: u32) -> &mut Self {
        let bytes = value.to_be_bytes();
        let zeros = bytes.iter().take(3).take_while(|b| **b == 0).count();
        let mut short = bytes[zeros..].to_vec();
        if short[0] & 0x80 != 0 {
            short.insert(0, 0);
        }
        self.octets(tag, &short)
    }

    /// Elements that are written already.
    pub(crate) fn raw(&mut self, elements: &[u8]) -> &mut Self {
        self.0.extend_from_slice(elements);
        self
    }

    pub(crate) fn nested(&mut self, tag: u8, inner: impl FnOnce(&mut Self)) -> &mut Self {
        let mut writer = Self::default();
        inner(&mut writer);
        self.octets(tag, &writer.0)
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_read_in_their_forms_and_no_others() {
        for (bytes, wanted) in [
            (&[SEQUENCE][..], Ok(None)),
            (&[SEQUENCE, 5], Ok(Some(7))),
            (&[SEQUENCE, 0x81], Ok(None)),
            (&[SEQUENCE, 0x82, 1, 0], Ok(Some(260))),
            // OpenLDAP writes four octets, also where one would do
            (&[SEQUENCE, 0x84, 0, 0, 0, 5], Ok(Some(11))),
            (&[SEQUENCE, 0x80], Err(BerError::Length(0x80))),
            (&[SEQUENCE, 0x85, 0, 0, 0, 0, 1], Err(BerError::Length(0x85))),
            (
                &[SEQUENCE, 0x84, 0xff, 0, 0, 0],
                Err(BerError::TooLong(0xff00_0006)),
            ),
            (
                &[4, 1],
                Err(BerError::Tag {
                    found: 4,
                    wanted: SEQUENCE,
                }),
            ),
            (&[], Ok(None)),
        ] {
            assert_eq!(message(bytes), wanted, "{bytes:02x?}");
        }
    }

    #[test]
    fn integers_have_one_to_four_octets() {
        let read = |bytes: &[u8]| Reader::new(bytes).integer(INTEGER);
        assert_eq!(read(&[2, 1, 5]), Ok(5));
        assert_eq!(read(&[2, 2, 0, 200]), Ok(200));
        assert_eq!(read(&[2, 1, 0xff]), Ok(-1));
        assert_eq!(read(&[2, 4, 0x7f, 0xff, 0xff, 0xff]), Ok(i32::MAX));
        assert_eq!(read(&[2, 0]), Err(BerError::Integer(0)));
        assert_eq!(read(&[2, 5, 1, 1, 1, 1, 1]), Err(BerError::Integer(5)));
        assert_eq!(read(&[2, 2, 1]), Err(BerError::Cut));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in 0..=i32::MAX, content in prop::collection::vec(any::<u8>(), 0..70_000)) {
            let mut writer = Writer::default();
            writer.nested(SEQUENCE, |w| {
                w.number(INTEGER, value.unsigned_abs()).octets(OCTETS, &content).boolean(true);
            });
            let bytes = writer.done();
            prop_assert_eq!(message(&bytes), Ok(Some(bytes.len())));
            let mut reader = Reader::new(&bytes).sequence().expect("a sequence");
            prop_assert_eq!(reader.integer(INTEGER), Ok(value));
            prop_assert_eq!(reader.wanted(OCTETS), Ok(&content[..]));
            prop_assert_eq!(reader.wanted(BOOLEAN), Ok(&[0xff][..]));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn any_octets_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = message(&bytes);
            let mut reader = Reader::new(&bytes);
            while reader.any().is_ok() {}
            let _ = Reader::new(&bytes).integer(INTEGER);
        }
    }
}
