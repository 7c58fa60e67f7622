//! Lines below and above a curve.

use crate::curve::{Curve, Smooth};
use crate::rounding::UNIT;

/// The slope of the line below a rectifier that is neither on nor off. All are sound; none is best everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slope {
    /// 1 where the upper end is farther from 0 than the lower one, else 0 (CROWN's adaptive choice).
    Adaptive,
    /// That of the line above (Fast-Lin, Wong & Kolter's dual).
    Same,
    /// 0: the only good one for networks trained by intervals.
    Zero,
    /// 1.
    One,
}

/// d·x + b.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Line {
    pub(crate) d: f64,
    pub(crate) b: f64,
}

/// For every number of a node: a line below its curve and one above.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines {
    pub(crate) below: Vec<Line>,
    pub(crate) above: Vec<Line>,
    /// What rounding is measured by: the larger |d| · max(|low|, |high|) + |b| of both.
    pub(crate) account: Vec<f64>,
}

impl Lines {
    /// Of a curve between ends.
    pub(crate) fn new(curve: Curve, low: &[f64], high: &[f64], slope: Slope) -> Self {
        let mut lines = Lines::default();
        for (l, h) in low.iter().zip(high) {
            let (below, above) = between(curve, *l, *h, slope);
            let z = l.abs().max(h.abs());
            lines.below.push(below);
            lines.above.push(above);
            lines.account.push(below.d.abs().max(above.d.abs()) * z + below.b.abs().max(above.b.abs()));
        }
        lines
    }

    /// Puts the line d·x + b in place of both of a number.
    pub(crate) fn decide(&mut self, unit: usize, d: f64) {
        (self.below[unit], self.above[unit]) = (Line { d, b: 0.0 }, Line { d, b: 0.0 });
    }
}

/// The lines of one number in [low, high].
pub(crate) fn between(curve: Curve, low: f64, high: f64, slope: Slope) -> (Line, Line) {
    match curve {
        Curve::Bent(bent) => {
            let straight = |d| (Line { d, b: 0.0 }, Line { d, b: 0.0 });
            if low >= 0.0 {
                return straight(1.0);
            }
            if high <= 0.0 {
                return straight(bent);
            }
            let d = ((high - bent * low) / (high - low)).clamp(bent, 1.0);
            // A line at or above both ends is above a convex curve, whatever d was rounded to.
            let (at_low, at_high) = (bent * low - d * low, high - d * high);
            let rounded = 4.0 * UNIT * ((bent * low).abs() + (d * low).abs() + high + (d * high).abs());
            let above = Line { d, b: at_low.max(at_high) + rounded + f64::MIN_POSITIVE };
            // Any line through 0 with a slope between those of the two sides is below.
            let below = match slope {
                Slope::Adaptive => {
                    if high > -low {
                        1.0
                    } else {
                        bent
                    }
                }
                Slope::Same => d,
                Slope::Zero => 0.0f64.max(bent),
                Slope::One => 1.0,
            };
            (Line { d: below, b: 0.0 }, above)
        }
        Curve::Smooth(smooth) => around(smooth, low, high),
    }
}

/// The best lines of a few slopes: those that lie nearest to the middle of the curve.
fn around(smooth: Smooth, low: f64, high: f64) -> (Line, Line) {
    let middle = 0.5 * (low + high);
    let tangent = |x: f64| (smooth.value(x + 1e-6) - smooth.value(x - 1e-6)) / 2e-6;
    let chord = (smooth.value(high) - smooth.value(low)) / (high - low);
    let slopes = [chord, tangent(middle), tangent(low), tangent(high), 0.0];
    let mut best: Option<(Line, Line)> = None;
    for d in slopes.into_iter().filter(|d| d.is_finite()) {
        let (least, most) = smooth.beside(d, low, high);
        let (below, above) = (Line { d, b: least }, Line { d, b: most });
        let at = |line: &Line| line.d * middle + line.b;
        best = Some(match best {
            None => (below, above),
            Some((b, a)) => (if at(&below) > at(&b) { below } else { b }, if at(&above) < at(&a) { above } else { a }),
        });
    }
    best.unwrap_or((Line { d: 0.0, b: f64::NEG_INFINITY }, Line { d: 0.0, b: f64::INFINITY }))
}
