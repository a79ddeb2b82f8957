//! Channels over a journal, against a server that answers as it is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway_core::{
    Clock, DoorEvent, DoorId, Envelope, Event, GatewayEvent, Instant, Secret, Template, Timestamp,
};
use gateway_notify::{
    Channel, Choice, Ground, HttpUrl, Mail, MailTls, Names, NotifyHandle, Params, Proven, Target, Telegram,
    Webhook, start,
};
use gateway_store::fake::FakeIo;
use gateway_store::{Options, Store};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Instant {
        Instant::ZERO
    }
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }
}

impl Proven for RealClock {
    fn date(&self) -> Option<Timestamp> {
        Some(Timestamp::now())
    }
}

/// A date that a test sets.
#[derive(Default)]
struct SetDate(Mutex<Option<Timestamp>>);

impl Proven for SetDate {
    fn date(&self) -> Option<Timestamp> {
        *self.0.lock().expect("whole")
    }
}

/// What a server was asked: path, `Doorline-Seq` (0 without), body.
type Asked = Arc<Mutex<Vec<(String, u64, String)>>>;

/// How a server treats a connection that it has answered on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It says that it closes it, and does.
    Closes,
    /// It closes it and has not said so.
    ClosesUnsaid,
    /// It waits for the next request.
    Waits,
}

/// What a server answers that has no more prepared.
const TAKEN: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// A server that gives the prepared answers in turn, and 204 after the last.
async fn server(answers: &[&str]) -> (u16, Asked) {
    server_that(answers, TAKEN, Then::Waits).await
}

/// A server that gives the prepared answers in turn, and another one after the last.
async fn server_that(answers: &[&str], last: &'static str, then: Then) -> (u16, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let asked = Asked::default();
    let (to, mut answers) = (
        Arc::clone(&asked),
        answers
            .iter()
            .map(|&a| a.to_owned())
            .collect::<VecDeque<String>>(),
    );
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            loop {
                let mut head = Vec::new();
                loop {
                    let mut line = String::new();
                    match stream.read_line(&mut line).await {
                        Ok(n) if n > 2 => head.push(line.trim_end().to_ascii_lowercase()),
                        _ => break,
                    }
                }
                let Some(first) = head.first().cloned() else { break };
                let value = |name: &str| {
                    head.iter()
                        .find_map(|l| l.strip_prefix(name)?.trim().parse::<u64>().ok())
                };
                let mut body =
                    vec![0; usize::try_from(value("content-length:").unwrap_or(0)).expect("short")];
                stream.read_exact(&mut body).await.expect("a body");
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                let entry = (
                    path,
                    value("doorline-seq:").unwrap_or(0),
                    String::from_utf8(body).expect("text"),
                );
                to.lock().expect("whole").push(entry);
                let answer = answers.pop_front().unwrap_or_else(|| last.to_owned());
                stream.write_all(answer.as_bytes()).await.expect("written");
                if then != Then::Waits {
                    break;
                }
            }
        }
    });
    (port, asked)
}

fn url(port: u16, path: &str) -> HttpUrl {
    HttpUrl {
        host: "127.0.0.1".to_owned(),
        path: path.to_owned(),
        port,
        tls: false,
    }
}

fn webhook(port: u16) -> Target {
    Target::Webhook(Webhook {
        authorization: None,
        body: None,
        ca_file: None,
        content_type: "application/json".to_owned(),
        key: None,
        url: url(port, "/hook"),
    })
}

fn journal() -> Store {
    let options = Options::default();
    Store::open(Path::new("/state"), options, FakeIo::new())
        .expect("a journal")
        .0
}

async fn happens(store: &Store, at: Timestamp) -> u64 {
    let event = Event::Door(DoorId::new("front").expect("a name"), DoorEvent::Opened {});
    let envelope = Envelope {
        at,
        event,
        ring: None,
        simulated: false,
    };
    store
        .append(envelope)
        .expect("room")
        .durable()
        .await
        .expect("durable")
        .0
}

async fn channel(store: &Store, target: Target) -> NotifyHandle {
    channel_by(store, target, Arc::new(RealClock)).await
}

