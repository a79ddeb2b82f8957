//! What the site is made of: plain data, made by the binary from the configuration file.
//!
//! Everything here was checked by the configuration crate; what does not fit together (a panel that names a
//! door that is not there) is left out by [`Site`](crate::Site) and never opens anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use gateway_access::{Area, CallerPattern, Group, OnJournalFault, RexKind, Schedules, When};
use gateway_call::Answer;
use gateway_core::{
    AccountId, AlarmId, AnnouncementId, AreaId, Bell, ButtonId, CardFrame, Cause, ControllerId, CredentialId,
    DoorGroupId, DoorId, GroupId, InputId, LineId, ListId, Manner, OutputId, PanelId, PersonId, ReaderId,
    RelayId, RuleId, Secret, SiteId, Volume,
};
use gateway_door::{Duty, FailMode, LockKind, LockOwner, Relock};
use gateway_line::{CallIn, OpenWhen};
use gateway_rules::Rule;

/// A controller of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerParams {
    /// Do commands and rules send it cards that nobody read?
    pub by_command: bool,
    /// Do keys of its readers go to it, too?
    pub keys: bool,
    /// Readers whose cards are handed on to it.
    pub readers: Vec<ReaderId>,
}

/// What a command may have heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnouncementParams {
    /// What is heard, a WAV file.
    pub file: PathBuf,
    /// Name for people.
    pub name: String,
    /// At which panels.
    pub panels: BTreeSet<PanelId>,
}

/// The whole site.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteParams {
    /// Accounts that calls may use.
    pub accounts: BTreeMap<AccountId, AccountParams>,
    /// True to act on commands that carry no time.
    pub accept_untimed: bool,
    /// Alarms that somebody of security confirms.
    pub alarms: BTreeMap<AlarmId, AlarmParams>,
    /// What commands may have heard.
    pub announcements: BTreeMap<AnnouncementId, AnnouncementParams>,
    /// Areas that readers lead into.
    pub areas: BTreeMap<AreaId, Area>,
    /// Cards.
    pub cards: BTreeMap<CredentialId, CardParams>,
    /// Digit codes.
    pub codes: BTreeMap<CredentialId, CodeParams>,
    /// How old a command may be, by its own time. Default 10 s.
    pub command_ttl: Duration,
    /// Groups of doors.
    pub door_groups: BTreeMap<DoorGroupId, DoorGroupParams>,
    /// Doors.
    pub doors: BTreeMap<DoorId, DoorParams>,
    /// Input that reports fire, if the building has one.
    pub fire_input: Option<InputId>,
    /// What the groups of people open.
    pub groups: BTreeMap<GroupId, Group>,
    /// The site's name in topics.
    pub id: SiteId,
    /// Digital inputs.
    pub inputs: BTreeMap<InputId, InputParams>,
    /// Instance id, bound to the machine.
    pub instance: String,
    /// Panel lines.
    pub lines: BTreeMap<LineId, LineParams>,
    /// Call lists.
    pub lists: BTreeMap<ListId, ListParams>,
    /// Input that locks the whole site down as long as it is active, and until it is ended.
    pub lockdown_input: Option<InputId>,
    /// Name for people.
    pub name: String,
    /// How numbers are compared; `None`: as they are written.
    pub numbers: Option<gateway_access::NumberPlan>,
    /// Outputs that open.
    pub outputs: BTreeMap<OutputId, OutputParams>,
    /// Panels.
    pub panels: BTreeMap<PanelId, PanelParams>,
    /// For how long inputs must be active to count, where that is longer than they are debounced.
    pub presses: BTreeMap<InputId, Duration>,
    /// Controllers of somebody else, and what is handed on to them.
    pub controllers: BTreeMap<ControllerId, ControllerParams>,
    /// Readers.
    pub readers: BTreeMap<ReaderId, ReaderParams>,
    /// Relays that tell something.
    pub relays: BTreeMap<RelayId, RelayParams>,
    /// What is asked for when something happens.
    pub rules: BTreeMap<RuleId, Rule>,
    /// Schedules, in the site's time zone.
    pub schedules: Schedules,
    /// Inputs that are held at the start.
    pub start: StartParams,
    /// Program version, for the record of the start.
    pub version: String,
}

