//! Arguments of `doorline people` and `doorline contacts`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::SiteFile;

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
