//! Schedules in the whole gateway: codes and cards in their time, and readers that ask for a PIN at night.

use gateway_access::CodeFrom;
use gateway_core::{Explain, Means, Secret, SignalKind};
use gateway_site::{
    Change, Credential, Directory, Input, PinKey, Proof, Schedule, Schedules, SiteParams, Validity, When,
};
use sim::{Sim, first_door, id, ms, secs, wall};

/// A day that begins with the quarter of an hour in which the simulation stands, and lasts for an hour.
fn house(sim_now: gateway_core::Instant) -> SiteParams {
    let now = wall(sim_now).to_zoned(jiff::tz::TimeZone::UTC);
    let (begin, end) = (now.hour(), now.hour() + 1);
    let line = format!("daily {begin:02}:00-{end:02}:00");
    let schedule = Schedule::new(&[line.parse().expect("times")], vec![], vec![]);
    let mut site = first_door();
    site.schedules = Schedules::new(jiff::tz::TimeZone::UTC, [(id("day"), schedule)].into());
    let day = When::parse("day").expect("a name");
    site.codes.get_mut(&id("pin")).expect("the code").when = day.clone();
    let alice = site.cards.get_mut(&id("alice")).expect("the card");
    alice.pin = Some(Secret::new("4711"));
    site.readers
        .get_mut(&id("front-reader"))
        .expect("the reader")
        .card_alone = day;
    site
}

fn sim() -> Sim {
    let begin = Sim::new(first_door()).now();
    let mut sim = Sim::new(house(begin));
    sim.wait(secs(1));
    sim
}

fn keys(sim: &mut Sim, keys: &str) {
    for key in keys.chars() {
        let reader = id("front-reader");
        sim.signal(sim.now(), false, SignalKind::Key { key, reader });
        sim.wait(ms(300));
    }
}

const CARD: &str = "26:123,04567";
/// Until the hour of the day is certainly over.
const EVENING: std::time::Duration = secs(2 * 3600);

#[test]
fn a_card_opens_alone_by_day_and_with_its_pin_by_night() {
    let mut sim = sim();
    sim.card("front-reader", CARD);
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());

    sim.wait(EVENING);
    sim.card("front-reader", CARD);
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    assert!(
        sim.kinds().iter().any(|k| k == "reader.pin-awaited"),
        "{}",
        sim.log()
    );
    assert_eq!(sim.denials(), Vec::<String>::new(), "nothing is refused yet");
    keys(&mut sim, "4711");
    assert_eq!(sim.pulses.len(), 2, "{}", sim.log());
}

#[test]
fn a_wrong_pin_uses_the_card_up() {
    let mut sim = sim();
    sim.wait(EVENING);
    sim.card("front-reader", CARD);
    keys(&mut sim, "4712#");
    assert_eq!(sim.denials(), ["wrong PIN"]);
    // the right one, without the card
    keys(&mut sim, "4711#");
    sim.wait(secs(5));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert_eq!(sim.denials(), ["wrong PIN", "wrong code"]);
}

#[test]
fn a_pin_that_comes_too_late_or_in_parts_opens_nothing() {
    let mut sim = sim();
    sim.wait(EVENING);
    sim.card("front-reader", CARD);
    sim.wait(secs(9));
    keys(&mut sim, "47");
    sim.wait(ms(500));
    keys(&mut sim, "11");
    sim.wait(secs(5));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    // the half before the time was up is a wrong PIN, the half after it was typed for nothing
    assert_eq!(sim.denials(), ["wrong PIN", "wrong code"]);
}

#[test]
fn digits_that_are_thrown_away_are_tries_and_a_lock_tells_nothing() {
    for thrown_away_by in ["0000*", "0000"] {
        let mut sim = sim();
        sim.wait(EVENING);
        for _ in 0..6 {
            sim.card("front-reader", CARD);
            keys(&mut sim, thrown_away_by);
        }
        sim.card("front-reader", CARD);
        assert_eq!(sim.denials(), ["wrong PIN"; 6], "{thrown_away_by}\n{}", sim.log());
        // the right one ends no sooner than a wrong one would, and is refused
        keys(&mut sim, "4711");
        assert_eq!(sim.denials().len(), 6, "{thrown_away_by}\n{}", sim.log());
        keys(&mut sim, "#");
        assert_eq!(sim.denials().len(), 7, "{thrown_away_by}\n{}", sim.log());
        assert_eq!(sim.pulses.len(), 0, "{thrown_away_by}\n{}", sim.log());
    }
}

