//! The embedded data set: ten digit-like glyphs, drawn from a seed.
//!
//! Strokes are polylines with jittered points under a random affine map, with random width and contrast, on a noisy
//! background with distractor strokes. All mathematics goes through `libm`, so the pixels are the same anywhere.

use crate::{Result, Split};
use gauntlet_core::philox::Stream;
use gauntlet_core::{Key, Purpose};
use rayon::prelude::*;

const SIDE: usize = 28;
const CLASSES: u32 = 10;
/// Standard deviation of the pixel noise.
const NOISE: f64 = 0.10;
/// Distractor strokes per image, at most.
const DISTRACTORS: u32 = 2;
/// Standard deviation of a control point's jitter, in glyph units.
const JITTER: f64 = 0.03;

type Point = (f64, f64);

/// The strokes of a glyph in the unit square, y downwards.
fn strokes(class: u32) -> Vec<Vec<Point>> {
    // An arc of an ellipse from angle a to b, in turns.
    let arc = |cx: f64, cy: f64, rx: f64, ry: f64, a: f64, b: f64| -> Vec<Point> {
        (0..=10)
            .map(|i| {
                let t = std::f64::consts::TAU * (a + (b - a) * f64::from(i) / 10.0);
                (cx + rx * libm::cos(t), cy + ry * libm::sin(t))
            })
            .collect()
    };
    match class {
        0 => vec![arc(0.5, 0.5, 0.27, 0.4, 0.0, 1.0)],
        1 => vec![vec![(0.35, 0.27), (0.53, 0.1), (0.53, 0.9)]],
        2 => vec![[arc(0.5, 0.32, 0.25, 0.22, 0.5, 1.08), vec![(0.25, 0.88), (0.78, 0.88)]].concat()],
        3 => vec![arc(0.47, 0.3, 0.25, 0.2, 0.6, 1.25), arc(0.47, 0.69, 0.28, 0.2, 0.75, 1.4)],
        4 => vec![vec![(0.6, 0.9), (0.6, 0.1), (0.22, 0.62), (0.8, 0.62)]],
        5 => vec![
            vec![(0.75, 0.12), (0.32, 0.12), (0.3, 0.46)],
            [vec![(0.3, 0.46)], arc(0.48, 0.66, 0.27, 0.23, 0.72, 1.4)].concat(),
        ],
        6 => vec![vec![(0.66, 0.1), (0.4, 0.3), (0.27, 0.62)], arc(0.5, 0.67, 0.24, 0.22, 0.0, 1.0)],
        7 => vec![vec![(0.22, 0.13), (0.78, 0.13), (0.42, 0.9)]],
        8 => vec![arc(0.5, 0.3, 0.2, 0.19, 0.0, 1.0), arc(0.5, 0.69, 0.25, 0.21, 0.0, 1.0)],
        _ => vec![arc(0.5, 0.34, 0.23, 0.22, 0.0, 1.0), vec![(0.73, 0.36), (0.7, 0.65), (0.52, 0.9)]],
    }
}

fn between(s: &mut Stream, low: f64, high: f64) -> f64 {
    low + (high - low) * s.uniform()
}

/// Distance from `p` to the segment `a`–`b`.
fn distance(p: Point, a: Point, b: Point) -> f64 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = dx * dx + dy * dy;
    let t = if length > 0.0 { (((p.0 - a.0) * dx + (p.1 - a.1) * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    let (ex, ey) = (p.0 - a.0 - t * dx, p.1 - a.1 - t * dy);
    libm::sqrt(ex * ex + ey * ey)
}

/// Adds a polyline (in pixels) of a half-width and an intensity, anti-aliased over one pixel.
fn paint(canvas: &mut [f64], line: &[Point], half: f64, ink: f64) {
    for (i, value) in canvas.iter_mut().enumerate() {
        let p = ((i % SIDE) as f64, (i / SIDE) as f64);
        let near = line.windows(2).map(|ab| distance(p, ab[0], ab[1])).fold(f64::INFINITY, f64::min);
        let cover = (half + 0.5 - near).clamp(0.0, 1.0) * ink;
        if cover > *value {
            *value = cover;
        }
    }
}

/// One image: pixels and label.
fn draw_one(key: Key, id: u64) -> (Vec<u8>, u32) {
    let s = &mut key.stream(id, 0, 0);
    // Classes in turn: every split is balanced.
    let class = (id % u64::from(CLASSES)) as u32;
    let (angle, shear) = (between(s, -0.25, 0.25), between(s, -0.25, 0.25));
    let (sx, sy) = (between(s, 15.0, 21.0), between(s, 16.0, 22.0));
    let (tx, ty) = (between(s, -2.5, 2.5), between(s, -2.5, 2.5));
    let (cos, sin) = (libm::cos(angle), libm::sin(angle));
    let centre = (SIDE as f64 - 1.0) / 2.0;
    let mut canvas = vec![0.0; SIDE * SIDE];
    for _ in 0..s.below(DISTRACTORS + 1) {
        let (x, y, turn) = (between(s, 2.0, 26.0), between(s, 2.0, 26.0), between(s, 0.0, std::f64::consts::TAU));
        let length = between(s, 3.0, 7.0);
        let end = (x + length * libm::cos(turn), y + length * libm::sin(turn));
        paint(&mut canvas, &[(x, y), end], between(s, 0.3, 0.8), between(s, 0.25, 0.55));
    }
    let (half, ink) = (between(s, 0.6, 1.6), between(s, 0.65, 1.0));
    for stroke in strokes(class) {
        let line: Vec<Point> = stroke
            .into_iter()
            .map(|(x, y)| {
                let (x, y) = (x - 0.5 + JITTER * s.normal(), y - 0.5 + JITTER * s.normal());
                let (x, y) = ((x + shear * y) * sx, y * sy);
                (centre + tx + cos * x - sin * y, centre + ty + sin * x + cos * y)
            })
            .collect();
        paint(&mut canvas, &line, half, ink);
    }
    let pixels = canvas.iter().map(|v| libm::round((v + NOISE * s.normal()).clamp(0.0, 1.0) * 255.0) as u8).collect();
    (pixels, class)
}

/// The images of these numbers; test images continue the numbering, so no image is in both.
pub(crate) fn draw(seed: u64, ids: std::ops::Range<usize>) -> Result<Split> {
    let key = Key::new(seed, Purpose::Glyphs);
    let images: Vec<(Vec<u8>, u32)> = ids.into_par_iter().map(|id| draw_one(key, id as u64)).collect();
    let labels = images.iter().map(|(_, label)| *label).collect();
    Split::new((1, SIDE, SIDE), images.into_iter().flat_map(|(p, _)| p).collect(), labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyphs_are_the_same_anywhere() {
        let (train, test) = (draw(0, 0..200).unwrap(), draw(0, 200..250).unwrap());
        assert_eq!((train.len(), test.len()), (200, 50));
        assert!((0..10).all(|c| train.labels().iter().filter(|l| **l == c).count() == 20));
        assert_eq!(train.sha256(), "sha256:c289251e65af395f591468657e9cf8b68a810364775b393fe6f66cad2c295e41");
        let other = draw(1, 0..200).unwrap();
        assert_ne!(train, other);
    }
}
