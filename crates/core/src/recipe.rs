//! Training objectives: recipes, penalties that compose with them, and the step they see.

use crate::attack::{Attack, lockstep};
use crate::{
    Batch, BatchStats, Error, Frozen, Key, Mode, ModelInfo, Network, Params, Pass, Purpose, Result, ThreatModel,
};
use candle_core::Tensor;
use gauntlet_autograd::{Graph, Var, grad};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Named tensors that a recipe keeps between steps (class means, fixed directions); they are checkpointed.
pub type Memory = BTreeMap<String, Tensor>;

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
    /// dtype of inputs.
    pub dtype: candle_core::DType,
}

/// One named term of a loss: per-example values and a weight.
#[derive(Clone)]
pub struct Term {
    /// Name in logs, e.g. `grad_norm`.
    pub name: &'static str,
    /// Weight in the total (0: logged, not optimised).
    pub weight: f64,
    /// Per-example values `(N,)`.
    pub values: Var,
}

impl Term {
    /// A term of the total.
    pub fn new(name: &'static str, weight: f64, values: Var) -> Self {
        Term { name, weight, values }
    }
    /// A term that is only logged.
    pub fn logged(name: &'static str, values: &Var) -> Self {
        Term { name, weight: 0.0, values: values.detach() }
    }
}

/// The loss of a step: Σₖ weightₖ · meanₙ valuesₖ(n).
pub struct Loss {
    /// The scalar to differentiate.
    pub total: Var,
    /// Per-example values of every term, detached: `(name, weight, (N,))`.
    pub terms: Vec<(&'static str, f64, Tensor)>,
}

impl Loss {
    /// Sums terms. A term of weight 0 is logged only and adds nothing, not even a zero.
    pub fn sum(terms: impl IntoIterator<Item = Term>) -> Result<Self> {
        let mut total: Option<Var> = None;
        let mut logged = Vec::new();
        for term in terms {
            logged.push((term.name, term.weight, term.values.tensor().clone()));
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

/// A training objective with its hyper-parameters.
pub trait Recipe: Send + Sync {
    /// Registered name.
    fn name(&self) -> &str;
    /// Looks at the training set once, before the first step.
    fn prepare(&self, _setup: &mut Setup<'_>) -> Result<Memory> {
        Ok(Memory::new())
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
    /// After the optimiser's step.
    fn after(&self, _step: &mut Step<'_>) -> Result<()> {
        Ok(())
    }
}

/// A penalty: terms added to any recipe's.
pub trait Penalty: Send + Sync {
    /// Registered name.
    fn name(&self) -> &str;
    /// Looks at the training set once; keys of the memory must carry the penalty's name.
    fn prepare(&self, _setup: &mut Setup<'_>) -> Result<Memory> {
        Ok(Memory::new())
    }
    /// Terms to add.
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>>;
}

/// A base recipe and a list of penalties.
pub struct Composed {
    /// The base.
    pub base: Arc<dyn Recipe>,
    /// What is added.
    pub penalties: Vec<Arc<dyn Penalty>>,
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
        self.base.after(step)
    }
}

/// Where a training stands.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    /// Epoch, from 0.
    pub epoch: u32,
    /// Epochs in all.
    pub epochs: u32,
    /// Step within the epoch, from 0.
    pub step: u32,
    /// Steps per epoch.
    pub steps: u32,
}

impl Position {
    /// Epochs done, with fraction.
    pub fn epochs_done(&self) -> f64 {
        f64::from(self.epoch) + f64::from(self.step) / f64::from(self.steps.max(1))
    }
}

/// One training step as a recipe sees it. `forward` and `cross_entropy` of one input are computed once per step, so
/// that a base and its penalties share them.
pub struct Step<'a> {
    network: Arc<dyn Network>,
    params: &'a Params,
    batch: &'a Batch,
    labels: Vec<u32>,
    input: Var,
    seed: u64,
    position: Position,
    memory: &'a mut Memory,
    forwards: Vec<(u64, Mode, Var)>,
    losses: Vec<(u64, Var)>,
    passes: u32,
    /// Batch statistics of the train-mode forwards of this step, in order: the trainer moves the running ones.
    pub stats: Vec<BatchStats>,
}

impl<'a> Step<'a> {
    /// A step over one batch.
    pub fn new(
        network: Arc<dyn Network>,
        params: &'a Params,
        batch: &'a Batch,
        seed: u64,
        position: Position,
        memory: &'a mut Memory,
    ) -> Result<Self> {
        Ok(Step {
            network,
            params,
            batch,
            labels: batch.y.to_vec1()?,
            input: Var::leaf(batch.x.clone()),
            seed,
            position,
            memory,
            forwards: Vec::new(),
            losses: Vec::new(),
            passes: 0,
            stats: Vec::new(),
        })
    }
    /// Input pixels `(N, C, H, W)`, a leaf.
    pub fn input(&self) -> Var {
        self.input.clone()
    }
    /// Labels `(N,)` u32.
    pub fn labels(&self) -> &Tensor {
        &self.batch.y
    }
    /// Data set rows.
    pub fn ids(&self) -> &[u64] {
        &self.batch.ids
    }
    /// Where the training stands.
    pub fn position(&self) -> Position {
        self.position
    }
    /// The model.
    pub fn model(&self) -> &ModelInfo {
        self.network.info()
    }
    /// The recipe's memory.
    pub fn memory(&mut self) -> &mut Memory {
        self.memory
    }
    /// A remembered tensor.
    pub fn remembered(&self, name: &str) -> Result<&Tensor> {
        self.memory.get(name).ok_or_else(|| Error::Message(format!("the recipe's memory has no {name:?}")))
    }
    /// Key of the recipe's own draws.
    pub fn key(&self) -> Key {
        Key::new(self.seed, Purpose::Recipe)
    }

