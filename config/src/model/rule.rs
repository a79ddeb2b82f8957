//! `[rules.*]`: when something happens, something is asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use gateway_access::When;
use gateway_core::{
    AlarmId, ButtonId, CardFrame, ChannelId, ControllerId, DoorGroupId, DoorId, GroupId, InputId, LineId,
    ListId, PanelId, RelayId, RelaySet, RuleId, Template,
};
use gateway_rules as rules;

use super::Config;
use crate::describe::{choice, table};
use crate::rules::{Flag, Path, hidden, int, into, list, parsed, refer, secs, table, text, when, word};
use crate::value::{CardText, EventName, FieldIs, MessageTopic, PromptTo, SetWord, StateWord, Tones};

table! {
    /// A rule: an event, conditions, and what is asked for then. `docs/rules.md` says more, and `doorline rules try` what
    /// a rule would make of an event.
    pub struct Rule {
        /// Kinds of events (`door.denied`) or families of them (`door`).
        on: Vec<EventName> = "on", list(parsed(), 1, 16), required, Live;
        /// Doors, panels, inputs and other sources whose events count; without it all. Events of inputs need it.
        sources: Option<Vec<String>> = "sources", list(text(1, 40), 1, 100), optional, Live;
        /// What else has to be so, all of it.
        when: RuleWhen = "when", table(), or("{}"), Live;
        /// What is asked for, in this order.
        actions: Vec<RuleAction> = "do", list(table(), 1, 8), required, Live;
        /// How often within a minute it acts at most, 1 to 60 times. What is beyond is told once and not done.
        most_per_minute: u32 = "most-per-minute", int(1, 60), or("20"), Live;
    }
}

table! {
    /// Conditions of a rule.
    pub struct RuleWhen {
        /// A schedule. While the clock is not believed, a rule with one acts and opens nothing.
        schedule: When = "schedule", when(), or("\"always\""), Live;
        /// What the event says, such as `outcome=no-answer`: NAME=VALUE, as in the journal.
        fields: Vec<FieldIs> = "fields", list(parsed(), 0, 8), or("[]"), Live;
        /// How doors and inputs are.
        states: Vec<RuleState> = "states", list(table(), 0, 8), or("[]"), Live;
        /// Whoever the event is about is a person of one of these groups.
        groups: Vec<GroupId> = "groups", list(refer("group"), 0, 16), or("[]"), Live;
        /// It acts at every so many events that meet the other conditions, 1 to 100.
        times: u32 = "times", int(1, 100), or("1"), Live;
        /// The time within which they come, 1 to 86400 s.
        within: Option<Duration> = "within-s", secs(1, 86_400), optional, Live;
    }
}

table! {
    /// How a door or an input is.
    pub struct RuleState {
        /// A door, which is `open`, `shut`, `locked` or `unlocked`.
        door: Option<DoorId> = "door", refer("door"), optional, Live;
        /// An input: `active` or `rest`.
        input: Option<InputId> = "input", refer("input"), optional, Live;
        /// How it has to be.
        is: StateWord = "is", word(), required, Live;
    }
}

table! {
    /// What a rule asks for: one of these.
    pub struct RuleAction {
        one of
        /// What.
        what: RuleDo;
    }
}

choice! {
    /// What a rule asks for.
    pub enum RuleDo {
        /// An alarm, which somebody of security has to confirm.
        Alarm(RuleAlarm) = "alarm",
        /// A call, as if a button of a panel had been pressed.
        Call(RuleCall) = "call",
        /// A card goes to a controller of somebody else, as if it had been read there.
        Card(RuleCard) = "card",
        /// A lockdown, which only people end.
        Lockdown(RuleLockdown) = "lockdown",
        /// A message over MQTT, on a topic of its own.
        Mqtt(RuleMqtt) = "mqtt",
        /// A message by a channel of notifications.
        Notify(RuleNotify) = "notify",
        /// That a door opens; the access decision may say no.
        Open(RuleOpen) = "open",
        /// A relay that opens nothing is set.
        Output(RuleOutput) = "output",
        /// A recording or tones are heard at a panel.
        Prompt(RulePrompt) = "prompt",
        /// A text goes to the telephones of a list.
        Text(RuleText) = "text",
    }
}

