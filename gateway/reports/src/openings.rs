//! Who opened which door when, by which means; and who was refused.

use gateway_core::{Factor, Record, RingId, Timestamp};

/// Columns of a line, in their order.
pub const OPENING_COLUMNS: [&str; 10] = [
    "seq",
    "at",
    "door",
    "result",
    "by",
    "who",
    "name",
    "why",
    "ring_id",
    "simulated",
];

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The panel opened its own lock.
    ByPanel,
    /// The door was opened.
    Granted,
    /// The door is held open on purpose from here on.
    Held,
    /// It was refused.
    Refused,
}

impl Outcome {
    /// Every result.
    pub const ALL: [Self; 4] = [Self::ByPanel, Self::Granted, Self::Held, Self::Refused];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ByPanel => "by-panel",
            Self::Granted => "granted",
            Self::Held => "held",
            Self::Refused => "refused",
        }
    }
}

/// One opening, or one refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// When.
    pub at: Timestamp,
    /// Means; none if the panel opened.
    pub by: Option<String>,
    /// Which door.
    pub door: String,
    /// Name of the person, where whoever asks may know it; filled in there.
    pub name: String,
    /// What became of it.
    pub result: Outcome,
    /// Of which ring or call.
    pub ring: Option<RingId>,
    /// Number of the record.
    pub seq: u64,
    /// From a virtual device.
    pub simulated: bool,
    /// Who, as the journal has it: `person:alice`, `contact:sip:1000@pbx`.
    pub who: String,
    /// Which rule, or the reason of a refusal.
    pub why: String,
}

/// Which ones are wanted; every given part must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// By this means.
    pub by: Option<Factor>,
    /// At this door.
    pub door: Option<String>,
    /// Refusals too.
    pub refused: bool,
    /// Of whom: a whole subject (`person:alice`), or its id alone.
    pub who: Option<String>,
}

impl Choice {
    /// Is it wanted?
    #[must_use]
    pub fn fits(&self, opening: &Opening) -> bool {
        let who = |want: &String| {
            opening.who == *want
                || opening
                    .who
                    .split_once(':')
                    .is_some_and(|(_, id)| id == want.as_str())
        };
        self.by.is_none_or(|by| opening.by.as_deref() == Some(by.word()))
            && self.door.as_ref().is_none_or(|door| opening.door == *door)
            && (self.refused || opening.result != Outcome::Refused)
            && self.who.as_ref().is_none_or(who)
    }
}

/// The opening that a record tells of; `None` if it tells of none.
#[must_use]
pub fn opening(record: &Record) -> Option<Opening> {
    let result = match record.kind.as_str() {
        "door.granted" => Outcome::Granted,
        "door.denied" => Outcome::Refused,
        "door.hold-began" => Outcome::Held,
        "door.opened-by-panel" => Outcome::ByPanel,
        _ => return None,
    };
    let text = |name: &str| record.get(name).as_text().map(str::to_owned);
    Some(Opening {
        at: record.at,
        by: text("factor"),
        door: record.source.clone(),
        name: String::new(),
        result,
        ring: record.ring,
        seq: record.seq.0,
        simulated: record.simulated,
        who: text("subject").unwrap_or_default(),
        why: text("rule").or_else(|| text("reason")).unwrap_or_default(),
    })
}

impl Opening {
    /// The person's id, if it was a person.
    #[must_use]
    pub fn person(&self) -> Option<&str> {
        self.who.strip_prefix("person:")
    }

    /// The cells of [`OPENING_COLUMNS`].
    #[must_use]
    pub fn cells(&self) -> [String; 10] {
        [
            self.seq.to_string(),
            self.at.to_string(),
            self.door.clone(),
            self.result.word().to_owned(),
            self.by.clone().unwrap_or_default(),
            self.who.clone(),
            self.name.clone(),
            self.why.clone(),
            self.ring.map(|ring| ring.to_string()).unwrap_or_default(),
            self.simulated.to_string(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::{DoorEvent, Envelope, Event, Subject};

    use super::*;

    fn told(event: DoorEvent) -> Option<Opening> {
        opening(&Record::from(&Envelope {
            at: Timestamp::UNIX_EPOCH,
            event: Event::Door("front".parse().expect("a name"), event),
            ring: None,
            simulated: false,
        }))
    }

    fn granted() -> Opening {
        let granted = DoorEvent::Granted {
            factor: Factor::Card,
            grant: 1,
            rule: "card \"c-1\" at reader street".into(),
            subject: Subject::Person("alice".parse().expect("a name")),
        };
        told(granted).expect("an opening")
    }

    #[test]
    fn an_opening_says_who_where_when_and_by_what() {
        assert_eq!(
            crate::line(&granted().cells()),
            "0,1970-01-01T00:00:00Z,front,granted,card,person:alice,,\"card \"\"c-1\"\" at reader street\",,false\r\n"
        );
        assert_eq!(granted().person(), Some("alice"));
        assert_eq!(
            told(DoorEvent::OpenedByPanel {}).map(|o| o.result),
            Some(Outcome::ByPanel)
        );
        assert_eq!(told(DoorEvent::Opened {}), None);
    }

    #[test]
    fn a_choice_is_by_door_means_and_person_and_refusals_are_asked_for() {
        let denied = told(DoorEvent::Denied {
            factor: Factor::Card,
            reason: "unknown card".into(),
            subject: Subject::Unknown,
        })
        .expect("a refusal");
        assert_eq!(denied.why, "unknown card");
        let all = Choice::default();
        assert!(all.fits(&granted()) && !all.fits(&denied));
        let refused = Choice {
            refused: true,
            ..Choice::default()
        };
        assert!(refused.fits(&granted()) && refused.fits(&denied));
        for (who, by, door, fits) in [
            (Some("alice"), None, None, true),
            (Some("person:alice"), Some(Factor::Card), Some("front"), true),
            (Some("bob"), None, None, false),
            (None, Some(Factor::Code), None, false),
            (None, None, Some("back"), false),
        ] {
            let choice = Choice {
                by,
                door: door.map(str::to_owned),
                refused: false,
                who: who.map(str::to_owned),
            };
            assert_eq!(choice.fits(&granted()), fits, "{choice:?}");
        }
    }
}
