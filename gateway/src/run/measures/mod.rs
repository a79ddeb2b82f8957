//! What the gateway measures of its budgets while it runs: one table, in the words that Prometheus shows. `docs/metrics.md`
//! says how to watch each of them.

mod doors;
mod footprint;

use std::sync::Arc;
use std::time::Duration;

use gateway_bus::{Metric, Reading};
use gateway_core::Histogram;
use gateway_sip_io::Measures;
use gateway_store::Store;

use self::doors::Way;
pub(crate) use self::doors::{DoorMeasures, Stopwatch};
use self::footprint::Process;
pub(crate) use self::footprint::kilobytes;

/// A metric of its own name, or one of several of a name.
fn metric(
    name: &'static str,
    label: Option<(&'static str, &'static str)>,
    help: &'static str,
    read: impl Fn() -> Reading + Send + Sync + 'static,
) -> Metric {
    let read = Box::new(read);
    Metric {
        help,
        label,
        name,
        read,
    }
}

fn histogram<T: Send + Sync + 'static>(
    name: &'static str,
    label: Option<(&'static str, &'static str)>,
    help: &'static str,
    of: &Arc<T>,
    which: fn(&T) -> &Histogram,
) -> Metric {
    let of = Arc::clone(of);
    metric(name, label, help, move || Reading::Histogram(which(&of).read()))
}

fn seconds(time: Option<Duration>) -> Reading {
    time.map_or(Reading::Nothing, |time| Reading::Counter(time.as_secs_f64()))
}

#[expect(clippy::cast_precision_loss, reason = "counts and bytes are below 2^53")]
const fn number(n: u64) -> f64 {
    n as f64
}

/// All of them; those of a name follow each other.
pub(super) fn metrics(doors: &Arc<DoorMeasures>, store: &Store, sip: &Arc<Measures>) -> Vec<Metric> {
    let mut all = ways(doors, sip);
    all.extend(journal(store));
    all.extend(footprints());
    all.extend(calls(doors, sip));
    all.extend(quality(sip));
    all.extend(guard(doors));
    all.push(metric(
        "doorline_log_lost_total",
        None,
        "Lines of the program's log that found no room, or that a syslog did not take.",
        || Reading::Counter(number(super::log::lost())),
    ));
    all
}

/// Ways that somebody waits for.
fn ways(doors: &Arc<DoorMeasures>, sip: &Arc<Measures>) -> Vec<Metric> {
    let waited = Arc::clone(sip);
    let mut all = vec![
        histogram(
            "doorline_bell_to_invite_seconds",
            None,
            "From a bell edge after debounce until its first INVITE was given to the socket; a connection that was not open and a \
             name that was not known are in it. Budget: p99 at most 2 ms where both were there.",
            sip,
            |sip| &sip.bell_to_invite,
        ),
        metric(
            "doorline_bells_without_invite_total",
            None,
            "First calls of rings for which no INVITE was sent before the next ring: not in doorline_bell_to_invite_seconds.",
            move || Reading::Counter(number(waited.bells_without_invite.read())),
        ),
    ];
    for (n, way) in Way::ALL.into_iter().enumerate() {
        let doors = Arc::clone(doors);
        all.push(metric(
            "doorline_opening_seconds",
            Some(("by", way.word())),
            "From the first packet of a digit, a card or code, or an exit's edge after debounce until the relay guard energised, \
             by its own clock reading; other is commands, rules, callers and fire. Budget: p99 at most 1 ms.",
            move || doors.opening.get(n).map_or(Reading::Nothing, |of| Reading::Histogram(of.read())),
        ));
    }
    all
}

fn journal(store: &Store) -> Vec<Metric> {
    let (events, records) = (store.clone(), store.clone());
    let name = "doorline_journal_append_seconds";
    let help = "From the moment a record is queued until it is on the medium, committed with those that came beside it; its count \
                is the number of durable ones. Budget: 3000 events a second with four producers, which is 1.3 ms for each.";
    vec![
        metric(name, Some(("log", "events")), help, move || {
            Reading::Histogram(events.measures().events.read())
        }),
        metric(name, Some(("log", "records")), help, move || {
            Reading::Histogram(records.measures().records.read())
        }),
    ]
}

