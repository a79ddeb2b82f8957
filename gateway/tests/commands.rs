//! The program as scripts see it: exit codes, what goes to which stream, and output that nobody takes.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_doorline");
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn doorline(args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).stdin(Stdio::null()).env("NO_COLOR", "1");
    command
}

fn output(args: &[&str]) -> Output {
    doorline(args).output().expect("it runs")
}

fn said(output: &Output) -> String {
    format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The smallest site with its folders here, and a loopback address of its own: its ports are free.
fn site(dir: &Path) -> String {
    static SITES: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let bind = format!("127.{high}.{low}.{}", SITES.fetch_add(1, Ordering::Relaxed));
    let text = include_str!("../../config/examples/minimal.toml");
    let dir = dir.display();
    let folders =
        format!("address = \"1 Example Street\"\nstate-dir = \"{dir}/state\"\nrun-dir = \"{dir}/run\"");
    let text = text.replace("address = \"1 Example Street\"", &folders);
    format!("{text}\n[sip]\nbind = \"{bind}\"\n")
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

/// A gateway that runs until it is dropped.
struct Running(Child);

impl Running {
    fn start(file: &str, log: &Path) -> Self {
        let stderr = File::create(log).expect("a log");
        let child = doorline(&["run", "--config", file])
            .env("DOORLINE_LOG", "info")
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("started");
        let running = Self(child);
        wait_for(log, "ready: every door can be opened");
        running
    }

    fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        assert!(self.0.wait().expect("it ends").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for(log: &Path, text: &str) {
    let end = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(log).unwrap_or_default().contains(text) {
        assert!(
            Instant::now() < end,
            "waited in vain for {text}: {}",
            std::fs::read_to_string(log).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn output_that_nobody_reads_ends_quietly_and_a_full_disk_is_told() {
    for args in [
        &["version"][..],
        &["completions", "bash"],
        &["man"],
        &["check", "--schema"],
        &["check", "--reference"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let gone = doorline(args)
            .stdout(OwnedFd::from(writer))
            .output()
            .expect("it runs");
        assert_eq!(gone.status.code(), Some(0), "{args:?} {}", said(&gone));
        assert!(gone.stderr.is_empty(), "{args:?} {}", said(&gone));

        let full = File::options().write(true).open("/dev/full").expect("Linux");
        let full = doorline(args).stdout(full).output().expect("it runs");
        assert_eq!(full.status.code(), Some(1), "{args:?} {}", said(&full));
        assert!(
            said(&full).contains("standard output cannot be written"),
            "{args:?} {}",
            said(&full)
        );
    }
}

#[test]
fn what_is_in_use_is_exit_code_4() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = site(dir.path());
    let file = write(dir.path(), "site.toml", &text);
    let log = dir.path().join("log");
    let running = Running::start(&file, &log);
    // the same state folder; the same run folder with another state folder; the journal's index
    let other = write(dir.path(), "other.toml", &text.replace("/state\"", "/other\""));
    for args in [
        &["run", "--config", &file][..],
        &["run", "--config", &other],
        &["journal", "--config", &file, "rebuild"],
    ] {
        let refused = output(args);
        assert_eq!(refused.status.code(), Some(4), "{args:?} {}", said(&refused));
        assert!(
            !said(&refused).contains("temporarily unavailable"),
            "{args:?} {}",
            said(&refused)
        );
    }
    running.stop();
}

/// A journal of a gateway that ran and stopped.
#[test]
fn a_folder_that_others_may_write_to_is_refused_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt as _;
    for (name, key) in [("run", "run-dir"), ("state", "state-dir")] {
        let dir = tempfile::tempdir().expect("a folder");
        let file = write(dir.path(), "site.toml", &site(dir.path()));
        let folder = dir.path().join(name);
        std::fs::create_dir(&folder).expect("made");
        let allow = |mode| {
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).expect("allowed");
        };
        allow(0o777);
        let refused = output(&["run", "--config", &file]);
        let text = said(&refused);
        assert_eq!(refused.status.code(), Some(1), "{text}");
        let remedy = format!(
            "run `chmod 700 {}`, or set {key} to another folder",
            folder.display()
        );
        assert!(text.contains("has mode 777") && text.contains(&remedy), "{text}");
        assert!(!text.contains("panicked"), "{text}");
        // what it says helps
        allow(0o700);
        let log = dir.path().join("log");
        let running = Running::start(&file, &log);
        wait_for(&log, "running site=");
        running.stop();
    }
    // a file where the run folder has to be; in place of the state folder it costs everything but the exits
    let dir = tempfile::tempdir().expect("a folder");
    let file = write(dir.path(), "site.toml", &site(dir.path()));
    let folder = write(dir.path(), "run", "");
    let refused = output(&["run", "--config", &file]);
    let text = said(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    let what = format!("{folder} cannot be made or is no folder; set run-dir");
    assert!(text.contains(&what) && !text.contains("panicked"), "{text}");
}

fn journal(dir: &Path) -> (String, std::path::PathBuf) {
    let file = write(dir, "site.toml", &site(dir));
    Running::start(&file, &dir.join("log")).stop();
    (file, dir.join("state/journal/events"))
}

#[test]
fn an_export_of_a_damaged_journal_says_so_and_exits_5() {
    let dir = tempfile::tempdir().expect("a folder");
    let (file, events) = journal(dir.path());
    let export = ["journal", "--config", &file, "export"];
    let whole = output(&export);
    assert_eq!(whole.status.code(), Some(0), "{}", said(&whole));
    assert!(whole.stderr.is_empty(), "{}", said(&whole));
    let mut files = std::fs::read_dir(&events).expect("lists").flatten();
    let segment = files.find(|file| file.path().extension().is_some_and(|e| e == "seg"));
    let segment = segment.expect("a segment").path();
    let mut bytes = std::fs::read(&segment).expect("reads");
    // within the first record: behind the file's header and the record's own
    bytes[128 + 64 + 5] ^= 1;
    std::fs::write(&segment, bytes).expect("writes");
    let damaged = output(&export);
    assert_eq!(damaged.status.code(), Some(5), "{}", said(&damaged));
    assert!(damaged.stdout.len() < whole.stdout.len());
    let text = String::from_utf8_lossy(&damaged.stderr).into_owned();
    assert!(
        text.contains("DAMAGE") && text.contains("wrong checksum"),
        "{text}"
    );
}

#[test]
fn a_journal_that_is_gone_is_damage_and_a_folder_without_one_is_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let (file, events) = journal(dir.path());
    let verify = ["journal", "--config", &file, "verify"];
    assert_eq!(output(&verify).status.code(), Some(0));
    std::fs::remove_dir_all(events).expect("removed");
    let gone = output(&verify);
    assert_eq!(gone.status.code(), Some(5), "{}", said(&gone));
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).expect("made");
    let none = output(&["journal", "--state", &empty.display().to_string(), "verify"]);
    assert_eq!(none.status.code(), Some(1), "{}", said(&none));
}

#[test]
fn a_missing_password_is_a_fault_to_check_and_doctor_and_costs_a_start_no_door() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = site(dir.path());
    let account = "[accounts.pbx]\ndomain = \"127.0.0.1\"\nuser = \"door\"\ntransport = \"tcp\"\npassword-file = \"pbx.secret\"\n";
    let file = write(dir.path(), "site.toml", &format!("{text}{account}"));
    let refused = format!("{file} has 1 fault");
    let check = output(&["check", &file]);
    assert_eq!(check.status.code(), Some(3), "{}", said(&check));
    assert!(said(&check).contains(&refused), "{}", said(&check));
    let log = dir.path().join("log");
    let running = Running::start(&file, &log);
    let told = std::fs::read_to_string(&log).expect("readable");
    assert!(told.contains("accounts.pbx.password-file"), "{told}");
    running.stop();
    let doctor = output(&["doctor", "--config", &file]);
    assert_eq!(doctor.status.code(), Some(1), "{}", said(&doctor));
    assert!(said(&doctor).contains(&refused), "{}", said(&doctor));
    assert!(!said(&doctor).contains("has no faults"), "{}", said(&doctor));

    let elsewhere = output(&["check", "--elsewhere", &file]);
    assert_eq!(elsewhere.status.code(), Some(0), "{}", said(&elsewhere));
    assert!(
        said(&elsewhere).contains("no faults, 1 warning; 1 door,"),
        "{}",
        said(&elsewhere)
    );
}

#[test]
fn check_names_key_and_line_of_a_file_that_a_part_is_started_with() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = site(dir.path());
    let pair = |name: &str| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let cert = write(dir.path(), &format!("{name}.crt"), &made.cert.pem());
        (
            cert,
            write(
                dir.path(),
                &format!("{name}.key"),
                &made.signing_key.serialize_pem(),
            ),
        )
    };
    let ((cert, key), (_, other)) = (pair("one"), pair("two"));
    let nonsense = write(dir.path(), "nonsense", "nonsense");
    let gone = dir.path().join("gone").display().to_string();
    let http = |cert: &str, key: &str| {
        format!("{text}[http]\ntls = true\ncert-file = {cert:?}\nkey-file = {key:?}\n")
    };
    let sip = |cert: &str, key: &str| {
        format!("{text}tls-port = 5061\ntls-cert-file = {cert:?}\ntls-key-file = {key:?}\n")
    };
    let capture = |file: &str| {
        let table = "[lines.riser.virtual]\n";
        text.replace(table, &format!("{table}capture = {file:?}\n"))
    };
    assert_eq!(
        output(&["check", &write(dir.path(), "site.toml", &http(&cert, &key))])
            .status
            .code(),
        Some(0)
    );
    assert_eq!(
        output(&["check", &write(dir.path(), "site.toml", &sip(&cert, &key))])
            .status
            .code(),
        Some(0)
    );
    for (site, part, missing) in [
        (http(&gone, &key), "cert-file = ", true),
        (http(&cert, &gone), "key-file = ", true),
        (http(&nonsense, &key), "cert-file = ", false),
        (http(&cert, &other), "key-file = ", false),
        (sip(&gone, &key), "tls-cert-file = ", true),
        (sip(&cert, &gone), "tls-key-file = ", true),
        (sip(&cert, &nonsense), "tls-key-file = ", false),
        (capture(&gone), "capture = ", true),
        (capture(&nonsense), "capture = ", false),
    ] {
        let file = write(dir.path(), "site.toml", &site);
        let line = 1 + site
            .lines()
            .position(|line| line.starts_with(part))
            .expect("a line");
        let found = output(&["check", &file]);
        assert_eq!(found.status.code(), Some(3), "{site}\n{}", said(&found));
        let place = format!("{file}:{line}:");
        assert!(said(&found).contains(&place), "{place} in {}", said(&found));
        assert!(
            said(&found).contains(part.trim_end_matches(" = ")),
            "{}",
            said(&found)
        );
        let elsewhere = output(&["check", "--elsewhere", &file]);
        let code = if missing { 0 } else { 3 };
        assert_eq!(
            elsewhere.status.code(),
            Some(code),
            "{site}\n{}",
            said(&elsewhere)
        );
        assert!(said(&elsewhere).contains(&place), "{}", said(&elsewhere));
    }
    // what no start is possible without is named by `run` as well
    let file = write(dir.path(), "site.toml", &capture(&gone));
    let ended = output(&["run", "--config", &file]);
    assert_eq!(ended.status.code(), Some(1), "{}", said(&ended));
    assert!(
        said(&ended).contains("lines.riser.virtual.capture"),
        "{}",
        said(&ended)
    );
}

#[test]
fn a_start_and_a_stop_without_trouble_look_like_none() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = write(dir.path(), "site.toml", &site(dir.path()));
    for n in 0..3 {
        let log = dir.path().join(format!("log-{n}"));
        Running::start(&file, &log).stop();
        let text = std::fs::read_to_string(&log).expect("readable");
        let bad: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("ERROR") || line.contains("in place of the guard"))
            .collect();
        assert!(bad.is_empty(), "{bad:#?}\n{text}");
    }
}

