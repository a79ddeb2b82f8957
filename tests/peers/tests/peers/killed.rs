//! Killing and freezing the gateway, the relay guard, or both: outputs come to rest, nothing opens by itself.

use anyhow::ensure;
use peers::{Gateway, Phone, PhoneParams, Site, boottime_ns, run, until};
use rustix::process::Signal;

use crate::secs;

/// A pulse of the test site, and the lease of its outputs, ns.
const PULSE: u64 = 3_000_000_000;
const LEASE: u64 = 1_000_000_000;
/// How much later than its time a busy machine may release an output, ns: far less than what an output that nobody
/// looks after would take, which the guard's cap of 10 s ends. The measured time is printed.
const SLACK: u64 = 2_000_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    Both,
    Gateway,
    Guard,
}

/// Is the door opened by a card, or by a 9 in a call?
#[derive(Clone, Copy, PartialEq, Eq)]
enum While {
    Calling,
    Pulsing,
}

fn hit(gateway: &mut Gateway, victim: Victim, signal: Signal, guard: u32) -> anyhow::Result<()> {
    if victim != Victim::Guard {
        gateway.process().signal(signal)?;
    }
    if victim != Victim::Gateway {
        // a guard that its gateway's end has already taken along needs no second blow
        let _ = peers::signal(guard, signal);
    }
    Ok(())
}

/// A call to a direct phone that has been answered.
fn talk(gateway: &Gateway, phone: &mut Phone) -> anyhow::Result<()> {
    gateway.ring()?;
    phone.hears("CALL_INCOMING", secs(10))?;
    phone.answer()?;
    phone.hears("CALL_ESTABLISHED", secs(10))?;
    gateway.event(0, "call.answered", secs(5), |_| true)?;
    Ok(())
}

fn check(victim: Victim, signal: Signal, while_: While) {
    run(|rig| {
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let site = Site {
            targets: vec![phone.address()],
            ..Site::default()
        }
        .text(rig);
        let mut gateway = Gateway::start(rig, &site)?;
        let closed = if while_ == While::Calling {
            talk(&gateway, &mut phone)?;
            phone.press('9')?;
            gateway.energised(secs(5))?
        } else {
            gateway.card()?;
            gateway.energised(secs(5))?
        };
        let guard = gateway.guard_pid()?;
        until(secs(3), "the middle of the pulse", || {
            Ok((boottime_ns() > closed.at_ns + PULSE / 3).then_some(()))
        })?;
        let struck = boottime_ns();
        hit(&mut gateway, victim, signal, guard)?;
        let released = gateway.released(secs(6))?;
        let limit = (closed.at_ns + PULSE).min(struck + LEASE) + SLACK;
        let ms = |ns: u64| ns / 1_000_000;
        rig.measured(
            "struck until released",
            format!(
                "{} ms ({})",
                ms(released.at_ns.saturating_sub(struck)),
                released.why
            ),
        );
        // a guard that lives renews nothing for a dead gateway; a dead guard lets go at once
        ensure!(
            released.at_ns <= limit,
            "released {} ms after its time",
            ms(released.at_ns.saturating_sub(limit))
        );

        if signal == Signal::STOP {
            // what comes to a frozen gateway is old news; a guard that was replaced meanwhile may open again
            if while_ == While::Calling && victim != Victim::Guard {
                phone.press('9')?;
            }
            gateway.stays_at_rest(secs(1))?;
            hit(&mut gateway, victim, Signal::CONT, guard)?;
        } else if victim != Victim::Guard {
            gateway.process().kill();
            gateway.again(rig)?;
            if while_ == While::Calling {
                // the old call's key, into a gateway that knows nothing of that call
                phone.press('9')?;
            }
        }
        gateway.stays_at_rest(secs(3))?;
        gateway.reload(&site.replace("Test house", "Test house again"))?;
        gateway.stays_at_rest(secs(1))?;

        // and then it works again, without help
        until(secs(15), "the door to open again", || {
            gateway.card()?;
            Ok(gateway.energised(std::time::Duration::from_millis(500)).ok())
        })?;
        gateway.released(secs(5))?;
        gateway.verify()
    });
}

#[test]
fn a_gateway_killed_in_a_pulse() {
    check(Victim::Gateway, Signal::KILL, While::Pulsing);
}

#[test]
fn a_guard_killed_in_a_pulse() {
    check(Victim::Guard, Signal::KILL, While::Pulsing);
}

#[test]
fn both_killed_in_a_pulse() {
    check(Victim::Both, Signal::KILL, While::Pulsing);
}

#[test]
fn a_gateway_frozen_in_a_pulse() {
    check(Victim::Gateway, Signal::STOP, While::Pulsing);
}

#[test]
fn a_guard_frozen_in_a_pulse() {
    check(Victim::Guard, Signal::STOP, While::Pulsing);
}

#[test]
fn both_frozen_in_a_pulse() {
    check(Victim::Both, Signal::STOP, While::Pulsing);
}

#[test]
fn a_gateway_killed_in_a_call() {
    check(Victim::Gateway, Signal::KILL, While::Calling);
}

#[test]
fn a_guard_killed_in_a_call() {
    check(Victim::Guard, Signal::KILL, While::Calling);
}

#[test]
fn both_killed_in_a_call() {
    check(Victim::Both, Signal::KILL, While::Calling);
}

#[test]
fn a_gateway_frozen_in_a_call() {
    check(Victim::Gateway, Signal::STOP, While::Calling);
}

#[test]
fn a_guard_frozen_in_a_call() {
    check(Victim::Guard, Signal::STOP, While::Calling);
}

#[test]
fn both_frozen_in_a_call() {
    check(Victim::Both, Signal::STOP, While::Calling);
}

/// A key is pressed while `victim` is frozen: it must not open when they wake.
fn late_digit(victim: Victim) {
    run(|rig| {
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let site = Site {
            targets: vec![phone.address()],
            ..Site::default()
        }
        .text(rig);
        let mut gateway = Gateway::start(rig, &site)?;
        talk(&gateway, &mut phone)?;
        let guard = gateway.guard_pid()?;
        hit(&mut gateway, victim, Signal::STOP, guard)?;
        phone.press('9')?;
        // shorter than a Grant lives: its deadline alone would not refuse it
        gateway.stays_at_rest(secs(1))?;
        hit(&mut gateway, victim, Signal::CONT, guard)?;
        gateway.stays_at_rest(secs(3))?;
        // the call is still there, and a key of today counts
        until(secs(15), "a new 9 to open", || {
            phone.press('9')?;
            Ok(gateway.energised(secs(1)).ok())
        })?;
        gateway.released(secs(5))?;
        Ok(())
    });
}

#[test]
fn a_digit_on_its_way_to_a_frozen_gateway_opens_nothing() {
    late_digit(Victim::Gateway);
}

#[test]
fn a_digit_on_its_way_to_a_frozen_guard_opens_nothing() {
    late_digit(Victim::Guard);
}

#[test]
fn a_digit_on_its_way_to_both_frozen_opens_nothing() {
    late_digit(Victim::Both);
}
