//! Outputs of a reader, as the relay guard has them.

use super::*;
use crate::output::{OutputAnswer, OutputOrder};

impl Rig {
    fn order(&mut self, id: u64, order: OutputOrder) {
        self.bus.order(self.now, 0, id, order);
    }

    fn answer(&self, id: u64) -> Option<&OutputAnswer> {
        self.events.iter().find_map(|(_, _, event)| {
            if let Event::Output { answer, id: of } = event {
                (*of == id).then_some(answer)
            } else {
                None
            }
        })
    }

    /// What the reader was told of its outputs, in order.
    fn told(&self) -> Vec<Vec<u8>> {
        let heard = self.readers[0].heard.iter();
        heard
            .filter(|(_, code, _, _)| *code == 0x68)
            .map(|(_, _, data, _)| data.clone())
            .collect()
    }

    fn on(&self, number: u8, tenths: u16, ms_from_now: u64) -> OutputOrder {
        OutputOrder::On {
            not_after: self.now + ms(ms_from_now),
            number,
            tenths,
        }
    }
}

fn refused(answer: Option<&OutputAnswer>, words: &str) {
    let text = answer.expect("answered").as_ref().expect_err("refused");
    assert!(text.contains(words), "{text}");
}

fn ready() -> Rig {
    let mut rig = Rig::one(Reader::new(0, Some(key(1))), keyed(1));
    rig.run(ms(2000));
    assert!(rig.is_ready(0));
    rig
}

#[test]
fn an_output_is_on_only_after_it_was_written_to_rest_and_for_a_time_that_the_reader_ends() {
    let mut rig = ready();
    rig.readers[0].outputs = vec![true, true];
    rig.order(1, rig.on(1, 25, 1000));
    rig.run(ms(100));
    refused(rig.answer(1), "written to rest");
    rig.order(2, OutputOrder::Claim(vec![1]));
    rig.run(ms(500));
    assert_eq!(
        rig.answer(2),
        Some(&Ok(Some(vec![true, false]))),
        "the other is left alone"
    );
    rig.order(3, rig.on(1, 0x0123, 1000));
    rig.run(ms(200));
    assert_eq!(rig.answer(3), Some(&Ok(None)));
    rig.order(4, OutputOrder::Read);
    rig.order(5, OutputOrder::Off(1));
    rig.run(ms(500));
    assert_eq!(rig.answer(4), Some(&Ok(Some(vec![true, true]))));
    assert_eq!(rig.answer(5), Some(&Ok(None)));
    // off is permanent, on never is
    assert_eq!(
        rig.told(),
        [vec![1, 1, 0, 0], vec![1, 5, 0x23, 1], vec![1, 1, 0, 0]]
    );
    assert!(
        rig.readers[0]
            .heard
            .iter()
            .all(|(_, code, _, secure)| *secure || *code == 0x76)
    );
}

#[test]
fn an_output_that_sticks_or_is_not_there_is_not_ready() {
    let mut rig = ready();
    rig.readers[0].sticks = true;
    rig.readers[0].outputs = vec![true];
    rig.order(1, OutputOrder::Claim(vec![0]));
    rig.run(ms(500));
    refused(rig.answer(1), "output 0 stays on");
    rig.order(2, OutputOrder::Claim(vec![7]));
    rig.run(ms(500));
    refused(
        rig.answer(2),
        "the reader refuses it (the command cannot be carried out)",
    );
    for id in [3, 4] {
        rig.order(id, rig.on(0, 5, 1000));
        rig.run(ms(200));
        refused(rig.answer(id), "written to rest");
    }
}

#[test]
fn an_order_to_energise_is_neither_begun_nor_sent_again_after_its_time() {
    let mut rig = ready();
    rig.order(1, OutputOrder::Claim(vec![0]));
    rig.run(ms(500));
    // one whose time is over before its turn
    rig.order(2, rig.on(0, 5, 0));
    rig.run(ms(200));
    refused(rig.answer(2), "no time for it");
    assert_eq!(rig.told().len(), 1);
    // one that the reader does not hear: the line is cut, and whole again when the time is over
    rig.readers[0].dead = true;
    rig.order(3, rig.on(0, 5, 300));
    rig.run(ms(600));
    rig.readers[0].dead = false;
    rig.run(ms(3000));
    refused(rig.answer(3), "the reader is away");
    assert_eq!(rig.told().len(), 1, "{:?}", rig.told());
    assert_eq!(rig.readers[0].outputs, [false, false]);
    // the reader is there again by another session, in which nothing was written to rest yet
    rig.order(4, rig.on(0, 5, 1000));
    rig.run(ms(200));
    refused(rig.answer(4), "written to rest");
}

