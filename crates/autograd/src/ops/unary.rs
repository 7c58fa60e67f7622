//! Elementwise functions of one variable.

use super::mask::{Mask, piece_hash};
use crate::kernels::map::map1;
use crate::kernels::{Real, by_dtype, on_gpu};
use crate::{Op, Result, Saved, Saves, Var};
use candle_core::Tensor;
use num_traits::{Float, One, Zero};

#[derive(Debug, Clone, Copy)]
enum Function {
    Affine(f64, f64),
    Sqr,
    Sqrt,
    /// √x with derivative 0 at 0.
    GuardedSqrt,
    Recip,
    /// 1/x with value and derivative 0 at 0.
    GuardedRecip,
    Exp,
    Log,
    Tanh,
    Sigmoid,
    Softplus,
    /// Derivative of softplus.
    SoftplusSlope,
    /// Φ(x), the normal distribution function.
    NormalCdf,
    Gelu,
}
use Function::*;

/// Above this, PyTorch's softplus is the identity.
const SOFTPLUS_LINEAR: f64 = 20.0;

impl Function {
    fn name(self) -> &'static str {
        match self {
            Affine(..) => "affine",
            Sqr => "sqr",
            Sqrt => "sqrt",
            GuardedSqrt => "guarded_sqrt",
            Recip => "recip",
            GuardedRecip => "guarded_recip",
            Exp => "exp",
            Log => "log",
            Tanh => "tanh",
            Sigmoid => "sigmoid",
            Softplus => "softplus",
            SoftplusSlope => "softplus_slope",
            NormalCdf => "normal_cdf",
            Gelu => "gelu",
        }
    }

    fn eval<T: Real>(self, a: &Tensor) -> Result<Tensor> {
        on_gpu!(a, self.on_gpu::<T>(a));
        let name = self.name();
        let (zero, one, half) = (T::zero(), T::one(), T::of(0.5));
        let linear = T::of(SOFTPLUS_LINEAR);
        let root_half = T::of(std::f64::consts::FRAC_1_SQRT_2);
        match self {
            Affine(m, b) => {
                let (m, b) = (T::of(m), T::of(b));
                map1(name, a, move |x: T| x * m + b)
            }
            Sqr => map1(name, a, |x: T| x * x),
            Sqrt | GuardedSqrt => map1(name, a, |x: T| x.sqrt()),
            Recip => map1(name, a, |x: T| x.recip()),
            GuardedRecip => map1(name, a, move |x: T| if x == zero { zero } else { x.recip() }),
            Exp => map1(name, a, |x: T| Float::exp(x)),
            Log => map1(name, a, |x: T| x.ln()),
            Tanh => map1(name, a, |x: T| Float::tanh(x)),
            Sigmoid => map1(name, a, sigmoid::<T>),
            Softplus => map1(name, a, move |x: T| if x > linear { x } else { Float::exp(x).ln_1p() }),
            SoftplusSlope => map1(name, a, move |x: T| if x > linear { one } else { sigmoid(x) }),
            NormalCdf => map1(name, a, move |x: T| half * (one + (x * root_half).erf())),
            Gelu => map1(name, a, move |x: T| x * (half * (one + (x * root_half).erf()))),
        }
    }
}

#[cfg(feature = "cuda")]
impl Function {
    fn on_gpu<T: Real>(self, a: &Tensor) -> Result<Tensor> {
        use crate::cuda::Unary;
        let (f, numbers) = match self {
            Affine(m, b) => (Unary::Affine, (m, b)),
            Sqr => (Unary::Sqr, (0.0, 0.0)),
            Sqrt | GuardedSqrt => (Unary::Sqrt, (0.0, 0.0)),
            Recip => (Unary::Recip, (0.0, 0.0)),
            GuardedRecip => (Unary::GuardedRecip, (0.0, 0.0)),
            Exp => (Unary::Exp, (0.0, 0.0)),
            Log => (Unary::Log, (0.0, 0.0)),
            Tanh => (Unary::Tanh, (0.0, 0.0)),
            Sigmoid => (Unary::Sigmoid, (0.0, 0.0)),
            Softplus => (Unary::Softplus, (SOFTPLUS_LINEAR, 0.0)),
            SoftplusSlope => (Unary::SoftplusSlope, (SOFTPLUS_LINEAR, 0.0)),
            NormalCdf => (Unary::NormalCdf, (0.0, 0.0)),
            Gelu => (Unary::Gelu, (0.0, 0.0)),
        };
        crate::cuda::unary::<T>(f, numbers, a)
    }
}

