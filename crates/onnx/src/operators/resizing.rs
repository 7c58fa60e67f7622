//! Images made larger and smaller: the nearest pixel, or sums over two or four of them along every axis.

use super::images::{back, image};
use crate::lowering::{Lowering, Op, absolute};
use crate::value::{Computed, Count, Numbers, Value};
use gauntlet_graph::Layer;

/// How places of the result are places of the image along an axis.
struct Scaling {
    /// coordinate_transformation_mode
    place: String,
    from: usize,
    to: usize,
    scale: f64,
}

impl Scaling {
    fn at(&self, i: usize) -> Result<f64, String> {
        let (i, last) = (i as f64, |n: usize| n.saturating_sub(1) as f64);
        Ok(match self.place.as_str() {
            "asymmetric" => i / self.scale,
            "half_pixel" => (i + 0.5) / self.scale - 0.5,
            "pytorch_half_pixel" if self.to <= 1 => 0.0,
            "pytorch_half_pixel" => (i + 0.5) / self.scale - 0.5,
            "tf_half_pixel_for_nn" => (i + 0.5) / self.scale,
            "align_corners" if self.to <= 1 => 0.0,
            "align_corners" => i * last(self.from) / last(self.to),
            "half_pixel_symmetric" => {
                let adjusted = self.to as f64 / (self.scale * self.from as f64);
                let centre = self.from as f64 / 2.0;
                centre * (1.0 - adjusted) + (i + 0.5) / self.scale - 0.5
            }
            other => return Err(format!("coordinate_transformation_mode {other:?} is not supported")),
        })
    }

    /// The nearest pixel of every place.
    fn nearest(&self, rounding: &str) -> Result<Vec<usize>, String> {
        let all = (0..self.to).map(|i| {
            let x = self.at(i)?;
            let x = match rounding {
                "floor" => x.floor(),
                "ceil" => x.ceil(),
                "round_prefer_floor" => (x - 0.5).ceil(),
                "round_prefer_ceil" => (x + 0.5).floor(),
                other => return Err(format!("nearest_mode {other:?} is not supported")),
            };
            Ok((x.max(0.0) as usize).min(self.from - 1))
        });
        all.collect()
    }

    /// The matrix (from, to) of weights: every place is a sum over two pixels, or four where it is cubic.
    fn weights(&self, cubic: Option<f64>) -> Result<Vec<f64>, String> {
        let mut matrix = vec![0.0; self.from * self.to];
        for i in 0..self.to {
            let x = self.at(i)?;
            let (x, taps) = match cubic {
                None => (x.clamp(0.0, (self.from - 1) as f64), 0..2),
                Some(_) => (x, -1..3),
            };
            let (floor, t) = (x.floor(), x - x.floor());
            for tap in taps {
                let distance = (t - f64::from(tap)).abs();
                let weight = match cubic {
                    None => 1.0 - distance,
                    Some(a) if distance <= 1.0 => ((a + 2.0) * distance - (a + 3.0)) * distance * distance + 1.0,
                    Some(a) => ((a * distance - 5.0 * a) * distance + 8.0 * a) * distance - 4.0 * a,
                };
                // Beyond the edge lies the edge.
                let pixel = ((floor + f64::from(tap)).max(0.0) as usize).min(self.from - 1);
                matrix[pixel * self.to + i] += weight;
            }
        }
        Ok(matrix)
    }
}