impl SiteParams {
    /// A site with nothing in it.
    #[must_use]
    pub fn empty(id: SiteId) -> Self {
        Self {
            accounts: BTreeMap::new(),
            accept_untimed: false,
            alarms: BTreeMap::new(),
            announcements: BTreeMap::new(),
            areas: BTreeMap::new(),
            cards: BTreeMap::new(),
            codes: BTreeMap::new(),
            controllers: BTreeMap::new(),
            command_ttl: Duration::from_secs(10),
            door_groups: BTreeMap::new(),
            doors: BTreeMap::new(),
            fire_input: None,
            groups: BTreeMap::new(),
            id,
            inputs: BTreeMap::new(),
            instance: String::new(),
            lines: BTreeMap::new(),
            lists: BTreeMap::new(),
            lockdown_input: None,
            name: String::new(),
            numbers: None,
            outputs: BTreeMap::new(),
            panels: BTreeMap::new(),
            presses: BTreeMap::new(),
            readers: BTreeMap::new(),
            relays: BTreeMap::new(),
            rules: BTreeMap::new(),
            schedules: Schedules::default(),
            start: StartParams::default(),
            version: String::new(),
        }
    }
}

/// An account, as far as the site must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountParams {
    /// Domain of its addresses, to complete a bare number: `pbx.example`.
    pub domain: String,
    /// False for a trunk authenticated by address: usable without registration.
    pub register: bool,
}

/// An alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmParams {
    /// How long nobody is called between two rounds.
    pub again: Duration,
    /// Who is called, one list after the other.
    pub calls: Vec<ListId>,
    /// What confirms it in a call: 4 to 8 digits.
    pub code: Secret,
    /// What raises it, for as long as it is active; `None` if only rules do.
    pub input: Option<InputId>,
    /// Name for people, shown to the phones.
    pub name: String,
    /// Whose account and line its calls use. Nothing is heard of that line.
    pub panel: PanelId,
    /// How often all lists are called.
    pub rounds: u32,
}

/// A card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardParams {
    /// Doors it opens.
    pub doors: BTreeSet<DoorId>,
    /// The bits that the reader reports.
    pub frame: CardFrame,
    /// How long its doors open for it, where that is longer than their own strike time.
    pub open_for: Option<Duration>,
    /// Whose it is.
    pub person: Option<PersonId>,
    /// What is typed after it where a reader asks for it: 4 to 8 digits.
    pub pin: Option<Secret>,
    /// When it opens.
    pub when: When,
}

/// A digit code.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeParams {
    /// 1 to 8 of `0-9 * #`.
    pub digits: String,
    /// Doors it opens.
    pub doors: BTreeSet<DoorId>,
    /// Counts on the answered leg of a call.
    pub from_call: bool,
    /// Counts at a reader's keypad.
    pub from_keypad: bool,
    /// Whose it is.
    pub person: Option<PersonId>,
    /// When it opens.
    pub when: When,
}

impl std::fmt::Debug for CodeParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeParams")
            .field("digits", &"***")
            .field("doors", &self.doors)
            .field("from_call", &self.from_call)
            .field("from_keypad", &self.from_keypad)
            .field("person", &self.person)
            .field("when", &self.when)
            .finish()
    }
}

