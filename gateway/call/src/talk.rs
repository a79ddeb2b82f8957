//! The part of a call that has been answered: authority, digits, talk limit. Shared by both plans.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::{CallEvent, Cause, DigitVia, Instant, LegCommand, LegId, Peer, Tone};

use crate::party::same_party;
use crate::tones::Tones;
use crate::types::{DigitPolicy, Output, TalkLimit, WARNING};

/// A digit older than this, by its own time, is old news.
const DIGIT_AGE: Duration = Duration::from_secs(2);

/// At most this many ignored digits are recorded per [`IGNORED_SPAN`] and call; a stranger must not fill the journal.
const IGNORED_MAX: u32 = 10;
const IGNORED_SPAN: Duration = Duration::from_secs(10);

/// At most this many transfers are recorded per [`TRANSFERS_SPAN`] and call; what opens a door names its party anyway.
const TRANSFERS_MAX: u32 = 10;
const TRANSFERS_SPAN: Duration = Duration::from_secs(10);

/// At most this many times is a call held per [`HOLDS_SPAN`]: lamps and the journal follow it.
const HOLDS_MAX: u32 = 5;
const HOLDS_SPAN: Duration = Duration::from_secs(10);

/// One key press as a leg reported it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Press {
    pub(crate) at: Instant,
    pub(crate) digit: char,
    pub(crate) echo: bool,
    pub(crate) leg: LegId,
    pub(crate) via: DigitVia,
}

/// Whether the answered party may open by digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Authority {
    /// It may.
    Held,
    /// It had it and was transferred away.
    Lost,
    /// It is on no list.
    Unlisted,
}

/// The answered leg.
#[derive(Debug)]
pub(crate) struct Talk {
    pub(crate) answered: Instant,
    pub(crate) authority: Authority,
    /// Digits seen before this are old news, whatever their age: the main loop stood still.
    pub(crate) fresh_from: Instant,
    /// The other side holds the call: it does not listen.
    pub(crate) held: bool,
    /// Changes of that which were taken, and since when they are counted.
    holds: (Instant, u32),
    pub(crate) leg: LegId,
    pub(crate) peer: Peer,
    limit: TalkLimit,
    next_tone: Option<Instant>,
    /// Transfers recorded, and since when they are counted.
    transfers: (Instant, u32),
    via: Option<DigitVia>,
    /// The last keys that were found in the speech.
    toned: Tones,
}

/// What the talk limit wants.
pub(crate) enum Due {
    /// The talk is over.
    End,
    /// Nothing.
    Nothing,
}

impl Talk {
    pub(crate) fn new(now: Instant, leg: LegId, peer: Peer, authority: Authority, limit: TalkLimit) -> Self {
        let next_tone = match limit {
            TalkLimit::After(limit) => Some(now + limit.saturating_sub(WARNING)),
            TalkLimit::Permanent { tone_every } => (!tone_every.is_zero()).then(|| now + tone_every),
        };
        Self {
            answered: now,
            authority,
            fresh_from: now,
            held: false,
            holds: (now, 0),
            leg,
            peer,
            limit,
            next_tone,
            transfers: (now, 0),
            via: None,
            toned: Tones::default(),
        }
    }

    /// A key that was pressed to take the call says how this leg sends its keys.
    pub(crate) fn confirmed_by(mut self, now: Instant, press: Press) -> Self {
        self.binds(now, press);
        self
    }

    /// The network names the party once more. Another name, or the same one with another right to open, is told; a mere
    /// repetition is no news.
    pub(crate) fn transfer(
        &mut self,
        now: Instant,
        peer: Peer,
        authority: Authority,
        out: &mut VecDeque<Output>,
    ) {
        let same = peer.address.is_empty() || same_party(&peer.address, &self.peer.address);
        let news = !same || authority != self.authority;
        self.authority = authority;
        if !peer.address.is_empty() {
            self.peer = peer;
        }
        if !news {
            return;
        }
        let (since, count) = &mut self.transfers;
        if now.since(*since) >= TRANSFERS_SPAN {
            (*since, *count) = (now, 0);
        }
        if *count < TRANSFERS_MAX {
            *count += 1;
            out.push_back(Output::Event(CallEvent::Transferred {
                leg: self.leg,
                may_open: authority == Authority::Held,
                peer: self.peer.address.clone(),
            }));
        }
    }

    /// Somebody else has the call from here on, on a leg of his own: what was pressed before does not count, and he may press
    /// in his own way.
    pub(crate) fn inherit(
        &mut self,
        now: Instant,
        leg: LegId,
        peer: Peer,
        authority: Authority,
        out: &mut VecDeque<Output>,
    ) {
        self.authority = authority;
        self.fresh_from = now;
        self.held = false;
        self.leg = leg;
        self.peer = peer;
        self.via = None;
        self.toned = Tones::default();
        out.push_back(Output::Event(CallEvent::Transferred {
            leg,
            may_open: authority == Authority::Held,
            peer: self.peer.address.clone(),
        }));
    }

    /// The other side holds the call or takes it up again. What comes too often is passed over, but for its end.
    pub(crate) fn hold(&mut self, now: Instant, held: bool) {
        let (since, count) = &mut self.holds;
        if now.since(*since) >= HOLDS_SPAN {
            (*since, *count) = (now, 0);
        }
        if held && !self.held {
            *count += 1;
        }
        self.held = held && *count <= HOLDS_MAX;
    }

