//! One way of many to ring, talk and open, and how it is gone for real.

use std::fmt;
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::ensure;
use peers::{
    Account, Asterisk, Carrier, EzkPhone, Gateway, Handset, Kamailio, KamailioParams, Keys, Link, PbxParams,
    Phone, PhoneParams, Rig, Site, Trust, Use, WebPhone, run,
};

use crate::secs;
use crate::story::{both_hear, key_opens, visitor};

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    /// A phone at Asterisk, which takes part in speech and keys.
    Asterisk,
    /// A phone at Kamailio, which is strict with messages and leaves speech to the two.
    Kamailio,
    /// baresip, called by its address.
    Baresip,
    /// A phone on ezk-sip-ua, called by its address.
    Ezk,
    /// JsSIP in Chromium at Asterisk, which takes part in speech and keys.
    Web,
}

/// One of all combinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    pub(super) peer: Peer,
    pub(super) carrier: Carrier,
    pub(super) srtp: bool,
    pub(super) keys: Keys,
    /// The phone calls the door; else the bell calls the phone.
    pub(super) incoming: bool,
}

pub(super) const PEERS: [Peer; 5] = [
    Peer::Asterisk,
    Peer::Kamailio,
    Peer::Baresip,
    Peer::Ezk,
    Peer::Web,
];
pub(super) const CARRIERS: [Carrier; 3] = [Carrier::Udp, Carrier::Tcp, Carrier::Tls];
pub(super) const KEYS: [Keys; 3] = [Keys::Events, Keys::Info, Keys::InBand];

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}, {}, {}, {:?}, {}",
            self.peer,
            self.carrier.name(),
            if self.srtp { "SRTP" } else { "RTP" },
            self.keys,
            if self.incoming { "incoming" } else { "outgoing" }
        )
    }
}

