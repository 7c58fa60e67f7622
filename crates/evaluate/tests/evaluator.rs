//! The evaluator: a verdict is a function of the example, and the referee believes nobody.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod built_in;

use built_in::registry;
use candle_core::{Device, Tensor};
use gauntlet_core::attack::{Backwards, Pulls, Site, Turn, Walk, lockstep, predicted, rows};
use gauntlet_core::target::Linear;
use gauntlet_core::{
    Activation, Attack, Clean, Frozen, Job, Key, ModelInfo, Plan, Precision, Purpose, Result, Target, ThreatModel,
    Weights,
};
use gauntlet_evaluate::{AttackEntry, CleanPass, Component, Cost, Error, Evaluator, Examples, Kind, evaluate};
use gauntlet_records::{Attacked, Family, Fate, Norm, Verdict};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

static GO_ON: AtomicBool = AtomicBool::new(false);

/// Images whose label a random network mostly agrees with: labels are its own answers, a tenth is wrong.
fn scene(model: &str, n: usize) -> (Frozen, Examples) {
    let registry = registry();
    let given = json!({ "name": model, "init": "he" }).as_object().unwrap().clone();
    let (network, _) = registry.model(&given, (1, 8, 8), 5).unwrap();
    let weights = Weights::init(&network.specs(), Key::new(1, Purpose::Init), Precision::F32, &Device::Cpu).unwrap();
    let target = Frozen::new(network, weights.constants());
    let mut stream = Key::new(2, Purpose::Sample).stream(0, 0, 0);
    let pixels: Vec<f32> = (0..n * 64).map(|_| stream.uniform() as f32).collect();
    let x = Tensor::from_vec(pixels, (n, 1, 8, 8), &Device::Cpu).unwrap();
    let answers = gauntlet_core::attack::rows(&target.logits(&x).unwrap()).unwrap();
    let labels = answers
        .iter()
        .enumerate()
        .map(|(i, z)| {
            let top = gauntlet_core::attack::predicted(z).unwrap();
            if i % 10 == 3 { (top + 1) % 5 } else { top }
        })
        .collect();
    (target, Examples::new(x, labels, (0..n as u64).map(|i| 100 + i).collect()).unwrap())
}

fn entry(name: &str, eps: &[&str], more: serde_json::Value) -> AttackEntry {
    let mut given = more.as_object().unwrap().clone();
    given.insert("name".into(), name.into());
    AttackEntry {
        label: name.into(),
        attack: Component::resolve(Kind::Attack, &registry(), &given).unwrap(),
        norm: Norm::Linf,
        eps: eps.iter().map(|e| e.parse().unwrap()).collect(),
        examples: None,
    }
}

fn judge(target: &dyn Target, examples: &Examples, width: usize, carry: bool) -> Vec<Attacked> {
    let evaluator = Evaluator { width, attack_seed: 7, carry, ..Evaluator::new(target, examples, &GO_ON) };
    let attacks = [
        entry("fgsm", &["0.05", "0.02"], json!({})),
        entry("pgd", &["0.02", "0.05"], json!({ "steps": 7, "restarts": 3, "alpha": "eps/3" })),
        entry("noise", &["0.05"], json!({ "draws": 5 })),
        // Hardly more than noise: whether a restart helps is a matter of luck.
        entry("pgd", &["0.05"], json!({ "steps": 1, "restarts": 6, "alpha": "eps/10" })),
    ];
    evaluate(&evaluator, &attacks, &registry(), &mut ()).unwrap().attacked
}

#[test]
fn verdicts_do_not_depend_on_the_number_of_slots() {
    for model in ["linear", "lenet-small"] {
        let (target, examples) = scene(model, 70);
        let all = judge(&target, &examples, 256, false);
        let fates = |f: Fate| all.iter().flat_map(|a| &a.verdicts).filter(|v| v.fate == f).count();
        assert!(fates(Fate::Broken) > 20 && fates(Fate::Robust) > 20, "{model}: the scene decides nothing");
        assert_eq!(fates(Fate::Wrong), 7 * 6);
        assert!(all[5].verdicts.iter().any(|v| v.restart > 0), "{model}: no restart ever helped");
        for width in [1, 32] {
            assert_eq!(judge(&target, &examples, width, false), all, "{model}, width {width}");
        }
    }
}

