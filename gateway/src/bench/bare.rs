//! What the machine itself takes for handing something over, measured in turns with the doors.
//!
//! Two processes in a row, each of which does nothing but read one byte and write one: the way of a request through
//! gateway and relay guard, without them. They have the priority that the doors have. What a busy machine adds is in
//! both figures, what the product adds is in one.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context;
use gateway_priority::Turn;
use serde_json::json;

use crate::bench::boottime;
use crate::bench::report::Samples;

/// The two processes.
pub(crate) struct Bare {
    answers: BufReader<ChildStdout>,
    processes: [Child; 2],
    to: Option<ChildStdin>,
}

impl Bare {
    /// Starts them.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut first = Self::process("hop", Stdio::piped())?;
        let between = first.stdout.take().context("no standard output")?;
        let mut second = Self::process("stamp", Stdio::from(between))?;
        let answers = second.stdout.take().context("no standard output")?;
        let mut bare = Self {
            answers: BufReader::new(answers),
            to: first.stdin.take(),
            processes: [first, second],
        };
        // they are up once something has come through
        bare.once()?;
        Ok(bare)
    }

    fn process(role: &str, stdin: Stdio) -> anyhow::Result<Child> {
        Ok(Command::new(std::env::current_exe()?)
            .args(["bench", "--role", &json!({ "role": role }).to_string()])
            .stdin(stdin)
            .stdout(Stdio::piped())
            .spawn()?)
    }

    /// Hands one byte over and adds how long it took to the second process.
    pub(crate) fn sample(&mut self, samples: &mut Samples) -> anyhow::Result<()> {
        samples.push(self.once()?);
        Ok(())
    }

    /// Nanoseconds from before the byte was written until the second process had read it.
    fn once(&mut self) -> anyhow::Result<u64> {
        let began = boottime();
        self.to.as_mut().context("it has ended")?.write_all(b".")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let at: u64 = line.trim().parse().context("the bare processes ended")?;
        Ok(at.saturating_sub(began))
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.to = None;
        for process in &mut self.processes {
            let _ = process.wait();
        }
    }
}

/// While it lives, the calling thread has the turn that the doors have, so that what it waits for a processor between looking at
/// the clock and asking is in no figure. What a thread starts meanwhile inherits it.
pub(crate) struct Ahead;

impl Ahead {
    /// Without permission it is a thread like any other.
    pub(crate) fn new() -> Self {
        let _ = Turn::Doors.take();
        Self
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        let _ = Turn::Last.take();
    }
}

/// The body of either process: the first passes each byte on, the second writes when it came.
pub(crate) fn role(stamps: bool) -> anyhow::Result<()> {
    let _ahead = Ahead::new();
    let (mut from, mut to) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut byte = [0];
    while from.read(&mut byte)? > 0 {
        let at = boottime();
        if stamps {
            writeln!(to, "{at}")?;
        } else {
            to.write_all(&byte)?;
        }
        to.flush()?;
    }
    Ok(())
}
