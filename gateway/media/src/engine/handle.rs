//! The handle's side: commands, the queue, and the place where used parts are dropped.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use adapter_api::{AudioPort, SAMPLE_RATE};
use gateway_core::{LegId, LineId, Tone, Volume};
use gateway_priority::Turn;
use gateway_voice::{Params, Voice};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use rustix::event::{EventfdFlags, eventfd};

use super::command::{Command, Used};
use super::leg::{Leg, LegParams, Transport};
use super::line::Line;
use super::ports::{PortAllocator, PortPair};
use super::recorder::Recorder;
use super::thread::{self, Sink};
use super::{EngineError, EngineParams};
use crate::sdp::Agreed;

/// Commands that may wait for the next tick.
const COMMANDS: usize = 256;

pub(super) struct Inner {
    commands: SyncSender<Command>,
    wake: Arc<OwnedFd>,
    used: Mutex<Receiver<Used>>,
    ports: PortAllocator,
    params: EngineParams,
    /// How voices of lines are treated; as many as lines of a site. A line whose port comes later finds it here.
    voices: Mutex<BTreeMap<LineId, Params>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}

impl Inner {
    pub(super) fn start(params: EngineParams, sink: Sink) -> Result<Self, EngineError> {
        let system = |what| {
            move |e: rustix::io::Errno| EngineError::System {
                what,
                source: e.into(),
            }
        };
        let wake = Arc::new(
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(system("wake-up event"))?,
        );
        let (commands, inbox) = sync_channel(COMMANDS);
        // As many as commands can be under way, each of which frees at most two parts.
        let (grave, used) = sync_channel(4 * COMMANDS);
        let run = thread::Run::new(sink, inbox, grave, Arc::clone(&wake)).map_err(system("timer"))?;
        std::thread::Builder::new()
            .name("media".into())
            .spawn(move || {
                // without permission it takes its turn like everybody else
                let _ = Turn::Speech.take();
                run.run();
            })
            .map_err(|source| EngineError::System {
                what: "thread",
                source,
            })?;
        Ok(Self {
            commands,
            wake,
            used: Mutex::new(used),
            ports: PortAllocator::new(params.bind, &params.ports, params.dscp).traced(params.trace.clone()),
            params,
            voices: Mutex::default(),
        })
    }

    /// Drops what the engine handed back: ports become free here.
    fn sweep(&self) {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while used.try_recv().is_ok() {}
    }

    fn send(&self, command: Command) -> Result<(), EngineError> {
        self.sweep();
        self.commands.try_send(command).map_err(|e| match e {
            TrySendError::Disconnected(_) => EngineError::Stopped,
            TrySendError::Full(_) => EngineError::QueueFull,
        })?;
        self.wake();
        Ok(())
    }

    fn wake(&self) {
        // The counter cannot overflow in practice; if it could, the engine would be awake already.
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
    }

    fn rng() -> Result<StdRng, EngineError> {
        StdRng::try_from_os_rng().map_err(|e| EngineError::System {
            what: "random numbers",
            source: io::Error::other(e),
        })
    }

    pub(super) fn reserve_ports(&self) -> Result<PortPair, EngineError> {
        self.sweep();
        self.ports.reserve()
    }

    pub(super) fn add_line(&self, line: LineId, port: Box<dyn AudioPort>) -> Result<(), EngineError> {
        // locked until it is sent, so that no later word on the same line goes past it
        let voices = self.voices.lock().unwrap_or_else(PoisonError::into_inner);
        let voice = voice(voices.get(&line).copied().unwrap_or_default())?;
        self.send(Command::AddLine(Box::new(Line::new(line, port, voice))))
    }

    pub(super) fn set_voice(&self, line: &LineId, params: Params) -> Result<(), EngineError> {
        let mut voices = self.voices.lock().unwrap_or_else(PoisonError::into_inner);
        if voices.get(line).copied().unwrap_or_default() != params {
            self.send(Command::SetVoice(line.clone(), voice(params)?))?;
            voices.insert(line.clone(), params);
        }
        Ok(())
    }

    pub(super) fn remove_line(&self, line: &LineId) -> Result<(), EngineError> {
        self.send(Command::RemoveLine(line.clone()))
    }

