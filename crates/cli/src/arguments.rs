//! The command line's grammar.

mod bench;
mod certify;
mod new;
mod upkeep;

pub(crate) use bench::{Bench, BenchAttack, BenchOps, BenchStep, BenchWhat};
pub(crate) use certify::{Certify, Execution};
pub(crate) use new::{Init, New, NewDataset, NewRecipe, NewWhat, Schema, SchemaOf};
pub(crate) use upkeep::{Clean, Status, Submit, Verify, Watch};

use clap::{Args, Parser, Subcommand, ValueEnum};
use gauntlet::core::Processor;
use gauntlet::engine::Shard;
use std::ffi::OsString;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;

pub(crate) const EXIT_CODES: &str = "Exit codes: 0 done, 1 an expectation was not met or a record is contradicted, 2 user error, 3 environment (network, disk), \
4 finished with failed parts, 130 interrupted and resumable, 101 a bug.";

/// A whole number of at least 1.
fn above_zero<T: FromStr>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| "it must be a whole number of at least 1".to_string())
}

/// Trains image classifiers with different loss recipes, attacks each of them, and tabulates clean against attacked accuracy.
#[derive(Debug, Parser)]
#[command(name = "gauntlet", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command knows.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Threads of tensor operations (default: all cores); no result depends on it
    #[arg(long, global = true, value_name = "N", value_parser = above_zero::<NonZeroUsize>)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Where models are trained and attacked: cpu, cuda, cuda:N, or auto (a GPU if there is one)
    #[arg(long, global = true, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: Processor,
    /// On a GPU: products of f32 may round their factors to 10 bits of mantissa (faster, other numbers)
    #[arg(long, global = true)]
    pub(crate) tf32: bool,
    /// Print results to stdout as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress on stderr, only errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train, attack and report a suite; resumes where it was stopped
    Run(Run),
    /// Show what the store has of every suite, and who works on it
    Status(Status),
    /// Show the course of trainings on a page that follows them
    Watch(Watch),
    /// List what no suite needs any more, and remove it
    Clean(Clean),
    /// Hand the open parts of a suite to a cluster
    Submit(Submit),
    /// Evaluate a sample of committed verdicts again and compare
    Verify(Verify),
    /// Train one model
    Train(Train),
    /// Attack one checkpoint
    Attack(Attack),
    /// Prove what no perturbation can do to a checkpoint, beside what an attack does
    Certify(Certify),
    /// Make tables, pictures and page again from a folder of records
    Report(Report),
    /// Rank the rows of any number of reports, board by board of what was attacked alike
    Leaderboard(Leaderboard),
    /// List what suite files can name
    List(List),
    /// Resolve a suite and show what it would do and what the store has; or see whether a recipe keeps its promises
    Check(Check),
    /// Show the network of an ONNX file: layers, shapes, parameters, buffers, or what of it cannot be imported
    Inspect(Inspect),
    /// Write a model with its weights as an ONNX file
    Export(Export),
    /// Write a suite to begin with: every key, with what it means
    Init(Init),
    /// Write a crate with a recipe of your own, ready to run; or the manifest of a data set of your own
    New(New),
    /// Print the JSON Schema of suites or manifests, for editors; or their reference
    Schema(Schema),
    /// Measure the speed of training steps, attacks and kernels
    Bench(Bench),
    /// Show the machine, the hub's cache, and a self-test of all derivatives
    Doctor(Doctor),
    /// Show the help of a command, or what a name in suite files means
    Help(Help),
    /// Print what completes commands in a shell
    Completions(Completions),
    /// Write manual pages
    Man(Man),
}

