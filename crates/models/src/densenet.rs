//! Densely connected networks: every layer reads all before it.

use crate::resnet::{STEM, large_stem, stem_pool};
use crate::settings::{ACTIVATION, INIT, Input, MEAN, STD, Settings};
use crate::start::{he, torch_zero_bias};
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, ParamDoc, ParamKind, Range, Result, Spec};
use gauntlet_graph::{Builder, Graph, Interpreter, Layer, NodeId, Start, Windows, torch_default};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "densenet121",
    summary: "DenseNet-121 with a 3×3 stem for small images, 6.96 M parameters on CIFAR-10",
    formula: "conv3 64 – 6, 12, 24, 16 dense layers (bn – act – conv1 128 – bn – act – conv3 32), halved between – bn – act – global \
              pooling – fc K",
    paper: "Huang et al. 2017",
    params: &[
        ParamDoc {
            name: "growth",
            kind: ParamKind::Int(Range::at_least(1.0).at_most(256.0)),
            default: "32",
            unit: "channels",
            doc: "channels that every layer adds; the stem has twice as many",
        },
        ACTIVATION,
        INIT,
        MEAN,
        STD,
        STEM,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, task| Ok(Arc::new(Interpreter::new(graph(args, task.input, task.classes)?))),
};

/// With a 3×3 stem `conv1`, `dense{1..4}.{i}.{bn1,conv1,bn2,conv2}`, `trans{1..3}.{bn,conv}`, `bn`, `linear`, as CIFAR's common repository
/// has it; with a 7×7 stem torchvision's `features.{conv0,norm0}`, `features.denseblock{1..4}.denselayer{1..}.{norm1,conv1,norm2,conv2}`,
/// `features.transition{1..3}.{norm,conv}`, `features.norm5`, `classifier`.
///
/// The first puts what a layer adds in front of what it reads, torchvision behind it.
pub(crate) fn graph(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    let growth = args.usize("growth")?;
    let large = large_stem(args)?;
    let start: Start = if large { he } else { torch_default };
    let (mut g, x) =
        Settings::new("densenet121", args, input, classes)?.at_least(if large { 32 } else { 8 })?.builder()?;
    let mut y = if large {
        let y = g.conv("features.conv0", 2 * growth, 7).stride(2).padding(3).without_bias().start(start).of(x)?;
        let y = g.batch_norm("features.norm0", y)?;
        let y = g.act(y)?;
        stem_pool(&mut g, y)?
    } else {
        g.conv("conv1", 2 * growth, 3).padding(1).without_bias().of(x)?
    };
    let mut channels = 2 * growth;
    for (block, count) in [6, 12, 24, 16].into_iter().enumerate() {
        for i in 0..count {
            let [bn1, conv1, bn2, conv2] = if large {
                let place = format!("features.denseblock{}.denselayer{}", block + 1, i + 1);
                ["norm1", "conv1", "norm2", "conv2"].map(|part| format!("{place}.{part}"))
            } else {
                ["bn1", "conv1", "bn2", "conv2"].map(|part| format!("dense{}.{i}.{part}", block + 1))
            };
            let inner = activated_conv(&mut g, y, (bn1, conv1), (4 * growth, 1), start)?;
            let added = activated_conv(&mut g, inner, (bn2, conv2), (growth, 3), start)?;
            let both = if large { [y, added] } else { [added, y] };
            y = g.layer(Layer::Concat { axis: 0 }, &both)?;
            channels += growth;
        }
        if block < 3 {
            channels /= 2;
            let place = if large { format!("features.transition{}", block + 1) } else { format!("trans{}", block + 1) };
            let norm = if large { "norm" } else { "bn" };
            let names = (format!("{place}.{norm}"), format!("{place}.conv"));
            let halved = activated_conv(&mut g, y, names, (channels, 1), start)?;
            let windows = Windows { size: (2, 2), strides: (2, 2), pads: [0; 4], dilations: (1, 1) };
            let mean = Layer::WindowMean { windows, overhang: (0, 0), padding_counts: true };
            y = g.layer(mean, &[halved])?;
        }
    }
    let y = g.batch_norm(if large { "features.norm5" } else { "bn" }, y)?;
    let y = g.act(y)?;
    let y = g.global_avg_pool(y)?;
    let z = if large {
        g.linear("classifier", classes).start(torch_zero_bias).of(y)?
    } else {
        g.linear("linear", classes).of(y)?
    };
    g.finish(z)
}

/// conv(act(bn(x))) to so many channels by kernels of that size.
fn activated_conv(
    g: &mut Builder,
    x: NodeId,
    (norm, conv): (String, String),
    (channels, size): (usize, usize),
    start: Start,
) -> Result<NodeId> {
    let y = g.batch_norm(norm, x)?;
    let y = g.act(y)?;
    g.conv(conv, channels, size).padding(size / 2).without_bias().start(start).of(y)
}
