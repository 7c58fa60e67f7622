//! From a manifest to a data set in memory.

use crate::ceiling::Ceiling;
use crate::checked::verify;
use crate::manifest::{Manifest, Source};
use crate::{Dataset, Error, Half, LoadOptions, Result, Split, glyphs, local};
#[cfg(feature = "hub")]
use crate::{
    hub,
    repo::{Repo, RepoKind},
};
use std::path::Path;

/// Loads a data set: drawn, from local files, or from the hub (verified; from the cache when it is there).
///
/// ```
/// use gauntlet_data::{Catalogue, LoadOptions, load};
/// let glyphs = load(&Catalogue::default().get("glyphs")?, &LoadOptions::default())?;
/// assert_eq!((glyphs.train.len(), glyphs.test.len(), glyphs.shape), (10_000, 2_000, (1, 28, 28)));
/// # Ok::<(), gauntlet_data::Error>(())
/// ```
///
/// # Errors
/// See [`crate::Error`].
pub fn load(manifest: &Manifest, options: &LoadOptions) -> Result<Dataset> {
    let (train, test) = match both(manifest, options)? {
        Some((train, test)) => (part(manifest, train), part(manifest, test)),
        None => (load_half(manifest, options, Half::Train)?, load_half(manifest, options, Half::Test)?),
    };
    let classes = manifest.labels().to_vec();
    Ok(Dataset { name: manifest.name.clone(), train, test, classes, shape: manifest.shape })
}

/// One half of a data set: of the other no file is looked for.
///
/// # Errors
/// See [`load`].
pub fn load_half(manifest: &Manifest, options: &LoadOptions, half: Half) -> Result<Split> {
    let split = match (&manifest.source, &options.data_dir) {
        (Source::Glyphs { seed, train, test }, _) => {
            let all = train.saturating_add(*test);
            Ceiling::of(manifest).room(Path::new(&manifest.name), all as u64)?;
            let split = match half {
                Half::Train => glyphs::draw(*seed, 0..*train)?,
                Half::Test => glyphs::draw(*seed, *train..all)?,
            };
            verify(manifest, half.name(), &split)?;
            split
        }
        (_, Some(folder)) => local::load(manifest, folder, half)?,
        (Source::Local { folder: Some(folder), .. }, None) => local::load(manifest, folder, half)?,
        (Source::Local { folder: None, .. }, None) => return Err(Error::NoFolder { name: manifest.name.clone() }),
        #[cfg(not(feature = "hub"))]
        (Source::Hub { id, .. }, None) => return Err(crate::without_hub::missing(id)),
        #[cfg(feature = "hub")]
        (Source::Hub { id, revision, image, label }, None) => {
            if half.of(manifest).files.is_empty() {
                let why = format!("{} has no {} split: its manifest lists no files of one", manifest.name, half.name());
                return Err(Error::Message(why));
            }
            let hub = hub::connect(options)?;
            let repo = Repo { kind: RepoKind::Dataset, id, revision };
            let fetched = half.of(manifest).files.iter().map(|f| hub::fetch(&hub, repo, f, options));
            local::files(manifest, half, &fetched.collect::<Result<Vec<_>>>()?, image, label)?
        }
    };
    Ok(part(manifest, split))
}

/// Both halves of files that are read at once: CIFAR-10's binary ones.
fn both(manifest: &Manifest, options: &LoadOptions) -> Result<Option<(Split, Split)>> {
    match (&manifest.source, &options.data_dir) {
        (Source::Glyphs { .. }, _) => Ok(None),
        (_, Some(folder)) | (Source::Local { folder: Some(folder), .. }, None) => local::both(manifest, folder),
        _ => Ok(None),
    }
}

/// The manifest's classes of a split.
fn part(manifest: &Manifest, split: Split) -> Split {
    if manifest.subset.is_empty() {
        return split;
    }
    // Names are checked when the manifest is read; what is pinned by sha256 is the whole split.
    let label = |name: &String| manifest.classes.iter().position(|c| c == name).map(|l| l as u32);
    let labels: Vec<u32> = manifest.subset.iter().filter_map(label).collect();
    split.only(&labels)
}
