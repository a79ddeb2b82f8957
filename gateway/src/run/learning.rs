//! Reader learning: a window, opened by an operator, in which cards at one reader open nothing and are told to him alone, bit
//! by bit, so that their layout can be found (`doorline readers learn`).
//!
//! The window ends with its time, when enough cards were read, or when whoever asked for it is gone. Begin and end are on
//! record; the bits are nowhere but in the answers to him.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway_card::bits_of;
use gateway_core::{
    CardFrame, Event, Instant, ReaderEvent, ReaderId, ReaderService, Signal, SignalKind, Subject,
};
use gateway_store::Store;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::note;
use crate::control::Asker;

/// Longest window.
const LONGEST: Duration = Duration::from_secs(600);
/// Most cards of one window.
const MOST: usize = 64;
/// The same bits within this are the same card, held at the reader.
const SAME: Duration = Duration::from_secs(2);

/// The one window that there may be.
#[derive(Clone, Default)]
pub(crate) struct Learning(Arc<Mutex<Option<Window>>>);

struct Window {
    cards: Vec<CardFrame>,
    /// Told when there are enough.
    enough: Arc<Notify>,
    /// When the last card was seen.
    last: Instant,
    /// It ends with so many.
    most: usize,
    reader: ReaderId,
}

/// Closes the window, whatever becomes of whoever waits for its end.
struct Close<'a>(&'a Learning);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

