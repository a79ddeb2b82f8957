//! A core that answers commands as the real one does: records first, then the reply once they are durable.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gateway_bus::BusCore;
use gateway_core::{
    AlarmEvent, AlarmId, AlarmState, AlarmView, AnnouncementId, ButtonId, CallEvent, CallView, Clock,
    Command, CommandEvent, CommandReply, CommandRequest, ContactState, ControllerEvent, DoorEvent,
    DoorGroupId, DoorId, DoorView, Envelope, Event, Fault, FireView, GatewayEvent, Given, HoldView, Instant,
    LineId, LockState, LockdownView, PanelEvent, PanelId, PanelView, QuietView, Refusal, RelayEvent,
    RelaySet, RingId, RingToOpenView, RuleId, Seq, SiteId, SiteView, Subject, Timestamp, TriedRule,
};
use gateway_store::{Store, Ticket};
use tokio::sync::{mpsc, oneshot};

/// The only visitor whom the core lets in.
pub(crate) const RANG: &str = "01990000-0000-7707-8707-070707070707";

/// A clock that the test moves.
#[derive(Debug)]
pub(crate) struct HandClock {
    began: std::time::Instant,
    ahead_ms: AtomicU64,
    /// From here on it goes by hand only.
    stopped: OnceLock<Duration>,
    wall: Timestamp,
}

impl HandClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: std::time::Instant::now(),
            ahead_ms: AtomicU64::new(0),
            stopped: OnceLock::new(),
            wall: Timestamp::now(),
        })
    }

    pub(crate) fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).expect("a short time");
        self.ahead_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// From here on it goes by hand only.
    pub(crate) fn stop(&self) {
        self.stopped.get_or_init(|| self.began.elapsed());
    }

    fn passed(&self) -> Duration {
        let alone = self
            .stopped
            .get()
            .copied()
            .unwrap_or_else(|| self.began.elapsed());
        alone + Duration::from_millis(self.ahead_ms.load(Ordering::SeqCst))
    }
}

impl Clock for HandClock {
    fn now(&self) -> Instant {
        Instant::from_nanos(1_000_000_000) + self.passed()
    }
    fn wall(&self) -> Timestamp {
        self.wall + jiff::SignedDuration::try_from(self.passed()).expect("a short time")
    }
}

/// The core.
pub(crate) struct FakeCore {
    pub(crate) bus: BusCore,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) pulse: Duration,
    pub(crate) store: Store,
    grants: u64,
    seen: BTreeSet<String>,
    turns: Turns,
}

/// What the test wants of the core: a turn, with this part in fault if any.
pub(crate) type Turn = (Option<String>, oneshot::Sender<()>);
type Turns = mpsc::Receiver<Turn>;

fn door(id: &str, name: &str, available: bool) -> DoorView {
    DoorView {
        available,
        contact: ContactState::Closed,
        forced: false,
        held_open: false,
        hold: None,
        hold_limit: (id == "garage").then(|| Duration::from_secs(7200)),
        hold_scheduled: false,
        id: DoorId::new(id).expect("a name"),
        lock: LockState::Locked,
        lockdown: false,
        works: available,
        name: name.into(),
        owned: true,
        readers: Vec::new(),
        pulse_until: None,
        simulated: true,
        tamper: None,
    }
}

/// A small site: two doors, one panel.
pub(crate) fn site() -> SiteView {
    SiteView {
        doors: vec![
            door("front", "Main entrance", true),
            door("garage", "Garage and bicycle cellar", true),
        ],
        alarms: vec![AlarmView {
            id: AlarmId::new("intrusion").expect("a name"),
            name: "Warehouse".into(),
            ring: None,
            state: AlarmState::Rest,
        }],
        fire: Some(FireView {
            active: false,
            alarm: true,
        }),
        generation: 1,
        instance: "test".into(),
        lockdowns: vec![LockdownView {
            active: false,
            doors: ["front", "garage"]
                .map(|id| DoorId::new(id).expect("a name"))
                .into(),
            group: None,
            name: "12 rue des Lilas".into(),
        }],
        name: "12 rue des Lilas".into(),
        panels: vec![PanelView {
            quiet: None,
            announcements: vec![(
                AnnouncementId::new("lift").expect("a name"),
                "The lift is out of order".into(),
            )],
            buttons: vec![(ButtonId::new("bell").expect("a name"), "Bell".into())],
            callable: true,
            doors: vec![DoorId::new("front").expect("a name")],
            id: PanelId::new("main").expect("a name"),
            line: LineId::new("riser").expect("a name"),
            name: "Main entrance".into(),
            ring: None,
            ring_to_open: None,
            ring_to_open_limit: Some(std::time::Duration::from_secs(7200)),
            simulated: true,
        }],
        site: SiteId::new("lilas").ok(),
        ..SiteView::default()
    }
}

