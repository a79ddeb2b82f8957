//! Commands: judged, carried out, and each answered once, after its record.

use gateway_access::Request;
use gateway_core::{
    Cause, Command, CommandEvent, CommandRequest, DoorId, Event, Factor, Given, Origin, PanelId, Refusal,
    RingId, Secret,
};

use super::doors::Opening;
use super::presses::Pressed;
use super::{Now, SETTLE, Site};
use crate::io::{Decision, Output};

type Done = Result<Option<RingId>, (Refusal, String)>;

impl Site {
    pub(super) fn command(&mut self, now: Now, reply_to: u64, request: CommandRequest) {
        let verb = request.command.verb().to_owned();
        let (id, subject) = (request.id.clone(), request.origin.subject.clone());
        if let Command::Unread { text, times, .. } = &request.command
            && *times > 1
        {
            let (text, times) = (text.clone(), *times);
            self.record(
                now,
                Event::Command(CommandEvent::Dropped { subject, times }),
                None,
                false,
            );
            let decision = Decision::Refused {
                reason: Refusal::Overload,
                text,
            };
            self.out.push_back(Output::Reply {
                decision,
                to: reply_to,
            });
            return;
        }
        let (before, waits) = (
            self.out.len(),
            matches!(request.origin.factor, Factor::Api | Factor::Web),
        );
        let done = match request.command {
            // never a command: its id was not used up, and why it was refused is known
            Command::Unread { reason, text, .. } => Err((reason, text)),
            Command::Announce { .. }
            | Command::Call { .. }
            | Command::ConfirmAlarm { .. }
            | Command::EndHold { .. }
            | Command::EndLockdown { .. }
            | Command::EndQuiet { .. }
            | Command::EndRingToOpen { .. }
            | Command::HangUp { .. }
            | Command::Hold { .. }
            | Command::Lockdown { .. }
            | Command::Open { .. }
            | Command::OpenFor { .. }
            | Command::OpenWithCode { .. }
            | Command::Press { .. }
            | Command::Quiet { .. }
            | Command::ResetFire
            | Command::ResetPassback { .. }
            | Command::RingToOpen { .. }
            | Command::SendCard { .. }
            | Command::SetRelay { .. } => self
                .judge(now, &request)
                .and_then(|()| self.carry_out(now, request)),
        };
        let ring = done.as_ref().ok().copied().flatten();
        match &done {
            Ok(_) => self.news.act_on(now.mono, subject.clone(), id.clone()),
            // Whoever waits for the answer is told that nothing was done, and may send it again. Of MQTT a copy may be on its way.
            Err((Refusal::Fault, _)) if waits && self.only_recorded_since(before) => {
                self.news.forget(subject.clone(), id.clone());
            }
            Err(_) => {}
        }
        let (event, decision) = match done {
            Ok(ring) => (
                CommandEvent::Accepted { id, subject, verb },
                Decision::Accepted { ring },
            ),
            Err((reason, text)) => (
                CommandEvent::Refused {
                    id: id.to_string(),
                    reason,
                    subject,
                    verb,
                },
                Decision::Refused { reason, text },
            ),
        };
        self.record(now, Event::Command(event), ring, false);
        self.out.push_back(Output::Reply {
            decision,
            to: reply_to,
        });
    }

    /// True if nothing was told to anybody since there were so many outputs.
    fn only_recorded_since(&self, before: usize) -> bool {
        let mut since = self.out.iter().skip(before);
        since.all(|output| matches!(output, Output::Record(_)))
    }

