//! The rppal back end.
//!
//! Inputs are polled by one thread of ours. rppal's own callbacks have a thread each that asks the kernel for
//! its line some time after the call has returned: an edge before that is lost without a gap in the sequence
//! numbers, and a line that another program holds is an error that nobody sees.

use std::collections::BTreeMap;
use std::time::Duration;

use adapter_api::{AdapterContext, AdapterError, Alarm, DriverError};
use gateway_core::{Instant, SignalKind};
use rppal::gpio::{Gpio, InputPin, OutputPin, Trigger};
use tokio::sync::mpsc;

use crate::config::{Bias, InputLine, OutputLine};
use crate::decode::{Levels, RawEdge};
use crate::report::report;
use crate::time;

/// Edges that wait for us; the kernel keeps some more.
const EDGES: usize = 1024;
/// How often the thread looks whether it is still wanted.
const TURN: Duration = Duration::from_millis(200);
const DEVICE: &str = "rppal";

enum FromThread {
    Edge(RawEdge),
    Failed(String),
    First {
        active: bool,
        at: Instant,
        line: usize,
    },
    /// Every line was read once.
    Ready,
}

fn failed(text: String) -> AdapterError {
    AdapterError::Device {
        device: DEVICE.into(),
        text,
        source: None,
    }
}

fn open_input(gpio: &Gpio, line: &InputLine) -> Result<InputPin, String> {
    let number = u8::try_from(line.line).map_err(|_| format!("line {} is no BCM pin number", line.line))?;
    let pin = gpio
        .get(number)
        .map_err(|error| format!("line {number} cannot be used: {error}"))?;
    let mut pin = match line.bias {
        Bias::AsIs => {
            return Err(format!(
                "line {number}: rppal has no bias \"as-is\"; choose pull-up, pull-down or disabled"
            ));
        }
        Bias::Disabled => pin.into_input(),
        Bias::PullDown => pin.into_input_pulldown(),
        Bias::PullUp => pin.into_input_pullup(),
    };
    pin.set_interrupt(Trigger::Both, line.kernel_debounce())
        .map_err(|error| format!("line {number} cannot be watched, is another program using it? {error}"))?;
    Ok(pin)
}

/// Body of the thread. Ends when nobody listens.
fn watch(lines: &[InputLine], to: &mpsc::Sender<FromThread>) -> Result<(), String> {
    let gpio = Gpio::new().map_err(|error| format!("no Raspberry Pi pins: {error}"))?;
    let pins = lines
        .iter()
        .map(|line| open_input(&gpio, line))
        .collect::<Result<Vec<_>, _>>()?;
    for (line, pin) in pins.iter().enumerate() {
        let active = pin.is_high() != lines[line].active_low;
        let first = FromThread::First {
            active,
            at: time::now(),
            line,
        };
        if to.blocking_send(first).is_err() {
            return Ok(());
        }
    }
    let _ = to.blocking_send(FromThread::Ready);
    let by_pin: BTreeMap<u8, &InputLine> = pins.iter().map(InputPin::pin).zip(lines).collect();
    let pins: Vec<&InputPin> = pins.iter().collect();
    while !to.is_closed() {
        let polled = gpio.poll_interrupts(&pins, false, Some(TURN));
        let Some((pin, event)) = polled.map_err(|error| format!("edges cannot be read: {error}"))? else {
            continue;
        };
        let Some(line) = by_pin.get(&pin.pin()) else {
            continue;
        };
        let ns = u64::try_from(event.timestamp.as_nanos()).unwrap_or(u64::MAX);
        let edge = RawEdge {
            active: (event.trigger == Trigger::RisingEdge) != line.active_low,
            at: time::on_boottime(ns, time::slept()),
            line: line.line,
            seqno: event.seqno,
        };
        // A full channel makes the kernel's queue fill; what that drops shows in the sequence numbers.
        if to.blocking_send(FromThread::Edge(edge)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Runs inputs until the gateway is gone or a pin fails.
pub(crate) async fn run_inputs(lines: &[InputLine], ctx: &mut AdapterContext) -> Result<(), AdapterError> {
    let (to, mut from) = mpsc::channel(EDGES);
    let watched = lines.to_vec();
    let thread = std::thread::Builder::new().name("gpio-rppal".into());
    let body = move || {
        if let Err(text) = watch(&watched, &to) {
            let _ = to.blocking_send(FromThread::Failed(text));
        }
    };
    thread
        .spawn(body)
        .map_err(|error| failed(format!("no thread for the pins: {error}")))?;
    let mut levels = Levels::default();
    let alarm = Alarm::new().map_err(|error| failed(format!("no timer: {error}")))?;
    loop {
        // The thread's queue before the timer: a line is calm only if nothing of it waits here.
        let next = tokio::select! {
            biased;
            next = from.recv() => next,
            () = alarm.at(levels.poll_timeout()) => {
                for decoded in levels.handle_timeout(time::now()) {
                    report(ctx, decoded).await?;
                }
                continue;
            }
        };
        match next {
            Some(FromThread::First { active, at, line }) => {
                let line = &lines[line];
                report(ctx, levels.initial(line, active, at)).await?;
            }
            Some(FromThread::Ready) => ctx.signal(time::now(), SignalKind::Ready).await?,
            Some(FromThread::Edge(raw)) => {
                for decoded in levels.edge(raw) {
                    report(ctx, decoded).await?;
                }
            }
            Some(FromThread::Failed(text)) => return Err(failed(text)),
            None => return Err(failed("the thread of the pins ended".into())),
        }
    }
}

/// Output pins. Dropped pins go back to inputs.
pub(crate) struct RpiOutputs(BTreeMap<u16, (OutputPin, bool)>);

impl RpiOutputs {
    /// Opens the pins at rest: the level is written before the direction.
    pub(crate) fn open(lines: &[OutputLine]) -> Result<Self, DriverError> {
        let error = |text| DriverError {
            device: DEVICE.into(),
            text,
            source: None,
        };
        let gpio = Gpio::new().map_err(|e| error(format!("no Raspberry Pi pins: {e}")))?;
        tracing::warn!(
            "outputs through rppal keep their level when the guard is killed, until they are written again"
        );
        let mut pins = BTreeMap::new();
        for line in lines {
            let number = u8::try_from(line.line)
                .map_err(|_| error(format!("line {} is no BCM pin number", line.line)))?;
            let pin = gpio
                .get(number)
                .map_err(|e| error(format!("line {number} cannot be used: {e}")))?;
            let pin = if line.active_low {
                pin.into_output_high()
            } else {
                pin.into_output_low()
            };
            pins.insert(line.line, (pin, line.active_low));
        }
        Ok(Self(pins))
    }

    /// `None` if the line was not opened.
    pub(crate) fn set(&mut self, line: u16, energised: bool) -> Option<()> {
        let (pin, active_low) = self.0.get_mut(&line)?;
        if energised == *active_low {
            pin.set_low();
        } else {
            pin.set_high();
        }
        Some(())
    }

    /// What the register says.
    pub(crate) fn read(&self, line: u16) -> Option<bool> {
        let (pin, active_low) = self.0.get(&line)?;
        Some(pin.is_set_high() != *active_low)
    }
}
