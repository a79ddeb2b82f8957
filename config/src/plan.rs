//! What a new site file would do to a running gateway, component by component.

use std::collections::BTreeMap;
use std::fmt;

use gateway_core::{
    AccountId, AlarmId, AnnouncementId, AreaId, ChannelId, ControllerId, CredentialId, DoorGroupId, DoorId,
    FormatId, GroupId, HolidaysId, InputId, LineId, ListId, OutputId, PanelId, ReaderId, RelayId, RuleId,
    ScheduleId,
};

use crate::describe::Apply;
use crate::model::Config;
use crate::read::Record;

/// A part of the gateway that is configured by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// A registration or trunk.
    Account(AccountId),
    /// Name and hellos on the network.
    Announce,
    /// An announcement.
    Announcement(AnnouncementId),
    /// An area.
    Area(AreaId),
    /// An alarm.
    Alarm(AlarmId),
    /// A card.
    Card(CredentialId),
    /// A card format.
    CardFormat(FormatId),
    /// A code.
    Code(CredentialId),
    /// A controller of somebody else.
    Controller(ControllerId),
    /// The directory of contacts.
    Directory,
    /// A door.
    Door(DoorId),
    /// A group of doors.
    DoorGroup(DoorGroupId),
    /// 802.1X on the switch port.
    Dot1x,
    /// A group of people.
    Group(GroupId),
    /// The relay guard as a whole.
    Guard,
    /// A list of holidays.
    Holidays(HolidaysId),
    /// Page and HTTP API.
    Http,
    /// An input.
    Input(InputId),
    /// A line.
    Line(LineId),
    /// A call list.
    List(ListId),
    /// Logins that others vouch for.
    Logins,
    /// The MQTT connection.
    Mqtt,
    /// Address of the port.
    Network,
    /// The program's own log.
    Log,
    /// A channel of notifications.
    Notify(ChannelId),
    /// An output.
    Output(OutputId),
    /// A panel.
    Panel(PanelId),
    /// A reader.
    Reader(ReaderId),
    /// A relay that tells something.
    Relay(RelayId),
    /// A rule.
    Rule(RuleId),
    /// A schedule.
    Schedule(ScheduleId),
    /// SIP and media sockets.
    Sip,
    /// Identity and folders.
    Site,
    /// Inputs that are held at the start.
    Start,
    /// When the clock is believed.
    Time,
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(f, "accounts.{id}"),
            Self::Announce => f.write_str("announce"),
            Self::Announcement(id) => write!(f, "announcements.{id}"),
            Self::Alarm(id) => write!(f, "alarms.{id}"),
            Self::Area(id) => write!(f, "areas.{id}"),
            Self::Card(id) => write!(f, "cards.{id}"),
            Self::CardFormat(id) => write!(f, "card-formats.{id}"),
            Self::Code(id) => write!(f, "codes.{id}"),
            Self::Controller(id) => write!(f, "controllers.{id}"),
            Self::Directory => f.write_str("directory"),
            Self::Door(id) => write!(f, "doors.{id}"),
            Self::DoorGroup(id) => write!(f, "door-groups.{id}"),
            Self::Dot1x => f.write_str("dot1x"),
            Self::Group(id) => write!(f, "groups.{id}"),
            Self::Guard => f.write_str("guard"),
            Self::Holidays(id) => write!(f, "holidays.{id}"),
            Self::Http => f.write_str("http"),
            Self::Input(id) => write!(f, "inputs.{id}"),
            Self::Line(id) => write!(f, "lines.{id}"),
            Self::List(id) => write!(f, "lists.{id}"),
            Self::Log => f.write_str("log"),
            Self::Logins => f.write_str("logins"),
            Self::Mqtt => f.write_str("mqtt"),
            Self::Network => f.write_str("network"),
            Self::Notify(id) => write!(f, "notify.{id}"),
            Self::Output(id) => write!(f, "outputs.{id}"),
            Self::Panel(id) => write!(f, "panels.{id}"),
            Self::Reader(id) => write!(f, "readers.{id}"),
            Self::Relay(id) => write!(f, "relays.{id}"),
            Self::Rule(id) => write!(f, "rules.{id}"),
            Self::Schedule(id) => write!(f, "schedules.{id}"),
            Self::Sip => f.write_str("sip"),
            Self::Site => f.write_str("site"),
            Self::Start => f.write_str("start"),
            Self::Time => f.write_str("time"),
        }
    }
}

