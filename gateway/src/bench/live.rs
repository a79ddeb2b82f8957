//! What adapters notice, in a flood: who looks slowly is told what he missed, memory stays, doors keep their time.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::bench::bare::{Ahead, Bare};
use crate::bench::child::{Child, Control};
use crate::bench::edges::Edges;
use crate::bench::memory::{mib, pss};
use crate::bench::report::{Budget, Figure, Samples};
use crate::bench::site::{self, Calls, Spec};
use crate::bench::web::Web;
use crate::bench::{Work, boottime, progress};

/// Doors take turns, so that each is shut again before it is opened anew.
const DOORS: usize = 32;
/// Samples of a card, without and with the flood.
const SAMPLES: usize = 7 * DOORS;
/// Pause after each sample: 32 of them are longer than the pulse of 1 s.
const PAUSE: Duration = Duration::from_millis(45);
/// Longest wait for one relay.
const WAIT: Duration = Duration::from_secs(3);
/// Signals offered in a second.
const RATE: u64 = 20_000;
/// For how long. The samples end before it.
const FLOOD: Duration = Duration::from_secs(20);
/// What the slow one reads at once, and how long it pauses after that: about 300 signals a second.
const SIP: usize = 4096;
const SLOW: Duration = Duration::from_millis(100);

/// Measures.
pub(crate) fn measure(work: &Work) -> anyhow::Result<Vec<Figure>> {
    let dir = work.folder("live")?;
    let spec = Spec {
        calls: Calls::Direct(site::free_udp()?),
        cards: DOORS,
        doors: DOORS,
        mqtt: None,
        strike_ms: 1000,
    };
    let page = spec.write(&dir)?;
    progress(&format!("live: starting a gateway with {DOORS} doors"));
    let mut child = Child::apart(&dir)?;
    let mut control = child.control()?;
    let mut edges = child.edges();
    child.works(&mut control, &mut edges)?;
    let web = Web::set_up(&child, page)?;
    let mut bare = Bare::start()?;
    progress(&format!("live: {SAMPLES} cards in quiet"));
    let (quiet, bare_quiet) = cards(&mut control, &mut edges, &mut bare)?;
    let before = pss(child.pid())?;
    let done = Arc::<AtomicBool>::default();
    let fast = Looker::start(web.again()?.stream("/api/v1/signals")?, None, &done)?;
    let slow = Looker::start(web.again()?.stream("/api/v1/signals")?, Some(SLOW), &done)?;
    progress(&format!(
        "live: {RATE} signals a second for {} s, with {SAMPLES} cards",
        FLOOD.as_secs()
    ));
    let mut noise = child.control()?;
    let flood = json!({ "act": "noise", "input": "b0", "hz": RATE, "ms": FLOOD.as_millis() as u64 });
    noise.send(&flood)?;
    let (loud, bare_loud) = cards(&mut control, &mut edges, &mut bare)?;
    let after = pss(child.pid())?;
    let told = noise.told(FLOOD)?;
    let of = |key: &str| {
        told["ok"]
            .get(key)
            .and_then(Value::as_u64)
            .with_context(|| format!("no {key} in {told}"))
    };
    let rate = of("edges")? as f64 * 1000.0 / of("ms")?.max(1) as f64;
    // one more, so that both have something to come to the end with
    std::thread::sleep(Duration::from_millis(500));
    done.store(true, Ordering::Relaxed);
    control.input("x0", true)?;
    control.input("x0", false)?;
    let (fast, slow) = (fast.end()?, slow.end()?);
    Ok(vec![
        Figure {
            budget: Budget::AtLeast(RATE as f64 * 0.99),
            note: format!(
                "edges of one input that flickers for {} s, each taken by the core",
                FLOOD.as_secs()
            ),
            path: "signals offered to those who look".to_owned(),
            unit: "/s",
            value: rate,
        },
        Figure {
            budget: Budget::AtMost(0.0),
            note: format!(
                "who reads as fast as he can: {} got, {} told as missed; who reads {SIP} bytes every {} ms: {} got, {} told \
                 as missed",
                fast.got,
                fast.missed,
                SLOW.as_millis(),
                slow.got,
                slow.missed
            ),
            path: "signals neither got nor told as missed".to_owned(),
            unit: "",
            value: (fast.lost + slow.lost) as f64,
        },
        Figure {
            budget: Budget::AtMost(4.0),
            note: format!(
                "gateway alone, PSS {:.1} MiB in quiet, {:.1} MiB after most of the flood with both who look",
                mib(before),
                mib(after)
            ),
            path: "memory of the gateway more than in quiet".to_owned(),
            unit: "MiB",
            value: mib(after) - mib(before),
        },
        quiet.p99_beside(
            &bare_quiet,
            "card frame to guard energises, in quiet",
            1.0,
            "beside the next line",
        ),
        loud.p99_beside(
            &bare_loud,
            "card frame to guard energises, in the flood",
            1.0,
            "two look at the signals meanwhile, on the same cores",
        ),
    ])
}

