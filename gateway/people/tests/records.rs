//! People and credentials over the records log: imports as a whole or not at all, and what a power cut leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gateway_access::{Access, Change, Code, CodeFrom, Directory, PinKey, Policy, RightOf, When, card_frame};
use gateway_core::{CredentialId, Secret};
use gateway_people::{
    Changed, Form, Import, LIMITS, OF_RECORDS, OF_SITE, OfSite, People, PeopleError, Shown, SiteNames, USE,
    clashes, directory, people_only, same_cards, use_value,
};
use gateway_store::fake::FakeIo;
use gateway_store::{Options, Store};
use tokio::sync::mpsc;

fn key() -> PinKey {
    PinKey::new([9; 32])
}

fn open(fake: &FakeIo) -> Store {
    let options = Options {
        index: false,
        kind_limits: LIMITS.into(),
        segment: 8192,
        ..Options::default()
    };
    Store::open(Path::new("/state"), options, fake.clone())
        .expect("opens")
        .0
}

fn site() -> SiteNames {
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    SiteNames {
        codes: vec![Secret::new("9")],
        doors: names(&["front", "back"]),
        groups: names(&["residents", "cleaners"]),
        held: vec![
            OfSite {
                at: "cards.spare".to_owned(),
                card: Some(card_frame("26:7,00007").expect("a card")),
                ..OfSite::default()
            },
            OfSite {
                at: "codes.nine".to_owned(),
                digits: Some(Secret::new("9")),
                doors: vec!["front".to_owned()],
                person: Some("zoe".to_owned()),
                place: Some("call"),
                ..OfSite::default()
            },
            OfSite {
                at: "doors.front.callers[0]".to_owned(),
                doors: vec!["front".to_owned()],
                name: "Reception".to_owned(),
                number: Some("sip:1000@pbx.000".to_owned()),
                ..OfSite::default()
            },
        ],
        schedules: names(&["day"]),
        zone: jiff::tz::TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a rule"),
    }
}

/// People whose changes go into a directory, as the core keeps one.
struct House {
    people: People,
    store: Store,
}

fn house(fake: &FakeIo) -> (House, tokio::task::JoinHandle<Directory>) {
    let store = open(fake);
    let (to_core, mut changes) = mpsc::channel::<Changed>(4);
    let people = People::new(store.records().clone(), key(), to_core);
    people.set_site(site());
    let (mut core, unread) = directory(store.records(), key());
    assert_eq!(unread, 0);
    let task = tokio::spawn(async move {
        while let Some(Changed { changes, done }) = changes.recv().await {
            changes.into_iter().for_each(|change| core.apply(change));
            let _ = done.send(());
        }
        core
    });
    (House { people, store }, task)
}

async fn import(house: &House, text: &str) -> Result<String, Vec<String>> {
    told(
        house
            .people
            .import(text.to_owned(), Import::default(), |_| ())
            .await,
    )
}

fn told(result: Result<gateway_people::Report, PeopleError>) -> Result<String, Vec<String>> {
    match result {
        Ok(report) => Ok(report.to_string()),
        Err(PeopleError::Faults { faults, .. }) => Err(faults.iter().map(ToString::to_string).collect()),
        Err(other) => Err(vec![other.to_string()]),
    }
}

/// What a directory says, in an order of its own.
fn picture(directory: &Directory) -> Vec<String> {
    directory
        .credentials()
        .map(|c| format!("{c:?} used {}", directory.used(&c.id)))
        .collect()
}

const EVERYBODY: &str = "\
person,name,groups,kind,value,doors,schedule,from,until,uses,at
alice,Alice A.,residents,card,\"123,04567\",,,,,,
alice,,,pin,4711,,,,,,
alice,,,phone-pin,+33476123456,,,,,,
bob,\"Bob, the cleaner\",cleaners,card,rev:0077705923,,day,,2026-12-24,,
,,,code,481216,front,,2026-12-01T08:00,2026-12-01,1,keypad
";

