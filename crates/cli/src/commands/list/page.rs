//! The pages of recipes and of attacks, docs/recipes.md and docs/attacks.md: everything that their `Spec`s say.

use crate::commands::list::family;
use gauntlet::core::attack::Backwards;
use gauntlet::core::{About, Plan, Registry, Result};
use gauntlet::engine::step_cost;
use gauntlet::evaluate::Kind;
use gauntlet::records::Family;
use serde_json::{Map, json};
use std::fmt::Write;

/// How the page of recipes begins.
const RECIPES: &str = "\
<!-- Written by `gauntlet list recipes --markdown > docs/recipes.md`; a test compares. -->
# Recipes

Built-in training objectives. A *recipe* is a base; a *penalty* is added to any base (`penalties = [{ name = \"grad-norm\",
weight = 0.1 }]`), and its name alone means `ce` plus the penalty. Every penalty takes `ramp`, epochs over which its weight grows
from 0. Every loss is Σₖ weightₖ · meanₙ qₖ(n), a mean over
examples of per-example quantities: ℓ is the cross-entropy, x the pixels in [0,1], ∇ₓℓ the gradient of an example's own loss,
so no batch size, image size or input deviation hides in a weight.

`gauntlet check NAME` checks what every one of them promises (derivatives to second order, units, batches, determinism) and
measures the cost of its steps against `ce`. The cost here is counted: multiply-adds of a step (replays included) beside those of
`ce`, on lenet-small, with the defaults and what `check` fills in for required parameters; a step of `ce` is about three forwards.
Recipes of your own: [your-loss-in-ten-minutes.md](your-loss-in-ten-minutes.md).
";

/// Images in a counted step: the ratio hardly depends on them.
const EXAMPLES: usize = 16;

/// A table of all built-in recipes and penalties, then each with its parameters.
pub(super) fn recipes(registry: &Registry) -> Result<String> {
    let built_in = |origin: &str| origin == "built-in";
    let recipes: Vec<_> = registry.recipes.iter().filter(|s| built_in(&s.origin)).collect();
    let penalties: Vec<_> = registry.penalties.iter().filter(|s| built_in(&s.origin)).collect();
    let mut out = format!("{RECIPES}\n| name | kind | cost | what |\n| :-- | :-- | --: | :-- |\n");
    for s in &recipes {
        let cost = cost(registry, Kind::Recipe, &s.name)?;
        let _ = writeln!(out, "| `{}` | recipe | {cost:.1} | {} |", s.name, cell(&s.summary));
    }
    for s in &penalties {
        let cost = cost(registry, Kind::Penalty, &s.name)?;
        let _ = writeln!(out, "| `{}` | penalty | {cost:.1} | {} |", s.name, cell(&s.summary));
    }
    for s in recipes {
        section(&mut out, "recipe", &s);
    }
    for s in penalties {
        section(&mut out, "penalty", &s);
    }
    Ok(out)
}

/// How the page of attacks begins.
const ATTACKS: &str = "\
<!-- Written by `gauntlet list attacks --markdown > docs/attacks.md`; a test compares. -->
# Attacks

What a suite or `gauntlet attack` can run. Pixels are in [0,1], ε is written as it is meant (`8/255`, `0.3`); an attack proposes, the
referee judges: a proposal counts if it is finite, inside the box and the budget, and misclassified. Randomness is keyed by the example,
never by its place in a batch. The *family* says what an attack uses, and decides what its result says beside others'
([flags.md](flags.md)): `one-step` and `gradient` follow the loss's gradient inside the budget, `minimal` looks for the smallest
perturbation (one run answers every ε), `scores` sees logits alone, `decisions` predicted classes alone (and looks for the smallest
perturbation), `noise` nothing, `transfer` crafts on another model, `ensemble` runs several in a row, each on what the others left. *Sees*
counts the pull-backs through one forward.

In L0 a budget is a whole number of *values*: every channel of a pixel counts for itself. Attacks whose published code counts pixels say
so, and take whole pixels with `pixels = true`.

