//! Commands that look after runs: status, watch, clean, submit, verify.

use super::{DataArgs, Run, above_zero};
use clap::Args;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Suites, by name or file (default: all that ran in this store)
    #[arg(value_name = "SUITE")]
    pub(crate) suites: Vec<String>,
    /// Result store
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Suites, by name or file (default: every training of the store, until Ctrl-C)
    #[arg(value_name = "SUITE")]
    pub(crate) suites: Vec<String>,
    /// Result store
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
    /// The page
    #[arg(long, value_name = "FILE", default_value = "watch.html")]
    pub(crate) out: PathBuf,
    /// How often it is written and reads itself again, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = above_zero::<NonZeroU32>)]
    pub(crate) every: NonZeroU32,
    /// Write it once, without reading itself again, and end
    #[arg(long)]
    pub(crate) once: bool,
    /// Also an event file of TensorBoard for every training, each in a folder of its own in there
    #[arg(long, value_name = "DIR")]
    pub(crate) tensorboard: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Clean {
    /// Result store
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
    /// Remove what is listed; without it nothing is touched. A suite refers to what its last run in this store consisted
    /// of: after an edit, to that alone
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Submit {
    #[command(flatten)]
    pub(crate) run: Run,
    /// To Slurm: an array job over the open rows and seeds, and a job that writes the report when they have ended
    #[arg(long, required = true)]
    pub(crate) slurm: bool,
    /// Partition of the cluster
    #[arg(long, value_name = "NAME")]
    pub(crate) partition: Option<String>,
    /// Time limit of every job, as Slurm writes it: 30, 4:00:00, 1-12:00
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<String>,
    /// CPUs of every job; as many threads are used
    #[arg(long, value_name = "N", default_value = "1", value_parser = above_zero::<NonZeroUsize>)]
    pub(crate) cpus: NonZeroUsize,
    /// Elements of the array that run at a time (default: no limit)
    #[arg(long, value_name = "N", value_parser = above_zero::<NonZeroUsize>)]
    pub(crate) array_limit: Option<NonZeroUsize>,
    /// Elements of the array for every row and seed, each with its share of the examples of every attack
    #[arg(long, value_name = "N", default_value = "1", value_parser = above_zero::<NonZeroUsize>)]
    pub(crate) shards: NonZeroUsize,
    /// Show scripts and commands, and submit nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// More arguments for sbatch, after --
    #[arg(last = true, value_name = "SBATCH")]
    pub(crate) more: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Folder of records, or of a report that holds `records`
    #[arg(value_name = "RUN")]
    pub(crate) records: PathBuf,
    /// Examples per record that are evaluated again
    #[arg(long, value_name = "N", default_value = "50", value_parser = above_zero::<NonZeroUsize>)]
    pub(crate) sample: NonZeroUsize,
    /// Leave records alone whose checkpoint is not in the store, instead of training it again
    #[arg(long)]
    pub(crate) no_retrain: bool,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Result store, with the checkpoints
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
}
