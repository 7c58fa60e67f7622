//! `gauntlet run`: a suite from data to tables.

use crate::arguments::{Examples, Run};
use crate::commands::report::show;
use crate::exit::{Code, Failure};
use crate::session::Session;
use crate::{interrupt, suites};
use gauntlet_core::Record;
use gauntlet_engine::{Context, Filters, Row, Selection, Store, Suite};
use gauntlet_report::{Entry, Folder, Manifest, Report};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(crate) fn run(session: &Session, arguments: &Run) -> Result<Code, Failure> {
    let (mut suite, catalogue) = suites::load(session, &arguments.suite)?;
    select(&mut suite, &arguments.examples);
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("reports").join(&suite.name));
    let folder = out.join("records");
    let interrupt = interrupt::flag();
    let mut context = Context::new(&session.registry, &catalogue, Store::new(&arguments.runs), interrupt);
    context.only = only(&suite, &arguments.only)?;
    context.data = session.data(&arguments.data);
    context.records = if arguments.fresh { Vec::new() } else { committed(&suite, &folder) };
    session.create(&folder)?;
    let progress = session.progress();
    let records = gauntlet_engine::run(&suite, &context, &progress);
    progress.finish();
    let records = merge(&suite, records?, &folder);
    let folder_of = Folder { manifest: manifest(&suite, &records, arguments), records, problems: Vec::new() };
    folder_of.write(&folder)?;
    let report = Report::new(&folder_of)?;
    report.publish(&folder_of, &out)?;
    show(session, &report, Some(&out))?;
    Ok(if report.failures.is_empty() { Code::Done } else { Code::Parts })
}

/// `--take` and `--all` say what the suite's `take` would.
pub(crate) fn select(suite: &mut Suite, examples: &Examples) {
    if examples.all {
        suite.examples = Selection::All;
    } else if let Some(n) = examples.take {
        suite.examples = Selection::Take(n.get());
    }
}

/// Committed records of this suite: the report's own folder, and `reports/<suite>` of the working directory.
pub(crate) fn committed(suite: &Suite, folder: &Path) -> Vec<PathBuf> {
    let usual = Path::new("reports").join(&suite.name).join("records");
    let mut folders = vec![folder.to_path_buf()];
    if usual != folder {
        folders.push(usual);
    }
    folders.retain(|f| f.is_dir());
    folders
}

/// What `--only` leaves: `row=ID`, `recipe=NAME`, `seed=N`. Several rows, or several seeds, add up.
fn only(suite: &Suite, given: &[String]) -> Result<Filters, Failure> {
    let mut only = Filters::default();
    for text in given {
        let wrong = |why: String| Failure::user(format!("--only {text}: {why}"));
        let Some((key, value)) = text.split_once('=') else {
            return Err(wrong("write row=ID, recipe=NAME or seed=N".into()));
        };
        match key {
            "row" | "recipe" => {
                let names = |row: &Row| -> Vec<String> {
                    let components = row.components().map(|c| c.name.clone());
                    if key == "row" { vec![row.id.clone()] } else { components.collect() }
                };
                let before = only.rows.len();
                let chosen = suite.rows.iter().filter(|r| names(r).iter().any(|n| n == value));
                only.rows.extend(chosen.map(|r| r.id.clone()));
                if only.rows.len() == before {
                    let known: BTreeSet<String> = suite.rows.iter().flat_map(names).collect();
                    let error = gauntlet_core::registry::unknown(key, value, known.iter().map(String::as_str));
                    let known = known.into_iter().collect::<Vec<_>>().join(", ");
                    return Err(wrong(format!("{error}; {} has {known}", suite.name)));
                }
            }
            "seed" => {
                let seed = value.parse().map_err(|_| wrong("a seed is a whole number".into()))?;
                if !suite.seeds.contains(&seed) {
                    return Err(wrong(format!("{} has the seeds {:?}", suite.name, suite.seeds)));
                }
                only.seeds.push(seed);
            }
            other => return Err(wrong(format!("unknown key {other:?}; it takes row, recipe or seed"))),
        }
    }
    Ok(only)
}

/// The new records and, of the suite's other parts, those that the report already has: `--only` adds to a table.
///
/// A record that came out as it stands in the report already is kept as it stands: its provenance tells where its
/// numbers were made, and a report that is run again does not change.
fn merge(suite: &Suite, new: Vec<Record>, folder: &Path) -> Vec<Record> {
    let old = Folder::read(folder).map(|f| f.records).unwrap_or_default();
    let mut all: Vec<Record> = Vec::new();
    for row in &suite.rows {
        for seed in &suite.seeds {
            let is = |r: &&Record| r.row == row.id && r.seed == *seed;
            let (made, kept) = (new.iter().find(is), old.iter().find(is));
            let same = |a: &Record, b: &Record| (&a.suite, &a.failed, &a.result) == (&b.suite, &b.failed, &b.result);
            all.extend(match (made, kept) {
                (Some(made), Some(kept)) if same(made, kept) => Some(kept.clone()),
                (made, kept) => made.or(kept).cloned(),
            });
        }
    }
    all
}

fn manifest(suite: &Suite, records: &[Record], arguments: &Run) -> Manifest {
    let mut command = format!("gauntlet run {}", arguments.suite);
    if arguments.examples.all {
        command += " --all";
    } else if let Some(n) = arguments.examples.take {
        command += &format!(" --take {n}");
    }
    Manifest {
        suite: suite.name.clone(),
        records: records.iter().map(|r| Entry { row: r.row.clone(), seed: r.seed }).collect(),
        command,
        notes: suite.notes.clone(),
        ..Manifest::default()
    }
}
