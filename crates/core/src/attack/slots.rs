//! A batch of walks: one forward and its pull-backs for all of them.

use super::{Attack, Clean, Job, Open, Outcome, Pulls, Site, Turn, Walk};
use crate::norm::Measure;
use crate::{Error, Result, Target};
use candle_core::{Device, Tensor};
use gauntlet_autograd::kernels::{self, Real};
use gauntlet_records::Norm;
use rayon::prelude::*;
use std::sync::Arc;

/// Pixels per task: below, the walks of several slots share one.
const PIXELS: usize = 1 << 12;

/// Walks in flight, one per slot, over points of one element type.
pub struct Slots<T> {
    input: (usize, usize, usize),
    classes: usize,
    points: Vec<T>,
    slots: Vec<Option<Slot<T>>>,
}

struct Slot<T> {
    index: usize,
    job: Job,
    aim: Option<u32>,
    walk: Box<dyn Walk<T>>,
    turn: Turn,
    cotangents: Vec<f64>,
    forwards: u32,
    backwards: u32,
    blind: u32,
}

/// What a turn brought and what it cost, in examples.
#[derive(Debug)]
pub struct Turned {
    /// Jobs that ended; their slots are empty now.
    pub ended: Vec<Outcome>,
    /// Forwards.
    pub forwards: usize,
    /// Backwards.
    pub backwards: usize,
}

/// A walk of this element type.
pub trait Walks: Real {
    /// Opens it.
    fn walk(attack: &dyn Attack, site: Site<'_, Self>) -> Box<dyn Walk<Self>>;
}

impl Walks for f32 {
    fn walk(attack: &dyn Attack, site: Site<'_, f32>) -> Box<dyn Walk<f32>> {
        attack.walk_f32(site)
    }
}

impl Walks for f64 {
    fn walk(attack: &dyn Attack, site: Site<'_, f64>) -> Box<dyn Walk<f64>> {
        attack.walk_f64(site)
    }
}

impl<T: Walks> Slots<T> {
    /// `width` empty slots for images `(C, H, W)` and K classes.
    pub fn new(width: usize, input: (usize, usize, usize), classes: usize) -> Self {
        let pixels = input.0 * input.1 * input.2;
        Slots { input, classes, points: vec![T::zero(); width * pixels], slots: (0..width).map(|_| None).collect() }
    }

    /// Number of slots, empty ones included.
    pub fn width(&self) -> usize {
        self.slots.len()
    }

