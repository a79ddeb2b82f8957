//! Call detail records: one for each ring, each call to a door and each call about an alarm.

use gateway_core::{Cause, Record, RingId, Timestamp, Value};

/// Columns of a line, in their order.
pub const CALL_COLUMNS: [&str; 23] = [
    "ring_id",
    "direction",
    "panel",
    "button",
    "caller",
    "targets",
    "answered_by",
    "transferred_to",
    "began",
    "answered",
    "ended",
    "ring_ms",
    "talk_ms",
    "outcome",
    "cause",
    "digits",
    "opened",
    "simulated",
    "alarm",
    "received",
    "lost",
    "jitter_us",
    "round_trip_us",
];

/// What is known of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The alarm that it was about.
    pub alarm: Option<String>,
    /// Somebody had the door call by a command, and nobody rang.
    pub asked: bool,
    /// When somebody answered, or the door did.
    pub answered: Option<Timestamp>,
    /// Who answered; nobody if somebody called the door.
    pub answered_by: Option<String>,
    /// When it began.
    pub began: Timestamp,
    /// Which button was pressed, or whose list was called.
    pub button: Option<String>,
    /// Who called the door, or had it call; none if somebody rang.
    pub caller: Option<String>,
    /// Interarrival jitter of speech that came, microseconds, the worst of its legs.
    pub jitter_us: Option<i64>,
    /// Packets of speech that did not come, of all its legs.
    pub lost: Option<i64>,
    /// Packets of speech that came, of all its legs.
    pub received: Option<i64>,
    /// Round trip, microseconds, the longest of its legs.
    pub round_trip_us: Option<i64>,
    /// Why it ended; `gateway-restarted` if the gateway was killed or lost its power meanwhile.
    pub cause: Option<String>,
    /// The keys that were pressed in it, `*` for each of a longer code.
    pub digits: String,
    /// When it ended; of one that was cut off, when the gateway was started again.
    pub ended: Option<Timestamp>,
    /// Doors that it opened, in order.
    pub opened: Vec<String>,
    /// `answered`, `no-answer`, `rejected` and so on; `unknown` of one that was cut off before anybody answered.
    pub outcome: Option<String>,
    /// Where somebody rang, the panel that was told to call, or that was called.
    pub panel: Option<String>,
    /// Its id.
    pub ring: RingId,
    /// From a virtual device.
    pub simulated: bool,
    /// Talk time.
    pub talk_ms: Option<i64>,
    /// Who was called, in order.
    pub targets: Vec<String>,
    /// True if somebody called the door, false if somebody rang or had it call.
    pub to_door: bool,
    /// Who had it later, as the PBX told.
    pub transferred_to: Vec<String>,
}

