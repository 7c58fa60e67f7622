//! Records: one training with all its evaluations. What reports read; pure data.
//!
//! A record is two objects: `result` (the same bytes for the same configuration, whatever the batch width, the thread
//! count or the interruptions) and `provenance` (where, when and how it came about).

use crate::{Certified, CleanVerdict, Eps, Expectation, Family, Fate, Verdict};
use serde::{Deserialize, Serialize};

/// One attack at one ε.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attacked {
    /// Label in the suite, e.g. `pgd`.
    pub attack: String,
    /// The attack with all defaults filled in (canonical JSON).
    pub parameters: serde_json::Value,
    /// What it goes by; records of before do not say it: [`Attacked::family`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// `linf`, `l2`, `l1`.
    pub norm: crate::Norm,
    /// Budget as written.
    pub eps: Eps,
    /// How many examples it was run on, where they are not all of the record's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples: Option<usize>,
    /// One verdict per example, in the order of [`Outcome::clean`]. Kept in the table of verdicts, not in the JSON.
    #[serde(skip)]
    pub verdicts: Vec<Verdict>,
}

/// Share of the examples that such an attack may leave unbroken at any size. Beyond it, the attack failed.
pub const MOST_UNBROKEN: f64 = 0.02;

impl Attacked {
    /// The attack's registered name.
    pub fn name(&self) -> &str {
        self.parameters["name"].as_str().unwrap_or_default()
    }

    /// Correct clean and under the attack ÷ all examples that it was run on.
    pub fn robust_accuracy(&self) -> f64 {
        crate::verdict::robust_accuracy(&self.verdicts)
    }

    /// What it goes by.
    pub fn family(&self) -> Family {
        self.family.unwrap_or_else(|| Family::of_name(self.name()))
    }

    /// Of an attack for the smallest perturbation: how many of the examples that are right clean it broke at no size, however
    /// large (it then proposes the clean image, of size 0), and how many are right clean. `None`: another attack, or none is.
    pub fn unbroken(&self) -> Option<(usize, usize)> {
        let right = self.verdicts.iter().filter(|v| v.fate != Fate::Wrong).count();
        let unbroken = self.verdicts.iter().filter(|v| v.fate == Fate::Robust && v.size == 0.0).count();
        (self.family().seeks_smallest() && right > 0).then_some((unbroken, right))
    }

    /// Whether it left more unbroken at any size than [`MOST_UNBROKEN`] allows: the attack failed.
    pub fn search_failed(&self) -> bool {
        self.unbroken().is_some_and(|(unbroken, right)| unbroken as f64 > MOST_UNBROKEN * right as f64)
    }
}

/// Share of the answers above which one class is the model's constant answer.
pub const CONSTANT: f64 = 0.9;
/// Share of the labels from which on that class is simply the usual one.
pub const USUAL: f64 = 0.8;
/// Examples that a constant answer is looked for on at least.
pub const FEWEST_ANSWERS: usize = 20;

/// The class that the model answers whatever it is shown, and how many examples it answers so: over nine in ten, while fewer than
/// eight in ten are of that class, of 20 examples at least. Answers that are not finite are none.
pub fn constant_answer(clean: &[CleanVerdict]) -> Option<(u32, usize)> {
    let mut classes: Vec<u32> = clean.iter().filter(|v| !v.margin.is_nan()).map(|v| v.predicted).collect();
    classes.sort_unstable();
    // A class with more than half of the answers is their median.
    let class = *classes.get(classes.len() / 2)?;
    let answers = clean.iter().filter(|v| !v.margin.is_nan() && v.predicted == class).count();
    let (labels, n) = (clean.iter().filter(|v| v.label == class).count(), clean.len() as f64);
    let constant = answers as f64 > CONSTANT * n && (labels as f64) < USUAL * n;
    (constant && clean.len() >= FEWEST_ANSWERS).then_some((class, answers))
}

/// A remark of the referee about a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// Short name, e.g. `fgsm-beats-pgd`.
    pub name: String,
    /// One sentence with the numbers.
    pub detail: String,
}

impl Flag {
    /// Whether tables mark the row: what passed during the training, and is no matter of the network that was attacked, is told
    /// beside them alone.
    pub fn marks(&self) -> bool {
        !self.name.ends_with("-transient")
    }
}

/// Training images that a curve is monitored on where none are held out (all, where there are fewer).
pub const MONITORED_TRAIN_ROWS: usize = 500;

