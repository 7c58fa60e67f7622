//! Evaluates a sample of a record's verdicts again and compares.

use crate::examples_of;
use crate::provenance::MATHEMATICS;
use crate::run::attempt::{Attempt, of_all};
use crate::run::certifying::{inside, proof, wrong};
use crate::run::inputs::load;
use crate::run::prover::Prover;
use crate::run::runner::Runner;
use crate::verify::comparison::{Measure, VerifiedCell, compare};
use crate::verify::recorded_suite::{RecordedAttack, recorded_certification, recorded_suite, same_description};
use crate::{Context, Error, Events, Images, Result, Row, Suite, fingerprint};
use gauntlet_core::{Frozen, Key, Purpose, Target, ThreatModel};
use gauntlet_data::{Half, Split};
use gauntlet_evaluate::{AttackEntry, CleanPass, Cost, Evaluator, Origin, Subject, evaluate};
use gauntlet_records::{Attacked, Certified, Proof, ProofFate, Provenance, Record, Verdict, record_file};
use serde::Serialize;

/// What became of one record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerifiedRecord {
    /// Row id.
    pub row: String,
    /// Training seed.
    pub seed: u64,
    /// How verdicts were compared.
    pub measure: Measure,
    /// Why bits need not be equal; `None` where they must.
    pub apart: Option<String>,
    /// Whether it was trained again.
    pub retrained: bool,
    /// Whether the weights are the record's.
    pub same_weights: bool,
    /// Clean images, then attacks × ε.
    pub cells: Vec<VerifiedCell>,
    /// Why nothing (more) could be compared.
    pub problem: Option<String>,
}

impl VerifiedRecord {
    /// Whether something contradicts the record.
    pub fn contradicts(&self) -> bool {
        (!self.same_weights && self.problem.is_none()) || self.cells.iter().any(|c| !c.holds)
    }
}

/// What, between the machine of a record and this one, may give other bits; `None`: nothing.
///
/// That is the device, the architecture and the platform's [`mathematics`](crate::mathematics), not the CPU's make. A record
/// from before records named the latter counts as apart on another CPU.
fn apart(then: &Provenance, now: &Provenance) -> Option<String> {
    let version = |p: &Provenance, name: &str| p.versions.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let differ = |what: &str, then: &str, now: &str| (then != now).then(|| format!("{what} is {now}, not {then}"));
    let system = |p: &Provenance| version(p, "os").unwrap_or_default();
    differ("the device", &then.device, &now.device).or_else(|| {
        match (version(then, MATHEMATICS), version(now, MATHEMATICS)) {
            (Some(a), Some(b)) => differ("the system", &system(then), &system(now))
                .or_else(|| differ("what computes exp and its like", &a, &b)),
            _ => differ("the CPU", &then.cpu, &now.cpu)
                .map(|why| format!("{why}, and the record does not name what computed exp and its like")),
        }
    })
}

/// Verifies records of one folder, one after the other.
pub struct Verifier<'a> {
    /// All records of the folder: teachers and surrogates are found among them.
    pub records: &'a [Record],
    /// Components, data sets, the store with the checkpoints.
    pub context: &'a Context<'a>,
    /// Examples per record, drawn by the record's name.
    pub sample: usize,
    /// Train again where a checkpoint is not in the store.
    pub retrain: bool,
}

