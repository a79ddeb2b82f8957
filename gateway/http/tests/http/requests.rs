//! The interface over sockets: logins, commands, scopes, strangers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::fake_core::HandClock;
use crate::support::{PASSWORD, Site, params, read_to_end, read_until, store, within};
use gateway_bus::Bus;
use gateway_http::{HttpError, Tls, start};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const NOBODY: &str = "x-nobody: 1";

async fn story(secure: bool) {
    let site = Site::new(secure).await;
    let session = site.get("/api/v1/session", NOBODY).await.json();
    assert_eq!(
        (&session["user"], &session["setup"]),
        (&serde_json::Value::Null, &true.into())
    );
    let code = site.http.setup_code().expect("no user yet");
    let wrong = r#"{"code":"AAAA-AAAA-AAAA","user":"ann","password":"correct horse"}"#;
    let refused = site.ask("POST", "/api/v1/setup", &[], wrong).await;
    assert_eq!((refused.status, refused.reason().as_str()), (403, "setup-code"));
    site.set_up().await;
    assert_eq!(site.http.setup_code(), None);
    let again = format!(r#"{{"code":"{code}","user":"eve","password":"{PASSWORD}"}}"#);
    let again = site.ask("POST", "/api/v1/setup", &[], &again).await;
    assert_eq!((again.status, again.reason().as_str()), (409, "setup-done"));

    let body = format!(r#"{{"user":"Ann","password":"{PASSWORD}"}}"#);
    let login = site.post("/api/v1/login", NOBODY, &body).await;
    assert_eq!(login.status, 200, "{login:?}");
    assert_eq!(login.json()["scopes"][0], "admin");
    let set = login.header("set-cookie").expect("a cookie");
    assert!(set.contains("HttpOnly; SameSite=Strict"), "{set}");
    assert_eq!(set.contains("; Secure"), secure, "{set}");
    assert_eq!(set.starts_with("__Host-"), secure, "{set}");
    let ann = format!("cookie: {}", login.cookie());

    let doors = site.get("/api/v1/doors", &ann).await.json();
    assert_eq!(doors["doors"][0]["lock"], "locked");
    let opened = site.post("/api/v1/doors/front/open", &ann, "").await;
    assert_eq!(opened.status, 200, "{opened:?}");
    let seq = opened.json()["seq"].as_u64().expect("a number");
    let door = site.get("/api/v1/doors/front", &ann).await.json();
    assert_eq!(door["lock"], "unlocked");
    assert!(door["pulse_left_ms"].as_u64().expect("a pulse runs") <= 3000);
    let journal = site.get("/api/v1/journal?kind=door.granted", &ann).await.json();
    let record = &journal["records"][0];
    assert_eq!(record["seq"], seq);
    assert_eq!(
        (&record["subject"], &record["factor"]),
        (&"user:ann".into(), &"web".into())
    );
    assert!(journal["next"].is_null());
    let users = site.records(&ann, "user", 3).await;
    let kinds: Vec<_> = users.iter().map(|r| &r["kind"]).collect();
    assert_eq!(kinds, ["user.login-failed", "user.setup-done", "user.login"]);
    site.http.shutdown().await;
}

#[tokio::test]
async fn from_setup_to_an_open_door_in_the_journal() {
    story(false).await;
}

#[tokio::test]
async fn the_same_over_tls() {
    story(true).await;
}

#[tokio::test]
async fn a_plain_request_on_a_tls_port_is_told_and_a_reload_keeps_serving() {
    let site = Site::new(true).await;
    let mut plain = TcpStream::connect(site.http.local_addr())
        .await
        .expect("connects");
    plain
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("sent");
    let told = read_until(&mut plain, "use https://").await;
    assert!(told.starts_with("HTTP/1.1 400"), "{told}");
    let print = site.http.fingerprint().expect("TLS is on");
    site.http.reload_tls().expect("reads it again");
    assert_eq!(site.http.fingerprint(), Some(print));
    assert_eq!(site.get("/api/v1/health", NOBODY).await.status, 200);
}

#[tokio::test]
async fn a_taken_port_and_a_plain_network_address_are_refused_with_reasons() {
    let first = Site::plain().await;
    let taken = first.http.local_addr();
    let refusal = |listen: SocketAddr| async move {
        let (bus, _core) = Bus::new(store());
        match start(
            params(listen, Tls::Off, "/nowhere/users".into()),
            bus,
            HandClock::new(),
        )
        .await
        {
            Ok(_) => panic!("it started on {listen}"),
            Err(error) => error,
        }
    };
    let error = refusal(taken).await;
    assert!(error.to_string().contains("the port is taken"), "{error}");
    let source = std::error::Error::source(&error).and_then(|s| s.downcast_ref::<io::Error>());
    assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::AddrInUse));
    let error = refusal("0.0.0.0:0".parse().expect("an address")).await;
    assert!(matches!(error, HttpError::Plain { .. }), "{error:?}");
}

