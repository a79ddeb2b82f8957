//! Logs of the program itself; what happens at doors is in the journal.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Logs to standard error, where systemd and a terminal both look. `DOORLINE_LOG` sets the filter.
pub(crate) fn to_stderr() {
    let filter =
        EnvFilter::try_from_env("DOORLINE_LOG").unwrap_or_else(|_| EnvFilter::new("info,rumqttd=off"));
    // the demo's broker is left out: it logs every client that goes, and our own client tells what matters
    // a second call, as in tests, keeps the first
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
}

/// Only warnings and worse, for the demo, whose output is a story. `DOORLINE_LOG` sets the filter.
pub(crate) fn quiet() {
    let filter =
        EnvFilter::try_from_env("DOORLINE_LOG").unwrap_or_else(|_| EnvFilter::new("warn,rumqttd=off"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
}
