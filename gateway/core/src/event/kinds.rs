//! The events of each family. Field names carry their units.

use crate::command::{AnnounceTo, CommandId, Refusal};
use crate::event::form::{FieldForm, KindForm};
use crate::event::record::{ReadError, field};
use crate::ids::{
    AnnouncementId, AreaId, ButtonId, ChannelId, DoorGroupId, LegId, LineId, ListId, PanelId, PersonId,
    ReaderId, RingId,
};
use crate::leg::{Cause, DigitVia};
use crate::signal::{LightColour, Misread, ReaderService};
use crate::subject::{Factor, Subject};
use crate::value::{Field, Value};
use crate::view::LineState;

macro_rules! events {
    ($(#[$doc:meta])* $name:ident { $(
        $(#[doc = $vdoc:literal])* $variant:ident = $tag:literal { $($(#[doc = $fdoc:literal])* $field:ident: $ty:ty,)* },
    )* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name { $($(#[doc = $vdoc])* $variant { $($(#[doc = $fdoc])* $field: $ty,)* },)* }

        impl $name {
            /// Every tag of this family.
            pub const TAGS: &'static [&'static str] = &[$($tag,)*];

            /// What each of this family tells, for documents.
            pub(super) const KINDS: &'static [KindForm] = &[$(KindForm {
                about: &[$($vdoc,)*],
                fields: &[$(FieldForm {
                    about: &[$($fdoc,)*],
                    form: <$ty as Field>::FORM,
                    name: stringify!($field),
                },)*],
                tag: $tag,
            },)*];

            /// Its tag, one of [`Self::TAGS`].
            #[must_use]
            pub fn tag(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $tag,)* }
            }

            pub(super) fn fields(&self) -> Vec<(&'static str, Value)> {
                match self {
                    $(Self::$variant { $($field,)* } => vec![$((stringify!($field), $field.to_value()),)*],)*
                }
            }

            pub(super) fn read(tag: &str, fields: &[(String, Value)]) -> Result<Self, ReadError> {
                let _ = fields;
                match tag {
                    $($tag => Ok(Self::$variant { $($field: field(fields, stringify!($field))?,)* }),)*
                    _ => Err(ReadError::UnknownKind),
                }
            }
        }
    };
}

events! {
    /// What only those are told who are asked to know: [`is_confidential`](crate::is_confidential). Its source is a door.
    AccessEvent {
        /// A code or PIN was used that its person types when forced. What became of it the door's own events say.
        Duress = "duress" {
            /// Means.
            factor: Factor,
            /// Who.
            subject: Subject,
        },
    }
}

events! {
    /// A registration.
    AccountEvent {
        /// The registrar refused, or did not answer.
        Failed = "failed" {
            /// Status line or network error.
            detail: String,
            /// Seconds until the next try.
            retry_s: u64,
        },
        /// Registered.
        Registered = "registered" {
            /// Granted lifetime.
            expires_s: u64,
        },
        /// Deregistered at stop or by configuration.
        Unregistered = "unregistered" {},
    }
}

events! {
    /// An alarm. The envelope's ring is that of this alarm, from its begin to its confirmation; its calls have their own.
    AlarmEvent {
        /// Security is called.
        Called = "called" {
            /// The ring of the call.
            call: RingId,
            /// Whom.
            list: ListId,
            /// Which round this is, from 1.
            round: u64,
        },
        /// Somebody confirmed it: it is over.
        Confirmed = "confirmed" {
            /// By what means.
            factor: Factor,
            /// Who.
            subject: Subject,
        },
        /// Nobody of a list confirmed it; who is next is called, or waited for.
        Escalated = "escalated" {
            /// Whom it passes over.
            list: ListId,
            /// How the last call of them ended.
            outcome: String,
        },
        /// What somebody who answered typed does not count, nor does anything for a time, after too many wrong codes; the call ends.
        LockedOut = "locked-out" {
            /// How long still.
            lock_s: u64,
            /// What is locked: `anonymous:ACCOUNT`, `caller`, or `others`, who share one count.
            locks: String,
            /// Who.
            subject: Subject,
            /// How many wrong tries there were.
            tries: u64,
        },
        /// It began.
        Raised = "raised" {
            /// By what.
            subject: Subject,
        },
        /// Nobody confirmed it in all rounds. It goes on, and nobody is called any more.
        Unconfirmed = "unconfirmed" {
            /// How many rounds there were.
            rounds: u64,
        },
        /// Somebody who answered typed a wrong code.
        WrongCode = "wrong-code" {
            /// How often they may try again in this call.
            left: u64,
            /// Who.
            subject: Subject,
        },
    }
}

