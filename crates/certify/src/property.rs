//! Properties in VNN-LIB: proved to have no counterexample, or broken.

use crate::bounds::Rows;
use crate::certificate::{Certificate, Executed, Fate, Method, Plan, certify};
use crate::network::Network;
use crate::region::Region;
use crate::tree::Budget;
use gauntlet_core::{Error, Result};
use gauntlet_vnnlib::{Halfspace, Property};
use std::fmt;
use std::sync::Arc;

/// What is known of a property.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// No input satisfies it.
    Unsat,
    /// This one does.
    Sat(Vec<f64>),
    /// It is not known, and why.
    Unknown(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Unsat => "unsat",
            Verdict::Sat(_) => "sat",
            Verdict::Unknown(_) => "unknown",
        })
    }
}

/// Proves that no input satisfies a property of the network of real numbers: in every case, that one of its inequalities fails in the
/// whole box. `judge` says of a point whether the property is satisfied there, in f64: see [`Property::satisfied`]. Returns the parts
/// that branch and bound made, too.
///
/// # Errors
/// A property of other numbers of inputs and outputs; the judge fails.
pub fn verify(
    network: &Network,
    property: &Property,
    budget: &Budget,
    judge: &mut dyn FnMut(&[f64]) -> Result<bool>,
) -> Result<(Verdict, usize)> {
    if (property.inputs(), property.outputs()) != (network.pixels(), network.classes()) {
        let why = format!(
            "is of a network with {} inputs and {} outputs, and this one has {} and {}",
            property.inputs(),
            property.outputs(),
            network.pixels(),
            network.classes()
        );
        return Err(Error::value("property", why));
    }
    let mut nodes = 0;
    let mut left = *budget;
    for (number, region) in property.regions().iter().enumerate() {
        let region = Region::of_box(&region.lower, &region.upper)?;
        let cases: Vec<&[Arc<Halfspace>]> =
            property.cases().iter().filter(|c| c.region == number).map(|c| c.atoms.as_slice()).collect();
        if cases.iter().any(|atoms| atoms.is_empty()) {
            return Ok((Verdict::Unknown("a case asks nothing of the outputs".into()), nodes));
        }
        // Cases of one inequality are proved together, the others one by one: any of their inequalities will do.
        let single: Vec<&Halfspace> = cases.iter().filter(|a| a.len() == 1).map(|a| a[0].as_ref()).collect();
        let mut questions: Vec<Vec<Vec<&Halfspace>>> = Vec::new();
        if !single.is_empty() {
            questions.push(vec![single]);
        }
        questions.extend(cases.iter().filter(|a| a.len() > 1).map(|a| a.iter().map(|a| vec![a.as_ref()]).collect()));
        for alternatives in questions {
            let mut why = None;
            let mut proved = false;
            // First what is cheap, of all of them.
            for methods in [vec![Method::Crown], vec![Method::Bab]] {
                for atoms in &alternatives {
                    let rows = fails(network.classes(), atoms)?;
                    let plan = Plan { methods: methods.clone(), executed: Executed::Exactly, budget: left };
                    let Certificate { fate, nodes: made, .. } = certify(network, &region, &rows, &plan, judge)?;
                    nodes += made;
                    left.nodes = left.nodes.saturating_sub(made);
                    match fate {
                        Fate::Certified => proved = true,
                        Fate::Broken(point) => return Ok((Verdict::Sat(point), nodes)),
                        Fate::Open(reason) => why = Some(reason),
                    }
                    if proved {
                        break;
                    }
                }
                if proved {
                    break;
                }
            }
            if !proved {
                return Ok((Verdict::Unknown(why.unwrap_or_default()), nodes));
            }
        }
    }
    Ok((Verdict::Unsat, nodes))
}

/// −(Σ c·Y + k), row by row: above 0 where the inequality fails.
fn fails(classes: usize, atoms: &[&Halfspace]) -> Result<Rows> {
    let mut factors = vec![0.0; classes * atoms.len()];
    for (row, atom) in factors.chunks_mut(classes).zip(atoms) {
        atom.terms.iter().for_each(|(j, c)| row[*j] = -c);
    }
    Rows::new(classes, factors, atoms.iter().map(|a| -a.constant).collect())
}
