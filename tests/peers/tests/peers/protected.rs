//! Speech whose keys come by a DTLS handshake (DTLS-SRTP), and addresses that the PBX checks (ICE), with a real Asterisk.

use anyhow::ensure;
use peers::{
    Account, Asterisk, Gateway, PbxParams, Phone, PhoneParams, Reflector, Rig, Sipp, Site, StunServer, Use,
    run, until,
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
fn ice_and_dtls_go_together_as_browsers_want_them() {
    run(|rig| {
        let account = "srtp = \"required\"\nsrtp-keys = \"dtls\"\nice = \"lite\"\n";
        let log = both_ways(rig, &format!("{DTLS}ice_support = yes\n"), account)?;
        ensure!(
            log.contains("a=ice-lite") && log.contains("UDP/TLS/RTP/SAVP "),
            "{log}"
        );
        Ok(())
    });
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

#[test]
fn a_stun_server_says_where_others_see_the_gateway() {
    run(|rig| {
        let _server = StunServer::start(rig)?;
        let stun = format!("[sip]\nstun = \"127.0.0.1:{}\"\n", rig.port(Use::Stun));
        let site = Site {
            targets: vec!["sip:nobody@127.0.0.1:9".into()],
            ..Site::default()
        };
        let text = site.text(rig).replace("[sip]\n", &stun);
        let gateway = Gateway::start(rig, &text)?;
        until(secs(10), "the STUN server's answer", || {
            let log = gateway.log();
            let told = log
                .lines()
                .find(|line| line.contains("others see us at this address"));
            Ok(told.map(str::to_owned))
        })
        .and_then(|line| {
            ensure!(line.contains("127.0.0.1"), "{line}");
            Ok(())
        })
    });
}
