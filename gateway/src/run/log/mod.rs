//! Logs of the program itself; what happens at doors is in the journal.
//!
//! A pulse must end whoever reads the log: a line is handed to a thread of its own, which alone waits for standard error, the
//! journal of systemd or a syslog. What it cannot take is lost and counted, and an error there is nobody's error.

mod journald;
mod layer;
mod line;
mod syslog;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use gateway_config::{JournalFields, Log, LogFormat, log_words_of};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::journald::Journal;
use self::layer::Structured;
use self::line::Line;
use self::syslog::Syslog;

/// Lines that wait to be written.
const LINES: usize = 1024;
/// How long the end of the program waits for them; nothing is energised then.
const AT_THE_END: Duration = Duration::from_secs(5);
/// How long a panic waits for them.
const AT_A_PANIC: Duration = Duration::from_millis(200);

static WRITER: OnceLock<Writer> = OnceLock::new();
/// How lines are written; one of [`Form`].
static FORM: AtomicU8 = AtomicU8::new(Form::Text as u8);
/// Where lines go besides.
static SYSLOG: RwLock<Option<Syslog>> = RwLock::new(None);
/// Lines that a syslog did not get since the start.
static UNSENT: OnceLock<Arc<AtomicU64>> = OnceLock::new();

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Form {
    /// To standard error, as text.
    Text = 0,
    /// To standard error, as JSON.
    Json = 1,
    /// To the journal of systemd, with fields.
    Journal = 2,
}

impl Form {
    fn now() -> Self {
        match FORM.load(Ordering::Relaxed) {
            1 => Self::Json,
            2 => Self::Journal,
            _ => Self::Text,
        }
    }

    /// What the site file asks for.
    const fn of(log: &Log, in_journal: bool) -> Self {
        Self::by(log.format, log.journald, in_journal)
    }

    const fn by(format: LogFormat, journald: JournalFields, in_journal: bool) -> Self {
        match (journald, format) {
            (JournalFields::On, _) => Self::Journal,
            (JournalFields::Auto, _) if in_journal => Self::Journal,
            (JournalFields::Auto | JournalFields::Off, LogFormat::Json) => Self::Json,
            (JournalFields::Auto | JournalFields::Off, LogFormat::Text) => Self::Text,
        }
    }
}

enum Entry {
    Line(Vec<u8>),
    /// To be written as JSON, or for the journal.
    Fields(Arc<Line>, Form),
    /// Answered when everything before it is written.
    Mark(SyncSender<()>),
}

#[derive(Clone)]
struct Writer {
    /// Lines that found no room since the start.
    lost: Arc<AtomicU64>,
    to: SyncSender<Entry>,
}

/// Logs to standard error, where systemd and a terminal both look. `DOORLINE_LOG` sets the filter.
pub(crate) fn to_stderr() {
    // the demo's broker is left out: it logs every client that goes, and our own client tells what matters
    start("info,rumqttd=off,sled=off");
}

/// Only warnings and worse, for the demo, whose output is a story. `DOORLINE_LOG` sets the filter.
pub(crate) fn quiet() {
    start("warn,rumqttd=off,sled=off");
}

/// A line for a person, as it stands; where lines are JSON, as the message of one. Waits for nobody.
pub(crate) fn say(text: &str) {
    writer().told(Form::now(), tracing::Level::INFO, text);
}

/// The same of what went wrong.
pub(crate) fn complain(text: &str) {
    writer().told(Form::now(), tracing::Level::ERROR, text);
}

/// Takes the form of lines from a site file that is still to be read, and may have faults: these are told in that form, too.
pub(crate) fn foresee(file: &Path) {
    // whatever is no file is refused later, and may never end
    let is_file = std::fs::metadata(file).is_ok_and(|found| found.is_file());
    let text = if is_file {
        std::fs::read_to_string(file)
    } else {
        Ok(String::new())
    };
    let (format, journald) = log_words_of(&text.unwrap_or_default());
    FORM.store(
        Form::by(format, journald, journald::is_standard_error()) as u8,
        Ordering::Relaxed,
    );
}

/// Takes what the site file says of the log.
pub(crate) fn configure(log: &Log) {
    let form = Form::of(log, journald::is_standard_error());
    FORM.store(form as u8, Ordering::Relaxed);
    let mut syslog = SYSLOG.write().unwrap_or_else(PoisonError::into_inner);
    if syslog.as_ref().map(|syslog| &syslog.params) != log.syslog.as_ref() {
        *syslog = log.syslog.clone().map(|params| Syslog::start(params, unsent()));
    }
}

/// The same of a process that tells little, and leaves the syslog to the gateway: only how lines are written.
pub(crate) fn configure_form(log: &Log) {
    let form = Form::of(log, journald::is_standard_error());
    FORM.store(form as u8, Ordering::Relaxed);
}

/// Lines that found no room, or that a syslog did not take, since the start.
pub(crate) fn lost() -> u64 {
    let written = WRITER
        .get()
        .map_or(0, |writer| writer.lost.load(Ordering::Relaxed));
    written + unsent().load(Ordering::Relaxed)
}