async fn channel_by(store: &Store, target: Target, proven: Arc<dyn Proven>) -> NotifyHandle {
    let mut handle = start(Ground {
        clock: Arc::new(RealClock),
        proven,
        store: store.clone(),
    });
    let choice = Choice {
        channel: "one".to_owned(),
        events: BTreeSet::from(["door".to_owned()]),
        ..Choice::default()
    };
    let channel = Channel {
        choice,
        max_age: Duration::from_secs(3600),
        target,
    };
    let names = Names {
        site: "Lilas".to_owned(),
        site_id: "lilas".to_owned(),
        time_zone: jiff::tz::TimeZone::UTC,
    };
    handle
        .apply(Params {
            channels: BTreeMap::from([("one".to_owned(), channel)]),
            names,
        })
        .await;
    handle
}

async fn comes<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), wait)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

fn seqs(asked: &Asked) -> Vec<u64> {
    asked
        .lock()
        .expect("whole")
        .iter()
        .map(|(_, seq, _)| *seq)
        .collect()
}

#[tokio::test]
async fn a_new_channel_begins_now_and_goes_on_where_it_was_without_what_is_too_old() {
    let (store, (port, asked)) = (journal(), server(&[]).await);
    happens(&store, Timestamp::now()).await;
    let handle = channel(&store, webhook(port)).await;
    // the channel has looked once its cursor stands behind what was there
    let cursor = store.cursor("notify-one");
    comes("the beginning", || (cursor.get().0 == 1).then_some(())).await;
    let second = happens(&store, Timestamp::now()).await;
    comes("the second", || (seqs(&asked) == [second]).then_some(())).await;
    handle.stop().await;
    let old = Timestamp::now() - Duration::from_secs(7200);
    happens(&store, old).await;
    let fourth = happens(&store, Timestamp::now()).await;
    let handle = channel(&store, webhook(port)).await;
    // the fifth says that the third was too old
    comes("the fifth", || {
        (seqs(&asked) == [second, fourth, fourth + 1]).then_some(())
    })
    .await;
    handle.stop().await;
    assert_eq!(cursor.get().0, fourth + 1);
    let said = asked.lock().expect("whole")[2].2.clone();
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["kind"], "gateway.notify-dropped");
    assert_eq!(said["channel"], "one");
    let third = second + 1;
    for (field, value) in [("count", 1), ("first", third), ("last", third)] {
        assert_eq!(said[field], value, "{said}");
    }
}

#[tokio::test]
async fn what_is_too_old_is_counted_once_however_often_the_rest_is_tried() {
    let busy = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    let (store, (port, asked)) = (journal(), server(&[busy, busy]).await);
    store.cursor("notify-one").begin(gateway_core::Seq(0));
    for _ in 0..3 {
        happens(&store, Timestamp::now() - Duration::from_secs(7200)).await;
    }
    let fourth = happens(&store, Timestamp::now()).await;
    let handle = channel(&store, webhook(port)).await;
    comes("the fifth", || {
        (seqs(&asked) == [fourth, fourth, fourth, fourth + 1]).then_some(())
    })
    .await;
    handle.stop().await;
    let said = asked.lock().expect("whole")[3].2.clone();
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    for (field, value) in [("count", 3), ("first", fourth - 3), ("last", fourth - 1)] {
        assert_eq!(said[field], value, "{said}");
    }
}

#[tokio::test]
async fn while_nobody_knows_the_date_nothing_is_too_old() {
    let (store, (port, asked)) = (journal(), server(&[]).await);
    happens(&store, Timestamp::now()).await;
    let date = Arc::new(SetDate::default());
    let handle = channel_by(&store, webhook(port), date.clone()).await;
    let cursor = store.cursor("notify-one");
    comes("the beginning", || (cursor.get().0 == 1).then_some(())).await;
    // by the clock they are two hours old and more, and an hour is what the channel wants
    let hours = |n: u64| Timestamp::now() - Duration::from_secs(n * 3600);
    let second = happens(&store, hours(2)).await;
    comes("the second", || (seqs(&asked) == [second]).then_some(())).await;
    // what is proven lies behind the clock
    date.0.lock().expect("whole").replace(hours(9));
    let third = happens(&store, hours(10)).await;
    comes("the third", || (seqs(&asked) == [second, third]).then_some(())).await;
    date.0.lock().expect("whole").replace(hours(8));
    happens(&store, hours(10)).await;
    comes("what was left out", || {
        (seqs(&asked) == [second, third, third + 2]).then_some(())
    })
    .await;
    handle.stop().await;
}

