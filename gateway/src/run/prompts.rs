//! Sounds that are heard at panels and by whoever has a call: read, played, and told when they are over.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use adapter_virtual::wav_file;
use gateway_core::{LegId, LineId};
use gateway_sip_io::SipHandle;
use gateway_site::rules::Sound;
use tokio::sync::mpsc;

use crate::run::brain::Order;
use crate::run::spoken;
use crate::run::spoken::beeps;

/// Longest sound of a file.
const LONGEST: Duration = Duration::from_secs(30);
/// What the line needs to give out the last of it.
const LAST: Duration = Duration::from_millis(200);

/// By whom something is heard.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    /// By whoever is on a leg.
    Leg {
        /// And nothing else meanwhile.
        alone: bool,
        /// Which.
        leg: LegId,
    },
    /// By whoever stands at a line.
    Line(LineId),
}

/// A file as 16 kHz samples.
///
/// # Errors
/// What is wrong with it, and what is allowed.
pub(crate) fn recording(path: &Path) -> Result<Arc<[i16]>, String> {
    let samples = wav_file(path).map_err(|error| error.to_string())?;
    let length = spoken::length(&samples);
    if samples.is_empty() || length > LONGEST {
        return Err(format!(
            "{}: it lasts {} ms; wanted is a sound of at most {} s",
            path.display(),
            length.as_millis(),
            LONGEST.as_secs()
        ));
    }
    Ok(samples.into())
}

/// Has something heard, and orders the core to be told how that ended, if it waits for it.
pub(crate) async fn say(
    sip: SipHandle,
    orders: mpsc::Sender<Order>,
    (by, sound): (Heard, Sound),
    told: Option<(LineId, u64)>,
) {
    let heard = play(&sip, &by, sound).await;
    if let Err(error) = &heard {
        tracing::warn!(?by, error, "what is to be heard was not");
    }
    if let Some((line, turn)) = told {
        // a core that has ended has no line
        let _ = orders.send(Order::Said { heard, line, turn }).await;
    }
}

async fn play(sip: &SipHandle, by: &Heard, sound: Sound) -> Result<Duration, String> {
    let read = tokio::task::spawn_blocking(move || match sound {
        Sound::File(path) => recording(&path),
        Sound::Tones(row) => Ok(beeps::row(row.iter().map(|beep| (beep.hz, beep.time)))),
    });
    let samples = read.await.map_err(|error| error.to_string())??;
    let copy = Arc::clone(&samples);
    let said = match by {
        Heard::Leg { alone, leg } => sip.say_to_leg(*leg, copy, *alone),
        Heard::Line(line) => sip.say_to_line(line, copy),
    };
    said.map_err(|error| error.to_string())?;
    let length = spoken::length(&samples);
    // ours is the last to go: the media thread frees nothing
    tokio::time::sleep(length + LAST).await;
    drop(samples);
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &Path, seconds: u32) -> std::path::PathBuf {
        let path = dir.join(format!("{seconds}.wav"));
        let rate = 8_000;
        let count = seconds * rate * 2;
        let format = [1u16.to_le_bytes(), 1u16.to_le_bytes()].concat();
        let rates = [rate.to_le_bytes(), (rate * 2).to_le_bytes()].concat();
        let widths = [2u16.to_le_bytes(), 16u16.to_le_bytes()].concat();
        let head = [&b"WAVEfmt "[..], &16u32.to_le_bytes(), &format, &rates, &widths].concat();
        let data = [&b"data"[..], &count.to_le_bytes()].concat();
        let length = u32::try_from(head.len() + data.len()).expect("short") + count;
        let silence = vec![0; usize::try_from(count).expect("fits")];
        let all = [&b"RIFF"[..], &length.to_le_bytes(), &head, &data, &silence].concat();
        std::fs::write(&path, all).expect("written");
        path
    }

    #[test]
    fn a_recording_is_read_and_one_that_is_too_long_empty_or_none_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let samples = recording(&file(dir.path(), 2)).expect("two seconds");
        // another rate begins within the first sample
        let length = spoken::length(&samples).as_millis();
        assert!((1999..=2000).contains(&length), "{length} ms");
        assert!(recording(&file(dir.path(), 30)).is_ok());
        for (seconds, told) in [(31, " ms"), (0, "0 ms")] {
            let error = recording(&file(dir.path(), seconds)).expect_err("it does not fit");
            assert!(error.contains(told) && error.contains("30 s"), "{error}");
        }
        let none = dir.path().join("none.wav");
        let error = recording(&none).expect_err("it is not there");
        assert!(error.contains("none.wav"), "{error}");
        std::fs::write(&none, "words").expect("written");
        let error = recording(&none).expect_err("it is no sound");
        assert!(error.contains("WAV"), "{error}");
    }
}
