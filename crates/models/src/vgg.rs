//! VGG with batch norm and one linear layer, as CIFAR's common repositories have it.

use crate::settings::{ACTIVATION, INIT, Input, MEAN, STD, Settings};
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, ParamDoc, Result, Spec};
use gauntlet_graph::{Graph, Interpreter};
use std::sync::Arc;

const PARAMS: &[ParamDoc] = &[ACTIVATION, INIT, MEAN, STD];

/// Registration of the one with 11 layers.
pub const SPEC_11: Spec<BuildModel> = Spec {
    name: "vgg11-bn",
    summary: "VGG-11 with batch norm and one linear layer, 9.23 M parameters on CIFAR-10",
    formula: "(conv3 – bn – act) 64 – pool – 128 – pool – 2 × 256 – pool – 2 × 512 – pool – 2 × 512 – pool – fc K",
    paper: "Simonyan & Zisserman 2015",
    params: PARAMS,
    numerics: 1,
    origin: "built-in",
    build: |args, task| Ok(Arc::new(Interpreter::new(vgg11(args, task.input, task.classes)?))),
};

/// Registration of the one with 16 layers.
pub const SPEC_16: Spec<BuildModel> = Spec {
    name: "vgg16-bn",
    summary: "VGG-16 with batch norm and one linear layer, 14.73 M parameters on CIFAR-10",
    formula: "(conv3 – bn – act) 2 × 64 – pool – 2 × 128 – pool – 3 × 256 – pool – 3 × 512 – pool – 3 × 512 – pool – fc K",
    paper: "Simonyan & Zisserman 2015",
    params: PARAMS,
    numerics: 1,
    origin: "built-in",
    build: |args, task| Ok(Arc::new(Interpreter::new(vgg16(args, task.input, task.classes)?))),
};

pub(crate) fn vgg11(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    graph("vgg11-bn", [1, 1, 2, 2, 2], args, input, classes)
}
pub(crate) fn vgg16(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    graph("vgg16-bn", [2, 2, 3, 3, 3], args, input, classes)
}

/// `features.{i}`, where convolution, batch norm, activation and pool count as one each, and `classifier`.
fn graph(name: &str, layers: [usize; 5], args: &Args, input: Input, classes: usize) -> Result<Graph> {
    let (mut g, mut y) = Settings::new(name, args, input, classes)?.at_least(32)?.builder()?;
    let mut place = 0;
    for (count, channels) in layers.into_iter().zip([64, 128, 256, 512, 512]) {
        for _ in 0..count {
            y = g.conv(format!("features.{place}"), channels, 3).padding(1).of(y)?;
            y = g.batch_norm(format!("features.{}", place + 1), y)?;
            y = g.act(y)?;
            place += 3;
        }
        y = g.max_pool(y, 2)?;
        place += 1;
    }
    let y = g.flatten(y)?;
    let z = g.linear("classifier", classes).of(y)?;
    g.finish(z)
}
