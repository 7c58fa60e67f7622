//! `gauntlet run`: a suite from data to tables.

mod workers;

use crate::arguments::{Examples, Run};
use crate::commands::registration::{Origin, register};
use crate::commands::report::{code, show};
use crate::exit::{Code, Failure};
use crate::quoted::quoted;
use crate::session::Session;
use crate::{interrupt, suites};
use gauntlet::engine::{CONTRADICTED, Filters, Row, Shard, Store, Suite, timestamp};
use gauntlet::evaluate::Selection;
use gauntlet::records::Record;
use gauntlet::report::{Entry, Folder, Manifest, Report};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub(crate) fn run(session: &Session, arguments: &Run) -> Result<Code, Failure> {
    let (mut suite, catalogue) = suites::load(session, &arguments.suite)?;
    if arguments.quick {
        suite = suite.quick().ok_or_else(|| {
            Failure::user(format!(
                "{} has no smaller version; a [quick] table in the suite says what it is",
                suite.name
            ))
        })?;
    }
    let other_examples = select(&mut suite, &arguments.examples);
    let shortened = shortened(arguments, other_examples);
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("reports").join(&suite.name));
    let folder = out.join("records");
    let interrupt = interrupt::flag();
    let mut context = session.context(&catalogue, Store::new(&arguments.runs), interrupt);
    context.only = only(&suite, &arguments.only)?;
    context.data = session.data(&arguments.data);
    context.force = arguments.size.force;
    context.records = if arguments.fresh { Vec::new() } else { committed(&suite, &folder) };
    context.shard = arguments.shard;
    let silent = arguments.no_report || arguments.worker.is_some() || arguments.shard.is_some();
    if arguments.worker.is_none() {
        free(&suite, &arguments.suite, &out)?;
    }
    if !silent {
        session.create(&folder)?;
    }
    if let Some(since) = &arguments.worker {
        interrupt::with_stdin();
        context.failed_since = Some(since.clone());
    } else if arguments.jobs.get() > 1 {
        // Read once here, so that the workers find the data set, and the committed records imported.
        let open = gauntlet::engine::plan(&suite, &context)?.open();
        let since = timestamp(SystemTime::now());
        workers::work(session, arguments, open.min(arguments.jobs.get()), &since, interrupt)?;
        context.failed_since = Some(since);
    }
    let progress = session.progress();
    let records = gauntlet::engine::run(&suite, &context, &progress);
    progress.finish();
    let records = records?;
    let contradicted = contradicted(&records);
    if silent {
        let code = stored(session, &suite, &records, arguments.shard)?;
        return contradiction(&contradicted).map_or(Ok(code), Err);
    }
    let (report, written) = {
        // Another process may be about to write the same report.
        let _claim = context.store.claim_suites()?;
        let mut records = merge(&suite, records, &folder);
        let found = suites::find(&arguments.suite)?;
        let origin = if found.built_in { None } else { Origin::of(Path::new(&found.path)) };
        register(&mut records, &suite.expect, origin.as_ref());
        let entry = |r: &Record| Entry { row: r.row.clone(), seed: r.seed };
        let (mut pictures, mut strongest) = (Vec::new(), Vec::new());
        let mut shown: HashSet<&str> = HashSet::new();
        for record in &records {
            // The page shows one training of every row, the first that has pictures.
            if shown.contains(record.row.as_str()) {
                continue;
            }
            let of_quick = gauntlet::engine::pictures_of(&context.store, record);
            if of_quick.as_ref().is_some_and(|found| !found.shown.is_empty()) {
                shown.insert(&record.row);
            }
            pictures.extend(of_quick.map(|found| (entry(record), found)));
            let of_strongest = gauntlet::engine::strongest_of(&context.store, record);
            strongest.extend(of_strongest.into_iter().map(|found| (entry(record), found)));
        }
        let manifest = manifest(&suite, &records, arguments, shortened);
        let folder_of = Folder { manifest, records, pictures, strongest, problems: Vec::new() };
        folder_of.write(&folder)?;
        let report = Report::new(&folder_of)?;
        let written = report.publish(&folder_of, &out)?;
        (report, written)
    };
    show(session, &report, Some(&out), &written)?;
    match contradiction(&contradicted) {
        Some(failure) => Err(failure),
        None => Ok(code(&report)),
    }
}

/// Flags of examples that are proved and broken at once, with whose they are.
fn contradicted(records: &[Record]) -> Vec<String> {
    let flags = records.iter().flat_map(|r| r.result.flags.iter().map(move |f| (r, f)));
    let found = flags.filter(|(_, f)| f.name == CONTRADICTED);
    found.map(|(r, f)| format!("`{}`, seed {}: {}", r.row, r.seed, f.detail)).collect()
}

