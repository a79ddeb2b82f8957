//! Inputs of modules as an adapter: asks, and tells what became known.

use std::path::PathBuf;

use adapter_api::{Adapter, AdapterContext, AdapterError, Alarm, Shutdown};
use gateway_core::{DeviceId, InputId, Instant, Signal, SignalKind};

use crate::bus::{Bus, BusParams};
use crate::guarded::{Asker, read};
use crate::reading::{Answer, Ask, Heard, ModbusInput, Readings};

/// Who has the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The relay guard, whose outputs are on it, too; this is where it reads for us.
    Guard(PathBuf),
    /// Nobody else.
    Own(BusParams),
}

/// All inputs of one line or connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModbusInputs {
    /// The inputs.
    pub inputs: Vec<ModbusInput>,
    /// Who has the line.
    pub source: Source,
}

enum Line {
    Guard(Asker),
    Own(Bus),
}

impl Line {
    fn new(source: &Source) -> Self {
        match source {
            Source::Guard(path) => Self::Guard(Asker::new(path)),
            Source::Own(params) => Self::Own(Bus::new(params.clone())),
        }
    }

    async fn ask(&mut self, ask: Ask) -> Answer {
        match self {
            Self::Guard(asker) => asker.ask(ask).await,
            Self::Own(bus) => read(bus, ask).await,
        }
    }
}

impl ModbusInputs {
    /// Under which name a module's faults are told: each its own.
    #[must_use]
    pub fn device_of(&self, unit: u8) -> Option<DeviceId> {
        let mut inputs = self.inputs.iter().filter(|of| of.unit == unit);
        module_name(&inputs.next()?.input)
    }
}

/// Name of the module of an input that is the first of it.
fn module_name(input: &InputId) -> Option<DeviceId> {
    let name = format!("modbus-{input}");
    DeviceId::new(&name)
        .or_else(|_| DeviceId::new(input.as_str()))
        .ok()
}

impl Adapter for ModbusInputs {
    async fn run(self, ctx: AdapterContext) -> Result<(), AdapterError> {
        let alarm = Alarm::new().map_err(|source| AdapterError::Device {
            device: ctx.device.to_string(),
            text: "there is no timer".to_owned(),
            source: Some(source),
        })?;
        let mut run = Run {
            alarm,
            line: Line::new(&self.source),
            readings: Readings::new(ctx.clock.now(), &self.inputs),
            of: self,
        };
        let mut shutdown = ctx.shutdown.clone();
        while !shutdown.is_fired() {
            run.turn(&ctx, &mut shutdown).await?;
        }
        run.readings.end();
        run.tell(&ctx).await
    }
}

struct Run {
    alarm: Alarm,
    line: Line,
    of: ModbusInputs,
    readings: Readings,
}

impl Run {
    /// One question with its answer, or the wait for the next one.
    async fn turn(&mut self, ctx: &AdapterContext, shutdown: &mut Shutdown) -> Result<(), AdapterError> {
        let now = ctx.clock.now();
        self.readings.handle_timeout(now);
        self.tell(ctx).await?;
        let Some((number, ask)) = self.readings.next(now) else {
            let due = [self.readings.poll_next(), self.readings.poll_timeout()];
            tokio::select! {
                biased;
                () = shutdown.fired() => {}
                () = self.alarm.at(due.into_iter().flatten().min()) => {}
            }
            return Ok(());
        };
        let asked = now;
        let answer = {
            let Self {
                alarm,
                line,
                of,
                readings,
            } = self;
            let mut question = std::pin::pin!(line.ask(ask));
            loop {
                tokio::select! {
                    biased;
                    () = shutdown.fired() => return Ok(()),
                    answer = &mut question => break answer,
                    // nobody waits for one module to learn that nothing is known of another
                    () = alarm.at(readings.poll_timeout()) => {
                        readings.handle_timeout(ctx.clock.now());
                        tell(readings, of, ctx).await?;
                    }
                }
            }
        };
        self.readings.answered(asked, ctx.clock.now(), number, answer);
        self.tell(ctx).await
    }

    async fn tell(&mut self, ctx: &AdapterContext) -> Result<(), AdapterError> {
        tell(&mut self.readings, &self.of, ctx).await
    }
}

async fn tell(readings: &mut Readings, of: &ModbusInputs, ctx: &AdapterContext) -> Result<(), AdapterError> {
    while let Some(heard) = readings.poll() {
        let signal = signal(of, heard, ctx);
        ctx.signals.send(signal).await.map_err(|_| AdapterError::Closed)?;
    }
    Ok(())
}

fn signal(of: &ModbusInputs, heard: Heard, ctx: &AdapterContext) -> Signal {
    let now: Instant = ctx.clock.now();
    let own = || ctx.device.clone();
    let (device, at, kind) = match heard {
        Heard::Edge { at, edge, input } => (own(), at, SignalKind::Input { edge, input }),
        Heard::Trouble { text, unit } => {
            let kind = text.map_or(SignalKind::Ready, SignalKind::Fault);
            (of.device_of(unit).unwrap_or_else(own), now, kind)
        }
        Heard::Unread(input) => (own(), now, SignalKind::Unread(input)),
    };
    Signal {
        at,
        device,
        simulated: ctx.simulated,
        kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_of_an_input_is_that_of_a_module() {
        let longest: InputId = "x".repeat(40).parse().expect("a name");
        assert!(module_name(&longest).is_some());
    }
}
