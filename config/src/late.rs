//! Faults that are found after reading, in files that the site file names.

use toml::de::DeTable;

use crate::fault::{FaultKind, Faults, Finding, Late, Warnings, place};
use crate::load::Loaded;
use crate::model::Config;
use crate::read::{Reader, record_of};

impl Loaded {
    /// Puts faults that were found outside into their places in this file. `name` is the file's name for messages.
    #[must_use]
    pub fn faults(&self, name: &str, list: Vec<Late>) -> Faults {
        Faults {
            cut: false,
            file: name.to_owned(),
            list: self.place(list),
        }
    }

    /// Adds warnings that were found outside.
    pub fn warn(&mut self, list: Vec<Late>) {
        let placed = self.place(list);
        let Warnings { list, .. } = &mut self.warnings;
        list.extend(placed);
    }

    fn place(&self, list: Vec<Late>) -> Vec<crate::fault::Fault> {
        let (document, _) = DeTable::parse_recoverable(&self.text);
        let mut reader = Reader::default();
        // read once more for the places; it was read well before
        let _ = record_of::<Config>("", document.get_ref(), &mut reader);
        let finding = |late: Late| Finding {
            hint: late.hint,
            kind: FaultKind::File,
            span: reader.places.of(&late.path),
            path: late.path,
            text: late.text,
        };
        let findings = list.into_iter().map(finding).collect();
        place(&self.text, findings, &reader.secrets)
    }
}
