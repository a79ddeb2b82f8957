//! Relays that click beside a panel: its microphone is silent for a moment, so that nobody hears them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use gateway_config::Config;
use gateway_core::{LineId, OutputId};
use gateway_guard::GuardReport;
use gateway_guard_proto::Report;
use gateway_sip_io::SipHandle;

/// A strike bounces for less.
const CLICK: Duration = Duration::from_millis(60);

/// Of each output of a door the lines of the panels that serve it.
type Near = BTreeMap<OutputId, BTreeSet<LineId>>;

/// Which lines hear which relays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clicks(Arc<RwLock<Near>>);

impl Clicks {
    /// Takes a site.
    pub(crate) fn renew(&self, config: &Config) {
        let mut near = Near::new();
        for panel in config.panels.values() {
            let doors = panel.doors.iter().filter_map(|door| config.doors.get(door));
            for output in doors.filter_map(|door| door.output.as_ref()) {
                near.entry(output.clone()).or_default().insert(panel.line.clone());
            }
        }
        if let Ok(mut known) = self.0.write() {
            *known = near;
        }
    }

    /// An output is about to move, or has just moved: what was captured meanwhile comes to the engine later.
    pub(crate) fn hush(&self, sip: &SipHandle, output: &OutputId) {
        let Ok(near) = self.0.read() else { return };
        for line in near.get(output).into_iter().flatten() {
            if let Err(error) = sip.mute_line(line, CLICK) {
                tracing::debug!(%line, %error, "the click of a relay may be heard");
            }
        }
    }

    /// What the guard says of an output that moved by itself.
    pub(crate) fn reported(&self, sip: &SipHandle, report: &GuardReport) {
        if let GuardReport::Guard(Report::Energised { output, .. } | Report::Released { output, .. }) = report
        {
            self.hush(sip, output);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_hears_the_relays_of_its_doors() {
        let text = include_str!("../../../config/examples/minimal.toml");
        let dir = tempfile::tempdir().expect("a folder");
        let files = gateway_config::SecretFiles::WhereFound;
        let loaded = gateway_config::parse("site.toml", dir.path(), text, files);
        let config = loaded.unwrap_or_else(|faults| panic!("{faults}")).config;
        let clicks = Clicks::default();
        clicks.renew(&config);
        let near = clicks.0.read().expect("whole");
        assert_eq!(near.len(), 1);
        for panel in config.panels.values() {
            assert!(near.values().all(|lines| lines.contains(&panel.line)));
        }
    }
}
