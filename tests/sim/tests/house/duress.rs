//! A code or PIN that is typed under duress: the door opens, or stays shut, exactly as by the ordinary one, and what is
//! told in silence goes only to those who are asked to know.

use gateway_access::{CardKey, CodeFrom, Person};
use gateway_core::{
    AccessEvent, Command, Event, Factor, ReaderCommand, Record, Secret, SignalKind, SiteView, Subject,
    Template,
};
use gateway_site::rules::{Action, Conditions, Rule, Trigger};
use gateway_site::{Change, Credential, Directory, PinKey, Proof, SiteParams, Validity, When};
use sim::{Sim, first_door, id, ms, secs};

const CARD: &str = "26:200,00001";

/// The first door, whose reader always wants the PIN beside the card; a rule looks at everything that can be looked at.
fn house() -> SiteParams {
    let mut site = first_door();
    site.readers
        .get_mut(&id("front-reader"))
        .expect("the reader")
        .card_alone = When::Never;
    let rule = Rule {
        actions: vec![Action::Notify {
            channel: id("erp"),
            message: Template::new("{kind}").expect("a template"),
        }],
        most_per_minute: 20,
        on: Trigger {
            kinds: ["access".to_owned()].into(),
            ..Trigger::default()
        },
        when: Conditions::default(),
    };
    site.rules.insert(id("curious"), rule);
    site
}

fn sim() -> Sim {
    let key = PinKey::new([3; 32]);
    let credential = |name: &str, proof| Credential {
        doors: [id("front")].into(),
        id: id(name),
        person: Some(id("alice")),
        proof,
        uses: None,
        valid: Validity::default(),
        when: When::Always,
    };
    let code = |digits: &str, duress| Proof::Code {
        duress,
        from: [CodeFrom::Call, CodeFrom::Keypad].into(),
        heads: key.heads(&Secret::new(digits)),
        tag: key.code(&Secret::new(digits)),
    };
    let pin = |digits: &str| key.pin(&id("alice"), &Secret::new(digits));
    let all = [
        (
            "c-card",
            Proof::Card(CardKey::parse("200,00001").expect("a card")),
        ),
        ("c-pin", Proof::Pin(pin("4711"))),
        ("c-forced-pin", Proof::DuressPin(pin("4712"))),
        ("c-code", code("556677", false)),
        ("c-forced-code", code("556688", true)),
    ];
    let mut directory = Directory::new(key.clone());
    directory.apply(Change::Person(Person {
        blocked: false,
        groups: [].into(),
        id: id("alice"),
        valid: Validity::default(),
    }));
    for (name, proof) in all {
        directory.apply(Change::Credential(credential(name, proof)));
    }
    let mut sim = Sim::new(house());
    sim.site.restore_people(directory);
    sim.wait(secs(1));
    sim
}

fn types(sim: &mut Sim, digits: &str) {
    for key in digits.chars() {
        let reader = id("front-reader");
        sim.signal(sim.now(), false, SignalKind::Key { key, reader });
        sim.wait(ms(200));
    }
}

/// Everything that can be seen at the building, at the page, at a broker and by rules.
type Seen = (Vec<Record>, Vec<(String, ReaderCommand)>, Vec<String>, SiteView);

fn seen(sim: &Sim) -> Seen {
    let records = sim.records.iter().map(Record::from);
    let records = records.filter(|record| !gateway_core::is_confidential(&record.kind));
    let readers = sim.readers.iter();
    let readers = readers.map(|(reader, command)| (reader.to_string(), *command));
    let pulses = sim.pulses.iter().map(|pulse| format!("{pulse:?}"));
    (
        records.collect(),
        readers.collect(),
        pulses.collect(),
        sim.site.view(),
    )
}

fn alarms(sim: &Sim) -> Vec<(String, Factor)> {
    let told = sim.records.iter().filter_map(|envelope| {
        let Event::Access(door, AccessEvent::Duress { factor, subject }) = &envelope.event else {
            return None;
        };
        assert_eq!(subject, &Subject::Person(id("alice")), "{}", sim.log());
        Some((door.to_string(), *factor))
    });
    told.collect()
}

/// How somebody shows what they have, with these digits.
type Way<'a> = &'a dyn Fn(&mut Sim, &str);

#[test]
fn nobody_at_the_door_or_the_page_sees_a_difference_and_the_alarm_is_raised() {
    let with_card = |sim: &mut Sim, pin: &str| {
        sim.card("front-reader", CARD);
        sim.wait(ms(300));
        types(sim, pin);
        sim.wait(secs(6));
    };
    let by_code = |sim: &mut Sim, code: &str| {
        types(sim, code);
        sim.wait(secs(6));
    };
    let ways: [(Way<'_>, &str, &str, Factor); 2] = [
        (&with_card, "4711", "4712", Factor::Card),
        (&by_code, "556677", "556688", Factor::Code),
    ];
    for (way, usual, forced, factor) in ways {
        let (mut free, mut under) = (sim(), sim());
        way(&mut free, usual);
        way(&mut under, forced);
        assert_eq!(free.pulses.len(), 1, "{}", free.log());
        assert_eq!(seen(&free), seen(&under), "{}", under.log());
        assert_eq!(alarms(&free), []);
        assert_eq!(alarms(&under), [("front".to_owned(), factor)], "{}", under.log());
    }
}

#[test]
fn where_the_door_stays_shut_the_alarm_is_raised_all_the_same() {
    let (mut free, mut under) = (sim(), sim());
    for (sim, code) in [(&mut free, "556677"), (&mut under, "556688")] {
        sim.command("l", Command::Lockdown { group: None });
        types(sim, code);
        sim.wait(secs(6));
        assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    }
    assert_eq!(seen(&free), seen(&under), "{}", under.log());
    assert_eq!(
        (alarms(&free).len(), alarms(&under).len()),
        (0, 1),
        "{}",
        under.log()
    );
}
