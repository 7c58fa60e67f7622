//! Attacks that ask the model point by point: what they may see is a type.
//!
//! A [`QueryAttack`] is written as its paper writes it, one `await` per question, and is handed an [`Oracle`] that answers with
//! predicted classes ([`Decisions`]) or with logits ([`Scores`]), never with a gradient. Nothing else that it is given knows a
//! logit, so an attack that goes by decisions cannot peek. [`Queried`] makes an [`Attack`] of it whose walks wait for their
//! answers side by side: the questions of many examples share a batch.
//!
//! ```compile_fail,E0599
//! async fn peek(mut oracle: gauntlet_attacks::query::Oracle<gauntlet_attacks::query::Decisions>) -> f64 {
//!     let x = oracle.x0().to_vec();
//!     oracle.log_probability(&x).await // for scores alone
//! }
//! ```

use crate::smallest::Smallest;
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Backwards, Job, Open, Pulls, Site, Turn, Walk, margin, misclassified, predicted};
use gauntlet_core::philox::Stream;
use gauntlet_core::{Args, Attack, Clean, Error, ParamDoc, ParamKind, Result, ThreatModel, walks};
use gauntlet_records::{Family, Norm};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What is left of the model's answer when an attack gets to see it.
pub trait Access: Send + Sync + 'static {
    /// What is seen.
    type Answer: Send + 'static;
    /// What such attacks go by. Those that see decisions alone look for the smallest perturbation: inside a budget nothing would
    /// lead them.
    const FAMILY: Family;
    /// Cuts the logits down.
    fn of(logits: &[f64]) -> Self::Answer;
}

/// The predicted class alone; `None` where a logit is not finite.
#[derive(Debug, Clone, Copy)]
pub enum Decisions {}

/// The logits.
#[derive(Debug, Clone, Copy)]
pub enum Scores {}

impl Access for Decisions {
    type Answer = Option<u32>;
    const FAMILY: Family = Family::Decisions;
    fn of(logits: &[f64]) -> Option<u32> {
        predicted(logits)
    }
}

impl Access for Scores {
    type Answer = Vec<f64>;
    const FAMILY: Family = Family::Scores;
    fn of(logits: &[f64]) -> Vec<f64> {
        logits.to_vec()
    }
}

/// Of attacks that take steps: how many questions those may need.
pub(crate) const QUERIES: ParamDoc = ParamDoc {
    name: "queries",
    kind: ParamKind::COUNT,
    default: "null",
    unit: "",
    doc: "questions at most; without it all that the steps need",
};

/// The argument [`QUERIES`].
pub(crate) fn most(args: &Args) -> Result<u32> {
    if args.has("queries") { Ok(args.u32("queries")?) } else { Ok(u32::MAX) }
}

/// What passes between an attack and the walk that asks for it.
struct Exchange<A> {
    question: Option<Vec<f64>>,
    answer: Option<A>,
    /// What is proposed if nothing broke.
    proposal: Option<Vec<f64>>,
}

type Shared<A> = Arc<Mutex<Exchange<A>>>;

fn lock<A>(shared: &Shared<A>) -> MutexGuard<'_, Exchange<A>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The model, as an attack with this access sees it, and the example under attack. Points are C·H·W pixels.
pub struct Oracle<S: Access> {
    exchange: Shared<S::Answer>,
    open: Open,
    label: u32,
    x0: Vec<f64>,
    /// The randomness of this example and restart.
    pub stream: Stream,
}

