//! The SmallCNN of TRADES on MNIST.

use crate::normalise::{conv_act, conv_act_pool, linear, linear_act, normalise};
use crate::settings::{self, Settings};
use gauntlet_autograd::Var;
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Init, Mode, ModelInfo, Network, ParamSpec, Params, Pass, Result, Spec};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "trades-smallcnn",
    summary: "four 3×3 convolutions and three linear layers with dropout, 312,202 parameters on MNIST",
    formula: "conv3 32 – conv3 32 – pool2 – conv3 64 – conv3 64 – pool2 – fc 200 – dropout – fc 200 – fc K",
    paper: "Zhang et al. 2019",
    params: settings::PARAMS,
    numerics: 2,
    origin: "built-in",
    build: |args, input, classes| {
        Ok(Arc::new(SmallCnn(Settings::new("trades-smallcnn", args, input, classes)?.at_least(16)?)))
    },
};

/// Chance that the dropout layer drops a unit.
const DROP: f64 = 0.5;

/// `feature_extractor.conv1..4`, `classifier.fc1..3`. As in TRADES' code: convolutions are He-normal with zero
/// biases, `fc1` and `fc2` keep PyTorch's default, `fc3` starts at zero.
struct SmallCnn(Settings);

fn side(x: usize) -> usize {
    ((x - 4) / 2 - 4) / 2
}

impl Network for SmallCnn {
    fn info(&self) -> &ModelInfo {
        &self.0.info
    }
    fn specs(&self) -> Vec<ParamSpec> {
        let (c, h, w) = self.0.info.input;
        let convs = [("conv1", c, 32), ("conv2", 32, 32), ("conv3", 32, 64), ("conv4", 64, 64)];
        let mut specs: Vec<ParamSpec> = convs
            .iter()
            .flat_map(|(name, from, to)| {
                let shape = [*to, *from, 3, 3];
                // kaiming_normal_ in its default mode, fan_in.
                let own = (Init::HeNormal { fan: from * 9 }, Init::Constant(0.0));
                self.0.layer(&format!("feature_extractor.{name}"), &shape, Some(own))
            })
            .collect();
        specs.extend(self.0.layer("classifier.fc1", &[200, 64 * side(h) * side(w)], None));
        specs.extend(self.0.layer("classifier.fc2", &[200, 200], None));
        let zero = (Init::Constant(0.0), Init::Constant(0.0));
        specs.extend(self.0.layer("classifier.fc3", &[self.0.info.classes, 200], Some(zero)));
        specs
    }
    fn forward(&self, params: &Params, x: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        let act = self.0.info.activation;
        let name = |layer: &str| format!("feature_extractor.{layer}");
        let y = conv_act(params, &name("conv1"), &normalise(&self.0.info, x)?, (1, 0), act)?;
        let y = conv_act_pool(params, &name("conv2"), &y, 0, act)?;
        let y = conv_act(params, &name("conv3"), &y, (1, 0), act)?;
        let y = conv_act_pool(params, &name("conv4"), &y, 0, act)?;
        let y = linear_act(params, "classifier.fc1", &y.flatten()?, act)?;
        let y = if pass.mode == Mode::Train { dropout(&y, pass)? } else { y };
        let y = linear_act(params, "classifier.fc2", &y, act)?;
        linear(params, "classifier.fc3", &y)
    }
}

/// Keeps a unit with probability 1 − DROP and scales it up; the mask is drawn per example id.
fn dropout(x: &Var, pass: &Pass<'_>) -> Result<Var> {
    // U(0, 1) − DROP: below 0 a unit is dropped.
    let draws = pass.key.uniform(pass.ids, x.dims(), (-DROP, 1.0 - DROP), x.tensor())?;
    let kept = Var::constant(draws).sign()?.relu()?;
    Ok(x.mul(&kept.affine(1.0 / (1.0 - DROP), 0.0)?)?)
}
