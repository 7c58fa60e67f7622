//! The language of recipe scripts: Rhai without files, network, clock, randomness of its own, printing or `eval`, and
//! with limits.

use crate::bindings::{self, Bound};
use rhai::packages::{ArithmeticPackage, BasicIteratorPackage, LogicPackage, Package};
use rhai::{Array, Engine};
use std::sync::OnceLock;

/// Operations of the language in one step, those on tensors apart.
pub const MAX_OPERATIONS: u64 = 100_000;
/// Calls of functions inside one another.
pub const MAX_CALLS: usize = 32;
/// Depth of an expression.
const MAX_DEPTH: usize = 48;
/// Items of an array, characters of a text, variables.
pub(crate) const MAX_SIZE: usize = 4096;

struct Language {
    engine: Engine,
    bound: Vec<Bound>,
}

fn language() -> &'static Language {
    static LANGUAGE: OnceLock<Language> = OnceLock::new();
    LANGUAGE.get_or_init(|| {
        let mut engine = bare();
        engine.set_strict_variables(true);
        // Operators between numbers, comparisons, `for` over ranges and arrays; all named functions are bound by us.
        ArithmeticPackage::new().register_into_engine(&mut engine);
        LogicPackage::new().register_into_engine(&mut engine);
        BasicIteratorPackage::new().register_into_engine(&mut engine);
        engine.register_iterator::<Array>();
        let bound = bindings::bind(&mut engine);
        Language { engine, bound }
    })
}

/// Parses and runs scripts.
pub(crate) fn engine() -> &'static Engine {
    &language().engine
}

/// What scripts can call.
pub(crate) fn bound() -> &'static [Bound] {
    &language().bound
}

/// An engine that knows the grammar and the limits, and nothing else.
pub(crate) fn bare() -> Engine {
    let mut engine = Engine::new_raw();
    engine
        .set_max_operations(MAX_OPERATIONS)
        .set_max_call_levels(MAX_CALLS)
        .set_max_expr_depths(MAX_DEPTH, MAX_DEPTH)
        .set_max_array_size(MAX_SIZE)
        .set_max_string_size(MAX_SIZE)
        .set_max_map_size(MAX_SIZE)
        .set_max_variables(MAX_SIZE)
        .set_allow_anonymous_fn(false);
    engine
}
