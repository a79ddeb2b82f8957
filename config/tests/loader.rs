//! The loader takes any text, keeps secrets, and finds the last confirmed generation.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gateway_config::{
    Boot, Change, Component, Config, Effect, FaultKind, Generations, LoadError, SecretFiles, boot, load,
    parse, plan,
};
use proptest::prelude::*;

const GOOD: &str = include_str!("../testdata/good.toml");
const FULL: &str = include_str!("../examples/full.toml");

fn read(text: &str) -> Config {
    match parse("site.toml", Path::new("."), text, SecretFiles::Untouched) {
        Ok(loaded) => loaded.config,
        Err(faults) => panic!("{faults}"),
    }
}

fn words() -> impl Strategy<Value = String> {
    let parts = [
        "[",
        "]",
        "{",
        "}",
        "=",
        "\"",
        "'",
        "\n",
        ",",
        ".",
        " ",
        "doors",
        "front",
        "-1",
        "9",
        "1e9",
        "0x7f",
        "true",
        "site",
        "id",
        "password",
        "é",
        "\u{0}",
        "\"\"\"",
        "2020-01-01",
        "[[",
        "\t",
        "#",
        "gpio",
        "\r\n",
    ];
    proptest::collection::vec(proptest::sample::select(parts.to_vec()), 0..60).prop_map(|p| p.concat())
}

proptest! {
    #[test]
    fn no_bytes_make_the_loader_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        gateway_config::fuzz::site_file(&data);
    }

    #[test]
    fn no_tokens_make_the_loader_panic(text in words()) {
        gateway_config::fuzz::site_file(text.as_bytes());
    }

    #[test]
    fn no_change_of_a_good_site_makes_the_loader_panic(
        full in any::<bool>(),
        from in 0..6000_usize,
        length in 0..40_usize,
        new in words(),
    ) {
        let text = if full { FULL } else { GOOD };
        let mut bytes = text.as_bytes().to_vec();
        let from = from.min(bytes.len());
        let to = (from + length).min(bytes.len());
        bytes.splice(from..to, new.bytes());
        gateway_config::fuzz::site_file(&bytes);
    }

    #[test]
    fn a_line_moved_elsewhere_makes_no_panic(from in 0..300_usize, to in 0..300_usize) {
        let mut lines: Vec<&str> = FULL.lines().collect();
        let line = lines.remove(from % lines.len());
        lines.insert(to % lines.len(), line);
        gateway_config::fuzz::site_file(lines.join("\n").as_bytes());
    }
}

#[test]
fn deep_nesting_and_huge_tables_are_refused_without_harm() {
    gateway_config::fuzz::site_file(("x = ".to_owned() + &"[".repeat(100_000)).as_bytes());
    gateway_config::fuzz::site_file(("x = ".to_owned() + &"{a=".repeat(50_000)).as_bytes());
    let many: String = (0..3000).map(|n| format!("[outputs.o{n}.virtual]\n")).collect();
    let faults = parse(
        "site.toml",
        Path::new("."),
        &(GOOD.to_owned() + &many),
        SecretFiles::Untouched,
    )
    .expect_err("too many outputs");
    assert!(
        faults.list.iter().any(|f| f.kind == FaultKind::OutOfRange),
        "{faults}"
    );
}

#[test]
fn a_file_that_is_wrong_everywhere_is_reported_in_part() {
    for wrong in ["x y z\n", "unknown-KEY = 1\n", "[doors.front]\n"] {
        let text: String = (0..50_000)
            .map(|n| wrong.replace("KEY", &n.to_string()))
            .collect();
        let faults =
            parse("site.toml", Path::new("."), &text, SecretFiles::Untouched).expect_err("wrong everywhere");
        assert!(faults.cut);
        assert!(faults.list.len() <= 200);
        assert!(faults.to_string().contains("there are more faults, these are "));
    }
}

#[test]
fn typed_values_come_out_as_written() {
    let loaded = parse("site.toml", Path::new("."), FULL, SecretFiles::Untouched).expect("loads");
    assert!(
        !format!("{loaded:?}").contains("only where the provider"),
        "a secret was printed"
    );
    let config = loaded.config;
    let front = config
        .doors
        .values()
        .find(|d| d.name == "Main entrance")
        .expect("front");
    assert_eq!(front.strike.as_millis(), 3000);
    let direct = config
        .lists
        .values()
        .find(|l| l.targets.len() == 3)
        .expect("direct");
    assert_eq!(direct.talk_limit, None);
    assert!(
        !format!("{config:?}").contains("only where the provider"),
        "a secret was printed"
    );
    assert!(!format!("{config:?}").contains("4711"), "a code was printed");
}

