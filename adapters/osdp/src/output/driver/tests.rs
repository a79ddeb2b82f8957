use std::sync::{Arc, Mutex};

use super::*;
use crate::output::server::Server;

/// A line that answers as it is told, and what it was asked.
struct Line {
    asked: Arc<Mutex<Vec<(ReaderId, OutputOrder)>>>,
    folder: tempfile::TempDir,
    task: tokio::task::JoinHandle<()>,
}

impl Line {
    fn path(&self) -> PathBuf {
        self.folder.path().join("osdp-ttys1.sock")
    }

    fn new(answer: impl Fn(&OutputOrder) -> OutputAnswer + Send + 'static) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = Server::listen(&folder.path().join("osdp-ttys1.sock")).expect("a socket");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Some(next) = server.asked.recv().await {
                let _ = next.answer.send(answer(&next.order));
                list.lock().expect("not poisoned").push((next.reader, next.order));
            }
        });
        Self { asked, folder, task }
    }

    fn orders(&self) -> Vec<OutputOrder> {
        let asked = self.asked.lock().expect("not poisoned");
        asked.iter().map(|(_, order)| order.clone()).collect()
    }

    async fn has(&self, order: &OutputOrder) {
        while !self.orders().contains(order) {
            tokio::task::yield_now().await;
        }
    }
}

fn outputs(line: &Line) -> OsdpOutputs {
    OsdpOutputs::new(line.path(), "front".parse().expect("a name"))
}

#[tokio::test]
async fn a_pulse_is_told_with_its_end_and_is_never_shorter_than_wanted() {
    let line = Line::new(|_| Ok(None));
    let mut board = outputs(&line);
    assert!(board.set(0, true).await.is_err(), "it is claimed first");
    board.claim(&[0, 3]).await.expect("claimed");
    for (length, wanted) in [(0, 1), (1, 1), (100, 1), (3501, 36), (86_400_000, u16::MAX)] {
        let before = boottime();
        let pulse = board
            .pulse(3, Duration::from_millis(length))
            .expect("readers can");
        pulse.await.expect("told");
        let Some(OutputOrder::On {
            not_after,
            number: 3,
            tenths,
        }) = line.orders().pop()
        else {
            panic!("{:?}", line.orders());
        };
        assert_eq!(tenths, wanted, "{length} ms");
        assert!(not_after >= before + ANSWER && not_after <= boottime() + ANSWER);
    }
    assert_eq!(line.orders()[0], OutputOrder::Claim(vec![0, 3]));
}

#[tokio::test]
async fn levels_are_read_where_the_reader_says_them() {
    let line = Line::new(|order| Ok((*order == OutputOrder::Read).then(|| vec![false, true])));
    let mut board = outputs(&line);
    board.claim(&[0, 1, 2]).await.expect("claimed");
    assert_eq!(board.read_back(0).await.expect("read"), Some(false));
    assert_eq!(board.read_back(1).await.expect("read"), Some(true));
    assert!(board.read_back(2).await.is_err());
    let line = Line::new(|_| Ok(None));
    let mut board = outputs(&line);
    board.claim(&[0]).await.expect("claimed");
    assert_eq!(board.read_back(0).await.expect("nothing to read"), None);
}

#[tokio::test]
async fn what_is_held_is_let_go_when_the_guard_goes() {
    let line = Line::new(|_| Ok(None));
    let mut board = outputs(&line);
    board.claim(&[0, 1]).await.expect("claimed");
    board.set(0, true).await.expect("held");
    board.set(1, true).await.expect("held");
    board.set(1, false).await.expect("let go");
    drop(board);
    line.has(&OutputOrder::Off(0)).await;
    let off = line
        .orders()
        .into_iter()
        .filter(|order| *order == OutputOrder::Off(1));
    assert_eq!(off.count(), 1, "once by the guard, and not again at its end");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_comes_with_the_readers_words_and_a_line_that_is_gone_with_ours() {
    let line = Line::new(|order| {
        if matches!(order, OutputOrder::On { .. }) {
            Err("the reader refuses it (unknown command)".to_owned())
        } else {
            Ok(None)
        }
    });
    let mut board = outputs(&line);
    board.claim(&[0]).await.expect("claimed");
    let refused = board.pulse(0, Duration::from_secs(1)).expect("readers can").await;
    let error = refused.expect_err("refused");
    assert!(error.text.contains("unknown command"), "{error}");
    assert!(
        board.set(0, true).await.is_err(),
        "after an error it is claimed anew"
    );
    board.claim(&[0]).await.expect("claimed");
    line.task.abort();
    while !line.task.is_finished() {
        tokio::task::yield_now().await;
    }
    assert!(!line.path().exists(), "the socket goes with the line");
    let error = board.claim(&[0]).await.expect_err("no line");
    assert!(error.text.contains("does not serve the reader's line"), "{error}");
    assert!(error.text.contains("ended by the reader"), "{error}");
}