Common to all: `norm`, `eps` (a list), `carry`, `take`, `sample` and `all` in `[[attack]]` ([suites.md](suites.md)).
";

/// A table of all built-in attacks, then each with its parameters, then the objectives.
pub(super) fn attacks(registry: &Registry) -> String {
    let mut out = format!("{ATTACKS}\n| name | family | norms | sees | what |\n| :-- | :-- | :-- | :-- | :-- |\n");
    let attacks: Vec<_> = registry.attacks.iter().filter(|s| s.origin == "built-in").collect();
    for s in &attacks {
        let family = family::of(registry, s).map_or("–".to_string(), |f| f.to_string());
        let built = registry.plan(&Map::from_iter([("name".to_string(), json!(s.name))])).ok();
        let of = |told: &dyn Fn(&Plan) -> String| built.as_ref().map_or("–".into(), |(plan, _)| told(plan));
        let norms = of(&|plan| plan.norms().iter().map(|n| n.symbol()).collect::<Vec<_>>().join(", "));
        let sees = of(&|plan| match plan {
            Plan::Single(attack) => match attack.backwards() {
                Backwards::None if attack.family() == Family::Decisions => "classes".into(),
                Backwards::None => "logits".into(),
                Backwards::One => "one gradient".into(),
                Backwards::PerClass => "a gradient per class".into(),
            },
            Plan::Ensemble(_) => "as its attacks".into(),
            Plan::Transfer { attack, .. } => format!("as {}, of the other model", attack.name()),
        });
        let _ = writeln!(out, "| `{}` | {family} | {norms} | {sees} | {} |", s.name, cell(&s.summary));
    }
    for s in attacks {
        section(&mut out, "attack", &s);
    }
    out.push_str("\n# Objectives\n\nWhat an attack along the gradient ascends: `objective = \"dlr\"`, or a table with its parameters.\n");
    for s in registry.objectives.iter().filter(|s| s.origin == "built-in") {
        section(&mut out, "objective", &s);
    }
    out.push_str(LEFT_OUT);
    for out_of in gauntlet::attacks::left_out::LEFT_OUT {
        let _ = writeln!(out, "| {} | {} | {} |", out_of.name, out_of.libraries, cell(out_of.why));
    }
    out
}

/// How the list of what other libraries have begins.
const LEFT_OUT: &str = "
# What other libraries have and this one has not

Attacks that two or more of them have, with the reason. Those of one library alone are not listed.

| attack | libraries | why not |
| :-- | :-- | :-- |
";

/// Multiply-adds of a step beside those of `ce`.
fn cost(registry: &Registry, kind: Kind, name: &str) -> Result<f64> {
    let named = |name: &str| Map::from_iter([("name".to_string(), json!(name))]);
    let (network, _) = registry.model(&named("lenet-small"), (1, 28, 28), 10)?;
    let found = step_cost(registry, kind, &named(name), &network, EXAMPLES);
    Ok(found.map_err(|e| gauntlet::core::Error::Message(e.to_string()))?.arithmetic)
}

fn section(out: &mut String, kind: &str, spec: &About) {
    let _ = writeln!(out, "\n## {} ({kind})\n{}.\n", spec.name, sentence(&spec.summary));
    let _ = writeln!(out, "```text\n{}\n```", spec.formula);
    if !["", "-"].contains(&spec.paper.as_str()) {
        let _ = writeln!(out, "Source: {}.", spec.paper);
    }
    if spec.params.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n| parameter | type | default | unit | |\n| :-- | :-- | :-- | :-- | :-- |");
    for p in &spec.params {
        let default = if p.default.is_empty() { "required".into() } else { format!("`{}`", p.default) };
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {} |",
            p.name,
            cell(&p.kind.to_string()),
            cell(&default),
            cell(&p.unit),
            cell(&p.doc)
        );
    }
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default() + letters.as_str()
}
