//! How a call is to ring and to be answered: Alert-Info and Call-Info as telephones know them, and Answer-Mode (RFC 5373),
//! both ways.
//!
//! No standard says how an intercom asks a telephone to answer by itself. Makers read one of three: a parameter
//! `answer-after` of Call-Info, `info=alert-autoanswer` of Alert-Info, or `Answer-Mode: Auto`. We write all of them and
//! understand each. Whoever asks is known already: requests of strangers do not come so far.

use gateway_core::Manner;

use crate::{HeaderName, Headers, Params, Request};

/// What makers read who look into Alert-Info; the address is the one their manuals have, and nothing is fetched from it.
const BY_ITSELF: &str = "<http://127.0.0.1>;info=alert-autoanswer;delay=0";
/// Words of Alert-Info by which a telephone is asked to answer, as makers write them.
const WORDS: [&str; 5] = [
    "alert-autoanswer",
    "auto answer",
    "auto-answer",
    "autoanswer",
    "ring-answer",
];
/// Values looked at of one header: a message may have many.
const MOST: usize = 8;

/// Adds the headers of a manner to an INVITE; `domain` stands in Call-Info. What the operator wrote for Alert-Info stands
/// alone there, since telephones read the first value only.
pub(crate) fn write(mut request: Request, manner: &Manner, domain: &str) -> Request {
    let by_itself = manner.answers_itself == Some(true);
    if let Some(alert) = &manner.alert {
        request = request.with(HeaderName::AlertInfo, alert.as_str());
    } else if by_itself {
        request = request.with(HeaderName::AlertInfo, BY_ITSELF);
    }
    if by_itself {
        request = request
            .with(HeaderName::CallInfo, format!("<sip:{domain}>;answer-after=0"))
            .with(HeaderName::AnswerMode, "Auto");
    }
    request
}

/// Does an INVITE ask to be answered without anybody doing so? Whoever says "at once" and whoever says "after some seconds"
/// both do.
pub(crate) fn asks_answer(headers: &Headers) -> bool {
    let mode = |name: &HeaderName| {
        let value = headers.text(name).unwrap_or_default();
        let mode = value.split(';').next().unwrap_or_default().trim();
        mode.eq_ignore_ascii_case("auto")
    };
    let after = |value: &str| parameters(value).get("answer-after").is_some_and(is_seconds);
    let word = |value: &str| {
        let value = value.to_ascii_lowercase();
        WORDS.iter().any(|word| value.contains(word))
    };
    [HeaderName::AnswerMode, HeaderName::PrivAnswerMode]
        .iter()
        .any(mode)
        || values(headers, &HeaderName::CallInfo).iter().any(|v| after(v))
        || values(headers, &HeaderName::AlertInfo)
            .iter()
            .any(|v| word(v) || after(v))
}

fn values(headers: &Headers, name: &HeaderName) -> Vec<String> {
    let mut all = headers.list(name);
    all.truncate(MOST);
    all
}

/// The parameters after the address, which some leave out or empty.
fn parameters(value: &str) -> Params {
    let after = value.rfind('>').map_or(value, |at| &value[at + 1..]);
    let from = after.find(';').map_or("", |at| &after[at..]);
    Params::parse(from).unwrap_or_default()
}

fn is_seconds(text: &str) -> bool {
    !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Host, Method, Uri};
    use proptest::prelude::*;

    fn asked(name: HeaderName, value: &str) -> bool {
        let mut headers = Headers::new();
        headers.push(name, value);
        asks_answer(&headers)
    }

    fn written(manner: &Manner) -> Headers {
        let uri = Uri::sip(Some("1"), Host::Name("pbx.example".into()), None);
        write(Request::new(Method::INVITE, uri), manner, "pbx.example").headers
    }

    #[test]
    fn every_form_that_makers_have_asks_for_an_answer() {
        for value in [
            "<sip:pbx>;answer-after=0",
            ";answer-after=0",
            "<sip:10.0.0.1>; answer-after=5",
            "<http://x/pic.png>;purpose=icon, <sip:pbx>;answer-after=0",
        ] {
            assert!(asked(HeaderName::CallInfo, value), "{value}");
        }
        for value in [
            "<http://www.notused.com>;info=alert-autoanswer;delay=0",
            "info=alert-autoanswer",
            "Auto Answer",
            "Ring-Answer",
            "<sip:pbx>;answer-after=0",
        ] {
            assert!(asked(HeaderName::AlertInfo, value), "{value}");
        }
        assert!(asked(HeaderName::AnswerMode, "Auto"));
        assert!(asked(HeaderName::AnswerMode, "auto;require"));
        assert!(asked(HeaderName::PrivAnswerMode, "Auto"));
    }

    #[test]
    fn what_only_looks_like_it_does_not() {
        for value in [
            "<http://x/answer-after=0>;purpose=info",
            "<sip:pbx>;answer-after",
            "<sip:pbx>;answer-after=soon",
            "",
        ] {
            assert!(!asked(HeaderName::CallInfo, value), "{value}");
        }
        assert!(!asked(HeaderName::AlertInfo, "<http://x>;info=alert-internal"));
        assert!(!asked(HeaderName::AnswerMode, "Manual"));
        assert!(!asked(HeaderName::Subject, "Auto Answer"));
        assert!(!asks_answer(&Headers::new()));
    }

    #[test]
    fn a_phone_is_asked_in_each_way_and_we_would_understand_each() {
        let manner = Manner {
            alert: None,
            answers_itself: Some(true),
            keys: None,
        };
        let all = written(&manner);
        for name in [
            HeaderName::AlertInfo,
            HeaderName::CallInfo,
            HeaderName::AnswerMode,
        ] {
            let mut one = Headers::new();
            one.push(name.clone(), all.get(&name).expect("written").clone());
            assert!(asks_answer(&one), "{name}");
        }
    }

    #[test]
    fn a_ring_tone_of_the_operator_stands_alone_and_nothing_is_written_unasked() {
        let alert = "<http://127.0.0.1/door>;info=external";
        let mut manner = Manner {
            alert: Some(alert.into()),
            answers_itself: Some(false),
            keys: None,
        };
        assert_eq!(
            written(&manner).text(&HeaderName::AlertInfo).as_deref(),
            Some(alert)
        );
        assert!(!asks_answer(&written(&manner)));
        manner.answers_itself = Some(true);
        assert_eq!(written(&manner).all(&HeaderName::AlertInfo).count(), 1);
        assert!(asks_answer(&written(&manner)));
        assert_eq!(written(&Manner::default()).len(), 1, "Max-Forwards");
    }

    proptest! {
        /// Whatever stands there: it is read without a panic, and only what has one of the words is taken for one.
        #[test]
        fn any_header_is_read(text in "\\PC{0,80}") {
            let after = asked(HeaderName::CallInfo, &text);
            prop_assert!(!after || text.to_ascii_lowercase().contains("answer-after"));
            asked(HeaderName::AlertInfo, &text);
            asked(HeaderName::AnswerMode, &text);
        }
    }
}
