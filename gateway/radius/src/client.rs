//! The driver: sockets, names, time, and the queue of accounting.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use gateway_core::{Clock, Instant, Secret};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::accounting::{Record, Session, TerminateCause};
use crate::exchange::{Exchange, Output, Silence, Target, Tries};
use crate::packet::MAX;
use crate::params::{Params, Server};
use crate::pool::{Pool, ServerFault};
use crate::reply::{Admission, Refusal, Reply};
use crate::request::{Request, RequestError};

/// Logins that wait for servers at once.
const LOGINS: usize = 4;
/// Whatever is configured, a login waits no longer.
const LOGIN_TIME: Duration = Duration::from_secs(13);
/// Records of accounting that wait for a server.
const RECORDS: usize = 256;
/// A record that no server took is offered again after this time.
const RECORD_PAUSE: Duration = Duration::from_secs(30);
/// And dropped when it is older.
const RECORD_LIFE: Duration = Duration::from_secs(900);
/// How often a server that does not answer is asked whether it is there (RFC 5997 §4.2).
const STATUS_PAUSE: Duration = Duration::from_secs(10);

/// Somebody who wants in.
#[derive(Clone, Debug)]
pub struct Login {
    /// As typed.
    pub name: String,
    /// As typed.
    pub password: Secret,
    /// Address of the browser.
    pub station: String,
}

/// What the servers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Let in.
    Admitted {
        /// As what, and for how long.
        admission: Admission,
        /// `HOST:PORT` of the server that vouches.
        server: String,
    },
    /// Not let in.
    Refused {
        /// Why.
        refusal: Refusal,
        /// `HOST:PORT` of the server that says so.
        server: String,
    },
    /// No server gave an answer that counts.
    Silent,
    /// Nobody was asked: name or password cannot be sent.
    Unsendable(RequestError),
}

/// Too many logins wait for the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{LOGINS} logins wait for RADIUS servers already")]
pub struct Busy;

/// A running client. Cheap to clone; its tasks end with the last one.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    records: Option<mpsc::Sender<Entry>>,
    _tasks: Arc<JoinSet<()>>,
}

enum Entry {
    /// Answered when everything before it was tried.
    Mark(oneshot::Sender<()>),
    Record(Instant, Record),
}

