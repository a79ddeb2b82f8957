//! `[panels.*]` and `[doors.*]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use gateway_access::When;
use gateway_core::{AccountId, ButtonId, DoorId, GroupId, InputId, LineId, ListId, OutputId, ReaderId};

use super::front_end::Apartments;
use crate::describe::table;
use crate::rules::{Flag, Path, list, map, ms, parsed, refer, secs, span_or, table, text, when, word};
use crate::value::{
    Address, ButtonMode, CallRefusal, CallerDo, DigitsBy, Duty, EarlyMedia, Extension, Fail, LockKind,
    LockOwner, OnJournalFault, OnLineFault, OtherCalls, PressAgain, PressInTalk, Relock, RexKind, RingBack,
    Transfers,
};

table! {
    /// A call station with one or many buttons.
    pub struct Panel {
        /// Name for people, 1 to 60 characters; phones show it.
        name: String = "name", text(1, 60), needed("'x'"), Live;
        /// Line that carries its audio.
        line: LineId = "line", refer("line"), required, Restart;
        /// Doors it serves, 1 to 8. Digits open the door of their code, of several doors of one code the first.
        doors: Vec<DoorId> = "doors", list(refer("door"), 1, 8), needed("['x']"), Restart;
        /// Account of its calls. Without one, only full addresses can be called, directly.
        account: Option<AccountId> = "account", refer("account"), optional, Restart;
        /// Further accounts, at other PBXs, at most 4. The panel can be called over each. It calls numbers over the first of
        /// `account` and these that takes the call: one that is not registered, refuses, or says nothing for 4 s is passed
        /// over, and the next call begins with `account` again.
        backup_accounts: Vec<AccountId> = "backup-accounts", list(refer("account"), 0, 4), or("[]"), Restart;
        /// Number or name by which it is called directly, or over a trunk that several panels share, as its own name
        /// is: the user part of the SIP address, 1 to 40 characters.
        extension: Option<Extension> = "extension", parsed(), optional, Restart;
        /// Longest time for which a command may let in whoever rings here (ring-to-open), 60 to 86400 s; without it none may.
        /// Each of its buttons opens the door of its `opens` then, or the first of `doors`. A restart and a lockdown end it.
        ring_to_open: Option<Duration> = "ring-to-open-limit-s", secs(60, 86_400), optional, Live;
        /// After how long calls to it are answered, 1 to 9 s, or `at-once`; until then the caller hears that it rings.
        answer_after: Option<Duration> = "answer-after-s", span_or(secs(1, 9), "at-once"), or("\"at-once\""), Live;
        /// A press of one of its buttons answers a call to it, in place of calling its list: for so long it rings, 10 to 120 s,
        /// then the caller gets 480. `off`: it is answered without a press. With it a line that needs a ring can be called,
        /// too.
        answer_by_button: Option<Duration> = "answer-by-button-s", span_or(secs(10, 120), "off"), or("\"off\""), Live;
        /// Who plays it to a caller that it rings, while it does: his `phone` or PBX as ever, or the `gateway`, for trunks that
        /// play nothing.
        ring_back: RingBack = "ring-back", word(), or("\"phone\""), Live;
        /// What a PBX or phone has to be heard before it answers, as an announcement or its own ring-back tone: `play` has it heard
        /// at the panel, as far as that hears anything before the talk begins.
        early_media: EarlyMedia = "early-media", word(), or("\"play\""), Live;
        /// A WAV file that whoever has a call of it hears as that begins, and nobody else: which door it is, and the key that opens. 16
        /// bit, 8 to 48 kHz, at most 30 s.
        greeting_file: Option<PathBuf> = "greeting-file", Path, optional, Live;
        /// What becomes of calls to it, by who calls and when: the first of these, at most 64, that is meant counts. What is
        /// limited to a schedule counts for nobody while the clock is not believed. Calls that none means may open by
        /// themselves (`open-by-call`), else `other-calls` says what becomes of them.
        callers: Vec<PanelCaller> = "callers", list(table(), 0, 64), or("[]"), Live;
        /// How calls are refused that opened a door by themselves (`open-by-call`).
        opened_call: CallRefusal = "opened-call", word(), or("\"declined\""), Live;
        /// What becomes of calls to it that `callers` does not name, and that open nothing by themselves.
        other_calls: OtherCalls = "other-calls", word(), or("\"answer\""), Live;
        /// What becomes of calls to it while its line is faulty. Lamps that watch its account (BLF) and presence show that, but
        /// for `stay`.
        on_line_fault: OnLineFault = "on-line-fault", word(), or("\"reject-480\""), Live;
        /// To whom a phone may hand a call of this panel: by a transfer (REFER), by taking it over (Replaces), or by a
        /// redirection (3xx). Whoever has it then opens only if he might have opened as a target.
        transfers: Transfers = "transfers", word(), or("\"listed\""), Live;
        /// Record its talks, as `[recordings]` says: from the answer on, announced to both sides.
        record: bool = "record", Flag, or("false"), Live;
        /// Apartments, on a line that says whom it rings.
        apartments: Option<Apartments> = "apartments", table(), optional, Live;
        /// List that is called from the door of the apartment itself, where the line has a wire for it; without it such a
        /// call rings nobody. It is a call of its own, without speech, that never takes the line.
        floor_call: Option<ListId> = "floor-call", refer("list"), optional, Live;
        /// Its buttons.
        buttons: BTreeMap<ButtonId, Button> = "buttons", map("button"), or("{}"), Live;
    }
}

