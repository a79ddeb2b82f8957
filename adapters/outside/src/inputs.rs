//! Inputs at a broker: the adapter.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use adapter_api::{Adapter, AdapterContext, AdapterError, Alarm};
use gateway_core::{DeviceId, Edge, InputId, Instant, Signal, SignalKind};
use gateway_mqtt_wire::Versions;
use tokio::time::sleep;

use crate::broker::Broker;
use crate::link::{Came, Link, LinkError, Message, Topic};
use crate::machine::{InputMachine, Kind, Said};
use crate::reading::{Availability, Reading, Word};

/// How often the broker is pinged: its answer says until when nothing waits on the way.
const PING: Duration = Duration::from_secs(1);
/// A message is new if nothing can have waited for longer. The core takes an edge of this age for late.
const FRESH: Duration = Duration::from_secs(2);
/// A broker that does not answer for so long is gone.
const GONE: Duration = Duration::from_secs(5);
/// Pause before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttInput {
    /// Where its device says whether it is there.
    pub availability: Option<Availability>,
    /// Name.
    pub input: InputId,
    /// What its payloads say; without words for off they tell of presses.
    pub reading: Reading,
    /// After so long without a word it counts as away.
    pub silent: Option<Duration>,
    /// Topic.
    pub topic: String,
}

/// All inputs at one broker. They are read over one connection; each has a name of its own among the devices, so that a
/// fault says which is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttInputs {
    /// The broker.
    pub broker: Broker,
    /// Our name there.
    pub client: String,
    /// The inputs.
    pub inputs: Vec<MqttInput>,
}

impl MqttInput {
    /// Its machine, before anything was heard.
    #[must_use]
    pub fn machine(&self) -> InputMachine {
        let asked = self.availability.as_ref().map(|of| of.topic.clone());
        InputMachine::new(self.kind(), asked, self.silent)
    }

    fn kind(&self) -> Kind {
        if self.reading.off.is_empty() {
            Kind::Press
        } else {
            Kind::Level
        }
    }
}

/// Name of an input of somebody else's device among the devices.
#[must_use]
pub fn device_of(input: &InputId) -> Option<DeviceId> {
    let name = format!("outside-{input}");
    DeviceId::new(&name)
        .or_else(|_| DeviceId::new(input.as_str()))
        .ok()
}

impl Adapter for MqttInputs {
    async fn run(self, ctx: AdapterContext) -> Result<(), AdapterError> {
        let alarm = Alarm::new().map_err(|source| AdapterError::Device {
            device: self.broker.to_string(),
            text: "there is no timer".to_owned(),
            source: Some(source),
        })?;
        let mut run = Run {
            alarm,
            machines: self.inputs.iter().map(MqttInput::machine).collect(),
            of: self,
            told: String::new(),
            unmeant: BTreeSet::new(),
            versions: Versions::default(),
        };
        let mut shutdown = ctx.shutdown.clone();
        loop {
            let ended = tokio::select! {
                ended = run.connected(&ctx) => ended,
                () = shutdown.fired() => break,
            };
            let error = match ended {
                Ok(()) => return Ok(()),
                Err(Ended::Closed) => return Err(AdapterError::Closed),
                Err(Ended::Link(error)) => error,
            };
            run.lost(&ctx, &error).await?;
            tokio::select! {
                () = sleep(PAUSE) => {}
                () = shutdown.fired() => break,
            }
        }
        run.end(&ctx).await
    }
}

/// What is asked for. Where one topic tells of a press and of how something is, it is the latter.
fn topics(inputs: &[MqttInput]) -> Vec<Topic> {
    let mut all: BTreeMap<&str, bool> = BTreeMap::new();
    for input in inputs {
        let presses = input.kind() == Kind::Press;
        *all.entry(&input.topic).or_insert(presses) &= presses;
        if let Some(of) = &input.availability {
            all.insert(&of.topic, false);
        }
    }
    let topic = |(path, presses): (&str, bool)| Topic {
        path: path.to_owned(),
        presses,
    };
    all.into_iter().map(topic).collect()
}

enum Ended {
    Closed,
    Link(LinkError),
}