fn contradiction(contradicted: &[String]) -> Option<Failure> {
    let first = contradicted.first()?;
    let others = contradicted.len() - 1;
    let more = if others == 0 { String::new() } else { format!(" ({others} more such flags)") };
    Some(Failure::new(Code::Bug, format!("certificate-contradicted: {first}{more}; please report it")))
}

/// What a process that writes no report has to say.
fn stored(session: &Session, suite: &Suite, records: &[Record], shard: Option<Shard>) -> Result<Code, Failure> {
    let failed: Vec<&Record> = records.iter().filter(|r| r.failed.is_some()).collect();
    let names = || failed.iter().map(|r| json!({ "row": r.row, "seed": r.seed, "reason": r.failed })).collect();
    session.result(
        || json!({ "suite": suite.name, "parts": records.len(), "failures": Value::Array(names()) }),
        || {
            let share = shard.map(|s| format!("shard {s} of ")).unwrap_or_default();
            format!(
                "{}: {share}{} of {} parts are in the store",
                suite.name,
                records.len() - failed.len(),
                records.len()
            )
        },
    )?;
    Ok(if failed.is_empty() { Code::Done } else { Code::Parts })
}

/// `--take` and `--all` say what the suite's `take` would. On other images than the suite's it is another suite, `<name>-take50`
/// or `<name>-all`, with a report of its own; whether it is.
pub(crate) fn select(suite: &mut Suite, examples: &Examples) -> bool {
    let own = suite.clone();
    choose(suite, examples);
    let other = suite.covered() != own.covered() || suite.attacks != own.attacks || suite.certify != own.certify;
    if other {
        suite.name += &examples.take.map_or("-all".to_string(), |n| format!("-take{n}"));
    }
    other
}

/// A folder that holds no report, or one that this suite wrote.
pub(crate) fn free(suite: &Suite, given: &str, out: &Path) -> Result<(), Failure> {
    let Some(manifest) = Manifest::of(&out.join("records")) else { return Ok(()) };
    let refused = |whose: String| {
        let way =
            format!("give another folder with --out, another `name` to the suite, or move {} away", out.display());
        Failure::user(format!("{} holds the report of {whose}, which would be overwritten; {way}", out.display()))
    };
    if manifest.suite != suite.name {
        return Err(refused(format!("suite {:?}, this is {:?}", manifest.suite, suite.name)));
    }
    let file =
        manifest.command.strip_prefix("gauntlet run ").unwrap_or_default().split(" --").next().unwrap_or_default();
    if !file.is_empty() && suites::plain(file) != suites::plain(&quoted(given)) {
        return Err(refused(format!("{file}, another suite file of that name")));
    }
    Ok(())
}

fn choose(suite: &mut Suite, examples: &Examples) {
    if examples.all {
        suite.select(Selection::All);
    } else if let Some(n) = examples.take {
        suite.select(Selection::Take(n.get()));
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
pub(crate) fn only(suite: &Suite, given: &[String]) -> Result<Filters, Failure> {
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
                    let error = gauntlet::core::Error::unknown(key, value, known.iter().map(String::as_str));
                    return Err(wrong(error.to_string()));
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

/// How the run is a smaller or another one than the suite's own.
fn shortened(arguments: &Run, other_examples: bool) -> Option<String> {
    match (arguments.quick, other_examples) {
        (true, _) => Some("this is the suite's smaller version (`--quick`)".into()),
        (false, true) => Some("other test images than the suite's were attacked (`--take`, `--all`)".into()),
        (false, false) => None,
    }
}

fn manifest(suite: &Suite, records: &[Record], arguments: &Run, shortened: Option<String>) -> Manifest {
    let mut command = format!("gauntlet run {}", quoted(&arguments.suite));
    if arguments.quick {
        command += " --quick";
    }
    if arguments.examples.all {
        command += " --all";
    } else if let Some(n) = arguments.examples.take {
        command += &format!(" --take {n}");
    }
    if let Some(folder) = &arguments.data.data_dir {
        command += &format!(" --data-dir {}", quoted(folder));
    }
    if arguments.runs != Path::new("runs") {
        command += &format!(" --runs {}", quoted(&arguments.runs));
    }
    Manifest {
        suite: suite.name.clone(),
        records: records.iter().map(|r| Entry { row: r.row.clone(), seed: r.seed }).collect(),
        command,
        notes: suite.notes.clone(),
        expect: suite.expect.clone(),
        shortened,
    }
}
