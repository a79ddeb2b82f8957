//! The live picture of the site, made anew at each change, for pages and retained topics.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::ids::{
    AccountId, AlarmId, AnnouncementId, AreaId, ButtonId, DeviceId, DoorGroupId, DoorId, InputId, LineId,
    PanelId, ReaderId, RelayId, RingId, Seq, SiteId,
};
use crate::time::Instant;
use crate::value::words;

words! {
    /// What the lock does, as far as we know.
    LockState {
        /// The output rests.
        Locked = "locked",
        /// The panel owns the lock; we cannot know.
        Unknown = "unknown",
        /// The output is energised.
        Unlocked = "unlocked",
    }
}

words! {
    /// What the door contact says.
    ContactState {
        /// Shut.
        Closed = "closed",
        /// No contact is configured, or it was not read yet.
        Unknown = "unknown",
        /// Open.
        Open = "open",
    }
}

words! {
    /// Who has a panel line.
    LineState {
        /// Another panel.
        BusyOther = "busy-other",
        /// Nobody can use it.
        Fault = "fault",
        /// The stock handset.
        Handset = "handset",
        /// Nobody.
        Idle = "idle",
        /// A call of ours.
        Ours = "ours",
        /// A visitor waits.
        Ringing = "ringing",
    }
}

words! {
    /// How an alarm is.
    AlarmState {
        /// Somebody is being called about it.
        Calling = "calling",
        /// It was confirmed, and its input is active still.
        Confirmed = "confirmed",
        /// There is none.
        Rest = "rest",
        /// Nobody confirmed it in all rounds, and nobody is called any more.
        Unconfirmed = "unconfirmed",
        /// Nobody has confirmed it yet; who is next is called in a while.
        Waiting = "waiting",
    }
}

impl AlarmState {
    /// It is raised, and nobody has confirmed it.
    #[must_use]
    pub const fn is_raised(self) -> bool {
        match self {
            Self::Calling | Self::Unconfirmed | Self::Waiting => true,
            Self::Confirmed | Self::Rest => false,
        }
    }
}

words! {
    /// State of a registration.
    AccountState {
        /// Refused by the registrar, or unreachable.
        Failed = "failed",
        /// Switched off, or not started.
        Off = "off",
        /// Usable: registered, or a trunk that needs no registration.
        Registered = "registered",
        /// Trying.
        Registering = "registering",
    }
}

/// One door.
#[derive(Clone, Debug, PartialEq)]
pub struct DoorView {
    /// Can it be opened at this moment by a permitted person?
    pub available: bool,
    /// Contact.
    pub contact: ContactState,
    /// Forced open and not yet shut.
    pub forced: bool,
    /// Open for longer than allowed.
    pub held_open: bool,
    /// It is held open on purpose.
    pub hold: Option<HoldView>,
    /// For how long a command may hold it open; `None` if none may.
    pub hold_limit: Option<Duration>,
    /// Is there a schedule that holds it open at times?
    pub hold_scheduled: bool,
    /// Which.
    pub id: DoorId,
    /// Lock.
    pub lock: LockState,
    /// Would it open for a permitted person if there were no lockdown? A gateway that keeps somebody out works.
    pub works: bool,
    /// Nobody is let in until the lockdown ends.
    pub lockdown: bool,
    /// Name for people.
    pub name: String,
    /// True if the gateway owns and times the lock.
    pub owned: bool,
    /// When the running pulse ends.
    pub pulse_until: Option<Instant>,
    /// Its readers.
    pub readers: Vec<ReaderId>,
    /// True if every device of this door is virtual.
    pub simulated: bool,
    /// What the tamper contact says; `None` without one, or before its first reading.
    pub tamper: Option<bool>,
}

/// Why a door is held open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldView {
    /// By its schedule, for as long as that is in force.
    pub schedule: bool,
    /// By a command, until then.
    pub until: Option<Instant>,
}

/// The fire input of the building.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FireView {
    /// Its level.
    pub active: bool,
    /// Doors open for fire until an operator resets it.
    pub alarm: bool,
}

/// Doors that can be locked down together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockdownView {
    /// Is the lockdown in force?
    pub active: bool,
    /// Which doors.
    pub doors: Vec<DoorId>,
    /// Which group; `None` is the whole site.
    pub group: Option<DoorGroupId>,
    /// Name for people; that of the site for the whole site.
    pub name: String,
}

