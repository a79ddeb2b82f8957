//! The command line. Completions and the man page come from these definitions.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

#[cfg(feature = "sound-cards")]
use crate::commands::Audio;
use crate::commands::{Controllers, Decode, Encode, Osdp, Panel};

/// Exit codes, for scripts.
pub(crate) mod exit {
    /// Done.
    pub(crate) const OK: u8 = 0;
    /// Something failed while running; the message says what.
    pub(crate) const FAILED: u8 = 1;
    /// Wrong usage; the parser of the command line ends with it, too.
    pub(crate) const USAGE: u8 = 2;
    /// The configuration has faults.
    pub(crate) const CONFIG: u8 = 3;
    /// Something is in use: another instance, a port, a device.
    pub(crate) const IN_USE: u8 = 4;
    /// The journal has damage.
    pub(crate) const DAMAGE: u8 = 5;
    /// A running gateway refused, or something of the machine stands in the way.
    pub(crate) const REFUSED: u8 = 6;
}

const CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 faults in the configuration, \
4 already in use, 5 damage in the journal, 6 refused by the running gateway, or by what the machine is.";

const BENCH: &str = "\
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

/// Doorline brings doors to a PBX, MQTT and the browser.
#[derive(Debug, Parser)]
#[command(name = "doorline", version, after_help = CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the site file is unless something else is said.
pub(crate) const SITE_FILE: &str = "/etc/doorline/site.toml";

