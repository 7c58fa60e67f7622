//! Slurm's job scripts.

use crate::arguments::Submit;
use crate::quoted::quoted;
use std::fmt::Write;
use std::path::Path;

/// What the scripts of a suite have in common.
pub(super) struct Script<'a> {
    pub(super) suite: &'a str,
    pub(super) arguments: &'a Submit,
    /// Of scripts and logs.
    pub(super) folder: &'a Path,
    /// The working directory of every job.
    pub(super) here: &'a Path,
}

/// A script that can be handed over.
pub(super) struct Job {
    /// `array` or `report`.
    pub(super) name: &'static str,
    pub(super) text: String,
}

impl Script<'_> {
    /// One element per row and seed, or several with a shard each: the first shard of all comes first, so that whoever begins with the
    /// second finds the row trained, unless all run at once.
    pub(super) fn array(&self, cells: &[(String, u64)]) -> Job {
        let limit = self.arguments.array_limit.map(|n| format!("%{n}")).unwrap_or_default();
        let shards = self.arguments.shards.get();
        let range = format!("--array=0-{}{limit}", (cells.len() * shards).saturating_sub(1));
        let mut text = self.head("array", "%A-%a.log", Some(&range));
        let list = |of: &dyn Fn(&(String, u64)) -> String| cells.iter().map(of).collect::<Vec<_>>().join(" ");
        let (what, place, share) = match shards {
            1 => ("One element per row and seed", "SLURM_ARRAY_TASK_ID".to_string(), String::new()),
            n => (
                "One element per shard, row and seed",
                format!("SLURM_ARRAY_TASK_ID % {}", cells.len()),
                format!(" --shard \"$((SLURM_ARRAY_TASK_ID / {} + 1))/{n}\"", cells.len()),
            ),
        };
        let _ = write!(
            text,
            "# {what} that was open. All share the store: who needs a part that another one works on\n\
             # goes on with the rest and waits for it at the end.\n\
             rows=({})\nseeds=({})\n\
             exec {} --no-report --only \"row=${{rows[{place}]}}\" --only \"seed=${{seeds[{place}]}}\"{share}\n",
            list(&|(row, _)| quoted(row)),
            list(&|(_, seed)| seed.to_string()),
            self.run()
        );
        Job { name: "array", text }
    }

    /// The suite once more: what is left, and the report.
    pub(super) fn report(&self) -> Job {
        let mut text = self.head("report", "%j-report.log", None);
        let choice: Vec<String> = self.arguments.run.choice().iter().map(|w| format!(" {}", quoted(w))).collect();
        let _ = writeln!(text, "exec {}{}", self.run(), choice.concat());
        Job { name: "report", text }
    }

    fn head(&self, job: &str, log: &str, more: Option<&str>) -> String {
        let Submit { partition, time, cpus, .. } = self.arguments;
        let mut text = String::from("#!/bin/bash\n");
        let mut option = |option: &str| {
            let _ = writeln!(text, "#SBATCH {option}");
        };
        option(&format!("--job-name=gauntlet-{}-{job}", self.suite));
        more.into_iter().for_each(&mut option);
        option(&format!("--cpus-per-task={cpus}"));
        partition.iter().for_each(|p| option(&format!("--partition={p}")));
        time.iter().for_each(|t| option(&format!("--time={t}")));
        option(&format!("--chdir=\"{}\"", self.here.display()));
        option(&format!("--output=\"{}/{log}\"", self.folder.display()));
        // A minute before the time is up: what is done is saved.
        option("--signal=B:TERM@60");
        option("--requeue");
        text + "set -euo pipefail\n"
    }

    /// `gauntlet run SUITE ...` with the job's threads.
    fn run(&self) -> String {
        let binary = std::env::current_exe().map_or("gauntlet".into(), |p| quoted(p.as_os_str()));
        let words: Vec<String> = self.arguments.run.words().iter().map(quoted).collect();
        format!("{binary} {} --threads \"${{SLURM_CPUS_PER_TASK:-1}}\"", words.join(" "))
    }
}

impl Job {
    pub(super) fn file(&self) -> String {
        format!("{}.sh", self.name)
    }

    /// The command that hands it over, to begin when job `after` has ended, well or not.
    pub(super) fn command(&self, folder: &Path, after: Option<&str>, more: &[String]) -> Vec<String> {
        let mut words = vec!["sbatch".to_string(), "--parsable".to_string()];
        words.extend(after.map(|id| format!("--dependency=afterany:{id}")));
        words.extend(more.iter().cloned());
        words.push(folder.join(self.file()).display().to_string());
        words
    }
}
