//! Elementwise functions of one value and of two.

use super::comparisons::compared;
use crate::lowering::{Lowering, Op};
use crate::value::{Batch, Computed, Count, Numbers, Value, Whole, pairs};
use gauntlet_core::{Activation, Init};
use gauntlet_graph::{Binary, Function, Layer};

pub(super) fn map(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let a = &op.attributes;
    let alpha = |default: f64| Ok::<f64, String>(a.float("alpha")?.unwrap_or(default));
    let function = match op.node.op_type.as_str() {
        "Relu" => return activation(g, op, Activation::Relu),
        "Softplus" => return activation(g, op, Activation::Softplus),
        "Sigmoid" => return activation(g, op, Activation::Sigmoid),
        "Tanh" => return activation(g, op, Activation::Tanh),
        "Gelu" => match a.text("approximate")?.as_deref() {
            None | Some("none") => return activation(g, op, Activation::Gelu),
            Some("tanh") => Function::GeluTanh,
            Some(other) => return Err(format!("approximate = {other:?}")),
        },
        "LeakyRelu" => Function::LeakyRelu { slope: alpha(0.01)? },
        "Elu" => Function::Elu { alpha: alpha(1.0)? },
        "Celu" => {
            // α(e^(x/α) − 1) below 0: an Elu of x/α, times α.
            let alpha = alpha(1.0)?;
            return chain(g, op, &[scale(1.0 / alpha), Function::Elu { alpha: 1.0 }, scale(alpha)]);
        }
        "Selu" => {
            let (alpha, gamma) = (alpha(1.673_263_2)?, a.float("gamma")?.unwrap_or(1.050_701));
            return chain(g, op, &[Function::Elu { alpha }, scale(gamma)]);
        }
        "HardSigmoid" => Function::HardSigmoid { alpha: alpha(0.2)?, beta: a.float("beta")?.unwrap_or(0.5) },
        "HardSwish" => Function::HardSwish,
        "Mish" => Function::Mish,
        "Softsign" => Function::Softsign,
        "ThresholdedRelu" => {
            let x = Value::Computed(g.anywhere(op.input(0)?)?);
            let above = above(g, op, &x, &Value::Numbers(constant(alpha(1.0)?)))?;
            return Ok(vec![pair(g, &op.output(), Binary::Mul, &Value::Computed(above), &x)?]);
        }
        "Erf" => Function::Erf,
        "Exp" => Function::Exp,
        "Log" => Function::Log,
        "Sqrt" => Function::Sqrt,
        "Abs" => Function::Abs,
        "Reciprocal" => Function::Recip,
        "Neg" => scale(-1.0),
        other => return Err(format!("{other} is not supported")),
    };
    chain(g, op, &[function])
}

fn constant(v: f64) -> Numbers {
    Numbers { name: String::new(), dims: Vec::new(), values: vec![v] }
}

/// 1 where a is larger than b.
fn above(g: &mut Lowering, op: &Op<'_>, a: &Value, b: &Value) -> Result<Computed, String> {
    match pair(g, &op.output(), Binary::Sub, a, b)? {
        Value::Computed(difference) => g.layer(Layer::Map(Function::Step), &difference),
        _ => Err("a comparison of constants is not supported".into()),
    }
}

pub(super) fn compare(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    if let Some(found) = compared(op) {
        return Ok(vec![found?]);
    }
    let (a, b) = (op.input(0)?, op.input(1)?);
    // a ≥ b is not b > a.
    let (turned, negated) = match op.node.op_type.as_str() {
        "Greater" => (false, false),
        "Less" => (true, false),
        "LessOrEqual" => (false, true),
        "GreaterOrEqual" => (true, true),
        _ => return Err("comparisons of what is computed of the images are possible by size only".into()),
    };
    let (a, b) = if turned { (b, a) } else { (a, b) };
    let mut mask = above(g, op, a, b)?;
    if negated {
        mask = g.layer(Layer::Map(Function::Affine { mul: -1.0, add: 1.0 }), &mask)?;
    }
    Ok(vec![Value::Mask(mask)])
}

fn scale(mul: f64) -> Function {
    Function::Affine { mul, add: 0.0 }
}

