//! The speech of a call: what is spoken goes out every 20 ms, what is heard is recorded.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::sdp::{A_LAW, Ours, Theirs};
use crate::sound::{self, FRAME, Recording};
use crate::srtp::{Context, Way};

/// Packets of an event while its key is down: 160 ms.
const DOWN: u16 = 8;
/// Repetitions of its last packet, RFC 4733 §2.5.1.4.
const LAST: u16 = 3;

/// A running conversation; it ends when this is dropped.
pub(crate) struct Speech {
    keys: mpsc::UnboundedSender<Key>,
    tasks: [JoinHandle<()>; 2],
}

/// A key that goes with the speech.
pub(crate) enum Key {
    /// A telephone event of this number.
    Event(u8),
    /// Tones in the place of what is spoken.
    Tones(Vec<i16>),
}

impl Speech {
    /// Begins.
    ///
    /// # Errors
    /// If the keys are none, or a file cannot be written.
    pub(crate) fn begin(
        socket: &Arc<UdpSocket>,
        ours: Ours,
        theirs: &Theirs,
        voice: Vec<i16>,
        heard: PathBuf,
    ) -> anyhow::Result<Self> {
        let lock = |key: Option<[u8; 30]>, way| key.map(|key| Context::new(key, way)).transpose();
        let (keys, pressed) = mpsc::unbounded_channel();
        let mouth = Mouth {
            events: theirs.events,
            lock: lock(ours.key, Way::Out)?,
            sequence: 0,
            socket: Arc::clone(socket),
            timestamp: 0,
            to: theirs.to,
        };
        let key = theirs.key.map(|(_, key)| key);
        let (lock, socket) = (lock(key, Way::In)?, Arc::clone(socket));
        let told = |what: &'static str, end: anyhow::Result<()>| {
            if let Err(error) = end {
                println!("{what} has ended: {error:#}");
            }
        };
        let record = Recording::create(&heard)?;
        Ok(Self {
            keys,
            tasks: [
                tokio::spawn(async move { told("the mouth", mouth.speak(voice, pressed).await) }),
                tokio::spawn(async move { told("the ear", hear(&socket, lock, record).await) }),
            ],
        })
    }

    /// Presses a key.
    pub(crate) fn press(&self, key: Key) {
        // a mouth that has ended has said why
        let _ = self.keys.send(key);
    }
}

impl Drop for Speech {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

struct Mouth {
    events: Option<u8>,
    lock: Option<Context>,
    sequence: u16,
    socket: Arc<UdpSocket>,
    timestamp: u32,
    to: std::net::SocketAddr,
}

impl Mouth {
    async fn speak(mut self, voice: Vec<i16>, mut keys: mpsc::UnboundedReceiver<Key>) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let mut voice = voice.iter().copied().cycle();
        let mut tones = VecDeque::new();
        loop {
            ticks.tick().await;
            match keys.try_recv() {
                Ok(Key::Event(number)) => {
                    let kind = self.events.context("they took no telephone events")?;
                    self.event(kind, number, &mut ticks).await?;
                }
                Ok(Key::Tones(samples)) => tones.extend(samples),
                Err(mpsc::error::TryRecvError::Empty) => {}
                Err(mpsc::error::TryRecvError::Disconnected) => return Ok(()),
            }
            let frame: Vec<u8> = (0..FRAME)
                .map(|_| tones.pop_front().or_else(|| voice.next()).unwrap_or(0))
                .map(sound::to_a_law)
                .collect();
            self.send(A_LAW, false, &frame).await?;
            self.timestamp += FRAME as u32;
        }
    }

    /// One event, all of whose packets have the time of its begin (RFC 4733 §2.5.1.2).
    async fn event(&mut self, kind: u8, number: u8, ticks: &mut tokio::time::Interval) -> anyhow::Result<()> {
        const VOLUME: u8 = 10;
        for packet in 1..=DOWN {
            let [high, low] = (packet * FRAME as u16).to_be_bytes();
            self.send(kind, packet == 1, &[number, VOLUME, high, low]).await?;
            ticks.tick().await;
        }
        let [high, low] = (DOWN * FRAME as u16).to_be_bytes();
        for _ in 0..LAST {
            self.send(kind, false, &[number, 0x80 | VOLUME, high, low])
                .await?;
            ticks.tick().await;
        }
        self.timestamp += u32::from(DOWN + LAST) * FRAME as u32;
        Ok(())
    }

    async fn send(&mut self, kind: u8, marker: bool, payload: &[u8]) -> anyhow::Result<()> {
        let mut packet = vec![0x80, kind | if marker { 0x80 } else { 0 }];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(*b"door");
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        if let Some(lock) = &mut self.lock {
            lock.protect(&mut packet)?;
        }
        // the other side may have hung up
        let _ = self.socket.send_to(&packet, self.to).await;
        Ok(())
    }
}

async fn hear(socket: &UdpSocket, mut lock: Option<Context>, mut record: Recording) -> anyhow::Result<()> {
    let mut buffer = [0; 2048];
    loop {
        let Ok((length, _)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let mut packet = buffer[..length].to_vec();
        // RTP of version 2 without extension, of A-law; comfort noise and RTCP are passed over
        if length < 12 || packet[0] != 0x80 || packet[1] & 0x7f != A_LAW {
            continue;
        }
        if let Some(lock) = &mut lock
            && let Err(error) = lock.unprotect(&mut packet)
        {
            println!("a packet was not signed: {error:#}");
            continue;
        }
        record.append(&packet[12..])?;
    }
}
