//! Reading the `[[certify]]` tables of a suite file: what is to be proved beside the attacks.

use crate::Diagnostic;
use crate::suite::complaint::complaint;
use crate::suite::keys::CERTIFY;
use crate::suite::reader::{Reader, Shape};
use crate::suite::section::{Complaints, Section};
use gauntlet_certify::{Budget, Executed, Method, NUMERICS, Plan};
use gauntlet_evaluate::{AttackEntry, Selection};
use gauntlet_records::{Eps, Norm};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toml::de::DeValue;

/// What a certification is called that does not say.
const USUAL: &str = "bounds";

/// One certification with its budgets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertifyEntry {
    /// Unique in the suite, attacks included; heads the columns.
    pub label: String,
    /// Methods by name, in the order in which they are tried.
    pub methods: Vec<String>,
    /// Parts that branch and bound makes of an image's ball at most.
    pub nodes: usize,
    /// Rectifiers left undecided beyond which branch and bound is not tried.
    pub undecided: usize,
    /// `exact`: the network of real numbers with these weights; `f32`: as a CPU computes it.
    pub executed: String,
    /// Norm of the threat model.
    pub norm: Norm,
    /// Budgets, in the order of the tables.
    pub eps: Vec<Eps>,
    /// Which test rows, where they are not the suite's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples: Option<Selection>,
}

impl CertifyEntry {
    /// Whether it searches: what attacks broke is then left alone, so that the proofs depend on them.
    pub fn searches(&self) -> bool {
        self.methods.iter().any(|m| m == Method::Bab.name())
    }

    /// How it proves.
    ///
    /// # Errors
    /// A method that there is not, in an entry that no suite file gave.
    pub fn plan(&self) -> gauntlet_core::Result<Plan> {
        Ok(Plan {
            methods: self.methods.iter().map(|m| Method::named(m)).collect::<gauntlet_core::Result<_>>()?,
            executed: if self.executed == "f32" { Executed::Single } else { Executed::Exactly },
            budget: Budget { nodes: self.nodes, most_undecided: self.undecided, ..Budget::default() },
        })
    }

    /// All that its proofs depend on beside the budgets; what concerns branch and bound alone is left out without it.
    pub fn describe(&self) -> Value {
        let mut described = json!({ "methods": self.methods, "executed": self.executed, "numerics": NUMERICS });
        if self.searches() {
            described["nodes"] = self.nodes.into();
            described["undecided"] = self.undecided.into();
        }
        described
    }
}

impl Reader<'_> {
    /// The certifications; their labels are no attack's.
    pub(crate) fn certifications(
        &mut self,
        top: &Section<'_>,
        attacks: &[AttackEntry],
        shape: Shape,
    ) -> Vec<CertifyEntry> {
        let mut entries: Vec<CertifyEntry> = Vec::new();
        if top.get("certify").is_none() {
            return entries;
        }
        let hint = "such as `[[certify]]` with `eps = [\"0.1\"]`";
        for (table, span) in top.tables("certify", "[[certify]]", hint, &mut self.complaints) {
            let section = Section::new("[[certify]]", table, span);
            section.allow(CERTIFY, &mut self.complaints);
            let Some(entry) = self.certification(&section, shape) else { continue };
            let taken =
                attacks.iter().any(|a| a.label == entry.label) || entries.iter().any(|e| e.label == entry.label);
            if taken {
                let place = if section.get("label").is_some() { section.span_of("label") } else { section.span() };
                let text = format!("{:?} heads the columns of another attack or certification", entry.label);
                self.complaints.push(Diagnostic::at(place, text).hint("give it a `label` of its own"));
            }
            entries.push(entry);
        }
        entries
    }

    fn certification(&mut self, section: &Section<'_>, shape: Shape) -> Option<CertifyEntry> {
        let c = &mut self.complaints;
        let label = if section.get("label").is_some() { section.str("label", c) } else { Some(USUAL.to_string()) };
        let norm = match section.str("norm", c).map(|text| text.parse::<Norm>()) {
            None => Some(Norm::Linf),
            Some(Ok(norm)) => Some(norm),
            Some(Err(error)) => {
                c.push(complaint(section.value_span("norm"), &error.into(), ""));
                None
            }
        };
        let methods = self.methods(section);
        let c = &mut self.complaints;
        let usual = Budget::default();
        let number = |name: &str, usual: usize, c: &mut Complaints| match section.get(name) {
            Some(_) => section.whole(name, 1, c).map(|n| n as usize),
            None => Some(usual),
        };
        let (nodes, undecided) = (number("nodes", usual.nodes, c), number("undecided", usual.most_undecided, c));
        let executed = match section.str("executed", c) {
            None => Some("exact".to_string()),
            Some(text) if ["exact", "f32"].contains(&text.as_str()) => Some(text),
            Some(text) => {
                let message = format!("`executed` is \"exact\" or \"f32\", got {text:?}");
                c.push(Diagnostic::at(section.value_span("executed"), message));
                None
            }
        };
        let examples = self.own_examples(section);
        let numbers = shape.map(|((c, h, w), _)| c * h * w);
        let eps = self.budgets(section, norm.unwrap_or(Norm::Linf), numbers);
        Some(CertifyEntry {
            label: label?,
            methods: methods?,
            nodes: nodes?,
            undecided: undecided?,
            executed: executed?,
            norm: norm?,
            eps: eps?,
            examples,
        })
    }

    fn methods(&mut self, section: &Section<'_>) -> Option<Vec<String>> {
        let c = &mut self.complaints;
        if section.get("methods").is_none() {
            return Some(vec![Method::Ibp.to_string(), Method::Crown.to_string()]);
        }
        let list = section.list("methods", c);
        let mut found: Vec<Method> = Vec::new();
        for value in &list {
            let DeValue::String(name) = value.get_ref() else {
                let text = format!("a method is a text, got {}", value.get_ref().type_str());
                c.push(Diagnostic::at(value.span(), text));
                continue;
            };
            match Method::named(name) {
                Ok(method) if found.contains(&method) => {
                    c.push(Diagnostic::at(value.span(), format!("{name:?} is listed twice")).hint("remove one"));
                }
                Ok(method) => found.push(method),
                Err(_) => {
                    let error = gauntlet_core::Error::unknown("method", name, Method::NAMES.into_iter());
                    c.push(complaint(value.span(), &error, ""));
                }
            }
        }
        if list.is_empty() {
            let text = format!("there is no method: {}", Method::NAMES.join(", "));
            c.push(Diagnostic::at(section.value_span("methods"), text));
        }
        // Whatever order they stand in, the cheaper ones come first.
        found.sort_unstable();
        (!found.is_empty() && found.len() == list.len()).then(|| found.iter().map(Method::to_string).collect())
    }
}