/// How data sets are found.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataArgs {
    /// Folder with the data set's files (parquet, idx, CIFAR binary), or with folders of that of every data set; nothing is
    /// downloaded then (default: GAUNTLET_DATA, else the manifest's)
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Which test rows are attacked.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub(crate) struct Examples {
    /// Attack the first N test rows (default: what the suite says; `attack` alone: 1000)
    #[arg(long, value_name = "N", value_parser = above_zero::<NonZeroUsize>)]
    pub(crate) take: Option<NonZeroUsize>,
    /// Attack all test rows
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Suite file, or the name of a suite in ./suites or built in (gauntlet list suites)
    pub(crate) suite: String,
    /// Only these parts: row=ID, recipe=NAME or seed=N; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) only: Vec<String>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Result store
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
    /// Folder of the report (default: reports/<suite>)
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Do not take committed records of reports/<suite> for done: train and attack here
    #[arg(long)]
    pub(crate) fresh: bool,
    /// The suite's documented smaller version, under the name <suite>-quick
    #[arg(long)]
    pub(crate) quick: bool,
    #[command(flatten)]
    pub(crate) examples: Examples,
    /// Processes that share the work, each with its part of the threads
    #[arg(long, value_name = "N", default_value = "1", value_parser = above_zero::<NonZeroUsize>)]
    pub(crate) jobs: NonZeroUsize,
    /// Only fill the store: for one of several processes, of which the last writes the report
    #[arg(long)]
    pub(crate) no_report: bool,
    /// Only fill the store with the attacks' verdicts on this share of the examples, such as 3/16; a run without it puts the
    /// shares together
    #[arg(long, value_name = "I/N", conflicts_with = "jobs")]
    pub(crate) shard: Option<Shard>,
    /// One of the processes of --jobs, which began at this moment: it ends with its standard input
    #[arg(long, hide = true, value_name = "SINCE")]
    pub(crate) worker: Option<String>,
    #[command(flatten)]
    pub(crate) size: Size,
}

/// What to do about models that are larger than the memory.
#[derive(Debug, Clone, Args)]
pub(crate) struct Size {
    /// Go on where a model would take more memory than is left here
    #[arg(long)]
    pub(crate) force: bool,
}

impl Run {
    /// The words of the command line that say what is run and where it is kept, without those that choose parts or
    /// divide the work.
    pub(crate) fn words(&self) -> Vec<OsString> {
        // Every field by its name: a new one has to be considered here.
        let Run {
            suite,
            only: _,
            data,
            runs,
            out,
            fresh,
            quick,
            examples,
            jobs: _,
            no_report: _,
            shard: _,
            worker: _,
            size,
        } = self;
        let mut words: Vec<OsString> = vec!["run".into(), suite.into(), "--runs".into(), runs.into()];
        for (flag, value) in [("--data-dir", &data.data_dir), ("--out", out)] {
            if let Some(value) = value {
                words.extend([flag.into(), value.into()]);
            }
        }
        if let Some(n) = examples.take {
            words.extend(["--take".into(), n.to_string().into()]);
        }
        words.extend(examples.all.then(|| "--all".into()));
        words.extend(fresh.then(|| "--fresh".into()));
        words.extend(quick.then(|| "--quick".into()));
        words.extend(size.force.then(|| "--force".into()));
        words
    }

    /// The words that choose parts.
    pub(crate) fn choice(&self) -> Vec<OsString> {
        self.only.iter().flat_map(|only| ["--only".into(), only.into()]).collect()
    }
}

#[derive(Debug, Args)]
pub(crate) struct Train {
    /// Architecture: a name or a table such as '{ name = "lenet-small", activation = "gelu" }', or a network of a file: onnx:net.onnx
    #[arg(long)]
    pub(crate) model: String,
    /// Recipe or penalty: a name or a table such as '{ name = "grad-norm", weight = 10.0 }'
    #[arg(long)]
    pub(crate) recipe: String,
    /// Data set
    #[arg(long)]
    pub(crate) data: String,
    #[command(flatten)]
    pub(crate) source: DataArgs,
    /// Passes over the training rows
    #[arg(long, default_value = "5")]
    pub(crate) epochs: u32,
    /// Examples per step
    #[arg(long, default_value = "128")]
    pub(crate) batch: usize,
    /// Optimiser: a name or a table such as '{ name = "sgd", lr = 0.1, momentum = 0.9 }'
    #[arg(long, default_value = "adam")]
    pub(crate) optimiser: String,
    /// Learning rate (default: the optimiser's table, else 0.001)
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) lr: Option<f64>,
    /// Schedule: constant, cosine, triangular, or a table such as '{ name = "step", every = 10, factor = 0.1 }'
    #[arg(long, default_value = "constant")]
    pub(crate) schedule: String,
    /// none, crop-flip or crop-flip-reflect
    #[arg(long, default_value = "none")]
    pub(crate) augmentation: String,
    /// Another key of a suite's [train], as it is written there: 'ema = { decay = 0.999 }', 'clip = 1.0'; several with several --set
    #[arg(long, value_name = "KEY = VALUE")]
    pub(crate) set: Vec<String>,
    /// Training rows that are held out and monitored (default: a tenth, and 1000 at most)
    #[arg(long, value_name = "N")]
    pub(crate) validation: Option<usize>,
    /// Budget of the quick attack that accompanies the training
    #[arg(long, default_value = "0.1")]
    pub(crate) monitor_eps: String,
    /// Training seed
    #[arg(long, default_value = "0")]
    pub(crate) seed: u64,
    /// Result store: where the state of an interrupted training waits
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
    /// Where the checkpoint goes (safetensors)
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) size: Size,
}

