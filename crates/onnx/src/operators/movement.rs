//! Values transposed, cut, joined and padded.

use crate::lowering::{Lowering, Op, absolute};
use crate::value::{Batch, Computed, Numbers, Value, Whole, permuted, taken};
use gauntlet_graph::Layer;
use std::cmp::Ordering;

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

/// Whether every axis occurs once.
fn permutation(order: &[usize], rank: usize) -> bool {
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    sorted.into_iter().eq(0..rank)
}

pub(super) fn transpose(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    if let Some(dims) = known(op.input(0)?) {
        let order = match op.attributes.ints("perm")? {
            Some(perm) => perm.iter().map(|a| absolute(*a, dims.len())).collect::<Result<Vec<_>, _>>()?,
            None => (0..dims.len()).rev().collect(),
        };
        if !permutation(&order, dims.len()) {
            return Err(format!("perm is {order:?} for {dims:?}"));
        }
        let shape = order.iter().map(|a| dims[*a]).collect();
        return Ok(picked(op.input(0)?, shape, &permuted(dims, &order)).into_iter().collect());
    }
    let x = g.anywhere(op.input(0)?)?;
    let rank = g.rank(&x);
    let given = match op.attributes.ints("perm")? {
        Some(perm) => perm.iter().map(|a| absolute(*a, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).rev().collect(),
    };
    if !permutation(&given, rank) {
        return Err(format!("perm is {given:?} for {rank} axes"));
    }
    let mut y = x.clone();
    let mut order: Vec<usize> = Vec::new();
    if g.lead(&x) == 1 {
        // What shares the batch's axis goes with it.
        let (from, with) = (x.batch.axis, x.batch.with().len());
        y.batch.axis = given.iter().position(|a| *a == from).ok_or("perm leaves out an axis")?;
        for a in &given {
            match a.cmp(&from) {
                Ordering::Less => order.push(*a),
                Ordering::Equal => order.extend(from..from + with),
                Ordering::Greater => order.push(a - 1 + with),
            }
        }
    } else {
        order.clone_from(&given);
    }
    y.shape = given
        .iter()
        .filter_map(|a| match a.cmp(&x.batch.axis) {
            _ if g.lead(&x) == 0 => x.shape.get(*a).copied(),
            Ordering::Less => x.shape.get(*a).copied(),
            Ordering::Equal => None,
            Ordering::Greater => x.shape.get(a - 1).copied(),
        })
        .collect();
    if order.iter().enumerate().any(|(i, a)| i != *a) {
        let node = g.node(&x)?;
        y.id = g.push(Layer::Transpose(order), &[node])?;
    }
    Ok(vec![Value::Computed(y)])
}

pub(super) fn concat(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let axis = op.attributes.int("axis")?.ok_or("attribute axis is missing")?;
    let all = (0..op.inputs.len()).map(|i| op.input(i)).collect::<Result<Vec<_>, _>>()?;
    if let Some(found) = constants(op.output(), &all, axis)? {
        return Ok(vec![found]);
    }
    // What is repeated for every example stands beside those that are computed of it.
    let batch = all.iter().find_map(|v| match v {
        Value::Computed(x) if x.batched => Some(x.batch),
        _ => None,
    });
    let parts = all.iter().map(|v| match v {
        Value::Repeated(x) if batch == Some(Batch { before: 1, after: 1, ..x.batch }) => Ok(x.clone()),
        other => {
            let x = g.anywhere(other)?;
            match batch {
                // A file for one example holds once what others repeat.
                Some(_) if !x.batched && g.lead == 0 => Ok(x),
                Some(batch)
                    if !x.batched && g.single && batch.with().is_empty() && x.shape.get(batch.axis) == Some(&1) =>
                {
                    Ok(x.without(batch.axis))
                }
                Some(batch) if !x.batched || x.batch != batch => {
                    Err(format!("it joins {:?} of every example with {:?} of none", g.sizes(&x), x.shape))
                }
                _ => Ok(x),
            }
        }
    });
    let parts = parts.collect::<Result<Vec<Computed>, String>>()?;
    let first = parts.iter().find(|p| p.batched).or(parts.first()).ok_or("it joins nothing")?;
    let axis = g.axis(first, axis)?;
    let image = parts.iter().all(|p| p.image);
    let inputs = parts.iter().map(|p| g.node(p)).collect::<Result<Vec<_>, _>>()?;
    let axis = first.inner(axis);
    let id = if let [one] = inputs[..] { one } else { g.push(Layer::Concat { axis }, &inputs)? };
    Ok(vec![Value::Computed(g.kept(id, first, image)?)])
}

/// Constants joined; `None` where one of the values is none.
fn constants(name: String, all: &[&Value], axis: i64) -> Result<Option<Value>, String> {
    let Some(dims) = all.iter().map(|v| known(v)).collect::<Option<Vec<_>>>() else { return Ok(None) };
    let first = dims.first().ok_or("it joins nothing")?;
    let axis = absolute(axis, first.len())?;
    let alike = |d: &&[usize]| d.len() == first.len() && (0..d.len()).all(|i| i == axis || d[i] == first[i]);
    if let Some(other) = dims.iter().find(|d| !alike(d)) {
        return Err(format!("it joins {first:?} and {other:?}"));
    }
    let mut shape = first.to_vec();
    shape[axis] = dims.iter().map(|d| d[axis]).sum();
    // Row by row of the axes in front.
    let rows: usize = first[..axis].iter().product();
    let piece = |d: &[usize], row: usize| -> std::ops::Range<usize> {
        let inner: usize = d[axis..].iter().product();
        row * inner..(row + 1) * inner
    };
    if all.iter().all(|v| matches!(v, Value::Whole(_))) {
        let parts = (0..rows).flat_map(|row| all.iter().zip(&dims).map(move |(v, d)| (*v, piece(d, row))));
        let values = parts.flat_map(|(v, range)| match v {
            Value::Whole(w) => w.values[range].to_vec(),
            _ => Vec::new(),
        });
        return Ok(Some(Value::Whole(Whole { dims: shape, values: values.collect() })));
    }
    if all.iter().all(|v| matches!(v, Value::Numbers(_))) {
        let parts = (0..rows).flat_map(|row| all.iter().zip(&dims).map(move |(v, d)| (*v, piece(d, row))));
        let values = parts.flat_map(|(v, range)| match v {
            Value::Numbers(n) => n.values[range].to_vec(),
            _ => Vec::new(),
        });
        return Ok(Some(Value::Numbers(Numbers { name, dims: shape, values: values.collect() })));
    }
    Err("it joins integers with something else".into())
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
    let x = g.anywhere(value)?;
    if g.lead(&x) == 1 && absolute(axis, g.rank(&x))? == x.batch.axis {
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
    let (image, axis) = (x.image, x.inner(axis));
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
    let x = g.anywhere(op.input(0)?)?;
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
    let (mut start, axis) = (0, x.inner(axis));
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
    if let Some(sizes) = known(op.input(0)?) {
        let axis = absolute(axis, sizes.len())?;
        let entries = wanted.iter().map(|i| absolute(*i, sizes[axis])).collect::<Result<Vec<_>, _>>()?;
        let shape = [&sizes[..axis], &dims, &sizes[axis + 1..]].concat();
        let found = picked(op.input(0)?, shape, &taken(sizes, axis, &entries));
        return Ok(found.into_iter().collect());
    }
    let x = g.anywhere(op.input(0)?)?;
    let axis = g.axis(&x, axis)?;
    let places = wanted.iter().map(|i| absolute(*i, x.shape[axis])).collect::<Result<Vec<_>, _>>()?;
    let inner = x.inner(axis);
    let layer = match places[..] {
        [start] => Layer::Slice { axis: inner, start, count: 1, step: 1 },
        _ => Layer::Select { axis: inner, places },
    };
    let mut y = if x.shape[axis] == 1 && wanted.len() == 1 { x } else { g.layer(layer, &x)? };
    match dims.len() {
        0 => y = y.without(axis),
        1 => {}
        // The entries in rows: seen so, they are where they were.
        more => {
            y.shape.splice(axis..=axis, dims);
            if y.batched && g.lead == 1 && axis < y.batch.axis {
                y.batch.axis += more - 1;
            }
        }
    }
    Ok(vec![Value::Computed(y)])
}

pub(super) fn pad(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let a = &op.attributes;
    let mode = a.text("mode")?.unwrap_or_else(|| "constant".into());
    let old = (a.ints("pads")?.map(<[i64]>::to_vec), a.float("value")?);
    let (pads, value) = if g.opset < 11 { old } else { (op.integers(1)?, op.number(2)?) };
    let (pads, value) = (pads.ok_or("its pads are missing")?, value.unwrap_or(0.0));
    let mut x = g.anywhere(op.input(0)?)?;
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
        let (n, axis) = (x.shape[axis], x.inner(axis));
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
