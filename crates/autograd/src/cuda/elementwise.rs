//! Functions of one and two numbers.

use super::arg::Arg;
use super::launch::{Grid, at, device, launch, of, tensor, unwritten};
use super::{Element, dense, int, number};
use crate::Result;
use candle_core::Tensor;

/// A function of one number; the code that elementwise.cuh knows it by.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Unary {
    /// p · x + q.
    Affine = 0,
    Sqr,
    Sqrt,
    Recip,
    GuardedRecip,
    Exp,
    Log,
    Tanh,
    Sigmoid,
    /// The identity above p.
    Softplus,
    SoftplusSlope,
    NormalCdf,
    Gelu,
    Abs,
    Sign,
    Relu,
    /// Between p and q.
    Clamp,
    /// 1 between p and q, 0 elsewhere.
    Inside,
}

/// A function of two numbers.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Binary {
    Add = 0,
    Sub,
    Mul,
    Div,
    /// The first where the second is positive.
    MaskPositive,
}

/// The code of a blend.
const BLEND: u32 = 5;

/// f(a) with its two numbers.
pub(crate) fn unary<T: Element>(f: Unary, (p, q): (f64, f64), a: &Tensor) -> Result<Tensor> {
    let (device, a) = (device(a)?, dense(a)?);
    let n = a.elem_count();
    let out = unwritten::<T>(&device, n)?;
    let args = [int(n), Arg::Int(f as u32), number::<T>(p), number::<T>(q), of::<T>(&device, &a)?, at(&device, &out)];
    launch::<T>(&device, "unary", Grid::Elements(n), &args)?;
    Ok(tensor(&device, out, a.dims()))
}

fn same_shape(op: &'static str, a: &Tensor, b: &Tensor) -> Result<()> {
    if a.dims() == b.dims() {
        return Ok(());
    }
    Err(crate::error::shape(op, format!("shapes differ: {:?} and {:?}", a.dims(), b.dims())))
}

fn both<T: Element>(code: u32, (p, q): (f64, f64), a: &Tensor, b: &Tensor) -> Result<Tensor> {
    same_shape("binary", a, b)?;
    let (device, a, b) = (device(a)?, dense(a)?, dense(b)?);
    let n = a.elem_count();
    let out = unwritten::<T>(&device, n)?;
    let args = [
        int(n),
        Arg::Int(code),
        number::<T>(p),
        number::<T>(q),
        of::<T>(&device, &a)?,
        of::<T>(&device, &b)?,
        at(&device, &out),
    ];
    launch::<T>(&device, "binary", Grid::Elements(n), &args)?;
    Ok(tensor(&device, out, a.dims()))
}

/// f(a, b).
pub(crate) fn binary<T: Element>(f: Binary, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    both::<T>(f as u32, (0.0, 0.0), a, b)
}

/// p · a + q · b.
pub(crate) fn blend<T: Element>((p, a): (f64, &Tensor), (q, b): (f64, &Tensor)) -> Result<Tensor> {
    both::<T>(BLEND, (p, q), a, b)
}

/// sum ← sum + other.
pub(crate) fn add_into<T: Element>(sum: &Tensor, other: &Tensor) -> Result<()> {
    same_shape("add_into", sum, other)?;
    let (device, other) = (device(sum)?, dense(other)?);
    let (n, sum) = (sum.elem_count(), || of::<T>(&device, sum));
    let zero = || number::<T>(0.0);
    let args = [int(n), Arg::Int(Binary::Add as u32), zero(), zero(), sum()?, of::<T>(&device, &other)?, sum()?];
    launch::<T>(&device, "binary", Grid::Elements(n), &args)
}

/// a where b is below the bound, 0 elsewhere.
pub(crate) fn mask_below<T: Element>(a: &Tensor, b: &Tensor, bound: f64) -> Result<Tensor> {
    same_shape("mask", a, b)?;
    let (device, a, b) = (device(a)?, dense(a)?, dense(b)?);
    let n = a.elem_count();
    let out = unwritten::<T>(&device, n)?;
    let args = [int(n), number::<T>(bound), of::<T>(&device, &a)?, of::<T>(&device, &b)?, at(&device, &out)];
    launch::<T>(&device, "mask_below", Grid::Elements(n), &args)?;
    Ok(tensor(&device, out, a.dims()))
}

/// x · scale + shift per channel, `(N, C, ..)`.
pub(crate) fn channel_affine<T: Element>(x: &Tensor, scale: &Tensor, shift: &Tensor, relu: bool) -> Result<Tensor> {
    let dims = x.dims().to_vec();
    if dims.len() < 2 || scale.dims() != [dims[1]] || shift.dims() != [dims[1]] {
        return Err(crate::error::shape(
            "channel_affine",
            format!("expected (N, C, ..) and two (C,), got {dims:?}, {:?}, {:?}", scale.dims(), shift.dims()),
        ));
    }
    let (device, x, scale, shift) = (device(x)?, dense(x)?, dense(scale)?, dense(shift)?);
    let (n, area) = (x.elem_count(), dims[2..].iter().product());
    let out = unwritten::<T>(&device, n)?;
    let args = [
        int(n),
        int(dims[1]),
        int(area),
        int(usize::from(relu)),
        of::<T>(&device, &x)?,
        of::<T>(&device, &scale)?,
        of::<T>(&device, &shift)?,
        at(&device, &out),
    ];
    launch::<T>(&device, "channel_affine", Grid::Elements(n), &args)?;
    Ok(tensor(&device, out, &dims))
}
