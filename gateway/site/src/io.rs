//! What goes into the site and what comes out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway_access::{Change, Grant, Place};
use gateway_core::{
    AccountEvent, AccountId, AccountState, AlarmId, CardFrame, CommandId, CommandRequest, ControllerId,
    CredentialId, Envelope, InputId, LegCommand, LegEvent, LegId, LineCommand, LineId, OutputId, PanelId,
    Peer, Quality, ReaderCommand, ReaderId, Refusal, RingId, Signal, Standing, Subject, Volume,
};
use gateway_door::ReleaseCause;
use gateway_rules::Sound;

use crate::params::{Contacts, RecordParams};

/// Everything the site hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The address was told at the line that [`HeldInput::Tell`] named, or could not be.
    AddressTold(String),
    /// A registration changed.
    Account {
        /// Which.
        account: AccountId,
        /// What to record.
        event: AccountEvent,
        /// Its state from here on.
        state: AccountState,
    },
    /// The wall clock jumped, or became trusted or untrusted.
    ClockStep {
        /// Jump in ms, signed.
        step_ms: i64,
        /// Trusted from here on?
        trusted: bool,
    },
    /// Whom targets can name, all of them: what was known before is forgotten.
    Contacts(Arc<Contacts>),
    /// A request from outside; it is always answered by one [`Output::Reply`].
    Command {
        /// Given back in the reply.
        reply_to: u64,
        /// The request.
        request: CommandRequest,
    },
    /// The relay guard reports.
    Guard(GuardReport),
    /// The journal can or cannot be written.
    Journal {
        /// Usable?
        ok: bool,
        /// What happened, for the record.
        text: String,
    },
    /// A leg reports.
    Leg(LegEvent),
    /// A text came for a panel.
    Message {
        /// Which.
        panel: PanelId,
        /// Who sent it.
        peer: Peer,
        /// What.
        text: String,
    },
    /// How the speech of a leg came that is over.
    Quality {
        /// The leg.
        leg: LegId,
        /// How.
        quality: Quality,
    },
    /// Somebody whom the network does not know sent requests.
    Stranger {
        /// How many, since this source was told last.
        count: u64,
        /// Method of the last one.
        method: String,
        /// From where; `None`: from many.
        source: Option<IpAddr>,
    },
    /// The main loop stood still for this long: what waited in the queues is old.
    LoopGap {
        /// How long.
        gap: Duration,
    },
    /// The projection of credentials and restrictions has reached the head of the journal: decisions may begin.
    Ready,
    /// People or credentials changed; the records have it already.
    People(Vec<Change>),
    /// Another live instance uses our name (`Some`), or it is gone again (`None`).
    SecondInstance(Option<String>),
    /// What became of [`Output::RecordTalk`].
    Recorded {
        /// The ring of the talk.
        ring: RingId,
        /// What.
        what: Recorded,
    },
    /// What [`Output::Say`] asked for is over.
    Said {
        /// How long it was heard, or why it was not.
        heard: Result<Duration, String>,
        /// At which line.
        line: LineId,
        /// From [`Output::Say`].
        turn: u64,
    },
    /// Stop in good order: calls end, nothing new begins.
    ShutDown,
    /// An adapter noticed something.
    Signal(Signal),
    /// What [`Output::Keep`] asked for is on the medium, or could not be taken.
    UseKept {
        /// Which.
        id: u64,
        /// On the medium?
        ok: bool,
    },
}

/// What became of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It goes on, into this file of the folder.
    Began {
        /// Its name.
        file: String,
    },
    /// It is over.
    Ended {
        /// Name of the file; `None` if there is none.
        file: Option<String>,
        /// How much is in it.
        length: Duration,
        /// Why: `ended`, `limit`, or what went wrong.
        why: String,
    },
}

