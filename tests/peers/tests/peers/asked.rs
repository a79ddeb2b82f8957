//! What accounts and targets ask of a real Asterisk: keys after the answer in each way, how a phone rings, who calls, and a
//! certificate of our own.

use anyhow::ensure;
use peers::{Account, Asterisk, Carrier, Gateway, Link, PbxParams, Rig, Site, Sound, Trust, run, until};

use crate::secs;

/// 940 answers, listens to four keys, and says which they were; or, where it listens to no keys, records what it hears.
const LISTENS: &str = "exten => 940,1,Answer()\n same => n,Read(typed,,4,,1,10)\n \
                       same => n,Verbose(0,typed=${typed}.)\n same => n,Hangup()\n";
const RECORDS: &str =
    "exten => 940,1,Answer()\n same => n,Record(${ASTSPOOLDIR}/keys.wav,0,4,q)\n same => n,Hangup()\n";

fn door(rig: &Rig, more: &str, link: Link<'_>, target: &str) -> String {
    let site = Site {
        account: Some(Account {
            more,
            link,
            ..Account::default()
        }),
        targets: vec!["940".into()],
        ..Site::default()
    };
    let text = site.text(rig);
    text.replace("targets = [\"940\"]", &format!("targets = [{target}]"))
}

/// The door calls 940 of an Asterisk that hears keys in one way.
fn types(rig: &Rig, mode: &str, method: &str) -> anyhow::Result<()> {
    let door_of = format!("dtmf_mode = {mode}\n");
    let pbx = Asterisk::start(
        rig,
        PbxParams {
            door: &door_of,
            plan: if method == "inband" { RECORDS } else { LISTENS },
            ..PbxParams::default()
        },
    )?;
    let target = format!(
        "{{ to = \"940\", digits-after-answer = \",2147\", digit-method = {method:?}, \
         alert-info = \"Bellcore-dr2\", auto-answer = true }}"
    );
    let gateway = Gateway::start(rig, &door(rig, "privacy = \"id\"\n", Link::default(), &target))?;
    pbx.registered("200", secs(20))?;
    let before = gateway.last_seq();
    gateway.ring()?;
    gateway.event(before, "call.answered", secs(20), |_| true)?;
    if method == "inband" {
        // it listens for no keys at all and takes none out of the speech: its recording is looked into
        gateway.event(before, "call.ended", secs(20), |_| true)?;
        let keys = Sound::read(&pbx.spooled("keys.wav"))?.keys();
        ensure!(keys == "2147", "the recording has {keys:?}");
    } else {
        until(secs(20), "the keys at the PBX", || {
            Ok(pbx.log().contains("typed=2147.").then_some(()))
        })?;
    }
    gateway.event(before, "call.media", secs(20), |media| {
        media["received"].as_u64().unwrap_or(0) > 0 || media["sent"].as_u64().unwrap_or(0) > 0
    })?;
    let log = pbx.log();
    for header in [
        "Alert-Info: Bellcore-dr2",
        ";answer-after=0",
        "Answer-Mode: Auto",
        "Privacy: id",
    ] {
        ensure!(log.contains(header), "no {header}: {log}");
    }
    ensure!(gateway.last_seq() > before, "nothing is on record");
    Ok(())
}

#[test]
fn keys_after_the_answer_arrive_as_events_by_info_and_as_tones() {
    for (mode, method) in [("rfc4733", "auto"), ("info", "auto"), ("none", "inband")] {
        run(|rig| types(rig, mode, method));
    }
}

#[test]
fn a_pbx_that_wants_a_certificate_gets_that_of_the_account_though_its_own_is_for_another_host() {
    run(|rig| {
        let trust = Trust::named(rig, "", &["pbx.example"])?;
        let pbx = Asterisk::start(
            rig,
            PbxParams {
                clients: true,
                tls: Some(&trust),
                ..PbxParams::default()
            },
        )?;
        let link = Link {
            carrier: Carrier::Tls,
            srtp: false,
            trust: Some(&trust),
        };
        for (more, why) in [
            ("keep-alive = \"options\"\n", "another host name"),
            ("tls-check-name = false\n", ""),
        ] {
            let gateway = Gateway::start(rig, &door(rig, more, link, "\"940\""))?;
            gateway.event(0, "account.failed", secs(30), |failed| {
                failed["detail"]
                    .as_str()
                    .is_some_and(|detail| detail.contains(why))
            })?;
        }
        let more = format!(
            "tls-check-name = false\ntls-cert-file = {:?}\ntls-key-file = {:?}\nkeep-alive = \"options\"\nkeep-alive-s = 15\n",
            trust.cert, trust.key
        );
        let _gateway = Gateway::start(rig, &door(rig, &more, link, "\"940\""))?;
        pbx.registered("200", secs(30))?;
        until(secs(30), "an answer to OPTIONS", || {
            Ok(pbx.log().contains("OPTIONS sip:").then_some(()))
        })
    });
}