#[tokio::test]
async fn what_was_imported_is_exported_and_imported_again_without_a_change() {
    let (house, core) = house(&FakeIo::new());
    let done = import(&house, EVERYBODY).await.expect("no faults");
    assert_eq!(
        done,
        "people: 2 new, 0 changed, 0 removed; credentials: 5 new, 0 changed, 0 removed"
    );
    for form in [Form::Csv, Form::Json] {
        let text = house.people.export(form).await;
        assert!(
            !text.contains("4711") && !text.contains("481216"),
            "codes and PINs are digests: {text}"
        );
        let how = Import {
            replace: true,
            ..Import::default()
        };
        let again = told(house.people.import(text, how, |_| ()).await).expect("no faults");
        assert_eq!(
            again,
            "people: 0 new, 0 changed, 0 removed; credentials: 0 new, 0 changed, 0 removed"
        );
    }
    let shown = house.people.list().await;
    let values: Vec<&str> = shown.iter().map(|line| line.value.as_str()).collect();
    assert!(
        !values.iter().any(|v| v.contains("04567") || v.contains("123456")),
        "{values:?}"
    );
    let (kept, _) = directory(house.store.records(), key());
    drop(house.people);
    let core = core.await.expect("it ends");
    assert_eq!(picture(&core), picture(&kept));
    assert_eq!(core.len(), 5);
}

#[tokio::test]
async fn what_the_site_file_has_is_listed_behind_the_records_and_never_exported() {
    let (house, core) = house(&FakeIo::new());
    import(&house, EVERYBODY).await.expect("no faults");
    let all = house.people.everybody().await;
    let (of_site, records): (Vec<_>, Vec<_>) = all.into_iter().partition(|line| line.origin == OF_SITE);
    assert!(records.iter().all(|line| line.origin == OF_RECORDS));
    assert_eq!(records.len(), house.people.list().await.len());
    let told: Vec<String> = of_site
        .iter()
        .map(|line| {
            let Shown {
                at,
                credential,
                doors,
                kind,
                name,
                person,
                value,
                ..
            } = line;
            format!("{credential} {person}/{name} {kind} {value} {doors} {at}")
        })
        .collect();
    assert_eq!(
        told,
        [
            "cards.spare / card ***07  ",
            "codes.nine zoe/ code *** front call",
            "doors.front.callers[0] /Reception phone ************000 front ",
        ]
    );
    let zoe = house.people.person("zoe").await.expect("the site file names her");
    assert_eq!((zoe.lines.len(), zoe.state), (1, None));
    let alice = house.people.person("alice").await.expect("she is there");
    assert!(alice.state.is_some() && alice.lines.iter().all(|line| line.origin == OF_RECORDS));
    assert!(house.people.person("eve").await.is_none());
    let export = house.people.export(Form::Json).await;
    assert!(
        !export.contains("origin") && !export.contains("codes.nine"),
        "{export}"
    );
    drop(house);
    core.await.expect("it ends");
}

#[tokio::test]
async fn a_pin_that_begins_like_a_code_of_the_site_is_refused_and_nothing_is_half_done() {
    let (house, _core) = house(&FakeIo::new());
    let mut of_site = site();
    of_site.codes.push(Secret::new("47115"));
    house.people.set_site(of_site);
    for (pin, told) in [("9471", true), ("4711", true), ("47115", true), ("4712", false)] {
        let text = format!("person,kind,value,groups\nalice,pin,{pin},residents\n");
        let done = import(&house, &text).await;
        match done {
            Err(faults) => {
                assert!(told && faults.len() == 1, "{pin}: {faults:?}");
                assert!(
                    faults[0].contains("code of the site file") && !faults[0].contains(pin),
                    "{faults:?}"
                );
                assert!(house.people.list().await.is_empty());
            }
            Ok(done) => assert!(!told, "{pin}: {done}"),
        }
    }
}

#[tokio::test]
async fn what_a_spreadsheet_would_take_for_a_formula_comes_back_as_it_was() {
    let (house, _core) = house(&FakeIo::new());
    let json = r#"[{"person":"zed","name":"=Zed, @home","kind":"phone","value":"+33 6 12 77"},
        {"person":"ann","name":"'=Ann","kind":"phone-pin","value":"+33 6 12-78"},
        {"person":"cy","name":"@cy","kind":"phone","value":"sip:cy.b@PBX.example:5070"},
        {"person":"dee","name":"'n Dee","kind":"phone","value":"-12 34"}]"#;
    import(&house, json).await.expect("no faults");
    let (list, before) = (house.people.list().await, house.people.export(Form::Json).await);
    assert!(
        before.contains("\"+3361277\"") && before.contains("sip:cy.b@pbx.example"),
        "{before}"
    );
    let csv = house.people.export(Form::Csv).await;
    assert!(csv.contains("'=Zed") && csv.contains("''=Ann"), "{csv}");
    let how = Import {
        replace: true,
        ..Import::default()
    };
    let again = told(house.people.import(csv, how, |_| ()).await).expect("no faults");
    assert_eq!(
        again,
        "people: 0 new, 0 changed, 0 removed; credentials: 0 new, 0 changed, 0 removed"
    );
    assert_eq!(house.people.list().await, list);
    // a number is one, however it is written
    let same = import(&house, "person,kind,value\nzed,phone,+33(6)12.77\n").await;
    assert!(
        same.expect("no faults")
            .ends_with("credentials: 0 new, 0 changed, 0 removed")
    );
}

