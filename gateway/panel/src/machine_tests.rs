use proptest::prelude::*;

use super::*;
use crate::edges::Edge;
use crate::encode::{floor_edges, ring_edges};
use crate::pulses::tests::command;
use crate::table::profile_named;

fn at(ms: u64) -> Instant {
    at_us(ms * 1000)
}

fn at_us(us: u64) -> Instant {
    Instant::from_nanos(5_000_000_000) + Duration::from_micros(us)
}

fn line(profile: &str) -> PanelLine {
    PanelLine::new(LineParams {
        bus: Some(BusAddress {
            address: 0xC30BA,
            station: 0,
        }),
        inputs: LineInputs {
            busy: true,
            floor: true,
            handset: true,
        },
        mute: false,
        profile: profile_named(profile).expect("a profile").clone(),
        subscribed: "12, 73".parse().expect("ranges"),
    })
}

fn said(line: &mut PanelLine) -> String {
    let mut words = Vec::new();
    while let Some(output) = line.poll_output() {
        words.push(match output {
            Output::Set { role, on } => format!("{role:?}={}", u8::from(on)),
            Output::Signal { signal, .. } => format!("{signal:?}"),
        });
    }
    words.join(" ")
}

/// Runs its timers until `now`, and says what came.
fn until(line: &mut PanelLine, now: Instant) -> String {
    while let Some(due) = line.poll_timeout().filter(|due| *due <= now) {
        line.handle_timeout(due);
    }
    line.handle_timeout(now);
    said(line)
}

/// A matrix line rings: its optocoupler pulls the input low.
fn ring(line: &mut PanelLine, from: u64) {
    line.handle_edge(at(from), Wire::Call, false);
    line.handle_timeout(at(from + 50));
}

fn count(line: &mut PanelLine, from: u64, number: u16) {
    let edges = command(number, 1000);
    for edge in &edges {
        line.handle_edge(at_us(from * 1000 + edge.at_us), Wire::Call, edge.level);
    }
    let end = edges.last().map_or(0, |e| e.at_us);
    line.handle_timeout(at_us(from * 1000 + end + 20_000));
}

#[test]
fn a_matrix_line_is_answered_in_the_times_of_its_profile() {
    let mut line = line("vizit-matrix");
    ring(&mut line, 0);
    assert_eq!(said(&mut line), "Ring");
    line.command(at(1000), LineCommand::Seize);
    assert_eq!(
        said(&mut line),
        "Exclude=1",
        "the handset is off the line before we are on it"
    );
    assert_eq!(until(&mut line, at(1399)), "");
    assert_eq!(until(&mut line, at(1400)), "Hook=1");
    assert!(line.is_ours());
    line.command(at(1500), LineCommand::Seize);
    line.command(at(9000), LineCommand::Release);
    assert_eq!(said(&mut line), "Hook=0 Exclude=0");
    assert!(!line.is_ours());
}

#[test]
fn the_line_is_kept_until_the_panel_has_opened() {
    let mut line = line("vizit-matrix");
    ring(&mut line, 0);
    line.command(at(1000), LineCommand::Seize);
    until(&mut line, at(2000));
    line.door(at(5000), true);
    // hung up while the line is broken to open: off-hook until it is done, and 500 ms more
    line.command(at(5100), LineCommand::Release);
    assert_eq!(until(&mut line, at(5300)), "");
    line.door(at(5300), false);
    assert_eq!(until(&mut line, at(5799)), "");
    assert_eq!(until(&mut line, at(5800)), "Hook=0 Exclude=0");
    // and hung up just after
    ring(&mut line, 20_000);
    line.command(at(21_000), LineCommand::Seize);
    until(&mut line, at(22_000));
    line.door(at(22_000), true);
    line.door(at(22_300), false);
    line.command(at(22_400), LineCommand::Release);
    said(&mut line);
    assert_eq!(until(&mut line, at(22_799)), "");
    assert_eq!(until(&mut line, at(22_800)), "Hook=0 Exclude=0");
}

