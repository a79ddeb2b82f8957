//! Live events over sockets: resuming, scopes, the end.

use std::time::Duration;

use crate::support::{Site, Socket, read_to_end, read_until, within};
use gateway_core::{DoorEvent, DoorId, Envelope, Event, Timestamp};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn knock(site: &Site, door: &str) -> u64 {
    let envelope = Envelope {
        at: Timestamp::UNIX_EPOCH,
        event: Event::Door(DoorId::new(door).expect("a name"), DoorEvent::Opened {}),
        ring: None,
        simulated: true,
    };
    let ticket = site.store.append(envelope).expect("taken");
    within("durability", ticket.durable()).await.expect("durable").0
}

async fn stream(site: &Site, path: &str, lines: &[&str]) -> Box<dyn Socket> {
    let mut socket = site.connect().await;
    let text = site.request("GET", path, lines, "");
    socket.write_all(text.as_bytes()).await.expect("sent");
    socket
}

#[tokio::test]
async fn a_socket_resumes_and_is_told_where_the_journal_ends_before_it() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let (a, b) = (knock(&site, "front").await, knock(&site, "garage").await);
    let upgrade = |from: u64| {
        (
            format!("/api/v1/live?from={from}"),
            format!("origin: {}", site.origin()),
        )
    };
    let lines = |origin: &str| {
        vec![
            ann.clone(),
            origin.to_owned(),
            "connection: upgrade".to_owned(),
            "upgrade: websocket".to_owned(),
            "sec-websocket-version: 13".to_owned(),
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==".to_owned(),
        ]
    };
    let (path, origin) = upgrade(a);
    let lines = lines(&origin);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut socket = stream(&site, &path, &lines).await;
    let text = read_until(&mut *socket, &format!("\"seq\":{b},\"at\"")).await;
    assert!(text.contains(&format!("\"seq\":{a},\"at\"")), "{text}");
    assert!(!text.contains("\"type\":\"reset\""), "{text}");
    let (path, _) = upgrade(b + 1000);
    let mut future = stream(&site, &path, &lines).await;
    let reset = format!(r#"{{"type":"reset","seq":{b}}}"#);
    read_until(&mut *future, &reset).await;
    let c = knock(&site, "front").await;
    read_until(&mut *future, &format!("\"seq\":{c},\"at\"")).await;
}

#[tokio::test]
async fn events_resume_where_the_client_says() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let token = site
        .token(&ann, r#"{"name":"front","scopes":["read"],"doors":["front"]}"#)
        .await;
    let (a, b) = (knock(&site, "front").await, knock(&site, "garage").await);
    let mut all = stream(&site, &format!("/api/v1/events?from={a}"), &[&ann]).await;
    let text = read_until(&mut *all, &format!("id:{b}")).await;
    assert!(text.contains("content-type: text/event-stream"), "{text}");
    assert!(text.contains(&format!("id:{a}")), "{text}");
    let c = knock(&site, "front").await;
    read_until(&mut *all, &format!("id:{c}")).await;

    // The header of a reconnecting browser goes before the address it first used.
    let seen = format!("last-event-id: {a}");
    let mut again = stream(&site, "/api/v1/events?from=1", &[&ann, &seen]).await;
    let text = read_until(&mut *again, &format!("id:{c}")).await;
    assert!(
        text.contains(&format!("id:{b}")) && !text.contains(&format!("id:{a}\n")),
        "{text}"
    );

    let mut front = stream(&site, "/api/v1/events?from=1", &[&token]).await;
    let text = read_until(&mut *front, &format!("id:{c}")).await;
    assert!(!text.contains("garage") && !text.contains("user."), "{text}");

    let ahead = format!("last-event-id: {}", c + 1000);
    let mut future = stream(&site, "/api/v1/events", &[&ann, &ahead]).await;
    let text = read_until(&mut *future, "event:reset").await;
    assert!(text.contains("200 OK"), "{text}");
    let d = knock(&site, "front").await;
    read_until(&mut *future, &format!("id:{d}")).await;
    for odd in ["abc", "-1", "1.5", "1 2", "99999999999999999999"] {
        let odd = format!("last-event-id: {odd}");
        let answer = site.ask("GET", "/api/v1/events", &[&ann, &odd], "").await;
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(
            answer.status == 400 && detail.contains("1 to 19 digits"),
            "{odd}: {} {detail}",
            answer.status
        );
    }

    site.http.shutdown().await;
    read_to_end(&mut *all).await;
}

