//! Devices behind a broker or at the web: what they cannot be, and what has to be there for them.

use std::time::Duration;

use gateway_core::InputId;

use super::Check;
use super::apart::{Orders, Sent};
use super::claims::roles;
use super::deed::Deed;
use crate::fault::FaultKind;
use crate::model::{Config, HttpOutput, InputDriver, MqttOutput, OutputDriver, WebhookInput};
use crate::value::{BrokerUrl, Duty, LateOpening, PASSWORD, Topic, named_secret, without_password};

/// Fewest characters of a webhook's token.
const FEWEST: usize = 16;
/// Most of them.
const MOST: usize = 128;

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (id, input) in &config.inputs {
        let (at, momentary) = match &input.driver {
            InputDriver::Mqtt(mqtt) => {
                let at = format!("inputs.{id}.mqtt");
                broker(check, &at);
                own_topic(check, &format!("{at}.topic"), &mqtt.topic);
                twice(check, &at, ("on", &mqtt.on), ("off", &mqtt.off));
                if let Some(of) = &mqtt.availability {
                    let at = format!("{at}.availability");
                    twice(check, &at, ("online", &of.online), ("offline", &of.offline));
                }
                (at, mqtt.is_momentary())
            }
            InputDriver::Webhook(hook) => {
                let at = format!("inputs.{id}.webhook");
                webhook(check, &at, hook);
                (at, hook.is_momentary())
            }
            InputDriver::Gpio(_)
            | InputDriver::Modbus(_)
            | InputDriver::Osdp(_)
            | InputDriver::Virtual(_) => continue,
        };
        role(check, id, &at, momentary);
        if momentary && input.press.is_some() {
            let text = format!("{at} tells of presses, which have no length");
            let hint = "remove it, or say with off when the input is at rest";
            check.fault(
                FaultKind::Conflict,
                &format!("inputs.{id}.press-ms"),
                &[],
                text,
                hint,
            );
        }
    }
    // what switches one relay, whatever the outputs are called
    let mut orders = Orders::default();
    for (id, output) in &config.outputs {
        let relay = match &output.driver {
            OutputDriver::Http(web) => {
                let at = format!("outputs.{id}.http");
                // what gives a secret away is a fault of its own, and must not be told by another one
                if web
                    .requests()
                    .iter()
                    .all(|(_, text)| text.and_then(named_secret).is_none())
                {
                    let server = web.server.to_string().to_ascii_lowercase();
                    let server = server.trim_end_matches('/').to_owned();
                    let order = |path: &str, body: &Option<String>| {
                        let body = body.as_deref().map(|body| format!(" with {body:?}"));
                        format!("{server}{path}{}", body.unwrap_or_default())
                    };
                    let parts = vec![web.on.clone(), web.on_body.clone().unwrap_or_default()];
                    let (on, off) = (order(&web.on, &web.on_body), order(&web.off, &web.off_body));
                    orders.add(&at, Sent::Request, (on, off), Deed::new(server, parts));
                }
                http(check, &at, web);
                Relay {
                    asks: ("state", web.state.as_deref().unwrap_or_default()),
                    at,
                    ends: web.is_told_its_end(),
                    family: "http",
                    late: web.late_opening,
                    off: vec![
                        ("off", &web.off),
                        ("off-body", web.off_body.as_deref().unwrap_or_default()),
                    ],
                    on: vec![
                        ("on", &web.on),
                        ("on-body", web.on_body.as_deref().unwrap_or_default()),
                    ],
                    own_timer: web.own_timer,
                    self_timed: web.is_self_timed(),
                    state: ("state", web.state.is_some()),
                    told: web.is_told_its_time(),
                    words: [&web.state_on, &web.state_off],
                }
            }
            OutputDriver::Mqtt(mqtt) => {
                let at = format!("outputs.{id}.mqtt");
                broker(check, &at);
                for (key, topic) in [
                    ("topic", Some(&mqtt.topic)),
                    ("ask-topic", mqtt.ask_topic.as_ref()),
                ] {
                    if let Some(topic) = topic {
                        own_topic(check, &format!("{at}.{key}"), topic);
                    }
                }
                if secretless(check, &at, mqtt) {
                    let order = |order: &str| format!("{order:?} on {}", mqtt.topic);
                    let deed = Deed::new(mqtt.topic.to_string(), vec![mqtt.on.clone()]);
                    let both = (order(&mqtt.on), order(&mqtt.off));
                    orders.add(&at, Sent::Message, both, deed);
                }
                same(check, &at, ("on", &mqtt.on), ("off", &mqtt.off));
                // the question is asked without any permission
                if mqtt.ask_topic.as_ref() == Some(&mqtt.topic) {
                    same(check, &at, ("on", &mqtt.on), ("ask", &mqtt.ask));
                }
                Relay {
                    asks: ("ask", &mqtt.ask),
                    at,
                    ends: mqtt.is_told_its_end(),
                    family: "mqtt",
                    late: mqtt.late_opening,
                    off: vec![("off", &mqtt.off)],
                    on: vec![("on", &mqtt.on)],
                    own_timer: mqtt.own_timer,
                    self_timed: mqtt.is_self_timed(),
                    state: ("state-topic", mqtt.state_topic.is_some()),
                    told: mqtt.is_told_its_time(),
                    words: [&mqtt.state_on, &mqtt.state_off],
                }
            }
            OutputDriver::Dcttech(_)
            | OutputDriver::FrontEnd(_)
            | OutputDriver::Gpio(_)
            | OutputDriver::Kmtronic(_)
            | OutputDriver::Lcus1(_)
            | OutputDriver::Modbus(_)
            | OutputDriver::Numato(_)
            | OutputDriver::Osdp(_)
            | OutputDriver::Virtual(_) => continue,
        };
        relay.check(check);
        if relay.told && config.relays.values().any(|of| of.output == *id) {
            let text =
                "the device would let go of it by itself, but a relay that tells something has no time"
                    .to_owned();
            let hint = "allowed: what switches it on until further notice, without {s} and {ms}";
            check.fault(FaultKind::Conflict, &format!("{}.on", relay.at), &[], text, hint);
        }
        relay.doors(check, id.as_str());
    }
    if config
        .outputs
        .values()
        .any(|output| matches!(output.driver, OutputDriver::Mqtt(_)))
    {
        files(check);
    }
    orders.report(check);
}

