//! Processor time of calls, and how long sound takes from mouth to ear.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use adapter_api::{AudioPort, Frame, SAMPLE_RATE};
use anyhow::{Context, ensure};
use gateway_core::{Cause, LegCommand, LegEvent, LegId, LineId};
use gateway_sip_io::Srtp;
use serde_json::{Value, json};

use crate::bench::report::{Budget, Figure, Samples};
use crate::bench::sip_role::{WARM, answer_all, engine, leg_event, offer, port};
use crate::bench::{Work, boottime, progress};

/// Calls that one pair of processes makes one after the other: ended transactions stay for 32 s (RFC 6026 timers L and
/// M), and an engine keeps 512 of each side at most.
const BATCH: u32 = 200;
/// SRTP calls at one time.
const CALLS: u64 = 20;
/// The same where the voice of each line is treated.
const TREATED: u64 = 10;

/// Measures.
pub(crate) fn measure(work: &Work) -> anyhow::Result<Vec<Figure>> {
    let mut figures = setup(if work.full { 25 } else { 5 })?;
    figures.push(talk(60, false)?);
    figures.push(talk(60, true)?);
    figures.push(mouth_to_ear(if work.full { 20 } else { 6 })?);
    Ok(figures)
}

/// A process of `sip_role`.
struct Role {
    answers: BufReader<ChildStdout>,
    process: std::process::Child,
    stdin: Option<ChildStdin>,
}

impl Role {
    fn start(role: &Value) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["bench", "--role", &role.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().context("no standard output")?;
        Ok(Self {
            answers: BufReader::new(stdout),
            stdin: process.stdin.take(),
            process,
        })
    }

    fn answer(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        ensure!(
            self.answers.read_line(&mut line)? > 0,
            "a side of the calls ended"
        );
        Ok(serde_json::from_str(&line)?)
    }

    /// Processor time so far, in microseconds, of a callee.
    fn cpu_us(&mut self) -> anyhow::Result<f64> {
        self.stdin.as_mut().context("it has ended")?.write_all(b"cpu\n")?;
        micros(&self.answer()?)
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.process.wait();
    }
}

fn micros(answer: &Value) -> anyhow::Result<f64> {
    answer["cpu_us"].as_f64().context("no processor time")
}

fn setup(batches: u32) -> anyhow::Result<Vec<Figure>> {
    let calls = batches * BATCH;
    progress(&format!("sip: {calls} calls, INVITE, 200, ACK, BYE"));
    let (mut caller_us, mut callee_us) = (0.0, 0.0);
    for _ in 0..batches {
        let mut callee = Role::start(&json!({ "role": "callee", "engines": 1, "srtp": false }))?;
        let ports = callee.answer()?["ports"].clone();
        let before = callee.cpu_us()?;
        let mut caller = Role::start(&json!({ "role": "setup", "ports": ports, "calls": BATCH }))?;
        caller_us += micros(&caller.answer()?)? / f64::from(calls);
        // the callee's warm-up is in its figure, spread over its calls
        let share = f64::from(BATCH) / f64::from(BATCH + WARM);
        callee_us += (callee.cpu_us()? - before) * share / f64::from(calls);
    }
    let figure = |side: &str, us: f64| Figure {
        budget: Budget::AtMost(0.4),
        note: format!(
            "user and system time of the {side}'s process over {calls} calls by direct IP over UDP, one after the \
             other, sockets and media of each call included"
        ),
        path: format!("CPU of an INVITE, 200, ACK, BYE: {side}"),
        unit: "ms",
        value: us / 1e3,
    };
    Ok(vec![figure("caller", caller_us), figure("callee", callee_us)])
}

/// `treated`: the caller's lines have the dearest treatment there is, a speaker's echo canceller and high noise reduction.
fn talk(seconds: u32, treated: bool) -> anyhow::Result<Figure> {
    let calls = if treated { TREATED } else { CALLS };
    let with = if treated {
        ", echo canceller and noise suppression"
    } else {
        ""
    };
    progress(&format!("sip: {calls} SRTP calls for {seconds} s{with}"));
    let mut callee = Role::start(&json!({ "role": "callee", "engines": calls, "srtp": true }))?;
    let ports = callee.answer()?["ports"].clone();
    let role =
        json!({ "role": "talk", "ports": ports, "seconds": seconds, "srtp": true, "treated": treated });
    let mut caller = Role::start(&role)?;
    let answer = caller.answer()?;
    let least = answer["least_frames"].as_u64().unwrap_or(0);
    // half of what was spoken must have been heard on every line, else it was no call
    ensure!(
        least > u64::from(seconds) * 50,
        "a line heard only {least} frames of 10 ms in {seconds} s"
    );
    let share = micros(&answer)? / f64::from(seconds) / 1e6 * 100.0;
    Ok(Figure {
        budget: Budget::AtMost(if treated { 3.0 } else { 0.2 }),
        note: format!(
            "{calls} calls of {seconds} s in one process, {share:.2} % of a core together; each on its own line, {}; the \
             quietest line heard {least} frames of 10 ms",
            if treated {
                "a tone with its echo back from the panel, echo = speaker, noise = high"
            } else {
                "a tone both ways"
            }
        ),
        path: format!("CPU of one SRTP G.711 call of {calls}{with}"),
        unit: "%",
        value: share / calls as f64,
    })
}

