//! What proofs say of attacks, and of themselves.

use crate::flags::measures::{flag, same_threat, share};
use gauntlet_records::{Attacked, Certified, Fate, Flag, ProofFate};
use std::collections::HashMap;

/// Points between what is proved and what no attack breaks up to which there is nothing left for an attack to find.
const SETTLED: f64 = 0.5;
/// Points from which on it is worth looking at the attack.
const FAR: f64 = 5.0;
/// Share of gradients that are zero everywhere or not finite somewhere.
const BLIND: f64 = 0.01;

/// The gap of one certification, on the examples that it and all attacks of its norm and ε share, in percent.
struct Gap<'a> {
    cell: &'a Certified,
    attacks: Vec<&'a Attacked>,
    proved: f64,
    attacked: f64,
}

impl Gap<'_> {
    fn points(&self) -> f64 {
        self.attacked - self.proved
    }
}

/// Every certification beside the attacks of its norm and ε, where there are some.
fn gaps<'a>(attacked: &'a [Attacked], certified: &'a [Certified]) -> Vec<Gap<'a>> {
    let of = |cell: &'a Certified| {
        let attacks: Vec<&Attacked> = attacked.iter().filter(|a| (a.norm, &a.eps) == (cell.norm, &cell.eps)).collect();
        let ids = gauntlet_records::record::shared(attacks.iter().copied());
        let mut standing: HashMap<u64, bool> = ids.into_iter().map(|id| (id, true)).collect();
        for v in attacks.iter().flat_map(|a| &a.verdicts).filter(|v| v.fate != Fate::Robust) {
            standing.entry(v.id).and_modify(|stands| *stands = false);
        }
        let both: Vec<(bool, ProofFate)> =
            cell.proofs.iter().filter_map(|p| Some((*standing.get(&p.id)?, p.fate))).collect();
        let percent = |which: &dyn Fn(&(bool, ProofFate)) -> bool| {
            100.0 * both.iter().filter(|b| which(b)).count() as f64 / both.len() as f64
        };
        (!both.is_empty()).then(|| Gap {
            cell,
            attacks,
            proved: percent(&|(stands, fate)| *stands && *fate == ProofFate::Certified),
            attacked: percent(&|(stands, fate)| *stands && matches!(fate, ProofFate::Certified | ProofFate::Open)),
        })
    };
    certified.iter().filter_map(of).collect()
}

/// What is said behind a sign of masked gradients where proofs leave next to nothing for any attack to find.
pub(super) struct Settled<'a>(Vec<Gap<'a>>);

impl<'a> Settled<'a> {
    pub(super) fn of(attacked: &'a [Attacked], certified: &'a [Certified]) -> Self {
        let mut gaps = gaps(attacked, certified);
        gaps.retain(|g| g.points() <= SETTLED);
        Settled(gaps)
    }

    /// Of the norm and ε of this cell; empty where that is open.
    pub(super) fn at(&self, cell: &Attacked) -> String {
        let here = self.0.iter().filter(|g| g.attacks.iter().any(|a| same_threat(a, cell)));
        let Some(least) = here.min_by(|a, b| a.points().total_cmp(&b.points())) else { return String::new() };
        format!(
            "; settled: {} proves {:.2} %, so that no attack at {} {} can find more than {:.2} points",
            least.cell.certify,
            least.proved,
            cell.norm,
            cell.eps,
            least.points().max(0.0)
        )
    }
}

/// What proofs and attacks say of one another.
pub(super) fn remarks(attacked: &[Attacked], certified: &[Certified]) -> Vec<Flag> {
    let mut raised = Vec::new();
    raised.extend(gaps(attacked, certified).iter().filter_map(far));
    raised.extend(certified.iter().filter_map(vacuous));
    raised
}

/// The attack breaks far less than is left unproved, and there is a sign that it is the attack's fault.
fn far(gap: &Gap<'_>) -> Option<Flag> {
    if gap.points() <= FAR {
        return None;
    }
    let blind = |a: &&&Attacked| {
        let all: u64 = a.verdicts.iter().map(|v| u64::from(v.backwards)).sum();
        let none: u64 = a.verdicts.iter().map(|v| u64::from(v.blind)).sum();
        none as f64 / all.max(1) as f64 > BLIND
    };
    let alone = |a: &&&Attacked| {
        let guided = || gap.attacks.iter().filter(|g| !g.family().sees_no_gradient());
        let fell = |cell: &Attacked, id: u64| cell.verdicts.iter().any(|v| v.id == id && broken(v.fate));
        a.family().sees_no_gradient()
            && guided().next().is_some()
            && share(a, |v| broken(v.fate) && !guided().any(|g| fell(g, v.id))) > 0.0
    };
    let sign = match (gap.attacks.iter().find(blind), gap.attacks.iter().find(alone)) {
        (Some(a), _) => format!("gradients of {} are zero or not finite", a.attack),
        (None, Some(a)) => format!("{} broke what no attack with gradients did", a.attack),
        (None, None) => return None,
    };
    Some(flag(
        "attack-far-from-bound",
        format!(
            "between what {} proves ({:.2} %) and what withstands every attack ({:.2} %) at {} {} lie {:.2} points, and {sign}: \
             look at the attacks first",
            gap.cell.certify,
            gap.proved,
            gap.attacked,
            gap.cell.norm,
            gap.cell.eps,
            gap.points()
        ),
    ))
}

