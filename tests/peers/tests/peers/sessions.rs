//! Session timers, reliable ringing and UPDATE with peers that insist on them; a PBX that is gone; many short calls.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, ensure};
use peers::{
    Account, Asterisk, Gateway, Kamailio, KamailioParams, PbxParams, Phone, PhoneParams, Rig, Sipp, Site,
    Use, run, until,
};

use crate::secs;

/// What extension 200 is told to insist on.
const STRICT: &str = "100rel = required\ntimers = required\ntimers_min_se = 90\ntimers_sess_expires = 90\n";

fn strict_pbx(rig: &Rig) -> anyhow::Result<Asterisk> {
    let params = PbxParams {
        door: STRICT,
        ..PbxParams::default()
    };
    Asterisk::start(rig, params)
}

fn door(targets: &[&str]) -> Site<'static> {
    Site {
        account: Some(Account {
            more: "session-expires-s = 90\n",
            ..Account::default()
        }),
        targets: targets.iter().map(|t| (*t).to_owned()).collect(),
        ..Site::default()
    }
}

/// A door that is called.
fn called() -> Site<'static> {
    Site {
        targets: vec!["sip:nobody@127.0.0.1:9".into()],
        ..Site::default()
    }
}

#[test]
fn an_asterisk_that_requires_timers_and_100rel_is_called_and_calls() {
    run(|rig| {
        let pbx = strict_pbx(rig)?;
        let gateway = Gateway::start(rig, &door(&["920"]).text(rig))?;
        pbx.registered("200", secs(20))?;
        gateway.ring()?;
        gateway.event(0, "call.answered", secs(20), |_| true)?;
        gateway.event(0, "panel.ring-ended", secs(20), |_| true)?;
        let log = pbx.log();
        ensure!(log.contains("PRACK sip:"), "180 was not acknowledged: {log}");
        ensure!(log.contains("RAck: "), "no RAck");
        ensure!(
            log.contains("Session-Expires: 90;refresher=uac"),
            "no timer was agreed"
        );

        let before = gateway.last_seq();
        pbx.cli("channel originate PJSIP/200 application Wait 2")?;
        gateway.event(before, "call.answered", secs(20), |_| true)?;
        gateway.event(before, "call.ended", secs(20), |_| true)?;
        let log = pbx.log();
        ensure!(
            log.contains("Require: 100rel, timer") || log.contains("Require: timer, 100rel"),
            "{log}"
        );
        ensure!(
            log.matches("Require: timer").count() >= 1,
            "our 200 grants no timer"
        );
        Ok(())
    });
}

#[test]
fn a_peer_that_rings_reliably_is_refreshed_by_re_invite_and_update_until_it_falls_silent() {
    run(|rig| {
        let mut peer = Sipp::called(rig, "rings-and-is-refreshed", 1)?;
        let site = Site {
            targets: vec![Sipp::address(rig)],
            ..Site::default()
        };
        let gateway = Gateway::start(rig, &site.text(rig))?;
        gateway.ring()?;
        gateway.event(0, "call.answered", secs(20), |_| true)?;
        peer.done(secs(60))?;
        let ended = gateway.event(0, "call.ended", secs(20), |_| true)?;
        rig.measured("the end of a call whose refresh is not answered", &ended);
        Ok(())
    });
}

#[test]
fn a_caller_is_granted_a_timer_told_the_least_and_may_refresh_by_update() {
    run(|rig| {
        let gateway = Gateway::start(rig, &called().text(rig))?;
        Sipp::calls(rig, "calls-with-timers", 1)?.done(secs(60))?;
        gateway.event(0, "call.ended", secs(20), |_| true)?;
        Ok(())
    });
}

/// A way to the gateway on which the first two answers to INFO are lost; its port. Other answers go past it, to the address in
/// Via. It is there until this program ends.
fn loses_answers_to_info(rig: &Rig) -> anyhow::Result<(u16, Arc<AtomicUsize>)> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let (port, gateway) = (socket.local_addr()?.port(), rig.port(Use::Sip));
    let answers = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&answers);
    std::thread::spawn(move || {
        let (mut buffer, mut caller) = ([0; 4096], None);
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let datagram = &buffer[..length];
            let to = if from.port() == gateway {
                let lost = String::from_utf8_lossy(datagram).contains("INFO\r\n")
                    && count.fetch_add(1, Ordering::Relaxed) < 2;
                caller.filter(|_| !lost)
            } else {
                caller = Some(from);
                Some((Ipv4Addr::LOCALHOST, gateway).into())
            };
            if let Some(to) = to {
                // a datagram that cannot be sent is lost, too
                let _ = socket.send_to(datagram, to);
            }
        }
    });
    Ok((port, answers))
}

