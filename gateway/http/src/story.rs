//! One visitor's story: who rang, who answered, who opened, how it ended.

use std::sync::Arc;

use gateway_core::{Record, RingId, Value};
use serde::Serialize;

/// An opening in a story.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Opening {
    door: String,
    factor: Option<String>,
    subject: Option<String>,
    at: String,
}

/// Somebody at the door rings, or the door was told to call.
const FROM_DOOR: &str = "from-door";
/// Somebody calls the door.
const TO_DOOR: &str = "to-door";

/// Why a call ended that a restart cut off.
const RESTARTED: &str = gateway_core::Cause::GatewayRestarted.word();

/// Which way; `null` if the beginning of the story is no longer in the journal.
#[cfg(test)]
#[derive(schemars::JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "for the document")]
enum Way {
    FromDoor,
    ToDoor,
}

/// The records of one ring, in few words.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Story {
    ring_id: String,
    /// `from-door`: somebody rang, or somebody had the door call; `to-door`: somebody called the door.
    #[cfg_attr(test, schemars(with = "Option<Way>"))]
    direction: Option<&'static str>,
    began: Option<String>,
    /// Where somebody rang, the panel that was told to call, or that was called; of calls in records of earlier versions `null`.
    panel: Option<String>,
    /// Of a call to the door `null`.
    button: Option<String>,
    /// Who called the door, or had it call; `null` if somebody rang.
    caller: Option<String>,
    /// Who was called; nobody of a call to the door.
    called: Vec<String>,
    /// Who answered a ring. A call to the door is answered by the door itself, and this is `null`.
    answered_by: Option<String>,
    /// Who had the call after whoever began it, as the PBX told, in order: the last one has it.
    transferred_to: Vec<String>,
    opened: Vec<Opening>,
    /// How a ring ended: `answered`, `no-answer`, `handset`, `window`, `cancelled`, `unreachable`, `restart` (the gateway was killed meanwhile), or without a call
    /// `opened` (ring-to-open) and `do-not-disturb`; a call to the door is
    /// `answered` or `rejected`, one that it was told to make `answered` or `no-answer`.
    outcome: Option<String>,
    /// Of a story that was cut off, because the gateway was killed or lost its power, the time of the next start.
    ended: Option<String>,
    /// Why the call ended, `null` of a ring that called nobody; `gateway-restarted` of a story that was cut off.
    cause: Option<String>,
    talk_ms: Option<i64>,
    simulated: bool,
    first_seq: Option<u64>,
    last_seq: Option<u64>,
}

impl Story {
    /// Without an end so far, and after which record one would stand.
    pub(crate) fn open_after(&self) -> Option<u64> {
        self.last_seq.filter(|_| self.ended.is_none())
    }

    /// The gateway was started anew: what had no end by then has one.
    pub(crate) fn cut_off(&mut self, start: &Record) {
        self.ended = Some(start.at.to_string());
        self.cause = Some(RESTARTED.to_owned());
    }
}

fn text(record: &Record, name: &str) -> Option<String> {
    record.get(name).as_text().map(str::to_owned)
}