/// Where the site file is.
#[derive(Args, Debug, Clone)]
pub(crate) struct SiteFile {
    /// Site file (TOML).
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = SITE_FILE,
        global = true
    )]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway.
    #[command(
        after_help = "Examples:\n  doorline run --config /etc/doorline/site.toml\n  systemctl reload doorline   # SIGHUP: read the file again; calls and pulses of unchanged doors go on"
    )]
    Run(SiteFile),
    /// Check a site file and report all faults at once.
    #[command(
        after_help = "Examples:\n  doorline check config/examples/minimal.toml\n  doorline check --elsewhere site.toml   # not on the gateway: its password files are not here\n  doorline check --schema > site.schema.json   # for editors"
    )]
    Check(Check),
    /// Play the whole story on virtual hardware: no account, no internet.
    #[command(
        after_help = "Examples:\n  doorline demo          # plays once, then serves the page on http://127.0.0.1:8080\n  doorline demo --once   # exits 0 only if every step was really seen"
    )]
    Demo(Demo),
    /// Drive the virtual devices of a running gateway, or watch virtual relays.
    #[command(
        after_help = "Examples:\n  doorline sim press main bell\n  doorline sim card front-reader 26:123,04567\n  doorline sim watch --json"
    )]
    Sim(Sim),
    /// People and their credentials: cards, PINs, telephones, codes of visitors. The gateway must run; changes count at
    /// once.
    #[command(
        after_help = "Examples:\n  doorline people add alice --name Alice --groups residents --card 123,04567 --pin 4711\n  doorline people add --code new --doors front --uses 1 --until 2026-12-24   # prints a visitor's code\n  doorline people import residents.csv --dry-run\n  doorline people export --format csv > residents.csv   # holds cards and numbers: keep it safe\n  doorline people remove --credential c-4k2mq7xw3abc\n  doorline people erase alice --confirm alice   # and everything that tells of her"
    )]
    People(People),
    /// Who may open what, and what another site file would alter. The gateway must run; nothing opens.
    #[command(
        after_help = "Examples:\n  doorline access explain --door front --card 123,04567 --at 2026-12-24T22:10\n  doorline access explain --door front --code 4711\n  doorline access diff new-site.toml"
    )]
    Access(Access),
    /// Contacts of a running gateway as a table (CSV): out, and in as a whole or not at all.
    #[command(
        after_help = "Examples:\n  doorline contacts export > contacts.csv\n  doorline contacts import contacts.csv --dry-run\n  doorline contacts import contacts.csv --replace   # who stands in no line is removed"
    )]
    Contacts(Contacts),
    /// Access controllers of somebody else: send one a card. The gateway must run.
    #[command(after_help = "Example:\n  doorline controllers send lift 26:123,04567")]
    Controllers(Controllers),
    /// Read, export, verify or rebuild the journal.
    #[command(
        after_help = "Examples:\n  doorline journal tail --follow\n  doorline journal export --format csv > events.csv\n  doorline journal export --class door > doors.jsonl\n  doorline journal verify && echo whole"
    )]
    Journal(Journal),
    /// Who opened which door when, one line per call, how doors did; of the journal's files, as CSV or as a table.
    #[command(
        after_help = "Examples:\n  doorline report openings --door front --from 2026-12-01 --to 2026-12-24 --by card --csv > openings.csv\n  doorline report openings --who alice --refused\n  doorline report calls --csv > calls.csv\n  doorline report doors --from 2026-12-01"
    )]
    Report(Report),
    /// Keep what this gateway is made of in one encrypted file: site file, people, credentials, users, tokens, keys.
    #[command(
        after_help = "Examples:\n  doorline backup --out door.backup                                # asks for a passphrase\n  doorline backup --out door.backup --passphrase-file pass.txt\n  doorline backup show door.backup\n\nThe gateway may run. The journal is not in it: doorline journal export"
    )]
    Backup(Backup),
    /// Restore a backup, while the gateway does not run. Without --yes it only says what that would do.
    #[command(
        after_help = "Examples:\n  doorline restore door.backup          # what it would change, and who would get in again\n  doorline restore door.backup --yes"
    )]
    Restore(Restore),
    /// What is known of a running gateway, for whoever is asked for help; and a capture of its calls. Without secrets and audio.
    #[command(
        after_help = "Examples:\n  doorline support bundle --out support.tar\n  doorline support capture begin --seconds 60   # then call, then:\n  doorline support capture save --out calls.pcap"
    )]
    Support(Support),
    /// The process that holds the outputs. Started by `run`, or by its own unit.
    #[command(after_help = "Example:\n  doorline relay-guard --config /etc/doorline/site.toml")]
    RelayGuard(RelayGuard),
    /// Try out the rules of a site file on an event. Nothing is done.
    #[command(
        after_help = "Examples:\n  doorline rules try --event '{\"kind\":\"door.denied\",\"source\":\"front\"}' --times 3 --at 2026-12-24T22:10\n  doorline rules try --event \"$(doorline journal export | tail -n 1)\" --state front=shut"
    )]
    Rules(Rules),
    /// Decode by hand what a scope or another tool shows, with the gateway's own decoders.
    #[command(
        after_help = "Examples:\n  doorline decode wiegand 26:2f623ae\n  doorline decode osdp ff 53 00 08 00 04 60 eb aa\n  doorline decode keypad --help   # each kind has more"
    )]
    Decode(Decode),
    /// The other way round: what a device would send.
    #[command(
        after_help = "Examples:\n  doorline encode wiegand --format h10301 --facility 123 --number 4567\n  doorline encode keypad --help   # each kind has more"
    )]
    Encode(Encode),
    /// Keep a change of the switch port (802.1X), or make a key for it.
    #[command(
        after_help = "Examples:\n  doorline dot1x confirm            # after a reload that changed [dot1x]; otherwise that is taken back\n  doorline dot1x request --name gateway --key /etc/doorline/port.key --out port.csr\n  doorline dot1x self-signed --name gateway --days 3650 --key /etc/doorline/port.key --out /etc/doorline/port.pem"
    )]
    Dot1x(Dot1x),
    /// OSDP readers: make a key, let a reader be given its own, give it firmware, another address or speed.
    #[command(
        after_help = "Examples:\n  doorline osdp new-key /etc/doorline/street.key\n  doorline osdp install street --minutes 5   # the reader is new, or was reset\n  doorline osdp move street --address 3          # within that window\n  doorline osdp firmware street reader-2.4.bin"
    )]
    Osdp(Osdp),
    /// Kinds of panel lines: list and show them, learn one from a recording, and play a front end.
    #[command(
        after_help = "Examples:\n  doorline panel list\n  doorline panel show vizit-matrix   # own-profile of a line begins with it\n  doorline panel learn --port /dev/serial/by-id/usb-Front_End-if00 --seconds 20 --keep ring.edges\n  doorline panel learn --gpio /dev/gpiochip0:17\n  doorline encode panel --profile 4n > ring.edges && doorline panel learn ring.edges\n  doorline panel simulate front-end --profile laskomex-digital   # then type: ring 12"
    )]
    Panel(Panel),
    /// Sound cards: list them, show the level at a microphone, and measure the echo of a line.
    #[cfg(feature = "sound-cards")]
    #[command(
        after_help = "Examples:\n  doorline audio list\n  doorline audio meter --card Device,0\n  doorline audio test --card Device,0   # stop the gateway first: a card has one user"
    )]
    Audio(Audio),
    /// Tell the switch who hangs at its port (LLDP). Started by its own unit, which alone may send raw frames.
    #[command(
        after_help = "Example:\n  doorline lldp --config /etc/doorline/site.toml   # needs the capability CAP_NET_RAW"
    )]
    Lldp(SiteFile),
    /// Show or change the address of the port. A change is taken back unless it is confirmed in time.
    #[command(
        after_help = "Examples:\n  doorline network check            # what would be written, and what stands in the way\n  sudo doorline network apply       # carries out [network] of the site file, for two minutes\n  sudo doorline network confirm     # keeps it"
    )]
    Network(Network),
    /// Show the machine's clock and who keeps it right, or set it by hand.
    #[command(
        after_help = "Examples:\n  doorline time show\n  sudo doorline time set \"2026-11-29 10:15:00\"   # in the site's time zone; only where no time service runs"
    )]
    Time(Time),
    /// Look at the machine: what is there, who claims it, what is missing and how to mend it.
    #[command(after_help = "Example:\n  doorline doctor --config /etc/doorline/site.toml")]
    Doctor(SiteFile),
    /// Measure the budgets of the architecture page on this machine.
    #[command(
        after_help = BENCH
    )]
    Bench(Bench),
    /// Version of the program, of the journal and of the guard protocol.
    Version,
    /// Print shell completions.
    #[command(after_help = "Example:\n  doorline completions bash > /etc/bash_completion.d/doorline")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the man page.
    #[command(after_help = "Example:\n  doorline man | man -l -")]
    Man,
}

