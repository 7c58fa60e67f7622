//! What is proved of an image, and how.

use crate::bounds::{Between, Bounds, Rows, Settings};
use crate::lines::Slope;
use crate::network::Network;
use crate::region::Region;
use crate::tree::{Budget, Ending};
use gauntlet_core::{Error, Result};
use std::fmt;

/// A way to prove something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Interval bound propagation.
    Ibp,
    /// The bound of Wong & Kolter 2018 as their code has it: slopes that are the upper lines' own, everything between bounded
    /// anew, the ball without the box of pixels. `crown` proves more; this one is for comparing.
    Kw,
    /// Backward linear bounds.
    Crown,
    /// Branch and bound over `crown`.
    Bab,
}

impl Method {
    /// All, cheapest first.
    pub const ALL: [Method; 4] = [Method::Ibp, Method::Kw, Method::Crown, Method::Bab];
    /// Their names, in the same order.
    pub const NAMES: [&str; 4] = ["ibp", "kw", "crown", "bab"];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Method::Ibp => "ibp",
            Method::Kw => "kw",
            Method::Crown => "crown",
            Method::Bab => "bab",
        }
    }

    /// The one of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> Result<Self> {
        let found = Method::ALL.into_iter().find(|m| m.name() == name);
        found.ok_or_else(|| Error::value("methods", format!("{name:?} is none of {}", Method::NAMES.join(", "))))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a certificate is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executed {
    /// The network of real numbers with these weights.
    Exactly,
    /// The logits that a CPU computes in f32, by direct sums in any order.
    Single,
}

/// How an image is to be certified.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What is tried, in this order.
    pub methods: Vec<Method>,
    /// What the certificate is about.
    pub executed: Executed,
    /// For branch and bound.
    pub budget: Budget,
}

/// What came out for an image.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// Proved: all rows are above 0 on the whole region.
    Certified,
    /// Neither proved nor broken, and why.
    Open(String),
    /// At this point of the region the judge said that it is broken.
    Broken(Vec<f64>),
}

/// What is known of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// What came out.
    pub fate: Fate,
    /// The last method that was tried: the one that decided, if one did.
    pub method: Method,
    /// A sound lower bound of the least row.
    pub bound: f64,
    /// Parts that branch and bound made.
    pub nodes: usize,
    /// Rectifiers that bounds leave undecided; those of smooth functions all count.
    pub undecided: usize,
}

/// Proves that `rows` are above 0 on a region, by the methods of a plan in turn until one does. `judge` says of a point of the region
/// whether it is a counterexample; branch and bound alone asks it.
///
/// # Errors
/// A plan without methods; a region or rows that do not fit; no account of rounding where f32 is asked for; the judge fails.
pub fn certify(
    network: &Network,
    region: &Region,
    rows: &Rows,
    plan: &Plan,
    judge: &mut dyn FnMut(&[f64]) -> Result<bool>,
) -> Result<Certificate> {
    let Some(first) = plan.methods.first() else { return Err(Error::value("methods", "there are none")) };
    let mut found = Certificate {
        fate: Fate::Open("no method was tried".into()),
        method: *first,
        bound: f64::NEG_INFINITY,
        nodes: 0,
        undecided: 0,
    };
    let mut least = vec![f64::NEG_INFINITY; rows.count()];
    let mut crown: Option<Bounds<'_>> = None;
    for method in &plan.methods {
        found.method = *method;
        if *method == Method::Ibp {
            let settings = Settings { between: Between::Intervals, slope: Slope::Adaptive };
            let bounds = Bounds::new(network, region.clone(), settings)?;
            let rows = asked(&bounds, rows, plan.executed)?;
            better(&mut least, &bounds.interval_margins(&rows)?);
            found.undecided = bounds.undecided();
            found.fate = Fate::Open("the margin's interval reaches 0".into());
        } else if *method == Method::Kw {
            let settings = Settings { between: Between::CrownAlone, slope: Slope::Same };
            let bounds = Bounds::new(network, region.without_box()?, settings)?;
            let rows = asked(&bounds, rows, plan.executed)?;
            better(&mut least, &bounds.crown(&rows, Slope::Same)?);
            found.undecided = bounds.undecided();
            found.fate = Fate::Open("the margin's linear bound reaches 0".into());
        } else {
            let bounds = match crown.take() {
                Some(bounds) => bounds,
                None => Bounds::new(network, region.clone(), Settings::default())?,
            };
            let rows = asked(&bounds, rows, plan.executed)?;
            found.undecided = bounds.undecided();
            // Three sound bounds: on networks trained by intervals the first and the last are good, elsewhere the second.
            better(&mut least, &bounds.crown(&rows, Slope::Adaptive)?);
            better(&mut least, &bounds.interval_margins(&rows)?);
            if least.iter().any(|b| *b <= 0.0) {
                better(&mut least, &bounds.crown(&rows, Slope::Zero)?);
            }
            found.fate = Fate::Open("the margin's linear bound reaches 0".into());
            if *method == Method::Bab && least.iter().any(|b| *b <= 0.0) {
                let search = bounds.search(&rows, &least, &plan.budget, judge)?;
                (found.nodes, found.bound) = (search.nodes, search.bound);
                found.fate = match search.ending {
                    Ending::Proved => Fate::Certified,
                    Ending::Open(why) => Fate::Open(why),
                    Ending::Broken(point) => Fate::Broken(point),
                };
                return Ok(found);
            }
            crown = Some(bounds);
        }
        found.bound = least.iter().copied().fold(f64::INFINITY, f64::min);
        if least.iter().all(|b| *b > 0.0) {
            found.fate = Fate::Certified;
            return Ok(found);
        }
    }
    Ok(found)
}

/// The rows with what f32 may make of them taken off.
fn asked(bounds: &Bounds<'_>, rows: &Rows, executed: Executed) -> Result<Rows> {
    match executed {
        Executed::Exactly => Ok(rows.clone()),
        Executed::Single => Ok(rows.clone().above(&rows.moved_by(&bounds.rounding_in_single()?))),
    }
}

fn better(least: &mut [f64], found: &[f64]) {
    least.iter_mut().zip(found).for_each(|(l, f)| *l = l.max(*f));
}
