//! People and credentials as they stand in the records.
//!
//! ```json
//! {"kind":"person","key":"alice","value":{"name":"Alice","groups":["residents"]}}
//! {"kind":"credential","key":"c-4k2m","value":{"kind":"card","value":"123,04567","person":"alice"}}
//! {"kind":"credential-use","key":"c-77ab","value":{"times":1}}
//! ```
//! Codes and PINs stand there as keyed digests only.

use std::collections::BTreeSet;

use gateway_access::{
    CallerPattern, CardKey, Change, CodeFrom, Credential, Person, PinTag, Proof, Validity, When,
};
use gateway_core::{CredentialId, DoorId, GroupId, PersonId, Timestamp};
use serde::{Deserialize, Serialize};

/// Kind of the records of people.
pub const PERSON: &str = "person";
/// Kind of the records of credentials.
pub const CREDENTIAL: &str = "credential";
/// Kind of the records of people who were removed and whom the site file named, by a digest that does not tell who it was.
pub const BARRED: &str = "person-gone";
/// Kind of the records that say how often a credential was used.
pub const USE: &str = "credential-use";

fn is_false(value: &bool) -> bool {
    !value
}

/// A person as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PersonRow {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) groups: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) blocked: bool,
}

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Card,
    Code,
    /// A code that is typed under duress.
    DuressCode,
    /// A PIN that is typed under duress.
    DuressPin,
    /// A contact key; it is read like a card.
    Ibutton,
    Phone,
    /// A telephone number that needs the PIN too.
    PhonePin,
    Pin,
    /// The text of a QR code; it is read like a card.
    Qr,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Card,
        Self::Code,
        Self::DuressCode,
        Self::DuressPin,
        Self::Ibutton,
        Self::Phone,
        Self::PhonePin,
        Self::Pin,
        Self::Qr,
    ];

    /// Is shown to a reader.
    pub(crate) const fn is_card(self) -> bool {
        matches!(self, Self::Card | Self::Ibutton | Self::Qr)
    }

    /// Opens by itself when its digits are typed.
    pub(crate) const fn is_code(self) -> bool {
        matches!(self, Self::Code | Self::DuressCode)
    }

    /// Is a telephone number.
    pub(crate) const fn is_phone(self) -> bool {
        matches!(self, Self::Phone | Self::PhonePin)
    }

    /// Completes another credential of its person.
    pub(crate) const fn is_pin(self) -> bool {
        matches!(self, Self::DuressPin | Self::Pin)
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Code => "code",
            Self::DuressCode => "duress-code",
            Self::DuressPin => "duress-pin",
            Self::Ibutton => "ibutton",
            Self::Phone => "phone",
            Self::PhonePin => "phone-pin",
            Self::Pin => "pin",
            Self::Qr => "qr",
        }
    }
}

/// A credential as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CredentialRow {
    pub(crate) kind: Kind,
    /// Card notation (of the text of a QR code, its digest), telephone number, or the digest of a code or PIN.
    pub(crate) value: String,
    /// Digests of the beginnings of a code, so that no other code is one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) heads: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) person: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) doors: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) schedule: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uses: Option<u32>,
    /// Where a code may be typed; both places if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<String>,
}

/// How often a credential was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UseRow {
    pub(crate) times: u32,
}

/// The value of the record that a credential was used so often.
#[must_use]
pub fn use_value(times: u32) -> serde_json::Value {
    serde_json::to_value(UseRow { times }).expect("a number")
}

fn time(text: Option<&String>) -> Option<Option<Timestamp>> {
    text.map(|text| text.parse().ok())
        .map_or(Some(None), |time| time.map(Some))
}

fn names<T: std::str::FromStr + Ord>(texts: &BTreeSet<String>) -> Option<BTreeSet<T>> {
    texts.iter().map(|text| text.parse().ok()).collect()
}

impl PersonRow {
    /// What the decision must know of it; `None` if the row is of another version, or damaged.
    pub(crate) fn change(&self, id: &str) -> Option<Change> {
        Some(Change::Person(Person {
            blocked: self.blocked,
            groups: names::<GroupId>(&self.groups)?,
            id: PersonId::new(id).ok()?,
            valid: Validity {
                from: time(self.from.as_ref())?,
                until: time(self.until.as_ref())?,
            },
        }))
    }
}

