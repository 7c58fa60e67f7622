//! What the tests of evaluations look things up in.

use gauntlet_core::Registry;

/// The built-in models and attacks.
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    gauntlet_attacks::register(&mut registry).unwrap();
    registry
}
