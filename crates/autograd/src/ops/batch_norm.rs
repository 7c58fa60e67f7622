//! Batch normalisation. Train mode returns its batch statistics beside the output: nothing moves by itself.

use super::mask::{Mask, piece_hash};
use crate::kernels::batch_norm::{gradients, normalise, rectified};
use crate::kernels::map::map_channels;
use crate::kernels::{Real, by_dtype, on_gpu, zeros_like};
use crate::{Error, Op, Result, Saved, Saves, Var};
use candle_core::Tensor;

/// `y[n,c] = x[n,c] · scale[c] + shift[c]`, rectified if asked.
struct ChannelAffine {
    relu: bool,
}

fn channel_affine<T: Real>(x: &Tensor, scale: &Tensor, shift: &Tensor, relu: bool) -> Result<Tensor> {
    on_gpu!(x, crate::cuda::channel_affine::<T>(x, scale, shift, relu));
    if relu {
        return map_channels("channel_affine", x, scale, shift, |x: T, a: T, b: T| rectified(x * a + b));
    }
    map_channels("channel_affine", x, scale, shift, |x: T, a: T, b: T| x * a + b)
}

/// Both gradients of what was rectified begin with its mask.
fn masked(relu: bool, saved: &Saved<'_>, g: &Var) -> Result<Var> {
    if relu { g.mask(Mask::positive(saved.output()?.tensor())?) } else { Ok(g.clone()) }
}

impl Op for ChannelAffine {
    fn name(&self) -> &'static str {
        "channel_affine"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let (x, scale, shift) = (inputs[0], inputs[1], inputs[2]);
        Ok((by_dtype!(self.name(), x, T => channel_affine::<T>(x, scale, shift, self.relu))?, Vec::new()))
    }
    fn saves(&self) -> Saves {
        if self.relu { Saves::inputs_and_output(&[0, 1]) } else { Saves::inputs(&[0, 1]) }
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, needed: &[bool]) -> Result<Vec<Option<Var>>> {
        let g = masked(self.relu, saved, g)?;
        Ok(vec![
            needed[0].then(|| g.scale_channels(&saved.input(1)?)).transpose()?,
            needed[1].then(|| g.mul(&saved.input(0)?)?.sum_channels()).transpose()?,
            needed[2].then(|| g.sum_channels()).transpose()?,
        ])
    }
    fn pieces(&self, output: Option<&Tensor>, _: &[Tensor]) -> Result<Option<u64>> {
        output.filter(|_| self.relu).map(|y| piece_hash(&y.sign()?)).transpose()
    }
}

/// y = γ · (x − mean) / √(var + eps) + β with the batch's statistics, rectified if asked; aux: mean, 1/√(var + eps) and,
/// where it comes at no cost, the unbiased variance, all `(C,)`.
struct BatchNorm {
    eps: f64,
    relu: bool,
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let (x, affine, how) = (inputs[0], (inputs[1], inputs[2]), (self.eps, self.relu));
        by_dtype!("batch_norm", x, T => normalise::<T>(x, affine, how))
    }
    fn saves(&self) -> Saves {
        if self.relu { Saves::inputs_and_output(&[0, 1]) } else { Saves::inputs(&[0, 1]) }
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, needed: &[bool]) -> Result<Vec<Option<Var>>> {
        let x = saved.input(0)?;
        let dims = x.dims().to_vec();
        let m = (x.tensor().elem_count() / dims[1].max(1)) as f64;
        let mean_of = |v: &Var| v.sum_channels()?.affine(1.0 / m, 0.0);
        if !saved.keeps_graph() {
            let (gamma, stats) = (saved.input(1)?, (saved.aux(0), saved.aux(1)));
            let output = if self.relu { Some(saved.output()?) } else { None };
            let output = output.as_ref().map(Var::tensor);
            let (dx, dgamma, dbeta) = by_dtype!("batch_norm", x.tensor(), T =>
                gradients::<T>(x.tensor(), gamma.tensor(), stats, (g.tensor(), output)))?;
            return Ok([dx, dgamma, dbeta].into_iter().map(|t| Some(Var::constant(t))).collect());
        }
        let g = masked(self.relu, saved, g)?;
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
    fn pieces(&self, output: Option<&Tensor>, _: &[Tensor]) -> Result<Option<u64>> {
        output.filter(|_| self.relu).map(|y| piece_hash(&y.sign()?)).transpose()
    }
}

