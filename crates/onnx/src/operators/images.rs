//! Convolutions, pools and resizing.

use crate::lowering::{Lowering, Op, stem, weight};
use crate::value::{Computed, Value, Weight};
use gauntlet_graph::{Layer, Windows};

/// A value as images, and the shape in front of which a file without a batch puts a one.
fn image(g: &mut Lowering, value: &Value) -> Result<(Computed, bool), String> {
    let x = g.computed(value)?;
    match x.shape[..] {
        [_, _, _] if x.batched && g.lead == 1 => Ok((x, false)),
        [1, c, h, w] if x.batched && g.lead == 0 => Ok((Computed { shape: vec![c, h, w], ..x }, true)),
        _ => Err(format!(
            "its input is {:?} for every example: only images with two axes and channels are supported",
            x.shape
        )),
    }
}

fn back(mut x: Computed, single: bool) -> Vec<Value> {
    if single {
        x.shape.insert(0, 1);
    }
    vec![Value::Computed(x)]
}

/// Windows as the attributes of a node say them, for an image.
fn windows(op: &Op<'_>, size: (usize, usize), (h, w): (usize, usize)) -> Result<Windows, String> {
    let a = &op.attributes;
    let (strides, dilations) = (a.pair("strides", 1)?, a.pair("dilations", 1)?);
    if [size.0, size.1, strides.0, strides.1, dilations.0, dilations.1].contains(&0) {
        return Err("a size, stride or dilation of 0".into());
    }
    let given = a.ints("pads")?;
    let automatic = a.text("auto_pad")?.unwrap_or_else(|| "NOTSET".into());
    let pads = match (automatic.as_str(), given) {
        ("NOTSET", None) | ("VALID", _) => [0; 4],
        ("NOTSET", Some(&[top, left, bottom, right])) => {
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
            return Err(format!("auto_pad {mode} with pads {given:?}: only images with two axes are supported"));
        }
    };
    Ok(Windows { size, strides, pads, dilations })
}

