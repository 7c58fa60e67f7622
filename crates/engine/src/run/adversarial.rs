//! Adversarial examples to keep: as tensors, and as a picture.

use crate::{Error, Result};
use candle_core::{DType, Tensor};
use gauntlet_core::attack::{misclassified, rows};
use gauntlet_core::checkpoint::to_bytes;
use gauntlet_core::{Target, ThreatModel};
use gauntlet_evaluate::Examples;
use gauntlet_records::{Eps, Fate, Verdict, file::write_atomically};
use image::{ImageFormat, Rgb, RgbImage};
use std::collections::HashMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// Images in a grid at most, and the height that they are enlarged to.
const PICTURES: usize = 12;
const SIDE: usize = 84;
const GAP: usize = 4;

/// What an attack found at one ε.
#[derive(Debug, Clone)]
pub struct Adversarial {
    /// Budget.
    pub eps: Eps,
    /// `(N, C, H, W)` in `[0, 1]`: the adversarial example where the attack broke one, else the clean image.
    pub x_adv: Tensor,
    /// One verdict per example.
    pub verdicts: Vec<Verdict>,
    /// With 8-bit rounding: broken examples that still are misclassified.
    pub still_broken: Option<usize>,
}

impl Adversarial {
    /// Rounds every example to 8 bits without leaving the ball, and classifies it again.
    ///
    /// A pixel goes to the nearest multiple of 1/255 within the budget; where that leaves an L2 or L1 ball, to the
    /// nearest one towards the clean image. Exact if the clean images have 8 bits themselves.
    ///
    /// # Errors
    /// A forward that fails.
    pub fn eight_bit(&mut self, examples: &Examples, target: &dyn Target, threat: &ThreatModel) -> Result<()> {
        let read = |t: &Tensor| -> Result<Vec<f64>> { Ok(t.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?) };
        let (clean, adversarial) = (read(examples.pixels())?, read(&self.x_adv)?);
        let each = clean.len() / examples.len().max(1);
        let mut levels = Vec::with_capacity(clean.len());
        for (x, a) in clean.chunks_exact(each).zip(adversarial.chunks_exact(each)) {
            let nearest: Vec<f64> = x.iter().zip(a).map(|(x, a)| nearest(*x, *a, threat)).collect();
            let size = threat.norm.of(nearest.iter().zip(x).map(|(n, x)| n - x));
            if size <= threat.eps {
                levels.extend(nearest);
            } else {
                levels.extend(x.iter().zip(a).map(|(x, a)| towards(*x, *a)));
            }
        }
        let dims = self.x_adv.dims();
        self.x_adv = Tensor::from_vec(levels, dims, self.x_adv.device())?.to_dtype(examples.pixels().dtype())?;
        let mut still = 0;
        for start in (0..examples.len()).step_by(256) {
            let n = 256.min(examples.len() - start);
            let logits = rows(&target.logits(&self.x_adv.narrow(0, start, n)?)?)?;
            for (i, z) in (start..start + n).zip(&logits) {
                let broken = matches!(self.verdicts[i].fate, Fate::Broken | Fate::Carried);
                still += usize::from(broken && misclassified(z, examples.labels()[i]));
            }
        }
        self.still_broken = Some(still);
        Ok(())
    }

