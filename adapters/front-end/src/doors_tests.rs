use std::time::Duration;

use adapter_api::OutputDriver as _;
use tokio::task::JoinHandle;

use super::*;
use crate::firmware::Firmware;
use crate::simulator::{Cable, cable};

/// A front end at its door port. One that is `old` knows no rows, as its firmware was before there were any.
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
            if old && matches!(order, Order::Row(_)) {
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