#[tokio::test]
async fn nothing_but_the_front_door_is_open_to_nobody() {
    let site = Site::plain().await;
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/assets/app.js", 200),
        ("GET", "/assets/nothing", 404),
        ("GET", "/api/v1/health", 200),
        ("GET", "/api/v1/session", 200),
        ("GET", "/metrics", 200),
        ("GET", "/api/v1/doors", 401),
        ("GET", "/api/v1/doors/front", 401),
        ("POST", "/api/v1/doors/front/open", 401),
        ("POST", "/api/v1/panels/main/press/bell", 401),
        ("POST", "/api/v1/rings/x/hang-up", 401),
        ("GET", "/api/v1/journal", 401),
        ("GET", "/api/v1/events", 401),
        ("GET", "/api/v1/live", 401),
        ("GET", "/api/v1/rings", 401),
        ("GET", "/api/v1/calls", 401),
        ("GET", "/api/v1/network", 401),
        ("GET", "/api/v1/site", 401),
        ("GET", "/api/v1/users", 401),
        ("POST", "/api/v1/tokens", 401),
        ("DELETE", "/api/v1/users/ann", 401),
        ("GET", "/api/v1/nothing", 404),
        ("PUT", "/api/v1/doors", 405),
    ] {
        let answer = site.ask(method, path, &[], "").await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        if status >= 400 {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert!(!answer.json()["detail"].as_str().expect("a detail").is_empty());
        }
    }
    let health = site.get("/api/v1/health", NOBODY).await;
    assert_eq!(health.body, r#"{"status":"ok"}"#);
    let proxied = site.get("/metrics", "x-forwarded-for: 192.0.2.1").await;
    assert_eq!(proxied.status, 401);
    let german = site.get("/", "accept-language: de-CH, en;q=0.5").await;
    assert!(german.body.contains("<html lang=\"de\">") && german.body.contains("Türen"));
}

#[tokio::test]
async fn ports_and_clock_are_shown_and_cannot_be_changed() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let network = site.get("/api/v1/network", &ann).await.json();
    let ports = network["ports"].as_array().expect("ports");
    // its own loopback is nobody's business
    assert!(
        ports
            .iter()
            .all(|port| port["name"] != "lo" && port["addresses"].is_array()),
        "{network}"
    );
    assert!(network["clock"]["synchronised"].is_boolean() || network["clock"]["synchronised"].is_null());
    for method in ["POST", "PUT", "DELETE"] {
        let answer = site.ask(method, "/api/v1/network", &[ann.as_str()], "{}").await;
        assert_eq!(answer.status, 405, "{method}");
    }
    // it belongs to no door
    let front = r#"{"name":"front","scopes":["read"],"doors":["front"]}"#;
    let front = site.token(&ann, front).await;
    let refused = site.get("/api/v1/network", &front).await;
    assert_eq!((refused.status, refused.reason().as_str()), (403, "forbidden"));
    site.http.shutdown().await;
}

