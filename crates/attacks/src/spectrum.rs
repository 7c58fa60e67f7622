//! Spectrum simulation: an image whose frequencies are scaled at random, and the adjoint of that.

use crate::frequencies::cosines;
use gauntlet_core::philox::Stream;

/// x ↦ Dᵀ (M ∘ D x) in every channel, D the orthonormal cosine transform of both sides: its own adjoint.
pub(crate) struct Spectrum {
    input: (usize, usize, usize),
    rows: Vec<Vec<f64>>,
    columns: Vec<Vec<f64>>,
    /// M, one factor per coefficient.
    factors: Vec<f64>,
}

/// The cosines of the rows down and of the columns across, applied to one channel: coefficients of an image, or back.
fn transform(channel: &mut [f64], rows: &[Vec<f64>], columns: &[Vec<f64>], back: bool) {
    let (h, w) = (rows.len(), columns.len());
    let at = |m: &[Vec<f64>], o: usize, i: usize| if back { m[i][o] } else { m[o][i] };
    let mut half = vec![0.0; h * w];
    for i in 0..h {
        let row = &channel[i * w..(i + 1) * w];
        for o in 0..w {
            half[i * w + o] = row.iter().enumerate().map(|(j, v)| at(columns, o, j) * v).sum();
        }
    }
    for o in 0..h {
        let mut row = vec![0.0; w];
        for i in 0..h {
            let share = at(rows, o, i);
            row.iter_mut().zip(&half[i * w..(i + 1) * w]).for_each(|(r, v)| *r += share * v);
        }
        channel[o * w..(o + 1) * w].copy_from_slice(&row);
    }
}

impl Spectrum {
    /// Factors uniform in [1 − ρ, 1 + ρ] (Long et al. 2022).
    pub(crate) fn draw(input: (usize, usize, usize), rho: f64, stream: &mut Stream) -> Self {
        let (c, h, w) = input;
        let factors = (0..c * h * w).map(|_| 1.0 + rho * (2.0 * stream.uniform() - 1.0)).collect();
        Spectrum { input, rows: cosines(h, h), columns: cosines(w, w), factors }
    }

    /// The image as the model gets to see it, or a gradient there as one of the image.
    pub(crate) fn apply(&self, x: &mut [f64]) {
        let (_, h, w) = self.input;
        for (channel, factors) in x.chunks_exact_mut(h * w).zip(self.factors.chunks_exact(h * w)) {
            transform(channel, &self.rows, &self.columns, false);
            channel.iter_mut().zip(factors).for_each(|(v, m)| *v *= m);
            transform(channel, &self.rows, &self.columns, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_core::{Key, Purpose};

    #[test]
    fn without_scaling_nothing_changes_and_with_it_the_map_is_its_own_adjoint() {
        let input = (2, 5, 7);
        let mut stream = Key::new(6, Purpose::Sample).stream(0, 0, 0);
        let x: Vec<f64> = (0..70).map(|_| stream.normal()).collect();
        let g: Vec<f64> = (0..70).map(|_| stream.normal()).collect();
        let mut same = x.clone();
        Spectrum::draw(input, 0.0, &mut stream).apply(&mut same);
        assert!(same.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-12));
        let spectrum = Spectrum::draw(input, 0.5, &mut stream);
        let (mut moved, mut pulled) = (x.clone(), g.clone());
        spectrum.apply(&mut moved);
        spectrum.apply(&mut pulled);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        assert!((dot(&moved, &g) - dot(&x, &pulled)).abs() < 1e-11 && dot(&moved, &x) > 0.0);
        // A constant image is one coefficient: it stays constant.
        let mut flat = vec![1.0; 70];
        spectrum.apply(&mut flat);
        assert!(flat[..35].iter().all(|v| (v - flat[0]).abs() < 1e-12 && (0.5..=1.5).contains(v)));
    }
}