fn activation(g: &mut Lowering, op: &Op<'_>, activation: Activation) -> Result<Vec<Value>, String> {
    let x = g.anywhere(op.input(0)?)?;
    Ok(vec![Value::Computed(g.layer(Layer::Act(activation), &x)?)])
}

/// One function after the other, of constants at once.
fn chain(g: &mut Lowering, op: &Op<'_>, functions: &[Function]) -> Result<Vec<Value>, String> {
    if let Value::Whole(whole) = op.input(0)? {
        let values = whole.known()?.into_iter().map(|v| match op.node.op_type.as_str() {
            "Neg" => Ok(Count::Known(v.wrapping_neg())),
            "Abs" => Ok(Count::Known(v.wrapping_abs())),
            _ => Err("integers stand where the network computes with floats".to_string()),
        });
        return Ok(vec![Value::Whole(Whole { dims: whole.dims.clone(), values: values.collect::<Result<_, _>>()? })]);
    }
    if let (Value::Numbers(n), Some(f)) = (op.input(0)?, known(functions)) {
        let values = n.values.iter().map(|v| f(*v)).collect();
        return Ok(vec![Value::Numbers(Numbers { name: op.output(), dims: n.dims.clone(), values })]);
    }
    let mut x = g.anywhere(op.input(0)?)?;
    for function in functions {
        x = g.layer(Layer::Map(*function), &x)?;
    }
    Ok(vec![Value::Computed(x)])
}

/// What exporters compute of constants.
fn known(functions: &[Function]) -> Option<fn(f64) -> f64> {
    match functions {
        [Function::Sqrt] => Some(f64::sqrt),
        [Function::Exp] => Some(f64::exp),
        [Function::Log] => Some(f64::ln),
        [Function::Abs] => Some(f64::abs),
        [Function::Recip] => Some(f64::recip),
        [Function::Affine { mul: -1.0, add: 0.0 }] => Some(|v| -v),
        _ => None,
    }
}

pub(super) fn add(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    binary(g, op, Binary::Add)
}
pub(super) fn sub(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    binary(g, op, Binary::Sub)
}
pub(super) fn mul(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    binary(g, op, Binary::Mul)
}
pub(super) fn div(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    binary(g, op, Binary::Div)
}
pub(super) fn max(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    several(g, op, Binary::Max)
}
pub(super) fn min(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    several(g, op, Binary::Min)
}
pub(super) fn sum(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    several(g, op, Binary::Add)
}
pub(super) fn prelu(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let slopes = match op.input(1)? {
        Value::Weight(w) => g.parameter(w, Init::Constant(0.25), true)?,
        other => g.anywhere(other)?,
    };
    let x = g.anywhere(op.input(0)?)?;
    Ok(vec![Value::Computed(both(g, Binary::Prelu, x, slopes)?)])
}

fn binary(g: &mut Lowering, op: &Op<'_>, kind: Binary) -> Result<Vec<Value>, String> {
    Ok(vec![pair(g, &op.output(), kind, op.input(0)?, op.input(1)?)?])
}

fn several(g: &mut Lowering, op: &Op<'_>, kind: Binary) -> Result<Vec<Value>, String> {
    let mut value = op.input(0)?.clone();
    for i in 1..op.inputs.len() {
        value = pair(g, &op.output(), kind, &value, op.input(i)?)?;
    }
    Ok(vec![value])
}