#[derive(Debug, Args)]
pub(crate) struct Attack {
    /// Architecture: a name or a table such as '{ name = "lenet-small", activation = "gelu" }', or a network of a file: onnx:net.onnx
    #[arg(long, required_unless_present = "property")]
    pub(crate) model: Option<String>,
    /// Checkpoint: safetensors or PyTorch's .pt, a file or hf:owner/repo/file.safetensors@revision (default: what an ONNX network
    /// brings along)
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Data set; its test split is attacked
    #[arg(long, required_unless_present = "property")]
    pub(crate) data: Option<String>,
    #[command(flatten)]
    pub(crate) source: DataArgs,
    #[command(flatten)]
    pub(crate) examples: Examples,
    /// Attack: a name or a table such as '{ name = "pgd", restarts = 5 }'
    #[arg(long, required_unless_present = "property")]
    pub(crate) attack: Option<String>,
    /// linf, l2, l1 or l0
    #[arg(long, default_value = "linf")]
    pub(crate) norm: String,
    /// Budget in pixels of images in [0,1]: 0.3, 8/255; several with commas
    #[arg(long, value_delimiter = ',', required_unless_present = "property", allow_hyphen_values = true)]
    pub(crate) eps: Vec<String>,
    /// Step size, above 0: 0.01, 2/255, eps/4 (default: the attack's; gauntlet list attacks NAME)
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) alpha: Option<String>,
    /// Steps (default: the attack's)
    #[arg(long)]
    pub(crate) steps: Option<u32>,
    /// Restarts (default: the attack's)
    #[arg(long)]
    pub(crate) restarts: Option<u32>,
    /// What is ascended: ce, margin, dlr, kl, or targeted ce-t, margin-t, dlr-t (default: the attack's)
    #[arg(long)]
    pub(crate) objective: Option<String>,
    /// Seed of the attack
    #[arg(long, default_value = "0")]
    pub(crate) seed: u64,
    /// Forwards that every proposal is judged on, for randomised models (docs/flags.md): the first decides, all give a rate
    #[arg(long, value_name = "R", default_value = "1", value_parser = above_zero::<NonZeroU32>)]
    pub(crate) draws: NonZeroU32,
    /// Examples in flight at a time: speed and memory, no result depends on it
    #[arg(long, value_name = "N", default_value = "256", value_parser = above_zero::<NonZeroUsize>)]
    pub(crate) slots: NonZeroUsize,
    /// Craft the examples on this checkpoint, or on a network with its own weights (onnx:other.onnx), every step taken, and try
    /// them on --checkpoint
    #[arg(long, value_name = "FILE")]
    pub(crate) surrogate: Option<PathBuf>,
    /// Architecture of the surrogate (default: --model)
    #[arg(long, value_name = "MODEL", requires = "surrogate")]
    pub(crate) surrogate_model: Option<String>,
    /// Write one line per example and ε (CSV)
    #[arg(long, value_name = "FILE")]
    pub(crate) verdicts: Option<PathBuf>,
    /// Write the adversarial examples (safetensors) and a picture of the first (PNG) into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,
    /// Save examples that are exact in 8 bits and inside the budget, and count those that are still misclassified
    #[arg(long, requires = "save")]
    pub(crate) eight_bit: bool,
    /// Append verdicts to this file as they are given; the same command goes on from it after an interruption
    #[arg(long, value_name = "FILE", conflicts_with = "save")]
    pub(crate) journal: Option<PathBuf>,
    /// Names of the checkpoint's tensors, one a line, in the order of the model's parameters: for a file whose own names tell nothing
    #[arg(long, value_name = "FILE")]
    pub(crate) names: Option<PathBuf>,
    /// Instead of an attack on test images: search a counterexample to a property in VNN-LIB (.vnnlib, .vnnlib.gz), or to all in the
    /// instances.csv of a folder, which names their networks (docs/vnnlib.md)
    #[arg(long, value_name = "FILE|FOLDER", conflicts_with_all = [
        "attack", "eps", "norm", "alpha", "restarts", "objective", "draws", "slots", "surrogate", "verdicts", "save", "journal", "take",
        "all",
    ])]
    pub(crate) property: Option<PathBuf>,
    /// Seconds that a property is searched for at most
    #[arg(long, default_value = "60", requires = "property", allow_negative_numbers = true)]
    pub(crate) seconds: f64,
    /// Write the witness of every property of a folder into this folder, in the competition's format
    #[arg(long, value_name = "DIR", requires = "property")]
    pub(crate) witnesses: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) size: Size,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Folder of records, or of a report that holds `records`
    pub(crate) records: PathBuf,
    /// Folder of the report (default: only print)
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Judge by the [[expect]] tables of this suite (a file or a name), and write them into the records: as set after the run,
    /// but for those that a record carries already
    #[arg(long, value_name = "SUITE")]
    pub(crate) expect: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// ONNX file; data beside it is read from its folder
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where the channels of its images stand (default: last where that axis is 1 or 3 and the first is not)
    #[arg(long, value_enum, value_name = "PLACE")]
    pub(crate) channels: Option<Channels>,
    /// The output that gives the logits, where there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) output: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Architecture: a name or a table, or a network of a file: onnx:net.onnx
    #[arg(long)]
    pub(crate) model: String,
    /// Checkpoint, a file or hf:owner/repo/file@revision (default: what an ONNX network brings along, else untrained weights)
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Data set that it is for: shape of the images and number of classes (default: what an ONNX network says)
    #[arg(long)]
    pub(crate) data: Option<String>,
    /// The file
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// Where channels stand.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Channels {
    /// (C, H, W)
    First,
    /// (H, W, C)
    Last,
}