/// Memory and processor time.
fn footprints() -> Vec<Metric> {
    let processes = [
        ("gateway", Process::Gateway),
        ("guard", Process::Guard),
        ("sentinel", Process::Sentinel),
    ];
    let memory = processes.map(|(name, process)| {
        metric(
            "doorline_memory_pss_bytes",
            Some(("process", name)),
            "Proportional set size; the relay guard and its sentinel where the gateway has started them. Budget: all together at \
             most 14 MiB with 1 door, 24 MiB with 32 doors over TLS.",
            move || process.memory().map_or(Reading::Nothing, |bytes| Reading::Gauge(number(bytes))),
        )
    });
    let time = processes.map(|(name, process)| {
        metric(
            "doorline_cpu_seconds_total",
            Some(("process", name)),
            "Processor time, user and system.",
            move || seconds(process.time()),
        )
    });
    let threads = [
        ("doors", "doors"),
        ("journal", "journal"),
        ("media", "media"),
        ("sip", "sip"),
    ]
    .map(|(name, begin)| {
        metric(
            "doorline_thread_cpu_seconds_total",
            Some(("thread", name)),
            "Processor time of threads of the gateway: doors (core, adapters), journal, media (audio of calls), sip. Budgets: \
             media at most 0.2 % of a core for each call, 3 % with echo canceller and noise suppression; sip at most 0.4 ms for \
             an INVITE with its answer, ACK and BYE.",
            move || seconds(footprint::threads(begin)),
        )
    });
    memory.into_iter().chain(time).chain(threads).collect()
}

/// How speech of phones came.
fn quality(sip: &Arc<Measures>) -> Vec<Metric> {
    let (received, lost) = (Arc::clone(sip), Arc::clone(sip));
    vec![
        metric(
            "doorline_rtp_received_total",
            None,
            "Packets of speech that came, of legs of calls that are over.",
            move || Reading::Counter(number(received.received.read())),
        ),
        metric(
            "doorline_rtp_lost_total",
            None,
            "Packets of speech that did not come, of legs of calls that are over.",
            move || Reading::Counter(number(lost.lost.read())),
        ),
        histogram(
            "doorline_rtp_jitter_seconds",
            None,
            "Interarrival jitter of speech by RFC 3550 at the end of each leg of a call.",
            sip,
            |sip| &sip.jitter,
        ),
        histogram(
            "doorline_rtp_round_trip_seconds",
            None,
            "The last round trip that reports of the other side told, of each leg of a call whose other side tells one.",
            sip,
            |sip| &sip.round_trip,
        ),
    ]
}

fn calls(doors: &Arc<DoorMeasures>, sip: &Arc<Measures>) -> Vec<Metric> {
    let (talks, legs, first) = (Arc::clone(doors), Arc::clone(sip), Arc::clone(sip));
    vec![
        histogram(
            "doorline_media_buffer_seconds",
            None,
            "How long after its arrival the sound of a phone is played at the line, looked at once a second for each call. Budget: \
             mouth to ear at most 60 ms without jitter of the network, of which 30 ms are the packet and the tick.",
            &sip.media,
            |media| &media.buffered,
        ),
        metric(
            "doorline_call_seconds_total",
            None,
            "Time of calls in which somebody talks, all together: the processor time of media divided by it is that of one call.",
            move || Reading::Counter(Duration::from_nanos(talks.call_ns.read()).as_secs_f64()),
        ),
        metric(
            "doorline_sip_legs_total",
            None,
            "Legs that began, both directions, each with an INVITE transaction: the processor time of sip divided by it is that of \
             one. Budget: at most 0.4 ms.",
            move || Reading::Counter(number(legs.legs.read())),
        ),
        metric(
            "doorline_start_to_register_seconds",
            None,
            "From the begin of the process (of which the kernel tells hundredths of a second) until its first REGISTER was given \
             to a socket. Budget: at most 150 ms.",
            move || {
                let began = footprint::began().zip(first.first_register());
                began.map_or(Reading::Nothing, |(began, register)| {
                    let register = Duration::from_nanos(register.as_nanos());
                    Reading::Gauge(register.saturating_sub(began).as_secs_f64())
                })
            },
        ),
    ]
}

