//! One responder for one port of the machine: names are probed, announced, defended and answered for.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gateway_core::Instant;

use super::conflicts::Conflicts;
use super::message::{Message, Name, Question, Record, kind};
use super::{PORT, Profile};
use crate::ports::Address;

/// Between two probes (§8.1).
const PROBE: Duration = Duration::from_millis(250);
/// How many probes, and how many announcements (§8.1, §8.3).
const PROBES: u8 = 3;
const ANNOUNCEMENTS: u8 = 2;
/// Between two announcements (§8.3).
const ANNOUNCE: Duration = Duration::from_secs(1);
/// Wait of who lost a tie (§8.2).
const LOST: Duration = Duration::from_secs(1);
/// Answers others may give too wait, so that they do not collide (§6).
const SHARED: Duration = Duration::from_millis(70);
/// A record is not multicast again within this time (§6), or this in defence against a probe.
const AGAIN: Duration = Duration::from_secs(1);
const DEFENCE: Duration = Duration::from_millis(250);
/// Answers to one asker alone, in a row and each second: nobody is flooded through us.
const UNICASTS: u32 = 20;
/// Lifetimes of records with addresses or host names, and of others (§10).
const HOST_TTL: u32 = 120;
const OTHER_TTL: u32 = 4500;
/// Longest lifetime told to an asker that knows no multicast (§6.7).
const LEGACY_TTL: u32 = 10;
/// Most addresses told.
const MOST_ADDRESSES: usize = 8;

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// To everybody on the link, over IPv4 and IPv6.
    Group,
    /// To one asker.
    Peer(SocketAddr),
}

/// What a responder wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Somebody else has a name of ours: take another one and begin anew.
    Conflict,
    /// Send a message.
    Send {
        /// The message.
        bytes: Vec<u8>,
        /// Where to.
        to: To,
    },
}

/// A record of ours.
struct Own {
    record: Record,
    /// Others may have records of this name and type, too.
    shared: bool,
    /// Only told when asked for what is not there.
    negative: bool,
    told: Option<Instant>,
}

enum State {
    Probing { sent: u8, at: Instant },
    Announcing { sent: u8, at: Instant },
    Settled,
}

/// Answers on one port for one profile.
pub struct Responder {
    addresses: Vec<Address>,
    conflicts: Conflicts,
    /// Addresses of the whole machine: seen at another port of the same link they are no stranger's.
    everywhere: Vec<IpAddr>,
    own: Vec<Own>,
    outputs: VecDeque<Output>,
    /// Shared answers that wait, by their place.
    pending: BTreeSet<usize>,
    pending_at: Option<Instant>,
    state: State,
    unicasts: u32,
    unicasts_at: Instant,
}

impl Responder {
    /// Begins to probe after `delay`, by chance 0 to 250 ms (§8.1). `addresses` are those of the port, `everywhere`
    /// those of the machine.
    #[must_use]
    pub fn new(
        now: Instant,
        profile: &Profile,
        addresses: &[Address],
        everywhere: &[IpAddr],
        delay: Duration,
    ) -> Self {
        Self {
            addresses: addresses.to_vec(),
            conflicts: Conflicts::default(),
            everywhere: everywhere.to_vec(),
            own: records(profile, addresses),
            outputs: VecDeque::new(),
            pending: BTreeSet::new(),
            pending_at: None,
            state: State::Probing {
                sent: 0,
                at: now + delay,
            },
            unicasts: 0,
            unicasts_at: now,
        }
    }

    /// True once the names are ours.
    #[must_use]
    pub const fn settled(&self) -> bool {
        !matches!(self.state, State::Probing { .. })
    }

