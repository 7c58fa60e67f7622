//! The column that says most about a budget.

use crate::Report;
use gauntlet_records::{Eps, Norm};

/// For every norm and ε, in order: the worst case where several attacks share it, else the only attack. A search for the smallest
/// perturbation that failed speaks for none.
pub(crate) fn columns(report: &Report) -> Vec<(usize, Norm, Eps)> {
    let mut found: Vec<(usize, Norm, Eps)> = Vec::new();
    for (k, column) in report.columns.iter().enumerate().filter(|(k, _)| !report.fails(*k)) {
        let Some((norm, eps)) = column.budget() else { continue };
        match found.iter_mut().find(|f| (f.1, &f.2) == (norm, eps)) {
            // Worst cases come last.
            Some(known) => known.0 = k,
            None => found.push((k, norm, eps.clone())),
        }
    }
    found.sort_by(|a, b| (a.1, &a.2).cmp(&(b.1, &b.2)));
    found
}

/// Of those the one that a reader looks at first: of the first norm the largest budget at which a row keeps 5 %, else the smallest.
pub(super) fn leading(report: &Report) -> Option<usize> {
    let columns = columns(report);
    let norm = report.columns.iter().find_map(|c| c.budget())?.0;
    let of_norm: Vec<usize> = columns.iter().filter(|c| c.1 == norm).map(|c| c.0).collect();
    let kept = |k: usize| (0..report.rows.len()).filter_map(|r| report.summary.value(r, k)).any(|v| v.mean >= 5.0);
    of_norm.iter().rev().copied().find(|k| kept(*k)).or_else(|| of_norm.first().copied())
}

/// `L∞ ε = 0.3`.
pub(super) fn budget(norm: Norm, eps: &Eps) -> String {
    format!("{} ε = {eps}", norm.symbol())
}
