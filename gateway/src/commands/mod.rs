//! One module a subcommand.

mod access;
#[cfg(feature = "sound-cards")]
mod audio;
mod backup;
mod bench;
mod check;
mod contacts;
mod controllers;
mod decode;
mod demo;
mod doctor;
mod dot1x;
mod input;
mod journal;
mod lldp;
mod network;
mod osdp;
mod out;
mod panel;
mod paper;
mod people;
mod readers;
mod relay_guard;
mod report;
mod rules;
mod run;
mod sim;
mod site;
mod support;
mod time;
mod usage;

use std::io::Write;

use crate::cli::Command;

#[cfg(feature = "sound-cards")]
pub(crate) use audio::Audio;
pub(crate) use controllers::Controllers;
pub(crate) use decode::{Decode, Encode};
pub(crate) use journal::verified;
pub(crate) use osdp::Osdp;
pub(crate) use out::{Unwritten, out};
pub(crate) use panel::Panel;
pub(crate) use readers::Readers;
pub(crate) use site::{ConfigFaults, loaded, loaded_at, loaded_text};
pub(crate) use usage::WrongUsage;

/// Runs a subcommand and gives the exit code.
pub(crate) fn dispatch(command: Command) -> anyhow::Result<u8> {
    let code = run_command(command)?;
    // what a pipe or a full disk did not take is known only now
    out().flush()?;
    Ok(code)
}

fn run_command(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Access(args) => access::access(&args),
        #[cfg(feature = "sound-cards")]
        Command::Audio(args) => audio::audio(&args),
        Command::Backup(args) => backup::backup(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Check(args) => check::check(&args),
        Command::Completions { shell } => paper::completions(shell),
        Command::Contacts(args) => contacts::contacts(&args),
        Command::Controllers(args) => controllers::controllers(&args),
        Command::Decode(args) => decode::decode(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Encode(args) => decode::encode(&args),
        Command::Dot1x(args) => dot1x::dot1x(&args),
        Command::Journal(args) => journal::journal(&args),
        Command::Lldp(args) => lldp::lldp(&args),
        Command::Man => paper::man(),
        Command::People(args) => people::people(&args),
        Command::Report(args) => report::report(&args),
        Command::Network(args) => network::network(&args),
        Command::Osdp(args) => osdp::osdp(&args),
        Command::Readers(args) => readers::readers(&args),
        Command::Panel(args) => panel::panel(&args),
        Command::RelayGuard(args) => relay_guard::relay_guard(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Rules(args) => rules::rules(&args),
        Command::Run(args) => run::run(&args),
        Command::Sim(args) => sim::sim(&args),
        Command::Support(args) => support::support(&args),
        Command::Time(args) => time::time(&args),
        Command::Version => paper::version(),
    }
}