/// A door.
#[derive(Clone, Debug, PartialEq)]
pub struct DoorParams {
    /// When a call alone opens it, without being answered.
    pub by_call: When,
    /// Who may open by calling the door.
    pub callers: Vec<Caller>,
    /// Door contact: active means open.
    pub contact: Option<InputId>,
    /// True if any target of a list that answered may open by digits.
    pub digits_by_list: bool,
    /// What the coil bears.
    pub duty: Duty,
    /// What the lock does without power.
    pub fail: FailMode,
    /// Open longer than this is reported.
    pub held_open: Duration,
    /// When it is held open.
    pub hold: When,
    /// The schedule holds it open only once somebody of this group came in on that day.
    pub hold_after: Option<GroupId>,
    /// For how long a command may hold it open; `None` if none may.
    pub hold_limit: Option<Duration>,
    /// Kind of lock.
    pub lock: LockKind,
    /// Lock sense of a lock of the panel: active while it is open.
    pub lock_sense: Option<InputId>,
    /// Name for people.
    pub name: String,
    /// What to do with cards and codes while the journal cannot be written.
    pub on_journal_fault: OnJournalFault,
    /// The output that opens it; `None` if it has none (contact only).
    pub output: Option<OutputId>,
    /// Who owns and times the lock.
    pub owner: LockOwner,
    /// When the output is released.
    pub relock: Relock,
    /// Requests to exit.
    pub rex: Vec<RexParams>,
    /// Readers at this door.
    pub readers: Vec<ReaderId>,
    /// How long the first of two persons waits for the second.
    pub second_within: Duration,
    /// Length of the opening pulse, 1 to 25 s.
    pub strike: Duration,
    /// Tamper contact: active means tampered with.
    pub tamper: Option<InputId>,
    /// How long a gate moves after a pulse, 2 to 180 s.
    pub travel: Duration,
    /// When it wants two persons, one after the other.
    pub two_persons: When,
    /// For how long after a ring a command that names it opens.
    pub visitor: Duration,
}

/// A group of doors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoorGroupParams {
    /// Which.
    pub doors: BTreeSet<DoorId>,
    /// One of them opens only while the others are shut and not being opened.
    pub interlock: bool,
    /// Input that locks the group down as long as it is active, and until it is ended.
    pub lockdown_input: Option<InputId>,
    /// Name for people.
    pub name: String,
}

/// What becomes of calls to a panel of whoever is meant. It gives nobody a right to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerParams {
    /// What.
    pub action: CallerAction,
    /// Whose; `None` means everybody.
    pub number: Option<CallerPattern>,
    /// When.
    pub when: When,
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerAction {
    /// Those of a list are called, and whoever answers talks with the caller.
    Bridge(ListId),
    /// The caller is told to call this number instead.
    Divert(String),
    /// The doors that open by a call alone do so, if the decision lets them; nobody answers.
    Open,
    /// It is refused.
    Refuse(Cause),
    /// It is answered; no door opens by it alone.
    Talk,
}

impl CallerAction {
    /// Whom it calls.
    pub(crate) const fn list(&self) -> Option<&ListId> {
        match self {
            Self::Bridge(list) => Some(list),
            Self::Divert(_) | Self::Open | Self::Refuse(_) | Self::Talk => None,
        }
    }

    /// Does it give something that nobody should get in another's name? Whoever calls by a number that nobody vouches for can be
    /// refused by it and sent away, and no more.
    pub(crate) const fn wants_trust(&self) -> bool {
        match self {
            Self::Bridge(_) | Self::Open | Self::Talk => true,
            Self::Divert(_) | Self::Refuse(_) => false,
        }
    }
}

/// A caller who may open a door by calling it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Address of record or bare number; last digits may be wildcards ([`CallerPattern`](gateway_access::CallerPattern)).
    pub address: String,
    /// Name for people.
    pub name: String,
    /// When the door listens to them.
    pub when: When,
}

/// A request to exit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RexParams {
    /// Its input.
    pub input: InputId,
    /// What it does.
    pub kind: RexKind,
}

/// A digital input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputParams {
    /// A level counts after it was stable for this long; zero if the driver or kernel debounces.
    pub debounce: Duration,
    /// True if the input is a virtual device.
    pub simulated: bool,
}