/// Tells the story of records of one ring, oldest first.
pub(crate) fn tell(ring: RingId, records: &[Arc<Record>]) -> Story {
    let first = records.first();
    let mut story = Story {
        ring_id: ring.to_string(),
        direction: None,
        began: first.map(|r| r.at.to_string()),
        panel: None,
        button: None,
        caller: None,
        called: Vec::new(),
        answered_by: None,
        transferred_to: Vec::new(),
        opened: Vec::new(),
        outcome: None,
        ended: None,
        cause: None,
        talk_ms: None,
        simulated: first.is_some_and(|r| r.simulated),
        first_seq: first.map(|r| r.seq.0),
        last_seq: records.last().map(|r| r.seq.0),
    };
    let mut asked = false;
    for record in records {
        match record.kind.as_str() {
            "panel.ring" => {
                story.direction = Some(FROM_DOOR);
                story.panel = Some(record.source.clone());
                story.button = text(record, "button");
            }
            "panel.ring-ended" => {
                story.outcome = text(record, "outcome");
                // of a ring that called nobody this is the end
                story.ended = story.ended.take().or_else(|| Some(record.at.to_string()));
            }
            "call.asked" => {
                asked = true;
                story.direction = Some(FROM_DOOR);
                story.panel = text(record, "panel");
                story.button = text(record, "button");
                story.caller = text(record, "subject");
            }
            "call.incoming" => {
                story.direction = Some(TO_DOOR);
                story.panel = text(record, "panel");
                story.caller = text(record, "peer");
            }
            "call.rejected" => {
                story.outcome = Some("rejected".to_owned());
                story.cause = text(record, "reason");
                story.ended = Some(record.at.to_string());
            }
            "call.leg-offered" => story.called.extend(text(record, "target")),
            // of a call to the door the record names the caller
            "call.answered" if story.direction == Some(TO_DOOR) => {
                story.outcome = Some("answered".to_owned());
            }
            "call.answered" => story.answered_by = text(record, "peer"),
            "call.transferred" => story.transferred_to.extend(text(record, "peer")),
            "call.ended" => {
                if asked {
                    // no ring of a panel tells how it ended
                    let cause = text(record, "cause");
                    let outcome = match (&story.answered_by, cause.as_deref()) {
                        (Some(_), _) => "answered",
                        (None, Some(RESTARTED)) => "restart",
                        (None, _) => "no-answer",
                    };
                    story.outcome = Some(outcome.to_owned());
                }
                story.ended = Some(record.at.to_string());
                story.cause = text(record, "cause");
                story.talk_ms = match record.get("talk_ms") {
                    Value::Int(ms) if story.cause.as_deref() != Some(RESTARTED) => Some(*ms),
                    Value::Bool(_) | Value::Int(_) | Value::Null | Value::Text(_) => None,
                };
            }
            "door.granted" => story.opened.push(Opening {
                door: record.source.clone(),
                factor: text(record, "factor"),
                subject: text(record, "subject"),
                at: record.at.to_string(),
            }),
            _ => {}
        }
    }
    story
}

#[cfg(test)]
mod tests {
    use gateway_core::{
        ButtonId, CallEvent, Cause, DoorEvent, DoorId, Envelope, Event, Factor, LegId, PanelEvent, PanelId,
        Seq, Subject, Timestamp,
    };

    use super::*;

    fn record(ring: RingId, seq: u64, event: Event) -> Arc<Record> {
        let mut record = Record::from(&Envelope {
            at: Timestamp::UNIX_EPOCH,
            event,
            ring: Some(ring),
            simulated: true,
        });
        record.seq = Seq(seq);
        Arc::new(record)
    }

    fn told(ring: RingId, events: impl IntoIterator<Item = Event>) -> String {
        let events = (5..).zip(events);
        let records: Vec<_> = events.map(|(seq, event)| record(ring, seq, event)).collect();
        serde_json::to_string(&tell(ring, &records)).expect("serialises")
    }