#[test]
fn a_second_card_or_a_reload_forgets_the_first() {
    let mut sim = sim();
    sim.wait(EVENING);
    sim.card("front-reader", CARD);
    keys(&mut sim, "47");
    sim.card("front-reader", "26:1,1");
    keys(&mut sim, "11#");
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    sim.card("front-reader", CARD);
    let same = sim.params().clone();
    sim.reload(same);
    keys(&mut sim, "4711#");
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
}

#[test]
fn a_code_is_refused_outside_its_schedule_and_while_the_clock_is_doubted() {
    let mut sim = sim();
    let doubt = |trusted| Input::ClockStep { step_ms: 0, trusted };
    keys(&mut sim, "1234");
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    sim.wait(secs(30));
    sim.input(doubt(false));
    keys(&mut sim, "1234");
    assert_eq!(
        sim.denials(),
        ["schedule day cannot be looked up: the clock is not trusted"]
    );
    // the reader takes the stricter side
    sim.card("front-reader", CARD);
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    keys(&mut sim, "4711");
    assert_eq!(sim.pulses.len(), 2, "{}", sim.log());
    sim.wait(secs(30));
    sim.edge("front-rex", true);
    sim.edge("front-rex", false);
    assert_eq!(
        sim.pulses.len(),
        3,
        "who leaves is asked for no date\n{}",
        sim.log()
    );
    sim.input(doubt(true));
    sim.wait(EVENING);
    keys(&mut sim, "1234");
    assert_eq!(
        sim.denials().last().map(String::as_str),
        Some("outside schedule day")
    );
    assert_eq!(sim.pulses.len(), 3, "{}", sim.log());
}

/// The house with a code of a visitor that opens once.
fn visitors_code(doors: &[&str]) -> Credential {
    Credential {
        doors: doors.iter().map(|door| id(door)).collect(),
        id: id("c-visit"),
        person: None,
        proof: Proof::Code {
            duress: false,
            from: [CodeFrom::Call, CodeFrom::Keypad].into(),
            heads: PinKey::new([3; 32]).heads(&Secret::new("48121")),
            tag: PinKey::new([3; 32]).code(&Secret::new("48121")),
        },
        uses: Some(1),
        valid: Validity::default(),
        when: When::Always,
    }
}

fn visited() -> Sim {
    let mut sim = sim();
    let mut directory = Directory::new(PinKey::new([3; 32]));
    directory.apply(Change::Credential(visitors_code(&["front"])));
    sim.site.restore_people(directory);
    sim
}

/// The house with a code of a visitor that the site file's code 1234 begins, or that begins it.
fn visited_with(digits: &str) -> Sim {
    let mut sim = sim();
    let (key, digits) = (PinKey::new([3; 32]), Secret::new(digits));
    let mut directory = Directory::new(key.clone());
    directory.apply(Change::Credential(Credential {
        proof: Proof::Code {
            duress: false,
            from: [CodeFrom::Keypad].into(),
            heads: key.heads(&digits),
            tag: key.code(&digits),
        },
        uses: None,
        ..visitors_code(&["front"])
    }));
    sim.site.restore_people(directory);
    sim
}

#[test]
fn of_a_code_of_the_site_file_and_one_of_a_person_that_begin_alike_the_longer_opens() {
    let mut sim = visited_with("12345");
    assert_eq!(sim.site.codes_out_of_force().len(), 1);
    keys(&mut sim, "1234");
    assert_eq!(sim.pulses.len(), 0, "opened before it was typed\n{}", sim.log());
    keys(&mut sim, "5");
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    sim.wait(secs(30));
    keys(&mut sim, "1234");
    sim.wait(secs(5));
    assert_eq!(
        sim.denials().last().map(String::as_str),
        Some("another code begins with this one, so it does not count")
    );

    let mut sim = visited_with("12");
    assert_eq!(sim.site.codes_out_of_force(), [id("c-visit")]);
    keys(&mut sim, "12");
    assert_eq!(sim.pulses.len(), 0, "opened before it was typed\n{}", sim.log());
    keys(&mut sim, "34");
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());

    // withdrawn: what it stood in the way of counts again
    let mut sim = visited_with("12345");
    let gone = Change::CredentialGone(id("c-visit"));
    sim.input(Input::People(vec![gone]));
    assert!(sim.site.codes_out_of_force().is_empty());
    keys(&mut sim, "1234");
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
}

