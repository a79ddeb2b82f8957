use gateway_card::{encode_track, track_of};
use proptest::prelude::*;

use super::*;

fn t(us: u64) -> Instant {
    Instant::from_nanos(7_000_000_000) + Duration::from_micros(us)
}

fn track(text: &str) -> Vec<bool> {
    encode_track(text, 22).expect("a track")
}

/// Edges of bits at 1 ms each: data changes, the clock is low 300 µs later; the first bit begins at `ms`.
fn edges(ms: u64, bits: &[bool]) -> Vec<(Instant, ClockDataEdge)> {
    let mut edges = Vec::new();
    let mut level = false;
    for (n, one) in (ms..).zip(bits) {
        if *one != level {
            level = *one;
            edges.push((t(n * 1000), ClockDataEdge::Data(level)));
        }
        edges.push((t(n * 1000 + 300), ClockDataEdge::Clock));
    }
    if level {
        let end = ms + bits.len() as u64;
        edges.push((t(end * 1000), ClockDataEdge::Data(false)));
    }
    edges
}

struct Rig(ClockDataReader);

impl Rig {
    fn new() -> Self {
        Self(ClockDataReader::new(ClockDataParams::default()))
    }

    fn with_present() -> Self {
        Self(ClockDataReader::new(ClockDataParams {
            card_present: true,
            ..ClockDataParams::default()
        }))
    }

    fn give(&mut self, edges: &[(Instant, ClockDataEdge)]) -> Vec<Output> {
        for (at, edge) in edges {
            self.0.edge(*at, *edge);
        }
        self.out()
    }

    /// Sends bits and waits for the end of the frame.
    fn send(&mut self, ms: u64, bits: &[bool]) -> Vec<Output> {
        let mut out = self.give(&edges(ms, bits));
        self.0.handle_timeout(t((ms + bits.len() as u64 + 25) * 1000));
        out.extend(self.out());
        out
    }

    fn out(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.0.poll_output()).collect()
    }
}

/// The characters of the cards, and the reasons of misreads.
fn told(out: &[Output]) -> Vec<String> {
    let one = |output: &Output| match output {
        Output::Card { frame, .. } => track_of(frame).expect("a track"),
        Output::Misread { reason, .. } => format!("{reason:?}"),
        Output::Fault(text) => text.clone(),
        Output::Key { .. } => "key".into(),
        Output::Ready => "ready".into(),
    };
    out.iter().map(one).collect()
}

#[test]
fn a_card_carries_the_time_of_its_last_clock_and_its_bits_without_the_zeros_around_it() {
    let bits = track("0012345678=42");
    let out = Rig::new().send(10, &bits);
    let at = t((10 + bits.len() as u64 - 1) * 1000 + 300);
    let frame = track_frame("0012345678=42").expect("a track");
    assert_eq!(out, [Output::Card { at, frame }]);
}

#[test]
fn a_stripe_that_is_drawn_the_other_way_is_the_same_card() {
    let mut bits = track("4711");
    bits.reverse();
    assert_eq!(told(&Rig::new().send(0, &bits)), ["4711"]);
}

#[test]
fn a_card_held_on_the_reader_counts_once_in_two_seconds() {
    let mut rig = Rig::new();
    let bits = track("123");
    let counted = (0..50).filter(|n| !rig.send(n * 200, &bits).is_empty()).count();
    // read every 200 ms for 10 s
    assert_eq!(counted, 5);
    assert_eq!(told(&rig.send(10_000, &track("124"))), ["124"]);
    assert_eq!(told(&rig.send(10_200, &bits)), ["123"]);
}

#[test]
fn what_is_no_card_is_told_by_its_kind() {
    let good = track("1234");
    let mut parity = good.clone();
    parity[29] = !parity[29];
    let mut check = good.clone();
    // two bits of one column: every character has odd parity, and the check character does not fit
    for at in [27, 28] {
        check[at] = !check[at];
    }
    let inverted: Vec<bool> = good.iter().map(|one| !one).collect();
    let long = [good.clone(), good.clone()].concat();
    for (bits, expected) in [
        (&good[..30], "Short"),
        (&[false; 60][..], "Short"),
        (&encode_track("", 5).expect("empty")[..], "Short"),
        (&parity[..], "Parity"),
        (&check[..], "Parity"),
        (&inverted[..], "Reversed"),
        (&long[..], "Noise"),
        (&[true; 40][..], "Noise"),
    ] {
        assert_eq!(told(&Rig::new().send(0, bits)), [expected]);
    }
}

