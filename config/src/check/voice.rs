//! How voices are treated: only where there are some, and no key without a meaning.

use super::Check;
use crate::fault::FaultKind;
use crate::model::LineDriver;
use crate::value::Echo;

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (id, line) in &config.lines {
        let Some(voice) = &line.voice else { continue };
        let at = format!("lines.{id}.voice");
        match &line.driver {
            LineDriver::Contact(_) => {
                let text = "the line has buttons only, and no voices".to_owned();
                let hint = "remove the table, or give the line wires with audio";
                check.fault(FaultKind::Conflict, &at, &[], text, hint);
            }
            LineDriver::FrontEnd(_) | LineDriver::Virtual(_) => {}
        }
        if voice.echo == Echo::Off && voice.echo_tail.is_some() {
            let text = "no echo is taken out, and one is given a length".to_owned();
            let hint = "remove echo-tail-ms, or set echo to hybrid or speaker";
            let tail = format!("{at}.echo-tail-ms");
            check.fault(FaultKind::Conflict, &tail, &[], text, hint);
        }
    }
}