#[test]
fn an_answer_that_got_lost_has_the_order_sent_again_within_its_time_and_done_once() {
    let mut rig = ready();
    rig.order(1, OutputOrder::Claim(vec![0]));
    rig.run(ms(500));
    rig.lose = 1;
    rig.order(2, rig.on(0, 30, 2000));
    rig.run(ms(1500));
    assert_eq!(rig.answer(2), Some(&Ok(None)));
    assert_eq!(rig.told().len(), 2, "the reader knows it by its number");
}

#[test]
fn an_output_that_is_held_is_told_so_again_until_it_is_let_go() {
    let mut rig = ready();
    rig.order(1, OutputOrder::Claim(vec![0]));
    rig.order(2, OutputOrder::Hold(1));
    rig.run(ms(500));
    refused(rig.answer(2), "written to rest");
    rig.order(3, OutputOrder::Hold(0));
    rig.run(ms(7000));
    assert_eq!(rig.answer(3), Some(&Ok(None)));
    let on = vec![0, 5, 50, 0];
    let held = rig.told().iter().filter(|told| **told == on).count();
    assert_eq!(held, 4, "{:?}", rig.told());
    rig.order(4, OutputOrder::Off(0));
    rig.run(ms(5000));
    assert_eq!(rig.told().last(), Some(&vec![0, 1, 0, 0]));
    // a reader that went away and came back is told nothing of it by itself
    rig.order(5, OutputOrder::Hold(0));
    rig.run(ms(500));
    rig.readers[0].dead = true;
    rig.run(ms(10_000));
    rig.readers[0].dead = false;
    let before = rig.told().len();
    rig.run(ms(10_000));
    assert_eq!(rig.told().len(), before);
}

#[test]
fn a_reader_that_is_away_or_asked_too_much_says_so_at_once() {
    let mut rig = Rig::one(Reader::new(0, Some(key(2))), keyed(1));
    rig.order(1, OutputOrder::Claim(vec![0]));
    rig.run(ms(10));
    refused(rig.answer(1), "not online");
    let mut rig = ready();
    for id in 0..20 {
        rig.order(id, OutputOrder::Read);
    }
    rig.run(ms(5000));
    refused(rig.answer(19), "too many");
    assert_eq!(rig.answer(0), Some(&Ok(Some(vec![false, false]))));
    assert!((0..20).all(|id| rig.answer(id).is_some()));
}

#[test]
fn a_reader_that_tells_its_outputs_only_by_itself_is_believed_until_it_does() {
    let mut rig = ready();
    rig.readers[0].says = false;
    rig.order(1, OutputOrder::Claim(vec![0]));
    rig.run(ms(500));
    assert_eq!(rig.answer(1), Some(&Ok(None)));
    let asked = |rig: &Rig| {
        let heard = rig.readers[0].heard.iter();
        heard.filter(|(_, code, _, _)| *code == 0x66).count()
    };
    assert_eq!(asked(&rig), 1);
    rig.order(2, OutputOrder::Read);
    rig.run(ms(200));
    assert_eq!(rig.answer(2), Some(&Ok(None)));
    // in answer to a poll
    rig.readers[0].queue.push((0x4A, vec![1, 0]));
    rig.run(ms(500));
    rig.order(3, OutputOrder::Read);
    rig.run(ms(200));
    assert_eq!(rig.answer(3), Some(&Ok(Some(vec![true, false]))));
    // it was on after it was written to rest: so it is not ready before it says that it rests
    rig.order(4, OutputOrder::Claim(vec![0]));
    rig.run(ms(500));
    refused(rig.answer(4), "output 0 stays on");
    rig.readers[0].queue.push((0x4A, vec![0, 0]));
    rig.run(ms(500));
    rig.order(5, OutputOrder::Claim(vec![0]));
    rig.run(ms(500));
    assert_eq!(rig.answer(5), Some(&Ok(Some(vec![false, false]))));
    assert_eq!(asked(&rig), 1, "it is not asked again in this session");
}