    pub(super) fn open_leg(&self, leg: LegId, ports: PortPair) -> Result<(), EngineError> {
        let mut rng = Self::rng()?;
        let params = LegParams {
            jitter_start: self.params.jitter_start,
            jitter_max: self.params.jitter_max,
            measures: Arc::clone(&self.params.measures),
            media_timeout: self.params.media_timeout,
            ssrc: rng.next_u32(),
            // Below 2^15, so that SRTP's roll-over counter is not guessed wrong (RFC 3711 §3.3.1).
            sequence: (rng.next_u32() & 0x7fff) as u16,
            timestamp: rng.next_u32(),
            cname: self.params.cname.clone(),
        };
        self.send(Command::OpenLeg(Box::new(Leg::new(leg, ports, params))))
    }

    pub(super) fn update_leg(&self, leg: LegId, agreed: &Agreed) -> Result<(), EngineError> {
        let transport = Transport::new(leg, agreed)?;
        self.send(Command::UpdateLeg(leg, Box::new(transport)))
    }

    pub(super) fn send_handshake(&self, leg: LegId, datagram: Box<[u8]>) -> Result<(), EngineError> {
        self.send(Command::Handshake(leg, datagram))
    }

    pub(super) fn connect_leg(&self, leg: LegId, line: &LineId) -> Result<(), EngineError> {
        self.send(Command::Connect(leg, line.clone()))
    }

    pub(super) fn join_legs(&self, leg: LegId, with: LegId) -> Result<(), EngineError> {
        let place = Line::joint(voice(Params::default())?);
        self.send(Command::Join(leg, with, Box::new(place)))
    }

    pub(super) fn record_leg(
        &self,
        leg: LegId,
        recorder: Recorder,
        announcement: Arc<[i16]>,
    ) -> Result<(), EngineError> {
        self.send(Command::Record(leg, Box::new(recorder), announcement))
    }

    pub(super) fn early_leg(&self, leg: LegId, early: bool) -> Result<(), EngineError> {
        self.send(Command::Early(leg, early))
    }

    pub(super) fn disconnect_leg(&self, leg: LegId) -> Result<(), EngineError> {
        self.send(Command::Disconnect(leg))
    }

    pub(super) fn close_leg(&self, leg: LegId) -> Result<(), EngineError> {
        self.send(Command::CloseLeg(leg))
    }

    pub(super) fn play_to_leg(&self, leg: LegId, tone: Tone) -> Result<(), EngineError> {
        self.send(Command::PlayToLeg(leg, tone))
    }

    pub(super) fn play_to_line(&self, line: &LineId, tone: Tone) -> Result<(), EngineError> {
        self.send(Command::PlayToLine(line.clone(), tone))
    }

    pub(super) fn say_to_leg(&self, leg: LegId, samples: Arc<[i16]>, alone: bool) -> Result<(), EngineError> {
        self.send(Command::SayToLeg(leg, samples, alone))
    }

    pub(super) fn say_to_line(&self, line: &LineId, samples: Arc<[i16]>) -> Result<(), EngineError> {
        self.send(Command::SayToLine(line.clone(), samples))
    }

    pub(super) fn silence_line(&self, line: &LineId) -> Result<(), EngineError> {
        self.send(Command::SilenceLine(line.clone()))
    }

    pub(super) fn set_volume(&self, line: &LineId, volume: Volume) -> Result<(), EngineError> {
        self.send(Command::SetVolume(line.clone(), volume))
    }

    pub(super) fn mute_line(&self, line: &LineId, length: Duration) -> Result<(), EngineError> {
        self.send(Command::MuteLine(
            line.clone(),
            length.min(Duration::from_secs(2)),
        ))
    }

    pub(super) fn send_digit(&self, leg: LegId, digit: char, length: Duration) -> Result<(), EngineError> {
        let (code, length) = key(digit, length)?;
        self.send(Command::SendDigit(leg, code, length))
    }

    pub(super) fn send_tones(&self, leg: LegId, digit: char, length: Duration) -> Result<(), EngineError> {
        let (_, length) = key(digit, length)?;
        self.send(Command::SendTones(leg, digit, length))
    }
}

fn key(digit: char, length: Duration) -> Result<(u8, Duration), EngineError> {
    let code = crate::telephone_event::code_of(digit).ok_or(EngineError::Digit { digit })?;
    Ok((
        code,
        length.clamp(Duration::from_millis(40), Duration::from_secs(2)),
    ))
}

fn voice(params: Params) -> Result<Box<Voice>, EngineError> {
    Ok(Box::new(Voice::new(params, SAMPLE_RATE)?))
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Disconnect first, so that the woken thread sees it.
        let (closed, _) = sync_channel(0);
        self.commands = closed;
        self.wake();
    }
}
