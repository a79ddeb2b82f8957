//! ICE (RFC 8445): which address of the other side reaches which of ours is tried out before media goes there. Pure.
//!
//! Two sides of it. [`Lite`] answers checks and sends where the other side chose (§2.5). [`Full`] checks, too: it opens
//! the way through a router on our side of which nobody knows the rules, and speaks with those who are lite themselves.
//! Both answer later checks, which ask whether we still want the other side's media (RFC 7675); [`Full`] asks the same.
//!
//! Whoever does not know the password of this call is answered as RFC 8489 §9.1.3 says, with less than was sent, and
//! changes nothing.

mod answer;
mod full;
mod lite;
mod pair;

use std::fmt;
use std::net::SocketAddr;

use gateway_core::Instant;
use rand::RngCore;

pub use full::Full;
pub(crate) use full::PAIRS;
pub use lite::Lite;
pub(crate) use pair::{HOST, REFLEXIVE, priority};

/// Characters of `ice-char` (RFC 8839 §5.1).
const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Characters of our user names: 48 bits (RFC 8445 §5.3 asks for 24).
const FRAGMENT: usize = 8;
/// Characters of our passwords: 144 bits (RFC 8445 §5.3 asks for 128).
const PASSWORD: usize = 24;

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

/// Which side of ICE we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// We check, and are checked.
    Full,
    /// The other side checks.
    Lite,
    /// None.
    #[default]
    Off,
}

/// What is agreed about ICE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Ours, which checks are signed with.
    pub local: Credentials,
    /// The other side's fragment, which checks name behind ours.
    pub remote: String,
    /// What our own checks need; none on the lite side.
    pub checks: Option<Checks>,
    /// Where the other side chooses, its last word counts (RFC 8445 §8.1.1). Else it may choose whatever it tries, and the best of
    /// that counts (RFC 5245 §8.1.1.2).
    pub last_counts: bool,
}

impl Agreement {
    /// Does it go on where `other` was? A description that comes again, with more candidates or fewer, begins nothing anew
    /// as long as its credentials are the same (RFC 8839 §4.4.1.1.1).
    #[must_use]
    pub fn continues(&self, other: &Self) -> bool {
        self.local == other.local
            && self.remote == other.remote
            && self.checks.as_ref().map(|checks| &checks.password)
                == other.checks.as_ref().map(|checks| &checks.password)
    }
}

/// What the full side checks, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct Checks {
    /// The other side's, which our checks are signed with.
    pub password: String,
    /// Where it may be reached.
    pub candidates: Vec<Candidate>,
    /// We choose (RFC 8445 §6.1.1).
    pub controlling: bool,
    /// Decides if both want to choose, and makes transactions differ.
    pub tie_breaker: u64,
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checks")
            .field("candidates", &self.candidates)
            .field("controlling", &self.controlling)
            .finish_non_exhaustive()
    }
}

/// An address of the other side, by its own description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What is heard there.
    pub component: Component,
    /// Where.
    pub address: SocketAddr,
    /// How much it likes that to be used (RFC 8445 §5.1.2).
    pub priority: u32,
}

/// Which port of ours a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// RTP, and RTCP on the same port.
    Rtp,
    /// RTCP on a port of its own.
    Rtcp,
}

impl Component {
    /// Both, as they are numbered from 1 (RFC 8445 §5.1.1.1).
    pub const ALL: [Self; 2] = [Self::Rtp, Self::Rtcp];

    /// Its number, less one.
    const fn place(self) -> usize {
        match self {
            Self::Rtp => 0,
            Self::Rtcp => 1,
        }
    }
}

/// What a message did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was none that means anything here; there is no answer.
    Nothing,
    /// An answer is to be sent to where it came from; it may say no.
    Answer,
    /// The same, and media goes elsewhere from here on.
    Chosen,
    /// It answered a check of ours; media may go elsewhere from here on.
    Taken,
}

/// One side of ICE in one media stream.
#[derive(Debug)]
pub enum Agent {
    /// See [`Full`].
    Full(Box<Full>),
    /// See [`Lite`].
    Lite(Box<Lite>),
}

impl Agent {
    /// The side that was agreed on.
    #[must_use]
    pub fn new(agreement: Agreement) -> Self {
        match agreement.checks.clone() {
            Some(checks) => Self::Full(Box::new(Full::new(agreement, checks))),
            None => Self::Lite(Box::new(Lite::new(agreement))),
        }
    }

    /// What it was made with.
    #[must_use]
    pub const fn agreement(&self) -> &Agreement {
        match self {
            Self::Full(full) => full.agreement(),
            Self::Lite(lite) => lite.agreement(),
        }
    }

    /// Where media of a component goes; `None` until that is known.
    #[must_use]
    pub fn target(&self, component: Component) -> Option<SocketAddr> {
        match self {
            Self::Full(full) => full.target(component),
            Self::Lite(lite) => lite.target(component),
        }
    }

    /// Is the other side there, as far as checks have shown?
    #[must_use]
    pub fn knows(&self, from: SocketAddr) -> bool {
        match self {
            Self::Full(full) => full.knows(from),
            Self::Lite(lite) => lite.knows(from),
        }
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
        match self {
            Self::Full(full) => full.handle(now, component, from, packet, out),
            Self::Lite(lite) => lite.handle(component, from, packet, out),
        }
    }

    /// Writes the next check that is due, and says where it goes; to be asked again until there is none.
    pub fn check(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<(Component, SocketAddr)> {
        match self {
            Self::Full(full) => full.check(now, out),
            Self::Lite(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
