//! Version, completions and the man page, all from the definitions of the command line.

use std::io::Write;

use clap::{Command, CommandFactory};

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

/// Prints the man page: the program first, then each subcommand with those below it. The list of subcommands that the
/// generator would make is left out: it refers to a page for each, and there is this one only.
pub(super) fn man() -> anyhow::Result<u8> {
    out().write_all(&page()?)?;
    Ok(exit::OK)
}

fn page() -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut command = Cli::command();
    command.build();
    let page = clap_mangen::Man::new(command.clone());
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    page.render_extra_section(&mut out)?;
    page.render_version_section(&mut out)?;
    sections(&command, "", &mut out)?;
    Ok(out)
}

/// A section for each command below this one, whose name begins with `before`.
fn sections(command: &Command, before: &str, out: &mut Vec<u8>) -> anyhow::Result<()> {
    for sub in command.get_subcommands() {
        // `help` says again what the page says
        if sub.is_hide_set() || sub.get_name() == "help" {
            continue;
        }
        let name = format!("{before}{}", sub.get_name());
        let page = clap_mangen::Man::new(sub.clone());
        writeln!(out, ".SH \"{}\"", name.to_uppercase())?;
        page.render_description_section(out)?;
        page.render_synopsis_section(out)?;
        page.render_options_section(out)?;
        page.render_extra_section(out)?;
        sections(sub, &format!("{name} "), out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_man_page_has_the_options_of_nested_commands() {
        let page = page().expect("made");
        // a hyphen is written so that nobody breaks a line there
        let page = String::from_utf8(page).expect("text").replace("\\-", "-");
        for (section, option) in [
            ("JOURNAL TAIL", "--follow"),
            ("JOURNAL EXPORT", "--format"),
            ("DOT1X SELF-SIGNED", "--days"),
            ("OSDP INSTALL", "--minutes"),
            ("PEOPLE ADD", "--phone-needs-pin"),
            ("RUN", "--config"),
        ] {
            let begin = page.find(&format!(".SH \"{section}\"\n")).expect(section);
            let whole = &page[begin + 4..];
            let whole = whole.find("\n.SH \"").map_or(whole, |end| &whole[..end]);
            assert!(whole.contains(option), "{section} lacks {option}:\n{whole}");
        }
        assert!(!page.contains("NETWORK HOLD"), "what is internal stays so");
        // there is no other page that it could send its reader to
        let refers: Vec<&str> = page.lines().filter(|line| line.contains("(1)")).collect();
        assert!(refers.is_empty(), "{refers:#?}");
    }
}