#[tokio::test]
async fn a_channel_that_began_before_the_first_event_tells_it_after_a_restart() {
    let (store, (port, asked)) = (journal(), server(&[]).await);
    let handle = channel(&store, webhook(port)).await;
    // it begins before it hears that it should end
    handle.stop().await;
    let first = happens(&store, Timestamp::now()).await;
    let handle = channel(&store, webhook(port)).await;
    comes("the first", || (seqs(&asked) == [first]).then_some(())).await;
    handle.stop().await;
}

/// A mail server that takes everything; the texts it took.
async fn mail_server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let mails = Arc::<Mutex<Vec<String>>>::default();
    let taken = Arc::clone(&mails);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let (mut answer, mut text) = ("220 ready", None::<String>);
            loop {
                if !answer.is_empty() {
                    let line = format!("{answer}\r\n");
                    stream.write_all(line.as_bytes()).await.expect("written");
                }
                let mut line = String::new();
                if stream.read_line(&mut line).await.expect("a line") == 0 {
                    break;
                }
                answer = match (&mut text, line.trim_end()) {
                    (Some(whole), ".") => {
                        taken.lock().expect("whole").push(std::mem::take(whole));
                        text = None;
                        "250 taken"
                    }
                    (Some(whole), _) => {
                        whole.push_str(&line);
                        ""
                    }
                    (None, "DATA") => {
                        text = Some(String::new());
                        "354 go on"
                    }
                    (None, _) => "250 yes",
                };
            }
        }
    });
    (port, mails)
}

#[tokio::test]
async fn a_mail_has_what_came_while_it_was_gathered() {
    let (store, (port, mails)) = (journal(), mail_server().await);
    let every = Duration::from_secs(60);
    let mail = Mail {
        ca_file: None,
        cc: Vec::new(),
        every,
        from: "gate@example.org".to_owned(),
        host: "127.0.0.1".to_owned(),
        login: None,
        port,
        subject: Template::new("{count} events").expect("a template"),
        tls: MailTls::Off,
        to: vec!["ann@example.org".to_owned()],
    };
    let handle = channel(&store, Target::Mail(mail)).await;
    let cursor = store.cursor("notify-one");
    // the first one ends its wait soon; the journal has more beside what is chosen than one page
    let first = happens(&store, Timestamp::now() - (every - Duration::from_secs(5))).await;
    for _ in 0..600 {
        let text = "clock".to_owned();
        let event = Event::Gateway(GatewayEvent::JournalFault { text, up: true });
        let at = Timestamp::now();
        store
            .append(Envelope {
                at,
                event,
                ring: None,
                simulated: false,
            })
            .expect("room");
    }
    let second = happens(&store, Timestamp::now()).await;
    comes("the mail", || (cursor.get().0 >= second).then_some(())).await;
    let mails = mails.lock().expect("whole").clone();
    assert_eq!(mails.len(), 1, "{mails:?}");
    for seq in [first, second] {
        assert!(mails[0].contains(&format!("#{seq}")), "{seq}: {mails:?}");
    }
    assert!(mails[0].contains("Subject: 2 events"), "{mails:?}");
    handle.stop().await;
}

#[tokio::test]
async fn what_a_server_never_takes_is_left_out_and_what_it_takes_later_is_told_again() {
    let refusals = [
        "HTTP/1.1 422 Unprocessable Content\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
    ];
    let (store, (port, asked)) = (journal(), server(&refusals).await);
    happens(&store, Timestamp::now()).await;
    let handle = channel(&store, webhook(port)).await;
    let cursor = store.cursor("notify-one");
    comes("the beginning", || (cursor.get().0 == 1).then_some(())).await;
    let mut status = handle.status();
    let first = happens(&store, Timestamp::now()).await;
    let second = happens(&store, Timestamp::now()).await;
    status
        .wait_for(|faults| faults.get("one").is_some_and(|text| text.contains("503")))
        .await
        .expect("runs");
    comes("all", || {
        (seqs(&asked) == [first, second, second, second]).then_some(())
    })
    .await;
    status.wait_for(BTreeMap::is_empty).await.expect("runs");
    handle.stop().await;
}

