//! Users and tokens in the journal's records.

use gateway_core::Timestamp;
use gateway_store::{Edit, PutError, Records, Ticket};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;

use crate::access::{Principal, Rights, Who};
use crate::problem::Problem;

/// Kind of the records of users.
pub const USER: &str = "user";
/// Kind of the records of API tokens.
pub const TOKEN: &str = "token";
/// Kind of the records of contacts, whom call lists can name; the gateway's core reads these rows too.
pub const CONTACT: &str = "contact";
/// What every token begins with, so that scanners for leaked secrets find it.
const PREFIX: &str = "dl_";

/// A user as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UserRow {
    pub(crate) created: String,
    pub(crate) doors: Option<Vec<String>>,
    /// PHC string of Argon2id.
    pub(crate) hash: String,
    pub(crate) scopes: Vec<String>,
}

/// A token as stored, under its public part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenRow {
    /// Who made it.
    pub(crate) by: String,
    pub(crate) created: String,
    pub(crate) doors: Option<Vec<String>>,
    pub(crate) expires: String,
    pub(crate) name: String,
    pub(crate) scopes: Vec<String>,
    /// SHA-256 of the whole token in hexadecimal: it has 256 random bits, so that no slow hash is needed.
    pub(crate) sha256: String,
}

/// A contact as stored, under its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContactRow {
    /// IP address for direct calls.
    pub(crate) address: Option<std::net::IpAddr>,
    /// Who made it.
    pub(crate) by: String,
    pub(crate) created: String,
    /// As it is dialled.
    pub(crate) number: String,
}

/// The login name as it is stored: lower case, 1 to 32 of `a-z 0-9 . _ -`.
pub(crate) fn login_name(typed: &str) -> Result<String, Problem> {
    let name = typed.trim().to_ascii_lowercase();
    let fits = (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
    if fits {
        Ok(name)
    } else {
        Err(Problem::bad(
            "name",
            "a name has 1 to 32 characters of a-z, 0-9, '.', '_' and '-'",
        ))
    }
}

/// A change that the journal did not take.
pub(crate) fn not_kept(error: &PutError) -> Problem {
    let status = match error {
        PutError::KindFull { .. } | PutError::TooLong { .. } | PutError::TooMany { .. } => {
            StatusCode::BAD_REQUEST
        }
        PutError::Closed | PutError::Full { .. } | PutError::NotDurable | _ => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    Problem::new(status, "fault", format!("not saved: {error}"))
}

/// Removes every user and token, together. Says how many there were.
pub(crate) async fn forget(records: &Records) -> Result<usize, String> {
    let of = |kind: &'static str| {
        let all = records.list(kind).into_iter();
        all.map(move |(key, _)| Edit::delete(kind, &key))
    };
    let edits: Vec<Edit> = of(USER).chain(of(TOKEN)).collect();
    let count = edits.len();
    if count > 0 {
        let ticket = records.put_all(edits).map_err(|error| error.to_string())?;
        ticket.durable().await.map_err(|error| error.to_string())?;
    }
    Ok(count)
}

/// Users and tokens.
#[derive(Clone)]
pub(crate) struct People {
    /// Told with each change of a user or token.
    changes: watch::Sender<()>,
    records: Records,
}

impl People {
    pub(crate) fn new(records: Records) -> Self {
        Self {
            changes: watch::Sender::new(()),
            records,
        }
    }

    /// Wakes whenever a user or token was changed.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// The change is in force for who reads, before it is on the medium.
    async fn change(&self, change: Result<Ticket, PutError>) -> Result<(), Problem> {
        self.changes.send_replace(());
        let ticket = change.map_err(|error| not_kept(&error))?;
        let durable = ticket.durable().await;
        durable.map(|_| ()).map_err(|_| not_kept(&PutError::NotDurable))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.list(USER).is_empty()
    }

    pub(crate) fn user(&self, name: &str) -> Option<UserRow> {
        serde_json::from_value(self.records.get(USER, name)?.value).ok()
    }

    pub(crate) fn users(&self) -> Vec<(String, UserRow)> {
        let all = self.records.list(USER).into_iter();
        all.filter_map(|(name, entry)| Some((name, serde_json::from_value(entry.value).ok()?)))
            .collect()
    }

    pub(crate) async fn put_user(&self, name: &str, row: &UserRow) -> Result<(), Problem> {
        let value = serde_json::to_value(row).expect("texts only");
        self.change(self.records.put(USER, name, value, None)).await
    }

    pub(crate) async fn remove_user(&self, name: &str) -> Result<(), Problem> {
        self.change(self.records.delete(USER, name)).await
    }

    /// What a session of this user may do; `None` if the user is gone.
    pub(crate) fn user_rights(&self, name: &str) -> Option<Rights> {
        let row = self.user(name)?;
        Rights::read(&row.scopes, row.doors.as_deref()).ok()
    }

    pub(crate) fn contacts(&self) -> Vec<(String, ContactRow)> {
        let all = self.records.list(CONTACT).into_iter();
        all.filter_map(|(name, entry)| Some((name, serde_json::from_value(entry.value).ok()?)))
            .collect()
    }

    pub(crate) async fn put_contact(&self, name: &str, row: &ContactRow) -> Result<(), Problem> {
        let value = serde_json::to_value(row).expect("texts only");
        let put = self.records.put_durable(CONTACT, name, value, None).await;
        put.map_err(|e| not_kept(&e))
    }

    pub(crate) async fn remove_contact(&self, name: &str) -> Result<(), Problem> {
        self.records
            .delete_durable(CONTACT, name)
            .await
            .map_err(|e| not_kept(&e))
    }

    pub(crate) fn token(&self, id: &str) -> Option<TokenRow> {
        serde_json::from_value(self.records.get(TOKEN, id)?.value).ok()
    }

    pub(crate) fn tokens(&self) -> Vec<(String, TokenRow)> {
        let all = self.records.list(TOKEN).into_iter();
        all.filter_map(|(id, entry)| Some((id, serde_json::from_value(entry.value).ok()?)))
            .collect()
    }

    pub(crate) async fn put_token(
        &self,
        id: &str,
        row: &TokenRow,
        expires: Timestamp,
    ) -> Result<(), Problem> {
        let value = serde_json::to_value(row).expect("texts only");
        self.change(self.records.put(TOKEN, id, value, Some(expires)))
            .await
    }

    pub(crate) async fn remove_token(&self, id: &str) -> Result<(), Problem> {
        self.change(self.records.delete(TOKEN, id)).await
    }

    /// Who a token stands for.
    pub(crate) fn by_token(&self, text: &str, now: Timestamp) -> Option<Principal> {
        let (id, _) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let row = self.token(id)?;
        let fits = row.sha256.as_bytes().ct_eq(token_hash(text).as_bytes());
        if !bool::from(fits) {
            return None;
        }
        self.token_principal(id, now)
    }

    /// What a token that was proven before may do; `None` if it is gone or has expired.
    pub(crate) fn token_principal(&self, id: &str, now: Timestamp) -> Option<Principal> {
        let row = self.token(id)?;
        let expires: Timestamp = row.expires.parse().ok()?;
        if expires <= now {
            return None;
        }
        Some(Principal {
            rights: Rights::read(&row.scopes, row.doors.as_deref()).ok()?,
            who: Who::Token {
                id: id.to_owned(),
                name: row.name,
            },
        })
    }
}

/// What is stored of a token.
pub(crate) fn token_hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect()
}

