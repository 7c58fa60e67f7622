//! How long things take: bench.

use super::{DataArgs, above_zero};
use clap::{Args, Subcommand};
use std::num::NonZeroUsize;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    pub(crate) what: BenchWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchWhat {
    /// Whole training steps, optimiser included, on random images; or parts of one
    Step(BenchStep),
    /// One attack on test images
    Attack(BenchAttack),
    /// Every kernel of the built-in architectures, against the measured peak
    Ops(BenchOps),
}

#[derive(Debug, Args)]
pub(crate) struct BenchStep {
    /// Architecture: a name or a table, or a network of a file: onnx:net.onnx
    #[arg(long)]
    pub(crate) model: String,
    /// Recipe or penalty: a name or a table; or forward, input-gradient, attack (a PGD step on a frozen model)
    #[arg(long)]
    pub(crate) recipe: String,
    /// Examples per step
    #[arg(long, default_value = "128", value_parser = above_zero::<NonZeroUsize>)]
    pub(crate) batch: NonZeroUsize,
    /// Height and width of the images (default: 28, one channel; preactresnet18 and wideresnet: 32, three channels)
    #[arg(long, value_parser = above_zero::<NonZeroUsize>)]
    pub(crate) side: Option<NonZeroUsize>,
    /// f32 or f64
    #[arg(long, default_value = "f32")]
    pub(crate) dtype: String,
    /// Seconds to measure for, after two steps of warming up
    #[arg(long, default_value = "2", allow_negative_numbers = true)]
    pub(crate) seconds: f64,
    /// Steps to measure at least
    #[arg(long, default_value = "3", value_parser = above_zero::<NonZeroUsize>)]
    pub(crate) least: NonZeroUsize,
    /// After the first result, measure again for every line on stdin: two programs can take turns
    #[arg(long)]
    pub(crate) again: bool,
    /// Another recipe whose steps take turns with the first one's: the ratio of the two, with its interval
    #[arg(long, value_name = "RECIPE", conflicts_with = "again")]
    pub(crate) beside: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchAttack {
    /// Architecture: a name or a table, or a network of a file: onnx:net.onnx
    #[arg(long)]
    pub(crate) model: String,
    /// Checkpoint, a file or hf:owner/repo/file@revision (default: what an ONNX network brings along, else untrained weights)
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Data set; its test split is attacked
    #[arg(long)]
    pub(crate) data: String,
    #[command(flatten)]
    pub(crate) source: DataArgs,
    /// Attack the first N test rows
    #[arg(long, value_name = "N", default_value = "1000", value_parser = above_zero::<NonZeroUsize>)]
    pub(crate) take: NonZeroUsize,
    /// Attack: a name or a table such as '{ name = "pgd", steps = 40 }'
    #[arg(long)]
    pub(crate) attack: String,
    /// linf, l2 or l1
    #[arg(long, default_value = "linf")]
    pub(crate) norm: String,
    /// Budget in pixels of images in [0,1]: 0.3, 8/255
    #[arg(long, default_value = "0.3", allow_hyphen_values = true)]
    pub(crate) eps: String,
}

#[derive(Debug, Args)]
pub(crate) struct BenchOps {
    /// Examples (preactresnet18: a quarter of it)
    #[arg(long, default_value = "128", value_parser = above_zero::<NonZeroUsize>)]
    pub(crate) batch: NonZeroUsize,
}
