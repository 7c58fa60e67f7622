//! `gauntlet status`: what the store has, and who works on it.

use crate::arguments::Status;
use crate::exit::{Code, Failure};
use crate::progress::counted;
use crate::session::Session;
use crate::suites;
use gauntlet::engine::{Item, Standing, Store, StoreStatus, status as look};
use serde_json::Value;
use std::fmt::Write;

pub(crate) fn status(session: &Session, arguments: &Status) -> Result<Code, Failure> {
    let store = Store::new(&arguments.runs);
    let mut names = Vec::new();
    for given in &arguments.suites {
        // A name that the store knows needs no file.
        let known = store.suite(given).exists();
        names.push(if known { given.clone() } else { suites::load(session, given)?.0.name });
    }
    let status = look(&store, &names)?;
    session.result(|| serde_json::to_value(&status).unwrap_or(Value::Null), || text(&status))?;
    Ok(Code::Done)
}

fn text(status: &StoreStatus) -> String {
    let mut out = String::new();
    for suite in &status.suites {
        let (attacks, trainings): (Vec<&Item>, Vec<&Item>) = suite.items.iter().partition(|i| i.attack.is_some());
        let done = |items: &[&Item]| items.iter().filter(|i| i.standing == Standing::Stored).count();
        let _ = writeln!(
            out,
            "{}: {} of {} trainings and {} of {} attacks are done",
            suite.suite,
            done(&trainings),
            trainings.len(),
            done(&attacks),
            attacks.len()
        );
        for item in &suite.items {
            let said = match &item.standing {
                Standing::Stored | Standing::Missing => continue,
                Standing::Claimed { holder, saved } => {
                    let saved = saved.as_ref().map(|s| format!(", {s} saved")).unwrap_or_default();
                    format!("running on {} (pid {}) since {}{saved}", holder.host, holder.pid, holder.since)
                }
                Standing::Begun { saved } => format!("begun, {saved} saved"),
                Standing::Failed { reason, at } => format!("failed at {at}: {reason}"),
            };
            let what = item.attack.as_ref().map_or("training".to_string(), |a| format!("{a} on"));
            let _ = writeln!(out, "  {what} {}, seed {}: {said}", item.row, item.seed);
        }
    }
    let (trainings, evaluations) = (status.trainings, status.evaluations);
    let _ = writeln!(
        out,
        "the store holds {} and {}, of attacks and of clean images",
        counted(trainings, "training"),
        counted(evaluations, "evaluation")
    );
    out
}
