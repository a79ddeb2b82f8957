//! Phones and PBXs that hand the door's call on by SIP itself: REFER, Replaces, 3xx.

use anyhow::{Context, ensure};
use peers::{Account, Asterisk, Gateway, PbxParams, Phone, PhoneParams, Sipp, Site, Use, run, until};

use crate::secs;
use crate::story::{both_hear, nine_opens, visitor};

#[test]
fn a_phone_hands_a_direct_call_to_a_phone_of_the_list_which_opens_then() {
    run(|rig| {
        let mut first = Phone::start(rig, PhoneParams::direct(0, "anna"))?;
        let mut second = Phone::start(rig, PhoneParams::direct(1, "bert"))?;
        let stranger = Phone::start(rig, PhoneParams::direct(2, "carl"))?;
        let (file, sound) = visitor(rig)?;
        let site = Site {
            targets: vec![first.address(), second.address()],
            visitor: file,
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        gateway.ring()?;
        first.hears("CALL_INCOMING", secs(10))?;
        first.answer()?;
        gateway.event(0, "call.answered", secs(5), |_| true)?;
        first.transfer(&second.address())?;
        second.hears("CALL_INCOMING", secs(10))?;
        second.answer()?;
        let told = gateway.event(0, "call.transferred", secs(5), |_| true)?;
        ensure!(told["may_open"] == true, "{told}");
        first.hears("CALL_CLOSED", secs(10))?;
        both_hear(rig, &second, &sound)?;
        nine_opens(rig, &mut gateway, &mut second)?;
        second.hang_up()?;
        gateway.event(0, "call.ended", secs(5), |_| true)?;
        ensure!(gateway.pulses() == 1, "{} pulses", gateway.pulses());
        // to somebody who is in no list of the panel nobody rings; this phone hangs up when it is refused
        let seq = gateway.last_seq();
        gateway.ring()?;
        first.hears("CALL_INCOMING", secs(10))?;
        first.answer()?;
        gateway.event(seq, "call.answered", secs(5), |_| true)?;
        first.transfer(&stranger.address())?;
        let refused = gateway.event(seq, "call.handover-refused", secs(5), |_| true)?;
        ensure!(refused["reason"] == "not-listed", "{refused}");
        gateway.event(seq, "call.ended", secs(10), |_| true)?;
        ensure!(stranger.count("CALL_INCOMING") == 0, "a stranger was called");
        gateway.verify()
    });
}

/// A second button of the panel, whose list has this address: whom the door may hand a call to without calling him first.
fn office(address: &str) -> String {
    format!(
        "[inputs.office-bell.virtual]\n[panels.main.buttons.office]\nname = \"Office\"\ninput = \"office-bell\"\n\
         call = \"office\"\n[lists.office]\nstrategy = \"sequential\"\nring-s = 20\ntargets = [{address:?}]\n"
    )
}

/// A phone that is called and names somebody else: 302.
fn redirects(to: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<scenario name=\"redirects\">\n<recv request=\"INVITE\"/>\n\
         <send retrans=\"500\"><![CDATA[\n\nSIP/2.0 302 Moved Temporarily\n[last_Via:]\n[last_From:]\n\
         [last_To:];tag=peer[call_number]\n[last_Call-ID:]\n[last_CSeq:]\nContact: <{to}>\nContent-Length: 0\n\n]]></send>\n\
         <recv request=\"ACK\"/>\n</scenario>\n"
    )
}

