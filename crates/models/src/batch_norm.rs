//! Batch norm as a layer with PyTorch's names, statistics and momentum.

use gauntlet_autograd::Var;
use gauntlet_core::{Activation, BatchStats, Init, Mode, ParamSpec, Params, Pass, Result};

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

/// Layer `name` and what follows it: the batch's statistics in train mode, which are handed to the pass, the running ones in
/// eval mode.
pub(crate) fn apply(params: &Params, name: &str, x: &Var, act: Activation, pass: &mut Pass<'_>) -> Result<Var> {
    let get = |leaf: &str| params.get(&format!("{name}.{leaf}"));
    let (gamma, beta) = (get("weight")?, get("bias")?);
    // A rectifier comes along in the same pass.
    let rectified = act == Activation::Relu;
    let y = if pass.mode == Mode::Eval {
        let (mean, var) = (get("running_mean")?.tensor(), get("running_var")?.tensor());
        if rectified {
            x.batch_norm_relu_eval(gamma, beta, mean, var, EPS)?
        } else {
            x.batch_norm_eval(gamma, beta, mean, var, EPS)?
        }
    } else {
        let (y, mean, var) =
            if rectified { x.batch_norm_relu_train(gamma, beta, EPS)? } else { x.batch_norm_train(gamma, beta, EPS)? };
        pass.stats.push(BatchStats { layer: name.to_string(), mean, var, momentum: MOMENTUM });
        y
    };
    if rectified { Ok(y) } else { act.apply(&y) }
}