table! {
    /// An alarm.
    pub struct RuleAlarm {
        /// Which of `[alarms]`.
        alarm: AlarmId = "alarm", refer("alarm"), required, Live;
    }
}

table! {
    /// A call.
    pub struct RuleCall {
        /// The panel, whose line and account it takes.
        panel: PanelId = "panel", refer("panel"), required, Live;
        /// A button of it, whose list is called. It needs no input.
        button: ButtonId = "button", refer("button"), required, Live;
    }
}

table! {
    /// A card for a controller of somebody else.
    pub struct RuleCard {
        /// The controller, one with `by-command`.
        controller: ControllerId = "controller", refer("controller"), required, Live;
        /// The card, as `card` of `[cards]`.
        card: CardFrame = "card", into(hidden(parsed::<CardText>()), |c| c.0), required, Live;
    }
}

table! {
    /// A lockdown.
    pub struct RuleLockdown {
        /// A group of doors; without it the whole site.
        group: Option<DoorGroupId> = "group", refer("door group"), optional, Live;
    }
}

table! {
    /// A message over MQTT. It goes out at least once (QoS 1), as all that the gateway says.
    pub struct RuleMqtt {
        /// Topic below `BASE/SITE/message/`: 1 to 8 levels of letters, digits, `_` and `-`.
        topic: MessageTopic = "topic", parsed(), required, Live;
        /// What is said, with fields of the event in braces, `{rule}` and `{site}`. In a text that begins with `{{` or `[` they
        /// stand as JSON wants them.
        message: Template = "message", parsed(), or("\"{text}\""), Live;
        /// True: the broker keeps it. Without it, what is older than a minute when the broker is there again is not said.
        retain: bool = "retain", Flag, or("false"), Live;
    }
}

table! {
    /// A message.
    pub struct RuleNotify {
        /// The channel. It tells it whatever events it is for otherwise.
        channel: ChannelId = "channel", refer("channel"), required, Live;
        /// What is told, with fields of the event in braces, `{rule}` and `{site}`. It is the field `{message}` of the
        /// channel's texts.
        message: Template = "message", parsed(), or("\"{text}\""), Live;
    }
}

table! {
    /// An opening.
    pub struct RuleOpen {
        /// The door that the rule asks for.
        door: DoorId = "door", refer("door"), required, Live;
    }
}

table! {
    /// A relay that opens nothing.
    pub struct RuleOutput {
        /// Which of `[relays]`: one with `command`.
        relay: RelayId = "relay", refer("relay"), required, Live;
        /// How it is set.
        set: SetWord = "set", word(), required, Live;
        /// With `set = "on"`: for how long, 1 to 86400 s.
        time: Option<Duration> = "for-s", secs(1, 86_400), optional, Live;
    }
}

table! {
    /// A sound for whoever stands at a panel: `file` or `tones`. A visitor who rings and a call to the door end it. While
    /// somebody is rung it is not played; in a talk it is heard beside that.
    pub struct RulePrompt {
        /// The line at which it is heard. One with `call-in = "none"` is heard only in a talk.
        line: LineId = "line", refer("line"), required, Live;
        /// A WAV file: 16 bit, 8 to 48 kHz, at most 30 s.
        file: Option<PathBuf> = "file", Path, optional, Live;
        /// Tones in place of a file: HZ/MS with blanks between them, 1 to 32; 200 to 3400 Hz or 0 for silence, each of 20
        /// to 5000 ms, 30 s in all: `880/200 0/100 660/400`.
        tones: Option<Tones> = "tones", parsed(), optional, Live;
        /// Who hears it. With `phone` it is whoever has the call that talks at the line, and nobody at the panel does.
        to: PromptTo = "to", word(), or("\"line\""), Live;
        /// With `to = "phone"`: he hears it in place of speech, and not beside it.
        alone: bool = "alone", Flag, or("false"), Live;
    }
}

table! {
    /// A text for telephones (SIP MESSAGE), to those of a list that show one. What does not arrive is told once in the program's
    /// log, and not tried again.
    pub struct RuleText {
        /// The list whose targets get it; who stands there by a name of the directory alone does not.
        list: ListId = "list", refer("list"), required, Live;
        /// The panel by whose account it goes.
        panel: PanelId = "panel", refer("panel"), required, Live;
        /// What is told, with fields of the event in braces, `{rule}` and `{site}`. What is beyond 1300 bytes is cut off.
        message: Template = "message", parsed(), or("\"{text}\""), Live;
    }
}