#[test]
fn a_line_whose_door_never_ends_is_given_back() {
    let mut line = line("vizit-matrix");
    line.command(at(0), LineCommand::Seize);
    until(&mut line, at(1000));
    line.door(at(1000), true);
    line.command(at(2000), LineCommand::Release);
    assert_eq!(until(&mut line, at(11_999)), "");
    assert_eq!(until(&mut line, at(12_000)), "Hook=0 Exclude=0");
}

#[test]
fn a_call_that_hangs_up_before_it_is_off_hook_lets_go_at_once() {
    let mut line = line("vizit-matrix");
    line.command(at(0), LineCommand::Seize);
    line.command(at(100), LineCommand::Release);
    assert_eq!(said(&mut line), "Exclude=1 Exclude=0");
    assert_eq!(until(&mut line, at(5000)), "");
}

#[test]
fn rings_within_the_script_are_none_and_the_next_visitor_is_one() {
    let mut line = line("vizit-matrix");
    ring(&mut line, 0);
    said(&mut line);
    line.command(at(1000), LineCommand::Seize);
    until(&mut line, at(2000));
    for burst in 0..5 {
        line.handle_edge(at(2000 + burst * 200), Wire::Call, true);
        line.handle_edge(at(2100 + burst * 200), Wire::Call, false);
    }
    line.handle_edge(at(3100), Wire::Call, true);
    assert_eq!(until(&mut line, at(4000)), "");
    line.command(at(4000), LineCommand::Release);
    said(&mut line);
    // the panel rings on for a moment
    ring(&mut line, 4200);
    line.handle_edge(at(4400), Wire::Call, true);
    assert_eq!(until(&mut line, at(5000)), "");
    // a second after the last of it somebody else rings
    ring(&mut line, 5500);
    assert_eq!(said(&mut line), "Ring");
    line.handle_edge(at(5700), Wire::Call, true);
    assert_eq!(until(&mut line, at(9699)), "");
    assert_eq!(until(&mut line, at(9700)), "RingStopped");
}

#[test]
fn the_handset_is_told_and_short_shakes_are_not() {
    let mut line = line("vizit-matrix");
    line.handle_edge(at(0), Wire::Handset, false);
    line.handle_edge(at(10), Wire::Handset, true);
    assert_eq!(until(&mut line, at(100)), "");
    line.handle_edge(at(200), Wire::Handset, false);
    assert_eq!(until(&mut line, at(300)), "HandsetLifted");
    line.handle_edge(at(400), Wire::Handset, true);
    assert_eq!(until(&mut line, at(500)), "HandsetReplaced");
}

#[test]
fn a_handset_is_told_on_every_line_that_has_an_input_for_it() {
    for (profile, _, _) in crate::profiles() {
        let mut line = line(profile);
        line.begin(at(0), Wire::Handset, true);
        line.handle_edge(at(200), Wire::Handset, false);
        assert_eq!(until(&mut line, at(300)), "HandsetLifted", "{profile}");
        line.handle_edge(at(400), Wire::Handset, true);
        assert_eq!(until(&mut line, at(500)), "HandsetReplaced", "{profile}");
    }
}

#[test]
fn who_rings_on_after_a_talk_rings_anew_though_the_line_was_never_quiet() {
    let mut line = line("vizit-matrix");
    line.command(at(0), LineCommand::Seize);
    until(&mut line, at(1000));
    line.command(at(1000), LineCommand::Release);
    // at once, with pauses that are shorter than the rest after a talk
    let mut heard = None;
    for n in 0..20 {
        for (ms, level) in [(1200 + n * 1000, false), (1800 + n * 1000, true)] {
            line.handle_edge(at(ms), Wire::Call, level);
            if until(&mut line, at(ms + 300)).contains("Ring") {
                heard.get_or_insert(ms);
            }
        }
    }
    assert!(heard.is_some_and(|ms| (6000..7500).contains(&ms)), "{heard:?}");
}

