//! The norm's verbs: size, project, step, sample. All attacks are written with these.
//!
//! Rows (examples) are independent: the arithmetic of one row never depends on how many others there are.

use crate::philox::Stream;
use crate::row_size::RowSize;
use crate::{Error, Result, ThreatModel};
use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::kernels::{self, Real, Vectorised, vectorised};
use gauntlet_records::Norm;
use std::sync::{Mutex, PoisonError};

/// Applies `f` to every row: its number, clean pixels, the gradient (or nothing), and the row to be moved in place.
fn rows<T: Real>(
    x: &Tensor,
    x0: &Tensor,
    g: Option<&Tensor>,
    f: impl Fn(usize, &[T], &[T], &mut [T]) + Sync,
) -> Result<Tensor> {
    let dims = x.dims().to_vec();
    for t in [Some(x0), g].into_iter().flatten() {
        if t.dims() != dims {
            return Err(Error::value("a perturbation", format!("shapes differ: {dims:?} and {:?}", t.dims())));
        }
    }
    let (x, x0, g) = (x.contiguous()?, x0.contiguous()?, g.map(Tensor::contiguous).transpose()?);
    let (start, clean) = (kernels::values::<T>(&x)?, kernels::values::<T>(&x0)?);
    let slope = g.as_ref().map(kernels::values::<T>).transpose()?;
    let (start, clean, slope): (&[T], &[T], Option<&[T]>) = (&start, &clean, slope.as_deref());
    let width = start.len() / dims.first().copied().unwrap_or(1).max(1);
    // Whole rows per task.
    let chunk = (ELEMENTS / width.max(1)).max(1) * width.max(1);
    let each = |first: usize, clean: &[T], slope: &[T], to: &mut [T]| {
        for (i, row) in to.chunks_exact_mut(width.max(1)).enumerate() {
            let range = i * width..(i + 1) * width;
            f(first / width + i, &clean[range.clone()], slope.get(range).unwrap_or_default(), row);
        }
    };
    let [values] = match slope {
        None => kernels::pass([start, clean], chunk, |first, [start, clean], [to]| {
            to.copy_from_slice(start);
            each(first, clean, &[], to);
        }),
        Some(slope) => kernels::pass([start, clean, slope], chunk, |first, [start, clean, slope], [to]| {
            to.copy_from_slice(start);
            each(first, clean, slope, to);
        }),
    };
    Ok(Tensor::from_vec(values, dims, &Device::Cpu)?)
}

/// Elements per task.
const ELEMENTS: usize = 1 << 14;

/// Share of the pixels that a step in L1 leaves alone: SLIDE's percentile, 99 (Tramèr & Boneh 2019).
pub const SPARSITY: f64 = 0.99;

/// Room below this counts as none: what rounding leaves of a pixel that was moved onto the boundary of the box.
const NO_ROOM: f64 = 1e-7;

macro_rules! for_pixels {
    ($tensor:expr, $T:ident => $body:expr) => {
        match $tensor.dtype() {
            DType::F32 => {
                type $T = f32;
                $body
            }
            DType::F64 => {
                type $T = f64;
                $body
            }
            other => Err(Error::value("pixels", format!("must be f32 or f64, got {other:?}"))),
        }
    };
}

#[cfg(feature = "cuda")]
pub(crate) use for_pixels;

/// The norm of rows of pixels and of tensors.
pub trait Measure {
    /// The norm of a row.
    fn row<T: Real>(self, x: &[T]) -> f64;
    /// ‖a − b‖ of two rows.
    fn between<T: Real>(self, a: &[T], b: &[T]) -> f64;
    /// Size of every row of `delta (N, ..)`.
    fn size(self, delta: &Tensor) -> Result<Vec<f64>>;
}

