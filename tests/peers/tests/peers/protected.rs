//! Speech whose keys come by a DTLS handshake (DTLS-SRTP), and addresses that the other side checks (ICE), with a real Asterisk
//! and a real baresip.

use anyhow::ensure;
use peers::{
    Account, Asterisk, Gateway, PbxParams, Phone, PhoneParams, Reflector, Rig, Router, Sipp, Site,
    StunServer, Use, run, until,
};

use crate::secs;
use crate::story::{both_hear, nine_opens, visitor};

/// Extension 200 as `docs/voice.md` says.
const DTLS: &str = "media_encryption = dtls\ndtls_auto_generate_cert = yes\ndtls_setup = actpass\n\
                    dtls_verify = fingerprint\nrtcp_mux = yes\n";
const ICE: &str = "ice_support = yes\nrtcp_mux = yes\n";

/// The door calls phone 101 through the PBX and the phone calls the door; each time they talk and 9 opens. `door` is what
/// the PBX has of the door, `account` what the door has of the PBX. Gives the PBX's log.
fn both_ways(rig: &Rig, door: &str, account: &str) -> anyhow::Result<String> {
    let params = PbxParams {
        door,
        files: &[("rtp.conf", &rtp_conf(rig))],
        ..PbxParams::default()
    };
    let pbx = Asterisk::start(rig, params)?;
    let port = rig.port(Use::PbxSip);
    let mut phone = Phone::start(rig, PhoneParams::at_pbx(0, "101", port))?;
    pbx.registered("101", secs(5))?;
    let (file, sound) = visitor(rig)?;
    let site = Site {
        account: Some(Account {
            more: account,
            ..Account::default()
        }),
        callers: vec!["101".into()],
        targets: vec!["101".into()],
        visitor: file,
        ..Site::default()
    };
    let mut gateway = Gateway::start(rig, &site.text(rig))?;
    pbx.registered("200", secs(10))?;
    gateway.ring()?;
    phone.hears("CALL_INCOMING", secs(10))?;
    phone.answer()?;
    phone.hears("CALL_ESTABLISHED", secs(10))?;
    both_hear(rig, &phone, &sound)?;
    nine_opens(rig, &mut gateway, &mut phone)?;
    phone.hang_up()?;
    gateway.event(0, "panel.ring-ended", secs(10), |_| true)?;

    let before = gateway.last_seq();
    phone.dial(&format!("sip:200@127.0.0.1:{port}"))?;
    phone.hears("CALL_ESTABLISHED", secs(10))?;
    both_hear(rig, &phone, &sound)?;
    nine_opens(rig, &mut gateway, &mut phone)?;
    phone.hang_up()?;
    gateway.event(before, "call.ended", secs(5), |_| true)?;
    gateway.verify()?;
    Ok(pbx.log())
}

/// What the PBX does with media: it checks addresses if an endpoint says so.
fn rtp_conf(rig: &Rig) -> String {
    let (low, high) = rig.ports.pbx_rtp();
    format!("[general]\nrtpstart = {low}\nrtpend = {high}\nicesupport = yes\n")
}

#[test]
fn door_and_phone_talk_over_dtls_srtp_at_asterisk_and_nine_opens() {
    run(|rig| {
        let log = both_ways(rig, DTLS, "srtp = \"required\"\nsrtp-keys = \"dtls\"\n")?;
        let lines = log.matches("UDP/TLS/RTP/SAVP ").count();
        // an offer and an answer in each of two calls
        ensure!(lines >= 4, "{lines} lines of DTLS in the log");
        ensure!(!log.contains("a=crypto"), "a key was in a SIP message");
        Ok(())
    });
}

#[test]
fn asterisk_checks_with_ice_where_it_reaches_the_door_and_they_talk() {
    run(|rig| {
        let log = both_ways(rig, ICE, "ice = \"lite\"\n")?;
        for wanted in ["a=ice-lite", "a=ice-ufrag:", "typ host"] {
            ensure!(log.contains(wanted), "{wanted} is not in the log");
        }
        Ok(())
    });
}

#[test]
fn door_and_asterisk_check_each_other_with_ice_and_they_talk() {
    run(|rig| {
        let log = both_ways(rig, ICE, "ice = \"full\"\n")?;
        for wanted in ["a=ice-options:ice2", "a=ice-ufrag:", "typ host"] {
            ensure!(log.contains(wanted), "{wanted} is not in the log");
        }
        ensure!(!log.contains("a=ice-lite"), "both are full sides");
        Ok(())
    });
}

