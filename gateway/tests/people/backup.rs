//! A backup of one gateway, restored for another: who got in then gets in there, who was withdrawn before does not, and what
//! comes back is told.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::house::{House, said, site};

const ALICE: [&str; 4] = ["sim", "card", "front-reader", "26:123,04567"];
const BOB: [&str; 4] = ["sim", "card", "front-reader", "26:9,00009"];

/// A house with Alice, with Bob whose card was withdrawn, with a code for two uses of which one is spent, and with a
/// password in a file.
fn lived_in() -> (House, String) {
    let mut house = House::start();
    write_secret(&house.path("pass"), "correct horse battery\n");
    write_secret(&house.path("secrets/pbx"), "a secret of the PBX\n");
    let named = "[accounts.pbx]\ndomain = \"127.0.0.1\"\nuser = \"503\"\nregister = false\npassword-file = \"secrets/pbx\"\n";
    fs::write(house.path("site.toml"), site(house.dir.path()) + named).expect("written");
    house.kill_and_start();
    house.done(&[
        "people",
        "add",
        "alice",
        "--name",
        "Alice",
        "--groups",
        "residents",
        "--card",
        "123,04567",
    ]);
    house.done(&[
        "people",
        "add",
        "bob",
        "--groups",
        "residents",
        "--card",
        "9,00009",
    ]);
    house.done(&["people", "remove", "bob"]);
    let code = new_code(&house, "2");
    house.done(&["sim", "keys", "front-reader", &code]);
    house.records("door.granted", "credential:", 1);
    (house, code)
}

/// A code for so many uses.
fn new_code(house: &House, uses: &str) -> String {
    let words = [
        "people", "add", "--code", "new", "--doors", "front", "--uses", uses,
    ];
    let told = house.done(&words);
    let code = told.lines().find_map(|line| line.strip_prefix("code of "));
    let (_, code) = code
        .and_then(|code| code.split_once(": "))
        .expect("a name and digits");
    code.to_owned()
}

fn write_secret(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("set");
}

fn with_pass<'a>(house: &House, words: &[&'a str], pass: &'a str) -> std::process::Output {
    let mut words = words.to_vec();
    words.extend(["--passphrase-file", pass]);
    house.run(&words)
}