impl Measure for Norm {
    fn row<T: Real>(self, x: &[T]) -> f64 {
        vectorised(RowSize { norm: self, a: x, b: None })
    }
    fn between<T: Real>(self, a: &[T], b: &[T]) -> f64 {
        vectorised(RowSize { norm: self, a, b: Some(b) })
    }
    fn size(self, delta: &Tensor) -> Result<Vec<f64>> {
        let delta = delta.to_device(&Device::Cpu)?;
        let rows: Vec<Vec<f64>> = delta.flatten_from(1)?.to_dtype(DType::F64)?.to_vec2()?;
        Ok(rows.into_iter().map(|r| self.of(r.into_iter())).collect())
    }
}

impl ThreatModel {
    /// Nearest point of ball, then box, of every row: `x`, `x0` are `(N, ..)`.
    ///
    /// Ball then box keeps both constraints, because x0 lies in the box: clamping moves every coordinate of δ towards 0.
    pub fn project(&self, x: &Tensor, x0: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() {
            return self.on_the_cpu(x, x0, None, |x, x0, _| self.project(x, x0));
        }
        for_pixels!(x, T => rows::<T>(x, x0, None, |_, clean, _, row| self.project_row(clean, row)))
    }

    /// One attack step: x ← Π_box Π_ball(x + αₙ · s(gₙ)), s the steepest direction of the norm. `alpha`: one per row.
    ///
    /// sign(0) = 0; for L2 and L1 a row with a zero or non-finite gradient stays where it is; for L∞ a NaN entry does.
    /// L1: [`ThreatModel::step_row`] of every row.
    pub fn step(&self, x: &Tensor, x0: &Tensor, gradient: &Tensor, alpha: &[f64]) -> Result<Tensor> {
        if alpha.len() != x.dim(0)? {
            return Err(Error::value("alpha", format!("{} step sizes for {} rows", alpha.len(), x.dim(0)?)));
        }
        if !x.device().is_cpu() {
            return self.step_elsewhere(x, x0, gradient, alpha);
        }
        for_pixels!(x, T => rows::<T>(x, x0, Some(gradient), |i, clean, g, row| {
            self.step_row(clean, row, g, alpha[i]);
        }))
    }

    /// A random point of the ball around each row of `x0 (N, ..)`, clamped to the box; row n draws from `streams[n]`.
    ///
    /// L∞: uniform in the cube. L2: normal direction, radius U(0,1)·ε. L1: uniform in the ball (exponential spacings
    /// with random signs). L0: ε values, each uniform in the box.
    pub fn random_start(&self, x0: &Tensor, streams: &mut [Stream]) -> Result<Tensor> {
        if streams.len() != x0.dim(0)? {
            return Err(Error::value("streams", format!("{} streams for {} rows", streams.len(), x0.dim(0)?)));
        }
        let streams: Vec<Mutex<&mut Stream>> = streams.iter_mut().map(Mutex::new).collect();
        for_pixels!(x0, T => rows::<T>(x0, x0, None, |i, clean, _, row| {
            // Every row has its own stream; a lock that panicked elsewhere still guards a usable one.
            let mut stream = streams[i].lock().unwrap_or_else(PoisonError::into_inner);
            self.start_row(clean, row, &mut stream);
        }))
    }

    /// [`ThreatModel::random_start`] of one image; `row` is set.
    pub fn start_row<T: Real>(&self, clean: &[T], row: &mut [T], stream: &mut Stream) {
        let delta = self.sample(row.len(), stream);
        for ((x, c), d) in row.iter_mut().zip(clean).zip(&delta) {
            *x = T::of(c.wide() + d);
        }
        self.project_row(clean, row);
    }

    /// [`ThreatModel::step`] of one image: `row` moves in place. In L1 with the default [`SPARSITY`].
    pub fn step_row<T: Real>(&self, clean: &[T], row: &mut [T], gradient: &[T], alpha: f64) {
        self.sparse_step_row(clean, row, gradient, alpha, SPARSITY);
    }

