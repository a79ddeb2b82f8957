//! Texts of ours on their way, and who waits to hear what became of them.

use std::collections::BTreeMap;

use gateway_core::AccountId;
use gateway_sip::ua::OutgoingMessage;
use tokio::sync::oneshot;

/// A text to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Through which account; `None` sends it to `target` directly.
    pub account: Option<AccountId>,
    /// `1000`, `1000@host`, `sip:…`.
    pub target: String,
    /// 1 to 1300 bytes.
    pub text: String,
}

type Reply = oneshot::Sender<Result<(), String>>;

/// Texts on their way. The user agent bounds them, and answers each.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    next: u64,
    waiting: BTreeMap<u64, Reply>,
}

impl Texts {
    /// Numbers a text.
    pub(crate) fn begin(&mut self, text: Text, reply: Reply) -> OutgoingMessage {
        self.next += 1;
        self.waiting.insert(self.next, reply);
        OutgoingMessage {
            account: text.account,
            id: self.next,
            target: text.target,
            text: text.text,
        }
    }

    /// Tells whoever waits for it.
    pub(crate) fn answer(&mut self, id: u64, result: Result<(), String>) {
        if let Some(reply) = self.waiting.remove(&id) {
            // whoever asked may have given up waiting
            let _ = reply.send(result);
        }
    }
}
