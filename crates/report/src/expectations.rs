//! Published numbers beside ours.

use crate::answers::Answers;
use crate::chance::dead;
use crate::verdict::verdict;
use crate::{Column, Judgement};
use gauntlet_records::{
    Expectation, Quantity, Record,
    expectation::CURVE,
    record::Registered,
    statistics::{mean_sd, paired_difference, student_t, wilson},
};

/// Which of the published outcomes one training had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The published value, within both errors.
    Value,
    /// Inside the band.
    Band,
    /// Inside the band of the second outcome, with its flag.
    Alternative,
    /// Neither.
    Neither,
}

/// Our number from one training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Training seed.
    pub seed: u64,
    /// In the number's own unit.
    pub value: f64,
    /// Which published outcome it is.
    pub outcome: Outcome,
}

/// The examples that a number is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// Attacked test images.
    Test(u64),
    /// Training images that were held out.
    HeldOut(u64),
    /// Training images that were trained on.
    Monitored,
    /// All images of the epoch, each at its own step.
    Epoch,
}

/// A published number and ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// What was published.
    pub expectation: Expectation,
    /// Ours, one per training.
    pub seen: Vec<Seen>,
    /// Mean and sample standard deviation over seeds (0 for one); `None`: not run.
    pub ours: Option<(f64, f64)>,
    /// Our 95 % interval, in the number's own unit: Wilson's of one training's accuracy, Bonett's and Price's of a difference on
    /// the same images, Student's of the mean over three seeds or more; of two seeds, both. `None`: one point of a curve.
    pub interval: Option<(f64, f64)>,
    /// What ours was measured on.
    pub sample: Option<Sample>,
    /// Ours − published; `None` without one of the two, or where some seed had the second outcome.
    pub difference: Option<f64>,
    /// What became of it.
    pub judgement: Judgement,
    /// Why it is outside, where the number does not say.
    pub why: Option<String>,
    /// How many other rows of the suite would be reproduced or compatible in this row's place, and how many have that number.
    pub others: Option<(usize, usize)>,
    /// The commit that set the expectation before every training that it judges; `None`: none is known to have.
    pub set_in: Option<String>,
}

/// One seed's number.
struct Measured<'a> {
    seed: u64,
    value: f64,
    interval: Option<(f64, f64)>,
    sample: Sample,
    /// Whose, and, of an accuracy, which examples were right.
    answers: &'a Answers<'a>,
    right: Option<&'a [Option<bool>]>,
    /// Why a network of this number is no model at all.
    dead: Option<String>,
}

/// A row's numbers, judged.
struct Found<'a> {
    measured: Vec<Measured<'a>>,
    outcomes: Vec<Outcome>,
    ours: (f64, f64),
    interval: Option<(f64, f64)>,
    judgement: Judgement,
    why: Option<String>,
}

/// Every expectation, judged unless the run was shortened.
pub(crate) fn judged(expectations: &[Expectation], answers: &[Answers<'_>], shortened: bool) -> Vec<Judged> {
    let court = Court { expectations, answers };
    expectations.iter().map(|e| court.judge(e, shortened)).collect()
}

/// What all judgements of a suite share.
struct Court<'a> {
    expectations: &'a [Expectation],
    answers: &'a [Answers<'a>],
}

impl<'a> Court<'a> {
    fn judge(&self, expectation: &Expectation, shortened: bool) -> Judged {
        let none = Judged {
            expectation: expectation.clone(),
            seen: Vec::new(),
            ours: None,
            interval: None,
            sample: None,
            difference: None,
            judgement: Judgement::NotRun,
            why: None,
            others: None,
            set_in: None,
        };
        let Some(found) = self.find(expectation, &expectation.row) else { return none };
        let seen: Vec<Seen> = found
            .measured
            .iter()
            .zip(&found.outcomes)
            .map(|(m, outcome)| Seen { seed: m.seed, value: m.value, outcome: *outcome })
            .collect();
        let second =
            expectation.or.is_some() && seen.iter().any(|s| !matches!(s.outcome, Outcome::Value | Outcome::Band));
        let (judgement, why) = if shortened { (Judgement::Shown, None) } else { (found.judgement, found.why) };
        Judged {
            ours: Some(found.ours),
            interval: found.interval.filter(|_| expectation.or.is_none()),
            difference: expectation.value.filter(|_| !second).map(|value| found.ours.0 - value),
            sample: found
                .measured
                .iter()
                .map(|m| m.sample)
                .min_by_key(|s| if let Sample::Test(n) = s { *n } else { 0 }),
            others: (!shortened).then(|| self.others(expectation)),
            set_in: set_in(expectation, found.measured.iter().map(|m| m.answers.record)),
            seen,
            judgement,
            why,
            ..none
        }
    }

