//! What people, programs and rules ask for.

use crate::command::{CommandId, Refusal};
use crate::ids::{ButtonId, ChannelId, LineId, PanelId, RingId};
use crate::subject::Subject;

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