events! {
    /// A call. The envelope's ring names it.
    CallEvent {
        /// A leg answered and won.
        Answered = "answered" {
            /// Which.
            leg: LegId,
            /// Who.
            peer: String,
        },
        /// Somebody had the door call, by a command: nobody rang.
        Asked = "asked" {
            /// Whom: those of this button.
            button: ButtonId,
            /// From which panel.
            panel: PanelId,
            /// Who asked.
            subject: Subject,
        },
        /// The party may open no more in this call: it changed, and nobody who may say so said who it is now.
        AuthorityLost = "authority-lost" {
            /// Which leg.
            leg: LegId,
            /// What happened.
            why: String,
        },
        /// A digit of the winning leg was taken.
        Digit = "digit" {
            /// The key, `*` in place of a digit that belongs to a longer code.
            digit: String,
            /// Which leg.
            leg: LegId,
            /// How it came.
            via: DigitVia,
        },
        /// Whoever answered has to press a key before the call is theirs.
        ConfirmAwaited = "confirm-awaited" {
            /// Which leg.
            leg: LegId,
            /// Who answered.
            peer: String,
        },
        /// A digit was heard and not acted on.
        DigitIgnored = "digit-ignored" {
            /// Which leg.
            leg: LegId,
            /// Why: `not-winner`, `before-answer`, `ended`, `echo`, `stale`, `other-transport`, `no-authority`,
            /// `unlisted`, `caller` (who was put through to somebody else, and never opens).
            reason: String,
        },
        /// A caller was told to call somebody else instead.
        Diverted = "diverted" {
            /// Which leg.
            leg: LegId,
            /// Who called.
            peer: String,
            /// Whom he was told to call, as configured.
            target: String,
        },
        /// The call is over.
        Ended = "ended" {
            /// Why.
            cause: Cause,
            /// Talk time; 0 with `gateway-restarted`, since nobody knows it.
            talk_ms: u64,
        },
        /// A call is not handed to somebody whom the other side named: by a transfer, by taking it over, or by a redirection.
        HandoverRefused = "handover-refused" {
            /// Which leg.
            leg: LegId,
            /// Why: `alarm`, `not-listed`, `not-talking`, `running`, `too-many`.
            reason: String,
            /// To whom.
            target: String,
        },
        /// A call came in.
        Incoming = "incoming" {
            /// Which leg.
            leg: LegId,
            /// The panel that is called; records of earlier versions do not say it.
            panel: Option<PanelId>,
            /// Who calls.
            peer: String,
        },
        /// A leg is over.
        LegEnded = "leg-ended" {
            /// Why.
            cause: Cause,
            /// Protocol detail.
            detail: String,
            /// Which.
            leg: LegId,
        },
        /// A target is being called.
        LegOffered = "leg-offered" {
            /// Which.
            leg: LegId,
            /// Address as configured.
            target: String,
        },
        /// A target rings.
        LegRinging = "leg-ringing" {
            /// Which.
            leg: LegId,
        },
        /// How the speech of a leg came, after its end. A leg without speech has no such record.
        Media = "media" {
            /// What was made up in place of what did not come in time.
            concealed_ms: u64,
            /// Interarrival jitter at the end, by RFC 3550, in microseconds.
            jitter_us: u64,
            /// Which leg.
            leg: LegId,
            /// Packets that did not come.
            lost: u64,
            /// Packets that came.
            received: u64,
            /// Packets to the other side that did not come there, as it told.
            remote_lost: u64,
            /// The last round trip that the other side's reports told, in microseconds.
            round_trip_us: Option<u64>,
            /// Packets to the other side.
            sent: u64,
        },
        /// The talk is being recorded from here on, and both sides have been told so.
        RecordingBegan = "recording-began" {
            /// Name of the file in the folder of recordings.
            file: String,
        },
        /// The recording is over.
        RecordingEnded = "recording-ended" {
            /// Name of its file; what could not be recorded has none.
            file: Option<String>,
            /// How much of the talk is in it.
            length_ms: u64,
            /// Why: `ended`, `limit` (it was long enough), or what went wrong.
            why: String,
        },
        /// The talk limit is near.
        TalkWarning = "talk-warning" {
            /// Time left.
            left_ms: u64,
        },
        /// Somebody else has the call from here on, as the PBX says.
        Transferred = "transferred" {
            /// Which leg.
            leg: LegId,
            /// May the new party open by keys?
            may_open: bool,
            /// Who.
            peer: String,
        },
        /// An incoming call was not taken.
        Rejected = "rejected" {
            /// Who called.
            peer: String,
            /// Why: `no-call`, `line-busy`, `line-fault`, `unlisted`, `opened` (the door, for whoever called it),
            /// `not-opened` (it was to, and did not), `diverted`, `busy` (somebody else is being put through), `refused`.
            reason: String,
        },
    }
}

