//! The command line. Completions and the man page come from these definitions.

mod access;
mod backup;
mod bench;
mod dot1x;
mod journal;
mod network;
mod people;
mod report;
mod rules;
mod sim;
mod support;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use access::{Access, AccessAct, Ask};
pub(crate) use backup::{Backup, BackupAct, Restore};
pub(crate) use bench::{Bench, BenchPart};
pub(crate) use dot1x::{Dot1x, Dot1xAct, NewKey};
pub(crate) use journal::{Format, Journal, JournalAct};
pub(crate) use network::{Network, NetworkAct, Time, TimeAct};
pub(crate) use people::{Addition, Contacts, ContactsAct, People, PeopleAct, PeopleForm};
pub(crate) use report::{Report, ReportAct, ReportRange};
pub(crate) use rules::{Rules, RulesAct, TryRules};
pub(crate) use sim::{Hand, OnOff, Sim, SimAct};
pub(crate) use support::{CaptureAct, Support, SupportAct};

#[cfg(feature = "sound-cards")]
use crate::commands::Audio;
use crate::commands::{Controllers, Decode, Encode, Osdp, Panel, Readers};

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
    /// Readers: show the bits of their cards, and learn a card format from three cards whose printed numbers are known.
    #[command(
        after_help = "Examples:\n  doorline readers learn street                       # asks for what is printed on each card\n  doorline readers learn street --printed 123,4567 --printed 123,4568 --printed 123,15000\n  doorline readers learn street --cards 1 --seconds 30"
    )]
    Readers(Readers),
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
        after_help = bench::EXAMPLES
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

#[cfg(test)]
mod tests;
