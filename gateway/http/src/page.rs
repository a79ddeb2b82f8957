//! The page and its parts: static files of our own, words filled in here.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value};
use warp::Reply as _;
use warp::reply::Response;

use crate::app::App;
use crate::ask::Ask;
use crate::params::Language;
use crate::parse;
use crate::problem::Problem;

const PAGE: &str = include_str!("../assets/page.html");

/// Name, type, content.
const ASSETS: &[(&str, &str, &str)] = &[
    (
        "app.css",
        "text/css; charset=utf-8",
        include_str!("../assets/app.css"),
    ),
    (
        "admin.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/admin.js"),
    ),
    (
        "certificate.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/certificate.js"),
    ),
    (
        "network.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/network.js"),
    ),
    (
        "people.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/people.js"),
    ),
    (
        "reports.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/reports.js"),
    ),
    (
        "app.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/app.js"),
    ),
    ("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")),
    ("de.json", "application/json", include_str!("../assets/de.json")),
    ("en.json", "application/json", include_str!("../assets/en.json")),
    ("es.json", "application/json", include_str!("../assets/es.json")),
    ("fr.json", "application/json", include_str!("../assets/fr.json")),
    ("pt.json", "application/json", include_str!("../assets/pt.json")),
];

const fn catalogue(language: Language) -> &'static str {
    match language {
        Language::De => include_str!("../assets/de.json"),
        Language::En => include_str!("../assets/en.json"),
        Language::Es => include_str!("../assets/es.json"),
        Language::Fr => include_str!("../assets/fr.json"),
        Language::Pt => include_str!("../assets/pt.json"),
    }
}

/// What the browser asks for, else the site's.
pub(crate) fn language(app: &App, headers: &HeaderMap) -> Language {
    let wish = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok());
    wish.and_then(parse::accept_language)
        .unwrap_or(app.params.language)
}

pub(crate) fn page(app: &App, ask: &Ask) -> Result<Response, Problem> {
    let html = fill(PAGE, language(app, &ask.head.headers));
    Ok(file("text/html; charset=utf-8", html))
}

pub(crate) fn asset(ask: &Ask) -> Result<Response, Problem> {
    let name = ask.captured(0);
    let found = ASSETS.iter().find(|(n, _, _)| *n == name);
    let (_, kind, content) = found.ok_or_else(|| Problem::unknown("there is no such file"))?;
    let mut response = file(kind, *content);
    // A newer program has newer files under the same names.
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// The document of the API, as `openapi.rs` makes it of the routes and the types that serve.
pub(crate) fn openapi() -> Response {
    file("application/json", include_str!("../openapi.json"))
}

/// What stands in the program is sent from there, without a copy.
fn file(kind: &'static str, content: impl Into<Bytes>) -> Response {
    let mut response = http::Response::new(content.into()).into_response();
    *response.status_mut() = StatusCode::OK;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Puts the words of a language in place of `{{key}}`.
fn fill(template: &str, language: Language) -> String {
    let words: Map<String, Value> = serde_json::from_str(catalogue(language)).unwrap_or_default();
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((key, behind)) = after.split_once("}}") else {
            break;
        };
        out.push_str(before);
        match key {
            "lang" => out.push_str(language.code()),
            key => out.push_str(&escape(words.get(key).and_then(Value::as_str).unwrap_or(key))),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use gateway_core::{Cause, Event, LineState, Misread, Refusal};

    use super::*;

    fn words(language: Language) -> Map<String, Value> {
        serde_json::from_str(catalogue(language)).expect("the catalogue is an object")
    }

    #[test]
    fn every_language_has_every_word() {
        let keys = |l| words(l).keys().cloned().collect::<BTreeSet<_>>();
        let english = keys(Language::En);
        for language in Language::ALL {
            assert_eq!(keys(language), english, "{language:?}");
            for (key, value) in words(language) {
                let text = value.as_str().expect("a text");
                assert!(!text.is_empty(), "{language:?} {key}");
                let holes = |t: &str| t.matches('{').count();
                let original = words(Language::En);
                let original = original[&key].as_str().expect("a text");
                assert_eq!(holes(text), holes(original), "{language:?} {key}");
            }
        }
    }

    #[test]
    fn every_kind_of_event_is_said_in_words() {
        let kinds: BTreeSet<String> = Event::families()
            .iter()
            .flat_map(|(family, tags)| tags.iter().map(move |tag| format!("k-{family}.{tag}")))
            .collect();
        for language in Language::ALL {
            let said: BTreeSet<String> = words(language)
                .keys()
                .filter(|key| key.starts_with("k-"))
                .filter_map(|key| key.split(':').next())
                .map(str::to_owned)
                .collect();
            assert_eq!(said, kinds, "{language:?}");
        }
    }

    #[test]
    fn every_state_and_reason_of_an_event_is_said_in_words() {
        let states = LineState::ALL.iter().map(|word| word.word());
        let causes = Cause::ALL.iter().map(|word| word.word());
        let refusals = Refusal::ALL.iter().map(|word| word.word());
        let misreads = Misread::ALL.iter().map(|word| word.word());
        let english = words(Language::En);
        for word in states.chain(causes).chain(refusals).chain(misreads) {
            let said = ["v", "r"].map(|kind| english.contains_key(&format!("{kind}-{word}")));
            assert!(said.contains(&true), "{word}");
        }
    }

    #[test]
    fn the_page_has_all_its_words_and_no_inline_script_or_style() {
        for language in Language::ALL {
            let html = fill(PAGE, language);
            assert!(html.contains(&format!("<html lang=\"{}\"", language.code())));
            assert!(!html.contains("{{"), "{language:?}");
            for bad in [
                "onclick",
                "style=",
                "<style",
                "javascript:",
                "http://",
                "https://",
            ] {
                assert!(!html.contains(bad), "{bad}");
            }
            assert_eq!(
                html.matches("<script").count(),
                html.matches("<script src=").count()
            );
        }
        let known = words(Language::En);
        for piece in PAGE.split("{{").skip(1) {
            let key = piece.split("}}").next().expect("a key");
            assert!(key == "lang" || known.contains_key(key), "{key}");
        }
    }

    #[test]
    fn every_word_that_the_script_uses_is_in_the_catalogue() {
        let script = concat!(
            include_str!("../assets/app.js"),
            include_str!("../assets/admin.js"),
            include_str!("../assets/certificate.js"),
            include_str!("../assets/network.js"),
            include_str!("../assets/people.js"),
            include_str!("../assets/reports.js")
        );
        let known = words(Language::En);
        let mut used = 0;
        for (at, _) in script.match_indices("t(\"") {
            // `get("…")` ends in the same letters.
            if script[..at].ends_with(|c: char| c.is_alphanumeric()) {
                continue;
            }
            let key = script[at + 3..].split('"').next().expect("a key");
            assert!(known.contains_key(key), "{key}");
            used += 1;
        }
        assert!(used > 10, "the script uses words");
    }
}
