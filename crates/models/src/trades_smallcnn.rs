//! The SmallCNN of TRADES on MNIST.

use crate::settings::{self, Input, Settings};
use crate::start::{he, zeros};
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, Result, Spec};
use gauntlet_graph::{Graph, Interpreter};
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
    build: |args, task| Ok(Arc::new(Interpreter::new(graph(args, task.input, task.classes)?))),
};

/// Chance that the dropout layer drops a unit.
const DROP: f64 = 0.5;

/// `feature_extractor.conv1..4`, `classifier.fc1..3`. As in TRADES' code: convolutions are He-normal with zero
/// biases (kaiming_normal_ in its default mode, fan_in), `fc1` and `fc2` keep PyTorch's default, `fc3` starts at zero.
pub(crate) fn graph(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    let (mut g, x) = Settings::new("trades-smallcnn", args, input, classes)?.at_least(16)?.builder()?;
    let y = g.conv("feature_extractor.conv1", 32, 3).start(he).of(x)?;
    let y = g.act(y)?;
    let y = g.conv("feature_extractor.conv2", 32, 3).start(he).of(y)?;
    let y = g.act(y)?;
    let y = g.max_pool(y, 2)?;
    let y = g.conv("feature_extractor.conv3", 64, 3).start(he).of(y)?;
    let y = g.act(y)?;
    let y = g.conv("feature_extractor.conv4", 64, 3).start(he).of(y)?;
    let y = g.act(y)?;
    let y = g.max_pool(y, 2)?;
    let y = g.flatten(y)?;
    let y = g.linear("classifier.fc1", 200).of(y)?;
    let y = g.act(y)?;
    let y = g.dropout(y, DROP)?;
    let y = g.linear("classifier.fc2", 200).of(y)?;
    let y = g.act(y)?;
    let z = g.linear("classifier.fc3", classes).start(zeros).of(y)?;
    g.finish(z)
}