impl CredentialRow {
    /// As [`PersonRow::change`].
    pub(crate) fn change(&self, id: &str) -> Option<Change> {
        let phone = |needs_pin| {
            let number = CallerPattern::parse(&self.value).ok()?;
            Some(Proof::Phone { needs_pin, number })
        };
        let proof = match self.kind {
            Kind::Card | Kind::Ibutton | Kind::Qr => Proof::Card(CardKey::parse(&self.value).ok()?),
            // forced is a person; who it is has to be known
            Kind::DuressCode if self.person.is_none() => return None,
            Kind::Code | Kind::DuressCode => Proof::Code {
                duress: self.kind == Kind::DuressCode,
                from: places(self.place.as_deref())?,
                heads: self
                    .heads
                    .iter()
                    .map(|head| PinTag::parse(head))
                    .collect::<Option<_>>()?,
                tag: PinTag::parse(&self.value)?,
            },
            Kind::DuressPin => Proof::DuressPin(PinTag::parse(&self.value)?),
            Kind::Phone => phone(false)?,
            Kind::PhonePin => phone(true)?,
            Kind::Pin => Proof::Pin(PinTag::parse(&self.value)?),
        };
        let person = match &self.person {
            Some(person) => Some(PersonId::new(person).ok()?),
            None => None,
        };
        let when = match &self.schedule {
            Some(text) => When::parse(text).ok()?,
            None => When::Always,
        };
        Some(Change::Credential(Credential {
            doors: names::<DoorId>(&self.doors)?,
            id: CredentialId::new(id).ok()?,
            person,
            proof,
            uses: self.uses,
            valid: Validity {
                from: time(self.from.as_ref())?,
                until: time(self.until.as_ref())?,
            },
            when,
        }))
    }
}

/// `call`, `keypad`, or both.
pub(crate) fn places(text: Option<&str>) -> Option<BTreeSet<CodeFrom>> {
    Some(match text {
        None => BTreeSet::from([CodeFrom::Call, CodeFrom::Keypad]),
        Some("call") => BTreeSet::from([CodeFrom::Call]),
        Some("keypad") => BTreeSet::from([CodeFrom::Keypad]),
        Some(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_text_of_rows() {
        let person = PersonRow {
            name: "Alice".into(),
            groups: ["residents".to_owned()].into(),
            ..PersonRow::default()
        };
        assert_eq!(
            serde_json::to_string(&person).expect("writes"),
            r#"{"name":"Alice","groups":["residents"]}"#
        );
        let card = CredentialRow {
            kind: Kind::PhonePin,
            value: "+33476123456".into(),
            heads: vec![],
            person: Some("alice".into()),
            doors: ["front".to_owned()].into(),
            schedule: Some("day".into()),
            from: None,
            until: Some("2026-12-24T00:00:00Z".into()),
            uses: Some(1),
            place: None,
        };
        assert_eq!(
            serde_json::to_string(&card).expect("writes"),
            r#"{"kind":"phone-pin","value":"+33476123456","person":"alice","doors":["front"],"schedule":"day","until":"2026-12-24T00:00:00Z","uses":1}"#
        );
        assert!(card.change("c-1").is_some());
        assert_eq!(use_value(3).to_string(), r#"{"times":3}"#);
    }

    #[test]
    fn a_row_that_is_not_understood_opens_nothing() {
        let good = CredentialRow {
            kind: Kind::Card,
            value: "123,04567".into(),
            heads: vec![],
            person: None,
            doors: BTreeSet::new(),
            schedule: None,
            from: None,
            until: None,
            uses: None,
            place: None,
        };
        assert!(good.change("c-1").is_some());
        let bad: [CredentialRow; 5] = [
            CredentialRow {
                value: "x".into(),
                ..good.clone()
            },
            CredentialRow {
                until: Some("tomorrow".into()),
                ..good.clone()
            },
            CredentialRow {
                schedule: Some("No!".into()),
                ..good.clone()
            },
            CredentialRow {
                doors: ["No!".to_owned()].into(),
                ..good.clone()
            },
            CredentialRow {
                kind: Kind::Pin,
                ..good.clone()
            },
        ];
        for row in bad {
            assert_eq!(row.change("c-1"), None, "{row:?}");
        }
        assert_eq!(good.change("Not a name"), None);
    }
}
