//! Every method on both servers: shut before, open after.

use anyhow::{Context, ensure};
use peers::lab::{Backend, Lab, METHODS, PortGateway, method, port};
use peers::{run, until};

use crate::LIMIT;

/// Every third method from `first` on, one after the other. The gateway takes each by a reload; between two of them it
/// has no supplicant, so that nobody but the method that is tried can open the port.
fn check(backend: Backend, first: usize) {
    run(|rig| {
        let lab = Lab::up(rig, backend)?;
        let mut gateway = PortGateway::start(&lab, &port(rig, ""))?;
        for (name, expected) in METHODS.iter().skip(first).step_by(3) {
            open(&lab, &mut gateway, name, expected).with_context(|| format!("method {name}"))?;
        }
        Ok(())
    });
}

/// Shut before, open after, shut again.
fn open(lab: &Lab<'_>, gateway: &mut PortGateway, name: &str, expected: &str) -> anyhow::Result<()> {
    lab.shuts(LIMIT)?;
    let seq = gateway.last_seq()?;
    let said = gateway.reload(&port(lab.rig(), &method(name)?))?;
    ensure!(said.contains("in force"), "{said}");
    let event = gateway.event(seq, "port.authorized", LIMIT)?;
    let told = event["method"].as_str().unwrap_or_default();
    ensure!(told.contains(expected), "{event}");
    until(LIMIT, "hostapd to say so", || Ok(lab.authorized()?.then_some(())))?;
    lab.reaches(LIMIT)?;
    // nothing else was said on the way
    let kinds = gateway.port_kinds(seq)?;
    ensure!(kinds == ["port.authorized"], "{kinds:?}");
    let said = gateway.reload(&port(lab.rig(), ""))?;
    ensure!(said.contains("in force"), "{said}");
    gateway.event(seq, "port.released", LIMIT)?;
    lab.drop_port()
}

/// By the word of the supplicant, and by that of the server, who speaks both.
#[test]
fn tls_1_3_is_spoken_only_if_the_site_file_lets_the_server_choose_it() {
    run(|rig| {
        let mut lab = Lab::up(rig, Backend::FreeRadius)?;
        lab.set_tls("1.3")?;
        let mut gateway = PortGateway::start(&lab, &port(rig, ""))?;
        for (line, version) in [("", "1.2"), ("tls13 = true\n", "1.3")] {
            let (seq, log) = (gateway.last_seq()?, rig.path("radius.log"));
            let before = std::fs::read_to_string(&log)?.len();
            let said = gateway.reload(&port(rig, &format!("{}{line}", method("tls-pem")?)))?;
            ensure!(said.contains("in force"), "{said}");
            let event = gateway.event(seq, "port.authorized", LIMIT)?;
            ensure!(event["tls"] == format!("TLSv{version}"), "{event}");
            lab.reaches(LIMIT)?;
            let told = std::fs::read_to_string(&log)?;
            let session = format!("TLS-Session-Version = \"TLS {version}\"");
            ensure!(
                told[before..].contains(&session),
                "FreeRADIUS says nothing of {session}"
            );
            let said = gateway.reload(&port(rig, ""))?;
            ensure!(said.contains("in force"), "{said}");
            lab.drop_port()?;
        }
        Ok(())
    });
}

#[test]
fn methods_open_the_port_on_hostapd_first_third() {
    check(Backend::Hostapd, 0);
}

#[test]
fn methods_open_the_port_on_hostapd_second_third() {
    check(Backend::Hostapd, 1);
}

#[test]
fn methods_open_the_port_on_hostapd_last_third() {
    check(Backend::Hostapd, 2);
}

#[test]
fn methods_open_the_port_on_freeradius_first_third() {
    check(Backend::FreeRadius, 0);
}

#[test]
fn methods_open_the_port_on_freeradius_second_third() {
    check(Backend::FreeRadius, 1);
}

#[test]
fn methods_open_the_port_on_freeradius_last_third() {
    check(Backend::FreeRadius, 2);
}
