#![doc = include_str!("../../../docs/scripts.md")]

mod bindings;
mod complaint;
mod explanation;
mod language;
mod loan;
mod nearest;
mod ran;
mod recipe;
mod script;
mod scripts;
mod spelling;
mod term_name;

pub use bindings::Bound;
pub use complaint::Complaint;
pub use language::{MAX_CALLS, MAX_OPERATIONS};
pub use loan::{INPUTS, MAX_ALL_OPERATIONS, MAX_ELEMENTS, MAX_LARGEST, MAX_ORDER, MAX_PASSES, MAX_TENSOR_OPERATIONS};
pub use recipe::ScriptRecipe;
pub use script::{Constant, Script};
pub use scripts::{PREFIX, SHIPPED, Scripts};

use gauntlet_core::Registry;
use std::sync::Arc;

/// Lets suites name recipes `script:<file>`.
pub fn register(registry: &mut Registry) {
    registry.recipes.set_source(Arc::new(Scripts::default()));
}

/// Everything that scripts can call, in the order of the documentation.
pub fn bound() -> &'static [Bound] {
    language::bound()
}
