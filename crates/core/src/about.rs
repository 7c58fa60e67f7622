//! What is known of a component, whatever it is built by: for lists, documents, schemas and checks of arguments.

use crate::param_kind::OwnedKind;
use crate::spec::{ParamDoc, Spec};
use crate::{Error, Result};
use serde_json::Value;

/// One parameter of a component.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Key in suite files, e.g. `alpha`.
    pub name: String,
    /// What its value must be.
    pub kind: OwnedKind,
    /// Default as JSON text; empty: required; `null`: none, and no part of a key where it is not given.
    pub default: String,
    /// `pixels`, `epochs`, ... or empty.
    pub unit: String,
    /// One line.
    pub doc: String,
}

impl Param {
    /// The value that is meant where none is given; `None`: there is none, or the parameter is required.
    ///
    /// # Errors
    /// A default that is no JSON, or not of the parameter's kind; `what` is called so.
    pub fn usual(&self, what: &str) -> Result<Option<Value>> {
        if self.default.is_empty() || self.default == "null" {
            return Ok(None);
        }
        let wrong = |why: String| Error::Message(format!("default of {what}: {why}"));
        let value = serde_json::from_str(&self.default).map_err(|e| wrong(e.to_string()))?;
        self.kind.check(what, &value).map_err(|error| wrong(error.to_string()))?;
        Ok(Some(value))
    }
}

impl From<&ParamDoc> for Param {
    fn from(p: &ParamDoc) -> Self {
        let ParamDoc { name, kind, default, unit, doc } = *p;
        Param { name: name.into(), kind: kind.owned(), default: default.into(), unit: unit.into(), doc: doc.into() }
    }
}

/// A component as suites, lists and documents see it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct About {
    /// Name in suite files.
    pub name: String,
    /// One line.
    pub summary: String,
    /// The formula, in plain Unicode.
    pub formula: String,
    /// Source.
    pub paper: String,
    /// Parameters in order.
    pub params: Vec<Param>,
    /// Raised by hand when the component's numbers change.
    pub numerics: u32,
    /// `built-in`, `plug-in`, `script`, `file`.
    pub origin: String,
}

impl About {
    /// The parameter of that name.
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|p| p.name == name)
    }
}

impl<B> From<&Spec<B>> for About {
    fn from(spec: &Spec<B>) -> Self {
        About {
            name: spec.name.into(),
            summary: spec.summary.into(),
            formula: spec.formula.into(),
            paper: spec.paper.into(),
            params: spec.params.iter().map(Param::from).collect(),
            numerics: spec.numerics,
            origin: spec.origin.into(),
        }
    }
}
