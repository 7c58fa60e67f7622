//! Operations that move values without changing them.

use crate::kernels::{dense, on_gpu};
use crate::{Op, Result, Saved, Saves, Var};
use candle_core::Tensor;

enum Shape {
    Reshape(Vec<usize>),
    Transpose(usize, usize),
    /// dimension, start, length
    Narrow(usize, usize, usize),
    /// dimension, zeros before, zeros after
    Pad(usize, usize, usize),
}

fn padded(x: &Tensor, dim: usize, before: usize, after: usize) -> Result<Tensor> {
    on_gpu!(x, crate::kernels::by_dtype!("pad_zeros", x, T => crate::cuda::pad::<T>(x, dim, before, after)));
    Ok(x.pad_with_zeros(dim, before, after)?)
}

fn joined(parts: &[&Tensor], dim: usize) -> Result<Tensor> {
    on_gpu!(parts[0], crate::kernels::by_dtype!("cat", parts[0], T => crate::cuda::cat::<T>(parts, dim)));
    Ok(Tensor::cat(parts, dim)?)
}

impl Op for Shape {
    fn name(&self) -> &'static str {
        match self {
            Shape::Reshape(_) => "reshape",
            Shape::Transpose(..) => "transpose",
            Shape::Narrow(..) => "narrow",
            Shape::Pad(..) => "pad_zeros",
        }
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let x = inputs[0];
        let value = match self {
            Shape::Reshape(dims) => dense(x)?.reshape(dims.as_slice())?,
            Shape::Transpose(a, b) => dense(&x.transpose(*a, *b)?)?,
            Shape::Narrow(dim, start, len) => dense(&x.narrow(*dim, *start, *len)?)?,
            Shape::Pad(dim, before, after) => padded(x, *dim, *before, *after)?,
        };
        Ok((value, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        let dims = saved.dims(0);
        Ok(vec![Some(match self {
            Shape::Reshape(_) => g.reshape(dims)?,
            Shape::Transpose(a, b) => g.transpose(*a, *b)?,
            Shape::Narrow(dim, start, len) => g.pad_zeros(*dim, *start, dims[*dim] - start - len)?,
            Shape::Pad(dim, before, _) => g.narrow(*dim, *before, dims[*dim])?,
        })])
    }
}

struct Cat(usize);

impl Op for Cat {
    fn name(&self) -> &'static str {
        "cat"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        Ok((joined(inputs, self.0)?, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, needed: &[bool]) -> Result<Vec<Option<Var>>> {
        let mut start = 0;
        needed
            .iter()
            .enumerate()
            .map(|(i, needed)| {
                let len = saved.dims(i)[self.0];
                start += len;
                needed.then(|| g.narrow(self.0, start - len, len)).transpose()
            })
            .collect()
    }
}

impl Var {
    /// The same values in another shape.
    pub fn reshape(&self, dims: &[usize]) -> Result<Var> {
        Var::apply(Shape::Reshape(dims.to_vec()), &[self])
    }
    /// `(N, ..)` to `(N, rest)`, in the order C, H, W.
    pub fn flatten(&self) -> Result<Var> {
        let n = self.dim(0)?;
        self.reshape(&[n, self.tensor().elem_count() / n.max(1)])
    }
    /// Swaps two dimensions.
    pub fn transpose(&self, a: usize, b: usize) -> Result<Var> {
        Var::apply(Shape::Transpose(a, b), &[self])
    }
    /// `len` entries of a dimension from `start` on.
    pub fn narrow(&self, dim: usize, start: usize, len: usize) -> Result<Var> {
        Var::apply(Shape::Narrow(dim, start, len), &[self])
    }
    /// Zeros before and after along a dimension.
    pub fn pad_zeros(&self, dim: usize, before: usize, after: usize) -> Result<Var> {
        Var::apply(Shape::Pad(dim, before, after), &[self])
    }
    /// Joins along a dimension.
    pub fn cat(parts: &[&Var], dim: usize) -> Result<Var> {
        Var::apply(Cat(dim), parts)
    }
    /// A new dimension of size one.
    pub fn unsqueeze(&self, dim: usize) -> Result<Var> {
        let mut dims = self.dims().to_vec();
        if dim > dims.len() {
            return Err(crate::error::shape("unsqueeze", format!("no place {dim} in {dims:?}")));
        }
        dims.insert(dim, 1);
        self.reshape(&dims)
    }
    /// Removes a dimension of size one.
    pub fn squeeze(&self, dim: usize) -> Result<Var> {
        let mut dims = self.dims().to_vec();
        if dims.get(dim) != Some(&1) {
            return Err(crate::error::shape("squeeze", format!("dimension {dim} of {dims:?} is not 1")));
        }
        dims.remove(dim);
        self.reshape(&dims)
    }
}
