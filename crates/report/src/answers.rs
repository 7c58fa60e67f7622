//! Which examples one training got right, column by column.

use crate::{Column, Count};
use gauntlet_core::record::{Attacked, Fate};
use gauntlet_core::{Eps, Norm, Record};

/// One bit per example and column of a record.
#[derive(Debug, Clone)]
pub(crate) struct Answers<'a> {
    /// Whose.
    pub(crate) record: &'a Record,
    columns: Vec<(Column, Vec<bool>)>,
}

impl<'a> Answers<'a> {
    /// Clean, each attack × ε in the record's order, worst cases where several attacks share a norm and ε and none failed.
    pub(crate) fn of(record: &'a Record) -> Answers<'a> {
        let clean = &record.result.clean;
        if clean.is_empty() {
            return Answers { record, columns: Vec::new() };
        }
        let mut columns = vec![(Column::Clean, clean.iter().map(|v| v.label == v.predicted).collect())];
        // Per norm and ε: how many attacks, and which examples survived all of them.
        let mut worst: Vec<(Norm, Eps, usize, Vec<bool>)> = Vec::new();
        for cell in complete(record) {
            let robust: Vec<bool> = cell.verdicts.iter().map(|v| v.fate == Fate::Robust).collect();
            match worst.iter_mut().find(|w| (w.0, &w.1) == (cell.norm, &cell.eps)) {
                Some((.., attacks, all)) => {
                    *attacks += 1;
                    all.iter_mut().zip(&robust).for_each(|(a, r)| *a &= r);
                }
                None => worst.push((cell.norm, cell.eps.clone(), 1, robust.clone())),
            }
            let (attack, norm, eps) = (cell.attack.clone(), cell.norm, cell.eps.clone());
            columns.push((Column::Attack { attack, norm, eps }, robust));
        }
        worst.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        // Without the attack that failed it would be the best of the worst cases.
        let several = worst.into_iter().filter(|w| w.2 > 1 && record.failed.is_none());
        columns.extend(several.map(|(norm, eps, _, all)| (Column::Worst { norm, eps }, all)));
        Answers { record, columns }
    }

    /// One bit per example, in the order of the record's clean verdicts.
    pub(crate) fn right(&self, column: &Column) -> Option<&[bool]> {
        self.columns.iter().find(|(c, _)| c == column).map(|(_, right)| right.as_slice())
    }

    /// Like [`Self::right`]; the worst case of a single attack is that attack.
    pub(crate) fn right_or_alone(&self, column: &Column) -> Option<&[bool]> {
        let alone = || {
            let mut same = self.columns.iter().filter(|(c, _)| c.budget().is_some() && c.budget() == column.budget());
            let found = same.next().filter(|_| matches!(column, Column::Worst { .. }))?;
            same.next().is_none().then_some(found.1.as_slice())
        };
        self.right(column).or_else(alone)
    }

    /// Every column's count.
    pub(crate) fn counts(&self) -> Vec<Count> {
        let count = |(column, right): &(Column, Vec<bool>)| Count {
            row: self.record.row.clone(),
            seed: self.record.seed,
            column: column.clone(),
            n: right.len() as u64,
            correct: right.iter().filter(|r| **r).count() as u64,
        };
        self.columns.iter().map(count).collect()
    }

    /// Whether both are about the same images, in the same order.
    pub(crate) fn pairs_with(&self, other: &Answers<'_>) -> bool {
        let (a, b) = (&self.record.result.clean, &other.record.result.clean);
        a.iter().map(|v| (v.id, v.label)).eq(b.iter().map(|v| (v.id, v.label)))
    }
}

/// The attacks × ε of a record that have a verdict on every example: one that failed on the way has not.
pub(crate) fn complete(record: &Record) -> impl Iterator<Item = &Attacked> {
    record.result.attacked.iter().filter(|c| c.verdicts.len() == record.result.clean.len())
}