#[tokio::test]
async fn who_withholds_the_number_is_nobodys_telephone() {
    let (house, _core) = house(&FakeIo::new());
    let bad = [
        "anonymous",
        "Unknown",
        "sip:anonymous@anonymous.invalid",
        "private",
        "restricted",
        "unavailable",
        "+",
        "sip:'; drop",
        "alice",
        "047*",
        "10??",
    ];
    for value in bad {
        let faults = import(&house, &format!("person,kind,value\nzw,phone,{value}\n")).await;
        let faults = faults.expect_err(value);
        assert!(
            faults.len() == 1 && faults[0].starts_with("line 2, value: "),
            "{value}: {faults:?}"
        );
    }
    assert!(house.people.list().await.is_empty());
}

#[tokio::test]
async fn an_export_shows_nothing_of_how_codes_begin_and_makes_it_anew() {
    let (first, _core) = house(&FakeIo::new());
    let codes = "kind,value,doors\ncode,481216,front\ncode,48120077,front\n";
    import(&first, codes).await.expect("no faults");
    let export = first.people.export(Form::Json).await;
    for digits in ["4", "48", "481", "4812", "48121", "481200"] {
        assert!(
            !export.contains(&key().head(digits).to_string()),
            "{digits}: {export}"
        );
    }
    let all: serde_json::Value = serde_json::from_str(&export).expect("JSON");
    let values: BTreeSet<String> = all
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|line| line["value"].as_str())
        .flat_map(|value| value.split(':').map(str::to_owned))
        .filter(|part| part.len() >= 32)
        .flat_map(|part| part.as_bytes().chunks(32).map(<[u8]>::to_vec).collect::<Vec<_>>())
        .map(|part| String::from_utf8(part).expect("digits"))
        .collect();
    assert_eq!(values.len(), 2 * 9, "nothing is alike: {export}");
    // another journal with the same key: codes that clash are still found
    let (second, _core) = house(&FakeIo::new());
    import(&second, &export).await.expect("no faults");
    let clash = import(&second, "kind,value,doors\ncode,4812,front\n").await;
    assert!(clash.expect_err("it begins both")[0].contains("of somebody else"));
    let codes = ["4812", "5"].map(Secret::new);
    let codes: Vec<&Secret> = codes.iter().collect();
    assert_eq!(clashes(second.store.records(), &key(), &codes), [0]);
}

#[tokio::test]
async fn a_code_that_begins_another_is_told_whose_the_other_is() {
    let (house, _core) = house(&FakeIo::new());
    import(&house, "person,kind,value\nann,code,4812\n")
        .await
        .expect("no faults");
    for (line, expected) in [
        ("bob,code,9876", "(codes.nine of the site file)"),
        ("bob,code,48121", "(of somebody else)"),
        ("ann,code,48121", "of the same person)"),
    ] {
        let faults = import(&house, &format!("person,kind,value\n{line}\n"))
            .await
            .expect_err(line);
        assert!(faults[0].contains(expected), "{line}: {faults:?}");
    }
}

#[tokio::test]
async fn a_card_of_the_site_file_is_no_card_of_people() {
    let (house, _core) = house(&FakeIo::new());
    for value in ["\"26:7,00007\"", "\"7,7\"", "0000458759"] {
        let faults = import(&house, &format!("person,kind,value\nbob,card,{value}\n")).await;
        let faults = faults.expect_err(value);
        assert!(faults[0].contains("cards.spare"), "{faults:?}");
    }
    // one that is there from before stays, and is told when it matters
    house.people.set_site(SiteNames {
        held: Vec::new(),
        ..site()
    });
    import(&house, "person,kind,value\nbob,card,\"7,7\"\n")
        .await
        .expect("no faults");
    house.people.set_site(site());
    let frames = ["26:7,00007", "26:8,00007"].map(|text| card_frame(text).expect("a card"));
    assert_eq!(same_cards(house.store.records(), &[&frames[0], &frames[1]]), [0]);
    let export = house.people.export(Form::Csv).await;
    told(house.people.import(export, Import::default(), |_| ()).await).expect("no faults");
    let removed = house
        .people
        .remove_person("bob", |_| ())
        .await
        .expect("he was there");
    assert!(
        removed.left.len() == 1
            && removed.left[0].contains("STILL OPENS")
            && removed.left[0].contains("cards.spare"),
        "{removed:?}"
    );
}

