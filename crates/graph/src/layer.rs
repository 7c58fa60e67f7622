//! The layers that a network is made of.

use crate::{Binary, Function, Reduction, Windows};
use gauntlet_core::Activation;

/// What a node computes of its inputs and its parameters. Shapes are those of one example, and axes count from its first; those
/// of a value that hangs on parameters alone are its own, since it has no batch in front.
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
    /// W · x + b: `(in,)` to `(out,)`. Parameters: weight `(out, in)` and, where there is one, bias `(out,)`.
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
    /// A parameter or constant by itself, without a batch. Parameters: the value.
    Parameter,
    /// Cross-correlation of any geometry: `(C, H, W)` to `(O, OH, OW)`. Parameters: weight `(O, C / groups, KH, KW)` and, where there
    /// is one, bias `(O,)`.
    Conv {
        /// How the kernel moves; its size is the weight's.
        windows: Windows,
        /// Parts that channels are split into, each with kernels of its own.
        groups: usize,
    },
    /// Cross-correlation along one axis: `(C, L)` to `(O, OL)`. Parameters: weight `(O, C / groups, K)` and, where there is one, bias
    /// `(O,)`.
    Conv1d {
        /// How the kernel moves: height 1.
        windows: Windows,
        /// Parts that channels are split into, each with kernels of its own.
        groups: usize,
    },
    /// The transpose of a cross-correlation, as PyTorch's: every pixel adds its kernel to what lies below, `(C, H, W)` to `(O, OH, OW)`,
    /// OH = (H − 1) · stride + (KH − 1) · dilation + 1 − padding above and below + extra. Parameters: weight `(C, O / groups, KH, KW)` and,
    /// where there is one, bias `(O,)`.
    ConvTranspose {
        /// How the kernel moves over the result; the padding is cut off.
        windows: Windows,
        /// Parts that channels are split into, each with kernels of its own.
        groups: usize,
        /// Rows below and columns right that the result has more.
        extra: (usize, usize),
    },
    /// Maxima of windows, whatever lies outside the image being −∞: `(C, H, W)` to `(C, OH, OW)`.
    WindowMax(Windows),
    /// Means of windows, zeros lying around the image: `(C, H, W)` to `(C, OH, OW)`.
    WindowMean {
        /// How the windows move.
        windows: Windows,
        /// Places below and right of the padding that the last windows reach over; they are never counted.
        overhang: (usize, usize),
        /// Whether places of the padding are counted.
        padding_counts: bool,
    },
    /// An elementwise function.
    Map(Function),
    /// An elementwise function of two values, repeated along axes of one where their shapes differ, as numpy does it. A value
    /// without a batch has at most as many axes as the other.
    Binary(Binary),
    /// A · B over the last two axes: two values `(.., M, K)` and `(.., K, P)`, or one `(.., K)` and a matrix `(K, P)` without a batch.
    MatMul,
    /// Sums, means, extremes or products over axes.
    Reduce {
        /// Which.
        kind: Reduction,
        /// Over which axes.
        axes: Vec<usize>,
        /// Whether those stay, with size one.
        keep: bool,
    },
    /// (x − mean) / √(var + eps), mean and biased variance over axes of every example.
    Standardise {
        /// Over which axes.
        axes: Vec<usize>,
        /// What keeps the root away from 0.
        eps: f64,
    },
    /// eˣ / Σ eˣ along an axis.
    Softmax {
        /// Which.
        axis: usize,
        /// Whether the logarithm of it is wanted.
        log: bool,
    },
    /// The same values in another shape.
    Reshape(Vec<usize>),
    /// The axes in another order: axis i of the result is axis `order[i]` of the input.
    Transpose(Vec<usize>),
    /// Every `step`th entry of an axis.
    Slice {
        /// Which.
        axis: usize,
        /// The first entry.
        start: usize,
        /// How many entries.
        count: usize,
        /// From one entry to the next.
        step: usize,
    },
    /// Entries of an axis by their places.
    Select {
        /// Which axis.
        axis: usize,
        /// The places, in the order of the result.
        places: Vec<usize>,
    },
    /// A constant before and after along an axis.
    Pad {
        /// Which.
        axis: usize,
        /// Entries before.
        before: usize,
        /// Entries after.
        after: usize,
        /// The constant.
        value: f64,
    },
    /// All inputs behind one another along an axis; those without a batch are repeated for every example beside those with one.
    Concat {
        /// Which.
        axis: usize,
    },
    /// Repeated along axes of size one.
    Expand(Vec<usize>),
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
            Layer::Parameter => "parameter",
            Layer::Conv { .. } => "conv2d",
            Layer::Conv1d { .. } => "conv1d",
            Layer::ConvTranspose { .. } => "transposed conv2d",
            Layer::WindowMax(_) => "max pool",
            Layer::WindowMean { .. } => "average pool",
            Layer::Map(function) => function.name(),
            Layer::Binary(binary) => binary.name(),
            Layer::MatMul => "matrix product",
            Layer::Reduce { kind, .. } => kind.name(),
            Layer::Standardise { .. } => "standardise",
            Layer::Softmax { log: false, .. } => "softmax",
            Layer::Softmax { log: true, .. } => "log-softmax",
            Layer::Reshape(_) => "reshape",
            Layer::Transpose(_) => "transpose",
            Layer::Slice { .. } => "slice",
            Layer::Select { .. } => "select",
            Layer::Pad { .. } => "pad",
            Layer::Concat { .. } => "concatenate",
            Layer::Expand(_) => "expand",
        }
    }
}
