//! Logs of the program itself; what happens at doors is in the journal.
//!
//! A pulse must end whoever reads the log: a line is handed to a thread of its own, which alone waits for standard error.
//! What it cannot take is lost and counted, and an error there is nobody's error.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait to be written.
const LINES: usize = 1024;
/// How long the end of the program waits for them; nothing is energised then.
const AT_THE_END: Duration = Duration::from_secs(5);
/// How long a panic waits for them.
const AT_A_PANIC: Duration = Duration::from_millis(200);

static WRITER: OnceLock<Writer> = OnceLock::new();

enum Entry {
    Line(Vec<u8>),
    /// Answered when everything before it is written.
    Mark(SyncSender<()>),
}

#[derive(Clone)]
struct Writer {
    /// Lines that found no room since the last one that did.
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

/// A line for a person, as it stands. Waits for nobody.
pub(crate) fn say(text: &str) {
    writer().line(format!("{text}\n").into_bytes());
}

/// Waits, not for ever, until what was logged is written: for the end of the program.
pub(crate) fn finish() {
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
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(writer().clone())
        .try_init();
    // the usual one waits for standard error, and a panic there ends the process before its outputs rest
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let trace = std::backtrace::Backtrace::capture();
        say(&format!(
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
            .spawn(move || write_lines(&queue, &count, &mut std::io::stderr()));
        Writer { lost, to }
    })
}

fn write_lines(queue: &Receiver<Entry>, lost: &AtomicU64, to: &mut dyn Write) {
    for entry in queue {
        match entry {
            Entry::Line(line) => {
                let lost = lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    let _ = writeln!(to, "{lost} lines of this log were lost: it was not read in time");
                }
                let _ = to.write_all(&line);
            }
            Entry::Mark(done) => {
                let _ = done.try_send(());
            }
        }
    }
}

impl Writer {
    fn line(&self, line: Vec<u8>) {
        if self.to.try_send(Entry::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Write for &Writer {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.line(line.to_vec());
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
        write_lines(&queue, &lost, &mut to);
        let text = String::from_utf8(to).expect("text");
        assert!(text.contains("3 lines of this log were lost"), "{text}");
        assert!(text.ends_with("line 0\nline 1\n"), "{text}");
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
        write_lines(&queue, &AtomicU64::new(0), &mut Gone);
        assert!(written.recv().is_ok(), "it goes on after the error");
    }
}
