//! A site file as it may be shown: in place of every secret a word that says which one it is, and back.
//!
//! `password = "s3cr3t"` is shown as `password = "<kept: accounts.pbx.password>"`. Whoever sends the text back, changed
//! or not, has the secret kept that the word names, also at another place where a secret may stand. What the reader
//! does not know is hidden too, since a key that is misspelt may hold a secret, and so is what comments give to keys
//! of secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::describe::{Shape, TableInfo};
use crate::fault::{FaultKind, Faults, Finding, place};
use crate::model::Config;
use crate::read::{Node, Reader, Record as _, join, quoted, record_of};
use crate::value::{named_element, named_secret, secret_address};

/// A place where a secret stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    comment: bool,
    /// What the word calls it.
    name: String,
    span: Range<usize>,
}

/// What both texts of a change are shown as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Veiled {
    /// The text, secrets as `<kept: NAME>`.
    pub old: String,
    /// The text, secrets as `<kept: NAME>`; a new or changed one as `<new: NAME>`.
    pub new: String,
}

/// The text without its secrets.
///
/// # Errors
/// The faults of a text that is no TOML: nobody knows what in it is a secret.
pub fn veil(file: &str, text: &str) -> Result<String, Faults> {
    let marks = marks(file, text)?;
    Ok(replace(text, &marks, |mark| Some(word(mark, "kept"))))
}

/// Both texts of a change without their secrets, and such that a changed secret is seen to have changed.
///
/// # Errors
/// As [`veil`]; an old text that is no TOML is shown as empty.
pub fn veil_both(file: &str, old: &str, new: &str) -> Result<Veiled, Faults> {
    let new_marks = marks(file, new)?;
    let old_marks = marks(file, old).ok();
    let before: BTreeMap<&str, &str> = old_marks
        .iter()
        .flatten()
        .map(|m| (m.name.as_str(), &old[m.span.clone()]))
        .collect();
    let kept = |mark: &Mark| {
        let same = before.get(mark.name.as_str()) == Some(&&new[mark.span.clone()]);
        if same { "kept" } else { "new" }
    };
    Ok(Veiled {
        new: replace(new, &new_marks, |mark| Some(word(mark, kept(mark)))),
        old: old_marks.as_ref().map_or_else(String::new, |marks| {
            replace(old, marks, |mark| Some(word(mark, "kept")))
        }),
    })
}

/// Puts the secrets of `current` back where words in `given` name them.
///
/// # Errors
/// Words that name no secret, or that stand where none belongs; faults of a text that is no TOML.
pub fn unveil(file: &str, given: &str, current: &str) -> Result<String, Faults> {
    let given_marks = marks(file, given)?;
    // a file that is no TOML keeps nothing, and only a word that names something needs it
    let current_marks = marks(file, current).unwrap_or_default();
    let mut findings = Vec::new();
    let text = replace(given, &given_marks, |mark| {
        let name = named(&given[mark.span.clone()])?;
        let found = current_marks
            .iter()
            .find(|m| m.name == name && m.comment == mark.comment);
        if found.is_none() && !mark.comment {
            findings.push(unkept(mark.span.clone(), &mark.name, name, &current_marks));
        }
        found.map(|m| current[m.span.clone()].to_owned())
    });
    let (document, _) = DeTable::parse_recoverable(given);
    astray("", document.get_ref(), &given_marks, &mut findings);
    if findings.is_empty() {
        return Ok(text);
    }
    let hidden: Vec<Range<usize>> = given_marks.into_iter().map(|m| m.span).collect();
    Err(Faults {
        cut: false,
        file: file.to_owned(),
        list: place(given, findings, &hidden),
    })
}

fn unkept(span: Range<usize>, path: &str, name: &str, known: &[Mark]) -> Finding {
    let names: Vec<&str> = known
        .iter()
        .filter(|m| !m.comment)
        .map(|m| m.name.as_str())
        .take(12)
        .collect();
    let hint = if names.is_empty() {
        "write the secret itself: the site file has none that could be kept".to_owned()
    } else {
        format!("write the secret itself, or one of: {}", names.join(", "))
    };
    Finding {
        hint,
        kind: FaultKind::Dangling,
        path: path.to_owned(),
        span,
        text: format!("the site file has no secret {} that could be kept", quoted(name)),
    }
}

