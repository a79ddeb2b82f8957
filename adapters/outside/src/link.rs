//! One connection to the broker, MQTT 5 or 3.1.1, which keeps nothing when it ends.
//!
//! A close resets it and drops what was not sent, also when this process is killed.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use gateway_core::{Instant, Secret};
use gateway_mqtt_wire::{
    Filter, Heard, Hello, OtherVersion, Qos, Refused, Say, Spoken, Unread, Versions, Will, With,
};
use gateway_tls_client::{Own, TlsError, secure_as};
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
    /// It ended the connection, and says why.
    #[error("the broker {broker} closed the connection: {why}")]
    Ended {
        /// Which.
        broker: String,
        /// What it said.
        why: String,
    },
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
    #[error("the broker {broker} refused our login; check user and password of [mqtt]")]
    Login {
        /// Which.
        broker: String,
    },
    /// It does not take us.
    #[error("the broker {broker} refused {what}")]
    Refused {
        /// Which.
        broker: String,
        /// What, and why.
        what: String,
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
    #[error("the broker {broker} does not let us subscribe to {topic} ({why}); its access list has to")]
    Topic {
        /// Which broker.
        broker: String,
        /// Which topic.
        topic: String,
        /// What it said.
        why: String,
    },
    /// It takes less than is needed.
    #[error("the broker {broker} takes {what}")]
    Unfit {
        /// Which.
        broker: String,
        /// What it takes.
        what: String,
    },
    /// It does not take the version of MQTT that was tried.
    #[error("the broker {broker} does not take MQTT {version}; set version in [mqtt]")]
    Version {
        /// Which.
        broker: String,
        /// Which version.
        version: Spoken,
    },
    /// It sent what is not the MQTT that was agreed on.
    #[error("the broker {broker} sent what is not MQTT {version}: {source}")]
    Wire {
        /// Which.
        broker: String,
        /// What is wrong.
        source: Unread,
        /// Which version.
        version: Spoken,
    },
}

impl LinkError {
    /// Whether the other version of MQTT might do, of an error before the broker had taken us.
    fn other(&self) -> OtherVersion {
        let closes = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
        match self {
            Self::Version { .. } => OtherVersion::Asked,
            Self::Closed(_) | Self::Ended { .. } | Self::Silent { .. } | Self::Wire { .. } => {
                OtherVersion::Perhaps
            }
            Self::Io { source, .. } if closes.contains(&source.kind()) => OtherVersion::Perhaps,
            Self::Io { .. }
            | Self::Login { .. }
            | Self::Password { .. }
            | Self::Refused { .. }
            | Self::Tls { .. }
            | Self::Topic { .. }
            | Self::Unfit { .. } => OtherVersion::No,
        }
    }
}

/// Both ways of a connection, with or without TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A message that the broker passes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// It is to be kept by the broker, or was: of what comes live only a broker of MQTT 5 says so, and only where it was asked to.
    pub(crate) kept: bool,
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
    /// The broker does not take what was sent with this number; why.
    Refused(u16, String),
}

pub(crate) struct Link {
    broker: String,
    buffer: BytesMut,
    /// Largest packet that the broker takes, in bytes.
    largest: usize,
    next: u16,
    /// Bytes still to come of a message that is too long to be one of a device.
    skip: usize,
    stream: Box<dyn Stream>,
    /// Was it told that there are such messages?
    told: bool,
    version: Spoken,
}

/// A topic that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) path: String,
    /// It tells of presses and of nothing else: a message that is to be kept is none, and a broker of MQTT 5 is asked to say
    /// which is (§3.8.3.1). How something is may be kept, and is news all the same as it comes live.
    pub(crate) presses: bool,
}

impl Topic {
    /// A topic that tells how something is.
    pub(crate) const fn of_state(path: String) -> Self {
        let presses = false;
        Self { path, presses }
    }
}

