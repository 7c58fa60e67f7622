//! Momentum along the gradient, and what makes it transfer: a look ahead, other views of the image, smoothed and mean gradients.

use crate::StepSize;
use crate::arguments::{self, OBJECTIVE, RUNNERS_UP, SPARSITY, STEPS, SUCCESS};
use crate::blocks;
use crate::input_diversity::{Diversity, enlarged};
use crate::pgd::{ALPHA, Pgd, Start};
use crate::spectrum::Spectrum;
use crate::warp::Warp;
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Job, Open, Pulls, Site, Turn, Walk, succeeded};
use gauntlet_core::reach::Reach;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{
    Args, Attack, Clean, Error, Goal, Objective, ParamDoc, ParamKind, Range, Result, Spec, ThreatModel, norm, walks,
};
use gauntlet_records::{Family, Norm};
use std::sync::Arc;

/// What is done beside momentum; nothing of it is MI-FGSM.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Options {
    /// NI-FGSM (Lin et al. 2020): gradients at x + α μ m, m measured by the mean of its absolute entries.
    pub nesterov: bool,
    /// DI-FGSM (Xie et al. 2019): how likely an image is enlarged at random and padded.
    pub diversity: f64,
    /// The factor up to which it is enlarged.
    pub resize: f64,
    /// TI-FGSM (Dong et al. 2019): gradients are smoothed by a Gaussian kernel of so many pixels, ±3 σ wide.
    pub translation: Option<usize>,
    /// SI-FGSM (Lin et al. 2020): gradients at x/2ⁱ, i below this, are averaged.
    pub scales: Option<u32>,
    /// VMI-FGSM (Wang & He 2021): the mean gradient of so many neighbours corrects the next one.
    pub neighbours: Option<u32>,
    /// Neighbours lie within this multiple of ε per pixel.
    pub radius: f64,
    /// SSA (Long et al. 2022): after noise of deviation ε, frequencies are scaled by uniform factors in 1 ± this.
    pub spectrum: Option<f64>,
    /// BSR (Wang et al. 2024): so many blocks along each side change places and are turned.
    pub blocks: Option<usize>,
    /// How far blocks are turned at most, in degrees.
    pub rotation: f64,
    /// Draws of spectrum and blocks whose gradients are averaged.
    pub copies: Option<u32>,
}

/// ĝ = the mean gradient over scales, diverse views and, with variance tuning, + (mean over neighbours − ĝ) of the step before,
/// smoothed; m ← μ m + ĝ/‖ĝ‖₁; x ← clip(Π_ε(x + α s(m))).
///
/// All options can be combined; the inner ones act on every view of the outer: neighbours, look ahead, copies, scales, blocks,
/// spectrum, diversity, smoothing. Admix is none of them: it needs other images, which a walk does not know.
pub struct Momentum {
    /// Steps.
    pub steps: u32,
    /// Step size.
    pub alpha: StepSize,
    /// Decay μ.
    pub momentum: f64,
    /// The options.
    pub options: Options,
    /// What is ascended.
    pub objective: Arc<dyn Objective>,
    /// Target classes per example, if the objective is targeted.
    pub targets: usize,
    /// Only the target class counts as broken.
    pub only_target: bool,
    /// Share of the pixels that a step in L1 leaves alone.
    pub sparsity: Option<f64>,
}