struct Inner {
    accounting: Mutex<Pool>,
    clock: Arc<dyn Clock>,
    closing: Notify,
    faults: watch::Sender<Vec<ServerFault>>,
    logins: Mutex<Pool>,
    params: Params,
    places: Semaphore,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    /// Starts it on the current runtime. Nobody is asked before the first login.
    #[must_use]
    pub fn start(params: Params, clock: Arc<dyn Clock>) -> Self {
        let (faults, _) = watch::channel(Vec::new());
        let accounting = params.accounting;
        let inner = Arc::new(Inner {
            accounting: Mutex::new(Pool::new(
                &params.servers,
                "accounting of logins",
                accounting_port,
            )),
            clock,
            closing: Notify::new(),
            faults,
            logins: Mutex::new(Pool::new(&params.servers, "logins", login_port)),
            params,
            places: Semaphore::new(LOGINS),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(look_for_silent(Arc::clone(&inner)));
        let records = accounting.then(|| {
            let (to, queue) = mpsc::channel(RECORDS);
            tasks.spawn(tell(Arc::clone(&inner), queue));
            to
        });
        let client = Self {
            inner,
            records,
            _tasks: Arc::new(tasks),
        };
        client.account(Record::On);
        client
    }

    /// Asks whether somebody may log in. Nothing is left behind if the future is dropped.
    ///
    /// # Errors
    /// [`Busy`] if others wait already; then nobody was asked.
    pub async fn authenticate(&self, login: &Login) -> Result<Answer, Busy> {
        let inner = &self.inner;
        let _place = inner.places.try_acquire().map_err(|_| Busy)?;
        let params = &inner.params;
        let made = |server: &Server| {
            let (id, authenticator) = fresh()?;
            let who = (login.name.as_str(), &login.password);
            let from = (params.nas_identifier.as_str(), login.station.as_str());
            Some(Request::access(id, authenticator, &server.secret, who, from))
        };
        let order = held(&inner.logins).order();
        let mut targets = Vec::new();
        for index in &order {
            match made(&params.servers[*index]) {
                Some(Ok(request)) => targets.push(inner.target(*index, request, &inner.logins)),
                Some(Err(error)) => return Ok(Answer::Unsendable(error)),
                None => return Ok(Answer::Silent),
            }
        }
        let run = inner.run(&order, targets, &inner.logins, login_port);
        let Ok(Some((server, reply))) = timeout(LOGIN_TIME, run).await else {
            return Ok(Answer::Silent);
        };
        let server = held(&inner.logins).name(server).to_owned();
        Ok(match reply.verdict() {
            Ok(admission) => Answer::Admitted { admission, server },
            Err(refusal) => Answer::Refused { refusal, server },
        })
    }

    /// Tells the servers that a session began. Waits for nobody.
    pub fn began(&self, session: Session) {
        self.account(Record::Start(session));
    }

    /// Tells the servers that a session ended after `time`. Waits for nobody.
    pub fn ended(&self, session: Session, time: Duration, cause: TerminateCause) {
        self.account(Record::Stop(session, time, cause));
    }

    /// Servers that did not answer when they were asked last.
    #[must_use]
    pub fn faults(&self) -> watch::Receiver<Vec<ServerFault>> {
        self.inner.faults.subscribe()
    }

    /// Waits at most `patience` until what was told is with a server.
    pub async fn close(&self, patience: Duration) {
        let Some(records) = &self.records else { return };
        self.inner.closing.notify_one();
        let (done, told) = oneshot::channel();
        let all = async {
            if records.send(Entry::Mark(done)).await.is_ok() {
                let _ = told.await;
            }
        };
        let _ = timeout(patience, all).await;
    }

    fn account(&self, record: Record) {
        let Some(records) = &self.records else { return };
        if records
            .try_send(Entry::Record(self.inner.clock.now(), record))
            .is_err()
        {
            Inner::lose();
        }
    }
}

/// A fresh id and Request Authenticator; `None` if the system gives no random numbers.
fn fresh() -> Option<(u8, [u8; 16])> {
    let mut random = [0; 17];
    if let Err(error) = getrandom::fill(&mut random) {
        tracing::error!(%error, "no random numbers for RADIUS");
        return None;
    }
    let [id, authenticator @ ..] = random;
    Some((id, authenticator))
}

impl Inner {
    /// A server that was silent gets one try, so that it does not hold up every login.
    fn target(&self, server: usize, request: Request, pool: &Mutex<Pool>) -> Target {
        let silent = held(pool).is_silent(server);
        Target {
            request,
            secret: self.params.servers[server].secret.clone(),
            tries: Tries {
                count: if silent { 1 } else { self.params.tries.max(1) },
                wait: self.params.timeout,
            },
        }
    }

    fn lose() {
        tracing::warn!("a record of RADIUS accounting is lost: no server took it in time");
    }

    fn show(&self) {
        let mut faults = held(&self.logins).faults();
        faults.extend(held(&self.accounting).faults());
        self.faults.send_if_modified(|shown| {
            let changed = *shown != faults;
            *shown = faults;
            changed
        });
    }

    /// Asks `targets`, which stand for the servers `order`, and notes who answers.
    async fn run(
        &self,
        order: &[usize],
        targets: Vec<Target>,
        pool: &Mutex<Pool>,
        port: fn(&Server) -> u16,
    ) -> Option<(usize, Reply)> {
        let require = self.params.require_message_authenticator;
        let mut sockets: Vec<Option<UdpSocket>> = order.iter().map(|_| None).collect();
        let mut exchange = Exchange::begin(self.clock.now(), targets, require);
        let mut buffer = vec![0; MAX];
        loop {
            while let Some(output) = exchange.poll_output() {
                match output {
                    Output::Answered { target, reply } => {
                        held(pool).answered(order[target]);
                        self.show();
                        return Some((order[target], reply));
                    }
                    Output::Nobody => return None,
                    Output::Send { target } => {
                        let server = &self.params.servers[order[target]];
                        let sent = self
                            .send(&mut sockets[target], server, port, exchange.request(target))
                            .await;
                        if let Err(why) = sent {
                            exchange.handle_failure(self.clock.now(), target, why);
                        }
                    }
                    Output::Silent { target, why } => {
                        let mut pool = held(pool);
                        tracing::warn!(server = pool.name(order[target]), ?why, "RADIUS server is silent");
                        pool.silent(order[target], why);
                        drop(pool);
                        self.show();
                    }
                }
            }
            let left = exchange.poll_timeout()?.since(self.clock.now());
            match timeout(left, receive(&sockets, &mut buffer)).await {
                Ok((target, Ok(length))) => exchange.handle_datagram(target, &buffer[..length]),
                Ok((target, Err(error))) => {
                    exchange.handle_failure(self.clock.now(), target, network(&error));
                }
                Err(_) => {}
            }
            // also when something came: noise does not stop the clock
            exchange.handle_timeout(self.clock.now());
        }
    }

    /// Sends from a socket of its own, whose port nobody can guess.
    async fn send(
        &self,
        socket: &mut Option<UdpSocket>,
        server: &Server,
        port: fn(&Server) -> u16,
        request: Option<&Request>,
    ) -> Result<(), Silence> {
        if socket.is_none() {
            *socket = Some(self.socket(server, port(server)).await?);
        }
        let (Some(socket), Some(request)) = (socket, request) else {
            return Ok(());
        };
        let sent = socket.send(request.bytes()).await;
        sent.map(|_| ()).map_err(|error| network(&error))
    }

    async fn socket(&self, server: &Server, port: u16) -> Result<UdpSocket, Silence> {
        let to = self.address(server, port).await?;
        let from: IpAddr = if to.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = async {
            let socket = UdpSocket::bind((from, 0)).await?;
            socket.connect(to).await?;
            Ok(socket)
        };
        socket.await.map_err(|error: io::Error| network(&error))
    }

    async fn address(&self, server: &Server, port: u16) -> Result<SocketAddr, Silence> {
        let host = server.host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok((ip, port).into());
        }
        let found = timeout(self.params.timeout, tokio::net::lookup_host((host, port))).await;
        let unresolved = |why: String| Silence::Unresolved(why);
        let mut found = found
            .map_err(|_| unresolved("no answer in time".to_owned()))?
            .map_err(|error| unresolved(error.to_string()))?;
        found.next().ok_or_else(|| unresolved("none".to_owned()))
    }
}

fn network(error: &io::Error) -> Silence {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        Silence::Refused
    } else {
        Silence::Network(error.to_string())
    }
}