impl Config {
    /// The rules, for the engine.
    #[must_use]
    pub fn engine_rules(&self) -> BTreeMap<RuleId, rules::Rule> {
        let rules = self.rules.iter();
        rules.map(|(id, rule)| (id.clone(), rule.for_engine())).collect()
    }
}

impl Rule {
    fn for_engine(&self) -> rules::Rule {
        let when = &self.when;
        rules::Rule {
            actions: self
                .actions
                .iter()
                .filter_map(|action| action.what.for_engine())
                .collect(),
            most_per_minute: self.most_per_minute,
            on: rules::Trigger {
                kinds: self.on.iter().map(|event| event.as_str().to_owned()).collect(),
                sources: self.sources.iter().flatten().cloned().collect(),
            },
            when: rules::Conditions {
                counter: when.within.map(|within| rules::Counter {
                    times: when.times,
                    within,
                }),
                fields: when.fields.iter().map(|field| field.0.clone()).collect(),
                groups: when.groups.iter().cloned().collect(),
                schedule: when.schedule.clone(),
                states: when.states.iter().filter_map(RuleState::for_engine).collect(),
            },
        }
    }
}

impl RuleState {
    /// `None` if it says of an input what only a door can be, or the other way round: the check refuses that.
    pub(crate) fn for_engine(&self) -> Option<rules::State> {
        let door = |is| Some(rules::State::Door(self.door.clone()?, is));
        let input = |active| Some(rules::State::Input(self.input.clone()?, active));
        match self.is {
            StateWord::Active => input(true),
            StateWord::Locked => door(rules::DoorIs::Locked),
            StateWord::Open => door(rules::DoorIs::Open),
            StateWord::Rest => input(false),
            StateWord::Shut => door(rules::DoorIs::Shut),
            StateWord::Unlocked => door(rules::DoorIs::Unlocked),
        }
    }
}

impl RuleDo {
    /// `None` if it does not say what is to be heard: the check refuses that.
    fn for_engine(&self) -> Option<rules::Action> {
        Some(match self {
            Self::Alarm(alarm) => rules::Action::Alarm(alarm.alarm.clone()),
            Self::Call(call) => rules::Action::Call {
                button: call.button.clone(),
                panel: call.panel.clone(),
            },
            Self::Card(card) => rules::Action::Card {
                card: card.card.clone(),
                controller: card.controller.clone(),
            },
            Self::Lockdown(lockdown) => rules::Action::Lockdown(lockdown.group.clone()),
            Self::Mqtt(mqtt) => rules::Action::Mqtt {
                message: mqtt.message.clone(),
                retain: mqtt.retain,
                topic: mqtt.topic.as_str().to_owned(),
            },
            Self::Notify(notify) => rules::Action::Notify {
                channel: notify.channel.clone(),
                message: notify.message.clone(),
            },
            Self::Open(open) => rules::Action::Open(open.door.clone()),
            Self::Output(output) => rules::Action::Output {
                relay: output.relay.clone(),
                set: match (output.set, output.time) {
                    (SetWord::Off, _) => RelaySet::Off,
                    (SetWord::On, None) => RelaySet::On,
                    (SetWord::On, Some(time)) => RelaySet::For(time),
                    (SetWord::Toggle, _) => RelaySet::Toggle,
                },
            },
            Self::Prompt(prompt) => rules::Action::Prompt {
                line: prompt.line.clone(),
                sound: match (&prompt.file, &prompt.tones) {
                    (Some(file), _) => rules::Sound::File(file.clone()),
                    (None, Some(tones)) => rules::Sound::Tones(tones.0.clone()),
                    (None, None) => return None,
                },
                to: match prompt.to {
                    PromptTo::Line => rules::Ear::Line,
                    PromptTo::Phone => rules::Ear::Phone { alone: prompt.alone },
                },
            },
            Self::Text(text) => rules::Action::Text {
                list: text.list.clone(),
                message: text.message.clone(),
                panel: text.panel.clone(),
            },
        })
    }
}
