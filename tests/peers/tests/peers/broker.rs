//! The way to the broker: TLS, certificates, login; each fault has a clear message, costs no door, and is mended by a
//! reload.

use anyhow::ensure;
use peers::{Api, BrokerParams, Gateway, Listener, Mosquitto, Rig, Site, Trust, Use, run, until};

use crate::faults::door_works;
use crate::secs;

const ONLINE: &str = "doorline/test/availability";

/// The keys of the `[mqtt]` table for the listener with TLS.
fn keys(rig: &Rig, host: &str, ca: &Trust, password: &str, client: Option<&Trust>) -> String {
    let (user, _) = Mosquitto::LOGIN;
    let mut keys = format!(
        "broker = \"mqtts://{host}:{}\"\nuser = {user:?}\npassword = {password:?}\nca-file = {:?}\n",
        rig.port(Use::MqttTls),
        ca.ca
    );
    if let Some(client) = client {
        keys += &format!("cert-file = {:?}\nkey-file = {:?}\n", client.cert, client.key);
    }
    keys
}

#[test]
fn the_broker_over_tls_with_certificates_and_password_and_what_may_be_wrong_with_them() {
    run(|rig| {
        let trust = Trust::new(rig)?;
        let ours = Trust::named(rig, "client-", &["doorline"])?;
        let stranger = Trust::named(rig, "stranger-", &["doorline"])?;
        let broker_params = BrokerParams {
            tls: Some(&trust),
            clients: Some(&ours.ca),
            ..BrokerParams::default()
        };
        let mut broker = Mosquitto::start_with(rig, &broker_params)?;
        let (_, password) = Mosquitto::LOGIN;
        let site = |keys: String| {
            Site {
                targets: vec!["sip:101@127.0.0.1:9".into()],
                http: true,
                mqtt: true,
                mqtt_keys: keys,
                ..Site::default()
            }
            .text(rig)
        };
        let good = keys(rig, "127.0.0.1", &trust, password, Some(&ours));
        let mut gateway = Gateway::start(rig, &site(good.clone()))?;
        let api = Api::set_up(rig, &gateway)?;
        let says = |text: &str| -> anyhow::Result<()> {
            let mut last = String::new();
            until(secs(60), &format!("health to say {text:?}"), || {
                last = api.get("/api/v1/health")?.body.to_string();
                Ok(last.contains(text).then_some(()))
            })
            .map_err(|e| e.context(last))
        };
        // the door of the certificate's people and the plain one see the same
        let listener = Listener::start(rig)?;
        let online = |listener: &Listener| {
            listener.hears("the gateway's presence", secs(60), |m| {
                m.topic == ONLINE && m.payload == "online"
            })
        };
        online(&listener)?;

        let wrong = [
            (
                keys(rig, "127.0.0.1", &trust, "wrong", Some(&ours)),
                "refused our login: user \\\"gateway\\\"; check user and password",
            ),
            (
                keys(rig, "127.0.0.1", &stranger, password, Some(&ours)),
                "is signed by a CA we do not trust; set ca-file",
            ),
            (
                keys(rig, "127.0.0.1", &trust, password, None),
                "wants to see a certificate of ours; set cert-file and key-file",
            ),
            (
                keys(rig, "127.0.0.1", &trust, password, Some(&stranger)),
                "refused our certificate",
            ),
        ];
        for (keys, text) in wrong {
            gateway.reload(&site(keys))?;
            says(text)?;
            door_works(&mut gateway)?;
        }
        // back without a restart
        gateway.reload(&site(good.clone()))?;
        let fresh = Listener::start(rig)?;
        online(&fresh)?;

        // the certificate is for another host
        broker.kill();
        let elsewhere = Trust::named(rig, "elsewhere-", &["broker.example"])?;
        let params = BrokerParams {
            tls: Some(&elsewhere),
            ..broker_params
        };
        let broker = Mosquitto::start_with(rig, &params)?;
        gateway.reload(&site(keys(rig, "127.0.0.1", &elsewhere, password, Some(&ours))))?;
        says("is for another host name; use the name that stands in it")?;
        door_works(&mut gateway)?;
        drop(broker);
        let _broker = Mosquitto::start_with(rig, &broker_params)?;
        gateway.reload(&site(good))?;
        let last = Listener::start(rig)?;
        online(&last)?;
        ensure!(!gateway.log().contains("panicked"), "{}", gateway.log());
        ensure!(
            !gateway.log().contains(password),
            "the password stands in the log"
        );
        Ok(())
    });
}
