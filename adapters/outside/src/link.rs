//! One connection to the broker, MQTT 3.1.1 (OASIS, 29 October 2014), clean session.
//!
//! A close resets it and drops what was not sent, also when this process is killed.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use gateway_tls_client::{Own, TlsError, secure_as};
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectReturnCode, LastWill, Packet, PubAck, Publish, Subscribe, SubscribeFilter,
    SubscribeReasonCode, Unsubscribe,
};
use rumqttc::mqttbytes::{Error as WireError, QoS};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::broker::Broker;

/// Longest time for each step of connecting.
const STEP: Duration = Duration::from_secs(2);
/// The broker notices within one and a half of this that we are gone, s. We ping more often.
const KEEP_ALIVE: u16 = 5;
/// Largest packet that is taken: devices say less.
const LARGEST: usize = 64 * 1024;
/// Most messages taken before a subscription is granted, beside one for each topic: a broker keeps one of each, and whoever
/// else writes there meanwhile is heard afterwards.
const EARLY: usize = 64;
/// A topic that nobody has: what the broker says of it comes after everything that was sent before.
const FENCE: &str = "doorline/fence";

/// Why there is no connection, or no more. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It closed the connection.
    #[error(
        "the broker {0} closed the connection; its log says why (access list, another client of our name)"
    )]
    Closed(String),
    /// It cannot be reached.
    #[error("the broker {broker} cannot be reached: {source}")]
    Io {
        /// Which.
        broker: String,
        /// Why.
        source: io::Error,
    },
    /// The file with our password.
    #[error("the password for the broker {broker} cannot be read from {}: {source}", path.display())]
    Password {
        /// Which.
        broker: String,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It does not let us in.
    #[error("the broker {broker} refused our login ({code:?}); check user and password of [mqtt]")]
    Refused {
        /// Which.
        broker: String,
        /// What it said.
        code: ConnectReturnCode,
    },
    /// It does not answer.
    #[error("the broker {broker} does not answer within {ms} ms")]
    Silent {
        /// Which.
        broker: String,
        /// How long was waited.
        ms: u128,
    },
    /// TLS.
    #[error("the broker {broker}: {source}")]
    Tls {
        /// Which.
        broker: String,
        /// Why.
        source: TlsError,
    },
    /// It does not let us hear a device.
    #[error("the broker {broker} does not let us subscribe to {topic}; its access list has to")]
    Topic {
        /// Which broker.
        broker: String,
        /// Which topic.
        topic: String,
    },
    /// It sent what is not MQTT 3.1.1.
    #[error("the broker {broker} sent what is not MQTT 3.1.1: {source}")]
    Wire {
        /// Which.
        broker: String,
        /// What is wrong.
        source: WireError,
    },
}

/// Both ways of a connection, with or without TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A message that the broker passes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) payload: Vec<u8>,
    /// Kept by the broker, or sent again: it says how something is, and not that it happened.
    pub(crate) old: bool,
    pub(crate) topic: String,
}

/// What comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// The broker has everything that was sent with or before this number.
    Done(u16),
    Message(Message),
    /// The answer to a ping.
    Pong,
}

pub(crate) struct Link {
    broker: String,
    buffer: BytesMut,
    next: u16,
    /// Bytes still to come of a message that is too long to be one of a device.
    skip: usize,
    stream: Box<dyn Stream>,
    /// Was it told that there are such messages?
    told: bool,
}

/// What the broker sends to a topic when we are gone.
pub(crate) struct Will<'a> {
    pub(crate) payload: &'a str,
    pub(crate) topic: &'a str,
}

impl Link {
    /// Connects as `client`; another connection of that name ends.
    pub(crate) async fn open(
        broker: &Broker,
        client: &str,
        will: Option<Will<'_>>,
    ) -> Result<Self, LinkError> {
        let name = broker.to_string();
        let silent = |_| LinkError::Silent {
            broker: name.clone(),
            ms: STEP.as_millis(),
        };
        let failed = |source| LinkError::Io {
            broker: name.clone(),
            source,
        };
        let stream = timeout(STEP, TcpStream::connect((broker.host.as_str(), broker.port)));
        let stream = stream.await.map_err(silent)?.map_err(failed)?;
        stream
            .set_nodelay(true)
            .and_then(|()| stream.set_zero_linger())
            .map_err(failed)?;
        let stream: Box<dyn Stream> = match &broker.tls {
            None => Box::new(stream),
            Some(tls) => {
                let own = tls.client.as_ref().map(|(chain, key)| Own { chain, key });
                let secured = secure_as(stream, &broker.host, tls.ca_file.as_deref(), own);
                let secured = timeout(STEP, secured).await.map_err(silent)?;
                Box::new(secured.map_err(|source| LinkError::Tls {
                    broker: name.clone(),
                    source,
                })?)
            }
        };
        let mut link = Self {
            broker: name.clone(),
            buffer: BytesMut::new(),
            next: 0,
            skip: 0,
            stream,
            told: false,
        };
        link.send(&Packet::Connect(connect(broker, client, will)?))
            .await?;
        let answer = timeout(STEP, link.packet()).await.map_err(silent)??;
        let Packet::ConnAck(ConnAck { code, .. }) = answer else {
            return Err(LinkError::Wire {
                broker: name,
                source: WireError::MalformedPacket,
            });
        };
        if code == ConnectReturnCode::Success {
            Ok(link)
        } else {
            Err(LinkError::Refused { broker: name, code })
        }
    }

