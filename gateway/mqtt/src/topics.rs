//! Names of topics.

use std::fmt::Display;

/// What a command topic is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `…/door/<id>/command`; the text is not checked.
    Door(String),
    /// `…/panel/<id>/command`; the text is not checked.
    Panel(String),
    /// `…/command`.
    Site,
}

/// Longest topic of a rule's message, in bytes: eight levels of 40.
const MAX_TOPIC: usize = 327;

/// The topics of one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topics {
    root: String,
    site: String,
}

impl Topics {
    pub(crate) fn new(base: &str, site: impl Display) -> Self {
        Self {
            root: format!("{base}/{site}"),
            site: site.to_string(),
        }
    }

    /// User properties of everything that is said (MQTT 5).
    pub(crate) fn marks(&self) -> Vec<(&'static str, String)> {
        vec![("site", self.site.clone())]
    }

    /// Is this a topic of the site?
    pub(crate) fn is_ours(&self, topic: &str) -> bool {
        let below = topic.strip_prefix(&self.root);
        below.is_some_and(|rest| rest.starts_with('/'))
    }

    pub(crate) fn availability(&self) -> String {
        format!("{}/availability", self.root)
    }

    /// Where it is said, and not kept, that we are there.
    pub(crate) fn alive(&self) -> String {
        format!("{}/alive", self.root)
    }

    pub(crate) fn state(&self) -> String {
        format!("{}/state", self.root)
    }

    pub(crate) fn command(&self) -> String {
        format!("{}/command", self.root)
    }

    /// What the gateway is.
    pub(crate) fn info(&self) -> String {
        format!("{}/info", self.root)
    }

    /// What the doors are.
    pub(crate) fn doors(&self) -> String {
        format!("{}/doors", self.root)
    }

    pub(crate) fn event(&self) -> String {
        format!("{}/event", self.root)
    }

    pub(crate) fn response(&self) -> String {
        format!("{}/response", self.root)
    }

    /// Where a rule says something: below `message`, where no command is taken. `None` if it is no topic.
    pub(crate) fn message(&self, topic: &str) -> Option<String> {
        let fits = |level: &str| {
            !level.is_empty()
                && level
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        let good = topic.len() <= MAX_TOPIC && topic.split('/').all(fits);
        good.then(|| format!("{}/message/{topic}", self.root))
    }

    /// Where the version that runs stands, and the latest.
    pub(crate) fn update_state(&self) -> String {
        format!("{}/update/state", self.root)
    }

    /// Where an operator announces the latest version.
    pub(crate) fn update_latest(&self) -> String {
        format!("{}/update/latest", self.root)
    }

    /// Where others keep a picture of the last ring at a panel.
    pub(crate) fn picture(&self, panel: impl Display) -> String {
        self.of("panel", panel, "picture")
    }

    /// `kind` is `account`, `alarm`, `door`, `line`, `panel`, `reader` or `relay`.
    pub(crate) fn of(&self, kind: &str, id: impl Display, leaf: &str) -> String {
        format!("{}/{kind}/{id}/{leaf}", self.root)
    }

    /// Where nothing is ever said: what listens to it is never available.
    pub(crate) fn gone(&self) -> String {
        format!("{}/gone", self.root)
    }

    /// What must be subscribed for commands.
    pub(crate) fn command_filters(&self) -> [String; 3] {
        [
            format!("{}/door/+/command", self.root),
            format!("{}/panel/+/command", self.root),
            format!("{}/command", self.root),
        ]
    }

    /// What a command topic is about; `None` if it is none of ours.
    pub(crate) fn target(&self, topic: &str) -> Option<Target> {
        let rest = topic.strip_prefix(&self.root)?.strip_prefix('/')?;
        if rest == "command" {
            return Some(Target::Site);
        }
        let (kind, rest) = rest.split_once('/')?;
        let id = rest.strip_suffix("/command").filter(|id| !id.contains('/'))?;
        match kind {
            "door" => Some(Target::Door(id.to_owned())),
            "panel" => Some(Target::Panel(id.to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_a_rule_has_a_topic_of_its_own_and_none_of_a_command() {
        let topics = Topics::new("doorline", "lilas");
        let topic = topics.message("door/front/command").expect("a topic");
        assert_eq!(topic, "doorline/lilas/message/door/front/command");
        assert_eq!(topics.target(&topic), None);
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            "a/+/b",
            "#",
            "../command",
            "a b",
            &"x".repeat(328),
        ] {
            assert_eq!(topics.message(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_command_topic_names_its_target() {
        let topics = Topics::new("doorline", "lilas");
        let target = |topic| topics.target(topic);
        assert_eq!(target("doorline/lilas/command"), Some(Target::Site));
        assert_eq!(
            target("doorline/lilas/door/front/command"),
            Some(Target::Door("front".into()))
        );
        assert_eq!(
            target("doorline/lilas/panel/main/command"),
            Some(Target::Panel("main".into()))
        );
        for other in [
            "doorline/lilas/door/a/b/command",
            "doorline/lilas/door/front/state",
            "doorline/lilas/line/a/command",
            "doorline/lilasx/command",
            "doorline/lilas",
            "",
        ] {
            assert_eq!(target(other), None, "{other}");
        }
    }
}
