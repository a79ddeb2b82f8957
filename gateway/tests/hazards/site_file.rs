//! The site file over the API: what is on trial is in force and not in the file; whatever ends it without a confirmation
//! brings back what was before, and exits open all along.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::house::{House, STRIKE, free_port};

const PATIENCE: Duration = Duration::from_secs(30);
const TRIAL: &str = "/api/v1/config/trial";
const CHECK: &str = "/api/v1/config/check";
const CONFIG: &str = "/api/v1/config";

const PASSWORD: &str = "a long enough pass phrase";

/// An administrator at the API.
struct Warden {
    cookie: String,
    port: u16,
}

struct Answer {
    bytes: Vec<u8>,
    etag: String,
    status: u16,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }
}

fn house() -> (House, Warden) {
    let port = free_port();
    let house =
        House::start_with(|_| format!("\n# the page\n[http]\nlisten = \"127.0.0.1:{port}\" # here\n"));
    let line = "setup code for the page, valid once and for 24 hours: ";
    house.wait_for(line, 1);
    let story = house.story();
    let code = story
        .split(line)
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    let body = json!({ "code": code, "user": "warden", "password": PASSWORD });
    let mut warden = Warden {
        cookie: String::new(),
        port,
    };
    warden.enter("/api/v1/setup", &body);
    (house, warden)
}

impl Warden {
    fn ask(&self, method: &str, path: &str, lines: &[&str], body: Option<(&str, &str)>) -> Answer {
        let end = Instant::now() + PATIENCE;
        // the page may be starting anew
        let mut stream = loop {
            match TcpStream::connect(("127.0.0.1", self.port)) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let port = self.port;
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\norigin: http://127.0.0.1:{port}\r\nconnection: close\r\n"
        );
        if !self.cookie.is_empty() {
            text += &format!("cookie: {}\r\n", self.cookie);
        }
        for line in lines {
            text += &format!("{line}\r\n");
        }
        let (kind, body) = body.unwrap_or(("application/json", ""));
        text += &format!(
            "content-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let end = answer
            .windows(4)
            .position(|end| end == b"\r\n\r\n")
            .expect("a head");
        let bytes = answer.split_off(end + 4);
        let head = String::from_utf8_lossy(&answer[..end]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.map_or_else(String::new, |v| {
                v.split(';').next().unwrap_or_default().trim().to_owned()
            })
        };
        let cookie = header("set-cookie:");
        Answer {
            etag: if cookie.is_empty() {
                header("etag:")
            } else {
                cookie
            },
            status: head
                .split(' ')
                .nth(1)
                .and_then(|s| s.parse().ok())
                .expect("a status"),
            text,
            bytes,
        }
    }

    fn enter(&mut self, path: &str, body: &Value) {
        let entered = self.ask("POST", path, &[], Some(("application/json", &body.to_string())));
        assert_eq!(entered.status, 200, "{}", entered.text);
        self.cookie = entered.etag;
    }

    /// After a restart, which ends every session.
    fn enter_again(&mut self) {
        self.cookie.clear();
        self.enter(
            "/api/v1/login",
            &json!({ "user": "warden", "password": PASSWORD }),
        );
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], None)
    }

    fn post(&self, path: &str) -> Answer {
        self.ask("POST", path, &[], None)
    }

    fn edit(&self, seconds: u16, path: &str, value: &Value) -> Answer {
        let body = json!({ "changes": [{ "path": path, "value": value }] }).to_string();
        let tag = format!("if-match: {}", self.get(CONFIG).etag);
        let to = format!("{CONFIG}?confirm-seconds={seconds}");
        self.ask("PATCH", &to, &[&tag], Some(("application/json", &body)))
    }

    fn wait(&self, house: &House, state: &str) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let trial = self.get(TRIAL);
            if trial.status == 200 && trial.json()["state"] == state {
                return trial.json();
            }
            assert!(
                Instant::now() < end,
                "{} is not {state}\n{}",
                trial.text,
                house.story()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn journal(&self, kind: &str) -> usize {
        let page = self.get(&format!("/api/v1/journal?kind={kind}")).json();
        page["records"].as_array().expect("records").len()
    }
}

/// Opens, and tells how long the relay was on.
fn pulse(house: &mut House) -> Duration {
    let on = house.open_by_exit();
    house.rest() - on
}

