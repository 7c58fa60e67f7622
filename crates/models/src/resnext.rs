//! Aggregated residual networks, as AugMix trained them on CIFAR.

use crate::settings::{ACTIVATION, INIT, Input, MEAN, STD, Settings};
use crate::start::{he, he_fan_out};
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, ParamDoc, ParamKind, Range, Result, Spec};
use gauntlet_graph::{Builder, Graph, Interpreter, NodeId};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "resnext29",
    summary: "ResNeXt-29 (4×32d) with a 3×3 stem, 6.81 M parameters on CIFAR-10",
    formula: "conv3 64 – bn – act – 3, 3, 3 grouped bottlenecks (256, 512, 1024) – global pooling – fc K",
    paper: "Xie et al. 2017; Hendrycks et al. 2020 (AugMix)",
    params: &[
        ParamDoc {
            name: "cardinality",
            kind: ParamKind::Int(Range::at_least(1.0).at_most(256.0)),
            default: "4",
            unit: "groups",
            doc: "parts that the 3×3 convolutions split their channels into",
        },
        ParamDoc {
            name: "base-width",
            kind: ParamKind::Int(Range::at_least(1.0).at_most(256.0)),
            default: "32",
            unit: "channels",
            doc: "channels of every part in the first stage; twice and four times as many in the others",
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

/// `conv_1_3x3`, `bn_1`, `stage_{1..3}.{0..2}.{conv_reduce,bn_reduce,conv_conv,bn,conv_expand,bn_expand,downsample.0,downsample.1}`,
/// `classifier`, as in AugMix's code.
pub(crate) fn graph(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    let (cardinality, base) = (args.usize("cardinality")?, args.usize("base-width")?);
    let (mut g, x) = Settings::new("resnext29", args, input, classes)?.at_least(8)?.builder()?;
    let y = g.conv("conv_1_3x3", 64, 3).padding(1).without_bias().start(he_fan_out).of(x)?;
    let y = g.batch_norm("bn_1", y)?;
    let (mut y, mut from) = (g.act(y)?, 64);
    for stage in 0..3 {
        for i in 0..3 {
            let stride = if stage > 0 && i == 0 { 2 } else { 1 };
            let to = 256 << stage;
            let inner = (base << stage) * cardinality;
            let place = format!("stage_{}.{i}", stage + 1);
            y = block(&mut g, &place, y, (from, inner, to), stride, cardinality)?;
            from = to;
        }
    }
    let y = g.global_avg_pool(y)?;
    let z = g.linear("classifier", classes).start(he).of(y)?;
    g.finish(z)
}

/// act(bn_expand(1×1(act(bn(3×3 in groups(act(bn_reduce(1×1(x)))))))) + shortcut(x)).
fn block(
    g: &mut Builder,
    place: &str,
    x: NodeId,
    (from, inner, to): (usize, usize, usize),
    stride: usize,
    groups: usize,
) -> Result<NodeId> {
    let name = |part: &str| format!("{place}.{part}");
    let y = g.conv(name("conv_reduce"), inner, 1).without_bias().start(he_fan_out).of(x)?;
    let y = g.batch_norm(name("bn_reduce"), y)?;
    let y = g.act(y)?;
    let grouped = g.conv(name("conv_conv"), inner, 3).stride(stride).padding(1).groups(groups);
    let y = grouped.without_bias().start(he_fan_out).of(y)?;
    let y = g.batch_norm(name("bn"), y)?;
    let y = g.act(y)?;
    let y = g.conv(name("conv_expand"), to, 1).without_bias().start(he_fan_out).of(y)?;
    let y = g.batch_norm(name("bn_expand"), y)?;
    let shortcut = if stride == 1 && from == to {
        x
    } else {
        let s = g.conv(name("downsample.0"), to, 1).stride(stride).without_bias().start(he_fan_out).of(x)?;
        g.batch_norm(name("downsample.1"), s)?
    };
    let sum = g.add(shortcut, y)?;
    g.act(sum)
}
