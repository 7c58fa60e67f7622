//! One training step as a recipe sees it.

use crate::attack::{Attack, lockstep};
use crate::position::Position;
use crate::{
    AttackMode, Batch, BatchStats, Error, Frozen, Key, Memory, Mode, ModelInfo, Network, Params, Pass, Purpose, Result,
    Target, Targets, ThreatModel,
};
use candle_core::Tensor;
use gauntlet_autograd::{Graph, Var, grad};
use std::collections::VecDeque;
use std::sync::Arc;

/// What an attack inside a step made: its examples, and the statistics that its forwards move.
#[derive(Debug, Clone)]
pub struct Made {
    x: Tensor,
    stats: Vec<BatchStats>,
}

/// One training step as a recipe sees it. `forward` and `cross_entropy` of one input are computed once per step, so
/// that a base and its penalties share them.
pub struct Step<'a> {
    network: Arc<dyn Network>,
    params: &'a Params,
    batch: &'a Batch,
    input: Var,
    seed: u64,
    position: Position,
    memory: &'a mut Memory,
    forwards: Vec<(u64, Mode, Var)>,
    losses: Vec<(u64, Var)>,
    passes: u32,
    teacher: Option<Arc<dyn Target>>,
    watched: Option<Var>,
    gradient_of_watched: Option<Tensor>,
    targets: Targets,
    lent: Option<&'a Params>,
    made: Vec<Made>,
    kept: VecDeque<Made>,
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
            input: Var::leaf(batch.x.clone()),
            seed,
            position,
            memory,
            forwards: Vec::new(),
            losses: Vec::new(),
            passes: 0,
            teacher: None,
            watched: None,
            gradient_of_watched: None,
            targets: Targets::default(),
            lent: None,
            made: Vec::new(),
            kept: VecDeque::new(),
            stats: Vec::new(),
        })
    }
    /// The same step beside a teacher.
    #[must_use]
    pub fn taught_by(mut self, teacher: Option<Arc<dyn Target>>) -> Self {
        self.teacher = teacher;
        self
    }
    /// The same step with other targets of its cross-entropy than the labels.
    #[must_use]
    pub fn with_targets(mut self, targets: Targets) -> Self {
        self.targets = targets;
        self
    }
    /// The same step at perturbed parameters: `forward` and what is made of it uses `params`, attacks and
    /// [`Step::frozen`] still the step's own. `made` are the examples of the same step's attacks, taken instead of attacking
    /// again ([`Step::take_made`]).
    #[must_use]
    pub fn lend(mut self, params: &'a Params, made: Vec<Made>) -> Self {
        self.lent = Some(params);
        self.kept = made.into();
        self
    }
    /// What the attacks of this step made, in order.
    pub fn take_made(&mut self) -> Vec<Made> {
        std::mem::take(&mut self.made)
    }
    /// What the cross-entropy is measured against.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }
    /// The trained model that the suite's row names as its teacher.
    ///
    /// # Errors
    /// A row without one.
    pub fn teacher(&self) -> Result<Arc<dyn Target>> {
        self.teacher.clone().ok_or_else(|| {
            Error::Message("the recipe needs a trained model beside it; name a row with `teacher = \"...\"`".into())
        })
    }
    /// Input pixels `(N, C, H, W)`, a leaf.
    pub fn input(&self) -> Var {
        self.input.clone()
    }
    /// Asks for ∂(total)/∂x beside the parameters' gradients, from the same backward sweep; `x` is a leaf that the loss
    /// depends on. [`Step::gradient_of_watched`] has it in [`crate::Recipe::after`].
    pub fn watch(&mut self, x: &Var) {
        self.watched = Some(x.clone());
    }
    /// What is watched.
    pub fn watched(&self) -> Option<Var> {
        self.watched.clone()
    }
    /// Hands the gradient of what is watched over: for the trainer.
    pub fn set_gradient_of_watched(&mut self, gradient: Tensor) {
        self.gradient_of_watched = Some(gradient);
    }
    /// ∂(total)/∂x of the watched `x`, of the mean loss (a sign does not mind the 1/N), after the backward sweep.
    ///
    /// # Errors
    /// Nothing was watched, or the sweep is still to come.
    pub fn gradient_of_watched(&self) -> Result<&Tensor> {
        self.gradient_of_watched
            .as_ref()
            .ok_or_else(|| Error::Message("no gradient of a watched input: the backward sweep is still to come".into()))
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
    /// The network, for what computes something else of it than its logits.
    pub fn network(&self) -> Arc<dyn Network> {
        self.network.clone()
    }
    /// The parameters that this step's forwards use.
    pub fn params(&self) -> &'a Params {
        self.lent.unwrap_or(self.params)
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
    /// The step's number since the training began, replays of a batch counted.
    fn number(&self) -> (u64, u32) {
        let p = self.position;
        (u64::from(p.epoch) * u64::from(p.steps) + u64::from(p.step), p.replay)
    }
    /// Independent N(0, 1), `(N, dims..)`, fresh in every step; `what` keeps two draws of one step apart.
    ///
    /// Keyed by training seed, data set row and step: what an example draws does not depend on the rest of its batch.
    pub fn normal(&self, what: &str, dims: &[usize]) -> Result<Var> {
        let (key, replay, shape) = self.draw(what, dims);
        Ok(Var::constant(key.normal_at(replay, &self.batch.ids, &shape, self.input.tensor())?))
    }
    /// Independent draws from U(low, high), `(N, dims..)`; see [`Step::normal`].
    pub fn uniform(&self, what: &str, dims: &[usize], range: (f64, f64)) -> Result<Var> {
        let (key, replay, shape) = self.draw(what, dims);
        Ok(Var::constant(key.uniform_at(replay, &self.batch.ids, &shape, range, self.input.tensor())?))
    }
    /// Key, replay and shape of a draw.
    fn draw(&self, what: &str, dims: &[usize]) -> (Key, u32, Vec<usize>) {
        let (number, replay) = self.number();
        let shape = std::iter::once(self.batch.ids.len()).chain(dims.iter().copied()).collect();
        (self.key().named(what).child(number), replay, shape)
    }
    /// An independent draw from U(low, high) for every pixel of the input.
    pub fn uniform_pixels(&self, what: &str, range: (f64, f64)) -> Result<Var> {
        self.uniform(what, &self.input.dims()[1..], range)
    }
    /// An independent N(0, 1) for every pixel of the input.
    pub fn normal_pixels(&self, what: &str) -> Result<Var> {
        self.normal(what, &self.input.dims()[1..])
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
        let z = self.network.forward(self.lent.unwrap_or(self.params), x, &mut pass)?;
        self.stats.append(&mut pass.stats);
        if let Some(id) = x.id() {
            self.forwards.push((id, mode, z.clone()));
        }
        Ok(z)
    }

    /// Train-mode cross-entropy of `x` against the step's targets (the labels, unless the training smooths or mixes them), `(N,)`,
    /// computed once per `x`.
    pub fn cross_entropy(&mut self, x: &Var) -> Result<Var> {
        if let Some((_, l)) = self.losses.iter().find(|(id, _)| Some(*id) == x.id()) {
            return Ok(l.clone());
        }
        let z = self.forward(x)?;
        let loss = self.targets.cross_entropy(&z, &self.batch.y)?;
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

    /// Runs an attack on the clean batch with the current weights; last iterates `(N, C, H, W)`, detached. No parameter
    /// gradient is computed. `mode` says what batch norm and dropout do in the attack's forwards, and whether the
    /// running statistics move with them.
    pub fn attack(&mut self, attack: &dyn Attack, threat: ThreatModel, mode: AttackMode) -> Result<Tensor> {
        self.attack_first(self.batch.ids.len(), attack, threat, mode)
    }

    /// The same with the first `n` examples attacked, in a batch of their own, and the others left as they are.
    pub fn attack_first(
        &mut self,
        n: usize,
        attack: &dyn Attack,
        threat: ThreatModel,
        mode: AttackMode,
    ) -> Result<Tensor> {
        let (number, replay) = self.number();
        let key = Key::new(self.seed, Purpose::RecipeAttack).child(number);
        let key = if replay == 0 { key } else { key.child(u64::from(replay)) };
        let all = self.batch.ids.len();
        let n = n.min(all);
        if n == 0 {
            return Ok(self.batch.x.clone());
        }
        if let Some(made) = self.kept.pop_front() {
            // The pass that the attack took: what drops out later is the same.
            let _ = self.pass_key();
            self.stats.extend(made.stats);
            return Ok(made.x);
        }
        let ids = &self.batch.ids[..n];
        let target = self.frozen(mode).of_rows(ids.to_vec());
        let x = self.batch.x.narrow(0, 0, n)?;
        let labels = self.batch.y.narrow(0, 0, n)?;
        // On a GPU an attack that is nothing but gradient steps stays there.
        let x_adv = match attack.ascent(&threat).filter(|_| !x.device().is_cpu()) {
            Some(ascent) => ascent.run(&target, (&x, &labels, ids), &threat, key)?,
            None => lockstep(attack, &target, &x, &labels.to_vec1::<u32>()?, ids, threat, key)?,
        };
        let stats = if mode == AttackMode::TrainMoving { target.seen() } else { Vec::new() };
        self.stats.extend(stats.iter().cloned());
        let x = match all - n {
            0 => x_adv,
            rest => {
                let left = Var::constant(self.batch.x.narrow(0, n, rest)?);
                Var::cat(&[&Var::constant(x_adv), &left], 0)?.tensor().clone()
            }
        };
        self.made.push(Made { x: x.clone(), stats });
        Ok(x)
    }

    /// The network with the current weights as constants, for input gradients of a recipe's own.
    pub fn frozen(&mut self, mode: AttackMode) -> Frozen {
        let key = self.pass_key();
        let network_mode = if mode == AttackMode::Eval { Mode::Eval } else { Mode::Train };
        Frozen::in_mode(self.network.clone(), self.params.clone(), network_mode, key).of_rows(self.batch.ids.clone())
    }

    fn pass_key(&mut self) -> Key {
        self.passes += 1;
        let key = Key::new(self.seed, Purpose::Dropout)
            .child(u64::from(self.position.epoch) << 32 | u64::from(self.position.step))
            .child(u64::from(self.passes));
        if self.position.replay == 0 { key } else { key.child(u64::from(self.position.replay)) }
    }
}