/// How a component differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// Keys of it changed.
    Changed,
    /// It is gone.
    Removed,
    /// It is the same.
    Same,
}

/// What is done to a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing.
    None,
    /// Taken over while it runs; calls and pulses go on.
    Live,
    /// It is stopped, started, or both; its neighbours go on.
    Restart,
    /// A reload cannot do it: the gateway has to be started anew.
    Process,
}

impl From<Apply> for Effect {
    fn from(apply: Apply) -> Self {
        match apply {
            Apply::Live => Self::Live,
            Apply::Process => Self::Process,
            Apply::Restart => Self::Restart,
        }
    }
}

impl Effect {
    /// The word used in plans.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::None => "none",
            Self::Process => "process",
            Self::Restart => "restart",
        }
    }
}

/// One component of a [`Plan`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How it differs.
    pub change: Change,
    /// Which.
    pub component: Component,
    /// What is done to it.
    pub effect: Effect,
    /// Keys that changed.
    pub keys: Vec<&'static str>,
    /// What happens, in words.
    pub text: String,
}

/// What a new site file would do. Removed outputs come first: they are released before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Every component of both files.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The components that are not left alone.
    pub fn touched(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.effect != Effect::None)
    }

    /// What is done to a component; `None` if neither file has it.
    #[must_use]
    pub fn effect(&self, component: &Component) -> Option<Effect> {
        self.steps
            .iter()
            .find(|s| s.component == *component)
            .map(|s| s.effect)
    }

    /// True if a reload cannot do it: the gateway has to be started anew.
    #[must_use]
    pub fn needs_process(&self) -> bool {
        self.steps.iter().any(|step| step.effect == Effect::Process)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut any = false;
        for step in self.touched() {
            if any {
                f.write_str("\n")?;
            }
            any = true;
            write!(f, "{}: {}: {}", step.component, step.effect.word(), step.text)?;
        }
        if any {
            Ok(())
        } else {
            f.write_str("nothing changes")
        }
    }
}

/// Compares two configurations.
#[must_use]
pub fn plan(old: &Config, new: &Config) -> Plan {
    let mut steps = Vec::new();
    steps.push(compare(Component::Site, Some(&old.site), Some(&new.site)));
    steps.push(compare(Component::Guard, Some(&old.guard), Some(&new.guard)));
    each(&mut steps, &old.outputs, &new.outputs, Component::Output);
    each(&mut steps, &old.relays, &new.relays, Component::Relay);
    each(&mut steps, &old.inputs, &new.inputs, Component::Input);
    each(&mut steps, &old.lines, &new.lines, Component::Line);
    each(
        &mut steps,
        &old.card_formats,
        &new.card_formats,
        Component::CardFormat,
    );
    each(&mut steps, &old.areas, &new.areas, Component::Area);
    each(
        &mut steps,
        &old.controllers,
        &new.controllers,
        Component::Controller,
    );
    each(&mut steps, &old.readers, &new.readers, Component::Reader);
    steps.push(compare(Component::Sip, Some(&old.sip), Some(&new.sip)));
    each(&mut steps, &old.accounts, &new.accounts, Component::Account);
    each(&mut steps, &old.lists, &new.lists, Component::List);
    each(&mut steps, &old.panels, &new.panels, Component::Panel);
    each(
        &mut steps,
        &old.announcements,
        &new.announcements,
        Component::Announcement,
    );
    each(&mut steps, &old.doors, &new.doors, Component::Door);
    each(
        &mut steps,
        &old.door_groups,
        &new.door_groups,
        Component::DoorGroup,
    );
    each(&mut steps, &old.codes, &new.codes, Component::Code);
    each(&mut steps, &old.cards, &new.cards, Component::Card);
    each(&mut steps, &old.groups, &new.groups, Component::Group);
    each(&mut steps, &old.schedules, &new.schedules, Component::Schedule);
    each(&mut steps, &old.holidays, &new.holidays, Component::Holidays);
    steps.push(compare(Component::Log, Some(&old.log), Some(&new.log)));
    steps.push(compare(Component::Time, Some(&old.time), Some(&new.time)));
    steps.push(compare(Component::Start, Some(&old.start), Some(&new.start)));
    if old.network.is_some() || new.network.is_some() {
        steps.push(compare(
            Component::Network,
            old.network.as_ref(),
            new.network.as_ref(),
        ));
    }
    steps.push(compare(
        Component::Announce,
        Some(&old.announce),
        Some(&new.announce),
    ));
    if old.mqtt.is_some() || new.mqtt.is_some() {
        steps.push(compare(Component::Mqtt, old.mqtt.as_ref(), new.mqtt.as_ref()));
    }
    if old.http.is_some() || new.http.is_some() {
        steps.push(compare(Component::Http, old.http.as_ref(), new.http.as_ref()));
    }
    if old.logins.is_some() || new.logins.is_some() {
        steps.push(compare(
            Component::Logins,
            old.logins.as_ref(),
            new.logins.as_ref(),
        ));
    }
    if old.directory.is_some() || new.directory.is_some() {
        steps.push(compare(
            Component::Directory,
            old.directory.as_ref(),
            new.directory.as_ref(),
        ));
    }
    each(&mut steps, &old.notify, &new.notify, Component::Notify);
    each(&mut steps, &old.alarms, &new.alarms, Component::Alarm);
    each(&mut steps, &old.rules, &new.rules, Component::Rule);
    if old.dot1x.is_some() || new.dot1x.is_some() {
        steps.push(compare(Component::Dot1x, old.dot1x.as_ref(), new.dot1x.as_ref()));
    }
    let mut plan = Plan { steps };
    spread(&mut plan, old, new);
    // Stable: the rest keeps its order.
    plan.steps.sort_by_key(|step| {
        !(step.change == Change::Removed && matches!(step.component, Component::Output(_)))
    });
    plan
}

