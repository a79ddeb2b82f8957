//! What other phones learn of a door without a call: lamps, presence, a line that is out of order, and texts both ways.

use anyhow::ensure;
use peers::{
    Account, Asterisk, Gateway, Kamailio, KamailioParams, PbxParams, Phone, PhoneParams, Rig, Sipp, Site,
    Use, run, until,
};

use crate::secs;

#[test]
fn a_lamp_follows_the_call_of_a_bell() {
    run(|rig| {
        let mut phone = Phone::start(rig, PhoneParams::direct(1, "anna"))?;
        let site = Site {
            targets: vec![phone.address()],
            ..Site::default()
        };
        let gateway = Gateway::start(rig, &site.text(rig))?;
        let mut lamp = Sipp::calls(rig, "watches-the-door", 1)?;
        // it sees that nobody calls before the bell is pressed
        std::thread::sleep(secs(2));
        gateway.ring()?;
        phone.hears("CALL_INCOMING", secs(10))?;
        std::thread::sleep(secs(2));
        phone.answer()?;
        gateway.event(0, "call.answered", secs(10), |_| true)?;
        std::thread::sleep(secs(2));
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        lamp.done(secs(20))?;
        gateway.verify()
    });
}

#[test]
fn a_text_is_in_the_journal_and_opens_nothing_and_a_rule_sends_one() {
    run(|rig| {
        let more = "[rules.opened]\non = [\"door.granted\"]\n\
                    do = [{ text = { list = \"people\", panel = \"main\", message = \"{source} was opened\" } }]\n";
        let site = Site {
            callers: vec![Sipp::address(rig)],
            targets: vec![Sipp::address(rig)],
            more: more.into(),
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        Sipp::calls(rig, "sends-a-text", 1)?.done(secs(20))?;
        let told = gateway.event(0, "panel.message-received", secs(5), |_| true)?;
        ensure!(told["text"] == "9" && told["source"] == "main", "{told}");
        ensure!(gateway.pulses() == 0, "a text has opened the door");
        let mut getter = Sipp::called(rig, "gets-a-text", 1)?;
        std::thread::sleep(secs(1));
        gateway.sim(&["rex", "front-rex"])?;
        gateway.energised(secs(5))?;
        getter.done(secs(20))?;
        gateway.verify()
    });
}

/// Phone 103 of a PBX subscribes to something of extension 200, is asked for its password, and then sees bodies in this order,
/// each of them known by an expression.
fn watches(event: &str, kind: &str, bodies: &[&str]) -> String {
    let ask = |n: u32, rest: &str| {
        format!(
            "<send retrans=\"500\"><![CDATA[\n\nSUBSCRIBE sip:200@127.0.0.1:[remote_port] SIP/2.0\n\
             Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\n\
             From: <sip:103@127.0.0.1>;tag=lamp[call_number]\nTo: <sip:200@127.0.0.1>\nCall-ID: [call_id]\n\
             CSeq: {n} SUBSCRIBE\nContact: <sip:103@[local_ip]:[local_port]>\nEvent: {event}\nAccept: {kind}\n\
             Expires: 600\n{rest}Content-Length: 0\n\n]]></send>\n"
        )
    };
    let heard = "<send><![CDATA[\n\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n\
                 [last_CSeq:]\nContact: <sip:103@[local_ip]:[local_port]>\nContent-Length: 0\n\n]]></send>\n";
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<scenario name=\"watches\">\n{}\
         <recv response=\"407\" auth=\"true\"/>\n{}\
         <recv response=\"100\" optional=\"true\"/>\n<recv response=\"200\" optional=\"true\" next=\"1\"/>\n\
         <recv response=\"202\"/>\n<label id=\"1\"/>\n",
        ask(1, ""),
        ask(2, "[authentication username=103 password=secret-103]\n"),
    );
    for (n, body) in bodies.iter().enumerate() {
        let (again, seen) = (10 + 2 * n, 11 + 2 * n);
        // others may come between
        text += &format!(
            "<label id=\"{again}\"/>\n<recv request=\"NOTIFY\" timeout=\"30000\"><action>\n\
             <ereg regexp=\"{body}\" search_in=\"body\" assign_to=\"seen{n}\"/>\n</action></recv>\n{heard}\
             <nop test=\"seen{n}\" next=\"{seen}\"/>\n<nop next=\"{again}\"/>\n<label id=\"{seen}\"/>\n"
        );
    }
    text + "</scenario>\n"
}

