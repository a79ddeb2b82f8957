//! The arbiter.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::{Bell, Instant, LineCommand, LineEvent, LineSignal, LineState};

use crate::params::{CallIn, EndedWhy, LineParams, OpenWhen, Output, PressAnswer, SeizeRefused, SeizeWhy};

/// Longest time for which a line is off-hook for a press alone.
const LONGEST_PRESS: Duration = Duration::from_secs(30);

/// One panel line.
///
/// Whoever lifts first talks. A handset that is lifted while we talk stays silent until we hang up; what it is
/// then decides whose the line is. A ring while a ring or talk of ours is in progress belongs to it. One while the handset is
/// lifted is told: as another visitor's where the handset has none, or has had one for longer than a talk lasts, since it may
/// lie beside its rest for days. The bell at an apartment's own door neither takes the line nor waits for it.
#[derive(Debug)]
pub struct Line {
    /// Whom the panel rings or talks with, where the line says so.
    bell: Option<Bell>,
    /// Another panel has the line, as far as the adapter has said. It stays so under a ring, which is proof only of that ring.
    busy: bool,
    handset_lifted: bool,
    /// We are off-hook to open the door for somebody who does not talk, until this time.
    hooked_until: Option<Instant>,
    outputs: VecDeque<Output>,
    params: LineParams,
    /// The talk began with a ring of the panel.
    rung: bool,
    state: LineState,
    /// Nobody rings for the visitor any more, and the panel still does for him, until this time at the longest.
    still_rung_until: Option<Instant>,
    /// End of the ring window or the talk window.
    until: Option<Instant>,
    /// The handset talks with a visitor, until this time at the longest.
    visited_until: Option<Instant>,
}

impl Line {
    /// A line nobody uses. Tells the adapter nothing: at rest the line is the panel's.
    #[must_use]
    pub const fn new(params: LineParams) -> Self {
        Self {
            bell: None,
            busy: false,
            handset_lifted: false,
            hooked_until: None,
            outputs: VecDeque::new(),
            params,
            rung: false,
            state: LineState::Idle,
            still_rung_until: None,
            until: None,
            visited_until: None,
        }
    }

    /// Takes other parameters. Windows that run keep the earlier of their ends.
    pub fn apply(&mut self, now: Instant, params: LineParams) {
        let window = match self.state {
            LineState::Ringing => Some((self.params.ring_window, params.ring_window)),
            LineState::Ours => Some((self.params.talk_window, params.talk_window)),
            LineState::BusyOther | LineState::Fault | LineState::Handset | LineState::Idle => None,
        };
        if let (Some(until), Some((old, new))) = (self.until, window) {
            let began = until - old;
            self.until = Some(until.min(began + new).max(now));
        }
        if !params.handset_sense {
            self.handset_lifted = false;
        }
        self.params = params;
    }

    /// Takes what the adapter noticed.
    pub fn handle_signal(&mut self, now: Instant, signal: LineSignal) {
        self.handle_timeout(now);
        match signal {
            LineSignal::BusyOther => {
                self.busy = true;
                self.still_rung_until = None;
                self.lose(LineState::BusyOther);
            }
            LineSignal::Fault => self.lose(LineState::Fault),
            LineSignal::HandsetLifted if self.params.handset_sense => self.lifted(now),
            LineSignal::HandsetReplaced if self.params.handset_sense => self.replaced(),
            LineSignal::HandsetLifted | LineSignal::HandsetReplaced => {}
            LineSignal::Idle => {
                self.busy = false;
                self.still_rung_until = None;
                self.unhook();
                self.lose(LineState::Idle);
            }
            LineSignal::OpenedByPanel => self.outputs.push_back(Output::OpenedByPanel),
            LineSignal::Ring => self.rings(now, None),
            LineSignal::RingFor(bell @ Bell::Apartment(_)) => self.rings(now, Some(bell)),
            LineSignal::RingFor(Bell::Floor) => self.outputs.push_back(Output::FloorRang),
            LineSignal::RingStopped => {
                self.still_rung_until = None;
                // While we talk the panel is expected to be quiet.
                if self.state == LineState::Ringing {
                    self.rest(Some(EndedWhy::Stopped));
                }
            }
        }
    }

    /// A button of the panel, seen as an input, was pressed: does it begin a ring?
    pub fn press(&mut self, now: Instant) -> PressAnswer {
        self.handle_timeout(now);
        self.begin_ring(now)
    }

