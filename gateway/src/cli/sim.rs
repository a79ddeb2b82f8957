//! Arguments of `doorline sim`.

use clap::{Args, Subcommand, ValueEnum};

use super::SiteFile;

#[derive(Args, Debug)]
pub(crate) struct Sim {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    #[command(subcommand)]
    pub(crate) act: SimAct,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Hand {
    /// Lift it.
    Lift,
    /// Put it back.
    Replace,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OnOff {
    /// Active.
    On,
    /// Inactive.
    Off,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SimAct {
    /// Press a button of a panel.
    Press {
        /// Panel.
        panel: String,
        /// Button.
        button: String,
        /// How long, 1 to 60000 ms.
        #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=60_000))]
        ms: u64,
    },
    /// Press a button with contact bounce: ten edges of 1 ms before it stays.
    Bounce {
        /// Panel.
        panel: String,
        /// Button.
        button: String,
    },
    /// An input flickers, as with a loose wire: so many edges a second, none of which lasts.
    Noise {
        /// Input.
        input: String,
        /// Edges a second.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=50_000))]
        hz: u64,
        /// For how long, in milliseconds.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
        ms: u64,
    },
    /// The panel rings on its line; `--stop` ends it.
    Ring {
        /// Line.
        line: String,
        /// The panel stops ringing.
        #[arg(long)]
        stop: bool,
    },
    /// Lift or replace the stock handset.
    Handset {
        /// Line.
        line: String,
        /// Which way.
        hand: Hand,
    },
    /// Cut the line; `--back` mends it.
    LineDrop {
        /// Line.
        line: String,
        /// The line works again.
        #[arg(long)]
        back: bool,
    },
    /// Another panel takes the line; `--free` gives it back.
    Busy {
        /// Line.
        line: String,
        /// The line is free again.
        #[arg(long)]
        free: bool,
    },
    /// Open (on) or shut (off) a door contact, by its input; so are inputs of alarms, relays, lockdowns and rules.
    Contact {
        /// Input.
        input: String,
        /// Level.
        level: OnOff,
    },
    /// Use a REX button: 300 ms active.
    Rex {
        /// Input.
        input: String,
    },
    /// Set the fire input.
    Fire {
        /// Input.
        input: String,
        /// Level.
        level: OnOff,
    },
    /// Present a card: `26:123,04567` or `34:hex:0123abcd4`; a contact key: `ibutton:0000012F4A3C`, `cyfral:1B07`, `metakom:0305FF00`; a QR code: `qr:…`;
    /// a magnetic stripe: `track2:0012345678`.
    Card {
        /// Reader.
        reader: String,
        /// Card.
        card: String,
    },
    /// Type keys at a reader.
    Keys {
        /// Reader.
        reader: String,
        /// `0-9 * #`.
        keys: String,
    },
    /// Let the visitor say something else: `tone:440`, `dtmf:9`, `silence` or a WAV file.
    Speak {
        /// Line.
        line: String,
        /// What.
        what: String,
    },
    /// Print every edge of the virtual relays, from this moment on.
    Watch {
        /// Begin with the edges that are still in the file, which may be old.
        #[arg(long)]
        history: bool,
        /// One JSON object a line, with CLOCK_BOOTTIME nanoseconds.
        #[arg(long)]
        json: bool,
        /// Stop after this many seconds.
        #[arg(long, value_name = "S")]
        seconds: Option<u64>,
    },
}
