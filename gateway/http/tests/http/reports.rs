//! Reports, and an erasure over the interface.

use gateway_core::{
    AlarmEvent, ButtonId, CallEvent, Cause, DoorEvent, DoorId, Envelope, Event, Factor, LegId, PanelEvent,
    PanelId, RingId, Subject, Timestamp,
};

use crate::support::{PASSWORD, Site, within};

fn at(second: i64, event: Event, ring: Option<RingId>) -> Envelope {
    Envelope {
        at: Timestamp::from_second(second).expect("a time"),
        event,
        ring,
        simulated: false,
    }
}

fn door(id: &str, event: DoorEvent) -> Event {
    Event::Door(DoorId::new(id).expect("a name"), event)
}

fn granted(id: &str, factor: Factor, subject: Subject) -> Event {
    let granted = DoorEvent::Granted {
        factor,
        grant: 1,
        rule: "card \"c-1\" at reader street".into(),
        subject,
    };
    door(id, granted)
}

/// A card at each door, a refusal, and a ring that was answered after two seconds.
async fn fill(site: &Site) {
    let alice = Subject::Person("alice".parse().expect("a name"));
    let ring = Some(RingId::new(1, [0; 10]));
    let denied = DoorEvent::Denied {
        factor: Factor::Card,
        reason: "unknown card".into(),
        subject: Subject::Unknown,
    };
    let (leg, peer) = (LegId(1), "sip:1000@pbx".to_owned());
    let events = [
        at(100, granted("front", Factor::Card, alice.clone()), None),
        at(200, granted("garage", Factor::Card, alice), None),
        at(300, door("front", denied), None),
        at(
            400,
            Event::Panel(
                PanelId::new("main").expect("a name"),
                PanelEvent::Ring {
                    button: ButtonId::new("bell").expect("a name"),
                },
            ),
            ring,
        ),
        at(402, Event::Call(CallEvent::Answered { leg, peer }), ring),
        at(
            405,
            granted("front", Factor::Digits, Subject::Contact("sip:1000@pbx".into())),
            ring,
        ),
        at(
            409,
            Event::Call(CallEvent::Ended {
                cause: Cause::ALL[0],
                talk_ms: 7000,
            }),
            ring,
        ),
    ];
    let mut last = None;
    for event in events {
        last = Some(site.store.append(event).expect("taken"));
    }
    let durable = last.expect("some").durable();
    within("durability", durable).await.expect("durable");
}