#[test]
fn a_backup_opens_at_another_machine_what_it_opened_and_nothing_that_was_withdrawn_before() {
    let (mut house, code) = lived_in();
    let (pass, file) = (
        house.path("pass").display().to_string(),
        house.path("house.backup").display().to_string(),
    );
    let made = with_pass(&house, &["backup", "--out", &file], &pass);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    let bytes = fs::read(&file).expect("readable");
    for secret in ["a secret of the PBX", "123,04567", "alice", "People"] {
        assert!(
            !bytes.windows(secret.len()).any(|part| part == secret.as_bytes()),
            "{secret} is to be read in it"
        );
    }
    assert_eq!(
        fs::metadata(&file).expect("there").permissions().mode() & 0o777,
        0o600
    );
    let again = with_pass(&house, &["backup", "--out", &file], &pass);
    assert_eq!(
        again.status.code(),
        Some(1),
        "it would have been overwritten: {}",
        said(&again)
    );

    let shown = with_pass(&house, &["backup", "show", &file, "--all"], &pass);
    let shown = said(&shown);
    for part in [
        "site people (People)",
        "secrets/pbx",
        "people.key",
        "people: 1",
        "alice (Alice)",
        "code c-",
        "2 uses",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(
        !shown.contains("secret of the PBX") && !shown.contains("04567"),
        "{shown}"
    );

    // a gateway that runs is left alone
    let refused = with_pass(&house, &["restore", &file, "--yes"], &pass);
    assert_eq!(refused.status.code(), Some(4), "{}", said(&refused));
    house.done(&ALICE);
    house.records("door.granted", "person:alice", 1);

    // the machine is lost, another one has nothing but the backup
    house.kill();
    for gone in ["state", "secrets", "run"] {
        fs::remove_dir_all(house.path(gone)).expect("removed");
    }
    for gone in ["site.toml", "log"] {
        fs::remove_file(house.path(gone)).expect("removed");
    }
    let only_told = with_pass(&house, &["restore", &file], &pass);
    assert_eq!(only_told.status.code(), Some(0), "{}", said(&only_told));
    assert!(
        said(&only_told).contains("nothing was changed"),
        "{}",
        said(&only_told)
    );
    let told = said(&only_told);
    assert!(
        told.contains("may have been used since: 1") && told.contains("1 left then"),
        "{told}"
    );
    assert!(
        !house.path("state").exists() && !house.path("site.toml").exists(),
        "{told}"
    );

    let done = with_pass(&house, &["restore", &file, "--yes"], &pass);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert_eq!(
        fs::read_to_string(house.path("secrets/pbx")).expect("there"),
        "a secret of the PBX\n"
    );
    house.first_start();
    house.done(&ALICE);
    house.records("door.granted", "person:alice", 1);
    house.done(&BOB);
    house.records("door.denied", "unknown card", 1);
    // one use was spent before the backup, and one is left: codes are read by the key that came along
    house.done(&["sim", "keys", "front-reader", &code]);
    house.records("door.granted", "credential:", 1);
    house.done(&["sim", "keys", "front-reader", &code]);
    house.records("door.denied", "used as often as it may be", 1);
    house.records("user.restored", "a backup of", 1);
    house.done(&["journal", "verify"]);
}

#[test]
fn a_backup_that_is_taken_in_a_fire_opens_no_door_where_it_is_restored() {
    let mut house = House::start();
    write_secret(&house.path("pass"), "correct horse battery\n");
    let smoke = "[inputs.smoke.virtual]\n";
    let text = site(house.dir.path()).replace("time-zone", "fire-input = \"smoke\"\ntime-zone") + smoke;
    fs::write(house.path("site.toml"), text).expect("written");
    house.kill_and_start();
    house.done(&["sim", "fire", "smoke", "on"]);
    house.records("gateway.fire-alarm", "", 1);
    let (pass, file) = (
        house.path("pass").display().to_string(),
        house.path("fire.backup").display().to_string(),
    );
    let made = with_pass(&house, &["backup", "--out", &file], &pass);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    house.kill();
    for gone in ["state", "run"] {
        fs::remove_dir_all(house.path(gone)).expect("removed");
    }
    for gone in ["site.toml", "log"] {
        fs::remove_file(house.path(gone)).expect("removed");
    }
    let done = with_pass(&house, &["restore", &file, "--yes"], &pass);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    house.first_start();
    // had it come along, the doors would have opened before the first card
    house.done(&ALICE);
    house.records("door.denied", "unknown card", 1);
    house.records("door.granted", "", 0);
    house.done(&["journal", "verify"]);
}

#[test]
fn a_restore_over_what_is_there_tells_what_it_revives_and_gives_no_use_back() {
    let (mut house, code) = lived_in();
    let fresh = new_code(&house, "1");
    let (pass, file) = (
        house.path("pass").display().to_string(),
        house.path("house.backup").display().to_string(),
    );
    let made = with_pass(&house, &["backup", "--out", &file], &pass);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    // after the backup: the last use is spent, also of one that was not used before; Alice is withdrawn, Carol comes
    house.done(&["sim", "keys", "front-reader", &fresh]);
    house.records("door.granted", "credential:", 2);
    house.done(&["sim", "keys", "front-reader", &code]);
    house.records("door.granted", "credential:", 3);
    house.done(&["people", "remove", "alice"]);
    house.done(&[
        "people",
        "add",
        "carol",
        "--groups",
        "residents",
        "--card",
        "77,00077",
    ]);
    let before = house.done(&["journal", "export"]).lines().count();
    house.kill();

    let told = said(&with_pass(&house, &["restore", &file], &pass));
    for part in [
        "people that are there again: 1\n  alice (Alice)",
        "credentials that are there again: 1\n  card ",
        "people of later, which will be gone: 1\n  carol",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let done = with_pass(&house, &["restore", &file, "--yes"], &pass);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let kept = fs::read_dir(house.dir.path()).expect("a folder").flatten();
    let kept: Vec<String> = kept
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert!(
        kept.iter().any(|name| name.starts_with("state.before-restore-")),
        "{kept:?}"
    );
    assert!(!kept.iter().any(|name| name.ends_with(".restoring")), "{kept:?}");

    house.start_again();
    house.done(&ALICE);
    house.records("door.granted", "person:alice", 1);
    house.done(&["sim", "card", "front-reader", "26:77,00077"]);
    house.records("door.denied", "unknown card", 1);
    house.done(&["sim", "keys", "front-reader", &code]);
    house.records("door.denied", "used as often as it may be", 1);
    house.done(&["sim", "keys", "front-reader", &fresh]);
    house.records("door.denied", "used as often as it may be", 2);
    // the journal goes on
    assert!(house.done(&["journal", "export"]).lines().count() > before);
    house.done(&["journal", "verify"]);
}

#[test]
fn what_is_wrong_with_a_backup_is_told_and_changes_nothing() {
    let (mut house, _) = lived_in();
    let (pass, file) = (
        house.path("pass").display().to_string(),
        house.path("house.backup").display().to_string(),
    );
    let made = with_pass(&house, &["backup", "--out", &file], &pass);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    house.kill();
    let before = fs::read(house.path("site.toml")).expect("readable");
    let people = |house: &House| {
        fs::metadata(house.path("state/people.key"))
            .expect("there")
            .modified()
            .expect("a time")
    };
    let key = people(&house);

    write_secret(&house.path("other"), "correct horse batterz\n");
    let other = house.path("other").display().to_string();
    let refused = said(&with_pass(&house, &["restore", &file, "--yes"], &other));
    assert!(
        refused.contains("the passphrase is not the one that it was made with"),
        "{refused}"
    );

    fs::set_permissions(&other, fs::Permissions::from_mode(0o644)).expect("set");
    let refused = said(&with_pass(&house, &["restore", &file, "--yes"], &other));
    assert!(refused.contains("has mode 0644"), "{refused}");

    let whole = fs::read(&file).expect("readable");
    let bad = house.path("bad.backup").display().to_string();
    let cases: [(&[u8], &str); 3] = [
        (&whole[..whole.len() - 5], "it is damaged or cut off after"),
        (b"something else", "it is no backup of a gateway"),
        (&whole[..40], "its first bytes are damaged"),
    ];
    for (bytes, text) in cases {
        fs::write(&bad, bytes).expect("written");
        let refused = with_pass(&house, &["restore", &bad, "--yes"], &pass);
        assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
        assert!(said(&refused).contains(text), "{text}: {}", said(&refused));
    }

    let text = String::from_utf8(before.clone()).expect("text");
    let elsewhere = text.replace("id = \"people\"", "id = \"elsewhere\"");
    fs::write(house.path("site.toml"), &elsewhere).expect("written");
    let refused = said(&with_pass(&house, &["restore", &file, "--yes"], &pass));
    assert!(refused.contains("say --other-site if that is meant"), "{refused}");
    assert_eq!(
        fs::read_to_string(house.path("site.toml")).expect("readable"),
        elsewhere
    );
    assert_eq!(people(&house), key, "the state folder is another one");
    fs::write(house.path("site.toml"), before).expect("written");
    house.start_again();
    house.done(&ALICE);
    house.records("door.granted", "person:alice", 1);
}
