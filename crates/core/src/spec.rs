//! How a component is written down where it is implemented: constants of the program.

use crate::param_kind::ParamKind;

/// One parameter of a component.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParamDoc {
    /// Key in suite files, e.g. `alpha`.
    pub name: &'static str,
    /// What its value must be, e.g. `ParamKind::COUNT`.
    pub kind: ParamKind,
    /// Default as JSON text; empty: required; `null`: none, and no part of a key where it is not given.
    pub default: &'static str,
    /// `pixels`, `epochs`, ... or empty.
    pub unit: &'static str,
    /// One line.
    pub doc: &'static str,
}

/// A component's registration. What only a running program knows (a file's name, a builder that captures something) is an
/// [`Entry`](crate::Entry) from the start, into which the registry turns every `Spec`.
#[derive(Debug, Clone)]
pub struct Spec<B> {
    /// Name in suite files.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// The formula, in plain Unicode.
    pub formula: &'static str,
    /// Source.
    pub paper: &'static str,
    /// Parameters in order.
    pub params: &'static [ParamDoc],
    /// Raised by hand when the component's numbers change.
    pub numerics: u32,
    /// `built-in`, `plug-in`, `script`.
    pub origin: &'static str,
    /// Builder: a function or a closure.
    pub build: B,
}

impl Spec<()> {
    /// A built-in component that suites name and nothing builds by a function.
    pub const fn described(
        name: &'static str,
        summary: &'static str,
        formula: &'static str,
        paper: &'static str,
        params: &'static [ParamDoc],
    ) -> Self {
        Spec { name, summary, formula, paper, params, numerics: 1, origin: "built-in", build: () }
    }
}