impl Var {
    /// `x[n,c] · scale[c] + shift[c]`: `(N, C, ..)`, `(C,)`, `(C,)`.
    pub fn channel_affine(&self, scale: &Var, shift: &Var) -> Result<Var> {
        Var::apply(ChannelAffine { relu: false }, &[self, scale, shift])
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
        self.train((gamma, beta), BatchNorm { eps, relu: false })
    }
    /// max(0, batch norm with the batch's statistics), in one pass over the result.
    ///
    /// # Errors
    /// As [`Var::batch_norm_train`].
    pub fn batch_norm_relu_train(&self, gamma: &Var, beta: &Var, eps: f64) -> Result<(Var, Tensor, Tensor)> {
        self.train((gamma, beta), BatchNorm { eps, relu: true })
    }
    fn train(&self, (gamma, beta): (&Var, &Var), how: BatchNorm) -> Result<(Var, Tensor, Tensor)> {
        let m = self.tensor().elem_count() / self.dim(1)?.max(1);
        if m < 2 {
            return Err(Error::Shape {
                op: "batch_norm",
                why: format!("train mode needs more than one value per channel, got {:?}", self.dims()),
            });
        }
        let eps = how.eps;
        let (y, aux) = Var::apply_with_aux(how, &[self, gamma, beta])?;
        if let [mean, _, variance] = &aux[..] {
            return Ok((y, mean.clone(), variance.clone()));
        }
        // σ² = 1/inverse² − eps, unbiased by m / (m − 1).
        let biased = Var::constant(aux[1].clone()).sqr()?.recip()?.affine(1.0, -eps)?;
        let variance = biased.affine(m as f64 / (m as f64 - 1.0), 0.0)?;
        Ok((y, aux[0].clone(), variance.tensor().clone()))
    }
    /// Batch norm with given statistics `mean (C,)`, `var (C,)`.
    ///
    /// # Errors
    /// Shapes that do not agree.
    pub fn batch_norm_eval(&self, gamma: &Var, beta: &Var, mean: &Tensor, var: &Tensor, eps: f64) -> Result<Var> {
        self.eval((gamma, beta), (mean, var), (eps, false))
    }
    /// max(0, batch norm with given statistics), in one pass.
    ///
    /// # Errors
    /// Shapes that do not agree.
    pub fn batch_norm_relu_eval(&self, gamma: &Var, beta: &Var, mean: &Tensor, var: &Tensor, eps: f64) -> Result<Var> {
        self.eval((gamma, beta), (mean, var), (eps, true))
    }
    fn eval(
        &self,
        (gamma, beta): (&Var, &Var),
        (mean, var): (&Tensor, &Tensor),
        (eps, relu): (f64, bool),
    ) -> Result<Var> {
        #[cfg(feature = "cuda")]
        if var.device().is_cuda() && gamma.node().is_none() && beta.node().is_none() {
            // Frozen: nobody asks how scale and shift came about, so one launch makes both.
            let (scale, shift) = by_dtype!("batch_norm", var, T =>
                crate::cuda::affine_of::<T>((gamma.tensor(), beta.tensor()), (mean, var), eps))?;
            return Var::apply(ChannelAffine { relu }, &[self, &Var::constant(scale), &Var::constant(shift)]);
        }
        let inverse = Var::constant(var.clone()).affine(1.0, eps)?.sqrt()?.recip()?;
        let scale = gamma.mul(&inverse)?;
        let shift = beta.sub(&scale.mul(&Var::constant(mean.clone()))?)?;
        Var::apply(ChannelAffine { relu }, &[self, &scale, &shift])
    }
}