/// Words for a secret where none belongs: it would be seen there.
fn astray(at: &str, table: &DeTable<'_>, marks: &[Mark], findings: &mut Vec<Finding>) {
    leaves(at, table, &mut |at, node| {
        let DeValue::String(text) = node.get_ref() else {
            return;
        };
        if text.trim_start().starts_with(BEGIN) && !marks.iter().any(|m| m.span == node.span()) {
            findings.push(Finding {
                hint: "allowed: only where a secret belongs, such as password".to_owned(),
                kind: FaultKind::Unsafe,
                path: at.to_owned(),
                span: node.span(),
                text: "a kept secret would be seen here".to_owned(),
            });
        }
    });
}

/// How a word for a secret begins.
pub(crate) const BEGIN: &str = "<kept: ";

fn word(mark: &Mark, kind: &str) -> String {
    let word = format!("<{kind}: {}>", mark.name);
    // names are plain, so that the word needs no escapes
    if mark.comment {
        format!(" {word}")
    } else {
        format!("\"{word}\"")
    }
}

/// The name in a word, as it stands in the text.
fn named(raw: &str) -> Option<&str> {
    let raw = raw.trim();
    let inner = raw
        .strip_prefix('"')
        .and_then(|r| r.strip_suffix('"'))
        .or_else(|| raw.strip_prefix('\'').and_then(|r| r.strip_suffix('\'')));
    inner.unwrap_or(raw).strip_prefix(BEGIN)?.strip_suffix('>')
}

/// The text with other words in place of the marked ones; `None` leaves one as it is.
fn replace(text: &str, marks: &[Mark], mut by: impl FnMut(&Mark) -> Option<String>) -> String {
    let mut made = String::with_capacity(text.len());
    let mut at = 0;
    for mark in marks {
        if let Some(word) = by(mark) {
            made.push_str(&text[at..mark.span.start]);
            made.push_str(&word);
            at = mark.span.end;
        }
    }
    made.push_str(&text[at..]);
    made
}

/// Every secret of a text, in its order.
fn marks(file: &str, text: &str) -> Result<Vec<Mark>, Faults> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if let Some(error) = errors.first() {
        let finding = Finding {
            hint: "this is not TOML".to_owned(),
            kind: FaultKind::Syntax,
            path: String::new(),
            span: error.span().unwrap_or(0..0),
            text: error.message().to_owned(),
        };
        let all = 0..text.len();
        return Err(Faults {
            cut: false,
            file: file.to_owned(),
            list: place(text, vec![finding], std::slice::from_ref(&all)),
        });
    }
    let mut reader = Reader::default();
    let _ = record_of::<Config>("", document.get_ref(), &mut reader);
    let names = secret_keys();
    let unknown: BTreeSet<&str> = reader.unknown.iter().map(String::as_str).collect();
    reader.secrets.sort_by_key(|span| span.start);
    let mut marks: Vec<Mark> = Vec::new();
    let mut taken = Vec::new();
    leaves("", document.get_ref(), &mut |at, node| {
        let span = node.span();
        let key = at.rsplit('.').next().unwrap_or_default();
        let key = key.split('[').next().unwrap_or_default();
        let mut above = at.match_indices(['.', '[']).map(|(cut, _)| &at[..cut]);
        if names.contains(key)
            || unknown.contains(at)
            || above.any(|path| unknown.contains(path))
            || covering(&reader.secrets, span.start).is_some()
        {
            marks.push(Mark {
                comment: false,
                name: at.to_owned(),
                span: span.clone(),
            });
        }
        taken.push(span);
    });
    keys(document.get_ref(), &mut taken);
    taken.sort_by_key(|span| span.start);
    marks.sort_by_key(|mark| mark.span.start);
    for (number, mark) in marks.iter_mut().enumerate() {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-[]".contains(c);
        if !mark.name.chars().all(plain) {
            mark.name = format!("secret {}", number + 1);
        }
    }
    marks.extend(comments(text, &taken, &names));
    marks.sort_by_key(|mark| mark.span.start);
    Ok(marks)
}