    /// A datagram came. What cannot be read is passed over.
    pub fn handle_packet(&mut self, now: Instant, bytes: &[u8], from: SocketAddr) {
        let Some(message) = Message::read(bytes) else {
            return;
        };
        // what we said ourselves comes back, and so does what we say at another port of the same link
        let echo = from.port() == PORT && self.everywhere.contains(&from.ip());
        if message.response {
            // §6: answers come from the port and nowhere else
            if from.port() == PORT && !echo {
                self.compare(now, &message);
            }
        } else {
            if !echo {
                self.break_tie(now, &message);
            }
            if self.settled() {
                self.answer(now, &message, from);
            }
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.pending_at.is_some_and(|at| now >= at) {
            self.pending_at = None;
            let waiting = std::mem::take(&mut self.pending);
            self.multicast(now, &waiting, AGAIN);
        }
        match self.state {
            State::Probing { sent, at } if now >= at => {
                if sent == PROBES {
                    self.state = State::Announcing { sent: 0, at: now };
                    self.handle_timeout(now);
                } else {
                    let bytes = self.probe(sent == 0).wire();
                    self.send(bytes, To::Group);
                    self.state = State::Probing {
                        sent: sent + 1,
                        at: now + PROBE,
                    };
                }
            }
            State::Announcing { sent, at } if now >= at => {
                let all: BTreeSet<usize> = (0..self.own.len()).filter(|n| !self.own[*n].negative).collect();
                self.multicast(now, &all, Duration::ZERO);
                self.state = if sent + 1 == ANNOUNCEMENTS {
                    State::Settled
                } else {
                    State::Announcing {
                        sent: sent + 1,
                        at: now + ANNOUNCE,
                    }
                };
            }
            State::Announcing { .. } | State::Probing { .. } | State::Settled => {}
        }
    }

    /// What is to be done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let state = match self.state {
            State::Announcing { at, .. } | State::Probing { at, .. } => Some(at),
            State::Settled => None,
        };
        [state, self.pending_at].into_iter().flatten().min()
    }

    /// Says goodbye: everybody forgets the records (§10.1).
    pub fn goodbye(&mut self) {
        if !self.settled() {
            return;
        }
        let mut records: Vec<Record> = self.positive().map(|own| own.record.clone()).collect();
        for record in &mut records {
            record.ttl = 0;
        }
        let bytes = answers(records, Vec::new()).wire();
        self.send(bytes, To::Group);
    }

    fn positive(&self) -> impl Iterator<Item = &Own> {
        self.own.iter().filter(|own| !own.negative)
    }

    fn send(&mut self, bytes: Vec<u8>, to: To) {
        self.outputs.push_back(Output::Send { bytes, to });
    }

    /// Asks for any record of our unique names, and says which we mean to have (§8.1).
    fn probe(&self, first: bool) -> Message {
        let mut message = Message::default();
        for own in self.positive().filter(|own| !own.shared) {
            if message.questions.iter().all(|q| q.name != own.record.name) {
                message.questions.push(Question {
                    name: own.record.name.clone(),
                    kind: kind::ANY,
                    // the first may be answered to us alone
                    unicast: first,
                });
            }
            message.authorities.push(Record {
                flush: false,
                ..own.record.clone()
            });
        }
        message
    }

    /// Somebody probes for our name at the same time: the later data stays, the earlier waits (§8.2).
    fn break_tie(&mut self, now: Instant, message: &Message) {
        if !matches!(self.state, State::Probing { sent, .. } if sent > 0) {
            return;
        }
        let sorted = |records: Vec<&Record>| {
            let mut data: Vec<(u16, Vec<u8>)> = records.iter().map(|r| (r.kind, r.data.clone())).collect();
            data.sort();
            data
        };
        let lost = message.questions.iter().any(|question| {
            let theirs = message.authorities.iter().filter(|r| r.name == question.name);
            let theirs = sorted(theirs.collect());
            let ours = self.positive().map(|own| &own.record);
            let ours = sorted(ours.filter(|r| r.name == question.name).collect());
            !ours.is_empty() && !theirs.is_empty() && ours < theirs
        });
        if lost {
            self.state = State::Probing {
                sent: 0,
                at: now + LOST,
            };
        }
    }

    /// Is a record of ours in somebody else's answer, with other data (§9)?
    fn compare(&mut self, now: Instant, message: &Message) {
        let conflict = message.answers.iter().chain(&message.additionals).any(|theirs| {
            let ours = self.own.iter();
            let mut ours = ours.filter(|own| !own.shared && own.record.name == theirs.name);
            // while we probe, any record of the name says that it is taken
            let kinds = |own: &Own| own.record.kind == theirs.kind || !self.settled();
            let same = |own: &Own| own.record.kind == theirs.kind && own.record.data == theirs.data;
            ours.clone().any(kinds) && !ours.any(same) && !self.is_ours(theirs)
        });
        if !conflict {
            return;
        }
        if self.settled() {
            // perhaps the other one errs, or the link was cut in two: ask again before giving the name up
            let wait = self.conflicts.note(now);
            self.state = State::Probing {
                sent: 0,
                at: now + wait,
            };
        } else {
            self.outputs.push_back(Output::Conflict);
        }
    }

    /// An address of this machine, told by a responder of ours at another port, or a statement of what is not there,
    /// which names the types of a name and belongs to nobody else's data.
    fn is_ours(&self, record: &Record) -> bool {
        let ip = match (record.kind, record.data.len()) {
            (kind::NSEC, _) => return self.settled(),
            (kind::A, 4) => <[u8; 4]>::try_from(&record.data[..]).ok().map(IpAddr::from),
            (kind::AAAA, 16) => <[u8; 16]>::try_from(&record.data[..]).ok().map(IpAddr::from),
            _ => None,
        };
        ip.is_some_and(|ip| self.everywhere.contains(&ip))
    }

    fn answer(&mut self, now: Instant, message: &Message, from: SocketAddr) {
        let legacy = from.port() != PORT;
        let probing = !message.authorities.is_empty();
        let (mut group, mut alone) = (BTreeSet::new(), BTreeSet::new());
        for question in &message.questions {
            let found = self.found(question);
            let news = found.into_iter().filter(|n| {
                let own = &self.own[*n].record;
                // §7.1: who knows it for at least half its life is not told again
                !message.answers.iter().any(|known| {
                    known.name == own.name
                        && known.kind == own.kind
                        && known.data == own.data
                        && known.ttl >= own.ttl / 2
                })
            });
            let to = if legacy || question.unicast {
                &mut alone
            } else {
                &mut group
            };
            to.extend(news);
        }
        if !alone.is_empty() {
            self.unicast(now, message, &alone, from, legacy);
        }
        if group.is_empty() {
            return;
        }
        if !probing && group.iter().any(|n| self.own[*n].shared) {
            self.pending.extend(group);
            self.pending_at = self.pending_at.or(Some(now + SHARED));
        } else {
            self.multicast(now, &group, if probing { DEFENCE } else { AGAIN });
        }
    }

    /// Records that answer a question, or that which says there are none (§6.1).
    fn found(&self, question: &Question) -> BTreeSet<usize> {
        let of = |negative: bool| {
            let own = self.own.iter().enumerate();
            own.filter(move |(_, own)| own.negative == negative && own.record.name == question.name)
        };
        let found: BTreeSet<usize> = of(false)
            .filter(|(_, own)| question.kind == kind::ANY || own.record.kind == question.kind)
            .map(|(n, _)| n)
            .collect();
        if found.is_empty() {
            of(true).map(|(n, _)| n).collect()
        } else {
            found
        }
    }

    /// What an asker will want next (RFC 6763 §12).
    fn additional(&self, told: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut more = BTreeSet::new();
        // twice: from the type to the service, from the service to the host
        for _ in 0..2 {
            let known: Vec<usize> = told.iter().chain(&more).copied().collect();
            for n in known {
                let record = &self.own[n].record;
                let target = match record.kind {
                    kind::PTR => record.data.as_slice(),
                    kind::SRV => record.data.get(6..).unwrap_or_default(),
                    _ => continue,
                };
                let own = self.own.iter().enumerate();
                let named = own.filter(|(_, own)| !own.negative && own.record.name.wire() == target);
                more.extend(named.map(|(n, _)| n));
            }
        }
        &more - told
    }

    fn multicast(&mut self, now: Instant, wanted: &BTreeSet<usize>, again: Duration) {
        let rested = |own: &Own| own.told.is_none_or(|at| now.since(at) >= again);
        let told: BTreeSet<usize> = wanted.iter().copied().filter(|n| rested(&self.own[*n])).collect();
        if told.is_empty() {
            return;
        }
        let more: BTreeSet<usize> = self
            .additional(&told)
            .into_iter()
            .filter(|n| rested(&self.own[*n]))
            .collect();
        for n in told.iter().chain(&more) {
            self.own[*n].told = Some(now);
        }
        let bytes = answers(self.copies(&told), self.copies(&more)).wire();
        self.send(bytes, To::Group);
    }

    fn copies(&self, which: &BTreeSet<usize>) -> Vec<Record> {
        which.iter().map(|n| self.own[*n].record.clone()).collect()
    }

    fn unicast(
        &mut self,
        now: Instant,
        asked: &Message,
        told: &BTreeSet<usize>,
        from: SocketAddr,
        legacy: bool,
    ) {
        if now.since(self.unicasts_at) >= AGAIN {
            (self.unicasts, self.unicasts_at) = (0, now);
        }
        // §11: only neighbours; a reply to a far address would only help somebody who lies about his own
        let near = self.addresses.iter().any(|address| address.reaches(from.ip()));
        if self.unicasts >= UNICASTS || !near {
            return;
        }
        self.unicasts += 1;
        let mut message = answers(self.copies(told), self.copies(&self.additional(told)));
        if legacy {
            // §6.7: as a resolver of old expects it
            message.id = asked.id;
            message.questions.clone_from(&asked.questions);
            for question in &mut message.questions {
                question.unicast = false;
            }
            for record in message.answers.iter_mut().chain(&mut message.additionals) {
                record.flush = false;
                record.ttl = record.ttl.min(LEGACY_TTL);
            }
        }
        self.send(message.wire(), To::Peer(from));
    }
}