/// The relay guard has a connection of its own, and knows the site file by a copy at another place.
fn files(check: &mut Check<'_>) {
    let Some(mqtt) = &check.config.mqtt else { return };
    let files = [
        ("mqtt.password-file", &mqtt.password_file),
        ("mqtt.ca-file", &mqtt.ca_file),
        ("mqtt.cert-file", &mqtt.cert_file),
        ("mqtt.key-file", &mqtt.key_file),
    ];
    for (at, file) in files {
        if let Some(file) = file.as_ref().filter(|file| file.is_relative()) {
            let text = format!(
                "{} is relative, and with outputs at the broker the relay guard reads it, too, from elsewhere",
                crate::read::quoted(&file.display().to_string())
            );
            check.fault(
                FaultKind::File,
                at,
                &[],
                text,
                "allowed: a path that begins with /",
            );
        }
    }
}

/// Nobody else may have to be asked before somebody gets out, and nobody elsewhere may reset anything.
fn role(check: &mut Check<'_>, id: &InputId, at: &str, momentary: bool) {
    let family = if at.ends_with(".mqtt") { "mqtt" } else { "webhook" };
    for (place, input) in roles(check.config) {
        if input != id {
            continue;
        }
        let exit = place.contains(".rex[") || place == "site.fire-input";
        if exit || place == "start.reset-input" {
            let why = if exit {
                "who wants out must not depend on broker, network or radio"
            } else {
                "who resets users has to stand before the gateway"
            };
            let text = format!("input {:?} is {family}: {why}", id.as_str());
            let hint = "allowed: an input with wires (gpio, osdp)";
            check.fault(FaultKind::Unsafe, &place, &[at], text, hint);
        } else if momentary && tells_level(&place) {
            let text = format!(
                "input {:?} tells of presses only, and here it has to say how it is",
                id.as_str()
            );
            let hint = "say with off when the input is at rest";
            check.fault(FaultKind::Conflict, &place, &[at], text, hint);
        }
    }
}