    /// The same with a sparsity of its own, which L1 alone looks at.
    ///
    /// L1 (SLIDE, Tramèr & Boneh 2019): of the pixels that have room in the box where the gradient points, the
    /// k = max(1, round((1 − sparsity) · d)) with the largest |gᵢ| (ties included) share α equally; then the exact
    /// projection onto ball ∩ box. Without the look at the room a dark background, where the largest entries often point
    /// out of the box, undoes every step.
    pub fn sparse_step_row<T: Real>(&self, clean: &[T], row: &mut [T], gradient: &[T], alpha: f64, sparsity: f64) {
        if self.norm == Norm::L1 {
            self.ascend_sparsely(gradient, alpha, sparsity, row);
            return self.project_both_row(clean, row);
        }
        self.ascend_row(gradient, alpha, row);
        self.project_row(clean, row);
    }

    /// The exact nearest point of ball ∩ box for L1 (Croce & Hein 2021); for the other norms ball, then box.
    ///
    /// δᵢ = sign(vᵢ) · min(max(|vᵢ| − λ, 0), bᵢ), bᵢ the room to the box, λ ≥ 0 the smallest with Σ|δᵢ| ≤ ε.
    pub fn project_both_row<T: Real>(&self, clean: &[T], row: &mut [T]) {
        if self.norm != Norm::L1 {
            return self.project_row(clean, row);
        }
        let (low, high) = self.bounds;
        let moved: Vec<(f64, f64)> = row
            .iter()
            .zip(clean)
            .map(|(x, c)| {
                let v = x.wide() - c.wide();
                (v, if v > 0.0 { high - c.wide() } else { c.wide() - low })
            })
            .collect();
        let size = |lambda: f64| moved.iter().map(|(v, room)| (v.abs() - lambda).max(0.0).min(*room)).sum::<f64>();
        let mut lambda = 0.0;
        if size(0.0) > self.eps {
            let (mut left, mut right) = (0.0, moved.iter().fold(0.0f64, |m, (v, _)| m.max(v.abs())));
            for _ in 0..60 {
                let middle = 0.5 * (left + right);
                if size(middle) > self.eps { left = middle } else { right = middle }
            }
            lambda = right;
        }
        for ((x, c), (v, room)) in row.iter_mut().zip(clean).zip(&moved) {
            let delta = (v.abs() - lambda).max(0.0).min(*room) * v.signum();
            *x = clamp(T::of(c.wide() + delta), T::of(low), T::of(high));
        }
    }

    /// The nearest point of the box that differs from the clean image in at most ⌊ε/group⌋ groups: of channels (`group` = C) that share a
    /// place, or of single values (1).
    ///
    /// Groups by falling Σ δᵢ² − (δᵢ − clip δᵢ)², what keeping them saves: the first are clipped to the box, the others as in the image. Of
    /// equal ones the first.
    pub fn keep_largest<T: Real>(&self, clean: &[T], row: &mut [T], group: usize) {
        let (low, high) = self.bounds;
        let places = row.len() / group.max(1);
        let keep = (self.eps / group.max(1) as f64).min(places as f64) as usize;
        let saved = |i: usize| {
            let (v, c) = (row[i].wide(), clean[i].wide());
            (v - c).powi(2) - (v - v.clamp(low, high)).powi(2)
        };
        // What is no number stays: the referee sees it.
        let gain: Vec<f64> = (0..places)
            .map(|p| (0..group).map(|k| saved(k * places + p)).sum::<f64>())
            .map(|gain| if gain.is_nan() { f64::INFINITY } else { gain })
            .collect();
        let mut order: Vec<usize> = (0..places).collect();
        order.sort_by(|a, b| gain[*b].total_cmp(&gain[*a]).then(a.cmp(b)));
        for p in order.split_off(keep) {
            (0..group).for_each(|k| row[k * places + p] = clean[k * places + p]);
        }
        self.clamp_row(row);
    }