    /// The other rows that have the number, and those of them that would not be outside.
    fn others(&self, expectation: &Expectation) -> (usize, usize) {
        let mut rows: Vec<&str> = Vec::new();
        for a in self.answers {
            let row = a.record.row.as_str();
            let itself = row == expectation.row || expectation.minus.as_ref().is_some_and(|m| m.row == row);
            if !itself && !rows.contains(&row) {
                rows.push(row);
            }
        }
        let found: Vec<Found<'_>> = rows.iter().filter_map(|row| self.find(expectation, row)).collect();
        let passes = |f: &&Found<'_>| matches!(f.judgement, Judgement::Reproduced | Judgement::Compatible);
        (found.iter().filter(passes).count(), found.len())
    }

    /// What `row` has in the place of the expectation's own; `None`: it has no such number.
    fn find(&self, expectation: &Expectation, row: &str) -> Option<Found<'a>> {
        let mut measured = self.of_row(row, &expectation.of);
        if let Some(other) = &expectation.minus {
            let others = self.of_row(if other.row == expectation.row { row } else { &other.row }, &other.of);
            measured = measured.into_iter().filter_map(|m| difference(m, &others)).collect();
        }
        let values: Vec<f64> = measured.iter().map(|m| m.value).collect();
        let ours = mean_sd(&values)?;
        let interval = match measured.as_slice() {
            [one] => one.interval,
            [_, _] => Some((values[0].min(values[1]), values[0].max(values[1]))),
            more => {
                let half = student_t(more.len() as u64 - 1) * ours.1 / (more.len() as f64).sqrt();
                Some((ours.0 - half, ours.0 + half))
            }
        };
        let judge = |m: &Measured<'_>| self.outcome(expectation, row, m);
        let judged: Vec<(Outcome, f64)> = measured.iter().map(judge).collect();
        let dead = measured.iter().find_map(|m| m.dead.clone());
        let (mut judgement, mut why) = match &expectation.or {
            None => verdict(expectation, ours.0, interval),
            Some(_) => {
                let by = judged.iter().map(|j| j.1).fold(0.0, f64::max);
                let all = |outcome| judged.iter().all(|j| j.0 == outcome);
                let missed = judged.iter().any(|j| j.0 == Outcome::Neither);
                let judgement = match missed {
                    true => Judgement::Outside { by },
                    false if all(Outcome::Value) => Judgement::Reproduced,
                    false => Judgement::Compatible,
                };
                (judgement, None)
            }
        };
        if dead.is_some() {
            let by = if let Judgement::Outside { by } = judgement { by } else { 0.0 };
            (judgement, why) = (Judgement::Outside { by }, dead);
        }
        let outcomes = judged.into_iter().map(|j| j.0).collect();
        Some(Found { measured, outcomes, ours, interval, judgement, why })
    }

    /// One training's outcome, and by how much it is outside.
    fn outcome(&self, expectation: &Expectation, row: &str, m: &Measured<'_>) -> (Outcome, f64) {
        let flagged = |flag: &str| {
            self.answers.iter().any(|a| {
                (a.record.row.as_str(), a.record.seed) == (row, m.seed)
                    && a.record.result.flags.iter().any(|f| f.name == flag)
            })
        };
        let first = verdict(expectation, m.value, m.interval).0;
        match (&expectation.or, first) {
            _ if m.dead.is_some() => (Outcome::Neither, if let Judgement::Outside { by } = first { by } else { 0.0 }),
            (_, Judgement::Reproduced) => (Outcome::Value, 0.0),
            (_, Judgement::Compatible) => (Outcome::Band, 0.0),
            (Some(or), _) if or.band.holds(m.value) && or.flag.as_ref().is_none_or(|f| flagged(f)) => {
                (Outcome::Alternative, 0.0)
            }
            // Inside the second band without its flag it misses the first.
            (Some(or), Judgement::Outside { by }) if !or.band.holds(m.value) => {
                (Outcome::Neither, by.min(or.band.distance(m.value)))
            }
            (_, Judgement::Outside { by }) => (Outcome::Neither, by),
            (_, Judgement::NotRun | Judgement::Shown) => (Outcome::Neither, 0.0),
        }
    }

    fn of_row(&self, row: &str, quantity: &Quantity) -> Vec<Measured<'a>> {
        let published = self.expectations.iter().find_map(|e| {
            e.value.filter(|_| e.row == row && e.of == Quantity::Clean && e.minus.is_none() && e.or.is_none())
        });
        let answers = self.answers.iter().filter(|a| a.record.row == row);
        answers.filter_map(|a| of_one(quantity, a, published)).collect()
    }
}