#[test]
fn another_panel_makes_the_line_busy_and_our_own_talk_does_not() {
    let mut line = line("4n");
    line.handle_edge(at(0), Wire::Busy, true);
    assert_eq!(until(&mut line, at(60)), "BusyOther");
    line.handle_edge(at(500), Wire::Busy, false);
    assert_eq!(until(&mut line, at(600)), "Idle");
    line.command(at(1000), LineCommand::Seize);
    assert_eq!(until(&mut line, at(1500)), "Exclude=1 Hook=1");
    line.handle_edge(at(1510), Wire::Busy, true);
    assert_eq!(until(&mut line, at(1900)), "");
    // it is quiet again as we hang up
    line.command(at(2000), LineCommand::Release);
    line.handle_edge(at(2020), Wire::Busy, false);
    assert_eq!(until(&mut line, at(9000)), "Hook=0 Exclude=0");
}

#[test]
fn another_panel_that_is_quicker_than_we_are_has_the_line() {
    let mut line = line("handset-tap");
    line.command(at(1000), LineCommand::Seize);
    line.handle_edge(at(1020), Wire::Busy, true);
    assert_eq!(until(&mut line, at(1900)), "Exclude=1 Exclude=0 BusyOther");
    assert!(!line.is_ours());
    line.command(at(1900), LineCommand::Release);
    assert_eq!(until(&mut line, at(2900)), "");
    line.handle_edge(at(3000), Wire::Busy, false);
    assert_eq!(until(&mut line, at(3100)), "Idle");
}

#[test]
fn a_line_that_stays_busy_after_our_talk_is_another_panels() {
    let mut line = line("4n");
    line.command(at(0), LineCommand::Seize);
    until(&mut line, at(900));
    line.handle_edge(at(910), Wire::Busy, true);
    until(&mut line, at(1000));
    line.command(at(2000), LineCommand::Release);
    let rest = u64::from(line.params.profile.hook.rest_ms).max(100);
    assert_eq!(until(&mut line, at(2000 + rest - 1)), "Hook=0 Exclude=0");
    assert_eq!(until(&mut line, at(2000 + rest)), "BusyOther");
    line.handle_edge(at(9000), Wire::Busy, false);
    assert_eq!(until(&mut line, at(9100)), "Idle");
}

#[test]
fn what_is_so_at_the_first_reading_is_no_ring() {
    let mut line = line("vizit-matrix");
    line.begin(at(0), Wire::Call, false);
    line.begin(at(0), Wire::Handset, false);
    line.begin(at(0), Wire::Floor, true);
    line.begin(at(0), Wire::Busy, true);
    assert_eq!(until(&mut line, at(60_000)), "HandsetLifted BusyOther");
    // it ends, and the next one is a ring
    line.handle_edge(at(61_000), Wire::Call, true);
    assert_eq!(until(&mut line, at(70_000)), "");
    ring(&mut line, 71_000);
    assert_eq!(said(&mut line), "Ring");
}

#[test]
fn a_floor_call_is_its_own() {
    let mut line = line("4n");
    line.handle_edge(at(0), Wire::Floor, true);
    assert_eq!(until(&mut line, at(50)), "RingFor(Floor)");
    line.handle_edge(at(100), Wire::Floor, false);
    until(&mut line, at(200));
    // while the panel rings, while another one has the line, and while somebody talks on it
    for what in [Wire::Call, Wire::Busy, Wire::Handset] {
        let mut line = self::line("4n");
        if what == Wire::Handset {
            line.command(at(0), LineCommand::Seize);
        } else {
            line.handle_edge(at(0), what, true);
        }
        until(&mut line, at(2000));
        line.handle_edge(at(2000), Wire::Floor, true);
        assert_eq!(until(&mut line, at(2050)), "RingFor(Floor)", "{what:?}");
    }
}

