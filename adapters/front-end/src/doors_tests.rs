use std::time::Duration;

use adapter_api::OutputDriver as _;
use tokio::task::JoinHandle;

use super::*;
use crate::firmware::Firmware;
use crate::simulator::{Cable, cable};

/// A front end at its door port. One that is `old` knows no rows and no telegrams, as its firmware was before there were any.
async fn play(cable: Cable, old: bool) {
    let mut firmware = Firmware::new(1, 4, 4, 2);
    let mut deframer = Deframer::new();
    let mut buffer = [0; 512];
    let start = Instant::now();
    loop {
        let count = cable.read(&mut buffer).await.expect("readable");
        for byte in &buffer[..count] {
            let Some(Ok(message)) = deframer.push(*byte) else {
                continue;
            };
            let (number, order) = Order::read(&message).expect("the guard gives orders");
            if old && matches!(order, Order::Row(_) | Order::Telegram(_)) {
                cable.write(&Word::Refused(Reason::Kind).frame(number));
                continue;
            }
            let now_us = u64::try_from(start.elapsed().as_micros()).expect("soon");
            firmware.handle_bytes(now_us, PortRole::Door, &order.frame(number));
            cable.write(&firmware.take_bytes(PortRole::Door));
        }
    }
}

fn front_end(old: bool, opening: Opening) -> (FrontEndDoors, JoinHandle<()>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("door");
    let cable = cable(&path).expect("a cable");
    let openings = [(0, opening)].into();
    let doors = FrontEndDoors::new(path, 921_600, openings);
    (doors, tokio::spawn(play(cable, old)), folder)
}

fn row() -> Opening {
    Opening::Row(Row {
        door: 0,
        window_ms: 0,
        rows: 1,
        pause_ms: 200,
        hook: None,
        after_ms: 0,
        call: None,
        quiet_ms: 0,
        times_us: vec![6000, 2000, 4000],
    })
}

/// How a line of ABB-Welcome opens by what was learnt.
fn telegram() -> Opening {
    let welcome = include_str!("../../../config/panels/busch-welcome.toml");
    let door = "[door]\nby = \"frame\"\nframe = \"hex 03 0d 40 01 10 @@ ab cd ef\"\npresses = 1\npause-ms = 200\n\
                off-hook-ms = 0\nquiet-ms = 100\nhold-ms = 0\n";
    let profile = Profile::parse(&format!("{welcome}\n{door}")).expect("a profile");
    let bus = Some(BusAddress {
        address: 12,
        station: 0,
    });
    let wiring = Wiring {
        call: 0,
        busy: None,
        floor: None,
        handset: None,
        hook: 0,
        exclude: None,
        mute: None,
        door: Some(0),
    };
    assert_eq!(Opening::new(0, &profile, &wiring, None), None);
    Opening::new(0, &profile, &wiring, bus).expect("a door")
}

fn press() -> Opening {
    Opening::Press(Press {
        door: 0,
        window_ms: 0,
        press_ms: 300,
        presses: 1,
        pause_ms: 0,
        hook: None,
        after_ms: 0,
        call: None,
        quiet_ms: 0,
    })
}

#[tokio::test]
async fn a_front_end_that_knows_no_rows_is_refused_for_a_door_that_opens_by_a_frame() {
    let (mut doors, _task, _folder) = front_end(true, row());
    let error = doors.claim(&[0]).await.expect_err("it cannot open it");
    assert!(
        error.text.contains("sends no frames on its door outputs"),
        "{error}"
    );
    assert!(error.text.contains("take another firmware"), "{error}");
}

#[tokio::test]
async fn a_front_end_that_knows_no_telegrams_is_refused_for_a_door_that_opens_by_one() {
    let (mut doors, _task, _folder) = front_end(true, telegram());
    let error = doors.claim(&[0]).await.expect_err("it cannot open it");
    assert!(error.text.contains("take another firmware"), "{error}");
    let (mut doors, _task, _folder) = front_end(false, telegram());
    doors.claim(&[0]).await.expect("it knows telegrams");
    let before = doors.sent;
    for _ in 0..2 {
        let pulse = doors.pulse(0, Duration::from_secs(2)).expect("it has a time");
        pulse.await.expect("taken");
    }
    // each has a number of its own
    assert_eq!(doors.sent, before.wrapping_add(2));
    let order = |number| telegram().within(2000, number);
    let (Order::Telegram(one), Order::Telegram(other)) = (order(1), order(2)) else {
        panic!("telegrams")
    };
    assert_eq!((one.bytes[8], other.bytes[8]), (1, 2));
    assert_eq!(one.bytes[..8], other.bytes[..8]);
    assert!(one.bytes.last() != other.bytes.last(), "the check is another");
}

#[tokio::test]
async fn a_front_end_without_rows_has_doors_that_are_pressed_and_one_with_them_has_both() {
    let (mut doors, _task, _folder) = front_end(true, press());
    doors.claim(&[0]).await.expect("a press is enough");
    let pulse = doors.pulse(0, Duration::from_secs(2)).expect("it has a time");
    pulse.await.expect("taken");
    let (mut doors, _task, _folder) = front_end(false, row());
    doors.claim(&[0]).await.expect("it knows rows");
    let pulse = doors.pulse(0, Duration::from_secs(2)).expect("it has a time");
    pulse.await.expect("taken");
}