impl From<LinkError> for Ended {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl From<AdapterError> for Ended {
    fn from(_: AdapterError) -> Self {
        Self::Closed
    }
}

struct Run {
    alarm: Alarm,
    machines: Vec<InputMachine>,
    of: MqttInputs,
    /// The fault that was told last; empty if there is none.
    told: String,
    /// Inputs whose presses are to be kept, as the log has it since the connection stands.
    unmeant: BTreeSet<InputId>,
    versions: Versions,
}

impl Run {
    /// Serves until the connection ends.
    async fn connected(&mut self, ctx: &AdapterContext) -> Result<(), Ended> {
        let (of, now) = (&self.of, ctx.clock.now());
        let mut link = Link::open(&of.broker, &of.client, None, &mut self.versions, now).await?;
        let topics = topics(&self.of.inputs);
        let mut early = Vec::new();
        link.subscribe(&topics, |message| early.push(message)).await?;
        let now = ctx.clock.now();
        self.unmeant.clear();
        for machine in &mut self.machines {
            machine.connected(now);
        }
        for message in early {
            // before the broker granted it, only what it kept can come; whatever it says of itself
            let message = Message {
                kept: false,
                old: true,
                ..message
            };
            self.heard(&message, now, now);
        }
        self.tell(ctx).await?;
        if !self.told.is_empty() {
            self.told.clear();
            ctx.signal(now, SignalKind::Ready).await?;
        }
        self.serve(ctx, link, Freshness::new(now)).await
    }

    async fn serve(
        &mut self,
        ctx: &AdapterContext,
        mut link: Link,
        mut fresh: Freshness,
    ) -> Result<(), Ended> {
        loop {
            let due = self.machines.iter().filter_map(InputMachine::due).min();
            let next = due.into_iter().chain([fresh.due()]).min();
            tokio::select! {
                biased;
                came = link.came() => {
                    let now = ctx.clock.now();
                    match came? {
                        Came::Pong => fresh.pong(),
                        Came::Message(message) => self.heard(&message, now, fresh.date(now)),
                        Came::Done(_) | Came::Refused(..) => {}
                    }
                }
                () = self.alarm.at(next) => {}
            }
            let now = ctx.clock.now();
            if fresh.is_gone(now) {
                return Err(link.silent(GONE).into());
            }
            if fresh.ping(now) {
                link.ping().await?;
            }
            for machine in &mut self.machines {
                machine.timeout(now);
            }
            self.tell(ctx).await?;
        }
    }

    fn heard(&mut self, message: &Message, now: Instant, at: Instant) {
        for (input, machine) in self.of.inputs.iter().zip(&mut self.machines) {
            if let Some(of) = input.availability.as_ref().filter(|of| of.topic == message.topic)
                && let Some(word) = of.reading.word(&message.payload)
            {
                machine.available(now, word);
            }
            if input.topic == message.topic
                && let Some(word) = input.reading.word(&message.payload)
            {
                let kept_press = message.kept && word == Word::On && input.kind() == Kind::Press;
                if kept_press && self.unmeant.insert(input.input.clone()) {
                    tracing::warn!(
                        input = input.input.as_str(),
                        topic = input.topic,
                        "a press that is to be kept by the broker is none: have it published without retain"
                    );
                }
                machine.word(now, at, word, message.old);
            }
        }
    }

    async fn tell(&mut self, ctx: &AdapterContext) -> Result<(), AdapterError> {
        for (input, machine) in self.of.inputs.iter().zip(&mut self.machines) {
            while let Some(said) = machine.poll() {
                let Some(signal) = signal(&input.input, said, ctx.clock.now()) else {
                    continue;
                };
                ctx.signals.send(signal).await.map_err(|_| AdapterError::Closed)?;
            }
        }
        Ok(())
    }

    async fn lost(&mut self, ctx: &AdapterContext, error: &LinkError) -> Result<(), AdapterError> {
        for machine in &mut self.machines {
            machine.lost();
        }
        self.tell(ctx).await?;
        let text = error.to_string();
        if self.told != text {
            let kind = SignalKind::Fault(format!("{text}; its devices are not read meanwhile"));
            ctx.signal(ctx.clock.now(), kind).await?;
            self.told = text;
        }
        Ok(())
    }

