//! What the site file in force has of schedules, rules and devices, as outside interfaces show it. Nothing secret is in it.

use gateway_access::Schedules;
use gateway_core::{DoorId, ScheduleId};

/// A schedule, as its lines are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleOutline {
    /// Dates on which other times count.
    pub exceptions: Vec<String>,
    /// Days on which the lines of `holiday` count.
    pub holidays: Vec<String>,
    /// Which.
    pub id: ScheduleId,
    /// Days and times.
    pub times: Vec<String>,
}

/// A rule, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleOutline {
    /// What is asked for, in its order.
    pub actions: Vec<ActionOutline>,
    /// What the event has to say: `outcome=no-answer`.
    pub fields: Vec<String>,
    /// Whoever the event is about is in one of these groups.
    pub groups: Vec<String>,
    /// Which.
    pub id: String,
    /// How often within a minute it acts at most.
    pub most_per_minute: u32,
    /// Kinds of events and families of them.
    pub on: Vec<String>,
    /// `always`, `never` or a schedule.
    pub schedule: String,
    /// Whose events count; empty means all.
    pub sources: Vec<String>,
    /// How the site has to be: `door front is shut`.
    pub states: Vec<String>,
    /// It acts at every so many events.
    pub times: u32,
    /// Time within which they come, in seconds.
    pub within_s: Option<u64>,
}

/// What a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionOutline {
    /// `alarm`, `call`, `card`, `lockdown`, `mqtt`, `notify`, `open`, `output` or `prompt`.
    pub kind: &'static str,
    /// The same words as in the journal.
    pub text: String,
}

/// What a device is to the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceKind {
    /// Something that holds outputs: a relay board, a chip, a front end's doors.
    Board,
    /// The reader that the gateway plays before a controller of somebody else.
    Controller,
    /// A microcontroller on panel lines.
    FrontEnd,
    /// An input.
    Input,
    /// A panel line.
    Line,
    /// An output.
    Output,
    /// A reader.
    Reader,
}

impl DeviceKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Board,
        Self::Controller,
        Self::FrontEnd,
        Self::Input,
        Self::Line,
        Self::Output,
        Self::Reader,
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Board => "board",
            Self::Controller => "controller",
            Self::FrontEnd => "front-end",
            Self::Input => "input",
            Self::Line => "line",
            Self::Output => "output",
            Self::Reader => "reader",
        }
    }
}

/// A device of the site file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceOutline {
    /// Doors that it has a part in.
    pub doors: Vec<DoorId>,
    /// Family of its driver: `gpio`, `osdp`, `virtual`, …
    pub driver: &'static str,
    /// Its name; where it is, for a board.
    pub id: String,
    /// What it is.
    pub kind: DeviceKind,
    /// Parts of the gateway whose faults are its own ([`gateway_core::Fault::part`]).
    pub parts: Vec<String>,
    /// It exists only in the gateway.
    pub simulated: bool,
    /// What it is for, in words: `lock of door front`.
    pub uses: Vec<String>,
    /// Where it is: port, address, chip and line, topic; empty where it is nowhere.
    pub place: String,
}

/// What is shown of the site file in force.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outline {
    /// By kind and id.
    pub devices: Vec<DeviceOutline>,
    /// By id.
    pub rules: Vec<RuleOutline>,
    /// By id.
    pub schedules: Vec<ScheduleOutline>,
    /// By which schedules are looked up.
    pub times: Schedules,
    /// Time zone of the site, as the site file has it.
    pub time_zone: String,
}