pub(super) fn resize(g: &mut Lowering, op: &Op<'_>) -> Result<Vec<Value>, String> {
    let a = &op.attributes;
    let mode = a.text("mode")?.unwrap_or_else(|| "nearest".into());
    let old = op.node.op_type == "Upsample" || g.opset < 11;
    let (place, rounding) = (a.text("coordinate_transformation_mode")?, a.text("nearest_mode")?);
    let place = place.unwrap_or_else(|| if old { "asymmetric" } else { "half_pixel" }.into());
    let rounding = rounding.unwrap_or_else(|| if old { "floor" } else { "round_prefer_floor" }.into());
    let cubic = a.float("cubic_coeff_a")?.unwrap_or(-0.75);
    a.float("extrapolation_value")?;
    let exclude = a.int("exclude_outside")?.unwrap_or(0) != 0;
    let policy = a.text("keep_aspect_ratio_policy")?.unwrap_or_else(|| "stretch".into());
    if a.int("antialias")?.unwrap_or(0) != 0 || policy != "stretch" || (exclude && mode == "cubic") {
        return Err("antialias, exclude_outside and keep_aspect_ratio_policy are not supported".into());
    }
    let (x, seen) = image(g, op.input(0)?)?;
    let numbers = |v: Option<&Value>| match v {
        Some(Value::Numbers(n)) => Some(n.values.clone()),
        Some(Value::Weight(w)) => Some(w.values.iter().map(|v| f64::from(*v)).collect()),
        _ => None,
    };
    let scales = match (op.node.op_type.as_str(), g.opset) {
        ("Upsample", ..9) => a.floats("scales")?.map(|s| s.iter().map(|v| f64::from(*v)).collect()),
        ("Upsample", _) | (_, ..11) => numbers(op.optional(1)),
        _ => numbers(op.optional(2)),
    };
    let scales = scales.filter(|s: &Vec<f64>| !s.is_empty());
    // Behind the batch and the channels.
    let axes: Option<Vec<i64>> = a.ints("axes")?.map(<[i64]>::to_vec);
    let rank = if seen.row { 3 } else { 4 };
    let places = match axes {
        Some(axes) => axes.iter().map(|axis| absolute(*axis, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    let first = if seen.row { 2 } else { 1 };
    let mut y = x;
    for axis in first..3 {
        let from = y.shape[axis];
        let Some(k) = places.iter().position(|p| *p == rank - 3 + axis) else { continue };
        let scaling = match (&scales, op.optional(3)) {
            (Some(scales), _) if scales.len() == places.len() => {
                let to = (from as f64 * scales[k]).floor();
                if !(1.0..65536.0).contains(&to) {
                    return Err(format!("scales {scales:?}"));
                }
                Scaling { place: place.clone(), from, to: to as usize, scale: scales[k] }
            }
            (None, Some(Value::Whole(sizes))) if sizes.values.len() == places.len() => {
                let Count::Known(to) = sizes.values[k] else { return Err("its sizes are no fixed numbers".into()) };
                let to =
                    usize::try_from(to).ok().filter(|n| (1..65536).contains(n)).ok_or(format!("a size of {to}"))?;
                Scaling { place: place.clone(), from, to, scale: to as f64 / from as f64 }
            }
            _ => return Err("neither scales nor sizes are known".into()),
        };
        y = resized(g, op, y, axis, &scaling, (mode.as_str(), &rounding, cubic))?;
    }
    // The others stay.
    for (k, p) in places.iter().enumerate().filter(|(_, p)| **p < 2) {
        let stays = match (&scales, op.optional(3)) {
            (Some(scales), _) => scales.get(k) == Some(&1.0),
            (None, Some(Value::Whole(sizes))) => match (p, sizes.values.get(k)) {
                (0, Some(Count::Batches(1))) => true,
                (0, Some(Count::Known(1))) => g.single || g.lead == 0,
                (1, Some(Count::Known(n))) => usize::try_from(*n) == Ok(y.shape[0]),
                _ => false,
            },
            _ => false,
        };
        if !stays {
            return Err("it resizes the channels or the batch".into());
        }
    }
    Ok(back(y, seen))
}

/// An image resized along an axis of (C, H, W).
fn resized(
    g: &mut Lowering,
    op: &Op<'_>,
    x: Computed,
    axis: usize,
    scaling: &Scaling,
    (mode, rounding, cubic): (&str, &str, f64),
) -> Result<Computed, String> {
    let coefficient = match mode {
        "nearest" => {
            let places = scaling.nearest(rounding)?;
            if places.iter().copied().eq(0..scaling.from) {
                return Ok(x);
            }
            return g.layer(Layer::Select { axis, places }, &x);
        }
        "linear" => None,
        "cubic" => Some(cubic),
        other => return Err(format!("mode {other:?}: nearest, linear and cubic are supported")),
    };
    if scaling.from * scaling.to > 1 << 24 {
        return Err("the image is too large".into());
    }
    let matrix = scaling.weights(coefficient)?;
    let unchanged = scaling.from == scaling.to
        && matrix.iter().enumerate().all(|(i, v)| *v == if i % (scaling.to + 1) == 0 { 1.0 } else { 0.0 });
    if unchanged {
        return Ok(x);
    }
    let name = format!("{}.{}", op.output(), if axis == 1 { "rows" } else { "columns" });
    // Along the last axis a product from the right, along rows one from the left with the matrix turned round.
    let (from, to) = (scaling.from, scaling.to);
    let (dims, values) = if axis == 1 {
        (vec![to, from], (0..from * to).map(|i| matrix[(i % from) * to + i / from]).collect())
    } else {
        (vec![from, to], matrix)
    };
    let matrix = g.computed(&Value::Numbers(Numbers { name, dims, values }))?;
    let (image, matrix) = (g.node(&x)?, g.node(&matrix)?);
    let inputs = if axis == 1 { [matrix, image] } else { [image, matrix] };
    let id = g.push(Layer::MatMul, &inputs)?;
    g.given(id, false)
}