const fn option(name: &'static str, kind: ParamKind, doc: &'static str) -> ParamDoc {
    ParamDoc { name, kind, default: "null", unit: "", doc }
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "mi-fgsm",
    summary: "momentum iterative FGSM: follows an accumulated direction; with options for transfer (NI, DI, TI, SI, VMI, VNI, SSA, BSR)",
    formula: "m ← μ m + g/‖g‖₁,  x_{t+1} = clip(Π_ε(x_t + α · s(m)))",
    paper: "Dong et al. 2018",
    params: &[
        ParamDoc { default: "10", ..STEPS },
        ParamDoc { default: "\"eps/10\"", ..ALPHA },
        ParamDoc {
            name: "momentum",
            kind: ParamKind::WEIGHT,
            default: "1.0",
            unit: "",
            doc: "decay μ of the direction",
        },
        OBJECTIVE,
        RUNNERS_UP,
        SUCCESS,
        SPARSITY,
        option(
            "nesterov",
            ParamKind::Bool,
            "NI-FGSM (Lin et al. 2020): gradients at x + α μ m · d, d pixels (m has ‖·‖₁ of about 1)",
        ),
        option(
            "diversity",
            ParamKind::SHARE,
            "DI-FGSM (Xie et al. 2019): how likely a view is enlarged at random and padded; 0.5 in the paper",
        ),
        option("resize", ParamKind::POSITIVE, "factor up to which diversity enlarges; without it 1.1"),
        option(
            "translation",
            ParamKind::COUNT,
            "TI-FGSM (Dong et al. 2019): side of the Gaussian kernel that smooths gradients; 15 in the paper",
        ),
        option(
            "scales",
            ParamKind::Int(Range::at_least(1.0).at_most(30.0)),
            "SI-FGSM (Lin et al. 2020): gradients of x, x/2, x/4, … averaged, so many; 5 in the paper",
        ),
        option(
            "neighbours",
            ParamKind::COUNT,
            "VMI-FGSM, VNI-FGSM (Wang & He 2021): neighbours whose mean gradient corrects the next; 20 in the paper",
        ),
        option("radius", ParamKind::POSITIVE, "of neighbours, as a multiple of ε; without it 1.5"),
        option(
            "spectrum",
            ParamKind::SHARE,
            "SSA (Long et al. 2022): noise of deviation ε, then frequencies scaled by factors in 1 ± this; 0.5 in the paper",
        ),
        option(
            "blocks",
            ParamKind::COUNT,
            "BSR (Wang et al. 2024): blocks along each side that change places and are turned; 3 in the paper",
        ),
        option("rotation", ParamKind::WEIGHT, "of blocks, at most, in degrees; without it 24"),
        option("copies", ParamKind::COUNT, "draws of spectrum and blocks whose gradients are averaged; without it 20"),
    ],
    numerics: 2,
    origin: "built-in",
    build: |args, registry| {
        let objective = arguments::objective(args, registry)?;
        let (targets, only_target) = arguments::aims(args, &*objective)?;
        let (steps, alpha, momentum) = (args.u32("steps")?, arguments::alpha(args)?, args.f64("momentum")?);
        let sparsity = arguments::sparsity(args)?;
        let options = options(args)?;
        if options == Options::default() {
            return Ok(Arc::new(Pgd {
                name: "mi-fgsm",
                steps,
                alpha,
                restarts: 1,
                start: Start::Clean,
                momentum: Some(momentum),
                draws: 1,
                objective,
                targets,
                only_target,
                sparsity,
            }));
        }
        Ok(Arc::new(Momentum { steps, alpha, momentum, options, objective, targets, only_target, sparsity }))
    },
};

fn options(args: &Args) -> Result<Options> {
    let wrong = |name: &str, why: String| Err(Error::value(format!("{}.{name}", args.owner()), why));
    let count = |name: &str| if args.has(name) { args.usize(name).map(Some) } else { Ok(None) };
    let mut options = Options {
        nesterov: args.has("nesterov") && args.bool("nesterov")?,
        translation: count("translation")?,
        scales: count("scales")?.map(|n| n as u32),
        neighbours: count("neighbours")?.map(|n| n as u32),
        ..Options::default()
    };
    if args.has("diversity") {
        options.diversity = args.f64("diversity")?;
        options.resize = 1.1;
    }
    if options.translation.is_some_and(|side| side % 2 == 0) {
        return wrong("translation", "must be odd: the kernel has a middle".into());
    }
    if options.neighbours.is_some() {
        options.radius = 1.5;
    }
    if args.has("spectrum") {
        options.spectrum = Some(args.f64("spectrum")?);
    }
    options.blocks = count("blocks")?;
    if options.blocks.is_some() {
        options.rotation = 24.0;
    }
    let copied = options.spectrum.is_some() || options.blocks.is_some();
    if copied {
        options.copies = Some(20);
    }
    for (name, of, given) in [
        ("resize", "diversity", args.has("diversity")),
        ("radius", "neighbours", options.neighbours.is_some()),
        ("rotation", "blocks", options.blocks.is_some()),
        ("copies", "spectrum or blocks", copied),
    ] {
        if !args.has(name) {
            continue;
        }
        if !given {
            return wrong(name, format!("is for {of}; give that too, or leave it out"));
        }
        match name {
            "resize" => options.resize = args.f64(name)?,
            "radius" => options.radius = args.f64(name)?,
            "rotation" => options.rotation = args.f64(name)?,
            _ => options.copies = Some(args.u32(name)?),
        }
    }
    Ok(options)
}

