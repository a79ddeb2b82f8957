//! Codes that come with commands: judged as at the keypad of the door, and shown nowhere.

use gateway_core::{Command, Factor, Refusal, Secret};
use gateway_site::Decision;
use sim::{Sim, first_door, id, secs};

fn open(sim: &mut Sim, n: u32, code: &str) -> Result<(), (Refusal, String)> {
    let command = Command::OpenWithCode {
        code: Secret::new(code),
        door: id("front"),
    };
    match sim.command(&format!("c{n}"), command) {
        Decision::Accepted { .. } => Ok(()),
        Decision::Refused { reason, text } => Err((reason, text)),
    }
}

#[test]
fn a_right_code_opens_and_wrong_ones_lock_out_with_one_answer_for_all() {
    let mut sim = Sim::new(first_door());
    sim.wait(secs(1));
    assert_eq!(open(&mut sim, 0, "1234"), Ok(()), "{}", sim.log());
    assert_eq!(sim.pulses.len(), 1);
    let grant = &sim.pulses[0].grant;
    assert_eq!(grant.subject.to_string(), "credential:pin");
    assert!([Factor::Api, Factor::Mqtt].contains(&grant.factor), "{grant:?}");
    sim.wait(secs(30));
    // the code of calls, and one that is nobody's
    for (n, wrong) in [
        (1, "9"),
        (2, "4711"),
        (3, "47110"),
        (4, "47111"),
        (5, "47112"),
        (6, "47113"),
    ] {
        let refused = open(&mut sim, n, wrong).expect_err("refused");
        let wanted = (Refusal::Forbidden, "the code does not open this door".to_owned());
        assert_eq!(refused, wanted, "{wrong}");
    }
    let (reason, text) = open(&mut sim, 7, "1234").expect_err("locked out");
    assert_eq!(reason, Refusal::Overload, "{text}");
    assert_eq!(sim.told("door.locked-out", "tries").len(), 1, "{}", sim.log());
    sim.wait(secs(11));
    assert_eq!(open(&mut sim, 8, "1234"), Ok(()), "{}", sim.log());
    let shown = format!("{:?} {}", sim.records, sim.log());
    for code in ["1234", "4711"] {
        assert!(!shown.contains(code), "the records show a code");
    }
}

#[test]
fn a_lockdown_refuses_a_right_code_and_nobody_is_locked_out_for_it() {
    let mut sim = Sim::new(first_door());
    sim.wait(secs(1));
    sim.command("a", Command::Lockdown { group: None });
    for n in 0..8 {
        let (reason, _) = open(&mut sim, n, "1234").expect_err("refused");
        assert_eq!(reason, Refusal::Lockdown);
    }
    sim.command("b", Command::EndLockdown { group: None });
    assert_eq!(open(&mut sim, 9, "1234"), Ok(()), "{}", sim.log());
}