#[tokio::test]
async fn a_server_that_closes_after_each_answer_catches_up_without_a_pause() {
    for (last, then) in [
        ("HTTP/1.0 200 OK\r\n\r\nthanks", Then::Closes),
        (
            "HTTP/1.1 200 OK\r\nconnection: keep-me, Close\r\ncontent-length: 0\r\n\r\n",
            Then::Closes,
        ),
        (TAKEN, Then::ClosesUnsaid),
    ] {
        let (store, (port, asked)) = (journal(), server_that(&[], last, then).await);
        happens(&store, Timestamp::now()).await;
        let handle = channel(&store, webhook(port)).await;
        let cursor = store.cursor("notify-one");
        comes("the beginning", || (cursor.get().0 == 1).then_some(())).await;
        let mut told = handle.status();
        told.mark_unchanged();
        let mut wanted = Vec::new();
        for _ in 0..40 {
            wanted.push(happens(&store, Timestamp::now()).await);
        }
        comes("all of them", || (seqs(&asked) == wanted).then_some(())).await;
        comes("the end", || {
            (Some(&cursor.get().0) == wanted.last()).then_some(())
        })
        .await;
        // with a fault there would be a pause, and forty of them are minutes
        assert!(
            !told.has_changed().expect("runs"),
            "a fault was told after {last:?}"
        );
        handle.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_takes_one_at_a_time_is_not_given_up_for_longer_and_longer() {
    let taken = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let busy = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    let answers = [
        taken, busy, taken, busy, taken, busy, taken, busy, taken, busy, taken,
    ];
    let (store, (port, asked)) = (journal(), server(&answers).await);
    happens(&store, Timestamp::now()).await;
    let handle = channel(&store, webhook(port)).await;
    let cursor = store.cursor("notify-one");
    comes("the beginning", || (cursor.get().0 == 1).then_some(())).await;
    let mut wanted = Vec::new();
    for _ in 0..6 {
        wanted.push(happens(&store, Timestamp::now()).await);
    }
    // five pauses of the first length; doubled each time they were 31 s together, more than is waited for
    comes("all of them", || (cursor.get().0 == wanted[5]).then_some(())).await;
    let mut told = seqs(&asked);
    told.dedup();
    assert_eq!(told, wanted);
    handle.stop().await;
}

#[tokio::test]
async fn a_bot_waits_as_long_as_it_is_told_and_its_token_is_in_no_fault() {
    let body =
        r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":1}}"#;
    let busy = format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (store, (port, asked)) = (journal(), server(&[&busy]).await);
    happens(&store, Timestamp::now()).await;
    let bot = Telegram {
        api: url(port, "/"),
        ca_file: None,
        chat: "-100".to_owned(),
        token: Secret::new("1:SECRET"),
    };
    let handle = channel(&store, Target::Telegram(bot)).await;
    let cursor = store.cursor("notify-one");
    comes("the beginning", || (cursor.get().0 == 1).then_some(())).await;
    let mut status = handle.status();
    let seq = happens(&store, Timestamp::now()).await;
    let faults = status
        .wait_for(|faults| !faults.is_empty())
        .await
        .expect("runs")
        .clone();
    assert!(
        faults["one"].contains("429") && !faults["one"].contains("SECRET"),
        "{faults:?}"
    );
    comes("the end", || (cursor.get().0 == seq).then_some(())).await;
    let asked = asked.lock().expect("whole").clone();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].0, "/bot1:secret/sendmessage");
    let message: serde_json::Value = serde_json::from_str(&asked[1].2).expect("JSON");
    assert_eq!(message["chat_id"], "-100");
    let text = message["text"].as_str().expect("a text");
    assert!(
        text.starts_with("Lilas\n") && text.ends_with("door.opened front #2"),
        "{text}"
    );
    handle.stop().await;
}
