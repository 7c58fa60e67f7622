//! Promises about derivatives by the parameters: complete, and equal to central differences.

use super::found::Found;
use super::network::{CLASSES, INPUT};
use super::subject::{Subject, batch};
use crate::Result;
use candle_core::Tensor;
use gauntlet_autograd::check::{Order, Probe, along};
use gauntlet_autograd::{Graph, Var, grad};
use gauntlet_core::{Param, Params, Precision};
use serde_json::{Value, json};

/// The sign in an FGSM step jumps where a gradient crosses zero: a small step keeps the signs.
const PROBE: Probe = Probe { h: 1e-6, directions: Some(3), tolerance: 2e-5 };
/// Images of a gradient check.
const IMAGES: usize = 4;

/// The total reaches every trained parameter, every weighted term reaches one.
pub(super) fn reach(subject: &Subject<'_>) -> Result<Found> {
    let images = batch(IMAGES, INPUT, CLASSES, Precision::F64)?;
    let (weights, mut memory) = (subject.weights()?, subject.memory(&*subject.network, Precision::F64)?);
    let params = weights.leaves();
    let (names, leaves): (Vec<&str>, Vec<&Var>) = params.trained().unzip();
    let (total, terms) = subject.loss(&subject.network, &params, &images, &mut memory.clone())?;
    match grad(&total, &leaves, Graph::Free) {
        Ok(_) => {}
        Err(gauntlet_autograd::Error::Unreached { positions }) => {
            let lost: Vec<&str> = positions.iter().map(|i| names[*i]).collect();
            return Ok(Found::Broken(format!(
                "the loss does not reach {}: they would never be trained; was a value detached on the way?",
                lost.join(", ")
            )));
        }
        Err(other) => return Err(other.into()),
    }
    let mut cut = Vec::new();
    for (name, ..) in terms.iter().filter(|(_, weight, _)| *weight != 0.0) {
        let mean = subject.term(name, &params, &images, &mut memory)?;
        if let Err(gauntlet_autograd::Error::Unreached { positions }) = grad(&mean, &leaves, Graph::Free)
            && positions.len() == leaves.len()
        {
            cut.push(name.as_str());
        }
    }
    let all = format!("all {} parameters receive a gradient", names.len());
    if cut.is_empty() {
        return Ok(Found::Holds(all));
    }
    let constant = format!("the terms {} reach no parameter", cut.join(", "));
    Ok(match is_cut(subject) {
        true => Found::Holds(format!("{all}; {constant}, as `graph = \"cut\"` says")),
        false => Found::Broken(format!(
            "{constant} and train nothing: take the input gradient with `Graph::Keep`, and detach nothing"
        )),
    })
}

/// The first derivative is the central difference of the total.
pub(super) fn first(subject: &Subject<'_>) -> Result<Found> {
    if is_cut(subject) {
        return cut(subject);
    }
    compare(subject, Order::First, PROBE)
}

/// So is the second: the network's third, for a penalty on its gradient.
pub(super) fn second(subject: &Subject<'_>) -> Result<Found> {
    if is_cut(subject) {
        return Ok(Found::Skipped("`graph = \"cut\"`: see the first".into()));
    }
    compare(subject, Order::Second, Probe { directions: Some(1), ..PROBE })
}

fn compare(subject: &Subject<'_>, order: Order, probe: Probe) -> Result<Found> {
    let error = match difference(subject, order, probe, None) {
        Ok(report) => {
            let detail =
                format!("{} directions agree with central differences to {:.1e}", report.compared, report.worst);
            return Ok(Found::Holds(detail));
        }
        Err(error @ gauntlet_autograd::Error::Check(_)) => error,
        Err(other) => return Err(other.into()),
    };
    if let Some(why) = subject.recipe.held_constant() {
        return Ok(Found::Skipped(format!("held constant on purpose: {why}; central differences would move it")));
    }
    // Which term is it?
    let mut at_fault = Vec::new();
    for (name, weight, _) in subject.here()?.terms {
        if weight != 0.0 && difference(subject, order, probe, Some(&name)).is_err() {
            at_fault.push(name);
        }
    }
    let mut error = error.to_string();
    for (i, (name, ..)) in subject.weights()?.iter().enumerate() {
        error = error.replace(&format!("of argument {i},"), &format!("by {name},"));
    }
    let terms = if at_fault.is_empty() { "all terms together".to_string() } else { at_fault.join(", ") };
    Ok(Found::Broken(format!(
        "the gradient of {terms} is not the derivative: {error}; is a value detached that depends on the weights? What \
         is held constant on purpose is said by `held_constant`"
    )))
}

/// Central differences of the total, or of the mean of one term.
fn difference(
    subject: &Subject<'_>,
    order: Order,
    probe: Probe,
    term: Option<&str>,
) -> gauntlet_autograd::Result<gauntlet_autograd::check::Report> {
    let said = |e: crate::Error| gauntlet_autograd::Error::Check(e.to_string());
    let start = subject.weights().map_err(said)?;
    let at: Vec<Tensor> = start.iter().map(|(_, t, _)| t.clone()).collect();
    let images = batch(IMAGES, INPUT, CLASSES, Precision::F64).map_err(said)?;
    let memory = subject.memory(&*subject.network, Precision::F64).map_err(said)?;
    let f = |vars: &[Var]| -> gauntlet_autograd::Result<Var> {
        let entries = start.iter().zip(vars).map(|((name, _, trained), v)| (name.to_string(), v.clone(), trained));
        let (params, mut memory) = (Params::from_entries(entries), memory.clone());
        match term {
            None => subject.loss(&subject.network, &params, &images, &mut memory).map(|(total, _)| total),
            Some(name) => subject.term(name, &params, &images, &mut memory),
        }
        .map_err(said)
    };
    along(&f, &at, order, probe)
}

/// The parameter `graph` (constants of scripts are written large).
fn graph<'s>(subject: &'s Subject<'_>) -> Option<&'s Param> {
    subject.params.iter().find(|p| p.name.eq_ignore_ascii_case("graph"))
}

fn is_cut(subject: &Subject<'_>) -> bool {
    let Some(p) = graph(subject) else { return false };
    let given = subject.given.get(&p.name).and_then(Value::as_str);
    given == Some("cut") || (given.is_none() && p.default == "\"cut\"")
}

/// A cut graph trains what is left without the penalty, or nothing was there to be cut.
fn cut(subject: &Subject<'_>) -> Result<Found> {
    let bits = |s: &Subject<'_>| -> Result<Vec<u64>> { Ok(s.here()?.gradient.iter().map(|g| g.to_bits()).collect()) };
    let ours = bits(subject)?;
    let keep = graph(subject).map(|p| (p.name.clone(), json!("keep")));
    if ours == bits(&subject.with(keep.clone())?)? {
        return Ok(Found::Holds("the kept graph gives the same bits: nothing is there to be cut".into()));
    }
    if ours == bits(&subject.ce()?)? {
        return Ok(Found::Holds("cut, it trains what `ce` trains, bit for bit: the penalty is a constant".into()));
    }
    let weight =
        subject.params.iter().find(|p| p.name.eq_ignore_ascii_case("weight")).map(|p| (p.name.clone(), json!(0.0)));
    if weight.is_some() && ours == bits(&subject.with(keep.into_iter().chain(weight))?)? {
        return Ok(Found::Holds(
            "cut, it trains what weight = 0 trains, bit for bit: the penalty is a constant".into(),
        ));
    }
    Ok(Found::Broken(
        "cut, the gradient is neither that of the kept graph, nor that of `ce`, nor that of weight = 0: only a part was \
         cut"
        .into(),
    ))
}