/// The next datagram of any socket, or what its machine said (ICMP).
async fn receive(sockets: &[Option<UdpSocket>], buffer: &mut [u8]) -> (usize, io::Result<usize>) {
    let wanted = Interest::READABLE | Interest::ERROR;
    let waiting = |(target, socket)| Some((target, socket, Box::pin(UdpSocket::ready(socket, wanted))));
    let sockets = sockets.iter().enumerate();
    let mut sockets: Vec<_> = sockets
        .filter_map(|(target, socket)| waiting((target, socket.as_ref()?)))
        .collect();
    poll_fn(|cx| {
        for (target, socket, ready) in &mut sockets {
            while ready.as_mut().poll(cx).is_ready() {
                if let Some(result) = take(socket, buffer) {
                    return Poll::Ready((*target, result));
                }
                *ready = Box::pin(socket.ready(wanted));
            }
        }
        Poll::Pending
    })
    .await
}

/// What is there, if anything is.
fn take(socket: &UdpSocket, buffer: &mut [u8]) -> Option<io::Result<usize>> {
    let nothing = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
    let received = socket.try_recv(buffer);
    if !received.as_ref().is_err_and(nothing) {
        return Some(received);
    }
    // an error alone makes no socket readable
    let failed = socket.try_io(Interest::ERROR, || {
        let error = socket.take_error()?;
        Err(error.unwrap_or_else(|| io::ErrorKind::WouldBlock.into()))
    });
    (!failed.as_ref().is_err_and(nothing)).then_some(failed)
}

/// Asks servers that are silent whether they are there, so that their fault ends without a login.
async fn look_for_silent(inner: Arc<Inner>) {
    type Port = fn(&Server) -> u16;
    let purposes = [
        (&inner.logins, login_port as Port),
        (&inner.accounting, accounting_port as Port),
    ];
    loop {
        sleep(STATUS_PAUSE).await;
        for (pool, port) in purposes {
            for server in 0..inner.params.servers.len() {
                let silent = held(pool).is_silent(server);
                if silent {
                    look_for(&inner, server, pool, port).await;
                }
            }
        }
    }
}