/// Whether the code of the site file that is zoe's opens by these records.
fn opens(directory: Directory) -> bool {
    let mut front = gateway_access::DoorPolicy::new("strike".parse().expect("a name"));
    front.digits_by_list = true;
    let code = Code {
        digits: Secret::new("9"),
        doors: BTreeSet::from(["front".parse().expect("a name")]),
        from: BTreeSet::from([CodeFrom::Call]),
        id: "nine".parse().expect("a name"),
        person: Some("zoe".parse().expect("a name")),
        when: When::Always,
    };
    let mut access = Access::new(Policy {
        codes: vec![code],
        doors: [("front".parse().expect("a name"), front)].into(),
        ..Policy::default()
    });
    access.set_directory(directory);
    let rights: Vec<RightOf> = access.rights().into_keys().collect();
    rights.iter().any(|right| right.who == "person:zoe")
}

#[tokio::test]
async fn who_was_blocked_removed_or_erased_has_nothing_in_the_site_file_any_more_until_they_are_there_again()
{
    let fake = FakeIo::new();
    let (first, core) = house(&fake);
    let now = |house: &House| directory(house.store.records(), key()).0;
    assert!(opens(now(&first)), "the records know nothing of her");
    assert!(matches!(
        first.people.remove_person("zoe", |_| ()).await,
        Err(PeopleError::OfSiteOnly { .. })
    ));
    let block = "person,blocked\nzoe,yes\n".to_owned();
    let report = first
        .people
        .import(block, Import::default(), |_| ())
        .await
        .expect("no faults");
    assert!(
        report.left.len() == 1 && report.left[0].contains("codes.nine"),
        "{report:?}"
    );
    assert!(!opens(now(&first)));
    // said once, when it begins
    let again = "person,name\nzoe,Zoe\n".to_owned();
    let report = first
        .people
        .import(again, Import::default(), |_| ())
        .await
        .expect("no faults");
    assert_eq!(report.left, [""; 0]);
    let removed = first
        .people
        .remove_person("zoe", |_| ())
        .await
        .expect("she was there");
    assert!(
        removed.left.len() == 1 && removed.left[0].contains("codes.nine"),
        "{removed:?}"
    );
    assert!(!opens(now(&first)));
    assert!(!opens(people_only(first.store.records(), key()).0));
    drop(first.people);
    assert!(!opens(core.await.expect("it ends")));
    first.store.close();

    let (second, _core) = house(&fake);
    assert!(!opens(now(&second)), "a restart brings her back");
    let again = "person\nzoe\n".to_owned();
    let report = second
        .people
        .import(again, Import::default(), |_| ())
        .await
        .expect("no faults");
    assert!(
        report.left.len() == 1 && report.left[0].contains("opens again"),
        "{report:?}"
    );
    assert!(opens(now(&second)), "she is there again");
    // an import that replaces everybody removes her too
    let how = Import {
        replace: true,
        ..Import::default()
    };
    told(
        second
            .people
            .import("person\nbob\n".to_owned(), how, |_| ())
            .await,
    )
    .expect("no faults");
    assert!(!opens(now(&second)));
    import(&second, "person\nzoe\n").await.expect("no faults");
    second
        .people
        .erase(&second.store, "zoe", Vec::new(), || ())
        .await
        .expect("she was there");
    assert!(!opens(now(&second)), "who was erased comes in");
    let mut rows = String::new();
    second
        .store
        .records()
        .visit(gateway_people::BARRED, |key, value| {
            rows += &format!("{key} {value}\n")
        });
    assert!(rows.lines().count() == 1 && !rows.contains("zoe"), "{rows}");
    // a row that cannot be read keeps her out as well
    import(&second, "person\nzoe\n").await.expect("no faults");
    let odd = serde_json::json!({ "blocked": "perhaps" });
    let kept = second
        .store
        .records()
        .put_durable(gateway_people::PERSON, "zoe", odd, None)
        .await;
    kept.expect("kept");
    assert!(!opens(now(&second)));
}

