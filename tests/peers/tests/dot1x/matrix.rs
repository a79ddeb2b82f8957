//! Every method on both servers: shut before, open after.

use anyhow::ensure;
use peers::lab::{Backend, Lab, METHODS, PortGateway, method, port};
use peers::{run, until};

use crate::secs;

/// Every third method from `first` on, one after the other: the gateway takes each by a reload.
fn check(backend: Backend, first: usize) {
    run(|rig| {
        let lab = Lab::up(rig, backend)?;
        let mut gateway = PortGateway::start(&lab, &port(rig, ""))?;
        for (name, expected) in METHODS.iter().skip(first).step_by(3) {
            lab.drop_port();
            lab.shuts(secs(5)).map_err(|error| error.context(*name))?;
            let seq = gateway.last_seq()?;
            let said = gateway.reload(&port(rig, &method(name)?))?;
            ensure!(said.contains("in force"), "{name}: {said}");
            let event = gateway.event(seq, "port.authorized", secs(20))?;
            let told = event["method"].as_str().unwrap_or_default();
            ensure!(told.contains(expected), "{name}: {event}");
            until(secs(5), "hostapd to say so", || {
                Ok(lab.authorized().then_some(()))
            })?;
            lab.reaches(secs(5))?;
            // nothing else was said on the way
            let kinds: Vec<String> = gateway.port_kinds(seq)?;
            let news = kinds.iter().filter(|kind| *kind != "port.released").count();
            ensure!(news == 1, "{name}: {kinds:?}");
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
