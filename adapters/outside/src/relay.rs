//! A relay behind a broker, as the relay guard holds it.
//!
//! What energises it is sent so that nobody keeps it (QoS 0, and with MQTT 5 an expiry of the time in which it has to be confirmed),
//! and an unsubscription behind it says when the broker has it; what is given up goes with the connection. What brings it to rest is sent so that the broker keeps it for a device that
//! is away (QoS 1), and stands in the broker's hands as our last will besides. Who connects under our name ends the
//! connection before: so the sentinel ends that of a guard that stands still.
//!
//! What the broker has passed on is with the device, or on its way to it, and nothing takes it back. So one that can be asked how
//! it is has to answer right before it is told to open; one that hangs only then may open late, is not ready until it says that it
//! rests, and is written to rest again as soon as it says that it does not. Only a device that compares `{until}` with its own
//! clock opens never late.

use std::hash::{Hash as _, Hasher as _};
use std::time::{Duration, SystemTime};

use adapter_api::{BoxFuture, Claim, DriverError, OutputDriver};
use gateway_mqtt_wire::{Versions, Will};
use tokio::time::{Instant, timeout_at};

use crate::broker::Broker;
use crate::link::{Came, Link, LinkError, Message, Topic};
use crate::reading::{Availability, Reading, Word};

/// How often the broker is pinged.
const PING: Duration = Duration::from_secs(2);
/// A broker that does not answer for so long is gone.
const GONE: Duration = Duration::from_secs(4);
/// For so long after an order that was not confirmed it may be carried out.
const WARY: Duration = Duration::from_secs(120);
/// Time for connecting, at most: TCP, TLS, login, subscription.
const CONNECT: Duration = Duration::from_secs(3);

/// Where a device says how its relay is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateParams {
    /// Topic and payload by which it is asked: as we connect, and before it is told to open.
    pub ask: Option<(String, String)>,
    /// On means energised.
    pub reading: Reading,
    /// Topic.
    pub topic: String,
}

/// A relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayParams {
    /// Where the device says whether it is there.
    pub availability: Option<Availability>,
    /// Our name at the broker.
    pub client: String,
    /// What brings it to rest.
    pub off: String,
    /// What energises it; `{s}` and `{ms}` stand for the time after which the device itself ends that, `{until}` for the time
    /// until which it may begin to.
    pub on: String,
    /// The device ends a pulse by itself: by the time in `on`, or by one that is set in it.
    pub self_timed: bool,
    /// Where it says how it is; with it each command has to be confirmed there.
    pub state: Option<StateParams>,
    /// Longest time until a command is confirmed.
    pub timeout: Duration,
    /// Topic of commands.
    pub topic: String,
}

/// One relay. It has one channel, whatever its number.
pub struct MqttRelay {
    broker: Broker,
    /// It was found energised by what it was told and did not confirm; not told yet.
    late: bool,
    params: RelayParams,
    session: Option<Session>,
    /// Since when there has been this driver; what the broker speaks is known by that time.
    since: Instant,
    versions: Versions,
    /// Until when it may do what it was told and did not confirm.
    wary: Option<Instant>,
}

struct Session {
    /// Is the device there, as far as it says?
    available: Option<Word>,
    /// Since when a ping waits for its answer.
    asked: Option<Instant>,
    done: u16,
    link: Link,
    pinged: Instant,
    /// The number of what the broker did not take, and why.
    refused: Option<(u16, String)>,
    state: Option<Word>,
    /// It said how it is since it was asked.
    told: bool,
    /// It said that it was energised since this session began.
    was_on: bool,
}

impl MqttRelay {
    /// Nothing is opened before [`OutputDriver::claim`].
    #[must_use]
    pub fn new(broker: Broker, params: RelayParams) -> Self {
        Self {
            broker,
            late: false,
            params,
            session: None,
            since: Instant::now(),
            versions: Versions::default(),
            wary: None,
        }
    }

    /// What an output needs for itself.
    #[must_use]
    pub fn claim_of(&self) -> Claim {
        Claim::Channel {
            board: self.device(),
            channel: 0,
        }
    }

    fn failed(&self, text: impl Into<String>) -> DriverError {
        DriverError {
            device: self.device(),
            text: text.into(),
            source: None,
        }
    }

    fn of_link(&mut self, error: &LinkError) -> DriverError {
        // dropped, so that nothing of it is delivered any more
        self.session = None;
        self.failed(error.to_string())
    }

