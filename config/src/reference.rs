//! The reference page of the site file, made of the declarations of the keys.

use std::fmt::Write;

use crate::describe::{KeyInfo, Need, Shape, TableInfo, prose};
use crate::model::Config;
use crate::read::Record;

const HEAD: &str = "\
# Site file: every key

This page is made of the program's own declarations (`cargo test -p gateway-config` says when it is not
current; `DOORLINE_BLESS=1 cargo test -p gateway-config` writes it anew).

Lengths of time are numbers in the unit that the key ends with, or text with a unit: `3000`, `\"3000 ms\"`,
`\"3 s\"`, `\"2 min\"`. Names are 1 to 40 characters of `a-z 0-9 - _`. *On change* says what a reload (SIGHUP)
does: **live** is taken over while calls and pulses go on; **restart** stops and starts that component;
**process** needs the whole gateway started anew.
";

/// The page, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    let root = Config::info();
    for key in &root.keys {
        let (path, info) = match &key.shape {
            Shape::Map { name, of } => (format!("{}.{}", key.key, name.to_uppercase()), of()),
            Shape::Table(of) => (key.key.to_owned(), of()),
            Shape::Bool
            | Shape::Duration { .. }
            | Shape::Either(_)
            | Shape::Int { .. }
            | Shape::List { .. }
            | Shape::Name { .. }
            | Shape::Secret(_)
            | Shape::Text { .. }
            | Shape::Words(_) => continue,
        };
        section(&mut page, 2, &path, &prose(key.docs), &info);
    }
    page
}

fn section(page: &mut String, depth: usize, path: &str, text: &str, info: &TableInfo) {
    let put = "writing to a String";
    write!(page, "\n{} `[{path}]`\n\n{text}\n", "#".repeat(depth)).expect(put);
    if !info.choice.is_empty() {
        let families: Vec<String> = info
            .choice
            .iter()
            .map(|c| format!("`[{path}.{}]`", c.key))
            .collect();
        write!(page, "\nExactly one of: {}.\n", families.join(", ")).expect(put);
    }
    if !info.keys.is_empty() {
        page.push_str("\n| Key | Value | Default | On change | Meaning |\n|---|---|---|---|---|\n");
        for key in &info.keys {
            row(page, key);
        }
        for key in &info.keys {
            words(page, key);
        }
    }
    let below = (depth + 1).min(4);
    for choice in &info.choice {
        section(
            page,
            below,
            &format!("{path}.{}", choice.key),
            &prose(choice.docs),
            &(choice.table)(),
        );
    }
    for key in &info.keys {
        if let Some((suffix, of)) = inner(&key.shape) {
            section(
                page,
                below,
                &format!("{path}.{}{suffix}", key.key),
                &prose(of.docs),
                &of,
            );
        }
    }
}

/// The table within a key, if there is one, and how its path goes on.
fn inner(shape: &Shape) -> Option<(String, TableInfo)> {
    match shape {
        Shape::Either(shapes) => shapes.iter().find_map(inner),
        Shape::List { of, .. } => inner(of).map(|(suffix, info)| (format!("[]{suffix}"), info)),
        Shape::Map { name, of } => Some((format!(".{}", name.to_uppercase()), of())),
        Shape::Table(of) => Some((String::new(), of())),
        Shape::Bool
        | Shape::Duration { .. }
        | Shape::Int { .. }
        | Shape::Name { .. }
        | Shape::Secret(_)
        | Shape::Text { .. }
        | Shape::Words(_) => None,
    }
}

fn row(page: &mut String, key: &KeyInfo) {
    let default = match key.need {
        Need::Default("{}") => "empty".to_owned(),
        Need::Default(toml) => format!("`{toml}`"),
        Need::Optional => "none".to_owned(),
        Need::Required => "**required**".to_owned(),
    };
    let meaning = prose(key.docs).replace('|', "\\|");
    writeln!(
        page,
        "| `{}` | {} | {default} | {} | {meaning} |",
        key.key,
        value(&key.shape),
        key.apply.word()
    )
    .expect("writing to a String");
}

fn value(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "true or false".to_owned(),
        Shape::Duration { max, min, unit } => format!("{min} to {max} {}", unit.short()),
        Shape::Either(shapes) => shapes.iter().map(value).collect::<Vec<_>>().join(", or "),
        Shape::Int { max, min } => format!("{min} to {max}"),
        Shape::List { max, min, of } => format!("list of {min} to {max}: {}", value(of)),
        Shape::Map { .. } => "tables by name".to_owned(),
        Shape::Name { of: Some(of) } => format!("name of an entry of `{of}s`"),
        Shape::Name { of: None } => "name".to_owned(),
        Shape::Secret(shape) => format!("{} (secret)", value(shape)),
        Shape::Table(_) => "table".to_owned(),
        Shape::Text { what, .. } => (*what).to_owned(),
        Shape::Words(words) => {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            words.join(", ")
        }
    }
}

fn words(page: &mut String, key: &KeyInfo) {
    let shape = if let Shape::List { of, .. } = &key.shape {
        of
    } else {
        &key.shape
    };
    let Shape::Words(words) = shape else { return };
    write!(page, "\n`{}`:\n", key.key).expect("writing to a String");
    for (word, text) in words {
        writeln!(page, "- `{word}`: {text}").expect("writing to a String");
    }
}
