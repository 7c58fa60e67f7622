//! Windows that move over an image in any way: convolutions and pools that the kernels do not know as they are, made of what
//! they know.

use crate::movement::{select, slice};
use gauntlet_autograd::Var;
use gauntlet_autograd::kernels::{constant_like, zeros_like};
use gauntlet_core::Result;
use std::fmt;

/// How windows move over an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Height and width of a window: its taps.
    pub size: (usize, usize),
    /// Pixels from one window to the next, down and right.
    pub strides: (usize, usize),
    /// Pixels added above, left, below and right.
    pub pads: [usize; 4],
    /// Pixels from one tap to the next, down and right.
    pub dilations: (usize, usize),
}

/// More pixels around an image than any network adds.
const LARGEST: usize = 1 << 16;

impl Windows {
    /// One stride, one size and taps side by side: what the pooling kernels know.
    pub fn square(&self) -> bool {
        self.size.0 == self.size.1 && self.strides.0 == self.strides.1 && self.dilations == (1, 1)
    }

    /// Places of a window on an image that reaches `beyond` its padding below and right.
    ///
    /// # Errors
    /// A window that does not fit.
    pub(crate) fn places(&self, (h, w): (usize, usize), beyond: (usize, usize)) -> Result<(usize, usize), String> {
        let Windows { size: (kh, kw), strides: (sh, sw), pads, dilations: (dh, dw) } = *self;
        let [top, left, bottom, right] = pads;
        let along = |n: usize, before: usize, after: usize, k: usize, s: usize, d: usize| {
            let small = [before, after, k, s, d].iter().all(|v| *v < LARGEST) && k > 0 && s > 0 && d > 0;
            let whole = small.then(|| (n + before + after).checked_sub((k - 1) * d + 1)).flatten()?;
            Some(whole / s + 1)
        };
        let (down, across) =
            (along(h, top, bottom + beyond.0, kh, sh, dh), along(w, left, right + beyond.1, kw, sw, dw));
        down.zip(across).ok_or_else(|| format!("a {kh}×{kw} window{self} does not fit an image of {h}×{w}"))
    }

    /// Sides of what a transposed convolution makes of an image, with `extra` rows and columns.
    ///
    /// # Errors
    /// Nothing is left behind the padding.
    pub(crate) fn reached(&self, (h, w): (usize, usize), extra: (usize, usize)) -> Result<(usize, usize), String> {
        let Windows { size: (kh, kw), strides: (sh, sw), pads: [top, left, bottom, right], dilations: (dh, dw) } =
            *self;
        let along = |n: usize, cut: (usize, usize), k: usize, s: usize, d: usize, extra: usize| {
            let small = [cut.0, cut.1, k, s, d, extra].iter().all(|v| *v < LARGEST) && k > 0 && s > 0 && d > 0 && n > 0;
            // An image has fewer than 2³² rows.
            let whole = small.then(|| (n - 1).checked_mul(s))??.checked_add((k - 1) * d + 1 + extra)?;
            // Without what is cut off, there has to be something to cut of.
            (extra == 0 || extra < s.max(d)).then_some(())?;
            whole.checked_sub(cut.0 + cut.1).filter(|n| *n > 0)
        };
        let (down, across) =
            (along(h, (top, bottom), kh, sh, dh, extra.0), along(w, (left, right), kw, sw, dw, extra.1));
        down.zip(across)
            .ok_or_else(|| format!("a transposed {kh}×{kw} window{self} makes nothing of an image of {h}×{w}"))
    }

    /// The image with `around` of zeros on its four sides.
    fn padded(&self, x: &Var, around: [usize; 4]) -> Result<Var> {
        let [top, left, bottom, right] = around;
        let mut y = x.clone();
        for (axis, before, after) in [(2, top, bottom), (3, left, right)] {
            if before + after > 0 {
                y = y.pad_zeros(axis, before, after)?;
            }
        }
        Ok(y)
    }

    /// What tap (i, j) of every window reads of a padded image: `(N, C, OH, OW)`.
    fn tap(&self, x: &Var, (i, j): (usize, usize), (oh, ow): (usize, usize)) -> Result<Var> {
        let rows = slice(x, 2, i * self.dilations.0, oh, self.strides.0)?;
        slice(&rows, 3, j * self.dilations.1, ow, self.strides.1)
    }

