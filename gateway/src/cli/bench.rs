//! Arguments of `doorline bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(super) const EXAMPLES: &str = "\
Examples:
  doorline bench                  # everything, a table, about six minutes
  doorline bench door release     # two parts
  doorline bench journal --full   # durable events per second, up to ten million records (6 GB)
  doorline bench --dir /var/tmp   # on the medium that is meant

Each figure has two lines: part, path, measured value, budget, verdict and the load average before its part;
then the other values of the same measurement and how it was made. A budget of - is none: the figure explains
another. Verdicts are about this run on this machine; the exit code is 0 also if a budget was not kept.

  bell to INVITE         from the edge of a button, less 20 ms of debounce, to the INVITE at a telephone
  card, REX, digit       to the moment the relay guard energises the strike; 100000 cards, 32 doors.
                         `two bare processes` beside it is what the machine itself takes to hand one byte on
                         at the same time: what both share is the scheduler's, the ratio is ours
  durable events         four producers, each waiting until its event is on the medium, at growing journals
  journal opened         its share of a start, and how long `journal rebuild` takes
  memory                 proportional set size of gateway, guard and sentinel, idle after one opening
  CPU of an INVITE ...   user and system time of one side's process
  CPU of one SRTP call   of 20 at once for 60 s, with sound both ways
  mouth to ear           on virtual lines through two engines
  start                  from exec to the REGISTER on the wire
  killed, frozen         to the release of an output that was energised";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchPart {
    /// Bell to INVITE; card, REX and digit to the guard's output.
    Door,
    /// Durable events per second.
    Journal,
    /// A flood of live signals: what who looks gets, memory, and doors meanwhile.
    Live,
    /// Memory of gateway and guard.
    Memory,
    /// Events and commands over MQTT and the API, beside the broker alone.
    Mqtt,
    /// From the death of gateway or guard to the release of an output.
    Release,
    /// Processor time per call and per call set-up; mouth to ear.
    Sip,
    /// From start to the first REGISTER.
    Start,
}

#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// Which; all if none is given.
    #[arg(value_enum)]
    pub(crate) parts: Vec<BenchPart>,
    /// Folder for its files; the system's temporary one if not given. The journal's figures are those of its medium.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Longer: ten million records, more starts, more deaths.
    #[arg(long)]
    pub(crate) full: bool,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// A telephone in a process of its own: internal, started by the bench itself.
    #[arg(long, hide = true)]
    pub(crate) role: Option<String>,
}
