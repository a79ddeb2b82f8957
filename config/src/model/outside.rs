//! Devices behind a broker or at the web: `[inputs.*.mqtt]`, `[inputs.*.webhook]`, `[outputs.*.mqtt]` and `[outputs.*.http]`.

use std::path::PathBuf;
use std::time::Duration;

use gateway_core::Secret;

use crate::describe::table;
use crate::rules::{DeviceTopic, Path, address, list, ms, order, parsed, password, secs, table, text, word};
use crate::value::{HttpUrl, LateOpening, PASSWORD, Pointer, Topic};

table! {
    /// What a device, or its bridge, says of whether it is there.
    pub struct Availability {
        /// Topic on which it says so; what is retained there counts.
        topic: Topic = "topic", DeviceTopic, required, Restart;
        /// Where in a payload of JSON the word stands; without it the payload is the word.
        field: Option<Pointer> = "field", parsed(), optional, Restart;
        /// Words for that it is there, 1 to 4.
        online: Vec<String> = "online", list(text(1, 100), 1, 4), or("[\"online\"]"), Restart;
        /// Words for that it is not, 1 to 4.
        offline: Vec<String> = "offline", list(text(1, 100), 1, 4), or("[\"offline\"]"), Restart;
    }
}

table! {
    /// A device at the broker of `[mqtt]` as an input: a bell, a button, a contact. What is retained is how it is, and never
    /// that something happened. It is no exit and no fire input: those have wires.
    pub struct MqttInput {
        /// Topic of the device.
        topic: Topic = "topic", DeviceTopic, required, Restart;
        /// Where in a payload of JSON the word stands; without it the payload is the word. Numbers, `true` and `false` are
        /// words, too.
        field: Option<Pointer> = "field", parsed(), optional, Restart;
        /// Words for that it is active, 1 to 8. Others mean nothing.
        on: Vec<String> = "on", list(text(1, 100), 1, 8), required, Restart;
        /// Words for that it is not, at most 8. Without any the device tells of single presses, as buttons without wires do:
        /// each word of `on` is one.
        off: Vec<String> = "off", list(text(1, 100), 0, 8), or("[]"), Restart;
        /// What says whether the device is there; while it is not, nobody reads the input, which is a fault.
        availability: Option<Availability> = "availability", table(), optional, Restart;
        /// A device that says nothing for so long is not there, 10 to 172800 s: for those that report now and then.
        silent: Option<Duration> = "silent-s", secs(10, 172_800), optional, Restart;
    }
}

table! {
    /// A web client as an input: it sends `POST /api/v1/hooks/NAME`, NAME being that of the input, with `Authorization:
    /// Bearer` and the token. It is no exit and no fire input.
    pub struct WebhookInput {
        /// Token, 16 to 128 visible ASCII characters, for this input alone; `token-file` keeps it out of this file.
        token: Option<Secret> = "token", password(), optional, Restart;
        /// File that holds the token in its first line. It must not be readable by other users. A relative path starts at
        /// the folder of this file.
        token_file: Option<PathBuf> = "token-file", Path, optional, Restart;
        /// Where in a body of JSON the word stands; without it the body is the word.
        field: Option<Pointer> = "field", parsed(), optional, Restart;
        /// Words for that it is active, at most 8; without any each request is a press, whatever its body.
        on: Vec<String> = "on", list(text(1, 100), 0, 8), or("[]"), Restart;
        /// Words for that it is not, at most 8. Without any, the client tells of single presses.
        off: Vec<String> = "off", list(text(1, 100), 0, 8), or("[]"), Restart;
        /// A client that says nothing for so long is not there, 10 to 172800 s.
        silent: Option<Duration> = "silent-s", secs(10, 172_800), optional, Restart;
    }
}

