//! The full side: checks of ours, the choice among what they show, and consent (RFC 8445 §6 to §8, RFC 7675).
//!
//! Each component has one socket, so a pair is an address of the other side: those of its description, and those that its
//! checks come from. What is tried, how often and for how long is bounded, whatever the other side writes.

use std::net::SocketAddr;
use std::time::Duration;

use gateway_core::Instant;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

use super::pair::{PEER_REFLEXIVE, Pair, State, priority};
use super::{Agreement, Candidate, Checks, Component, Heard, answer};
use crate::stun::{Kind, Message, Writer};

/// Pairs that are tried in one call (RFC 8445 §6.1.2.5 allows 100).
pub(crate) const PAIRS: usize = 32;
/// Time between two first checks, Ta (RFC 8445 §14.2).
const PACE: Duration = Duration::from_millis(50);
/// Shortest wait for an answer (RFC 8445 §14.3); doubled each time.
const AGAIN: Duration = Duration::from_millis(500);
/// Requests of one transaction, Rc (RFC 8489 §6.2.1).
pub(super) const TRIES: u32 = 7;
/// How long a good pair waits for a better one before it is chosen.
const PATIENCE: Duration = Duration::from_millis(300);
/// Mean time between two questions whether the other side still wants our media (RFC 7675 §5.1).
const CONSENT: Duration = Duration::from_secs(5);
/// Without an answer for so long it does not.
const EXPIRES: Duration = Duration::from_secs(30);
/// Changes of our role that refused checks (487) bring about in one agreement: two sides need one.
const MOST_SWITCHES: u8 = 4;
/// Questions whose answers count: an answer may take longer than the time to the next question.
const OPEN: usize = 2;

/// What was chosen for a component.
#[derive(Clone, Copy, Debug)]
struct Chosen {
    remote: SocketAddr,
    priority: u64,
    /// When the other side is asked next whether it still wants our media.
    ask: Instant,
    asked: [[u8; 12]; OPEN],
    /// Until when it does.
    until: Instant,
    /// It does not.
    expired: bool,
}

/// The full side of one media stream.
#[derive(Debug)]
pub struct Full {
    agreement: Agreement,
    password: String,
    /// USERNAME of our checks.
    name: String,
    controlling: bool,
    /// How often our role changed because a check was refused.
    switches: u8,
    tie_breaker: u64,
    rng: StdRng,
    pairs: Vec<Pair>,
    /// When the next first check may go.
    next: Instant,
    chosen: [Option<Chosen>; 2],
    /// When the first pair of a component was good.
    good: [Option<Instant>; 2],
}

impl Full {
    /// Nothing is checked yet.
    #[must_use]
    pub fn new(agreement: Agreement, checks: Checks) -> Self {
        let Checks {
            password,
            candidates,
            controlling,
            tie_breaker,
        } = checks;
        // nobody but the other side can know how transactions will be called
        let mut seed = [0; 32];
        let secret = agreement.local.password.bytes().chain(tie_breaker.to_be_bytes());
        for (n, byte) in secret.enumerate() {
            seed[n % 32] ^= byte;
        }
        let mut full = Self {
            name: format!("{}:{}", agreement.remote, agreement.local.fragment),
            agreement,
            password,
            controlling,
            switches: 0,
            tie_breaker,
            rng: StdRng::from_seed(seed),
            pairs: Vec::with_capacity(candidates.len().min(PAIRS)),
            next: Instant::ZERO,
            chosen: [None; 2],
            good: [None; 2],
        };
        for candidate in candidates {
            full.pair(candidate);
        }
        full
    }

    /// What it was made with.
    #[must_use]
    pub const fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// Where media of a component goes: what was chosen, until then the best that works (RFC 8445 §12.1). `None` if nothing
    /// does, or the other side no longer wants it.
    #[must_use]
    pub fn target(&self, component: Component) -> Option<SocketAddr> {
        match self.chosen[component.place()] {
            Some(chosen) => (!chosen.expired).then_some(chosen.remote),
            None => self.best(component).map(|n| self.pairs[n].remote),
        }
    }

    /// Does an answer, or a good check, show that the other side is there?
    #[must_use]
    pub fn knows(&self, from: SocketAddr) -> bool {
        let shown = |pair: &Pair| pair.remote == from && (pair.valid || pair.heard);
        self.pairs.iter().any(shown)
    }

    /// The pair of a candidate, an old one or a new one; `None` if there is no more room.
    fn pair(&mut self, candidate: Candidate) -> Option<usize> {
        let same = |p: &Pair| p.component == candidate.component && p.remote == candidate.address;
        if let Some(n) = self.pairs.iter().position(same) {
            return Some(n);
        }
        let pair = Pair::new(candidate);
        if self.pairs.len() < PAIRS {
            self.pairs.push(pair);
            return Some(self.pairs.len() - 1);
        }
        // one that leads nowhere, or the last in the queue, gives its place to one that a check came from
        let idle = |n: &usize| matches!(self.pairs[*n].state, State::Failed | State::Waiting);
        let n = (0..self.pairs.len())
            .filter(idle)
            .min_by_key(|n| self.pairs[*n].priority(self.controlling))?;
        self.pairs[n] = pair;
        Some(n)
    }

