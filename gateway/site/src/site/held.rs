//! Inputs that are held while the gateway starts. They open nothing: what they ask for is done outside of the core.

use std::time::Duration;

use gateway_core::{Event, GatewayEvent, InputId, Instant, LineId};
use gateway_line::SeizeWhy;

use super::{Now, Site};
use crate::io::{HeldInput, Output};
use crate::levels::Change;

/// A first reading later than this after the start is none of the start: an adapter that came back, or a reload.
const FIRST: Duration = Duration::from_secs(10);
/// For how long the input that has the address told is held.
const TELL: Duration = Duration::from_secs(2);

/// What an input asks for that is held at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeldUse {
    Reset,
    Tell,
}

/// Inputs that are held since the first reading.
#[derive(Debug)]
pub(super) struct Held {
    began: Instant,
    /// Since when.
    held: Vec<(HeldUse, Instant)>,
    /// The line at which the address is being told.
    telling: Option<LineId>,
}

impl Held {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            began: now,
            held: Vec::new(),
            telling: None,
        }
    }
}

impl Site {
    pub(super) fn held_changed(&mut self, now: Now, what: HeldUse, change: Change) {
        self.held_inputs.held.retain(|(held, _)| *held != what);
        let at_start = now.mono.since(self.held_inputs.began) < FIRST;
        if change.active && change.initial && at_start {
            self.held_inputs.held.push((what, change.at));
        }
        if !change.active && what == HeldUse::Reset {
            self.out.push_back(Output::Held(HeldInput::Released));
        }
    }

    /// The inputs named in the parameters, with what they ask for.
    pub(super) fn held_inputs(params: &crate::SiteParams) -> Vec<(&InputId, HeldUse)> {
        let start = &params.start;
        let reset = start.reset_input.as_ref().map(|input| (input, HeldUse::Reset));
        let tell = start.tell_input.as_ref().map(|input| (input, HeldUse::Tell));
        reset.into_iter().chain(tell).collect()
    }

    fn hold_time(&self, what: HeldUse) -> Duration {
        match what {
            HeldUse::Reset => self.params.start.hold,
            HeldUse::Tell => TELL,
        }
    }

    pub(super) fn held_due_at(&self) -> Option<Instant> {
        let held = self.held_inputs.held.iter();
        held.map(|(what, since)| *since + self.hold_time(*what)).min()
    }

    pub(super) fn held_due(&mut self, now: Now) {
        let all = std::mem::take(&mut self.held_inputs.held);
        let (due, left): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|(what, since)| now.mono >= *since + self.hold_time(*what));
        self.held_inputs.held = left;
        for (what, _) in due {
            match what {
                HeldUse::Reset => self.out.push_back(Output::Held(HeldInput::Reset)),
                HeldUse::Tell => self.tell_address(now),
            }
        }
    }

    /// Takes the line for it, as a call would.
    fn tell_address(&mut self, now: Now) {
        let Some(line) = self.params.start.tell_line.clone() else {
            return;
        };
        let seized = self
            .lines
            .get_mut(&line)
            .map(|unit| unit.line.seize(now.mono, SeizeWhy::IncomingCall));
        if let Some(Ok(())) = seized {
            self.drain_line(now, &line);
            self.held_inputs.telling = Some(line.clone());
            self.out.push_back(Output::Held(HeldInput::Tell(line)));
        } else {
            let text = "not told, for the line is in use or out of order".to_owned();
            self.gateway(now, GatewayEvent::AddressTold { line, text });
        }
    }

    /// The address was told, or could not be.
    pub(super) fn address_told(&mut self, now: Now, text: String) {
        let Some(line) = self.held_inputs.telling.take() else {
            return;
        };
        let free = self.lines.get_mut(&line).filter(|unit| unit.ring.is_none());
        if let Some(unit) = free {
            unit.line.release(now.mono);
            self.drain_line(now, &line);
        }
        self.record(
            now,
            Event::Gateway(GatewayEvent::AddressTold { line, text }),
            None,
            false,
        );
    }
}
