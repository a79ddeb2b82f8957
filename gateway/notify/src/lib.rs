//! Events to people and programs elsewhere: syslog, webhooks, mail, Telegram.
//!
//! ```text
//! journal ─ durable cursor of the channel ─▶ choice ─▶ text ─▶ sender ─ accepted ─▶ cursor moves on
//! ```
//! Each channel reads the journal by a cursor of its own, so that an outage delays what it tells and loses nothing; what is
//! older than its `max-age` is left out, counted and journalled, by a date that was shown to be right and not by whatever the
//! clock shows. The cursor moves once the other side has accepted: after a power cut
//! or a broken connection an event may come twice, and its number tells. Nothing that answers here opens anything.

mod channel;
mod choice;
mod dial;
mod handle;
mod mail;
mod params;
mod sent;
mod syslog;
mod telegram;
mod text;
mod url;
mod webhook;

pub use choice::Choice;
pub use handle::{Ground, NotifyHandle, Proven, Status, start};
pub use params::{
    Channel, Facility, Mail, MailTls, Names, Params, Syslog, SyslogTransport, Target, Telegram, Webhook,
};
pub use syslog::{DATAGRAM, MESSAGE, SyslogLine};
pub use url::HttpUrl;
