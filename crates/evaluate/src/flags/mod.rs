//! Remarks of the referee about numbers that should make a reader suspicious: docs/flags.md has every threshold.
//!
//! A file for each kind: attacks that are beaten by weaker ones, that were not finished, gradients, answers, searches.

mod answers;
mod beaten;
mod certificates;
mod gradients;
mod measures;
mod searches;
mod unfinished;

pub use measures::flag;

use certificates::Settled;
use gauntlet_core::Registry;
use gauntlet_records::{Attacked, Certified, CleanVerdict, Flag};

/// Everything that the referee has to say of one model's results under all attacks; `randomised`: the model has that flag, `draws`:
/// forwards that a proposal was judged on.
pub fn remarks(
    clean: &[CleanVerdict],
    attacked: &[Attacked],
    certified: &[Certified],
    (randomised, draws): (bool, u32),
    registry: &Registry,
) -> Vec<Flag> {
    let mut all = raise(clean, attacked, randomised, &Settled::of(attacked, certified));
    all.extend(answers::draws(attacked, draws));
    all.extend(unfinished::out_of_reach(attacked, registry));
    all.extend(certificates::remarks(attacked, certified));
    all
}

/// Looks at one model's results under all attacks: signs of masked gradients and of attacks that were not finished
/// (Carlini et al. 2019; Croce & Hein 2020), and logits that are not finite. `randomised`: the model has that flag; `settled`: where a
/// sign of masked gradients no longer matters.
fn raise(clean: &[CleanVerdict], attacked: &[Attacked], randomised: bool, settled: &Settled<'_>) -> Vec<Flag> {
    let mut raised = Vec::new();
    raised.extend(answers::constant(clean));
    beaten::stronger(attacked, settled, &mut raised);
    raised.extend(searches::failed(attacked));
    for cell in attacked {
        raised.extend(beaten::ensemble(cell, attacked));
        raised.extend(gradients::blind(cell, settled));
        raised.extend(unfinished::late(cell, randomised));
        raised.extend(beaten::square_helps(cell, settled));
        // A randomised model may answer the rounded image otherwise because it was asked again.
        if !randomised {
            raised.extend(answers::rounding(cell));
        }
    }
    unfinished::more(attacked, &mut raised);
    gradients::growing(attacked, settled, &mut raised);
    answers::not_finite(clean, attacked, &mut raised);
    raised
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_records::{Eps, Family, Fate, Norm, Verdict};
    use serde_json::json;

    /// Where nothing is proved.
    fn raise(clean: &[CleanVerdict], attacked: &[Attacked], randomised: bool) -> Vec<Flag> {
        super::raise(clean, attacked, randomised, &Settled::of(&[], &[]))
    }

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
    fn signs_of_masked_gradients_are_settled_where_nothing_is_left_to_find() {
        use gauntlet_records::{Proof, ProofFate};
        let proof = |id| Proof {
            id,
            fate: if id < 30 { ProofFate::Certified } else { ProofFate::Open },
            method: "crown".into(),
            bound: None,
            nodes: 0,
            undecided: 0,
        };
        let proved = Certified {
            certify: "bounds".into(),
            parameters: json!({}),
            norm: Norm::Linf,
            eps: "0.1".parse().unwrap(),
            examples: None,
            proofs: (0..100).map(proof).collect(),
        };
        let attacked = [cell("fgsm", 30, "0.1"), cell("pgd", 50, "0.1")];
        let flags = super::raise(&[], &attacked, false, &Settled::of(&attacked, &[proved]));
        assert_eq!(flags[0].name, "fgsm-beats-pgd");
        assert!(flags[0].detail.contains("; settled: bounds proves 30.00 %"), "{}", flags[0].detail);
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
        // A search by decisions is one too.
        assert_eq!(names(&fails("hopskipjump", 3)), ["minimal-attack-fails"]);
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