impl Panel {
    /// Its accounts, in the order in which its calls go through them.
    pub fn accounts(&self) -> impl Iterator<Item = &AccountId> {
        self.account.iter().chain(&self.backup_accounts)
    }
}

table! {
    /// What becomes of calls of somebody to a panel. Nothing of it lets anybody in: that is for the doors to say.
    pub struct PanelCaller {
        /// Number or address the call comes from, as `number` of a door's `callers`; without it everybody. Who is let talk by his
        /// number (`talk`, `bridge`), or asks for the door by it (`open`), has to be vouched for by the network.
        number: Option<Address> = "number", parsed(), optional, Live;
        /// When it counts.
        schedule: When = "schedule", when(), or("\"always\""), Live;
        /// What becomes of the call.
        action: CallerDo = "do", word(), required, Live;
        /// Number or address that the caller is told to call instead, with `do = "divert"`.
        to: Option<Address> = "to", parsed(), optional, Live;
        /// List that is called, with `do = "bridge"`: whoever answers talks with the caller through the gateway, sees his number, and
        /// may open as in other calls of the panel.
        list: Option<ListId> = "list", refer("list"), optional, Live;
    }
}

table! {
    /// A button of a panel.
    pub struct Button {
        /// Name for people, 1 to 60 characters.
        name: String = "name", text(1, 60), needed("'x'"), Live;
        /// Input the button is wired to; without one it is pressed from outside only, on a virtual line.
        input: Option<InputId> = "input", refer("input"), optional, Live;
        /// List it rings; with `mode = "strike-list"` it rings it by night.
        call: ListId = "call", refer("list"), required, Live;
        /// What it does by day and by night.
        mode: ButtonMode = "mode", word(), or("\"list-list\""), Live;
        /// When it is day for it. While the clock is not believed it is night, and it opens nothing.
        day: When = "day", when(), or("\"always\""), Live;
        /// List it rings by night; without it the one of `call`.
        night_call: Option<ListId> = "night-call", refer("list"), optional, Live;
        /// Door of its panel that it opens by day with `mode = "strike-list"`, and by ring-to-open; without it the panel's
        /// first.
        opens: Option<DoorId> = "opens", refer("door"), optional, Live;
        /// What a press of it means while its panel rings somebody and nobody has answered.
        again: PressAgain = "press-again", word(), or("\"join\""), Live;
        /// What a press of it means in the talk that its panel began.
        in_talk: PressInTalk = "press-in-talk", word(), or("\"join\""), Live;
        /// When it calls nobody (do-not-disturb). The ring is in the journal and goes to MQTT all the same. While the clock
        /// is not believed, no schedule keeps a bell quiet.
        quiet: When = "quiet", when(), or("\"never\""), Live;
    }
}

impl Button {
    /// Every list that it may ring.
    pub(crate) fn lists(&self) -> impl Iterator<Item = &ListId> {
        [&self.call].into_iter().chain(&self.night_call)
    }
}

