//! A suite: its file, read with the place of everything in it, and what it says.

pub(crate) mod attacks;
mod augmentations;
pub(crate) mod certification;
pub(crate) mod checkpoint_source;
pub(crate) mod complaint;
pub(crate) mod expectations;
pub(crate) mod file;
pub mod keys;
pub(crate) mod lineage;
pub(crate) mod quick;
pub(crate) mod reader;
pub(crate) mod resolved;
pub(crate) mod rows;
pub(crate) mod section;
pub(crate) mod smaller;
pub(crate) mod teacher;
mod tricks;