impl Attack for Momentum {
    fn name(&self) -> &str {
        "mi-fgsm"
    }
    fn family(&self) -> Family {
        Family::Gradient
    }
    fn fits(&self, open: &Open) -> Result<()> {
        arguments::sparse_in_l1("mi-fgsm", self.sparsity, open)?;
        let (_, h, w) = open.input;
        let (side, rate) = (h.min(w), self.options.resize);
        if self.options.diversity > 0.0 && enlarged(side, rate) <= side {
            let least = 1.0 + 1.0 / side as f64;
            let why = format!("{rate} does not enlarge images of {h} × {w}; give resize = {least:.3} or more");
            return Err(Error::value("mi-fgsm.resize", why));
        }
        if let Some(blocks) = self.options.blocks.filter(|blocks| *blocks > side) {
            let why =
                format!("is {blocks}, the shorter side of an image of {h} × {w} has {side} pixels; give at most that");
            return Err(Error::value("mi-fgsm.blocks", why));
        }
        arguments::fits("mi-fgsm", &*self.objective, open.classes)
    }
    fn jobs(&self, clean: &Clean, _: &ThreatModel) -> Vec<Job> {
        arguments::jobs(&*self.objective, clean, self.targets, 1)
    }
    fn needs_clean(&self) -> bool {
        self.objective.targeted() || self.objective.refers()
    }
    fn aim(&self, job: &Job) -> Option<u32> {
        job.target.filter(|_| self.only_target)
    }
    fn reach(&self, threat: &ThreatModel) -> Option<Reach> {
        Some(Reach { steps: self.steps, alpha: self.alpha.pixels(threat.eps), random_start: false })
    }
    walks!();
}

/// exp(−t²/2) at `side` points from −3 to 3, of sum 1 (Dong et al. 2019).
fn kernel(side: usize) -> Vec<f64> {
    let point = |i: usize| if side == 1 { 0.0 } else { -3.0 + 6.0 * i as f64 / (side - 1) as f64 };
    let raw: Vec<f64> = (0..side).map(|i| libm::exp(-0.5 * point(i) * point(i))).collect();
    let sum: f64 = raw.iter().sum();
    raw.into_iter().map(|v| v / sum).collect()
}

/// Convolves every channel with the kernel down and across; zeros outside.
fn smooth(image: &mut [f64], (_, h, w): (usize, usize, usize), kernel: &[f64]) {
    let half = kernel.len() / 2;
    let line = |values: &mut dyn FnMut(usize) -> f64, n: usize, at: usize| -> f64 {
        let inside = (0..kernel.len()).filter(|k| (half..n + half).contains(&(at + k)));
        inside.map(|k| kernel[k] * values(at + k - half)).sum()
    };
    for channel in image.chunks_exact_mut(h * w) {
        let across: Vec<f64> = (0..h * w).map(|p| line(&mut |j| channel[p / w * w + j], w, p % w)).collect();
        for p in 0..h * w {
            channel[p] = line(&mut |i| across[i * w + p % w], h, p / w);
        }
    }
}

