//! Elementwise functions beside a network's nonlinearity.

use gauntlet_autograd::Var;
use gauntlet_core::Result;
use std::fmt;

/// An elementwise function. At kinks the derivative is PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// mul · x + add.
    Affine {
        /// The factor.
        mul: f64,
        /// What is added.
        add: f64,
    },
    /// min(max(x, lo), hi).
    Clamp {
        /// The lower bound.
        lo: f64,
        /// The upper bound.
        hi: f64,
    },
    /// x where it is positive, slope · x elsewhere.
    LeakyRelu {
        /// The slope.
        slope: f64,
    },
    /// x where it is positive, α(eˣ − 1) elsewhere.
    Elu {
        /// α.
        alpha: f64,
    },
    /// min(max(α · x + β, 0), 1).
    HardSigmoid {
        /// α.
        alpha: f64,
        /// β.
        beta: f64,
    },
    /// x · min(max(x / 6 + 1/2, 0), 1).
    HardSwish,
    /// x · tanh(softplus(x)).
    Mish,
    /// x · ½(1 + tanh(√(2/π)(x + 0.044715 x³))).
    GeluTanh,
    /// x / (1 + |x|).
    Softsign,
    /// eˣ.
    Exp,
    /// ln x.
    Log,
    /// √x.
    Sqrt,
    /// |x|.
    Abs,
    /// 1/x.
    Recip,
    /// 2 Φ(√2 x) − 1, Φ the normal distribution function.
    Erf,
    /// 1 where x is positive, 0 elsewhere; its derivative is 0.
    Step,
    /// xⁿ.
    Power {
        /// n, at least 1.
        n: u32,
    },
}

impl Function {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Function::Affine { .. } => "affine",
            Function::Clamp { .. } => "clamp",
            Function::LeakyRelu { .. } => "leaky-relu",
            Function::Elu { .. } => "elu",
            Function::HardSigmoid { .. } => "hard-sigmoid",
            Function::HardSwish => "hard-swish",
            Function::Mish => "mish",
            Function::GeluTanh => "gelu (tanh)",
            Function::Softsign => "softsign",
            Function::Exp => "exp",
            Function::Log => "log",
            Function::Sqrt => "sqrt",
            Function::Abs => "abs",
            Function::Recip => "recip",
            Function::Erf => "erf",
            Function::Step => "step",
            Function::Power { .. } => "power",
        }
    }

    /// Its value at every element.
    ///
    /// # Errors
    /// Those of the kernels.
    pub fn apply(self, x: &Var) -> Result<Var> {
        // The gradient of a clamp passes on its bounds: at 0 the derivative is that of the left side, as PyTorch has it.
        let negative = || x.clamp(f64::NEG_INFINITY, 0.0);
        Ok(match self {
            Function::Affine { mul, add } => x.affine(mul, add)?,
            Function::Clamp { lo, hi } => x.clamp(lo, hi)?,
            Function::LeakyRelu { slope } => x.relu()?.add(&negative()?.affine(slope, 0.0)?)?,
            Function::Elu { alpha } => x.relu()?.add(&negative()?.exp()?.affine(alpha, -alpha)?)?,
            Function::HardSigmoid { alpha, beta } => x.affine(alpha, beta)?.clamp(0.0, 1.0)?,
            Function::HardSwish => x.mul(&x.affine(1.0 / 6.0, 0.5)?.clamp(0.0, 1.0)?)?,
            Function::Mish => x.mul(&x.softplus()?.tanh()?)?,
            Function::GeluTanh => {
                let inner = x.add(&x.sqr()?.mul(x)?.affine(0.044715, 0.0)?)?;
                let gate = inner.affine((2.0 / std::f64::consts::PI).sqrt(), 0.0)?.tanh()?.affine(0.5, 0.5)?;
                x.mul(&gate)?
            }
            Function::Softsign => x.div(&x.abs()?.affine(1.0, 1.0)?)?,
            Function::Exp => x.exp()?,
            Function::Log => x.log()?,
            Function::Sqrt => x.sqrt()?,
            Function::Abs => x.abs()?,
            Function::Recip => x.recip()?,
            Function::Erf => x.affine(std::f64::consts::SQRT_2, 0.0)?.normal_cdf()?.affine(2.0, -1.0)?,
            Function::Step => x.sign()?.relu()?,
            Function::Power { n } => {
                let mut power = x.clone();
                for _ in 1..n {
                    power = power.mul(x)?;
                }
                power
            }
        })
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Function::Affine { mul, add } => write!(f, " {mul} · x + {add}"),
            Function::Clamp { lo, hi } => write!(f, " {lo}..{hi}"),
            Function::LeakyRelu { slope } => write!(f, " {slope}"),
            Function::Elu { alpha } => write!(f, " {alpha}"),
            Function::HardSigmoid { alpha, beta } => write!(f, " {alpha} · x + {beta}"),
            Function::Power { n } => write!(f, " {n}"),
            _ => Ok(()),
        }
    }
}
