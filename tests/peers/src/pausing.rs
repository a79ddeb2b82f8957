//! A far end of RTP that speaks and is silent by turns: PCMU, and comfort noise (RFC 3389) in place of silence. It keeps what comes.
//! What that noise is, FFmpeg's codec says.

use std::io::Write as _;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::audio::Sound;

/// Payload types (RFC 3551 §6).
const PCMU: u8 = 0;
const NOISE: u8 = 13;
const PACKET: Duration = Duration::from_millis(20);
/// Samples of it.
const SAMPLES: usize = 160;
/// Packets of a turn in which it speaks, and in which it is silent: 2 s and 4 s.
const SPEAKS: u32 = 100;
const PAUSES: u32 = 200;
/// In silence it says how loud that is every so many packets.
const TELLS: u32 = 20;
/// More packets are not kept: two minutes.
const KEPT: usize = 6_000;

/// A packet that came.
#[derive(Clone, Debug)]
pub struct Came {
    /// When, since the far end began.
    pub after: Duration,
    /// Payload type.
    pub kind: u8,
    /// The marker: what is said begins.
    pub marker: bool,
    /// Payload.
    pub payload: Vec<u8>,
    /// Sequence number.
    pub sequence: u16,
    /// RTP time, 8 kHz.
    pub timestamp: u32,
}

#[derive(Debug, Default)]
struct Noted {
    came: Vec<Came>,
    /// Packets that were sent, and the place in the turn.
    sent: u64,
    turn: u32,
}

/// A running one; it ends when this is dropped. It begins to speak to whoever sends the first packet.
#[derive(Debug)]
pub struct Pausing {
    noted: Arc<Mutex<Noted>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pausing {
    /// Takes a port. It says `voice`, sound of 8 kHz, and in place of silence the payload `noise`.
    ///
    /// # Errors
    /// If the port is taken.
    pub fn start(port: u16, voice: &Sound, noise: Vec<u8>) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).context("the port of a far end")?;
        let (over, noted) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Noted>>::default());
        let (end, note, voice) = (Arc::clone(&over), Arc::clone(&noted), voice.pcmu());
        let thread = std::thread::spawn(move || {
            // a gateway that has hung up is gone
            let _ = talk(&socket, &end, &note, &voice, &noise);
        });
        Ok(Self {
            noted,
            over,
            thread: Some(thread),
        })
    }

    /// What came so far.
    #[must_use]
    pub fn came(&self) -> Vec<Came> {
        self.noted().came.clone()
    }

    /// How many packets it has sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.noted().sent
    }

    /// For how long it has been silent; `None` while it speaks.
    #[must_use]
    pub fn silent(&self) -> Option<Duration> {
        self.noted().turn.checked_sub(SPEAKS).map(|n| PACKET * n)
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pausing {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // it ends within a packet
            let _ = thread.join();
        }
    }
}

fn talk(
    socket: &UdpSocket,
    over: &AtomicBool,
    noted: &Mutex<Noted>,
    voice: &[u8],
    noise: &[u8],
) -> anyhow::Result<()> {
    let begin = Instant::now();
    let (mut to, mut due) = (None, begin);
    let (mut sequence, mut timestamp, mut place) = (0_u16, 0_u32, 0);
    let mut buffer = [0; 2048];
    while !over.load(Ordering::Relaxed) {
        let left = due.saturating_duration_since(Instant::now());
        socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        if let Ok((length, from)) = socket.recv_from(&mut buffer)
            && let Some(packet) = came(&buffer[..length], begin.elapsed())
        {
            to = to.or(Some(from));
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            if noted.came.len() < KEPT {
                noted.came.push(packet);
            }
        }
        if Instant::now() < due {
            continue;
        }
        due += PACKET;
        let Some(to) = to else {
            continue;
        };
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = noted.turn;
        noted.turn = (turn + 1) % (SPEAKS + PAUSES);
        let (kind, payload) = if turn < SPEAKS {
            let from = place % voice.len();
            place += SAMPLES;
            (
                PCMU,
                voice[from..].iter().chain(voice).take(SAMPLES).copied().collect(),
            )
        } else {
            (NOISE, noise.to_vec())
        };
        if turn < SPEAKS || (turn - SPEAKS).is_multiple_of(TELLS) {
            let marker = if turn == 0 { 0x80 } else { 0 };
            let mut packet = vec![0x80, marker | kind];
            packet.extend(sequence.to_be_bytes());
            packet.extend(timestamp.to_be_bytes());
            packet.extend(b"afar");
            packet.extend(payload);
            sequence = sequence.wrapping_add(1);
            noted.sent += 1;
            socket.send_to(&packet, to)?;
        }
        timestamp = timestamp.wrapping_add(160);
    }
    Ok(())
}

/// RTP of version 2 with neither sources nor extension; RTCP is none.
fn came(packet: &[u8], after: Duration) -> Option<Came> {
    if packet.len() < 12 || packet[0] != 0x80 || (192..=223).contains(&packet[1]) {
        return None;
    }
    Some(Came {
        after,
        kind: packet[1] & 0x7f,
        marker: packet[1] & 0x80 != 0,
        payload: packet[12..].to_vec(),
        sequence: u16::from_be_bytes([packet[2], packet[3]]),
        timestamp: u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]),
    })
}

/// The payload by which FFmpeg tells of white noise, so many dB below full scale.
///
/// # Errors
/// If its codec is not there.
pub fn comfort_noise_of(db: u8) -> anyhow::Result<Vec<u8>> {
    let hex = ffmpeg(&["make", &db.to_string()], "")?;
    let bytes = hex.trim().as_bytes().chunks(2);
    bytes
        .map(|two| Ok(u8::from_str_radix(std::str::from_utf8(two)?, 16)?))
        .collect()
}

/// What FFmpeg hears in each packet of comfort noise among these, in dB below full scale: what the packet tells, what it makes
/// of that, and what it makes of what its own encoder tells of the PCMU before.
///
/// # Errors
/// If its decoders are not there, or take a packet for none of theirs.
pub fn comfort_noise(packets: &[Came]) -> anyhow::Result<Vec<[f64; 3]>> {
    let hex = |payload: &[u8]| payload.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let lines = packets
        .iter()
        .map(|p| format!("{} {}\n", p.kind, hex(&p.payload)));
    let said = ffmpeg(&["read"], &lines.collect::<String>())?;
    let noise = said.lines().filter_map(|line| line.strip_prefix("noise "));
    noise
        .map(|line| {
            let levels: Result<Vec<f64>, _> = line.split(' ').map(str::parse).collect();
            levels?
                .try_into()
                .ok()
                .with_context(|| format!("{line:?} of FFmpeg"))
        })
        .collect()
}

fn ffmpeg(args: &[&str], input: &str) -> anyhow::Result<String> {
    let mut child = Command::new("/usr/bin/python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/comfort-noise.py"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("python3 cannot be started")?;
    let mut to = child.stdin.take().context("nothing to write to")?;
    let text = input.to_owned();
    // it answers while it reads
    let writer = std::thread::spawn(move || to.write_all(text.as_bytes()));
    let out = child.wait_with_output()?;
    // what it did not read it says itself
    let _ = writer.join();
    let error = String::from_utf8_lossy(&out.stderr);
    ensure!(
        out.status.success(),
        "FFmpeg's codecs by python3-av, see tests/run: {error}"
    );
    Ok(String::from_utf8(out.stdout)?)
}