/// A door at a PBX, with more keys of its account.
fn at_pbx(targets: &[&str], more: &'static str) -> Site<'static> {
    Site {
        account: Some(Account {
            more,
            ..Account::default()
        }),
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        ..Site::default()
    }
}

/// With this for calls to the panel while its line is faulty.
fn on_line_fault(rig: &Rig, site: &Site<'_>, what: &str) -> String {
    let panel = format!("[panels.main]\non-line-fault = {what:?}\n");
    site.text(rig).replace("[panels.main]\n", &panel)
}

#[test]
fn a_lamp_at_a_proxy_follows_the_calls_of_the_account() {
    run(|rig| {
        let mut pbx = Kamailio::start(rig, KamailioParams::default())?;
        let mut phone = Phone::start(rig, PhoneParams::at_pbx(1, "101", rig.port(Use::PbxSip)))?;
        let gateway = Gateway::start(rig, &at_pbx(&["101"], "").text(rig))?;
        pbx.registered("200", secs(15))?;
        let none = "sip:200@127.0.0.1.>[^<]*</dialog-info>";
        let states = [none, "<state>(trying|early)", "<state>confirmed", none];
        let states = states.map(|state| state.replace('<', "&lt;").replace('>', "&gt;"));
        let states: Vec<&str> = states.iter().map(String::as_str).collect();
        let kind = "application/dialog-info+xml";
        let mut lamp = Sipp::written_as(rig, 2, &watches("dialog", kind, &states), Some(Use::PbxSip))?;
        until(secs(10), "the lamp to be told", || {
            Ok(lamp.messages().contains("NOTIFY").then_some(()))
        })?;
        gateway.ring()?;
        phone.hears("CALL_INCOMING", secs(10))?;
        until(secs(10), "the lamp to see it ring", || {
            let told = lamp.messages();
            Ok((told.contains("<state>early") || told.contains("<state>trying")).then_some(()))
        })?;
        phone.answer()?;
        gateway.event(0, "call.answered", secs(10), |_| true)?;
        until(secs(10), "the lamp to see that they talk", || {
            Ok(lamp.messages().contains("<state>confirmed").then_some(()))
        })?;
        phone.hang_up()?;
        lamp.done(secs(20))?;
        gateway.verify()
    });
}

#[test]
fn presence_at_kamailio_is_open_and_closed_while_the_line_is_out_of_order() {
    run(|rig| {
        let params = KamailioParams {
            presence: true,
            ..KamailioParams::default()
        };
        let mut pbx = Kamailio::start(rig, params)?;
        let site = at_pbx(&["101"], "publish-presence = true\n");
        let gateway = Gateway::start(rig, &on_line_fault(rig, &site, "reject-480"))?;
        pbx.registered("200", secs(15))?;
        let bodies = ["basic&gt;open", "basic&gt;closed", "basic&gt;open"];
        let scenario = watches("presence", "application/pidf+xml", &bodies);
        let mut watcher = Sipp::written_as(rig, 2, &scenario, Some(Use::PbxSip))?;
        until(secs(15), "presence to be open", || {
            Ok(watcher.messages().contains("basic>open").then_some(()))
        })?;
        gateway.sim(&["line-drop", "riser"])?;
        until(secs(15), "presence to be closed", || {
            Ok(watcher.messages().contains("basic>closed").then_some(()))
        })?;
        gateway.sim(&["line-drop", "riser", "--back"])?;
        watcher.done(secs(20))?;
        gateway.verify()
    });
}

/// Asterisk 22 takes PUBLISH from other Asterisks only, and presence from nobody: it refused so often, and was not asked
/// more often.
fn not_published(gateway: &Gateway, pbx: &Asterisk, times: usize) -> anyhow::Result<()> {
    let refused = |log: &str| log.matches("the PBX takes no presence").count();
    until(secs(10), "the note that the PBX takes no presence", || {
        Ok((refused(&gateway.log()) == times).then_some(()))
    })?;
    ensure!(gateway.log().contains("489 Bad Event"), "{}", gateway.log());
    let asked = pbx.log();
    // each time without a password, and once more with it
    let (sent, answered) = (
        asked.matches("PUBLISH sip:200@").count(),
        asked.matches("SIP/2.0 489").count(),
    );
    ensure!(
        (times..=2 * times).contains(&sent) && answered == times,
        "{sent} asked, {answered} answers of 489"
    );
    Ok(())
}

#[test]
fn with_unregister_asterisk_has_no_contact_of_the_door_while_its_line_is_out_of_order() {
    run(|rig| {
        let pbx = Asterisk::start(rig, PbxParams::default())?;
        let site = at_pbx(&["920"], "publish-presence = true\n");
        let gateway = Gateway::start(rig, &on_line_fault(rig, &site, "unregister"))?;
        pbx.registered("200", secs(15))?;
        not_published(&gateway, &pbx, 1)?;
        let gone = || Ok((!pbx.cli("pjsip show contacts")?.contains("200/sip:")).then_some(()));
        gateway.sim(&["line-drop", "riser"])?;
        until(secs(10), "the contact to go", gone)?;
        gateway.sim(&["line-drop", "riser", "--back"])?;
        pbx.registered("200", secs(15))?;
        // it was asked once in each registration, and neither is wrong by it
        not_published(&gateway, &pbx, 2)?;
        gateway.ring()?;
        gateway.event(0, "call.answered", secs(15), |_| true)?;
        let failed = gateway.events()?;
        ensure!(failed.iter().all(|e| e["kind"] != "account.failed"), "{failed:?}");
        gateway.verify()
    });
}
