//! Residual networks with the stem for small images, as CIFAR's common repositories have them.

use crate::settings::{ACTIVATION, INIT, Input, MEAN, STD, Settings};
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, Error, ParamDoc, Result, Spec};
use gauntlet_graph::{Builder, Graph, Interpreter, NodeId};
use std::sync::Arc;

const WIDTH: ParamDoc = ParamDoc {
    name: "width",
    kind: "int",
    default: "64",
    unit: "channels",
    doc: "channels of the first stage; each of the other three has twice those of the one before",
};
const PARAMS: &[ParamDoc] = &[WIDTH, ACTIVATION, INIT, MEAN, STD];

/// Registration of the one with 18 layers.
pub const SPEC_18: Spec<BuildModel> = Spec {
    name: "resnet18",
    summary: "ResNet-18 with a 3×3 stem for small images, 11.17 M parameters on CIFAR-10",
    formula: "conv3 64 – bn – act – 2, 2, 2, 2 basic blocks (64, 128, 256, 512) – global pooling – fc K",
    paper: "He et al. 2016 (CVPR)",
    params: PARAMS,
    numerics: 1,
    origin: "built-in",
    build: |args, input, classes| Ok(Arc::new(Interpreter::new(resnet18(args, input, classes)?))),
};

/// Registration of the one with 34 layers.
pub const SPEC_34: Spec<BuildModel> = Spec {
    name: "resnet34",
    summary: "ResNet-34 with a 3×3 stem for small images, 21.28 M parameters on CIFAR-10",
    formula: "conv3 64 – bn – act – 3, 4, 6, 3 basic blocks (64, 128, 256, 512) – global pooling – fc K",
    paper: "He et al. 2016 (CVPR)",
    params: PARAMS,
    numerics: 1,
    origin: "built-in",
    build: |args, input, classes| Ok(Arc::new(Interpreter::new(resnet34(args, input, classes)?))),
};

/// Registration of the one with 50 layers.
pub const SPEC_50: Spec<BuildModel> = Spec {
    name: "resnet50",
    summary: "ResNet-50 with a 3×3 stem for small images, 23.52 M parameters on CIFAR-10",
    formula: "conv3 64 – bn – act – 3, 4, 6, 3 bottlenecks (256, 512, 1024, 2048) – global pooling – fc K",
    paper: "He et al. 2016 (CVPR)",
    params: PARAMS,
    numerics: 1,
    origin: "built-in",
    build: |args, input, classes| Ok(Arc::new(Interpreter::new(resnet50(args, input, classes)?))),
};

pub(crate) fn resnet18(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    graph("resnet18", [2, 2, 2, 2], basic, args, input, classes)
}
pub(crate) fn resnet34(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    graph("resnet34", [3, 4, 6, 3], basic, args, input, classes)
}
pub(crate) fn resnet50(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    graph("resnet50", [3, 4, 6, 3], bottleneck, args, input, classes)
}

/// A block `name` of that many channels and stride, at `x`, which has so many channels.
type Block = fn(&mut Builder, &str, NodeId, usize, usize, usize) -> Result<(NodeId, usize)>;

/// `conv1`, `bn1`, `layer{1..4}.{i}.{conv1,bn1,conv2,bn2,conv3,bn3,shortcut.0,shortcut.1}`, `linear`.
fn graph(name: &str, blocks: [usize; 4], block: Block, args: &Args, input: Input, classes: usize) -> Result<Graph> {
    let width = args.usize("width", 1)?;
    if width > 1024 {
        return Err(Error::value(format!("{name}.width"), format!("must be at most 1024, got {width}")));
    }
    let (mut g, x) = Settings::new(name, args, input, classes)?.at_least(8)?.builder()?;
    let y = g.conv("conv1", width, 3).padding(1).without_bias().of(x)?;
    let y = g.batch_norm("bn1", y)?;
    let (mut y, mut from) = (g.act(y)?, width);
    for (stage, count) in blocks.into_iter().enumerate() {
        for i in 0..count {
            let stride = if stage > 0 && i == 0 { 2 } else { 1 };
            let place = format!("layer{}.{i}", stage + 1);
            (y, from) = block(&mut g, &place, y, from, width << stage, stride)?;
        }
    }
    let y = g.global_avg_pool(y)?;
    let z = g.linear("linear", classes).of(y)?;
    g.finish(z)
}

/// act(bn2(conv2(act(bn1(conv1(x))))) + shortcut(x)).
fn basic(g: &mut Builder, name: &str, x: NodeId, from: usize, to: usize, stride: usize) -> Result<(NodeId, usize)> {
    let y = g.conv(format!("{name}.conv1"), to, 3).stride(stride).padding(1).without_bias().of(x)?;
    let y = g.batch_norm(format!("{name}.bn1"), y)?;
    let y = g.act(y)?;
    let y = g.conv(format!("{name}.conv2"), to, 3).padding(1).without_bias().of(y)?;
    let y = g.batch_norm(format!("{name}.bn2"), y)?;
    Ok((joined(g, name, x, y, (from, to, stride))?, to))
}

/// act(bn3(conv3(act(bn2(conv2(act(bn1(conv1(x)))))))) + shortcut(x)): 1×1 to `to` channels, 3×3, 1×1 to four times as many.
fn bottleneck(
    g: &mut Builder,
    name: &str,
    x: NodeId,
    from: usize,
    to: usize,
    stride: usize,
) -> Result<(NodeId, usize)> {
    let y = g.conv(format!("{name}.conv1"), to, 1).without_bias().of(x)?;
    let y = g.batch_norm(format!("{name}.bn1"), y)?;
    let y = g.act(y)?;
    let y = g.conv(format!("{name}.conv2"), to, 3).stride(stride).padding(1).without_bias().of(y)?;
    let y = g.batch_norm(format!("{name}.bn2"), y)?;
    let y = g.act(y)?;
    let y = g.conv(format!("{name}.conv3"), 4 * to, 1).without_bias().of(y)?;
    let y = g.batch_norm(format!("{name}.bn3"), y)?;
    Ok((joined(g, name, x, y, (from, 4 * to, stride))?, 4 * to))
}

/// act(y + x), where x passes a 1×1 convolution and batch norm if its shape is another.
fn joined(
    g: &mut Builder,
    name: &str,
    x: NodeId,
    y: NodeId,
    (from, to, stride): (usize, usize, usize),
) -> Result<NodeId> {
    let shortcut = if stride == 1 && from == to {
        x
    } else {
        let s = g.conv(format!("{name}.shortcut.0"), to, 1).stride(stride).without_bias().of(x)?;
        g.batch_norm(format!("{name}.shortcut.1"), s)?
    };
    let sum = g.add(y, shortcut)?;
    g.act(sum)
}
