//! The same values in other shapes. Nothing is computed: a value is seen in another shape.

use crate::lowering::{Lowering, Op, absolute};
use crate::value::{Computed, Count, Numbers, Value, Whole};
use gauntlet_graph::Layer;

/// A value in another shape of the file, given as a function of its dimensions there; for a value with a batch they are those of
/// one example.
fn seen(g: &mut Lowering, value: &Value, shape: Vec<usize>) -> Result<Value, String> {
    let count: usize = shape.iter().product();
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
        Value::Weight(_) | Value::Computed(_) | Value::Mask(_) => {
            let x = g.computed(value)?;
            fits(x.shape.iter().product())?;
            Value::Computed(Computed { shape, ..x })
        }
    })
}

/// The dimensions of a value, without a batch in front, and how many axes of the file that is less.
fn dimensions(g: &Lowering, value: &Value) -> (Vec<usize>, usize) {
    match value {
        Value::Computed(x) | Value::Mask(x) => (x.shape.clone(), g.lead(x)),
        Value::Weight(w) => (w.dims.clone(), 0),
        Value::Numbers(n) => (n.dims.clone(), 0),
        Value::Whole(w) => (w.dims.clone(), 0),
    }
}

pub(super) fn flatten(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let value = op.input(0)?;
    let (dims, lead) = dimensions(g, value);
    let axis = op.attributes.int("axis")?.unwrap_or(1);
    // The axis may stand behind the last one.
    let rank = dims.len() + lead;
    let axis = if axis == rank as i64 { rank } else { absolute(axis, rank)? };
    let shape = if lead == 1 {
        if axis != 1 && !(axis == 2 && dims.first() == Some(&1)) {
            return Err(format!("axis {axis} would mix the examples of a batch with their values"));
        }
        vec![dims.iter().product()]
    } else {
        vec![dims[..axis].iter().product(), dims[axis..].iter().product()]
    };
    Ok(vec![seen(g, value, shape)?])
}

pub(super) fn reshape(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let value = op.input(0)?;
    let (dims, lead) = dimensions(g, value);
    let keeps_zeros = op.attributes.int("allowzero")?.unwrap_or(0) == 0;
    let target: Vec<Count> = match op.optional(1) {
        Some(Value::Whole(whole)) => whole.values.clone(),
        Some(_) => return Err("the shape is computed of the images: export it with a fixed shape".into()),
        None => {
            let old = op.attributes.ints("shape")?.ok_or("input 1 is missing")?;
            old.iter().map(|v| Count::Known(*v)).collect()
        }
    };
    let written = || {
        let entry = |c: &Count| match c {
            Count::Known(v) => v.to_string(),
            Count::Batches(1) => "N".into(),
            Count::Batches(k) => format!("{k}N"),
        };
        target.iter().map(entry).collect::<Vec<_>>().join(", ")
    };
    let rest = if lead == 0 { &target[..] } else { target.get(1..).unwrap_or_default() };
    let mut sizes = Vec::new();
    for (i, entry) in rest.iter().enumerate() {
        sizes.push(match entry {
            Count::Known(0) if keeps_zeros => {
                Some(*dims.get(i).ok_or_else(|| format!("entry {i} of the shape ({}) has no axis", written()))?)
            }
            Count::Known(-1) => None,
            Count::Known(v) => Some(usize::try_from(*v).map_err(|_| format!("the shape ({})", written()))?),
            Count::Batches(_) => {
                return Err(format!("the shape ({}) puts the batch behind the first axis", written()));
            }
        });
    }
    let count: usize = dims.iter().product();
    let known = sizes.iter().flatten().try_fold(1usize, |a, b| a.checked_mul(*b)).unwrap_or(usize::MAX);
    let open = sizes.iter().filter(|s| s.is_none()).count();
    if open > 1 {
        return Err(format!("the shape ({}) has two open entries", written()));
    }
    if lead == 1 {
        let whole = open == 1 || known == count;
        let stays = match target.first() {
            Some(Count::Batches(1)) => true,
            Some(Count::Known(0)) => keeps_zeros,
            Some(Count::Known(-1)) => whole && open == 0,
            // A file for one example says 1 where it means the batch.
            Some(Count::Known(1)) => g.single && whole,
            _ => false,
        };
        if !stays {
            return Err(format!(
                "reshapes {dims:?} of every example to ({}): the batch is baked in or mixed with other axes; export the network \
                 with a dynamic batch (dynamic_axes or dynamic_shapes)",
                written()
            ));
        }
    }
    let fill = if count.is_multiple_of(known) { count.checked_div(known).unwrap_or(0) } else { 0 };
    let shape = sizes.into_iter().map(|s| s.unwrap_or(fill)).collect();
    Ok(vec![seen(g, value, shape)?])
}

