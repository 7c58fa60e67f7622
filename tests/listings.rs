//! `gauntlet list`, `doctor`, help and exit codes.

use crate::sandbox::Sandbox;
use serde_json::json;

#[test]
fn everything_that_a_suite_can_name_is_listed() {
    let sandbox = Sandbox::new();
    let wanted: [(&str, &[&str]); 5] = [
        ("recipes", &["ce", "grad-norm", "direction-matching", "fgsm-aug", "pgd-at"]),
        ("attacks", &["fgsm", "pgd", "noise"]),
        ("models", &["linear", "mlp", "lenet-small", "madry-cnn", "trades-smallcnn", "preactresnet18", "wideresnet"]),
        ("datasets", &["glyphs", "mnist", "fashion-mnist", "cifar10", "tiny"]),
        ("suites", &["quickstart", "mnist-recipes"]),
    ];
    for (what, names) in wanted {
        let list = sandbox.json(&format!("list {what}"));
        for name in names {
            let item = list.as_array().unwrap().iter().find(|i| i["name"] == *name);
            let item = item.unwrap_or_else(|| panic!("{name} is not among the {what}: {list}"));
            assert!(!item["summary"].as_str().unwrap().is_empty() && item["origin"].is_string(), "{item}");
        }
        let text = sandbox.ok(&format!("list {what} --verbose")).out;
        assert!(names.iter().all(|n| text.lines().any(|l| l.starts_with(&format!("{n} ")))), "{text}");
    }
    let pgd = sandbox.ok("list attacks --verbose").out;
    assert!(pgd.contains("steps = 40 (int ≥ 1): steps per restart") && pgd.contains("Madry et al. 2018"), "{pgd}");
    let attacks = sandbox.json("list attacks");
    let plain = sandbox.ok("list attacks").out;
    for (name, family) in [
        ("fgsm", "one-step"),
        ("pgd", "gradient"),
        ("fmn", "minimal"),
        ("square", "scores"),
        ("noise", "noise"),
        ("transfer", "transfer"),
        ("worst-case", "ensemble"),
    ] {
        let item = attacks.as_array().unwrap().iter().find(|a| a["name"] == name).unwrap();
        assert_eq!(item["family"], family, "{name}");
        let line = plain.lines().find(|l| l.starts_with(&format!("{name} "))).unwrap();
        assert_eq!(line.split_whitespace().nth(1), Some(family), "{line}");
    }
    assert!(sandbox.json("list models")[0]["family"].is_null());
    let suite = sandbox.json("list suites");
    sandbox.write("suites/mine.toml", "# Mine alone.\nformat = 1\n");
    let more = sandbox.json("list suites");
    assert_eq!(more.as_array().unwrap().len(), suite.as_array().unwrap().len() + 1);
    assert!(more.as_array().unwrap().iter().any(|s| s["name"] == "mine" && s["summary"] == "Mine alone."), "{more}");
}

#[test]
fn the_layers_of_a_model_are_listed_with_their_shapes_and_costs() {
    let sandbox = Sandbox::new();
    let text = sandbox.ok("list models --verbose").out;
    for (model, golden) in [
        ("lenet-small", include_str!("golden/layers/lenet-small.txt")),
        ("preactresnet18", include_str!("golden/layers/preactresnet18.txt")),
    ] {
        let lines = text.lines().skip_while(|l| !l.starts_with(&format!("{model} "))).skip(1);
        let lines = lines.take_while(|l| l.starts_with(' ')).skip_while(|l| !l.starts_with("    layers,"));
        let found: String = lines.map(|l| format!("{l}\n")).collect();
        assert!(found == golden, "{model}, tests/golden/layers:\n{found}");
    }
    assert!(!sandbox.ok("list models").out.contains("multiply-adds"));
    let list = sandbox.json("list models");
    let lenet = list.as_array().unwrap().iter().find(|m| m["name"] == "lenet-small").unwrap();
    assert_eq!(lenet["total"], json!({ "parameters": 166_406, "multiply_adds": 609_384 }));
    let conv = json!({
        "name": "2", "layer": "conv2d 4×4, stride 2, padding 1", "shape": [32, 7, 7], "parameters": 8_224,
        "multiply_adds": 401_408,
    });
    assert_eq!(lenet["layers"][3], conv);
}

