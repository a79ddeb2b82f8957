//! Who holds a line of a chip; nothing is requested and nothing changes.

use std::io;
use std::path::Path;

use gpiocdev::Chip;

/// How a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineState {
    /// Nobody has it.
    Free,
    /// Somebody has it, and calls itself so; the kernel's own users have names such as `w1`.
    Held(String),
    /// The chip has only so many lines, from 0.
    Missing(u32),
}

/// What every consumer of this program begins with.
pub const CONSUMER: &str = "doorline";

/// Looks at a line.
///
/// # Errors
/// If there is no such chip, or it may not be opened.
pub fn line_state(chip: &Path, line: u32) -> io::Result<LineState> {
    let chip = Chip::from_path(chip).map_err(io::Error::other)?;
    let count = chip.info().map_err(io::Error::other)?.num_lines;
    if line >= count {
        return Ok(LineState::Missing(count));
    }
    let info = chip.line_info(line).map_err(io::Error::other)?;
    Ok(match (info.used, info.consumer) {
        (false, _) => LineState::Free,
        (true, consumer) if consumer.is_empty() => LineState::Held("somebody without a name".to_owned()),
        (true, consumer) => LineState::Held(consumer),
    })
}
