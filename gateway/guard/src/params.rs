//! What the guard is told at start. It has its own view of the configuration and takes no limits from the gateway.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use adapter_api::{BoxFuture, OutputDriver};
use gateway_core::OutputId;
use gateway_guard_proto::Wiring;

/// What makes an output a relay that only tells something: no Grant reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardRelay {
    /// True if it rests while it is active.
    pub inverted: bool,
    /// For so long the last word of the gateway counts.
    pub silence: Duration,
    /// What counts after that.
    pub when_silent: bool,
}

/// One output of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardOutput {
    /// Channel as the driver counts: GPIO offset, relay number.
    pub channel: u16,
    /// Longest time it stays energised.
    pub max_on: Duration,
    /// Which output.
    pub output: OutputId,
    /// `None` for one that opens.
    pub relay: Option<GuardRelay>,
    /// Device, channel and polarity, to be compared with what the gateway means by the name.
    pub wiring: Wiring,
}

/// One device and the outputs that hang on it.
pub struct GuardBoard {
    /// The device.
    pub driver: Box<dyn OutputDriver>,
    /// Its outputs, each on its own channel.
    pub outputs: Vec<GuardOutput>,
    /// What it means for the locks when the device does not answer; added to the text of that fault. May be empty.
    pub vanished: String,
}

impl GuardBoard {
    /// The channels in use.
    #[must_use]
    pub fn channels(&self) -> Vec<u16> {
        self.outputs.iter().map(|o| o.channel).collect()
    }
}

/// How the guard starts its sentinel: the same program, so that it builds the same boards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelParams {
    /// For example `relay-guard --sentinel --config FILE`.
    pub args: Vec<OsString>,
    /// For example `/proc/self/exe`.
    pub program: PathBuf,
}

/// Everything the guard needs.
pub struct GuardParams {
    /// The devices.
    pub boards: Vec<GuardBoard>,
    /// True if a gateway started us and holds our standard input: its end is our end.
    pub follow_stdin: bool,
    /// How long an output stays energised without renewal, 200 ms to 2 s.
    pub lease: Duration,
    /// Who watches the guard; `None` leaves a frozen guard unwatched and is for tests only.
    pub sentinel: Option<SentinelParams>,
    /// What else its devices are asked for, beside its outputs; begins with it and ends with it.
    pub services: Vec<BoxFuture<'static, ()>>,
    /// Where the gateway connects; created with mode 0600, with a lock file `<socket>.lock` beside it.
    pub socket: PathBuf,
}
