//! The fourteen operations of TrivialAugment and RandAugment, and one more of AutoAugment, on pixels in [0, 1].
//!
//! Geometry takes the nearest pixel and fills with black, as torchvision does; colours are blended as Pillow blends them, without its
//! rounding to bytes in between.

use gauntlet_core::augment::Picture;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are Pillow's")]
pub enum Operation {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
    Invert,
}

/// Weights of the grey image, as Pillow has them.
const GREY: [f64; 3] = [0.299, 0.587, 0.114];

impl Operation {
    /// Its strength in AutoAugment and RandAugment, `t` of the way from none to the most, on an image of these sides (height, width).
    pub(crate) fn strength(self, t: f64, (h, w): (usize, usize)) -> f64 {
        match self {
            Operation::ShearX | Operation::ShearY => 0.3 * t,
            Operation::TranslateX => 150.0 / 331.0 * w as f64 * t,
            Operation::TranslateY => 150.0 / 331.0 * h as f64 * t,
            Operation::Rotate => 30.0 * t,
            Operation::Brightness | Operation::Color | Operation::Contrast | Operation::Sharpness => 0.9 * t,
            Operation::Posterize => 8.0 - (4.0 * t).round(),
            Operation::Solarize => 1.0 - t,
            Operation::Identity | Operation::AutoContrast | Operation::Equalize | Operation::Invert => 0.0,
        }
    }

    /// Those of TrivialAugment and RandAugment, in torchvision's order.
    pub const ALL: [Operation; 14] = [
        Operation::Identity,
        Operation::ShearX,
        Operation::ShearY,
        Operation::TranslateX,
        Operation::TranslateY,
        Operation::Rotate,
        Operation::Brightness,
        Operation::Color,
        Operation::Contrast,
        Operation::Sharpness,
        Operation::Posterize,
        Operation::Solarize,
        Operation::AutoContrast,
        Operation::Equalize,
    ];

    /// Whether its strength has a sign that is drawn.
    pub fn is_signed(self) -> bool {
        use Operation::{Brightness, Color, Contrast, Rotate, Sharpness, ShearX, ShearY, TranslateX, TranslateY};
        matches!(self, ShearX | ShearY | TranslateX | TranslateY | Rotate | Brightness | Color | Contrast | Sharpness)
    }

    /// Changes the image. `strength`: tangent of the shear, pixels, degrees, or what is added to the factor 1 of a blend; for
    /// `Posterize` the bits that are kept, for `Solarize` the threshold in [0, 1].
    pub fn apply(self, image: &mut Picture, strength: f64) {
        let (c, h, w) = image.shape;
        let (middle_row, middle_column) = ((h as f64 - 1.0) / 2.0, (w as f64 - 1.0) / 2.0);
        match self {
            Operation::Identity => {}
            Operation::ShearX => moved(image, |row, column| (row, column - strength * (row - middle_row))),
            Operation::ShearY => moved(image, |row, column| (row - strength * (column - middle_column), column)),
            Operation::TranslateX => moved(image, |row, column| (row, column - strength.trunc())),
            Operation::TranslateY => moved(image, |row, column| (row - strength.trunc(), column)),
            Operation::Rotate => {
                let angle = strength.to_radians();
                let (sine, cosine) = (libm::sin(angle), libm::cos(angle));
                moved(image, |row, column| {
                    let (y, x) = (row - middle_row, column - middle_column);
                    (middle_row + sine * x + cosine * y, middle_column + cosine * x - sine * y)
                });
            }
            Operation::Brightness => blend(image, 1.0 + strength, |_| 0.0),
            Operation::Color => {
                let grey = grey(image);
                let area = h * w;
                blend(image, 1.0 + strength, |i| grey[i % area]);
            }
            Operation::Contrast => {
                let grey = grey(image);
                let mean = grey.iter().sum::<f64>() / grey.len().max(1) as f64;
                blend(image, 1.0 + strength, |_| mean);
            }
            Operation::Sharpness => {
                let smooth = smoothed(image);
                blend(image, 1.0 + strength, |i| smooth[i]);
            }
            Operation::Posterize => {
                let step = f64::from(1u32 << (8 - (strength.round() as u32).clamp(1, 8)));
                image.pixels.iter_mut().for_each(|p| *p = ((*p * 255.0).round() / step).floor() * step / 255.0);
            }
            Operation::Solarize => {
                image.pixels.iter_mut().filter(|p| **p >= strength).for_each(|p| *p = 1.0 - *p);
            }
            Operation::Invert => image.pixels.iter_mut().for_each(|p| *p = 1.0 - *p),
            Operation::AutoContrast => {
                for channel in image.pixels.chunks_mut(h * w) {
                    let low = channel.iter().copied().fold(f64::INFINITY, f64::min);
                    let high = channel.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    if high > low {
                        channel.iter_mut().for_each(|p| *p = (*p - low) / (high - low));
                    }
                }
            }
            Operation::Equalize => (0..c).for_each(|channel| equalise(&mut image.pixels[channel * h * w..][..h * w])),
        }
    }
}

