//! What a call plan is made of, hears and says.

use std::time::Duration;

use gateway_core::{
    AccountId, CallEvent, Cause, DigitVia, Instant, LegCommand, LegEvent, LegId, LineId, Manner, Peer,
    RingId, Tone,
};

use crate::incoming::Take;

/// What a call is for; it gives digits their meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// An alarm is to be confirmed.
    Alarm,
    /// Somebody who calls the door is put through to whoever answers.
    Bridge,
    /// Somebody calls the door.
    Incoming,
    /// A visitor rang.
    Visitor,
}

/// In what order targets ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// All at once.
    Parallel,
    /// One after the other.
    Sequential,
}

/// How long one may talk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TalkLimit {
    /// Ends after this long, 60 to 600 s; a tone sounds [`WARNING`] before.
    After(Duration),
    /// Never ends by itself; a tone sounds each time this has passed.
    Permanent {
        /// Time between tones.
        tone_every: Duration,
    },
}

/// How long before the talk limit the warning tone sounds.
pub const WARNING: Duration = Duration::from_secs(10);

/// Whose digits count.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DigitPolicy {
    /// Parties, besides the targets, that keep authority when the network says that they answered instead.
    pub contacts: Vec<String>,
    /// True to record `*` in place of a digit, because codes are longer than one.
    pub mask: bool,
}

/// To whom a call may be handed by whoever has it, or is called.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Handover {
    /// True: to anybody.
    pub any: bool,
    /// Numbers and addresses to whom it may, as configured.
    pub known: Vec<String>,
    /// Numbers of legs for those it is handed to; each is used once.
    pub spare: Vec<LegId>,
}

/// One target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Account to call through; `None` dials `address` directly.
    pub account: Option<AccountId>,
    /// Number or address as configured.
    pub address: String,
    /// Where it is called next, each time that it cannot be reached: through which account, and the leg's number.
    pub backups: Vec<(AccountId, LegId)>,
    /// True if nothing gives this target authority, whatever party the network names: somebody else than the operator
    /// says what `address` is.
    pub barred: bool,
    /// Key that whoever answers has to press before the call is theirs: a voicemail does not. `None` for none.
    pub confirm: Option<char>,
    /// The leg's number, unique while the process lives.
    pub leg: LegId,
    /// True if this target may open by digits.
    pub listed: bool,
    /// How it is asked to ring.
    pub manner: Manner,
    /// Name for people.
    pub name: Option<String>,
}

/// One ring's call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRequest {
    /// Whose digits count.
    pub digits: DigitPolicy,
    /// Text shown as the caller.
    pub display: String,
    /// Targets of further rounds, each as `targets` with legs of their own: called while nobody answered.
    pub further: Vec<Vec<Target>>,
    /// What a target has to be heard before it answers is heard at the line.
    pub early_media: bool,
    /// To whom it may be handed.
    pub handover: Handover,
    /// End the call as the strike falls.
    pub hang_up_after_open: bool,
    /// Line whose audio the legs carry.
    pub line: LineId,
    /// Nobody at the line began it, nor answered it there: as the talk begins, and once more each minute, whoever stands there is
    /// told that somebody listens.
    pub look_in: bool,
    /// Time between the end of a round and the next one.
    pub pause: Duration,
    /// What for.
    pub purpose: Purpose,
    /// The ring it belongs to.
    pub ring: RingId,
    /// How long each target rings, 10 to 60 s.
    pub ring_time: Duration,
    /// How long the panel rings; nobody can answer after it.
    pub ring_window: Duration,
    /// Order.
    pub strategy: Strategy,
    /// Talk limit, already the shorter of the list's and the panel's.
    pub talk_limit: TalkLimit,
    /// 1 to 4; more are left out.
    pub targets: Vec<Target>,
}

/// What the plan hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// End everything: handset lifted, hang-up, line lost, shutdown.
    Cancel(Cause),
    /// A leg reports.
    Leg(LegEvent),
    /// A strike opened by this call is at rest again.
    OpenedAndStrikeEnded,
    /// Somebody at the panel answers a call that waits for it ([`IncomingPlan::waits_for_press`](crate::IncomingPlan::waits_for_press)).
    Pressed,
    /// The visitor pressed once more while nobody has answered: a round that waits begins at once.
    PressedAgain {
        /// True: who rings is passed over, and the next one is called, if there is one.
        next: bool,
    },
    /// What became of [`Output::WantsLine`].
    Take(Take),
}

/// What the plan says.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A digit that counts: of the winning leg, answered, first transport, with authority, no echo.
    Digit {
        /// When it was first seen on the wire.
        at: Instant,
        /// The digit.
        digit: char,
        /// The leg.
        leg: LegId,
        /// The party whose authority it carries, as address of record.
        party: String,
        /// How it came.
        via: DigitVia,
    },
    /// For the journal.
    Event(CallEvent),
    /// Tell a leg.
    Leg(LegCommand),
    /// A tone towards the panel.
    LineTone(Tone),
    /// The plan is over: nothing follows but the ends of legs.
    Over {
        /// How.
        outcome: Outcome,
    },
    /// A call to the door that rang is to be answered: it wants the line, and hears of it by [`Input::Take`].
    WantsLine {
        /// Somebody at the panel answers it.
        pressed: bool,
    },
    /// A leg answered and has the call.
    Won {
        /// Which.
        leg: LegId,
        /// Who.
        peer: Peer,
    },
}

/// How a plan ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Somebody talked; the cause says how it ended.
    Answered(Cause),
    /// Ended by us before an answer.
    Cancelled(Cause),
    /// Everybody was busy, absent, declined or did not answer.
    NoAnswer,
    /// An incoming call was not taken.
    Rejected,
    /// No target could be reached at all.
    Unreachable,
    /// The ring window closed.
    Window,
}

impl Outcome {
    /// The word of [`PanelEvent::RingEnded`](gateway_core::PanelEvent::RingEnded).
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::Cancelled(Cause::AnsweredElsewhere) => "handset",
            Self::Cancelled(Cause::NoAnswer) | Self::Window => "window",
            Self::Cancelled(_) | Self::Rejected => "cancelled",
            Self::NoAnswer => "no-answer",
            Self::Unreachable => "unreachable",
        }
    }
}
