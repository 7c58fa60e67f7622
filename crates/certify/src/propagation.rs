//! How bounds come to be: from the pixels forwards by intervals, and back by linear functions.

use crate::affine::Affine;
use crate::backward::{self, Seed};
use crate::bounds::{Between, Bounds, Rows, Settings};
use crate::curve::Curve;
use crate::execution;
use crate::lines::{Lines, Slope};
use crate::network::{Network, Op};
use crate::region::{Region, middle};
use crate::rounding::{TINY, gamma};
use gauntlet_core::{Error, Result};

/// Rows that are taken back at a time: what their coefficients may come to, in numbers.
const AT_ONCE: usize = 1 << 17;

impl<'n> Bounds<'n> {
    /// Bounds of all numbers between.
    ///
    /// # Errors
    /// A region of another number of pixels.
    pub fn new(network: &'n Network, region: Region, settings: Settings) -> Result<Self> {
        if region.pixels() != network.pixels() {
            let why = format!("{} pixels for a network of {}", region.pixels(), network.pixels());
            return Err(Error::value("region", why));
        }
        let nodes = network.nodes.len();
        let mut bounds = Bounds {
            network,
            region,
            low: Vec::with_capacity(nodes),
            high: Vec::with_capacity(nodes),
            account: Vec::with_capacity(nodes),
            lines: Vec::with_capacity(nodes),
        };
        let mut refined = vec![false; nodes];
        for (i, node) in network.nodes.iter().enumerate() {
            let (low, high, account, lines) = match &node.op {
                Op::Input => (bounds.region.low.clone(), bounds.region.high.clone(), Vec::new(), Lines::default()),
                Op::Affine(affine) => {
                    let (low, high, account) = bounds.interval(affine)?;
                    (low, high, account, Lines::default())
                }
                Op::Curve(of, curve) => {
                    if !std::mem::replace(&mut refined[*of], true) {
                        bounds.refine(*of, settings.between, *curve)?;
                    }
                    let (low, high) = (&bounds.low[*of], &bounds.high[*of]);
                    let lines = Lines::new(*curve, low, high, settings.slope);
                    let (low, high) = low.iter().zip(high).map(|(l, h)| curve.range(*l, *h)).unzip();
                    (low, high, Vec::new(), lines)
                }
            };
            bounds.low.push(low);
            bounds.high.push(high);
            bounds.account.push(account);
            bounds.lines.push(lines);
            // A ball is more than its box: as long as nothing bends, the first linear layers know it exactly.
            if i > 0 && network.linear[i] && bounds.region.ball.is_some() {
                bounds.pull(i, (0..node.size).collect(), true)?;
            }
        }
        Ok(bounds)
    }

    /// Intervals behind an affine layer, and |W| z + |b|.
    fn interval(&self, affine: &Affine) -> Result<(Vec<f64>, Vec<f64>, Vec<f64>)> {
        let (mut middles, mut halves) = (Vec::new(), Vec::new());
        for input in &affine.of {
            let ends = self.low[*input].iter().zip(&self.high[*input]);
            let (m, r): (Vec<f64>, Vec<f64>) = ends.map(|(l, h)| middle(*l, *h)).unzip();
            // Half widths, and behind them magnitudes.
            let both = r.iter().copied().chain(m.iter().zip(&r).map(|(m, r)| m.abs() + r)).collect::<Vec<f64>>();
            middles.push(m);
            halves.push(both);
        }
        let m = affine.map.forward(&middles.iter().map(Vec::as_slice).collect::<Vec<_>>(), 1, false)?;
        let r = affine.map.forward(&halves.iter().map(Vec::as_slice).collect::<Vec<_>>(), 2, true)?;
        let n = m.len();
        let k = gamma(affine.map.terms() + affine.loose + 8);
        let account: Vec<f64> = r[n..].iter().zip(&affine.bias_size).map(|(z, b)| z + b).collect();
        let (mut low, mut high) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for i in 0..n {
            let centre = m[i] + affine.bias[i];
            let reach = r[i] + 2.0 * k * account[i] + TINY;
            low.push(centre - reach);
            high.push(centre + reach);
        }
        if let Some((a, b)) = affine.larger {
            for i in 0..n {
                low[i] = low[i].max(self.low[a][i].max(self.low[b][i]));
                high[i] = high[i].min(self.high[a][i].max(self.high[b][i]));
            }
        }
        Ok((low, high, account))
    }

    /// Better bounds of a node that a curve is about to be applied to.
    fn refine(&mut self, node: usize, between: Between, curve: Curve) -> Result<()> {
        // Intervals of one linear layer are exact; of several, nearly.
        if between == Between::Intervals || self.network.linear[node] {
            return Ok(());
        }
        let (low, high) = (&self.low[node], &self.high[node]);
        let open = |i: &usize| between == Between::CrownAlone || !curve.decided(low[*i], high[*i]);
        let units: Vec<usize> = (0..low.len()).filter(open).collect();
        self.pull(node, units, between == Between::Crown)
    }

    /// Bounds some numbers of a node by taking them back to the pixels. `meet`: the better of the old and the new ones counts, not the
    /// new ones.
    fn pull(&mut self, node: usize, units: Vec<usize>, meet: bool) -> Result<()> {
        let widest = self.network.nodes[..=node].iter().map(|n| n.size).max().unwrap_or(1);
        for units in units.chunks((AT_ONCE / widest / 2).clamp(4, 256)) {
            let seeds: Vec<(usize, f64)> = units.iter().flat_map(|u| [(*u, 1.0), (*u, -1.0)]).collect();
            let found = backward::lower(self, &self.lines, node, Seed::Units(&seeds), false, None)?;
            for (unit, ends) in units.iter().zip(found.chunks(2)) {
                let (mut low, mut high) = (ends[0], -ends[1]);
                if meet || low.is_nan() || high.is_nan() || low > high {
                    (low, high) = (self.low[node][*unit].max(low), self.high[node][*unit].min(high));
                }
                // Both are sound; where they cross by rounding, what lies between them is all there is.
                if low > high {
                    (low, high) = (high, low);
                }
                (self.low[node][*unit], self.high[node][*unit]) = (low, high);
            }
        }
        Ok(())
    }

    /// Lower bounds of linear functions of the logits from the intervals before the last curves: the layers behind are folded into the
    /// functions.
    ///
    /// # Errors
    /// Rows of another number of logits.
    pub fn interval_margins(&self, rows: &Rows) -> Result<Vec<f64>> {
        self.check(rows)?;
        backward::lower(self, &self.lines, self.network.output, Seed::Rows(rows), true, None)
    }

    /// Lower bounds of linear functions of the logits, taken back to the pixels along the lines of `slope`.
    ///
    /// # Errors
    /// Rows of another number of logits.
    pub fn crown(&self, rows: &Rows, slope: Slope) -> Result<Vec<f64>> {
        self.check(rows)?;
        let lines = self.lines_of(slope);
        backward::lower(self, &lines, self.network.output, Seed::Rows(rows), false, None)
    }

    /// How far each logit can lie from the real one where a CPU computes it in f32 by direct sums in any order: e ← |W| e + γₙ(|W|(z + e) + |b|)
    /// with the unit roundoff of f32.
    ///
    /// # Errors
    /// A layer whose f32 arithmetic has no account: smooth functions, and convolutions by Winograd's algorithms.
    pub fn rounding_in_single(&self) -> Result<Vec<f64>> {
        execution::errors(self)
    }
}