#[tokio::test]
async fn codes_that_begin_like_a_persons_are_found_by_their_digests() {
    let (house, _core) = house(&FakeIo::new());
    import(&house, EVERYBODY).await.expect("no faults");
    let codes = ["4", "48121", "481216", "4812160", "481217", "9", "1216", "5"].map(Secret::new);
    let codes: Vec<&Secret> = codes.iter().collect();
    // a PIN opens nothing by itself, and stands in nobody's way
    assert_eq!(clashes(house.store.records(), &key(), &codes), [0, 1, 2, 3]);
    assert_eq!(
        clashes(house.store.records(), &PinKey::new([1; 32]), &codes),
        [0; 0]
    );
}

#[tokio::test]
async fn every_bad_line_is_told_and_nothing_is_done() {
    let (house, _core) = house(&FakeIo::new());
    import(&house, EVERYBODY).await.expect("no faults");
    let bad = "\
person,name,groups,kind,value,doors,schedule,from,until,uses,at
Carol,x,residents,card,\"1,1\",,,,,,
carol,x,residnets,card,\"1,1\",,,,,,
carol,,,card,123456,,,,,,
carol,,,pin,47,,,,,,
dave,,,card,\"123,04567\",,,,,,
,,,code,48121,front,,,,,
,,,code,4812167,front,,,,,
,,,code,9876,front,,,,,
,,,code,556677,,,,,,
,,,code,556677,frnt,,,,0,phone
,,,phone,10*,front,night,2026-13-01,,,
erik,,,card,\"2,2\",,,2026-12-02,2026-12-01,,
erik,,,key,1,,,,,,
,Nobody,,,,,,,,,
bob,,,,,,,,2026-12-24,,
";
    let faults = import(&house, bad).await.expect_err("faults");
    let lines: BTreeSet<usize> = faults
        .iter()
        .filter_map(|fault| {
            fault
                .strip_prefix("line ")?
                .split([':', ','])
                .next()?
                .parse()
                .ok()
        })
        .collect();
    assert_eq!(lines, (2..=16).collect(), "{faults:#?}");
    assert!(
        !faults
            .iter()
            .any(|f| f.contains("481216") || f.contains("123,04567")),
        "{faults:#?}"
    );
    assert_eq!(house.people.list().await.len(), 5, "nothing was done");
    // the same with one good line among them
    assert!(import(&house, "person\nfred\nBAD\n").await.is_err());
    assert_eq!(house.people.list().await.len(), 5);
    let dry = Import {
        dry_run: true,
        replace: true,
    };
    let would = told(
        house
            .people
            .import("person\nfred\n".to_owned(), dry, |_| ())
            .await,
    )
    .expect("no faults");
    assert_eq!(
        would,
        "people: 1 new, 0 changed, 2 removed; credentials: 0 new, 0 changed, 5 removed"
    );
    assert_eq!(house.people.list().await.len(), 5);
}

#[tokio::test]
async fn a_code_that_is_drawn_is_free_and_told_once() {
    let (house, _core) = house(&FakeIo::new());
    let text = "kind,value,doors,uses\ncode,new,front,1\ncode,new:4,back,\n".to_owned();
    let report = house
        .people
        .import(text, Import::default(), |_| ())
        .await
        .expect("no faults");
    let lengths: Vec<usize> = report
        .made
        .iter()
        .map(|made| made.digits.reveal().len())
        .collect();
    assert_eq!(lengths, [6, 4]);
    for made in &report.made {
        let again = format!("kind,value,doors\ncode,{}1,front\n", made.digits.reveal());
        if again.len() <= "kind,value,doors\ncode,12345678,front\n".len() {
            assert!(import(&house, &again).await.is_err(), "one code begins another");
        }
    }
    let text = house.people.export(Form::Json).await;
    assert!(!report.made.iter().any(|made| text.contains(made.digits.reveal())));
}

