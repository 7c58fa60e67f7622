//! Constants and shapes: what is known when the file is read.

use super::comparisons::{compared, floats, whole};
use super::elementwise::pair;
use super::shapes::{sizes, together};
use crate::external::Folder;
use crate::lowering::{Lowering, Op, absolute};
use crate::proto::{TensorProto, element};
use crate::tensor::{self, Values};
use crate::value::{Computed, Count, Numbers, Value, Weight, Whole, pairs};
use gauntlet_graph::{Binary, Function, Layer};

/// Entries of a constant that is made when the file is read.
const LARGEST: usize = 1 << 24;

fn read(name: String, tensor: &TensorProto) -> Result<Value, String> {
    let stored = tensor::read(tensor, &mut Folder::new(None, &[]))?;
    Ok(match stored.values {
        Values::Floats(values) => {
            Value::Numbers(Numbers { name, dims: stored.dims, values: values.into_iter().map(f64::from).collect() })
        }
        Values::Whole(values) => Value::Whole(whole(stored.dims, values)),
    })
}

pub(super) fn constant(_: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let (a, name) = (&op.attributes, op.output());
    if let Some(tensor) = a.tensor("value")? {
        return Ok(vec![read(name, tensor)?]);
    }
    if let Some(v) = a.int("value_int")? {
        return Ok(vec![Value::Whole(whole(Vec::new(), [v]))]);
    }
    if let Some(v) = a.ints("value_ints")? {
        return Ok(vec![Value::Whole(whole(vec![v.len()], v.iter().copied()))]);
    }
    if let Some(v) = a.float("value_float")? {
        return Ok(vec![Value::Numbers(Numbers { name, dims: Vec::new(), values: vec![v] })]);
    }
    if let Some(v) = a.floats("value_floats")? {
        let values = v.iter().map(|v| f64::from(*v)).collect();
        return Ok(vec![Value::Numbers(Numbers { name, dims: vec![v.len()], values })]);
    }
    Err("a constant without a value, or with one of text".into())
}

pub(super) fn constant_of_shape(_: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let shape = op.integers(0)?.ok_or("input 0 is missing")?;
    let (dims, count) = tensor::sizes(&shape)?;
    if count > LARGEST {
        return Err(format!("a constant of {shape:?} is too large"));
    }
    let one = match op.attributes.tensor("value")? {
        Some(tensor) => read(op.output(), tensor)?,
        None => Value::Numbers(Numbers { name: op.output(), dims: vec![1], values: vec![0.0] }),
    };
    Ok(vec![match one {
        Value::Numbers(n) => {
            let value = n.one().ok_or("its value is not one number")?;
            Value::Numbers(Numbers { name: op.output(), dims, values: vec![value; count] })
        }
        Value::Whole(Whole { values, .. }) if values.len() == 1 => {
            Value::Whole(Whole { dims, values: values.repeat(count) })
        }
        _ => return Err("its value is not one number".into()),
    }])
}

pub(super) fn shape(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let sizes = sizes(g, op.input(0)?);
    let rank = sizes.len() as i64;
    let place = |v: i64| (if v < 0 { v.saturating_add(rank) } else { v }).clamp(0, rank) as usize;
    let start = place(op.attributes.int("start")?.unwrap_or(0));
    let end = place(op.attributes.int("end")?.unwrap_or(rank)).max(start);
    let values = sizes[start..end].to_vec();
    Ok(vec![Value::Whole(Whole { dims: vec![values.len()], values })])
}

pub(super) fn size(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let value = together(&sizes(g, op.input(0)?))?;
    Ok(vec![Value::Whole(Whole { dims: Vec::new(), values: vec![value] })])
}