#[test]
fn the_pages_of_recipes_and_attacks_are_what_the_registry_says() {
    let sandbox = Sandbox::new();
    for what in ["recipes", "attacks"] {
        let page = sandbox.ok(&format!("list {what} --markdown")).out;
        let path = format!("{}/../../docs/{what}.md", env!("CARGO_MANIFEST_DIR"));
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == committed, "out of date: cargo run --release -- list {what} --markdown > docs/{what}.md");
        let listed = sandbox.json(&format!("list {what}"));
        for item in listed.as_array().unwrap().iter().filter(|i| i["origin"] == "built-in") {
            let heading = format!("\n## {} ({})\n", item["name"].as_str().unwrap(), item["kind"].as_str().unwrap());
            let section = page.split(&heading).nth(1).unwrap_or_else(|| panic!("{heading}"));
            let section = section.split("\n## ").next().unwrap();
            assert!(section.contains(item["formula"].as_str().unwrap()), "{heading}");
            for p in item["parameters"].as_array().unwrap() {
                assert!(section.contains(&format!("\n| `{}` | ", p["name"].as_str().unwrap())), "{heading}: {p}");
            }
        }
    }
    sandbox.run("list models --markdown").expect(2).says(&["--markdown is for recipes and attacks"]);
}

#[test]
fn every_built_in_suite_resolves() {
    let sandbox = Sandbox::new();
    let ours = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../suites")).unwrap().count();
    let suites = sandbox.json("list suites");
    assert_eq!(suites.as_array().unwrap().len(), ours);
    for suite in suites.as_array().unwrap() {
        let name = suite["name"].as_str().unwrap();
        // Data that is not embedded cannot be had without a network: then that, and nothing else, is the complaint.
        let done = sandbox.run(&format!("check {name} --data-dir nowhere"));
        assert!(done.code == 0 || !done.err.contains("-->"), "{name}: {}", done.err);
    }
    assert!(sandbox.ok("check quickstart").out.contains("glyphs"));
}

#[test]
fn the_doctor_checks_every_derivative() {
    let sandbox = Sandbox::new();
    let text = sandbox.ok("doctor --threads 1").out;
    assert!(text.contains("conv2d") && text.contains("all agree") && text.contains(", 1 thread\n"), "{text}");
    assert!(text.contains("http://127.0.0.1:9"), "{text}");
    let json = sandbox.json("doctor");
    assert_eq!(json["failed"], 0);
    let list = json["derivatives"].as_array().unwrap();
    assert!(list.len() > 50 && list.iter().all(|d| d["first_order"].is_number() && d["second_order"].is_number()));
}

#[test]
fn mistakes_on_the_command_line_are_user_errors() {
    let sandbox = Sandbox::new();
    sandbox.run("").expect(2).says(&["Usage: gauntlet", "run", "attack"]);
    sandbox.run("atack").expect(2).says(&["'atack'", "'attack'"]);
    sandbox.run("run quikstart").expect(2).says(&["unknown suite \"quikstart\"", "did you mean \"quickstart\"?"]);
    sandbox.run("run suites/nothing.toml").expect(2).says(&["suites/nothing.toml does not exist"]);
    for option in ["--threads", "--take", "--jobs"] {
        let needles = [option, "it must be a whole number of at least 1"];
        sandbox.run(&format!("run small.toml {option} 0")).expect(2).says(&needles);
    }
    sandbox.run("run small.toml --take 5 --all").expect(2).says(&["cannot be used with"]);
    sandbox.run("report nowhere").expect(2).says(&["cannot list nowhere"]);
    sandbox.run("report datasets").expect(2).says(&["no records in datasets", "gauntlet run"]);
    let help = sandbox.ok("--help").out;
    assert!(help.contains("Exit codes: 0 done") && help.contains("130 interrupted"), "{help}");
}

/// The help of every command, as it was read and found good.
#[test]
fn the_help_of_every_command_is_as_it_was() {
    let sandbox = Sandbox::new();
    let names = "run status clean submit verify train attack report leaderboard list check new bench doctor help completions man";
    let mut pages = sandbox.ok("--help").out;
    for name in names.split(' ').chain(["new recipe", "bench step", "bench attack", "bench ops"]) {
        let help = sandbox.ok(&format!("{name} --help")).out;
        assert_eq!(help, sandbox.ok(&format!("help {name}")).out, "{name}");
        pages += &format!("\n$ gauntlet {name} --help\n{help}");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/help.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &pages).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        pages == committed,
        "out of date: UPDATE_GOLDEN=1 cargo test --release -p gauntlet-cli --test end_to_end the_help"
    );
    for (command, has) in [("run", true), ("attack", true), ("list", false), ("report", false), ("status", false)] {
        assert_eq!(sandbox.ok(&format!("{command} --help")).out.contains("--threads"), has, "{command}");
    }
}

