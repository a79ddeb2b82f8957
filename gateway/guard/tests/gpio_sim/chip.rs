//! Chips of the kernel's gpio-sim (Documentation/admin-guide/gpio/gpio-sim.rst).

use std::fs;
use std::path::{Path, PathBuf};

const CONFIG: &str = "/sys/kernel/config/gpio-sim";

/// Can chips be made here?
pub(crate) fn is_there() -> bool {
    Path::new(CONFIG).is_dir()
}

/// What a run says that makes none, in the words of other test programs: nothing passed.
pub(crate) fn ignored(cases: usize, runner: &str) -> String {
    format!(
        "no gpio-sim here; {runner} runs these tests in a virtual machine\n\
         test result: ok. 0 passed; 0 failed; {cases} ignored"
    )
}

/// A live chip.
pub(crate) struct Chip {
    /// Its device node.
    pub(crate) node: PathBuf,
    lines: PathBuf,
}

impl Chip {
    /// Makes a chip; it lives as long as the machine.
    pub(crate) fn new(name: &str, label: &str, lines: u32) -> Self {
        let device = Path::new(CONFIG).join(name);
        let bank = device.join("bank0");
        fs::create_dir_all(&bank).expect("made");
        fs::write(bank.join("num_lines"), lines.to_string()).expect("set");
        fs::write(bank.join("label"), label).expect("set");
        fs::write(device.join("live"), "1").expect("live");
        let chip = fs::read_to_string(bank.join("chip_name")).expect("a name");
        let platform = fs::read_to_string(device.join("dev_name")).expect("a name");
        let lines = Path::new("/sys/devices/platform")
            .join(platform.trim())
            .join(chip.trim());
        Self {
            node: Path::new("/dev").join(chip.trim()),
            lines,
        }
    }

    fn file(&self, line: u32, name: &str) -> PathBuf {
        self.lines.join(format!("sim_gpio{line}")).join(name)
    }

    /// Drives an input.
    pub(crate) fn pull(&self, line: u32, up: bool) {
        let word = if up { "pull-up" } else { "pull-down" };
        fs::write(self.pull_file(line), word).expect("pulled");
    }

    /// Where an input is driven: `pull-up` or `pull-down`.
    pub(crate) fn pull_file(&self, line: u32) -> PathBuf {
        self.file(line, "pull")
    }

    /// Where the level of an output shows.
    pub(crate) fn shown(&self, line: u32) -> PathBuf {
        self.file(line, "value")
    }
}