events! {
    /// A command from outside.
    CommandEvent {
        /// Taken.
        Accepted = "accepted" {
            /// Client's id.
            id: CommandId,
            /// Who.
            subject: Subject,
            /// What.
            verb: String,
        },
        /// More refusals than get a record each, since the last such record.
        Dropped = "dropped" {
            /// Who.
            subject: Subject,
            /// How many.
            times: u64,
        },
        /// Refused.
        Refused = "refused" {
            /// Client's id, empty if it had none.
            id: String,
            /// Why.
            reason: Refusal,
            /// Who.
            subject: Subject,
            /// What.
            verb: String,
        },
    }
}

events! {
    /// An adapter or device.
    DeviceEvent {
        /// It cannot do its work.
        Fault = "fault" {
            /// What, and what to do.
            text: String,
        },
        /// It works (again).
        Ready = "ready" {},
    }
}

events! {
    /// A door.
    DoorEvent {
        /// Contact: shut.
        Closed = "closed" {},
        /// The access decision said no.
        Denied = "denied" {
            /// Means.
            factor: Factor,
            /// Which rule, in words.
            reason: String,
            /// Who.
            subject: Subject,
        },
        /// Opened without permission.
        Forced = "forced" {},
        /// The forced door is shut again.
        ForcedEnded = "forced-ended" {},
        /// The access decision made a Grant; the strike acts once this is queued.
        Granted = "granted" {
            /// Means.
            factor: Factor,
            /// Number of the Grant.
            grant: u64,
            /// Which rule, in words.
            rule: String,
            /// Who.
            subject: Subject,
        },
        /// Open for longer than allowed.
        HeldOpen = "held-open" {},
        /// The held door is shut again.
        HeldOpenEnded = "held-open-ended" {},
        /// It is held open on purpose from here on, by a schedule or a command.
        HoldBegan = "hold-began" {
            /// Means.
            factor: Factor,
            /// It ends by itself after this at the latest.
            limit_s: u64,
            /// Who.
            subject: Subject,
        },
        /// It is held open no longer.
        HoldEnded = "hold-ended" {
            /// `schedule`, `time`, `command`, `lockdown`, `clock`, `guard`, `config`, `restart` (of a gateway that could not say so
            /// before), `stop`.
            why: String,
        },
        /// The lock was not operated, or did not do as it was told.
        LockFault = "lock-fault" {
            /// What, and what to do.
            text: String,
        },
        /// Wrong tries lock whoever made them: nothing counts from there for a time, at no door. The last of these tries is
        /// the refusal before.
        LockedOut = "locked-out" {
            /// Means.
            factor: Factor,
            /// How long.
            lock_s: u64,
            /// What is locked: `anonymous:ACCOUNT`, `caller`, `client`, `keypad:NAME`, `reader:NAME`, or `others`, who share one count.
            locks: String,
            /// Who.
            subject: Subject,
            /// How many wrong tries there were.
            tries: u64,
        },
        /// Contact: open.
        Opened = "opened" {},
        /// The panel opened its own lock.
        OpenedByPanel = "opened-by-panel" {},
        /// Somebody was let into an area that they had not left (soft anti-passback).
        Passback = "passback" {
            /// Which area.
            area: AreaId,
            /// Who.
            subject: Subject,
        },
        /// The output rests again.
        Relocked = "relocked" {
            /// `time`, `on-open`, `on-close`, `lockdown`, `fire-reset`, `guard`, `config`, `restart`, or why it is held open no longer.
            why: String,
        },
        /// A REX that only shunts the forced-open alarm was used.
        RexShunt = "rex-shunt" {},
        /// A good credential was shown, and the door wants that of another person, too.
        SecondAwaited = "second-awaited" {
            /// Means.
            factor: Factor,
            /// Who.
            subject: Subject,
            /// For how long the other one is awaited.
            within_s: u64,
        },
        /// Tamper contact.
        Tamper = "tamper" {
            /// State.
            active: bool,
        },
        /// The guard energised the output.
        Unlocked = "unlocked" {
            /// Number of the Grant.
            grant: u64,
            /// Planned length; a day where it is kept open for fire.
            pulse_ms: u64,
        },
    }
}

