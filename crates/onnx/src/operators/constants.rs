//! Constants and shapes: what is known when the file is read.

use super::elementwise::pair;
use crate::external::Folder;
use crate::lowering::{Lowering, Op};
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

fn whole(dims: Vec<usize>, values: impl IntoIterator<Item = i64>) -> Whole {
    Whole { dims, values: values.into_iter().map(Count::Known).collect() }
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
    let sizes: Vec<Count> = match op.input(0)? {
        Value::Computed(x) | Value::Mask(x) => {
            let batch = std::iter::repeat_n(Count::Batches(1), g.lead(x));
            batch.chain(x.shape.iter().map(|n| Count::Known(*n as i64))).collect()
        }
        Value::Weight(Weight { dims, .. })
        | Value::Numbers(Numbers { dims, .. })
        | Value::Whole(Whole { dims, .. }) => dims.iter().map(|n| Count::Known(*n as i64)).collect(),
    };
    let rank = sizes.len() as i64;
    let place = |v: i64| (if v < 0 { v.saturating_add(rank) } else { v }).clamp(0, rank) as usize;
    let start = place(op.attributes.int("start")?.unwrap_or(0));
    let end = place(op.attributes.int("end")?.unwrap_or(rank)).max(start);
    let values = sizes[start..end].to_vec();
    Ok(vec![Value::Whole(Whole { dims: vec![values.len()], values })])
}

pub(super) fn size(_: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let value = match op.input(0)? {
        Value::Computed(x) | Value::Mask(x) => {
            let count = x.shape.iter().product::<usize>() as i64;
            if x.batched { Count::Batches(count) } else { Count::Known(count) }
        }
        Value::Weight(w) => Count::Known(w.values.len() as i64),
        Value::Numbers(n) => Count::Known(n.values.len() as i64),
        Value::Whole(w) => Count::Known(w.values.len() as i64),
    };
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
        same @ Value::Whole(_) if integer => same.clone(),
        Value::Whole(w) if float => {
            let values = w.known()?.into_iter().map(|v| v as f64).collect();
            Value::Numbers(Numbers { name: op.output(), dims: w.dims.clone(), values })
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

pub(super) fn equal(_: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let (Value::Whole(a), Value::Whole(b)) = (op.input(0)?, op.input(1)?) else {
        return Err("comparisons are possible between integers of shapes only".into());
    };
    let (dims, places) = pairs(&a.dims, &b.dims)?;
    let values = places.into_iter().map(|(i, j)| i64::from(a.values[i] == b.values[j]));
    Ok(vec![Value::Whole(whole(dims, values))])
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
    let (Value::Whole(condition), Value::Whole(a), Value::Whole(b)) = (op.input(0)?, op.input(1)?, op.input(2)?) else {
        return Err("a choice is possible between integers of shapes only".into());
    };
    if condition.dims != a.dims || a.dims != b.dims {
        return Err(format!("a choice between {:?} and {:?} by {:?}", a.dims, b.dims, condition.dims));
    }
    let entries = condition.known()?.into_iter().zip(a.values.iter().zip(&b.values));
    let values = entries.map(|(c, (a, b))| if c != 0 { *a } else { *b }).collect();
    Ok(vec![Value::Whole(Whole { dims: a.dims.clone(), values })])
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