#[test]
fn a_demo_lives_in_any_folder_and_leaves_none_of_its_own() {
    let dir = tempfile::tempdir().expect("a folder");
    let odd = dir.path().join("a\"b\\c");
    std::fs::create_dir(&odd).expect("made");
    let temporary = dir.path().join("tmp");
    std::fs::create_dir(&temporary).expect("made");
    // a port that is taken: the start fails late, when guard and journal run
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let failed = doorline(&["demo", "--once", "--port", &port])
        .env("TMPDIR", &temporary)
        .output()
        .expect("it runs");
    assert_eq!(failed.status.code(), Some(4), "{}", said(&failed));
    let left: Vec<_> = std::fs::read_dir(&temporary).expect("lists").flatten().collect();
    assert!(left.is_empty(), "{left:?} {}", said(&failed));
    let failed = output(&[
        "demo",
        "--once",
        "--port",
        &port,
        "--state",
        &odd.display().to_string(),
    ]);
    // far enough: the site was read and its state folder made
    assert_eq!(failed.status.code(), Some(4), "{}", said(&failed));
    assert!(odd.join("state/journal").is_dir(), "{}", said(&failed));
}

#[test]
fn the_demo_plays_its_story_to_the_end() {
    let dir = tempfile::tempdir().expect("a folder");
    // by its own choice of a port, and by ours
    for more in [&[][..], &["--port", "0"]] {
        let played = doorline(&[&["demo", "--once"], more].concat())
            .env("TMPDIR", dir.path())
            .output()
            .expect("it runs");
        assert!(played.status.success(), "{more:?} {}", said(&played));
    }
}