/// Places where it counts for how long an input is active.
fn tells_level(place: &str) -> bool {
    let levels = [".contact.input", ".lock-sense.input", ".tamper.input"];
    levels.iter().any(|key| place.ends_with(key)) || place.contains(".mains-fault.")
}

fn broker(check: &mut Check<'_>, at: &str) {
    match &check.config.mqtt {
        None => {
            let text = "there is no [mqtt], and with it no broker".to_owned();
            let hint = "needed: [mqtt] with broker = \"mqtts://…\"";
            check.fault(FaultKind::Missing, at, &["mqtt"], text, hint);
        }
        Some(mqtt) if mqtt.broker == BrokerUrl::Embedded => {
            let text = format!(
                "{} is \"embedded\": anybody on this machine may speak for the device",
                check.cite("mqtt.broker")
            );
            let hint = "allowed: a broker of its own, broker = \"mqtts://…\"";
            check.fault(FaultKind::Unsafe, at, &["mqtt.broker"], text, hint);
        }
        Some(_) => {}
    }
}

/// What we publish and take ourselves is no device.
fn own_topic(check: &mut Check<'_>, at: &str, topic: &Topic) {
    let Some(mqtt) = &check.config.mqtt else { return };
    let base = mqtt.base.as_str();
    let below = topic.as_str().strip_prefix(base);
    if below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        let text = format!("{topic} is a topic of the gateway itself: mqtt.base is {base:?}");
        let hint = "allowed: topics of devices";
        check.fault(FaultKind::Conflict, at, &["mqtt.base"], text, hint);
    }
}

fn twice(check: &mut Check<'_>, at: &str, (on, ons): (&str, &[String]), (off, offs): (&str, &[String])) {
    for (n, word) in offs.iter().enumerate().filter(|(_, word)| ons.contains(word)) {
        let text = format!("{word:?} also stands in {on}");
        check.fault(
            FaultKind::Duplicate,
            &format!("{at}.{off}[{n}]"),
            &[&format!("{at}.{on}")],
            text,
            "allowed: each word once",
        );
    }
}

fn webhook(check: &mut Check<'_>, at: &str, hook: &WebhookInput) {
    let key = |key: &str| format!("{at}.{key}");
    twice(check, at, ("on", &hook.on), ("off", &hook.off));
    if check.config.http.is_none() {
        let text = "there is no [http], so that nobody takes the request".to_owned();
        let hint = "needed: [http] with listen and tls = true";
        check.fault(FaultKind::Missing, at, &["http"], text, hint);
    }
    match (
        check.is_written(&key("token")),
        check.is_written(&key("token-file")),
    ) {
        (true, true) => {
            let text = "there is also a token".to_owned();
            let hint = "allowed: token or token-file";
            check.fault(FaultKind::Conflict, &key("token-file"), &[], text, hint);
        }
        (false, false) => {
            let text = "nothing says who may send the request".to_owned();
            let hint = "needed: token-file = \"…\" (or token)";
            check.fault(FaultKind::Missing, at, &[], text, hint);
        }
        (true, false) | (false, true) => {}
    }
    if let Some(token) = hook.token.as_ref().map(gateway_core::Secret::reveal) {
        let plain = token.bytes().all(|b| b.is_ascii_graphic());
        if !(FEWEST..=MOST).contains(&token.len()) || !plain {
            let text = format!(
                "has {} characters, or some that no header takes",
                token.chars().count()
            );
            let hint = "allowed: 16 to 128 visible ASCII characters, such as openssl rand -hex 24 prints";
            check.fault(FaultKind::OutOfRange, &key("token"), &[], text, hint);
        }
    }
    if hook.on.is_empty() && (hook.field.is_some() || !hook.off.is_empty()) {
        let text = "words are looked for, but none of them means active".to_owned();
        check.fault(
            FaultKind::Missing,
            at,
            &[&key("on")],
            text,
            "needed: on = [\"…\"]",
        );
    }
}