events! {
    /// The gateway itself.
    GatewayEvent {
        /// The wall clock jumped, or became trusted or untrusted.
        Clock = "clock" {
            /// Jump, signed.
            step_ms: i64,
            /// Trusted now?
            trusted: bool,
        },
        /// A new configuration is in force.
        ConfigApplied = "config-applied" {
            /// Its number.
            generation: u64,
            /// What changed, in words.
            plan: String,
        },
        /// A configuration was refused; the old one stays.
        ConfigRefused = "config-refused" {
            /// How many faults.
            faults: u64,
            /// The first fault.
            first: String,
        },
        /// The fire input changed.
        Fire = "fire" {
            /// State.
            active: bool,
        },
        /// The fire alarm stands from here on, and doors open for it until somebody resets it; or it was reset.
        FireAlarm = "fire-alarm" {
            /// Do doors open for it?
            active: bool,
            /// The input that raised it, or who reset it.
            subject: Subject,
        },
        /// The relay guard is gone or back.
        Guard = "guard" {
            /// What happened.
            text: String,
            /// Usable?
            up: bool,
        },
        /// Damage found in the journal or its index, and what was done.
        JournalDamage = "journal-damage" {
            /// What, where, and where it was set aside.
            text: String,
        },
        /// The journal cannot be written, or can again.
        JournalFault = "journal-fault" {
            /// What.
            text: String,
            /// Usable?
            up: bool,
        },
        /// At the start the end of the journal was an unfinished write, as a power cut leaves it, and was cut off.
        JournalTorn = "journal-torn" {
            /// What, and where.
            text: String,
        },
        /// Doors are locked down from here on, or no longer.
        Lockdown = "lockdown" {
            /// Nobody is let in?
            active: bool,
            /// Which group of doors; none is the whole site.
            group: Option<DoorGroupId>,
            /// Who began or ended it.
            subject: Subject,
        },
        /// The main loop stood still; remote input of that time was dropped.
        LoopGap = "loop-gap" {
            /// How long.
            gap_ms: u64,
        },
        /// The address of the gateway was told at a line, or could not be.
        AddressTold = "address-told" {
            /// Which line.
            line: LineId,
            /// The address, or why it was not told.
            text: String,
        },
        /// Somebody sends SIP requests whom the gateway does not know: they are refused. Told for the first request of a source, then
        /// once an hour while there are more.
        Stranger = "stranger" {
            /// Method of the last one, or `unreadable`, or `connection`: one that was opened and said nothing.
            method: String,
            /// From which address, or `others` for more than 128 at a time.
            from: String,
            /// How many there were since the last record of this source. What a limit of datagrams threw away before is not
            /// in it.
            times: u64,
        },
        /// An input was held at the start that resets what the gateway was delivered without.
        Factory = "factory" {
            /// What was done.
            text: String,
        },
        /// The network that the gateway is reached by is lost, or there again.
        Network = "network" {
            /// True if it is there.
            active: bool,
            /// What, and what to do.
            text: String,
        },
        /// A channel of notifications left events out that were older than its `max-age`. That channel is told of it whatever
        /// else it is told.
        NotifyDropped = "notify-dropped" {
            /// Which channel.
            channel: String,
            /// How many of those that it would have told.
            count: u64,
            /// Number of the first one.
            first: u64,
            /// Number of the last one.
            last: u64,
        },
        /// Nobody knows any more in which areas people are.
        PassbackReset = "passback-reset" {
            /// Of whom; none is everybody.
            person: Option<PersonId>,
            /// Who did it.
            subject: Subject,
        },
        /// Started.
        Started = "started" {
            /// Configuration generation.
            generation: u64,
            /// Instance id.
            instance: String,
            /// Program version.
            version: String,
        },
        /// Stops in good order.
        Stopping = "stopping" {},
        /// What was older than `[retention]` of the site file wants was taken out of the journal.
        RecordsExpired = "records-expired" {
            /// How many records.
            records: u64,
            /// The date that they were measured by: what the clock showed, or an earlier one if the clock may be wrong.
            until: String,
        },
        /// Another live instance uses our name.
        SecondInstance = "second-instance" {
            /// Its id.
            instance: String,
        },
    }
}

