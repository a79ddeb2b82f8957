//! A USB relay board, played to the kernel by another program (`tests/vm/hid-board.py`).

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::wire::boottime;

/// Its id.
pub(crate) const ID: &str = "6QMBS";

/// A change of a relay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) at: Duration,
    pub(crate) on: bool,
    pub(crate) relay: u16,
}

pub(crate) struct Board {
    edges: mpsc::Receiver<Edge>,
    hand: ChildStdin,
    player: Child,
}

/// What was taken along into the virtual machine.
fn along(begins: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir("/extra").ok()?.flatten();
    let mut found = entries.map(|entry| entry.path()).filter(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(begins))
    });
    found.next()
}

/// What Debian's `usbrelay` says, if it was taken along.
pub(crate) fn usbrelay(args: &[&str]) -> Option<String> {
    let output = Command::new(along("usbrelay")?).args(args).output();
    let output = output.expect("it starts");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{}\n{text}", output.status);
    Some(text)
}

impl Board {
    /// Plugs one in, if this machine can have one.
    pub(crate) fn plug() -> Option<Self> {
        if !Path::new("/dev/uhid").exists() {
            return None;
        }
        let mut player = Command::new(along("python")?)
            .args(["-E", "-s", "-S", "-B"])
            .arg(along("hid-board.py")?)
            .arg(ID)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the player starts");
        let hand = player.stdin.take().expect("piped");
        let mut lines = BufReader::new(player.stdout.take().expect("piped")).lines();
        assert_eq!(lines.next().expect("a line").expect("readable"), "board ready");
        let (tell, edges) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let words: Vec<&str> = line.split(' ').collect();
                let ["edge", relay, level] = words[..] else {
                    panic!("{line}");
                };
                let edge = Edge {
                    at: boottime(),
                    on: level == "1",
                    relay: relay.parse().expect("a number"),
                };
                if tell.send(edge).is_err() {
                    return;
                }
            }
        });
        Some(Self { edges, hand, player })
    }

    /// Does something at the board, as the player has it.
    pub(crate) fn act(&mut self, what: &str) {
        writeln!(self.hand, "{what}").expect("the player lives");
    }

    /// The next change of a relay.
    pub(crate) fn edge(&self, patience: Duration) -> Option<Edge> {
        self.edges.recv_timeout(patience).ok()
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.player.kill();
        let _ = self.player.wait();
    }
}