fn site_in(folder: &Path, secret: &str) -> PathBuf {
    let site = folder.join("site.toml");
    let state = folder.join("state");
    let text = GOOD
        .replace(
            "password = \"correct horse\"",
            &format!("password-file = {secret:?}"),
        )
        .replace(
            "fire-input = \"fire\"",
            &format!(
                "fire-input = \"fire\"\nstate-dir = {:?}",
                state.display().to_string()
            ),
        );
    fs::write(&site, text).expect("writable");
    site
}

fn faults_of(error: LoadError) -> String {
    let LoadError::Faults(faults) = error else {
        panic!("{error}")
    };
    faults.to_string()
}

#[test]
fn what_has_no_end_is_no_site_file_and_a_large_one_is_read_no_further_than_it_may_be() {
    let refused = |path: &Path| match load(path, SecretFiles::Untouched) {
        Err(error @ (LoadError::NoFile { .. } | LoadError::TooLarge { .. })) => error.to_string(),
        other => panic!("{}: {other:?}", path.display()),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let zero = refused(Path::new("/dev/zero"));
    assert!(
        zero.starts_with("/dev/zero: is a device; a site file is a regular file"),
        "{zero}"
    );
    assert!(refused(folder.path()).contains("is a folder"));
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    // nobody writes into it: whoever opened it would wait for ever
    assert!(refused(&pipe).contains("is a pipe"));
    let large = folder.path().join("large.toml");
    fs::write(&large, "#".repeat((4 << 20) + 1)).expect("writable");
    assert!(refused(&large).contains("more than 4194304 bytes"));
}

#[test]
fn a_secret_file_is_read_and_one_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let site = site_in(folder.path(), "pbx.secret");
    let secret = folder.path().join("pbx.secret");

    let text = faults_of(load(&site, SecretFiles::Needed).expect_err("missing"));
    assert!(text.contains("\"pbx.secret\" cannot be read"), "{text}");
    let warned = load(&site, SecretFiles::WhereFound)
        .expect("a warning only")
        .warnings
        .to_string();
    assert!(warned.contains("\"pbx.secret\" cannot be read"), "{warned}");

    fs::write(&secret, "correct horse\nsecond line\n").expect("writable");
    for mode in [0o644, 0o604, 0o660, 0o602] {
        fs::set_permissions(&secret, Permissions::from_mode(mode)).expect("chmod");
        for files in [SecretFiles::Needed, SecretFiles::WhereFound] {
            let text = faults_of(load(&site, files).expect_err("open to others"));
            assert!(
                text.contains(&format!("has mode {mode:04o}: others than its owner can use it")),
                "{text}"
            );
            assert!(!text.contains("correct horse"), "{text}");
        }
    }
    for mode in [0o600, 0o400, 0o640] {
        fs::set_permissions(&secret, Permissions::from_mode(mode)).expect("chmod");
        let loaded = load(&site, SecretFiles::Needed).expect("loads");
        let account = loaded.config.accounts.values().next().expect("an account");
        assert_eq!(
            account.password.as_ref().map(|p| p.reveal()),
            Some("correct horse")
        );
    }
    fs::write(&secret, "\n").expect("writable");
    let text = faults_of(load(&site, SecretFiles::Needed).expect_err("empty"));
    assert!(text.contains("has no password in its first line"), "{text}");
    fs::remove_file(&secret).expect("it was there");
    let made = std::process::Command::new("mkfifo").arg(&secret).status();
    assert!(made.expect("mkfifo runs").success());
    // nobody writes into it
    let text = faults_of(load(&site, SecretFiles::Needed).expect_err("a pipe"));
    assert!(text.contains("it is a pipe or a device, and no file"), "{text}");
}

#[test]
fn a_secret_that_is_gone_at_a_start_costs_its_own_part_and_no_door() {
    let folder = tempfile::tempdir().expect("a folder");
    let site = site_in(folder.path(), "pbx.secret");
    let mut text = fs::read_to_string(&site).expect("readable");
    let broker = "[mqtt]\nbroker = \"mqtt://127.0.0.1\"\n";
    assert!(text.contains(broker));
    let with = "user = \"door\"\npassword-file = \"mqtt.secret\"\n";
    text = text.replace(broker, &format!("{broker}{with}"));
    fs::write(&site, &text).expect("writable");
    let Ok(Boot::Given(loaded)) = boot(&site) else {
        panic!("doors come first");
    };
    let paths: Vec<&str> = loaded.absent.iter().map(|late| late.path.as_str()).collect();
    assert_eq!(paths, ["accounts.pbx.password-file", "mqtt.password-file"]);
    assert!(loaded.config.mqtt.is_none() && loaded.config.accounts.len() == 1);
    // whoever changes the file is told at once
    faults_of(load(&site, SecretFiles::Needed).expect_err("missing"));
    fs::write(folder.path().join("mqtt.secret"), "x\n").expect("writable");
    fs::set_permissions(folder.path().join("mqtt.secret"), Permissions::from_mode(0o600)).expect("chmod");
    let loaded = boot(&site).expect("starts").loaded().clone();
    assert!(loaded.config.mqtt.is_some() && loaded.absent.len() == 1);
}