events! {
    /// An input that a rule of the site file looks at. What inputs are for otherwise has events of its own.
    InputEvent {
        /// It became active.
        Active = "active" {},
        /// It is at rest again.
        Rest = "rest" {},
    }
}

events! {
    /// A panel line.
    LineEvent {
        /// It changed hands.
        State = "state" {
            /// Whose it is.
            state: LineState,
        },
    }
}

events! {
    /// A panel.
    PanelEvent {
        /// An announcement that a command began is over.
        AnnouncementEnded = "announcement-ended" {
            /// Which.
            announcement: AnnouncementId,
            /// By whom and for how long it was heard, or why it ended early or was not heard.
            text: String,
        },
        /// A command has an announcement heard, at the panel or by whoever has its call.
        Announced = "announced" {
            /// Which.
            announcement: AnnouncementId,
            /// Who wanted it.
            subject: Subject,
            /// By whom it is heard.
            to: AnnounceTo,
        },
        /// A button is held for longer than 10 minutes.
        ButtonStuck = "button-stuck" {
            /// Which.
            button: ButtonId,
        },
        /// A stuck button came back.
        ButtonReleased = "button-released" {
            /// Which.
            button: ButtonId,
        },
        /// A text came for it (SIP MESSAGE), from its PBX or from a direct peer. It opens and commands nothing.
        MessageReceived = "message-received" {
            /// Who sent it.
            peer: String,
            /// What, at most 1300 bytes.
            text: String,
        },
        /// A press was noticed and began no ring.
        PressIgnored = "press-ignored" {
            /// Which.
            button: ButtonId,
            /// Why: `joined`, `line-busy`, `no-call`, `stale`, `stuck`, `fault`, `forbidden`.
            reason: String,
        },
        /// A press that means something to the ring, or the call to the panel, that goes on.
        PressedAgain = "pressed-again" {
            /// Which.
            button: ButtonId,
            /// What it does: `next` (who rings is passed over), `again` (the list is called anew at once), `hang-up`,
            /// `answer` (the call to the panel that waits for it).
            means: String,
        },
        /// Its bells call nobody from here on (do-not-disturb).
        QuietBegan = "quiet-began" {
            /// It ends by itself after this; none if only a command ends it.
            limit_s: Option<u64>,
            /// Who.
            subject: Subject,
        },
        /// Its bells call again.
        QuietEnded = "quiet-ended" {
            /// `time`, `command`.
            why: String,
        },
        /// A visitor rings; the envelope's ring is its id.
        Ring = "ring" {
            /// Which.
            button: ButtonId,
        },
        /// The ring is over.
        RingEnded = "ring-ended" {
            /// `answered`, `no-answer`, `handset`, `window`, `cancelled`, `unreachable`, `do-not-disturb`,
            /// `opened`, `restart` (of a gateway that could not say so before).
            outcome: String,
        },
        /// Who rings is let in from here on, by a command (ring-to-open).
        RingToOpenBegan = "ring-to-open-began" {
            /// It ends by itself after this.
            limit_s: u64,
            /// Who.
            subject: Subject,
        },
        /// Who rings is let in no more.
        RingToOpenEnded = "ring-to-open-ended" {
            /// `time`, `command`, `config`, `lockdown`, `restart` (of a gateway that could not say so before), `stop`.
            why: String,
        },
    }
}

