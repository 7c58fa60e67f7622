//! Elementwise functions of two variables of one shape.

use crate::kernels::map::map2;
use crate::kernels::{Real, by_dtype, on_gpu};
use crate::{Op, Result, Saved, Saves, Var};
use candle_core::Tensor;

#[derive(Debug, Clone, Copy)]
enum Binary {
    Add,
    Sub,
    Mul,
    Div,
}

impl Binary {
    fn eval<T: Real>(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        on_gpu!(a, {
            use crate::cuda::{Binary as On, binary};
            match self {
                Binary::Add => binary::<T>(On::Add, a, b),
                Binary::Sub => binary::<T>(On::Sub, a, b),
                Binary::Mul => binary::<T>(On::Mul, a, b),
                Binary::Div => binary::<T>(On::Div, a, b),
            }
        });
        let name = self.name();
        match self {
            Binary::Add => map2(name, a, b, |x: T, y: T| x + y),
            Binary::Sub => map2(name, a, b, |x: T, y: T| x - y),
            Binary::Mul => map2(name, a, b, |x: T, y: T| x * y),
            Binary::Div => map2(name, a, b, |x: T, y: T| x / y),
        }
    }
}

impl Op for Binary {
    fn name(&self) -> &'static str {
        match self {
            Binary::Add => "add",
            Binary::Sub => "sub",
            Binary::Mul => "mul",
            Binary::Div => "div",
        }
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let (a, b, name) = (inputs[0], inputs[1], self.name());
        Ok((by_dtype!(name, a, T => self.eval::<T>(a, b))?, Vec::new()))
    }
    fn saves(&self) -> Saves {
        match self {
            Binary::Add | Binary::Sub => Saves::nothing(),
            Binary::Mul => Saves::inputs(&[0, 1]),
            Binary::Div => Saves::everything(),
        }
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, needed: &[bool]) -> Result<Vec<Option<Var>>> {
        let want = |i: usize, f: &dyn Fn() -> Result<Var>| if needed[i] { f().map(Some) } else { Ok(None) };
        Ok(match self {
            Binary::Add => vec![Some(g.clone()), Some(g.clone())],
            Binary::Sub => vec![Some(g.clone()), want(1, &|| g.neg())?],
            Binary::Mul => vec![want(0, &|| g.mul(&saved.input(1)?))?, want(1, &|| g.mul(&saved.input(0)?))?],
            Binary::Div => vec![
                want(0, &|| g.div(&saved.input(1)?))?,
                want(1, &|| g.mul(&saved.output()?)?.div(&saved.input(1)?)?.neg())?,
            ],
        })
    }
}

impl Var {
    /// x + y, equal shapes.
    pub fn add(&self, other: &Var) -> Result<Var> {
        Var::apply(Binary::Add, &[self, other])
    }
    /// x − y, equal shapes.
    pub fn sub(&self, other: &Var) -> Result<Var> {
        Var::apply(Binary::Sub, &[self, other])
    }
    /// x · y, equal shapes.
    pub fn mul(&self, other: &Var) -> Result<Var> {
        Var::apply(Binary::Mul, &[self, other])
    }
    /// x / y, equal shapes.
    pub fn div(&self, other: &Var) -> Result<Var> {
        Var::apply(Binary::Div, &[self, other])
    }
    fn both(&self, other: &Var) -> Result<(Var, Var)> {
        let dims = self.tensor().shape().broadcast_shape_binary_op(other.tensor().shape(), "broadcast")?;
        Ok((self.broadcast_to(dims.dims())?, other.broadcast_to(dims.dims())?))
    }
    /// x + y after broadcasting.
    pub fn broadcast_add(&self, other: &Var) -> Result<Var> {
        let (a, b) = self.both(other)?;
        a.add(&b)
    }
    /// x − y after broadcasting.
    pub fn broadcast_sub(&self, other: &Var) -> Result<Var> {
        let (a, b) = self.both(other)?;
        a.sub(&b)
    }
    /// x · y after broadcasting.
    pub fn broadcast_mul(&self, other: &Var) -> Result<Var> {
        let (a, b) = self.both(other)?;
        a.mul(&b)
    }
    /// x / y after broadcasting.
    pub fn broadcast_div(&self, other: &Var) -> Result<Var> {
        let (a, b) = self.both(other)?;
        a.div(&b)
    }
}
