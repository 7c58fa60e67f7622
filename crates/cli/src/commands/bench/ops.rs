//! `gauntlet bench ops`: every kernel of the built-in architectures, against the measured peak.

use super::peak::peak;
use super::times::Times;
use crate::arguments::BenchOps;
use crate::exit::{Code, Failure};
use crate::session::Session;
use candle_core::{Device, Tensor};
use gauntlet::autograd::kernels::work;
use gauntlet::autograd::{Graph, Var, grad};
use gauntlet::core::optimiser::{Optimiser, OptimiserState};
use gauntlet::core::{ThreatModel, Weights};
use gauntlet::records::Norm;
use serde_json::{Value, json};
use std::fmt::Write;

/// Convolutions: label, divisor of the batch, channels in, side, channels out, kernel, stride, padding.
type Conv = (&'static str, usize, usize, usize, usize, usize, usize, usize);
const CONVS: &[Conv] = &[
    ("lenet-small 1", 1, 1, 28, 16, 4, 2, 1),
    ("lenet-small 2", 1, 16, 14, 32, 4, 2, 1),
    ("madry-cnn 1", 1, 1, 28, 32, 5, 1, 2),
    ("madry-cnn 2", 1, 32, 14, 64, 5, 1, 2),
    ("trades-smallcnn 1", 1, 1, 28, 32, 3, 1, 0),
    ("trades-smallcnn 2", 1, 32, 26, 32, 3, 1, 0),
    ("trades-smallcnn 3", 1, 32, 12, 64, 3, 1, 0),
    ("trades-smallcnn 4", 1, 64, 10, 64, 3, 1, 0),
    ("preactresnet18 stem", 4, 3, 32, 64, 3, 1, 1),
    ("preactresnet18 64", 4, 64, 32, 64, 3, 1, 1),
    ("preactresnet18 64→128", 4, 64, 32, 128, 3, 2, 1),
    ("preactresnet18 128", 4, 128, 16, 128, 3, 1, 1),
    ("preactresnet18 128→256", 4, 128, 16, 256, 3, 2, 1),
    ("preactresnet18 256", 4, 256, 8, 256, 3, 1, 1),
    ("preactresnet18 256→512", 4, 256, 8, 512, 3, 2, 1),
    ("preactresnet18 512", 4, 512, 4, 512, 3, 1, 1),
    ("preactresnet18 1×1", 4, 256, 8, 512, 1, 2, 0),
];
/// Linear layers: label, inputs, outputs.
const LINEARS: &[(&str, usize, usize)] =
    &[("lenet-small fc1", 1568, 100), ("madry-cnn fc1", 3136, 1024), ("trades-smallcnn fc1", 1024, 200)];

struct Row {
    op: &'static str,
    what: String,
    ms: f64,
    /// GFLOP, where a kernel is arithmetic; else GB read and written.
    gflop: Option<f64>,
    gbyte: Option<f64>,
}

fn tensor(dims: &[usize]) -> Result<Tensor, Failure> {
    Ok(Tensor::randn(0f32, 1f32, dims, &Device::Cpu).map_err(gauntlet::core::Error::from)?)
}

/// Times `f` and counts its arithmetic.
fn row(
    op: &'static str,
    what: &str,
    gbyte: Option<f64>,
    mut f: impl FnMut() -> gauntlet::core::Result<()>,
) -> Result<Row, Failure> {
    let mut f = || f().map_err(Failure::from);
    f()?;
    let before = work::flops();
    f()?;
    let flops = work::flops() - before;
    let times = Times::measure(5, 0.1, f)?;
    Ok(Row { op, what: what.to_string(), ms: times.median(), gflop: (flops > 0).then_some(flops as f64 / 1e9), gbyte })
}

fn measure(batch: usize) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for &(what, part, c, side, o, k, stride, padding) in CONVS {
        let n = (batch / part).max(1);
        let (x, w) = (Var::leaf(tensor(&[n, c, side, side])?), Var::leaf(tensor(&[o, c, k, k])?));
        let forward = |x: &Var, w: &Var| x.conv2d(w, None, stride, padding);
        rows.push(row("conv2d", what, None, || Ok(forward(&x.detach(), &w.detach()).map(drop)?))?);
        let y = forward(&x, &w).map_err(gauntlet::core::Error::from)?;
        rows.push(row("conv2d input gradient", what, None, || Ok(grad(&y, &[&x], Graph::Free).map(drop)?))?);
        rows.push(row("conv2d weight gradient", what, None, || Ok(grad(&y, &[&w], Graph::Free).map(drop)?))?);
    }
    for &(what, from, to) in LINEARS {
        let (x, w) = (Var::leaf(tensor(&[batch, from])?), Var::leaf(tensor(&[to, from])?));
        rows.push(row("linear", what, None, || Ok(x.detach().linear(&w.detach(), None).map(drop)?))?);
        let y = x.linear(&w, None).map_err(gauntlet::core::Error::from)?;
        rows.push(row("linear input gradient", what, None, || Ok(grad(&y, &[&x], Graph::Free).map(drop)?))?);
        rows.push(row("linear weight gradient", what, None, || Ok(grad(&y, &[&w], Graph::Free).map(drop)?))?);
    }
    let image = [batch, 32, 28, 28];
    let elements = image.iter().product::<usize>() as f64;
    let gb = |floats: f64| Some(4e-9 * floats * elements);
    let shape = format!("{batch}×32×28×28");
    let x = Var::leaf(tensor(&image)?);
    rows.push(row("relu", &shape, gb(2.0), || Ok(x.detach().relu().map(drop)?))?);
    let y = x.relu().map_err(gauntlet::core::Error::from)?;
    rows.push(row("relu gradient", &shape, gb(3.0), || Ok(grad(&y, &[&x], Graph::Free).map(drop)?))?);
    rows.push(row("max-pool 2×2", &shape, gb(1.5), || Ok(x.detach().max_pool2d(2, 2).map(drop)?))?);
    let y = x.max_pool2d(2, 2).map_err(gauntlet::core::Error::from)?;
    rows.push(row("max-pool gradient", &shape, gb(1.5), || Ok(grad(&y, &[&x], Graph::Free).map(drop)?))?);
    let (gamma, beta) = (Var::leaf(tensor(&[32])?), Var::leaf(tensor(&[32])?));
    rows.push(row("batch norm", &shape, gb(3.0), || {
        Ok(x.detach().batch_norm_train(&gamma, &beta, 1e-5).map(drop)?)
    })?);
    let (y, _, _) = x.batch_norm_train(&gamma, &beta, 1e-5).map_err(gauntlet::core::Error::from)?;
    rows.push(row("batch norm gradient", &shape, gb(5.0), || {
        Ok(grad(&y, &[&x, &gamma, &beta], Graph::Free).map(drop)?)
    })?);
    let z = Var::leaf(tensor(&[batch, 10])?);
    let labels = Tensor::zeros(batch, candle_core::DType::U32, &Device::Cpu).map_err(gauntlet::core::Error::from)?;
    rows.push(row("cross-entropy and gradient", &format!("{batch}×10"), None, || {
        Ok(grad(&z.cross_entropy(&labels)?, &[&z], Graph::Free).map(drop)?)
    })?);
    let (clean, gradient) = (tensor(&[batch, 1, 28, 28])?, tensor(&[batch, 1, 28, 28])?);
    let threat = ThreatModel::new(Norm::Linf, 0.3);
    let alpha = vec![0.01; batch];
    let pixels = Some(16e-9 * (batch * 784) as f64);
    rows.push(row("attack update", &format!("{batch}×1×28×28"), pixels, || {
        threat.step(&clean, &clean, &gradient, &alpha).map(drop)
    })?);
    let mut weights = Weights::from_entries([("w".to_string(), tensor(&[1024, 3136])?, true)]);
    let gradients = [("w", tensor(&[1024, 3136])?)];
    let how = Optimiser::Adam { lr: 1e-9, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 };
    let mut state = OptimiserState::default();
    let moved = Some(28e-9 * (1024 * 3136) as f64);
    rows.push(row("adam", "1024×3136", moved, || state.step(&how, &mut weights, &gradients, 1e-9))?);
    Ok(rows)
}