    fn sample(&self, n: usize, stream: &mut Stream) -> Vec<f64> {
        match self.norm {
            Norm::Linf => (0..n).map(|_| (2.0 * stream.uniform() - 1.0) * self.eps).collect(),
            Norm::L2 => {
                let z: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
                let size = Norm::L2.of(z.iter().copied()).max(f64::MIN_POSITIVE);
                let radius = stream.uniform() * self.eps;
                z.into_iter().map(|v| v / size * radius).collect()
            }
            Norm::L1 => {
                // n + 1 exponentials divided by their sum are uniform spacings: the first n fill the simplex.
                let e: Vec<f64> = (0..=n).map(|_| -libm::log(1.0 - stream.uniform())).collect();
                let total: f64 = e.iter().sum::<f64>().max(f64::MIN_POSITIVE);
                e[..n]
                    .iter()
                    .map(|v| if stream.next_u32() & 1 == 0 { v / total * self.eps } else { -v / total * self.eps })
                    .collect()
            }
            Norm::L0 => {
                let (low, high) = self.bounds;
                let mut order: Vec<usize> = (0..n).collect();
                stream.shuffle(&mut order);
                let mut delta = vec![0.0; n];
                for at in order.into_iter().take(self.eps.min(n as f64) as usize) {
                    delta[at] = (high - low) * (2.0 * stream.uniform() - 1.0);
                }
                delta
            }
        }
    }

    /// x ← x + α · s(g), without projection; L∞ and L2, in L0 as in L2.
    fn ascend_row<T: Real>(&self, g: &[T], alpha: f64, row: &mut [T]) {
        let step = T::of(alpha);
        match self.norm {
            Norm::Linf => vectorised(Signs { g, step, row }),
            _ => {
                let size = Norm::L2.of(g.iter().map(|v| v.wide()));
                if size > 0.0 && size.is_finite() {
                    for (x, g) in row.iter_mut().zip(g) {
                        *x = T::of(x.wide() + alpha * (g.wide() / size));
                    }
                }
            }
        }
    }

    /// The step in L1, without projection.
    fn ascend_sparsely<T: Real>(&self, g: &[T], alpha: f64, sparsity: f64, row: &mut [T]) {
        if g.iter().any(|v| !v.is_finite()) {
            return;
        }
        let (low, high) = self.bounds;
        let has_room = |x: &T, g: &T| {
            let room = if *g > T::zero() { high - x.wide() } else { x.wide() - low };
            *g != T::zero() && room > NO_ROOM
        };
        let mut sizes: Vec<f64> =
            row.iter().zip(g).filter(|(x, g)| has_room(x, g)).map(|(_, g)| g.wide().abs()).collect();
        if sizes.is_empty() {
            return;
        }
        let k = (((1.0 - sparsity) * g.len() as f64).round() as usize).clamp(1, sizes.len());
        let least = *sizes.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1;
        let moves = |x: &T, g: &T| has_room(x, g) && g.wide().abs() >= least;
        let share = alpha / row.iter().zip(g).filter(|(x, g)| moves(x, g)).count() as f64;
        for (x, g) in row.iter_mut().zip(g) {
            if moves(x, g) {
                *x = T::of(x.wide() + share * g.wide().signum());
            }
        }
    }

    /// [`ThreatModel::project`] of one image: ball, then box.
    pub fn project_row<T: Real>(&self, clean: &[T], row: &mut [T]) {
        let (low, high) = (T::of(self.bounds.0), T::of(self.bounds.1));
        match self.norm {
            Norm::Linf => return vectorised(Cube { clean, eps: T::of(self.eps), bounds: (low, high), row }),
            Norm::L2 => {
                let size = Norm::L2.of(row.iter().zip(clean).map(|(x, c)| x.wide() - c.wide()));
                if size > self.eps {
                    let shrink = self.eps / size;
                    for (x, c) in row.iter_mut().zip(clean) {
                        *x = T::of(c.wide() + (x.wide() - c.wide()) * shrink);
                    }
                }
            }
            Norm::L1 => {
                let delta: Vec<f64> = row.iter().zip(clean).map(|(x, c)| x.wide() - c.wide()).collect();
                if Norm::L1.of(delta.iter().copied()) > self.eps {
                    let threshold = simplex_threshold(&delta, self.eps);
                    for ((x, c), d) in row.iter_mut().zip(clean).zip(&delta) {
                        *x = T::of(c.wide() + d.signum() * (d.abs() - threshold).max(0.0));
                    }
                }
            }
            Norm::L0 => return self.keep_largest(clean, row, 1),
        }
        self.clamp_row(row);
    }

