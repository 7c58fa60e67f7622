//! Input normalisation as a layer of the model, and a layer's weight and bias by name.

use gauntlet_autograd::Var;
use gauntlet_autograd::kernels::constant_like;
use gauntlet_core::{Activation, Error, ModelInfo, Params, Result};

/// (x − mean) / std per channel; `x (N, C, H, W)` in `[0, 1]`. Also checks the input's shape.
pub(crate) fn normalise(info: &ModelInfo, x: &Var) -> Result<Var> {
    let (c, h, w) = info.input;
    if x.dims().len() != 4 || x.dims()[1..] != [c, h, w] {
        return Err(Error::value(info.name.clone(), format!("expects images (N, {c}, {h}, {w}), got {:?}", x.dims())));
    }
    if info.mean.is_empty() && info.std.is_empty() {
        return Ok(x.clone());
    }
    let per_channel = |v: Vec<f64>| -> Result<Var> { Ok(Var::constant(constant_like(&v, &[c], x.tensor())?)) };
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

/// The activation of [`linear`], in one pass where the activation is a rectifier.
pub(crate) fn linear_act(params: &Params, name: &str, x: &Var, act: Activation) -> Result<Var> {
    match act {
        Activation::Relu => {
            Ok(x.linear_relu(params.get(&format!("{name}.weight"))?, params.get(&format!("{name}.bias"))?)?)
        }
        other => other.apply(&linear(params, name, x)?),
    }
}

/// The activation of [`conv`], in one pass where the activation is a rectifier.
pub(crate) fn conv_act(
    params: &Params,
    name: &str,
    x: &Var,
    (stride, padding): (usize, usize),
    act: Activation,
) -> Result<Var> {
    match act {
        Activation::Relu => {
            let bias = params.get(&format!("{name}.bias"))?;
            Ok(x.conv2d_relu(params.get(&format!("{name}.weight"))?, Some(bias), stride, padding)?)
        }
        other => other.apply(&conv(params, name, x, stride, padding)?),
    }
}

/// Convolution of stride 1, activation, 2×2 maxima.
///
/// A rectifier commutes with the maximum, value and subgradient, so it is applied to the quarter that is left.
pub(crate) fn conv_act_pool(params: &Params, name: &str, x: &Var, padding: usize, act: Activation) -> Result<Var> {
    let y = conv(params, name, x, 1, padding)?;
    match act {
        Activation::Relu => Ok(y.max_pool2d(2, 2)?.relu()?),
        other => Ok(other.apply(&y)?.max_pool2d(2, 2)?),
    }
}

/// Convolution with the parameters of layer `name`.
pub(crate) fn conv(params: &Params, name: &str, x: &Var, stride: usize, padding: usize) -> Result<Var> {
    let bias = params.get(&format!("{name}.bias"))?;
    Ok(x.conv2d(params.get(&format!("{name}.weight"))?, Some(bias), stride, padding)?)
}