fn each<K: Ord + Clone, T: Record + PartialEq>(
    steps: &mut Vec<Step>,
    old: &BTreeMap<K, T>,
    new: &BTreeMap<K, T>,
    component: impl Fn(K) -> Component,
) {
    let added = new.keys().filter(|key| !old.contains_key(*key));
    for key in old.keys().chain(added) {
        steps.push(compare(component(key.clone()), old.get(key), new.get(key)));
    }
}

fn compare<T: Record + PartialEq>(component: Component, old: Option<&T>, new: Option<&T>) -> Step {
    let (change, effect, keys) = match (old, new) {
        (Some(old), Some(new)) => {
            let differing = old.differing(new);
            let effect = differing.iter().map(|(_, apply)| Effect::from(*apply)).max();
            let keys: Vec<&'static str> = differing.into_iter().map(|(key, _)| key).collect();
            match effect {
                Some(effect) => (Change::Changed, effect, keys),
                None => (Change::Same, Effect::None, keys),
            }
        }
        (None, _) => (Change::Added, appearing(&component), Vec::new()),
        (Some(_), None) => (Change::Removed, appearing(&component), Vec::new()),
    };
    let text = words(&component, change, effect, &keys);
    Step {
        change,
        component,
        effect,
        keys,
        text,
    }
}

/// What is only data comes and goes without a stop or start.
const fn appearing(component: &Component) -> Effect {
    match component {
        Component::Alarm(_)
        | Component::Announcement(_)
        | Component::Area(_)
        | Component::Card(_)
        | Component::Code(_)
        | Component::DoorGroup(_)
        | Component::Group(_)
        | Component::Holidays(_)
        | Component::List(_)
        | Component::Log
        | Component::Network
        | Component::Rule(_)
        | Component::Schedule(_) => Effect::Live,
        Component::Account(_)
        | Component::Announce
        | Component::CardFormat(_)
        | Component::Directory
        | Component::Door(_)
        | Component::Dot1x
        | Component::Guard
        | Component::Http
        | Component::Controller(_)
        | Component::Input(_)
        | Component::Line(_)
        | Component::Logins
        | Component::Mqtt
        | Component::Notify(_)
        | Component::Output(_)
        | Component::Panel(_)
        | Component::Reader(_)
        | Component::Relay(_)
        | Component::Sip
        | Component::Site
        | Component::Start
        | Component::Time => Effect::Restart,
    }
}