    fn taps(&self) -> impl Iterator<Item = (usize, usize)> {
        let (kh, kw) = self.size;
        (0..kh).flat_map(move |i| (0..kw).map(move |j| (i, j)))
    }

    /// Zeros between the taps of a weight `(O, C, KH, KW)`.
    fn dilated(&self, weight: &Var) -> Result<Var> {
        let mut w = weight.clone();
        for (axis, step) in [(2, self.dilations.0), (3, self.dilations.1)] {
            if step > 1 {
                w = apart(&w, axis, step)?;
            }
        }
        Ok(w)
    }
}

/// `step` − 1 zeros between the entries of an axis.
fn apart(x: &Var, axis: usize, step: usize) -> Result<Var> {
    let mut dims = x.dims().to_vec();
    let apart = (dims[axis] - 1) * step + 1;
    let y = x.unsqueeze(axis + 1)?.pad_zeros(axis + 1, 0, step - 1)?;
    dims[axis] *= step;
    Ok(y.reshape(&dims)?.narrow(axis, 0, apart)?)
}

/// `, stride 2, padding 1` and so on, as far as it is said.
impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pair = |(a, b): (usize, usize)| if a == b { a.to_string() } else { format!("{a}×{b}") };
        write!(f, ", stride {}", pair(self.strides))?;
        let [top, left, bottom, right] = self.pads;
        match (top == left && left == bottom && bottom == right, top) {
            (true, 0) => {}
            (true, _) => write!(f, ", padding {top}")?,
            (false, _) => write!(f, ", padding {top}, {left}, {bottom}, {right}")?,
        }
        if self.dilations != (1, 1) {
            write!(f, ", dilation {}", pair(self.dilations))?;
        }
        Ok(())
    }
}

/// A convolution in groups, with dilation, with its own padding on every side.
pub(crate) fn conv(x: &Var, weight: &Var, bias: Option<&Var>, windows: &Windows, groups: usize) -> Result<Var> {
    let [top, left, bottom, right] = windows.pads;
    if groups > 1 && weight.dim(1)? == 1 && weight.dim(0)? == groups {
        return depthwise(x, weight, bias, windows);
    }
    let even = top == left && left == bottom && bottom == right;
    let (padding, x) = if even { (top, x.clone()) } else { (0, windows.padded(x, windows.pads)?) };
    let weight = windows.dilated(weight)?;
    // Where the strides differ, all places are computed and every so many kept.
    let (sh, sw) = windows.strides;
    let stride = if sh == sw { sh } else { 1 };
    let y = if groups == 1 {
        x.conv2d(&weight, bias, stride, padding)?
    } else {
        let (c, o) = (x.dim(1)? / groups, weight.dim(0)? / groups);
        let parts = (0..groups).map(|g| {
            let bias = bias.map(|b| b.narrow(0, g * o, o)).transpose()?;
            let (x, weight) = (x.narrow(1, g * c, c)?, weight.narrow(0, g * o, o)?);
            Ok(x.conv2d(&weight, bias.as_ref(), stride, padding)?)
        });
        Var::cat(&parts.collect::<Result<Vec<Var>>>()?.iter().collect::<Vec<_>>(), 1)?
    };
    if sh == sw {
        return Ok(y);
    }
    let y = slice(&y, 2, 0, (y.dim(2)? - 1) / sh + 1, sh)?;
    slice(&y, 3, 0, (y.dim(3)? - 1) / sw + 1, sw)
}

