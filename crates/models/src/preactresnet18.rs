//! The pre-activation ResNet-18 of adversarial training on CIFAR-10.

use crate::batch_norm;
use crate::normalise::{linear, normalise};
use crate::settings::{ACTIVATION, INIT, MEAN, STD, Settings};
use gauntlet_autograd::Var;
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{ModelInfo, Network, ParamDoc, ParamSpec, Params, Pass, Result, Spec};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "preactresnet18",
    summary: "pre-activation ResNet-18 with final batch norm, 11.17 M parameters on CIFAR-10",
    formula: "conv3 64 – 8 pre-activation blocks (64, 128, 256, 512) – bn – act – global pooling – fc K",
    paper: "He et al. 2016; Wong, Rice & Kolter 2020; Rice, Wong & Kolter 2020",
    params: &[
        ACTIVATION,
        INIT,
        MEAN,
        STD,
        ParamDoc {
            name: "shortcut",
            kind: "one of input, activation",
            // Left out unless given: what was trained before there was a choice keeps its keys.
            default: "null",
            unit: "",
            doc: "what a 1×1 shortcut reads: the block's input (the default; Wong et al.) or act(bn1(input)) (He et al., Rice et al.)",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, input, classes| {
        let settings = Settings::new("preactresnet18", args, input, classes)?.at_least(8)?;
        let activated = args.has("shortcut") && args.choice("shortcut", &["input", "activation"])? == "activation";
        Ok(Arc::new(PreActResNet18 { settings, activated }))
    },
};

/// `conv1`, `layer{1..4}.{0,1}.{bn1,conv1,bn2,conv2,shortcut.0}`, `bn`, `linear`, as in the authors' repositories.
///
/// A block computes conv2(act(bn2(conv1(act(bn1(x)))))) + s, where s is x, or in blocks that change width or size its 1×1
/// convolution: of x in Wong et al.'s code, of act(bn1(x)) in Rice et al.'s. `num_batches_tracked` is not kept; a file that has
/// it loads.
struct PreActResNet18 {
    settings: Settings,
    /// Whether 1×1 shortcuts read act(bn1(x)).
    activated: bool,
}

/// (layer, block, channels in, channels out, stride).
fn blocks() -> impl Iterator<Item = (usize, usize, usize, usize, usize)> {
    [(1, 64, 64, 1), (2, 64, 128, 2), (3, 128, 256, 2), (4, 256, 512, 2)]
        .into_iter()
        .flat_map(|(layer, from, to, stride)| [(layer, 0, from, to, stride), (layer, 1, to, to, 1)])
}

impl Network for PreActResNet18 {
    fn info(&self) -> &ModelInfo {
        &self.settings.info
    }
    fn specs(&self) -> Vec<ParamSpec> {
        let (c, _, _) = self.settings.info.input;
        // Convolutions have no bias: batch norm follows.
        let conv = |name: &str, shape: &[usize]| {
            let [weight, _] = self.settings.layer(name, shape, None);
            weight
        };
        let mut specs = vec![conv("conv1", &[64, c, 3, 3])];
        for (layer, block, from, to, stride) in blocks() {
            let name = format!("layer{layer}.{block}");
            specs.extend(batch_norm::specs(&format!("{name}.bn1"), from));
            specs.push(conv(&format!("{name}.conv1"), &[to, from, 3, 3]));
            specs.extend(batch_norm::specs(&format!("{name}.bn2"), to));
            specs.push(conv(&format!("{name}.conv2"), &[to, to, 3, 3]));
            if stride != 1 || from != to {
                specs.push(conv(&format!("{name}.shortcut.0"), &[to, from, 1, 1]));
            }
        }
        specs.extend(batch_norm::specs("bn", 512));
        specs.extend(self.settings.layer("linear", &[self.settings.info.classes, 512], None));
        specs
    }
    fn forward(&self, params: &Params, x: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        let act = self.settings.info.activation;
        let conv = |name: &str, x: &Var, stride, padding| -> Result<Var> {
            Ok(x.conv2d(params.get(&format!("{name}.weight"))?, None, stride, padding)?)
        };
        let mut y = conv("conv1", &normalise(&self.settings.info, x)?, 1, 1)?;
        for (layer, block, from, to, stride) in blocks() {
            let name = format!("layer{layer}.{block}");
            let active = batch_norm::apply(params, &format!("{name}.bn1"), &y, act, pass)?;
            let shortcut = if stride != 1 || from != to {
                let read = if self.activated { &active } else { &y };
                conv(&format!("{name}.shortcut.0"), read, stride, 0)?
            } else {
                y
            };
            let inner = conv(&format!("{name}.conv1"), &active, stride, 1)?;
            let inner = batch_norm::apply(params, &format!("{name}.bn2"), &inner, act, pass)?;
            y = conv(&format!("{name}.conv2"), &inner, 1, 1)?.add(&shortcut)?;
        }
        let y = batch_norm::apply(params, "bn", &y, act, pass)?;
        let (n, c) = (y.dim(0)?, y.dim(1)?);
        let pooled = y.mean_keepdim(&[2, 3])?.reshape(&[n, c])?;
        linear(params, "linear", &pooled)
    }
}