    /// Number of slots with a walk.
    pub fn busy(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// The empty slots.
    pub fn free(&self) -> Vec<usize> {
        (0..self.width()).filter(|s| self.slots[*s].is_none()).collect()
    }

    fn pixels(&self) -> usize {
        self.input.0 * self.input.1 * self.input.2
    }

    /// Puts a job into a slot; `x0` is the clean image, C·H·W pixels.
    pub fn load(&mut self, slot: usize, attack: &dyn Attack, open: &Open, job: &Job, clean: &Clean, x0: &[T]) {
        let pixels = self.pixels();
        let x = &mut self.points[slot * pixels..(slot + 1) * pixels];
        x.copy_from_slice(x0);
        let walk = T::walk(attack, Site { open, job, clean, x0: Arc::from(x0), x });
        self.slots[slot] = Some(Slot {
            index: clean.index,
            job: job.clone(),
            aim: attack.aim(job),
            walk,
            turn: Turn::Go,
            cotangents: Vec::new(),
            forwards: 0,
            backwards: 0,
            blind: 0,
        });
    }

    /// One look of every walk at its point, and the pull-backs that are asked for.
    ///
    /// Empty slots cost nothing. Walks that need no gradient at their point (all of them, without `pulls`) share a
    /// forward that records nothing.
    ///
    /// # Errors
    /// A forward or backward that fails; answers of another shape.
    pub fn turn(&mut self, target: &dyn Target, pulls: bool) -> Result<Turned> {
        let busy = (0..self.width()).filter(|s| self.slots[*s].is_some());
        let peeks = |s: &usize| !pulls || self.slots[*s].as_ref().is_some_and(|slot| slot.turn == Turn::Peek);
        let (bare, taped): (Vec<usize>, Vec<usize>) = busy.partition(peeks);
        let mut turned = Turned { ended: Vec::new(), forwards: bare.len() + taped.len(), backwards: 0 };
        if !bare.is_empty() {
            let logits = target.logits(&self.gather(&bare)?)?;
            self.look(&bare, &self.checked(target, &logits, bare.len())?);
            if bare.iter().any(|s| self.slots[*s].as_ref().is_some_and(|slot| slot.turn == Turn::Pull)) {
                let why = "an attack asks for a gradient where it declared that it needs none";
                return Err(Error::Message(why.into()));
            }
        }
        if !taped.is_empty() {
            let x = self.gather(&taped)?;
            let linear = target.linearise(&x)?;
            self.look(&taped, &self.checked(target, linear.logits(), taped.len())?);
            let asked = |s: &usize| self.slots[*s].as_ref().map_or(0, |slot| slot.cotangents.len() / self.classes);
            let rounds = taped.iter().map(asked).max().unwrap_or(0);
            let gradients =
                (0..rounds).map(|k| linear.pull(&self.cotangent(&taped, k)?)).collect::<Result<Vec<_>>>()?;
            if let Some(odd) = gradients.iter().find(|g| g.dims() != x.dims()) {
                return Err(Error::Message(format!("an input gradient has shape {:?}", odd.dims())));
            }
            self.step(&taped, &gradients)?;
            turned.backwards = taped.len() * rounds;
        }
        turned.ended = self.ended()?;
        Ok(turned)
    }

    /// The points of these slots, in ascending order: `(N, C, H, W)`.
    fn gather(&self, slots: &[usize]) -> Result<Tensor> {
        let ((c, h, w), pixels) = (self.input, self.pixels());
        if slots.len() == self.width() {
            return Ok(Tensor::from_slice(&self.points, (slots.len(), c, h, w), &Device::Cpu)?);
        }
        let mut points = Vec::with_capacity(slots.len() * pixels);
        slots.iter().for_each(|s| points.extend_from_slice(&self.points[s * pixels..(s + 1) * pixels]));
        Ok(Tensor::from_vec(points, (slots.len(), c, h, w), &Device::Cpu)?)
    }

    fn checked(&self, target: &dyn Target, logits: &Tensor, n: usize) -> Result<Vec<Vec<f64>>> {
        if logits.dims() != [n, self.classes] {
            let (dims, name) = (logits.dims(), &target.info().name);
            return Err(Error::Message(format!("{name} answers {n} images with logits of shape {dims:?}")));
        }
        super::rows(logits)
    }

    /// These slots (ascending) and their points, several at a time, with their place in the list.
    fn each(&mut self, slots: &[usize], f: impl Fn(usize, &mut Slot<T>, &mut [T]) + Sync) {
        let pixels = self.pixels();
        self.slots
            .par_iter_mut()
            .zip(self.points.par_chunks_mut(pixels))
            .enumerate()
            .with_min_len((PIXELS / pixels.max(1)).max(1))
            .for_each(|(s, (slot, x))| {
                if let (Some(slot), Ok(place)) = (slot, slots.binary_search(&s)) {
                    f(place, slot, x);
                }
            });
    }

    fn look(&mut self, slots: &[usize], logits: &[Vec<f64>]) {
        let classes = self.classes;
        self.each(slots, |i, slot, x| {
            slot.forwards += 1;
            slot.cotangents.clear();
            slot.turn = slot.walk.look(x, &logits[i], &mut Pulls::new(&mut slot.cotangents, classes));
            if slot.turn != Turn::Pull {
                slot.cotangents.clear();
            }
        });
    }

    /// The k-th cotangent of these slots; zeros where a walk asked for fewer.
    fn cotangent(&self, slots: &[usize], k: usize) -> Result<Tensor> {
        let mut values = vec![T::zero(); slots.len() * self.classes];
        let range = k * self.classes..(k + 1) * self.classes;
        for (row, s) in values.chunks_exact_mut(self.classes).zip(slots) {
            if let Some(asked) = self.slots[*s].as_ref().and_then(|s| s.cotangents.get(range.clone())) {
                row.iter_mut().zip(asked).for_each(|(to, from)| *to = T::of(*from));
            }
        }
        Ok(Tensor::from_vec(values, (slots.len(), self.classes), &Device::Cpu)?)
    }

    fn step(&mut self, slots: &[usize], gradients: &[Tensor]) -> Result<()> {
        let dense = gradients.iter().map(|g| Ok(g.contiguous()?)).collect::<Result<Vec<Tensor>>>()?;
        let views = dense.iter().map(|g| Ok(kernels::values::<T>(g)?)).collect::<Result<Vec<_>>>()?;
        let slices: Vec<&[T]> = views.iter().map(|v| &**v).collect();
        let (pixels, classes) = (self.pixels(), self.classes);
        self.each(slots, |i, slot, x| {
            let asked = slot.cotangents.len() / classes;
            if asked == 0 {
                return;
            }
            let own: Vec<&[T]> = slices[..asked].iter().map(|g| &g[i * pixels..(i + 1) * pixels]).collect();
            slot.backwards += asked as u32;
            slot.blind += own.iter().filter(|g| blind(g)).count() as u32;
            slot.turn = slot.walk.step(x, &own);
        });
        Ok(())
    }

    fn ended(&mut self) -> Result<Vec<Outcome>> {
        let (pixels, shape) = (self.pixels(), self.input);
        let mut ended = Vec::new();
        for (i, holder) in self.slots.iter_mut().enumerate() {
            let Some(slot) = holder.take_if(|s| matches!(s.turn, Turn::End(_))) else { continue };
            let Turn::End(ending) = slot.turn else { continue };
            let x_adv = Tensor::from_slice(&self.points[i * pixels..(i + 1) * pixels], shape, &Device::Cpu)?;
            ended.push(Outcome {
                index: slot.index,
                job: slot.job,
                x_adv,
                broken: ending.broken,
                steps: ending.steps,
                forwards: slot.forwards,
                backwards: slot.backwards,
                blind: slot.blind,
                aim: slot.aim,
            });
        }
        Ok(ended)
    }
}

/// Zero everywhere, or not finite somewhere: no direction to follow.
fn blind<T: Real>(gradient: &[T]) -> bool {
    let largest = Norm::Linf.row(gradient);
    largest == 0.0 || !largest.is_finite()
}