/// The transpose of a convolution with that weight `(C, O / groups, KH, KW)`: a convolution of the image with zeros between and around
/// its pixels, by the kernels turned round.
pub(crate) fn conv_transpose(
    x: &Var,
    (weight, bias): (&Var, Option<&Var>),
    windows: &Windows,
    groups: usize,
    extra: (usize, usize),
) -> Result<Var> {
    let Windows { size, strides, pads: [top, left, bottom, right], dilations } = *windows;
    let mut y = x.clone();
    for (axis, k, step, dilation, (before, after), extra) in [
        (2, size.0, strides.0, dilations.0, (top, bottom), extra.0),
        (3, size.1, strides.1, dilations.1, (left, right), extra.1),
    ] {
        if step > 1 {
            y = apart(&y, axis, step)?;
        }
        let reach = (k - 1) * dilation;
        let (before, after) = ((reach, before), (reach + extra, after));
        let (add, cut) = (
            (before.0.saturating_sub(before.1), after.0.saturating_sub(after.1)),
            (before.1.saturating_sub(before.0), after.1.saturating_sub(after.0)),
        );
        if add != (0, 0) {
            y = y.pad_zeros(axis, add.0, add.1)?;
        }
        if cut != (0, 0) {
            y = y.narrow(axis, cut.0, y.dim(axis)? - cut.0 - cut.1)?;
        }
    }
    let c = weight.dim(0)? / groups;
    let turned = (0..groups).map(|g| weight.narrow(0, g * c, c)?.transpose(0, 1)).collect::<Result<Vec<Var>, _>>()?;
    let mut kernel = Var::cat(&turned.iter().collect::<Vec<_>>(), 0)?;
    for (axis, k) in [(2, size.0), (3, size.1)] {
        kernel = select(&kernel, axis, &(0..k).rev().collect::<Vec<_>>())?;
    }
    let windows = Windows { size, strides: (1, 1), pads: [0; 4], dilations };
    conv(&y, &kernel, bias, &windows, groups)
}

/// Every channel with a kernel of its own: the sum over taps of the shifted image, scaled per channel.
fn depthwise(x: &Var, weight: &Var, bias: Option<&Var>, windows: &Windows) -> Result<Var> {
    let padded = windows.padded(x, windows.pads)?;
    let places = windows.places((x.dim(2)?, x.dim(3)?), (0, 0)).map_err(gauntlet_core::Error::Message)?;
    let channels = weight.dim(0)?;
    let taps = weight.reshape(&[channels, windows.size.0 * windows.size.1])?;
    let none = Var::constant(zeros_like(&weight.tensor().flatten_all()?.narrow(0, 0, channels)?)?);
    let mut sum: Option<Var> = None;
    for (k, at) in windows.taps().enumerate() {
        let scale = taps.narrow(1, k, 1)?.reshape(&[channels])?;
        let shift = if k == 0 { bias.unwrap_or(&none) } else { &none };
        let part = windows.tap(&padded, at, places)?.channel_affine(&scale, shift)?;
        sum = Some(match sum {
            Some(sum) => sum.add(&part)?,
            None => part,
        });
    }
    sum.ok_or_else(|| gauntlet_core::Error::Message("a kernel without taps".into()))
}

/// Why a max pool with such padding is refused.
pub(crate) const OUTSIDE: &str = "a window lies in the padding altogether";

/// The first and the last tap of every window along an axis that lie in the image. `None`: a window has none.
pub(crate) fn within(n: usize, pads: (usize, usize), k: usize, s: usize, d: usize) -> Option<Vec<(usize, usize)>> {
    let windows = (n + pads.0 + pads.1).checked_sub((k - 1) * d + 1)? / s + 1;
    let taps = |window: usize| {
        let first = pads.0.saturating_sub(window * s).div_ceil(d);
        let last = ((n + pads.0 - 1).checked_sub(window * s)? / d).min(k - 1);
        (first <= last).then_some((first, last))
    };
    (0..windows).map(taps).collect()
}

