//! The training step.

use super::binder::Binder;
use super::values::{number, wholes};
use crate::loan::{differentiation, drawn, pass, step};
use crate::ran::Ran;
use crate::term_name;
use candle_core::Tensor;
use gauntlet_autograd::kernels::numbers_like;
use gauntlet_autograd::{Error as GradError, Graph, Var};
use gauntlet_core::{Error, Mode, Step, Term};
use rhai::{Array, Dynamic};

/// Fixed draws of one training: they are images, and are saved with it.
const MAX_FIXED: usize = 16;

/// What a script holds as `step`; the step itself is lent to the thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepHandle;

/// Labels `(N,)`.
#[derive(Debug, Clone)]
pub(crate) struct Labels(pub(super) Tensor);

pub(super) fn bind(b: &mut Binder<'_>) {
    network(b);
    b.bind("term(name, weight, values)", "a term: weight · mean over examples of `values`, `(N,)`", term);
    b.bind("logged(name, values)", "a term that is logged and not optimised", |name: &str, values: Var| {
        term(name, 0.into(), values.detach())
    });
    b.bind("labels(step)", "the labels", |_: StepHandle| step(|s| Ok(Labels(s.labels().clone()))));
    b.bind("classes(step)", "number of classes K", |_: StepHandle| step(|s| Ok(s.model().classes as i64)));
    position(b);
    draws(b);
}

fn network(b: &mut Binder<'_>) {
    b.bind("input(step)", "the images, pixels `(N, C, H, W)` in [0, 1], to differentiate by", |_: StepHandle| {
        step(|s| Ok(s.input()))
    });
    b.bind("forward(step, x)", "train-mode logits `(N, K)`, once per x", |_: StepHandle, x: Var| {
        pass(&x, |s| s.forward(&x))
    });
    b.bind(
        "forward_in(step, x, mode)",
        "logits with batch norm and dropout in mode \"train\" or \"eval\"",
        |_: StepHandle, x: Var, mode: &str| {
            let mode = match choice("mode", mode, &["train", "eval"])? {
                "eval" => Mode::Eval,
                _ => Mode::Train,
            };
            pass(&x, |s| s.forward_in(&x, mode))
        },
    );
    b.bind(
        "cross_entropy(step, x)",
        "cross-entropy of x's logits against the labels, `(N,)`, once per x",
        |_: StepHandle, x: Var| pass(&x, |s| s.cross_entropy(&x)),
    );
    b.bind("teacher_logits(step, x)", "logits of the row's teacher, a constant `(N, K)`", |_: StepHandle, x: Var| {
        pass(&x, |s| Ok(Var::constant(s.teacher()?.logits(x.tensor())?)))
    });
    b.bind(
        "input_gradient(step, values, x)",
        "∂(Σ values)/∂x per example, shape of x, with its graph: a loss of it trains the network",
        |_: StepHandle, values: Var, x: Var| input_gradient(&values, &x, "keep"),
    );
    b.bind(
        "input_gradient(step, values, x, graph)",
        "`graph`: \"keep\", or \"cut\", the popular reading in which it is a constant and a loss of it trains nothing",
        |_: StepHandle, values: Var, x: Var, graph: &str| input_gradient(&values, &x, graph),
    );
}

fn position(b: &mut Binder<'_>) {
    b.bind("epoch(step)", "the epoch, from 0", |_: StepHandle| step(|s| Ok(i64::from(s.position().epoch))));
    b.bind("epochs(step)", "epochs in all", |_: StepHandle| step(|s| Ok(i64::from(s.position().epochs))));
    b.bind("epochs_done(step)", "epochs done, with fraction", |_: StepHandle| step(|s| Ok(s.position().epochs_done())));
}

