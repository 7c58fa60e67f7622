//! Small pictures, made by hand.

use gauntlet_records::{Norm, Picture, Pictures, pictures::quantise};

/// Examples 0 to `n`, of class id mod 3, right before the attack and then the class after it: a ramp, a perturbation that
/// alternates between +0.25 and −0.125, a gradient that falls from `slope` to −`slope`.
pub fn pictures((c, h, w): (usize, usize, usize), n: u32, slope: f32) -> Pictures {
    let size = c * h * w;
    let picture = |id: u32| {
        let delta: Vec<f32> = (0..size).map(|i| if i % 2 == 0 { 0.25 } else { -0.125 }).collect();
        let gradient: Vec<f32> = (0..size).map(|i| slope * (1.0 - 2.0 * i as f32 / (size - 1) as f32)).collect();
        let ((delta, delta_scale), (gradient, gradient_scale)) = (quantise(&delta), quantise(&gradient));
        Picture {
            id: u64::from(id),
            label: id % 3,
            x: (0..size).map(|i| (i * 255 / (size - 1)) as u8).collect(),
            delta,
            delta_scale,
            gradient,
            gradient_scale,
            clean: (id % 3, 0.994),
            attacked: ((id + 1) % 3, 0.756),
        }
    };
    let (attack, eps) = ("pgd, 10 steps".to_string(), "0.25".parse().unwrap());
    Pictures { shape: (c, h, w), attack, norm: Norm::Linf, eps, shown: (0..n).map(picture).collect() }
}
