//! Single keys of a site file, changed in its text: comments, order and form of everything else stay.

use serde_json::Value as Json;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

/// Changes at once.
pub const MAX_EDITS: usize = 200;
/// Characters of a path.
const MAX_PATH: usize = 200;
/// Tables in tables of a new value.
const MAX_DEPTH: usize = 8;

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The key: `doors.front.strike-ms`, `lists.people.targets[0]`. The number behind the last element adds one.
    pub path: String,
    /// What it is from here on; null removes it.
    pub value: Json,
}

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// More than [`MAX_EDITS`].
    #[error("there are {0} changes, allowed are 1 to {MAX_EDITS} at once")]
    Count(usize),
    /// Something on the way is no table or list, or there is nothing to remove.
    #[error("{path}: {text}")]
    Path {
        /// The path of the change.
        path: String,
        /// What is wrong with it.
        text: String,
    },
    /// The text cannot be edited.
    #[error("the site file cannot be edited key by key: {0}")]
    Text(String),
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    At(usize),
    Key(String),
}

/// Makes all changes, in their order, or none.
///
/// # Errors
/// The first change that cannot be made.
pub fn edit(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    if !(1..=MAX_EDITS).contains(&edits.len()) {
        return Err(EditError::Count(edits.len()));
    }
    let document = text.parse::<DocumentMut>();
    let mut document = document.map_err(|e| EditError::Text(e.message().to_owned()))?;
    for edit in edits {
        let shown: String = edit.path.chars().take(MAX_PATH).collect();
        let wrong = |text: String| EditError::Path { path: shown, text };
        change(document.as_item_mut(), edit).map_err(wrong)?;
    }
    Ok(document.to_string())
}

fn change(root: &mut Item, edit: &Edit) -> Result<(), String> {
    let mut steps = steps(&edit.path)?;
    let last = steps.pop().ok_or("names no key")?;
    let removes = edit.value.is_null();
    let mut item = root;
    for step in &steps {
        item = into(item, step, removes)?;
    }
    match last {
        Step::At(at) if removes => remove_at(item, at),
        Step::At(at) => set_at(item, at, &edit.value),
        Step::Key(key) if removes => {
            let table = item.as_table_like_mut().ok_or("is in no table")?;
            let gone = table.remove(&key);
            gone.map(drop).ok_or_else(|| "is not there".to_owned())
        }
        Step::Key(key) => set_key(item, &key, &edit.value),
    }
}

/// `a.b[2].c` as its steps.
fn steps(path: &str) -> Result<Vec<Step>, String> {
    let form = "a path is names with dots between them, and numbers in brackets: doors.front.rex[0].kind";
    if path.is_empty() || path.chars().count() > MAX_PATH {
        return Err(format!("{form}, at most {MAX_PATH} characters"));
    }
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (name, rest) = part.find('[').map_or((part, ""), |at| part.split_at(at));
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(fits) {
            return Err(form.to_owned());
        }
        steps.push(Step::Key(name.to_owned()));
        let numbers = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match numbers {
            None if rest.is_empty() => {}
            None => return Err(form.to_owned()),
            Some(numbers) => {
                for number in numbers.split("][") {
                    let at = number.parse().map_err(|_| form.to_owned())?;
                    steps.push(Step::At(at));
                }
            }
        }
    }
    Ok(steps)
}

/// One step down; a table that is missing is made unless something is to be removed.
fn into<'i>(item: &'i mut Item, step: &Step, must_be: bool) -> Result<&'i mut Item, String> {
    match step {
        Step::At(at) => {
            let there = item.get_mut(*at);
            there.ok_or_else(|| format!("there is no element {at}"))
        }
        Step::Key(key) => {
            if let Some(table) = item.as_table_mut()
                && !table.contains_key(key)
                && !must_be
            {
                let mut made = Table::new();
                made.set_implicit(true);
                table.insert(key, Item::Table(made));
            }
            let table = item.as_table_like_mut().ok_or("is in no table")?;
            let there = table.get_mut(key);
            there.ok_or_else(|| format!("there is no table {key:?} on the way"))
        }
    }
}