fn same(check: &mut Check<'_>, at: &str, (on, energises): (&str, &str), (off, rests): (&str, &str)) {
    if energises == rests {
        let text = "is also what energises it".to_owned();
        check.fault(
            FaultKind::Conflict,
            &format!("{at}.{off}"),
            &[&format!("{at}.{on}")],
            text,
            "allowed: another command",
        );
    }
}

/// Faults of secrets in what is sent to a device at the broker; false if there are such, which no other fault must show.
fn secretless(check: &mut Check<'_>, at: &str, mqtt: &MqttOutput) -> bool {
    let mut shown = true;
    for (of, text) in mqtt.orders() {
        let key = format!("{at}.{of}");
        let hint = "allowed: commands without secrets; the broker says who may send them. A device that wants a password \
                    with each order can be used by http, with {password}";
        if let Some(name) = named_secret(text) {
            let text = format!(
                "gives a secret away ({name}): whoever may read the site file or listen at the broker sees its commands"
            );
            check.fault(FaultKind::Unsafe, &key, &[], text, hint);
            shown = false;
        } else if text.contains(PASSWORD) {
            let text = format!(
                "{PASSWORD} stands for nothing at the broker, where everybody who listens would see it"
            );
            check.fault(FaultKind::BadValue, &key, &[], text, hint);
        }
    }
    shown
}

/// What a request can be made of, and where secrets may stand.
fn http(check: &mut Check<'_>, at: &str, web: &HttpOutput) {
    let key = |key: &str| format!("{at}.{key}");
    if web.server.path != "/" {
        let text = "has a path".to_owned();
        let hint = "allowed: http://HOST or http://HOST:PORT; paths stand in on, off and state";
        check.fault(FaultKind::BadValue, &key("server"), &[], text, hint);
    }
    for (of, text) in web.requests() {
        if let Some(name) = text.and_then(named_secret) {
            let text = format!(
                "gives a secret away ({name}): whoever may read the site file or a support bundle sees its requests"
            );
            let hint = "needed: {password} in its place, which stands for password-file";
            check.fault(FaultKind::Unsafe, &key(of), &[], text, hint);
        }
    }
    for (of, path) in web.requests() {
        let Some(path) = path.filter(|path| !of.ends_with("-body") && named_secret(path).is_none()) else {
            continue;
        };
        // these are replaced before it is sent
        let sent = ["{s}", "{ms}", "{until}"]
            .iter()
            .fold(without_password(path), |sent, mark| sent.replace(mark, ""));
        let fits = |b: u8| {
            b.is_ascii_graphic()
                && !matches!(
                    b,
                    b'#' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
                )
        };
        if !path.starts_with('/') || !sent.bytes().all(fits) {
            let text = format!("{} is no path of a request", crate::read::quoted(path));
            let hint = "allowed: what begins with / and has visible ASCII characters, others as %20";
            check.fault(FaultKind::BadValue, &key(of), &[], text, hint);
        }
    }
    if web.on == web.off && web.on_body == web.off_body {
        same(check, at, ("on", &web.on), ("off", &web.off));
    }
    // it is looked at without any permission
    if let Some(state) = web.state.as_ref().filter(|_| web.on_body.is_none()) {
        same(check, at, ("on", &web.on), ("state", state));
    }
    let known = check.is_written(&key("password")) || web.password_file.is_some();
    if web.user.is_some() && !known || known && web.user.is_none() && !web.sends_password() {
        let text = "user and password belong together".to_owned();
        let hint = "needed: user and password-file, or none of them; or {password} in the requests";
        check.fault(FaultKind::Missing, at, &[], text, hint);
    } else if web.sends_password() && !known {
        let text = format!("{PASSWORD} stands in a request, and there is no password");
        let hint = "needed: password-file = \"…\"";
        check.fault(FaultKind::Missing, at, &[], text, hint);
    }
    if check.is_written(&key("password")) && web.password_file.is_some() {
        let text = "there is also a password".to_owned();
        let hint = "allowed: password or password-file";
        check.fault(FaultKind::Conflict, &key("password-file"), &[], text, hint);
    }
    for (of, file) in [("password-file", &web.password_file), ("ca-file", &web.ca_file)] {
        if let Some(file) = file.as_ref().filter(|file| file.is_relative()) {
            let shown = crate::read::quoted(&file.display().to_string());
            let text = format!("{shown} is relative, and the relay guard reads it from elsewhere");
            check.fault(
                FaultKind::File,
                &key(of),
                &[],
                text,
                "allowed: a path that begins with /",
            );
        }
    }
}

