//! Attacks that two or more libraries have and this one has not.

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// Its usual name.
    pub name: &'static str,
    /// Libraries that have it.
    pub libraries: &'static str,
    /// Why it is not here, and what is instead.
    pub why: &'static str,
}

const fn of(name: &'static str, libraries: &'static str, why: &'static str) -> LeftOut {
    LeftOut { name, libraries, why }
}

/// All of them, with one reason each.
pub const LEFT_OUT: &[LeftOut] = &[
    of(
        "Admix",
        "TransferAttack, torchattack",
        "mixes in other images, and a result here depends on its own image alone; SSA and BSR, which need none, are options of `mi-fgsm`",
    ),
    of(
        "Brendel & Bethge",
        "Foolbox, ART",
        "a trust-region solver for every step; `fab`, `ddn` and `fmn` are those here that follow the boundary",
    ),
    of(
        "corruptions, blur, contrast, inversion",
        "Foolbox, SecML-Torch, CleverHans",
        "no search: shifted test sets belong to the data ([datasets.md](datasets.md))",
    ),
    of("feature adversaries", "ART, AdverTorch, CleverHans 3", "need activations inside the network and a guide image"),
    of(
        "GenAttack",
        "Foolbox, AdverTorch",
        "a genetic search by scores; `square`, `nes` and `bandits` are those here that go by scores",
    ),
    of("L-BFGS", "AdverTorch, CleverHans 3, DeepRobust", "historic; `cw-l2` minimises the same with another optimiser"),
    of("LGV", "torchattacks, TransferAttack", "trains the surrogate on; train it here, then `transfer`"),
    of("NewtonFool", "Foolbox, ART", "steps on the label's probability alone; `deepfool` is the one of its kind here"),
    of("one pixel", "torchattacks, ART, DeepRobust", "differential evolution over one to five pixels"),
    of("PI-FGSM", "torchattacks, TransferAttack", "spreads what the budget cuts off; one more variant of momentum"),
    of(
        "rotation and translation",
        "Foolbox, ART, SecML-Torch, CleverHans 3",
        "no ball of a norm bounds it: it needs a threat model of its own",
    ),
    of("salt and pepper", "Foolbox, SecML-Torch", "a control without a model; `noise` is the one here"),
    of("SGM", "TransferAttack, ARES", "scales gradients inside residual blocks: needs the model's structure"),
    of(
        "SparseFool",
        "torchattacks, AttackBench",
        "DeepFool along single values; `sigma-zero`, `fmn` and `pgd-l0` are the sparse ones here",
    ),
    of("SparseL1Descent", "Foolbox, AdverTorch, CleverHans", "is `pgd` in L1 here, with its `sparsity`"),
    of("targeted transfer by logits", "TransferAttack, ARES", "is `mi-fgsm` with `objective = \"margin-t\"` here"),
    of(
        "universal perturbations",
        "ART, DeepRobust",
        "one perturbation for many images: a walk here knows its own image alone",
    ),
    of("VAT", "Foolbox, ART, SecML-Torch, CleverHans 3", "a regulariser of trainings, not an evaluation"),
    of("VFGA", "adversarial-library, AttackBench", "greedy, value by value; in L0"),
];

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_is_left_out_that_is_here() {
        let mut registry = gauntlet_core::Registry::default();
        crate::register(&mut registry).unwrap();
        let plain = |name: &str| name.to_lowercase().replace([' ', '-'], "");
        for spec in registry.attacks.iter() {
            assert!(super::LEFT_OUT.iter().all(|out| plain(out.name) != plain(&spec.name)), "{}", spec.name);
        }
        let names: Vec<String> = super::LEFT_OUT.iter().map(|out| out.name.to_lowercase()).collect();
        assert!(names.is_sorted(), "{names:?}");
    }
}
