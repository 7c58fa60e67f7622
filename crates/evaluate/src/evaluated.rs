//! A whole gauntlet on one target.

use crate::{AttackEntry, Cost, Evaluator, Result, flags};
use gauntlet_core::Registry;
use gauntlet_records::record::{Outcome, RECORD_FORMAT};
use gauntlet_records::{Attacked, CleanVerdict, Flag, Provenance, Record};

/// What a whole gauntlet found out about one target.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// One entry per example.
    pub clean: Vec<CleanVerdict>,
    /// Attacks × ε.
    pub attacked: Vec<Attacked>,
    /// The referee's remarks.
    pub flags: Vec<Flag>,
    /// Executed work.
    pub cost: Cost,
}

/// Runs attacks against any target, e.g. a model that lives in the caller's own program.
///
/// # Errors
/// See [`Evaluator::attack`]; an attack whose arguments are wrong.
pub fn evaluate(evaluator: &Evaluator<'_>, attacks: &[AttackEntry], registry: &Registry) -> Result<Evaluated> {
    let mut cost = Cost::default();
    let clean = evaluator.clean(&mut cost)?;
    let mut attacked = Vec::new();
    for entry in attacks {
        let (attack, _) = registry.attack(&entry.attack.given())?;
        attacked.extend(evaluator.attack(entry, &attack, &clean, &mut cost)?);
    }
    let mut flags = evaluator.probe(&clean, registry)?;
    let how = (clean.randomised.is_some(), evaluator.draws);
    flags.extend(flags::remarks(&clean.verdicts, &attacked, how, registry));
    Ok(Evaluated { clean: clean.verdicts, attacked, flags, cost })
}

impl Evaluated {
    /// As a record that reports can read: `row` names the model in tables.
    pub fn record(self, suite: &str, row: &str, provenance: Provenance) -> Record {
        Record {
            format: RECORD_FORMAT,
            suite: suite.to_string(),
            row: row.to_string(),
            seed: 0,
            failed: None,
            result: Outcome {
                configuration: serde_json::json!({ "row": row }),
                data_sha256: String::new(),
                checkpoint_sha256: String::new(),
                curve: Vec::new(),
                clean: self.clean,
                attacked: self.attacked,
                flags: self.flags,
            },
            provenance: Provenance {
                executed_forwards: self.cost.forwards,
                executed_backwards: self.cost.backwards,
                ..provenance
            },
            expectations: Vec::new(),
        }
    }
}
