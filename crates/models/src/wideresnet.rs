//! Wide residual networks, the large architecture of adversarial training on CIFAR-10.

use crate::batch_norm;
use crate::normalise::{linear, normalise};
use crate::settings::{ACTIVATION, INIT, MEAN, STD, Settings};
use gauntlet_autograd::Var;
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Error, Init, ModelInfo, Network, ParamDoc, ParamSpec, Params, Pass, Result, Spec};
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
    build: |args, input, classes| {
        let (depth, width) = (args.usize("depth", 10)?, args.usize("width", 1)?);
        if depth % 6 != 4 || depth > 1000 {
            return Err(Error::value("wideresnet.depth", format!("must be 6n + 4, such as 28 or 34, got {depth}")));
        }
        if width > 100 {
            return Err(Error::value("wideresnet.width", format!("must be at most 100, got {width}")));
        }
        let settings = Settings::new("wideresnet", args, input, classes)?.at_least(8)?;
        Ok(Arc::new(WideResNet { settings, blocks: (depth - 4) / 6, width }))
    },
};

/// `conv1`, `block{1..3}.layer.{i}.{bn1,conv1,bn2,conv2,convShortcut}`, `bn1`, `fc`, as in the code of TRADES.
///
/// A block whose width or size changes activates its input first, for its shortcut too; another one only for its convolutions.
struct WideResNet {
    settings: Settings,
    /// Blocks of each width.
    blocks: usize,
    width: usize,
}

struct Block {
    name: String,
    from: usize,
    to: usize,
    stride: usize,
}

impl WideResNet {
    fn blocks(&self) -> impl Iterator<Item = Block> {
        let (n, k) = (self.blocks, self.width);
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
}

impl Network for WideResNet {
    fn info(&self) -> &ModelInfo {
        &self.settings.info
    }
    fn specs(&self) -> Vec<ParamSpec> {
        let (c, _, _) = self.settings.info.input;
        // Convolutions have no bias: batch norm follows. He's initialiser counts their outputs.
        let conv = |name: &str, [to, from, side]: [usize; 3]| {
            let own = (Init::HeNormal { fan: to * side * side }, Init::Constant(0.0));
            let [weight, _] = self.settings.layer(name, &[to, from, side, side], Some(own));
            weight
        };
        let mut specs = vec![conv("conv1", [16, c, 3])];
        for Block { name, from, to, .. } in self.blocks() {
            specs.extend(batch_norm::specs(&format!("{name}.bn1"), from));
            specs.push(conv(&format!("{name}.conv1"), [to, from, 3]));
            specs.extend(batch_norm::specs(&format!("{name}.bn2"), to));
            specs.push(conv(&format!("{name}.conv2"), [to, to, 3]));
            if from != to {
                specs.push(conv(&format!("{name}.convShortcut"), [to, from, 1]));
            }
        }
        let last = 64 * self.width;
        specs.extend(batch_norm::specs("bn1", last));
        let torch = Init::TorchDefault { fan_in: last };
        let own = Some((torch, Init::Constant(0.0)));
        specs.extend(self.settings.layer("fc", &[self.settings.info.classes, last], own));
        specs
    }
    fn forward(&self, params: &Params, x: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        let act = self.settings.info.activation;
        let conv = |name: &str, x: &Var, stride, padding| -> Result<Var> {
            Ok(x.conv2d(params.get(&format!("{name}.weight"))?, None, stride, padding)?)
        };
        let mut y = conv("conv1", &normalise(&self.settings.info, x)?, 1, 1)?;
        for Block { name, from, to, stride } in self.blocks() {
            let active = batch_norm::apply(params, &format!("{name}.bn1"), &y, act, pass)?;
            let shortcut = if from != to { conv(&format!("{name}.convShortcut"), &active, stride, 0)? } else { y };
            let inner = conv(&format!("{name}.conv1"), &active, stride, 1)?;
            let inner = batch_norm::apply(params, &format!("{name}.bn2"), &inner, act, pass)?;
            y = conv(&format!("{name}.conv2"), &inner, 1, 1)?.add(&shortcut)?;
        }
        let y = batch_norm::apply(params, "bn1", &y, act, pass)?;
        let (n, c) = (y.dim(0)?, y.dim(1)?);
        let pooled = y.mean_keepdim(&[2, 3])?.reshape(&[n, c])?;
        linear(params, "fc", &pooled)
    }
}
