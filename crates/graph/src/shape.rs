//! The shape that a layer hands on.

use crate::{Layer, Windows, windows};
use gauntlet_autograd::kernels::conv::Geometry;
use gauntlet_autograd::kernels::window::pooled;

/// `(1, C, H, W)`: the kernels' shapes have a batch in front.
fn image(shape: &[usize]) -> Vec<usize> {
    std::iter::once(1).chain(shape.iter().copied()).collect()
}

/// e.g. `16×14×14`.
pub(crate) fn written(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

/// The shape of a layer's value for one example, from those of its inputs (and whether they have a batch) and its weight.
///
/// # Errors
/// What does not fit, in words. Convolutions and pools say what their kernels would say.
pub(crate) fn output(
    layer: &Layer,
    inputs: &[&[usize]],
    batched: &[bool],
    weight: Option<&[usize]>,
) -> Result<Vec<usize>, String> {
    match layer {
        Layer::Parameter => return Ok(weight.unwrap_or_default().to_vec()),
        Layer::Concat { axis } => return joined(inputs, *axis),
        _ => {}
    }
    let (&[x] | &[x, _]) = inputs else { return Err(format!("{} inputs where there can be one or two", inputs.len())) };
    let channels = || match x {
        &[c, h, w] => Ok((c, h, w)),
        _ => Err(format!("expects channels, height and width, its input is {}", written(x))),
    };
    let vector = || match x {
        &[n] => Ok(n),
        _ => Err(format!("expects a vector, its input is {}: flatten it before", written(x))),
    };
    Ok(match layer {
        Layer::Input | Layer::Act(_) | Layer::Dropout { .. } => x.to_vec(),
        Layer::Affine { scale, shift } => {
            let (c, _, _) = channels()?;
            if scale.len() != c || shift.len() != c {
                return Err(format!("{} factors and {} shifts for {c} channels", scale.len(), shift.len()));
            }
            x.to_vec()
        }
        Layer::Conv2d { stride, padding } => {
            channels()?;
            let weight = weight.unwrap_or_default();
            let g = Geometry::new("conv2d", &image(x), weight, *stride, *padding).map_err(|e| e.to_string())?;
            vec![g.o, g.oh, g.ow]
        }
        Layer::Linear => {
            vector()?;
            weight.unwrap_or_default()[..1].to_vec()
        }
        Layer::BatchNorm { .. } => {
            if x.len() != 1 {
                channels()?;
            }
            x.to_vec()
        }
        Layer::MaxPool { size, stride } => {
            let (c, _, _) = channels()?;
            let (h, w) = pooled("max pool", &image(x), *size, *stride).map_err(|e| e.to_string())?;
            vec![c, h, w]
        }
        Layer::GlobalAvgPool => vec![channels()?.0],
        Layer::Add => {
            let &[a, b] = inputs else { return Err("needs two inputs".into()) };
            if a != b {
                return Err(format!("its inputs are {} and {}, sums need one shape", written(a), written(b)));
            }
            a.to_vec()
        }
        Layer::Flatten => vec![x.iter().product()],
        Layer::Maxout { pieces } => {
            let n = vector()?;
            if *pieces == 0 || !n.is_multiple_of(*pieces) {
                return Err(format!("{n} values are not units of {pieces} pieces"));
            }
            vec![n / pieces]
        }
        Layer::Parameter | Layer::Concat { .. } | Layer::Map(_) => x.to_vec(),
        Layer::Conv { windows, groups } => convolved(channels()?, weight.unwrap_or_default(), windows, *groups)?,
        Layer::Conv1d { windows, groups } => {
            let (&[c, l], Some(&[o, per_group, k])) = (x, weight) else {
                return Err(format!("expects channels and places, its input is {}", written(x)));
            };
            let found = convolved((c, 1, l), &[o, per_group, 1, k], windows, *groups)?;
            vec![found[0], found[2]]
        }
        Layer::ConvTranspose { windows, groups, extra } => {
            transposed(channels()?, weight.unwrap_or_default(), windows, *groups, *extra)?
        }
        Layer::WindowMax(windows) => {
            let (c, h, w) = channels()?;
            let (oh, ow) = windows.places((h, w), (0, 0))?;
            let [top, left, bottom, right] = windows.pads;
            let along = |n, pads, k, s, d| windows::within(n, pads, k, s, d).is_some();
            let (size, strides, dilations) = (windows.size, windows.strides, windows.dilations);
            if windows.pads != [0; 4]
                && !(along(h, (top, bottom), size.0, strides.0, dilations.0)
                    && along(w, (left, right), size.1, strides.1, dilations.1))
            {
                return Err(windows::OUTSIDE.into());
            }
            vec![c, oh, ow]
        }
        Layer::WindowMean { windows, overhang, .. } => {
            let (c, h, w) = channels()?;
            let (oh, ow) = windows.places((h, w), *overhang)?;
            vec![c, oh, ow]
        }
        Layer::Binary(_) => {
            let &[a, b] = inputs else { return Err("needs two inputs".into()) };
            match *batched {
                [true, true] if a.len() != b.len() => {
                    return Err(format!("its inputs are {} and {} for every example", written(a), written(b)));
                }
                [true, false] if b.len() > a.len() => {
                    return Err(format!("{} without a batch is more than {}", written(b), written(a)));
                }
                [false, true] if a.len() > b.len() => {
                    return Err(format!("{} without a batch is more than {}", written(a), written(b)));
                }
                _ => broadcast(a, b)?,
            }
        }
        Layer::MatMul => {
            let (&[a, b], &[first, second]) = (inputs, batched) else { return Err("needs two inputs".into()) };
            multiplied((a, first), (b, second))?
        }
        Layer::Reduce { axes, keep, .. } => {
            within(axes, x)?;
            let kept = x.iter().enumerate().filter(|(i, _)| *keep || !axes.contains(i));
            kept.map(|(i, n)| if axes.contains(&i) { 1 } else { *n }).collect()
        }
        Layer::Standardise { axes, .. } => {
            within(axes, x)?;
            x.to_vec()
        }
        Layer::Softmax { axis, .. } => {
            within(&[*axis], x)?;
            x.to_vec()
        }
        Layer::Reshape(shape) => {
            if shape.iter().product::<usize>() != x.iter().product::<usize>() {
                return Err(format!("{} has another number of values than {}", written(shape), written(x)));
            }
            shape.clone()
        }
        Layer::Transpose(order) => {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            if sorted != (0..x.len()).collect::<Vec<_>>() {
                return Err(format!("{order:?} is no order of the {} axes of {}", x.len(), written(x)));
            }
            order.iter().map(|axis| x[*axis]).collect()
        }
        Layer::Slice { axis, start, count, step } => {
            within(&[*axis], x)?;
            let last = count.checked_sub(1).and_then(|n| n.checked_mul(*step)).and_then(|n| n.checked_add(*start));
            if *step == 0 || last.is_none_or(|last| last >= x[*axis]) {
                return Err(format!("{count} entries from {start} in steps of {step} are not in {}", written(x)));
            }
            resized(x, *axis, *count)
        }
        Layer::Select { axis, places } => {
            within(&[*axis], x)?;
            if let Some(beyond) = places.iter().find(|p| **p >= x[*axis]) {
                return Err(format!("entry {beyond} of axis {axis} is not in {}", written(x)));
            }
            resized(x, *axis, places.len())
        }
        Layer::Pad { axis, before, after, .. } => {
            within(&[*axis], x)?;
            let size = x[*axis].checked_add(*before).and_then(|n| n.checked_add(*after));
            resized(x, *axis, size.filter(|n| *n < LARGEST).ok_or("the padding is too large")?)
        }
        Layer::Expand(shape) => {
            if broadcast(x, shape)? != *shape || (batched == [true] && shape.len() != x.len()) {
                return Err(format!("{} cannot be repeated to {}", written(x), written(shape)));
            }
            shape.clone()
        }
    })
}

/// More entries along an axis than any image has.
const LARGEST: usize = 1 << 24;

fn resized(x: &[usize], axis: usize, size: usize) -> Vec<usize> {
    let mut shape = x.to_vec();
    shape[axis] = size;
    shape
}

fn within(axes: &[usize], x: &[usize]) -> Result<(), String> {
    match axes.iter().find(|axis| **axis >= x.len()) {
        Some(axis) => Err(format!("there is no axis {axis} in {}", written(x))),
        None => Ok(()),
    }
}

/// The shape of both after repeating, by numpy's rules.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let entry = |x: &[usize], i: usize| (i + x.len()).checked_sub(rank).map_or(1, |i| x[i]);
    let sizes = (0..rank).map(|i| match (entry(a, i), entry(b, i)) {
        (p, q) if p == q || q == 1 => Ok(p),
        (1, q) => Ok(q),
        _ => Err(format!("{} and {} do not go together", written(a), written(b))),
    });
    sizes.collect()
}