#[test]
fn what_nobody_confirms_goes_back_by_itself_and_was_never_in_the_file() {
    let (mut house, warden) = house();
    let before = house.text();
    assert_eq!(warden.get(TRIAL).status, 404);
    let tried = warden.edit(10, "doors.front.strike-ms", &json!(4000));
    assert_eq!(tried.status, 202, "{}", tried.text);
    let plan = tried.json()["plan"].clone();
    assert_eq!(plan[0]["component"], "doors.front", "{plan}");
    assert_eq!(plan[0]["effect"], "live", "{plan}");
    let trial = warden.wait(&house, "running");
    assert!(trial["seconds_left"].as_u64().is_some_and(|s| s <= 10), "{trial}");
    let second = warden.edit(10, "doors.front.strike-ms", &json!(5000));
    assert_eq!((second.status, second.reason().as_str()), (409, "trial"));
    assert!(
        pulse(&mut house) >= Duration::from_millis(3900),
        "{}",
        house.story()
    );
    assert_eq!(house.text(), before);
    let trial = warden.wait(&house, "rolled-back");
    assert_eq!(trial["text"], "nobody has confirmed it in time");
    let body = json!({ "changes": [{ "path": "doors.front.strike-ms", "value": 3000 }] }).to_string();
    let checked = warden.ask("POST", CHECK, &[], Some(("application/json", &body)));
    assert_eq!(
        checked.json()["plan"],
        json!([]),
        "what is in force is what the file says"
    );
    pulse(&mut house);
    assert_eq!(house.text(), before);
    assert_eq!(
        ["tried", "rolled-back", "confirmed"].map(|k| warden.journal(&format!("user.config-{k}"))),
        [1, 1, 0]
    );
    assert_eq!(warden.post("/api/v1/config/confirm").status, 404);
    assert!(house.stop().success(), "{}", house.story());
}

