//! What happens to a relay when gateway, guard or sentinel are killed or frozen. The board is a file that
//! latches: nothing but a write brings it to rest, as with a serial relay board.

#[path = "../rig/mod.rs"]
mod rig;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use gateway_guard::{Rested, boottime};
use rig::{LEASE, Relay, Rig, children, in_time, ms, role, run, send, send_pid};
use rustix::process::Signal;

const LONG: u64 = 20_000;

fn main() -> ExitCode {
    role().unwrap_or_else(|| {
        run(&[
            ("a pulse ends at its end", pulse_ends),
            ("a pulse longer than a lease is renewed", pulse_is_renewed),
            ("a release ends a pulse", release),
            ("from request to coil", latency),
            ("guard killed", guard_killed),
            ("guard frozen", guard_frozen),
            ("guard frozen just before the end of a pulse", guard_frozen_late),
            ("gateway killed", gateway_killed),
            (
                "gateway frozen, and nothing opens when it goes on",
                gateway_frozen,
            ),
            ("main loop frozen", loop_frozen),
            ("both killed", both_killed),
            ("both frozen, and nothing opens when they go on", both_frozen),
            ("guard stopped in good order", guard_stopped),
            ("hangup sent to every process", hangup),
            ("sentinel killed, then guard frozen", sentinel_killed),
            ("guard killed before its new sentinel looked", young_sentinel),
            ("sentinel that starts slowly, then guard frozen", slow_sentinel),
            ("gateway killed that started its guard", starter_killed),
            ("guard killed that its gateway starts again", guard_restarted),
            ("serial relay: guard killed", serial_guard_killed),
            ("serial relay: guard frozen", serial_guard_frozen),
            ("all killed, then the last act of the unit", all_killed),
            (
                "serial relay: all killed, then the last act of the unit",
                serial_all_killed,
            ),
            (
                "last act of a unit beside a guard that lives",
                rest_beside_a_guard,
            ),
            ("last act of a unit without its board", rest_without_board),
            ("gateway killed and started again at once", orphan_left_alone),
            ("run folder emptied", folder_emptied),
            ("order without a guard", no_guard),
            ("grant of an older generation", old_generation),
            ("output that is another wire to the gateway", other_wire),
            ("strangers at the socket", strangers),
        ])
    })
}

fn pulse_ends() -> String {
    let mut rig = Rig::on_file().started();
    let asked = boottime();
    let on = rig.pulse(400);
    let off = rig.wait_relay(false);
    rig.wait_report("why: PulseEnd", 1);
    assert!(off.since(asked) >= ms(390), "{}", rig.story());
    let verdict = in_time(&rig, asked, off, on + ms(400));
    format!("on after {} us; {verdict}", on.since(asked).as_micros())
}

fn pulse_is_renewed() -> String {
    let mut rig = Rig::on_file().started();
    let on = rig.pulse(2500);
    let off = rig.wait_relay(false);
    assert!(
        off.since(on) >= ms(2400),
        "a living gateway renews\n{}",
        rig.story()
    );
    in_time(&rig, on, off, on + ms(2500))
}

fn release() -> String {
    let mut rig = Rig::on_file().started();
    rig.pulse(LONG);
    let asked = boottime();
    rig.tell("release");
    let off = rig.wait_relay(false);
    rig.wait_report("why: Asked", 1);
    in_time(&rig, asked, off, asked)
}

fn latency() -> String {
    let mut rig = Rig::on_file().started();
    rig.tell("measure 500");
    rig.wait_report("Measured 500", 1);
    let reports = rig.reports();
    let memory = |pid: u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = text
            .lines()
            .find(|l| l.starts_with("Pss:"))
            .unwrap_or("Pss: unknown");
        line.split_whitespace().collect::<Vec<_>>()[1..].join(" ")
    };
    let guard = rig.guard.as_ref().expect("started").id();
    rig.wait("a sentinel", || !children(guard).is_empty());
    let sentinel = children(guard)[0];
    let line = reports
        .lines()
        .find(|l| l.starts_with("Measured"))
        .unwrap_or_default();
    format!(
        "{line}; memory (PSS) guard {}, sentinel {}",
        memory(guard),
        memory(sentinel)
    )
}

