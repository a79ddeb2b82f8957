//! An answer on its way, and where it may go. Pure.
//!
//! Each answer goes to the response topic of the site. A request of MQTT 5 may name another topic (Response Topic,
//! §3.3.2.3.5): there it is told as well, with the correlation data of the request. Who may only command a door must not
//! move us to write where others listen for something else, so that not every topic is good for it.

use bytes::Bytes;

use crate::topics::Topics;

/// Longest response topic, and longest correlation data, in bytes.
const LONGEST: usize = 256;

/// Where a request wants its answer beside the response topic of the site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReplyTo {
    /// Given back.
    pub(crate) correlation: Option<Bytes>,
    pub(crate) topic: Option<String>,
}

/// One answer at one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) correlation: Option<Bytes>,
    pub(crate) text: String,
    pub(crate) topic: String,
}

/// Why nothing is answered there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadReply {
    #[error("the correlation data has {size} bytes, at most {LONGEST} are taken")]
    Correlation { size: usize },
    #[error(
        "the response topic {found:?} cannot be used: it must have 1 to {LONGEST} bytes, no wildcard and no control \
         character, and not begin with \"$\" or be a topic of a gateway, a device or a hub; take one below {allowed}/"
    )]
    Topic { allowed: String, found: String },
}

/// Checks what a request asks for. `reserved` are filters of topics that mean something to others: first levels, or whole
/// topics.
pub(crate) fn reply_to(
    topics: &Topics,
    reserved: &[String],
    topic: Option<&str>,
    correlation: Option<Bytes>,
) -> Result<ReplyTo, BadReply> {
    if let Some(size) = correlation
        .as_ref()
        .map(Bytes::len)
        .filter(|size| *size > LONGEST)
    {
        return Err(BadReply::Correlation { size });
    }
    let own = topics.response();
    let Some(topic) = topic.filter(|topic| *topic != own) else {
        return Ok(ReplyTo {
            correlation,
            topic: None,
        });
    };
    let is_below = |topic: &str, of: &str| {
        topic == of || topic.strip_prefix(of).is_some_and(|rest| rest.starts_with('/'))
    };
    let is_text = (1..=LONGEST).contains(&topic.len())
        && !topic.starts_with('$')
        && !topic.chars().any(|c| c.is_control() || c == '+' || c == '#');
    let is_ours = is_below(topic, &own);
    if is_text && (is_ours || !reserved.iter().any(|of| is_below(topic, of))) {
        return Ok(ReplyTo {
            correlation,
            topic: Some(topic.to_owned()),
        });
    }
    Err(BadReply::Topic {
        allowed: own,
        found: topic.chars().take(80).collect(),
    })
}

/// The answers at all their topics.
pub(crate) fn answers(topics: &Topics, to: ReplyTo, text: String) -> impl Iterator<Item = Answer> {
    let elsewhere = to.topic.map(|topic| Answer {
        correlation: to.correlation.clone(),
        text: text.clone(),
        topic,
    });
    let own = Answer {
        correlation: to.correlation,
        text,
        topic: topics.response(),
    };
    std::iter::once(own).chain(elsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(topic: &str) -> Result<Option<String>, BadReply> {
        let topics = Topics::new("doorline", "lilas");
        let reserved = [
            "doorline".to_owned(),
            "homeassistant".into(),
            "shelly/relay/command".into(),
        ];
        reply_to(&topics, &reserved, Some(topic), None).map(|to| to.topic)
    }

    #[test]
    fn an_answer_goes_where_nobody_takes_it_for_something_else() {
        for good in [
            "clients/7/reply",
            "doorline/lilas/response/desk",
            "doorlines",
            "shelly/relay",
            "x",
        ] {
            assert_eq!(check(good), Ok(Some(good.to_owned())));
        }
        assert_eq!(check("doorline/lilas/response"), Ok(None));
        for bad in [
            "",
            "doorline",
            "doorline/lilas/door/front/command",
            "doorline/lilas/door/front/state",
            "doorline/lilas/responses",
            "doorline/other/command",
            "homeassistant/lock/x/config",
            "shelly/relay/command",
            "$SYS/x",
            "$share/g/t",
            "a/+/b",
            "a/#",
            "a\u{0}b",
            &"x".repeat(257),
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn correlation_data_is_bounded_and_given_back() {
        let topics = Topics::new("doorline", "lilas");
        let data = |size| Some(Bytes::from(vec![0xff; size]));
        assert_eq!(
            reply_to(&topics, &[], None, data(257)),
            Err(BadReply::Correlation { size: 257 })
        );
        let to = reply_to(&topics, &[], Some("a"), data(256)).expect("good");
        let all: Vec<_> = answers(&topics, to, "{}".into()).collect();
        let topics: Vec<_> = all.iter().map(|answer| answer.topic.as_str()).collect();
        assert_eq!(topics, ["doorline/lilas/response", "a"]);
        assert!(all.iter().all(|answer| answer.correlation == data(256)));
    }
}
