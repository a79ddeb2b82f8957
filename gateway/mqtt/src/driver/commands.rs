//! What arrives on command topics: handed to the core, or refused, answered and put on record within bounds.

use std::sync::Arc;

use gateway_core::{CommandId, CommandReply, Instant, PanelId, Refusal, RingId};
use rand::Rng;

use super::{ANSWERS, Driver};
use crate::answer::{self, BadReply, ReplyTo};
use crate::command::{self, Arrival, Rules};
use crate::topics::Target;

/// A message that the core has judged.
pub(super) struct Done {
    answer: String,
    /// The core could not put it on record.
    lost: bool,
    to: ReplyTo,
}

impl Driver {
    /// The call at a panel.
    pub(super) fn ring_at(&self, target: &Target) -> Option<RingId> {
        let Target::Panel(id) = target else { return None };
        let id = PanelId::new(id).ok()?;
        let view = self.view.borrow();
        view.panels.iter().find(|panel| panel.id == id)?.ring
    }

    fn made_id(&mut self) -> CommandId {
        CommandId::new(&format!("mqtt-{:016x}", self.dice.random::<u64>())).expect("21 visible characters")
    }

    /// A message on a command topic, and where it wants its answer.
    pub(super) fn command(&mut self, now: Instant, arrival: &Arrival<'_>, to: Result<ReplyTo, BadReply>) {
        let made = self.made_id();
        let rules = Rules {
            accept_untimed: self.params.accept_untimed,
            press: self.params.press,
            ttl: self.params.command_ttl,
        };
        let read = command::read(arrival, rules, &made);
        let known = match &read {
            Ok(asked) => Some(asked.request.id.clone()).filter(|id| *id != made),
            Err((id, _)) => id.clone(),
        };
        let to = match to {
            Ok(to) => to,
            Err(bad) => {
                // whoever waits there would wait for ever
                self.refuse(now, known, Refusal::Malformed, bad.to_string(), ReplyTo::default());
                return;
            }
        };
        let asked = match read {
            Ok(asked) => asked,
            Err((id, malformed)) => {
                self.refuse(now, id, malformed.reason(), malformed.to_string(), to);
                return;
            }
        };
        let slot = if self.commands.take(now) {
            Arc::clone(&self.slots).try_acquire_owned().ok()
        } else {
            None
        };
        let Some(slot) = slot else {
            let text = "too many commands; send at most ten in a second, fifty at once".to_owned();
            self.refuse(now, known, Refusal::Overload, text, to);
            return;
        };
        if let Some(why_not) = &asked.why_not
            && !self.noted.take(now)
        {
            let why_not = why_not.clone();
            self.drop_refused(now, known.as_ref(), asked.reason(), &why_not, to);
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
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        id: Option<CommandId>,
        reason: Refusal,
        text: String,
        to: ReplyTo,
    ) {
        let slot = Arc::clone(&self.reports).try_acquire_owned();
        let (Ok(slot), true) = (slot, self.noted.take(now)) else {
            self.drop_refused(now, id.as_ref(), reason, &text, to);
            return;
        };
        self.status.send_modify(|status| status.refused += 1);
        tracing::warn!(reason = reason.word(), text, "an MQTT command was refused");
        let answer = command::refusal(id.as_ref().map(CommandId::as_str), reason.word(), &text);
        let id = id.unwrap_or_else(|| self.made_id());
        let request = command::report(id, reason, text.clone(), 1);
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
    fn drop_refused(
        &mut self,
        now: Instant,
        id: Option<&CommandId>,
        reason: Refusal,
        text: &str,
        to: ReplyTo,
    ) {
        self.status.send_modify(|status| status.refused += 1);
        self.count_dropped(now);
        let id = id.map(CommandId::as_str);
        tracing::debug!(
            id,
            reason = reason.word(),
            text,
            "an MQTT command was refused without a record"
        );
        if id.is_some() || self.refusals.take(now) {
            self.reply(command::refusal(id, reason.word(), text), to);
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
        let request = command::report(self.made_id(), Refusal::Overload, text, times);
        let bus = self.bus.clone();
        tokio::spawn(async move {
            let _ = bus.command(request).await;
            drop(slot);
        });
    }
}