#[test]
fn a_file_that_is_not_utf8_says_where() {
    let folder = tempfile::tempdir().expect("a folder");
    let site = folder.path().join("site.toml");
    fs::write(&site, b"[site]\nname = \"Caf\xe9\"\n").expect("writable");
    let text = faults_of(load(&site, SecretFiles::Needed).expect_err("Latin-1"));
    assert!(
        text.contains("site.toml:2:12: byte 0xe9 at offset 18 is not UTF-8"),
        "{text}"
    );
}

fn effects(change: &[(&str, &str)]) -> Vec<(String, Effect, Change)> {
    let mut text = GOOD.to_owned();
    for (old, new) in change {
        assert!(text.contains(old), "{old:?}");
        text = text.replacen(old, new, 1);
    }
    plan(&read(GOOD), &read(&text))
        .touched()
        .map(|step| (step.component.to_string(), step.effect, step.change))
        .collect()
}

#[test]
fn the_same_file_changes_nothing() {
    let same = plan(&read(GOOD), &read(GOOD));
    assert_eq!(same.to_string(), "nothing changes");
    assert!(same.steps.len() > 20, "every component is in the plan");
}

#[test]
fn a_longer_strike_is_taken_over_by_one_door_while_it_runs() {
    assert_eq!(
        effects(&[("strike-ms = 3000", "strike-ms = 5000")]),
        [("doors.front".to_owned(), Effect::Live, Change::Changed)]
    );
}

#[test]
fn another_pin_restarts_the_output_and_its_door_only() {
    assert_eq!(
        effects(&[("line = 17", "line = 18")]),
        [
            (
                "outputs.front-strike".to_owned(),
                Effect::Restart,
                Change::Changed
            ),
            ("doors.front".to_owned(), Effect::Restart, Change::Changed)
        ]
        .map(|(name, effect, change)| {
            let change = if name.starts_with("doors") {
                Change::Same
            } else {
                change
            };
            (name, effect, change)
        })
    );
}

#[test]
fn a_removed_output_comes_first() {
    let found = effects(&[
        ("name = \"12 rue des Lilas\"", "name = \"14 rue des Lilas\""),
        (
            "[outputs.back-strike.lcus1]\nport = \"/dev/ttyUSB0\"\ntimer-ms = 5000\n",
            "",
        ),
        ("output = \"back-strike\"", "lock-owner = \"panel\""),
    ]);
    assert_eq!(
        found[0],
        ("outputs.back-strike".to_owned(), Effect::Restart, Change::Removed)
    );
    assert_eq!(found[1], ("site".to_owned(), Effect::Live, Change::Changed));
    assert_eq!(
        found[2],
        ("doors.back".to_owned(), Effect::Restart, Change::Changed)
    );
}

#[test]
fn another_state_folder_and_other_sip_ports_need_a_new_process() {
    let other = GOOD.replace(
        "fire-input = \"fire\"",
        "fire-input = \"fire\"\nstate-dir = \"/srv/doorline\"",
    );
    let moved = plan(&read(GOOD), &read(&other));
    assert!(moved.needs_process());
    assert_eq!(moved.effect(&Component::Site), Some(Effect::Process));

    let ports = plan(
        &read(GOOD),
        &read(&GOOD.replace("udp-port = 5060", "udp-port = 5070")),
    );
    assert!(ports.needs_process());
    assert_eq!(ports.effect(&Component::Sip), Some(Effect::Process));
}

