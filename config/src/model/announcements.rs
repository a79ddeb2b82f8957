//! `[announcements.*]`: what a command has heard.

use std::path::PathBuf;

use gateway_core::PanelId;

use crate::describe::table;
use crate::model::{Config, Line, LineDriver, Panel};
use crate::rules::{Path, list, refer, text};

table! {
    /// What somebody who runs the house has heard at a panel by the command `announce`: by whoever stands there, by whoever has its
    /// call, or by both. `docs/voice.md` says more. It opens nothing, and a visitor who rings or a call to the door ends it.
    pub struct Announcement {
        /// Name for people, 1 to 60 characters: what the button says.
        name: String = "name", text(1, 60), required, Live;
        /// What is heard, a WAV file: 16 bit, 8 to 48 kHz, at most 30 s. A relative path starts at the folder of this file; a file that
        /// is replaced is read anew each time.
        file: PathBuf = "file", Path, required, Live;
        /// At which panels, up to 64; empty means all whose line has audio.
        panels: Vec<PanelId> = "panels", list(refer("panel"), 0, 64), or("[]"), Live;
    }
}

impl Config {
    /// The panels at which an announcement may be heard.
    pub fn panels_of<'a>(&'a self, announcement: &'a Announcement) -> impl Iterator<Item = &'a PanelId> {
        let heard = |(_, panel): &(&PanelId, &Panel)| {
            let line = self.lines.get(&panel.line);
            line.is_some_and(|line| line.silent().is_none())
        };
        let all = self.panels.iter().filter(heard).map(|(id, _)| id);
        let named = &announcement.panels;
        all.filter(move |id| named.is_empty() || named.contains(id))
    }
}

impl Line {
    /// Why nobody hears anything there, in words after "the line"; `None` if it has audio.
    pub(crate) const fn silent(&self) -> Option<&'static str> {
        match (&self.driver, &self.sound) {
            (LineDriver::Contact(_), None) => Some("has buttons only"),
            (LineDriver::FrontEnd(_), None) => Some("is on a front end, which carries no speech"),
            (LineDriver::Contact(_) | LineDriver::FrontEnd(_), Some(_)) | (LineDriver::Virtual(_), _) => None,
        }
    }
}
