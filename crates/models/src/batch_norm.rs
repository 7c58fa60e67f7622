//! Batch norm as a layer with PyTorch's names, statistics and momentum.

use gauntlet_autograd::Var;
use gauntlet_core::{BatchStats, Init, Mode, ParamSpec, Params, Pass, Result};

const EPS: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// `weight`, `bias`, `running_mean`, `running_var` of layer `name`.
pub(crate) fn specs(name: &str, channels: usize) -> [ParamSpec; 4] {
    let spec = |leaf: &str, value, trainable| ParamSpec {
        name: format!("{name}.{leaf}"),
        shape: vec![channels],
        init: Init::Constant(value),
        trainable,
    };
    [
        spec("weight", 1.0, true),
        spec("bias", 0.0, true),
        spec("running_mean", 0.0, false),
        spec("running_var", 1.0, false),
    ]
}

/// Layer `name`: the batch's statistics in train mode, which are handed to the pass, the running ones in eval mode.
pub(crate) fn apply(params: &Params, name: &str, x: &Var, pass: &mut Pass<'_>) -> Result<Var> {
    let get = |leaf: &str| params.get(&format!("{name}.{leaf}"));
    let (gamma, beta) = (get("weight")?, get("bias")?);
    if pass.mode == Mode::Eval {
        let (mean, var) = (get("running_mean")?.tensor(), get("running_var")?.tensor());
        return Ok(x.batch_norm_eval(gamma, beta, mean, var, EPS)?);
    }
    let (y, mean, var) = x.batch_norm_train(gamma, beta, EPS)?;
    pass.stats.push(BatchStats { layer: name.to_string(), mean, var, momentum: MOMENTUM });
    Ok(y)
}
