//! Parity of attacks with their published code: golden traces in f64 from `scripts/parity/attack_traces.py`, rtol 1e-9.
//!
//! The references drew gauntlet's random numbers, so a walk asks the model at the same points, one after the other.
//! Every point is stored as two dot products with hash vectors. Where ours is meant to differ, it is said here: a walk
//! ends at its first success, and attacks for the smallest perturbation also test the point after their last step.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use candle_core::{Device, Tensor};
use gauntlet::attacks::objectives::{ce::Ce, dlr::Dlr};
use gauntlet::attacks::{
    Alma, Apgd, CwL2, CwLinf, Ddn, DeepFool, Ead, Fab, Fmn, Jsma, Momentum, Options, Pdpgd, SigmaZero, Square,
    StepSize, SuperDeepFool, TrustRegion,
};
use gauntlet::core::attack::{Backwards, Open, Outcome, Slots, margin, rows};
use gauntlet::core::{
    Attack, Clean, Frozen, Goal, Job, Key, Linear, ModelInfo, Network, Objective, Purpose, Registry, Result, Target,
    ThreatModel, Weights,
};
use gauntlet::records::Norm;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

const SEED: u64 = 7;
const RTOL: f64 = 1e-9;

// As in `parity.rs`.
fn hash(name: &str, i: u64) -> f64 {
    let fnv = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mut z = fnv.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 11) as f64 / (1u64 << 53) as f64
}

fn hashed(name: &str, n: usize, low: f64, high: f64) -> Vec<f64> {
    (0..n as u64).map(|i| low + (high - low) * hash(name, i)).collect()
}

fn golden(file: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/parity").join(file);
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

fn list(v: &Value) -> &[Value] {
    v.as_array().unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    list(v).iter().map(|x| x.as_f64().unwrap()).collect()
}

fn count(v: &Value) -> usize {
    v.as_u64().unwrap() as usize
}

fn norm(v: &Value) -> Norm {
    v["norm"].as_str().map_or(Norm::L2, |n| n.parse().unwrap())
}

/// A model that keeps the points it is asked about.
struct Watched<T> {
    inner: T,
    asked: Mutex<Vec<(Vec<f64>, Vec<f64>)>>,
}

impl<T: Target> Watched<T> {
    fn new(inner: T) -> Self {
        Watched { inner, asked: Mutex::default() }
    }
    fn note(&self, x: &Tensor, logits: &Tensor) -> Result<()> {
        self.asked.lock().unwrap().push((x.flatten_all()?.to_vec1()?, rows(logits)?.swap_remove(0)));
        Ok(())
    }
}

impl<T: Target> Target for Watched<T> {
    fn info(&self) -> &ModelInfo {
        self.inner.info()
    }
    fn logits(&self, x: &Tensor) -> Result<Tensor> {
        let logits = self.inner.logits(x)?;
        self.note(x, &logits)?;
        Ok(logits)
    }
    fn linearise(&self, x: &Tensor) -> Result<Box<dyn Linear>> {
        let linear = self.inner.linearise(x)?;
        self.note(x, linear.logits())?;
        Ok(linear)
    }
}

/// What one job asked about and how it ended.
struct Trace {
    points: Vec<Vec<f64>>,
    logits: Vec<Vec<f64>>,
    end: Outcome,
}

fn run<T: Target>(attack: &dyn Attack, target: T, open: &Open, job: &Job, clean: &Clean, x0: &[f64]) -> Trace {
    let watched = Watched::new(target);
    let mut slots = Slots::<f64>::new(1, open.input, open.classes);
    slots.load(0, attack, open, job, clean, x0);
    let end = loop {
        let mut turned = slots.turn(&watched, attack.backwards() != Backwards::None).unwrap();
        if let Some(end) = turned.ended.pop() {
            break end;
        }
    };
    let (points, logits) = watched.asked.into_inner().unwrap().into_iter().unzip();
    Trace { points, logits, end }
}

/// One network and its images, as `Setup` in the script makes them.
struct Setup<'v> {
    want: &'v Value,
    name: String,
    target: Frozen,
    open: Open,
    images: Vec<Vec<f64>>,
}