impl Momentum {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let n = site.x0.len();
        let options = self.options;
        let mut walk = MomentumWalk {
            options,
            alpha: self.alpha.pixels(site.open.threat.eps),
            steps: self.steps,
            decay: self.momentum,
            open: *site.open,
            id: site.clean.id,
            restart: site.job.restart,
            label: site.clean.label,
            aim: self.aim(site.job),
            sparsity: self.sparsity.unwrap_or(norm::SPARSITY),
            goal: arguments::goal(self.objective.as_ref(), site.clean, site.job),
            objective: self.objective.clone(),
            kernel: options.translation.map(kernel),
            direction: vec![T::zero(); n],
            ahead: vec![0.0; n],
            around: vec![0.0; n],
            variance: vec![0.0; n],
            at: site.x0.to_vec(),
            taken: 0,
            view: 0,
            diversity: None,
            spectrum: None,
            shuffle: None,
            testing: !site.open.lockstep,
            x0: site.x0,
        };
        if !walk.testing {
            walk.show(site.x);
        }
        Box::new(walk)
    }
}

struct MomentumWalk<T> {
    options: Options,
    alpha: f64,
    steps: u32,
    decay: f64,
    open: Open,
    id: u64,
    restart: u32,
    label: u32,
    aim: Option<u32>,
    sparsity: f64,
    goal: Goal,
    objective: Arc<dyn Objective>,
    kernel: Option<Vec<f64>>,
    /// m.
    direction: Vec<T>,
    /// Gradients of this step so far: at the point (ahead), and of its neighbours.
    ahead: Vec<f64>,
    around: Vec<f64>,
    /// What is added to the next gradient.
    variance: Vec<f64>,
    /// The iterate; what the model is shown is a view of it.
    at: Vec<T>,
    taken: u32,
    /// The view shown: neighbour (0: the point itself) × copy × scale.
    view: u32,
    diversity: Option<Diversity>,
    spectrum: Option<Spectrum>,
    shuffle: Option<Warp>,
    /// The model is shown the iterate itself.
    testing: bool,
    x0: Arc<[T]>,
}

impl<T: Real> MomentumWalk<T> {
    fn scales(&self) -> u32 {
        self.options.scales.unwrap_or(1)
    }

    /// Views of one neighbour.
    fn of_each(&self) -> u32 {
        self.scales() * self.options.copies.unwrap_or(1)
    }

    fn views(&self) -> u32 {
        self.of_each() * (1 + self.options.neighbours.unwrap_or(0))
    }

    /// Sets `x` to the current view.
    fn show(&mut self, x: &mut [T]) {
        let views = self.views();
        let mut stream = self.open.key.stream(self.id, self.restart, 1 + self.taken * views + self.view);
        let (neighbour, scale) = (self.view / self.of_each(), self.view % self.scales());
        let mut view: Vec<f64> = self.at.iter().map(|x| x.wide()).collect();
        if neighbour > 0 {
            // All scales of a neighbour are of the same one.
            let first = 1 + self.taken * views + neighbour * self.of_each();
            let mut draw = self.open.key.child(1).stream(self.id, self.restart, first);
            let radius = self.options.radius * self.open.threat.eps;
            view.iter_mut().for_each(|v| *v += radius * (2.0 * draw.uniform() - 1.0));
        } else if self.options.nesterov {
            // m has ‖·‖₁ = 1 where the published code has a mean of 1.
            let length = self.alpha * self.decay * view.len() as f64;
            view.iter_mut().zip(&self.direction).for_each(|(v, m)| *v += length * m.wide());
        }
        let shrink = 0.5f64.powi(scale as i32);
        view.iter_mut().for_each(|v| *v *= shrink);
        if self.options.copies.is_some() {
            // Other numbers than diversity's, whose draws stay what they are.
            let mut draw = self.open.key.child(2).stream(self.id, self.restart, 1 + self.taken * views + self.view);
            self.shuffle = self.options.blocks.map(|blocks| {
                let most = self.options.rotation.to_radians();
                blocks::draw(self.open.input, blocks, most, &mut draw)
            });
            if let Some(shuffle) = &self.shuffle {
                shuffle.forward(&mut view);
            }
            self.spectrum = self.options.spectrum.map(|rho| Spectrum::draw(self.open.input, rho, &mut draw));
            if let Some(spectrum) = &self.spectrum {
                view.iter_mut().for_each(|v| *v += self.open.threat.eps * draw.normal());
                spectrum.apply(&mut view);
            }
        }
        self.diversity = (self.options.diversity > 0.0 && stream.uniform() < self.options.diversity)
            .then(|| Diversity::draw(self.open.input, self.options.resize, &mut stream));
        if let Some(diversity) = &self.diversity {
            diversity.forward(&mut view);
        }
        x.iter_mut().zip(&view).for_each(|(x, v)| *x = T::of(*v));
    }

