//! The link to one reader as the panel keeps it: sequence numbers, the handshake of the secure channel, the session.
//!
//! It says what to send next and what an answer means for the link; commands come from outside ([`Link::open`] says
//! when they may). A reader that has a key gets nothing but the handshake in the clear, whatever it says: there is no
//! way from here to an open link without its session.

use std::time::Duration;

use gateway_core::Instant;
use zeroize::Zeroizing;

use crate::key::Key;
use crate::message::{Command, Reply, ReplyError, nak_reason};
use crate::packet::{Check, Packet, SecurityBlock};
use crate::secure::{Session, SessionKeys, Side, same};

/// After a handshake that failed with every key it is tried again.
pub(crate) const AGAIN: Duration = Duration::from_secs(5);

/// How a reader is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// In the clear: whoever reaches the line can read and repeat cards.
    Clear,
    /// By the secure channel only.
    Keyed {
        /// The reader's key.
        key: Key,
        /// The key it had before: a reader that still has it is given the new one.
        old: Option<Key>,
    },
}

/// Which key a handshake is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// The reader's own.
    Own,
    /// The one before.
    Old,
    /// The one that everybody knows, while an operator lets it be.
    WellKnown,
}

/// Why there is no link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It does not have the key.
    Key,
    /// It does not take its new key.
    KeySet(u8),
    /// It speaks in the clear only.
    NoSecurity(u8),
    /// In the clear it does not speak.
    SecurityWanted,
}

impl Refused {
    /// What was found, and what to do.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Key => {
                "the reader does not have the key of the site file: it is another reader, was reset, or is \
                          new. Nothing it sends is taken; doorline osdp install gives it the key"
                    .to_owned()
            }
            Self::KeySet(code) => format!(
                "the reader does not take its new key ({}): nothing it sends is taken",
                nak_reason(code)
            ),
            Self::NoSecurity(code) => format!(
                "the reader refuses the secure channel ({}): it has a key and is not spoken to in the clear. Reset \
                 it and give it the key with doorline osdp install, or look who answers on the line",
                nak_reason(code)
            ),
            Self::SecurityWanted => {
                "the reader wants the secure channel: give it a key-file and take out unencrypted".to_owned()
            }
        }
    }
}

enum State {
    /// To begin, not before this.
    Closed(Instant),
    /// The challenge is out.
    Challenge { random: [u8; 8], which: Which },
    /// The server cryptogram is out.
    Cryptogram {
        initial: [u8; 16],
        keys: Box<SessionKeys>,
        which: Which,
    },
    /// A session with a key that is not its own: the new key is out.
    KeySet(Box<Session>),
    /// Commands may be sent in the clear.
    Clear,
    /// Commands may be sent through the session.
    Secure(Box<Session>),
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// In the clear where there is a key, with a false MAC, or of another session: as if nothing had come, but worth a word.
    Forged,
    /// Not for us, or not now: as if nothing had come.
    Nothing,
    /// The link goes on by itself.
    Link,
    /// The link is open: the handshake is over.
    Opened,
    /// The reader took its new key; the link begins anew with it.
    KeyTaken,
    /// The link is closed; why.
    Closed(Refused),
    /// The reader forgot the session: the link begins anew.
    Lost,
    /// An answer to a command.
    Reply(Reply),
    /// To be sent again.
    Busy,
}

/// The link.
pub(crate) struct Link {
    address: u8,
    /// Which of [`Link::keys`] is next.
    attempt: usize,
    /// The default key may be used until then.
    install: Option<Instant>,
    security: Security,
    /// Of the last command; `None` before the first one.
    sequence: Option<u8>,
    state: State,
    /// Why the best of the attempts failed.
    why: Option<Refused>,
}

impl Link {
    pub(crate) const fn new(address: u8, security: Security) -> Self {
        Self {
            address,
            attempt: 0,
            install: None,
            security,
            sequence: None,
            state: State::Closed(Instant::ZERO),
            why: None,
        }
    }

    /// Lets the default key be used until `until`, for this reader, once.
    /// A reader that is spoken to by its own key has it: a window then would only let somebody on the line take its place.
    pub(crate) fn install(&mut self, until: Instant) {
        if matches!(self.security, Security::Keyed { .. }) && !matches!(self.state, State::Secure(_)) {
            self.install = Some(until);
            if let State::Closed(at) = &mut self.state {
                *at = Instant::ZERO;
            }
        }
    }

