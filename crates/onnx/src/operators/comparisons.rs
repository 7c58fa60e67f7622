//! Comparisons of what is known when a file is read.

use crate::lowering::Op;
use crate::value::{Count, Value, Whole, pairs};

/// Comparisons and logic of what is known when the file is read: 1 where it holds.
pub(super) fn compared(op: &Op<'_>) -> Option<Result<Value, String>> {
    let (a, b) = (op.optional(0)?, op.optional(1)?);
    let holds: fn(f64, f64) -> bool = match op.node.op_type.as_str() {
        "Equal" => |a, b| a == b,
        "Greater" => |a, b| a > b,
        "GreaterOrEqual" => |a, b| a >= b,
        "Less" => |a, b| a < b,
        "LessOrEqual" => |a, b| a <= b,
        "And" => |a, b| a != 0.0 && b != 0.0,
        "Or" => |a, b| a != 0.0 || b != 0.0,
        "Xor" => |a, b| (a != 0.0) != (b != 0.0),
        _ => return None,
    };
    if let (Value::Whole(a), Value::Whole(b), "Equal") = (a, b, op.node.op_type.as_str()) {
        // Also of numbers of examples.
        return Some(pairs(&a.dims, &b.dims).map(|(dims, places)| {
            let values = places.into_iter().map(|(i, j)| i64::from(a.values[i] == b.values[j]));
            Value::Whole(whole(dims, values))
        }));
    }
    let known = |v: &Value| match v {
        // Whatever is trained: it has no derivative.
        Value::Weight(w) if op.node.op_type == "Equal" => {
            Some((w.dims.clone(), w.values.iter().map(|v| f64::from(*v)).collect()))
        }
        other => floats(other),
    };
    let (a, b) = (known(a)?, known(b)?);
    Some(pairs(&a.0, &b.0).map(|(dims, places)| {
        Value::Whole(whole(dims, places.into_iter().map(|(i, j)| i64::from(holds(a.1[i], b.1[j])))))
    }))
}

/// The numbers of a constant, where it is one.
pub(super) fn floats(value: &Value) -> Option<(Vec<usize>, Vec<f64>)> {
    match value {
        Value::Numbers(n) => Some((n.dims.clone(), n.values.clone())),
        Value::Whole(w) => Some((w.dims.clone(), w.known().ok()?.into_iter().map(|v| v as f64).collect())),
        _ => None,
    }
}

/// Whole numbers that are known.
pub(super) fn whole(dims: Vec<usize>, values: impl IntoIterator<Item = i64>) -> Whole {
    Whole { dims, values: values.into_iter().map(Count::Known).collect() }
}