impl<'v> Setup<'v> {
    fn new(want: &'v Value) -> Self {
        let case = want["case"].as_str().unwrap();
        let dims = numbers(&want["shape"]).iter().map(|d| *d as usize).collect::<Vec<_>>();
        let input = (dims[0], dims[1], dims[2]);
        let mut registry = Registry::default();
        gauntlet::models::register(&mut registry).unwrap();
        let given = json!({ "name": want["model"], "activation": "relu" });
        let network = registry.model(given.as_object().unwrap(), input, 10).unwrap().0;
        let weights = weights(&*network, case, want["gain"].as_f64().unwrap());
        let (n, pixels) = (list(&want["labels"]).len(), dims.iter().product::<usize>());
        let images: Vec<f64> = hashed(&format!("{case}/x"), n * pixels, -0.1, 1.1);
        let images = images.chunks(pixels).map(|x| x.iter().map(|v| v.clamp(0.0, 1.0)).collect()).collect();
        let eps = want["eps"].as_f64();
        let open = Open {
            input,
            classes: 10,
            threat: ThreatModel::new(norm(want), eps.unwrap_or(f64::INFINITY)),
            key: Key::new(SEED, Purpose::AttackStart),
            lockstep: false,
            smallest: eps.is_none(),
            randomised: false,
        };
        let target = Frozen::new(network, weights.constants());
        Setup { want, name: format!("{case} {}", norm(want)), target, open, images }
    }

    fn clean(&self, i: usize) -> Clean {
        let (c, h, w) = self.open.input;
        let x = Tensor::from_slice(&self.images[i], (1, c, h, w), &Device::Cpu).unwrap();
        let logits = rows(&self.target.logits(&x).unwrap()).unwrap().swap_remove(0);
        Clean { index: i, id: i as u64, label: count(&self.want["labels"][i]) as u32, logits }
    }

    fn target(&self, i: usize) -> Option<u32> {
        self.want["targets"].get(i).map(|t| count(t) as u32)
    }

    fn run(&self, attack: &dyn Attack, i: usize) -> Trace {
        let restart = self.want["restart"].as_u64().unwrap_or(0) as u32;
        let job = Job { restart, target: self.target(i) };
        run(attack, self.target.clone(), &self.open, &job, &self.clean(i), &self.images[i])
    }

    /// Every example of the reference, with its name.
    fn examples(&self) -> impl Iterator<Item = (usize, String, &Value)> {
        let named = |(i, want)| (i, format!("{}, example {i}", self.name), want);
        list(&self.want["examples"]).iter().enumerate().map(named)
    }
}

fn weights(network: &dyn Network, case: &str, gain: f64) -> Weights {
    let entries = network.specs().into_iter().map(|s| {
        let n = s.shape.iter().product();
        let bound = if s.shape.len() == 1 { 0.2 } else { 1.0 / (s.shape[1..].iter().product::<usize>() as f64).sqrt() };
        let gain = if s.shape.len() == 1 { 1.0 } else { gain };
        let values = hashed(&format!("{case}/{}", s.name), n, -bound, bound).into_iter().map(|v| v * gain).collect();
        (s.name, Tensor::from_vec::<_, f64>(values, s.shape, &Device::Cpu).unwrap(), s.trainable)
    });
    Weights::from_entries(entries)
}

/// The point has these dot products with the hash vectors, up to rounding relative to its norm.
fn same_point(got: &[f64], want: &Value, what: &str) {
    let size = Norm::L2.of(got.iter().copied());
    for (probe, want) in ["probe/a", "probe/b"].iter().zip(numbers(want)) {
        let dot: f64 = got.iter().zip(hashed(probe, got.len(), -1.0, 1.0)).map(|(x, p)| x * p).sum();
        let error = (dot - want).abs() / size;
        assert!(error <= RTOL, "{what}: {probe} is {dot:e}, the reference's {want:e} (relative {error:.1e})");
    }
}

/// As many points as the reference has, all the same.
fn same_points(got: &[Vec<f64>], want: &[Value], what: &str) {
    for (k, (x, expected)) in got.iter().zip(want).enumerate() {
        same_point(x, expected, &format!("{what}, point {k} of {}", want.len()));
    }
    assert_eq!(got.len(), want.len(), "{what}");
}

fn close(got: f64, want: &Value, what: &str) {
    let want = want.as_f64().unwrap();
    assert!((got - want).abs() <= RTOL * want.abs().max(1.0), "{what} is {got:e}, the reference's {want:e}");
}

