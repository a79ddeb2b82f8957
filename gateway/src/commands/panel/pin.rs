//! Records the edges of a pin of a GPIO chip, with the kernel's own times.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use adapter_api::{Adapter as _, AdapterContext, Shutdown};
use adapter_gpio::{Backend, Bias, GpioInputs, InputLine};
use anyhow::{Context, bail};
use gateway_core::{Instant, SignalKind};
use gateway_panel::{Edge, MAX_EDGES};
use tokio::sync::mpsc;
use tokio::time::{Instant as Turn, interval_at, sleep_until};

use crate::clock::SystemClock;

/// Edges that wait to be taken.
const WAITING: usize = 4096;

/// `CHIP:LINE`, for example `/dev/gpiochip0:17`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pin {
    chip: PathBuf,
    line: u32,
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once(':');
        let pin = parts.and_then(|(chip, line)| {
            Some(Self {
                chip: Some(chip).filter(|chip| !chip.is_empty())?.into(),
                line: line.parse().ok()?,
            })
        });
        pin.ok_or_else(|| "wanted is CHIP:LINE, for example /dev/gpiochip0:17".to_owned())
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of {}", self.line, self.chip.display())
    }
}

/// The first level and the edges of a pin, for a time or until `stop`; `tell` hears each second how many there are.
///
/// # Errors
/// If the pin cannot be read, or edges were lost.
pub(super) async fn record(
    pin: &Pin,
    time: Duration,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(usize),
) -> anyhow::Result<Vec<Edge>> {
    let inputs = GpioInputs {
        backend: Backend::Gpiocdev,
        chip: pin.chip.clone(),
        lines: vec![InputLine {
            active_low: false,
            bias: Bias::AsIs,
            debounce: Duration::ZERO,
            input: "learn".parse()?,
            line: pin.line,
            pulsed: false,
        }],
    };
    let (_stop, shutdown) = Shutdown::new();
    let (signals, mut said) = mpsc::channel(WAITING);
    let context = AdapterContext {
        audio: mpsc::channel(1).0,
        clock: Arc::new(SystemClock),
        device: "learn".parse()?,
        lines: mpsc::channel(1).1,
        shutdown,
        signals,
        simulated: false,
    };
    let second = Duration::from_secs(1);
    let mut seconds = interval_at(Turn::now() + second, second);
    let mut reading = std::pin::pin!(inputs.run(context));
    let over = sleep_until(Turn::now() + time);
    let mut over = std::pin::pin!(over);
    let mut stop = std::pin::pin!(stop);
    let mut edges = Vec::new();
    let mut begin = None;
    while edges.len() < MAX_EDGES {
        tokio::select! {
            done = &mut reading => {
                done?;
                bail!("{pin} is not read any more");
            }
            signal = said.recv() => {
                let signal = signal.context("nobody reads the pin")?;
                match signal.kind {
                    SignalKind::Input { edge, .. } => {
                        let from: Instant = *begin.get_or_insert(signal.at);
                        let at_us = u64::try_from(signal.at.since(from).as_micros())?;
                        edges.push(Edge { at_us, level: edge.active });
                    }
                    SignalKind::Fault(_) => bail!(
                        "edges of {pin} come faster than the kernel can be asked for them: the recording would show what was not; a front \
                         end can time such a line"
                    ),
                    SignalKind::Card { .. }
                    | SignalKind::Controller { .. }
                    | SignalKind::Key { .. }
                    | SignalKind::Line { .. }
                    | SignalKind::Misread { .. }
                    | SignalKind::Network(_)
                    | SignalKind::Port(_)
                    | SignalKind::Raw { .. }
                    | SignalKind::Ready
                    | SignalKind::Unread(_) => {}
                }
            }
            _ = seconds.tick() => tell(edges.len()),
            () = &mut over => break,
            () = &mut stop => break,
        }
    }
    Ok(edges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_a_chip_and_a_line() {
        let pin: Pin = "/dev/gpiochip0:17".parse().expect("a pin");
        assert_eq!(pin.to_string(), "line 17 of /dev/gpiochip0");
        for bad in ["", "17", ":17", "/dev/gpiochip0:", "/dev/gpiochip0:x"] {
            assert!(bad.parse::<Pin>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_pin_that_is_not_there_is_said() {
        let pin = "/dev/no-such-chip:1".parse().expect("a pin");
        let error = record(&pin, Duration::from_secs(1), std::future::pending(), |_| {}).await;
        let error = format!("{:#}", error.expect_err("there is none"));
        assert!(error.contains("/dev/no-such-chip"), "{error}");
    }
}