fn set_key(item: &mut Item, key: &str, new: &Json) -> Result<(), String> {
    let inline = item.as_inline_table().is_some();
    let table = item.as_table_like_mut().ok_or("is in no table")?;
    let old = table.get_mut(key);
    if let Some(old) = old
        && let Some(value) = old.as_value_mut()
    {
        // its form around it, with a comment behind it, stays
        let mut changed = value_of(new, 0)?;
        *changed.decor_mut() = value.decor().clone();
        *value = changed;
        return Ok(());
    }
    if let (Json::Object(members), false) = (new, inline) {
        let mut made = Table::new();
        for (key, value) in members {
            made.insert(key, Item::Value(value_of(value, 0)?));
        }
        table.insert(key, Item::Table(made));
    } else {
        table.insert(key, Item::Value(value_of(new, 0)?));
    }
    Ok(())
}

fn set_at(item: &mut Item, at: usize, new: &Json) -> Result<(), String> {
    if let Some(tables) = item.as_array_of_tables_mut() {
        let Json::Object(members) = new else {
            return Err("takes a table".to_owned());
        };
        let mut made = Table::new();
        for (key, value) in members {
            made.insert(key, Item::Value(value_of(value, 0)?));
        }
        let count = tables.len();
        return match tables.get_mut(at) {
            Some(old) => {
                *made.decor_mut() = old.decor().clone();
                *old = made;
                Ok(())
            }
            None if at == count => {
                tables.push(made);
                Ok(())
            }
            None => Err(format!("there are {count} elements; {count} adds one")),
        };
    }
    let list = item.as_value_mut().and_then(Value::as_array_mut);
    let list = list.ok_or("is in no list")?;
    let value = value_of(new, 0)?;
    let count = list.len();
    match at {
        _ if at < count => drop(list.replace(at, value)),
        _ if at == count => list.push(value),
        _ => return Err(format!("there are {count} elements; {count} adds one")),
    }
    Ok(())
}

fn remove_at(item: &mut Item, at: usize) -> Result<(), String> {
    let missing = || format!("there is no element {at}");
    if let Some(tables) = item.as_array_of_tables_mut() {
        if at >= tables.len() {
            return Err(missing());
        }
        tables.remove(at);
        return Ok(());
    }
    let list = item.as_value_mut().and_then(Value::as_array_mut);
    let list = list.ok_or("is in no list")?;
    if at >= list.len() {
        return Err(missing());
    }
    list.remove(at);
    // the blank that was between them
    if at == 0
        && let Some(first) = list.get_mut(0)
        && first.decor().prefix().and_then(|p| p.as_str()) == Some(" ")
    {
        first.decor_mut().set_prefix("");
    }
    Ok(())
}

