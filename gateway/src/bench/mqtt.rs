//! Events and commands over MQTT and the API, beside what a broker takes for a message by itself.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::bench::broker::{Broker, Peer};
use crate::bench::child::{Child, Control};
use crate::bench::report::{Budget, Figure, Samples};
use crate::bench::site::{self, Calls, Spec};
use crate::bench::web::Web;
use crate::bench::{Work, boottime, progress};

/// Doors take turns, so that each is shut again before it is opened anew.
const DOORS: usize = 32;
/// Samples of each way.
const SAMPLES: usize = 4 * DOORS;
/// Ten commands a second are taken over MQTT.
const PAUSE: Duration = Duration::from_millis(110);
/// Events of the flood: keys of a reader, so many in a request.
const EVENTS: usize = 20_000;
const KEYS: usize = 500;
/// Longest wait for one sample. One that took longer counts as this: on a machine that stands still for half a second a card or a
/// command is refused as old, and that is no reason to stop measuring.
const WAIT: Duration = Duration::from_secs(3);
/// For how long the API is asked.
const ASKED: Duration = Duration::from_secs(3);
/// Topics of the broker alone, and of all our records.
const ALONE: &str = "alone";
const RECORDS: &str = "doorline/bench/event";

/// Times of one way, and how many of them were not over in [`WAIT`].
#[derive(Default)]
struct Way {
    late: usize,
    took: Samples,
}

impl Way {
    /// Adds one from `began` to `at`; `None` was not over in time.
    fn push(&mut self, began: u64, at: Option<u64>) {
        let most = u64::try_from(WAIT.as_nanos()).unwrap_or(u64::MAX);
        self.late += usize::from(at.is_none());
        self.took.push(at.map_or(most, |at| at.saturating_sub(began)));
    }
}

/// Ways through the broker, each with the broker's own in turns with it.
#[derive(Default)]
struct Ways {
    alone: Way,
    api_open: Way,
    command: Way,
    event: Way,
}

/// Measures, and shows each figure as it has it.
pub(crate) fn measure(work: &Work, show: &mut dyn FnMut(Figure) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let dir = work.folder("mqtt")?;
    let broker = Broker::start(&dir)?;
    let spec = Spec {
        calls: Calls::Direct(site::free_udp()?),
        cards: DOORS,
        doors: DOORS,
        mqtt: Some(broker.port),
        strike_ms: 1000,
    };
    let page = spec.write(&dir)?;
    progress(&format!(
        "mqtt: starting a gateway with {DOORS} doors at {}",
        broker.name
    ));
    let mut child = Child::start(&dir)?;
    let mut control = child.control()?;
    let mut edges = child.edges();
    child.works(&mut control, &mut edges)?;
    let mut web = Web::set_up(&child, page)?;
    let records = Peer::start(&broker, "records", RECORDS)?;
    // the first record that comes shows that the gateway is at the broker
    let payload = until_heard(&mut control, &records)?;
    let ways = ways(&broker, &mut control, &mut web, &payload)?;
    latencies(&ways, &broker).into_iter().try_for_each(&mut *show)?;
    let alone = flood_alone(&broker, &payload)?;
    let ours = flood(&mut control, &records)?;
    show(Figure {
        budget: Budget::Free,
        note: format!(
            "{EVENTS} keys of a reader, each a durable record of about {} bytes, QoS 1, first to last; {} alone passes {alone:.0}/s \
             of that size; ratio {:.2}",
            payload.len(),
            broker.name,
            ours / alone
        ),
        path: "events from reader to subscriber".to_owned(),
        unit: "/s",
        value: ours,
    })?;
    show(asked(&web)?)
}

/// Opens door 0 until a record is heard; a record of the size that most have.
fn until_heard(control: &mut Control, records: &Peer) -> anyhow::Result<Vec<u8>> {
    for _ in 0..20 {
        show(control, 0)?;
        control.answer()?;
        std::thread::sleep(Duration::from_millis(1200));
        if let Ok(heard) = records.next() {
            records.forget();
            return Ok(heard.payload);
        }
    }
    anyhow::bail!("the gateway publishes nothing at the broker")
}

fn show(control: &mut Control, door: usize) -> anyhow::Result<()> {
    control.send(&json!({ "act": "card", "reader": format!("r{door}"), "card": site::card(door) }))
}