/// Why a syslog takes nothing; `None` if all is well.
pub(crate) fn trouble() -> Option<String> {
    let syslog = SYSLOG.read().unwrap_or_else(PoisonError::into_inner);
    syslog.as_ref().and_then(Syslog::trouble)
}

fn unsent() -> &'static Arc<AtomicU64> {
    UNSENT.get_or_init(Arc::default)
}

/// A line with its fields, to wherever such go. Waits for nobody.
fn give(line: Line) {
    let line = Arc::new(line);
    let form = Form::now();
    if form != Form::Text {
        writer().entry(Entry::Fields(Arc::clone(&line), form));
    }
    // it is written to only by a reload
    if let Ok(syslog) = SYSLOG.try_read()
        && let Some(syslog) = syslog.as_ref()
    {
        syslog.line(&line);
    }
}

/// Does anybody want lines with their fields?
fn wants_fields() -> bool {
    Form::now() != Form::Text || SYSLOG.try_read().is_ok_and(|syslog| syslog.is_some())
}

/// Waits, not for ever, until what was logged is written: for the end of the program.
pub(crate) fn finish() {
    if let Ok(syslog) = SYSLOG.try_read()
        && let Some(syslog) = syslog.as_ref()
    {
        syslog.flush(AT_THE_END);
    }
    flush(AT_THE_END);
}

fn flush(patience: Duration) {
    let Some(writer) = WRITER.get() else { return };
    let (done, written) = sync_channel(1);
    if writer.to.try_send(Entry::Mark(done)).is_ok() {
        let _ = written.recv_timeout(patience);
    }
}

fn start(filter: &str) {
    let filter = EnvFilter::try_from_env("DOORLINE_LOG").unwrap_or_else(|_| EnvFilter::new(filter));
    // a second call, as in tests, keeps the first
    let text = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(writer().clone());
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(text)
        .with(Structured)
        .try_init();
    if journald::is_standard_error() {
        FORM.store(Form::Journal as u8, Ordering::Relaxed);
    }
    // the usual one waits for standard error, and a panic there ends the process before its outputs rest
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let trace = std::backtrace::Backtrace::capture();
        complain(&format!(
            "thread {:?}: {panic}\n{trace}",
            thread.name().unwrap_or("unnamed")
        ));
        flush(AT_A_PANIC);
    }));
}

fn writer() -> &'static Writer {
    WRITER.get_or_init(|| {
        let (to, queue) = sync_channel(LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&lost);
        // without the thread every line is lost, and nothing else is
        let _ = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_lines(&queue, &count, &mut std::io::stderr(), &mut Journal::default()));
        Writer { lost, to }
    })
}

fn write_lines(queue: &Receiver<Entry>, lost: &AtomicU64, to: &mut dyn Write, journal: &mut Journal) {
    let mut told = 0;
    for entry in queue {
        let all = lost.load(Ordering::Relaxed);
        let missing = all - std::mem::replace(&mut told, all);
        let text =
            (missing > 0).then(|| format!("{missing} lines of this log were lost: it was not read in time"));
        match entry {
            Entry::Line(line) => {
                if let Some(text) = text {
                    let _ = writeln!(to, "{text}");
                }
                let _ = to.write_all(&line);
            }
            Entry::Fields(line, form) => {
                if let Some(text) = text {
                    write_fields(&Line::own(tracing::Level::WARN, text), form, to, journal);
                }
                write_fields(&line, form, to, journal);
            }
            Entry::Mark(done) => {
                let _ = done.try_send(());
            }
        }
    }
}

fn write_fields(line: &Line, form: Form, to: &mut dyn Write, journal: &mut Journal) {
    let _ = match form {
        Form::Json => to.write_all(&line.json()),
        // whoever reads standard error gets what the journal does not take
        Form::Journal if journal.send(line).is_ok() => Ok(()),
        Form::Journal | Form::Text => writeln!(to, "{} {}: {}", line.level, line.target, line.text()),
    };
}

impl Writer {
    /// What is for a person and no line of the log. It has no fields, so that the journal of systemd gets it as text.
    fn told(&self, form: Form, level: tracing::Level, text: &str) {
        match form {
            Form::Json => {
                let line = Line::own(level, text.trim_end().to_owned());
                self.entry(Entry::Fields(Arc::new(line), form));
            }
            Form::Journal | Form::Text => self.line(format!("{text}\n").into_bytes()),
        }
    }

    fn line(&self, line: Vec<u8>) {
        self.entry(Entry::Line(line));
    }