/// A panel line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineParams {
    /// May we open the talk path without a ring?
    pub call_in: CallIn,
    /// True if the line tells when the stock handset is lifted.
    pub handset_sense: bool,
    /// The panel's own lock opens only while we are off-hook.
    pub hook_to_open: bool,
    /// When the panel's own lock can be operated.
    pub open_when: OpenWhen,
    /// When it is as loud as `quiet_volume` says.
    pub quiet: When,
    /// How loud it is then.
    pub quiet_volume: Volume,
    /// How long a ring lasts at most.
    pub ring_window: Duration,
    /// True if the line is a virtual device.
    pub simulated: bool,
    /// How long the panel lets talk at most.
    pub talk_window: Duration,
    /// How loud it is.
    pub volume: Volume,
}

/// A call list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListParams {
    /// Time between two rounds.
    pub again: Duration,
    /// End the call as the strike falls.
    pub hang_up_after_open: bool,
    /// One after the other, or all at once.
    pub parallel: bool,
    /// How long each target rings, 10 to 60 s.
    pub ring: Duration,
    /// How often all are called while nobody answers, 1 to 10; those of an alarm are called as often as that says.
    pub rounds: u32,
    /// How long one may talk, 60 to 600 s; `None` is permanent, with a tone every minute.
    pub talk_limit: Option<Duration>,
    /// 1 to 4.
    pub targets: Vec<TargetParams>,
}

/// One target of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetParams {
    /// Account to call through; `None` takes the panel's.
    pub account: Option<AccountId>,
    /// Number or address as configured; empty for a contact.
    pub address: String,
    /// Key that whoever answers has to press before the call is theirs.
    pub confirm: Option<char>,
    /// Who is called is looked up by this name as the button is pressed.
    pub contact: Option<String>,
    /// True for a full address that no account serves: dialled directly, not through the panel's account.
    pub direct: bool,
    /// How it is asked to ring.
    pub manner: Manner,
    /// Name for people.
    pub name: Option<String>,
}

/// Somebody whom targets of call lists can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Account to call through; `None` takes the target's, or the panel's.
    pub account: Option<AccountId>,
    /// Number or address.
    pub address: String,
    /// True if it is dialled directly, through no account.
    pub direct: bool,
    /// True if an administrator of the gateway vouches for it: it may open as other targets do. What a directory alone
    /// says may not.
    pub vouched: bool,
}

/// All contacts, ready to be looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contacts {
    by_name: BTreeMap<String, Contact>,
    /// Names by user part.
    names: BTreeMap<String, String>,
}

impl Contacts {
    /// Of names with whom they mean.
    #[must_use]
    pub fn new(by_name: BTreeMap<String, Contact>) -> Self {
        let names = by_name.iter();
        let names =
            names.map(|(name, contact)| (gateway_call::user_of(&contact.address).to_owned(), name.clone()));
        Self {
            names: names.collect(),
            by_name,
        }
    }

    /// True if somebody has this name.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Contact> {
        self.by_name.get(name)
    }

    /// The name of a party, for people only: whoever calls can claim any number.
    pub(crate) fn name(&self, party: &str) -> Option<&str> {
        self.names.get(gateway_call::user_of(party)).map(String::as_str)
    }
}

/// An output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputParams {
    /// True if the output is a virtual device.
    pub simulated: bool,
}

/// What becomes of calls to a panel while its line is faulty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLineFault {
    /// They are refused as unavailable (480).
    #[default]
    Reject,
    /// Nothing is said of it: they are refused as busy.
    Stay,
    /// As `Reject`, and its accounts are not registered unless another panel of theirs is well.
    Unregister,
}

/// To whom a call of a panel may be handed by whoever has it or is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transfers {
    /// To anybody, who does not open if no list names him.
    Any,
    /// To those whom its lists and the callers of its doors name.
    #[default]
    Listed,
    /// To nobody.
    Refuse,
}

