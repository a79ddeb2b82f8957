//! The state of an account's calls as subscribers read it: `application/dialog-info+xml` (RFC 4235 §4).
//!
//! Always the full state. Who talks, Call-ID and tags are left out: a lamp needs none of them, and by Call-ID and tags a
//! call can be taken over (RFC 3891).

use std::fmt::Write as _;

use super::call::{Call, Phase};

/// Media type of the document.
pub(crate) const MEDIA_TYPE: &str = "application/dialog-info+xml";

/// State of one dialog (RFC 4235 §3.7.1); a dialog that is over is not told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Answered.
    Confirmed,
    /// It rings.
    Early,
    /// Somebody is called and has not rung yet.
    Trying,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Early => "early",
            Self::Trying => "trying",
        }
    }
}

/// One dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Unique among the dialogs of one document, and the same as long as the dialog lives.
    pub(crate) id: String,
    /// True: we called.
    pub(crate) outgoing: bool,
    pub(crate) state: State,
}

impl Shown {
    /// The dialog that says that the line of a door is out of order: nobody can be called there, as if it were busy.
    pub(crate) fn fault() -> Self {
        Self {
            id: "line-fault".into(),
            outgoing: false,
            state: State::Confirmed,
        }
    }
}

/// How a call is shown; `None` if it is over.
pub(crate) fn state_of(call: &Call) -> Option<State> {
    match &call.phase {
        Phase::Over => None,
        Phase::Accepted | Phase::Confirmed => Some(State::Confirmed),
        Phase::Incoming { .. } => Some(State::Early),
        Phase::Calling { .. } if call.dialing.as_ref().is_some_and(|dialing| dialing.rang) => {
            Some(State::Early)
        }
        Phase::Calling { .. } | Phase::Reaching { .. } | Phase::WaitingAccount | Phase::WaitingOffer => {
            Some(State::Trying)
        }
    }
}

/// The document. `entity` is the address of record; `version` counts from 0 within a subscription.
pub(crate) fn document(entity: &str, version: u32, dialogs: &[Shown]) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\"?>\r\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{version}\" \
         state=\"full\" entity=\"{}\">\r\n",
        escaped(entity)
    );
    for dialog in dialogs {
        let direction = if dialog.outgoing { "initiator" } else { "recipient" };
        // writing to a string does not fail
        let _ = write!(
            text,
            "<dialog id=\"{}\" direction=\"{direction}\"><state>{}</state></dialog>\r\n",
            escaped(&dialog.id),
            dialog.state.word()
        );
    }
    text.push_str("</dialog-info>\r\n");
    text
}

/// Text as it stands in an attribute or element of XML; what XML 1.0 cannot hold is left out.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_full_state_and_neither_names_nor_tags() {
        let dialogs = [
            Shown {
                id: "leg-1".into(),
                outgoing: true,
                state: State::Early,
            },
            Shown::fault(),
        ];
        assert_eq!(
            document("sip:503@pbx.example", 7, &dialogs),
            "<?xml version=\"1.0\"?>\r\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"7\" \
             state=\"full\" entity=\"sip:503@pbx.example\">\r\n\
             <dialog id=\"leg-1\" direction=\"initiator\"><state>early</state></dialog>\r\n\
             <dialog id=\"line-fault\" direction=\"recipient\"><state>confirmed</state></dialog>\r\n\
             </dialog-info>\r\n"
        );
        assert!(document("sip:a&b@h", 0, &[]).contains("entity=\"sip:a&amp;b@h\""));
    }

    #[test]
    fn what_xml_cannot_hold_is_escaped_or_left_out() {
        assert_eq!(
            escaped("<a b='\"'>\u{1}&\n"),
            "&lt;a b=&apos;&quot;&apos;&gt;&amp; "
        );
    }
}