#[test]
fn a_muted_chime_loses_no_ring_and_comes_back_with_the_front_end() {
    let mut params = line("vizit-matrix").params;
    params.mute = true;
    let mut line = PanelLine::new(params);
    assert_eq!(said(&mut line), "Mute=1");
    ring(&mut line, 0);
    assert_eq!(said(&mut line), "Ring");
    line.command(at(100), LineCommand::Seize);
    line.lost();
    assert_eq!(
        said(&mut line),
        "Mute=1",
        "the front end let go of the rest by itself"
    );
    assert!(!line.is_ours());
}

#[test]
fn apartments_that_are_served_ring_and_others_leave_no_trace() {
    let mut line = line("laskomex-digital");
    for other in [1, 11, 13, 74, 200] {
        count(&mut line, 0, other);
        assert_eq!(said(&mut line), "");
        assert_eq!(until(&mut line, at(9000)), "");
        line = self::line("laskomex-digital");
    }
    count(&mut line, 0, 73);
    assert_eq!(said(&mut line), "RingFor(Apartment(73))");
    // rings come in several commands: one ring
    count(&mut line, 2000, 73);
    assert_eq!(said(&mut line), "");
    // the panel rings somebody else: ours is over, and nothing is said of them
    count(&mut line, 4000, 11);
    assert_eq!(said(&mut line), "RingStopped");
    assert_eq!(until(&mut line, at(60_000)), "");
    count(&mut line, 100_000, 12);
    assert_eq!(said(&mut line), "RingFor(Apartment(12))");
    assert_eq!(until(&mut line, at(200_000)), "RingStopped");
}

/// A line whose ring of apartment 12 was answered.
fn talking() -> PanelLine {
    let mut line = line("laskomex-digital");
    count(&mut line, 0, 12);
    line.command(at(2000), LineCommand::Seize);
    assert_eq!(
        until(&mut line, at(20_000)),
        "RingFor(Apartment(12)) Exclude=1 Hook=1"
    );
    line
}

#[test]
fn a_panel_that_rings_another_apartment_has_dropped_the_talk_before() {
    // one that is served rings at once
    let mut line = talking();
    count(&mut line, 20_000, 73);
    assert_eq!(said(&mut line), "Hook=0 Exclude=0 Idle RingFor(Apartment(73))");
    // what the core says of the talk that is over comes late
    line.command(at(22_000), LineCommand::Release);
    assert_eq!(said(&mut line), "");
    line.command(at(22_500), LineCommand::Seize);
    assert_eq!(until(&mut line, at(24_000)), "Exclude=1 Hook=1");
    // of one that is not, nothing is told but that the talk is over
    count(&mut line, 40_000, 77);
    assert_eq!(said(&mut line), "Hook=0 Exclude=0 Idle");
    assert_eq!(until(&mut line, at(90_000)), "");
    // before it is off-hook, and while it waits for the door
    let mut line = self::line("laskomex-digital");
    count(&mut line, 0, 12);
    line.command(at(2000), LineCommand::Seize);
    said(&mut line);
    count(&mut line, 2000, 77);
    assert_eq!(until(&mut line, at(9000)), "Exclude=0 Idle");
    let mut line = talking();
    line.door(at(20_000), true);
    line.command(at(20_100), LineCommand::Release);
    count(&mut line, 20_200, 73);
    assert_eq!(said(&mut line), "Hook=0 Exclude=0 RingFor(Apartment(73))");
}

#[test]
fn a_visitor_who_presses_again_in_the_talk_goes_on_talking() {
    let mut line = talking();
    count(&mut line, 20_000, 12);
    assert_eq!(until(&mut line, at(40_000)), "");
    assert!(line.is_ours());
}

#[test]
fn an_answer_that_comes_as_the_panel_rings_somebody_else_does_not_get_the_line() {
    let mut line = line("laskomex-digital");
    count(&mut line, 0, 12);
    count(&mut line, 2000, 77);
    assert_eq!(said(&mut line), "RingFor(Apartment(12)) RingStopped");
    line.command(at(4000), LineCommand::Seize);
    assert_eq!(said(&mut line), "Idle");
    assert!(!line.is_ours());
    assert_eq!(until(&mut line, at(60_000)), "");
}

