//! The layers that a network is made of.

use gauntlet_core::Activation;

/// What a node computes of its inputs and its parameters. Shapes are those of one example.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// The images, `(C, H, W)`, pixels in `[0, 1]`.
    Input,
    /// `x[c] · scale[c] + shift[c]` with constants: the normalisation of images `(C, H, W)`.
    Affine {
        /// Factor of every channel.
        scale: Vec<f64>,
        /// What is added to every channel.
        shift: Vec<f64>,
    },
    /// Cross-correlation, as PyTorch's: `(C, H, W)` to `(O, OH, OW)`. Parameters: weight `(O, C, KH, KW)` and, where there is one,
    /// bias `(O,)`.
    Conv2d {
        /// Pixels from one window to the next.
        stride: usize,
        /// Zeros on every side of the image.
        padding: usize,
    },
    /// W · x + b: `(in,)` to `(out,)`. Parameters: weight `(out, in)`, bias `(out,)`.
    Linear,
    /// γ · (x − mean) / √(var + eps) + β per channel of `(C, H, W)`, or per value of `(C,)`, with the batch's statistics in train mode and the running ones
    /// in eval mode. Parameters: weight γ, bias β, running_mean, running_var, all `(C,)`.
    BatchNorm {
        /// What keeps the root away from 0.
        eps: f64,
        /// PyTorch's: running = (1 − momentum) · running + momentum · batch.
        momentum: f64,
    },
    /// A nonlinearity, elementwise.
    Act(Activation),
    /// Maxima of `size`×`size` windows: `(C, H, W)` to `(C, OH, OW)`.
    MaxPool {
        /// Side of a window.
        size: usize,
        /// Pixels from one window to the next.
        stride: usize,
    },
    /// Means over all places: `(C, H, W)` to `(C,)`.
    GlobalAvgPool,
    /// The sum of two inputs of one shape.
    Add,
    /// All axes as one.
    Flatten,
    /// y_u = max_p x_(p·units + u): `(pieces · units,)` to `(units,)`.
    Maxout {
        /// Values that a unit is the maximum of.
        pieces: usize,
    },
    /// In train mode 0 with probability `p`, else x / (1 − p); x in eval mode.
    Dropout {
        /// Chance that a unit is dropped.
        p: f64,
    },
}

impl Layer {
    /// The kind of layer in a word, e.g. `conv2d`.
    pub fn kind(&self) -> &'static str {
        match self {
            Layer::Input => "input",
            Layer::Affine { .. } => "affine",
            Layer::Conv2d { .. } => "conv2d",
            Layer::Linear => "linear",
            Layer::BatchNorm { .. } => "batch norm",
            Layer::Act(activation) => activation.name(),
            Layer::MaxPool { .. } => "max pool",
            Layer::GlobalAvgPool => "global average pool",
            Layer::Add => "add",
            Layer::Flatten => "flatten",
            Layer::Maxout { .. } => "maxout",
            Layer::Dropout { .. } => "dropout",
        }
    }
}
