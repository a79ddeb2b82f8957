//! Controllers of somebody else: the readers that the gateway plays towards them.

use std::collections::BTreeMap;

use adapter_api::Direction;
use adapter_osdp::{Key, OsdpPeripheral, PeripheralParams, Secrecy, kept_key};
use gateway_bus::Bus;
use gateway_card::Translation;
use gateway_config::{Config, Controller, ControllerDriver, OsdpController, Rs485};
use gateway_core::{
    Command, CommandId, CommandReply, CommandRequest, ControllerId, DeviceId, Factor, Given, Instant, Origin,
    ReaderId, Subject,
};
use serde_json::{Value, json};

use super::readers::{Readers, Recipe, accepted, of_name};

/// Folder of keys that controllers gave, in the state folder.
pub(crate) const CONTROLLER_KEYS: &str = "controllers";

/// The path of such a key in the state folder.
fn key_path(id: &ControllerId) -> String {
    format!("{CONTROLLER_KEYS}/{id}.key")
}

/// The controller whose key has this path in the state folder.
pub(crate) fn controller_of(path: &str) -> Option<ControllerId> {
    let (folder, file) = path.split_once('/')?;
    let name = file.strip_suffix(".key")?;
    (folder == CONTROLLER_KEYS).then(|| ControllerId::new(name).ok())?
}

/// Is the request for this?
pub(super) fn knows(request: &Value) -> bool {
    request.get("act").and_then(Value::as_str) == Some("controller-send")
}

/// Carries out a request of `commands/controllers.rs`, as a command like those of the other interfaces.
pub(super) async fn act(bus: &Bus, now: Instant, request: &Value) -> Result<Value, String> {
    let text = |key: &str| request.get(key).and_then(Value::as_str).unwrap_or_default();
    let controller = ControllerId::new(text("controller")).map_err(|error| format!("controller: {error}"))?;
    let card = gateway_site::card_frame(text("card")).map_err(|error| error.to_string())?;
    let request = CommandRequest {
        command: Command::SendCard { card, controller },
        given: Given::Live(now),
        id: CommandId::new(&format!("console-{}", now.as_nanos())).ok_or("no id")?,
        origin: Origin {
            factor: Factor::Local,
            may_simulate: false,
            subject: Subject::User("console".into()),
        },
        stale_by_transport: false,
    };
    match bus.command(request).await {
        CommandReply::Accepted { seq, .. } => Ok(json!({ "seq": seq.0 })),
        CommandReply::Refused { reason, text } => Err(format!("{reason}: {text}")),
    }
}

/// Name of the adapter of a controller.
pub(in crate::run) fn controller_name(id: &ControllerId) -> String {
    let name = format!("controller-{id}");
    DeviceId::new(&name).map_or_else(|_| id.to_string(), |_| name)
}

/// One adapter for each controller that has a line of its own, by name; those of front ends are with their front end.
/// What cards become on their way is in force from here on.
pub(super) fn controllers(
    config: &Config,
    readers: &Readers,
) -> anyhow::Result<BTreeMap<String, OsdpPeripheral>> {
    let recipes = config.controllers.iter();
    let recipes = recipes.map(|(id, controller)| (id.clone(), recipe(config, controller)));
    readers.set_recipes(recipes.collect());
    let mut made = BTreeMap::new();
    for (id, controller) in &config.controllers {
        match &controller.driver {
            ControllerDriver::Osdp(of) => {
                made.insert(controller_name(id), osdp(config, readers, id, of)?);
            }
            ControllerDriver::Wiegand(_) => {}
        }
    }
    Ok(made)
}

fn recipe(config: &Config, controller: &Controller) -> Recipe {
    let formats = |reader: &ReaderId| {
        let named = config.readers.get(reader);
        let named = named.and_then(|reader| reader.driver.formats());
        (reader.clone(), accepted(config, named.unwrap_or_default()))
    };
    let pairs = controller.facilities.iter();
    match controller.format.as_ref().and_then(|name| of_name(config, name)) {
        None => Recipe::default(),
        Some(to) => Recipe {
            formats: controller.forward.iter().map(formats).collect(),
            translation: Translation {
                facilities: pairs.map(|pair| (pair.read, pair.written)).collect(),
                to: Some(to),
            },
        },
    }
}

fn osdp(
    config: &Config,
    readers: &Readers,
    id: &ControllerId,
    of: &OsdpController,
) -> anyhow::Result<OsdpPeripheral> {
    let kept = config.site.state_dir.join(key_path(id));
    let secrecy = match &of.key_file {
        Some(file) => {
            let key = match &file.key {
                Some(key) => Key::parse(key.reveal())
                    .map_err(|error| anyhow::anyhow!("controller {id}: {}: {error}", file.path.display()))?,
                // a reader with a key never becomes one without
                None => unknown()?,
            };
            Secrecy::Key { key, changes: false }
        }
        None if of.install => match kept_key(&kept) {
            Ok(Some(key)) => Secrecy::Key { key, changes: true },
            Ok(None) => Secrecy::Install,
            Err(error) => {
                tracing::error!(controller = %id, path = %kept.display(), %error,
                    "the key that the controller gave cannot be read: it gets no cards; remove the file to have it give another one");
                Secrecy::Key {
                    key: unknown()?,
                    changes: false,
                }
            }
        },
        None => Secrecy::Clear,
    };
    Ok(OsdpPeripheral {
        cards: readers.cards(),
        controller: id.clone(),
        direction: match of.rs485 {
            Rs485::Adapter => Direction::Adapter,
            Rs485::Rts => Direction::Rts,
            Rs485::RtsInverted => Direction::RtsInverted,
        },
        kept,
        params: PeripheralParams {
            address: of.address,
            baud: of.baud,
            secrecy,
            serial: serial(id),
        },
        port: of.port.clone(),
    })
}