    /// Adds the gradient of the current view to those of its kind.
    fn add(&mut self, gradient: &[T]) {
        let (neighbour, scale) = (self.view / self.of_each(), self.view % self.scales());
        let mut gradient: Vec<f64> = gradient.iter().map(|g| g.wide()).collect();
        if let Some(diversity) = &self.diversity {
            diversity.pull(&mut gradient);
        }
        if let Some(spectrum) = &self.spectrum {
            spectrum.apply(&mut gradient);
        }
        if let Some(shuffle) = &self.shuffle {
            shuffle.pull(&mut gradient);
        }
        let share = 0.5f64.powi(scale as i32) / f64::from(self.of_each());
        let (sum, share) = match neighbour {
            0 => (&mut self.ahead, share),
            _ => (&mut self.around, share / f64::from(self.options.neighbours.unwrap_or(1))),
        };
        sum.iter_mut().zip(&gradient).for_each(|(s, g)| *s += share * g);
    }

    /// The step, once all views are seen.
    fn advance(&mut self) {
        let mut gradient: Vec<f64> = self.ahead.iter().zip(&self.variance).map(|(g, v)| g + v).collect();
        if let Some(kernel) = &self.kernel {
            smooth(&mut gradient, self.open.input, kernel);
        }
        if self.options.neighbours.is_some() {
            for ((v, around), ahead) in self.variance.iter_mut().zip(&self.around).zip(&self.ahead) {
                *v = around - ahead;
            }
        }
        let size = Norm::L1.of(gradient.iter().copied());
        // A zero or broken gradient adds nothing: the old direction is kept.
        let scale = if size > 0.0 && size.is_finite() { 1.0 / size } else { 0.0 };
        for (m, g) in self.direction.iter_mut().zip(&gradient) {
            *m = T::of(self.decay * m.wide() + if scale > 0.0 { g * scale } else { 0.0 });
        }
        self.open.threat.sparse_step_row(&self.x0, &mut self.at, &self.direction, self.alpha, self.sparsity);
        for sum in [&mut self.ahead, &mut self.around] {
            sum.iter_mut().for_each(|v| *v = 0.0);
        }
        self.view = 0;
        self.taken += 1;
    }
}

impl<T: Real> Walk<T> for MomentumWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        if self.testing {
            if succeeded(logits, self.label, self.aim) {
                return Turn::broken(self.taken);
            }
            if self.taken == self.steps {
                return Turn::withstood(self.taken);
            }
            self.testing = false;
            self.show(x);
            return Turn::Go;
        }
        self.objective.ascend(logits, &self.goal, pulls.add());
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        self.add(gradients[0]);
        self.view += 1;
        if self.view < self.views() {
            self.show(x);
            return Turn::Go;
        }
        self.advance();
        x.copy_from_slice(&self.at);
        if self.open.lockstep {
            if self.taken == self.steps {
                return Turn::withstood(self.taken);
            }
            self.show(x);
            return Turn::Go;
        }
        self.testing = true;
        Turn::Peek
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_is_a_gaussian_with_zeros_outside() {
        let kernel = kernel(15);
        assert!((kernel.iter().sum::<f64>() - 1.0).abs() < 1e-15 && kernel[7] > kernel[6]);
        assert!((kernel[0] / kernel[7] - (-4.5f64).exp()).abs() < 1e-15);
        let input = (1, 5, 6);
        let mut image = vec![0.0; 30];
        image[2 * 6 + 1] = 1.0;
        smooth(&mut image, input, &kernel);
        for (p, v) in image.iter().enumerate() {
            let want = kernel[7 + 2 - p / 6] * kernel[7 + 1 - p % 6];
            assert!((v - want).abs() < 1e-15, "{p}");
        }
    }
}
