//! `[lines.*.front-end]`, `[outputs.*.front-end]` and `[panels.*.apartments]`.

use std::path::PathBuf;
use std::time::Duration;

use gateway_core::{AccountId, LineId, ListId};
use gateway_panel::{Apartments as Numbers, ApartmentsError, BusAddress, Profile, Ranges, profile_named};

use crate::describe::table;
use crate::rules::{Flag, Path, int, list, parsed, refer, secs};
use crate::value::{ApartmentNumber, NumberPattern, OwnProfile, PanelProfile};

table! {
    /// A panel line on a front end: a microcontroller that sees edges and times outputs. Several lines may share one. A
    /// front end has two ports: this is the one that opens nothing.
    pub struct FrontEndLine {
        /// Its line port; the name under `/dev/serial/by-id` stays the same when front ends are replugged.
        port: PathBuf = "port", Path, required, Restart;
        /// Bits per second, 9600 to 3000000; one with USB of its own takes any.
        baud: u32 = "baud", int(9600, 3_000_000), or("921600"), Restart;
        /// What kind of line it is: one of the profiles that `doorline panel list` shows.
        profile: Option<PanelProfile> = "profile", parsed(), optional, Restart;
        /// A profile of the site's own in place of `profile`, as a text of several lines: what `doorline panel show` prints
        /// is one to begin with, and `doorline panel learn` proposes one.
        own_profile: Option<OwnProfile> = "own-profile", parsed(), optional, Restart;
        /// On a bus that talks in frames: address or serial number of the handset that the line stands for, 0 to 1048575. It rings
        /// for frames to this address, and opens as this handset does; frames for others leave no trace.
        bus_address: Option<u32> = "bus-address", int(0, 1_048_575), optional, Restart;
        /// On a bus that numbers its door stations: the one whose calls ring and whose door is opened, 0 to 63; left out, it is 0.
        bus_station: Option<u8> = "bus-station", int(0, 63), optional, Restart;
        /// Input of the line, or of its call wire, 0 to 15.
        call_input: u8 = "call-input", int(0, 15), or("0"), Restart;
        /// Input that tells when the stock handset is lifted; left out if it is not wired. It is low then, unless `[handset]` of the
        /// profile says otherwise.
        handset_input: Option<u8> = "handset-input", int(0, 15), optional, Restart;
        /// Input that is high while another panel has the line; left out if it is not wired. A ring counts even then: whoever
        /// rings has the line.
        busy_input: Option<u8> = "busy-input", int(0, 15), optional, Restart;
        /// Input that is high while somebody rings at the door of the apartment itself; left out if it is not wired.
        floor_input: Option<u8> = "floor-input", int(0, 15), optional, Restart;
        /// Output that is off-hook.
        hook_output: u8 = "hook-output", int(0, 15), or("0"), Restart;
        /// Output that takes the stock handset off the line while the gateway talks; left out if there is none.
        exclude_output: Option<u8> = "exclude-output", int(0, 15), optional, Restart;
        /// Output that keeps the stock handset from chiming; left out if there is none.
        mute_output: Option<u8> = "mute-output", int(0, 15), optional, Restart;
        /// True: the stock handset does not chime. Rings are told all the same.
        mute_chime: bool = "mute-chime", Flag, or("false"), Restart;
    }
}

impl FrontEndLine {
    /// What kind of line it is; a line without is refused by `check`.
    #[must_use]
    pub fn panel_profile(&self) -> Option<&Profile> {
        match (&self.profile, &self.own_profile) {
            (_, Some(own)) => Some(&own.profile),
            (Some(named), None) => profile_named(&named.0).ok(),
            (None, None) => None,
        }
    }

    /// Who it is on its bus; `None` on a line without an address.
    #[must_use]
    pub fn bus(&self) -> Option<BusAddress> {
        Some(BusAddress {
            address: self.bus_address?,
            station: self.bus_station.unwrap_or(0),
        })
    }

    /// Every input, with its key.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = (&'static str, u8)> {
        [
            ("call-input", Some(self.call_input)),
            ("handset-input", self.handset_input),
            ("busy-input", self.busy_input),
            ("floor-input", self.floor_input),
        ]
        .into_iter()
        .filter_map(|(key, input)| Some((key, input?)))
    }

    /// Every output, with its key.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = (&'static str, u8)> {
        [
            ("hook-output", Some(self.hook_output)),
            ("exclude-output", self.exclude_output),
            ("mute-output", self.mute_output),
        ]
        .into_iter()
        .filter_map(|(key, output)| Some((key, output?)))
    }
}

table! {
    /// A door of a front end: it is opened as the profile of its line says, and the front end ends that by itself.
    pub struct FrontEndDoor {
        /// Its door port, which is another one than that of the line; the relay guard has it for itself.
        port: PathBuf = "port", Path, required, Restart;
        /// Bits per second, 9600 to 3000000; one with USB of its own takes any.
        baud: u32 = "baud", int(9600, 3_000_000), or("921600"), Restart;
        /// Door of the front end, 0 to 15.
        door: u8 = "door", int(0, 15), or("0"), Restart;
        /// Line on the same front end that opens it.
        line: LineId = "line", refer("line"), required, Restart;
    }
}

table! {
    /// Apartments of a panel whose line says whom it rings. Each that is served is a button `apartment-N` of the panel.
    /// What rings others leaves no event, no line in the log and no packet.
    pub struct Apartments {
        /// Apartments that are served: numbers from 1 to 255 and ranges, such as `1-40, 45`.
        subscribed: Ranges = "subscribed", parsed(), required, Restart;
        /// Number that is called for an apartment: digits with `{}` where the apartment's stand, `{3}` for at least three
        /// of them, such as `50{2}`.
        number: NumberPattern = "number", parsed(), required, Live;
        /// Added to what the line says before it is written, -255 to 1000.
        offset: i32 = "offset", int(-255, 1000), or("0"), Live;
        /// Apartments with another number, as `APARTMENT=NUMBER`, at most 255.
        exceptions: Vec<ApartmentNumber> = "exceptions", list(parsed(), 0, 255), or("[]"), Live;
        /// Account to call through; without it the panel's.
        account: Option<AccountId> = "account", refer("account"), optional, Live;
        /// How long it rings, 10 to 60 s.
        ring: Duration = "ring-s", secs(10, 60), or("30"), Live;
        /// List that is called for numbers that no apartment has (`concierge-for`); without it they ring nobody.
        concierge: Option<ListId> = "concierge", refer("list"), optional, Live;
        /// Numbers that no apartment has, as under `subscribed`.
        concierge_for: Option<Ranges> = "concierge-for", parsed(), optional, Restart;
    }
}

impl Apartments {
    /// Apartments with their numbers.
    ///
    /// # Errors
    /// [`ApartmentsError`] for the first one that has none.
    pub fn numbers(&self) -> Result<Vec<(u16, String)>, ApartmentsError> {
        let exceptions = self.exceptions.iter().map(|e| (e.apartment, e.number.clone()));
        let numbers = Numbers {
            exceptions: exceptions.collect(),
            offset: self.offset,
            pattern: self.number.0.clone(),
            subscribed: self.subscribed.clone(),
        };
        let all = self.subscribed.iter();
        all.filter_map(|n| numbers.number(n).map(|to| Some((n, to?))).transpose())
            .collect()
    }
}
