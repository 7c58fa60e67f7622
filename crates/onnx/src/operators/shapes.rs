//! The same values in other shapes. Nothing is computed: a value is seen in another shape.

use crate::lowering::{Lowering, Op, absolute};
use crate::value::{Batch, Computed, Count, Numbers, Value, Whole};
use gauntlet_graph::Layer;

/// A value in another shape of the file.
fn seen(g: &mut Lowering, value: &Value, target: &[Count]) -> Result<Value, String> {
    if let Value::Weight(_) | Value::Computed(_) | Value::Mask(_) | Value::Repeated(_) = value {
        let x = g.anywhere(value)?;
        let (shape, batch) = placed(g, &x, target)?;
        return Ok(Value::Computed(Computed { shape, batch, ..x }));
    }
    let shape = target.iter().map(size).collect::<Result<Vec<usize>, _>>()?;
    let count: usize = shape.iter().try_fold(1usize, |a, b| a.checked_mul(*b)).unwrap_or(usize::MAX);
    let fits = |n: usize| if n == count { Ok(()) } else { Err(format!("{n} values do not make {shape:?}")) };
    Ok(match value {
        Value::Whole(w) => {
            fits(w.values.len())?;
            Value::Whole(Whole { dims: shape, values: w.values.clone() })
        }
        Value::Numbers(n) => {
            fits(n.values.len())?;
            Value::Numbers(Numbers { dims: shape, ..n.clone() })
        }
        other => other.clone(),
    })
}

fn size(count: &Count) -> Result<usize, String> {
    match count {
        Count::Known(v) => usize::try_from(*v).map_err(|_| "a negative size".into()),
        Count::Batches(_) => Err("a number of examples stands where a fixed number is needed".into()),
    }
}

/// `2, 3N`
fn written(target: &[Count]) -> String {
    let entry = |c: &Count| match c {
        Count::Known(v) => v.to_string(),
        Count::Batches(1) => "N".into(),
        Count::Batches(k) => format!("{k}N"),
    };
    target.iter().map(entry).collect::<Vec<_>>().join(", ")
}

/// The shape and the batch of a value that is seen as `target`, which has all sizes. As many values of an example stand before the
/// batch as before.
fn placed(g: &Lowering, x: &Computed, target: &[Count]) -> Result<(Vec<usize>, Batch), String> {
    let product = |sizes: &[usize]| sizes.iter().try_fold(1usize, |a, b| a.checked_mul(*b)).unwrap_or(usize::MAX);
    let count = product(&x.apart());
    let wrong = || format!("{count} values of {:?} do not make ({})", x.apart(), written(target));
    let at = target.iter().position(|c| matches!(c, Count::Batches(_)));
    let shape = target.iter().filter(|c| matches!(c, Count::Known(_))).map(size).collect::<Result<Vec<usize>, _>>()?;
    if g.lead(x) == 0 {
        return if at.is_none() && product(&shape) == count { Ok((shape, Batch::FRONT)) } else { Err(wrong()) };
    }
    let mixed = || {
        format!(
            "reshapes {:?} of every example to ({}): the batch is baked in or mixed with other axes; export the network with a \
             dynamic batch (dynamic_axes or dynamic_shapes)",
            x.apart(),
            written(target)
        )
    };
    let (Some(axis), true) = (at, shape.len() + 1 == target.len()) else { return Err(mixed()) };
    let Count::Batches(together) = target[axis] else { return Err(mixed()) };
    let together = usize::try_from(together).map_err(|_| mixed())?;
    if product(&shape).checked_mul(together) != Some(count) {
        return Err(wrong());
    }
    if count == 0 {
        return Err("values without entries are not supported".into());
    }
    // What stood in front of the batch stands there again.
    let front = product(&x.shape[..x.batch.axis]) * x.batch.before;
    let outside = product(&shape[..axis]);
    let before = front / outside;
    if before * outside != front || before == 0 || !together.is_multiple_of(before) {
        return Err(mixed());
    }
    Ok((shape, Batch { axis, before, after: together / before }))
}