/// The value of two, computed at once where both are known.
pub(super) fn pair(g: &mut Lowering, name: &str, kind: Binary, a: &Value, b: &Value) -> Result<Value, String> {
    match (a, b) {
        (Value::Whole(a), Value::Whole(b)) => {
            let (dims, places) = pairs(&a.dims, &b.dims)?;
            let values = places.into_iter().map(|(i, j)| counted(kind, a.values[i], b.values[j]));
            return Ok(Value::Whole(Whole { dims, values: values.collect::<Result<_, _>>()? }));
        }
        (Value::Numbers(a), Value::Numbers(b)) => {
            let (dims, places) = pairs(&a.dims, &b.dims)?;
            let values = places.into_iter().map(|(i, j)| number(kind, a.values[i], b.values[j])).collect();
            return Ok(Value::Numbers(Numbers { name: name.to_string(), dims, values }));
        }
        _ => {}
    }
    // A number comes along without a buffer of its own.
    let single = |v: &Value, other: &Value| {
        let (one, rank) = match v {
            Value::Numbers(n) => (n.one()?, n.dims.len()),
            Value::Weight(w) if w.dims.is_empty() => (f64::from(*w.values.first()?), 0),
            _ => return None,
        };
        match other {
            Value::Computed(x) if rank <= g.rank(x) => Some((x.clone(), one)),
            _ => None,
        }
    };
    let layers: Option<(Computed, Vec<Function>)> = match (single(b, a), single(a, b)) {
        (Some((x, v)), _) => affine(kind, v).map(|f| (x, vec![f])),
        (_, Some((x, v))) => match kind {
            Binary::Add | Binary::Mul | Binary::Max | Binary::Min => affine(kind, v).map(|f| (x, vec![f])),
            Binary::Sub => Some((x, vec![Function::Affine { mul: -1.0, add: v }])),
            Binary::Div => Some((x, vec![Function::Recip, scale(v)])),
            Binary::Prelu => None,
        },
        _ => None,
    };
    if let Some((mut x, functions)) = layers {
        let image = x.image;
        for function in functions {
            x = g.layer(Layer::Map(function), &x)?;
        }
        return Ok(Value::Computed(Computed { image, ..x }));
    }
    // What meets the image itself is its normalisation: nothing that is trained.
    let image = [a, b].iter().any(|v| matches!(v, Value::Computed(x) if x.image));
    let start = Init::Constant(if matches!(kind, Binary::Mul | Binary::Div) { 1.0 } else { 0.0 });
    let mut side = |v: &Value| match v {
        Value::Weight(w) => {
            if image {
                g.note(format!("{} normalises the image and is not trained", w.name));
            }
            g.parameter(w, start, !image)
        }
        Value::Repeated(x) => Ok(repeated(x)),
        other => g.anywhere(other),
    };
    let (x, y) = (side(a)?, side(b)?);
    let stays = image && [a, b].iter().all(|v| !matches!(v, Value::Computed(x) if !x.image));
    let made = both(g, kind, x, y)?;
    Ok(Value::Computed(Computed { image: stays, ..made }))
}

/// What is repeated for every example, with a one where the batch stands.
fn repeated(x: &Computed) -> Computed {
    let mut shape = x.shape.clone();
    shape.insert(x.batch.axis.min(shape.len()), 1);
    Computed { shape, batch: Batch::FRONT, ..x.clone() }
}

fn affine(kind: Binary, v: f64) -> Option<Function> {
    Some(match kind {
        Binary::Add => Function::Affine { mul: 1.0, add: v },
        Binary::Sub => Function::Affine { mul: 1.0, add: -v },
        Binary::Mul => scale(v),
        Binary::Div => scale(1.0 / v),
        Binary::Max => Function::Clamp { lo: v, hi: f64::INFINITY },
        Binary::Min => Function::Clamp { lo: f64::NEG_INFINITY, hi: v },
        Binary::Prelu => return None,
    })
}

fn number(kind: Binary, a: f64, b: f64) -> f64 {
    match kind {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::Prelu => a.max(0.0) + b * a.min(0.0),
    }
}

/// Arithmetic of shapes, in which a number of examples is multiplied and divided only.
fn counted(kind: Binary, a: Count, b: Count) -> Result<Count, String> {
    use Count::{Batches, Known};
    let found = match (kind, a, b) {
        (Binary::Add, Known(a), Known(b)) => a.checked_add(b).map(Known),
        (Binary::Sub, Known(a), Known(b)) => a.checked_sub(b).map(Known),
        (Binary::Mul, Known(a), Known(b)) => a.checked_mul(b).map(Known),
        // Towards zero.
        (Binary::Div, Known(a), Known(b)) => a.checked_div(b).map(Known),
        (Binary::Max, Known(a), Known(b)) => Some(Known(a.max(b))),
        (Binary::Min, Known(a), Known(b)) => Some(Known(a.min(b))),
        (Binary::Mul, Batches(a), Known(b)) | (Binary::Mul, Known(a), Batches(b)) => a.checked_mul(b).map(Batches),
        (Binary::Div, Batches(a), Known(b)) if b != 0 && a % b == 0 => Some(Batches(a / b)),
        (Binary::Div, Batches(a), Batches(b)) if b != 0 && a % b == 0 => Some(Known(a / b)),
        _ => None,
    };
    found.ok_or_else(|| format!("{} of {a:?} and {b:?} in a shape", kind.name()))
}

