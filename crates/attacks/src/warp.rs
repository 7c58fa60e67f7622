//! Linear maps of images that take every pixel from up to four others: rotations and shifts, with their adjoints.

/// out_p = Σ w · in_q over up to four pixels q of the same channel; none: black.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Warp {
    /// Pixels and weights, one list per pixel of the result.
    from: Vec<[(u32, f64); 4]>,
}

impl Warp {
    /// Of `pixels` per channel; `at` gives where each is taken from, as (row, column) in an image of `h` × `w` whose pixels outside are
    /// black: bilinear, pixels are points.
    pub(crate) fn sample(pixels: usize, (h, w): (usize, usize), at: impl Fn(usize) -> (f64, f64)) -> Self {
        let from = (0..pixels).map(|p| bilinear((h, w), at(p))).collect();
        Warp { from }
    }

    /// A rotation by `angle` (radians, counter-clockwise as seen) about the middle of `h` × `w` pixels, then a shift by (down, right).
    pub(crate) fn rigid((h, w): (usize, usize), angle: f64, (down, right): (f64, f64)) -> Self {
        let (sin, cos) = (libm::sin(angle), libm::cos(angle));
        let (middle_row, middle_column) = ((h as f64 - 1.0) / 2.0, (w as f64 - 1.0) / 2.0);
        Warp::sample(h * w, (h, w), |p| {
            let (i, j) = ((p / w) as f64 - middle_row - down, (p % w) as f64 - middle_column - right);
            (middle_row + cos * i + sin * j, middle_column - sin * i + cos * j)
        })
    }

    /// The same map between parts of larger images: `out(p)` and `inside(q)` say where pixels lie there.
    pub(crate) fn embed(&self, pixels: usize, out: impl Fn(usize) -> usize, inside: impl Fn(usize) -> usize) -> Self {
        let mut from = vec![[(0, 0.0); 4]; pixels];
        for (p, entries) in self.from.iter().enumerate() {
            from[out(p)] = entries.map(|(q, weight)| (inside(q as usize) as u32, weight));
        }
        Warp { from }
    }

    /// Of two maps that fill different pixels: both.
    pub(crate) fn join(&mut self, other: &Warp) {
        for (mine, theirs) in self.from.iter_mut().zip(&other.from) {
            if theirs.iter().any(|(_, weight)| *weight != 0.0) {
                *mine = *theirs;
            }
        }
    }

    /// The image as the model gets to see it.
    pub(crate) fn forward(&self, x: &mut [f64]) {
        for channel in x.chunks_exact_mut(self.from.len()) {
            let old = channel.to_vec();
            for (p, entries) in channel.iter_mut().zip(&self.from) {
                *p = entries.iter().map(|(q, weight)| weight * old[*q as usize]).sum();
            }
        }
    }

    /// A gradient there as one of the image.
    pub(crate) fn pull(&self, gradient: &mut [f64]) {
        for channel in gradient.chunks_exact_mut(self.from.len()) {
            let old = channel.to_vec();
            channel.fill(0.0);
            for (g, entries) in old.iter().zip(&self.from) {
                for (q, weight) in entries {
                    channel[*q as usize] += weight * g;
                }
            }
        }
    }
}

/// The four neighbours of a point and their shares; those outside have none.
fn bilinear((h, w): (usize, usize), (row, column): (f64, f64)) -> [(u32, f64); 4] {
    let (top, left) = (row.floor(), column.floor());
    let (down, right) = (row - top, column - left);
    let corner = |i: f64, j: f64, share: f64| {
        let inside = i >= 0.0 && j >= 0.0 && i < h as f64 && j < w as f64;
        if inside { ((i as usize * w + j as usize) as u32, share) } else { (0, 0.0) }
    };
    [
        corner(top, left, (1.0 - down) * (1.0 - right)),
        corner(top, left + 1.0, (1.0 - down) * right),
        corner(top + 1.0, left, down * (1.0 - right)),
        corner(top + 1.0, left + 1.0, down * right),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_core::{Key, Purpose};
    use std::f64::consts::PI;

    #[test]
    fn a_quarter_turn_and_whole_shifts_move_pixels() {
        let image: Vec<f64> = (1..=9).map(f64::from).collect();
        let turned = |angle, shift| {
            let mut x = image.clone();
            Warp::rigid((3, 3), angle, shift).forward(&mut x);
            x.iter().map(|v| (v * 1e9).round() / 1e9).collect::<Vec<_>>()
        };
        assert_eq!(turned(0.0, (0.0, 0.0)), image);
        assert_eq!(turned(PI / 2.0, (0.0, 0.0)), [3.0, 6.0, 9.0, 2.0, 5.0, 8.0, 1.0, 4.0, 7.0]);
        assert_eq!(turned(0.0, (1.0, -1.0)), [0.0, 0.0, 0.0, 2.0, 3.0, 0.0, 5.0, 6.0, 0.0]);
        assert_eq!(turned(0.0, (0.0, 0.5)), [0.5, 1.5, 2.5, 2.0, 4.5, 5.5, 3.5, 7.5, 8.5]);
    }

    #[test]
    fn the_pull_is_the_adjoint() {
        let mut stream = Key::new(4, Purpose::Sample).stream(0, 0, 0);
        for angle in [0.0, 0.3, -2.0] {
            let warp = Warp::rigid((5, 7), angle, (stream.normal(), stream.normal()));
            let x: Vec<f64> = (0..70).map(|_| stream.normal()).collect();
            let g: Vec<f64> = (0..70).map(|_| stream.normal()).collect();
            let (mut moved, mut pulled) = (x.clone(), g.clone());
            warp.forward(&mut moved);
            warp.pull(&mut pulled);
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            assert!((dot(&moved, &g) - dot(&x, &pulled)).abs() < 1e-12);
        }
    }
}