    /// The party may open no more, for a reason that is told once.
    pub(crate) fn lose_authority(&mut self, why: String, out: &mut VecDeque<Output>) {
        if self.authority != Authority::Lost {
            self.authority = Authority::Lost;
            out.push_back(Output::Event(CallEvent::AuthorityLost { leg: self.leg, why }));
        }
    }

    fn end(&self) -> Option<Instant> {
        match self.limit {
            TalkLimit::After(limit) => Some(self.answered + limit),
            TalkLimit::Permanent { .. } => None,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        [self.end(), self.next_tone].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut VecDeque<Output>) -> Due {
        if self.end().is_some_and(|end| now >= end) {
            return Due::End;
        }
        if self.next_tone.is_some_and(|at| now >= at) {
            let left = self.end().map_or(Duration::ZERO, |end| end.since(now));
            out.push_back(Output::Event(CallEvent::TalkWarning {
                left_ms: millis(left),
            }));
            out.push_back(Output::Leg(LegCommand::PlayToLeg {
                leg: self.leg,
                tone: Tone::TalkWarning,
            }));
            out.push_back(Output::LineTone(Tone::TalkWarning));
            self.next_tone = match self.limit {
                TalkLimit::After(_) => None,
                TalkLimit::Permanent { tone_every } => Some(now + tone_every),
            };
        }
        Due::Nothing
    }

    /// Does this leg send its keys this way? The first one decides. But a message that says which key was pressed (RFC 4733,
    /// INFO) outranks a tone that was taken for one, for good: what was found in the speech must not make the leg deaf to its
    /// keys. The messages of those very keys are their copies.
    fn binds(&mut self, now: Instant, press: Press) -> bool {
        let first = *self.via.get_or_insert(press.via);
        match (first, press.via) {
            (DigitVia::Inband, DigitVia::Info | DigitVia::TelephoneEvent) => {
                self.via = Some(press.via);
                !self.toned.strike(now, press.digit)
            }
            (DigitVia::Inband, DigitVia::Inband) => {
                self.toned.heard(now, press.digit);
                true
            }
            // of several keys that were heard each has its message
            (DigitVia::Info | DigitVia::TelephoneEvent, via) => {
                first == via && !self.toned.strike(now, press.digit)
            }
        }
    }

    /// Takes a digit of this leg, or says why not.
    fn take(&mut self, now: Instant, press: Press) -> Result<(), &'static str> {
        if press.at < self.answered {
            return Err("before-answer");
        }
        // A press that is too old to count still shows how this leg sends its presses: its copy that comes the other way,
        // and a moment later, must not count either.
        let bound = press.echo || self.binds(now, press);
        if press.at < self.fresh_from || now.since(press.at) > DIGIT_AGE {
            return Err("stale");
        }
        if press.echo {
            return Err("echo");
        }
        if !bound {
            return Err("other-transport");
        }
        match self.authority {
            Authority::Held => Ok(()),
            Authority::Lost => Err("no-authority"),
            Authority::Unlisted => Err("unlisted"),
        }
    }
}

/// Judges digits for a plan and bounds how many refusals it records.
#[derive(Debug, Default)]
pub(crate) struct DigitGate {
    count: u32,
    since: Instant,
}

impl DigitGate {
    /// Judges one press. `talk` is the winner, if there is one; `over` is true after the end.
    pub(crate) fn press(
        &mut self,
        now: Instant,
        press: Press,
        over: bool,
        talk: Option<&mut Talk>,
        policy: &DigitPolicy,
        out: &mut VecDeque<Output>,
    ) {
        let verdict = match talk {
            _ if over => Err("ended"),
            None => Err("before-answer"),
            Some(talk) if talk.leg != press.leg => Err("not-winner"),
            Some(talk) => talk.take(now, press).map(|()| talk.peer.address.clone()),
        };
        match verdict {
            Ok(party) => {
                let shown = if policy.mask { '*' } else { press.digit };
                out.push_back(Output::Event(CallEvent::Digit {
                    digit: shown.to_string(),
                    leg: press.leg,
                    via: press.via,
                }));
                out.push_back(Output::Digit {
                    at: press.at,
                    digit: press.digit,
                    leg: press.leg,
                    party,
                    via: press.via,
                });
            }
            Err(reason) => self.ignored(now, press.leg, reason, out),
        }
    }

    pub(crate) fn ignored(&mut self, now: Instant, leg: LegId, reason: &str, out: &mut VecDeque<Output>) {
        if self.count == 0 || now.since(self.since) >= IGNORED_SPAN {
            self.since = now;
            self.count = 0;
        }
        self.count += 1;
        if self.count <= IGNORED_MAX {
            out.push_back(Output::Event(CallEvent::DigitIgnored {
                leg,
                reason: reason.to_owned(),
            }));
        } else {
            self.count = IGNORED_MAX + 1;
        }
    }
}

/// Authority of the party that answered a listed or unlisted target.
pub(crate) fn authority_of(peer: &Peer, target: &str, listed: bool, contacts: &[String]) -> Authority {
    let is_target = peer.address.is_empty() || same_party(&peer.address, target);
    let is_contact = peer.trusted && contacts.iter().any(|c| same_party(&peer.address, c));
    if (listed && is_target) || is_contact {
        Authority::Held
    } else {
        Authority::Unlisted
    }
}

/// The cause that says "over" for a talk that ended by itself.
pub(crate) const LIMIT: Cause = Cause::TalkLimit;

pub(crate) fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