/// Changes a token; its path and ETag are looked up by its name.
async fn change_token(site: &Site, admin: &str, name: &str, body: Option<&str>) {
    let all = site.get("/api/v1/tokens", admin).await.json();
    let all = all["tokens"].as_array().expect("a list");
    let token = all.iter().find(|t| t["name"] == name).expect("the token");
    let path = format!("/api/v1/tokens/{}", token["id"].as_str().expect("an id"));
    let origin = format!("origin: {}", site.origin());
    let method = if body.is_some() { "PUT" } else { "DELETE" };
    let lines = [admin, &origin, "if-match: *"];
    let answer = site.ask(method, &path, &lines, body.unwrap_or_default()).await;
    assert!((200..300).contains(&answer.status), "{answer:?}");
}

#[tokio::test]
async fn whoever_may_see_nothing_any_more_hears_why_and_nothing_else() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let origin = format!("origin: {}", site.origin());
    let password = crate::support::PASSWORD;
    let body = format!(r#"{{"user":"bob","password":"{password}","scopes":["read"],"doors":"all"}}"#);
    let made = site.post("/api/v1/users", &ann, &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let login = async || {
        let body = format!(r#"{{"user":"bob","password":"{password}"}}"#);
        let answer = site.ask("POST", "/api/v1/login", &[&origin], &body).await;
        format!("cookie: {}", answer.cookie())
    };
    for (what, reason) in [
        ("revoked", "removed"),
        ("narrowed", "not-allowed"),
        ("logout", "logged-out"),
        ("user", "removed"),
    ] {
        let token = matches!(what, "revoked" | "narrowed");
        let who = if token {
            let body = format!(r#"{{"name":"{what}","scopes":["read","open"],"doors":"all"}}"#);
            site.token(&ann, &body).await
        } else {
            login().await
        };
        let seen = knock(&site, "front").await;
        let mut events = stream(&site, &format!("/api/v1/events?from={seen}"), &[&who]).await;
        read_until(&mut *events, &format!("id:{seen}")).await;
        match what {
            "revoked" => change_token(&site, &ann, what, None).await,
            "narrowed" => change_token(&site, &ann, what, Some(r#"{"scopes":["open"]}"#)).await,
            "logout" => assert_eq!(site.post("/api/v1/logout", &who, "").await.status, 204),
            _ => {
                let lines = [ann.as_str(), &origin, "if-match: *"];
                let answer = site.ask("DELETE", "/api/v1/users/bob", &lines, "").await;
                assert_eq!(answer.status, 204, "{answer:?}");
            }
        }
        let after = knock(&site, "garage").await;
        let text = read_to_end(&mut *events).await;
        assert!(!text.contains(&format!("id:{after}")), "{what}: {text}");
        let bye = format!("event:bye\ndata:{{\"reason\":\"{reason}\"}}");
        assert!(text.contains(&bye), "{what}: {text}");
    }
}

#[tokio::test]
async fn doors_that_are_taken_from_a_token_are_not_told_of_from_then_on() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let token = site
        .token(&ann, r#"{"name":"hub","scopes":["read"],"doors":"all"}"#)
        .await;
    let first = knock(&site, "garage").await;
    let path = format!("/api/v1/events?from={first}");
    let mut events = stream(&site, &path, &[&token]).await;
    read_until(&mut *events, &format!("id:{first}")).await;
    change_token(
        &site,
        &ann,
        "hub",
        Some(r#"{"scopes":["read"],"doors":["front"]}"#),
    )
    .await;
    let (hidden, shown) = (knock(&site, "garage").await, knock(&site, "front").await);
    let text = read_until(&mut *events, &format!("id:{shown}")).await;
    assert!(!text.contains(&format!("id:{hidden}")), "{text}");
    // what somebody else's rights become concerns nobody
    site.token(&ann, r#"{"name":"other","scopes":["read"],"doors":"all"}"#)
        .await;
    change_token(&site, &ann, "other", None).await;
    let more = knock(&site, "front").await;
    let text = read_until(&mut *events, &format!("id:{more}")).await;
    assert!(!text.contains("event:bye"), "{text}");
}

/// Just enough of RFC 6455 to hear what the server says.
struct Ears {
    bytes: Vec<u8>,
    socket: Box<dyn Socket>,
}

impl Ears {
    async fn open(site: &Site, path: &str, lines: &[&str]) -> Result<Self, String> {
        let handshake = [
            "connection: Upgrade",
            "upgrade: websocket",
            "sec-websocket-version: 13",
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        ];
        let lines: Vec<_> = handshake.iter().chain(lines).copied().collect();
        let mut socket = stream(site, path, &lines).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(
                within("the handshake", socket.read_u8())
                    .await
                    .expect("an answer"),
            );
        }
        let head = String::from_utf8(head).expect("text");
        if head.starts_with("HTTP/1.1 101") {
            Ok(Self {
                bytes: Vec::new(),
                socket,
            })
        } else {
            Err(head)
        }
    }

    fn frame(&mut self) -> Option<Value> {
        let (&first, &second) = (self.bytes.first()?, self.bytes.get(1)?);
        let (start, length) = match second {
            126 => (
                4,
                usize::from(u16::from_be_bytes([*self.bytes.get(2)?, *self.bytes.get(3)?])),
            ),
            127 => panic!("a message of more than 64 KiB"),
            short => (2, usize::from(short)),
        };
        if self.bytes.len() < start + length {
            return None;
        }
        let payload: Vec<u8> = self.bytes.drain(..start + length).skip(start).collect();
        // Opcode 1 is text; 8 is the close.
        Some(if first & 0x0F == 1 {
            serde_json::from_slice(&payload).expect("JSON")
        } else {
            Value::Null
        })
    }

    async fn word(&mut self) -> Option<Value> {
        loop {
            if let Some(word) = self.frame() {
                return Some(word);
            }
            let mut buffer = [0; 4096];
            match within("a word", self.socket.read(&mut buffer)).await {
                Ok(n) if n > 0 => self.bytes.extend_from_slice(&buffer[..n]),
                _ => return None,
            }
        }
    }

    async fn hear(&mut self, kind: &str) -> Value {
        loop {
            let word = self.word().await;
            let word = word.unwrap_or_else(|| panic!("the socket ended before {kind:?}"));
            if word["type"] == kind {
                return word;
            }
        }
    }
}

#[tokio::test]
async fn the_socket_shows_the_picture_its_changes_and_signs_of_life() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let origin = format!("origin: {}", site.origin());
    for bad in ["origin: http://evil.example", "x-no-origin: 1"] {
        let refused = Ears::open(&site, "/api/v1/live", &[&ann, bad]).await;
        assert!(
            refused.err().is_some_and(|head| head.starts_with("HTTP/1.1 403")),
            "{bad}"
        );
    }
    let refused = Ears::open(&site, "/api/v1/live", &[&origin]).await;
    assert!(refused.err().is_some_and(|head| head.starts_with("HTTP/1.1 401")));

    let before = knock(&site, "front").await;
    let path = format!("/api/v1/live?from={before}");
    let mut ears = Ears::open(&site, &path, &[&ann, &origin]).await.expect("opens");
    assert_eq!(ears.word().await.expect("a word")["type"], "hello");
    let mut first = [
        ears.word().await.expect("a word"),
        ears.word().await.expect("a word"),
    ];
    first.sort_by_key(|w| w["type"].to_string());
    assert_eq!(
        (&first[0]["type"], &first[0]["record"]["seq"]),
        (&"record".into(), &before.into())
    );
    assert_eq!(first[1]["view"]["doors"][0]["lock"], "locked");
    ears.hear("alive").await;
    let opened = site.post("/api/v1/doors/front/open", &ann, "").await.json();
    let view = ears.hear("view").await;
    assert_eq!(view["view"]["doors"][0]["lock"], "unlocked");
    let mut other = Ears::open(&site, &path, &[&ann, &origin]).await.expect("opens");
    let told = async {
        loop {
            if other.hear("record").await["record"]["seq"] == opened["seq"] {
                return;
            }
        }
    };
    within("the record of the opening", told).await;

    site.post("/api/v1/logout", &ann, "").await;
    assert_eq!(ears.hear("bye").await["reason"], "logged-out");
    while ears.word().await.is_some() {}
}

#[tokio::test]
async fn a_socket_that_is_far_behind_is_told_what_it_missed_and_the_end_is_said() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let mut last = 0;
    for _ in 0..1500 {
        last = site
            .store
            .append(Envelope {
                at: Timestamp::UNIX_EPOCH,
                event: Event::Door(DoorId::new("front").expect("a name"), DoorEvent::Closed {}),
                ring: None,
                simulated: true,
            })
            .expect("taken")
            .seq()
            .0;
    }
    knock(&site, "front").await;
    let origin = format!("origin: {}", site.origin());
    let mut ears = Ears::open(&site, "/api/v1/live?from=1", &[&ann, &origin])
        .await
        .expect("opens");
    let missed = ears.hear("missed").await;
    let to = missed["to"].as_u64().expect("a number");
    assert!(to > last - 200 && to < last, "{missed}");
    assert_eq!(ears.hear("record").await["record"]["seq"], to + 1);
    let stop = tokio::spawn(site.http.shutdown());
    assert_eq!(ears.hear("bye").await["reason"], "stopping");
    tokio::time::timeout(Duration::from_secs(10), stop)
        .await
        .expect("shutdown is bounded")
        .expect("no panic");
}

#[tokio::test]
async fn a_core_that_stands_still_while_http_lives_is_seen_and_so_is_its_return() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    site.core_turns().await;
    let origin = format!("origin: {}", site.origin());
    let mut ears = Ears::open(&site, "/api/v1/live", &[&ann, &origin])
        .await
        .expect("opens");
    let view = ears.hear("view").await;
    assert_eq!(view["view"]["doors"][0]["available"], true);
    assert_eq!(view["view"]["faults"].as_array().map(Vec::len), Some(0), "{view}");

    site.clock.advance(Duration::from_secs(60));
    let silent = async {
        loop {
            let alive = ears.hear("alive").await;
            if alive["core_silent_ms"].as_u64().is_some_and(|ms| ms >= 60_000) {
                return;
            }
        }
    };
    within("the silence of the core", silent).await;
    let view = ears.hear("view").await;
    assert_eq!(view["view"]["faults"][0]["part"], "core", "{view}");
    assert_eq!(view["view"]["doors"][0]["available"], false, "{view}");
    let health = site.get("/api/v1/health", &ann).await;
    assert_eq!(health.status, 503, "{health:?}");
    assert!(
        health.body.contains("the core has not answered for 6"),
        "{health:?}"
    );
    // who is not known learns that something is wrong, and not what
    let health = site.get("/api/v1/health", "x-nobody: 1").await;
    assert_eq!(
        (health.status, health.json()["status"].as_str()),
        (503, Some("fault"))
    );

    // the clock of this test also runs by itself: the core turns until it was heard
    let back = async {
        loop {
            site.core_turns().await;
            let view = ears.hear("view").await;
            if view["view"]["faults"].as_array().is_some_and(Vec::is_empty) {
                return;
            }
        }
    };
    within("the return of the core", back).await;
    site.core_turns().await;
    assert_eq!(site.get("/api/v1/health", &ann).await.status, 200);
}
