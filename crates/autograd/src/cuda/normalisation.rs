//! Batch normalisation.

use super::arg::Arg;
use super::launch::{Grid, at, countable, device, launch, of, tensor, unwritten};
use super::reduce::parts_of_channels;
use super::{Element, dense, int};
use crate::Result;
use candle_core::Tensor;

/// (N, C, ..) in parts of its images.
struct Sizes {
    n: usize,
    channels: usize,
    area: usize,
    parts: usize,
}

impl Sizes {
    fn of(x: &Tensor) -> Result<Self> {
        let (n, channels, area) = (x.dim(0)?, x.dim(1)?, x.dims()[2..].iter().product());
        Ok(Sizes { n, channels, area, parts: parts_of_channels(n, channels, area) })
    }
    fn blocks(&self) -> Grid {
        Grid::Blocks(self.channels * self.parts)
    }
    /// The kernels' first arguments, and the others.
    fn and<const K: usize>(&self, others: [Arg; K]) -> Vec<Arg> {
        let sizes = [self.n, self.channels, self.area, self.parts].map(int);
        sizes.into_iter().chain(others).collect()
    }
}

/// y; the batch's mean, 1/√(var + eps) and the unbiased variance.
pub(crate) fn batch_norm<T: Element>(
    x: &Tensor,
    (gamma, beta): (&Tensor, &Tensor),
    (eps, relu): (f64, bool),
) -> Result<(Tensor, Vec<Tensor>)> {
    countable("batch_norm", x)?;
    let (device, x, gamma, beta) = (device(x)?, dense(x)?, dense(gamma)?, dense(beta)?);
    let sizes = Sizes::of(&x)?;
    let out = unwritten::<T>(&device, x.elem_count())?;
    let per_channel = || unwritten::<T>(&device, sizes.channels);
    let kept = [per_channel()?, per_channel()?, per_channel()?];
    let sums = unwritten::<f64>(&device, 2 * sizes.channels * sizes.parts)?;
    let args = sizes.and([of::<T>(&device, &x)?, at(&device, &sums)]);
    launch::<T>(&device, "batch_norm_parts", sizes.blocks(), &args)?;
    let args = sizes.and([
        Arg::Double(eps),
        int(usize::from(relu)),
        at(&device, &sums),
        of::<T>(&device, &x)?,
        of::<T>(&device, &gamma)?,
        of::<T>(&device, &beta)?,
        at(&device, &out),
        at(&device, &kept[0]),
        at(&device, &kept[1]),
        at(&device, &kept[2]),
    ]);
    launch::<T>(&device, "batch_norm", sizes.blocks(), &args)?;
    let kept = kept.into_iter().map(|buffer| tensor(&device, buffer, &[sizes.channels])).collect();
    Ok((tensor(&device, out, x.dims()), kept))
}

/// Scale and shift that batch norm with given statistics is.
pub(crate) fn affine_of<T: Element>(
    (gamma, beta): (&Tensor, &Tensor),
    (mean, var): (&Tensor, &Tensor),
    eps: f64,
) -> Result<(Tensor, Tensor)> {
    let channels = var.dims().to_vec();
    if [gamma, beta, mean].iter().any(|t| t.dims() != channels) {
        return Err(crate::error::shape("batch_norm", format!("statistics, γ and β are not all {channels:?}")));
    }
    let device = device(var)?;
    let inputs = [gamma, beta, mean, var].map(dense).into_iter().collect::<Result<Vec<_>>>()?;
    let (scale, shift) = (unwritten::<T>(&device, channels[0])?, unwritten::<T>(&device, channels[0])?);
    let mut args = vec![int(channels[0]), Arg::Double(eps)];
    for input in &inputs {
        args.push(of::<T>(&device, input)?);
    }
    args.extend([at(&device, &scale), at(&device, &shift)]);
    launch::<T>(&device, "affine_of", Grid::Elements(channels[0]), &args)?;
    Ok((tensor(&device, scale, &channels), tensor(&device, shift, &channels)))
}

/// Gradients by x, γ and β; with the output, if that was rectified.
pub(crate) fn batch_norm_gradients<T: Element>(
    x: &Tensor,
    gamma: &Tensor,
    (mean, inverse): (&Tensor, &Tensor),
    (g, output): (&Tensor, Option<&Tensor>),
) -> Result<(Tensor, Tensor, Tensor)> {
    countable("batch_norm", x)?;
    let (device, x, gamma, g) = (device(x)?, dense(x)?, dense(gamma)?, dense(g)?);
    let sizes = Sizes::of(&x)?;
    let output = output.map(dense).transpose()?;
    let output = || output.as_ref().map_or(Ok(Arg::At(0)), |y| of::<T>(&device, y));
    let dx = unwritten::<T>(&device, x.elem_count())?;
    let (dgamma, dbeta) = (unwritten::<T>(&device, sizes.channels)?, unwritten::<T>(&device, sizes.channels)?);
    let sums = unwritten::<f64>(&device, 2 * sizes.channels * sizes.parts)?;
    let args = sizes.and([
        of::<T>(&device, &x)?,
        of::<T>(&device, mean)?,
        of::<T>(&device, inverse)?,
        of::<T>(&device, &g)?,
        output()?,
        at(&device, &sums),
    ]);
    launch::<T>(&device, "batch_norm_gradient_parts", sizes.blocks(), &args)?;
    let args = sizes.and([
        at(&device, &sums),
        of::<T>(&device, &x)?,
        of::<T>(&device, &gamma)?,
        of::<T>(&device, mean)?,
        of::<T>(&device, inverse)?,
        of::<T>(&device, &g)?,
        output()?,
        at(&device, &dx),
        at(&device, &dgamma),
        at(&device, &dbeta),
    ]);
    launch::<T>(&device, "batch_norm_gradients", sizes.blocks(), &args)?;
    let per_channel = |buffer| tensor(&device, buffer, &[sizes.channels]);
    Ok((tensor(&device, dx, x.dims()), per_channel(dgamma), per_channel(dbeta)))
}