fn joined(inputs: &[&[usize]], axis: usize) -> Result<Vec<usize>, String> {
    let Some(first) = inputs.first() else { return Err("needs inputs".into()) };
    within(&[axis], first)?;
    let alike = |x: &[usize]| x.len() == first.len() && (0..x.len()).all(|i| i == axis || x[i] == first[i]);
    if let Some(other) = inputs.iter().find(|x| !alike(x)) {
        return Err(format!(
            "its inputs are {} and {}: they differ beside axis {axis}",
            written(first),
            written(other)
        ));
    }
    Ok(resized(first, axis, inputs.iter().map(|x| x[axis]).sum()))
}

fn convolved(
    (c, h, w): (usize, usize, usize),
    weight: &[usize],
    windows: &Windows,
    groups: usize,
) -> Result<Vec<usize>, String> {
    let &[o, per_group, kh, kw] = weight else { return Err(format!("a weight of {}", written(weight))) };
    if (kh, kw) != windows.size {
        return Err(format!("windows of {}×{} for a {kh}×{kw} kernel", windows.size.0, windows.size.1));
    }
    if groups == 0 || !o.is_multiple_of(groups) || per_group.checked_mul(groups) != Some(c) {
        return Err(format!("{c} channels and a weight of {} do not make {groups} groups", written(weight)));
    }
    let (oh, ow) = windows.places((h, w), (0, 0))?;
    Ok(vec![o, oh, ow])
}

