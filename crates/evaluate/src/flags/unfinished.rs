//! Attacks that were stopped too early, or could not get to the end of their budget.

use crate::flags::measures::{flag, percents, same_threat, share};
use gauntlet_core::{Registry, ThreatModel, budget};
use gauntlet_records::{Attacked, Family, Fate, Flag, Verdict};
use serde_json::Map;

/// Share of all examples that only the last of several restarts, or the last tenth of the steps, broke.
const LATE: f64 = 0.01;
/// Points that four times the steps or restarts may gain.
const MORE: f64 = 1.0;

/// The attack was still winning when it ended.
pub(super) fn late(cell: &Attacked, randomised: bool) -> Vec<Flag> {
    let mut raised = Vec::new();
    // Which of several restarts fools most draws is luck.
    if cell.family() != Family::Gradient || randomised {
        return raised;
    }
    let number = |name: &str| cell.parameters["args"][name].as_u64().unwrap_or(1) as u32;
    let (steps, restarts) = (number("steps"), number("restarts"));
    let broken = |v: &&Verdict| v.fate == Fate::Broken;
    let last = share(cell, |v| broken(v) && restarts > 1 && v.restart + 1 == restarts);
    if last > LATE {
        raised.push(flag(
            "restarts-still-gain",
            format!(
                "the last of {restarts} restarts of {} still broke {:.1} % of the examples at {} {}: more would break more",
                cell.attack,
                100.0 * last,
                cell.norm,
                cell.eps
            ),
        ));
    }
    // Where every step is taken, it is at the end that the loss is highest.
    let every_step = number("draws") > 1 || cell.verdicts.iter().any(|v| v.fooled.is_some());
    let tenth = share(cell, |v| broken(v) && !every_step && steps >= 10 && v.steps * 10 > steps * 9);
    if tenth > LATE {
        raised.push(flag(
            "steps-still-gain",
            format!(
                "{:.1} % of the examples fell in the last tenth of the {steps} steps of {} at {} {}: it was stopped too early",
                100.0 * tenth,
                cell.attack,
                cell.norm,
                cell.eps
            ),
        ));
    }
    raised
}

/// The same attack with four times the steps or restarts finds clearly more.
pub(super) fn more(attacked: &[Attacked], raised: &mut Vec<Flag>) {
    let number = |c: &Attacked, name: &str| c.parameters["args"][name].as_u64().unwrap_or(1);
    for a in attacked.iter().filter(|c| c.family() == Family::Gradient) {
        for b in attacked.iter().filter(|b| b.name() == a.name() && same_threat(a, b)) {
            for what in ["steps", "restarts"] {
                let (few, many) = (number(a, what), number(b, what));
                let gain = percents(a, b).map_or(0.0, |(left, right)| left - right);
                if many >= 4 * few && gain > MORE {
                    raised.push(flag(
                        "more-still-gains",
                        format!(
                            "{} with {many} {what} leaves {gain:.2} points less than {} with {few} at {} {}: look at the \
                             longer one, and try a longer one still",
                            b.attack, a.attack, a.norm, a.eps
                        ),
                    ));
                }
            }
        }
    }
}

/// Attacks that cannot get from the clean image to the end of their budget: steps × α < ε.
pub(super) fn out_of_reach(attacked: &[Attacked], registry: &Registry) -> Vec<Flag> {
    let mut raised = Vec::new();
    for cell in attacked {
        let mut given = Map::from_iter([("name".to_string(), cell.name().into())]);
        given.extend(cell.parameters["args"].as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
        let Ok((plan, _)) = registry.plan(&given) else { continue };
        let found = budget::out_of_reach(&plan, &ThreatModel::new(cell.norm, cell.eps.value()));
        let Some((name, reach)) = found else { continue };
        let start = if reach.random_start { "its random start" } else { "the clean image" };
        let by = if name == cell.attack { String::new() } else { format!(" of {}", cell.attack) };
        raised.push(flag(
            "budget-out-of-reach",
            format!(
                "{} of {name}{by} get {} far from {start} at {} {}: of the rest of the ball it says nothing",
                budget::in_words(&reach),
                budget::short(reach.length()),
                cell.norm,
                cell.eps
            ),
        ));
    }
    raised
}