fn guard_killed() -> String {
    let mut rig = Rig::on_file().started();
    rig.pulse(LONG);
    let killed = send(&rig.guard, Signal::KILL);
    let off = rig.wait_relay(false);
    rig.wait_report("Lost { leases: [(LeaseId", 1);
    let verdict = in_time(&rig, killed, off, killed);
    // The next guard begins at rest, and the gateway finds it.
    rig.start_guard();
    rig.wait_report("Up {", 2);
    assert_eq!(rig.relay.times_on(), 1, "{}", rig.story());
    rig.pulse(100);
    rig.wait_relay(false);
    verdict
}

fn guard_frozen() -> String {
    let mut rig = Rig::on_file().started();
    rig.pulse(LONG);
    let frozen = send(&rig.guard, Signal::STOP);
    let off = rig.wait_relay(false);
    // The sentinel must have killed it: a signal to go on brings nothing back.
    let guard = rig.guard.as_mut().expect("it was started");
    let status = guard.wait().expect("it ended");
    assert!(!status.success());
    in_time(&rig, frozen, off, frozen + ms(500))
}

fn guard_frozen_late() -> String {
    let mut rig = Rig::on_file().started();
    let on = rig.pulse(300);
    send(&rig.guard, Signal::STOP);
    let off = rig.wait_relay(false);
    in_time(&rig, on, off, on + ms(300))
}

fn gateway_killed() -> String {
    let mut rig = Rig::on_file().started();
    rig.pulse(LONG);
    let killed = send(&rig.gateway, Signal::KILL);
    let off = rig.wait_relay(false);
    in_time(&rig, killed, off, killed + LEASE)
}

fn gateway_frozen() -> String {
    let mut rig = Rig::on_file().started();
    rig.pulse(LONG);
    let frozen = send(&rig.gateway, Signal::STOP);
    // An order that waits while it is frozen: its grant is made late, but of that moment; so none is given here.
    let off = rig.wait_relay(false);
    let verdict = in_time(&rig, frozen, off, frozen + LEASE);
    send(&rig.gateway, Signal::CONT);
    rig.wait_report("why: LeaseLapsed", 1);
    assert_eq!(rig.relay.times_on(), 1, "{}", rig.story());
    verdict
}

fn loop_frozen() -> String {
    let mut rig = Rig::on_file().started();
    rig.pulse(LONG);
    let frozen = boottime();
    rig.tell("freeze");
    let off = rig.wait_relay(false);
    // Not seen for half a second, and the last lease.
    in_time(&rig, frozen, off, frozen + ms(500) + LEASE)
}

fn both_killed() -> String {
    let mut rig = Rig::on_file().started();
    rig.pulse(LONG);
    send(&rig.gateway, Signal::KILL);
    let killed = send(&rig.guard, Signal::KILL);
    let off = rig.wait_relay(false);
    in_time(&rig, killed, off, killed)
}

fn both_frozen() -> String {
    let mut rig = Rig::on_file().started();
    rig.pulse(LONG);
    send(&rig.gateway, Signal::STOP);
    let frozen = send(&rig.guard, Signal::STOP);
    let off = rig.wait_relay(false);
    let verdict = in_time(&rig, frozen, off, frozen + ms(500));
    send(&rig.gateway, Signal::CONT);
    rig.wait_report("Lost { leases: [(LeaseId", 1);
    rig.start_guard();
    rig.wait_report("Up {", 2);
    assert_eq!(rig.relay.times_on(), 1, "{}", rig.story());
    verdict
}

fn guard_stopped() -> String {
    let mut rig = Rig::on_file().started();
    rig.pulse(LONG);
    let stopped = send(&rig.guard, Signal::TERM);
    let off = rig.wait_relay(false);
    let status = rig.guard.as_mut().expect("started").wait().expect("it ended");
    assert!(status.success(), "{}", rig.story());
    rig.wait_report("why: Stopping", 1);
    in_time(&rig, stopped, off, stopped)
}