/// Maxima of windows; what lies outside the image never wins.
pub(crate) fn max(x: &Var, windows: &Windows) -> Result<Var> {
    let (h, w) = (x.dim(2)?, x.dim(3)?);
    if windows.square() {
        let (k, stride) = (windows.size.0, windows.strides.0);
        if windows.pads == [0; 4] {
            return Ok(x.max_pool2d(k, stride)?);
        }
        let [top, left, bottom, right] = windows.pads;
        let padded = windows.padded(x, windows.pads)?;
        let (ph, pw) = (h + top + bottom, w + left + right);
        let outside = |i: usize| !(top..top + h).contains(&(i / pw)) || !(left..left + w).contains(&(i % pw));
        let border: Vec<f64> = (0..ph * pw).map(|i| if outside(i) { f64::NEG_INFINITY } else { 0.0 }).collect();
        let border = Var::constant(constant_like(&border, &[ph, pw], x.tensor())?);
        return Ok(padded.broadcast_add(&border)?.max_pool2d(k, stride)?);
    }
    let places = windows.places((h, w), (0, 0)).map_err(gauntlet_core::Error::Message)?;
    let [top, left, bottom, right] = windows.pads;
    // What lies outside gives way to the nearest pixel of the window, less something: it is no maximum, and no two taps tie.
    let along = |n: usize, pads: (usize, usize), k: usize, s: usize, d: usize| {
        let taps = within(n, pads, k, s, d).ok_or_else(|| gauntlet_core::Error::Message(OUTSIDE.into()))?;
        let at = |tap: usize| {
            let place = |(window, (first, last)): (usize, &(usize, usize))| {
                let near = tap.clamp(*first, *last);
                (window * s + near * d - pads.0, near.abs_diff(tap) as f64)
            };
            taps.iter().enumerate().map(place).unzip()
        };
        Ok::<Vec<(Vec<usize>, Vec<f64>)>, gauntlet_core::Error>((0..k).map(at).collect())
    };
    let outside = if windows.pads == [0; 4] {
        None
    } else {
        let (size, strides, dilations) = (windows.size, windows.strides, windows.dilations);
        let down = along(h, (top, bottom), size.0, strides.0, dilations.0)?;
        Some((down, along(w, (left, right), size.1, strides.1, dilations.1)?))
    };
    let mut best: Option<Var> = None;
    for at in windows.taps() {
        let tap = match &outside {
            None => windows.tap(x, at, places)?,
            Some((down, across)) => {
                let ((rows, above), (columns, beside)) = (&down[at.0], &across[at.1]);
                let tap = select(&select(x, 2, rows)?, 3, columns)?;
                let less = above.iter().flat_map(|a| beside.iter().map(move |b| -1.37 * a - 2.11 * b));
                let less: Vec<f64> = less.collect();
                let less = Var::constant(constant_like(&less, &[rows.len(), columns.len()], x.tensor())?);
                tap.broadcast_add(&less)?
            }
        };
        best = Some(match best {
            Some(best) => crate::Binary::Max.apply(&tap, &best)?,
            None => tap,
        });
    }
    best.ok_or_else(|| gauntlet_core::Error::Message("a window without taps".into()))
}

/// Means of windows over what they count.
pub(crate) fn mean(x: &Var, windows: &Windows, overhang: (usize, usize), padding_counts: bool) -> Result<Var> {
    let (h, w) = (x.dim(2)?, x.dim(3)?);
    let [top, left, bottom, right] = windows.pads;
    let (oh, ow) = windows.places((h, w), overhang).map_err(gauntlet_core::Error::Message)?;
    let padded = windows.padded(x, [top, left, bottom + overhang.0, right + overhang.1])?;
    let taps = windows.size.0 * windows.size.1;
    let means = if windows.square() {
        padded.avg_pool2d(windows.size.0, windows.strides.0)?
    } else {
        let mut sum: Option<Var> = None;
        for at in windows.taps() {
            let tap = windows.tap(&padded, at, (oh, ow))?;
            sum = Some(match sum {
                Some(sum) => sum.add(&tap)?,
                None => tap,
            });
        }
        let sum = sum.ok_or_else(|| gauntlet_core::Error::Message("a window without taps".into()))?;
        sum.affine(1.0 / taps as f64, 0.0)?
    };
    // Places of a padded axis that count, of those that a window reads.
    let counted = |place: usize, k: usize, s: usize, d: usize, (before, n, after): (usize, usize, usize)| {
        let range = if padding_counts { 0..before + n + after } else { before..before + n };
        (0..k).filter(|tap| range.contains(&(place * s + tap * d))).count()
    };
    let along = |places: usize, k: usize, s: usize, d: usize, axis: (usize, usize, usize)| -> Vec<usize> {
        (0..places).map(|place| counted(place, k, s, d, axis)).collect()
    };
    let rows = along(oh, windows.size.0, windows.strides.0, windows.dilations.0, (top, h, bottom));
    let columns = along(ow, windows.size.1, windows.strides.1, windows.dilations.1, (left, w, right));
    if rows.iter().all(|n| *n == windows.size.0) && columns.iter().all(|n| *n == windows.size.1) {
        return Ok(means);
    }
    let factors: Vec<f64> =
        rows.iter().flat_map(|r| columns.iter().map(move |c| taps as f64 / (r * c).max(1) as f64)).collect();
    let factors = Var::constant(constant_like(&factors, &[oh, ow], x.tensor())?);
    Ok(means.broadcast_mul(&factors)?)
}