fn answers(answers: Vec<Record>, additionals: Vec<Record>) -> Message {
    Message {
        response: true,
        answers,
        additionals,
        ..Message::default()
    }
}

/// Every record of a profile at a port.
fn records(profile: &Profile, addresses: &[Address]) -> Vec<Own> {
    let host = Name::of(&[&profile.host, "local"]);
    let mut own = Vec::new();
    let mut add = |name: &Name, kind: u16, ttl: u32, shared: bool, data: Vec<u8>| {
        own.push(Own {
            record: Record {
                name: name.clone(),
                kind,
                flush: !shared,
                ttl,
                data,
            },
            shared,
            negative: kind == kind::NSEC,
            told: None,
        });
    };
    let mut kinds = BTreeSet::new();
    // link-local IPv4 and IPv6 first come last: askers take the first that they can reach
    let local = |address: &Address| match address.ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let (near, far): (Vec<&Address>, Vec<&Address>) = addresses.iter().partition(|a| local(a));
    for address in far.into_iter().chain(near).take(MOST_ADDRESSES) {
        let (kind, data) = match address.ip {
            IpAddr::V4(v4) => (kind::A, v4.octets().to_vec()),
            IpAddr::V6(v6) => (kind::AAAA, v6.octets().to_vec()),
        };
        kinds.insert(kind);
        add(&host, kind, HOST_TTL, false, data);
    }
    add(&host, kind::NSEC, HOST_TTL, false, nsec(&host, &kinds));
    let reached = |only: Option<IpAddr>| only.is_none_or(|ip| addresses.iter().any(|a| a.ip == ip));
    for service in profile.services.iter().filter(|service| reached(service.only)) {
        let kind = Name::of(&[service.kind, service.protocol, "local"]);
        let instance = Name::of(&[&profile.instance, service.kind, service.protocol, "local"]);
        let all = Name::of(&["_services", "_dns-sd", "_udp", "local"]);
        add(&all, kind::PTR, OTHER_TTL, true, kind.wire());
        add(&kind, kind::PTR, OTHER_TTL, true, instance.wire());
        // priority and weight 0 (RFC 2782)
        let head = [&[0, 0, 0, 0][..], &service.port.to_be_bytes()].concat();
        add(
            &instance,
            kind::SRV,
            HOST_TTL,
            false,
            [head, host.wire()].concat(),
        );
        let mut texts = Vec::new();
        for text in &service.texts {
            if let Ok(length) = u8::try_from(text.len()) {
                texts.push(length);
                texts.extend_from_slice(text.as_bytes());
            }
        }
        if texts.is_empty() {
            // RFC 6763 §6.1: never without data
            texts.push(0);
        }
        add(&instance, kind::TXT, OTHER_TTL, false, texts);
        let there = BTreeSet::from([kind::SRV, kind::TXT]);
        add(&instance, kind::NSEC, HOST_TTL, false, nsec(&instance, &there));
    }
    own
}

/// The types that a name has, all below 256 (RFC 6762 §6.1, RFC 4034 §4.1.2).
fn nsec(name: &Name, kinds: &BTreeSet<u16>) -> Vec<u8> {
    let mut bits = [0_u8; 32];
    for kind in kinds {
        bits[usize::from(kind / 8) % 32] |= 0x80 >> (kind % 8);
    }
    let used = bits.iter().rposition(|byte| *byte != 0).map_or(0, |n| n + 1);
    let mut data = name.wire();
    if used > 0 {
        data.extend_from_slice(&[0, u8::try_from(used).unwrap_or(32)]);
        data.extend_from_slice(&bits[..used]);
    }
    data
}
