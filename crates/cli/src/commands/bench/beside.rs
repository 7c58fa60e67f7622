//! `gauntlet bench step --beside`: steps of two recipes take turns, so that a busy machine slows both alike.

use super::subject::Bench;
use crate::arguments::BenchStep;
use crate::exit::{Code, Failure};
use crate::session::Session;
use gauntlet::autograd::kernels::awake;
use gauntlet::records::statistics::median_interval;
use serde_json::json;
use std::time::Instant;

pub(super) fn beside(session: &Session, arguments: &BenchStep, other: &str) -> Result<Code, Failure> {
    let (mut first, mut second) = (Bench::new(session, arguments)?, Bench::new(session, arguments)?);
    let model = first.model();
    let mut steps = [first.step(&session.registry, &arguments.recipe)?, second.step(&session.registry, other)?];
    for _ in 0..2 {
        steps.iter_mut().try_for_each(|step| step())?;
    }
    let pairs = awake(|| {
        let (begun, mut pairs) = (Instant::now(), Vec::new());
        while pairs.len() < arguments.least.get() || begun.elapsed().as_secs_f64() < arguments.seconds {
            // Who goes first changes from pair to pair.
            let first = pairs.len() % 2;
            let mut pair = [0.0; 2];
            for which in [first, 1 - first] {
                let start = Instant::now();
                steps[which]()?;
                pair[which] = 1e3 * start.elapsed().as_secs_f64();
            }
            pairs.push(pair);
        }
        Ok::<_, Failure>(pairs)
    })?;
    let over = |f: &dyn Fn(&[f64; 2]) -> f64| -> (f64, f64, f64) {
        let mut values: Vec<f64> = pairs.iter().map(f).collect();
        values.sort_by(f64::total_cmp);
        median_interval(&values)
    };
    let (ratio, low, high) = over(&|[a, b]| b / a);
    let (difference, shorter, longer) = over(&|[a, b]| 1e3 * (b - a));
    let (ms, beside_ms) = (over(&|p| p[0]).0, over(&|p| p[1]).0);
    let threads = rayon::current_num_threads();
    session.result(
        || {
            json!({
                "model": model, "recipe": arguments.recipe, "beside": other, "batch": arguments.batch,
                "dtype": arguments.dtype, "threads": threads, "pairs": pairs.len(), "ms_median": ms,
                "beside_ms_median": beside_ms, "ratio": ratio, "ratio_low": low, "ratio_high": high,
                "difference_us": difference, "difference_us_low": shorter, "difference_us_high": longer,
            })
        },
        || {
            format!(
                "{model}, batch {}, {threads} threads, {} pairs: {} {ms:.3} ms, {other} {beside_ms:.3} ms, ratio {ratio:.4} \
                 (95 %: {low:.4} to {high:.4}), difference {difference:.1} µs ({shorter:.1} to {longer:.1})\n",
                arguments.batch,
                pairs.len(),
                arguments.recipe,
            )
        },
    )?;
    Ok(Code::Done)
}