/// Every pixel from where `source(row, column)` says, the nearest one; black outside.
fn moved(image: &mut Picture, source: impl Fn(f64, f64) -> (f64, f64)) {
    let (c, h, w) = image.shape;
    let from = image.clone();
    for row in 0..h {
        for column in 0..w {
            let (y, x) = source(row as f64, column as f64);
            let (y, x) = ((y + 0.5).floor(), (x + 0.5).floor());
            let inside = y >= 0.0 && x >= 0.0 && y < h as f64 && x < w as f64;
            for channel in 0..c {
                let place = image.at(channel, row, column);
                image.pixels[place] = if inside { from.pixels[from.at(channel, y as usize, x as usize)] } else { 0.0 };
            }
        }
    }
}

/// base + factor · (x − base), within [0, 1].
fn blend(image: &mut Picture, factor: f64, base: impl Fn(usize) -> f64) {
    for (i, p) in image.pixels.iter_mut().enumerate() {
        let base = base(i);
        *p = (base + factor * (*p - base)).clamp(0.0, 1.0);
    }
}

/// The grey image; of one that is not in three colours its mean over channels.
fn grey(image: &Picture) -> Vec<f64> {
    let (c, h, w) = image.shape;
    let weight = |channel: usize| if c == 3 { GREY[channel] } else { 1.0 / c as f64 };
    (0..h * w).map(|i| (0..c).map(|k| weight(k) * image.pixels[k * h * w + i]).sum()).collect()
}

/// (1 1 1; 1 5 1; 1 1 1) / 13 inside, the image itself at its edge.
fn smoothed(image: &Picture) -> Vec<f64> {
    let (c, h, w) = image.shape;
    let mut out = image.pixels.clone();
    for channel in 0..c {
        for row in 1..h.saturating_sub(1) {
            for column in 1..w.saturating_sub(1) {
                let around: f64 = (row - 1..=row + 1)
                    .flat_map(|r| (column - 1..=column + 1).map(move |k| (r, k)))
                    .map(|(r, k)| image.pixels[image.at(channel, r, k)])
                    .sum();
                let place = image.at(channel, row, column);
                out[place] = (around + 4.0 * image.pixels[place]) / 13.0;
            }
        }
    }
    out
}

