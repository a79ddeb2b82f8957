//! Cards on their way to the controllers that read outputs of a front end.
//!
//! A front end sends one card at a time and keeps none for later, so that they wait here: one order is out at a time. An
//! order whose answer was lost is not sent again, for its card may have gone out.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::{ControllerId, Instant};

use crate::line_port::CardWires;
use crate::message::{CardPulses, Order, Reason};

/// A card that waited for longer is old news.
const FRESH: Duration = Duration::from_millis(500);
/// A busy front end is asked again so much later.
const AGAIN: Duration = Duration::from_millis(20);
/// Most cards of one controller that wait.
const WAITING: usize = 4;

/// What became of a card: whose it was, and why it did not go out.
type Told = (ControllerId, Result<(), &'static str>);

struct Card {
    bits: Vec<bool>,
    /// When it is old.
    until: Instant,
    wires: CardWires,
}

/// How the first card stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum First {
    /// It can go out.
    #[default]
    Ready,
    /// Its order of this number is out.
    Sent(u8),
    /// The front end was busy: then again.
    Waits(Instant),
}

/// What an answer was.
pub(crate) struct Answered {
    /// To the order of a card?
    pub(crate) is_card: bool,
    /// What became of a card by it.
    pub(crate) told: Option<Told>,
}

/// Cards in the order in which they were shown.
#[derive(Default)]
pub(crate) struct CardQueue {
    all: VecDeque<Card>,
    first: First,
}

impl CardQueue {
    /// Takes a card; gives why not.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        shown: Instant,
        wires: CardWires,
        bits: Vec<bool>,
    ) -> Option<Told> {
        let until = shown + FRESH;
        let same = |card: &&Card| card.wires.controller == wires.controller;
        if now >= until {
            return Some((wires.controller, Err("the card is too old to be sent")));
        }
        if self.all.iter().filter(same).count() >= WAITING {
            return Some((wires.controller, Err("too many cards wait for the front end")));
        }
        self.all.push_back(Card { bits, until, wires });
        None
    }

    /// The order that goes out now; it has to be told by [`sent`](Self::sent).
    pub(crate) fn due(&self, now: Instant) -> Option<Order> {
        match self.first {
            First::Ready => {}
            First::Waits(until) if now >= until => {}
            First::Sent(_) | First::Waits(_) => return None,
        }
        let Card { bits, wires, .. } = self.all.front()?;
        Some(Order::Card(CardPulses {
            bits: bits.clone(),
            d0: wires.d0,
            d1: wires.d1,
            interval_us: wires.interval_us,
            pulse_us: wires.pulse_us,
        }))
    }

    /// The order went out by this number.
    pub(crate) const fn sent(&mut self, number: u8) {
        self.first = First::Sent(number);
    }

    /// An order was answered. The front end answers them as they come: the answer to a later one says that there is none.
    pub(crate) fn answered(&mut self, now: Instant, number: u8, done: Result<(), Reason>) -> Answered {
        let nothing = Answered {
            is_card: false,
            told: None,
        };
        let First::Sent(of) = self.first else {
            return nothing;
        };
        // numbers go round; what is half a round ahead is behind
        let ahead = number.wrapping_sub(of);
        if ahead >= 128 {
            return nothing;
        }
        let is_card = ahead == 0;
        let busy = is_card && done == Err(Reason::Busy);
        if busy && self.all.front().is_some_and(|card| now + AGAIN < card.until) {
            self.first = First::Waits(now + AGAIN);
            return Answered { is_card, told: None };
        }
        let done = match done {
            _ if !is_card => Err("no answer came, so that nobody knows whether it went out"),
            Ok(()) => Ok(()),
            Err(reason) => Err(reason.words()),
        };
        self.first = First::Ready;
        let told = self.all.pop_front().map(|card| (card.wires.controller, done));
        Answered { is_card, told }
    }

    /// Drops what is old by now.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<Told> {
        let mut told = Vec::new();
        let mut at = 0;
        let (mut is_front, out) = (true, matches!(self.first, First::Sent(_)));
        while let Some(card) = self.all.get(at) {
            // one that is out is told by its answer
            if now < card.until || (is_front && out) {
                at += 1;
            } else if let Some(card) = self.all.remove(at) {
                if is_front {
                    self.first = First::Ready;
                }
                told.push((
                    card.wires.controller,
                    Err("the front end was busy with other cards"),
                ));
            }
            is_front = false;
        }
        told
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called, and [`due`](Self::due) asked.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let out = usize::from(matches!(self.first, First::Sent(_)));
        let old = self.all.iter().skip(out).map(|card| card.until).min();
        let again = match self.first {
            First::Waits(until) => Some(until),
            First::Ready | First::Sent(_) => None,
        };
        old.into_iter().chain(again).min()
    }

    /// Takes all out: whose they were.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = ControllerId> + use<> {
        self.first = First::Ready;
        std::mem::take(&mut self.all)
            .into_iter()
            .map(|card| card.wires.controller)
    }
}
