//! What searches for the smallest perturbation did not break at any size.

use crate::Column;
use gauntlet_records::{Record, record::MOST_UNBROKEN};

/// How many of its correct images a search for the smallest perturbation broke at no size, in one training.
#[derive(Debug, Clone, PartialEq)]
pub struct Unbroken {
    /// Row of the suite.
    pub row: String,
    /// Training seed.
    pub seed: u64,
    /// The attack's column; or a worst case that is made of failing searches alone, with the share of the best of them.
    pub column: Column,
    /// Share of the images that are right clean, in percent.
    pub percent: f64,
}

impl Unbroken {
    /// Whether the attack failed: over 2 %.
    pub fn fails(&self) -> bool {
        self.percent > 100.0 * MOST_UNBROKEN
    }
}

/// Of every such search on one training, and of worst cases that nothing else makes.
pub(crate) fn of(record: &Record) -> Vec<Unbroken> {
    let share = |cell: &gauntlet_records::Attacked| {
        cell.unbroken().map(|(unbroken, right)| 100.0 * unbroken as f64 / right as f64)
    };
    let entry = |column, percent| Unbroken { row: record.row.clone(), seed: record.seed, column, percent };
    let mut list = Vec::new();
    let mut budgets = Vec::new();
    for cell in record.result.complete() {
        let (norm, eps) = (cell.norm, cell.eps.clone());
        if let Some(percent) = share(cell) {
            list.push(entry(Column::Attack { attack: cell.attack.clone(), norm, eps: eps.clone() }, percent));
        }
        if !budgets.contains(&(norm, eps.clone())) {
            budgets.push((norm, eps));
        }
    }
    for (norm, eps) in budgets {
        let shares: Vec<Option<f64>> =
            record.result.complete().filter(|c| (c.norm, &c.eps) == (norm, &eps)).map(share).collect();
        let least = shares.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let worst = entry(Column::Worst { norm, eps }, least);
        if shares.len() > 1 && shares.iter().all(Option::is_some) && worst.fails() {
            list.push(worst);
        }
    }
    list
}

/// Whether a search failed on some training in that column.
pub(crate) fn fails(unbroken: &[Unbroken], column: &Column) -> bool {
    unbroken.iter().any(|u| u.column == *column && u.fails())
}
