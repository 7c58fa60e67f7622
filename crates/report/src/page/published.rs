//! Published numbers and ours, with what became of each.

use crate::{Judged, Judgement, Report};
use serde::Serialize;

/// The table, under its sentence.
#[derive(Serialize)]
pub(super) struct Published {
    verdicts: String,
    lines: Vec<Line>,
}

/// A published number and ours.
#[derive(Serialize)]
struct Line {
    what: String,
    published: String,
    band: String,
    ours: String,
    n: String,
    difference: String,
    badge: Badge,
    others: String,
    set: String,
    source: String,
    with: String,
}

/// What became of it: symbol and words say it, the colour repeats it.
#[derive(Serialize)]
struct Badge {
    class: String,
    symbol: &'static str,
    verdict: String,
}

impl Published {
    /// `None`: the suite reproduces nothing.
    pub(super) fn of(report: &Report) -> Option<Published> {
        let lines: Vec<Line> = report.expectations.iter().map(line).collect();
        (!lines.is_empty()).then(|| Published { verdicts: report.verdicts(), lines })
    }
}

fn line(judged: &Judged) -> Line {
    let [what, published, band, ours, n, difference, verdict, others, set, source] = judged.cells();
    let symbol = match judged.judgement {
        Judgement::Reproduced => "✓",
        Judgement::Compatible => "≈",
        Judgement::Outside { .. } => "✗",
        Judgement::NotRun => "–",
        Judgement::Shown => "○",
    };
    let class = judged.judgement.name().replace(' ', "-");
    let with = judged.expectation.published_with.clone().unwrap_or_default();
    Line {
        what,
        published,
        band,
        ours,
        n,
        difference,
        badge: Badge { class, symbol, verdict },
        others,
        set,
        source,
        with,
    }
}