    /// The nearest point of the box.
    pub fn clamp_row<T: Real>(&self, row: &mut [T]) {
        vectorised(Valid { bounds: (T::of(self.bounds.0), T::of(self.bounds.1)), row });
    }
}

/// x ← x + α · sign(g), sign(0) and the sign of a NaN being 0.
struct Signs<'a, T> {
    g: &'a [T],
    step: T,
    row: &'a mut [T],
}

impl<T: Real> Vectorised for Signs<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (x, g) in self.row.iter_mut().zip(self.g) {
            let up = if *g > T::zero() { self.step } else { T::zero() };
            let down = if *g < T::zero() { self.step } else { T::zero() };
            *x = *x + up - down;
        }
    }
}

/// x ← clamp(clamp(x, x₀ − ε, x₀ + ε), low, high).
struct Cube<'a, T> {
    clean: &'a [T],
    eps: T,
    bounds: (T, T),
    row: &'a mut [T],
}

impl<T: Real> Vectorised for Cube<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let (eps, (low, high)) = (self.eps, self.bounds);
        for (x, c) in self.row.iter_mut().zip(self.clean) {
            *x = clamp(clamp(*x, *c - eps, *c + eps), low, high);
        }
    }
}

/// x ← clamp(x, low, high).
struct Valid<'a, T> {
    bounds: (T, T),
    row: &'a mut [T],
}

impl<T: Real> Vectorised for Valid<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let (low, high) = self.bounds;
        for x in self.row {
            *x = clamp(*x, low, high);
        }
    }
}

