//! Logins that RADIUS servers vouch for, with a server of our own that answers as each test wants.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway_core::{DoorId, Secret};
use gateway_http::{RadiusLogins, UserScope};
use gateway_radius::{Code, Packet, Params, Server, fake};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::support::{Answer, LIMIT, PASSWORD, Site, within};

const NOBODY: &str = "x-nobody: 1";

/// A server on loopback, for logins and accounting.
struct Radius {
    /// Names that were asked for.
    asked: Arc<Mutex<Vec<String>>>,
    /// Acct-Status-Type, Acct-Terminate-Cause or 0, and user name of each record of accounting.
    records: mpsc::UnboundedReceiver<(u8, u8, String)>,
    ports: (u16, u16),
}

fn secret() -> Secret {
    Secret::new("sixteen random characters")
}

fn text(packet: &Packet, kind: u8) -> String {
    String::from_utf8_lossy(packet.all(kind).next().unwrap_or_default()).into_owned()
}

fn last(packet: &Packet, kind: u8) -> u8 {
    packet
        .all(kind)
        .next()
        .and_then(|v| v.last().copied())
        .unwrap_or(0)
}

async fn receive(socket: &UdpSocket) -> (Packet, SocketAddr) {
    let mut buffer = [0; 4096];
    let (length, from) = socket.recv_from(&mut buffer).await.expect("received");
    (Packet::read(&buffer[..length]).expect("a packet"), from)
}