#[test]
fn the_panel_that_opens_by_itself_is_told_for_those_who_are_served() {
    for (number, expected) in [(12, "OpenedByPanel"), (13, "")] {
        let mut line = line("laskomex-digital");
        for edge in command(number, 424) {
            line.handle_edge(at_us(edge.at_us), Wire::Call, edge.level);
        }
        assert_eq!(until(&mut line, at(4000)), expected);
    }
}

/// Plays edges from a time on, and then a second of silence; says what came.
fn played(line: &mut PanelLine, from_ms: u64, edges: &[Edge]) -> String {
    for edge in edges {
        line.handle_edge(at_us(from_ms * 1000 + edge.at_us), Wire::Call, edge.level);
    }
    let end = edges.last().map_or(0, |edge| edge.at_us);
    until(line, at_us(from_ms * 1000 + end + 1_000_000))
}

#[test]
fn frames_for_its_own_address_ring_and_those_for_others_leave_no_trace() {
    let profile = profile_named("tcs-bus").expect("there");
    let ours = ring_edges(profile, 0xC30BA, Tone::Ring);
    let mut line = line("tcs-bus");
    for other in [0xC30BB, 0x430BA, 0, 0xF_FFFF] {
        let theirs = ring_edges(profile, other, Tone::Ring);
        assert_eq!(played(&mut line, 0, &theirs), "", "{other}");
    }
    // the frame that opens is heard as others send it, and is no call
    let open = ring_edges(profile, 0xC30BA, Tone::Opened);
    assert_eq!(played(&mut line, 3000, &open), "");
    assert_eq!(played(&mut line, 6000, &ours), "Ring");
    // a second press is the same ring, which is over half a minute after it
    assert_eq!(played(&mut line, 20_000, &ours), "");
    assert_eq!(until(&mut line, at(50_000)), "");
    assert_eq!(until(&mut line, at(51_000)), "RingStopped");
    // another door station calls: this line does not serve it
    let station = line.params.bus.as_mut().expect("on a bus");
    station.station = 1;
    assert_eq!(played(&mut line, 60_000, &ours), "");
    line.params.bus = None;
    assert_eq!(played(&mut line, 70_000, &ours), "");
}

#[test]
fn telegrams_for_its_own_number_ring_and_no_noise_of_others_does() {
    for (name, ours) in [("scs", 3), ("busch-welcome", 12)] {
        let profile = profile_named(name).expect("there");
        let mut params = line(name).params;
        params.bus = Some(BusAddress {
            address: ours,
            station: 0,
        });
        let mut line = PanelLine::new(params.clone());
        for other in [0, 1, 4, 13, 255] {
            let theirs = ring_edges(profile, other, Tone::Ring);
            assert_eq!(played(&mut line, 0, &theirs), "", "{name} {other}");
        }
        let call = ring_edges(profile, ours, Tone::Ring);
        for gap in 3..call.len() - 1 {
            // a pulse that is missing, and one that is cut short
            let mut fewer = call.clone();
            fewer.drain(gap - 1 - gap % 2..=gap - gap % 2);
            assert_eq!(
                played(&mut PanelLine::new(params.clone()), 0, &fewer),
                "",
                "{name} {gap}"
            );
            let mut cut = call[..gap].to_vec();
            cut.extend(call.last().copied());
            assert_eq!(
                played(&mut PanelLine::new(params.clone()), 0, &cut),
                "",
                "{name} {gap}"
            );
        }
        assert_eq!(played(&mut line, 5000, &call), "Ring", "{name}");
        assert_eq!(until(&mut line, at(36_000)), "RingStopped", "{name}");
    }
}