#[test]
fn ice_and_dtls_go_together_as_browsers_want_them() {
    run(|rig| {
        let account = "srtp = \"required\"\nsrtp-keys = \"dtls\"\nice = \"full\"\n";
        let log = both_ways(rig, &format!("{DTLS}ice_support = yes\n"), account)?;
        ensure!(
            log.contains("a=ice-options:ice2") && log.contains("UDP/TLS/RTP/SAVP "),
            "{log}"
        );
        Ok(())
    });
}

#[test]
fn an_endpoint_that_takes_the_profile_of_feedback_only_is_called_under_it_and_calls() {
    for (door, account, profile) in [
        ("", "", "RTP/AVPF "),
        ("media_encryption = sdes\n", "srtp = \"required\"\n", "RTP/SAVPF "),
        (
            DTLS,
            "srtp = \"required\"\nsrtp-keys = \"dtls\"\n",
            "UDP/TLS/RTP/SAVPF ",
        ),
    ] {
        run(|rig| {
            let door = format!("{door}use_avpf = yes\n");
            let log = both_ways(rig, &door, &format!("{account}rtcp-feedback = true\n"))?;
            ensure!(log.contains(profile), "no {profile}: {log}");
            ensure!(!log.contains("SIP/2.0 488"), "a profile was refused: {log}");
            Ok(())
        });
    }
}

#[test]
fn baresip_checks_with_ice_where_it_reaches_the_door_without_a_pbx() {
    run(|rig| without_a_pbx(rig, "lite"));
}

#[test]
fn door_and_baresip_check_each_other_with_ice_without_a_pbx() {
    run(|rig| without_a_pbx(rig, "full"));
}

/// Full ICE at the phone, one side or the other at the door. The phone looks for addresses on every interface but loopback, so that the
/// machine needs one more; which of its addresses reaches the door is learnt by checks.
fn without_a_pbx(rig: &Rig, ice: &str) -> anyhow::Result<()> {
    let params = PhoneParams {
        ice: true,
        ..PhoneParams::direct(0, "101")
    };
    let mut phone = Phone::start(rig, params)?;
    let (file, sound) = visitor(rig)?;
    let site = Site {
        account: Some(Account {
            more: &format!("register = false\nice = \"{ice}\"\n"),
            port: Some(phone.port()),
            ..Account::default()
        }),
        callers: vec!["101".into()],
        targets: vec!["101".into()],
        visitor: file,
        ..Site::default()
    };
    let mut gateway = Gateway::start(rig, &site.text(rig))?;
    gateway.ring()?;
    phone.hears("CALL_INCOMING", secs(10))?;
    phone.answer()?;
    checked(&phone, 0)?;
    both_hear(rig, &phone, &sound)?;
    nine_opens(rig, &mut gateway, &mut phone)?;
    phone.hang_up()?;
    gateway.event(0, "panel.ring-ended", secs(10), |_| true)?;

    let (before, checked_before) = (gateway.last_seq(), checks(&phone));
    phone.dial(&format!("sip:200@127.0.0.1:{}", rig.port(Use::Sip)))?;
    checked(&phone, checked_before)?;
    both_hear(rig, &phone, &sound)?;
    nine_opens(rig, &mut gateway, &mut phone)?;
    phone.hang_up()?;
    gateway.event(before, "call.ended", secs(5), |_| true)?;
    gateway.verify()
}

/// A router in between writes ports of its own, which the STUN server tells, and lets in only whom the door has written to: a check of the
/// door's opens the way. The lite side would be told the same ports, and nobody would ever reach it there.
#[test]
fn checks_of_the_door_open_a_router_that_lets_nobody_in() {
    run(|rig| {
        let router = Router::start(rig)?;
        let params = PhoneParams {
            beyond: Some(&router),
            ice: true,
            ..PhoneParams::direct(0, "101")
        };
        let mut phone = Phone::start(rig, params)?;
        let (file, sound) = visitor(rig)?;
        let site = Site {
            account: Some(Account {
                more: "register = false\nice = \"full\"\n",
                port: Some(phone.port()),
                ..Account::default()
            }),
            targets: vec!["101".into()],
            visitor: file,
            ..Site::default()
        };
        let text = site
            .text(rig)
            .replace("[sip]\n", &format!("[sip]\nstun = \"{}\"\n", Router::stun(rig)))
            .replace("bind = \"127.0.0.1\"", &format!("bind = \"{}\"", Router::INSIDE))
            .replace(
                "domain = \"127.0.0.1\"",
                &format!("domain = \"{}\"", Router::OUTSIDE),
            );
        let mut gateway = Gateway::start_by(rig, &text, &router.by_inside())?;
        until(secs(15), "the STUN server's answer", || {
            Ok(gateway.log().contains(Router::SEEN_AT).then_some(()))
        })?;
        gateway.ring()?;
        phone.hears("CALL_INCOMING", secs(10))?;
        phone.answer()?;
        checked(&phone, 0)?;
        both_hear(rig, &phone, &sound)?;
        nine_opens(rig, &mut gateway, &mut phone)?;
        gateway.verify()
    });
}