    /// Is it news, and is this gateway in a state to act on it?
    fn judge(&mut self, now: Now, request: &CommandRequest) -> Result<(), (Refusal, String)> {
        self.news.judge(
            request,
            now.mono,
            now.wall,
            self.params.command_ttl,
            self.params.accept_untimed,
            self.discard_before + SETTLE,
        )?;
        // Its date tells whether it is news, and a date says nothing by a clock that is not believed.
        if !self.clock_trusted && matches!(request.given, Given::At(_)) {
            let text = "the gateway's clock is not trusted, so the command's date says nothing; check its time source";
            return Err((Refusal::Stale, text.to_owned()));
        }
        if let Some(instance) = self
            .second
            .as_ref()
            .filter(|_| request.origin.factor != Factor::Local)
        {
            let text = format!("another gateway ({instance}) runs under this name; stop one of them");
            return Err((Refusal::Instance, text));
        }
        if self.stopping {
            return Err((Refusal::NotReady, "the gateway stops".to_owned()));
        }
        if !self.ready {
            let text = "the gateway starts; try again in a moment".to_owned();
            return Err((Refusal::NotReady, text));
        }
        // What shuts doors, or lets bells call, is done without a journal, too; only the answer says that it is not kept.
        if let Err(text) = &self.journal
            && !matches!(
                request.command,
                Command::EndHold { .. }
                    | Command::EndQuiet { .. }
                    | Command::EndRingToOpen { .. }
                    | Command::Lockdown { .. }
                    | Command::ResetFire
            )
        {
            return Err((Refusal::Fault, format!("the journal cannot be written: {text}")));
        }
        Ok(())
    }

    fn carry_out(&mut self, now: Now, request: CommandRequest) -> Done {
        match request.command {
            Command::Announce {
                announcement,
                panel,
                to,
            } => self
                .announce(now, (announcement, panel), to, request.origin.subject)
                .map(|()| None),
            Command::Call { button, panel } => {
                let subject = request.origin.subject;
                self.command_call(now, &panel, button, subject).map(Some)
            }
            Command::ConfirmAlarm { alarm } => {
                self.command_confirm(now, &alarm, request.origin).map(|()| None)
            }
            Command::EndHold { door } => self.command_end_hold(now, &door).map(|()| None),
            Command::Hold { door, time } => {
                self.opens_something(&door)?;
                self.command_hold(now, door, time, request.origin).map(|()| None)
            }
            Command::EndLockdown { group } => self
                .command_lockdown(now, group, false, request.origin.subject)
                .map(|()| None),
            Command::Lockdown { group } => self
                .command_lockdown(now, group, true, request.origin.subject)
                .map(|()| None),
            Command::EndQuiet { panel } => self.command_end_quiet(now, panel).map(|()| None),
            Command::EndRingToOpen { panel } => self.command_end_ring_to_open(now, panel).map(|()| None),
            Command::RingToOpen { panel, time } => self
                .command_ring_to_open(now, panel, time, request.origin.subject)
                .map(|()| None),
            Command::Quiet { panel, time } => self
                .command_quiet(now, panel, time, request.origin.subject)
                .map(|()| None),
            Command::HangUp { ring } => {
                if self.live_calls().contains_key(&ring) {
                    self.cancel(now, ring, Cause::Released);
                    Ok(Some(ring))
                } else {
                    Err((Refusal::Unknown, format!("there is no call {ring}")))
                }
            }
            Command::Open { door } => {
                self.opens_something(&door)?;
                let ring = self.ring_at(&door);
                self.open_by_command(now, door, ring, request.origin)
            }
            Command::OpenFor { door, ring } => {
                self.opens_something(&door)?;
                self.is_visitor(now, &door, ring)?;
                self.open_by_command(now, door, Some(ring), request.origin)
            }
            Command::OpenWithCode { code, door } => {
                self.opens_something(&door)?;
                self.open_with_code(now, door, code, request.origin)
            }
            Command::Press { button, panel } => {
                self.may_press(&panel, &request.origin)?;
                self.opens_nothing(now, &panel, &button, request.origin.factor)?;
                match self.press(now, &panel, &button, true)? {
                    Pressed::Joined(ring) | Pressed::Ring(ring) => Ok(Some(ring)),
                }
            }
            Command::ResetFire => self
                .command_reset_fire(now, request.origin.subject)
                .map(|()| None),
            Command::ResetPassback { person } => {
                self.reset_passback(now, person, request.origin.subject)?;
                Ok(None)
            }
            Command::SendCard { card, controller } => {
                self.send_card(now, controller, card, request.origin.subject)?;
                Ok(None)
            }
            Command::SetRelay { relay, set } => {
                self.set_relay(now, &relay, set, &request.origin.subject)?;
                Ok(None)
            }
            Command::Unread { reason, text, .. } => Err((reason, text)),
        }
    }

