//! The gateway against real peers. `tests/README.md` says how to run a part of it.

mod accounts;
mod alarm;
mod announce;
mod api;
mod asked;
mod beside;
mod boards;
mod broker;
mod called;
mod capture;
mod certificate;
mod codecs;
mod commands;
mod confirm;
mod directory;
mod early;
mod echo;
mod elsewhere;
mod faults;
mod front_end;
mod full;
mod gate;
mod gauntlet;
mod guide;
mod home;
mod home_assistant;
mod hostile;
mod incoming;
mod killed;
mod lamps;
mod locked_out;
mod logs;
mod mqtt5;
mod notify;
mod offers;
mod office;
mod osdp;
mod osdp_controllers;
mod outside;
mod page;
mod parking;
mod peers_alone;
mod protected;
mod radius;
mod server_room;
mod sessions;
mod silence;
mod story;
mod transfers;

use std::time::Duration;

/// A duration in seconds.
const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
