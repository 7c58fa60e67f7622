//! A published number and ours, as a line of a table.

use crate::digits::{signed, significant};
use crate::{Judged, Judgement, Sample, Seen};
use gauntlet_core::Quantity;
use gauntlet_core::record::MONITORED_TRAIN_ROWS;
use std::fmt;

/// `1000`, `1000 held out`, `≤ 500 of training`, `the epoch`.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sample::Test(n) => write!(f, "{n}"),
            Sample::HeldOut(n) => write!(f, "{n} held out"),
            Sample::Monitored => write!(f, "≤ {MONITORED_TRAIN_ROWS} of training"),
            Sample::Epoch => f.write_str("the epoch"),
        }
    }
}

/// `inside`, `outside by 1.2`, `not run`, `shortened: not judged`.
impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Judgement::Inside => f.write_str("inside"),
            Judgement::Outside { by } if by.is_infinite() => f.write_str("outside: not a number"),
            Judgement::Outside { by } => write!(f, "outside by {}", significant(*by)),
            Judgement::NotRun => f.write_str("not run"),
            Judgement::Shown => f.write_str("shortened: not judged"),
        }
    }
}

impl Judged {
    /// Titles of [`Self::cells`].
    pub(crate) const HEADER: [&'static str; 8] =
        ["what", "published", "band", "ours", "n", "difference", "verdict", "source"];

    /// The line of a table.
    pub(crate) fn cells(&self) -> [String; 8] {
        let e = &self.expectation;
        let dash = || "–".to_string();
        [
            e.to_string(),
            e.value.map_or_else(dash, |v| v.to_string()),
            self.bands(),
            self.said(),
            self.sample.map_or_else(dash, |s| s.to_string()),
            self.difference.map_or_else(dash, |d| if self.is_curve() { signed(d) } else { format!("{d:+.1}") }),
            self.judgement.to_string(),
            e.source.clone(),
        ]
    }

    fn bands(&self) -> String {
        let band = |(low, high): (f64, f64)| format!("{low} to {high}");
        let e = &self.expectation;
        let or = e.or.as_ref().map(|or| {
            let flag = or.flag.as_ref().map(|f| format!(" ({f})")).unwrap_or_default();
            format!(" or {}{flag}", band(or.band))
        });
        band(e.band) + &or.unwrap_or_default()
    }

    /// Ours: mean ± deviation over seeds, one training with its interval, or seed by seed where each is judged by itself.
    fn said(&self) -> String {
        let number = |v: f64| if self.is_curve() { significant(v) } else { format!("{v:.1}") };
        let Some((mean, sd)) = self.ours else { return "–".into() };
        if self.expectation.or.is_some() {
            let one = |s: &Seen| format!("{} (seed {})", number(s.value), s.seed);
            return self.seen.iter().map(one).collect::<Vec<_>>().join(", ");
        }
        match (self.seen.len(), self.interval) {
            (1, Some((low, high))) => format!("{} ({low:.1}–{high:.1})", number(mean)),
            (1, None) => number(mean),
            (seeds, _) => format!("{} ± {} ({seeds} seeds)", number(mean), number(sd)),
        }
    }

    fn is_curve(&self) -> bool {
        matches!(self.expectation.of, Quantity::Curve { .. })
    }
}

/// How many became what: `3 inside, 1 outside, 2 not run`.
pub(crate) fn tally(judged: &[Judged]) -> String {
    let count = |name: &&str| judged.iter().filter(|j| j.judgement.name() == *name).count();
    let names = ["inside", "outside", "not run", "not judged"].into_iter().filter(|n| count(n) > 0);
    names.map(|n| format!("{} {n}", count(&n))).collect::<Vec<_>>().join(", ")
}
