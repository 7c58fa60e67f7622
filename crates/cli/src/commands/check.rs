//! `gauntlet check`: what a suite would do, or whether a recipe keeps its promises.

mod recipe;
mod suite;

use crate::arguments::Check;
use crate::exit::{Code, Failure};
use crate::session::Session;
use crate::{component, suites};

/// A script by its file; a suite that exists; then a recipe or penalty, by name or as a table.
pub(crate) fn check(session: &Session, arguments: &Check) -> Result<Code, Failure> {
    let given = arguments.what.trim();
    if given.ends_with(".rhai") && !given.starts_with(gauntlet::script::PREFIX) {
        return recipe::check(session, &format!("{}{given}", gauntlet::script::PREFIX));
    }
    if suites::exists(given) {
        return suite::check(session, arguments);
    }
    let looks_like_a_suite = given.ends_with(".toml") || (given.contains('/') && !given.starts_with(['{']));
    let r = &session.registry;
    let name = component::parse("recipe", given)?;
    let name = name.get("name").and_then(|n| n.as_str()).unwrap_or_default();
    if given.starts_with('{') || r.recipes.contains(name) || r.penalties.contains(name) {
        return recipe::check(session, given);
    }
    if looks_like_a_suite {
        // Says that the file does not exist.
        return suite::check(session, arguments);
    }
    let recipes = r.recipes.iter().map(|s| s.name.to_string()).chain(r.penalties.iter().map(|s| s.name.to_string()));
    let known: Vec<String> = suites::names().into_iter().chain(recipes).collect();
    let error = gauntlet::core::Error::unknown("suite or recipe", given, known.iter().map(String::as_str));
    Err(Failure::user(format!("{error}: gauntlet list suites, gauntlet list recipes")))
}
