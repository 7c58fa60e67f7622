//! What every architecture can be told: activation, initialiser, normalisation.

use gauntlet_core::{Activation, Args, Error, Init, ModelInfo, ParamDoc, ParamSpec, Result};

/// The parameter `activation`.
pub(crate) const ACTIVATION: ParamDoc = ParamDoc {
    name: "activation",
    kind: "one of relu, softplus, gelu",
    default: "\"relu\"",
    unit: "",
    doc: "smooth ones make input-gradient penalties far more effective",
};
/// The parameter `init`.
pub(crate) const INIT: ParamDoc = ParamDoc {
    name: "init",
    kind: "one of default, torch, he, he-truncated, xavier",
    default: "\"default\"",
    unit: "",
    doc: "the architecture's own, PyTorch's default (uniform ±1/√fan_in), He normal (also cut at two deviations) with \
          zero biases, or Xavier uniform with PyTorch's biases",
};
/// The parameter `mean`.
pub(crate) const MEAN: ParamDoc = ParamDoc {
    name: "mean",
    kind: "list of floats",
    default: "[]",
    unit: "pixels",
    doc: "per-channel mean subtracted inside the model",
};
/// The parameter `std`.
pub(crate) const STD: ParamDoc = ParamDoc {
    name: "std",
    kind: "list of floats",
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
    init: Option<Scheme>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Torch,
    He,
    HeTruncated,
    Xavier,
}

impl Settings {
    /// Reads the shared parameters.
    ///
    /// # Errors
    /// A value outside its domain, by name.
    pub fn new(name: &str, args: &Args, input: (usize, usize, usize), classes: usize) -> Result<Self> {
        // An architecture without activations (maxout) has no such parameter.
        let activation = match args.value("activation") {
            Err(_) => Activation::Relu,
            Ok(_) => match args.choice("activation", &["relu", "softplus", "gelu"])? {
                "softplus" => Activation::Softplus,
                "gelu" => Activation::Gelu,
                _ => Activation::Relu,
            },
        };
        let init = match args.choice("init", &["default", "torch", "he", "he-truncated", "xavier"])? {
            "torch" => Some(Scheme::Torch),
            "he" => Some(Scheme::He),
            "he-truncated" => Some(Scheme::HeTruncated),
            "xavier" => Some(Scheme::Xavier),
            _ => None,
        };
        let list = |key: &str| -> Result<Vec<f64>> {
            let value = args.value(key)?;
            let numbers: Option<Vec<f64>> = value.as_array().and_then(|a| a.iter().map(|v| v.as_f64()).collect());
            let numbers = numbers.ok_or_else(|| {
                Error::value(format!("{name}.{key}"), format!("must be a list of numbers, got {value}"))
            })?;
            if !numbers.is_empty() && numbers.len() != input.0 {
                return Err(Error::value(
                    format!("{name}.{key}"),
                    format!("has {} entries for {} channels", numbers.len(), input.0),
                ));
            }
            Ok(numbers)
        };
        let (mean, std) = (list("mean")?, list("std")?);
        if let Some(bad) = std.iter().find(|s| **s <= 0.0) {
            return Err(Error::value(format!("{name}.std"), format!("must be positive, got {bad}")));
        }
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

    /// Weight and bias of a convolution or linear layer; `own` is the architecture's initialiser of (weight, bias).
    pub(crate) fn layer(&self, name: &str, shape: &[usize], own: Option<(Init, Init)>) -> [ParamSpec; 2] {
        let fan_in: usize = shape[1..].iter().product();
        // As PyTorch counts: a kernel's taps belong to both fans.
        let fan_out = shape[0] * shape[2..].iter().product::<usize>();
        let torch = Init::TorchDefault { fan_in };
        let (weight, bias) = match (self.init, own) {
            (None, Some(own)) => own,
            (None | Some(Scheme::Torch), _) => (torch, torch),
            (Some(Scheme::He), _) => (Init::HeNormal { fan: fan_in }, Init::Constant(0.0)),
            (Some(Scheme::HeTruncated), _) => {
                (Init::Normal { std: (2.0 / fan_in as f64).sqrt(), truncated: true }, Init::Constant(0.0))
            }
            (Some(Scheme::Xavier), _) => (Init::XavierUniform { fan_in, fan_out }, torch),
        };
        let spec = |leaf: &str, shape: &[usize], init| ParamSpec {
            name: format!("{name}.{leaf}"),
            shape: shape.to_vec(),
            init,
            trainable: true,
        };
        [spec("weight", shape, weight), spec("bias", &shape[..1], bias)]
    }
}
