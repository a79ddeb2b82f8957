//! A record in a line, for people.

use gateway_core::Record;
use jiff::tz::TimeZone;

/// Its time on the site's clock, what happened, its number.
pub(crate) fn dated(record: &Record, zone: &TimeZone) -> String {
    let at = record.at.to_zoned(zone.clone());
    format!(
        "{} {} #{}",
        at.strftime("%Y-%m-%d %H:%M:%S"),
        record.line(),
        record.seq.0
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use gateway_core::{DoorEvent, DoorId, Envelope, Event, Factor, Seq, Subject};

    use super::*;

    pub(crate) fn record(seq: u64) -> Record {
        let event = DoorEvent::Granted {
            factor: Factor::Digits,
            grant: 7,
            rule: "code \"9\" <main>".into(),
            subject: Subject::Contact("sip:1000@pbx".into()),
        };
        let mut record = Record::from(&Envelope {
            at: "2026-03-01T12:00:00.25Z".parse().expect("a time"),
            event: Event::Door(DoorId::new("front").expect("a name"), event),
            ring: None,
            simulated: false,
        });
        record.seq = Seq(seq);
        record
    }

    #[test]
    fn a_line_has_the_time_of_the_site() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let line = dated(&record(12), &zone);
        assert!(
            line.starts_with("2026-03-01 14:00:00 door.granted front, "),
            "{line}"
        );
        assert!(line.ends_with(" #12"), "{line}");
    }
}
