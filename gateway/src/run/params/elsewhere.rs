//! Devices behind a broker or a web client: inputs for their adapter and for the page, relays for the guard.

use std::collections::BTreeMap;
use std::path::PathBuf;

use adapter_api::OutputDriver;
use adapter_outside::{
    Availability, Broker, BrokerTls, MqttInput, MqttInputs, MqttRelay, Password, Reading, RelayParams,
    StateParams, WebOrder, WebRelay, WebRelayParams,
};
use gateway_config::{
    self as config, BrokerUrl, Config, HttpOutput, InputDriver, MqttOutput, OutputDriver as Driver, Pointer,
};
use gateway_core::{InputId, OutputId, Secret};
use gateway_guard::{GuardBoard, GuardOutput};
use gateway_http::HookToken;

use crate::run::hooks::Hook;
use crate::run::instance::Instance;
use crate::run::params::outside::mqtt_version;

/// Name of the adapter of all inputs at the broker.
pub(super) const INPUTS: &str = "mqtt-devices";

/// A password that was read already, or the file that the relay guard reads.
fn password(file: Option<&PathBuf>, known: Option<&Secret>) -> Option<Password> {
    match (file, known) {
        (_, Some(known)) => Some(Password::Known(known.clone())),
        (Some(file), None) => Some(Password::File(file.clone())),
        (None, None) => None,
    }
}

/// The broker, if there is one that belongs to somebody.
fn broker(config: &Config) -> Option<Broker> {
    let mqtt = config.mqtt.as_ref()?;
    let BrokerUrl::Remote { host, port, tls } = &mqtt.broker else {
        return None;
    };
    let password = password(mqtt.password_file.as_ref(), mqtt.password.as_ref());
    Some(Broker {
        host: host.to_string(),
        login: mqtt.user.clone().zip(password),
        port: *port,
        tls: tls.then(|| BrokerTls {
            ca_file: mqtt.ca_file.clone(),
            client: mqtt.cert_file.clone().zip(mqtt.key_file.clone()),
        }),
        version: mqtt_version(mqtt.version),
    })
}

/// What tells our connections from those of another gateway of this site: a broker ends the older of two of one name.
fn mark(config: &Config) -> String {
    Instance::mark(&config.site.state_dir)
}

fn reading(field: Option<&Pointer>, on: &[String], off: &[String]) -> Reading {
    Reading {
        field: field.map(|field| field.as_str().to_owned()),
        on: on.to_vec(),
        off: off.to_vec(),
    }
}

fn availability(of: &config::Availability) -> Availability {
    Availability {
        reading: reading(of.field.as_ref(), &of.online, &of.offline),
        topic: of.topic.to_string(),
    }
}

/// The adapter of inputs at the broker, by its name.
pub(crate) fn mqtt_inputs(config: &Config) -> Option<(String, MqttInputs)> {
    let input = |(id, input): (&InputId, &config::Input)| match &input.driver {
        InputDriver::Mqtt(mqtt) => Some(MqttInput {
            availability: mqtt.availability.as_ref().map(availability),
            input: id.clone(),
            reading: reading(mqtt.field.as_ref(), &mqtt.on, &mqtt.off),
            silent: mqtt.silent,
            topic: mqtt.topic.to_string(),
        }),
        InputDriver::Gpio(_)
        | InputDriver::Modbus(_)
        | InputDriver::Osdp(_)
        | InputDriver::Virtual(_)
        | InputDriver::Webhook(_) => None,
    };
    let inputs: Vec<MqttInput> = config.inputs.iter().filter_map(input).collect();
    if inputs.is_empty() {
        return None;
    }
    let adapter = MqttInputs {
        broker: broker(config)?,
        client: format!("doorline-{}-{}-inputs", config.site.id, mark(config)),
        inputs,
    };
    Some((INPUTS.to_owned(), adapter))
}

/// Topics of devices: what they listen to, and what is believed of them.
pub(super) fn topics(config: &Config) -> Vec<String> {
    let mut all = Vec::new();
    for input in config.inputs.values() {
        if let InputDriver::Mqtt(mqtt) = &input.driver {
            all.push(Some(&mqtt.topic));
            all.push(mqtt.availability.as_ref().map(|of| &of.topic));
        }
    }
    for output in config.outputs.values() {
        if let Driver::Mqtt(relay) = &output.driver {
            all.extend([
                Some(&relay.topic),
                relay.ask_topic.as_ref(),
                relay.state_topic.as_ref(),
            ]);
            all.push(relay.availability.as_ref().map(|of| &of.topic));
        }
    }
    all.into_iter().flatten().map(ToString::to_string).collect()
}