fn sigmoid<T: Real>(x: T) -> T {
    // Neither branch overflows.
    if x >= T::zero() {
        T::one() / (T::one() + Float::exp(-x))
    } else {
        let e = Float::exp(x);
        e / (T::one() + e)
    }
}

struct Unary(Function);

impl Op for Unary {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let value = by_dtype!(self.name(), inputs[0], T => self.0.eval::<T>(inputs[0]))?;
        Ok((value, Vec::new()))
    }
    fn saves(&self) -> Saves {
        match self.0 {
            Affine(..) => Saves::nothing(),
            Sqrt | GuardedSqrt | Recip | GuardedRecip | Exp | Tanh | Sigmoid => Saves::output(),
            Sqr | Log | Softplus | SoftplusSlope | NormalCdf | Gelu => Saves::inputs(&[0]),
        }
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        let density = |x: &Var| x.sqr()?.affine(-0.5, 0.0)?.exp()?.affine(1.0 / std::f64::consts::TAU.sqrt(), 0.0);
        let slope = match self.0 {
            Affine(m, _) => return Ok(vec![Some(g.affine(m, 0.0)?)]),
            Sqr => saved.input(0)?.affine(2.0, 0.0)?,
            Sqrt => saved.output()?.recip()?.affine(0.5, 0.0)?,
            GuardedSqrt => saved.output()?.guarded_recip()?.affine(0.5, 0.0)?,
            Recip | GuardedRecip => saved.output()?.sqr()?.neg()?,
            Exp => saved.output()?,
            Log => saved.input(0)?.recip()?,
            Tanh => saved.output()?.sqr()?.affine(-1.0, 1.0)?,
            Sigmoid => {
                let y = saved.output()?;
                y.mul(&y.affine(-1.0, 1.0)?)?
            }
            Softplus => saved.input(0)?.unary(SoftplusSlope)?,
            SoftplusSlope => {
                let x = saved.input(0)?;
                let s = x.sigmoid()?;
                let slope = s.mul(&s.affine(-1.0, 1.0)?)?;
                slope.mask(Mask::below(x.tensor(), SOFTPLUS_LINEAR)?)?
            }
            NormalCdf => density(&saved.input(0)?)?,
            Gelu => {
                let x = saved.input(0)?;
                x.unary(NormalCdf)?.add(&x.mul(&density(&x)?)?)?
            }
        };
        Ok(vec![Some(g.mul(&slope)?)])
    }
}

/// |x| knows on which side of its kink every element is.
struct Absolute;

impl Op for Absolute {
    fn name(&self) -> &'static str {
        "abs"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let sign = sign_of(inputs[0])?;
        Ok((absolute(inputs[0])?, vec![sign]))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        Ok(vec![Some(g.mul(&Var::constant(saved.aux(0).clone()))?)])
    }
    fn pieces(&self, _: Option<&Tensor>, aux: &[Tensor]) -> Result<Option<u64>> {
        Ok(Some(piece_hash(&aux[0])?))
    }
}

fn absolute(a: &Tensor) -> Result<Tensor> {
    by_dtype!("abs", a, T => {
        on_gpu!(a, crate::cuda::unary::<T>(crate::cuda::Unary::Abs, (0.0, 0.0), a));
        map1("abs", a, |x: T| Float::abs(x))
    })
}

fn sign_of(a: &Tensor) -> Result<Tensor> {
    by_dtype!("sign", a, T => {
        on_gpu!(a, crate::cuda::unary::<T>(crate::cuda::Unary::Sign, (0.0, 0.0), a));
        map1("sign", a, |x: T| if x > T::zero() { T::one() } else if x < T::zero() { -T::one() } else { T::zero() })
    })
}

fn rectified(a: &Tensor) -> Result<Tensor> {
    by_dtype!("relu", a, T => {
        on_gpu!(a, crate::cuda::unary::<T>(crate::cuda::Unary::Relu, (0.0, 0.0), a));
        // A NaN stays a NaN: it must not become a harmless zero.
        map1("relu", a, |x: T| if x <= T::zero() { T::zero() } else { x })
    })
}

