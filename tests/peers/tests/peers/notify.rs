//! Notifications at real receivers: rsyslog, webhook, a mail server; through outages and restarts.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use peers::{
    Api, BreakingServer, Breaks, Gateway, MailServer, Posted, Rig, Rsyslog, Site, Trust, Use, WebhookServer,
    run, until,
};
use rustix::process::Signal;

use crate::secs;

/// Channels to all receivers; only cards and grants, so that a test knows what has to come.
fn channels(rig: &Rig, trust: &Trust, key: &str) -> String {
    format!(
        r#"
[notify.log]
events = ["door.granted"]
[notify.log.syslog]
server = "127.0.0.1:{syslog}"
transport = "tcp"
facility = "authpriv"
[notify.far-log]
events = ["door.granted"]
[notify.far-log.syslog]
server = "127.0.0.1:{syslog_tls}"
ca-file = "{ca}"
[notify.erp]
events = ["door.granted"]
sources = ["front"]
[notify.erp.webhook]
url = "http://127.0.0.1:{webhook}/hooks/door"
key = "{key}"
[notify.porter]
events = ["door.granted"]
[notify.porter.mail]
server = "127.0.0.1:{smtps}"
ca-file = "{ca}"
from = "Front door <door@site.example>"
to = ["porter@site.example"]
cc = ["office@site.example"]
subject = "{{site}}: {{kind}} at {{source}} ({{count}})"
every-s = 1
"#,
        syslog = rig.port(Use::Syslog),
        syslog_tls = rig.port(Use::SyslogTls),
        webhook = rig.port(Use::Webhook),
        smtps = rig.port(Use::Smtps),
        ca = trust.ca.display(),
    )
}

fn site(rig: &Rig, trust: &Trust, key: &str) -> String {
    let more = channels(rig, trust, key);
    let site = Site {
        targets: vec![format!("sip:1000@127.0.0.1:{}", rig.port(Use::Unused))],
        http: true,
        more,
        ..Site::default()
    };
    site.text(rig)
}

/// A card opens the door; the number of the record.
fn opened(gateway: &mut Gateway) -> anyhow::Result<u64> {
    let before = gateway.last_seq();
    gateway.card()?;
    let granted = gateway.event(before, "door.granted", secs(10), |_| true)?;
    gateway.event(before, "door.relocked", secs(10), |_| true)?;
    Ok(granted["seq"].as_u64().unwrap_or_default())
}

/// Longest pause of a channel after failures (300 s), and the time to tell all of it.
const REACHED: Duration = Duration::from_secs(330);

/// Each number where it came first: what may have been told already is told again, but nothing overtakes.
fn firsts(seqs: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut known = HashSet::new();
    seqs.filter(|seq| known.insert(*seq)).collect()
}

/// Waits until a receiver has got just these numbers.
fn reached(what: &str, wanted: &[u64], look: impl Fn() -> Vec<u64>) -> anyhow::Result<()> {
    let got = until(REACHED, what, || Ok((look() == wanted).then_some(())));
    got.with_context(|| format!("{what}: wanted {wanted:?}, got {:?}", look()))
}

/// Numbers of messages that rsyslog wrote for a facility.
fn logged(rsyslog: &Rsyslog, facility: &str) -> Vec<u64> {
    let lines = rsyslog
        .lines()
        .into_iter()
        .filter(|line| line.starts_with(facility));
    let number = |line: String| {
        line.split("sequenceId=\"")
            .nth(1)?
            .split('"')
            .next()?
            .parse()
            .ok()
    };
    firsts(lines.filter_map(number))
}

/// Numbers of events in mails. Those of one mail are in order; mails themselves lie about in none.
fn mailed(server: &MailServer) -> Vec<u64> {
    let mails = server.mails();
    let lines = mails.iter().flat_map(|mail| mail.lines());
    let mut seqs: Vec<u64> = lines
        .filter_map(|line| line.trim_end().rsplit_once(" #")?.1.parse().ok())
        .collect();
    seqs.sort_unstable();
    seqs.dedup();
    seqs
}

/// Keys that are typed while nobody hears of it: as many records as a door leaves behind that opens every three seconds for
/// ten minutes, six each time.
const OUTAGE: usize = 1200;

/// Types so many keys.
fn types(gateway: &Gateway, keys: usize) -> anyhow::Result<()> {
    let before = gateway.events()?.len();
    gateway.sim(&["keys", "front-reader", &"7".repeat(keys)])?;
    until(secs(60), "every key", || {
        Ok((gateway.events()?.len() >= before + keys).then_some(()))
    })
}

