//! Attacks that leave less than attacks which should be stronger: signs of masked gradients (Carlini et al. 2019; Croce & Hein 2020).

use crate::flags::certificates::Settled;
use crate::flags::measures::{flag, percent, percents, same_threat, share};
use gauntlet_records::{Attacked, Family, Fate, Flag};

/// Points by which a black-box attack must beat the best gradient attack (AutoAttack's check).
const BEATS: f64 = 0.2;
/// Points that PGD may leave above AutoAttack.
const ABOVE: f64 = 1.0;

/// A weaker attack leaves less than a stronger one.
pub(super) fn stronger(attacked: &[Attacked], settled: &Settled<'_>, raised: &mut Vec<Flag>) {
    let pairs = [
        ("fgsm", "pgd", "fgsm-beats-pgd", "the iterative attack is held up, as by masked gradients"),
        ("noise", "fgsm", "noise-beats-fgsm", "the gradient is no guide, as when it is masked"),
    ];
    for (weak, strong, name, meaning) in pairs {
        for a in attacked.iter().filter(|c| c.name() == weak) {
            for b in attacked.iter().filter(|c| c.name() == strong && same_threat(c, a)) {
                if let Some((left, right)) = percents(a, b).filter(|(left, right)| left < right) {
                    let threat = format!("{} {}", a.norm, a.eps);
                    let detail =
                        format!("{} leaves {left:.2} %, {} {right:.2} % at {threat}: {meaning}", a.attack, b.attack)
                            + &settled.at(a);
                    raised.push(flag(name, detail));
                }
            }
        }
    }
    for a in attacked.iter().filter(|c| c.family().sees_no_gradient()) {
        let guided = attacked.iter().filter(|c| c.family() == Family::Gradient && same_threat(c, a));
        let beside = guided.filter_map(|b| Some((b, percents(a, b)?)));
        let lead = |(left, right): (f64, f64)| right - left;
        let Some((best, (left, right))) = beside.min_by(|b, c| lead(b.1).total_cmp(&lead(c.1))) else { continue };
        if left < right - BEATS {
            raised.push(flag(
                &format!("{}-beats-gradients", a.name()),
                format!(
                    "{} leaves {left:.2} %, the best attack with gradients ({}) {right:.2} % at {} {}: gradients are masked \
                     or the attack was too short",
                    a.attack, best.attack, a.norm, a.eps
                ) + &settled.at(a),
            ));
        }
    }
}

/// In an ensemble: random search breaks what the attacks with gradients before it left. (AutoAttack's check; its version `plus`
/// has two more behind `square`, which might have broken the same examples.)
pub(super) fn square_helps(cell: &Attacked, settled: &Settled<'_>) -> Option<Flag> {
    let gained = 100.0 * share(cell, |v| v.fate == Fate::Broken && v.broken_by == "square");
    let plus = cell.name() == "autoattack" && cell.parameters["args"]["version"] == "plus";
    let (after, but) = match plus {
        true => ("after apgd-ce, apgd-dlr and fab", "; apgd-t and fab-t, which come later, might have broken them too"),
        false => ("after all attacks with gradients", ""),
    };
    (gained > BEATS).then(|| {
        flag(
            "square-helps",
            format!(
                "within {}, square broke another {gained:.2} points at {} {} {after}: this might indicate masked gradients, \
                 or attacks that were too short{but}",
                cell.attack, cell.norm, cell.eps
            ) + &settled.at(cell),
        )
    })
}

/// AutoAttack leaves clearly less than PGD on the same images.
pub(super) fn ensemble(cell: &Attacked, attacked: &[Attacked]) -> Option<Flag> {
    let same = |c: &&Attacked| {
        let images = || c.verdicts.iter().map(|v| v.id).eq(cell.verdicts.iter().map(|v| v.id));
        c.name() == "pgd" && same_threat(c, cell) && images()
    };
    let pgd = attacked.iter().filter(same).min_by(|a, b| percent(a).total_cmp(&percent(b)))?;
    let (left, right) = (percent(cell), percent(pgd));
    (cell.name() == "autoattack" && right - left > ABOVE).then(|| {
        flag(
            "ensemble-beats-pgd",
            format!(
                "{} leaves {left:.2} %, {} {right:.2} % at {} {}: PGD alone overstates the robustness by {:.2} points",
                cell.attack,
                pgd.attack,
                cell.norm,
                cell.eps,
                right - left
            ),
        )
    })
}
