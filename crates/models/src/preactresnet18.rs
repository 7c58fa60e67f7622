//! The pre-activation ResNet-18 of adversarial training on CIFAR-10.

use crate::settings::{ACTIVATION, INIT, Input, MEAN, STD, Settings};
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, Error, ParamDoc, ParamKind, Result, Spec};
use gauntlet_graph::{Builder, Graph, Interpreter, NodeId};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "preactresnet18",
    summary: "pre-activation ResNet-18 with final batch norm, 11.17 M parameters on CIFAR-10",
    formula: "conv3 64 – 8 pre-activation blocks (64, 128, 256, 512) – bn – act – global pooling – fc K",
    paper: "He et al. 2016; Wong, Rice & Kolter 2020; Rice, Wong & Kolter 2020; Gowal et al. 2020",
    params: &[
        ACTIVATION,
        INIT,
        MEAN,
        STD,
        ParamDoc {
            name: "shortcut",
            kind: ParamKind::Choice(&["input", "activation"]),
            // Left out unless given: what was trained before there was a choice keeps its keys.
            default: "null",
            unit: "",
            doc: "what a 1×1 shortcut reads: the block's input (the default; Wong et al.) or act(bn1(input)) (He et al., Rice et al.)",
        },
        ParamDoc {
            name: "final-norm",
            kind: ParamKind::Bool,
            default: "null",
            unit: "",
            doc: "whether batch norm and activation follow the last block: true unless given; false in the code of Andriushchenko & Flammarion \
                  and in the leaderboard's for Wong et al.",
        },
        ParamDoc {
            name: "layout",
            kind: ParamKind::Choice(&["wong", "deepmind"]),
            default: "null",
            unit: "",
            doc: "whose code it is: Wong et al.'s (the default), or DeepMind's, whose shortcuts are 3×3 convolutions of the block's input and \
                  which pads by (0, 1, 0, 1) where the stride is 2; a checkpoint has the names of its own",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, task| Ok(Arc::new(Interpreter::new(graph(args, task.input, task.classes)?))),
};

/// `conv1`, `layer{1..4}.{0,1}.{bn1,conv1,bn2,conv2,shortcut.0}`, `bn`, `linear`, as in the authors' repositories.
///
/// A block computes conv2(act(bn2(conv1(act(bn1(x)))))) + s, where s is x, or in blocks that change width or size its 1×1
/// convolution: of x in Wong et al.'s code, of act(bn1(x)) in Rice et al.'s. Convolutions have no bias: batch norm follows.
/// `num_batches_tracked` is not kept; a file that has it loads.
pub(crate) fn graph(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    if args.has("layout") && args.str("layout")? == "deepmind" {
        return deepmind(args, input, classes);
    }
    let final_norm = !args.has("final-norm") || args.bool("final-norm")?;
    let (mut g, x) = Settings::new("preactresnet18", args, input, classes)?.at_least(8)?.builder()?;
    let activated = args.has("shortcut") && args.str("shortcut")? == "activation";
    let mut y = g.conv("conv1", 64, 3).padding(1).without_bias().of(x)?;
    for (layer, block, from, to, stride) in blocks() {
        let name = |part: &str| format!("layer{layer}.{block}.{part}");
        let normal = g.batch_norm(name("bn1"), y)?;
        let active = g.act(normal)?;
        let projected = if stride != 1 || from != to {
            let read = if activated { active } else { y };
            Some(g.conv(name("shortcut.0"), to, 1).stride(stride).without_bias().of(read)?)
        } else {
            None
        };
        let inner = g.conv(name("conv1"), to, 3).stride(stride).padding(1).without_bias().of(active)?;
        let inner = g.batch_norm(name("bn2"), inner)?;
        let inner = g.act(inner)?;
        let inner = g.conv(name("conv2"), to, 3).padding(1).without_bias().of(inner)?;
        if let Some(shortcut) = projected {
            g.list_after(shortcut, inner)?;
        }
        y = g.add(inner, projected.unwrap_or(y))?;
    }
    if final_norm {
        y = g.batch_norm("bn", y)?;
        y = g.act(y)?;
    }
    let y = g.global_avg_pool(y)?;
    let z = g.linear("linear", classes).of(y)?;
    g.finish(z)
}

/// `conv_2d`, `layer_{0..3}.{0,1}.{batchnorm_0,conv_2d_1,batchnorm_1,conv_2d_2,shortcut}`, `batchnorm`, `logits`, as in DeepMind's code.
///
/// A block's shortcut, where it changes width or size, is a 3×3 convolution of its input.
fn deepmind(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    for (key, why) in [("shortcut", "reads the block's input"), ("final-norm", "ends in batch norm")] {
        if args.has(key) {
            return Err(Error::value(
                format!("preactresnet18.{key}"),
                format!("layout = \"deepmind\" {why}; leave it out"),
            ));
        }
    }
    let (mut g, x) = Settings::new("preactresnet18", args, input, classes)?.at_least(8)?.builder()?;
    let mut y = g.conv("conv_2d", 64, 3).padding(1).without_bias().of(x)?;
    for (layer, block, from, to, stride) in blocks() {
        let name = |part: &str| format!("layer_{}.{block}.{part}", layer - 1);
        let normal = g.batch_norm(name("batchnorm_0"), y)?;
        let active = g.act(normal)?;
        let moved = |g: &mut Builder, part: &str, at: NodeId| {
            let conv = g.conv(name(part), to, 3).stride(stride).without_bias();
            if stride == 2 { conv.pads([0, 0, 1, 1]).of(at) } else { conv.padding(1).of(at) }
        };
        let projected = if stride != 1 || from != to { Some(moved(&mut g, "shortcut", y)?) } else { None };
        let inner = moved(&mut g, "conv_2d_1", active)?;
        let inner = g.batch_norm(name("batchnorm_1"), inner)?;
        let inner = g.act(inner)?;
        let inner = g.conv(name("conv_2d_2"), to, 3).padding(1).without_bias().of(inner)?;
        if let Some(shortcut) = projected {
            g.list_after(shortcut, inner)?;
        }
        y = g.add(inner, projected.unwrap_or(y))?;
    }
    let y = g.batch_norm("batchnorm", y)?;
    let y = g.act(y)?;
    let y = g.global_avg_pool(y)?;
    let z = g.linear("logits", classes).of(y)?;
    g.finish(z)
}

/// (layer, block, channels in, channels out, stride).
fn blocks() -> impl Iterator<Item = (usize, usize, usize, usize, usize)> {
    [(1, 64, 64, 1), (2, 64, 128, 2), (3, 128, 256, 2), (4, 256, 512, 2)]
        .into_iter()
        .flat_map(|(layer, from, to, stride)| [(layer, 0, from, to, stride), (layer, 1, to, to, 1)])
}