/// Pillow's equalisation of 256 levels.
fn equalise(channel: &mut [f64]) {
    let level = |p: f64| ((p * 255.0).round() as usize).min(255);
    let mut counts = [0usize; 256];
    channel.iter().for_each(|p| counts[level(*p)] += 1);
    let last = counts.iter().rev().find(|n| **n > 0).copied().unwrap_or(0);
    let step = (channel.len() - last) / 255;
    if step == 0 {
        return;
    }
    let mut table = [0.0; 256];
    let mut before = step / 2;
    for (to, count) in table.iter_mut().zip(counts) {
        *to = (before / step).min(255) as f64 / 255.0;
        before += count;
    }
    channel.iter_mut().for_each(|p| *p = table[level(*p)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(values: &[f64], side: usize) -> Picture {
        Picture { shape: (values.len() / (side * side), side, side), pixels: values.to_vec() }
    }
    fn done(operation: Operation, strength: f64, values: &[f64], side: usize) -> Vec<f64> {
        let mut image = picture(values, side);
        operation.apply(&mut image, strength);
        image.pixels
    }

    #[test]
    fn each_is_its_closed_form() {
        let ramp = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8];
        let close = |got: &[f64], want: &[f64]| {
            assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-12), "{got:?} {want:?}");
        };
        close(&done(Operation::Identity, 9.0, &ramp, 3), &ramp);
        close(&done(Operation::TranslateX, 1.7, &ramp, 3), &[0.0, 0.0, 0.1, 0.0, 0.3, 0.4, 0.0, 0.6, 0.7]);
        close(&done(Operation::TranslateY, -1.0, &ramp, 3), &[0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.0, 0.0, 0.0]);
        close(&done(Operation::ShearX, 1.0, &ramp, 3), &[0.1, 0.2, 0.0, 0.3, 0.4, 0.5, 0.0, 0.6, 0.7]);
        close(&done(Operation::ShearY, 1.0, &ramp, 3), &[0.3, 0.1, 0.0, 0.6, 0.4, 0.2, 0.0, 0.7, 0.5]);
        // A quarter turn is exact, four of them are none.
        let turned = done(Operation::Rotate, 90.0, &ramp, 3);
        let four = (0..3).fold(turned.clone(), |v, _| done(Operation::Rotate, 90.0, &v, 3));
        close(&four, &ramp);
        assert!(
            turned == [0.2, 0.5, 0.8, 0.1, 0.4, 0.7, 0.0, 0.3, 0.6]
                || turned == [0.6, 0.3, 0.0, 0.7, 0.4, 0.1, 0.8, 0.5, 0.2]
        );
        close(&done(Operation::Brightness, 0.5, &[0.2, 0.4, 0.8, 1.0], 2), &[0.3, 0.6, 1.0, 1.0]);
        close(&done(Operation::Contrast, -0.5, &[0.0, 0.2, 0.4, 0.6], 2), &[0.15, 0.25, 0.35, 0.45]);
        close(&done(Operation::Color, -1.0, &[1.0, 0.5, 0.0], 1), &[0.299 + 0.2935; 3]);
        // Only the middle pixel has neighbours all around.
        let peak = [0.0, 0.0, 0.0, 0.0, 0.65, 0.0, 0.0, 0.0, 0.0];
        close(&done(Operation::Sharpness, -1.0, &peak, 3), &[0.0, 0.0, 0.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0]);
        close(&done(Operation::Posterize, 1.0, &[0.1, 0.49, 0.51, 1.0], 2), &[0.0, 0.0, 128.0 / 255.0, 128.0 / 255.0]);
        close(&done(Operation::Solarize, 0.5, &[0.1, 0.5, 0.6, 1.0], 2), &[0.1, 0.5, 0.4, 0.0]);
        close(&done(Operation::Invert, 0.0, &[0.1, 0.5, 0.6, 1.0], 2), &[0.9, 0.5, 0.4, 0.0]);
        close(&done(Operation::AutoContrast, 0.0, &[0.2, 0.4, 0.6, 0.6], 2), &[0.0, 0.5, 1.0, 1.0]);
        close(&done(Operation::AutoContrast, 0.0, &[0.3; 4], 2), &[0.3; 4]);
        // 1,024 pixels, half of them 0 and half 1: step (1024 − 512) / 255 = 2; 0 → 1/2, 1 → (512 + 1) / 2.
        let half: Vec<f64> = (0..1024).map(|i| f64::from(u8::from(i % 2 == 1))).collect();
        let flat = done(Operation::Equalize, 0.0, &half, 32);
        close(&flat[..2], &[0.0, 1.0]);
    }
}
