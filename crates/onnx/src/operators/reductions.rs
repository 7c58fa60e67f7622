//! Sums, means and extremes along axes, softmax.

use super::elementwise::both;
use super::shapes::together;
use crate::lowering::{Lowering, Op};
use crate::value::{Batch, Computed, Count, Value, Whole};
use gauntlet_graph::{Binary, Function, Layer, Reduction};

/// Every reduction: what is done to the values, how they are put together, what is done to that.
pub(super) fn reduced(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let name = op.node.op_type.as_str();
    if let (Value::Whole(whole), "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin") = (op.input(0)?, name) {
        return Ok(vec![of_integers(op, name, whole)?]);
    }
    let x = g.anywhere(op.input(0)?)?;
    let axes = Axes::of(g, op, &x)?;
    let Some(axes) = axes else { return Ok(vec![Value::Computed(x)]) };
    let map = |g: &mut Lowering, f: Function, x: &Computed| g.layer(Layer::Map(f), x);
    let y = match name {
        "ReduceMean" => axes.reduce(g, x, Reduction::Mean)?,
        "ReduceSum" => axes.reduce(g, x, Reduction::Sum)?,
        "ReduceMax" => axes.reduce(g, x, Reduction::Max)?,
        "ReduceMin" => axes.reduce(g, x, Reduction::Min)?,
        "ReduceProd" => axes.reduce(g, x, Reduction::Product)?,
        "ReduceL1" => {
            let x = map(g, Function::Abs, &x)?;
            axes.reduce(g, x, Reduction::Sum)?
        }
        "ReduceSumSquare" | "ReduceL2" => {
            let x = map(g, Function::Power { n: 2 }, &x)?;
            let sum = axes.reduce(g, x, Reduction::Sum)?;
            if name == "ReduceL2" { map(g, Function::Sqrt, &sum)? } else { sum }
        }
        "ReduceLogSum" => {
            let sum = axes.reduce(g, x, Reduction::Sum)?;
            map(g, Function::Log, &sum)?
        }
        "ReduceLogSumExp" => {
            // m + ln Σ e^(x − m), m the largest.
            let kept = Axes { keep: true, ..axes.clone() };
            let largest = kept.reduce(g, x.clone(), Reduction::Max)?;
            let rest = both(g, Binary::Sub, x, largest.clone())?;
            let rest = map(g, Function::Exp, &rest)?;
            let sum = kept.reduce(g, rest, Reduction::Sum)?;
            let sum = map(g, Function::Log, &sum)?;
            let y = both(g, Binary::Add, sum, largest)?;
            if axes.keep { y } else { axes.gone(y) }
        }
        other => return Err(format!("{other} is not supported")),
    };
    Ok(vec![Value::Computed(y)])
}

/// Integers of a shape, all together.
fn of_integers(op: &Op<'_>, name: &str, whole: &Whole) -> Result<Value, String> {
    op.attributes.ints("axes")?;
    op.attributes.int("noop_with_empty_axes")?;
    let keep = op.attributes.int("keepdims")?.unwrap_or(1) != 0;
    if whole.dims.len() > 1 {
        return Err("of integers with more than one axis".into());
    }
    let value = if name == "ReduceProd" {
        together(&whole.values)?
    } else {
        let known = whole.known()?.into_iter();
        let found = match name {
            "ReduceSum" => Some(known.fold(0, i64::saturating_add)),
            "ReduceMax" => known.max(),
            _ => known.min(),
        };
        Count::Known(found.ok_or("of no integers")?)
    };
    Ok(Value::Whole(Whole { dims: if keep { vec![1] } else { Vec::new() }, values: vec![value] }))
}

/// The axes of a value that are reduced.
#[derive(Clone)]
struct Axes {
    axes: Vec<usize>,
    keep: bool,
}

impl Axes {
    /// `None`: nothing is reduced.
    fn of(g: &Lowering, op: &Op<'_>, x: &Computed) -> Result<Option<Self>, String> {
        let a = &op.attributes;
        let attribute = a.ints("axes")?.map(<[i64]>::to_vec);
        let keep = a.int("keepdims")?.unwrap_or(1) != 0;
        let nothing = a.int("noop_with_empty_axes")?.unwrap_or(0) != 0;
        let input = g.opset >= if op.node.op_type == "ReduceSum" { 13 } else { 18 };
        let given = if input { op.integers(1)? } else { attribute };
        let mut axes = match given.filter(|axes| !axes.is_empty()) {
            Some(axes) => axes.iter().map(|axis| g.axis(x, *axis)).collect::<Result<Vec<_>, _>>()?,
            None if nothing => return Ok(None),
            None if g.lead(x) == 1 => return Err("it reduces over all examples of a batch".into()),
            None => (0..x.shape.len()).collect(),
        };
        axes.sort_unstable();
        axes.dedup();
        Ok(Some(Axes { axes, keep }))
    }

    fn reduce(&self, g: &mut Lowering, x: Computed, kind: Reduction) -> Result<Computed, String> {
        let Axes { axes, keep } = self;
        let front = !x.batched || x.batch == Batch::FRONT;
        // The kernel for images.
        if kind == Reduction::Mean && x.batched && front && x.shape.len() == 3 && **axes == [1, 2] {
            let mut y = g.layer(Layer::GlobalAvgPool, &x)?;
            if *keep {
                y.shape.extend([1, 1]);
            }
            return Ok(y);
        }
        let inner = axes.iter().map(|a| x.inner(*a)).collect();
        let y = g.layer(Layer::Reduce { kind, axes: inner, keep: *keep || !front }, &x)?;
        Ok(if *keep || front { y } else { self.gone(y) })
    }

    /// Without the axes, which have one entry.
    fn gone(&self, x: Computed) -> Computed {
        self.axes.iter().rev().fold(x, |y, axis| y.without(*axis))
    }
}

pub(super) fn softmax(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    normalised(g, op, false)
}

pub(super) fn log_softmax(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    normalised(g, op, true)
}

fn normalised(g: &mut Lowering, op: &Op<'_>, log: bool) -> Result<Vec<Value>, String> {
    let x = g.anywhere(op.input(0)?)?;
    let shape = x.shape.clone();
    let axis = op.attributes.int("axis")?.unwrap_or(if g.opset < 13 { 1 } else { -1 });
    let axis = g.axis(&x, axis)?;
    if g.opset < 13 && g.lead(&x) == 1 && x.batch != Batch::FRONT {
        return Err("the batch stands behind another axis, which is not supported before opset 13".into());
    }
    if g.opset < 13 {
        // All axes from the one named on are one.
        let inner = shape[axis..].iter().product();
        let flat = Computed { shape: [&shape[..axis], &[inner]].concat(), ..x };
        let y = g.layer(Layer::Softmax { axis, log }, &flat)?;
        return Ok(vec![Value::Computed(Computed { shape, ..y })]);
    }
    let axis = x.inner(axis);
    Ok(vec![Value::Computed(g.layer(Layer::Softmax { axis, log }, &x)?)])
}
