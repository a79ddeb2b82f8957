//! People and their credentials through the program as it is shipped: added, used, imported, explained and withdrawn
//! while the gateway runs, and still so after it was killed.

mod backup;
mod house;

use std::path::{Path, PathBuf};

use house::{House, alone, said, site};

#[test]
fn people_come_go_and_are_explained_while_the_gateway_runs_and_after_it_was_killed() {
    let mut house = House::start();
    let card = ["sim", "card", "front-reader", "26:123,04567"];

    house.done(&card);
    house.records("door.denied", "unknown card", 1);
    let told = house.done(&[
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
    assert!(
        told.contains("people: 1 new") && told.contains("credentials: 1 new"),
        "{told}"
    );
    house.done(&card);
    house.records("door.granted", "person:alice", 1);
    // shown as in the list, whoever has it
    house.records("reader.card", "\"***67\"", 2);

    let told = house.done(&[
        "people", "add", "--code", "new", "--doors", "front", "--uses", "1",
    ]);
    let code = told
        .lines()
        .find_map(|line| line.strip_prefix("code of "))
        .expect("a code");
    let (credential, code) = code.split_once(": ").expect("a name and digits");
    house.done(&["sim", "keys", "front-reader", code]);
    house.records("door.granted", &format!("credential:{credential}"), 1);

    let list = house.done(&["people", "list"]);
    assert!(
        list.contains("Alice") && list.contains(" ***67") && !list.contains("04567"),
        "{list}"
    );
    let export = house.done(&["people", "export"]);
    assert!(export.contains("123,04567") && !export.contains(code), "{export}");

    house.kill_and_start();
    house.done(&["sim", "keys", "front-reader", code]);
    house.records("door.denied", "used as often as it may be", 1);
    house.done(&card);
    house.records("door.granted", "person:alice", 2);

    // nothing half done
    let before = house.done(&["people", "export"]);
    let file = house.path("bad.csv");
    std::fs::write(
        &file,
        "person,groups,kind,value\nbob,residents,card,\"1,1\"\ncarol,strangers,card,xyz\n",
    )
    .expect("written");
    let file = file.display().to_string();
    let refused = house.run(&["people", "import", &file]);
    assert_eq!(refused.status.code(), Some(6), "{}", said(&refused));
    let told = said(&refused);
    assert!(
        told.contains("line 3, groups: there is no group \"strangers\"") && told.contains("line 3, value:"),
        "{told}"
    );
    assert_eq!(house.done(&["people", "export"]), before, "something changed");

    let told = house.done(&["access", "explain", "--door", "front", "--card", "123,04567"]);
    assert!(
        told.starts_with("front opens: card") && told.contains("who: person:alice"),
        "{told}"
    );
    let refused = house.run(&["access", "explain", "--door", "front", "--card", "1,1"]);
    assert_eq!(refused.status.code(), Some(6), "{}", said(&refused));

    // what a change of the site file alters, and the change itself
    let mornings = site(house.dir.path()).replace(
        "doors = [\"front\"]\n[sch",
        "doors = [\"front\"]\nschedule = \"mornings\"\n[sch",
    );
    std::fs::write(house.path("new.toml"), &mornings).expect("written");
    let new = house.path("new.toml").display().to_string();
    let told = house.done(&["access", "diff", &new]);
    assert!(
        told.starts_with("~ person:alice by card") && told.contains("within mornings"),
        "{told}"
    );
    // a group that somebody is of, and that another file does not have
    let without = mornings.replace("[groups.residents]", "[groups.others]");
    std::fs::write(house.path("without.toml"), &without).expect("written");
    let without = house.path("without.toml").display().to_string();
    let sentence =
        "groups.residents is not in the site file, and 1 of the records names it, which opens nothing: alice";
    let told = house.done(&["access", "diff", &without]);
    assert!(told.contains(&format!("! {sentence}")), "{told}");
    let check = |file: &str| alone(&["check", file]);
    // beside that of the clock
    let checked = said(&check(&without));
    assert!(
        checked.contains(sentence) && checked.contains("2 warnings"),
        "{checked}"
    );
    let checked = said(&check(&new));
    assert!(checked.contains("1 warning;"), "{checked}");
    std::fs::write(house.path("site.toml"), &mornings).expect("written");
    let pid = rustix::process::Pid::from_child(&house.gateway);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it runs");
    house.records("gateway.config-applied", "generation", 1);
    let at = |time| {
        [
            "access",
            "explain",
            "--door",
            "front",
            "--card",
            "123,04567",
            "--at",
            time,
        ]
    };
    let told = house.done(&at("2026-12-24T08:10"));
    assert!(
        told.contains("of group residents within schedule mornings"),
        "{told}"
    );
    let refused = house.run(&at("2026-12-24T22:10"));
    assert_eq!(refused.status.code(), Some(6), "{}", said(&refused));
    assert!(
        said(&refused).contains("changes at 2026-12-25T08:00:00Z"),
        "{}",
        said(&refused)
    );

    house.done(&["people", "remove", "alice"]);
    let gone = house.run(&["people", "remove", "alice"]);
    assert_eq!(gone.status.code(), Some(6), "{}", said(&gone));
    house.done(&card);
    house.records("door.denied", "unknown card", 2);
    house.done(&["journal", "verify"]);
}

#[test]
fn who_is_blocked_removed_or_erased_does_not_get_in_by_the_site_file() {
    let mut house = House::start();
    let of_bob = "[cards.bob]\ncard = \"26:123,04567\"\ndoors = [\"front\"]\nperson = \"bob\"\n\
        [codes.bobs]\ndigits = \"7391\"\ndoors = [\"front\"]\nfrom = [\"keypad\"]\nperson = \"bob\"\n\
        [cards.pool]\ncard = \"26:9,00009\"\ndoors = [\"front\"]\n";
    std::fs::write(house.path("site.toml"), site(house.dir.path()) + of_bob).expect("written");
    house.kill_and_start();
    let card = ["sim", "card", "front-reader", "26:123,04567"];
    let keys = ["sim", "keys", "front-reader", "7391"];
    let told = |house: &House| house.journal();

    // the records never told of him
    house.done(&card);
    house.records("door.granted", "person:bob", 1);
    house.done(&keys);
    house.records("door.granted", "person:bob", 2);

    let told_left = house.done(&["people", "add", "bob", "--block"]);
    assert!(
        told_left.contains("cards.bob, codes.bobs of \"bob\""),
        "{told_left}"
    );
    house.done(&card);
    house.records("door.denied", "person:bob", 1);
    house.done(&keys);
    house.records("door.denied", "blocked", 2);
    let explained = house.run(&["access", "explain", "--door", "front", "--card", "26:123,04567"]);
    assert_eq!(explained.status.code(), Some(6), "{}", said(&explained));
    assert!(said(&explained).contains("person:bob"), "{}", said(&explained));
    house.done(&[
        "people",
        "add",
        "bob",
        "--unblock",
        "--person-until",
        "2020-01-01",
    ]);
    house.done(&card);
    house.records("door.denied", "person:bob", 2);
    house.done(&["people", "add", "bob", "--person-until", "-"]);
    house.done(&card);
    house.records("door.granted", "person:bob", 3);

    // a card of the site file is no card of people
    let refused = house.run(&["people", "add", "bob", "--card", "9,9"]);
    assert_eq!(refused.status.code(), Some(6), "{}", said(&refused));
    assert!(said(&refused).contains("cards.pool"), "{}", said(&refused));

    let told_left = house.done(&["people", "remove", "bob"]);
    assert!(told_left.contains("cards.bob, codes.bobs"), "{told_left}");
    house.done(&card);
    house.records("door.denied", "person:bob", 3);
    house.kill_and_start();
    house.done(&card);
    house.records("door.denied", "person:bob", 4);

    house.done(&["people", "add", "bob"]);
    house.done(&["people", "erase", "bob", "--confirm", "bob"]);
    let denied = told(&house).matches("door.denied").count();
    house.done(&card);
    house.wait("it is refused", |house| {
        house.journal().matches("door.denied").count() > denied
    });
    assert!(
        !told(&house)
            .lines()
            .last()
            .unwrap_or_default()
            .contains("door.granted")
    );
    // and whoever is inside gets out
    house.done(&["sim", "rex", "front-rex"]);
    house.records("door.granted", "front-rex", 1);
}

/// The file of the growing segment of the records.
#[test]
fn a_code_of_the_site_file_that_a_persons_code_begins_with_is_not_taken_and_opens_nothing() {
    let mut house = House::start();
    house.done(&["people", "add", "--code", "91234", "--doors", "front"]);
    let shadow = "[codes.short]\ndigits = \"9\"\ndoors = [\"front\"]\nfrom = [\"keypad\"]\n";
    let text = site(house.dir.path()) + shadow;
    std::fs::write(house.path("site.toml"), &text).expect("written");
    let pid = i32::try_from(house.gateway.id()).expect("a process");
    let pid = rustix::process::Pid::from_raw(pid).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it runs");
    house.wait("it is refused", |house| {
        house
            .log()
            .contains("codes.short.digits: a person's code is the same, begins with it")
    });
    // at a start there is nobody to refuse it to
    house.kill_and_start();
    house.wait("it is told", |house| {
        house
            .log()
            .contains("codes that open nothing, because another code begins with their digits: short")
    });
    house.done(&["sim", "keys", "front-reader", "91234"]);
    house.records("door.granted", "credential:c-", 1);
    assert!(
        !house.journal().contains("credential:short"),
        "{}",
        house.journal()
    );
}

fn records_of(house: &House) -> PathBuf {
    let folder = house.path("state/journal/records");
    let files = std::fs::read_dir(folder).expect("readable").flatten();
    let newest = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|end| end == "seg"));
    newest.max().expect("a segment")
}