    #[test]
    fn a_story_that_was_cut_off_ends_with_the_next_start_and_one_with_an_end_keeps_it() {
        let ring = RingId::new(1, [0; 10]);
        let press = Event::Panel(
            "main".parse().expect("a name"),
            PanelEvent::Ring {
                button: "bell".parse().expect("a name"),
            },
        );
        let start = record(ring, 9, press.clone());
        let mut story = tell(ring, &[record(ring, 5, press)]);
        assert_eq!(story.open_after(), Some(5));
        story.cut_off(&start);
        assert_eq!(story.cause.as_deref(), Some("gateway-restarted"));
        assert_eq!(story.ended.as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(story.open_after(), None);
    }

    #[test]
    fn a_ring_that_called_nobody_ends_with_its_last_record_and_no_start_cuts_it_off() {
        let ring = RingId::new(1, [0; 10]);
        let main = || -> PanelId { "main".parse().expect("a name") };
        for outcome in ["opened", "do-not-disturb"] {
            let button = "bell".parse().expect("a name");
            let outcome = outcome.to_owned();
            let press = Event::Panel(main(), PanelEvent::Ring { button });
            let ended = PanelEvent::RingEnded {
                outcome: outcome.clone(),
            };
            let story = tell(
                ring,
                &[
                    record(ring, 5, press),
                    record(ring, 6, Event::Panel(main(), ended)),
                ],
            );
            assert_eq!(story.ended.as_deref(), Some("1970-01-01T00:00:00Z"));
            assert_eq!((story.outcome, &story.cause), (Some(outcome), &None));
        }
    }

    #[test]
    fn a_call_to_the_door_says_who_called_which_panel_and_that_the_door_answered() {
        let ring = RingId::new(1, [0; 10]);
        let peer = || "sip:1000@pbx".to_owned();
        let came = Event::Call(CallEvent::Incoming {
            leg: LegId(1),
            panel: PanelId::new("main").ok(),
            peer: peer(),
        });
        let answered = Event::Call(CallEvent::Answered {
            leg: LegId(1),
            peer: peer(),
        });
        let rejected = Event::Call(CallEvent::Rejected {
            peer: peer(),
            reason: "line-busy".into(),
        });
        let head = r#"{"ring_id":"00000000-0001-7000-8000-000000000000","direction":"to-door","began":"1970-01-01T00:00:00Z","panel":"main","button":null,"caller":"sip:1000@pbx","called":[],"answered_by":null,"transferred_to":[],"opened":[],"#;
        let taken = r#""outcome":"answered","ended":null,"cause":null,"talk_ms":null,"simulated":true,"first_seq":5,"last_seq":6}"#;
        assert_eq!(told(ring, [came.clone(), answered]), format!("{head}{taken}"));
        let refused = r#""outcome":"rejected","ended":"1970-01-01T00:00:00Z","cause":"line-busy","talk_ms":null,"simulated":true,"first_seq":5,"last_seq":6}"#;
        assert_eq!(told(ring, [came, rejected]), format!("{head}{refused}"));
    }

    #[test]
    fn a_call_that_the_door_was_told_to_make_says_by_whom() {
        let ring = RingId::new(1, [0; 10]);
        let asked = Event::Call(CallEvent::Asked {
            button: ButtonId::new("bell").expect("a name"),
            panel: PanelId::new("main").expect("a name"),
            subject: Subject::Integration("hub".into()),
        });
        let offered = Event::Call(CallEvent::LegOffered {
            leg: LegId(1),
            target: "1000".into(),
        });
        let (cause, talk_ms) = (Cause::NoAnswer, 0);
        let ended = Event::Call(CallEvent::Ended { cause, talk_ms });
        let text = told(ring, [asked, offered, ended]);
        let of = r#""direction":"from-door","began":"1970-01-01T00:00:00Z","panel":"main","button":"bell","caller":"integration:hub","called":["1000"]"#;
        assert!(text.contains(of), "{text}");
        assert!(
            text.contains(r#""outcome":"no-answer","ended":"1970-01-01T00:00:00Z""#),
            "{text}"
        );
    }

    #[test]
    fn the_exact_text_of_a_story() {
        let ring = RingId::new(1, [0; 10]);
        let events = [
            Event::Panel(
                PanelId::new("main").expect("a name"),
                PanelEvent::Ring {
                    button: ButtonId::new("bell").expect("a name"),
                },
            ),
            Event::Call(CallEvent::LegOffered {
                leg: LegId(1),
                target: "1000".into(),
            }),
            Event::Call(CallEvent::Answered {
                leg: LegId(1),
                peer: "sip:1000@pbx".into(),
            }),
            Event::Call(CallEvent::Transferred {
                leg: LegId(1),
                may_open: true,
                peer: "sip:2000@pbx".into(),
            }),
            Event::Door(
                DoorId::new("front").expect("a name"),
                DoorEvent::Granted {
                    factor: Factor::Digits,
                    grant: 1,
                    rule: "code".into(),
                    subject: Subject::Contact("sip:2000@pbx".into()),
                },
            ),
            Event::Call(CallEvent::Ended {
                cause: Cause::ALL[0],
                talk_ms: 4000,
            }),
        ];
        let text = told(ring, events);
        let expected = r#"{"ring_id":"00000000-0001-7000-8000-000000000000","direction":"from-door","began":"1970-01-01T00:00:00Z","panel":"main","button":"bell","caller":null,"called":["1000"],"answered_by":"sip:1000@pbx","transferred_to":["sip:2000@pbx"],"opened":[{"door":"front","factor":"digits","subject":"contact:sip:2000@pbx","at":"1970-01-01T00:00:00Z"}],"outcome":null,"ended":"1970-01-01T00:00:00Z","cause":"CAUSE","talk_ms":4000,"simulated":true,"first_seq":5,"last_seq":10}"#;
        assert_eq!(text, expected.replace("CAUSE", Cause::ALL[0].word()));
    }
}
