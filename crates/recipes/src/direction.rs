//! Target directions of direction matching.

use crate::igam::of_teacher;
use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::Var;
use gauntlet_autograd::kernels::select_rows;
use gauntlet_core::{Error, Key, Memory, Purpose, Result, Setup, Step};

/// The target direction τ(x, t).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// One τ ~ N(0, I) for the whole training, drawn from its seed: a control.
    Fixed,
    /// One τ_t ~ N(0, I) per class: a control.
    RandomPerClass,
    /// One τ ~ N(0, I) per example: a control.
    Random,
    /// τ = μ_t − x, μ_t the mean training image of class t.
    ClassMean,
    /// τ = r − x, r the nearest of this many training images that is of class t and not x itself.
    NearestNeighbour(usize),
    /// The gradient of the row's teacher: ∇ₓ p_y.
    Teacher,
}

const FIXED: &str = "direction-matching.fixed";
const PER_CLASS: &str = "direction-matching.per-class";
const RANDOM: &str = "direction-matching.random";
const MEANS: &str = "direction-matching.class-means";
const IMAGES: &str = "direction-matching.references";
const LABELS: &str = "direction-matching.reference-labels";
const ROWS: &str = "direction-matching.reference-rows";

impl Direction {
    /// What has to be remembered of the training set.
    pub(crate) fn prepare(self, setup: &mut Setup<'_>) -> Result<Memory> {
        let (c, h, w) = setup.model.input;
        let drawn = |name: &str, n: usize| -> Result<Memory> {
            let mut stream = Key::new(setup.seed, Purpose::Recipe).named(name).stream(0, 0, 0);
            let values: Vec<f64> = (0..n * c * h * w).map(|_| stream.normal()).collect();
            let tau = Tensor::from_vec(values, (n, c, h, w), &Device::Cpu)?.to_dtype(setup.precision.dtype())?;
            Ok(Memory::from([(name.to_string(), tau)]))
        };
        match self {
            Direction::Fixed => drawn(FIXED, 1),
            Direction::RandomPerClass => drawn(PER_CLASS, setup.model.classes),
            Direction::ClassMean => Ok(Memory::from([(MEANS.to_string(), class_means(setup)?)])),
            Direction::NearestNeighbour(n) => references(setup, n),
            Direction::Random | Direction::Teacher => Ok(Memory::new()),
        }
    }

    /// τ(xₙ, tₙ) of every example, like the input; `classes (N,)` u32.
    pub(crate) fn targets(self, step: &Step<'_>, x: &Var, classes: &Tensor) -> Result<Var> {
        let of_class = |name: &str| -> Result<Var> { Ok(Var::constant(select_rows(step.remembered(name)?, classes)?)) };
        Ok(match self {
            Direction::Fixed => Var::constant(step.remembered(FIXED)?.clone()).broadcast_to(x.dims())?,
            Direction::RandomPerClass => of_class(PER_CLASS)?,
            Direction::Random => Var::constant(step.key().named(RANDOM).normal(step.ids(), x.dims(), x.tensor())?),
            Direction::ClassMean => of_class(MEANS)?.sub(&x.detach())?,
            Direction::NearestNeighbour(_) => Var::constant(nearest(step, x, classes)?).sub(&x.detach())?,
            Direction::Teacher => of_teacher(step, x)?,
        })
    }
}

/// Mean image of every class, `(K, C, H, W)`, in pixel units.
fn class_means(setup: &mut Setup<'_>) -> Result<Tensor> {
    let ((c, h, w), k) = (setup.model.input, setup.model.classes);
    let area = c * h * w;
    let (mut sums, mut counts) = (vec![0.0f64; k * area], vec![0u64; k]);
    (setup.train)(&mut |batch| {
        let images: Vec<Vec<f64>> = batch.x.flatten_from(1)?.to_dtype(DType::F64)?.to_vec2()?;
        for (image, label) in images.iter().zip(batch.y.to_vec1::<u32>()?) {
            let label = label as usize;
            counts[label] += 1;
            sums[label * area..(label + 1) * area].iter_mut().zip(image).for_each(|(s, p)| *s += p);
        }
        Ok(())
    })?;
    if let Some(empty) = counts.iter().position(|n| *n == 0) {
        return Err(Error::value(
            "direction-matching.direction",
            format!("class {empty} has no training image, so no class mean"),
        ));
    }
    for (sum, n) in sums.chunks_exact_mut(area).zip(&counts) {
        sum.iter_mut().for_each(|s| *s /= *n as f64);
    }
    Ok(Tensor::from_vec(sums, (k, c, h, w), &Device::Cpu)?.to_dtype(setup.precision.dtype())?)
}