fn ways(broker: &Broker, control: &mut Control, web: &mut Web, payload: &[u8]) -> anyhow::Result<Ways> {
    progress(&format!(
        "mqtt: {SAMPLES} cards, commands and messages of the broker alone, in turns"
    ));
    let mut ways = Ways::default();
    let alone = Peer::start(broker, "alone", ALONE)?;
    let answers = Peer::start(broker, "answers", "doorline/bench/response")?;
    let granted = Peer::start(broker, "granted", "doorline/bench/door/+/event")?;
    let mut payload = payload.to_vec();
    for n in 0..SAMPLES {
        let door = n % DOORS;
        // a message of a stranger through the broker, told from those before it
        let number = u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
        for (byte, of_number) in payload.iter_mut().zip(number) {
            *byte = of_number;
        }
        let began = boottime();
        alone.say(ALONE, &payload)?;
        let heard = alone.find(WAIT, |heard| heard == payload)?;
        ways.alone.push(began, heard.map(|heard| heard.at));
        // a card, until whoever follows the door hears of it
        granted.forget();
        let began = boottime();
        show(control, door)?;
        let heard = granted.find(WAIT, |heard| is_granted(heard, door))?;
        ways.event.push(began, heard.map(|heard| heard.at));
        control.answer()?;
        std::thread::sleep(PAUSE);
        // a command, until it is answered: its record is durable
        let door = (n + DOORS / 2) % DOORS;
        let id = format!("bench-{n}");
        let at = jiff::Timestamp::now();
        let command = json!({ "command": "open", "id": id, "at": at.to_string() }).to_string();
        let began = boottime();
        answers.say(
            &format!("doorline/bench/door/d{door}/command"),
            command.as_bytes(),
        )?;
        let answer = answers.find(WAIT, |answer| is_answer(answer, &id))?;
        let answer = answer.filter(|answer| is_accepted(&answer.payload));
        ways.command.push(began, answer.map(|answer| answer.at));
        std::thread::sleep(PAUSE);
        // the same by the API
        let door = (n + DOORS / 4) % DOORS;
        let began = boottime();
        let opened = web.post(&format!("/api/v1/doors/d{door}/open"), &json!({}), None);
        ways.api_open.push(began, opened.is_ok().then(boottime));
        if let Err(error) = opened {
            progress(&format!("mqtt: the API did not open door {door}: {error}"));
            // its answer may still come
            *web = web.again()?;
        }
        std::thread::sleep(PAUSE);
    }
    let all = [&ways.alone, &ways.event, &ways.command, &ways.api_open];
    ensure!(
        all.iter().all(|way| way.late < SAMPLES),
        "nothing at all came in time on one of the ways"
    );
    Ok(ways)
}

/// Does a message say that somebody was let in at a door?
fn is_granted(heard: &[u8], door: usize) -> bool {
    let event: Value = serde_json::from_slice(heard).unwrap_or_default();
    event["event_type"] == "granted" && event["source"] == format!("d{door}")
}

fn is_answer(answer: &[u8], id: &str) -> bool {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    answer["id"] == id
}

fn is_accepted(answer: &[u8]) -> bool {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    if answer["status"] != "ok" {
        progress(&format!("mqtt: a command was refused: {answer}"));
    }
    answer["status"] == "ok"
}

fn latencies(ways: &Ways, broker: &Broker) -> Vec<Figure> {
    let free = |way: &Way, path: &str, how: &str| {
        let mut figure = way.took.median(path, 0.0, how);
        figure.budget = Budget::Free;
        if way.late > 0 {
            figure.note += &format!(
                "; {} of them failed or were not over in {} s, and count as that",
                way.late,
                WAIT.as_secs()
            );
        }
        figure
    };
    let beside = format!(
        "{} alone takes p50 {:.2} ms, p99 {:.2} ms for a message from client to client, QoS 1, in turns with it",
        broker.name,
        ways.alone.took.at(0.5),
        ways.alone.took.at(0.99)
    );
    let share = |samples: &Samples| {
        format!(
            "{beside}: ours is p50 {:.2} ms more",
            samples.at(0.5) - ways.alone.took.at(0.5)
        )
    };
    vec![
        free(
            &ways.event,
            "card to `granted` at a subscriber",
            &format!("durable before it is published; {}", share(&ways.event.took)),
        ),
        free(
            &ways.command,
            "command over MQTT to its answer",
            &format!("two messages through the broker, and durable between them; {beside}"),
        ),
        free(
            &ways.api_open,
            "open by the API to its answer",
            "HTTP/1.1 on a connection that stays, durable before the answer",
        ),
    ]
}

