//! A whole gauntlet on one target.

use crate::{AttackEntry, Cost, Evaluator, Result, Watch, flags, suffices};
use gauntlet_core::Registry;
use gauntlet_records::record::{Outcome, RECORD_FORMAT};
use gauntlet_records::{Attacked, CleanVerdict, Flag, Provenance, Record};
use std::time::Instant;

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
    /// Wall seconds of the clean pass and the attacks.
    pub seconds: f64,
}

/// Runs attacks against any target: a [`Subject`](crate::Subject)'s, or a model that lives in the caller's own program.
///
/// The clean pass comes first, then attack by attack, then the probes. Where the evaluator knows its clean pass, this is a part
/// of an evaluation: neither pass nor probes are repeated, and flags are left to whoever has the whole.
///
/// # Errors
/// See [`Evaluator::attack`]; an attack whose arguments are wrong; whatever keeps the follower from following.
pub fn evaluate(
    evaluator: &Evaluator<'_>,
    attacks: &[AttackEntry],
    registry: &Registry,
    watch: &mut dyn Watch,
) -> Result<Evaluated> {
    let (target, mut built) = (evaluator.target, Vec::with_capacity(attacks.len()));
    for entry in attacks {
        let (plan, _) = registry.plan(&entry.attack.given())?;
        // Before anything is asked of the model.
        suffices(target.answers(), &plan, entry.norm, &target.info().name, Some(registry))?;
        built.push((entry, plan));
    }
    let (mut cost, mut seconds, mut own) = (Cost::default(), 0.0, None);
    let clean = match evaluator.clean {
        Some(known) => known,
        None => {
            let begun = Instant::now();
            let mut pass = evaluator.classify(&mut cost)?;
            seconds += begun.elapsed().as_secs_f64();
            pass.randomised = evaluator.randomised(&pass)?;
            &*own.insert(pass)
        }
    };
    let begun = Instant::now();
    let mut attacked = Vec::new();
    for (entry, plan) in built {
        let done = watch.known(entry)?;
        attacked.extend(evaluator.attack_with(entry, &plan, clean, &mut cost, &done, watch)?);
    }
    seconds += begun.elapsed().as_secs_f64();
    let mut flags = Vec::new();
    if evaluator.clean.is_none() {
        flags = evaluator.probe(clean, registry)?;
        let how = (clean.randomised.is_some(), evaluator.draws);
        flags.extend(flags::remarks(&clean.verdicts, &attacked, &[], how, registry));
    }
    Ok(Evaluated { clean: clean.verdicts.clone(), attacked, flags, cost, seconds })
}

impl Evaluated {
    /// Correct ÷ all, before any attack.
    pub fn clean_accuracy(&self) -> f64 {
        CleanVerdict::accuracy(&self.clean)
    }

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
                certified: Vec::new(),
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