/// A line whose telegrams say nobody's number rings by their own bytes, whoever it is said to be.
#[test]
fn a_telegram_by_its_own_bytes_needs_no_number() {
    let scs = include_str!("../../../config/panels/scs.toml");
    let named = scs.replace("hex 91 @@ 60 ??", "hex 47 05 6f 11");
    let named = Profile::parse(&named).expect("a profile");
    let mut params = line("scs").params;
    params.bus = None;
    params.profile = named.clone();
    let mut line = PanelLine::new(params);
    let call = ring_edges(&named, 9, Tone::Ring);
    assert_eq!(played(&mut line, 0, &call), "Ring");
}

#[test]
fn a_frame_that_is_cut_or_disturbed_rings_nobody() {
    for name in ["tcs-bus", "comelit-simplebus-1"] {
        let profile = profile_named(name).expect("there");
        let mut params = line(name).params;
        params.bus = Some(BusAddress {
            address: 12,
            station: 0,
        });
        let edges = ring_edges(profile, 12, Tone::Ring);
        let fresh = || PanelLine::new(params.clone());
        assert_eq!(played(&mut fresh(), 0, &edges), "Ring", "{name}");
        for gap in 2..edges.len() {
            if gap + 1 < edges.len() {
                // the bus is let go of too early
                let mut cut = edges[..gap].to_vec();
                cut.extend(edges.last().copied());
                assert_eq!(played(&mut fresh(), 0, &cut), "", "{name} cut at {gap}");
            }
            if gap == 2 && name == "comelit-simplebus-1" {
                // the mark before the start says nothing: what is left of it is one
                continue;
            }
            // a spike of 100 µs within a bit
            let mut spiked = edges.clone();
            let at_us = edges[gap - 1].at_us + 700;
            let level = edges[gap - 1].level;
            let spike = [(at_us, !level), (at_us + 100, level)];
            spiked.splice(gap..gap, spike.map(|(at_us, level)| Edge { at_us, level }));
            assert_eq!(played(&mut fresh(), 0, &spiked), "", "{name} spike at {gap}");
        }
        // edges that were lost on the way
        let mut lossy = fresh();
        for (n, edge) in edges.iter().enumerate() {
            if n == 10 {
                lossy.missed();
            }
            lossy.handle_edge(at_us(edge.at_us), Wire::Call, edge.level);
        }
        assert_eq!(until(&mut lossy, at(2000)), "", "{name}");
        assert_eq!(played(&mut lossy, 3000, &edges), "Ring", "{name}");
    }
}

#[test]
fn a_floor_call_on_a_bus_is_an_event_of_its_own_and_told_once() {
    let profile = profile_named("tcs-bus").expect("there");
    let mut line = line("tcs-bus");
    let floor = floor_edges(profile, 0xC30BA);
    assert_eq!(played(&mut line, 0, &floor_edges(profile, 0xC30BB)), "");
    assert_eq!(played(&mut line, 1000, &floor), "RingFor(Floor)");
    assert_eq!(played(&mut line, 2500, &floor), "");
    assert_eq!(played(&mut line, 10_000, &floor), "RingFor(Floor)");
    line.command(at(15_000), LineCommand::Seize);
    until(&mut line, at(16_000));
    assert_eq!(played(&mut line, 20_000, &floor), "RingFor(Floor)");
}

#[test]
fn a_bus_on_which_others_talk_rings_for_the_next_visitor() {
    let profile = profile_named("tcs-bus").expect("there");
    let (ours, theirs) = (
        ring_edges(profile, 0xC30BA, Tone::Ring),
        ring_edges(profile, 7, Tone::Ring),
    );
    let mut line = line("tcs-bus");
    assert_eq!(played(&mut line, 0, &ours), "Ring");
    line.command(at(2000), LineCommand::Seize);
    line.command(at(4000), LineCommand::Release);
    assert_eq!(said(&mut line), "Exclude=1 Hook=1 Hook=0 Exclude=0");
    for from in [4000, 5500, 7000] {
        assert_eq!(played(&mut line, from, &theirs), "");
    }
    assert_eq!(played(&mut line, 8500, &ours), "Ring");
}