/// Inputs that web clients work, and what they have to show.
pub(crate) fn hooks(config: &Config) -> BTreeMap<InputId, (Hook, Option<HookToken>)> {
    let hook = |(id, input): (&InputId, &config::Input)| match &input.driver {
        InputDriver::Webhook(hook) => {
            let token = hook.token.as_ref().map(|token| HookToken::of(token.reveal()));
            let made = Hook {
                any: hook.on.is_empty(),
                reading: reading(hook.field.as_ref(), &hook.on, &hook.off),
                silent: hook.silent,
            };
            Some((id.clone(), (made, token)))
        }
        InputDriver::Gpio(_)
        | InputDriver::Modbus(_)
        | InputDriver::Mqtt(_)
        | InputDriver::Osdp(_)
        | InputDriver::Virtual(_) => None,
    };
    config.inputs.iter().filter_map(hook).collect()
}

/// What makes two outputs the same wire. The broker is no part of it: with another one the guard starts anew.
pub(super) fn wiring(relay: &MqttOutput) -> String {
    format!("mqtt {} {}", relay.topic, relay.on)
}

/// The relays, each a board of its own: one that is away is a fault of its own output only.
pub(super) fn boards(config: &Config, output: impl Fn(&OutputId, u16) -> GuardOutput) -> Vec<GuardBoard> {
    let Some(broker) = broker(config) else {
        return vec![];
    };
    let board = |(id, of): (&OutputId, &config::Output)| {
        let Driver::Mqtt(relay) = &of.driver else {
            return None;
        };
        let driver = MqttRelay::new(broker.clone(), relay_params(config, id, relay));
        Some(GuardBoard {
            driver: Box::new(driver) as Box<dyn OutputDriver>,
            outputs: vec![output(id, 0)],
            vanished: String::new(),
        })
    };
    config.outputs.iter().filter_map(board).collect()
}

fn relay_params(config: &Config, id: &OutputId, relay: &MqttOutput) -> RelayParams {
    let ask = relay.ask_topic.as_ref();
    RelayParams {
        availability: relay.availability.as_ref().map(availability),
        client: format!("doorline-{}-{}-guard-{id}", config.site.id, mark(config)),
        off: relay.off.clone(),
        on: relay.on.clone(),
        self_timed: relay.is_self_timed(),
        state: relay.state_topic.as_ref().map(|topic| StateParams {
            ask: ask.map(|ask| (ask.to_string(), relay.ask.clone())),
            reading: reading(relay.state_field.as_ref(), &relay.state_on, &relay.state_off),
            topic: topic.to_string(),
        }),
        timeout: relay.timeout,
        topic: relay.topic.to_string(),
    }
}

/// As [`wiring`], of one that takes web requests.
pub(super) fn web_wiring(relay: &HttpOutput) -> String {
    format!(
        "http {} {} {}",
        relay.server,
        relay.on,
        relay.on_body.as_deref().unwrap_or_default()
    )
}

/// The relays that take web requests, each a board of its own.
pub(super) fn web_boards(config: &Config, output: impl Fn(&OutputId, u16) -> GuardOutput) -> Vec<GuardBoard> {
    let board = |(id, of): (&OutputId, &config::Output)| {
        let Driver::Http(relay) = &of.driver else {
            return None;
        };
        Some(GuardBoard {
            driver: Box::new(WebRelay::new(web_params(relay))) as Box<dyn OutputDriver>,
            outputs: vec![output(id, 0)],
            vanished: String::new(),
        })
    };
    config.outputs.iter().filter_map(board).collect()
}

fn web_params(relay: &HttpOutput) -> WebRelayParams {
    let order = |path: &str, body: &Option<String>| WebOrder {
        body: body.clone(),
        path: path.to_owned(),
    };
    let password = password(relay.password_file.as_ref(), relay.password.as_ref());
    WebRelayParams {
        ca_file: relay.ca_file.clone(),
        host: relay.server.host.to_string(),
        login: relay.user.clone().zip(password.clone()),
        off: order(&relay.off, &relay.off_body),
        on: order(&relay.on, &relay.on_body),
        password: password.filter(|_| relay.sends_password()),
        port: relay.server.port,
        self_timed: relay.is_self_timed(),
        state: relay.state.clone().map(|path| {
            let reading = reading(relay.state_field.as_ref(), &relay.state_on, &relay.state_off);
            (path, reading)
        }),
        timeout: relay.timeout,
        tls: relay.server.tls,
    }
}
