//! Figures of the gateway beside Asterisk and baresip, each with the same caller, one after the other in one run:
//! `tests/run --full peers beside`.
//!
//! Asterisk and baresip answer and send back what they hear; the gateway answers at a door and speaks a tone there, with
//! its journal, its guard and everything else it always has. The figures go by processor time that the kernel counts for
//! each program and all it has started, and by the times at which it saw packets leave. A figure over its budget is told
//! and fails nothing: what else the machine does is in it.

mod doors;
mod figures;
mod loss;

use std::sync::{Mutex, PoisonError};

use anyhow::ensure;
use peers::{Account, Asterisk, Gateway, Late, Link, Many, PbxParams, Rig, Sipp, Tap, Use, cpu, load, run};

use crate::secs;
use doors::{Doors, dials, holds};
use figures::{Raster, median, per_call, raster};

/// UDP ports of speech below those that tests get: of whoever is called, and of whoever calls.
const CALLED: (u16, u16) = (12_000, 12_399);
const CALLING: (u16, u16) = (12_400, 12_799);
/// Doors of the gateway for short calls, so that a door is called anew only when its last call is long over.
const DOORS: usize = 32;
/// Short calls of one figure.
const SHORT: u32 = 400;
/// How often each of the three has its turn.
const ROUNDS: usize = 5;
/// How many of them at a time, at most.
const AT_ONCE: [u32; 3] = [1, 4, 16];
/// SRTP calls at once, and for how long their time is counted, seconds.
const SECURE: usize = 20;
const SECURE_S: u64 = 30;
/// Plain calls at once, and for how long their packets are looked at, seconds.
const PLAIN: usize = 50;
const PLAIN_S: u64 = 30;
/// What a packet may be late or early on its raster, milliseconds.
const JITTER_MS: f64 = 5.0;

/// Ports of [`CALLED`] are one test's at a time, and so is the machine.
static ALONE: Mutex<()> = Mutex::new(());

/// Whoever is called.
enum Called {
    Asterisk(Asterisk),
    Baresip(Many),
    Gateway(Box<Gateway>),
}

impl Called {
    const ALL: [&str; 3] = ["gateway", "Asterisk", "baresip"];

    /// Starts one of [`Called::ALL`] with so many doors, its speech encrypted or not.
    fn start(rig: &Rig, who: &str, doors: usize, srtp: bool) -> anyhow::Result<Self> {
        Ok(match who {
            "gateway" => {
                let account = Account {
                    link: Link {
                        srtp,
                        ..Link::default()
                    },
                    more: "register = false\n",
                    // of the one who calls with SRTP
                    port: Some(rig.port(Use::PhoneSip(2))),
                    ..Account::default()
                };
                let doors = Doors {
                    account: srtp.then_some(account),
                    count: doors,
                    rtp: CALLED,
                };
                Self::Gateway(Box::new(Gateway::start_first(rig, &doors.text(rig))?))
            }
            "Asterisk" => {
                let media = if srtp { "media_encryption = sdes\n" } else { "" };
                let params = PbxParams {
                    measured: Some((media, CALLED)),
                    plan: "exten => _d.,1,Answer()\n same => n,Echo()\n\
                           exten => _t.,1,Answer()\n same => n,Milliwatt()\n",
                    ..PbxParams::default()
                };
                Self::Asterisk(Asterisk::start(rig, params)?)
            }
            _ => Self::Baresip(Many::answers(rig, 1, CALLED, srtp)?),
        })
    }

    fn pid(&mut self) -> u32 {
        match self {
            Self::Asterisk(pbx) => pbx.pid(),
            Self::Baresip(phone) => phone.pid(),
            Self::Gateway(gateway) => gateway.process().pid(),
        }
    }

    fn port(&self, rig: &Rig) -> u16 {
        rig.port(match self {
            Self::Asterisk(_) => Use::PbxSip,
            Self::Baresip(_) => Use::PhoneSip(1),
            Self::Gateway(_) => Use::Sip,
        })
    }

    /// Whom to call: `count` names that mean the same. With `tone` they speak by themselves, each at its own pace.
    fn names(&self, count: usize, tone: bool) -> Vec<String> {
        let name = |n| match self {
            Self::Asterisk(_) if tone => format!("t{n}"),
            Self::Asterisk(_) => format!("d{n}"),
            Self::Baresip(_) => "door".to_owned(),
            Self::Gateway(_) => format!("p{n}"),
        };
        (0..count).map(name).collect()
    }
}

/// Alone, with the load of the machine beside its figures.
fn measured(part: fn(&Rig) -> anyhow::Result<()>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    run(|rig| {
        rig.measured("load average before", load());
        part(rig)?;
        rig.measured("load average after", load());
        Ok(())
    });
}

#[test]
#[ignore = "figures for a quiet machine: two minutes with three programs"]
fn short_calls_beside_asterisk_and_baresip() {
    measured(short);
}

#[test]
#[ignore = "figures for a quiet machine: two minutes with three programs and 20 calls at once"]
fn secure_calls_beside_asterisk_and_baresip() {
    measured(secure);
}

#[test]
#[ignore = "figures for a quiet machine: two minutes with three programs and 50 calls at once"]
fn fifty_plain_calls_beside_asterisk_and_baresip() {
    measured(plain);
}

