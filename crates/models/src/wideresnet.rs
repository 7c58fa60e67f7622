//! Wide residual networks, the large architecture of adversarial training on CIFAR-10.

use crate::settings::{ACTIVATION, INIT, Input, MEAN, STD, Settings};
use crate::start::{he_fan_out, torch_zero_bias};
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, Error, ParamDoc, ParamKind, Range, Result, Spec};
use gauntlet_graph::{Builder, Graph, Interpreter, NodeId, Start, torch_default};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "wideresnet",
    summary: "wide residual network, by default WRN-34-10 with 46.16 M parameters on CIFAR-10",
    formula: "conv3 16 – 3 · (depth − 4)/6 pre-activation blocks (16k, 32k, 64k) – bn – act – global pooling – fc K",
    paper: "Zagoruyko & Komodakis 2016; Madry et al. 2018; Zhang et al. 2019 (TRADES); Gowal et al. 2020; Huang et al. 2021",
    params: &[
        ParamDoc {
            name: "depth",
            kind: ParamKind::Int(Range::at_least(10.0).at_most(1000.0)),
            default: "34",
            unit: "layers",
            doc: "6n + 4: n blocks of each width",
        },
        ParamDoc {
            name: "width",
            kind: ParamKind::Int(Range::at_least(1.0).at_most(100.0)),
            default: "10",
            unit: "",
            doc: "the factor k of all widths",
        },
        ACTIVATION,
        INIT,
        MEAN,
        STD,
        // The following are left out unless given: what was trained before there was a choice keeps its keys.
        ParamDoc {
            name: "layout",
            kind: ParamKind::Choice(&["trades", "deepmind", "huang"]),
            default: "null",
            unit: "",
            doc: "whose code it is: TRADES' (the default); DeepMind's, which pads by (0, 1, 0, 1) where the stride is 2; Huang et al.'s; \
                  a checkpoint has the names of its own",
        },
        ParamDoc {
            name: "widths",
            kind: ParamKind::Ints(Range::at_least(1.0).at_most(6400.0)),
            default: "null",
            unit: "channels",
            doc: "channels of the three groups of blocks instead of 16k, 32k, 64k",
        },
        ParamDoc {
            name: "dropout",
            kind: ParamKind::Float(Range::at_least(0.0).below(1.0)),
            default: "null",
            unit: "",
            doc: "chance that a unit between the two convolutions of a block is dropped in training; none unless given",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, task| Ok(Arc::new(Interpreter::new(graph(args, task.input, task.classes)?))),
};

/// `conv1`, `block{1..3}.layer.{i}.{bn1,conv1,bn2,conv2,convShortcut}`, `bn1`, `fc`, as in the code of TRADES; in DeepMind's
/// `init_conv`, `layer.{0..2}.block.{i}.{batchnorm_0,conv_0,batchnorm_1,conv_1,shortcut}`, `batchnorm`, `logits`; in that of Huang et al.
/// `stem_conv` and `blocks.{0..2}` instead of `conv1` and `block{1..3}`.
///
/// A block whose width changes activates its input first, for its shortcut too; another one only for its convolutions.
/// Convolutions have no bias: batch norm follows. He's initialiser counts their outputs; DeepMind's code has PyTorch's.
pub(crate) fn graph(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    let (depth, k) = (args.usize("depth")?, args.usize("width")?);
    if depth % 6 != 4 {
        return Err(Error::value("wideresnet.depth", format!("must be 6n + 4, such as 28 or 34, got {depth}")));
    }
    let widths = if args.has("widths") { widths(args.usizes("widths")?)? } else { [16 * k, 32 * k, 64 * k] };
    let layout = match args.has("layout") {
        true => args.str("layout")?,
        false => "trades",
    };
    let dropout = match args.has("dropout") {
        true => args.f64("dropout")?,
        false => 0.0,
    };
    let names = Names::of(layout);
    let (mut g, x) = Settings::new("wideresnet", args, input, classes)?.at_least(8)?.builder()?;
    let mut y = g.conv(names.stem, 16, 3).padding(1).without_bias().start(names.start).of(x)?;
    let mut from = 16;
    for (group, to) in widths.into_iter().enumerate() {
        for i in 0..(depth - 4) / 6 {
            let stride = if group > 0 && i == 0 { 2 } else { 1 };
            y = names.block(&mut g, y, &(names.place)(group, i), (from, to, stride), dropout)?;
            from = to;
        }
    }
    let y = g.batch_norm(names.last_norm, y)?;
    let y = g.act(y)?;
    let y = g.global_avg_pool(y)?;
    let last = g.linear(names.last, classes);
    let z = if layout == "deepmind" { last.of(y)? } else { last.start(torch_zero_bias).of(y)? };
    g.finish(z)
}

/// Three widths of groups of blocks.
fn widths(given: Vec<usize>) -> Result<[usize; 3]> {
    given.try_into().map_err(|given| {
        let why = format!("must be three numbers of channels, such as [320, 640, 512], got {given:?}");
        Error::value("wideresnet.widths", why)
    })
}

/// What a layout calls its layers, and how it pads and starts them.
struct Names {
    stem: &'static str,
    place: fn(usize, usize) -> String,
    /// The two norms, the two convolutions and the shortcut of a block.
    parts: [&'static str; 5],
    last_norm: &'static str,
    last: &'static str,
    /// Zeros around an image where the stride is 2: above, left, below, right.
    pads: [usize; 4],
    start: Start,
}

impl Names {
    fn of(layout: &str) -> Self {
        let trades = Names {
            stem: "conv1",
            place: |group, i| format!("block{}.layer.{i}", group + 1),
            parts: ["bn1", "bn2", "conv1", "conv2", "convShortcut"],
            last_norm: "bn1",
            last: "fc",
            pads: [1; 4],
            start: he_fan_out,
        };
        match layout {
            "deepmind" => Names {
                stem: "init_conv",
                place: |group, i| format!("layer.{group}.block.{i}"),
                parts: ["batchnorm_0", "batchnorm_1", "conv_0", "conv_1", "shortcut"],
                last_norm: "batchnorm",
                last: "logits",
                pads: [0, 0, 1, 1],
                start: torch_default,
            },
            "huang" => Names { stem: "stem_conv", place: |group, i| format!("blocks.{group}.layer.{i}"), ..trades },
            _ => trades,
        }
    }

    /// conv2(act(bn2(conv1(act(bn1(x)))))) + s, where s is x or, where the width changes, a 1×1 convolution of act(bn1(x)).
    fn block(
        &self,
        g: &mut Builder,
        x: NodeId,
        place: &str,
        (from, to, stride): (usize, usize, usize),
        dropout: f64,
    ) -> Result<NodeId> {
        let [bn1, bn2, conv1, conv2, shortcut] = self.parts.map(|part| format!("{place}.{part}"));
        let normal = g.batch_norm(bn1, x)?;
        let active = g.act(normal)?;
        let projected = if from != to {
            let shortcut = g.conv(shortcut, to, 1).stride(stride).without_bias();
            Some(shortcut.start(self.start).of(active)?)
        } else {
            None
        };
        let inner = g.conv(conv1, to, 3).stride(stride).without_bias().start(self.start);
        let inner = if stride == 2 && self.pads != [1; 4] { inner.pads(self.pads) } else { inner.padding(1) };
        let inner = inner.of(active)?;
        let inner = g.batch_norm(bn2, inner)?;
        let mut inner = g.act(inner)?;
        if dropout > 0.0 {
            inner = g.dropout(inner, dropout)?;
        }
        let inner = g.conv(conv2, to, 3).padding(1).without_bias().start(self.start).of(inner)?;
        if let Some(shortcut) = projected {
            g.list_after(shortcut, inner)?;
        }
        g.add(inner, projected.unwrap_or(x))
    }
}
