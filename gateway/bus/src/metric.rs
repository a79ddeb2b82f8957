//! What parts of the gateway measure, as whoever shows it reads it.

use gateway_core::Counted;

/// What a metric is at one moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// A count that only grows, or a sum of seconds.
    Counter(f64),
    /// A value that comes and goes.
    Gauge(f64),
    /// Durations.
    Histogram(Counted),
    /// Nothing is known of it.
    Nothing,
}

/// A metric, and how it is read. Reading may look at files of the kernel; it waits for nobody.
pub struct Metric {
    /// What it is, which budget it belongs to, and its limit.
    pub help: &'static str,
    /// Label and value, if it is one of several of a name; those of a name follow each other.
    pub label: Option<(&'static str, &'static str)>,
    /// Name, with unit, as Prometheus wants it.
    pub name: &'static str,
    /// Reads it.
    pub read: Box<dyn Fn() -> Reading + Send + Sync>,
}
