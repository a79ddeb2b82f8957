//! What is true about the port. Pure: messages, answers, carrier and time in, commands and events out.
//!
//! The supplicant keeps silent about much: it does not look at the carrier, it goes on to report COMPLETED after a
//! refused re-authentication, and nothing tells it that the switch dropped the port. So the truth is `suppPortStatus`
//! by `STATUS`, asked after each message and every [`STATUS_EVERY`]; the carrier comes from the kernel; silence is
//! measured here; and an authorized port on which no neighbour answers is authenticated anew.

#[cfg(test)]
mod tests;
mod text;

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::{Instant, PortEvent};

use crate::message::{Doubt, Message, Status};

/// `STATUS` is asked at least so often.
const STATUS_EVERY: Duration = Duration::from_secs(3);
/// Neighbours are looked at so often while the port is authorized.
const NEIGHBOURS_EVERY: Duration = Duration::from_secs(5);
/// So many looks in a row must find them silent.
const SILENT_LOOKS: u32 = 2;
/// From the report of a silence to the next try.
const RETRY: Duration = Duration::from_secs(15);
/// Between tries while neighbours are silent: their router may be the one that is off.
const NEIGHBOURS_RETRY: Duration = Duration::from_secs(60);

/// What the neighbour table of the kernel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbours {
    /// One of them answered lately.
    Answering,
    /// Somebody was asked lately, and nobody answered for a while.
    Silent,
    /// Nobody was asked.
    Unknown,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// There is no interface of the name, or the one there was is gone.
    Absent,
    /// The link has a carrier, or not.
    Carrier(bool),
    /// The supplicant runs and its network is enabled.
    Connected,
    /// Another program looks after the port: its name, and what to do.
    Elsewhere {
        /// The program.
        manager: String,
        /// For people.
        text: String,
    },
    /// The supplicant ended, or could not be started; why.
    Gone(String),
    /// An unsolicited message of the supplicant, with its level.
    Message(&'a str),
    /// The neighbour table was looked at.
    Neighbours(Neighbours),
    /// The answer to `STATUS`.
    Status(&'a str),
}

/// What the driver shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Look at the neighbour table.
    Neighbours,
    /// Begin anew: `REASSOCIATE`.
    Reassociate,
    /// Ask `STATUS`.
    Status,
}

/// What to do, or what happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Do it.
    Command(Command),
    /// It happened.
    Event(PortEvent),
}

/// Why a conversation will fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Credentials,
    Material,
    Server(Doubt),
}

/// One EAP conversation, from the authenticator's first question.
#[derive(Clone, Debug)]
struct Talk {
    began: Instant,
    /// The server named a method that we have.
    offered: bool,
    /// The last message that shows that the server lives.
    progress: Instant,
    /// The server named a method that we do not have.
    refused: bool,
    /// Both agreed on a method.
    selected: bool,
    /// Its silence was told.
    silent: bool,
    trouble: Option<Trouble>,
    /// The port was authorized when it began.
    was_authorized: bool,
}

/// The state machine of the port.
///
/// ```text
/// port.handle_input(now, input);
/// while let Some(output) = port.poll_output() { carry it out, in order }
/// wait for the next input, or for port.poll_timeout() and call port.handle_timeout(now)
/// ```
#[derive(Debug)]
pub struct Port {
    authorized: bool,
    carrier: Option<bool>,
    /// An "authorized" of the status is of this attempt, not of the one before.
    fresh: bool,
    interface: String,
    last_status: Status,
    neighbours_at: Instant,
    /// Neighbours were silent; the port counts as authorized again when one answers.
    mute: bool,
    out: VecDeque<Output>,
    retry_at: Option<Instant>,
    running: bool,
    silence: Duration,
    silent_looks: u32,
    status_at: Instant,
    talk: Option<Talk>,
    told: Option<PortEvent>,
    /// Why the conversation failed, until the status confirms it.
    verdict: Option<PortEvent>,
    /// Nobody asked who we are, since then.
    waiting: Option<Instant>,
}

