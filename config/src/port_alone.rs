//! Of a site file what the switch port needs: to be kept beside what its files hold, without anybody's secret.

use std::path::PathBuf;

use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

/// What is kept of `[site]`: which site it is, and its folders.
const SITE: [&str; 6] = ["id", "name", "number", "address", "run-dir", "state-dir"];
/// Stands in the place of the password.
const HIDDEN: &str = "kept beside";

/// A site file cut down to its switch port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortAlone {
    /// Where the file says that the passphrase of its key is.
    pub passphrase_file: Option<PathBuf>,
    /// `[site]` and `[dot1x]`, without passphrase and comments; the password is another one.
    pub text: String,
}

/// Cuts a site file down; `None` if it is no TOML.
#[must_use]
pub fn port_alone(text: &str) -> Option<PortAlone> {
    let document: DocumentMut = text.parse().ok()?;
    let mut kept = DocumentMut::new();
    let mut passphrase_file = None;
    if let Some(site) = document.get("site").and_then(Item::as_table_like) {
        kept.insert("site", Item::Table(cut(site, |key| SITE.contains(&key))));
    }
    if let Some(port) = document.get("dot1x").and_then(Item::as_table_like) {
        let secret = |key: &str| key.starts_with("client-passphrase") || key.starts_with("password");
        let mut table = cut(port, |key| !secret(key));
        if port.contains_key("password") || port.contains_key("password-file") {
            table.insert("password", Item::Value(HIDDEN.into()));
        }
        let file = port.get("client-passphrase-file").and_then(Item::as_str);
        passphrase_file = file.map(PathBuf::from);
        kept.insert("dot1x", Item::Table(table));
    }
    Some(PortAlone {
        passphrase_file,
        text: kept.to_string(),
    })
}

/// Some keys of a table, without comments: what stands in one may be a secret of old.
fn cut(table: &dyn TableLike, wanted: impl Fn(&str) -> bool) -> Table {
    let mut made = Table::new();
    for (key, item) in table.iter().filter(|(key, _)| wanted(key)) {
        let Some(mut value) = item.as_value().cloned() else {
            continue;
        };
        value.decor_mut().clear();
        if let Value::Array(array) = &mut value {
            array.fmt();
            array.set_trailing("");
        }
        made.insert(key, Item::Value(value));
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_and_no_comment_is_left_and_the_port_is_whole() {
        let text = r#"
# the password was secret-0
site = { id = "a", name = "A", number = "000000001", address = "here", fire-input = "smoke" }
[accounts.pbx]
password = "secret-1"
[dot1x] # secret-2
interface = "eth0"
password = "secret-3" # secret-4
server-names = [
    "a.test", # secret-5
    "b.test",
    # secret-6
]
client-passphrase = "secret-7"
silence-s = "30"
"#;
        let alone = port_alone(text).expect("it is TOML");
        assert!(!alone.text.contains("secret"), "{}", alone.text);
        assert!(!alone.text.contains('#'), "{}", alone.text);
        assert_eq!(alone.passphrase_file, None);
        let kept: DocumentMut = alone.text.parse().expect("it is TOML");
        assert_eq!(kept["dot1x"]["interface"].as_str(), Some("eth0"));
        assert_eq!(kept["dot1x"]["silence-s"].as_str(), Some("30"));
        assert_eq!(kept["dot1x"]["password"].as_str(), Some(HIDDEN));
        assert_eq!(
            kept["dot1x"]["server-names"]
                .as_array()
                .map(toml_edit::Array::len),
            Some(2)
        );
        assert_eq!(kept["site"]["id"].as_str(), Some("a"));
        assert!(kept.get("accounts").is_none() && kept["site"].get("fire-input").is_none());
        // the same port is the same text
        assert_eq!(port_alone(&alone.text).map(|again| again.text), Some(alone.text));
    }

    #[test]
    fn where_the_passphrase_is_is_told_apart_and_what_is_no_toml_gives_nothing() {
        let text = "[dot1x]\nclient-passphrase-file = \"port.pass\"\npassword-file = \"port.secret\"\n";
        let alone = port_alone(text).expect("it is TOML");
        assert_eq!(alone.passphrase_file, Some("port.pass".into()));
        assert_eq!(alone.text, format!("[dot1x]\npassword = \"{HIDDEN}\"\n"));
        assert_eq!(port_alone("[dot1x"), None);
        assert_eq!(port_alone("").map(|alone| alone.text), Some(String::new()));
    }
}
