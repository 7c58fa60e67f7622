//! What is asserted: conditions, and how they are joined.

use crate::error::Wrong;
use crate::expression::{Expression, short};
use crate::halfspace::Halfspace;
use crate::linear::{Declared, Linear, Variable};
use std::sync::Arc;

/// A condition on inputs and outputs.
#[derive(Debug, Clone)]
pub(crate) enum Formula {
    Bound(Bound),
    Output(Arc<Halfspace>),
    /// All of them; of none: true.
    And(Vec<Formula>),
    /// One of them; of none: false.
    Or(Vec<Formula>),
}

/// A bound of one input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) input: usize,
    /// From below, or from above.
    pub(crate) lower: bool,
    pub(crate) value: f64,
}

impl Formula {
    pub(crate) fn of(e: &Expression<'_>, declared: &Declared) -> Result<Formula, Wrong> {
        let (head, rest) = e.call()?;
        let parts = || rest.iter().map(|part| Formula::of(part, declared)).collect::<Result<Vec<_>, _>>();
        match (head, rest) {
            ("and" | "or", []) => Err(Wrong::at(e.line, format!("{head} joins nothing"))),
            ("and", _) => Ok(Formula::And(parts()?)),
            ("or", _) => Ok(Formula::Or(parts()?)),
            ("<=" | ">=", [a, b]) => {
                let (a, b) = (Linear::of(a, declared)?, Linear::of(b, declared)?);
                let difference = if head == "<=" { b.plus(a, -1.0) } else { a.plus(b, -1.0) };
                Formula::at_least_0(difference, e.line)
            }
            ("<=" | ">=", _) => {
                Err(Wrong::at(e.line, format!("{head} compares two terms, and there are {}", rest.len())))
            }
            ("<" | ">" | "=", _) => {
                let why =
                    format!("{head} is not read, only <= and >=: a search in floating point decides nothing finer");
                Err(Wrong::at(e.line, why))
            }
            _ => Err(Wrong::at(e.line, format!("{} is no condition: and, or, <= and >= are read", short(head)))),
        }
    }

    /// `difference` ≥ 0.
    fn at_least_0(difference: Linear, line: usize) -> Result<Formula, Wrong> {
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for (variable, c) in difference.terms.into_iter().filter(|(_, c)| *c != 0.0) {
            match variable {
                Variable::Input(i) => inputs.push((i, c)),
                Variable::Output(j) => outputs.push((j, c)),
            }
        }
        let k = difference.constant;
        let finite = |c: &(usize, f64)| c.1.is_finite();
        if !(k.is_finite() && inputs.iter().all(finite) && outputs.iter().all(finite)) {
            return Err(Wrong::at(line, "a number is beyond what float64 holds"));
        }
        match (&inputs[..], &outputs[..]) {
            ([], []) => Ok(if k >= 0.0 { Formula::And(Vec::new()) } else { Formula::Or(Vec::new()) }),
            ([(input, c)], []) => {
                let value = bound(*c, k);
                if value.abs() > f64::from(f32::MAX) {
                    return Err(Wrong::at(
                        line,
                        format!("the bound {value:e} of X_{input} is beyond what float32 holds"),
                    ));
                }
                Ok(Formula::Bound(Bound { input: *input, lower: *c > 0.0, value }))
            }
            ([], _) => Ok(Formula::Output(Arc::new(Halfspace { terms: outputs, constant: k }))),
            (_, []) => Err(Wrong::at(line, "a condition joins several inputs: only boxes of inputs are read")),
            _ => Err(Wrong::at(line, "a condition joins inputs and outputs: each has to have its own")),
        }
    }
}

/// Where c·x + k changes its sign, rounded to where it is at least 0.
fn bound(c: f64, k: f64) -> f64 {
    // Not -0.
    let mut value = -k / c + 0.0;
    for _ in 0..4 {
        if c * value + k >= 0.0 {
            break;
        }
        value = if c > 0.0 { value.next_up() } else { value.next_down() };
    }
    value
}
