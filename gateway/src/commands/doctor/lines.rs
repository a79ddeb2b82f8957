//! Lines of GPIO chips that the site file claims, and who has them.

use std::io;
use std::path::{Path, PathBuf};

use adapter_gpio::{CONSUMER, LineState};

use super::Finding;

/// A line that is claimed: chip, line, by whom.
pub(super) type Claimed = (PathBuf, u32, String);

/// Lines that another program or driver has, and lines that their chip does not have. A chip that cannot be looked at is told
/// elsewhere.
pub(super) fn held(lines: &[Claimed], look: impl Fn(&Path, u32) -> io::Result<LineState>) -> Vec<Finding> {
    let found = |(chip, line, who): &Claimed| {
        let (text, remedy) = match look(chip, *line).ok()? {
            LineState::Held(by) if !by.starts_with(CONSUMER) => (
                format!("line {line} of {} ({who}) is held by {by:?}", chip.display()),
                "take it from whoever has it (an overlay of the device tree, another program), or use another line",
            ),
            LineState::Missing(count) => (
                format!(
                    "line {line} of {} ({who}): the chip has {count} lines, from 0",
                    chip.display()
                ),
                "correct the line",
            ),
            LineState::Free | LineState::Held(_) => return None,
        };
        Some(Finding {
            note: false,
            remedy: remedy.into(),
            text,
        })
    };
    lines.iter().filter_map(found).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_somebody_else_and_one_that_is_not_there_are_faults() {
        let chip = PathBuf::from("/dev/gpiochip0");
        let lines = [4_u32, 5, 17, 60].map(|line| (chip.clone(), line, format!("input i{line}")));
        let look = |_: &Path, line: u32| match line {
            4 => Ok(LineState::Held("w1".to_owned())),
            5 => Ok(LineState::Held("doorline-guard".to_owned())),
            17 => Ok(LineState::Free),
            _ => Ok(LineState::Missing(54)),
        };
        let said: Vec<String> = held(&lines, look).into_iter().map(|found| found.text).collect();
        assert_eq!(
            said,
            [
                "line 4 of /dev/gpiochip0 (input i4) is held by \"w1\"",
                "line 60 of /dev/gpiochip0 (input i60): the chip has 54 lines, from 0",
            ]
        );
        let nobody = |_: &Path, _: u32| Err(io::Error::from(io::ErrorKind::NotFound));
        assert!(held(&lines, nobody).is_empty());
    }
}