const fn login_port(server: &Server) -> u16 {
    server.port
}

const fn accounting_port(server: &Server) -> u16 {
    server.accounting_port
}

async fn look_for(inner: &Inner, server: usize, pool: &Mutex<Pool>, port: fn(&Server) -> u16) {
    let Some((id, authenticator)) = fresh() else {
        return;
    };
    let params = &inner.params;
    let secret = params.servers[server].secret.clone();
    let request = Request::status(id, authenticator, &secret, &params.nas_identifier);
    // a pool of its own: what a status says is not what a login says
    let aside = Mutex::new(Pool::new(&params.servers, "status", port));
    let target = Target {
        request,
        secret,
        tries: Tries {
            count: 1,
            wait: params.timeout,
        },
    };
    if inner.run(&[server], vec![target], &aside, port).await.is_some() {
        held(pool).alive(server);
        inner.show();
    }
}

/// Tells one record after the other.
async fn tell(inner: Arc<Inner>, mut queue: mpsc::Receiver<Entry>) {
    let mut closing = false;
    while let Some(entry) = queue.recv().await {
        let (at, record) = match entry {
            Entry::Record(at, record) => (at, record),
            Entry::Mark(done) => {
                let _ = done.send(());
                continue;
            }
        };
        while !told(&inner, at, &record).await {
            if closing || inner.clock.now().since(at) >= RECORD_LIFE {
                Inner::lose();
                break;
            }
            tokio::select! {
                () = sleep(RECORD_PAUSE) => {}
                () = inner.closing.notified() => closing = true,
            }
        }
    }
}

