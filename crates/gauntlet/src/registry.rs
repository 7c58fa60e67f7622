//! The built-in components.

use gauntlet_core::{Registry, Result};

/// Every built-in recipe, penalty, attack, objective and model, and recipes written as scripts where this is built with them.
///
/// One's own are added to its tables: `registry.attacks.add(SPEC)?`.
///
/// # Errors
/// A name that is registered twice.
pub fn registry() -> Result<Registry> {
    let mut registry = Registry::default();
    gauntlet_attacks::register(&mut registry)?;
    gauntlet_models::register(&mut registry)?;
    gauntlet_recipes::register(&mut registry)?;
    #[cfg(feature = "scripts")]
    gauntlet_script::register(&mut registry);
    Ok(registry)
}
