//! A rectangle of random area and shape, blackened.

use gauntlet_core::augment::Picture;
use gauntlet_core::philox::Stream;

/// Aspect ratios, height over width, uniform in their logarithm.
const RATIOS: (f64, f64) = (0.3, 3.3);
/// Rectangles that are tried until one fits.
const TRIES: usize = 10;

/// A rectangle of a share of the area drawn from `areas` becomes 0; Zhong et al. 2020, as torchvision's `RandomErasing` has it.
pub(crate) fn erase(image: &mut Picture, areas: (f64, f64), stream: &mut Stream) {
    let (c, h, w) = image.shape;
    for _ in 0..TRIES {
        let area = (h * w) as f64 * (areas.0 + (areas.1 - areas.0) * stream.uniform());
        let (low, high) = (libm::log(RATIOS.0), libm::log(RATIOS.1));
        let ratio = libm::exp(low + (high - low) * stream.uniform());
        let (height, width) = ((area * ratio).sqrt().round() as usize, (area / ratio).sqrt().round() as usize);
        if height >= h || width >= w {
            continue;
        }
        let (top, left) =
            (stream.below((h - height + 1) as u32) as usize, stream.below((w - width + 1) as u32) as usize);
        for channel in 0..c {
            for row in top..top + height {
                let from = image.at(channel, row, left);
                image.pixels[from..from + width].fill(0.0);
            }
        }
        return;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_core::{Key, Purpose};

    #[test]
    fn a_rectangle_of_the_wanted_area_is_black_and_all_else_stays() {
        let mut mean = 0.0;
        for id in 0..400 {
            let mut image = Picture { shape: (2, 32, 32), pixels: vec![0.5; 2 * 32 * 32] };
            erase(&mut image, (0.02, 0.33), &mut Key::new(3, Purpose::Augment).stream(id, 1, 0));
            let black: Vec<usize> = (0..1024).filter(|i| image.pixels[*i] == 0.0).collect();
            assert_eq!(black, (0..1024).filter(|i| image.pixels[1024 + i] == 0.0).collect::<Vec<_>>());
            assert!(image.pixels.iter().all(|p| *p == 0.0 || *p == 0.5));
            let span = |of: &dyn Fn(usize) -> usize| {
                let places = black.iter().map(|i| of(*i));
                places.clone().max().unwrap_or(0) + 1 - places.min().unwrap_or(0)
            };
            let (height, width) = (span(&|i| i / 32), span(&|i| i % 32));
            assert_eq!(black.len(), height * width, "a rectangle");
            // Sides are rounded: half a pixel each.
            let area = |more: f64| (height as f64 + more) * (width as f64 + more) / 1024.0;
            assert!(area(0.5) >= 0.02 && area(-0.5) <= 0.33, "{height} × {width}");
            mean += black.len() as f64 / 1024.0 / 400.0;
        }
        // The mean of the areas is 0.175; the widest shapes do not fit and are drawn again.
        assert!((0.14..0.19).contains(&mean), "{mean}");
    }
}
