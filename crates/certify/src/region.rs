//! The set of images that a bound is about.

use crate::rounding::{TINY, UNIT, gamma};
use gauntlet_core::{Error, Result, ThreatModel};
use gauntlet_records::Norm;

/// low ≤ x ≤ high, and where there is a ball besides, ‖x − centre‖ ≤ ε.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    pub(crate) centre: Vec<f64>,
    pub(crate) low: Vec<f64>,
    pub(crate) high: Vec<f64>,
    /// L2 or L1 with its ε; that of L∞ is all in the box.
    pub(crate) ball: Option<(Norm, f64)>,
    /// Norm and ε of what was made as a ball.
    of: Option<(Norm, f64)>,
    /// Middles and half widths; middle ± half width reach at least as far as the box.
    pub(crate) middle: Vec<f64>,
    pub(crate) half: Vec<f64>,
}

/// What a linear function is at least on a region, and where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Least {
    /// The computed minimum.
    pub(crate) value: f64,
    /// How far it can lie above the real one.
    pub(crate) slack: f64,
}

impl Region {
    /// The ball of radius `eps` around x, within `bounds` where they are given: `(0, 1)` for images.
    ///
    /// # Errors
    /// A radius or pixels that are not finite; a pixel outside the bounds; L0.
    pub fn ball(x: &[f64], norm: Norm, eps: f64, bounds: Option<(f64, f64)>) -> Result<Self> {
        if !eps.is_finite() || eps < 0.0 {
            return Err(Error::value("eps", format!("must be a finite number of at least 0, got {eps}")));
        }
        if norm == Norm::L0 {
            let why = "no certificate covers every set of changed values; certify in linf, l2 or l1";
            return Err(Error::value("norm", why.to_string()));
        }
        let (floor, ceiling) = bounds.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        if let Some(bad) = x.iter().find(|v| !v.is_finite() || **v < floor || **v > ceiling) {
            return Err(Error::value("image", format!("has a pixel of {bad}, outside [{floor}, {ceiling}]")));
        }
        // x ± ε is rounded by half a unit of the result: one unit outwards is beyond it.
        let reach = |v: f64, eps: f64| {
            if eps == 0.0 { v } else { (v + eps) + 2.0 * UNIT * (v.abs() + eps.abs()) * eps.signum() }
        };
        let low = x.iter().map(|v| reach(*v, -eps).max(floor)).collect();
        let high = x.iter().map(|v| reach(*v, eps).min(ceiling)).collect();
        let ball = (norm != Norm::Linf).then_some((norm, eps));
        Ok(Region { of: Some((norm, eps)), ..Region::new(x.to_vec(), low, high, ball) })
    }

    /// All that the referee takes for a perturbation of x inside the budget: ‖δ‖ ≤ ε + 10⁻⁶ · max(1, ‖x‖) and pixels up to 10⁻⁷ outside of
    /// the threat model's bounds.
    ///
    /// # Errors
    /// See [`Region::ball`].
    pub fn referee(x: &[f64], threat: &ThreatModel) -> Result<Self> {
        let size = threat.norm.of(x.iter().copied()).max(1.0);
        // Sizes are computed by the referee, and here.
        let eps = (threat.eps + 1e-6 * size) * (1.0 + gamma(x.len() + 8));
        let (low, high) = threat.bounds;
        Region::ball(x, threat.norm, eps, Some((low - 1.0001e-7, high + 1.0001e-7)))
    }

    /// A box.
    ///
    /// # Errors
    /// Ends that are not finite or the wrong way round.
    pub fn of_box(low: &[f64], high: &[f64]) -> Result<Self> {
        if low.len() != high.len() {
            return Err(Error::value("box", format!("{} lower ends and {} upper ones", low.len(), high.len())));
        }
        let wrong = |(l, h): (&f64, &f64)| !l.is_finite() || !h.is_finite() || l > h;
        if let Some(i) = low.iter().zip(high).position(wrong) {
            return Err(Error::value("box", format!("input {i} from {} to {} is no interval", low[i], high[i])));
        }
        let centre = low.iter().zip(high).map(|(l, h)| (0.5 * l + 0.5 * h).clamp(*l, *h)).collect();
        Ok(Region::new(centre, low.to_vec(), high.to_vec(), None))
    }

    fn new(centre: Vec<f64>, low: Vec<f64>, high: Vec<f64>, ball: Option<(Norm, f64)>) -> Self {
        let (middle, half) = low.iter().zip(&high).map(|(l, h)| middle(*l, *h)).unzip();
        Region { centre, low, high, ball, of: None, middle, half }
    }

