//! A published number and ours, as a line of a table.

use crate::digits::{signed, significant};
use crate::{Judged, Judgement, Sample, Seen};
use gauntlet_records::{Quantity, record::MONITORED_TRAIN_ROWS};
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

/// `reproduced`, `compatible`, `outside by 1.2`, `not run`, `shortened: not judged`.
impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Judgement::Reproduced | Judgement::Compatible => f.write_str(self.name()),
            Judgement::Outside { by: 0.0 } => f.write_str("outside"),
            Judgement::Outside { by } if by.is_infinite() => f.write_str("outside: not a number"),
            Judgement::Outside { by } => write!(f, "outside by {}", significant(*by)),
            Judgement::NotRun => f.write_str("not run"),
            Judgement::Shown => f.write_str("shortened: not judged"),
        }
    }
}

impl Judged {
    /// Titles of [`Self::cells`].
    pub(crate) const HEADER: [&'static str; 10] =
        ["what", "published", "band", "ours", "n", "difference", "verdict", "others pass", "set", "source"];

    /// The line of a table.
    pub(crate) fn cells(&self) -> [String; 10] {
        let e = &self.expectation;
        let dash = || "–".to_string();
        [
            e.to_string(),
            e.published().unwrap_or_else(dash),
            self.bands(),
            self.said(),
            self.sample.map_or_else(dash, |s| s.to_string()),
            self.difference.map_or_else(dash, |d| if self.is_curve() { signed(d) } else { format!("{d:+.1}") }),
            self.verdict(),
            self.others.map_or_else(dash, |(pass, of)| if of == 0 { dash() } else { format!("{pass} of {of}") }),
            self.set(),
            e.source.clone().unwrap_or_else(dash),
        ]
    }

    /// `compatible`, `outside by 1.2: why`; `(not counted)` where no number was published.
    pub(crate) fn verdict(&self) -> String {
        let why = self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let judged = !matches!(self.judgement, Judgement::NotRun | Judgement::Shown);
        let counted = if judged && !self.expectation.counts() { " (not counted)" } else { "" };
        format!("{}{why}{counted}", self.judgement)
    }

    /// When it was set: `before the run (1a2b3c4)`, `after the run`; a dash where nothing was run.
    pub(crate) fn set(&self) -> String {
        match &self.set_in {
            _ if self.ours.is_none() => "–".into(),
            Some(commit) => format!("before the run ({})", commit.get(..7).unwrap_or(commit)),
            None => "after the run".into(),
        }
    }

    fn bands(&self) -> String {
        let e = &self.expectation;
        let first = e.band.map_or_else(|| "–".into(), |b| b.to_string());
        let or = e.or.as_ref().map(|or| {
            let flag = or.flag.as_ref().map(|f| format!(" ({f})")).unwrap_or_default();
            format!(" or {}{flag}", or.band)
        });
        first + &or.unwrap_or_default()
    }

    /// Ours: mean ± deviation over seeds, one training with its interval, or seed by seed where each is judged by itself.
    fn said(&self) -> String {
        let number = |v: f64| if self.is_curve() { significant(v) } else { format!("{v:.1}") };
        let Some((mean, sd)) = self.ours else { return "–".into() };
        if self.expectation.or.is_some() {
            let one = |s: &Seen| format!("{} (seed {})", number(s.value), s.seed);
            return self.seen.iter().map(one).collect::<Vec<_>>().join(", ");
        }
        let interval = self.interval.map(|(low, high)| {
            let to = if self.expectation.minus.is_some() { " to " } else { "–" };
            format!("{}{to}{}", number(low), number(high))
        });
        match (self.seen.len(), interval) {
            (1, Some(interval)) => format!("{} ({interval})", number(mean)),
            (1, None) => number(mean),
            (seeds, interval) => {
                let interval = interval.map(|i| format!("; {i}")).unwrap_or_default();
                format!("{} ± {} ({seeds} seeds{interval})", number(mean), number(sd))
            }
        }
    }

    fn is_curve(&self) -> bool {
        matches!(self.expectation.of, Quantity::Curve { .. })
    }
}

/// How many became what: `3 reproduced, 1 outside, 2 not run; not counted, since no number was published: 1 compatible; 2 of 5
/// set before the run`.
pub(crate) fn tally(judged: &[Judged]) -> String {
    let count = |counted: bool| {
        let of = |name: &str| {
            judged.iter().filter(|j| j.expectation.counts() == counted && j.judgement.name() == name).count()
        };
        let names = ["reproduced", "compatible", "outside", "not run", "not judged"];
        let said = names.into_iter().filter(|n| of(n) > 0).map(|n| format!("{} {n}", of(n)));
        said.collect::<Vec<_>>().join(", ")
    };
    let mut parts = Vec::from_iter(Some(count(true)).filter(|c| !c.is_empty()));
    let uncounted = count(false);
    if !uncounted.is_empty() {
        parts.push(format!("not counted, since no number was published: {uncounted}"));
    }
    let run: Vec<&Judged> = judged.iter().filter(|j| j.ours.is_some()).collect();
    if !run.is_empty() {
        let before = run.iter().filter(|j| j.set_in.is_some()).count();
        parts.push(format!("{before} of {} set before the run", run.len()));
    }
    parts.join("; ")
}
