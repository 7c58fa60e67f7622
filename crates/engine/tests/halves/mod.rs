//! A data set of three classes that takes a fraction of a second to learn.

use gauntlet_core::{Key, Purpose};
use gauntlet_data::Split;

/// Noisy 8×8 images with one bright half.
pub fn split(seed: u64, n: usize) -> Split {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for i in 0..n {
        let mut stream = Key::new(seed, Purpose::Glyphs).stream(i as u64, 0, 0);
        let label = stream.below(3);
        for p in 0..64 {
            let bright = [p % 8 < 4, p % 8 >= 4, p < 32][label as usize];
            pixels.push(((stream.uniform() * 0.6 + if bright { 0.3 } else { 0.0 }) * 255.0) as u8);
        }
        labels.push(label);
    }
    Split::new((1, 8, 8), pixels, labels).unwrap()
}