    /// The best pair that works.
    fn best(&self, component: Component) -> Option<usize> {
        let works = |n: &usize| self.pairs[*n].valid && self.pairs[*n].component == component;
        (0..self.pairs.len())
            .filter(works)
            .max_by_key(|n| self.pairs[*n].priority(self.controlling))
    }

    /// A STUN message came; what is to be answered is in `out`.
    pub fn handle(
        &mut self,
        now: Instant,
        component: Component,
        from: SocketAddr,
        packet: &[u8],
        out: &mut Vec<u8>,
    ) -> Heard {
        let Some(message) = Message::read(packet) else {
            return Heard::Nothing;
        };
        match message.kind {
            Kind::Request => self.request(now, component, from, &message, out),
            Kind::Error | Kind::Success => self.answer(now, component, from, &message),
            Kind::Indication => Heard::Nothing,
        }
    }

    /// A check of the other side (RFC 8445 §7.3).
    fn request(
        &mut self,
        now: Instant,
        component: Component,
        from: SocketAddr,
        message: &Message<'_>,
        out: &mut Vec<u8>,
    ) -> Heard {
        // both would choose, or neither: the greater tie-breaker does (RFC 8445 §7.3.1.1)
        let theirs = if self.controlling {
            message.controlling
        } else {
            message.controlled
        };
        let conflict = theirs.is_some_and(|theirs| (self.tie_breaker >= theirs) == self.controlling);
        if answer::refuses(&self.agreement, message, conflict, out) {
            return Heard::Answer;
        }
        if theirs.is_some() {
            self.controlling = !self.controlling;
        }
        answer::agrees(&self.agreement, message, from, out);
        let before = self.target(component);
        let candidate = Candidate {
            component,
            address: from,
            priority: message.priority.unwrap_or(0),
        };
        if let Some(n) = self.pair(candidate) {
            self.pairs[n].trigger(now);
            if message.use_candidate && !self.controlling {
                if self.agreement.last_counts {
                    let others = self.pairs.iter_mut().filter(|pair| pair.component == component);
                    others.for_each(|pair| pair.chosen = false);
                }
                self.pairs[n].chosen = true;
                if self.pairs[n].valid {
                    self.choose(now, n);
                }
            }
        }
        if self.target(component) == before {
            Heard::Answer
        } else {
            Heard::Chosen
        }
    }

    /// An answer to a check of ours, or to a question for consent (RFC 8445 §7.2.5).
    fn answer(
        &mut self,
        now: Instant,
        component: Component,
        from: SocketAddr,
        message: &Message<'_>,
    ) -> Heard {
        let place = component.place();
        let answers = |pair: &Pair| matches!(pair.state, State::Asked { transaction, .. } if transaction == message.transaction);
        let pair = self.pairs.iter().position(answers);
        let consents = self.chosen[place]
            .is_some_and(|c| c.remote == from && !c.expired && c.asked.contains(&message.transaction));
        if pair.is_none() && !consents || !message.is_authentic(self.password.as_bytes()) {
            // what is not signed may be somebody else's: the check is sent again
            return Heard::Nothing;
        }
        let success = message.kind == Kind::Success;
        if let Some(chosen) = &mut self.chosen[place]
            && consents
            && success
        {
            chosen.until = now + EXPIRES;
        }
        let Some(n) = pair else {
            return Heard::Taken;
        };
        let pair = &mut self.pairs[n];
        let State::Asked {
            nominates,
            controlling,
            ..
        } = pair.state
        else {
            return Heard::Nothing;
        };
        if !success {
            if message.error == Some(487) {
                // unless the role has changed since
                let again = self.switches < MOST_SWITCHES;
                if self.controlling == controlling && again {
                    self.controlling = !controlling;
                    self.switches += 1;
                }
                // one who refuses either role is asked no more
                pair.state = if again { State::Triggered } else { State::Failed };
            }
            return Heard::Taken;
        }
        // the way back has to be the way there (RFC 8445 §7.2.5.2.1)
        if pair.remote != from || pair.component != component {
            pair.state = State::Failed;
            return Heard::Taken;
        }
        pair.state = State::Done;
        pair.valid = true;
        self.good[place].get_or_insert(now);
        if nominates || pair.chosen && !self.controlling {
            self.choose(now, n);
        }
        Heard::Taken
    }

    /// A pair is chosen. Of several that the other side chooses the last counts, or the best, as for [`Lite`](super::Lite).
    fn choose(&mut self, now: Instant, n: usize) {
        let pair = &self.pairs[n];
        let priority = pair.priority(self.controlling);
        let chosen = &mut self.chosen[pair.component.place()];
        let last_counts = self.agreement.last_counts && !self.controlling;
        let stays = |known: Chosen| known.remote == pair.remote || !last_counts && known.priority > priority;
        if chosen.is_some_and(|known| !known.expired && stays(known)) {
            return;
        }
        *chosen = Some(Chosen {
            remote: pair.remote,
            priority,
            ask: now + CONSENT,
            asked: [[0; 12]; OPEN],
            until: now + EXPIRES,
            expired: false,
        });
    }

