//! A change of the port stays only if somebody confirms it.

use anyhow::ensure;
use peers::lab::{Backend, Lab, PASSWORD, PortGateway, method, port};
use peers::run;
use rustix::process::Signal;

use crate::{LIMIT, secs};

/// For a method to be let in on a busy machine, and to be looked at.
const PATIENCE_S: u64 = 45;

#[test]
fn a_change_that_nobody_confirms_is_taken_back_and_one_that_is_confirmed_stays() {
    run(|rig| {
        let lab = Lab::up(rig, Backend::FreeRadius)?;
        let site = |name: &str| -> anyhow::Result<String> {
            Ok(port(rig, &format!("{}confirm-s = {PATIENCE_S}\n", method(name)?)))
        };
        let mut gateway = PortGateway::start(&lab, &site("peap-mschapv2")?)?;
        // the first there ever was is kept as it is
        let event = gateway.event(0, "port.authorized", LIMIT)?;
        ensure!(
            event["method"].as_str().is_some_and(|m| m.contains("PEAP")),
            "{event}"
        );
        ensure!(!gateway.dot1x("confirm")?.status.success(), "something waits");

        // nobody confirms it
        let seq = gateway.last_seq()?;
        let said = gateway.reload(&site("ttls-pap")?)?;
        ensure!(said.contains("in force"), "{said}");
        let event = gateway.event(seq, "port.authorized", LIMIT)?;
        ensure!(
            event["method"].as_str().is_some_and(|m| m.contains("TTLS")),
            "{event}"
        );
        let back = taken_back(&gateway, seq)?;
        let event = gateway.event(back, "port.authorized", LIMIT)?;
        ensure!(
            event["method"].as_str().is_some_and(|m| m.contains("PEAP")),
            "{event}"
        );
        lab.reaches(LIMIT)?;
        // and the same is not tried again by the next reload
        let seq = gateway.last_seq()?;
        gateway.reload(&site("ttls-pap")?.replace("name = \"Front\"", "name = \"Front door\""))?;
        gateway.door_opens()?;
        let kinds = gateway.port_kinds(seq)?;
        ensure!(kinds.is_empty(), "{kinds:?}");

        // somebody confirms it
        let seq = gateway.last_seq()?;
        gateway.reload(&site("tls-pem")?)?;
        gateway.event(seq, "port.authorized", LIMIT)?;
        let out = gateway.dot1x("confirm")?;
        ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let seq = gateway.last_seq()?;
        std::thread::sleep(secs(PATIENCE_S + 2));
        let kinds = gateway.port_kinds(seq)?;
        ensure!(kinds.is_empty(), "{kinds:?}");

        // a change that was made while the gateway was off, which then dies before anybody confirms it
        gateway.process().signal(Signal::TERM)?;
        gateway.process().wait(LIMIT)?;
        gateway.write(&site("md5")?)?;
        let seq = gateway.last_seq()?;
        gateway.again(&lab)?;
        gateway.event(seq, "port.authorized", LIMIT)?;
        gateway.process().kill();
        let seq = gateway.last_seq()?;
        gateway.again(&lab)?;
        let back = taken_back(&gateway, seq)?;
        let event = gateway.event(back, "port.authorized", LIMIT)?;
        ensure!(event["method"] == "EAP-TLS", "{event}");
        lab.reaches(LIMIT)?;

        // taken back by hand
        let seq = gateway.last_seq()?;
        gateway.reload(&site("ttls-chap")?)?;
        gateway.event(seq, "port.released", LIMIT)?;
        let out = gateway.dot1x("rollback")?;
        ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        taken_back(&gateway, seq)?;
        ensure!(!gateway.dot1x("rollback")?.status.success(), "something waits");
        Ok(())
    });
}

/// The file is the same, and what stands in it is not.
#[test]
fn a_password_that_is_changed_in_its_file_is_taken_back_also_after_a_kill() {
    run(|rig| {
        let lab = Lab::up(rig, Backend::Hostapd)?;
        let secret = rig.path("port.secret");
        let write = |password: &str| -> anyhow::Result<()> {
            use std::os::unix::fs::PermissionsExt;
            std::fs::write(&secret, format!("{password}\n"))?;
            Ok(std::fs::set_permissions(
                &secret,
                std::fs::Permissions::from_mode(0o600),
            )?)
        };
        write(PASSWORD)?;
        let file = format!("password-file = \"{}\"", secret.display());
        let table = method("peap-mschapv2")?.replace(&format!("password = \"{PASSWORD}\""), &file);
        let site = port(rig, &format!("{table}confirm-s = 15\n"));
        let mut gateway = PortGateway::start(&lab, &site)?;
        gateway.event(0, "port.authorized", LIMIT)?;
        write("wrong")?;
        let said = gateway.reload(&site)?;
        ensure!(said.contains("in force"), "{said}");
        gateway.process().kill();
        let seq = gateway.last_seq()?;
        gateway.again(&lab)?;
        let back = taken_back(&gateway, seq)?;
        // a switch that was refused holds the port back for a minute
        gateway.event(back, "port.authorized", secs(150))?;
        lab.reaches(LIMIT)
    });
}

/// Waits for the record of it; its number.
fn taken_back(gateway: &PortGateway, seq: u64) -> anyhow::Result<u64> {
    let event = gateway.event(seq, "device.fault", LIMIT)?;
    ensure!(
        event["source"] == "dot1x-change"
            && event["text"]
                .as_str()
                .is_some_and(|text| text.contains("taken back")),
        "{event}"
    );
    Ok(event["seq"].as_u64().unwrap_or(0))
}
