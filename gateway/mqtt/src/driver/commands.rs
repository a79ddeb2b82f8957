//! What arrives on command topics: handed to the core, or refused, answered and put on record within bounds.

use std::sync::Arc;

use gateway_core::{CommandId, Instant, PanelId, Refusal, RingId};
use rand::Rng;

use super::Driver;
use crate::command::{self, Arrival, Rules};
use crate::topics::Target;

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

    pub(super) fn command(&mut self, now: Instant, arrival: &Arrival<'_>) {
        if !self.commands.take(now) {
            let text = "too many commands; send at most ten in a second".to_owned();
            self.refuse(now, None, Refusal::Overload, text);
            return;
        }
        let made = self.made_id();
        let rules = Rules {
            accept_untimed: self.params.accept_untimed,
            press: self.params.press,
            ttl: self.params.command_ttl,
        };
        let asked = match command::read(arrival, rules, &made) {
            Ok(asked) => asked,
            Err((id, malformed)) => {
                self.refuse(now, id, malformed.reason(), malformed.to_string());
                return;
            }
        };
        if let Some(why_not) = &asked.why_not
            && !self.noted.take(now)
        {
            let why_not = why_not.clone();
            self.drop_refused(now, Some(&asked.request.id), asked.reason(), &why_not);
            return;
        }
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            let text = "too many commands wait; try again in a second";
            self.drop_refused(now, Some(&asked.request.id), Refusal::Overload, text);
            return;
        };
        let (bus, done) = (self.bus.clone(), self.tell_done.clone());
        tokio::spawn(async move {
            let reply = bus.command(asked.request.clone()).await;
            let _ = done.send(command::answer(&asked, &reply)).await;
            drop(slot);
        });
    }

    /// Refuses what is no command for the core: it is put on record and then answered, as far as that is not too
    /// often; the rest is only counted.
    pub(super) fn refuse(&mut self, now: Instant, id: Option<CommandId>, reason: Refusal, text: String) {
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        let (Ok(slot), true) = (slot, self.noted.take(now)) else {
            self.drop_refused(now, id.as_ref(), reason, &text);
            return;
        };
        self.status.send_modify(|status| status.refused += 1);
        tracing::warn!(reason = reason.word(), text, "an MQTT command was refused");
        let answer = command::refusal(id.as_ref().map(CommandId::as_str), reason.word(), &text);
        let id = id.unwrap_or_else(|| self.made_id());
        let request = command::report(id, reason, text, 1);
        let (bus, done) = (self.bus.clone(), self.tell_done.clone());
        tokio::spawn(async move {
            // whatever the core says: this was no command
            let _ = bus.command(request).await;
            let _ = done.send(answer).await;
            drop(slot);
        });
    }

    /// Refuses without a record of its own; answers as far as that is not too often.
    fn drop_refused(&mut self, now: Instant, id: Option<&CommandId>, reason: Refusal, text: &str) {
        self.status.send_modify(|status| status.refused += 1);
        let (since, times) = self.dropped.unwrap_or((now, 0));
        self.dropped = Some((since, times + 1));
        if self.refusals.take(now) {
            let id = id.map(CommandId::as_str);
            self.reply(command::refusal(id, reason.word(), text));
        }
    }

    /// Puts on record how many were refused without one.
    pub(super) fn report_dropped(&mut self) {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return;
        };
        let Some((_, times)) = self.dropped.take() else {
            return;
        };
        let text = "messages were refused that get no record of their own".to_owned();
        tracing::warn!(times, "MQTT commands were refused without a record each");
        let request = command::report(self.made_id(), Refusal::Overload, text, times);
        let bus = self.bus.clone();
        tokio::spawn(async move {
            let _ = bus.command(request).await;
            drop(slot);
        });
    }
}
