//! `[notify.*]`: who is told elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use gateway_core::{Secret, Template};

use crate::describe::{choice, table};
use crate::rules::{Path, address, list, parsed, password, secs, text, told, word};
use crate::value::{
    EventClass, EventName, HostPort, HttpUrl, MailAddress, MailTls, SyslogFacility, SyslogTransport,
};

table! {
    /// A channel of notifications: events of the journal, told to somebody elsewhere. During an outage they wait in the
    /// journal. A channel that is new begins with what happens from then on. `docs/notifications.md` says more.
    pub struct Notify {
        /// Classes of events; beside `events`, and without both all.
        classes: Option<Vec<EventClass>> = "classes", list(word(), 1, 7), optional, Restart;
        /// Kinds of events (`door.granted`) or families of them (`door`); beside `classes`, and without both all.
        events: Option<Vec<EventName>> = "events", list(parsed(), 1, 100), optional, Restart;
        /// Kinds and families that are left out.
        without: Option<Vec<EventName>> = "without", list(parsed(), 1, 100), optional, Restart;
        /// Doors, panels, readers and other sources whose events are told; without it all.
        sources: Option<Vec<String>> = "sources", list(text(1, 40), 1, 100), optional, Restart;
        /// Events that are older are not told any more, 60 s to 30 days.
        max_age: Duration = "max-age-s", secs(60, 2_592_000), or("86400"), Restart;
        one of
        /// Where they are told.
        target: NotifyTarget;
    }
}

choice! {
    /// Where events are told.
    pub enum NotifyTarget {
        /// A mail for one or many events.
        Mail(Mail) = "mail",
        /// A syslog server.
        Syslog(Syslog) = "syslog",
        /// A chat, by a Telegram bot.
        Telegram(Telegram) = "telegram",
        /// A program, by an HTTP request for each event.
        Webhook(Webhook) = "webhook",
    }
}

table! {
    /// A mail server and whom it writes to.
    pub struct Mail {
        /// The server, HOST or HOST:PORT; without port 465, 587 with `tls = "starttls"`, 25 with `tls = "off"`.
        server: HostPort = "server", parsed(), required, Restart;
        /// Protection of the connection.
        tls: MailTls = "tls", word(), or("\"tls\""), Restart;
        /// Certificates, PEM, that the server's certificate must lead to; without it the machine's own.
        ca_file: Option<PathBuf> = "ca-file", Path, optional, Restart;
        /// User to log in as; without it nobody.
        user: Option<String> = "user", text(1, 320), optional, Restart;
        /// Password; `password-file` keeps it out of this file.
        password: Option<Secret> = "password", password(), optional, Restart;
        /// File that holds the password in its first line. It must not be readable by other users. A relative
        /// path starts at the folder of this file.
        password_file: Option<PathBuf> = "password-file", Path, optional, Restart;
        /// Sender, as receivers see it.
        from: MailAddress = "from", parsed(), required, Restart;
        /// Receivers, 1 to 20.
        to: Vec<MailAddress> = "to", list(parsed(), 1, 20), required, Restart;
        /// Receivers of a copy.
        cc: Option<Vec<MailAddress>> = "cc", list(parsed(), 1, 20), optional, Restart;
        /// Subject, with the fields of the first event in braces, and `{site}` and `{count}`.
        subject: Template = "subject", parsed(), or("\"{site}: {kind} {source} ({count})\""), Restart;
        /// Events are gathered for this long from the first one on, 0 to 1800 s.
        every: Duration = "every-s", secs(0, 1800), or("60"), Restart;
    }
}

table! {
    /// A syslog server (RFC 5424).
    pub struct Syslog {
        /// The server, HOST or HOST:PORT; without port 6514 by TLS and 514 otherwise.
        server: HostPort = "server", parsed(), required, Restart;
        /// How messages travel.
        transport: SyslogTransport = "transport", word(), or("\"tls\""), Restart;
        /// Facility of the messages.
        facility: SyslogFacility = "facility", word(), or("\"local4\""), Restart;
        /// Certificates, PEM, that the server's certificate must lead to; without it the machine's own.
        ca_file: Option<PathBuf> = "ca-file", Path, optional, Restart;
    }
}

table! {
    /// A Telegram bot and the chat where it writes.
    pub struct Telegram {
        /// Number of the chat, or `@name` of a channel.
        chat: String = "chat", text(1, 64), required, Restart;
        /// Token of the bot; `token-file` keeps it out of this file.
        token: Option<Secret> = "token", password(), optional, Restart;
        /// File that holds the token in its first line, as `password-file`.
        token_file: Option<PathBuf> = "token-file", Path, optional, Restart;
        /// Where the bot API is reached.
        api: HttpUrl = "api", address(), or("\"https://api.telegram.org\""), Restart;
        /// Certificates, PEM, that the server's certificate must lead to; without it the machine's own.
        ca_file: Option<PathBuf> = "ca-file", Path, optional, Restart;
    }
}

table! {
    /// A program that is told by HTTP POST.
    pub struct Webhook {
        /// Address that the events are posted to. Where the file is shown, one with a query, or with a part of its path that
        /// looks like a token, is hidden like a password.
        url: HttpUrl = "url", address(), required, Restart;
        /// Body, with the fields of the event in braces and `{site}`; without it the record as JSON, as the API gives it.
        /// Where the file is shown, one that gives a secret away, such as `"api_key"`, is hidden like a password.
        body: Option<Template> = "body", told(), optional, Restart;
        /// Media type of `body`; fields are escaped as JSON, XML or form want it.
        content_type: String = "content-type", text(3, 100), or("\"application/json\""), Restart;
        /// Key of the signature (HMAC-SHA256) in the header `Doorline-Signature`; `key-file` keeps it out of this file.
        key: Option<Secret> = "key", password(), optional, Restart;
        /// File that holds the key in its first line, as `password-file`.
        key_file: Option<PathBuf> = "key-file", Path, optional, Restart;
        /// Value of the header `Authorization`, such as `Bearer …`; `authorization-file` keeps it out of this file.
        authorization: Option<Secret> = "authorization", password(), optional, Restart;
        /// File that holds this value in its first line, as `password-file`.
        authorization_file: Option<PathBuf> = "authorization-file", Path, optional, Restart;
        /// Certificates, PEM, that the server's certificate must lead to; without it the machine's own.
        ca_file: Option<PathBuf> = "ca-file", Path, optional, Restart;
    }
}

impl Notify {
    /// Each secret that may stand in a file of its own: its key below the channel, the file, the value.
    pub(crate) fn secrets(&mut self) -> Vec<(&'static str, &Option<PathBuf>, &mut Option<Secret>)> {
        match &mut self.target {
            NotifyTarget::Mail(mail) => vec![("mail.password", &mail.password_file, &mut mail.password)],
            NotifyTarget::Syslog(_) => vec![],
            NotifyTarget::Telegram(bot) => vec![("telegram.token", &bot.token_file, &mut bot.token)],
            NotifyTarget::Webhook(hook) => vec![
                ("webhook.key", &hook.key_file, &mut hook.key),
                (
                    "webhook.authorization",
                    &hook.authorization_file,
                    &mut hook.authorization,
                ),
            ],
        }
    }
}
