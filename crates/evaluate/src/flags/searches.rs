//! Searches for the smallest perturbation that fail.

use crate::flags::measures::flag;
use gauntlet_records::{Attacked, Flag};

/// Searches for the smallest perturbation that find none at all; once for all budgets, which are read off one search.
pub(super) fn failed(attacked: &[Attacked]) -> Vec<Flag> {
    let mut raised: Vec<Flag> = Vec::new();
    for cell in attacked {
        let Some((unbroken, right)) = cell.unbroken() else { continue };
        let detail = format!(
            "{} ({}) finds no perturbation of any size for {unbroken} of the {right} correct images ({:.1} %): it failed as \
             an attack, and what it leaves says nothing about robustness",
            cell.attack,
            cell.norm,
            100.0 * unbroken as f64 / right as f64
        );
        if cell.search_failed() && raised.iter().all(|f| f.detail != detail) {
            raised.push(flag("minimal-attack-fails", detail));
        }
    }
    raised
}
