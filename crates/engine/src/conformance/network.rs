//! The network that recipes are checked on: small, and smooth, so that central differences say something.

use gauntlet_autograd::Var;
use gauntlet_core::{Activation, Init, ModelInfo, Network, ParamSpec, Params, Pass, Result};
use gauntlet_graph::{Builder, Graph};
use std::any::Any;

/// Channels, height, width.
pub(super) const INPUT: (usize, usize, usize) = (2, 4, 4);
/// Classes.
pub(super) const CLASSES: usize = 4;
/// The layer that sees the pixels.
pub(super) const FIRST: &str = "hidden.weight";
/// The layers that make the logits.
pub(super) const LAST: [&str; 2] = ["out.weight", "out.bias"];

const HIDDEN: usize = 9;

/// W₂ · softplus(W₁ x/s + b₁) + b₂.
pub(super) struct Smooth {
    info: ModelInfo,
    /// The same layers, for recipes that bound them.
    layers: Option<Graph>,
}

impl Smooth {
    /// With a standard deviation s that pixels are divided by (1: none).
    pub(super) fn new(std: f64) -> Self {
        let std = if std == 1.0 { Vec::new() } else { vec![std; INPUT.0] };
        let info = ModelInfo {
            name: "smooth".into(),
            input: INPUT,
            classes: CLASSES,
            activation: Activation::Softplus,
            mean: Vec::new(),
            std,
            numerics: 1,
        };
        Smooth { layers: layers(&info).ok(), info }
    }
}

fn layers(info: &ModelInfo) -> Result<Graph> {
    let mut g = Builder::new(info.clone());
    let x = g.input();
    let x = match info.std.first() {
        Some(std) => g.affine(x, vec![1.0 / std; INPUT.0], vec![0.0; INPUT.0])?,
        None => x,
    };
    let x = g.flatten(x)?;
    let hidden = g.linear("hidden", HIDDEN).of(x)?;
    let hidden = g.act(hidden)?;
    let z = g.linear("out", CLASSES).of(hidden)?;
    g.finish(z)
}

impl Network for Smooth {
    fn info(&self) -> &ModelInfo {
        &self.info
    }
    fn specs(&self) -> Vec<ParamSpec> {
        let pixels = INPUT.0 * INPUT.1 * INPUT.2;
        let spec = |name: &str, shape: &[usize], std: f64| ParamSpec {
            name: name.into(),
            shape: shape.to_vec(),
            // Wide enough for curvature: near zero a softplus is almost linear.
            init: Init::Normal { std, truncated: true },
            trainable: true,
        };
        vec![
            spec(FIRST, &[HIDDEN, pixels], 0.5),
            spec("hidden.bias", &[HIDDEN], 0.5),
            spec(LAST[0], &[CLASSES, HIDDEN], 0.7),
            spec(LAST[1], &[CLASSES], 0.3),
        ]
    }
    fn layers(&self) -> Option<&dyn Any> {
        Some(self.layers.as_ref()?)
    }
    fn forward(&self, params: &Params, x: &Var, _: &mut Pass<'_>) -> Result<Var> {
        let scale = self.info.std.first().map_or(1.0, |s| 1.0 / s);
        let x = x.affine(scale, 0.0)?.flatten()?;
        let hidden = x.linear(params.get(FIRST)?, Some(params.get("hidden.bias")?))?.softplus()?;
        Ok(hidden.linear(params.get(LAST[0])?, Some(params.get(LAST[1])?))?)
    }
}
