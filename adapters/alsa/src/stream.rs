//! A card that runs: a thread for its microphone and one for its loudspeaker, each at the card's pace.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use adapter_api::{AudioPort, FRAME_SAMPLES, SAMPLE_RATE};
use alsa::Direction;
use alsa::pcm::{IO, State};
use gateway_priority::Turn;
use rtrb::Producer;
use tokio::sync::mpsc;

use crate::card::{CardError, CardName, Side, told};
use crate::pipe::{self, AIM, Ends, Spoken, Tally, pipe};
use crate::rate::{Resampler, TRIM};

/// Longest wait for the next 10 ms of a card; one that is silent for longer hangs.
const HANGS_MS: u32 = 1000;
/// `ESTRPIPE`: the machine slept meanwhile.
const SUSPENDED: i32 = 86;

/// What went wrong between card and engine, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames of 10 ms that found no room on their way to the card.
    pub crowded: u64,
    /// Frames of 10 ms that the engine wanted and the card had not brought.
    pub missing: u64,
    /// Times at which the card ran empty or full.
    pub xruns: u64,
}

/// A running card. It stops when this is dropped.
pub struct Sound {
    failed: mpsc::Receiver<CardError>,
    stop: Arc<AtomicBool>,
    tally: Arc<Tally>,
    threads: Vec<JoinHandle<()>>,
}

impl Sound {
    /// Opens both sides of a card, each on a thread of its own, and gives the line's port to them. A side that cannot be opened
    /// says so by [`failed`](Self::failed).
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start(name: &CardName) -> io::Result<(Self, Box<dyn AudioPort>)> {
        let (port, Ends { heard, spoken, tally }) = pipe();
        let (to, failed) = mpsc::channel(2);
        let stop = Arc::<AtomicBool>::default();
        let mut sound = Self {
            failed,
            stop,
            tally,
            threads: vec![],
        };
        sound.spawn("sound-in", name, to.clone(), |name, stop, tally| {
            listen(name, heard, stop, tally)
        })?;
        sound.spawn("sound-out", name, to, |name, stop, tally| {
            speak(name, spoken, stop, tally)
        })?;
        Ok((sound, Box::new(port)))
    }

    fn spawn(
        &mut self,
        thread: &str,
        name: &CardName,
        failed: mpsc::Sender<CardError>,
        run: impl FnOnce(&CardName, &AtomicBool, &Tally) -> Result<(), CardError> + Send + 'static,
    ) -> io::Result<()> {
        let (stop, tally, name) = (Arc::clone(&self.stop), Arc::clone(&self.tally), name.clone());
        let run = move || {
            // as the media thread; without permission like everybody else
            let _ = Turn::Speech.take();
            // it says on standard error what the error says as well
            let _silent = alsa::Output::local_error_handler();
            if let Err(error) = run(&name, &stop, &tally) {
                // the first of both is enough
                let _ = failed.try_send(error);
            }
        };
        let thread = std::thread::Builder::new().name(thread.to_owned()).spawn(run)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Waits until it fails. `None` if it was stopped.
    pub async fn failed(&mut self) -> Option<CardError> {
        self.failed.recv().await
    }

    /// Has it failed?
    pub fn has_failed(&mut self) -> Option<CardError> {
        self.failed.try_recv().ok()
    }

    /// What went wrong so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            crowded: of(&self.tally.crowded),
            missing: of(&self.tally.missing),
            xruns: of(&self.tally.xruns),
        }
    }

    /// Stops it, and waits until the card is free: 1 s at most where the card answers.
    pub fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Keeps a queue near [`AIM`] by a trim of the conversion before or behind it.
#[derive(Debug, Default)]
struct Trim {
    /// Samples more than aimed at, on average over half a second.
    off: f64,
}

impl Trim {
    /// Of this moment; nobody at the other end asks for none.
    fn of(&mut self, waiting: Option<usize>) -> f64 {
        let Some(waiting) = waiting else {
            self.off = 0.0;
            return 0.0;
        };
        self.off += (waiting as f64 - AIM as f64 - self.off) * 0.02;
        // 80 samples, 5 ms, are brought back at half of the furthest trim
        (self.off / 80.0 * TRIM / 2.0).clamp(-TRIM, TRIM)
    }
}

/// What became of a try to move samples.
enum Moved {
    Frames(usize),
    /// Nothing can be moved now.
    Wait,
    /// It ran empty or full and was set up anew.
    Anew,
}

fn moved(side: &Side, tally: &Tally, result: Result<usize, alsa::Error>) -> Result<Moved, alsa::Error> {
    let error = match result {
        Ok(frames) => return Ok(Moved::Frames(frames)),
        Err(error) => error,
    };
    let code = error.errno().abs();
    let kind = io::Error::from_raw_os_error(code).kind();
    if kind == io::ErrorKind::WouldBlock {
        return Ok(Moved::Wait);
    }
    if kind == io::ErrorKind::BrokenPipe {
        tally.xruns.fetch_add(1, Ordering::Relaxed);
    } else if code != SUSPENDED {
        return Err(error);
    }
    side.pcm.prepare().map(|()| Moved::Anew)
}

