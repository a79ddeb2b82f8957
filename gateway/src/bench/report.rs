//! Figures, and how they are shown.

use std::io::Write;

use serde_json::json;

use crate::cli::BenchPart;

/// What a figure may be at most, or must be at least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Budget {
    /// At least this much.
    AtLeast(f64),
    /// At most this much.
    AtMost(f64),
}

impl Budget {
    /// Does the value keep it?
    fn kept(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {} {unit}", short(least)),
            Self::AtMost(most) => format!("<= {} {unit}", short(most)),
        }
    }
}

/// One measured figure.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// The budget of the architecture page.
    pub(crate) budget: Budget,
    /// Other values of the same measurement, and how it was made.
    pub(crate) note: String,
    /// What was measured.
    pub(crate) path: String,
    /// Unit of `value` and of the budget.
    pub(crate) unit: &'static str,
    /// The value that is held against the budget.
    pub(crate) value: f64,
}

/// Times of one path, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<u64>);

impl Samples {
    /// Adds one.
    pub(crate) fn push(&mut self, nanos: u64) {
        self.0.push(nanos);
    }

    /// Adds those of another.
    pub(crate) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The value in milliseconds that `share` of the samples do not exceed (nearest rank); 0 if there are none.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() as f64 * share).ceil() as usize;
        sorted
            .get(rank.saturating_sub(1))
            .map_or(0.0, |nanos| *nanos as f64 / 1e6)
    }

    /// A figure of their 99th percentile, with the others beside it.
    pub(crate) fn p99(&self, path: &str, budget_ms: f64, how: &str) -> Figure {
        self.figure(0.99, format!("{path}, p99"), budget_ms, how)
    }

    /// A figure of their median, with the others beside it.
    pub(crate) fn median(&self, path: &str, budget_ms: f64, how: &str) -> Figure {
        self.figure(0.5, format!("{path}, median"), budget_ms, how)
    }

    fn figure(&self, share: f64, path: String, budget_ms: f64, how: &str) -> Figure {
        Figure {
            budget: Budget::AtMost(budget_ms),
            note: format!(
                "p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, max {:.2} ms, {} samples; {how}",
                self.at(0.5),
                self.at(0.9),
                self.at(0.99),
                self.at(1.0),
                self.len()
            ),
            path,
            unit: "ms",
            value: self.at(share),
        }
    }
}

/// Prints figures as they come.
pub(crate) struct Report {
    json: bool,
    over: usize,
    shown: usize,
}

impl Report {
    pub(crate) const fn new(json: bool) -> Self {
        Self {
            json,
            over: 0,
            shown: 0,
        }
    }

    /// The machine, before all figures.
    pub(crate) fn machine(&self, machine: &[(&'static str, String)]) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json {
            let map: serde_json::Map<_, _> = machine
                .iter()
                .map(|(key, value)| ((*key).to_owned(), json!(value)))
                .collect();
            writeln!(out, "{}", json!({ "machine": map }))?;
            return Ok(());
        }
        for (key, value) in machine {
            writeln!(out, "{key:<11} {value}")?;
        }
        writeln!(out)?;
        writeln!(
            out,
            "{:<8} {:<58} {:>14}  {:<15} {:<7} load",
            "part", "path", "measured", "budget", "verdict"
        )?;
        Ok(())
    }

    /// One figure; `load` is the load average before its part.
    pub(crate) fn figure(&mut self, part: BenchPart, figure: &Figure, load: &str) -> anyhow::Result<()> {
        let kept = figure.budget.kept(figure.value);
        self.shown += 1;
        self.over += usize::from(!kept);
        let verdict = if kept { "kept" } else { "OVER" };
        let part = format!("{part:?}").to_lowercase();
        let budget = figure.budget.text(figure.unit);
        let mut out = std::io::stdout().lock();
        if self.json {
            let line = json!({
                "part": part, "path": figure.path, "value": figure.value, "unit": figure.unit,
                "budget": budget, "verdict": verdict, "note": figure.note, "load": load,
            });
            writeln!(out, "{line}")?;
        } else {
            let value = format!("{} {}", short(figure.value), figure.unit);
            writeln!(
                out,
                "{part:<8} {:<58} {value:>14}  {budget:<15} {verdict:<7} {load}",
                figure.path
            )?;
            writeln!(out, "{:<8} {}", "", figure.note)?;
        }
        out.flush()?;
        Ok(())
    }

    /// The last line.
    pub(crate) fn end(&self) -> anyhow::Result<()> {
        if !self.json {
            writeln!(
                std::io::stdout(),
                "\n{} figures, {} over budget",
                self.shown,
                self.over
            )?;
        }
        Ok(())
    }
}

/// Three significant digits are all that such a measurement is worth.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let mut samples = Samples::default();
        (1..=200).rev().for_each(|n| samples.push(n * 1_000_000));
        assert!((samples.at(0.5) - 100.0).abs() < 1e-9);
        assert!((samples.at(0.99) - 198.0).abs() < 1e-9);
        assert!((samples.at(1.0) - 200.0).abs() < 1e-9);
        assert!(Samples::default().at(0.5).abs() < 1e-9);
    }

    #[test]
    fn a_budget_is_a_limit_in_its_own_direction() {
        assert!(Budget::AtMost(2.0).kept(2.0));
        assert!(!Budget::AtMost(2.0).kept(2.1));
        assert!(!Budget::AtLeast(3000.0).kept(2999.0));
    }

    #[test]
    fn values_have_three_digits_at_most_and_no_idle_zeros() {
        for (value, text) in [
            (0.4, "0.4"),
            (14.0, "14"),
            (3000.0, "3000"),
            (1.234, "1.23"),
            (0.0712, "0.071"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
