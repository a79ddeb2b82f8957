//! Boards on a serial port of their own, for the relay guard.

use std::collections::BTreeMap;
use std::path::PathBuf;

use adapter_api::OutputDriver;
use adapter_serial_relay::{BAUD, Board, CHANNELS, Family, SerialRelay};
use gateway_config::OutputDriver as Driver;
use gateway_core::OutputId;
use gateway_guard::{GuardBoard, GuardOutput};

/// Relays of the largest Numato module.
const NUMATO: u16 = 32;

struct Port {
    baud: u32,
    board: Board,
    outputs: Vec<(OutputId, u16)>,
}

/// Outputs by port; the configuration makes those of one port agree.
#[derive(Default)]
pub(super) struct Boards(BTreeMap<PathBuf, Port>);

impl Boards {
    pub(super) fn add(&mut self, id: &OutputId, driver: &Driver) {
        let (port, baud, family, relays, channel) = match driver {
            Driver::Kmtronic(b) => (&b.port, b.baud, Family::Kmtronic, b.relays, b.channel),
            Driver::Lcus1(b) => (&b.port, b.baud, Family::Lcus1, *CHANNELS.end(), b.channel),
            Driver::Numato(b) => (&b.port, BAUD, Family::Numato, NUMATO, b.channel),
            Driver::Dcttech(_)
            | Driver::FrontEnd(_)
            | Driver::Gpio(_)
            | Driver::Http(_)
            | Driver::Modbus(_)
            | Driver::Mqtt(_)
            | Driver::Osdp(_)
            | Driver::Virtual(_) => return,
        };
        let entry = self.0.entry(port.clone()).or_insert_with(|| Port {
            baud,
            board: Board { family, relays },
            outputs: vec![],
        });
        entry.outputs.push((id.clone(), channel));
    }

    pub(super) fn made(self, output: impl Fn(&OutputId, u16) -> GuardOutput) -> Vec<GuardBoard> {
        let board = |(path, port): (PathBuf, Port)| GuardBoard {
            driver: Box::new(SerialRelay::new(port.board, path, port.baud)) as Box<dyn OutputDriver>,
            outputs: port
                .outputs
                .iter()
                .map(|(id, channel)| output(id, *channel))
                .collect(),
            vanished: String::new(),
        };
        self.0.into_iter().map(board).collect()
    }
}