/// The first n training images of a keyed shuffle, in the order of the data set, with labels and rows.
fn references(setup: &mut Setup<'_>, n: usize) -> Result<Memory> {
    let mut rows = 0;
    (setup.train)(&mut |batch| {
        rows += batch.ids.len();
        Ok(())
    })?;
    let mut places: Vec<usize> = (0..rows).collect();
    Key::new(setup.seed, Purpose::Recipe).named(IMAGES).stream(0, 0, 0).shuffle(&mut places);
    places.truncate(n);
    places.sort_unstable();
    let (mut images, mut labels, mut ids, mut first) = (Vec::new(), Vec::new(), Vec::new(), 0);
    (setup.train)(&mut |batch| {
        let (len, y) = (batch.ids.len(), batch.y.to_vec1::<u32>()?);
        for place in places.iter().filter(|p| (first..first + len).contains(*p)) {
            images.push(batch.x.get(place - first)?.contiguous()?);
            labels.push(y[place - first]);
            ids.push(batch.ids[place - first] as i64);
        }
        first += len;
        Ok(())
    })?;
    if let Some(missing) = (0..setup.model.classes as u32).find(|k| labels.iter().filter(|l| *l == k).count() < 2) {
        return Err(Error::value(
            "direction-matching.references",
            format!("class {missing} has fewer than two of the {} images; ask for more", labels.len()),
        ));
    }
    let count = labels.len();
    Ok(Memory::from([
        (IMAGES.to_string(), Tensor::stack(&images, 0)?),
        (LABELS.to_string(), Tensor::from_vec(labels, count, &Device::Cpu)?),
        (ROWS.to_string(), Tensor::from_vec(ids, count, &Device::Cpu)?),
    ]))
}

/// The nearest reference of class tₙ to every example that is not the example itself, `(N, C, H, W)`.
fn nearest(step: &Step<'_>, x: &Var, classes: &Tensor) -> Result<Tensor> {
    let references = step.remembered(IMAGES)?;
    let labels = step.remembered(LABELS)?.to_vec1::<u32>()?;
    let rows = step.remembered(ROWS)?.to_vec1::<i64>()?;
    // ‖r‖² − 2 x·r: what ranks the references of one x.
    let flat = Var::constant(references.clone()).flatten()?;
    let read = |v: Var| v.tensor().to_device(&Device::Cpu)?.to_dtype(DType::F64);
    let products: Vec<Vec<f64>> = read(x.detach().flatten()?.linear(&flat, None)?)?.to_vec2()?;
    let sizes: Vec<f64> = read(flat.sqr()?.sum_per_example()?)?.to_vec1()?;
    let classes = classes.to_vec1::<u32>()?;
    let mut chosen = Vec::with_capacity(classes.len());
    for ((products, class), id) in products.iter().zip(&classes).zip(step.ids()) {
        let fits = (0..labels.len()).filter(|r| labels[*r] == *class && rows[*r] != *id as i64);
        let distance = |r: &usize| sizes[*r] - 2.0 * products[*r];
        let best = fits.min_by(|a, b| distance(a).total_cmp(&distance(b)));
        chosen.push(best.ok_or_else(|| Error::Message(format!("no reference image of class {class}")))? as u32);
    }
    let count = chosen.len();
    Ok(select_rows(references, &Tensor::from_vec(chosen, count, x.device())?)?)
}