    /// Writes the next message that is due, and says where it goes; to be asked again until there is none.
    pub fn check(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<(Component, SocketAddr)> {
        if let Some(component) = self.asks_for_consent(now) {
            let chosen = self.chosen[component.place()]?;
            self.write(component, chosen.asked[OPEN - 1], false, out);
            return Some((component, chosen.remote));
        }
        while let Some(n) = self
            .pairs
            .iter()
            .position(|p| matches!(p.state, State::Asked { due, .. } if due <= now))
        {
            if let Some(to) = self.ask_again(now, n, out) {
                return Some(to);
            }
        }
        if now < self.next {
            return None;
        }
        let nominee = self.nominee(now);
        let n = nominee.or_else(|| self.first_turn())?;
        self.next = now + PACE;
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        let waiting = self.pairs.iter().filter(|p| p.is_open()).count();
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        let pair = &mut self.pairs[n];
        pair.state = State::Asked {
            transaction,
            sent: 1,
            due: now + AGAIN.max(PACE.saturating_mul(waiting)),
            nominates: nominee.is_some(),
            controlling: self.controlling,
        };
        let to = (pair.component, pair.remote);
        self.write(to.0, transaction, nominee.is_some(), out);
        Some(to)
    }

    /// Asks a pair again that did not answer; `None` if it is given up.
    fn ask_again(&mut self, now: Instant, n: usize, out: &mut Vec<u8>) -> Option<(Component, SocketAddr)> {
        let pair = &mut self.pairs[n];
        let State::Asked {
            transaction,
            sent,
            due,
            nominates,
            ..
        } = &mut pair.state
        else {
            return None;
        };
        if *sent >= TRIES {
            // what was good is so no more
            pair.valid = false;
            pair.state = State::Failed;
            return None;
        }
        *due = now + AGAIN * (1 << *sent);
        *sent += 1;
        let (transaction, nominates) = (*transaction, *nominates);
        let to = (pair.component, pair.remote);
        self.write(to.0, transaction, nominates, out);
        Some(to)
    }

    /// The pair that we choose now: the best one, once no better one is to be expected.
    fn nominee(&self, now: Instant) -> Option<usize> {
        let component = |component: &Component| {
            let place = component.place();
            if self.chosen[place].is_some()
                || self
                    .pairs
                    .iter()
                    .any(|p| p.component == *component && p.is_nominated())
            {
                return None;
            }
            let best = self.best(*component)?;
            let priority = self.pairs[best].priority(self.controlling);
            let better = |p: &Pair| {
                p.component == *component && p.is_open() && p.priority(self.controlling) > priority
            };
            let waited = self.good[place].is_some_and(|since| now.since(since) >= PATIENCE);
            (waited || !self.pairs.iter().any(better)).then_some(best)
        };
        Component::ALL
            .iter()
            .filter(|_| self.controlling)
            .find_map(component)
    }

    /// The pair whose first check is next: one that the other side tries, else the best one. When one is chosen there is
    /// nothing left to find, unless the other side goes on choosing.
    fn first_turn(&self) -> Option<usize> {
        let turn = |n: &usize| {
            let pair = &self.pairs[*n];
            let settled = self.chosen[pair.component.place()].is_some();
            match pair.state {
                State::Triggered => Some((!settled || !self.controlling, true)),
                State::Waiting => Some((!settled, false)),
                State::Asked { .. } | State::Done | State::Failed => None,
            }
            .filter(|(wanted, _)| *wanted)
            .map(|(_, triggered)| (triggered, pair.priority(self.controlling)))
        };
        (0..self.pairs.len())
            .filter(|n| turn(n).is_some())
            .max_by_key(turn)
    }

    /// The component whose other side is to be asked now; its transaction is the last of `asked`.
    fn asks_for_consent(&mut self, now: Instant) -> Option<Component> {
        let Self { chosen, rng, .. } = self;
        Component::ALL.into_iter().find(|component| {
            let Some(chosen) = &mut chosen[component.place()] else {
                return false;
            };
            chosen.expired |= chosen.until <= now;
            if chosen.expired || now < chosen.ask {
                return false;
            }
            // by a fifth earlier or later, so that calls do not ask in step (RFC 7675 §5.1)
            chosen.ask = now + CONSENT.mul_f64(rng.random_range(0.8..1.2));
            chosen.asked.rotate_left(1);
            rng.fill_bytes(&mut chosen.asked[OPEN - 1]);
            true
        })
    }

    /// A check (RFC 8445 §7.2.2).
    fn write(&self, component: Component, transaction: [u8; 12], nominates: bool, out: &mut Vec<u8>) {
        let number = if component == Component::Rtp { 1 } else { 2 };
        let mut writer = Writer::begin(out, Kind::Request, transaction);
        writer.username(&self.name);
        writer.priority(priority(PEER_REFLEXIVE, number));
        writer.role(self.controlling, self.tie_breaker);
        if nominates {
            writer.use_candidate();
        }
        writer.sign(self.password.as_bytes());
        writer.finish();
    }
}

#[cfg(test)]
mod tests;
