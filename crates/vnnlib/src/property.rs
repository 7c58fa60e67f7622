//! A property: what is asked of a network.

use crate::disjunction::{Conjunction, Expansion};
use crate::error::{Error, Result, Wrong};
use crate::expression::{Commands, Expression, Kind, short};
use crate::formula::Formula;
use crate::halfspace::Halfspace;
use crate::linear::Declared;
use crate::region::Region;
use crate::text;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Bounds of all boxes together.
const MOST_BOUNDS: usize = 1 << 24;
/// Inequalities of all cases together.
const MOST_ATOMS: usize = 1 << 24;

/// A disjunction of cases. It is satisfied by an input with outputs that meet one of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    inputs: usize,
    outputs: usize,
    regions: Vec<Region>,
    cases: Vec<Case>,
}

/// An input of a box whose outputs meet all inequalities.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The number of its box among [`Property::regions`].
    pub region: usize,
    /// The inequalities; none: every output will do.
    pub atoms: Vec<Arc<Halfspace>>,
}

impl Case {
    /// The smallest slack of its inequalities: at least 0 where it is met, −∞ where an output is not a number, ∞ without any.
    pub fn slack(&self, y: &[f64]) -> f64 {
        let worse = |least: f64, atom: &Arc<Halfspace>| {
            let slack = atom.slack(y);
            if slack.is_nan() { f64::NEG_INFINITY } else { least.min(slack) }
        };
        self.atoms.iter().fold(f64::INFINITY, worse)
    }
    /// The largest magnitude of its inequalities: see [`Halfspace::magnitude`].
    pub fn magnitude(&self, y: &[f64]) -> f64 {
        self.atoms.iter().map(|a| a.magnitude(y)).fold(0.0, f64::max)
    }
}

impl Property {
    /// Reads a file, plain or gzip.
    ///
    /// # Errors
    /// It cannot be read or is too large; what is not understood, with its line.
    pub fn open(path: &Path) -> Result<Property> {
        Property::parse(&text::read(path)?, &path.display().to_string())
    }

    /// Reads a text; `name` is what errors call it.
    ///
    /// # Errors
    /// See [`Property::open`].
    pub fn parse(text: &str, name: &str) -> Result<Property> {
        let whole = |why: String| Error::File { path: name.into(), why };
        let mut declared = Declared::default();
        let mut common = Conjunction::default();
        let mut possible = true;
        let mut joined = Vec::new();
        let mut commands = Commands::of(text);
        while let Some(command) = commands.next().map_err(|w| w.of(name))? {
            let formula = asserted(&command, &mut declared).map_err(|w| w.of(name))?;
            // What holds always, as most bounds do, is kept once.
            match formula {
                None => {}
                Some(Formula::Bound(bound)) => possible &= common.add(bound),
                Some(Formula::Output(atom)) => common.atoms.push(atom),
                Some(other) => joined.push((command.line, other)),
            }
        }
        let (inputs, outputs) = declared.counts().map_err(whole)?;
        let mut expansion = Expansion::default();
        let mut conjunctions = if possible { vec![Conjunction::default()] } else { Vec::new() };
        for (line, formula) in &joined {
            conjunctions =
                expansion.of(formula, conjunctions).map_err(|why| Wrong::at(*line, why)).map_err(|w| w.of(name))?;
        }
        let mut property = Property { inputs, outputs, regions: Vec::new(), cases: Vec::new() };
        property.fill(&common, conjunctions).map_err(whole)?;
        Ok(property)
    }