#[test]
fn a_withdrawal_that_is_lost_to_damage_brings_no_card_back_until_somebody_has_looked() {
    let mut house = House::start();
    let card = ["sim", "card", "front-reader", "26:123,04567"];
    let told = house.done(&["people", "add", "bob", "--card", "123,04567", "--doors", "front"]);
    assert!(told.contains("credentials: 1 new"), "{told}");
    house.done(&card);
    house.records("door.granted", "person:bob", 1);
    let list: serde_json::Value =
        serde_json::from_str(&house.done(&["people", "list", "--json"])).expect("JSON");
    let text = list.to_string();
    let id = text
        .split("\"credential\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let id = id.unwrap_or_else(|| panic!("a credential in {text}")).to_owned();
    house.done(&["people", "remove", "--credential", &id]);
    house.done(&card);
    house.records("door.denied", "unknown card", 1);

    // a bit of the withdrawal flips while the machine is off
    house.gateway.kill().expect("it runs");
    house.gateway.wait().expect("it ends");
    let file = records_of(&house);
    let mut bytes = std::fs::read(&file).expect("readable");
    let gone = b"\"gone\":true";
    let at = bytes
        .windows(gone.len())
        .rposition(|part| part == gone)
        .expect("the withdrawal");
    bytes[at + gone.len() - 1] ^= 1;
    std::fs::write(&file, bytes).expect("written");

    house.start_again();
    house.wait("it says so", |house| {
        house.log().contains("a withdrawal may be among what is lost")
    });
    house.records("gateway.journal-damage", "", 1);
    house.done(&card);
    house.records("door.denied", "unknown card", 2);
    // nor by another start
    house.kill_and_start();
    house.done(&card);
    house.records("door.denied", "unknown card", 3);

    // somebody looks, withdraws it once more, and says so
    house.done(&["people", "remove", "--credential", &id]);
    let told = house.done(&["people", "confirm"]);
    assert!(told.contains("start the gateway anew"), "{told}");
    let told = house.done(&["people", "confirm"]);
    assert!(told.contains("nothing is in doubt"), "{told}");
    house.done(&["people", "add", "carol", "--card", "1,1", "--doors", "front"]);
    house.kill_and_start();
    house.done(&card);
    house.records("door.denied", "unknown card", 4);
    house.done(&["sim", "card", "front-reader", "26:1,1"]);
    house.records("door.granted", "person:carol", 1);
}

/// Every file below a folder that holds one of these texts.
fn files_with(folder: &Path, texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, texts));
            continue;
        }
        let bytes = std::fs::read(&path).expect("readable");
        for text in texts {
            if bytes.windows(text.len()).any(|part| part == text.as_bytes()) {
                found.push(format!("{text} in {}", path.display()));
            }
        }
    }
    found
}