impl Call {
    /// `to-door` if somebody called the door, `from-door` if somebody rang or had it call, `alarm` if somebody was called about an alarm.
    #[must_use]
    pub const fn direction(&self) -> &'static str {
        match (self.to_door, &self.panel, &self.alarm) {
            (true, _, _) => "to-door",
            (false, Some(_), None) => "from-door",
            // who rings does so at a panel; what came before the records that were looked through was an alarm, too
            (false, _, _) => "alarm",
        }
    }

    /// The gateway was started anew after all records of it: what had no end by then was cut off by a power cut or a kill. When
    /// it really ended, and after how much talk, nobody knows.
    pub fn cut_off(&mut self, start: Timestamp) {
        if self.ended.is_none() {
            self.ended = Some(start);
            let known = self.outcome.take();
            let answered = self.answered.map(|_| "answered".to_owned());
            self.outcome = known.or(answered).or_else(|| Some("unknown".to_owned()));
            self.cause = Some(RESTARTED.to_owned());
        }
    }

    /// From its begin to the answer, in milliseconds.
    #[must_use]
    pub fn ring_ms(&self) -> Option<i64> {
        let answered = self.answered?;
        Some(answered.as_millisecond() - self.began.as_millisecond())
    }

    /// Is it about this door: did it open it, or is it a call at a panel that serves it? `serves` says which do.
    #[must_use]
    pub fn is_about(&self, door: &str, serves: impl Fn(&str) -> bool) -> bool {
        self.opened.iter().any(|opened| opened == door) || self.panel.as_deref().is_some_and(serves)
    }

    /// The cells of [`CALL_COLUMNS`].
    #[must_use]
    pub fn cells(&self) -> [String; 23] {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        let number = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
        [
            self.ring.to_string(),
            self.direction().to_owned(),
            text(&self.panel),
            text(&self.button),
            text(&self.caller),
            self.targets.join(" "),
            text(&self.answered_by),
            self.transferred_to.join(" "),
            self.began.to_string(),
            time(self.answered),
            time(self.ended),
            number(self.ring_ms()),
            number(self.talk_ms),
            text(&self.outcome),
            text(&self.cause),
            self.digits.clone(),
            self.opened.join(" "),
            self.simulated.to_string(),
            text(&self.alarm),
            number(self.received),
            number(self.lost),
            number(self.jitter_us),
            number(self.round_trip_us),
        ]
    }
}

/// Why a call ended that a restart cut off.
const RESTARTED: &str = Cause::GatewayRestarted.word();
/// How a ring ended that a restart cut off.
const CUT_OFF: &str = "restart";
/// Keys of one call that are told; more are not.
const KEYS: usize = 64;

/// The call that an alarm began with this record. The record belongs to the alarm's own ring, the call has another one.
#[must_use]
pub fn begun(record: &Record) -> Option<RingId> {
    let of_alarm = record.kind == "alarm.called";
    RingId::parse(record.get("call").as_text().filter(|_| of_alarm)?)
}

/// The call that records of one ring tell of, oldest first; `None` if they tell of no call. Of a call about an alarm the
/// record that began it (see [`begun`]) comes before them.
#[must_use]
pub fn call<'a>(ring: RingId, records: impl IntoIterator<Item = &'a Record>) -> Option<Call> {
    let mut call: Option<Call> = None;
    for record in records {
        let of = call.get_or_insert_with(|| Call {
            alarm: None,
            asked: false,
            answered: None,
            answered_by: None,
            began: record.at,
            button: None,
            caller: None,
            cause: None,
            digits: String::new(),
            ended: None,
            jitter_us: None,
            lost: None,
            received: None,
            round_trip_us: None,
            opened: Vec::new(),
            outcome: None,
            panel: None,
            ring,
            simulated: record.simulated,
            talk_ms: None,
            targets: Vec::new(),
            to_door: false,
            transferred_to: Vec::new(),
        });
        take(of, record);
    }
    if let Some(call) = &mut call
        && call.outcome.is_none()
        && (call.panel.is_none() || call.asked)
        && call.ended.is_some()
    {
        // no ring of a panel tells how it ended, as of a call about an alarm
        let outcome = match (call.answered, call.cause.as_deref()) {
            (Some(_), _) => "answered",
            (None, Some(RESTARTED)) => "unknown",
            (None, _) => "no-answer",
        };
        call.outcome = Some(outcome.to_owned());
    }
    call.filter(|call| {
        call.to_door || call.panel.is_some() || call.alarm.is_some() || !call.targets.is_empty()
    })
}

