//! What is said on a connection, the same for both versions of MQTT; [`v3`](super::v3) and [`v5`](super::v5) write and
//! read it. What only MQTT 5 can carry is left out by the other.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::{v3, v5};

/// A version of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// 3.1.1 (OASIS Standard, 29 October 2014).
    V3,
    /// 5.0 (OASIS Standard, 7 March 2019).
    V5,
}

impl Spoken {
    /// Its number.
    pub(crate) const fn number(self) -> &'static str {
        match self {
            Self::V3 => "3.1.1",
            Self::V5 => "5",
        }
    }
}

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.number())
    }
}

/// How we introduce ourselves: with a clean start, and a session that ends with its connection, so that nothing is kept
/// for us while we are away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hello<'a> {
    pub(crate) client: &'a str,
    /// s.
    pub(crate) keep_alive: u16,
    /// Largest packet that we take, in bytes.
    pub(crate) largest: u32,
    pub(crate) login: Option<(&'a str, &'a str)>,
    /// Messages that may wait for our acknowledgement; told to a broker of MQTT 5.
    pub(crate) window: u16,
    /// Topic and payload of the last will, which is kept.
    pub(crate) will: (&'a str, &'a str),
}

/// The broker took us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Welcome {
    /// How often we have to say something, if the broker decides that, in s.
    pub(crate) keep_alive: Option<u16>,
    /// Largest packet that the broker takes, in bytes.
    pub(crate) largest: usize,
    /// It marks what is published with retain, also while we are connected.
    pub(crate) marks_retained: bool,
    /// What it cannot do and we need; `None` is a broker that will do.
    pub(crate) unfit: Option<String>,
    pub(crate) version: Spoken,
    /// Publishes that may wait for its acknowledgement.
    pub(crate) window: u16,
}

/// A message of ours, QoS 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) payload: String,
    pub(crate) retain: bool,
    pub(crate) topic: String,
    pub(crate) with: With,
}

/// What MQTT 5 adds to a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct With {
    /// What the request had, given back (§3.3.2.3.6).
    pub(crate) correlation: Option<Bytes>,
    /// After so many seconds nobody needs it any more (§3.3.2.3.3).
    pub(crate) expiry: Option<u32>,
    /// For who reads no payload (§3.3.2.3.7).
    pub(crate) user: Vec<(&'static str, String)>,
}

impl Message {
    /// Bytes on the wire, at most.
    pub(crate) fn size(&self) -> usize {
        // fixed header 5, topic 2, id 2, length of the properties 4, format 2, expiry 5, content type, correlation
        let fixed = 5 + 2 + 2 + 4 + 2 + 5 + 3 + v5::JSON.len();
        let correlation = self.with.correlation.as_ref().map_or(0, |data| 3 + data.len());
        let user = self
            .with
            .user
            .iter()
            .map(|(name, value)| 5 + name.len() + value.len());
        fixed + self.topic.len() + self.payload.len() + correlation + user.sum::<usize>()
    }
}

/// A topic filter, QoS 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Wish to know of each message whether it was published with retain (MQTT 5 §3.8.3.1, Retain As Published).
    pub(crate) marked: bool,
    pub(crate) path: String,
}

/// What we say.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    Ack(u16),
    Bye,
    Ping,
    Publish(u16, Message),
    Subscribe(u16, Vec<Filter>),
}

/// A message that came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) correlation: Option<Bytes>,
    pub(crate) dup: bool,
    /// How long it would still have been kept, in s: what was published less the time it waited at brokers.
    pub(crate) expiry: Option<u32>,
    /// To be acknowledged by; `None` asks for none.
    pub(crate) id: Option<u16>,
    pub(crate) payload: Bytes,
    /// Where the sender wants its answer.
    pub(crate) response: Option<String>,
    pub(crate) retain: bool,
    pub(crate) topic: String,
}

/// Why the broker did not take us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// User or password.
    Login,
    /// Something else, in words.
    Other(String),
    /// This version of MQTT.
    Version,
}

/// What we hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A publish of ours is taken, or why not.
    Acked(u16, Option<String>),
    /// The broker ends it; why, in words.
    Closed(String),
    /// Subscriptions are granted, or why one is not.
    Granted(Option<String>),
    Message(Came),
    /// Nothing that matters to us.
    Other,
    Pong,
    Refused(Refused),
    Welcome(Welcome),
}

/// What came cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    #[error("{0}")]
    Malformed(String),
    #[error("{0} bytes in one packet")]
    TooLong(usize),
}

