//! What the call plan says to a leg and hears from it. SIP is one kind of leg; it is not named here.

use std::time::Duration;

use crate::ids::{AccountId, LegId, LineId, PanelId, RingId};
use crate::time::Instant;
use crate::value::words;

words! {
    /// Why a leg failed or ended.
    Cause {
        /// Another target of the same ring answered.
        AnsweredElsewhere = "answered-elsewhere",
        /// The other side is busy (486, 600).
        Busy = "busy",
        /// We gave up before an answer.
        Cancelled = "cancelled",
        /// The other side declined (603, or 480 after it rang).
        Declined = "declined",
        /// The gateway was killed, or lost its power, before it could say how it ended: it was over by the next start.
        GatewayRestarted = "gateway-restarted",
        /// No common codec, encryption or media.
        Media = "media",
        /// Nobody answered in time.
        NoAnswer = "no-answer",
        /// Hung up in the ordinary way.
        Normal = "normal",
        /// No such extension (404, 410, 484, 604).
        NotFound = "not-found",
        /// The account is not usable, or the other side wants credentials we do not have.
        Refused = "refused",
        /// Our side ended the call: strike ended, panel window over, handset lifted, shutdown.
        Released = "released",
        /// Talk limit reached.
        TalkLimit = "talk-limit",
        /// It takes no calls now: nobody registered there, or do not disturb (480 without ringing).
        Unavailable = "unavailable",
        /// No answer from the network: transaction time-out, no flow, media stopped.
        Unreachable = "unreachable",
    }
}

words! {
    /// How a digit came in.
    DigitVia {
        /// In-band tone.
        Inband = "inband",
        /// SIP INFO.
        Info = "info",
        /// RFC 4733 telephone-event.
        TelephoneEvent = "telephone-event",
    }
}

words! {
    /// A tone played to a leg or to the line.
    Tone {
        /// Whoever answered has to press a key.
        Confirm = "confirm",
        /// Too many wrong codes: whoever dialled is locked out for a time.
        LockedOut = "locked-out",
        /// Someone is on the line now: played at the door when a call was answered without a press.
        LookIn = "look-in",
        /// The strike is energised.
        Opening = "opening",
        /// Refused.
        Refused = "refused",
        /// The target rings.
        Ringback = "ringback",
        /// The talk limit is near.
        TalkWarning = "talk-warning",
    }
}

/// How loud a line is, in dB; 0 is as loud as it comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// What phones hear of whoever stands there.
    pub microphone_db: i8,
    /// What whoever stands there hears: speech, tones, prompts.
    pub speaker_db: i8,
}

/// The other party of a leg, as far as the network told.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Peer {
    /// Address of record, `sip:1000@pbx.example`.
    pub address: String,
    /// Display name; never identity.
    pub display: Option<String>,
    /// Its number is at a host that is none of the PBX's, or it calls past the accounts that there are: a number alone, which means one
    /// of their PBXs, does not mean it.
    pub foreign: bool,
    /// True if `address` comes from a party we trust for it (registered flow to our PBX, listed peer).
    pub trusted: bool,
    /// He wants `address` shown to nobody: it is for comparing only, and [`shown`](Self::shown) stands for it elsewhere.
    pub withheld: bool,
}

/// Stands for an address that is withheld (RFC 3323 §4.1).
pub const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

impl Peer {
    /// The address as it may be told to others, and kept.
    #[must_use]
    pub fn shown(&self) -> &str {
        if self.withheld { ANONYMOUS } else { &self.address }
    }
}

/// How the speech of a leg came, and ours went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// What was made up in place of what did not come in time, milliseconds.
    pub concealed_ms: u64,
    /// Interarrival jitter at the end (RFC 3550 §6.4.1), microseconds.
    pub jitter_us: u64,
    /// Packets that did not come.
    pub lost: u64,
    /// Packets that came.
    pub received: u64,
    /// Packets of ours that did not come, as the other side told.
    pub remote_lost: u64,
    /// The last round trip, microseconds, if the other side's reports told one.
    pub round_trip_us: Option<u64>,
    /// Packets of ours.
    pub sent: u64,
}

/// How a phone is asked to ring and to answer, beyond being called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// How it rings, in the words that its maker has for that; `None` as it does anyway.
    pub alert: Option<String>,
    /// It is asked to answer by itself, as an intercom; `None` where somebody else decides.
    pub answers_itself: Option<bool>,
    /// Keys that are pressed once it has answered.
    pub keys: Option<Keys>,
}

