//! Wide residual networks, the large architecture of adversarial training on CIFAR-10.

use crate::settings::{ACTIVATION, INIT, Input, MEAN, STD, Settings};
use crate::start::{he_fan_out, torch_zero_bias};
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, Error, ParamDoc, Result, Spec};
use gauntlet_graph::{Graph, Interpreter};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "wideresnet",
    summary: "wide residual network, by default WRN-34-10 with 46.16 M parameters on CIFAR-10",
    formula: "conv3 16 – 3 · (depth − 4)/6 pre-activation blocks (16k, 32k, 64k) – bn – act – global pooling – fc K",
    paper: "Zagoruyko & Komodakis 2016; Madry et al. 2018; Zhang et al. 2019 (TRADES)",
    params: &[
        ParamDoc { name: "depth", kind: "int", default: "34", unit: "layers", doc: "6n + 4: n blocks of each width" },
        ParamDoc { name: "width", kind: "int", default: "10", unit: "", doc: "the factor k of all widths" },
        ACTIVATION,
        INIT,
        MEAN,
        STD,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, input, classes| Ok(Arc::new(Interpreter::new(graph(args, input, classes)?))),
};

/// `conv1`, `block{1..3}.layer.{i}.{bn1,conv1,bn2,conv2,convShortcut}`, `bn1`, `fc`, as in the code of TRADES.
///
/// A block whose width or size changes activates its input first, for its shortcut too; another one only for its convolutions.
/// Convolutions have no bias: batch norm follows. He's initialiser counts their outputs.
pub(crate) fn graph(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    let (depth, k) = (args.usize("depth", 10)?, args.usize("width", 1)?);
    if depth % 6 != 4 || depth > 1000 {
        return Err(Error::value("wideresnet.depth", format!("must be 6n + 4, such as 28 or 34, got {depth}")));
    }
    if k > 100 {
        return Err(Error::value("wideresnet.width", format!("must be at most 100, got {k}")));
    }
    let (mut g, x) = Settings::new("wideresnet", args, input, classes)?.at_least(8)?.builder()?;
    let mut y = g.conv("conv1", 16, 3).padding(1).without_bias().start(he_fan_out).of(x)?;
    for Block { name, from, to, stride } in blocks((depth - 4) / 6, k) {
        let normal = g.batch_norm(format!("{name}.bn1"), y)?;
        let active = g.act(normal)?;
        let projected = if from != to {
            let shortcut = g.conv(format!("{name}.convShortcut"), to, 1).stride(stride).without_bias();
            Some(shortcut.start(he_fan_out).of(active)?)
        } else {
            None
        };
        let inner = g.conv(format!("{name}.conv1"), to, 3).stride(stride).padding(1).without_bias();
        let inner = inner.start(he_fan_out).of(active)?;
        let inner = g.batch_norm(format!("{name}.bn2"), inner)?;
        let inner = g.act(inner)?;
        let inner = g.conv(format!("{name}.conv2"), to, 3).padding(1).without_bias().start(he_fan_out).of(inner)?;
        if let Some(shortcut) = projected {
            g.list_after(shortcut, inner)?;
        }
        y = g.add(inner, projected.unwrap_or(y))?;
    }
    let y = g.batch_norm("bn1", y)?;
    let y = g.act(y)?;
    let y = g.global_avg_pool(y)?;
    let z = g.linear("fc", classes).start(torch_zero_bias).of(y)?;
    g.finish(z)
}

struct Block {
    name: String,
    from: usize,
    to: usize,
    stride: usize,
}

/// `n` blocks of each width, `k` times the narrowest network's.
fn blocks(n: usize, k: usize) -> impl Iterator<Item = Block> {
    [(1, 16, 16 * k, 1), (2, 16 * k, 32 * k, 2), (3, 32 * k, 64 * k, 2)].into_iter().flat_map(
        move |(group, from, to, stride)| {
            (0..n).map(move |i| Block {
                name: format!("block{group}.layer.{i}"),
                from: if i == 0 { from } else { to },
                to,
                stride: if i == 0 { stride } else { 1 },
            })
        },
    )
}