/// One epoch of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Epochs done (1 after the first).
    pub epoch: u32,
    /// Mean of every named term over the epoch's examples, in order.
    pub terms: Vec<(String, f64)>,
    /// Clean accuracy on the monitored examples, in `[0, 1]`.
    pub clean_accuracy: f64,
    /// Accuracy on them under the quick attack, in `[0, 1]`.
    pub robust_accuracy: f64,
    /// Mean ‖∇ₓℓ‖₁ on them, pixel units.
    pub gradient_l1: f64,
    /// Mean ‖∇ₓℓ‖₂ on them, pixel units.
    pub gradient_l2: f64,
    /// Mean cos(∇ₓℓ(x), ∇ₓℓ(x+η)) on them, η ~ U(−ε, ε)^d at the monitor's ε, over those where neither gradient is zero
    /// (Andriushchenko & Flammarion 2020). `None`: not measured, or the monitor's norm is not L∞.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alignment: Option<f64>,
    /// Accuracy on them under FGSM at the norm and budget that the recipe trains against, in `[0, 1]`. `None`: it trains
    /// against none, or not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_fgsm_accuracy: Option<f64>,
    /// The same under PGD, 10 steps of ε/4 from a random start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_pgd_accuracy: Option<f64>,
    /// `validation` (held out) or `train`.
    pub monitored_on: String,
    /// Whether the weights of this epoch were chosen to be attacked; where nothing is chosen they are the last epoch's, and no
    /// epoch says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub evaluated: bool,
}

impl Epoch {
    /// A measure of [`crate::expectation::CURVE`], or a term of the recipe's loss; `None`: not measured, or no such name.
    pub fn measure(&self, name: &str) -> Option<f64> {
        match name {
            "clean_accuracy" => Some(self.clean_accuracy),
            "robust_accuracy" => Some(self.robust_accuracy),
            "gradient_l1" => Some(self.gradient_l1),
            "gradient_l2" => Some(self.gradient_l2),
            "alignment" => self.alignment,
            "own_fgsm_accuracy" => self.own_fgsm_accuracy,
            "own_pgd_accuracy" => self.own_pgd_accuracy,
            term => self.terms.iter().find(|(name, _)| name == term).map(|(_, value)| *value),
        }
    }
}

/// The part of a record that must repeat byte for byte.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Full resolved configuration: data, model, recipe, optimiser, schedule, seeds, attacks (canonical JSON).
    pub configuration: serde_json::Value,
    /// sha256 of the decoded training split, `sha256:...`.
    pub data_sha256: String,
    /// sha256 of the checkpoint's tensors.
    pub checkpoint_sha256: String,
    /// Training curve.
    pub curve: Vec<Epoch>,
    /// One entry per evaluated example. Kept in `verdicts.csv`, not in the JSON.
    #[serde(skip)]
    pub clean: Vec<CleanVerdict>,
    /// Attacks × ε in the suite's order.
    pub attacked: Vec<Attacked>,
    /// Certifications × ε in the suite's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certified: Vec<Certified>,
    /// The referee's remarks.
    pub flags: Vec<Flag>,
}

impl Outcome {
    /// The attacks × ε that have a verdict on every example they were run on: one that failed on the way has not.
    pub fn complete(&self) -> impl Iterator<Item = &Attacked> {
        let all = self.clean.len();
        self.attacked.iter().filter(move |c| !c.verdicts.is_empty() && c.verdicts.len() == c.examples.unwrap_or(all))
    }

    /// The certifications × ε that have a proof's end for every example they were run on: one that failed on the way has not.
    pub fn proved(&self) -> impl Iterator<Item = &Certified> {
        let all = self.clean.len();
        self.certified.iter().filter(move |c| !c.proofs.is_empty() && c.proofs.len() == c.examples.unwrap_or(all))
    }

    /// For every norm, in order of appearance: of the attacks that are complete at its largest ε the one that leaves the fewest
    /// examples right, on the examples that they share; of several the first. Models are shown under the same threat by that.
    pub fn strongest(&self) -> Vec<&Attacked> {
        let mut norms: Vec<crate::Norm> = Vec::new();
        for cell in self.complete() {
            if !norms.contains(&cell.norm) {
                norms.push(cell.norm);
            }
        }
        let of_norm = |norm: crate::Norm| {
            let largest = self.complete().filter(|c| c.norm == norm).map(|c| &c.eps).max()?;
            let there = || self.complete().filter(|c| c.norm == norm && c.eps == *largest);
            let shared = shared(there());
            let right = |c: &&Attacked| {
                c.verdicts.iter().filter(|v| v.fate == Fate::Robust && shared.binary_search(&v.id).is_ok()).count()
            };
            there().min_by_key(right)
        };
        norms.into_iter().filter_map(of_norm).collect()
    }
}

