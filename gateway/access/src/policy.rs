//! What the configuration allows: plain data, converted from the site file by the binary.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_core::{
    AreaId, ButtonId, CardFrame, CredentialId, DoorGroupId, DoorId, GroupId, InputId, OutputId, PanelId,
    PersonId, ReaderId, RuleId, Secret,
};

use crate::caller::CallerPattern;
use crate::passback::Area;
use crate::schedule::{Schedules, When};

/// Everything the decision knows.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Areas that readers lead into.
    pub areas: BTreeMap<AreaId, Area>,
    /// Cards.
    pub cards: Vec<Card>,
    /// Digit codes.
    pub codes: Vec<Code>,
    /// Groups of doors.
    pub door_groups: BTreeMap<DoorGroupId, DoorGroup>,
    /// Doors.
    pub doors: BTreeMap<DoorId, DoorPolicy>,
    /// What the groups of people open.
    pub groups: BTreeMap<GroupId, Group>,
    /// Random bytes of this process: codes are found through a keyed digest, so that the time a lookup takes
    /// says nothing about the codes.
    pub index_key: [u8; 32],
    /// Ages, times and bounds.
    pub limits: Limits,
    /// What readers ask for beside a card; a reader that is not here asks for nothing.
    pub readers: BTreeMap<ReaderId, ReaderPolicy>,
    /// Schedules that the others name.
    pub schedules: Schedules,
}

/// A group of doors: what can be locked down together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoorGroup {
    /// Which.
    pub doors: BTreeSet<DoorId>,
    /// One of them opens only while the others are shut and not being opened (a mantrap). Egress is never asked.
    pub interlock: bool,
}

/// What a group of people opens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Doors.
    pub doors: BTreeSet<DoorId>,
    /// After whom alone its people come in; `None` if they need nobody.
    pub escort: Option<Escort>,
    /// How long the doors open for its people, where that is longer than their own strike time.
    pub open_for: Option<Duration>,
    /// When.
    pub when: When,
}

/// Who takes care of the people of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escort {
    /// Somebody else, of this group.
    pub by: GroupId,
    /// For how long after they came in at the same door.
    pub within: Duration,
}

/// A reader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReaderPolicy {
    /// When a card opens alone. At other times, and while a schedule cannot be looked up because the clock is not
    /// believed, the PIN of its holder is needed too.
    pub card_alone: When,
    /// The area in which somebody is who was let in here.
    pub into: Option<AreaId>,
    /// The area that somebody leaves here; without `into` they are outside then.
    pub out_of: Option<AreaId>,
}

/// One door.
#[derive(Clone, Debug)]
pub struct DoorPolicy {
    /// Buttons of panels that open the door for whoever presses them, each while its schedule is in force. By a clock
    /// that is not believed none does.
    pub buttons: BTreeMap<(PanelId, ButtonId), When>,
    /// When a call alone opens it, without a digit. By a clock that is not believed none does.
    pub by_call: When,
    /// Callers who may open when they call the door. Empty: nobody opens by calling.
    pub callers: Vec<Caller>,
    /// May targets of a call list open by digits when the door called them?
    pub digits_by_list: bool,
    /// When and for how long it may be held open.
    pub hold: HoldPolicy,
    /// What to do with credentials while the journal cannot be written.
    pub on_journal_fault: OnJournalFault,
    /// The output that opens it.
    pub output: OutputId,
    /// Readers and keypads at it.
    pub readers: BTreeSet<ReaderId>,
    /// REX inputs.
    pub rex: BTreeMap<InputId, RexKind>,
    /// Buttons of panels that open the door for whoever presses them while a command wants that, at most for so long.
    pub ring_to_open: BTreeMap<(PanelId, ButtonId), Duration>,
    /// Rules of the site file that open it.
    pub rules: BTreeSet<RuleId>,
    /// How long the first of two persons waits for the second.
    pub second_within: Duration,
    /// When it wants two persons, one after the other. By a clock that is not believed it does, unless it never does.
    pub two_persons: When,
}

impl DoorPolicy {
    /// A door with an output and nothing else: only commands and fire open it.
    #[must_use]
    pub const fn new(output: OutputId) -> Self {
        Self {
            buttons: BTreeMap::new(),
            by_call: When::Never,
            callers: Vec::new(),
            digits_by_list: false,
            hold: HoldPolicy::NONE,
            on_journal_fault: OnJournalFault::OpenAndBuffer,
            output,
            readers: BTreeSet::new(),
            rex: BTreeMap::new(),
            ring_to_open: BTreeMap::new(),
            rules: BTreeSet::new(),
            second_within: Duration::from_secs(30),
            two_persons: When::Never,
        }
    }
}

