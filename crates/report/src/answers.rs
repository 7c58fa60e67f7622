//! Which examples one training got right, column by column.

use crate::{Column, Count};
use gauntlet_records::{Eps, Fate, Norm, ProofFate, Record};
use std::collections::HashMap;

/// One bit per example and column of a record; `None` where the column's attack was not run on the example.
#[derive(Debug, Clone)]
pub(crate) struct Answers<'a> {
    /// Whose.
    pub(crate) record: &'a Record,
    columns: Vec<(Column, Vec<Option<bool>>)>,
}

impl<'a> Answers<'a> {
    /// Clean, each attack × ε in the record's order, worst cases where several attacks, or an attack and a certification that may have
    /// searched, share a norm and ε and none failed: on the examples that all of those were run on. Then certifications × ε.
    pub(crate) fn of(record: &'a Record) -> Answers<'a> {
        let clean = &record.result.clean;
        if clean.is_empty() {
            return Answers { record, columns: Vec::new() };
        }
        let mut columns = vec![(Column::Clean, clean.iter().map(|v| Some(v.label == v.predicted)).collect())];
        let place: HashMap<u64, usize> = clean.iter().enumerate().map(|(i, v)| (v.id, i)).collect();
        // Per norm and ε: how many attacks, and which examples survived all of them.
        let mut worst: Vec<(Norm, Eps, usize, Vec<Option<bool>>)> = Vec::new();
        for cell in record.result.complete() {
            let mut robust: Vec<Option<bool>> = vec![None; clean.len()];
            for v in &cell.verdicts {
                if let Some(slot) = place.get(&v.id).and_then(|i| robust.get_mut(*i)) {
                    *slot = Some(v.fate == Fate::Robust);
                }
            }
            match worst.iter_mut().find(|w| (w.0, &w.1) == (cell.norm, &cell.eps)) {
                Some((.., attacks, all)) => {
                    *attacks += 1;
                    all.iter_mut().zip(&robust).for_each(|(a, r)| *a = a.zip(*r).map(|(a, r)| a && r));
                }
                None => worst.push((cell.norm, cell.eps.clone(), 1, robust.clone())),
            }
            let (attack, norm, eps) = (cell.attack.clone(), cell.norm, cell.eps.clone());
            columns.push((Column::Attack { attack, norm, eps }, robust));
        }
        let mut proved: Vec<(Column, Vec<Option<bool>>)> = Vec::new();
        for cell in record.result.proved() {
            let (mut certified, mut unbroken) = (vec![None; clean.len()], vec![None; clean.len()]);
            for p in &cell.proofs {
                if let Some(i) = place.get(&p.id) {
                    certified[*i] = Some(p.fate == ProofFate::Certified);
                    unbroken[*i] = Some(matches!(p.fate, ProofFate::Certified | ProofFate::Open));
                }
            }
            match worst.iter_mut().find(|w| (w.0, &w.1) == (cell.norm, &cell.eps)) {
                Some((.., parts, all)) => {
                    // What is broken is not robust, whatever was computed of it.
                    let broken = all.iter().map(|a| *a == Some(false));
                    certified.iter_mut().zip(broken).filter(|(_, b)| *b).for_each(|(c, _)| *c = c.map(|_| false));
                    *parts += 1;
                    all.iter_mut().zip(&unbroken).for_each(|(a, u)| *a = a.zip(*u).map(|(a, u)| a && u));
                }
                None => worst.push((cell.norm, cell.eps.clone(), 1, unbroken)),
            }
            let (certify, norm, eps) = (cell.certify.clone(), cell.norm, cell.eps.clone());
            proved.push((Column::Certified { certify, norm, eps }, certified));
        }
        worst.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        // Without the attack that failed it would be the best of the worst cases.
        let several =
            worst.into_iter().filter(|w| w.2 > 1 && record.failed.is_none() && w.3.iter().any(Option::is_some));
        columns.extend(several.map(|(norm, eps, _, all)| (Column::Worst { norm, eps }, all)));
        columns.extend(proved);
        Answers { record, columns }
    }

    /// One bit per example, in the order of the record's clean verdicts.
    pub(crate) fn right(&self, column: &Column) -> Option<&[Option<bool>]> {
        self.columns.iter().find(|(c, _)| c == column).map(|(_, right)| right.as_slice())
    }

    /// Like [`Self::right`]; the worst case of a single attack is that attack.
    pub(crate) fn right_or_alone(&self, column: &Column) -> Option<&[Option<bool>]> {
        let alone = || {
            let mut same = self.columns.iter().filter(|(c, _)| c.budget().is_some() && c.budget() == column.budget());
            let found = same.next().filter(|_| matches!(column, Column::Worst { .. }))?;
            same.next().is_none().then_some(found.1.as_slice())
        };
        self.right(column).or_else(alone)
    }

    /// Every column's count.
    pub(crate) fn counts(&self) -> Vec<Count> {
        let count = |(column, right): &(Column, Vec<Option<bool>>)| Count {
            row: self.record.row.clone(),
            seed: self.record.seed,
            column: column.clone(),
            n: right.iter().flatten().count() as u64,
            correct: right.iter().flatten().filter(|r| **r).count() as u64,
        };
        self.columns.iter().map(count).collect()
    }

    /// Whether both are about the same images, in the same order.
    pub(crate) fn pairs_with(&self, other: &Answers<'_>) -> bool {
        let (a, b) = (&self.record.result.clean, &other.record.result.clean);
        a.iter().map(|v| (v.id, v.label)).eq(b.iter().map(|v| (v.id, v.label)))
    }
}

impl Count {
    /// All counts of a record: clean, each attack × ε in the record's order, worst cases where several attacks share a
    /// norm and ε, certifications × ε. An attack without a verdict on every example (it failed on the way) has no count, nor has then a worst
    /// case.
    pub fn of(record: &Record) -> Vec<Count> {
        Answers::of(record).counts()
    }
}
