//! The site file that the tests use: one door, everything virtual.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::link::Link;
use crate::ports::Use;
use crate::rig::Rig;

/// How the gateway reaches the PBX.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// How it reaches the PBX.
    pub link: Link<'a>,
    /// More keys, a line each.
    pub more: &'a str,
    /// Password of extension 200.
    pub password: &'a str,
    /// Where, if it is not the PBX's port.
    pub port: Option<u16>,
}

impl Default for Account<'_> {
    fn default() -> Self {
        Self {
            link: Link::default(),
            more: "",
            password: "secret-200",
            port: None,
        }
    }
}

/// A site with the door `front`, the panel `main`, its button `bell`, the line `riser`, the relay
/// `front-strike`, a contact, a REX, a reader and code 9.
#[derive(Clone, Debug, Default)]
pub struct Site<'a> {
    /// Account at the PBX; `None`: direct calls only.
    pub account: Option<Account<'a>>,
    /// Callers that may open when they call the door.
    pub callers: Vec<String>,
    /// More tables, as they are.
    pub more: String,
    /// All targets at once, instead of one after the other.
    pub parallel: bool,
    /// State folder, if it is not the rig's own.
    pub state: Option<PathBuf>,
    /// Whom the bell rings.
    pub targets: Vec<String>,
    /// What the visitor says: `tone:HZ`, `silence` or a path; a tone if empty.
    pub visitor: String,
    /// Page and API on [`Use::Http`].
    pub http: bool,
    /// The broker on [`Use::Mqtt`].
    pub mqtt: bool,
    /// More keys of the `[mqtt]` table; a `broker` in it takes the place of [`Use::Mqtt`].
    pub mqtt_keys: String,
}

impl Site<'_> {
    /// Where what the visitor hears is recorded.
    #[must_use]
    pub fn heard(rig: &Rig) -> PathBuf {
        rig.path("visitor-hears.wav")
    }

    /// The file's text.
    #[must_use]
    pub fn text(&self, rig: &Rig) -> String {
        let list = |items: &[String]| {
            items
                .iter()
                .map(|i| format!("{i:?}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let state = self.state.clone().unwrap_or_else(|| rig.path("state"));
        let visitor = if self.visitor.is_empty() {
            "tone:440"
        } else {
            &self.visitor
        };
        let callers: Vec<String> = self
            .callers
            .iter()
            .map(|c| format!("{{ number = {c:?} }}"))
            .collect();
        let (low, high) = rig.ports.gateway_rtp();
        let mut text = format!(
            r#"[site]
id = "test"
name = "Test house"
number = "000000001"
address = "1 Test Street, 00001 Test"
state-dir = {state:?}
run-dir = {run:?}

[guard]
mode = "spawn"
lease-ms = 1000

[outputs.front-strike]
max-on-ms = 10000
[outputs.front-strike.virtual]
[inputs.front-bell.virtual]
[inputs.front-contact.virtual]
[inputs.front-rex.virtual]
[readers.front-reader.virtual]

[lines.riser]
call-in = "self-start"
[lines.riser.virtual]
capture = {visitor:?}
playback = {heard:?}

[panels.main]
name = "Main entrance"
line = "riser"
doors = ["front"]
{panel_account}
[panels.main.buttons.bell]
name = "Bell"
input = "front-bell"
call = "people"

[doors.front]
name = "Main entrance"
output = "front-strike"
strike-ms = 3000
contact = {{ input = "front-contact" }}
rex = [{{ input = "front-rex", kind = "unlock" }}]
readers = ["front-reader"]
callers = [{callers}]

[lists.people]
strategy = "{strategy}"
ring-s = 20
targets = [{targets}]

[codes.nine]
digits = "9"
doors = ["front"]

[cards.alice]
card = "26:123,04567"
person = "alice"
doors = ["front"]

[sip]
bind = "127.0.0.1"
udp-port = {sip}
tcp-port = {sip}
rtp-ports = [{low}, {high}]
direct-peers = ["127.0.0.1"]
"#,
            run = rig.path("run"),
            heard = Self::heard(rig),
            panel_account = if self.account.is_some() {
                "account = \"pbx\""
            } else {
                ""
            },
            callers = callers.join(", "),
            strategy = if self.parallel { "parallel" } else { "sequential" },
            targets = list(&self.targets),
            sip = rig.port(Use::Sip),
        );
        if let Some(account) = self.account {
            text += &pbx(rig, account);
        }
        if self.mqtt {
            let port = rig.port(Use::Mqtt);
            let keys = &self.mqtt_keys;
            if keys.contains("broker =") {
                let _ = write!(text, "\n[mqtt]\n{keys}\n");
            } else {
                let _ = write!(text, "\n[mqtt]\nbroker = \"mqtt://127.0.0.1:{port}\"\n{keys}\n");
            }
        }
        if self.http {
            let port = rig.port(Use::Http);
            let _ = write!(text, "\n[http]\nlisten = \"127.0.0.1:{port}\"\n");
        }
        text + "\n" + &self.more
    }
}

impl Account<'_> {
    /// Its table, as account `pbx`.
    #[must_use]
    pub fn text(&self, rig: &Rig) -> String {
        pbx(rig, *self)
    }
}

fn pbx(rig: &Rig, account: Account<'_>) -> String {
    let link = account.link;
    let mut way = format!(
        "transport = {:?}\nport = {}\n",
        link.carrier.name(),
        account.port.unwrap_or_else(|| link.pbx_port(&rig.ports))
    );
    if link.srtp {
        way += "srtp = \"required\"\n";
    }
    if let Some(trust) = link.trust {
        let _ = writeln!(way, "tls-ca-file = {:?}", trust.ca);
    }
    format!(
        "\n[accounts.pbx]\ndomain = \"127.0.0.1\"\nuser = \"200\"\npassword = {:?}\nexpires-s = 60\n{way}{}",
        account.password, account.more
    )
}
