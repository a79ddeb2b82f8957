//! What events tell, in words: for the documents that are made of the code.

use crate::value::Form;

/// A field of a kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldForm {
    /// Its meaning, by lines.
    pub about: &'static [&'static str],
    /// What its value can be.
    pub form: Form,
    /// Its name, with its unit.
    pub name: &'static str,
}

/// A kind of event, `family.tag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindForm {
    /// Its meaning, by lines.
    pub about: &'static [&'static str],
    /// What stands in its records besides what every record has.
    pub fields: &'static [FieldForm],
    /// Second word of the kind.
    pub tag: &'static str,
}

/// The lines of a comment as one text, without the brackets of links.
#[must_use]
pub fn said(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    lines.join(" ").replace("[`", "`").replace("`]", "`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, is_confidential};

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/events.md");

    fn form(form: Form) -> String {
        match form {
            Form::Bool => "true or false".to_owned(),
            Form::Int => "a whole number".to_owned(),
            Form::Maybe(of) => format!("{}, or null", self::form(*of)),
            Form::Text => "text".to_owned(),
            Form::Words(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                words.join(", ")
            }
        }
    }

    fn page() -> String {
        let mut page = "# Events\n\n\
            Every kind of record, as it stands in the journal, at the API, in webhooks and over MQTT. A record also has `seq`, `at`, \
            `kind`, `source`, `ring_id`, `simulated` and `schema`. There may be more kinds and fields in a later version: \
            leave out what you do not know. This page is made of the code.\n"
            .to_owned();
        for (family, kinds) in Event::forms() {
            if is_confidential(&format!("{family}.")) {
                page += &format!(
                    "\n## `{family}`\n\nOnly channels that ask for it are told, and no page and no API ([`alarms.md`](alarms.md)).\n"
                );
            } else {
                page += &format!("\n## `{family}`\n");
            }
            page += "\n| Kind | Meaning | Fields |\n|---|---|---|\n";
            for kind in *kinds {
                let fields: Vec<String> = kind
                    .fields
                    .iter()
                    .map(|field| {
                        format!(
                            "`{}`: {} ({})",
                            field.name,
                            said(field.about).trim_end_matches('.'),
                            form(field.form)
                        )
                    })
                    .collect();
                let tell = |text: &str| text.replace('|', "\\|");
                page += &format!(
                    "| `{family}.{}` | {} | {} |\n",
                    kind.tag,
                    tell(&said(kind.about)),
                    tell(&fields.join("; "))
                );
            }
        }
        page
    }

    #[test]
    fn the_page_of_events_says_what_the_code_says() {
        let made = page();
        if std::env::var_os("DOORLINE_BLESS").is_some() {
            std::fs::write(FILE, &made).expect("written");
        }
        let kept = std::fs::read_to_string(FILE).expect("readable");
        assert!(
            kept == made,
            "{FILE} is old: make it anew with DOORLINE_BLESS=1 and look at the difference"
        );
    }

    #[test]
    fn every_kind_and_field_has_a_meaning_and_every_family_its_kinds() {
        for ((family, kinds), (known, tags)) in Event::forms().iter().zip(Event::families()) {
            assert_eq!(family, known);
            let formed: Vec<&str> = kinds.iter().map(|kind| kind.tag).collect();
            assert_eq!(&formed, tags);
            for kind in *kinds {
                assert!(!said(kind.about).is_empty(), "{family}.{}", kind.tag);
                for field in kind.fields {
                    assert!(
                        !said(field.about).is_empty(),
                        "{family}.{}: {}",
                        kind.tag,
                        field.name
                    );
                }
            }
        }
    }
}
