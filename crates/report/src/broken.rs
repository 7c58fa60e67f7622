//! Which attack broke what first.
//!
//! The attacks of one norm and ε are gone through in the suite's order, on the examples that all of them were run on; an
//! ensemble is told apart by its stages.

use gauntlet_records::{Attacked, Eps, Fate, Norm, Record, Verdict, record::shared};
use std::collections::HashMap;

/// What one attack, or one stage of an ensemble, broke of one training at one norm and ε.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    /// Row of the suite.
    pub row: String,
    /// Training seed.
    pub seed: u64,
    /// Norm of the budget.
    pub norm: Norm,
    /// Budget.
    pub eps: Eps,
    /// Label in the suite.
    pub attack: String,
    /// Stage of an ensemble; empty: the attack as a whole.
    pub stage: String,
    /// Examples.
    pub n: u64,
    /// Those that were right before any attack.
    pub right: u64,
    /// Those that it broke. A stage sees what the stages before it left.
    pub broken: u64,
    /// Those that no attack before it in the suite had broken.
    pub first: u64,
    /// Those that no other attack of that norm and ε broke.
    pub alone: u64,
}

/// Everything that the attacks on one training broke: by norm and ε, then attacks in the suite's order, each followed by its
/// stages by name.
pub(crate) fn of(record: &Record) -> Vec<Broken> {
    let mut budgets: Vec<(Norm, &Eps)> = record.result.complete().map(|c| (c.norm, &c.eps)).collect();
    budgets.sort_unstable();
    budgets.dedup();
    let mut list = Vec::new();
    for (norm, eps) in budgets {
        let cells: Vec<&Attacked> = record.result.complete().filter(|c| (c.norm, &c.eps) == (norm, eps)).collect();
        let common = shared(cells.iter().copied());
        if common.is_empty() {
            continue;
        }
        let right =
            record.result.clean.iter().filter(|v| v.label == v.predicted && common.binary_search(&v.id).is_ok());
        let right = right.count() as u64;
        let verdicts: Vec<Vec<&Verdict>> = cells.iter().map(|cell| at(cell, &common)).collect();
        let fell = |verdicts: &[&Verdict], i: usize| matches!(verdicts[i].fate, Fate::Broken | Fate::Carried);
        for (at, (cell, own)) in cells.iter().zip(&verdicts).enumerate() {
            let mut stages: Vec<&str> = own.iter().map(|v| v.broken_by.as_str()).filter(|s| !s.is_empty()).collect();
            stages.sort_unstable();
            stages.dedup();
            for stage in std::iter::once("").chain(stages) {
                let mut line = Broken {
                    row: record.row.clone(),
                    seed: record.seed,
                    norm,
                    eps: eps.clone(),
                    attack: cell.attack.clone(),
                    stage: stage.to_string(),
                    n: common.len() as u64,
                    right,
                    broken: 0,
                    first: 0,
                    alone: 0,
                };
                for (i, verdict) in own.iter().enumerate() {
                    if fell(own, i) && (stage.is_empty() || verdict.broken_by == stage) {
                        let before = verdicts[..at].iter().any(|c| fell(c, i));
                        let after = verdicts[at + 1..].iter().any(|c| fell(c, i));
                        line.broken += 1;
                        line.first += u64::from(!before);
                        line.alone += u64::from(!before && !after);
                    }
                }
                list.push(line);
            }
        }
    }
    list
}

/// The verdicts of a cell on these examples, in their order.
fn at<'a>(cell: &'a Attacked, ids: &[u64]) -> Vec<&'a Verdict> {
    let by_id: HashMap<u64, &Verdict> = cell.verdicts.iter().map(|v| (v.id, v)).collect();
    ids.iter().filter_map(|id| by_id.get(id).copied()).collect()
}

/// Means over the seeds of a row, at one norm and ε.
pub(crate) struct Fallen {
    pub(crate) row: String,
    pub(crate) norm: Norm,
    pub(crate) eps: Eps,
    /// Examples of each training.
    pub(crate) n: u64,
    /// Right before any attack.
    pub(crate) right: f64,
    /// Right under every attack.
    pub(crate) withstand: f64,
    /// Attacks in the suite's order, each followed by its stages.
    pub(crate) shares: Vec<Share>,
}

/// What one attack or stage broke, mean over the seeds that the attack was tried on.
pub(crate) struct Share {
    pub(crate) attack: String,
    pub(crate) stage: String,
    pub(crate) first: f64,
    pub(crate) alone: f64,
}

/// By row, then by norm and ε; without those at which one attack stands alone, in one piece.
pub(crate) fn fallen(broken: &[Broken]) -> Vec<Fallen> {
    let mut budgets: Vec<(Norm, &Eps)> = broken.iter().map(|b| (b.norm, &b.eps)).collect();
    budgets.sort_unstable();
    budgets.dedup();
    budgets.retain(|budget| {
        let mut here = broken.iter().filter(|b| (b.norm, &b.eps) == *budget).map(|b| (&b.attack, &b.stage));
        let first = here.next();
        here.any(|name| Some(name) != first)
    });
    let mut list = Vec::new();
    for row in broken.chunk_by(|a, b| a.row == b.row) {
        for &(norm, eps) in &budgets {
            let here: Vec<&Broken> = row.iter().filter(|b| (b.norm, &b.eps) == (norm, eps)).collect();
            let Some(first) = here.first() else { continue };
            // A stage that broke nothing has no line: what counts is on how many seeds its attack was tried.
            let tried = |attack: &str| here.iter().filter(|b| b.attack == attack && b.stage.is_empty()).count() as f64;
            let mut shares: Vec<Share> = Vec::new();
            for b in &here {
                let (first, alone) = (b.first as f64 / tried(&b.attack), b.alone as f64 / tried(&b.attack));
                match shares.iter_mut().find(|s| (&s.attack, &s.stage) == (&b.attack, &b.stage)) {
                    Some(share) => {
                        share.first += first;
                        share.alone += alone;
                    }
                    None => shares.push(Share { attack: b.attack.clone(), stage: b.stage.clone(), first, alone }),
                }
            }
            // Stages that only a later seed knows go to their attack.
            let order: Vec<String> = shares.iter().filter(|s| s.stage.is_empty()).map(|s| s.attack.clone()).collect();
            shares.sort_by_key(|s| (order.iter().position(|a| *a == s.attack), s.stage.clone()));
            let mut seeds: Vec<(u64, u64, u64)> = Vec::new();
            for b in here.iter().filter(|b| b.stage.is_empty()) {
                match seeds.iter_mut().find(|s| s.0 == b.seed) {
                    Some(seed) => seed.2 += b.first,
                    None => seeds.push((b.seed, b.right, b.first)),
                }
            }
            let mean = |of: &dyn Fn(&(u64, u64, u64)) -> u64| {
                seeds.iter().map(|s| of(s) as f64).sum::<f64>() / seeds.len() as f64
            };
            list.push(Fallen {
                row: first.row.clone(),
                norm,
                eps: eps.clone(),
                n: first.n,
                right: mean(&|s| s.1),
                withstand: mean(&|s| s.1 - s.2),
                shares,
            });
        }
    }
    list
}