/// The one of these ranges, in order and apart from each other, that holds a place.
fn covering(ranges: &[Range<usize>], at: usize) -> Option<&Range<usize>> {
    let behind = ranges.partition_point(|span| span.start <= at);
    ranges[..behind].last().filter(|span| span.contains(&at))
}

/// What comments give to keys of secrets: `# password = "old"`. `taken` is where keys and values stand.
fn comments(text: &str, taken: &[Range<usize>], names: &BTreeSet<&'static str>) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    let mut from = 0;
    while let Some(found) = text[from..].find('#') {
        let at = from + found;
        if let Some(value) = covering(taken, at) {
            from = value.end;
            continue;
        }
        let end = text[at..].find('\n').map_or(text.len(), |n| at + n);
        let end = at + text[at..end].trim_end().len();
        from = end.max(at + 1);
        let comment = &text[at..end];
        let key = |sign: usize| {
            let before = comment[..sign].trim_end().trim_end_matches(['"', '\'']);
            let mut words = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
            words.next().unwrap_or_default()
        };
        let secret = comment
            .match_indices('=')
            .find(|(sign, _)| names.contains(key(*sign)) || gives_away(key(*sign), &comment[sign + 1..]));
        if let Some((sign, _)) = secret {
            marks.push(Mark {
                comment: true,
                name: format!("comment {}", marks.len() + 1),
                span: at + sign + 1..end,
            });
        }
    }
    marks
}

/// Would a comment show by its key what the file hides only where it gives a secret away?
fn gives_away(key: &str, value: &str) -> bool {
    let value = value.trim().trim_matches(['"', '\'']);
    match key {
        "api" | "server" | "url" => value.starts_with(BEGIN) || secret_address(value),
        "body" | "off" | "off-body" | "on" | "on-body" | "state" => {
            value.starts_with(BEGIN) || named_secret(value).is_some() || named_element(value).is_some()
        }
        _ => false,
    }
}

/// Visits every value that is neither table nor list, with its path.
pub(crate) fn leaves(at: &str, table: &DeTable<'_>, visit: &mut dyn FnMut(&str, Node<'_>)) {
    fn value(at: &str, node: Node<'_>, visit: &mut dyn FnMut(&str, Node<'_>)) {
        match node.get_ref() {
            DeValue::Array(all) => {
                for (index, node) in all.iter().enumerate() {
                    value(&format!("{at}[{index}]"), node, visit);
                }
            }
            DeValue::Table(table) => leaves(at, table, visit),
            DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Float(_)
            | DeValue::Integer(_)
            | DeValue::String(_) => visit(at, node),
        }
    }
    for (name, node) in table {
        value(&join(at, name.get_ref()), node, visit);
    }
}

/// Where the keys stand.
fn keys(table: &DeTable<'_>, found: &mut Vec<Range<usize>>) {
    fn value(node: Node<'_>, found: &mut Vec<Range<usize>>) {
        match node.get_ref() {
            DeValue::Array(all) => all.iter().for_each(|node| value(node, found)),
            DeValue::Table(table) => keys(table, found),
            DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Float(_)
            | DeValue::Integer(_)
            | DeValue::String(_) => {}
        }
    }
    for (name, node) in table {
        found.push(name.span());
        value(node, found);
    }
}