pub(super) fn cast(_: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let to = op.attributes.int("to")?.ok_or("attribute to is missing")?;
    let to = i32::try_from(to).unwrap_or(0);
    let (float, integer) = (
        [element::FLOAT, element::DOUBLE].contains(&to),
        [element::INT32, element::INT64, element::BOOL].contains(&to),
    );
    Ok(vec![match op.input(0)? {
        same @ (Value::Computed(_) | Value::Weight(_) | Value::Numbers(_)) if float => same.clone(),
        Value::Mask(mask) if float => Value::Computed(mask.clone()),
        same @ Value::Mask(_) if to == element::BOOL => same.clone(),
        Value::Whole(w) if to == element::BOOL => {
            Value::Whole(whole(w.dims.clone(), w.known()?.into_iter().map(|v| i64::from(v != 0))))
        }
        same @ Value::Whole(_) if integer => same.clone(),
        Value::Whole(w) if float => {
            let values = w.known()?.into_iter().map(|v| v as f64).collect();
            Value::Numbers(Numbers { name: op.output(), dims: w.dims.clone(), values })
        }
        Value::Numbers(n) if to == element::BOOL => {
            Value::Whole(whole(n.dims.clone(), n.values.iter().map(|v| i64::from(*v != 0.0))))
        }
        Value::Numbers(n) if integer => Value::Whole(whole(n.dims.clone(), n.values.iter().map(|v| *v as i64))),
        _ => return Err(format!("to {}: what is computed of images stays float32", element::name(to))),
    }])
}

/// Floats stay float32, as in [`cast`]; integers become floats beside them.
pub(super) fn cast_like(_: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    Ok(vec![match (op.input(0)?, op.input(1)?) {
        (same @ Value::Whole(_), Value::Whole(_)) => same.clone(),
        (Value::Whole(w), Value::Computed(_) | Value::Weight(_) | Value::Numbers(_)) => {
            let values = w.known()?.into_iter().map(|v| v as f64).collect();
            Value::Numbers(Numbers { name: op.output(), dims: w.dims.clone(), values })
        }
        (same, Value::Computed(_) | Value::Weight(_) | Value::Numbers(_)) => same.clone(),
        _ => return Err("what is computed of images stays float32".into()),
    }])
}

pub(super) fn range(_: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let bound = |i| op.integers(i)?.filter(|v| v.len() == 1).map(|v| v[0]).ok_or(format!("input {i} is no integer"));
    let (start, limit, delta) = (bound(0)?, bound(1)?, bound(2)?);
    if delta == 0 || limit.abs_diff(start) / delta.unsigned_abs() > LARGEST as u64 {
        return Err(format!("from {start} to {limit} in steps of {delta}"));
    }
    let all = std::iter::successors(Some(start), |v| v.checked_add(delta));
    let values: Vec<i64> = all.take_while(|v| if delta > 0 { *v < limit } else { *v > limit }).collect();
    Ok(vec![Value::Whole(whole(vec![values.len()], values))])
}

pub(super) fn logic(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    if let Some(found) = compared(op) {
        return Ok(vec![found?]);
    }
    let truth = |i: usize| match op.input(i)? {
        Value::Mask(mask) => Ok(Value::Computed(mask.clone())),
        Value::Whole(w) => {
            let values = w.known()?.into_iter().map(|v| if v != 0 { 1.0 } else { 0.0 }).collect();
            Ok(Value::Numbers(Numbers { name: format!("{}[{i}]", op.output()), dims: w.dims.clone(), values }))
        }
        _ => Err("it is possible between truth values and constants only".to_string()),
    };
    let kind = match op.node.op_type.as_str() {
        "And" => Binary::Mul,
        "Or" => Binary::Max,
        other => return Err(format!("{other} is possible between constants only")),
    };
    match pair(g, &op.output(), kind, &truth(0)?, &truth(1)?)? {
        Value::Computed(mask) => Ok(vec![Value::Mask(mask)]),
        other => Ok(vec![other]),
    }
}