#[test]
fn a_redirection_is_followed_to_somebody_of_the_lists_who_opens_and_to_nobody_else() {
    run(|rig| {
        let mut anna = Phone::start(rig, PhoneParams::direct(1, "anna"))?;
        let stranger = Phone::start(rig, PhoneParams::direct(2, "carl"))?;
        let mut moved = Sipp::written(rig, &redirects(&anna.address()), false)?;
        let site = Site {
            callers: vec![anna.address()],
            targets: vec![Sipp::address(rig)],
            more: office(&anna.address()),
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        gateway.ring()?;
        anna.hears("CALL_INCOMING", secs(10))?;
        moved.done(secs(10))?;
        anna.answer()?;
        gateway.event(0, "call.answered", secs(10), |_| true)?;
        nine_opens(rig, &mut gateway, &mut anna)?;
        anna.hang_up()?;
        gateway.event(0, "call.ended", secs(5), |_| true)?;
        let seq = gateway.last_seq();
        let mut moved = Sipp::written(rig, &redirects(&stranger.address()), false)?;
        std::thread::sleep(secs(1));
        gateway.ring()?;
        let refused = gateway.event(seq, "call.handover-refused", secs(10), |_| true)?;
        ensure!(refused["reason"] == "not-listed", "{refused}");
        gateway.event(seq, "call.ended", secs(10), |_| true)?;
        moved.done(secs(10))?;
        ensure!(stranger.count("CALL_INCOMING") == 0, "a stranger was called");
        ensure!(gateway.pulses() == 1, "{} pulses", gateway.pulses());
        gateway.verify()
    });
}

/// A description of speech.
const SPEECH: &str = "Content-Type: application/sdp\nContent-Length: [len]\n\nv=0\no=peer 1 1 IN IP4 [media_ip]\ns=-\n\
    c=IN IP4 [media_ip]\nt=0 0\nm=audio [media_port] RTP/AVP 8\na=rtpmap:8 PCMA/8000\n";

/// The answer to what came last.
fn answer(status: &str, tag: &str, rest: &str) -> String {
    format!(
        "<send><![CDATA[\n\nSIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n\
         [last_CSeq:]\nContact: <sip:peer@[local_ip]:[local_port]>\n{rest}\n]]></send>\n"
    )
}

/// Has the call of the door, and hands it on to whom it talks to already (RFC 3891 §1, attended transfer); is told how that
/// goes, and that its own call is over.
fn attended(to: &str) -> String {
    let empty = "Content-Length: 0\n";
    let told = |status: &str, name: &str| {
        format!(
            "<recv request=\"NOTIFY\" timeout=\"20000\"><action>\n\
             <ereg regexp=\"SIP/2.0 {status}\" search_in=\"body\" check_it=\"true\" assign_to=\"{name}\"/>\n\
             </action></recv>\n<Reference variables=\"{name}\"/>\n"
        )
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<scenario name=\"attended\">\n<recv request=\"INVITE\" rrs=\"true\"/>\n\
         {ok}<recv request=\"ACK\"><action>\n\
         <ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" assign_to=\"them\"/>\n\
         <ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" assign_to=\"us\"/>\n</action></recv>\n\
         <pause milliseconds=\"1000\"/>\n<send retrans=\"500\"><![CDATA[\n\nREFER [next_url] SIP/2.0\n\
         Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\nFrom:[$us]\nTo:[$them]\n\
         [last_Call-ID:]\nCSeq: 1 REFER\nContact: <sip:peer@[local_ip]:[local_port]>\n\
         Refer-To: <{to}?Replaces=consulted%3Bto-tag%3Dtheirs%3Bfrom-tag%3Dours>\nContent-Length: 0\n\n]]></send>\n\
         <recv response=\"202\"/>\n{trying}{heard}{taken}{heard}\
         <recv request=\"BYE\" timeout=\"10000\"/>\n{heard}</scenario>\n",
        ok = answer("200 OK", ";tag=peer[call_number]", SPEECH),
        trying = told("100", "trying"),
        taken = told("200", "taken"),
        heard = answer("200 OK", "", empty),
    )
}

/// Is called in the place of that talk, takes the call, and presses 9.
fn takes_the_place() -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<scenario name=\"takes the place\">\n\
         <recv request=\"INVITE\" rrs=\"true\"><action>\n\
         <ereg regexp=\"consulted;(to-tag=theirs;from-tag=ours|from-tag=ours;to-tag=theirs)\" search_in=\"hdr\" \
         header=\"Replaces:\" check_it=\"true\" assign_to=\"place,tags\"/>\n\
         <ereg regexp=\"sip:\" search_in=\"hdr\" header=\"Referred-By:\" check_it=\"true\" assign_to=\"by\"/>\n\
         </action></recv>\n<Reference variables=\"place,tags,by\"/>\n{ok}<recv request=\"ACK\"><action>\n\
         <ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" assign_to=\"them\"/>\n\
         <ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" assign_to=\"us\"/>\n</action></recv>\n\
         <pause milliseconds=\"1000\"/>\n<send retrans=\"500\"><![CDATA[\n\nINFO [next_url] SIP/2.0\n\
         Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\nFrom:[$us]\nTo:[$them]\n\
         [last_Call-ID:]\nCSeq: 1 INFO\nContent-Type: application/dtmf-relay\nContent-Length: [len]\n\n\
         Signal=9\nDuration=160\n\n]]></send>\n<recv response=\"200\"/>\n<pause milliseconds=\"1000\"/>\n\
         <send retrans=\"500\"><![CDATA[\n\nBYE [next_url] SIP/2.0\n\
         Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\nFrom:[$us]\nTo:[$them]\n\
         [last_Call-ID:]\nCSeq: 2 BYE\nContent-Length: 0\n\n]]></send>\n<recv response=\"200\"/>\n</scenario>\n",
        ok = answer("200 OK", ";tag=taker", SPEECH),
    )
}