pub(super) fn conv(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let (x, single) = image(g, op.input(0)?)?;
    let weight_value = weight(op.input(1)?)?;
    let &[o, _, kh, kw] = &weight_value.dims[..] else {
        return Err(format!("its kernel is {:?}: only images with two axes are supported", weight_value.dims));
    };
    // An exporter writes zeros where there is no bias.
    let none = |v: &&Value| matches!(v, Value::Numbers(n) if n.values.iter().all(|v| *v == 0.0));
    let bias = op.optional(2).filter(|v| !none(v)).map(weight).transpose()?;
    if let Some(bias) = bias.as_ref().filter(|b| b.dims != [o]) {
        return Err(format!("the bias {} is {:?} for {o} channels", bias.name, bias.dims));
    }
    let said = op.attributes.pair("kernel_shape", 0)?;
    if said != (0, 0) && said != (kh, kw) {
        return Err(format!("kernel_shape {said:?} for a kernel of {kh}×{kw}"));
    }
    let groups = op.attributes.int("group")?.unwrap_or(1);
    let groups = usize::try_from(groups).map_err(|_| format!("group = {groups}"))?;
    let windows = windows(op, (kh, kw), (x.shape[1], x.shape[2]))?;
    let layer = plain(&windows, groups).unwrap_or(Layer::Conv { windows, groups });
    let y = convolution(g, layer, &x, &weight_value, bias.as_ref())?;
    Ok(back(y, single))
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
fn pooling(op: &Op<'_>, (h, w): (usize, usize)) -> Result<(Windows, (usize, usize)), String> {
    let size = op.attributes.pair("kernel_shape", 0)?;
    let windows = windows(op, size, (h, w))?;
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
    let (x, single) = image(g, op.input(0)?)?;
    let (mut windows, over) = pooling(op, (x.shape[1], x.shape[2]))?;
    windows.pads[2] += over.0;
    windows.pads[3] += over.1;
    let plain = windows.square() && windows.pads == [0; 4];
    let layer = if plain {
        Layer::MaxPool { size: windows.size.0, stride: windows.strides.0 }
    } else {
        Layer::WindowMax(windows)
    };
    Ok(back(g.layer(layer, &x)?, single))
}

pub(super) fn average_pool(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let (x, single) = image(g, op.input(0)?)?;
    let padding_counts = op.attributes.int("count_include_pad")?.unwrap_or(0) != 0;
    let (windows, overhang) = pooling(op, (x.shape[1], x.shape[2]))?;
    if windows.size == (1, 1) && windows.strides == (1, 1) && windows.pads == [0; 4] {
        return Ok(vec![op.input(0)?.clone()]);
    }
    Ok(back(g.layer(Layer::WindowMean { windows, overhang, padding_counts }, &x)?, single))
}

pub(super) fn global_average_pool(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let (x, single) = image(g, op.input(0)?)?;
    let mut y = g.layer(Layer::GlobalAvgPool, &x)?;
    y.shape.extend([1, 1]);
    Ok(back(y, single))
}

pub(super) fn global_max_pool(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let (x, single) = image(g, op.input(0)?)?;
    let size = (x.shape[1], x.shape[2]);
    let windows = Windows { size, strides: (1, 1), pads: [0; 4], dilations: (1, 1) };
    let layer = if windows.square() { Layer::MaxPool { size: size.0, stride: 1 } } else { Layer::WindowMax(windows) };
    Ok(back(g.layer(layer, &x)?, single))
}

/// The nearest pixel, by whole factors.
pub(super) fn resize(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let a = &op.attributes;
    let mode = a.text("mode")?.unwrap_or_else(|| "nearest".into());
    let old = op.node.op_type == "Upsample" || g.opset < 11;
    let (place, rounding) = (a.text("coordinate_transformation_mode")?, a.text("nearest_mode")?);
    let place = place.unwrap_or_else(|| if old { "asymmetric" } else { "half_pixel" }.into());
    let rounding = rounding.unwrap_or_else(|| if old { "floor" } else { "round_prefer_floor" }.into());
    // Two ways that find the same pixel for whole factors.
    if !matches!(
        (&*place, &*rounding),
        ("asymmetric", "floor") | ("half_pixel" | "pytorch_half_pixel", "round_prefer_floor")
    ) {
        return Err(format!(
            "coordinate_transformation_mode {place:?} with nearest_mode {rounding:?} is not supported"
        ));
    }
    a.float("cubic_coeff_a")?;
    a.float("extrapolation_value")?;
    a.int("exclude_outside")?;
    if mode != "nearest" {
        return Err(format!("mode {mode:?}: only nearest is supported"));
    }
    let (x, single) = image(g, op.input(0)?)?;
    let numbers = |v: Option<&Value>| match v {
        Some(Value::Numbers(n)) => Some(n.values.clone()),
        Some(Value::Weight(w)) => Some(w.values.iter().map(|v| f64::from(*v)).collect()),
        _ => None,
    };
    let scales = match (op.node.op_type.as_str(), g.opset) {
        ("Upsample", ..9) => a.floats("scales")?.map(|s| s.iter().map(|v| f64::from(*v)).collect()),
        ("Upsample", _) | (_, ..11) => numbers(op.optional(1)),
        _ => numbers(op.optional(2)).filter(|s: &Vec<f64>| !s.is_empty()),
    };
    let scales = match (scales, op.integers(3)?) {
        (Some(scales), _) => scales,
        (None, Some(sizes)) if sizes.len() == 4 => {
            vec![1.0, 1.0, sizes[2] as f64 / x.shape[1] as f64, sizes[3] as f64 / x.shape[2] as f64]
        }
        _ => return Err("neither scales nor sizes are known".into()),
    };
    let &[1.0, 1.0, down, across] = &scales[..] else { return Err(format!("scales {scales:?}")) };
    let mut y = x;
    for (axis, factor) in [(1, down), (2, across)] {
        if factor.fract() != 0.0 || !(1.0..=64.0).contains(&factor) {
            return Err(format!("a factor of {factor}: only whole ones are supported"));
        }
        if factor > 1.0 {
            let places = (0..y.shape[axis]).flat_map(|i| std::iter::repeat_n(i, factor as usize)).collect();
            y = g.layer(Layer::Select { axis, places }, &y)?;
        }
    }
    Ok(back(y, single))
}