#[derive(Debug, Args)]
pub(crate) struct Leaderboard {
    /// Folders of records, or of reports that hold `records`: your own, your colleagues'
    #[arg(required = true, value_name = "DIR")]
    pub(crate) reports: Vec<PathBuf>,
    /// Folder of leaderboard.html, .md, .csv and .json (default: only print)
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// What to list
    #[arg(value_enum)]
    pub(crate) what: What,
    /// Only these, with formula and every parameter
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// With formula and every parameter
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Recipes or attacks as a page in Markdown: docs/recipes.md, docs/attacks.md
    #[arg(long, conflicts_with_all = ["verbose", "names"])]
    pub(crate) markdown: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// Recipes and penalties.
    Recipes,
    /// Attacks.
    Attacks,
    /// Architectures.
    Models,
    /// Optimisers.
    Optimisers,
    /// Schedules of the learning rate.
    Schedules,
    /// What can be done to training images.
    Augmentations,
    /// Weights at which a gradient can be taken instead of the current ones.
    Perturbations,
    /// Data sets.
    Datasets,
    /// Suites.
    Suites,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Suite file or name; a script (.rhai); or a recipe or penalty: a name or a table such as '{ name = "grad-norm", weight = 10.0 }'
    #[arg(value_name = "SUITE|RECIPE")]
    pub(crate) what: String,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Result store
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
    #[command(flatten)]
    pub(crate) examples: Examples,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {}

#[derive(Debug, Args)]
pub(crate) struct Help {
    /// A command; or recipes, attacks, models, optimisers, schedules, datasets, suites and names of them
    #[arg(value_name = "WORD")]
    pub(crate) words: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Folder of the pages: gauntlet.1, gauntlet-run.1, ...
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}
