//! `gauntlet doctor`: the machine, the hub, and a self-test of every derivative.

use crate::arguments::Doctor;
use crate::exit::{Code, Failure};
use crate::progress::counted;
use crate::session::Session;
use candle_core::DType;
use gauntlet::autograd::kernels::Isa;
use gauntlet::autograd::selftest::{Case, TOLERANCE, cases};
use gauntlet::core::Compute;
use gauntlet::engine::mathematics;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::fmt::Write;
use std::path::PathBuf;

/// One operation under check.
struct Check {
    name: &'static str,
    outcome: Result<Found, String>,
}

/// Worst relative errors of the derivatives, and the GPU's largest differences from the CPU in f64, where there is one.
struct Found {
    first: f64,
    second: f64,
    gpu: Option<[f64; 2]>,
}

/// How far a GPU may be from the CPU in f64 and in f32; TF32 rounds every factor of a product to 11 bits.
fn alike(compute: &Compute) -> [(DType, f64); 2] {
    [(DType::F64, 1e-10), (DType::F32, if compute.kind() == "cuda-tf32" { 2e-2 } else { 1e-4 })]
}

fn check(case: &Case, compute: &Compute) -> Result<Found, String> {
    let (first, second) = case.run().map_err(|e| e.to_string())?;
    let mut found = Found { first: first.worst, second: second.worst, gpu: None };
    if !compute.is_gpu() {
        return Ok(found);
    }
    let mut differences = [0.0; 2];
    for (difference, (dtype, tolerance)) in differences.iter_mut().zip(alike(compute)) {
        let found = case.difference(compute.device(), dtype).map_err(|e| format!("{}: {e}", compute.name()))?;
        *difference = found;
        // Not "more than": a NaN is no agreement.
        if !matches!(found.partial_cmp(&tolerance), Some(Ordering::Less | Ordering::Equal)) {
            let (name, dtype) = (compute.name(), dtype.as_str());
            return Err(format!("{name} differs from the CPU by {found:.1e} in {dtype}, allowed {tolerance:.0e}"));
        }
    }
    found.gpu = Some(differences);
    Ok(found)
}

pub(crate) fn doctor(session: &Session, _: &Doctor) -> Result<Code, Failure> {
    let provenance = gauntlet::engine::provenance(rayon::current_num_threads());
    let features = features();
    let (endpoint, cache) = hub();
    session.say("checking every operation's derivatives against central differences ...");
    let checks: Vec<Check> = cases()
        .map_err(gauntlet::core::Error::from)?
        .iter()
        .map(|case| Check { name: case.name, outcome: check(case, &session.compute) })
        .collect();
    let failed = checks.iter().filter(|c| c.outcome.is_err()).count();
    let r = &session.registry;
    let counts = [
        ("recipes", r.recipes.iter().count()),
        ("penalties", r.penalties.iter().count()),
        ("attacks", r.attacks.iter().count()),
        ("models", r.models.iter().count()),
        ("data sets", session.catalogue.names().len()),
    ];
    let cached = match &cache {
        Some(path) if path.is_dir() => "exists",
        Some(_) => "empty",
        None => "unknown: set HF_HOME",
    };
    let cache = cache.map(|p| p.display().to_string()).unwrap_or_default();
    session.result(
        || {
            let list: Vec<Value> = checks
                .iter()
                .map(|c| match &c.outcome {
                    Ok(Found { first, second, gpu }) => json!({
                        "operation": c.name, "first_order": first, "second_order": second,
                        "gpu_f64": gpu.map(|g| g[0]), "gpu_f32": gpu.map(|g| g[1]),
                    }),
                    Err(error) => json!({ "operation": c.name, "error": error }),
                })
                .collect();
            json!({
                "version": provenance.version, "commit": provenance.commit, "cpu": provenance.cpu,
                "device": session.compute.name(), "threads": provenance.threads, "cpu_features": features,
                "kernels": Isa::best().name(), "mathematics": mathematics(),
                "hub_endpoint": endpoint, "hub_cache": cache,
                "components": counts.iter().map(|(k, n)| (k.to_string(), Value::from(*n))).collect::<serde_json::Map<_, _>>(),
                "derivatives": list, "tolerance": TOLERANCE, "failed": failed,
            })
        },
        || {
            let mut out = String::new();
            let _ = writeln!(out, "gauntlet    {} (commit {})", provenance.version, provenance.commit);
            let _ = writeln!(out, "CPU         {}, {}", provenance.cpu, counted(provenance.threads, "thread"));
            let _ = writeln!(out, "features    {}; kernels for {}", features.join(" "), Isa::best().name());
            let _ = writeln!(out, "mathematics {} (exp and its like: equal here, equal bits)", mathematics());
            let _ = writeln!(out, "device      {}", session.compute.name());
            let _ = writeln!(out, "hub         {endpoint}, cache {cache} ({cached})");
            let known = counts.iter().map(|(k, n)| format!("{n} {k}")).collect::<Vec<_>>().join(", ");
            let _ = writeln!(out, "components  {known}");
            let gpu = if session.compute.is_gpu() { "  GPU in f64  GPU in f32" } else { "" };
            let head = "derivatives: worst relative error";
            let _ = writeln!(out, "\n{head:<34}{:>12}{:>14}{gpu}", "1st order", "2nd order");
            for c in &checks {
                match &c.outcome {
                    Ok(Found { first, second, gpu }) => {
                        let gpu = gpu.map(|[a, b]| format!("{a:>12.1e}{b:>12.1e}")).unwrap_or_default();
                        let _ = writeln!(out, "{:<34}{first:>12.1e}{second:>14.1e}{gpu}", c.name);
                    }
                    Err(error) => {
                        let _ = writeln!(out, "{:<34}FAILED: {error}", c.name);
                    }
                }
            }
            let verdict = if failed == 0 { "all agree".to_string() } else { format!("{failed} DO NOT agree") };
            let _ = writeln!(out, "\n{} operations, tolerance {TOLERANCE:.0e}: {verdict}", checks.len());
            out
        },
    )?;
    if failed > 0 {
        return Err(Failure::new(
            Code::Environment,
            format!(
                "{failed} derivatives are wrong on this machine; results of it cannot be trusted, please report it"
            ),
        ));
    }
    Ok(Code::Done)
}

/// Where data sets are fetched from and kept, by the hub's own rules.
fn hub() -> (String, Option<PathBuf>) {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
    let endpoint =
        variable("HF_ENDPOINT").map_or("https://huggingface.co".into(), |v| v.to_string_lossy().into_owned());
    let home = variable("HF_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("XDG_CACHE_HOME")?).join("huggingface")))
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache/huggingface")));
    let cache = variable("HF_HUB_CACHE").map(PathBuf::from).or_else(|| home.map(|h| h.join("hub")));
    (endpoint, cache)
}

/// Instruction sets that the kernels choose by.
fn features() -> Vec<&'static str> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! look {
            ($($name:tt),*) => { $(if std::arch::is_x86_feature_detected!($name) { found.push($name); })* };
        }
        look!("sse4.2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512vnni");
    }
    #[cfg(target_arch = "aarch64")]
    found.push("neon");
    found
}
