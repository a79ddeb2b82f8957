//! Ports of one test: a block that no other test, also of another run, has meanwhile.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use anyhow::{Context, bail};

/// Below the range from which Linux gives ports to clients (32768), above what services use.
const FIRST: u16 = 20_000;
const SIZE: u16 = 220;
const BLOCKS: u16 = 58;

/// What a port of the block is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Where relay boards are asked and switched by the test.
    BoardControl,
    /// Where a controller of somebody else is asked by the test.
    ControllerControl,
    /// The gateway's page and API.
    Http,
    /// Home Assistant's API.
    HomeAssistant,
    /// Relay boards over Modbus TCP.
    Modbus,
    /// The broker.
    Mqtt,
    /// The broker over TLS.
    MqttTls,
    /// SIP of the PBX over UDP and TCP.
    PbxSip,
    /// SIP of the PBX over TLS.
    PbxTls,
    /// SIP of the PBX over web sockets without TLS, which nobody uses.
    PbxWs,
    /// SIP of the PBX over web sockets.
    PbxWss,
    /// Control port of a phone, 0 to 9.
    PhoneControl(u16),
    /// SIP of a phone, 0 to 9; the next one is its TLS port.
    PhoneSip(u16),
    /// Logins at a RADIUS server, 0 or 1.
    Radius(u16),
    /// Accounting at a RADIUS server, 0 or 1.
    RadiusAccounting(u16),
    /// Somebody on the way to RADIUS server 0.
    RadiusRelay,
    /// SIP of the gateway over UDP and TCP.
    Sip,
    /// SIP of the gateway over TLS.
    SipTls,
    /// LDAP, with StartTLS.
    Ldap,
    /// LDAP over TLS.
    Ldaps,
    /// A mail server over TLS.
    Smtps,
    /// A STUN server.
    Stun,
    /// Syslog over TCP.
    Syslog,
    /// Syslog over TLS.
    SyslogTls,
    /// Nobody listens here.
    Unused,
    /// A receiver of webhooks.
    Webhook,
    /// A relay that takes web requests.
    WebRelay,
}

/// A block of ports, free again when this is dropped.
#[derive(Debug)]
pub struct Ports {
    base: u16,
    _lock: File,
}

impl Ports {
    /// Takes a free block.
    ///
    /// # Errors
    /// If all blocks are taken.
    pub fn take() -> anyhow::Result<Self> {
        let dir = std::env::temp_dir().join("doorline-test-ports");
        std::fs::create_dir_all(&dir)?;
        for block in 0..BLOCKS {
            let base = FIRST + block * SIZE;
            let lock = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(dir.join(base.to_string()))
                .context("the lock of a block of ports cannot be opened")?;
            if lock.try_lock().is_ok() && (base..base + SIZE).all(free) {
                return Ok(Self { base, _lock: lock });
            }
        }
        bail!("all {BLOCKS} blocks of ports from {FIRST} on are taken")
    }

    /// The port for a use.
    #[must_use]
    pub const fn of(&self, what: Use) -> u16 {
        self.base
            + match what {
                Use::Http => 0,
                Use::Mqtt => 1,
                Use::PbxSip => 2,
                Use::PbxTls => 3,
                Use::Sip => 4,
                Use::SipTls => 5,
                Use::Unused => 6,
                Use::HomeAssistant => 7,
                Use::MqttTls => 8,
                Use::Modbus => 9,
                Use::BoardControl => 219,
                Use::ControllerControl => 212,
                Use::PhoneControl(n) => 10 + n,
                Use::PhoneSip(n) => 20 + 2 * n,
                Use::Radius(n) => 200 + 2 * n,
                Use::RadiusAccounting(n) => 201 + 2 * n,
                Use::RadiusRelay => 204,
                Use::Ldap => 205,
                Use::Ldaps => 206,
                Use::Syslog => 207,
                Use::SyslogTls => 208,
                Use::Webhook => 209,
                Use::Smtps => 210,
                Use::WebRelay => 211,
                Use::Stun => 212,
                Use::PbxWs => 213,
                Use::PbxWss => 214,
            }
    }

    /// Lowest and highest RTP port of the gateway.
    #[must_use]
    pub const fn gateway_rtp(&self) -> (u16, u16) {
        (self.base + 40, self.base + 79)
    }

    /// Lowest and highest RTP port of the PBX.
    #[must_use]
    pub const fn pbx_rtp(&self) -> (u16, u16) {
        (self.base + 80, self.base + 139)
    }

    /// Lowest and highest RTP port of a phone, 0 to 4.
    #[must_use]
    pub const fn phone_rtp(&self, n: u16) -> (u16, u16) {
        (self.base + 140 + 12 * n, self.base + 151 + 12 * n)
    }
}

fn free(port: u16) -> bool {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
        && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}
