//! What may be on: how it is kept, what tells of it, and how its end is told.

use gateway_core::{
    ButtonId, CallEvent, Cause, DoorEvent, DoorId, Event, GatewayEvent, InputEvent, InputId, LineEvent,
    LineId, LineState, PanelEvent, PanelId, RelayEvent, RelayId, RingId,
};

/// Why it ended.
const WHY: &str = "restart";
/// What tells of begin and end.
pub(super) const KINDS: [&str; 28] = [
    "call.asked",
    "call.ended",
    "call.incoming",
    "call.leg-offered",
    "call.rejected",
    "door.closed",
    "door.forced",
    "door.forced-ended",
    "door.held-open",
    "door.held-open-ended",
    "door.hold-began",
    "door.hold-ended",
    "door.opened",
    "door.relocked",
    "door.tamper",
    "door.unlocked",
    "gateway.fire",
    "gateway.network",
    "input.active",
    "input.rest",
    "line.state",
    "panel.button-released",
    "panel.button-stuck",
    "panel.ring",
    "panel.ring-ended",
    "panel.ring-to-open-began",
    "panel.ring-to-open-ended",
    "relay.switched",
];

/// What is on until something ends it, in the order in which ends are told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A call goes on.
    Call(RingId),
    /// The fire input is active.
    Fire,
    /// A door was forced.
    Forced(DoorId),
    /// A door stands open for too long.
    HeldOpen(DoorId),
    /// A door is held open.
    Hold(DoorId),
    /// An input that rules look at is active.
    Input(InputId),
    /// A line is ours, or rings.
    Line(LineId),
    /// A lock is open.
    Lock(DoorId),
    /// The network is lost.
    Network,
    /// A door stands open.
    Open(DoorId),
    /// A relay that tells something is active.
    Relay(RelayId),
    /// Somebody rings at a panel.
    Ring(RingId, PanelId),
    /// Who rings is let in.
    RingToOpen(PanelId),
    /// A button is held for too long.
    Stuck(PanelId, ButtonId),
    /// A tamper contact is active.
    Tamper(DoorId),
}

impl What {
    pub(super) fn key(&self) -> String {
        match self {
            Self::Call(ring) => format!("call:{ring}"),
            Self::Fire => "fire:input".to_owned(),
            Self::Forced(door) => format!("forced:{door}"),
            Self::HeldOpen(door) => format!("held-open:{door}"),
            Self::Hold(door) => format!("hold:{door}"),
            Self::Input(input) => format!("input:{input}"),
            Self::Line(line) => format!("line:{line}"),
            Self::Lock(door) => format!("lock:{door}"),
            Self::Network => "network:lost".to_owned(),
            Self::Open(door) => format!("open:{door}"),
            Self::Relay(relay) => format!("relay:{relay}"),
            Self::Ring(ring, panel) => format!("ring:{ring}:{panel}"),
            Self::RingToOpen(panel) => format!("ring-to-open:{panel}"),
            Self::Stuck(panel, button) => format!("stuck:{panel}:{button}"),
            Self::Tamper(door) => format!("tamper:{door}"),
        }
    }

    pub(super) fn of_key(key: &str) -> Option<Self> {
        let (kind, name) = key.split_once(':')?;
        match kind {
            "call" => RingId::parse(name).map(Self::Call),
            "fire" => (name == "input").then_some(Self::Fire),
            "forced" => DoorId::new(name).ok().map(Self::Forced),
            "held-open" => DoorId::new(name).ok().map(Self::HeldOpen),
            "hold" => DoorId::new(name).ok().map(Self::Hold),
            "input" => InputId::new(name).ok().map(Self::Input),
            "line" => LineId::new(name).ok().map(Self::Line),
            "lock" => DoorId::new(name).ok().map(Self::Lock),
            "network" => (name == "lost").then_some(Self::Network),
            "open" => DoorId::new(name).ok().map(Self::Open),
            "relay" => RelayId::new(name).ok().map(Self::Relay),
            "ring" => {
                let (ring, panel) = name.split_once(':')?;
                Some(Self::Ring(RingId::parse(ring)?, PanelId::new(panel).ok()?))
            }
            "ring-to-open" => PanelId::new(name).ok().map(Self::RingToOpen),
            "stuck" => {
                let (panel, button) = name.split_once(':')?;
                Some(Self::Stuck(
                    PanelId::new(panel).ok()?,
                    ButtonId::new(button).ok()?,
                ))
            }
            "tamper" => DoorId::new(name).ok().map(Self::Tamper),
            _ => None,
        }
    }