#[tokio::test]
async fn openings_calls_and_figures_are_told_to_whom_they_concern() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let alice = r#"{"person":"alice","name":"Alice, A.","kind":"card","value":"123,04567"}"#;
    let made = site.post("/api/v1/people", &ann, alice).await;
    assert_eq!(made.status, 200, "{made:?}");
    fill(&site).await;
    let body = format!(r#"{{"user":"bob","password":"{PASSWORD}","scopes":["read"],"doors":["front"]}}"#);
    let made = site.post("/api/v1/users", &ann, &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let login = format!(r#"{{"user":"bob","password":"{PASSWORD}"}}"#);
    let login = site.post("/api/v1/login", "x-nobody: 1", &login).await;
    let bob = format!("cookie: {}", login.cookie());

    let told = |path: &'static str, who: &str| {
        let (site, who) = (&site, who.to_owned());
        async move {
            let answer = site.get(path, &who).await;
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            answer
        }
    };
    let all = told("/api/v1/reports/openings", &ann).await.json();
    let rows = all["openings"].as_array().expect("rows").clone();
    let doors: Vec<_> = rows
        .iter()
        .map(|row| row["door"].as_str().expect("a door"))
        .collect();
    assert_eq!(doors, ["front", "garage", "front"], "newest first, no refusal");
    assert_eq!(rows[1]["name"], "Alice, A.");
    assert_eq!(
        (&rows[0]["by"], &rows[0]["who"]),
        (&"digits".into(), &"contact:sip:1000@pbx".into())
    );
    assert!(all["next"].is_null());

    // whoever sees one door sees one door, and no names
    let some = told("/api/v1/reports/openings?refused=1&by=card", &bob)
        .await
        .json();
    let rows = some["openings"].as_array().expect("rows").clone();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(
        (&rows[0]["result"], &rows[0]["why"]),
        (&"refused".into(), &"unknown card".into())
    );
    assert_eq!(
        (&rows[1]["who"], &rows[1]["name"]),
        (&"person:alice".into(), &serde_json::Value::Null)
    );

    // in pages, and as CSV
    let first = told("/api/v1/reports/openings?who=alice&max=1", &ann)
        .await
        .json();
    assert_eq!(first["openings"][0]["door"], "garage");
    let next = first["next"].as_str().expect("more").to_owned();
    let second = site.get(&next, &ann).await.json();
    assert_eq!(second["openings"][0]["door"], "front");
    let csv = told("/api/v1/reports/openings?who=alice&format=csv&max=1", &ann).await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(
        csv.header("link")
            .is_some_and(|link| link.contains("rel=\"next\"")),
        "{csv:?}"
    );
    assert!(
        csv.body.starts_with("seq,at,door,result,by,who,name,why"),
        "{}",
        csv.body
    );
    assert!(
        csv.body
            .contains(",garage,granted,card,person:alice,\"Alice, A.\","),
        "{}",
        csv.body
    );

    let calls = told("/api/v1/reports/calls", &ann).await.json();
    let call = &calls["calls"][0];
    assert_eq!((&call["ring_ms"], &call["talk_ms"]), (&2000.into(), &7000.into()));
    assert_eq!(
        (&call["answered_by"], &call["opened"][0]),
        (&"sip:1000@pbx".into(), &"front".into())
    );
    let csv = told("/api/v1/reports/calls?format=csv", &ann).await.body;
    assert_eq!(csv.lines().count(), 2, "{csv}");

    let figures = told("/api/v1/reports/doors", &ann).await.json();
    assert_eq!(figures["complete"], true);
    let front = &figures["doors"][0];
    assert_eq!(
        (&front["door"], &front["granted"], &front["refused"]),
        (&"front".into(), &2.into(), &1.into())
    );
    assert_eq!(front["by_means"]["digits"], 1);
    assert_eq!(figures["panels"][0]["median_answer_ms"], 2000);
    let theirs = told("/api/v1/reports/doors", &bob).await.json();
    assert_eq!(theirs["doors"].as_array().expect("doors").len(), 1);
    let bad = site.get("/api/v1/reports/openings?by=magic", &ann).await;
    assert_eq!(bad.status, 400, "{bad:?}");

    let use_only = told("/api/v1/journal?class=use", &ann).await.json();
    assert_eq!(use_only["records"][0]["kind"], "panel.ring");
}

/// An alarm for which two are called, one after the other.
async fn alarm(site: &Site) {
    let alarm = |event| Event::Alarm("smoke".parse().expect("a name"), event);
    let own = Some(RingId::new(10, [0; 10]));
    let subject = Subject::Input("detector".parse().expect("a name"));
    let mut last = site
        .store
        .append(at(500, alarm(AlarmEvent::Raised { subject }), own));
    for (n, target) in [(11, "510"), (12, "511")] {
        let call = RingId::new(n, [0; 10]);
        let called = AlarmEvent::Called {
            call,
            list: "security".parse().expect("a name"),
            round: 1,
        };
        let offered = CallEvent::LegOffered {
            leg: LegId(n),
            target: target.into(),
        };
        let ended = CallEvent::Ended {
            cause: Cause::NoAnswer,
            talk_ms: 0,
        };
        let second = i64::try_from(n).expect("small") * 100;
        for (after, event, ring) in [
            (0, alarm(called), own),
            (1, Event::Call(offered), Some(call)),
            (20, Event::Call(ended), Some(call)),
        ] {
            last = site.store.append(at(second + after, event, ring));
        }
    }
    within("durability", last.expect("taken").durable())
        .await
        .expect("durable");
}

#[tokio::test]
async fn each_call_about_an_alarm_is_a_call_and_says_which_alarm() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    fill(&site).await;
    alarm(&site).await;
    let page = site.get("/api/v1/reports/calls?max=2", &ann).await.json();
    let told = |page: &serde_json::Value| -> Vec<String> {
        let rows = page["calls"].as_array().expect("rows").iter();
        let row = |row: &serde_json::Value| {
            let cell = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
            let target = row["targets"][0].as_str().unwrap_or("-");
            format!(
                "{} {} {target} {}",
                cell("direction"),
                cell("alarm"),
                cell("outcome")
            )
        };
        rows.map(row).collect()
    };
    assert_eq!(
        told(&page),
        ["alarm smoke 511 no-answer", "alarm smoke 510 no-answer"]
    );
    let next = page["next"].as_str().expect("more").to_owned();
    let page = site.get(&next, &ann).await.json();
    assert_eq!(told(&page), ["from-door - - -"]);
    // of no door
    let page = site.get("/api/v1/reports/calls?door=front", &ann).await.json();
    assert_eq!(told(&page), ["from-door - - -"]);
    let csv = site.get("/api/v1/reports/calls?format=csv", &ann).await.body;
    assert_eq!(csv.matches(",false,smoke,,,,\r\n").count(), 2, "{csv}");
}

#[tokio::test]
async fn an_erasure_is_confirmed_by_the_id_and_leaves_nothing_of_the_person() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let alice = r#"{"person":"alice","name":"Alice Martin","kind":"phone","value":"+33476123456"}"#;
    assert_eq!(site.post("/api/v1/people", &ann, alice).await.status, 200);
    fill(&site).await;
    let path = "/api/v1/people/alice/erase";
    let meant = site.post(path, &ann, r#"{"confirm":"alic"}"#).await;
    assert_eq!(meant.status, 400, "{meant:?}");
    let erased = site
        .post(path, &ann, r#"{"confirm":"alice","also":["Alice Smith"]}"#)
        .await;
    assert_eq!(erased.status, 200, "{erased:?}");
    assert_eq!(
        (&erased.json()["finished"], &erased.json()["events"]),
        (&true.into(), &2.into())
    );
    let again = site.post(path, &ann, r#"{"confirm":"alice"}"#).await;
    assert_eq!(again.status, 404, "{again:?}");
    let told = site.get("/api/v1/reports/openings?who=erased", &ann).await.json();
    assert_eq!(told["openings"].as_array().expect("rows").len(), 2);
    let changes = site.records(&ann, "user.people-changed", 2).await;
    assert_eq!(changes[1]["text"], "somebody was erased");
    for file in site.medium.files() {
        let bytes = site.medium.bytes(&file).unwrap_or_default();
        for text in ["alice", "Alice", "33476123456"] {
            let there = bytes.windows(text.len()).any(|part| part == text.as_bytes());
            assert!(!there, "{text} in {}", file.display());
        }
    }
}
