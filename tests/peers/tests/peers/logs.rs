//! The program's own log at a real syslog, and as JSON.

use anyhow::{Context as _, ensure};
use peers::{Gateway, Rig, Rsyslog, Site, Trust, Use, run, until};
use serde_json::Value;

use crate::secs;

fn site(rig: &Rig) -> String {
    let site = Site {
        targets: vec![format!("sip:nobody@127.0.0.1:{}", rig.port(Use::Unused))],
        more: format!(
            "[log]\nformat = \"json\"\njournald = \"off\"\n[log.syslog]\nserver = \"127.0.0.1:{}\"\ntransport = \"tcp\"\n\
             facility = \"local6\"\n",
            rig.port(Use::Syslog)
        ),
        ..Site::default()
    };
    site.text(rig)
}

/// Objects of the log: from the first line on, each is one.
fn objects(gateway: &Gateway) -> anyhow::Result<Vec<Value>> {
    let log = gateway.log();
    let read = |line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}"));
    log.lines().map(read).collect()
}

#[test]
fn rsyslog_gets_the_log_also_after_it_was_away_and_no_door_waits() {
    run(|rig| {
        let trust = Trust::new(rig)?;
        let rsyslog = Rsyslog::start(rig, &trust)?;
        let mut gateway = Gateway::start(rig, &site(rig))?;
        let line = until(secs(20), "a line at rsyslog", || {
            let mut lines = rsyslog.lines().into_iter();
            Ok(lines.find(|line| line.contains("the relay guard can be used")))
        })?;
        ensure!(line.starts_with("local6 info "), "{line}");
        ensure!(line.contains(" doorline - -"), "{line}");
        let before = rsyslog.lines().len();
        rsyslog.kill();

        gateway.card()?;
        gateway.energised(secs(3))?;
        gateway.released(secs(8))?;
        // each reload that is refused is an error of the log
        let broken = format!("{}\nnonsense = 1\n", site(rig));
        let _ = gateway.reload(&broken);
        gateway.reload(&site(rig))?;
        let rsyslog = Rsyslog::start(rig, &trust)?;
        until(secs(40), "a line at rsyslog after it was away", || {
            let _ = gateway.reload(&broken);
            gateway.reload(&site(rig))?;
            let lines = rsyslog.lines();
            let new = lines.into_iter().skip(before);
            Ok(new.into_iter().find(|line| line.contains("site file")))
        })?;
        let objects = objects(&gateway)?;
        ensure!(objects.len() > 3, "{objects:?}");
        for object in &objects {
            ensure!(
                object["at"].is_string() && object["level"].is_string() && object["message"].is_string(),
                "{object}"
            );
        }
        gateway.stop()
    });
}
