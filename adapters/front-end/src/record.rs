//! Records the edges of one input of a front end.

use std::path::Path;
use std::time::Duration;

use gateway_panel::{Edge, MAX_EDGES};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, interval_at, sleep_until};

use crate::doors::open;
use crate::frame::Deframer;
use crate::message::{Order, PortRole, VERSION, Word};

/// How often the front end hears that somebody is there.
const ALIVE: Duration = Duration::from_millis(250);
/// How often whoever waits hears how many edges there are.
const TELL: Duration = Duration::from_secs(1);
/// No word for so long, and there is none.
const SILENCE: Duration = Duration::from_secs(2);

/// Why nothing could be recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The port was lost.
    #[error("the front end is gone")]
    Gone(#[from] std::io::Error),
    /// Edges came faster than they could be told, or were lost on the way.
    #[error("{0} edges were lost: the recording would show what was not")]
    Lost(u16),
    /// The port cannot be opened.
    #[error("{0}; a gateway that runs has it for itself: stop it first")]
    Open(String),
    /// Another version, the other port, or too few inputs.
    #[error(
        "front end {name:?} speaks version {version} on its {role} port and has {inputs} inputs, from 0: version {VERSION}, the line port and input {input} are needed"
    )]
    Other {
        /// Who it is.
        name: String,
        /// Its version.
        version: u8,
        /// `line` or `door`.
        role: &'static str,
        /// How many inputs it has.
        inputs: u8,
        /// Which one is needed.
        input: u8,
    },
    /// Nobody answers.
    #[error("no front end answers at this port")]
    Silent,
}

/// The first level and the edges of an input, for a time or until `stop`; `tell` hears each second how many there are. Nothing is
/// switched.
///
/// # Errors
/// [`RecordError`] if there is no front end, or edges were lost.
pub async fn record(
    path: &Path,
    baud: u32,
    input: u8,
    time: Duration,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(usize),
) -> Result<Vec<Edge>, RecordError> {
    let mut port = open(path, baud).map_err(RecordError::Open)?;
    let mut deframer = Deframer::new();
    let mut buffer = [0; 1024];
    let mut edges: Vec<Edge> = Vec::new();
    let mut next: Option<u16> = None;
    port.write_all(&[0]).await?;
    port.write_all(&Order::Hello { version: VERSION }.frame(1))
        .await?;
    let begin = Instant::now();
    let end = begin + time;
    let (mut alive, mut heard) = (begin, begin);
    let mut seconds = interval_at(begin + TELL, TELL);
    let mut stop = std::pin::pin!(stop);
    while edges.len() < MAX_EDGES {
        let now = Instant::now();
        if now >= end {
            break;
        }
        if now.duration_since(heard) >= SILENCE {
            return Err(RecordError::Silent);
        }
        tokio::select! {
            read = port.read(&mut buffer) => {
                let count = read?;
                if count == 0 {
                    return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
                }
                for byte in &buffer[..count] {
                    let Some(Ok(message)) = deframer.push(*byte) else { continue };
                    let Ok((_, word)) = Word::read(&message) else { continue };
                    heard = Instant::now();
                    take(word, input, &mut next, &mut edges)?;
                }
            }
            _ = seconds.tick() => tell(edges.len()),
            () = &mut stop => break,
            () = sleep_until(alive.min(end)) => {
                port.write_all(&Order::Alive.frame(2)).await?;
                alive = Instant::now() + ALIVE;
            }
        }
    }
    Ok(edges)
}

fn take(word: Word, input: u8, next: &mut Option<u16>, edges: &mut Vec<Edge>) -> Result<(), RecordError> {
    match word {
        Word::Hello(who) if who.version != VERSION || who.role != PortRole::Line || input >= who.inputs => {
            return Err(RecordError::Other {
                name: who.name,
                version: who.version,
                role: match who.role {
                    PortRole::Door => "door",
                    PortRole::Line => "line",
                },
                inputs: who.inputs,
                input,
            });
        }
        Word::State {
            at_us,
            inputs,
            next_edge,
            ..
        } if next.is_none() => {
            *next = Some(next_edge);
            let level = inputs >> (input & 15) & 1 == 1;
            edges.push(Edge { at_us, level });
        }
        Word::Edges { first, edges: told } => {
            let Some(expected) = *next else { return Ok(()) };
            let lost = first.wrapping_sub(expected);
            if lost != 0 {
                return Err(RecordError::Lost(lost));
            }
            *next = Some(first.wrapping_add(u16::try_from(told.len()).unwrap_or_default()));
            let ours = told.into_iter().filter(|edge| edge.input == input);
            edges.extend(ours.map(|edge| Edge {
                at_us: edge.at_us,
                level: edge.level,
            }));
        }
        Word::Done | Word::Door { .. } | Word::Hello(_) | Word::Refused(_) | Word::State { .. } => {}
    }
    Ok(())
}