fn take(call: &mut Call, record: &Record) {
    let text = |name: &str| record.get(name).as_text().map(str::to_owned);
    match record.kind.as_str() {
        "alarm.called" => call.alarm = Some(record.source.clone()),
        "panel.ring" => {
            call.panel = Some(record.source.clone());
            call.button = text("button");
        }
        "panel.ring-ended" => {
            // of one that was cut off nobody can say more than whether somebody had answered
            let cut_off = |outcome: String| match (outcome == CUT_OFF, call.answered) {
                (false, _) => outcome,
                (true, Some(_)) => "answered".to_owned(),
                (true, None) => "unknown".to_owned(),
            };
            call.outcome = text("outcome").map(cut_off);
            call.ended = call.ended.or(Some(record.at));
        }
        "call.asked" => {
            call.asked = true;
            call.panel = text("panel");
            call.button = text("button");
            call.caller = text("subject");
        }
        "call.incoming" => {
            call.to_door = true;
            call.panel = text("panel");
            call.caller = text("peer");
        }
        "call.rejected" => {
            call.to_door = true;
            call.caller = call.caller.take().or_else(|| text("peer"));
            call.outcome = Some("rejected".to_owned());
            call.cause = text("reason");
            call.ended = Some(record.at);
        }
        "call.leg-offered" => call.targets.extend(text("target")),
        "call.answered" => {
            call.answered = call.answered.or(Some(record.at));
            if call.to_door {
                call.outcome = Some("answered".to_owned());
            } else {
                call.answered_by = text("peer");
            }
        }
        "call.transferred" => call.transferred_to.extend(text("peer")),
        "call.digit" if call.digits.len() < KEYS => {
            // what opens is masked in the journal already; a lone key that opens is not told here either
            call.digits.push('*');
        }
        "call.ended" => {
            call.ended = Some(record.at);
            call.cause = text("cause");
            call.talk_ms = match record.get("talk_ms") {
                Value::Int(ms) if call.cause.as_deref() != Some(RESTARTED) => Some(*ms),
                Value::Bool(_) | Value::Int(_) | Value::Null | Value::Text(_) => None,
            };
        }
        "call.media" => {
            let sum = |of: Option<i64>, name| {
                number(record, name)
                    .map(|n| of.unwrap_or(0).saturating_add(n))
                    .or(of)
            };
            call.received = sum(call.received, "received");
            call.lost = sum(call.lost, "lost");
            call.jitter_us = call.jitter_us.max(number(record, "jitter_us"));
            call.round_trip_us = call.round_trip_us.max(number(record, "round_trip_us"));
        }
        "door.granted" => call.opened.push(record.source.clone()),
        _ => {}
    }
}

