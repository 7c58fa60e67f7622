//! Convolutions and pools.

use crate::lowering::{Lowering, Op, stem, weight};
use crate::value::{Computed, Value, Weight};
use gauntlet_graph::{Layer, Windows};

/// How the file has a value that is seen as images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Without a batch: a one in front stands for it.
    single: bool,
    /// Channels and places: an image of one row.
    pub(super) row: bool,
}

/// A value as images.
pub(super) fn image(g: &mut Lowering, value: &Value) -> Result<(Computed, Seen), String> {
    let x = g.computed(value)?;
    let (single, shape) = match x.shape[..] {
        [1, ref rest @ ..] if x.batched && g.lead == 0 => (true, rest.to_vec()),
        _ if x.batched && g.lead == 1 => (false, x.shape.clone()),
        _ => (false, Vec::new()),
    };
    let (row, shape) = match shape[..] {
        [c, h, w] => (false, vec![c, h, w]),
        [c, l] => (true, vec![c, 1, l]),
        _ => {
            let why = "only images and rows, one or two axes behind their channels, are supported";
            return Err(format!("its input is {:?} for every example: {why}", x.shape));
        }
    };
    Ok((Computed { shape, ..x }, Seen { single, row }))
}

pub(super) fn back(mut x: Computed, seen: Seen) -> Vec<Value> {
    if seen.row && x.shape.len() == 3 {
        x.shape.remove(1);
    }
    if seen.single {
        x.shape.insert(0, 1);
    }
    vec![Value::Computed(x)]
}

/// Windows as the attributes of a node say them, for an image.
fn windows(op: &Op<'_>, size: (usize, usize), (h, w): (usize, usize), row: bool) -> Result<Windows, String> {
    let a = &op.attributes;
    let (strides, dilations) = (a.sides("strides", 1, row)?, a.sides("dilations", 1, row)?);
    if [size.0, size.1, strides.0, strides.1, dilations.0, dilations.1].contains(&0) {
        return Err("a size, stride or dilation of 0".into());
    }
    let given = match a.ints("pads")? {
        Some(&[left, right]) if row => Some([0, left, 0, right]),
        Some(&[top, left, bottom, right]) if !row => Some([top, left, bottom, right]),
        Some(other) => return Err(format!("pads {other:?}")),
        None => None,
    };
    let automatic = a.text("auto_pad")?.unwrap_or_else(|| "NOTSET".into());
    let pads = match (automatic.as_str(), given) {
        ("NOTSET", None) | ("VALID", _) => [0; 4],
        ("NOTSET", Some([top, left, bottom, right])) => {
            let side = |v: i64| usize::try_from(v).ok().filter(|v| *v < 1 << 16);
            let sides = [top, left, bottom, right].map(side);
            let [Some(a), Some(b), Some(c), Some(d)] = sides else { return Err(format!("pads {given:?}")) };
            [a, b, c, d]
        }
        ("SAME_UPPER" | "SAME_LOWER", _) => {
            // As many windows as strides fit in; what is left over lies below and right, or above and left.
            let along = |n: usize, k: usize, s: usize, d: usize| {
                let whole = ((n.div_ceil(s) - 1) * s + (k - 1) * d + 1).saturating_sub(n);
                if automatic == "SAME_UPPER" { (whole / 2, whole - whole / 2) } else { (whole - whole / 2, whole / 2) }
            };
            let ((top, bottom), (left, right)) =
                (along(h, size.0, strides.0, dilations.0), along(w, size.1, strides.1, dilations.1));
            [top, left, bottom, right]
        }
        (mode, _) => {
            return Err(format!("auto_pad {mode} with pads {given:?} is not supported"));
        }
    };
    Ok(Windows { size, strides, pads, dilations })
}

pub(super) fn conv(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let (x, seen) = image(g, op.input(0)?)?;
    let weight_value = weight(op.input(1)?)?;
    let (o, kh, kw) = match (&weight_value.dims[..], seen.row) {
        (&[o, _, kh, kw], false) => (o, kh, kw),
        (&[o, _, k], true) => (o, 1, k),
        _ => return Err(format!("its kernel is {:?} for an input of {:?}", weight_value.dims, x.shape)),
    };
    let bias = bias(op, o)?;
    let said = op.attributes.sides("kernel_shape", 0, seen.row)?;
    if said != (0, 0) && said != (kh, kw) {
        return Err(format!("kernel_shape {said:?} for a kernel of {kh}×{kw}"));
    }
    let groups = groups(op)?;
    let windows = windows(op, (kh, kw), (x.shape[1], x.shape[2]), seen.row)?;
    if seen.row {
        let x = Computed { shape: vec![x.shape[0], x.shape[2]], ..x };
        let y = convolution(g, Layer::Conv1d { windows, groups }, &x, &weight_value, bias.as_ref())?;
        return Ok(back(y, seen));
    }
    let layer = plain(&windows, groups).unwrap_or(Layer::Conv { windows, groups });
    let y = convolution(g, layer, &x, &weight_value, bias.as_ref())?;
    Ok(back(y, seen))
}