events! {
    /// The switch port that the gateway is plugged into, as its IEEE 802.1X supplicant sees it. Every event that is
    /// a fault says in `text` what was found and what to do.
    PortEvent {
        /// Nobody answers at the other end of the cable: a switch without 802.1X, or one that is starting.
        AuthenticatorSilent = "authenticator-silent" {
            /// For how long.
            silent_s: u64,
            /// What, and what to do.
            text: String,
        },
        /// The switch lets the gateway in.
        Authorized = "authorized" {
            /// Method inside the tunnel, empty without one.
            inner: String,
            /// EAP method.
            method: String,
            /// TLS version, empty without TLS.
            tls: String,
        },
        /// The cable is in again, or the switch is back.
        CarrierFound = "carrier-found" {},
        /// The cable is out, or the switch is off.
        CarrierLost = "carrier-lost" {
            /// What, and what to do.
            text: String,
        },
        /// A certificate of the port's configuration ends soon, or has ended.
        CertificateExpires = "certificate-expires" {
            /// Whole days left; 0 on the last day, negative afterwards.
            days: i64,
            /// Which part of the configuration.
            part: String,
            /// What, and what to do.
            text: String,
        },
        /// A certificate of which the end was told does not end soon: the clock was wrong.
        CertificateGoesOn = "certificate-goes-on" {
            /// Which part of the configuration.
            part: String,
        },
        /// The authentication server refused user, password or client certificate.
        CredentialsRefused = "credentials-refused" {
            /// What, and what to do.
            text: String,
        },
        /// The machine has no interface of that name, or the one it had was unplugged or renamed.
        InterfaceAbsent = "interface-absent" {
            /// What, and what to do.
            text: String,
        },
        /// Another program looks after the port.
        ManagedElsewhere = "managed-elsewhere" {
            /// Which.
            manager: String,
            /// What, and what to do.
            text: String,
        },
        /// The supplicant cannot use a file or passphrase it was given.
        MaterialRefused = "material-refused" {
            /// What, and what to do.
            text: String,
        },
        /// The authentication server wants another EAP method.
        MethodRefused = "method-refused" {
            /// What, and what to do.
            text: String,
        },
        /// The port is authorized by what the switch said last, but no neighbour answers any more.
        NeighboursSilent = "neighbours-silent" {
            /// What, and what to do.
            text: String,
        },
        /// An authorized port was closed, because a re-authentication was refused.
        ReauthenticationRefused = "reauthentication-refused" {
            /// What, and what to do.
            text: String,
        },
        /// The gateway no longer looks after the port: its configuration changed, or it stops.
        Released = "released" {},
        /// The switch answers, but the conversation with the authentication server does not get on: RADIUS is down.
        ServerSilent = "server-silent" {
            /// For how long.
            silent_s: u64,
            /// What, and what to do.
            text: String,
        },
        /// The server's certificate does not prove that it is the configured server. No password was sent.
        ServerUntrusted = "server-untrusted" {
            /// Why: `expired`, `name-mismatch`, `not-yet-valid`, `other`, `revoked`, `unknown-ca`.
            reason: String,
            /// What, and what to do.
            text: String,
        },
        /// The supplicant program does not run; it is started again.
        SupplicantFailed = "supplicant-failed" {
            /// What, and what to do.
            text: String,
        },
    }
}

impl PortEvent {
    /// What stands from this event on about the port itself: a fault, or none (`Some(None)`). `None` if the event
    /// does not tell: a cable that is in again is not yet a port that is open.
    #[must_use]
    pub fn standing(&self) -> Option<Option<&str>> {
        match self {
            Self::Authorized { .. } | Self::Released {} => Some(None),
            Self::CarrierFound {} | Self::CertificateExpires { .. } | Self::CertificateGoesOn { .. } => None,
            Self::AuthenticatorSilent { text, .. }
            | Self::CarrierLost { text }
            | Self::CredentialsRefused { text }
            | Self::InterfaceAbsent { text }
            | Self::ManagedElsewhere { text, .. }
            | Self::MaterialRefused { text }
            | Self::MethodRefused { text }
            | Self::NeighboursSilent { text }
            | Self::ReauthenticationRefused { text }
            | Self::ServerSilent { text, .. }
            | Self::ServerUntrusted { text, .. }
            | Self::SupplicantFailed { text } => Some(Some(text)),
        }
    }
}

