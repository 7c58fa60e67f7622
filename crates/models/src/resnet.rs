//! Residual networks with the stem for small images, as CIFAR's common repositories have them, or with torchvision's.

use crate::settings::{ACTIVATION, INIT, Input, MEAN, STD, Settings};
use crate::start::he_fan_out;
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, ParamDoc, ParamKind, Range, Result, Spec};
use gauntlet_graph::{Builder, Graph, Interpreter, Layer, NodeId, Start, Windows, torch_default};
use std::sync::Arc;

const WIDTH: ParamDoc = ParamDoc {
    name: "width",
    kind: ParamKind::Int(Range::at_least(1.0).at_most(1024.0)),
    default: "64",
    unit: "channels",
    doc: "channels of the first stage; each of the other three has twice those of the one before",
};
/// What stands before the first block.
pub(crate) const STEM: ParamDoc = ParamDoc {
    name: "stem",
    kind: ParamKind::Choice(&["3x3", "7x7"]),
    // Left out unless given: what was trained before there was a choice keeps its keys.
    default: "null",
    unit: "",
    doc: "the first layer: 3×3 for small images (the default), or 7×7 with stride 2 and a 3×3 max-pool with stride 2, as torchvision has it",
};
const NAMES: ParamDoc = ParamDoc {
    name: "names",
    kind: ParamKind::Choice(&["cifar", "torchvision"]),
    default: "null",
    unit: "",
    doc: "whose names the parameters have: shortcut and linear, or torchvision's downsample and fc; torchvision's with a 7×7 stem unless given",
};
const PARAMS: &[ParamDoc] = &[WIDTH, ACTIVATION, INIT, MEAN, STD, STEM, NAMES];

