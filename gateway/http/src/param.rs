//! Parameters of queries: what each is called and what it takes. Routes list theirs, handlers take them.

/// A parameter of a query.
#[derive(Debug)]
pub(crate) struct Param {
    /// What it takes, as a refusal says it.
    pub(crate) allowed: &'static str,
    pub(crate) name: &'static str,
}

const fn param(name: &'static str, allowed: &'static str) -> Param {
    Param { allowed, name }
}

pub(crate) const AFTER: Param = param("after", "a position, as \"next\" of the page before has it");
/// A name, after which a page begins.
pub(crate) const AFTER_ID: Param = param("after", "a name, as \"next\" of the page before has it");
pub(crate) const BY: Param = param("by", "a means such as card, code, digits, rex or web");
pub(crate) const CLASS: Param = param(
    "class",
    "application, audio, display, door, hardware, network or use",
);
pub(crate) const CONFIRM_SECONDS: Param = param("confirm-seconds", "10 to 600");
pub(crate) const DOOR: Param = param("door", "a door");
pub(crate) const DRY_RUN: Param = param("dry-run", "1");
pub(crate) const FORMAT: Param = param("format", "csv or json");
pub(crate) const FROM: Param = param("from", "a sequence number");
pub(crate) const KIND: Param = param("kind", "a kind such as door.granted, or a family such as door");
/// Records, or lines of people, of a page.
pub(crate) const MAX: Param = param("max", "1 to 500");
/// Rings of a page.
pub(crate) const MAX_RINGS: Param = param("max", "1 to 50");
/// Calls of a report.
pub(crate) const MAX_CALLS: Param = param("max", "1 to 500");
/// Lines of a report.
pub(crate) const MAX_ROWS: Param = param("max", "1 to 10000");
pub(crate) const ORDER: Param = param("order", "asc or desc");
pub(crate) const REFUSED: Param = param("refused", "1");
pub(crate) const REPLACE: Param = param("replace", "1");
pub(crate) const RING: Param = param("ring", "a ring id");
pub(crate) const SINCE: Param = param("since", "an RFC 3339 time");
pub(crate) const SOURCE: Param = param("source", "a source");
pub(crate) const TO: Param = param("to", "a sequence number");
pub(crate) const UNTIL: Param = param("until", "an RFC 3339 time");
pub(crate) const WHO: Param = param("who", "a subject such as person:alice, or its id");