    /// What an event says of it: whether it is on from there. `ring` is that of its record.
    pub(super) fn told(event: Event, ring: Option<RingId>) -> Option<(Self, bool)> {
        if let Event::Door(door, event) = event {
            return Self::told_of_door(door, &event);
        }
        match event {
            Event::Call(CallEvent::Ended { .. } | CallEvent::Rejected { .. }) => {
                Some((Self::Call(ring?), false))
            }
            // whatever else is told of a call belongs to one that goes on, but for what comes after its end
            Event::Call(
                CallEvent::Asked { .. } | CallEvent::Incoming { .. } | CallEvent::LegOffered { .. },
            ) => Some((Self::Call(ring?), true)),
            Event::Gateway(GatewayEvent::Fire { active }) => Some((Self::Fire, active)),
            Event::Gateway(GatewayEvent::Network { active, .. }) => Some((Self::Network, !active)),
            Event::Input(input, InputEvent::Active {}) => Some((Self::Input(input), true)),
            Event::Input(input, InputEvent::Rest {}) => Some((Self::Input(input), false)),
            Event::Line(line, LineEvent::State { state }) => {
                let begun_here = matches!(state, LineState::Ours | LineState::Ringing);
                Some((Self::Line(line), begun_here))
            }
            Event::Panel(panel, PanelEvent::ButtonReleased { button }) => {
                Some((Self::Stuck(panel, button), false))
            }
            Event::Panel(panel, PanelEvent::ButtonStuck { button }) => {
                Some((Self::Stuck(panel, button), true))
            }
            Event::Panel(panel, PanelEvent::Ring { .. }) => Some((Self::Ring(ring?, panel), true)),
            Event::Panel(panel, PanelEvent::RingEnded { .. }) => Some((Self::Ring(ring?, panel), false)),
            Event::Panel(panel, PanelEvent::RingToOpenBegan { .. }) => Some((Self::RingToOpen(panel), true)),
            Event::Panel(panel, PanelEvent::RingToOpenEnded { .. }) => Some((Self::RingToOpen(panel), false)),
            Event::Relay(relay, RelayEvent::Switched { active, .. }) => Some((Self::Relay(relay), active)),
            Event::Access(..)
            | Event::Account(..)
            | Event::Alarm(..)
            | Event::Call(_)
            | Event::Command(_)
            | Event::Controller(..)
            | Event::Device(..)
            | Event::Door(..)
            | Event::Gateway(_)
            | Event::Panel(..)
            | Event::Port(..)
            | Event::Reader(..)
            | Event::Rule(..)
            | Event::User(_) => None,
        }
    }

    fn told_of_door(door: DoorId, event: &DoorEvent) -> Option<(Self, bool)> {
        match event {
            DoorEvent::Closed {} => Some((Self::Open(door), false)),
            DoorEvent::Forced {} => Some((Self::Forced(door), true)),
            DoorEvent::ForcedEnded {} => Some((Self::Forced(door), false)),
            DoorEvent::HeldOpen {} => Some((Self::HeldOpen(door), true)),
            DoorEvent::HeldOpenEnded {} => Some((Self::HeldOpen(door), false)),
            DoorEvent::HoldBegan { .. } => Some((Self::Hold(door), true)),
            DoorEvent::HoldEnded { .. } => Some((Self::Hold(door), false)),
            DoorEvent::Opened {} => Some((Self::Open(door), true)),
            DoorEvent::Relocked { .. } => Some((Self::Lock(door), false)),
            DoorEvent::Tamper { active } => Some((Self::Tamper(door), *active)),
            DoorEvent::Unlocked { .. } => Some((Self::Lock(door), true)),
            DoorEvent::Denied { .. }
            | DoorEvent::Granted { .. }
            | DoorEvent::LockFault { .. }
            | DoorEvent::LockedOut { .. }
            | DoorEvent::OpenedByPanel { .. }
            | DoorEvent::Passback { .. }
            | DoorEvent::RexShunt { .. }
            | DoorEvent::SecondAwaited { .. } => None,
        }
    }

    /// What says that it ended, and under which ring; `None` of what stands whatever becomes of the gateway.
    pub(super) fn end(self) -> Option<(Event, Option<RingId>)> {
        let why = WHY.to_owned();
        Some(match self {
            Self::Call(ring) => {
                // for how long they had talked by then nobody knows
                let (cause, talk_ms) = (Cause::GatewayRestarted, 0);
                (Event::Call(CallEvent::Ended { cause, talk_ms }), Some(ring))
            }
            Self::Hold(door) => (Event::Door(door, DoorEvent::HoldEnded { why }), None),
            Self::Line(line) => {
                let state = LineState::Idle;
                (Event::Line(line, LineEvent::State { state }), None)
            }
            Self::Lock(door) => (Event::Door(door, DoorEvent::Relocked { why }), None),
            Self::Relay(relay) => {
                let (active, text) = (false, why);
                (Event::Relay(relay, RelayEvent::Switched { active, text }), None)
            }
            Self::Ring(ring, panel) => {
                let outcome = why;
                (Event::Panel(panel, PanelEvent::RingEnded { outcome }), Some(ring))
            }
            Self::RingToOpen(panel) => (Event::Panel(panel, PanelEvent::RingToOpenEnded { why }), None),
            Self::Fire
            | Self::Forced(_)
            | Self::HeldOpen(_)
            | Self::Input(_)
            | Self::Network
            | Self::Open(_)
            | Self::Stuck(..)
            | Self::Tamper(_) => return None,
        })
    }
}
