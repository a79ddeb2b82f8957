//! Cards on their way to controllers of somebody else.

use gateway_core::{CardFrame, ControllerId, Instant, ReaderId};

/// What is handed on.
#[derive(Clone, PartialEq, Eq)]
pub enum Handed {
    /// A card: its bits as they are to go out.
    Card(CardFrame),
    /// A key of a keypad: `0-9 * #`.
    Key(char),
}

impl std::fmt::Debug for Handed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Card(_) => "Card(***)",
            Self::Key(_) => "Key(***)",
        })
    }
}

/// A card or key on its way.
#[derive(Clone, Debug)]
pub struct Forwarded {
    /// When.
    pub at: Instant,
    /// To which controller.
    pub controller: ControllerId,
    /// What, or why it cannot go out.
    pub what: Result<Handed, String>,
    /// Where it was read; nowhere if somebody sent it by a command.
    pub reader: Option<ReaderId>,
}
