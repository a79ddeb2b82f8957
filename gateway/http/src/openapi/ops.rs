//! What the table of routes does not say of each: in words, with what it takes and what it answers.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::schema::{Line, Listing, NewLines, Question, RuleQuestion};
use crate::route::Action;
use crate::{
    admin, backup, certificate, config, contacts, controllers, devices, doors, journal, login, network,
    relays, reports, rules, schedules, staff, status, support, wire,
};

/// Makes the schema of a type, or a reference to it.
pub(super) type Maker = fn(&mut SchemaGenerator) -> Schema;

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What a good answer has in it.
pub(super) enum Good {
    /// Nothing.
    Empty,
    /// JSON with an `ETag`.
    Edited(Maker),
    /// A text of this type with an `ETag`.
    EditedText(&'static str),
    /// JSON.
    Json(Maker),
    /// Other types, each with its schema.
    Media(&'static [(&'static str, Maker)]),
}

/// An operation.
pub(super) struct Op {
    /// More than the summary, if there is more to say.
    pub(super) about: &'static str,
    /// Its body by types; true if it must be there.
    pub(super) body: Option<(Vec<(&'static str, Maker)>, bool)>,
    /// Status and content of answers that are not problems.
    pub(super) good: Vec<(u16, Good)>,
    /// Problems of its own, beside those that every route of its kind has.
    pub(super) problems: &'static [(u16, &'static str)],
    /// As the table for integrators says it.
    pub(super) summary: &'static str,
    pub(super) tag: &'static str,
}

impl Op {
    fn new(tag: &'static str, summary: &'static str, good: Good) -> Self {
        Self {
            about: "",
            body: None,
            good: vec![(200, good)],
            problems: &[],
            summary,
            tag,
        }
    }

    fn gives<T: JsonSchema>(tag: &'static str, summary: &'static str) -> Self {
        Self::new(tag, summary, Good::Json(of::<T>))
    }

    fn done(tag: &'static str, summary: &'static str) -> Self {
        Self {
            good: vec![(204, Good::Empty)],
            ..Self::new(tag, summary, Good::Empty)
        }
    }

    fn with_etag<T: JsonSchema>(tag: &'static str, status: u16, summary: &'static str) -> Self {
        Self {
            good: vec![(status, Good::Edited(of::<T>))],
            ..Self::new(tag, summary, Good::Empty)
        }
    }

    fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    fn takes<T: JsonSchema>(mut self) -> Self {
        self.body = Some((vec![("application/json", of::<T>)], true));
        self
    }

    fn may_take<T: JsonSchema>(mut self) -> Self {
        self.body = Some((vec![("application/json", of::<T>)], false));
        self
    }

    fn may_take_anything(mut self) -> Self {
        let media: Vec<(&'static str, Maker)> =
            vec![("application/json", anything), ("text/plain", of::<String>)];
        self.body = Some((media, false));
        self
    }

    fn takes_csv(mut self) -> Self {
        let (media, _) = self.body.get_or_insert((Vec::new(), true));
        media.push(("text/csv", of::<String>));
        self
    }

    fn takes_toml(mut self) -> Self {
        let (media, _) = self.body.get_or_insert((Vec::new(), true));
        media.push(("application/toml", of::<String>));
        self
    }

    const fn problems(mut self, problems: &'static [(u16, &'static str)]) -> Self {
        self.problems = problems;
        self
    }
}

const UNKNOWN: (u16, &str) = (404, "There is no such thing, or it is not among your doors.");
const CHANGED: (u16, &str) = (
    412,
    "`changed`: it is not as `If-Match` or `If-None-Match` says; read it again.",
);
const NEEDS_MATCH: (u16, &str) = (428, "`precondition`: `If-Match` is missing.");
const FULL: (u16, &str) = (
    409,
    "`exists` or `full`: there is one already, or there are too many.",
);
const LOCKED: (u16, &str) = (
    429,
    "`locked`: too many failed attempts from this address or with this name.",
);
const COMMAND: &[(u16, &str)] = &[
    UNKNOWN,
    (
        409,
        "`duplicate` or `line-busy`: this login or token gave this id before, or the line is in use.",
    ),
    (
        410,
        "`stale`: the command is older than its time to live, or of the future.",
    ),
    (
        423,
        "`no-call`: the line of the panel cannot be spoken on unless somebody rings, or nobody has a call there; `not-virtual`: real hardware is never pretended to; `relay`: what is named tells something and opens nothing.",
    ),
    (
        429,
        "`overload`: too many commands wait, or this login or token gave more than 40 at once, or 20 in a second.",
    ),
];

