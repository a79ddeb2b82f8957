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
        /// Held for 2 s: the address of the gateway is told at `tell-line`, as soon as it has one, at most a minute
        /// after the start; that of IPv4, or of IPv6 where there is no other. It is spoken by `espeak-ng` in the
        /// language of the site; on a machine without it, it is beeped: one beep for 1, nine for 9, ten for 0, and a long
        /// low tone for a dot.
        tell_input: Option<InputId> = "tell-input", refer("input"), optional, Live;
        /// Line at which the address is told. It has to be able to start by itself (`call-in`).
        tell_line: Option<LineId> = "tell-line", refer("line"), optional, Live;
        /// Folder of sounds of your own that tell it, in place of the voice: `0.wav` to `9.wav` and `dot.wav`, 16 bit;
        /// for IPv6 also `a.wav` to `f.wav` and `colon.wav`.
        tell_folder: Option<PathBuf> = "tell-folder", Path, optional, Live;
    }
}
