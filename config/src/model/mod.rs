//! The site file as typed values.

mod access;
mod alarms;
mod announce;
mod announcements;
mod areas;
mod boards;
mod calls;
mod clock_data;
mod controllers;
mod devices;
mod directory;
mod door_groups;
mod doors;
mod dot1x;
mod front_end;
mod front_end_reader;
mod ibutton;
mod log;
mod logins;
mod modbus;
mod network;
mod notify;
mod osdp;
mod outside;
mod recordings;
mod relays;
mod retention;
mod rule;
mod schedules;
mod services;
mod site;
mod start;
mod time;
mod wiegand;

use std::collections::BTreeMap;

use gateway_core::{
    AccountId, AlarmId, AnnouncementId, AreaId, ChannelId, ControllerId, CredentialId, DoorGroupId, DoorId,
    FormatId, GroupId, HolidaysId, InputId, LineId, ListId, OutputId, PanelId, ReaderId, RelayId, RuleId,
    ScheduleId,
};

pub use access::{Card, Code, Group};
pub use alarms::Alarm;
pub use announce::Announce;
pub use announcements::Announcement;
pub use areas::Area;
pub use boards::{Dcttech, Kmtronic, Modbus, Numato};
pub use calls::{Account, List, Sip, Target};
pub use clock_data::ClockDataReader;
pub use controllers::{Controller, ControllerDriver, OsdpController, WiegandController};
pub use devices::{
    ContactLine, GpioInput, GpioOutput, Input, InputDriver, Lcus1, Line, LineDriver, LineSound, LineVoice,
    Output, OutputDriver, Reader, ReaderDriver, VirtualInput, VirtualLine, VirtualOutput, VirtualReader,
};
pub use directory::Directory;
pub use door_groups::DoorGroup;
pub use doors::{Button, Caller, Door, InputUse, Panel, PanelCaller, Rex};
pub use dot1x::Dot1x;
pub use front_end::{Apartments, FrontEndDoor, FrontEndLine};
pub use front_end_reader::{FrontEndClockData, FrontEndKeys};
pub use ibutton::IbuttonReader;
pub use log::{Log, LogSyslog};
pub use logins::{Logins, Radius, RadiusServer};
pub use modbus::{ModbusInput, ModbusLine};
pub use network::Network;
pub use notify::{Mail, Notify, NotifyTarget, Syslog, Telegram, Webhook};
pub use osdp::{KeyFile, OsdpInput, OsdpOutput, OsdpReader};
pub use outside::{Availability, HttpOutput, MqttInput, MqttOutput, WebhookInput};
pub use recordings::Recordings;
pub use relays::{
    AlarmRelay, Lamp, Light, LineSeized, MainsFault, NetworkFault, Relay, RelayCommand, RelayFunction,
};
pub use retention::Retention;
pub use rule::{
    Rule, RuleAction, RuleAlarm, RuleCall, RuleCard, RuleDo, RuleLockdown, RuleMqtt, RuleNotify, RuleOpen,
    RuleOutput, RulePrompt, RuleState, RuleWhen,
};
pub use schedules::{Holidays, Schedule};
pub use services::{Http, Mqtt, MqttKey};
pub use site::{Guard, Site};
pub use start::Start;
pub use time::Time;
pub use wiegand::{CardFormat, ReaderWire, WiegandReader};

use crate::describe::table;
use crate::rules::{map, table};