/// Draws are keyed by training seed, name, data set row and step: they do not depend on the batch.
fn draws(b: &mut Binder<'_>) {
    b.bind(
        "normal_pixels(step, what)",
        "N(0, 1) for every pixel of the input, fresh in every step; `what` names the draw",
        |_: StepHandle, what: &str| drawn(&[], true, |s| s.normal_pixels(what)),
    );
    b.bind(
        "uniform_pixels(step, what, low, high)",
        "uniform in [low, high) for every pixel of the input",
        |_: StepHandle, what: &str, low: Dynamic, high: Dynamic| {
            let range = (number("low", &low)?, number("high", &high)?);
            drawn(&[], true, |s| s.uniform_pixels(what, range))
        },
    );
    b.bind("normal(step, what, dims)", "N(0, 1), `(N, dims..)`", |_: StepHandle, what: &str, dims: Array| {
        let dims = wholes("dims", dims)?;
        drawn(&dims, true, |s| s.normal(what, &dims))
    });
    b.bind(
        "uniform(step, what, dims, low, high)",
        "uniform in [low, high), `(N, dims..)`",
        |_: StepHandle, what: &str, dims: Array, low: Dynamic, high: Dynamic| {
            let (dims, range) = (wholes("dims", dims)?, (number("low", &low)?, number("high", &high)?));
            drawn(&dims, true, |s| s.uniform(what, &dims, range))
        },
    );
    b.bind(
        "fixed_normal(step, what)",
        "one image of N(0, 1) for the whole training, drawn from its seed and repeated for every example",
        |_: StepHandle, what: &str| drawn(&[], true, |s| fixed_normal(s, what)),
    );
}

fn choice<'a>(what: &str, given: &str, among: &[&'a str]) -> Ran<&'a str> {
    let found = among.iter().find(|a| **a == given).copied();
    found.ok_or_else(|| {
        let near = crate::nearest::nearest(given, among.iter().copied());
        format!("{what} must be one of {}, got {given:?}{near}", among.join(", ")).into()
    })
}

fn input_gradient(values: &Var, x: &Var, graph: &str) -> Ran<Var> {
    let graph = match choice("graph", graph, &["keep", "cut"])? {
        "cut" => Graph::Free,
        _ => Graph::Keep,
    };
    differentiation(values, |s| {
        s.input_gradient(values, x, graph).map_err(|error| match error {
            Error::Autograd(GradError::Unreached { .. }) => Error::Message(
                "input_gradient: the values do not depend on x; they were computed from another variable, or x is a \
                 constant (`leaf(x)` makes something to differentiate by)"
                    .into(),
            ),
            other => other,
        })
    })
}

/// Kept in the recipe's memory, which is saved with the training.
fn fixed_normal(s: &mut Step<'_>, what: &str) -> gauntlet_core::Result<Var> {
    let x = s.input();
    let kept = format!("fixed_normal.{what}");
    if !s.memory().contains_key(&kept) {
        if s.memory().keys().filter(|k| k.starts_with("fixed_normal.")).count() >= MAX_FIXED {
            let why = "a fixed draw must have the same name in every step";
            return Err(Error::Message(format!("more than {MAX_FIXED} fixed draws: {why}")));
        }
        let mut stream = s.key().named(what).stream(0, 0, 0);
        let mut dims = x.dims().to_vec();
        dims[0] = 1;
        let values: Vec<f64> = (0..dims.iter().product()).map(|_| stream.normal()).collect();
        let image = numbers_like(&values, &dims, x.tensor())?;
        s.memory().insert(kept.clone(), image);
    }
    Ok(Var::constant(s.remembered(&kept)?.clone()).broadcast_to(x.dims())?)
}

fn term(name: &str, weight: Dynamic, values: Var) -> Ran<Term> {
    let weight = number("weight", &weight)?;
    if !weight.is_finite() {
        return Err(format!("the weight of term {name:?} is {weight}").into());
    }
    let n = step(|s| Ok(s.ids().len()))?;
    if values.dims() != [n] {
        let dims = values.dims();
        let way_out = match dims {
            [] => "it lost its examples; leave `sum_all` and `mean_all` away, terms are averaged for you",
            _ => "reduce it with `sum_per_example`, `mean_per_example` or a norm",
        };
        return Err(
            format!("term {name:?} has the shape {dims:?} instead of [{n}], a value per example: {way_out}").into()
        );
    }
    Ok(Term::new(term_name::checked(name)?, weight, values))
}