    /// The same ball, whatever pixels it leaves the box of; what was made as a box has none.
    ///
    /// # Errors
    /// It is no ball.
    pub fn without_box(&self) -> Result<Self> {
        let Some((norm, eps)) = self.of else { return Err(Error::value("region", "is a box and no ball")) };
        Region::ball(&self.centre, norm, eps, None)
    }

    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        self.centre.len()
    }

    /// Whether x lies in it.
    pub fn contains(&self, x: &[f64]) -> bool {
        let inside = x.len() == self.low.len()
            && x.iter().zip(self.low.iter().zip(&self.high)).all(|(x, (l, h))| l <= x && x <= h);
        let near = |(norm, eps): &(Norm, f64)| {
            norm.of(x.iter().zip(&self.centre).map(|(a, b)| a - b)) <= *eps * (1.0 + gamma(x.len() + 8))
        };
        inside && self.ball.as_ref().is_none_or(near)
    }

    /// The least of ⟨a, x⟩ in the box alone.
    fn in_the_box(&self, a: &[f64]) -> Least {
        let (mut value, mut size) = (0.0, 0.0);
        for ((a, m), r) in a.iter().zip(&self.middle).zip(&self.half) {
            value += a * m - a.abs() * r;
            size += a.abs() * (m.abs() + r);
        }
        Least { value, slack: gamma(2 * a.len() + 8) * size + TINY }
    }

    /// The least of ⟨a, x⟩ in the ball alone.
    fn in_the_ball(&self, a: &[f64], norm: Norm, eps: f64) -> Least {
        let (mut value, mut size, mut squares, mut largest) = (0.0, 0.0, 0.0, 0.0f64);
        for (a, x) in a.iter().zip(&self.centre) {
            value += a * x;
            size += (a * x).abs();
            squares += a * a;
            largest = largest.max(a.abs());
        }
        let fall = eps * if norm == Norm::L2 { squares.sqrt() } else { largest };
        Least { value: value - fall, slack: gamma(2 * a.len() + 16) * (size + fall) + TINY }
    }

    /// The least of ⟨a, x⟩: of box and ball together the better of both, which is sound and not always exact.
    pub(crate) fn least(&self, a: &[f64]) -> Least {
        match self.ball {
            None => self.in_the_box(a),
            Some((norm, eps)) => {
                let (cube, ball) = (self.in_the_box(a), self.in_the_ball(a, norm, eps));
                if cube.value - cube.slack > ball.value - ball.slack { cube } else { ball }
            }
        }
    }

    /// The least of ⟨a, x⟩ as near as it can be computed, and where it is attained.
    ///
    /// With the ball, by its multiplier: for every λ ≥ 0 the minimum over the box of ⟨a, δ⟩ + λ(‖δ‖ − ε), or of ⟨a, δ⟩ + λ(‖δ‖² − ε²)/2 in
    /// L2, is a lower bound, and the largest of these is exact.
    pub(crate) fn exactly(&self, a: &[f64]) -> (Least, Vec<f64>) {
        let Some((norm, eps)) = self.ball else {
            let ends = self.low.iter().zip(&self.high);
            return (
                self.in_the_box(a),
                a.iter().zip(ends).map(|(a, (l, h))| if *a > 0.0 { *l } else { *h }).collect(),
            );
        };
        let room = |i: usize| (self.low[i] - self.centre[i], self.high[i] - self.centre[i]);
        let delta = |i: usize, lambda: f64| -> f64 {
            let (down, up) = room(i);
            match norm {
                Norm::L2 if lambda > 0.0 => (-a[i] / lambda).clamp(down, up),
                Norm::L1 if a[i].abs() <= lambda => 0.0,
                _ if a[i] > 0.0 => down,
                _ if a[i] < 0.0 => up,
                _ => 0.0,
            }
        };
        let size = |lambda: f64| norm.of((0..a.len()).map(|i| delta(i, lambda)));
        let largest = match norm {
            Norm::L2 => norm.of(a.iter().copied()) / eps.max(f64::MIN_POSITIVE),
            _ => a.iter().fold(0.0f64, |m, a| m.max(a.abs())),
        };
        let mut lambda = 0.0;
        if size(0.0) > eps && largest.is_finite() {
            let (mut loose, mut tight) = (0.0, largest);
            for _ in 0..64 {
                let middle = 0.5 * (loose + tight);
                if size(middle) > eps { loose = middle } else { tight = middle }
            }
            lambda = tight;
        }
        let (mut value, mut account) = (0.0, 0.0);
        for (i, a) in a.iter().enumerate() {
            let (d, x) = (delta(i, lambda), self.centre[i]);
            // Rounding of δ moves a differentiable function's minimum by its square; what is computed at it is charged.
            let term = match norm {
                Norm::L2 => {
                    let best = if lambda > 0.0 { a * d + 0.5 * lambda * d * d } else { a * d };
                    account += (a * d).abs() + 0.5 * lambda * d * d;
                    best
                }
                _ => {
                    account += (a * d).abs() + lambda * d.abs();
                    a * d + lambda * d.abs()
                }
            };
            value += a * x + term;
            account += 2.0 * (a * x).abs();
        }
        let price = if norm == Norm::L2 { 0.5 * lambda * eps * eps } else { lambda * eps };
        let bound = Least { value: value - price, slack: gamma(4 * a.len() + 32) * (account + price) + TINY };
        let simple = self.least(a);
        let least = if simple.value - simple.slack > bound.value - bound.slack { simple } else { bound };
        // In L1 the coordinate at the multiplier takes what is left of the budget.
        let mut point: Vec<f64> = (0..a.len()).map(|i| delta(i, lambda)).collect();
        if norm == Norm::L1 && lambda > 0.0 {
            let mut left = (eps - norm.of(point.iter().copied())).max(0.0);
            for (i, d) in point.iter_mut().enumerate().filter(|(i, _)| a[*i].abs() >= lambda * (1.0 - 1e-12)) {
                let (down, up) = room(i);
                if *d == 0.0 && left > 0.0 {
                    *d = if a[i] > 0.0 { down.max(-left) } else { up.min(left) };
                    left = (left - d.abs()).max(0.0);
                }
            }
        }
        (least, point.iter().zip(&self.centre).map(|(d, x)| x + d).collect())
    }
}