/// Cards, and what the machine takes in turns with them.
fn cards(control: &mut Control, edges: &mut Edges, bare: &mut Bare) -> anyhow::Result<(Samples, Samples)> {
    let _ahead = Ahead::new();
    let (mut samples, mut alone) = (Samples::default(), Samples::default());
    for n in 0..SAMPLES {
        // the bell of door 0 flickers; its card works all the same
        let door = n % DOORS;
        let show = json!({ "act": "card", "reader": format!("r{door}"), "card": site::card(door) });
        let began = boottime();
        control.send(&show)?;
        samples.push(edges.took(&format!("o{door}"), began, WAIT)?);
        control.answer()?;
        std::thread::sleep(PAUSE);
        bare.sample(&mut alone)?;
    }
    Ok((samples, alone))
}

/// What one who looked got.
#[derive(Debug, Default)]
struct Seen {
    got: u64,
    /// Neither got nor told.
    lost: u64,
    missed: u64,
    next: Option<u64>,
}

impl Seen {
    fn signal(&mut self, n: u64) {
        self.got += 1;
        self.pass(n, n);
    }

    fn pass(&mut self, from: u64, to: u64) {
        self.lost += from.abs_diff(self.next.unwrap_or(from));
        self.next = Some(to + 1);
    }

    fn line(&mut self, line: &str, missed: &mut bool) -> anyhow::Result<()> {
        if let Some(event) = line.strip_prefix("event:") {
            *missed = event == "missed";
        } else if let Some(data) = line.strip_prefix("data:") {
            let data: Value = serde_json::from_str(data)?;
            let number = |of: &Value, key: &str| of.get(key).and_then(Value::as_u64).context("no number");
            if *missed {
                let (from, to) = (number(&data, "from")?, number(&data, "to")?);
                self.missed += to - from + 1;
                self.pass(from, to);
            } else {
                for signal in data.as_array().context("no list of signals")? {
                    self.signal(number(signal, "n")?);
                }
            }
        }
        Ok(())
    }
}

/// One who looks.
struct Looker(JoinHandle<anyhow::Result<Seen>>);

impl Looker {
    /// Looks until nothing comes any more once it is `done`; with a pause after each sip, if he is slow.
    fn start(stream: TcpStream, pause: Option<Duration>, done: &Arc<AtomicBool>) -> anyhow::Result<Self> {
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let done = Arc::clone(done);
        let look = move || {
            let (mut seen, mut missed) = (Seen::default(), false);
            let mut reader = BufReader::with_capacity(
                SIP,
                Slowly {
                    done: Arc::clone(&done),
                    pause,
                    stream,
                },
            );
            let mut line = String::new();
            loop {
                match reader.read_line(&mut line) {
                    Ok(0) => return Ok(seen),
                    Ok(_) => seen.line(line.trim_end(), &mut missed)?,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        if done.load(Ordering::Relaxed) {
                            return Ok(seen);
                        }
                        // the line goes on where it stopped
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
                line.clear();
            }
        };
        Ok(Self(
            std::thread::Builder::new()
                .name("bench-looker".into())
                .spawn(look)?,
        ))
    }

    fn end(self) -> anyhow::Result<Seen> {
        self.0
            .join()
            .map_err(|_| anyhow::anyhow!("who looked broke off"))?
    }
}

/// A stream that is read in sips; without pauses once it is done.
struct Slowly {
    done: Arc<AtomicBool>,
    pause: Option<Duration>,
    stream: TcpStream,
}

impl Read for Slowly {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if let Some(pause) = self.pause.filter(|_| !self.done.load(Ordering::Relaxed)) {
            std::thread::sleep(pause);
        }
        self.stream.read(into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_neither_got_nor_told_is_counted() {
        let (mut seen, mut missed) = (Seen::default(), false);
        for line in [
            "event:signals",
            r#"data:[{"n":4},{"n":5}]"#,
            "",
            ":alive",
            "event:missed",
            r#"data:{"from":6,"to":9}"#,
            "event:signals",
            r#"data:[{"n":10}]"#,
        ] {
            seen.line(line, &mut missed).expect("a line");
        }
        assert_eq!((seen.got, seen.missed, seen.lost), (3, 4, 0));
        seen.signal(13);
        assert_eq!(seen.lost, 2);
    }
}