async fn told(inner: &Inner, at: Instant, record: &Record) -> bool {
    let params = &inner.params;
    let order = held(&inner.accounting).order();
    let mut targets = Vec::new();
    for server in &order {
        let Some((id, _)) = fresh() else { return false };
        let delay = inner.clock.now().since(at);
        let request = record.request(id, &params.servers[*server].secret, &params.nas_identifier, delay);
        targets.push(inner.target(*server, request, &inner.accounting));
    }
    inner
        .run(&order, targets, &inner.accounting, accounting_port)
        .await
        .is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Code, Packet};
    use crate::reply::Role;
    use crate::reply::tests::{ADMIN, answer, forge};

    /// Nothing here takes so long, unless it never happens.
    const LIMIT: Duration = Duration::from_secs(30);

    struct Wall;
    impl Clock for Wall {
        fn now(&self) -> Instant {
            static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
            Instant::from_nanos(1) + BEGAN.get_or_init(std::time::Instant::now).elapsed()
        }
        fn wall(&self) -> jiff::Timestamp {
            jiff::Timestamp::now()
        }
    }

    fn params(ports: &[(u16, u16)], timeout: Duration) -> Params {
        let server = |(port, accounting_port): &(u16, u16)| Server {
            accounting_port: *accounting_port,
            host: "127.0.0.1".into(),
            port: *port,
            secret: Secret::new("xyzzy5461"),
        };
        Params {
            accounting: false,
            nas_identifier: "test".into(),
            require_message_authenticator: true,
            servers: ports.iter().map(server).collect(),
            timeout,
            tries: 2,
        }
    }

    async fn server() -> (UdpSocket, u16) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let port = socket.local_addr().expect("bound").port();
        (socket, port)
    }

    async fn asked(socket: &UdpSocket) -> (Request, SocketAddr) {
        let mut buffer = [0; 4096];
        let got = timeout(LIMIT, socket.recv_from(&mut buffer)).await;
        let (length, from) = got.expect("in time").expect("received");
        let packet = Packet::read(&buffer[..length]).expect("a packet");
        (
            Request {
                bytes: packet.bytes().to_vec(),
            },
            from,
        )
    }

    fn login() -> Login {
        Login {
            name: "bob".into(),
            password: Secret::new("secret password"),
            station: "192.0.2.9".into(),
        }
    }

    async fn result(client: &Client) -> Answer {
        let done = timeout(LIMIT, client.authenticate(&login())).await;
        done.expect("in time").expect("there is room")
    }

    #[tokio::test]
    async fn an_accept_lets_in_after_forged_answers_and_a_lost_request() {
        let (socket, port) = server().await;
        let client = Client::start(params(&[(port, 1)], Duration::from_millis(200)), Arc::new(Wall));
        let served = async {
            let (first, _) = asked(&socket).await;
            let (again, from) = asked(&socket).await;
            assert_eq!(again, first, "the same octets");
            let forged = forge(&again, Code::AccessReject, &[], true, &Secret::new("guess"));
            socket.send_to(&forged, from).await.expect("sent");
            let good = answer(&again, Code::AccessAccept, &[ADMIN], true);
            socket.send_to(&good, from).await.expect("sent");
        };
        let (answer, ()) = tokio::join!(result(&client), served);
        let Answer::Admitted { admission, server } = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(
            (admission.role, server),
            (Role::Administrator, format!("127.0.0.1:{port}"))
        );
        assert!(client.faults().borrow().is_empty());
    }

    #[tokio::test]
    async fn a_closed_port_is_known_at_once_and_the_second_server_answers() {
        let (gone, closed) = server().await;
        drop(gone);
        let (socket, port) = server().await;
        // no time-out of this length is waited for
        let client = Client::start(params(&[(closed, 1), (port, 1)], LIMIT), Arc::new(Wall));
        let served = async {
            let (request, from) = asked(&socket).await;
            let good = answer(&request, Code::AccessReject, &[ADMIN], true);
            socket.send_to(&good, from).await.expect("sent");
        };
        let (answer, ()) = tokio::join!(result(&client), served);
        let refused = Answer::Refused {
            refusal: Refusal::Reject,
            server: format!("127.0.0.1:{port}"),
        };
        assert_eq!(answer, refused);
        let faults = client.faults().borrow().clone();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].text.contains("nobody listens"), "{faults:?}");
    }

    #[tokio::test]
    async fn silent_servers_let_nobody_in_and_are_named() {
        let (socket, port) = server().await;
        let client = Client::start(params(&[(port, 1)], Duration::from_millis(50)), Arc::new(Wall));
        assert_eq!(result(&client).await, Answer::Silent);
        let fault = client.faults().borrow()[0].clone();
        assert_eq!(fault.part, format!("radius:127.0.0.1:{port}"));
        assert!(fault.text.contains("does not answer"), "{fault:?}");
        drop(socket);
    }

    #[tokio::test]
    async fn a_crowd_is_turned_away() {
        let (_socket, port) = server().await;
        let client = Client::start(params(&[(port, 1)], LIMIT), Arc::new(Wall));
        let login = login();
        let mut waiting: Vec<_> = (0..LOGINS)
            .map(|_| Box::pin(client.authenticate(&login)))
            .collect();
        for one in &mut waiting {
            assert!(timeout(Duration::ZERO, one).await.is_err(), "it waits");
        }
        assert_eq!(client.authenticate(&login).await, Err(Busy));
        waiting.pop();
        let next = timeout(Duration::ZERO, client.authenticate(&login)).await;
        assert!(next.is_err(), "there is room again");
    }

    #[tokio::test]
    async fn accounting_arrives_in_order_and_close_waits_for_it() {
        let (socket, port) = server().await;
        let params = Params {
            accounting: true,
            ..params(&[(1, port)], LIMIT)
        };
        let client = Client::start(params, Arc::new(Wall));
        let session = Session {
            class: vec![],
            id: "1".into(),
            name: "bob".into(),
            role: Role::User,
            station: "192.0.2.9".into(),
        };
        client.began(session.clone());
        client.ended(session, Duration::from_secs(5), TerminateCause::UserRequest);
        let served = async {
            let mut statuses = Vec::new();
            for _ in 0..3 {
                let (request, from) = asked(&socket).await;
                let packet = Packet::read(request.bytes()).expect("a packet");
                statuses.push(packet.all(40).next().expect("a status")[3]);
                let good = answer(&request, Code::AccountingResponse, &[], false);
                socket.send_to(&good, from).await.expect("sent");
            }
            statuses
        };
        let (statuses, ()) = tokio::join!(served, client.close(LIMIT));
        assert_eq!(statuses, [7, 1, 2]);
    }
}
