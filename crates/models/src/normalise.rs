//! Input normalisation as a layer of the model, and a layer's weight and bias by name.

use candle_core::Tensor;
use gauntlet_autograd::Var;
use gauntlet_core::{Error, ModelInfo, Params, Result};

/// (x − mean) / std per channel; `x (N, C, H, W)` in `[0, 1]`. Also checks the input's shape.
pub(crate) fn normalise(info: &ModelInfo, x: &Var) -> Result<Var> {
    let (c, h, w) = info.input;
    if x.dims().len() != 4 || x.dims()[1..] != [c, h, w] {
        return Err(Error::value(info.name.clone(), format!("expects images (N, {c}, {h}, {w}), got {:?}", x.dims())));
    }
    if info.mean.is_empty() && info.std.is_empty() {
        return Ok(x.clone());
    }
    let per_channel =
        |v: Vec<f64>| -> Result<Var> { Ok(Var::constant(Tensor::from_vec(v, c, x.device())?.to_dtype(x.dtype())?)) };
    let std = |i: usize| info.std.get(i).copied().unwrap_or(1.0);
    let mean = |i: usize| info.mean.get(i).copied().unwrap_or(0.0);
    let scale = per_channel((0..c).map(|i| 1.0 / std(i)).collect())?;
    let shift = per_channel((0..c).map(|i| -mean(i) / std(i)).collect())?;
    Ok(x.channel_affine(&scale, &shift)?)
}

/// x · Wᵀ + b with the parameters of layer `name`.
pub(crate) fn linear(params: &Params, name: &str, x: &Var) -> Result<Var> {
    Ok(x.linear(params.get(&format!("{name}.weight"))?, Some(params.get(&format!("{name}.bias"))?))?)
}

/// Convolution with the parameters of layer `name`.
pub(crate) fn conv(params: &Params, name: &str, x: &Var, stride: usize, padding: usize) -> Result<Var> {
    let bias = params.get(&format!("{name}.bias"))?;
    Ok(x.conv2d(params.get(&format!("{name}.weight"))?, Some(bias), stride, padding)?)
}
