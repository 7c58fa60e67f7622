//! Remarks of the referee about numbers that should make a reader suspicious: docs/flags.md has every threshold.

use gauntlet_core::{Registry, ThreatModel, budget};
use gauntlet_records::verdict::robust_accuracy;
use gauntlet_records::{
    Attacked, CleanVerdict, Family, Fate, Flag, Verdict, record::constant_answer, verdict::robust_accuracy_over_draws,
};
use serde_json::Map;
use std::collections::HashMap;

/// Points by which a black-box attack must beat the best gradient attack (AutoAttack's check).
const BEATS: f64 = 0.2;
/// Share of gradients of a cell that are zero everywhere or not finite somewhere.
const BLIND: f64 = 0.01;
/// Share of all examples that only the last of several restarts, or the last tenth of the steps, broke.
const LATE: f64 = 0.01;
/// Points that four times the steps or restarts may gain.
const MORE: f64 = 1.0;
/// Examples robust at two budgets that their mean margins are compared on at least.
const ENOUGH: usize = 20;
/// Share of the broken examples (and of all, a tenth of it) that rounding to 8 bits makes correct again. An attack ends
/// at the first misclassified point, close to the boundary: a few such examples are nobody's fault.
const ROUNDED: f64 = 0.2;
/// And this many examples at least.
const RESTORED: usize = 10;
/// Points that PGD may leave above AutoAttack.
const ABOVE: f64 = 1.0;

/// A flag of that name.
pub fn flag(name: &str, detail: String) -> Flag {
    Flag { name: name.to_string(), detail }
}

/// Everything that the referee has to say of one model's results under all attacks; `randomised`: the model has that flag, `draws`:
/// forwards that a proposal was judged on.
pub fn remarks(
    clean: &[CleanVerdict],
    attacked: &[Attacked],
    (randomised, draws): (bool, u32),
    registry: &Registry,
) -> Vec<Flag> {
    let mut all = raise(clean, attacked, randomised);
    all.extend(self::draws(attacked, draws));
    all.extend(out_of_reach(attacked, registry));
    all
}

/// Looks at one model's results under all attacks: signs of masked gradients and of attacks that were not finished
/// (Carlini et al. 2019; Croce & Hein 2020), and logits that are not finite. `randomised`: the model has that flag.
fn raise(clean: &[CleanVerdict], attacked: &[Attacked], randomised: bool) -> Vec<Flag> {
    let mut raised = Vec::new();
    raised.extend(constant(clean));
    stronger(attacked, &mut raised);
    raised.extend(failed(attacked));
    for cell in attacked {
        raised.extend(ensemble(cell, attacked));
        raised.extend(blind(cell));
        raised.extend(late(cell, randomised));
        raised.extend(square_helps(cell));
        // A randomised model may answer the rounded image otherwise because it was asked again.
        if !randomised {
            raised.extend(rounding(cell));
        }
    }
    more(attacked, &mut raised);
    growing(attacked, &mut raised);
    not_finite(clean, attacked, &mut raised);
    raised
}