#[derive(Args, Debug)]
pub(crate) struct Check {
    /// Site file (TOML).
    #[arg(value_name = "FILE", required_unless_present_any = ["schema", "reference", "asyncapi"])]
    pub(crate) file: Option<PathBuf>,
    /// Check on another machine than the gateway: a password file that is not here is a warning, not a fault.
    #[arg(long, requires = "file")]
    pub(crate) elsewhere: bool,
    /// State folder whose people are looked at for names that the site file does not have; that of the site file unless said.
    #[arg(long, value_name = "DIR", requires = "file", conflicts_with = "elsewhere")]
    pub(crate) state: Option<PathBuf>,
    /// Print the JSON schema for editors and stop.
    #[arg(long)]
    pub(crate) schema: bool,
    /// Print the reference page (Markdown) and stop.
    #[arg(long, conflicts_with = "schema")]
    pub(crate) reference: bool,
    /// Print what is said and taken over MQTT (AsyncAPI 3.0) and stop.
    #[arg(long, conflicts_with_all = ["schema", "reference"])]
    pub(crate) asyncapi: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Dot1x {
    #[command(subcommand)]
    pub(crate) act: Dot1xAct,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Dot1xAct {
    /// Keep a change of `[dot1x]`, which the gateway would take back.
    Confirm(SiteFile),
    /// A key, and a request that the network's CA signs.
    Request(NewKey),
    /// Take a change of `[dot1x]` back at once.
    Rollback(SiteFile),
    /// A key, and a certificate that it signs itself; for servers that are told single certificates.
    SelfSigned {
        #[command(flatten)]
        new: NewKey,
        /// How many days it is valid, 1 to 3650.
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
    },
}

#[derive(Args, Clone, Debug)]
pub(crate) struct NewKey {
    /// Common name: who the gateway is for the authentication server.
    #[arg(long)]
    pub(crate) name: String,
    /// DNS name in the certificate; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) dns: Vec<String>,
    /// New file of the private key (ECDSA P-256).
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// New file of the request or certificate.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The clock was set by hand: do not wait for the time service.
    #[arg(long)]
    pub(crate) clock_is_right: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Play the story once and stop; 0 only if every step was really seen.
    #[arg(long)]
    pub(crate) once: bool,
    /// Port of the page on 127.0.0.1, 0 for any free one; 8080 if it is free.
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Folder for its state; a new temporary one if not given.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

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

fn class(word: &str) -> Result<gateway_core::Class, String> {
    gateway_core::Class::from_word(word).ok_or_else(|| {
        let all: Vec<&str> = gateway_core::Class::ALL
            .iter()
            .map(|class| class.word())
            .collect();
        format!("allowed: {}", all.join(", "))
    })
}

#[derive(Args, Debug)]
pub(crate) struct Journal {
    /// Site file, to find the state folder.
    #[command(flatten)]
    pub(crate) site: SiteFile,
    /// State folder; instead of the one in the site file.
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) state: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) act: JournalAct,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// Comma-separated values, with a head line.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JournalAct {
    /// Print the last records.
    Tail {
        /// Go on with new records.
        #[arg(short, long)]
        follow: bool,
        /// How many to begin with.
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: usize,
    },
    /// Write records to standard output.
    Export {
        /// Only this class: application, audio, display, door, hardware, network or use.
        #[arg(long, value_parser = class)]
        class: Option<gateway_core::Class>,
        /// Form.
        #[arg(long, value_enum, default_value_t = Format::Jsonl)]
        format: Format,
        /// First sequence number.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// Last sequence number.
        #[arg(long)]
        to: Option<u64>,
        /// Only this ring.
        #[arg(long)]
        ring: Option<String>,
        /// Only this source: a door, panel, line, reader, account or device.
        #[arg(long)]
        source: Option<String>,
    },
    /// Check every record and the chain; exit code 5 if there is damage.
    Verify,
    /// Throw the index away and make it again from the logs. The gateway must not run.
    Rebuild,
}

#[derive(Args, Debug)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    /// State folder; instead of the one in the site file.
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) state: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) act: ReportAct,
}

