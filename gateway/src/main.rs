//! The Doorline gateway: one program, several jobs.

mod backup;
mod bench;
mod cli;
mod clock;
mod commands;
mod control;
mod demo;
mod run;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, exit};

fn main() -> ExitCode {
    gateway_priority::begin();
    // both rings of a TLS stack need to be told once which cryptography is used
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        return fail(exit::FAILED, "the cryptography provider was set twice");
    }
    let end = match commands::dispatch(Cli::parse().command) {
        Ok(code) => ExitCode::from(code),
        // whoever read our output has enough of it, as `head` has: no fault of anybody
        Err(error) if commands::Unwritten::reader_gone(&error) => ExitCode::from(exit::OK),
        Err(error) => fail(code_of(&error), &format!("{error:#}")),
    };
    run::log::finish();
    end
}

/// What went wrong, as an exit code.
fn code_of(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<control::Refused>() {
            return exit::REFUSED;
        }
        if cause.is::<commands::WrongUsage>() {
            return exit::USAGE;
        }
        if cause.is::<commands::ConfigFaults>() {
            return exit::CONFIG;
        }
        let in_use = cause.is::<run::InUse>()
            || store_in_use(cause)
            || guard_in_use(cause)
            || cause
                .downcast_ref::<std::io::Error>()
                .is_some_and(|e| e.kind() == std::io::ErrorKind::AddrInUse);
        if in_use {
            return exit::IN_USE;
        }
    }
    exit::FAILED
}

/// The journal is held by another process; the offline tasks wrap that error in their own.
fn store_in_use(cause: &(dyn std::error::Error + 'static)) -> bool {
    let opened = match cause.downcast_ref() {
        Some(gateway_store::OfflineError::Open(error)) => Some(error),
        Some(_) | None => cause.downcast_ref::<gateway_store::OpenError>(),
    };
    matches!(opened, Some(gateway_store::OpenError::InUse { .. }))
}

/// Another relay guard holds the outputs.
fn guard_in_use(cause: &(dyn std::error::Error + 'static)) -> bool {
    matches!(
        cause.downcast_ref(),
        Some(gateway_guard::GuardError::InUse { .. })
    )
}

fn fail(code: u8, text: &str) -> ExitCode {
    run::log::complain(&format!("doorline: {text}"));
    ExitCode::from(code)
}
