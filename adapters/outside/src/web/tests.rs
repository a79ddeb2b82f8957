use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// What a device was asked: the request without its end.
type Asked = Arc<Mutex<Vec<String>>>;

/// How it answers one request.
#[derive(Clone, Copy)]
enum Says {
    /// The head is its whole answer.
    This(&'static str),
    /// Nothing, ever.
    Nothing,
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";
const IS_ON: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"output\":true}";
const IS_OFF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"output\":false}";

/// A device that answers as told, one connection after the other; the last answer is repeated.
async fn device(says: Vec<Says>) -> (u16, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let asked = Asked::default();
    let told = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut kept = vec![];
        for n in 0.. {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            loop {
                let length = stream.read(&mut buffer).await.unwrap_or(0);
                request.extend_from_slice(&buffer[..length]);
                let text = String::from_utf8_lossy(&request);
                let body = text.split_once("\r\n\r\n").map(|(head, body)| {
                    let long = head.lines().find_map(|line| {
                        line.to_lowercase()
                            .strip_prefix("content-length: ")
                            .map(str::to_owned)
                    });
                    (
                        long.and_then(|long| long.parse::<usize>().ok()).unwrap_or(0),
                        body.len(),
                    )
                });
                if length == 0 || body.is_some_and(|(wanted, got)| got >= wanted) {
                    break;
                }
            }
            if request.is_empty() {
                // only looked whether somebody is there
                continue;
            }
            told.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(String::from_utf8(request).expect("text"));
            match says[n.min(says.len() - 1)] {
                Says::This(text) => {
                    let _ = stream.write_all(text.as_bytes()).await;
                }
                Says::Nothing => kept.push(stream),
            }
        }
    });
    (port, asked)
}

fn order(path: &str) -> WebOrder {
    WebOrder {
        body: None,
        path: path.to_owned(),
    }
}

fn params(port: u16) -> WebRelayParams {
    WebRelayParams {
        ca_file: None,
        host: "127.0.0.1".to_owned(),
        login: None,
        off: order("/rpc/Switch.Set?id=0&on=false"),
        on: order("/rpc/Switch.Set?id=0&on=true&toggle_after={s}"),
        port,
        password: None,
        self_timed: true,
        state: None,
        timeout: Duration::from_millis(300),
        tls: false,
    }
}

fn with_state(port: u16) -> WebRelayParams {
    let reading = Reading {
        field: Some("/output".to_owned()),
        on: vec!["true".to_owned()],
        off: vec!["false".to_owned()],
    };
    WebRelayParams {
        state: Some(("/rpc/Switch.GetStatus?id=0".to_owned(), reading)),
        ..params(port)
    }
}

fn lines(asked: &Asked) -> Vec<String> {
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    asked
        .iter()
        .map(|request| request.lines().next().unwrap_or_default().to_owned())
        .collect()
}

async fn pulse(relay: &mut WebRelay, ms: u64) -> Result<(), DriverError> {
    let pulse = relay.pulse(0, Duration::from_millis(ms));
    pulse.expect("it ends a pulse by itself").await
}

#[tokio::test]
async fn it_is_written_to_rest_first_and_gets_its_time_with_the_order() {
    let (port, asked) = device(vec![Says::This(GOOD)]).await;
    let mut relay = WebRelay::new(params(port));
    relay.claim(&[0]).await.expect("it answers");
    pulse(&mut relay, 3500).await.expect("it answers");
    assert_eq!(
        lines(&asked),
        [
            "GET /rpc/Switch.Set?id=0&on=false HTTP/1.1",
            "GET /rpc/Switch.Set?id=0&on=true&toggle_after=4 HTTP/1.1",
        ]
    );
    assert_eq!(relay.read_back(0).await.expect("it answered"), None);
}