events! {
    /// A reader.
    ReaderEvent {
        /// A card was read.
        Card = "card" {
            /// Number of bits.
            bits: u16,
            /// The last digits only.
            masked: String,
        },
        /// A key was pressed.
        Key = "key" {},
        /// Something came that is no card and no key.
        Misread = "misread" {
            /// How many bits came last.
            bits: u16,
            /// Why.
            reason: Misread,
            /// How often since it was last told.
            times: u64,
        },
        /// The card is good, and its PIN is asked for too.
        PinAwaited = "pin-awaited" {},
        /// An operator has something done at the reader itself.
        ServiceBegan = "service-began" {
            /// Who.
            subject: Subject,
            /// What exactly.
            text: String,
            /// What.
            what: ReaderService,
        },
        /// It is over.
        ServiceEnded = "service-ended" {
            /// `done`, `failed`.
            outcome: String,
            /// Who had asked for it; none for a new key that the site file gives.
            subject: Option<Subject>,
            /// What came of it, and what to do.
            text: String,
            /// What.
            what: ReaderService,
        },
        /// It was not begun.
        ServiceRefused = "service-refused" {
            /// Who asked.
            subject: Subject,
            /// Why.
            text: String,
            /// What was asked for.
            what: ReaderService,
        },
    }
}

events! {
    /// An access controller of somebody else, before which the gateway stands as a reader. What it says opens nothing here.
    ControllerEvent {
        /// It beeps at the reader.
        Beeped = "beeped" {
            /// Where the card was read that it answers to.
            reader: Option<ReaderId>,
            /// How often; 0 is until further notice.
            times: u64,
        },
        /// It gave the reader that the gateway plays another key.
        KeySet = "key-set" {},
        /// It did not get a card.
        Missed = "missed" {
            /// Where the card was read.
            reader: Option<ReaderId>,
            /// Why, and what to do.
            text: String,
        },
        /// A card is handed on to it.
        Sent = "sent" {
            /// Number of bits, as they were read or given.
            bits: u16,
            /// Where the card was read; nowhere if somebody sent it.
            reader: Option<ReaderId>,
            /// Who sent it by a command, or which rule.
            subject: Option<Subject>,
        },
        /// Its light changed.
        Showed = "showed" {
            /// What it shows.
            colour: LightColour,
            /// Where the card was read that it answers to.
            reader: Option<ReaderId>,
            /// For how long, ms; without it until further notice.
            time_ms: Option<u64>,
        },
        /// It has the card that was handed on; by Wiegand: the front end began to send it, and nobody tells more.
        Taken = "taken" {
            /// Where the card was read.
            reader: Option<ReaderId>,
        },
        /// It has a text for people at the reader.
        Told = "told" {
            /// What.
            text: String,
        },
    }
}

events! {
    /// A relay that tells something and opens nothing.
    RelayEvent {
        /// It became active, or is no longer.
        Switched = "switched" {
            /// Active from here on?
            active: bool,
            /// Why; `restart` if the gateway before did not say that it is active no longer.
            text: String,
        },
    }
}

events! {
    /// A rule of the site file. The envelope's ring is that of the event that set it off.
    RuleEvent {
        /// It had a panel call.
        Called = "called" {
            /// Which button was pressed by it.
            button: ButtonId,
            /// The ring that began, or that it joined.
            call: RingId,
            /// Which panel.
            panel: PanelId,
        },
        /// Something that it asks for was refused, or could not be done.
        Failed = "failed" {
            /// What: `open front`, `call main/guard`.
            action: String,
            /// Why, and what to do.
            text: String,
        },
        /// An event set it off, and its conditions are met.
        Fired = "fired" {
            /// What it asks for.
            actions: String,
            /// Kind of the event.
            by: String,
            /// What the event is about, empty if it says nothing of it.
            of: String,
        },
        /// It would have acted, and is kept from it for as long as that goes on.
        HeldBack = "held-back" {
            /// Kind of the event.
            by: String,
            /// Why.
            text: String,
        },
        /// It has somebody told. The channel that is named tells this record, and no other does.
        Notify = "notify" {
            /// Which channel.
            channel: ChannelId,
            /// What.
            message: String,
        },
        /// Something that it asked for was heard at a panel.
        Prompted = "prompted" {
            /// At which line.
            line: LineId,
            /// For how long, or why it ended early.
            text: String,
        },
        /// It says something over MQTT: the message goes to a topic of its own, too.
        Publish = "publish" {
            /// What.
            message: String,
            /// Is the broker to keep it?
            retain: bool,
            /// Below the topics of the site and `message`.
            topic: String,
        },
    }
}