    async fn connect(&mut self) -> Result<(), DriverError> {
        self.session = None;
        let age = gateway_core::Instant::ZERO + self.since.elapsed();
        let will = Will {
            payload: &self.params.off,
            retain: false,
            topic: &self.params.topic,
        };
        let client = &self.params.client;
        let link = Link::open(&self.broker, client, Some(will), &mut self.versions, age).await;
        let link = link.map_err(|error| self.failed(error.to_string()))?;
        let now = Instant::now();
        let mut session = Session {
            available: None,
            asked: None,
            done: 0,
            link,
            pinged: now,
            refused: None,
            state: None,
            told: false,
            was_on: false,
        };
        let state = self.params.state.iter().map(|state| state.topic.clone());
        let available = self.params.availability.iter().map(|of| of.topic.clone());
        let mut topics: Vec<String> = state.chain(available).collect();
        topics.dedup();
        let topics: Vec<Topic> = topics.into_iter().map(Topic::of_state).collect();
        let mut early = Vec::new();
        let granted = session
            .link
            .subscribe(&topics, |message| early.push(message))
            .await;
        granted.map_err(|error| self.failed(error.to_string()))?;
        for message in &early {
            session.heard(&self.params, message);
        }
        self.session = Some(session);
        Ok(())
    }

    /// Connects, writes to rest, and waits until the device is there and says so.
    async fn claimed(&mut self) -> Result<(), DriverError> {
        self.connect().await?;
        if let Some((topic, ask)) = self.params.state.as_ref().and_then(|state| state.ask.clone())
            && let Some(session) = self.session.as_mut()
            && let Err(error) = session
                .link
                .publish_once(&topic, &ask, seconds(self.params.timeout))
                .await
        {
            return Err(self.of_link(&error));
        }
        let rests = self.order(Word::Off, None).await;
        let now = Instant::now();
        let was_on = self.session.as_ref().is_some_and(|session| session.was_on);
        self.late |= was_on && self.wary.is_some_and(|until| now < until);
        rests
    }

    /// Asks the device how it is, if it can be asked, and waits until it says so: one that hangs is told nothing that it could
    /// do later.
    async fn hears(&mut self, end: Instant) -> Result<(), DriverError> {
        let Some((topic, ask)) = self.params.state.as_ref().and_then(|state| state.ask.clone()) else {
            return Ok(());
        };
        let Some(session) = self.session.as_mut() else {
            return Err(self.failed("it was not claimed"));
        };
        session.told = false;
        let expiry = seconds(end.saturating_duration_since(Instant::now()));
        if let Err(error) = session.link.publish_once(&topic, &ask, expiry).await {
            return Err(self.of_link(&error));
        }
        loop {
            let Some(session) = self.session.as_mut() else {
                return Err(self.failed("it was not claimed"));
            };
            if session.told {
                return Ok(());
            }
            match timeout_at(end, session.link.came()).await {
                Ok(Ok(came)) => session.take(&self.params, came),
                Ok(Err(error)) => return Err(self.of_link(&error)),
                Err(_) => {
                    self.session = None;
                    let ms = self.params.timeout.as_millis();
                    return Err(self.failed(format!(
                        "the device was asked on {topic} and says nothing within {ms} ms: it was not told to open"
                    )));
                }
            }
        }
    }

