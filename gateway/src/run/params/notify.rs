//! Parameters of the channels of notifications.

use gateway_config::{Config, EventName, MailTls, NotifyTarget, SyslogTransport};
use gateway_notify::{self as notify, Choice, Facility, HttpUrl, Names, Params};

use super::zone;

/// All channels.
pub(crate) fn notify(config: &Config) -> Params {
    let channels = config.notify.iter().map(|(id, channel)| {
        let names = |events: &Option<Vec<EventName>>| {
            let events = events.iter().flatten();
            events.map(|event| event.as_str().to_owned()).collect()
        };
        let channel = notify::Channel {
            choice: Choice {
                channel: id.to_string(),
                classes: channel
                    .classes
                    .iter()
                    .flatten()
                    .map(|class| class.class())
                    .collect(),
                events: names(&channel.events),
                sources: channel.sources.iter().flatten().cloned().collect(),
                without: names(&channel.without),
            },
            max_age: channel.max_age,
            target: target(&channel.target),
        };
        (id.to_string(), channel)
    });
    Params {
        channels: channels.collect(),
        names: Names {
            site: config.site.name.clone(),
            site_id: config.site.id.to_string(),
            time_zone: zone(config).unwrap_or(jiff::tz::TimeZone::UTC),
        },
    }
}

fn target(target: &NotifyTarget) -> notify::Target {
    match target {
        NotifyTarget::Mail(mail) => {
            let (tls, usual) = match mail.tls {
                MailTls::Off => (notify::MailTls::Off, 25),
                MailTls::StartTls => (notify::MailTls::StartTls, 587),
                MailTls::Tls => (notify::MailTls::Tls, 465),
            };
            let all = |to: &[gateway_config::MailAddress]| to.iter().map(|a| a.as_str().to_owned()).collect();
            notify::Target::Mail(notify::Mail {
                ca_file: mail.ca_file.clone(),
                cc: all(mail.cc.as_deref().unwrap_or_default()),
                every: mail.every,
                from: mail.from.as_str().to_owned(),
                host: mail.server.host.to_string(),
                login: mail.user.clone().zip(mail.password.clone()),
                port: mail.server.port.unwrap_or(usual),
                subject: mail.subject.clone(),
                tls,
                to: all(&mail.to),
            })
        }
        NotifyTarget::Syslog(syslog) => {
            let (transport, usual) = match syslog.transport {
                SyslogTransport::Tcp => (notify::SyslogTransport::Tcp, 514),
                SyslogTransport::Tls => (notify::SyslogTransport::Tls, 6514),
                SyslogTransport::Udp => (notify::SyslogTransport::Udp, 514),
            };
            notify::Target::Syslog(notify::Syslog {
                ca_file: syslog.ca_file.clone(),
                facility: Facility(syslog.facility.number()),
                host: syslog.server.host.to_string(),
                port: syslog.server.port.unwrap_or(usual),
                transport,
            })
        }
        NotifyTarget::Telegram(bot) => notify::Target::Telegram(notify::Telegram {
            api: url(&bot.api),
            ca_file: bot.ca_file.clone(),
            chat: bot.chat.clone(),
            token: bot.token.clone().unwrap_or_default(),
        }),
        NotifyTarget::Webhook(hook) => notify::Target::Webhook(notify::Webhook {
            authorization: hook.authorization.clone(),
            body: hook.body.clone(),
            ca_file: hook.ca_file.clone(),
            content_type: hook.content_type.clone(),
            key: hook.key.clone(),
            url: url(&hook.url),
        }),
    }
}

fn url(url: &gateway_config::HttpUrl) -> HttpUrl {
    HttpUrl {
        host: url.host.to_string(),
        path: url.path.clone(),
        port: url.port,
        tls: url.tls,
    }
}
