//! Verdicts of two evaluations, example by example.

use gauntlet_records::{CleanVerdict, Eps, Norm, Proof, Verdict};
use serde::Serialize;

/// Of a machine of another kind: how far sizes may differ, as a share of 1 + size, and margins likewise.
const TOLERANCE: f64 = 1e-3;
/// The share of a cell's verdicts that may turn between two kinds of machine: a proposal at the very boundary.
const TURNED: f64 = 0.04;

/// How verdicts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Bit for bit: the record is of this kind of machine.
    Exact,
    /// Fates, sizes and margins with a tolerance: the record is of another one.
    Tolerant,
}

/// A verdict that came out differently.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Data set row.
    pub id: u64,
    /// `robust, ‖δ‖ 0.1, margin 0.25, 40 steps`.
    pub recorded: String,
    /// Likewise.
    pub now: String,
}

/// One column of a record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerifiedCell {
    /// `clean`, or the attack's label.
    pub attack: String,
    /// Norm and budget; the clean images have none.
    pub budget: Option<(Norm, Eps)>,
    /// Verdicts that were evaluated again.
    pub compared: usize,
    /// Those that differ.
    pub different: Vec<Difference>,
    /// Whether the column holds: no difference, or, with a tolerance, few enough.
    pub holds: bool,
}

/// What a verdict of either kind is compared by.
pub(crate) trait Compared {
    fn id(&self) -> u64;
    fn same(&self, other: &Self) -> bool;
    fn near(&self, other: &Self) -> bool;
    fn shown(&self) -> String;
}

fn bits(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}
fn close(a: f64, b: f64) -> bool {
    bits(a, b) || (a - b).abs() <= TOLERANCE * (1.0 + a.abs())
}

impl Compared for CleanVerdict {
    fn id(&self) -> u64 {
        self.id
    }
    fn same(&self, other: &Self) -> bool {
        (self.label, self.predicted) == (other.label, other.predicted) && self.same_margin(other)
    }
    fn near(&self, other: &Self) -> bool {
        (self.label, self.predicted) == (other.label, other.predicted)
            && (self.same_margin(other) || close(self.margin, other.margin))
    }
    fn shown(&self) -> String {
        format!("{} as {}, margin {}", self.label, self.predicted, self.margin)
    }
}

impl Compared for Verdict {
    fn id(&self) -> u64 {
        self.id
    }
    fn same(&self, other: &Self) -> bool {
        let plain = |v: &Self| Verdict { size: 0.0, margin: None, ..v.clone() };
        plain(self) == plain(other) && bits(self.size, other.size) && self.same_margin(other)
    }
    fn near(&self, other: &Self) -> bool {
        self.fate == other.fate
            && close(self.size, other.size)
            && (self.same_margin(other) || self.margin.zip(other.margin).is_some_and(|(a, b)| close(a, b)))
    }
    fn shown(&self) -> String {
        let margin = self.margin.map(|m| format!("margin {m}, ")).unwrap_or_default();
        format!("{}, ‖δ‖ {}, {margin}{} steps", self.fate, self.size, self.steps)
    }
}

impl Compared for Proof {
    fn id(&self) -> u64 {
        self.id
    }
    fn same(&self, other: &Self) -> bool {
        self == other
    }
    /// The judge of a search is f32, whose bits may be others; bounds are f64.
    fn near(&self, other: &Self) -> bool {
        self.fate == other.fate
    }
    fn shown(&self) -> String {
        let bound = self.bound.map(|b| format!(", bound {b}")).unwrap_or_default();
        format!("{} by {}{bound}, {} parts", self.fate, self.method, self.nodes)
    }
}

/// Compares what was evaluated again with the record's verdicts at those places.
pub(crate) fn compare<V: Compared>(
    attack: &str,
    budget: Option<(Norm, Eps)>,
    measure: Measure,
    chosen: &[usize],
    (then, now): (&[V], &[V]),
) -> VerifiedCell {
    let mut different = Vec::new();
    for (now, i) in now.iter().zip(chosen) {
        let recorded = then.get(*i);
        let agrees = recorded.is_some_and(|then| {
            then.id() == now.id()
                && match measure {
                    Measure::Exact => then.same(now),
                    Measure::Tolerant => then.near(now),
                }
        });
        if !agrees {
            let recorded = recorded.map_or_else(|| "no verdict".into(), V::shown);
            different.push(Difference { id: now.id(), recorded, now: now.shown() });
        }
    }
    let allowed = match measure {
        Measure::Exact => 0,
        Measure::Tolerant => (TURNED * now.len() as f64).ceil() as usize,
    };
    let holds = different.len() <= allowed;
    VerifiedCell { attack: attack.to_string(), budget, compared: now.len(), different, holds }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_records::Fate;

    fn verdict(id: u64, margin: f64) -> Verdict {
        Verdict {
            id,
            fate: Fate::Robust,
            restart: 0,
            steps: 9,
            size: 0.1,
            margin: Some(margin),
            forwards: 10,
            backwards: 9,
            broken_by: String::new(),
            blind: 0,
            rounded: false,
            fooled: None,
        }
    }

    #[test]
    fn bits_count_on_the_same_cpu_and_little_is_forgiven_on_another() {
        let then: Vec<Verdict> = (0..100).map(|i| verdict(i, if i == 7 { f64::NAN } else { 0.0025 })).collect();
        let chosen: Vec<usize> = (0..100).step_by(2).chain([7]).collect();
        let now: Vec<Verdict> = chosen.iter().map(|i| then[*i].clone()).collect();
        let check = |now: &[Verdict], measure| compare("pgd", None, measure, &chosen, (&then, now));
        for measure in [Measure::Exact, Measure::Tolerant] {
            let cell = check(&now, measure);
            assert_eq!((cell.compared, cell.different.len(), cell.holds), (51, 0, true));
        }
        // Another margin, another number of steps.
        let mut moved = now.clone();
        moved[3].margin = Some(0.0027);
        moved[4].steps = 8;
        let cell = check(&moved, Measure::Exact);
        assert_eq!((cell.different.iter().map(|d| d.id).collect::<Vec<_>>(), cell.holds), (vec![6, 8], false));
        assert!(cell.different[1].recorded.contains("9 steps") && cell.different[1].now.contains("8 steps"));
        assert!(check(&moved, Measure::Tolerant).different.is_empty());
        // Fates that turn: some may on another CPU, many may not.
        for (turned, holds) in [(3, true), (4, false)] {
            let mut moved = now.clone();
            moved.iter_mut().take(turned).for_each(|v| v.fate = Fate::Broken);
            let cell = check(&moved, Measure::Tolerant);
            assert_eq!((cell.different.len(), cell.holds), (turned, holds));
        }
        // Another example in its place is no agreement.
        let mut moved = now.clone();
        moved[0].id = 99;
        assert!(!check(&moved, Measure::Exact).holds);
    }
}