    /// Takes the talk path for a call.
    ///
    /// An incoming call may have an idle line that can start by itself. It never takes a visitor's ring from the
    /// phones that ring for it, unless the visitor rang to answer that very call. A phone that answered a ring gets the line as
    /// long as the ring lasts. A call that nobody rang for has an idle line only.
    ///
    /// # Errors
    /// [`SeizeRefused`] if the call must not have the line; nothing changed then.
    pub fn seize(&mut self, now: Instant, why: SeizeWhy) -> Result<(), SeizeRefused> {
        self.handle_timeout(now);
        match (self.state, why) {
            (LineState::Ringing, SeizeWhy::OutgoingAnswered | SeizeWhy::PressAnswered)
            | (LineState::Idle, SeizeWhy::Asked) => {}
            (
                LineState::Idle,
                SeizeWhy::IncomingCall | SeizeWhy::OutgoingAnswered | SeizeWhy::PressAnswered,
            ) => {
                if self.params.call_in == CallIn::None {
                    return Err(SeizeRefused::NoCall);
                }
            }
            (LineState::Fault, _) => return Err(SeizeRefused::Fault),
            (LineState::Ringing, SeizeWhy::Asked | SeizeWhy::IncomingCall)
            | (LineState::BusyOther | LineState::Handset | LineState::Ours, _) => {
                return Err(SeizeRefused::LineBusy);
            }
        }
        // it may be off-hook already
        self.hooked_until = None;
        self.rung = self.state == LineState::Ringing;
        self.until = Some(now + self.params.talk_window);
        self.outputs.push_back(Output::Command(LineCommand::Seize));
        self.change(LineState::Ours);
        Ok(())
    }

    /// The call that had the line, or that rang for the visitor, is over. Of a ring that no telephone answers the panel knows
    /// nothing: it goes on for the ring window, and can open as long.
    pub fn release(&mut self, now: Instant) {
        self.handle_timeout(now);
        if matches!(self.state, LineState::Ours | LineState::Ringing) {
            let unanswered = self.until.filter(|_| self.state == LineState::Ringing);
            self.rest(None);
            self.still_rung_until = unanswered.filter(|_| self.state == LineState::Idle);
        }
    }

    /// The door's button is about to be pressed for so long. Where that takes somebody off-hook and nobody talks, the ring is
    /// answered for as long, as whoever opens by the handset answers it, and is over then.
    pub fn opens(&mut self, now: Instant, pulse: Duration) {
        self.handle_timeout(now);
        if self.params.hook_to_open && (self.state == LineState::Ringing || self.still_rung_until.is_some()) {
            let until = now + pulse.min(LONGEST_PRESS);
            if self.hooked_until.is_none() {
                self.outputs.push_back(Output::Command(LineCommand::Seize));
            }
            self.hooked_until = self.hooked_until.max(Some(until));
        }
    }