/// FGSM has no randomness: what the referee must say can be computed from the point.
#[test]
fn where_the_target_alone_counts_the_referee_counts_it_alone() {
    let given = json!({ "name": "fgsm", "objective": "margin-t", "success": "target" });
    let (attack, _) = registry().attack(given.as_object().unwrap()).unwrap();
    let (mut there, mut elsewhere) = (0, 0);
    for (model, eps) in
        [("linear", "0.05"), ("linear", "0.2"), ("linear", "1"), ("lenet-small", "0.1"), ("lenet-small", "1")]
    {
        let (target, examples) = scene(model, 200);
        let (x, labels) = (examples.pixels(), examples.labels());
        let logits = rows(&target.logits(x).unwrap()).unwrap();
        let threat = ThreatModel::new(Norm::Linf, eps.parse().unwrap());
        let key = Key::new(0, Purpose::AttackStart);
        let points = lockstep(&*attack, &target, x, labels, examples.ids(), threat, key).unwrap();
        let answers = rows(&target.logits(&points).unwrap()).unwrap();
        let judged = |success: &str| {
            let evaluator = Evaluator { draws: 2, ..Evaluator::new(&target, &examples, &GO_ON) };
            let entry = entry("fgsm", &[eps], json!({ "objective": "margin-t", "success": success }));
            evaluate(&evaluator, &[entry], &registry(), &mut ()).unwrap().attacked.remove(0).verdicts
        };
        for (i, (only, any)) in judged("target").iter().zip(&judged("any")).enumerate() {
            if only.fate == Fate::Wrong {
                continue;
            }
            let clean = Clean { index: i, id: 0, label: labels[i], logits: logits[i].clone() };
            let (aim, answer) = (clean.runners_up(1)[0], predicted(&answers[i]).unwrap());
            assert_eq!(only.fate == Fate::Broken, answer == aim, "{model} {eps}, example {i}");
            assert_eq!(any.fate == Fate::Broken, answer != labels[i], "{model} {eps}, example {i}");
            assert_eq!((only.fooled, only.backwards), (Some(if answer == aim { 2 } else { 0 }), 1));
            assert!(only.fate == Fate::Broken || !only.rounded);
            there += usize::from(answer == aim);
            elsewhere += usize::from(answer != labels[i] && answer != aim);
        }
    }
    assert!(there > 0 && elsewhere > 0, "{there} {elsewhere}: the scenes decide nothing");
}

#[test]
fn verdicts_do_not_depend_on_the_order_of_the_examples() {
    let (target, examples) = scene("lenet-small", 40);
    let order: Vec<u32> = (0..40u32).map(|i| (i * 17 + 5) % 40).collect();
    let x = examples.pixels().index_select(&Tensor::new(order.as_slice(), &Device::Cpu).unwrap(), 0).unwrap();
    let pick = |i: &u32| *i as usize;
    let labels = order.iter().map(|i| examples.labels()[pick(i)]).collect();
    let ids = order.iter().map(|i| examples.ids()[pick(i)]).collect();
    let shuffled = Examples::new(x, labels, ids).unwrap();
    let sorted = |mut cells: Vec<Attacked>| {
        cells.iter_mut().for_each(|c| c.verdicts.sort_by_key(|v| v.id));
        cells
    };
    assert_eq!(sorted(judge(&target, &shuffled, 16, false)), sorted(judge(&target, &examples, 16, false)));
}

#[test]
fn costs_are_the_examples_own_jobs() {
    let (target, examples) = scene("lenet-small", 40);
    let all = judge(&target, &examples, 8, false);
    for v in all[0].verdicts.iter().filter(|v| v.fate != Fate::Wrong) {
        // FGSM: the gradient at the clean image, then the answer at the step's end.
        assert_eq!((v.steps, v.forwards, v.backwards), (1, 2, 1));
    }
    for v in &all[2].verdicts {
        match v.fate {
            Fate::Robust => assert_eq!((v.forwards, v.backwards), (3 * 8, 3 * 7)),
            Fate::Broken => {
                assert_eq!((v.forwards, v.backwards), (v.restart * 8 + v.steps + 1, v.restart * 7 + v.steps))
            }
            _ => assert_eq!((v.forwards, v.backwards), (0, 0)),
        }
        assert!(v.size <= 0.02 + 1e-6);
        assert_eq!(v.fate == Fate::Robust, v.margin.is_some_and(|m| m > 0.0));
    }
}