#[test]
fn a_proposal_says_for_whom_it_alters_what_and_who_goes_by_a_name_that_it_takes_away() {
    let (mut house, warden) = house();
    let json = "application/json";
    let edit = |path: &str, changes: &Value, lines: &[&str], method: &str| {
        let body = json!({ "changes": changes }).to_string();
        warden.ask(method, path, lines, Some((json, &body)))
    };
    let add = json!([{ "path": "groups.staff", "value": { "doors": ["front"] } }]);
    let checked = edit(CHECK, &add, &[], "POST").json();
    assert_eq!(
        checked["altered"]["rights"],
        json!([]),
        "nobody is of it: {checked}"
    );
    assert_eq!(
        checked["altered"]["parts"],
        json!(["groups.staff: is new"]),
        "{checked}"
    );
    let tag = format!("if-match: {}", warden.get(CONFIG).etag);
    assert_eq!(edit(CONFIG, &add, &[&tag], "PATCH").status, 202);
    warden.wait(&house, "running");
    assert_eq!(warden.post("/api/v1/config/confirm").status, 200);

    let bob = json!({ "person": "bob", "groups": "staff", "kind": "card", "value": "77,00077" });
    let made = warden.ask("POST", "/api/v1/people", &[], Some((json, &bob.to_string())));
    assert_eq!(made.status, 200, "{}", made.text);
    let away = json!([{ "path": "groups.staff", "value": null }]);
    let checked = edit(CHECK, &away, &[], "POST").json();
    let right = &checked["altered"]["rights"][0];
    assert_eq!(
        (&right["who"], &right["door"], &right["after"]),
        (&json!("person:bob"), &json!("front"), &Value::Null),
        "{checked}"
    );
    assert!(right["before"].is_string(), "{checked}");
    let missing = json!([{ "name": "groups.staff", "count": 1, "who": ["bob"] }]);
    assert_eq!(checked["altered"]["missing"], missing, "{checked}");
    // on trial, it says the same, and health as long as it is in force
    let tag = format!("if-match: {}", warden.get(CONFIG).etag);
    assert_eq!(edit(CONFIG, &away, &[&tag], "PATCH").status, 202);
    warden.wait(&house, "running");
    let end = Instant::now() + PATIENCE;
    let told = |end: Instant| loop {
        let trial = warden.get(TRIAL).json();
        if trial["altered"].is_object() {
            return trial;
        }
        assert!(Instant::now() < end, "{trial}");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(told(end)["altered"]["missing"], missing);
    let stands = |wanted: bool| loop {
        let health = warden.get("/api/v1/health").text;
        if health.contains("groups.staff is not in the site file, and 1 of the records names it") == wanted {
            return;
        }
        assert!(Instant::now() < end, "{wanted}: {health}");
        std::thread::sleep(Duration::from_millis(20));
    };
    stands(true);
    assert_eq!(warden.post("/api/v1/config/rollback").status, 202);
    stands(false);
    assert!(house.stop().success(), "{}", house.story());
}

#[test]
fn what_is_confirmed_is_the_site_file_with_its_comments_and_secrets_and_outlives_a_crash() {
    let (mut house, warden) = house();
    let before = house.text();
    let shown = warden.get(CONFIG);
    assert!(!shown.text.contains("26:123"), "{}", shown.text);
    assert!(
        shown.text.contains("digits = \"<kept: codes.nine.digits>\""),
        "{}",
        shown.text
    );
    let change = |text: &str| {
        text.replace("# here", "# here, \"still\"")
            .replace("strike-ms = 3000", "strike-ms = 3500")
    };
    let tag = format!("if-match: {}", shown.etag);
    let toml = |text: &str| {
        let body = Some(("application/toml", text));
        warden.ask("PUT", CONFIG, &[&tag], body)
    };
    let tried = toml(&change(&shown.text));
    assert_eq!(tried.status, 202, "{}", tried.text);
    let diff = tried.json()["diff"].as_str().unwrap_or_default().to_owned();
    assert!(diff.contains("-strike-ms = 3000\n+strike-ms = 3500"), "{diff}");
    warden.wait(&house, "running");
    assert_eq!(house.text(), before);
    let kept = warden.post("/api/v1/config/confirm");
    assert_eq!(
        (kept.status, kept.json()["state"].as_str()),
        (200, Some("confirmed"))
    );
    assert_eq!(house.text(), change(&before));
    house.wait("user.config-confirmed on record", || {
        warden.journal("user.config-confirmed") == 1
    });
    assert_eq!(toml(&shown.text).status, 412, "it was changed meanwhile");
    house.signal(Signal::KILL);
    house.start_again();
    assert_eq!(house.text(), change(&before));
    house.watch_anew();
    assert!(
        pulse(&mut house) >= STRIKE + Duration::from_millis(400),
        "{}",
        house.story()
    );
}

#[test]
fn a_crash_on_trial_brings_back_what_was_before() {
    let (mut house, mut warden) = house();
    let before = house.text();
    let guard = house.guard();
    let tried = warden.edit(600, "outputs.front-strike.max-on-ms", &json!(9000));
    assert_eq!(tried.status, 202, "{}", tried.text);
    warden.wait(&house, "running");
    assert_ne!(house.guard(), guard, "outputs changed");
    house.press_until_open();
    house.signal(Signal::KILL);
    house.start_again();
    warden.enter_again();
    let trial = warden.wait(&house, "rolled-back");
    assert_eq!(
        trial["text"],
        "the gateway was started anew before it was confirmed"
    );
    assert_eq!(house.text(), before);
    house.wait("user.config-rolled-back on record", || {
        warden.journal("user.config-rolled-back") == 1
    });
    house.watch_anew();
    house.press_until_open();
    // said once
    assert!(house.stop().success(), "{}", house.story());
    house.start_again();
    warden.enter_again();
    assert_eq!(warden.get(TRIAL).status, 404);
}

#[test]
fn a_trial_that_moves_outputs_waits_for_the_pulse_that_runs_and_gives_way_to_a_reload() {
    let (mut house, warden) = house();
    let on = house.open_by_exit();
    let tried = warden.edit(600, "outputs.front-strike.max-on-ms", &json!(9000));
    assert_eq!(tried.status, 202, "{}", tried.text);
    let off = house.rest();
    assert!(
        off - on >= STRIKE - Duration::from_millis(100),
        "{}",
        house.story()
    );
    warden.wait(&house, "running");
    house.press_until_open();
    // while a pulse runs, too: what was on trial goes first
    house.rewrite("digits = \"9\"", "digits = \"8\"");
    house.reload("the new site file is in force");
    let trial = warden.wait(&house, "rolled-back");
    assert_eq!(trial["text"], "the site file is read again");
    house.press_until_open();
    let text = house.text();
    assert!(
        text.contains("max-on-ms = 10000") && text.contains("digits = \"8\""),
        "{text}"
    );
}

#[test]
fn a_trial_whose_relay_guard_does_not_come_up_is_told_so_and_goes_back() {
    let (mut house, warden) = house();
    // who has this keeps every guard out but the one that has it
    let lock = std::fs::File::options()
        .write(true)
        .open(house.path("run/guard.sock.lock"))
        .expect("the guard's lock");
    let waits = std::thread::spawn(move || {
        lock.lock().expect("the guard before gave it up");
        lock
    });
    let tried = warden.edit(600, "outputs.front-strike.max-on-ms", &json!(9000));
    assert_eq!(tried.status, 202, "{}", tried.text);
    let lock = waits.join().expect("it is taken");
    let trial = warden.wait(&house, "rolled-back");
    let text = trial["text"].as_str().unwrap_or_default();
    assert!(
        text.contains("the relay guard does not run with its outputs"),
        "{text}"
    );
    let confirmed = warden.post("/api/v1/config/confirm");
    assert_eq!(confirmed.status, 404, "{}", confirmed.text);
    drop(lock);
    house.press_until_open();
    assert!(house.text().contains("max-on-ms = 10000"));
    house.wait("user.config-rolled-back on record", || {
        warden.journal("user.config-rolled-back") == 1
    });
}

#[test]
fn what_has_faults_or_needs_a_start_changes_nothing_and_is_told() {
    let (mut house, warden) = house();
    let before = house.text();
    let faulty = warden.edit(60, "doors.front.strike-ms", &json!(1));
    assert_eq!((faulty.status, faulty.reason().as_str()), (400, "faults"));
    let fault = faulty.json()["faults"][0].clone();
    assert_eq!(fault["path"], "doors.front.strike-ms", "{fault}");
    assert!(fault["line"].as_u64().is_some_and(|line| line > 10), "{fault}");
    let process = warden.edit(60, "site.state-dir", &json!("/elsewhere"));
    assert_eq!(
        (process.status, process.reason().as_str()),
        (409, "process"),
        "{}",
        process.text
    );
    let same = warden.edit(60, "doors.front.strike-ms", &json!(3000));
    assert_eq!((same.status, same.reason().as_str()), (409, "unchanged"));
    let body = json!({ "changes": [{ "path": "codes.nine.digits", "value": "77" }] }).to_string();
    let checked = warden.ask("POST", CHECK, &[], Some(("application/json", &body)));
    let told = checked.json();
    assert_eq!(
        (checked.status, told["good"].as_bool()),
        (200, Some(true)),
        "{told}"
    );
    let diff = told["diff"].as_str().unwrap_or_default();
    assert!(
        diff.contains("+digits = \"<new: codes.nine.digits>\"") && !diff.contains("77"),
        "{diff}"
    );
    let broken = warden.ask("POST", CHECK, &[], Some(("application/toml", "[doors")));
    assert_eq!(broken.json()["good"], false, "{}", broken.text);
    assert_eq!(warden.get(TRIAL).status, 404);
    assert_eq!(house.text(), before);
    assert_eq!(warden.journal("user.config-tried"), 0);
    // a trial that is taken back by hand
    assert_eq!(warden.edit(60, "codes.nine.digits", &json!("77")).status, 202);
    warden.wait(&house, "running");
    assert_eq!(warden.post("/api/v1/config/rollback").status, 202);
    let trial = warden.wait(&house, "rolled-back");
    assert_eq!(trial["text"], "it was rolled back by hand, by warden");
    assert!(house.stop().success(), "{}", house.story());
}

#[test]
fn a_backup_over_the_api_is_one_that_the_program_reads_and_has_what_the_api_hides() {
    let (house, warden) = house();
    let ask = |passphrase: &str| {
        let body = json!({ "passphrase": passphrase }).to_string();
        warden.ask("POST", "/api/v1/backup", &[], Some(("application/json", &body)))
    };
    let short = ask("too short");
    assert_eq!(
        (short.status, short.reason().as_str()),
        (400, "passphrase"),
        "{}",
        short.text
    );
    let made = ask("correct horse battery");
    assert_eq!(made.status, 200, "{}", made.text);
    let (file, pass) = (house.path("api.backup"), house.path("pass"));
    std::fs::write(&file, &made.bytes).expect("written");
    std::fs::write(&pass, "correct horse battery\n").expect("written");
    std::fs::set_permissions(&pass, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    let shown = std::process::Command::new(env!("CARGO_BIN_EXE_doorline"))
        .args(["backup", "show", "--all", "--passphrase-file"])
        .args([&pass, &file])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&shown.stdout);
    assert_eq!(
        shown.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&shown.stderr)
    );
    for part in ["site file: ", "people.key", "users of the page: 1\n  warden"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let told = warden.get("/api/v1/journal?kind=user.backup-made");
    assert!(told.text.contains("\"by\":\"warden\""), "{}", told.text);
}