#[test]
fn a_generation_is_confirmed_once_and_old_copies_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let site = folder.path().join("site.toml");
    fs::write(&site, "x").expect("writable");
    let store = Generations::open(folder.path()).expect("opens");
    assert_eq!(store.confirmed().expect("readable"), None);
    assert_eq!(store.number_for(&site, "a").expect("readable"), 1);
    assert_eq!(store.confirm(&site, "a").expect("written"), 1);
    assert_eq!(store.confirm(&site, "a").expect("written"), 1);
    assert_eq!(store.confirm(&site, "b").expect("written"), 2);
    // Going back to an older text is a generation of its own: grants of the one between are refused.
    assert_eq!(store.confirm(&site, "a").expect("written"), 3);
    for n in 4..40 {
        assert_eq!(store.confirm(&site, &format!("text {n}")).expect("written"), n);
    }
    let last = store.confirmed().expect("readable").expect("there");
    assert_eq!((last.number, last.text.as_str()), (39, "text 39"));
    let mut copies = 0;
    for entry in fs::read_dir(folder.path().join("generations")).expect("readable") {
        let entry = entry.expect("readable");
        let mode = entry.metadata().expect("readable").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} can be read by others", entry.path());
        copies += usize::from(entry.path().extension().is_some_and(|e| e == "toml"));
    }
    assert_eq!(copies, 20);
}

#[test]
fn a_copy_that_was_not_confirmed_is_not_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let site = folder.path().join("site.toml");
    let store = Generations::open(folder.path()).expect("opens");
    store.confirm(&site, "a").expect("written");
    // Power failed between the copy and the pointer.
    fs::write(folder.path().join("generations/000002.toml"), "half").expect("writable");
    assert_eq!(
        store.confirmed().expect("readable").map(|g| g.text),
        Some("a".to_owned())
    );
    assert_eq!(store.confirm(&site, "b").expect("written"), 3);

    fs::write(folder.path().join("generations/confirmed"), "nonsense").expect("writable");
    let error = store.confirmed().expect_err("broken").to_string();
    assert!(
        error.contains("found \"nonsense\", wanted a number and a path"),
        "{error}"
    );
}

#[test]
fn a_pointer_that_says_nothing_is_set_aside_and_the_next_generation_confirmed() {
    for bad in [
        &b""[..],
        &[0; 40],
        &[0xFF, 0xFE],
        b"nonsense\n",
        b"7\n/no/such/copy.toml\n",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let site = folder.path().join("site.toml");
        let store = Generations::open(folder.path()).expect("opens");
        assert_eq!(store.mend().expect("nothing to do"), None);
        for text in ["a", "b"] {
            store.confirm(&site, text).expect("written");
        }
        assert_eq!(store.mend().expect("nothing to do"), None);
        fs::write(folder.path().join("generations/confirmed"), bad).expect("written");
        assert!(store.number_for(&site, "b").is_err());
        let told = store.mend().expect("set aside").expect("something was wrong");
        assert!(told.contains("set aside as"), "{told}");
        let aside = fs::read(folder.path().join("generations/confirmed.damaged")).expect("readable");
        assert_eq!(aside, bad);
        // numbers go on
        assert_eq!(store.confirm(&site, "b").expect("written"), 3);
        assert_eq!(store.confirmed().expect("readable").expect("there").number, 3);
    }
}

#[test]
fn a_broken_site_file_starts_with_the_last_confirmed_generation_of_that_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let site = site_in(folder.path(), "pbx.secret");
    let secret = folder.path().join("pbx.secret");
    fs::write(&secret, "correct horse\n").expect("writable");
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("chmod");

    let good = fs::read_to_string(&site).expect("readable");
    let broken = good.replace("strike-ms = 3000", "strike-ms = 99");
    fs::write(&site, &broken).expect("writable");
    let text = faults_of(boot(&site).expect_err("nothing was confirmed"));
    assert!(text.contains("99 ms is outside 1000 to 25000 ms"), "{text}");

    fs::write(&site, &good).expect("writable");
    let Boot::Given(loaded) = boot(&site).expect("loads") else {
        panic!("the file is good")
    };
    let store = Generations::open(&loaded.config.site.state_dir).expect("opens");
    let number = store.confirm(&site, &loaded.text).expect("written");

    for text in [broken, good.replace("strike-ms = 3000", "strike-ms = = 3000")] {
        fs::write(&site, &text).expect("writable");
        match boot(&site).expect("the confirmed one") {
            Boot::LastConfirmed {
                loaded,
                number: found,
                why,
            } => {
                assert_eq!(found, number);
                assert_eq!(loaded.text, good);
                assert!(faults_of(why).contains("strike-ms"));
            }
            Boot::Given(_) => panic!("a broken file was taken"),
        }
    }

    // Another file of the same state folder does not inherit it, and a missing one is a typing mistake.
    let other = folder.path().join("other.toml");
    fs::write(&other, fs::read_to_string(&site).expect("readable")).expect("writable");
    boot(&other).expect_err("never confirmed");
    fs::remove_file(&site).expect("removable");
    assert!(matches!(boot(&site), Err(LoadError::Read { .. })));
}
