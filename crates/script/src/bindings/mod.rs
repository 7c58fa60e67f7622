//! What scripts can call.

mod constants;
mod elementwise;
mod layers;
mod numbers;
mod reductions;
mod shapes;
mod step;

pub(crate) use step::StepHandle;

use crate::explanation::Ran;
use gauntlet_autograd::Var;
use gauntlet_core::Term;
use rhai::{Dynamic, Engine, RhaiNativeFunc, Variant};

/// A function that scripts can call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Name and parameters; `f(x, ..)` can be written `x.f(..)`.
    pub signature: &'static str,
    /// One line.
    pub doc: &'static str,
}

impl Bound {
    /// The function's name.
    pub fn name(&self) -> &'static str {
        self.signature.split('(').next().unwrap_or_default()
    }
}

/// Binds everything.
pub(crate) fn bind(engine: &mut Engine) -> Vec<Bound> {
    engine.register_type_with_name::<Var>("Var");
    engine.register_type_with_name::<StepHandle>("Step");
    engine.register_type_with_name::<step::Labels>("Labels");
    engine.register_type_with_name::<Term>("Term");
    let mut binder = Binder { engine, bound: Vec::new() };
    step::bind(&mut binder);
    reductions::bind(&mut binder);
    elementwise::bind(&mut binder);
    shapes::bind(&mut binder);
    layers::bind(&mut binder);
    constants::bind(&mut binder);
    numbers::bind(&mut binder);
    binder.bound
}

struct Binder<'e> {
    engine: &'e mut Engine,
    bound: Vec<Bound>,
}

impl Binder<'_> {
    /// Binds a function under the name in its signature; nothing is bound that is not listed.
    fn bind<A: 'static, const N: usize, const X: bool, R: Variant + Clone, const F: bool>(
        &mut self,
        signature: &'static str,
        doc: &'static str,
        function: impl RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    ) {
        let bound = Bound { signature, doc };
        self.engine.register_fn(bound.name(), function);
        self.bound.push(bound);
    }

    /// An operator; they are described together.
    fn operator<A: 'static, const N: usize, const X: bool, R: Variant + Clone, const F: bool>(
        &mut self,
        symbol: &str,
        function: impl RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    ) {
        self.engine.register_fn(symbol, function);
    }
}

/// A number, whole or not.
fn number(what: &str, value: &Dynamic) -> Ran<f64> {
    let found = value.as_float().or_else(|_| value.as_int().map(|n| n as f64));
    found.map_err(|kind| format!("{what} must be a number, got {kind}").into())
}

/// A whole number of at least 0.
fn whole(what: &str, value: i64) -> Ran<usize> {
    usize::try_from(value).map_err(|_| format!("{what} must be at least 0, got {value}").into())
}

/// A list of whole numbers.
fn wholes(what: &str, values: rhai::Array) -> Ran<Vec<usize>> {
    let one = |v: Dynamic| {
        let n = v.as_int().map_err(|kind| format!("{what} must be whole numbers, got {kind}"))?;
        whole(what, n)
    };
    values.into_iter().map(one).collect()
}

/// A list of numbers.
fn numbers(what: &str, values: &rhai::Array) -> Ran<Vec<f64>> {
    values.iter().map(|v| number(what, v)).collect()
}