#[test]
fn a_caller_without_an_offer_holds_changes_the_codec_and_opens_once_by_an_info_that_is_sent_thrice() {
    run(|rig| {
        let site = Site {
            callers: vec![format!("sip:peer@127.0.0.1:{}", rig.port(Use::PhoneSip(1)))],
            ..called()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        let (port, answers) = loses_answers_to_info(rig)?;
        let to = format!("127.0.0.1:{port}");
        let mut peer = Sipp::elsewhere(rig, 1, "holds-and-changes", (&[], "127.0.0.1"), (1, &[&to]))?;
        gateway.energised(secs(20))?;
        peer.done(secs(30))?;
        gateway.event(0, "call.ended", secs(20), |_| true)?;
        gateway.released(secs(10))?;
        let answers = answers.load(Ordering::Relaxed);
        ensure!(answers >= 3, "{answers} answers to INFO");
        let events = gateway.events()?;
        let count = |kind: &str| events.iter().filter(|e| e["kind"] == kind).count();
        ensure!(
            count("call.digit") == 1 && count("door.granted") == 1,
            "{events:?}"
        );
        gateway.verify()
    });
}

#[test]
fn a_third_party_joins_the_door_and_a_phone_that_hears_it_and_opens() {
    run(|rig| {
        let site = Site {
            callers: vec![format!("sip:peer@127.0.0.1:{}", rig.port(Use::PhoneSip(1)))],
            ..called()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "102"))?;
        let between = format!("127.0.0.1:{}", rig.port(Use::PhoneSip(3)));
        let join = |n, scenario, service, port| {
            let to = format!("127.0.0.1:{}", rig.port(port));
            let more = ["-3pcc", &between, "-s", service, &to];
            Sipp::elsewhere(rig, n, scenario, (&[], "127.0.0.1"), (1, &more))
        };
        let mut at_phone = join(2, "joins-a-phone", "102", Use::PhoneSip(0))?;
        // the other half connects once; looked at from outside, for whoever connects is taken for it
        let port = format!(":{:04X} 00000000:0000 0A", rig.port(Use::PhoneSip(3)));
        until(secs(20), "one half that waits for the other", || {
            let sockets = std::fs::read_to_string("/proc/net/tcp")?;
            Ok(sockets.contains(&port).then_some(()))
        })?;
        let mut at_door = join(1, "joins-a-door", "door", Use::Sip)?;
        phone.hears("CALL_INCOMING", secs(20))?;
        phone.answer()?;
        gateway.event(0, "call.answered", secs(20), |_| true)?;
        until(secs(20), "2 s of sound at the phone", || {
            Ok(phone.recording().ok().filter(|sound| sound.seconds() > 2.0))
        })?;
        phone.press('9')?;
        gateway.energised(secs(20))?;
        phone.hang_up()?;
        at_phone.done(secs(30))?;
        at_door.done(secs(30))?;
        gateway.event(0, "call.ended", secs(20), |_| true)?;
        gateway.released(secs(10))?;
        let share = phone.recording()?.last(1.0).share(440.0);
        ensure!(share > 0.8, "{share} of what the phone heard is the door's tone");
        gateway.verify()
    });
}

#[test]
fn of_two_phones_the_one_that_is_late_is_told_that_the_other_answered() {
    run(|rig| {
        let mut late = Sipp::called(rig, "is-cancelled", 1)?;
        let mut phone = Phone::start(rig, PhoneParams::direct(1, "102"))?;
        let site = Site {
            parallel: true,
            targets: vec![Sipp::address(rig), phone.address()],
            ..Site::default()
        };
        let gateway = Gateway::start(rig, &site.text(rig))?;
        gateway.ring()?;
        gateway.event(0, "call.leg-ringing", secs(20), |_| true)?;
        phone.hears("CALL_INCOMING", secs(20))?;
        phone.answer()?;
        late.done(secs(30))?;
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(20), |_| true)?;
        Ok(())
    });
}

#[test]
fn a_pbx_that_asks_for_the_password_with_each_call_gets_it() {
    run(|rig| {
        let mut peer = Sipp::called(rig, "asks-for-the-password", 1)?;
        let trunk = format!(
            "[accounts.trunk]\ndomain = \"127.0.0.1\"\nport = {}\nuser = \"200\"\npassword = \"secret\"\n\
             register = false\ntransport = \"udp\"\n",
            rig.port(Use::PhoneSip(0))
        );
        let site = Site {
            targets: vec![Sipp::address(rig)],
            more: trunk,
            ..Site::default()
        };
        let text = site.text(rig).replacen(
            "doors = [\"front\"]",
            "doors = [\"front\"]\naccount = \"trunk\"",
            1,
        );
        let text = text.replacen(&format!("{:?}", Sipp::address(rig)), "\"1000\"", 1);
        let gateway = Gateway::start(rig, &text)?;
        gateway.ring()?;
        gateway.event(0, "call.answered", secs(20), |_| true)?;
        peer.done(secs(30))?;
        gateway.event(0, "call.ended", secs(20), |_| true)?;
        Ok(())
    });
}

