//! How many commands are taken.

use std::time::Duration;

use crate::support::{Site, within};

const OPEN: &str = "/api/v1/doors/front/open";
#[tokio::test]
async fn an_opening_that_names_a_visitor_opens_for_this_one_alone() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let open = async |ring: &str| {
        let body = format!(r#"{{"ring_id":"{ring}"}}"#);
        let reply = site.post(OPEN, &ann, &body).await;
        (
            reply.status,
            if reply.status == 200 {
                String::new()
            } else {
                reply.reason()
            },
        )
    };
    assert_eq!(open(crate::fake_core::RANG).await, (200, String::new()));
    let other = "01990000-0000-7707-8707-070707070708";
    assert_eq!(open(other).await, (410, "stale".to_owned()));
    // what is no ring is not taken for an opening without one
    for unread in ["", "7", "front"] {
        assert_eq!(open(unread).await, (400, "ring_id".to_owned()), "{unread:?}");
    }
    let lost = site.post(OPEN, &ann, r#"{"ring_id":null}"#).await;
    assert_eq!((lost.status, lost.reason()), (400, "body".to_owned()));
}

#[tokio::test]
async fn a_token_that_gives_too_many_commands_is_told_to_wait_and_put_on_record_once() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let hub = site
        .token(&ann, r#"{"name":"hub","scopes":["open","read"],"doors":"all"}"#)
        .await;
    site.clock.stop();
    for n in 0..40 {
        assert_eq!(site.post(OPEN, &hub, "").await.status, 200, "{n}");
    }
    for n in 0..20 {
        let refused = site.post(OPEN, &hub, "").await;
        assert_eq!(
            (refused.status, refused.reason().as_str()),
            (429, "overload"),
            "{n}"
        );
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    }
    // others go on
    assert_eq!(site.post(OPEN, &ann, "").await.status, 200);
    let records = async || {
        let path = "/api/v1/journal?kind=command.refused";
        site.get(path, &ann).await.json()["records"]
            .as_array()
            .cloned()
            .expect("a list")
    };
    let found = within("the record", async {
        loop {
            let found = records().await;
            if !found.is_empty() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (&found[0]["subject"], &found[0]["reason"]),
        (&"integration:hub".into(), &"overload".into())
    );

    site.clock.advance(Duration::from_millis(50));
    assert_eq!(site.post(OPEN, &hub, "").await.status, 200, "one more by then");
    assert_eq!(site.post(OPEN, &hub, "").await.status, 429);
    site.clock.advance(Duration::from_secs(2));
    for _ in 0..41 {
        site.post(OPEN, &hub, "").await;
    }
    let second = within("the record of the second episode", async {
        loop {
            let found = records().await;
            if found.len() > 1 {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    // all refusals of the first one, and those at its end, made no further one
    assert_eq!(second.len(), 2, "{second:?}");
}

#[tokio::test]
async fn a_door_is_held_open_by_who_may_operate_it_and_for_minutes_that_make_sense() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let (begin, end) = ("/api/v1/doors/garage/hold/begin", "/api/v1/doors/garage/hold/end");
    let opener = site
        .token(
            &ann,
            r#"{"name":"opener","scopes":["open","read"],"doors":"all"}"#,
        )
        .await;
    let other = r#"{"name":"other","scopes":["operate","read"],"doors":["front"]}"#;
    let other = site.token(&ann, other).await;
    let whole = r#"{"name":"whole","scopes":["operate","read"],"doors":["garage"]}"#;
    let whole = site.token(&ann, whole).await;
    let refused = site.post(begin, &whole, r#"{"minutes":5}"#).await;
    assert_eq!((refused.status, refused.reason().as_str()), (403, "scope"));
    assert!(refused.body.contains("open"), "{refused:?}");
    // metrics are of all doors
    for (token, status) in [(&opener, 200), (&other, 403)] {
        let from_afar = ["x-forwarded-for: 192.0.2.1", token.as_str()];
        assert_eq!(site.ask("GET", "/metrics", &from_afar, "").await.status, status);
    }
    for token in [&opener, &other] {
        for path in [begin, end] {
            let refused = site.post(path, token, r#"{"minutes":5}"#).await.status;
            assert!([403, 404].contains(&refused), "{path}: {refused}");
        }
    }
    for (body, status) in [
        ("", 415),
        ("{}", 400),
        (r#"{"minutes":0}"#, 400),
        (r#"{"minutes":1441}"#, 400),
        (r#"{"minutes":"5"}"#, 400),
    ] {
        assert_eq!(site.post(begin, &ann, body).await.status, status, "{body}");
    }
    let shown = async || site.get("/api/v1/doors/garage", &ann).await.json();
    assert_eq!(
        (&shown().await["hold"], &shown().await["may_hold_minutes"]),
        (&serde_json::Value::Null, &120.into())
    );
    assert!(site.get("/api/v1/doors/front", &ann).await.json()["may_hold_minutes"].is_null());
    let begun = site.post(begin, &ann, r#"{"minutes":30}"#).await;
    assert_eq!(begun.status, 200, "{begun:?}");
    let hold = shown().await["hold"].clone();
    assert_eq!(hold["schedule"], false);
    assert!(
        hold["left_ms"].as_u64().is_some_and(|ms| ms <= 1_800_000),
        "{hold}"
    );
    let seen = site.get("/api/v1/doors/garage", &whole).await.json();
    assert_eq!(
        (&seen["may_hold_minutes"], &seen["may_end_hold"]),
        (&serde_json::Value::Null, &true.into())
    );
    assert_eq!(site.post(end, &whole, "").await.status, 200);
    assert!(shown().await["hold"].is_null());
    let journal = site.get("/api/v1/journal?door=garage", &ann).await.json();
    let kinds: Vec<_> = journal["records"]
        .as_array()
        .expect("records")
        .iter()
        .map(|r| r["kind"].clone())
        .collect();
    assert_eq!(kinds, ["door.hold-began", "door.hold-ended"]);
}

#[tokio::test]
async fn relays_are_set_and_alarms_confirmed_by_who_may_operate_the_whole_site() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let (set, confirm) = ("/api/v1/relays/siren/set", "/api/v1/alarms/intrusion/confirm");
    let opener = site
        .token(
            &ann,
            r#"{"name":"opener","scopes":["open","read"],"doors":"all"}"#,
        )
        .await;
    let some = r#"{"name":"some","scopes":["operate","read"],"doors":["front"]}"#;
    let some = site.token(&ann, some).await;
    for token in [&opener, &some] {
        assert_eq!(site.post(set, token, r#"{"state":"on"}"#).await.status, 403);
        assert_eq!(site.post(confirm, token, "").await.status, 403);
    }
    for (body, status) in [
        ("{}", 400),
        (r#"{"state":"open"}"#, 400),
        (r#"{"state":"on","for_s":0}"#, 400),
        (r#"{"state":"on","for_s":86401}"#, 400),
        (r#"{"state":"off","for_s":5}"#, 400),
        (r#"{"state":"on","door":"front"}"#, 400),
        (r#"{"state":"on","for_s":86400}"#, 200),
        (r#"{"state":"off"}"#, 200),
        (r#"{"state":"toggle"}"#, 200),
    ] {
        assert_eq!(site.post(set, &ann, body).await.status, status, "{body}");
    }
    assert_eq!(
        site.post("/api/v1/relays/Siren/set", &ann, r#"{"state":"on"}"#)
            .await
            .status,
        404
    );
    assert_eq!(site.post(confirm, &ann, "").await.status, 200);
    let records = site
        .get("/api/v1/journal?kind=alarm.confirmed", &ann)
        .await
        .json();
    assert_eq!(records["records"][0]["source"], "intrusion", "{records}");
}

#[tokio::test]
async fn cards_go_to_controllers_by_who_may_open_and_operate_everything() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let path = "/api/v1/controllers/lift/card";
    let card = r#"{"card":"26:123,04567","id":"once"}"#;
    for body in [
        r#"{"name":"opener","scopes":["open","read"],"doors":"all"}"#,
        r#"{"name":"operator","scopes":["operate","read"],"doors":"all"}"#,
        r#"{"name":"some","scopes":["open","operate","read"],"doors":["front"]}"#,
    ] {
        let token = site.token(&ann, body).await;
        assert_eq!(site.post(path, &token, card).await.status, 403, "{body}");
    }
    for wrong in [
        "{}",
        r#"{"card":"99881"}"#,
        r#"{"card":null}"#,
        r#"{"card":"26:123,04567","door":"front"}"#,
    ] {
        let refused = site.post(path, &ann, wrong).await;
        assert_eq!(refused.status, 400, "{wrong}");
        assert!(!refused.body.contains("99881"), "{}", refused.body);
    }
    assert_eq!(site.post(path, &ann, card).await.status, 200);
    assert_eq!(site.post(path, &ann, card).await.status, 409, "the same again");
    assert_eq!(
        site.post("/api/v1/controllers/Lift/card", &ann, card)
            .await
            .status,
        404
    );
    let records = site
        .get("/api/v1/journal?kind=controller.sent", &ann)
        .await
        .json();
    let sent = records["records"].as_array().expect("a list");
    assert!(sent.len() == 1 && sent[0]["source"] == "lift", "{records}");
    assert!(
        sent[0]["subject"].as_str().is_some_and(|who| who.contains("ann")),
        "{records}"
    );
}

#[tokio::test]
async fn rules_are_tried_out_by_administrators_and_what_is_wrong_is_said() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let path = "/api/v1/rules/try";
    let reader = site
        .token(
            &ann,
            r#"{"name":"reader","scopes":["operate","read"],"doors":"all"}"#,
        )
        .await;
    let asked = r#"{"event":{"kind":"door.denied","source":"front"},"groups":["staff"]}"#;
    assert_eq!(site.post(path, &reader, asked).await.status, 403);
    for bad in [
        "{}",
        r#"{"event":{"kind":"door.denid"}}"#,
        r#"{"event":{"kind":"door.denied"},"times":0}"#,
        r#"{"event":{"kind":"door.denied"},"groups":["nobody"]}"#,
    ] {
        let refused = site.post(path, &ann, bad).await;
        assert_eq!(
            (refused.status, refused.reason().as_str()),
            (400, "body"),
            "{bad}"
        );
    }
    let told = site.post(path, &ann, asked).await.json();
    let rule = &told["rules"][0];
    assert_eq!(
        (&rule["rule"], &rule["acts"]),
        (&"night".into(), &true.into()),
        "{told}"
    );
    assert_eq!(rule["actions"][0], "notify erp: front");
}

#[tokio::test]
async fn bells_are_silenced_by_who_may_operate_their_panel() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let (begin, end) = ("/api/v1/panels/main/quiet/begin", "/api/v1/panels/main/quiet/end");
    let reader = site
        .token(
            &ann,
            r#"{"name":"reader","scopes":["open","read"],"doors":"all"}"#,
        )
        .await;
    let other = r#"{"name":"other","scopes":["operate","read"],"doors":["garage"]}"#;
    let other = site.token(&ann, other).await;
    for token in [&reader, &other] {
        for path in [begin, end] {
            let refused = site.post(path, token, "").await.status;
            assert!([403, 404].contains(&refused), "{path}: {refused}");
        }
    }
    for body in [r#"{"minutes":0}"#, r#"{"minutes":1441}"#, r#"{"minutes":"5"}"#] {
        assert_eq!(site.post(begin, &ann, body).await.status, 400, "{body}");
    }
    let shown = async || site.get("/api/v1/site", &ann).await.json()["panels"][0].clone();
    assert_eq!(
        (&shown().await["quiet"], &shown().await["may_quiet"]),
        (&serde_json::Value::Null, &true.into())
    );
    for (body, timed) in [(r#"{"minutes":30}"#, true), ("", false)] {
        let begun = site.post(begin, &ann, body).await;
        assert_eq!(begun.status, 200, "{begun:?}");
        let quiet = shown().await["quiet"].clone();
        assert_eq!(quiet["left_ms"].is_u64(), timed, "{quiet}");
    }
    assert_eq!(site.post(end, &ann, "").await.status, 200);
    assert!(shown().await["quiet"].is_null());
}

#[tokio::test]
async fn who_rings_is_let_in_by_who_may_operate_every_door_of_the_panel() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let path = |what: &str| format!("/api/v1/panels/main/ring-to-open/{what}");
    let (begin, end) = (path("begin"), path("end"));
    let reader = site
        .token(
            &ann,
            r#"{"name":"reader","scopes":["open","read"],"doors":"all"}"#,
        )
        .await;
    let other = r#"{"name":"other","scopes":["open","operate","read"],"doors":["garage"]}"#;
    let other = site.token(&ann, other).await;
    for token in [&reader, &other] {
        let refused = site.post(&begin, token, r#"{"minutes":5}"#).await.status;
        assert!([403, 404].contains(&refused), "{refused}");
    }
    // presses open then, so that it needs the scope for it
    let whole = r#"{"name":"whole","scopes":["operate","read"],"doors":"all"}"#;
    let whole = site.token(&ann, whole).await;
    let refused = site.post(&begin, &whole, r#"{"minutes":5}"#).await;
    assert_eq!((refused.status, refused.reason().as_str()), (403, "scope"));
    let seen = site.get("/api/v1/site", &whole).await.json()["panels"][0].clone();
    assert!(seen["may_ring_to_open_minutes"].is_null(), "{seen}");
    let both = r#"{"name":"both","scopes":["open","operate","read"],"doors":"all"}"#;
    let both = site.token(&ann, both).await;
    assert_eq!(site.post(&begin, &both, r#"{"minutes":5}"#).await.status, 200);
    assert_eq!(site.post(&end, &whole, "").await.status, 200);
    for body in [
        "{}",
        r#"{"minutes":0}"#,
        r#"{"minutes":1441}"#,
        r#"{"minutes":"5"}"#,
    ] {
        assert_eq!(site.post(&begin, &ann, body).await.status, 400, "{body}");
    }
    let shown = async || site.get("/api/v1/site", &ann).await.json()["panels"][0].clone();
    let before = shown().await;
    assert!(before["ring_to_open"].is_null(), "{before}");
    assert_eq!(before["may_ring_to_open_minutes"], 120);
    assert_eq!(site.post(&begin, &ann, r#"{"minutes":30}"#).await.status, 200);
    let left = shown().await["ring_to_open"]["left_ms"].as_u64();
    assert!(left.is_some_and(|left| left > 0 && left <= 1_800_000), "{left:?}");
    assert_eq!(site.post(&end, &ann, "").await.status, 200);
    assert!(shown().await["ring_to_open"].is_null());
}

#[tokio::test]
async fn a_door_group_that_is_none_and_a_field_that_nobody_reads_are_told() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    for path in ["/api/v1/lockdown/begin", "/api/v1/lockdown/end"] {
        let reply = site.post(path, &ann, r#"{"group":"cellar"}"#).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (404, "unknown"),
            "{path}"
        );
    }
    // who has a list of doors is not told which groups there are
    let hub = site
        .token(
            &ann,
            r#"{"name":"hub","scopes":["operate","read"],"doors":["front"]}"#,
        )
        .await;
    let reply = site
        .post("/api/v1/lockdown/begin", &hub, r#"{"group":"cellar"}"#)
        .await;
    assert_eq!((reply.status, reply.reason().as_str()), (403, "forbidden"));
    let ask = r#"{"door":"front","code":"1234","bogus":1}"#;
    let reply = site.post("/api/v1/access/explain", &ann, ask).await;
    assert_eq!((reply.status, reply.reason().as_str()), (400, "body"));
}

#[tokio::test]
async fn who_lost_the_group_or_person_of_a_command_does_not_mean_all() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let seq = async || site.get("/api/v1/site", &ann).await.json()["seq"].clone();
    let before = seq().await;
    for (path, field) in [
        ("/api/v1/lockdown/begin", "group"),
        ("/api/v1/lockdown/end", "group"),
        ("/api/v1/passback/reset", "person"),
    ] {
        for lost in ["null", "\"\"", "\"Lobby/\""] {
            let reply = site.post(path, &ann, &format!(r#"{{"{field}":{lost}}}"#)).await;
            let reason = if lost == "null" { "body" } else { field };
            assert_eq!(
                (reply.status, reply.reason().as_str()),
                (400, reason),
                "{path} {lost}"
            );
        }
        let misspelt = format!("{field}s");
        let reply = site
            .post(path, &ann, &format!(r#"{{"{misspelt}":"lobby"}}"#))
            .await;
        assert_eq!((reply.status, reply.reason().as_str()), (400, "body"), "{path}");
        let told = reply.json()["detail"].to_string();
        assert!(
            told.contains(&format!("`{misspelt}`")) && told.contains(&format!("`{field}`")),
            "what is wrong, and what is allowed: {told}"
        );
    }
    assert_eq!(seq().await, before, "nothing came of it");
    // the whole site is meant by leaving the field out
    assert_eq!(site.post("/api/v1/lockdown/begin", &ann, "{}").await.status, 200);
}

#[tokio::test]
async fn a_fire_alarm_is_reset_by_who_may_operate_all_doors() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    for scopes in [
        r#""scopes":["operate","read"],"doors":["front"]"#,
        r#""scopes":["open","read"],"doors":"all""#,
    ] {
        let name = if scopes.contains("operate") { "desk" } else { "hub" };
        let token = site
            .token(&ann, &format!(r#"{{"name":"{name}",{scopes}}}"#))
            .await;
        let reply = site.post("/api/v1/fire/reset", &token, "").await;
        assert_eq!(reply.status, 403, "{scopes}");
        let shown = site.get("/api/v1/site", &token).await.json()["fire"].clone();
        assert_eq!(shown["may_reset"], false, "{shown}");
    }
    let shown = async || site.get("/api/v1/site", &ann).await.json()["fire"].clone();
    let stands = serde_json::json!({ "active": false, "alarm": true, "may_reset": true });
    assert_eq!(shown().await, stands);
    assert_eq!(site.post("/api/v1/fire/reset", &ann, "").await.status, 200);
    assert_eq!(shown().await["alarm"], false);
}