#[test]
fn who_is_erased_is_in_no_file_of_the_state_folder_and_the_journal_verifies() {
    let mut house = House::start();
    let card = ["sim", "card", "front-reader", "26:123,04567"];
    for (id, name, value) in [("alice", "Alice Martin", "123,04567"), ("bob", "Bob", "1,1")] {
        let words = [
            "people",
            "add",
            id,
            "--name",
            name,
            "--groups",
            "residents",
            "--card",
            value,
        ];
        house.done(&words);
    }
    house.done(&[
        "people",
        "add",
        "alice",
        "--phone",
        "+33476123456",
        "--doors",
        "front",
    ]);
    house.done(&card);
    house.records("door.granted", "person:alice", 1);
    house.done(&["people", "add", "alice", "--name", "Alice Dupont"]);
    let hers = ["alice", "Alice", "123,04567", "33476123456"];
    let state = house.path("state");
    assert!(!files_with(&state, &hers).is_empty());

    let refused = house.run(&["people", "erase", "alice", "--confirm", "bob"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    house.records("door.granted", "person:alice", 1);
    let unknown = house.run(&["people", "erase", "eve", "--confirm", "eve"]);
    assert_eq!(unknown.status.code(), Some(6), "{}", said(&unknown));

    let told = house.done(&[
        "people",
        "erase",
        "alice",
        "--confirm",
        "alice",
        "--also",
        "Alice Martin",
    ]);
    assert!(
        told.starts_with("erased; ") && !told.contains("still named"),
        "{told}"
    );
    assert_eq!(files_with(&state, &hers), Vec::<String>::new());
    house.records("user.people-changed", "somebody was erased", 1);
    house.records("door.granted", "person:erased", 1);
    house.done(&card);
    house.records("door.denied", "unknown card", 1);
    house.done(&["sim", "card", "front-reader", "26:1,1"]);
    house.records("door.granted", "person:bob", 1);
    let verified = house.done(&["journal", "verify"]);
    assert!(verified.contains("the content was taken out"), "{verified}");

    house.kill_and_start();
    house.done(&["sim", "card", "front-reader", "26:1,1"]);
    house.records("door.granted", "person:bob", 2);
    assert_eq!(files_with(&state, &hers), Vec::<String>::new());
    house.done(&["journal", "verify"]);

    // a short name is that of a door, too
    house.done(&["people", "add", "eve", "--name", "Front"]);
    let told = house.done(&["people", "erase", "eve", "--confirm", "eve"]);
    let line = 1 + site(house.dir.path())
        .lines()
        .position(|line| line == "name = \"Front\"")
        .expect("it");
    assert!(
        told.contains(&format!(", line {line}: a text like their name stands there"))
            && !told.contains("still named"),
        "{told}"
    );
}

#[test]
fn without_its_state_folder_a_gateway_opens_exits_and_nothing_else() {
    let mut house = House::start();
    house.done(&["people", "add", "bob", "--card", "123,04567", "--doors", "front"]);
    house.gateway.kill().expect("it runs");
    house.gateway.wait().expect("it ends");
    // a file where a folder has to be: nobody can write there, not even root
    let records = house.path("state/journal/records");
    std::fs::rename(&records, house.path("records")).expect("moved");
    std::fs::write(&records, "").expect("written");
    house.spawn();
    house.wait("it says so", |house| {
        house
            .log()
            .contains("Only exits open, and nothing is written down")
    });
    house.wait("it answers", |house| {
        house.run(&["people", "list"]).status.success()
    });
    let edges = || std::fs::read_to_string(house.path("run/virtual-relays.jsonl")).unwrap_or_default();
    house.done(&["sim", "card", "front-reader", "26:123,04567"]);
    house.done(&["sim", "rex", "front-rex"]);
    house.wait("the exit opens", |_| edges().contains("true"));
    assert_eq!(
        edges().matches("true").count(),
        1,
        "the card opened nothing\n{}",
        house.log()
    );
    // mended, it is as before
    std::fs::remove_file(&records).expect("removed");
    std::fs::rename(house.path("records"), &records).expect("moved");
    house.kill_and_start();
    house.done(&["sim", "card", "front-reader", "26:123,04567"]);
    house.records("door.granted", "person:bob", 1);
}