/// Comparisons, not max and min: a NaN pixel stays a NaN and is caught by the referee.
#[inline(always)]
pub fn clamp<T: Real>(x: T, low: T, high: T) -> T {
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

/// θ of the Euclidean projection onto the L1 ball: δ ← sign(δ) · max(|δ| − θ, 0) (Duchi et al. 2008).
fn simplex_threshold(delta: &[f64], radius: f64) -> f64 {
    let mut sizes: Vec<f64> = delta.iter().map(|d| d.abs()).collect();
    sizes.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut sum = 0.0;
    let mut threshold = 0.0;
    for (j, size) in sizes.iter().enumerate() {
        sum += size;
        let candidate = (sum - radius) / (j + 1) as f64;
        // Equality changes nothing, except at radius 0, where it is all there is.
        if *size >= candidate {
            threshold = candidate;
        }
    }
    threshold
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, Purpose};
    use proptest::prelude::*;

    fn tensor(v: &[f64], n: usize) -> Tensor {
        Tensor::from_vec(v.to_vec(), (n, v.len() / n), &Device::Cpu).unwrap()
    }
    fn flat(t: &Tensor) -> Vec<f64> {
        t.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
    }
    fn norms() -> impl Strategy<Value = Norm> {
        prop_oneof![Just(Norm::Linf), Just(Norm::L2), Just(Norm::L1), Just(Norm::L0)]
    }

    #[test]
    fn a_ball_of_radius_zero_is_its_centre() {
        let (x, x0) = (tensor(&[0.4, 0.1, 0.7, 0.5, 0.5, 0.2], 2), tensor(&[0.5, 0.1, 0.6, 0.5, 0.4, 0.9], 2));
        for norm in [Norm::Linf, Norm::L2, Norm::L1, Norm::L0] {
            let projected = ThreatModel::new(norm, 0.0).project(&x, &x0).unwrap();
            assert_eq!(flat(&projected), flat(&x0), "{norm}");
        }
    }

    proptest! {
        #[test]
        fn projection_is_feasible_idempotent_and_keeps_rows_apart(
            norm in norms(), eps in 0.0f64..2.0,
            clean in prop::collection::vec(0.0f64..1.0, 12), moved in prop::collection::vec(-3.0f64..3.0, 12),
        ) {
            let threat = ThreatModel::new(norm, eps);
            let (x0, x) = (tensor(&clean, 3), tensor(&moved, 3));
            let p = threat.project(&x, &x0).unwrap();
            for size in norm.size(&(&p - &x0).unwrap()).unwrap() {
                prop_assert!(size <= eps + 1e-9, "{size} > {eps}");
            }
            prop_assert!(flat(&p).iter().all(|v| (0.0..=1.0).contains(v)));
            let again = threat.project(&p, &x0).unwrap();
            prop_assert!(flat(&again).iter().zip(flat(&p)).all(|(a, b)| (a - b).abs() < 1e-9));
            for i in 0..3 {
                let alone = threat.project(&x.narrow(0, i, 1).unwrap(), &x0.narrow(0, i, 1).unwrap()).unwrap();
                prop_assert_eq!(flat(&alone), flat(&p.narrow(0, i, 1).unwrap()));
            }
        }

        /// No feasible point of the ball is nearer (in L2) than the projection: checked on a cloud of feasible points.
        #[test]
        fn ball_projection_is_the_nearest_point(
            norm in norms(), eps in 0.05f64..1.0, d in prop::collection::vec(-2.0f64..2.0, 3), seed in 0u64..1000,
        ) {
            let wide = ThreatModel { norm, eps, bounds: (-1e9, 1e9) };
            let x0 = tensor(&[0.0; 3], 1);
            let p = flat(&wide.project(&tensor(&d, 1), &x0).unwrap());
            let distance = |q: &[f64]| Norm::L2.of(q.iter().zip(&d).map(|(a, b)| a - b));
            let mut stream = Key::new(seed, Purpose::Sample).stream(0, 0, 0);
            for _ in 0..200 {
                let q = wide.sample(3, &mut stream);
                prop_assert!(distance(&p) <= distance(&q) + 1e-9);
            }
        }

        #[test]
        fn steps_stay_feasible_whatever_the_gradient(
            norm in norms(), eps in 0.0f64..1.0, alpha in 0.0f64..2.0,
            clean in prop::collection::vec(0.0f32..1.0, 6),
            gradient in prop::collection::vec(prop_oneof![Just(0.0f32), Just(f32::NAN), Just(f32::INFINITY), -1.0f32..1.0], 6),
        ) {
            let threat = ThreatModel::new(norm, eps);
            let x0 = Tensor::from_vec(clean, (2, 3), &Device::Cpu).unwrap();
            let g = Tensor::from_vec(gradient, (2, 3), &Device::Cpu).unwrap();
            let x = threat.step(&x0, &x0, &g, &[alpha, alpha]).unwrap();
            for i in 0..2 {
                prop_assert!(threat.check(&x.get(i).unwrap(), &x0.get(i).unwrap()).unwrap().is_ok());
            }
        }
    }

    #[test]
    fn steepest_directions() {
        let x0 = tensor(&[0.5; 3], 1);
        let g = tensor(&[3.0, 0.0, -4.0], 1);
        let step = |norm| {
            let threat = ThreatModel { norm, eps: 10.0, bounds: (-9.0, 9.0) };
            flat(&threat.step(&x0, &x0, &g, &[0.1]).unwrap()).iter().map(|x| (x - 0.5) * 10.0).collect::<Vec<_>>()
        };
        let close = |a: Vec<f64>, b: [f64; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(close(step(Norm::Linf), [1.0, 0.0, -1.0]));
        assert!(close(step(Norm::L2), [0.6, 0.0, -0.8]));
        assert!(close(step(Norm::L1), [0.0, 0.0, -1.0]));
    }

    #[test]
    fn a_step_in_l1_moves_the_strongest_pixels_that_have_room() {
        let threat = ThreatModel::new(Norm::L1, 10.0);
        let clean = [0.0, 0.0, 1.0, 0.5, 0.5, 0.0, 0.0, 0.25];
        // The three largest entries point out of the box.
        let g = [-9.0, -8.0, 7.0, -6.0, 5.0, 4.0, 0.0, -4.0];
        let step = |sparsity: f64, alpha: f64| {
            let mut x = clean;
            threat.sparse_step_row(&clean, &mut x, &g, alpha, sparsity);
            x.iter().zip(clean).map(|(x, c)| x - c).collect::<Vec<f64>>()
        };
        let close = |a: Vec<f64>, b: [f64; 8]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close(step(0.99, 0.25), [0.0, 0.0, 0.0, -0.25, 0.0, 0.0, 0.0, 0.0]));
        assert!(close(step(0.75, 0.5), [0.0, 0.0, 0.0, -0.25, 0.25, 0.0, 0.0, 0.0]));
        // Ties share, beyond the box nothing goes, and what has no slope stays.
        assert!(close(step(0.625, 0.4), [0.0, 0.0, 0.0, -0.1, 0.1, 0.1, 0.0, -0.1]));
        assert!(close(step(0.0, 4.0), [0.0, 0.0, 0.0, -0.5, 0.5, 1.0, 0.0, -0.25]));
        // Without any room, without a slope, and with a broken one it stays where it is.
        for g in [[-1.0f64, -2.0], [0.0, 0.0], [f64::NAN, 1.0], [1.0, f64::INFINITY]] {
            let mut x = [0.0, 0.0];
            threat.step_row(&[0.0, 0.0], &mut x, &g, 1.0);
            assert_eq!(x, [0.0, 0.0], "{g:?}");
        }
    }

    /// A digit on black, its largest slopes downwards on the background: no step may be lost.
    #[test]
    fn steps_in_l1_move_a_dark_image() {
        let mut stream = Key::new(5, Purpose::Sample).stream(0, 0, 0);
        let clean: Vec<f32> = (0..784).map(|i| if i % 5 == 0 { stream.uniform() as f32 } else { 0.0 }).collect();
        let g: Vec<f32> = (0..784)
            .map(|i| if i % 5 == 0 { stream.normal() as f32 } else { -3.0 - stream.uniform() as f32 })
            .collect();
        let threat = ThreatModel::new(Norm::L1, 10.0);
        let mut x = clean.clone();
        let rise = |x: &[f32]| x.iter().zip(&clean).zip(&g).map(|((x, c), g)| f64::from((x - c) * g)).sum::<f64>();
        let mut before = 0.0;
        for step in 0..8 {
            threat.step_row(&clean, &mut x, &g, 1.0);
            assert!(rise(&x) > before + 0.5, "step {step}: {before} to {}", rise(&x));
            before = rise(&x);
        }
    }

    #[test]
    fn random_starts_fill_the_ball_and_depend_on_the_stream_alone() {
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            let threat = ThreatModel::new(norm, 0.3);
            let x0 = tensor(&vec![0.5; 4000], 1000);
            let key = Key::new(3, Purpose::AttackStart);
            let mut streams: Vec<_> = (0..1000).map(|i| key.stream(i, 0, 0)).collect();
            let all = threat.random_start(&x0, &mut streams).unwrap();
            let sizes = norm.size(&(&all - &x0).unwrap()).unwrap();
            let largest = sizes.iter().copied().fold(0.0, f64::max);
            assert!(largest <= 0.3 + 1e-9 && largest > 0.25, "{norm}: {largest}");
            let one = threat.random_start(&x0.narrow(0, 0, 1).unwrap(), &mut [key.stream(17, 0, 0)]).unwrap();
            assert_eq!(flat(&one), flat(&all.narrow(0, 17, 1).unwrap()));
        }
    }
}