#[test]
fn rules_are_tried_out_on_an_event_without_a_gateway() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../config/examples/scenarios/server-room/site.toml"
    );
    let tried = |event: &str, more: &[&str]| {
        let args = ["rules", "try", "--config", file, "--event", event];
        let out = output(&[&args, more].concat());
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        (out.status.code(), text, said(&out))
    };
    let card = r#"{"kind":"door.denied","source":"server-room","factor":"card","reason":"the card does not open this door","subject":"person:alice"}"#;
    let acts =
        "card acts:\n  notify erp: person:alice asks for the server room\n  call server-room/confirm\n";
    let (code, text, all) = tried(card, &["--group", "server-staff"]);
    assert_eq!((code, text.as_str()), (Some(0), acts), "{all}");
    let (code, text, all) = tried(card, &[]);
    let no = "card does not act: person:alice is in none of the groups\n";
    assert_eq!((code, text.as_str()), (Some(6), no), "{all}");
    let (code, text, all) = tried(r#"{"kind":"door.opened","source":"server-room"}"#, &[]);
    let none = "no rule looks at door.opened of server-room\n";
    assert_eq!((code, text.as_str()), (Some(6), none), "{all}");
    // bad input names what was found and what is allowed
    for (event, more, names) in [
        ("door", &[][..], "--event is not JSON"),
        ("{}", &[], "no \"kind\""),
        (r#"{"kind":"door.deny"}"#, &[], "door. with"),
        (r#"{"kind":"dor.denied"}"#, &[], "door"),
        (card, &["--group", "stuff"], "there is no such group"),
        (card, &["--state", "server-room"], "DOOR=open"),
        (card, &["--state", "exit=open"], "there is no door"),
        (card, &["--at", "yesterday"], "2026-12-24T22:10"),
    ] {
        let (code, _, all) = tried(event, more);
        assert_eq!(code, Some(1), "{event} {more:?}: {all}");
        assert!(all.contains(names), "{event} {more:?}: {all}");
    }
}

#[test]
fn a_range_that_holds_nothing_is_wrong_usage_and_no_lines_are_none() {
    let dir = tempfile::tempdir().expect("a folder");
    let (file, _) = journal(dir.path());
    let refused = output(&["journal", "--config", &file, "export", "--from", "5", "--to", "3"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(
        said(&refused).contains("--from 5 is after --to 3"),
        "{}",
        said(&refused)
    );
    let one = output(&["journal", "--config", &file, "export", "--from", "1", "--to", "1"]);
    assert_eq!(one.status.code(), Some(0), "{}", said(&one));
    assert_eq!(one.stdout.iter().filter(|byte| **byte == b'\n').count(), 1);
    let none = output(&["journal", "--config", &file, "tail", "-n", "0"]);
    assert_eq!(
        (none.status.code(), none.stdout.len()),
        (Some(0), 0),
        "{}",
        said(&none)
    );
}

#[test]
fn root_rebuilds_the_index_as_the_user_whose_it_is() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        // nobody else can do what this test is about
        return;
    }
    fn all(path: &Path, each: &mut dyn FnMut(&Path)) {
        each(path);
        if path.is_dir() {
            for entry in std::fs::read_dir(path).expect("lists").flatten() {
                all(&entry.path(), each);
            }
        }
    }
    let give = |path: &Path, user: u32| {
        all(path, &mut |path| {
            chown(path, Some(user), Some(user)).expect("given")
        });
    };
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("set");
    let (file, _) = journal(dir.path());
    let state = dir.path().join("state");
    give(&state, NOBODY);
    let rebuilt = output(&["journal", "--config", &file, "rebuild"]);
    assert_eq!(rebuilt.status.code(), Some(0), "{}", said(&rebuilt));
    assert!(state.join("journal").is_dir());
    all(&state, &mut |path| {
        let owner = std::fs::metadata(path).expect("there");
        assert_eq!((owner.uid(), owner.gid()), (NOBODY, NOBODY), "{}", path.display());
    });

    // as an earlier version left it: the user is told whose it is, and what mends it
    let index = walk(&state, "index");
    give(&index, 0);
    let program = dir.path().join("doorline");
    // by a program of its own: what another test starts meanwhile would inherit the file while it is written, and then it is busy
    let copied = Command::new("cp").arg(PROGRAM).arg(&program).status();
    assert!(copied.expect("cp runs").success());
    let mut command = Command::new(&program);
    command.args(["journal", "--state"]).arg(&state).arg("rebuild");
    let refused = command.uid(NOBODY).gid(NOBODY).output().expect("it runs");
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let text = said(&refused);
    assert!(text.contains(&index.display().to_string()), "{text}");
    assert!(
        text.contains(&format!(
            "as root: chown -R {NOBODY}:{NOBODY} {}",
            state.display()
        )),
        "{text}"
    );
}

/// The folder of this name, somewhere below.
fn walk(dir: &Path, name: &str) -> std::path::PathBuf {
    fn find(dir: &Path, name: &str) -> Option<std::path::PathBuf> {
        let mut below = std::fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path());
        below.find_map(|path| {
            let is = path.is_dir() && path.file_name().is_some_and(|found| found == name);
            if is { Some(path) } else { find(&path, name) }
        })
    }
    find(dir, name).unwrap_or_else(|| panic!("no {name} below {}", dir.display()))
}

#[test]
fn a_bench_whose_log_is_full_goes_on_and_one_that_is_ended_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let nowhere = dir.path().join("nowhere");
    let refused = output(&["bench", "journal", "--dir", &nowhere.display().to_string()]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(
        said(&refused).contains("nowhere is not a folder"),
        "{}",
        said(&refused)
    );
    assert!(!nowhere.exists());

    let full = File::options().write(true).open("/dev/full").expect("there");
    let mut bench = doorline(&["bench", "start", "--dir", &dir.path().display().to_string()])
        .stdout(Stdio::null())
        .stderr(full)
        .spawn()
        .expect("started");
    let files = || {
        std::fs::read_dir(dir.path())
            .expect("lists")
            .flatten()
            .map(|entry| entry.path())
    };
    // what it says first is said before it starts its first gateway
    let end = Instant::now() + PATIENCE;
    let log = |folder: std::path::PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
    while !files().flat_map(log).any(|part| part.path().join("log").exists()) {
        assert!(Instant::now() < end, "no gateway was started");
        assert_eq!(bench.try_wait().expect("a state"), None, "it ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = rustix::process::Pid::from_child(&bench);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    assert_eq!(bench.wait().expect("it ends").code(), Some(1));
    assert_eq!(files().count(), 0, "{:?}", files().collect::<Vec<_>>());
}

#[test]
fn a_bell_is_not_held_for_longer_than_allowed_nor_by_a_client_that_is_gone() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = site(dir.path()).replace("call = \"reception\"", "input = \"bell\"\ncall = \"reception\"");
    let file = write(
        dir.path(),
        "site.toml",
        &format!("{text}\n[inputs.bell.virtual]\n"),
    );
    let running = Running::start(&file, &dir.path().join("log"));
    let press = |ms: &str| doorline(&["sim", "--config", &file, "press", "main", "bell", "--ms", ms]);
    for ms in ["60001", "0"] {
        let refused = press(ms).output().expect("it runs");
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(said(&refused).contains("1..=60000"), "{}", said(&refused));
    }
    let presses = || {
        let told = output(&["journal", "--config", &file, "export"]);
        let told = said(&told);
        // one that comes while the first call lasts joins it
        told.matches("\"kind\":\"panel.ring\"").count() + told.matches("\"joined\"").count()
    };
    // `meanwhile` is done again and again
    let until = |count: usize, meanwhile: &dyn Fn()| {
        let end = Instant::now() + PATIENCE;
        while presses() < count {
            assert!(Instant::now() < end, "{} presses, not {count}", presses());
            meanwhile();
        }
    };
    let mut holds = press("60000").spawn().expect("it runs");
    until(1, &|| std::thread::sleep(Duration::from_millis(50)));
    holds.kill().expect("it runs");
    holds.wait().expect("it ends");
    // a press of a button that is held is none; nothing tells when it counts as let go
    until(2, &|| {
        assert!(press("300").output().expect("it runs").status.success());
    });
    running.stop();
}

#[test]
fn watching_where_nothing_runs_is_told_and_a_second_guard_is_exit_code_4() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = write(dir.path(), "site.toml", &site(dir.path()));
    let watch = ["sim", "--config", &file, "watch", "--seconds", "1"];
    let nothing = output(&watch);
    assert_eq!(nothing.status.code(), Some(1), "{}", said(&nothing));
    assert!(
        said(&nothing).contains("no gateway answers at"),
        "{}",
        said(&nothing)
    );
    let running = Running::start(&file, &dir.path().join("log"));
    let watched = output(&watch);
    assert_eq!(watched.status.code(), Some(0), "{}", said(&watched));
    let second = output(&["relay-guard", "--config", &file]);
    assert_eq!(second.status.code(), Some(4), "{}", said(&second));
    assert!(
        said(&second).contains("held by another relay guard"),
        "{}",
        said(&second)
    );
    running.stop();
}

#[test]
fn the_phone_of_the_demo_answers_each_press_and_hangs_up() {
    use std::io::BufRead;
    let dir = tempfile::tempdir().expect("a folder");
    let demo = doorline(&["demo", "--port", "0"])
        .env("TMPDIR", dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut demo = Running(demo);
    let stdout = demo.0.stdout.take().expect("piped");
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let lines = std::io::BufReader::new(stdout).lines();
        lines.map_while(Result::ok).try_for_each(|line| tell.send(line))
    });
    let mut lines = std::iter::from_fn(|| told.recv_timeout(PATIENCE).ok());
    let mut heard = Vec::new();
    let mut hear = |what: &str| {
        let found = lines.by_ref().find(|line| {
            heard.push(line.clone());
            line.contains(what)
        });
        found.unwrap_or_else(|| panic!("{what} was not told: {heard:#?}"))
    };
    let hint = hear("sim --config");
    hear("Ctrl-C ends it");
    let file = hint
        .split("--config ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let file = file.expect("a site file").to_owned();
    for _ in 0..2 {
        let pressed = output(&["sim", "--config", &file, "press", "main", "bell"]);
        assert_eq!(pressed.status.code(), Some(0), "{}", said(&pressed));
        for what in ["rings and is answered", "presses 9", "hangs up"] {
            hear(what);
        }
    }
    demo.stop();
}

#[test]
fn a_report_names_a_bad_time_before_a_missing_site_file() {
    for act in ["calls", "doors", "openings"] {
        let found = output(&["report", act, "--config", "/nowhere/site.toml", "--from", "noon"]);
        assert_eq!(found.status.code(), Some(2), "{}", said(&found));
        assert!(
            said(&found).contains("\"noon\" is no time") && !said(&found).contains("/nowhere"),
            "{}",
            said(&found)
        );
        let found = output(&[
            "report",
            act,
            "--config",
            "/nowhere/site.toml",
            "--from",
            "2026-12-24",
        ]);
        assert!(said(&found).contains("/nowhere"), "{}", said(&found));
    }
}
