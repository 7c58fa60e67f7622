//! Attacks, objectives and models are registered in the same way as recipes: here an objective for PGD to ascend.

use gauntlet::core::registry::BuildObjective;
use gauntlet::core::{Goal, Objective, Spec};
use gauntlet::data::Catalogue;
use gauntlet::engine::Suite;
use std::sync::Arc;

/// −z_y: the true logit is to fall, whatever rises.
struct TrueLogit;

impl Objective for TrueLogit {
    fn name(&self) -> &str {
        OBJECTIVE.name
    }
    fn ascend(&self, logits: &[f64], goal: &Goal, slope: &mut [f64]) -> f64 {
        slope[goal.label] -= 1.0;
        -logits[goal.label]
    }
}

const OBJECTIVE: Spec<BuildObjective> = Spec {
    name: "true-logit",
    summary: "the true class's logit, falling",
    formula: "−z_y",
    paper: "-",
    params: &[],
    numerics: 1,
    origin: "plug-in",
    build: |_, _| Ok(Arc::new(TrueLogit)),
};

#[test]
fn a_suite_can_name_it() {
    let registry = gauntlet_cli::app().penalty(gradient_times_input::SPEC).objective(OBJECTIVE).registry().unwrap();
    let pgd = "[[attack]]\nname = \"pgd\"\nobjective = \"true-logit\"\neps = [\"0.1\"]\n";
    let suite = format!("{}\n{pgd}", include_str!("../suite.toml").split("[[attack]]").next().unwrap());
    let suite = Suite::load(&suite, "suite.toml", &registry, &Catalogue::default()).unwrap();
    assert_eq!(suite.attacks[0].attack.args["objective"]["name"], "true-logit");
    let mut slope = [0.0; 3];
    assert_eq!(TrueLogit.ascend(&[1.0, 2.0, 3.0], &Goal { label: 1, ..Goal::default() }, &mut slope), -2.0);
    assert_eq!(slope, [0.0, -1.0, 0.0]);
}
