//! Wires towards a reader: LED, second LED, beeper, hold.
//!
//! They are plain outputs of this process. None of them is ever a line that opens something: such lines are refused
//! here by the device that they are on, not by the name it has in the site file.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use adapter_wiegand::Wires;
use gpiocdev::Request;
use gpiocdev::line::Value;

/// A line that opens something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Device path of its chip; `None` for a back end that reaches the pins without one: then no chip may have it.
    pub chip: Option<PathBuf>,
    /// Offset.
    pub line: u32,
}

/// A pin that drives one wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderPin {
    /// A low level switches it on.
    pub active_low: bool,
    /// Device path.
    pub chip: PathBuf,
    /// Offset.
    pub line: u32,
}

/// The wires that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReaderWires {
    /// Beeper.
    pub beeper: Option<ReaderPin>,
    /// Hold.
    pub hold: Option<ReaderPin>,
    /// First LED.
    pub led: Option<ReaderPin>,
    /// Second LED.
    pub second_led: Option<ReaderPin>,
}

impl ReaderWires {
    /// The pins that are there.
    #[must_use]
    pub fn pins(&self) -> Vec<&ReaderPin> {
        let all = [&self.led, &self.second_led, &self.beeper, &self.hold];
        all.into_iter().flatten().collect()
    }
}

/// The device behind a path.
fn device(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|meta| meta.rdev())
}

/// Is this line one that opens something?
pub(super) fn opens(chip: &Path, line: u32, opening: &[Opening]) -> bool {
    let same = |other: &PathBuf| other == chip || (device(other).is_some() && device(other) == device(chip));
    opening
        .iter()
        .any(|other| other.line == line && other.chip.as_ref().is_none_or(same))
}

/// A wire that is driven.
struct Driven {
    line: u32,
    of: fn(&Wires) -> bool,
    request: Request,
}

/// The wires that are driven. Dropped, they are off.
#[derive(Default)]
pub(super) struct Lit {
    driven: Vec<Driven>,
    shown: Wires,
}

impl Lit {
    /// Requests the wires, off.
    pub(super) fn open(wires: &ReaderWires, opening: &[Opening]) -> Result<Self, String> {
        type Row<'a> = (&'static str, &'a Option<ReaderPin>, fn(&Wires) -> bool);
        let all: [Row<'_>; 4] = [
            ("led", &wires.led, |w| w.led),
            ("second-led", &wires.second_led, |w| w.second_led),
            ("beeper", &wires.beeper, |w| w.beeper),
            ("hold", &wires.hold, |w| w.hold),
        ];
        let mut lit = Self::default();
        for (name, pin, of) in all {
            let Some(pin) = pin else { continue };
            if opens(&pin.chip, pin.line, opening) {
                let chip = pin.chip.display();
                return Err(format!(
                    "{name} is line {} of {chip}, which is an output that opens: it is not touched",
                    pin.line
                ));
            }
            let mut builder = Request::builder();
            builder
                .on_chip(&pin.chip)
                .with_consumer("doorline-reader")
                .with_line(pin.line);
            if pin.active_low {
                builder.as_active_low();
            }
            builder.as_output(Value::Inactive);
            let request = builder.request().map_err(|error| {
                format!(
                    "{name}, line {} of {}, cannot be requested: {error}",
                    pin.line,
                    pin.chip.display()
                )
            })?;
            lit.driven.push(Driven {
                line: pin.line,
                of,
                request,
            });
        }
        Ok(lit)
    }

    /// Switches what has changed.
    pub(super) fn show(&mut self, wires: Wires) -> Result<(), String> {
        for driven in &self.driven {
            let on = (driven.of)(&wires);
            if on != (driven.of)(&self.shown) {
                let value = if on { Value::Active } else { Value::Inactive };
                let set = driven.request.set_value(driven.line, value);
                set.map_err(|error| format!("line {} cannot be set: {error}", driven.line))?;
            }
        }
        self.shown = wires;
        Ok(())
    }
}

impl Drop for Lit {
    fn drop(&mut self) {
        if let Err(error) = self.show(Wires::default()) {
            tracing::warn!(%error, "a wire of a reader stays as it is");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(chip: &str, line: u32) -> ReaderPin {
        ReaderPin {
            active_low: true,
            chip: chip.into(),
            line,
        }
    }

    #[test]
    fn a_line_that_opens_is_refused_whatever_its_chip_is_called() {
        let dir = tempfile::tempdir().expect("a folder");
        // any two devices will do
        let link = dir.path().join("chip-of-another-name");
        std::os::unix::fs::symlink("/dev/null", &link).expect("made");
        let link = link.to_str().expect("UTF-8");
        let opening = [Opening {
            chip: Some("/dev/null".into()),
            line: 17,
        }];
        for (chip, line, expected) in [
            ("/dev/null", 17, true),
            (link, 17, true),
            (link, 18, false),
            ("/dev/zero", 17, false),
            ("/dev/not-there", 17, false),
        ] {
            assert_eq!(opens(Path::new(chip), line, &opening), expected, "{chip} {line}");
            let wires = ReaderWires {
                led: Some(pin(chip, line)),
                ..ReaderWires::default()
            };
            let error = Lit::open(&wires, &opening)
                .err()
                .expect("none of these is a chip");
            assert_eq!(error.contains("an output that opens"), expected, "{error}");
        }
        let anywhere = [Opening { chip: None, line: 17 }];
        assert!(opens(Path::new("/dev/zero"), 17, &anywhere));
    }
}