#[test]
fn a_visitors_code_opens_once_its_use_is_on_the_medium_and_never_again() {
    let mut sim = visited();
    sim.medium = Some(ms(40));
    keys(&mut sim, "4812");
    sim.wait(ms(1));
    sim.signal(
        sim.now(),
        false,
        SignalKind::Key {
            key: '1',
            reader: id("front-reader"),
        },
    );
    sim.wait(ms(39));
    assert_eq!(
        sim.pulses.len(),
        0,
        "it opened before its use was kept\n{}",
        sim.log()
    );
    sim.wait(ms(2));
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    assert_eq!(sim.kept.get(&id("c-visit")), Some(&1));
    sim.wait(secs(10));
    keys(&mut sim, "48121");
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    assert_eq!(sim.denials(), ["it was used as often as it may be"]);
}

#[test]
fn a_disk_that_hangs_opens_nothing_for_a_visitor_and_the_use_is_spent() {
    let mut sim = visited();
    sim.medium = None;
    keys(&mut sim, "48121");
    sim.wait(secs(3));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert_eq!(sim.denials(), ["it could not be written down that it was used"]);
    // kept too late, it opens nothing
    sim.input(Input::UseKept { id: 1, ok: true });
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    sim.medium = Some(ms(5));
    keys(&mut sim, "48121");
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
}

#[test]
fn a_use_that_was_kept_while_the_gateway_stood_still_opens_nothing() {
    let mut sim = visited();
    sim.medium = None;
    keys(&mut sim, "48121");
    sim.freeze(ms(800));
    sim.input(Input::UseKept { id: 1, ok: true });
    sim.wait(ms(500));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert_eq!(sim.denials(), ["it could not be written down that it was used"]);
}

#[test]
fn a_right_that_is_taken_back_while_its_use_is_kept_opens_nothing() {
    let mut sim = visited();
    sim.medium = None;
    keys(&mut sim, "48121");
    sim.input(Input::People(vec![Change::Credential(visitors_code(&[]))]));
    sim.input(Input::UseKept { id: 1, ok: true });
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert_eq!(sim.denials(), ["it does not open this door from here"]);
}

#[test]
fn a_visitors_code_needs_the_journal_and_a_withdrawn_one_opens_nothing() {
    let mut sim = visited();
    sim.input(Input::Journal {
        ok: false,
        text: "full".into(),
    });
    keys(&mut sim, "48121");
    assert_eq!(sim.denials(), ["the journal cannot be written"]);
    sim.input(Input::Journal {
        ok: true,
        text: String::new(),
    });
    sim.input(Input::People(vec![Change::CredentialGone(id("c-visit"))]));
    keys(&mut sim, "48121#");
    assert_eq!(sim.denials().last().map(String::as_str), Some("wrong code"));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
}

#[test]
fn the_site_says_who_would_get_in_and_why_not() {
    let sim = visited();
    let ask = |means, at: Option<std::time::Duration>| {
        let at = at.map(|after| wall(sim.now() + after));
        let door = id("front");
        let told = sim.site.explain_to(
            sim.now(),
            wall(sim.now()),
            &Explain {
                at,
                door,
                means,
                reader: None,
            },
        );
        (told.allowed, told.rule)
    };
    let frame = gateway_site::card_frame(CARD).expect("a card");
    let card = |pin: Option<&str>| Means::Card {
        frame: frame.clone(),
        pin: pin.map(Secret::new),
    };
    assert_eq!(
        ask(card(None), None),
        (true, "card alice at reader front-reader".into())
    );
    assert_eq!(
        ask(card(None), Some(EVENING)),
        (false, "the PIN is needed too at this time".into())
    );
    assert!(ask(card(Some("4711")), Some(EVENING)).0);
    let typed = |digits| Means::Typed(Secret::new(digits));
    assert_eq!(
        ask(typed("1234"), Some(EVENING)),
        (false, "outside schedule day".into())
    );
    assert_eq!(
        ask(typed("48121"), None),
        (true, "code c-visit at keypad front-reader".into())
    );
    assert_eq!(sim.pulses.len(), 0);
    assert!(sim.kept.is_empty(), "asking uses nothing up");
}
