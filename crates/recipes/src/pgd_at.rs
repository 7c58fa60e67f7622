//! Adversarial training.

use gauntlet_autograd::Var;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{Attack, Eps, Error, Mode, Norm, ParamDoc, Recipe, Result, Spec, Step, Term, ThreatModel};
use std::sync::Arc;

/// L = mean ℓ(x_adv), x_adv the last iterate of PGD on the current weights, Madry et al. 2018.
///
/// The examples are detached and cost no parameter gradients; no running statistic moves while they are made.
pub struct PgdAt {
    /// Norm and budget.
    pub threat: ThreatModel,
    /// PGD.
    pub attack: Arc<dyn Attack>,
    /// Mode of the attack's forwards.
    pub mode: Mode,
    /// Epochs over which ε grows from 0: at full size from the start, some nets never leave the constant answer.
    pub ramp: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "pgd-at",
    summary: "adversarial training: cross-entropy at PGD examples",
    formula: "mean ℓ(x_adv),  x_adv = PGD(x) on the current weights, every step taken",
    paper: "Madry et al. 2018",
    params: &[
        ParamDoc { name: "eps", kind: "eps", default: "", unit: "pixels", doc: "budget of the examples" },
        ParamDoc {
            name: "norm",
            kind: "one of linf, l2, l1",
            default: "\"linf\"",
            unit: "",
            doc: "norm of the budget",
        },
        ParamDoc { name: "steps", kind: "int", default: "10", unit: "", doc: "steps of PGD" },
        ParamDoc {
            name: "alpha",
            kind: "length",
            default: "\"eps/4\"",
            unit: "pixels",
            doc: "step size: \"0.01\", \"2/255\" or relative, \"eps/4\"",
        },
        ParamDoc {
            name: "random_start",
            kind: "bool",
            default: "true",
            unit: "",
            doc: "start at a random point of the ball",
        },
        ParamDoc {
            name: "attack_mode",
            kind: "one of train, eval",
            default: "\"train\"",
            unit: "",
            doc: "mode of the attack's forwards (batch norm and dropout)",
        },
        ParamDoc {
            name: "ramp",
            kind: "float",
            default: "0.0",
            unit: "epochs",
            doc: "ε grows from 0 over the first epochs (at a large ε some nets never leave the constant answer)",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, registry| {
        let eps: Eps = args.eps("eps")?;
        let norm: Norm = args.str("norm")?.parse()?;
        let mode = match args.choice("attack_mode", &["train", "eval"])? {
            "eval" => Mode::Eval,
            _ => Mode::Train,
        };
        let given = serde_json::json!({
            "name": "pgd",
            "steps": args.usize("steps", 1)?,
            "alpha": args.value("alpha")?,
            "random_start": args.bool("random_start")?,
        });
        let serde_json::Value::Object(given) = given else {
            return Err(Error::Message("pgd-at: its attack is a table".into()));
        };
        let (attack, _) = registry.attack(&given)?;
        let ramp = args.f64_from("ramp", 0.0)?;
        Ok(Arc::new(PgdAt { threat: ThreatModel::new(norm, eps.value()), attack, mode, ramp }))
    },
};

impl Recipe for PgdAt {
    fn name(&self) -> &str {
        "pgd-at"
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let grown = if self.ramp > 0.0 { (step.position().epochs_done() / self.ramp).min(1.0) } else { 1.0 };
        let threat = ThreatModel { eps: grown * self.threat.eps, ..self.threat };
        let x_adv = Var::leaf(step.attack(self.attack.as_ref(), threat, self.mode)?);
        Ok(vec![Term::new("adv_ce", 1.0, step.cross_entropy(&x_adv)?)])
    }
}
