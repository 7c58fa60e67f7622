//! `gauntlet train`: one model.

use crate::arguments::Train;
use crate::exit::{Code, Failure};
use crate::progress::counted;
use crate::session::Session;
use crate::{complaint, component, interrupt};
use gauntlet::core::Error;
use gauntlet::engine::{Augmentation, Monitor, Store, TrainConfig, TrainRequest, Tricks};
use gauntlet::records::{Eps, file::write_atomically};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) fn train(session: &Session, arguments: &Train) -> Result<Code, Failure> {
    let request = TrainRequest {
        data: arguments.data.clone(),
        model: component::parse("model", &arguments.model)?,
        recipe: component::parse("recipe", &arguments.recipe)?,
        train: config(session, arguments)?,
        seed: arguments.seed,
    };
    let interrupt = interrupt::flag();
    let mut context = session.context(&session.catalogue, Store::new(&arguments.runs), interrupt);
    context.data = session.data(&arguments.source);
    context.force = arguments.size.force;
    if let Some(folder) = arguments.out.parent().filter(|f| !f.as_os_str().is_empty()) {
        session.create(folder)?;
    }
    let progress = session.progress();
    let report = gauntlet::engine::train(&request, &context, &progress);
    progress.finish();
    let report = report?;
    let bytes = std::fs::read(&report.checkpoint).map_err(|source| Error::Io {
        action: "read",
        path: report.checkpoint.display().to_string(),
        source,
    })?;
    write_atomically(&arguments.out, &bytes)?;
    let last = report.curve.last();
    session.result(
        || {
            json!({
                "checkpoint": arguments.out.display().to_string(),
                "checkpoint_sha256": report.checkpoint_sha256,
                "key": report.key,
                "seconds": report.seconds,
                "cost_relative_to_ce": report.cost_relative_to_ce,
                "flags": report.flags,
                "curve": report.curve,
            })
        },
        || {
            // Not the file's, which is what stands behind a path elsewhere.
            let mut text = format!("{}, weights {}\n", arguments.out.display(), report.checkpoint_sha256);
            if let Some(epoch) = last {
                text += &format!(
                    "after {}: clean {:.1} %, attacked at ε = {} {:.1} % ({})\n",
                    counted(epoch.epoch as usize, "epoch"),
                    100.0 * epoch.clean_accuracy,
                    arguments.monitor_eps,
                    100.0 * epoch.robust_accuracy,
                    epoch.monitored_on
                );
            }
            if let Some(cost) = report.cost_relative_to_ce {
                text +=
                    &format!("{:.1} s; a step costs {cost:.2} × the multiplications of a step of ce\n", report.seconds);
            }
            for told in gauntlet::report::folded(&report.flags) {
                text += &format!("flag: {told}\n");
            }
            text
        },
    )?;
    Ok(Code::Done)
}

fn config(session: &Session, arguments: &Train) -> Result<TrainConfig, Failure> {
    for (flag, value) in [("epochs", arguments.epochs as usize), ("batch", arguments.batch)] {
        if value == 0 {
            return Err(Failure::user(format!("--{flag} must be at least 1, got 0")));
        }
    }
    let mut optimiser = component::parse("optimiser", &arguments.optimiser)?;
    if let Some(lr) = arguments.lr {
        optimiser.insert("lr".into(), json!(lr));
    } else if !optimiser.contains_key("lr") {
        optimiser.insert("lr".into(), json!(1e-3));
    }
    let optimiser: gauntlet::core::optimiser::Optimiser = read("optimiser", optimiser.into())?;
    optimiser.validate().map_err(|why| Failure::user(format!("--optimiser: {why}")))?;
    let schedule: gauntlet::core::schedule::Schedule =
        read("schedule", component::parse("schedule", &arguments.schedule)?.into())?;
    schedule.validate().map_err(|why| Failure::user(format!("--schedule: {why}")))?;
    let augmentation: Augmentation = read("augmentation", arguments.augmentation.as_str().into())?;
    let eps: Eps = arguments.monitor_eps.parse().map_err(|e| Failure::flag("monitor-eps", e))?;
    let monitor = Monitor::at(&session.registry, eps).map_err(|e| Failure::flag("monitor-eps", e))?;
    let more = if arguments.set.is_empty() { None } else { Some(more(session, arguments)?) };
    let (own, clip, tricks) =
        more.map_or((Augmentation::None, None, Tricks::NONE), |more| (more.augmentation, more.clip, more.tricks));
    Ok(TrainConfig {
        epochs: arguments.epochs,
        batch: arguments.batch,
        optimiser,
        schedule,
        augmentation: if own == Augmentation::None { augmentation } else { own },
        validation: arguments.validation,
        clip,
        monitor,
        tricks,
    })
}

/// The keys of `--set`, read as a suite's `[train]` is.
fn more(session: &Session, arguments: &Train) -> Result<TrainConfig, Failure> {
    // What the checks of the other keys look at.
    let mut text = format!("epochs = {}\nmonitor_eps = {:?}\n", arguments.epochs, arguments.monitor_eps);
    if let Some(rows) = arguments.validation {
        text += &format!("validation = {rows}\n");
    }
    for given in &arguments.set {
        let key = given.split('=').next().unwrap_or_default().trim();
        if let Some(flag) = FLAGS.iter().find(|flag| **flag == key) {
            return Err(Failure::user(format!("--set {key}: it has a flag of its own, --{}", flag.replace('_', "-"))));
        }
        text += given;
        text.push('\n');
    }
    TrainConfig::load(&text, &session.registry, &session.catalogue)
        .map_err(|complaints| complaint::failure("--set", &text, &complaints, session.colour_stderr()))
}

/// Keys of `[train]` that `train` has flags for.
const FLAGS: [&str; 6] = ["epochs", "batch", "optimiser", "schedule", "validation", "monitor_eps"];

fn read<T: DeserializeOwned>(flag: &str, value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|e| Failure::user(format!("--{flag}: {e}")))
}