/// ‖x' − x‖ of the best point agrees, or there is none.
fn same_size(setup: &Setup<'_>, i: usize, end: &Outcome, want: &Value, what: &str) {
    assert_eq!(end.broken, !want.is_null(), "{what}");
    if end.broken {
        let x: Vec<f64> = end.x_adv.flatten_all().unwrap().to_vec1().unwrap();
        let size = setup.open.threat.norm.of(x.iter().zip(&setup.images[i]).map(|(a, b)| a - b));
        close(size, want, &format!("{what}: size"));
    }
}

/// Starts, momentum, halvings and returns to the best point, and the phases of the L1 schedule.
///
/// Twice: in lockstep, where every iteration is taken, and as in an evaluation, where the walk ends at the first
/// misclassified point.
#[test]
fn apgd() {
    for want in list(&golden("attack-apgd.json")["cases"]) {
        let mut setup = Setup::new(want);
        let objective: Arc<dyn Objective> = match want["loss"].as_str().unwrap() {
            "ce" => Arc::new(Ce { targeted: false }),
            "dlr" => Arc::new(Dlr { targeted: false }),
            _ => Arc::new(Dlr { targeted: true }),
        };
        let attack = Apgd {
            name: "apgd",
            steps: count(&want["steps"]) as u32,
            restarts: 1,
            rho: 0.75,
            draws: 1,
            objective: objective.clone(),
            targets: 1,
            conjugate: false,
        };
        for lockstep in [true, false] {
            setup.open.lockstep = lockstep;
            for (i, what, want) in setup.examples() {
                let points = list(&want["points"]);
                let mut trace = setup.run(&attack, i);
                let goal = Goal {
                    label: setup.clean(i).label as usize,
                    target: setup.target(i).map(|t| t as usize),
                    reference: None,
                };
                if lockstep {
                    // The last iterate is not looked at.
                    trace.points.push(trace.end.x_adv.flatten_all().unwrap().to_vec1().unwrap());
                    same_points(&trace.points, points, &format!("{what}, in lockstep"));
                } else {
                    let last = want["broken"].as_u64().map_or(points.len(), |k| k as usize + 1);
                    same_points(&trace.points, &points[..last], &what);
                    assert_eq!(trace.end.broken, !want["broken"].is_null(), "{what}");
                }
                for (k, (z, loss)) in trace.logits.iter().zip(list(&want["losses"])).enumerate() {
                    let value = objective.ascend(z, &goal, &mut vec![0.0; z.len()]);
                    close(value, loss, &format!("{what}, loss at point {k}"));
                }
            }
        }
    }
}

#[test]
fn fab() {
    for want in list(&golden("attack-fab.json")["cases"]) {
        let setup = Setup::new(want);
        let (targeted, steps) = (want["targets"].is_array(), count(&want["steps"]) as u32);
        let attack = Fab { targeted, steps, ..Fab::default() };
        for (i, what, want) in setup.examples() {
            let mut trace = setup.run(&attack, i);
            // Looked at without a tape and, where the boundary was not crossed, with one: once in the trace.
            trace.points.dedup();
            same_points(&trace.points, list(&want["points"]), &what);
            same_size(&setup, i, &trace.end, &want["size"], &what);
        }
    }
}

/// A model of two classes whose margin has a given value and gradient everywhere.
struct Plane {
    info: ModelInfo,
    gap: f64,
    w: Vec<f64>,
}

struct Tangent(Tensor, Vec<f64>);

impl Target for Plane {
    fn info(&self) -> &ModelInfo {
        &self.info
    }
    fn logits(&self, _: &Tensor) -> Result<Tensor> {
        Ok(Tensor::new(&[[0.0, self.gap]], &Device::Cpu)?)
    }
    fn linearise(&self, x: &Tensor) -> Result<Box<dyn Linear>> {
        Ok(Box::new(Tangent(self.logits(x)?, self.w.clone())))
    }
}

impl Linear for Tangent {
    fn logits(&self) -> &Tensor {
        &self.0
    }
    fn pull(&self, cotangent: &Tensor) -> Result<Tensor> {
        let slope = rows(cotangent)?[0][1];
        Ok(Tensor::from_vec(
            self.1.iter().map(|w| slope * w).collect::<Vec<f64>>(),
            (1, 1, 1, self.1.len()),
            &Device::Cpu,
        )?)
    }
}