#[tokio::test]
async fn a_body_is_posted_with_the_login() {
    let (port, asked) = device(vec![Says::This(GOOD)]).await;
    let mut params = params(port);
    params.on.body = Some("{\"on\":true,\"ms\":{ms}}".to_owned());
    params.login = Some((
        "door".to_owned(),
        Password::Known(gateway_core::Secret::new("a pass")),
    ));
    let mut relay = WebRelay::new(params);
    pulse(&mut relay, 3500).await.expect("it answers");
    let request = asked.lock().expect("nobody else")[0].to_lowercase();
    for part in [
        "post /rpc/switch.set?id=0&on=true&toggle_after=4 http/1.1",
        "content-type: application/json",
        // RFC 7617: base64 of "door:a pass"
        "authorization: basic zg9vcjphihbhc3m=",
        "{\"on\":true,\"ms\":3500}",
    ] {
        assert!(request.contains(part), "{part}: {request}");
    }
}

#[tokio::test]
async fn an_order_counts_once_the_device_says_that_it_did_it() {
    let says = [GOOD, IS_OFF, IS_OFF, GOOD, IS_OFF, IS_ON].map(Says::This);
    let (port, asked) = device(says.to_vec()).await;
    let mut relay = WebRelay::new(with_state(port));
    relay.claim(&[0]).await.expect("at rest");
    assert_eq!(relay.read_back(0).await.expect("known"), Some(false));
    pulse(&mut relay, 1000).await.expect("energised in the end");
    assert_eq!(relay.read_back(0).await.expect("known"), Some(true));
    assert_eq!(lines(&asked).len(), 6);
}