impl Port {
    /// A port of which nothing is known. No answer for `silence` is told as an event.
    #[must_use]
    pub fn new(interface: &str, silence: Duration) -> Self {
        Self {
            authorized: false,
            carrier: None,
            fresh: false,
            interface: interface.to_owned(),
            last_status: Status::default(),
            neighbours_at: Instant::ZERO,
            mute: false,
            out: VecDeque::new(),
            retry_at: None,
            running: false,
            silence,
            silent_looks: 0,
            status_at: Instant::ZERO,
            talk: None,
            told: None,
            verdict: None,
            waiting: None,
        }
    }

    /// True if the switch lets us in, by all we know.
    #[must_use]
    pub const fn is_authorized(&self) -> bool {
        self.authorized
    }

    /// Takes one input.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Absent => {
                self.forget();
                // of another one nothing is known
                self.carrier = None;
                let text = text::interface_absent(&self.interface);
                self.tell(PortEvent::InterfaceAbsent { text });
            }
            Input::Carrier(up) => self.carrier(now, up),
            Input::Connected => {
                self.running = true;
                self.begin(now);
                self.status_at = now;
            }
            Input::Elsewhere { manager, text } => {
                self.forget();
                self.tell(PortEvent::ManagedElsewhere { manager, text });
            }
            Input::Gone(why) => {
                self.forget();
                let text = text::supplicant_failed(&why);
                self.tell(PortEvent::SupplicantFailed { text });
            }
            // what one says that has ended meanwhile does not count
            Input::Message(_) | Input::Neighbours(_) | Input::Status(_) if !self.running => {}
            Input::Message(message) => {
                if let Some(message) = Message::read(message) {
                    self.message(now, message);
                }
            }
            Input::Neighbours(neighbours) => self.neighbours(now, neighbours),
            Input::Status(answer) => {
                if let Some(status) = Status::read(answer) {
                    self.status(now, status);
                }
            }
        }
    }

    /// Takes the passing of time.
    pub fn handle_timeout(&mut self, now: Instant) {
        if !self.running {
            return;
        }
        if now >= self.status_at {
            self.ask(now);
        }
        if self.carrier == Some(false) {
            return;
        }
        if let Some(talk) = &mut self.talk
            && !talk.silent
            && now >= talk.progress + self.silence
        {
            talk.silent = true;
            self.tell_server_silent(now);
        }
        if self.waiting.is_some_and(|since| now >= since + self.silence) {
            self.waiting = None;
            self.tell_authenticator_silent(now);
        }
        if self.retry_at.is_some_and(|at| now >= at) {
            self.retry_at = None;
            if !self.authorized {
                self.reassociate(now);
            }
        }
        if self.authorized && now >= self.neighbours_at {
            self.neighbours_at = now + NEIGHBOURS_EVERY;
            self.out.push_back(Output::Command(Command::Neighbours));
        }
    }

    /// The next thing to do, or that happened.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.running {
            return None;
        }
        let mut next = self.status_at;
        if self.carrier != Some(false) {
            let talk = self.talk.as_ref().filter(|talk| !talk.silent);
            let timers = [
                talk.map(|talk| talk.progress + self.silence),
                self.waiting.map(|since| since + self.silence),
                self.retry_at,
                self.authorized.then_some(self.neighbours_at),
            ];
            next = timers.into_iter().flatten().fold(next, Instant::min);
        }
        Some(next)
    }

    fn carrier(&mut self, now: Instant, up: bool) {
        let before = self.carrier.replace(up);
        if before == Some(up) {
            return;
        }
        if !up {
            self.pause();
            let text = text::carrier_lost(&self.interface);
            self.tell(PortEvent::CarrierLost { text });
        } else if before == Some(false) {
            self.tell(PortEvent::CarrierFound {});
            if self.running {
                self.reassociate(now);
            }
        }
    }

    fn message(&mut self, now: Instant, message: Message) {
        match message {
            Message::Started => {
                self.retry_at = None;
                self.waiting = None;
                self.talk = Some(Talk {
                    began: now,
                    offered: false,
                    progress: now,
                    refused: false,
                    selected: false,
                    silent: false,
                    trouble: None,
                    was_authorized: self.authorized,
                });
            }
            Message::Proposed { refused } => self.heard(now, |talk| {
                if refused {
                    talk.refused = true;
                } else {
                    talk.offered = true;
                }
            }),
            Message::MethodSelected => self.heard(now, |talk| talk.selected = true),
            // what the server is comes before what it says of us, and our own files come before both
            Message::CannotInitialize => self.heard(now, |talk| talk.trouble = Some(Trouble::Material)),
            Message::CertificateError(doubt) => self.heard(now, |talk| match talk.trouble {
                None | Some(Trouble::Credentials) => talk.trouble = Some(Trouble::Server(doubt)),
                Some(Trouble::Material | Trouble::Server(_)) => {}
            }),
            Message::WrongPassword => self.heard(now, |talk| {
                talk.trouble.get_or_insert(Trouble::Credentials);
            }),
            Message::Success | Message::Connected => {
                self.fresh = true;
                self.talk = None;
                self.waiting = None;
                self.verdict = None;
            }
            Message::Failure => self.failure(now),
        }
        self.ask(now);
    }

    fn heard(&mut self, now: Instant, note: impl FnOnce(&mut Talk)) {
        if let Some(talk) = &mut self.talk {
            talk.progress = now;
            talk.silent = false;
            note(talk);
        }
    }

    fn failure(&mut self, now: Instant) {
        self.fresh = true;
        self.waiting = None;
        let Some(talk) = self.talk.take() else {
            // the supplicant gave up without having been asked anything, unless this is the echo of a failure told
            if self.verdict.is_none() && self.told_is_silence_or_nothing() {
                self.tell_authenticator_silent(now);
            }
            return;
        };
        let unanswered = !talk.offered && !talk.refused && !talk.selected;
        self.verdict = Some(match talk.trouble {
            Some(Trouble::Material) => PortEvent::MaterialRefused {
                text: text::material_refused(),
            },
            Some(Trouble::Server(doubt)) => PortEvent::ServerUntrusted {
                reason: doubt.word().to_owned(),
                text: text::server_untrusted(doubt),
            },
            // a server that is asked and says no does so at once; who waits this long was given up by the switch
            None if unanswered && now.since(talk.began) >= self.silence => {
                self.tell_server_silent(now);
                return;
            }
            None if talk.refused && !talk.selected => PortEvent::MethodRefused {
                text: text::method_refused(),
            },
            None | Some(Trouble::Credentials) if talk.was_authorized => PortEvent::ReauthenticationRefused {
                text: text::reauthentication_refused(),
            },
            None | Some(Trouble::Credentials) => PortEvent::CredentialsRefused {
                text: text::credentials_refused(),
            },
        });
        // the supplicant holds back for a minute and tries by itself: more haste would lock the account
        self.retry_at = None;
    }

    fn status(&mut self, now: Instant, status: Status) {
        if self.carrier == Some(false) {
            return;
        }
        if status.authorized {
            if !self.fresh {
                return;
            }
            if !self.authorized {
                self.authorized = true;
                self.neighbours_at = now + NEIGHBOURS_EVERY;
                self.silent_looks = 0;
            }
            self.last_status = status;
            self.waiting = None;
            // while it is asked anew, what comes of that is waited for
            if self.talk.is_none() {
                self.verdict = None;
                self.retry_at = None;
                self.tell_authorized();
            }
            return;
        }
        self.fresh = true;
        let was = std::mem::take(&mut self.authorized);
        if let Some(verdict) = self.verdict.take() {
            let again = matches!(self.told, Some(PortEvent::ReauthenticationRefused { .. }))
                && matches!(verdict, PortEvent::CredentialsRefused { .. });
            if !again {
                self.tell(verdict);
            }
        } else if was && self.talk.is_none() && self.waiting.is_none() {
            self.waiting = Some(now);
        }
    }

    fn neighbours(&mut self, now: Instant, neighbours: Neighbours) {
        if !self.authorized {
            return;
        }
        match neighbours {
            Neighbours::Answering => {
                self.silent_looks = 0;
                if std::mem::take(&mut self.mute) {
                    self.tell_authorized();
                }
            }
            Neighbours::Unknown => self.silent_looks = 0,
            Neighbours::Silent => {
                self.silent_looks += 1;
                if self.silent_looks >= SILENT_LOOKS && self.talk.is_none() {
                    let first = !std::mem::replace(&mut self.mute, true);
                    let text = text::neighbours_silent();
                    self.tell(PortEvent::NeighboursSilent { text });
                    let looks = NEIGHBOURS_RETRY.as_secs() / NEIGHBOURS_EVERY.as_secs();
                    if first || u64::from(self.silent_looks) >= looks {
                        self.reassociate(now);
                    }
                }
            }
        }
    }

    fn reassociate(&mut self, now: Instant) {
        self.out.push_back(Output::Command(Command::Reassociate));
        self.begin(now);
        // not at once: the supplicant has to take the command first
        self.status_at = now + STATUS_EVERY;
    }

    /// An attempt begins; what was heard before is of another one.
    fn begin(&mut self, now: Instant) {
        self.fresh = false;
        self.silent_looks = 0;
        self.talk = None;
        self.verdict = None;
        self.waiting = Some(now);
    }

    /// No supplicant of ours runs.
    fn forget(&mut self) {
        self.running = false;
        self.pause();
    }

    /// The port is not ours any more, and nothing that was going on counts.
    fn pause(&mut self) {
        self.authorized = false;
        self.fresh = false;
        self.mute = false;
        self.retry_at = None;
        self.talk = None;
        self.verdict = None;
        self.waiting = None;
    }

    fn ask(&mut self, now: Instant) {
        self.status_at = now + STATUS_EVERY;
        let ask = Output::Command(Command::Status);
        if !self.out.contains(&ask) {
            self.out.push_back(ask);
        }
    }

    fn told_is_silence_or_nothing(&self) -> bool {
        match &self.told {
            None
            | Some(
                PortEvent::AuthenticatorSilent { .. }
                | PortEvent::Authorized { .. }
                | PortEvent::CarrierFound {}
                | PortEvent::CarrierLost { .. }
                | PortEvent::InterfaceAbsent { .. }
                | PortEvent::ManagedElsewhere { .. }
                | PortEvent::ServerSilent { .. }
                | PortEvent::SupplicantFailed { .. },
            ) => true,
            Some(
                PortEvent::CertificateExpires { .. }
                | PortEvent::CertificateGoesOn { .. }
                | PortEvent::CredentialsRefused { .. }
                | PortEvent::MaterialRefused { .. }
                | PortEvent::MethodRefused { .. }
                | PortEvent::NeighboursSilent { .. }
                | PortEvent::ReauthenticationRefused { .. }
                | PortEvent::Released {}
                | PortEvent::ServerUntrusted { .. },
            ) => false,
        }
    }

    fn tell_authenticator_silent(&mut self, now: Instant) {
        let silent_s = self.silence.as_secs();
        let text = text::authenticator_silent(silent_s);
        self.tell(PortEvent::AuthenticatorSilent { silent_s, text });
        self.retry_at = Some(now + RETRY);
    }

    fn tell_server_silent(&mut self, now: Instant) {
        let silent_s = self.silence.as_secs();
        let text = text::server_silent(silent_s);
        self.tell(PortEvent::ServerSilent { silent_s, text });
        self.retry_at = Some(now + RETRY);
    }

    fn tell_authorized(&mut self) {
        if self.mute && matches!(self.told, Some(PortEvent::NeighboursSilent { .. })) {
            return;
        }
        self.mute = false;
        let Status {
            inner, method, tls, ..
        } = self.last_status.clone();
        self.tell(PortEvent::Authorized { inner, method, tls });
    }

    /// News only.
    fn tell(&mut self, event: PortEvent) {
        if self.told.as_ref() != Some(&event) {
            self.told = Some(event.clone());
            self.out.push_back(Output::Event(event));
        }
    }
}