fn hangup() -> String {
    let mut rig = Rig::on_file().started();
    let guard = rig.guard.as_ref().expect("started").id();
    let on = rig.pulse(1500);
    send_pid(guard, Signal::HUP);
    send_pid(children(guard)[0], Signal::HUP);
    let off = rig.wait_relay(false);
    assert!(off.since(on) >= ms(1400), "the pulse goes on\n{}", rig.story());
    in_time(&rig, on, off, on + ms(1500))
}

fn sentinel_killed() -> String {
    let mut rig = Rig::on_file().started();
    let guard = rig.guard.as_ref().expect("started").id();
    let first = children(guard);
    assert_eq!(first.len(), 1, "one sentinel");
    send_pid(first[0], Signal::KILL);
    rig.wait("a new sentinel", || {
        children(guard).iter().any(|pid| !first.contains(pid))
    });
    rig.pulse(LONG);
    let frozen = send(&rig.guard, Signal::STOP);
    let off = rig.wait_relay(false);
    in_time(&rig, frozen, off, frozen + ms(500))
}

fn young_sentinel() -> String {
    // A machine that stands still for a second, as one whose disk is busy, has the relay at rest before anybody is killed.
    for _ in 0..5 {
        let mut rig = Rig::on_file().started();
        let guard = rig.guard.as_ref().expect("started").id();
        let first = children(guard);
        rig.pulse(LONG);
        send_pid(first[0], Signal::KILL);
        let young = || children(guard).into_iter().find(|pid| !first.contains(pid));
        rig.wait("a new sentinel", || young().is_some());
        let young = young().expect("it was seen");
        send_pid(young, Signal::STOP);
        send(&rig.guard, Signal::KILL);
        // The board latches and nobody who could write to it runs.
        let on = rig.relay.is_on();
        let woken = send_pid(young, Signal::CONT);
        if on {
            let off = rig.wait_relay(false);
            return in_time(&rig, woken, off, woken);
        }
    }
    panic!("the relay was at rest each time before the sentinel was woken");
}

/// A sentinel needs longer for its start than one that works may be silent: it is waited for, and is not replaced.
fn slow_sentinel() -> String {
    let mut rig = Rig::on_file();
    rig.slow_start = true;
    let mut rig = rig.started();
    let guard = rig.guard.as_ref().expect("started").id();
    let started = rig.path("started");
    rig.wait("the start of a sentinel", || {
        std::fs::read_to_string(&started).is_ok_and(|id| !id.is_empty())
    });
    let id = std::fs::read_to_string(&started).expect("it was seen");
    rig.pulse(LONG);
    let sentinels = children(guard);
    assert_eq!(sentinels.len(), 1, "one sentinel\n{}", rig.story());
    assert_eq!(sentinels[0].to_string(), id, "it was replaced\n{}", rig.story());
    let frozen = send(&rig.guard, Signal::STOP);
    let off = rig.wait_relay(false);
    in_time(&rig, frozen, off, frozen + ms(500))
}

fn starter_killed() -> String {
    let mut rig = Rig::on_file();
    rig.start_gateway("starts");
    let gateway = rig.gateway.as_ref().expect("started").id();
    let guards = children(gateway);
    assert_eq!(guards.len(), 1, "one guard");
    rig.pulse(LONG);
    let killed = send(&rig.gateway, Signal::KILL);
    let off = rig.wait_relay(false);
    let proc = format!("/proc/{}/exe", guards[0]);
    rig.wait("end of the orphaned guard", || std::fs::read_link(&proc).is_err());
    in_time(&rig, killed, off, killed + LEASE)
}

fn guard_restarted() -> String {
    let mut rig = Rig::on_file();
    rig.start_gateway("starts");
    let gateway = rig.gateway.as_ref().expect("started").id();
    rig.pulse(LONG);
    let killed = send_pid(children(gateway)[0], Signal::KILL);
    let off = rig.wait_relay(false);
    let verdict = in_time(&rig, killed, off, killed);
    rig.wait_report("Up {", 2);
    let up = boottime().since(killed);
    assert_eq!(rig.relay.times_on(), 1, "{}", rig.story());
    format!("{verdict}; the next guard was up after {} ms", up.as_millis())
}

