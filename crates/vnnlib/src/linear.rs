//! Linear terms of inputs and outputs.

use crate::error::Wrong;
use crate::expression::{Expression, Kind, short};
use std::collections::BTreeMap;

/// Variables of a kind beyond which none is declared.
const MOST: usize = 1 << 22;

/// A variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Variable {
    Input(usize),
    Output(usize),
}

impl Variable {
    /// `X_3`, `Y_0`.
    pub(crate) fn named(word: &str, line: usize) -> Result<Variable, Wrong> {
        let wrong = || {
            Wrong::at(line, format!("{} is no variable: inputs are X_0, X_1, .., outputs Y_0, Y_1, ..", short(word)))
        };
        let (kind, number) = word.split_once('_').ok_or_else(wrong)?;
        let index: usize = number.parse().ok().filter(|i: &usize| i.to_string() == number).ok_or_else(wrong)?;
        if index >= MOST {
            return Err(Wrong::at(line, format!("{} is beyond the {MOST} variables that are read", short(word))));
        }
        match kind {
            "X" => Ok(Variable::Input(index)),
            "Y" => Ok(Variable::Output(index)),
            _ => Err(wrong()),
        }
    }
}

/// Which variables there are.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    inputs: Vec<bool>,
    outputs: Vec<bool>,
}

impl Declared {
    pub(crate) fn declare(&mut self, word: &str, line: usize) -> Result<(), Wrong> {
        let (of, index) = match Variable::named(word, line)? {
            Variable::Input(i) => (&mut self.inputs, i),
            Variable::Output(j) => (&mut self.outputs, j),
        };
        if of.len() <= index {
            of.resize(index + 1, false);
        }
        if std::mem::replace(&mut of[index], true) {
            return Err(Wrong::at(line, format!("{word} is declared twice")));
        }
        Ok(())
    }
    fn has(&self, variable: Variable) -> bool {
        let (of, index) = match variable {
            Variable::Input(i) => (&self.inputs, i),
            Variable::Output(j) => (&self.outputs, j),
        };
        of.get(index).copied().unwrap_or(false)
    }
    /// Numbers of inputs and outputs, if none is left out.
    pub(crate) fn counts(&self) -> Result<(usize, usize), String> {
        for (name, of, what) in [("X", &self.inputs, "input"), ("Y", &self.outputs, "output")] {
            if of.is_empty() {
                return Err(format!("no {what} is declared: (declare-const {name}_0 Real)"));
            }
            if let Some(missing) = of.iter().position(|there| !there) {
                return Err(format!("{name}_{missing} is not declared, and {name}_{} is", of.len() - 1));
            }
        }
        Ok((self.inputs.len(), self.outputs.len()))
    }
}

/// Σ cᵥ·v + k.
#[derive(Debug, Clone, Default)]
pub(crate) struct Linear {
    pub(crate) terms: BTreeMap<Variable, f64>,
    pub(crate) constant: f64,
}

impl Linear {
    /// Reads a number, a variable, or sums, differences and products with numbers of such.
    pub(crate) fn of(e: &Expression<'_>, declared: &Declared) -> Result<Linear, Wrong> {
        let found = match &e.kind {
            Kind::Word(word) => Linear::word(word, e.line, declared)?,
            Kind::List(_) => {
                let (head, rest) = e.call()?;
                let Some((first, rest)) = rest.split_first() else {
                    return Err(Wrong::at(e.line, format!("{} has nothing to compute with", short(head))));
                };
                let first = Linear::of(first, declared)?;
                match head {
                    "-" if rest.is_empty() => first.times(-1.0),
                    "+" => rest.iter().try_fold(first, |a, b| Ok(a.plus(Linear::of(b, declared)?, 1.0)))?,
                    "-" => rest.iter().try_fold(first, |a, b| Ok(a.plus(Linear::of(b, declared)?, -1.0)))?,
                    "*" => rest.iter().try_fold(first, |a, b| {
                        let b = Linear::of(b, declared)?;
                        match (a.terms.is_empty(), b.terms.is_empty()) {
                            (_, true) => Ok(a.times(b.constant)),
                            (true, false) => Ok(b.times(a.constant)),
                            (false, false) => {
                                Err(Wrong::at(e.line, "two variables are multiplied: only linear terms are read"))
                            }
                        }
                    })?,
                    _ => {
                        let why = format!("{} is no operation of linear terms: +, - and * are read", short(head));
                        return Err(Wrong::at(e.line, why));
                    }
                }
            }
        };
        if found.constant.is_finite() && found.terms.values().all(|c| c.is_finite()) {
            Ok(found)
        } else {
            Err(Wrong::at(e.line, "a number is beyond what float64 holds"))
        }
    }

    fn word(word: &str, line: usize, declared: &Declared) -> Result<Linear, Wrong> {
        if word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
            let number = word.parse::<f64>().map_err(|_| Wrong::at(line, format!("{} is no number", short(word))))?;
            return Ok(Linear { constant: number, ..Linear::default() });
        }
        let variable = Variable::named(word, line)?;
        if !declared.has(variable) {
            return Err(Wrong::at(line, format!("{word} is not declared: (declare-const {word} Real)")));
        }
        Ok(Linear { terms: BTreeMap::from([(variable, 1.0)]), constant: 0.0 })
    }

    fn times(mut self, factor: f64) -> Linear {
        self.constant *= factor;
        self.terms.values_mut().for_each(|c| *c *= factor);
        self
    }

    /// self + factor·other; what cancels is no longer there.
    pub(crate) fn plus(mut self, other: Linear, factor: f64) -> Linear {
        self.constant += factor * other.constant;
        for (variable, c) in other.terms {
            *self.terms.entry(variable).or_insert(0.0) += factor * c;
        }
        self
    }
}
