//! Parameters of the SIP engine.

use std::path::PathBuf;

use gateway_config as config;
use gateway_core::{AccountId, Manner, PanelId, Secret};
use gateway_sip_io as sip;

use config::{CallIn, Config};

/// The SIP engine's view of the file. `instance` is stable over restarts.
pub(crate) fn sip(config: &Config, instance: [u8; 16]) -> sip::SipParams {
    let accounts = config.accounts.iter().map(|(id, account)| sip::AccountParams {
        id: id.clone(),
        domain: account.domain.to_string(),
        user: account.user.clone(),
        auth_user: account.auth_user.clone(),
        password: account.password.clone().unwrap_or_else(|| Secret::new("")),
        display: config.site.name.clone(),
        transport: transport(account.transport),
        port: account.port,
        proxy: account.proxy.as_ref().map(ToString::to_string),
        expires: account.expires,
        register: account.register,
        privacy: match account.privacy {
            config::Privacy::Anonymous => sip::Privacy::Anonymous,
            config::Privacy::Id => sip::Privacy::Id,
            config::Privacy::Off => sip::Privacy::Off,
        },
        provisional: provisional(account.reliable_provisional),
        publish: account.publish_presence,
        caller_hosts: caller_hosts(&account.caller_hosts),
        routes: account.routes.iter().map(ToString::to_string).collect(),
        keep_alive: sip::KeepAlive {
            interval: account.keep_alive_time,
            way: match account.keep_alive {
                config::KeepAlive::Crlf => sip::KeepAliveWay::Crlf,
                config::KeepAlive::Off => sip::KeepAliveWay::Off,
                config::KeepAlive::Options => sip::KeepAliveWay::Options,
            },
        },
        manner: Manner {
            alert: account.alert_info.as_ref().map(ToString::to_string),
            answers_itself: account.auto_answer.then_some(true),
            keys: None,
        },
        codecs: codecs(account.codecs.as_ref().unwrap_or(&config.sip.codecs)),
        srtp: srtp(account.srtp),
        srtp_keys: srtp_keys(account.srtp_keys),
        ice: ice(account.ice),
        symmetric: account.symmetric_rtp.unwrap_or(config.sip.symmetric_rtp),
        silences: account
            .silence_suppression
            .unwrap_or(config.sip.silence_suppression),
        feedback: account.rtcp_feedback.unwrap_or(config.sip.rtcp_feedback),
        timer: account.session_expires.map(|expires| sip::SessionTimer {
            expires,
            min: account.min_se,
        }),
        tls: sip::TlsTrust {
            ca_file: account.tls_ca_file.clone(),
            verify: account.tls_verify,
            check_name: account.tls_check_name,
            identity: identity(account.tls_cert_file.as_ref(), account.tls_key_file.as_ref()),
        },
        callees: callees(config, Some(id)),
    });
    sip::SipParams {
        accounts: accounts.collect(),
        bind: config.sip.bind,
        udp_port: config.sip.udp_port,
        tcp_port: (config.sip.tcp_port != 0).then_some(config.sip.tcp_port),
        tls_port: (config.sip.tls_port != 0).then_some(config.sip.tls_port),
        tls_identity: identity(
            config.sip.tls_cert_file.as_ref(),
            config.sip.tls_key_file.as_ref(),
        )
        .map(|identity| sip::TlsListener {
            identity,
            client_ca_file: config.sip.tls_client_ca_file.clone(),
        }),
        dscp: config.sip.dscp.value(),
        rtp_dscp: config.sip.rtp_dscp.value(),
        rtp_ports: config.sip.rtp_ports.clone(),
        direct_peers: config.sip.direct_peers.iter().copied().collect(),
        direct_callees: callees(config, None),
        direct_srtp: srtp(config.sip.direct_srtp),
        direct_srtp_keys: srtp_keys(config.sip.direct_srtp_keys),
        direct_ice: ice(config.sip.direct_ice),
        direct_symmetric: config.sip.symmetric_rtp,
        direct_silences: config.sip.silence_suppression,
        direct_feedback: config.sip.rtcp_feedback,
        direct_codecs: codecs(&config.sip.codecs),
        public_address: config.sip.public_address,
        // the port of STUN (RFC 8489 §18.6)
        stun: config
            .sip
            .stun
            .as_ref()
            .map(|server| format!("{}:{}", server.host, server.port.unwrap_or(3478))),
        instance,
        ..sip::SipParams::default()
    }
}

