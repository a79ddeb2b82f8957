//! The driver against a board that is played on the other end of a pty pair.

mod pty;

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use adapter_api::OutputDriver;
use adapter_serial_relay::{BAUD, FRAME_BYTES, Frame, SerialRelay};
use pty::{Cable, cable};

/// A board: reads frames and says what it was told, until its side of the cable is dropped.
struct Board {
    frames: mpsc::Receiver<Frame>,
    path: PathBuf,
    side: OwnedFd,
    /// While the driver's end is opened anew, reading our side would fail without it.
    _theirs: OwnedFd,
}

fn board() -> Board {
    let Cable { path, side, theirs } = cable();
    let mut reader = File::from(side.try_clone().expect("a second handle"));
    let (tell, frames) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; FRAME_BYTES];
        while reader.read_exact(&mut bytes).is_ok() {
            let frame = Frame::decode(bytes).expect("the driver writes frames only");
            if tell.send(frame).is_err() {
                return;
            }
        }
    });
    Board {
        frames,
        path,
        side,
        _theirs: theirs,
    }
}

impl Board {
    fn next(&self) -> (u8, bool) {
        let frame = self
            .frames
            .recv_timeout(Duration::from_secs(5))
            .expect("a frame within 5 s");
        (frame.relay(), frame.energised())
    }
}

#[tokio::test]
async fn claiming_writes_every_channel_to_rest_and_setting_switches_one() {
    let board = board();
    let mut driver = SerialRelay::lcus1(board.path.clone(), BAUD);
    assert!(
        driver.set(1, true).await.is_err(),
        "nothing is written without a claim"
    );
    driver.claim(&[1, 2]).await.expect("claimed");
    assert_eq!([board.next(), board.next()], [(1, false), (2, false)]);
    driver.set(2, true).await.expect("set");
    assert_eq!(board.next(), (2, true));
    driver.set(2, false).await.expect("set");
    assert_eq!(board.next(), (2, false));
    assert_eq!(driver.read_back(2).await.expect("it is there"), None);
    let error = driver.set(9, true).await.expect_err("there is no relay 9");
    assert!(
        error.to_string().contains("relay 9, allowed are 1 to 8"),
        "{error}"
    );
}

#[tokio::test]
async fn a_claimed_board_is_held_for_one_and_claimed_again_after_a_failure() {
    let board = board();
    let mut first = SerialRelay::lcus1(board.path.clone(), BAUD);
    first.claim(&[1]).await.expect("claimed");
    assert_eq!(board.next(), (1, false));
    let mut second = SerialRelay::lcus1(board.path.clone(), BAUD);
    let error = second.claim(&[1]).await.expect_err("the port is held");
    assert!(error.source.is_some(), "{error}");
    first.claim(&[1]).await.expect("the same driver may claim again");
    assert_eq!(board.next(), (1, false));
}

#[tokio::test]
async fn an_unplugged_board_is_an_error_on_the_next_look() {
    let Board {
        frames, path, side, ..
    } = board();
    let mut driver = SerialRelay::lcus1(path, BAUD);
    driver.claim(&[1]).await.expect("claimed");
    frames.recv_timeout(Duration::from_secs(5)).expect("rest");
    // The reader thread holds the other handle; a frame makes it look, and it ends because nobody listens.
    drop((frames, side));
    // the thread holds the cable until this frame comes, or is gone already
    let set = driver.set(1, true).await;
    let unplugged = async {
        if let Err(error) = set {
            return error;
        }
        loop {
            if let Err(error) = driver.read_back(1).await {
                return error;
            }
            tokio::task::yield_now().await;
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(5), unplugged)
        .await
        .expect("noticed within 5 s");
    assert!(error.text.contains("unplugged"), "{error}");
    assert!(
        driver.set(1, true).await.is_err(),
        "it stays an error until it is claimed again"
    );
}

/// What the board finds on its side of a cable once it reads again, up to the order to rest, which comes last.
fn finds(side: &OwnedFd) -> Vec<u8> {
    rustix::io::ioctl_fionbio(side, true).expect("it does not block");
    let (rest, begun) = (orders(1, false), Instant::now());
    let mut came = Vec::new();
    let mut buffer = [0; 4096];
    while !came.ends_with(&rest) {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{} bytes and no rest",
            came.len()
        );
        match rustix::io::read(side, &mut buffer) {
            Ok(count) => came.extend(&buffer[..count]),
            Err(_) => std::thread::yield_now(),
        }
    }
    came
}

fn orders(channel: u16, on: bool) -> Vec<u8> {
    Frame::new(channel, on).expect("a relay").encode().to_vec()
}

fn has_on(came: &[u8]) -> bool {
    came.windows(FRAME_BYTES).any(|bytes| bytes == orders(1, true))
}

/// Bytes that a hung board has not taken: a pty keeps 4096 that count as taken, and what comes behind them as its queue.
fn stuff(theirs: &OwnedFd) {
    for _ in 0..8 {
        rustix::io::write(theirs, &[0; 1024]).expect("there is room");
    }
}

/// The same, until nothing more goes in.
fn fill(theirs: &OwnedFd) {
    rustix::io::ioctl_fionbio(theirs, true).expect("it does not block");
    // the kernel makes room for a while yet, as it moves bytes to the other side
    let mut full = Instant::now();
    while full.elapsed() < Duration::from_millis(50) {
        if rustix::io::write(theirs, &[0]).is_ok() {
            full = Instant::now();
        }
    }
}

#[tokio::test]
async fn an_order_that_waits_in_a_hung_port_is_gone_when_the_board_is_claimed_again() {
    let Cable { path, side, theirs } = cable();
    let mut driver = SerialRelay::lcus1(path.clone(), BAUD);
    driver.claim(&[1]).await.expect("claimed");
    stuff(&theirs);
    driver
        .set(1, true)
        .await
        .expect("the port takes it, and the board does not");
    driver.claim(&[1]).await.expect("claimed again");
    assert!(!has_on(&finds(&side)), "nothing but rest reaches the board");
    // the same when the guard ends, and of what one that was killed left behind
    stuff(&theirs);
    driver.set(1, true).await.expect("set");
    drop(driver);
    let mut next = SerialRelay::lcus1(path, BAUD);
    rustix::io::write(&theirs, &orders(1, false)).expect("written");
    assert!(!has_on(&finds(&side)), "closing sends nothing later");
    stuff(&theirs);
    rustix::io::write(&theirs, &orders(1, true)).expect("written");
    next.claim(&[1]).await.expect("claimed");
    assert!(!has_on(&finds(&side)));
}

#[tokio::test]
async fn a_port_that_takes_no_bytes_fails_the_order_and_never_delivers_it() {
    let Cable { path, side, theirs } = cable();
    let mut driver = SerialRelay::lcus1(path, BAUD);
    driver.claim(&[1]).await.expect("claimed");
    fill(&theirs);
    let error = driver.set(1, true).await.expect_err("there is no room");
    assert!(error.text.contains("hangs"), "{error}");
    let error = driver.set(1, true).await.expect_err("it is claimed first");
    assert!(error.text.contains("not claimed"), "{error}");
    driver.claim(&[1]).await.expect("claimed again");
    // one that is given up half-way, as the guard does it
    fill(&theirs);
    let given_up = tokio::time::timeout(Duration::from_millis(20), driver.set(1, true)).await;
    assert!(given_up.is_err(), "{given_up:?}");
    driver.claim(&[1]).await.expect("it works again");
    let came = finds(&side);
    assert!(!has_on(&came) && came.ends_with(&orders(1, false)));
}
