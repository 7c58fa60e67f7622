//! Batch normalisation. Train mode returns its batch statistics beside the output: nothing moves by itself.

use crate::kernels::batch_norm::{gradients, normalise};
use crate::kernels::map::map_channels;
use crate::kernels::{Real, by_dtype, on_gpu, zeros_like};
use crate::{Error, Op, Result, Saved, Saves, Var};
use candle_core::Tensor;

/// `y[n,c] = x[n,c] · scale[c] + shift[c]`.
struct ChannelAffine;

fn channel_affine<T: Real>(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    on_gpu!(x, crate::cuda::channel_affine::<T>(x, scale, shift));
    map_channels("channel_affine", x, scale, shift, |x: T, a: T, b: T| x * a + b)
}

impl Op for ChannelAffine {
    fn name(&self) -> &'static str {
        "channel_affine"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let value = by_dtype!(self.name(), inputs[0], T => channel_affine::<T>(inputs[0], inputs[1], inputs[2]))?;
        Ok((value, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, needed: &[bool]) -> Result<Vec<Option<Var>>> {
        Ok(vec![
            needed[0].then(|| g.scale_channels(&saved.input(1)?)).transpose()?,
            needed[1].then(|| g.mul(&saved.input(0)?)?.sum_channels()).transpose()?,
            needed[2].then(|| g.sum_channels()).transpose()?,
        ])
    }
}

/// y = γ · (x − mean) / √(var + eps) + β with the batch's statistics; aux: mean and 1/√(var + eps), both `(C,)`.
struct BatchNorm {
    eps: f64,
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let (y, mean, inverse) =
            by_dtype!("batch_norm", inputs[0], T => normalise::<T>(inputs[0], inputs[1], inputs[2], self.eps))?;
        Ok((y, vec![mean, inverse]))
    }
    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, needed: &[bool]) -> Result<Vec<Option<Var>>> {
        let x = saved.input(0)?;
        let dims = x.dims().to_vec();
        let m = (x.tensor().elem_count() / dims[1].max(1)) as f64;
        let mean_of = |v: &Var| v.sum_channels()?.affine(1.0 / m, 0.0);
        if !saved.keeps_graph() {
            let (gamma, stats) = (saved.input(1)?, (saved.aux(0), saved.aux(1)));
            let (dx, dgamma, dbeta) = by_dtype!("batch_norm", x.tensor(), T =>
                gradients::<T>(x.tensor(), gamma.tensor(), stats, g.tensor()))?;
            return Ok([dx, dgamma, dbeta].into_iter().map(|t| Some(Var::constant(t))).collect());
        }
        // To be differentiated again, mean and 1/σ must remember that they came from x.
        let mean = mean_of(&x)?;
        let centred = x.sub(&mean.broadcast_channels(&dims)?)?;
        let inverse = mean_of(&centred.sqr()?)?.affine(1.0, self.eps)?.sqrt()?.recip()?;
        let normalised = x.channel_affine(&inverse, &mean.mul(&inverse)?.neg()?)?;
        let dgamma = g.mul(&normalised)?.sum_channels()?;
        let dbeta = g.sum_channels()?;
        let dx = if needed[0] {
            let slope = saved.input(1)?.mul(&inverse)?;
            let along = dgamma.affine(1.0 / m, 0.0)?.neg()?;
            let across = dbeta.affine(1.0 / m, 0.0)?.neg()?;
            Some(g.add(&normalised.channel_affine(&along, &across)?)?.scale_channels(&slope)?)
        } else {
            None
        };
        Ok(vec![dx, needed[1].then_some(dgamma), needed[2].then_some(dbeta)])
    }
}

impl Var {
    /// `x[n,c] · scale[c] + shift[c]`: `(N, C, ..)`, `(C,)`, `(C,)`.
    pub fn channel_affine(&self, scale: &Var, shift: &Var) -> Result<Var> {
        Var::apply(ChannelAffine, &[self, scale, shift])
    }
    fn scale_channels(&self, scale: &Var) -> Result<Var> {
        let zero = Var::constant(zeros_like(scale.tensor())?);
        self.channel_affine(scale, &zero)
    }
    /// Batch norm with the batch's statistics: output, batch mean `(C,)`, unbiased batch variance `(C,)`.
    ///
    /// y = γ · (x − mean) / √(biased variance + eps) + β (Ioffe & Szegedy 2015). `self` is `(N, C, ..)`.
    ///
    /// # Errors
    /// One value per channel has no variance.
    pub fn batch_norm_train(&self, gamma: &Var, beta: &Var, eps: f64) -> Result<(Var, Tensor, Tensor)> {
        let m = self.tensor().elem_count() / self.dim(1)?.max(1);
        if m < 2 {
            return Err(Error::Shape {
                op: "batch_norm",
                why: format!("train mode needs more than one value per channel, got {:?}", self.dims()),
            });
        }
        let (y, aux) = Var::apply_with_aux(BatchNorm { eps }, &[self, gamma, beta])?;
        // σ² = 1/inverse² − eps, unbiased by m / (m − 1).
        let biased = Var::constant(aux[1].clone()).sqr()?.recip()?.affine(1.0, -eps)?;
        let variance = biased.affine(m as f64 / (m as f64 - 1.0), 0.0)?;
        Ok((y, aux[0].clone(), variance.tensor().clone()))
    }
    /// Batch norm with given statistics `mean (C,)`, `var (C,)`.
    pub fn batch_norm_eval(&self, gamma: &Var, beta: &Var, mean: &Tensor, var: &Tensor, eps: f64) -> Result<Var> {
        let inverse = Var::constant(var.clone()).affine(1.0, eps)?.sqrt()?.recip()?;
        let scale = gamma.mul(&inverse)?;
        let shift = beta.sub(&scale.mul(&Var::constant(mean.clone()))?)?;
        self.channel_affine(&scale, &shift)
    }
}
