//! Lower and upper bounds of every number that a network computes on a region.

use crate::lines::{Lines, Slope};
use crate::network::{Network, Op};
use crate::region::Region;
use crate::rounding::UNIT;
use gauntlet_core::{Error, Result};

/// How the numbers between are bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// By intervals alone. With [`Bounds::crown`] for the margins: CROWN-IBP.
    Intervals,
    /// By backward linear bounds of what intervals leave undecided; the better of both counts.
    Crown,
    /// By backward linear bounds of everything, intervals or not: what other tools compute.
    CrownAlone,
}

/// How bounds are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How the numbers between are bounded.
    pub between: Between,
    /// The line below an undecided rectifier.
    pub slope: Slope,
}

impl Default for Settings {
    /// CROWN with its adaptive slopes.
    fn default() -> Self {
        Settings { between: Between::Crown, slope: Slope::Adaptive }
    }
}

/// Bounds of every number between, and the lines that follow from them.
#[derive(Debug, Clone)]
pub struct Bounds<'n> {
    pub(crate) network: &'n Network,
    pub(crate) region: Region,
    /// Of every node.
    pub(crate) low: Vec<Vec<f64>>,
    pub(crate) high: Vec<Vec<f64>>,
    /// Of every affine node |W| z + |b|, z the largest magnitudes of its inputs; else empty.
    pub(crate) account: Vec<Vec<f64>>,
    /// Of every curve.
    pub(crate) lines: Vec<Lines>,
}

/// Linear functions of the logits: rows of C z + k.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    classes: usize,
    pub(crate) factors: Vec<f64>,
    pub(crate) constants: Vec<f64>,
}

impl Rows {
    /// z_label − z_j for every other class j, in order.
    ///
    /// # Errors
    /// A label that is no class.
    pub fn margins(classes: usize, label: usize) -> Result<Self> {
        if label >= classes {
            return Err(Error::value("label", format!("{label} of {classes} classes")));
        }
        let mut factors = Vec::new();
        for other in (0..classes).filter(|other| *other != label) {
            let mut row = vec![0.0; classes];
            (row[label], row[other]) = (1.0, -1.0);
            factors.extend(row);
        }
        Ok(Rows { classes, factors, constants: vec![0.0; classes - 1] })
    }

    /// Any: a row of factors for each constant.
    ///
    /// # Errors
    /// Numbers of factors that do not go together.
    pub fn new(classes: usize, factors: Vec<f64>, constants: Vec<f64>) -> Result<Self> {
        if factors.len() != classes * constants.len() {
            let why = format!("{} factors for {} rows of {classes} logits", factors.len(), constants.len());
            return Err(Error::value("rows", why));
        }
        Ok(Rows { classes, factors, constants })
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.constants.len()
    }

    /// One of them.
    pub(crate) fn row(&self, i: usize) -> Rows {
        let factors = self.factors[i * self.classes..(i + 1) * self.classes].to_vec();
        Rows { classes: self.classes, factors, constants: vec![self.constants[i]] }
    }

    /// Their values at logits.
    pub fn at(&self, z: &[f64]) -> Vec<f64> {
        let rows = self.factors.chunks(self.classes.max(1)).zip(&self.constants);
        rows.map(|(row, k)| row.iter().zip(z).map(|(c, z)| c * z).sum::<f64>() + k).collect()
    }

    /// The same less these numbers: what must be above 0 is asked to be above them.
    #[must_use]
    pub fn above(mut self, least: &[f64]) -> Self {
        self.constants.iter_mut().zip(least).for_each(|(k, l)| *k -= l);
        self
    }

    /// `|C| e`, row by row: how far logits that err by e move them.
    pub fn moved_by(&self, e: &[f64]) -> Vec<f64> {
        let rows = self.factors.chunks(self.classes.max(1));
        rows.map(|row| row.iter().zip(e).map(|(c, e)| (c * e).abs()).sum::<f64>() * (1.0 + 1e-12)).collect()
    }
}

impl Bounds<'_> {
    pub(crate) fn lines_of(&self, slope: Slope) -> Vec<Lines> {
        let of = |(i, node): (usize, &crate::network::Node)| match &node.op {
            Op::Curve(of, curve @ crate::curve::Curve::Bent(_)) => {
                Lines::new(*curve, &self.low[*of], &self.high[*of], slope)
            }
            _ => self.lines[i].clone(),
        };
        self.network.nodes.iter().enumerate().map(of).collect()
    }

    /// Numbers whose rectifier is neither on nor off everywhere on the region; of smooth curves, all.
    pub fn undecided(&self) -> usize {
        let of = |node: &crate::network::Node| match &node.op {
            Op::Curve(of, curve) => {
                let ends = self.low[*of].iter().zip(&self.high[*of]);
                ends.filter(|(l, h)| !curve.decided(**l, **h)).count()
            }
            _ => 0,
        };
        self.network.nodes.iter().map(of).sum()
    }

    pub(crate) fn check(&self, rows: &Rows) -> Result<()> {
        if rows.classes != self.network.classes() {
            let why = format!("of {} logits for a network of {}", rows.classes, self.network.classes());
            return Err(Error::value("rows", why));
        }
        Ok(())
    }

    /// The largest magnitude of a number between.
    pub(crate) fn magnitude(&self, node: usize, unit: usize) -> f64 {
        self.low[node][unit].abs().max(self.high[node][unit].abs())
    }
}

/// Half a unit more for a sum of two numbers.
pub(crate) fn added(sum: f64) -> f64 {
    2.0 * UNIT * sum.abs()
}
