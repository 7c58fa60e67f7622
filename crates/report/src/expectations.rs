//! Published numbers beside ours.

use crate::Column;
use crate::answers::Answers;
use gauntlet_core::expectation::CURVE;
use gauntlet_core::statistics::{mean_sd, wilson};
use gauntlet_core::{Expectation, Quantity};

/// What became of a published number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Judgement {
    /// Reproduced: inside the band.
    Inside,
    /// Outside, by so much, in the number's own unit (infinite: ours is not a number).
    Outside {
        /// Distance to the nearest band; of several seeds judged by themselves, the largest.
        by: f64,
    },
    /// No training of ours has that number.
    NotRun,
    /// The run was shortened: shown, and not judged.
    Shown,
}

/// Which of the published outcomes one training had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
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
    /// Wilson's 95 % interval in percent, of one training's accuracy.
    pub interval: Option<(f64, f64)>,
    /// What ours was measured on.
    pub sample: Option<Sample>,
    /// Ours − published; `None` without one of the two, or where some seed had the second outcome.
    pub difference: Option<f64>,
    /// What became of it.
    pub judgement: Judgement,
}

/// One seed's number: value, correct ones and examples of an accuracy, sample.
struct Measured {
    seed: u64,
    value: f64,
    count: Option<(u64, u64)>,
    sample: Sample,
}

/// Every expectation, judged unless the run was shortened.
pub(crate) fn judged(expectations: &[Expectation], answers: &[Answers<'_>], shortened: bool) -> Vec<Judged> {
    expectations.iter().map(|e| judge(e, answers, shortened)).collect()
}

fn judge(expectation: &Expectation, answers: &[Answers<'_>], shortened: bool) -> Judged {
    let mut measured = of_row(&expectation.row, &expectation.of, answers);
    if let Some(other) = &expectation.minus {
        let others = of_row(&other.row, &other.of, answers);
        measured = measured.into_iter().filter_map(|m| difference(m, &others)).collect();
    }
    let flagged = |seed: u64, flag: &str| {
        answers.iter().any(|a| {
            (&a.record.row, a.record.seed) == (&expectation.row, seed)
                && a.record.result.flags.iter().any(|f| f.name == flag)
        })
    };
    let outcome = |m: &Measured| match &expectation.or {
        _ if expectation.holds(m.value) => Outcome::Band,
        Some(or) if or.holds(m.value) && or.flag.as_ref().is_none_or(|f| flagged(m.seed, f)) => Outcome::Alternative,
        _ => Outcome::Neither,
    };
    let seen: Vec<Seen> = measured.iter().map(|m| Seen { seed: m.seed, value: m.value, outcome: outcome(m) }).collect();
    let ours = mean_sd(&seen.iter().map(|s| s.value).collect::<Vec<_>>());
    let judgement = match ours {
        None => Judgement::NotRun,
        Some(_) if shortened => Judgement::Shown,
        Some((mean, _)) if expectation.or.is_none() => verdict(distance(expectation.band, mean)),
        Some(_) => {
            let misses = seen.iter().filter(|s| s.outcome == Outcome::Neither).map(|s| miss(expectation, s.value));
            verdict(misses.fold(0.0, f64::max))
        }
    };
    let second = expectation.or.is_some() && seen.iter().any(|s| s.outcome != Outcome::Band);
    let interval = match measured.as_slice() {
        [Measured { count: Some((correct, n)), .. }] => {
            let (low, high) = wilson(*correct, *n, 1.96);
            Some((100.0 * low, 100.0 * high))
        }
        _ => None,
    };
    Judged {
        difference: ours.zip(expectation.value).filter(|_| !second).map(|((mean, _), value)| mean - value),
        sample: measured.iter().map(|m| m.sample).min_by_key(|s| if let Sample::Test(n) = s { *n } else { 0 }),
        expectation: expectation.clone(),
        seen,
        ours,
        interval,
        judgement,
    }
}

fn verdict(miss: f64) -> Judgement {
    if miss > 0.0 { Judgement::Outside { by: miss } } else { Judgement::Inside }
}

/// How far a value lies outside a band; a NaN lies infinitely far.
fn distance((low, high): (f64, f64), value: f64) -> f64 {
    if value.is_nan() { f64::INFINITY } else { (low - value).max(value - high).max(0.0) }
}

/// How far a value that is neither outcome misses the nearer one. Inside the second band without its flag it misses the first.
fn miss(expectation: &Expectation, value: f64) -> f64 {
    let first = distance(expectation.band, value);
    match &expectation.or {
        Some(or) if !or.holds(value) => first.min(distance(or.band, value)),
        _ => first,
    }
}

/// A row's number minus the other's of the same seed. Weights that were not trained here have one record for all seeds.
fn difference(m: Measured, others: &[Measured]) -> Option<Measured> {
    let other = others.iter().find(|o| o.seed == m.seed).or(match others {
        [only] => Some(only),
        _ => None,
    })?;
    let sample = match (m.sample, other.sample) {
        (Sample::Test(a), Sample::Test(b)) => Sample::Test(a.min(b)),
        (sample, _) => sample,
    };
    Some(Measured { value: m.value - other.value, count: None, sample, ..m })
}

fn of_row(row: &str, quantity: &Quantity, answers: &[Answers<'_>]) -> Vec<Measured> {
    answers.iter().filter(|a| a.record.row == row).filter_map(|a| of_one(quantity, a)).collect()
}

fn of_one(quantity: &Quantity, answers: &Answers<'_>) -> Option<Measured> {
    let (record, seed) = (answers.record, answers.record.seed);
    if let Quantity::Curve { curve, epoch, scale } = quantity {
        let point = record.result.curve.iter().find(|e| e.epoch == *epoch)?;
        let held_out = || record.result.configuration.pointer("/training/train/validation")?.as_u64();
        let sample = match held_out() {
            _ if !CURVE.contains(&curve.as_str()) => Sample::Epoch,
            Some(n) if n > 0 => Sample::HeldOut(n),
            _ => Sample::Monitored,
        };
        return Some(Measured { seed, value: scale * point.measure(curve)?, count: None, sample });
    }
    let right = answers.right_or_alone(&Column::of(quantity)?)?;
    let count = |of: &dyn Fn(bool) -> bool| right.iter().flatten().filter(|r| of(**r)).count() as u64;
    let (correct, n) = (count(&|r| r), count(&|_| true));
    let value = 100.0 * correct as f64 / n as f64;
    Some(Measured { seed, value, count: Some((correct, n)), sample: Sample::Test(n) })
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
    /// `inside`, `outside`, `not run`, `not judged`.
    pub fn name(&self) -> &'static str {
        match self {
            Judgement::Inside => "inside",
            Judgement::Outside { .. } => "outside",
            Judgement::NotRun => "not run",
            Judgement::Shown => "not judged",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_is_outside_of_everything() {
        assert_eq!(distance((1.0, 2.0), 1.0), 0.0);
        assert_eq!(distance((1.0, 2.0), 4.0), 2.0);
        assert_eq!(verdict(distance((1.0, 2.0), f64::NAN)).to_string(), "outside: not a number");
    }
}