#[test]
fn an_attended_transfer_takes_the_place_of_the_talk_it_names_and_the_new_party_opens() {
    run(|rig| {
        let bert = Sipp::address_of(rig, 1);
        let mut first = Sipp::written(rig, &attended(&bert), false)?;
        let mut second = Sipp::written_as(rig, 1, &takes_the_place(), None)?;
        let site = Site {
            callers: vec![bert.clone()],
            targets: vec![Sipp::address(rig)],
            more: office(&bert),
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        gateway.ring()?;
        let told = gateway.event(0, "call.transferred", secs(20), |_| true)?;
        ensure!(told["may_open"] == true, "{told}");
        gateway.energised(secs(10))?;
        first.done(secs(20))?;
        second.done(secs(20))?;
        gateway.released(secs(10))?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        gateway.verify()
    });
}

/// Calls the door in the place of a talk of it (INVITE with Replaces), and presses 9.
fn takes_over(call_id: &str, door: &str, phone: &str) -> String {
    let head = |method: &str, n: u32, to: &str| {
        format!(
            "{method} sip:main@[remote_ip]:[remote_port] SIP/2.0\n\
             Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\n\
             From: <sip:peer@[local_ip]:[local_port]>;tag=peer[call_number]\n{to}\nCall-ID: [call_id]\n\
             CSeq: {n} {method}\nContact: <sip:peer@[local_ip]:[local_port]>\n"
        )
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<scenario name=\"takes over\">\n\
         <send retrans=\"500\"><![CDATA[\n\n{invite}Replaces: {call_id};to-tag={door};from-tag={phone}\n{SPEECH}\n]]></send>\n\
         <recv response=\"100\" optional=\"true\"/>\n<recv response=\"200\"/>\n\
         <send><![CDATA[\n\n{ack}Content-Length: 0\n\n]]></send>\n<pause milliseconds=\"1000\"/>\n\
         <send retrans=\"500\"><![CDATA[\n\n{info}Content-Type: application/dtmf-relay\nContent-Length: [len]\n\n\
         Signal=9\nDuration=160\n\n]]></send>\n<recv response=\"200\"/>\n<pause milliseconds=\"1000\"/>\n\
         <send retrans=\"500\"><![CDATA[\n\n{bye}Content-Length: 0\n\n]]></send>\n<recv response=\"200\"/>\n</scenario>\n",
        invite = head("INVITE", 1, "To: <sip:main@[remote_ip]>"),
        ack = head("ACK", 1, "[last_To:]"),
        info = head("INFO", 2, "[last_To:]"),
        bye = head("BYE", 3, "[last_To:]"),
    )
}

/// Is called, answers, and keeps the call until the other side ends it.
fn keeps() -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<scenario name=\"keeps\">\n<recv request=\"INVITE\"/>\n\
         {ok}<recv request=\"ACK\"/>\n<recv request=\"BYE\" timeout=\"30000\"/>\n{bye}</scenario>\n",
        ok = answer("200 OK", ";tag=keeper", SPEECH),
        bye = answer("200 OK", "", "Content-Length: 0\n"),
    )
}