impl Link {
    /// Connects as `client`; another connection of that name ends. A broker that says at once that it does not take MQTT 5
    /// is asked for 3.1.1 at once, and one that says nothing at the next call.
    pub(crate) async fn open(
        broker: &Broker,
        client: &str,
        will: Option<Will<'_>>,
        versions: &mut Versions,
        now: Instant,
    ) -> Result<Self, LinkError> {
        let tried = versions.next(now, broker.version);
        let error = match Self::open_as(broker, client, will, tried).await {
            Ok(link) => return Ok(link),
            Err(error) => error,
        };
        let again = versions.ended(now, broker.version, tried, error.other());
        if !again || matches!(error, LinkError::Silent { .. }) {
            return Err(error);
        }
        tracing::debug!(why = %error, "the broker does not take MQTT 5 for devices, 3.1.1 is tried");
        let tried = versions.next(now, broker.version);
        let link = Self::open_as(broker, client, will, tried).await;
        let other = link.as_ref().err().map_or(OtherVersion::No, LinkError::other);
        versions.ended(now, broker.version, tried, other);
        link
    }

    async fn open_as(
        broker: &Broker,
        client: &str,
        will: Option<Will<'_>>,
        version: Spoken,
    ) -> Result<Self, LinkError> {
        let name = broker.to_string();
        let silent = |_| LinkError::Silent {
            broker: name.clone(),
            ms: STEP.as_millis(),
        };
        let password = password(broker)?;
        let mut link = Self {
            broker: name.clone(),
            buffer: BytesMut::new(),
            largest: LARGEST,
            next: 0,
            skip: 0,
            stream: stream(broker).await?,
            told: false,
            version,
        };
        let login = broker.login.as_ref().zip(password.as_ref());
        let hello = Hello {
            client,
            keep_alive: KEEP_ALIVE,
            largest: u32::try_from(LARGEST).unwrap_or(u32::MAX),
            login: login.map(|((user, _), password)| (user.as_str(), password.reveal())),
            // nothing that comes has to be acknowledged
            window: 1,
            will,
        };
        let mut bytes = BytesMut::new();
        let written = gateway_mqtt_wire::hello(version, &hello, &mut bytes);
        written.map_err(|source| link.unread(source))?;
        link.write(&bytes).await?;
        let answer = timeout(STEP, link.heard()).await.map_err(silent)??;
        let welcome = match answer {
            Heard::Welcome(welcome) => welcome,
            Heard::Refused(Refused::Login) => return Err(LinkError::Login { broker: name }),
            Heard::Refused(Refused::Version) => {
                return Err(LinkError::Version {
                    broker: name,
                    version,
                });
            }
            Heard::Refused(Refused::Other(what)) => return Err(LinkError::Refused { broker: name, what }),
            Heard::Closed(why) => return Err(LinkError::Ended { broker: name, why }),
            Heard::Acked(..)
            | Heard::Granted(..)
            | Heard::Message(_)
            | Heard::Other
            | Heard::Pong
            | Heard::Unsubscribed(_) => {
                let text = "no answer to our first packet".to_owned();
                return Err(link.unread(Unread::Malformed(text)));
            }
        };
        if !welcome.qos1 {
            let what = "QoS 0 only, and what brings a relay to rest needs QoS 1".to_owned();
            return Err(LinkError::Unfit { broker: name, what });
        }
        link.largest = LARGEST.min(welcome.largest);
        Ok(link)
    }

    fn unread(&self, source: Unread) -> LinkError {
        LinkError::Wire {
            broker: self.broker.clone(),
            source,
            version: self.version,
        }
    }

    fn number(&mut self) -> u16 {
        self.next = self.next.checked_add(1).unwrap_or(1);
        self.next
    }