/// What the relay guard says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuardReport {
    /// It is gone; it releases its outputs by itself.
    Down {
        /// What happened.
        text: String,
    },
    /// An output is energised.
    Energised {
        /// Number of the Grant.
        grant: u64,
        /// Which output.
        output: OutputId,
    },
    /// An output could not be operated.
    Failed {
        /// Number of the Grant.
        grant: u64,
        /// Which output.
        output: OutputId,
        /// What was found, and what to do.
        text: String,
    },
    /// The board of an output failed, be it in a pulse or at rest. What is said of the Grant comes beside it.
    LetGo {
        /// Which output.
        output: OutputId,
        /// What was found, and what to do.
        text: String,
    },
    /// An output was told to energise, and its board failed before it answered: it may have been energised for a moment.
    MayHaveOpened {
        /// Number of the Grant.
        grant: u64,
        /// Which output.
        output: OutputId,
        /// What was found, and what to do.
        text: String,
    },
    /// A Grant's time at an output is over. Each Grant that was passed on gets one `Released`, `Failed` or `MayHaveOpened` in the end.
    Released {
        /// Why.
        cause: ReleaseCause,
        /// Number of the Grant.
        grant: u64,
        /// Which output.
        output: OutputId,
    },
    /// It ends in good order, since its outputs change, and the next one starts. Until [`Up`](Self::Up) nothing but an
    /// exit is tried, as after [`Down`](Self::Down), but it is no fault.
    Restarts {
        /// Why.
        text: String,
    },
    /// An output was found energised that nobody asked for. It is written to rest; until then its door could be opened.
    Unasked {
        /// Which output.
        output: OutputId,
        /// What was found, and what to do.
        text: String,
    },
    /// It is there, and every output rests unless it says otherwise.
    Up {
        /// Outputs whose boards do not answer: nothing can be energised there.
        dead: Vec<OutputId>,
    },
    /// The board of an output does not answer any more, or does again.
    Usable {
        /// Which.
        output: OutputId,
        /// False: nothing can be energised there.
        usable: bool,
    },
    /// Outputs that are another wire to it, or none, since it read another site file: it energises none of them.
    Wired {
        /// Which; empty if core and guard agree.
        differently: Vec<OutputId>,
    },
}

/// Everything the site wants.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Hand a card on to a controller of somebody else. Nobody waits for it.
    Forward {
        /// Which.
        controller: ControllerId,
        /// What it becomes there is the driver's; one that was read nowhere goes out as it is.
        frame: CardFrame,
        /// Where it was read; nowhere if somebody sent it.
        reader: Option<ReaderId>,
    },
    /// Hand a key of a keypad on to a controller of somebody else. Nobody waits for it.
    ForwardKey {
        /// Which.
        controller: ControllerId,
        /// `0-9 * #`.
        key: char,
        /// Where it was typed.
        reader: ReaderId,
    },
    /// An input was held at the start, or is at rest.
    Held(HeldInput),
    /// Keep in the records where people are, and how often a credential was used.
    Keep {
        /// For [`Input::UseKept`], when all of it is on the medium: until then nothing opens by it. `None` if nobody
        /// waits for it.
        id: Option<u64>,
        /// Who is where from here on.
        places: Vec<Place>,
        /// A credential, and how often it was used.
        uses: Option<(CredentialId, u32)>,
    },
    /// Nothing is to be heard any more at a line of what [`Say`](Self::Say) began.
    Hush(LineId),
    /// Tell a leg.
    Leg(LegCommand),
    /// Tell a panel line.
    Line(LineId, LineCommand),
    /// Energise an output once. The driver hands the Grant to the guard.
    Operate {
        /// The permission; used up by the guard.
        grant: Grant,
        /// For how long; the guard may make it shorter, never longer.
        pulse: Duration,
    },
    /// Show something at a reader. It is a light: nobody waits for it, and it opens nothing.
    Reader(ReaderId, ReaderCommand),
    /// Append to the journal. Outputs after this one may act once it is queued; replies wait until it is durable.
    Record(Envelope),
    /// Record the talk of a leg from its begin on, and tell everybody in it. Nobody waits for it; answered by [`Input::Recorded`].
    RecordTalk {
        /// How.
        how: RecordParams,
        /// Whoever has the call.
        leg: LegId,
        /// At which panel.
        panel: PanelId,
        /// The ring of the talk.
        ring: RingId,
    },
    /// Release an output at once.
    ReleaseOutput(OutputId),
    /// Answer a command. It stands after the record that it is about.
    Reply {
        /// What was decided.
        decision: Decision,
        /// From [`Input::Command`].
        to: u64,
    },
    /// Have something heard at a line, which is taken for it or talks; answered by [`Input::Said`], unless it is hushed
    /// before.
    Say {
        /// Where.
        line: LineId,
        /// What.
        sound: Sound,
        /// For the answer.
        turn: u64,
    },
    /// Have something heard by whoever is on a leg, and by nobody else.
    SayToLeg {
        /// He hears nothing else meanwhile.
        alone: bool,
        /// The leg.
        leg: LegId,
        /// What.
        sound: Sound,
        /// Line and turn of the [`Input::Said`] that answers it, if anybody waits for that.
        told: Option<(LineId, u64)>,
    },
    /// How it is with the doors of an account from here on; until it is said, well.
    Standing(AccountId, Standing),
    /// Send a text to a telephone. Nobody waits for it.
    Text {
        /// Through which account; `None` sends it directly.
        account: Option<AccountId>,
        /// To whom, as configured.
        target: String,
        /// What, 1 to 1300 bytes.
        text: String,
    },
    /// How loud a line is from here on; 0 dB until it is said.
    Volume(LineId, Volume),
}

