//! Standard output, whose errors are told from all others.

use std::io::{self, StdoutLock, Write};

/// Standard output could not be written: its reader is gone, or the disk it goes to is full.
#[derive(Debug)]
pub(crate) struct Unwritten(io::Error);

impl Unwritten {
    /// True if `error` came from [`Out`] because nobody reads it any more, as after `head`.
    pub(crate) fn reader_gone(error: &anyhow::Error) -> bool {
        error.chain().any(|cause| {
            let error = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            let own = error.and_then(|inner| inner.downcast_ref::<Self>());
            own.is_some_and(|own| own.0.kind() == io::ErrorKind::BrokenPipe)
        })
    }
}

impl std::fmt::Display for Unwritten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "standard output cannot be written: {}", self.0)
    }
}

impl std::error::Error for Unwritten {}

/// Standard output of a command.
pub(crate) struct Out(StdoutLock<'static>);

/// Standard output, held until it is dropped.
pub(crate) fn out() -> Out {
    Out(io::stdout().lock())
}

fn unwritten(error: io::Error) -> io::Error {
    // an interrupted one is tried again by whoever writes, who asks for its kind: it stays the same
    io::Error::new(error.kind(), Unwritten(error))
}

impl Write for Out {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf).map_err(unwritten)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(unwritten)
    }
}