    /// Ends what is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.hooked_until.is_some_and(|until| now >= until) {
            self.unhook();
            self.still_rung_until = None;
            if self.state == LineState::Ringing {
                self.rest(Some(EndedWhy::Stopped));
            }
        }
        if self.still_rung_until.is_some_and(|until| now >= until) {
            self.still_rung_until = None;
        }
        if self.until.is_some_and(|until| now >= until) {
            self.rest(Some(EndedWhy::Window));
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.until, self.hooked_until, self.still_rung_until]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whose the line is.
    #[must_use]
    pub const fn state(&self) -> LineState {
        self.state
    }

    /// What the line can do.
    #[must_use]
    pub const fn params(&self) -> &LineParams {
        &self.params
    }

    /// Would an incoming call get the line?
    #[must_use]
    pub fn may_self_start(&self) -> bool {
        self.params.call_in == CallIn::SelfStart && self.state == LineState::Idle
    }

    /// Can the panel open its door for us at this moment?
    #[must_use]
    pub fn may_open_now(&self) -> bool {
        match (self.params.open_when, self.state) {
            (_, LineState::Fault) => false,
            (OpenWhen::OffHook, LineState::Handset) => !self.params.hook_to_open,
            (OpenWhen::Always, _)
            | (OpenWhen::OffHook, LineState::Ours)
            | (OpenWhen::Ringing, LineState::Ringing) => true,
            (OpenWhen::Ringing, LineState::Ours) => self.rung,
            (OpenWhen::Ringing, LineState::Idle) => self.still_rung_until.is_some(),
            (OpenWhen::OffHook, LineState::BusyOther | LineState::Idle | LineState::Ringing)
            | (OpenWhen::Ringing, LineState::BusyOther | LineState::Handset) => false,
        }
    }

    fn rings(&mut self, now: Instant, bell: Option<Bell>) {
        let rings_another = bell.is_some() && self.bell.is_some() && bell != self.bell;
        if rings_another {
            self.unhook();
        }
        match self.state {
            // Whoever rings us has the line for us: a panel that another one keeps out cannot, nor one behind a fault.
            LineState::BusyOther | LineState::Fault => self.let_go(None),
            // A panel that calls another apartment has hung up on this one.
            LineState::Ours if rings_another => self.let_go(Some(EndedWhy::Drop)),
            LineState::Ringing if rings_another => self.let_go(Some(EndedWhy::Stopped)),
            LineState::Handset | LineState::Idle | LineState::Ours | LineState::Ringing => {}
        }
        if self.begin_ring(now) == PressAnswer::Started {
            self.bell = bell;
            self.outputs.push_back(Output::RingStarted { bell });
        } else if self.state == LineState::Handset {
            let other = self.visited_until.is_none_or(|until| now >= until);
            if other {
                self.visited_until = Some(now + self.params.talk_window);
            }
            self.outputs.push_back(Output::RangAtHandset { bell, other });
        }
    }

    fn begin_ring(&mut self, now: Instant) -> PressAnswer {
        match self.state {
            LineState::Idle => {
                self.until = Some(now + self.params.ring_window);
                self.change(LineState::Ringing);
                PressAnswer::Started
            }
            LineState::Ours | LineState::Ringing => PressAnswer::Joined,
            LineState::BusyOther | LineState::Handset => PressAnswer::Refused(SeizeRefused::LineBusy),
            LineState::Fault => PressAnswer::Refused(SeizeRefused::Fault),
        }
    }

    fn lifted(&mut self, now: Instant) {
        if std::mem::replace(&mut self.handset_lifted, true) {
            return;
        }
        match self.state {
            LineState::Idle => self.enter(LineState::Handset, None),
            LineState::Ringing => {
                self.enter(LineState::Handset, Some(EndedWhy::Handset));
                self.visited_until = Some(now + self.params.talk_window);
            }
            LineState::BusyOther | LineState::Fault | LineState::Handset | LineState::Ours => return,
        }
        self.outputs.push_back(Output::HandsetTook);
    }

    fn replaced(&mut self) {
        self.handset_lifted = false;
        if self.state == LineState::Handset {
            self.rest(None);
        }
    }

    /// The panel side says whose the line is: not ours.
    fn lose(&mut self, state: LineState) {
        let dropped = match self.state {
            // A panel that rings is not idle: that word comes when another panel or a fault is gone.
            LineState::Ringing if state == LineState::Idle => return,
            LineState::Ours | LineState::Ringing => Some(EndedWhy::Drop),
            LineState::BusyOther | LineState::Fault | LineState::Handset | LineState::Idle => None,
        };
        if state == LineState::Idle {
            self.rest(dropped);
        } else {
            self.enter(state, dropped);
        }
    }

    /// Nobody rings or talks any more; another panel that still has the line has it, or else a handset that is still lifted.
    fn rest(&mut self, ended: Option<EndedWhy>) {
        if self.busy {
            self.enter(LineState::BusyOther, ended);
        } else {
            self.let_go(ended);
        }
    }

    /// The line is nobody's but of a handset that is still lifted.
    fn let_go(&mut self, ended: Option<EndedWhy>) {
        let state = if self.handset_lifted {
            LineState::Handset
        } else {
            LineState::Idle
        };
        self.enter(state, ended);
    }

    /// Any change but into a ring or talk of ours.
    fn enter(&mut self, state: LineState, ended: Option<EndedWhy>) {
        self.bell = None;
        self.until = None;
        self.visited_until = None;
        self.rung = false;
        if self.state == LineState::Ours {
            self.outputs.push_back(Output::Command(LineCommand::Release));
        }
        // a press goes on though its ring is over, but not in somebody else's talk
        if state != LineState::Idle {
            self.unhook();
        }
        self.change(state);
        if let Some(why) = ended {
            self.outputs.push_back(Output::Ended { why });
        }
    }

    /// Back on-hook after a press.
    fn unhook(&mut self) {
        if self.hooked_until.take().is_some() {
            self.outputs.push_back(Output::Command(LineCommand::Release));
        }
    }

    fn change(&mut self, state: LineState) {
        if self.state != state {
            self.still_rung_until = None;
            self.state = state;
            self.outputs.push_back(Output::Event(LineEvent::State { state }));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: Instant = Instant::from_nanos(1_000_000_000);

    /// What happens to a line, and what it must say: `commands events ended`, in words.
    enum Do {
        Opens(u64),
        Press(PressAnswer),
        Release,
        Seize(SeizeWhy, Result<(), SeizeRefused>),
        Signal(LineSignal),
        Wait(u64),
    }
    use Do::{Opens, Press, Release, Seize, Signal, Wait};
    use LineSignal as S;
    use SeizeWhy::{Asked, IncomingCall, OutgoingAnswered, PressAnswered};

    #[track_caller]
    fn check(params: LineParams, story: &[(Do, &str)]) -> Line {
        let (mut line, mut now) = (Line::new(params), T0);
        for (step, (what, expected)) in story.iter().enumerate() {
            match what {
                Opens(s) => line.opens(now, Duration::from_secs(*s)),
                Press(answer) => assert_eq!(line.press(now), *answer, "step {step}"),
                Release => line.release(now),
                Seize(why, answer) => assert_eq!(line.seize(now, *why), *answer, "step {step}"),
                Signal(signal) => line.handle_signal(now, *signal),
                Wait(s) => {
                    now = now + Duration::from_secs(*s);
                    line.handle_timeout(now);
                }
            }
            assert_eq!(said(&mut line), *expected, "step {step}");
        }
        line
    }

    #[test]
    fn a_ring_is_answered_by_a_phone_and_ends() {
        check(
            LineParams::default(),
            &[
                (Signal(S::Ring), "ringing ring"),
                (Seize(OutgoingAnswered, Ok(())), "SEIZE ours"),
                (Signal(S::RingStopped), ""),
                (Release, "RELEASE idle"),
                (Release, ""),
            ],
        );
    }

    #[test]
    fn a_panel_that_rings_another_apartment_has_hung_up_on_the_one_before() {
        let (twelve, thirteen) = (S::RingFor(Bell::Apartment(12)), S::RingFor(Bell::Apartment(13)));
        check(
            LineParams::default(),
            &[
                (Signal(twelve), "ringing ring:12"),
                (Signal(twelve), ""),
                (Signal(thirteen), "idle ended:stopped ringing ring:13"),
                (Seize(OutgoingAnswered, Ok(())), "SEIZE ours"),
                (Signal(thirteen), ""),
                (Signal(twelve), "RELEASE idle ended:drop ringing ring:12"),
                (Signal(S::RingStopped), "idle ended:stopped"),
            ],
        );
    }

    #[test]
    fn a_floor_call_neither_takes_the_line_nor_waits_for_it() {
        let floor = || Signal(S::RingFor(Bell::Floor));
        check(
            LineParams::default(),
            &[
                (floor(), "floor"),
                (Seize(OutgoingAnswered, Err(SeizeRefused::NoCall)), ""),
                (Signal(S::BusyOther), "busy-other"),
                (floor(), "floor"),
                (Seize(OutgoingAnswered, Err(SeizeRefused::LineBusy)), ""),
                (Signal(S::Idle), "idle"),
                (Signal(S::Ring), "ringing ring"),
                (floor(), "floor"),
                (Seize(OutgoingAnswered, Ok(())), "SEIZE ours"),
                (floor(), "floor"),
                (Signal(S::HandsetLifted), ""),
                (Release, "RELEASE handset"),
                (floor(), "floor"),
                (Signal(S::Fault), "fault"),
                (floor(), "floor"),
            ],
        );
    }

    #[test]
    fn a_line_that_another_panel_still_has_is_its_own_again_after_a_ring_or_talk_of_ours() {
        check(
            self_start(),
            &[
                (Signal(S::BusyOther), "busy-other"),
                (Signal(S::Ring), "idle ringing ring"),
                (Signal(S::RingStopped), "busy-other ended:stopped"),
                (Seize(OutgoingAnswered, Err(SeizeRefused::LineBusy)), ""),
                (Seize(IncomingCall, Err(SeizeRefused::LineBusy)), ""),
                (Signal(S::Ring), "idle ringing ring"),
                (Seize(OutgoingAnswered, Ok(())), "SEIZE ours"),
                (Release, "RELEASE busy-other"),
                (Signal(S::Ring), "idle ringing ring"),
                // it lets go while the other one rings
                (Signal(S::Idle), ""),
                (Seize(OutgoingAnswered, Ok(())), "SEIZE ours"),
                (Wait(120), "RELEASE idle ended:window"),
            ],
        );
    }

    #[test]
    fn a_press_within_a_ring_or_talk_joins_it() {
        check(
            LineParams::default(),
            &[
                (Press(PressAnswer::Started), "ringing"),
                (Press(PressAnswer::Joined), ""),
                (Signal(S::Ring), ""),
                (Seize(OutgoingAnswered, Ok(())), "SEIZE ours"),
                (Press(PressAnswer::Joined), ""),
            ],
        );
    }

    #[test]
    fn the_ring_window_runs_from_the_first_press() {
        check(
            LineParams::default(),
            &[
                (Press(PressAnswer::Started), "ringing"),
                (Wait(119), ""),
                (Press(PressAnswer::Joined), ""),
                (Wait(1), "idle ended:window"),
                (Seize(OutgoingAnswered, Err(SeizeRefused::NoCall)), ""),
            ],
        );
    }

    #[test]
    fn the_talk_window_ends_the_talk() {
        check(
            LineParams::default(),
            &[
                (Signal(S::Ring), "ringing ring"),
                (Wait(100), ""),
                (Seize(OutgoingAnswered, Ok(())), "SEIZE ours"),
                (Wait(119), ""),
                (Wait(1), "RELEASE idle ended:window"),
            ],
        );
    }

    #[test]
    fn the_handset_that_lifts_first_takes_the_ring() {
        check(
            LineParams::default(),
            &[
                (Signal(S::Ring), "ringing ring"),
                (Signal(S::HandsetLifted), "handset ended:handset took"),
                (Signal(S::HandsetLifted), ""),
                (Seize(OutgoingAnswered, Err(SeizeRefused::LineBusy)), ""),
                (Press(PressAnswer::Refused(SeizeRefused::LineBusy)), ""),
                (Signal(S::HandsetReplaced), "idle"),
            ],
        );
    }

    #[test]
    fn a_ring_while_the_handset_is_lifted_is_told_as_its_visitors_or_as_anothers() {
        check(
            LineParams::default(),
            &[
                (Signal(S::Ring), "ringing ring"),
                (Signal(S::HandsetLifted), "handset ended:handset took"),
                (Signal(S::Ring), "again"),
                (Signal(S::RingFor(Bell::Floor)), "floor"),
                (Wait(119), ""),
                (Signal(S::Ring), "again"),
                (Wait(1), ""),
                (Signal(S::RingFor(Bell::Apartment(12))), "other:12"),
                (Signal(S::RingFor(Bell::Apartment(12))), "again"),
                (Signal(S::HandsetReplaced), "idle"),
                // lifted for nobody
                (Signal(S::HandsetLifted), "handset took"),
                (Signal(S::Ring), "other"),
                (Signal(S::Ring), "again"),
                (Signal(S::HandsetReplaced), "idle"),
                // lifted in our talk, which ends
                (Signal(S::Ring), "ringing ring"),
                (Seize(OutgoingAnswered, Ok(())), "SEIZE ours"),
                (Signal(S::HandsetLifted), ""),
                (Release, "RELEASE handset"),
                (Signal(S::Ring), "other"),
            ],
        );
    }

    #[test]
    fn the_phone_that_answers_first_excludes_the_handset_until_it_hangs_up() {
        check(
            LineParams::default(),
            &[
                (Signal(S::Ring), "ringing ring"),
                (Seize(OutgoingAnswered, Ok(())), "SEIZE ours"),
                (Signal(S::HandsetLifted), ""),
                (Release, "RELEASE handset"),
                (Signal(S::HandsetReplaced), "idle"),
            ],
        );
    }

    #[test]
    fn without_handset_sense_such_signals_mean_nothing() {
        let params = LineParams {
            handset_sense: false,
            ..LineParams::default()
        };
        check(
            params,
            &[
                (Signal(S::Ring), "ringing ring"),
                (Signal(S::HandsetLifted), ""),
                (Signal(S::HandsetReplaced), ""),
            ],
        );
    }

    #[test]
    fn a_call_that_is_answered_by_the_press_has_the_line_of_that_ring() {
        let line = check(
            LineParams::default(),
            &[
                (Press(PressAnswer::Started), "ringing"),
                (Seize(IncomingCall, Err(SeizeRefused::LineBusy)), ""),
                (Seize(PressAnswered, Ok(())), "SEIZE ours"),
                (Seize(PressAnswered, Err(SeizeRefused::LineBusy)), ""),
            ],
        );
        assert!(line.may_open_now(), "as in any talk that began with a ring");
        check(
            LineParams::default(),
            &[(Seize(PressAnswered, Err(SeizeRefused::NoCall)), "")],
        );
    }

    #[test]
    fn an_incoming_call_needs_a_line_that_starts_by_itself() {
        check(
            LineParams::default(),
            &[(Seize(IncomingCall, Err(SeizeRefused::NoCall)), "")],
        );
        check(
            self_start(),
            &[
                (Seize(IncomingCall, Ok(())), "SEIZE ours"),
                (Seize(IncomingCall, Err(SeizeRefused::LineBusy)), ""),
                (Release, "RELEASE idle"),
                (Signal(S::Ring), "ringing ring"),
                (Seize(IncomingCall, Err(SeizeRefused::LineBusy)), ""),
            ],
        );
    }

    #[test]
    fn a_call_that_nobody_rang_for_has_an_idle_line_and_takes_none_from_a_visitor() {
        check(
            LineParams::default(),
            &[
                (Seize(Asked, Ok(())), "SEIZE ours"),
                (Seize(Asked, Err(SeizeRefused::LineBusy)), ""),
                (Release, "RELEASE idle"),
                (Signal(S::Ring), "ringing ring"),
                (Seize(Asked, Err(SeizeRefused::LineBusy)), ""),
                (Signal(S::Fault), "fault ended:drop"),
                (Seize(Asked, Err(SeizeRefused::Fault)), ""),
            ],
        );
        let line = check(self_start(), &[(Seize(Asked, Ok(())), "SEIZE ours")]);
        assert!(
            !line.may_open_now(),
            "a panel that opens in a ring only does not then"
        );
    }

    #[test]
    fn another_panel_makes_the_line_busy_and_drops_our_talk() {
        check(
            self_start(),
            &[
                (Signal(S::BusyOther), "busy-other"),
                (Seize(IncomingCall, Err(SeizeRefused::LineBusy)), ""),
                (Press(PressAnswer::Refused(SeizeRefused::LineBusy)), ""),
                (Signal(S::Idle), "idle"),
                (Seize(IncomingCall, Ok(())), "SEIZE ours"),
                (Signal(S::BusyOther), "RELEASE busy-other ended:drop"),
                (Signal(S::Ring), "idle ringing ring"),
            ],
        );
    }

    #[test]
    fn a_fault_drops_ring_and_talk() {
        check(
            self_start(),
            &[
                (Signal(S::Ring), "ringing ring"),
                (Signal(S::Idle), ""),
                (Signal(S::Fault), "fault ended:drop"),
                (Press(PressAnswer::Refused(SeizeRefused::Fault)), ""),
                (Seize(IncomingCall, Err(SeizeRefused::Fault)), ""),
                (Wait(1000), ""),
                (Signal(S::Idle), "idle"),
                (Seize(IncomingCall, Ok(())), "SEIZE ours"),
                (Signal(S::Idle), "RELEASE idle ended:drop"),
            ],
        );
    }

    #[test]
    fn a_ring_that_the_panel_stops_is_over() {
        check(
            LineParams::default(),
            &[
                (Signal(S::Ring), "ringing ring"),
                (Signal(S::RingStopped), "idle ended:stopped"),
            ],
        );
        check(
            LineParams::default(),
            &[(Signal(S::RingStopped), ""), (Signal(S::OpenedByPanel), "opened")],
        );
    }

    #[test]
    fn the_panel_opens_only_when_its_profile_says_so() {
        use LineState::{Fault, Handset, Idle, Ours, Ringing};
        for (open_when, allowed) in [
            (OpenWhen::Always, vec![Idle, Ringing, Ours, Handset]),
            (OpenWhen::OffHook, vec![Ours, Handset]),
            (OpenWhen::Ringing, vec![Ringing]),
        ] {
            for (signals, seize, state) in [
                (vec![], false, Idle),
                (vec![S::Ring], false, Ringing),
                (vec![], true, Ours),
                (vec![S::HandsetLifted], false, Handset),
                (vec![S::Fault], false, Fault),
            ] {
                let mut line = Line::new(LineParams {
                    open_when,
                    ..self_start()
                });
                signals.iter().for_each(|s| line.handle_signal(T0, *s));
                assert!(!seize || line.seize(T0, IncomingCall).is_ok());
                assert_eq!(line.state(), state);
                assert_eq!(
                    line.may_open_now(),
                    allowed.contains(&state),
                    "{open_when:?} {state}"
                );
            }
        }
        let line = check(
            LineParams::default(),
            &[
                (Signal(S::Ring), "ringing ring"),
                (Seize(OutgoingAnswered, Ok(())), "SEIZE ours"),
            ],
        );
        assert!(line.may_open_now(), "a talk that began with a ring may open");
    }

    #[test]
    fn a_press_that_takes_somebody_off_hook_answers_the_ring_for_its_time() {
        let params = || LineParams {
            hook_to_open: true,
            ..LineParams::default()
        };
        let begins = || (Signal(S::Ring), "ringing ring");
        check(
            params(),
            &[
                begins(),
                (Opens(3), "SEIZE"),
                (Opens(3), ""),
                (Wait(2), ""),
                (Wait(1), "RELEASE idle ended:stopped"),
                (Opens(3), ""),
                // who answers meanwhile talks, and the press is one of that talk
                begins(),
                (Opens(3), "SEIZE"),
                (Seize(OutgoingAnswered, Ok(())), "SEIZE ours"),
                (Opens(3), ""),
                (Wait(5), ""),
                (Release, "RELEASE idle"),
                // the ring may be over before the press is
                begins(),
                (Opens(3), "SEIZE"),
                (Release, "idle"),
                (Wait(3), "RELEASE"),
                // whoever lifts the handset has the line
                begins(),
                (Opens(3), "SEIZE"),
                (Signal(S::HandsetLifted), "RELEASE handset ended:handset took"),
                (Signal(S::HandsetReplaced), "idle"),
                begins(),
                (Opens(3600), "SEIZE"),
                (Wait(30), "RELEASE idle ended:stopped"),
            ],
        );
        // a panel that rings somebody else has hung up on us
        let (twelve, thirteen) = (S::RingFor(Bell::Apartment(12)), S::RingFor(Bell::Apartment(13)));
        check(
            params(),
            &[
                (Signal(twelve), "ringing ring:12"),
                (Opens(3), "SEIZE"),
                (Signal(thirteen), "RELEASE idle ended:stopped ringing ring:13"),
                (Wait(10), ""),
            ],
        );
        // where the panel opens for whoever presses, nobody lifts
        check(LineParams::default(), &[begins(), (Opens(3), "")]);
    }

    #[test]
    fn a_ring_that_no_telephone_answers_can_be_opened_for_as_long_as_the_panel_rings() {
        let params = || LineParams {
            handset_sense: true,
            hook_to_open: true,
            open_when: OpenWhen::Ringing,
            ..LineParams::default()
        };
        let unanswered = || {
            vec![
                (Signal(S::Ring), "ringing ring"),
                (Wait(5), ""),
                (Release, "idle"),
            ]
        };
        let with = |more: Vec<(Do, &'static str)>| {
            let mut story = unanswered();
            story.extend(more);
            check(params(), &story)
        };
        assert!(with(vec![(Wait(114), "")]).may_open_now());
        assert!(!with(vec![(Wait(115), "")]).may_open_now());
        assert!(!with(vec![(Signal(S::RingStopped), "")]).may_open_now());
        assert!(!with(vec![(Signal(S::BusyOther), "busy-other")]).may_open_now());
        assert!(
            !with(vec![
                (Signal(S::HandsetLifted), "handset took"),
                (Signal(S::HandsetReplaced), "idle")
            ])
            .may_open_now()
        );
        // answered for the press, and over then
        let line = with(vec![(Opens(3), "SEIZE"), (Wait(2), ""), (Wait(1), "RELEASE")]);
        assert!(!line.may_open_now());
        // the next ring is one of its own
        let line = with(vec![
            (Signal(S::Ring), "ringing ring"),
            (Seize(OutgoingAnswered, Ok(())), "SEIZE ours"),
            (Release, "RELEASE idle"),
        ]);
        assert!(!line.may_open_now(), "a talk is over for the panel, too");
    }

    #[test]
    fn a_lifted_handset_does_not_open_where_we_have_to_be_off_hook() {
        for (hook_to_open, opens) in [(false, true), (true, false)] {
            let mut line = Line::new(LineParams {
                hook_to_open,
                open_when: OpenWhen::OffHook,
                ..LineParams::default()
            });
            line.handle_signal(T0, S::HandsetLifted);
            assert_eq!(line.may_open_now(), opens);
        }
    }

    #[test]
    fn a_shorter_window_applies_to_the_talk_in_progress_and_a_longer_one_does_not() {
        let mut line = check(self_start(), &[(Seize(IncomingCall, Ok(())), "SEIZE ours")]);
        let secs = Duration::from_secs;
        let at = T0 + secs(10);
        line.apply(
            at,
            LineParams {
                talk_window: secs(60),
                ..self_start()
            },
        );
        assert_eq!(line.poll_timeout(), Some(T0 + secs(60)));
        line.apply(
            at,
            LineParams {
                talk_window: secs(600),
                ..self_start()
            },
        );
        assert_eq!(line.poll_timeout(), Some(T0 + secs(60)));
    }

    proptest! {
        /// Seize and Release come in turns, never while another panel has the line unless it has rung since; a talk is always
        /// bounded, and the state told last is the state, which no floor call changes.
        #[test]
        fn the_talk_path_is_given_back_whatever_happens(steps in prop::collection::vec((0_u8..20, 0_u64..90), 0..80)) {
            let params = LineParams { hook_to_open: true, ..self_start() };
            let (mut line, mut now) = (Line::new(params), T0);
            let (mut seized, mut told) = (false, LineState::Idle);
            // the adapter said that another panel has the line
            let mut busy = false;
            for (step, wait) in steps {
                now = now + Duration::from_secs(wait);
                match step {
                    0 => {
                        line.handle_signal(now, S::BusyOther);
                        busy = true;
                    }
                    1 => line.handle_signal(now, S::Fault),
                    2 => line.handle_signal(now, S::HandsetLifted),
                    3 => line.handle_signal(now, S::HandsetReplaced),
                    4 => {
                        line.handle_signal(now, S::Idle);
                        busy = false;
                    }
                    5 => line.handle_signal(now, S::OpenedByPanel),
                    6 => line.handle_signal(now, S::Ring),
                    7 => line.handle_signal(now, S::RingStopped),
                    8 => line.release(now),
                    9 => { let _ = line.press(now); }
                    10 => { let _ = line.seize(now, IncomingCall); }
                    11 => { let _ = line.seize(now, OutgoingAnswered); }
                    12 => { let _ = line.seize(now, Asked); }
                    13 => { let _ = line.seize(now, PressAnswered); }
                    14 | 15 => line.handle_signal(now, S::RingFor(Bell::Apartment(u16::from(step)))),
                    16 => {
                        line.handle_timeout(now);
                        let before = line.state();
                        line.handle_signal(now, S::RingFor(Bell::Floor));
                        prop_assert_eq!(line.state(), before);
                    }
                    17 | 18 => line.opens(now, Duration::from_secs(wait + 1)),
                    _ => line.handle_timeout(now),
                }
                while let Some(output) = line.poll_output() {
                    match output {
                        Output::Command(LineCommand::Seize) => {
                            // a talk takes over what was for a press
                            let before = std::mem::replace(&mut seized, true);
                            prop_assert!(!before || line.state() == LineState::Ours);
                            prop_assert!(!busy || told == LineState::Ringing);
                        }
                        Output::Command(LineCommand::Release) => {
                            prop_assert!(std::mem::replace(&mut seized, false));
                        }
                        Output::Event(LineEvent::State { state }) => {
                            prop_assert_ne!(std::mem::replace(&mut told, state), state);
                        }
                        Output::RangAtHandset { .. } => prop_assert_eq!(line.state(), LineState::Handset),
                        Output::Command(LineCommand::Tone(_)) | Output::Ended { .. } | Output::FloorRang | Output::HandsetTook
                        | Output::OpenedByPanel | Output::RingStarted { .. } => {}
                    }
                }
                prop_assert_eq!(told, line.state());
                let opens = line.hooked_until.is_some();
                prop_assert_eq!(seized, line.state() == LineState::Ours || opens);
                let still_rung = line.still_rung_until.is_some();
                prop_assert!(!still_rung || line.state() == LineState::Idle);
                let bounded = opens || still_rung || matches!(line.state(), LineState::Ours | LineState::Ringing);
                prop_assert_eq!(bounded, line.poll_timeout().is_some());
                prop_assert!(line.poll_timeout().is_none_or(|until| until > now && until <= now + Duration::from_secs(120)));
            }
        }
    }

    fn self_start() -> LineParams {
        LineParams {
            call_in: CallIn::SelfStart,
            ..LineParams::default()
        }
    }

    fn said(line: &mut Line) -> String {
        let mut words = Vec::new();
        while let Some(output) = line.poll_output() {
            words.push(match output {
                Output::Command(LineCommand::Seize) => "SEIZE".to_owned(),
                Output::Command(LineCommand::Release) => "RELEASE".to_owned(),
                Output::Command(LineCommand::Tone(tone)) => tone.to_string(),
                Output::Ended { why } => format!("ended:{why:?}").to_lowercase(),
                Output::Event(LineEvent::State { state }) => state.to_string(),
                Output::FloorRang => "floor".to_owned(),
                Output::HandsetTook => "took".to_owned(),
                Output::OpenedByPanel => "opened".to_owned(),
                Output::RangAtHandset { other: false, .. } => "again".to_owned(),
                Output::RangAtHandset { other: true, bell } => rang("other", bell),
                Output::RingStarted { bell } => rang("ring", bell),
            });
        }
        words.join(" ")
    }

    fn rang(word: &str, bell: Option<Bell>) -> String {
        match bell {
            None => word.to_owned(),
            Some(Bell::Apartment(number)) => format!("{word}:{number}"),
            Some(Bell::Floor) => format!("{word}:floor"),
        }
    }
}
