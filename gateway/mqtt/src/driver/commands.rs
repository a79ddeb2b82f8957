//! What arrives on command topics: handed to the core, or refused, answered and put on record within bounds.

use std::sync::Arc;

use gateway_core::{CommandId, CommandReply, Instant, PanelId, Refusal, RingId};
use rand::Rng;

use super::{ANSWERS, Driver};
use crate::answer::{self, BadReply, ReplyTo};
use crate::command::{self, Arrival, Rules, SUBJECT};
use crate::signed::{self, MqttKey, Unsigned};
use crate::topics::Target;

/// A message that the core has judged.
pub(super) struct Done {
    answer: String,
    /// The core could not put it on record.
    lost: bool,
    to: ReplyTo,
}

/// A message that is refused here.
pub(super) struct Refused {
    /// Who signed it.
    by: Option<String>,
    id: Option<CommandId>,
    reason: Refusal,
    text: String,
    to: ReplyTo,
}

impl Refused {
    /// One that nobody is known to have sent.
    pub(super) const fn of(reason: Refusal, text: String) -> Self {
        Self {
            by: None,
            id: None,
            reason,
            text,
            to: ReplyTo {
                correlation: None,
                topic: None,
            },
        }
    }
}

/// A command with a right signature.
struct Proven {
    key: MqttKey,
    name: String,
    text: String,
}

impl Driver {
    /// The call at a panel.
    pub(super) fn ring_at(&self, target: &Target) -> Option<RingId> {
        let Target::Panel(id) = target else { return None };
        let id = PanelId::new(id).ok()?;
        let view = self.view.borrow();
        // somebody who rings goes before a call that nobody rang for
        let rings = view.panels.iter().find(|panel| panel.id == id)?.ring;
        rings.or_else(|| {
            Some(
                view.calls
                    .iter()
                    .find(|call| call.panel.as_ref() == Some(&id))?
                    .ring,
            )
        })
    }

    fn made_id(&mut self) -> CommandId {
        CommandId::new(&format!("mqtt-{:016x}", self.dice.random::<u64>())).expect("21 visible characters")
    }

    /// Who signed a message; `None` is nobody, where that is allowed.
    fn proven(&self, topic: &str, payload: &[u8]) -> Result<Option<Proven>, (Option<CommandId>, Unsigned)> {
        let params = &self.params;
        if !params.signed_only && (params.keys.is_empty() || !signed::is_signed(payload)) {
            return Ok(None);
        }
        let (name, key, text) = signed::read(&params.keys, topic, payload)?;
        Ok(Some(Proven {
            key: key.clone(),
            name: name.to_owned(),
            text,
        }))
    }

    /// A message on a command topic, and where it wants its answer.
    pub(super) fn command(
        &mut self,
        now: Instant,
        arrival: &Arrival<'_>,
        topic: &str,
        to: Result<ReplyTo, BadReply>,
    ) {
        let proven = match self.proven(topic, arrival.payload) {
            Ok(proven) => proven,
            Err((id, unsigned)) => {
                let refused = Refused {
                    id,
                    to: to.unwrap_or_default(),
                    ..Refused::of(Refusal::Forbidden, unsigned.to_string())
                };
                if self.forged.came(now, &unsigned) {
                    self.refuse(now, refused);
                } else {
                    self.drop_refused(now, refused);
                }
                return;
            }
        };
        let arrival = Arrival {
            payload: proven
                .as_ref()
                .map_or(arrival.payload, |proven| proven.text.as_bytes()),
            ..arrival.clone()
        };
        let made = self.made_id();
        let by = proven.as_ref().map(|proven| proven.name.clone());
        let rules = Rules {
            // without id and time a signature could come again
            accept_untimed: self.params.accept_untimed && proven.is_none(),
            by: by.as_deref().unwrap_or(SUBJECT),
            code_needed: self.params.code_needed && proven.is_none(),
            press: self.params.press,
            ttl: self.params.command_ttl,
        };
        let read = command::read(&arrival, rules, &made);
        let known = match &read {
            Ok(asked) => Some(asked.request.id.clone()).filter(|id| *id != made),
            Err((id, _)) => id.clone(),
        };
        let refused = |reason, text, to| Refused {
            by: by.clone(),
            id: known.clone(),
            reason,
            text,
            to,
        };
        let to = match to {
            Ok(to) => to,
            Err(bad) => {
                // whoever waits there would wait for ever
                self.refuse(
                    now,
                    refused(Refusal::Malformed, bad.to_string(), ReplyTo::default()),
                );
                return;
            }
        };
        let asked = match read {
            Ok(asked) => asked,
            Err((_, malformed)) => {
                self.refuse(now, refused(malformed.reason(), malformed.to_string(), to));
                return;
            }
        };
        let view = self.view.borrow().clone();
        let command = &asked.request.command;
        if let Some(proven) = &proven
            && let Some(what) = proven.key.forbids(&view, command)
        {
            let name = &proven.name;
            let text = format!("key {name:?} has not {what}; [mqtt.keys.{name}] says what it may");
            self.refuse(now, refused(Refusal::Forbidden, text, to));
            return;
        }
        let slot = if self.commands.take(now) {
            Arc::clone(&self.slots).try_acquire_owned().ok()
        } else {
            None
        };
        let Some(slot) = slot else {
            let text = "too many commands; send at most ten in a second, fifty at once".to_owned();
            self.refuse(now, refused(Refusal::Overload, text, to));
            return;
        };
        if let Some(why_not) = &asked.why_not
            && !self.noted.take(now)
        {
            let refused = refused(asked.reason(), why_not.clone(), to);
            self.drop_refused(now, refused);
            return;
        }
        let (bus, done) = (self.bus.clone(), self.tell_done.clone());
        tokio::spawn(async move {
            let reply = bus.command(asked.request.clone()).await;
            let answer = command::answer(&asked, &reply);
            // one without an id of its own is answered with the one made for it
            let lost = false;
            let _ = done.send(Done { answer, lost, to }).await;
            drop(slot);
        });
    }