fn serial_guard_killed() -> String {
    let mut rig = Rig::on_serial().started();
    rig.pulse(LONG);
    let killed = send(&rig.guard, Signal::KILL);
    let off = rig.wait_relay(false);
    assert_eq!(rig.relay.times_on(), 1);
    in_time(&rig, killed, off, killed)
}

/// Gateway, guard and sentinel at once, in a pulse, on a board that latches.
fn all_killed_on(mut rig: Rig) -> String {
    rig.pulse(LONG);
    let mut guard = rig.guard.take().expect("started");
    let guard_pid = guard.id();
    // Frozen first, so that none can act on the death of another; a guard that is frozen starts no other sentinel.
    for sentinel in children(guard_pid) {
        send_pid(sentinel, Signal::STOP);
    }
    send_pid(guard_pid, Signal::STOP);
    for sentinel in children(guard_pid) {
        send_pid(sentinel, Signal::KILL);
    }
    send_pid(guard_pid, Signal::KILL);
    send(&rig.gateway, Signal::KILL);
    guard.wait().expect("it ended");
    assert!(
        rig.relay.is_on(),
        "the board latches, and nobody is left\n{}",
        rig.story()
    );
    let asked = boottime();
    assert_eq!(rig.rest().expect("it answers"), Rested::Written(1));
    let off = rig.wait_relay(false);
    assert_eq!(rig.relay.times_on(), 1, "{}", rig.story());
    in_time(&rig, asked, off, asked)
}

fn all_killed() -> String {
    all_killed_on(Rig::on_file().started())
}

fn serial_all_killed() -> String {
    all_killed_on(Rig::on_serial().started())
}

fn rest_beside_a_guard() -> String {
    let mut rig = Rig::on_file().started();
    let on = rig.pulse(2500);
    assert_eq!(rig.rest().expect("nothing to do"), Rested::LeftToGuard);
    let off = rig.wait_relay(false);
    assert!(off.since(on) >= ms(2400), "the pulse goes on\n{}", rig.story());
    in_time(&rig, on, off, on + ms(2500))
}

fn rest_without_board() -> String {
    let mut rig = Rig::on_file();
    rig.relay = Relay::File(rig.path("no/such/folder/relay"));
    let error = rig.rest().expect_err("nobody can say that it rests");
    let text = error.to_string();
    assert!(text.contains("no/such/folder/relay"), "{text}");
    text
}

fn serial_guard_frozen() -> String {
    let mut rig = Rig::on_serial().started();
    rig.pulse(LONG);
    let frozen = send(&rig.guard, Signal::STOP);
    let off = rig.wait_relay(false);
    in_time(&rig, frozen, off, frozen + ms(500))
}

fn orphan_left_alone() -> String {
    let mut rig = Rig::on_file();
    rig.start_gateway("starts");
    let orphan = children(rig.gateway.as_ref().expect("started").id())[0];
    rig.pulse(LONG);
    let killed = send(&rig.gateway, Signal::KILL);
    // as a supervisor does: the next one is started when the first is no more
    let mut gateway = rig.gateway.take().expect("started");
    gateway.wait().expect("it ended");
    let _ = std::fs::remove_file(rig.path("reports"));
    // The orphan still holds its lease and its socket; its configuration may be another than the new gateway's.
    rig.start_gateway("starts");
    let exe = format!("/proc/{orphan}/exe");
    assert!(
        std::fs::read_link(exe).is_err(),
        "the new gateway must not talk to the old guard\n{}",
        rig.story()
    );
    assert_eq!(rig.relay.times_on(), 1, "{}", rig.story());
    let up = boottime().since(killed);
    rig.pulse(100);
    rig.wait_relay(false);
    format!("the next guard was up after {} ms", up.as_millis())
}

