//! Voices: by which card they come, and how they are treated; only where there are some, and no key without a meaning.

use super::Check;
use super::resource::Claims;
use crate::fault::FaultKind;
use crate::model::LineDriver;
use crate::value::Echo;

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    let mut cards = Claims::new();
    for (id, line) in &config.lines {
        if let Some(sound) = &line.sound {
            let at = format!("lines.{id}.sound");
            if line.driver.is_virtual() {
                let text = "a virtual line has its voices from files and tones".to_owned();
                let hint = "remove the table, or wire the line otherwise";
                check.fault(FaultKind::Conflict, &at, &[], text, hint);
            } else {
                cards.add((sound.card.clone(), sound.device), at);
            }
        }
        let Some(voice) = &line.voice else { continue };
        let at = format!("lines.{id}.voice");
        match (&line.driver, &line.sound) {
            (LineDriver::Contact(_) | LineDriver::FrontEnd(_), None) => {
                let text = "the line has no voices".to_owned();
                let hint = format!("remove the table, or give the line a sound card: [lines.{id}.sound]");
                check.fault(FaultKind::Conflict, &at, &[], text, &hint);
            }
            (LineDriver::Contact(_) | LineDriver::FrontEnd(_), Some(_)) | (LineDriver::Virtual(_), _) => {}
        }
        if voice.echo == Echo::Off && voice.echo_tail.is_some() {
            let text = "no echo is taken out, and one is given a length".to_owned();
            let hint = "remove echo-tail-ms, or set echo to hybrid or speaker";
            let tail = format!("{at}.echo-tail-ms");
            check.fault(FaultKind::Conflict, &tail, &[], text, hint);
        }
    }
    cards.report(
        check,
        |(card, device)| format!("sound card {card}, device {device},"),
        "allowed: one line for each device of a card",
    );
}