impl Verifier<'_> {
    /// Evaluates the sample of one record again.
    ///
    /// # Errors
    /// An interruption, or a store that cannot be used. Anything else is the record's own problem.
    pub fn verify(&self, record: &Record, events: &dyn Events) -> Result<VerifiedRecord> {
        let here = self.context.provenance();
        let apart = apart(&record.provenance, &here);
        let measure = if apart.is_none() { Measure::Exact } else { Measure::Tolerant };
        let mut verified = VerifiedRecord {
            row: record.row.clone(),
            seed: record.seed,
            measure,
            apart,
            retrained: false,
            same_weights: false,
            cells: Vec::new(),
            problem: None,
        };
        if let Some(reason) = &record.failed {
            verified.problem = Some(format!("the record is of a part that failed: {reason}"));
            return Ok(verified);
        }
        let recorded = &record.result.configuration["evaluation"]["device"];
        if recorded.as_str().is_some_and(|kind| kind != self.context.compute.kind()) {
            verified.problem = Some(format!(
                "it was made on {recorded}, this is \"{}\": add `--device` (and `--tf32`) as it says",
                self.context.compute.kind()
            ));
            return Ok(verified);
        }
        match self.evaluate(record, &mut verified, events) {
            Err(error) if of_all(&error) => return Err(error),
            Err(error) => verified.problem = Some(error.to_string()),
            Ok(()) => {}
        }
        Ok(verified)
    }

    fn evaluate(&self, record: &Record, verified: &mut VerifiedRecord, events: &dyn Events) -> Result<()> {
        let (suite, attacks) = recorded_suite(record, self.records, self.context.registry)?;
        let data = self.images(&suite, record)?;
        self.same_data(record, &data)?;
        let runner = Runner::open(&suite, data, self.context, events)?;
        let row = runner.keys.row(&record.row)?;
        let subject = self.subject(&runner, row, record, verified)?;
        verified.same_weights = subject.sha256 == record.result.checkpoint_sha256;
        if !verified.same_weights {
            if verified.measure == Measure::Tolerant {
                return Err(Error::message(
                    "trained on this kind of machine, the weights are others than the record's, as they may be; its \
                     verdicts can be compared where it was made, or with its own checkpoint in the store",
                ));
            }
            return Ok(());
        }
        let target = subject.target(&self.context.compute)?;
        let clean_ids: Vec<u64> = record.result.clean.iter().map(|v| v.id).collect();
        let chosen = self.chosen(record, clean_ids.len())?;
        let read = |ids: &[u64], chosen: &[usize]| {
            let rows: Vec<usize> = chosen.iter().map(|i| ids[*i] as usize).collect();
            examples_of(&runner.inputs.images.test, &rows, self.context.precision)
        };
        let examples = read(&clean_ids, &chosen)?;
        let evaluator = runner.evaluator(&target, &examples);
        let clean = evaluator.clean(&mut Cost::default())?;
        verified.cells.push(compare("clean", None, verified.measure, &chosen, (&record.result.clean, &clean.verdicts)));
        let mut recorded = record.result.attacked.iter();
        let mut problems = Vec::new();
        for (at, RecordedAttack { label, budgets, entry }) in attacks.into_iter().enumerate() {
            let cells: Vec<&Attacked> = recorded.by_ref().take(budgets).collect();
            // An attack with images of its own has a sample of its own.
            let ids: Vec<u64> = cells.first().into_iter().flat_map(|c| &c.verdicts).map(|v| v.id).collect();
            let own = (ids != clean_ids).then(|| self.chosen(record, ids.len())).transpose()?;
            let again = entry.and_then(|entry| {
                let surrogate = self.surrogate(&runner, (at, &entry), record)?;
                let surrogate = surrogate.as_ref().map(|s| s as &dyn Target);
                let attacked = |evaluator: Evaluator<'_>, clean: &CleanPass| {
                    let evaluator = Evaluator { surrogate, clean: Some(clean), ..evaluator };
                    let evaluated = evaluate(&evaluator, std::slice::from_ref(&entry), self.context.registry, &mut ())?;
                    Ok(evaluated.attacked)
                };
                let Some(own) = &own else { return attacked(evaluator, &clean) };
                let examples = read(&ids, own)?;
                let evaluator = runner.evaluator(&target, &examples);
                let clean = evaluator.clean(&mut Cost::default())?;
                attacked(evaluator, &clean)
            });
            let chosen = own.as_ref().unwrap_or(&chosen);
            match again {
                Err(error) if of_all(&error) => return Err(error),
                Err(error) => problems.push(format!("{label}: {error}")),
                Ok(again) => {
                    for (then, now) in cells.into_iter().zip(&again) {
                        let budget = Some((now.norm, now.eps.clone()));
                        let both = (then.verdicts.as_slice(), now.verdicts.as_slice());
                        verified.cells.push(compare(&label, budget, verified.measure, chosen, both));
                    }
                }
            }
        }
        match self.proofs(record, &subject, &runner.inputs.images.test, verified) {
            Err(error) if of_all(&error) => return Err(error),
            Err(error) => problems.push(error.to_string()),
            Ok(()) => {}
        }
        verified.problem = (!problems.is_empty()).then(|| problems.join("; "));
        Ok(())
    }

    /// Proves a sample of what the record's certifications say again, beside the attacks that the record has.
    fn proofs(&self, record: &Record, subject: &Subject, test: &Split, verified: &mut VerifiedRecord) -> Result<()> {
        let mut cells = record.result.certified.iter();
        let certifications = record.result.configuration["certify"].as_array();
        for described in certifications.into_iter().flatten() {
            let entry = recorded_certification(described)?;
            let mut own: Vec<&Certified> = cells.by_ref().take(entry.eps.len()).collect();
            let Some(ids) = own.first().map(|c| c.proofs.iter().map(|p| p.id).collect::<Vec<u64>>()) else { continue };
            if ids.is_empty() {
                continue;
            }
            let prover = Prover::open(subject, &self.context.compute)?;
            let chosen = self.chosen(record, ids.len())?;
            let rows: Vec<usize> = chosen.iter().map(|i| ids[*i] as usize).collect();
            let examples = examples_of(test, &rows, self.context.precision)?;
            let plan = entry.plan()?;
            // As they were made: what is proved at a larger budget is proved at the smaller ones.
            own.sort_by(|a, b| b.eps.cmp(&a.eps));
            let mut larger: Option<Vec<Proof>> = None;
            for cell in own {
                let threat = ThreatModel::new(cell.norm, cell.eps.value());
                let fallen = |id: u64| {
                    let here =
                        |a: &Attacked, v: &Verdict| v.id == id && inside((a.norm, &a.eps), v, (cell.norm, &cell.eps));
                    entry.searches() && record.result.attacked.iter().any(|a| a.verdicts.iter().any(|v| here(a, v)))
                };
                let mut now = Vec::new();
                for (k, i) in chosen.iter().enumerate() {
                    let proved = larger.as_ref().map(|l| &l[k]).filter(|p| p.fate == ProofFate::Certified);
                    now.push(match (cell.proofs.get(*i).map(|p| p.fate), proved) {
                        (Some(ProofFate::Wrong), _) => wrong(ids[*i]),
                        (_, Some(proof)) => proof.clone(),
                        _ => proof(&plan, (&examples, k), &threat, fallen(ids[*i]), &prover)?,
                    });
                }
                let budget = Some((cell.norm, cell.eps.clone()));
                let both = (cell.proofs.as_slice(), now.as_slice());
                verified.cells.push(compare(&cell.certify, budget, verified.measure, &chosen, both));
                larger = Some(now);
            }
        }
        Ok(())
    }

    /// Which of `n` examples are evaluated again, as places in the record.
    fn chosen(&self, record: &Record, n: usize) -> Result<Vec<usize>> {
        let mut all: Vec<usize> = (0..n).collect();
        let stem = record_file::stem(&record.row, record.seed)?;
        Key::new(0, Purpose::Sample).named(&stem).stream(0, 0, 0).shuffle(&mut all);
        all.truncate(self.sample);
        all.sort_unstable();
        Ok(all)
    }

    /// The record's model: its weights from the store, or trained again.
    fn subject<'a>(
        &self,
        runner: &Runner<'a>,
        row: &'a Row,
        record: &Record,
        verified: &mut VerifiedRecord,
    ) -> Result<Subject> {
        let described = &record.result.configuration["training"];
        let key = fingerprint(described);
        let path = runner.context.store.checkpoint(&key);
        if path.exists() {
            return Ok(Subject::open_published(
                runner.keys.network(row)?,
                Origin::file(&path),
                runner.context.precision,
            )?);
        }
        if !self.retrain && row.checkpoint.is_none() {
            let root = runner.context.store.root().display();
            return Err(Error::message(format!(
                "its checkpoint is not in {root}; without --no-retrain it is trained again, which took {:.0} s",
                record.provenance.train_seconds
            )));
        }
        // Before hours of training, where it can be known.
        if let Some((_, now)) = runner.keys.training(row, record.seed)? {
            same_description(described, &now)?;
        }
        let trained = runner.models.checkpoint(row, record.seed).map_err(|error| match of_all(&error) {
            true => error,
            false => Error::message(format!("it cannot be trained again: {error}")),
        })?;
        let Some((key, entry)) = trained else {
            return Err(Error::message("another process trains it; verify again when that is done"));
        };
        verified.retrained = row.checkpoint.is_none();
        // Its teacher is known by now, and with it all that the training is made of.
        if let Some((_, now)) = runner.keys.training(row, record.seed)? {
            same_description(described, &now)?;
        }
        runner.models.open(row, &key, &entry)
    }

    /// The model that an attack's examples were crafted on.
    fn surrogate(
        &self,
        runner: &Runner<'_>,
        (at, attack): (usize, &AttackEntry),
        record: &Record,
    ) -> Result<Option<Frozen>> {
        let Some(row) = runner.evaluations.surrogate(attack)? else { return Ok(None) };
        let of_row = |r: &&Record| r.row == row.id && (r.seed == record.seed || row.checkpoint.is_some());
        let other = self.records.iter().find(of_row);
        let key = other.map(|r| fingerprint(&r.result.configuration["training"]));
        let stored = key.and_then(|key| Some((runner.context.store.get_training(&key).ok()??, key)));
        let stored = stored.filter(|(_, key)| runner.context.store.checkpoint(key).exists());
        let (entry, key) = match stored {
            Some(stored) => stored,
            None if !self.retrain => {
                return Err(Error::message(format!("its surrogate {} is not in the store", row.id)));
            }
            None => match runner.models.trained(row, record.seed, true)? {
                Attempt::Done((key, entry)) => (entry, key),
                Attempt::Busy => return Err(Error::message(format!("another process trains {}", row.id))),
            },
        };
        let recorded = &record.result.configuration["attacks"][at]["surrogate_sha256"];
        if *recorded != entry.checkpoint_sha256.as_str() {
            return Err(Error::message("its surrogate's weights are others than the record's"));
        }
        Ok(Some(runner.models.open(row, &key, &entry)?.target(&self.context.compute)?))
    }

    /// The test split; the training split too where something has to be trained again.
    fn images(&self, suite: &Suite, record: &Record) -> Result<Images> {
        let stored = |r: &Record| {
            let key = fingerprint(&r.result.configuration["training"]);
            self.context.store.checkpoint(&key).exists()
        };
        let crafted = record.result.configuration["attacks"].as_array().into_iter().flatten();
        let crafted = crafted.filter(|a| a.get("surrogate_sha256").is_some()).count() > 0;
        if !stored(record) || (crafted && !self.records.iter().all(stored)) {
            return load(&suite.data, self.context);
        }
        let manifest = self.context.catalogue.get(&suite.data)?;
        let test = gauntlet_data::load_half(&manifest, &self.context.data, Half::Test)?;
        let train = Split::new(manifest.shape, Vec::new(), Vec::new())?;
        Ok(Images { train, test, classes: manifest.labels().to_vec(), order: manifest.order })
    }

    fn same_data(&self, record: &Record, data: &Images) -> Result<()> {
        let conditions = &record.result.configuration["evaluation"];
        for (split, images, said) in [
            ("training", &data.train, record.result.data_sha256.as_str()),
            ("test", &data.test, conditions["data_sha256"].as_str().unwrap_or_default()),
        ] {
            // Not read where nothing is trained.
            if images.is_empty() {
                continue;
            }
            let found = images.sha256();
            if found != said {
                let why = format!("the {split} images are others than the record's ({found}, recorded {said})");
                return Err(Error::message(why));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_hang_on_device_system_and_mathematics_and_not_on_the_make_of_the_cpu() {
        let of = |cpu: &str, versions: &[(&str, &str)]| Provenance {
            cpu: cpu.into(),
            device: "cpu".into(),
            versions: versions.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
            ..Provenance::default()
        };
        let (linux, one, other) = (("os", "linux-x86_64"), (MATHEMATICS, "11"), (MATHEMATICS, "22"));
        let here = of("AMD", &[linux, one]);
        assert_eq!(apart(&of("Intel", &[linux, one]), &here), None);
        assert_eq!(apart(&of("AMD", &[linux, other]), &here).unwrap(), "what computes exp and its like is 11, not 22");
        assert_eq!(
            apart(&of("AMD", &[("os", "linux-aarch64"), one]), &here).unwrap(),
            "the system is linux-x86_64, not linux-aarch64"
        );
        assert_eq!(apart(&of("AMD", &[linux]), &here), None, "as it was before records named it");
        assert_eq!(
            apart(&of("Intel", &[linux]), &here).unwrap(),
            "the CPU is AMD, not Intel, and the record does not name what computed exp and its like"
        );
        let there = Provenance { device: "cuda (NVIDIA H200)".into(), ..here.clone() };
        assert_eq!(apart(&there, &here).unwrap(), "the device is cpu, not cuda (NVIDIA H200)");
    }
}