    fn number(&mut self) -> u16 {
        self.next = self.next.checked_add(1).unwrap_or(1);
        self.next
    }

    async fn send(&mut self, packet: &Packet) -> Result<(), LinkError> {
        let mut bytes = BytesMut::new();
        packet
            .write(&mut bytes, LARGEST)
            .map_err(|source| LinkError::Wire {
                broker: self.broker.clone(),
                source,
            })?;
        let written = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        let failed = |source| LinkError::Io {
            broker: self.broker.clone(),
            source,
        };
        match timeout(STEP, written).await {
            Ok(written) => written.map_err(failed),
            Err(_) => Err(failed(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Asks for messages of these topics, at most once each; waits until the broker has granted it. Messages that come
    /// before that are kept ones, and are given to `early`.
    pub(crate) async fn subscribe(
        &mut self,
        topics: &[String],
        mut early: impl FnMut(Message),
    ) -> Result<(), LinkError> {
        if topics.is_empty() {
            return Ok(());
        }
        let number = self.number();
        let filter = |topic: &String| SubscribeFilter::new(topic.clone(), QoS::AtMostOnce);
        let mut subscribe = Subscribe::new_many(topics.iter().map(filter));
        subscribe.pkid = number;
        self.send(&Packet::Subscribe(subscribe)).await?;
        let mut room = topics.len() + EARLY;
        let granted = async {
            loop {
                let packet = self.packet().await?;
                if let Packet::SubAck(ack) = packet {
                    if ack.pkid == number {
                        return Ok::<_, LinkError>(ack);
                    }
                } else if let Packet::Publish(publish) = packet
                    && room > 0
                {
                    room -= 1;
                    early(message(publish));
                }
            }
        };
        let granted = timeout(STEP, granted).await;
        let Ok(granted) = granted else {
            return Err(self.silent(STEP));
        };
        let codes = granted?.return_codes;
        let refused = codes
            .iter()
            .position(|code| *code == SubscribeReasonCode::Failure);
        match refused.and_then(|n| topics.get(n)) {
            None => Ok(()),
            Some(topic) => Err(LinkError::Topic {
                broker: self.broker.clone(),
                topic: topic.clone(),
            }),
        }
    }

    /// Sends a message that the broker keeps for a device that is away. The number is told by [`Came::Done`].
    pub(crate) async fn publish(&mut self, topic: &str, payload: &str) -> Result<u16, LinkError> {
        let number = self.number();
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        publish.pkid = number;
        self.send(&Packet::Publish(publish)).await?;
        Ok(number)
    }

    /// Sends a message that reaches whoever is there, and nobody later. The number is told by [`Came::Done`].
    pub(crate) async fn publish_once(&mut self, topic: &str, payload: &str) -> Result<u16, LinkError> {
        self.send(&Packet::Publish(Publish::new(topic, QoS::AtMostOnce, payload)))
            .await?;
        let number = self.number();
        let mut fence = Unsubscribe::new(FENCE);
        fence.pkid = number;
        self.send(&Packet::Unsubscribe(fence)).await?;
        Ok(number)
    }

    pub(crate) async fn ping(&mut self) -> Result<(), LinkError> {
        self.send(&Packet::PingReq).await
    }

    /// The next thing that comes. Dropping the wait loses nothing.
    pub(crate) async fn came(&mut self) -> Result<Came, LinkError> {
        loop {
            match self.packet().await? {
                Packet::PubAck(PubAck { pkid }) => return Ok(Came::Done(pkid)),
                Packet::UnsubAck(ack) => return Ok(Came::Done(ack.pkid)),
                Packet::PingResp => return Ok(Came::Pong),
                Packet::Publish(publish) => return Ok(Came::Message(message(publish))),
                Packet::Disconnect => return Err(LinkError::Closed(self.broker.clone())),
                // nothing of this is asked for
                Packet::Connect(_)
                | Packet::ConnAck(_)
                | Packet::PingReq
                | Packet::PubComp(_)
                | Packet::PubRec(_)
                | Packet::PubRel(_)
                | Packet::SubAck(_)
                | Packet::Subscribe(_)
                | Packet::Unsubscribe(_) => {}
            }
        }
    }

    async fn packet(&mut self) -> Result<Packet, LinkError> {
        loop {
            let skipped = self.skip.min(self.buffer.len());
            self.buffer.advance(skipped);
            self.skip -= skipped;
            match Packet::read(&mut self.buffer, LARGEST) {
                Ok(packet) => return Ok(packet),
                Err(WireError::InsufficientBytes(_)) => {}
                Err(WireError::PayloadSizeLimitExceeded(_))
                    if let Some(length) = publication(&self.buffer) =>
                {
                    // kept by the broker, it would come at each connection, and end it
                    self.skip = length;
                    if !std::mem::replace(&mut self.told, true) {
                        tracing::warn!(
                            broker = self.broker,
                            bytes = length,
                            "a message on a topic of a device is too long to be one of a device, and was passed over"
                        );
                    }
                    continue;
                }
                Err(source) => {
                    return Err(LinkError::Wire {
                        broker: self.broker.clone(),
                        source,
                    });
                }
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(LinkError::Closed(self.broker.clone())),
                Ok(_) => {}
                Err(source) => {
                    return Err(LinkError::Io {
                        broker: self.broker.clone(),
                        source,
                    });
                }
            }
        }
    }

    /// The error for a broker that says nothing.
    pub(crate) fn silent(&self, waited: Duration) -> LinkError {
        LinkError::Silent {
            broker: self.broker.clone(),
            ms: waited.as_millis(),
        }
    }
}

fn connect(broker: &Broker, client: &str, will: Option<Will<'_>>) -> Result<Connect, LinkError> {
    let mut connect = Connect::new(client);
    connect.keep_alive = KEEP_ALIVE;
    connect.clean_session = true;
    connect.last_will = will.map(|will| LastWill::new(will.topic, will.payload, QoS::AtLeastOnce, false));
    if let Some((user, password)) = &broker.login {
        let secret = password.get().map_err(|source| LinkError::Password {
            broker: broker.to_string(),
            path: match password {
                crate::Password::File(path) => path.clone(),
                crate::Password::Known(_) => PathBuf::new(),
            },
            source,
        })?;
        connect.set_login(user, secret.reveal());
    }
    Ok(connect)
}

/// How long the message is that begins here, with its header (MQTT 3.1.1 §2.2); `None` if it is no message.
fn publication(bytes: &[u8]) -> Option<usize> {
    let (first, rest) = bytes.split_first()?;
    let mut length = 0;
    for (n, byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return (first >> 4 == 3).then_some(2 + n + length);
        }
    }
    None
}

fn message(publish: Publish) -> Message {
    Message {
        payload: publish.payload.to_vec(),
        old: publish.retain || publish.dup,
        topic: publish.topic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(topic: &str, length: usize) -> BytesMut {
        let mut bytes = BytesMut::new();
        let publish = Publish::new(topic, QoS::AtMostOnce, vec![b'a'; length]);
        let written = Packet::Publish(publish).write(&mut bytes, 10 * LARGEST);
        written.expect("it can be written");
        bytes
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_is_passed_over_and_the_next_ones_are_heard() {
        let (ours, mut theirs) = tokio::io::duplex(1000);
        let mut link = Link {
            broker: "broker.example:1883".to_owned(),
            buffer: BytesMut::new(),
            next: 0,
            skip: 0,
            stream: Box::new(ours),
            told: false,
        };
        let mut sent = Vec::new();
        for length in [3, 2 * LARGEST, LARGEST + 1, 5, 9 * LARGEST, 7] {
            sent.extend_from_slice(&publish("z/bell", length));
        }
        let sends = async move {
            for part in sent.chunks(700) {
                theirs.write_all(part).await.expect("somebody reads");
            }
            theirs
        };
        let hears = async {
            let mut lengths = Vec::new();
            while lengths.len() < 3 {
                let came = link.came().await.expect("a message");
                if let Came::Message(message) = came {
                    lengths.push(message.payload.len());
                }
            }
            lengths
        };
        let (_open, lengths) = tokio::join!(sends, hears);
        assert_eq!(lengths, [3, 5, 7]);
    }

    #[test]
    fn what_is_no_message_is_not_passed_over() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x40, 2, 0, 1],
            &[0x30, 0x80, 0x80, 0x80, 0x80, 1],
        ] {
            assert_eq!(publication(bytes), None, "{bytes:?}");
        }
        assert_eq!(publication(&publish("z", 300)[..4]), Some(3 + 3 + 300));
    }
}
