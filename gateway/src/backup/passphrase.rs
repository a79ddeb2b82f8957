//! Where a passphrase comes from: a file, standard input, or the terminal. Never an argument, which every user of the machine
//! can see.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use gateway_core::Secret;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// Longest line that is read.
const LONGEST: u64 = 4096;

/// The first line of a file that only its owner may read; `-` is standard input.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn given(file: &Path) -> anyhow::Result<Secret> {
    if file == Path::new("-") {
        return line(std::io::stdin().lock());
    }
    gateway_config::secret_in(file).map_err(anyhow::Error::msg)
}

/// Asks at the terminal, without showing what is typed; twice if it is a new one.
///
/// # Errors
/// There is no terminal, or the two differ.
pub(crate) fn from_terminal(new: bool) -> anyhow::Result<Secret> {
    let terminal = File::options().read(true).write(true).open("/dev/tty");
    let terminal = terminal.context(
        "there is no terminal to ask for the passphrase; give it with --passphrase-file FILE, or - for standard input",
    )?;
    let first = ask(&terminal, "passphrase of the backup: ")?;
    if new && ask(&terminal, "once more: ")? != first {
        bail!("the two are not the same; nothing was written");
    }
    Ok(first)
}

fn ask(terminal: &File, what: &str) -> anyhow::Result<Secret> {
    (&*terminal).write_all(what.as_bytes())?;
    let before = tcgetattr(terminal)?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
    let typed = line(terminal);
    // whatever became of it, the terminal is as it was
    tcsetattr(terminal, OptionalActions::Flush, &before)?;
    (&*terminal).write_all(b"\n")?;
    typed
}

fn line(from: impl Read) -> anyhow::Result<Secret> {
    let mut text = String::new();
    BufReader::new(from.take(LONGEST))
        .read_line(&mut text)
        .context("the passphrase cannot be read")?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        bail!("there is no passphrase");
    }
    Ok(Secret::new(text))
}