events! {
    /// Users of page and API.
    UserEvent {
        /// A backup was taken over the API. It has every secret of the site, under a passphrase.
        BackupMade = "backup-made" {
            /// Who took it.
            by: String,
        },
        /// The certificate that was uploaded is served no longer; the gateway's own is.
        CertificateRemoved = "certificate-removed" {
            /// Who removed it.
            by: String,
        },
        /// Page and API serve a certificate that was uploaded.
        CertificateReplaced = "certificate-replaced" {
            /// Who uploaded it.
            by: String,
            /// Until when it is good, RFC 3339.
            end: String,
            /// Hosts that it is for, with blanks between them.
            names: String,
        },
        /// A configuration on trial was confirmed: the site file has its text.
        ConfigConfirmed = "config-confirmed" {
            /// Who confirmed it.
            by: String,
        },
        /// A configuration on trial was rolled back: what was before is in force again.
        ConfigRolledBack = "config-rolled-back" {
            /// Who did it; none if it happened by itself.
            by: Option<String>,
            /// Why.
            text: String,
        },
        /// A configuration was put on trial.
        ConfigTried = "config-tried" {
            /// Who did it.
            by: String,
            /// How long it may wait to be confirmed.
            confirm_s: u64,
            /// What it does, in words.
            text: String,
        },
        /// A contact was removed.
        ContactRemoved = "contact-removed" {
            /// Who removed it.
            by: String,
            /// Its name.
            contact: String,
        },
        /// A contact was made or changed: call lists that name it ring this number, and it may open as their targets do.
        ContactSaved = "contact-saved" {
            /// Who made it.
            by: String,
            /// Its name.
            contact: String,
            /// Its number, with an address if it is called directly.
            number: String,
        },
        /// Logged in.
        Login = "login" {
            /// The RADIUS server that vouched; none for an account of this gateway.
            server: Option<String>,
            /// Login name; it begins with `radius:` if a RADIUS server vouched.
            user: String,
        },
        /// A login failed.
        LoginFailed = "login-failed" {
            /// What a RADIUS server said, or `no RADIUS server answers`; none if only this gateway was asked.
            reason: Option<String>,
            /// Where from.
            source: String,
        },
        /// Logins from a source are locked for a time.
        LoginLocked = "login-locked" {
            /// How long.
            lock_s: u64,
            /// Where from.
            source: String,
        },
        /// A password was changed; the other sessions of the user ended.
        PasswordChanged = "password-changed" {
            /// Login name.
            user: String,
        },
        /// People or their credentials were changed or exported.
        PeopleChanged = "people-changed" {
            /// Who did it.
            by: String,
            /// How many, or which.
            text: String,
        },
        /// A backup was restored at the machine: people, users, tokens and contacts are as they were then.
        Restored = "restored" {
            /// Of when it was, and how much changed.
            text: String,
        },
        /// The one-time setup code was used and the first user made.
        SetupDone = "setup-done" {
            /// Login name.
            user: String,
        },
        /// Scopes, doors or end of an API token were changed.
        TokenChanged = "token-changed" {
            /// Who did it.
            by: String,
            /// Its name.
            token: String,
        },
        /// An API token was made.
        TokenCreated = "token-created" {
            /// Its name.
            token: String,
        },
        /// An API token was withdrawn.
        TokenRevoked = "token-revoked" {
            /// Its name.
            token: String,
        },
        /// Scopes, doors or password of a user were changed by an administrator.
        UserChanged = "user-changed" {
            /// Who did it.
            by: String,
            /// Login name.
            user: String,
        },
        /// A user was made.
        UserCreated = "user-created" {
            /// Who made it.
            by: String,
            /// Login name.
            user: String,
        },
        /// A user was removed.
        UserRemoved = "user-removed" {
            /// Who removed it.
            by: String,
            /// Login name.
            user: String,
        },
    }
}
