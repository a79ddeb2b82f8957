//! What is neither state, record nor command: the latest version that somebody announces, cards that were read, and topics
//! of ours on which others keep something.

use std::collections::{BTreeMap, BTreeSet};

use gateway_bus::TagSeen;
use gateway_core::{Instant, SiteView};
use tokio::sync::broadcast;

use super::{ANSWERS_FULL, Driver};
use crate::answer::Answer;
use crate::connection::Came;
use crate::latest::Versions;
use crate::session::Session;

impl Driver {
    /// What is published beside states: both versions, once it is known whether one is announced.
    pub(super) fn versions_told(&self) -> BTreeMap<String, String> {
        let told = self.latest.told().map(|latest| {
            let text = Versions::text(&self.params.version, latest);
            (self.topics.update_state(), text)
        });
        told.into_iter().collect()
    }

    /// Topics of ours whose messages are not ours, or not yet: they stay as they are while they mean something, and are
    /// cleared afterwards.
    pub(super) fn others_keep(&self, view: &SiteView) -> BTreeSet<String> {
        let pictures = self.params.discovery.as_ref().is_some_and(|d| d.pictures);
        let panels = view.panels.iter().filter(|_| pictures);
        let mut all: BTreeSet<String> = panels.map(|panel| self.topics.picture(&panel.id)).collect();
        all.insert(self.topics.update_latest());
        if self.latest.told().is_none() {
            all.insert(self.topics.update_state());
        }
        all
    }

    /// Somebody announces a version.
    pub(super) fn announced(&mut self, now: Instant, message: &Came) {
        if self.latest.came(&message.payload) {
            self.refresh();
        } else if self.odd.take(now) {
            let found: String = String::from_utf8_lossy(&message.payload)
                .chars()
                .take(40)
                .collect();
            tracing::warn!(
                topic = message.topic,
                found,
                "this is announced as the latest version and is none; publish one such as 1.2.3, or an empty message"
            );
        }
    }

    /// Nobody announced one.
    pub(super) fn look_at_versions(&mut self, now: Instant) {
        if self.latest.look(now) {
            self.refresh();
        }
    }

    /// Waits for a card; for ever where nobody wants to know.
    pub(super) async fn card(tags: &mut Option<broadcast::Receiver<TagSeen>>) -> TagSeen {
        loop {
            let Some(listens) = tags else {
                return std::future::pending().await;
            };
            match listens.recv().await {
                Ok(seen) => return seen,
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "cards came faster than they could be told");
                }
                Err(broadcast::error::RecvError::Closed) => *tags = None,
            }
        }
    }

    /// A card was read: told now, or not at all.
    pub(super) fn tell_card(&mut self, session: &Session, seen: &TagSeen) {
        let wanted = self.params.discovery.as_ref().is_some_and(|d| d.tags);
        if wanted && session.online && self.answers.len() < ANSWERS_FULL {
            self.answers.push_back(Answer {
                correlation: None,
                text: crate::state::tag(&seen.tag),
                topic: self.topics.of("reader", &seen.reader, "tag"),
            });
        }
    }
}