fn plain(input: (usize, usize, usize), gap: f64, w: Vec<f64>) -> (Plane, Open) {
    let mut registry = Registry::default();
    gauntlet::models::register(&mut registry).unwrap();
    let given = json!({ "name": "linear" });
    let info = registry.model(given.as_object().unwrap(), input, 2).unwrap().0.info().clone();
    let (threat, key) = (ThreatModel::new(Norm::Linf, f64::INFINITY), Key::new(SEED, Purpose::AttackStart));
    (
        Plane { info, gap, w },
        Open { input, classes: 2, threat, key, lockstep: false, smallest: true, randomised: false },
    )
}

/// FAB's first step without overshoot is the projection of the clean image.
#[test]
fn fab_projections() {
    let want = golden("attack-projections.json");
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        let cases = list(&want["planes"][norm.to_string()]);
        for (k, want) in cases.iter().enumerate() {
            let case = format!("plane/{norm}/{k}");
            let n = count(&want["n"]);
            let t: Vec<f64> = hashed(&format!("{case}/t"), n, -0.3, 1.3).iter().map(|v| v.clamp(0.0, 1.0)).collect();
            let lot = hashed(&format!("{case}/lot"), n, 0.0, 1.0);
            let w = hashed(&format!("{case}/w"), n, -1.0, 1.0).into_iter().zip(lot);
            let w = w.map(|(w, lot)| if lot < 0.2 { 0.0 } else { w * if lot > 0.9 { 1e-9 } else { 1.0 } }).collect();
            let (plane, mut open) = plain((1, 1, n), hashed(&format!("{case}/gap"), 1, -2.0, 2.0)[0], w);
            open.threat.norm = norm;
            let attack = Fab { steps: 1, eta: 1.0, ..Fab::default() };
            let clean = Clean { index: 0, id: 0, label: 0, logits: vec![0.0; 2] };
            let trace = run(&attack, plane, &open, &Job { restart: 0, target: None }, &clean, &t);
            for (i, (x, d)) in trace.points[1].iter().zip(numbers(&want["step"])).enumerate() {
                let error = (x - (t[i] + d)).abs();
                assert!(error <= RTOL, "{case}: coordinate {i} moves by {:e}, the reference's by {d:e}", x - t[i]);
            }
        }
    }
}

#[test]
fn projections_onto_the_l1_ball_inside_the_box() {
    for (k, want) in list(&golden("attack-projections.json")["balls"]).iter().enumerate() {
        let n = count(&want["n"]);
        let clean: Vec<f64> = hashed(&format!("ball/{k}/x"), n, -0.3, 1.3).iter().map(|v| v.clamp(0.0, 1.0)).collect();
        let moved = hashed(&format!("ball/{k}/moved"), n, -1.5, 1.5);
        let mut x: Vec<f64> = clean.iter().zip(moved).map(|(c, m)| c + m).collect();
        ThreatModel::new(Norm::L1, want["eps"].as_f64().unwrap()).project_both_row(&clean, &mut x);
        for (i, (x, w)) in x.iter().zip(numbers(&want["point"])).enumerate() {
            assert!((x - w).abs() <= RTOL, "ball {k}, coordinate {i}: {x:e}, the reference's {w:e}");
        }
    }
}

/// All random choices are gauntlet's; the reference's windows were allowed the image's last row and column.
#[test]
fn square() {
    let golden = golden("attack-square.json");
    for want in list(&golden["cases"]) {
        let setup = Setup::new(want);
        let attack = Square { queries: count(&want["queries"]) as u32, p_init: 0.8, restarts: 1 };
        for (i, what, want) in setup.examples() {
            let trace = setup.run(&attack, i);
            same_points(&trace.points, list(&want["points"]), &what);
            assert_eq!(json!(trace.end.broken), want["broken"], "{what}");
        }
    }
    // No proposal moves this model, so each shows the window of its query alone.
    for want in list(&golden["schedules"]) {
        let size = count(&want["size"]);
        let (plane, mut open) = plain((1, size, size), -1.0, Vec::new());
        open.threat = ThreatModel::new(norm(want), want["eps"].as_f64().unwrap());
        let attack = Square { queries: 5000, p_init: 0.8, restarts: 1 };
        let clean = Clean { index: 0, id: 0, label: 0, logits: vec![0.0; 2] };
        let job = Job { restart: 0, target: None };
        let trace = run(&attack, plane, &open, &job, &clean, &vec![0.5; size * size]);
        for (q, want) in list(&want["queries"]).iter().zip(list(&want["points"])) {
            same_point(&trace.points[count(q)], want, &format!("query {q} of {size}, {}", open.threat.norm));
        }
    }
}

