//! The small strided LeNet of fast adversarial training on MNIST.

use crate::normalise::{conv_act, linear, linear_act, normalise};
use crate::settings::{self, Settings};
use gauntlet_autograd::Var;
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{ModelInfo, Network, ParamSpec, Params, Pass, Result, Spec};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "lenet-small",
    summary: "two strided convolutions and two linear layers, 166,406 parameters on MNIST",
    formula: "conv4×4/2 16 – act – conv4×4/2 32 – act – fc 100 – act – fc K",
    paper: "Wong, Rice & Kolter 2020",
    params: settings::PARAMS,
    numerics: 1,
    origin: "built-in",
    build: |args, input, classes| {
        Ok(Arc::new(LenetSmall(Settings::new("lenet-small", args, input, classes)?.at_least(4)?)))
    },
};

/// `Sequential` with parameters at 0, 2, 5 and 7.
struct LenetSmall(Settings);

impl Network for LenetSmall {
    fn info(&self) -> &ModelInfo {
        &self.0.info
    }
    fn specs(&self) -> Vec<ParamSpec> {
        let (c, h, w) = self.0.info.input;
        let flat = 32 * (h / 2 / 2) * (w / 2 / 2);
        let layers: [(&str, &[usize]); 4] =
            [("0", &[16, c, 4, 4]), ("2", &[32, 16, 4, 4]), ("5", &[100, flat]), ("7", &[self.0.info.classes, 100])];
        layers.iter().flat_map(|(name, shape)| self.0.layer(name, shape, None)).collect()
    }
    fn forward(&self, params: &Params, x: &Var, _: &mut Pass<'_>) -> Result<Var> {
        let act = self.0.info.activation;
        let y = conv_act(params, "0", &normalise(&self.0.info, x)?, (2, 1), act)?;
        let y = conv_act(params, "2", &y, (2, 1), act)?;
        let y = linear_act(params, "5", &y.flatten()?, act)?;
        linear(params, "7", &y)
    }
}
