//! `gauntlet bench step`: how long a training step takes.

use super::peak::{peak, peak_rss_mb};
use super::subject::Bench;
use super::times::Times;
use crate::arguments::BenchStep;
use crate::exit::{Code, Failure};
use crate::session::Session;
use gauntlet::autograd::kernels::work;
use serde_json::json;

pub(super) fn step(session: &Session, arguments: &BenchStep) -> Result<Code, Failure> {
    if !(arguments.seconds >= 0.0 && arguments.seconds.is_finite()) {
        return Err(Failure::user(format!("--seconds must be at least 0, got {}", arguments.seconds)));
    }
    if let Some(other) = &arguments.beside {
        return super::beside::beside(session, arguments, other);
    }
    let mut bench = Bench::new(session, arguments)?;
    let model = bench.model();
    let mut step = bench.step(&session.registry, &arguments.recipe)?;
    step()?;
    let before = work::flops();
    step()?;
    let gflop = (work::flops() - before) as f64 / 1e9;
    let mut times = Times::measure(arguments.least.get(), arguments.seconds, &mut step)?;
    let rss = peak_rss_mb(); // before the peak's own matrices
    // A CPU's peak says nothing about a GPU's share.
    let peak = if session.compute.is_gpu() { f64::NAN } else { peak()? };
    let mut lines = std::io::stdin().lines();
    loop {
        say(session, arguments, &model, &times, (gflop, peak, rss))?;
        if !arguments.again || !matches!(lines.next(), Some(Ok(_))) {
            return Ok(Code::Done);
        }
        times = Times::measure(arguments.least.get(), arguments.seconds, &mut step)?;
    }
}

fn say(
    session: &Session,
    arguments: &BenchStep,
    model: &str,
    times: &Times,
    (gflop, peak, rss): (f64, f64, Option<f64>),
) -> Result<(), Failure> {
    let rate = gflop / times.median() * 1e3;
    session.result(
        || {
            json!({
                "model": model, "recipe": arguments.recipe, "batch": arguments.batch, "dtype": arguments.dtype,
                "threads": rayon::current_num_threads(), "ms_median": times.median(), "ms_min": times.min(),
                "n": times.0.len(), "peak_rss_mb": rss, "gflop": gflop, "gflop_per_s": rate,
                "peak_gflop_per_s": peak,
            })
        },
        || {
            format!(
                "{model} {}, batch {}, {} threads: {:.2} ms (median of {}, least {:.2}), {:.1} GFLOP, {:.0} GFLOP/s, \
                 {:.0} % of a matrix product's {:.0}, {:.0} MiB at most\n",
                arguments.recipe,
                arguments.batch,
                rayon::current_num_threads(),
                times.median(),
                times.0.len(),
                times.min(),
                gflop,
                rate,
                100.0 * rate / peak,
                peak,
                rss.unwrap_or(f64::NAN),
            )
        },
    )
}
