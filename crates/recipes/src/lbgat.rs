//! LBGAT: a network that is trained without an adversary beside this one shows it where its boundaries should lie.

use crate::inner::{EPS, EVAL_MODE, InnerAttack, KL_ATTACK, NORM, RAMP};
use crate::trades::kl;
use gauntlet_autograd::Var;
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{
    BatchStats, Error, ParamDoc, ParamKind, ParamSpec, Params, Pass, Recipe, Result, Spec, Step, Term, ThreatModel,
};
use std::sync::Arc;

/// L = mean ℓ(n(x)) + w · mean (1/K) ‖z(x') − n(x)‖² + β · mean KL(p(x) ‖ p(x')), n the logits of a second network of the same
/// architecture, which is trained along; x' that of TRADES; Cui et al. 2021.
///
/// The gradient of the squared distance passes both networks. The second one starts from weights of its own and is not kept when
/// the training has ended. (The authors' natural network may be smaller than the robust one.)
pub struct Lbgat {
    /// PGD on the KL.
    pub inner: InnerAttack,
    /// w.
    pub weight: f64,
    /// β.
    pub beta: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "lbgat",
    summary: "logits at adversarial examples follow those of a natural network of the same architecture that is trained along",
    formula: "mean ℓ(n(x)) + w · mean (1/K) ‖z(x') − n(x)‖² + β · mean KL(p(x) ‖ p(x')),  n a second network, trained along",
    paper: "Cui et al. 2021",
    params: &[
        EPS,
        NORM,
        ParamDoc {
            name: "boundary",
            kind: ParamKind::WEIGHT,
            default: "1.0",
            unit: "",
            doc: "w of the distance between the logits",
        },
        ParamDoc {
            name: "beta",
            kind: ParamKind::WEIGHT,
            default: "0.0",
            unit: "",
            doc: "β of the divergence that TRADES has (the authors: 0 and 6)",
        },
        KL_ATTACK,
        EVAL_MODE,
        RAMP,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, registry| {
        Ok(Arc::new(Lbgat {
            inner: InnerAttack::read(args, registry)?,
            weight: args.f64("boundary")?,
            beta: args.f64("beta")?,
        }))
    },
};

/// What the second network's parameters' names begin with.
const NATURAL: &str = "natural.";

impl Recipe for Lbgat {
    fn name(&self) -> &str {
        "lbgat"
    }
    fn starting(&self, specs: Vec<ParamSpec>) -> Vec<ParamSpec> {
        let second = |s: &ParamSpec| ParamSpec { name: format!("{NATURAL}{}", s.name), ..s.clone() };
        let seconds: Vec<ParamSpec> = specs.iter().map(second).collect();
        specs.into_iter().chain(seconds).collect()
    }
    fn threat(&self, position: &Position) -> Option<ThreatModel> {
        Some(self.inner.at(position))
    }
    fn held_constant(&self) -> Option<&'static str> {
        self.inner.held_constant()
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let x_adv = Var::leaf(self.inner.examples(step)?);
        let z_adv = step.forward(&x_adv)?;
        let natural = natural(step, &x)?;
        let ce = step.targets().cross_entropy(&natural, step.labels())?;
        let apart = z_adv.sub(&natural)?.sqr()?.mean_per_example()?;
        let mut terms = vec![Term::new("natural_ce", 1.0, ce), Term::new("boundary", self.weight, apart)];
        if self.beta > 0.0 {
            let z = step.forward(&x)?;
            terms.push(Term::new("kl", self.beta, kl(&z, &z_adv)?));
        }
        Ok(terms)
    }
}

/// The second network's logits in train mode, `(N, K)`; its batch norms' statistics move as the network's own.
fn natural(step: &mut Step<'_>, x: &Var) -> Result<Var> {
    let (network, all) = (step.network(), step.params());
    let mut entries = Vec::new();
    for spec in network.specs() {
        let var = all.get(&format!("{NATURAL}{}", spec.name)).map_err(|_| {
            let why = "lbgat trains a second network of the same architecture from fresh weights, and this one brings its own along";
            Error::value(network.info().name.clone(), why)
        })?;
        entries.push((spec.name, var.clone(), spec.trainable));
    }
    let p = step.position();
    let number = u64::from(p.epoch) * u64::from(p.steps) + u64::from(p.step);
    let ids = step.ids().to_vec();
    let mut pass = Pass::train(&ids, step.key().named("lbgat").child(number));
    let logits = network.forward(&Params::from_entries(entries), x, &mut pass)?;
    let seconds = pass.stats.into_iter().map(|s| BatchStats { layer: format!("{NATURAL}{}", s.layer), ..s });
    step.stats.extend(seconds);
    Ok(logits)
}
