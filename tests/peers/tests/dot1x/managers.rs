//! Another program looks after the port: it is recognised and refused with words, and what the words say helps.

use anyhow::{Context, ensure};
use peers::lab::{Backend, Lab, NetworkManager, PortGateway, method, port};
use peers::{Process, run};

use crate::{LIMIT, secs};

#[test]
fn another_supplicant_at_the_port_is_recognised_and_refused_with_words() {
    run(|rig| {
        let lab = Lab::up(rig, Backend::Hostapd)?;
        let conf = rig.path("foreign.conf");
        std::fs::write(&conf, "ap_scan=0\n")?;
        let conf = conf.display().to_string();
        let words = [
            "/usr/sbin/wpa_supplicant",
            "-D",
            "wired",
            "-i",
            "eth0",
            "-c",
            conf.as_str(),
        ];
        let mut foreign: Process = lab.on_gateway("foreign", &words)?;
        foreign.says("Successfully initialized", LIMIT)?;
        let gateway = PortGateway::start(&lab, &port(rig, &method("tls-pem")?))?;
        let event = gateway.event(0, "port.managed-elsewhere", LIMIT)?;
        ensure!(event["manager"] == "wpa_supplicant", "{event}");
        ensure!(gateway.supplicant().is_err(), "two supplicants at one port");
        foreign.stop();
        gateway.event(0, "port.authorized", LIMIT)?;
        lab.reaches(LIMIT)
    });
}

#[test]
fn a_supplicant_that_comes_later_is_recognised_and_its_end_opens_the_port() {
    run(|rig| {
        let lab = Lab::up(rig, Backend::Hostapd)?;
        let gateway = PortGateway::start(&lab, &port(rig, &method("peap-mschapv2")?))?;
        gateway.event(0, "port.authorized", LIMIT)?;
        let seq = gateway.last_seq()?;
        let conf = rig.path("foreign.conf");
        let network = "network={\nkey_mgmt=IEEE8021X\neap=MD5\nidentity=\"gateway\"\npassword=\"wrong\"\neapol_flags=0\n}\n";
        std::fs::write(&conf, format!("ap_scan=0\n{network}"))?;
        let conf = conf.display().to_string();
        let mut foreign: Process = lab.on_gateway(
            "foreign",
            &[
                "/usr/sbin/wpa_supplicant",
                "-D",
                "wired",
                "-i",
                "eth0",
                "-c",
                &conf,
            ],
        )?;
        let event = gateway.event(seq, "port.managed-elsewhere", secs(120))?;
        ensure!(event["manager"] == "wpa_supplicant", "{event}");
        let seq = gateway.last_seq()?;
        foreign.stop();
        // a switch that was refused holds the port back for a minute
        gateway.event(seq, "port.authorized", secs(150))?;
        lab.reaches(LIMIT)
    });
}

#[test]
fn network_manager_at_the_port_is_recognised_and_its_remedy_helps() {
    run(|rig| {
        let lab = Lab::up(rig, Backend::Hostapd)?;
        let servers = || std::fs::read("/etc/resolv.conf").unwrap_or_default();
        let before = servers();
        let mut manager = NetworkManager::start(&lab)?;
        let gateway = manager.gateway(&lab, &port(rig, &method("peap-mschapv2")?))?;
        let event = gateway.event(0, "port.managed-elsewhere", LIMIT)?;
        ensure!(event["manager"] == "NetworkManager", "{event}");
        ensure!(
            gateway.supplicant().is_err(),
            "a supplicant beside NetworkManager"
        );
        gateway.door_opens()?;
        // the lines between the quotes, one after the other, are the file that the operator is to write
        let text = event["text"].as_str().context("a text")?;
        let lines: Vec<&str> = text.split('`').skip(1).step_by(2).take(2).collect();
        ensure!(
            text.contains("/etc/NetworkManager/conf.d/doorline.conf")
                && text.contains("`nmcli general reload`"),
            "{text}"
        );
        manager.take_away(&(lines.join("\n") + "\n"))?;
        gateway.event(0, "port.authorized", LIMIT)?;
        lab.reaches(LIMIT)?;
        ensure!(
            servers() == before,
            "the machine's name servers were written over"
        );
        Ok(())
    });
}
