//! The convolutional network of seven layers of certified training.

use crate::settings::{ACTIVATION, INIT, Input, MEAN, STD, Settings};
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, ParamDoc, ParamKind, Range, Result, Spec};
use gauntlet_graph::{Graph, Interpreter};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "cnn7",
    summary: "seven layers with batch norm, what certified training uses: 17.19 M parameters on CIFAR-10",
    formula: "(conv3 – bn – act) 64, 64, 128 with stride 2, 128, 128 – fc 512 – bn – act – fc K",
    paper: "Shi et al. 2021; Müller et al. 2023",
    params: &[
        ParamDoc {
            name: "width",
            kind: ParamKind::Int(Range::at_least(1.0).at_most(1024.0)),
            default: "64",
            unit: "channels",
            doc: "channels of the first two layers, half of the others'",
        },
        ParamDoc {
            name: "hidden",
            kind: ParamKind::COUNT,
            default: "512",
            unit: "units",
            doc: "units of the hidden linear layer",
        },
        ACTIVATION,
        INIT,
        MEAN,
        STD,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, task| Ok(Arc::new(Interpreter::new(graph(args, task.input, task.classes)?))),
};

/// Names are the places in a sequence of convolutions, norms and activations: `0`, `1`, `3`, `4`, ..., `16`, `17`, `19`.
pub(crate) fn graph(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    let (width, hidden) = (args.usize("width")?, args.usize("hidden")?);
    let (mut g, mut y) = Settings::new("cnn7", args, input, classes)?.at_least(8)?.builder()?;
    for (i, (channels, stride)) in [(1, 1), (1, 1), (2, 2), (2, 1), (2, 1)].into_iter().enumerate() {
        y = g.conv((3 * i).to_string(), channels * width, 3).stride(stride).padding(1).of(y)?;
        y = g.batch_norm((3 * i + 1).to_string(), y)?;
        y = g.act(y)?;
    }
    let y = g.flatten(y)?;
    let y = g.linear("16", hidden).of(y)?;
    let y = g.batch_norm("17", y)?;
    let y = g.act(y)?;
    let z = g.linear("19", classes).of(y)?;
    g.finish(z)
}
