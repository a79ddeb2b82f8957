//! The driver against a board that is played on the other end of a pty pair.

mod pty;

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

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
    driver
        .set(1, true)
        .await
        .expect("the thread still holds the cable");
    let unplugged = async {
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
