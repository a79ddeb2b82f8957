//! Cards on their way to controllers of somebody else.

use gateway_core::{CardFrame, ControllerId, Instant, ReaderId};

/// A card that is handed on.
#[derive(Clone, Debug)]
pub struct Forwarded {
    /// When.
    pub at: Instant,
    /// To which controller.
    pub controller: ControllerId,
    /// Its bits as they are to go out, or why they cannot.
    pub frame: Result<CardFrame, String>,
    /// Where it was read.
    pub reader: ReaderId,
}