/// What inputs ask for that are held at the start. None of it opens anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldInput {
    /// The input that resets was seen at rest.
    Released,
    /// Bring back what the gateway was delivered with.
    Reset,
    /// Tell the address at this line, which is seized for it; answered by [`Input::AddressTold`].
    Tell(LineId),
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Done, or begun.
    Accepted {
        /// The ring it began or belongs to.
        ring: Option<RingId>,
    },
    /// Not done.
    Refused {
        /// Why, for a program.
        reason: Refusal,
        /// Why, for a person, with what to do.
        text: String,
    },
}

/// An alarm that goes on, as it is kept across restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAlarm {
    /// Which.
    pub alarm: AlarmId,
    /// It was confirmed, and its input is active still: that raises it no more.
    pub confirmed: bool,
    /// Its ring.
    pub ring: RingId,
    /// It was simulated.
    pub simulated: bool,
}

/// A fire alarm as it is kept across restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFire {
    /// The input that raised it.
    pub input: InputId,
    /// It is a virtual one, which opens virtual doors only.
    pub simulated: bool,
}

/// A command id seen before a restart, so that it is not acted on twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenId {
    /// True if it was acted on.
    pub accepted: bool,
    /// When it was judged (time of its `command.*` record).
    pub at: jiff::Timestamp,
    /// The id.
    pub id: CommandId,
    /// Who gave it; the same id of somebody else is another one.
    pub subject: Subject,
}

/// What [`Site::apply`](crate::Site::apply) did, per component, in words.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Plan {
    /// Taken over while it ran.
    pub live: Vec<String>,
    /// Ended and begun anew.
    pub restart: Vec<String>,
    /// Gone; outputs were released first.
    pub removed: Vec<String>,
    /// Not there before.
    pub added: Vec<String>,
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut first = true;
        for (word, parts) in [
            ("added", &self.added),
            ("live", &self.live),
            ("restart", &self.restart),
            ("removed", &self.removed),
        ] {
            if !parts.is_empty() {
                if !first {
                    f.write_str("; ")?;
                }
                first = false;
                write!(f, "{word}: {}", parts.join(", "))?;
            }
        }
        if first {
            f.write_str("nothing changed")?;
        }
        Ok(())
    }
}