impl<S: Access> Oracle<S> {
    /// Norm, budget (infinite where the smallest perturbation is wanted), box.
    pub fn threat(&self) -> ThreatModel {
        self.open.threat
    }
    /// Channels, height, width.
    pub fn input(&self) -> (usize, usize, usize) {
        self.open.input
    }
    /// The label.
    pub fn label(&self) -> u32 {
        self.label
    }
    /// The clean image.
    pub fn x0(&self) -> &[f64] {
        &self.x0
    }
    /// ‖x − clean image‖ in the norm of the threat.
    pub fn distance(&self, x: &[f64]) -> f64 {
        self.open.threat.norm.of(x.iter().zip(&self.x0).map(|(x, c)| x - c))
    }
    /// The nearest point of the box.
    pub fn clip(&self, x: &mut [f64]) {
        self.open.threat.clamp_row(x);
    }
    /// Clean image + `r` · `direction`, in the box.
    pub fn along(&self, direction: &[f64], r: f64) -> Vec<f64> {
        let mut x: Vec<f64> = self.x0.iter().zip(direction).map(|(c, v)| c + r * v).collect();
        self.clip(&mut x);
        x
    }
    /// (1 − a) · clean image + a · x.
    pub fn blend(&self, x: &[f64], a: f64) -> Vec<f64> {
        self.x0.iter().zip(x).map(|(c, x)| (1.0 - a) * c + a * x).collect()
    }
    /// The answer at `x`, which is brought into the box. One that breaks the example is noted by the walk, which may end here.
    pub async fn ask(&mut self, x: &[f64]) -> S::Answer {
        let mut question = x.to_vec();
        self.clip(&mut question);
        lock(&self.exchange).question = Some(question);
        poll_fn(|_| lock(&self.exchange).answer.take().map_or(Poll::Pending, Poll::Ready)).await
    }
    /// Of an attack inside a budget: what it proposes if nothing breaks the example, instead of the clean image.
    pub fn propose(&self, x: &[f64]) {
        lock(&self.exchange).proposal = Some(x.to_vec());
    }
}

impl Oracle<Decisions> {
    /// Whether `x` is taken for another class.
    pub async fn fools(&mut self, x: &[f64]) -> bool {
        self.ask(x).await.is_some_and(|class| class != self.label)
    }
}

impl Oracle<Scores> {
    /// z_y − max_{j≠y} z_j at `x`; +∞ where a logit is no number.
    pub async fn margin(&mut self, x: &[f64]) -> f64 {
        let value = margin(&self.ask(x).await, self.label);
        if value.is_nan() { f64::INFINITY } else { value }
    }
    /// log p_y at `x`; 0, the largest, where a logit is no number.
    pub async fn log_probability(&mut self, x: &[f64]) -> f64 {
        let (z, y) = (self.ask(x).await, self.label as usize);
        let others = || z.iter().enumerate().filter(|(j, _)| *j != y).map(|(_, other)| other - z[y]);
        let most = others().fold(f64::NEG_INFINITY, f64::max);
        // −log(1 + Σ_{j≠y} exp(z_j − z_y)): not 0 where p_y rounds to 1.
        let value = match most > 0.0 {
            true => -most - ((-most).exp() + others().map(|d| (d - most).exp()).sum::<f64>()).ln(),
            false => -others().map(f64::exp).sum::<f64>().ln_1p(),
        };
        if value.is_nan() { 0.0 } else { value }
    }
}

/// An attack that asks the model one point after the other.
pub trait QueryAttack: Clone + Send + Sync + 'static {
    /// What it may see.
    type Sees: Access;
    /// Registered name.
    fn name(&self) -> &str;
    /// Norms it is defined for.
    fn norms(&self) -> &[Norm];
    /// Questions per run at most.
    fn queries(&self) -> u32;
    /// Runs.
    fn restarts(&self) -> u32 {
        1
    }
    /// Whether it can run on such images.
    ///
    /// # Errors
    /// What does not fit.
    fn fits(&self, _open: &Open) -> Result<()> {
        Ok(())
    }
    /// Asks until it has no more questions. Success is not its business: the walk notes every point that breaks the example, the
    /// nearest of them if the smallest is wanted, and ends the run when the budget or the questions are used up.
    fn search(self, oracle: Oracle<Self::Sees>) -> impl Future<Output = ()> + Send + 'static;
}

/// A [`QueryAttack`] as an [`Attack`].
pub struct Queried<A>(pub A);

