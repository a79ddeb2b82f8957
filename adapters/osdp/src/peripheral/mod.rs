//! One reader on a line, as a control panel of somebody else sees it: the peripheral device's side (PD).
//!
//! Bytes and time in, bytes and events out. It answers when it is asked and never speaks by itself (v2.2, 5.7). A reader
//! with a key answers in the clear who it is and what it can do, and nothing else; cards leave it through the session
//! only. What a panel shows is told, and opens nothing: the reader has no outputs.

mod command;
mod port;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::{CardFrame, Instant};
use zeroize::Zeroizing;

use command::{Asked, Nak};
pub use command::{Light, Shade};
pub use port::{OsdpPeripheral, keep_key, kept_key};

use crate::key::Key;
use crate::packet::{Check, Deframer, Packet, SecurityBlock};
use crate::secure::{Session, SessionKeys, Side, same};

/// Without a command for so long there is no panel (v2.2, 5.7), and no session.
const OFFLINE: Duration = Duration::from_secs(8);
/// A card that the panel has not fetched by then is old news.
const FRESH: Duration = Duration::from_secs(2);
/// Most cards and rows of keys that wait.
const WAITING: usize = 4;
/// Most keys of one reply.
const KEYS: usize = 32;
/// So many handshakes in a row that the panel does not finish are those of another key.
const UNFINISHED: u8 = 3;
/// So many polls in the clear in a row are of a panel that does not mean to begin a session.
const CLEAR_POLLS: u8 = 3;
/// Longest time between two bytes of a packet; most panels send theirs without a gap of 20 ms (v2.2, 5.7).
const GAP: Duration = Duration::from_millis(100);
/// A panel takes an answer for lost by then (v2.2, 5.7): a later one would meet its next command on the wire.
const REPLY: Duration = Duration::from_millis(200);
/// What everybody listens to.
const EVERYBODY: u8 = 0x7F;

/// How the reader is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// In the clear: whoever reaches the line can read and repeat cards.
    Clear,
    /// With the default key, once, and only to be given a key of its own; until then no card is sent.
    Install,
    /// By the session of this key only.
    Key {
        /// The key.
        key: Key,
        /// May the panel give it another one?
        changes: bool,
    },
}

/// What the reader is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeripheralParams {
    /// 0 to 126.
    pub address: u8,
    /// Bits per second, as it is told when the panel wants another one.
    pub baud: u32,
    /// How it is spoken to.
    pub secrecy: Secrecy,
    /// Serial number; it also makes the id of the handshake.
    pub serial: u32,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The panel beeps: how often, 0 until it ends that.
    Beep(u8),
    /// The panel has taken what was shown.
    Delivered,
    /// The panel gave it a key, which has to be kept before [`Peripheral::kept`] is told, or
    /// [`Peripheral::not_kept`].
    Key(Key),
    /// What the light shows is another than before.
    Light(Light),
    /// What was shown was not fetched in time, or nobody knows whether it was.
    Missed,
    /// The panel does not ask any more.
    Offline,
    /// The panel asks, and may be told.
    Online,
    /// The panel wants another address or speed, and was told that they stay.
    Settings {
        /// Which address.
        address: u8,
        /// Which speed.
        baud: u32,
    },
    /// A text for the display.
    Text(String),
    /// The panel does not have the key, or speaks in the clear to a reader that has one.
    Unsecured,
}

/// What is to be done or told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    /// To be told.
    Heard(Heard),
    /// Bytes for the panel.
    Send(Vec<u8>),
}

/// What waits for a poll.
struct Waiting {
    at: Instant,
    code: u8,
    data: Zeroizing<Vec<u8>>,
}

enum Channel {
    None,
    /// Challenged; which key, and what the panel has to prove.
    Challenged {
        installs: bool,
        keys: Box<SessionKeys>,
        server: [u8; 16],
    },
    Open {
        installs: bool,
        session: Box<Session>,
    },
}

/// The last command and what was answered, for a panel that did not hear it.
struct Answered {
    command: Packet,
    reply: Vec<u8>,
    /// When the card or the keys of the answer were shown.
    shown: Option<Instant>,
}

/// A command whose answer waits until the new key is kept.
struct Keying {
    at: Instant,
    command: Packet,
}