/// How often the phone has checked the addresses of a call and chosen.
fn checks(phone: &Phone) -> usize {
    phone
        .log()
        .matches("ice: audio: connectivity check is complete")
        .count()
}

/// Waits until it has done so once more.
fn checked(phone: &Phone, before: usize) -> anyhow::Result<()> {
    until(secs(15), "the phone's checks", || {
        Ok((checks(phone) > before).then_some(()))
    })
}

#[test]
fn a_pbx_with_keys_in_sip_messages_only_gets_no_call_where_a_handshake_has_to_be() {
    run(|rig| {
        let params = PbxParams {
            door: "media_encryption = sdes\n",
            ..PbxParams::default()
        };
        let pbx = Asterisk::start(rig, params)?;
        let site = Site {
            account: Some(Account {
                more: "srtp = \"required\"\nsrtp-keys = \"dtls\"\n",
                ..Account::default()
            }),
            callers: vec!["101".into()],
            targets: vec!["910".into()],
            ..Site::default()
        };
        let gateway = Gateway::start(rig, &site.text(rig))?;
        pbx.registered("200", secs(10))?;
        gateway.ring()?;
        gateway.event(0, "panel.ring-ended", secs(40), |e| e["outcome"] != "answered")?;
        let before = gateway.last_seq();
        pbx.cli("channel originate PJSIP/200 application Wait 5")?;
        until(secs(10), "488 for an offer with keys", || {
            Ok(pbx.log().contains("SIP/2.0 488").then_some(()))
        })?;
        let answered = gateway
            .events()?
            .iter()
            .any(|e| e["seq"].as_u64() > Some(before) && e["kind"] == "call.answered");
        ensure!(!answered, "the door answered");
        Ok(())
    });
}

/// A phone of SIPp that promises a handshake and never begins it.
fn promises(port: u16) -> String {
    let digest = vec!["AB"; 32].join(":");
    let answer = |status: &str| {
        format!(
            "SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:];tag=peer[call_number]\n[last_Call-ID:]\n\
             [last_CSeq:]\nContact: <sip:peer@[local_ip]:[local_port]>\n"
        )
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<scenario name=\"promises a handshake\">\n\
         <recv request=\"INVITE\" rrs=\"true\"><action>\n\
         <ereg regexp=\"m=audio [0-9]+ UDP/TLS/RTP/SAVP \" search_in=\"body\" check_it=\"true\" assign_to=\"1\"/>\n\
         <ereg regexp=\"a=setup:actpass\" search_in=\"body\" check_it=\"true\" assign_to=\"2\"/>\n\
         </action></recv>\n\
         <send retrans=\"500\"><![CDATA[\n\n{ok}Content-Type: application/sdp\nContent-Length: [len]\n\n\
         v=0\no=peer 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n\
         m=audio {port} UDP/TLS/RTP/SAVP 8\na=rtpmap:8 PCMA/8000\na=setup:active\n\
         a=fingerprint:sha-256 {digest}\n\n]]></send>\n\
         <recv request=\"ACK\"/>\n<recv request=\"BYE\" timeout=\"30000\"/>\n\
         <send><![CDATA[\n\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n\
         [last_CSeq:]\nContent-Length: 0\n\n]]></send>\n\
         <Reference variables=\"1,2\"/>\n</scenario>\n",
        ok = answer("200 OK"),
    )
}

#[test]
fn without_the_promised_handshake_nothing_is_said_in_clear_and_the_call_ends_with_the_reason() {
    run(|rig| {
        let reflector = Reflector::start(rig.ports.phone_rtp(1).0, None)?;
        let mut peer = Sipp::written(rig, &promises(reflector.port()), false)?;
        let site = Site {
            account: Some(Account {
                // SIPp knows the door by its address
                more: "register = false\nsrtp = \"required\"\nsrtp-keys = \"dtls\"\n",
                ..Account::default()
            }),
            targets: vec!["peer".into()],
            ..Site::default()
        };
        let text = site.text(rig);
        let at_pbx = format!("port = {}\n", rig.port(Use::PbxSip));
        let at_peer = format!("port = {}\n", rig.port(Use::PhoneSip(0)));
        let text = text.replace(&at_pbx, &at_peer);
        let text = text.replace("\"peer\"", "\"1000\"");
        let mut gateway = Gateway::start(rig, &text)?;
        gateway.ring()?;
        gateway.event(0, "call.answered", secs(20), |_| true)?;
        gateway
            .process()
            .says("no DTLS handshake within 15 s", secs(30))?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        peer.done(secs(30))?;
        ensure!(
            reflector.last().is_none(),
            "{:?} was sent in clear",
            reflector.last()
        );
        Ok(())
    });
}

