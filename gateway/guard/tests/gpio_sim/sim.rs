//! The disguise that makes rppal take a simulated chip for a Raspberry Pi's.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

/// The register file that rppal maps instead of a Raspberry Pi's.
pub(crate) struct Registers(PathBuf);

/// Set (`GPSET0`) and clear (`GPCLR0`) registers: BCM2835 ARM Peripherals, table 6-1.
const GPSET0: u64 = 0x1c;
const GPCLR0: u64 = 0x28;
/// Levels (`GPLEV0`): what rppal reads; a page of memory does not follow the simulated chip.
const GPLEV0: u64 = 0x34;

impl Registers {
    /// Dresses the machine as a Raspberry Pi 3: a device tree of its model, and an empty page of registers.
    pub(crate) fn disguise() -> Self {
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "firmware", "/sys/firmware"])
            .status();
        assert!(done.expect("mount runs").success());
        fs::create_dir_all("/sys/firmware/devicetree/base").expect("made");
        let model = b"raspberrypi,3-model-b\0brcm,bcm2837\0";
        fs::write("/sys/firmware/devicetree/base/compatible", model).expect("written");
        let page = PathBuf::from("/dev/gpiomem");
        fs::write(&page, [0; 4096]).expect("written");
        Self(page)
    }

    /// The page of an earlier [`disguise`](Self::disguise).
    pub(crate) fn at_hand() -> Self {
        let page = PathBuf::from("/dev/gpiomem");
        assert!(page.is_file(), "the disguise comes first");
        Self(page)
    }

    fn write(&self, at: u64, word: u32) {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(&self.0)
            .expect("the page");
        file.write_all_at(&word.to_le_bytes(), at).expect("written");
    }

    /// Makes a pin read high.
    pub(crate) fn raise(&self, pin: u32) {
        self.write(GPLEV0, 1 << pin);
    }

    fn word(&self, at: u64) -> u32 {
        let page = fs::read(&self.0).expect("the page");
        let at = usize::try_from(at).expect("small");
        u32::from_le_bytes(page[at..at + 4].try_into().expect("four bytes"))
    }

    /// Forgets what was written, so that the next write shows.
    pub(crate) fn forget(&self) {
        self.write(GPSET0, 0);
        self.write(GPCLR0, 0);
    }

    /// Was the pin set high since the last [`forget`](Self::forget)?
    pub(crate) fn was_set(&self, pin: u32) -> bool {
        self.word(GPSET0) & (1 << pin) != 0
    }

    /// Was the pin set low since then?
    pub(crate) fn was_cleared(&self, pin: u32) -> bool {
        self.word(GPCLR0) & (1 << pin) != 0
    }
}
