//! Values transposed, cut, joined and padded.

use crate::lowering::{Lowering, Op, absolute};
use crate::value::{Computed, Count, Numbers, Value, Whole, permuted, taken};
use gauntlet_graph::Layer;

/// Entries of what is known, by their places.
fn picked(value: &Value, dims: Vec<usize>, places: &[usize]) -> Option<Value> {
    match value {
        Value::Whole(w) => Some(Value::Whole(Whole { dims, values: places.iter().map(|i| w.values[*i]).collect() })),
        Value::Numbers(n) => {
            // Another constant than the one that it is taken of.
            let values = places.iter().map(|i| n.values[*i]).collect();
            Some(Value::Numbers(Numbers { name: format!("{}[..]", n.name), dims, values }))
        }
        _ => None,
    }
}

fn known(value: &Value) -> Option<&[usize]> {
    match value {
        Value::Whole(Whole { dims, .. }) | Value::Numbers(Numbers { dims, .. }) => Some(dims),
        _ => None,
    }
}

pub(super) fn transpose(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    if let Some(dims) = known(op.input(0)?) {
        let order = match op.attributes.ints("perm")? {
            Some(perm) => perm.iter().map(|a| absolute(*a, dims.len())).collect::<Result<Vec<_>, _>>()?,
            None => (0..dims.len()).rev().collect(),
        };
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if sorted != (0..dims.len()).collect::<Vec<_>>() {
            return Err(format!("perm is {order:?} for {dims:?}"));
        }
        let shape = order.iter().map(|a| dims[*a]).collect();
        return Ok(picked(op.input(0)?, shape, &permuted(dims, &order)).into_iter().collect());
    }
    let x = g.computed(op.input(0)?)?;
    let (rank, lead) = (g.rank(&x), g.lead(&x));
    let given = match op.attributes.ints("perm")? {
        Some(perm) => perm.iter().map(|a| absolute(*a, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).rev().collect(),
    };
    if given.len() != rank {
        return Err(format!("perm is {given:?} for {rank} axes"));
    }
    if lead == 1 && given.first() != Some(&0) {
        return Err(format!("perm {given:?} moves the batch away from the front"));
    }
    let order: Vec<usize> = given[lead..].iter().map(|a| a.saturating_sub(lead)).collect();
    if order.iter().enumerate().all(|(i, a)| i == *a) {
        return Ok(vec![Value::Computed(x)]);
    }
    let image = x.image;
    let y = g.layer(Layer::Transpose(order), &x)?;
    Ok(vec![Value::Computed(Computed { image, ..y })])
}

pub(super) fn concat(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let axis = op.attributes.int("axis")?.ok_or("attribute axis is missing")?;
    let all = (0..op.inputs.len()).map(|i| op.input(i)).collect::<Result<Vec<_>, _>>()?;
    if let Some(Value::Whole(first)) = all.first() {
        let mut values: Vec<Count> = Vec::new();
        if first.dims.len() != 1 {
            return Err("it joins integers with more than one axis".into());
        }
        for value in &all {
            match value {
                Value::Whole(w) if w.dims.len() == 1 => values.extend(&w.values),
                _ => return Err("it joins integers with something else".into()),
            }
        }
        return Ok(vec![Value::Whole(Whole { dims: vec![values.len()], values })]);
    }
    let parts = all.iter().map(|v| g.computed(v)).collect::<Result<Vec<_>, _>>()?;
    let first = parts.first().ok_or("it joins nothing")?;
    if let Some(other) = parts.iter().find(|p| p.batched != first.batched) {
        return Err(format!("it joins {:?} of every example with {:?} of none", first.shape, other.shape));
    }
    let axis = g.axis(first, axis)?;
    let image = parts.iter().all(|p| p.image);
    let inputs = parts.iter().map(|p| g.node(p)).collect::<Result<Vec<_>, _>>()?;
    let id = if let [one] = inputs[..] { one } else { g.push(Layer::Concat { axis }, &inputs)? };
    Ok(vec![Value::Computed(g.given(id, image)?)])
}

pub(super) fn slice(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let a = &op.attributes;
    let attribute = |name| a.ints(name).map(|v| v.map(<[i64]>::to_vec));
    let old = (attribute("starts")?, attribute("ends")?, attribute("axes")?);
    let (starts, ends, axes) = if g.opset < 10 { old } else { (op.integers(1)?, op.integers(2)?, op.integers(3)?) };
    let steps = if g.opset < 10 { None } else { op.integers(4)? };
    let (starts, ends) = (starts.ok_or("its starts are missing")?, ends.ok_or("its ends are missing")?);
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err("starts, ends, axes and steps of different lengths".into());
    }
    let mut value = op.input(0)?.clone();
    for i in 0..starts.len() {
        value = cut(g, &value, axes[i], (starts[i], ends[i], steps[i]))?;
    }
    Ok(vec![value])
}

