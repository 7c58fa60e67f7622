//! `gauntlet submit`: a suite's open parts as jobs of a cluster.

mod slurm;

use crate::arguments::Submit;
use crate::commands::run::{committed, free, only, select};
use crate::exit::{Code, Failure};
use crate::session::Session;
use crate::{interrupt, suites};
use gauntlet::engine::{Store, Suite, Teacher};
use gauntlet::records::file::write_atomically;
use serde_json::json;
use slurm::{Job, Script};
use std::path::Path;
use std::process::Command;

pub(crate) fn submit(session: &Session, arguments: &Submit) -> Result<Code, Failure> {
    let run = &arguments.run;
    if run.jobs.get() > 1 || run.no_report || run.worker.is_some() {
        return Err(Failure::user("--jobs and --no-report are for gauntlet run; an array job has --array-limit"));
    }
    if run.shard.is_some() {
        return Err(Failure::user("--shard is for gauntlet run; an array has an element for each of --shards N"));
    }
    let (mut suite, catalogue) = suites::load(session, &run.suite)?;
    select(&mut suite, &run.examples);
    let mut context = session.context(&catalogue, Store::new(&run.runs), interrupt::flag());
    context.only = only(&suite, &run.only)?;
    context.data = session.data(&run.data);
    let out = run.out.clone().unwrap_or_else(|| Path::new("reports").join(&suite.name));
    free(&suite, &run.suite, &out)?;
    context.records = if run.fresh { Vec::new() } else { committed(&suite, &out.join("records")) };
    let mut cells = gauntlet::engine::plan(&suite, &context)?.open_cells();
    teachers_first(&suite, &mut cells);

    let here = std::env::current_dir().map_err(|e| Failure::new(Code::Environment, format!("no folder: {e}")))?;
    let folder = here.join(&run.runs).join("slurm").join(&suite.name);
    let script = Script { suite: &suite.name, arguments, folder: &folder, here: &here };
    let mut jobs = Vec::new();
    jobs.extend((!cells.is_empty()).then(|| script.array(&cells)));
    jobs.push(script.report());
    let mut sent: Vec<Sent> = Vec::new();
    for job in jobs {
        let command = job.command(&folder, sent.last().map(|before| before.id.as_str()), &arguments.more);
        let id = if arguments.dry_run { job.name.to_uppercase() } else { send(session, &folder, &job, &command)? };
        sent.push(Sent { job, command: command.join(" "), id });
    }
    session.result(
        || {
            json!({
                "suite": suite.name,
                "cells": cells.iter().map(|(row, seed)| json!({ "row": row, "seed": seed })).collect::<Vec<_>>(),
                "jobs": sent.iter().map(|s| json!({ "name": s.job.name, "id": s.id, "command": s.command }))
                    .collect::<Vec<_>>(),
                "shards": arguments.shards,
                "folder": folder.display().to_string(),
                "submitted": !arguments.dry_run,
            })
        },
        || {
            let verb = if arguments.dry_run { "would be" } else { "are" };
            let text: String = sent.iter().map(|s| s.text(&folder, arguments.dry_run)).collect();
            let each = match arguments.shards.get() {
                1 => String::new(),
                n => format!(", {n} each"),
            };
            format!(
                "{text}{}: {} open parts {verb} elements of an array{each}; the report follows",
                suite.name,
                cells.len()
            )
        },
    )?;
    Ok(Code::Done)
}

/// A job that was handed over, or would be.
struct Sent {
    job: Job,
    command: String,
    /// Slurm's number; of a dry run a name in its place.
    id: String,
}

impl Sent {
    fn text(&self, folder: &Path, dry: bool) -> String {
        let file = folder.join(self.job.file());
        match dry {
            true => format!("# {}\n{}\n{}\n\n", file.display(), self.job.text, self.command),
            false => format!("{} {}: {}\n", self.job.name, self.id, file.display()),
        }
    }
}

/// Rows that teach go first: their pupils would train them all the same, or wait.
fn teachers_first(suite: &Suite, cells: &mut [(String, u64)]) {
    let teaches = |id: &str| suite.rows.iter().any(|r| matches!(&r.teacher, Some(Teacher::Row(t)) if t == id));
    cells.sort_by_key(|(row, _)| !teaches(row));
}

/// Writes the script of a job and hands it over; the number that it got.
fn send(session: &Session, folder: &Path, job: &Job, command: &[String]) -> Result<String, Failure> {
    session.create(folder)?;
    write_atomically(&folder.join(job.file()), job.text.as_bytes())?;
    let output = Command::new(&command[0]).args(&command[1..]).output().map_err(|e| {
        let way = "run this on a machine of the cluster, or see what it would do with --dry-run";
        Failure::new(Code::Environment, format!("cannot start {}: {e}; {way}", command[0]))
    })?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    if !output.status.success() {
        let text = format!("sbatch refused {}: {}", folder.join(job.file()).display(), said(&output.stderr));
        return Err(Failure::new(Code::Environment, text));
    }
    // `--parsable`: the number, and the cluster's name behind a semicolon.
    let number = said(&output.stdout);
    Ok(number.split(';').next().unwrap_or_default().to_string())
}