    /// Gives an order once and waits until it is confirmed.
    async fn order(&mut self, word: Word, length: Option<Duration>) -> Result<(), DriverError> {
        let end = Instant::now() + self.params.timeout;
        self.drain().await?;
        if word == Word::On {
            self.there()?;
            self.hears(end).await?;
        }
        let payload = match word {
            Word::On => {
                let until = until(end.saturating_duration_since(Instant::now()));
                command(&self.params.on, length.unwrap_or_default(), until)
            }
            Word::Off => self.params.off.clone(),
        };
        if word == Word::On {
            // it may have it from here on, whatever comes of this
            self.wary = Some(Instant::now() + WARY);
        }
        let topic = self.params.topic.clone();
        let Some(session) = self.session.as_mut() else {
            return Err(self.failed("it was not claimed"));
        };
        let sent = match word {
            Word::On => {
                let expiry = seconds(end.saturating_duration_since(Instant::now()));
                session.link.publish_once(&topic, &payload, expiry).await
            }
            Word::Off => session.link.publish(&topic, &payload).await,
        };
        let number = match sent {
            Ok(number) => number,
            Err(error) => return Err(self.of_link(&error)),
        };
        loop {
            let Some(session) = self.session.as_mut() else {
                return Err(self.failed("it was not claimed"));
            };
            if let Some((_, why)) = session.refused.take().filter(|(refused, _)| *refused == number) {
                let broker = self.broker.to_string();
                self.session = None;
                return Err(self.failed(format!(
                    "the broker {broker} does not take what is said on {topic}: {why}"
                )));
            }
            let taken = session.done == number;
            if taken && session.confirms(&self.params, word) {
                if word == Word::On {
                    self.wary = None;
                }
                return Ok(());
            }
            let (available, state) = (session.available, session.state);
            match timeout_at(end, session.link.came()).await {
                Ok(Ok(came)) => session.take(&self.params, came),
                Ok(Err(error)) => return Err(self.of_link(&error)),
                Err(_) => {
                    // whatever is still on its way goes with the connection
                    self.session = None;
                    return Err(self.failed(self.unconfirmed(word, taken, available, state)));
                }
            }
        }
    }

    fn unconfirmed(&self, word: Word, taken: bool, available: Option<Word>, state: Option<Word>) -> String {
        let ms = self.params.timeout.as_millis();
        let what = match word {
            Word::On => "energised",
            Word::Off => "at rest",
        };
        if !taken {
            return format!("the broker {} does not answer within {ms} ms", self.broker);
        }
        match (&self.params.availability, available) {
            (Some(of), None) => {
                return format!(
                    "the device does not say on {} that it is there: is the topic right, and what is said there retained?",
                    of.topic
                );
            }
            (Some(of), Some(Word::Off)) => return away(&of.topic),
            (Some(_), Some(Word::On)) | (None, _) => {}
        }
        let topic = self
            .params
            .state
            .as_ref()
            .map_or("", |state| state.topic.as_str());
        match state {
            None => format!(
                "the device says nothing on {topic} within {ms} ms: is the topic right, and does it have to be asked \
                 (ask-topic)?"
            ),
            Some(_) => format!("the device does not say on {topic} within {ms} ms that it is {what}"),
        }
    }

    /// Refuses if the device says that it is away.
    fn there(&self) -> Result<(), DriverError> {
        let (Some(of), Some(session)) = (&self.params.availability, &self.session) else {
            return Ok(());
        };
        if session.available == Some(Word::On) {
            return Ok(());
        }
        Err(self.failed(away(&of.topic)))
    }

    /// Takes what has come, and looks after the connection.
    async fn drain(&mut self) -> Result<(), DriverError> {
        // bounded: a device that talks without end must not keep us here
        for _ in 0..64 {
            let Some(session) = self.session.as_mut() else {
                return Err(self.failed("it was not claimed"));
            };
            let came = tokio::select! {
                biased;
                came = session.link.came() => came,
                () = std::future::ready(()) => break,
            };
            match came {
                Ok(came) => session.take(&self.params, came),
                Err(error) => return Err(self.of_link(&error)),
            }
        }
        let now = Instant::now();
        let Some(session) = self.session.as_mut() else {
            return Err(self.failed("it was not claimed"));
        };
        if session.asked.is_some_and(|asked| now - asked >= GONE) {
            let error = session.link.silent(GONE);
            return Err(self.of_link(&error));
        }
        if session.asked.is_none() && now - session.pinged >= PING {
            session.pinged = now;
            session.asked = Some(now);
            if let Err(error) = session.link.ping().await {
                return Err(self.of_link(&error));
            }
        }
        Ok(())
    }
}

impl Session {
    fn heard(&mut self, params: &RelayParams, message: &Message) {
        if let Some(of) = params
            .availability
            .as_ref()
            .filter(|of| of.topic == message.topic)
            && let Some(word) = of.reading.word(&message.payload)
        {
            self.available = Some(word);
        }
        if let Some(state) = params.state.as_ref().filter(|state| state.topic == message.topic)
            && let Some(word) = state.reading.word(&message.payload)
        {
            self.state = Some(word);
            self.was_on |= word == Word::On;
            // what the broker kept is no answer of the device
            self.told |= !message.old;
        }
    }

    fn take(&mut self, params: &RelayParams, came: Came) {
        match came {
            Came::Done(number) => self.done = number,
            Came::Message(message) => self.heard(params, &message),
            Came::Pong => self.asked = None,
            Came::Refused(number, why) => self.refused = Some((number, why)),
        }
    }

