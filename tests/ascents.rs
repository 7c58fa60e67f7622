//! Attacks that are nothing but gradient steps, taken by tensor operations on a whole batch: the points of the walks.

use candle_core::{DType, Device, Tensor};
use gauntlet::Precision;
use gauntlet::core::attack::lockstep;
use gauntlet::core::{Frozen, Key, Purpose, ThreatModel, Weights};
use gauntlet::records::Norm;
use serde_json::{Value, json};

fn flat(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn a_batch_of_tensor_operations_ends_where_the_walks_end() {
    let registry = gauntlet_cli::app().registry().unwrap();
    let table = |value: Value| value.as_object().unwrap().clone();
    let given = table(json!({ "name": "lenet-small", "activation": "softplus" }));
    let (network, _) = registry.model(&given, (1, 12, 12), 5).unwrap();
    let weights =
        Weights::init(&network.specs(), Key::new(3, Purpose::Init), Precision::F64, &Device::Cpu).unwrap().constants();
    let target = Frozen::new(network, weights);
    let ids: Vec<u64> = vec![7, 2, 1 << 40, 5];
    let x = Key::new(1, Purpose::Sample)
        .uniform(&ids, &[4, 1, 12, 12], (0.0, 1.0), &Tensor::zeros(1, DType::F64, &Device::Cpu).unwrap())
        .unwrap();
    let labels = [0u32, 4, 2, 2];
    let y = Tensor::new(&labels, &Device::Cpu).unwrap();
    let key = Key::new(9, Purpose::RecipeAttack);
    let cases = [
        (json!({ "name": "pgd", "steps": 4, "alpha": "0.03" }), Norm::Linf, 0.1),
        (json!({ "name": "pgd", "steps": 3, "alpha": "0.3" }), Norm::L2, 0.7),
        (json!({ "name": "pgd", "steps": 3, "random_start": "0.001", "objective": "kl" }), Norm::Linf, 0.1),
        (json!({ "name": "bim", "steps": 3 }), Norm::L2, 4.0),
        (json!({ "name": "fgsm" }), Norm::Linf, 0.2),
    ];
    for (given, norm, eps) in cases {
        let (attack, _) = registry.attack(&table(given.clone())).unwrap();
        let threat = ThreatModel::new(norm, eps);
        let walked = lockstep(&*attack, &target, &x, &labels, &ids, threat, key).unwrap();
        let ascent = attack.ascent(&threat).unwrap_or_else(|| panic!("{given} is nothing but gradient steps"));
        let moved = ascent.run(&target, (&x, &y, &ids), &threat, key).unwrap();
        assert_ne!(flat(&moved), flat(&x));
        for (a, b) in flat(&moved).iter().zip(flat(&walked)) {
            assert!((a - b).abs() < 1e-9, "{given}: {a} instead of {b}");
        }
    }
    // What does more than that, or follows another objective, stays with the walks.
    for given in [
        json!({ "name": "pgd", "objective": "margin" }),
        json!({ "name": "mi-fgsm" }),
        json!({ "name": "r-fgsm" }),
        json!({ "name": "apgd-ce" }),
        json!({ "name": "square" }),
    ] {
        let (attack, _) = registry.attack(&table(given.clone())).unwrap();
        assert_eq!(attack.ascent(&ThreatModel::new(Norm::Linf, 0.1)), None, "{given}");
    }
    // A step in L1 looks at the room of single pixels.
    for name in ["fgsm", "bim", "pgd"] {
        let (attack, _) = registry.attack(&table(json!({ "name": name }))).unwrap();
        assert_eq!(attack.ascent(&ThreatModel::new(Norm::L1, 4.0)), None, "{name}");
        assert!(attack.ascent(&ThreatModel::new(Norm::L2, 4.0)).is_some(), "{name}");
    }
}