fn axes(g: &Lowering, op: &Op<'_>) -> Result<Option<Vec<i64>>, String> {
    let attribute = op.attributes.ints("axes")?.map(<[i64]>::to_vec);
    if g.opset < 13 { Ok(attribute) } else { op.integers(1) }
}

pub(super) fn squeeze(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let value = op.input(0)?;
    let (dims, lead) = dimensions(g, value);
    let gone: Vec<usize> = match axes(g, op)? {
        None => (0..dims.len()).filter(|i| dims[*i] == 1).collect(),
        Some(given) => {
            let place = |a: &i64| {
                let found = absolute(*a, dims.len() + lead)?.checked_sub(lead);
                found.ok_or_else(|| "it removes the batch: export the network with a dynamic batch".to_string())
            };
            given.iter().map(place).collect::<Result<_, _>>()?
        }
    };
    if let Some(i) = gone.iter().find(|i| dims[**i] != 1) {
        return Err(format!("axis {i} of {dims:?} is not 1"));
    }
    let shape = (0..dims.len()).filter(|i| !gone.contains(i)).map(|i| dims[i]).collect();
    Ok(vec![seen(g, value, shape)?])
}

pub(super) fn unsqueeze(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let value = op.input(0)?;
    let (dims, lead) = dimensions(g, value);
    let given = axes(g, op)?.ok_or("its axes are missing")?;
    let rank = dims.len() + lead + given.len();
    let mut new = given.iter().map(|a| absolute(*a, rank)).collect::<Result<Vec<_>, _>>()?;
    new.sort_unstable();
    new.dedup();
    if new.len() != given.len() || rank > 8 {
        return Err(format!("axes {given:?}"));
    }
    if lead == 1 && new.first() == Some(&0) {
        return Err("it puts an axis before the batch".into());
    }
    let mut old = dims.iter();
    let shape = (lead..rank).map(|i| if new.contains(&i) { 1 } else { old.next().copied().unwrap_or(1) }).collect();
    Ok(vec![seen(g, value, shape)?])
}

pub(super) fn expand(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let value = op.input(0)?;
    let Some(Value::Whole(target)) = op.optional(1) else { return Err("the shape is computed of the images".into()) };
    if let Value::Whole(whole) = value {
        let ones = target.known()?.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
        let ones = ones.map_err(|_| "a negative size")?;
        let (dims, places) = crate::value::pairs(&whole.dims, &ones)?;
        return Ok(vec![Value::Whole(Whole { dims, values: places.iter().map(|(i, _)| whole.values[*i]).collect() })]);
    }
    if let (Value::Numbers(n), Ok(sizes)) = (value, target.known()) {
        let sizes = sizes.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
        let (dims, places) = crate::value::pairs(&n.dims, &sizes.map_err(|_| "a negative size")?)?;
        let values = places.iter().map(|(i, _)| n.values[*i]).collect();
        return Ok(vec![Value::Numbers(Numbers { name: op.output(), dims, values })]);
    }
    let x = g.computed(value)?;
    let lead = g.lead(&x);
    let entries = &target.values[..];
    let rest = match (lead, entries.split_first()) {
        (1, Some((Count::Batches(1) | Count::Known(1), rest))) if entries.len() == x.shape.len() + 1 => rest,
        // Fewer axes than the value: they are its last ones.
        (1, _) if entries.len() <= x.shape.len() => entries,
        (0, _) => entries,
        _ => return Err("it repeats examples".into()),
    };
    let size = |c: &Count| match c {
        Count::Known(v) => usize::try_from(*v).map_err(|_| "a negative size".to_string()),
        Count::Batches(_) => Err("it repeats a parameter for every example, which is not supported".to_string()),
    };
    let sizes = rest.iter().map(size).collect::<Result<Vec<_>, _>>()?;
    let rank = x.shape.len().max(sizes.len());
    let entry = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    let shape: Vec<usize> = (0..rank).map(|i| entry(&x.shape, i).max(entry(&sizes, i))).collect();
    if shape == x.shape {
        return Ok(vec![Value::Computed(x)]);
    }
    let x = Computed { shape: [vec![1; rank - x.shape.len()], x.shape.clone()].concat(), ..x };
    Ok(vec![Value::Computed(g.layer(Layer::Expand(shape), &x)?)])
}
