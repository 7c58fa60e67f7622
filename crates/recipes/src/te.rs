//! TE: what an example was answered with in earlier epochs holds it back from being memorised.

use crate::ascent::{ALPHA, Ascent, STEPS, through_softmax};
use crate::inner::{EPS, EVAL_MODE, RAMP};
use candle_core::{Device, Tensor};
use gauntlet_autograd::{Var, kernels};
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{
    AttackMode, Error, Memory, ParamDoc, ParamKind, Range, Recipe, Result, Setup, Spec, Step, Target, Targets, Term,
    ThreatModel,
};
use std::sync::Arc;

/// L = mean ℓ(x') + w · mean ‖p(x') − q‖², q the average of the example's own clean predictions over epochs; Dong et al. 2022.
///
/// q ← m q + (1 − m) p(x) in eval mode, before every step, divided by its sum; x' ascends the loss itself from x + U(−ε, ε)^d. From
/// epoch `start` (counted from 1) w grows as exp(−5 (1 − t)²) to its size in epoch `end`; before it is 0.
pub struct Te {
    /// The inner attack.
    pub ascent: Ascent,
    /// Largest w; published code averages over classes too: its 300 is 30 for ten classes.
    pub weight: f64,
    /// m.
    pub momentum: f64,
    /// First epoch, from 1, that predictions are averaged in.
    pub start: usize,
    /// Epoch, from 1, from which on w is full.
    pub end: usize,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "te",
    summary: "adversarial training with temporal ensembling: predictions stay near their own average over epochs",
    formula: "mean ℓ(x') + w · mean ‖p(x') − q‖²,  q ← m q + (1 − m) p(x), x' ascends the same",
    paper: "Dong et al. 2022",
    params: &[
        EPS,
        ParamDoc { name: "weight", kind: ParamKind::WEIGHT, default: "30.0", unit: "", doc: "w once it has grown" },
        ParamDoc {
            name: "momentum",
            kind: ParamKind::Float(Range::at_least(0.0).below(1.0)),
            default: "0.9",
            unit: "",
            doc: "m",
        },
        ParamDoc {
            name: "start",
            kind: ParamKind::COUNT,
            default: "90",
            unit: "epochs",
            doc: "epoch, from 1, from which on predictions are averaged",
        },
        ParamDoc {
            name: "end",
            kind: ParamKind::COUNT,
            default: "150",
            unit: "epochs",
            doc: "epoch, from 1, from which on w is full",
        },
        STEPS,
        ALPHA,
        EVAL_MODE,
        RAMP,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let (momentum, start) = (args.f64("momentum")?, args.usize("start")?);
        let end = args.usize("end")?;
        if end < start {
            return Err(Error::value("te.end", format!("must be at least `start`, {start}, got {end}")));
        }
        let weight = args.f64("weight")?;
        Ok(Arc::new(Te { ascent: Ascent::read(args)?, weight, momentum, start, end }))
    },
};

/// Averages of all rows, `(rows, K)`.
const AVERAGES: &str = "te.averages";
/// Those of the batch at hand, `(N, K)`, until the step is done.
const PENDING: &str = "te.pending";

impl Te {
    /// w at a position of the training.
    pub(crate) fn grown(&self, position: &Position) -> f64 {
        let epoch = f64::from(position.epoch) + 1.0;
        let (start, end) = (self.start as f64, self.end as f64);
        if epoch < start {
            return 0.0;
        }
        if epoch > end || end == start {
            return self.weight;
        }
        let phase = 1.0 - (epoch - start) / (end - start);
        self.weight * (-5.0 * phase * phase).exp()
    }

    /// The averages of the batch with this step's predictions, `(N, K)`, before they are divided by their sums.
    fn averages(&self, step: &mut Step<'_>) -> Result<Var> {
        let x = step.input();
        let p = Var::constant(step.frozen(AttackMode::Eval).logits(x.tensor())?).softmax()?;
        let known: Vec<Vec<f64>> = gauntlet_core::attack::rows(step.remembered(AVERAGES)?)?;
        let mut own = Vec::new();
        for id in step.ids() {
            let row = known.get(*id as usize).ok_or_else(|| {
                Error::Message(format!("te has seen no training row {id} before the first step, only {}", known.len()))
            })?;
            own.extend_from_slice(row);
        }
        let own = Var::constant(kernels::numbers_like(&own, p.dims(), p.tensor())?);
        Ok(own.affine(self.momentum, 0.0)?.add(&p.affine(1.0 - self.momentum, 0.0)?)?)
    }
}

impl Recipe for Te {
    fn name(&self) -> &str {
        "te"
    }
    fn prepare(&self, setup: &mut Setup<'_>) -> Result<Memory> {
        let mut rows = 0;
        (setup.train)(&mut |batch| {
            rows = batch.ids.iter().fold(rows, |rows, id| rows.max(*id as usize + 1));
            Ok(())
        })?;
        let averages = Tensor::zeros((rows, setup.model.classes), setup.precision.dtype(), &Device::Cpu)?;
        Ok(Memory::from([(AVERAGES.to_string(), averages)]))
    }
    fn threat(&self, position: &Position) -> Option<ThreatModel> {
        Some(self.ascent.at(position))
    }
    fn held_constant(&self) -> Option<&'static str> {
        Some("the averaged predictions, which this step's are a part of")
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let weight = self.grown(&step.position());
        let averages = match f64::from(step.position().epoch) + 1.0 >= self.start as f64 {
            true => Some(self.averages(step)?),
            false => None,
        };
        if let Some(averages) = &averages {
            step.memory().insert(PENDING.to_string(), averages.tensor().clone());
        }
        let q = averages.map(|a| a.broadcast_div(&a.sum_keepdim(&[1])?)).transpose()?;
        let eps = self.ascent.at(&step.position()).eps;
        let start = x.detach().add(&step.uniform_pixels("te", (-eps, eps))?)?.clamp(0.0, 1.0)?;
        let labels = step.labels().clone();
        let slope = |z: &Var, _: &Var| {
            let p = z.softmax()?;
            let ce = p.sub(&Targets::default().distribution(z, &labels)?)?;
            match &q {
                Some(q) => Ok(ce.add(&through_softmax(&p, &p.sub(q)?)?.affine(2.0 * weight, 0.0)?)?),
                None => Ok(ce),
            }
        };
        let x_adv = Var::leaf(self.ascent.examples(step, &start, &slope)?);
        let ce = step.cross_entropy(&x_adv)?;
        let mut terms = vec![Term::new("adv_ce", 1.0, ce)];
        if let Some(q) = &q {
            let p = step.forward(&x_adv)?.softmax()?;
            terms.push(Term::new("apart", weight, p.sub(q)?.sqr()?.sum_per_example()?));
        }
        Ok(terms)
    }
    fn after(&self, step: &mut Step<'_>) -> Result<()> {
        let Some(pending) = step.memory().remove(PENDING) else { return Ok(()) };
        let mut all: Vec<Vec<f64>> = gauntlet_core::attack::rows(step.remembered(AVERAGES)?)?;
        for (id, row) in step.ids().iter().zip(gauntlet_core::attack::rows(&pending)?) {
            if let Some(to) = all.get_mut(*id as usize) {
                *to = row;
            }
        }
        let dims = step.remembered(AVERAGES)?.dims().to_vec();
        let averages = kernels::numbers_like(&all.concat(), &dims, &pending)?;
        step.memory().insert(AVERAGES.to_string(), averages);
        Ok(())
    }
}
