//! Matrix products: with and without transposes they are each other's derivatives.

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
        let value = by_dtype!("matmul", inputs[0], T => matmul::matmul::<T>("matmul", inputs[0], inputs[1], ta, tb))?;
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
        let y = product(Product::Right, self, weight)?;
        match bias {
            None => Ok(y),
            Some(b) => y.add(&b.broadcast_channels(y.dims())?),
        }
    }
}
