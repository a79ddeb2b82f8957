//! The one thing that opens.

use std::time::Duration;

use gateway_core::{DoorId, Factor, Instant, OutputId, RingId, Subject};

/// Permission to operate one output once.
///
/// Made only by the access decision, used up by the door machine and the guard: it cannot be copied, kept or
/// built elsewhere.
///
/// ```compile_fail
/// fn twice(grant: gateway_access::Grant) -> [gateway_access::Grant; 2] {
///     [grant.clone(), grant]
/// }
/// ```
///
/// Having the parts is not having the permission:
///
/// ```compile_fail,E0451
/// fn forged(parts: gateway_access::GrantParts) -> gateway_access::Grant {
///     gateway_access::Grant { parts }
/// }
/// ```
///
/// ```compile_fail,E0624
/// fn made(parts: gateway_access::GrantParts) -> gateway_access::Grant {
///     gateway_access::Grant::new(parts)
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    parts: GrantParts,
}

/// What a [`Grant`] says. Having these parts permits nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantParts {
    /// Use it before this time or not at all.
    pub deadline: Instant,
    /// The door.
    pub door: DoorId,
    /// By what means it was asked for.
    pub factor: Factor,
    /// Configuration generation that allowed it.
    pub generation: u64,
    /// The output stays energised for so long, beyond every pulse, unless it is ended before: the door is held open.
    pub hold: Option<Duration>,
    /// Number, unique while the process lives.
    pub id: u64,
    /// How long the door opens, where that is longer than its own strike time.
    pub open_for: Option<Duration>,
    /// The output that may be operated.
    pub output: OutputId,
    /// The ring it belongs to.
    pub ring: Option<RingId>,
    /// The rule that allowed it, in words.
    pub rule: String,
    /// Who asked.
    pub subject: Subject,
}

impl Grant {
    pub(crate) const fn new(parts: GrantParts) -> Self {
        Self { parts }
    }

    /// What it says.
    #[must_use]
    pub const fn parts(&self) -> &GrantParts {
        &self.parts
    }

    /// Uses it up; for the guard protocol, which sends the parts once.
    #[must_use]
    pub fn spend(self) -> GrantParts {
        self.parts
    }
}