/// `None` if all hosts count.
fn caller_hosts(of: &[config::CallerHost]) -> Option<Vec<String>> {
    let host = |one: &config::CallerHost| match one {
        config::CallerHost::Any => None,
        config::CallerHost::Host(host) => Some(host.to_string()),
    };
    of.iter().map(host).collect()
}

fn identity(cert: Option<&PathBuf>, key: Option<&PathBuf>) -> Option<sip::TlsIdentity> {
    cert.cloned()
        .zip(key.cloned())
        .map(|(cert_file, key_file)| sip::TlsIdentity { cert_file, key_file })
}

/// Whom calls over an account can be for: its panels. Directly every panel can be called. A PBX calls the name that was
/// registered and no panel's; then it is for the one panel, or for the one whose line takes calls.
fn callees(config: &Config, account: Option<&AccountId>) -> sip::Callees {
    let of_it =
        |panel: &config::Panel| account.is_none_or(|account| panel.accounts().any(|own| own == account));
    let panels: Vec<_> = config.panels.iter().filter(|(_, panel)| of_it(panel)).collect();
    let callee = |(id, panel): &(&PanelId, &config::Panel)| sip::Callee {
        line: panel.line.clone(),
        names: [
            Some(id.to_string()),
            panel.extension.as_ref().map(ToString::to_string),
        ]
        .into_iter()
        .flatten()
        .collect(),
        panel: (*id).clone(),
    };
    let starts = |panel: &config::Panel| {
        let line = config.lines.get(&panel.line);
        line.is_some_and(|line| line.call_in == CallIn::SelfStart)
    };
    let registers = account
        .and_then(|id| config.accounts.get(id))
        .is_some_and(|account| account.register);
    let otherwise = match panels.as_slice() {
        [only] => Some(callee(only)),
        several if registers => {
            let mut starting = several.iter().filter(|(_, panel)| starts(panel));
            starting.next().filter(|_| starting.next().is_none()).map(callee)
        }
        _ => None,
    };
    sip::Callees {
        named: panels.iter().map(callee).collect(),
        otherwise,
    }
}

fn codecs(list: &[config::Codec]) -> Vec<sip::AudioCodec> {
    list.iter()
        .map(|codec| match codec {
            config::Codec::G722 => sip::AudioCodec::G722,
            config::Codec::Opus => sip::AudioCodec::Opus,
            config::Codec::Pcma => sip::AudioCodec::Pcma,
            config::Codec::Pcmu => sip::AudioCodec::Pcmu,
        })
        .collect()
}

const fn transport(transport: config::Transport) -> Option<sip::Transport> {
    match transport {
        config::Transport::Auto => None,
        config::Transport::Tcp => Some(sip::Transport::Tcp),
        config::Transport::Tls => Some(sip::Transport::Tls),
        config::Transport::Udp => Some(sip::Transport::Udp),
    }
}

const fn provisional(reliable: config::ReliableProvisional) -> sip::Provisional {
    match reliable {
        config::ReliableProvisional::Off => sip::Provisional::Off,
        config::ReliableProvisional::Required => sip::Provisional::Required,
        config::ReliableProvisional::Supported => sip::Provisional::Supported,
    }
}

const fn ice(ice: config::Ice) -> sip::Ice {
    match ice {
        config::Ice::Full => sip::Ice::Full,
        config::Ice::Lite => sip::Ice::Lite,
        config::Ice::Off => sip::Ice::Off,
    }
}

const fn srtp_keys(keys: config::SrtpKeys) -> sip::SrtpKeys {
    match keys {
        config::SrtpKeys::Dtls => sip::SrtpKeys::Dtls,
        config::SrtpKeys::Sdes => sip::SrtpKeys::Sdes,
    }
}

const fn srtp(srtp: config::Srtp) -> sip::Srtp {
    match srtp {
        config::Srtp::Off => sip::Srtp::Off,
        config::Srtp::Optional => sip::Srtp::Optional,
        config::Srtp::Required => sip::Srtp::Required,
    }
}