/// A key that no controller has, for one whose file could not be read.
fn unknown() -> anyhow::Result<Key> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(Key::new(bytes))
}

/// A serial number that is the same at each start and tells controllers of a site apart (FNV-1a, 32 bits).
fn serial(id: &ControllerId) -> u32 {
    let bytes = id.as_str().bytes();
    bytes.fold(0x811C_9DC5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use adapter_api::Handed;

    use super::*;

    fn site(state: &std::path::Path, more: &str) -> Config {
        let minimal = include_str!("../../../config/examples/minimal.toml");
        let text = format!(
            "{minimal}\n[readers.gate.osdp]\nport = \"/dev/ttyS1\"\nunencrypted = true\nformats = [\"h10301\"]\n\
             [controllers.legacy]\nforward = [\"gate\"]\n{more}"
        );
        let files = gateway_config::SecretFiles::Needed;
        let loaded = gateway_config::parse("site.toml", state, &text, files);
        let mut config = loaded.unwrap_or_else(|faults| panic!("{faults}")).config;
        config.site.state_dir = state.to_owned();
        config
    }

    fn only(config: &Config) -> OsdpPeripheral {
        let mut all = controllers(config, &Readers::default()).expect("made");
        let (name, made) = all.pop_first().expect("one");
        assert_eq!(name, "controller-legacy");
        made
    }

    #[test]
    fn a_controller_that_gives_keys_has_the_default_one_until_then_and_never_again() {
        let state = tempfile::tempdir().expect("a folder");
        let text = "[controllers.legacy.osdp]\nport = \"/dev/ttyS2\"\naddress = 7\ninstall = true\n";
        let config = site(state.path(), text);
        let first = only(&config);
        assert_eq!(
            (first.params.address, &first.params.secrecy),
            (7, &Secrecy::Install)
        );
        adapter_osdp::keep_key(&first.kept, &Key::new([9; 16])).expect("kept");
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&first.kept)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let then = only(&config);
        let key = Key::new([9; 16]);
        assert_eq!(then.params.secrecy, Secrecy::Key { key, changes: true });
        assert_ne!(first, then);
        // what cannot be read is not taken for nothing
        std::fs::write(&first.kept, "damaged").expect("written");
        assert!(matches!(
            only(&config).params.secrecy,
            Secrecy::Key { changes: false, .. }
        ));
    }

    #[test]
    fn cards_go_out_in_the_words_of_their_controller_or_not_at_all() {
        let state = tempfile::tempdir().expect("a folder");
        let text = "format = \"h10306\"\nfacilities = [\"123=7\"]\n[controllers.legacy.osdp]\nport = \"/dev/ttyS2\"\nunencrypted = true\n";
        let config = site(state.path(), text);
        let readers = Readers::default();
        let made = controllers(&config, &readers).expect("made");
        assert_eq!(made["controller-legacy"].params.secrecy, Secrecy::Clear);
        let mut cards = readers.cards().subscribe();
        let mut goes_out = |text: &str| {
            let frame = gateway_site::card_frame(text).expect("a card");
            let (at, reader) = (gateway_core::Instant::ZERO, "gate".parse().expect("a name"));
            readers.forward(at, "legacy".parse().expect("a name"), &frame, Some(reader));
            match cards.try_recv().expect("handed on").what {
                Ok(Handed::Card(frame)) => Ok(frame),
                Ok(Handed::Key(_)) => Err("a key".to_owned()),
                Err(text) => Err(text),
            }
        };
        let card = goes_out("26:123,04567").expect("it has room");
        assert_eq!(card.bits, 34);
        let format = gateway_card::format_named("h10306").expect("published");
        let fields = format.read(&card).expect("its parity is right");
        assert_eq!((fields.facility, fields.number), (Some(7), Some(4567)));
        // no format of this reader
        let said = goes_out("34:123,04567").expect_err("it is not read");
        assert_eq!(said, "no format of the reader fits its 34 bits");
        // what somebody sends by a command goes out as it is
        let sent = gateway_site::card_frame("34:123,04567").expect("a card");
        readers.forward(
            gateway_core::Instant::ZERO,
            "legacy".parse().expect("a name"),
            &sent,
            None,
        );
        let out = cards.try_recv().expect("handed on");
        assert_eq!((out.what, out.reader), (Ok(Handed::Card(sent)), None));
    }
}
