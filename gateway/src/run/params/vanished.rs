//! What it means for the locks when a board does not answer, for the people who read the fault.

use gateway_config::{Config, Door, Fail, LockOwner, OutputDriver as Driver};
use gateway_core::OutputId;

/// One sentence for each door whose output is among `outputs`; empty if no door uses them.
pub(super) fn vanished<'a>(config: &Config, outputs: impl Iterator<Item = &'a OutputId>) -> String {
    let sentences = outputs.filter_map(|id| {
        let driver = &config.outputs.get(id)?.driver;
        let (name, door) = config
            .doors
            .iter()
            .find(|(_, door)| door.output.as_ref() == Some(id))?;
        Some(format!("door {name}: {}", of(driver, door)?))
    });
    sentences.collect::<Vec<_>>().join("; ")
}

fn of(driver: &Driver, door: &Door) -> Option<String> {
    let lock = match (door.lock_owner, door.fail) {
        (LockOwner::Panel, _) => "the panel's own lock stays as the panel has it",
        (LockOwner::Gateway, Fail::Secure) => "locked",
        (LockOwner::Gateway, Fail::Safe) => "locked while the lock itself has its supply, else open",
    };
    Some(match driver {
        Driver::Gpio(_) | Driver::Virtual(_) => return None,
        Driver::FrontEnd(_) => {
            format!("the front end itself ends a press that runs at its time, then {lock}")
        }
        Driver::Osdp(_) => {
            format!("the reader itself ends a pulse that runs at its time, then {lock}")
        }
        Driver::Http(_) | Driver::Mqtt(_) => {
            format!("the device itself ends a pulse that runs at its time, then {lock}")
        }
        // fed by the cable that was pulled; larger ones have a supply of their own
        Driver::Dcttech(_) | Driver::Lcus1(_) => {
            format!("unplugged, its relay has no supply and rests: {lock}")
        }
        Driver::Kmtronic(_) | Driver::Numato(_) => {
            format!(
                "unplugged, a relay fed by the cable rests, {lock}; with its own supply it stays as it was"
            )
        }
        Driver::Modbus(board) => match board.timer {
            Some(timer) => format!(
                "its timer relay ends a pulse that runs after {} s at most, then {lock}",
                timer.as_secs_f32()
            ),
            None if board.is_self_timed() => {
                format!("the board itself ends a pulse that runs at its time, then {lock}")
            }
            None => format!(
                "its relay stays as it was: at rest {lock}, on it is open until the board answers or loses its supply"
            ),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_config::{SecretFiles, parse};

    use super::*;

    fn said(more: &str, of: &str) -> String {
        let text = include_str!("../../../../config/testdata/good.toml");
        let board = "[outputs.back-strike.lcus1]\nport = \"/dev/ttyUSB0\"\ntimer-ms = 5000\n";
        assert!(text.contains(board));
        let text = text.replace(board, more);
        let loaded = parse("site.toml", Path::new("."), &text, SecretFiles::Untouched);
        let config = loaded.unwrap_or_else(|error| panic!("{error}")).config;
        vanished(&config, [of.parse().expect("a name")].iter())
    }

    #[test]
    fn a_fault_says_where_the_wiring_leaves_the_lock() {
        assert_eq!(
            said(
                "[outputs.back-strike.lcus1]\nport = \"/dev/ttyUSB0\"\n",
                "back-strike"
            ),
            "door back: unplugged, its relay has no supply and rests: locked"
        );
        let modbus = "[outputs.back-strike.modbus]\nhost = \"192.0.2.8\"\n";
        assert_eq!(
            said(&format!("{modbus}profile = \"coils\"\n"), "back-strike"),
            "door back: its relay stays as it was: at rest locked, on it is open until the board answers or loses its \
             supply"
        );
        assert_eq!(
            said(&format!("{modbus}profile = \"waveshare\"\n"), "back-strike"),
            "door back: the board itself ends a pulse that runs at its time, then locked"
        );
        assert_eq!(
            said(
                &format!("{modbus}profile = \"coils\"\ntimer-ms = 5000\n"),
                "back-strike"
            ),
            "door back: its timer relay ends a pulse that runs after 5 s at most, then locked"
        );
        assert_eq!(
            said(&format!("{modbus}profile = \"coils\"\n"), "front-strike"),
            ""
        );
    }
}
