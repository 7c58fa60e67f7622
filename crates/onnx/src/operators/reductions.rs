//! Sums and means along axes, softmax.

use crate::lowering::{Lowering, Op};
use crate::value::{Computed, Count, Value, Whole};
use gauntlet_graph::{Function, Layer, Reduction};

pub(super) fn mean(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let axes_as_input = g.opset >= 18;
    let x = g.computed(op.input(0)?)?;
    Ok(vec![Value::Computed(reduce(g, op, x, Reduction::Mean, axes_as_input)?)])
}

pub(super) fn sum(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let axes_as_input = g.opset >= 13;
    let x = g.computed(op.input(0)?)?;
    Ok(vec![Value::Computed(reduce(g, op, x, Reduction::Sum, axes_as_input)?)])
}

pub(super) fn squares(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let axes_as_input = g.opset >= 18;
    let x = g.computed(op.input(0)?)?;
    let x = g.layer(Layer::Map(Function::Power { n: 2 }), &x)?;
    Ok(vec![Value::Computed(reduce(g, op, x, Reduction::Sum, axes_as_input)?)])
}

pub(super) fn l2(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let squares = match squares(g, op)?.pop() {
        Some(Value::Computed(x)) => x,
        _ => return Err("no sum".into()),
    };
    Ok(vec![Value::Computed(g.layer(Layer::Map(Function::Sqrt), &squares)?)])
}

/// The product of integers of a shape.
pub(super) fn product(_: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    op.attributes.ints("axes")?;
    let keep = op.attributes.int("keepdims")?.unwrap_or(1) != 0;
    let Value::Whole(whole) = op.input(0)? else {
        return Err("products are possible of integers of shapes only".into());
    };
    let mut product = Count::Known(1);
    for value in &whole.values {
        product = match (product, *value) {
            (Count::Known(a), Count::Known(b)) => Count::Known(a.saturating_mul(b)),
            (Count::Known(a), Count::Batches(b)) | (Count::Batches(a), Count::Known(b)) => {
                Count::Batches(a.saturating_mul(b))
            }
            _ => return Err("the batch is multiplied by itself".into()),
        };
    }
    Ok(vec![Value::Whole(Whole { dims: if keep { vec![1] } else { Vec::new() }, values: vec![product] })])
}

fn reduce(g: &mut Lowering, op: &Op<'_>, x: Computed, kind: Reduction, as_input: bool) -> Result<Computed, String> {
    let a = &op.attributes;
    let attribute = a.ints("axes")?.map(<[i64]>::to_vec);
    let keep = a.int("keepdims")?.unwrap_or(1) != 0;
    let nothing = a.int("noop_with_empty_axes")?.unwrap_or(0) != 0;
    let axes = if as_input { op.integers(1)? } else { attribute };
    let axes = match axes.filter(|axes| !axes.is_empty()) {
        Some(axes) => axes.iter().map(|axis| g.axis(&x, *axis)).collect::<Result<Vec<_>, _>>()?,
        None if nothing => return Ok(x),
        None if g.lead(&x) == 1 => return Err("it reduces over all examples of a batch".into()),
        None => (0..x.shape.len()).collect(),
    };
    // The kernel for images.
    if kind == Reduction::Mean && x.batched && x.shape.len() == 3 && axes.len() == 2 && axes.iter().all(|a| *a > 0) {
        let mut y = g.layer(Layer::GlobalAvgPool, &x)?;
        if keep {
            y.shape.extend([1, 1]);
        }
        return Ok(y);
    }
    g.layer(Layer::Reduce { kind, axes, keep }, &x)
}

pub(super) fn softmax(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    normalised(g, op, false)
}

pub(super) fn log_softmax(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    normalised(g, op, true)
}

fn normalised(g: &mut Lowering, op: &Op<'_>, log: bool) -> Result<Vec<Value>, String> {
    let x = g.computed(op.input(0)?)?;
    let shape = x.shape.clone();
    let axis = op.attributes.int("axis")?.unwrap_or(if g.opset < 13 { 1 } else { -1 });
    let axis = g.axis(&x, axis)?;
    if g.opset < 13 {
        // All axes from the one named on are one.
        let inner = shape[axis..].iter().product();
        let flat = Computed { shape: [&shape[..axis], &[inner]].concat(), ..x };
        let y = g.layer(Layer::Softmax { axis, log }, &flat)?;
        return Ok(vec![Value::Computed(Computed { shape, ..y })]);
    }
    Ok(vec![Value::Computed(g.layer(Layer::Softmax { axis, log }, &x)?)])
}
