//! Counters of this interface, and the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_bus::{Metric, Reading};
use gateway_core::{Counted, Event, ReaderEvent, Record, is_confidential};

/// Readers and reasons that are counted: names of readers that a site file had once stay until the next start.
const MOST_MISREADS: usize = 4096;

/// What is counted while requests are answered. Every key comes from a table of ours, so that no stranger
/// makes it grow.
#[derive(Debug)]
pub(crate) struct Metrics {
    answers: Mutex<BTreeMap<(&'static str, u16), u64>>,
    events: Mutex<BTreeMap<String, u64>>,
    /// What readers sent that was no card and no key, by reader and reason.
    misreads: Mutex<BTreeMap<(String, String), u64>>,
    logins_failed: AtomicU64,
    turned_away: AtomicU64,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Metrics {
    /// Every kind is there from the start: a count that appears with its first event shows no increase.
    fn default() -> Self {
        let kinds = Event::families().iter().flat_map(|(family, tags)| {
            let kinds = tags.iter().map(move |tag| format!("{family}.{tag}"));
            kinds.filter(|kind| !is_confidential(kind))
        });
        Self {
            answers: Mutex::default(),
            events: Mutex::new(kinds.chain(["other".to_owned()]).map(|kind| (kind, 0)).collect()),
            misreads: Mutex::default(),
            logins_failed: AtomicU64::default(),
            turned_away: AtomicU64::default(),
        }
    }
}

impl Metrics {
    pub(crate) fn answered(&self, route: &'static str, status: u16) {
        *held(&self.answers).entry((route, status)).or_default() += 1;
    }

    /// Counts a durable record; kinds of other versions are counted together.
    pub(crate) fn event(&self, kind: &str) {
        // a count that grows tells as much
        if is_confidential(kind) {
            return;
        }
        let mut events = held(&self.events);
        let key = if events.contains_key(kind) { kind } else { "other" };
        if let Some(n) = events.get_mut(key) {
            *n += 1;
        }
    }

    /// Counts what a durable record tells of a reader.
    pub(crate) fn reader(&self, record: &Record) {
        if record.kind != "reader.misread" {
            return;
        }
        let Ok(Event::Reader(reader, ReaderEvent::Misread { reason, times, .. })) = record.event() else {
            return;
        };
        let key = (reader.to_string(), reason.word().to_owned());
        let mut misreads = held(&self.misreads);
        if misreads.len() < MOST_MISREADS || misreads.contains_key(&key) {
            let n = misreads.entry(key).or_default();
            *n = n.saturating_add(times);
        }
    }

    pub(crate) fn login_failed(&self) {
        self.logins_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn write(&self, text: &mut Text) {
        let events = Family {
            help: "Durable records since start, by kind.",
            kind: "counter",
            name: "doorline_events_total",
        };
        for (kind, n) in held(&self.events).iter() {
            text.sample(&events, &[("kind", kind)], *n);
        }
        let misreads = Family {
            help: "What readers sent that was no card and no key, as the journal tells it.",
            kind: "counter",
            name: "doorline_reader_misreads_total",
        };
        for ((reader, reason), n) in held(&self.misreads).iter() {
            text.sample(&misreads, &[("reader", reader), ("reason", reason)], *n);
        }
        let answers = Family {
            help: "Answers by route and status.",
            kind: "counter",
            name: "doorline_http_requests_total",
        };
        for ((route, status), n) in held(&self.answers).iter() {
            text.sample(&answers, &[("route", route), ("status", &status.to_string())], *n);
        }
        text.counter(
            "doorline_http_logins_failed_total",
            "Failed logins and setup codes.",
            self.logins_failed.load(Ordering::Relaxed),
        );
        text.counter(
            "doorline_http_turned_away_total",
            "Connections refused because there were too many.",
            self.turned_away.load(Ordering::Relaxed),
        );
    }
}

/// A metric family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    pub(crate) help: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
}

/// The text under construction.
#[derive(Debug, Default)]
pub(crate) struct Text {
    family: &'static str,
    out: String,
}

impl Text {
    pub(crate) fn gauge(&mut self, name: &'static str, help: &'static str, value: u64) {
        let kind = "gauge";
        self.sample(&Family { help, kind, name }, &[], value);
    }

    pub(crate) fn counter(&mut self, name: &'static str, help: &'static str, value: u64) {
        let kind = "counter";
        self.sample(&Family { help, kind, name }, &[], value);
    }

    /// One sample; the head of its family stands before the first.
    pub(crate) fn sample(&mut self, family: &Family, labels: &[(&str, &str)], value: u64) {
        self.head(family);
        self.line(family.name, labels, &value.to_string());
    }

    /// What a part of the gateway measures, if anything is known of it.
    pub(crate) fn metric(&mut self, metric: &Metric) {
        let Metric {
            help, label, name, ..
        } = metric;
        let (kind, reading) = match (metric.read)() {
            Reading::Counter(value) => ("counter", Ok(value)),
            Reading::Gauge(value) => ("gauge", Ok(value)),
            Reading::Histogram(counted) => ("histogram", Err(counted)),
            Reading::Nothing => return,
        };
        self.head(&Family { help, kind, name });
        let label: Vec<(&str, &str)> = label.iter().copied().collect();
        match reading {
            Ok(value) => self.line(name, &label, &value.to_string()),
            Err(counted) => self.histogram(name, &label, &counted),
        }
    }

    fn histogram(&mut self, name: &str, label: &[(&str, &str)], counted: &Counted) {
        let bucket = format!("{name}_bucket");
        let ends = counted.steps.iter().map(|(micros, count)| {
            let end = Duration::from_micros(*micros).as_secs_f64().to_string();
            (end, *count)
        });
        for (end, count) in ends.chain([("+Inf".to_owned(), counted.count)]) {
            let labels: Vec<(&str, &str)> = label.iter().copied().chain([("le", end.as_str())]).collect();
            self.line(&bucket, &labels, &count.to_string());
        }
        let sum = counted.sum.as_secs_f64().to_string();
        self.line(&format!("{name}_sum"), label, &sum);
        self.line(&format!("{name}_count"), label, &counted.count.to_string());
    }

    fn head(&mut self, family: &Family) {
        let Family { help, kind, name } = family;
        if self.family != *name {
            self.family = name;
            self.put(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        }
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        self.put(name);
        for (n, (label, text)) in labels.iter().enumerate() {
            self.put(if n == 0 { "{" } else { "," });
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            self.put(&format!("{label}=\"{text}\""));
        }
        if !labels.is_empty() {
            self.put("}");
        }
        self.put(&format!(" {value}\n"));
    }

    fn put(&mut self, text: &str) {
        let _ = self.out.write_str(text);
    }

    pub(crate) fn done(self) -> String {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::Value;

    use super::*;

    #[test]
    fn the_exact_text_of_what_parts_measure() {
        static STEPS_US: [u64; 2] = [500, 2_000];
        let opening = std::sync::Arc::new(gateway_core::Histogram::new(&STEPS_US));
        for micros in [250, 1_000, 9_000] {
            opening.note(Duration::from_micros(micros));
        }
        let metric = |name, label, reading: Reading| Metric {
            help: "h",
            label,
            name,
            read: Box::new(move || reading.clone()),
        };
        let read = opening.read();
        let mut text = Text::default();
        for metric in [
            metric("opening_seconds", Some(("by", "card")), Reading::Histogram(read)),
            metric("unknown_seconds", None, Reading::Nothing),
            metric(
                "cpu_seconds_total",
                Some(("process", "gateway")),
                Reading::Counter(1.25),
            ),
            metric(
                "cpu_seconds_total",
                Some(("process", "guard")),
                Reading::Counter(0.5),
            ),
            metric("memory_bytes", None, Reading::Gauge(14_680_064.0)),
        ] {
            text.metric(&metric);
        }
        assert_eq!(
            text.done(),
            r#"# HELP opening_seconds h
# TYPE opening_seconds histogram
opening_seconds_bucket{by="card",le="0.0005"} 1
opening_seconds_bucket{by="card",le="0.002"} 2
opening_seconds_bucket{by="card",le="+Inf"} 3
opening_seconds_sum{by="card"} 0.01025
opening_seconds_count{by="card"} 3
# HELP cpu_seconds_total h
# TYPE cpu_seconds_total counter
cpu_seconds_total{process="gateway"} 1.25
cpu_seconds_total{process="guard"} 0.5
# HELP memory_bytes h
# TYPE memory_bytes gauge
memory_bytes 14680064
"#
        );
    }

    #[test]
    fn what_readers_send_in_vain_is_counted_by_reader_and_reason() {
        let metrics = Metrics::default();
        for (kind, reason, times) in [
            ("reader.misread", "forged", 1),
            ("reader.misread", "forged", 41),
            ("reader.misread", "parity", 2),
            ("reader.misread", "of another version", 1),
            ("reader.card", "forged", 1),
        ] {
            metrics.reader(&Record {
                at: jiff::Timestamp::UNIX_EPOCH,
                fields: vec![
                    ("bits".to_owned(), Value::Int(26)),
                    ("reason".to_owned(), Value::Text(reason.to_owned())),
                    ("times".to_owned(), Value::Int(times)),
                ],
                kind: kind.to_owned(),
                ring: None,
                schema: 1,
                seq: gateway_core::Seq(1),
                simulated: false,
                source: "street".to_owned(),
            });
        }
        let mut text = Text::default();
        metrics.write(&mut text);
        let text = text.done();
        let told = |line: &&str| line.starts_with("doorline_reader_misreads_total{");
        let told: Vec<&str> = text.lines().filter(told).collect();
        let expected = [
            r#"doorline_reader_misreads_total{reader="street",reason="forged"} 42"#,
            r#"doorline_reader_misreads_total{reader="street",reason="parity"} 2"#,
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn the_exact_text_of_a_scrape() {
        let metrics = Metrics::default();
        metrics.answered("/api/v1/doors", 200);
        metrics.answered("/api/v1/doors", 200);
        metrics.answered("/api/v1/doors", 401);
        metrics.event("door.granted");
        metrics.event("lift.stuck");
        metrics.event("nonsense");
        metrics.login_failed();
        let mut text = Text::default();
        metrics.write(&mut text);
        let info = Family {
            help: "h",
            kind: "gauge",
            name: "x",
        };
        text.sample(&info, &[("v", "a\"b\\c\nd")], 1);
        let text = text.done();
        let (events, rest) = text.split_at(text.find("# HELP doorline_http").expect("further families"));
        for line in [
            "# HELP doorline_events_total Durable records since start, by kind.\n# TYPE doorline_events_total counter\n",
            "\ndoorline_events_total{kind=\"door.granted\"} 1\n",
            "\ndoorline_events_total{kind=\"door.denied\"} 0\n",
            "\ndoorline_events_total{kind=\"other\"} 2\n",
        ] {
            assert!(events.contains(line), "{line}{events}");
        }
        assert!(!events.lines().any(|line| line.contains("duress")), "{events}");
        let expected = r#"# HELP doorline_http_requests_total Answers by route and status.
# TYPE doorline_http_requests_total counter
doorline_http_requests_total{route="/api/v1/doors",status="200"} 2
doorline_http_requests_total{route="/api/v1/doors",status="401"} 1
# HELP doorline_http_logins_failed_total Failed logins and setup codes.
# TYPE doorline_http_logins_failed_total counter
doorline_http_logins_failed_total 1
# HELP doorline_http_turned_away_total Connections refused because there were too many.
# TYPE doorline_http_turned_away_total counter
doorline_http_turned_away_total 0
# HELP x h
# TYPE x gauge
x{v="a\"b\\c\nd"} 1
"#;
        assert_eq!(rest, expected);
    }
}