    fn entry(&self, entry: Entry) {
        if self.to.try_send(entry).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Write for &Writer {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        // of the text for people, while lines go as text
        if Form::now() == Form::Text {
            self.line(line.to_vec());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_find_no_room_are_counted_and_nobody_waits() {
        let (to, queue) = sync_channel(2);
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            lost: Arc::clone(&lost),
            to,
        };
        for n in 0..5 {
            let line = format!("line {n}\n");
            (&writer).write_all(line.as_bytes()).expect("never fails");
        }
        drop(writer);
        let mut to = Vec::new();
        write_lines(&queue, &lost, &mut to, &mut Journal::default());
        let text = String::from_utf8(to).expect("text");
        assert!(text.contains("3 lines of this log were lost"), "{text}");
        assert!(text.ends_with("line 0\nline 1\n"), "{text}");
    }

    #[test]
    fn a_site_file_with_faults_says_how_lines_are_written() {
        let form = |text: &str| {
            let (format, journald) = log_words_of(text);
            Form::by(format, journald, false)
        };
        assert_eq!(form("nonsense = 1\n[log]\nformat = \"json\"\n"), Form::Json);
        assert_eq!(form("[log]\nformat = \"json\"\n[broken"), Form::Json);
        // who waits for lines of JSON can read none of text, and people can read JSON
        for wrong in ["\"yaml\"", "\"JSON\"", "1"] {
            assert_eq!(form(&format!("[log]\nformat = {wrong}\n")), Form::Json);
        }
        assert_eq!(form("[log]\nformat = \"text\"\n"), Form::Text);
        assert_eq!(form("[log]\njournald = \"on\"\n"), Form::Journal);
        assert_eq!(form(""), Form::Text);
    }

    #[test]
    fn the_site_file_says_how_lines_are_written() {
        let form = |text: &str, in_journal| {
            let text = format!(
                "{}\n{text}",
                include_str!("../../../../config/examples/minimal.toml")
            );
            let dir = tempfile::tempdir().expect("a folder");
            let how = gateway_config::SecretFiles::WhereFound;
            let loaded = gateway_config::parse("site.toml", dir.path(), &text, how);
            let config = loaded.unwrap_or_else(|faults| panic!("{faults}")).config;
            Form::of(&config.log, in_journal)
        };
        for (text, in_journal, want) in [
            ("", false, Form::Text),
            ("", true, Form::Journal),
            ("[log]\nformat = \"json\"", false, Form::Json),
            ("[log]\nformat = \"json\"", true, Form::Journal),
            ("[log]\nformat = \"json\"\njournald = \"off\"", true, Form::Json),
            ("[log]\njournald = \"off\"", true, Form::Text),
            ("[log]\njournald = \"on\"", false, Form::Journal),
        ] {
            assert_eq!(form(text, in_journal), want, "{text:?} {in_journal}");
        }
    }

    #[test]
    fn where_lines_are_json_so_is_what_is_said_to_people() {
        let (to, queue) = sync_channel(4);
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            lost: Arc::clone(&lost),
            to,
        };
        writer.told(Form::Json, tracing::Level::INFO, "setup code: 1234");
        writer.told(
            Form::Json,
            tracing::Level::ERROR,
            "site.toml:1:1: wrong\n   | ^ here\n",
        );
        writer.told(Form::Text, tracing::Level::INFO, "setup code: 5678");
        drop(writer);
        let mut to = Vec::new();
        write_lines(&queue, &lost, &mut to, &mut Journal::default());
        let text = String::from_utf8(to).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        let read = |n: usize| serde_json::from_str::<serde_json::Value>(lines[n]).expect("JSON");
        assert_eq!(read(0)["message"], "setup code: 1234");
        assert_eq!(read(0)["level"], "info");
        assert_eq!(read(1)["message"], "site.toml:1:1: wrong\n   | ^ here");
        assert_eq!(lines[2..], ["setup code: 5678"]);
    }

    #[test]
    fn lines_with_fields_are_lost_and_counted_in_their_own_form() {
        let (to, queue) = sync_channel(2);
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            lost: Arc::clone(&lost),
            to,
        };
        for _ in 0..5 {
            writer.entry(Entry::Fields(Arc::new(line::tests::line()), Form::Json));
        }
        drop(writer);
        let mut to = Vec::new();
        write_lines(&queue, &lost, &mut to, &mut Journal::default());
        let text = String::from_utf8(to).expect("text");
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("each line is JSON"))
            .collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(
            lines[0]["message"],
            "3 lines of this log were lost: it was not read in time"
        );
        assert_eq!(lines[2]["fields"]["door"], "front");
    }

    #[test]
    fn what_the_journal_does_not_take_goes_to_standard_error() {
        let mut journal = Journal::at("/nowhere/socket".into());
        let mut to = Vec::new();
        write_fields(&line::tests::line(), Form::Journal, &mut to, &mut journal);
        let text = String::from_utf8(to).expect("text");
        assert_eq!(
            text,
            "WARN doorline::run: a device failed door=\"front\" n=7 text=\"two\\nlines\" ring=\"r1\" door=\"back\"\n"
        );
    }

    #[test]
    fn a_reader_that_is_gone_is_nobodys_error() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let (lines, queue) = sync_channel(4);
        let (done, written) = sync_channel(1);
        for entry in [Entry::Line(b"lost\n".to_vec()), Entry::Mark(done)] {
            lines.send(entry).unwrap_or_else(|_| panic!("room"));
        }
        drop(lines);
        write_lines(&queue, &AtomicU64::new(0), &mut Gone, &mut Journal::default());
        assert!(written.recv().is_ok(), "it goes on after the error");
    }
}