/// The bias of a convolution to `o` channels; an exporter writes zeros where there is none.
fn bias(op: &Op<'_>, o: usize) -> Result<Option<Weight>, String> {
    let none = |v: &&Value| matches!(v, Value::Numbers(n) if n.values.iter().all(|v| *v == 0.0));
    let bias = op.optional(2).filter(|v| !none(v)).map(weight).transpose()?;
    match bias.as_ref().filter(|b| b.dims != [o]) {
        Some(bias) => Err(format!("the bias {} is {:?} for {o} channels", bias.name, bias.dims)),
        None => Ok(bias),
    }
}

fn groups(op: &Op<'_>) -> Result<usize, String> {
    let groups = op.attributes.int("group")?.unwrap_or(1);
    usize::try_from(groups).map_err(|_| format!("group = {groups}"))
}

pub(super) fn conv_transpose(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let (x, seen) = image(g, op.input(0)?)?;
    let weight_value = weight(op.input(1)?)?;
    let &[_, per_group, kh, kw] = &weight_value.dims[..] else {
        return Err(format!("its kernel is {:?}: only images with two axes are supported", weight_value.dims));
    };
    let a = &op.attributes;
    let said = a.pair("kernel_shape", 0)?;
    if said != (0, 0) && said != (kh, kw) {
        return Err(format!("kernel_shape {said:?} for a kernel of {kh}×{kw}"));
    }
    let (groups, extra) = (groups(op)?, a.pair("output_padding", 0)?);
    let bias = bias(op, per_group.checked_mul(groups).ok_or("too many channels")?)?;
    let windows = match reached(op, (x.shape[1], x.shape[2]), (kh, kw), extra)? {
        Some(windows) => windows,
        None => windows(op, (kh, kw), (x.shape[1], x.shape[2]), seen.row)?,
    };
    let y = convolution(g, Layer::ConvTranspose { windows, groups, extra }, &x, &weight_value, bias.as_ref())?;
    Ok(back(y, seen))
}

/// The windows of a transposed convolution whose result has a size that is said: by output_shape, or as many pixels as strides
/// (auto_pad). What there is more is cut off on both sides.
fn reached(
    op: &Op<'_>,
    image: (usize, usize),
    size: (usize, usize),
    extra: (usize, usize),
) -> Result<Option<Windows>, String> {
    let a = &op.attributes;
    let automatic = a.text("auto_pad")?.unwrap_or_else(|| "NOTSET".into());
    let (strides, dilations) = (a.pair("strides", 1)?, a.pair("dilations", 1)?);
    let wanted = match (a.ints("output_shape")?, automatic.as_str()) {
        (Some(&[.., h, w]), _) => (h, w),
        (None, "SAME_UPPER" | "SAME_LOWER") => {
            let along = |n: usize, s: usize| n.checked_mul(s).and_then(|n| i64::try_from(n).ok()).unwrap_or(0);
            (along(image.0, strides.0), along(image.1, strides.1))
        }
        (None, "NOTSET" | "VALID") => return Ok(None),
        (shape, mode) => return Err(format!("output_shape {shape:?} with auto_pad {mode}")),
    };
    if [size.0, size.1, strides.0, strides.1, dilations.0, dilations.1].contains(&0) {
        return Err("a size, stride or dilation of 0".into());
    }
    a.ints("pads")?;
    let along = |n: usize, k: usize, s: usize, d: usize, extra: usize, wanted: i64| {
        let whole = (n.max(1) - 1) * s + (k - 1) * d + 1 + extra;
        let cut = usize::try_from(wanted).ok().filter(|n| *n > 0).and_then(|n| whole.checked_sub(n));
        let cut = cut.ok_or_else(|| format!("output_shape {wanted} where {whole} are made"))?;
        Ok::<_, String>(if automatic == "SAME_UPPER" { (cut / 2, cut - cut / 2) } else { (cut - cut / 2, cut / 2) })
    };
    let (top, bottom) = along(image.0, size.0, strides.0, dilations.0, extra.0, wanted.0)?;
    let (left, right) = along(image.1, size.1, strides.1, dilations.1, extra.1, wanted.1)?;
    Ok(Some(Windows { size, strides, pads: [top, left, bottom, right], dilations }))
}

