//! Version, completions and the man page, all from the definitions of the command line.

use std::io::Write;

use clap::CommandFactory;

use crate::cli::{Cli, exit};
use crate::commands::out;

/// Prints the versions.
pub(super) fn version() -> anyhow::Result<u8> {
    let mut out = out();
    writeln!(out, "doorline {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "journal schema {}", gateway_core::SCHEMA)?;
    writeln!(out, "guard protocol {}", gateway_guard_proto::VERSION)?;
    Ok(exit::OK)
}

/// Prints completions for a shell.
pub(super) fn completions(shell: clap_complete::Shell) -> anyhow::Result<u8> {
    // it panics if it cannot write, so it writes to memory
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "doorline", &mut text);
    out().write_all(&text)?;
    Ok(exit::OK)
}

/// Prints the man page: the program first, then each subcommand.
pub(super) fn man() -> anyhow::Result<u8> {
    let mut out = Vec::new();
    let mut command = Cli::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut out)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let page = clap_mangen::Man::new(sub.clone());
        writeln!(out, ".SH \"{}\"", sub.get_name().to_uppercase())?;
        page.render_description_section(&mut out)?;
        page.render_synopsis_section(&mut out)?;
        page.render_options_section(&mut out)?;
        page.render_extra_section(&mut out)?;
    }
    crate::commands::out().write_all(&out)?;
    Ok(exit::OK)
}
