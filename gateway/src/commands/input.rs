//! What a command reads: a file, or standard input.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;

/// The text of a file; `-` is standard input.
///
/// # Errors
/// If it cannot be read as UTF-8 text: which.
pub(super) fn text_of(file: &Path) -> anyhow::Result<String> {
    if file != Path::new("-") {
        return std::fs::read_to_string(file)
            .with_context(|| format!("{} cannot be read as UTF-8 text", file.display()));
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .context("standard input cannot be read")?;
    Ok(text)
}
