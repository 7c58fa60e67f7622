//! Training objectives: recipes, and how penalties are added to them.

use crate::position::Position;
use crate::{Batch, Error, Memory, ModelInfo, ParamSpec, Precision, Result, Step, Target, ThreatModel};
use candle_core::Tensor;
use gauntlet_autograd::Var;
use std::borrow::Cow;
use std::sync::Arc;

/// One passage over the training set: calls what it is given with every batch, in order.
pub type Passage<'a> = dyn FnMut(&mut dyn FnMut(&Batch) -> Result<()>) -> Result<()> + 'a;

/// What a recipe may look at before the first step.
pub struct Setup<'a> {
    /// Every training image in order, in batches.
    pub train: &'a mut Passage<'a>,
    /// The model to be trained.
    pub model: &'a ModelInfo,
    /// The training's seed.
    pub seed: u64,
    /// Of inputs and weights.
    pub precision: Precision,
    /// The trained model that the suite's row names as its teacher.
    pub teacher: Option<Arc<dyn Target>>,
}

/// One named term of a loss: per-example values and a weight.
#[derive(Clone)]
pub struct Term {
    /// Name in logs, e.g. `grad_norm`.
    pub name: Cow<'static, str>,
    /// Weight in the total (0: logged, not optimised).
    pub weight: f64,
    /// Per-example values `(N,)`.
    pub values: Var,
}

impl Term {
    /// A term of the total.
    pub fn new(name: impl Into<Cow<'static, str>>, weight: f64, values: Var) -> Self {
        Term { name: name.into(), weight, values }
    }
    /// A term that is only logged.
    pub fn logged(name: impl Into<Cow<'static, str>>, values: &Var) -> Self {
        Term { name: name.into(), weight: 0.0, values: values.detach() }
    }
}

/// The loss of a step: Σₖ weightₖ · meanₙ valuesₖ(n).
pub struct Loss {
    /// The scalar to differentiate.
    pub total: Var,
    /// Per-example values of every term, detached: `(name, weight, (N,))`.
    pub terms: Vec<(Cow<'static, str>, f64, Tensor)>,
}

impl Loss {
    /// Sums terms. A term of weight 0 is logged only and adds nothing, not even a zero.
    pub fn sum(terms: impl IntoIterator<Item = Term>) -> Result<Self> {
        let mut total: Option<Var> = None;
        let mut logged = Vec::new();
        for term in terms {
            logged.push((term.name.clone(), term.weight, term.values.tensor().clone()));
            if term.weight != 0.0 {
                let mean = term.values.mean_all()?;
                let weighted = if term.weight == 1.0 { mean } else { mean.affine(term.weight, 0.0)? };
                total = Some(match total {
                    None => weighted,
                    Some(t) => t.add(&weighted)?,
                });
            }
        }
        let total = total.ok_or_else(|| Error::Message("a loss needs a term of non-zero weight".into()))?;
        Ok(Loss { total, terms: logged })
    }
}

/// A training objective with its hyper-parameters: named terms.
///
/// A penalty is a recipe too, whose terms are added to those of another one ([`Composed`]). It gives its own alone; keys of its
/// memory carry its name, since they lie beside the base's. What only one of both can decide is the base's: how often a batch is
/// replayed, and what robustness is monitored at.
pub trait Recipe: Send + Sync {
    /// Registered name.
    fn name(&self) -> &str;
    /// Looks at the training set once, before the first step.
    fn prepare(&self, _setup: &mut Setup<'_>) -> Result<Memory> {
        Ok(Memory::new())
    }
    /// How parameters start, where the recipe wants it otherwise than the network, and which are trained beside the network's own: those
    /// stand behind them, and are left out when the training has ended. Of networks that bring weights along it is not asked.
    fn starting(&self, specs: Vec<ParamSpec>) -> Vec<ParamSpec> {
        specs
    }
    /// How often each batch is replayed (free adversarial training).
    fn replays(&self) -> usize {
        1
    }
    /// The terms of the loss of one step.
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>>;
    /// The loss: the sum of the terms.
    fn loss(&self, step: &mut Step<'_>) -> Result<Loss> {
        Loss::sum(self.terms(step)?)
    }
    /// After the backward sweep, once a step; [`Step::gradient_of_watched`] is there then.
    fn after(&self, _step: &mut Step<'_>) -> Result<()> {
        Ok(())
    }
    /// The perturbations that the recipe trains against at `position`, if it does: what its robustness is monitored at. A
    /// budget that grows is as large as it has grown.
    fn threat(&self, _position: &Position) -> Option<ThreatModel> {
        None
    }
    /// What the loss holds constant on purpose although it depends on the weights, so that its gradient is not the
    /// derivative of its value: a detached direction, a cut graph. `None`: nothing.
    fn held_constant(&self) -> Option<&'static str> {
        None
    }
    /// Whether from `position` on the loss is one and the same function of weights, images and labels in every step: nothing
    /// is drawn, remembered or grown. A GPU then repeats a recorded step.
    fn repeats(&self, _position: &Position) -> bool {
        false
    }
}

/// A penalty whose weights grow linearly from 0 over the first epochs.
pub struct Ramped {
    /// The penalty.
    pub penalty: Arc<dyn Recipe>,
    /// Epochs of growth.
    pub ramp: f64,
}

impl Recipe for Ramped {
    fn name(&self) -> &str {
        self.penalty.name()
    }
    fn prepare(&self, setup: &mut Setup<'_>) -> Result<Memory> {
        self.penalty.prepare(setup)
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let grown = step.position().grown(self.ramp);
        let terms = self.penalty.terms(step)?;
        Ok(terms.into_iter().map(|t| Term { weight: grown * t.weight, ..t }).collect())
    }
    fn after(&self, step: &mut Step<'_>) -> Result<()> {
        self.penalty.after(step)
    }
    fn held_constant(&self) -> Option<&'static str> {
        self.penalty.held_constant()
    }
    fn repeats(&self, position: &Position) -> bool {
        position.grown(self.ramp) >= 1.0 && self.penalty.repeats(position)
    }
}

/// A base recipe and a list of penalties.
pub struct Composed {
    /// The base.
    pub base: Arc<dyn Recipe>,
    /// What is added.
    pub penalties: Vec<Arc<dyn Recipe>>,
    /// Name in tables.
    pub name: String,
}

impl Recipe for Composed {
    fn name(&self) -> &str {
        &self.name
    }
    fn prepare(&self, setup: &mut Setup<'_>) -> Result<Memory> {
        let mut memory = self.base.prepare(setup)?;
        for penalty in &self.penalties {
            memory.append(&mut penalty.prepare(setup)?);
        }
        Ok(memory)
    }
    fn starting(&self, specs: Vec<ParamSpec>) -> Vec<ParamSpec> {
        self.base.starting(specs)
    }
    fn replays(&self) -> usize {
        self.base.replays()
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let mut terms = self.base.terms(step)?;
        for penalty in &self.penalties {
            terms.extend(penalty.terms(step)?);
        }
        Ok(terms)
    }
    fn after(&self, step: &mut Step<'_>) -> Result<()> {
        self.base.after(step)?;
        self.penalties.iter().try_for_each(|penalty| penalty.after(step))
    }
    fn threat(&self, position: &Position) -> Option<ThreatModel> {
        self.base.threat(position)
    }
    fn held_constant(&self) -> Option<&'static str> {
        self.base.held_constant().or_else(|| self.penalties.iter().find_map(|p| p.held_constant()))
    }
    fn repeats(&self, position: &Position) -> bool {
        self.base.repeats(position) && self.penalties.iter().all(|p| p.repeats(position))
    }
}
