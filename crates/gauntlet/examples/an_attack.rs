//! An attack of one's own beside PGD, on a function whose robustness is known: docs/an-attack-in-ten-minutes.md.
//!
//! ```sh
//! cargo run --release -p gauntlet --example an_attack
//! ```

use gauntlet::autograd::kernels::Real;
use gauntlet::candle::{self, Device, Tensor};
use gauntlet::core::attack::{Pulls, Site, Turn, Walk, misclassified};
use gauntlet::core::registry::AttackSpec;
use gauntlet::core::{Attack, ParamDoc, ParamKind, ThreatModel, walks};
use gauntlet::{AttackEntry, CandleModule, Evaluator, Examples, Norm, evaluate, registry};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Steps of ε, ε/2, ε/4, ... along the gradient, each projected onto the budget.
struct Halving {
    steps: u32,
}

/// Registration.
const HALVING: AttackSpec = AttackSpec {
    name: "halving",
    summary: "gradient steps, each half as long as the one before",
    formula: "x ← Π(x + ε · 2⁻ᵏ · s(∇ₓ(max_{j≠y} z_j − z_y))), k = 0, 1, …, steps − 1",
    paper: "-",
    params: &[ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "5", unit: "", doc: "gradients per example" }],
    numerics: 1,
    origin: "plug-in",
    build: |args, _| Ok(Arc::new(Halving { steps: args.u32("steps")? })),
};

impl Attack for Halving {
    fn name(&self) -> &str {
        HALVING.name
    }
    walks!(); // both precisions, from the method below
}

impl Halving {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let (threat, label) = (site.open.threat, site.clean.label);
        Box::new(OneImage { threat, label, steps: self.steps, whole: site.open.lockstep, taken: 0, x0: site.x0 })
    }
}

/// One image on its way.
struct OneImage<T> {
    threat: ThreatModel,
    label: u32,
    steps: u32,
    /// Every step is to be taken, as inside a recipe.
    whole: bool,
    taken: u32,
    x0: Arc<[T]>,
}

impl<T: Real> Walk<T> for OneImage<T> {
    /// Told the logits at `x`: end, or ask for a gradient.
    fn look(&mut self, _: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        if misclassified(logits, self.label) && !self.whole {
            return Turn::broken(self.taken);
        }
        if self.taken == self.steps {
            return Turn::withstood(self.taken);
        }
        let label = self.label as usize;
        let others = (0..logits.len()).filter(|j| *j != label);
        let rival = others.max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap_or(label);
        pulls.difference(rival, label); // the gradient of z_rival − z_label
        Turn::Pull
    }

    /// Given that gradient: move `x`.
    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        let length = self.threat.eps * 0.5f64.powi(self.taken as i32);
        self.threat.step_row(&self.x0, x, gradients[0], length);
        self.taken += 1;
        Turn::Go
    }
}

/// One logit for each half of an image: how bright it is.
fn brightness(x: &Tensor) -> candle::Result<Tensor> {
    Tensor::stack(&[x.narrow(3, 0, 4)?.mean((1, 2, 3))?, x.narrow(3, 4, 4)?.mean((1, 2, 3))?], 1)
}

/// Twenty images whose left half is brighter than the right one, by 0.01, 0.02, ..., 0.2.
fn images() -> candle::Result<Tensor> {
    let left = Tensor::from_iter((1..=20).map(|i| 0.4 + 0.01 * i as f32), &Device::Cpu)?.reshape((20, 1, 1, 1))?;
    let right = Tensor::full(0.4f32, (20, 1, 8, 4), &Device::Cpu)?;
    Tensor::cat(&[&left.broadcast_as((20, 1, 8, 4))?, &right], 3)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut registry = registry()?;
    registry.attacks.add(HALVING)?;
    let target = CandleModule::new("brightness", (1, 8, 8), 2, brightness);
    let examples = Examples::new(images()?, vec![0; 20], (0..20).collect())?;
    let entry = |name| AttackEntry::new(&registry, name, Norm::Linf, &["0.027", "0.057"]);
    let attacks = [entry("halving")?, entry("pgd")?];
    let stop = AtomicBool::new(false);
    let found = evaluate(&Evaluator::new(&target, &examples, &stop), &attacks, &registry, &mut ())?;
    for cell in &found.attacked {
        println!("{} ε = {}: {:.0} %", cell.attack, cell.eps, 100.0 * cell.robust_accuracy());
    }
    // Both halves move by ε: a difference of up to 2 ε is turned round, which leaves 15 and 9 of 20.
    assert!(found.attacked.chunks(2).all(|of_attack| of_attack[0].robust_accuracy() == 0.75));
    assert!(found.attacked.chunks(2).all(|of_attack| of_attack[1].robust_accuracy() == 0.45));
    Ok(())
}