#[tokio::test]
async fn a_body_is_an_object_and_nothing_that_counts_once_is_said_twice() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let open = "/api/v1/doors/front/open";
    for (path, body, word) in [
        (open, "[]", "object"),
        (open, r#"["2026-03-01T12:00:00Z","a"]"#, "object"),
        (open, r#""open""#, "object"),
        (open, r#"{"id":"a","id":"b"}"#, "twice"),
        (open, r#"{"id":null}"#, "\\\"id\\\" is null"),
        (open, r#"{"at":null}"#, "\\\"at\\\" is null"),
        (open, r#"{"id":"a","i\u0064":"b"}"#, "twice"),
        (
            "/api/v1/panels/main/quiet/begin",
            r#"{"minutes":null}"#,
            "minutes",
        ),
        ("/api/v1/panels/main/quiet/begin", "[5]", "object"),
        (
            "/api/v1/relays/horn/set",
            r#"{"state":"on","for_s":null}"#,
            "for_s",
        ),
        (
            "/api/v1/access/explain",
            r#"{"door":"front","door":"garage"}"#,
            "twice",
        ),
    ] {
        let answer = site.post(path, &ann, body).await;
        assert_eq!(answer.status, 400, "{path} {body}: {answer:?}");
        assert!(answer.body.contains(word), "{path} {body}: {answer:?}");
    }
    let origin = format!("origin: {}", site.origin());
    for header in [
        "idempotency-key: \"one\"",
        "x-doorline-at: 2026-03-01T12:00:00Z",
        &origin,
    ] {
        let twice = site.ask("POST", open, &[&ann, &origin, header, header], "").await;
        assert_eq!(
            (twice.status, twice.reason().as_str()),
            (400, "header"),
            "{twice:?}"
        );
    }
    let after = site.get("/api/v1/schedules?after=", &ann).await;
    assert_eq!(
        (after.status, after.reason().as_str()),
        (400, "query"),
        "{after:?}"
    );
    assert_eq!(site.post(open, &ann, "{}").await.status, 200);
}

#[tokio::test]
async fn another_site_cannot_use_the_session_of_a_browser() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let open = "/api/v1/doors/front/open";
    for lines in [
        vec![ann.as_str()],
        vec![ann.as_str(), "origin: http://evil.example"],
        vec![ann.as_str(), "origin: null"],
        vec![ann.as_str(), "origin: http://localhost:1"],
        vec![ann.as_str(), "sec-fetch-site: cross-site"],
    ] {
        let answer = site.ask("POST", open, &lines, "").await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (403, "origin"),
            "{lines:?}"
        );
    }
    let form = format!("origin: {}", site.origin());
    let lines = [
        ann.as_str(),
        &form,
        "content-type: text/plain",
        "content-length: 2",
    ];
    let mut socket = site.connect().await;
    let text = site.request("POST", open, &lines, "") + "{}";
    socket.write_all(text.as_bytes()).await.expect("sent");
    assert!(read_to_end(&mut *socket).await.starts_with("HTTP/1.1 415"));
    // also where the target names the host, and a header another one (RFC 9112 §3.2.2)
    for (target, host) in [
        ("/api/v1/session", "evil.example"),
        ("http://evil.example/api/v1/session", "localhost"),
    ] {
        let rebound = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let mut socket = site.connect().await;
        socket.write_all(rebound.as_bytes()).await.expect("sent");
        let answer = read_to_end(&mut *socket).await;
        assert!(answer.starts_with("HTTP/1.1 421"), "{target}: {answer}");
    }
    let journal = site.get("/api/v1/journal?kind=door.granted", &ann).await.json();
    assert_eq!(journal["records"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn a_session_ends_by_time_by_logout_and_with_its_user() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let login = |user: &'static str| {
        let body = format!(r#"{{"user":"{user}","password":"{PASSWORD}"}}"#);
        let site = &site;
        async move {
            let answer = site.post("/api/v1/login", NOBODY, &body).await;
            format!("cookie: {}", answer.cookie())
        }
    };
    site.clock.advance(Duration::from_secs(2 * 3600));
    let over = site.get("/api/v1/doors", &ann).await;
    assert_eq!((over.status, over.reason().as_str()), (401, "login"));
    let ann = login("ann").await;
    let body =
        format!(r#"{{"user":"bob","password":"{PASSWORD}","scopes":["read","open"],"doors":["garage"]}}"#);
    let made = site.post("/api/v1/users", &ann, &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert!(!made.body.contains("argon2"));
    assert_eq!(site.post("/api/v1/users", &ann, &body).await.status, 409);
    let bob = login("bob").await;
    let doors = site.get("/api/v1/doors", &bob).await.json();
    assert_eq!(doors["doors"].as_array().map(Vec::len), Some(1));
    assert_eq!(site.post("/api/v1/doors/front/open", &bob, "").await.status, 403);
    assert_eq!(site.post("/api/v1/doors/garage/open", &bob, "").await.status, 200);
    assert_eq!(site.get("/api/v1/users", &bob).await.reason(), "scope");
    let origin = format!("origin: {}", site.origin());
    let last = site
        .ask("DELETE", "/api/v1/users/ann", &[&ann, &origin], "")
        .await;
    assert_eq!(last.reason(), "last-admin");
    let gone = site
        .ask("DELETE", "/api/v1/users/bob", &[&ann, &origin], "")
        .await;
    assert_eq!(gone.status, 204);
    assert_eq!(site.get("/api/v1/doors", &bob).await.status, 401);
    let other = login("ann").await;
    let change = format!(r#"{{"old":"{PASSWORD}","new":"another long one"}}"#);
    assert_eq!(site.post("/api/v1/password", &ann, &change).await.status, 204);
    assert_eq!(site.get("/api/v1/doors", &other).await.status, 401);
    let out = site.post("/api/v1/logout", &ann, "").await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").expect("cleared").contains("Max-Age=0"));
    assert_eq!(site.get("/api/v1/doors", &ann).await.status, 401);
}

#[tokio::test]
async fn a_token_may_what_its_scopes_and_doors_say_until_it_ends() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let hub = site
        .token(
            &ann,
            r#"{"name":"hub","scopes":["open"],"doors":["front"],"days":1}"#,
        )
        .await;
    let eye = site
        .token(&ann, r#"{"name":"eye","scopes":["read"],"doors":"all"}"#)
        .await;
    let open = |who: String, door: &'static str, lines: &'static str, body: &'static str| {
        let site = &site;
        async move {
            let path = format!("/api/v1/doors/{door}/open");
            site.ask("POST", &path, &[&who, lines], body).await
        }
    };
    let key = "idempotency-key: \"one\"";
    let first = open(hub.clone(), "front", key, "").await;
    assert_eq!(
        (first.status, &first.json()["id"]),
        (200, &"one".into()),
        "{first:?}"
    );
    let second = open(hub.clone(), "front", key, "").await;
    assert_eq!((second.status, second.reason().as_str()), (409, "duplicate"));
    for half in ["idempotency-key: \"j_j", "idempotency-key: j_j\""] {
        let answer = open(hub.clone(), "front", half, "").await;
        assert_eq!((answer.status, answer.reason().as_str()), (400, "id"), "{half}");
    }
    let stale = open(
        hub.clone(),
        "front",
        NOBODY,
        r#"{"id":"two","at":"2020-01-01T00:00:00Z"}"#,
    )
    .await;
    assert_eq!((stale.status, stale.reason().as_str()), (410, "stale"));
    for (body, status) in [
        (r#"{"at":"noon"}"#, 400),
        (r#"{"id":""}"#, 400),
        (r#"{"x":1}"#, 400),
    ] {
        assert_eq!(
            open(hub.clone(), "front", NOBODY, body).await.status,
            status,
            "{body}"
        );
    }
    assert_eq!(open(hub.clone(), "garage", NOBODY, "").await.status, 403);
    assert_eq!(open(eye.clone(), "front", NOBODY, "").await.reason(), "scope");
    assert_eq!(open(ann.clone(), "nowhere", NOBODY, "").await.reason(), "origin");
    assert_eq!(
        site.post("/api/v1/doors/nowhere/open", &ann, "").await.status,
        404
    );
    assert_eq!(site.get("/api/v1/doors", &hub).await.reason(), "scope");
    assert_eq!(site.get("/api/v1/doors", &eye).await.status, 200);
    assert_eq!(
        site.ask("POST", "/api/v1/panels/main/press/bell", &[&eye], "")
            .await
            .status,
        403
    );
    let logins = site.get("/api/v1/journal?kind=user", &eye).await.json();
    assert_eq!(logins["records"].as_array().map(Vec::len), Some(0));
    let bad = site
        .get("/api/v1/doors", "authorization: Bearer dl_00000000_x")
        .await;
    assert_eq!(bad.header("www-authenticate"), Some("Bearer realm=\"doorline\""));
    let list = site.get("/api/v1/tokens", &ann).await;
    assert!(!list.body.contains("sha256") && !list.body.contains("\"token\":"));
    site.clock.advance(Duration::from_secs(86_400));
    assert_eq!(open(hub, "front", NOBODY, "").await.status, 401);
    assert_eq!(site.get("/api/v1/doors", &eye).await.status, 200);
}

#[tokio::test]
async fn strangers_who_guess_at_a_name_do_not_keep_its_owner_out() {
    let site = Site::plain().await;
    site.set_up().await;
    let login = async |source, password: &str| {
        let body = format!(r#"{{"user":"ann","password":"{password}"}}"#);
        site.ask_from(source, "POST", "/api/v1/login", &body).await.status
    };
    let (desk, new) = ([127, 0, 0, 2], [127, 0, 0, 3]);
    assert_eq!(login(desk, PASSWORD).await, 200);
    for stranger in 10..14 {
        for _ in 0..3 {
            login([127, 0, 0, stranger], "a guess, a guess").await;
        }
    }
    assert_eq!(login(new, PASSWORD).await, 429, "the name is locked");
    assert_eq!(login(desk, PASSWORD).await, 200, "but not where she was");
    // which is no place to guess from, either
    let mut guesses = Vec::new();
    for _ in 0..7 {
        guesses.push(login(desk, "a guess, a guess").await);
    }
    assert_eq!(guesses, [401, 401, 401, 401, 401, 401, 429]);
}

#[tokio::test]
async fn guessing_is_slowed_down_journalled_and_forgiven_in_time() {
    let site = Site::plain().await;
    site.set_up().await;
    let body = r#"{"user":"ann","password":"not this one"}"#;
    for _ in 0..5 {
        let answer = site.ask("POST", "/api/v1/login", &[], body).await;
        assert_eq!((answer.status, answer.reason().as_str()), (401, "login-failed"));
    }
    let sixth = site.ask("POST", "/api/v1/login", &[], body).await;
    assert_eq!(sixth.status, 401);
    let locked = site.ask("POST", "/api/v1/login", &[], body).await;
    assert_eq!((locked.status, locked.reason().as_str()), (429, "locked"));
    assert!(locked.header("retry-after").is_some());
    site.clock.advance(Duration::from_secs(3));
    let right = format!(r#"{{"user":"ann","password":"{PASSWORD}"}}"#);
    let login = site.ask("POST", "/api/v1/login", &[], &right).await;
    assert_eq!(login.status, 200, "{login:?}");
    let ann = format!("cookie: {}", login.cookie());
    let locked = site.records(&ann, "user.login-locked", 1).await;
    assert_eq!(locked[0]["source_"], "127.0.0.1");
    let metrics = site.get("/metrics", NOBODY).await.body;
    assert!(
        metrics.contains("doorline_http_logins_failed_total 6"),
        "{metrics}"
    );
    assert!(
        metrics.contains("doorline_door_lock{door=\"front\",state=\"locked\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("doorline_build_info{version=\"1.2.3\",instance=\"test\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_panel_is_told_to_call_by_who_may_operate_it_and_the_story_says_by_whom() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let path = "/api/v1/panels/main/call/bell";
    let eye = r#"{"name":"eye","scopes":["read"],"doors":"all"}"#;
    let eye = site.token(&ann, eye).await;
    let refused = site.post(path, &eye, "").await;
    assert_eq!((refused.status, refused.reason().as_str()), (403, "scope"));
    let other = r#"{"name":"other","scopes":["operate","read"],"doors":["garage"]}"#;
    let other = site.token(&ann, other).await;
    assert_eq!(site.post(path, &other, "").await.status, 404);
    let panel = |site: serde_json::Value| site["panels"][0]["may_call"].clone();
    assert_eq!(panel(site.get("/api/v1/site", &ann).await.json()), true);
    assert_eq!(panel(site.get("/api/v1/site", &eye).await.json()), false);
    let begun = site.post(path, &ann, "").await;
    assert_eq!(begun.status, 200, "{begun:?}");
    let ring = begun.json()["ring_id"].clone();
    let story = &site.get("/api/v1/rings", &ann).await.json()["rings"][0];
    assert_eq!(
        (
            &story["ring_id"],
            &story["panel"],
            &story["button"],
            &story["caller"]
        ),
        (&ring, &"main".into(), &"bell".into(), &"user:ann".into())
    );
    // who has another door learns nothing of it, and who has this one does
    let kinds = async |who: &_| {
        let journal = site.get("/api/v1/journal?kind=call", who).await.json();
        journal["records"].as_array().map(Vec::len)
    };
    let front = r#"{"name":"front","scopes":["read"],"doors":["front"]}"#;
    let front = site.token(&ann, front).await;
    assert_eq!((kinds(&other).await, kinds(&front).await), (Some(0), Some(1)));
}

#[tokio::test]
async fn an_announcement_is_had_heard_by_who_may_operate_the_panel_and_opening_is_no_such_right() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let path = "/api/v1/panels/main/announce/lift";
    for scopes in [r#"["read"]"#, r#"["open","read"]"#] {
        let token = format!(
            r#"{{"name":"t{}","scopes":{scopes},"doors":"all"}}"#,
            scopes.len()
        );
        let token = site.token(&ann, &token).await;
        let refused = site.post(path, &token, "").await;
        assert_eq!((refused.status, refused.reason().as_str()), (403, "scope"));
        let panel = &site.get("/api/v1/site", &token).await.json()["panels"][0];
        assert_eq!(panel["may_announce"], false);
    }
    let other = r#"{"name":"other","scopes":["operate","read"],"doors":["garage"]}"#;
    let other = site.token(&ann, other).await;
    assert_eq!(site.post(path, &other, "").await.status, 404);
    let panel = &site.get("/api/v1/site", &ann).await.json()["panels"][0];
    assert_eq!(
        (&panel["may_announce"], &panel["announcements"][0]["id"]),
        (&true.into(), &"lift".into())
    );
    let house = r#"{"name":"house","scopes":["operate"],"doors":["front"]}"#;
    let house = site.token(&ann, house).await;
    for (body, status) in [
        ("", 200),
        (r#"{"to":"both"}"#, 200),
        (r#"{"to":"phone","id":"once"}"#, 200),
        (r#"{"to":"phone","id":"once"}"#, 409),
        (r#"{"to":"everybody"}"#, 400),
        (r#"{"to":null}"#, 400),
        (r#"{"file":"/etc/passwd"}"#, 400),
    ] {
        let answer = site.post(path, &house, body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
    }
    let journal = site.get("/api/v1/journal?kind=panel", &ann).await.json();
    let told: Vec<_> = journal["records"].as_array().into_iter().flatten().collect();
    let who_hears: Vec<_> = told.iter().map(|record| record["to"].as_str()).collect();
    assert_eq!(who_hears, [Some("door"), Some("both"), Some("phone")]);
    assert_eq!(told[0]["subject"], "integration:house");
}

#[tokio::test]
async fn a_ring_is_pressed_told_as_a_story_and_hung_up() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let pressed = site.post("/api/v1/panels/main/press/bell", &ann, "").await;
    assert_eq!(pressed.status, 200, "{pressed:?}");
    let ring = pressed.json()["ring_id"].as_str().expect("a ring").to_owned();
    assert_eq!(
        site.get("/api/v1/calls", &ann).await.json()["calls"][0]["ring_id"],
        *ring
    );
    let ended = site
        .post(&format!("/api/v1/rings/{ring}/hang-up"), &ann, "")
        .await;
    assert_eq!(ended.status, 200, "{ended:?}");
    let rings = site.get("/api/v1/rings", &ann).await.json();
    let story = &rings["rings"][0];
    assert_eq!(
        (&story["panel"], &story["outcome"]),
        (&"main".into(), &"cancelled".into())
    );
    let one = site.get(&format!("/api/v1/rings/{ring}"), &ann).await.json();
    assert_eq!(one["records"].as_array().map(Vec::len), Some(2));
    let none = site
        .get("/api/v1/rings/01990000-0000-7707-8707-070707070707", &ann)
        .await;
    assert_eq!(none.status, 404);
    let page = site.get("/api/v1/journal?max=1&kind=panel", &ann).await.json();
    let next = page["next"].as_str().expect("there is more").to_owned();
    assert_eq!(
        site.get(&next, &ann).await.json()["records"][0]["kind"],
        "panel.ring-ended"
    );
    assert_eq!(site.get("/api/v1/journal?max=0", &ann).await.status, 400);
    assert_eq!(site.get("/api/v1/journal?maximum=1", &ann).await.status, 400);
}

#[tokio::test]
async fn who_is_too_slow_or_too_big_is_cut() {
    let site = Site::plain().await;
    let slow_head = async {
        let mut socket = site.connect().await;
        socket
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx: ")
            .await
            .expect("sent");
        read_to_end(&mut *socket).await
    };
    let slow_body = async {
        let mut socket = site.connect().await;
        let lines = ["content-type: application/json", "content-length: 100"];
        let text = site.request("POST", "/api/v1/login", &lines, "") + "{";
        socket.write_all(text.as_bytes()).await.expect("sent");
        read_to_end(&mut *socket).await
    };
    let idle = async {
        let mut socket = site.connect().await;
        let text = site.request("GET", "/api/v1/session", &["connection: keep-alive"], "");
        socket.write_all(text.as_bytes()).await.expect("sent");
        read_to_end(&mut *socket).await
    };
    let (head, body, idle) = tokio::join!(slow_head, slow_body, idle);
    assert!(!head.contains("200 OK"), "{head}");
    assert!(body.starts_with("HTTP/1.1 408"), "{body}");
    assert!(idle.starts_with("HTTP/1.1 200"), "{idle}");

    let big = format!("{{\"user\":\"{}\"}}", "x".repeat(70_000));
    let mut socket = site.connect().await;
    let text = site.request("POST", "/api/v1/login", &[], &big);
    // The server answers without reading all, so that the rest may find a closed connection.
    let _ = socket.write_all(text.as_bytes()).await;
    assert!(read_until(&mut *socket, "\r\n").await.starts_with("HTTP/1.1 413"));
    let long = format!("x: {}", "y".repeat(70_000));
    let mut socket = site.connect().await;
    let _ = socket
        .write_all(site.request("GET", "/", &[&long], "").as_bytes())
        .await;
    let told = read_to_end(&mut *socket).await;
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 431"), "{told}");
}

#[tokio::test]
async fn a_crowd_of_connections_leaves_no_more_than_the_limit() {
    let site = Site::plain().await;
    let mut crowd = Vec::new();
    for _ in 0..130 {
        crowd.push(
            TcpStream::connect(site.http.local_addr())
                .await
                .expect("connects"),
        );
    }
    let turned_away = async {
        let mut last = crowd.pop().expect("many");
        read_to_end(&mut last).await
    };
    assert_eq!(turned_away.await, "");
    drop(crowd);
    let back = async {
        loop {
            let answer = site.get("/api/v1/health", NOBODY).await;
            if answer.status == 200 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    within("a place for the next one", back).await;
}

#[tokio::test]
async fn a_token_waits_while_the_clock_is_not_trusted_and_a_person_does_not() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let token = site
        .token(&ann, r#"{"name":"hub","scopes":["read"],"doors":"all"}"#)
        .await;
    assert_eq!(site.get("/api/v1/doors", &token).await.status, 200);
    site.fault(Some("clock")).await;
    let refused = site.get("/api/v1/doors", &token).await;
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (503, "clock"),
        "{refused:?}"
    );
    assert_eq!(site.get("/api/v1/doors", &ann).await.status, 200);
    site.fault(None).await;
    assert_eq!(site.get("/api/v1/doors", &token).await.status, 200);
}

#[tokio::test]
async fn users_that_are_lost_are_not_replaced_over_the_network() {
    let dir = tempfile::tempdir().expect("a folder");
    let mark = dir.path().join("users-exist");
    let listen = "127.0.0.1:0".parse().expect("an address");
    let begin = |store, mark: &std::path::Path| {
        let (bus, _core) = Bus::new(store);
        start(params(listen, Tls::Off, mark.to_owned()), bus, HandClock::new())
    };
    // nobody was ever there: set-up is offered, and nothing is noted
    let first = begin(store(), &mark).await.expect("starts");
    assert!(first.setup_code().is_some() && first.lost_users().is_none());
    assert!(!mark.exists());
    first.shutdown().await;
    // somebody is: noted, also if it was another version that made the user
    let with_user = store();
    let row = serde_json::json!({ "hash": "x" });
    with_user
        .records()
        .put_durable("user", "ann", row, None)
        .await
        .expect("kept");
    begin(with_user, &mark).await.expect("starts").shutdown().await;
    assert!(mark.exists());
    // and then the records are lost
    let site = Site::with_mark(&mark).await;
    assert_eq!(site.http.setup_code(), None);
    let lost = site.http.lost_users().expect("told");
    assert!(lost.contains(&mark.display().to_string()), "{lost}");
    assert_eq!(site.get("/api/v1/session", NOBODY).await.json()["setup"], false);
    let body = format!(r#"{{"code":"AAAA-AAAA-AAAA","user":"eve","password":"{PASSWORD}"}}"#);
    let refused = site.ask("POST", "/api/v1/setup", &[], &body).await;
    assert_eq!((refused.status, refused.reason().as_str()), (403, "setup-closed"));
    // somebody at the machine may say that it begins anew
    std::fs::remove_file(&mark).expect("removed");
    let site = Site::with_mark(&mark).await;
    site.set_up().await;
    assert!(mark.exists(), "noted as soon as there is a user");
}
