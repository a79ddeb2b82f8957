//! A running interface over a fake core, and a client that speaks bytes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gateway_access::PinKey;
use gateway_bus::{Bus, SiteFileClient, SiteFileDesk};
use gateway_http::{HttpHandle, HttpParams, Language, NetworkNames, RadiusLogins, Tls, start};
use gateway_people::{Changed, People, SiteNames};
use gateway_store::fake::FakeIo;
use gateway_store::{Options, Store};
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::fake_core::{FakeCore, HandClock, Turn};

pub(crate) const PASSWORD: &str = "correct horse battery";
/// Nothing here takes so long, unless it never happens.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = timeout(LIMIT, future).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen within {LIMIT:?}"))
}

pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// The interface under test.
pub(crate) struct Site {
    pub(crate) clock: Arc<HandClock>,
    pub(crate) http: HttpHandle,
    pub(crate) medium: FakeIo,
    pub(crate) store: Store,
    tls: Option<Arc<rustls::ClientConfig>>,
    turns: mpsc::Sender<Turn>,
    dir: tempfile::TempDir,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: String,
    pub(crate) head: String,
    pub(crate) status: u16,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// The session cookie, as the browser sends it back.
    pub(crate) fn cookie(&self) -> String {
        let set = self.header("set-cookie").expect("a cookie is set");
        set.split(';').next().expect("name and value").to_owned()
    }
}

/// People whose changes a core takes at once.
fn people(store: &Store) -> People {
    let (to_core, mut changes) = mpsc::channel::<Changed>(4);
    tokio::spawn(async move {
        while let Some(Changed { done, .. }) = changes.recv().await {
            // whoever asked may have gone
            let _ = done.send(());
        }
    });
    let people = People::new(store.records().clone(), PinKey::new([9; 32]), to_core);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    people.set_site(SiteNames {
        codes: Vec::new(),
        doors: names(&["front", "garage"]),
        groups: names(&["residents"]),
        held: Vec::new(),
        schedules: names(&["day"]),
        zone: jiff::tz::TimeZone::UTC,
    });
    people
}

pub(crate) fn store() -> Store {
    store_on(FakeIo::new())
}

fn store_on(medium: FakeIo) -> Store {
    let options = Options {
        index: false,
        segment: 8192,
        ..Options::default()
    };
    let (store, _) = Store::open(Path::new("/state"), options, medium).expect("opens");
    store
}

pub(crate) fn params(listen: SocketAddr, tls: Tls, users_mark: PathBuf) -> HttpParams {
    HttpParams {
        language: Language::En,
        listen,
        mqtt_keys: vec!["signer".to_owned()],
        network: NetworkNames::default(),
        origins: Vec::new(),
        radius: None,
        tls,
        doubt: false,
        hooks: gateway_http::Hooks::default(),
        users_mark,
        version: "1.2.3".into(),
    }
}

impl Site {
    pub(crate) async fn plain() -> Self {
        Self::new(false).await
    }

    pub(crate) async fn new(secure: bool) -> Self {
        Self::begin(secure, None, None, None).await
    }

    /// Plain, and asks RADIUS servers.
    pub(crate) async fn with_radius(radius: RadiusLogins) -> Self {
        Self::begin(false, None, Some(radius), None).await
    }

    /// Plain, on an empty journal, with the file that says whether there were users.
    pub(crate) async fn with_mark(mark: &Path) -> Self {
        Self::begin(false, Some(mark), None, None).await
    }

    /// Plain, with somebody who answers about the site file.
    pub(crate) async fn with_site_file() -> (Self, SiteFileDesk) {
        let (client, desk) = gateway_bus::site_file();
        (Self::begin(false, None, None, Some(client)).await, desk)
    }

    /// Plain, with inputs that web clients work.
    pub(crate) async fn with_hooks(hooks: gateway_http::Hooks) -> Self {
        Self::made(false, None, None, None, hooks).await
    }

    async fn begin(
        secure: bool,
        mark: Option<&Path>,
        radius: Option<RadiusLogins>,
        site_file: Option<SiteFileClient>,
    ) -> Self {
        Self::made(secure, mark, radius, site_file, gateway_http::Hooks::default()).await
    }

    async fn made(
        secure: bool,
        mark: Option<&Path>,
        radius: Option<RadiusLogins>,
        site_file: Option<SiteFileClient>,
        hooks: gateway_http::Hooks,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mark = mark.map_or_else(|| dir.path().join("users-exist"), Path::to_owned);
        let medium = FakeIo::new();
        let store = store_on(medium.clone());
        let clock = HandClock::new();
        let (bus, core) = Bus::new(store.clone());
        let bus = bus.with_people(Some(people(&store))).with_site_file(site_file);
        let (turns, turned) = mpsc::channel(1);
        tokio::spawn(FakeCore::new(core, store.clone(), clock.clone(), turned).run());
        let tls = if secure {
            Tls::SelfSigned {
                names: vec!["localhost".into(), "127.0.0.1".into()],
                state_dir: dir.path().to_owned(),
            }
        } else {
            Tls::Off
        };
        let listen = "127.0.0.1:0".parse().expect("an address");
        let params = HttpParams {
            hooks,
            radius,
            ..params(listen, tls, mark)
        };
        let http = start(params, bus, clock.clone()).await.expect("starts");
        let client = secure.then(|| trusting(&dir.path().join("http/cert.pem")));
        Self {
            clock,
            http,
            medium,
            store,
            tls: client,
            turns,
            dir,
        }
    }

    /// Reads the certificate once more, as a start does.
    pub(crate) fn reload_tls(&self) {
        self.http.reload_tls().expect("it can be served");
    }