    /// Refuses what is no command for the core: it is put on record and then answered, as far as that is not too
    /// often; the rest is only counted.
    pub(super) fn refuse(&mut self, now: Instant, refused: Refused) {
        let slot = Arc::clone(&self.reports).try_acquire_owned();
        let (Ok(slot), true) = (slot, self.noted.take(now)) else {
            self.drop_refused(now, refused);
            return;
        };
        let Refused {
            by,
            id,
            reason,
            text,
            to,
        } = refused;
        self.status.send_modify(|status| status.refused += 1);
        tracing::warn!(reason = reason.word(), text, "an MQTT command was refused");
        let answer = command::refusal(id.as_ref().map(CommandId::as_str), reason.word(), &text);
        let id = id.unwrap_or_else(|| self.made_id());
        let by = by.as_deref().unwrap_or(SUBJECT);
        let request = command::report(id, reason, text.clone(), 1, by);
        let (bus, done) = (self.bus.clone(), self.tell_done.clone());
        tokio::spawn(async move {
            // this was no command, and the core repeats why; another text means that it has no record
            let reply = bus.command(request).await;
            let lost = !matches!(reply, CommandReply::Refused { text: said, .. } if said == text);
            let _ = done.send(Done { answer, lost, to }).await;
            drop(slot);
        });
    }

    /// Refuses without a record of its own. Who gave an id has the answer, others as far as that is not too often.
    fn drop_refused(&mut self, now: Instant, refused: Refused) {
        self.status.send_modify(|status| status.refused += 1);
        self.count_dropped(now);
        let id = refused.id.as_ref().map(CommandId::as_str);
        let (reason, text) = (refused.reason.word(), refused.text.as_str());
        tracing::debug!(id, reason, text, "an MQTT command was refused without a record");
        if id.is_some() || self.refusals.take(now) {
            self.reply(command::refusal(id, reason, text), refused.to);
        }
    }

    fn count_dropped(&mut self, now: Instant) {
        let (since, times) = self.dropped.unwrap_or((now, 0));
        self.dropped = Some((since, times + 1));
    }

    /// The core has judged.
    pub(super) fn done(&mut self, now: Instant, done: Done) {
        if done.lost {
            self.count_dropped(now);
        }
        self.reply(done.answer, done.to);
    }

    fn reply(&mut self, text: String, to: ReplyTo) {
        for answer in answer::answers(&self.topics, to, text) {
            if self.answers.len() < ANSWERS {
                self.answers.push_back(answer);
            } else {
                // only without QoS 1 do so many come that we cannot hold them back
                self.unanswered += 1;
            }
        }
    }

    /// Puts on record how many were refused without one.
    pub(super) fn report_dropped(&mut self) {
        let Ok(slot) = Arc::clone(&self.reports).try_acquire_owned() else {
            return;
        };
        let Some((_, times)) = self.dropped.take() else {
            return;
        };
        let text = "messages were refused that get no record of their own".to_owned();
        let unanswered = std::mem::take(&mut self.unanswered);
        tracing::warn!(
            times,
            unanswered,
            "MQTT commands were refused without a record each"
        );
        let request = command::report(self.made_id(), Refusal::Overload, text, times, SUBJECT);
        let bus = self.bus.clone();
        tokio::spawn(async move {
            let _ = bus.command(request).await;
            drop(slot);
        });
    }
}
