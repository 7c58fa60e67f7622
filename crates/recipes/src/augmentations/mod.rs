//! Augmentations of training images, one file each.

mod auto_augment;
mod beta;
mod cutmix;
mod cutout;
mod erase;
mod idbh;
mod mixup;
mod operation;
mod rand_augment;
mod trivial_augment;

pub use auto_augment::AutoAugment;
pub use cutmix::CutMix;
pub use cutout::Cutout;
pub use idbh::Idbh;
pub use mixup::Mixup;
pub use operation::Operation;
pub use rand_augment::RandAugment;
pub use trivial_augment::TrivialAugment;

use gauntlet_core::{Registry, Result};

/// Registers them.
///
/// # Errors
/// A name that is taken.
pub(crate) fn register(registry: &mut Registry) -> Result<()> {
    let all = [
        cutout::SPEC,
        mixup::SPEC,
        cutmix::SPEC,
        trivial_augment::SPEC,
        rand_augment::SPEC,
        auto_augment::SPEC,
        idbh::SPEC,
    ];
    all.into_iter().try_for_each(|spec| registry.augmentations.add(spec))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_core::augment::{Augment, Picture};
    use gauntlet_core::{Key, Purpose};
    use serde_json::{Map, Value, json};

    fn built(given: Value) -> std::sync::Arc<dyn Augment> {
        let mut registry = Registry::default();
        register(&mut registry).unwrap();
        let given: Map<String, Value> = given.as_object().unwrap().clone();
        registry.augmentation(&given).unwrap().0
    }
    fn stream(id: u64) -> gauntlet_core::philox::Stream {
        Key::new(3, Purpose::Augment).stream(id, 1, 0)
    }
    fn picture(c: usize, side: usize, value: impl Fn(usize) -> f64) -> Picture {
        Picture { shape: (c, side, side), pixels: (0..c * side * side).map(value).collect() }
    }

    #[test]
    fn cutout_blanks_one_square_around_a_point_of_the_image() {
        let cutout = built(json!({ "name": "cutout", "size": 4 }));
        let mut sizes = std::collections::BTreeSet::new();
        for id in 0..200 {
            let mut image = picture(2, 8, |_| 0.5);
            cutout.change(&mut image, &mut stream(id));
            let black: Vec<usize> = (0..64).filter(|i| image.pixels[*i] == 0.0).collect();
            assert_eq!(black, (0..64).filter(|i| image.pixels[64 + i] == 0.0).collect::<Vec<_>>());
            let (rows, columns): (std::collections::BTreeSet<_>, std::collections::BTreeSet<_>) =
                black.iter().map(|i| (i / 8, i % 8)).unzip();
            assert_eq!(black.len(), rows.len() * columns.len(), "a rectangle");
            assert!((2..=4).contains(&rows.len()) && (2..=4).contains(&columns.len()));
            sizes.insert(black.len());
        }
        assert!(sizes.contains(&16) && sizes.contains(&4), "{sizes:?}");
    }

    #[test]
    fn mixtures_keep_the_share_that_they_tell() {
        let (mixup, cutmix) = (built(json!({ "name": "mixup" })), built(json!({ "name": "cutmix" })));
        let (mut sum, n) = (0.0, 2000);
        for id in 0..n {
            let (mut image, other) = (picture(1, 6, |_| 1.0), picture(1, 6, |_| 0.0));
            let share = mixup.mix(&mut image, &other, &mut stream(id));
            assert!((0.0..=1.0).contains(&share) && image.pixels.iter().all(|p| (p - share).abs() < 1e-12));
            sum += share;
            let (mut image, other) = (picture(1, 6, |_| 1.0), picture(1, 6, |_| 0.0));
            let share = cutmix.mix(&mut image, &other, &mut stream(id));
            let kept = image.pixels.iter().sum::<f64>() / 36.0;
            assert!((share - kept).abs() < 1e-12, "{share} {kept}");
            assert!(image.pixels.iter().all(|p| *p == 0.0 || *p == 1.0));
        }
        assert!((sum / n as f64 - 0.5).abs() < 0.02, "{sum}");
        assert!(mixup.mixes() && cutmix.mixes() && !built(json!({ "name": "cutout", "size": 2 })).mixes());
        let never = built(json!({ "name": "cutmix", "probability": 0.0 }));
        let (mut image, other) = (picture(1, 6, |_| 1.0), picture(1, 6, |_| 0.0));
        assert_eq!((never.mix(&mut image, &other, &mut stream(1)), image.pixels[0]), (1.0, 1.0));
    }

    #[test]
    fn what_an_image_draws_is_its_own() {
        // Of 60 images; AutoAugment's pairs have one strength each, and 64 pixels are too few to be equalised.
        for (given, different) in [
            (json!({ "name": "trivial-augment" }), 30),
            (json!({ "name": "rand-augment", "operations": 2, "magnitude": 9 }), 30),
            (json!({ "name": "auto-augment" }), 15),
            (json!({ "name": "idbh" }), 50),
            (json!({ "name": "idbh", "version": "cifar10-strong" }), 50),
            (json!({ "name": "idbh", "version": "svhn" }), 50),
        ] {
            let augment = built(given.clone());
            let mut seen = std::collections::BTreeSet::new();
            for id in 0..60 {
                let start = picture(3, 8, |i| ((i * 37 + 11) % 101) as f64 / 100.0);
                let (mut a, mut b) = (start.clone(), start.clone());
                augment.change(&mut a, &mut stream(id));
                augment.change(&mut b, &mut stream(id));
                assert_eq!(a, b);
                assert!(a.pixels.iter().all(|p| (0.0..=1.0).contains(p)), "{given}");
                seen.insert(a.pixels.iter().map(|p| p.to_bits()).collect::<Vec<_>>());
            }
            assert!(seen.len() > different, "{given}: {}", seen.len());
        }
    }

    #[test]
    fn values_outside_their_domain_are_told() {
        let mut registry = Registry::default();
        register(&mut registry).unwrap();
        for (given, word) in [
            (json!({ "name": "cutout", "size": 0 }), "cutout.size: must be at least 1, got 0"),
            (json!({ "name": "mixup", "alpha": 0.0 }), "mixup.alpha: must be above 0"),
            (json!({ "name": "cutmix", "probability": 1.5 }), "cutmix.probability: must be at most 1, got 1.5"),
            (json!({ "name": "rand-augment", "magnitude": 31 }), "rand-augment.magnitude: must be at most 30, got 31"),
            (json!({ "name": "idbh", "version": "cifar100" }), "cifar10-weak"),
            (json!({ "name": "cutuot", "size": 2 }), "cutout"),
        ] {
            let said = registry.augmentation(given.as_object().unwrap()).map(|_| ()).unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        }
    }
}
