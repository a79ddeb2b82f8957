//! Signed commands: who gave one, whatever the broker lets through, and what that key may do. Pure.
//!
//! The signature is HMAC-SHA256 (RFC 2104) with the key's secret over four lines, joined by one line feed each and with none
//! at the end: [`SCHEME`], the topic, the name of the key, and the command exactly as it stands in the field `signed`, a
//! text. So it holds for one topic of one site only, and nobody has to agree on how JSON is written. What makes a copy of
//! it worthless is the command's own `id` and `at`: both are needed, whatever `accept-untimed` says, and the core acts on
//! an id once, also after a restart.

use std::collections::{BTreeMap, BTreeSet};

use gateway_core::{Command, CommandId, DoorId, PanelId, Secret, SiteView};
use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

use crate::command::{MAX_PAYLOAD, claimed};

/// First line of what is signed.
pub(crate) const SCHEME: &str = "doorline-command-1";
/// Longest signed message in bytes: a command whose every character is escaped, and the rest.
pub(crate) const MAX_SIGNED: usize = 2 * MAX_PAYLOAD + 512;

/// A key for signed commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttKey {
    /// The doors it is for; `None` is every door of the site.
    pub doors: Option<BTreeSet<DoorId>>,
    /// May it open doors?
    pub may_open: bool,
    /// May it do what the scope `operate` of the API may?
    pub may_operate: bool,
    /// What it signs with.
    pub secret: Secret,
}

/// A signed command; `docs/mqtt.md` says what is signed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "SignedCommand"))]
pub(crate) struct Wire {
    /// Name of the key, as `[mqtt.keys]` has it.
    pub(crate) key: String,
    /// The signature, 64 hexadecimal digits.
    pub(crate) mac: String,
    /// The command as a text.
    pub(crate) signed: String,
}

/// A message that is not signed by one of our keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsigned {
    #[error("key {found:?} is not one of ours; [mqtt.keys] has them")]
    Key { found: String },
    #[error(
        "the signature is not that of key {key:?} for this topic and command; sign \
         \"{SCHEME}\\nTOPIC\\nKEY\\nCOMMAND\" with HMAC-SHA256"
    )]
    Mac { key: String },
    #[error(
        "the command is not signed; commands = \"signed\" wants {{\"key\":…,\"mac\":…,\"signed\":…}}: {why}"
    )]
    NotSigned { why: String },
}

fn begun(secret: &Secret, topic: &str, key: &str, command: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).expect("a key of any length");
    for line in [SCHEME, "\n", topic, "\n", key, "\n", command] {
        mac.update(line.as_bytes());
    }
    mac
}

fn digits(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Does this look like a signed message? What is not signed and has these fields is no command either.
pub(crate) fn is_signed(payload: &[u8]) -> bool {
    payload.len() <= MAX_SIGNED && serde_json::from_slice::<Wire>(payload).is_ok()
}

/// The id in a message that is not signed: that of a command, or of the one that stands in `signed`.
fn id_in(payload: &[u8]) -> Option<CommandId> {
    #[derive(Deserialize)]
    struct Signed {
        signed: String,
    }
    if payload.len() > MAX_SIGNED {
        return None;
    }
    claimed(payload).or_else(|| {
        let of: Signed = serde_json::from_slice(payload).ok()?;
        claimed(of.signed.as_bytes())
    })
}

/// Reads a signed message: the name of its key, and the command that it proves. A message that proves nothing comes back
/// with the id that stands in it, for the answer.
pub(crate) fn read<'k>(
    keys: &'k BTreeMap<String, MqttKey>,
    topic: &str,
    payload: &[u8],
) -> Result<(&'k str, &'k MqttKey, String), (Option<CommandId>, Unsigned)> {
    // nobody vouches for any of these ids
    let not_signed = |why: String| (id_in(payload), Unsigned::NotSigned { why });
    if payload.len() > MAX_SIGNED {
        let size = payload.len();
        return Err(not_signed(format!(
            "{size} bytes, at most {MAX_SIGNED} are allowed"
        )));
    }
    let wire: Wire = serde_json::from_slice(payload).map_err(|e| not_signed(e.to_string()))?;
    let id = claimed(wire.signed.as_bytes());
    let Some((name, key)) = keys.get_key_value(&wire.key) else {
        let found = wire.key.chars().take(40).collect();
        return Err((id, Unsigned::Key { found }));
    };
    let right = digits(&wire.mac).is_some_and(|given| {
        // in constant time
        begun(&key.secret, topic, name, &wire.signed)
            .verify_slice(&given)
            .is_ok()
    });
    if right {
        Ok((name, key, wire.signed))
    } else {
        Err((id, Unsigned::Mac { key: name.clone() }))
    }
}

impl MqttKey {
    fn covers(&self, door: &DoorId) -> bool {
        self.doors.as_ref().is_none_or(|doors| doors.contains(door))
    }