    /// What was wrong with a device is not any more once nobody reads it.
    async fn end(&mut self, ctx: &AdapterContext) -> Result<(), AdapterError> {
        for machine in &mut self.machines {
            machine.end();
        }
        self.tell(ctx).await?;
        if self.told.is_empty() {
            return Ok(());
        }
        ctx.signal(ctx.clock.now(), SignalKind::Ready).await
    }
}

/// A signal of somebody else's device; `None` if its name is none of a device.
#[must_use]
pub fn signal(input: &InputId, said: Said, now: Instant) -> Option<Signal> {
    let device = device_of(input)?;
    let input = input.clone();
    let (at, kind) = match said {
        Said::Edge { active, at, initial } => {
            let edge = Edge { active, initial };
            (at, SignalKind::Input { edge, input })
        }
        Said::Unread => (now, SignalKind::Unread(input)),
        Said::Trouble(Some(text)) => (now, SignalKind::Fault(text)),
        Said::Trouble(None) => (now, SignalKind::Ready),
    };
    Some(Signal {
        at,
        device,
        simulated: false,
        kind,
    })
}

/// Since when nothing can have waited on the way: the broker answers a ping behind everything that it sent before.
struct Freshness {
    /// When the ping was sent that was answered last.
    answered: Instant,
    /// Pings without an answer, oldest first.
    open: BTreeMap<u64, Instant>,
    next: u64,
    /// When the last one was sent.
    sent: Instant,
}

impl Freshness {
    fn new(now: Instant) -> Self {
        Self {
            answered: now,
            open: BTreeMap::new(),
            next: 0,
            sent: now,
        }
    }

    fn pong(&mut self) {
        if let Some((_, sent)) = self.open.pop_first() {
            self.answered = sent;
        }
    }

    fn due(&self) -> Instant {
        self.sent + PING
    }

    /// Is it time for another one?
    fn ping(&mut self, now: Instant) -> bool {
        if now < self.due() {
            return false;
        }
        self.sent = now;
        self.open.insert(self.next, now);
        self.next += 1;
        true
    }

    fn is_gone(&self, now: Instant) -> bool {
        let oldest = self.open.first_key_value();
        oldest.is_some_and(|(_, sent)| now.since(*sent) >= GONE)
    }

    /// When a message that comes now was sent, at the latest if it is new, else at the earliest.
    fn date(&self, now: Instant) -> Instant {
        if now.since(self.answered) <= FRESH {
            now
        } else {
            self.answered
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(1_000_000_000_000 + ms * 1_000_000)
    }

    #[test]
    fn a_message_that_may_have_waited_is_as_old_as_the_last_ping_that_was_answered() {
        let mut fresh = Freshness::new(at(0));
        assert_eq!(fresh.date(at(900)), at(900));
        assert!(!fresh.ping(at(999)) && fresh.ping(at(1000)));
        fresh.pong();
        assert_eq!(fresh.date(at(2900)), at(2900));
        // the process stood still: what is read after it may have come at any time since
        assert_eq!(fresh.date(at(9000)), at(1000));
        assert!(fresh.ping(at(9000)));
        assert_eq!(fresh.date(at(9001)), at(1000));
        fresh.pong();
        assert_eq!(fresh.date(at(9010)), at(9010));
    }

    #[test]
    fn a_broker_that_answers_no_ping_is_gone() {
        let mut fresh = Freshness::new(at(0));
        assert!(fresh.ping(at(1000)));
        assert!(fresh.ping(at(2000)));
        assert!(!fresh.is_gone(at(5999)));
        assert!(fresh.is_gone(at(6000)));
        fresh.pong();
        assert!(!fresh.is_gone(at(6000)));
    }

    #[test]
    fn what_only_tells_of_presses_is_asked_for_with_its_marks_and_what_tells_how_something_is_is_not() {
        let words = |of: &[&str]| of.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let input = |name: &str, topic: &str, off: &[&str], availability: Option<&str>| MqttInput {
            availability: availability.map(|topic| Availability {
                reading: Reading {
                    field: None,
                    off: words(&["offline"]),
                    on: words(&["online"]),
                },
                topic: topic.to_owned(),
            }),
            input: name.parse().expect("a name"),
            reading: Reading {
                field: None,
                off: words(off),
                on: words(&["on"]),
            },
            silent: None,
            topic: topic.to_owned(),
        };
        let asked = topics(&[
            input("bell", "z/bell", &[], Some("z/bell/availability")),
            input("button", "z/button", &[], None),
            input("other-button", "z/button", &[], None),
            input("contact", "z/contact", &["off"], None),
            input("both-bell", "z/both", &[], None),
            input("both-contact", "z/both", &["off"], None),
        ]);
        let asked: Vec<_> = asked
            .iter()
            .map(|topic| (topic.path.as_str(), topic.presses))
            .collect();
        assert_eq!(
            asked,
            [
                ("z/bell", true),
                ("z/bell/availability", false),
                ("z/both", false),
                ("z/button", true),
                ("z/contact", false),
            ]
        );
    }

    #[test]
    fn the_longest_name_of_an_input_is_a_device() {
        let longest: InputId = "x".repeat(40).parse().expect("a name");
        assert!(device_of(&longest).is_some());
    }
}
