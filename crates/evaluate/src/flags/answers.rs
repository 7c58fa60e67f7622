//! Answers of the model that say little or nothing: constant, not finite, different when asked again or in 8 bits.

use crate::flags::measures::{flag, percent, share};
use gauntlet_records::{
    Attacked, CleanVerdict, Family, Fate, Flag, Verdict, record::constant_answer, verdict::robust_accuracy_over_draws,
};

/// Share of the broken examples (and of all, a tenth of it) that rounding to 8 bits makes correct again. An attack ends
/// at the first misclassified point, close to the boundary: a few such examples are nobody's fault.
const ROUNDED: f64 = 0.2;
/// And this many examples at least.
const RESTORED: usize = 10;

/// A model that does not look at its input.
pub(super) fn constant(clean: &[CleanVerdict]) -> Option<Flag> {
    constant_answer(clean).map(|(class, answers)| {
        flag(
            "constant-answer",
            format!(
                "{answers} of {} clean images are answered with class {class}: nothing can break such an answer, so accuracies \
                 under attack say nothing",
                clean.len()
            ),
        )
    })
}

/// Logits that are no numbers, of clean images and under attack.
pub(super) fn not_finite(clean: &[CleanVerdict], attacked: &[Attacked], raised: &mut Vec<Flag>) {
    let odd = clean.iter().filter(|v| v.margin.is_nan()).count();
    if odd > 0 {
        let all = clean.len();
        let detail = format!("{odd} of {all} clean images have logits that are not finite; they count as wrong");
        raised.push(flag("logits-not-finite", detail));
    }
    for cell in attacked {
        let odd = cell.verdicts.iter().filter(|v| v.margin.is_some_and(f64::is_nan)).count();
        if odd > 0 {
            raised.push(flag(
                "logits-not-finite",
                format!(
                    "{odd} examples answer {} at {} {} with logits that are not finite; this is no success of the attack",
                    cell.attack, cell.norm, cell.eps
                ),
            ));
        }
    }
}

/// What several draws of a randomised model say beside the first, where they do not all say the same.
pub(super) fn draws(attacked: &[Attacked], draws: u32) -> Vec<Flag> {
    let differing = |v: &&Verdict| v.fooled.is_some_and(|k| k > 0 && k < draws);
    let mut raised = Vec::new();
    for cell in attacked {
        let unsure = cell.verdicts.iter().filter(differing).count();
        let mean = robust_accuracy_over_draws(&cell.verdicts, draws).filter(|_| draws > 1 && unsure > 0);
        if let Some(mean) = mean {
            raised.push(flag(
                "draws-differ",
                format!(
                    "{} leaves {:.2} % at {} {} by the first of {draws} draws and {:.2} % on their average; {unsure} examples \
                     are answered correctly in some draws and not in others",
                    cell.attack,
                    percent(cell),
                    cell.norm,
                    cell.eps,
                    100.0 * mean
                ),
            ));
        }
    }
    raised
}

/// Examples that are adversarial only between two grey levels. Attacks for the smallest perturbation end on the
/// boundary on purpose.
pub(super) fn rounding(cell: &Attacked) -> Option<Flag> {
    if !matches!(cell.family(), Family::Gradient | Family::OneStep | Family::Ensemble | Family::Scores) {
        return None;
    }
    let broken = share(cell, |v| v.fate == Fate::Broken);
    let restored = share(cell, |v| v.fate == Fate::Broken && !v.rounded);
    let enough = restored * cell.verdicts.len() as f64 > RESTORED as f64 - 0.5;
    (enough && restored > ROUNDED * broken && restored > ROUNDED / 10.0).then(|| {
        flag(
            "rounding-restores",
            format!(
                "{:.1} % of the examples are broken by {} at {} {} but correct again once rounded to 8 bits",
                100.0 * restored,
                cell.attack,
                cell.norm,
                cell.eps
            ),
        )
    })
}