/// When and for how long a door may be held open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldPolicy {
    /// Its schedule begins to hold it open only once somebody of this group came in on that day; `None` waits for nobody.
    pub after: Option<GroupId>,
    /// Longest time for which a command holds it open; `None` if none does.
    pub limit: Option<Duration>,
    /// When its schedule holds it open. By a clock that is not believed none does.
    pub when: When,
}

impl HoldPolicy {
    /// Neither by schedule nor by command.
    pub const NONE: Self = Self {
        after: None,
        limit: None,
        when: When::Never,
    };
}

/// What a door does with credentials while the journal fails. Egress is never asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnJournalFault {
    /// Open, and keep the record in memory until the journal is back.
    #[default]
    OpenAndBuffer,
    /// Stay shut.
    Refuse,
}

/// What a REX input does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RexKind {
    /// Wired in parallel to the lock: the gateway only hears of it.
    Parallel,
    /// Only silences the forced-open alarm: the handle opens the door by itself.
    ShuntOnly,
    /// The gateway unlocks.
    Unlock,
}

/// A card.
#[derive(Clone, Debug)]
pub struct Card {
    /// Doors it opens.
    pub doors: BTreeSet<DoorId>,
    /// The bits a reader sends for it; [`card_frame`](crate::card_frame) makes them of the configured text.
    pub frame: CardFrame,
    /// Its name.
    pub id: CredentialId,
    /// How long its doors open for it, where that is longer than their own strike time.
    pub open_for: Option<Duration>,
    /// Whose it is.
    pub person: Option<PersonId>,
    /// What is typed after the card where a reader asks for it: 4 to 8 of `0-9`.
    pub pin: Option<Secret>,
    /// When it opens.
    pub when: When,
}

/// A digit code.
#[derive(Clone, Debug)]
pub struct Code {
    /// 1 to 8 of `0-9 * #`.
    pub digits: Secret,
    /// Doors it opens.
    pub doors: BTreeSet<DoorId>,
    /// Where it may be typed.
    pub from: BTreeSet<CodeFrom>,
    /// Its name.
    pub id: CredentialId,
    /// Whose it is.
    pub person: Option<PersonId>,
    /// When it opens.
    pub when: When,
}

/// Where a code may be typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CodeFrom {
    /// At the phone, in a call with the door.
    Call,
    /// At a keypad at the door.
    Keypad,
}

impl CodeFrom {
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Call => "in a call",
            Self::Keypad => "at a keypad",
        }
    }
}

/// A caller a door listens to.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Name for people, for the rule in words.
    pub name: String,
    /// Number or address of record.
    pub pattern: CallerPattern,
    /// When the door listens to them.
    pub when: When,
}

/// Ages, times and bounds of the decision.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Throttle of unknown cards at a reader. Milder than the one for codes: a vandal with a foreign card
    /// must not keep the residents out for long.
    pub cards: Throttle,
    /// Throttle of wrong codes, of unlisted callers and of clients without permission.
    pub codes: Throttle,
    /// How long a Grant may be used.
    pub grant_life: Duration,
    /// A source without a wrong try for this long is forgotten.
    pub forget_after: Duration,
    /// Cards, codes and digits older than this are old news.
    pub max_age: Duration,
    /// How many sources are remembered, each; strangers beyond share one count.
    pub max_sources: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cards: Throttle {
                free_tries: 10,
                first: Duration::from_secs(5),
                max: Duration::from_secs(60),
            },
            codes: Throttle {
                free_tries: 5,
                first: Duration::from_secs(10),
                max: Duration::from_secs(900),
            },
            grant_life: Duration::from_secs(2),
            forget_after: Duration::from_secs(3600),
            max_age: Duration::from_millis(500),
            max_sources: 256,
        }
    }
}

/// How wrong tries lock a source: each one beyond the free ones locks twice as long as the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// Wrong tries in a row that lock nothing.
    pub free_tries: u32,
    /// First lock.
    pub first: Duration,
    /// Longest lock.
    pub max: Duration,
}