impl FakeCore {
    /// It gives a sign of life at each of `turns`, and counts as one that never gave one until the first.
    pub(crate) fn new(bus: BusCore, store: Store, clock: Arc<HandClock>, turns: Turns) -> Self {
        bus.view.send_replace(Arc::new(site()));
        Self {
            bus,
            clock,
            pulse: Duration::from_secs(3),
            store,
            grants: 0,
            seen: BTreeSet::new(),
            turns,
        }
    }

    /// Answers until every bus is gone.
    pub(crate) async fn run(mut self) {
        loop {
            let asked = tokio::select! {
                asked = self.bus.commands.recv() => asked,
                Some(question) = self.bus.rule_questions.recv() => {
                    let known = question.ask.groups.iter().all(|group| group.as_str() == "staff");
                    let acts = TriedRule {
                        actions: vec![format!("notify erp: {}", question.ask.event.source)],
                        held_back: false,
                        rule: RuleId::new("night").expect("a name"),
                        why: String::new(),
                    };
                    let told = if known { Ok(vec![acts]) } else { Err("there is no such group".to_owned()) };
                    let _ = question.answer.send(told);
                    continue;
                }
                Some((fault, done)) = self.turns.recv() => {
                    self.bus.alive(self.clock.now());
                    let seq = self.bus.view.borrow().seq;
                    self.show(seq, |view| {
                        let text = "for a test".to_owned();
                        view.faults = fault.into_iter().map(|part| Fault { part, text: text.clone() }).collect();
                    });
                    // the test waits for it
                    let _ = done.send(());
                    continue;
                }
            };
            let Some(asked) = asked else { return };
            let reply = self.judge(asked.request).await;
            // Whoever asked may have gone.
            let _ = asked.reply.send(reply);
        }
    }

    pub(crate) fn append(&self, event: Event, ring: Option<RingId>) -> Ticket {
        let envelope = Envelope {
            at: self.clock.wall(),
            event,
            ring,
            simulated: true,
        };
        self.store.append(envelope).expect("the journal takes it")
    }

    pub(crate) fn show(&self, seq: Seq, change: impl FnOnce(&mut SiteView)) {
        let mut view = SiteView::clone(&self.bus.view.borrow());
        view.seq = seq;
        change(&mut view);
        self.bus.view.send_replace(Arc::new(view));
    }

    async fn lockdown(&self, subject: Subject, group: Option<DoorGroupId>, active: bool) -> CommandReply {
        let event = GatewayEvent::Lockdown {
            active,
            group: group.clone(),
            subject,
        };
        let ticket = self.append(Event::Gateway(event), None);
        self.show(ticket.seq(), |view| {
            for lockdown in view.lockdowns.iter_mut().filter(|l| l.group == group) {
                lockdown.active = active;
                for door in view.doors.iter_mut().filter(|d| lockdown.doors.contains(&d.id)) {
                    door.lockdown = active;
                    door.available = !active;
                }
            }
        });
        self.accepted(ticket, None).await
    }

    async fn accepted(&self, ticket: Ticket, ring: Option<RingId>) -> CommandReply {
        let seq = ticket.durable().await.expect("durable");
        CommandReply::Accepted { ring, seq }
    }

