//! The gateway without a capability: the supplicant runs as its unit runs it, and the gateway attaches to it.

use anyhow::{Context, ensure};
use peers::lab::{Backend, Lab, PortGateway, Unprivileged, method};
use peers::{run, until};
use rustix::process::Signal;

use crate::{LIMIT, secs};

/// The sets of capabilities of a process that are not empty, by `/proc`, inheritable left out.
fn capabilities(pid: u32) -> anyhow::Result<Vec<String>> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let sets = ["CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|name| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or("none").trim().to_owned()
    });
    Ok(sets.into_iter().filter(|set| set != "0000000000000000").collect())
}

/// Passwords over the socket, certificates and keys out of memory; the supplicant restarts, is killed, and the gateway is
/// killed.
#[test]
fn a_gateway_without_capabilities_uses_the_supplicant_of_the_unit() {
    run(|rig| {
        let lab = Lab::up(rig, Backend::FreeRadius)?;
        let user = Unprivileged::new(rig)?;
        let mut supplicant = user.supplicant(&lab)?;
        let site = |name: &str| user.site(rig, &method(name)?);
        let mut gateway = PortGateway::start_unprivileged(&lab, &user, &site("tls-pem-enckey")?)?;
        gateway.event(0, "port.authorized", LIMIT)?;
        lab.reaches(LIMIT)?;
        let held = capabilities(gateway.process().pid())?;
        ensure!(held.is_empty(), "the gateway has capabilities: {held:?}");
        let held = capabilities(supplicant.pid())?;
        ensure!(
            held == ["0000000000002000"; 4],
            "the supplicant has more than its unit gives, or less: {held:?}"
        );
        ensure!(gateway.supplicant().is_err(), "the gateway started another one");
        for name in ["peap-mschapv2", "tls-p12", "ttls-pap"] {
            let seq = gateway.last_seq()?;
            let said = gateway.reload(&site(name)?)?;
            ensure!(said.contains("in force"), "{name}: {said}");
            gateway.event(seq, "port.authorized", LIMIT).context(name)?;
            lab.reaches(LIMIT)?;
        }
        // the unit is stopped and started; then it is killed, and says nothing; the longer it is away, the rarer it is
        // looked for, up to every 30 s
        for kill in [false, true] {
            let seq = gateway.last_seq()?;
            if kill {
                supplicant.kill();
            } else {
                supplicant.stop();
            }
            gateway.event(seq, "port.supplicant-failed", LIMIT)?;
            supplicant = user.supplicant(&lab)?;
            gateway.event(seq, "port.authorized", secs(150))?;
            lab.reaches(LIMIT)?;
        }
        // the gateway goes and comes, and the port stays as it is
        for kill in [false, true] {
            if kill {
                gateway.process().kill();
            } else {
                gateway.process().signal(Signal::TERM)?;
                gateway.process().wait(LIMIT)?;
            }
            ensure!(
                lab.authorized()? && lab.reach()?,
                "the port was shut with the gateway"
            );
            let seq = gateway.last_seq()?;
            gateway.again(&lab)?;
            gateway.event(seq, "port.authorized", LIMIT)?;
            ensure!(
                lab.authorized()? && lab.reach()?,
                "the port was shut by the successor"
            );
        }
        ensure!(supplicant.ended()?.is_none(), "the unit's supplicant ended");
        Ok(())
    });
}

/// The unit's supplicant does not notice that its interface is another one, so the gateway has it end.
#[test]
fn the_units_supplicant_starts_anew_with_another_adapter() {
    run(|rig| {
        let mut lab = Lab::up(rig, Backend::Hostapd)?;
        let user = Unprivileged::new(rig)?;
        let mut unit = user.supplicants(&lab)?;
        let site = user.site(rig, &method("peap-mschapv2")?)?;
        let gateway = PortGateway::start_unprivileged(&lab, &user, &site)?;
        gateway.event(0, "port.authorized", LIMIT)?;
        for at_once in [false, true] {
            let seq = gateway.last_seq()?;
            lab.unplug()?;
            if !at_once {
                gateway.event(seq, "port.interface-absent", LIMIT)?;
                gateway.door_opens()?;
            }
            lab.plug()?;
            lab.start_switch()?;
            gateway.event(seq, "port.authorized", LIMIT)?;
            lab.reaches(LIMIT)?;
            let kinds = gateway.port_kinds(seq)?;
            let failed = kinds.iter().any(|kind| kind == "port.supplicant-failed");
            ensure!(!failed, "{kinds:?}");
        }
        unit.stop();
        Ok(())
    });
}

#[test]
fn without_the_unit_and_without_capabilities_it_is_said_what_to_start() {
    run(|rig| {
        let lab = Lab::up(rig, Backend::Hostapd)?;
        let user = Unprivileged::new(rig)?;
        let site = user.site(rig, &method("peap-mschapv2")?)?;
        let gateway = PortGateway::start_unprivileged(&lab, &user, &site)?;
        let event = gateway.event(0, "port.supplicant-failed", LIMIT)?;
        let text = event["text"].as_str().unwrap_or_default();
        ensure!(
            text.contains("systemctl enable --now doorline-dot1x@eth0"),
            "{event}"
        );
        gateway.door_opens()?;
        ensure!(!lab.reach()?, "the port is open");
        let mut supplicant = user.supplicant(&lab)?;
        gateway.event(0, "port.authorized", secs(150))?;
        until(LIMIT, "hostapd to say so", || Ok(lab.authorized()?.then_some(())))?;
        lab.reaches(LIMIT)?;
        supplicant.stop();
        Ok(())
    });
}