/// The commit in which all records of an expectation know it was set.
fn set_in<'r>(expectation: &Expectation, records: impl Iterator<Item = &'r Record>) -> Option<String> {
    let mut known: Option<String> = None;
    for record in records {
        let is = |r: &&Registered| r.expectation.judged_as(expectation);
        let commit = record.expectations.iter().find(is)?.set_in.clone()?;
        known.get_or_insert(commit);
    }
    known
}

/// A row's number minus the other's of the same seed. Weights that were not trained here have one record for all seeds.
fn difference<'a>(m: Measured<'a>, others: &[Measured<'a>]) -> Option<Measured<'a>> {
    let other = others.iter().find(|o| o.seed == m.seed).or(match others {
        [only] => Some(only),
        _ => None,
    })?;
    let sample = match (m.sample, other.sample) {
        (Sample::Test(a), Sample::Test(b)) => Sample::Test(a.min(b)),
        (sample, _) => sample,
    };
    let interval = match (m.right, other.right) {
        (Some(right), Some(theirs)) if m.answers.pairs_with(other.answers) => {
            let both: Vec<(bool, bool)> = right.iter().zip(theirs).filter_map(|(r, t)| r.zip(*t)).collect();
            let own = |of: &[Option<bool>]| of.iter().flatten().count();
            let only = |a: bool| both.iter().filter(|(r, t)| *r == a && *t != a).count() as u64;
            let (low, high) = paired_difference(only(true), only(false), both.len() as u64, 1.96);
            // Attacks on different images have no pairs.
            (both.len() == own(right) && both.len() == own(theirs)).then_some((100.0 * low, 100.0 * high))
        }
        _ => None,
    };
    let dead = m.dead.clone().or_else(|| other.dead.clone());
    Some(Measured { value: m.value - other.value, interval, sample, dead, ..m })
}

fn of_one<'a>(quantity: &Quantity, answers: &'a Answers<'a>, published_clean: Option<f64>) -> Option<Measured<'a>> {
    let (record, seed) = (answers.record, answers.record.seed);
    let dead = dead(answers, published_clean);
    if let Quantity::Curve { curve, epoch, scale } = quantity {
        let point = record.result.curve.iter().find(|e| e.epoch == *epoch)?;
        let held_out = || record.result.configuration.pointer("/training/train/validation")?.as_u64();
        let sample = match held_out() {
            _ if !CURVE.contains(&curve.as_str()) => Sample::Epoch,
            Some(n) if n > 0 => Sample::HeldOut(n),
            _ => Sample::Monitored,
        };
        let value = scale * point.measure(curve)?;
        return Some(Measured { seed, value, interval: None, sample, answers, right: None, dead });
    }
    let right = answers.right_or_alone(&Column::of(quantity)?)?;
    let count = |of: &dyn Fn(bool) -> bool| right.iter().flatten().filter(|r| of(**r)).count() as u64;
    let (correct, n) = (count(&|r| r), count(&|_| true));
    let value = 100.0 * correct as f64 / n as f64;
    let (low, high) = wilson(correct, n, 1.96);
    let interval = Some((100.0 * low, 100.0 * high));
    Some(Measured { seed, value, interval, sample: Sample::Test(n), answers, right: Some(right), dead })
}

impl Sample {
    /// How many; `None`: the record does not say.
    pub fn n(&self) -> Option<u64> {
        match self {
            Sample::Test(n) | Sample::HeldOut(n) => Some(*n),
            Sample::Monitored | Sample::Epoch => None,
        }
    }
}

impl Judgement {
    /// `reproduced`, `compatible`, `outside`, `not run`, `not judged`.
    pub fn name(&self) -> &'static str {
        match self {
            Judgement::Reproduced => "reproduced",
            Judgement::Compatible => "compatible",
            Judgement::Outside { .. } => "outside",
            Judgement::NotRun => "not run",
            Judgement::Shown => "not judged",
        }
    }
}
