//! Which number of a value stands where in another: axes moved about, windows, sums over axes.

use gauntlet_graph::{Layer, Windows};

/// Where a number comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Source {
    /// Of this input, the number at this place.
    Of(usize, usize),
    /// It is this.
    Constant(f64),
}

/// The place in each axis of a number.
fn split(mut place: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, n) in shape.iter().enumerate().rev() {
        (index[i], place) = (place % n, place / n);
    }
    index
}

fn joined(index: &[usize], shape: &[usize]) -> usize {
    index.iter().zip(shape).fold(0, |place, (i, n)| place * n + i)
}

/// For every number of the result of a layer that only moves numbers, where it comes from.
pub(crate) fn moved(layer: &Layer, inputs: &[&[usize]], output: &[usize]) -> Option<Vec<Source>> {
    let first = *inputs.first()?;
    let of = |index: Vec<usize>| -> Option<Source> {
        let mut index = index;
        Some(match layer {
            Layer::Transpose(order) => {
                let mut from = vec![0; index.len()];
                order.iter().zip(&index).for_each(|(axis, i)| from[*axis] = *i);
                Source::Of(0, joined(&from, first))
            }
            Layer::Slice { axis, start, step, .. } => {
                index[*axis] = start + index[*axis] * step;
                Source::Of(0, joined(&index, first))
            }
            Layer::Select { axis, places } => {
                index[*axis] = places[index[*axis]];
                Source::Of(0, joined(&index, first))
            }
            Layer::Pad { axis, before, value, .. } => match index[*axis].checked_sub(*before) {
                Some(i) if i < first[*axis] => {
                    index[*axis] = i;
                    Source::Of(0, joined(&index, first))
                }
                _ => Source::Constant(*value),
            },
            Layer::Concat { axis } => {
                let mut which = 0;
                while index[*axis] >= inputs.get(which)?[*axis] {
                    index[*axis] -= inputs[which][*axis];
                    which += 1;
                }
                Source::Of(which, joined(&index, inputs[which]))
            }
            Layer::Expand(_) => Source::Of(0, source_of(&index, first)),
            _ => return None,
        })
    };
    (0..output.iter().product()).map(|place| of(split(place, output))).collect()
}

/// The place in a value of fewer or shorter axes that numpy's rules repeat.
fn source_of(index: &[usize], from: &[usize]) -> usize {
    let more = index.len() - from.len();
    let own: Vec<usize> = index[more..].iter().zip(from).map(|(i, n)| if *n == 1 { 0 } else { *i }).collect();
    joined(&own, from)
}

/// For every number of the larger shape its place in the smaller one.
pub(crate) fn spread(from: &[usize], to: &[usize]) -> Vec<usize> {
    (0..to.iter().product()).map(|place| source_of(&split(place, to), from)).collect()
}

/// Numbers repeated to a larger shape.
pub(crate) fn repeated(numbers: &[f64], from: &[usize], to: &[usize]) -> Vec<f64> {
    spread(from, to).into_iter().map(|place| numbers[place]).collect()
}

/// For every sum over axes the numbers in it.
pub(crate) fn reduced(shape: &[usize], axes: &[usize]) -> Vec<Vec<usize>> {
    let kept: Vec<usize> = shape.iter().enumerate().map(|(i, n)| if axes.contains(&i) { 1 } else { *n }).collect();
    let mut groups = vec![Vec::new(); kept.iter().product()];
    for (place, group) in spread(&kept, shape).into_iter().enumerate() {
        groups[group].push(place);
    }
    groups
}

/// The taps of one window that lie in the image, each with its pixel.
pub(crate) fn taps(image: &[usize], output: &[usize], windows: &Windows, place: usize) -> Vec<((usize, usize), usize)> {
    let (h, w) = (image[1], image[2]);
    let (i, j) = (place / output[2], place % output[2]);
    let (kh, kw) = windows.size;
    let along = |place: usize, stride: usize, tap: usize, dilation: usize, pad: usize, n: usize| {
        (place * stride + tap * dilation).checked_sub(pad).filter(|at| *at < n)
    };
    let mut found = Vec::new();
    for (ki, kj) in (0..kh).flat_map(|ki| (0..kw).map(move |kj| (ki, kj))) {
        let y = along(i, windows.strides.0, ki, windows.dilations.0, windows.pads[0], h);
        let x = along(j, windows.strides.1, kj, windows.dilations.1, windows.pads[1], w);
        if let (Some(y), Some(x)) = (y, x) {
            found.push(((ki, kj), y * w + x));
        }
    }
    found
}

/// For every output of a pool its numbers that lie in the image.
pub(crate) fn windows(image: &[usize], output: &[usize], windows: &Windows) -> Vec<Vec<usize>> {
    let (area, places) = (image[1] * image[2], output[1] * output[2]);
    let of = |unit: usize| {
        let channel = unit / places * area;
        taps(image, output, windows, unit % places).into_iter().map(|(_, pixel)| channel + pixel).collect()
    };
    (0..output.iter().product()).map(of).collect()
}

/// What every mean of windows is divided by.
pub(crate) fn counted(
    image: &[usize],
    output: &[usize],
    windows: &Windows,
    overhang: (usize, usize),
    padding_counts: bool,
) -> Vec<f64> {
    let places = output[1] * output[2];
    let whole = windows.size.0 * windows.size.1;
    let of = |unit: usize| {
        let place = unit % places;
        if !padding_counts {
            return taps(image, output, windows, place).len().max(1) as f64;
        }
        if overhang == (0, 0) {
            return whole as f64;
        }
        // Places of the padding count, those beyond do not.
        let along = |place: usize, stride: usize, taps: usize, dilation: usize, end: usize| {
            (0..taps).filter(|tap| place * stride + tap * dilation < end).count()
        };
        let [top, left, bottom, right] = windows.pads;
        let down =
            along(place / output[2], windows.strides.0, windows.size.0, windows.dilations.0, image[1] + top + bottom);
        let across =
            along(place % output[2], windows.strides.1, windows.size.1, windows.dilations.1, image[2] + left + right);
        (down * across).max(1) as f64
    };
    (0..output.iter().product()).map(of).collect()
}