fn value_of(json: &Json, depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err(format!("has more than {MAX_DEPTH} tables or lists in each other"));
    }
    Ok(match json {
        Json::Array(all) => {
            let mut list = Array::new();
            for value in all {
                list.push(value_of(value, depth + 1)?);
            }
            Value::from(list)
        }
        Json::Bool(b) => Value::from(*b),
        Json::Null => return Err("null stands in a list or table; leave it out".to_owned()),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::from(whole),
            (None, Some(fraction)) if !number.is_u64() => Value::from(fraction),
            (None, _) => return Err(format!("{number} is more than a site file can hold")),
        },
        Json::Object(members) => {
            let mut table = InlineTable::new();
            for (key, value) in members {
                table.insert(key, value_of(value, depth + 1)?);
            }
            Value::from(table)
        }
        Json::String(text) => Value::from(text.as_str()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "# our house\n[doors.front] # the main one\nname = \"Front\" # as the bell says\n\
                        strike-ms  =  3000  # long enough\nrex = [{ input = \"a\", kind = \"unlock\" }]\n\n\
                        # whom it rings\n[lists.people]\ntargets = [\"1000\", \"1001\"]\n";

    fn edited(path: &str, value: Json) -> Result<String, String> {
        let path = path.to_owned();
        edit(TEXT, &[Edit { path, value }]).map_err(|e| e.to_string())
    }

    #[track_caller]
    fn check(path: &str, value: Json, from: &str, to: &str) {
        assert!(TEXT.contains(from), "{from:?}");
        assert_eq!(edited(path, value), Ok(TEXT.replace(from, to)), "{path}");
    }

    #[test]
    fn only_what_is_named_changes() {
        check("doors.front.strike-ms", json!(5000), "3000", "5000");
        check("doors.front.name", json!("A \"b\""), "\"Front\"", "'A \"b\"'");
        check(
            "doors.front.rex[0].kind",
            json!("shunt"),
            "\"unlock\"",
            "\"shunt\"",
        );
        check("lists.people.targets[1]", json!("1002"), "1001", "1002");
        check(
            "lists.people.targets[2]",
            json!("9"),
            "\"1001\"]",
            "\"1001\", \"9\"]",
        );
        check(
            "lists.people.targets[0]",
            json!(null),
            "[\"1000\", \"1001\"]",
            "[\"1001\"]",
        );
        check(
            "doors.front.strike-ms",
            json!(null),
            "strike-ms  =  3000  # long enough\n",
            "",
        );
        check("doors.front.name", json!("Front"), "Front", "Front");
    }

    #[test]
    fn a_new_table_comes_where_its_neighbours_are() {
        let text = edited("codes.nine", json!({ "digits": "9", "doors": ["front"] }));
        let text = text.expect("edits");
        assert!(
            text.ends_with("[codes.nine]\ndigits = \"9\"\ndoors = [\"front\"]\n"),
            "{text}"
        );
        assert!(text.starts_with(TEXT), "{text}");
        let text = edited("doors.front.contact.input", json!("c")).expect("edits");
        assert!(text.contains("[doors.front.contact]\ninput = \"c\"\n"), "{text}");
        toml::from_str::<toml::Table>(&text).expect("still TOML");
    }

    #[test]
    fn what_cannot_be_done_says_why() {
        for (path, value, says) in [
            ("", json!(1), "a path is names"),
            ("doors..a", json!(1), "a path is names"),
            ("doors.front[", json!(1), "a path is names"),
            ("doors.front[x]", json!(1), "a path is names"),
            ("doors.front.name.a", json!(1), "is in no table"),
            ("doors.back.name", json!(null), "there is no table \"back\""),
            ("doors.front.nothing", json!(null), "is not there"),
            ("lists.people.targets[7]", json!(1), "there are 2 elements"),
            ("lists.people.targets[7]", json!(null), "no element 7"),
            ("doors.front[0]", json!(1), "is in no list"),
            ("doors.front.strike-ms", json!(u64::MAX), "more than a site file"),
            ("doors.front.strike-ms", json!([null]), "null stands in a list"),
        ] {
            let error = edited(path, value).expect_err(path);
            assert!(error.contains(says), "{path}: {error}");
        }
        assert_eq!(edit(TEXT, &[]), Err(EditError::Count(0)));
        assert!(matches!(
            edit(
                "a = [",
                &[Edit {
                    path: "a".into(),
                    value: json!(1)
                }]
            ),
            Err(EditError::Text(_))
        ));
    }

    proptest::proptest! {
        #[test]
        fn no_path_makes_a_panic(path in "[a-z.\\[\\]0-9]{0,30}", n in 0_u8..5) {
            let value = [json!(null), json!(1), json!({"a": 1}), json!([1]), json!("x")][usize::from(n)].clone();
            if let Ok(text) = edited(&path, value) {
                toml::from_str::<toml::Table>(&text).expect("still TOML");
            }
        }
    }
}
