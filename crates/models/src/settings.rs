//! What every architecture can be told: activation, initialiser, normalisation.

use crate::start;
use gauntlet_core::{Activation, Args, Error, ModelInfo, ParamDoc, ParamKind, Range, Result};
use gauntlet_graph::{Builder, NodeId, Start, torch_default};

/// Channels, height, width of an image.
pub(crate) type Input = (usize, usize, usize);

/// The parameter `activation`.
pub(crate) const ACTIVATION: ParamDoc = ParamDoc {
    name: "activation",
    kind: ParamKind::Choice(&["relu", "softplus", "gelu", "silu", "leaky-relu", "elu", "tanh", "sigmoid"]),
    default: "\"relu\"",
    unit: "",
    doc: "smooth ones make input-gradient penalties far more effective",
};
/// The parameter `init`.
pub(crate) const INIT: ParamDoc = ParamDoc {
    name: "init",
    kind: ParamKind::Choice(&["default", "torch", "he", "he-truncated", "xavier"]),
    default: "\"default\"",
    unit: "",
    doc: "the architecture's own, PyTorch's default (uniform ±1/√fan_in), He normal (also cut at two deviations) with \
          zero biases, or Xavier uniform with PyTorch's biases",
};
/// The parameter `mean`.
pub(crate) const MEAN: ParamDoc = ParamDoc {
    name: "mean",
    kind: ParamKind::Floats(Range::ANY),
    default: "[]",
    unit: "pixels",
    doc: "per-channel mean subtracted inside the model",
};
/// The parameter `std`.
pub(crate) const STD: ParamDoc = ParamDoc {
    name: "std",
    kind: ParamKind::Floats(Range::above(0.0)),
    default: "[]",
    unit: "pixels",
    doc: "per-channel standard deviation divided by inside the model",
};

/// Parameters shared by most architectures, for their `Spec`s.
pub(crate) const PARAMS: &[ParamDoc] = &[ACTIVATION, INIT, MEAN, STD];

/// Resolved settings of one model.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name, input, classes, activation, normalisation.
    pub info: ModelInfo,
    /// What `init` says of every layer; `None`: the architecture's own.
    init: Option<Start>,
}

impl Settings {
    /// Reads the shared parameters.
    ///
    /// # Errors
    /// A value outside its domain, by name.
    pub fn new(name: &str, args: &Args, input: Input, classes: usize) -> Result<Self> {
        // An architecture without activations (maxout) has no such parameter.
        let activation = match args.value("activation") {
            Err(_) => Activation::Relu,
            Ok(_) => Activation::named(args.str("activation")?).unwrap_or(Activation::Relu),
        };
        let init: Option<Start> = match args.str("init")? {
            "torch" => Some(torch_default),
            "he" => Some(start::he),
            "he-truncated" => Some(start::he_truncated),
            "xavier" => Some(start::xavier),
            _ => None,
        };
        let list = |key: &str| -> Result<Vec<f64>> {
            let numbers = args.f64s(key)?;
            if !numbers.is_empty() && numbers.len() != input.0 {
                return Err(Error::value(
                    format!("{name}.{key}"),
                    format!("has {} entries for {} channels", numbers.len(), input.0),
                ));
            }
            Ok(numbers)
        };
        let (mean, std) = (list("mean")?, list("std")?);
        if classes < 2 {
            return Err(Error::value(name, format!("needs at least 2 classes, got {classes}")));
        }
        let info = ModelInfo { name: name.into(), input, classes, activation, mean, std, numerics: 1 };
        Ok(Settings { info, init })
    }

    /// An error unless the input is at least this high and wide.
    pub(crate) fn at_least(self, side: usize) -> Result<Self> {
        let (_, h, w) = self.info.input;
        if h < side || w < side {
            return Err(Error::value(
                self.info.name.clone(),
                format!("needs images of at least {side}×{side}, got {h}×{w}"),
            ));
        }
        Ok(self)
    }

    /// The network up to its first layer: the images, normalised where `mean` or `std` say so.
    pub(crate) fn builder(self) -> Result<(Builder, NodeId)> {
        let ModelInfo { input: (c, _, _), mean, std, .. } = self.info.clone();
        let mut g = Builder::new(self.info);
        if let Some(init) = self.init {
            g = g.starting(init);
        }
        let x = g.input();
        if mean.is_empty() && std.is_empty() {
            return Ok((g, x));
        }
        let std = |i: usize| std.get(i).copied().unwrap_or(1.0);
        let mean = |i: usize| mean.get(i).copied().unwrap_or(0.0);
        let (scale, shift) = (0..c).map(|i| (1.0 / std(i), -mean(i) / std(i))).unzip();
        let x = g.affine(x, scale, shift)?;
        Ok((g, x))
    }
}