    /// Writes `adversarial-<eps>.safetensors` (tensors `x`, `x_adv`, `label`, `id`, `broken`) and
    /// `adversarial-<eps>.png` (clean, perturbation, adversarial) into `folder`. Returns their paths.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path, examples: &Examples) -> Result<Vec<PathBuf>> {
        let stem = format!("adversarial-{}", self.eps.to_string().replace('/', "_"));
        let n = examples.len();
        let numbers = |v: Vec<u32>| -> Result<Tensor> { Ok(Tensor::from_vec(v, n, self.x_adv.device())?) };
        let label = numbers(examples.labels().to_vec())?;
        let id = numbers(examples.ids().iter().map(|i| *i as u32).collect())?;
        let broken = self.broken();
        let broken = numbers(broken.iter().map(|b| u32::from(*b)).collect())?;
        let tensors =
            [("x", examples.pixels()), ("x_adv", &self.x_adv), ("label", &label), ("id", &id), ("broken", &broken)];
        let metadata = HashMap::from([
            ("eps".to_string(), self.eps.to_string()),
            ("eight_bit".to_string(), self.still_broken.is_some().to_string()),
        ]);
        let file = folder.join(format!("{stem}.safetensors"));
        write_atomically(&file, &to_bytes(tensors.into_iter(), metadata)?)?;
        let picture = folder.join(format!("{stem}.png"));
        write_atomically(&picture, &self.picture(examples)?)?;
        Ok(vec![file, picture])
    }

    fn broken(&self) -> Vec<bool> {
        self.verdicts.iter().map(|v| matches!(v.fate, Fate::Broken | Fate::Carried)).collect()
    }

    /// The first broken examples, a column each: clean, perturbation (0 is grey, the largest is black or white),
    /// adversarial. A PNG file.
    fn picture(&self, examples: &Examples) -> Result<Vec<u8>> {
        let (_, c, h, w) = examples.pixels().dims4()?;
        let shown: Vec<usize> = (0..examples.len()).filter(|i| self.broken()[*i]).take(PICTURES).collect();
        let zoom = SIDE.div_ceil(h.max(w)).max(1);
        let (width, height) = (w * zoom + GAP, h * zoom + GAP);
        let mut page =
            RgbImage::from_pixel((width * shown.len().max(1)) as u32, (height * 3) as u32, Rgb([255, 255, 255]));
        for (column, i) in shown.iter().enumerate() {
            let read =
                |t: &Tensor| -> Result<Vec<f32>> { Ok(t.get(*i)?.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?) };
            let (x, a) = (read(examples.pixels())?, read(&self.x_adv)?);
            let largest = x.iter().zip(&a).fold(f32::MIN_POSITIVE, |m, (x, a)| m.max((a - x).abs()));
            let delta: Vec<f32> = x.iter().zip(&a).map(|(x, a)| 0.5 + 0.5 * (a - x) / largest).collect();
            for (row, values) in [&x, &delta, &a].into_iter().enumerate() {
                for y in 0..h * zoom {
                    for k in 0..w * zoom {
                        let at = |channel: usize| {
                            let v = values[(channel.min(c - 1) * h + y / zoom) * w + k / zoom];
                            (v.clamp(0.0, 1.0) * 255.0).round() as u8
                        };
                        let colour = if c == 3 { [at(0), at(1), at(2)] } else { [at(0); 3] };
                        page.put_pixel((column * width + k) as u32, (row * height + y) as u32, Rgb(colour));
                    }
                }
            }
        }
        let mut bytes = Cursor::new(Vec::new());
        page.write_to(&mut bytes, ImageFormat::Png).map_err(|e| Error::message(format!("picture: {e}")))?;
        Ok(bytes.into_inner())
    }
}

/// The multiple of 1/255 nearest to `a` that an L∞ budget around `x` allows (other norms are checked as a whole).
fn nearest(x: f64, a: f64, threat: &ThreatModel) -> f64 {
    let level = (a * 255.0).round();
    if threat.norm != gauntlet_records::Norm::Linf || (level / 255.0 - x).abs() <= threat.eps {
        return level.clamp(0.0, 255.0) / 255.0;
    }
    towards(x, a)
}

/// The multiple of 1/255 next to `a` on the side of `x`.
fn towards(x: f64, a: f64) -> f64 {
    let level = if a > x { (a * 255.0).floor() } else { (a * 255.0).ceil() };
    // From a clean pixel between two levels there may be none: then it stays at its own nearest one.
    let (low, high) = ((x.min(a) * 255.0).floor(), (x.max(a) * 255.0).ceil());
    level.clamp(low, high).clamp(0.0, 255.0) / 255.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_records::Norm;

    #[test]
    fn rounding_stays_inside_the_ball_and_as_near_as_it_can() {
        let threat = ThreatModel::new(Norm::Linf, 0.3);
        let x = 100.0 / 255.0;
        // 0.3 · 255 = 76.5: the nearest level of x + 0.3 is outside, the one before it is not.
        assert_eq!((nearest(x, x + 0.3, &threat) * 255.0).round(), 176.0);
        assert_eq!((nearest(x, x - 0.3, &threat) * 255.0).round(), 24.0);
        assert_eq!((nearest(x, x + 10.4 / 255.0, &threat) * 255.0).round(), 110.0);
        let exact = ThreatModel::new(Norm::Linf, 8.0 / 255.0);
        assert_eq!((nearest(x, x + 8.0 / 255.0, &exact) * 255.0).round(), 108.0);
    }
}