#[test]
fn deepfool() {
    for want in list(&golden("attack-minimal.json")["deepfool"]) {
        let setup = Setup::new(want);
        for (i, what, want) in setup.examples() {
            let trace = setup.run(&DeepFool { steps: 50, overshoot: 0.02, candidates: 10 }, i);
            same_points(&trace.points, list(&want["points"]), &what);
            assert_eq!(json!(trace.end.broken), want["broken"], "{what}");
        }
    }
}

#[test]
fn cw_l2() {
    for want in list(&golden("attack-minimal.json")["cw-l2"]) {
        let setup = Setup::new(want);
        let number = |key: &str| want[key].as_f64().unwrap();
        let attack = CwL2 {
            steps: number("steps") as u32,
            searches: number("searches") as u32,
            lr: number("lr"),
            c: number("c"),
            confidence: number("confidence"),
            abort: want["abort"].as_bool().unwrap(),
        };
        for (i, what, want) in setup.examples() {
            let mut trace = setup.run(&attack, i);
            // As with FAB, a look without a tape and one with it are one.
            trace.points.dedup();
            let mut points = trace.points.as_slice();
            for (s, search) in list(&want["searches"]).iter().enumerate() {
                let asked = list(&search["points"]);
                same_points(&points[..asked.len()], asked, &format!("{what}, search {s}"));
                // Ours also tests the point after the last step.
                let after = usize::from(asked.len() == attack.steps as usize);
                points = &points[asked.len() + after..];
            }
            assert!(points.is_empty(), "{what}: {} more points", points.len());
            same_size(&setup, i, &trace.end, &want["size"], &what);
        }
    }
}

/// Every step; ours also tests the point after the last one, so its best may be better.
fn steps(file: &str, attack: impl Fn(&Value) -> Box<dyn Attack>) {
    for want in list(&golden("attack-minimal.json")[file]) {
        let setup = Setup::new(want);
        let attack = attack(want);
        for (i, what, want) in setup.examples() {
            let mut trace = setup.run(&*attack, i);
            trace.points.pop();
            let tested_last = margin(&trace.logits.pop().unwrap(), setup.clean(i).label) < 0.0;
            same_points(&trace.points, list(&want["points"]), &what);
            if want["found"].is_array() && !(tested_last && trace.end.steps as usize == trace.points.len()) {
                same_point(&trace.end.x_adv.flatten_all().unwrap().to_vec1::<f64>().unwrap(), &want["found"], &what);
            } else {
                assert_eq!(trace.end.broken, tested_last, "{what}");
            }
        }
    }
}

#[test]
fn ddn() {
    let ddn = |want: &Value| Ddn {
        steps: count(&want["steps"]) as u32,
        radius: 1.0,
        gamma: 0.05,
        levels: count(&want["levels"]) as u32,
    };
    steps("ddn", |want| Box::new(ddn(want)));
}

#[test]
fn fmn() {
    // Without a step size, in L2: relative to the linearised distance, else adversarial-library's.
    let given = |want: &Value, alpha| (want["factor"].is_null()).then_some(alpha);
    let fmn = |want: &Value| Fmn {
        steps: count(&want["steps"]) as u32,
        alpha: given(want, 1.0),
        alpha_last: given(want, 0.01),
        gamma: 0.05,
        gamma_last: 0.001,
    };
    steps("fmn", |want| {
        assert!(want["factor"].as_f64().is_none_or(|f| f == Fmn::FIRST_STEP), "the traces are of another first step");
        Box::new(fmn(want))
    });
}

