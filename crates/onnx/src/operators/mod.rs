//! The operators of ONNX, a file for every kind.

mod comparisons;
mod constants;
mod elementwise;
mod images;
mod movement;
mod normalisation;
mod products;
mod reductions;
mod resizing;
mod shapes;

use crate::lowering::{Lowering, Op};
use crate::value::Value;

type Operator = fn(&mut Lowering, &Op<'_>) -> Result<Vec<Value>, String>;

/// What imports an operator of the default domain.
pub(crate) fn find(name: &str) -> Option<Operator> {
    Some(match name {
        "Constant" => constants::constant,
        "ConstantOfShape" => constants::constant_of_shape,
        "Shape" => constants::shape,
        "Size" => constants::size,
        "Cast" => constants::cast,
        "CastLike" => constants::cast_like,
        "Range" => constants::range,
        "Equal" | "And" | "Or" | "Xor" => constants::logic,
        "Not" => constants::not,
        "Mod" => constants::modulo,
        "ScatterND" => constants::scatter,
        "Where" => constants::choose,
        "Identity" => constants::identity,
        "Dropout" => constants::dropout,
        "Add" => elementwise::add,
        "Sub" => elementwise::sub,
        "Mul" => elementwise::mul,
        "Div" => elementwise::div,
        "Max" => elementwise::max,
        "Min" => elementwise::min,
        "Sum" => elementwise::sum,
        "Pow" => elementwise::pow,
        "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual" => elementwise::compare,
        "PRelu" => elementwise::prelu,
        "Clip" => elementwise::clip,
        "Relu" | "LeakyRelu" | "Sigmoid" | "Tanh" | "Elu" | "Selu" | "Celu" | "Softplus" | "Softsign"
        | "HardSigmoid" | "HardSwish" | "Mish" | "Gelu" | "Erf" | "Exp" | "Log" | "Sqrt" | "Abs" | "Neg"
        | "Reciprocal" | "ThresholdedRelu" => elementwise::map,
        "Conv" => images::conv,
        "ConvTranspose" => images::conv_transpose,
        "MaxPool" => images::max_pool,
        "AveragePool" => images::average_pool,
        "GlobalAveragePool" => images::global_average_pool,
        "GlobalMaxPool" => images::global_max_pool,
        "Resize" | "Upsample" => resizing::resize,
        "BatchNormalization" => normalisation::batch,
        "LayerNormalization" => normalisation::layer,
        "InstanceNormalization" => normalisation::instance,
        "GroupNormalization" => normalisation::group,
        "Gemm" => products::gemm,
        "MatMul" => products::matmul,
        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL1" | "ReduceL2"
        | "ReduceSumSquare" | "ReduceLogSum" | "ReduceLogSumExp" => reductions::reduced,
        "Softmax" => reductions::softmax,
        "LogSoftmax" => reductions::log_softmax,
        "Flatten" => shapes::flatten,
        "Reshape" => shapes::reshape,
        "Squeeze" => shapes::squeeze,
        "Unsqueeze" => shapes::unsqueeze,
        "Expand" => shapes::expand,
        "Transpose" => movement::transpose,
        "Concat" => movement::concat,
        "Slice" => movement::slice,
        "Split" => movement::split,
        "Gather" => movement::gather,
        "Pad" => movement::pad,
        _ => return None,
    })
}
