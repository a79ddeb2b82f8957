use std::sync::{Arc, Condvar, Mutex};

use super::*;
use crate::worker::Board;

/// A board that does what the reports say, and what somebody does to it.
#[derive(Debug, Default)]
struct Played {
    hangs: bool,
    levels: u8,
    orders: Vec<(u8, u8)>,
    /// A relay that sticks.
    stuck: u8,
    unplugged: bool,
}

#[derive(Clone, Debug, Default)]
struct Device(Arc<(Mutex<Played>, Condvar)>);

impl Device {
    fn with<T>(&self, f: impl FnOnce(&mut Played) -> T) -> T {
        let done = f(&mut self.0.0.lock().expect("not poisoned"));
        self.0.1.notify_all();
        done
    }

    /// As the kernel waits for a board that hangs.
    fn awake(&self) -> std::sync::MutexGuard<'_, Played> {
        let played = self.0.0.lock().expect("not poisoned");
        self.0
            .1
            .wait_while(played, |played| played.hangs)
            .expect("not poisoned")
    }
}

impl Board for Device {
    fn send(&mut self, report: &Report) -> io::Result<()> {
        let mut played = self.awake();
        if played.unplugged {
            return Err(io::Error::from_raw_os_error(19));
        }
        let (what, bit) = (report[1], 1 << (report[2] - 1));
        played.orders.push((what, report[2]));
        played.levels = if what == 0xFF {
            played.levels | bit
        } else {
            played.levels & !bit
        } | played.stuck;
        Ok(())
    }

    fn status(&mut self) -> io::Result<Status> {
        let played = self.awake();
        if played.unplugged {
            return Err(io::Error::from_raw_os_error(19));
        }
        let bytes = [0, b'6', b'Q', b'M', b'B', b'S', 0, 0, played.levels];
        Ok(Status::parse(&bytes).expect("an answer"))
    }
}

async fn relay(device: &Device) -> HidRelay {
    let mut relay = HidRelay::new("6QMBS".to_owned());
    let board = device.clone();
    relay.worker = Some(Worker::start(move || Ok(board)).await.expect("started"));
    relay
}

#[tokio::test]
async fn a_claim_writes_the_used_relays_to_rest_and_a_relay_that_sticks_fails_it() {
    let device = Device::default();
    device.with(|played| played.levels = 0b1111);
    let mut board = relay(&device).await;
    board.rested(&[1, 3]).await.expect("they rest");
    assert_eq!(device.with(|p| p.orders.clone()), [(0xFD, 1), (0xFD, 3)]);
    assert_eq!(device.with(|p| p.levels), 0b1010, "others are not touched");
    device.with(|played| played.stuck = 0b100);
    let error = board.rested(&[1, 3]).await.expect_err("one stays on");
    assert!(error.text.contains("relay 3 stays on"), "{error}");
    assert!(board.set(1, true).await.is_err(), "it is claimed again first");
}

#[tokio::test]
async fn relays_are_switched_and_read_each_by_its_number() {
    let device = Device::default();
    let mut board = relay(&device).await;
    board.set(8, true).await.expect("switched");
    assert_eq!(board.read_back(8).await.expect("read"), Some(true));
    assert_eq!(board.read_back(1).await.expect("read"), Some(false));
    board.set(8, false).await.expect("switched");
    assert_eq!(board.read_back(8).await.expect("read"), Some(false));
    let error = board.set(9, true).await.expect_err("no such relay");
    assert!(error.text.contains("allowed are 1 to 8"), "{error}");
}

#[tokio::test]
async fn an_unplugged_board_is_said_and_one_with_another_id_is_not_used() {
    let device = Device::default();
    let mut board = relay(&device).await;
    board.id = "AAAAA".to_owned();
    let error = board.read_back(1).await.expect_err("another board");
    assert!(error.text.contains("6QMBS"), "{error}");
    let mut board = relay(&device).await;
    device.with(|played| played.unplugged = true);
    let error = board.set(1, true).await.expect_err("gone");
    assert!(
        error.text.contains("unplugged") && error.source.is_some(),
        "{error}"
    );
}

#[tokio::test]
async fn an_order_to_energise_that_was_given_up_is_never_begun_and_rest_is() {
    let device = Device::default();
    let board = relay(&device).await;
    let worker = board.worker.expect("open");
    let order = |relay, on| super::order(relay, on).expect("a relay");
    device.with(|played| played.hangs = true);
    // the first is in the kernel already, and what follows waits behind it
    let given_up = async {
        tokio::join!(
            worker.status(),
            worker.send(order(1, true), true),
            worker.send(order(2, false), false)
        )
    };
    assert!(timeout(Duration::from_millis(20), given_up).await.is_err());
    device.with(|played| played.hangs = false);
    worker.status().await.expect("it goes on");
    assert_eq!(device.with(|p| p.orders.clone()), [(0xFD, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_board_that_hangs_costs_its_answer_time_and_nobody_else_a_thread() {
    let device = Device::default();
    let mut board = relay(&device).await;
    device.with(|played| played.hangs = true);
    let error = board.set(1, false).await.expect_err("no answer");
    assert!(error.text.contains("within 200 ms"), "{error}");
    device.with(|played| played.hangs = false);
}
