//! The way to the broker: TCP, TLS, the first exchange, and from then on one packet after the other.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use gateway_mqtt_wire::{
    self as wire, Came, Filter, Heard, Hello, Message, Refused, Say, Spoken, Unread, Welcome, Will,
};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::tls::{TlsSetupError, client_config};
use super::{ACKS, INCOMING, KEEP_ALIVE, LEAST};
use crate::params::MqttParams;
use crate::state::OFFLINE;

/// Longest time for each step of connecting, and for a broker to take what is sent.
const STEP: Duration = Duration::from_secs(5);
const SENT: Duration = Duration::from_secs(20);
/// Packets that are put together before they are sent, in bytes.
const BATCH: usize = 64 * 1024;

/// Why there is no connection, or no more.
#[derive(Debug)]
pub(crate) enum LinkError {
    /// The broker closed it; why, if it said so.
    Closed(Option<String>),
    Io(io::Error),
    /// What is wrong with the host for a certificate.
    Name,
    /// No answer to the first packet that would be one.
    NoBroker,
    Refused(Refused),
    /// It does not answer.
    Silent,
    /// It does not answer any more.
    Quiet,
    Tls(Box<TlsSetupError>),
    Unfit(String),
    Unread(Unread),
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Unread> for LinkError {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

/// What the driver is told.
#[derive(Debug)]
pub(crate) enum Event {
    /// A publish is taken by the broker, or why not.
    Acked(u16, Option<String>),
    /// An acknowledgement of ours is sent.
    AckSent,
    Connected(Welcome),
    /// Subscriptions are granted, or why one is not.
    Granted(Option<String>),
    Message(Came),
    /// The next publish that was handed over has this id.
    Told(u16),
}

/// What the driver wants, beside publishes.
#[derive(Debug)]
pub(crate) enum Order {
    Ack(u16),
    Bye,
    Subscribe(Vec<Filter>),
}

/// Both ways, with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One connection.
pub(super) struct Link {
    /// Publishes that are not acknowledged, by their ids.
    inflight: BTreeSet<u16>,
    last_id: u16,
    orders: mpsc::Receiver<Order>,
    ping_at: Instant,
    ping_every: Duration,
    /// A ping is not answered.
    pinged: bool,
    publishes: mpsc::Receiver<Message>,
    read: BytesMut,
    ready: VecDeque<Event>,
    stream: Box<dyn Stream>,
    version: Spoken,
    window: usize,
    write: BytesMut,
}

impl Link {
    /// Connects. The last will says on `availability` that we are away.
    pub(super) async fn open(
        params: &MqttParams,
        version: Spoken,
        availability: &str,
        publishes: mpsc::Receiver<Message>,
        orders: mpsc::Receiver<Order>,
    ) -> Result<Self, LinkError> {
        let stream = stream(params).await?;
        let mut link = Self {
            inflight: BTreeSet::new(),
            last_id: 0,
            orders,
            ping_at: Instant::now(),
            ping_every: KEEP_ALIVE,
            pinged: false,
            publishes,
            read: BytesMut::new(),
            ready: VecDeque::new(),
            stream,
            version,
            window: 1,
            write: BytesMut::new(),
        };
        let client = params.client_id();
        let login = params.login.as_ref();
        let hello = Hello {
            client: &client,
            keep_alive: u16::try_from(KEEP_ALIVE.as_secs()).unwrap_or(u16::MAX),
            largest: u32::try_from(INCOMING).unwrap_or(u32::MAX),
            login: login.map(|(user, password)| (user.as_str(), password.reveal())),
            window: u16::try_from(ACKS).unwrap_or(u16::MAX),
            will: Some(Will {
                payload: OFFLINE,
                retain: true,
                topic: availability,
            }),
        };
        wire::hello(version, &hello, &mut link.write)?;
        link.flush().await?;
        let heard = timeout(STEP, link.heard())
            .await
            .map_err(|_| LinkError::Silent)??;
        let welcome = match heard {
            Heard::Welcome(welcome) => welcome,
            Heard::Refused(refused) => return Err(LinkError::Refused(refused)),
            Heard::Closed(why) => return Err(LinkError::Closed(Some(why))),
            Heard::Acked(..)
            | Heard::Granted(..)
            | Heard::Message(_)
            | Heard::Other
            | Heard::Pong
            | Heard::Unsubscribed(_) => {
                return Err(LinkError::NoBroker);
            }
        };
        if let Some(unfit) = unfit(&welcome) {
            return Err(LinkError::Unfit(unfit));
        }
        let keep_alive = welcome
            .keep_alive
            .map_or(KEEP_ALIVE, |s| Duration::from_secs(s.into()));
        // two tries within what the broker allows
        link.ping_every = (keep_alive.min(KEEP_ALIVE) * 2 / 3).max(Duration::from_secs(1));
        link.ping_at = Instant::now() + link.ping_every;
        link.window = usize::from(welcome.window);
        link.ready.push_back(Event::Connected(welcome));
        Ok(link)
    }

    /// The next thing that happens.
    pub(super) async fn next(&mut self) -> Result<Event, LinkError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if let Some(heard) = wire::hear(self.version, &mut self.read, INCOMING)? {
                self.take(heard)?;
                continue;
            }
            // what was asked for before a publish is sent before it
            if let Ok(order) = self.orders.try_recv() {
                self.order(order).await?;
                continue;
            }
            let room = self.inflight.len() < self.window;
            // by chance: whoever sends without end keeps neither answers nor pings waiting
            tokio::select! {
                Some(order) = self.orders.recv() => self.order(order).await?,
                read = self.stream.read_buf(&mut self.read) => {
                    if read? == 0 {
                        return Err(LinkError::Closed(None));
                    }
                }
                Some(message) = self.publishes.recv(), if room => self.publish(message).await?,
                () = tokio::time::sleep_until(self.ping_at) => {
                    if self.pinged {
                        return Err(LinkError::Quiet);
                    }
                    self.pinged = true;
                    self.ping_at = Instant::now() + self.ping_every;
                    wire::say(self.version, Say::Ping, &mut self.write)?;
                    self.flush().await?;
                }
            }
        }
    }