impl<A: QueryAttack> Attack for Queried<A> {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn family(&self) -> Family {
        A::Sees::FAMILY
    }
    fn norms(&self) -> &[Norm] {
        self.0.norms()
    }
    fn fits(&self, open: &Open) -> Result<()> {
        if open.lockstep {
            let why = "asks until an example is broken; a recipe and a transfer need an attack that takes fixed steps";
            return Err(Error::value(self.name(), why));
        }
        self.0.fits(open)
    }
    fn jobs(&self, _: &Clean, _: &ThreatModel) -> Vec<Job> {
        Job::restarts(self.0.restarts())
    }
    fn backwards(&self) -> Backwards {
        Backwards::None
    }
    fn minimal(&self) -> bool {
        A::Sees::FAMILY.seeks_smallest()
    }
    walks!();
}

impl<A: QueryAttack> Queried<A> {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let exchange = Arc::new(Mutex::new(Exchange { question: None, answer: None, proposal: None }));
        let oracle = Oracle {
            exchange: exchange.clone(),
            open: *site.open,
            label: site.clean.label,
            x0: site.x0.iter().map(|x| x.wide()).collect(),
            stream: site.open.key.stream(site.clean.id, site.job.restart, 0),
        };
        let norm = site.open.threat.norm;
        let size = norm.of(site.x0.iter().map(|x| x.wide()));
        let mut walk = Asking::<T, A::Sees> {
            search: Box::pin(self.0.clone().search(oracle)),
            exchange,
            // A pixel of single precision is rounded: a tenth of the referee's tolerance.
            allowed: (!self.minimal()).then_some(site.open.threat.eps + 1e-7 * size.max(1.0)),
            most: self.0.queries(),
            label: site.clean.label,
            asked: 0,
            over: None,
            smallest: Smallest::new(site.open, site.x0),
        };
        // One that ends without a question ends at the first look.
        walk.over = Some(walk.go_on(site.x)).filter(|turn| *turn != Turn::Go);
        Box::new(walk)
    }
}

/// A walk that carries questions to the model and answers back.
struct Asking<T, S: Access> {
    search: Pin<Box<dyn Future<Output = ()> + Send>>,
    exchange: Shared<S::Answer>,
    /// Of an attack inside a budget: the largest ‖δ‖ that counts.
    allowed: Option<f64>,
    most: u32,
    label: u32,
    asked: u32,
    over: Option<Turn>,
    smallest: Smallest<T>,
}

impl<T: Real, S: Access> Asking<T, S> {
    /// Up to the next question, which becomes the point.
    fn go_on(&mut self, x: &mut [T]) -> Turn {
        let done = self.search.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        let question = lock(&self.exchange).question.take().filter(|_| !done);
        let Some(question) = question else { return self.end(x) };
        x.iter_mut().zip(&question).for_each(|(x, q)| *x = T::of(*q));
        Turn::Go
    }

    fn end(&mut self, x: &mut [T]) -> Turn {
        let turn = self.smallest.end(x, self.asked);
        if let Some(proposal) = lock(&self.exchange).proposal.take().filter(|_| self.allowed.is_some()) {
            x.iter_mut().zip(&proposal).for_each(|(x, p)| *x = T::of(*p));
        }
        turn
    }
}

impl<T: Real, S: Access> Walk<T> for Asking<T, S> {
    fn look(&mut self, x: &mut [T], logits: &[f64], _: &mut Pulls<'_>) -> Turn {
        self.asked += 1;
        if misclassified(logits, self.label) {
            let end = match self.allowed {
                Some(allowed) => (self.smallest.distance(x) <= allowed).then(|| Turn::broken(self.asked)),
                None => self.smallest.found(x, self.asked),
            };
            if let Some(end) = end {
                return end;
            }
        }
        if let Some(over) = self.over {
            return over;
        }
        if self.asked >= self.most {
            return self.end(x);
        }
        lock(&self.exchange).answer = Some(S::of(logits));
        self.go_on(x)
    }

    fn step(&mut self, _: &mut [T], _: &[&[T]]) -> Turn {
        Turn::Go
    }
}