/// Numbers that a receiver of webhooks got.
fn told(receiver: &WebhookServer) -> Vec<u64> {
    let lines = receiver.lines();
    firsts(
        lines
            .iter()
            .filter_map(|line| line.split(' ').next()?.parse().ok()),
    )
}

#[test]
fn rsyslog_a_webhook_and_a_mail_server_are_told_of_a_card() {
    run(|rig| {
        let trust = Trust::new(rig)?;
        let (rsyslog, webhook, mail) = (
            Rsyslog::start(rig, &trust)?,
            WebhookServer::start(rig)?,
            MailServer::start(rig, &trust)?,
        );
        let mut gateway = Gateway::start(rig, &site(rig, &trust, WebhookServer::KEY))?;
        let seq = opened(&mut gateway)?;
        for facility in ["authpriv", "local4"] {
            let begin = format!("{facility} info test doorline door.granted [meta sequenceId=\"{seq}\"]");
            let line = until(secs(20), &begin, || {
                Ok(rsyslog.lines().into_iter().find(|line| line.starts_with(&begin)))
            })?;
            ensure!(line.contains("door.granted front, factor card"), "{line}");
        }
        let hook = until(secs(20), "the webhook", || Ok(webhook.lines().into_iter().next()))?;
        ensure!(hook == format!("{seq} door.granted front"), "{hook}");
        let mail = until(secs(20), "the mail", || Ok(mail.mails().into_iter().next()))?;
        for part in [
            "From: \"Front door\" <door@site.example>",
            "To: porter@site.example",
            "Cc: office@site.example",
            ": door.granted at front (1)",
            "door.granted front, factor card",
        ] {
            ensure!(mail.contains(part), "{part:?} is not in {mail}");
        }
        // each is told once
        ensure!(
            webhook.lines().len() == 1 && rsyslog.lines().len() == 2,
            "{:?}",
            rsyslog.lines()
        );
        Ok(())
    });
}

#[test]
fn what_happens_while_receivers_are_away_or_the_gateway_dies_is_told_later_and_in_order() {
    run(|rig| {
        let trust = Trust::new(rig)?;
        let webhook = WebhookServer::start(rig)?;
        let rsyslog = Rsyslog::start(rig, &trust)?;
        let mut gateway = Gateway::start(rig, &site(rig, &trust, WebhookServer::KEY))?;
        let mut api = Api::set_up(rig, &gateway)?;
        let mut wanted = vec![opened(&mut gateway)?];
        reached("the first webhook", &wanted, || told(&webhook))?;
        for facility in ["authpriv", "local4"] {
            reached("the first syslog message", &wanted, || logged(&rsyslog, facility))?;
        }
        webhook.kill();
        rsyslog.kill();
        for _ in 0..3 {
            wanted.push(opened(&mut gateway)?);
        }
        // the page says which receiver is away, and the door works all along
        for part in ["notify:erp", "notify:log", "notify:far-log", "notify:porter"] {
            until(secs(20), part, || {
                let health = api.get("/api/v1/health")?.body;
                Ok(health.to_string().contains(part).then_some(()))
            })?;
        }
        gateway.process().signal(Signal::KILL)?;
        gateway.process().wait(secs(10))?;
        gateway.again(rig)?;
        wanted.push(opened(&mut gateway)?);
        let webhook = WebhookServer::start(rig)?;
        let rsyslog = Rsyslog::start(rig, &trust)?;
        reached("every webhook", &wanted, || told(&webhook))?;
        for facility in ["authpriv", "local4"] {
            reached("every syslog message", &wanted, || logged(&rsyslog, facility))?;
        }
        api.log_in()?;
        until(secs(20), "the fault to be gone", || {
            let health = api.get("/api/v1/health")?.body;
            Ok((!health.to_string().contains("notify:erp")).then_some(()))
        })
    });
}

