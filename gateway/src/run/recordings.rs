//! Recordings of talks: WAV files of two channels in a folder that does not grow beyond its limits. Each has a thread of its own, so
//! that a slow or full disk holds nobody up: a recording that cannot be kept ends, and its talk goes on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use adapter_api::SAMPLE_RATE;
use gateway_core::{LegId, PanelId, RingId};
use gateway_priority::Turn;
use gateway_sip_io::{Both, Piece, Recording, SipHandle, recording};
use gateway_site::{RecordParams, Recorded};
use tokio::sync::mpsc;

use crate::run::brain::Order;
use crate::run::prompts;

/// Longest recording; a talk that goes on is not recorded any more.
const LONGEST: Duration = Duration::from_secs(3600);
/// Time between two looks for what there is to be written.
const LOOK: Duration = Duration::from_millis(100);
/// Pieces of 10 ms between two times that the file is made whole: after a kill it can be played up to there.
const WHOLE: u32 = 200;
/// Pieces of 10 ms between two looks at how much room all recordings take.
const ROOM: u32 = 6_000;
/// Bytes of the head of a WAV file.
const HEAD: u64 = 44;
/// What a name ends with.
const SUFFIX: &str = ".wav";

/// Begins to record the talk of a leg; what becomes of it is told by orders.
pub(crate) fn begin(
    sip: SipHandle,
    orders: mpsc::WeakSender<Order>,
    how: RecordParams,
    (leg, panel, ring): (LegId, PanelId, RingId),
) {
    let told = orders.clone();
    let thread = std::thread::Builder::new().name("recording".to_owned());
    let started = thread.spawn(move || {
        // whoever asks comes first, and a disk need not
        let _ = Turn::Last.take();
        let name = name(&panel, ring, leg, jiff::Timestamp::now());
        // else it would have the turn of the doors, whose thread starts it
        let last = Turn::Last.take().map_err(|error| error.to_string());
        let ended = match last.and_then(|_| start(&sip, leg, &how, &name)) {
            Ok((pieces, file)) => {
                tell(&orders, ring, Recorded::Began { file: name.clone() });
                follow(&pieces, file, &how, name)
            }
            Err(why) => failed(why),
        };
        tell(&orders, ring, ended);
    });
    if let Err(error) = started {
        let ended = failed(format!("no thread for it: {error}"));
        // the core itself asks, and must not wait for its own queue
        if let Some(orders) = told.upgrade() {
            let order = Order::Recorded { ring, what: ended };
            let _ = orders.try_send(order);
        }
    }
}

fn failed(why: String) -> Recorded {
    tracing::warn!(why, "a talk is not recorded");
    Recorded::Ended {
        file: None,
        length: Duration::ZERO,
        why,
    }
}

/// A core that has ended hears nothing.
fn tell(orders: &mpsc::WeakSender<Order>, ring: RingId, what: Recorded) {
    if let Some(orders) = orders.upgrade() {
        let _ = orders.blocking_send(Order::Recorded { ring, what });
    }
}

/// Date first, so that names are in the order of time.
fn name(panel: &PanelId, ring: RingId, leg: LegId, now: jiff::Timestamp) -> String {
    format!(
        "{}-{panel}-{ring}-{}{SUFFIX}",
        now.strftime("%Y%m%dT%H%M%SZ"),
        leg.0
    )
}

/// Reads the announcement, makes room and a file, and has the talk recorded. Without any of these it is not.
fn start(sip: &SipHandle, leg: LegId, how: &RecordParams, name: &str) -> Result<(Recording, Wav), String> {
    let announcement = prompts::recording(&how.announcement)?;
    let at = |error: io::Error| format!("{}: {error}", how.folder.display());
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&how.folder)
        .map_err(at)?;
    make_room(how, 1, None).map_err(at)?;
    let wav = Wav::create(&how.folder.join(name), Arc::clone(&announcement)).map_err(at)?;
    let (recorder, pieces) = recording();
    sip.record_leg(leg, recorder, announcement)
        .map_err(|error| error.to_string())?;
    Ok((pieces, wav))
}