table! {
    /// A door, gate or barrier.
    pub struct Door {
        /// Name for people, 1 to 60 characters.
        name: String = "name", text(1, 60), needed("'x'"), Live;
        /// What locks it.
        lock: LockKind = "lock", word(), or("\"strike\""), Live;
        /// Who times and holds the lock.
        lock_owner: LockOwner = "lock-owner", word(), or("\"gateway\""), Live;
        /// What the lock does without power.
        fail: Fail = "fail", word(), or("\"secure\""), Live;
        /// How long the coil may stay energised.
        duty: Duty = "duty", word(), or("\"pulse\""), Live;
        /// Output that opens it. A lock of the panel may do without: then the gateway cannot open.
        output: Option<OutputId> = "output", refer("output"), optional, Restart;
        /// How long it opens, 1000 to 25000 ms.
        strike: Duration = "strike-ms", ms(1000, 25_000), or("3000"), Live;
        /// How long a gate takes from shut to open, or back, 2 to 180 s; take the slower. For so long after a pulse, and after a
        /// start unless its contact says that it is shut, a `gate-step` gets no other; a `gate-open` may be opened without alarm.
        travel: Duration = "travel-s", secs(2, 180), or("20"), Live;
        /// When the output is released after an opening.
        relock: Relock = "relock", word(), or("\"time\""), Live;
        /// Open for longer than this, 5 to 3600 s, it is reported as held open.
        held_open: Duration = "held-open-s", secs(5, 3600), or("30"), Live;
        /// When it is held open, by the name of a schedule. While the clock is not believed it is not. The coil has to
        /// bear it: `duty = "continuous"`, and `max-on-ms` of its output as long as the schedule.
        hold_open: When = "hold-open", when(), or("\"never\""), Live;
        /// The schedule of `hold-open` begins to hold it open only once somebody of this group came in on that day, by card or
        /// code at the door: on a day on which nobody comes it stays shut. A restart or a lockdown wants somebody anew.
        hold_after: Option<GroupId> = "hold-open-after", refer("group"), optional, Live;
        /// Longest time for which a command may hold it open, 60 to 86400 s; without it none may.
        hold_limit: Option<Duration> = "hold-open-limit-s", secs(60, 86_400), optional, Live;
        /// What cards and codes do while the journal cannot be written.
        on_journal_fault: OnJournalFault = "on-journal-fault", word(), or("\"open-and-buffer\""), Live;
        /// Contact: active while the door is open.
        contact: Option<InputUse> = "contact", table(), optional, Live;
        /// Lock sense of a lock that the panel owns: active while the lock is open, by an optocoupler across the strike. It tells
        /// what the panel opens for others (`door.opened-by-panel`), and whether it opens when the gateway presses its button.
        lock_sense: Option<InputUse> = "lock-sense", table(), optional, Live;
        /// Tamper contact: active when something was opened that should not be.
        tamper: Option<InputUse> = "tamper", table(), optional, Live;
        /// Requests to exit, at most 8.
        rex: Vec<Rex> = "rex", list(table(), 0, 8), or("[]"), Live;
        /// Readers at the door, at most 8.
        readers: Vec<ReaderId> = "readers", list(refer("reader"), 0, 8), or("[]"), Live;
        /// Who may open when they call the door, at most 64; nobody unless listed.
        callers: Vec<Caller> = "callers", list(table(), 0, 64), or("[]"), Live;
        /// When a call of somebody the door listens to opens it by itself: one of `callers`, or the telephone of a person,
        /// unless it needs a PIN. The call is not answered. While the clock is not believed it opens nothing.
        open_by_call: When = "open-by-call", when(), or("\"never\""), Live;
        /// When the door wants two persons: a second one, another, has to show a good credential after the first. Only
        /// credentials of persons count, so commands, callers and codes that belong to nobody do not open it then.
        /// While the clock is not believed it wants two, unless this is `never`.
        two_persons: When = "two-persons", when(), or("\"never\""), Live;
        /// How long the first of two persons waits for the second, 5 to 120 s.
        second_within: Duration = "second-within-s", secs(5, 120), or("30"), Live;
        /// For how long after a ring a command with its `ring_id` opens, 10 to 600 s. Commands without one are not bound to
        /// a visitor.
        visitor: Duration = "visitor-s", secs(10, 600), or("120"), Live;
        /// Who may open by digits in a call that the door began.
        digits_by: DigitsBy = "digits-by", word(), or("\"list\""), Live;
    }
}

impl Door {
    /// What it may have one input of, by its key.
    pub(crate) fn senses(&self) -> [(&'static str, &Option<InputUse>); 3] {
        [
            ("contact", &self.contact),
            ("lock-sense", &self.lock_sense),
            ("tamper", &self.tamper),
        ]
    }
}

table! {
    /// An input in a role.
    pub struct InputUse {
        /// The input that has this role.
        input: InputId = "input", refer("input"), required, Live;
    }
}

table! {
    /// A request to exit.
    pub struct Rex {
        /// The input: active while somebody wants to leave.
        input: InputId = "input", refer("input"), required, Live;
        /// What it does.
        kind: RexKind = "kind", word(), or("\"unlock\""), Live;
    }
}

table! {
    /// Somebody who may open a door by calling it.
    pub struct Caller {
        /// Number or address the call has to come from. It counts only when a trusted party vouches for it: a
        /// registered account, or a listed peer. A number alone is one of the PBX of an account (`caller-hosts`): of a listed peer it needs its address, `sip:1000@192.0.2.7`. With `*` at its end,
        /// after at least three digits, it is every number that begins so: `0476*`. Whoever withholds the number
        /// (`anonymous`, `unknown`, …) cannot be named.
        number: Address = "number", parsed(), required, Live;
        /// Name for people, 1 to 60 characters.
        name: Option<String> = "name", text(1, 60), optional, Live;
        /// When the door listens to them.
        schedule: When = "schedule", when(), or("\"always\""), Live;
    }
}