    async fn send(&mut self, say: Say) -> Result<(), LinkError> {
        let mut bytes = BytesMut::new();
        let written = gateway_mqtt_wire::say(self.version, say, &mut bytes);
        written.map_err(|source| self.unread(source))?;
        if bytes.len() > self.largest {
            let what = format!(
                "at most {} bytes at once, and this has {}",
                self.largest,
                bytes.len()
            );
            return Err(LinkError::Unfit {
                broker: self.broker.clone(),
                what,
            });
        }
        self.write(&bytes).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let written = timeout(STEP, written).await;
        let written = written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        written.map_err(|source| LinkError::Io {
            broker: self.broker.clone(),
            source,
        })
    }

    /// Asks for messages of these topics, at most once each; waits until the broker has granted it. Messages that come
    /// before that are kept ones, and are given to `early`.
    pub(crate) async fn subscribe(
        &mut self,
        topics: &[Topic],
        mut early: impl FnMut(Message),
    ) -> Result<(), LinkError> {
        if topics.is_empty() {
            return Ok(());
        }
        let number = self.number();
        let filter = |topic: &Topic| Filter {
            marked: topic.presses,
            path: topic.path.clone(),
            qos: Qos::AtMostOnce,
        };
        self.send(Say::Subscribe(number, topics.iter().map(filter).collect()))
            .await?;
        let mut room = topics.len() + EARLY;
        let granted = async {
            loop {
                match self.heard().await? {
                    Heard::Granted(id, refused) if id == number => return Ok::<_, LinkError>(refused),
                    Heard::Message(came) if room > 0 => {
                        room -= 1;
                        early(message(came));
                    }
                    Heard::Closed(why) => return Err(self.ended(why)),
                    Heard::Acked(..)
                    | Heard::Granted(..)
                    | Heard::Message(_)
                    | Heard::Other
                    | Heard::Pong
                    | Heard::Refused(_)
                    | Heard::Unsubscribed(_)
                    | Heard::Welcome(_) => {}
                }
            }
        };
        let granted = timeout(STEP, granted).await;
        let Ok(granted) = granted else {
            return Err(self.silent(STEP));
        };
        let mut answers = granted?.into_iter().zip(topics);
        match answers.find_map(|(refused, topic)| Some((refused?, topic))) {
            None => Ok(()),
            Some((why, topic)) => Err(LinkError::Topic {
                broker: self.broker.clone(),
                topic: topic.path.clone(),
                why,
            }),
        }
    }

    fn ended(&self, why: String) -> LinkError {
        LinkError::Ended {
            broker: self.broker.clone(),
            why,
        }
    }

    /// Sends a message that the broker keeps for a device that is away. The number is told by [`Came::Done`].
    pub(crate) async fn publish(&mut self, topic: &str, payload: &str) -> Result<u16, LinkError> {
        let number = self.number();
        let message = gateway_mqtt_wire::Message {
            payload: payload.to_owned(),
            topic: topic.to_owned(),
            ..gateway_mqtt_wire::Message::default()
        };
        self.send(Say::Publish(Some(number), message)).await?;
        Ok(number)
    }

    /// Sends a message that reaches whoever is there, and nobody later; a broker of MQTT 5 also gives it out to nobody once
    /// `expiry` seconds are over. The number is told by [`Came::Done`].
    pub(crate) async fn publish_once(
        &mut self,
        topic: &str,
        payload: &str,
        expiry: u32,
    ) -> Result<u16, LinkError> {
        let message = gateway_mqtt_wire::Message {
            payload: payload.to_owned(),
            retain: false,
            topic: topic.to_owned(),
            with: With {
                expiry: Some(expiry),
                ..With::default()
            },
        };
        self.send(Say::Publish(None, message)).await?;
        let number = self.number();
        self.send(Say::Unsubscribe(number, FENCE.to_owned())).await?;
        Ok(number)
    }

    pub(crate) async fn ping(&mut self) -> Result<(), LinkError> {
        self.send(Say::Ping).await
    }

