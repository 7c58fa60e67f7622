//! What is proved: certify.

use super::{DataArgs, Examples, Size, above_zero};
use clap::{Args, ValueEnum};
use std::num::NonZeroUsize;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Certify {
    /// Architecture: a name, a table such as '{ name = "lenet-small", activation = "gelu" }', or a file: onnx:net.onnx
    #[arg(long)]
    pub(crate) model: String,
    /// Checkpoint: safetensors or PyTorch's .pt, a file or hf:owner/repo/file.safetensors@revision
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// A property in VNN-LIB, instead of images: prints unsat, sat with a witness, or unknown, as VNN-COMP has it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "eps", "take", "all", "verdicts"])]
    pub(crate) property: Option<PathBuf>,
    /// Data set; its test split is certified and attacked
    #[arg(long, required_unless_present = "property")]
    pub(crate) data: Option<String>,
    #[command(flatten)]
    pub(crate) source: DataArgs,
    #[command(flatten)]
    pub(crate) examples: Examples,
    /// linf, l2 or l1
    #[arg(long, default_value = "linf")]
    pub(crate) norm: String,
    /// Budget in pixels of images in [0,1]: 0.1, 2/255
    #[arg(long, allow_hyphen_values = true, required_unless_present = "property")]
    pub(crate) eps: Option<String>,
    /// Proofs, cheapest first: ibp (intervals), kw (Wong & Kolter's bound), crown (linear bounds), bab (branch and bound)
    #[arg(long, value_delimiter = ',', value_name = "LIST", default_value = "ibp,crown,bab")]
    pub(crate) methods: Vec<String>,
    /// Parts that branch and bound makes of an image's ball at most
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) nodes: usize,
    /// Rectifiers left undecided beyond which branch and bound is not tried
    #[arg(long, value_name = "N", default_value = "500")]
    pub(crate) undecided: usize,
    /// What the proof is about
    #[arg(long, value_enum, value_name = "WHAT", default_value = "exact")]
    pub(crate) executed: Execution,
    /// Attack on the other side: a name or a table such as '{ name = "pgd", steps = 40, restarts = 3 }'
    #[arg(long, default_value = "pgd")]
    pub(crate) attack: String,
    /// Seed of the attack
    #[arg(long, default_value = "0")]
    pub(crate) seed: u64,
    /// Examples in flight at a time: speed and memory, no result depends on it
    #[arg(long, value_name = "N", default_value = "256", value_parser = above_zero::<NonZeroUsize>)]
    pub(crate) slots: NonZeroUsize,
    /// Write one line per example (CSV)
    #[arg(long, value_name = "FILE")]
    pub(crate) verdicts: Option<PathBuf>,
    /// Where an example goes that is certified and broken at once, which is a bug
    #[arg(long, value_name = "DIR", default_value = "contradictions")]
    pub(crate) save: PathBuf,
    /// Write every image that stays open as a network and a property, for other verifiers: DIR/net.onnx, DIR/<row>.vnnlib, DIR/instances.csv
    #[arg(long, value_name = "DIR")]
    pub(crate) export_open: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) size: Size,
}

/// What a proof is about.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Execution {
    /// The network of real numbers
    Exact,
    /// The logits that a CPU computes in f32
    F32,
}