/// The sizes of a value in the file.
pub(super) fn sizes(g: &Lowering, value: &Value) -> Vec<Count> {
    let all = |dims: &[usize]| dims.iter().map(|n| Count::Known(*n as i64)).collect();
    match value {
        Value::Computed(x) | Value::Mask(x) => g.sizes(x),
        Value::Repeated(x) => {
            let mut sizes: Vec<Count> = all(&x.shape);
            sizes.insert(x.batch.axis.min(sizes.len()), Count::Batches(1));
            sizes
        }
        Value::Weight(w) => all(&w.dims),
        Value::Numbers(n) => all(&n.dims),
        Value::Whole(w) => all(&w.dims),
    }
}

/// The product of sizes.
pub(super) fn together(sizes: &[Count]) -> Result<Count, String> {
    let mut product = Count::Known(1);
    for size in sizes {
        product = match (product, *size) {
            (Count::Known(a), Count::Known(b)) => Count::Known(a.saturating_mul(b)),
            (Count::Known(a), Count::Batches(b)) | (Count::Batches(a), Count::Known(b)) => {
                Count::Batches(a.saturating_mul(b))
            }
            _ => return Err("the batch is multiplied by itself".into()),
        };
    }
    Ok(product)
}

pub(super) fn flatten(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let value = op.input(0)?;
    let sizes = sizes(g, value);
    let axis = op.attributes.int("axis")?.unwrap_or(1);
    // The axis may stand behind the last one.
    let rank = sizes.len();
    let axis = if axis == rank as i64 { rank } else { absolute(axis, rank)? };
    let shape = [together(&sizes[..axis])?, together(&sizes[axis..])?];
    Ok(vec![seen(g, value, &shape)?])
}

pub(super) fn reshape(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let value = op.input(0)?;
    let old = sizes(g, value);
    let keeps_zeros = op.attributes.int("allowzero")?.unwrap_or(0) == 0;
    let asked: Vec<Count> = match op.optional(1) {
        Some(Value::Whole(whole)) => whole.values.clone(),
        Some(_) => return Err("the shape is computed of the images: export it with a fixed shape".into()),
        None => {
            let old = op.attributes.ints("shape")?.ok_or("input 1 is missing")?;
            old.iter().map(|v| Count::Known(*v)).collect()
        }
    };
    let mut target = Vec::new();
    let mut open = None;
    for (i, entry) in asked.iter().enumerate() {
        target.push(match entry {
            Count::Known(0) if keeps_zeros => {
                *old.get(i).ok_or_else(|| format!("entry {i} of the shape ({}) has no axis", written(&asked)))?
            }
            Count::Known(-1) if open.replace(i).is_some() => {
                return Err(format!("the shape ({}) has two open entries", written(&asked)));
            }
            Count::Known(-1) => Count::Known(1),
            Count::Known(v) if *v < 0 => return Err(format!("the shape ({})", written(&asked))),
            other => *other,
        });
    }
    let batch = |sizes: &[Count]| sizes.iter().any(|c| matches!(c, Count::Batches(_)));
    // A file for one example says 1 where it means the batch.
    if g.single && batch(&old) && !batch(&target) && open != Some(0) && target.first() == Some(&Count::Known(1)) {
        target[0] = Count::Batches(1);
    }
    if let Some(i) = open {
        // Whatever the others leave.
        let (all, known) = (together(&old)?, together(&target)?);
        let (factor, by) = match (all, known) {
            (Count::Known(a), Count::Known(b)) | (Count::Batches(a), Count::Batches(b)) => (Count::Known(a), b),
            (Count::Batches(a), Count::Known(b)) => (Count::Batches(a), b),
            (Count::Known(_), Count::Batches(_)) => {
                return Err(format!(
                    "a number of examples in the shape ({}) of a value without a batch",
                    written(&asked)
                ));
            }
        };
        let (Count::Known(a) | Count::Batches(a)) = factor;
        let fill = if by != 0 && a % by == 0 { a / by } else { 0 };
        if fill == 0 && a != 0 {
            return Err(format!("{} values do not make the shape ({})", written(&[all]), written(&asked)));
        }
        target[i] = if let Count::Batches(_) = factor { Count::Batches(fill) } else { Count::Known(fill) };
    }
    Ok(vec![seen(g, value, &target)?])
}

fn axes(g: &Lowering, op: &Op<'_>) -> Result<Option<Vec<i64>>, String> {
    let attribute = op.attributes.ints("axes")?.map(<[i64]>::to_vec);
    if g.opset < 13 { Ok(attribute) } else { op.integers(1) }
}