const CERTIFICATE_ELSEWHERE: (u16, &str) = (
    409,
    "`files`: the site file names the certificate. `no-tls`: TLS is off.",
);

const TRIED: &[(u16, &str)] = &[
    (
        409,
        "`broken`: the file on the disk is no TOML. `process`: only a start of the gateway does it. `read-only`: the gateway may not write its site file. `trial`: \
         something is on trial. `unchanged`: nothing changes. `fixed`: the file is not for editing.",
    ),
    CHANGED,
    NEEDS_MATCH,
];

const ON_TRIAL: &str = "The answer comes when it is written down that it is on trial; `GET /api/v1/config/trial` tells how \
                        far it is. It is in force without the site file being touched, and rolled back unless it is \
                        confirmed in time, or if the gateway is started anew before. 400 with `faults` tells every fault.";

const NAMED: &str =
    "By name; `max` and `after` for pages. `next` is the path of the following page, `null` at the end.";

const REPORT: &str = "`next`, and `Link` of CSV, is the path of the following part; there is none at the end. A page may be \
                      empty and have one: a request looks through a bounded part of the journal.";

const COMMANDED: &str = "The answer comes when the record of it is on the medium. An `id` or `Idempotency-Key` makes a \
                         repetition by the same login or token a refused duplicate. After a `fault` where nothing was done the same id \
                         may be sent again, unless the gateway was started anew meanwhile; where something may have been done, \
                         it is a `duplicate`: look at the door, and take a new id. That the relay moved is told by the door \
                         itself, its state and `door.unlocked`; one that does not answer is a fault in health.";