impl Radius {
    /// Names say what is answered.
    async fn start() -> Self {
        let logins = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let accounting = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let port = |socket: &UdpSocket| socket.local_addr().expect("bound").port();
        let ports = (port(&logins), port(&accounting));
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let names = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (request, from) = receive(&logins).await;
                let name = text(&request, 1);
                names
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(name.clone());
                let service = |n: u8| vec![0, 0, 0, n];
                let (code, service, signed) = match name.as_str() {
                    "Admin@Example" => (Code::AccessAccept, Some(service(6)), true),
                    "user" => (Code::AccessAccept, Some(service(1)), true),
                    "framed" => (Code::AccessAccept, Some(service(2)), true),
                    "none" => (Code::AccessAccept, None, true),
                    "unsigned" => (Code::AccessAccept, Some(service(6)), false),
                    "silent" => continue,
                    _ => (Code::AccessReject, Some(service(6)), true),
                };
                let attributes: Vec<(u8, &[u8])> = service.iter().map(|s| (6, &s[..])).collect();
                let answer = fake::answer(request.bytes(), code, &attributes, signed, &secret());
                logins.send_to(&answer, from).await.expect("sent");
            }
        });
        let (told, records) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (request, from) = receive(&accounting).await;
                let record = (last(&request, 40), last(&request, 49), text(&request, 1));
                let answer = fake::answer(request.bytes(), Code::AccountingResponse, &[], false, &secret());
                accounting.send_to(&answer, from).await.expect("sent");
                if told.send(record).is_err() {
                    return;
                }
            }
        });
        Self {
            asked,
            records,
            ports,
        }
    }

    fn logins(&self, timeout: Duration) -> RadiusLogins {
        RadiusLogins {
            client: Params {
                accounting: true,
                nas_identifier: "test".into(),
                require_message_authenticator: true,
                servers: vec![Server {
                    accounting_port: self.ports.1,
                    host: "127.0.0.1".into(),
                    port: self.ports.0,
                    secret: secret(),
                }],
                timeout,
                tries: 1,
            },
            user_doors: DoorId::new("front").ok().map(|door| BTreeSet::from([door])),
            user_scopes: BTreeSet::from([UserScope::Read]),
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn record(&mut self) -> (u8, u8, String) {
        within("a record", self.records.recv())
            .await
            .expect("the server runs")
    }
}

async fn login(site: &Site, name: &str, password: &str) -> Answer {
    let body = format!(r#"{{"user":"{name}","password":"{password}"}}"#);
    site.post("/api/v1/login", NOBODY, &body).await
}

#[tokio::test]
async fn names_of_ours_are_never_asked_for_elsewhere_and_nobody_is_before_the_first_user() {
    let radius = Radius::start().await;
    let site = Site::with_radius(radius.logins(LIMIT)).await;
    assert_eq!(login(&site, "user", "anything").await.status, 401);
    assert_eq!(radius.asked(), [""; 0], "there is no user of ours yet");
    site.set_up().await;
    assert_eq!(login(&site, "Ann ", "not this one").await.status, 401);
    assert_eq!(login(&site, "ann", PASSWORD).await.status, 200);
    assert_eq!(radius.asked(), [""; 0]);
    assert_eq!(login(&site, "user", "anything").await.status, 200);
    assert_eq!(login(&site, "two words", "anything").await.status, 401);
    assert_eq!(login(&site, "user", "").await.status, 401);
    assert_eq!(radius.asked(), ["user"]);
}

#[tokio::test]
async fn service_types_are_roles_and_all_else_is_no_entry() {
    let radius = Radius::start().await;
    let site = Site::with_radius(radius.logins(LIMIT)).await;
    let ann = site.set_up().await;
    for (name, status, reason) in [
        ("framed", 403, "no-entry"),
        ("none", 403, "no-entry"),
        ("rejected", 401, "login-failed"),
    ] {
        let answer = login(&site, name, "anything").await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (status, reason),
            "{name}"
        );
        assert_eq!(answer.header("set-cookie"), None, "{name}");
    }
    let server = format!("127.0.0.1:{}", radius.ports.0);
    let failed = site.records(&ann, "user.login-failed", 3).await;
    let reasons: Vec<_> = failed.iter().map(|r| r["reason"].clone()).collect();
    assert_eq!(
        reasons,
        [
            format!("Access-Accept with Service-Type Framed-User of {server}"),
            format!("Access-Accept without one Service-Type of {server}"),
            format!("Access-Reject of {server}"),
        ]
    );
    let user = login(&site, "user", "anything").await;
    assert_eq!(user.status, 200, "{user:?}");
    let session = user.json();
    assert_eq!(
        (&session["user"], &session["vouched_by"]),
        (&"user".into(), &"radius".into())
    );
    assert_eq!(
        (&session["scopes"], &session["doors"]),
        (&["read"].into(), &["front"].into())
    );
    let user = format!("cookie: {}", user.cookie());
    assert_eq!(
        site.get("/api/v1/doors", &user).await.json()["doors"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(site.post("/api/v1/doors/front/open", &user, "").await.status, 403);
    assert_eq!(site.get("/api/v1/users", &user).await.status, 403);
    let body = r#"{"old":"anything","new":"something else again"}"#;
    assert_eq!(
        site.post("/api/v1/password", &user, body).await.reason(),
        "vouched"
    );

    let admin = login(&site, "Admin@Example", "anything").await;
    assert_eq!(admin.json()["scopes"], serde_json::json!(["admin"]));
    let admin = format!("cookie: {}", admin.cookie());
    assert_eq!(
        site.post("/api/v1/doors/front/open", &admin, "").await.status,
        200
    );
    let granted = site.records(&ann, "door.granted", 1).await;
    assert_eq!(granted[0]["subject"], "user:radius:Admin@Example");
    let logins = site.records(&ann, "user.login", 2).await;
    let logins: Vec<_> = logins
        .iter()
        .map(|r| (r["user"].clone(), r["server"].clone()))
        .collect();
    let expected = ["radius:user", "radius:Admin@Example"].map(|n| (n.into(), server.clone().into()));
    assert_eq!(logins, expected);
    // an administrator who is vouched for is none of ours: the last one of ours stays
    let last = site
        .ask(
            "DELETE",
            "/api/v1/users/ann",
            &[&admin, &format!("origin: {}", site.origin())],
            "",
        )
        .await;
    assert_eq!((last.status, last.reason().as_str()), (409, "last-admin"));
}

#[tokio::test]
async fn an_answer_without_message_authenticator_lets_nobody_in_and_health_says_why() {
    let radius = Radius::start().await;
    let site = Site::with_radius(radius.logins(Duration::from_millis(500))).await;
    site.set_up().await;
    let faults = site.http.radius_faults().expect("it asks");
    let told = async {
        // the answer may come too late once; it never lets anybody in
        loop {
            let answer = login(&site, "unsigned", "anything").await;
            assert_eq!((answer.status, answer.reason().as_str()), (503, "radius"));
            let shown = faults.borrow().clone();
            if shown[0].text.contains("have no Message-Authenticator") {
                return;
            }
        }
    };
    within("the fault", told).await;
    assert_eq!(login(&site, "ann", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn servers_that_are_silent_keep_nobody_out_who_has_an_account_here() {
    let radius = Radius::start().await;
    let site = Site::with_radius(radius.logins(Duration::from_millis(100))).await;
    site.set_up().await;
    // more than would lock this source if they counted
    for _ in 0..8 {
        let answer = login(&site, "silent", "anything").await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (503, "radius"),
            "{answer:?}"
        );
    }
    assert_eq!(login(&site, "ann", PASSWORD).await.status, 200);
    let faults = site.http.radius_faults().expect("it asks").borrow().clone();
    assert!(faults[0].text.contains("does not answer"), "{faults:?}");
}

#[tokio::test]
async fn who_waits_for_a_server_keeps_nobody_waiting() {
    let radius = Radius::start().await;
    let site = Site::with_radius(radius.logins(LIMIT)).await;
    site.set_up().await;
    let slow = async { login(&site, "silent", "anything").await };
    let quick = async {
        // the slow one is with the server
        while radius.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        login(&site, "ann", PASSWORD).await
    };
    tokio::pin!(slow);
    let first = tokio::select! {
        slow = &mut slow => panic!("nobody answered it: {slow:?}"),
        quick = within("the quick login", quick) => quick,
    };
    assert_eq!(first.status, 200);
}

#[tokio::test]
async fn sessions_are_accounted_for_from_login_to_each_end() {
    let mut radius = Radius::start().await;
    let site = Site::with_radius(radius.logins(LIMIT)).await;
    site.set_up().await;
    assert_eq!(radius.record().await, (7, 0, String::new()));
    let answer = login(&site, "user", "anything").await;
    assert_eq!(radius.record().await, (1, 0, "user".into()));
    let user = format!("cookie: {}", answer.cookie());
    assert_eq!(site.post("/api/v1/logout", &user, "").await.status, 204);
    assert_eq!(radius.record().await, (2, 1, "user".into()));
    assert_eq!(login(&site, "Admin@Example", "anything").await.status, 200);
    assert_eq!(radius.record().await, (1, 0, "Admin@Example".into()));
    let ended = tokio::spawn(site.http.shutdown());
    assert_eq!(radius.record().await, (2, 7, "Admin@Example".into()));
    within("the end", ended).await.expect("it ends");
}

#[tokio::test]
async fn guessing_at_a_server_is_slowed_down_as_guessing_here_is() {
    let radius = Radius::start().await;
    let site = Site::with_radius(radius.logins(LIMIT)).await;
    site.set_up().await;
    for _ in 0..6 {
        assert_eq!(login(&site, "rejected", "guess").await.status, 401);
    }
    let locked = login(&site, "Rejected", "guess").await;
    assert_eq!((locked.status, locked.reason().as_str()), (429, "locked"));
    assert_eq!(radius.asked().len(), 6, "who is locked out is not asked for");
}
