//! What an input asks for that was held at the start: users of the page removed and the factory address asked for, or
//! the address told at a line.
//!
//! The gateway has no right to the machine's network: it leaves a note, and `doorline-factory.path` starts what has the
//! right and takes nothing from the note but that it is there.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gateway_config::{Config, Ipv4Mode};
use gateway_core::{Event, GatewayEvent, LineId};
use gateway_network::ports;
use gateway_sip_io::SipHandle;
use gateway_site::HeldInput;
use tokio::sync::mpsc;

use crate::run::Gateway;
use crate::run::brain::Order;
use crate::run::faults::Faults;
use crate::run::network::{reaches_out, watched};
use crate::run::{note, params, spoken};

/// In the state folder: there was a reset, and the input was not seen at rest since.
const DONE: &str = "held-reset";
/// In the run folder: the factory address is asked for.
const ASKED: &str = "factory-network";
/// Part of the health page: the address cannot be told in words.
const VOICE: &str = "voice";
/// For so long an address is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(500);

/// The note by which the factory address is asked for.
pub(crate) fn asked(config: &Config) -> PathBuf {
    config.site.run_dir.join(ASKED)
}

impl Gateway {
    /// What inputs ask for that were held at the start; once.
    pub(crate) fn held(&mut self) -> Option<mpsc::Receiver<HeldInput>> {
        self.held.take()
    }

    /// Does what one of them asks for. True if there is a new setup code.
    pub(crate) async fn act_on(&mut self, what: HeldInput) -> bool {
        match what {
            HeldInput::Released => {
                let done = self.config.site.state_dir.join(DONE);
                match std::fs::remove_file(&done) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        tracing::warn!(%error, file = %done.display(), "the note of the last reset cannot be removed");
                    }
                    Ok(()) | Err(_) => {}
                }
                false
            }
            HeldInput::Reset => {
                let (told, reset) = self.reset().await;
                tracing::warn!("the reset input was held at the start: {told}");
                let event = Event::Gateway(GatewayEvent::Factory { text: told });
                note::journal(&self.store, event);
                reset
            }
            HeldInput::Tell(line) => {
                let config = Arc::new(self.config.clone());
                let faults = self.faults.clone();
                tokio::spawn(tell(config, line, self.sip.clone(), faults, self.orders.clone()));
                false
            }
        }
    }

    /// Resets, and says in words what was done; true if users were.
    async fn reset(&mut self) -> (String, bool) {
        let done = self.config.site.state_dir.join(DONE);
        // also if nobody may look: an input that is stuck must not reset at each start
        if done.try_exists().unwrap_or(true) {
            let text = "nothing is done, for it was not seen at rest since the last reset: let it go, start the \
                        gateway, and hold it at the next start";
            return (text.to_owned(), false);
        }
        if let Err(error) = note::mark(&done) {
            return (
                format!(
                    "nothing is done, for {} cannot be written: {error}",
                    done.display()
                ),
                false,
            );
        }
        let users = match self.outside.reset_users(&self.config).await {
            Ok(count) => {
                format!("{count} users and API tokens of the page are removed, a setup code makes the first")
            }
            Err(text) => {
                // it may be tried again
                let _ = std::fs::remove_file(&done);
                return (format!("users of the page could not be removed: {text}"), false);
            }
        };
        let network = match (
            params::port_settings(&self.config),
            note::mark(&asked(&self.config)),
        ) {
            (None, _) => "the network is left alone, for there is no [network]".to_owned(),
            (Some((settings, _)), Ok(())) => format!(
                "{} is to get {} for an hour, if doorline-factory.path is enabled",
                settings.port, self.config.start.factory_address
            ),
            (Some(_), Err(error)) => format!("the factory address could not be asked for: {error}"),
        };
        (format!("{users}; {network}"), true)
    }
}

/// A machine without a voice beeps the address: told while there is time to mend it.
pub(crate) fn voice_told(config: &Config, faults: &Faults) {
    let text = spoken::voiceless(config).map(|(text, hint)| format!("{text}; {hint}"));
    if let Some(text) = &text {
        tracing::warn!("{text}");
    }
    faults.set(VOICE, text);
}

/// Tells the address at a line that was seized for it, and says what became of it.
async fn tell(
    config: Arc<Config>,
    line: LineId,
    sip: SipHandle,
    faults: Faults,
    orders: mpsc::Sender<Order>,
) {
    let text = match address(&config).await {
        None => "not told, for the gateway got no address within a minute".to_owned(),
        Some(address) => match say(&config, &line, &sip, &faults, address).await {
            Ok(how) => format!("{address}, {how}"),
            Err(text) => format!("{address} could not be told: {text}"),
        },
    };
    tracing::info!(%line, "the address at the line: {text}");
    // a core that has ended has no line
    let _ = orders.send(Order::AddressTold(text)).await;
}

/// The address by which others reach the gateway, as soon as there is one: that of IPv4 if it may have one.
async fn address(config: &Config) -> Option<IpAddr> {
    let wanted = watched(config).flatten();
    let only_six = config
        .network
        .as_ref()
        .is_some_and(|network| network.ipv4 == Ipv4Mode::Off);
    let limit = tokio::time::Instant::now() + PATIENCE;
    loop {
        let found = ports::ports().unwrap_or_default();
        let ours = found.iter().filter(|port| match &wanted {
            Some(name) => port.name == *name,
            None => !port.loopback,
        });
        let addresses = ours.flat_map(|port| &port.addresses).map(|address| address.ip);
        let reaching: Vec<IpAddr> = addresses.filter(|ip| reaches_out(*ip)).collect();
        let late = tokio::time::Instant::now() >= limit;
        let found = told_first(&reaching, only_six || late);
        if found.is_some() || late {
            return found;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The address that is told, of those that reach out.
fn told_first(reaching: &[IpAddr], six_too: bool) -> Option<IpAddr> {
    let four = reaching.iter().find(|ip| ip.is_ipv4());
    four.or_else(|| reaching.first().filter(|_| six_too)).copied()
}

/// Says it, and how in a word.
async fn say(
    config: &Config,
    line: &LineId,
    sip: &SipHandle,
    faults: &Faults,
    address: IpAddr,
) -> Result<&'static str, String> {
    let sound = spoken::told(config, address).await;
    let why = match &sound {
        Ok(sound) => sound.fault.as_ref(),
        Err(why) => Some(why),
    };
    if let Some(why) = why {
        tracing::warn!("the address cannot be told in words: {why}");
    }
    faults.set(
        VOICE,
        why.map(|why| format!("the address could not be told in words: {why}")),
    );
    let spoken::Sound { how, samples, .. } = sound?;
    sip.say_to_line(line, Arc::clone(&samples))
        .map_err(|error| error.to_string())?;
    // ours is the last to go: the media thread frees nothing
    tokio::time::sleep(spoken::length(&samples) + Duration::from_millis(500)).await;
    drop(samples);
    Ok(how)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_ipv4_is_told_and_that_of_ipv6_where_there_is_no_other() {
        let six: IpAddr = "2001:db8::10".parse().expect("an address");
        let four: IpAddr = "192.0.2.10".parse().expect("an address");
        assert_eq!(told_first(&[six, four], false), Some(four));
        assert_eq!(told_first(&[six, four], true), Some(four));
        assert_eq!(told_first(&[six], false), None);
        assert_eq!(told_first(&[six], true), Some(six));
        assert_eq!(told_first(&[], true), None);
    }
}