/// The reader.
pub struct Peripheral {
    answered: Option<Answered>,
    /// Challenges in a row that the panel did not go on from: a panel with another key gives up there.
    challenges: u8,
    channel: Channel,
    /// Polls in the clear in a row, of a reader with a key.
    clear_polls: u8,
    deframer: Deframer,
    /// When bytes came last.
    fed: Option<Instant>,
    /// When the panel was heard last; `None` while it is away.
    heard: Option<Instant>,
    keying: Option<Keying>,
    light: Option<Light>,
    online: bool,
    out: VecDeque<Out>,
    params: PeripheralParams,
    random: Box<dyn FnMut() -> [u8; 8] + Send>,
    /// Something that was shown is out: the panel's next command says that it arrived.
    sent: bool,
    /// It was told that the panel is not secured.
    unsecured: bool,
    waiting: VecDeque<Waiting>,
}

impl Peripheral {
    /// A reader that was just switched on.
    pub fn new(params: PeripheralParams, random: impl FnMut() -> [u8; 8] + Send + 'static) -> Self {
        Self {
            answered: None,
            challenges: 0,
            channel: Channel::None,
            clear_polls: 0,
            deframer: Deframer::default(),
            fed: None,
            heard: None,
            keying: None,
            light: None,
            online: false,
            out: VecDeque::new(),
            params,
            random: Box::new(random),
            sent: false,
            unsecured: false,
            waiting: VecDeque::new(),
        }
    }

    /// Shows a card, for the next poll (RAW, 7.10). False if it cannot be told: nobody asks, or too much waits.
    pub fn card(&mut self, now: Instant, frame: &CardFrame) -> bool {
        let [low, high] = frame.bits.to_le_bytes();
        // format 1: bits as Wiegand has them, with their parity
        let data = [&[0, 1, low, high], &frame.data[..]].concat();
        self.wait(now, 0x50, data)
    }

    /// Types keys `0-9 * #`, for the next poll (KEYPAD, 7.12).
    pub fn keys(&mut self, now: Instant, keys: &str) -> bool {
        let code = |key: char| match key {
            '0'..='9' => u8::try_from(key).ok(),
            '*' => Some(0x7F),
            '#' => Some(0x0D),
            _ => None,
        };
        let Some(codes) = keys.chars().map(code).collect::<Option<Vec<u8>>>() else {
            return false;
        };
        let Some(count) = u8::try_from(codes.len())
            .ok()
            .filter(|_| (1..=KEYS).contains(&codes.len()))
        else {
            return false;
        };
        self.wait(now, 0x53, [&[0, count], &codes[..]].concat())
    }

    fn wait(&mut self, at: Instant, code: u8, data: Vec<u8>) -> bool {
        self.handle_timeout(at);
        let data = Zeroizing::new(data);
        let takes = self.online && self.waiting.len() < WAITING;
        if takes {
            self.waiting.push_back(Waiting { at, code, data });
        }
        takes
    }

