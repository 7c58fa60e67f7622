//! Which budgets can be meant, and which attacks can get to the end of theirs: decided here, asked wherever one is given.

use crate::about::Param;
use crate::param_kind::ParamKind;
use crate::reach::Reach;
use crate::{Attack, Error, Plan, Result, ThreatModel};
use gauntlet_records::{Eps, Norm};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The smallest budget: the referee's tolerance 10⁻⁶ would be larger than any below it.
pub const LEAST: f64 = 1e-6;

/// Whether a budget can be meant, beside those before it: at least [`LEAST`], not one of `earlier`, and at most the diameter
/// of the box, where every image is within reach of every other: 1 in L∞, √d in L2, d in L1, with d numbers in an image
/// (unknown: L2, L1 and L0 have no upper end). In L0 budgets are whole: d of them. The diameter itself is the unbounded attack that papers check with.
///
/// # Errors
/// What is wrong with it, and what to write instead.
pub fn sensible(eps: &Eps, earlier: &[Eps], norm: Norm, numbers: Option<usize>) -> Result<()> {
    let bad = |why: String| Err(Error::value("eps", why));
    let (value, text) = (eps.value(), eps.to_string());
    if value == 0.0 {
        return bad(format!(
            "must be above 0, got {text:?}: nothing may change then, and what is left is the clean accuracy"
        ));
    }
    if value < LEAST {
        return bad(format!(
            "must be at least {LEAST}, the referee's tolerance, got {text:?}; write pixels of images in [0,1] such as \"8/255\""
        ));
    }
    if norm == Norm::L0 && (value < 1.0 || value.fract() != 0.0) {
        return bad(format!(
            "must be a whole number from 1 in L0, got {text:?}: it is how many values may change, each channel of a pixel counting for \
             itself; three for a pixel in colour"
        ));
    }
    let numbers = numbers.map(|d| d as f64);
    let (diameter, name) = match norm {
        Norm::Linf => (Some(1.0), "1".to_string()),
        Norm::L2 => (numbers.map(f64::sqrt), numbers.map(|d| format!("√{d} = {:.2}", d.sqrt())).unwrap_or_default()),
        Norm::L1 | Norm::L0 => (numbers, numbers.map(|d| d.to_string()).unwrap_or_default()),
    };
    if diameter.is_some_and(|most| value > most) {
        let instead = match (norm, text.contains('/')) {
            (Norm::Linf, false) if value <= 255.0 => format!("for {text} of 255 grey levels write \"{text}/255\""),
            _ => "write a length such as \"8/255\"".to_string(),
        };
        let why = "pixels are in [0,1], and no two images are further apart";
        return bad(format!("must be at most {name} in {}, got {text:?}: {why}; {instead}", norm.symbol()));
    }
    if let Some(same) = earlier.iter().find(|e| *e == eps) {
        let as_written = if same.to_string() == text { String::new() } else { format!(", first as \"{same}\"") };
        return bad(format!("{text:?} is listed twice{as_written}; remove one"));
    }
    Ok(())
}

/// [`sensible`] for each of a list.
///
/// # Errors
/// The first that is not.
pub fn all_sensible(eps: &[Eps], norm: Norm, numbers: Option<usize>) -> Result<()> {
    eps.iter().enumerate().try_for_each(|(i, e)| sensible(e, &eps[..i], norm, numbers))
}

/// [`sensible`] for every argument of a component that is a budget ([`ParamKind::Eps`]); the norm is its argument `norm`, or L∞.
///
/// # Errors
/// The first that is not, under its name: `pgd-at.eps`.
pub fn sensible_arguments(owner: &str, params: &[Param], args: &Map<String, Value>) -> Result<()> {
    let norm = args.get("norm").and_then(Value::as_str).and_then(|n| n.parse().ok()).unwrap_or(Norm::Linf);
    for param in params.iter().filter(|p| p.kind == ParamKind::Eps) {
        let text = match args.get(&param.name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => continue,
        };
        // What is no length at all is the builder's to refuse.
        let Ok(eps) = text.parse::<Eps>() else { continue };
        sensible(&eps, &[], norm, None).map_err(|error| match error {
            Error::Value { why, .. } => Error::value(format!("{owner}.{}", param.name), why),
            other => other,
        })?;
    }
    Ok(())
}