/// Steps, values of c, and searches that are given up.
#[test]
fn ead() {
    for want in list(&golden("attack-shelf.json")["ead"]) {
        let setup = Setup::new(want);
        let number = |key: &str| want[key].as_f64().unwrap();
        let attack = Ead {
            steps: number("steps") as u32,
            searches: number("searches") as u32,
            lr: number("lr"),
            c: number("c"),
            beta: number("beta"),
            confidence: 0.0,
            elastic: false,
            abort: true,
        };
        for (i, what, want) in setup.examples() {
            let trace = setup.run(&attack, i);
            same_points(&trace.points, list(&want["points"]), &what);
            found(&trace, want, &what);
        }
    }
}

#[test]
fn alma() {
    for want in list(&golden("attack-shelf.json")["alma"]) {
        let setup = Setup::new(want);
        let attack = Alma {
            steps: count(&want["steps"]) as u32,
            first: want["first"].as_f64(),
            lr_last: 0.01,
            check: 10,
            tau: 0.95,
            gamma: 1.2,
            alpha: 0.9,
            margin: 1e-4,
        };
        for (i, what, want) in setup.examples() {
            let trace = setup.run(&attack, i);
            // The point after the last step is looked at too.
            let points = list(&want["points"]);
            same_points(&trace.points[..points.len()], points, &what);
            assert_eq!(trace.points.len(), points.len() + 1, "{what}");
            let proposal: Vec<f64> = trace.end.x_adv.flatten_all().unwrap().to_vec1().unwrap();
            if trace.points.last() != Some(&proposal) {
                found(&trace, want, &what);
            }
        }
    }
}

/// Points of an attack that looks at nothing twice in a row.
fn one_by_one(key: &str, attack: impl Fn(&Value) -> Box<dyn Attack>) {
    for want in list(&golden("attack-shelf.json")[key]) {
        let (setup, attack) = (Setup::new(want), attack(want));
        for (i, what, want) in setup.examples() {
            let mut trace = setup.run(&*attack, i);
            trace.points.dedup();
            same_points(&trace.points, list(&want["points"]), &what);
            found(&trace, want, &what);
        }
    }
}

/// The reference keeps what its search along a line leaves, we the nearest of all points: those are the same.
#[test]
fn superdeepfool() {
    for want in list(&golden("attack-shelf.json")["superdeepfool"]) {
        let setup = Setup::new(want);
        let attack = SuperDeepFool { steps: count(&want["steps"]) as u32, inner: 50, overshoot: 0.02, bisections: 10 };
        for (i, what, want) in setup.examples() {
            let mut trace = setup.run(&attack, i);
            trace.points.dedup();
            let points = list(&want["points"]);
            assert_eq!(trace.points.len(), points.len(), "{what}");
            same_points(&trace.points, points, &what);
            let x: Vec<f64> = trace.end.x_adv.flatten_all().unwrap().to_vec1().unwrap();
            let found = points.iter().filter(|p| {
                let size = Norm::L2.of(x.iter().copied());
                ["probe/a", "probe/b"].iter().zip(numbers(p)).all(|(probe, want)| {
                    let dot: f64 = x.iter().zip(hashed(probe, x.len(), -1.0, 1.0)).map(|(x, p)| x * p).sum();
                    (dot - want).abs() / size <= RTOL
                })
            });
            assert!(trace.end.broken && found.count() > 0, "{what}: what is found is no point of the reference");
        }
    }
}

#[test]
fn trust_region() {
    one_by_one("trust-region", |want| {
        Box::new(TrustRegion {
            steps: count(&want["steps"]) as u32,
            radius: want["radius"].as_f64().unwrap(),
            adaptive: want["adaptive"].as_bool().unwrap(),
            candidates: 9,
        })
    });
}

#[test]
fn sigma_zero() {
    after_the_last_step("sigma-zero", |want| {
        let steps = count(&want["steps"]) as u32;
        Box::new(SigmaZero { steps, lr: 1.0, sigma: 1e-3, threshold: 0.3, factor: 0.01 })
    });
}

#[test]
fn fmn_in_l0() {
    after_the_last_step("fmn-l0", |want| {
        let (steps, alpha) = (count(&want["steps"]) as u32, Some(1.0));
        Box::new(Fmn { steps, alpha, alpha_last: Some(0.01), gamma: 0.05, gamma_last: 0.001 })
    });
}