/// What several draws of a randomised model say beside the first, where they do not all say the same.
fn draws(attacked: &[Attacked], draws: u32) -> Vec<Flag> {
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

/// Attacks that cannot get from the clean image to the end of their budget: steps × α < ε.
fn out_of_reach(attacked: &[Attacked], registry: &Registry) -> Vec<Flag> {
    let mut raised = Vec::new();
    for cell in attacked {
        let mut given = Map::from_iter([("name".to_string(), cell.name().into())]);
        given.extend(cell.parameters["args"].as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
        let Ok((attack, _)) = registry.attack(&given) else { continue };
        let found = budget::out_of_reach(&*attack, &ThreatModel::new(cell.norm, cell.eps.value()));
        let Some((name, reach)) = found else { continue };
        let start = if reach.random_start { "its random start" } else { "the clean image" };
        let by = if name == cell.attack { String::new() } else { format!(" of {}", cell.attack) };
        raised.push(flag(
            "budget-out-of-reach",
            format!(
                "{} of {name}{by} get {} far from {start} at {} {}: of the rest of the ball it says nothing",
                budget::in_words(&reach),
                budget::short(reach.length()),
                cell.norm,
                cell.eps
            ),
        ));
    }
    raised
}

fn percent(cell: &Attacked) -> f64 {
    100.0 * robust_accuracy(&cell.verdicts)
}

/// Verdicts of two attacks on the examples that both were run on.
fn paired<'a>(a: &'a Attacked, b: &'a Attacked) -> Vec<(&'a Verdict, &'a Verdict)> {
    if a.verdicts.iter().map(|v| v.id).eq(b.verdicts.iter().map(|v| v.id)) {
        return a.verdicts.iter().zip(&b.verdicts).collect();
    }
    let other: HashMap<u64, &Verdict> = b.verdicts.iter().map(|v| (v.id, v)).collect();
    a.verdicts.iter().filter_map(|v| Some((v, *other.get(&v.id)?))).collect()
}

/// Robust accuracies in percent of two attacks, on the examples that both were run on; `None`: they share none.
fn percents(a: &Attacked, b: &Attacked) -> Option<(f64, f64)> {
    let pairs = paired(a, b);
    let of = |right: usize| 100.0 * (right as f64 / pairs.len() as f64);
    let robust = |v: &Verdict| v.fate == Fate::Robust;
    let (left, right) = (pairs.iter().filter(|p| robust(p.0)).count(), pairs.iter().filter(|p| robust(p.1)).count());
    (!pairs.is_empty()).then(|| (of(left), of(right)))
}

fn same_threat(a: &Attacked, b: &Attacked) -> bool {
    a.norm == b.norm && a.eps == b.eps
}

fn share(cell: &Attacked, which: impl Fn(&&Verdict) -> bool) -> f64 {
    cell.verdicts.iter().filter(which).count() as f64 / cell.verdicts.len().max(1) as f64
}

/// A weaker attack leaves less than a stronger one.
fn stronger(attacked: &[Attacked], raised: &mut Vec<Flag>) {
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
                        format!("{} leaves {left:.2} %, {} {right:.2} % at {threat}: {meaning}", a.attack, b.attack);
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
                ),
            ));
        }
    }
}

/// Gradients that lead nowhere.
fn blind(cell: &Attacked) -> Option<Flag> {
    let all: u64 = cell.verdicts.iter().map(|v| u64::from(v.backwards)).sum();
    let none: u64 = cell.verdicts.iter().map(|v| u64::from(v.blind)).sum();
    let part = none as f64 / all.max(1) as f64;
    (part > BLIND).then(|| {
        flag(
            "gradient-vanishes",
            format!(
                "{:.1} % of {all} gradients of {} at {} {} are zero or not finite: the loss is saturated or the model not \
                 differentiable",
                100.0 * part,
                cell.attack,
                cell.norm,
                cell.eps
            ),
        )
    })
}

/// The attack was still winning when it ended.
fn late(cell: &Attacked, randomised: bool) -> Vec<Flag> {
    let mut raised = Vec::new();
    // Which of several restarts fools most draws is luck.
    if cell.family() != Family::Gradient || randomised {
        return raised;
    }
    let number = |name: &str| cell.parameters["args"][name].as_u64().unwrap_or(1) as u32;
    let (steps, restarts) = (number("steps"), number("restarts"));
    let broken = |v: &&Verdict| v.fate == Fate::Broken;
    let last = share(cell, |v| broken(v) && restarts > 1 && v.restart + 1 == restarts);
    if last > LATE {
        raised.push(flag(
            "restarts-still-gain",
            format!(
                "the last of {restarts} restarts of {} still broke {:.1} % of the examples at {} {}: more would break more",
                cell.attack,
                100.0 * last,
                cell.norm,
                cell.eps
            ),
        ));
    }
    // Where every step is taken, it is at the end that the loss is highest.
    let every_step = number("draws") > 1 || cell.verdicts.iter().any(|v| v.fooled.is_some());
    let tenth = share(cell, |v| broken(v) && !every_step && steps >= 10 && v.steps * 10 > steps * 9);
    if tenth > LATE {
        raised.push(flag(
            "steps-still-gain",
            format!(
                "{:.1} % of the examples fell in the last tenth of the {steps} steps of {} at {} {}: it was stopped too early",
                100.0 * tenth,
                cell.attack,
                cell.norm,
                cell.eps
            ),
        ));
    }
    raised
}

