//! Matrix products: with and without transposes they are each other's derivatives.

use super::mask::{Mask, piece_hash};
use crate::kernels::{by_dtype, matmul};
use crate::{Op, Result, Saved, Saves, Var};
use candle_core::Tensor;

#[derive(Debug, Clone, Copy)]
enum Product {
    /// A · B
    Plain,
    /// A · Bᵀ
    Right,
    /// Aᵀ · B
    Left,
}

impl Op for Product {
    fn name(&self) -> &'static str {
        "matmul"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let (ta, tb) = (matches!(self, Product::Left), matches!(self, Product::Right));
        let value = by_dtype!("matmul", inputs[0], T => matmul::matmul::<T>("matmul", inputs[0], inputs[1], (ta, tb), None, false))?;
        Ok((value, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, needed: &[bool]) -> Result<Vec<Option<Var>>> {
        let a = || saved.input(0);
        let b = || saved.input(1);
        let da = || match self {
            Product::Plain => product(Product::Right, g, &b()?),
            Product::Right => product(Product::Plain, g, &b()?),
            Product::Left => product(Product::Right, &b()?, g),
        };
        let db = || match self {
            Product::Plain => product(Product::Left, &a()?, g),
            Product::Right => product(Product::Left, g, &a()?),
            Product::Left => product(Product::Plain, &a()?, g),
        };
        Ok(vec![needed[0].then(da).transpose()?, needed[1].then(db).transpose()?])
    }
}

/// x · Wᵀ + b, rectified if asked, in one pass over the result. Inputs x, W, b.
struct Affine {
    relu: bool,
}

impl Op for Affine {
    fn name(&self) -> &'static str {
        "linear"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let (x, w, b) = (inputs[0], inputs[1], inputs[2]);
        let value =
            by_dtype!("linear", x, T => matmul::matmul::<T>("linear", x, w, (false, true), Some(b), self.relu))?;
        Ok((value, Vec::new()))
    }
    fn saves(&self) -> Saves {
        if self.relu { Saves::inputs_and_output(&[0, 1]) } else { Saves::inputs(&[0, 1]) }
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, needed: &[bool]) -> Result<Vec<Option<Var>>> {
        let masked;
        let g = if self.relu {
            masked = g.mask(Mask::positive(saved.output()?.tensor())?)?;
            &masked
        } else {
            g
        };
        Ok(vec![
            needed[0].then(|| product(Product::Plain, g, &saved.input(1)?)).transpose()?,
            needed[1].then(|| product(Product::Left, g, &saved.input(0)?)).transpose()?,
            needed[2].then(|| g.sum_channels()).transpose()?,
        ])
    }
    fn pieces(&self, output: Option<&Tensor>, _: &[Tensor]) -> Result<Option<u64>> {
        output.filter(|_| self.relu).map(|y| piece_hash(&y.sign()?)).transpose()
    }
}

fn product(kind: Product, a: &Var, b: &Var) -> Result<Var> {
    Var::apply(kind, &[a, b])
}

impl Var {
    /// `(M, K) · (K, N)`.
    pub fn matmul(&self, other: &Var) -> Result<Var> {
        product(Product::Plain, self, other)
    }
    /// x · weightᵀ + bias: `(N, in)`, `(out, in)`, `(out,)` to `(N, out)`.
    pub fn linear(&self, weight: &Var, bias: Option<&Var>) -> Result<Var> {
        match bias {
            None => product(Product::Right, self, weight),
            Some(b) => Var::apply(Affine { relu: false }, &[self, weight, b]),
        }
    }
    /// max(0, x · weightᵀ + bias), in one pass over the result.
    pub fn linear_relu(&self, weight: &Var, bias: &Var) -> Result<Var> {
        Var::apply(Affine { relu: true }, &[self, weight, bias])
    }
}