#[test]
fn the_order_in_which_edges_are_handed_over_does_not_matter_within_a_frame() {
    let bits = track("9081726354");
    let mut late = edges(0, &bits);
    // the kernel hands each edge of data over after the clock that follows it
    for at in 1..late.len() {
        if matches!(late[at - 1].1, ClockDataEdge::Data(_)) && late[at].1 == ClockDataEdge::Clock {
            late.swap(at - 1, at);
        }
    }
    let mut rig = Rig::new();
    assert_eq!(rig.give(&late), []);
    rig.0.handle_timeout(t(1_000_000));
    assert_eq!(told(&rig.out()), ["9081726354"]);
}

#[test]
fn a_frame_with_lost_edges_is_no_card_though_its_parity_fits() {
    let mut rig = Rig::new();
    rig.0.lost();
    assert_eq!(told(&rig.send(0, &track("12"))), ["LostEdges"]);
    assert_eq!(told(&rig.send(1000, &track("12"))), ["12"]);
    // between two frames: they may be those of the second
    let mut rig = Rig::new();
    assert_eq!(rig.give(&edges(0, &track("12"))), []);
    rig.0.lost();
    assert_eq!(
        told(&rig.send(1000, &track("13"))),
        ["LostEdges"],
        "the first, and the second is counted with it"
    );
    assert_eq!(told(&rig.send(2000, &track("14"))), ["14"]);
}

#[test]
fn card_present_ends_a_frame_and_without_it_clocks_are_noise() {
    let mut rig = Rig::with_present();
    let bits = track("12");
    assert_eq!(told(&rig.send(0, &bits)), ["Noise"]);
    let present = |ms: u64, there| (t(ms * 1000), ClockDataEdge::Present(there));
    let mut all = vec![present(995, true)];
    all.extend(edges(1000, &bits));
    all.push(present(1000 + bits.len() as u64 + 5, false));
    assert_eq!(told(&rig.give(&all)), ["12"], "without waiting for silence");
    assert_eq!(rig.0.poll_timeout(), Some(t(0) + at_first_sum(&bits)));
    // a wire that was active before anybody looked
    rig.0.levels(
        t(2_000_000),
        ClockDataLevels {
            present: true,
            ..ClockDataLevels::default()
        },
    );
    assert_eq!(told(&rig.send(2100, &track("13"))), ["13"]);
}

/// When the noise of the first frame is told again: 10 s after its last clock.
fn at_first_sum(bits: &[bool]) -> Duration {
    Duration::from_micros((bits.len() as u64 - 1) * 1000 + 300) + Duration::from_secs(10)
}

#[test]
fn data_that_stays_low_after_a_frame_is_known_at_the_next_one() {
    let mut rig = Rig::new();
    // its last bit is a one, and this reader sends no zeros after it
    let bits = encode_track("1", 0).expect("a track");
    assert_eq!(bits.last(), Some(&true));
    let mut first = edges(0, &bits);
    assert!(matches!(first.pop(), Some((_, ClockDataEdge::Data(false)))));
    for began in [0, 3000] {
        let mut sent = first.clone();
        if began > 0 {
            // the first bit is a one as well: data stays as it is
            assert!(matches!(sent.remove(0), (_, ClockDataEdge::Data(true))));
        }
        for (at, _) in &mut sent {
            *at = *at + Duration::from_millis(began);
        }
        rig.give(&sent);
        rig.0.handle_timeout(t((began + 1000) * 1000));
        assert_eq!(told(&rig.out()), ["1"]);
        rig.0.levels(
            t((began + 1000) * 1000),
            ClockDataLevels {
                data: true,
                ..ClockDataLevels::default()
            },
        );
    }
}

#[test]
fn a_look_at_the_wires_as_a_frame_begins_takes_no_edge_from_it() {
    let mut rig = Rig::new();
    let bits = encode_track("12", 0).expect("a track");
    let all = edges(10, &bits);
    assert!(matches!(all[0].1, ClockDataEdge::Data(true)));
    rig.give(&all[..1]);
    // looked at so late that data is at rest again
    rig.0
        .levels(all[0].0 + Duration::from_micros(1), ClockDataLevels::default());
    rig.give(&all[1..]);
    rig.0.handle_timeout(t(500_000));
    assert_eq!(told(&rig.out()), ["12"]);
}