    fn confirms(&self, params: &RelayParams, word: Word) -> bool {
        let there = params.availability.is_none() || self.available == Some(Word::On);
        there && (params.state.is_none() || self.state == Some(word))
    }
}

/// Whole seconds in which something has to be done: rounded up, and one at least, since a broker knows no less.
fn seconds(left: Duration) -> u32 {
    u32::try_from(left.as_millis().div_ceil(1000))
        .unwrap_or(u32::MAX)
        .max(1)
}

/// Tells orders apart without showing them: there may be a secret in one.
pub(crate) fn mark_of(order: &[&str]) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    order.hash(&mut hasher);
    format!("order {:016x}", hasher.finish())
}

fn away(topic: &str) -> String {
    format!("the device says on {topic} that it is not there: look at its supply and its network")
}

/// A command with its times: whole seconds are rounded up, since the guard ends the pulse at its time anyway. `until` is in
/// seconds since 1970, and the last one in which it may be done.
pub(crate) fn command(text: &str, length: Duration, until: u64) -> String {
    let seconds = length.as_millis().div_ceil(1000).max(1);
    let ms = length.as_millis().max(1);
    text.replace("{s}", &seconds.to_string())
        .replace("{ms}", &ms.to_string())
        .replace("{until}", &until.to_string())
}

/// The second since 1970 in which so much time from now is over. A device compares whole seconds of its own clock, so that
/// it is rounded up.
pub(crate) fn until(left: Duration) -> u64 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from((now + left).as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}

impl OutputDriver for MqttRelay {
    fn claim<'a>(&'a mut self, _channels: &'a [u16]) -> BoxFuture<'a, Result<(), DriverError>> {
        Box::pin(self.claimed())
    }

    fn device(&self) -> String {
        format!("{} at {}", self.params.topic, self.broker)
    }

    /// Several relays of a device may share a topic, and differ by what they are told there.
    fn line(&self, _channel: u16) -> String {
        format!("{}, {}", self.device(), mark_of(&[&self.params.on]))
    }

    fn patience(&self) -> Duration {
        self.params.timeout.max(CONNECT)
    }

    fn pulse(&mut self, _channel: u16, length: Duration) -> Option<BoxFuture<'_, Result<(), DriverError>>> {
        if !self.params.self_timed {
            return None;
        }
        Some(Box::pin(self.order(Word::On, Some(length))))
    }

    /// Also looks after the connection and whether the device is there.
    fn read_back(&mut self, _channel: u16) -> BoxFuture<'_, Result<Option<bool>, DriverError>> {
        Box::pin(async move {
            self.drain().await?;
            self.there()?;
            if std::mem::take(&mut self.late) {
                // it rests by now, and was open unasked: that is told like any other time
                return Ok(Some(true));
            }
            let state = self.session.as_ref().and_then(|session| session.state);
            Ok(state.map(|word| word == Word::On))
        })
    }

    fn set(&mut self, _channel: u16, energised: bool) -> BoxFuture<'_, Result<(), DriverError>> {
        let word = if energised { Word::On } else { Word::Off };
        Box::pin(self.order(word, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_told_apart_by_all_their_parts_and_not_shown() {
        let mark = mark_of(&["/relay/0?turn=on", "swordfish"]);
        assert_eq!(mark, mark_of(&["/relay/0?turn=on", "swordfish"]));
        assert!(!mark.contains("swordfish"), "{mark}");
        for other in [
            &["/relay/1?turn=on", "swordfish"][..],
            &["/relay/0?turn=on", ""],
            &["/relay/0?turn=onswordfish"],
            &["/relay/0?turn=onsword", "fish"],
        ] {
            assert_ne!(mark, mark_of(other), "{other:?}");
        }
    }

    #[test]
    fn a_device_gets_its_time_with_the_command_and_never_less() {
        for (text, ms, want) in [
            ("on,{s}", 3500, "on,4"),
            ("on,{s}", 3000, "on,3"),
            ("{\"on_ms\":{ms}}", 3500, "{\"on_ms\":3500}"),
            ("ON", 3500, "ON"),
            ("on,{s}", 0, "on,1"),
            ("on,{until},{s}", 2000, "on,1772366400,2"),
        ] {
            assert_eq!(command(text, Duration::from_millis(ms), 1_772_366_400), want);
        }
    }
}