    /// May commands be sent?
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, State::Clear | State::Secure(_))
    }

    /// When the handshake may begin; `None` while it runs and when the link is open.
    pub(crate) const fn begins(&self) -> Option<Instant> {
        match self.state {
            State::Closed(at) => Some(at),
            State::Challenge { .. }
            | State::Clear
            | State::Cryptogram { .. }
            | State::KeySet(_)
            | State::Secure(_) => None,
        }
    }

    /// Begins anew at once, with the reader's own key.
    pub(crate) fn close(&mut self) {
        self.attempt = 0;
        self.shut(Instant::ZERO);
    }

    fn shut(&mut self, until: Instant) {
        self.state = State::Closed(until);
        self.sequence = None;
    }

    /// The packet that opens a closed link, if one is needed, with the panel's random number.
    pub(crate) fn open(&mut self, now: Instant, random: [u8; 8]) -> Option<Vec<u8>> {
        if self.install.is_some_and(|until| now >= until) {
            self.install = None;
        }
        match self.keys().get(self.attempt).copied() {
            None if self.security == Security::Clear => {
                self.state = State::Clear;
                None
            }
            None => {
                // the window closed between two attempts
                self.attempt = 0;
                self.shut(now);
                None
            }
            Some(which) => {
                self.state = State::Challenge { random, which };
                self.sequence = None;
                let command = Command::Challenge(random);
                Some(self.handshake(SecurityBlock::CHALLENGE, which, &command))
            }
        }
    }

    /// The keys to try, in order.
    fn keys(&self) -> Vec<Which> {
        let Security::Keyed { old, .. } = &self.security else {
            return vec![];
        };
        let old = old.as_ref().map(|_| Which::Old);
        let well_known = self.install.map(|_| Which::WellKnown);
        [Some(Which::Own), old, well_known]
            .into_iter()
            .flatten()
            .collect()
    }

    fn key(&self, which: Which) -> Option<Key> {
        match (which, &self.security) {
            (Which::WellKnown, Security::Keyed { .. }) => Some(Key::well_known()),
            (Which::Own, Security::Keyed { key, .. }) => Some(key.clone()),
            (Which::Old, Security::Keyed { old, .. }) => old.clone(),
            (_, Security::Clear) => None,
        }
    }

    /// The next packet with a command: through the session if there is one, in the clear only on a link that is
    /// configured so. `None` while the link is closed.
    pub(crate) fn command(&mut self, command: &Command) -> Option<Vec<u8>> {
        let sequence = self.next();
        let (code, data) = command.encode();
        let data = Zeroizing::new(data);
        let packet = match &mut self.state {
            State::Secure(session) | State::KeySet(session) => {
                session.wrap(self.address, sequence, code, &data)
            }
            State::Clear => self.plain(sequence, code, &data, None),
            State::Challenge { .. } | State::Closed(_) | State::Cryptogram { .. } => return None,
        };
        self.sequence = Some(sequence);
        Some(packet.encode())
    }

    fn plain(&self, sequence: u8, code: u8, data: &[u8], security: Option<SecurityBlock>) -> Packet {
        Packet {
            address: self.address,
            is_reply: false,
            sequence,
            check: Check::Crc,
            security,
            code,
            data: data.to_vec(),
            mac: None,
        }
    }

    fn handshake(&mut self, kind: u8, which: Which, command: &Command) -> Vec<u8> {
        let sequence = self.next();
        self.sequence = Some(sequence);
        let (code, data) = command.encode();
        let data_of = vec![u8::from(which != Which::WellKnown)];
        let block = SecurityBlock { kind, data: data_of };
        self.plain(sequence, code, &data, Some(block)).encode()
    }

    /// 0 begins anew, then 1, 2, 3, 1.
    const fn next(&self) -> u8 {
        match self.sequence {
            None => 0,
            Some(last) => last % 3 + 1,
        }
    }

    /// Takes a packet that came after the last one of ours; the second value is what to send at once.
    pub(crate) fn hear(&mut self, now: Instant, packet: &Packet) -> (Heard, Option<Vec<u8>>) {
        if !packet.is_reply || packet.address != self.address {
            return (Heard::Nothing, None);
        }
        let in_turn = Some(packet.sequence) == self.sequence;
        let clear = packet.security.is_none();
        let reply = Reply::parse(packet.code, &packet.data);
        if clear && reply == Ok(Reply::Busy) && (in_turn || packet.sequence == 0) {
            return (Heard::Busy, None);
        }
        if !in_turn {
            return (Heard::Nothing, None);
        }
        let heard = match &mut self.state {
            State::Challenge { random, which } => {
                let (random, which) = (*random, *which);
                return self.challenged(now, packet, &reply, random, which);
            }
            State::Cryptogram { .. } => return self.proved(now, packet, &reply),
            State::Clear => self.heard_clear(now, packet, reply),
            State::Secure(session) => heard_secure(session, packet, &reply),
            State::KeySet(session) => match heard_secure(session, packet, &reply) {
                Heard::Reply(Reply::Nak(code)) => self.failed(now, Refused::KeySet(code)),
                Heard::Reply(_) => {
                    // what proves it is the handshake with the new key
                    self.install = None;
                    self.close();
                    Heard::KeyTaken
                }
                heard @ (Heard::Busy
                | Heard::Closed(_)
                | Heard::Forged
                | Heard::KeyTaken
                | Heard::Link
                | Heard::Lost
                | Heard::Nothing
                | Heard::Opened) => heard,
            },
            State::Closed(_) => Heard::Nothing,
        };
        if heard == Heard::Lost {
            self.close();
        }
        (heard, None)
    }

    fn challenged(
        &mut self,
        now: Instant,
        packet: &Packet,
        reply: &Result<Reply, ReplyError>,
        panel: [u8; 8],
        which: Which,
    ) -> (Heard, Option<Vec<u8>>) {
        match reply {
            Ok(Reply::ClientCryptogram {
                cryptogram, random, ..
            }) if is_step(packet, SecurityBlock::CLIENT) => {
                let Some(key) = self.key(which) else {
                    return (self.failed(now, Refused::Key), None);
                };
                let keys = SessionKeys::derive(&key, panel);
                if !same(&keys.client(panel, *random), cryptogram) {
                    return (self.failed(now, Refused::Key), None);
                }
                let server = keys.server(panel, *random);
                let initial = keys.initial(server);
                self.state = State::Cryptogram {
                    initial,
                    keys: Box::new(keys),
                    which,
                };
                let command = Command::ServerCryptogram(server);
                let bytes = self.handshake(SecurityBlock::SERVER, which, &command);
                (Heard::Link, Some(bytes))
            }
            // a packet that was damaged on the line or is out of turn is sent again
            Ok(Reply::Nak(1 | 4)) => (Heard::Nothing, None),
            Ok(Reply::Nak(code)) => (self.failed(now, Refused::NoSecurity(*code)), None),
            // to a challenge no reader says anything else
            Ok(_) => (Heard::Forged, None),
            Err(_) => (Heard::Nothing, None),
        }
    }

    fn proved(
        &mut self,
        now: Instant,
        packet: &Packet,
        reply: &Result<Reply, ReplyError>,
    ) -> (Heard, Option<Vec<u8>>) {
        let state = std::mem::replace(&mut self.state, State::Closed(now));
        let State::Cryptogram { initial, keys, which } = state else {
            return (Heard::Nothing, None);
        };
        match reply {
            Ok(Reply::InitialMac(mac)) if is_step(packet, SecurityBlock::INITIAL) => {
                if !same(mac, &initial) {
                    return (self.failed(now, Refused::Key), None);
                }
                let session = Box::new(Session::new(Side::Panel, *keys, initial));
                if which == Which::Own {
                    // the window is for a reader that does not have its key
                    (self.install, self.why, self.attempt) = (None, None, 0);
                    self.state = State::Secure(session);
                    return (Heard::Opened, None);
                }
                self.state = State::KeySet(session);
                let key = self.key(Which::Own).map(Command::KeySet);
                let bytes = key.and_then(|command| self.command(&command));
                (Heard::Link, bytes)
            }
            Ok(Reply::Nak(_)) => (self.failed(now, Refused::Key), None),
            Ok(_) | Err(_) => {
                self.state = State::Cryptogram { initial, keys, which };
                let heard = if reply.is_ok() {
                    Heard::Forged
                } else {
                    Heard::Nothing
                };
                (heard, None)
            }
        }
    }

    /// The next key, or none for a while.
    fn failed(&mut self, now: Instant, why: Refused) -> Heard {
        // that it does not have its own key says more than how the others failed
        let why = *self.why.get_or_insert(why);
        self.attempt += 1;
        if self.attempt < self.keys().len() {
            self.shut(now);
            return Heard::Link;
        }
        self.attempt = 0;
        self.why = None;
        self.shut(now + AGAIN);
        Heard::Closed(why)
    }

    fn heard_clear(&mut self, now: Instant, packet: &Packet, reply: Result<Reply, ReplyError>) -> Heard {
        if packet.security.is_some() {
            return Heard::Nothing;
        }
        match reply {
            Ok(Reply::Nak(5 | 6)) => {
                self.shut(now + AGAIN);
                Heard::Closed(Refused::SecurityWanted)
            }
            Ok(Reply::Nak(4)) => Heard::Lost,
            Ok(reply) => Heard::Reply(reply),
            Err(error) => {
                tracing::debug!(address = self.address, %error, "a reply is left out");
                Heard::Reply(Reply::Other(packet.code))
            }
        }
    }
}

/// Is it this step of the handshake? Which key the reader believes to use does not matter: the cryptogram tells.
fn is_step(packet: &Packet, kind: u8) -> bool {
    packet.security.as_ref().is_some_and(|block| block.kind == kind)
}

fn heard_secure(session: &mut Session, packet: &Packet, reply: &Result<Reply, ReplyError>) -> Heard {
    match session.unwrap(packet) {
        Ok(data) => match Reply::parse(packet.code, &Zeroizing::new(data)) {
            Ok(reply) => Heard::Reply(reply),
            Err(error) => {
                tracing::debug!(address = packet.address, %error, "a reply is left out");
                Heard::Reply(Reply::Other(packet.code))
            }
        },
        // A reader that was without supply says in the clear that it knows of no session. All that follows from it is
        // another handshake.
        Err(_) if packet.security.is_none() && matches!(reply, Ok(Reply::Nak(_))) => Heard::Lost,
        Err(error) => {
            tracing::debug!(address = packet.address, %error, "a packet does not belong to the session");
            Heard::Forged
        }
    }
}