    fn open_by_command(&mut self, now: Now, door: DoorId, ring: Option<RingId>, origin: Origin) -> Done {
        let request = Request::Command {
            door,
            origin,
            // Interfaces pass on only what the client's scope allows.
            permitted: true,
            ring,
        };
        match self.open(now, request, false)? {
            Opening::Held | Opening::Now(_) => Ok(ring),
            // no command is a person's credential; if one were, nothing would have opened
            Opening::Second => Err((Refusal::Forbidden, "another person is awaited".to_owned())),
        }
    }

    /// Whoever sent it hears that it was wrong, and not why: the journal has that.
    fn open_with_code(&mut self, now: Now, door: DoorId, digits: Secret, origin: Origin) -> Done {
        let ring = self.ring_at(&door);
        let request = Request::CommandCode {
            digits,
            door,
            origin,
            ring,
        };
        let wrong = || (Refusal::Forbidden, "the code does not open this door".to_owned());
        match self.open(now, request, false) {
            Ok(Opening::Held | Opening::Now(_)) => Ok(ring),
            Ok(Opening::Second) => Err((Refusal::Forbidden, "another person is awaited".to_owned())),
            Err((Refusal::Forbidden, _)) => Err(wrong()),
            Err(other) => Err(other),
        }
    }

    /// Whoever names a relay that tells something is told so. It is none of the doors, whatever it is called.
    fn opens_something(&self, door: &DoorId) -> Result<(), (Refusal, String)> {
        let named = |(id, relay): (&gateway_core::RelayId, &crate::RelayParams)| {
            id.as_str() == door.as_str() || relay.output.as_str() == door.as_str()
        };
        if self.params.doors.contains_key(door) {
            return Ok(());
        }
        match self.params.relays.iter().find(|relay| named(*relay)) {
            Some((id, relay)) => {
                let text = format!(
                    "{id} is a relay that tells of {} and opens nothing",
                    relay.function.word()
                );
                Err((Refusal::Relay, text))
            }
            None => Ok(()),
        }
    }

    /// The ring in progress at a panel of this door: who opens now, opens for that visitor.
    fn ring_at(&self, door: &DoorId) -> Option<RingId> {
        let panels = &self.params.panels;
        self.live_calls()
            .into_iter()
            .find(|(_, call)| {
                call.panel()
                    .filter(|_| !call.is_floor())
                    .and_then(|panel| panels.get(panel))
                    .is_some_and(|panel| panel.doors.contains(door))
            })
            .map(|(ring, _)| ring)
    }

    fn may_press(&self, panel: &PanelId, origin: &Origin) -> Result<(), (Refusal, String)> {
        if !self.params.panels.contains_key(panel) {
            return Err((Refusal::Unknown, format!("there is no panel {panel:?}")));
        }
        if !self.is_virtual_panel(panel) {
            let text = "this panel is real; press its button".to_owned();
            return Err((Refusal::NotVirtual, text));
        }
        let person = matches!(origin.factor, Factor::Api | Factor::Web);
        if origin.may_simulate || person {
            Ok(())
        } else {
            Err((
                Refusal::Forbidden,
                "this client may not press virtual bells".to_owned(),
            ))
        }
    }

    /// True if its line and all its buttons are virtual.
    pub(super) fn is_virtual_panel(&self, panel: &PanelId) -> bool {
        self.params.panels.get(panel).is_some_and(|p| {
            let line = self.params.lines.get(&p.line).is_some_and(|l| l.simulated);
            let real = |input| !self.params.inputs.get(input).is_some_and(|i| i.simulated);
            line && !p.buttons.values().filter_map(|b| b.input.as_ref()).any(real)
        })
    }
}
