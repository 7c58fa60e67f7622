//! From a manifest to a data set in memory.

use crate::decode::verify;
use crate::manifest::{Manifest, Part, Source};
use crate::repo::{Repo, RepoKind};
use crate::{Dataset, LoadOptions, Result, glyphs, hub, local};

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
    let (train, test) = match (&manifest.source, &options.data_dir) {
        (Source::Glyphs { seed, train, test }, _) => {
            let (train, test) = glyphs::draw(*seed, *train, *test)?;
            verify(manifest, "train", &train)?;
            verify(manifest, "test", &test)?;
            (train, test)
        }
        (Source::Hub { .. }, Some(folder)) => local::load(manifest, folder)?,
        (Source::Hub { id, revision, image, label }, None) => {
            let hub = hub::connect(options)?;
            let repo = Repo { kind: RepoKind::Dataset, id, revision };
            let part = |split: &str, part: &Part| {
                let paths =
                    part.files.iter().map(|f| hub::fetch(&hub, repo, f, options)).collect::<Result<Vec<_>>>()?;
                local::files(manifest, split, &paths, image, label)
            };
            (part("train", &manifest.train)?, part("test", &manifest.test)?)
        }
    };
    let (train, test) = if manifest.subset.is_empty() {
        (train, test)
    } else {
        // Names are checked when the manifest is read; what is pinned by sha256 is the whole split.
        let label = |name: &String| manifest.classes.iter().position(|c| c == name).map(|l| l as u32);
        let labels: Vec<u32> = manifest.subset.iter().filter_map(label).collect();
        (train.only(&labels), test.only(&labels))
    };
    let classes = manifest.labels().to_vec();
    Ok(Dataset { name: manifest.name.clone(), train, test, classes, shape: manifest.shape })
}