    /// From here on only this certificate is trusted.
    pub(crate) fn trust(&mut self, pem: &str) {
        let file = self.dir.path().join("trusted.pem");
        std::fs::write(&file, pem).expect("written");
        self.tls = Some(trusting(&file));
    }

    /// From here on only the certificate is trusted that the gateway has made.
    pub(crate) fn trust_own(&mut self) {
        self.tls = Some(trusting(&self.dir.path().join("http/cert.pem")));
    }

    /// The core turns once.
    pub(crate) async fn core_turns(&self) {
        self.fault(None).await;
    }

    /// The core turns once, and has a fault in this part, or none.
    pub(crate) async fn fault(&self, part: Option<&str>) {
        let (done, turned) = oneshot::channel();
        let turn = (part.map(str::to_owned), done);
        self.turns.send(turn).await.expect("the core runs");
        within("a turn", turned).await.expect("the core runs");
    }

    pub(crate) fn origin(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.http.local_addr())
    }

    pub(crate) async fn connect(&self) -> Box<dyn Socket> {
        let tcp = TcpStream::connect(self.http.local_addr())
            .await
            .expect("connects");
        let Some(config) = &self.tls else {
            return Box::new(tcp);
        };
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = tokio_rustls::TlsConnector::from(config.clone());
        Box::new(connector.connect(name, tcp).await.expect("TLS"))
    }

    /// Asks from another address of this machine, without TLS.
    pub(crate) async fn ask_from(&self, source: [u8; 4], method: &str, path: &str, body: &str) -> Answer {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((source, 0).into()).expect("an address of loopback");
        let mut socket = socket.connect(self.http.local_addr()).await.expect("connects");
        let request = self.request(method, path, &[], body);
        socket.write_all(request.as_bytes()).await.expect("sent");
        let mut bytes = Vec::new();
        let _ = within("the answer", socket.read_to_end(&mut bytes)).await;
        answer(&bytes)
    }

    /// Sends a request with these further header lines and reads the whole answer.
    pub(crate) async fn ask(&self, method: &str, path: &str, lines: &[&str], body: &str) -> Answer {
        self.raw(&self.request(method, path, lines, body)).await
    }

    /// Sends these bytes and reads the whole answer.
    pub(crate) async fn raw(&self, text: &str) -> Answer {
        let mut socket = self.connect().await;
        socket.write_all(text.as_bytes()).await.expect("sent");
        let mut bytes = Vec::new();
        // A server that cuts may reset; what came before counts.
        let _ = within("the answer", socket.read_to_end(&mut bytes)).await;
        answer(&bytes)
    }

    pub(crate) fn request(&self, method: &str, path: &str, lines: &[&str], body: &str) -> String {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.http.local_addr());
        if !lines.iter().any(|l| l.starts_with("connection:")) {
            text.push_str("connection: close\r\n");
        }
        if !body.is_empty() {
            text.push_str(&format!(
                "content-type: application/json\r\ncontent-length: {}\r\n",
                body.len()
            ));
        }
        for line in lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.push_str(body);
        text
    }

    pub(crate) async fn get(&self, path: &str, as_who: &str) -> Answer {
        self.ask("GET", path, &[as_who], "").await
    }

    /// The first records of a kind or family, once there are so many: they are shown when they are durable.
    pub(crate) async fn records(&self, as_who: &str, kind: &str, count: usize) -> Vec<serde_json::Value> {
        let durable = async {
            loop {
                let answer = self.get(&format!("/api/v1/journal?kind={kind}"), as_who).await;
                let all = answer.json()["records"].as_array().cloned().unwrap_or_default();
                if all.len() >= count {
                    return all;
                }
            }
        };
        within(kind, durable).await
    }

    /// As the page does it: with its origin.
    pub(crate) async fn post(&self, path: &str, as_who: &str, body: &str) -> Answer {
        let origin = format!("origin: {}", self.origin());
        self.ask("POST", path, &[as_who, &origin], body).await
    }

    /// Makes the first user; gives the header line of the session.
    pub(crate) async fn set_up(&self) -> String {
        let code = self.http.setup_code().expect("there is no user yet");
        let body = format!(r#"{{"code":"{code}","user":"ann","password":"{PASSWORD}"}}"#);
        let answer = self.ask("POST", "/api/v1/setup", &[], &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        format!("cookie: {}", answer.cookie())
    }

    /// Makes a token; gives its header line.
    pub(crate) async fn token(&self, admin: &str, body: &str) -> String {
        let answer = self.post("/api/v1/tokens", admin, body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let token = answer.json()["token"].as_str().expect("a token").to_owned();
        format!("authorization: Bearer {token}")
    }
}

fn trusting(cert: &Path) -> Arc<rustls::ClientConfig> {
    use rustls_pki_types::pem::PemObject as _;
    let cert = rustls_pki_types::CertificateDer::from_pem_file(cert).expect("a certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert).expect("trusted");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn answer(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Answer {
        body: body.to_owned(),
        head: head.to_owned(),
        status,
    }
}

/// Reads until the text is there; gives all that was read.
pub(crate) async fn read_until(socket: &mut (impl AsyncRead + Unpin + ?Sized), wanted: &str) -> String {
    let mut all = Vec::new();
    let reading = async {
        loop {
            let text = String::from_utf8_lossy(&all).into_owned();
            if text.contains(wanted) {
                return text;
            }
            let mut buffer = [0; 4096];
            let n = socket.read(&mut buffer).await.unwrap_or(0);
            assert!(n > 0, "the connection ended before {wanted:?}: {text}");
            all.extend_from_slice(&buffer[..n]);
        }
    };
    within(wanted, reading).await
}

/// Reads to the end of the connection.
pub(crate) async fn read_to_end(socket: &mut (impl AsyncRead + Unpin + ?Sized)) -> String {
    let mut bytes = Vec::new();
    let _ = within("the end of the connection", socket.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}