    /// Takes bytes of the line. Of several commands that came at once the panel waits for the answer to the last one only:
    /// those before it are as if they had got lost.
    pub fn handle_input(&mut self, now: Instant, bytes: &[u8]) {
        self.handle_timeout(now);
        if self.fed.replace(now).is_some_and(|fed| now.since(fed) > GAP) {
            self.deframer.clear();
        }
        self.deframer.push(bytes);
        let mut last = None;
        while let Some(found) = self.deframer.packet() {
            // what is damaged may have been for another reader: the panel asks again
            let Ok(packet) = found else { continue };
            let ours = packet.address == self.params.address || packet.address == EVERYBODY;
            if ours && !packet.is_reply {
                last = Some(packet);
            }
        }
        if let Some(packet) = last {
            self.packet(now, packet);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self
            .waiting
            .front()
            .is_some_and(|first| now.since(first.at) >= FRESH)
        {
            self.waiting.pop_front();
            self.tell(Heard::Missed);
        }
        if self.heard.is_some_and(|heard| now.since(heard) >= OFFLINE) {
            self.heard = None;
            self.answered = None;
            self.close();
            self.offline();
            // it gave up after the handshake: some try again only much later
            if std::mem::take(&mut self.challenges) > 0 {
                self.unsecured = true;
                self.tell(Heard::Unsecured);
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.waiting.front().map(|first| first.at + FRESH);
        let heard = self.heard.map(|heard| heard + OFFLINE);
        waiting.into_iter().chain(heard).min()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Out> {
        self.out.pop_front()
    }

    /// This key of [`Heard::Key`] is kept: from here on nothing else counts, whatever became of the command meanwhile.
    pub fn kept(&mut self, now: Instant, key: Key) {
        self.params.secrecy = Secrecy::Key { key, changes: true };
        if let Some(Keying { at, command }) = self.keying.take() {
            self.late(now, at, |reader| reader.answer(command, 0x40, &[]));
        }
    }

    /// The key of [`Heard::Key`] could not be kept.
    pub fn not_kept(&mut self, now: Instant) {
        if let Some(Keying { at, command }) = self.keying.take() {
            self.late(now, at, |reader| reader.nak(command, Nak::Unable));
        }
    }

    /// Answers what came at a time; when the panel does not wait for it any more, then once it asks again.
    fn late(&mut self, now: Instant, at: Instant, answer: impl FnOnce(&mut Self)) {
        let before = self.out.len();
        answer(self);
        if now.since(at) >= REPLY {
            self.out.truncate(before);
        }
    }

    fn tell(&mut self, heard: Heard) {
        self.out.push_back(Out::Heard(heard));
    }

    fn offline(&mut self) {
        if std::mem::take(&mut self.online) {
            self.tell(Heard::Offline);
        }
        while self.waiting.pop_front().is_some() {
            self.tell(Heard::Missed);
        }
    }

    /// There is no session any more.
    fn close(&mut self) {
        self.channel = Channel::None;
        self.keying = None;
        if std::mem::take(&mut self.sent) {
            self.tell(Heard::Missed);
        }
    }

    fn packet(&mut self, now: Instant, packet: Packet) {
        if packet.sequence == 0 {
            // the panel begins anew; it has nothing of before (v2.2, 5.9)
            self.answered = None;
            self.close();
        } else if let Some(Answered {
            command,
            reply,
            shown,
        }) = &self.answered
        {
            if *command == packet {
                if shown.is_some_and(|at| now.since(at) >= FRESH) {
                    self.outdated(now, packet);
                    return;
                }
                let reply = reply.clone();
                self.heard = Some(now);
                self.out.push_back(Out::Send(reply));
                return;
            }
            if packet.sequence != command.sequence % 3 + 1 {
                self.nak(packet, Nak::Sequence);
                return;
            }
        }
        if self
            .keying
            .as_ref()
            .is_some_and(|keying| keying.command == packet)
        {
            return;
        }
        let data = match self.opened(&packet) {
            Ok(data) => data,
            Err(nak) => {
                self.close();
                self.unsecured();
                self.nak(packet, nak);
                return;
            }
        };
        self.heard = Some(now);
        // its next question says that the last answer arrived
        if std::mem::take(&mut self.sent) {
            self.tell(Heard::Delivered);
        }
        match Asked::read(packet.code, &data) {
            Ok(asked) => self.asked(now, packet, asked),
            Err(nak) => self.nak(packet, nak),
        }
    }

    /// The panel asks again for a card that is old by now: it is not told, and the panel has to begin anew.
    fn outdated(&mut self, now: Instant, command: Packet) {
        self.heard = Some(now);
        self.answered = None;
        let nak = if self.is_open() {
            Nak::Security
        } else {
            Nak::Sequence
        };
        self.close();
        self.nak(command, nak);
    }

    fn unsecured(&mut self) {
        if !std::mem::replace(&mut self.unsecured, true) {
            self.tell(Heard::Unsecured);
        }
    }

    /// The data of a packet that belongs where the link is; else why not.
    fn opened(&mut self, packet: &Packet) -> Result<Zeroizing<Vec<u8>>, Nak> {
        let kind = packet.security.as_ref().map(|block| block.kind);
        let handshake = matches!(
            (kind, packet.code),
            (Some(SecurityBlock::CHALLENGE), 0x76) | (Some(SecurityBlock::SERVER), 0x77)
        );
        match &mut self.channel {
            _ if handshake => Ok(packet.data.clone()),
            Channel::Open { session, .. } => session.unwrap(packet).map_err(|_| Nak::Security),
            Channel::Challenged { .. } | Channel::None => match kind {
                // a handshake has its block
                None if matches!(packet.code, 0x76 | 0x77) => Err(Nak::Security),
                None => Ok(packet.data.clone()),
                Some(SecurityBlock::COMMAND | SecurityBlock::SEALED_COMMAND) => Err(Nak::Security),
                Some(_) => Err(Nak::Block),
            },
        }
        .map(Zeroizing::new)
    }

    fn is_open(&self) -> bool {
        matches!(self.channel, Channel::Open { .. })
    }

    /// May the panel be told of cards, and command lights?
    fn is_trusted(&self) -> bool {
        match (&self.params.secrecy, &self.channel) {
            (Secrecy::Clear, _) | (Secrecy::Key { .. }, Channel::Open { installs: false, .. }) => true,
            (Secrecy::Install | Secrecy::Key { .. }, _) => false,
        }
    }

    fn asked(&mut self, now: Instant, packet: Packet, asked: Asked) {
        let trusted = self.is_trusted();
        match asked {
            Asked::Acknowledge => self.answer(packet, 0x40, &[]),
            Asked::Capabilities => self.answer(packet, 0x46, &self.capabilities()),
            Asked::Challenge(panel) => self.challenge(packet, panel),
            Asked::Cryptogram(proof) => self.cryptogram(packet, proof),
            Asked::Id => self.answer(packet, 0x45, &self.identity()),
            Asked::KeySet(key) => self.key(now, packet, key),
            // a keyed reader that is asked in the clear lives, and says no more
            Asked::Poll if !trusted => {
                self.clear_poll(&packet);
                self.answer(packet, 0x40, &[]);
            }
            _ if !trusted => {
                self.unsecured();
                self.nak(packet, Nak::Security);
            }
            Asked::Beep { count, on } => {
                if on {
                    self.tell(Heard::Beep(count));
                }
                self.answer(packet, 0x40, &[]);
            }
            // one input and one output that never change: a panel that asks for them does not give up the reader
            Asked::InputStatus => self.answer(packet, 0x49, &[0]),
            Asked::Lights(lights) => {
                for light in lights {
                    if self.light.replace(light) != Some(light) {
                        self.tell(Heard::Light(light));
                    }
                }
                self.answer(packet, 0x40, &[]);
            }
            Asked::LocalStatus => self.answer(packet, 0x48, &[0, 0]),
            Asked::OutputStatus => self.answer(packet, 0x4A, &[0]),
            Asked::Poll => self.poll(packet),
            Asked::ReaderStatus => self.answer(packet, 0x4B, &[0]),
            Asked::Settings { address, baud } => {
                if (address, baud) != (self.params.address, self.params.baud) {
                    self.tell(Heard::Settings { address, baud });
                }
                // what it goes on with (7.13): the site file says it, and a panel does not write that
                let settings = [&[self.params.address], &self.params.baud.to_le_bytes()[..]].concat();
                self.answer(packet, 0x54, &settings);
            }
            Asked::Text(text) => {
                self.tell(Heard::Text(text));
                self.answer(packet, 0x40, &[]);
            }
        }
    }

    /// A panel that lost its key, or never had one, goes on without a session.
    fn clear_poll(&mut self, packet: &Packet) {
        if packet.security.is_none() && matches!(self.params.secrecy, Secrecy::Key { .. }) {
            self.clear_polls = self.clear_polls.saturating_add(1);
            if self.clear_polls >= CLEAR_POLLS {
                self.unsecured();
            }
        }
    }

    fn poll(&mut self, packet: Packet) {
        // also after one with another key, for which it was not offline long enough
        let untrusted = std::mem::take(&mut self.unsecured);
        if !std::mem::replace(&mut self.online, true) || untrusted {
            self.tell(Heard::Online);
        }
        match self.waiting.pop_front() {
            Some(Waiting { at, code, data }) => {
                self.answer(packet, code, &data);
                if let Some(answered) = &mut self.answered {
                    answered.shown = Some(at);
                }
                self.sent = true;
            }
            None => self.answer(packet, 0x40, &[]),
        }
    }

    fn challenge(&mut self, packet: Packet, panel: [u8; 8]) {
        let which = packet
            .security
            .as_ref()
            .and_then(|block| block.data.first().copied());
        let (key, installs) = match (&self.params.secrecy, which) {
            (Secrecy::Install, Some(0)) => (Key::well_known(), true),
            (Secrecy::Key { key, .. }, Some(1)) => (key.clone(), false),
            (Secrecy::Clear, _) => {
                self.nak(packet, Nak::Block);
                return;
            }
            (Secrecy::Install | Secrecy::Key { .. }, _) => {
                self.unsecured();
                self.nak(packet, Nak::Security);
                return;
            }
        };
        self.clear_polls = 0;
        self.challenges = self.challenges.saturating_add(1);
        if self.challenges >= UNFINISHED {
            self.unsecured();
        }
        let random = (self.random)();
        let keys = SessionKeys::derive(&key, panel);
        let client = keys.client(panel, random);
        let data = [&self.uid()[..], &random, &client].concat();
        let server = keys.server(panel, random);
        self.channel = Channel::Challenged {
            installs,
            keys: Box::new(keys),
            server,
        };
        self.handshake(packet, SecurityBlock::CLIENT, u8::from(!installs), 0x76, &data);
    }

    fn cryptogram(&mut self, packet: Packet, proof: [u8; 16]) {
        let Channel::Challenged {
            installs,
            keys,
            server,
        } = std::mem::replace(&mut self.channel, Channel::None)
        else {
            self.nak(packet, Nak::Security);
            return;
        };
        if !same(&proof, &server) {
            self.unsecured();
            self.nak(packet, Nak::Security);
            return;
        }
        self.challenges = 0;
        let initial = keys.initial(server);
        self.handshake(packet, SecurityBlock::INITIAL, 1, 0x78, &initial);
        let session = Box::new(Session::new(Side::Reader, *keys, initial));
        self.channel = Channel::Open { installs, session };
    }

    /// A key is taken inside a session only, and where the site file lets the panel choose it.
    fn key(&mut self, now: Instant, packet: Packet, key: Key) {
        // who comes by the default key gives one, and no second one
        let given = match self.channel {
            Channel::Open { installs, .. } => installs && self.params.secrecy != Secrecy::Install,
            Channel::Challenged { .. } | Channel::None => true,
        };
        let may = match self.params.secrecy {
            Secrecy::Clear | Secrecy::Key { changes: false, .. } => false,
            Secrecy::Install | Secrecy::Key { changes: true, .. } => true,
        };
        if given {
            self.nak(packet, Nak::Security);
        } else if !may || key == Key::well_known() {
            self.nak(packet, Nak::Unable);
        } else {
            self.tell(Heard::Key(key));
            self.keying = Some(Keying {
                at: now,
                command: packet,
            });
        }
    }

    /// Vendor, model, version, serial number, firmware (7.4). The vendor is one that nobody has.
    fn identity(&self) -> [u8; 12] {
        let [a, b, c, d] = self.params.serial.to_le_bytes();
        [0xD0, 0x0E, 0x11, 1, 1, a, b, c, d, 1, 0, 0]
    }

    fn uid(&self) -> [u8; 8] {
        let [a, b, c, d] = self.params.serial.to_le_bytes();
        [0xD0, 0x0E, 0x11, 1, a, b, c, d]
    }

    /// Function, level, number (7.5, annex B).
    fn capabilities(&self) -> Vec<u8> {
        let secure = u8::from(self.params.secrecy != Secrecy::Clear);
        let installs = u8::from(self.params.secrecy == Secrecy::Install);
        [
            [3, 1, 0], // cards as bits
            [4, 1, 1], // LED: on and off by times, colours
            [5, 1, 1], // buzzer
            [6, 1, 1], // text
            [8, 1, 0], // CRC
            [9, secure, installs],
            [10, 0xA0, 0x05], // longest packet that it takes: 1440
            [13, 0, 1],       // one reader
        ]
        .concat()
    }

    fn nak(&mut self, command: Packet, nak: Nak) {
        self.answer(command, 0x41, &[nak as u8]);
    }

    fn handshake(&mut self, command: Packet, kind: u8, which: u8, code: u8, data: &[u8]) {
        let block = SecurityBlock {
            kind,
            data: vec![which],
        };
        self.reply(command, Some(block), code, data);
    }

    /// Answers: through the session if the command came through it.
    fn answer(&mut self, command: Packet, code: u8, data: &[u8]) {
        let secured = command.security.as_ref().is_some_and(SecurityBlock::has_mac);
        match &mut self.channel {
            Channel::Open { session, .. } if secured => {
                let packet = session.wrap(self.params.address, command.sequence, code, data);
                self.said(command, &packet);
            }
            Channel::Open { .. } | Channel::Challenged { .. } | Channel::None => {
                self.reply(command, None, code, data);
            }
        }
    }

    fn reply(&mut self, command: Packet, security: Option<SecurityBlock>, code: u8, data: &[u8]) {
        let packet = Packet {
            address: self.params.address,
            is_reply: true,
            sequence: command.sequence,
            // a panel that sums cannot be asked for more
            check: if security.is_some() {
                Check::Crc
            } else {
                command.check
            },
            security,
            code,
            data: data.to_vec(),
            mac: None,
        };
        self.said(command, &packet);
    }

    fn said(&mut self, command: Packet, packet: &Packet) {
        let reply = packet.encode();
        self.out.push_back(Out::Send(reply.clone()));
        // one that is out of order is not the last one of the order
        let refused = packet.code == 0x41 && packet.data == [Nak::Sequence as u8];
        if !refused {
            self.answered = Some(Answered {
                command,
                reply,
                shown: None,
            });
        }
    }
}
