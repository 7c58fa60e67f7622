//! Gradients that lead nowhere, or nowhere further.

use crate::flags::certificates::Settled;
use crate::flags::measures::{flag, paired};
use gauntlet_records::{Attacked, Family, Fate, Flag};

/// Share of gradients of a cell that are zero everywhere or not finite somewhere.
const BLIND: f64 = 0.01;
/// Examples robust at two budgets that their mean margins are compared on at least.
const ENOUGH: usize = 20;

/// Gradients that lead nowhere.
pub(super) fn blind(cell: &Attacked, settled: &Settled<'_>) -> Option<Flag> {
    let all: u64 = cell.verdicts.iter().map(|v| u64::from(v.backwards)).sum();
    let none: u64 = cell.verdicts.iter().map(|v| u64::from(v.blind)).sum();
    let part = none as f64 / all.max(1) as f64;
    (part > BLIND).then(|| {
        flag(
            "gradient-vanishes",
            format!(
                "{:.1} % of {all} gradients of {} at {} {} are zero or not finite: the loss is saturated or the model not \
                 differentiable",
                100.0 * part,
                cell.attack,
                cell.norm,
                cell.eps
            ) + &settled.at(cell),
        )
    })
}

/// A larger budget must raise the loss where it does not break the example.
pub(super) fn growing(attacked: &[Attacked], settled: &Settled<'_>, raised: &mut Vec<Flag>) {
    for a in attacked.iter().filter(|c| c.family() == Family::Gradient && c.eps.value() > 0.0) {
        let larger = |b: &&Attacked| b.attack == a.attack && b.norm == a.norm && b.eps > a.eps;
        let Some(b) = attacked.iter().filter(larger).min_by(|b, c| b.eps.cmp(&c.eps)) else { continue };
        let both: Vec<(f64, f64)> = paired(a, b)
            .into_iter()
            .filter(|(v, w)| v.fate == Fate::Robust && w.fate == Fate::Robust)
            .filter_map(|(v, w)| v.margin.zip(w.margin))
            .filter(|(v, w)| v.is_finite() && w.is_finite())
            .collect();
        let mean = |f: fn(&(f64, f64)) -> f64| both.iter().map(f).sum::<f64>() / both.len() as f64;
        if both.len() >= ENOUGH && mean(|p| p.1) >= mean(|p| p.0) {
            raised.push(flag(
                "loss-not-growing",
                format!(
                    "on the {} examples that withstand {} at {} {} and {}, the mean margin goes from {:.3} to {:.3}: a larger \
                     budget does not help the attack, as when gradients are masked",
                    both.len(),
                    a.attack,
                    a.norm,
                    a.eps,
                    b.eps,
                    mean(|p| p.0),
                    mean(|p| p.1)
                ) + &settled.at(b),
            ));
        }
    }
}