impl Learning {
    /// Is the request for this?
    pub(crate) fn knows(request: &Value) -> bool {
        let act = request.get("act").and_then(Value::as_str);
        act.is_some_and(|act| act.starts_with("reader-learn"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is the signal for the window alone? Of its reader nothing else gets through but how it is.
    pub(crate) fn takes(&self, signal: &Signal) -> bool {
        let mut open = self.lock();
        let frame = match &signal.kind {
            SignalKind::Card { frame, reader } | SignalKind::Raw { frame, reader } => Some((reader, frame)),
            SignalKind::Key { reader, .. } | SignalKind::Misread { reader, .. } => {
                return open.as_ref().is_some_and(|window| window.reader == *reader);
            }
            SignalKind::Controller { .. }
            | SignalKind::Fault(_)
            | SignalKind::Input { .. }
            | SignalKind::Line { .. }
            | SignalKind::Network(_)
            | SignalKind::Port(_)
            | SignalKind::Ready
            | SignalKind::Unread(_) => None,
        };
        let Some((reader, frame)) = frame else {
            return false;
        };
        let Some(window) = open.as_mut().filter(|window| window.reader == *reader) else {
            // nobody learns: the bits as they came are for nobody
            return matches!(signal.kind, SignalKind::Raw { .. });
        };
        let held = window.cards.last() == Some(frame) && signal.at.since(window.last) < SAME;
        window.last = signal.at;
        if !held && window.cards.len() < window.most {
            window.cards.push(frame.clone());
            if window.cards.len() == window.most {
                window.enough.notify_one();
            }
        }
        true
    }

    /// Carries out a request of `commands/readers.rs`. One that opens a window is answered when it is over.
    ///
    /// # Errors
    /// If a window is open already, or a number is out of its range.
    pub(crate) async fn act(
        &self,
        store: &Store,
        request: &Value,
        asker: &mut Asker,
    ) -> Result<Value, String> {
        let name = request.get("reader").and_then(Value::as_str).unwrap_or_default();
        let reader: ReaderId = name.parse().map_err(|error| format!("reader: {error}"))?;
        if request.get("act").and_then(Value::as_str) == Some("reader-learned") {
            return Ok(self.learned(&reader));
        }
        let number = |key: &str| request.get(key).and_then(Value::as_u64).unwrap_or(0);
        let time = Duration::from_secs(number("seconds"));
        let most = usize::try_from(number("cards")).unwrap_or(usize::MAX);
        if time.is_zero() || time > LONGEST || !(1..=MOST).contains(&most) {
            return Err(format!(
                "1 to {} s and 1 to {MOST} cards are allowed",
                LONGEST.as_secs()
            ));
        }
        let (_open, enough) = self.open(&reader, most)?;
        let note = |event| note::journal(store, Event::Reader(reader.clone(), event));
        let (subject, what) = (Subject::User("console".into()), ReaderService::Learn);
        let seconds = time.as_secs();
        tracing::warn!(%reader, seconds, "an operator learns the cards of the reader: they open nothing meanwhile");
        note(ReaderEvent::ServiceBegan {
            subject: subject.clone(),
            text: format!("its cards are shown to the operator and open nothing for {seconds} s"),
            what,
        });
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = enough.notified() => {}
            () = asker.left() => {}
        }
        let count = self.lock().as_ref().map_or(0, |window| window.cards.len());
        tracing::warn!(%reader, count, "the reader's cards open again");
        note(ReaderEvent::ServiceEnded {
            outcome: "done".to_owned(),
            subject: Some(subject),
            text: format!("{count} cards were shown to the operator; its cards open again"),
            what,
        });
        Ok(self.learned(&reader))
    }

    fn open(&self, reader: &ReaderId, most: usize) -> Result<(Close<'_>, Arc<Notify>), String> {
        let mut window = self.lock();
        if let Some(other) = window.as_ref() {
            return Err(format!(
                "the cards of {} are being learned; one reader at a time",
                other.reader
            ));
        }
        let enough = Arc::new(Notify::new());
        *window = Some(Window {
            cards: Vec::new(),
            enough: Arc::clone(&enough),
            last: Instant::ZERO,
            most,
            reader: reader.clone(),
        });
        Ok((Close(self), enough))
    }

    /// The cards of a window, as bits; and whether it is open.
    fn learned(&self, reader: &ReaderId) -> Value {
        let window = self.lock();
        let window = window.as_ref().filter(|window| window.reader == *reader);
        let text = |frame: &CardFrame| -> String {
            let bits = bits_of(frame).into_iter();
            bits.map(|one| if one { '1' } else { '0' }).collect()
        };
        let cards: Vec<String> =
            window.map_or_else(Vec::new, |window| window.cards.iter().map(text).collect());
        json!({ "cards": cards, "open": window.is_some() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(at_ms: u64, kind: SignalKind) -> Signal {
        Signal {
            at: Instant::from_nanos(at_ms * 1_000_000),
            device: "reader-street".parse().expect("a name"),
            simulated: false,
            kind,
        }
    }

    fn id(name: &str) -> ReaderId {
        name.parse().expect("a name")
    }

    fn frame(bits: &[bool]) -> CardFrame {
        gateway_card::frame_of(bits).expect("1 to 256 bits")
    }

    #[test]
    fn only_while_its_window_is_open_a_readers_cards_go_to_the_operator_and_nowhere_else() {
        let learning = Learning::default();
        let odd = frame(&[true, false, true, true, false]);
        let raw = |reader: &str| SignalKind::Raw {
            frame: odd.clone(),
            reader: id(reader),
        };
        let card = |reader: &str| SignalKind::Card {
            frame: odd.clone(),
            reader: id(reader),
        };
        assert!(
            learning.takes(&signal(1, raw("street"))),
            "bits are for nobody else"
        );
        assert!(!learning.takes(&signal(1, card("street"))));

        let (open, _enough) = learning.open(&id("street"), 2).expect("free");
        assert!(learning.open(&id("street"), 2).is_err(), "one at a time");
        assert!(
            learning.takes(&signal(1000, raw("street"))) && learning.takes(&signal(1000, card("street")))
        );
        let key = SignalKind::Key {
            key: '1',
            reader: id("street"),
        };
        assert!(learning.takes(&signal(1100, key)));
        assert!(
            !learning.takes(&signal(1200, card("yard"))),
            "another reader opens as ever"
        );
        let said = learning.learned(&id("street"));
        assert_eq!(
            said,
            json!({ "cards": ["10110"], "open": true }),
            "read twice, it is one card"
        );
        assert!(
            learning.takes(&signal(9000, raw("street"))) && learning.takes(&signal(19_000, raw("street")))
        );
        assert_eq!(
            learning.learned(&id("street"))["cards"].as_array().map(Vec::len),
            Some(2)
        );
        drop(open);
        assert!(!learning.takes(&signal(20_000, card("street"))));
        assert_eq!(learning.learned(&id("street"))["open"], false);
    }
}
