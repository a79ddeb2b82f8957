//! ICE, the lite side of it (RFC 8445 §2.5): the other side checks which of its addresses reach ours and chooses one; we
//! answer, and send where it chose. Its later checks ask whether we still want its media (RFC 7675); the answer says so.
//! Pure.
//!
//! Whoever does not know the password of this call is answered as RFC 8489 §9.1.3 says, with less than was sent, and
//! changes nothing.

use std::fmt;
use std::net::SocketAddr;

use rand::RngCore;

use crate::stun::{Kind, Message, Writer};

/// Characters of `ice-char` (RFC 8839 §5.1).
const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Characters of our user names: 48 bits (RFC 8445 §5.3 asks for 24).
const FRAGMENT: usize = 8;
/// Characters of our passwords: 144 bits (RFC 8445 §5.3 asks for 128).
const PASSWORD: usize = 24;

/// Sources of good checks that are remembered: a side has some addresses, and pairs of them are tried in turn.
const SOURCES: usize = 8;

/// User name fragment and password of one side in one call.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// 4 to 256 characters.
    pub fragment: String,
    /// 22 to 256 characters.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("fragment", &self.fragment)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Fresh ones.
    pub fn random(rng: &mut dyn RngCore) -> Self {
        let mut text = |length: usize| -> String {
            let mut bytes = [0; PASSWORD];
            rng.fill_bytes(&mut bytes);
            let bytes = bytes.iter().take(length);
            bytes
                .map(|b| char::from(CHARACTERS[usize::from(b & 63)]))
                .collect()
        };
        Self {
            fragment: text(FRAGMENT),
            password: text(PASSWORD),
        }
    }

    /// As they came in a session description; `None` if they are none (RFC 8839 §5.4).
    #[must_use]
    pub fn new(fragment: &str, password: &str) -> Option<Self> {
        let fits = |text: &str, least: usize| {
            (least..=256).contains(&text.len())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
        };
        (fits(fragment, 4) && fits(password, 22)).then(|| Self {
            fragment: fragment.to_owned(),
            password: password.to_owned(),
        })
    }
}

/// What is agreed about ICE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Ours, which checks are signed with.
    pub local: Credentials,
    /// The other side's fragment, which checks name behind ours.
    pub remote: String,
}

/// Which port of ours a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// RTP, and RTCP on the same port.
    Rtp,
    /// RTCP on a port of its own.
    Rtcp,
}

/// What a message did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was no request, or no message at all; there is no answer.
    Nothing,
    /// An answer is to be sent to where it came from; it may say no.
    Answer,
    /// The same, and media goes there from here on.
    Chosen,
}

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
        self.chosen[place(component)].map(|(address, _)| address)
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
        if let Some((code, reason)) = self.refusal(&message) {
            let mut writer = Writer::begin(out, Kind::Error, message.transaction);
            writer.error(code, reason);
            if code == 420 {
                writer.unknown(message.unknown());
            }
            // whoever could not sign cannot verify either (RFC 8489 §9.1.3)
            if code >= 420 {
                writer.sign(self.agreement.local.password.as_bytes());
            }
            writer.finish();
            return Heard::Answer;
        }
        if !self.sources.contains(&Some(from)) {
            self.sources[self.next] = Some(from);
            self.next = (self.next + 1) % SOURCES;
        }
        let mut writer = Writer::begin(out, Kind::Success, message.transaction);
        writer.mapped(from);
        writer.sign(self.agreement.local.password.as_bytes());
        writer.finish();
        if message.use_candidate && self.choose(component, from, message.priority.unwrap_or(0)) {
            Heard::Chosen
        } else {
            Heard::Answer
        }
    }

    /// Why a request is refused (RFC 8489 §9.1.3, RFC 8445 §7.3.1.1).
    fn refusal(&self, message: &Message<'_>) -> Option<(u16, &'static str)> {
        let Some(username) = message.username.filter(|_| message.is_signed()) else {
            return Some((400, "Bad Request"));
        };
        let named = username.strip_prefix(self.agreement.local.fragment.as_bytes());
        let named = named.and_then(|rest| rest.strip_prefix(b":"));
        if named != Some(self.agreement.remote.as_bytes())
            || !message.is_authentic(self.agreement.local.password.as_bytes())
        {
            return Some((401, "Unauthenticated"));
        }
        if !message.unknown().is_empty() {
            return Some((420, "Unknown Attribute"));
        }
        // the lite side never decides
        message.controlled.then_some((487, "Role Conflict"))
    }

    /// Of several that are chosen the one of the highest priority counts, of equal ones the last: so both old and new ways
    /// of choosing come to an end (RFC 5245 §8.1.1.2, RFC 8445 §8.1.1). True if media goes elsewhere now.
    fn choose(&mut self, component: Component, from: SocketAddr, priority: u32) -> bool {
        let chosen = &mut self.chosen[place(component)];
        let before = chosen.map(|(address, _)| address);
        if chosen.is_none_or(|(_, known)| priority >= known) {
            *chosen = Some((from, priority));
        }
        chosen.map(|(address, _)| address) != before
    }
}

const fn place(component: Component) -> usize {
    match component {
        Component::Rtp => 0,
        Component::Rtcp => 1,
    }
}

#[cfg(test)]
mod tests;
