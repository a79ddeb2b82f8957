//! When something counts: always, never, or while a schedule is in force.

use gateway_access::When;
use gateway_core::ScheduleId;

use super::{named, text_of};
use crate::describe::Shape;
use crate::read::{Node, Reader, Rule};

/// A schedule, or `always`, or `never`.
pub(crate) struct WhenRule;

/// Reads `always`, `never` or the name of a schedule; that it exists is checked when the whole file is read.
pub(crate) const fn when() -> WhenRule {
    WhenRule
}

impl Rule for WhenRule {
    type Value = When;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<When> {
        let text = text_of(
            at,
            node,
            reader,
            "the name of a schedule, \"always\" or \"never\", in quotes",
        )?;
        match text {
            "always" => Some(When::Always),
            "never" => Some(When::Never),
            _ => {
                let id = named::<ScheduleId>(at, text, node.span(), reader)?;
                reader.refer("schedule", at, text);
                Some(When::In(id))
            }
        }
    }
    fn shape(&self) -> Shape {
        let words = [("always", "At any time."), ("never", "At no time.")];
        let words = words.map(|(word, docs)| (word, docs.to_owned()));
        Shape::Either(vec![
            Shape::Words(words.into()),
            Shape::Name { of: Some("schedule") },
        ])
    }
}
