//! How the weights of a layer start.

use gauntlet_core::Init;

/// The fans of a layer with weights, as PyTorch counts them: a kernel's taps belong to both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fans {
    /// Inputs that feed one output.
    pub inputs: usize,
    /// Outputs that one input feeds.
    pub outputs: usize,
}

impl Fans {
    /// Of a weight `(O, C, ...)`.
    pub(crate) fn of(weight: &[usize]) -> Self {
        Fans { inputs: weight[1..].iter().product(), outputs: weight[0] * weight[2..].iter().product::<usize>() }
    }
}

/// The initialisers of a layer's weight and bias.
pub type Start = fn(Fans) -> (Init, Init);

/// PyTorch's own: both uniform in ±1/√fan_in.
pub fn torch_default(fans: Fans) -> (Init, Init) {
    let init = Init::TorchDefault { fan_in: fans.inputs };
    (init, init)
}
