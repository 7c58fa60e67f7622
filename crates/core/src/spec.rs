//! A component as suites, lists and documents see it.

/// One parameter of a component.
#[derive(Debug, Clone, Copy)]
pub struct ParamDoc {
    /// Key in suite files, e.g. `alpha`.
    pub name: &'static str,
    /// `float`, `int`, `bool`, `eps`, `string`, `one of l2sq, l2, l1`, `attack`.
    pub kind: &'static str,
    /// Default as JSON text; empty: required; `null`: none, and no part of a key where it is not given.
    pub default: &'static str,
    /// `pixels`, `epochs`, ... or empty.
    pub unit: &'static str,
    /// One line.
    pub doc: &'static str,
}

/// A registered component.
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
    /// Builder.
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
