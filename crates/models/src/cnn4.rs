//! The one-layer network on which catastrophic overfitting was first taken apart.

use crate::normalise::{conv_act, linear, normalise};
use crate::settings::{self, Settings};
use gauntlet_autograd::Var;
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Init, ModelInfo, Network, ParamSpec, Params, Pass, Result, Spec};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "cnn4",
    summary: "one 3×3 convolution with four filters and a linear layer, 41,082 parameters on CIFAR-10",
    formula: "conv3×3 4 – act – fc K",
    paper: "Andriushchenko & Flammarion 2020",
    params: settings::PARAMS,
    numerics: 1,
    origin: "built-in",
    build: |args, input, classes| Ok(Arc::new(Cnn4(Settings::new("cnn4", args, input, classes)?))),
};

/// `Sequential(Conv2d, ReLU, Flatten, Linear)`, He normal with fan_out (convolution) and fan_in (linear layer).
struct Cnn4(Settings);

impl Network for Cnn4 {
    fn info(&self) -> &ModelInfo {
        &self.0.info
    }
    fn specs(&self) -> Vec<ParamSpec> {
        let (c, h, w) = self.0.info.input;
        // The authors' initialisation; PyTorch's own, six times smaller in the linear layer's variance, does not collapse.
        let he = |fan| Some((Init::HeNormal { fan }, Init::Constant(0.0)));
        let first = self.0.layer("0", &[4, c, 3, 3], he(4 * 9));
        first.into_iter().chain(self.0.layer("3", &[self.0.info.classes, 4 * h * w], he(4 * h * w))).collect()
    }
    fn forward(&self, params: &Params, x: &Var, _: &mut Pass<'_>) -> Result<Var> {
        let y = conv_act(params, "0", &normalise(&self.0.info, x)?, (1, 1), self.0.info.activation)?;
        linear(params, "3", &y.flatten()?)
    }
}
