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

/// `L∞ ε = 0.3`.
pub(super) fn budget(norm: Norm, eps: &Eps) -> String {
    format!("{} ε = {eps}", norm.symbol())
}