/// What happens when it is stopped.
const fn ends(component: &Component) -> &'static str {
    match component {
        Component::Account(_) => "its calls end and it is unregistered",
        Component::Alarm(_) => "it is over, and nobody is called for it",
        Component::Announcement(_) => "no command has it heard from here on",
        Component::Area(_) => "nobody is refused for being in it already",
        Component::Announce => "neighbours forget the gateway",
        Component::Card(_) | Component::Code(_) => "it opens nothing from here on",
        Component::CardFormat(_) => "readers that take it are stopped",
        Component::Controller(_) => "it gets no cards any more, and sees its reader go",
        Component::Directory => "its entries are unknown",
        Component::Door(_) => "its running pulse ends",
        Component::DoorGroup(_) => "its lockdown and interlock keep no door shut from here on",
        Component::Dot1x => "its supplicant ends without logging off, and the switch keeps the port as it is",
        Component::Group(_) => "its people open nothing by it from here on",
        Component::Guard => "every output is released",
        Component::Holidays(_) | Component::Schedule(_) => "nothing names it any more",
        Component::Http => "pages lose their connection",
        Component::Input(_) => "it is given up",
        Component::Line(_) => "its device is given up",
        Component::List(_) => "calls in progress go on",
        Component::Log => "lines go to standard error, as text",
        Component::Logins => "everybody logs in anew",
        Component::Mqtt => "the connection ends with its last will",
        Component::Network => "the port stays as it is",
        Component::Notify(_) => "it tells nothing any more",
        Component::Panel(_) => "its calls end",
        Component::Output(_) => "it is released, then given up",
        Component::Reader(_) => "it is not read any more",
        Component::Relay(_) => "it is released",
        Component::Rule(_) => "nothing sets it off any more",
        Component::Sip => "sockets are closed and every call ends",
        Component::Site => "the gateway stops",
        Component::Start => "an input that is held means nothing",
        Component::Time => "the clock is believed unless it jumps",
    }
}

fn words(component: &Component, change: Change, effect: Effect, keys: &[&str]) -> String {
    let ends = ends(component);
    match (change, effect) {
        (Change::Added | Change::Changed, Effect::Live) if *component == Component::Network => {
            "the port stays as it is until: doorline network apply".to_owned()
        }
        (Change::Same, _) | (Change::Changed, Effect::None) => "unchanged".to_owned(),
        (Change::Added, _) => "is added".to_owned(),
        (Change::Removed, _) => format!("is removed: {ends}"),
        (Change::Changed, Effect::Live) => format!("{} taken over while it runs", changed(keys)),
        (Change::Changed, Effect::Restart) => {
            format!("{} changed: {ends}, then it starts anew", changed(keys))
        }
        (Change::Changed, Effect::Process) => {
            format!(
                "{} changed: a reload cannot do this, start the gateway anew",
                changed(keys)
            )
        }
    }
}

fn changed(keys: &[&str]) -> String {
    keys.join(", ")
}

/// A component that stands on another one is stopped with it.
fn spread(plan: &mut Plan, old: &Config, new: &Config) {
    let restarted: Vec<Component> = plan
        .steps
        .iter()
        .filter(|step| step.effect == Effect::Restart && step.change == Change::Changed)
        .map(|step| step.component.clone())
        .collect();
    for step in &mut plan.steps {
        let under = match &step.component {
            Component::Account(_) => Some(Component::Sip),
            Component::Door(id) => {
                let output = |config: &Config| config.doors.get(id).and_then(|door| door.output.clone());
                output(new).or_else(|| output(old)).map(Component::Output)
            }
            Component::Output(_) | Component::Relay(_) => Some(Component::Guard),
            Component::Panel(id) => {
                let line = |config: &Config| config.panels.get(id).map(|panel| panel.line.clone());
                line(new).or_else(|| line(old)).map(Component::Line)
            }
            Component::Announce
            | Component::Announcement(_)
            | Component::Alarm(_)
            | Component::Area(_)
            | Component::Card(_)
            | Component::CardFormat(_)
            | Component::Code(_)
            | Component::Controller(_)
            | Component::DoorGroup(_)
            | Component::Dot1x
            | Component::Directory
            | Component::Group(_)
            | Component::Guard
            | Component::Holidays(_)
            | Component::Http
            | Component::Input(_)
            | Component::Line(_)
            | Component::List(_)
            | Component::Log
            | Component::Logins
            | Component::Mqtt
            | Component::Network
            | Component::Notify(_)
            | Component::Reader(_)
            | Component::Rule(_)
            | Component::Schedule(_)
            | Component::Sip
            | Component::Site
            | Component::Start
            | Component::Time => None,
        };
        let Some(under) = under.filter(|under| restarted.contains(under)) else {
            continue;
        };
        if step.effect < Effect::Restart {
            step.effect = Effect::Restart;
            step.text = match (&step.component, &under) {
                (Component::Door(_), _) => format!("{under} starts anew under it, after the pulse that runs"),
                (Component::Output(_), _) => {
                    format!("{under} starts anew under it, after the pulse that runs")
                }
                _ => format!("{under} starts anew under it"),
            };
        }
    }
}