#[test]
fn help_completions_and_manual_pages_are_made() {
    let sandbox = Sandbox::new();
    let pgd = sandbox.ok("list attacks pgd").out;
    assert_eq!(sandbox.ok("help attacks pgd").out, pgd);
    assert!(pgd.starts_with("pgd  ") && pgd.contains("steps = 40 (int ≥ 1)") && !pgd.contains("\nfgsm"), "{pgd}");
    assert!(
        pgd.contains("version of its numbers: 2") && pgd.contains("sparsity (none unless given) (float in [0, 1))"),
        "{pgd}"
    );
    let at = sandbox.ok("list recipes pgd-at").out;
    assert!(at.contains("attack = { name = \"pgd\"") && at.contains("eps (required)") && !at.contains("null"), "{at}");
    sandbox.run("list attacks pdg").expect(2).says(&["unknown attack \"pdg\"", "did you mean \"pgd\"?"]);
    sandbox.run("help atack").expect(2).says(&["unknown command \"atack\"", "did you mean \"attack\"?"]);
    for (shell, needle) in [("bash", "_gauntlet()"), ("zsh", "#compdef gauntlet"), ("fish", "complete -c gauntlet")] {
        assert!(sandbox.ok(&format!("completions {shell}")).out.contains(needle), "{shell}");
    }
    sandbox.ok("man pages");
    let run = sandbox.read("pages/gauntlet-run.1");
    assert!(run.contains(".TH") && run.contains("quickstart") && sandbox.path("pages/gauntlet.1").exists(), "{run}");
}

/// A data set of one's own: no hub, its folder from the environment, the test split alone for an attack.
#[test]
fn a_data_set_of_ones_own_is_local() {
    let sandbox = Sandbox::new();
    let manifest = "name = \"own\"\nsummary = \"mine\"\nshape = [1, 4, 4]\nclasses = [\"a\", \"b\"]\n[source.local]\n";
    sandbox.write("datasets/own.toml", manifest);
    let idx = |dims: &[u32], body: Vec<u8>| {
        let mut out = vec![0, 0, 8, dims.len() as u8];
        dims.iter().for_each(|d| out.extend(d.to_be_bytes()));
        out.extend(body);
        out
    };
    let (folder, n) = ("store/own", 40u32);
    let pixels: Vec<u8> =
        (0..n * 16).map(|i| if (i / 16) % 2 == 0 { (i % 7) as u8 } else { 255 - (i % 5) as u8 }).collect();
    let labels: Vec<u8> = (0..n).map(|i| (i % 2) as u8).collect();
    for prefix in ["train", "t10k"] {
        sandbox.write(&format!("{folder}/{prefix}-images-idx3-ubyte"), idx(&[n, 4, 4], pixels.clone()));
        sandbox.write(&format!("{folder}/{prefix}-labels-idx1-ubyte"), idx(&[n], labels.clone()));
    }
    let train = "train --model linear --recipe ce --data own --epochs 1 --batch 10 --out own.safetensors";
    let needles = ["own is local", "--data-dir DIR", "GAUNTLET_DATA"];
    sandbox.run(train).expect(2).says(&needles);
    let told = sandbox.shell(&format!("GAUNTLET_DATA=store \"$GAUNTLET\" {train}")).expect(0);
    assert!(told.err.contains("40 training (4 held out) and 40 test images"), "{}", told.err);
    let suite = "format = 1\nname = \"own\"\ndata = \"own\"\nmodel = \"linear\"\ntrain = { epochs = 1, batch = 10 }\n\
        [[row]]\nrecipe = \"ce\"\n[[attack]]\nname = \"fgsm\"\neps = \"0.1\"\n";
    sandbox.write("own.toml", suite);
    sandbox.ok("run own.toml --data-dir store --runs elsewhere");
    let again = "`gauntlet run own.toml --data-dir store --runs elsewhere`";
    assert!(sandbox.read("reports/own/table.md").contains(again), "{}", sandbox.read("reports/own/table.md"));
    // Of the training images an attack wants nothing.
    for name in ["images-idx3", "labels-idx1"] {
        std::fs::remove_file(sandbox.path(&format!("{folder}/train-{name}-ubyte"))).unwrap();
    }
    let attack = "attack --model linear --checkpoint own.safetensors --data own --attack fgsm --eps 0.1 --data-dir";
    let told = sandbox.ok(&format!("{attack} store"));
    assert!(told.err.contains("data own: 40 test images") && told.out.contains("fgsm L∞ ε = 0.1"), "{}", told.out);
    sandbox.ok("verify reports/own --data-dir store --runs elsewhere");
    sandbox.run(train).expect(2);
    let needles = ["holds no train split of own", "train-images-idx3-ubyte"];
    sandbox.run(&format!("{train} --data-dir store")).expect(2).says(&needles);
    let listed = sandbox.ok("list datasets own").out;
    assert!(
        listed.contains("licence: not stated") && listed.contains("local: --data-dir or GAUNTLET_DATA"),
        "{listed}"
    );
}

#[test]
fn check_downloads_nothing_and_says_what_run_would() {
    let sandbox = Sandbox::new();
    let told = sandbox.ok("check mnist-recipes");
    for needle in
        ["nothing is downloaded by check", "train-00000-of-00001.parquet of ylecun/mnist", "by `gauntlet run`"]
    {
        assert!(told.out.contains(needle), "{}", told.out);
    }
    assert!(sandbox.json("check mnist-recipes")["absent"].is_string());
    assert!(!sandbox.path("hub").join("datasets--ylecun--mnist").exists());
}
