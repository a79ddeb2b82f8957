//! Memory and processor time of our own processes and threads, read from the kernel at the moment that somebody asks.

use std::fs;
use std::time::Duration;

/// Clock ticks of the kernel in a second, as it tells times of processes to others (`USER_HZ`, `proc(5)`).
const TICKS: u64 = 100;

/// A process of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    Gateway,
    /// Where the gateway has started it; one of a unit of its own is measured by who runs that.
    Guard,
    Sentinel,
}

impl Process {
    /// Its number, if it is there.
    fn pid(self) -> Option<u32> {
        let own = std::process::id();
        match self {
            Self::Gateway => Some(own),
            Self::Guard => child(own, b"relay-guard"),
            Self::Sentinel => child(child(own, b"relay-guard")?, b"--sentinel"),
        }
    }

    /// Its proportional set size, in bytes.
    pub(super) fn memory(self) -> Option<u64> {
        let smaps = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid()?)).ok()?;
        Some(kilobytes(&smaps, "Pss:")? * 1024)
    }

    /// Its processor time.
    pub(super) fn time(self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()?)).ok()?;
        let ticks: u64 = field(&stat, 14)? + field(&stat, 15)?;
        Some(of_ticks(ticks))
    }
}

/// When this process began, from the start of the machine on.
pub(super) fn began() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    Some(of_ticks(field(&stat, 22)?))
}

/// Processor time of the threads of this process whose names begin so.
pub(super) fn threads(name: &str) -> Option<Duration> {
    let mut all = Duration::ZERO;
    for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let read = |file: &str| fs::read_to_string(task.path().join(file));
        if !read("comm").is_ok_and(|comm| comm.trim_end().starts_with(name)) {
            continue;
        }
        // the first number is nanoseconds on a processor (Documentation/scheduler/sched-stats)
        let schedstat = read("schedstat").ok()?;
        let nanos = schedstat.split_whitespace().next()?.parse().ok()?;
        all += Duration::from_nanos(nanos);
    }
    Some(all)
}

fn of_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks.saturating_mul(1000 / TICKS))
}

/// The child of a process that has this word among its arguments.
fn child(parent: u32, word: &[u8]) -> Option<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).ok()?.flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let mut pids = Vec::new();
    for text in children {
        pids.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    pids.into_iter().find(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|of| of == word)
    })
}

/// A size of `smaps_rollup` by its key, such as `Pss:`, in KiB.
pub(crate) fn kilobytes(smaps: &str, key: &str) -> Option<u64> {
    let line = smaps.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A number of `/proc/PID/stat`, counted from 1 (`proc(5)`). The name of the program may have blanks and brackets in it.
fn field(stat: &str, number: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_is_read() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 500 0 0 0 17 4 0 0 20 0 9 0 12345 1 2";
        assert_eq!((field(stat, 14), field(stat, 15)), (Some(17), Some(4)));
        assert_eq!(
            field(stat, 22).map(of_ticks),
            Some(Duration::from_millis(123_450))
        );
        assert_eq!(field("nonsense", 14), None);
        let smaps = "5581 ---p 00000000 00:00 0 [rollup]\nRss:  4000 kB\nPss:   1234 kB\nPss_Anon:  900 kB\n";
        assert_eq!(
            kilobytes(smaps, "Pss:"),
            Some(1234),
            "the total, and not one of its parts"
        );
        assert_eq!(kilobytes(smaps, "Pss_Anon:"), Some(900));
        assert_eq!(kilobytes(smaps, "Swap:"), None);
    }

    #[test]
    fn this_process_has_memory_time_and_a_begin() {
        assert!(Process::Gateway.memory().is_some_and(|bytes| bytes > 100_000));
        assert!(Process::Gateway.time().is_some());
        let now = gateway_guard::boottime().as_nanos();
        assert!(began().is_some_and(|began| began.as_nanos() <= u128::from(now)));
        // a test has no relay guard
        assert_eq!(Process::Guard.memory(), None);
    }
}