/// What every report takes.
#[derive(Args, Debug)]
pub(crate) struct ReportRange {
    /// Only this door; of calls those that opened it, and those at a panel that the site file has serve it.
    #[arg(long)]
    pub(crate) door: Option<String>,
    /// From when on: 2026-12-24, 2026-12-24T22:10 in the site's time zone, or with an offset.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Until when; a day without time counts as a whole.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Comma-separated values, with a head line.
    #[arg(long)]
    pub(crate) csv: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReportAct {
    /// One line for each call: who rang or called, who was called and answered, how long, how it ended, what it opened.
    Calls {
        #[command(flatten)]
        range: ReportRange,
    },
    /// Openings by means, hour and day, refusals, doors forced and held open, time until somebody answered.
    Doors {
        #[command(flatten)]
        range: ReportRange,
    },
    /// Who opened which door when, by which means. Names are those of a running gateway's records.
    Openings {
        #[command(flatten)]
        range: ReportRange,
        /// Only by this means: api, button, by-panel, caller, card, code, digits, fire, local, mqtt, rex, rule, schedule or web.
        #[arg(long, value_parser = factor)]
        by: Option<gateway_core::Factor>,
        /// Only of this person or other subject: alice, person:alice, contact:sip:1000@pbx.
        #[arg(long)]
        who: Option<String>,
        /// Refusals too.
        #[arg(long)]
        refused: bool,
    },
}

fn factor(word: &str) -> Result<gateway_core::Factor, String> {
    gateway_core::Factor::from_word(word).ok_or_else(|| {
        let all: Vec<&str> = gateway_core::Factor::ALL
            .iter()
            .map(|factor| factor.word())
            .collect();
        format!("allowed: {}", all.join(", "))
    })
}

#[derive(Args, Debug)]
pub(crate) struct People {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    #[command(subcommand)]
    pub(crate) act: PeopleAct,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PeopleForm {
    /// Comma-separated values, with a head line.
    Csv,
    /// A JSON list.
    Json,
}

/// Columns of an import line, as options.
#[derive(Args, Debug)]
pub(crate) struct Addition {
    /// Id of the person: 1 to 40 of a-z, 0-9, - and _. Without one, the credential belongs to nobody in particular.
    pub(crate) person: Option<String>,
    /// Name of the person.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Groups of the site file, with spaces or commas between; - for none.
    #[arg(long)]
    pub(crate) groups: Option<String>,
    /// Nothing of the person opens.
    #[arg(long, conflicts_with = "unblock")]
    pub(crate) block: bool,
    /// The person is not blocked any more.
    #[arg(long)]
    pub(crate) unblock: bool,
    /// From when anything of the person opens: 2026-12-24, 2026-12-24T22:10, or with an offset; - lifts it.
    #[arg(long, value_name = "TIME", requires = "person", allow_hyphen_values = true)]
    pub(crate) person_from: Option<String>,
    /// Until when; a day without time counts as a whole; - lifts it.
    #[arg(long, value_name = "TIME", requires = "person", allow_hyphen_values = true)]
    pub(crate) person_until: Option<String>,
    /// A card: 123,04567; ten digits; hex:04A1B2C3; rev: before the last two for the other byte order; 26:123,04567;
    /// track2:0012345678; cyfral:1B07 and metakom:0305FF00 for contact keys of these makers.
    #[arg(long)]
    pub(crate) card: Vec<String>,
    /// A contact key (iButton): 16 hexadecimal digits, or the 12 of its serial number.
    #[arg(long)]
    pub(crate) ibutton: Vec<String>,
    /// The text of a QR code that a reader reads, 8 to 512 characters. Only its digest is kept.
    #[arg(long)]
    pub(crate) qr: Vec<String>,
    /// The person's PIN, 4 to 8 digits: after a card, or in a call from a telephone. Others of this machine may see
    /// it in the list of processes; an import from a file does not show it.
    #[arg(long)]
    pub(crate) pin: Option<String>,
    /// Another PIN, which the person types when forced: it opens as the PIN does, and a silent alarm is raised.
    #[arg(long)]
    pub(crate) duress_pin: Option<String>,
    /// A code that the person types when forced, or `new`: it opens as a code does, and a silent alarm is raised.
    #[arg(long)]
    pub(crate) duress_code: Option<String>,
    /// A code that opens by itself, 4 to 8 digits, or `new` for one that is drawn and printed.
    #[arg(long)]
    pub(crate) code: Vec<String>,
    /// A telephone number that opens by calling.
    #[arg(long)]
    pub(crate) phone: Vec<String>,
    /// The telephone needs the person's PIN too.
    #[arg(long)]
    pub(crate) phone_needs_pin: bool,
    /// Doors that these credentials open, beside those of the person's groups.
    #[arg(long)]
    pub(crate) doors: Option<String>,
    /// Schedule of these credentials.
    #[arg(long)]
    pub(crate) schedule: Option<String>,
    /// From when these credentials open: 2026-12-24, 2026-12-24T22:10, or with an offset.
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Until when; a day without time counts as a whole.
    #[arg(long)]
    pub(crate) until: Option<String>,
    /// How often each of them opens.
    #[arg(long)]
    pub(crate) uses: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PeopleAct {
    /// Add a person or credentials, or change them.
    Add(Box<Addition>),
    /// Say that everybody was looked through after damage of the records: they open again from the next start on.
    Confirm,
    /// Erase a person: their name, numbers, cards and ids are taken out of the records and of every event of the journal,
    /// which stays whole. It cannot be undone. What has left this machine (mails, syslog, exports, backups) is not reached.
    Erase {
        /// Id of the person.
        person: String,
        /// A name, number or card that was theirs earlier, or that nobody knew as theirs. May be given several times.
        #[arg(long, value_name = "TEXT")]
        also: Vec<String>,
        /// The id once more; without it you are asked for it.
        #[arg(long, value_name = "PERSON")]
        confirm: Option<String>,
    },
    /// Print everybody as lines that an import reads again. They hold cards and numbers, and digests of codes and PINs.
    Export {
        /// Form.
        #[arg(long, value_enum, default_value_t = PeopleForm::Csv)]
        format: PeopleForm,
    },
    /// Read lines of CSV or JSON (- for standard input). Every bad line is told; then nothing is done.
    ///
    /// What is empty or not there stays as it was; - clears it, and so do null and an empty list of JSON.
    Import {
        /// File.
        file: PathBuf,
        /// Check everything and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// The file is all there is: who stands in no line is removed, and groups and doors that are empty or not there
        /// mean none. A block, schedule, end or number of uses is lifted by a word only (no, -), never by an empty cell.
        #[arg(long)]
        replace: bool,
    },
    /// Print everybody; cards and numbers are masked.
    List {
        /// One JSON list.
        #[arg(long)]
        json: bool,
    },
    /// Remove a person with all credentials, or withdraw one credential.
    Remove {
        /// Id of the person.
        #[arg(required_unless_present = "credential")]
        person: Option<String>,
        /// Id of the credential, as `list` shows it.
        #[arg(long, conflicts_with = "person")]
        credential: Option<String>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Contacts {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    #[command(subcommand)]
    pub(crate) act: ContactsAct,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ContactsAct {
    /// Print all contacts: name, number, address.
    Export,
    /// Read a table (- for standard input). Every bad line is told; then nothing is done.
    Import {
        /// File.
        file: PathBuf,
        /// Check everything and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// The file is all there is: who stands in no line is removed.
        #[arg(long)]
        replace: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    /// File to write; it must not be there.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// File with the passphrase in its first line, for its owner only; - is standard input. Asked for at the terminal
    /// otherwise. At least 12 characters.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) passphrase_file: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) act: Option<BackupAct>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupAct {
    /// What is in a backup, without its secrets.
    Show {
        /// The backup.
        file: PathBuf,
        /// Each person, credential, user and token.
        #[arg(long)]
        all: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    /// The backup.
    pub(crate) file: PathBuf,
    /// Do it.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Leave the site file that is there.
    #[arg(long)]
    pub(crate) keep_site_file: bool,
    /// The backup may be that of another site than the site file that is there.
    #[arg(long)]
    pub(crate) other_site: bool,
    /// Also write files that the site file names and that lie outside of its folder.
    #[arg(long)]
    pub(crate) files_outside: bool,
    /// File with the passphrase in its first line, for its owner only; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Support {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    #[command(subcommand)]
    pub(crate) act: SupportAct,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SupportAct {
    /// Write a tar file: site file without secrets, health, the newest events, the last calls. It tells of people.
    Bundle {
        /// File to write; it must not be there.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// SIP messages and headers of RTP, as packet analysers read them.
    Capture {
        #[command(subcommand)]
        act: CaptureAct,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CaptureAct {
    /// Begin one. The one before is forgotten.
    Begin {
        /// It ends by itself after so many seconds.
        #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=600))]
        seconds: u64,
    },
    /// End it.
    End,
    /// Write what was captured (pcap).
    Save {
        /// File to write; it must not be there.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Rules {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    #[command(subcommand)]
    pub(crate) act: RulesAct,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesAct {
    /// Say of each rule that looks at the event whether it acts, and what is asked for or what is missing. Exit code 6 if
    /// none acts.
    Try(Box<TryRules>),
}

#[derive(Args, Debug)]
pub(crate) struct TryRules {
    /// The event, as the journal exports it; `kind` is enough.
    #[arg(long, value_name = "JSON")]
    pub(crate) event: String,
    /// When: 2026-12-24T22:10 in the site's time zone, or with an offset; at this moment if not given.
    #[arg(long)]
    pub(crate) at: Option<String>,
    /// It comes so often, a second apart; the last one is told.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) times: u32,
    /// How a door or an input is: `front=open`, `alarm=active`. May be given several times.
    #[arg(long, value_name = "NAME=STATE")]
    pub(crate) state: Vec<String>,
    /// A group that whoever the event is about is in. May be given several times.
    #[arg(long)]
    pub(crate) group: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Access {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    #[command(subcommand)]
    pub(crate) act: AccessAct,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccessAct {
    /// Say whether it would open, and which rule decides. Exit code 6 if it would not.
    Explain(Box<Ask>),
    /// Say what another site file would alter, for whom.
    Diff {
        /// The other site file.
        file: PathBuf,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Ask {
    /// Door.
    #[arg(long)]
    pub(crate) door: String,
    /// A card, in any of the notations of `doorline people add`.
    #[arg(long, conflicts_with_all = ["code", "caller"])]
    pub(crate) card: Option<String>,
    /// What is typed after the card, or dialled by the caller.
    #[arg(long)]
    pub(crate) pin: Option<String>,
    /// A code, typed at a keypad, or dialled by the caller.
    #[arg(long, required_unless_present_any = ["card", "caller", "button", "hold"])]
    pub(crate) code: Option<String>,
    /// The code is dialled by whoever the door called.
    #[arg(long, requires = "code")]
    pub(crate) in_call: bool,
    /// A number that calls the door.
    #[arg(long)]
    pub(crate) caller: Option<String>,
    /// A button that opens by day: PANEL/BUTTON.
    #[arg(long, conflicts_with_all = ["card", "code", "caller", "hold"])]
    pub(crate) button: Option<String>,
    /// The door's schedule that holds it open.
    #[arg(long, conflicts_with_all = ["card", "code", "caller"])]
    pub(crate) hold: bool,
    /// Reader; the first one of the door if not given.
    #[arg(long)]
    pub(crate) reader: Option<String>,
    /// When: 2026-12-24T22:10 in the site's time zone, or with an offset; at this moment if not given.
    #[arg(long)]
    pub(crate) at: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Network {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    #[command(subcommand)]
    pub(crate) act: NetworkAct,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NetworkAct {
    /// Carry out what the site file says of the port.
    Apply {
        /// Take it back unless it is confirmed within this time, 10 to 3600 s.
        #[arg(long, value_name = "S", default_value_t = 120, value_parser = clap::value_parser!(u64).range(10..=3600))]
        seconds: u64,
    },
    /// Say what would be written and what stands in the way; change nothing.
    Check,
    /// Keep the change that waits.
    Confirm,
    /// Give the port its factory address, for an hour unless it is confirmed; run by its unit when an input was held at
    /// the gateway's start.
    #[command(hide = true)]
    Factory,
    /// The process that takes a change back: internal, started by `apply`.
    #[command(hide = true)]
    Hold,
    /// Take back what waited when the machine went down; run by its unit before the network starts.
    Recover,
    /// Take the change that waits back at once.
    Rollback,
    /// Show ports, our files, and the change that waits.
    Show,
}

#[derive(Args, Debug)]
pub(crate) struct Time {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    #[command(subcommand)]
    pub(crate) act: TimeAct,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TimeAct {
    /// Set the clock of the machine; the gateway believes it after a steady minute.
    Set {
        /// `YYYY-MM-DD HH:MM:SS` in the site's time zone, or with an offset: `2026-11-29T10:15:00+01:00`.
        time: String,
    },
    /// Show the time, the time zone, and whether a time service keeps the clock right.
    Show,
}

#[derive(Args, Debug)]
pub(crate) struct RelayGuard {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    /// Write every output to rest once and end: for the time after gateway and guard were killed together.
    #[arg(long, conflicts_with_all = ["follow_stdin", "sentinel"])]
    pub(crate) rest: bool,
    /// End when standard input ends: for a guard that a gateway started.
    #[arg(long, hide = true)]
    pub(crate) follow_stdin: bool,
    /// The sentinel that watches a guard: internal, started by the guard itself.
    #[arg(long, hide = true)]
    pub(crate) sentinel: bool,
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_file_is_named_before_or_after_what_is_to_be_done() {
        let named = "/tmp/other.toml";
        for line in [
            "journal -c F tail -n 5",
            "journal tail -c F",
            "journal --state /tmp export --config F",
            "sim press main bell -c F",
            "sim watch -c F",
            "people list -c F",
            "access diff -c F new.toml",
            "network show -c F",
            "time show -c F",
            "dot1x confirm -c F",
            "osdp install street -c F",
            "osdp move street --address 3 -c F",
            "osdp firmware street f.bin -c F",
            "doctor -c F",
            "contacts export -c F",
            "controllers send lift 26:123,04567 -c F",
            "support bundle --out /tmp/x.tar -c F",
            "backup --out /tmp/x.backup -c F",
            "restore /tmp/x.backup -c F",
        ] {
            let words = ["doorline"].into_iter().chain(line.split(' '));
            let words = words.map(|word| if word == "F" { named } else { word });
            let parsed = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(format!("{parsed:?}").contains(named), "{line}: {parsed:?}");
        }
        let parsed = Cli::try_parse_from(["doorline", "journal", "verify"]).expect("parses");
        assert!(format!("{parsed:?}").contains("/etc/doorline/site.toml"));
    }

    #[test]
    fn every_command_with_arguments_has_examples() {
        let mut command = <Cli as clap::CommandFactory>::command();
        command.build();
        for sub in command.get_subcommands() {
            let shows = sub
                .get_after_help()
                .is_some_and(|help| help.to_string().contains("Example"));
            let plain = matches!(sub.get_name(), "version" | "help");
            assert!(shows || plain, "{} has no example", sub.get_name());
        }
    }

    #[test]
    fn the_unit_files_start_what_they_mean() {
        let units = [
            include_str!("../systemd/doorline.service"),
            include_str!("../guard/systemd/doorline-guard.service"),
        ];
        let helpers = [
            include_str!("../systemd/doorline-factory.service"),
            include_str!("../systemd/doorline-lldp.service"),
            include_str!("../systemd/doorline-network.service"),
        ];
        for unit in helpers {
            let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart="));
            let words = start.expect("a unit starts something").split_whitespace();
            assert!(Cli::try_parse_from(words).is_ok(), "{start:?}");
        }
        for unit in units {
            for key in ["ExecStart=", "ExecStopPost=-"] {
                let start = unit.lines().find_map(|line| line.strip_prefix(key));
                let words = start.expect("a unit starts something").split_whitespace();
                let parsed = Cli::try_parse_from(words);
                assert!(
                    parsed.is_ok(),
                    "{start:?}: {:?}",
                    parsed.err().map(|e| e.to_string())
                );
            }
            // whoever was killed, and whatever killed it: a latching board is written to rest before the next start
            assert!(unit.contains(" relay-guard --rest "), "{unit}");
            // doors wait for no network, also not for one that takes its time at a start
            let order = unit.lines().filter(|line| line.starts_with(['A', 'R', 'W']));
            for line in order.filter(|line| line.contains("network")) {
                assert!(!line.contains(".target"), "{line}");
            }
        }
    }
}
