//! Input diversity: an image enlarged at random, padded, and brought back to its size; and the adjoint of that.

use gauntlet_core::philox::Stream;

/// x ↦ R x Cᵀ in every channel: bilinear resizing, zeros around it, bilinear resizing back are linear along each side.
pub(crate) struct Diversity {
    rows: Vec<f64>,
    columns: Vec<f64>,
    input: (usize, usize, usize),
}

/// The largest size that a side of `n` pixels is enlarged to.
pub(crate) fn enlarged(n: usize, rate: f64) -> usize {
    (n as f64 * rate) as usize
}

/// Weights of bilinear interpolation from `n` to `m` samples (m × n): pixels are cells, their centres are sampled.
fn bilinear(n: usize, m: usize) -> Vec<f64> {
    let mut weights = vec![0.0; m * n];
    for o in 0..m {
        let at = ((o as f64 + 0.5) * n as f64 / m as f64 - 0.5).max(0.0);
        let low = (at as usize).min(n - 1);
        let high = (low + 1).min(n - 1);
        let share = at - low as f64;
        weights[o * n + low] += 1.0 - share;
        weights[o * n + high] += share;
    }
    weights
}

/// One side: from n to `size`, moved by `before` inside `most`, back to n (n × n).
fn side(n: usize, size: usize, before: usize, most: usize) -> Vec<f64> {
    let (up, down) = (bilinear(n, size), bilinear(most, n));
    let mut whole = vec![0.0; n * n];
    for o in 0..n {
        for k in 0..size {
            let weight = down[o * most + before + k];
            if weight != 0.0 {
                (0..n).for_each(|i| whole[o * n + i] += weight * up[k * n + i]);
            }
        }
    }
    whole
}

impl Diversity {
    /// A draw: of the sizes from the image's up to `rate` times it, and of where it lies in the largest.
    pub(crate) fn draw(input: (usize, usize, usize), rate: f64, stream: &mut Stream) -> Self {
        let (_, h, w) = input;
        let share = stream.uniform();
        let mut one = |n: usize| {
            let most = enlarged(n, rate);
            let size = n + (share * (most - n) as f64) as usize;
            let before = stream.below((most - size).max(1) as u32) as usize;
            side(n, size, before, most)
        };
        Diversity { rows: one(h), columns: one(w), input }
    }

    /// R x Cᵀ, or its adjoint Rᵀ x C.
    fn apply(&self, x: &mut [f64], adjoint: bool) {
        let (_, h, w) = self.input;
        let at = |m: &[f64], n: usize, o: usize, i: usize| if adjoint { m[i * n + o] } else { m[o * n + i] };
        for channel in x.chunks_exact_mut(h * w) {
            let mut across = vec![0.0; h * w];
            for i in 0..h {
                for o in 0..w {
                    across[i * w + o] = (0..w).map(|j| at(&self.columns, w, o, j) * channel[i * w + j]).sum();
                }
            }
            for o in 0..h {
                for j in 0..w {
                    channel[o * w + j] = (0..h).map(|i| at(&self.rows, h, o, i) * across[i * w + j]).sum();
                }
            }
        }
    }

    /// The image as the model gets to see it.
    pub(crate) fn forward(&self, x: &mut [f64]) {
        self.apply(x, false);
    }

    /// A gradient there as one of the image.
    pub(crate) fn pull(&self, gradient: &mut [f64]) {
        self.apply(gradient, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_core::{Key, Purpose};

    #[test]
    fn the_pull_is_the_adjoint_and_a_constant_stays_one_inside() {
        let input = (2, 10, 20);
        let mut stream = Key::new(4, Purpose::AttackStart).stream(0, 0, 0);
        for _ in 0..20 {
            let map = Diversity::draw(input, 1.3, &mut stream);
            let x: Vec<f64> = (0..400).map(|_| stream.normal()).collect();
            let g: Vec<f64> = (0..400).map(|_| stream.normal()).collect();
            let (mut moved, mut pulled) = (x.clone(), g.clone());
            map.forward(&mut moved);
            map.pull(&mut pulled);
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            assert!((dot(&moved, &g) - dot(&x, &pulled)).abs() < 1e-10);
            let mut ones = vec![1.0; 400];
            map.forward(&mut ones);
            assert!((ones[5 * 20 + 10] - 1.0).abs() < 1e-12 && ones.iter().all(|v| *v < 1.0 + 1e-12));
        }
    }

    /// PyTorch: interpolate(arange(4.), size=6, mode="bilinear", align_corners=False) along one side.
    #[test]
    fn weights_are_those_of_pytorch() {
        let up = bilinear(4, 6);
        let values: Vec<f64> = up.chunks(4).map(|w| w.iter().zip(0..).map(|(w, v)| w * f64::from(v)).sum()).collect();
        let want = [0.0, 0.5, 1.0 + 1.0 / 6.0, 2.0 - 1.0 / 6.0, 2.5, 3.0];
        assert!(values.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{values:?}");
    }
}