/// One panel.
#[derive(Clone, Debug, PartialEq)]
pub struct PanelView {
    /// What a command may have heard at it, with names for people.
    pub announcements: Vec<(AnnouncementId, String)>,
    /// Its buttons, with names for people.
    pub buttons: Vec<(ButtonId, String)>,
    /// May a command have it call though nobody rings? Its line can be spoken on without a ring, or it is virtual.
    pub callable: bool,
    /// Doors it serves, first is the main one.
    pub doors: Vec<DoorId>,
    /// Which.
    pub id: PanelId,
    /// Its line.
    pub line: LineId,
    /// Name for people.
    pub name: String,
    /// Do-not-disturb by a command; `None` if there is none. What the schedules of its buttons say is not told.
    pub quiet: Option<QuietView>,
    /// The ring in progress.
    pub ring: Option<RingId>,
    /// Who rings is let in, by a command; `None` if not.
    pub ring_to_open: Option<RingToOpenView>,
    /// For how long a command may have it so; `None` if none may.
    pub ring_to_open_limit: Option<Duration>,
    /// True if the panel is virtual and may be pressed from outside.
    pub simulated: bool,
}

/// A panel whose bells call nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietView {
    /// Until when; `None` until a command ends it.
    pub until: Option<Instant>,
}

/// A panel whose rings open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingToOpenView {
    /// The end as a date, by the clock as it went when it began; only for people.
    pub date: jiff::Timestamp,
    /// Until when.
    pub until: Instant,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct LineView {
    /// Which.
    pub id: LineId,
    /// State.
    pub state: LineState,
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct CallView {
    /// Names of the parties, in their order, as contacts and directory have them; empty for others.
    pub names: Vec<String>,
    /// Who talks or rings, as `sip:…`.
    pub parties: Vec<String>,
    /// Its ring.
    pub ring: RingId,
    /// The panel whose line it is about; none of a call about an alarm.
    pub panel: Option<PanelId>,
    /// `ringing`, `talking`.
    pub state: &'static str,
}

/// One registration.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountView {
    /// Last failure in words, empty if none.
    pub detail: String,
    /// Which.
    pub id: AccountId,
    /// State.
    pub state: AccountState,
}

/// Somebody in the directory of contacts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirectoryEntry {
    /// Where he is called directly, without a PBX.
    pub address: Option<IpAddr>,
    /// Name for people.
    pub name: String,
    /// Number as it is dialled.
    pub number: String,
}

/// The directory of contacts, as it was read last.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DirectoryView {
    /// By name.
    pub entries: Vec<DirectoryEntry>,
    /// When it was read; `None` if it never was.
    pub read: Option<jiff::Timestamp>,
}

/// Something wrong, with its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is affected: `guard`, `journal`, `mqtt`, `account:pbx`, `device:…`.
    pub part: String,
    /// What was found and what to do.
    pub text: String,
}

/// The switch port, as its supplicant sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortView {
    /// Adapter that looks after it.
    pub id: DeviceId,
    /// Kind of its last event without `port.`: `authorized`, `carrier-lost`, …
    pub state: String,
    /// What is wrong, and what to do; empty if nothing is.
    pub text: String,
}

/// One alarm of the site file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmView {
    /// Which.
    pub id: AlarmId,
    /// Name for people.
    pub name: String,
    /// Its ring; `None` at rest.
    pub ring: Option<RingId>,
    /// How it is.
    pub state: AlarmState,
}

/// One relay that tells something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayView {
    /// Is it active? What its coil does then is the guard's configuration.
    pub active: bool,
    /// What it tells: `network-fault`.
    pub function: &'static str,
    /// Which.
    pub id: RelayId,
    /// What there is to tell; empty if there is nothing.
    pub text: String,
}

/// What the records say began and has not ended, where only a reading tells the end.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Lasting {
    /// The fire input is active.
    pub fire: bool,
    /// Inputs that rules look at and that are active.
    pub inputs: BTreeSet<InputId>,
    /// The network is lost.
    pub network_lost: bool,
    /// Buttons that are held for too long.
    pub stuck: BTreeSet<(PanelId, ButtonId)>,
}

/// The whole site.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct SiteView {
    /// Registrations.
    pub accounts: Vec<AccountView>,
    /// Alarms, raised or not.
    pub alarms: Vec<AlarmView>,
    /// Areas that people are in or not (anti-passback).
    pub areas: Vec<AreaId>,
    /// Calls in progress.
    pub calls: Vec<CallView>,
    /// Doors.
    pub doors: Vec<DoorView>,
    /// Faults that stand now.
    pub faults: Vec<Fault>,
    /// Fire; `None` without a fire input, and without an alarm of one that was there.
    pub fire: Option<FireView>,
    /// Configuration generation.
    pub generation: u64,
    /// Instance id.
    pub instance: String,
    /// What only a reading ends.
    pub lasting: Lasting,
    /// Lines.
    pub lines: Vec<LineView>,
    /// What can be locked down: the whole site first, then each group of doors.
    pub lockdowns: Vec<LockdownView>,
    /// Site name for people.
    pub name: String,
    /// Panels.
    pub panels: Vec<PanelView>,
    /// Switch ports that the gateway looks after.
    pub ports: Vec<PortView>,
    /// Relays that tell something.
    pub relays: Vec<RelayView>,
    /// Last durable record this picture includes.
    pub seq: Seq,
    /// Which site.
    pub site: Option<SiteId>,
}
