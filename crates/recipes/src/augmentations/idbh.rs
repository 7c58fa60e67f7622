//! IDBH: flip, crop and shift, one change of colour or shape, and a rectangle that is erased.

use crate::augmentations::erase::erase;
use crate::augmentations::operation::Operation::{self, *};
use gauntlet_core::augment::{Augment, Picture};
use gauntlet_core::philox::Stream;
use gauntlet_core::registry::BuildAugmentation;
use gauntlet_core::{ParamDoc, ParamKind, Spec};
use std::sync::Arc;

/// Flip, a crop with a shift, one of eight changes of colour or shape, an erased patch; Li & Spratling 2023. It takes the place of crop-flip.
#[derive(Debug, Clone, Copy)]
pub struct Idbh {
    /// Pixels that are cut off in height and width together, at most.
    pub cut: usize,
    /// Probability of each change, the least and the most of its strength.
    pub changes: &'static [Change],
    /// How likely a rectangle is erased.
    pub erased: f64,
    /// Least and largest share of the area that it has.
    pub areas: (f64, f64),
}

/// Operation (either direction of a shear), its probability, least and most: factors of blends, radians, whole degrees.
pub type Change = (Operation, f64, f64, f64);

/// Mostly colours.
const COLOURS: [Change; 8] = [
    (Color, 0.125, 0.1, 1.9),
    (Brightness, 0.125, 0.5, 1.9),
    (Contrast, 0.125, 0.5, 1.9),
    (Sharpness, 0.125, 0.1, 1.9),
    (AutoContrast, 0.125, 0.0, 0.0),
    (Equalize, 0.125, 0.0, 0.0),
    (ShearX, 0.125, 0.05, 0.15),
    (Rotate, 0.125, 1.0, 10.0),
];
/// Mostly shapes.
const SHAPES: [Change; 8] = [
    (Color, 0.08, 0.1, 1.9),
    (Brightness, 0.08, 0.5, 1.9),
    (Contrast, 0.04, 0.5, 1.9),
    (Sharpness, 0.08, 0.1, 1.9),
    (AutoContrast, 0.04, 0.0, 0.0),
    (Equalize, 0.08, 0.0, 0.0),
    (ShearX, 0.3, 0.05, 0.35),
    (Rotate, 0.3, 1.0, 30.0),
];

/// Registration.
pub const SPEC: Spec<BuildAugmentation> = Spec {
    name: "idbh",
    summary: "flip, crop with a shift, one change of colour or shape, a rectangle erased; in place of crop-flip",
    formula: "erase(change(crop-shift(flip(x)))), every part drawn anew for every image",
    paper: "Li & Spratling 2023",
    params: &[ParamDoc {
        name: "version",
        kind: ParamKind::Choice(&["cifar10-weak", "cifar10-strong", "svhn"]),
        default: "\"cifar10-weak\"",
        unit: "",
        doc: "the authors' choices: weak erases every second image, strong every one, svhn changes shapes and erases more",
    }],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(match args.str("version")? {
            "cifar10-strong" => Idbh { cut: 10, changes: &COLOURS, erased: 1.0, areas: (0.02, 0.33) },
            "svhn" => Idbh { cut: 8, changes: &SHAPES, erased: 1.0, areas: (0.02, 0.5) },
            _ => Idbh { cut: 10, changes: &COLOURS, erased: 0.5, areas: (0.02, 0.33) },
        }))
    },
};

/// The mirror image.
fn flip(image: &mut Picture) {
    let width = image.shape.2.max(1);
    image.pixels.chunks_mut(width).for_each(<[f64]>::reverse);
}

/// A part of the image that is `cut` pixels smaller, in height and width together, is put somewhere else on black.
pub(crate) fn crop_shift(image: &mut Picture, cut: usize, stream: &mut Stream) {
    let (c, h, w) = image.shape;
    // Of 0..=n.
    let mut upto = |n: usize| stream.below(n as u32 + 1) as usize;
    let strength = upto(cut.min(h.min(w).saturating_sub(1)));
    let across = upto(strength);
    let down = strength - across;
    let (from_left, from_top) = (upto(across), upto(down));
    let (to_left, to_top) = (upto(across), upto(down));
    let from = image.clone();
    image.pixels.fill(0.0);
    for channel in 0..c {
        for row in 0..h - down {
            let (source, to) = (from.at(channel, from_top + row, from_left), image.at(channel, to_top + row, to_left));
            image.pixels[to..to + w - across].copy_from_slice(&from.pixels[source..source + w - across]);
        }
    }
}

