//! Branch and bound: the region in parts, in each of which a few rectifiers are held on or off.

use crate::ascent::{Ascent, Part};
use crate::bounds::{Bounds, Rows};
use gauntlet_core::Result;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// When a search ends. It counts parts, not seconds: the same search gives the same answer everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Parts that are bounded, those of all functions together.
    pub nodes: usize,
    /// Steps of the ascent in each part.
    pub steps: u32,
    /// Undecided rectifiers beyond which nothing is tried: there the tree never ends.
    pub most_undecided: usize,
}

impl Default for Budget {
    /// 1000 parts, 20 steps, 500 undecided rectifiers.
    fn default() -> Self {
        Budget { nodes: 1000, steps: 20, most_undecided: 500 }
    }
}

/// How much shorter the last step of an ascent is than the first.
const SLOWER: f64 = 0.67;
/// Where nothing is left to split: how many times as many steps, and how much shorter the last.
const LAST: (u32, f64) = (50, 1e-4);

/// How a search ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// All functions are above 0 on the whole region.
    Proved,
    /// It is not known.
    Open(String),
    /// A point that the judge took.
    Broken(Vec<f64>),
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// How it ended.
    pub ending: Ending,
    /// Parts that were bounded.
    pub nodes: usize,
    /// A sound lower bound of all functions.
    pub bound: f64,
}

/// Parts with the lowest bound first, then those that came first.
struct Waiting {
    part: Part,
    number: usize,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        other.part.lower.total_cmp(&self.part.lower).then(other.number.cmp(&self.number))
    }
}

impl Bounds<'_> {
    /// Proves that all rows are above 0 on the region, or finds a point that `judge` says they are not at, within a budget.
    ///
    /// `known` are sound lower bounds of the rows; those above 0 are done. Best-first by lower bound; in each part slopes and multipliers are
    /// raised (α,β-CROWN), the rectifier whose upper line costs most is split next, and the point where the bound is attained is shown to the
    /// judge.
    ///
    /// # Errors
    /// Rows of another number of logits; the judge fails.
    pub fn search(
        &self,
        rows: &Rows,
        known: &[f64],
        budget: &Budget,
        judge: &mut dyn FnMut(&[f64]) -> Result<bool>,
    ) -> Result<Search> {
        self.check(rows)?;
        let least = |known: &[f64]| known.iter().copied().fold(f64::INFINITY, f64::min);
        let mut found = known.to_vec();
        let open =
            |why: String, nodes, found: &[f64]| Ok(Search { ending: Ending::Open(why), nodes, bound: least(found) });
        let ascent = Ascent::new(self);
        let undecided = ascent.undecided.len();
        if undecided > budget.most_undecided && known.iter().any(|b| *b <= 0.0) {
            let why = format!("{undecided} rectifiers are undecided, more than {}", budget.most_undecided);
            return open(why, 0, &found);
        }
        // What is least likely to hold comes first.
        let mut order: Vec<usize> = (0..rows.count()).filter(|i| known[*i] <= 0.0 || known[*i].is_nan()).collect();
        order.sort_by(|a, b| known[*a].total_cmp(&known[*b]));
        let mut nodes = 0;
        for which in order {
            let row = rows.row(which);
            let mut part = ascent.whole();
            ascent.raise(&mut part, &row, budget.steps, SLOWER)?;
            nodes += 1;
            found[which] = found[which].max(part.lower);
            // The least bound of all parts that are done.
            let mut least_done = part.lower;
            if part.lower <= 0.0 && judge(&part.point)? {
                return Ok(Search { ending: Ending::Broken(part.point), nodes, bound: least(&found) });
            }
            let mut heap = BinaryHeap::new();
            if part.lower <= 0.0 {
                least_done = f64::INFINITY;
                heap.push(Waiting { part, number: nodes });
            }
            while let Some(Waiting { mut part, .. }) = heap.pop() {
                found[which] = found[which].max(part.lower);
                let Some(next) = part.next else {
                    // A linear program, which a long ascent solves as well as it may.
                    ascent.raise(&mut part, &row, LAST.0 * budget.steps, LAST.1)?;
                    if part.lower > 0.0 {
                        least_done = least_done.min(part.lower);
                        continue;
                    }
                    return open("a part without undecided rectifiers is not above 0".into(), nodes, &found);
                };
                if nodes + 2 > budget.nodes {
                    return open(format!("the budget of {} parts is spent", budget.nodes), nodes, &found);
                }
                for sign in [1.0, -1.0] {
                    let mut child = ascent.within(&part, next, sign);
                    ascent.raise(&mut child, &row, budget.steps, SLOWER)?;
                    nodes += 1;
                    if child.lower > 0.0 {
                        least_done = least_done.min(child.lower);
                        continue;
                    }
                    if judge(&child.point)? {
                        return Ok(Search { ending: Ending::Broken(child.point), nodes, bound: least(&found) });
                    }
                    heap.push(Waiting { part: child, number: nodes });
                }
            }
            found[which] = found[which].max(least_done);
        }
        Ok(Search { ending: Ending::Proved, nodes, bound: least(&found) })
    }
}
