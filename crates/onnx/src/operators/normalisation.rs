//! Normalisation by the statistics of a batch, a layer, an instance or a group.

use super::elementwise::both;
use crate::lowering::{Lowering, Op, absolute, stem, weight};
use crate::value::{Computed, Role, Value, Weight};
use gauntlet_core::Init;
use gauntlet_graph::{Binary, Layer};

/// Batch norm, whatever mode it was exported in: the mode is the pass's.
pub(super) fn batch(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let a = &op.attributes;
    let eps = a.float("epsilon")?.unwrap_or(1e-5);
    // The share of the old statistics; PyTorch's momentum is that of the new ones. To nine digits, as 1 − 0.9 is 0.1.
    let momentum = ((1.0 - a.float("momentum")?.unwrap_or(0.9)) * 1e9).round() / 1e9;
    if a.int("training_mode")?.unwrap_or(0) != 0 {
        g.note("batch norm was exported in training mode; its mode here is that of the pass".into());
    }
    a.int("is_test")?;
    if a.int("spatial")?.unwrap_or(1) != 1 {
        return Err("statistics of every pixel (spatial = 0) are not supported".into());
    }
    let x = g.computed(op.input(0)?)?;
    let shape = x.shape.clone();
    // Without a batch in the file, its first axis may be one that a 1 stands for.
    let skipped = usize::from(g.lead == 0 && shape.len() > 1 && shape[0] == 1);
    let channels = *shape.get(skipped).ok_or("its input has no channels")?;
    let places: usize = shape[skipped + 1..].iter().product();
    let image = match shape[skipped..] {
        [c, h, w] => vec![c, h, w],
        [c] => vec![c],
        _ => vec![channels, places, 1],
    };
    let mut all = (1..5).map(|i| weight(op.input(i)?)).collect::<Result<Vec<Weight>, String>>()?;
    if let Some(wrong) = all.iter().find(|w| w.dims != [channels]) {
        return Err(format!("{} is {:?} for {channels} channels", wrong.name, wrong.dims));
    }
    let name = match all[2].name.strip_suffix(".running_mean") {
        Some(name) if all[3].name.strip_suffix(".running_var") == Some(name) => name.to_string(),
        _ => {
            // Statistics are found by their names: those of other tools get ours.
            let name = stem(&all[0].name).to_string();
            for (i, leaf) in [(2, "running_mean"), (3, "running_var")] {
                let ours = format!("{name}.{leaf}");
                g.note(format!("{} is called {ours} here", all[i].name));
                all[i].name = ours;
            }
            name
        }
    };
    if g.free(&name) != name {
        return Err(format!("two batch norms share the statistics {name}, which is not supported"));
    }
    let starts = [(1.0, true), (0.0, true), (0.0, false), (1.0, false)];
    let specs = all.iter().zip(starts).map(|(w, (start, trained))| g.spec(w, Init::Constant(start), trained)).collect();
    let input = g.node(&Computed { shape: image, ..x })?;
    let made = g.builder.layer_with(Layer::BatchNorm { eps, momentum }, &[input], name, specs);
    let y = g.given(made.map_err(|e| e.to_string())?, false)?;
    Ok(vec![Value::Computed(Computed { shape, ..y })])
}

fn scaled(
    g: &mut Lowering,
    x: Computed,
    value: Option<&Value>,
    kind: Binary,
    shape: &[usize],
) -> Result<Computed, String> {
    let start = Init::Constant(if kind == Binary::Mul { 1.0 } else { 0.0 });
    let by = match value {
        None => return Ok(x),
        Some(Value::Weight(w)) => g.parameter(w, start, w.role != Role::Buffer)?,
        Some(other) => g.computed(other)?,
    };
    let by = if shape.is_empty() { by } else { Computed { shape: shape.to_vec(), ..by } };
    both(g, kind, x, by)
}

pub(super) fn layer(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let a = &op.attributes;
    let eps = a.float("epsilon")?.unwrap_or(1e-5);
    a.int("stash_type")?;
    let x = g.anywhere(op.input(0)?)?;
    let first = g.axis(&x, a.int("axis")?.unwrap_or(-1))?;
    if g.lead(&x) == 1 && first < x.batch.axis {
        return Err("it works across the examples of a batch, which have to stay apart".into());
    }
    let axes = (x.inner(first)..x.apart().len()).collect();
    let y = g.layer(Layer::Standardise { axes, eps }, &x)?;
    let y = scaled(g, y, op.optional(1), Binary::Mul, &[])?;
    Ok(vec![Value::Computed(scaled(g, y, op.optional(2), Binary::Add, &[])?)])
}

pub(super) fn instance(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let eps = op.attributes.float("epsilon")?.unwrap_or(1e-5);
    let x = g.computed(op.input(0)?)?;
    let channel = absolute(1, g.rank(&x))?.checked_sub(g.lead(&x)).ok_or("no channels")?;
    let axes: Vec<usize> = (channel + 1..x.shape.len()).collect();
    let per_channel = [&[x.shape[channel]][..], &vec![1; axes.len()]].concat();
    let y = g.layer(Layer::Standardise { axes, eps }, &x)?;
    let y = scaled(g, y, op.optional(1), Binary::Mul, &per_channel)?;
    Ok(vec![Value::Computed(scaled(g, y, op.optional(2), Binary::Add, &per_channel)?)])
}

pub(super) fn group(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let a = &op.attributes;
    let eps = a.float("epsilon")?.unwrap_or(1e-5);
    a.int("stash_type")?;
    let groups = a.int("num_groups")?.and_then(|n| usize::try_from(n).ok()).ok_or("attribute num_groups is missing")?;
    if g.opset < 21 {
        return Err(
            "before opset 21 it has a scale for every group: export with opset 21, or without the operator".into()
        );
    }
    let x = g.computed(op.input(0)?)?;
    let [channels, rest @ ..] = &x.shape[..] else { return Err("no channels".into()) };
    if !x.batched || g.lead == 0 || groups == 0 || !channels.is_multiple_of(groups) {
        return Err(format!("{groups} groups of {:?}", x.shape));
    }
    let per_channel = [&[*channels][..], &vec![1; rest.len()]].concat();
    let shape = x.shape.clone();
    let flat = Computed { shape: vec![groups, shape.iter().product::<usize>() / groups], ..x };
    let y = g.layer(Layer::Standardise { axes: vec![1], eps }, &flat)?;
    let y = scaled(g, Computed { shape, ..y }, op.optional(1), Binary::Mul, &per_channel)?;
    Ok(vec![Value::Computed(scaled(g, y, op.optional(2), Binary::Add, &per_channel)?)])
}
