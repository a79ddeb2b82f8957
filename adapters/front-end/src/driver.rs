//! The gateway's adapter of a front end's line port.

use std::path::PathBuf;
use std::time::Duration;

use adapter_api::{Adapter, AdapterContext, AdapterError, Alarm, Claim};
use gateway_core::{LineSignal, SignalKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_serial::SerialStream;

use crate::doors::open;
use crate::line_port::{FrontEndLine, LinePort, Output};

/// A port that is not there is looked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest time for bytes to be taken by the port.
const WRITE: Duration = Duration::from_secs(1);

/// A front end with its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontEnd {
    /// Bits per second.
    pub baud: u32,
    /// Its lines.
    pub lines: Vec<FrontEndLine>,
    /// Device of its line port.
    pub port: PathBuf,
}

impl FrontEnd {
    /// What it needs for itself.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        vec![Claim::Channel {
            board: self.port.display().to_string(),
            channel: 0,
        }]
    }

    async fn work(&self, ctx: &mut AdapterContext) -> Result<(), AdapterError> {
        let alarm = Alarm::new().map_err(|error| AdapterError::Device {
            device: self.port.display().to_string(),
            text: "no timer".to_owned(),
            source: Some(error),
        })?;
        loop {
            let text = match open(&self.port, self.baud) {
                Ok(port) => self.serve(ctx, port, &alarm).await?,
                Err(text) => text,
            };
            self.gone(ctx, text).await?;
            // what the core wants meanwhile is not kept: its lines are faulty
            let until = ctx.clock.now() + AGAIN;
            loop {
                tokio::select! {
                    () = alarm.at(Some(until)) => break,
                    command = ctx.lines.recv() => if command.is_none() {
                        alarm.at(Some(until)).await;
                        break;
                    },
                }
            }
        }
    }

    /// Serves until the port is gone; gives what was found.
    async fn serve(
        &self,
        ctx: &mut AdapterContext,
        mut port: SerialStream,
        alarm: &Alarm,
    ) -> Result<String, AdapterError> {
        let mut machine = LinePort::new(ctx.clock.now(), &self.lines);
        let mut buffer = [0; 1024];
        let mut commands = true;
        loop {
            while let Some(output) = machine.poll_output() {
                if let Output::Send(bytes) = output {
                    match tokio::time::timeout(WRITE, port.write_all(&bytes)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => return Ok(self.unplugged(&error.to_string())),
                        Err(_) => return Ok(self.unplugged("it takes no bytes")),
                    }
                } else {
                    self.told(ctx, output).await?;
                }
            }
            tokio::select! {
                read = port.read(&mut buffer) => match read {
                    Ok(0) => return Ok(self.unplugged("end of file")),
                    Ok(count) => machine.handle_bytes(ctx.clock.now(), &buffer[..count]),
                    Err(error) => return Ok(self.unplugged(&error.to_string())),
                },
                command = ctx.lines.recv(), if commands => match command {
                    Some((line, command)) => machine.command(ctx.clock.now(), &line, command),
                    None => commands = false,
                },
                () = alarm.at(Some(machine.poll_timeout())) => machine.handle_timeout(ctx.clock.now()),
            }
        }
    }

    async fn told(&self, ctx: &AdapterContext, output: Output) -> Result<(), AdapterError> {
        let now = ctx.clock.now();
        match output {
            Output::Fault(text) => ctx.signal(now, SignalKind::Fault(text)).await,
            Output::Missed(count) => {
                tracing::warn!(device = %ctx.device, count, "edges of a front end were lost");
                Ok(())
            }
            Output::Ready(who) => {
                tracing::info!(device = %ctx.device, name = who.name, version = who.version, "a front end is online");
                ctx.signal(now, SignalKind::Ready).await
            }
            Output::Refused(why) => {
                tracing::warn!(device = %ctx.device, why, "a front end did not do as told");
                Ok(())
            }
            Output::Send(_) => Ok(()),
            Output::Signal { at, line, signal } => {
                // the clocks are set by what is on its way, and so a little apart
                ctx.signal(at.min(now), SignalKind::Line { line, signal }).await
            }
        }
    }

    async fn gone(&self, ctx: &AdapterContext, text: String) -> Result<(), AdapterError> {
        let now = ctx.clock.now();
        for line in &self.lines {
            let (line, signal) = (line.line.clone(), LineSignal::Fault);
            ctx.signal(now, SignalKind::Line { line, signal }).await?;
        }
        ctx.signal(now, SignalKind::Fault(text)).await
    }

    fn unplugged(&self, what: &str) -> String {
        format!(
            "{} is gone ({what}): the front end was unplugged; plug it in, its lines come back by themselves",
            self.port.display()
        )
    }
}

impl Adapter for FrontEnd {
    async fn run(self, mut ctx: AdapterContext) -> Result<(), AdapterError> {
        let mut shutdown = ctx.shutdown.clone();
        tokio::select! {
            done = self.work(&mut ctx) => done,
            () = shutdown.fired() => Ok(()),
        }
    }
}
