//! What a user begins with: new, init, schema.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct New {
    #[command(subcommand)]
    pub(crate) what: NewWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NewWhat {
    /// A penalty, a binary that knows it, a test and a suite
    Recipe(NewRecipe),
    /// The manifest of a folder of images: a folder for every class, NumPy's arrays, parquet, idx (MNIST's format) or CIFAR-10's binary files
    Dataset(NewDataset),
}

#[derive(Debug, Args)]
pub(crate) struct NewDataset {
    /// Folder with the files of a training and a test split
    pub(crate) folder: PathBuf,
    /// Name in suites (default: the folder's)
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Names of the classes, in the order of the labels (default: what the files say, else 0, 1, ...)
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub(crate) classes: Vec<String>,
    /// Parquet: column of the images (default: the only one that can be)
    #[arg(long, value_name = "COLUMN")]
    pub(crate) image: Option<String>,
    /// Parquet: column of the labels (default: the only one that can be, or `label`)
    #[arg(long, value_name = "COLUMN")]
    pub(crate) label: Option<String>,
    /// Images of any size: the shorter side is resized to so many pixels, then the middle is cropped
    #[arg(long, value_name = "PIXELS", requires = "crop")]
    pub(crate) resize: Option<usize>,
    /// Side of the square that is kept of a resized image
    #[arg(long, value_name = "PIXELS", requires = "resize")]
    pub(crate) crop: Option<usize>,
    /// The manifest (default: datasets/NAME.toml, where suites look for it); it must not exist yet
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The suite; it must not exist yet
    #[arg(value_name = "FILE", default_value = "mine.toml")]
    pub(crate) file: PathBuf,
    /// The data set that it is about
    #[arg(long, default_value = "glyphs")]
    pub(crate) data: String,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Of what
    #[arg(value_enum)]
    pub(crate) what: SchemaOf,
    /// The reference of its keys, in Markdown
    #[arg(long)]
    pub(crate) markdown: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Suites.
    Suite,
    /// Manifests of data sets.
    Dataset,
}

#[derive(Debug, Args)]
pub(crate) struct NewRecipe {
    /// Name of crate and penalty: lower-case words joined by -
    pub(crate) name: String,
    /// Folder to write (default: NAME); it must not exist yet
    #[arg(long, value_name = "DIR")]
    pub(crate) path: Option<PathBuf>,
    /// Where the new crate finds gauntlet: a checkout or a git address (default: the checkout this binary was built from)
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) gauntlet: Option<String>,
}