#[tokio::test]
async fn changes_and_removals_count_at_once_and_a_used_code_stays_used() {
    let fake = FakeIo::new();
    let (first, core) = house(&fake);
    import(&first, EVERYBODY).await.expect("no faults");
    let code = first
        .people
        .list()
        .await
        .into_iter()
        .find(|line| line.kind == "code")
        .expect("it is there");
    first
        .store
        .records()
        .put_durable(USE, &code.credential, use_value(1), None)
        .await
        .expect("kept");
    // an older copy of everybody does not give the use back
    let copy = first
        .people
        .export(Form::Csv)
        .await
        .replace(",1,1,keypad", ",1,0,keypad");
    told(first.people.import(copy, Import::default(), |_| ()).await).expect("no faults");
    import(&first, "person,blocked,groups\nbob,yes,-\n")
        .await
        .expect("no faults");
    first
        .people
        .remove_person("alice", |_| ())
        .await
        .expect("she was there");
    assert!(matches!(
        first.people.remove_person("alice", |_| ()).await,
        Err(PeopleError::Unknown { .. })
    ));
    drop(first.people);
    let live = core.await.expect("it ends");
    assert_eq!(live.len(), 2);
    first.store.close();
    let (second, _core) = house(&fake);
    let (kept, _) = directory(second.store.records(), key());
    let id = CredentialId::new(&code.credential).expect("a name");
    assert_eq!(kept.used(&id), 1);
    assert_eq!(kept.len(), 2);
    assert!(
        kept.person(&"bob".parse().expect("a name"))
            .expect("he is there")
            .blocked
    );
    second
        .people
        .remove_credential(&code.credential, |_| ())
        .await
        .expect("it was there");
    let (kept, _) = directory(second.store.records(), key());
    assert_eq!((kept.len(), kept.used(&id)), (1, 0));
}

/// What must be there after a power cut: everything that was acknowledged; of what was not, all or nothing.
#[tokio::test]
async fn power_cuts_lose_no_acknowledged_credential_revocation_or_use_and_leave_no_half_import() {
    let mut halves = 0;
    for seed in 0..40_u64 {
        let fake = FakeIo::new();
        let (house, _core) = house(&fake);
        fake.die_at(fake.ops() + 5 + seed * 3);
        let mut there: BTreeSet<String> = BTreeSet::new();
        let mut used: BTreeMap<String, u32> = BTreeMap::new();
        // of the step in which the power went: what would have come, and what would have gone
        let mut doubtful = (BTreeSet::new(), BTreeSet::new());
        for round in 0..30_u32 {
            let mut health = house.store.health();
            let dies = health.wait_for(|health| !health.ok);
            let step = async {
                if round % 3 == 2 {
                    let gone = there.iter().next().cloned().expect("there are some");
                    doubtful = (BTreeSet::new(), BTreeSet::from([gone.clone()]));
                    house
                        .people
                        .remove_credential(&gone, |_| ())
                        .await
                        .expect("it is there");
                    there.remove(&gone);
                    used.remove(&gone);
                    let (id, times) = (there.iter().last().cloned().expect("more"), round + 1);
                    doubtful = (BTreeSet::new(), BTreeSet::new());
                    let records = house.store.records();
                    records
                        .put_durable(USE, &id, use_value(times), None)
                        .await
                        .expect("kept");
                    used.insert(id, times);
                } else {
                    let new: BTreeSet<String> = (0..7).map(|n| format!("c-{round}-{n}")).collect();
                    doubtful = (new.clone(), BTreeSet::new());
                    let line = |id: &String| format!("p{round},{id},code,new:8,front,50\n");
                    let lines: String = new.iter().map(line).collect();
                    let text = format!("person,credential,kind,value,doors,uses\n{lines}");
                    house
                        .people
                        .import(text, Import::default(), |_| ())
                        .await
                        .expect("no faults");
                    there.extend(new);
                }
                doubtful = (BTreeSet::new(), BTreeSet::new());
            };
            // whichever comes first: the step is done, or the medium is gone
            tokio::select! {
                () = step => {}
                _ = dies => break,
            }
        }
        let after = fake.after_power_cut(seed);
        house.store.close();
        let store = open(&after);
        let (kept, unread) = directory(store.records(), key());
        assert_eq!(unread, 0);
        let found: BTreeSet<String> = kept.credentials().map(|c| c.id.to_string()).collect();
        let (coming, going) = doubtful;
        for id in &there {
            assert!(
                found.contains(id) || going.contains(id),
                "seed {seed}: {id} was acknowledged and is lost"
            );
        }
        for id in found.difference(&there) {
            assert!(coming.contains(id), "seed {seed}: {id} was withdrawn and is back");
        }
        let came = found.intersection(&coming).count();
        assert!(
            came == 0 || came == coming.len(),
            "seed {seed}: {came} of an import of {}",
            coming.len()
        );
        halves += usize::from(came == 0 && !coming.is_empty());
        for (id, times) in used.iter().filter(|(id, _)| found.contains(*id)) {
            let id = CredentialId::new(id).expect("a name");
            assert!(kept.used(&id) >= *times, "seed {seed}: a use of {id} came back");
        }
        // and the decision goes by them from its first moment
        let mut access = Access::new(Policy::default());
        access.set_directory(kept);
        assert_eq!(access.directory().len(), found.len());
    }
    assert!(halves > 0, "no power cut came in the middle of an import");
}