/// The convolution that has a kernel of its own.
fn plain(windows: &Windows, groups: usize) -> Option<Layer> {
    let Windows { strides, pads: [top, left, bottom, right], dilations, .. } = *windows;
    let even = top == left && left == bottom && bottom == right;
    let simple = groups == 1 && even && strides.0 == strides.1 && dilations == (1, 1);
    simple.then_some(Layer::Conv2d { stride: strides.0, padding: top })
}

fn convolution(
    g: &mut Lowering,
    layer: Layer,
    x: &Computed,
    w: &Weight,
    bias: Option<&Weight>,
) -> Result<Computed, String> {
    let name = g.free(stem(&w.name));
    let specs = g.weights(w, bias);
    let input = g.node(x)?;
    let made = g.builder.layer_with(layer, &[input], name, specs).map_err(|e| e.to_string())?;
    g.given(made, false)
}

/// The pooling's windows, and how far the last ones reach over the padding where sizes are rounded up.
fn pooling(op: &Op<'_>, (h, w): (usize, usize), row: bool) -> Result<(Windows, (usize, usize)), String> {
    let size = op.attributes.sides("kernel_shape", 0, row)?;
    let windows = windows(op, size, (h, w), row)?;
    if op.attributes.int("ceil_mode")?.unwrap_or(0) == 0 {
        return Ok((windows, (0, 0)));
    }
    let [top, left, bottom, right] = windows.pads;
    let along = |n: usize, before: usize, after: usize, k: usize, s: usize, d: usize| {
        let reach = (k - 1) * d + 1;
        let whole = (n + before + after).saturating_sub(reach);
        let mut places = whole.div_ceil(s) + 1;
        // The last window has to begin on the image or before it.
        if (places - 1) * s >= n + before {
            places -= 1;
        }
        ((places - 1) * s + reach).saturating_sub(n + before + after)
    };
    let (size, strides, dilations) = (windows.size, windows.strides, windows.dilations);
    let over =
        (along(h, top, bottom, size.0, strides.0, dilations.0), along(w, left, right, size.1, strides.1, dilations.1));
    Ok((windows, over))
}

pub(super) fn max_pool(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    if op.node.output.iter().skip(1).any(|name| !name.is_empty()) {
        return Err("the places of the maxima are not supported".into());
    }
    if op.attributes.int("storage_order")?.unwrap_or(0) != 0 {
        return Err("storage_order 1 is not supported".into());
    }
    let (x, seen) = image(g, op.input(0)?)?;
    let (mut windows, over) = pooling(op, (x.shape[1], x.shape[2]), seen.row)?;
    windows.pads[2] += over.0;
    windows.pads[3] += over.1;
    let plain = windows.square() && windows.pads == [0; 4];
    let layer = if plain {
        Layer::MaxPool { size: windows.size.0, stride: windows.strides.0 }
    } else {
        Layer::WindowMax(windows)
    };
    Ok(back(g.layer(layer, &x)?, seen))
}

pub(super) fn average_pool(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let (x, seen) = image(g, op.input(0)?)?;
    let padding_counts = op.attributes.int("count_include_pad")?.unwrap_or(0) != 0;
    let (windows, overhang) = pooling(op, (x.shape[1], x.shape[2]), seen.row)?;
    if windows.size == (1, 1) && windows.strides == (1, 1) && windows.pads == [0; 4] {
        return Ok(vec![op.input(0)?.clone()]);
    }
    Ok(back(g.layer(Layer::WindowMean { windows, overhang, padding_counts }, &x)?, seen))
}

pub(super) fn global_average_pool(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let (x, seen) = image(g, op.input(0)?)?;
    let mut y = g.layer(Layer::GlobalAvgPool, &x)?;
    y.shape.extend([1, 1]);
    Ok(back(y, seen))
}

pub(super) fn global_max_pool(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let (x, seen) = image(g, op.input(0)?)?;
    let size = (x.shape[1], x.shape[2]);
    let windows = Windows { size, strides: (1, 1), pads: [0; 4], dilations: (1, 1) };
    let layer = if windows.square() { Layer::MaxPool { size: size.0, stride: 1 } } else { Layer::WindowMax(windows) };
    Ok(back(g.layer(layer, &x)?, seen))
}