/// The attack, or the stage of it, that cannot get to the end of this budget: steps × α < ε.
pub fn out_of_reach(plan: &Plan, threat: &ThreatModel) -> Option<(String, Reach)> {
    let short = |attack: &Arc<dyn Attack>| {
        let name = if let Plan::Ensemble(_) = plan { attack.name() } else { plan.name() };
        let reach = attack.reach(threat).filter(|reach| reach.length() < threat.eps * (1.0 - 1e-9))?;
        Some((name.to_string(), reach))
    };
    let mut short: Vec<_> = plan.stages(threat.norm).iter().filter_map(short).collect();
    // The worst first: from a fixed start it is an error.
    short.sort_by_key(|(_, reach)| reach.random_start);
    short.into_iter().next()
}

/// Whether an attack can get to the end of a budget. From a random start some points of the ball are within reach whatever the
/// steps, which is a flag of the referee and no error.
///
/// # Errors
/// steps × α < ε from the clean image: how far it gets, and what would do.
pub fn reachable(plan: &Plan, norm: Norm, eps: &Eps) -> Result<()> {
    match out_of_reach(plan, &ThreatModel::new(norm, eps.value())) {
        Some((name, reach)) if !reach.random_start => {
            let enough = (eps.value() / reach.alpha * (1.0 - 1e-9)).ceil();
            Err(Error::value(
                format!("{name}.alpha"),
                format!(
                    "{} get {} far from the clean image and never to ε = {eps} in {}; take {enough} steps or more, a larger alpha \
                     such as \"eps/4\", or leave alpha out",
                    in_words(&reach),
                    short(reach.length()),
                    norm.symbol(),
                ),
            ))
        }
        _ => Ok(()),
    }
}

/// `10 steps of 0.001`.
pub fn in_words(reach: &Reach) -> String {
    let steps = if reach.steps == 1 { "1 step".to_string() } else { format!("{} steps", reach.steps) };
    format!("{steps} of {}", short(reach.alpha))
}

/// A length without the noise of its last digits.
pub fn short(length: f64) -> String {
    let rounded: f64 = format!("{length:.3e}").parse().unwrap_or(length);
    rounded.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eps(text: &str) -> Eps {
        text.parse().unwrap()
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_way_out() {
        for (text, norm, needles) in [
            ("0", Norm::Linf, ["must be above 0", "clean accuracy"]),
            ("0/255", Norm::L2, ["must be above 0", "\"0/255\""]),
            ("1e-30", Norm::Linf, ["at least 0.000001", "8/255"]),
            ("8", Norm::Linf, ["at most 1 in", "\"8/255\""]),
            ("300", Norm::Linf, ["at most 1 in", "a length such as"]),
            ("28.1", Norm::L2, ["at most √784 = 28.00", "\"28.1\""]),
            ("785", Norm::L1, ["at most 784 in", "\"785\""]),
            ("785", Norm::L0, ["at most 784 in", "\"785\""]),
            ("0.3", Norm::L0, ["a whole number from 1 in L0", "\"0.3\""]),
            ("2.5", Norm::L0, ["a whole number from 1 in L0", "\"2.5\""]),
        ] {
            let said = sensible(&eps(text), &[], norm, Some(784)).unwrap_err().to_string();
            assert!(needles.iter().all(|n| said.contains(n)), "{said}");
        }
        // The whole box is the unbounded attack; without an image's size there is no upper end but L∞'s.
        for (text, norm) in
            [("1", Norm::Linf), ("28", Norm::L2), ("784", Norm::L1), ("784", Norm::L0), ("1e-6", Norm::Linf)]
        {
            sensible(&eps(text), &[], norm, Some(784)).unwrap();
        }
        sensible(&eps("1000"), &[], Norm::L2, None).unwrap();
    }

    #[test]
    fn a_budget_that_stands_there_already_is_refused_however_it_is_written() {
        let said = all_sensible(&[eps("0.1"), eps("0.3"), eps("0.10")], Norm::Linf, None).unwrap_err().to_string();
        assert!(said.contains("\"0.10\" is listed twice, first as \"0.1\"") && said.contains("remove one"), "{said}");
        all_sensible(&[eps("0.1"), eps("0.3")], Norm::Linf, None).unwrap();
    }
}