#[test]
fn a_larger_budget_carries_what_a_smaller_one_broke() {
    let (target, examples) = scene("lenet-small", 60);
    let (plain, carried) = (judge(&target, &examples, 16, false), judge(&target, &examples, 16, true));
    // fgsm lists 0.05 before 0.02: the run goes upward all the same, the cells stay in the entry's order.
    for (large, small) in [(0, 1), (3, 2)] {
        assert_eq!(carried[small], plain[small]);
        let mut kept = 0;
        for i in 0..60 {
            let (before, after) = (&carried[small].verdicts[i], &carried[large].verdicts[i]);
            if before.fate == Fate::Broken {
                assert_eq!((after.fate, after.forwards, after.size), (Fate::Carried, 0, before.size));
                kept += 1;
            } else {
                assert_eq!(after, &plain[large].verdicts[i]);
            }
        }
        assert!(kept > 3, "{kept}");
    }
}

#[test]
fn examples_are_transferred_from_the_surrogate_and_judged_by_the_target() {
    let (target, examples) = scene("lenet-small", 60);
    let attack = |given: serde_json::Value| entry("transfer", &["0.05"], json!({ "surrogate": "it", "attack": given }));
    let run = |surrogate: Option<&dyn Target>, entry: &AttackEntry| {
        let evaluator = Evaluator { attack_seed: 7, surrogate, ..Evaluator::new(&target, &examples, &GO_ON) };
        evaluate(&evaluator, std::slice::from_ref(entry), &registry(), &mut ())
    };
    let fates = |cells: &[Attacked]| cells[0].verdicts.iter().map(|v| v.fate).collect::<Vec<_>>();
    // From itself, a single step is the attack itself.
    let own = run(Some(&target), &attack(json!({ "name": "fgsm" }))).unwrap().attacked;
    assert_eq!(fates(&own), fates(&judge(&target, &examples, 16, false)[..1]));
    // From another model: fewer, but some; targeted attacks take the surrogate's runners-up; noise is the same anywhere.
    let (linear, _) = scene("linear", 1);
    for given in [json!({ "name": "pgd", "steps": 5 }), json!({ "name": "apgd-t", "steps": 5, "targets": 2 })] {
        let found = run(Some(&linear), &attack(given.clone())).unwrap().attacked;
        let broken = fates(&found).iter().filter(|f| **f == Fate::Broken).count();
        let own = fates(&own).iter().filter(|f| **f == Fate::Broken).count();
        assert!(broken > 0 && broken <= own, "{given}: {broken} of {own}");
        for v in found[0].verdicts.iter().filter(|v| v.fate != Fate::Wrong) {
            assert!(v.forwards > 0 && v.size <= 0.05 + 1e-6);
        }
    }
    let error = run(None, &attack(json!("pgd"))).unwrap_err().to_string();
    assert!(error.contains("needs its surrogate \"it\""), "{error}");
    let given = json!({ "name": "lenet-small" }).as_object().unwrap().clone();
    let (network, _) = registry().model(&given, (1, 12, 12), 5).unwrap();
    let weights = Weights::init(&network.specs(), Key::new(1, Purpose::Init), Precision::F32, &Device::Cpu).unwrap();
    let larger = Frozen::new(network, weights.constants());
    let error = run(Some(&larger), &attack(json!("pgd"))).unwrap_err().to_string();
    assert!(error.contains("takes images (1, 12, 12) of 5 classes"), "{error}");
    for (given, say) in [(json!("autoattack"), "single attack"), (json!("fab"), "with a budget"), (json!("pdg"), "pgd")]
    {
        let mut whole = json!({ "name": "transfer", "surrogate": "it" });
        whole["attack"] = given;
        let Err(error) = registry().plan(whole.as_object().unwrap()) else { panic!("{whole} is taken") };
        assert!(error.to_string().contains(say), "{error}");
    }
}

