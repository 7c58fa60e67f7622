//! One file of a model repository on the hub: `hf:owner/repo/file@revision`, verified like data.

use crate::{Error, LoadOptions, Result};
#[cfg(feature = "hub")]
use crate::{
    hub,
    repo::{Repo, RepoKind},
};
use std::fmt;
#[cfg(feature = "hub")]
use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;

const FORM: &str = "write hf:owner/repo/file.safetensors@revision, where revision is best a commit";

/// A file of a model repository: `hf:owner/repo/path/file.safetensors@revision#sha256=...`.
///
/// Without a revision it is `main`, which may move; `#sha256=` pins the content itself.
///
/// ```
/// let file: gauntlet_data::HubFile = "hf:me/net/runs/1/model.safetensors@v2".parse()?;
/// assert_eq!((file.id.as_str(), file.path.as_str(), file.revision.as_str()), ("me/net", "runs/1/model.safetensors", "v2"));
/// # Ok::<(), gauntlet_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubFile {
    /// `owner/repo`.
    pub id: String,
    /// Path in the repository.
    pub path: String,
    /// Commit, branch or tag.
    pub revision: String,
    /// sha256 of the file's bytes, lower-case hexadecimal, where it is pinned.
    pub sha256: Option<String>,
}

impl HubFile {
    /// Whether a text is meant as such a reference.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("hf:")
    }

    /// The verified file in the hub's cache, downloaded if it is not there, and the commit it is of.
    ///
    /// # Errors
    /// [`Error::Hub`] if nothing arrives, [`Error::Sha`] if what arrives is wrong twice, [`Error::Unverified`] if neither
    /// the reference nor the hub says what its sha256 is.
    #[cfg(feature = "hub")]
    pub fn fetch(&self, options: &LoadOptions) -> Result<(PathBuf, Option<String>)> {
        let repo = Repo { kind: RepoKind::Model, id: &self.id, revision: &self.revision };
        let file = crate::RemoteFile { path: self.path.clone(), sha256: self.sha256.clone() };
        let path = hub::fetch(&hub::connect(options)?, repo, &file, options)?;
        let commit = commit(&path);
        Ok((path, commit))
    }

    /// The verified file in the hub's cache; this program has no hub.
    ///
    /// # Errors
    /// Always: it was built without the feature `hub`.
    #[cfg(not(feature = "hub"))]
    pub fn fetch(&self, _: &LoadOptions) -> Result<(PathBuf, Option<String>)> {
        Err(crate::without_hub::missing(&self.to_string()))
    }
}

/// The commit that a file of the hub's cache is of: `.../snapshots/<commit>/...`.
#[cfg(feature = "hub")]
fn commit(path: &Path) -> Option<String> {
    let mut parts = path.components().map(|c| c.as_os_str().to_string_lossy());
    parts.find(|p| p == "snapshots")?;
    parts.next().map(|c| c.into_owned())
}

impl FromStr for HubFile {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let fail = |why: String| Error::Message(format!("{text:?} {why}; {FORM}"));
        let Some(rest) = text.strip_prefix("hf:") else {
            return Err(fail("does not begin with hf:".into()));
        };
        let (rest, sha256) = match rest.split_once('#') {
            None => (rest, None),
            Some((rest, pin)) => {
                let hex = pin.strip_prefix("sha256=").unwrap_or_default().to_ascii_lowercase();
                if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(fail(format!("ends with #{pin}, where #sha256= and 64 hexadecimal digits belong")));
                }
                (rest, Some(hex))
            }
        };
        let (place, revision) = rest.rsplit_once('@').unwrap_or((rest, "main"));
        if revision.is_empty() {
            return Err(fail("has an empty revision after @".into()));
        }
        let mut parts = place.splitn(3, '/');
        let (owner, repo, path) = (parts.next(), parts.next(), parts.next());
        match (owner, repo, path) {
            (Some(owner), Some(repo), Some(path)) if ![owner, repo, path].contains(&"") => {
                if let Some(odd) = place.split('/').find(|p| ["", ".", ".."].contains(p)) {
                    return Err(fail(format!("has {odd:?} for a part of its path")));
                }
                let (id, path) = (format!("{owner}/{repo}"), path.to_string());
                Ok(HubFile { id, path, revision: revision.to_string(), sha256 })
            }
            _ => Err(fail("names no file of a repository".into())),
        }
    }
}

impl fmt::Display for HubFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hf:{}/{}@{}", self.id, self.path, self.revision)?;
        match &self.sha256 {
            Some(hex) => write!(f, "#sha256={hex}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_come_back_as_they_are_written() {
        let pin = "0123456789abcdef".repeat(4);
        for text in ["hf:a/b/c.pt@main", "hf:a/b/c/d.pt@refs/pr/1", &format!("hf:a/b/c.pt@0f#sha256={pin}")] {
            assert_eq!(text.parse::<HubFile>().unwrap().to_string(), *text);
        }
        assert_eq!("hf:a/b/c.pt".parse::<HubFile>().unwrap().revision, "main");
    }

    #[test]
    fn what_names_no_file_is_refused_with_the_form() {
        for (text, why) in [
            ("a/b/c.pt", "does not begin with hf:"),
            ("hf:a/b", "names no file of a repository"),
            ("hf:a//c.pt", "names no file of a repository"),
            ("hf:a/b/../c.pt", "has \"..\" for a part"),
            ("hf:a/b/c.pt@", "empty revision after @"),
            ("hf:a/b/c.pt#sha256=12", "ends with #sha256=12, where #sha256= and 64"),
            ("hf:a/b/c.pt#md5=12", "ends with #md5=12"),
        ] {
            let error = text.parse::<HubFile>().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("write hf:owner/repo/file.safetensors@revision"), "{error}");
        }
    }
}
