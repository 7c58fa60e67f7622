//! A formula as a disjunction of conjunctions.

use crate::formula::{Bound, Formula};
use crate::halfspace::Halfspace;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Disjuncts.
const MOST: usize = 1 << 16;
/// Conditions that are copied on the way.
const WORK: usize = 1 << 24;

/// Conditions that hold together: bounds by input (lower, upper), and inequalities of the outputs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conjunction {
    pub(crate) bounds: BTreeMap<usize, (f64, f64)>,
    pub(crate) atoms: Vec<Arc<Halfspace>>,
}

impl Conjunction {
    /// Whether it may hold still.
    pub(crate) fn add(&mut self, bound: Bound) -> bool {
        let (lower, upper) = self.bounds.entry(bound.input).or_insert((f64::NEG_INFINITY, f64::INFINITY));
        if bound.lower {
            *lower = lower.max(bound.value);
        } else {
            *upper = upper.min(bound.value);
        }
        lower <= upper
    }
}

/// Multiplies formulas out.
#[derive(Debug, Default)]
pub(crate) struct Expansion {
    work: usize,
}

impl Expansion {
    /// What holds where one of `all` and `formula` hold.
    pub(crate) fn of(&mut self, formula: &Formula, mut all: Vec<Conjunction>) -> Result<Vec<Conjunction>, String> {
        self.count(all.len())?;
        match formula {
            Formula::Bound(bound) => all.retain_mut(|c| c.add(*bound)),
            Formula::Output(atom) => all.iter_mut().for_each(|c| c.atoms.push(atom.clone())),
            Formula::And(parts) => {
                for part in parts {
                    all = self.of(part, all)?;
                }
            }
            Formula::Or(parts) => {
                let size: usize = all.iter().map(|c| 1 + c.bounds.len() + c.atoms.len()).sum();
                let mut found = Vec::new();
                for part in parts {
                    self.count(size)?;
                    found.append(&mut self.of(part, all.clone())?);
                    if found.len() > MOST {
                        return Err(format!("the condition has more than {MOST} disjuncts when it is multiplied out"));
                    }
                }
                all = found;
            }
        }
        Ok(all)
    }

    fn count(&mut self, work: usize) -> Result<(), String> {
        self.work = self.work.saturating_add(work);
        if self.work > WORK {
            return Err(format!("the condition has more than {WORK} parts when it is multiplied out"));
        }
        Ok(())
    }
}