#[test]
fn an_ensemble_is_what_its_stages_leave() {
    let (target, examples) = scene("lenet-small", 60);
    let list = json!([{ "name": "fgsm" }, { "name": "noise", "draws": 4 }, { "name": "pgd", "steps": 10 }, "fab-t"]);
    let whole = entry("worst-case", &["0.03"], json!({ "attacks": list }));
    let alone = [
        entry("fgsm", &["0.03"], json!({})),
        entry("noise", &["0.03"], json!({ "draws": 4 })),
        entry("pgd", &["0.03"], json!({ "steps": 10 })),
        entry("fab-t", &["0.03"], json!({})),
    ];
    let run = |entries: &[AttackEntry], width| {
        let evaluator = Evaluator { width, ..Evaluator::new(&target, &examples, &GO_ON) };
        evaluate(&evaluator, entries, &registry(), &mut ()).unwrap().attacked
    };
    let (ensemble, parts) = (run(std::slice::from_ref(&whole), 256), run(&alone, 256));
    let (mut first, mut later) = (0, 0);
    for (i, v) in ensemble[0].verdicts.iter().enumerate() {
        let by = parts.iter().find(|p| p.verdicts[i].fate == Fate::Broken).map_or("", |p| p.attack.as_str());
        assert_eq!(v.broken_by, by, "example {i}");
        assert_eq!(v.fate == Fate::Broken, !by.is_empty());
        first += usize::from(by == "fgsm");
        later += usize::from(!by.is_empty() && by != "fgsm");
    }
    assert!(first > 3 && later > 0, "{first} by the first stage, {later} by later ones");
    for width in [1, 7] {
        assert_eq!(run(std::slice::from_ref(&whole), width), ensemble, "width {width}");
    }
}

type Proposal = fn(&mut [f32]);

/// Proposes whatever it is told to, and claims whatever it is told to.
struct Liar {
    proposal: Proposal,
    claims: bool,
}
impl Attack for Liar {
    fn name(&self) -> &str {
        "liar"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf]
    }
    fn jobs(&self, _: &Clean, _: &ThreatModel) -> Vec<Job> {
        Job::restarts(1)
    }
    fn backwards(&self) -> Backwards {
        Backwards::None
    }
    fn walk_f32(&self, site: Site<'_, f32>) -> Box<dyn Walk<f32>> {
        (self.proposal)(site.x);
        Box::new(Liar { ..*self })
    }
    fn walk_f64(&self, _: Site<'_, f64>) -> Box<dyn Walk<f64>> {
        unreachable!("images are f32")
    }
}
impl Walk<f32> for Liar {
    fn look(&mut self, _: &mut [f32], _: &[f64], _: &mut Pulls<'_>) -> Turn {
        if self.claims { Turn::broken(1) } else { Turn::withstood(1) }
    }
    fn step(&mut self, _: &mut [f32], _: &[&[f32]]) -> Turn {
        Turn::Go
    }
}

fn face(target: &dyn Target, examples: &Examples, eps: &str, liar: Liar) -> gauntlet_evaluate::Result<Vec<Verdict>> {
    let evaluator = Evaluator { width: 4, ..Evaluator::new(target, examples, &GO_ON) };
    let liar = Plan::Single(Arc::new(liar));
    let mut cost = Cost::default();
    let clean: CleanPass = evaluator.clean(&mut cost)?;
    let attacked = evaluator.attack(&entry("fgsm", &[eps], json!({})), &liar, &clean, &mut cost)?;
    // It asks for no gradient and says nothing else of itself.
    assert_eq!(attacked[0].family, Some(Family::Scores));
    Ok(attacked.into_iter().next().unwrap().verdicts)
}

#[test]
fn a_proposal_outside_the_rules_is_the_attacks_error() {
    let (target, examples) = scene("linear", 12);
    let cases: [(Proposal, &str); 3] = [
        (|x| x.iter_mut().for_each(|v| *v *= 0.5), "exceeds"),
        (|x| x.iter_mut().for_each(|v| *v += 0.05), "outside [0, 1]"),
        (|x| x[0] = f32::NAN, "NaN"),
    ];
    for (proposal, say) in cases {
        let error = face(&target, &examples, "0.1", Liar { proposal, claims: true }).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("attack liar") && text.contains("example 1") && text.contains(say), "{text}");
        assert!(matches!(error, Error::Core(gauntlet_core::Error::Proposal { .. })));
    }
}