/// The entries that a slice takes.
fn places(n: usize, (start, end, step): (i64, i64, i64)) -> Result<Vec<usize>, String> {
    let n = n as i64;
    let (first, last) = if step > 0 { (0, n) } else { (-1, n - 1) };
    if step == 0 {
        return Err("steps of 0".into());
    }
    // Backwards, what lies before the first entry is the end.
    let place = |v: i64| (if v < 0 { v.saturating_add(n) } else { v }).clamp(first, last);
    let (start, end) = (place(start), place(end));
    let all = std::iter::successors(Some(start), |v| v.checked_add(step));
    let taken = all.take_while(|v| if step > 0 { *v < end } else { *v > end });
    Ok(taken.map(|v| v as usize).collect())
}

fn cut(g: &mut Lowering, value: &Value, axis: i64, range: (i64, i64, i64)) -> Result<Value, String> {
    if let Some(dims) = known(value) {
        let axis = absolute(axis, dims.len())?;
        let entries = places(dims[axis], range)?;
        let mut shape = dims.to_vec();
        shape[axis] = entries.len();
        return picked(value, shape, &taken(dims, axis, &entries)).ok_or_else(|| "no constant".into());
    }
    let x = g.computed(value)?;
    if g.lead(&x) == 1 && absolute(axis, g.rank(&x))? == 0 {
        // All examples.
        return match range {
            (0, end, 1) if end >= i64::from(i32::MAX) => Ok(Value::Computed(x)),
            _ => Err("it takes some examples of a batch only".into()),
        };
    }
    let axis = g.axis(&x, axis)?;
    let entries = places(x.shape[axis], range)?;
    if entries.iter().copied().eq(0..x.shape[axis]) {
        return Ok(Value::Computed(x));
    }
    let image = x.image;
    let layer = match (usize::try_from(range.2), entries.first()) {
        (Ok(step), Some(&start)) => Layer::Slice { axis, start, count: entries.len(), step },
        _ => Layer::Select { axis, places: entries },
    };
    let y = g.layer(layer, &x)?;
    Ok(Value::Computed(Computed { image, ..y }))
}

pub(super) fn split(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let a = &op.attributes;
    let axis = a.int("axis")?.unwrap_or(0);
    let old = a.ints("split")?.map(<[i64]>::to_vec);
    let sizes = if g.opset < 13 { old } else { op.integers(1)? };
    let parts = a.int("num_outputs")?.and_then(|n| usize::try_from(n).ok()).unwrap_or(op.node.output.len());
    let x = g.computed(op.input(0)?)?;
    let axis = g.axis(&x, axis)?;
    let whole = x.shape[axis];
    if parts == 0 || parts != op.node.output.len() {
        return Err(format!("{parts} parts with {} names", op.node.output.len()));
    }
    let sizes: Vec<usize> = match sizes {
        Some(sizes) => sizes.iter().map(|s| usize::try_from(*s).unwrap_or(0)).collect(),
        // The last part may be smaller.
        None => {
            let each = whole.div_ceil(parts);
            (0..parts).map(|i| each.min(whole.saturating_sub(i * each))).collect()
        }
    };
    if sizes.len() != parts || sizes.iter().try_fold(0usize, |a, b| a.checked_add(*b)) != Some(whole) {
        return Err(format!("parts of {sizes:?} of {whole}"));
    }
    let mut start = 0;
    let mut made = Vec::new();
    for count in sizes {
        let part = if count == whole { x.clone() } else { g.layer(Layer::Slice { axis, start, count, step: 1 }, &x)? };
        made.push(Value::Computed(part));
        start += count;
    }
    Ok(made)
}