/// Data set rows of the examples that all of these have a verdict on, ascending.
pub fn shared<'a>(cells: impl IntoIterator<Item = &'a Attacked>) -> Vec<u64> {
    let mut cells = cells.into_iter();
    let mut ids: Vec<u64> = cells.next().into_iter().flat_map(|c| &c.verdicts).map(|v| v.id).collect();
    ids.sort_unstable();
    for cell in cells {
        if cell.verdicts.iter().map(|v| v.id).eq(ids.iter().copied()) {
            continue;
        }
        let own: std::collections::HashSet<u64> = cell.verdicts.iter().map(|v| v.id).collect();
        ids.retain(|id| own.contains(id));
    }
    ids
}

/// Where, when and how a record came about. Never compared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of gauntlet.
    pub version: String,
    /// Commit, with `-dirty` if the tree was changed, or `unknown`.
    pub commit: String,
    /// Versions of rustc, candle and the system it was built for.
    pub versions: Vec<(String, String)>,
    /// CPU model.
    pub cpu: String,
    /// `cpu`, or make and driver of a GPU: `cuda (NVIDIA H100 80GB HBM3, driver 13000)`.
    pub device: String,
    /// Threads.
    pub threads: usize,
    /// Start, RFC 3339 UTC.
    pub started: String,
    /// Wall seconds of the training.
    pub train_seconds: f64,
    /// Wall seconds of the evaluation.
    pub evaluate_seconds: f64,
    /// CPU seconds of the training, user and system, of all threads. `None`: not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_cpu_seconds: Option<f64>,
    /// CPU seconds of the evaluation likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate_cpu_seconds: Option<f64>,
    /// Forwards executed in the evaluation, padding and polling included.
    pub executed_forwards: u64,
    /// Backwards executed.
    pub executed_backwards: u64,
    /// How often the training was resumed.
    pub resumed: u32,
    /// Multiplications of a step of the recipe, replays included and with grown weights and budgets, ÷ those of a step of
    /// `ce` on the same batch: what the training cost beside ordinary training, whatever the machine. `None`: not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_relative_to_ce: Option<f64>,
}

/// What was expected of a record's row, and since when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registered {
    /// As it is judged.
    pub expectation: Expectation,
    /// The commit that held it before the training began; `None`: none is known to have, it was set after the run.
    pub set_in: Option<String>,
}

/// One row × seed of a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Format of this file.
    pub format: u32,
    /// Suite.
    pub suite: String,
    /// Row id in the suite, e.g. `grad-norm`.
    pub row: String,
    /// Training seed.
    pub seed: u64,
    /// `None`: done. `Some(reason)`: this part failed.
    pub failed: Option<String>,
    /// What must repeat.
    pub result: Outcome,
    /// What need not.
    pub provenance: Provenance,
    /// What was expected of this row when it was run, and the commits that had set it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<Registered>,
}

/// Current [`Record::format`]. 2: a table of verdicts leaves out what follows from the line before and margins of broken examples.
pub const RECORD_FORMAT: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten classes in turn; the first `constant` images are answered 1.
    fn answers(n: u32, constant: u32, label: impl Fn(u32) -> u32) -> Vec<CleanVerdict> {
        let verdict = |i: u32| CleanVerdict {
            id: u64::from(i),
            label: label(i),
            predicted: if i < constant { 1 } else { 2 + i % 8 },
            margin: 0.5,
        };
        (0..n).map(verdict).collect()
    }

    #[test]
    fn a_constant_answer_is_one_class_on_over_nine_in_ten_images_of_many_classes() {
        // doubleback-195 of the ross-grid report: 984 of 1,000 answers are one class; doubleback-110: 892.
        assert_eq!(constant_answer(&answers(1000, 984, |i| i % 10)), Some((1, 984)));
        assert_eq!(constant_answer(&answers(1000, 892, |i| i % 10)), None);
        assert_eq!(constant_answer(&answers(1000, 900, |i| i % 10)), None);
        // Images that are of one class are answered so.
        assert_eq!(constant_answer(&answers(1000, 984, |i| u32::from(i < 850))), None);
        assert_eq!(constant_answer(&answers(1000, 984, |i| u32::from(i < 700))), Some((1, 984)));
        assert_eq!(constant_answer(&answers(19, 19, |i| i % 10)), None);
        assert_eq!(constant_answer(&[]), None);
        // Logits that are not finite are no answer.
        let mut none = answers(1000, 984, |i| i % 10);
        none.iter_mut().for_each(|v| v.margin = f64::NAN);
        assert_eq!(constant_answer(&none), None);
    }
}
