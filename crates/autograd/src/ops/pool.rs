//! Pooling. Max-pool, unpool and gather-at-indices close one family; average pooling and its adjoint another.

use super::mask::piece_hash;
use crate::kernels::{by_dtype, pool};
use crate::{Op, Result, Saved, Saves, Var};
use candle_core::Tensor;

struct MaxPool {
    k: usize,
    stride: usize,
}

impl Op for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let (value, at) =
            by_dtype!("max_pool2d", inputs[0], T => pool::max_pool2d::<T>(inputs[0], self.k, self.stride))?;
        Ok((value, vec![at]))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        let op = Unpool { at: saved.aux(0).clone(), dims: saved.dims(0).to_vec(), window: (self.k, self.stride) };
        Ok(vec![Some(Var::apply(op, &[g])?)])
    }
    fn pieces(&self, _: Option<&Tensor>, aux: &[Tensor]) -> Result<Option<u64>> {
        Ok(Some(piece_hash(&aux[0])?))
    }
}

struct Unpool {
    at: Tensor,
    dims: Vec<usize>,
    /// Size and stride of the pooling's windows.
    window: (usize, usize),
}

impl Op for Unpool {
    fn name(&self) -> &'static str {
        "unpool"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        Ok((
            by_dtype!("unpool", inputs[0], T => pool::unpool::<T>(inputs[0], &self.at, &self.dims, self.window))?,
            Vec::new(),
        ))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, _: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        Ok(vec![Some(Var::apply(GatherAt { at: self.at.clone(), window: self.window }, &[g])?)])
    }
}

struct GatherAt {
    at: Tensor,
    window: (usize, usize),
}

impl Op for GatherAt {
    fn name(&self) -> &'static str {
        "gather_at"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        Ok((by_dtype!("gather_at", inputs[0], T => pool::gather_at::<T>(inputs[0], &self.at))?, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        let op = Unpool { at: self.at.clone(), dims: saved.dims(0).to_vec(), window: self.window };
        Ok(vec![Some(Var::apply(op, &[g])?)])
    }
}

struct AvgPool {
    k: usize,
    stride: usize,
}

impl Op for AvgPool {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        Ok((
            by_dtype!("avg_pool2d", inputs[0], T => pool::avg_pool2d::<T>(inputs[0], self.k, self.stride))?,
            Vec::new(),
        ))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        let op = AvgUnpool { k: self.k, stride: self.stride, dims: saved.dims(0).to_vec() };
        Ok(vec![Some(Var::apply(op, &[g])?)])
    }
}

struct AvgUnpool {
    k: usize,
    stride: usize,
    dims: Vec<usize>,
}

impl Op for AvgUnpool {
    fn name(&self) -> &'static str {
        "avg_unpool"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let value =
            by_dtype!("avg_unpool", inputs[0], T => pool::avg_unpool::<T>(inputs[0], self.k, self.stride, &self.dims))?;
        Ok((value, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, _: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        Ok(vec![Some(g.avg_pool2d(self.k, self.stride)?)])
    }
}

impl Var {
    /// Maxima of k×k windows, `(N, C, H, W)` to `(N, C, OH, OW)`; ties go to the first maximum.
    pub fn max_pool2d(&self, k: usize, stride: usize) -> Result<Var> {
        Var::apply(MaxPool { k, stride }, &[self])
    }
    /// Means of k×k windows.
    pub fn avg_pool2d(&self, k: usize, stride: usize) -> Result<Var> {
        Var::apply(AvgPool { k, stride }, &[self])
    }
}
