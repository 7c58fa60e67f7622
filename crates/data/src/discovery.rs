//! From a folder of images to a manifest: what the files say, and what their content is.

use crate::layout::Layout;
use crate::parquet_rows::{self, Sort};
use crate::{
    LoadOptions, Manifest, Part, RemoteFile, Result, Source, Transform, cifar, class_folders, decode, hub, idx, load,
    numpy,
};
use gauntlet_records::regular_file;
use serde_json::Value;
use std::path::Path;

/// Classes that a data set may have while nobody has counted them.
const MOST_CLASSES: usize = 10_000;

/// What is asked of a folder; what is empty or `None` is looked up in the files.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    /// Name of the data set.
    pub name: String,
    /// Class names.
    pub classes: Vec<String>,
    /// Parquet column of the images.
    pub image: Option<String>,
    /// Parquet column of the labels.
    pub label: Option<String>,
    /// What makes images of any size alike.
    pub transform: Option<Transform>,
}

/// Bytes of an image of which only the head is looked at.
const IMAGE_BYTES: u64 = 1 << 26;

/// What a folder holds.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its manifest, with the folder as it was given.
    pub manifest: Manifest,
    /// How the files are laid out, in words.
    pub layout: &'static str,
    /// Images of every class, training and test.
    pub counts: Vec<(usize, usize)>,
    /// Whether the names of the classes are theirs, or numbers of ours.
    pub named: bool,
}

impl Discovery {
    /// Looks at a folder, reads all that is in it, and describes it.
    ///
    /// # Errors
    /// Nothing that is read is there, or several things; columns that cannot be told apart; images of several sizes; labels that do not
    /// fit the given classes; whatever reading the files says.
    pub fn of(&self, folder: &Path) -> Result<Found> {
        let layout = Layout::of(folder)?;
        let (mut image, mut label) = ("image".to_string(), "label".to_string());
        let (mut train, mut test) = (Part::default(), Part::default());
        let mut known: Option<Vec<String>> = None;
        let (shape, words) = match &layout {
            Layout::Parquet { train: first, test: second } => {
                let path = folder.join(&first[0]);
                let about = parquet_rows::about(&path)?;
                image = column(&path, &about.columns, Sort::Images, self.image.as_deref(), &["image", "img"])?;
                label = column(&path, &about.columns, Sort::Labels, self.label.as_deref(), &["label", "labels"])?;
                known = about.features.as_deref().and_then(|text| class_names(text, &label));
                let one = parquet_rows::first(&path, (&image, &label), about.rows)?;
                train.files = first.iter().map(|f| file(folder, f)).collect::<Result<_>>()?;
                test.files = second.iter().map(|f| file(folder, f)).collect::<Result<_>>()?;
                (decode::shape(&one).map_err(|why| crate::error::file(&path, why))?, "parquet")
            }
            Layout::Folders(folders) => {
                known = Some(folders.classes.clone());
                train.folder = Some(folders.train.clone());
                test.folder = Some(folders.test.clone());
                let path = class_folders::first(&folder.join(&folders.train)).unwrap_or_default();
                let one =
                    regular_file::read(&path, IMAGE_BYTES, "an image").map_err(|e| crate::error::file(&path, e))?;
                (decode::shape(&one).map_err(|why| crate::error::file(&path, why))?, "folders of images")
            }
            Layout::Numpy([first, second]) => {
                train.arrays = Some(first.clone());
                test.arrays = Some(second.clone());
                (numpy::shape(folder, &first.images)?, "NumPy's arrays")
            }
            Layout::Idx => {
                let images = idx::find(folder, "train-images-idx3-ubyte").unwrap_or_default();
                (idx::shape(&images)?, "idx")
            }
            Layout::Cifar => {
                known = cifar_names(folder);
                ((3, 32, 32), "CIFAR-10's binary files")
            }
        };
        let shape = self.transform.map_or(shape, |t| (shape.0, t.crop, t.crop));
        let said = !self.classes.is_empty();
        if let (Layout::Folders(folders), Some(name)) =
            (&layout, self.classes.iter().find(|c| known.as_ref().is_some_and(|k| !k.contains(c))))
        {
            let why = format!(
                "its classes are the names of its folders ({}), and {name:?} is none of them",
                folders.classes.join(", ")
            );
            return Err(crate::error::file(folder, why));
        }
        let named = said || known.is_some();
        let known = if said { Some(self.classes.clone()) } else { known };
        let numbers = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        let mut manifest = Manifest {
            name: self.name.clone(),
            summary: String::new(),
            source: Source::Local { folder: Some(folder.to_path_buf()), image, label },
            shape,
            classes: known.clone().unwrap_or_else(|| numbers(MOST_CLASSES)),
            subset: Vec::new(),
            transform: self.transform,
            order: None,
            licence: None,
            numerics: 1,
            train,
            test,
        };
        let data = load(&manifest, &LoadOptions { quiet: true, ..LoadOptions::default() })?;
        if known.is_none() {
            let last = data.train.labels().iter().chain(data.test.labels()).max().map_or(0, |l| *l as usize);
            manifest.classes = numbers(last + 1);
        }
        manifest.train.content = Some(data.train.sha256());
        manifest.test.content = Some(data.test.sha256());
        let (c, h, w) = shape;
        let colours = match c {
            1 => "grey".to_string(),
            3 => "colour".to_string(),
            _ => format!("with {c} channels"),
        };
        manifest.summary = format!("{h}×{w} {colours}, {} + {}", data.train.len(), data.test.len());
        let count = |labels: &[u32], class: usize| labels.iter().filter(|l| **l as usize == class).count();
        let counts = (0..manifest.classes.len()).map(|k| (count(data.train.labels(), k), count(data.test.labels(), k)));
        Ok(Found { counts: counts.collect(), manifest, layout: words, named })
    }
}