/// Keys that are pressed for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Which: `0-9 * # A-D`, and a comma for a pause of a second.
    pub digits: String,
    /// How.
    pub by: KeysBy,
}

words! {
    /// How keys are pressed.
    KeysBy {
        /// The best way that both sides have.
        Auto = "auto",
        /// As tones in the speech.
        Inband = "inband",
        /// By messages of the call's signalling.
        Info = "info",
        /// As events beside the speech.
        TelephoneEvent = "telephone-event",
    }
}

impl Manner {
    /// The same, with what `other` says where this one says nothing.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            alert: self.alert.clone().or_else(|| other.alert.clone()),
            answers_itself: self.answers_itself.or(other.answers_itself),
            keys: self.keys.clone().or_else(|| other.keys.clone()),
        }
    }
}

/// How it is with the doors that calls of an account are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The account is not registered as long as this is so.
    pub away: bool,
    /// Their lines are out of order: whoever watches the account is told.
    pub fault: bool,
}

/// What the call plan wants of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegCommand {
    /// Answer an incoming leg.
    Answer {
        /// The leg.
        leg: LegId,
    },
    /// Put the leg's audio on its line, both ways. Before this neither side hears the other.
    Connect {
        /// The leg.
        leg: LegId,
    },
    /// Tell an incoming leg to call somebody else instead (302); it ends by that.
    Divert {
        /// The leg.
        leg: LegId,
        /// Number or address as configured.
        target: String,
    },
    /// End the leg in whatever state it is: CANCEL, BYE or a final response.
    End {
        /// The leg.
        leg: LegId,
        /// Why; `AnsweredElsewhere` is told to the phone (RFC 3326 Reason, cause 200).
        cause: Cause,
    },
    /// Have two legs hear each other, and no line. Whoever was joined with `leg` before hears nobody from here on.
    Join {
        /// Whoever was put through: no tone in its speech is taken for a key of the other.
        leg: LegId,
        /// Whoever has the call.
        with: LegId,
    },
    /// Have a leg heard at its line before anybody has answered it ([`LegEvent::EarlyMedia`]). It hears nobody, and
    /// nothing of it counts. Its answer ends that, as its end does.
    Listen {
        /// The leg.
        leg: LegId,
    },
    /// Ring a target.
    Offer {
        /// Account to call through; `None` dials `target` directly.
        account: Option<AccountId>,
        /// Text shown as the caller, usually the door's or panel's name.
        display: String,
        /// New leg, chosen by the plan.
        leg: LegId,
        /// Line whose audio it will carry.
        line: LineId,
        /// How the target is asked to ring.
        manner: Manner,
        /// Nothing heard from the other side for so long, not even that it tries, and the leg ends as unreachable; `None`
        /// to wait as long as SIP does.
        patience: Option<Duration>,
        /// The ring it belongs to.
        ring: RingId,
        /// Number or address as configured: `1000`, `1000@host`, `sip:…`.
        target: String,
    },
    /// Play a tone to the leg.
    PlayToLeg {
        /// The leg.
        leg: LegId,
        /// Which.
        tone: Tone,
    },
    /// Say no to [`LegEvent::TransferAsked`].
    RefuseTransfer {
        /// The leg that asked.
        leg: LegId,
        /// Why, for the other side.
        why: String,
    },
    /// Tell an incoming leg that it rings, and have it hear so (183, with a ring-back tone as early media).
    RingBack {
        /// The leg.
        leg: LegId,
    },
    /// Tell an incoming leg that it rings (180).
    Ringing {
        /// The leg.
        leg: LegId,
    },
    /// Say yes to [`LegEvent::TransferAsked`] and ring the target, as `Offer` does. How that goes on is told to whoever asked;
    /// his leg is not ended by it.
    Transfer {
        /// Account to call through; `None` dials `target` directly.
        account: Option<AccountId>,
        /// The leg that asked.
        by: LegId,
        /// Text shown as the caller.
        display: String,
        /// New leg, chosen by the plan.
        leg: LegId,
        /// Line whose audio it will carry.
        line: LineId,
        /// As the other side said it: the call that the new one takes the place of.
        replaces: Option<String>,
        /// The ring it belongs to.
        ring: RingId,
        /// Number or address, as `LegEvent::TransferAsked` gave it.
        target: String,
    },
}