/// Values clamped to the bounds, and 1 where they were inside or on them.
fn clamped(a: &Tensor, (lo, hi): (f64, f64)) -> Result<(Tensor, Tensor)> {
    by_dtype!("clamp", a, T => {
        on_gpu!(a, {
            let both = |f| crate::cuda::unary::<T>(f, (lo, hi), a);
            Ok((both(crate::cuda::Unary::Clamp)?, both(crate::cuda::Unary::Inside)?))
        });
        let (lo, hi) = (T::of(lo), T::of(hi));
        Ok((
            map1("clamp", a, |x: T| if x < lo { lo } else if x > hi { hi } else { x })?,
            map1("clamp", a, |x: T| if x >= lo && x <= hi { T::one() } else { T::zero() })?,
        ))
    })
}

/// max(0, x); the derivative at 0 is 0.
struct Relu;

impl Op for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        Ok((rectified(inputs[0])?, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::output()
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        Ok(vec![Some(g.mask(Mask::positive(saved.output()?.tensor())?)?)])
    }
    fn pieces(&self, output: Option<&Tensor>, _: &[Tensor]) -> Result<Option<u64>> {
        output.map(|y| piece_hash(&sign_of(y)?)).transpose()
    }
}

/// min(max(x, lo), hi); the gradient passes inside and on the bounds.
struct Clamp {
    lo: f64,
    hi: f64,
}

impl Op for Clamp {
    fn name(&self) -> &'static str {
        "clamp"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let (value, inside) = clamped(inputs[0], (self.lo, self.hi))?;
        Ok((value, vec![inside]))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        Ok(vec![Some(g.mul(&Var::constant(saved.aux(0).clone()))?)])
    }
    fn pieces(&self, _: Option<&Tensor>, aux: &[Tensor]) -> Result<Option<u64>> {
        Ok(Some(piece_hash(&aux[0])?))
    }
}

impl Var {
    fn unary(&self, function: Function) -> Result<Var> {
        Var::apply(Unary(function), &[self])
    }
    /// mul · x + add.
    pub fn affine(&self, mul: f64, add: f64) -> Result<Var> {
        self.unary(Affine(mul, add))
    }
    /// −x.
    pub fn neg(&self) -> Result<Var> {
        self.affine(-1.0, 0.0)
    }
    /// x².
    pub fn sqr(&self) -> Result<Var> {
        self.unary(Sqr)
    }
    /// √x.
    pub fn sqrt(&self) -> Result<Var> {
        self.unary(Sqrt)
    }
    /// √x with derivative 0 at 0: the subgradient that makes a norm's gradient vanish at the origin.
    pub fn guarded_sqrt(&self) -> Result<Var> {
        self.unary(GuardedSqrt)
    }
    /// 1/x.
    pub fn recip(&self) -> Result<Var> {
        self.unary(Recip)
    }
    /// 1/x with value and derivative 0 at 0.
    pub fn guarded_recip(&self) -> Result<Var> {
        self.unary(GuardedRecip)
    }
    /// eˣ.
    pub fn exp(&self) -> Result<Var> {
        self.unary(Exp)
    }
    /// ln x.
    pub fn log(&self) -> Result<Var> {
        self.unary(Log)
    }
    /// |x|, derivative 0 at 0.
    pub fn abs(&self) -> Result<Var> {
        Var::apply(Absolute, &[self])
    }
    /// −1, 0 or 1: a constant, since its derivative is zero almost everywhere.
    pub fn sign(&self) -> Result<Var> {
        Ok(Var::constant(sign_of(self.tensor())?))
    }
    /// max(0, x), derivative 0 at 0.
    pub fn relu(&self) -> Result<Var> {
        Var::apply(Relu, &[self])
    }
    /// x · Φ(x), the exact form.
    pub fn gelu(&self) -> Result<Var> {
        self.unary(Gelu)
    }
    /// Φ(x), the normal distribution function.
    pub fn normal_cdf(&self) -> Result<Var> {
        self.unary(NormalCdf)
    }
    /// ln(1 + eˣ), the identity above 20 as in PyTorch.
    pub fn softplus(&self) -> Result<Var> {
        self.unary(Softplus)
    }
    /// tanh x.
    pub fn tanh(&self) -> Result<Var> {
        self.unary(Tanh)
    }
    /// 1 / (1 + e⁻ˣ).
    pub fn sigmoid(&self) -> Result<Var> {
        self.unary(Sigmoid)
    }
    /// min(max(x, lo), hi), gradient 1 inside and on the bounds.
    pub fn clamp(&self, lo: f64, hi: f64) -> Result<Var> {
        Var::apply(Clamp { lo, hi }, &[self])
    }
    /// x where the mask is one, 0 elsewhere.
    pub(crate) fn mask(&self, mask: Mask) -> Result<Var> {
        Var::apply(mask, &[self])
    }
}