pub(super) fn squeeze(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let value = op.input(0)?;
    let old = sizes(g, value);
    let gone: Vec<usize> = match axes(g, op)? {
        None => (0..old.len()).filter(|i| old[*i] == Count::Known(1)).collect(),
        Some(given) => given.iter().map(|a| absolute(*a, old.len())).collect::<Result<_, _>>()?,
    };
    for i in &gone {
        match old[*i] {
            Count::Known(1) => {}
            Count::Known(_) => return Err(format!("axis {i} of ({}) is not 1", written(&old))),
            Count::Batches(_) => return Err("it removes the batch: export the network with a dynamic batch".into()),
        }
    }
    let shape: Vec<Count> = (0..old.len()).filter(|i| !gone.contains(i)).map(|i| old[i]).collect();
    Ok(vec![seen(g, value, &shape)?])
}

pub(super) fn unsqueeze(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let value = op.input(0)?;
    let old = sizes(g, value);
    let given = axes(g, op)?.ok_or("its axes are missing")?;
    let rank = old.len() + given.len();
    let mut new = given.iter().map(|a| absolute(*a, rank)).collect::<Result<Vec<_>, _>>()?;
    new.sort_unstable();
    new.dedup();
    if new.len() != given.len() || rank > 8 {
        return Err(format!("axes {given:?}"));
    }
    let mut old = old.iter();
    let ones = (0..rank).map(|i| if new.contains(&i) { None } else { old.next().copied() });
    let shape: Vec<Count> = ones.map(|n| n.unwrap_or(Count::Known(1))).collect();
    Ok(vec![seen(g, value, &shape)?])
}

pub(super) fn expand(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let value = op.input(0)?;
    let Some(Value::Whole(target)) = op.optional(1) else { return Err("the shape is computed of the images".into()) };
    if let (Value::Whole(_) | Value::Numbers(_), Ok(sizes)) = (value, target.known()) {
        let sizes = sizes.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
        let sizes = sizes.map_err(|_| "a negative size")?;
        return Ok(vec![match value {
            Value::Whole(whole) => {
                let (dims, places) = crate::value::pairs(&whole.dims, &sizes)?;
                Value::Whole(Whole { dims, values: places.iter().map(|(i, _)| whole.values[*i]).collect() })
            }
            Value::Numbers(n) => {
                let (dims, places) = crate::value::pairs(&n.dims, &sizes)?;
                let values = places.iter().map(|(i, _)| n.values[*i]).collect();
                Value::Numbers(Numbers { name: op.output(), dims, values })
            }
            other => other.clone(),
        }]);
    }
    let mut x = g.anywhere(value)?;
    let mut entries = target.values.clone();
    // Fewer axes than the value: they are its last ones.
    let rank = g.rank(&x).max(entries.len());
    entries.splice(0..0, vec![Count::Known(1); rank - entries.len()]);
    let more = rank - g.rank(&x);
    x.shape.splice(0..0, vec![1; more]);
    let mut repeated = false;
    if g.lead(&x) == 1 {
        x.batch.axis += more;
        match entries.remove(x.batch.axis) {
            Count::Known(1) => {}
            Count::Batches(k) if usize::try_from(k) == Ok(x.batch.before * x.batch.after) => {}
            _ => return Err("it repeats examples".into()),
        }
    } else if let Some(axis) = entries.iter().position(|c| matches!(c, Count::Batches(_))) {
        if entries[axis] != Count::Batches(1) || x.shape[axis] != 1 {
            return Err("it repeats a parameter for every example, which is not supported so".into());
        }
        entries.remove(axis);
        x.shape.remove(axis);
        x.batch.axis = axis;
        repeated = true;
    }
    let sizes = entries.iter().map(size).collect::<Result<Vec<_>, _>>()?;
    let shape: Vec<usize> = x.shape.iter().zip(&sizes).map(|(n, wanted)| *n.max(wanted)).collect();
    if shape != x.shape {
        let inner = Computed { shape, ..x.clone() }.apart();
        let batch = x.batch;
        x = Computed { batch, ..g.layer(Layer::Expand(inner), &x)? };
    }
    Ok(vec![if repeated { Value::Repeated(x) } else { Value::Computed(x) }])
}