#[test]
fn a_listed_peer_takes_the_doors_call_over_by_replaces_and_opens() {
    run(|rig| {
        let taker = Sipp::address(rig);
        let mut keeper = Sipp::written_as(rig, 1, &keeps(), None)?;
        let site = Site {
            callers: vec![taker.clone()],
            targets: vec![Sipp::address_of(rig, 1)],
            more: office(&taker),
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        gateway.ring()?;
        gateway.event(0, "call.answered", secs(10), |_| true)?;
        let messages = keeper.messages();
        let line = |name: &str| {
            let line = messages.lines().find(|line| line.starts_with(name));
            line.with_context(|| format!("no {name} in {messages}"))
        };
        let call_id = line("Call-ID:")?.trim_start_matches("Call-ID:").trim();
        let (_, tag) = line("From:")?.split_once("tag=").context("no tag of the door")?;
        let mut taker = Sipp::written(rig, &takes_over(call_id, tag.trim(), "keeper"), true)?;
        let told = gateway.event(0, "call.transferred", secs(10), |_| true)?;
        ensure!(told["may_open"] == true, "{told}");
        gateway.energised(secs(10))?;
        keeper.done(secs(10))?;
        taker.done(secs(20))?;
        gateway.released(secs(10))?;
        gateway.verify()
    });
}

#[test]
fn a_phone_that_called_the_door_hands_its_call_to_a_phone_of_the_list_which_opens_then() {
    run(|rig| {
        let mut first = Phone::start(rig, PhoneParams::direct(0, "anna"))?;
        let mut second = Phone::start(rig, PhoneParams::direct(1, "bert"))?;
        let stranger = Phone::start(rig, PhoneParams::direct(2, "carl"))?;
        let (file, sound) = visitor(rig)?;
        let site = Site {
            targets: vec![second.address()],
            visitor: file,
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        let door = format!("sip:main@127.0.0.1:{}", rig.port(Use::Sip));
        first.dial(&door)?;
        first.hears("CALL_ESTABLISHED", secs(10))?;
        gateway.event(0, "call.answered", secs(5), |_| true)?;
        // she may call the door and not open it
        first.press('9')?;
        gateway.event(0, "call.digit-ignored", secs(5), |e| e["reason"] == "unlisted")?;
        first.transfer(&second.address())?;
        second.hears("CALL_INCOMING", secs(10))?;
        second.answer()?;
        let told = gateway.event(0, "call.transferred", secs(5), |_| true)?;
        ensure!(told["may_open"] == true, "{told}");
        first.hears("CALL_CLOSED", secs(10))?;
        both_hear(rig, &second, &sound)?;
        nine_opens(rig, &mut gateway, &mut second)?;
        second.hang_up()?;
        gateway.event(0, "call.ended", secs(5), |_| true)?;
        ensure!(gateway.pulses() == 1, "{} pulses", gateway.pulses());
        // a stranger is not called, also where whoever may open could have anybody called
        let any = site.text(rig).replace(
            "doors = [\"front\"]\n\n[panels",
            "doors = [\"front\"]\ntransfers = \"any\"\n\n[panels",
        );
        ensure!(any.contains("transfers"), "the site has another panel");
        gateway.reload(&any)?;
        let seq = gateway.last_seq();
        first.dial(&door)?;
        first.hears("CALL_ESTABLISHED", secs(10))?;
        gateway.event(seq, "call.answered", secs(5), |_| true)?;
        first.transfer(&stranger.address())?;
        let refused = gateway.event(seq, "call.handover-refused", secs(5), |_| true)?;
        ensure!(refused["reason"] == "not-listed", "{refused}");
        gateway.event(seq, "call.ended", secs(10), |_| true)?;
        ensure!(stranger.count("CALL_INCOMING") == 0, "a stranger was called");
        gateway.verify()
    });
}

/// Calls the door, and hands the call on to whom it talks to already; is told how that goes, and that its own call is over.
fn calls_and_hands_on(to: &str) -> String {
    let request = |method: &str, n: u32, whom: &str, to: &str| {
        format!(
            "{method} {whom} SIP/2.0\nVia: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\n\
             From: <sip:peer@[local_ip]:[local_port]>;tag=peer[call_number]\n{to}\nCall-ID: [call_id]\n\
             CSeq: {n} {method}\nContact: <sip:peer@[local_ip]:[local_port]>\n"
        )
    };
    let told = |status: &str, name: &str| {
        format!(
            "<recv request=\"NOTIFY\" timeout=\"20000\"><action>\n\
             <ereg regexp=\"SIP/2.0 {status}\" search_in=\"body\" check_it=\"true\" assign_to=\"{name}\"/>\n\
             </action></recv>\n<Reference variables=\"{name}\"/>\n"
        )
    };
    let heard = answer("200 OK", "", "Content-Length: 0\n");
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<scenario name=\"calls and hands on\">\n\
         <send retrans=\"500\"><![CDATA[\n\n{invite}{SPEECH}\n]]></send>\n\
         <recv response=\"100\" optional=\"true\"/>\n<recv response=\"200\" rrs=\"true\"><action>\n\
         <ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" assign_to=\"door\"/>\n</action></recv>\n\
         <send><![CDATA[\n\n{ack}Content-Length: 0\n\n]]></send>\n<pause milliseconds=\"1000\"/>\n\
         <send retrans=\"500\"><![CDATA[\n\n{refer}\
         Refer-To: <{to}?Replaces=consulted%3Bto-tag%3Dtheirs%3Bfrom-tag%3Dours>\nContent-Length: 0\n\n]]></send>\n\
         <recv response=\"202\"/>\n{trying}{heard}{taken}{heard}\
         <recv request=\"BYE\" timeout=\"10000\"/>\n{heard}</scenario>\n",
        invite = request(
            "INVITE",
            1,
            "sip:main@[remote_ip]:[remote_port]",
            "To: <sip:main@[remote_ip]>"
        ),
        ack = request("ACK", 1, "[next_url]", "To:[$door]"),
        refer = request("REFER", 2, "[next_url]", "To:[$door]"),
        trying = told("100", "trying"),
        taken = told("200", "taken"),
    )
}

#[test]
fn a_caller_hands_his_call_to_whom_he_talks_to_already_and_a_listed_peer_takes_over_from_a_caller() {
    run(|rig| {
        let bert = Sipp::address_of(rig, 1);
        let mut second = Sipp::written_as(rig, 1, &takes_the_place(), None)?;
        let site = Site {
            callers: vec![bert.clone()],
            targets: vec![bert],
            more: office(&Sipp::address(rig)),
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        let mut first = Sipp::written(rig, &calls_and_hands_on(&Sipp::address_of(rig, 1)), true)?;
        let told = gateway.event(0, "call.transferred", secs(20), |_| true)?;
        ensure!(told["may_open"] == true, "{told}");
        gateway.energised(secs(10))?;
        first.done(secs(20))?;
        second.done(secs(20))?;
        gateway.released(secs(10))?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        drop(second);
        // somebody of another list of the panel calls in the place of a caller
        let seq = gateway.last_seq();
        let mut caller = Sipp::written_as(rig, 2, &calls_and_stays(), Some(Use::Sip))?;
        gateway.event(seq, "call.answered", secs(10), |_| true)?;
        let messages = caller.messages();
        let line = |name: &str| {
            let line = messages.lines().rfind(|line| line.starts_with(name));
            line.with_context(|| format!("no {name} in {messages}"))
        };
        let call_id = line("Call-ID:")?.trim_start_matches("Call-ID:").trim();
        let (_, tag) = line("To:")?.split_once("tag=").context("no tag of the door")?;
        let mut taker = Sipp::written(rig, &takes_over(call_id, tag.trim(), "peer1"), true)?;
        let told = gateway.event(seq, "call.transferred", secs(10), |_| true)?;
        ensure!(told["may_open"] == true, "{told}");
        gateway.energised(secs(10))?;
        caller.done(secs(10))?;
        taker.done(secs(20))?;
        gateway.released(secs(10))?;
        gateway.verify()
    });
}

/// Calls the door, and keeps the call until the other side ends it.
fn calls_and_stays() -> String {
    let head = |method: &str, whom: &str, to: &str| {
        format!(
            "{method} {whom} SIP/2.0\nVia: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\n\
             From: <sip:guest@[local_ip]:[local_port]>;tag=peer[call_number]\n{to}\nCall-ID: [call_id]\n\
             CSeq: 1 {method}\nContact: <sip:guest@[local_ip]:[local_port]>\n"
        )
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<scenario name=\"calls and stays\">\n\
         <send retrans=\"500\"><![CDATA[\n\n{invite}{SPEECH}\n]]></send>\n\
         <recv response=\"100\" optional=\"true\"/>\n<recv response=\"200\" rrs=\"true\"/>\n\
         <send><![CDATA[\n\n{ack}Content-Length: 0\n\n]]></send>\n\
         <recv request=\"BYE\" timeout=\"30000\"/>\n{bye}</scenario>\n",
        invite = head(
            "INVITE",
            "sip:main@[remote_ip]:[remote_port]",
            "To: <sip:main@[remote_ip]>"
        ),
        ack = head("ACK", "[next_url]", "[last_To:]"),
        bye = answer("200 OK", "", "Content-Length: 0\n"),
    )
}

/// 700 answers and hands the call on to phone 102, 701 to somebody whom the door does not know.
const HANDS_ON: &str = "\
[house](+)
exten => _70[01],1,Answer()
 same => n,Set(who=${EXTEN})
 same => n,Set(party=${IF($[${EXTEN} = 700]?102:0900123456)})
 same => n,Wait(1)
 same => n,Transfer(PJSIP/sip:${party}@127.0.0.1:PORT)
 same => n,Wait(1)
 same => n,Hangup()
exten => h,1,Verbose(0,transfer of ${who}: ${TRANSFERSTATUS} ${TRANSFERSTATUSPROTOCOL})
";

#[test]
fn asterisk_hands_an_answered_call_on_by_its_dial_plan_to_a_listed_phone_only() {
    run(|rig| {
        let port = rig.port(Use::PbxSip);
        let plan = HANDS_ON.replace("PORT", &port.to_string());
        let params = PbxParams {
            plan: &plan,
            ..PbxParams::default()
        };
        let pbx = Asterisk::start(rig, params)?;
        let mut phone = Phone::start(rig, PhoneParams::at_pbx(1, "102", port))?;
        pbx.registered("102", secs(5))?;
        let site = Site {
            account: Some(Account::default()),
            callers: vec!["102".into()],
            targets: vec!["700".into()],
            more: office("102"),
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        pbx.registered("200", secs(10))?;
        gateway.ring()?;
        gateway.event(0, "call.answered", secs(10), |_| true)?;
        phone.hears("CALL_INCOMING", secs(10))?;
        phone.answer()?;
        let told = gateway.event(0, "call.transferred", secs(10), |_| true)?;
        ensure!(told["may_open"] == true, "{told}");
        nine_opens(rig, &mut gateway, &mut phone)?;
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        until(secs(10), "Asterisk to hear that it went well", || {
            Ok(pbx.log().contains("transfer of 700: SUCCESS").then_some(()))
        })?;
        // somebody whom the door does not know is not called, and Asterisk is told so
        gateway.reload(&site.text(rig).replace("\"700\"", "\"701\""))?;
        let seq = gateway.last_seq();
        gateway.ring()?;
        let refused = gateway.event(seq, "call.handover-refused", secs(10), |_| true)?;
        ensure!(refused["reason"] == "not-listed", "{refused}");
        until(secs(10), "Asterisk to hear that it was refused", || {
            Ok(pbx.log().contains("transfer of 701: FAILURE").then_some(()))
        })?;
        gateway.event(seq, "call.ended", secs(10), |_| true)?;
        ensure!(gateway.pulses() == 1, "{} pulses", gateway.pulses());
        gateway.verify()
    });
}
