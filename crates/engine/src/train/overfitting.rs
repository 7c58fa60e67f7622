//! Catastrophic overfitting, read off a training's curve: the model learns to answer one-step examples and forgets
//! those of many small steps (Wong et al. 2020; Andriushchenko & Flammarion 2020).

use gauntlet_evaluate::flags::flag;
use gauntlet_records::{Flag, record::Epoch};

/// PGD accuracy below this share of FGSM accuracy: one step and ten disagree about the model.
const APART: f64 = 0.5;
/// Accuracy by which PGD must have fallen below an earlier epoch's while FGSM did not fall.
const FALL: f64 = 0.1;
/// PGD accuracy that counts as none, without an earlier epoch to compare with.
const NONE: f64 = 0.05;
/// FGSM accuracy as a share of the clean accuracy that a merely weak training does not reach beside such a PGD accuracy.
const TAUGHT: f64 = 0.5;

/// A collapse that was over when the training ended.
const TRANSIENT: &str = "catastrophic-overfitting-transient";

/// What one epoch says about the perturbations that the recipe trains against, in `[0, 1]`.
#[derive(Clone, Copy)]
struct Own<'a> {
    of: &'a Epoch,
    fgsm: f64,
    pgd: f64,
}

/// The flag `catastrophic-overfitting`, at the first epoch that shows it: PGD accuracy at the recipe's own norm and budget
/// is below half of FGSM accuracy, and either it fell by over 10 points from an earlier epoch's while FGSM accuracy did
/// not fall, or it is below 5 % with an FGSM accuracy above half of the clean one. Where the training recovered it is
/// `catastrophic-overfitting-transient`: after the last epoch PGD accuracy is at least half of FGSM accuracy again, and at
/// most 10 points below that of any epoch. Where an epoch's weights were chosen, what came after them is not looked at.
pub(crate) fn catastrophic(curve: &[Epoch]) -> Option<Flag> {
    let curve = curve.iter().position(|e| e.evaluated).map_or(curve, |chosen| &curve[..=chosen]);
    let own = |of: &'_ Epoch| Some((of.own_fgsm_accuracy?, of.own_pgd_accuracy?));
    let known: Vec<Own<'_>> = curve.iter().filter_map(|of| own(of).map(|(fgsm, pgd)| Own { of, fgsm, pgd })).collect();
    let (at, now, best) = known.iter().enumerate().find_map(|(i, now)| {
        if now.pgd >= APART * now.fgsm {
            return None;
        }
        let fallen = |b: &&Own<'_>| b.pgd - now.pgd > FALL && now.fgsm >= b.fgsm;
        let best = known[..i].iter().filter(fallen).max_by(|a, b| a.pgd.total_cmp(&b.pgd));
        let none = now.pgd < NONE && now.fgsm > TAUGHT * now.of.clean_accuracy;
        (best.is_some() || none).then_some((i, now, best))
    })?;
    let mut detail = format!("at the end of epoch {}, {}", now.of.epoch, figures(now));
    if let Some(best) = best {
        detail += &format!("; after epoch {} {}", best.of.epoch, figures(best));
    }
    if let Some(last) = known.last().filter(|_| at + 1 < known.len()) {
        detail += &format!("; at the end, after epoch {}, {}", last.of.epoch, figures(last));
    }
    let highest = known.iter().map(|k| k.pgd).fold(0.0, f64::max);
    let healthy = |last: &Own<'_>| last.pgd > 0.0 && last.pgd >= APART * last.fgsm && highest - last.pgd <= FALL;
    if known.last().is_some_and(healthy) {
        detail += ": the training collapsed on the way and recovered";
        return Some(flag(TRANSIENT, detail));
    }
    detail += ": the recipe's own one-step examples are withstood and those of ten steps are not";
    Some(flag("catastrophic-overfitting", detail))
}

