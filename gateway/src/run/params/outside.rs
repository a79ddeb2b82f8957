//! Parameters of MQTT and HTTP.

use std::path::PathBuf;

use gateway_config::{BrokerUrl, Config};
use gateway_core::CredentialId;
use gateway_http::{HttpParams, Language, LiveName, NetworkNames, RadiusLogins, Tls, UserScope};
use gateway_mqtt::{
    DiscoveryFormat, MqttDiscovery, MqttExtension, MqttKey, MqttParams, MqttTls, MqttVersion,
};

use crate::run::doubt;
use crate::run::instance::Instance;
use crate::run::params::{network_name, port_settings};

/// HTTP, if the site has it.
pub(crate) fn http(config: &Config) -> Option<HttpParams> {
    let http = config.http.as_ref()?;
    let tls = match (http.tls, &http.cert_file, &http.key_file) {
        (false, _, _) => Tls::Off,
        (true, Some(cert), Some(key)) => Tls::Files {
            cert: cert.clone(),
            key: key.clone(),
        },
        (true, _, _) => Tls::SelfSigned {
            names: vec![
                "localhost".to_owned(),
                config.site.id.to_string(),
                format!("{}.local", network_name(config)),
                http.listen.ip().to_string(),
            ],
            state_dir: config.site.state_dir.clone(),
        },
    };
    Some(HttpParams {
        doubt: doubt::mark(&config.site.state_dir).exists(),
        // whoever starts the page knows them
        hooks: gateway_http::Hooks::default(),
        language: Language::from_code(config.site.language.word()).unwrap_or_default(),
        listen: http.listen,
        mqtt_keys: config
            .mqtt
            .iter()
            .flat_map(|mqtt| mqtt.keys.keys().map(ToString::to_string))
            .collect(),
        network: names(config),
        origins: vec![],
        radius: radius(config),
        tls,
        users_mark: users_mark(config),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// What the page shows of the network, besides what the machine says.
fn names(config: &Config) -> NetworkNames {
    let settings = port_settings(config).map(|(settings, _)| settings);
    let supplicants = config.dot1x.as_ref().map(|dot1x| dot1x.interface.to_string());
    NetworkNames {
        lldp: config.announce.lldp,
        // whoever starts the page knows it
        name: LiveName::default(),
        port: settings
            .as_ref()
            .map(gateway_network::settings::Settings::addressed)
            .or(supplicants),
        time_zone: config.site.time_zone.clone(),
        vlan: settings.and_then(|settings| settings.vlan),
    }
}

/// Who is asked about names that are not users of this gateway.
fn radius(config: &Config) -> Option<RadiusLogins> {
    let radius = config.logins.as_ref()?.radius.as_ref()?;
    let server = |server: &gateway_config::RadiusServer| {
        let (port, accounting_port) = server.ports();
        let secret = server.secret.clone().or_else(|| radius.secret.clone());
        gateway_radius::Server {
            accounting_port,
            host: server.address.host.to_string(),
            port,
            // `check` has seen one; without its file nothing starts
            secret: secret.unwrap_or_default(),
        }
    };
    let scope = |scope: &gateway_config::UserScope| match scope {
        gateway_config::UserScope::Open => UserScope::Open,
        gateway_config::UserScope::Operate => UserScope::Operate,
        gateway_config::UserScope::Read => UserScope::Read,
    };
    let identifier = radius.nas_identifier.clone();
    Some(RadiusLogins {
        client: gateway_radius::Params {
            accounting: radius.accounting,
            nas_identifier: identifier.unwrap_or_else(|| config.site.id.to_string()),
            require_message_authenticator: radius.require_message_authenticator,
            servers: radius.servers.iter().map(server).collect(),
            timeout: radius.timeout,
            tries: radius.tries,
        },
        user_doors: radius
            .user_doors
            .as_ref()
            .map(|doors| doors.iter().cloned().collect()),
        user_scopes: radius.user_scopes.iter().map(scope).collect(),
    })
}

/// In the state folder: the file that says that there was a user of the page once.
pub(crate) const USERS_MARK: &str = "users-exist";

/// Where it is.
pub(crate) fn users_mark(config: &Config) -> PathBuf {
    config.site.state_dir.join(USERS_MARK)
}

/// A key that signs commands; one without secret, which `check` refuses, would prove nothing.
fn key((id, key): (&CredentialId, &gateway_config::MqttKey)) -> Option<(String, MqttKey)> {
    let may = |scope| key.scopes.contains(&scope);
    let made = MqttKey {
        doors: key.doors.as_ref().map(|doors| doors.iter().cloned().collect()),
        may_open: may(gateway_config::KeyScope::Open),
        may_operate: may(gateway_config::KeyScope::Operate),
        secret: key.secret.clone()?,
    };
    Some((id.to_string(), made))
}

/// By what panels are called: their accounts in order, then their own name.
fn extensions(config: &Config) -> Vec<MqttExtension> {
    let mut all = Vec::new();
    for (id, panel) in &config.panels {
        let of = |user: String, account| MqttExtension {
            account,
            panel: id.clone(),
            user,
        };
        for account in panel.accounts() {
            if let Some(at) = config.accounts.get(account) {
                all.push(of(
                    at.user.clone(),
                    Some((account.clone(), at.domain.to_string())),
                ));
            }
        }
        all.extend(panel.extension.as_ref().map(|user| of(user.to_string(), None)));
    }
    all
}

/// MQTT, if the site has it. `embedded` is the port of the demo's broker.
pub(crate) fn mqtt(config: &Config, instance: Instance, embedded: Option<u16>) -> Option<MqttParams> {
    let mqtt = config.mqtt.as_ref()?;
    let (host, port, tls) = match &mqtt.broker {
        BrokerUrl::Embedded => ("127.0.0.1".to_owned(), embedded?, None),
        BrokerUrl::Remote { host, port, tls } => {
            let trust = tls.then(|| MqttTls {
                ca_file: mqtt.ca_file.clone(),
                client: mqtt.cert_file.clone().zip(mqtt.key_file.clone()),
            });
            (host.to_string(), *port, trust)
        }
    };
    Some(MqttParams {
        accept_untimed: mqtt.accept_untimed,
        base: mqtt.base.as_str().to_owned(),
        code_needed: mqtt.code_needed,
        devices: super::elsewhere::topics(config),
        host,
        port,
        command_ttl: mqtt.command_ttl,
        confidential: mqtt.confidential,
        extensions: extensions(config),
        discovery: mqtt.discovery.then(|| MqttDiscovery {
            format: match mqtt.discovery_format {
                gateway_config::DiscoveryFormat::Device => DiscoveryFormat::Device,
                gateway_config::DiscoveryFormat::Entities => DiscoveryFormat::Entities,
            },
            people: mqtt.discovery_people,
            pictures: mqtt.discovery_pictures,
            prefix: mqtt.discovery_prefix.as_str().to_owned(),
            tags: mqtt.discovery_tags,
        }),
        instance: instance.text(),
        keys: mqtt.keys.iter().filter_map(key).collect(),
        language: config.site.language.word().to_owned(),
        signed_only: mqtt.commands == gateway_config::MqttCommands::Signed,
        site_address: config.site.address.clone(),
        site_id: config.site.id.clone(),
        site_name: config.site.name.clone(),
        site_number: config.site.number.clone(),
        tls,
        login: mqtt.user.clone().zip(mqtt.password.clone()),
        page: config
            .http
            .as_ref()
            .map(|h| format!("http{}://{}", if h.tls { "s" } else { "" }, h.listen)),
        press: mqtt.press,
        protocol: mqtt_version(mqtt.version),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Which MQTT is spoken, to hubs and to devices.
pub(super) const fn mqtt_version(version: gateway_config::MqttVersion) -> MqttVersion {
    match version {
        gateway_config::MqttVersion::Auto => MqttVersion::Auto,
        gateway_config::MqttVersion::V3 => MqttVersion::V3,
        gateway_config::MqttVersion::V5 => MqttVersion::V5,
    }
}