table! {
    /// A relay behind the broker of `[mqtt]`. The relay guard has a connection of its own, on which the broker itself sends
    /// `off` when the guard is gone. At a door it needs a timer of its own, since broker and network may be gone as well.
    pub struct MqttOutput {
        /// Topic that takes commands.
        topic: Topic = "topic", DeviceTopic, required, Restart;
        /// What energises it. `{s}` stands for the seconds, `{ms}` for the milliseconds after which the device itself ends
        /// that, for devices that take the time with the command; `{until}` for the time until which the command is good, in
        /// whole seconds since 1970 (UTC), for devices that compare it with their own clock and do nothing later. No secret may
        /// stand in a command or topic: who may send them is the broker's to say.
        on: String = "on", order(1, 500), required, Restart;
        /// What brings it to rest.
        off: String = "off", order(1, 500), required, Restart;
        /// Time after which the device lets go of the relay by itself, as it is set there, 1 to 60 s. Not with `{s}` or
        /// `{ms}` in `on`.
        own_timer: Option<Duration> = "own-timer-s", secs(1, 60), optional, Restart;
        /// Topic on which the device says how the relay is. With it each command has to be confirmed there.
        state_topic: Option<Topic> = "state-topic", DeviceTopic, optional, Restart;
        /// Where in a payload of JSON on `state-topic` the word stands; without it the payload is the word.
        state_field: Option<Pointer> = "state-field", parsed(), optional, Restart;
        /// Words for energised, 1 to 4.
        state_on: Vec<String> = "state-on", list(text(1, 100), 1, 4), or("[\"on\", \"ON\", \"true\"]"), Restart;
        /// Words for at rest, 1 to 4.
        state_off: Vec<String> = "state-off", list(text(1, 100), 1, 4), or("[\"off\", \"OFF\", \"false\"]"), Restart;
        /// Topic on which the device is asked for its state, as the gateway connects and right before it is told to open.
        ask_topic: Option<Topic> = "ask-topic", DeviceTopic, optional, Restart;
        /// What is sent there.
        ask: String = "ask", order(0, 500), or("\"\""), Restart;
        /// At a door, unless `on` has `{until}`: `accepted` says that this lock may open late, once and for as long as its timer,
        /// at a device that hangs with the command and then goes on. `docs/outside-devices.md` has what is done about it.
        late_opening: LateOpening = "late-opening", word(), or("\"refused\""), Restart;
        /// What says whether the device is there; while it is not, its door cannot be opened.
        availability: Option<Availability> = "availability", table(), optional, Restart;
        /// Longest time until a command is confirmed, 200 to 5000 ms.
        timeout: Duration = "timeout-ms", ms(200, 5000), or("1500"), Restart;
    }
}

table! {
    /// A relay that takes web requests. The relay guard makes them. At a door it needs a timer of its own, since network and
    /// gateway may be gone before it is brought to rest.
    pub struct HttpOutput {
        /// The device: `http://HOST` or `https://HOST`, each with an optional `:PORT`.
        server: HttpUrl = "server", address(), required, Restart;
        /// Path and query of the request that energises it. `{s}` stands for the seconds, `{ms}` for the milliseconds after
        /// which the device itself ends that, for devices that take the time with the request; `{until}` for the time until
        /// which the request is good, in whole seconds since 1970 (UTC), for devices that compare it with their own clock and do
        /// nothing later; `{password}` for the password, here and in each other request. No other secret may stand in one.
        on: String = "on", order(1, 500), required, Restart;
        /// Body of that request, which makes it a POST; `{s}`, `{ms}`, `{until}` and `{password}` count there, too.
        on_body: Option<String> = "on-body", order(0, 1000), optional, Restart;
        /// Path and query of the request that brings it to rest.
        off: String = "off", order(1, 500), required, Restart;
        /// Body of that request, which makes it a POST.
        off_body: Option<String> = "off-body", order(0, 1000), optional, Restart;
        /// Time after which the device lets go of the relay by itself, as it is set there, 1 to 60 s. Not with `{s}` or
        /// `{ms}` in `on` or `on-body`.
        own_timer: Option<Duration> = "own-timer-s", secs(1, 60), optional, Restart;
        /// Path and query where the device says how the relay is. With it each order has to be confirmed there, and the
        /// relay is looked at every 2 s. At a door it is needed: the device is asked before it is told to open.
        state: Option<String> = "state", order(1, 500), optional, Restart;
        /// Where in an answer of JSON to `state` the word stands; without it the answer is the word.
        state_field: Option<Pointer> = "state-field", parsed(), optional, Restart;
        /// Words for energised, 1 to 4.
        state_on: Vec<String> = "state-on", list(text(1, 100), 1, 4), or("[\"on\", \"ON\", \"true\"]"), Restart;
        /// Words for at rest, 1 to 4.
        state_off: Vec<String> = "state-off", list(text(1, 100), 1, 4), or("[\"off\", \"OFF\", \"false\"]"), Restart;
        /// At a door, unless `on` has `{until}`: `accepted` says that this lock may open late, once and for as long as its timer,
        /// at a device that hangs with the request and then goes on. `docs/outside-devices.md` has what is done about it.
        late_opening: LateOpening = "late-opening", word(), or("\"refused\""), Restart;
        /// User, where the device wants a login (Basic).
        user: Option<String> = "user", text(1, 100), optional, Restart;
        /// Password of that user, or of the device where it stands in its requests; `password-file` keeps it out of this file.
        password: Option<Secret> = "password", password(), optional, Restart;
        /// File that holds the password in its first line, by its whole path: the relay guard reads it as well. It must not
        /// be readable by other users.
        password_file: Option<PathBuf> = "password-file", Path, optional, Restart;
        /// Certificates, PEM, that the device's certificate must lead to; without it the machine's own.
        ca_file: Option<PathBuf> = "ca-file", Path, optional, Restart;
        /// Longest time until an order is confirmed, 200 to 5000 ms.
        timeout: Duration = "timeout-ms", ms(200, 5000), or("1500"), Restart;
    }
}

