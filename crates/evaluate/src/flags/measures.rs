//! What flags are made of: shares of a cell, and two attacks beside one another.

use gauntlet_records::verdict::robust_accuracy;
use gauntlet_records::{Attacked, Fate, Flag, Verdict};
use std::collections::HashMap;

/// A flag of that name.
pub fn flag(name: &str, detail: String) -> Flag {
    Flag { name: name.to_string(), detail }
}

/// Robust accuracy in percent.
pub(super) fn percent(cell: &Attacked) -> f64 {
    100.0 * robust_accuracy(&cell.verdicts)
}

/// Share of a cell's examples.
pub(super) fn share(cell: &Attacked, which: impl Fn(&&Verdict) -> bool) -> f64 {
    cell.verdicts.iter().filter(which).count() as f64 / cell.verdicts.len().max(1) as f64
}

/// Verdicts of two attacks on the examples that both were run on.
pub(super) fn paired<'a>(a: &'a Attacked, b: &'a Attacked) -> Vec<(&'a Verdict, &'a Verdict)> {
    if a.verdicts.iter().map(|v| v.id).eq(b.verdicts.iter().map(|v| v.id)) {
        return a.verdicts.iter().zip(&b.verdicts).collect();
    }
    let other: HashMap<u64, &Verdict> = b.verdicts.iter().map(|v| (v.id, v)).collect();
    a.verdicts.iter().filter_map(|v| Some((v, *other.get(&v.id)?))).collect()
}

/// Robust accuracies in percent of two attacks, on the examples that both were run on; `None`: they share none.
pub(super) fn percents(a: &Attacked, b: &Attacked) -> Option<(f64, f64)> {
    let pairs = paired(a, b);
    let of = |right: usize| 100.0 * (right as f64 / pairs.len() as f64);
    let robust = |v: &Verdict| v.fate == Fate::Robust;
    let (left, right) = (pairs.iter().filter(|p| robust(p.0)).count(), pairs.iter().filter(|p| robust(p.1)).count());
    (!pairs.is_empty()).then(|| (of(left), of(right)))
}

/// Whether two attacks had the same norm and budget.
pub(super) fn same_threat(a: &Attacked, b: &Attacked) -> bool {
    a.norm == b.norm && a.eps == b.eps
}
