//! Mail (RFC 5321, RFC 5322).

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Escape, Record};
use gateway_tls_client::roots_pem;
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use crate::params::Names;
use tokio::time::timeout;

use crate::params::{Mail, MailTls};
use crate::sent::NotSent;
use crate::text::dated;

/// Longest time for one answer of the server.
const ANSWER: Duration = Duration::from_secs(30);
/// Longest time for the whole conversation.
const WHOLE: Duration = Duration::from_secs(90);
/// Lines of one mail.
pub(crate) const LINES: usize = 500;

fn message(to: &Mail, names: &Names, batch: &[Arc<Record>]) -> Result<Message, String> {
    let mailbox = |text: &str| {
        text.parse::<Mailbox>()
            .map_err(|error| format!("{text:?} is no mail address: {error}"))
    };
    let first = batch.first().ok_or("nothing to tell")?;
    let subject = to.subject.fill(Escape::Line, |name| match name {
        "count" => batch.len().to_string(),
        "site" => names.site.clone(),
        _ => first.text_of(name),
    });
    let mut mail = Message::builder().from(mailbox(&to.from)?).subject(subject);
    for receiver in &to.to {
        mail = mail.to(mailbox(receiver)?);
    }
    for receiver in &to.cc {
        mail = mail.cc(mailbox(receiver)?);
    }
    let mut text = String::new();
    for record in batch {
        text += &dated(record, &names.time_zone);
        text += "\r\n";
    }
    // The place of a picture: a second part of the mixed ones, behind the text, for the record of the batch that has one
    // (RFC 2046 §5.1.3). No record has one as long as there are no cameras, and then there is the text alone.
    let part = MultiPart::mixed().singlepart(SinglePart::plain(text));
    mail.multipart(part).map_err(|error| error.to_string())
}

fn tls(to: &Mail) -> Result<Tls, String> {
    if to.tls == MailTls::Off {
        return Ok(Tls::None);
    }
    let pem = roots_pem(to.ca_file.as_deref()).map_err(|error| error.to_string())?;
    let roots = Certificate::from_pem(&pem).map_err(|error| error.to_string())?;
    let name = to.host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let parameters = TlsParameters::builder(name)
        .certificate_store(CertificateStore::None)
        .add_root_certificate(roots)
        .build()
        .map_err(|error| error.to_string())?;
    Ok(if to.tls == MailTls::Tls {
        Tls::Wrapper(parameters)
    } else {
        Tls::Required(parameters)
    })
}

/// Sends one mail for all records.
pub(crate) async fn send(to: &Mail, names: &Names, batch: &[Arc<Record>]) -> Result<(), NotSent> {
    let mail = message(to, names, batch).map_err(NotSent::later)?;
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&to.host)
        .port(to.port)
        .timeout(Some(ANSWER))
        .tls(tls(to).map_err(NotSent::later)?);
    if let Some((user, password)) = &to.login {
        transport = transport.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
    }
    let transport = transport.build();
    let Ok(sent) = timeout(WHOLE, transport.send(mail)).await else {
        let s = WHOLE.as_secs();
        return Err(NotSent::later(format!(
            "{}:{} does not take a mail within {s} s",
            to.host, to.port
        )));
    };
    match sent {
        Ok(_) => Ok(()),
        Err(error) => {
            let hint = if error.is_permanent() {
                ": check login, sender and receivers"
            } else {
                "; it is tried again"
            };
            let mut text = format!("{}:{}: {error}", to.host, to.port);
            let mut source = std::error::Error::source(&error);
            while let Some(inner) = source {
                text = format!("{text}: {inner}");
                source = inner.source();
            }
            Err(NotSent::later(text + hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::Template;

    use super::*;
    use crate::text::tests::record;

    #[test]
    fn a_mail_is_the_text_and_no_empty_place_of_a_picture() {
        let to = Mail {
            ca_file: None,
            cc: vec!["chief@site.example".into()],
            every: Duration::ZERO,
            from: "door@site.example".into(),
            host: "mail.site.example".into(),
            login: None,
            port: 465,
            subject: Template::new("{site}: {count}").expect("a template"),
            tls: MailTls::Tls,
            to: vec!["guard@site.example".into()],
        };
        let names = Names {
            site: "Lilas".into(),
            site_id: "lilas".into(),
            time_zone: jiff::tz::TimeZone::UTC,
        };
        let batch = [Arc::new(record(1)), Arc::new(record(2))];
        let mail = message(&to, &names, &batch).expect("a mail");
        let text = String::from_utf8(mail.formatted()).expect("text");
        let parts = text.matches("Content-Type: ").count();
        assert_eq!(
            (parts, text.matches("Content-Type: text/plain").count()),
            (2, 1),
            "{text}"
        );
        assert!(
            text.contains("Content-Type: multipart/mixed") && !text.contains("image/"),
            "{text}"
        );
        assert!(
            text.contains("Subject: Lilas: 2\r\n") && text.contains("Cc: chief@site.example"),
            "{text}"
        );
    }
}