/// A panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelParams {
    /// Accounts that its calls use, each where the one before does not answer; without any, targets are dialled directly.
    pub accounts: Vec<AccountId>,
    /// When calls to it are answered.
    pub answer: Answer,
    /// Its buttons.
    pub buttons: BTreeMap<ButtonId, ButtonParams>,
    /// What becomes of calls of certain callers, at certain times: the first that is meant counts. Others are answered, or
    /// not, as `other_calls` says.
    pub callers: Vec<CallerParams>,
    /// Doors it serves, first is the main one.
    pub doors: Vec<DoorId>,
    /// What a target has to be heard before it answers is heard at it.
    pub early_media: bool,
    /// What is played to whoever has a call of it, as that begins.
    pub greeting: Option<PathBuf>,
    /// Its line.
    pub line: LineId,
    /// Name for people, shown to the phones.
    pub name: String,
    /// What callers are told for whom a door opened.
    pub opened_call: Cause,
    /// What other callers are told; `None` answers them.
    pub other_calls: Option<Cause>,
    /// What becomes of calls to it while its line is faulty.
    pub on_line_fault: OnLineFault,
    /// How its talks are recorded; `None`: not at all.
    pub record: Option<RecordParams>,
    /// Who calls it hears that it rings from here, and not from his own phone.
    pub rings_back: bool,
    /// To whom its calls may be handed.
    pub transfers: Transfers,
    /// Longest time for which a command may let in who rings; `None` if none may.
    pub ring_to_open: Option<Duration>,
}

/// How talks are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordParams {
    /// What both sides hear as it begins.
    pub announcement: PathBuf,
    /// Where the files are.
    pub folder: PathBuf,
    /// Most of them that are kept.
    pub most_files: u32,
    /// Most room that they take, MiB.
    pub most_mib: u64,
}

/// A button of a panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ButtonParams {
    /// What a press does while somebody rings and nobody has answered: true passes over who rings.
    pub again_next: bool,
    /// Which bell of the line it is, where the line says whom the panel rings.
    pub bell: Option<Bell>,
    /// When it is day for it. While the clock is not believed it is night, unless it is day at any time.
    pub day: When,
    /// Whether a press in the talk that it began ends that.
    pub hangs_up: bool,
    /// The input it is wired to; `None` if only the line's ring or a command presses it.
    pub input: Option<InputId>,
    /// Whom it calls.
    pub list: ListId,
    /// What it does by day and by night.
    pub mode: ButtonMode,
    /// Name for people.
    pub name: String,
    /// Whom it calls by night; `None` calls those of the day.
    pub night: Option<ListId>,
    /// The door that it opens by day; `None` is the panel's first.
    pub opens: Option<DoorId>,
    /// When it calls nobody (do-not-disturb): the ring is told all the same.
    pub quiet: When,
}

impl ButtonParams {
    /// A button that calls a list, by day and by night.
    #[must_use]
    pub fn calling(list: ListId, name: impl Into<String>) -> Self {
        Self {
            again_next: false,
            bell: None,
            day: When::Always,
            hangs_up: false,
            input: None,
            list,
            mode: ButtonMode::ListList,
            name: name.into(),
            night: None,
            opens: None,
            quiet: When::Never,
        }
    }

    /// Every list that it may call.
    pub fn lists(&self) -> impl Iterator<Item = &ListId> {
        [&self.list].into_iter().chain(&self.night)
    }
}

/// What a button does by day and by night.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ButtonMode {
    /// It calls by day, and nobody by night.
    ListForbidden,
    /// It calls, by night another list if it has one.
    #[default]
    ListList,
    /// It opens by day, and calls by night.
    StrikeList,
}

/// A reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderParams {
    /// When a card opens alone; at other times its holder's PIN is needed too.
    pub card_alone: When,
    /// The area in which somebody is who was let in here.
    pub into: Option<AreaId>,
    /// The area that somebody leaves here.
    pub out_of: Option<AreaId>,
    /// True if the reader is a virtual device.
    pub simulated: bool,
}

/// A relay that tells something and opens nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayParams {
    /// It is turned over each time there is something to tell anew, and stays so.
    pub bistable: bool,
    /// It follows after there was something to tell for so long.
    pub delay: Duration,
    /// What it tells.
    pub function: RelayFunction,
    /// Its output, which no door has.
    pub output: OutputId,
}

