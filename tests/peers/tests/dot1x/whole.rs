//! The whole gateway at a port that fails: MQTT and SIP come back, doors work all along.

use anyhow::ensure;
use peers::lab::{Backend, Lab, PortGateway, SWITCH, method, port};
use peers::{Process, run};

use crate::{LIMIT, secs};

/// A broker beside the switch.
pub(crate) fn broker(lab: &Lab<'_>) -> anyhow::Result<Process> {
    let file = lab.rig().path("mosquitto.conf");
    std::fs::write(
        &file,
        format!("listener 1883 {SWITCH}\nallow_anonymous true\npersistence false\nuser root\n"),
    )?;
    let mut broker = lab.on_switch(
        "mosquitto",
        &["mosquitto", "-v", "-c", &file.display().to_string()],
    )?;
    broker.says("running", LIMIT)?;
    Ok(broker)
}

/// What is published, into `watch.log`.
pub(crate) fn watch(lab: &Lab<'_>, topic: &str) -> anyhow::Result<Process> {
    lab.on_switch("watch", &["mosquitto_sub", "-h", SWITCH, "-v", "-t", topic])
}

#[test]
fn mqtt_comes_back_with_the_cable_and_tells_what_happened_meanwhile() {
    run(|rig| {
        let lab = Lab::up(rig, Backend::FreeRadius)?;
        let mut broker = broker(&lab)?;
        let mut watch = watch(&lab, "doorline/lab/event")?;
        let mqtt = format!("[mqtt]\nbroker = \"mqtt://{SWITCH}\"\n");
        let gateway = PortGateway::start(&lab, &port(rig, &format!("{}{mqtt}", method("peap-mschapv2")?)))?;
        watch.says("port.authorized", LIMIT)?;
        let seq = gateway.last_seq()?;
        lab.link(false)?;
        gateway.event(seq, "port.carrier-lost", LIMIT)?;
        gateway.door_opens()?;
        let before = watch.log().len();
        lab.link(true)?;
        gateway.event(seq, "port.authorized", LIMIT)?;
        watch.says_after(before, "port.carrier-lost", LIMIT)?;
        watch.says_after(before, "door.unlocked", LIMIT)?;
        watch.says_after(before, "port.authorized", LIMIT)?;
        ensure!(lab.reach()?, "the port is shut");
        broker.stop();
        Ok(())
    });
}

/// A registrar beside the switch, and the account at it, whose registration lasts for a minute.
fn registrar(lab: &Lab<'_>) -> anyhow::Result<(Process, String)> {
    let scenario = format!("{}/sipp/registrar.xml", env!("CARGO_MANIFEST_DIR"));
    let registrar = lab.on_switch(
        "registrar",
        &["sipp", "-sf", &scenario, "-i", SWITCH, "-p", "5060", "-nostdin"],
    )?;
    let account =
        format!("[accounts.pbx]\ndomain = \"{SWITCH}\"\nuser = \"503\"\npassword = \"x\"\nexpires-s = 60\n");
    Ok((registrar, account))
}

/// A switch that begins anew finds no server: nothing passes until a registration could not be renewed.
#[test]
fn radius_down_for_a_minute_shuts_the_port_and_sip_and_mqtt_come_back_with_it() {
    run(|rig| {
        let mut lab = Lab::up(rig, Backend::FreeRadius)?;
        let (mut broker, mut watch) = (broker(&lab)?, watch(&lab, "doorline/lab/event")?);
        let (mut registrar, account) = registrar(&lab)?;
        let mqtt = format!("[mqtt]\nbroker = \"mqtt://{SWITCH}\"\n");
        let more = format!("{}{account}{mqtt}", method("peap-mschapv2")?);
        let gateway = PortGateway::start(&lab, &port(rig, &more))?;
        gateway.event(0, "port.authorized", LIMIT)?;
        gateway.event(0, "account.registered", LIMIT)?;
        watch.says("account.registered", LIMIT)?;
        let (seq, before) = (gateway.last_seq()?, watch.log().len());
        lab.stop_server();
        lab.link(false)?;
        gateway.event(seq, "port.carrier-lost", LIMIT)?;
        lab.link(true)?;
        gateway.event(seq, "port.server-silent", LIMIT)?;
        gateway.door_opens()?;
        // its half minute, and the half minute for which SIP waits for an answer
        gateway.event(seq, "account.failed", secs(150))?;
        gateway.door_opens()?;
        ensure!(!lab.authorized()? && !lab.reach()?, "the port is open");
        let said = watch.log();
        let said = said.get(before..).unwrap_or_default();
        ensure!(
            !said.contains("account.failed"),
            "MQTT passes a shut port: {said}"
        );

        let seq = gateway.last_seq()?;
        lab.start_server()?;
        gateway.event(seq, "port.authorized", LIMIT)?;
        lab.reaches(LIMIT)?;
        gateway.event(seq, "account.registered", secs(150))?;
        // all that happened meanwhile is told, in its order
        for kind in [
            "port.server-silent",
            "door.unlocked",
            "account.failed",
            "port.authorized",
        ] {
            watch
                .says_after(before, kind, LIMIT)
                .map_err(|error| error.context(kind))?;
        }
        for (name, process) in [("registrar", &mut registrar), ("broker", &mut broker)] {
            ensure!(process.ended()?.is_none(), "the {name} ended: {}", process.log());
        }
        Ok(())
    });
}

#[test]
#[ignore = "takes two minutes: a minute without RADIUS, and a registration that is renewed"]
fn radius_down_for_a_minute_while_the_switch_asks_anew() {
    run(|rig| {
        let mut lab = Lab::with(rig, Backend::FreeRadius, peers::lab::ServerCert::Good, 15)?;
        let (mut registrar, account) = registrar(&lab)?;
        let gateway = PortGateway::start(
            &lab,
            &port(rig, &format!("{}{account}", method("peap-mschapv2")?)),
        )?;
        gateway.event(0, "port.authorized", LIMIT)?;
        gateway.event(0, "account.registered", LIMIT)?;
        let seq = gateway.last_seq()?;
        lab.stop_server();
        gateway.event(seq, "port.server-silent", LIMIT)?;
        for _ in 0..6 {
            gateway.door_opens()?;
            std::thread::sleep(secs(10));
        }
        let seq = gateway.last_seq()?;
        lab.start_server()?;
        gateway.event(seq, "port.authorized", LIMIT)?;
        lab.reaches(LIMIT)?;
        gateway.event(seq, "account.registered", secs(120))?;
        ensure!(
            registrar.ended()?.is_none(),
            "the registrar ended: {}",
            registrar.log()
        );
        Ok(())
    });
}