#[tokio::test]
async fn a_device_that_does_not_say_so_has_not_opened() {
    let (port, _asked) = device([IS_OFF, GOOD, IS_OFF].map(Says::This).to_vec()).await;
    let mut relay = WebRelay::new(with_state(port));
    let error = pulse(&mut relay, 1000).await.expect_err("it stays at rest");
    assert!(
        error
            .to_string()
            .contains("does not say within 300 ms that it is energised"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_given_up_is_reset_and_asked_for_no_second_time() {
    let (port, asked) = device(vec![Says::Nothing]).await;
    let mut relay = WebRelay::new(params(port));
    let error = pulse(&mut relay, 1000).await.expect_err("it says nothing");
    assert!(
        error.to_string().contains("does not answer within 300 ms"),
        "{error}"
    );
    sleep(Duration::from_millis(100)).await;
    assert_eq!(lines(&asked).len(), 1);
}

#[tokio::test]
async fn one_that_may_still_have_an_order_is_looked_at_each_time() {
    let looks = |says: Vec<Says>, pulsed: bool| async move {
        let (port, asked) = device(says).await;
        let mut relay = WebRelay::new(with_state(port));
        assert_eq!(pulse(&mut relay, 1000).await.is_ok(), pulsed);
        relay.claim(&[0]).await.expect("it is back, and rests");
        let before = lines(&asked).len();
        for _ in 0..3 {
            relay.read_back(0).await.expect("it answers");
        }
        lines(&asked).len() - before
    };
    // asked, told, and it hangs; then it goes on, is written to rest and says that it rests
    let hangs = [
        Says::This(IS_OFF),
        Says::Nothing,
        Says::This(IS_OFF),
        Says::This(GOOD),
        Says::This(IS_OFF),
    ];
    assert_eq!(looks(hangs.to_vec(), false).await, 3, "the order may come yet");
    let good = [IS_OFF, GOOD, IS_ON, GOOD, IS_OFF].map(Says::This);
    assert_eq!(looks(good.to_vec(), true).await, 0, "it was done");
}

#[tokio::test]
async fn what_it_does_late_is_seen_at_the_next_look() {
    let hangs = [Says::This(IS_OFF), Says::Nothing];
    let goes_on = [IS_OFF, GOOD, IS_OFF, IS_OFF, IS_ON].map(Says::This);
    let (port, _asked) = device([&hangs[..], &goes_on[..]].concat()).await;
    let mut relay = WebRelay::new(with_state(port));
    pulse(&mut relay, 1000).await.expect_err("it hangs");
    relay.claim(&[0]).await.expect("it is back, and rests");
    assert_eq!(relay.read_back(0).await.expect("it answers"), Some(false));
    assert_eq!(relay.read_back(0).await.expect("it answers"), Some(true));
}

#[tokio::test]
async fn what_it_did_late_before_it_answered_again_is_told_once() {
    let hangs = [Says::This(IS_OFF), Says::Nothing];
    let did = [IS_ON, GOOD, IS_OFF].map(Says::This);
    let (port, _asked) = device([&hangs[..], &did[..]].concat()).await;
    let mut relay = WebRelay::new(with_state(port));
    pulse(&mut relay, 1000).await.expect_err("it hangs");
    relay.claim(&[0]).await.expect("it is back, and rests");
    assert_eq!(relay.read_back(0).await.expect("it answers"), Some(true));
    assert_eq!(relay.read_back(0).await.expect("it answers"), Some(false));
}

#[tokio::test]
async fn a_password_stands_in_a_request_as_that_can_hold_it_and_in_no_message() {
    let (port, asked) = device(vec![Says::This(GOOD)]).await;
    let mut params = params(port);
    params.password = Some(Password::Known(gateway_core::Secret::new("a \"b&c")));
    params.on = order("/cm?user=admin&password={password}&cmnd=Power1%20On");
    params.off = WebOrder {
        body: Some("{\"auth\":\"{password}\"}".to_owned()),
        path: "/off".to_owned(),
    };
    let mut relay = WebRelay::new(params);
    pulse(&mut relay, 1000).await.expect("it answers");
    relay.set(0, false).await.expect("it answers");
    let asked = asked.lock().expect("nobody else").clone();
    let first = asked[0].lines().next();
    assert_eq!(
        first,
        Some("GET /cm?user=admin&password=a%20%22b%26c&cmnd=Power1%20On HTTP/1.1")
    );
    assert!(asked[1].ends_with("{\"auth\":\"a \\\"b&c\"}"), "{}", asked[1]);
    assert!(!relay.device().contains("b&c") && !format!("{:?}", relay.params).contains("b&c"));
}

#[tokio::test]
async fn a_device_that_hangs_is_told_nothing_that_it_could_do_later() {
    let (port, asked) = device(vec![Says::Nothing]).await;
    let mut relay = WebRelay::new(with_state(port));
    pulse(&mut relay, 1000).await.expect_err("it says nothing");
    sleep(Duration::from_millis(100)).await;
    assert_eq!(lines(&asked), ["GET /rpc/Switch.GetStatus?id=0 HTTP/1.1"]);
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    for (answer, words) in [
        (
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n",
            "set user and password-file",
        ),
        (
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest qop=\"auth\"\r\nContent-Length: 0\r\n\r\n",
            "another kind than Basic",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
            "elsewhere (/login)",
        ),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "404 Not Found",
        ),
        ("220 mail.example ESMTP\r\n", "broke off"),
    ] {
        let (port, _asked) = device(vec![Says::This(answer)]).await;
        let mut relay = WebRelay::new(params(port));
        let error = relay.claim(&[0]).await.expect_err("refused").to_string();
        assert!(error.contains(words), "{words}: {error}");
        assert!(!error.contains("Switch.Set"), "a path may be secret: {error}");
    }
}

#[test]
fn what_a_device_says_is_shown_in_part_however_long_it_is() {
    let mut headers = HeaderMap::new();
    let long = format!("/{}", "x".repeat(50_000));
    headers.insert(header::LOCATION, long.parse().expect("a value"));
    let text = refused(StatusCode::FOUND, &headers, false);
    assert!(text.contains("(/xxx") && text.len() < 300, "{}", text.len());
}

#[tokio::test]
async fn a_device_that_is_away_is_a_fault_also_where_it_says_nothing_of_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let mut relay = WebRelay::new(params(port));
    let error = relay.read_back(0).await.expect_err("nobody is there");
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}