fn figures(own: &Own<'_>) -> String {
    let mut text = format!("own FGSM leaves {:.1} % and own PGD {:.1} %", 100.0 * own.fgsm, 100.0 * own.pgd);
    if let Some(alignment) = own.of.alignment {
        text += &format!(", gradient alignment {alignment:.2}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clean accuracy, own FGSM, own PGD, alignment per epoch.
    fn curve(epochs: &[(f64, f64, f64, f64)]) -> Vec<Epoch> {
        let epoch = |(i, (clean, fgsm, pgd, alignment)): (usize, &(f64, f64, f64, f64))| Epoch {
            epoch: i as u32 + 1,
            terms: vec![],
            clean_accuracy: *clean,
            robust_accuracy: *pgd,
            gradient_l1: 1.0,
            gradient_l2: 1.0,
            alignment: Some(*alignment),
            own_fgsm_accuracy: Some(*fgsm),
            own_pgd_accuracy: Some(*pgd),
            monitored_on: "validation".into(),
            evaluated: false,
        };
        epochs.iter().enumerate().map(epoch).collect()
    }
    fn said(epochs: &[(f64, f64, f64, f64)]) -> Option<String> {
        catastrophic(&curve(epochs)).map(|f| f.detail)
    }

    #[test]
    fn the_collapse_is_named_with_its_epoch_and_its_figures() {
        // As in Andriushchenko & Flammarion 2020: PGD falls to nothing, FGSM rises, the alignment breaks down.
        let collapse = [(0.6, 0.35, 0.3, 0.95), (0.7, 0.42, 0.37, 0.93), (0.8, 0.7, 0.02, 0.15), (0.85, 0.8, 0.0, 0.1)];
        let text = said(&collapse).unwrap();
        assert_eq!(
            text,
            "at the end of epoch 3, own FGSM leaves 70.0 % and own PGD 2.0 %, gradient alignment 0.15; after epoch 2 own \
             FGSM leaves 42.0 % and own PGD 37.0 %, gradient alignment 0.93; at the end, after epoch 4, own FGSM leaves \
             80.0 % and own PGD 0.0 %, gradient alignment 0.10: the recipe's own one-step examples are withstood and \
             those of ten steps are not"
        );
        // The row of tables.md 10.10, after a single epoch that is known.
        let text = said(&[(0.8823, 0.5475, 0.0004, 0.1)]).unwrap();
        assert!(text.starts_with("at the end of epoch 1, own FGSM leaves 54.8 % and own PGD 0.0 %"), "{text}");
        // Not to nothing, but far down while FGSM rises.
        assert!(said(&[(0.9, 0.6, 0.5, 0.9), (0.9, 0.8, 0.35, 0.3)]).is_some());
    }

    fn named(epochs: &[(f64, f64, f64, f64)]) -> Option<String> {
        catastrophic(&curve(epochs)).map(|f| f.name)
    }

    #[test]
    fn a_collapse_that_was_over_when_the_training_ended_is_transient() {
        // `pgd-at` of mnist-gauntlet with its ramp measured at the full budget, and seed 2 of wong-mnist's `alpha-0.3`.
        let pgd_at = [
            (0.954, 0.624, 0.008, 0.9),
            (0.964, 0.834, 0.772, 0.9),
            (0.966, 0.906, 0.854, 0.9),
            (0.976, 0.918, 0.9, 0.9),
        ];
        let wong = [
            (0.952, 0.654, 0.114, 0.9),
            (0.97, 0.766, 0.382, 0.9),
            (0.976, 0.858, 0.652, 0.9),
            (0.978, 0.93, 0.814, 0.9),
            (0.98, 0.922, 0.404, 0.9),
            (0.984, 0.948, 0.814, 0.9),
            (0.984, 0.956, 0.844, 0.9),
        ];
        for recovered in [&pgd_at[..], &wong[..]] {
            assert_eq!(named(recovered).as_deref(), Some(TRANSIENT));
        }
        let text = said(&pgd_at).unwrap();
        assert!(
            text.starts_with("at the end of epoch 1, own FGSM leaves 62.4 % and own PGD 0.8 %")
                && text.contains("at the end, after epoch 4, own FGSM leaves 91.8 % and own PGD 90.0 %")
                && text.ends_with("the training collapsed on the way and recovered"),
            "{text}"
        );
        // Not as good as before, or not to be told from no training at all: not recovered.
        for (fgsm, pgd) in [(0.8, 0.7), (0.9, 0.404), (0.114, 0.114), (0.0, 0.0)] {
            let mut ends = wong;
            ends[6] = (0.98, fgsm, pgd, 0.9);
            assert_eq!(named(&ends).as_deref(), Some("catastrophic-overfitting"), "{fgsm} {pgd}");
        }
    }

    #[test]
    fn healthy_and_merely_weak_trainings_raise_nothing() {
        assert_eq!(said(&[(0.9, 0.5, 0.4, 0.9), (0.97, 0.9, 0.88, 0.8), (0.98, 0.93, 0.91, 0.7)]), None);
        // Ordinary training: neither is withstood.
        assert_eq!(said(&[(0.97, 0.1, 0.0, 0.4), (0.99, 0.25, 0.01, 0.3)]), None);
        // Weak from the start, and no better later: no fall, and FGSM is far from the clean accuracy.
        assert_eq!(said(&[(0.95, 0.3, 0.04, 0.5), (0.97, 0.4, 0.08, 0.5)]), None);
        // Both fall together: the training falls apart, but not in this way.
        assert_eq!(said(&[(0.9, 0.7, 0.6, 0.9), (0.5, 0.3, 0.1, 0.9)]), None);
        // Ten steps lose a little to overfitting, one step not.
        assert_eq!(said(&[(0.9, 0.6, 0.5, 0.9), (0.95, 0.65, 0.36, 0.8)]), None);
    }

    #[test]
    fn a_curve_without_the_numbers_says_nothing() {
        let mut epochs = curve(&[(0.9, 0.8, 0.0, 0.1)]);
        assert!(catastrophic(&epochs).is_some());
        epochs[0].alignment = None;
        assert!(!catastrophic(&epochs).unwrap().detail.contains("alignment"));
        epochs[0].own_pgd_accuracy = None;
        assert_eq!(catastrophic(&epochs), None);
        assert_eq!(catastrophic(&[]), None);
    }
}