/// Every operation. A new route cannot be forgotten: each action is named.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn op(action: Action) -> Op {
    match action {
        // not of the API
        Action::Asset | Action::Metrics | Action::Page => Op::done("", ""),
        Action::Calls => Op::gives::<doors::Calls<'_>>("calls", "calls that run"),
        Action::Certificate => Op::with_etag::<certificate::Certificate>("gateway", 200, "the certificate that new connections get")
            .problems(&[(404, "`unknown`: TLS is off.")]),
        Action::CertificateRemove => Op::done("gateway", "remove the uploaded certificate: the gateway serves its own again")
            .about("Open connections go on with the one they have.")
            .problems(&[
                (404, "`unknown`: none was uploaded."),
                CERTIFICATE_ELSEWHERE,
                CHANGED,
            ]),
        Action::CertificateReplace => Op::with_etag::<certificate::Certificate>(
            "gateway",
            200,
            "serve another certificate: `{\"certificate\", \"key\"}` as PEM, with `If-Match`",
        )
        .about(
            "It is looked at first: the key has to be that of the first certificate, each certificate vouched for by the next \
             one, none of them ended, and the first one for servers and with names. New connections get it at once; open ones, \
             calls and sockets go on.",
        )
        .takes::<certificate::NewCertificate>()
        .problems(&[
            (400, "`certificate` or `key`: what is wrong with it, and what to send instead."),
            (404, "`unknown`: TLS is off."),
            CERTIFICATE_ELSEWHERE,
            CHANGED,
            NEEDS_MATCH,
        ]),
        Action::Config => Op {
            good: vec![(200, Good::EditedText("application/toml"))],
            ..Op::done("config", "the site file, secrets as `<kept: NAME>`")
        }
        .about("`<kept: NAME>` in a text that is sent back keeps the secret of that name.")
        .problems(&[(
            409,
            "`broken`: the file on the disk is no TOML. `fixed`: the file is not for editing.",
        )]),
        Action::ConfigCheck => Op::gives::<config::ConfigCheck>(
            "config",
            "what a site file (TOML) or changes of keys (`{\"changes\": [{\"path\", \"value\"}]}`) would do",
        )
        .about("Faults are told with 200: `good` says whether it could be put on trial.")
        .takes::<config::ConfigEdits>()
        .takes_toml()
        .problems(&[(409, "`fixed`: the file is not for editing.")]),
        Action::Backup => Op::new(
            "gateway",
            "a backup, encrypted: `{\"passphrase\"}`",
            Good::Media(&[("application/octet-stream", of::<String>)]),
        )
        .about(
            "Site file with its secrets, the files that it names, people, credentials, users, tokens and contacts, to be restored \
             by `doorline restore` at a machine. The journal is not in it.",
        )
        .takes::<backup::BackupBody>(),
        Action::ConfigConfirm => Op::gives::<config::ConfigTrial>("config", "keep what is on trial: it becomes the site file")
            .problems(&[
                (404, "`unknown`: nothing is on trial."),
                (
                    409,
                    "`not-now`: it is not in force. `changed`: the site file was changed at the machine since the trial \
                     began. `read-only`: it cannot be written. `fixed`: it is not for editing.",
                ),
            ]),
        Action::ConfigEdit => Op {
            good: vec![(202, Good::Json(of::<config::ConfigTrial>))],
            ..Op::done("config", "change keys, comments stay: as above, on trial for `confirm-seconds`, with `If-Match`")
        }
        .about(ON_TRIAL)
        .takes::<config::ConfigEdits>()
        .problems(TRIED),
        Action::ConfigReplace => Op {
            good: vec![(202, Good::Json(of::<config::ConfigTrial>))],
            ..Op::done("config", "another site file (TOML), on trial for `confirm-seconds`, with `If-Match`")
        }
        .about(ON_TRIAL)
        .takes_toml()
        .problems(TRIED),
        Action::ConfigRollBack => Op {
            good: vec![(202, Good::Json(of::<config::ConfigTrial>))],
            ..Op::done("config", "take back what is on trial, for good: nothing of it has to be confirmed")
        }
        .problems(&[
            (404, "`unknown`: nothing is on trial."),
            (409, "`not-now`: it is being rolled back. `fixed`: the file is not for editing."),
        ]),
        Action::ConfigTrial => Op::gives::<config::ConfigTrial>("config", "what is on trial, or was last")
            .problems(&[
                (404, "`unknown`: nothing was on trial since the gateway started."),
                (409, "`fixed`: the file is not for editing."),
            ]),
        Action::Contact => Op::with_etag::<contacts::Contact>("contacts", 200, "a contact").problems(&[UNKNOWN]),
        Action::ContactDelete => Op::done("contacts", "remove a contact").problems(&[UNKNOWN, CHANGED]),
        Action::ContactSave => Op {
            good: vec![
                (200, Good::Json(of::<crate::contact_list::ContactsImported>)),
                (201, Good::Edited(of::<contacts::Contact>)),
            ],
            ..Op::done("contacts", "save a contact: `{\"name\", \"number\", \"address\"}`; or a table of them, as `text/csv`")
        }
        .about(
            "One of the same name is replaced. A table has the columns name, number and address, and is taken as a whole or not \
             at all (200): `dry-run=1` changes nothing, `replace=1` removes who stands in no line.",
        )
        .takes::<contacts::NewContact>()
        .takes_csv()
        .problems(&[FULL, CHANGED]),
        Action::Contacts => Op::new(
            "contacts",
            "all contacts of the gateway as a table",
            Good::Media(&[("text/csv", of::<String>)]),
        ),
        Action::CredentialRemove => Op::done("people", "withdraw a credential").problems(&[UNKNOWN]),
        Action::Devices => Op::gives::<devices::Devices<'_>>(
            "gateway",
            "readers, boards, lines, inputs and outputs: where they are, what they are for, what is wrong with them",
        )
        .about(NAMED),
        Action::Directory => Op::gives::<contacts::Directory<'_>>("contacts", "contacts and the directory"),
        Action::Door => Op::gives::<wire::Door<'_>>("doors", "one door").problems(&[UNKNOWN]),
        Action::Doors => Op::gives::<doors::Doors<'_>>("doors", "all doors"),
        Action::Events => Op::new(
            "events",
            "live events (SSE), `from=SEQ` or `Last-Event-ID` to resume",
            Good::Media(&[("text/event-stream", of::<String>)]),
        )
        .about(
            "Events `record` have a Record as data and its number as id; `missed` tells `{\"from\", \"to\"}` of records \
             that are not there any more; `reset` tells the last number of a journal that ends before the one that was \
             named; `bye` is the last one and tells `{\"reason\"}`: `removed` (the user or token), `logged-out`, `not-allowed` \
             (to read, any more), `clock` (not trusted, so that no token counts) or `stopping`. A comment comes every 5 s.",
        ),
        Action::Explain => {
            Op::gives::<staff::Explanation>("people", "what the access decision would say, and by which rule")
                .takes::<Question>()
                .problems(&[UNKNOWN])
        }
        Action::Rules => Op::gives::<rules::Rules<'_>>("gateway", "rules of the site file, and when each acted last").about(NAMED),
        Action::RulesTry => Op::gives::<staff::Tried>("gateway", "what the rules would make of an event; nothing is done")
            .takes::<RuleQuestion>(),
        Action::HangUp => Op::gives::<doors::Done<'_>>("calls", "end the call of a ring")
            .about(COMMANDED)
            .may_take::<doors::CommandBody>()
            .problems(COMMAND),
        Action::Health => Op {
            good: vec![
                (200, Good::Json(of::<status::Health<'_>>)),
                (503, Good::Json(of::<status::Health<'_>>)),
            ],
            ..Op::gives::<status::Health<'_>>(
                "gateway",
                "whether all is well, and with a login the state of every part; 503 if something stands in the way",
            )
        },
        Action::Journal => Op::gives::<journal::Page>(
            "journal",
            "records, newest last; `kind`, `door`, `source`, `ring`, `since`, `until`, `from`, `to`, `max`, `order=desc`",
        )
        .about(
            "`next` is the path of the following page, `null` at the end. A page may have fewer records than `max`, or \
             none, and still have a next one: a request looks through a bounded part of the journal.",
        ),
        Action::Live => Op {
            good: vec![(101, Good::Empty)],
            ..Op::done("events", "live events and pictures of the site (WebSocket), `from=SEQ` to resume")
        }
        .about(
            "Every message is a LiveMessage. `hello` comes first, then a `view` with each change of the picture, a \
             `record` for each record from `from` on, `missed` for those that are left out because the client was \
             more than 1000 behind or they are not there any more, `reset` where the journal ends before `from`, and \
             `alive` every second. `bye` is the last one, with the reasons of `GET /api/v1/events`, or `chatter`. The client \
             says nothing.",
        )
        .problems(&[(426, "`upgrade`: this is a WebSocket.")]),
        Action::Login => Op::gives::<login::Session>("logins", "begin a session: `{\"user\", \"password\"}`")
            .about("The session is a cookie; it counts for requests of the page's own origin only.")
            .takes::<login::LoginBody>()
            .problems(&[(401, "`login-failed`: name or password is wrong."), LOCKED]),
        Action::Logout => Op::done("logins", "end it"),
        Action::Network => Op::gives::<network::Network<'_>>("gateway", "ports, names, the switch's word, relays and clock of the machine"),
        Action::Open => Op::gives::<doors::Done<'_>>("doors", "open it; with `{\"ring_id\"}` only for this visitor")
            .about(COMMANDED)
            .may_take::<doors::OpenBody>()
            .problems(COMMAND),
        Action::HoldBegin => Op::gives::<doors::Done<'_>>("doors", "hold it open: `{\"minutes\"}`")
            .about(COMMANDED)
            .takes::<doors::HoldBody>()
            .problems(COMMAND),
        Action::HoldEnd => Op::gives::<doors::Done<'_>>("doors", "hold it open no longer")
            .about(COMMANDED)
            .may_take::<doors::CommandBody>()
            .problems(COMMAND),
        Action::Hook => Op::done("gateway", "what a device says that is an input: `inputs.NAME.webhook`, with its own token")
            .about(
                "`Authorization: Bearer` with the token of this input, which opens this path only. With `X-Doorline-At` a \
                 request that is more than 10 s old is refused, and one that was taken already.",
            )
            .may_take_anything()
            .problems(&[
                (401, "`login`: there is no such input, or this is not its token."),
                (404, "`unknown`: the input is gone."),
                (
                    409,
                    "`stale`: `X-Doorline-At` is more than 10 s old, from before the start, more than 2 s ahead, or before \
                     another one that was taken. `duplicate`: this very request was taken already.",
                ),
                LOCKED,
            ]),
        Action::QuietBegin => Op::gives::<doors::Done<'_>>("calls", "do not disturb: its bells call nobody; with `{\"minutes\"}` for a time")
            .about(COMMANDED)
            .may_take::<doors::QuietBody>()
            .problems(COMMAND),
        Action::RingToOpenBegin => Op::gives::<doors::Done<'_>>("calls", "let in who rings there: `{\"minutes\"}`")
            .about(COMMANDED)
            .takes::<doors::RingToOpenBody>()
            .problems(COMMAND),
        Action::RingToOpenEnd => Op::gives::<doors::Done<'_>>("calls", "let in who rings there no longer")
            .about(COMMANDED)
            .may_take::<doors::CommandBody>()
            .problems(COMMAND),
        Action::QuietEnd => Op::gives::<doors::Done<'_>>("calls", "let its bells call again")
            .about(COMMANDED)
            .may_take::<doors::CommandBody>()
            .problems(COMMAND),
        Action::FireReset => Op::gives::<doors::Done<'_>>("doors", "the fire is over: nothing opens for it any more")
            .about(COMMANDED)
            .may_take::<doors::CommandBody>()
            .problems(COMMAND),
        Action::LockdownBegin => Op::gives::<doors::Done<'_>>(
            "doors",
            "let nobody in: `{\"group\"}`, without it at the whole site",
        )
        .about(COMMANDED)
        .may_take::<doors::LockdownBody>()
        .problems(COMMAND),
        Action::LockdownEnd => Op::gives::<doors::Done<'_>>("doors", "end that: `{\"group\"}`")
            .about(COMMANDED)
            .may_take::<doors::LockdownBody>()
            .problems(COMMAND),
        Action::AlarmConfirm => Op::gives::<doors::Done<'_>>("gateway", "confirm an alarm: it is over")
            .about(COMMANDED)
            .may_take::<doors::CommandBody>()
            .problems(COMMAND),
        Action::CardSend => Op::gives::<doors::Done<'_>>(
            "gateway",
            "hand a card on to a controller of somebody else that has `by-command`, as if it had been read: `{\"card\"}`",
        )
        .about(COMMANDED)
        .takes::<controllers::CardBody>()
        .problems(COMMAND),
        Action::RelaySet => Op::gives::<doors::Done<'_>>(
            "gateway",
            "set a relay that is there to be set: `{\"state\": \"on\" | \"off\" | \"toggle\", \"for_s\"}`",
        )
        .about(COMMANDED)
        .takes::<relays::RelayBody>()
        .problems(COMMAND),
        Action::PassbackReset => Op::gives::<doors::Done<'_>>(
            "doors",
            "forget in which areas a person is, or everybody: `{\"person\"}`",
        )
        .about(COMMANDED)
        .may_take::<doors::PassbackBody>()
        .problems(COMMAND),
        Action::OpenApi => Op::new("gateway", "this API as an OpenAPI 3.1 document", Good::Json(any)),
        Action::Password => Op::done("logins", "change one's own: `{\"old\", \"new\"}`")
            .takes::<login::PasswordBody>()
            .problems(&[UNKNOWN, LOCKED]),
        Action::Paths => Op::gives::<Listing>("gateway", "this table"),
        Action::People => Op::gives::<staff::Everybody>(
            "people",
            "people with their credentials, and those of the site file, masked; `max` and `after` for pages",
        )
        .about(
            "`next` is the path of the following page, `null` at the end. What has the `origin` `site-file` is changed \
             there alone, and is in no export.",
        ),
        Action::PeopleExport => Op::new(
            "people",
            "everybody, `format=csv` or `json`",
            Good::Media(&[("application/json", of::<Vec<Line>>), ("text/csv", of::<String>)]),
        ),
        Action::PeopleImport => Op::gives::<staff::Imported>(
            "people",
            "add or change people: a list of lines; `dry-run=1`, `replace=1`",
        )
        .about("Either all of it is done or nothing; 400 with `faults` tells every bad line.")
        .takes::<NewLines>(),
        Action::Person => Op::with_etag::<staff::OnePerson>("people", 200, "one person").problems(&[UNKNOWN]),
        Action::PersonChange => Op::with_etag::<staff::Imported>("people", 200, "change or add one: lines as above")
            .about("`person` may be left out of the lines; if it is there, it must be the one of the path.")
            .takes::<NewLines>()
            .problems(&[CHANGED]),
        Action::PersonErase => Op::gives::<staff::Erasure>(
            "people",
            "erase one, and what tells of them in the journal: `{\"confirm\", \"also\"}`",
        )
        .about(
            "`confirm` is the id once more. `also` are names, numbers and cards that were theirs earlier. It cannot be undone, \
             and the journal stays whole. If `finished` is false it takes longer than an answer may, and goes on.",
        )
        .takes::<staff::EraseBody>()
        .problems(&[UNKNOWN]),
        Action::PersonRemove => {
            Op::done("people", "remove a person with all credentials").problems(&[UNKNOWN, CHANGED])
        }
        Action::Announce => Op::gives::<doors::Done<'_>>("calls", "have an announcement of the site file heard")
            .about("`announcements` of the panel lists them. In a talk it is heard beside speech; without one it is heard where `may_call` of the panel is true, and ends if somebody rings or calls the door. It is no call and answers none. One is heard at a panel at a time.")
            .may_take::<doors::AnnounceBody>()
            .problems(COMMAND),
        Action::Call => Op::gives::<doors::Done<'_>>("calls", "call those of a button, though nobody rings")
            .about("Nobody rings, no bell is heard and nothing opens: whoever answers talks with the panel, and may there what he may in any call of that button. Only where `may_call` of the panel is true: its line can be spoken on without a ring, or it is virtual. Somebody who rings meanwhile goes before it.")
            .may_take::<doors::CommandBody>()
            .problems(COMMAND),
        Action::Press => Op::gives::<doors::Done<'_>>("calls", "press a button of a virtual panel")
            .about(COMMANDED)
            .may_take::<doors::CommandBody>()
            .problems(COMMAND),
        Action::ReportCalls => Op::new(
            "reports",
            "a detail record of each call, newest first; `format=csv`",
            Good::Media(&[("application/json", of::<reports::CallRecords>), ("text/csv", of::<String>)]),
        )
        .about(REPORT),
        Action::ReportDoors => Op::new(
            "reports",
            "how doors and panels did: openings by means, hour and day, refusals, time until an answer; `format=csv`",
            Good::Media(&[("application/json", of::<reports::Figures>), ("text/csv", of::<String>)]),
        )
        .about(REPORT),
        Action::ReportEvents => Op::new(
            "reports",
            "records of the journal as a file, newest first: `class`, `format=csv`; without it a JSON object a line",
            Good::Media(&[("application/x-ndjson", of::<String>), ("text/csv", of::<String>)]),
        )
        .about(REPORT),
        Action::ReportOpenings => Op::new(
            "reports",
            "who opened which door when, by which means, newest first; `refused=1`, `format=csv`",
            Good::Media(&[("application/json", of::<reports::Openings>), ("text/csv", of::<String>)]),
        )
        .about(REPORT),
        Action::Ring => Op::gives::<journal::Ring>("journal", "all records of one ring").problems(&[UNKNOWN]),
        Action::Rings => Op::gives::<journal::Rings>("journal", "rings, newest first; `from`, `to`, `max`")
            .about("`next` is the path of the following page, `null` at the end."),
        Action::Schedules => Op::gives::<schedules::Schedules>(
            "gateway",
            "schedules of the site file: their times, whether each is in force, and until when",
        )
        .about(NAMED),
        Action::Session => Op::gives::<login::Session>("logins", "who one is"),
        Action::Setup => {
            Op::gives::<login::Session>("logins", "make the first user: `{\"code\", \"user\", \"password\"}`")
                .takes::<login::SetupBody>()
                .problems(&[(409, "`setup-done`: there is a user."), LOCKED])
        }
        Action::Signals => Op::new(
            "events",
            "what adapters notice, live (SSE): edges, reads, lines; nothing of it is kept",
            Good::Media(&[("text/event-stream", of::<String>)]),
        )
        .about(
            "Events `signals` have an array as data, at most 256 of `{\"at_ns\", \"device\", \"kind\", \"n\", \"seq\", \"source\", \
             \"text\"}`: `n` counts the signals since the gateway started, `seq` is the last durable record before it, `simulated` \
             says that it was injected. Bits of cards and keys are not in them. Who takes them more slowly than they come \
             gets the newest ones, and `missed` tells `{\"from\", \"to\"}` of the `n` that were left out. `bye` is the last one, as \
             of `GET /api/v1/events`. A comment comes every 5 s.",
        ),
        Action::Site => Op::gives::<status::Site<'_>>("gateway", "the whole picture at this moment"),
        Action::Support => Op::new(
            "gateway",
            "what is known of this gateway, for whoever is asked for help: a tar file without secrets",
            Good::Media(&[("application/x-tar", of::<String>)]),
        )
        .about(
            "Site file, health, metrics, the newest events, the last calls as a ladder of their SIP messages, and the capture, \
             if there was one. It tells of people.",
        ),
        Action::SupportCapture => Op::gives::<support::CaptureShown>("gateway", "how the capture is")
            .problems(&[(404, "`unknown`: there was none since the start.")]),
        Action::SupportCaptureBegin => Op::gives::<support::CaptureShown>(
            "gateway",
            "begin a capture of SIP and headers of RTP: `{\"seconds\"}`",
        )
        .about("It ends by itself, and is bounded to 6 MiB. No audio is kept, nor what logs in or was typed.")
        .may_take::<support::CaptureBody>()
        .problems(&[(409, "`busy`: one runs.")]),
        Action::SupportCaptureEnd => Op::gives::<support::CaptureShown>("gateway", "end the capture")
            .problems(&[(404, "`unknown`: there was none since the start.")]),
        Action::SupportCaptureFile => Op::new(
            "gateway",
            "the capture, for Wireshark and its like",
            Good::Media(&[("application/vnd.tcpdump.pcap", of::<String>)]),
        )
        .problems(&[(404, "`unknown`: there was none since the start.")]),
        Action::Token => Op::with_etag::<admin::Token>("logins", 200, "one token").problems(&[UNKNOWN]),
        Action::TokenChange => Op::with_etag::<admin::Token>(
            "logins",
            200,
            "change it: `{\"scopes\", \"doors\", \"days\"}`, with `If-Match`",
        )
        .takes::<admin::TokenChange>()
        .problems(&[UNKNOWN, CHANGED, NEEDS_MATCH]),
        Action::TokenCreate => Op::with_etag::<admin::Token>(
            "logins",
            201,
            "make one: `{\"name\", \"scopes\", \"doors\", \"days\"}`; it is shown once",
        )
        .takes::<admin::NewToken>()
        .problems(&[FULL]),
        Action::TokenDelete => Op::done("logins", "revoke one").problems(&[UNKNOWN, CHANGED]),
        Action::Tokens => Op::gives::<admin::Tokens>("logins", "API tokens"),
        Action::User => Op::with_etag::<admin::User>("logins", 200, "one user").problems(&[UNKNOWN]),
        Action::UserChange => Op::with_etag::<admin::User>(
            "logins",
            200,
            "change it: `{\"scopes\", \"doors\", \"password\"}`, with `If-Match`",
        )
        .takes::<admin::UserChange>()
        .problems(&[UNKNOWN, (409, "`last-admin`: nobody could make users any more."), CHANGED, NEEDS_MATCH]),
        Action::UserCreate => Op::with_etag::<admin::User>(
            "logins",
            201,
            "make one: `{\"user\", \"password\", \"scopes\", \"doors\"}`",
        )
        .takes::<admin::NewUser>()
        .problems(&[FULL]),
        Action::UserDelete => Op::done("logins", "remove one").problems(&[
            UNKNOWN,
            (409, "`last-admin`: nobody could make users any more."),
            CHANGED,
        ]),
        Action::Users => Op::gives::<admin::Users>("logins", "users"),
    }
}

fn anything(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({})
}

fn any(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": "object" })
}