#[test]
fn ten_minutes_of_events_while_every_receiver_is_away_reach_each_of_them_in_order() {
    run(|rig| {
        let trust = Trust::new(rig)?;
        let webhook = WebhookServer::start(rig)?;
        let (rsyslog, mail) = (Rsyslog::start(rig, &trust)?, MailServer::start(rig, &trust)?);
        let text = site(rig, &trust, WebhookServer::KEY);
        let text = text
            .replace("door.granted", "reader.key")
            .replace("sources = [\"front\"]\n", "");
        let mut gateway = Gateway::start(rig, &text)?;
        types(&gateway, 1)?;
        // what syslog servers have read and not yet written is lost with them, and nobody can know
        let heard = || (rsyslog.lines(), webhook.lines(), mailed(&mail));
        until(secs(60), "the first of each", || {
            let (log, hook, mail) = heard();
            // what came twice, because its answer was late, has come
            Ok((log.len() >= 2 && !hook.is_empty() && !mail.is_empty()).then_some(()))
        })
        .with_context(|| format!("{:?}", heard()))?;
        webhook.kill();
        rsyslog.kill();
        mail.kill();
        // in the middle of it the gateway dies, too
        types(&gateway, OUTAGE / 2)?;
        gateway.process().signal(Signal::KILL)?;
        gateway.process().wait(secs(10))?;
        gateway.again(rig)?;
        types(&gateway, OUTAGE / 2)?;
        let events = gateway.events()?;
        let keys = events.iter().filter(|event| event["kind"] == "reader.key");
        let wanted: Vec<u64> = keys.filter_map(|event| event["seq"].as_u64()).collect();
        ensure!(wanted.len() == OUTAGE + 1, "{} keys", wanted.len());
        let webhook = WebhookServer::start(rig)?;
        let (rsyslog, mail) = (Rsyslog::start(rig, &trust)?, MailServer::start(rig, &trust)?);
        for facility in ["authpriv", "local4"] {
            reached("every syslog message", &wanted, || logged(&rsyslog, facility))?;
        }
        reached("every mail", &wanted, || mailed(&mail))?;
        reached("every webhook", &wanted, || told(&webhook))
    });
}

#[test]
fn a_web_server_that_breaks_off_anywhere_loses_nothing_and_is_told_nothing_twice_that_it_took() {
    run(|rig| {
        let channel = format!(
            "[notify.erp]\nevents = [\"reader.key\"]\n[notify.erp.webhook]\nurl = \"http://127.0.0.1:{}/hooks\"\n",
            rig.port(Use::Webhook)
        );
        let site = Site {
            more: channel,
            targets: vec![format!("sip:1000@127.0.0.1:{}", rig.port(Use::Unused))],
            ..Site::default()
        };
        let gateway = Gateway::start(rig, &site.text(rig))?;
        let posted = Arc::default();
        // between two that are not taken one is, so that each time the channel waits for a second only
        let how = [
            Breaks::AtOnce,
            Breaks::Not,
            Breaks::Unanswered,
            Breaks::InBody,
            Breaks::InStatus,
            Breaks::Later,
            Breaks::Not,
        ];
        let server = BreakingServer::start(rig, &how, Arc::clone(&posted))?;
        types(&gateway, 8)?;
        let took = |server: &BreakingServer| {
            let all = server.posted();
            let ok = all.iter().filter(|one| one.said_ok).map(|one| one.seq);
            ok.collect::<Vec<u64>>()
        };
        until(secs(30), "what was typed", || {
            Ok((took(&server).len() >= 8).then_some(()))
        })?;
        // it is gone, and comes back
        drop(server);
        types(&gateway, 4)?;
        let server = BreakingServer::start(rig, &[], posted)?;
        until(secs(30), "what was typed meanwhile", || {
            Ok((took(&server).len() >= 12).then_some(()))
        })?;
        let events = gateway.events()?;
        let keys = events.iter().filter(|event| event["kind"] == "reader.key");
        let wanted: Vec<u64> = keys.filter_map(|event| event["seq"].as_u64()).collect();
        let all = server.posted();
        ensure!(took(&server) == wanted, "{wanted:?}: {all:#?}");
        // what came more than once had not been taken, and was the same each time
        let again: Vec<&Posted> = all.iter().filter(|one| !one.said_ok).collect();
        ensure!(again.len() == 3, "{all:#?}");
        for one in again {
            let mut others = all.iter().filter(|other| other.said_ok && other.seq == one.seq);
            ensure!(others.all(|other| other.body == one.body), "{all:#?}");
        }
        gateway.verify()
    });
}

#[test]
fn a_webhook_with_the_wrong_key_is_a_fault_until_the_site_file_is_mended() {
    run(|rig| {
        let trust = Trust::new(rig)?;
        let webhook = WebhookServer::start(rig)?;
        let mut gateway = Gateway::start(rig, &site(rig, &trust, "another key"))?;
        let api = Api::set_up(rig, &gateway)?;
        let seq = opened(&mut gateway)?;
        until(secs(20), "the fault", || {
            let health = api.get("/api/v1/health")?.body.to_string();
            Ok((health.contains("notify:erp") && health.contains("the server answers 500")).then_some(()))
        })?;
        ensure!(webhook.lines().is_empty(), "{:?}", webhook.lines());
        let said = gateway.reload(&site(rig, &trust, WebhookServer::KEY))?;
        ensure!(said.contains("in force"), "{said}");
        until(secs(20), "the webhook", || {
            Ok((told(&webhook) == [seq]).then_some(()))
        })
    });
}
