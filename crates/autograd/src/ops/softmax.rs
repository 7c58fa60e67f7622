//! Log-softmax, selection by label, and the cross-entropy made of them.

use crate::kernels::{Real, by_dtype, dense, from_vec, on_gpu, view};
use crate::{Op, Result, Saved, Saves, Var};
use candle_core::Tensor;
use num_traits::Float;

struct LogSoftmax;

fn log_softmax<T: Real>(a: &Tensor) -> Result<Tensor> {
    on_gpu!(a, crate::cuda::log_softmax::<T>(a));
    let (n, k) = a.dims2()?;
    let a = dense(a)?;
    let x = view::<T>("log_softmax", &a)?;
    let mut out = Vec::with_capacity(n * k);
    for row in x.chunks_exact(k.max(1)) {
        let (max, log) = normaliser(row);
        out.extend(row.iter().map(|x| (*x - max) - log));
    }
    from_vec(out, &[n, k])
}

impl Op for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        Ok((by_dtype!("log_softmax", inputs[0], T => log_softmax::<T>(inputs[0]))?, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::output()
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        let p = saved.output()?.exp()?;
        let mass = g.sum_keepdim(&[1])?.broadcast_to(g.dims())?;
        Ok(vec![Some(g.sub(&p.mul(&mass)?)?)])
    }
}

/// Selects column `labels[n]` of row n. Labels `(N,)` u32 lie where the values do.
struct Gather(Tensor);

fn gathered<T: Real>(x: &Tensor, labels: &Tensor) -> Result<Tensor> {
    on_gpu!(x, crate::cuda::gather_labels::<T>(x, labels));
    let (_, k) = x.dims2()?;
    let (x, labels) = (dense(x)?, labels.to_vec1::<u32>()?);
    let x = view::<T>("gather_labels", &x)?;
    let picked = labels.iter().enumerate().map(|(i, &label)| x[i * k + label as usize]).collect();
    from_vec::<T>(picked, &[labels.len()])
}

fn scattered<T: Real>(x: &Tensor, labels: &Tensor, k: usize) -> Result<Tensor> {
    on_gpu!(x, crate::cuda::scatter_labels::<T>(x, labels, k));
    let (x, labels) = (dense(x)?, labels.to_vec1::<u32>()?);
    let x = view::<T>("scatter_labels", &x)?;
    let mut out = vec![T::of(0.0); labels.len() * k];
    for (i, &label) in labels.iter().enumerate() {
        out[i * k + label as usize] = x[i];
    }
    from_vec::<T>(out, &[labels.len(), k])
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather_labels"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        Ok((by_dtype!("gather_labels", inputs[0], T => gathered::<T>(inputs[0], &self.0))?, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        Ok(vec![Some(Var::apply(Scatter { labels: self.0.clone(), k: saved.dims(0)[1] }, &[g])?)])
    }
}

/// The adjoint of [`Gather`]: puts value n into column `labels[n]` of an otherwise zero row.
struct Scatter {
    labels: Tensor,
    k: usize,
}

