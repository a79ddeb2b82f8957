//! What a peer uses of the machine, and what it sends, as the kernel sees both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::Signal;

use crate::process::{Process, children};
use crate::rig::Rig;

/// Clock ticks in a second of the times in /proc (proc(5), `USER_HZ`).
const TICKS: u64 = 100;

/// User and system time that a process and all below it have used so far; in steps of 10 ms.
///
/// # Errors
/// If there is no such process.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
    // the name, in brackets, may hold anything
    let (_, rest) = stat.rsplit_once(')').context("a line of /proc/PID/stat")?;
    let ticks = |field: usize| -> anyhow::Result<u64> {
        let word = rest.split_whitespace().nth(field).context("processor time")?;
        Ok(word.parse()?)
    };
    // fields 14 and 15 of proc(5), the state being field 3
    let own = Duration::from_millis((ticks(11)? + ticks(12)?) * (1000 / TICKS));
    // one that ends meanwhile is a peer's own affair
    let below = children(pid).into_iter().filter_map(|child| cpu(child).ok());
    Ok(own + below.sum::<Duration>())
}

/// Load average of the last minute, since whatever else runs is in every figure.
#[must_use]
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}

/// How late the machine itself is: cyclictest, a bare thread in the real-time class (SCHED_RR, the lowest priority of it) that does
/// nothing but wake every 10 ms.
#[derive(Debug)]
pub struct Late {
    process: Process,
}

impl Late {
    /// Lets it wake for so long.
    ///
    /// # Errors
    /// If it cannot be started; the package is `rt-tests`.
    pub fn start(rig: &Rig, length: Duration) -> anyhow::Result<Self> {
        let length = format!("{}", length.as_secs());
        // a histogram of microseconds, to 100 ms
        let args = [
            "-q",
            "-t1",
            "-p1",
            "--policy=rr",
            "-i",
            "10000",
            "-h",
            "100000",
            "-D",
            &length,
        ];
        let process = Process::start(rig, "cyclictest", Path::new("/usr/bin/cyclictest"), args)?;
        Ok(Self { process })
    }

    /// What 99 of 100 times were late at most, and all of them, milliseconds.
    ///
    /// # Errors
    /// If it does not end, or counted nothing.
    pub fn end(mut self) -> anyhow::Result<(f64, f64)> {
        self.process.wait(Duration::from_secs(30))?;
        let log = self.process.log();
        let row = |line: &str| {
            let (late, count) = line.split_once(' ')?;
            Some((late.parse::<u32>().ok()?, count.trim().parse::<u64>().ok()?))
        };
        let rows: Vec<(u32, u64)> = log
            .lines()
            .filter_map(row)
            .filter(|(_, count)| *count > 0)
            .collect();
        let all: u64 = rows.iter().map(|(_, count)| count).sum();
        let mut so_far = 0;
        let p99 = rows.iter().find(|(_, count)| {
            so_far += count;
            so_far * 100 >= all * 99
        });
        let (Some((p99, _)), Some((worst, _))) = (p99, rows.last()) else {
            anyhow::bail!("cyclictest counted nothing: {log}");
        };
        Ok((f64::from(*p99) / 1e3, f64::from(*worst) / 1e3))
    }
}

/// One RTP packet, as it left.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Time of the kernel, nanoseconds.
    pub at_ns: i128,
    /// Bytes of the payload, with what SRTP adds to it.
    pub bytes: usize,
    /// Sequence number.
    pub sequence: u16,
    /// RTP time.
    pub timestamp: u32,
}

/// A tcpdump that notes what is sent from some ports of this machine. The kernel stamps each packet as it is sent.
#[derive(Debug)]
pub struct Tap {
    file: PathBuf,
    process: Process,
}

impl Tap {
    /// Begins with what leaves UDP ports `from` to `to`.
    ///
    /// # Errors
    /// If tcpdump cannot be started.
    pub fn start(rig: &Rig, name: &str, (from, to): (u16, u16)) -> anyhow::Result<Self> {
        let file = rig.path(&format!("{name}.pcap"));
        let path = file.display().to_string();
        let range = format!("udp and src portrange {from}-{to}");
        let args = [
            "-i",
            "lo",
            "-n",
            "-Z",
            "root",
            "-B",
            "16384",
            "-s",
            "96",
            "--time-stamp-precision=nano",
            "-w",
            &path,
            &range,
        ];
        let mut process = Process::start(rig, name, Path::new("/usr/bin/tcpdump"), args)?;
        process.says("listening on", Duration::from_secs(10))?;
        Ok(Self { file, process })
    }

    /// Ends it; every stream by the port that it left.
    ///
    /// # Errors
    /// If it lost packets of its own, or wrote no such file.
    pub fn end(mut self) -> anyhow::Result<BTreeMap<u16, Vec<Sent>>> {
        self.process.signal(Signal::INT)?;
        self.process.wait(Duration::from_secs(10))?;
        let said = self.process.log();
        ensure!(
            said.contains("\n0 packets dropped by kernel"),
            "tcpdump was too slow: {said}"
        );
        streams(&std::fs::read(&self.file)?)
    }
}

/// RTP of version 2 in a file of libpcap with nanoseconds, of Ethernet frames with IPv4.
fn streams(bytes: &[u8]) -> anyhow::Result<BTreeMap<u16, Vec<Sent>>> {
    const NANOSECONDS: [u8; 4] = 0xa1b2_3c4d_u32.to_le_bytes();
    ensure!(
        bytes.starts_with(&NANOSECONDS) && bytes.len() >= 24,
        "no capture with nanoseconds"
    );
    let mut rest = &bytes[24..];
    let mut all = BTreeMap::<u16, Vec<Sent>>::new();
    let word = |bytes: &[u8], at: usize| {
        u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    };
    while rest.len() >= 16 {
        let (head, after) = rest.split_at(16);
        let length = usize::try_from(word(head, 8))?;
        ensure!(after.len() >= length, "the capture ends in a packet");
        let (frame, next) = after.split_at(length);
        rest = next;
        // Ethernet, IPv4 without options, UDP, RTP
        if frame.len() < 54
            || frame[14] != 0x45
            || frame[42] & 0xc0 != 0x80
            || (192..=223).contains(&frame[43])
        {
            continue;
        }
        all.entry(u16::from_be_bytes([frame[34], frame[35]]))
            .or_default()
            .push(Sent {
                at_ns: i128::from(word(head, 0)) * 1_000_000_000 + i128::from(word(head, 4)),
                bytes: usize::from(u16::from_be_bytes([frame[38], frame[39]]).saturating_sub(8 + 12)),
                sequence: u16::from_be_bytes([frame[44], frame[45]]),
                timestamp: u32::from_be_bytes([frame[46], frame[47], frame[48], frame[49]]),
            });
    }
    Ok(all)
}