    fn covers_panel(&self, view: &SiteView, id: &PanelId) -> bool {
        let panel = view.panels.iter().find(|panel| panel.id == *id);
        self.doors.is_none() || panel.is_some_and(|panel| panel.doors.iter().any(|door| self.covers(door)))
    }

    /// Why this key may not give this command; the rules are those of tokens of the API.
    pub(crate) fn forbids(&self, view: &SiteView, command: &Command) -> Option<&'static str> {
        const OPEN: &str = "the scope \"open\"";
        const OPERATE: &str = "the scope \"operate\"";
        const DOOR: &str = "this door";
        const DOORS: &str = "all doors";
        let operates = |fits: bool, else_: &'static str| {
            if self.may_operate {
                (!fits).then_some(else_)
            } else {
                Some(OPERATE)
            }
        };
        match command {
            Command::Open { door } | Command::OpenFor { door, .. } | Command::OpenWithCode { door, .. } => {
                match (self.may_open, self.covers(door)) {
                    (true, true) => None,
                    (true, false) => Some(DOOR),
                    (false, _) => Some(OPEN),
                }
            }
            // it opens, too
            Command::Hold { .. } | Command::RingToOpen { .. } | Command::SendCard { .. }
                if !self.may_open =>
            {
                Some(OPEN)
            }
            Command::Hold { door, .. } | Command::EndHold { door } => operates(self.covers(door), DOOR),
            Command::Announce { panel, .. }
            | Command::Call { panel, .. }
            | Command::EndQuiet { panel }
            | Command::EndRingToOpen { panel }
            | Command::Press { panel, .. }
            | Command::Quiet { panel, .. } => {
                operates(self.covers_panel(view, panel), "a door of this panel")
            }
            Command::RingToOpen { panel, .. } => {
                let panel = view.panels.iter().find(|of| of.id == *panel);
                let all = panel.is_some_and(|of| of.doors.iter().all(|door| self.covers(door)));
                operates(self.doors.is_none() || all, "all doors of this panel")
            }
            Command::HangUp { ring } => {
                let panel = view.calls.iter().find(|call| call.ring == *ring);
                let panel = panel.and_then(|call| call.panel.as_ref());
                let fits = self.doors.is_none() || panel.is_some_and(|id| self.covers_panel(view, id));
                operates(fits, "a door of this call")
            }
            Command::EndLockdown { group } | Command::Lockdown { group } => {
                let lockdown = view.lockdowns.iter().find(|lockdown| lockdown.group == *group);
                let fits = self.doors.is_none()
                    || group.is_some()
                        && lockdown.is_some_and(|all| all.doors.iter().all(|door| self.covers(door)));
                operates(fits, "all its doors")
            }
            Command::ConfirmAlarm { .. }
            | Command::ResetFire
            | Command::ResetPassback { .. }
            | Command::SendCard { .. }
            | Command::SetRelay { .. } => operates(self.doors.is_none(), DOORS),
            // nothing is asked
            Command::Unread { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::view;
    use gateway_core::{DoorGroupId, RelayId, RelaySet};
    use proptest::prelude::*;

    const TOPIC: &str = "doorline/lilas/door/front/command";
    const COMMAND: &str = r#"{"command":"open","id":"a1","at":"2026-03-01T12:00:00Z"}"#;
    const MAC: &str = "6debfa0f67dd13885888b9589e16b43af342cb3752819a42b8e0b83d3960c8c4";

    fn key(doors: Option<&[&str]>, may_open: bool, may_operate: bool) -> MqttKey {
        let name = |door: &&str| DoorId::new(door).expect("a name");
        MqttKey {
            doors: doors.map(|doors| doors.iter().map(name).collect()),
            may_open,
            may_operate,
            secret: Secret::new("0f7c2f3b9d1e4a58b6c70d2e"),
        }
    }

    fn keys() -> BTreeMap<String, MqttKey> {
        BTreeMap::from([("hub".to_owned(), key(None, true, false))])
    }

    fn message(key: &str, mac: &str, command: &str) -> Vec<u8> {
        serde_json::to_vec(&Wire {
            key: key.into(),
            mac: mac.into(),
            signed: command.into(),
        })
        .expect("plain fields")
    }

    #[test]
    fn the_vector_of_the_documentation() {
        let keys = keys();
        let read = read(&keys, TOPIC, &message("hub", MAC, COMMAND));
        let (name, _, command) = read.expect("a right signature");
        assert_eq!((name, command.as_str()), ("hub", COMMAND));
        let documented = include_str!("../../../docs/mqtt.md");
        for part in [SCHEME, TOPIC, COMMAND, MAC, keys["hub"].secret.reveal()] {
            assert!(documented.contains(part), "docs/mqtt.md lacks {part}");
        }
    }

    #[test]
    fn anything_else_than_what_was_signed_proves_nothing() {
        let keys = keys();
        let refused =
            |topic: &str, payload: &[u8]| read(&keys, topic, payload).map(|_| ()).expect_err("refused");
        let id = CommandId::new("a1");
        let mac = Unsigned::Mac { key: "hub".into() };
        let other = MAC.replace('0', "1");
        let longer = format!("{MAC}00");
        for bad in [other.as_str(), longer.as_str(), "", "é"] {
            assert_eq!(
                refused(TOPIC, &message("hub", bad, COMMAND)),
                (id.clone(), mac.clone())
            );
        }
        let door = "doorline/lilas/door/yard/command";
        assert_eq!(
            refused(door, &message("hub", MAC, COMMAND)),
            (id.clone(), mac.clone())
        );
        let later = COMMAND.replace("12:00:00", "12:00:01");
        assert_eq!(refused(TOPIC, &message("hub", MAC, &later)).1, mac);
        let stranger = refused(TOPIC, &message("desk", MAC, COMMAND));
        assert_eq!(stranger, (id, Unsigned::Key { found: "desk".into() }));
        let without_mac = serde_json::json!({ "key": "hub", "signed": COMMAND }).to_string();
        let one_more = serde_json::json!({ "key": "hub", "mac": MAC, "signed": COMMAND, "v": 1 }).to_string();
        let long = serde_json::json!({ "id": "a1", "pad": " ".repeat(MAX_SIGNED) }).to_string();
        for (plain, named) in [
            (COMMAND.as_bytes(), Some("a1")),
            (without_mac.as_bytes(), Some("a1")),
            (one_more.as_bytes(), Some("a1")),
            (br#"{"id":"a b"}"#.as_slice(), None),
            (br#"{"id":7,"signed":"{\"id\":7}"}"#.as_slice(), None),
            (long.as_bytes(), None),
            (b"OPEN".as_slice(), None),
            (b"".as_slice(), None),
            ([b' '; MAX_SIGNED + 1].as_slice(), None),
        ] {
            let (id, why) = refused(TOPIC, plain);
            assert_eq!(
                id.as_ref().map(CommandId::as_str),
                named,
                "{}",
                plain.escape_ascii()
            );
            assert!(matches!(why, Unsigned::NotSigned { .. }));
        }
    }

    #[test]
    fn a_key_may_what_a_token_of_the_same_rights_may() {
        let front = DoorId::new("front").expect("a name");
        let open = Command::Open { door: front.clone() };
        let hold = Command::EndHold { door: front };
        let quiet = Command::EndQuiet {
            panel: PanelId::new("main").expect("a name"),
        };
        let group = |name: Option<&str>| Command::EndLockdown {
            group: name.map(|name| DoorGroupId::new(name).expect("a name")),
        };
        let relay = Command::SetRelay {
            relay: RelayId::new("siren").expect("a name"),
            set: RelaySet::On,
        };
        let rings = Command::RingToOpen {
            panel: PanelId::new("main").expect("a name"),
            time: std::time::Duration::from_secs(60),
        };
        let card = Command::SendCard {
            card: gateway_access::card_frame("26:123,04567").expect("a card"),
            controller: "lift".parse().expect("a name"),
        };
        let street = group(Some("street"));
        let all = [&open, &hold, &quiet, &rings, &street, &group(None), &relay, &card];
        let view = view();
        let may = |key: MqttKey| all.map(|command| key.forbids(&view, command).is_none());
        assert_eq!(may(key(None, true, true)), [true; 8]);
        assert_eq!(
            may(key(None, true, false)),
            [true, false, false, false, false, false, false, false]
        );
        assert_eq!(
            may(key(None, false, true)),
            [false, true, true, false, true, true, true, false]
        );
        let held = Command::Hold {
            door: DoorId::new("front").expect("a name"),
            time: std::time::Duration::from_secs(60),
        };
        let hold = |opens, operates| key(None, opens, operates).forbids(&view, &held);
        assert_eq!(hold(true, true), None);
        assert_eq!(hold(false, true), Some("the scope \"open\""));
        assert_eq!(hold(true, false), Some("the scope \"operate\""));
        assert_eq!(
            may(key(Some(&["front"]), true, true)),
            [true, true, true, true, false, false, false, false]
        );
        assert_eq!(
            may(key(Some(&["yard"]), true, true)),
            [false, false, false, false, true, false, false, false]
        );
        // to speak at a door is no opening of it
        let announce = Command::Announce {
            announcement: "lift".parse().expect("a name"),
            panel: PanelId::new("main").expect("a name"),
            to: gateway_core::AnnounceTo::Both,
        };
        let speaks = |key: MqttKey| key.forbids(&view, &announce);
        assert_eq!(speaks(key(Some(&["front"]), false, true)), None);
        assert_eq!(speaks(key(None, true, false)), Some("the scope \"operate\""));
        assert_eq!(
            speaks(key(Some(&["yard"]), true, true)),
            Some("a door of this panel")
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic_and_none_are_signed_by_chance(
            data in proptest::collection::vec(any::<u8>(), 0..600),
            mac in "[0-9a-fé]{62,66}",
            command in ".{0,40}",
        ) {
            let keys = keys();
            prop_assert!(read(&keys, TOPIC, &data).is_err());
            prop_assert!(read(&keys, TOPIC, &message("hub", &mac, &command)).is_err());
        }
    }
}