impl Idbh {
    /// One change, drawn by their probabilities.
    fn change_one(&self, image: &mut Picture, stream: &mut Stream) {
        let roll = stream.uniform();
        let mut sum = 0.0;
        let drawn = self.changes.iter().find(|(_, probability, ..)| {
            sum += probability;
            roll < sum
        });
        let Some((operation, _, least, most)) = drawn.copied() else { return };
        let size = least + (most - least) * stream.uniform();
        let whole = least + f64::from(stream.below((most - least) as u32 + 1));
        let (sign, down) = (if stream.below(2) == 1 { -1.0 } else { 1.0 }, stream.below(2) == 1);
        match operation {
            ShearX | ShearY => (if down { ShearY } else { ShearX }).apply(image, sign * libm::tan(size)),
            Rotate => Rotate.apply(image, sign * whole),
            Color | Brightness | Contrast | Sharpness => operation.apply(image, size - 1.0),
            other => other.apply(image, 0.0),
        }
    }
}

impl Augment for Idbh {
    fn change(&self, image: &mut Picture, stream: &mut Stream) {
        if stream.below(2) == 1 {
            flip(image);
        }
        crop_shift(image, self.cut, stream);
        self.change_one(image, stream);
        if stream.uniform() < self.erased {
            erase(image, self.areas, stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_core::{Key, Purpose};

    fn stream(id: u64) -> Stream {
        Key::new(3, Purpose::Augment).stream(id, 1, 0)
    }
    /// Every pixel tells its place.
    fn numbered(side: usize) -> Picture {
        let pixels = (0..side * side).map(|i| (i + 1) as f64 / 1024.0).collect();
        Picture { shape: (1, side, side), pixels }
    }

    #[test]
    fn a_part_of_the_image_is_put_elsewhere_whole() {
        let (mut cuts, mut moves) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        for id in 0..600 {
            let (start, mut image) = (numbered(16), numbered(16));
            crop_shift(&mut image, 10, &mut stream(id));
            let left: Vec<usize> = (0..256).filter(|i| image.pixels[*i] != 0.0).collect();
            let (top, bottom) = (left[0] / 16, left[left.len() - 1] / 16);
            let (first, last) = (left[0] % 16, left[left.len() - 1] % 16);
            assert_eq!(left.len(), (bottom - top + 1) * (last - first + 1), "a rectangle");
            // All by one way: what is there less its number is one difference.
            let shift = |i: &usize| (image.pixels[*i] * 1024.0).round() as i64 - (*i as i64 + 1);
            assert!(left.iter().all(|i| shift(i) == shift(&left[0])));
            let cut = 16 - (bottom - top + 1) + 16 - (last - first + 1);
            assert!(cut <= 10 && start.pixels.contains(&image.pixels[left[0]]));
            cuts.insert(cut);
            moves.insert(shift(&left[0]));
        }
        assert_eq!(cuts.len(), 11, "every cut from 0 to 10");
        assert!(moves.len() > 60, "{}", moves.len());
        // No room: nothing is left out of the image.
        let mut one = numbered(1);
        crop_shift(&mut one, 10, &mut stream(0));
        assert_eq!(one, numbered(1));
    }

    #[test]
    fn flipping_twice_is_nothing() {
        let mut image = numbered(5);
        flip(&mut image);
        assert_eq!(image.pixels[..5], numbered(5).pixels[..5].iter().rev().copied().collect::<Vec<_>>());
        flip(&mut image);
        assert_eq!(image, numbered(5));
    }

    /// The smallest angle moves a corner by more than half a pixel.
    #[test]
    fn changes_are_drawn_as_often_as_published() {
        for changes in [&COLOURS, &SHAPES] {
            assert!((changes.iter().map(|c| c.1).sum::<f64>() - 1.0).abs() < 1e-12);
            // On an image of one grey, shapes leave black behind; of the colours only the brightness changes anything.
            let idbh = Idbh { cut: 0, changes, erased: 0.0, areas: (0.0, 0.0) };
            let (mut shapes, mut brighter, n) = (0, 0, 2000);
            for id in 0..n {
                let mut image = Picture { shape: (3, 64, 64), pixels: vec![0.4; 3 * 4096] };
                idbh.change_one(&mut image, &mut stream(id));
                let moved = image.pixels.contains(&0.0);
                shapes += usize::from(moved);
                brighter += usize::from(!moved && image.pixels.iter().any(|p| (p - 0.4).abs() > 1e-9));
            }
            let share = |count: usize| count as f64 / n as f64;
            let wanted = |all: &[Operation]| changes.iter().filter(|c| all.contains(&c.0)).map(|c| c.1).sum::<f64>();
            assert!((share(shapes) - wanted(&[ShearX, Rotate])).abs() < 0.03, "{shapes}");
            assert!((share(brighter) - wanted(&[Brightness])).abs() < 0.03, "{brighter}");
        }
    }
}
