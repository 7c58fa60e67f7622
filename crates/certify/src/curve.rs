//! Elementwise nonlinearities, and what can be said of them between two ends.

use crate::rounding::UNIT;

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Curve {
    /// max(x, slope · x) with slope ≤ 1: relu (0), leaky-relu, |x| (−1). Convex, with one kink, at 0.
    Bent(f64),
    /// A smooth one.
    Smooth(Smooth),
}

/// Smooth functions of known bends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Smooth {
    /// ln(1 + eˣ).
    Softplus,
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// tanh x.
    Tanh,
    /// x Φ(x).
    Gelu,
    /// x σ(x).
    Silu,
    /// x where it is positive, α(eˣ − 1) elsewhere; 0 ≤ α ≤ 1.
    Elu(f64),
    /// eˣ.
    Exp,
}

/// Where x σ(x) turns from bending down to bending up: the positive root of x·tanh(x/2) = 2.
const SILU_BEND: f64 = 2.399_357_280_515_468;

/// Roundings that a value of `libm` and the few operations around it are granted. Its functions are documented to err by less than
/// one or two units in the last place.
const GRANTED: f64 = 64.0;

fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + libm::exp(-x))
    } else {
        let e = libm::exp(x);
        e / (1.0 + e)
    }
}

fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

impl Smooth {
    pub(crate) fn value(self, x: f64) -> f64 {
        match self {
            Smooth::Softplus => x.max(0.0) + libm::log1p(libm::exp(-x.abs())),
            Smooth::Sigmoid => sigmoid(x),
            Smooth::Tanh => libm::tanh(x),
            Smooth::Gelu => x * normal_cdf(x),
            Smooth::Silu => x * sigmoid(x),
            Smooth::Elu(alpha) => {
                if x > 0.0 {
                    x
                } else {
                    alpha * libm::expm1(x)
                }
            }
            Smooth::Exp => libm::exp(x),
        }
    }

    fn slope(self, x: f64) -> f64 {
        match self {
            Smooth::Softplus => sigmoid(x),
            Smooth::Sigmoid => sigmoid(x) * sigmoid(-x),
            Smooth::Tanh => {
                let t = libm::tanh(x);
                (1.0 - t) * (1.0 + t)
            }
            Smooth::Gelu => {
                let density = libm::exp(-0.5 * x * x) * 0.398_942_280_401_432_7;
                normal_cdf(x) + x * density
            }
            Smooth::Silu => {
                let s = sigmoid(x);
                s + x * s * sigmoid(-x)
            }
            Smooth::Elu(alpha) => {
                if x > 0.0 {
                    1.0
                } else {
                    alpha * libm::exp(x)
                }
            }
            Smooth::Exp => libm::exp(x),
        }
    }

    /// How far a computed value or slope can lie from the real one: both functions change by at most about as much as they are
    /// large, times 1 + x² where an argument was rounded on the way.
    fn error(self, x: f64, computed: f64) -> f64 {
        GRANTED * UNIT * (1.0 + x * x).min(64.0) * (1.0 + x.abs().min(2.0) + computed.abs())
    }

    /// Where it bends the other way, and whether it is convex before the first of these places.
    fn bends(self) -> (&'static [f64], bool) {
        match self {
            Smooth::Softplus | Smooth::Elu(_) | Smooth::Exp => (&[], true),
            Smooth::Sigmoid | Smooth::Tanh => (&[0.0], true),
            Smooth::Gelu => (&[-std::f64::consts::SQRT_2, std::f64::consts::SQRT_2], false),
            Smooth::Silu => (&[-SILU_BEND, SILU_BEND], false),
        }
    }

    /// Bounds of f(x) − d·x over [low, high], rounding included.
    ///
    /// Where f is convex, f(x) ≥ f(t) + f′(t)(x − t) for every t: t is where f′ is d as nearly as bisection finds it, and what is left
    /// of the difference is charged over the whole piece. Where it is concave, the same for −f.
    pub(crate) fn beside(self, d: f64, low: f64, high: f64) -> (f64, f64) {
        let (bends, first) = self.bends();
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut a = low;
        let mut convex = first;
        for end in bends.iter().copied().chain([f64::INFINITY]) {
            if a < end {
                let b = high.min(end);
                let (below, above) = self.piece(d, a, b, convex);
                (least, most) = (least.min(below), most.max(above));
                a = b;
            }
            convex = !convex;
            if a >= high {
                break;
            }
        }
        if low == high {
            let (below, above) = self.piece(d, low, high, true);
            (least, most) = (least.min(below), most.max(above));
        }
        (least, most)
    }

    fn piece(self, d: f64, a: f64, b: f64, convex: bool) -> (f64, f64) {
        let sign = if convex { 1.0 } else { -1.0 };
        let apart = |x: f64| {
            let f = self.value(x);
            (sign * (f - d * x), self.error(x, f) + 4.0 * UNIT * (f.abs() + (d * x).abs()))
        };
        // Of ±f − ±d·x, which is convex here.
        let tilt = |x: f64| sign * (self.slope(x) - d);
        let slack = |x: f64| self.error(x, self.slope(x)) + 4.0 * UNIT * (1.0 + d.abs());
        let (at_a, error_a) = apart(a);
        let (at_b, error_b) = apart(b);
        let top = (at_a + error_a).max(at_b + error_b);
        let width = b - a;
        let (t, left) = if tilt(a) >= 0.0 {
            (a, slack(a))
        } else if tilt(b) <= 0.0 {
            (b, slack(b))
        } else {
            let (mut down, mut up) = (a, b);
            for _ in 0..64 {
                let middle = 0.5 * (down + up);
                if tilt(middle) < 0.0 { down = middle } else { up = middle }
            }
            (up, tilt(up).abs() + slack(up))
        };
        let (at_t, error_t) = apart(t);
        let bottom = at_t - error_t - left * width;
        if convex { (bottom, top) } else { (-top, -bottom) }
    }
}

impl Curve {
    /// The rectifier.
    pub(crate) const RELU: Curve = Curve::Bent(0.0);

    pub(crate) fn value(self, x: f64) -> f64 {
        match self {
            Curve::Bent(slope) => x.max(slope * x),
            Curve::Smooth(smooth) => smooth.value(x),
        }
    }

    /// Bounds of its values over [low, high], rounding included.
    pub(crate) fn range(self, low: f64, high: f64) -> (f64, f64) {
        // `min` and `max` would pass over what is no number.
        if low.is_nan() || high.is_nan() {
            return (f64::NEG_INFINITY, f64::INFINITY);
        }
        match self {
            Curve::Bent(slope) => {
                let (a, b) = (self.value(low), self.value(high));
                let least = if slope < 0.0 && low < 0.0 && high > 0.0 { 0.0 } else { a.min(b) };
                let most = a.max(b);
                // Only products with a slope are rounded.
                let error = if slope == 0.0 { 0.0 } else { 2.0 * UNIT };
                (least - error * least.abs(), most + error * most.abs())
            }
            Curve::Smooth(smooth) => smooth.beside(0.0, low, high),
        }
    }

    /// Whether it is one line over [low, high].
    pub(crate) fn decided(self, low: f64, high: f64) -> bool {
        matches!(self, Curve::Bent(_)) && (low >= 0.0 || high <= 0.0)
    }
}