fn folder_emptied() -> String {
    let mut rig = Rig::on_file();
    rig.start_gateway("starts");
    let removed = boottime();
    for name in ["guard.sock", "guard.sock.lock"] {
        std::fs::remove_file(rig.path(name)).expect("it was there");
    }
    // The guard makes room for one that can be found.
    rig.wait_report("Up {", 2);
    let up = boottime().since(removed);
    assert_eq!(rig.relay.times_on(), 0, "{}", rig.story());
    rig.pulse(100);
    rig.wait_relay(false);
    format!("the next guard was up after {} ms", up.as_millis())
}

fn no_guard() -> String {
    let mut rig = Rig::on_file().started();
    // Before the guard was up it was lost, too.
    let lost = rig.reports().matches("Lost {").count();
    send(&rig.guard, Signal::TERM);
    rig.guard.as_mut().expect("started").wait().expect("it ended");
    rig.wait_report("Lost {", lost + 1);
    rig.tell("operate 5000");
    rig.wait_report("Unsent {", 1);
    rig.start_guard();
    rig.wait_report("Up {", 2);
    assert_eq!(
        rig.relay.times_on(),
        0,
        "nothing is kept for later\n{}",
        rig.story()
    );
    "not sent, and not sent later".into()
}

fn old_generation() -> String {
    let mut rig = Rig::on_file().started();
    rig.tell("generation 2");
    rig.tell("operate 5000");
    rig.wait_report("why: OldGeneration", 1);
    rig.tell("adopt 2");
    rig.pulse(100);
    assert_eq!(rig.relay.times_on(), 1, "{}", rig.story());
    "refused".into()
}

fn other_wire() -> String {
    let mut rig = Rig::on_file().started();
    rig.wait_report("Wired { differently: [] }", 1);
    // the gateway takes a file in which the name is another wire; the guard, run by its own unit, does not
    rig.tell("rewire 2");
    rig.wait_report("Wired { differently: [strike] }", 1);
    rig.tell("operate 5000");
    rig.wait_report("why: OtherWiring", 1);
    assert_eq!(rig.relay.times_on(), 0, "{}", rig.story());
    // the guard was started anew with the same file
    rig.tell("rewire 1");
    rig.wait_report("Wired { differently: [] }", 2);
    rig.pulse(300);
    rig.wait_relay(false);
    "nothing moved until both meant the same wire".to_owned()
}

fn strangers() -> String {
    let mut rig = Rig::on_file();
    rig.start_guard();
    let path = rig.path("guard.sock");
    rig.wait("socket", || UnixStream::connect(&path).is_ok());
    let mode = std::fs::metadata(&path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // What is no protocol is closed; an order without a hello is refused.
    let closed = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(&path).expect("connected");
        stream.write_all(bytes).expect("sent");
        stream.set_read_timeout(Some(rig::PATIENCE)).expect("set");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    };
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0, 0],
        &[0, 1, 0x77],
        &[0xff, 0xff, 1],
    ] {
        assert!(closed(garbage).is_empty(), "{garbage:?}");
    }
    // A hello of version 9: closed, too.
    assert!(closed(&[0, 13, 1, 0, 9, 1, b'x', 0, 0, 0, 0, 0, 0, 0, 1]).is_empty());
    // An order for `strike` that asks for all of time, without a hello and without a grant.
    let mut stream = UnixStream::connect(&path).expect("connected");
    let order = [
        &[0, 40, 2][..],
        &[0, 0, 0, 0, 0, 0, 0, 7],
        &[6],
        b"strike",
        &[0x7f; 8],
        &[0x7f; 8],
        &[0x7f; 8],
    ]
    .concat();
    stream.write_all(&order).expect("sent");
    let mut head = [0; 2];
    stream.set_read_timeout(Some(rig::PATIENCE)).expect("set");
    stream.read_exact(&mut head).expect("an answer");
    let mut answer = vec![0; usize::from(u16::from_be_bytes(head))];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!((answer[0], answer.last()), (0x84, Some(&10)), "refused: no hello");
    drop(stream);
    rig.start_gateway("alone");
    rig.pulse(100);
    rig.wait_relay(false);
    assert_eq!(rig.relay.times_on(), 1, "{}", rig.story());
    "closed or refused, and the guard goes on".into()
}