/// A layer of two values whose axes are put beside one another as ONNX does it.
pub(super) fn both(g: &mut Lowering, kind: Binary, mut a: Computed, mut b: Computed) -> Result<Computed, String> {
    let like = match (a.batched, b.batched) {
        (true, true) => {
            let rank = g.rank(&a).max(g.rank(&b));
            (a, b) = (longer(g, a, rank), longer(g, b, rank));
            if a.batch != b.batch {
                return Err("the examples of a batch stand at two places: they would be mixed".into());
            }
            a.clone()
        }
        (true, false) => {
            (a, b) = beside(g, a, b)?;
            a.clone()
        }
        (false, true) => {
            (b, a) = beside(g, b, a)?;
            b.clone()
        }
        (false, false) => a.clone(),
    };
    let plain = kind == Binary::Add && a.batched && b.batched && a.shape == b.shape;
    let inputs = [g.node(&a)?, g.node(&b)?];
    let id = g.push(if plain { Layer::Add } else { Layer::Binary(kind) }, &inputs)?;
    g.kept(id, &like, false)
}

/// Ones in front until the file has `rank` axes.
fn longer(g: &Lowering, x: Computed, rank: usize) -> Computed {
    let more = rank.saturating_sub(g.rank(&x));
    let mut batch = x.batch;
    if g.lead(&x) == 1 {
        batch.axis += more;
    }
    Computed { shape: [vec![1; more], x.shape].concat(), batch, ..x }
}

/// A value with a batch beside one without.
fn beside(g: &Lowering, mut x: Computed, mut y: Computed) -> Result<(Computed, Computed), String> {
    let rank = g.rank(&x);
    if y.shape.len() > rank {
        if g.lead == 1 {
            return Err(format!("{:?} has more axes than the value of {rank} axes that it meets", y.shape));
        }
        x = longer(g, x, y.shape.len());
    } else if let Some(axis) = (x.batch.axis + y.shape.len()).checked_sub(rank).filter(|_| g.lead == 1) {
        // One of its axes stands beside the batch.
        if y.shape[axis] != 1 {
            return Err(format!(
                "{:?} holds a value for every example of a batch: export it with a dynamic batch",
                y.shape
            ));
        }
        y.shape.splice(axis..=axis, x.batch.with().iter().map(|_| 1));
    }
    Ok((x, y))
}

pub(super) fn clip(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let old = (op.attributes.float("min")?, op.attributes.float("max")?);
    let (lo, hi) = if g.opset < 11 { old } else { (op.number(1)?, op.number(2)?) };
    let (lo, hi) = (lo.unwrap_or(f64::NEG_INFINITY), hi.unwrap_or(f64::INFINITY));
    if lo.is_nan() || hi.is_nan() || lo > hi {
        return Err(format!("bounds {lo} and {hi}"));
    }
    chain(g, op, &[Function::Clamp { lo, hi }])
}

pub(super) fn pow(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let exponent = op.number(1)?.ok_or("input 1 is missing")?;
    if let Value::Numbers(n) = op.input(0)? {
        let values = n.values.iter().map(|v| v.powf(exponent)).collect();
        return Ok(vec![Value::Numbers(Numbers { name: op.output(), dims: n.dims.clone(), values })]);
    }
    let function = match exponent {
        0.5 => vec![Function::Sqrt],
        -0.5 => vec![Function::Sqrt, Function::Recip],
        -1.0 => vec![Function::Recip],
        n if n.fract() == 0.0 && (1.0..=8.0).contains(&n) => vec![Function::Power { n: n as u32 }],
        other => return Err(format!("powers by ½, −½, −1 and 1 to 8 are supported, not by {other}")),
    };
    chain(g, op, &function)
}