#[test]
fn a_pbx_whose_port_is_closed_is_known_at_once_and_the_next_target_rings() {
    run(|rig| {
        let mut peer = Sipp::called(rig, "is-called", 1)?;
        let nobody = format!("sip:nobody@127.0.0.1:{}", rig.port(Use::Unused));
        let site = Site {
            targets: vec![nobody, Sipp::address(rig)],
            ..Site::default()
        };
        let gateway = Gateway::start(rig, &site.text(rig))?;
        gateway.ring()?;
        // by its timers the first would fail after 32 s, or its share of the ring window
        gateway.event(0, "call.answered", secs(15), |_| true)?;
        peer.done(secs(30))?;
        gateway.event(0, "panel.ring-ended", secs(20), |_| true)?;
        Ok(())
    });
}

#[test]
#[ignore = "two minutes: two refreshes of 90 s each, then a PBX that is killed"]
fn a_long_call_through_asterisk_is_refreshed_and_ends_with_the_pbx() {
    run(|rig| {
        let mut pbx = strict_pbx(rig)?;
        let gateway = Gateway::start(rig, &door(&["900"]).text(rig))?;
        pbx.registered("200", secs(20))?;
        gateway.ring()?;
        gateway.event(0, "call.answered", secs(20), |_| true)?;
        until(secs(150), "two refreshes by UPDATE", || {
            std::thread::sleep(secs(1));
            Ok((pbx.log().matches("UPDATE sip:").count() >= 2).then_some(()))
        })?;
        let over = gateway.events()?.iter().any(|e| e["kind"] == "call.ended");
        ensure!(!over, "the call ended in between");
        pbx.kill();
        gateway.event(0, "call.ended", secs(120), |_| true)?;
        Ok(())
    });
}

/// Open files, threads and resident memory in kB of the gateway.
fn size(gateway: &mut Gateway) -> anyhow::Result<(usize, usize, u64)> {
    let of = format!("/proc/{}", gateway.process().pid());
    let count = |what: &str| anyhow::Ok(std::fs::read_dir(format!("{of}/{what}"))?.count());
    let status = std::fs::read_to_string(format!("{of}/status"))?;
    let rss = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .context("VmRSS")?;
    Ok((count("fd")?, count("task")?, rss))
}

#[test]
#[ignore = "a thousand calls"]
fn a_thousand_calls_in_a_row_leave_nothing_behind() {
    run(|rig| {
        let mut gateway = Gateway::start(rig, &called().text(rig))?;
        Sipp::calls(rig, "calls-and-hangs-up", 100)?.done(secs(300))?;
        let before = size(&mut gateway)?;
        let began = std::time::Instant::now();
        Sipp::calls(rig, "calls-and-hangs-up", 1000)?.done(secs(900))?;
        let rate = 1000.0 / began.elapsed().as_secs_f64();
        let after = until(secs(60), "files and threads of calls to go", || {
            let now = size(&mut gateway)?;
            Ok((now.0 <= before.0 && now.1 <= before.1).then_some(now))
        })?;
        rig.measured("calls one after the other, per second", format!("{rate:.1}"));
        rig.measured(
            "files, threads, kB before and after 1000 calls",
            format!("{before:?} {after:?}"),
        );
        ensure!(after.2 < before.2 + 8 * 1024, "memory grew: {before:?} {after:?}");
        Ok(())
    });
}

/// RFC 3261 §12.2.1.1: such a proxy throws away whatever comes to it inside a call.
#[test]
fn a_phone_past_a_proxy_that_does_not_stay_is_acknowledged_opens_and_is_hung_up() {
    run(|rig| {
        let params = KamailioParams {
            leaves: true,
            ..KamailioParams::default()
        };
        let mut pbx = Kamailio::start(rig, params)?;
        let mut phone = Phone::start(rig, PhoneParams::at_pbx(1, "101", rig.port(Use::PbxSip)))?;
        let site = Site {
            account: Some(Account::default()),
            targets: vec!["101".into()],
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        pbx.registered("101", secs(15))?;
        pbx.registered("200", secs(15))?;

        gateway.ring()?;
        phone.hears("CALL_INCOMING", secs(10))?;
        phone.answer()?;
        // it says so once it has the ACK
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        phone.press('9')?;
        gateway.energised(secs(10))?;
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;

        let seq = gateway.last_seq();
        until(secs(15), "the next visitor", || {
            gateway.ring()?;
            Ok(phone.hears("CALL_INCOMING", secs(3)).ok())
        })?;
        phone.answer()?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        gateway.event(seq, "call.answered", secs(10), |_| true)?;
        gateway.stop()?;
        phone.hears("CALL_CLOSED", secs(10)).map(drop)
    });
}
