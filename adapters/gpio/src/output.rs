//! The output driver for the relay guard.

use std::path::{Path, PathBuf};

use adapter_api::{BoxFuture, Claim, DriverError, OutputDriver};
use gpiocdev::line::Value;
use gpiocdev::{Chip, Request};

use crate::config::{Backend, OutputLine};
use crate::rpi::RpiOutputs;

enum Held {
    Cdev(Request),
    Rpi(RpiOutputs),
}

/// The outputs of one chip. Channels are line offsets.
pub struct GpioOutputs {
    backend: Backend,
    chip: PathBuf,
    held: Option<Held>,
    lines: Vec<OutputLine>,
}

impl GpioOutputs {
    /// Nothing is opened before [`OutputDriver::claim`].
    #[must_use]
    pub const fn new(backend: Backend, chip: PathBuf, lines: Vec<OutputLine>) -> Self {
        Self {
            backend,
            chip,
            held: None,
            lines,
        }
    }

    /// The lines that it needs for itself.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        let chip = self.chip.display().to_string();
        let claim = |l: &OutputLine| Claim::GpioLine {
            chip: chip.clone(),
            line: l.line.into(),
        };
        self.lines.iter().map(claim).collect()
    }

    fn failed(&self, text: String) -> DriverError {
        DriverError {
            device: self.device(),
            text,
            source: None,
        }
    }

    fn open(&mut self, channels: &[u16]) -> Result<(), DriverError> {
        // The old handle first: the kernel gives a line once.
        self.held = None;
        let wanted = |channel: &u16| {
            let line = self.lines.iter().find(|l| l.line == *channel).copied();
            line.ok_or_else(|| self.failed(format!("line {channel} is not configured")))
        };
        let lines = channels.iter().map(wanted).collect::<Result<Vec<_>, _>>()?;
        self.held = Some(match self.backend {
            Backend::Gpiocdev => Held::Cdev(self.request(&lines)?),
            Backend::Rppal => Held::Rpi(RpiOutputs::open(&lines)?),
        });
        Ok(())
    }

    /// Requests the lines as outputs at rest, in one step.
    fn request(&self, lines: &[OutputLine]) -> Result<Request, DriverError> {
        let mut builder = Request::builder();
        builder.on_chip(&self.chip).with_consumer("doorline-guard");
        for line in lines {
            builder.with_line(line.line.into());
            if line.active_low {
                builder.as_active_low();
            }
            builder.as_output(Value::Inactive);
        }
        builder.request().map_err(|error| {
            let holders = lines.iter().filter_map(|l| holder(&self.chip, l.line));
            let holders = holders.collect::<Vec<_>>().join(", ");
            let held = if holders.is_empty() {
                String::new()
            } else {
                format!(" ({holders})")
            };
            self.failed(format!("the output lines cannot be requested: {error}{held}"))
        })
    }

    fn write(&mut self, channel: u16, energised: bool) -> Result<(), DriverError> {
        let done = match &mut self.held {
            None => return Err(self.failed("it was not claimed".into())),
            Some(Held::Cdev(request)) => {
                let value = if energised { Value::Active } else { Value::Inactive };
                request.set_value(channel.into(), value).map(Some)
            }
            Some(Held::Rpi(pins)) => Ok(pins.set(channel, energised)),
        };
        match done {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(self.failed(format!("line {channel} was not claimed"))),
            Err(error) => Err(self.failed(format!("line {channel} cannot be set: {error}"))),
        }
    }

    fn read(&self, channel: u16) -> Result<Option<bool>, DriverError> {
        match &self.held {
            None => Err(self.failed("it was not claimed".into())),
            Some(Held::Cdev(request)) => match request.value(channel.into()) {
                Ok(value) => Ok(Some(value == Value::Active)),
                Err(error) => Err(self.failed(format!("line {channel} cannot be read: {error}"))),
            },
            Some(Held::Rpi(pins)) => Ok(pins.read(channel)),
        }
    }
}

/// Who has a line, in words.
fn holder(chip: &Path, line: u16) -> Option<String> {
    let info = Chip::from_path(chip).ok()?.line_info(line.into()).ok()?;
    info.used
        .then(|| format!("line {line} is held by {:?}", info.consumer))
}

impl OutputDriver for GpioOutputs {
    fn claim<'a>(&'a mut self, channels: &'a [u16]) -> BoxFuture<'a, Result<(), DriverError>> {
        Box::pin(async move { self.open(channels) })
    }

    fn device(&self) -> String {
        match self.backend {
            Backend::Gpiocdev => self.chip.display().to_string(),
            Backend::Rppal => "rppal".to_owned(),
        }
    }

    fn read_back(&mut self, channel: u16) -> BoxFuture<'_, Result<Option<bool>, DriverError>> {
        Box::pin(async move { self.read(channel) })
    }

    fn set(&mut self, channel: u16, energised: bool) -> BoxFuture<'_, Result<(), DriverError>> {
        Box::pin(async move { self.write(channel, energised) })
    }
}

/// Does this kernel keep an output's level after its process gave it back? Raspberry Pi kernels do, unless
/// `strict_gpiod` is set; `None` on other boards. The sentinel writes such lines to rest itself, so this is for
/// `doctor` to tell.
#[must_use]
pub fn persists_outputs() -> Option<bool> {
    let text = std::fs::read_to_string("/sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs").ok()?;
    Some(matches!(text.trim(), "Y" | "1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_that_is_not_there_is_an_error_that_names_it() {
        let line = OutputLine {
            active_low: false,
            line: 17,
        };
        let mut outputs = GpioOutputs::new(Backend::Gpiocdev, "/dev/no-such-chip".into(), vec![line]);
        let error = outputs.open(&[17]).expect_err("there is no such chip");
        assert!(error.to_string().starts_with("/dev/no-such-chip: "), "{error}");
        assert!(
            outputs.write(17, true).is_err(),
            "nothing is written without a claim"
        );
        assert!(
            outputs
                .open(&[18])
                .expect_err("another line")
                .text
                .contains("not configured")
        );
    }
}
