//! What others write on our own topics: another instance under our name, and an availability that is not so.
//!
//! A second gateway that comes and goes says `offline` for both and leaves its states over ours; so may a last will of
//! ours that the broker speaks late, or a stranger. Whoever is there puts it right: states first, then `online`. Two
//! that live never contradict each other, since each says `offline` only as it leaves; whoever keeps saying so is
//! answered [`Timing::mend`](crate::control::Timing::mend) apart, and told as a fault.

use gateway_core::Instant;
use serde_json::Value;

use super::{Driver, SEEN};
use crate::connection::Came;
use crate::session::Session;
use crate::state::ONLINE;

impl Driver {
    /// A message on our own state topic: ours come back, those of another live instance are a fault.
    pub(super) fn own_state(&mut self, now: Instant, message: &Came) {
        if message.retain {
            return;
        }
        let state: Option<Value> = serde_json::from_slice(&message.payload).ok();
        let other = state
            .as_ref()
            .and_then(|state| state["instance"].as_str())
            .filter(|instance| *instance != self.params.instance);
        let Some(other) = other else { return };
        let other: String = other.chars().filter(char::is_ascii_graphic).take(64).collect();
        self.second_seen = Some(now);
        self.status.send_if_modified(|status| {
            let is_news = status.second_instance.as_ref() != Some(&other);
            status.second_instance = Some(other);
            is_news
        });
        if self.show.take(now) {
            self.retained.again_one(self.topics.state());
        }
    }

    /// A message on our own availability topic. What was kept there is from before we said anything.
    pub(super) fn own_availability(&mut self, now: Instant, session: &mut Session, message: &Came) {
        let is_so = message.payload.as_ref() == ONLINE.as_bytes();
        if message.retain || is_so || !session.online || session.leaves {
            return;
        }
        self.untrue = true;
        self.mend(now, session);
    }

    /// Puts right what stands untrue at the broker, if it is time.
    pub(super) fn mend(&mut self, now: Instant, session: &mut Session) {
        if self.contested.is_some_and(|last| now.since(last) > SEEN) {
            self.contested = None;
        }
        if !self.untrue || session.leaves {
            return;
        }
        if self.mends.take(now) {
            self.untrue = false;
            self.retained.again();
            session.online = false;
        } else {
            self.contested = Some(now);
        }
    }

    /// What others do on our topics and only a person can end.
    pub(super) fn tell_intruders(&self, now: Instant) {
        let text = if self.contested.is_some() {
            let topic = self.topics.availability();
            Some(format!(
                "something else at the broker keeps saying on {topic} that this gateway is away; end a second gateway \
                 with this site's id, and let nobody else write there by the broker's access list"
            ))
        } else {
            let forged = || self.forged.told(now);
            let unpublished = || self.unpublished.clone();
            self.kept.stuck(now).or_else(forged).or_else(unpublished)
        };
        self.status.send_if_modified(|status| {
            let changed = status.topics != text;
            status.topics = text;
            changed
        });
    }
}
