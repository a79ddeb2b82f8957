//! A panel with accounts at several PBXs: one that hangs is passed over, and is the first again once it answers.

use std::net::UdpSocket;

use anyhow::{Context, ensure};
use peers::{Account, Asterisk, Carrier, Gateway, Link, PbxParams, Phone, PhoneParams, Site, Use, run};

use crate::secs;

#[test]
fn a_pbx_that_hangs_is_passed_over_for_the_next_one_until_it_answers_again() {
    run(|rig| {
        let pbx = Asterisk::start(rig, PbxParams::default())?;
        let mut phone = Phone::start(rig, PhoneParams::at_pbx(0, "101", rig.port(Use::PbxSip)))?;
        pbx.registered("101", secs(5))?;
        // the first PBX: its port is open, and nobody speaks
        let port = rig.port(Use::PhoneSip(1));
        let hangs = UdpSocket::bind(("127.0.0.1", port))?;
        let site = Site {
            account: Some(Account::default()),
            targets: vec!["101".into()],
            more: format!(
                "[accounts.first]\ndomain = \"127.0.0.1\"\nport = {port}\nuser = \"200\"\nregister = false\n\
                 transport = \"udp\"\n"
            ),
            ..Site::default()
        };
        let text = site.text(rig).replacen(
            "account = \"pbx\"",
            "account = \"first\"\nbackup-accounts = [\"pbx\"]",
            1,
        );
        let mut gateway = Gateway::start(rig, &text)?;
        pbx.registered("200", secs(10))?;

        gateway.ring()?;
        phone.hears("CALL_INCOMING", secs(15))?;
        phone.answer()?;
        gateway.event(0, "call.answered", secs(10), |_| true)?;
        phone.press('9')?;
        gateway.energised(secs(5))?;
        gateway.released(secs(10))?;
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        let legs: Vec<String> = gateway
            .events()?
            .iter()
            .filter(|e| e["kind"] == "call.leg-ended")
            .map(|e| format!("{} {}", e["cause"], e["detail"]))
            .collect();
        let silent = legs.first().context("a leg that ended")?;
        ensure!(
            silent.contains("unreachable") && silent.contains("nothing was heard"),
            "{legs:?}"
        );

        // the panel has an extension at each of its PBXs
        let before = gateway.last_seq();
        phone.dial(&format!("sip:200@127.0.0.1:{}", rig.port(Use::PbxSip)))?;
        gateway.event(before, "call.answered", secs(10), |_| true)?;
        phone.hang_up()?;
        gateway.event(before, "call.ended", secs(10), |_| true)?;

        // it answers again, and is the first that is asked
        drop(hangs);
        let mut back = Phone::start(rig, PhoneParams::direct(1, "101"))?;
        let before = gateway.last_seq();
        gateway.ring()?;
        back.hears("CALL_INCOMING", secs(10))?;
        back.answer()?;
        gateway.event(before, "call.answered", secs(10), |_| true)?;
        back.hang_up()?;
        gateway.event(before, "call.ended", secs(10), |_| true)?;
        gateway.verify()
    });
}

/// It allows one contact, and forgets none by itself: a gateway that was killed has another port, and takes its old one back.
#[test]
fn after_any_number_of_deaths_asterisk_has_one_contact_over_tcp_and_calls_it() {
    run(|rig| {
        let params = PbxParams {
            keeps_contacts: true,
            ..PbxParams::default()
        };
        let pbx = Asterisk::start(rig, params)?;
        let mut phone = Phone::start(rig, PhoneParams::at_pbx(0, "101", rig.port(Use::PbxSip)))?;
        pbx.registered("101", secs(5))?;
        let site = Site {
            account: Some(Account {
                link: Link {
                    carrier: Carrier::Tcp,
                    ..Link::default()
                },
                ..Account::default()
            }),
            targets: vec!["101".into()],
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        pbx.registered("200", secs(10))?;
        for _ in 0..3 {
            let before = gateway.last_seq();
            gateway.process().kill();
            gateway.again(rig)?;
            gateway.event(before, "account.registered", secs(20), |_| true)?;
            let listed = pbx.cli("pjsip show contacts")?;
            ensure!(listed.matches("200/sip:").count() == 1, "{listed}");
        }
        let before = gateway.last_seq();
        phone.dial(&format!("sip:200@127.0.0.1:{}", rig.port(Use::PbxSip)))?;
        gateway.event(before, "call.answered", secs(10), |_| true)?;
        phone.hang_up()?;
        gateway.event(before, "call.ended", secs(10), |_| true)?;
        gateway.stop()?;
        let listed = pbx.cli("pjsip show contacts")?;
        ensure!(!listed.contains("200/sip:"), "{listed}");
        Ok(())
    });
}

/// PBXs ban the address of whoever tries passwords: each life of the gateway began the count anew.
#[test]
fn a_wrong_password_is_tried_four_times_whatever_is_killed_and_the_right_one_at_once() {
    run(|rig| {
        let pbx = Asterisk::start(rig, PbxParams::default())?;
        let site = Site {
            account: Some(Account::default()),
            targets: vec!["101".into()],
            ..Site::default()
        };
        let right = site.text(rig);
        let wrong = right.replace("secret-200", "not-that-one");
        ensure!(right != wrong, "no password in {right}");
        let mut gateway = Gateway::start(rig, &wrong)?;
        let tries = |log: &str| log.matches("Authorization: Digest username=\"200\"").count();
        gateway.event(0, "account.failed", secs(10), |_| true)?;
        for _ in 0..6 {
            let before = gateway.last_seq();
            gateway.process().kill();
            gateway.again(rig)?;
            gateway.event(before, "account.failed", secs(20), |_| true)?;
        }
        let log = pbx.log();
        ensure!(tries(&log) == 4, "{} tries: {log}", tries(&log));
        let told = gateway.log();
        ensure!(told.contains("four times within ten minutes"), "{told}");
        let before = gateway.last_seq();
        gateway.process().kill();
        gateway.again_with(rig, &right)?;
        gateway.event(before, "account.registered", secs(10), |_| true)?;
        pbx.registered("200", secs(5))?;
        gateway.stop()
    });
}
