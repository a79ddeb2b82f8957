//! Talks that are recorded: where the panel says so, from the answer on, and never a call that nobody talks in.

use gateway_core::{LegEvent, LegId, Peer};
use gateway_site::{Input, RecordParams, Recorded, SiteParams};
use sim::{Phone, Sim, first_door, id, ms, secs};

const CALLER: LegId = LegId(1 << 40);

fn house() -> SiteParams {
    let mut site = first_door();
    site.panels.get_mut(&id("main")).expect("the panel").record = Some(RecordParams {
        announcement: "recorded.wav".into(),
        folder: "recordings".into(),
        most_files: 10,
        most_mib: 10,
    });
    site
}

fn legs(sim: &Sim) -> Vec<LegId> {
    sim.recorded.iter().map(|(_, leg, _, _)| *leg).collect()
}

#[test]
fn a_talk_is_recorded_from_the_answer_on_and_what_becomes_of_it_is_on_record() {
    let mut sim = Sim::new(house());
    sim.phone("1000", Phone::Answers(secs(4)));
    let ring = sim.press("bell").expect("a ring");
    sim.wait(secs(3));
    assert!(sim.recorded.is_empty(), "nobody talks");
    sim.wait(secs(2));
    let leg = sim.leg_of("1000");
    assert_eq!(sim.recorded, [("recorded.wav".into(), leg, id("main"), ring)]);
    let file = "20260101T000000Z-main.wav".to_owned();
    sim.input(Input::Recorded {
        ring,
        what: Recorded::Began { file: file.clone() },
    });
    sim.input(Input::Recorded {
        ring,
        what: Recorded::Ended {
            file: Some(file.clone()),
            length: ms(1_500),
            why: "ended".into(),
        },
    });
    for kind in ["call.recording-began", "call.recording-ended"] {
        assert_eq!(sim.told(kind, "file"), [file.as_str()]);
    }
    let story = sim.story(ring);
    assert!(story.contains(&"call.recording-ended".to_owned()), "{story:?}");
}

#[test]
fn whoever_calls_the_door_is_recorded_and_where_the_panel_does_not_say_so_nobody_is() {
    for (site, recorded) in [(house(), vec![CALLER]), (first_door(), vec![])] {
        let mut sim = Sim::new(site);
        sim.input(Input::Leg(LegEvent::Incoming {
            at_once: false,
            account: Some(id("pbx")),
            leg: CALLER,
            panel: id("main"),
            peer: Peer {
                address: "sip:1000@pbx.example".into(),
                foreign: false,
                display: None,
                trusted: true,
                withheld: false,
            },
        }));
        sim.wait(secs(1));
        assert_eq!(legs(&sim), recorded, "{}", sim.log());
    }
}