fn guard(doors: &Arc<DoorMeasures>) -> Vec<Metric> {
    let (lapsed, lost) = (Arc::clone(doors), Arc::clone(doors));
    vec![
        metric(
            "doorline_guard_lapsed_total",
            None,
            "Pulses that ended because the gateway or the relay guard did not go on, and not as they should. Budget: released at \
             the end of the pulse or one lease after the last renewal, whichever is sooner, and 50 ms; how long it took, only an \
             observer outside can tell (doorline bench release).",
            move || Reading::Counter(number(lapsed.lapsed.read())),
        ),
        metric(
            "doorline_guard_lost_total",
            None,
            "How often the relay guard could not be reached any more.",
            move || Reading::Counter(number(lost.guard_lost.read())),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use gateway_store::{Options, RealIo};

    use super::*;

    const FIGURES: &str = include_str!("../../../../docs/figures.md");
    const METRICS: &str = include_str!("../../../../docs/metrics.md");

    fn names() -> BTreeSet<&'static str> {
        let dir = tempfile::tempdir().expect("a folder");
        let (store, _) = Store::open(dir.path(), Options::default(), RealIo).expect("opens");
        let all = metrics(&Arc::default(), &store, &Arc::default());
        let names = all.iter().map(|metric| metric.name).collect();
        store.close();
        names
    }

    fn cells(line: &str) -> Vec<&str> {
        line.trim_matches('|').split('|').map(str::trim).collect()
    }

    /// What the tables of the page with the figures have a limit for.
    fn budgets() -> Vec<&'static str> {
        let rows = FIGURES.lines().filter(|line| line.starts_with('|'));
        rows.flat_map(|line| {
            let cells = cells(line);
            match cells.as_slice() {
                // a table of a limit that its head has
                [_, head, ..] if head.contains(", ≥") => vec![*head],
                [path, limit, ..] if limit.contains(['≤', '≥']) => vec![*path],
                _ => vec![],
            }
        })
        .collect()
    }

    #[test]
    fn each_budget_has_a_metric_that_is_there() {
        let names = names();
        let budgets = budgets();
        assert!(budgets.len() > 12, "{budgets:?}");
        for budget in budgets {
            let row = METRICS.lines().find(|line| {
                line.starts_with('|')
                    && cells(line)
                        .first()
                        .is_some_and(|first| first.split("; ").any(|one| one == budget))
            });
            let row = row.unwrap_or_else(|| panic!("docs/metrics.md has no row for {budget:?}"));
            let metric = cells(row)[1].trim_matches('`');
            assert!(names.contains(metric), "{budget}: there is no {metric}");
        }
    }

    #[test]
    fn the_page_names_every_metric_of_a_budget_and_no_other() {
        let names = names();
        for name in &names {
            assert!(
                METRICS.contains(&format!("`{name}`")),
                "docs/metrics.md does not name {name}"
            );
        }
        let named = METRICS.split('`').skip(1).step_by(2);
        let named = named.filter(|word| word.starts_with("doorline_") && word.ends_with("_seconds"));
        for name in named {
            assert!(names.contains(name), "there is no {name}");
        }
    }

    #[test]
    fn all_of_a_name_follow_each_other_and_each_can_be_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let (store, _) = Store::open(dir.path(), Options::default(), RealIo).expect("opens");
        let all = metrics(&Arc::default(), &store, &Arc::default());
        let mut seen: Vec<&str> = all.iter().map(|metric| metric.name).collect();
        seen.dedup();
        assert_eq!(seen.len(), seen.iter().collect::<BTreeSet<_>>().len());
        for metric in &all {
            let _ = (metric.read)();
        }
        store.close();
    }
}