/// Our first packet.
pub(crate) fn hello(version: Spoken, hello: &Hello<'_>, to: &mut BytesMut) -> Result<(), Unread> {
    match version {
        Spoken::V3 => v3::hello(hello, to),
        Spoken::V5 => v5::hello(hello, to),
    }
}

/// Writes one packet.
pub(crate) fn say(version: Spoken, say: Say, to: &mut BytesMut) -> Result<(), Unread> {
    match version {
        Spoken::V3 => v3::say(say, to),
        Spoken::V5 => v5::say(say, to),
    }
}

/// Takes one packet of at most `largest` bytes out of what came; `None` if it is not yet whole.
pub(crate) fn hear(version: Spoken, from: &mut BytesMut, largest: usize) -> Result<Option<Heard>, Unread> {
    let Some(length) = frame(from)? else {
        return Ok(None);
    };
    if length > largest {
        return Err(Unread::TooLong(length));
    }
    if from.len() < length {
        from.reserve(length - from.len());
        return Ok(None);
    }
    let mut packet = from.split_to(length);
    let heard = match version {
        Spoken::V3 => v3::hear(&mut packet),
        Spoken::V5 => v5::hear(&mut packet),
    };
    heard.map(Some)
}

/// Length of the packet that begins here (MQTT 3.1.1 §2.2.3, MQTT 5 §1.5.5); `None` if that has not come yet.
fn frame(bytes: &[u8]) -> Result<Option<usize>, Unread> {
    let mut length = 0;
    for n in 0..4 {
        let Some(byte) = bytes.get(1 + n) else {
            return Ok(None);
        };
        length |= usize::from(byte & 0x7F) << (7 * n);
        if byte & 0x80 == 0 {
            return Ok(Some(2 + n + length));
        }
    }
    Err(Unread::Malformed("a length of more than four bytes".to_owned()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::connection) const HELLO: Hello<'static> = Hello {
        client: "doorline-lilas-0011",
        keep_alive: 15,
        largest: 0x0004_0000,
        login: Some(("door", "word")),
        window: 32,
        will: ("doorline/lilas/availability", "offline"),
    };

    fn all(version: Spoken, bytes: &[u8]) -> Result<Vec<Heard>, Unread> {
        let mut from = BytesMut::from(bytes);
        let mut heard = Vec::new();
        while let Some(next) = hear(version, &mut from, 4096)? {
            heard.push(next);
        }
        Ok(heard)
    }

    #[test]
    fn a_packet_in_parts_is_waited_for_and_one_that_is_too_long_is_not() {
        for version in [Spoken::V3, Spoken::V5] {
            let mut from = BytesMut::from(&b"\xd0"[..]);
            assert_eq!(hear(version, &mut from, 100), Ok(None));
            from.extend_from_slice(b"\x00\xd0");
            assert_eq!(hear(version, &mut from, 100), Ok(Some(Heard::Pong)));
            assert_eq!(hear(version, &mut from, 100), Ok(None));
            let mut from = BytesMut::from(&b"\x30\xff\x7f"[..]);
            assert_eq!(hear(version, &mut from, 100), Err(Unread::TooLong(16_386)));
            let mut from = BytesMut::from(&b"\x30\xff\xff\xff\xff\x01"[..]);
            assert!(hear(version, &mut from, 100).is_err());
        }
    }

    #[test]
    fn no_message_is_longer_than_its_size_says() {
        let message = Message {
            payload: "{}".into(),
            retain: true,
            topic: "a/b".into(),
            with: With {
                correlation: Some(Bytes::from_static(b"abc")),
                expiry: Some(5),
                user: vec![("site", "lilas".into()), ("seq", "12".into())],
            },
        };
        for version in [Spoken::V3, Spoken::V5] {
            let mut to = BytesMut::new();
            say(version, Say::Publish(7, message.clone()), &mut to).expect("written");
            assert!(to.len() <= message.size(), "{version}: {}", to.len());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic_or_take_what_is_not_there(
            data in proptest::collection::vec(any::<u8>(), 0..300),
            kind in 0_u8..16,
        ) {
            for version in [Spoken::V3, Spoken::V5] {
                let _ = all(version, &data);
                // a whole packet with anything in it
                let mut packet = vec![kind << 4];
                packet.extend([0x80 | u8::try_from(data.len() % 128).expect("small"), u8::try_from(data.len() / 128).expect("small")]);
                packet.extend(&data);
                prop_assert!(all(version, &packet).is_err() || all(version, &packet).is_ok_and(|heard| heard.len() == 1));
            }
        }
    }
}