/// Calls the gateway from beyond the router; the answer has this address for speech, and ports of the gateway's range.
fn answers_with(rig: &Rig, stun: &StunServer, n: u16, seen: &str) -> anyhow::Result<()> {
    let to = format!("{}:{}", StunServer::GATEWAY, rig.port(Use::Sip));
    let from = (&stun.by()[..], StunServer::SERVERS[0]);
    let mut caller = Sipp::elsewhere(rig, n, "calls-and-hangs-up", from, (1, &[&to]))?;
    caller.done(secs(20))?;
    let messages = caller.messages();
    ensure!(messages.contains(&format!("c=IN IP4 {seen}\r\n")), "{messages}");
    ensure!(
        !messages.contains(&format!("c=IN IP4 {}", StunServer::GATEWAY)),
        "{messages}"
    );
    let (low, high) = rig.ports.gateway_rtp();
    // the caller's own is none of these
    let port = |line: &str| {
        line.strip_prefix("m=audio ")?
            .split(' ')
            .next()?
            .parse::<u16>()
            .ok()
    };
    let ours = messages
        .lines()
        .filter_map(port)
        .any(|port| (low..=high).contains(&port));
    ensure!(ours, "no port of {low} to {high}: {messages}");
    Ok(())
}

#[test]
fn speech_goes_where_a_stun_server_sees_the_gateway_and_a_move_is_told_the_pbx_at_once() {
    run(|rig| {
        let stun = StunServer::start(rig)?;
        let far = StunServer::SERVERS[0];
        // each registration is a call of its own for it, under one Call-ID
        let taken = (9, &["-deadcall_wait", "0"][..]);
        let pbx = Sipp::elsewhere(rig, 1, "registrar", (&stun.by(), far), taken)?;
        let site = Site {
            account: Some(Account {
                port: Some(rig.port(Use::PhoneSip(1))),
                ..Account::default()
            }),
            targets: vec!["101".into()],
            ..Site::default()
        };
        let site = |server: &str| {
            let table = format!("[sip]\nstun = \"{server}:{}\"\n", rig.port(Use::Stun));
            site.text(rig)
                .replace("[sip]\n", &table)
                .replace(
                    "bind = \"127.0.0.1\"",
                    &format!("bind = \"{}\"", StunServer::GATEWAY),
                )
                .replace("domain = \"127.0.0.1\"", &format!("domain = \"{far}\""))
                .replace(
                    "direct-peers = [\"127.0.0.1\"]",
                    &format!("direct-peers = [\"{far}\"]"),
                )
        };
        let mut gateway = Gateway::start_by(rig, &site(far), &stun.by())?;
        let seen = |gateway: &Gateway, address: &str| {
            until(secs(15), "the STUN server's answer", || {
                let told = "others see us at this address";
                let log = gateway.log();
                let told = log
                    .lines()
                    .any(|line| line.contains(told) && line.contains(address));
                Ok(told.then_some(()))
            })
        };
        seen(&gateway, StunServer::SEEN_AT[0])?;
        let registered = || pbx.messages().matches("REGISTER sip:").count();
        until(secs(15), "the registration", || {
            Ok((registered() == 1).then_some(()))
        })?;
        answers_with(rig, &stun, 2, StunServer::SEEN_AT[0])?;
        ensure!(registered() == 1, "to learn the first address is no move");

        // another server, which sees it elsewhere: long before the registration is over the PBX hears of it
        let said = gateway.reload(&site(StunServer::SERVERS[1]))?;
        ensure!(said.contains("in force"), "{said}");
        seen(&gateway, StunServer::SEEN_AT[1])?;
        until(secs(10), "the next registration", || {
            Ok((registered() == 2).then_some(()))
        })?;
        let messages = pbx.messages();
        let contacts: Vec<&str> = messages
            .lines()
            .filter(|line| line.starts_with("Contact:"))
            .collect();
        ensure!(contacts.windows(2).all(|two| two[0] == two[1]), "{contacts:?}");
        answers_with(rig, &stun, 3, StunServer::SEEN_AT[1])?;
        gateway.verify()
    });
}