/// Names of the keys that hold secrets, anywhere in a site file.
fn secret_keys() -> BTreeSet<&'static str> {
    fn shape(key: &'static str, of: &Shape, found: &mut BTreeSet<&'static str>) {
        match of {
            Shape::Either(shapes) => shapes.iter().for_each(|s| shape(key, s, found)),
            Shape::List { of, .. } => shape(key, of, found),
            Shape::Map { of, .. } | Shape::Table(of) => table(&of(), found),
            Shape::Secret(_) => drop(found.insert(key)),
            Shape::Bool
            | Shape::Duration { .. }
            | Shape::Int { .. }
            | Shape::Name { .. }
            | Shape::Text { .. }
            | Shape::Words(_) => {}
        }
    }
    fn table(info: &TableInfo, found: &mut BTreeSet<&'static str>) {
        for key in &info.keys {
            shape(key.key, &key.shape, found);
        }
        for choice in &info.choice {
            table(&(choice.table)(), found);
        }
    }
    let mut found = BTreeSet::new();
    table(&Config::info(), &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# password = "old one"  # of before
[accounts.pbx] # not "here"
domain = "pbx#1"
password = "s3cr3t"
# digits=12 and more
[codes]
nine = { digits = "9911", doors = ["front"] }
[cards.alice]
card = '26:1,2'
pasword = "typo"
[accounts."bad name"]
password = """
two
lines"""
[[logins.radius.servers]]
secret = "first"
[[logins.radius.servers]]
secret = "second"
[whatever]
list = ["x", { y = 5 }]
"#;
    const SECRETS: [&str; 10] = [
        "old one", "s3cr3t", "12 and", "9911", "26:1", "typo", "two", "first", "second", "= 5",
    ];

    fn shown() -> String {
        veil("site.toml", TEXT).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn no_secret_is_shown_and_everything_else_is() {
        let shown = shown();
        for secret in SECRETS {
            assert!(
                TEXT.contains(secret) && !shown.contains(secret),
                "{secret}: {shown}"
            );
        }
        for line in [
            "# password = <kept: comment 1>\n",
            "[accounts.pbx] # not \"here\"\ndomain = \"pbx#1\"\n",
            "password = \"<kept: accounts.pbx.password>\"\n",
            "# digits= <kept: comment 2>\n",
            "nine = { digits = \"<kept: codes.nine.digits>\", doors = [\"front\"] }\n",
            "secret = \"<kept: logins.radius.servers[1].secret>\"\n",
            "list = [\"<kept: whatever.list[0]>\", { y = \"<kept: whatever.list[1].y>\" }]\n",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
    }

    #[test]
    fn what_was_shown_comes_back_as_it_was() {
        let back = unveil("site.toml", &shown(), TEXT).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(back, TEXT);
        // a text with no words in it is what it is
        assert_eq!(unveil("site.toml", TEXT, "").as_deref(), Ok(TEXT));
    }

    #[test]
    fn a_secret_is_kept_where_it_goes_and_nowhere_else() {
        let moved = "[accounts.new]\npassword = '<kept: accounts.pbx.password>'\n";
        assert_eq!(
            unveil("site.toml", moved, TEXT).as_deref(),
            Ok("[accounts.new]\npassword = \"s3cr3t\"\n")
        );
        let says = |given: &str| unveil("site.toml", given, TEXT).expect_err(given).to_string();
        let missing = says("[accounts.a]\npassword = \"<kept: accounts.b.password>\"\n");
        assert!(
            missing.contains("site.toml:2:12: accounts.a.password: the site file has no secret"),
            "{missing}"
        );
        assert!(missing.contains("accounts.pbx.password"), "{missing}");
        let seen = says("[site]\nname = \"<kept: accounts.pbx.password>\"\n");
        assert!(seen.contains("would be seen here"), "{seen}");
        assert!(!seen.contains("s3cr3t"), "{seen}");
        // a comment that would be shown takes no secret
        let comment = "# see <kept: comment 1>\n";
        assert_eq!(unveil("site.toml", comment, TEXT).as_deref(), Ok(comment));
    }

    #[test]
    fn a_changed_secret_is_seen_to_have_changed() {
        let new = TEXT.replace("s3cr3t", "other").replace("pbx#1", "pbx#2");
        let both = veil_both("site.toml", TEXT, &new).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(both.old, shown());
        assert_eq!(
            crate::unified(&both.old, &both.new)
                .lines()
                .filter(|l| l.starts_with(['+', '-']))
                .collect::<Vec<_>>(),
            [
                "-domain = \"pbx#1\"",
                "-password = \"<kept: accounts.pbx.password>\"",
                "+domain = \"pbx#2\"",
                "+password = \"<new: accounts.pbx.password>\"",
            ]
        );
    }

    #[test]
    fn a_request_that_gives_a_secret_away_is_not_shown_and_any_other_one_is() {
        let text = "[outputs.gate.http]\nserver = \"http://192.0.2.42\"\non = \"/cm?user=a&password=j0ker&cmnd=Power\"\n\
                    off = \"/cm?password={password}&cmnd=Off\"\n";
        let shown = veil("site.toml", text).expect("TOML");
        assert!(
            !shown.contains("j0ker") && shown.contains("<kept: outputs.gate.http.on>"),
            "{shown}"
        );
        assert!(shown.contains("password={password}&cmnd=Off"), "{shown}");
        assert_eq!(unveil("site.toml", &shown, text).as_deref(), Ok(text));
    }

    #[test]
    fn a_webhook_that_gives_a_secret_away_is_not_shown_and_any_other_one_is() {
        let text = "[notify.erp.webhook]\nurl = \"https://erp.example/hooks?token=QUERYSECRET\"\n\
                    body = '{{\"api_key\":\"B0DYSECRET\",\"what\":\"{kind}\"}}'\n\
                    # url = \"https://erp.example/old?token=OLDSECRET\"\n# see url = docs\n\
                    [notify.chat.webhook]\nurl = \"https://chat.example/hooks/Pa7hS3cr3tPa7hS3cr3t\"\n\
                    [notify.user.webhook]\nurl = \"https://door:L0GIN@erp.example/hooks\"\n\
                    [notify.xml.webhook]\nurl = \"https://erp.example/hooks/door\"\nbody = \"<a><token>XMLSECRET</token></a>\"\n\
                    [notify.bot.telegram]\napi = \"https://bot.example/B0tS3cr3tB0tS3cr3t\"\n\
                    [notify.plain.webhook]\nurl = \"https://erp.example/plain\"\nbody = \"what={kind}\"\n";
        let shown = veil("site.toml", text).expect("TOML");
        for secret in [
            "QUERYSECRET",
            "B0DYSECRET",
            "OLDSECRET",
            "Pa7hS3cr3t",
            "L0GIN",
            "XMLSECRET",
            "B0tS3cr3t",
        ] {
            assert!(
                text.contains(secret) && !shown.contains(secret),
                "{secret}: {shown}"
            );
        }
        for line in [
            "url = \"<kept: notify.erp.webhook.url>\"\nbody = \"<kept: notify.erp.webhook.body>\"\n",
            "# url = <kept: comment 1>\n# see url = docs\n",
            "url = \"https://erp.example/hooks/door\"\nbody = \"<kept: notify.xml.webhook.body>\"\n",
            "url = \"https://erp.example/plain\"\nbody = \"what={kind}\"\n",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
        assert_eq!(unveil("site.toml", &shown, text).as_deref(), Ok(text));
        let new = text.replace("QUERYSECRET", "NEWSECRET");
        let both = veil_both("site.toml", text, &new).expect("TOML");
        assert!(
            both.new.contains("url = \"<new: notify.erp.webhook.url>\"") && !both.new.contains("NEWSECRET"),
            "{}",
            both.new
        );
    }

    #[test]
    fn what_is_no_toml_is_not_shown() {
        let broken = "[accounts.pbx]\npassword = \"s3cr3t\nuser = 1\n";
        let faults = veil("site.toml", broken).expect_err("no TOML").to_string();
        assert!(faults.contains("site.toml:2:"), "{faults}");
        assert!(!faults.contains("s3cr3t"), "{faults}");
    }

    #[test]
    fn secrets_of_every_kind_are_known() {
        let keys = secret_keys();
        for key in [
            "password",
            "digits",
            "card",
            "pin",
            "secret",
            "token",
            "client-passphrase",
        ] {
            assert!(keys.contains(key), "{key}: {keys:?}");
        }
        assert!(
            !keys.contains("name") && !keys.contains("password-file"),
            "{keys:?}"
        );
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_toml_comes_back(text in "([a-z#=\"' \\[\\].\n]|password = |digits = \"1\"\n|# pin = 1\n){0,30}") {
            if let Ok(shown) = veil("f", &text) {
                let back = unveil("f", &shown, &text);
                proptest::prop_assert_eq!(back.as_deref(), Ok(text.as_str()));
            }
        }
    }
}