/// Messages a second that pass the broker alone, from first to last.
fn flood_alone(broker: &Broker, payload: &[u8]) -> anyhow::Result<f64> {
    progress(&format!("mqtt: {EVENTS} messages through the broker alone"));
    let (ear, mouth) = (
        Peer::start(broker, "flood-ear", ALONE)?,
        Peer::start(broker, "flood-mouth", "nothing")?,
    );
    let spoken = {
        let payload = payload.to_vec();
        std::thread::spawn(move || -> anyhow::Result<Peer> {
            for _ in 0..EVENTS {
                mouth.say(ALONE, &payload)?;
            }
            Ok(mouth)
        })
    };
    let rate = rate(&ear, |_| true)?;
    let _mouth = spoken
        .join()
        .map_err(|_| anyhow::anyhow!("who spoke broke off"))??;
    Ok(rate)
}

/// Events a second that come from a reader to a subscriber, from first to last.
fn flood(control: &mut Control, records: &Peer) -> anyhow::Result<f64> {
    progress(&format!("mqtt: {EVENTS} events"));
    records.forget();
    let of_a_key = |payload: &[u8]| {
        let record: Value = serde_json::from_slice(payload).unwrap_or_default();
        record.get("kind").and_then(Value::as_str) == Some("reader.key")
    };
    let keys = json!({ "act": "keys", "reader": "r0", "keys": "7".repeat(KEYS) });
    std::thread::scope(|scope| {
        let typed = scope.spawn(move || -> anyhow::Result<()> {
            for _ in 0..EVENTS / KEYS {
                control.send(&keys)?;
                control.answer()?;
            }
            Ok(())
        });
        let rate = rate(records, of_a_key);
        typed
            .join()
            .map_err(|_| anyhow::anyhow!("who typed broke off"))??;
        rate
    })
}

/// Takes as many messages as there are events; how many a second.
fn rate(ear: &Peer, counts: impl Fn(&[u8]) -> bool) -> anyhow::Result<f64> {
    let (mut first, mut last, mut got) = (None, 0, 0);
    while got < EVENTS {
        let heard = ear.next().with_context(|| format!("{got} of {EVENTS} came"))?;
        if counts(&heard.payload) {
            got += 1;
            first.get_or_insert(heard.at);
            last = heard.at;
        }
    }
    let ns = last.saturating_sub(first.unwrap_or(last)).max(1);
    Ok((EVENTS - 1) as f64 * 1e9 / ns as f64)
}

/// How many requests a second the API answers on two connections at once, and how soon.
fn asked(web: &Web) -> anyhow::Result<Figure> {
    progress(&format!("mqtt: the API, {} s", ASKED.as_secs()));
    let ask = |mut web: Web| -> anyhow::Result<Samples> {
        let (mut samples, end) = (Samples::default(), Instant::now() + ASKED);
        while Instant::now() < end {
            let began = boottime();
            let answer = web.get("/api/v1/doors")?;
            samples.push(boottime().saturating_sub(began));
            ensure!(
                answer.status == 200 && answer.body.len() > 100 * DOORS,
                "not all doors"
            );
        }
        Ok(samples)
    };
    let (one, other) = (web.again()?, web.again()?);
    let mut samples = Samples::default();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        for asked in [one, other].map(|web| scope.spawn(move || ask(web))) {
            samples.join(
                asked
                    .join()
                    .map_err(|_| anyhow::anyhow!("who asked broke off"))??,
            );
        }
        Ok(())
    })?;
    Ok(Figure {
        budget: Budget::Free,
        note: format!(
            "`GET /api/v1/doors`, {DOORS} doors, two connections that stay; p50 {:.2} ms, p99 {:.2} ms; who asks is on the \
             same cores",
            samples.at(0.5),
            samples.at(0.99)
        ),
        path: "requests of the API answered".to_owned(),
        unit: "/s",
        value: samples.len() as f64 / ASKED.as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_that_is_not_over_in_time_counts_as_the_longest_wait() {
        let mut way = Way::default();
        way.push(1_000_000, Some(3_000_000));
        way.push(0, None);
        assert_eq!((way.late, way.took.len()), (1, 2));
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        assert!((way.took.at(1.0) - ms(WAIT)).abs() < 1e-9);
        assert!((way.took.at(0.5) - 2.0).abs() < 1e-9);
    }
}
