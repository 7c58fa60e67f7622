//! Remarks of the referee about numbers that should make a reader suspicious.

use crate::evaluator::robust_accuracy;
use gauntlet_core::record::CleanVerdict;
use gauntlet_core::{Attacked, Flag};

/// Looks at one model's results: a single-step attack stronger than an iterative one, noise stronger than an attack
/// with gradients (both signs of gradient masking, Carlini et al. 2019), logits that are not finite.
pub(crate) fn raise(clean: &[CleanVerdict], attacked: &[Attacked]) -> Vec<Flag> {
    let mut flags = Vec::new();
    let percent = |cell: &Attacked| 100.0 * robust_accuracy(&cell.verdicts);
    let registered = |cell: &Attacked| cell.parameters["name"].as_str().unwrap_or_default().to_string();
    let pairs = [
        ("fgsm", "pgd", "fgsm-beats-pgd", "the iterative attack is held up, as by masked gradients"),
        ("noise", "fgsm", "noise-beats-fgsm", "the gradient is no guide, as when it is masked"),
        ("noise", "pgd", "noise-beats-pgd", "the gradient is no guide, as when it is masked"),
    ];
    for (weak, strong, name, meaning) in pairs {
        for a in attacked.iter().filter(|c| registered(c) == weak) {
            for b in attacked.iter().filter(|c| registered(c) == strong && c.norm == a.norm && c.eps == a.eps) {
                let (left, right) = (percent(a), percent(b));
                if left < right {
                    flags.push(Flag {
                        name: name.to_string(),
                        detail: format!(
                            "{} leaves {left:.2} %, {} {right:.2} % at {} {}: {meaning}",
                            a.attack, b.attack, a.norm, a.eps
                        ),
                    });
                }
            }
        }
    }
    let odd = clean.iter().filter(|v| v.margin.is_nan()).count();
    if odd > 0 {
        flags.push(Flag {
            name: "logits-not-finite".to_string(),
            detail: format!(
                "{odd} of {} clean images have logits that are not finite; they count as wrong",
                clean.len()
            ),
        });
    }
    for cell in attacked {
        // A wrong example repeats its clean margin.
        let odd = cell.verdicts.iter().zip(clean).filter(|(v, c)| v.margin.is_nan() && !c.margin.is_nan()).count();
        if odd > 0 {
            flags.push(Flag {
                name: "logits-not-finite".to_string(),
                detail: format!(
                    "{odd} examples answer {} at {} {} with logits that are not finite; this is no success of the attack",
                    cell.attack, cell.norm, cell.eps
                ),
            });
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_core::record::{Fate, Verdict};
    use gauntlet_core::{Eps, Norm};

    fn cell(name: &str, robust: usize, eps: &str) -> Attacked {
        let verdicts = (0..10).map(|i| Verdict {
            id: i,
            fate: if (i as usize) < robust { Fate::Robust } else { Fate::Broken },
            restart: 0,
            steps: 1,
            size: 0.1,
            margin: 1.0,
            forwards: 1,
            backwards: 1,
            broken_by: String::new(),
            blind: 0,
            rounded: true,
        });
        Attacked {
            attack: name.to_string(),
            parameters: serde_json::json!({ "name": name }),
            norm: Norm::Linf,
            eps: eps.parse::<Eps>().unwrap(),
            verdicts: verdicts.collect(),
        }
    }
    fn clean() -> Vec<CleanVerdict> {
        (0..10).map(|id| CleanVerdict { id, label: 0, predicted: 0, margin: 1.0 }).collect()
    }
    fn names(attacked: &[Attacked]) -> Vec<String> {
        raise(&clean(), attacked).into_iter().map(|f| f.name).collect()
    }

    #[test]
    fn the_usual_order_raises_nothing() {
        assert!(names(&[cell("noise", 9, "0.1"), cell("fgsm", 5, "0.1"), cell("pgd", 3, "0.1")]).is_empty());
        assert!(names(&[cell("fgsm", 1, "0.3"), cell("pgd", 8, "0.1")]).is_empty());
    }

    #[test]
    fn suspicious_orders_are_named() {
        assert_eq!(names(&[cell("fgsm", 3, "0.1"), cell("pgd", 5, "0.1")]), ["fgsm-beats-pgd"]);
        assert_eq!(names(&[cell("pgd", 5, "0.1"), cell("noise", 3, "0.1")]), ["noise-beats-pgd"]);
        let mut odd = cell("pgd", 10, "0.1");
        odd.verdicts[4].margin = f64::NAN;
        assert_eq!(names(&[odd]), ["logits-not-finite"]);
    }
}
