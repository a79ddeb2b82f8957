//! Audio of a virtual line: a source towards the phone, a file or nothing from it, and levels of both.

use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use adapter_api::{AudioPort, Frame, SAMPLE_RATE};

use crate::source::Source;

/// Root mean square of the last frames and number of frames that were louder than -40 dBFS, both ways.
#[derive(Debug, Default)]
pub struct Levels {
    heard_frames: AtomicU64,
    heard_rms: AtomicU32,
    spoken_frames: AtomicU64,
    spoken_rms: AtomicU32,
}

/// -40 dBFS of a full-scale sine, as root mean square.
const AUDIBLE: u32 = 232;

impl Levels {
    /// Frames (10 ms) towards the visitor that were audible.
    #[must_use]
    pub fn heard_frames(&self) -> u64 {
        self.heard_frames.load(Ordering::Relaxed)
    }

    /// Level of the last frame towards the visitor, 0 to 32767.
    #[must_use]
    pub fn heard_rms(&self) -> u32 {
        self.heard_rms.load(Ordering::Relaxed)
    }

    /// Frames (10 ms) from the visitor that were audible.
    #[must_use]
    pub fn spoken_frames(&self) -> u64 {
        self.spoken_frames.load(Ordering::Relaxed)
    }

    /// Level of the last frame from the visitor, 0 to 32767.
    #[must_use]
    pub fn spoken_rms(&self) -> u32 {
        self.spoken_rms.load(Ordering::Relaxed)
    }
}

fn note(frame: &Frame, rms: &AtomicU32, frames: &AtomicU64) {
    let energy: u64 = frame.iter().map(|s| u64::from(s.unsigned_abs()).pow(2)).sum();
    let level = (energy / frame.len() as u64).isqrt() as u32;
    rms.store(level, Ordering::Relaxed);
    frames.fetch_add(u64::from(level >= AUDIBLE), Ordering::Relaxed);
}

/// The audio port of a virtual line.
pub struct VirtualAudio {
    levels: Arc<Levels>,
    /// A new source put there by `doorline sim`; taken at the next frame unless it is being written.
    next: Arc<Mutex<Option<Source>>>,
    recorder: Option<SyncSender<Frame>>,
    source: Source,
}

impl VirtualAudio {
    /// A port that speaks `source` and writes what it hears to `record`, a WAV file of 16 kHz, if given.
    ///
    /// # Errors
    /// What the file system said, if the file cannot be made.
    pub fn new(source: Source, record: Option<&Path>) -> Result<Self, hound::Error> {
        let recorder = record.map(recorder).transpose()?;
        Ok(Self {
            levels: Arc::default(),
            next: Arc::default(),
            recorder,
            source,
        })
    }

    /// Levels, readable while the port is in use.
    #[must_use]
    pub fn levels(&self) -> Arc<Levels> {
        Arc::clone(&self.levels)
    }

    /// Where another source can be put while the port is in use.
    #[must_use]
    pub fn next_source(&self) -> Arc<Mutex<Option<Source>>> {
        Arc::clone(&self.next)
    }
}

impl AudioPort for VirtualAudio {
    fn capture(&mut self, frame: &mut Frame) {
        if let Ok(mut next) = self.next.try_lock()
            && let Some(source) = next.take()
        {
            self.source = source;
        }
        self.source.fill(frame);
        note(frame, &self.levels.spoken_rms, &self.levels.spoken_frames);
    }

    fn playback(&mut self, frame: &Frame) {
        note(frame, &self.levels.heard_rms, &self.levels.heard_frames);
        if let Some(recorder) = &self.recorder {
            // a full queue means that the disk is slower than sound: the recording has a gap, the call does not
            let _ = recorder.try_send(*frame);
        }
    }
}

fn recorder(path: &Path) -> Result<SyncSender<Frame>, hound::Error> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    let (tx, rx): (_, Receiver<Frame>) = sync_channel(200);
    std::thread::Builder::new()
        .name("virtual-wav".into())
        .spawn(move || {
            let mut frames = 0_u32;
            while let Ok(frame) = rx.recv() {
                let written = frame.iter().try_for_each(|s| writer.write_sample(*s));
                frames += 1;
                // the header is renewed twice a second, so that a reader finds a whole file at any time
                if written.is_err() || (frames.is_multiple_of(50) && writer.flush().is_err()) {
                    tracing::warn!("the recording of a virtual line ends: its file cannot be written");
                    return;
                }
            }
            let _ = writer.finalize();
        })?;
    Ok(tx)
}

#[cfg(test)]
mod tests {
    use super::*;
    use adapter_api::FRAME_SAMPLES;

    #[test]
    fn levels_count_audible_frames_of_each_direction() {
        let mut port = VirtualAudio::new(Source::parse("tone:440").expect("a tone"), None).expect("a port");
        let levels = port.levels();
        let mut frame = [0; FRAME_SAMPLES];
        (0..5).for_each(|_| port.capture(&mut frame));
        port.playback(&[0; FRAME_SAMPLES]);
        port.playback(&[3000; FRAME_SAMPLES]);
        assert_eq!((levels.spoken_frames(), levels.heard_frames()), (5, 1));
        assert_eq!(levels.heard_rms(), 3000);
        *port.next_source().lock().expect("no other user") = Some(Source::Silence);
        port.capture(&mut frame);
        assert_eq!(levels.spoken_rms(), 0);
    }

    #[test]
    fn what_the_visitor_hears_is_in_the_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("heard.wav");
        let mut port = VirtualAudio::new(Source::Silence, Some(&path)).expect("a port");
        (0..100).for_each(|_| port.playback(&[1000; FRAME_SAMPLES]));
        drop(port);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let full = || hound::WavReader::open(&path).is_ok_and(|r| r.duration() == 16_000);
        while !full() {
            assert!(
                std::time::Instant::now() < deadline,
                "the recording was not written"
            );
            std::thread::yield_now();
        }
    }
}