table! {
    /// A site file. Tables in any order; what is not written has its default. Relative paths of certificates, keys,
    /// passwords and sounds start at the folder of this file.
    pub struct Config {
        /// Which site this is, and where the gateway keeps its files.
        site: Site = "site", table(),
            needed("{ id = 'x', name = 'x', number = '000000000', address = 'x' }"), Live;
        /// The relay guard: the separate process that alone holds the outputs.
        guard: Guard = "guard", table(), or("{}"), Restart;
        /// Outputs: one relay, board channel or pin each.
        outputs: BTreeMap<OutputId, Output> = "outputs", map("output"), or("{}"), Restart;
        /// Relays that tell something and open nothing.
        relays: BTreeMap<RelayId, Relay> = "relays", map("relay"), or("{}"), Restart;
        /// Inputs: buttons, contacts, requests to exit.
        inputs: BTreeMap<InputId, Input> = "inputs", map("input"), or("{}"), Restart;
        /// Lines: the wires where panels reach the gateway.
        lines: BTreeMap<LineId, Line> = "lines", map("line"), or("{}"), Restart;
        /// Panels: call stations with buttons.
        panels: BTreeMap<PanelId, Panel> = "panels", map("panel"), or("{}"), Live;
        /// Doors, gates and barriers.
        doors: BTreeMap<DoorId, Door> = "doors", map("door"), or("{}"), Live;
        /// Groups of doors: what is locked down together, or of which one opens at a time.
        door_groups: BTreeMap<DoorGroupId, DoorGroup> = "door-groups", map("door group"), or("{}"), Live;
        /// Areas of the site that readers lead into.
        areas: BTreeMap<AreaId, Area> = "areas", map("area"), or("{}"), Live;
        /// Readers of cards and keypads.
        readers: BTreeMap<ReaderId, Reader> = "readers", map("reader"), or("{}"), Restart;
        /// Access controllers of somebody else, before which the gateway stands as a reader.
        controllers: BTreeMap<ControllerId, Controller> = "controllers", map("controller"), or("{}"), Restart;
        /// Card formats of this site, beside the published ones.
        card_formats: BTreeMap<FormatId, CardFormat> = "card-formats", map("format"), or("{}"), Restart;
        /// Accounts at a PBX.
        accounts: BTreeMap<AccountId, Account> = "accounts", map("account"), or("{}"), Restart;
        /// Call lists: whom a button rings.
        lists: BTreeMap<ListId, List> = "lists", map("list"), or("{}"), Live;
        /// Codes that open doors.
        codes: BTreeMap<CredentialId, Code> = "codes", map("code"), or("{}"), Live;
        /// Cards that open doors.
        cards: BTreeMap<CredentialId, Card> = "cards", map("card"), or("{}"), Live;
        /// Groups of people: what the people of the records open.
        groups: BTreeMap<GroupId, Group> = "groups", map("group"), or("{}"), Live;
        /// Schedules: times that cards, codes, callers and readers name.
        schedules: BTreeMap<ScheduleId, Schedule> = "schedules", map("schedule"), or("{}"), Live;
        /// Lists of holidays that schedules name.
        holidays: BTreeMap<HolidaysId, Holidays> = "holidays", map("holiday"), or("{}"), Live;
        /// Announcements: what a command has heard at panels, in a talk and without one.
        announcements: BTreeMap<AnnouncementId, Announcement> = "announcements", map("announcement"), or("{}"), Live;
        /// Recordings of talks; without this table there are none.
        recordings: Option<Recordings> = "recordings", table(), optional, Live;
        /// How long what happened is kept, class by class.
        retention: Retention = "retention", table(), or("{}"), Live;
        /// Inputs that are held while the gateway starts.
        start: Start = "start", table(), or("{}"), Live;
        /// SIP and media sockets.
        sip: Sip = "sip", table(), or("{}"), Restart;
        /// When the machine's clock is believed.
        time: Time = "time", table(), or("{}"), Live;
        /// Address of the port by which the gateway is reached; without this table the network is left alone.
        network: Option<Network> = "network", table(), optional, Live;
        /// How the gateway makes itself known to its neighbours on the network.
        announce: Announce = "announce", table(), or("{}"), Live;
        /// MQTT; without this table there is none.
        mqtt: Option<Mqtt> = "mqtt", table(), optional, Restart;
        /// IEEE 802.1X on the gateway's own switch port; without this table the port is left alone.
        dot1x: Option<Dot1x> = "dot1x", table(), optional, Restart;
        /// Page and HTTP API; without this table there is none.
        http: Option<Http> = "http", table(), optional, Restart;
        /// Contacts from an LDAP directory; without this table there are none.
        directory: Option<Directory> = "directory", table(), optional, Restart;
        /// Who may log in besides the users of this gateway; without this table nobody.
        logins: Option<Logins> = "logins", table(), optional, Restart;
        /// Where the program's own log goes.
        log: Log = "log", table(), or("{}"), Live;
        /// Notifications: channels by which events are told elsewhere.
        notify: BTreeMap<ChannelId, Notify> = "notify", map("channel"), or("{}"), Restart;
        /// Alarms: what security is called for until somebody confirms it.
        alarms: BTreeMap<AlarmId, Alarm> = "alarms", map("alarm"), or("{}"), Live;
        /// Rules: what is asked for when something happens.
        rules: BTreeMap<RuleId, Rule> = "rules", map("rule"), or("{}"), Live;
    }
}
