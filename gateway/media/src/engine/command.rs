//! What the engine's thread is told, and what it gives back.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{LegId, LineId, Tone, Volume};
use gateway_voice::Voice;

use super::leg::{Leg, Transport};
use super::line::Line;

pub(super) enum Command {
    AddLine(Box<Line>),
    CloseLeg(LegId),
    Connect(LegId, LineId),
    Disconnect(LegId),
    Handshake(LegId, Box<[u8]>),
    MuteLine(LineId, Duration),
    OpenLeg(Box<Leg>),
    PlayToLeg(LegId, Tone),
    PlayToLine(LineId, Tone),
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
#[expect(dead_code, reason = "the values are only kept to be dropped")]
pub(super) enum Used {
    Datagram(Box<[u8]>),
    Leg(Box<Leg>),
    Line(Box<Line>),
    Name(LineId),
    Transport(Box<Transport>),
    Voice(Box<Voice>),
}
