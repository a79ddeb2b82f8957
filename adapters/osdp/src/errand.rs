//! What an operator has a reader do once: take a file, or another address and speed; how it goes, and what is on record of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use gateway_core::{Instant, ReaderEvent, ReaderId, ReaderService, Subject};

use crate::transfer::File;

/// Address and speed of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// 0 to 126.
    pub address: u8,
    /// Bits per second.
    pub baud: u32,
}

impl Settings {
    /// Data of COMSET (v2.2, 6.13) and of its answer COM (7.14).
    pub(crate) fn encode(self) -> Vec<u8> {
        [&[self.address][..], &self.baud.to_le_bytes()].concat()
    }

    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let [address, b0, b1, b2, b3, ..] = *data else {
            return None;
        };
        Some(Self {
            address,
            baud: u32::from_le_bytes([b0, b1, b2, b3]),
        })
    }
}

/// What an operator wants of a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Give it a file.
    Give(File),
    /// Give up what was begun.
    GiveUp,
    /// Have it take another address or speed.
    Settings(Settings),
}

/// How it goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is done; what there is to know of it.
    Done(String),
    /// It is over, and why.
    Failed(String),
    /// The reader has so many bytes.
    Sent {
        /// So many.
        sent: u32,
        /// Of so many.
        total: u32,
    },
}

/// Writes down what happens at a reader.
type Note = Box<dyn Fn(ReaderId, ReaderEvent) + Send + Sync>;

/// An errand of a reader.
#[derive(Clone, Debug)]
struct Course {
    by: Subject,
    progress: Progress,
    what: ReaderService,
}

#[derive(Debug, Default)]
struct State {
    /// The last errand of each reader.
    courses: BTreeMap<ReaderId, Course>,
    /// Windows for keys: until when, and who opened them.
    windows: BTreeMap<ReaderId, (Instant, Subject)>,
}

/// How it goes with the errands of the readers of all lines. Each that begins, ends or is refused is written down.
#[derive(Clone, Default)]
pub struct Errands {
    note: Arc<OnceLock<Note>>,
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for Errands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Errands").field(&*self.state()).finish()
    }
}

impl Errands {
    /// Who writes down; the first one counts.
    pub fn note_by(&self, note: impl Fn(ReaderId, ReaderEvent) + Send + Sync + 'static) {
        let _ = self.note.set(Box::new(note));
    }

    /// Begins one of so many bytes, unless another one is on its way to this reader.
    pub fn begin(
        &self,
        reader: &ReaderId,
        what: ReaderService,
        by: &Subject,
        text: String,
        total: u32,
    ) -> bool {
        let mut state = self.state();
        if state.courses.get(reader).is_some_and(Course::runs) {
            return false;
        }
        let course = Course {
            by: by.clone(),
            progress: Progress::Sent { sent: 0, total },
            what,
        };
        state.courses.insert(reader.clone(), course);
        drop(state);
        let subject = by.clone();
        self.write(reader, ReaderEvent::ServiceBegan { subject, text, what });
        true
    }

    /// Somebody may give it its key by the default key until then.
    pub fn open_window(&self, reader: &ReaderId, by: &Subject, until: Instant, text: String) {
        let window = (until, by.clone());
        self.state().windows.insert(reader.clone(), window);
        let (subject, what) = (by.clone(), ReaderService::Key);
        self.write(reader, ReaderEvent::ServiceBegan { subject, text, what });
    }

    /// What was asked for was not begun.
    pub fn refuse(&self, reader: &ReaderId, what: ReaderService, by: &Subject, text: String) {
        let subject = by.clone();
        self.write(reader, ReaderEvent::ServiceRefused { subject, text, what });
    }

    /// How it goes with the last one of a reader.
    #[must_use]
    pub fn progress(&self, reader: &ReaderId) -> Option<Progress> {
        Some(self.state().courses.get(reader)?.progress.clone())
    }

    /// How it goes from here on. What is said of one that does not run is told to whoever asks and is not on record.
    pub fn tell(&self, reader: &ReaderId, progress: Progress) {
        let mut state = self.state();
        let Some(course) = state.courses.get_mut(reader) else {
            return;
        };
        let ran = course.runs();
        course.progress = progress;
        let ended = ran.then(|| course.ended()).flatten();
        drop(state);
        if let Some(event) = ended {
            self.write(reader, event);
        }
    }