/// Registration of the one with 18 layers.
pub const SPEC_18: Spec<BuildModel> = Spec {
    name: "resnet18",
    summary: "ResNet-18 with a 3×3 stem for small images, 11.17 M parameters on CIFAR-10",
    formula: "conv3 64 – bn – act – 2, 2, 2, 2 basic blocks (64, 128, 256, 512) – global pooling – fc K",
    paper: "He et al. 2016 (CVPR)",
    params: PARAMS,
    numerics: 1,
    origin: "built-in",
    build: |args, task| Ok(Arc::new(Interpreter::new(resnet18(args, task.input, task.classes)?))),
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
    build: |args, task| Ok(Arc::new(Interpreter::new(resnet34(args, task.input, task.classes)?))),
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
    build: |args, task| Ok(Arc::new(Interpreter::new(resnet50(args, task.input, task.classes)?))),
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

/// A block at `x` of a width and stride, and the channels that it leaves.
type Block = fn(&mut Builder, &Place<'_>, NodeId, usize) -> Result<(NodeId, usize)>;

/// Where a block stands: its name, the shortcut's, the channels that come, the stride, and how convolutions start.
struct Place<'a> {
    name: String,
    shortcut: &'a str,
    from: usize,
    stride: usize,
    start: Start,
}

/// Whether the stem is the one for large images.
pub(crate) fn large_stem(args: &Args) -> Result<bool> {
    Ok(args.has("stem") && args.str("stem")? == "7x7")
}

/// Maxima of 3×3 windows with stride 2, one pixel around the image.
pub(crate) fn stem_pool(g: &mut Builder, x: NodeId) -> Result<NodeId> {
    let windows = Windows { size: (3, 3), strides: (2, 2), pads: [1; 4], dilations: (1, 1) };
    g.layer(Layer::WindowMax(windows), &[x])
}

/// `conv1`, `bn1`, `layer{1..4}.{i}.{conv1,bn1,conv2,bn2,conv3,bn3,shortcut.0,shortcut.1}`, `linear`; in torchvision `downsample`
/// and `fc`, whose convolutions start as He normal by fan_out.
fn graph(name: &str, blocks: [usize; 4], block: Block, args: &Args, input: Input, classes: usize) -> Result<Graph> {
    let width = args.usize("width")?;
    let (mut g, x) = Settings::new(name, args, input, classes)?.at_least(8)?.builder()?;
    let large = large_stem(args)?;
    let torchvision = match args.has("names") {
        true => args.str("names")? == "torchvision",
        false => large,
    };
    let start = if torchvision { he_fan_out } else { torch_default };
    let (size, stride) = if large { (7, 2) } else { (3, 1) };
    let y = g.conv("conv1", width, size).stride(stride).padding(size / 2).without_bias().start(start).of(x)?;
    let y = g.batch_norm("bn1", y)?;
    let (mut y, mut from) = (g.act(y)?, width);
    if large {
        y = stem_pool(&mut g, y)?;
    }
    let (shortcut, last) = if torchvision { ("downsample", "fc") } else { ("shortcut", "linear") };
    for (stage, count) in blocks.into_iter().enumerate() {
        for i in 0..count {
            let stride = if stage > 0 && i == 0 { 2 } else { 1 };
            let place = Place { name: format!("layer{}.{i}", stage + 1), shortcut, from, stride, start };
            (y, from) = block(&mut g, &place, y, width << stage)?;
        }
    }
    let y = g.global_avg_pool(y)?;
    let z = g.linear(last, classes).of(y)?;
    g.finish(z)
}

/// act(bn2(conv2(act(bn1(conv1(x))))) + shortcut(x)).
fn basic(g: &mut Builder, place: &Place<'_>, x: NodeId, to: usize) -> Result<(NodeId, usize)> {
    let Place { name, stride, start, .. } = place;
    let y = g.conv(format!("{name}.conv1"), to, 3).stride(*stride).padding(1).without_bias().start(*start).of(x)?;
    let y = g.batch_norm(format!("{name}.bn1"), y)?;
    let y = g.act(y)?;
    let y = g.conv(format!("{name}.conv2"), to, 3).padding(1).without_bias().start(*start).of(y)?;
    let y = g.batch_norm(format!("{name}.bn2"), y)?;
    Ok((joined(g, place, x, y, to)?, to))
}

/// act(bn3(conv3(act(bn2(conv2(act(bn1(conv1(x)))))))) + shortcut(x)): 1×1 to `to` channels, 3×3, 1×1 to four times as many.
fn bottleneck(g: &mut Builder, place: &Place<'_>, x: NodeId, to: usize) -> Result<(NodeId, usize)> {
    let Place { name, stride, start, .. } = place;
    let y = g.conv(format!("{name}.conv1"), to, 1).without_bias().start(*start).of(x)?;
    let y = g.batch_norm(format!("{name}.bn1"), y)?;
    let y = g.act(y)?;
    let y = g.conv(format!("{name}.conv2"), to, 3).stride(*stride).padding(1).without_bias().start(*start).of(y)?;
    let y = g.batch_norm(format!("{name}.bn2"), y)?;
    let y = g.act(y)?;
    let y = g.conv(format!("{name}.conv3"), 4 * to, 1).without_bias().start(*start).of(y)?;
    let y = g.batch_norm(format!("{name}.bn3"), y)?;
    Ok((joined(g, place, x, y, 4 * to)?, 4 * to))
}

/// act(y + x), where x passes a 1×1 convolution to `to` channels and batch norm if its shape is another.
fn joined(g: &mut Builder, place: &Place<'_>, x: NodeId, y: NodeId, to: usize) -> Result<NodeId> {
    let Place { name, shortcut, from, stride, start } = place;
    let shortcut = if *stride == 1 && *from == to {
        x
    } else {
        let conv = g.conv(format!("{name}.{shortcut}.0"), to, 1).stride(*stride).without_bias();
        let s = conv.start(*start).of(x)?;
        g.batch_norm(format!("{name}.{shortcut}.1"), s)?
    };
    let sum = g.add(y, shortcut)?;
    g.act(sum)
}