/// True if a command tells the device until when it is good.
fn tells_end(text: &str) -> bool {
    text.contains("{until}")
}

/// True if a command tells the device when to end what it begins.
fn tells_time(text: &str) -> bool {
    text.contains("{s}") || text.contains("{ms}")
}

impl HttpOutput {
    /// Its requests, by key: paths with queries, and bodies.
    #[must_use]
    pub fn requests(&self) -> [(&'static str, Option<&str>); 5] {
        [
            ("on", Some(&self.on)),
            ("on-body", self.on_body.as_deref()),
            ("off", Some(&self.off)),
            ("off-body", self.off_body.as_deref()),
            ("state", self.state.as_deref()),
        ]
    }

    /// True if its password stands in its requests.
    #[must_use]
    pub fn sends_password(&self) -> bool {
        let texts = self.requests();
        texts
            .iter()
            .any(|(_, text)| text.is_some_and(|text| text.contains(PASSWORD)))
    }

    /// True if the device is told with each order until when that is good.
    #[must_use]
    pub fn is_told_its_end(&self) -> bool {
        tells_end(&self.on) || self.on_body.as_deref().is_some_and(tells_end)
    }

    /// True if the device is told with each order when to end it.
    #[must_use]
    pub fn is_told_its_time(&self) -> bool {
        tells_time(&self.on) || self.on_body.as_deref().is_some_and(tells_time)
    }

    /// True if the device itself ends a pulse, also when everybody else is gone.
    #[must_use]
    pub fn is_self_timed(&self) -> bool {
        self.own_timer.is_some() || self.is_told_its_time()
    }
}

impl MqttOutput {
    /// What is sent to it, by key.
    #[must_use]
    pub fn orders(&self) -> [(&'static str, &str); 3] {
        [("on", &self.on), ("off", &self.off), ("ask", &self.ask)]
    }

    /// True if the device is told with each command until when that is good.
    #[must_use]
    pub fn is_told_its_end(&self) -> bool {
        tells_end(&self.on)
    }

    /// True if the device is told with each command when to end it.
    #[must_use]
    pub fn is_told_its_time(&self) -> bool {
        tells_time(&self.on)
    }

    /// True if the device itself ends a pulse, also when everybody else is gone.
    #[must_use]
    pub fn is_self_timed(&self) -> bool {
        self.own_timer.is_some() || self.is_told_its_time()
    }
}

impl MqttInput {
    /// True if it tells of presses only, and not how it is.
    #[must_use]
    pub const fn is_momentary(&self) -> bool {
        self.off.is_empty()
    }
}

impl WebhookInput {
    /// True if it tells of presses only, and not how it is.
    #[must_use]
    pub const fn is_momentary(&self) -> bool {
        self.off.is_empty()
    }
}