fn number(record: &Record, name: &str) -> Option<i64> {
    match record.get(name) {
        Value::Int(n) => Some(*n),
        Value::Bool(_) | Value::Null | Value::Text(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::{
        AlarmEvent, CallEvent, DigitVia, DoorEvent, Envelope, Event, Factor, LegId, PanelEvent, Subject,
    };

    use super::*;

    fn record(ms: i64, event: Event) -> Record {
        Record::from(&Envelope {
            at: Timestamp::from_millisecond(ms).expect("a time"),
            event,
            ring: Some(RingId::new(1, [0; 10])),
            simulated: false,
        })
    }

    fn rang() -> Event {
        Event::Panel(
            "main".parse().expect("a name"),
            PanelEvent::Ring {
                button: "bell".parse().expect("a name"),
            },
        )
    }

    #[test]
    fn a_ring_that_was_answered_and_opened_is_one_line() {
        let leg = LegId(1);
        let digit = |digit: &str| {
            Event::Call(CallEvent::Digit {
                digit: digit.into(),
                leg,
                via: DigitVia::ALL[0],
            })
        };
        let events = [
            (0, rang()),
            (
                5,
                Event::Call(CallEvent::LegOffered {
                    leg,
                    target: "1000".into(),
                }),
            ),
            (
                2500,
                Event::Call(CallEvent::Answered {
                    leg,
                    peer: "sip:1000@pbx".into(),
                }),
            ),
            (4000, digit("9")),
            (
                4001,
                Event::Door(
                    "front".parse().expect("a name"),
                    DoorEvent::Granted {
                        factor: Factor::Digits,
                        grant: 1,
                        rule: "code".into(),
                        subject: Subject::Unknown,
                    },
                ),
            ),
            (
                9000,
                Event::Call(CallEvent::Ended {
                    cause: Cause::ALL[0],
                    talk_ms: 6500,
                }),
            ),
            (
                9000,
                Event::Call(CallEvent::Media {
                    concealed_ms: 40,
                    jitter_us: 800,
                    leg,
                    lost: 2,
                    received: 323,
                    remote_lost: 0,
                    round_trip_us: None,
                    sent: 325,
                }),
            ),
            (
                9001,
                Event::Panel(
                    "main".parse().expect("a name"),
                    PanelEvent::RingEnded {
                        outcome: "answered".into(),
                    },
                ),
            ),
        ];
        let records: Vec<Record> = events.into_iter().map(|(ms, event)| record(ms, event)).collect();
        let call = call(RingId::new(1, [0; 10]), &records).expect("a call");
        assert_eq!(call.ring_ms(), Some(2500));
        let line = crate::line(&call.cells());
        let cause = Cause::ALL[0].word();
        assert_eq!(
            line,
            format!(
                "00000000-0001-7000-8000-000000000000,from-door,main,bell,,1000,sip:1000@pbx,,1970-01-01T00:00:00Z,\
                 1970-01-01T00:00:02.5Z,1970-01-01T00:00:09Z,2500,6500,answered,{cause},*,front,false,,323,2,800,\r\n"
            )
        );
        assert_eq!(CALL_COLUMNS.len(), call.cells().len());
    }

    fn offered() -> Event {
        Event::Call(CallEvent::LegOffered {
            leg: LegId(1),
            target: "510".into(),
        })
    }

    fn answered() -> Event {
        Event::Call(CallEvent::Answered {
            leg: LegId(1),
            peer: "sip:510@pbx".into(),
        })
    }

    fn called(call: RingId) -> Event {
        let called = AlarmEvent::Called {
            call,
            list: "security".parse().expect("a name"),
            round: 1,
        };
        Event::Alarm("smoke".parse().expect("a name"), called)
    }

    #[test]
    fn a_call_that_somebody_had_the_door_make_says_who_and_how_it_ended() {
        let ring = RingId::new(1, [0; 10]);
        let asked = || {
            Event::Call(CallEvent::Asked {
                button: "bell".parse().expect("a name"),
                panel: "main".parse().expect("a name"),
                subject: Subject::Integration("hub".into()),
            })
        };
        let ended = || {
            let (cause, talk_ms) = (Cause::NoAnswer, 0);
            Event::Call(CallEvent::Ended { cause, talk_ms })
        };
        for (events, outcome) in [
            (vec![asked(), offered(), ended()], "no-answer"),
            (vec![asked(), offered(), answered(), ended()], "answered"),
        ] {
            let records: Vec<Record> = events.into_iter().map(|event| record(0, event)).collect();
            let cells = call(ring, &records).expect("a call").cells();
            assert_eq!(cells[1..5], ["from-door", "main", "bell", "integration:hub"]);
            assert_eq!(cells[13], outcome);
        }
    }

    #[test]
    fn a_call_about_an_alarm_says_which() {
        let ring = RingId::new(2, [0; 10]);
        let begins = record(5, called(ring));
        assert_eq!(begun(&begins), Some(ring));
        assert_eq!(begun(&record(5, offered())), None);
        let call = call(ring, &[begins, record(9, offered())]).expect("a call");
        let cells = call.cells();
        assert_eq!((cells[1].as_str(), cells[18].as_str()), ("alarm", "smoke"));
        assert_eq!(call.began.as_millisecond(), 5);
    }

    #[test]
    fn a_call_about_an_alarm_is_one_and_has_an_outcome() {
        let ended = || {
            Event::Call(CallEvent::Ended {
                cause: Cause::NoAnswer,
                talk_ms: 0,
            })
        };
        for (events, outcome) in [
            (vec![offered(), ended()], "no-answer"),
            (vec![offered(), answered(), ended()], "answered"),
        ] {
            let records: Vec<Record> = events.into_iter().map(|event| record(0, event)).collect();
            let call = call(RingId::new(1, [0; 10]), &records).expect("a call");
            assert_eq!(call.direction(), "alarm");
            assert_eq!(call.outcome.as_deref(), Some(outcome));
            assert_eq!(call.cells()[1], "alarm");
        }
    }

    #[test]
    fn what_a_restart_cut_off_ends_with_it_and_what_had_ended_keeps_its_end() {
        let start = Timestamp::from_millisecond(60_000).expect("a time");
        let of = |events: Vec<Event>| {
            let records: Vec<Record> = events.into_iter().map(|event| record(5, event)).collect();
            let mut call = call(RingId::new(1, [0; 10]), &records).expect("a call");
            call.cut_off(start);
            (call.outcome, call.cause, call.ended, call.talk_ms)
        };
        let restarted = Some("gateway-restarted".to_owned());
        assert_eq!(
            of(vec![rang(), offered()]),
            (Some("unknown".to_owned()), restarted.clone(), Some(start), None)
        );
        assert_eq!(
            of(vec![rang(), offered(), answered()]),
            (Some("answered".to_owned()), restarted, Some(start), None)
        );
        let ended = Event::Call(CallEvent::Ended {
            cause: Cause::Normal,
            talk_ms: 7,
        });
        let (_, cause, at, talk) = of(vec![rang(), offered(), answered(), ended]);
        assert_eq!(cause.as_deref(), Some(Cause::Normal.word()));
        assert_eq!((at.map(|at| at.as_millisecond()), talk), (Some(5), Some(7)));
        // the gateway that was started says so itself
        let told = || {
            let (cause, talk_ms) = (Cause::GatewayRestarted, 0);
            let outcome = CUT_OFF.to_owned();
            let main = "main".parse().expect("a name");
            [
                Event::Call(CallEvent::Ended { cause, talk_ms }),
                Event::Panel(main, PanelEvent::RingEnded { outcome }),
            ]
        };
        for (before, outcome) in [
            (vec![rang(), offered()], "unknown"),
            (vec![rang(), offered(), answered()], "answered"),
        ] {
            let (found, cause, _, talk) = of(before.into_iter().chain(told()).collect());
            assert_eq!(found.as_deref(), Some(outcome));
            assert_eq!((cause.as_deref(), talk), (Some("gateway-restarted"), None));
        }
    }

    #[test]
    fn a_call_to_the_door_has_a_caller_and_a_record_of_something_else_is_no_call() {
        let ring = RingId::new(1, [0; 10]);
        let rejected = record(
            0,
            Event::Call(CallEvent::Rejected {
                peer: "sip:1000@pbx".into(),
                reason: "line-busy".into(),
            }),
        );
        let call_of = call(ring, [&rejected]).expect("a call");
        assert!(call_of.to_door);
        assert_eq!(call_of.caller.as_deref(), Some("sip:1000@pbx"));
        assert_eq!(call_of.outcome.as_deref(), Some("rejected"));
        let other = record(
            0,
            Event::Door("front".parse().expect("a name"), DoorEvent::Opened {}),
        );
        assert_eq!(call(ring, [&other]), None);
        assert_eq!(call(ring, []), None);
    }

    #[test]
    fn a_call_is_about_the_doors_that_it_opened_and_those_of_its_panel() {
        let found = call(RingId::new(1, [0; 10]), &[record(1, rang())]).expect("a call");
        assert_eq!(found.panel.as_deref(), Some("main"));
        assert!(found.is_about("front", |panel| panel == "main"));
        assert!(!found.is_about("front", |_| false));
        let opened = Call {
            opened: vec!["back".into()],
            panel: None,
            ..found
        };
        assert!(opened.is_about("back", |_| false) && !opened.is_about("front", |_| true));
    }
}
