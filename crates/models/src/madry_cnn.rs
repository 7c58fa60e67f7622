//! The convolutional network of the MNIST challenge.

use crate::normalise::{conv_act_pool, linear, linear_act, normalise};
use crate::settings::{self, Settings};
use gauntlet_autograd::Var;
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Init, ModelInfo, Network, ParamSpec, Params, Pass, Result, Spec};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "madry-cnn",
    summary: "two 5×5 convolutions with pooling and two linear layers, 3.27 M parameters on MNIST",
    formula: "conv5×5 32 – act – pool2 – conv5×5 64 – act – pool2 – fc 1024 – act – fc K",
    paper: "Madry et al. 2018",
    params: settings::PARAMS,
    numerics: 1,
    origin: "built-in",
    build: |args, input, classes| {
        Ok(Arc::new(MadryCnn(Settings::new("madry-cnn", args, input, classes)?.at_least(4)?)))
    },
};

/// `conv1`, `conv2`, `fc1`, `fc2`; weights truncated normal σ 0.1, biases 0.1, as in the authors' code.
struct MadryCnn(Settings);

impl Network for MadryCnn {
    fn info(&self) -> &ModelInfo {
        &self.0.info
    }
    fn specs(&self) -> Vec<ParamSpec> {
        let (c, h, w) = self.0.info.input;
        let flat = 64 * (h / 2 / 2) * (w / 2 / 2);
        let layers: [(&str, &[usize]); 4] = [
            ("conv1", &[32, c, 5, 5]),
            ("conv2", &[64, 32, 5, 5]),
            ("fc1", &[1024, flat]),
            ("fc2", &[self.0.info.classes, 1024]),
        ];
        let own = (Init::Normal { std: 0.1, truncated: true }, Init::Constant(0.1));
        layers.iter().flat_map(|(name, shape)| self.0.layer(name, shape, Some(own))).collect()
    }
    fn forward(&self, params: &Params, x: &Var, _: &mut Pass<'_>) -> Result<Var> {
        let act = self.0.info.activation;
        let y = conv_act_pool(params, "conv1", &normalise(&self.0.info, x)?, 2, act)?;
        let y = conv_act_pool(params, "conv2", &y, 2, act)?;
        let y = linear_act(params, "fc1", &y.flatten()?, act)?;
        linear(params, "fc2", &y)
    }
}
