//! All manifests: built in, and `datasets/*.toml` of the given folders.

use crate::{Arrays, Error, Manifest, Part, Result, Source};
use gauntlet_records::regular_file;
use std::path::{Path, PathBuf};

/// CIFAR-10-C and CIFAR-100-C: a name, the data set that is corrupted, and where the files are.
const CORRUPTED: [(&str, &str, &str); 2] = [
    ("cifar10-c", "cifar10", "https://zenodo.org/records/2535967"),
    ("cifar100-c", "cifar100", "https://zenodo.org/records/3555552"),
];
/// The corruptions that are counted, in the order of their paper (Hendrycks & Dietterich 2019).
const CORRUPTIONS: [&str; 15] = [
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
];
/// Severities of each, and images of one.
const SEVERITIES: usize = 5;
const IMAGES: usize = 10_000;

const BUILT_IN: [(&str, &str); 20] = [
    ("datasets/glyphs.toml", include_str!("../../../datasets/glyphs.toml")),
    ("datasets/mnist.toml", include_str!("../../../datasets/mnist.toml")),
    ("datasets/mnist-3-vs-7.toml", include_str!("../../../datasets/mnist-3-vs-7.toml")),
    ("datasets/fashion-mnist.toml", include_str!("../../../datasets/fashion-mnist.toml")),
    ("datasets/cifar10.toml", include_str!("../../../datasets/cifar10.toml")),
    ("datasets/cifar100.toml", include_str!("../../../datasets/cifar100.toml")),
    ("datasets/svhn.toml", include_str!("../../../datasets/svhn.toml")),
    ("datasets/tiny-imagenet.toml", include_str!("../../../datasets/tiny-imagenet.toml")),
    ("datasets/imagenet-1k.toml", include_str!("../../../datasets/imagenet-1k.toml")),
    ("datasets/bloodmnist.toml", include_str!("../../../datasets/bloodmnist.toml")),
    ("datasets/breastmnist.toml", include_str!("../../../datasets/breastmnist.toml")),
    ("datasets/dermamnist.toml", include_str!("../../../datasets/dermamnist.toml")),
    ("datasets/octmnist.toml", include_str!("../../../datasets/octmnist.toml")),
    ("datasets/organamnist.toml", include_str!("../../../datasets/organamnist.toml")),
    ("datasets/organcmnist.toml", include_str!("../../../datasets/organcmnist.toml")),
    ("datasets/organsmnist.toml", include_str!("../../../datasets/organsmnist.toml")),
    ("datasets/pathmnist.toml", include_str!("../../../datasets/pathmnist.toml")),
    ("datasets/pneumoniamnist.toml", include_str!("../../../datasets/pneumoniamnist.toml")),
    ("datasets/retinamnist.toml", include_str!("../../../datasets/retinamnist.toml")),
    ("datasets/tissuemnist.toml", include_str!("../../../datasets/tissuemnist.toml")),
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
        if let Some(corrupted) = self.corrupted(name)? {
            return Ok(corrupted);
        }
        let names = self.names();
        match gauntlet_core::Error::unknown("data set", name, names.iter().map(String::as_str)) {
            gauntlet_core::Error::Unknown { name, hint, .. } => Err(Error::Unknown { name, hint }),
            other => Err(Error::Message(other.to_string())),
        }
    }
}

impl Catalogue {
    /// `cifar10-c-fog-3`: the test images of a data set under one corruption, at one severity.
    ///
    /// # Errors
    /// A corruption or severity that there is not; the name of all of them.
    fn corrupted(&self, name: &str) -> Result<Option<Manifest>> {
        let of = |c: &&(&str, &str, &str)| {
            name.strip_prefix(c.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let Some((base, plain, files)) = CORRUPTED.iter().find(of) else { return Ok(None) };
        let parts = name[base.len()..].trim_start_matches('-').rsplit_once('-');
        let known = parts.and_then(|(corruption, severity)| {
            let severity = severity.parse::<usize>().ok().filter(|s| (1..=SEVERITIES).contains(s))?;
            CORRUPTIONS.contains(&corruption).then_some((corruption, severity))
        });
        let Some((corruption, severity)) = known else {
            return Err(Error::Message(format!(
                "{base} is {} corruptions of {SEVERITIES} severities each; name one, such as {base}-fog-3: {}",
                CORRUPTIONS.len(),
                CORRUPTIONS.join(", ")
            )));
        };
        let plain = self.get(plain)?;
        let arrays = Arrays { images: format!("{corruption}.npy"), labels: "labels.npy".into() };
        let skip = Some((severity - 1) * IMAGES);
        Ok(Some(Manifest {
            name: name.into(),
            summary: format!(
                "{} under {corruption} of severity {severity}, 10,000 test images; files from {files}",
                plain.name
            ),
            source: Source::Local { folder: None, image: "image".into(), label: "label".into() },
            licence: Some("CC BY 4.0".into()),
            train: Part::default(),
            test: Part { arrays: Some(arrays), skip, take: Some(IMAGES), ..Part::default() },
            ..plain
        }))
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
    fn a_corruption_has_its_severities_behind_one_another() {
        let catalogue = Catalogue::new([]);
        let fog = catalogue.get("cifar10-c-fog-3").unwrap();
        assert_eq!(
            (fog.shape, fog.classes.len(), fog.test.skip, fog.test.take),
            ((3, 32, 32), 10, Some(20_000), Some(10_000))
        );
        assert_eq!(fog.test.arrays.unwrap().images, "fog.npy");
        assert_eq!(catalogue.get("cifar100-c-jpeg_compression-1").unwrap().classes.len(), 100);
        for name in ["cifar10-c", "cifar10-c-fog", "cifar10-c-fog-6", "cifar10-c-fgo-3"] {
            let said = catalogue.get(name).unwrap_err().to_string();
            assert!(said.contains("15 corruptions of 5 severities each; name one, such as cifar10-c-fog-3"), "{said}");
        }
        assert!(catalogue.get("cifar10-clean").unwrap_err().to_string().contains("unknown data set"));
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