/// In an ensemble: random search breaks what the attacks with gradients before it left. (AutoAttack's check; its version `plus`
/// has two more behind `square`, which might have broken the same examples.)
fn square_helps(cell: &Attacked) -> Option<Flag> {
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
            ),
        )
    })
}

/// AutoAttack leaves clearly less than PGD on the same images.
fn ensemble(cell: &Attacked, attacked: &[Attacked]) -> Option<Flag> {
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

/// Searches for the smallest perturbation that find none at all; once for all budgets, which are read off one search.
fn failed(attacked: &[Attacked]) -> Vec<Flag> {
    let mut raised: Vec<Flag> = Vec::new();
    for cell in attacked {
        let Some((unbroken, right)) = cell.unbroken() else { continue };
        let detail = format!(
            "{} ({}) finds no perturbation of any size for {unbroken} of the {right} correct images ({:.1} %): it failed as \
             an attack, and what it leaves says nothing about robustness",
            cell.attack,
            cell.norm,
            100.0 * unbroken as f64 / right as f64
        );
        if cell.search_failed() && raised.iter().all(|f| f.detail != detail) {
            raised.push(flag("minimal-attack-fails", detail));
        }
    }
    raised
}

/// A model that does not look at its input.
fn constant(clean: &[CleanVerdict]) -> Option<Flag> {
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

/// Examples that are adversarial only between two grey levels. Attacks for the smallest perturbation end on the
/// boundary on purpose.
fn rounding(cell: &Attacked) -> Option<Flag> {
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

/// The same attack with four times the steps or restarts finds clearly more.
fn more(attacked: &[Attacked], raised: &mut Vec<Flag>) {
    let number = |c: &Attacked, name: &str| c.parameters["args"][name].as_u64().unwrap_or(1);
    for a in attacked.iter().filter(|c| c.family() == Family::Gradient) {
        for b in attacked.iter().filter(|b| b.name() == a.name() && same_threat(a, b)) {
            for what in ["steps", "restarts"] {
                let (few, many) = (number(a, what), number(b, what));
                let gain = percents(a, b).map_or(0.0, |(left, right)| left - right);
                if many >= 4 * few && gain > MORE {
                    raised.push(flag(
                        "more-still-gains",
                        format!(
                            "{} with {many} {what} leaves {gain:.2} points less than {} with {few} at {} {}: look at the \
                             longer one, and try a longer one still",
                            b.attack, a.attack, a.norm, a.eps
                        ),
                    ));
                }
            }
        }
    }
}

/// A larger budget must raise the loss where it does not break the example.
fn growing(attacked: &[Attacked], raised: &mut Vec<Flag>) {
    for a in attacked.iter().filter(|c| c.family() == Family::Gradient && c.eps.value() > 0.0) {
        let larger = |b: &&Attacked| b.attack == a.attack && b.norm == a.norm && b.eps > a.eps;
        let Some(b) = attacked.iter().filter(larger).min_by(|b, c| b.eps.cmp(&c.eps)) else { continue };
        let both: Vec<(f64, f64)> = paired(a, b)
            .into_iter()
            .filter(|(v, w)| v.fate == Fate::Robust && w.fate == Fate::Robust)
            .filter_map(|(v, w)| v.margin.zip(w.margin))
            .filter(|(v, w)| v.is_finite() && w.is_finite())
            .collect();
        let mean = |f: fn(&(f64, f64)) -> f64| both.iter().map(f).sum::<f64>() / both.len() as f64;
        if both.len() >= ENOUGH && mean(|p| p.1) >= mean(|p| p.0) {
            raised.push(flag(
                "loss-not-growing",
                format!(
                    "on the {} examples that withstand {} at {} {} and {}, the mean margin goes from {:.3} to {:.3}: a larger \
                     budget does not help the attack, as when gradients are masked",
                    both.len(),
                    a.attack,
                    a.norm,
                    a.eps,
                    b.eps,
                    mean(|p| p.0),
                    mean(|p| p.1)
                ),
            ));
        }
    }
}

fn not_finite(clean: &[CleanVerdict], attacked: &[Attacked], raised: &mut Vec<Flag>) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_records::{Eps, Norm};
    use serde_json::json;

    /// 100 examples, the first `robust` of which withstand.
    fn cell(name: &str, robust: u64, eps: &str) -> Attacked {
        let verdicts = (0..100).map(|id| Verdict {
            id,
            fate: if id < robust { Fate::Robust } else { Fate::Broken },
            restart: 0,
            steps: 1,
            size: 0.1,
            margin: (id < robust).then(|| 1.0 - eps.parse::<Eps>().unwrap().value()),
            forwards: 1,
            backwards: 1,
            broken_by: String::new(),
            blind: 0,
            rounded: true,
            fooled: None,
        });
        Attacked {
            attack: name.to_string(),
            parameters: json!({ "name": name, "args": { "steps": 40, "restarts": 2 } }),
            family: Some(Family::of_name(name)),
            norm: Norm::Linf,
            eps: eps.parse::<Eps>().unwrap(),
            examples: None,
            verdicts: verdicts.collect(),
        }
    }
    fn names(attacked: &[Attacked]) -> Vec<String> {
        let clean: Vec<CleanVerdict> =
            (0..100).map(|id| CleanVerdict { id, label: 0, predicted: 0, margin: 1.0 }).collect();
        raise(&clean, attacked, false).into_iter().map(|f| f.name).collect()
    }
    fn changed(mut cell: Attacked, change: impl Fn(&mut Verdict)) -> Attacked {
        cell.verdicts.iter_mut().for_each(change);
        cell
    }
    fn none() -> [String; 0] {
        []
    }

    #[test]
    fn a_black_box_attack_of_any_name_that_beats_the_gradients_is_told() {
        let clean: Vec<CleanVerdict> = (0..100)
            .map(|id| CleanVerdict { id, label: id as u32 % 10, predicted: id as u32 % 10, margin: 1.0 })
            .collect();
        let told = |family: Family| -> Vec<String> {
            let mine = Attacked { family: Some(family), ..cell("mine", 40, "0.1") };
            raise(&clean, &[cell("pgd", 60, "0.1"), mine], false).into_iter().map(|f| f.name).collect()
        };
        for family in [Family::Scores, Family::Decisions, Family::Noise, Family::Transfer] {
            assert!(told(family).contains(&"mine-beats-gradients".to_string()), "{family}: {:?}", told(family));
        }
        for family in [Family::Gradient, Family::Minimal, Family::OneStep, Family::Ensemble] {
            assert!(!told(family).contains(&"mine-beats-gradients".to_string()), "{family}: {:?}", told(family));
        }
    }

    #[test]
    fn the_usual_order_raises_nothing() {
        let usual =
            [cell("noise", 90, "0.1"), cell("fgsm", 50, "0.1"), cell("pgd", 30, "0.1"), cell("square", 31, "0.1")];
        assert_eq!(names(&usual), none());
        assert_eq!(names(&[cell("fgsm", 10, "0.3"), cell("pgd", 80, "0.1")]), none());
        assert_eq!(names(&[cell("pgd", 60, "0.1"), cell("pgd", 40, "0.2")]), none());
    }

    #[test]
    fn weaker_attacks_that_win_are_named() {
        assert_eq!(names(&[cell("fgsm", 30, "0.1"), cell("pgd", 50, "0.1")]), ["fgsm-beats-pgd"]);
        assert_eq!(names(&[cell("pgd", 50, "0.1"), cell("noise", 30, "0.1")]), ["noise-beats-gradients"]);
        assert_eq!(names(&[cell("apgd-ce", 50, "0.1"), cell("square", 49, "0.1")]), ["square-beats-gradients"]);
        assert_eq!(names(&[cell("pgd", 50, "0.1"), cell("transfer", 30, "0.1")]), ["transfer-beats-gradients"]);
        let helped = changed(cell("autoattack", 50, "0.1"), |v| {
            if v.id == 60 {
                v.broken_by = "square".into();
            }
        });
        assert_eq!(names(&[helped]), ["square-helps"]);
    }

    #[test]
    fn square_in_version_plus_stands_before_two_attacks_with_gradients() {
        let said = |version: &str| {
            let mut helped = changed(cell("autoattack", 50, "0.1"), |v| {
                if v.id == 60 {
                    v.broken_by = "square".into();
                }
            });
            helped.parameters["args"] = json!({ "version": version });
            raise(&[], &[helped], false).remove(0).detail
        };
        let standard = said("standard");
        assert!(standard.contains("another 1.00 points at linf 0.1 after all attacks with gradients"), "{standard}");
        let plus = said("plus");
        assert!(!plus.contains("all attacks") && plus.contains("after apgd-ce, apgd-dlr and fab"), "{plus}");
        assert!(plus.ends_with("apgd-t and fab-t, which come later, might have broken them too"), "{plus}");
        assert!(standard.contains("might indicate masked gradients") && plus.contains("might indicate"));
    }

    #[test]
    fn an_ensemble_that_leaves_over_a_point_less_than_pgd_is_named() {
        // Label smoothing in recipes-mnist-autoattack at ε = 0.1: 35.0 under PGD, 21.5 under AutoAttack.
        assert_eq!(names(&[cell("pgd", 35, "0.1"), cell("autoattack", 21, "0.1")]), ["ensemble-beats-pgd"]);
        assert_eq!(names(&[cell("pgd", 22, "0.1"), cell("autoattack", 21, "0.1")]), none());
        assert_eq!(names(&[cell("pgd", 35, "0.1"), cell("autoattack", 21, "0.2")]), none());
        let detail = raise(&[], &[cell("pgd", 35, "0.1"), cell("autoattack", 21, "0.1")], false).remove(0).detail;
        let expected =
            "autoattack leaves 21.00 %, pgd 35.00 % at linf 0.1: PGD alone overstates the robustness by 14.00 points";
        assert_eq!(detail, expected);
    }

    #[test]
    fn a_search_for_the_smallest_perturbation_that_finds_none_is_named_once() {
        // As fmn on `ce` in mnist-gauntlet: 596 of 984 at no size.
        let fails = |name: &str, unbroken: u64| {
            ["1", "2"].map(|eps| changed(cell(name, 90, eps), |v| v.size = if v.id < unbroken { 0.0 } else { 3.0 }))
        };
        let raised = raise(&[], &fails("fmn", 60), false);
        assert_eq!(raised.len(), 1, "{raised:?}");
        assert_eq!(
            raised[0].detail,
            "fmn (linf) finds no perturbation of any size for 60 of the 100 correct images (60.0 %): it failed as an attack, \
             and what it leaves says nothing about robustness"
        );
        assert_eq!(names(&fails("deepfool", 3)), ["minimal-attack-fails"]);
        assert_eq!(names(&fails("deepfool", 2)), none());
        // An attack inside a budget stays where it was.
        assert_eq!(names(&fails("noise", 60)), none());
    }

    #[test]
    fn a_model_that_answers_one_class_is_named() {
        let clean: Vec<CleanVerdict> = (0..100)
            .map(|id| CleanVerdict { id, label: (id % 10) as u32, predicted: if id < 98 { 3 } else { 4 }, margin: 0.1 })
            .collect();
        let raised = raise(&clean, &[], false);
        assert_eq!(raised.len(), 1);
        assert!(
            raised[0].name == "constant-answer" && raised[0].detail.starts_with("98 of 100 clean images"),
            "{raised:?}"
        );
    }

    #[test]
    fn attacks_that_were_not_finished_are_named() {
        let restart = changed(cell("pgd", 50, "0.1"), |v| v.restart = u32::from(v.id >= 98));
        assert_eq!(names(std::slice::from_ref(&restart)), ["restarts-still-gain"]);
        let steps = changed(cell("pgd", 50, "0.1"), |v| v.steps = if v.id >= 98 { 37 } else { 36 });
        assert_eq!(names(std::slice::from_ref(&steps)), ["steps-still-gain"]);
        // Every step is taken, and the last restart may be the luckiest: neither says that more would break more.
        let draws = |mut cell: Attacked| {
            cell.parameters["args"]["draws"] = 20.into();
            cell
        };
        let (steps, restart) = ([draws(steps.clone()), changed(steps, |v| v.fooled = Some(9))], restart);
        assert_eq!(names(&steps), none());
        assert_eq!(names(&[draws(restart.clone())]), ["restarts-still-gain"]);
        assert!(raise(&[], &[restart], true).is_empty());
        let mut longer = cell("pgd", 48, "0.1");
        longer.attack = "pgd-long".into();
        longer.parameters["args"]["steps"] = 160.into();
        assert_eq!(names(&[cell("pgd", 50, "0.1"), longer.clone()]), ["more-still-gains"]);
        assert_eq!(names(&[cell("pgd", 49, "0.1"), longer]), none());
    }

    #[test]
    fn gradients_that_lead_nowhere_are_named() {
        assert_eq!(names(&[changed(cell("pgd", 50, "0.1"), |v| v.blind = u32::from(v.id < 2))]), ["gradient-vanishes"]);
        assert_eq!(names(&[changed(cell("pgd", 50, "0.1"), |v| v.blind = u32::from(v.id < 1))]), none());
        let flat = changed(cell("pgd", 50, "0.2"), |v| v.margin = (v.id < 50).then_some(0.95));
        assert_eq!(names(&[cell("pgd", 60, "0.1"), flat]), ["loss-not-growing"]);
    }

    #[test]
    fn what_rounding_restores_is_named_but_not_for_the_smallest_perturbations() {
        let restored = |name: &str| changed(cell(name, 50, "0.1"), |v| v.rounded = v.id >= 62);
        assert_eq!(names(&[restored("pgd")]), ["rounding-restores"]);
        assert!(raise(&[], &[restored("pgd")], true).is_empty());
        assert_eq!(names(&[restored("fab-t")]), none());
    }

    #[test]
    fn attacks_on_different_examples_are_compared_on_those_they_share() {
        let mut some = cell("fgsm", 60, "0.1");
        // All that withstand, and ten that do not: alone it would seem to leave more than pgd, of 100 it leaves the same.
        some.verdicts.retain(|v| v.id < 70);
        some.examples = Some(70);
        assert_eq!(names(&[some.clone(), cell("pgd", 60, "0.1")]), none());
        assert_eq!(names(&[some.clone(), cell("pgd", 61, "0.1")]), ["fgsm-beats-pgd"]);
        // No example in common: nothing to compare.
        let mut others = cell("pgd", 100, "0.1");
        others.verdicts.retain(|v| v.id >= 70);
        assert_eq!(names(&[some, others]), none());
    }

    #[test]
    fn logits_that_are_not_finite_are_named() {
        let odd = changed(cell("pgd", 100, "0.1"), |v| {
            if v.id == 4 {
                v.margin = Some(f64::NAN);
            }
        });
        assert_eq!(names(&[odd]), ["logits-not-finite"]);
    }
}