/// Whether the mains are there is not judged by less than this: inputs are not read at once at a start.
const MAINS: Duration = Duration::from_secs(2);

impl RelayParams {
    /// A relay that follows at once.
    #[must_use]
    pub const fn new(output: OutputId, function: RelayFunction) -> Self {
        Self {
            bistable: false,
            delay: Duration::ZERO,
            function,
            output,
        }
    }

    /// The delay that counts.
    #[must_use]
    pub fn delay(&self) -> Duration {
        match self.function {
            RelayFunction::MainsFault { .. } => self.delay.max(MAINS),
            RelayFunction::Alarm(_)
            | RelayFunction::Command { .. }
            | RelayFunction::Lamp { .. }
            | RelayFunction::Light(_)
            | RelayFunction::LineSeized { .. }
            | RelayFunction::NetworkFault { .. } => self.delay,
        }
    }
}

/// What a relay tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayFunction {
    /// That one of these alarms is not confirmed.
    Alarm(BTreeSet<AlarmId>),
    /// What a rule or a command sets it to.
    Command {
        /// It goes off by itself after so long.
        longest: Option<Duration>,
    },
    /// How a panel is.
    Lamp {
        /// Which panel.
        panel: PanelId,
        /// What of it.
        shows: BTreeSet<LampShows>,
    },
    /// Nothing but light.
    Light(LightParams),
    /// That a call has a line.
    LineSeized {
        /// For so long from the begin of the call; `None` until its end.
        hold: Option<Duration>,
        /// Of which panels; empty means all.
        panels: BTreeSet<PanelId>,
    },
    /// That the mains are lost.
    MainsFault {
        /// The input that is active while they are.
        input: InputId,
    },
    /// That the network is lost.
    NetworkFault {
        /// What counts as lost.
        of: BTreeSet<NetworkLoss>,
    },
}

impl RelayFunction {
    /// The word in site file and views.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Alarm(_) => "alarm",
            Self::Command { .. } => "command",
            Self::Lamp { .. } => "lamp",
            Self::Light(_) => "light",
            Self::LineSeized { .. } => "line-seized",
            Self::MainsFault { .. } => "mains-fault",
            Self::NetworkFault { .. } => "network-fault",
        }
    }
}

/// What lights a lamp. With neither panels, doors nor inputs its schedule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightParams {
    /// A door that is unlocked.
    pub doors: BTreeSet<DoorId>,
    /// An input, for as long as it is active.
    pub inputs: BTreeSet<InputId>,
    /// A ring.
    pub panels: BTreeSet<PanelId>,
    /// For how long, from the event or the end of what lights it.
    pub time: Duration,
    /// When.
    pub when: When,
}

impl LightParams {
    /// Does its schedule alone light it?
    #[must_use]
    pub fn is_by_schedule(&self) -> bool {
        self.doors.is_empty() && self.inputs.is_empty() && self.panels.is_empty()
    }
}

/// What a lamp shows of a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LampShows {
    /// A call that the other side holds.
    Hold,
    /// Somebody calls the panel.
    Incoming,
    /// A button, an exit or a lock is not at rest.
    Io,
    /// A button was pressed, and nobody has answered yet.
    Press,
    /// A door of the panel is unlocked.
    Relay,
    /// Somebody talks.
    Talk,
}

/// What can be lost of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NetworkLoss {
    /// No address by which others reach the gateway.
    Address,
    /// No cable.
    Carrier,
    /// The switch does not let the gateway in.
    PortAccess,
    /// An account that registers is not registered.
    Registration,
}

/// What inputs mean that are held at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartParams {
    /// For how long `reset_input` is held.
    pub hold: Duration,
    /// Asks for what the gateway was delivered with.
    pub reset_input: Option<InputId>,
    /// Asks for the address at `tell_line`.
    pub tell_input: Option<InputId>,
    /// Where the address is told.
    pub tell_line: Option<LineId>,
}

impl Default for StartParams {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(10),
            reset_input: None,
            tell_input: None,
            tell_line: None,
        }
    }
}
