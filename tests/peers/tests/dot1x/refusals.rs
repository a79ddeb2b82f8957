//! What must not open the port, and what is said then.

use anyhow::ensure;
use peers::lab::{Backend, Certs, Lab, PASSWORD, PortGateway, ServerCert, USER, method, port};
use peers::run;
use serde_json::Value;

use crate::LIMIT;

/// A fresh switch, the gateway started with this table: the event must come, and the port stay shut.
fn refused(
    lab: &mut Lab<'_>,
    server: ServerCert,
    name: &str,
    dot1x: &str,
    kind: &str,
) -> anyhow::Result<Value> {
    lab.anew(server)?;
    let gateway = PortGateway::start(lab, &port(lab.rig(), dot1x))?;
    // one lab, one journal: only this start counts
    let events = gateway.events(0)?;
    let start = events.iter().rev().find(|e| e["kind"] == "gateway.started");
    let seq = start.and_then(|e| e["seq"].as_u64()).unwrap_or(0);
    let event = gateway
        .event(seq, kind, LIMIT)
        .map_err(|error| error.context(name.to_owned()))?;
    ensure!(
        event["text"].as_str().is_some_and(|text| text.len() > 40),
        "{name}: {event}"
    );
    ensure!(!lab.authorized()?, "{name}: hostapd let it in");
    ensure!(!lab.reach()?, "{name}: the port is open");
    let kinds = gateway.port_kinds(seq)?;
    ensure!(
        !kinds.iter().any(|kind| kind == "port.authorized"),
        "{name}: {kinds:?}"
    );
    Ok(event)
}

fn passwords(backend: Backend) {
    run(|rig| {
        let mut lab = Lab::up(rig, backend)?;
        for name in ["md5", "peap-mschapv2", "ttls-pap"] {
            let dot1x = method(name)?.replace(PASSWORD, "wrong");
            refused(
                &mut lab,
                ServerCert::Good,
                name,
                &dot1x,
                "port.credentials-refused",
            )?;
        }
        let stranger = method("ttls-pap")?.replace(&format!("\"{USER}\""), "\"nobody\"");
        refused(
            &mut lab,
            ServerCert::Good,
            "unknown user",
            &stranger,
            "port.credentials-refused",
        )?;
        Ok(())
    });
}

#[test]
fn a_wrong_password_or_user_is_refused_by_hostapd() {
    passwords(Backend::Hostapd);
}

#[test]
fn a_wrong_password_or_user_is_refused_by_freeradius() {
    passwords(Backend::FreeRadius);
}

fn servers(backend: Backend, name: &str) {
    run(|rig| {
        let mut lab = Lab::up(rig, backend)?;
        for (server, reason) in [
            (ServerCert::Expired, "expired"),
            (ServerCert::OtherCa, "unknown-ca"),
            (ServerCert::WrongName, "name-mismatch"),
        ] {
            let event = refused(&mut lab, server, reason, &method(name)?, "port.server-untrusted")?;
            ensure!(event["reason"] == reason, "{name}: {event}");
        }
        Ok(())
    });
}

#[test]
fn an_impostor_is_not_trusted_by_peap_hostapd() {
    servers(Backend::Hostapd, "peap-mschapv2");
}

#[test]
fn an_impostor_is_not_trusted_by_ttls_freeradius() {
    servers(Backend::FreeRadius, "ttls-pap");
}

#[test]
fn an_impostor_is_not_trusted_by_tls_freeradius() {
    servers(Backend::FreeRadius, "tls-pem");
}

#[test]
fn an_impostor_is_taken_only_if_the_risk_was_accepted_and_health_says_so() {
    run(|rig| {
        let lab = Lab::with(rig, Backend::Hostapd, ServerCert::Expired, 3600)?;
        let lines = method("peap-mschapv2")?;
        let lines: Vec<&str> = lines
            .lines()
            .filter(|line| !line.starts_with("ca-file") && !line.starts_with("server-names"))
            .collect();
        let dot1x = lines.join("\n") + "\naccept-any-server = true\n";
        let broker = "[mqtt]\nbroker = \"mqtt://192.0.2.1\"\n";
        let mut broker_process = super::whole::broker(&lab)?;
        let gateway = PortGateway::start(&lab, &port(rig, &format!("{dot1x}{broker}")))?;
        gateway.event(0, "port.authorized", LIMIT)?;
        lab.reaches(LIMIT)?;
        let mut watch = super::whole::watch(&lab, "doorline/lab/state")?;
        watch.says("port:dot1x/server", LIMIT)?;
        broker_process.stop();
        Ok(())
    });
}

