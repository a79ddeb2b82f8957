//! What the channels are told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use gateway_core::{Secret, Template};

use crate::choice::Choice;
use crate::url::HttpUrl;

/// All channels of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// By name.
    pub channels: BTreeMap<String, Channel>,
    /// Whose events they are.
    pub names: Names,
}

/// What messages say of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Name of the site for people, in subjects and texts.
    pub site: String,
    /// Short name of the site for programs.
    pub site_id: String,
    /// Where its clocks are.
    pub time_zone: jiff::tz::TimeZone,
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Which events.
    pub choice: Choice,
    /// Events older than this are left out, 1 min to 30 days.
    pub max_age: Duration,
    /// Where to.
    pub target: Target,
}

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A mail for one or many events.
    Mail(Mail),
    /// Syslog messages (RFC 5424).
    Syslog(Syslog),
    /// A message of a Telegram bot.
    Telegram(Telegram),
    /// An HTTP request for each event.
    Webhook(Webhook),
}

/// Mail over SMTP (RFC 5321).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Certificates that the server's must lead to; without them the machine's own.
    pub ca_file: Option<PathBuf>,
    /// Carbon copies.
    pub cc: Vec<String>,
    /// Events are gathered for this long from the first one on; zero sends at once.
    pub every: Duration,
    /// Sender.
    pub from: String,
    /// Server.
    pub host: String,
    /// User and password.
    pub login: Option<(String, Secret)>,
    /// Port.
    pub port: u16,
    /// Subject.
    pub subject: Template,
    /// Protection of the connection.
    pub tls: MailTls,
    /// Receivers.
    pub to: Vec<String>,
}

/// Protection of a connection to a mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// None.
    Off,
    /// TLS before the login, on a connection that begins in clear (RFC 3207). A server without it gets no mail.
    StartTls,
    /// TLS from the first octet on (RFC 8314 §3.3).
    Tls,
}

/// Facilities of RFC 5424 §6.2.1, as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(pub u8);

/// A syslog server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syslog {
    /// Certificates that the server's must lead to; without them the machine's own.
    pub ca_file: Option<PathBuf>,
    /// Facility.
    pub facility: Facility,
    /// Server.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How.
    pub transport: SyslogTransport,
}

/// How syslog messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyslogTransport {
    /// Octet counting (RFC 6587 §3.4.1).
    Tcp,
    /// The same under TLS (RFC 5425).
    Tls,
    /// One datagram each (RFC 5426). Nothing tells that it arrived.
    Udp,
}

/// A bot that writes into a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telegram {
    /// Bot API, `https://api.telegram.org` unless a server of one's own is run.
    pub api: HttpUrl,
    /// Certificates that the server's must lead to; without them the machine's own.
    pub ca_file: Option<PathBuf>,
    /// Number or `@name` of the chat.
    pub chat: String,
    /// Token of the bot.
    pub token: Secret,
}

/// A program that is told by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Value of the header `Authorization`.
    pub authorization: Option<Secret>,
    /// Body; without it the record as JSON.
    pub body: Option<Template>,
    /// Certificates that the server's must lead to; without them the machine's own.
    pub ca_file: Option<PathBuf>,
    /// Media type of a body of one's own.
    pub content_type: String,
    /// Key of the signature.
    pub key: Option<Secret>,
    /// Where to.
    pub url: HttpUrl,
}
