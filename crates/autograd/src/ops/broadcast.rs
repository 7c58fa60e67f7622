//! Broadcasting and sums, each the adjoint of the other.

use crate::kernels::{by_dtype, dense, on_gpu, reduce};
use crate::{Op, Result, Saved, Saves, Var};
use candle_core::Tensor;

/// Repeats along dimensions of size one (and new leading ones).
struct BroadcastTo(Vec<usize>);

impl Op for BroadcastTo {
    fn name(&self) -> &'static str {
        "broadcast_to"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let (x, to) = (inputs[0], &self.0);
        let from = x.dims();
        let ones = |dims: &[usize]| dims.iter().all(|d| *d == 1);
        let checked = x.broadcast_as(to.as_slice())?; // refuses what does not fit
        let value = if ones(from) || (from.len() == to.len() && from[0] == to[0] && ones(&from[1..])) {
            let single = if ones(from) { &[x.elem_count()] } else { &from[..1] };
            let dims: Vec<usize> = if ones(from) { vec![1, to.iter().product()] } else { to.clone() };
            let flat = dense(x)?.reshape(single)?;
            by_dtype!("broadcast_to", x, T => reduce::repeat_rows::<T>("broadcast_to", &flat, &dims))?
                .reshape(to.as_slice())?
        } else {
            dense(&checked)?
        };
        Ok((value, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        Ok(vec![Some(g.sum_to(saved.dims(0))?)])
    }
}

fn summed_over(x: &Tensor, dims: Vec<usize>) -> Result<Tensor> {
    on_gpu!(x, by_dtype!("sum_to", x, T => crate::cuda::sum_dims::<T>(x, &dims)));
    Ok(x.sum(dims)?)
}

/// Sums what [`BroadcastTo`] repeats, down to the given shape.
struct SumTo(Vec<usize>);

impl Op for SumTo {
    fn name(&self) -> &'static str {
        "sum_to"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let (x, to) = (inputs[0], &self.0);
        let from = x.dims();
        let ones = |dims: &[usize]| dims.iter().all(|d| *d == 1);
        let value = if ones(to) {
            by_dtype!("sum_to", x, T => reduce::sum_all::<T>("sum_to", x))?
        } else if to.len() == from.len() && to[0] == from[0] && ones(&to[1..]) {
            by_dtype!("sum_to", x, T => reduce::sum_rows::<T>("sum_to", x))?
        } else {
            let lead = from.len() - to.len();
            let summed: Vec<usize> =
                (0..from.len()).filter(|&d| d < lead || (to[d - lead] == 1 && from[d] != 1)).collect();
            summed_over(x, summed)?
        };
        Ok((value.reshape(to.as_slice())?, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        Ok(vec![Some(g.broadcast_to(saved.dims(0))?)])
    }
}

/// `(N, C, ..)` to `(C,)`.
struct SumChannels;

impl Op for SumChannels {
    fn name(&self) -> &'static str {
        "sum_channels"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let value = by_dtype!("sum_channels", inputs[0], T => reduce::sum_channels::<T>("sum_channels", inputs[0]))?;
        Ok((value, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        Ok(vec![Some(g.broadcast_channels(saved.dims(0))?)])
    }
}

/// `(C,)` to `(N, C, ..)`.
struct BroadcastChannels(Vec<usize>);

impl Op for BroadcastChannels {
    fn name(&self) -> &'static str {
        "broadcast_channels"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let value =
            by_dtype!(self.name(), inputs[0], T => reduce::repeat_channels::<T>(self.name(), inputs[0], &self.0))?;
        Ok((value, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, _: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        Ok(vec![Some(g.sum_channels()?)])
    }
}

impl Var {
    /// Repeats to `dims` by numpy's rules.
    pub fn broadcast_to(&self, dims: &[usize]) -> Result<Var> {
        if self.dims() == dims {
            return Ok(self.clone());
        }
        Var::apply(BroadcastTo(dims.to_vec()), &[self])
    }
    fn sum_to(&self, dims: &[usize]) -> Result<Var> {
        Var::apply(SumTo(dims.to_vec()), &[self])
    }
    /// Σ over all elements, shape `()`.
    pub fn sum_all(&self) -> Result<Var> {
        self.sum_to(&[])
    }
    /// Mean over all elements, shape `()`.
    pub fn mean_all(&self) -> Result<Var> {
        let count = self.tensor().elem_count();
        self.sum_all()?.affine(1.0 / count as f64, 0.0)
    }
    /// Σ over dimensions, which stay with size one.
    pub fn sum_keepdim(&self, over: &[usize]) -> Result<Var> {
        let mut dims = self.dims().to_vec();
        for &d in over {
            *dims
                .get_mut(d)
                .ok_or_else(|| crate::error::shape("sum", format!("no dimension {d} in {:?}", self.dims())))? = 1;
        }
        self.sum_to(&dims)
    }
    /// Σ over dimensions, which vanish.
    pub fn sum(&self, over: &[usize]) -> Result<Var> {
        let kept = self.sum_keepdim(over)?;
        let dims: Vec<usize> =
            self.dims().iter().enumerate().filter(|(d, _)| !over.contains(d)).map(|(_, n)| *n).collect();
        kept.reshape(&dims)
    }
    /// Mean over dimensions, which stay with size one.
    pub fn mean_keepdim(&self, over: &[usize]) -> Result<Var> {
        let count: usize = over.iter().filter_map(|d| self.dims().get(*d)).product();
        self.sum_keepdim(over)?.affine(1.0 / count as f64, 0.0)
    }
    /// Σ over all but the channel: `(N, C, ..)` to `(C,)`.
    pub fn sum_channels(&self) -> Result<Var> {
        Var::apply(SumChannels, &[self])
    }
    /// Repeats `(C,)` to `dims = (N, C, ..)`.
    pub fn broadcast_channels(&self, dims: &[usize]) -> Result<Var> {
        if dims.len() < 2 || self.dims() != [dims[1]] {
            return Err(crate::error::shape("broadcast_channels", format!("{:?} to {dims:?}", self.dims())));
        }
        Var::apply(BroadcastChannels(dims.to_vec()), &[self])
    }
}