    /// The next thing that comes. Dropping the wait loses nothing.
    pub(crate) async fn came(&mut self) -> Result<Came, LinkError> {
        loop {
            match self.heard().await? {
                Heard::Acked(number, None) | Heard::Unsubscribed(number) => return Ok(Came::Done(number)),
                Heard::Acked(number, Some(why)) => return Ok(Came::Refused(number, why)),
                Heard::Pong => return Ok(Came::Pong),
                Heard::Message(came) => return Ok(Came::Message(message(came))),
                Heard::Closed(why) => return Err(self.ended(why)),
                // nothing of this is asked for
                Heard::Granted(..) | Heard::Other | Heard::Refused(_) | Heard::Welcome(_) => {}
            }
        }
    }

    async fn heard(&mut self) -> Result<Heard, LinkError> {
        loop {
            let skipped = self.skip.min(self.buffer.len());
            self.buffer.advance(skipped);
            self.skip -= skipped;
            match gateway_mqtt_wire::hear(self.version, &mut self.buffer, LARGEST) {
                Ok(Some(heard)) => return Ok(heard),
                Ok(None) => {}
                Err(Unread::TooLong(length)) if is_publication(&self.buffer) => {
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
                Err(source) => return Err(self.unread(source)),
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

async fn stream(broker: &Broker) -> Result<Box<dyn Stream>, LinkError> {
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
    let Some(tls) = &broker.tls else {
        return Ok(Box::new(stream));
    };
    let own = tls.client.as_ref().map(|(chain, key)| Own { chain, key });
    let secured = secure_as(stream, &broker.host, tls.ca_file.as_deref(), own);
    let secured = timeout(STEP, secured).await.map_err(silent)?;
    Ok(Box::new(secured.map_err(|source| LinkError::Tls {
        broker: name.clone(),
        source,
    })?))
}

/// The password that is shown, if one is.
fn password(broker: &Broker) -> Result<Option<Secret>, LinkError> {
    let Some((_, password)) = &broker.login else {
        return Ok(None);
    };
    let read = password.get().map_err(|source| LinkError::Password {
        broker: broker.to_string(),
        path: match password {
            crate::Password::File(path) => path.clone(),
            crate::Password::Known(_) => PathBuf::new(),
        },
        source,
    });
    read.map(Some)
}

/// Does a message begin here (MQTT 3.1.1 §2.2.1, MQTT 5 §2.1.2)?
fn is_publication(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first >> 4 == 3)
}

fn message(came: gateway_mqtt_wire::Came) -> Message {
    Message {
        kept: came.retain,
        payload: came.payload.to_vec(),
        old: came.retain || came.dup,
        topic: came.topic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(version: Spoken, topic: &str, length: usize) -> BytesMut {
        let mut bytes = BytesMut::new();
        let message = gateway_mqtt_wire::Message {
            payload: "a".repeat(length),
            topic: topic.to_owned(),
            ..gateway_mqtt_wire::Message::default()
        };
        let written = gateway_mqtt_wire::say(version, Say::Publish(None, message), &mut bytes);
        written.expect("it can be written");
        bytes
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_is_passed_over_and_the_next_ones_are_heard() {
        for version in [Spoken::V3, Spoken::V5] {
            let (ours, mut theirs) = tokio::io::duplex(1000);
            let mut link = Link {
                broker: "broker.example:1883".to_owned(),
                buffer: BytesMut::new(),
                largest: LARGEST,
                next: 0,
                skip: 0,
                stream: Box::new(ours),
                told: false,
                version,
            };
            let mut sent = Vec::new();
            for length in [3, 2 * LARGEST, LARGEST + 1, 5, 9 * LARGEST, 7] {
                sent.extend_from_slice(&publish(version, "z/bell", length));
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
            assert_eq!(lengths, [3, 5, 7], "{version}");
        }
    }

    #[test]
    fn what_is_no_message_is_not_passed_over() {
        assert!(is_publication(&publish(Spoken::V5, "z", 300)));
        for bytes in [&[][..], &[0x40, 2, 0, 1], &[0x20, 2, 0, 0]] {
            assert!(!is_publication(bytes), "{bytes:?}");
        }
    }
}
