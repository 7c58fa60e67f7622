//! Weights that authors published, in the format that PyTorch had before 1.6, on the images that they published numbers of.
//!
//! The files cannot be distributed: this runs where ../shared/data has them and MNIST.

use crate::sandbox::Sandbox;
use std::path::PathBuf;

#[test]
fn clean_accuracies_are_the_published_ones() {
    let shared = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    let (weights, mnist) = (shared.join("checkpoints"), shared.join("hub/ylecun/mnist/mnist"));
    if !weights.is_dir() || !mnist.is_dir() {
        println!("not run: no {} or no {}", weights.display(), mnist.display());
        return;
    }
    let sandbox = Sandbox::new();
    // Wong & Kolter 2018: a clean error of 1.80 %. Wong, Rice & Kolter 2020: 98.50 % clean.
    for (file, clean) in [("wong-kolter-mnist.pth", 0.9820), ("fast-adversarial-fgsm.pth", 0.9850)] {
        let found = sandbox.json(&format!(
            "attack --model lenet-small --checkpoint {} --data mnist --data-dir {} --all --attack fgsm --eps 0.1",
            weights.join(file).display(),
            mnist.display()
        ));
        assert_eq!((found["n"].as_u64(), found["clean_accuracy"].as_f64()), (Some(10_000), Some(clean)), "{file}");
        assert!(found["robust_accuracy"].as_f64() < Some(clean), "{file}: {found}");
    }
}
