//! Where a checkpoint comes from: a file, or the hub.

use crate::Result;
use gauntlet_data::{HubFile, LoadOptions};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A checkpoint's place, as it is written on the command line and in suite files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CheckpointSource {
    /// A file on disk.
    File(PathBuf),
    /// `hf:owner/repo/file.safetensors@revision`.
    Hub(HubFile),
    /// The weights that the model's own file has: `own weights`.
    Own,
}

/// How [`CheckpointSource::Own`] is written.
const OWN: &str = "own weights";

impl CheckpointSource {
    /// Reads an argument: what begins with `hf:` is a file of the hub (`./hf:...` is one on disk).
    ///
    /// # Errors
    /// A reference to the hub that names no file, with the form it should have.
    pub fn of(argument: &Path) -> Result<Self> {
        match argument.to_str().filter(|text| *text == OWN || HubFile::is_meant(text)) {
            Some(OWN) => Ok(CheckpointSource::Own),
            Some(text) => Ok(CheckpointSource::Hub(text.parse::<HubFile>()?)),
            None => Ok(CheckpointSource::File(argument.to_path_buf())),
        }
    }

    /// Whether it is a file on disk that is not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, CheckpointSource::File(path) if !path.is_file())
    }

    /// The file, from the hub's cache or downloaded and verified where it is one of the hub's, or `None` where the model's own is
    /// meant; and notes about it.
    ///
    /// # Errors
    /// See [`HubFile::fetch`]. That a file on disk is there is for its reader to find out.
    pub fn resolve(&self, options: &LoadOptions) -> Result<(Option<PathBuf>, Vec<String>)> {
        match self {
            CheckpointSource::Own => Ok((None, Vec::new())),
            CheckpointSource::File(path) => Ok((Some(path.clone()), Vec::new())),
            CheckpointSource::Hub(file) => {
                let (path, commit) = file.fetch(options)?;
                let moved = commit.filter(|c| *c != file.revision);
                let note = moved.map(|c| format!("revision {} is commit {c}; @{c} pins it", file.revision));
                Ok((Some(path), note.into_iter().collect()))
            }
        }
    }
}

impl FromStr for CheckpointSource {
    type Err = crate::Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::of(Path::new(text))
    }
}

impl TryFrom<String> for CheckpointSource {
    type Error = crate::Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<CheckpointSource> for String {
    fn from(source: CheckpointSource) -> Self {
        source.to_string()
    }
}

impl From<PathBuf> for CheckpointSource {
    fn from(path: PathBuf) -> Self {
        CheckpointSource::File(path)
    }
}

impl fmt::Display for CheckpointSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckpointSource::File(path) => write!(f, "{}", path.display()),
            CheckpointSource::Hub(file) => write!(f, "{file}"),
            CheckpointSource::Own => f.write_str(OWN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_tells_the_hub_from_the_disk() {
        let of = |text: &str| text.parse::<CheckpointSource>().unwrap();
        assert_eq!(of("runs/m.safetensors"), CheckpointSource::File("runs/m.safetensors".into()));
        assert!(matches!(of("./hf:a/b/c.pt"), CheckpointSource::File(_)));
        assert!(matches!(of("hf:a/b/c.pt@v1"), CheckpointSource::Hub(f) if f.id == "a/b" && f.revision == "v1"));
        assert_eq!((of("own weights"), of("own weights").to_string().as_str()), (CheckpointSource::Own, "own weights"));
        assert_eq!(of("hf:a/b/c.pt").to_string(), "hf:a/b/c.pt@main");
        let error = "hf:a/c.pt".parse::<CheckpointSource>().unwrap_err().to_string();
        assert!(error.contains("\"hf:a/c.pt\" names no file") && error.contains("write hf:owner/repo/file"), "{error}");
    }
}
