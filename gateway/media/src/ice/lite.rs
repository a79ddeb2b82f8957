//! The lite side (RFC 8445 §2.5): the other side checks which of its addresses reach ours and chooses one; we answer.

use std::net::SocketAddr;

use super::{Agreement, Component, Heard, answer};
use crate::stun::{Kind, Message};

/// Sources of good checks that are remembered: a side has some addresses, and pairs of them are tried in turn.
const SOURCES: usize = 8;

/// The lite side of one media stream.
#[derive(Debug)]
pub struct Lite {
    agreement: Agreement,
    /// What the other side has chosen for each component, with its priority.
    chosen: [Option<(SocketAddr, u32)>; 2],
    /// Where good checks came from.
    sources: [Option<SocketAddr>; SOURCES],
    /// Whose place the next source takes.
    next: usize,
}

impl Lite {
    /// Nothing is chosen yet.
    #[must_use]
    pub const fn new(agreement: Agreement) -> Self {
        Self {
            agreement,
            chosen: [None; 2],
            sources: [None; SOURCES],
            next: 0,
        }
    }

    /// What it was made with.
    #[must_use]
    pub const fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// Where media of a component goes; `None` until the other side has chosen.
    #[must_use]
    pub fn target(&self, component: Component) -> Option<SocketAddr> {
        self.chosen[component.place()].map(|(address, _)| address)
    }

    /// Has a good check come from there lately?
    #[must_use]
    pub fn knows(&self, from: SocketAddr) -> bool {
        self.sources.contains(&Some(from)) || self.chosen.iter().flatten().any(|(a, _)| *a == from)
    }

    /// A STUN message came; what is to be answered is in `out`.
    pub fn handle(
        &mut self,
        component: Component,
        from: SocketAddr,
        packet: &[u8],
        out: &mut Vec<u8>,
    ) -> Heard {
        let Some(message) = Message::read(packet) else {
            return Heard::Nothing;
        };
        match message.kind {
            Kind::Request => {}
            // the lite side asks nothing, so nothing is answered to it
            Kind::Error | Kind::Indication | Kind::Success => return Heard::Nothing,
        }
        // the lite side never decides
        let conflict = message.controlled.is_some();
        if answer::refuses(&self.agreement, &message, conflict, out) {
            return Heard::Answer;
        }
        if !self.sources.contains(&Some(from)) {
            self.sources[self.next] = Some(from);
            self.next = (self.next + 1) % SOURCES;
        }
        answer::agrees(&self.agreement, &message, from, out);
        if message.use_candidate && self.choose(component, from, message.priority.unwrap_or(0)) {
            Heard::Chosen
        } else {
            Heard::Answer
        }
    }

    /// Of several that are chosen the last counts, where the other side chooses once; else the one of the highest priority, of equal
    /// ones the last, since it chooses whatever it tries (RFC 8445 §8.1.1, RFC 5245 §8.1.1.2). True if media goes elsewhere now.
    fn choose(&mut self, component: Component, from: SocketAddr, priority: u32) -> bool {
        let chosen = &mut self.chosen[component.place()];
        let before = chosen.map(|(address, _)| address);
        if self.agreement.last_counts || chosen.is_none_or(|(_, known)| priority >= known) {
            *chosen = Some((from, priority));
        }
        chosen.map(|(address, _)| address) != before
    }
}