    /// Train-mode logits `(N, K)` of `x`, with gradients to the parameters; computed once per `x`. Its batch
    /// statistics move the running ones.
    pub fn forward(&mut self, x: &Var) -> Result<Var> {
        self.forward_in(x, Mode::Train)
    }

    /// Logits `(N, K)` in the given mode, computed once per (x, mode).
    pub fn forward_in(&mut self, x: &Var, mode: Mode) -> Result<Var> {
        if let Some((_, _, z)) = self.forwards.iter().find(|(id, m, _)| Some(*id) == x.id() && *m == mode) {
            return Ok(z.clone());
        }
        let key = self.pass_key();
        let mut pass = Pass { mode, ids: &self.batch.ids, key, stats: Vec::new() };
        let z = self.network.forward(self.params, x, &mut pass)?;
        self.stats.append(&mut pass.stats);
        if let Some(id) = x.id() {
            self.forwards.push((id, mode, z.clone()));
        }
        Ok(z)
    }

    /// Train-mode cross-entropy of `x` against the labels, `(N,)`, computed once per `x`.
    pub fn cross_entropy(&mut self, x: &Var) -> Result<Var> {
        if let Some((_, l)) = self.losses.iter().find(|(id, _)| Some(*id) == x.id()) {
            return Ok(l.clone());
        }
        let loss = self.forward(x)?.cross_entropy(&self.batch.y)?;
        if let Some(id) = x.id() {
            self.losses.push((id, loss.clone()));
        }
        Ok(loss)
    }

    /// Lets go of the forwards and losses that are kept for sharing, so that the last sweep can free them as it goes.
    pub fn forget(&mut self) {
        self.forwards.clear();
        self.losses.clear();
    }

    /// ∂(Σₙ values(n))/∂x, shape of x: per-example gradients (the sum scales nothing). `Graph::Keep` makes it
    /// differentiable by the parameters (double backpropagation); `Graph::Free` is the popular cut reading.
    pub fn input_gradient(&self, values: &Var, x: &Var, graph: Graph) -> Result<Var> {
        Ok(grad(values, &[x], graph)?.swap_remove(0))
    }

    /// Runs an attack on the clean batch with the current weights, in the given mode; last iterates `(N, C, H, W)`,
    /// detached. No parameter gradient is computed and no running statistic moves.
    pub fn attack(&mut self, attack: &dyn Attack, threat: ThreatModel, mode: Mode) -> Result<Tensor> {
        let position = self.position;
        let step = u64::from(position.epoch) * u64::from(position.steps) + u64::from(position.step);
        let target = Frozen::in_mode(self.network.clone(), self.params.clone(), mode, self.pass_key());
        let key = Key::new(self.seed, Purpose::RecipeAttack).child(step);
        lockstep(attack, &target, &self.batch.x, &self.labels, &self.batch.ids, threat, key)
    }

    fn pass_key(&mut self) -> Key {
        self.passes += 1;
        Key::new(self.seed, Purpose::Dropout)
            .child(u64::from(self.position.epoch) << 32 | u64::from(self.position.step))
            .child(u64::from(self.passes))
    }
}