fn clients(backend: Backend) {
    run(|rig| {
        let mut lab = Lab::up(rig, backend)?;
        let certs = Certs::get()?;
        let good = method("tls-pem")?;
        let other = |name: &str| {
            good.replace("client.pem", &format!("{name}.pem"))
                .replace("client.key", &format!("{name}.key"))
        };
        let kind = "port.credentials-refused";
        // an expired certificate is found when it is given; here it has ended while the gateway was off
        refused(
            &mut lab,
            ServerCert::Good,
            "expired",
            &other("client-expired"),
            kind,
        )?;
        refused(
            &mut lab,
            ServerCert::Good,
            "of another CA",
            &other("client-otherca"),
            kind,
        )?;
        let wrong = method("tls-p12")?.replace("p12 pass", "wrong");
        refused(
            &mut lab,
            ServerCert::Good,
            "passphrase",
            &wrong,
            "port.material-refused",
        )?;
        ensure!(certs.path("ca.pem").exists(), "the CA is there for the others");
        Ok(())
    });
}

#[test]
fn a_bad_client_certificate_is_refused_by_hostapd() {
    clients(Backend::Hostapd);
}

#[test]
fn a_bad_client_certificate_is_refused_by_freeradius() {
    clients(Backend::FreeRadius);
}

/// Files are looked at when they are given: check names the part, and a reload changes nothing.
#[test]
fn a_file_that_is_wrong_is_named_by_check_and_not_taken_by_a_reload() {
    run(|rig| {
        let lab = Lab::up(rig, Backend::Hostapd)?;
        let good = method("tls-pem")?;
        let mut gateway = PortGateway::start(&lab, &port(rig, &good))?;
        gateway.event(0, "port.authorized", LIMIT)?;
        let supplicant = gateway.supplicant()?;
        let p12 = method("tls-p12")?;
        let key = method("tls-pem-enckey")?;
        for (dot1x, part, words) in [
            (
                good.replace("ca.pem", "none.pem"),
                "dot1x.ca-file",
                "cannot be read",
            ),
            (
                good.replace("ca.pem", "server.pem"),
                "dot1x.ca-file",
                "is not a CA certificate",
            ),
            (
                good.replace("client.key", "server.key"),
                "dot1x.client-key-file",
                "does not belong",
            ),
            (
                good.replace("client.", "client-expired."),
                "dot1x.client-cert-file",
                "ended at",
            ),
            (
                good.replace("client.pem", "client.key"),
                "dot1x.client-cert-file",
                "holds no certificate",
            ),
            (
                good.replace("client.", "server."),
                "dot1x.client-cert-file",
                "not meant for TLS clients",
            ),
            (
                key.replace("key pass", "wrong"),
                "dot1x.client-passphrase",
                "does not open the key",
            ),
            (
                p12.replace("p12 pass", "wrong"),
                "dot1x.client-passphrase",
                "does not open client-p12-file",
            ),
            (
                p12.replace("client.p12", "ca.pem"),
                "dot1x.client-p12-file",
                "is not PKCS#12",
            ),
        ] {
            let site = port(rig, &dot1x);
            let file = rig.path("other.toml");
            std::fs::write(&file, &site)?;
            let out = PortGateway::check(&file)?;
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            ensure!(out.status.code() == Some(3), "{part}: {said}");
            ensure!(
                said.contains(part) && said.contains(words),
                "{part}, {words}: {said}"
            );
            let seq = gateway.last_seq()?;
            let said = gateway.reload(&site)?;
            ensure!(said.contains("was not taken"), "{part}: {said}");
            ensure!(
                gateway.port_kinds(seq)?.is_empty(),
                "{part}: {:?}",
                gateway.port_kinds(seq)?
            );
        }
        ensure!(
            gateway.supplicant()? == supplicant,
            "the supplicant was started anew"
        );
        ensure!(lab.reach()?, "the port was open all along");
        Ok(())
    });
}