/// A relay of somebody else, whatever the way to it.
struct Relay<'a> {
    /// By what it is asked how it is, and the key of that.
    asks: (&'static str, &'a str),
    at: String,
    /// It is told with each command until when that is good.
    ends: bool,
    family: &'static str,
    /// May it open late?
    late: LateOpening,
    /// What brings it to rest, by key.
    off: Vec<(&'static str, &'a str)>,
    /// What energises it, by key.
    on: Vec<(&'static str, &'a str)>,
    own_timer: Option<Duration>,
    self_timed: bool,
    /// The key that says where its state is told, and whether that is there.
    state: (&'static str, bool),
    /// It is told with each command when to end it.
    told: bool,
    /// `state-on` and `state-off`.
    words: [&'a [String]; 2],
}

/// `{s}000` would be another time than that of the pulse.
fn has_part_of_a_time(order: &str) -> bool {
    ["{s}", "{ms}"].iter().any(|mark| {
        order.match_indices(mark).any(|(at, _)| {
            let before = order[..at].chars().next_back();
            let after = order[at + mark.len()..].chars().next();
            before.is_some_and(|c| c.is_ascii_digit() || matches!(c, '.' | '}'))
                || after.is_some_and(|c| c.is_ascii_digit() || matches!(c, '.' | '{'))
        })
    })
}

impl Relay<'_> {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.at)
    }

    fn check(&self, check: &mut Check<'_>) {
        let [on, off] = self.words;
        twice(check, &self.at, ("state-on", on), ("state-off", off));
        if self.own_timer.is_some() && self.told {
            let text = "on tells the device its time with each command".to_owned();
            let hint = "allowed: own-timer-s, or {s} or {ms} in on";
            let (timer, on) = (self.key("own-timer-s"), self.key("on"));
            check.fault(FaultKind::Conflict, &timer, &[&on], text, hint);
        }
        for (key, _) in self.on.iter().filter(|(_, on)| has_part_of_a_time(on)) {
            let text = "{s} or {ms} is part of a longer number: the device would keep it for another time"
                .to_owned();
            let hint = "allowed: {s} where the device takes seconds, {ms} where it takes milliseconds, with no digit, point or \
                        further time beside it";
            check.fault(FaultKind::Unsafe, &self.key(key), &[], text, hint);
        }
        for (key, off) in &self.off {
            if ["{s}", "{ms}", "{until}"].iter().any(|mark| off.contains(mark)) {
                let text = "what brings it to rest has no time".to_owned();
                let hint = "allowed: {s}, {ms} and {until} in on";
                check.fault(FaultKind::BadValue, &self.key(key), &[], text, hint);
            }
        }
        let (key, ask) = self.asks;
        if ["{s}", "{ms}", "{until}"].iter().any(|mark| ask.contains(mark)) {
            let text = "what only asks has no time".to_owned();
            let hint = "allowed: {s}, {ms} and {until} in on";
            check.fault(FaultKind::BadValue, &self.key(key), &[], text, hint);
        }
        let (state, is_told) = self.state;
        if is_told {
            return;
        }
        for of in ["state-field", "ask-topic", "ask"] {
            if check.is_written(&self.key(of)) {
                let text = format!("has no meaning without {state}");
                let hint = format!("remove it, or add {state}");
                check.fault(FaultKind::Conflict, &self.key(of), &[], text, &hint);
            }
        }
    }

    /// As a strike it has to end its pulse by itself, and no sooner than the door wants.
    fn doors(&self, check: &mut Check<'_>, id: &str) {
        let config: &Config = check.config;
        let users = config.doors.iter();
        let users =
            users.filter(|(_, door)| door.output.as_ref().is_some_and(|output| output.as_str() == id));
        for (name, door) in users {
            let output = format!("doors.{name}.output");
            if !self.self_timed {
                let text = format!(
                    "output {id:?} ({}) cannot end its pulse by itself: when {} or gateway are gone the door stays open",
                    self.family,
                    if self.family == "mqtt" {
                        "broker, network"
                    } else {
                        "network"
                    }
                );
                let hint = "needed: own-timer-s as it is set in the device, or {s} in on where the device takes its time \
                            with the command; another output otherwise";
                check.fault(FaultKind::Unsafe, &output, &[&self.at], text, hint);
                continue;
            }
            if self.family == "http" && !self.state.1 {
                let text = format!(
                    "output {id:?} (http) has no state: a device that hangs would open when it comes back, since nobody asks it \
                     whether it listens before it is told to open"
                );
                let hint = "needed: state, with state-field";
                check.fault(FaultKind::Unsafe, &output, &[&self.at], text, hint);
            }
            self.late(check, id, &output);
            let timer = self.key("own-timer-s");
            let longest = super::outputs::longest(config, name, door);
            if let Some(short) = self.own_timer.filter(|timer| *timer < longest) {
                let text = format!(
                    "{} s is shorter than a pulse of {} ms",
                    short.as_secs_f32(),
                    longest.as_millis()
                );
                let hint = "allowed: at least the door's strike-ms; set the device's timer longer, or strike-ms shorter";
                check.fault(FaultKind::Conflict, &timer, &[], text, hint);
            }
            let long = self
                .own_timer
                .is_some_and(|timer| timer > Duration::from_secs(25));
            if long && door.duty != Duty::Continuous {
                let text =
                    "the coil of this door is energised for 25 s at most, and the device's timer is longer"
                        .to_owned();
                let hint = "allowed: at most 25, or duty = \"continuous\" at the door";
                check.fault(FaultKind::Unsafe, &timer, &[], text, hint);
            }
        }
    }

    /// An order that was sent cannot be taken back: a device that hangs with it and then goes on opens when nobody stands there
    /// any more. Either the device looks at the time itself, or somebody has to know of it.
    fn late(&self, check: &mut Check<'_>, id: &str, output: &str) {
        if self.ends {
            return;
        }
        match self.late {
            LateOpening::Refused => {
                let text = format!(
                    "output {id:?} ({}) may open late: a device that hangs with the order and then goes on carries it out, and \
                     nothing can take it back",
                    self.family
                );
                let hint = "needed: {until} in on where the device compares that with its clock, or late-opening = \
                            \"accepted\" if one late pulse does no harm at this door; an output with wires otherwise";
                check.fault(FaultKind::Unsafe, output, &[&self.at], text, hint);
            }
            LateOpening::Accepted if !self.state.1 && self.family == "mqtt" => {
                let text = format!(
                    "output {id:?} (mqtt) may open late, and without state-topic nobody would notice it"
                );
                let hint = "needed: state-topic, where the device says how the relay is";
                check.fault(
                    FaultKind::Unsafe,
                    output,
                    &[&self.key("late-opening")],
                    text,
                    hint,
                );
            }
            LateOpening::Accepted => {}
        }
    }
}
