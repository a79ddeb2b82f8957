//! What is said on a connection of MQTT, the same for both versions: `v3` and `v5` write and read it by rumqttc's codec. What only
//! MQTT 5 can carry is left out by the other. [`Versions`] says which is tried.
//!
//! No IO, no state of a session: whoever has the connection reads and writes, gives ids, and answers. Left out: QoS 2, topic aliases,
//! shared subscriptions, sessions that outlive their connection, enhanced authentication.

mod v3;
mod v5;
mod versions;

use std::fmt;

use bytes::{Bytes, BytesMut};

pub use versions::{MqttVersion, OtherVersion, Versions};

/// Largest packet that is sent, in bytes.
pub const OUTGOING: usize = 1024 * 1024;
/// Publishes that may wait for the broker's acknowledgement, if it names no smaller number.
pub const INFLIGHT: u16 = 100;

/// A version of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// 3.1.1 (OASIS Standard, 29 October 2014).
    V3,
    /// 5.0 (OASIS Standard, 7 March 2019).
    V5,
}

impl Spoken {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> &'static str {
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
pub struct Hello<'a> {
    /// Our id.
    pub client: &'a str,
    /// The broker notices within one and a half of this that we are gone, s.
    pub keep_alive: u16,
    /// Largest packet that we take, in bytes.
    pub largest: u32,
    /// User and password.
    pub login: Option<(&'a str, &'a str)>,
    /// Messages that may wait for our acknowledgement; told to a broker of MQTT 5.
    pub window: u16,
    /// What the broker says when we are gone, with QoS 1.
    pub will: Option<Will<'a>>,
}

/// A last will.
#[derive(Clone, Copy, Debug)]
pub struct Will<'a> {
    /// What is said.
    pub payload: &'a str,
    /// Is it kept?
    pub retain: bool,
    /// Where.
    pub topic: &'a str,
}

/// The broker took us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// How often we have to say something, if the broker decides that, in s.
    pub keep_alive: Option<u16>,
    /// Largest packet that the broker takes, in bytes.
    pub largest: usize,
    /// It marks what is published with retain, also while we are connected.
    pub marks_retained: bool,
    /// It takes QoS 1.
    pub qos1: bool,
    /// It keeps retained messages.
    pub retains: bool,
    /// Which MQTT it was asked for, and speaks.
    pub version: Spoken,
    /// It takes subscriptions with wildcards.
    pub wildcards: bool,
    /// Publishes that may wait for its acknowledgement.
    pub window: u16,
}

/// A message of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// UTF-8.
    pub payload: String,
    /// The broker keeps it.
    pub retain: bool,
    /// Where.
    pub topic: String,
    /// What MQTT 5 adds.
    pub with: With,
}

/// What MQTT 5 adds to a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct With {
    /// What the request had, given back (§3.3.2.3.6).
    pub correlation: Option<Bytes>,
    /// After so many seconds nobody needs it any more (§3.3.2.3.3).
    pub expiry: Option<u32>,
    /// For who reads no payload (§3.3.2.3.7).
    pub user: Vec<(&'static str, String)>,
}

impl Message {
    /// Bytes on the wire, at most.
    #[must_use]
    pub fn size(&self) -> usize {
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

/// How often a message may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    /// QoS 1.
    AtLeastOnce,
    /// QoS 0.
    AtMostOnce,
}

/// A topic filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Wish to know of each message whether it was published with retain (MQTT 5 §3.8.3.1, Retain As Published).
    pub marked: bool,
    /// The filter.
    pub path: String,
    /// At most.
    pub qos: Qos,
}

/// What we say.
#[derive(Clone, Debug)]
pub enum Say {
    /// We have the message of this id.
    Ack(u16),
    /// We leave in good order: no last will is spoken.
    Bye,
    /// Are you there?
    Ping,
    /// A message, with QoS 1 if it has an id.
    Publish(Option<u16>, Message),
    /// Subscriptions.
    Subscribe(u16, Vec<Filter>),
    /// The end of one.
    Unsubscribe(u16, String),
}

/// A message that came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// To be given back in the answer.
    pub correlation: Option<Bytes>,
    /// It may have come before.
    pub dup: bool,
    /// How long it would still have been kept, in s: what was published less the time it waited at brokers.
    pub expiry: Option<u32>,
    /// To be acknowledged by; `None` asks for none.
    pub id: Option<u16>,
    /// Any bytes.
    pub payload: Bytes,
    /// Where the sender wants its answer.
    pub response: Option<String>,
    /// The broker kept it, or marks that it was published to be kept.
    pub retain: bool,
    /// Where.
    pub topic: String,
}

/// Why the broker did not take us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// User or password.
    Login,
    /// Something else, in words.
    Other(String),
    /// This version of MQTT.
    Version,
}

/// What we hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A publish of ours is taken, or why not.
    Acked(u16, Option<String>),
    /// The broker ends it; why, in words.
    Closed(String),
    /// The subscriptions of this id are granted, or why each is not.
    Granted(u16, Vec<Option<String>>),
    /// A message.
    Message(Came),
    /// Nothing that matters to us.
    Other,
    /// It is there.
    Pong,
    /// It does not take us.
    Refused(Refused),
    /// The subscription is no more, or there was none.
    Unsubscribed(u16),
    /// It takes us.
    Welcome(Welcome),
}

/// What came cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// Against the protocol.
    #[error("{0}")]
    Malformed(String),
    /// Longer than is taken; nothing of it was taken out of what came.
    #[error("{0} bytes in one packet")]
    TooLong(usize),
}

/// Our first packet.
///
/// # Errors
/// The codec does not write it.
pub fn hello(version: Spoken, hello: &Hello<'_>, to: &mut BytesMut) -> Result<(), Unread> {
    match version {
        Spoken::V3 => v3::hello(hello, to),
        Spoken::V5 => v5::hello(hello, to),
    }
}

/// Writes one packet.
///
/// # Errors
/// The codec does not write it.
pub fn say(version: Spoken, say: Say, to: &mut BytesMut) -> Result<(), Unread> {
    match version {
        Spoken::V3 => v3::say(say, to),
        Spoken::V5 => v5::say(say, to),
    }
}

/// Takes one packet of at most `largest` bytes out of what came; `None` if it is not yet whole.
///
/// # Errors
/// What came is against the protocol, or too long.
pub fn hear(version: Spoken, from: &mut BytesMut, largest: usize) -> Result<Option<Heard>, Unread> {
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
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) const HELLO: Hello<'static> = Hello {
        client: "doorline-lilas-0011",
        keep_alive: 15,
        largest: 0x0004_0000,
        login: Some(("door", "word")),
        window: 32,
        will: Some(Will {
            payload: "offline",
            retain: true,
            topic: "doorline/lilas/availability",
        }),
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
            say(version, Say::Publish(Some(7), message.clone()), &mut to).expect("written");
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