pub(super) fn gather(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let axis = op.attributes.int("axis")?.unwrap_or(0);
    let Some(Value::Whole(at)) = op.optional(1) else { return Err("its places are computed of the images".into()) };
    let (dims, wanted) = (at.dims.clone(), at.known()?);
    if dims.len() > 1 {
        return Err(format!("places {dims:?} with more than one axis"));
    }
    if let Some(sizes) = known(op.input(0)?) {
        let axis = absolute(axis, sizes.len())?;
        let entries = wanted.iter().map(|i| absolute(*i, sizes[axis])).collect::<Result<Vec<_>, _>>()?;
        let shape = [&sizes[..axis], &dims, &sizes[axis + 1..]].concat();
        let found = picked(op.input(0)?, shape, &taken(sizes, axis, &entries));
        return Ok(found.into_iter().collect());
    }
    let x = g.computed(op.input(0)?)?;
    let axis = g.axis(&x, axis)?;
    let places = wanted.iter().map(|i| absolute(*i, x.shape[axis])).collect::<Result<Vec<_>, _>>()?;
    let layer = match places[..] {
        [start] => Layer::Slice { axis, start, count: 1, step: 1 },
        _ => Layer::Select { axis, places },
    };
    let mut y = if x.shape[axis] == 1 && wanted.len() == 1 { x } else { g.layer(layer, &x)? };
    if dims.is_empty() {
        y.shape.remove(axis);
    }
    Ok(vec![Value::Computed(y)])
}

pub(super) fn pad(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let a = &op.attributes;
    let mode = a.text("mode")?.unwrap_or_else(|| "constant".into());
    let old = (a.ints("pads")?.map(<[i64]>::to_vec), a.float("value")?);
    let (pads, value) = if g.opset < 11 { old } else { (op.integers(1)?, op.number(2)?) };
    let (pads, value) = (pads.ok_or("its pads are missing")?, value.unwrap_or(0.0));
    let mut x = g.computed(op.input(0)?)?;
    let rank = g.rank(&x);
    let axes = match op.integers(3)? {
        Some(axes) => axes.iter().map(|a| absolute(*a, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("{} pads for {} axes", pads.len(), axes.len()));
    }
    for (i, axis) in axes.iter().enumerate() {
        let (before, after) = (pads[i], pads[i + axes.len()]);
        if (before, after) == (0, 0) {
            continue;
        }
        let sizes =
            usize::try_from(before).ok().zip(usize::try_from(after).ok()).filter(|(a, b)| a.max(b) < &(1 << 16));
        let (before, after) =
            sizes.ok_or_else(|| format!("pads {pads:?}: only padding by what is there is supported"))?;
        let axis = g.axis(&x, *axis as i64)?;
        let n = x.shape[axis];
        let layer = match mode.as_str() {
            "constant" => Layer::Pad { axis, before, after, value },
            "reflect" if before < n && after < n => {
                let places = (1..=before).rev().chain(0..n).chain((0..after).map(|i| n - 2 - i)).collect();
                Layer::Select { axis, places }
            }
            "edge" => {
                let places = std::iter::repeat_n(0, before).chain(0..n).chain(std::iter::repeat_n(n - 1, after));
                Layer::Select { axis, places: places.collect() }
            }
            other => return Err(format!("mode {other:?} of {pads:?}")),
        };
        x = g.layer(layer, &x)?;
    }
    Ok(vec![Value::Computed(x)])
}