/// What a leg reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegEvent {
    /// The far end answered and the answer is acknowledged by us; digits may count from here on.
    Answered {
        /// The leg.
        leg: LegId,
        /// Who really answered, if the network told (P-Asserted-Identity of a trusted peer, else the target).
        peer: Peer,
    },
    /// The leg's party changed (REFER, Replaces, re-INVITE with another identity): its authority is gone.
    AuthorityLost {
        /// The leg.
        leg: LegId,
        /// What changed, in words for the journal.
        why: String,
    },
    /// One key press, heard once, from the latched media source or the dialog.
    Digit {
        /// When the press was first seen on the wire.
        at: Instant,
        /// `0-9 * # A-D`.
        digit: char,
        /// True if the same tone was on our line-to-phone audio within 500 ms: the visitor's echo.
        echo: bool,
        /// The leg.
        leg: LegId,
        /// How it came.
        via: DigitVia,
    },
    /// Something of the other side can be heard though nobody has answered (SIP 183 with a description); it waits for
    /// `Listen`.
    EarlyMedia {
        /// The leg.
        leg: LegId,
    },
    /// The leg is over; no further event follows.
    Ended {
        /// Why.
        cause: Cause,
        /// The leg.
        leg: LegId,
        /// Protocol detail for the journal, for example `486 Busy Here`.
        detail: String,
    },
    /// The other side listens no more, or listens again (a re-INVITE with `a=sendonly` or `a=inactive`, RFC 3264 §8.4).
    Held {
        /// True if it holds the call from here on.
        held: bool,
        /// The leg.
        leg: LegId,
    },
    /// A call came in; the leg waits for `Ringing`, `Answer` or `End`.
    Incoming {
        /// Account, or `None` for a listed direct peer.
        account: Option<AccountId>,
        /// The caller asks to be answered at once, as intercoms do; nothing vouches for him by that.
        at_once: bool,
        /// The leg.
        leg: LegId,
        /// Panel that is called; its line carries the audio.
        panel: PanelId,
        /// The caller.
        peer: Peer,
    },
    /// Whoever was called wants somebody else called instead (SIP 3xx); of several the best first. `Ended` follows the last one.
    Redirected {
        /// True if the target is a user of the account's PBX, whose domain stands in it then.
        at_pbx: bool,
        /// The leg.
        leg: LegId,
        /// Whom.
        target: String,
    },
    /// The target rings.
    Ringing {
        /// The leg.
        leg: LegId,
    },
    /// Somebody calls to take the place of another leg (RFC 3891); the new leg waits for `Answer` or `End`.
    TakingOver {
        /// Account, or `None` for a listed direct peer.
        account: Option<AccountId>,
        /// The new leg.
        leg: LegId,
        /// Who calls.
        peer: Peer,
        /// The leg in whose place.
        replaced: LegId,
    },
    /// The other side wants to hand the call to somebody else (RFC 3515); it waits for `Transfer` or `RefuseTransfer`.
    TransferAsked {
        /// True if the target is a user of the account's PBX, whose domain stands in it then.
        at_pbx: bool,
        /// The leg.
        leg: LegId,
        /// The call that the new one takes the place of, to be handed on as it is.
        replaces: Option<String>,
        /// To whom.
        target: String,
    },
}

impl LegEvent {
    /// The leg this is about.
    #[must_use]
    pub const fn leg(&self) -> LegId {
        match self {
            Self::Answered { leg, .. }
            | Self::AuthorityLost { leg, .. }
            | Self::Digit { leg, .. }
            | Self::EarlyMedia { leg }
            | Self::Ended { leg, .. }
            | Self::Held { leg, .. }
            | Self::Incoming { leg, .. }
            | Self::Redirected { leg, .. }
            | Self::Ringing { leg }
            | Self::TakingOver { leg, .. }
            | Self::TransferAsked { leg, .. } => *leg,
        }
    }

    /// The leg of a call that is there already: whose place is to be taken, else [`leg`](Self::leg).
    #[must_use]
    pub const fn about(&self) -> LegId {
        if let Self::TakingOver { replaced, .. } = self {
            return *replaced;
        }
        self.leg()
    }
}