pub(super) fn not(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    Ok(vec![match op.input(0)? {
        Value::Mask(mask) => Value::Mask(g.layer(Layer::Map(Function::Affine { mul: -1.0, add: 1.0 }), mask)?),
        Value::Whole(w) => Value::Whole(whole(w.dims.clone(), w.known()?.into_iter().map(|v| i64::from(v == 0)))),
        _ => return Err("its input are no truth values".into()),
    }])
}

/// The rest of a division, with the divisor's sign; with `fmod = 1` the dividend's.
pub(super) fn modulo(_: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let fmod = op.attributes.int("fmod")?.unwrap_or(0) != 0;
    let (Value::Whole(a), Value::Whole(b)) = (op.input(0)?, op.input(1)?) else {
        return Err("it is possible between integers of shapes only".into());
    };
    let (dims, places) = pairs(&a.dims, &b.dims)?;
    let rest = |a: i64, b: i64| {
        let rest = a.checked_rem(b).ok_or("a division by 0")?;
        Ok(if !fmod && rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
    };
    let rests = places.into_iter().map(|(i, j)| match (a.values[i], b.values[j]) {
        (Count::Known(a), Count::Known(b)) => rest(a, b),
        (Count::Batches(a), Count::Known(b)) if rest(a, b) == Ok(0) => Ok(0),
        (a, b) => Err(format!("the rest of {a:?} by {b:?} in a shape")),
    });
    let values = rests.collect::<Result<Vec<i64>, String>>()?;
    Ok(vec![Value::Whole(whole(dims, values))])
}

/// Entries of a constant replaced.
pub(super) fn scatter(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    if op.attributes.text("reduction")?.is_some_and(|r| r != "none") {
        return Err("a reduction is not supported".into());
    }
    let places = match op.input(1)? {
        Value::Whole(w) => w,
        _ => return Err("its places are computed of the images".into()),
    };
    let (data, updates) = (op.input(0)?, op.input(2)?);
    let mut known = |v: &Value| match v {
        Value::Weight(w) => {
            g.note(format!("{} is read as a constant by {} and not trained there", w.name, op.name()));
            Some((w.dims.clone(), w.values.iter().map(|v| f64::from(*v)).collect()))
        }
        other => floats(other),
    };
    let (Some((dims, mut values)), Some((_, new))) = (known(data), known(updates)) else {
        return Err("it is possible of constants only".into());
    };
    let known = places.known()?;
    let depth = *places.dims.last().ok_or("its places have no axes")?;
    if depth == 0 || depth > dims.len() {
        return Err(format!("places of {depth} axes for {dims:?}"));
    }
    let inner: usize = dims[depth..].iter().product();
    if (known.len() / depth).checked_mul(inner) != Some(new.len()) {
        return Err(format!("{} values for {} places", new.len(), known.len() / depth));
    }
    for (k, place) in known.chunks(depth).enumerate() {
        let mut at = 0;
        for (i, n) in place.iter().zip(&dims) {
            at = at * n + absolute(*i, *n)?;
        }
        values[at * inner..(at + 1) * inner].copy_from_slice(&new[k * inner..(k + 1) * inner]);
    }
    Ok(vec![match data {
        Value::Whole(_) => Value::Whole(whole(dims, values.into_iter().map(|v| v as i64))),
        _ => Value::Numbers(Numbers { name: op.output(), dims, values }),
    }])
}

pub(super) fn choose(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    if let Value::Mask(mask) = op.input(0)? {
        // mask · a + (1 − mask) · b
        let rest = g.layer(Layer::Map(Function::Affine { mul: -1.0, add: 1.0 }), mask)?;
        let mut part =
            |mask: Computed, i: usize| pair(g, &op.output(), Binary::Mul, &Value::Computed(mask), op.input(i)?);
        let (a, b) = (part(mask.clone(), 1)?, part(rest, 2)?);
        return Ok(vec![pair(g, &op.output(), Binary::Add, &a, &b)?]);
    }
    let Value::Whole(condition) = op.input(0)? else { return Err("its input 0 are no truth values".into()) };
    let condition_values = condition.known()?;
    let (a, b) = (op.input(1)?, op.input(2)?);
    if let (Value::Whole(a), Value::Whole(b)) = (a, b) {
        let (dims, places) = thirds(&condition.dims, &a.dims, &b.dims)?;
        let values =
            places.into_iter().map(|(c, i, j)| if condition_values[c] != 0 { a.values[i] } else { b.values[j] });
        return Ok(vec![Value::Whole(Whole { dims, values: values.collect() })]);
    }
    if let (Some(a), Some(b)) = (floats(a), floats(b)) {
        let (dims, places) = thirds(&condition.dims, &a.0, &b.0)?;
        let values = places.into_iter().map(|(c, i, j)| if condition_values[c] != 0 { a.1[i] } else { b.1[j] });
        return Ok(vec![Value::Numbers(Numbers { name: op.output(), dims, values: values.collect() })]);
    }
    // c · a + (1 − c) · b with a constant c; a constant branch is chosen from, as 0 · ∞ is no number.
    let mut part = |taken: bool, value: &Value| {
        let name = format!("{}{}", op.output(), if taken { "[then]" } else { "[else]" });
        let holds = |c: usize| (condition_values[c] != 0) == taken;
        let endless = |w: &Weight| w.values.iter().any(|v| !v.is_finite());
        let known = match value {
            // Nothing that could be trained, as attention's −∞.
            Value::Weight(w) if endless(w) => Some((w.dims.clone(), w.values.iter().map(|v| f64::from(*v)).collect())),
            other => floats(other),
        };
        if let Some((dims, values)) = known {
            let (dims, places) = pairs(&condition.dims, &dims)?;
            let values = places.into_iter().map(|(c, i)| if holds(c) { values[i] } else { 0.0 }).collect();
            return Ok::<Value, String>(Value::Numbers(Numbers { name, dims, values }));
        }
        let values = (0..condition_values.len()).map(|c| if holds(c) { 1.0 } else { 0.0 }).collect();
        let numbers = Value::Numbers(Numbers { name, dims: condition.dims.clone(), values });
        pair(g, &op.output(), Binary::Mul, &numbers, value)
    };
    let (a, b) = (part(true, a)?, part(false, b)?);
    Ok(vec![pair(g, &op.output(), Binary::Add, &a, &b)?])
}

/// A shape, and for every entry its places in three values.
type Triples = (Vec<usize>, Vec<(usize, usize, usize)>);

/// The shape of three values repeated to one, and the places of every entry in each.
fn thirds(a: &[usize], b: &[usize], c: &[usize]) -> Result<Triples, String> {
    let (first, inner) = pairs(a, b)?;
    let (dims, outer) = pairs(&first, c)?;
    Ok((dims, outer.into_iter().map(|(i, k)| (inner[i].0, inner[i].1, k)).collect()))
}

/// The value itself. Of an initialiser it is a parameter of its own: exporters merge tensors that are equal by chance.
pub(super) fn identity(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    Ok(vec![match op.input(0)? {
        Value::Weight(w) => {
            g.note(format!("{} was stored as {}: two parameters that start alike, trained apart", op.output(), w.name));
            Value::Weight(Weight { name: op.output(), ..w.clone() })
        }
        other => other.clone(),
    }])
}

/// Nothing, as in evaluation.
pub(super) fn dropout(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    op.attributes.int("seed")?;
    op.attributes.int("is_test")?;
    let ratio = op.attributes.float("ratio")?;
    let ratio = if op.optional(1).is_some() { op.number(1)? } else { ratio };
    g.note(format!(
        "dropout {} ({}) is left out: the network drops nothing, in training either",
        ratio.unwrap_or(0.5),
        op.name()
    ));
    Ok(vec![op.input(0)?.clone()])
}
