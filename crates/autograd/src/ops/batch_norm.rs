//! Batch normalisation. Train mode returns its batch statistics beside the output: nothing moves by itself.

use crate::kernels::map::map_channels;
use crate::kernels::reduce::sum_channels;
use crate::kernels::{Real, by_dtype, from_vec, view};
use crate::{Error, Op, Result, Saved, Saves, Var};
use candle_core::Tensor;

/// `y[n,c] = x[n,c] · scale[c] + shift[c]`.
struct ChannelAffine;

impl Op for ChannelAffine {
    fn name(&self) -> &'static str {
        "channel_affine"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let value = by_dtype!(self.name(), inputs[0], T =>
            map_channels("channel_affine", inputs[0], inputs[1], inputs[2], |x: T, a: T, b: T| x * a + b))?;
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

fn normalise<T: Real>(x: &Tensor, gamma: &Tensor, beta: &Tensor, eps: f64) -> Result<(Tensor, Tensor, Tensor)> {
    let op = "batch_norm";
    let m = (x.elem_count() / x.dim(1)?.max(1)) as f64;
    let mean: Vec<f64> = view::<T>(op, &sum_channels::<T>(op, x)?)?.iter().map(|s| s.wide() / m).collect();
    let minus = from_vec(mean.iter().map(|v| T::of(-v)).collect(), &[mean.len()])?;
    let zero = minus.zeros_like()?;
    let squares = map_channels(op, x, &minus, &zero, |x: T, minus: T, _| (x + minus) * (x + minus))?;
    let inverse: Vec<f64> =
        view::<T>(op, &sum_channels::<T>(op, &squares)?)?.iter().map(|s| 1.0 / (s.wide() / m + eps).sqrt()).collect();
    let (gamma, beta) = (view::<T>(op, gamma)?, view::<T>(op, beta)?);
    let scale: Vec<T> = gamma.iter().zip(&inverse).map(|(g, i)| T::of(g.wide() * i)).collect();
    let shift: Vec<T> = beta.iter().zip(&scale).zip(&mean).map(|((b, s), m)| T::of(b.wide() - s.wide() * m)).collect();
    let c = scale.len();
    let y = map_channels(op, x, &from_vec(scale, &[c])?, &from_vec(shift, &[c])?, |x: T, a: T, b: T| x * a + b)?;
    let mean = from_vec(mean.into_iter().map(T::of).collect(), &[c])?;
    let inverse = from_vec(inverse.into_iter().map(T::of).collect(), &[c])?;
    Ok((y, mean, inverse))
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let (gamma, beta) = (inputs[1].contiguous()?, inputs[2].contiguous()?);
        let (y, mean, inverse) =
            by_dtype!("batch_norm", inputs[0], T => normalise::<T>(inputs[0], &gamma, &beta, self.eps))?;
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
        // To be differentiated again, mean and 1/σ must remember that they came from x.
        let (mean, inverse) = if saved.keeps_graph() {
            let mean = mean_of(&x)?;
            let centred = x.sub(&mean.broadcast_channels(&dims)?)?;
            let inverse = mean_of(&centred.sqr()?)?.affine(1.0, self.eps)?.sqrt()?.recip()?;
            (mean, inverse)
        } else {
            (Var::constant(saved.aux(0).clone()), Var::constant(saved.aux(1).clone()))
        };
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
        let zero = Var::constant(scale.tensor().zeros_like()?);
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
        let variance = (aux[1].sqr()?.recip()? - eps)?.affine(m as f64 / (m as f64 - 1.0), 0.0)?;
        Ok((y, aux[0].clone(), variance))
    }
    /// Batch norm with given statistics `mean (C,)`, `var (C,)`.
    pub fn batch_norm_eval(&self, gamma: &Var, beta: &Var, mean: &Tensor, var: &Tensor, eps: f64) -> Result<Var> {
        let inverse = Var::constant(var.affine(1.0, eps)?.sqrt()?.recip()?);
        let scale = gamma.mul(&inverse)?;
        let shift = beta.sub(&scale.mul(&Var::constant(mean.clone()))?)?;
        self.channel_affine(&scale, &shift)
    }
}