fn transposed(
    (c, h, w): (usize, usize, usize),
    weight: &[usize],
    windows: &Windows,
    groups: usize,
    extra: (usize, usize),
) -> Result<Vec<usize>, String> {
    let &[inputs, per_group, kh, kw] = weight else { return Err(format!("a weight of {}", written(weight))) };
    if (kh, kw) != windows.size || inputs != c || groups == 0 || !c.is_multiple_of(groups) {
        return Err(format!("{c} channels and a weight of {} do not make {groups} groups", written(weight)));
    }
    let (oh, ow) = windows.reached((h, w), extra)?;
    let o = per_group.checked_mul(groups).ok_or("too many channels")?;
    Ok(vec![o, oh, ow])
}

fn multiplied((a, first): (&[usize], bool), (b, second): (&[usize], bool)) -> Result<Vec<usize>, String> {
    let wrong = |why: &str| Err(format!("the product of {} and {}: {why}", written(a), written(b)));
    match (a, b) {
        // One example is a row of the batch's matrix.
        (&[.., k], &[q, p]) if first && !second => match k == q {
            true => Ok([&a[..a.len() - 1], &[p]].concat()),
            false => wrong("inner sizes differ"),
        },
        (&[m, k], &[.., q, p]) if second && !first => match k == q {
            true => Ok([&b[..b.len() - 2], &[m, p]].concat()),
            false => wrong("inner sizes differ"),
        },
        (&[.., m, k], &[.., q, p]) if first == second => {
            if k != q {
                return wrong("inner sizes differ");
            }
            if a[..a.len() - 2] != b[..b.len() - 2] {
                return wrong("leading axes differ");
            }
            Ok([&a[..a.len() - 2], &[m, p]].concat())
        }
        _ => wrong("mixes examples, or has too few axes"),
    }
}
