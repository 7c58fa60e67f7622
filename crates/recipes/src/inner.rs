//! The attack inside a recipe: any registered attack, on the current weights.

use candle_core::Tensor;
use gauntlet_core::position::Position;
use gauntlet_core::{Args, Attack, AttackMode, ParamDoc, ParamKind, Registry, Result, Step, ThreatModel};
use gauntlet_records::{Eps, Norm};
use std::sync::Arc;

/// An attack, its budget and the mode of its forwards.
pub struct InnerAttack {
    /// Norm and budget.
    pub threat: ThreatModel,
    /// The attack.
    pub attack: Arc<dyn Attack>,
    /// What batch norm and dropout do in its forwards.
    pub mode: AttackMode,
    /// Epochs over which ε grows from 0: at full size from the start, some nets never leave the constant answer.
    pub ramp: f64,
}

/// The parameter `eps`.
pub(crate) const EPS: ParamDoc = ParamDoc {
    name: "eps",
    kind: ParamKind::Eps,
    default: "",
    unit: "pixels",
    doc: "budget of the adversarial examples",
};
/// The parameter `norm`.
pub(crate) const NORM: ParamDoc = ParamDoc {
    name: "norm",
    kind: ParamKind::Choice(&["linf", "l2", "l1"]),
    default: "\"linf\"",
    unit: "",
    doc: "norm of the budget",
};
/// The parameter `attack_mode` with the default `train`.
pub(crate) const MODE: ParamDoc = ParamDoc {
    name: "attack_mode",
    kind: ParamKind::Choice(&["train", "train-moving", "eval"]),
    default: "\"train\"",
    unit: "",
    doc: "batch norm and dropout in the attack's forwards; train-moving: they move the running statistics too",
};
/// The parameter `attack_mode` with the default `eval`.
pub(crate) const EVAL_MODE: ParamDoc = ParamDoc { default: "\"eval\"", ..MODE };
/// The parameter `attack`: Madry's ten steps.
pub(crate) const ATTACK: ParamDoc = ParamDoc {
    name: "attack",
    kind: ParamKind::Attack,
    default: r#"{"name":"pgd","steps":10,"alpha":"eps/4"}"#,
    unit: "",
    doc: "the inner attack; every example takes every step",
};
/// The parameter `attack`: TRADES' ten steps up the divergence from the clean prediction.
pub(crate) const KL_ATTACK: ParamDoc = ParamDoc {
    default: r#"{"name":"pgd","steps":10,"alpha":"eps/4","random_start":"0.001","objective":"kl"}"#,
    ..ATTACK
};
/// The parameter `ramp` of a budget.
pub(crate) const RAMP: ParamDoc = ParamDoc {
    name: "ramp",
    kind: ParamKind::WEIGHT,
    default: "0.0",
    unit: "epochs",
    doc: "ε grows from 0 over the first epochs (at a large ε some nets never leave the constant answer)",
};

/// Reads the parameter `attack_mode`.
pub(crate) fn mode(args: &Args) -> Result<AttackMode> {
    Ok(match args.str("attack_mode")? {
        "eval" => AttackMode::Eval,
        "train-moving" => AttackMode::TrainMoving,
        _ => AttackMode::Train,
    })
}

impl InnerAttack {
    /// From the parameters `eps`, `norm`, `attack`, `attack_mode` and `ramp`.
    pub(crate) fn read(args: &Args, registry: &Registry) -> Result<Self> {
        let eps: Eps = args.eps("eps")?;
        let norm: Norm = args.str("norm")?.parse()?;
        let (attack, _) = registry.attack(&args.table("attack")?)?;
        let threat = ThreatModel::new(norm, eps.value());
        Ok(InnerAttack { threat, attack, mode: mode(args)?, ramp: args.f64("ramp")? })
    }

    /// Sign steps jump, all others move smoothly with the weights.
    pub(crate) fn held_constant(&self) -> Option<&'static str> {
        (self.threat.norm != Norm::Linf).then_some("the adversarial examples")
    }

    /// Norm and budget at a position of the training.
    pub(crate) fn at(&self, position: &Position) -> ThreatModel {
        ThreatModel { eps: position.grown(self.ramp) * self.threat.eps, ..self.threat }
    }

    /// The budget at this step.
    pub(crate) fn grown(&self, step: &Step<'_>) -> ThreatModel {
        self.at(&step.position())
    }

    /// Adversarial examples of the batch, `(N, C, H, W)`, detached.
    pub(crate) fn examples(&self, step: &mut Step<'_>) -> Result<Tensor> {
        let all = step.ids().len();
        self.first_examples(step, all)
    }

    /// The same with the first `n` attacked and the others left as they are.
    pub(crate) fn first_examples(&self, step: &mut Step<'_>, n: usize) -> Result<Tensor> {
        step.attack_first(n, self.attack.as_ref(), self.grown(step), self.mode)
    }
}