/// Waits for the card. False if it hangs.
fn wait(side: &Side, tally: &Tally) -> Result<bool, alsa::Error> {
    match side.pcm.wait(Some(HANGS_MS)) {
        Ok(true) => Ok(true),
        // something stopped it, and it can be started again
        Ok(false) if side.pcm.state() != State::Running => {
            tally.xruns.fetch_add(1, Ordering::Relaxed);
            side.pcm.prepare().map(|()| true)
        }
        Ok(false) => Ok(false),
        Err(error) => moved(side, tally, Err(error)).map(|_| true),
    }
}

fn hangs(name: &CardName) -> CardError {
    CardError(format!(
        "sound card {name}: it neither gave nor took a sound for {HANGS_MS} ms; unplug it and plug it in again"
    ))
}

fn listen(
    name: &CardName,
    mut heard: Producer<i16>,
    stop: &AtomicBool,
    tally: &Tally,
) -> Result<(), CardError> {
    let direction = Direction::Capture;
    let failed = |error| told(name, direction, error);
    let side = Side::open(name, direction)?;
    tracing::debug!(card = %name, rate = side.rate, "the microphone's side is open");
    let io: IO<'_, i16> = side.pcm.io_i16().map_err(failed)?;
    let (mut rate, mut trim) = (Resampler::new(side.rate, SAMPLE_RATE), Trim::default());
    let (mut buffer, mut samples) = (vec![0; side.period], vec![]);
    while !stop.load(Ordering::Relaxed) {
        match moved(&side, tally, io.readi(&mut buffer)).map_err(failed)? {
            Moved::Frames(frames) => {
                let waiting = pipe::waiting(&heard);
                // a full queue has nobody at its end
                rate.trim(trim.of((waiting < 4 * AIM).then_some(waiting)));
                samples.clear();
                rate.process(&buffer[..frames], &mut samples);
                let _ = heard.push_partial_slice(&samples);
            }
            Moved::Wait => {
                if !wait(&side, tally).map_err(failed)? {
                    return Err(hangs(name));
                }
            }
            Moved::Anew => {}
        }
    }
    Ok(())
}

fn speak(name: &CardName, mut spoken: Spoken, stop: &AtomicBool, tally: &Tally) -> Result<(), CardError> {
    let direction = Direction::Playback;
    let failed = |error| told(name, direction, error);
    let side = Side::open(name, direction)?;
    tracing::debug!(card = %name, rate = side.rate, "the loudspeaker's side is open");
    let io: IO<'_, i16> = side.pcm.io_i16().map_err(failed)?;
    let (mut rate, mut trim) = (Resampler::new(SAMPLE_RATE, side.rate), Trim::default());
    let (mut frame, mut samples) = ([0; FRAME_SAMPLES], vec![]);
    while !stop.load(Ordering::Relaxed) {
        if samples.is_empty() {
            let waiting = spoken.waiting();
            let is_spoken = spoken.next(&mut frame);
            rate.trim(trim.of(is_spoken.then_some(waiting)));
            rate.process(&frame, &mut samples);
        }
        match moved(&side, tally, io.writei(&samples)).map_err(failed)? {
            Moved::Frames(frames) => drop(samples.drain(..frames)),
            Moved::Wait => {
                if !wait(&side, tally).map_err(failed)? {
                    return Err(hangs(name));
                }
            }
            Moved::Anew => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue between a producer and a consumer whose clocks differ, for so many seconds.
    fn settled(parts_per_million: f64, seconds: u32) -> (f64, f64) {
        let (mut trim, mut waiting, mut least, mut most) = (Trim::default(), AIM as f64, f64::MAX, 0.0_f64);
        for tick in 0..seconds * 100 {
            let by = trim.of(Some(waiting.max(0.0) as usize));
            waiting += 160.0 * (1.0 + parts_per_million / 1e6) * (1.0 - by) - 160.0;
            if tick > 60 * 100 {
                (least, most) = (least.min(waiting), most.max(waiting));
            }
        }
        (least, most)
    }

    #[test]
    fn clocks_that_differ_by_200_millionths_never_run_apart() {
        for apart in [-200.0, 0.0, 200.0] {
            let (least, most) = settled(apart, 3600);
            let allowed = (AIM as f64 - 40.0)..=(AIM as f64 + 40.0);
            assert!(
                allowed.contains(&least) && allowed.contains(&most),
                "{apart}: {least} to {most} samples"
            );
        }
    }

    #[test]
    fn nobody_at_the_other_end_trims_nothing() {
        let mut trim = Trim::default();
        trim.of(Some(3000));
        assert!(trim.of(Some(3000)) > 0.0);
        assert!(trim.of(None).abs() < f64::EPSILON);
    }
}
