//! `gauntlet bench`: what it measures is there and makes sense; how fast it is is no test's business.

use crate::sandbox::Sandbox;

#[test]
fn steps_are_measured_and_their_arithmetic_is_counted() {
    let sandbox = Sandbox::new();
    let bench = |recipe: &str| {
        sandbox.json(&format!(
            "bench step --model lenet-small --recipe {recipe} --batch 4 --threads 2 --seconds 0 --least 1"
        ))
    };
    let forward = bench("forward");
    let number = |v: &serde_json::Value, key: &str| v[key].as_f64().unwrap_or_else(|| panic!("{key} in {v}"));
    // U of lenet-small: 2 · (196·16·16 + 49·32·256 + 1568·100 + 100·10) operations for one example.
    let unit = 2e-9 * 4.0 * (196.0 * 256.0 + 49.0 * 32.0 * 256.0 + 156_800.0 + 1000.0);
    assert!((number(&forward, "gflop") - unit).abs() < 1e-12, "{forward}");
    assert_eq!((forward["n"].as_u64(), forward["threads"].as_u64()), (Some(1), Some(2)));
    assert!(number(&forward, "ms_min") <= number(&forward, "ms_median") && number(&forward, "ms_min") > 0.0);
    assert!(number(&forward, "peak_rss_mb") > 1.0 && number(&forward, "peak_gflop_per_s") > 0.1);
    // No gradient that nobody asked for: an attack step is two forwards' worth; a training step three, less the first
    // layer's input gradient; double backpropagation twice a training step.
    let first = 2e-9 * 4.0 * 196.0 * 256.0;
    for (recipe, want) in [
        ("input-gradient", 2.0 * unit),
        ("attack", 2.0 * unit),
        ("ce", 3.0 * unit - first),
        ("grad-norm", 6.0 * unit),
        ("pgd-at", 23.0 * unit - first),
    ] {
        let found = number(&bench(recipe), "gflop");
        assert!((found - want).abs() < 0.02 * want, "{recipe}: {found} instead of {want}");
    }
    let text =
        sandbox.ok("bench step --model linear --recipe direction-matching --batch 2 --seconds 0 --dtype f64").out;
    assert!(text.contains("linear direction-matching, batch 2") && text.contains("ms (median of 3"), "{text}");
    let table = sandbox.shell(
        "\"$GAUNTLET\" bench step --model lenet-small --side 12 --batch 2 --seconds 0 \
         --recipe '{ name = \"fgsm-aug\", eps = \"0.2\" }' --json",
    );
    assert!(table.code == 0 && table.out.contains("\"gflop\""), "{}{}", table.out, table.err);
}

#[test]
fn turns_are_taken_line_by_line() {
    let sandbox = Sandbox::new();
    let done = sandbox.shell(
        "printf '\\n\\n' | \"$GAUNTLET\" --json bench step --model linear --recipe ce --batch 2 --seconds 0 --least 1 --again",
    );
    assert_eq!((done.code, done.out.lines().count()), (0, 3), "{}{}", done.out, done.err);
}

#[test]
fn two_recipes_take_turns() {
    let sandbox = Sandbox::new();
    let line = "bench step --model linear --recipe ce --beside pgd-at --batch 8 --seconds 0 --least 12 --threads 1";
    let json = sandbox.json(line);
    assert_eq!((json["pairs"].as_u64(), json["beside"].as_str()), (Some(12), Some("pgd-at")), "{json}");
    let number = |key: &str| json[key].as_f64().unwrap_or_else(|| panic!("{key} in {json}"));
    // Ten steps of an attack before each of the other's.
    assert!(number("ratio") > 1.0 && number("difference_us") > 0.0, "{json}");
    assert!(number("ratio_low") <= number("ratio") && number("ratio") <= number("ratio_high"), "{json}");
    assert!(sandbox.ok(line).out.contains("12 pairs: ce "));
}

#[test]
fn an_attack_is_measured_on_test_images() {
    let sandbox = Sandbox::new();
    let json =
        sandbox.json("bench attack --model lenet-small --data tiny --take 20 --attack fgsm --eps 8/255 --threads 1");
    assert_eq!(json["n"], 20);
    assert!(json["seconds"].as_f64().unwrap() >= 0.0 && json["forwards"].as_u64().unwrap() >= 20, "{json}");
    assert!(json["peak_rss_mb"].is_number() && json["checkpoint"].is_null(), "{json}");
    assert!(json["notes"].to_string().contains("untrained"), "{json}");
}

#[test]
fn every_kernel_is_listed_with_its_share_of_the_peak() {
    let sandbox = Sandbox::new();
    let json = sandbox.json("bench ops --batch 1");
    let ops = json["ops"].as_array().unwrap();
    for name in
        ["conv2d", "conv2d input gradient", "conv2d weight gradient", "linear", "max-pool 2×2", "batch norm", "adam"]
    {
        assert!(ops.iter().any(|o| o["op"] == name && o["ms"].as_f64().unwrap() > 0.0), "{name}: {json}");
    }
    assert!(ops.iter().all(|o| o["share_of_peak"].is_number() || o["op"].as_str().unwrap().len() < 40));
    assert!(sandbox.ok("bench ops --batch 1").out.contains("GFLOP/s"));
}

#[test]
fn mistakes_are_named() {
    let sandbox = Sandbox::new();
    for (line, needle) in [
        ("bench step --model lenet-smal --recipe ce", "did you mean \"lenet-small\""),
        ("bench step --model lenet-small --recipe grad-nrom", "grad-norm"),
        ("bench step --model lenet-small --recipe ce --dtype f16", "--dtype must be f32 or f64, got \"f16\""),
        ("bench step --model lenet-small --recipe ce --seconds -1", "--seconds must be at least 0"),
        ("bench step --model lenet-small --recipe ce --batch 0", "--batch"),
        (
            "bench step --model linear --recipe ce --beside script:grad_norm.rhai",
            "did you mean \"script:grad-norm.rhai\"",
        ),
        ("bench step --model madry-cnn --recipe ce --side 2", "at least 4"),
        ("bench attack --model lenet-small --data tiny --attack pgdd", "did you mean \"pgd\""),
        ("bench attack --model lenet-small --data tiny --attack pgd --eps -0.1", "--eps"),
        ("bench attack --model lenet-small --data tiny --attack pgd --norm l3", "--norm"),
    ] {
        let done = sandbox.run(line);
        assert_eq!(done.code, 2, "{line}: {}", done.err);
        assert!(done.err.contains(needle), "{line}: {} lacks {needle}", done.err);
    }
}
