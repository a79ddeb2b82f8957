//! What the engine's thread is told, and what it gives back.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{LegId, LineId, Tone, Volume};
use gateway_voice::Voice;

use super::leg::{Leg, Transport};
use super::line::Line;
use super::recorder::Recorder;

pub(super) enum Command {
    AddLine(Box<Line>),
    CloseLeg(LegId),
    Connect(LegId, LineId),
    Disconnect(LegId),
    /// From here on it is not answered, or it is.
    Early(LegId, bool),
    Handshake(LegId, Box<[u8]>),
    /// A leg, whom it is to talk with, and a place for both.
    Join(LegId, LegId, Box<Line>),
    MuteLine(LineId, Duration),
    OpenLeg(Box<Leg>),
    PlayToLeg(LegId, Tone),
    PlayToLine(LineId, Tone),
    Record(LegId, Box<Recorder>, Arc<[i16]>),
    /// Samples, and whether nothing else is heard meanwhile.
    SayToLeg(LegId, Arc<[i16]>, bool),
    SayToLine(LineId, Arc<[i16]>),
    RemoveLine(LineId),
    SendDigit(LegId, u8, Duration),
    SendTones(LegId, char, Duration),
    SetVoice(LineId, Box<Voice>),
    SilenceLine(LineId),
    SetVolume(LineId, Volume),
    UpdateLeg(LegId, Box<Transport>),
}

/// What the engine no longer uses; dropped on a caller's thread.
#[expect(dead_code, reason = "most values are only kept to be dropped")]
pub(super) enum Used {
    Datagram(Box<[u8]>),
    Leg(Box<Leg>),
    Line(Box<Line>),
    Name(LineId),
    Recorder(Box<Recorder>, Option<Arc<[i16]>>),
    Sound(Arc<[i16]>),
    Transport(Box<Transport>),
    Voice(Box<Voice>),
}

impl Used {
    /// Whoever writes down a recording learns that it is over, also before this is dropped.
    pub(super) fn end_recordings(&self) {
        match self {
            Self::Leg(leg) => {
                if let Some((recorder, _)) = &leg.to_record {
                    recorder.end();
                }
            }
            Self::Line(line) => {
                if let Some((_, recorder)) = &line.recorder {
                    recorder.end();
                }
            }
            Self::Recorder(recorder, _) => recorder.end(),
            Self::Datagram(_) | Self::Name(_) | Self::Sound(_) | Self::Transport(_) | Self::Voice(_) => {}
        }
    }
}
