//! How a function is bound.

use rhai::{Engine, RhaiNativeFunc, Variant};

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

/// Binds functions to an engine, and lists them.
pub(super) struct Binder<'e> {
    pub(super) engine: &'e mut Engine,
    pub(super) bound: Vec<Bound>,
}

impl Binder<'_> {
    /// Binds a function under the name in its signature; nothing is bound that is not listed.
    pub(super) fn bind<A: 'static, const N: usize, const X: bool, R: Variant + Clone, const F: bool>(
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
    pub(super) fn operator<A: 'static, const N: usize, const X: bool, R: Variant + Clone, const F: bool>(
        &mut self,
        symbol: &str,
        function: impl RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    ) {
        self.engine.register_fn(symbol, function);
    }
}
