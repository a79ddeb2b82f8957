//! Which records a reader wants.

use gateway_core::{Class, Record, RingId, Seq, Timestamp};

/// A choice of records; every given part must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The class.
    pub class: Option<Class>,
    /// A whole kind, `door.granted`, or a family, `door`.
    pub kind: Option<String>,
    /// The ring.
    pub ring: Option<RingId>,
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// The source: door, panel, line, reader, account or device.
    pub source: Option<String>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// True if the record fits.
    #[must_use]
    pub fn fits(&self, record: &Record) -> bool {
        let kind = |want: &str| {
            record.kind == want
                || record
                    .kind
                    .strip_prefix(want)
                    .is_some_and(|rest| rest.starts_with('.'))
        };
        self.kind.as_deref().is_none_or(kind)
            && self.class.is_none_or(|class| record.class() == class)
            && self.ring.is_none_or(|ring| record.ring == Some(ring))
            && self.since.is_none_or(|since| record.at >= since)
            && self
                .source
                .as_deref()
                .is_none_or(|source| record.source == source)
            && self.until.is_none_or(|until| record.at < until)
    }
}

/// One page of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which records.
    pub filter: Filter,
    /// First sequence number.
    pub from: Seq,
    /// At most this many.
    pub max: usize,
    /// Newest first instead of oldest first.
    pub newest_first: bool,
    /// Last sequence number, included.
    pub to: Seq,
}

impl Default for Query {
    /// The oldest 100 records of any kind.
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            from: Seq(0),
            max: 100,
            newest_first: false,
            to: Seq(u64::MAX),
        }
    }
}
