//! Relays that tell something: for the site machine, and for the guard.

use std::time::Duration;

use gateway_config::{self as config, RelayFunction as Told};
use gateway_core::OutputId;
use gateway_guard::GuardRelay;
use gateway_site::{self as site, RelayFunction};

use config::Config;

/// A gateway is not taken for silent sooner than this: it may be starting anew.
const SILENCE: Duration = Duration::from_secs(3);

/// The site machine's view of a relay.
pub(super) fn relay(relay: &config::Relay) -> site::RelayParams {
    let (function, delay) = match &relay.function {
        Told::Alarm(alarm) => (
            RelayFunction::Alarm(alarm.of.iter().cloned().collect()),
            relay.delay,
        ),
        Told::Command(command) => (
            RelayFunction::Command {
                longest: command.longest,
            },
            relay.delay,
        ),
        Told::Lamp(lamp) => (
            RelayFunction::Lamp {
                panel: lamp.panel.clone(),
                shows: lamp.shows.iter().map(shows).collect(),
            },
            relay.delay,
        ),
        Told::Light(light) => (
            RelayFunction::Light(site::LightParams {
                doors: light.doors.iter().cloned().collect(),
                inputs: light.inputs.iter().cloned().collect(),
                panels: light.panels.iter().cloned().collect(),
                time: light.time,
                when: light.when.clone(),
            }),
            relay.delay,
        ),
        Told::LineSeized(seized) => (
            RelayFunction::LineSeized {
                hold: seized.hold,
                panels: seized.panels.iter().cloned().collect(),
            },
            relay.delay,
        ),
        Told::MainsFault(mains) => (
            RelayFunction::MainsFault {
                input: mains.input.clone(),
            },
            relay.delay,
        ),
        Told::NetworkFault(fault) => (
            RelayFunction::NetworkFault {
                of: fault.of.iter().map(loss).collect(),
            },
            fault.delay,
        ),
    };
    site::RelayParams {
        bistable: relay.bistable,
        delay,
        function,
        output: relay.output.clone(),
    }
}

const fn loss(loss: &config::NetworkLoss) -> site::NetworkLoss {
    match loss {
        config::NetworkLoss::Address => site::NetworkLoss::Address,
        config::NetworkLoss::Carrier => site::NetworkLoss::Carrier,
        config::NetworkLoss::PortAccess => site::NetworkLoss::PortAccess,
        config::NetworkLoss::Registration => site::NetworkLoss::Registration,
    }
}

const fn shows(what: &config::LampShows) -> site::LampShows {
    match what {
        config::LampShows::Hold => site::LampShows::Hold,
        config::LampShows::Incoming => site::LampShows::Incoming,
        config::LampShows::Io => site::LampShows::Io,
        config::LampShows::Press => site::LampShows::Press,
        config::LampShows::Relay => site::LampShows::Relay,
        config::LampShows::Talk => site::LampShows::Talk,
    }
}

/// What an output tells to the guard, if it opens nothing: how its coil follows, and what counts when the gateway is
/// silent.
pub(super) fn guarded(config: &Config, id: &OutputId) -> Option<GuardRelay> {
    let relay = config.relays.values().find(|relay| relay.output == *id)?;
    Some(match &relay.function {
        Told::Alarm(_) | Told::Command(_) | Told::Lamp(_) | Told::Light(_) | Told::LineSeized(_) => {
            GuardRelay {
                inverted: relay.inverted,
                silence: SILENCE,
                when_silent: false,
            }
        }
        // by itself it is energised while all is well
        Told::MainsFault(_) => GuardRelay {
            inverted: !relay.inverted,
            silence: SILENCE,
            when_silent: true,
        },
        Told::NetworkFault(fault) => GuardRelay {
            inverted: relay.inverted,
            silence: fault.delay.max(SILENCE),
            when_silent: true,
        },
    })
}