#[test]
fn a_claim_counts_for_nothing() {
    let (target, examples) = scene("linear", 12);
    // The clean image is in every ball and classified correctly, whatever the attack says.
    let verdicts = face(&target, &examples, "0.1", Liar { proposal: |_| {}, claims: true }).unwrap();
    assert!(verdicts.iter().all(|v| v.fate != Fate::Broken));
    // An attack that does not notice its success has it all the same.
    let nudge: Proposal = |x| {
        for (i, v) in x.iter_mut().enumerate() {
            *v = (*v + if i % 2 == 0 { -0.45 } else { 0.45 }).clamp(0.0, 1.0);
        }
    };
    let of = |claims| face(&target, &examples, "0.5", Liar { proposal: nudge, claims }).unwrap();
    assert_eq!(of(true), of(false));
    assert!(of(false).iter().any(|v| v.fate == Fate::Broken));
}

/// Answers NaN for every image with a pixel that is darker than those it knows.
struct Broken {
    info: ModelInfo,
}
impl Target for Broken {
    fn info(&self) -> &ModelInfo {
        &self.info
    }
    fn logits(&self, x: &Tensor) -> Result<Tensor> {
        let rows: Vec<f32> = (0..x.dim(0)?)
            .flat_map(|i| {
                let darkest = x.get(i).unwrap().flatten_all().unwrap().min(0).unwrap().to_scalar::<f32>().unwrap();
                if darkest < 0.45 { [f32::NAN, 0.0] } else { [1.0, 0.0] }
            })
            .collect();
        Ok(Tensor::from_vec(rows, (x.dim(0)?, 2), &Device::Cpu)?)
    }
    fn linearise(&self, _: &Tensor) -> Result<Box<dyn Linear>> {
        Err(gauntlet_core::Error::Message("it has no gradient".into()))
    }
}

#[test]
fn a_nan_is_never_a_success_and_never_unseen() {
    let info = ModelInfo {
        name: "broken".into(),
        input: (1, 8, 8),
        classes: 2,
        activation: Activation::Relu,
        mean: vec![],
        std: vec![],
        numerics: 1,
    };
    let x = Tensor::full(0.5f32, (6, 1, 8, 8), &Device::Cpu).unwrap();
    let examples = Examples::new(x, vec![0; 6], (0..6).collect()).unwrap();
    let target = Broken { info };
    let darker = Liar { proposal: |x| x.iter_mut().for_each(|v| *v -= 0.1), claims: true };
    let verdicts = face(&target, &examples, "0.1", darker).unwrap();
    assert!(verdicts.iter().all(|v| v.fate == Fate::Robust && v.margin.is_some_and(f64::is_nan)));
    // Through the front door it is flagged.
    let evaluator = Evaluator { width: 4, ..Evaluator::new(&target, &examples, &GO_ON) };
    let found = evaluate(
        &evaluator,
        &[entry("noise", &["0.4"], json!({ "draws": 40, "shape": "sign" }))],
        &registry(),
        &mut (),
    )
    .unwrap();
    for name in ["logits-not-finite", "no-gradient"] {
        assert!(found.flags.iter().any(|f| f.name == name), "{:?}", found.flags);
    }
    assert!(found.attacked[0].verdicts.iter().all(|v| v.fate == Fate::Robust));
    let record = found.record("mine", "my-model", gauntlet_records::Provenance::default());
    assert_eq!((record.result.clean.len(), record.row.as_str()), (6, "my-model"));
}

#[test]
fn examples_must_be_pixels() {
    let x = Tensor::full(1.5f32, (2, 1, 8, 8), &Device::Cpu).unwrap();
    let error = Examples::new(x, vec![0, 0], vec![0, 1]).unwrap_err().to_string();
    assert!(error.contains("[0,1]") && error.contains("inside the model"), "{error}");
    let x = Tensor::full(0.5f32, (2, 1, 8, 8), &Device::Cpu).unwrap();
    assert!(Examples::new(x, vec![0, 0], vec![1, 1]).unwrap_err().to_string().contains("twice"));
}
