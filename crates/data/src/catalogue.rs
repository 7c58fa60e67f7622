//! All manifests: built in, and `datasets/*.toml` of the given folders.

use crate::{Error, Manifest, Result};
use gauntlet_records::regular_file;
use std::path::{Path, PathBuf};

const BUILT_IN: [(&str, &str); 5] = [
    ("datasets/glyphs.toml", include_str!("../../../datasets/glyphs.toml")),
    ("datasets/mnist.toml", include_str!("../../../datasets/mnist.toml")),
    ("datasets/mnist-3-vs-7.toml", include_str!("../../../datasets/mnist-3-vs-7.toml")),
    ("datasets/fashion-mnist.toml", include_str!("../../../datasets/fashion-mnist.toml")),
    ("datasets/cifar10.toml", include_str!("../../../datasets/cifar10.toml")),
];

/// Bytes of a manifest: a hundred for each of ten thousand classes.
const MAX_BYTES: u64 = 1 << 20;

/// Data sets by name.
#[derive(Debug, Clone)]
pub struct Catalogue {
    folders: Vec<PathBuf>,
}

impl Default for Catalogue {
    /// Built-in manifests and `datasets/` of the working directory.
    fn default() -> Self {
        Catalogue { folders: vec![PathBuf::from("datasets")] }
    }
}

impl Catalogue {
    /// Built-in manifests, after those in `folders` (a file there wins over a built-in one of the same name).
    pub fn new(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        Catalogue { folders: folders.into_iter().collect() }
    }

    /// Looks into another folder too, before all others.
    pub fn add_folder(&mut self, folder: &Path) {
        self.folders.insert(0, folder.to_path_buf());
    }

    /// Names of all data sets, folders first.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for folder in &self.folders {
            let mut here: Vec<String> = std::fs::read_dir(folder)
                .into_iter()
                .flatten()
                .flatten()
                .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".toml").map(str::to_string))
                .collect();
            here.sort();
            names.extend(here);
        }
        names.extend(BUILT_IN.iter().filter_map(|(path, _)| built_in_name(path).map(str::to_string)));
        let mut seen = std::collections::HashSet::new();
        names.retain(|n| seen.insert(n.clone()));
        names
    }

    /// The manifest of that name.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest name; [`Error::Manifest`] if the file is wrong.
    pub fn get(&self, name: &str) -> Result<Manifest> {
        for folder in &self.folders {
            let path = folder.join(format!("{name}.toml"));
            if path.is_file() {
                let text = regular_file::read_text(&path, MAX_BYTES, "a manifest");
                let text = text.map_err(|e| crate::error::file(&path, e))?;
                return Manifest::parse(&path.display().to_string(), &text);
            }
        }
        if let Some((path, text)) = BUILT_IN.iter().find(|(path, _)| built_in_name(path) == Some(name)) {
            return Manifest::parse(path, text);
        }
        let names = self.names();
        match gauntlet_core::registry::unknown("data set", name, names.iter().map(String::as_str)) {
            gauntlet_core::Error::Unknown { name, hint, .. } => Err(Error::Unknown { name, hint }),
            other => Err(Error::Message(other.to_string())),
        }
    }
}

fn built_in_name(path: &str) -> Option<&str> {
    path.strip_prefix("datasets/")?.strip_suffix(".toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_manifests_parse_and_unknown_names_get_a_hint() {
        let catalogue = Catalogue::new([]);
        for name in catalogue.names() {
            assert_eq!(catalogue.get(&name).unwrap().name, name);
        }
        let message = catalogue.get("mnits").unwrap_err().to_string();
        assert!(message.contains("did you mean \"mnist\"") && message.contains("gauntlet list datasets"), "{message}");
    }

    #[test]
    fn a_folder_adds_and_overrides() {
        let folder = tempfile::tempdir().unwrap();
        let text = include_str!("../../../datasets/mnist.toml").replace("name = \"mnist\"", "name = \"mine\"");
        std::fs::write(folder.path().join("mine.toml"), &text).unwrap();
        let catalogue = Catalogue::new([folder.path().to_path_buf()]);
        assert_eq!(catalogue.get("mine").unwrap().name, "mine");
        assert_eq!(catalogue.names()[0], "mine");
        std::fs::write(folder.path().join("mine.toml"), text.replace("licence", "license")).unwrap();
        let message = catalogue.get("mine").unwrap_err().to_string();
        assert!(message.contains("license") && message.contains("mine.toml"), "{message}");
    }
}
