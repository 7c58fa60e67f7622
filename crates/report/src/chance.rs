//! Networks that are no models: near chance, or one answer to everything.

use crate::Column;
use crate::answers::Answers;
use gauntlet_records::{record::constant_answer, statistics::wilson};

/// Why a record's network is no model whose numbers mean anything: its clean accuracy is not above chance (Wilson's lower end at
/// most 1/K), or less than half-way from chance to the clean accuracy that was published of the row; or it gives one class in
/// more than 90 % of its answers though fewer examples have that label.
pub(crate) fn dead(answers: &Answers<'_>, published_clean: Option<f64>) -> Option<String> {
    let record = answers.record;
    let clean = &record.result.clean;
    let n = clean.len() as u64;
    let correct = answers.right(&Column::Clean)?.iter().flatten().filter(|r| **r).count() as u64;
    let percent = 100.0 * correct as f64 / n as f64;
    let whose = format!("{}, seed {}: {percent:.1} % clean", record.row, record.seed);
    if constant_answer(clean).is_some() {
        return Some(format!("{whose}, a constant answer"));
    }
    let classes = record.result.configuration.get("classes").and_then(|c| c.as_array()).map_or(0, Vec::len);
    if classes < 2 {
        return None;
    }
    let chance = 100.0 / classes as f64;
    if 100.0 * wilson(correct, n, 1.96).0 <= chance {
        return Some(format!("{whose}, not above chance"));
    }
    let half = published_clean.map(|published| (chance + published) / 2.0).filter(|half| percent < *half)?;
    Some(format!("{whose}, nearer to chance than to what was published (half-way: {half:.1} %)"))
}
