//! `[site]` and `[guard]`.

use std::path::PathBuf;
use std::time::Duration;

use gateway_core::{InputId, SiteId};

use crate::describe::table;
use crate::rules::{Path, int, into, ms, name, parsed, refer, text, word};
use crate::value::{Country, GuardMode, Language, SiteNumber};

table! {
    /// Identity of the site and the folders of the gateway.
    pub struct Site {
        /// Short name of the site: part of topics and of file names.
        id: SiteId = "id", name(), needed("'x'"), Process;
        /// Name for people, 1 to 100 characters.
        name: String = "name", text(1, 100), needed("'x'"), Live;
        /// Number of the site, 9 digits, as told to a monitoring centre.
        number: String = "number", into(parsed::<SiteNumber>(), |n| n.0), needed("'000000000'"), Live;
        /// Address where the gateway is installed, 1 to 200 characters.
        address: String = "address", text(1, 200), needed("'x'"), Live;
        /// Language of prompts, notices, and names in Home Assistant, and of the page where a browser asks for none that
        /// the page has: a browser sends the languages that its user has set, and the page takes the one that is wished
        /// most.
        language: Language = "language", word(), or("\"en\""), Live;
        /// Country, two letters as `fr` (ISO 3166): numbers of callers, people and lists are the same there however they are written,
        /// as `0612345678`, `+33612345678` or `0033612345678`. Without it they are compared as they are written.
        country: Option<Country> = "country", parsed(), optional, Live;
        /// Time zone of schedules and of times shown to people: a name of the IANA time zone database.
        time_zone: String = "time-zone", text(1, 60), or("\"UTC\""), Live;
        /// Folder of journal, index, cursors, users and confirmed generations of this file.
        state_dir: PathBuf = "state-dir", Path, or("\"/var/lib/doorline\""), Process;
        /// Most room for the journal of what happened, 64 to 1048576 MiB; a million records take about 600. When it is
        /// full, the oldest records are removed, also those that a broker that is away has not had.
        journal_mib: u64 = "journal-mib", int(64, 1_048_576), or("1024"), Live;
        /// Folder of sockets and of the lock that keeps a second instance out.
        run_dir: PathBuf = "run-dir", Path, or("\"/run/doorline\""), Process;
        /// Input of the fire alarm system: when it becomes active, every door of ours opens until an operator resets the
        /// alarm. What releases doors without any software is a contact of the alarm in the supply of the locks: wire both.
        fire_input: Option<InputId> = "fire-input", refer("input"), optional, Live;
        /// Input that locks the whole site down: nobody is let in, exits and fire open as ever. The lockdown stays when
        /// the input is inactive again, until somebody ends it.
        lockdown_input: Option<InputId> = "lockdown-input", refer("input"), optional, Live;
    }
}

table! {
    /// The relay guard: the separate process that alone holds the outputs and releases them when the gateway
    /// dies.
    pub struct Guard {
        /// Who starts the guard.
        mode: GuardMode = "mode", word(), or("\"spawn\""), Process;
        /// Longest silence of the gateway after which the guard releases every output, 200 to 2000 ms.
        lease: Duration = "lease-ms", ms(200, 2000), or("1000"), Restart;
    }
}