proptest! {
    /// A line that counts is off-hook for the apartment that it rang last, and for no other one.
    #[test]
    fn nobody_is_off_hook_once_the_panel_rings_another_apartment(
        steps in prop::collection::vec((0_u8..8, 0_u64..6000), 0..30),
    ) {
        let mut line = line("laskomex-digital");
        let (mut now, mut rung, mut hook) = (0, None, false);
        for (step, wait) in steps {
            now += wait;
            match step {
                0..4 => {
                    let number = [12, 73, 77, 11][usize::from(step)];
                    // the next command comes after this one, and the rest before it
                    now += 500;
                    count(&mut line, now, number);
                    now += 1000;
                    prop_assert!(!line.is_ours() || rung == Some(number));
                    if !line.is_ours() {
                        rung = Some(number);
                    }
                }
                4 | 5 => line.command(at(now), LineCommand::Seize),
                6 => line.command(at(now), LineCommand::Release),
                _ => line.handle_timeout(at(now)),
            }
            while let Some(output) = line.poll_output() {
                match output {
                    Output::Set { role: Role::Hook, on } => hook = on,
                    Output::Signal { signal: LineSignal::RingFor(Bell::Apartment(number)), .. } => {
                        prop_assert!(number == 12 || number == 73);
                        prop_assert!(!line.is_ours());
                    }
                    Output::Set { .. } | Output::Signal { .. } => {}
                }
            }
            prop_assert!(!hook || line.is_ours());
        }
    }

    /// Whatever happens: an output is set only when it changes, off-hook only with the handset off the line, and a line
    /// that was released comes to rest.
    #[test]
    fn outputs_come_to_rest_whatever_happens(
        profile in prop_oneof![Just("vizit-matrix"), Just("laskomex-digital"), Just("4n"), Just("ftz-123-d12")],
        steps in prop::collection::vec((0_u8..12, 0_u64..3_000_000), 0..120),
    ) {
        let mut line = line(profile);
        let (mut now, mut hook, mut exclude, mut rings) = (0, false, false, false);
        let mut check = |line: &mut PanelLine| {
            while let Some(output) = line.poll_output() {
                match output {
                    Output::Set { role: Role::Hook, on } => {
                        prop_assert_ne!(std::mem::replace(&mut hook, on), on);
                    }
                    Output::Set { role: Role::Exclude, on } => {
                        prop_assert_ne!(std::mem::replace(&mut exclude, on), on);
                    }
                    Output::Set { role: Role::Mute, .. } => prop_assert!(false, "nobody wants it"),
                    Output::Signal { signal: LineSignal::Ring | LineSignal::RingFor(Bell::Apartment(_)), .. } => {
                        prop_assert!(!std::mem::replace(&mut rings, true));
                    }
                    Output::Signal { signal: LineSignal::RingStopped, .. } => rings = false,
                    Output::Signal { .. } => {}
                }
                prop_assert!(exclude || !hook);
            }
            // whoever answered has had the ring
            rings &= !line.is_ours();
            Ok(())
        };
        for (step, wait) in steps {
            now += wait;
            let t = at_us(now);
            match step {
                0 => line.command(t, LineCommand::Seize),
                1 => line.command(t, LineCommand::Release),
                2 => line.door(t, true),
                3 => line.door(t, false),
                4 | 5 => line.handle_edge(t, Wire::Call, step == 4),
                6 | 7 => line.handle_edge(t, Wire::Handset, step == 6),
                8 | 9 => line.handle_edge(t, Wire::Busy, step == 8),
                10 => line.handle_edge(t, Wire::Floor, wait % 2 == 0),
                _ => line.handle_timeout(t),
            }
            check(&mut line)?;
            if !line.is_ours() {
                prop_assert!(line.outputs.is_empty());
            }
        }
        line.command(at_us(now), LineCommand::Release);
        line.handle_timeout(at_us(now) + LONGEST_LEAVING);
        check(&mut line)?;
        prop_assert!(!hook && !exclude && !line.is_ours());
    }
}