/// Writes down what comes until the talk is over, or it cannot be kept.
fn follow(pieces: &Recording, mut wav: Wav, how: &RecordParams, name: String) -> Recorded {
    let mut why = "ended".to_owned();
    let mut count = 0_u32;
    loop {
        let piece = match pieces.next() {
            Piece::Both(piece) => piece,
            Piece::Nothing => {
                std::thread::sleep(LOOK);
                continue;
            }
            Piece::Over => break,
        };
        count = count.wrapping_add(1);
        let mut done = wav.write(&piece);
        if done.is_ok() && count.is_multiple_of(WHOLE) {
            done = wav.make_whole();
        }
        if let Err(error) = done {
            why = error.to_string();
            break;
        }
        let full = count.is_multiple_of(ROOM) && make_room(how, 0, Some(&name)).unwrap_or(true);
        if full || wav.length() >= LONGEST {
            "limit".clone_into(&mut why);
            break;
        }
    }
    if let Err(error) = wav.make_whole()
        && why == "ended"
    {
        why = error.to_string();
    }
    if pieces.lost() > 0 {
        tracing::warn!(lost_ms = pieces.lost() * 10, name, "a recording has gaps");
    }
    Recorded::Ended {
        length: wav.length(),
        file: Some(name),
        why,
    }
}

/// Removes the oldest recordings until so many more fit, and all take no more than their room. True if what is left takes too much:
/// the one that is being written.
fn make_room(how: &RecordParams, more: usize, but: Option<&str>) -> io::Result<bool> {
    let mut files: Vec<(String, PathBuf, u64)> = Vec::new();
    for entry in fs::read_dir(&how.folder)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let length = entry
            .metadata()
            .map(|of| if of.is_file() { Some(of.len()) } else { None });
        if let (true, Ok(Some(length))) = (name.ends_with(SUFFIX), length) {
            files.push((name, entry.path(), length));
        }
    }
    files.sort();
    let most = usize::try_from(how.most_files).unwrap_or(usize::MAX);
    let room = how.most_mib.saturating_mul(1 << 20);
    let mut count = files.len() + more;
    let mut bytes: u64 = files.iter().map(|(_, _, length)| length).sum();
    for (name, path, length) in &files {
        if count <= most && bytes <= room {
            break;
        }
        if Some(name.as_str()) == but {
            continue;
        }
        match fs::remove_file(path) {
            Ok(()) => {}
            // somebody else removed it
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        count -= 1;
        bytes -= length;
    }
    Ok(bytes > room)
}

/// A WAV file that is being written: 16 bit, two channels, 16 kHz.
struct Wav {
    /// It is being played: whoever plays it must not be the last to have it.
    _announcement: Arc<[i16]>,
    file: BufWriter<File>,
    /// Bytes of sound.
    bytes: u64,
}

impl Wav {
    fn create(path: &Path, announcement: Arc<[i16]>) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let mut wav = Self {
            _announcement: announcement,
            file: BufWriter::new(file),
            bytes: 0,
        };
        wav.file.write_all(&head(0))?;
        wav.file.flush()?;
        Ok(wav)
    }

    fn write(&mut self, piece: &Both) -> io::Result<()> {
        let mut bytes = [0_u8; size_of::<Both>()];
        let samples = piece.as_flattened();
        for (place, sample) in bytes.chunks_exact_mut(2).zip(samples) {
            place.copy_from_slice(&sample.to_le_bytes());
        }
        self.file.write_all(&bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes what waits, and how much there is.
    fn make_whole(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&head(self.bytes))?;
        self.file.seek(SeekFrom::Start(HEAD + self.bytes))?;
        self.file.flush()
    }

    fn length(&self) -> Duration {
        Duration::from_millis(self.bytes * 1_000 / (u64::from(SAMPLE_RATE) * 4))
    }
}