    fn take(&mut self, heard: Heard) -> Result<(), LinkError> {
        match heard {
            Heard::Acked(id, refused) => {
                self.inflight.remove(&id);
                self.ready.push_back(Event::Acked(id, refused));
            }
            Heard::Closed(why) => return Err(LinkError::Closed(Some(why))),
            Heard::Granted(_, refused) => {
                let first = refused.into_iter().flatten().next();
                self.ready.push_back(Event::Granted(first));
            }
            Heard::Message(message) => self.ready.push_back(Event::Message(message)),
            Heard::Other | Heard::Unsubscribed(_) => {}
            Heard::Pong => self.pinged = false,
            Heard::Refused(_) | Heard::Welcome(_) => {
                let text = "a second answer to our first packet".to_owned();
                return Err(Unread::Malformed(text).into());
            }
        }
        Ok(())
    }

    async fn order(&mut self, order: Order) -> Result<(), LinkError> {
        let say = match order {
            Order::Ack(id) => {
                self.ready.push_back(Event::AckSent);
                Say::Ack(id)
            }
            Order::Bye => Say::Bye,
            Order::Subscribe(filters) => Say::Subscribe(self.id(), filters),
        };
        wire::say(self.version, say, &mut self.write)?;
        self.flush().await
    }

    /// Sends a message, and those that wait behind it, as far as there is room.
    async fn publish(&mut self, first: Message) -> Result<(), LinkError> {
        let mut next = Some(first);
        while let Some(message) = next {
            let id = self.id();
            self.inflight.insert(id);
            self.ready.push_back(Event::Told(id));
            wire::say(self.version, Say::Publish(Some(id), message), &mut self.write)?;
            let room = self.inflight.len() < self.window && self.write.len() < BATCH;
            next = if room {
                self.publishes.try_recv().ok()
            } else {
                None
            };
        }
        self.flush().await
    }

    /// An id that no publish has.
    fn id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.inflight.contains(&self.last_id) {
                return self.last_id;
            }
        }
    }

    async fn heard(&mut self) -> Result<Heard, LinkError> {
        loop {
            if let Some(heard) = wire::hear(self.version, &mut self.read, INCOMING)? {
                return Ok(heard);
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(LinkError::Closed(None));
            }
        }
    }

    async fn flush(&mut self) -> Result<(), LinkError> {
        let sent = async {
            self.stream.write_all(&self.write).await?;
            self.stream.flush().await
        };
        timeout(SENT, sent).await.map_err(|_| LinkError::Quiet)??;
        self.write.clear();
        Ok(())
    }
}

/// What the broker cannot do and we need; `None` of one that will do.
fn unfit(welcome: &Welcome) -> Option<String> {
    if !welcome.qos1 {
        Some("takes QoS 0 only, and Doorline needs QoS 1".to_owned())
    } else if !welcome.retains {
        Some("keeps no retained messages, and Doorline needs them".to_owned())
    } else if !welcome.wildcards {
        Some("takes no subscriptions with wildcards, and Doorline needs them".to_owned())
    } else if welcome.largest < LEAST {
        Some(format!(
            "takes at most {} bytes, and Doorline needs {LEAST}",
            welcome.largest
        ))
    } else {
        None
    }
}

async fn stream(params: &MqttParams) -> Result<Box<dyn Stream>, LinkError> {
    // what is wrong with the files is told before anybody is asked
    let tls = params.tls.as_ref().map(client_config).transpose();
    let tls = tls.map_err(|error| LinkError::Tls(Box::new(error)))?;
    let connect = TcpStream::connect((params.host.as_str(), params.port));
    let stream = timeout(STEP, connect).await.map_err(|_| LinkError::Silent)??;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return Ok(Box::new(stream));
    };
    let name = ServerName::try_from(params.host.clone()).map_err(|_| LinkError::Name)?;
    let secured = TlsConnector::from(Arc::new(tls)).connect(name, stream);
    let secured = timeout(STEP, secured).await.map_err(|_| LinkError::Silent)??;
    Ok(Box::new(secured))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_cannot_do_what_is_needed_is_told_what_that_is() {
        let good = Welcome {
            keep_alive: None,
            largest: LEAST,
            marks_retained: true,
            qos1: true,
            retains: true,
            version: Spoken::V5,
            wildcards: true,
            window: 10,
        };
        assert_eq!(unfit(&good), None);
        let bad = |change: fn(&mut Welcome)| {
            let mut welcome = good.clone();
            change(&mut welcome);
            unfit(&welcome).expect("something is missing")
        };
        assert!(bad(|w| w.qos1 = false).contains("QoS 0 only"));
        assert!(bad(|w| w.retains = false).contains("keeps no retained"));
        assert!(bad(|w| w.wildcards = false).contains("no subscriptions with wildcards"));
        assert!(bad(|w| w.largest = LEAST - 1).contains("at most 2047 bytes"));
    }
}