#[test]
fn a_clock_that_is_low_at_rest_is_a_fault_until_it_rises() {
    let mut rig = Rig::new();
    let levels = |clock| ClockDataLevels {
        clock,
        ..ClockDataLevels::default()
    };
    rig.0.levels(t(0), levels(true));
    assert_eq!(rig.out(), []);
    rig.0.levels(t(1_000_000), levels(true));
    assert!(matches!(&rig.out()[..], [Output::Fault(text)] if text.starts_with("the clock is low")));
    rig.0.levels(t(2_000_000), levels(false));
    assert_eq!(rig.out(), [Output::Ready]);
}

#[test]
fn clocks_without_a_pause_are_a_fault_until_they_end_and_take_no_memory() {
    let mut rig = Rig::new();
    let mut said = Vec::new();
    for ms in 0..20_000 {
        rig.0.edge(t(ms * 1000), ClockDataEdge::Data(ms % 2 == 0));
        rig.0.edge(t(ms * 1000 + 300), ClockDataEdge::Clock);
        rig.0.handle_timeout(t(ms * 1000 + 400));
        said.extend(rig.out());
        assert!(rig.0.clocks.len() <= MOST && rig.0.data.len() <= 2 * MOST);
    }
    assert!(
        matches!(&said[..], [Output::Fault(text)] if text.contains("without a pause")),
        "{said:?}"
    );
    rig.0.handle_timeout(t(20_100_000));
    assert_eq!(told(&rig.out()), ["Noise", "ready"]);
    assert_eq!(told(&rig.send(30_000, &track("5"))), ["5"]);
}

#[test]
fn noise_is_told_at_once_and_then_counted() {
    let mut rig = Rig::new();
    let said: Vec<String> = (0..400)
        .flat_map(|n| told(&rig.send(n * 100, &[true; 3])))
        .collect();
    // 40 s: at once, and the rest in three sums
    assert_eq!(said.len(), 4);
}

proptest! {
    /// Whatever the wires do: no panic, only whole tracks, little memory, few reports.
    #[test]
    fn any_edges_make_only_tracks_that_fit(steps in prop::collection::vec((0_u32..3000, 0_u8..16), 0..1500), present: bool) {
        let mut reader = ClockDataReader::new(ClockDataParams { card_present: present, ..ClockDataParams::default() });
        let (mut now, mut told) = (t(0), 0);
        for (us, kind) in steps {
            now = now + Duration::from_micros(u64::from(us));
            match kind {
                0 => reader.lost(),
                1 => reader.levels(now, ClockDataLevels { clock: us % 2 == 0, data: us % 3 == 0, present: us % 5 == 0 }),
                2 => reader.handle_timeout(now),
                3 | 4 => reader.edge(now, ClockDataEdge::Present(us % 2 == 0)),
                5..=9 => reader.edge(now, ClockDataEdge::Data(us % 2 == 0)),
                _ => reader.edge(now, ClockDataEdge::Clock),
            }
            prop_assert!(reader.clocks.len() <= MOST && reader.data.len() <= 2 * MOST);
            while let Some(output) = reader.poll_output() {
                match output {
                    Output::Card { frame, at } => prop_assert!(track_of(&frame).is_some() && at <= now),
                    Output::Key { .. } => prop_assert!(false, "it has no keys"),
                    Output::Misread { times, bits, .. } => {
                        told += 1;
                        prop_assert!(times > 0 && bits > 0 && usize::from(bits) <= MOST);
                    }
                    Output::Fault(_) | Output::Ready => {}
                }
            }
        }
        // 6 kinds, each at once and then once in 10 s of at most 5 s
        prop_assert!(told <= 6 * 2);
    }

    /// A bit that is wrong between the start and the check character never makes another card.
    #[test]
    fn one_wrong_bit_makes_no_other_card(text in "[0-9]{1,16}", at: prop::sample::Index) {
        let mut bits = track(&text);
        let at = at.index(bits.len());
        bits[at] = !bits[at];
        let read = read_track(&bits).ok().and_then(|frame| track_of(&frame));
        prop_assert!(read.is_none() || read.as_ref() == Some(&text), "{read:?}");
    }
}