/// Speaks a burst of 10 ms every 500 ms and tells when its first sample was spoken.
struct Mouth {
    frames: u32,
    spoken: Sender<u64>,
}

impl AudioPort for Mouth {
    fn capture(&mut self, frame: &mut Frame) {
        frame.fill(0);
        self.frames += 1;
        if self.frames.is_multiple_of(50) {
            for (n, sample) in frame.iter_mut().enumerate() {
                *sample = if n / 8 % 2 == 0 { 9_000 } else { -9_000 };
            }
            // a frame is handed over when its last sample was spoken
            let _ = self.spoken.send(boottime().saturating_sub(10_000_000));
        }
    }

    fn playback(&mut self, _: &Frame) {}
}

/// Tells when it hears the first sample of a burst.
struct Ear {
    heard: Sender<u64>,
    quiet: u32,
}

impl AudioPort for Ear {
    fn capture(&mut self, frame: &mut Frame) {
        frame.fill(0);
    }

    fn playback(&mut self, frame: &Frame) {
        let first = frame.iter().position(|s| s.unsigned_abs() > 3_000);
        if let (Some(first), true) = (first, self.quiet > 10) {
            let into = first as u64 * 1_000_000_000 / u64::from(SAMPLE_RATE);
            let _ = self.heard.send(boottime() + into);
        }
        self.quiet = if first.is_some() { 0 } else { self.quiet + 1 };
    }
}

/// Bursts through calls between two engines; every call has its own luck with the phases of the two clocks.
fn mouth_to_ear(calls: u64) -> anyhow::Result<Figure> {
    progress(&format!("sip: mouth to ear, {calls} calls"));
    let runtime = crate::run::runtime()?;
    let mut samples = Samples::default();
    for call in 1..=calls {
        let (mouth, spoken) = channel();
        let (ear, heard) = channel();
        let talked = runtime.block_on(async {
            let line = LineId::new("bench")?;
            let (there, inbox) = engine(30_000, &line, Srtp::Required).await?;
            there.attach_line(line.clone(), Box::new(Ear { heard: ear, quiet: 0 }))?;
            let to = port(&there).await?;
            let answering = tokio::spawn(answer_all(there.clone(), inbox));
            let (here, mut inbox) = engine(20_000, &line, Srtp::Required).await?;
            here.attach_line(
                line.clone(),
                Box::new(Mouth {
                    frames: 0,
                    spoken: mouth,
                }),
            )?;
            offer(&here, call, &line, to).await?;
            leg_event(&mut inbox, |e| matches!(e, LegEvent::Answered { .. })).await?;
            let leg = LegId(call);
            here.command(LegCommand::Connect { leg }).await?;
            tokio::time::sleep(Duration::from_secs(5)).await;
            let cause = Cause::Normal;
            here.command(LegCommand::End { leg, cause }).await?;
            here.shutdown().await;
            there.shutdown().await;
            answering.abort();
            anyhow::Ok(())
        });
        talked?;
        pair(&spoken, &heard, &mut samples);
    }
    ensure!(samples.len() > 0, "nothing was heard");
    Ok(samples.median(
        "mouth to ear on the virtual line",
        60.0,
        &format!(
            "a burst of 10 ms each 500 ms in {calls} SRTP calls between two engines; from its first sample spoken to its \
             first sample played; G.711, packets of 20 ms"
        ),
    ))
}

/// Each burst with the first sound after it.
fn pair(spoken: &Receiver<u64>, heard: &Receiver<u64>, samples: &mut Samples) {
    let heard: Vec<u64> = heard.try_iter().collect();
    // the first burst comes while the jitter buffer finds its depth
    for spoken in spoken.try_iter().skip(1) {
        let next = heard.iter().find(|at| **at > spoken);
        if let Some(at) = next.filter(|at| **at - spoken < 450_000_000) {
            samples.push(at - spoken);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_belongs_to_the_next_sound_unless_that_is_too_late() {
        let (say, spoken) = channel();
        let (hear, heard) = channel();
        for at in [1, 500, 1000, 1500] {
            say.send(at * 1_000_000).expect("open");
        }
        for at in [30, 540, 1545] {
            hear.send(at * 1_000_000).expect("open");
        }
        let mut samples = Samples::default();
        pair(&spoken, &heard, &mut samples);
        assert_eq!(samples.len(), 2);
        assert!((samples.at(0.5) - 40.0).abs() < 1e-9 && (samples.at(1.0) - 45.0).abs() < 1e-9);
    }
}