    /// What is on its way to these readers ends with this text.
    pub(crate) fn cut<'a>(&self, readers: impl Iterator<Item = &'a ReaderId>, text: &str) {
        for reader in readers {
            if self.state().courses.get(reader).is_some_and(Course::runs) {
                self.tell(reader, Progress::Failed(text.to_owned()));
            }
        }
    }

    /// A reader took its key.
    pub(crate) fn key_taken(&self, now: Instant, reader: &ReaderId) {
        let window = self.state().windows.remove(reader);
        let subject = window.and_then(|(until, by)| (now < until).then_some(by));
        let event = ReaderEvent::ServiceEnded {
            outcome: "done".to_owned(),
            subject,
            text: "the reader took its key".to_owned(),
            what: ReaderService::Key,
        };
        self.write(reader, event);
    }

    fn write(&self, reader: &ReaderId, event: ReaderEvent) {
        match self.note.get() {
            Some(note) => note(reader.clone(), event),
            None => tracing::error!(%reader, tag = event.tag(), "nobody writes this down"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Course {
    const fn runs(&self) -> bool {
        matches!(self.progress, Progress::Sent { .. })
    }

    /// What is on record of its end; `None` while it runs.
    fn ended(&self) -> Option<ReaderEvent> {
        let (outcome, text) = match &self.progress {
            Progress::Done(text) => ("done", text),
            Progress::Failed(text) => ("failed", text),
            Progress::Sent { .. } => return None,
        };
        Some(ReaderEvent::ServiceEnded {
            outcome: outcome.to_owned(),
            subject: Some(self.by.clone()),
            text: text.clone(),
            what: self.what,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn kept() -> (Errands, Arc<Mutex<Vec<ReaderEvent>>>) {
        let (errands, all) = (Errands::default(), Arc::<Mutex<Vec<ReaderEvent>>>::default());
        let to = Arc::clone(&all);
        errands.note_by(move |_, event| to.lock().expect("free").push(event));
        (errands, all)
    }

    fn tags(all: &Mutex<Vec<ReaderEvent>>) -> Vec<&'static str> {
        all.lock().expect("free").iter().map(ReaderEvent::tag).collect()
    }

    #[test]
    fn an_errand_is_on_record_as_it_begins_and_once_as_it_ends() {
        let (errands, all) = kept();
        let (reader, by) = ("gate".parse().expect("a name"), Subject::User("console".into()));
        assert!(errands.begin(&reader, ReaderService::File, &by, "3 bytes".into(), 3));
        assert!(!errands.begin(&reader, ReaderService::File, &by, "3 bytes".into(), 3));
        errands.tell(&reader, Progress::Sent { sent: 2, total: 3 });
        assert_eq!(tags(&all), ["service-began"]);
        errands.cut([&reader].into_iter(), "gone");
        errands.cut([&reader].into_iter(), "gone again");
        // of one that is over nothing more is on record, though whoever asks is told
        errands.tell(&reader, Progress::Failed("nothing is on its way".into()));
        assert_eq!(tags(&all), ["service-began", "service-ended"]);
        let last = all.lock().expect("free").last().cloned();
        let ended = ReaderEvent::ServiceEnded {
            outcome: "failed".into(),
            subject: Some(by.clone()),
            text: "gone".into(),
            what: ReaderService::File,
        };
        assert_eq!(last, Some(ended));
        let told = errands.progress(&reader);
        assert_eq!(told, Some(Progress::Failed("nothing is on its way".into())));
        assert!(errands.begin(&reader, ReaderService::Settings, &by, "address 5".into(), 0));
    }

    #[test]
    fn a_key_is_of_whoever_opened_the_window_while_that_is_open() {
        let (errands, all) = kept();
        let (reader, by) = ("gate".parse().expect("a name"), Subject::User("console".into()));
        let now = Instant::from_nanos(1_000_000_000);
        let minute = Duration::from_secs(60);
        errands.open_window(&reader, &by, now + minute, "for 60 s".into());
        errands.key_taken(now + minute / 2, &reader);
        // by the site file
        errands.key_taken(now + minute / 2, &reader);
        errands.open_window(&reader, &by, now + minute, "for 60 s".into());
        errands.key_taken(now + minute, &reader);
        let all = all.lock().expect("free");
        let whose = all.iter().filter_map(|event| match event {
            ReaderEvent::ServiceEnded { subject, .. } => Some(subject.is_some()),
            ReaderEvent::Card { .. }
            | ReaderEvent::Key {}
            | ReaderEvent::Misread { .. }
            | ReaderEvent::PinAwaited {}
            | ReaderEvent::ServiceBegan { .. }
            | ReaderEvent::ServiceRefused { .. } => None,
        });
        assert_eq!(whose.collect::<Vec<_>>(), [true, false, false]);
    }
}