    fn fill(&mut self, common: &Conjunction, conjunctions: Vec<Conjunction>) -> Result<(), String> {
        let mut base = Region { lower: vec![f64::NEG_INFINITY; self.inputs], upper: vec![f64::INFINITY; self.inputs] };
        for (input, (lower, upper)) in &common.bounds {
            (base.lower[*input], base.upper[*input]) = (*lower, *upper);
        }
        let mut count = 0;
        let mut known: HashMap<Vec<(usize, u64, u64)>, Option<usize>> = HashMap::new();
        for conjunction in conjunctions {
            let bits = |(i, (l, u)): (&usize, &(f64, f64))| (*i, l.to_bits(), u.to_bits());
            let key: Vec<_> = conjunction.bounds.iter().map(bits).collect();
            let region = match known.get(&key) {
                Some(region) => *region,
                None => {
                    let region = self.region(&base, &conjunction, known.len())?;
                    known.insert(key, region);
                    region
                }
            };
            let Some(region) = region else { continue };
            let atoms: Vec<_> = common.atoms.iter().chain(&conjunction.atoms).cloned().collect();
            count += atoms.len();
            if count > MOST_ATOMS {
                return Err(format!("its cases have more than {MOST_ATOMS} inequalities together"));
            }
            self.cases.push(Case { region, atoms });
        }
        Ok(())
    }

    /// The number of the box with these bounds besides those of `base`; `None`: it is empty.
    fn region(&mut self, base: &Region, conjunction: &Conjunction, known: usize) -> Result<Option<usize>, String> {
        if (known + 1).saturating_mul(self.inputs) > MOST_BOUNDS {
            return Err(format!("its boxes of {} inputs have more than {MOST_BOUNDS} bounds together", self.inputs));
        }
        let mut region = base.clone();
        for (input, (lower, upper)) in &conjunction.bounds {
            region.lower[*input] = region.lower[*input].max(*lower);
            region.upper[*input] = region.upper[*input].min(*upper);
        }
        let bounds = || region.lower.iter().zip(&region.upper);
        if bounds().any(|(l, u)| l > u) {
            return Ok(None);
        }
        if let Some(open) = bounds().position(|(l, u)| l.is_infinite() || u.is_infinite()) {
            let which = if region.lower[open].is_infinite() { ("lower", ">=") } else { ("upper", "<=") };
            return Err(format!("X_{open} has no {} bound: (assert ({} X_{open} ..))", which.0, which.1));
        }
        self.regions.push(region);
        Ok(Some(self.regions.len() - 1))
    }

    /// Number of inputs `X_i`.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
    /// Number of outputs `Y_j`.
    pub fn outputs(&self) -> usize {
        self.outputs
    }
    /// The boxes.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }
    /// The cases; none: no input satisfies it, whatever the network.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }
    /// Whether an input with these outputs satisfies it.
    pub fn satisfied(&self, x: &[f64], y: &[f64]) -> bool {
        self.cases.iter().any(|case| self.regions[case.region].contains(x) && case.slack(y) >= 0.0)
    }
}

/// What a command asserts; a declaration is written down.
fn asserted(command: &Expression<'_>, declared: &mut Declared) -> Result<Option<Formula>, Wrong> {
    let (head, rest) = command.call()?;
    match (head, rest) {
        ("declare-const", [name, sort]) => declare(name, sort, declared).map(|()| None),
        ("declare-fun", [name, Expression { kind: Kind::List(arguments), .. }, sort]) if arguments.is_empty() => {
            declare(name, sort, declared).map(|()| None)
        }
        ("declare-const" | "declare-fun", _) => {
            Err(Wrong::at(command.line, "a declaration is (declare-const X_0 Real) or (declare-fun X_0 () Real)"))
        }
        ("assert", [condition]) => Formula::of(condition, declared).map(Some),
        ("assert", _) => {
            Err(Wrong::at(command.line, format!("assert has one condition, and there are {}", rest.len())))
        }
        ("set-logic" | "set-info" | "set-option" | "check-sat" | "get-model" | "exit", _) => Ok(None),
        ("vnnlib-version" | "declare-network", _) => {
            Err(Wrong::at(command.line, format!("{head} is of VNN-LIB 2: version 1 is read")))
        }
        _ => Err(Wrong::at(command.line, format!("{} is no command that is read: declare-const, assert", short(head)))),
    }
}

fn declare(name: &Expression<'_>, sort: &Expression<'_>, declared: &mut Declared) -> Result<(), Wrong> {
    match (&name.kind, &sort.kind) {
        (Kind::Word(name), Kind::Word("Real")) => declared.declare(name, sort.line),
        _ => Err(Wrong::at(sort.line, "a variable is declared with its name and the sort Real")),
    }
}