impl Op for Scatter {
    fn name(&self) -> &'static str {
        "scatter_labels"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let value = by_dtype!("scatter_labels", inputs[0], T => scattered::<T>(inputs[0], &self.labels, self.k))?;
        Ok((value, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, _: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        Ok(vec![Some(Var::apply(Gather(self.labels.clone()), &[g])?)])
    }
}

/// −log softmax(z)_y of every row, in one pass; so is its derivative, (softmax(z) − onehot(y)) · g.
struct CrossEntropy(Tensor);

/// max z and log Σ exp(z − max z) of a row.
fn normaliser<T: Real>(row: &[T]) -> (T, T) {
    let max = row.iter().copied().fold(T::neg_infinity(), |m, x| if x > m { x } else { m });
    let sum: T = row.iter().map(|x| Float::exp(*x - max)).sum();
    (max, sum.ln())
}

fn cross_entropies<T: Real>(z: &Tensor, labels: &Tensor) -> Result<Tensor> {
    on_gpu!(z, crate::cuda::cross_entropy::<T>(z, labels));
    let (n, k) = z.dims2()?;
    let (z, labels) = (dense(z)?, labels.to_vec1::<u32>()?);
    let z = view::<T>("cross_entropy", &z)?;
    let values = z.chunks_exact(k.max(1)).zip(&labels).map(|(row, label)| {
        let (max, log) = normaliser(row);
        -((row[*label as usize] - max) - log)
    });
    from_vec::<T>(values.collect(), &[n])
}

/// ∂ cross-entropy / ∂ logits per example, softmax(z) − onehot(y): `z (N, K)`, labels `(N,)` u32, both on one device.
///
/// # Errors
/// A dtype other than f32 and f64.
pub fn cross_entropy_slope(z: &Tensor, labels: &Tensor) -> Result<Tensor> {
    by_dtype!("cross_entropy", z, T => {
        on_gpu!(z, crate::cuda::cross_entropy_slope::<T>(z, labels, None));
        slopes::<T>(z, labels, &crate::kernels::ones_like(&z.narrow(1, 0, 1)?.squeeze(1)?)?)
    })
}

fn slopes<T: Real>(z: &Tensor, labels: &Tensor, g: &Tensor) -> Result<Tensor> {
    on_gpu!(z, crate::cuda::cross_entropy_slope::<T>(z, labels, Some(g)));
    let (n, k) = z.dims2()?;
    let (z, g, labels) = (dense(z)?, dense(g)?, labels.to_vec1::<u32>()?);
    let (z, g) = (view::<T>("cross_entropy", &z)?, view::<T>("cross_entropy", &g)?);
    let mut out = Vec::with_capacity(n * k);
    for ((row, label), g) in z.chunks_exact(k.max(1)).zip(&labels).zip(g.iter()) {
        let (max, log) = normaliser(row);
        out.extend(row.iter().map(|z| *g * Float::exp((*z - max) - log)));
        let at = out.len() - k + *label as usize;
        // p − 1 as a difference, not −Σ of the others: a saturated row's gradient is exactly zero, as in PyTorch.
        out[at] = *g * (Float::exp((row[*label as usize] - max) - log) - T::of(1.0));
    }
    from_vec::<T>(out, &[n, k])
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        Ok((by_dtype!(self.name(), inputs[0], T => cross_entropies::<T>(inputs[0], &self.0))?, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::inputs(&[0])
    }
    fn vjp(&self, saved: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        let z = saved.input(0)?;
        let (n, k) = z.tensor().dims2()?;
        if saved.keeps_graph() {
            let ones = Var::constant(crate::kernels::ones_like(g.tensor())?);
            let onehot = Var::apply(Scatter { labels: self.0.clone(), k }, &[&ones])?;
            let weights = g.reshape(&[n, 1])?.broadcast_to(&[n, k])?;
            return Ok(vec![Some(z.softmax()?.sub(&onehot)?.mul(&weights)?)]);
        }
        let slope = by_dtype!(self.name(), z.tensor(), T => slopes::<T>(z.tensor(), &self.0, g.tensor()))?;
        Ok(vec![Some(Var::constant(slope))])
    }
}

impl Var {
    /// Log-probabilities of logits `(N, K)`.
    pub fn log_softmax(&self) -> Result<Var> {
        if self.dims().len() != 2 {
            return Err(crate::error::shape("log_softmax", format!("expected (N, K), got {:?}", self.dims())));
        }
        Var::apply(LogSoftmax, &[self])
    }
    /// Probabilities of logits `(N, K)`.
    pub fn softmax(&self) -> Result<Var> {
        self.log_softmax()?.exp()
    }
    /// Entry `labels[n]` of every row: `(N, K)`, labels `(N,)` u32, to `(N,)`.
    pub fn gather_labels(&self, labels: &Tensor) -> Result<Var> {
        let labels = self.labels(labels)?;
        Var::apply(Gather(labels), &[self])
    }
    /// Cross-entropy per example, −log softmax(z)_y: `(N, K)`, labels `(N,)` u32, to `(N,)`.
    pub fn cross_entropy(&self, labels: &Tensor) -> Result<Var> {
        Var::apply(CrossEntropy(self.labels(labels)?), &[self])
    }
    /// One label for every row, all of them columns.
    ///
    /// On a GPU only their number is looked at, since reading them would wait for it: there a label that is no column makes
    /// its row NaN, which no training and no attack takes for a success.
    fn labels(&self, labels: &Tensor) -> Result<Tensor> {
        let &[n, k] = self.dims() else {
            return Err(crate::error::shape("labels", format!("expected (N, K), got {:?}", self.dims())));
        };
        let here = labels.to_device(self.device())?;
        if !self.device().is_cpu() && here.dims() == [n] {
            return Ok(here);
        }
        let labels: Vec<u32> = here.to_vec1()?;
        if labels.len() != n || labels.iter().any(|&l| l as usize >= k) {
            let worst = labels.iter().max().copied().unwrap_or(0);
            return Err(crate::error::shape(
                "labels",
                format!("{} labels up to {worst} for {n} rows of {k} classes", labels.len()),
            ));
        }
        Ok(here)
    }
}