/// The column that is meant: the one that was named, one of the usual names, or the only one that can be.
fn column(path: &Path, columns: &[(String, Sort)], sort: Sort, said: Option<&str>, usual: &[&str]) -> Result<String> {
    let (what, flag) = if sort == Sort::Images { ("images", "--image") } else { ("labels", "--label") };
    let all = || columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(said) = said {
        return match columns.iter().find(|(name, _)| name == said) {
            Some((name, found)) if *found == sort => Ok(name.clone()),
            Some(_) => Err(crate::error::file(path, format!("its column {said:?} cannot hold {what}"))),
            None => Err(crate::error::file(path, format!("it has no column {said:?}, only {}", all()))),
        };
    }
    let can: Vec<&str> = columns.iter().filter(|(_, found)| *found == sort).map(|(name, _)| name.as_str()).collect();
    if let Some(name) = usual.iter().find(|u| can.contains(u)) {
        return Ok(name.to_string());
    }
    match can.as_slice() {
        [one] => Ok(one.to_string()),
        [] => Err(crate::error::file(path, format!("none of its columns ({}) can hold {what}", all()))),
        several => {
            let why = format!("several columns can hold {what}: {}; say which with {flag}", several.join(", "));
            Err(crate::error::file(path, why))
        }
    }
}

/// The class names that the hub's tools write beside a column.
fn class_names(features: &str, label: &str) -> Option<Vec<String>> {
    let features: Value = serde_json::from_str(features).ok()?;
    let names = features.pointer(&format!("/info/features/{label}/names"))?.as_array()?;
    names.iter().map(|n| n.as_str().map(String::from)).collect()
}

/// The class names that come along with CIFAR-10's binary files.
fn cifar_names(folder: &Path) -> Option<Vec<String>> {
    const BYTES: u64 = 1 << 16;
    let path = cifar::find(folder)?.join("batches.meta.txt");
    let text = regular_file::read_text(&path, BYTES, "a list of classes").ok()?;
    let names: Vec<String> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect();
    (names.len() > 1).then_some(names)
}

/// A file with its sha256.
fn file(folder: &Path, path: &str) -> Result<RemoteFile> {
    Ok(RemoteFile { path: path.to_string(), sha256: Some(hub::sha256(&folder.join(path))?) })
}
