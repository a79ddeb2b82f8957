//! The whole gateway as one machine: doors, lines, calls and access composed. Pure.
//!
//! The binary runs one [`Site`] in one task: it feeds [`Input`]s, drains [`Output`]s, and waits for the next
//! input or for [`Site::poll_timeout`]. Time is an argument, randomness is passed in.

mod io;
mod levels;
mod news;
mod params;
mod site;
mod tried;

pub use io::{Decision, GuardReport, HeldInput, Input, KeptAlarm, KeptFire, Output, Plan, Recorded, SeenId};
pub use params::{
    AccountParams, AlarmParams, AnnouncementParams, ButtonMode, ButtonParams, Caller, CallerAction,
    CallerParams, CardParams, CodeParams, Contact, Contacts, ControllerParams, DoorGroupParams, DoorParams,
    InputParams, LampShows, LightParams, LineParams, ListParams, NetworkLoss, OnLineFault, OutputParams,
    PanelParams, ReaderParams, RecordParams, RelayFunction, RelayParams, RexParams, SiteParams, StartParams,
    TargetParams, Transfers,
};
// The words of the parameters, so that the binary needs no other crate for them.
pub use gateway_access::{
    Area, CallerPattern, CardKey, Change, Credential, Directory, Escort, Group, LockOut, NumberPlan,
    OnJournalFault, Passback, Person, PinKey, Place, Proof, RexKind, RightOf, Schedule, Schedules, Validity,
    When, card_frame,
};
pub use gateway_call::Answer;
pub use gateway_door::{Duty, FailMode, LockKind, LockOwner, ReleaseCause, Relock, Told};
pub use gateway_line::{CallIn, OpenWhen};
pub use gateway_rules as rules;
pub use site::rules::published;
pub use site::{Site, rights};
pub use tried::try_rules;