fn broken(fate: Fate) -> bool {
    matches!(fate, Fate::Broken | Fate::Carried)
}

/// Nothing is proved of anything that is right.
fn vacuous(cell: &Certified) -> Option<Flag> {
    let right: Vec<_> = cell.proofs.iter().filter(|p| p.fate != ProofFate::Wrong).collect();
    if right.is_empty() || cell.count(ProofFate::Certified) > 0 {
        return None;
    }
    let undecided = right.iter().map(|p| f64::from(p.undecided)).sum::<f64>() / right.len() as f64;
    Some(flag(
        "bound-vacuous",
        format!(
            "{} proves nothing of {} correct images at {} {}, with {undecided:.0} rectifiers undecided: that says nothing about \
             robustness",
            cell.certify,
            right.len(),
            cell.norm,
            cell.eps
        ),
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use gauntlet_records::{Eps, Family, Norm, Proof, Verdict};
    use serde_json::json;

    /// 200 examples: the first `robust` withstand.
    fn attack(name: &str, robust: u64) -> Attacked {
        let verdict = |id: u64| Verdict {
            id,
            fate: if id < robust { Fate::Robust } else { Fate::Broken },
            restart: 0,
            steps: 1,
            size: 0.1,
            margin: None,
            forwards: 1,
            backwards: 100,
            broken_by: String::new(),
            blind: 0,
            rounded: true,
            fooled: None,
        };
        Attacked {
            attack: name.to_string(),
            parameters: json!({ "name": name, "args": {} }),
            family: Some(Family::of_name(name)),
            norm: Norm::Linf,
            eps: "0.1".parse::<Eps>().unwrap(),
            examples: None,
            verdicts: (0..200).map(verdict).collect(),
        }
    }

    /// The first `proved` are.
    fn certified(proved: u64) -> Certified {
        let proof = |id: u64| Proof {
            id,
            fate: if id < proved { ProofFate::Certified } else { ProofFate::Open },
            method: "crown".into(),
            bound: None,
            nodes: 0,
            undecided: 80,
        };
        Certified {
            certify: "bounds".into(),
            parameters: json!({}),
            norm: Norm::Linf,
            eps: "0.1".parse::<Eps>().unwrap(),
            examples: None,
            proofs: (0..200).map(proof).collect(),
        }
    }

    #[test]
    fn a_gap_of_half_a_point_settles_and_a_larger_one_does_not() {
        let (attacked, proved) = ([attack("pgd", 180)], [certified(179)]);
        let settled = Settled::of(&attacked, &proved);
        assert_eq!(
            settled.at(&attacked[0]),
            "; settled: bounds proves 89.50 %, so that no attack at linf 0.1 can find more than 0.50 points"
        );
        let other = Attacked { eps: "0.2".parse().unwrap(), ..attack("pgd", 180) };
        assert_eq!(settled.at(&other), "");
        let proved = [certified(178)];
        assert_eq!(Settled::of(&attacked, &proved).at(&attacked[0]), "");
        assert_eq!(Settled::of(&attacked, &[]).at(&attacked[0]), "");
    }

    #[test]
    fn a_wide_gap_is_told_where_the_attack_may_be_at_fault() {
        let named = |attacked: &[Attacked], proved: u64| -> Vec<String> {
            remarks(attacked, &[certified(proved)]).into_iter().map(|f| f.name).collect()
        };
        assert!(named(&[attack("pgd", 180)], 100).is_empty());
        let mut blind = attack("pgd", 180);
        blind.verdicts.iter_mut().for_each(|v| v.blind = 2);
        assert_eq!(named(std::slice::from_ref(&blind), 100), ["attack-far-from-bound"]);
        assert!(named(&[blind], 171).is_empty(), "4.5 points are not far");
        // A black box that broke something alone; one that broke no more than the gradients did.
        assert_eq!(named(&[attack("pgd", 180), attack("square", 170)], 100), ["attack-far-from-bound"]);
        assert!(named(&[attack("pgd", 170), attack("square", 170)], 100).is_empty());
    }

    #[test]
    fn bounds_that_prove_nothing_say_so() {
        assert_eq!(remarks(&[], &[certified(0)])[0].name, "bound-vacuous");
        assert!(remarks(&[], &[certified(1)]).is_empty());
        let mut wrong = certified(0);
        wrong.proofs.iter_mut().for_each(|p| p.fate = ProofFate::Wrong);
        assert!(remarks(&[], &[wrong]).is_empty());
    }
}