pub(super) fn ops(session: &Session, arguments: &BenchOps) -> Result<Code, Failure> {
    let peak = peak()?;
    let rows = measure(arguments.batch.get())?;
    let rate = |r: &Row| r.gflop.map(|g| 1e3 * g / r.ms);
    let bandwidth = |r: &Row| r.gbyte.map(|g| 1e3 * g / r.ms);
    session.result(
        || {
            let list: Vec<Value> = rows
                .iter()
                .map(|r| {
                    json!({
                        "op": r.op, "what": r.what, "ms": r.ms, "gflop_per_s": rate(r),
                        "share_of_peak": rate(r).map(|g| g / peak), "gbyte_per_s": bandwidth(r),
                    })
                })
                .collect();
            json!({ "threads": rayon::current_num_threads(), "peak_gflop_per_s": peak, "ops": list })
        },
        || {
            let mut out = format!(
                "{} threads; a matrix product of 1536³ reaches {peak:.0} GFLOP/s. Multiplications are counted as the \
                 definition has them: kernels that save some exceed it.\n\n",
                rayon::current_num_threads()
            );
            for r in &rows {
                let _ = write!(out, "{:<27}{:<24}{:>10.3} ms", r.op, r.what, r.ms);
                if let Some(g) = rate(r) {
                    let _ = write!(out, "{g:>9.0} GFLOP/s{:>6.0} %", 100.0 * g / peak);
                }
                if let Some(g) = bandwidth(r) {
                    let _ = write!(out, "{g:>9.1} GB/s");
                }
                out.push('\n');
            }
            out
        },
    )?;
    Ok(Code::Done)
}