/// Middle and half width of an interval, together reaching at least as far.
pub(crate) fn middle(low: f64, high: f64) -> (f64, f64) {
    if low == high {
        return (low, 0.0);
    }
    let m = 0.5 * (low + high);
    (m, (m - low).max(high - m) * (1.0 + 4.0 * UNIT) + f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn least(region: &Region, a: &[f64]) -> f64 {
        let (least, x) = region.exactly(a);
        let at: f64 = a.iter().zip(&x).map(|(a, x)| a * x).sum();
        assert!(region.contains(&x), "{x:?}");
        // The bound is attained at the point.
        assert!((least.value - at).abs() < 1e-9, "{} and {at}", least.value);
        let simple = region.least(a);
        assert!(simple.value - simple.slack <= least.value + 1e-12);
        least.value
    }

    #[test]
    fn a_linear_function_has_its_least_value_in_closed_form() {
        let x = [0.2, 0.5, 0.9];
        let a = [3.0, 4.0, 0.0];
        let at: f64 = 0.6 + 2.0;
        let of = |norm, eps, bounds| Region::ball(&x, norm, eps, bounds).unwrap();
        let refused = Region::ball(&x, Norm::L0, 1.0, None).unwrap_err().to_string();
        assert!(refused.contains("certify in linf, l2 or l1"), "{refused}");
        // No box: ε times the dual norm.
        assert!((least(&of(Norm::Linf, 0.1, None), &a) - (at - 0.7)).abs() < 1e-12);
        assert!((least(&of(Norm::L2, 0.1, None), &a) - (at - 0.5)).abs() < 1e-12);
        assert!((least(&of(Norm::L1, 0.1, None), &a) - (at - 0.4)).abs() < 1e-12);
        // With the box the first pixel can fall by 0.2 alone: L2 ε = 0.5 leaves the second √(0.25 − 0.04).
        let boxed = at - 3.0 * 0.2 - 4.0 * 0.21f64.sqrt();
        assert!((least(&of(Norm::L2, 0.5, Some((0.0, 1.0))), &a) - boxed).abs() < 1e-9);
        // L1 ε = 0.6: the second falls by its whole 0.5, the first by what is left.
        assert!((least(&of(Norm::L1, 0.6, Some((0.0, 1.0))), &a) - (at - 2.0 - 0.3)).abs() < 1e-9);
        assert_eq!(least(&of(Norm::L2, 0.0, None), &a), at);
    }

    #[test]
    fn bad_regions_are_refused() {
        let e = Region::ball(&[0.5], Norm::L2, -1.0, None).unwrap_err().to_string();
        assert!(e.contains("at least 0, got -1"), "{e}");
        let e = Region::ball(&[1.5], Norm::L2, 0.1, Some((0.0, 1.0))).unwrap_err().to_string();
        assert!(e.contains("pixel of 1.5, outside [0, 1]"), "{e}");
        let e = Region::of_box(&[0.0, 1.0], &[1.0, 0.5]).unwrap_err().to_string();
        assert!(e.contains("input 1 from 1 to 0.5"), "{e}");
    }

    #[test]
    fn the_referee_accepts_nothing_outside_its_region() {
        let threat = ThreatModel::new(Norm::Linf, 0.1);
        let region = Region::referee(&[0.0, 0.5], &threat).unwrap();
        assert!(region.contains(&[-1e-7, 0.5 + 0.1 + 1e-6]) && !region.contains(&[-3e-7, 0.5]));
    }
}