    async fn judge(&mut self, request: CommandRequest) -> CommandReply {
        if let Command::Unread { reason, text, .. } = &request.command {
            let event = CommandEvent::Refused {
                id: request.id.to_string(),
                reason: *reason,
                subject: request.origin.subject.clone(),
                verb: request.command.verb().to_owned(),
            };
            let ticket = self.append(Event::Command(event), None);
            ticket.durable().await.expect("durable");
            return refused(*reason, text);
        }
        if !self.seen.insert(request.id.to_string()) {
            return refused(Refusal::Duplicate, "the id was used before");
        }
        let age = match request.given {
            Given::At(at) => self.clock.wall().duration_since(at),
            Given::Live(arrived) => {
                let age = self.clock.now().since(arrived);
                jiff::SignedDuration::try_from(age).expect("a short time")
            }
            Given::Undated => panic!("HTTP gives a time"),
        };
        if age.abs() > jiff::SignedDuration::from_secs(10) {
            return refused(Refusal::Stale, "the command is older than 10 s");
        }
        match request.command {
            Command::OpenFor { ring, .. } if ring.to_string() != RANG => {
                refused(Refusal::Stale, "the visitor rang long ago")
            }
            Command::Open { door } | Command::OpenFor { door, .. } | Command::OpenWithCode { door, .. } => {
                let view = self.bus.view.borrow().clone();
                if !view.doors.iter().any(|d| d.id == door) {
                    return refused(Refusal::Unknown, "there is no such door");
                }
                self.grants += 1;
                let granted = DoorEvent::Granted {
                    factor: request.origin.factor,
                    grant: self.grants,
                    rule: "api".into(),
                    subject: request.origin.subject,
                };
                let ticket = self.append(Event::Door(door.clone(), granted), None);
                let until = self.clock.now() + self.pulse;
                self.show(ticket.seq(), |v| {
                    for d in v.doors.iter_mut().filter(|d| d.id == door) {
                        d.lock = LockState::Unlocked;
                        d.pulse_until = Some(until);
                    }
                });
                self.accepted(ticket, None).await
            }
            Command::Press { button, panel } => {
                if !request.origin.may_simulate {
                    return refused(Refusal::Forbidden, "no simulation");
                }
                let unix_ms = u64::try_from(self.clock.wall().as_millisecond()).expect("after 1970");
                let ring = RingId::new(unix_ms, [7; 10]);
                let event = PanelEvent::Ring { button };
                let ticket = self.append(Event::Panel(panel.clone(), event), Some(ring));
                self.show(ticket.seq(), |v| {
                    v.calls.push(CallView {
                        names: Vec::new(),
                        parties: vec!["sip:1000@pbx.example".into()],
                        ring,
                        panel: Some(panel),
                        state: "ringing",
                    });
                    v.panels[0].ring = Some(ring);
                });
                self.accepted(ticket, Some(ring)).await
            }
            Command::Announce {
                announcement,
                panel,
                to,
            } => {
                let event = PanelEvent::Announced {
                    announcement,
                    subject: request.origin.subject,
                    to,
                };
                let ticket = self.append(Event::Panel(panel, event), None);
                self.accepted(ticket, None).await
            }
            Command::Call { button, panel } => {
                let unix_ms = u64::try_from(self.clock.wall().as_millisecond()).expect("after 1970");
                let ring = RingId::new(unix_ms, [8; 10]);
                let asked = CallEvent::Asked {
                    button: button.expect("the path has one"),
                    panel: panel.clone(),
                    subject: request.origin.subject,
                };
                let ticket = self.append(Event::Call(asked), Some(ring));
                self.show(ticket.seq(), |v| {
                    v.calls.push(CallView {
                        names: Vec::new(),
                        parties: vec!["sip:1000@pbx.example".into()],
                        ring,
                        panel: Some(panel),
                        state: "ringing",
                    });
                });
                self.accepted(ticket, Some(ring)).await
            }
            Command::HangUp { ring } => {
                let outcome = "cancelled".into();
                let panel = PanelId::new("main").expect("a name");
                let ticket = self.append(Event::Panel(panel, PanelEvent::RingEnded { outcome }), Some(ring));
                self.show(ticket.seq(), |v| {
                    v.calls.retain(|c| c.ring != ring);
                    v.panels[0].ring = None;
                });
                self.accepted(ticket, Some(ring)).await
            }
            Command::EndHold { door } => {
                let event = DoorEvent::HoldEnded {
                    why: "command".into(),
                };
                let ticket = self.append(Event::Door(door.clone(), event), None);
                self.show(ticket.seq(), |v| {
                    for d in v.doors.iter_mut().filter(|d| d.id == door) {
                        d.hold = None;
                    }
                });
                self.accepted(ticket, None).await
            }
            Command::Hold { door, time } => {
                let event = DoorEvent::HoldBegan {
                    factor: request.origin.factor,
                    limit_s: time.as_secs(),
                    subject: request.origin.subject,
                };
                let ticket = self.append(Event::Door(door.clone(), event), None);
                let until = Some(self.clock.now() + time);
                self.show(ticket.seq(), |v| {
                    for d in v.doors.iter_mut().filter(|d| d.id == door) {
                        d.hold = Some(HoldView {
                            schedule: false,
                            until,
                        });
                    }
                });
                self.accepted(ticket, None).await
            }
            Command::EndQuiet { panel } => {
                let why = "command".into();
                let event = Event::Panel(panel.clone(), PanelEvent::QuietEnded { why });
                let ticket = self.append(event, None);
                self.show(ticket.seq(), |v| {
                    for p in v.panels.iter_mut().filter(|p| p.id == panel) {
                        p.quiet = None;
                    }
                });
                self.accepted(ticket, None).await
            }
            Command::Quiet { panel, time } => {
                let (limit_s, subject) = (time.map(|time| time.as_secs()), request.origin.subject);
                let event = Event::Panel(panel.clone(), PanelEvent::QuietBegan { limit_s, subject });
                let ticket = self.append(event, None);
                let until = time.map(|time| self.clock.now() + time);
                self.show(ticket.seq(), |v| {
                    for p in v.panels.iter_mut().filter(|p| p.id == panel) {
                        p.quiet = Some(QuietView { until });
                    }
                });
                self.accepted(ticket, None).await
            }
            Command::EndRingToOpen { panel } => {
                let why = "command".into();
                let event = Event::Panel(panel.clone(), PanelEvent::RingToOpenEnded { why });
                let ticket = self.append(event, None);
                self.show(ticket.seq(), |v| {
                    for p in v.panels.iter_mut().filter(|p| p.id == panel) {
                        p.ring_to_open = None;
                    }
                });
                self.accepted(ticket, None).await
            }
            Command::RingToOpen { panel, time } => {
                let (limit_s, subject) = (time.as_secs(), request.origin.subject);
                let event = Event::Panel(panel.clone(), PanelEvent::RingToOpenBegan { limit_s, subject });
                let ticket = self.append(event, None);
                let (date, until) = (self.clock.wall(), self.clock.now() + time);
                self.show(ticket.seq(), |v| {
                    for p in v.panels.iter_mut().filter(|p| p.id == panel) {
                        p.ring_to_open = Some(RingToOpenView { date, until });
                    }
                });
                self.accepted(ticket, None).await
            }
            Command::EndLockdown { group } => self.lockdown(request.origin.subject, group, false).await,
            Command::Lockdown { group } => self.lockdown(request.origin.subject, group, true).await,
            Command::ResetFire => {
                let subject = request.origin.subject;
                let event = GatewayEvent::FireAlarm {
                    active: false,
                    subject,
                };
                let ticket = self.append(Event::Gateway(event), None);
                self.show(ticket.seq(), |v| {
                    v.fire = v.fire.map(|fire| FireView { alarm: false, ..fire })
                });
                self.accepted(ticket, None).await
            }
            Command::ResetPassback { person } => {
                let subject = request.origin.subject;
                let event = GatewayEvent::PassbackReset { person, subject };
                let ticket = self.append(Event::Gateway(event), None);
                self.accepted(ticket, None).await
            }
            Command::ConfirmAlarm { alarm } => {
                let event = AlarmEvent::Confirmed {
                    factor: request.origin.factor,
                    subject: request.origin.subject,
                };
                let ticket = self.append(Event::Alarm(alarm, event), None);
                self.accepted(ticket, None).await
            }
            Command::SendCard { card, controller } => {
                let event = ControllerEvent::Sent {
                    bits: card.bits,
                    reader: None,
                    subject: Some(request.origin.subject),
                };
                let ticket = self.append(Event::Controller(controller, event), None);
                self.accepted(ticket, None).await
            }
            Command::SetRelay { relay, set } => {
                let text = format!("set by {}", request.origin.subject);
                let active = set != RelaySet::Off;
                let ticket = self.append(Event::Relay(relay, RelayEvent::Switched { active, text }), None);
                self.accepted(ticket, None).await
            }
            Command::Unread { .. } => unreachable!("it was refused above"),
        }
    }
}

fn refused(reason: Refusal, text: &str) -> CommandReply {
    CommandReply::Refused {
        reason,
        text: text.into(),
    }
}
