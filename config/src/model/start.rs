//! `[start]`: what it means that an input is held while the gateway starts.

use std::path::PathBuf;
use std::time::Duration;

use gateway_core::{InputId, LineId};

use crate::describe::table;
use crate::rules::{Path, parsed, refer, secs};
use crate::value::Cidr4;

table! {
    /// What it means that an input is held while the gateway starts: active at its first reading, and from then on without
    /// a pause. An input that is pressed later means nothing here.
    pub struct Start {
        /// Held for `hold-s`: users and API tokens of the page are removed, and a new setup code is shown; the port of
        /// `[network]` gets `factory-address` for an hour, by `doorline-factory.path`. Journal, people, cards and codes
        /// stay. It is done once: the input has to be seen at rest before it is done again.
        reset_input: Option<InputId> = "reset-input", refer("input"), optional, Live;
        /// For how long `reset-input` has to be held, 5 to 60 s.
        hold: Duration = "hold-s", secs(5, 60), or("10"), Live;
        /// Fixed IPv4 address of the port after a reset, with the length of its network's prefix; without gateway, name
        /// servers and VLAN.
        factory_address: Cidr4 = "factory-address", parsed(), or("\"192.168.1.100/24\""), Live;
        /// Held for 2 s: the IPv4 address of the gateway is told at `tell-line`, as soon as it has one, at most a minute
        /// after the start.
        tell_input: Option<InputId> = "tell-input", refer("input"), optional, Live;
        /// Line at which the address is told. It has to be able to start by itself (`call-in`).
        tell_line: Option<LineId> = "tell-line", refer("line"), optional, Live;
        /// Folder of the sounds that tell it: `0.wav` to `9.wav` and `dot.wav`, 16 bit. Without it the address is
        /// beeped: one beep for 1, nine for 9, ten for 0, and a long low tone for a dot.
        tell_folder: Option<PathBuf> = "tell-folder", Path, optional, Live;
    }
}