impl Cell {
    /// Why this peer cannot do it, whatever we do.
    pub(super) const fn beyond(self) -> Option<&'static str> {
        match (self.peer, self.keys) {
            (Peer::Asterisk | Peer::Ezk | Peer::Web, _)
            | (Peer::Kamailio | Peer::Baresip, Keys::Events)
            | (Peer::Kamailio, Keys::InBand) => None,
            (Peer::Kamailio | Peer::Baresip, Keys::Info) => Some("baresip 1.0 sends no INFO for a key"),
            (Peer::Baresip, Keys::InBand) => Some(
                "baresip always agrees on telephone events, and with them tones in the speech count for nothing",
            ),
        }
    }

    /// Rings, talks both ways, opens by a key. The error is what went wrong.
    pub(super) fn goes(self) -> Result<(), String> {
        let why = Arc::new(Mutex::new(String::new()));
        let told = Arc::clone(&why);
        let end = catch_unwind(move || {
            run(|rig| {
                let end = self.try_on(rig);
                if let Err(error) = &end {
                    *told.lock().unwrap_or_else(PoisonError::into_inner) = format!("{self}: {error:#}");
                }
                end
            });
        });
        end.map_err(|_| why.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn try_on(self, rig: &Rig) -> anyhow::Result<()> {
        let trust = Trust::new(rig)?;
        let link = Link {
            carrier: self.carrier,
            srtp: self.srtp,
            trust: (self.carrier == Carrier::Tls).then_some(&trust),
        };
        match self.peer {
            Peer::Asterisk => {
                let door = self.door_of_asterisk();
                let params = PbxParams {
                    door: &door,
                    tls: Some(&trust),
                    ..PbxParams::default()
                };
                let pbx = Asterisk::start(rig, params)?;
                let mut phone = Phone::start(rig, PhoneParams::at_pbx(0, "101", rig.port(Use::PbxSip)))?;
                pbx.registered("101", secs(5))?;
                let to = format!("sip:200@127.0.0.1:{}", rig.port(Use::PbxSip));
                self.tell(rig, at_pbx(link), &mut phone, "101", &to)
            }
            Peer::Web => {
                let door = self.door_of_asterisk();
                let web = format!("dtmf_mode = {}\n", self.mode_of_asterisk());
                let params = PbxParams {
                    door: &door,
                    tls: Some(&trust),
                    web: Some(&web),
                    ..PbxParams::default()
                };
                let pbx = Asterisk::start(rig, params)?;
                let mut phone = WebPhone::start(rig, "105")?;
                self.tell(rig, at_pbx(link), &mut phone, "105", "200")?;
                let sent = pbx.log();
                ensure!(
                    sent.contains("UDP/TLS/RTP/SAVPF") && sent.contains("a=fingerprint:"),
                    "the browser did not speak by DTLS-SRTP"
                );
                Ok(())
            }
            Peer::Kamailio => {
                let params = KamailioParams {
                    tls: Some(&trust),
                    without_events: self.keys == Keys::InBand,
                    ..KamailioParams::default()
                };
                let mut proxy = Kamailio::start(rig, params)?;
                let port = link.pbx_port(&rig.ports);
                let params = PhoneParams {
                    link,
                    ..PhoneParams::at_pbx(0, "101", port)
                };
                let mut phone = Phone::start(rig, params)?;
                proxy.registered("101", secs(5))?;
                let to = format!("sip:200@127.0.0.1:{port};transport={}", self.carrier.name());
                self.tell(rig, at_pbx(link), &mut phone, "101", &to)
            }
            Peer::Baresip => {
                let params = PhoneParams {
                    link,
                    ..PhoneParams::direct(0, "101")
                };
                let mut phone = Phone::start(rig, params)?;
                let tls = self.carrier == Carrier::Tls;
                let account = direct(link, phone.port() + u16::from(tls));
                self.tell(rig, account, &mut phone, "101", &self.door(rig))
            }
            Peer::Ezk => {
                let mut phone = EzkPhone::start(rig, "101", link, self.keys == Keys::Events)?;
                let account = direct(link, phone.port());
                self.tell(rig, account, &mut phone, "101", &self.door(rig))
            }
        }
    }

    /// The door's own address.
    fn door(self, rig: &Rig) -> String {
        let tls = self.carrier == Carrier::Tls;
        let port = rig.port(if tls { Use::SipTls } else { Use::Sip });
        format!("sip:200@127.0.0.1:{port};transport={}", self.carrier.name())
    }

    const fn mode_of_asterisk(self) -> &'static str {
        match self.keys {
            Keys::Events => "rfc4733",
            Keys::Info => "info",
            Keys::InBand => "inband",
        }
    }

    fn door_of_asterisk(self) -> String {
        let keys = self.mode_of_asterisk();
        let media = if self.srtp { "sdes" } else { "no" };
        format!("dtmf_mode = {keys}\nmedia_encryption = {media}\n")
    }

    fn tell(
        self,
        rig: &Rig,
        account: Account<'_>,
        phone: &mut dyn Handset,
        number: &str,
        door: &str,
    ) -> anyhow::Result<()> {
        let (file, sound) = visitor(rig)?;
        let site = Site {
            account: Some(account),
            callers: vec![number.into()],
            targets: vec![number.into()],
            visitor: file,
            ..Site::default()
        };
        let mut text = site.text(rig);
        if let Some(trust) = account.link.trust {
            // whoever calls over TLS needs somebody who listens
            let listens = format!(
                "[sip]\ntls-port = {}\ntls-cert-file = {:?}\ntls-key-file = {:?}",
                rig.port(Use::SipTls),
                trust.cert,
                trust.key
            );
            text = text.replace("[sip]", &listens);
        }
        let mut gateway = Gateway::start(rig, &text)?;
        if !matches!(self.peer, Peer::Baresip | Peer::Ezk) {
            gateway.event(0, "account.registered", secs(10), |_| true)?;
        }
        if self.incoming {
            phone.dial(door)?;
            phone.talks(secs(10))?;
        } else {
            gateway.ring()?;
            phone.rings(secs(10))?;
            phone.answer()?;
            phone.talks(secs(10))?;
            gateway.event(0, "call.answered", secs(5), |_| true)?;
        }
        both_hear(rig, phone, &sound)?;
        // before Asterisk a phone keeps to events, which Asterisk turns into what the door takes; a browser has all three
        let way = if self.peer == Peer::Asterisk {
            Keys::Events
        } else {
            self.keys
        };
        key_opens(rig, &mut gateway, || phone.key('9', way))?;
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(5), |_| true)?;
        gateway.verify()
    }
}

/// The account of a door that registers.
fn at_pbx(link: Link<'_>) -> Account<'_> {
    Account {
        link,
        ..Account::default()
    }
}

/// The account of a door that reaches a phone by its address.
fn direct(link: Link<'_>, port: u16) -> Account<'_> {
    Account {
        link,
        more: "register = false\n",
        port: Some(port),
        ..Account::default()
    }
}