/// A new token's public part and whole text.
pub(crate) fn new_token(id: [u8; 4], secret: [u8; 32]) -> (String, String) {
    use base64::Engine as _;
    let id: String = id.iter().map(|b| format!("{b:02x}")).collect();
    let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(secret);
    let text = format!("{PREFIX}{id}_{secret}");
    (id, text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_store::fake::FakeIo;
    use gateway_store::{Options, Store};

    use super::*;
    use crate::access::Scope;

    /// The journal closes with its last handle.
    fn people() -> (Store, People) {
        let options = Options {
            index: false,
            segment: 8192,
            ..Options::default()
        };
        let (store, _) = Store::open(Path::new("/state"), options, FakeIo::new()).expect("opens");
        let people = People::new(store.records().clone());
        (store, people)
    }

    #[test]
    fn login_names_are_plain() {
        assert_eq!(login_name(" Ann.B "), Ok("ann.b".into()));
        for bad in ["", " ", "a b", "ä", "a:b", &"x".repeat(33)] {
            assert!(login_name(bad).is_err(), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_token_is_known_by_its_whole_text_until_it_expires() {
        let (_store, people) = people();
        let (id, text) = new_token([1, 2, 3, 4], [9; 32]);
        assert!(text.starts_with("dl_01020304_"));
        let expires: Timestamp = "2099-01-01T00:00:00Z".parse().expect("a time");
        let row = TokenRow {
            by: "ann".into(),
            created: Timestamp::UNIX_EPOCH.to_string(),
            doors: None,
            expires: expires.to_string(),
            name: "hub".into(),
            scopes: vec!["open".into()],
            sha256: token_hash(&text),
        };
        people.put_token(&id, &row, expires).await.expect("kept");
        let before = Timestamp::UNIX_EPOCH;
        let who = people.by_token(&text, before).expect("known");
        assert_eq!(who.name(), "hub");
        assert!(who.rights.allows(Scope::Open) && !who.rights.allows(Scope::Read));
        assert_eq!(people.by_token(&text, expires), None);
        let (_, other) = new_token([1, 2, 3, 4], [8; 32]);
        for bad in [other.as_str(), "dl_", "dl_01020304", "", "dl_ffffffff_x"] {
            assert_eq!(people.by_token(bad, before), None, "{bad}");
        }
        people.remove_token(&id).await.expect("removed");
        assert_eq!(people.by_token(&text, before), None);
    }
}
