//! Images made of few low frequencies: cosines, channel by channel.

use gauntlet_core::attack::Open;
use gauntlet_core::philox::Stream;
use gauntlet_core::{Error, Result};
use std::f64::consts::PI;

/// The `count` lowest cosines along each side, orthonormal (the type-II discrete cosine transform), and their products.
pub(crate) struct Frequencies {
    input: (usize, usize, usize),
    count: usize,
    /// `count` × height and `count` × width.
    rows: Vec<Vec<f64>>,
    columns: Vec<Vec<f64>>,
}

/// √(2/n) cos(π u (2 i + 1) / 2 n), √(1/n) for u = 0.
pub(crate) fn cosines(count: usize, n: usize) -> Vec<Vec<f64>> {
    let cosine = |u: usize, i: usize| {
        let scale = if u == 0 { 1.0 } else { 2.0 } / n as f64;
        scale.sqrt() * libm::cos(PI * (u * (2 * i + 1)) as f64 / (2 * n) as f64)
    };
    (0..count).map(|u| (0..n).map(|i| cosine(u, i)).collect()).collect()
}

/// Whether images have so many frequencies.
pub(crate) fn fit(attack: &str, count: usize, open: &Open) -> Result<()> {
    let (_, h, w) = open.input;
    if count <= h.min(w) {
        return Ok(());
    }
    let why =
        format!("is {count}, images of {h} × {w} have {} along their shorter side; ask for at most as many", h.min(w));
    Err(Error::value(format!("{attack}.frequencies"), why))
}

impl Frequencies {
    pub(crate) fn new(input: (usize, usize, usize), count: usize) -> Self {
        Frequencies { input, count, rows: cosines(count, input.1), columns: cosines(count, input.2) }
    }

    /// How many coefficients an image has.
    pub(crate) fn len(&self) -> usize {
        self.input.0 * self.count * self.count
    }

    /// The image of one coefficient: product of a cosine down and one across, of unit length, in one channel.
    pub(crate) fn image(&self, coefficient: usize) -> Vec<f64> {
        let (c, h, w) = self.input;
        let (channel, rest) = (coefficient / (self.count * self.count), coefficient % (self.count * self.count));
        let (down, across) = (&self.rows[rest / self.count], &self.columns[rest % self.count]);
        let mut image = vec![0.0; c * h * w];
        for (i, a) in down.iter().enumerate() {
            for (j, b) in across.iter().enumerate() {
                image[(channel * h + i) * w + j] = a * b;
            }
        }
        image
    }

    /// Σ of all images with normal coefficients.
    pub(crate) fn draw(&self, stream: &mut Stream) -> Vec<f64> {
        let (c, h, w) = self.input;
        let mut image = vec![0.0; c * h * w];
        for channel in image.chunks_exact_mut(h * w) {
            for down in &self.rows {
                // Across first: a row for this cosine down.
                let mut row = vec![0.0; w];
                for across in &self.columns {
                    let coefficient = stream.normal();
                    row.iter_mut().zip(across).for_each(|(r, a)| *r += coefficient * a);
                }
                for (pixels, d) in channel.chunks_exact_mut(w).zip(down) {
                    pixels.iter_mut().zip(&row).for_each(|(p, r)| *p += d * r);
                }
            }
        }
        image
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_core::{Key, Purpose};

    #[test]
    fn images_of_coefficients_are_orthonormal_and_draws_are_their_sums() {
        let all = Frequencies::new((2, 4, 5), 3);
        let images: Vec<Vec<f64>> = (0..all.len()).map(|k| all.image(k)).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        for (i, a) in images.iter().enumerate() {
            for (j, b) in images.iter().enumerate() {
                assert!((dot(a, b) - f64::from(u8::from(i == j))).abs() < 1e-12, "{i} {j}");
            }
        }
        let stream = || Key::new(3, Purpose::AttackStart).stream(1, 0, 0);
        let (mut drawn, mut coefficients) = (stream(), stream());
        let draw = all.draw(&mut drawn);
        for image in &images {
            assert!((dot(image, &draw) - coefficients.normal()).abs() < 1e-12);
        }
    }
}