/// INVITE, 200, ACK, BYE: how many in a second, and how long the processor works for one. The three have their turns
/// [`ROUNDS`] times, and the median counts: a second of calls is short, and what else the machine does is in it.
fn short(rig: &Rig) -> anyhow::Result<()> {
    let scenario = dials();
    let mut rates = Vec::new();
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        for (n, who) in Called::ALL.into_iter().enumerate() {
            let mut called = Called::start(rig, who, DOORS, false)?;
            let (port, names, pid) = (called.port(rig), called.names(DOORS, false), called.pid());
            Sipp::many(rig, &scenario, (port, &names), (50, 1, 2000))?.done(secs(60))?;
            for at_once in AT_ONCE {
                let before = cpu(pid)?;
                Sipp::many(rig, &scenario, (port, &names), (SHORT, at_once, 2000))?.done(secs(120))?;
                rates.push(((n, at_once), Sipp::rate(rig)?));
                costs.push(((n, at_once), per_call(cpu(pid)? - before, SHORT)));
            }
        }
    }
    for at_once in AT_ONCE {
        let [gateway, pbx, phone] = [0, 1, 2].map(|n| median(&rates, &(n, at_once)));
        rig.measured(
            &format!("calls in a second, {at_once} at a time: gateway, Asterisk, baresip; least to most"),
            format!("{gateway}, {pbx}, {phone}"),
        );
        rig.measured(
            "as many times as Asterisk, as baresip",
            format!("{:.2}, {:.2}", gateway.is / pbx.is, gateway.is / phone.is),
        );
        let [gateway, pbx, phone] = [0, 1, 2].map(|n| median(&costs, &(n, at_once)));
        rig.measured(
            &format!("CPU of such a call, ms, {at_once} at a time: gateway, Asterisk, baresip"),
            format!("{gateway:.2}, {pbx:.2}, {phone:.2}"),
        );
        rig.measured(
            "share of Asterisk's, of baresip's",
            format!("{:.2}, {:.2}", gateway.is / pbx.is, gateway.is / phone.is),
        );
    }
    Ok(())
}

/// What one SRTP call costs; baresip calls each of the three.
fn secure(rig: &Rig) -> anyhow::Result<()> {
    let mut shares = Vec::new();
    for who in Called::ALL {
        let mut called = Called::start(rig, who, SECURE, true)?;
        let (port, pid) = (called.port(rig), called.pid());
        let mut caller = Many::calls(rig, 2, CALLING, true)?;
        let names = called.names(SECURE, false);
        let targets: Vec<String> = names
            .iter()
            .map(|name| format!("sip:{name}@127.0.0.1:{port}"))
            .collect();
        caller.dial(&targets)?;
        // first that there is speech both ways at all
        let taps = [("tap-called", CALLED), ("tap-calling", CALLING)];
        let taps = taps.map(|(name, ports)| Tap::start(rig, name, ports));
        std::thread::sleep(secs(3));
        for tap in taps {
            let streams = tap?.end()?;
            let least = streams.values().map(Vec::len).min().unwrap_or(0);
            ensure!(
                streams.len() == SECURE && least > 100,
                "{who}: {} streams, the thinnest of {least} packets in 3 s",
                streams.len()
            );
        }
        let before = cpu(pid)?;
        std::thread::sleep(secs(SECURE_S));
        let used = (cpu(pid)? - before).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a few seconds and calls")]
        shares.push(used / SECURE_S as f64 / SECURE as f64 * 100.0);
    }
    if let [gateway, pbx, phone] = shares[..] {
        rig.measured(
            &format!("CPU of one SRTP G.711 call of {SECURE}, % of a core: gateway, Asterisk, baresip"),
            format!("{gateway:.3}, {pbx:.3}, {phone:.3}"),
        );
        rig.measured(
            "share of Asterisk's, of baresip's",
            format!("{:.2}, {:.2}", gateway / pbx, gateway / phone),
        );
    }
    Ok(())
}

/// Fifty plain calls at once, each spoken in and out: does a packet get lost, and how evenly do they leave?
fn plain(rig: &Rig) -> anyhow::Result<()> {
    for who in Called::ALL {
        let mut called = Called::start(rig, who, PLAIN, false)?;
        let (port, names, pid) = (called.port(rig), called.names(PLAIN, true), called.pid());
        let calls = u32::try_from(PLAIN)?;
        let scenario = holds(PLAIN_S + 20);
        let mut caller = Sipp::many(rig, &scenario, (port, &names), (calls, calls, 10))?;
        // all of them are there after 5 s
        std::thread::sleep(secs(8));
        let tap = Tap::start(rig, "tap-plain", CALLED)?;
        let late = Late::start(rig, secs(PLAIN_S))?;
        let before = cpu(pid)?;
        std::thread::sleep(secs(PLAIN_S));
        let used = (cpu(pid)? - before).as_secs_f64();
        let streams = tap.end()?;
        let (late_ms, latest_ms) = late.end()?;
        caller.done(secs(60))?;
        let Raster {
            lost,
            p50_ms,
            p99_ms,
            worst_ms,
            packets,
        } = raster(&streams)?;
        #[expect(clippy::cast_precision_loss, reason = "a few seconds and calls")]
        let share = used / PLAIN_S as f64 / PLAIN as f64 * 100.0;
        rig.measured(
            &format!("{PLAIN} plain calls at once for {PLAIN_S} s, {who}"),
            format!(
                "{} streams, {packets} packets, {lost} missing; off the raster of 20 ms p50 {p50_ms:.2} ms, p99 \
                 {p99_ms:.2} ms{}, worst {worst_ms:.1} ms; {share:.3} % of a core each",
                streams.len(),
                if p99_ms > JITTER_MS { ", OVER 5 ms" } else { "" },
            ),
        );
        rig.measured(
            &format!("a bare thread that wakes every 10 ms meanwhile, {who}"),
            format!("late by p99 {late_ms:.2} ms, worst {latest_ms:.1} ms"),
        );
        if who == "gateway" {
            ensure!(
                streams.len() == PLAIN && lost == 0,
                "{} streams, {lost} packets missing",
                streams.len()
            );
        }
    }
    Ok(())
}