#[tokio::test]
async fn a_row_of_another_version_opens_nothing_and_is_left_alone() {
    let fake = FakeIo::new();
    let (house, _core) = house(&fake);
    let strange = serde_json::json!({ "kind": "face", "value": "x" });
    house
        .store
        .records()
        .put_durable("credential", "c-face", strange.clone(), None)
        .await
        .expect("kept");
    let (kept, unread) = directory(house.store.records(), key());
    assert_eq!((kept.len(), unread), (0, 1));
    let how = Import {
        replace: true,
        ..Import::default()
    };
    told(house.people.import("person\nann\n".to_owned(), how, |_| ()).await).expect("no faults");
    let entry = house
        .store
        .records()
        .get("credential", "c-face")
        .expect("it is there");
    assert_eq!(entry.value, strange);
    let mut directory = Directory::new(key());
    directory.apply(Change::CredentialGone("c-face".parse().expect("a name")));
    assert!(directory.is_empty());
}

/// A request that is dropped once the records have its change: who is blocked is blocked, and it is noted.
#[tokio::test]
async fn a_change_whose_caller_went_away_reaches_the_core_and_is_noted() {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
    let store = open(&FakeIo::new());
    let (to_core, mut changes) = mpsc::channel::<Changed>(1);
    let people = People::new(store.records().clone(), key(), to_core.clone());
    people.set_site(site());
    let fill = || {
        let (done, _) = tokio::sync::oneshot::channel();
        let changes = Vec::new();
        to_core.try_send(Changed { changes, done }).expect("it is empty");
    };
    // the core is busy, so that neither change can be with it when its caller goes
    fill();
    let (note, noted) = tokio::sync::oneshot::channel();
    let text = "person,blocked,kind,value\nann,yes,card,\"1,1\"\n".to_owned();
    let import = people.import(text, Import::default(), move |report| {
        drop(note.send(report.to_string()));
    });
    let there = |kind, is: bool| {
        let records = store.records();
        async move {
            while records.list(kind).is_empty() == is {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
    };
    tokio::select! {
        _ = import => panic!("the core has not answered"),
        () = there("person", true) => {}
    }
    let mut told = Vec::new();
    while told.is_empty() {
        let part = tokio::time::timeout(PATIENCE, changes.recv()).await;
        let Changed { changes, done } = part.expect("the change comes").expect("it is open");
        told.extend(changes);
        let _ = done.send(());
    }
    assert!(
        told.iter()
            .any(|change| matches!(change, Change::Person(person) if person.blocked)),
        "{told:?}"
    );
    assert_eq!(
        noted.await.expect("it is noted"),
        "people: 1 new, 0 changed, 0 removed; credentials: 1 new, 0 changed, 0 removed"
    );

    fill();
    let (note, noted) = tokio::sync::oneshot::channel();
    let removal = people.remove_person("ann", move |_| note.send(()).expect("it is awaited"));
    tokio::select! {
        _ = removal => panic!("the core has not answered"),
        () = there("person", false) => {}
    }
    // the next change waits for its turn until the core has the one before
    let next = people.import("person\nbob\n".to_owned(), Import::default(), |_| ());
    let core = async {
        let mut told = Vec::new();
        while told.len() < 3 {
            let Changed { changes, done } = changes.recv().await.expect("it is open");
            told.extend(changes);
            let _ = done.send(());
        }
        told
    };
    let both = tokio::time::timeout(PATIENCE, async { tokio::join!(next, core) }).await;
    let (next, told) = both.expect("both changes come");
    next.expect("no faults");
    assert!(
        matches!(
            &told[..],
            [
                Change::CredentialGone(_),
                Change::PersonGone(_),
                Change::Person(_)
            ]
        ),
        "{told:?}"
    );
    noted.await.expect("it is noted");
}

/// With `replace` an emptied column withdraws rights, and lifts no restriction; without, it says nothing.
#[tokio::test]
async fn an_emptied_column_withdraws_if_the_lines_replace() {
    let (house, _core) = house(&FakeIo::new());
    let full = "\
person,name,groups,person-until,blocked,credential,kind,value,doors,schedule,until,uses,used,at
ann,Ann,residents,2027-01-01,yes,c-1,card,\"1,1\",front,day,2027-01-01,5,,
ann,,,,,c-2,code,481216,back,,,3,2,keypad
";
    import(&house, full).await.expect("no faults");
    let before = house.people.export(Form::Json).await;
    let blank = "\
person,name,groups,person-until,blocked,credential,kind,value,doors,schedule,until,uses,used,at
ann,,cleaners,,,c-1,,,,,,,,
ann,,,,,c-2,,,,,,,,
";
    let kept = import(&house, &blank.replace("cleaners", "")).await;
    assert!(kept.expect("no faults").starts_with("people: 0 new, 0 changed"));
    assert_eq!(house.people.export(Form::Json).await, before);
    let replace = |text: &str| {
        let how = Import {
            replace: true,
            ..Import::default()
        };
        house.people.import(text.to_owned(), how, |_| ())
    };
    let faults = told(replace("credential,doors\nc-1,front\n").await).expect_err("it was ann's");
    assert!(
        faults[0].starts_with("line 2, person: is empty, but the credential belongs to \"ann\""),
        "{faults:?}"
    );
    assert_eq!(house.people.export(Form::Json).await, before);
    let done = told(replace(blank).await).expect("no faults");
    assert_eq!(
        done,
        "people: 0 new, 1 changed, 0 removed; credentials: 0 new, 2 changed, 0 removed"
    );
    let after: serde_json::Value =
        serde_json::from_str(&house.people.export(Form::Json).await).expect("JSON");
    let before: serde_json::Value = serde_json::from_str(&before).expect("JSON");
    // the group of the first line is there after the second, which leaves it empty
    assert_eq!(
        after,
        serde_json::json!([
            {
                "person": "ann", "groups": "cleaners", "person-until": before[0]["person-until"], "blocked": "yes",
                "credential": "c-1", "kind": "card", "value": "1,00001", "schedule": "day",
                "until": before[0]["until"], "uses": "5",
            },
            {
                "person": "ann", "groups": "cleaners", "person-until": before[0]["person-until"], "blocked": "yes",
                "credential": "c-2", "kind": "code", "value": before[1]["value"], "uses": "3", "used": "2",
                "at": "keypad",
            },
        ])
    );
    // the place of the value is still known
    assert!(
        import(&house, "kind,value,doors\ncode,4812,front\n")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn null_and_an_empty_list_of_json_clear() {
    let (house, _core) = house(&FakeIo::new());
    let full = r#"[{"person":"ann","name":"Ann","groups":["residents"],"credential":"c-1","kind":"card","value":"1,1",
        "doors":["front"],"until":"2027-01-01","uses":5}]"#;
    import(&house, full).await.expect("no faults");
    let clear = r#"[{"person":"ann","name":"","groups":[],"credential":"c-1","kind":null,"value":null,"doors":[],
        "schedule":null,"until":null,"uses":null,"used":null,"at":null}]"#;
    import(&house, clear).await.expect("no faults");
    let left: serde_json::Value = serde_json::from_str(&house.people.export(Form::Json).await).expect("JSON");
    assert_eq!(
        left,
        serde_json::json!([
            { "person": "ann", "name": "Ann", "credential": "c-1", "kind": "card", "value": "1,00001" },
        ])
    );
    // nobody's credential may say so of every column of a person
    let nobody = r#"{"person":null,"name":null,"groups":[],"kind":"card","value":"2,2","doors":["front"]}"#;
    import(&house, &format!("[{nobody}]")).await.expect("no faults");
}

#[tokio::test]
async fn a_quote_that_is_not_closed_hides_no_fault_before_it() {
    let (house, _core) = house(&FakeIo::new());
    let text = "person,kind,value\nann,card,nonsense\nbob,pin,1\ncarl,card,\"123,04567\ndora,pin,4711\n";
    let faults = import(&house, text).await.expect_err("faults");
    let lines: Vec<&str> = faults
        .iter()
        .filter_map(|fault| fault.split([',', ':']).next())
        .collect();
    assert_eq!(lines, ["line 2", "line 3", "line 4"], "{faults:?}");
    assert!(faults[2].contains("a quote is not closed"), "{faults:?}");
}
