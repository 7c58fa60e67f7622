//! The convolutional network of the MNIST challenge.

use crate::settings::{self, Input, Settings};
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, Init, Result, Spec};
use gauntlet_graph::{Fans, Graph, Interpreter};
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
    build: |args, task| Ok(Arc::new(Interpreter::new(graph(args, task.input, task.classes)?))),
};

/// `conv1`, `conv2`, `fc1`, `fc2`; weights truncated normal σ 0.1, biases 0.1, as in the authors' code.
pub(crate) fn graph(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    let own = |_: Fans| (Init::Normal { std: 0.1, truncated: true }, Init::Constant(0.1));
    let (mut g, x) = Settings::new("madry-cnn", args, input, classes)?.at_least(4)?.builder()?;
    let y = g.conv("conv1", 32, 5).padding(2).start(own).of(x)?;
    let y = g.act(y)?;
    let y = g.max_pool(y, 2)?;
    let y = g.conv("conv2", 64, 5).padding(2).start(own).of(y)?;
    let y = g.act(y)?;
    let y = g.max_pool(y, 2)?;
    let y = g.flatten(y)?;
    let y = g.linear("fc1", 1024).start(own).of(y)?;
    let y = g.act(y)?;
    let z = g.linear("fc2", classes).start(own).of(y)?;
    g.finish(z)
}
