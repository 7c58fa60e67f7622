//! Optimisers as lists and documents see them.

use crate::optimiser::Optimiser;
use crate::param_kind::ParamKind;
use crate::range::Range;
use crate::{ParamDoc, Spec};

const LR: ParamDoc = ParamDoc {
    name: "lr",
    kind: ParamKind::POSITIVE,
    default: "",
    unit: "",
    doc: "learning rate, before the schedule",
};
const BETA1: ParamDoc = ParamDoc {
    name: "beta1",
    kind: ParamKind::Float(Range::at_least(0.0).below(1.0)),
    default: "0.9",
    unit: "",
    doc: "decay of the first moment",
};
const BETA2: ParamDoc = ParamDoc {
    name: "beta2",
    kind: ParamKind::Float(Range::at_least(0.0).below(1.0)),
    default: "0.999",
    unit: "",
    doc: "decay of the second moment",
};
const EPS: ParamDoc = ParamDoc {
    name: "eps",
    kind: ParamKind::WEIGHT,
    default: "1e-8",
    unit: "",
    doc: "added to the root of the second moment",
};
const DECAY: ParamDoc = ParamDoc {
    name: "weight_decay",
    kind: ParamKind::WEIGHT,
    default: "0.0",
    unit: "",
    doc: "λ, added to the gradient",
};

impl Optimiser {
    /// Every optimiser that suites can name.
    pub const SPECS: [Spec<()>; 3] = [
        Spec::described(
            "sgd",
            "stochastic gradient descent",
            "b ← μ b + (g + λ p);  p ← p − lr · (b, or g + μ b with Nesterov)",
            "-",
            &[
                LR,
                ParamDoc {
                    name: "momentum",
                    kind: ParamKind::Float(Range::at_least(0.0).below(1.0)),
                    default: "0.0",
                    unit: "",
                    doc: "μ",
                },
                ParamDoc {
                    name: "nesterov",
                    kind: ParamKind::Bool,
                    default: "false",
                    unit: "",
                    doc: "Nesterov's variant; needs a momentum",
                },
                DECAY,
            ],
        ),
        Spec::described(
            "adam",
            "Adam; weight decay is added to the gradient",
            "p ← p − lr · m̂ / (√v̂ + eps)",
            "Kingma & Ba 2015",
            &[LR, BETA1, BETA2, EPS, DECAY],
        ),
        Spec::described(
            "adamw",
            "AdamW; weight decay shrinks the parameter itself",
            "p ← (1 − lr λ) p − lr · m̂ / (√v̂ + eps)",
            "Loshchilov & Hutter 2019",
            &[LR, BETA1, BETA2, EPS, ParamDoc { default: "0.01", doc: "λ", ..DECAY }],
        ),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Map, Value};

    /// A component's documented parameters are those that serde reads, with the same defaults.
    fn agrees<T: DeserializeOwned + Serialize>(spec: &Spec<()>, required: &str) {
        let mut given: Map<String, Value> = serde_json::from_str(required).unwrap();
        given.insert("name".into(), spec.name.into());
        let resolved = serde_json::to_value(serde_json::from_value::<T>(given.clone().into()).unwrap()).unwrap();
        let read: Vec<&String> = resolved.as_object().unwrap().keys().filter(|k| *k != "name").collect();
        // What is none by default is no part of the description.
        let documented: Vec<&str> = spec.params.iter().filter(|p| p.default != "null").map(|p| p.name).collect();
        assert_eq!(read, documented, "{}", spec.name);
        for p in spec.params {
            match p.default {
                "null" => {
                    let mut more = given.clone();
                    more.insert(p.name.into(), 0.5.into());
                    let read = serde_json::to_value(serde_json::from_value::<T>(more.into()).unwrap()).unwrap();
                    assert_eq!(read[p.name], 0.5, "{}.{}", spec.name, p.name);
                }
                "" => assert!(given.contains_key(p.name), "{} is required", p.name),
                default => {
                    let default: Value = serde_json::from_str(default).unwrap();
                    assert_eq!(resolved[p.name], default, "{}.{}", spec.name, p.name);
                }
            }
        }
    }

    /// The names that serde knows, from what it says about another one.
    fn known<T: DeserializeOwned>() -> Vec<String> {
        let said = serde_json::from_str::<T>(r#"{"name":"?"}"#).err().unwrap().to_string();
        said.split('`').skip(3).step_by(2).map(String::from).collect()
    }

    #[test]
    fn documented_parameters_are_those_that_are_read() {
        assert_eq!(known::<Optimiser>(), Optimiser::SPECS.map(|s| s.name));
        Optimiser::SPECS.iter().for_each(|s| agrees::<Optimiser>(s, r#"{"lr":0.1}"#));
        assert_eq!(known::<Schedule>(), Schedule::SPECS.map(|s| s.name));
        for spec in &Schedule::SPECS {
            let required = match spec.name {
                "step" => r#"{"at":[5]}"#,
                "piecewise" => r#"{"at":[0.0],"factor":[1.0]}"#,
                _ => "{}",
            };
            agrees::<Schedule>(spec, required);
        }
    }
}
