//! Figures, and how they are shown.

use std::io::Write;

use serde_json::json;

use crate::cli::BenchPart;

/// Load average per core beyond which a machine is called busy. The bench itself makes about half of it.
const QUIET: f64 = 0.8;

/// What a figure may be at most, or must be at least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Budget {
    /// At least this much.
    AtLeast(f64),
    /// At most this much.
    AtMost(f64),
    /// None: the figure explains another, or is a neighbour's.
    Free,
}

impl Budget {
    /// Does the value keep it?
    fn kept(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::Free => true,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {} {unit}", short(least)),
            Self::AtMost(most) => format!("<= {} {unit}", short(most)),
            Self::Free => "-".to_owned(),
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

    /// As [`p99`](Self::p99), with what the machine took for a bare hand-over in turns with them.
    pub(crate) fn p99_beside(&self, bare: &Self, path: &str, budget_ms: f64, how: &str) -> Figure {
        let ratio = |share: f64| self.at(share) / bare.at(share).max(1e-6);
        let mut figure = self.p99(path, budget_ms, how);
        figure.note += &format!(
            "; in turns with it one byte through two bare processes of the same priority: p50 {:.2} ms, p99 {:.2} ms; \
             ratio p50 {:.1}, p99 {:.1}",
            bare.at(0.5),
            bare.at(0.99),
            ratio(0.5),
            ratio(0.99)
        );
        figure
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
    /// Highest load average per core so far.
    busy: f64,
    json: bool,
    over: usize,
    shown: usize,
}

impl Report {
    pub(crate) const fn new(json: bool) -> Self {
        Self {
            busy: 0.0,
            json,
            over: 0,
            shown: 0,
        }
    }

    /// The machine, before all figures.
    pub(crate) fn machine(&self, machine: &[(&'static str, String)]) -> anyhow::Result<()> {
        let mut out = crate::commands::out();
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
        let cores = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
        let one: f64 = load.split(' ').next().and_then(|l| l.parse().ok()).unwrap_or(0.0);
        self.busy = self.busy.max(one / cores);
        let verdict = match figure.budget {
            Budget::Free => "-",
            Budget::AtLeast(_) | Budget::AtMost(_) if kept => "kept",
            Budget::AtLeast(_) | Budget::AtMost(_) => "OVER",
        };
        let part = format!("{part:?}").to_lowercase();
        let budget = figure.budget.text(figure.unit);
        let mut out = crate::commands::out();
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
                crate::commands::out(),
                "\n{} figures, {} over budget",
                self.shown,
                self.over
            )?;
            if self.busy > QUIET {
                writeln!(
                    std::io::stdout(),
                    "The machine was busy, up to {:.1} runnable tasks a core: 99th percentiles and rates are its own more \
                     than the product's.",
                    self.busy
                )?;
            }
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