/// The reference stops at its target, ours at any misclassified point.
#[test]
fn jsma() {
    let mut steps = 0;
    for want in list(&golden("attack-shelf.json")["jsma"]) {
        let setup = Setup::new(want);
        for (i, what, want) in setup.examples() {
            let trace = setup.run(&Jsma { theta: 1.0, gamma: 1.0, targets: 1 }, i);
            let points = list(&want["points"]);
            steps += trace.points.len() - 1;
            same_points(&trace.points, &points[..trace.points.len().min(points.len())], &what);
            assert!(trace.end.broken, "{what}");
        }
    }
    assert!(steps > 12, "{steps} steps show nothing");
}

#[test]
fn pdpgd() {
    after_the_last_step("pdpgd", |want| {
        Box::new(Pdpgd {
            steps: count(&want["steps"]) as u32,
            lr: 0.1,
            lr_last: 0.01,
            ratio: 0.01,
            dual_lr: 0.1,
            dual_lr_last: 0.1,
            average: 0.9,
            proximal: 5,
        })
    });
}

/// Every step, and the point after the last one, at which ours looks too.
fn after_the_last_step(key: &str, attack: impl Fn(&Value) -> Box<dyn Attack>) {
    for want in list(&golden("attack-shelf.json")[key]) {
        let (setup, attack) = (Setup::new(want), attack(want));
        for (i, what, want) in setup.examples() {
            let trace = setup.run(&*attack, i);
            let points = list(&want["points"]);
            same_points(&trace.points[..points.len()], points, &what);
            assert_eq!(trace.points.len(), points.len() + 1, "{what}");
            let proposal: Vec<f64> = trace.end.x_adv.flatten_all().unwrap().to_vec1().unwrap();
            if trace.points.last() != Some(&proposal) {
                found(&trace, want, &what);
            }
        }
    }
}

#[test]
fn cw_linf() {
    for want in list(&golden("attack-shelf.json")["cw-linf"]) {
        let setup = Setup::new(want);
        let attack = CwLinf {
            steps: count(&want["steps"]) as u32,
            lr: want["lr"].as_f64().unwrap(),
            c: want["c"].as_f64().unwrap(),
            c_most: 20.0,
            grow: 2.0,
            shrink: 0.9,
            tau_least: 1.0 / 255.0,
        };
        for (i, what, want) in setup.examples() {
            let trace = setup.run(&attack, i);
            // The last point shows that a run is over.
            let points = list(&want["points"]);
            same_points(&trace.points[..points.len()], points, &what);
            assert!(trace.points.len() <= points.len() + 1, "{what}");
            found(&trace, want, &what);
        }
    }
}

/// The smallest misclassified point is the reference's.
fn found(trace: &Trace, want: &Value, what: &str) {
    assert_eq!(trace.end.broken, !want["found"].is_null(), "{what}");
    if trace.end.broken {
        let x: Vec<f64> = trace.end.x_adv.flatten_all().unwrap().to_vec1().unwrap();
        same_point(&x, &want["found"], &format!("{what}: what is found"));
    }
}

/// Views of the image, in lockstep, with torchattacks' neighbours drawn by our streams.
#[test]
fn options_of_momentum() {
    for want in list(&golden("attack-shelf.json")["transfer"]) {
        let mut setup = Setup::new(want);
        setup.open.lockstep = true;
        let name = want["attack"].as_str().unwrap();
        let option = |key: &str| want["options"][key].as_u64();
        let attack = Momentum {
            steps: count(&want["steps"]) as u32,
            alpha: StepSize::Absolute("0.01".parse().unwrap()),
            momentum: 1.0,
            options: Options {
                nesterov: ["NIFGSM", "SINIFGSM", "VNIFGSM"].contains(&name),
                scales: option("m").map(|m| m as u32),
                neighbours: option("N").map(|n| n as u32),
                radius: want["options"]["beta"].as_f64().unwrap_or(0.0),
                translation: option("len_kernel").map(|k| k as usize),
                ..Options::default()
            },
            objective: Arc::new(Ce { targeted: false }),
            targets: 1,
            only_target: false,
            sparsity: None,
        };
        for (i, what, want) in setup.examples() {
            let mut trace = setup.run(&attack, i);
            trace.points.push(trace.end.x_adv.flatten_all().unwrap().to_vec1().unwrap());
            same_points(&trace.points, list(&want["points"]), &format!("{name}, {what}"));
        }
    }
}
