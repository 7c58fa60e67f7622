//! How weights and biases of layers start: the schemes of papers, beside PyTorch's default.

use gauntlet_core::Init;
use gauntlet_graph::Fans;

const ZERO: Init = Init::Constant(0.0);

/// He normal by fan_in, zero bias.
pub(crate) fn he(fans: Fans) -> (Init, Init) {
    (Init::HeNormal { fan: fans.inputs }, ZERO)
}

/// He normal by fan_out, zero bias.
pub(crate) fn he_fan_out(fans: Fans) -> (Init, Init) {
    (Init::HeNormal { fan: fans.outputs }, ZERO)
}

/// He normal by fan_in, cut at two deviations, zero bias.
pub(crate) fn he_truncated(fans: Fans) -> (Init, Init) {
    (Init::Normal { std: (2.0 / fans.inputs as f64).sqrt(), truncated: true }, ZERO)
}

/// Xavier uniform with PyTorch's bias.
pub(crate) fn xavier(fans: Fans) -> (Init, Init) {
    let Fans { inputs, outputs } = fans;
    (Init::XavierUniform { fan_in: inputs, fan_out: outputs }, Init::TorchDefault { fan_in: inputs })
}

/// PyTorch's weight with a zero bias.
pub(crate) fn torch_zero_bias(fans: Fans) -> (Init, Init) {
    (Init::TorchDefault { fan_in: fans.inputs }, ZERO)
}

/// All zero.
pub(crate) fn zeros(_: Fans) -> (Init, Init) {
    (ZERO, ZERO)
}
