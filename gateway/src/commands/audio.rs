//! `doorline audio`: sound cards, the level at their microphones, and the loop of a line.

use std::io::Write as _;
use std::time::{Duration, Instant};

use adapter_alsa::{CardError, CardName, Sound, cards, chirp, looped};
use adapter_api::{AudioPort, FRAME_SAMPLES, Frame, SAMPLE_RATE};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::exit;
use crate::commands::out;
use crate::run::log;

/// One frame.
const TICK: Duration = Duration::from_millis(10);
/// Samples before the sound of a test, and after it.
const QUIET: usize = SAMPLE_RATE as usize;

/// Arguments of `doorline audio`.
#[derive(Args, Debug)]
pub(crate) struct Audio {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List the sound cards, as the site file names them.
    List,
    /// Show the level at a card's microphone, ten times a second.
    Meter {
        /// Card and device, as Device,0; the gateway must not have it.
        #[arg(long)]
        card: CardName,
        /// For how long, 1 to 3600 s.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
        seconds: u64,
    },
    /// Play a sound and listen how late and how strong it comes back: the echo of the line, its noise and its level.
    Test {
        /// Card and device, as Device,0; the gateway must not have it.
        #[arg(long)]
        card: CardName,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Carries it out.
pub(super) fn audio(args: &Audio) -> anyhow::Result<u8> {
    match &args.act {
        Act::List => list(),
        Act::Meter { card, seconds } => meter(card, Duration::from_secs(*seconds)),
        Act::Test { card, json } => test(card, *json),
    }
}

fn list() -> anyhow::Result<u8> {
    let mut out = out();
    let all = cards();
    if all.is_empty() {
        writeln!(
            out,
            "no sound card is there, or this user may not use any (group audio)"
        )?;
    }
    for card in all {
        let sides = match (card.capture, card.playback) {
            (true, true) => "microphone and loudspeaker",
            (true, false) => "microphone only",
            (false, true) => "loudspeaker only",
            (false, false) => continue,
        };
        writeln!(out, "{:<18} {sides:<27} {}", card.name.to_string(), card.product)?;
    }
    Ok(exit::OK)
}

/// A card at the pace of the media engine.
struct Running {
    next: Instant,
    port: Box<dyn AudioPort>,
    sound: Sound,
}

impl Running {
    fn start(card: &CardName) -> anyhow::Result<Self> {
        let (sound, port) = Sound::start(card)?;
        Ok(Self {
            next: Instant::now(),
            port,
            sound,
        })
    }

    /// Says 10 ms and hears 10 ms.
    fn tick(&mut self, said: &Frame) -> Result<Frame, CardError> {
        self.next += TICK;
        std::thread::sleep(self.next.saturating_duration_since(Instant::now()));
        if let Some(error) = self.sound.has_failed() {
            return Err(error);
        }
        let mut heard = [0; FRAME_SAMPLES];
        self.port.capture(&mut heard);
        self.port.playback(said);
        Ok(heard)
    }
}

/// Level in dB below full scale, as root mean square.
fn level(samples: &[i16]) -> f64 {
    let square: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    let mean = square / samples.len().max(1) as f64 / (32768.0 * 32768.0);
    10.0 * mean.max(1e-12).log10()
}

fn meter(card: &CardName, length: Duration) -> anyhow::Result<u8> {
    let mut running = Running::start(card)?;
    let mut out = out();
    let mut heard: Vec<i16> = vec![];
    let ticks = length.as_millis() / TICK.as_millis();
    for tick in 1..=ticks {
        heard.extend(running.tick(&[0; FRAME_SAMPLES])?);
        if tick % 10 == 0 {
            let level = level(&heard);
            let peak = heard.iter().map(|s| s.unsigned_abs()).max().unwrap_or(0);
            // 60 dB are 60 signs
            let bar = "#".repeat((level + 60.0).clamp(0.0, 60.0) as usize);
            let full = if peak >= 32_700 {
                "  FULL SCALE: turn it down"
            } else {
                ""
            };
            writeln!(out, "{level:6.1} dB {bar:<60}{full}")?;
            out.flush()?;
            heard.clear();
        }
    }
    running.sound.end();
    Ok(exit::OK)
}

fn test(card: &CardName, as_json: bool) -> anyhow::Result<u8> {
    let mut running = Running::start(card)?;
    log::say("audio: listening for 1 s, then a sound of half a second");
    let mut said = vec![0; QUIET];
    said.extend(chirp());
    said.resize(said.len() + QUIET, 0);
    let mut heard: Vec<i16> = vec![];
    // the first frames come before the card has begun
    for _ in 0..50 {
        running.tick(&[0; FRAME_SAMPLES])?;
    }
    for said in said.as_chunks::<FRAME_SAMPLES>().0 {
        heard.extend(running.tick(said)?);
    }
    let counts = running.sound.counts();
    running.sound.end();
    let probe = looped(&heard, QUIET).context("the test was cut short")?;
    let mut out = out();
    if as_json {
        let of = probe.looped;
        let told = json!({
            "clipped": probe.clipped,
            "delay_ms": of.map(|l| l.delay_ms),
            "echo_loss_db": of.map(|l| l.loss_db),
            "missing": counts.missing,
            "noise_db": probe.noise_db,
            "xruns": counts.xruns,
        });
        writeln!(out, "{told}")?;
    } else {
        writeln!(out, "noise        {:6.1} dB below full scale", -probe.noise_db)?;
        match probe.looped {
            Some(of) => {
                writeln!(
                    out,
                    "delay        {:6.1} ms, from the gateway to the line and back",
                    of.delay_ms
                )?;
                writeln!(out, "echo loss    {:6.1} dB", of.loss_db)?;
            }
            None => writeln!(out, "nothing of the sound came back")?,
        }
        writeln!(out, "full scale   {:6} samples", probe.clipped)?;
        writeln!(out, "card ran dry {:6} times", counts.xruns)?;
    }
    if probe.clipped > 0 {
        bail!("the microphone's side is at full scale: turn its level or the loudspeaker's down (alsamixer)");
    }
    Ok(exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_told_below_full_scale() {
        assert!((level(&[32_767, -32_767]) - 0.0).abs() < 0.01);
        assert!((level(&[3277, -3277]) + 20.0).abs() < 0.01);
        assert!((level(&[]) + 120.0).abs() < 0.01);
    }
}
