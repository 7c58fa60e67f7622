//! The family of an attack that is listed.

use gauntlet::core::{About, Registry};
use gauntlet::records::Family;
use serde_json::Map;

/// What an attack goes by, with its defaults.
pub(super) fn of(registry: &Registry, spec: &About) -> Option<Family> {
    let given = Map::from_iter([("name".to_string(), spec.name.as_str().into())]);
    match registry.plan(&given) {
        Ok((plan, _)) => Some(plan.family()),
        // One that is made of others is not built without them; of a plug-in's nothing is known then.
        Err(_) => (spec.origin == "built-in").then(|| Family::of_name(&spec.name)),
    }
}
