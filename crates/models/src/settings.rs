//! What every architecture can be told: activation, initialiser, normalisation.

use gauntlet_core::{Activation, Args, Error, Init, ModelInfo, ParamDoc, ParamSpec, Result};

/// Parameters shared by all architectures, for their `Spec`s.
pub(crate) const PARAMS: &[ParamDoc] = &[
    ParamDoc {
        name: "activation",
        kind: "one of relu, softplus, gelu",
        default: "\"relu\"",
        unit: "",
        doc: "smooth ones make input-gradient penalties far more effective",
    },
    ParamDoc {
        name: "init",
        kind: "one of default, torch, he",
        default: "\"default\"",
        unit: "",
        doc: "the architecture's own, PyTorch's default (uniform ±1/√fan_in), or He normal with zero biases",
    },
    ParamDoc {
        name: "mean",
        kind: "list of floats",
        default: "[]",
        unit: "pixels",
        doc: "per-channel mean subtracted inside the model",
    },
    ParamDoc {
        name: "std",
        kind: "list of floats",
        default: "[]",
        unit: "pixels",
        doc: "per-channel standard deviation divided by inside the model",
    },
];

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
}

impl Settings {
    /// Reads the shared parameters.
    ///
    /// # Errors
    /// A value outside its domain, by name.
    pub fn new(name: &str, args: &Args, input: (usize, usize, usize), classes: usize) -> Result<Self> {
        let activation = match args.choice("activation", &["relu", "softplus", "gelu"])? {
            "softplus" => Activation::Softplus,
            "gelu" => Activation::Gelu,
            _ => Activation::Relu,
        };
        let init = match args.choice("init", &["default", "torch", "he"])? {
            "torch" => Some(Scheme::Torch),
            "he" => Some(Scheme::He),
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
        let fan_in = shape[1..].iter().product();
        let torch = Init::TorchDefault { fan_in };
        let (weight, bias) = match (self.init, own) {
            (None, Some(own)) => own,
            (None | Some(Scheme::Torch), _) => (torch, torch),
            (Some(Scheme::He), _) => (Init::HeNormal { fan: fan_in }, Init::Constant(0.0)),
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