/// The head of a WAV file with so many bytes of sound ("Multimedia Programming Interface and Data Specifications 1.0", WAVE).
fn head(bytes: u64) -> Vec<u8> {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX - 36);
    [
        &b"RIFF"[..],
        &(bytes + 36).to_le_bytes(),
        b"WAVEfmt ",
        &16_u32.to_le_bytes(),
        // PCM, two channels
        &1_u16.to_le_bytes(),
        &2_u16.to_le_bytes(),
        &SAMPLE_RATE.to_le_bytes(),
        &(SAMPLE_RATE * 4).to_le_bytes(),
        &4_u16.to_le_bytes(),
        &16_u16.to_le_bytes(),
        b"data",
        &bytes.to_le_bytes(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn how(folder: &Path, most_files: u32) -> RecordParams {
        RecordParams {
            announcement: "recorded.wav".into(),
            folder: folder.to_owned(),
            most_files,
            most_mib: 1,
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        let mut names: Vec<String> = entries
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_recording_is_a_wav_file_of_both_sides_at_any_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.wav");
        let mut wav = Wav::create(&path, [].into()).expect("made");
        for _ in 0..150 {
            wav.write(&[[1_000, -2_000]; 160]).expect("written");
        }
        wav.make_whole().expect("whole");
        let after_that = fs::read(&path).expect("readable");
        for _ in 0..50 {
            wav.write(&[[1_000, -2_000]; 160]).expect("written");
        }
        wav.make_whole().expect("whole");
        assert_eq!(wav.length(), Duration::from_secs(2));
        assert_eq!(after_that.len(), 44 + 150 * 640);
        // another program's reader finds the first channel
        let read = adapter_virtual::wav_file(&path).expect("a WAV file");
        assert_eq!(read.len(), 32_000);
        assert!(read.iter().all(|sample| *sample == 1_000));
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).expect("there").permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_oldest_go_beyond_the_number_and_beyond_the_room_and_nothing_else_does() {
        let dir = tempfile::tempdir().expect("a folder");
        for (name, kib) in [
            ("1.wav", 100),
            ("2.wav", 100),
            ("3.wav", 100),
            ("notes.txt", 5_000),
        ] {
            fs::write(dir.path().join(name), vec![0; kib << 10]).expect("written");
        }
        assert!(!make_room(&how(dir.path(), 3), 1, None).expect("done"));
        assert_eq!(names(dir.path()), ["2.wav", "3.wav", "notes.txt"]);
        fs::write(dir.path().join("4.wav"), vec![0; 950 << 10]).expect("written");
        assert!(!make_room(&how(dir.path(), 9), 0, Some("4.wav")).expect("done"));
        assert_eq!(names(dir.path()), ["4.wav", "notes.txt"]);
        // the one that is being written is left, and told to end
        fs::write(dir.path().join("4.wav"), vec![0; 1_100 << 10]).expect("written");
        assert!(make_room(&how(dir.path(), 9), 0, Some("4.wav")).expect("done"));
        assert_eq!(names(dir.path()), ["4.wav", "notes.txt"]);
    }

    #[test]
    fn a_disk_that_takes_nothing_ends_the_recording_with_the_reason() {
        let file = OpenOptions::new().write(true).open("/dev/full").expect("there");
        let wav = Wav {
            _announcement: [].into(),
            file: BufWriter::new(file),
            bytes: 0,
        };
        let dir = tempfile::tempdir().expect("a folder");
        let (recorder, pieces) = recording();
        drop(recorder);
        let ended = follow(&pieces, wav, &how(dir.path(), 9), "a.wav".to_owned());
        let Recorded::Ended { why, .. } = ended else {
            panic!("{ended:?}");
        };
        assert!(why.contains("space"), "{why}");
    }

    #[test]
    fn names_are_in_the_order_of_time() {
        let at = |s: &str| s.parse::<jiff::Timestamp>().expect("a time");
        let (panel, ring) = ("main".parse().expect("a name"), RingId::new(1, [0; 10]));
        let early = name(&panel, ring, LegId(9), at("2026-01-31T23:59:59Z"));
        let late = name(&panel, ring, LegId(1), at("2026-02-01T00:00:00Z"));
        assert!(
            early.starts_with("20260131T235959Z-main-") && early.ends_with("-9.wav"),
            "{early}"
        );
        assert!(early < late);
    }
}
